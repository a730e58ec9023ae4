//! Validate: what the API server refuses of an object, and why. It changes nothing.

use serde_json::{Value, json};

use crate::sim::resource::Resource;
use crate::sim::rules::problem::Problem;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::settle::Part;
use crate::sim::rules::{definition, kinds, metadata};

/// What is said where checks depend on what is already known to be wrong.
const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; \
    correct the existing errors to complete validation";

/// Tells what is wrong with a new object.
pub fn create(resource: &Resource, object: &Value) -> Vec<Problem> {
    if !resource.custom() {
        return kinds::check(resource.plural, object);
    }
    let mut all = custom(resource, object);
    if all.is_empty() {
        all.extend(metadata::check(object));
    }
    all
}

/// Tells what is wrong with an object that is to take the place of another.
pub fn update(resource: &Resource, part: Part, before: &Value, object: &Value) -> Vec<Problem> {
    match (resource.custom(), part) {
        (false, Part::Status) => kinds::check_status(resource.plural, before, object),
        (false, Part::Main | Part::Scale) => kinds::check_change(resource.plural, before, object),
        (true, _) => {
            let mut all = metadata::check_change(before, object);
            all.extend(custom(resource, object));
            all
        }
    }
}

/// What a definition demands, and what is known of the numbers that are scaled.
fn custom(resource: &Resource, object: &Value) -> Vec<Problem> {
    let mut all = definition::check(&known(resource).schema, object);
    if let Some(kind) = object.get("kind").filter(|kind| *kind != resource.kind) {
        let detail = format!("must be {}", resource.kind);
        all.insert(0, Problem::invalid("kind", kind, &detail));
        return all;
    }
    if !all.is_empty() {
        if let Some(replicas) = object.pointer("/spec/replicas").filter(|_| resource.scale()) {
            all.extend(scaled(replicas));
        }
        all.push(Problem::invalid("<nil>", &Value::Null, UNCHECKED));
    }
    all
}

fn scaled(replicas: &Value) -> Option<Problem> {
    const FIELD: &str = ".spec.replicas";
    match replicas {
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            Some(Problem::invalid(FIELD, replicas, "should be a non-negative integer"))
        }
        Value::String(text) => {
            let why = format!("{text} is of the type string, expected int64");
            let detail = format!("{FIELD} accessor error: {why}");
            Some(Problem::invalid(FIELD, &json!(0), &detail))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}
