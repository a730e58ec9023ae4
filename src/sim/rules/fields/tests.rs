use serde_json::json;

use super::*;

fn set(value: Value) -> Fields {
    Fields::from_json(&value).unwrap()
}

#[test]
fn a_set_is_read_and_written_as_fields_v1() {
    for value in [
        json!({}),
        json!({"f:data": {".": {}, "f:a": {}}}),
        json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:port": {}}}}}),
        json!({"f:metadata": {"f:finalizers": {"v:\"a/b\"": {}}}}),
    ] {
        assert_eq!(json!(set(value.clone())), value);
    }
    for garbage in [json!([]), json!({"data": {}}), json!({"f:a": 1}), json!({"f:a": {"x": {}}})] {
        assert_eq!(Fields::from_json(&garbage), None, "{garbage}");
    }
}

#[test]
fn sets_are_joined_cut_and_compared() {
    let all = json!({"f:a": {".": {}, "f:x": {}, "f:y": {}}, "f:b": {}});
    let some = json!({"f:a": {"f:x": {}}, "f:c": {}});
    let mut union = set(all.clone());
    union.add(set(some.clone()));
    let joined = json!({"f:a": {".": {}, "f:x": {}, "f:y": {}}, "f:b": {}, "f:c": {}});
    assert_eq!(json!(union), joined);
    let mut rest = set(all.clone());
    rest.subtract(&set(some.clone()));
    assert_eq!(json!(rest), json!({"f:a": {".": {}, "f:y": {}}, "f:b": {}}));
    rest.subtract(&set(json!({"f:a": {}})));
    assert_eq!(json!(rest), json!({"f:a": {"f:y": {}}, "f:b": {}}), "what is below stays");
    rest.cut(&set(json!({"f:a": {}})));
    assert_eq!(json!(rest), json!({"f:b": {}}), "what is below goes too");
    let shared = set(all.clone()).shared(&set(some.clone()));
    assert_eq!(json!(shared), json!({"f:a": {"f:x": {}}}));
    for (one, other, meets, covers) in [
        (all.clone(), some.clone(), true, false),
        (joined.clone(), some, true, true),
        (json!({"f:a": {"f:x": {}}}), json!({"f:a": {}}), false, false),
        (all, json!({}), false, true),
    ] {
        let (one, other) = (set(one), set(other));
        assert_eq!((one.meets(&other), one.covers(&other)), (meets, covers), "{one:?} {other:?}");
    }
}

#[test]
fn paths_are_spelled_as_conflicts_spell_them() {
    let set = set(json!({
        "f:data": {"f:a": {}},
        "f:metadata": {"f:finalizers": {".": {}, "v:\"a/b\"": {}}},
        "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:port": {}}}},
    }));
    let want = [
        ".data.a",
        ".metadata.finalizers",
        ".metadata.finalizers[=\"a/b\"]",
        ".spec.ports[port=80,protocol=\"TCP\"].port",
    ];
    assert_eq!(set.paths(), want);
}
