//! The normal form of a state: what is left when all is taken out that differs from run to run.
//!
//! Dropped are resourceVersion, uid, generation, addresses, and how many pods Kubernetes still
//! ends; all points in time are one, so that it still shows whether there is one. Events are no
//! part of a state. Names that follow from the namespace are named by what they stand for.

use serde_json::{Map, Value, json};

use crate::support::json::{list, text};

/// Fields that differ from run to run.
const VOLATILE: &[&str] = &[
    "resourceVersion",
    "uid",
    "generation",
    "observedGeneration",
    "clusterIP",
    "clusterIPs",
    "terminatingReplicas", // pods of Kubernetes that still end
    "f:terminatingReplicas",
    "digest", // what a registry tells of an image comes when it comes
    "f:digest",
];

/// Names of one run by what they stand for.
pub struct Names(Vec<(String, String)>);

impl Names {
    /// The names of a namespace and of the revisions that ever were in it, as their ReplicaSets.
    pub fn new(namespace: &str, sets: &[Value]) -> Self {
        let mut names: Vec<(String, String)> = Vec::new();
        for set in sets {
            let revision = text(set, "/metadata/labels/stairlock.dev~1revision");
            let image = text(set, "/spec/template/spec/containers/0/image");
            let tag = image.rsplit(':').next().unwrap_or_default();
            names.push((revision.to_owned(), format!("<{tag}>")));
        }
        names.push((namespace.to_owned(), "<namespace>".to_owned()));
        Self(names)
    }

    /// And those of revisions without a ReplicaSet, by the versions of their releases.
    pub fn and_of(mut self, history: &[Value]) -> Self {
        let of = |entry: &Value| {
            let version = format!("<{}>", text(entry, "/release/version"));
            (text(entry, "/revision").to_owned(), version)
        };
        self.0.splice(0..0, history.iter().map(of));
        self
    }

    /// A text with these names.
    pub fn put(&self, text: &str) -> String {
        let names = self.0.iter().filter(|(name, _)| !name.is_empty());
        names.fold(text.to_owned(), |text, (name, place)| text.replace(name, place))
    }
}

/// The normal form of a state, as text.
pub fn normal(state: &Value, names: &Names) -> String {
    let mut text = strip(state).to_string();
    for uid in uids(state) {
        text = text.replace(&uid, "<uid>"); // keys of managedFields hold those of owners
    }
    let state: Value = serde_json::from_str(&names.put(&text)).unwrap();
    serde_json::to_string_pretty(&sort(state)).unwrap()
}

/// The lines in which two texts differ.
pub fn differences(got: &str, want: &str) -> Vec<String> {
    let all: Vec<&str> = want.lines().collect();
    let more = got.lines().filter(|line| !all.contains(line)).map(|line| format!("+ {line}"));
    let all: Vec<&str> = got.lines().collect();
    let less = want.lines().filter(|line| !all.contains(line)).map(|line| format!("- {line}"));
    let mut lines: Vec<String> = more.chain(less).collect();
    if lines.is_empty() && got != want {
        lines.push("the same lines in another order or number".to_owned());
    }
    lines
}

/// A value without what differs from run to run; points in time are all one.
fn strip(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| !VOLATILE.contains(&key.as_str()));
            let fields = fields.map(|(key, value)| (key.clone(), strip(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(strip).collect()),
        Value::String(text) if moment(text) => json!("<time>"),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// All uids in a value.
fn uids(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("uid").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(uids)).collect()
        }
        Value::Array(items) => items.iter().flat_map(uids).collect(),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => Vec::new(),
    }
}

/// A state whose objects stand in the order of their names, and whose managers too.
fn sort(mut state: Value) -> Value {
    let groups = state.as_object_mut().into_iter().flat_map(|fields| fields.values_mut());
    for group in groups {
        let objects = match group.is_array() {
            true => group.as_array_mut().into_iter().flatten().collect(),
            false => vec![group],
        };
        for object in objects {
            let managers = object.pointer_mut("/metadata/managedFields");
            let managers = managers.and_then(Value::as_array_mut);
            managers.into_iter().for_each(|managers| managers.sort_by_key(Value::to_string));
        }
    }
    for list in state.as_object_mut().unwrap().values_mut().filter_map(Value::as_array_mut) {
        list.sort_by_key(|object| text(object, "/metadata/name").to_owned());
    }
    state
}

/// Whether a text is a point in time, as RFC 3339 writes it.
fn moment(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && text.ends_with('Z')
}

#[test]
fn what_differs_from_run_to_run_is_taken_out_and_nothing_else() {
    let state = |namespace: &str, uid: &str, revision: &str, time: &str, replicas: i64| {
        let set = json!({
            "metadata": {"name": format!("shop-{revision}"), "namespace": namespace, "uid": "9",
                "labels": {"stairlock.dev/revision": revision},
                "ownerReferences": [{"uid": uid}], "managedFields": [
                    {"manager": "b", "time": time},
                    {"manager": "a", "fieldsV1": {format!("k:{{\"uid\":\"{uid}\"}}"): {}}}]},
            "spec": {"replicas": replicas, "since": time,
                "template": {"spec": {"containers": [{"image": format!("{namespace}:1")}]}}},
        });
        let sets = vec![set];
        let names = Names::new(namespace, &sets);
        normal(&json!({"sets": sets}), &names)
    };
    let one = state("story-1", "aaaa-1", "c0ffee", "2026-01-01T00:00:00Z", 1);
    let same = state("story-2", "bbbb-2", "facade", "2026-01-01T00:00:01.5Z", 1);
    let other = state("story-2", "bbbb-2", "facade", "2026-01-01T00:00:01.5Z", 2);
    assert_eq!(one, same);
    assert_eq!(differences(&other, &one).len(), 2);
    assert_eq!(list(&serde_json::from_str(&one).unwrap(), "/sets").len(), 1);
}
