//! Read: takes values out of JSON. What is not there reads as nothing; it never fails.

use serde_json::Value;

use crate::api::keys;

/// The value at a path of keys.
pub fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(*key))
}

/// The text at a path, empty where there is none.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// The text at a path, if there is one that is not empty.
pub fn word(value: &Value, path: &[&str]) -> Option<String> {
    Some(text(value, path)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The number at a path.
pub fn number(value: &Value, path: &[&str]) -> Option<i64> {
    at(value, path).and_then(Value::as_i64)
}

/// The number at a path as a count, the default where there is none.
pub fn count(value: &Value, path: &[&str], default: u32) -> u32 {
    number(value, path).map_or(default, |number| u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// The items at a path.
pub fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether a GitOps tool applies an object.
pub fn applied(value: &Value) -> bool {
    at(value, &["metadata", "labels", keys::FLUX_NAME]).is_some()
}

/// The uid of the controller that owns an object.
pub fn owner(value: &Value) -> Option<String> {
    let owners = list(value, &["metadata", "ownerReferences"]);
    let owner = owners.iter().find(|owner| at(owner, &["controller"]) == Some(&Value::Bool(true)));
    owner.and_then(|owner| word(owner, &["uid"]))
}
