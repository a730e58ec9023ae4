//! Definition: what a CustomResourceDefinition makes of an object: unknown fields go, defaults
//! come, values are checked. CEL rules are not carried out.

use serde_json::{Map, Value};

use crate::sim::rules::compare;
use crate::sim::rules::path::Path;
use crate::sim::rules::problem::Problem;
use crate::sim::rules::schema::checks::Checks;
use crate::sim::rules::schema::shape::{Form, Lines, List, Schema, Struct};

/// Takes away what the definition does not know.
pub fn prune(schema: &Schema, value: &mut Value) {
    match (&schema.form, value) {
        (Form::Map(shape), Value::Object(fields)) => {
            fields.retain(|name, value| match shape.fields.get(name) {
                Some(field) => {
                    prune(&field.schema, value);
                    true
                }
                None => match &shape.rest {
                    Some(rest) => {
                        prune(rest, value);
                        true
                    }
                    None => shape.open,
                },
            });
        }
        (Form::List(list), Value::Array(items)) => {
            items.iter_mut().for_each(|item| prune(&list.item, item));
        }
        (Form::Any | Form::Scalar(_) | Form::Map(_) | Form::List(_), _) => {}
    }
}

/// Puts defaults where fields are missing or null, and takes away nulls that are no values.
pub fn fill(schema: &Schema, value: &mut Value) {
    match (&schema.form, value) {
        (Form::Map(shape), Value::Object(fields)) => fill_map(shape, fields),
        (Form::List(list), Value::Array(items)) => {
            items.iter_mut().for_each(|item| fill(&list.item, item));
        }
        (Form::Any | Form::Scalar(_) | Form::Map(_) | Form::List(_), _) => {}
    }
}

fn fill_map(shape: &Struct, fields: &mut Map<String, Value>) {
    for (name, field) in &shape.fields {
        let Some(default) = &field.schema.default else { continue };
        let nullable = field.schema.checks.as_ref().is_some_and(|checks| checks.nullable);
        match fields.get(name) {
            Some(Value::Null) if !nullable => {}
            Some(_) => continue,
            None => {}
        }
        fields.insert(name.clone(), default.clone());
    }
    fields.retain(|name, value| {
        let Some(schema) = shape.fields.get(name).map(|field| &*field.schema) else {
            if let Some(rest) = &shape.rest {
                fill(rest, value);
            }
            return true;
        };
        let nullable = schema.checks.as_ref().is_some_and(|checks| checks.nullable);
        // Metadata is no part of the definition; it is read into a type of its own.
        if value.is_null() && !nullable && schema.checks.is_some() {
            return false;
        }
        fill(schema, value);
        true
    });
}

/// Names the fields that are not known, as the server warns of them.
pub fn unknown(schema: &Schema, value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    strangers(schema, value, &Path::Whole, &mut all);
    all
}

fn strangers(schema: &Schema, value: &Value, path: &Path<'_>, all: &mut Vec<String>) {
    match (&schema.form, value) {
        (Form::Map(shape), Value::Object(fields)) => {
            for (name, value) in fields {
                let path = Path::Field(path, name);
                match shape.fields.get(name).map(|field| &*field.schema).or(shape.rest.as_deref()) {
                    Some(schema) => strangers(schema, value, &path, all),
                    None if shape.open => {}
                    None => all.push(path.to_string()),
                }
            }
        }
        (Form::List(list), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                strangers(&list.item, item, &Path::Item(path, index), all);
            }
        }
        (Form::Any | Form::Scalar(_) | Form::Map(_) | Form::List(_), _) => {}
    }
}

/// Checks a value; returns what is wrong with it, in the order of its fields.
pub fn check(schema: &Schema, value: &Value) -> Vec<Problem> {
    let mut all = Vec::new();
    walk(schema, value, &Path::Whole, &mut all);
    all
}

/// Tells whether a problem keeps the server from looking further.
pub fn blocks(problem: &Problem) -> bool {
    [
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    ]
    .contains(&problem.reason)
}

fn walk(schema: &Schema, value: &Value, path: &Path<'_>, all: &mut Vec<Problem>) {
    if let Some(checks) = &schema.checks
        && !single(checks, value, path, all)
    {
        return;
    }
    match (&schema.form, value) {
        (Form::Map(shape), Value::Object(fields)) => {
            for (name, value) in fields {
                let field = shape.fields.get(name).map(|field| &*field.schema);
                if let Some(schema) = field.or(shape.rest.as_deref()) {
                    walk(schema, value, &Path::Field(path, name), all);
                }
            }
        }
        (Form::List(list), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                walk(&list.item, item, &Path::Item(path, index), all);
            }
            doubles(list, items, path, all);
        }
        (Form::Any | Form::Scalar(_) | Form::Map(_) | Form::List(_), _) => {}
    }
}

