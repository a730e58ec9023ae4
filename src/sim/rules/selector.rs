//! Selector: tells whether an object is meant by a label or field selector. It lists nothing.

use serde_json::Value;

use crate::sim::rules::meta;

/// A label selector and a field selector, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Term>,
    fields: Vec<FieldTerm>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldTerm {
    field: Field,
    value: String,
    equal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
}

/// A selector that cannot be read: what the API server says of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Selector {
    /// Reads a label and a field selector; an empty text selects everything.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(labels: &str, fields: &str) -> Result<Self, Unreadable> {
        let labels = split(labels).iter().map(|text| term(text)).collect::<Result<_, _>>()?;
        let parts = fields.split(',').filter(|part| !part.trim().is_empty());
        let fields = parts.map(field_term).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Tells whether everything is selected.
    pub fn everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Tells whether an object is selected.
    pub fn selects(&self, object: &Value) -> bool {
        self.fields.iter().all(|term| term.holds(object)) && {
            let labels = object.pointer("/metadata/labels");
            let label = |key: &str| labels.and_then(|all| all.get(key)).and_then(Value::as_str);
            self.labels.iter().all(|term| term.holds(label))
        }
    }
}

impl FieldTerm {
    fn holds(&self, object: &Value) -> bool {
        let key = match self.field {
            Field::Name => "name",
            Field::Namespace => "namespace",
        };
        (meta::text(object, key).unwrap_or_default() == self.value) == self.equal
    }
}

impl Term {
    fn holds<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let among = |key: &str, values: &[String]| {
            label(key).is_some_and(|value| values.iter().any(|one| one == value))
        };
        match self {
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
            Self::In(key, values) => among(key, values),
            Self::NotIn(key, values) => !among(key, values),
        }
    }
}

/// Splits at the commas that are in no brackets.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match parts.last_mut() {
            Some(part) if c != ',' || depth > 0 => part.push(c),
            Some(_) | None => parts.push(String::new()),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn term(text: &str) -> Result<Term, Unreadable> {
    let text = text.trim();
    let trimmed = |part: &str| part.trim().to_owned();
    if let Some((key, rest)) = text.split_once(char::is_whitespace)
        && let Some((word, values)) = rest.trim().split_once('(')
        && let Some(values) = values.trim_end().strip_suffix(')')
    {
        let values = values.split(',').map(trimmed).collect();
        match word.trim() {
            "in" => return Ok(Term::In(trimmed(key), values)),
            "notin" => return Ok(Term::NotIn(trimmed(key), values)),
            _ => {}
        }
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Term::NotIn(trimmed(key), vec![trimmed(value)]));
    }
    if let Some((key, value)) = text.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return Ok(Term::In(trimmed(key), vec![trimmed(value)]));
    }
    if let Some(key) = text.strip_prefix('!') {
        return Ok(Term::Absent(trimmed(key)));
    }
    if text.contains(|c: char| c.is_whitespace() || "()<>".contains(c)) {
        let message = format!("unable to parse requirement: found '{text}'");
        return Err(Unreadable(message));
    }
    Ok(Term::Exists(text.to_owned()))
}

fn field_term(text: &str) -> Result<FieldTerm, Unreadable> {
    let (name, value, equal) = if let Some((name, value)) = text.split_once("!=") {
        (name, value, false)
    } else if let Some((name, value)) = text.split_once('=') {
        (name, value.strip_prefix('=').unwrap_or(value), true)
    } else {
        let message = format!("invalid selector: '{text}'; can't understand '{text}'");
        return Err(Unreadable(message));
    };
    let field = match name.trim() {
        "metadata.name" => Field::Name,
        "metadata.namespace" => Field::Namespace,
        other => return Err(Unreadable(format!("field label not supported: {other}"))),
    };
    Ok(FieldTerm { field, value: value.trim().to_owned(), equal })
}
