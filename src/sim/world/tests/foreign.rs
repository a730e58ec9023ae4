use serde_json::{Value, json};

use crate::sim::history::Place;
use crate::sim::story::GatewayAnswer;
use crate::sim::world::fields;
use crate::sim::world::tests::scene::*;

#[tokio::test(start_paused = true)]
async fn the_gateway_answers_as_the_story_says() {
    let mut scene = Scene::new(8);
    let mut objects = vec![rollout(json!({}))];
    scene.world.complete(&mut objects);
    let made = objects.iter().find(|object| object["kind"] == "HTTPRoute").unwrap().clone();
    scene.put(&route(), made);
    let said = |scene: &Scene| {
        let parents = scene.read(&route())["status"]["parents"].clone();
        let conditions = fields::items(&parents[0], &["conditions"]).to_vec();
        let text = |one: &Value| {
            let at = one["observedGeneration"].clone();
            format!("{} {at}", fields::text(one, &["status"]))
        };
        conditions.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    scene.pass(301).await;
    assert_eq!(said(&scene), "True 1, False 1", "the Services are missing");
    for name in ["shop-stable", "shop-canary"] {
        scene.put(&service(name), selecting("1.0.0"));
    }
    scene.pass(301).await;
    assert_eq!(said(&scene), "True 1, True 1");
    let answer = |answer: GatewayAnswer| json!({"gateway": {"at": "1s", "answer": answer}});
    scene.happens(answer(GatewayAnswer::Refuses)).unwrap();
    scene.pass(301).await;
    assert_eq!(said(&scene), "False 1, True 1");
    scene.happens(answer(GatewayAnswer::Silent)).unwrap();
    scene.patch(&route(), json!({"spec": {"hostnames": ["a.example"]}}));
    scene.pass(60_000).await;
    assert_eq!(said(&scene), "False 1, True 1", "of the generation before");
    scene.happens(answer(GatewayAnswer::Accepts)).unwrap();
    scene.pass(301).await;
    assert_eq!(said(&scene), "True 2, True 2");
    for (object, want) in
        [("httproutes/b", "True 2, True 2"), ("httproutes/shop", "False 2, True 2")]
    {
        let one = json!({"gateway": {"at": "1s", "object": object, "answer": "refuses"}});
        scene.happens(one).unwrap();
        scene.pass(301).await;
        assert_eq!(said(&scene), want, "only {object} is refused");
    }
    scene.happens(answer(GatewayAnswer::Accepts)).unwrap();
    scene.pass(301).await;
    assert_eq!(said(&scene), "True 2, True 2", "all are accepted");
    scene.happens(json!({"delete": {"at": "9s", "object": "services/shop-canary"}})).unwrap();
    scene.pass(301).await;
    assert_eq!(said(&scene), "True 2, False 2");
}

#[tokio::test(start_paused = true)]
async fn a_story_gets_the_objects_that_its_rollouts_name() {
    let mut scene = Scene::new(1);
    let mut objects = vec![rollout(json!({}))];
    scene.world.complete(&mut objects);
    let names = |objects: &[Value]| {
        let text = |one: &Value, key: &str| fields::text(one, &["metadata", key]).to_owned();
        let name = |one: &Value| {
            format!(
                "{} {}/{}",
                fields::text(one, &["kind"]),
                text(one, "namespace"),
                text(one, "name")
            )
        };
        objects.iter().map(name).collect::<Vec<_>>()
    };
    let all = ["Rollout prod/shop", "ImagePolicy flux-system/tags", "HTTPRoute prod/shop"];
    assert_eq!(names(&objects), all);
    let backends = json!([
        {"name": "shop-stable", "port": 8080, "weight": 100},
        {"name": "shop-canary", "port": 8080, "weight": 0},
    ]);
    assert_eq!(objects[2]["spec"]["rules"], json!([{"backendRefs": backends}]));
    scene.world.complete(&mut objects);
    assert_eq!(names(&objects), all, "nothing twice");
    let strategy = json!({"strategy": {"canary": {"trafficRouting": null}}});
    let mut bare = vec![rollout(json!({"spec": {"sourceRef": null}}))];
    json_patch::merge(&mut bare[0], &json!({"spec": strategy}));
    scene.world.complete(&mut bare);
    assert_eq!(names(&bare), ["Rollout prod/shop"]);
}

#[tokio::test(start_paused = true)]
async fn an_image_policy_shows_what_is_released() {
    let image = |image: &str| {
        let containers =
            json!([{"name": "log", "image": "log:1"}, {"name": "app", "image": image}]);
        let template = json!({"spec": {"containers": containers}});
        json!({"spec": {"container": "app", "template": template}})
    };
    let scanned = json!({"kind": "ImageRepository", "spec": {"image": "ghcr.io/acme/shop"},
        "metadata": {"name": "tags", "namespace": "flux-system"}});
    for (case, patch, more, want) in [
        ("no image", json!({}), vec![], "registry.example/shop"),
        ("an image", image("r.example/a/shop:1.0.0"), vec![], "r.example/a/shop"),
        ("an ImageRepository", json!({}), vec![scanned], "ghcr.io/acme/shop"),
    ] {
        let mut scene = Scene::new(2);
        let mut objects = more;
        objects.push(rollout(patch));
        scene.world.complete(&mut objects);
        for object in objects {
            let places = [("Rollout", rollout_place()), ("ImagePolicy", policy())];
            let place = places.into_iter().find(|(kind, _)| object["kind"] == *kind);
            if let Some((_, place)) = place {
                scene.put(&place, object);
            }
        }
        let ready = |scene: &Scene| {
            let status = scene.read(&policy())["status"].clone();
            assert_eq!(status["observedGeneration"], json!(1), "{case}");
            status["conditions"][0]["status"] == json!("True")
        };
        scene.pass(301).await;
        assert!(!ready(&scene), "{case}: no tags yet");
        scene.happens(json!({"release": {"at": "1s", "version": "v1.2.3"}})).unwrap();
        let latest = scene.read(&policy())["status"]["latestRef"].clone();
        assert_eq!((&latest["name"], &latest["tag"]), (&json!(want), &json!("v1.2.3")), "{case}");
        assert!(ready(&scene));
        scene.happens(json!({"release": {"at": "1s", "version": "v1.2.3", "build": 1}})).unwrap();
        let pushed = scene.read(&policy())["status"]["latestRef"].clone();
        assert_eq!(fields::text(&pushed, &["digest"]).len(), 71, "{case}");
        assert_ne!(latest["digest"], pushed["digest"], "{case}");
        scene.happens(json!({"source": {"at": "1s", "ready": false}})).unwrap();
        assert!(!ready(&scene));
        assert_eq!(scene.read(&policy())["status"]["latestRef"], pushed, "{case}: is kept");
        scene.happens(json!({"source": {"at": "1s", "ready": true}})).unwrap();
        assert!(ready(&scene));
    }
}

#[tokio::test(start_paused = true)]
async fn a_kustomization_says_that_it_is_applied() {
    let mut scene = Scene::new(3);
    let place = Place::new("kustomizations", "flux-system", "apps");
    scene.put(&place, json!({"kind": "Kustomization", "spec": {"interval": "1m"}}));
    scene.pass(301).await;
    let status = |scene: &Scene| scene.read(&place)["status"].clone();
    let revision = status(&scene)["lastAppliedRevision"].clone();
    assert!(revision.as_str().unwrap().starts_with("main@sha1:"));
    scene.patch(&place, json!({"spec": {"interval": "5m"}}));
    scene.pass(301).await;
    assert_eq!(status(&scene)["observedGeneration"], json!(2));
    assert_eq!(status(&scene)["lastAppliedRevision"], revision);
}

#[tokio::test(start_paused = true)]
async fn people_edit_annotate_and_delete() {
    let mut scene = Scene::new(4);
    scene.put(&rollout_place(), rollout(json!({})));
    scene.put(&route(), json!({"spec": {"hostnames": ["a.example"]}}));
    let weights = json!({"metadata": {"uid": "other", "labels": {"a": "b"}},
        "spec": {"hostnames": null, "rules": []}, "status": {"parents": []}});
    scene
        .happens(json!({"edit": {"at": "1s", "object": "httproutes/shop", "merge": weights}}))
        .unwrap();
    let edited = scene.read(&route());
    assert_eq!(edited["spec"], json!({"rules": []}));
    assert_eq!(edited["status"], json!({"parents": []}));
    assert_ne!(edited["metadata"]["uid"], json!("other"));
    let set = json!({"promote": "true", "kulta.io/promote": "1/2"});
    scene.happens(json!({"annotate": {"at": "1s", "set": set}})).unwrap();
    let all = json!({"stairlock.dev/promote": "true", "kulta.io/promote": "1/2"});
    assert_eq!(scene.read(&rollout_place())["metadata"]["annotations"], all);
    scene.happens(json!({"delete": {"at": "1s", "object": "httproutes/shop"}})).unwrap();
    assert_eq!(scene.read(&route()), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn who_puts_back_does_so_until_the_end() {
    let mut scene = Scene::new(5);
    scene
        .happens(
            json!({"edit": {"at": "0s", "object": "httproutes/shop", "by": "kustomize-controller",
        "merge": {"spec": {"hostnames": ["a"]}}, "every": "10s", "until": "1m"}}),
        )
        .unwrap();
    scene.put(&route(), json!({"spec": {"hostnames": ["a"]}}));
    let mut reverts = 0;
    for _ in 0..20 {
        scene.patch(&route(), json!({"spec": {"hostnames": ["b"]}}));
        scene.pass(10_000).await;
        reverts += usize::from(scene.read(&route())["spec"]["hostnames"] == json!(["a"]));
    }
    assert_eq!(reverts, 6);
    assert_eq!(scene.world.next(), None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_happen_is_told() {
    let mut scene = Scene::new(6);
    let edit = |object: &str| json!({"edit": {"at": "1s", "object": object, "merge": {}}});
    let release = json!({"release": {"at": "1s", "version": "1.0.0"}});
    let named = json!({"release": {"at": "1s", "version": "1.0.0", "name": "carts"}});
    let annotate = json!({"annotate": {"at": "1s", "set": {"promote": "true"}}});
    let told = |scene: &mut Scene, event: Value| scene.happens(event).unwrap_err().to_string();
    for (event, want) in [
        (edit("shop"), "\"shop\" is not plural/name of a kind that is simulated; write for"),
        (edit("secrets/shop"), "\"secrets/shop\" is not plural/name of a kind"),
        (edit("pods/"), "\"pods/\" is not plural/name of a kind"),
        (edit("pods/shop"), "there is no pods/shop in namespace prod at that time"),
        (json!({"delete": {"at": "1s", "object": "services/a"}}), "there is no services/a in"),
        (release.clone(), "there is no ImagePolicy; give the Rollout a sourceRef"),
        (named, "there is no ImagePolicy carts; give"),
        (json!({"source": {"at": "1s", "ready": true}}), "there is no ImagePolicy; give"),
        (annotate.clone(), "there is no Rollout; a story needs one"),
        (
            json!({"errors": {"at": "1s", "version": "1.0.0", "percent": 101}}),
            "percent is 101, but has to be within 0 to 100",
        ),
    ] {
        let got = told(&mut scene, event);
        assert!(got.starts_with(want), "{got}");
    }
    for name in ["a", "b"] {
        scene.put(&Place::new("imagepolicies", "prod", name), json!({}));
        scene.put(&Place::new("rollouts", "prod", name), json!({}));
    }
    let several = "there are several ImagePolicys: a, b; give the event a name";
    assert_eq!(told(&mut scene, release), several);
    let several = "there are several Rollouts: a, b; use an edit of metadata.annotations";
    assert_eq!(told(&mut scene, annotate), several);
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_while_the_api_server_is_out() {
    let mut scene = Scene::new(7);
    scene.put(&set("shop-1.0.0"), replica_set("1.0.0", 3));
    scene.happens(json!({"outage": {"at": "0s", "length": "60s"}})).unwrap();
    let before = scene.cluster.revision();
    scene.pass(59_999).await;
    assert_eq!(scene.cluster.revision(), before);
    scene.pass(3000).await;
    assert_eq!(scene.pods("1.0.0"), (3, 3));
}
