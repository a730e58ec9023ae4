//! Compare: which fields differ between two states of an object, by what its schema says of lists
//! and maps. It judges no difference.
//!
//! Source: structured-merge-diff, `typed/compare.go` and `typed/tofieldset.go`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::sim::rules::fields::{Fields, Node};
use crate::sim::rules::schema::shape::{ANY, Form, Lines, List, Schema, Struct};

/// How two states differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What is new or another.
    pub changed: Fields,
    /// What is gone.
    pub removed: Fields,
}

/// The same for one place and what is below it.
#[derive(Default)]
struct Pair {
    changed: Node,
    removed: Node,
}

/// Compares two states.
pub fn compare(schema: &Schema, before: &Value, after: &Value) -> Difference {
    // Most of those who ask know that they differ.
    let pair = unequal(schema, Some(before), Some(after));
    Difference { changed: pair.changed.below, removed: pair.removed.below }
}

fn pair(schema: &Schema, before: Option<&Value>, after: Option<&Value>) -> Pair {
    // Most of an object is as it was.
    if before == after { Pair::default() } else { unequal(schema, before, after) }
}

fn unequal(schema: &Schema, before: Option<&Value>, after: Option<&Value>) -> Pair {
    match (&schema.form, before, after) {
        (Form::Map(shape), _, _) => map(shape, before, after),
        (Form::List(list), _, _) => lines(list, before, after),
        (Form::Any, _, Some(Value::Object(_))) | (Form::Any, Some(Value::Object(_)), None) => {
            map(&Struct { open: true, ..Struct::default() }, before, after)
        }
        (Form::Any | Form::Scalar(_), _, _) => leaf(before, after),
    }
}

fn leaf(before: Option<&Value>, after: Option<&Value>) -> Pair {
    let mut pair = Pair::default();
    match (before, after) {
        (Some(_), None) => pair.removed.member = true,
        (before, after) => pair.changed.member = before != after,
    }
    pair
}

/// What is wholly new or gone is a member itself, not only what is below it.
fn whole(mut pair: Pair, before: Option<&Value>, after: Option<&Value>) -> Pair {
    pair.changed.member |= before.is_none();
    pair.removed.member |= after.is_none();
    pair
}

fn map(shape: &Struct, before: Option<&Value>, after: Option<&Value>) -> Pair {
    let none = Map::new();
    let object = |value: Option<&Value>| value.is_some_and(|value| !value.is_object());
    // Null stands for an empty map; anything else is another kind of value.
    let strange = |value: Option<&Value>| object(value) && value != Some(&Value::Null);
    let left = before.and_then(Value::as_object).unwrap_or(&none);
    let right = after.and_then(Value::as_object).unwrap_or(&none);
    let hollow = left.is_empty() && right.is_empty();
    if shape.atomic || hollow || strange(before) || strange(after) {
        return leaf(before, after);
    }
    let mut found = Pair::default();
    let gone = left.iter().filter(|(key, _)| !right.contains_key(*key));
    let gone = gone.map(|(key, value)| (key, Some(value), None));
    let kept = right.iter().map(|(key, value)| (key, left.get(key), Some(value)));
    for (key, before, after) in kept.chain(gone) {
        let schema = shape.field(key).unwrap_or(&ANY);
        put(&mut found, || ["f:", key].concat(), pair(schema, before, after));
    }
    whole(found, before, after)
}

fn put(found: &mut Pair, step: impl FnOnce() -> String, pair: Pair) {
    let Pair { changed, removed } = pair;
    match (changed.is_empty(), removed.is_empty()) {
        (true, true) => {}
        (false, true) => found.changed.below.put(step(), changed),
        (true, false) => found.removed.below.put(step(), removed),
        (false, false) => {
            let step = step();
            found.changed.below.put(step.clone(), changed);
            found.removed.below.put(step, removed);
        }
    }
}

