//! What is sent about a Rollout that is not there, to a far end that notes it.

use std::sync::{Arc, Mutex};

use http::{Method, Request};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::controller::fixture;
use crate::observe::stores::Reach;

type Asked = Arc<Mutex<Vec<String>>>;

/// A process that leads. Its API server has a Rollout, or none, and takes every Event.
fn context(stores: Stores, rollout: Option<Value>) -> (Context, Asked) {
    let asked = Asked::default();
    let notes = Arc::clone(&asked);
    let answer = move |request: &Request<Body>| {
        notes.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
        let gone =
            json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"});
        match (request.method() == Method::POST, &rollout) {
            (true, _) => (201, json!({"metadata": {"name": "e", "resourceVersion": "9"}})),
            (false, Some(rollout)) => (200, rollout.clone()),
            (false, None) => (404, gone),
        }
    };
    (fixture::context(stores, answer), asked)
}

/// A Kustomization that names `prod/shop`, and no Rollout.
fn stores(reach: Reach) -> Stores {
    naming("shop", reach)
}

/// A Kustomization whose annotation has that value, and no Rollout.
fn naming(value: &str, reach: Reach) -> Stores {
    let stores = Stores::new(reach);
    stores.kuberik.vanish();
    let kustomization = json!({
        "metadata": {"name": "apps", "namespace": "prod", "uid": "k", "resourceVersion": "5",
            "annotations": {"stairlock.dev/substitute.TAG.from": value}},
        "spec": {},
    });
    stores.kustomizations.apply(&None, serde_json::from_value(kustomization).unwrap());
    stores
}

fn rollout() -> Value {
    json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "prod", "uid": "s", "resourceVersion": "8"},
        "spec": {"sourceRef": {"kind": "ImagePolicy", "name": "shop"}},
    })
}

#[tokio::test(start_paused = true)]
async fn a_missing_rollout_is_told_once_it_had_time_to_come() {
    let (ctx, asked) = context(stores(Reach::default()), None);
    let key = Key::new("prod", "shop");
    let due = ctx.clock.monotonic() + MISSING_MIN;

    assert_eq!(tell(&ctx, &key).await.unwrap(), Next::Wait(Some(due)), "it may come yet");
    assert!(asked.lock().unwrap().is_empty());
    tokio::time::advance(MISSING_MIN).await;
    for turn in ["it is told", "and not again"] {
        assert_eq!(tell(&ctx, &key).await.unwrap(), Next::Wait(None), "{turn}");
        let want = [
            "GET /apis/stairlock.dev/v1alpha1/namespaces/prod/rollouts/shop",
            "POST /apis/events.k8s.io/v1/namespaces/prod/events",
        ];
        assert_eq!(*asked.lock().unwrap(), want, "{turn}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_name_no_rollout_is_told_once_and_none_is_asked_for() {
    let (ctx, asked) = context(naming("My Shop", Reach::default()), None);
    let named = ctx.stores.kustomizations.named(Kind::Rollout);
    let key = Key::new("prod", "");
    let named: Vec<Key> = named.into_iter().map(|one| one.key).collect();
    assert_eq!(named, std::slice::from_ref(&key));
    tell(&ctx, &key).await.unwrap();
    tokio::time::advance(MISSING_MIN).await;
    for turn in ["it is told", "and not again"] {
        assert_eq!(tell(&ctx, &key).await.unwrap(), Next::Wait(None), "{turn}");
        let want = ["POST /apis/events.k8s.io/v1/namespaces/prod/events"];
        assert_eq!(*asked.lock().unwrap(), want, "{turn}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_a_rollout_that_may_be_there() {
    let key = Key::new("prod", "shop");

    // Its watch is late: the API server has it.
    let (ctx, asked) = context(stores(Reach::default()), Some(rollout()));
    tell(&ctx, &key).await.unwrap();
    tokio::time::advance(MISSING_MIN).await;
    let now = ctx.clock.monotonic();
    assert_eq!(tell(&ctx, &key).await.unwrap(), Next::Wait(Some(now)));
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert_eq!(ctx.queue.pop(now), Some(key.clone()), "its turn is due");

    // Another controller may have it, and nobody asks.
    let elsewhere = Reach { namespaces: ["till".to_owned()].into(), ..Reach::default() };
    let shard = Reach { selected: true, ..Reach::default() };
    for reach in [elsewhere, shard] {
        let (ctx, asked) = context(stores(reach), None);
        assert_eq!(tell(&ctx, &key).await.unwrap(), Next::Wait(None));
        assert!(asked.lock().unwrap().is_empty());
    }

    // It cannot be read.
    let unread = stores(Reach::default());
    unread.rollouts.refuse(&None, key.clone(), Some("4"));
    let (ctx, _) = context(unread, None);
    assert_eq!(tell(&ctx, &key).await.unwrap(), Next::Wait(None));
}
