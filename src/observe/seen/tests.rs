//! Which Services a turn is shown.

use serde_json::{Value, json};

use super::*;
use crate::api::keys;
use crate::observe::stores::Reach;

fn rollout(name: &str, service: &str, status: Value) -> Rollout {
    serde_json::from_value(json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": name, "namespace": "prod"},
        "spec": {"selector": {"matchLabels": {}}, "template": {},
            "strategy": {"canary": {"steps": [], "stableService": service}}},
        "status": status,
    }))
    .unwrap()
}

fn service(namespace: &str, name: &str, manager: &str, fields: Value) -> Service {
    let entry = json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1",
        "fieldsV1": fields});
    let meta = json!({"name": name, "namespace": namespace, "managedFields": [entry]});
    serde_json::from_value(json!({"metadata": meta})).unwrap()
}

/// The names of the Services that a turn of `shop` is shown.
fn shown(status: Value, replica_set: bool) -> Vec<String> {
    let stores = Stores::new(Reach::default());
    let selector = || json!({"f:spec": {"f:selector": {}}});
    for (namespace, name, manager, fields) in [
        ("prod", "named", "kubectl", selector()),
        ("prod", "ours", keys::FIELD_MANAGER, selector()),
        ("prod", "ports-only", keys::FIELD_MANAGER, json!({"f:spec": {"f:ports": {}}})),
        ("prod", "a-persons", "kubectl", selector()),
        ("prod", "of-another-rollout", keys::FIELD_MANAGER, selector()),
        ("test", "elsewhere", keys::FIELD_MANAGER, selector()),
    ] {
        stores.services.apply(&None, service(namespace, name, manager, fields));
    }
    if replica_set {
        let meta = json!({"name": "shop-a", "namespace": "prod", "labels": {
            keys::LABEL_ROLLOUT: "shop"}});
        let set = serde_json::from_value(json!({"metadata": meta})).unwrap();
        stores.replica_sets.apply(&None, set);
    }
    stores.rollouts.apply(&None, rollout("cart", "of-another-rollout", Value::Null));
    let rollout = Arc::new(rollout("shop", "named", status));
    let remembered = Remembered {
        template_refused: None,
        pods: None,
        reading: None,
        manifests: Arc::default(),
        sent: BTreeSet::new(),
        refused: None,
        watched_since: Timestamp::from_millis(0),
    };
    let seen = gather(&stores, &rollout, remembered, |_| true);
    seen.services.iter().map(|service| service.metadata.name.clone().unwrap()).collect()
}

#[test]
fn services_that_a_lost_status_forgot_are_found_by_who_wrote_their_selector() {
    let at = "2026-01-01T00:00:00Z";
    let known = json!({"attempt": {"number": 1, "revision": "aaaaaaaaaa", "trigger": "Template",
        "startedAt": at, "enteredAt": at, "stage": "Completed"}});
    for (case, status, replica_set, want) in [
        ("the status is there", known, true, vec!["named"]),
        ("it is lost", Value::Null, true, vec!["named", "ours"]),
        ("all but lost", json!({"phase": "Progressing"}), true, vec!["named", "ours"]),
        ("a Rollout that has made nothing yet", Value::Null, false, vec!["named"]),
    ] {
        assert_eq!(shown(status, replica_set), want, "{case}");
    }
}
