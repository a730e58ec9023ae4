//! Kstatus: how an object of any kind stands, read from what it says of itself. It never asks
//! another object.

mod builtin;
mod fields;

use serde_json::Value;

use crate::model::moment::Timestamp;
use crate::model::standing::{Standing, Told};
use crate::validate::kstatus::fields::{Fault, Stated, conditions, current, failed, on_its_way};

/// What is read of the spec of any kind.
const SPEC: [&str; 5] =
    ["clusterIP", "progressDeadlineSeconds", "replicas", "type", "updateStrategy"];
/// What is read of the status of any kind, besides its conditions.
const STATUS: [&str; 19] = [
    "availableReplicas",
    "containerStatuses",
    "currentNumberScheduled",
    "currentReplicas",
    "currentRevision",
    "desiredNumberScheduled",
    "fullyLabeledReplicas",
    "lastAppliedRevision",
    "lastAttemptedRevision",
    "numberAvailable",
    "numberReady",
    "observedGeneration",
    "phase",
    "readyReplicas",
    "replicas",
    "startTime",
    "updateRevision",
    "updatedNumberScheduled",
    "updatedReplicas",
];

/// Drops what is not read of an object, whatever its kind.
pub fn trim(object: &mut Value) {
    let Value::Object(parts) = object else { return };
    parts.retain(|part, _| ["metadata", "spec", "status"].contains(&part.as_str()));
    for (part, rest) in parts {
        let Value::Object(fields) = rest else { continue };
        fields.retain(|field, _| match part.as_str() {
            "spec" => SPEC.contains(&field.as_str()),
            "status" => field == "conditions" || STATUS.contains(&field.as_str()),
            _ => ["generation", "deletionTimestamp", "creationTimestamp"].contains(&field.as_str()),
        });
    }
}

/// Tells how an object of a kind stands. What cannot be read is [`Standing::Unknown`].
///
/// `group`: its API group, empty for that of Pods. `object`: all of it, or what [`trim`] leaves.
///
/// Source: behaviour of github.com/fluxcd/cli-utils 1.2.3, `pkg/kstatus/status`, measured by
/// tests/kstatus.
pub fn told(group: &str, kind: &str, object: &Value) -> Told {
    match compute(group, kind, object) {
        Ok(mut told) => {
            if told.standing == Standing::Failed {
                told.failed_at = failed_at(object);
            }
            told
        }
        Err(Fault(what)) => Told::new(Standing::Unknown, format!("{what} is not as it should be")),
    }
}

fn compute(group: &str, kind: &str, object: &Value) -> Result<Told, Fault> {
    if fields::deleted(object)? {
        return Ok(Told::new(Standing::Terminating, "it is being deleted"));
    }
    if !fields::observed(object)? {
        return Ok(on_its_way("its controller has not looked at its present generation yet"));
    }
    let stated = conditions(object)?;
    if let Some(told) = stated.iter().find_map(standard) {
        return Ok(told);
    }
    match builtin::rule(group, kind) {
        Some(rule) => rule(object, &stated),
        None => Ok(stated.iter().find_map(ready).unwrap_or_else(current)),
    }
}

/// What the two conditions that kstatus defines say, each only while it is True.
fn standard(condition: &Stated) -> Option<Told> {
    match (condition.kind, condition.status) {
        ("Reconciling", "True") => Some(on_its_way(&or(condition.reason, "it is reconciled"))),
        ("Stalled", "True") => Some(failed(&or(condition.message, condition.reason))),
        (_, _) => None,
    }
}

/// What the condition Ready says.
fn ready(condition: &Stated) -> Option<Told> {
    match (condition.kind, condition.status) {
        ("Ready", "True") => Some(current()),
        ("Ready", "False" | "Unknown") => {
            Some(on_its_way(&or(condition.reason, "it is not ready")))
        }
        (_, _) => None,
    }
}

fn or(text: &str, instead: &str) -> String {
    if text.is_empty() { instead.to_owned() } else { text.to_owned() }
}

/// When an object failed: when it stalled, else when a condition last changed.
fn failed_at(object: &Value) -> Option<Timestamp> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let text = |condition: &Value, key: &str| {
        condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let since = |condition: &Value| Timestamp::parse(&text(condition, "lastTransitionTime"));
    let stalls = |condition: &&Value| {
        text(condition, "type") == "Stalled" && text(condition, "status") == "True"
    };
    all.iter().find(stalls).and_then(since).or_else(|| all.iter().filter_map(since).max())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by tests/kstatus with the library that Flux uses.
    const TABLE: &str = include_str!("../../tests/kstatus/table.tsv");

    #[test]
    fn every_row_of_the_table_agrees_with_flux() {
        let now = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
        let mut differences = Vec::new();
        for row in TABLE.lines() {
            let (want, manifest) = row.split_once('\t').unwrap_or((row, "null"));
            let object: Value = serde_json::from_str(manifest).unwrap();
            let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
            let (group, kind) = (text("apiVersion").split_once('/'), text("kind"));
            let group = group.map_or("", |(group, _)| group);
            let whole = told(group, kind, &object);
            let mut less = object.clone();
            trim(&mut less);
            assert_eq!(told(group, kind, &less), whole, "what is dropped is not read: {row}");
            let is = whole.standing(now).as_str();
            if is != want {
                differences.push(format!("{is} instead of {row}"));
            }
        }
        assert_eq!(differences, Vec::<String>::new());
        assert!(200 <= TABLE.lines().count());
    }

    #[test]
    fn a_failure_is_as_old_as_the_condition_that_tells_of_it() {
        let at = |minute: u32| format!("2026-01-02T03:{minute:02}:00Z");
        let condition = |kind: &str, status: &str, minute: u32| {
            serde_json::json!({"type": kind, "status": status, "lastTransitionTime": at(minute),
                "reason": "ProgressDeadlineExceeded"})
        };
        let object = |conditions: Value| {
            told("apps", "Deployment", &serde_json::json!({"status": {"conditions": conditions}}))
        };
        let (progressing, available) =
            (condition("Progressing", "False", 4), condition("Available", "False", 7));
        let stalled = condition("Stalled", "True", 5);
        for (case, conditions, want) in [
            ("the newest one", vec![progressing.clone(), available.clone()], Some(at(7))),
            ("that it stalled", vec![progressing, available, stalled], Some(at(5))),
        ] {
            let told = object(Value::Array(conditions));
            assert_eq!(told.standing, Standing::Failed, "{case}");
            assert_eq!(told.failed_at, want.as_deref().and_then(Timestamp::parse), "{case}");
        }
        let timeless = serde_json::json!([{"type": "Stalled", "status": "True"}]);
        assert_eq!(object(timeless).failed_at, None);
    }
}
