//! Shape: the parts of a schema. They are made elsewhere, from text or from JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::sim::rules::schema::checks::Checks;

/// What a value looks like.
#[derive(Debug)]
pub struct Schema {
    /// The kind of value.
    pub form: Form,
    /// What is put where it is missing.
    pub default: Option<Value>,
    /// What else a definition demands of it.
    pub checks: Option<Box<Checks>>,
}

/// Anything: maps whose fields are owned one by one, lists that are owned whole.
pub static ANY: Schema = Schema { form: Form::Any, default: None, checks: None };

/// The kind of a value.
#[derive(Debug)]
pub enum Form {
    /// Anything at all.
    Any,
    /// A text, a number, a truth value, or what is treated like one.
    Scalar(Scalar),
    /// An object.
    Map(Struct),
    /// An array.
    List(List),
}

/// The kind of a single value; `Other` is what the server reads in ways of its own (times,
/// quantities, numbers that may be texts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    Text,
    /// A number.
    Number,
    /// A boolean.
    Truth,
    /// Anything single.
    Other,
}

/// An object with named fields, or a map, or both.
#[derive(Debug, Default)]
pub struct Struct {
    /// The name of the server's own type; empty if it has none.
    pub name: String,
    /// The named fields.
    pub fields: BTreeMap<String, Field>,
    /// What stands under other names, if it may.
    pub rest: Option<Arc<Schema>>,
    /// Whether what the definition does not know is kept.
    pub open: bool,
    /// Whether it is owned as one.
    pub atomic: bool,
}

/// A named field.
#[derive(Debug)]
pub struct Field {
    /// What it looks like.
    pub schema: Arc<Schema>,
    /// When it is written.
    pub presence: Presence,
}

/// When a field of a built-in kind is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always, even if it is empty.
    Always,
    /// Always, as null if it was not given.
    Null,
    /// If it was given.
    Given,
    /// If it is not empty.
    Filled,
}

/// An array.
#[derive(Debug)]
pub struct List {
    /// What its items look like.
    pub item: Arc<Schema>,
    /// How its items are told apart.
    pub lines: Lines,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lines {
    /// They are not: the list is owned as one.
    Atomic,
    /// By themselves.
    Set,
    /// By some of their fields.
    Keys(Vec<String>),
}

impl Schema {
    /// Makes a schema of a form, with nothing else.
    pub fn of(form: Form) -> Self {
        Self { form, default: None, checks: None }
    }

    /// Returns what a field looks like; nothing if the schema has no such field.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match &self.form {
            Form::Any => Some(&ANY),
            Form::Map(fields) => fields.field(name),
            Form::Scalar(_) | Form::List(_) => None,
        }
    }

    /// Returns what the items of a list look like.
    pub fn item(&self) -> &Self {
        match &self.form {
            Form::List(list) => &list.item,
            Form::Any | Form::Map(_) | Form::Scalar(_) => &ANY,
        }
    }
}

impl Struct {
    /// Returns what a field looks like; nothing if there is no such field.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        let named = self.fields.get(name).map(|field| &*field.schema);
        named.or(self.rest.as_deref()).or(self.open.then_some(&ANY))
    }
}