/// Items that are told apart by what they have in common.
fn doubles(list: &List, items: &[Value], path: &Path<'_>, all: &mut Vec<Problem>) {
    for (index, item) in items.iter().enumerate() {
        let step = |item: &Value| compare::step(list, item);
        let known = items.iter().take(index).map(step);
        let own = step(item);
        if own.is_some() && known.into_iter().any(|step| step == own) {
            let value = match &list.lines {
                Lines::Keys(keys) => {
                    let field = |key: &String| Some((key.clone(), item.get(key)?.clone()));
                    Value::Object(keys.iter().filter_map(field).collect())
                }
                Lines::Set | Lines::Atomic => item.clone(),
            };
            all.push(Problem::duplicate(format!("{path}[{index}]"), &value));
        }
    }
}

/// Checks one value; tells whether what is below it is to be checked too.
fn single(checks: &Checks, value: &Value, path: &Path<'_>, all: &mut Vec<Problem>) -> bool {
    let found = kind(value);
    if checks.kind == "integer" && found == "number" && !checks.format.is_empty() {
        let format = &checks.format;
        let detail =
            format!("Checked value must be of type integer with format {format} in {path}");
        all.push(Problem::invalid("<nil>", &Value::from(""), &detail));
        let detail = format!("{path} in body must be of type {format}: \"float64\"");
        all.push(Problem::wrong_type(path.to_string(), "float64", &detail));
        return false;
    }
    let fits = match checks.kind.as_str() {
        "" => !checks.int_or_text || ["integer", "string"].contains(&found),
        "number" => ["integer", "number"].contains(&found),
        wanted => wanted == found,
    };
    if !(fits || (value.is_null() && checks.nullable)) {
        let wanted = match checks.kind.as_str() {
            "" => "integer,string",
            wanted => wanted,
        };
        let detail = format!("{path} in body must be of type {wanted}: {found:?}");
        all.push(Problem::wrong_type(path.to_string(), found, &detail));
        return false;
    }
    match value {
        Value::String(text) => texts(checks, text, path, all),
        Value::Number(number) => numbers(checks, number, path, all),
        Value::Array(items) => {
            let count = items.len() as u64;
            counts(checks.items, count, path, "items", all);
        }
        Value::Object(fields) => {
            let missing = checks.required.iter().filter(|name| !fields.contains_key(*name));
            let missing = missing.map(|name| Path::Field(path, name).to_string());
            all.extend(missing.map(|field| Problem::required(field, "")));
            counts(checks.fields, fields.len() as u64, path, "properties", all);
        }
        Value::Null | Value::Bool(_) => {}
    }
    if let Some(known) = checks.values.as_ref().filter(|known| !known.contains(value)) {
        let known: Vec<String> = known.iter().map(text).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        all.push(Problem::unsupported(path.to_string(), value, &known));
    }
    true
}

fn texts(checks: &Checks, text: &str, path: &Path<'_>, all: &mut Vec<Problem>) {
    let count = text.chars().count() as u64;
    let value = Value::from(text);
    if let Some(most) = checks.length.1.filter(|most| count > *most) {
        all.push(Problem::too_long(path.to_string(), usize::try_from(most).unwrap_or(usize::MAX)));
        return;
    }
    if let Some(least) = checks.length.0.filter(|least| count < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        all.push(Problem::invalid(path.to_string(), &value, &detail));
        return;
    }
    if let Some((pattern, _)) = checks.pattern.as_ref().filter(|(_, known)| !known.is_match(text)) {
        let detail = format!("{path} in body should match '{pattern}'");
        all.push(Problem::invalid(path.to_string(), &value, &detail));
    }
}

fn numbers(checks: &Checks, number: &serde_json::Number, path: &Path<'_>, all: &mut Vec<Problem>) {
    let value = Value::Number(number.clone());
    let size = number.as_f64().unwrap_or_default();
    if let Some(most) = checks.maximum.filter(|most| size > *most) {
        let detail = format!("{path} in body should be less than or equal to {most}");
        all.push(Problem::invalid(path.to_string(), &value, &detail));
        return;
    }
    if let Some(least) = checks.minimum.filter(|least| size < *least) {
        let detail = format!("{path} in body should be greater than or equal to {least}");
        all.push(Problem::invalid(path.to_string(), &value, &detail));
    }
}

fn counts(
    (least, most): (Option<u64>, Option<u64>),
    count: u64,
    path: &Path<'_>,
    what: &str,
    all: &mut Vec<Problem>,
) {
    if let Some(most) = most.filter(|most| count > *most) {
        all.push(Problem::too_many(path.to_string(), count, most));
    }
    if let Some(least) = least.filter(|least| count < *least) {
        let detail = format!("{path} in body should have at least {least} {what}");
        all.push(Problem::invalid(path.to_string(), &Value::from(count), &detail));
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The type of a value, as OpenAPI names it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
