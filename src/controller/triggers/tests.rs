use serde_json::{Value, json};

use super::*;
use crate::observe::stores::Reach;

const FLUX: &str = "kustomize.toolkit.fluxcd.io";

fn object(kind: &str, name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": kind, "spec": {}, "status": {},
        "metadata": {"name": name, "namespace": "prod", "resourceVersion": "1", "labels": labels},
    })
}

fn applied_by(name: &str) -> Value {
    json!({format!("{FLUX}/name"): name, format!("{FLUX}/namespace"): "flux"})
}

#[test]
fn a_route_wakes_those_who_select_it_by_labels_for_a_service_of_theirs() {
    let stores = stores();
    let mut rollout = object("Rollout", "post", json!({}));
    let entry = json!({"kind": "HTTPRoute", "matchLabels": {"app": "post"}});
    rollout["spec"] = json!({
        "selector": {"matchLabels": {"app": "post"}},
        "template": {"spec": {"containers": []}},
        "strategy": {"canary": {"steps": [], "stableService": "a", "canaryService": "b",
            "trafficRouting": {"gatewayAPI": {"routes": [entry]}}}},
    });
    let rollout: crate::api::rollout::Rollout = serde_json::from_value(rollout).unwrap();
    stores.rollouts.apply(&None, rollout.clone());
    let mut route = object("HTTPRoute", "main", json!({"app": "post"}));
    route["spec"] = json!({"rules": [{"backendRefs": [{"name": "a"}, {"name": "b"}]}]});
    let mut other = object("HTTPRoute", "other", json!({"app": "none"}));
    other["spec"] = route["spec"].clone();
    for route in [route, other] {
        let change = stores.routes.apply(&None, serde_json::from_value(route).unwrap()).unwrap();
        let keys = touched(&stores, &change);
        assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["post"]);
    }
    let shop = Change {
        reference: Reference::new(Kind::Rollout, "prod", "post"),
        refs: [Reference::any(Kind::HttpRoute, "prod")].into(),
    };
    let names: Vec<String> = touched(&stores, &shop).into_iter().map(|key| key.name).collect();
    assert_eq!(names, ["post", "shop", "till"], "any of them may have the route");
    let uses: Vec<String> = stores.uses(&rollout).iter().map(ToString::to_string).collect();
    assert!(uses.contains(&"HTTPRoute prod/main".to_owned()), "{uses:?}");
    assert!(!uses.contains(&"HTTPRoute prod/other".to_owned()), "{uses:?}");
}

/// Two Rollouts share a route; one has a source elsewhere; one is applied by Flux.
fn stores() -> Stores {
    let stores = Stores::new(Reach::default());
    for (name, route, policy, labels) in [
        ("shop", "shop", "tags", json!({})),
        ("till", "shop", "", json!({})),
        ("desk", "", "", applied_by("apps")),
    ] {
        let mut canary = json!({"steps": [], "stableService": format!("{name}-stable"),
            "canaryService": format!("{name}-canary")});
        if !route.is_empty() {
            canary["trafficRouting"] = json!({"gatewayAPI": {"httpRoute": route}});
        }
        let mut rollout = object("Rollout", name, labels);
        rollout["spec"] = json!({
            "selector": {"matchLabels": {"app": name}},
            "template": {"spec": {"containers": []}},
            "strategy": {"canary": canary},
        });
        if !policy.is_empty() {
            rollout["spec"]["sourceRef"] =
                json!({"kind": "ImagePolicy", "name": policy, "namespace": "flux"});
        }
        stores.rollouts.apply(&None, serde_json::from_value(rollout).unwrap());
    }
    let service = object("Service", "till-canary", applied_by("net"));
    stores.services.apply(&None, serde_json::from_value(service).unwrap());
    let route = object("HTTPRoute", "shop", applied_by("net"));
    stores.routes.apply(&None, serde_json::from_value(route).unwrap());
    stores
}

#[test]
fn a_change_wakes_the_rollouts_that_it_is_about() {
    use Kind::{
        EndpointSlice, HttpRoute, ImagePolicy, Kustomization, ReplicaSet, Rollout, Service,
    };
    let stores = stores();
    let at = |kind, namespace: &str, name: &str| Reference::new(kind, namespace, name);
    let in_prod = |kind, name: &str| Reference::new(kind, "prod", name);
    let (shop, till) = (in_prod(Rollout, "shop"), in_prod(Rollout, "till"));
    let (set, route) = (in_prod(ReplicaSet, "shop-1"), in_prod(HttpRoute, "shop"));
    let stable = in_prod(Service, "shop-stable");
    for (case, changed, refs, want) in [
        ("a Rollout", in_prod(Rollout, "desk"), vec![], "desk"),
        ("a Rollout with a rival", shop.clone(), vec![route.clone()], "shop till"),
        ("a deleted Rollout", in_prod(Rollout, "gone"), vec![route.clone()], "gone shop till"),
        ("a ReplicaSet", set.clone(), vec![shop.clone()], "shop"),
        ("a ReplicaSet relabelled", set, vec![shop, till], "shop till"),
        ("a Service", in_prod(Service, "till-canary"), vec![], "till"),
        ("a Service of nobody", in_prod(Service, "other"), vec![], ""),
        ("a slice", in_prod(EndpointSlice, "x"), vec![stable], "shop"),
        ("a route", route, vec![], "shop till"),
        ("a route elsewhere", at(HttpRoute, "test", "shop"), vec![], ""),
        ("a source elsewhere", at(ImagePolicy, "flux", "tags"), vec![], "shop"),
        ("a source of nobody", in_prod(ImagePolicy, "tags"), vec![], ""),
        ("what applies a Rollout", at(Kustomization, "flux", "apps"), vec![], "desk"),
        ("what applies what it uses", at(Kustomization, "flux", "net"), vec![], "shop till"),
    ] {
        let change = Change { reference: changed, refs: refs.into_iter().collect() };
        let keys = touched(&stores, &change);
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names.join(" "), want, "{case}");
    }
}

