//! Validate: what the API server refuses of an object, and why. It changes nothing.

use serde_json::{Value, json};

use crate::sim::resource::Resource;
use crate::sim::rules::cause::Cause;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::{definition, names};

pub mod kinds;

/// What is said where checks depend on what is already known to be wrong.
const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; \
    correct the existing errors to complete validation";

/// Checks an object that is to be created.
pub fn create(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if known(resource).builtin {
        causes.extend(metadata(object));
        causes.extend(kinds::check(resource, object));
    } else {
        causes.extend(custom(resource, object));
        causes.extend(metadata(object));
    }
    causes
}

/// Checks an object that is to take the place of another.
pub fn update(resource: &Resource, before: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = metadata(object);
    let changes = changes(before, object);
    // The server asks twice: once for all kinds, once for each.
    causes.extend(changes.clone());
    causes.extend(changes);
    if known(resource).builtin {
        causes.extend(kinds::check_update(resource, before, object));
    } else {
        causes.extend(custom(resource, object));
    }
    causes
}

/// What a definition demands, and what is known of the numbers that are scaled.
fn custom(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = definition::check(&known(resource).schema, object);
    if let Some(kind) = object.get("kind").filter(|kind| *kind != resource.kind) {
        let detail = format!("must be {}", resource.kind);
        causes.insert(0, Cause::invalid("kind", kind, &detail));
        return causes;
    }
    if !causes.is_empty() {
        if let Some(replicas) = object.pointer("/spec/replicas").filter(|_| resource.scale) {
            causes.extend(scaled(replicas));
        }
        causes.push(Cause {
            reason: "FieldValueInvalid",
            field: "<nil>".to_owned(),
            message: format!("Invalid value: null: {UNCHECKED}"),
        });
    }
    causes
}

fn scaled(replicas: &Value) -> Option<Cause> {
    match replicas {
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            let detail = "should be a non-negative integer";
            Some(Cause::invalid(".spec.replicas", replicas, detail))
        }
        Value::String(text) => {
            let detail =
                format!(".spec.replicas accessor error: {text} is of the type string, expected int64");
            Some(Cause::invalid(".spec.replicas", &json!(0), &detail))
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_) => None,
    }
}

/// Checks the metadata of an object.
fn metadata(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let meta = |key: &str| object.get("metadata").and_then(|meta| meta.get(key));
    match meta("name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        None => causes.push(Cause::required("metadata.name", "name or generateName is required")),
        Some(name) => {
            let wrong = names::subdomain(name);
            let value = json!(name);
            causes.extend(wrong.iter().map(|said| Cause::invalid("metadata.name", &value, said)));
        }
    }
    causes.extend(texts(object));
    for finalizer in meta("finalizers").and_then(Value::as_array).into_iter().flatten() {
        let wrong = names::key(finalizer.as_str().unwrap_or_default());
        let cause = |said: &String| Cause::invalid("metadata.finalizers", finalizer, said);
        causes.extend(wrong.iter().map(cause));
    }
    causes
}

/// Checks labels, annotations and owners.
fn texts(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let fields = |key: &str| {
        let fields = object.get("metadata").and_then(|meta| meta.get(key));
        fields.and_then(Value::as_object).into_iter().flatten()
    };
    for (key, value) in fields("labels") {
        let said = |said: &String| Cause::invalid("metadata.labels", &json!(key), said);
        causes.extend(names::key(key).iter().map(said));
        let said = |said: &String| Cause::invalid("metadata.labels", value, said);
        causes.extend(names::value(value.as_str().unwrap_or_default()).iter().map(said));
    }
    for (key, _) in fields("annotations") {
        let said = |said: &String| Cause::invalid("metadata.annotations", &json!(key), said);
        causes.extend(names::key(&key.to_lowercase()).iter().map(said));
    }
    causes.extend(owners(object));
    causes
}

fn owners(object: &Value) -> Vec<Cause> {
    const FIELD: &str = "metadata.ownerReferences";
    let mut causes = Vec::new();
    let all = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let mut controller: Option<String> = None;
    for owner in all.into_iter().flatten() {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        for (key, said) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(key).is_empty() {
                causes.push(Cause::invalid(format!("{FIELD}.{key}"), &json!(""), said));
            }
        }
        if owner.get("controller").and_then(Value::as_bool) == Some(true) {
            let own = format!("{}/{}", text("kind"), text("name"));
            if let Some(other) = &controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in \
                     references for {other} and {own}"
                );
                causes.push(Cause::invalid(FIELD, &json!(all), &detail));
            } else {
                controller = Some(own);
            }
        }
    }
    causes
}

/// Checks what may not change in metadata.
fn changes(before: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let meta = |object: &Value, key: &str| {
        object.get("metadata").and_then(|meta| meta.get(key)).cloned().unwrap_or_default()
    };
    if !meta(before, "deletionTimestamp").is_null() {
        let texts = |object: &Value| -> std::collections::BTreeSet<String> {
            let all = meta(object, "finalizers");
            let all = all.as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let new: Vec<String> = texts(object).difference(&texts(before)).cloned().collect();
        if !new.is_empty() {
            let all: Vec<String> = new.iter().map(|name| format!("{name:?}")).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                all.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &detail));
        }
    }
    for key in ["name", "namespace", "uid"] {
        let value = meta(object, key);
        if value != meta(before, key) {
            let field = format!("metadata.{key}");
            causes.push(Cause::invalid(field, &value, "field is immutable"));
        }
    }
    causes.extend(texts(object));
    causes
}
