//! Gate: reads what gates ask for. What cannot be read lets nothing through.

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::gate::{DependsOn, RolloutGate};
use crate::api::keys;
use crate::api::rollout::Rollout;
use crate::model::gate::{Asks, Gate};
use crate::model::moment::{Duration, Timestamp};
use crate::validate::seen::Found;
use crate::validate::selector::selects;
use crate::validate::status;

/// Tells whether a gate is for a Rollout.
pub fn is_for(gate: &RolloutGate, rollout: &Rollout) -> bool {
    let name = rollout.metadata.name.as_deref();
    let named = gate.spec.rollout_ref.as_ref().is_some_and(|one| Some(one.name.as_str()) == name);
    let labels = rollout.metadata.labels.as_ref();
    let selected = gate.spec.rollout_selector.as_ref().is_some_and(|all| selects(all, labels));
    gate.metadata.namespace == rollout.metadata.namespace && (named || selected)
}

/// Reads the gates of a Rollout. One that is being deleted asks for nothing any more.
pub fn of_rollout(gates: &[(Arc<RolloutGate>, Option<Found<Rollout>>)]) -> Vec<Gate> {
    let stands = |(gate, _): &&(Arc<RolloutGate>, _)| gate.metadata.deletion_timestamp.is_none();
    let read = |(gate, other): &(Arc<RolloutGate>, Option<Found<Rollout>>)| Gate {
        name: gate.name_any(),
        asks: asks(gate, other.as_ref()),
    };
    gates.iter().filter(stands).map(read).collect()
}

fn asks(gate: &RolloutGate, other: Option<&Found<Rollout>>) -> Asks {
    let spec = &gate.spec;
    let passing = spec.passing.is_some() || spec.allowed_versions.is_some();
    match (passing, &spec.approval, &spec.depends_on) {
        (_, None, None) => Asks::Passing {
            passing: spec.passing.unwrap_or(true),
            allowed: spec.allowed_versions.as_ref().map(|all| all.iter().cloned().collect()),
            turns_at: turns_at(gate),
        },
        (false, Some(_), None) => Asks::Approval { approved: annotation(gate, keys::APPROVE) },
        (false, None, Some(depends)) => depends_on(gate, depends, other),
        (_, _, _) => Asks::Unusable("it asks for more than one thing".to_owned()),
    }
}

/// When the schedule of a gate turns it.
pub fn turns_at(gate: &RolloutGate) -> Option<Timestamp> {
    let key = keys::turns_at(gate.spec.passing.unwrap_or(true));
    Timestamp::parse(&annotation(gate, key)?)
}

fn annotation(gate: &RolloutGate, key: &str) -> Option<String> {
    let text = gate.annotations().get(key)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn depends_on(gate: &RolloutGate, depends: &DependsOn, other: Option<&Found<Rollout>>) -> Asks {
    let lasting = match depends.lasting.as_deref().map(Duration::parse) {
        None => Duration::ZERO,
        Some(Ok(lasting)) => lasting,
        Some(Err(fault)) => return Asks::Unusable(format!("dependsOn.for: {fault}")),
    };
    let own = gate.namespace().unwrap_or_default();
    let namespace = depends.rollout.namespace.clone().unwrap_or(own);
    let rollout = format!("{namespace}/{}", depends.rollout.name);
    let runs = match other {
        Some(Found::Is(other)) => status::parse(other.status.as_ref())
            .ran()
            .ok_or_else(|| format!("{rollout} has brought nothing to a good end yet")),
        Some(Found::Denied) => Err(format!(
            "{rollout} is in another namespace; start the controller with \
             --allow-cross-namespace-refs={namespace} or choose one of this namespace"
        )),
        None | Some(Found::NotAsked | Found::KindMissing | Found::Missing) => {
            Err(format!("{rollout} does not exist, or its namespace is not watched"))
        }
    };
    Asks::Other { rollout, lasting, runs }
}
