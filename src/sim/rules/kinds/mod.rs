//! Kinds: what the API server makes of objects of its built-in kinds, and which it refuses.

pub mod config_map;
pub mod event;
pub mod lease;
pub mod parts;
pub mod pod;
pub mod replica_set;
pub mod service;
pub mod slice;

use serde_json::{Value, json};

use crate::sim::rules::metadata;
use crate::sim::rules::problem::Problem;
use parts::put;

/// Gives an object of a resource (its plural) what nobody gave. Owned by who writes the object.
pub fn fill(plural: &str, object: &mut Value) {
    match plural {
        "pods" => pod::fill_pod(object),
        "leases" => parts::micro(object, &["/spec/acquireTime", "/spec/renewTime"]),
        "events" => parts::micro(object, &["/eventTime", "/series/lastObservedTime"]),
        "replicasets" => replica_set::fill(object),
        "services" => service::fill(object),
        "endpointslices" => slice::fill(object),
        _ => {}
    }
}

/// Gives a new object what the server alone gives. Nobody owns it. `number` is another one for
/// each object.
pub fn begin(plural: &str, object: &mut Value, number: u64) {
    match plural {
        "pods" => pod::begin(object),
        "replicasets" => put(object, "status", json!({"replicas": 0})),
        "services" => service::begin(object, number),
        "endpointslices" => slice::begin(object),
        _ => {}
    }
}

/// Gives a changed object what the server alone gives.
pub fn go_on(plural: &str, before: &Value, after: &mut Value, number: u64) {
    match plural {
        "services" => service::go_on(before, after, number),
        "endpointslices" => slice::begin(after),
        _ => {}
    }
}

/// Makes of an object in which nothing is said what the server shows of it.
pub fn blank(plural: &str, object: &mut Value) {
    if let (true, Some(spec)) = (plural == "replicasets", object.get_mut("spec")) {
        put(spec, "replicas", json!(0));
    }
}

/// Tells what is wrong with a new object.
pub fn check(plural: &str, object: &Value) -> Vec<Problem> {
    let mut all = metadata::check(object);
    all.extend(match plural {
        "configmaps" => config_map::check(object),
        "pods" => pod::check(object),
        "replicasets" => replica_set::check(object),
        "services" => service::check(object),
        "leases" => lease::check(object),
        "endpointslices" => slice::check(object),
        "events" => event::check(object),
        _ => Vec::new(),
    });
    all
}

/// Tells what is wrong with a change of an object.
pub fn check_change(plural: &str, before: &Value, after: &Value) -> Vec<Problem> {
    let mut all = metadata::check_change(before, after);
    all.extend(match plural {
        "configmaps" => config_map::check_change(before, after),
        "replicasets" => replica_set::check_change(before, after),
        "services" => service::check_change(before, after),
        "leases" => lease::check(after),
        "endpointslices" => slice::check_change(before, after),
        "events" => event::check_change(before, after),
        _ => Vec::new(),
    });
    all
}

/// Tells what is wrong with a change of a status.
pub fn check_status(plural: &str, before: &Value, after: &Value) -> Vec<Problem> {
    let mut all = metadata::check_change(before, after);
    if plural == "replicasets" {
        all.extend(replica_set::check_status(after));
    }
    all
}

/// Tells what the server warns of although it takes the object.
pub fn warnings(plural: &str, object: &Value) -> Vec<String> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    if ["pods", "replicasets"].contains(&plural) && name.contains('.') {
        let why = "metadata.name: this is used in Pod names and hostnames, which can result in \
            surprising behavior; a DNS label is recommended: [must not contain dots]";
        return vec![why.to_owned()];
    }
    Vec::new()
}
