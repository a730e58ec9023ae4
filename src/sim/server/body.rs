//! Body: reads what a request brings, and says of what it cannot read what the server would say.

use hyper::body::Bytes;
use serde_json::Value;
use serde_json::error::Category;

use crate::sim::resource::Resource;
use crate::sim::rules::definition;
use crate::sim::rules::path::Path;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::schema::shape::{Form, Scalar, Schema};
use crate::sim::server::failure::Failure;
use crate::sim::server::twice;

/// How much of a body is repeated in an answer.
const REPEATED: usize = 30;

/// Reads an object of a resource.
///
/// # Errors
/// [`Failure`] 400 for what is no object of that kind.
pub fn object(resource: &Resource, body: &Bytes) -> Result<Value, Failure> {
    let unknown = |why: String| {
        Failure::bad(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({})",
            resource.kind,
            repeated(body)
        ))
    };
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let said = syntax(body, &error);
        unknown(format!("couldn't get version/kind; json parse error: {said}"))
    })?;
    if !value.is_object() {
        let kind = go_kind(&value);
        return Err(unknown(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go \
             value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind \
             string \"json:\\\"kind,omitempty\\\"\" }}"
        )));
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let builtin = known(resource).builtin;
    if !builtin && text("kind").is_empty() {
        let body = String::from_utf8_lossy(body);
        return Err(unknown(format!("Object 'Kind' is missing in '{body}'")));
    }
    let wanted = resource.api_version();
    let version = text("apiVersion");
    if !version.is_empty() && version != wanted {
        let kind = resource.kind;
        return Err(Failure::bad(if builtin {
            format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: no kind \
                 \"{kind}\" is registered for version \"{version}\" in scheme \
                 \"pkg/runtime/scheme.go:111\""
            )
        } else {
            format!(
                "the API version in the data ({version}) does not match the expected API version \
                 ({wanted})"
            )
        }));
    }
    let kind = text("kind");
    if builtin && !kind.is_empty() && kind != resource.kind {
        return Err(Failure::bad(format!(
            "{kind} in version \"{}\" cannot be handled as a {}: converting ({}.{kind}) to \
             ({}.{}): unknown conversion",
            resource.version,
            resource.kind,
            resource.version,
            internal(resource),
            resource.kind
        )));
    }
    if let Some(why) = misfit(resource, &value) {
        return Err(Failure::bad(format!(
            "{} in version \"{}\" cannot be handled as a {}: {why}",
            resource.kind, resource.version, resource.kind
        )));
    }
    Ok(value)
}

/// The package of the server's own type of a kind.
fn internal(resource: &Resource) -> &str {
    match resource.group.split('.').next() {
        None | Some("" | "events") => "core",
        Some(group) => group,
    }
}

/// Tells of a value of another type than the server's own type has there, as Go says it.
pub fn misfit(resource: &Resource, object: &Value) -> Option<String> {
    let known = known(resource);
    if known.builtin {
        return wrong(&known.schema, object, resource.kind, &Path::Whole);
    }
    // Of a custom object the server has a type for the metadata only.
    let metadata = object.get("metadata")?;
    wrong(known.schema.field("metadata")?, metadata, "ObjectMeta", &Path::Whole)
}

fn wrong(schema: &Schema, value: &Value, owner: &str, path: &Path<'_>) -> Option<String> {
    let found = |kind: &str| {
        let (value, path) = (go_kind(value), without_items(path));
        let field = format!("{owner}.{path}");
        Some(format!("json: cannot unmarshal {value} into Go struct field {field} of type {kind}"))
    };
    match (&schema.form, value) {
        (_, Value::Null) | (Form::Any, _) => None,
        (Form::Scalar(Scalar::Other), Value::String(text)) => time(path, text),
        (Form::Scalar(Scalar::Other), _) => None,
        (Form::Map(shape), Value::Object(fields)) => fields.iter().find_map(|(name, value)| {
            let owner = if shape.name.is_empty() { owner } else { &shape.name };
            let below = Path::Field(path, name);
            let named = shape.fields.contains_key(name);
            wrong(shape.field(name)?, value, owner, if named { &below } else { path })
        }),
        (Form::List(list), Value::Array(items)) => {
            items.iter().find_map(|item| wrong(&list.item, item, owner, path))
        }
        (Form::Scalar(Scalar::Text), Value::String(_))
        | (Form::Scalar(Scalar::Number), Value::Number(_))
        | (Form::Scalar(Scalar::Truth), Value::Bool(_)) => None,
        (Form::Scalar(Scalar::Text), _) => found("string"),
        (Form::Scalar(Scalar::Number), _) => found("int32"),
        (Form::Scalar(Scalar::Truth), _) => found("bool"),
        (Form::Map(shape), _) if shape.fields.is_empty() => found("map[string]string"),
        (Form::Map(shape), _) => found(&format!("v1.{}", shape.name)),
        (Form::List(_), _) => found("[]string"),
    }
}

