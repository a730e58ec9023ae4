//! Meta: reads and sets the metadata of objects as JSON. It never tells what is to be set.

use serde_json::{Map, Value, json};

/// Reads a text of the metadata.
pub fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get(key)?.as_str()
}

/// Tells whether the metadata has something.
pub fn has(object: &Value, key: &str) -> bool {
    object.get("metadata").and_then(|meta| meta.get(key)).is_some()
}

/// Tells whether finalizers hold an object.
pub fn held(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.is_some_and(|all| !all.is_empty())
}

/// Tells how many seconds an object that is being deleted was given.
pub fn grace(object: &Value) -> Option<u64> {
    object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_u64)
}

/// Sets a field of the metadata, which is made where it is missing; `None` takes it away.
pub fn set(object: &mut Value, key: &str, value: Option<Value>) {
    let Value::Object(fields) = object else { return };
    let meta = fields.entry("metadata").or_insert_with(|| json!({}));
    if !meta.is_object() {
        *meta = json!({});
    }
    put(meta, key, value);
}

/// Sets a field of an object; `None` takes it away.
pub fn put(object: &mut Value, key: &str, value: Option<Value>) {
    let Value::Object(fields) = object else { return };
    match value {
        Some(value) => fields.insert(key.to_owned(), value),
        None => fields.remove(key),
    };
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
