use std::time::Duration;

use serde_json::json;

use super::*;
use crate::api::kind::Kind;
use crate::observe::barrier::{Gate, View};

fn rollout(uid: &str, generation: i64, image: &str) -> Rollout {
    serde_json::from_value(json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "prod", "uid": uid, "generation": generation},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"spec": {"containers": [{"name": "app", "image": image}]}},
            "strategy": {"canary": {"steps": []}},
        },
    }))
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stands_until_something_changes() {
    let start = Instant::now();
    let target = Reference::new(Kind::Service, "prod", "shop");
    let seen = rollout("u", 1, "shop:1");
    let mut relabelled = rollout("u", 1, "shop:1");
    relabelled.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
    let mut stored = rollout("u", 1, "shop:1");
    stored.metadata.resource_version = Some("99".to_owned());
    for (case, then, version, secs, want) in [
        ("nothing changed", &seen, Some(7), 9, true),
        ("status was stored", &stored, Some(7), 9, true),
        ("a person changed the spec", &rollout("u", 2, "shop:2"), Some(7), 9, false),
        ("a person gave a command", &relabelled, Some(7), 9, false),
        ("the object changed", &seen, Some(8), 9, false),
        ("the object is gone", &seen, None, 9, false),
        ("its time is over at its end", &seen, Some(7), 10, false),
    ] {
        let mut memory = Memory::default();
        let until = start + Duration::from_secs(10);
        memory.refuse(&seen, target.clone(), "no".to_owned(), Some(7), until);
        assert_eq!(memory.due(), Some(until));
        let now = start + Duration::from_secs(secs);
        assert_eq!(memory.refusal(then, |_| version, now).is_some(), want, "{case}");
        assert_eq!(memory.due().is_some(), want, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_template_is_asked_about_once() {
    let start = Instant::now();
    let later = start + Duration::from_secs(300);
    let mut memory = Memory::default();
    let first = rollout("u", 1, "shop:1");
    let Verdict::Unknown(id) = memory.template(&first, start) else { panic!("not asked yet") };
    memory.checked(&first, id, None, later);
    assert_eq!(memory.template(&first, later), Verdict::Known(None), "for ever");
    assert_eq!(memory.template(&rollout("u", 2, "shop:1"), start), Verdict::Known(None));
    let Verdict::Unknown(id) = memory.template(&rollout("u", 3, "shop:2"), start) else {
        panic!("another template")
    };
    memory.checked(&rollout("u", 3, "shop:2"), id, Some("no".to_owned()), later);
    let again = |memory: &mut Memory, now| memory.template(&rollout("u", 3, "shop:2"), now);
    assert_eq!(again(&mut memory, start), Verdict::Known(Some("no".to_owned())));
    assert_eq!(again(&mut memory, later), Verdict::Unknown(id), "a refusal is asked about again");
}

#[tokio::test(start_paused = true)]
async fn a_cut_write_is_asked_for_and_another_rollout_starts_afresh() {
    let target = Reference::new(Kind::ReplicaSet, "prod", "shop-1");
    let mut memory = Memory::default();
    memory.meet(&rollout("u", 1, "shop:1"));
    memory.depart(target.clone());
    memory.crash(Instant::now());
    let nothing = |_: &Reference| View { version: None, seen: 0 };
    assert_eq!(memory.barrier.look(nothing, Instant::now()), Gate::Ask(target));
    memory.meet(&rollout("v", 1, "shop:1"));
    assert_eq!(memory.barrier.look(nothing, Instant::now()), Gate::Open);
    memory.depart(Reference::new(Kind::ReplicaSet, "prod", "shop-2"));
    memory.land();
    memory.crash(Instant::now());
    assert_eq!(memory.barrier.look(nothing, Instant::now()), Gate::Open);
}
