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
    let found = if known.builtin {
        wrong(&known.schema, object, "")
    } else {
        // Of a custom object the server has a type for the metadata only.
        let metadata = object.get("metadata")?;
        wrong(known.schema.field("metadata")?, metadata, "")
    };
    let (path, value, kind) = found?;
    let owner = if known.builtin { resource.kind } else { "ObjectMeta" };
    Some(format!(
        "json: cannot unmarshal {value} into Go struct field {owner}{path} of type {kind}"
    ))
}

fn wrong(
    schema: &Schema,
    value: &Value,
    path: &str,
) -> Option<(String, &'static str, &'static str)> {
    let found = |kind| Some((path.to_owned(), go_kind(value), kind));
    match (&schema.form, value) {
        (_, Value::Null) | (Form::Any | Form::Scalar(Scalar::Other), _) => None,
        (Form::Map(shape), Value::Object(fields)) => fields.iter().find_map(|(name, value)| {
            let named = shape.fields.contains_key(name);
            let path = if named { format!("{path}.{name}") } else { path.to_owned() };
            wrong(shape.field(name)?, value, &path)
        }),
        (Form::List(list), Value::Array(items)) => {
            items.iter().find_map(|item| wrong(&list.item, item, path))
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
