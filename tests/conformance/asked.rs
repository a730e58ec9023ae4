//! Asked: what the controller asked of the API server while the cluster stories ran, from the
//! rig's audit log. Each kind of request has to be in the table, with the mark `@stairlock`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::play;
use super::table::{Request, Sequence};

/// The user that the controller of every story is. Some stories ask as this user themselves, with
/// another program.
const USER: &str = "system:serviceaccount:stairlock-system:stairlock";
const PROGRAM: &str = "stairlock/";

/// The kinds of requests in the audit log; nothing if the stories did not run on this rig.
pub fn by_the_controller() -> BTreeSet<String> {
    let log = PathBuf::from(std::env::var_os("AUDIT_LOG").unwrap());
    let stem = log.file_stem().unwrap().to_string_lossy().into_owned();
    let mut kinds = BTreeSet::new();
    for entry in std::fs::read_dir(log.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The log and what was rotated away of it.
        if !name.starts_with(&stem) || !name.ends_with(".log") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| line.contains(USER)) {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            let program = event["userAgent"].as_str().unwrap_or_default();
            if event["user"]["username"] == USER && program.starts_with(PROGRAM) {
                kinds.insert(of_event(&event));
            }
        }
    }
    kinds
}

/// The kinds of requests in the table that are marked as ours.
pub fn in_the_table(sequences: &[Sequence]) -> BTreeSet<String> {
    let ours = sequences.iter().filter(|sequence| sequence.marks.contains("@stairlock"));
    let requests = ours.flat_map(|sequence| &sequence.requests);
    requests.filter(|request| request.verb != "READ").map(of_request).collect()
}

fn of_event(event: &Value) -> String {
    let uri = event["requestURI"].as_str().unwrap();
    let method = match event["verb"].as_str().unwrap() {
        "create" => "POST",
        "update" => "PUT",
        "patch" => "PATCH",
        "delete" => "DELETE",
        _ => "GET",
    };
    kind(method, uri, &event["requestObject"])
}

fn of_request(request: &Request) -> String {
    let body = request.body.as_ref().map(|text| play::yaml(text)).unwrap_or_default();
    kind(play::method(&request.verb), &play::uri(request, "$ns"), &body)
}

/// A request without what differs from one to the next: names, numbers, values.
fn kind(method: &str, uri: &str, body: &Value) -> String {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut query: Vec<String> = query.split('&').filter_map(parameter).collect();
    query.sort();
    let mut what: Vec<String> = match (method, body) {
        ("PATCH", Value::Array(operations)) => operations.iter().map(operation).collect(),
        ("DELETE", Value::Object(fields)) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    };
    what.sort();
    what.dedup();
    format!("{method} {} ?{} {}", resource(path), query.join("&"), what.join(", "))
}

/// `replicasets/status` of a path; other paths as they are.
fn resource(path: &str) -> String {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let rest = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => &[],
    };
    match rest {
        ["namespaces", _, plural] => format!("{plural} of a namespace"),
        ["namespaces", _, plural, _] => format!("{plural}/NAME"),
        ["namespaces", _, plural, _, part] => format!("{plural}/NAME/{part}"),
        [plural] => (*plural).to_owned(),
        [plural, _] => format!("{plural}/NAME"),
        [plural, _, part] => format!("{plural}/NAME/{part}"),
        _ => path.to_owned(),
    }
}

/// A parameter of the query; of those whose value is a name or a number the name alone.
fn parameter(pair: &str) -> Option<String> {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    match key {
        "" => None,
        "resourceVersion" if value == "0" => Some(pair.to_owned()),
        // Each delivery is a manager of its own, named by a hash.
        "fieldManager" if value.starts_with("stairlock-") => Some(format!("{key}=stairlock-#")),
        "fieldSelector" if value.starts_with("metadata.name%3D") => {
            Some(format!("{key}=metadata.name%3D#"))
        }
        "labelSelector" | "timeoutSeconds" | "resourceVersion" => Some(key.to_owned()),
        _ => Some(format!("{key}={value}")),
    }
}

/// An operation of a JSON patch: what it does, and where but for numbers and annotations.
fn operation(operation: &Value) -> String {
    let text = |key: &str| operation[key].as_str().unwrap_or_default().to_owned();
    let path = text("path");
    if path.starts_with("/metadata/annotations/") {
        return format!("{} an annotation", text("op"));
    }
    let part = |part: &str| if part.parse::<u32>().is_ok() { "#".into() } else { part.to_owned() };
    let parts: Vec<String> = path.split('/').map(part).collect();
    format!("{} {}", text("op"), parts.join("/"))
}
