//! Fields: sets of fields, as `managedFields` tells them, and their algebra. It knows no objects.
//!
//! Source: Kubernetes `FieldsV1` and structured-merge-diff, `fieldpath`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// A set of fields, as a tree. The root is never a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, Node>);

/// A place in the tree: whether it is a member of the set, and what lies below it. Steps are
/// written as in `FieldsV1`: `f:spec`, `k:{"name":"app"}`, `v:"x"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Whether it is a member.
    pub member: bool,
    /// What lies below.
    pub below: Fields,
}

impl Node {
    /// A member with nothing below it.
    pub fn leaf() -> Self {
        Self { member: true, below: Fields::default() }
    }

    /// Tells whether nothing at or below it is a member.
    pub fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl Fields {
    /// Tells whether no field is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what is at and below a step; nothing, if that is empty.
    pub fn put(&mut self, step: String, node: Node) {
        if !node.is_empty() {
            let known = self.0.entry(step).or_default();
            known.member |= node.member;
            known.below.add(node.below);
        }
    }

    /// Returns the node at a step.
    pub fn get(&self, step: &str) -> Option<&Node> {
        self.0.get(step)
    }

    /// Returns the steps and nodes of the first level.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.0.iter()
    }

    /// Makes the set of one path.
    pub fn path(steps: &[&str]) -> Self {
        let mut set = Self::default();
        if let Some((first, rest)) = steps.split_first() {
            let below = Self::path(rest);
            let member = rest.is_empty();
            set.put(format!("f:{first}"), Node { member, below });
        }
        set
    }

    /// Adds all of another set.
    pub fn add(&mut self, other: Self) {
        if self.0.is_empty() {
            self.0 = other.0;
            return;
        }
        for (step, node) in other.0 {
            self.put(step, node);
        }
    }

    /// Takes all members of another set away.
    pub fn subtract(&mut self, other: &Self) {
        if self.0.is_empty() || other.0.is_empty() {
            return;
        }
        for (step, gone) in &other.0 {
            if let Some(node) = self.0.get_mut(step) {
                node.member &= !gone.member;
                node.below.subtract(&gone.below);
                if node.is_empty() {
                    self.0.remove(step);
                }
            }
        }
    }

    /// Takes all members of another set away, with everything below them.
    pub fn cut(&mut self, other: &Self) {
        for (step, gone) in &other.0 {
            if gone.member {
                self.0.remove(step);
            } else if let Some(node) = self.0.get_mut(step) {
                node.below.cut(&gone.below);
                if node.is_empty() {
                    self.0.remove(step);
                }
            }
        }
    }

    /// Returns what is in both sets.
    #[must_use]
    pub fn shared(&self, other: &Self) -> Self {
        let mut set = Self::default();
        for (step, node) in &self.0 {
            if let Some(mate) = other.0.get(step) {
                let below = node.below.shared(&mate.below);
                set.put(step.clone(), Node { member: node.member && mate.member, below });
            }
        }
        set
    }

    /// Tells whether a field is in both sets.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().any(|(step, node)| {
            other
                .0
                .get(step)
                .is_some_and(|mate| (node.member && mate.member) || node.below.meets(&mate.below))
        })
    }

    /// Tells whether all of another set is in this one.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(step, mate)| {
            self.0
                .get(step)
                .is_some_and(|node| (node.member || !mate.member) && node.below.covers(&mate.below))
        })
    }

    /// Writes all paths as conflicts name them: members of a level first, then what is below.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.write_paths("", &mut paths);
        paths
    }

    fn write_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        let step = |step: &str| format!("{prefix}{}", readable(step));
        paths.extend(self.0.iter().filter(|(_, node)| node.member).map(|(key, _)| step(key)));
        for (key, node) in &self.0 {
            node.below.write_paths(&step(key), paths);
        }
    }

    /// Reads a set from `FieldsV1`; nothing, if it is none.
    pub fn from_json(value: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (step, below) in value.as_object()?.iter().filter(|(step, _)| *step != ".") {
            if !["f:", "k:", "v:", "i:"].iter().any(|mark| step.starts_with(mark)) {
                return None;
            }
            let fields = below.as_object()?;
            let member = fields.is_empty() || fields.contains_key(".");
            set.put(step.clone(), Node { member, below: Self::from_json(below)? });
        }
        Some(set)
    }
}

/// As `FieldsV1`.
impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Below { member: false, fields: self }.serialize(serializer)
    }
}

/// What is at a place and below it. A member with nothing below it is an empty map.
struct Below<'a> {
    member: bool,
    fields: &'a Fields,
}

impl Serialize for Below<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // The dot comes before the marks of all steps, as the server sorts.
        if self.member && !self.fields.is_empty() {
            map.serialize_entry(".", &Map::new())?;
        }
        for (step, node) in &self.fields.0 {
            map.serialize_entry(step, &Below { member: node.member, fields: &node.below })?;
        }
        map.end()
    }
}

/// Writes a step as conflicts name it.
pub fn readable(step: &str) -> String {
    let (mark, text) = step.split_once(':').unwrap_or(("f", step));
    match mark {
        "k" => {
            let keys: BTreeMap<String, Value> = serde_json::from_str(text).unwrap_or_default();
            let mut out = String::from("[");
            for (index, (key, value)) in keys.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(out, "{comma}{key}={value}");
            }
            out + "]"
        }
        "v" => format!("[={text}]"),
        "i" => format!("[{text}]"),
        _ => format!(".{text}"),
    }
}

#[cfg(test)]
mod tests;
