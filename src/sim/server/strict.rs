//! Strict: what is done about fields of a body that a kind does not know. It drops none.

use serde_json::Value;

use crate::sim::resource::Resource;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::schema::shape::{Form, Schema};
use crate::sim::server::target::Query;

/// What is done about unknown fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Nothing.
    Ignore,
    /// The client is told.
    Warn,
    /// The request is refused.
    Refuse,
}

impl Strictness {
    /// Reads what a request asks for.
    pub fn read(query: &Query) -> Self {
        match query.text("fieldValidation") {
            "Ignore" => Self::Ignore,
            "Strict" => Self::Refuse,
            _ => Self::Warn,
        }
    }

    /// Returns what the client is told of an object.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(self, resource: &Resource, object: &Value) -> Result<Vec<String>, String> {
        if self == Self::Ignore {
            return Ok(Vec::new());
        }
        let mut unknown = Vec::new();
        walk(&known(resource).schema, object, "", &mut unknown);
        let told: Vec<String> =
            unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
        if self == Self::Refuse && !told.is_empty() {
            return Err(format!("strict decoding error: {}", told.join(", ")));
        }
        Ok(told)
    }
}

fn walk(schema: &Schema, value: &Value, path: &str, unknown: &mut Vec<String>) {
    match (&schema.form, value) {
        (Form::Map(shape), Value::Object(fields)) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                let path = || format!("{path}{dot}{name}");
                match shape.fields.get(name) {
                    Some(field) if value.is_object() || value.is_array() => {
                        walk(&field.schema, value, &path(), unknown);
                    }
                    Some(_) => {}
                    None if shape.open || shape.rest.is_some() => {}
                    None => unknown.push(path()),
                }
            }
        }
        (Form::List(list), Value::Array(items)) => {
            for (at, item) in items.iter().enumerate() {
                walk(&list.item, item, &format!("{path}[{at}]"), unknown);
            }
        }
        (Form::Any | Form::Scalar(_) | Form::Map(_) | Form::List(_), _) => {}
    }
}
