//! Gate: the gates of a schedule, and its status. It never chooses.

use json_patch::Patch;
use serde_json::{Value, json};

use crate::api::keys;
use crate::api::schedule as wire;
use crate::model::moment::Timestamp;
use crate::model::moves::Target;
use crate::model::schedule::ScheduleStatus;
use crate::render::patch::Edit;
use crate::render::status;

/// A schedule, as far as bodies name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace, empty where it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
}

/// What a new gate is like.
#[derive(Debug, Clone, Copy)]
pub struct NewGate<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The Rollout that it is for.
    pub rollout: &'a str,
    /// Whether it lets releases through.
    pub passing: bool,
    /// When it turns.
    pub turns_at: Option<Timestamp>,
}

/// The body of a new gate.
pub fn create(maker: &Maker, gate: NewGate<'_>) -> Value {
    let NewGate { namespace, name, rollout, passing, turns_at } = gate;
    let mut labels = json!({
        keys::LABEL_SCHEDULE: maker.name,
        keys::LABEL_SCHEDULE_KIND: maker.kind,
        keys::LABEL_ROLLOUT_NAME: rollout,
    });
    if let Some(labels) = labels.as_object_mut().filter(|_| !maker.namespace.is_empty()) {
        labels.insert(keys::LABEL_SCHEDULE_NAMESPACE.to_owned(), json!(maker.namespace));
    }
    json!({
        "apiVersion": format!("{}/{}", keys::GROUP, keys::VERSION),
        "kind": "RolloutGate",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": turning(passing, turns_at),
            "ownerReferences": [{
                "apiVersion": format!("{}/{}", keys::GROUP, keys::VERSION),
                "kind": maker.kind,
                "name": maker.name,
                "uid": maker.uid,
                "controller": true,
            }],
        },
        "spec": spec(rollout, passing),
    })
}

/// The annotations of a gate that nobody else annotates.
fn turning(passing: bool, turns_at: Option<Timestamp>) -> Value {
    match turns_at {
        Some(at) => json!({keys::turns_at(passing): at.to_string()}),
        None => json!({}),
    }
}

fn spec(rollout: &str, passing: bool) -> Value {
    json!({"rolloutRef": {"name": rollout}, "passing": passing})
}

/// Opens or closes a gate. Its spec and its annotations are ours alone: it is made and taken away
/// by us.
pub fn set(target: &Target, rollout: &str, passing: bool, turns_at: Option<Timestamp>) -> Patch {
    Edit::at(&target.resource_version)
        .add(&["spec"], spec(rollout, passing))
        .add(&["metadata", "annotations"], turning(passing, turns_at))
        .done()
}

/// Stores a whole status of a schedule.
pub fn report(maker: &Maker, shown: &ScheduleStatus) -> Patch {
    let ScheduleStatus { observed_generation, active, rules, next, gates, rollouts, conditions } =
        shown;
    let body = wire::ScheduleStatus {
        observed_generation: *observed_generation,
        active: *active,
        active_rules: rules.clone(),
        next_transition: next.map(|at| at.to_string()),
        managed_gates: gates.clone(),
        matching_rollouts: rollouts.clone(),
        conditions: conditions.iter().map(status::condition).collect(),
    };
    Edit::at(&maker.resource_version).add(&["status"], json!(body)).done()
}
