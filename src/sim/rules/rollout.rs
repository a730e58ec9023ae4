//! Rollout: the rules of the definition of the Rollout that are written in CEL, in Rust.
//!
//! A rule that is changed there is changed here: the conformance table holds both to the same
//! answers.

use serde_json::{Map, Value};

use crate::api::keys;
use crate::model::moment::Duration;
use crate::sim::rules::problem::Problem;

/// The most characters of the name of a Rollout.
const NAME_MAX: usize = 52;

/// Tells which rules an object breaks; `before` is the one whose place it takes.
pub fn check(before: Option<&Value>, object: &Value) -> Vec<Problem> {
    let mut all = Vec::new();
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    if name.chars().count() > NAME_MAX {
        let why = "metadata.name may have at most 52 characters, since names of pods are made of \
            it: choose a shorter name";
        all.push(broken("<nil>", why));
    }
    let Some(spec) = object.get("spec") else { return all };
    all.extend(whole(spec));
    let selector = |object: &Value| object.pointer("/spec/selector").cloned();
    if before.is_some_and(|before| selector(before) != selector(object)) {
        let why = "spec.selector is immutable: create a Rollout of another name instead";
        all.push(broken("spec.selector", why));
    }
    if let Some(canary) = spec.pointer("/strategy/canary") {
        all.extend(of_canary(canary));
    }
    all
}

fn broken(field: &str, why: &str) -> Problem {
    let message = format!("Invalid value: {why}");
    Problem { field: field.to_owned(), reason: "FieldValueInvalid", message }
}

/// The rules of the whole spec.
fn whole(spec: &Value) -> Vec<Problem> {
    let none = Map::new();
    let map = |pointer: &str| spec.pointer(pointer).and_then(Value::as_object).unwrap_or(&none);
    let mut all = Vec::new();
    let labels = map("/template/metadata/labels");
    let carried = |(key, value): (&String, &Value)| labels.get(key) == Some(value);
    if !map("/selector/matchLabels").iter().all(carried) {
        let why = "spec.selector.matchLabels has a label that the pods would not carry: add it to \
            spec.template.metadata.labels with the same value";
        all.push(broken("spec", why));
    }
    let prefix = format!("{}/", keys::GROUP);
    if labels.keys().any(|key| key.starts_with(&prefix)) {
        let why = format!(
            "spec.template.metadata.labels has keys that begin with {prefix}: remove them, \
             Stairlock sets its own"
        );
        all.push(broken("spec", &why));
    }
    let names = |list: &str| -> Vec<&Value> {
        let items = spec.pointer(&format!("/template/spec/{list}")).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(|item| item.get("name")).collect()
    };
    let containers = names("containers");
    if names("initContainers").iter().any(|name| containers.contains(name)) {
        let why = "a container and an init container have the same name: rename one of them";
        all.push(broken("spec", why));
    }
    all
}

/// The rules of a canary.
fn of_canary(canary: &Value) -> Vec<Problem> {
    const FIELD: &str = "spec.strategy.canary";
    let has = |key: &str| canary.get(key).is_some();
    let (stable, other) = (has("stableService"), has("canaryService"));
    let empty = |key: &str| match canary.get(key) {
        Some(Value::String(text)) => {
            let zeros = text.strip_suffix('%').unwrap_or("x");
            !zeros.is_empty() && zeros.chars().all(|c| c == '0')
        }
        Some(value) => value.as_i64() == Some(0),
        None => false,
    };
    let steps = canary.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let weights = steps.iter().filter_map(|step| step.get("setWeight")?.as_i64());
    let mut all = Vec::new();
    for (fine, why) in [
        (
            !has("trafficRouting") || (stable && other),
            "trafficRouting needs both stableService and canaryService: name the two Services",
        ),
        (stable == other, "stableService and canaryService go together: name both or neither"),
        (
            !stable || !other || canary.get("stableService") != canary.get("canaryService"),
            "stableService and canaryService have to be two Services: name another one",
        ),
        (
            !(empty("maxSurge") && empty("maxUnavailable")),
            "maxSurge and maxUnavailable cannot both be 0: raise one of them",
        ),
        (
            weights.is_sorted(),
            "setWeight may not fall from one step to a later one: sort the steps",
        ),
    ] {
        if !fine {
            all.push(broken(FIELD, why));
        }
    }
    for (index, step) in steps.iter().enumerate() {
        let field = format!("{FIELD}.steps[{index}]");
        if step.get("setWeight").is_none() && step.get("pause").is_none() {
            all.push(broken(&field, "a step needs setWeight or pause: add one of them"));
        }
        if let Some(length) = step.pointer("/pause/duration").and_then(Value::as_str) {
            all.extend(of_pause(&format!("{field}.pause.duration"), length));
        }
    }
    all
}

/// The rules of the length of a pause.
fn of_pause(field: &str, text: &str) -> Vec<Problem> {
    let mut all = Vec::new();
    if !text.contains(|c: char| ('1'..='9').contains(&c)) {
        all.push(broken(
            field,
            "has to be longer than 0: write a time such as 5m, or leave duration out to wait for \
             the command promote",
        ));
    }
    let units = text.split(|c: char| c.is_ascii_digit()).filter(|unit| !unit.is_empty());
    let units: Vec<&str> = units.collect();
    if units.iter().enumerate().any(|(at, unit)| units.iter().skip(at + 1).any(|u| u == unit)) {
        let why = "repeats a unit: write each of h, m, s and ms once, such as 1h30m";
        all.push(broken(field, why));
    }
    let long = length(text).is_some_and(|millis| millis > Duration::MAX.millis());
    if long {
        let why = "is longer than 8760h: write a shorter time, or leave duration out to wait for \
            the command promote";
        all.push(broken(field, why));
    }
    all
}

/// Adds up a length of time, in milliseconds; nothing, if it is none.
fn length(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let factor = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        let number = number.parse::<u64>().ok()?;
        total = total.saturating_add(number.saturating_mul(factor));
        rest = tail;
    }
    Some(total)
}
