//! Cause: what is wrong with one field of an object, in the words of the API server.

use serde_json::{Value, json};

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The reason: `FieldValueInvalid`.
    pub reason: &'static str,
    /// The field: `spec.ports[0].name`.
    pub field: String,
    /// The sentence without the field.
    pub message: String,
}

impl Cause {
    /// A value that may not be.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = format!("Invalid value: {value}: {detail}");
        Self { reason: "FieldValueInvalid", field: field.into(), message }
    }

    /// A value of another type.
    pub fn wrong_type(field: impl Into<String>, kind: &str, detail: &str) -> Self {
        let message = format!("Invalid value: {kind:?}: {detail}");
        Self { reason: "FieldValueTypeInvalid", field: field.into(), message }
    }

    /// A value that is missing.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueRequired", field: field.into(), message: said("Required value", detail) }
    }

    /// A change that may not be.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: said("Forbidden", detail) }
    }

    /// A value that is none of those that may be.
    pub fn unsupported(field: impl Into<String>, value: &Value, known: &[Value]) -> Self {
        let text = |value: &Value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{text:?}")
        };
        let known: Vec<String> = known.iter().map(text).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", known.join(", "));
        Self { reason: "FieldValueNotSupported", field: field.into(), message }
    }

    /// A value that stands twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        let message = format!("Duplicate value: {value}");
        Self { reason: "FieldValueDuplicate", field: field.into(), message }
    }

    /// A text that is too long.
    pub fn too_long(field: impl Into<String>, most: u64) -> Self {
        let message = format!("Too long: may not be more than {most} bytes");
        Self { reason: "FieldValueTooLong", field: field.into(), message }
    }

    /// A list or map that has too many items.
    pub fn too_many(field: impl Into<String>, count: u64, most: u64) -> Self {
        let items = if most == 1 { "item" } else { "items" };
        let message = format!("Too many: {count}: must have at most {most} {items}");
        Self { reason: "FieldValueTooMany", field: field.into(), message }
    }

    /// Returns it as a part of a `Status`.
    pub fn to_json(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

fn said(what: &str, detail: &str) -> String {
    if detail.is_empty() { what.to_owned() } else { format!("{what}: {detail}") }
}

/// Joins causes to one sentence. One that stands twice is said once.
pub fn sentence(causes: &[Cause]) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in causes {
        let text = format!("{}: {}", cause.field, cause.message);
        if !said.contains(&text) {
            said.push(text);
        }
    }
    match said.as_slice() {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}
