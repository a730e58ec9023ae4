//! Failure: a request that is not carried out, as a `Status` object. It decides nothing.

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use crate::sim::cluster::Refusal;
use crate::sim::cluster::feed::json_text;
use crate::sim::resource::Resource;
use crate::sim::rules::cause::{Cause, sentence};

/// What a stale write is told.
pub const MODIFIED: &str = "the object has been modified; please apply your changes to the latest \
    version and try again";

/// A request that is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct Failure {
    /// The HTTP status.
    pub code: u16,
    /// The reason; empty for none.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// What it is about.
    pub details: Option<Map<String, Value>>,
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
        Self { code, reason, message: message.into(), details: None }
    }

    /// A failure that the server knows no more of than its code.
    fn bare(code: u16, reason: &'static str, message: &str) -> Self {
        Self { details: Some(Map::new()), ..Self::new(code, reason, message) }
    }

    /// A request that cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A path that nothing is served at.
    pub fn no_such_path() -> Self {
        Self::bare(404, "NotFound", "the server could not find the requested resource")
    }

    /// A verb that is not served there.
    pub fn no_such_verb() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::bare(405, "MethodNotAllowed", message)
    }

    /// A patch that does not fit the object.
    pub fn unfit() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::bare(422, "Invalid", message)
    }

    /// A body of a type that is not read there.
    pub fn media_type(known: Option<&str>) -> Self {
        match known {
            None => Self::bare(415, "UnsupportedMediaType", "415: Unsupported Media Type"),
            Some(known) => Self::new(
                415,
                "UnsupportedMediaType",
                format!(
                    "the body of the request was in an unknown format - accepted media types \
                     include: {known}"
                ),
            ),
        }
    }

    /// An object that is not there.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    /// An object that may not be as it would be.
    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_kind(resource.group, resource.kind, name, causes)
    }

    /// The same for any kind.
    pub fn invalid_kind(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let dot = if group.is_empty() { "" } else { "." };
        let message = format!("{kind}{dot}{group} {name:?} is invalid: {}", sentence(causes));
        let mut failure = Self::new(422, "Invalid", message);
        let mut details = Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details.insert(key.to_owned(), json!(value));
            }
        }
        let causes: Vec<Value> = causes.iter().map(Cause::to_json).collect();
        details.insert("causes".to_owned(), Value::Array(causes));
        failure.details = Some(details);
        failure
    }

    /// Parameters that may not be so; `kind` is what they are together: `PatchOptions`.
    pub fn options(kind: &str, cause: Cause) -> Self {
        Self::invalid_kind("meta.k8s.io", kind, "", &[cause])
    }

    /// A write that comes from an old version, or finds another object; `plural` names the
    /// resource as the server does there.
    pub fn conflict(resource: &Resource, plural: &str, name: &str, why: &str) -> Self {
        let dot = if resource.group.is_empty() { "" } else { "." };
        let message = format!(
            "Operation cannot be fulfilled on {plural}{dot}{} {name:?}: {why}",
            resource.group
        );
        Self::new(409, "Conflict", message).named(resource.group, plural, name)
    }

    /// Names the object that it is about.
    #[must_use]
    pub fn about(self, resource: &Resource, name: &str) -> Self {
        let known = ["NotFound", "AlreadyExists", "Conflict"].contains(&self.reason);
        if self.details.is_some() || !known {
            return self;
        }
        self.named(resource.group, resource.plural, name)
    }

    fn named(mut self, group: &str, kind: &str, name: &str) -> Self {
        let mut details = Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details.insert(key.to_owned(), json!(value));
            }
        }
        self.details = Some(details);
        self
    }

    /// Returns it as an object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if let Value::Object(fields) = &mut status {
            if !self.reason.is_empty() {
                fields.insert("reason".to_owned(), json!(self.reason));
            }
            if let Some(details) = &self.details {
                fields.insert("details".to_owned(), Value::Object(details.clone()));
            }
        }
        status
    }

    /// Returns it as JSON.
    pub fn text(&self) -> Bytes {
        json_text(&self.status())
    }
}