fn lines(list: &List, before: Option<&Value>, after: Option<&Value>) -> Pair {
    let left = before.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let right = after.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let hollow = left.is_empty() && right.is_empty();
    if list.lines == Lines::Atomic || hollow {
        return leaf(before, after);
    }
    if left == right {
        return Pair::default();
    }
    let mut found = Pair::default();
    let (left, right) = (by_step(list, left), by_step(list, right));
    let gone = left.iter().filter(|(step, _)| !right.contains_key(*step));
    for (step, items) in gone {
        put(&mut found, || step.clone(), item(list, items, &[]));
    }
    for (step, items) in &right {
        let before = left.get(step).map_or(&[][..], Vec::as_slice);
        put(&mut found, || step.clone(), item(list, before, items));
    }
    whole(found, before, after)
}

/// Compares the items of one key. Two of the same key are taken as one value.
fn item(list: &List, before: &[&Value], after: &[&Value]) -> Pair {
    match (before, after) {
        ([] | [_], [] | [_]) => pair(&list.item, before.first().copied(), after.first().copied()),
        ([_, _, ..], [_, _, ..]) => {
            let mut found = Pair::default();
            found.changed.member = before != after;
            found
        }
        ([_, _, ..], _) => {
            let mut found = pair(&list.item, None, after.first().copied());
            found.removed.member = true;
            found
        }
        (_, [_, _, ..]) => {
            let mut found = pair(&list.item, before.first().copied(), None);
            found.changed.member = true;
            found
        }
    }
}

/// Returns the items of a list under their steps. Items that have none are left out.
pub fn by_step<'a>(list: &List, items: &'a [Value]) -> BTreeMap<String, Vec<&'a Value>> {
    let mut steps: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for item in items {
        if let Some(step) = step(list, item) {
            steps.entry(step).or_default().push(item);
        }
    }
    steps
}

/// Returns the step to an item of a list; nothing, if it has none.
pub fn step(list: &List, item: &Value) -> Option<String> {
    match &list.lines {
        Lines::Atomic => None,
        Lines::Set => {
            let single = !item.is_object() && !item.is_array() && !item.is_null();
            single.then(|| format!("v:{item}"))
        }
        Lines::Keys(names) => {
            let fields = item.as_object()?;
            let mut keys = BTreeMap::new();
            for name in names {
                let default = || list.item.field(name)?.default.as_ref();
                if let Some(value) = fields.get(name).or_else(default) {
                    keys.insert(name, value);
                }
            }
            let text = serde_json::to_string(&keys).ok()?;
            (!keys.is_empty()).then(|| format!("k:{text}"))
        }
    }
}

/// Returns the set of all fields of an object, as whoever applies it owns them.
pub fn all_fields(schema: &Schema, value: &Value) -> Fields {
    all(schema, value).below
}

fn all(schema: &Schema, value: &Value) -> Node {
    match (&schema.form, value) {
        (Form::Map(shape), _) if shape.atomic => Node::leaf(),
        (Form::Map(shape), Value::Object(fields)) => all_of_map(shape, fields),
        (Form::Any, Value::Object(fields)) => {
            all_of_map(&Struct { open: true, ..Struct::default() }, fields)
        }
        (Form::List(List { lines: Lines::Atomic, .. }), _) => Node::leaf(),
        (Form::List(list), Value::Array(items)) => {
            let mut node = Node::default();
            for (step, items) in by_step(list, items) {
                let found = match items.as_slice() {
                    [item] => Node { member: true, ..all(&list.item, item) },
                    _ => Node::leaf(),
                };
                node.below.put(step, found);
            }
            node
        }
        (Form::Map(_) | Form::List(_), _) => Node::default(),
        (Form::Any | Form::Scalar(_), _) => Node::leaf(),
    }
}

fn all_of_map(shape: &Struct, fields: &Map<String, Value>) -> Node {
    let mut node = Node::default();
    for (key, value) in fields {
        let mut found = all(shape.field(key).unwrap_or(&ANY), value);
        let hollow = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        found.member |= hollow || !shape.fields.contains_key(key);
        node.below.put(format!("f:{key}"), found);
    }
    node
}