/// Go does not count items where it names a field.
fn without_items(path: &Path<'_>) -> String {
    let text = path.to_string();
    let parts = text.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
    parts.collect()
}

/// Tells of a time that the server cannot read.
fn time(path: &Path<'_>, text: &str) -> Option<String> {
    const MICRO: &[&str] = &["acquireTime", "renewTime", "eventTime", "lastObservedTime"];
    let Path::Field(_, name) = path else { return None };
    if !MICRO.contains(name) {
        return None;
    }
    let mut rest = text;
    for part in ["2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05", ".000000"] {
        let fits = |(theirs, ours): (char, char)| {
            theirs == ours || (theirs.is_ascii_digit() && ours.is_ascii_digit())
        };
        let long = rest.chars().count() >= part.len();
        if !(long && part.chars().zip(rest.chars()).all(fits)) {
            return Some(unreadable(text, rest, part));
        }
        rest = rest.get(part.len()..).unwrap_or_default();
    }
    let zone = rest == "Z" || (rest.starts_with(['+', '-']) && rest.len() == 6);
    (!zone).then(|| unreadable(text, rest, "Z07:00"))
}

fn unreadable(text: &str, rest: &str, part: &str) -> String {
    format!(
        "parsing time {text:?} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse {rest:?} as \
         {part:?}"
    )
}

/// Names what is in a body that its kind does not know, or knows once only.
pub fn strange(resource: &Resource, object: &Value, body: Option<&Bytes>) -> Vec<String> {
    let unknown = definition::unknown(&known(resource).schema, object).into_iter();
    let mut all: Vec<String> = unknown.map(|field| format!("unknown field \"{field}\"")).collect();
    if let Some(body) = body {
        let twice = twice::fields(body).into_iter();
        all.extend(twice.map(|field| format!("duplicate field \"{field}\"")));
    }
    all
}

/// Reads any JSON of a patch.
///
/// # Errors
/// [`Failure`] 400.
pub fn patch(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::bad(format!("error decoding patch: {}", syntax(body, &error))))
}

/// Says that what is applied is no YAML.
pub fn no_yaml(line: u64) -> Failure {
    Failure::bad(format!(
        "error decoding YAML: error converting YAML to JSON: yaml: line {line}: did not find \
         expected node content"
    ))
}

/// Names the kind of a value as Go's reader does.
pub fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Says what is wrong with a text that is no JSON, as Go says it.
pub fn syntax(body: &Bytes, error: &serde_json::Error) -> String {
    if error.classify() == Category::Eof || body.is_empty() {
        return "unexpected end of JSON input".to_owned();
    }
    let text = String::from_utf8_lossy(body);
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.chars().nth(error.column().saturating_sub(1)).unwrap_or(' ');
    let said = error.to_string();
    let place = [
        ("key must be a string", "looking for beginning of object key string"),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("trailing characters", "after top-level value"),
    ];
    let place = place.iter().find(|(ours, _)| said.starts_with(ours));
    let place = place.map_or("looking for beginning of value", |(_, theirs)| theirs);
    format!("invalid character '{found}' {place}")
}

/// The beginning of a body as answers repeat it.
fn repeated(body: &Bytes) -> String {
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    if body.first() != Some(&b'{') {
        let hex: Vec<String> = body.iter().take(REPEATED).map(|b| format!("{b:02x}")).collect();
        return hex.concat();
    }
    let text = String::from_utf8_lossy(body);
    if text.len() <= REPEATED {
        return text.into_owned();
    }
    let head: String = text.chars().take(REPEATED).collect();
    format!("{head} ...")
}
