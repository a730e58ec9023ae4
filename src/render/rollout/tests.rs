use serde_json::Value;

use super::*;
use crate::model::command::Command;

fn rollout(meta: Value) -> Rollout {
    let mut all = json!({"name": "shop", "namespace": "prod", "resourceVersion": "5"});
    let more = meta.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    serde_json::from_value(json!({
        "apiVersion": "stairlock.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": all,
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"spec": {"containers": [{"name": "app"}]}},
            "strategy": {"canary": {"steps": [{"setWeight": 50}]}},
        },
    }))
    .unwrap()
}

fn version() -> Value {
    json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "5"})
}

#[track_caller]
fn same(patch: impl serde::Serialize, golden: Value) {
    assert_eq!(serde_json::to_value(patch).unwrap(), golden);
}

#[test]
fn status_is_stored_whole_at_the_version_seen() {
    let add = json!({"op": "add", "path": "/status", "value": {"phase": "Paused"}});
    same(status(&rollout(json!({})), &json!({"phase": "Paused"})), json!([version(), add]));
}

#[test]
fn images_are_set_in_their_containers() {
    let edit = |init, container: &str| ImageEdit {
        init,
        index: 1,
        container: container.to_owned(),
        image: "shop:2".to_owned(),
    };
    let patch = set_images(&rollout(json!({})), &[edit(false, "app"), edit(true, "init")]);
    let (main, init) = ("/spec/template/spec/containers/1", "/spec/template/spec/initContainers/1");
    let golden = json!([
        version(),
        {"op": "test", "path": format!("{main}/name"), "value": "app"},
        {"op": "add", "path": format!("{main}/image"), "value": "shop:2"},
        {"op": "test", "path": format!("{init}/name"), "value": "init"},
        {"op": "add", "path": format!("{init}/image"), "value": "shop:2"},
    ]);
    same(patch, golden);
}

#[test]
fn commands_become_one_token() {
    let asked = rollout(json!({"annotations": {"stairlock.dev/promote": "true"}}));
    let token = Token { command: Command::Promote, attempt: 7, step: 2 };
    let remove = ["stairlock.dev/promote".to_owned(), "kulta.io/promote".to_owned()];
    let gone = json!({"op": "remove", "path": "/metadata/annotations/stairlock.dev~1promote"});
    let path = "/metadata/annotations/stairlock.dev~1accepted";
    let stored = json!({"op": "add", "path": path, "value": "promote 7/2"});
    let empty = json!({"op": "add", "path": "/metadata/annotations", "value": {}});
    same(take_commands(&asked, &remove, Some(token)), json!([version(), gone, stored]));
    same(take_commands(&asked, &remove, None), json!([version(), gone]));
    let plain = rollout(json!({}));
    same(take_commands(&plain, &[], Some(token)), json!([version(), empty, stored]));
}

#[test]
fn the_finalizer_stands_beside_others() {
    let with = |names: Value| rollout(json!({"finalizers": names}));
    let ours = "stairlock.dev/restore";
    let list = json!({"op": "add", "path": "/metadata/finalizers", "value": [ours]});
    let last = json!({"op": "add", "path": "/metadata/finalizers/-", "value": ours});
    let test = json!({"op": "test", "path": "/metadata/finalizers/1", "value": ours});
    let remove = json!({"op": "remove", "path": "/metadata/finalizers/1"});
    for (case, rollout, present, golden) in [
        ("first", rollout(json!({})), true, Some(json!([version(), list]))),
        ("second", with(json!(["a"])), true, Some(json!([version(), last]))),
        ("there", with(json!([ours])), true, None),
        ("removed", with(json!(["a", ours])), false, Some(json!([version(), test, remove]))),
        ("gone", with(json!(["a"])), false, None),
    ] {
        let patch = finalizer(&rollout, present).map(|p| serde_json::to_value(p).unwrap());
        assert_eq!(patch, golden, "{case}");
    }
}
