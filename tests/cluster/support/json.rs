//! Reading JSON objects of the cluster by path.

use serde_json::Value;

/// The text at a JSON pointer, empty where there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer, 0 where there is none.
pub fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// The list at a JSON pointer, empty where there is none.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The name of an object.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// The resourceVersion of an object, which has an order.
pub fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or(0)
}

/// The status of a condition, empty where there is none.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = list(object, "/status/conditions");
    conditions.iter().find(|c| text(c, "/type") == kind).map_or("", |c| text(c, "/status"))
}

/// The codes of what a Rollout waits for.
pub fn holds(rollout: &Value) -> Vec<&str> {
    list(rollout, "/status/waitingFor").iter().map(|hold| text(hold, "/kind")).collect()
}

/// What a Rollout says about a hold, empty where it is not held by it.
pub fn hold_message<'a>(rollout: &'a Value, code: &str) -> &'a str {
    let holds = list(rollout, "/status/waitingFor");
    holds.iter().find(|hold| text(hold, "/kind") == code).map_or("", |h| text(h, "/message"))
}

/// A value with parts of another laid over it, as a merge patch does it.
pub fn merged(mut base: Value, over: &Value) -> Value {
    json_patch::merge(&mut base, over);
    base
}
