//! Schema: whether what stands in a file has the shape that a JSON schema asks for.
//!
//! It knows the part of the language that the schemas of this program use: those of the CRD and
//! those derived from Rust types. Rules between fields are not its business.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Map, Number, Value};

use crate::model::moment::Duration;
use crate::sim::yaml::{At, Content, Field, Node};

/// The format of a text that is a length of time.
pub const DURATION: &str = "duration";

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where.
    pub at: At,
    /// Whether the shape is wrong: an unknown or missing field, another type. Else a value is out
    /// of bounds.
    pub shape: bool,
    /// The field, what was found and what was expected.
    pub what: String,
}

/// Tells all that does not fit. `path` is the path of the node itself, empty for a whole file.
pub fn check(node: &Node, schema: &Value, path: &str) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    visit(&Place { node, path }, schema, &mut misfits);
    misfits
}

struct Place<'a> {
    node: &'a Node,
    path: &'a str,
}

impl Place<'_> {
    fn shape(&self, expected: &str) -> Misfit {
        self.misfit(true, expected)
    }

    fn bound(&self, expected: &str) -> Misfit {
        self.misfit(false, expected)
    }

    fn misfit(&self, shape: bool, expected: &str) -> Misfit {
        let what = format!("{}found {}, expected {expected}", self.name(), self.node.found());
        Misfit { at: self.node.at, shape, what }
    }

    fn name(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) }
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn visit(place: &Place<'_>, schema: &Value, misfits: &mut Vec<Misfit>) {
    let choices = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array());
    if let Some(choices) = choices.filter(|_| !int_or_string(schema)) {
        return choose(place, choices, misfits);
    }
    if place.node.content == Content::Null && nullable(schema) {
        return;
    }
    if let Some(expected) = wrong_type(place.node, schema) {
        return misfits.push(place.shape(&expected));
    }
    if let Some(expected) = outside(&place.node.content, schema) {
        misfits.push(place.bound(&expected));
    }
    match &place.node.content {
        Content::Map(fields) => visit_map(place, fields, schema, misfits),
        Content::List(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (index, node) in items.iter().enumerate() {
                let path = format!("{}[{index}]", place.path);
                visit(&Place { node, path: &path }, schema, misfits);
            }
        }
        Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => {}
    }
}

fn visit_map(place: &Place<'_>, fields: &[Field], schema: &Value, misfits: &mut Vec<Misfit>) {
    let none = Map::new();
    let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    for Field { at, key, value } in fields {
        let path = place.below(key);
        match (known.get(key), schema.get("additionalProperties")) {
            (Some(schema), _) => visit(&Place { node: value, path: &path }, schema, misfits),
            (None, Some(schema @ Value::Object(_))) => {
                visit(&Place { node: value, path: &path }, schema, misfits);
            }
            (None, _) if open(schema) => {}
            (None, _) => {
                let what = format!("{path}: found an unknown field, expected {}", list(known));
                misfits.push(Misfit { at: *at, shape: true, what });
            }
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    for key in required.into_iter().flatten().filter_map(Value::as_str) {
        if !fields.iter().any(|field| field.key == key) {
            let what = format!("{}found no {key}, expected one", place.name());
            misfits.push(Misfit { at: place.node.at, shape: true, what });
        }
    }
}

/// Takes the choice that was meant, and tells what does not fit there; all of them where none was.
fn choose(place: &Place<'_>, choices: &[Value], misfits: &mut Vec<Misfit>) {
    let only = |fields: &[Field]| match fields {
        [field] => Some(field.key.clone()),
        _ => None,
    };
    let meant = choices.iter().find(|choice| match &place.node.content {
        Content::Null => nullable(choice),
        Content::Text(text) => {
            words(choice).is_some_and(|words| words.contains(&text.as_str()))
                || (words(choice).is_none() && types(choice).contains(&"string"))
        }
        Content::Map(fields) => {
            let key = only(fields);
            key.is_some_and(|key| choice.pointer(&format!("/properties/{key}")).is_some())
        }
        Content::Bool(_) | Content::Number(_) | Content::List(_) => false,
    });
    let other = choices.iter().filter(|choice| !nullable(choice));
    let mut other = other.collect::<Vec<_>>().into_iter();
    match (meant, other.next(), other.next()) {
        (Some(schema), _, _) | (None, Some(schema), None) => visit(place, schema, misfits),
        _ => {
            let all: Vec<&str> = choices.iter().flat_map(names).collect();
            let mut misfit = place.shape(&format!("one of {}", all.join(", ")));
            if let Content::Map(fields) = &place.node.content {
                let found: Vec<_> = fields.iter().map(|field| field.key.as_str()).collect();
                let found = found.join(", ");
                let all = all.join(", ");
                misfit.what = format!("{}found {found}, expected one of {all}", place.name());
            }
            misfits.push(misfit);
        }
    }
}

/// What a choice is called: its words, or its only field.
fn names(choice: &Value) -> Vec<&str> {
    if let Some(words) = words(choice) {
        return words;
    }
    let fields = choice.get("properties").and_then(Value::as_object);
    fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect()
}

fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word]);
    }
    let words = schema.get("enum")?.as_array()?;
    Some(words.iter().filter_map(Value::as_str).collect())
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn nullable(schema: &Value) -> bool {
    schema.get("nullable") == Some(&Value::Bool(true)) || types(schema).contains(&"null")
}

