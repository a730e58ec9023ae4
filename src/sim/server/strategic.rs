//! Strategic: merges a strategic merge patch, which knows lists by the keys of their items.
//!
//! Source: apimachinery `strategicpatch`, without the directives that only kubectl sends.

use serde_json::{Map, Value, json};

use crate::sim::rules::schema::shape::{Form, Lines, Schema};

/// What a patch says of its own meaning.
const DIRECTIVE: &str = "$patch";

/// Merges a patch into a value that looks like this.
pub fn merge(schema: &Schema, target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() || directive(patch) == Some("replace") {
        *target = json!({});
    }
    let Value::Object(fields) = target else { return };
    for (name, change) in changes.iter().filter(|(name, _)| !name.starts_with('$')) {
        if change.is_null() || directive(change) == Some("delete") {
            fields.remove(name);
            continue;
        }
        field(schema.field(name), fields, name, change);
    }
}

fn field(schema: Option<&Schema>, fields: &mut Map<String, Value>, name: &str, change: &Value) {
    let present = fields.entry(name).or_insert(Value::Null);
    match (schema.map(|schema| (schema, &schema.form)), change) {
        (Some((schema, _)), Value::Object(_)) => merge(schema, present, change),
        (Some((_, Form::List(list))), Value::Array(changes)) => {
            let items = present.as_array().cloned().unwrap_or_default();
            *present = match &list.lines {
                Lines::Atomic => change.clone(),
                Lines::Set => {
                    let rest = items.into_iter().filter(|item| !changes.contains(item));
                    Value::Array(changes.iter().cloned().chain(rest).collect())
                }
                Lines::Keys(keys) => {
                    let key = keys.first().map_or("", String::as_str);
                    Value::Array(merge_items(&list.item, key, items, changes))
                }
            };
        }
        (_, change) => present.clone_from(change),
    }
}

/// What the patch names comes first, in its order.
fn merge_items(schema: &Schema, key: &str, mut items: Vec<Value>, changes: &[Value]) -> Vec<Value> {
    if changes.iter().any(|change| directive(change) == Some("replace")) {
        items.clear();
    }
    let mut merged = Vec::new();
    for change in changes {
        let same = |item: &Value| item.get(key).is_some() && item.get(key) == change.get(key);
        let place = items.iter().position(same);
        let present = place.map(|place| items.remove(place));
        if directive(change).is_none() {
            let mut item = present.unwrap_or(Value::Null);
            merge(schema, &mut item, change);
            merged.push(item);
        }
    }
    merged.extend(items);
    merged
}

fn directive(patch: &Value) -> Option<&str> {
    patch.get(DIRECTIVE).and_then(Value::as_str)
}
