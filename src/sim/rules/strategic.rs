//! Strategic: merges a strategic merge patch into an object of a built-in kind.
//!
//! Source: Kubernetes `strategicpatch`, with the keys of server-side apply: the first of several.

use serde_json::{Map, Value};

use crate::sim::rules::schema::shape::{ANY, Form, Lines, List, Schema, Struct};

const DIRECTIVE: &str = "$patch";

/// Merges a patch into a value.
pub fn merge(schema: &Schema, value: &mut Value, patch: &Value) {
    match (&schema.form, &mut *value, patch) {
        (Form::Map(shape), Value::Object(fields), Value::Object(patch)) => {
            merge_map(shape, fields, patch);
        }
        (Form::Any, Value::Object(fields), Value::Object(patch)) => {
            merge_map(&Struct { open: true, ..Struct::default() }, fields, patch);
        }
        (Form::List(list), Value::Array(items), Value::Array(patch))
            if list.lines != Lines::Atomic =>
        {
            merge_list(list, items, patch);
        }
        (Form::Map(_) | Form::List(_) | Form::Any | Form::Scalar(_), _, patch) => {
            *value = plain(schema, patch);
        }
    }
}

/// A patch of what is not there is what it will be, without what it says about itself.
fn plain(schema: &Schema, patch: &Value) -> Value {
    match patch {
        Value::Object(_) => {
            let mut value = Value::Object(Map::new());
            merge(schema, &mut value, patch);
            value
        }
        Value::Array(items) => {
            let item = |item| plain(schema.item(), item);
            let gone = |item: &&Value| item.get(DIRECTIVE).is_some_and(|what| what == "delete");
            let replaces =
                |item: &&Value| item.get(DIRECTIVE).is_some_and(|what| what == "replace");
            Value::Array(items.iter().filter(|i| !gone(i) && !replaces(i)).map(item).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => patch.clone(),
    }
}

fn merge_map(shape: &Struct, fields: &mut Map<String, Value>, patch: &Map<String, Value>) {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => fields.clear(),
        Some("delete") => {
            fields.clear();
            return;
        }
        Some(_) | None => {}
    }
    for (key, change) in patch {
        if key == DIRECTIVE || key.starts_with("$setElementOrder/") || key == "$retainKeys" {
            continue;
        }
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = change.as_array().cloned().unwrap_or_default();
            if let Some(Value::Array(items)) = fields.get_mut(list) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        let schema = shape.field(key).unwrap_or(&ANY);
        match (change, fields.get_mut(key)) {
            (Value::Null, _) => drop(fields.remove(key)),
            (change, Some(value)) => merge(schema, value, change),
            (change, None) => drop(fields.insert(key.clone(), plain(schema, change))),
        }
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|key, _| kept.iter().any(|name| name == key));
    }
}

/// What the patch names comes in the order of the patch, before what it does not name; only what
/// was before it stays so.
fn merge_list(list: &List, items: &mut Vec<Value>, patch: &[Value]) {
    let told = |item: &Value, what: &str| item.get(DIRECTIVE).is_some_and(|said| said == what);
    if patch.iter().any(|item| told(item, "replace")) {
        *items = patch.iter().filter(|item| !told(item, "replace")).cloned().collect();
        return;
    }
    let key = match &list.lines {
        Lines::Keys(keys) => keys.first(),
        Lines::Set | Lines::Atomic => None,
    };
    let same = |one: &Value, other: &Value| match key {
        Some(key) => one.get(key).is_some() && one.get(key) == other.get(key),
        None => one == other,
    };
    let mut patched: Vec<Value> = Vec::new();
    for change in patch.iter().filter(|change| !told(change, "delete")) {
        if let Some(item) = patched.iter_mut().find(|item| same(item, change)) {
            merge(&list.item, item, change);
        } else if let Some(mut item) = items.iter().find(|item| same(item, change)).cloned() {
            merge(&list.item, &mut item, change);
            patched.push(item);
        } else {
            patched.push(plain(&list.item, change));
        }
    }
    let before = std::mem::take(items);
    let place = |item: &Value| before.iter().position(|known| same(known, item));
    let named = |item: &Value| patch.iter().any(|change| same(item, change));
    let mut rest = before.iter().enumerate().filter(|(_, item)| !named(item)).peekable();
    for item in patched {
        let until = place(&item).unwrap_or_default();
        while let Some((_, earlier)) = rest.next_if(|(at, _)| *at < until) {
            items.push(earlier.clone());
        }
        items.push(item);
    }
    items.extend(rest.map(|(_, item)| item.clone()));
}
