//! Validate: what the API server refuses of an object, and why. It changes nothing.

use serde_json::{Value, json};

use crate::sim::resource::Resource;
use crate::sim::rules::problem::Problem;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::settle::Part;
use crate::sim::rules::{definition, kinds, laws, metadata};

/// What is said where checks depend on what is already known to be wrong.
const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; \
    correct the existing errors to complete validation";

/// Tells what is wrong with a new object.
pub fn create(resource: &Resource, object: &Value) -> Vec<Problem> {
    if !resource.custom() {
        return kinds::check(resource.plural, object);
    }
    if let Some(problem) = other_kind(resource, object) {
        return vec![problem];
    }
    let mut all = custom(resource, None, object);
    if all.is_empty() {
        all.extend(metadata::check(object));
    }
    all
}

/// Tells what is wrong with an object that is to take the place of another. What was wrong before
/// and has not changed may stay.
pub fn update(resource: &Resource, part: Part, before: &Value, object: &Value) -> Vec<Problem> {
    if !resource.custom() {
        return match part {
            Part::Status => kinds::check_status(resource.plural, before, object),
            Part::Main | Part::Scale => kinds::check_change(resource.plural, before, object),
        };
    }
    let mut all = metadata::check_change(before, object);
    all.extend(other_kind(resource, object));
    match part {
        Part::Status => all.extend(status(resource, object)),
        Part::Main | Part::Scale if before.get("spec") != object.get("spec") => {
            all.extend(custom(resource, Some(before), object));
        }
        Part::Main | Part::Scale => {}
    }
    all
}

fn other_kind(resource: &Resource, object: &Value) -> Option<Problem> {
    let kind = object.get("kind").filter(|kind| *kind != resource.kind)?;
    Some(Problem::invalid("kind", kind, &format!("must be {}", resource.kind)))
}

/// What a definition demands, its rules, and what is known of the numbers that are scaled.
fn custom(resource: &Resource, before: Option<&Value>, object: &Value) -> Vec<Problem> {
    let mut all = definition::check(&known(resource).schema, object);
    let blocked = all.iter().any(definition::blocks);
    if let Some(replicas) = object.pointer("/spec/replicas").filter(|_| resource.scale()) {
        all.extend(scaled(".spec.replicas", replicas));
    }
    if blocked {
        all.push(Problem::invalid("<nil>", &Value::Null, UNCHECKED));
    } else {
        all.extend(laws::check(&known(resource).laws, before, object));
    }
    all
}

/// What a definition demands of the status, whose fields it names from the status on.
fn status(resource: &Resource, object: &Value) -> Vec<Problem> {
    let schema = known(resource).schema.field("status");
    let (Some(schema), Some(status)) = (schema, object.get("status")) else { return Vec::new() };
    let mut all = definition::check(schema, status);
    for problem in &mut all {
        problem.field = format!("status.{}", problem.field);
    }
    let blocked = all.iter().any(definition::blocks);
    if let Some(replicas) = status.get("replicas").filter(|_| resource.scale()) {
        all.extend(scaled(".status.replicas", replicas));
    }
    if blocked {
        all.push(Problem::invalid("<nil>", &Value::Null, UNCHECKED));
    }
    all
}

/// What is wrong with a number of replicas for whoever scales.
fn scaled(field: &str, replicas: &Value) -> Option<Problem> {
    let (shown, kind) = match replicas {
        Value::Number(number) if number.is_f64() => (number.to_string(), "float64"),
        Value::Number(number) => {
            let negative = number.as_i64().is_some_and(|number| number < 0);
            let detail = "should be a non-negative integer";
            return negative.then(|| Problem::invalid(field, replicas, detail));
        }
        Value::String(text) => (text.clone(), "string"),
        Value::Bool(value) => (value.to_string(), "bool"),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let detail = format!("{field} accessor error: {shown} is of the type {kind}, expected int64");
    Some(Problem::invalid(field, &json!(0), &detail))
}
