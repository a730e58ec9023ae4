//! Fields: field selectors; each kind knows a few fields.

use serde_json::Value;

use crate::sim::resource::Resource;
use crate::sim::rules::selector::unreadable::Unreadable;

/// What every kind knows.
const EVERYWHERE: &[&str] = &["metadata.name", "metadata.namespace"];

/// One demand of a field selector.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldTerm {
    pointer: String,
    value: String,
    equal: bool,
}

impl FieldTerm {
    /// Tells whether an object is as is demanded.
    pub fn holds(&self, object: &Value) -> bool {
        let same = match object.pointer(&self.pointer) {
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Null) | None => self.value.is_empty(),
            Some(other) => *other == self.value,
        };
        same == self.equal
    }
}

/// Reads a field selector.
///
/// # Errors
/// [`Unreadable`] for fields that the kind does not know.
pub fn read(resource: &Resource, text: &str) -> Result<Vec<FieldTerm>, Unreadable> {
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    parts.map(|part| term(resource, part)).collect()
}

fn term(resource: &Resource, text: &str) -> Result<FieldTerm, Unreadable> {
    let (name, value, equal) = if let Some((name, value)) = text.split_once("!=") {
        (name, value, false)
    } else if let Some((name, value)) = text.split_once('=') {
        (name, value.strip_prefix('=').unwrap_or(value), true)
    } else {
        let message = format!("invalid selector: '{text}'; can't understand '{text}'");
        return Err(Unreadable(message));
    };
    let name = name.trim();
    if !EVERYWHERE.contains(&name) && !own(resource.plural).contains(&name) {
        return Err(Unreadable(if resource.custom() || !own(resource.plural).is_empty() {
            format!("field label not supported: {name}")
        } else {
            let known = "\"metadata.name\", \"metadata.namespace\"";
            format!("{name:?} is not a known field selector: only {known}")
        }));
    }
    let pointer = format!("/{}", name.replace('.', "/"));
    Ok(FieldTerm { pointer, value: value.trim().to_owned(), equal })
}

/// What a kind (its plural) knows besides.
fn own(plural: &str) -> &'static [&'static str] {
    match plural {
        "pods" => &["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "status.phase"],
        "replicasets" => &["status.replicas"],
        "services" => &["spec.clusterIP", "spec.type"],
        "events" => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "reason",
            "reportingController",
            "type",
        ],
        _ => &[],
    }
}
