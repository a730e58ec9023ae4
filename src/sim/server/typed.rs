//! Typed: whether an object that is applied is of its kind. Apply is stricter than other writes.
//!
//! Source: structured-merge-diff, `typed/validate.go`.

use serde_json::Value;

use crate::sim::resource::Resource;
use crate::sim::rules::compare;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::schema::shape::{Form, Lines, List, Scalar, Schema};
use crate::sim::server::failure::Failure;

/// Checks that an applied object is of the kind of the path.
///
/// # Errors
/// [`Failure`] 400.
pub fn check_kind(resource: &Resource, applied: &Value) -> Result<(), Failure> {
    if title(applied) == (resource.api_version(), resource.kind.to_owned()) {
        return Ok(());
    }
    Err(Failure::bad(format!("invalid object type: {}", kind(applied))))
}

/// Checks that an applied object has no field that its kind does not know, none of another type,
/// and no key of a list twice.
///
/// # Errors
/// [`Failure`] 500.
pub fn check(resource: &Resource, applied: &Value) -> Result<(), Failure> {
    let Some(why) = wrong(&known(resource).schema, applied, "") else { return Ok(()) };
    let text = |key: &str| {
        let field = applied.get("metadata").and_then(|meta| meta.get(key));
        field.and_then(Value::as_str).unwrap_or_default()
    };
    let place = format!("{}/{}", text("namespace"), text("name"));
    let kind = kind(applied);
    Err(Failure::plain(format!("failed to create typed patch object ({place}; {kind}): {why}")))
}

fn title(object: &Value) -> (String, String) {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("apiVersion"), text("kind"))
}

/// A kind as Go shows it: `apps/v1, Kind=ReplicaSet`, `/v1, Kind=Pod`.
fn kind(object: &Value) -> String {
    let (version, kind) = title(object);
    let slash = if version.contains('/') { "" } else { "/" };
    format!("{slash}{version}, Kind={kind}")
}

fn wrong(schema: &Schema, value: &Value, path: &str) -> Option<String> {
    match (&schema.form, value) {
        (Form::Map(shape), Value::Object(fields)) => fields.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match shape.field(name) {
                Some(schema) => wrong(schema, value, &path),
                None => Some(format!("{path}: field not declared in schema")),
            }
        }),
        (Form::List(list), Value::Array(items)) => twice(list, items, path).or_else(|| {
            let inner =
                |(at, item): (usize, &Value)| wrong(&list.item, item, &format!("{path}[{at}]"));
            items.iter().enumerate().find_map(inner)
        }),
        (Form::Scalar(Scalar::Text), Value::Number(_) | Value::Bool(_)) => {
            let value = format!("&value.valueUnstructured{{Value:{value}}}");
            Some(format!("{path}: expected string, got {value}"))
        }
        (Form::Any | Form::Scalar(_) | Form::Map(_) | Form::List(_), _) => None,
    }
}

/// Tells of a key that two items of a list have.
fn twice(list: &List, items: &[Value], path: &str) -> Option<String> {
    let Lines::Keys(keys) = &list.lines else { return None };
    let steps: Vec<_> = items.iter().map(|item| compare::step(list, item)).collect();
    let repeated = steps
        .iter()
        .enumerate()
        .find(|(at, step)| step.is_some() && steps.iter().take(*at).any(|known| known == *step));
    let item = repeated.and_then(|(at, _)| items.get(at))?;
    let key = |key: &String| {
        let default = list.item.field(key).and_then(|field| field.default.clone());
        let value = item.get(key).cloned().or(default).unwrap_or_default();
        format!("{key}={value}")
    };
    let keys: Vec<String> = keys.iter().map(key).collect();
    Some(format!("{path}: duplicate entries for key [{}]", keys.join(",")))
}
