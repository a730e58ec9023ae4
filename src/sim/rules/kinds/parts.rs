//! Parts: reads and sets fields of objects, for the rules of each kind. It knows no kind.

use serde_json::{Value, json};

use crate::sim::rules::problem::Problem;

/// Sets a field where it is missing.
pub fn default(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = object {
        let field = fields.entry(key).or_insert(Value::Null);
        if field.is_null() {
            *field = value;
        }
    }
}

/// Sets a field.
pub fn put(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(key.to_owned(), value);
    }
}

/// The items of a list that stands in a field.
pub fn items<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The items of a list that stands in a field, to be changed.
pub fn items_mut<'a>(object: &'a mut Value, key: &str) -> &'a mut [Value] {
    object.get_mut(key).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// The text in a field; empty where there is none.
pub fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The number in a field; 0 where there is none.
pub fn number(object: &Value, key: &str) -> i64 {
    object.get(key).and_then(Value::as_i64).unwrap_or_default()
}

/// A field that may not be less than 0.
pub fn not_negative(object: &Value, key: &str, field: &str) -> Option<Problem> {
    let value = number(object, key);
    let detail = "must be greater than or equal to 0";
    (value < 0).then(|| Problem::invalid(field, &json!(value), detail))
}

/// Writes times with microseconds in UTC, where an offset is given. `fields` are pointers.
pub fn micro(object: &mut Value, fields: &[&str]) {
    for field in fields {
        let Some(value) = object.pointer_mut(field) else { continue };
        let text = value.as_str().filter(|text| !text.ends_with('Z')).unwrap_or_default();
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            *value = Value::from(format!("{time:.6}"));
        }
    }
}
