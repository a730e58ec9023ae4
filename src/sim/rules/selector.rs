//! Selector: tells whether an object is meant by a label or field selector. It lists nothing.

pub mod fields;
pub mod labels;
pub mod unreadable;

use serde_json::Value;

use crate::sim::resource::Resource;
use crate::sim::rules::meta;
use fields::FieldTerm;
use labels::Term;
use unreadable::Unreadable;

/// A label selector and a field selector, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selector {
    labels: Vec<Term>,
    fields: Vec<FieldTerm>,
}

impl Selector {
    /// Reads a label and a field selector; an empty text selects everything.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Unreadable> {
        Ok(Self { labels: labels::read(labels)?, fields: fields::read(resource, fields)? })
    }

    /// Tells whether everything is selected.
    pub fn everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Tells whether an object is selected.
    pub fn selects(&self, object: &Value) -> bool {
        self.fields.iter().all(|term| term.holds(object)) && {
            let labels = meta::get(object, "labels");
            let label = |key: &str| labels.and_then(|all| all.get(key)).and_then(Value::as_str);
            self.labels.iter().all(|term| term.holds(label))
        }
    }
}