#[test]
fn a_rollout_wakes_those_who_are_bound_to_the_same_field() {
    let stores = Stores::new(Reach::default());
    let mut apps = object("Kustomization", "apps", json!({}));
    apps["metadata"]["annotations"] = json!({
        "stairlock.dev/substitute.TAG.from": "shop",
        "rollout.kuberik.com/substitute.TAG.from": "till",
        "stairlock.dev/substitute.ZONE.from": "desk",
    });
    let mut manifests = object("OCIRepository", "manifests", json!({}));
    manifests["metadata"]["annotations"] = json!({
        "stairlock.dev/rollout": "desk",
        "rollout.kuberik.com/rollout": "post",
    });
    stores.kustomizations.apply(&None, serde_json::from_value(apps).unwrap());
    stores.repositories.apply(&None, serde_json::from_value(manifests).unwrap());
    for (rollout, want) in
        [("shop", "shop till"), ("till", "shop till"), ("desk", "desk post"), ("other", "other")]
    {
        let reference = Reference::new(Kind::Rollout, "prod", rollout);
        let keys = touched(&stores, &Change { reference, refs: [].into() });
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names.join(" "), want, "{rollout}");
    }
}

#[test]
fn the_answer_whether_a_kind_is_installed_wakes_those_who_wait_for_it() {
    let stores = stores();
    let mut apps = object("Kustomization", "apps", json!({}));
    apps["metadata"]["annotations"] = json!({
        "stairlock.dev/substitute.TAG.from": "till",
        "rollout.kuberik.com/substitute.TAG.from": "desk",
    });
    stores.kustomizations.apply(&None, serde_json::from_value(apps).unwrap());
    for (case, kind, want) in [
        ("it may bind a field to any", Kind::Kustomization, "desk shop till"),
        ("a binding names one of it", Kind::KuberikRollout, "desk till"),
        ("it is a route of some", Kind::HttpRoute, "shop till"),
        ("it is the source of one", Kind::ImagePolicy, "shop"),
        ("nobody refers to it", Kind::GrpcRoute, ""),
    ] {
        let keys = awaiting(&stores, kind);
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names.join(" "), want, "{case}");
    }
}

#[test]
fn a_check_wakes_those_who_may_select_it() {
    let stores = stores();
    for (name, selector) in [
        ("near", json!({"selector": {"matchLabels": {"app": "near"}}})),
        ("wide", json!({"selector": {}, "namespaceSelector": {}})),
    ] {
        let mut rollout = object("Rollout", name, json!({}));
        let source = json!({"kind": "ImagePolicy", "name": name});
        rollout["spec"] = json!({"sourceRef": source, "healthCheckSelector": selector});
        stores.rollouts.apply(&None, serde_json::from_value(rollout).unwrap());
    }
    for (case, kind, namespace, want) in [
        ("a check", Kind::HealthCheck, "prod", "near wide"),
        ("a check elsewhere", Kind::HealthCheck, "dev", "wide"),
        ("the labels of a namespace", Kind::Namespace, "", "wide"),
    ] {
        let reference = Reference::new(kind, namespace, "errors");
        let keys = touched(&stores, &Change { reference, refs: [].into() });
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names.join(" "), want, "{case}");
    }
}

#[test]
fn what_a_source_shows_and_what_a_person_asks_presses() {
    let stores = stores();
    let change = |kind, name: &str| Change {
        reference: Reference::new(kind, "prod", name),
        refs: Default::default(),
    };
    for (kind, want) in [
        (Kind::ImagePolicy, true),
        (Kind::OciRepository, true),
        (Kind::Kustomization, false),
        (Kind::ReplicaSet, false),
        (Kind::Rollout, false),
    ] {
        assert_eq!(presses(&stores, &change(kind, "shop")), want, "{kind:?}");
    }
    let mut asked = object("Rollout", "shop", json!({}));
    for (version, (key, want)) in (2..).zip([
        ("stairlock.dev/abort", true),
        ("stairlock.dev/accepted", true),
        ("rollout.kuberik.com/force-deploy", true),
        ("stairlock.dev/bypass-gates", true),
        ("stairlock.dev/deploy-user", false),
    ]) {
        asked["metadata"]["resourceVersion"] = json!(version.to_string());
        asked["metadata"]["annotations"] = json!({key: "true"});
        let rollout: crate::api::rollout::Rollout = serde_json::from_value(asked.clone()).unwrap();
        stores.rollouts.apply(&None, rollout);
        assert_eq!(presses(&stores, &change(Kind::Rollout, "shop")), want, "{key}");
    }
    assert!(!presses(&stores, &change(Kind::Rollout, "gone")));
}
