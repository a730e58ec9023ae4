//! Trace: the history of a story as text, one line for each change, the same each time.

use std::fmt::Write;

use serde_json::Value;

use crate::model::moment::Timestamp;
use crate::sim::history::{Change, Writer};

/// Fields that say nothing beside the line itself.
const SILENT: &[&str] = &["/metadata/managedFields", "/metadata/resourceVersion"];
/// Characters of a value that are shown.
const VALUE_MAX: usize = 120;

/// Tells one change in a line, and each field that it changed in a line of its own.
pub fn line(change: &Change, began: Timestamp) -> String {
    let verb = match (&change.before, &change.after) {
        (None, _) => "creates",
        (Some(_), Some(_)) => "changes",
        (Some(_), None) => "deletes",
    };
    let who = match &change.writer {
        Writer::Controller { identity, .. } => identity,
        Writer::Other(name) => name,
    };
    let at = change.at.since(began);
    let place = &change.place;
    let mut text = format!("t+{at} {who} {verb} {}/{}", place.resource, place.name);
    if let (Some(before), Some(after)) = (&change.before, &change.after) {
        for (path, value) in difference(before, after) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n    {path} = {value}");
        }
    }
    text
}

/// Tells a whole history.
pub fn text<'a>(changes: impl IntoIterator<Item = &'a Change>, began: Timestamp) -> String {
    let mut text = String::new();
    for change in changes {
        text.push_str(&line(change, began));
        text.push('\n');
    }
    text
}

/// Tells the fields that are another than before, as JSON pointers, and what stands there.
pub fn difference(before: &Value, after: &Value) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    differ(before, after, &mut String::new(), &mut fields);
    fields
}

/// Collects what is another than before, as JSON pointers and values.
fn differ(before: &Value, after: &Value, path: &mut String, found: &mut Vec<(String, String)>) {
    if before == after || SILENT.contains(&path.as_str()) {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        let shown: String = after.to_string().chars().take(VALUE_MAX).collect();
        found.push((path.clone(), shown));
        return;
    };
    let length = path.len();
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        path.push('/');
        path.push_str(key);
        let null = Value::Null;
        let (old, new) = (old.get(key).unwrap_or(&null), new.get(key).unwrap_or(&null));
        differ(old, new, path, found);
        path.truncate(length);
    }
}
