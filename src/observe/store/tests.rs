use serde_json::json;

use super::*;
use crate::api::foreign::ReplicaSet;
use crate::api::kind::Kind;

fn set(name: &str, rollout: &str, version: u64) -> ReplicaSet {
    serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": "prod", "uid": "u", "resourceVersion": version.to_string(),
            "labels": {"stairlock.dev/rollout": rollout},
        },
    }))
    .unwrap()
}

fn rollout(name: &str) -> Reference {
    Reference::new(Kind::Rollout, "prod", name)
}

fn named(change: Option<Change>) -> Vec<String> {
    let refs = change.map(|change| change.refs).unwrap_or_default();
    refs.into_iter().map(|reference| reference.key.name).collect()
}

#[test]
fn a_change_tells_what_is_and_was_named() {
    let store: Store<ReplicaSet> = Store::new([None]);
    assert_eq!(named(store.apply(&None, set("a", "shop", 5))), ["shop"]);
    assert_eq!(named(store.apply(&None, set("a", "till", 6))), ["shop", "till"]);
    assert!(store.by(&rollout("shop")).is_empty());
    assert_eq!(store.by(&rollout("till")).len(), 1);
    assert_eq!(named(store.delete(&None, &Key::new("prod", "a"), Some("7"))), ["till"]);
    assert_eq!(store.seen("prod"), 7);
    assert!(!store.names(Kind::Rollout));
}

#[test]
fn an_older_object_never_replaces_a_newer_one() {
    let store: Store<ReplicaSet> = Store::new([None]);
    store.apply(&None, set("a", "shop", 10));
    assert_eq!(store.apply(&None, set("a", "till", 9)), None, "10 is newer than 9");
    assert_eq!(store.apply(&None, set("a", "till", 10)), None, "the same again");
    let again = ReplicaSet {
        metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            uid: Some("v".to_owned()),
            ..set("a", "till", 3).metadata
        },
        ..set("a", "till", 3)
    };
    assert!(store.apply(&None, again).is_some(), "another object of the name");
}

#[test]
fn an_answer_counts_unless_the_watch_has_told_that_the_object_went() {
    let store: Store<ReplicaSet> = Store::new([None]);
    assert!(store.answer(set("a", "shop", 5)).is_some(), "the watch has not told of it yet");
    assert_eq!(store.seen("prod"), 0, "an answer says nothing about other objects");
    let known = |name, version| {
        store.knows(&None, &Key::new("prod", name), &set(name, "shop", version).metadata)
    };
    assert!(!known("a", 4) && !known("a", 6) && !known("b", 5), "another version, another object");
    assert_eq!(store.seen("prod"), 0);
    assert!(known("a", 5), "the watch tells nothing new");
    assert_eq!(store.seen("prod"), 5, "but how far it has told");
    assert_eq!(store.apply(&None, set("a", "shop", 5)), None, "read or not");
    assert!(store.answer(set("a", "till", 7)).is_some());
    store.delete(&None, &Key::new("prod", "a"), Some("8"));
    assert_eq!(store.answer(set("a", "till", 7)), None, "it came and went");
    assert!(store.is_empty());
    assert!(store.answer(set("a", "till", 9)).is_some(), "made anew");
    let other = |version| {
        let mut set = set("a", "shop", version);
        set.metadata.uid = Some("v".to_owned());
        set
    };
    assert!(store.apply(&None, other(12)).is_some());
    assert_eq!(store.answer(set("a", "till", 11)), None, "of one that went before it");
}

#[test]
fn a_list_tells_of_what_is_gone_in_its_scope_only() {
    let scopes = ["prod", "test"].map(|name| Some(name.to_owned()));
    let [prod, test] = &scopes;
    let store: Store<ReplicaSet> = Store::new(scopes.clone());
    store.begin(prod);
    store.list(prod, set("a", "shop", 5));
    store.list(prod, set("b", "shop", 6));
    assert!(store.finish(prod).is_empty());
    assert!(!store.ready());
    store.begin(test);
    assert!(store.finish(test).is_empty(), "the other namespace is not touched");
    assert!(store.ready());
    store.begin(prod);
    store.list(prod, set("b", "shop", 6));
    let gone = store.finish(prod);
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].reference.key.name, "a");
    assert_eq!(store.seen("prod"), 6);
}

#[test]
fn an_object_that_cannot_be_read_is_counted_until_it_can_or_is_gone() {
    let store: Store<ReplicaSet> = Store::new([None]);
    store.apply(&None, set("a", "shop", 5));
    let key = Key::new("prod", "a");
    let (change, first) = store.refuse(&None, key.clone(), Some("6"));
    assert!(change.is_some() && first);
    assert!(!store.refuse(&None, key.clone(), Some("7")).1, "it is told once");
    assert_eq!((store.malformed(), store.seen("prod")), (1, 7));
    store.apply(&None, set("a", "shop", 8));
    assert_eq!(store.malformed(), 0);
    store.refuse(&None, key, Some("9"));
    store.begin(&None);
    store.finish(&None);
    assert_eq!(store.malformed(), 0);
}

#[test]
fn a_list_is_seen_up_to_what_it_held_and_only_at_its_end() {
    let store: Store<ReplicaSet> = Store::new([None]);
    let nowhere = Some(String::new());
    store.begin(&None);
    store.list(&None, set("c", "shop", 5));
    store.apply(&nowhere, set("c", "shop", 9)); // asked for directly, newer than the list
    store.refuse(&None, Key::new("prod", "a"), None);
    assert_eq!(store.seen("prod"), 0, "the pages after it may hold what is older");
    store.list(&None, set("b", "shop", 6));
    assert!(store.finish(&None).is_empty());
    assert_eq!((store.seen("prod"), store.malformed()), (6, 1), "8 may be missing");
}

#[test]
fn a_kind_that_is_not_installed_holds_nobody_up() {
    let store: Store<ReplicaSet> = Store::new([None]);
    assert!(!store.ready());
    store.apply(&None, set("a", "shop", 5));
    assert_eq!(store.vanish().len(), 1);
    assert!(store.ready() && store.absent());
    store.appear();
    assert!(!store.ready(), "until it is listed");
}
