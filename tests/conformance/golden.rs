//! Golden: the answers of the real API server as they are stored, one file for each family.
//!
//! ```text
//! # the title of a sequence
//! > POST configmaps
//! {"body": …, "status": 201}
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::table::{Sequence, folder};

/// A value that fits is written in one line.
const COLUMNS: usize = 120;

/// The stored answers of every sequence, by title.
pub fn read(sequences: &[Sequence]) -> BTreeMap<String, Vec<Value>> {
    let mut families: Vec<&str> = sequences.iter().map(|s| s.family.as_str()).collect();
    families.dedup();
    let mut stored = BTreeMap::new();
    for family in families {
        let path = folder().join("golden").join(format!("{family}.txt"));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for chunk in text.split("\n# ").map(|chunk| chunk.trim_start_matches("# ")) {
            let mut answers = chunk.split("\n> ");
            let Some(title) = answers.next().filter(|title| !title.is_empty()) else { continue };
            let answer = |answer: &str| {
                let json = answer.split_once('\n').map_or("", |(_, json)| json);
                serde_json::from_str(json).unwrap_or_else(|e| panic!("{family}: {title}: {e}"))
            };
            stored.insert(title.trim().to_owned(), answers.map(answer).collect());
        }
    }
    stored
}

/// Stores answers, in the order of the table.
pub fn write(sequences: &[Sequence], answers: &[Vec<Value>]) {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (sequence, answers) in sequences.iter().zip(answers) {
        let text = files.entry(&sequence.family).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "# {}", sequence.title);
        for (request, answer) in sequence.requests.iter().zip(answers) {
            let _ = writeln!(text, "> {}", request.head);
            show(answer, 0, text);
            text.push('\n');
        }
    }
    let golden = folder().join("golden");
    for old in std::fs::read_dir(&golden).unwrap() {
        std::fs::remove_file(old.unwrap().path()).unwrap();
    }
    for (family, text) in files {
        std::fs::write(golden.join(format!("{family}.txt")), text).unwrap();
    }
}

/// JSON that is broken only where a line would be too long; short members share lines.
fn show(value: &Value, indent: usize, text: &mut String) {
    let line = value.to_string();
    if indent + line.len() <= COLUMNS {
        text.push_str(&line);
        return;
    }
    let (open, close, members) = match value {
        Value::Object(fields) => {
            let name = |key: &String| format!("{}: ", Value::from(key.as_str()));
            ('{', '}', fields.iter().map(|(key, value)| (name(key), value)).collect())
        }
        Value::Array(items) => {
            ('[', ']', items.iter().map(|item| (String::new(), item)).collect::<Vec<_>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&line);
            return;
        }
    };
    text.push(open);
    let mut room = 0;
    for (at, (name, value)) in members.into_iter().enumerate() {
        let mut member = name;
        show(value, indent + 1, &mut member);
        let comma = if at == 0 { "" } else { "," };
        text.push_str(comma);
        if member.contains('\n') || room < member.len() + 2 {
            let _ = write!(text, "\n{}", " ".repeat(indent + 1));
            room = COLUMNS.saturating_sub(indent + 1);
        } else {
            text.push(' ');
        }
        room = if member.contains('\n') { 0 } else { room.saturating_sub(member.len() + 2) };
        text.push_str(&member);
    }
    let _ = write!(text, "\n{}{close}", " ".repeat(indent));
}

/// One field in which two answers differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// As `2.body.metadata.labels`: from 1, which answer, and the field in it.
    pub field: String,
    pub real: String,
    pub other: String,
}

/// Every field in which the answers to one sequence differ.
pub fn differences(real: &[Value], other: &[Value]) -> Vec<Difference> {
    let mut found = Vec::new();
    for at in 0..real.len().max(other.len()) {
        let none = Value::Null;
        let (real, other) = (real.get(at).unwrap_or(&none), other.get(at).unwrap_or(&none));
        compare(&(at + 1).to_string(), Some(real), Some(other), &mut found);
    }
    found
}

fn compare(field: &str, real: Option<&Value>, other: Option<&Value>, found: &mut Vec<Difference>) {
    if real == other {
        return;
    }
    match (real, other) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                compare(&format!("{field}.{key}"), a.get(key), b.get(key), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for at in 0..a.len().max(b.len()) {
                compare(&format!("{field}.{at}"), a.get(at), b.get(at), found);
            }
        }
        (real, other) => {
            let text = |value: Option<&Value>| value.map_or("(nothing)".into(), Value::to_string);
            found.push(Difference {
                field: field.to_owned(),
                real: text(real),
                other: text(other),
            });
        }
    }
}
