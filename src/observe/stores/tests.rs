use http::{Request, Response};
use kube::client::Body;
use serde_json::json;

use super::*;
use crate::api::kind::Key;

fn set(version: u64) -> ReplicaSet {
    let meta = json!({"name": "a", "namespace": "prod", "resourceVersion": version.to_string()});
    serde_json::from_value(json!({"metadata": meta})).unwrap()
}

/// Reads an object that is not there. `meanwhile`: what the watch brings before the answer.
async fn read(stores: &Arc<Stores>, meanwhile: Option<u64>) -> Option<Change> {
    let watched = Arc::clone(stores);
    let service = tower::service_fn(move |_: Request<Body>| {
        meanwhile.map(|version| watched.replica_sets.apply(&None, set(version)));
        let answer = r#"{"kind":"Status","status":"Failure","code":404,"reason":"NotFound"}"#;
        let reply = Response::builder().status(404).body(Body::from(answer.as_bytes().to_vec()));
        std::future::ready(reply)
    });
    let reference = Reference::new(Kind::ReplicaSet, "prod", "a");
    stores.refresh(&Client::new(service, "default"), &reference).await.unwrap()
}

#[tokio::test]
async fn an_answer_drops_only_what_was_there_when_it_was_asked_for() {
    for (case, before, meanwhile, dropped) in [
        ("nothing known, nothing there", None, None, false),
        ("gone", Some(5), None, true),
        ("made meanwhile", None, Some(7), false),
        ("made again meanwhile", Some(5), Some(7), false),
    ] {
        let stores = Arc::new(Stores::new(Reach::default()));
        before.map(|version| stores.replica_sets.apply(&None, set(version)));
        assert_eq!(read(&stores, meanwhile).await.is_some(), dropped, "{case}");
        let there = before.or(meanwhile).is_some() && !dropped;
        assert_eq!(stores.replica_sets.keys().len(), usize::from(there), "{case}");
    }
}

#[test]
fn a_kind_is_referred_to_directly_or_by_what_a_rollout_uses() {
    let stores = Stores::new(Reach::default());
    let flux = |name: &str| {
        json!({"kustomize.toolkit.fluxcd.io/name": name,
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system"})
    };
    let service = |name: &str| {
        let meta = json!({"name": name, "namespace": "prod", "labels": flux("apps")});
        serde_json::from_value(json!({"metadata": meta})).unwrap()
    };
    let rollout = |canary: serde_json::Value, labels: serde_json::Value| {
        serde_json::from_value(json!({
            "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": "prod", "labels": labels},
            "spec": {"selector": {"matchLabels": {}}, "template": {},
                "strategy": {"canary": canary}},
        }))
        .unwrap()
    };
    let referred = |kind| stores.referred(kind);
    let canary = json!({"steps": [], "stableService": "a", "canaryService": "b"});
    stores.rollouts.apply(&None, rollout(canary.clone(), json!({})));
    stores.services.apply(&None, service("other"));
    assert!(referred(Kind::Service) && !referred(Kind::HttpRoute));
    assert!(!referred(Kind::Kustomization), "only by a Service that nobody uses");
    stores.services.apply(&None, service("b"));
    assert!(referred(Kind::Kustomization), "by a Service that is used");
    stores.services.delete(&None, &Key::new("prod", "b"), None);
    stores.rollouts.apply(&None, rollout(canary, flux("apps")));
    assert!(referred(Kind::Kustomization), "by the Rollout itself");
}

#[test]
fn a_kind_that_may_not_be_listed_stops_those_that_refer_to_it() {
    let namespaces = ["prod", "dev"].map(str::to_owned).into();
    let stores = Stores::new(Reach { namespaces, ..Reach::default() });
    let rollout = |namespace: &str, route: &str| -> Rollout {
        let api = json!({route: "shop"});
        let canary = json!({"steps": [], "stableService": "a", "canaryService": "b",
            "trafficRouting": {"gatewayAPI": api}});
        serde_json::from_value(json!({
            "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": namespace},
            "spec": {"selector": {"matchLabels": {}}, "template": {},
                "strategy": {"canary": canary}},
        }))
        .unwrap()
    };
    let (prod, dev) = (Some("prod".to_owned()), Some("dev".to_owned()));
    for scope in [&prod, &dev] {
        stores.routes.finish(scope);
        stores.gates.finish(scope);
    }
    let plain = rollout("dev", "httpRoute");
    assert!(!stores.ready_for(&plain), "what binds a field to it is not known yet");
    stores.repositories.vanish();
    stores.kustomizations.finish(&prod);
    assert!(!stores.ready_for(&plain), "one of its namespaces is not listed");
    assert!(stores.kustomizations.deny(&dev, "forbidden".to_owned()));
    assert!(stores.ready_for(&plain), "what may not be listed binds nothing");
    stores.grpc_routes.finish(&dev);
    let known = |rollout: &Rollout| (stores.ready_for(rollout), stores.denied_for(rollout));
    let denied = Some((Kind::GrpcRoute, "forbidden".to_owned()));
    assert_eq!(known(&rollout("prod", "grpcRoute")), (false, None), "it is not listed yet");
    assert!(stores.grpc_routes.deny(&prod, "forbidden".to_owned()));
    assert!(!stores.grpc_routes.deny(&prod, "forbidden".to_owned()), "it is told once");
    assert_eq!(known(&rollout("prod", "grpcRoute")), (false, denied.clone()));
    assert_eq!(known(&rollout("prod", "httpRoute")), (true, None), "another kind");
    assert_eq!(known(&rollout("dev", "grpcRoute")), (true, None), "another namespace");
    stores.grpc_routes.finish(&prod);
    assert_eq!(known(&rollout("prod", "grpcRoute")), (true, None));
    assert!(stores.grpc_routes.deny(&prod, "forbidden".to_owned()));
    assert_eq!(known(&rollout("prod", "grpcRoute")), (true, denied), "from then on it is old");
}

#[test]
fn who_would_not_be_seen_is_not_known_to_be_gone() {
    let (all, some) = (BTreeSet::new(), BTreeSet::from(["prod".to_owned()]));
    for (case, namespaces, selected, namespace, want) in [
        ("all are watched", &all, false, "dev", true),
        ("its namespace is", &some, false, "prod", true),
        ("its namespace is not", &some, false, "dev", false),
        ("it may have other labels", &all, true, "prod", false),
    ] {
        let namespaces = namespaces.clone();
        let reach = Reach { namespaces, selected, ..Reach::default() };
        assert_eq!(reach.sees(&Key::new(namespace, "shop")), want, "{case}");
    }
}
