//! Openapi: makes schemas of the OpenAPI documents of definitions.

use std::sync::Arc;

use serde_json::Value;

use crate::sim::rules::schema::checks::Checks;
use crate::sim::rules::schema::shape::{
    Field, Form, Lines, List, Presence, Scalar, Schema, Struct,
};

/// Makes the schema of a whole object; metadata is the same for all kinds.
pub fn whole(document: &Value, metadata: &Arc<Schema>) -> Schema {
    let mut schema = read(document);
    if let Form::Map(shape) = &mut schema.form {
        let field = |schema| Field { schema, presence: Presence::Given };
        let text = || Arc::new(Schema::of(Form::Scalar(Scalar::Text)));
        shape.fields.insert("metadata".to_owned(), field(Arc::clone(metadata)));
        shape.fields.insert("apiVersion".to_owned(), field(text()));
        shape.fields.insert("kind".to_owned(), field(text()));
    }
    schema
}

/// Makes a schema.
pub fn read(document: &Value) -> Schema {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let flag = |key: &str| document.get(key).and_then(Value::as_bool).unwrap_or_default();
    let scalar = |scalar| Form::Scalar(scalar);
    let form = match text("type") {
        "object" => Form::Map(map(document)),
        "array" => {
            let item = document.get("items").map_or(Schema::of(Form::Any), read);
            Form::List(List { item: Arc::new(item), lines: lines(document) })
        }
        "string" => scalar(Scalar::Text),
        "integer" | "number" => scalar(Scalar::Number),
        "boolean" => scalar(Scalar::Truth),
        _ if flag("x-kubernetes-int-or-string") => scalar(Scalar::Other),
        _ => Form::Any,
    };
    let default = document.get("default").cloned();
    Schema { form, default, checks: Some(Box::new(Checks::read(document))) }
}

fn map(document: &Value) -> Struct {
    let properties = document.get("properties").and_then(Value::as_object);
    let field = |(name, document): (&String, &Value)| {
        let schema = Arc::new(read(document));
        (name.clone(), Field { schema, presence: Presence::Given })
    };
    let rest = document.get("additionalProperties").filter(|rest| rest.is_object());
    let keeps = document.get("x-kubernetes-preserve-unknown-fields");
    Struct {
        name: String::new(),
        fields: properties.into_iter().flatten().map(field).collect(),
        rest: rest.map(|rest| Arc::new(read(rest))),
        open: keeps.and_then(Value::as_bool).unwrap_or_default(),
        atomic: document.get("x-kubernetes-map-type").is_some_and(|kind| kind == "atomic"),
    }
}

fn lines(document: &Value) -> Lines {
    let keys = document.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let keys = keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    match document.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Lines::Set,
        Some("map") => Lines::Keys(keys.collect()),
        Some(_) | None => Lines::Atomic,
    }
}
