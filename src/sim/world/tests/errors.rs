use serde_json::{Value, json};

use crate::api::keys;
use crate::model::moment::Duration;
use crate::sim::world::prometheus::Reading;
use crate::sim::world::tests::scene::*;

fn errors(version: &str, percent: u32) -> Value {
    json!({"errors": {"at": "1s", "version": version, "percent": percent}})
}

#[tokio::test(start_paused = true)]
async fn prometheus_answers_as_the_story_says() {
    let mut scene = Scene::new(1);
    let begun = scene.cluster.now();
    for event in [errors("1.0.0", 5), json!({"prometheus": {"at": "1s", "up": false}})] {
        scene.pass(1000).await;
        scene.happens(event).unwrap();
    }
    scene.pass(1500).await;
    scene.happens(json!({"prometheus": {"at": "1s", "up": true}})).unwrap();
    scene.happens(errors("v1.0.0", 0)).unwrap();
    let prometheus = scene.world.prometheus();
    let at = |millis: u64| begun + Duration::from_millis(millis);
    for (version, millis, want) in [
        ("1.0.0", 999, Reading::Value(0.0)),
        ("1.0.0", 1000, Reading::Value(5.0)),
        ("v1.0.0", 1999, Reading::Value(5.0)),
        ("1.1.0", 1999, Reading::Value(0.0)),
        ("1.0.0", 2000, Reading::NoReading),
        ("1.0.0", 3500, Reading::Value(0.0)),
    ] {
        assert_eq!(prometheus.reading(version, at(millis)), want, "{version} at {millis} ms");
    }
    let reply = prometheus.reply("1.0.0", at(1250)).unwrap().to_string();
    let want = "{\"data\":{\"result\":[{\"metric\":{},\"value\":[1700000001.25,\"5\"]}],\
        \"resultType\":\"vector\"},\"status\":\"success\"}";
    assert_eq!(reply, want);
    assert_eq!(prometheus.reply("1.0.0", at(2000)), None);
}

/// A ReplicaSet whose pods are of the Rollout `shop`.
fn of_shop(version: &str, replicas: u32) -> Value {
    let mut set = replica_set(version, replicas);
    set["spec"]["template"]["metadata"]["labels"][keys::LABEL_ROLLOUT] = json!("shop");
    set
}

#[tokio::test(start_paused = true)]
async fn requests_fail_as_the_weights_and_the_versions_have_it() {
    let mut scene = Scene::new(2);
    let mut objects = vec![rollout(json!({}))];
    scene.world.complete(&mut objects);
    scene.put(&rollout_place(), objects[0].clone());
    scene.put(&route(), objects[2].clone());
    assert_eq!(scene.world.exposure("shop"), None);
    for (service_, version) in [("shop-stable", "1.0.0"), ("shop-canary", "1.1.0")] {
        scene.put(&set(&format!("shop-{version}")), of_shop(version, 2));
        scene.put(&service(service_), selecting(version));
    }
    scene.happens(errors("1.1.0", 50)).unwrap();
    scene.pass(100_000).await;
    assert_eq!(scene.world.exposure("shop"), Some(0.0));
    let ready = scene.cluster.changes(0).into_iter().find(|change| {
        let slice = change.after.as_ref().filter(|_| change.place.resource == "endpointslices");
        slice.is_some_and(|slice| slice.to_string().contains("\"ready\":true"))
    });
    let answered = scene.cluster.now().since(ready.unwrap().at).millis();
    assert!((95_000..100_000).contains(&answered));

    let weights = |stable: u32, canary: u32| {
        let backend =
            |name: &str, weight: u32| json!({"name": name, "port": 8080, "weight": weight});
        let backends = [backend("shop-stable", stable), backend("shop-canary", canary)];
        json!({"spec": {"rules": [{"backendRefs": backends}]}})
    };
    scene.patch(&route(), weights(80, 20));
    scene.pass(100_000).await;
    let after_climb = scene.world.exposure("shop").unwrap();
    assert!((4.9..5.1).contains(&after_climb), "10 % for half of the time: {after_climb}");
    scene.happens(json!({"gateway": {"at": "1s", "answer": "refuses"}})).unwrap();
    scene.pass(1000).await;
    scene.patch(&route(), weights(0, 100));
    scene.pass(200_000).await;
    let refused = scene.world.exposure("shop").unwrap();
    assert!((7.4..7.6).contains(&refused), "the weights before stay: {refused}");
    scene.happens(json!({"gateway": {"at": "1s", "answer": "accepts"}})).unwrap();
    scene.happens(json!({"pods": {"at": "1s", "version": "1.1.0", "fate": "stuck"}})).unwrap();
    scene.pass(400_000).await;
    let dead = scene.world.exposure("shop").unwrap();
    assert!((53.0..54.5).contains(&dead), "no endpoint for half of the time: {dead}");
}

#[tokio::test(start_paused = true)]
async fn without_a_route_requests_go_to_all_ready_pods() {
    let mut scene = Scene::new(3);
    let canary = json!({"trafficRouting": null});
    scene.put(&rollout_place(), rollout(json!({"spec": {"strategy": {"canary": canary}}})));
    scene.put(&set("shop-1.0.0"), of_shop("1.0.0", 3));
    scene.pass(3000).await;
    scene.put(&set("shop-1.1.0"), of_shop("1.1.0", 1));
    scene.happens(errors("1.1.0", 100)).unwrap();
    scene.pass(300_000).await;
    let percent = scene.world.exposure("shop").unwrap();
    assert!((24.0..25.1).contains(&percent), "{percent}");
}
