//! Apply: merges what somebody applies into an object, and takes away what he applies no more.
//!
//! It decides no conflict. Source: structured-merge-diff, `typed/merge.go`, `typed/remove.go` and
//! `merge/update.go`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::sim::rules::compare::{all_fields, step};
use crate::sim::rules::fields::{Fields, Node};
use crate::sim::rules::schema::shape::{ANY, Form, Lines, List, Schema, Struct};

/// Merges an applied object into a live one.
pub fn merge(schema: &Schema, live: &Value, applied: &Value) -> Value {
    merged(schema, Some(live), Some(applied)).unwrap_or_else(|| applied.clone())
}

/// `None` for maps and lists that nothing is left of.
fn merged(schema: &Schema, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let (Some(left), Some(right)) = (live, applied) else {
        return live.or(applied).cloned();
    };
    match (&schema.form, left, right) {
        (Form::Map(shape), Value::Object(left), Value::Object(right)) if !shape.atomic => {
            merged_map(shape, left, right)
        }
        (Form::Any, Value::Object(left), Value::Object(right)) => {
            merged_map(&Struct { open: true, ..Struct::default() }, left, right)
        }
        (Form::List(list), Value::Array(left), Value::Array(right))
            if list.lines != Lines::Atomic =>
        {
            merged_list(list, left, right)
        }
        (Form::Map(Struct { atomic: false, .. }), Value::Object(fields), Value::Null)
            if !fields.is_empty() =>
        {
            Some(left.clone())
        }
        (Form::List(list), Value::Array(items), Value::Null)
            if list.lines != Lines::Atomic && !items.is_empty() =>
        {
            Some(left.clone())
        }
        (Form::Map(_) | Form::List(_) | Form::Any | Form::Scalar(_), _, right) => {
            Some(right.clone())
        }
    }
}

fn merged_map(
    shape: &Struct,
    left: &Map<String, Value>,
    right: &Map<String, Value>,
) -> Option<Value> {
    if left.is_empty() && right.is_empty() {
        return Some(Value::Object(Map::new()));
    }
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let field = |key: &String| {
        let schema = shape.field(key).unwrap_or(&ANY);
        Some((key.clone(), merged(schema, left.get(key), right.get(key))?))
    };
    let fields: Map<String, Value> = keys.into_iter().filter_map(field).collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// Merges lists by their keys: applied items stand in their own order, the others keep their
/// places between them.
fn merged_list(list: &List, left: &[Value], right: &[Value]) -> Option<Value> {
    if left.is_empty() && right.is_empty() {
        return Some(Value::Array(Vec::new()));
    }
    fn keyed<'a>(list: &List, items: &'a [Value]) -> Vec<(String, &'a Value)> {
        items.iter().filter_map(|item| Some((step(list, item)?, item))).collect()
    }
    let (left, right) = (keyed(list, left), keyed(list, right));
    let find = |items: &[(String, Value)], key: &str| items.iter().any(|(step, _)| step == key);
    let among = |items: &[(String, &Value)], key: &str| {
        items.iter().find(|(step, _)| step == key).map(|(_, item)| (*item).clone())
    };
    let mut shared = right.iter().filter(|(key, _)| among(&left, key).is_some());
    let mut next = shared.next().map(|(key, _)| key);
    let mut out: Vec<(String, Value)> = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        let (here, there) = (left.get(l), right.get(r));
        if let (Some((key, item)), Some((other, applied))) = (here, there) {
            if key == other {
                out.extend(joined(list, key, Some(item), Some(applied)));
                (l, r) = (l + 1, r + 1);
                next = shared.next().map(|(key, _)| key);
                continue;
            }
            if among(&right, key).is_some() && next.is_some_and(|next| next != key) {
                l += 1;
                continue;
            }
        }
        if let Some((key, item)) = here {
            if among(&right, key).is_none() {
                out.extend(joined(list, key, Some(item), None));
                l += 1;
                continue;
            }
            if find(&out, key) {
                l += 1;
            }
        }
        if let Some((key, applied)) = there {
            let live = among(&left, key);
            out.extend(joined(list, key, live.as_ref(), Some(applied)));
            r += 1;
            if next.is_some_and(|next| next == key) {
                next = shared.next().map(|(key, _)| key);
            }
        }
    }
    let items: Vec<Value> = out.into_iter().map(|(_, item)| item).collect();
    (!items.is_empty()).then_some(Value::Array(items))
}

