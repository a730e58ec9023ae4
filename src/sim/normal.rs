//! Normal: what two ends of a story have to have in common, however they came about.

use serde_json::{Map, Value};

use crate::sim::cluster::Cluster;

/// What is compared of a cluster.
const COMPARED: &[&str] = &[
    "rollouts",
    "replicasets",
    "services",
    "httproutes",
    "grpcroutes",
    "kustomizations",
    "ocirepositories",
];
/// Fields that tell when and how often, not what.
const VOLATILE: &[&str] = &[
    "resourceVersion",
    "uid",
    "generation",
    "observedGeneration",
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "clusterIP",
    "clusterIPs",
    "namespace",
];

/// Tells the end state of a cluster without what tells when and how often. Times become `T`.
pub fn normal(cluster: &Cluster) -> Value {
    let mut all = Map::new();
    for resource in COMPARED {
        for (place, object) in cluster.list(resource, None) {
            let name = format!("{}/{}", place.resource, place.name);
            all.insert(name, plain(&object));
        }
    }
    Value::Object(all)
}

/// One object without its volatile fields.
pub fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| !VOLATILE.contains(&key.as_str()));
            let kept = kept.filter(|(key, _)| !blames(fields, key));
            Value::Object(kept.map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::String(text) => Value::String(timeless(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Tells whether a field says what failed in a bake: of several targets that Flux refuses, which is
/// seen first is chance.
fn blames(fields: &Map<String, Value>, key: &str) -> bool {
    let failed = |key: &str| fields.get(key).and_then(Value::as_str) == Some("Failed");
    match key {
        "bakeStatusMessage" => failed("bakeStatus"),
        "message" => failed("status"),
        _ => false,
    }
}

/// `T` in place of a time.
fn timeless(text: &str) -> String {
    let looks = 20 <= text.len() && text.ends_with('Z') && text.contains('T');
    let time = looks && text.parse::<jiff::Timestamp>().is_ok();
    if time { "T".to_owned() } else { text.to_owned() }
}
