//! Meta: reads and sets the metadata of objects as JSON. It never tells what is to be set.

use serde_json::{Map, Value, json};

/// Reads a field of the metadata.
pub fn get<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(key)
}

/// Reads a text of the metadata.
pub fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    get(object, key)?.as_str()
}

/// Tells whether the metadata has something.
pub fn has(object: &Value, key: &str) -> bool {
    get(object, key).is_some()
}

/// Tells whether finalizers hold an object.
pub fn held(object: &Value) -> bool {
    let finalizers = get(object, "finalizers").and_then(Value::as_array);
    finalizers.is_some_and(|all| !all.is_empty())
}

/// Tells how many seconds an object that is being deleted was given.
pub fn grace(object: &Value) -> Option<u64> {
    get(object, "deletionGracePeriodSeconds").and_then(Value::as_u64)
}

/// Sets a field of the metadata, which is made where it is missing; `None` takes it away.
pub fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if object.get("metadata").is_none_or(|meta| !meta.is_object()) {
        put(object, "metadata", Some(json!({})));
    }
    if let Some(meta) = object.get_mut("metadata") {
        put(meta, key, value);
    }
}

/// Sets a field of an object; `None` takes it away.
pub fn put(object: &mut Value, key: &str, value: Option<Value>) {
    let Value::Object(fields) = object else { return };
    match (value, fields.get_mut(key)) {
        (Some(value), Some(there)) => *there = value,
        (Some(value), None) => drop(fields.insert(key.to_owned(), value)),
        (None, _) => drop(fields.remove(key)),
    }
}

/// Gives a field of an object the value that it had before; what is as before is not copied.
pub fn keep(object: &mut Value, before: &Value, key: &str) {
    if object.get(key) != before.get(key) {
        put(object, key, before.get(key).cloned());
    }
}

/// Tells whether two states differ in nothing but metadata and status.
pub fn alike(before: &Value, after: &Value) -> bool {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return before == after;
    };
    let rest = |key: &&String| !["metadata", "status"].contains(&key.as_str());
    let count = |fields: &Map<String, Value>| fields.keys().filter(rest).count();
    let same = |key: &String| before.get(key) == after.get(key);
    count(before) == count(after) && before.keys().filter(rest).all(same)
}
