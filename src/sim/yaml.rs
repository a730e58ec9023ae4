//! Yaml: what stands in a file, and at which line and column. It never knows what it means.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// Most faults of one file that are told; the rest mostly follows from the first ones.
const FAULTS_MAX: usize = 10;

/// A place in a file, both counted from 1; 0 and 0: not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct At {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One value of a file, and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where.
    pub at: At,
    /// What.
    pub content: Content,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Fields in the order of the file.
    Map(Vec<Field>),
}

/// One field of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Where its name stands.
    pub at: At,
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: Node,
}

/// Why a file cannot be used: where, what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file as it was named.
    pub file: String,
    /// The place in it.
    pub at: At,
    /// What was found and what was expected.
    pub what: String,
}

/// One or more reasons why a file cannot be used, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Makes faults of one file; `None` if there are none.
    pub fn of(file: &str, found: Vec<(At, String)>) -> Option<Self> {
        let fault = |(at, what)| Fault { file: file.to_owned(), at, what };
        let mut faults: Vec<Fault> = found.into_iter().map(fault).collect();
        faults.sort();
        Self::from_all(faults)
    }

    /// Makes faults of several files, in their order; `None` if there are none.
    pub fn from_all(mut faults: Vec<Fault>) -> Option<Self> {
        faults.truncate(FAULTS_MAX);
        (!faults.is_empty()).then_some(Self(faults))
    }

    /// Makes one fault.
    pub fn one(file: &str, at: At, what: impl Into<String>) -> Self {
        Self(vec![Fault { file: file.to_owned(), at, what: what.into() }])
    }

    /// Tells them.
    pub fn all(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, what } = self;
        if at.line == 0 {
            return write!(f, "{file}: {what}");
        }
        write!(f, "{file}:{}:{}: {what}", at.line, at.column)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let begin = if index == 0 { "" } else { "\n" };
            write!(f, "{begin}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Reads all documents of a YAML or JSON text; empty ones are left out.
///
/// # Errors
/// [`Faults`] with the place where the text stops being YAML.
pub fn documents(file: &str, text: &str) -> Result<Vec<Node>, Faults> {
    let read: Result<Vec<Node>, _> = serde_saphyr::from_multiple(text);
    let mut nodes = read.map_err(|error| syntax(file, &error))?;
    nodes.retain(|node| node.content != Content::Null);
    Ok(nodes)
}

/// Tells a fault of the text itself; advice to callers of the parser says nothing to its users.
fn syntax(file: &str, error: &serde_saphyr::Error) -> Faults {
    let error = error.without_snippet();
    let at = error.location().map_or(At::default(), At::from);
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_deref().unwrap_or("of this map");
        return Faults::one(file, at, format!("found the field {key} twice, expected it once"));
    }
    let said = error.to_string();
    let line = said.lines().next().unwrap_or_default();
    let (what, _) = line.split_once(" at line ").unwrap_or((line, ""));
    Faults::one(file, at, format!("is not YAML: {what}"))
}

impl From<Location> for At {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

impl Node {
    /// Makes of it what programs read.
    pub fn value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(truth) => Value::Bool(*truth),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::value).collect(),
            Content::Map(fields) => {
                let field = |field: &Field| (field.key.clone(), field.value.value());
                Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
            }
        }
    }

    /// Finds a field of a map.
    pub fn field(&self, key: &str) -> Option<&Field> {
        match &self.content {
            Content::Map(fields) => fields.iter().find(|field| field.key == key),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::Text(_)
            | Content::List(_) => None,
        }
    }

    /// Finds the text of a field of a map.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.field(key)?.value.content {
            Content::Text(text) => Some(text),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::List(_)
            | Content::Map(_) => None,
        }
    }

    /// Finds where the value of a path such as `spec.steps[0].setWeight` begins; the nearest one
    /// above it where the path ends early.
    pub fn locate(&self, path: &str) -> At {
        let mut node = self;
        for part in path.split(['.', '[']) {
            let next = match (&node.content, part.strip_suffix(']')) {
                (Content::List(items), Some(index)) => {
                    index.parse::<usize>().ok().and_then(|index| items.get(index))
                }
                _ => node.field(part).map(|field| &field.value),
            };
            let Some(next) = next else { break };
            node = next;
        }
        node.at
    }

    /// Tells what it is, for a person.
    pub fn found(&self) -> String {
        match &self.content {
            Content::Null => "nothing".to_owned(),
            Content::Bool(truth) => format!("the boolean {truth}"),
            Content::Number(number) => format!("the number {number}"),
            Content::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { at: read.referenced.into(), content: read.value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Content, E> {
        Ok(Content::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Number(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Content, E> {
        Ok(Content::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Content, E> {
        let number = Number::from_f64(number);
        number.map(Content::Number).ok_or_else(|| E::custom("found no number, expected one"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = fields.next_entry::<Spanned<String>, Node>()? {
            map.push(Field { at: key.referenced.into(), key: key.value, value });
        }
        Ok(Content::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Node {
        documents("a.yaml", text).unwrap().remove(0)
    }

    #[test]
    fn every_value_keeps_its_place() {
        let text = "# first\na: 1\nb:\n- x\n- {c: true, d: 1.10}\n---\n---\ne: null\n";
        let nodes = documents("a.yaml", text).unwrap();
        let values: Vec<Value> = nodes.iter().map(Node::value).collect();
        assert_eq!(
            values,
            [json!({"a": 1, "b": ["x", {"c": true, "d": 1.1}]}), json!({"e": null})]
        );
        for (node, path, line, column) in [
            (0, "a", 2, 4),
            (0, "b[0]", 4, 3),
            (0, "b[1].d", 5, 16),
            (0, "b[1].gone.further", 5, 3),
            (0, "b[7].gone", 4, 3),
            (0, "", 2, 1),
            (1, "e", 8, 4),
        ] {
            assert_eq!(nodes[node].locate(path), At { line, column }, "{path}");
        }
        assert_eq!(nodes[0].field("b").map(|field| field.at), Some(At { line: 3, column: 1 }));
    }

    #[test]
    fn a_text_that_is_no_yaml_is_refused_at_its_place() {
        for (text, want) in [
            ("a: [1,\n", "a.yaml:1:4: is not YAML: unclosed bracket '['"),
            ("a: 1\na: 2\n", "a.yaml:2:1: found the field a twice, expected it once"),
            ("a: b: c\n", "a.yaml:1:5: is not YAML: mapping values are not allowed"),
            ("a:\n\t- b\n", "a.yaml:2:2: is not YAML: tabs disallowed"),
            ("a: *b\n", "a.yaml:1:4: is not YAML: alias references unknown anchor"),
            ("a: .inf\n", "a.yaml:1:4: is not YAML: non-finite float"),
            ("\"a: 1\n", "a.yaml:1:1: is not YAML: unclosed quote"),
            ("? [a]\n: 1\n", "a.yaml:1:3: is not YAML: expected string scalar"),
        ] {
            let faults = documents("a.yaml", text).unwrap_err().to_string();
            assert!(faults.starts_with(want), "{faults} is not {want}");
        }
    }

    #[test]
    fn json_and_aliases_are_read_too() {
        assert_eq!(one("{\"a\": [\"b\", null, -3]}").value(), json!({"a": ["b", null, -3]}));
        assert_eq!(one("a: &x {b: 1}\nc: *x\n").value(), json!({"a": {"b": 1}, "c": {"b": 1}}));
        assert_eq!(documents("a.yaml", "# nothing\n").unwrap(), []);
        assert_eq!(documents("a.yaml", "").unwrap(), []);
    }
}
