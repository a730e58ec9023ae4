//! Body: reads what a request brings, and says of what it cannot read what the server would say.

use hyper::body::Bytes;
use serde_json::Value;
use serde_json::error::Category;

use crate::sim::resource::Resource;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::schema::shape::{Form, Scalar, Schema};
use crate::sim::server::failure::Failure;

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
    if builtin && !version.is_empty() && version != wanted {
        let kind = text("kind");
        return Err(unhandled_as(
            resource,
            kind,
            version,
            &format!(
                "no kind {kind:?} is registered for version {version:?} in scheme \
             \"pkg/runtime/scheme.go:111\""
            ),
        ));
    }
    if !version.is_empty() && version != wanted {
        return Err(Failure::bad(format!(
            "the API version in the data ({version}) does not match the expected API version \
             ({wanted})"
        )));
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
        return Err(unhandled(resource, &why));
    }
    Ok(value)
}

/// A body that is no object of its kind.
pub fn unhandled(resource: &Resource, why: &str) -> Failure {
    let Resource { kind, version, .. } = resource;
    Failure::bad(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
}

/// A body of another kind or version.
fn unhandled_as(resource: &Resource, kind: &str, version: &str, why: &str) -> Failure {
    let wanted = resource.kind;
    Failure::bad(format!("{kind} in version {version:?} cannot be handled as a {wanted}: {why}"))
}

/// Reads how to delete.
///
/// # Errors
/// [`Failure`] 400.
pub fn options(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let said = syntax(body, &error);
        Failure::bad(format!("couldn't get version/kind; json parse error: {said}"))
    })
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
        return wrong(&known.schema, object, resource.kind, "").or_else(|| times(resource, object));
    }
    // Of a custom object the server has a type for the metadata only.
    wrong(known.schema.field("metadata")?, object.get("metadata")?, "ObjectMeta", "")
}

/// Tells of a time that cannot be read: those with microseconds have just one form.
fn times(resource: &Resource, object: &Value) -> Option<String> {
    let fields: &[&str] = match resource.plural {
        "leases" => &["/spec/acquireTime", "/spec/renewTime"],
        "events" => &["/eventTime", "/series/lastObservedTime"],
        _ => &[],
    };
    let text = |field: &&str| object.pointer(field).and_then(Value::as_str);
    fields.iter().filter_map(text).find_map(untimely)
}

/// Source: the layout `2006-01-02T15:04:05.000000Z07:00` as Go's `time.Parse` reads it.
fn untimely(text: &str) -> Option<String> {
    let layout = "2006-01-02T15:04:05.000000Z07:00";
    let said = |rest: &str, want: &str| {
        Some(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {want:?}"))
    };
    let (head, rest) = text.split_at_checked(19).unwrap_or((text, ""));
    let form = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if head.len() < 19 || !head.bytes().enumerate().all(form) {
        return said(text, "2006");
    }
    let (fraction, zone) = rest.split_at_checked(7).unwrap_or(("", rest));
    let digits = fraction.strip_prefix('.').is_some_and(|f| f.bytes().all(|b| b.is_ascii_digit()));
    if !digits {
        return said(rest, ".000000");
    }
    let offset = zone.len() == 6 && zone.starts_with(['+', '-']);
    if zone == "Z" || offset { None } else { said(zone, "Z07:00") }
}

fn wrong(schema: &Schema, value: &Value, owner: &str, path: &str) -> Option<String> {
    let found = |kind: &str| {
        let value = go_kind(value);
        Some(format!(
            "json: cannot unmarshal {value} into Go struct field {owner}{path} of type {kind}"
        ))
    };
    match (&schema.form, value) {
        (_, Value::Null) | (Form::Any | Form::Scalar(Scalar::Other), _) => None,
        (Form::Map(shape), Value::Object(fields)) => fields.iter().find_map(|(name, value)| {
            let named = shape.fields.contains_key(name);
            let path = if named { format!("{path}.{name}") } else { path.to_owned() };
            let owner = if named && !shape.name.is_empty() { shape.name } else { owner };
            wrong(shape.field(name)?, value, owner, &path)
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
        (Form::Map(_), _) => found("struct"),
        (Form::List(_), _) => found("[]string"),
    }
}

/// Reads any JSON of a patch.
///
/// # Errors
/// [`Failure`] 400.
pub fn patch(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::bad(format!("error decoding patch: {}", syntax(body, &error))))
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
fn syntax(body: &Bytes, error: &serde_json::Error) -> String {
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
