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

/// Reasons after which nothing is said of rules that depend on the rest.
const BLOCKING: &[&str] = &[
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

/// Tells what is wrong with a new object.
pub fn create(resource: &Resource, object: &Value) -> Vec<Problem> {
    if !resource.custom() {
        return kinds::check(resource.plural, object);
    }
    let mut all = metadata::check(object);
    all.extend(custom(resource, None, object));
    all
}

/// Tells what is wrong with an object that is to take the place of another.
pub fn update(resource: &Resource, part: Part, before: &Value, object: &Value) -> Vec<Problem> {
    match (resource.custom(), part) {
        (false, Part::Status) => kinds::check_status(resource.plural, before, object),
        (false, Part::Main | Part::Scale) => kinds::check_change(resource.plural, before, object),
        (true, _) => {
            let mut all = metadata::check_change(before, object);
            all.extend(custom(resource, Some(before), object));
            if part == Part::Status {
                all.iter_mut().for_each(within_status);
            }
            all
        }
    }
}

/// What a definition demands, and what is known of the numbers that are scaled.
fn custom(resource: &Resource, before: Option<&Value>, object: &Value) -> Vec<Problem> {
    let known = known(resource);
    let mut all = definition::check(&known.schema, object);
    let blocked = all.iter().any(|problem| BLOCKING.contains(&problem.reason));
    if blocked {
        all.push(Problem::invalid("<nil>", &Value::Null, UNCHECKED));
    } else if resource.plural == "rollouts" {
        all.extend(laws::check(&known.laws, before, object));
    }
    if resource.scale() {
        all.extend(["spec", "status"].iter().filter_map(|part| scaled(part, object)));
    }
    all
}

/// A status is checked by itself: what is said of it names the field as it stands there.
fn within_status(problem: &mut Problem) {
    if let Some(inner) = problem.field.strip_prefix("status.") {
        let said = format!("{} in body", problem.field);
        problem.message = problem.message.replacen(&said, &format!("{inner} in body"), 1);
    }
}

/// Checks the number of replicas in a part of an object.
fn scaled(part: &str, object: &Value) -> Option<Problem> {
    let replicas = object.get(part)?.get("replicas")?;
    let field = format!(".{part}.replicas");
    let of_type = |kind: &str, value: &str| {
        let detail =
            format!("{field} accessor error: {value} is of the type {kind}, expected int64");
        Some(Problem::invalid(field.as_str(), &json!(0), &detail))
    };
    match replicas {
        Value::Number(number) if number.is_f64() => of_type("float64", &number.to_string()),
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            let detail = "should be a non-negative integer";
            Some(Problem::invalid(field.as_str(), replicas, detail))
        }
        Value::String(text) => of_type("string", text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}