fn joined(
    list: &List,
    key: &str,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Option<(String, Value)> {
    Some((key.to_owned(), merged(&list.item, live, applied)?))
}

/// Takes from a merged object what its applier owned last time, applies no more, and nobody else
/// owns.
///
/// `last`: what he owned; `owned`: what all managers own, his new fields included.
pub fn prune(schema: &Schema, merged: Value, last: &Fields, owned: &Fields) -> Value {
    let last = named(schema, last);
    let pruned = without(schema, &merged, &last);
    let all = named(schema, &all_fields(schema, &merged));
    // What others own comes back, with what it stands in.
    let mut kept = named(schema, &all_fields(schema, &pruned));
    kept.add(named(schema, owned));
    let mut gone = all.clone();
    gone.subtract(&kept);
    let pruned = without(schema, &merged, &gone);
    // What was never his comes back.
    let mut gone = all;
    gone.subtract(&named(schema, &all_fields(schema, &pruned)));
    without(schema, &merged, &gone.shared(&last))
}

/// Makes the named fields above members of a set members too.
fn named(schema: &Schema, set: &Fields) -> Fields {
    let mut out = Fields::default();
    for (step, node) in set.iter() {
        let (mark, name) = step.split_once(':').unwrap_or(("", step));
        let (below, known) = match (&schema.form, mark) {
            (Form::Map(shape), "f") => {
                (shape.field(name).unwrap_or(&ANY), shape.fields.contains_key(name))
            }
            (Form::List(list), "k") => (&*list.item, false),
            (Form::Map(_) | Form::List(_) | Form::Any | Form::Scalar(_), _) => (&ANY, false),
        };
        let member = node.member || (known && !node.below.is_empty());
        out.put(step.clone(), Node { member, below: named(below, &node.below) });
    }
    out
}

/// Returns a value without the fields of a set. What nothing is left of becomes null.
fn without(schema: &Schema, value: &Value, set: &Fields) -> Value {
    match (&schema.form, value) {
        (Form::Map(shape), Value::Object(fields)) if !shape.atomic => {
            map_without(shape, fields, set)
        }
        (Form::Any, Value::Object(fields)) => {
            map_without(&Struct { open: true, ..Struct::default() }, fields, set)
        }
        (Form::List(list), Value::Array(items)) if list.lines != Lines::Atomic => {
            let kept = items.iter().filter_map(|item| {
                match step(list, item).as_deref().and_then(|step| set.get(step)) {
                    Some(node) if node.member => None,
                    Some(node) => Some(without(&list.item, item, &node.below)),
                    None => Some(item.clone()),
                }
            });
            let kept: Vec<Value> = kept.collect();
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        (Form::Any | Form::Scalar(_) | Form::Map(_) | Form::List(_), value) => value.clone(),
    }
}

fn map_without(shape: &Struct, fields: &Map<String, Value>, set: &Fields) -> Value {
    let field = |(key, value): (&String, &Value)| {
        let schema = shape.field(key).unwrap_or(&ANY);
        match set.get(&format!("f:{key}")) {
            Some(node) if node.member => None,
            Some(node) => Some((key.clone(), without(schema, value, &node.below))),
            None => Some((key.clone(), value.clone())),
        }
    };
    let kept: Map<String, Value> = fields.iter().filter_map(field).collect();
    if kept.is_empty() { Value::Null } else { Value::Object(kept) }
}
