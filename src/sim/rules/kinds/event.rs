//! Events: what they have to tell, and that they do not change.

use serde_json::{Value, json};

use crate::sim::rules::kinds::parts::text;
use crate::sim::rules::metadata::invalid;
use crate::sim::rules::names;
use crate::sim::rules::problem::Problem;

/// Limits of texts, in bytes.
const LIMITS: &[(&str, &str, usize)] = &[
    ("reportingInstance", "reportingInstance", 128),
    ("action", "action", 128),
    ("reason", "reason", 128),
    ("note", "message", 1024),
];

/// Tells what is wrong with an Event.
pub fn check(object: &Value) -> Vec<Problem> {
    let mut all = Vec::new();
    if object.get("eventTime").is_none_or(Value::is_null) {
        all.push(Problem::required("eventTime", ""));
    }
    let controller = text(object, "reportingController");
    for key in ["reportingController", "reportingInstance", "action", "reason"] {
        if text(object, key).is_empty() {
            all.push(Problem::required(key, ""));
        }
        if key == "reportingController" {
            all.extend(invalid(key, controller, names::qualified(controller)));
        }
    }
    for (key, field, max) in LIMITS {
        if *max < text(object, key).len() {
            let detail = format!("can have at most {max} characters");
            all.push(Problem::invalid(*field, &json!(""), &detail));
        }
    }
    let kind = text(object, "type");
    if !["Normal", "Warning"].contains(&kind) {
        let detail = format!("has invalid value: {kind}");
        all.push(Problem::invalid("type", &json!(""), &detail));
    }
    all
}

/// Tells what is wrong with a change of an Event: its series alone may change.
pub fn check_change(before: &Value, after: &Value) -> Vec<Problem> {
    let mut all = Vec::new();
    for (key, field) in [
        ("regarding", "involvedObject"),
        ("reason", "reason"),
        ("note", "message"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ] {
        if before.get(key) != after.get(key) {
            let new = after.get(key).cloned().unwrap_or_default();
            all.push(Problem::invalid(field, &new, "field is immutable"));
        }
    }
    all
}
