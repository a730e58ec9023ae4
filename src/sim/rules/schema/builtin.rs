//! Builtin: reads the compact text about the built-in kinds. It knows none of them by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::rules::schema::shape::{
    Field, Form, Lines, List, Presence, Scalar, Schema, Struct,
};

/// The text.
const TEXT: &str = include_str!("builtin.txt");

/// Reads all types of the text that are asked for.
#[derive(Debug)]
pub struct Types {
    lines: BTreeMap<&'static str, Vec<&'static str>>,
    made: BTreeMap<String, Arc<Schema>>,
}

impl Types {
    /// Takes the text apart.
    pub fn read() -> Self {
        let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut name = "";
        for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("  ") {
                Some(field) => lines.entry(name).or_default().push(field),
                None => name = line,
            }
        }
        Self { lines, made: BTreeMap::new() }
    }

    /// Makes the schema of a type. One that the text does not have is anything.
    pub fn schema(&mut self, name: &str) -> Arc<Schema> {
        if let Some(made) = self.made.get(name) {
            return Arc::clone(made);
        }
        let (kind, marks) = split_marks(name);
        let made = Arc::new(self.make(kind, marks));
        self.made.insert(name.to_owned(), Arc::clone(&made));
        made
    }

    fn make(&mut self, kind: &str, marks: &str) -> Schema {
        let inner = |open: char, close: char| {
            kind.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
        };
        let atomic = marks == "atomic";
        if let Some(inner) = inner('{', '}') {
            let rest = Some(self.schema(inner));
            return Schema::of(Form::Map(Struct { rest, atomic, ..Struct::default() }));
        }
        if let Some(inner) = inner('[', ']') {
            let lines = match marks {
                "" => Lines::Atomic,
                "set" => Lines::Set,
                keys => Lines::Keys(keys.split(',').map(str::to_owned).collect()),
            };
            return Schema::of(Form::List(List { item: self.schema(inner), lines }));
        }
        let scalar = |scalar| Schema::of(Form::Scalar(scalar));
        match kind {
            "string" => scalar(Scalar::Text),
            "numeric" => scalar(Scalar::Number),
            "boolean" => scalar(Scalar::Truth),
            "untyped" => scalar(Scalar::Other),
            name => match self.lines.get(name).cloned() {
                None => Schema::of(Form::Any),
                Some(lines) => {
                    let fields = lines.into_iter().filter_map(|line| self.field(line)).collect();
                    let name = name.to_owned();
                    Schema::of(Form::Map(Struct { name, fields, atomic, ..Struct::default() }))
                }
            },
        }
    }

    /// Reads `name? type = default`.
    fn field(&mut self, line: &str) -> Option<(String, Field)> {
        let (name, kind) = line.split_once(' ')?;
        let (kind, default) = match kind.split_once(" = ") {
            Some((kind, default)) => (kind, Some(default)),
            None => (kind, None),
        };
        let presence = match name.chars().last()? {
            '!' => Presence::Always,
            '~' => Presence::Null,
            '*' => Presence::Given,
            _ => Presence::Filled,
        };
        let mut schema = self.schema(kind);
        // The defaults of the text are those that tell items apart; the others are set by rules.
        if let Some(default) = default.filter(|_| presence == Presence::Filled) {
            let Form::Scalar(scalar) = &schema.form else { return None };
            let form = Form::Scalar(*scalar);
            schema = Arc::new(Schema { form, default: Some(json!(default)), checks: None });
        }
        let name = name.trim_end_matches(['!', '~', '*', '?']);
        Some((name.to_owned(), Field { schema, presence }))
    }
}

/// Takes the marks after the exclamation mark off that is outside of brackets.
fn split_marks(name: &str) -> (&str, &str) {
    let close = name.rfind(['}', ']']).unwrap_or(0);
    let (head, tail) = name.split_at_checked(close).unwrap_or((name, ""));
    match tail.split_once('!') {
        Some((rest, marks)) => {
            let kind = name.get(..head.len() + rest.len()).unwrap_or(name);
            (kind, marks)
        }
        None => (name, ""),
    }
}

/// What the server writes for a value of a built-in kind that nobody gave.
pub fn empty(schema: &Schema, name: &str) -> Value {
    match &schema.form {
        Form::Any | Form::List(_) => Value::Null,
        Form::Scalar(Scalar::Text) => json!(""),
        Form::Scalar(Scalar::Number) => json!(0),
        Form::Scalar(Scalar::Truth) => json!(false),
        // A port may be a name or a number, and is a number first; the others are times.
        Form::Scalar(Scalar::Other) if name.to_lowercase().ends_with("port") => json!(0),
        Form::Scalar(Scalar::Other) => Value::Null,
        Form::Map(fields) if fields.fields.is_empty() => Value::Null,
        Form::Map(_) => {
            let mut made = json!({});
            normalise(schema, &mut made);
            made
        }
    }
}

/// Writes an object as the server does that reads it into a type of its own: without unknown and
/// empty fields, and with those that are always there.
pub fn normalise(schema: &Schema, value: &mut Value) {
    match (&schema.form, value) {
        (Form::Map(shape), Value::Object(fields)) if !shape.fields.is_empty() => {
            fields.retain(|name, value| match shape.fields.get(name) {
                None => false,
                Some(field) => {
                    normalise(&field.schema, value);
                    match field.presence {
                        Presence::Always | Presence::Null => true,
                        Presence::Given => !value.is_null(),
                        Presence::Filled => !blank(value),
                    }
                }
            });
            for (name, field) in &shape.fields {
                let value = match field.presence {
                    Presence::Given | Presence::Filled => continue,
                    Presence::Always | Presence::Null => fields.entry(name).or_insert(Value::Null),
                };
                if value.is_null() && field.presence == Presence::Always {
                    *value = empty(&field.schema, name);
                }
            }
        }
        (Form::Map(shape), Value::Object(fields)) => {
            let Some(rest) = &shape.rest else { return };
            for value in fields.values_mut() {
                if value.is_null() && matches!(rest.form, Form::Scalar(Scalar::Text)) {
                    *value = json!("");
                }
                normalise(rest, value);
            }
        }
        (Form::List(list), Value::Array(items)) => {
            items.iter_mut().for_each(|item| normalise(&list.item, item));
        }
        (Form::Any | Form::Scalar(_) | Form::Map(_) | Form::List(_), _) => {}
    }
}

/// Tells whether a value is what the server leaves out.
fn blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
