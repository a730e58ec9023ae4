//! Turns against a far end that answers like an API server.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::controller::fixture;
use crate::observe::barrier::Expect;
use crate::observe::stores::{Reach, Stores};

/// A process that leads, whose API server gives one answer to everything.
fn context(stores: Stores, code: u16, answer: Value) -> Context {
    fixture::context(stores, move |_| (code, answer.clone()))
}

/// Rollouts that share their Services.
fn stores(names: &[&str]) -> Stores {
    let stores = Stores::new(Reach::default());
    stores.gates.finish(&None);
    // A cluster without Flux.
    stores.repositories.vanish();
    stores.kustomizations.vanish();
    for name in names {
        let rollout = json!({
            "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": name, "namespace": "prod", "uid": name, "resourceVersion": "5"},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"spec": {"containers": [{"name": "app", "image": "shop:1"}]}},
                "strategy": {"canary": {
                    "steps": [], "stableService": "stable", "canaryService": "canary"}},
            },
        });
        stores.rollouts.apply(&None, serde_json::from_value(rollout).unwrap());
    }
    stores
}

#[tokio::test]
async fn what_is_asked_for_and_gone_is_forgotten_and_told_to_others() {
    let missing = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"});
    let ctx = context(stores(&["shop", "till"]), 404, missing);
    let (shop, till) = (Key::new("prod", "shop"), Key::new("prod", "till"));
    let now = ctx.clock.monotonic();
    let own = Reference { kind: Kind::Rollout, key: shop.clone() };
    let rollout = ctx.stores.rollouts.get(&shop).unwrap();
    ctx.remember(&shop, |memory| {
        memory.meet(&rollout);
        memory.barrier.expect(own, Expect::Asked, now);
    });
    ctx.metrics.show("prod", "shop", Stand { phase: "Completed", ..Stand::default() });

    assert_eq!(reconcile(&shop, &ctx).await.unwrap(), Next::Wait(None));

    // The watch tells of the deletion later, when the store does not hold it any more.
    assert_eq!(ctx.stores.rollouts.delete(&None, &shop, Some("6")), None);
    let due: Vec<Key> = std::iter::from_fn(|| ctx.queue.pop(ctx.clock.monotonic())).collect();
    assert_eq!(due, [shop, till], "the other may use the Services");
    assert!(!ctx.metrics.encode().unwrap().contains("Completed"), "shown no more");
}

#[tokio::test]
async fn what_people_were_told_is_stored_in_the_same_turn_unless_the_rollout_is_another() {
    let (asked, shop) = (Arc::new(Mutex::new(Vec::new())), Key::new("prod", "shop"));
    let (heard, stores) = (Arc::clone(&asked), stores(&["shop"]));
    let rollout = stores.rollouts.get(&shop).unwrap();
    let at = |version: &str| {
        let mut object = Rollout::clone(&rollout);
        object.metadata.resource_version = Some(version.to_owned());
        // It cannot be used, which its status does not say yet.
        object.spec.template = json!({"spec": {"containers": [{"name": "app"}]}});
        object
    };
    let answer = json!(at("8"));
    let ctx = fixture::context(stores, move |request| {
        heard.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
        (200, answer.clone())
    });
    let due = ctx.clock.monotonic();
    let mut went_on = Vec::new();
    for version in ["6", "7"] {
        ctx.stores.rollouts.apply(&None, at(version));
        let there = ctx.stores.rollouts.get(&shop).unwrap();
        let known = validate(&observe(&ctx, &shop, &there).await.unwrap());
        if version == "6" {
            ctx.stores.rollouts.apply(&None, at("7"));
        }
        let next = told(&ctx, &shop, &there, known, due).await.unwrap();
        went_on.push((next == Next::Moved(due), std::mem::take(&mut *asked.lock().unwrap())));
    }
    let path = "/apis/stairlock.dev/v1alpha1/namespaces/prod/rollouts/shop/status";
    assert_eq!(went_on, [(true, vec![]), (false, vec![format!("PATCH {path}")])]);
}