fn int_or_string(schema: &Value) -> bool {
    schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
}

fn open(schema: &Value) -> bool {
    let kept = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    kept || (!closed && schema.get("properties").is_none())
}

fn list(known: &Map<String, Value>) -> String {
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        [name] => (*name).to_owned(),
        names => format!("one of {}", names.join(", ")),
    }
}

/// Tells what is expected where the type is another one.
fn wrong_type(node: &Node, schema: &Value) -> Option<String> {
    let types = if int_or_string(schema) { vec!["integer", "string"] } else { types(schema) };
    let fits = |kind: &&str| match &node.content {
        Content::Null => *kind == "null",
        Content::Bool(_) => *kind == "boolean",
        Content::Number(number) => *kind == "number" || (*kind == "integer" && !number.is_f64()),
        Content::Text(_) => *kind == "string",
        Content::List(_) => *kind == "array",
        Content::Map(_) => *kind == "object",
    };
    if types.is_empty() || types.iter().any(fits) {
        return None;
    }
    let duration = schema.get("format").and_then(Value::as_str) == Some(DURATION);
    let called = |kind: &str| match kind {
        "string" if duration => Some("a duration such as 90s or 1h30m".to_owned()),
        "string" => Some(match &node.content {
            Content::Bool(truth) => format!("text: write \"{truth}\""),
            Content::Number(number) => format!("text: write \"{number}\" in quotes"),
            Content::Null | Content::Text(_) | Content::List(_) | Content::Map(_) => {
                "text".to_owned()
            }
        }),
        "integer" => Some(bounded("a whole number", schema)),
        "number" => Some(bounded("a number", schema)),
        "boolean" => Some("true or false".to_owned()),
        "array" => Some("a list".to_owned()),
        "object" => Some("a map".to_owned()),
        _ => None,
    };
    let all: Vec<String> = types.into_iter().filter_map(called).collect();
    Some(all.join(" or "))
}

fn bounded(what: &str, schema: &Value) -> String {
    let bound = |key| schema.get(key).and_then(Value::as_number).map(plain);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!("{what} from {least} to {most}"),
        (Some(least), None) => format!("{what} from {least}"),
        (None, Some(most)) => format!("{what} up to {most}"),
        (None, None) => what.to_owned(),
    }
}

/// Derived schemas write whole bounds as `1.0`.
fn plain(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Tells what is expected where a value of the right type is out of bounds.
fn outside(content: &Content, schema: &Value) -> Option<String> {
    match content {
        Content::Number(number) => outside_numbers(number, schema),
        Content::Text(text) => outside_texts(text, schema),
        Content::List(items) => counted(items.len(), schema, ["minItems", "maxItems"], "entries"),
        Content::Map(fields) => {
            counted(fields.len(), schema, ["minProperties", "maxProperties"], "fields")
        }
        Content::Null | Content::Bool(_) => None,
    }
}

fn outside_numbers(number: &Number, schema: &Value) -> Option<String> {
    let side = |key: &str| {
        let bound = schema.get(key)?.as_f64()?;
        number.as_f64()?.partial_cmp(&bound)
    };
    let low = side("minimum") == Some(Ordering::Less);
    let high = side("maximum") == Some(Ordering::Greater);
    let whole = types(schema).contains(&"integer");
    let what = if whole { "a whole number" } else { "a number" };
    (low || high).then(|| bounded(what, schema))
}

fn outside_texts(text: &str, schema: &Value) -> Option<String> {
    if let Some(words) = words(schema).filter(|words| !words.contains(&text)) {
        return Some(format!("one of {}", words.join(", ")));
    }
    if schema.get("format").and_then(Value::as_str) == Some(DURATION) {
        let fault = Duration::parse(text).err()?;
        return Some(format!("a duration such as 90s or 1h30m: {fault}"));
    }
    let count = text.chars().count();
    if let Some(expected) = counted(count, schema, ["minLength", "maxLength"], "characters") {
        return Some(expected);
    }
    let pattern = schema.get("pattern").and_then(Value::as_str)?;
    let fits = Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    (!fits).then(|| format!("text that matches {pattern}"))
}

fn counted(count: usize, schema: &Value, keys: [&str; 2], what: &str) -> Option<String> {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let [least, most] = keys.map(bound);
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let fits = least.is_none_or(|least| least <= count) && most.is_none_or(|most| count <= most);
    let expected = match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most} {what}"),
        (Some(least), None) => format!("at least {least} {what}"),
        (None, most) => format!("at most {} {what}", most.unwrap_or_default()),
    };
    (!fits).then_some(expected)
}
