use std::sync::Arc;

use http::{Request, Response};
use kube::client::Body;
use serde_json::json;

use super::*;

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
