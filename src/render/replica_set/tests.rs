use super::*;

fn owner() -> Owner {
    Owner { namespace: "prod".into(), name: "shop".into(), uid: "u1".into() }
}

fn target() -> Target {
    Target { name: "shop-b6a05ce3fb".into(), uid: "u2".into(), resource_version: "41".into() }
}

fn selector() -> BTreeMap<String, String> {
    BTreeMap::from([("app".to_owned(), "shop".to_owned())])
}

fn reference() -> Value {
    json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout", "name": "shop", "uid": "u1",
        "controller": true, "blockOwnerDeletion": true,
    })
}

#[test]
fn a_replica_set_carries_the_template_as_written_and_as_run() {
    let revision = Revision::parse("b6a05ce3fb").unwrap();
    let written = json!({
        "metadata": {"labels": {"app": "shop", "tier": "web"}, "annotations": {"a": "b"}},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    });
    let birth = Birth {
        revision: &revision,
        attempt: 7,
        replicas: 2,
        min_ready_secs: 10,
        selector: &selector(),
        template: &written,
    };
    let labels = json!({
        "app": "shop", "tier": "web",
        "stairlock.dev/rollout": "shop", "stairlock.dev/revision": "b6a05ce3fb",
    });
    let golden = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": "shop-b6a05ce3fb",
            "namespace": "prod",
            "labels": labels,
            "annotations": {
                "stairlock.dev/template": written.to_string(),
                "stairlock.dev/attempt": "7",
            },
            "ownerReferences": [reference()],
        },
        "spec": {
            "replicas": 2,
            "minReadySeconds": 10,
            "selector": {"matchLabels": {"app": "shop", "stairlock.dev/revision": "b6a05ce3fb"}},
            "template": {
                "metadata": {"labels": labels, "annotations": {"a": "b"}},
                "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
            },
        },
    });
    assert_eq!(create(&owner(), &birth), golden);
}

#[test]
fn patches_fail_at_another_resource_version() {
    let version = json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "41"});
    let replicas = json!({"op": "add", "path": "/spec/replicas", "value": 3});
    let ready = json!({"op": "add", "path": "/spec/minReadySeconds", "value": 0});
    let mark = json!({
        "op": "add", "path": "/metadata/annotations/stairlock.dev~1quarantined", "value": "7",
    });
    let used = json!({
        "op": "add", "path": "/metadata/annotations/stairlock.dev~1attempt", "value": "9",
    });
    let failed = Marks { quarantine: Some(7), attempt: None };
    let again = Marks { quarantine: None, attempt: Some(9) };
    let none = json!({"op": "test", "path": "/metadata/ownerReferences", "value": null});
    let ours = json!({"op": "add", "path": "/metadata/ownerReferences", "value": [reference()]});
    for (case, patch, golden) in [
        ("resize", resize(&target(), 3, 0, Marks::default()), json!([version, replicas, ready])),
        ("quarantine", resize(&target(), 3, 0, failed), json!([version, replicas, ready, mark])),
        ("reuse", resize(&target(), 3, 0, again), json!([version, replicas, ready, used])),
        ("adopt", adopt(&owner(), &target()), json!([version, none, ours])),
    ] {
        assert_eq!(serde_json::to_value(patch).unwrap(), golden, "{case}");
    }
}

#[test]
fn a_template_has_to_fit_into_an_annotation() {
    let template = |room: usize| {
        let empty = json!({"spec": ""}).to_string().len();
        json!({"spec": "x".repeat(room - empty)})
    };
    assert_eq!(too_large(&template(TEMPLATE_MAX)), None);
    let why = too_large(&template(TEMPLATE_MAX + 1)).unwrap();
    assert!(why.ends_with("spec.template takes 261121 bytes as JSON, of at most 261120"), "{why}");
}
