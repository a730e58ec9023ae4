//! What leaves on the wire: the far end is a function that answers like an API server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::json;

use super::*;
use crate::model::template::Revision;

type Sent = Arc<Mutex<Vec<String>>>;

/// A client whose far end notes what arrives and gives these answers, one after the other.
fn client(answers: Vec<(u16, Value)>) -> (Client, Sent) {
    let sent = Sent::default();
    let noted = Arc::clone(&sent);
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (uri, method) = (request.uri(), request.method());
        let kind = request.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.filter(|_| *method == Method::PATCH).unwrap_or_default();
        noted.lock().unwrap().push(format!("{method} {uri} {kind}").trim().to_owned());
        let (code, body) = answers.lock().unwrap().next().unwrap();
        let body = Body::from(serde_json::to_vec(&body).unwrap());
        let reply = Response::builder().status(code).body(body).unwrap();
        std::future::ready(Ok::<_, std::convert::Infallible>(reply))
    });
    (Client::new(service, "default"), sent)
}

fn rollout() -> Rollout {
    serde_json::from_value(json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "prod", "uid": "u1", "resourceVersion": "5"},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"spec": {"containers": [{"name": "app", "image": "shop:1"}]}},
            "strategy": {"canary": {"steps": []}},
        },
    }))
    .unwrap()
}

fn birth() -> Write {
    Write::CreateReplicaSet {
        revision: Revision::parse("b6a05ce3fb").unwrap(),
        attempt: 1,
        replicas: 1,
        min_ready_secs: 0,
        selector: BTreeMap::new(),
        template: rollout().spec.template,
    }
}

fn target() -> Target {
    Target { name: "x".into(), uid: "u2".into(), resource_version: "9".into() }
}

fn object(version: &str) -> Value {
    json!({"metadata": {"name": "x", "namespace": "prod", "resourceVersion": version}})
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason}))
}

#[tokio::test]
async fn each_write_is_one_request_with_our_field_manager() {
    let edit =
        crate::model::moves::WeightEdit { rule: 0, backend: 0, service: "s".to_owned(), weight: 1 };
    let json = "?&fieldManager=stairlock application/json-patch+json";
    let sets = "/apis/apps/v1/namespaces/prod/replicasets";
    let routes = "/apis/gateway.networking.k8s.io/v1/namespaces/prod/httproutes";
    let own = "/apis/stairlock.dev/v1alpha1/namespaces/prod/rollouts";
    let services = "/api/v1/namespaces/prod/services";
    let resize = Write::Resize {
        target: target(),
        replicas: 1,
        min_ready_secs: 0,
        quarantine: None,
        attempt: None,
    };
    let select = Write::Select { target: target(), from: None, to: None };
    let (kind, edits) = (RouteKind::Http, vec![edit]);
    let weights = Write::SetWeights { kind, target: target(), edits };
    for (write, want) in [
        (birth(), format!("POST {sets}?&fieldManager=stairlock")),
        (resize, format!("PATCH {sets}/x{json}")),
        (Write::DeleteReplicaSet(target()), format!("DELETE {sets}/x?")),
        (Write::AdoptReplicaSet(target()), format!("PATCH {sets}/x{json}")),
        (select, format!("PATCH {services}/x{json}")),
        (weights, format!("PATCH {routes}/x{json}")),
        (Write::SetImages(Vec::new()), format!("PATCH {own}/shop{json}")),
        (Write::Finalizer { present: true }, format!("PATCH {own}/shop{json}")),
    ] {
        let (client, sent) = client(vec![(200, object("10"))]);
        let written = apply(&client, &rollout(), &write).await.unwrap().unwrap();
        assert_eq!(*sent.lock().unwrap(), [want], "{write:?}");
        let deleted = Effect::Gone { uid: "u2".to_owned() };
        assert!([Effect::Version(10), deleted].contains(&written.effect), "{write:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_success_only_for_our_own_of_the_same_template() {
    let there = |uid: &str, template: Value| {
        json!({"metadata": {
            "name": "shop-b6a05ce3fb", "namespace": "prod", "resourceVersion": "7",
            "annotations": {"stairlock.dev/template": template.to_string()},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Rollout", "name": "shop", "uid": uid,
                "controller": true,
            }],
        }})
    };
    let template = rollout().spec.template;
    for (case, standing, want) in [
        ("ours", there("u1", template.clone()), true),
        ("another Rollout's", there("u9", template), false),
        ("another template", there("u1", json!({})), false),
    ] {
        let answers = vec![refusal(409, "AlreadyExists"), (200, standing)];
        let (client, _) = client(answers);
        match apply(&client, &rollout(), &birth()).await {
            Ok(written) => {
                assert!(want, "{case}");
                assert_eq!(written.unwrap().effect, Effect::Version(7), "{case}");
            }
            Err(Error::Taken { version, .. }) => assert!(!want && version == 7, "{case}"),
            Err(other) => panic!("{case}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_dry_run_tells_of_the_template_only() {
    for (case, answer, want) in [
        ("taken", (201, object("")), Some(false)),
        ("not valid", refusal(422, "Invalid"), Some(true)),
        ("denied", refusal(400, "BadRequest"), Some(true)),
        ("too large", refusal(413, "RequestEntityTooLarge"), Some(true)),
        ("quota", refusal(403, "Forbidden"), Some(false)),
        ("made before", refusal(409, "AlreadyExists"), Some(false)),
        ("no answer", refusal(500, "InternalError"), None),
    ] {
        let (client, sent) = client(vec![answer]);
        let refused = dry_run(&client, &rollout()).await.ok().map(|why| why.is_some());
        assert_eq!(refused, want, "{case}");
        assert!(sent.lock().unwrap()[0].contains("dryRun=All"), "{case}");
    }
}
