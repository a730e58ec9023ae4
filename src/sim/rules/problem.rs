//! Problem: one thing that is wrong with an object, as the API server words it.

use serde_json::{Value, json};

/// One thing that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, as `spec.ports[0].name`.
    pub field: String,
    /// The reason: `FieldValueRequired`.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Problem {
    /// A field that has to be there.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = match detail {
            "" => "Required value".to_owned(),
            detail => format!("Required value: {detail}"),
        };
        Self { field: field.into(), reason: "FieldValueRequired", message }
    }

    /// A value that may not be.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::invalid_text(field, &value.to_string(), detail)
    }

    /// A value that may not be, already written as it is shown.
    pub fn invalid_text(field: impl Into<String>, value: &str, detail: &str) -> Self {
        let message = format!("Invalid value: {value}: {detail}");
        Self { field: field.into(), reason: "FieldValueInvalid", message }
    }

    /// A value of another type; `kind` is what it is.
    pub fn wrong_type(field: impl Into<String>, kind: &str, detail: &str) -> Self {
        let message = format!("Invalid value: {kind:?}: {detail}");
        Self { field: field.into(), reason: "FieldValueTypeInvalid", message }
    }

    /// A list or map that has too many items.
    pub fn too_many(field: impl Into<String>, count: u64, most: u64) -> Self {
        let items = if most == 1 { "item" } else { "items" };
        let message = format!("Too many: {count}: must have at most {most} {items}");
        Self { field: field.into(), reason: "FieldValueTooMany", message }
    }

    /// A value that is none of a few.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let all: Vec<String> = supported.iter().map(|text| json!(text).to_string()).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", all.join(", "));
        Self { field: field.into(), reason: "FieldValueNotSupported", message }
    }

    /// A value that is there twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        let message = format!("Duplicate value: {value}");
        Self { field: field.into(), reason: "FieldValueDuplicate", message }
    }

    /// A field that may not be there, or not change.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        let message = format!("Forbidden: {detail}");
        Self { field: field.into(), reason: "FieldValueForbidden", message }
    }

    /// A text that is too long.
    pub fn too_long(field: impl Into<String>, max: usize) -> Self {
        let message = format!("Too long: may not be more than {max} bytes");
        Self { field: field.into(), reason: "FieldValueTooLong", message }
    }

    /// Returns it as a cause of a refusal.
    pub fn cause(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

/// Writes all problems in one line, as a refusal does. Nobody is told the same twice.
pub fn line(problems: &[Problem]) -> String {
    let mut all: Vec<String> = Vec::new();
    for problem in problems {
        let text = format!("{}: {}", problem.field, problem.message);
        if !all.contains(&text) {
            all.push(text);
        }
    }
    match all.as_slice() {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}
