//! The normal form: what differs between two runs of the same requests is named by its order of
//! appearance or taken away. Never hides that something is there.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use super::play::Answer;
use super::table::Sequence;

static UID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap()
});
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap());
/// An object that a sentence quotes: its members stand in the order of the Go type.
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"Invalid value: "\{(?:[^"\\]|\\.)*\}""#).unwrap());
/// Where a sentence names a resourceVersion.
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(resource ?version(?: [a-z ]+)?(?:: | \()|current: )(\d+)( \(\d+\))?").unwrap()
});

/// What was seen so far in a sequence.
#[derive(Default)]
struct Seen {
    namespace: String,
    /// Times that the sequence itself names.
    times: BTreeSet<String>,
    uids: Vec<String>,
    versions: Vec<String>,
    addresses: Vec<String>,
    /// Names that the server made, and what to call them.
    names: Vec<(String, String)>,
}

/// Brings the answers of a sequence into the normal form.
pub fn answers(sequence: &Sequence, namespace: &str, answers: &[Answer]) -> Vec<Value> {
    let mut seen = Seen { namespace: namespace.to_owned(), ..Seen::default() };
    for body in sequence.requests.iter().filter_map(|request| request.body.as_ref()) {
        seen.times.extend(TIME.find_iter(body).map(|found| found.as_str().to_owned()));
    }
    answers.iter().map(|answer| seen.answer(answer)).collect()
}

impl Seen {
    fn answer(&mut self, answer: &Answer) -> Value {
        let mut fields = Map::new();
        if answer.status != 0 {
            fields.insert("status".to_owned(), json!(answer.status));
        }
        if !answer.warnings.is_empty() {
            let all: Vec<String> = answer.warnings.iter().map(|text| self.text(text)).collect();
            fields.insert("warnings".to_owned(), json!(all));
        }
        if let Some(end) = answer.end {
            fields.insert("end".to_owned(), json!(end));
        }
        match &answer.body {
            Value::Null => {}
            Value::Array(events) => {
                let events = events.iter().map(|event| self.event(event)).collect();
                fields.insert("events".to_owned(), Value::Array(events));
            }
            body @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                let mut body = self.object(body, body.get("items").is_some());
                sort_causes(&mut body);
                fields.insert("body".to_owned(), body);
            }
        }
        Value::Object(fields)
    }

    fn event(&mut self, event: &Value) -> Value {
        let mark = event["type"] == "BOOKMARK";
        json!({"type": event["type"], "object": self.object(&event["object"], mark)})
    }

    /// An object; of a list or a bookmark the version is that of the server, not of an object.
    fn object(&mut self, object: &Value, of_server: bool) -> Value {
        if let (Some(prefix), Some(name)) = (
            object.pointer("/metadata/generateName").and_then(Value::as_str),
            object.pointer("/metadata/name").and_then(Value::as_str),
        ) && !self.names.iter().any(|(known, _)| known == name)
        {
            self.names.push((name.to_owned(), format!("{prefix}{}", self.names.len() + 1)));
        }
        let Value::Object(fields) = object else { return self.value("", object) };
        let mut normal = Map::new();
        for (key, value) in fields {
            let value = match (key.as_str(), value) {
                ("metadata", Value::Object(meta)) => self.meta(meta, of_server),
                ("items" | "rows", Value::Array(items)) => {
                    items.iter().map(|item| self.object(item, false)).collect()
                }
                (key, value) => self.value(key, value),
            };
            normal.insert(key.clone(), value);
        }
        Value::Object(normal)
    }

    fn meta(&mut self, meta: &Map<String, Value>, of_server: bool) -> Value {
        let mut normal = Map::new();
        for (key, value) in meta {
            let value = match (key.as_str(), value) {
                ("resourceVersion", Value::String(_)) if of_server => json!("R"),
                ("resourceVersion", Value::String(version)) => json!(self.version(version)),
                ("continue", Value::String(token)) if !token.is_empty() => json!("C"),
                ("managedFields", Value::Array(entries)) => {
                    // Their order follows the second in which they were written.
                    let mut lines: Vec<String> =
                        entries.iter().map(|entry| self.managed(entry)).collect();
                    lines.sort();
                    json!(lines)
                }
                (key, value) => self.value(key, value),
            };
            normal.insert(key.clone(), value);
        }
        Value::Object(normal)
    }

    fn value(&mut self, key: &str, value: &Value) -> Value {
        match (key, value) {
            ("metadata", Value::Object(meta)) => self.meta(meta, false),
            ("nodePort" | "healthCheckNodePort", Value::Number(port)) => {
                json!(self.address(&port.to_string()))
            }
            ("clusterIP", Value::String(ip)) if ip.starts_with("10.96.") => json!(self.address(ip)),
            ("clusterIPs", Value::Array(all)) => {
                all.iter().map(|ip| self.value("clusterIP", ip)).collect()
            }
            (_, Value::String(text)) => json!(self.text(text)),
            (key, Value::Array(all)) => all.iter().map(|item| self.value(key, item)).collect(),
            (_, Value::Object(fields)) => {
                let fields = fields.iter();
                fields.map(|(key, value)| (self.text(key), self.value(key, value))).collect()
            }
            (_, Value::Null | Value::Bool(_) | Value::Number(_)) => value.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let text = text.replace(&self.namespace, "$ns");
        let text = QUOTED.replace_all(&text, "Invalid value: \"{the object}\"").into_owned();
        let text = UID.replace_all(&text, |found: &Captures<'_>| self.uid(&found[0])).into_owned();
        let times = &self.times;
        // The second is how Go writes a layout.
        let kept = |time: &str| times.contains(time) || time.starts_with("2006-01-02T15:04:05");
        let time = |found: &Captures<'_>| match (kept(&found[0]), found.get(1)) {
            (true, _) => found[0].to_owned(),
            (false, None) => "T".to_owned(),
            (false, Some(fraction)) => format!("T.{}", "0".repeat(fraction.len() - 1)),
        };
        let text = TIME.replace_all(&text, time).into_owned();
        let version = |found: &Captures<'_>| {
            let known = self.versions.iter().position(|known| *known == found[2]);
            let version = known.map_or("R".to_owned(), |at| format!("rv{}", at + 1));
            let kept = found[2].len() < 3 || found[2].starts_with("99999");
            let version = if kept { found[2].to_owned() } else { version };
            format!("{}{version}{}", &found[1], if found.get(3).is_some() { " (R)" } else { "" })
        };
        let mut text = VERSION.replace_all(&text, version).into_owned();
        for (name, called) in &self.names {
            text = text.replace(name, called);
        }
        text
    }

    fn uid(&mut self, uid: &str) -> String {
        format!("uid{}", place(&mut self.uids, uid))
    }

    fn version(&mut self, version: &str) -> String {
        format!("rv{}", place(&mut self.versions, version))
    }

    fn address(&mut self, address: &str) -> String {
        format!("address{}", place(&mut self.addresses, address))
    }

    /// An entry of managedFields in one line.
    fn managed(&mut self, entry: &Value) -> String {
        let text = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
        let part = entry["subresource"].as_str().map(|part| format!("/{part}"));
        let fields = self.fields(&entry["fieldsV1"]);
        let line = format!(
            "{} {}{} {} {} {} {fields}",
            text("manager"),
            text("operation"),
            part.unwrap_or_default(),
            text("apiVersion"),
            text("time"),
            text("fieldsType"),
        );
        self.text(&line)
    }

    /// Fields of managedFields: `data(. k)` is `{"f:data": {".": {}, "f:k": {}}}`.
    fn fields(&mut self, value: &Value) -> String {
        let Value::Object(fields) = value else { return value.to_string() };
        let mut all = Vec::new();
        for (key, value) in fields {
            let key = self.text(key.strip_prefix("f:").unwrap_or(key));
            let inner = self.fields(value);
            all.push(if inner.is_empty() { key } else { format!("{key}({inner})") });
        }
        all.sort();
        all.join(" ")
    }
}

/// Sorts the causes of a refusal, and in its message too: a definition is checked in any order.
fn sort_causes(status: &mut Value) {
    let Some(causes) = status.pointer_mut("/details/causes").and_then(Value::as_array_mut) else {
        return;
    };
    // The real server checks metadata up to four times and says each time what is wrong.
    let mut told = BTreeSet::new();
    causes.retain(|cause| told.insert(cause.to_string()));
    causes.sort_by_key(|cause| (cause["field"].to_string(), cause["message"].to_string()));
    let text = |part: &Value| part.as_str().unwrap_or_default().to_owned();
    let line = |cause: &Value| format!("{}: {}", text(&cause["field"]), text(&cause["message"]));
    let lines: Vec<String> = causes.iter().map(line).collect();
    let message = text(&status["message"]);
    if let Some((head, tail)) = message.split_once(": [")
        && lines.len() > 1
        && tail.len() == lines.join(", ").len() + 1
        && lines.iter().all(|line| tail.contains(line))
    {
        status["message"] = json!(format!("{head}: [{}]", lines.join(", ")));
    }
}

/// The place of a text among those that were seen, from 1.
fn place(seen: &mut Vec<String>, text: &str) -> usize {
    let known = seen.iter().position(|known| known == text);
    known.unwrap_or_else(|| {
        seen.push(text.to_owned());
        seen.len() - 1
    }) + 1
}
