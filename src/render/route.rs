//! Routes: those that the Rollout makes; of all, the weights of our two backends, in place, and the
//! rules of an experiment, one by one. Never the list of rules or of backends.

use json_patch::Patch;
use serde_json::{Value, json};

use crate::api::keys;
use crate::model::moves::{FieldEdit, NewRule, RuleAt, Target, WeightEdit};
use crate::model::spec::{NewRoute, RouteKind};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::render::owner::Owner;
use crate::render::patch::Edit;

/// Makes the body of a new route: all traffic goes to the first Service.
pub fn create(
    owner: &Owner,
    kind: RouteKind,
    asked: &NewRoute,
    (services, port): (&[String; 2], u16),
) -> Value {
    let [stable, canary] = services;
    let backend =
        |name: &String, weight: u32| json!({"name": name, "port": port, "weight": weight});
    let split = (100, 0);
    #[cfg(feature = "planted")]
    let split = if active(Bug::RouteBornSplit) { (50, 50) } else { split };
    let mut spec = json!({
        "parentRefs": asked.parents,
        "rules": [{"backendRefs": [backend(stable, split.0), backend(canary, split.1)]}],
    });
    if let Some(spec) = spec.as_object_mut().filter(|_| !asked.hostnames.is_empty()) {
        spec.insert("hostnames".to_owned(), json!(asked.hostnames));
    }
    json!({
        "apiVersion": format!("{}/v1", keys::GATEWAY_GROUP),
        "kind": kind.as_str(),
        "metadata": {
            "name": owner.name,
            "namespace": owner.namespace,
            "labels": {keys::LABEL_ROLLOUT: owner.name},
            "ownerReferences": [owner.reference()],
        },
        "spec": spec,
    })
}

/// Brings fields of a route to what they are to be. What stood there has to stand there still.
pub fn set_fields(target: &Target, edits: &[FieldEdit]) -> Patch {
    let begun = Edit::at(&target.resource_version);
    let all = edits.iter().fold(begun, |patch, FieldEdit { field, from, to }| {
        let path = ["spec", field];
        let patch = from.iter().fold(patch, |patch, from| patch.test(&path, from.clone()));
        match to {
            Some(to) => patch.add(&path, to.clone()),
            None => patch.remove(&path),
        }
    });
    all.done()
}

/// Sets weights. The backend has to stand where it stood, by name.
pub fn set_weights(target: &Target, edits: &[WeightEdit]) -> Patch {
    let begun = Edit::at(&target.resource_version);
    let all = edits.iter().fold(begun, |patch, edit| {
        let (rule, backend) = (edit.rule.to_string(), edit.backend.to_string());
        let path = |field| ["spec", "rules", rule.as_str(), "backendRefs", backend.as_str(), field];
        #[cfg(feature = "planted")]
        if active(Bug::ZeroOmitted) && edit.weight == 0 {
            return patch.test(&path("name"), edit.service.as_str());
        }
        #[cfg(feature = "planted")]
        if active(Bug::RuleListReplaced) {
            let list = ["spec", "rules", rule.as_str(), "backendRefs"];
            return patch.add(&list, replaced(edits));
        }
        // `add` on a member sets it whether or not it is there: a route may have no weights.
        patch.test(&path("name"), edit.service.as_str()).add(&path("weight"), edit.weight)
    });
    all.done()
}

/// Takes rules out and puts others in. What is taken out has to stand there, and so has each rule
/// that another one is put in front of.
pub fn set_rules(target: &Target, out: &[RuleAt], into: &[NewRule]) -> Patch {
    let begun = Edit::at(&target.resource_version);
    // From the last one on, so that the places of the others stay.
    let emptied = out.iter().rev().fold(begun, |patch, RuleAt { index, rule }| {
        let index = index.to_string();
        let path = ["spec", "rules", index.as_str()];
        patch.test(&path, rule.clone()).remove(&path)
    });
    let all = into.iter().fold(emptied, |patch, NewRule { index, rule, of }| {
        let index = index.to_string();
        let path = ["spec", "rules", index.as_str()];
        patch.test(&path, of.clone()).add(&path, rule.clone())
    });
    all.done()
}

