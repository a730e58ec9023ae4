//! Failure: a request that is not carried out, as a `Status` object. It decides nothing.

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use crate::sim::cluster::feed::json_text;
use crate::sim::cluster::refusal::Refusal;
use crate::sim::resource::{RESOURCES, Resource};
use crate::sim::rules::problem::{self, Problem};

/// What a stale write is told.
pub const MODIFIED: &str = "the object has been modified; please apply your changes to the latest \
    version and try again";

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
    /// What it is about, if it tells.
    pub details: Option<Map<String, Value>>,
    /// Whether it is told as a page of text.
    pub page: bool,
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
        Self { code, reason, message: message.into(), details: None, page: false }
    }

    /// A failure of a library of the server, which has no reason of its own.
    pub fn plain(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// A request that cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// Says that an object is of another namespace than the path.
    pub fn other_namespace() -> Self {
        Self::bad(
            "the namespace of the provided object does not match the namespace sent on the request",
        )
    }

    /// A path that nothing is served at, within a group that the server knows.
    pub fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self { details: Some(Map::new()), ..Self::new(404, "NotFound", message) }
    }

    /// A path that nothing is served at.
    pub fn no_such_page() -> Self {
        Self { page: true, ..Self::new(404, "", "404 page not found\n") }
    }

    /// A path that nothing is served at: within the groups that are built in it is told as an
    /// object, elsewhere as a page.
    pub fn nothing_at(path: &str) -> Self {
        let mut parts = path.trim_matches('/').split('/');
        let (root, group) = (parts.next(), parts.next());
        let mut builtin = RESOURCES.iter().filter(|resource| !resource.custom());
        match (root, group) {
            (Some("api"), _) => Self::no_such_path(),
            (_, Some(group)) if builtin.any(|resource| resource.group == group) => {
                Self::no_such_path()
            }
            _ => Self::no_such_page(),
        }
    }

    /// A verb that is not served there.
    pub fn no_such_verb() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: Some(Map::new()), ..Self::new(405, "MethodNotAllowed", message) }
    }

    /// A verb that is not served for a custom kind.
    pub fn unsupported(resource: &Resource, verb: &str) -> Self {
        let message =
            format!("{verb} is not supported on resources of kind \"{}\"", resource.qualified());
        Self::new(405, "MethodNotAllowed", message)
            .with(&[("group", resource.group), ("kind", resource.plural)])
    }

    /// A namespace that is not there.
    pub fn no_namespace(name: &str) -> Self {
        Self::new(404, "NotFound", format!("namespaces {name:?} not found"))
            .with(&[("name", name), ("kind", "namespaces")])
    }

    /// An answer that cannot be written in any form that is asked for.
    pub fn not_acceptable(builtin: bool) -> Self {
        const KNOWN: &str =
            "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        const REASON: &str = "NotAcceptable";
        if builtin {
            let message = format!("406: Not Acceptable\n\nAvailable representations: {KNOWN}");
            Self { details: Some(Map::new()), ..Self::new(406, REASON, message) }
        } else {
            let message = format!("only the following media types are accepted: {KNOWN}");
            Self::new(406, REASON, message)
        }
    }

    /// An object that is not there.
    pub fn absent(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    /// A version that the server has not come to yet.
    pub fn too_new(revision: u64, current: u64) -> Self {
        let cause = json!({"reason": "ResourceVersionTooLarge",
            "message": "Too large resource version"});
        let message =
            format!("Timeout: Too large resource version: {revision}, current: {current}");
        let mut failure = Self::new(504, "Timeout", message);
        let details = failure.details.get_or_insert_default();
        details.insert("causes".to_owned(), json!([cause]));
        details.insert("retryAfterSeconds".to_owned(), json!(1));
        failure
    }

    /// An object, or a parameter, that may not be as it would be. The kind has its group.
    pub fn invalid(group: &str, kind: &str, name: &str, problems: &[Problem]) -> Self {
        let title = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let line = problem::line(problems);
        let mut failure = Self::new(422, "Invalid", format!("{title} {name:?} is invalid: {line}"))
            .with(&[("name", name), ("group", group), ("kind", kind)]);
        let causes: Vec<Value> = problems.iter().map(Problem::cause).collect();
        let details = failure.details.get_or_insert_default();
        details.insert("causes".to_owned(), Value::Array(causes));
        failure
    }

    /// A patch that does not fit the object.
    pub fn unfit() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self { details: Some(Map::new()), ..Self::new(422, "Invalid", message) }
    }

    /// A body of a type that is not read there; `known` are those that are.
    pub fn media_type(known: Option<&str>) -> Self {
        const REASON: &str = "UnsupportedMediaType";
        match known {
            None => {
                let message = "415: Unsupported Media Type";
                Self { details: Some(Map::new()), ..Self::new(415, REASON, message) }
            }
            Some(known) => {
                let message = "the body of the request was in an unknown format - accepted media \
                    types include";
                Self::new(415, REASON, format!("{message}: {known}"))
            }
        }
    }

    fn with(mut self, details: &[(&str, &str)]) -> Self {
        let all = self.details.get_or_insert_default();
        for (key, value) in details.iter().filter(|(_, value)| !value.is_empty()) {
            all.entry(*key).or_insert_with(|| json!(value));
        }
        self
    }

    /// A write that comes from an old version, or finds another object; `plural` names the
    /// resource as the server does there.
    pub fn conflict(resource: &Resource, plural: &str, name: &str, why: &str) -> Self {
        let dot = if resource.group.is_empty() { "" } else { "." };
        let title = format!("{plural}{dot}{}", resource.group);
        let message = format!("Operation cannot be fulfilled on {title} {name:?}: {why}");
        Self::new(409, "Conflict", message).with(&[
            ("name", name),
            ("group", resource.group),
            ("kind", plural),
        ])
    }

    /// Names the object that it is about.
    #[must_use]
    pub fn about(self, resource: &Resource, name: &str) -> Self {
        let told = self.details.is_some();
        if !told && ["NotFound", "AlreadyExists", "Conflict"].contains(&self.reason) {
            return self.with(&[
                ("name", name),
                ("group", resource.group),
                ("kind", resource.plural),
            ]);
        }
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
        if self.page {
            return self.message.clone().into();
        }
        json_text(&self.status())
    }
}
