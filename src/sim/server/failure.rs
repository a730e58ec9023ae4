//! Failure: a request that is not carried out, as a `Status` object. It decides nothing.

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use crate::sim::cluster::Refusal;
use crate::sim::cluster::feed::json_text;
use crate::sim::resource::Resource;

/// A request that is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct Failure {
    /// The HTTP status.
    pub code: u16,
    /// The reason.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// What it is about.
    pub details: Map<String, Value>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, reason, message } = refusal;
        Self::new(code, reason, message)
    }
}

impl Failure {
    /// Makes a failure without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Map::new() }
    }

    /// A request that cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A path that nothing is served at.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// A verb that is not served there.
    pub fn no_such_verb() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message)
    }

    /// An object that may not be as it would be.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message)
    }

    /// A write that comes from an old version, or finds another object.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let what = resource.qualified();
        let message = format!("Operation cannot be fulfilled on {what} \"{name}\": {why}");
        Self::new(409, "Conflict", message)
    }

    /// Names the object that it is about.
    #[must_use]
    pub fn about(mut self, resource: &Resource, name: &str) -> Self {
        let kind = if self.reason == "Invalid" { resource.kind } else { resource.plural };
        if ["NotFound", "AlreadyExists", "Conflict", "Invalid"].contains(&self.reason) {
            for (key, value) in [("name", name), ("group", resource.group), ("kind", kind)] {
                if !value.is_empty() {
                    self.details.entry(key).or_insert_with(|| json!(value));
                }
            }
        }
        self
    }

    /// Returns it as an object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let (false, Value::Object(fields)) = (self.details.is_empty(), &mut status) {
            fields.insert("details".to_owned(), Value::Object(self.details.clone()));
        }
        status
    }

    /// Returns it as JSON.
    pub fn text(&self) -> Bytes {
        json_text(&self.status())
    }
}