#[cfg(feature = "planted")]
fn replaced(edits: &[WeightEdit]) -> serde_json::Value {
    let backend =
        |edit: &WeightEdit| serde_json::json!({"name": edit.service, "weight": edit.weight});
    edits.iter().map(backend).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_route_has_all_traffic_on_stable() {
        let owner = Owner { namespace: "prod".into(), name: "shop".into(), uid: "u1".into() };
        let asked = NewRoute { parents: vec![json!({"name": "gw"})], hostnames: vec!["a".into()] };
        let services = ["stable".to_owned(), "canary".to_owned()];
        let golden = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GRPCRoute",
            "metadata": {
                "name": "shop",
                "namespace": "prod",
                "labels": {"stairlock.dev/rollout": "shop"},
                "ownerReferences": [owner.reference()],
            },
            "spec": {
                "parentRefs": [{"name": "gw"}],
                "hostnames": ["a"],
                "rules": [{"backendRefs": [
                    {"name": "stable", "port": 80, "weight": 100},
                    {"name": "canary", "port": 80, "weight": 0},
                ]}],
            },
        });
        let made = create(&owner, RouteKind::Grpc, &asked, (&services, 80));
        assert_eq!(made, golden);
        let bare = NewRoute { hostnames: Vec::new(), ..asked };
        let made = create(&owner, RouteKind::Http, &bare, (&services, 80));
        assert_eq!(made["spec"].get("hostnames"), None);
    }

    #[test]
    fn fields_are_set_where_they_are_as_they_were_seen() {
        let target = Target { name: "shop".into(), uid: "u".into(), resource_version: "7".into() };
        let edit = |field, from: Value, to: Value| {
            let some = |value: Value| Some(value).filter(|value| !value.is_null());
            FieldEdit { field, from: some(from), to: some(to) }
        };
        let edits = [
            edit("parentRefs", json!(["old"]), json!(["new"])),
            edit("hostnames", json!(["a"]), json!(null)),
            edit("hostnames", json!(null), json!(["b"])),
        ];
        let golden = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "test", "path": "/spec/parentRefs", "value": ["old"]},
            {"op": "add", "path": "/spec/parentRefs", "value": ["new"]},
            {"op": "test", "path": "/spec/hostnames", "value": ["a"]},
            {"op": "remove", "path": "/spec/hostnames"},
            {"op": "add", "path": "/spec/hostnames", "value": ["b"]},
        ]);
        assert_eq!(serde_json::to_value(set_fields(&target, &edits)).unwrap(), golden);
    }

    #[test]
    fn weights_are_set_where_the_backends_stand() {
        let target = Target { name: "shop".into(), uid: "u".into(), resource_version: "7".into() };
        let edit = |rule, backend, service: &str, weight| WeightEdit {
            rule,
            backend,
            service: service.to_owned(),
            weight,
        };
        let patch = set_weights(&target, &[edit(1, 0, "stable", 80), edit(1, 2, "canary", 20)]);
        let golden = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "test", "path": "/spec/rules/1/backendRefs/0/name", "value": "stable"},
            {"op": "add", "path": "/spec/rules/1/backendRefs/0/weight", "value": 80},
            {"op": "test", "path": "/spec/rules/1/backendRefs/2/name", "value": "canary"},
            {"op": "add", "path": "/spec/rules/1/backendRefs/2/weight", "value": 20},
        ]);
        assert_eq!(serde_json::to_value(patch).unwrap(), golden);
    }

    #[test]
    fn rules_are_taken_out_from_the_end_and_put_in_before_their_own() {
        let target = Target { name: "shop".into(), uid: "u".into(), resource_version: "7".into() };
        let old = |index| RuleAt { index, rule: json!({"old": index}) };
        let new = |index, of: &str| NewRule { index, rule: json!({"new": of}), of: json!(of) };
        let patch = set_rules(&target, &[old(0), old(2)], &[new(0, "a"), new(3, "b")]);
        let golden = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "test", "path": "/spec/rules/2", "value": {"old": 2}},
            {"op": "remove", "path": "/spec/rules/2"},
            {"op": "test", "path": "/spec/rules/0", "value": {"old": 0}},
            {"op": "remove", "path": "/spec/rules/0"},
            {"op": "test", "path": "/spec/rules/0", "value": "a"},
            {"op": "add", "path": "/spec/rules/0", "value": {"new": "a"}},
            {"op": "test", "path": "/spec/rules/3", "value": "b"},
            {"op": "add", "path": "/spec/rules/3", "value": {"new": "b"}},
        ]);
        assert_eq!(serde_json::to_value(patch).unwrap(), golden);
    }
}
