//! ConfigMaps: keys of their data, and those that do not change any more.

use serde_json::{Map, Value};

use crate::sim::rules::metadata::invalid;
use crate::sim::rules::names;
use crate::sim::rules::problem::Problem;

/// Tells what is wrong with a ConfigMap.
pub fn check(object: &Value) -> Vec<Problem> {
    let none = Map::new();
    let fields = |key: &str| object.get(key).and_then(Value::as_object).unwrap_or(&none);
    let (data, binary) = (fields("data"), fields("binaryData"));
    let mut all = Vec::new();
    for key in data.keys() {
        let field = format!("data[{key}]");
        all.extend(invalid(&field, key, names::data_key(key)));
        if binary.contains_key(key) {
            let detail = "duplicate of key present in binaryData";
            all.push(Problem::invalid(field, &Value::from(key.as_str()), detail));
        }
    }
    for key in binary.keys() {
        all.extend(invalid(&format!("binaryData[{key}]"), key, names::data_key(key)));
    }
    all
}

/// Tells what is wrong with a change of a ConfigMap.
pub fn check_change(before: &Value, after: &Value) -> Vec<Problem> {
    let mut all = Vec::new();
    if before.get("immutable").and_then(Value::as_bool) == Some(true) {
        let detail = "field is immutable when `immutable` is set";
        for key in ["immutable", "data", "binaryData"] {
            if before.get(key) != after.get(key) {
                all.push(Problem::forbidden(key, detail));
            }
        }
    }
    all.extend(check(after));
    all
}
