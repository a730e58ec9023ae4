//! Typed: whether an applied object is one of its kind, in the words of the server.

use serde_json::Value;

use crate::sim::resource::Resource;
use crate::sim::rules::compare::by_step;
use crate::sim::rules::fields::readable;
use crate::sim::rules::meta;
use crate::sim::rules::path::Path;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::schema::shape::{Form, Lines, Scalar, Schema};
use crate::sim::server::failure::Failure;

/// Checks that an applied object says that it is of the kind.
///
/// # Errors
/// [`Failure`] 400.
pub fn check_kind(resource: &Resource, applied: &Value) -> Result<(), Failure> {
    let text = |key: &str| applied.get(key).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if kind != resource.kind {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let message = format!("invalid object type: {group}/{version}, Kind={kind}");
        return Err(Failure::bad(message));
    }
    if api_version != resource.api_version() {
        return Err(Failure::bad(format!(
            "Incorrect version specified in apply patch. Specified patch version: {api_version}, \
             expected: {}",
            resource.api_version()
        )));
    }
    Ok(())
}

/// Checks that an applied object has only fields of its kind, and each item of a list once.
///
/// # Errors
/// [`Failure`] 500.
pub fn check(resource: &Resource, applied: &Value) -> Result<(), Failure> {
    let Some(why) = wrong(&known(resource).schema, applied, &Path::Whole) else { return Ok(()) };
    let text = |key: &str| meta::text(applied, key).unwrap_or_default();
    Err(Failure::plain(format!(
        "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {why}",
        text("namespace"),
        text("name"),
        resource.group,
        resource.version,
        resource.kind
    )))
}

fn wrong(schema: &Schema, value: &Value, path: &Path<'_>) -> Option<String> {
    let expected = |kind: &str| {
        Some(format!(
            ".{path}: expected {kind}, got &value.valueUnstructured{{Value:{}}}",
            go(value)
        ))
    };
    match (&schema.form, value) {
        (_, Value::Null) | (Form::Any | Form::Scalar(Scalar::Other), _) => None,
        (Form::Map(shape), Value::Object(fields)) => fields.iter().find_map(|(name, value)| {
            let below = Path::Field(path, name);
            match shape.field(name) {
                Some(schema) => wrong(schema, value, &below),
                None => Some(format!(".{below}: field not declared in schema")),
            }
        }),
        (Form::List(list), Value::Array(items)) => {
            if list.lines != Lines::Atomic {
                let steps = by_step(list, items);
                if let Some((step, _)) = steps.iter().find(|(_, items)| items.len() > 1) {
                    let key = readable(step);
                    return Some(format!(".{path}: duplicate entries for key {key}"));
                }
            }
            let mut all = items.iter().enumerate();
            all.find_map(|(index, item)| wrong(&list.item, item, &Path::Item(path, index)))
        }
        (Form::Scalar(Scalar::Text), Value::String(_))
        | (Form::Scalar(Scalar::Number), Value::Number(_))
        | (Form::Scalar(Scalar::Truth), Value::Bool(_)) => None,
        (Form::Scalar(Scalar::Text), _) => expected("string"),
        (Form::Scalar(Scalar::Number), _) => expected("numeric (int or float)"),
        (Form::Scalar(Scalar::Truth), _) => expected("boolean"),
        (Form::Map(_), _) => expected("map"),
        (Form::List(_), _) => expected("list"),
    }
}

/// A value as Go prints it.
fn go(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"))
}
