use super::*;

#[test]
fn a_new_service_selects_one_revision() {
    let owner = Owner { namespace: "prod".into(), name: "shop".into(), uid: "u1".into() };
    let revision = Revision::parse("b6a05ce3fb").unwrap();
    let birth = Birth {
        name: "shop-canary",
        revision: &revision,
        selector: &BTreeMap::from([("app".to_owned(), "shop".to_owned())]),
        port: 80,
        target_port: 8080,
    };
    let golden = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "shop-canary",
            "namespace": "prod",
            "labels": {"stairlock.dev/rollout": "shop"},
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            "selector": {"app": "shop", "stairlock.dev/revision": "b6a05ce3fb"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    });
    assert_eq!(create(&owner, &birth), golden);
}

#[test]
fn one_key_of_the_selector_is_written() {
    let target = Target { name: "shop".into(), uid: "u".into(), resource_version: "9".into() };
    let (old, new) = (Revision::parse("aaaaaaaaaa"), Revision::parse("bbbbbbbbbb"));
    let version = json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "9"});
    let path = "/spec/selector/stairlock.dev~1revision";
    let test = json!({"op": "test", "path": path, "value": "aaaaaaaaaa"});
    let add = json!({"op": "add", "path": path, "value": "bbbbbbbbbb"});
    let remove = json!({"op": "remove", "path": path});
    for (case, from, to, golden) in [
        ("first", None, new.as_ref(), json!([version, add])),
        ("switch", old.as_ref(), new.as_ref(), json!([version, test, add])),
        ("release", old.as_ref(), None, json!([version, test, remove])),
        ("nothing", None, None, json!([version])),
    ] {
        let patch = serde_json::to_value(select(&target, from, to)).unwrap();
        assert_eq!(patch, golden, "{case}");
    }
}

#[test]
fn a_port_is_added_to_those_there_are() {
    let target = Target { name: "shop".into(), uid: "u".into(), resource_version: "9".into() };
    let golden = json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "9"},
        {"op": "add", "path": "/spec/ports/-",
            "value": {"name": "port-9090", "port": 9090, "targetPort": 8080}},
    ]);
    assert_eq!(serde_json::to_value(add_port(&target, 9090, 8080)).unwrap(), golden);
}
