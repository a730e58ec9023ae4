//! Metadata: whether the metadata of an object may be as it is, and may become what it becomes.

use serde_json::{Map, Value, json};

use crate::sim::rules::names;
use crate::sim::rules::problem::Problem;

/// Finalizers whose names need no domain.
const STANDARD: &[&str] = &["foregroundDeletion", "orphan", "kubernetes"];
/// How much all annotations of an object may hold, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;
/// What cannot be changed.
const IMMUTABLE: &str = "field is immutable";

/// Tells what is wrong with the metadata of an object.
pub fn check(object: &Value) -> Vec<Problem> {
    let none = Map::new();
    let meta = object.get("metadata").and_then(Value::as_object).unwrap_or(&none);
    let mut all = Vec::new();
    match meta.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        None => {
            all.push(Problem::required("metadata.name", "name or generateName is required"));
        }
        Some(name) => all.extend(invalid("metadata.name", name, names::subdomain(name))),
    }
    all.extend(texts(meta));
    all.extend(finalizers(meta.get("finalizers")));
    all
}

/// What is wrong with labels, annotations and owners.
fn texts(meta: &Map<String, Value>) -> Vec<Problem> {
    let mut all = labels("metadata.labels", meta.get("labels"));
    all.extend(annotations(meta.get("annotations")));
    all.extend(owners(meta.get("ownerReferences")));
    all
}

/// Tells what is wrong with changed metadata. The server asks twice about the change: once for
/// all kinds and once for each.
pub fn check_change(before: &Value, after: &Value) -> Vec<Problem> {
    let mut all = check(after);
    let changes = changes(before, after);
    all.extend(changes.clone());
    all.extend(changes);
    all
}

fn changes(before: &Value, after: &Value) -> Vec<Problem> {
    let field = |object: &Value, key: &str| {
        object.get("metadata").and_then(|meta| meta.get(key)).cloned().unwrap_or_default()
    };
    let mut all = Vec::new();
    if !field(before, "deletionTimestamp").is_null() {
        let (old, new) = (field(before, "finalizers"), field(after, "finalizers"));
        let old: Vec<&Value> = old.as_array().into_iter().flatten().collect();
        let new = new.as_array().into_iter().flatten().filter(|name| !old.contains(name));
        let new: Vec<String> = new.map(Value::to_string).collect();
        if !new.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                new.join(", ")
            );
            all.push(Problem::forbidden("metadata.finalizers", &detail));
        }
    }
    for key in ["name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (old, new) = (field(before, key), field(after, key));
        if old != new {
            all.push(Problem::invalid(format!("metadata.{key}"), &new, IMMUTABLE));
        }
    }
    all.extend(after.get("metadata").and_then(Value::as_object).map(texts).unwrap_or_default());
    all
}

/// Tells what is wrong with labels, which stand in a field.
pub fn labels(field: &str, labels: Option<&Value>) -> Vec<Problem> {
    let mut all = Vec::new();
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        all.extend(invalid(field, key, names::qualified(key)));
        all.extend(invalid(field, value, names::label_value(value)));
    }
    all
}

/// Makes a problem of each complaint about a text.
pub fn invalid(field: &str, text: &str, complaints: Vec<String>) -> Vec<Problem> {
    let problem = |detail: String| Problem::invalid(field, &json!(text), &detail);
    complaints.into_iter().map(problem).collect()
}

fn annotations(annotations: Option<&Value>) -> Vec<Problem> {
    let mut all = Vec::new();
    let mut size = 0;
    for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
        let complaints = names::qualified(&key.to_lowercase());
        all.extend(invalid("metadata.annotations", key, complaints));
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if ANNOTATIONS_MAX < size {
        all.push(Problem::too_long("metadata.annotations", ANNOTATIONS_MAX));
    }
    all
}

fn finalizers(finalizers: Option<&Value>) -> Vec<Problem> {
    let mut all = Vec::new();
    let listed = finalizers.and_then(Value::as_array).into_iter().flatten();
    for (at, name) in listed.filter_map(Value::as_str).enumerate() {
        let field = format!("metadata.finalizers[{at}]");
        all.extend(invalid(&field, name, names::qualified(name)));
        if !name.contains('/') && !STANDARD.contains(&name) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            all.push(Problem::invalid(field, &json!(name), detail));
        }
    }
    all
}

fn owners(owners: Option<&Value>) -> Vec<Problem> {
    const FIELD: &str = "metadata.ownerReferences";
    let mut all = Vec::new();
    let mut controller: Option<&Value> = None;
    for owner in owners.and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        for (key, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(key).is_empty() {
                all.push(Problem::invalid(format!("{FIELD}.{key}"), &json!(""), detail));
            }
        }
        if (text("apiVersion"), text("kind")) == ("v1", "Event") {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            all.push(Problem::invalid_text(FIELD, &owner_text(owner), detail));
        }
        if owner.get("controller").and_then(Value::as_bool) != Some(true) {
            continue;
        }
        if let Some(first) = controller {
            let title = |owner: &Value| {
                let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
                format!("{}/{}", text("kind"), text("name"))
            };
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references \
                 for {} and {}",
                title(first),
                title(owner)
            );
            let listed = owners.and_then(Value::as_array).into_iter().flatten().map(owner_text);
            let listed = format!("[{}]", listed.collect::<Vec<_>>().join(","));
            all.push(Problem::invalid_text(FIELD, &listed, &detail));
        }
        controller = Some(owner);
    }
    all
}

/// An owner in the order in which the server writes its fields.
fn owner_text(owner: &Value) -> String {
    let keys = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let given = keys.iter().filter_map(|key| Some((key, owner.get(*key)?)));
    let fields: Vec<String> = given.map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}
