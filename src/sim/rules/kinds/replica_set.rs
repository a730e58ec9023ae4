//! ReplicaSets: their selector, their template and their numbers.

use serde_json::{Value, json};

use crate::sim::rules::kinds::parts::{default, not_negative, number, text};
use crate::sim::rules::kinds::pod;
use crate::sim::rules::metadata;
use crate::sim::rules::problem::Problem;

/// Gives a ReplicaSet what nobody gave.
pub fn fill(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    default(spec, "replicas", json!(1));
    pod::fill(spec.pointer_mut("/template/spec"));
}

/// Tells what is wrong with a ReplicaSet.
pub fn check(object: &Value) -> Vec<Problem> {
    let none = Value::Null;
    let spec = object.get("spec").unwrap_or(&none);
    let mut all = Vec::new();
    all.extend(not_negative(spec, "replicas", "spec.replicas"));
    all.extend(not_negative(spec, "minReadySeconds", "spec.minReadySeconds"));
    let selector = spec.get("selector").filter(|selector| !selector.is_null());
    let wanted = selector.and_then(|selector| selector.get("matchLabels"));
    let wanted = wanted.and_then(Value::as_object).filter(|labels| !labels.is_empty());
    match (selector, wanted) {
        (None, _) => all.push(Problem::required("spec.selector", "")),
        (Some(_), Some(_)) => all.extend(metadata::labels(
            "spec.selector.matchLabels",
            selector.and_then(|selector| selector.get("matchLabels")),
        )),
        (Some(selector), None) => all.push(Problem::invalid(
            "spec.selector",
            selector,
            "empty selector is invalid for replicaset",
        )),
    }
    let template = spec.get("template").unwrap_or(&none);
    let labels = template.pointer("/metadata/labels");
    let carried =
        |(key, value): (&String, &Value)| labels.and_then(|all| all.get(key)) == Some(value);
    let field = "spec.template.metadata.labels";
    if !wanted.is_some_and(|wanted| wanted.iter().all(carried)) {
        let detail = "`selector` does not match template `labels`";
        let labels = labels.cloned().unwrap_or_default();
        all.push(Problem::invalid(field, &labels, detail));
    }
    all.extend(metadata::labels(field, labels));
    all.extend(pod::check_spec(template.get("spec").unwrap_or(&none), "spec.template.spec"));
    let policy = template.get("spec").map_or("", |spec| text(spec, "restartPolicy"));
    if ["Never", "OnFailure"].contains(&policy) {
        let field = "spec.template.spec.restartPolicy";
        all.push(Problem::unsupported(field, &json!(policy), &["Always"]));
    }
    all
}

/// Tells what is wrong with a change of a ReplicaSet.
pub fn check_change(before: &Value, after: &Value) -> Vec<Problem> {
    let (old, new) = (before.pointer("/spec/selector"), after.pointer("/spec/selector"));
    let mut all = Vec::new();
    if old != new {
        let new = new.cloned().unwrap_or_default();
        all.push(Problem::invalid("spec.selector", &new, "field is immutable"));
    }
    all.extend(check(after));
    all
}

/// Tells what is wrong with the status of a ReplicaSet.
pub fn check_status(object: &Value) -> Vec<Problem> {
    let none = Value::Null;
    let status = object.get("status").unwrap_or(&none);
    let replicas = number(status, "replicas");
    let mut all = Vec::new();
    for key in [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
    ] {
        all.extend(not_negative(status, key, &format!("status.{key}")));
    }
    for key in ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] {
        let count = number(status, key);
        if replicas < count {
            let detail = "cannot be greater than status.replicas";
            all.push(Problem::invalid(format!("status.{key}"), &json!(count), detail));
        }
    }
    all
}
