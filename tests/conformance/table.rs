//! The table: reads sequences of requests. Never sends one.
//!
//! ```text
//! # a title is a sentence; `@stairlock` at its end marks requests of our own controller
//! made: POST configmaps {metadata: {name: a}, data: {k: "1"}}
//! PATCH-MERGE configmaps/a manager=x {metadata: {resourceVersion: "$made.rv"}}
//! // a remark; a body is YAML, in one line or in several that are indented
//! WATCH configmaps from=$made.rv until=1
//! let port = {name: http, port: 80}
//! POST services {metadata: {name: a}, spec: {ports: [${port}]}}
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Where the table is.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// Requests that are sent one after the other, in a namespace of their own.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// The name of its file, without `.txt`.
    pub family: String,
    /// A sentence; no two sequences have the same.
    pub title: String,
    /// Words with an `@` behind the title.
    pub marks: BTreeSet<String>,
    pub requests: Vec<Request>,
}

/// One request as it is written.
#[derive(Debug, Clone)]
pub struct Request {
    /// The request without its body, to be shown.
    pub head: String,
    /// The name by which later requests speak of its answer.
    pub label: Option<String>,
    pub verb: String,
    /// `plural`, `plural/name`, `plural/name/part`, `*/plural` (all namespaces), or a path.
    pub target: String,
    /// `key=value` are parameters of the query, or known words.
    pub words: Vec<(String, String)>,
    pub body: Option<String>,
}

impl Request {
    /// The value of a word.
    pub fn word(&self, key: &str) -> Option<&str> {
        self.words.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Self {
        let body_at = [" {", " [", " |"].iter().filter_map(|sign| text.find(sign)).min();
        let (head, body) = match body_at {
            Some(at) => {
                let (head, body) = text.split_at(at);
                (head, Some(body.trim().to_owned()))
            }
            None => (text, None),
        };
        let mut parts = split(head);
        let label = parts[0].strip_suffix(':').map(str::to_owned);
        if label.is_some() {
            parts.remove(0);
        }
        let [verb, target, words @ ..] = parts.as_slice() else { panic!("no target: {text}") };
        let word = |word: &String| match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (word.clone(), String::new()),
        };
        Self {
            head: head.trim().to_owned(),
            label,
            verb: verb.clone(),
            target: target.clone(),
            words: words.iter().map(word).collect(),
            body,
        }
    }
}

/// Splits at spaces that are not between double quotes, and takes the quotes away.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Reads all sequences, in the order of files and lines.
pub fn read() -> Vec<Sequence> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    files.retain(|path| path.file_stem().is_some_and(|name| name != "accepted"));
    files.sort();
    let mut sequences = Vec::new();
    for path in files {
        let family = path.file_stem().unwrap().to_string_lossy().into_owned();
        sequences.extend(parse(&family, &std::fs::read_to_string(&path).unwrap()));
    }
    let mut titles = BTreeMap::new();
    for Sequence { title, family, .. } in &sequences {
        if let Some(other) = titles.insert(title, family) {
            panic!("{family} and {other} both have a sequence `{title}`");
        }
    }
    sequences
}

fn parse(family: &str, text: &str) -> Vec<Sequence> {
    let mut sequences: Vec<Sequence> = Vec::new();
    let mut pending: Option<String> = None;
    let mut texts: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain(["//"]) {
        if line.starts_with(' ') {
            let begun = pending.as_mut().unwrap_or_else(|| panic!("nothing goes on: {line}"));
            *begun = format!("{begun} {}", line.trim());
            continue;
        }
        if let Some(mut begun) = pending.take() {
            for (name, text) in texts.iter().rev() {
                begun = begun.replace(name, text);
            }
            if let Some((name, text)) = begun.strip_prefix("let ").and_then(|s| s.split_once('=')) {
                texts.push((format!("${{{}}}", name.trim()), text.trim().to_owned()));
            } else {
                let sequence = sequences.last_mut().unwrap_or_else(|| panic!("no title: {begun}"));
                sequence.requests.push(Request::parse(&begun));
            }
        }
        if let Some(title) = line.strip_prefix("# ") {
            let (marks, words): (Vec<&str>, Vec<&str>) =
                title.split_whitespace().partition(|word| word.starts_with('@'));
            sequences.push(Sequence {
                family: family.to_owned(),
                title: words.join(" "),
                marks: marks.into_iter().map(str::to_owned).collect(),
                requests: Vec::new(),
            });
        } else if !line.is_empty() && !line.starts_with("//") {
            pending = Some(line.to_owned());
        }
    }
    sequences
}
