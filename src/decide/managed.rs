//! Managed: what the gates of a schedule are to be like, and what is shown of it. It reads no
//! clock.

use crate::decide::schedule;
use crate::model::moment::Timestamp;
use crate::model::problem::Problem;
use crate::model::schedule::{
    GateWrite, ManagedGate, Schedule, ScheduleStatus, Standing, Turn, Watched,
};
use crate::model::status::Condition;

/// The most names that status shows: more would not be read by a person.
const SHOWN_MAX: usize = 256;
/// Gates that one turn writes to, so that it ends in its time.
const WRITES_MAX: usize = 100;

/// Tells the one thing that a turn of a schedule does: gates first, then status, then nothing until
/// the rules say something else.
pub fn next(seen: &Watched, now: Timestamp) -> Turn {
    let schedule = match &seen.schedule {
        Ok(schedule) => schedule,
        // What the gates are to be like is not known: they stay as they are.
        Err(problem) => return shown(seen, unusable(seen, problem, now), None),
    };
    let stands = schedule::standing(schedule, now);
    let writes = writes(seen, schedule, &stands);
    if !writes.is_empty() {
        return Turn::Apply(writes);
    }
    let until = stands.next;
    shown(seen, status(seen, stands, now), until)
}

fn shown(seen: &Watched, status: ScheduleStatus, until: Option<Timestamp>) -> Turn {
    if status == seen.status { Turn::Wait(until) } else { Turn::Report(Box::new(status)) }
}

/// The name of the gate of a Rollout: the same each time, and that of no other.
fn gate(seen: &Watched, rollout: &str) -> String {
    format!("{}-{rollout}", seen.mark)
}

/// The namespace and the name of the gate that a write is about.
fn place(write: &GateWrite) -> (String, String) {
    match write {
        GateWrite::Create { namespace, name, .. } => (namespace.clone(), name.clone()),
        GateWrite::Set { namespace, target, .. } | GateWrite::Delete { namespace, target } => {
            (namespace.clone(), target.name.clone())
        }
    }
}

/// What the gates lack, but for what was refused.
fn writes(seen: &Watched, schedule: &Schedule, stands: &Standing) -> Vec<GateWrite> {
    let passing = schedule.passes(stands.active);
    let turns_at = stands.next;
    let wanted = |gate: &ManagedGate| {
        seen.rollouts.contains(&(gate.namespace.clone(), gate.rollout.clone()))
            && gate.target.name == self::gate(seen, &gate.rollout)
    };
    let there = seen.gates.iter().filter(|gate| !gate.ending);
    let changed = there.filter_map(|gate| {
        let (namespace, target) = (gate.namespace.clone(), gate.target.clone());
        if !wanted(gate) {
            return Some(GateWrite::Delete { namespace, target });
        }
        let same = gate.plain && (gate.passing, gate.turns_at) == (passing, turns_at);
        let rollout = gate.rollout.clone();
        (!same).then_some(GateWrite::Set { namespace, target, rollout, passing, turns_at })
    });
    let missing = seen.rollouts.iter().filter_map(|(namespace, rollout)| {
        let name = gate(seen, rollout);
        let known = seen.gates.iter().any(|g| g.namespace == *namespace && g.target.name == name);
        let taken = seen.others.contains(&(namespace.clone(), name.clone()));
        (!known && !taken).then(|| GateWrite::Create {
            namespace: namespace.clone(),
            name,
            rollout: rollout.clone(),
            passing,
            turns_at,
        })
    });
    let taken = |write: &GateWrite| !seen.refused.contains_key(&place(write));
    changed.chain(missing).filter(taken).take(WRITES_MAX).collect()
}

fn status(seen: &Watched, stands: Standing, now: Timestamp) -> ScheduleStatus {
    let full = |namespace: &str, name: &str| match seen.namespace.is_empty() {
        true => format!("{namespace}/{name}"),
        false => name.to_owned(),
    };
    let gates = seen.gates.iter().filter(|gate| !gate.ending);
    let gates = gates.map(|gate| full(&gate.namespace, &gate.target.name));
    let rollouts = seen.rollouts.iter().map(|(namespace, name)| full(namespace, name));
    let taken = seen.rollouts.iter().find(|(namespace, rollout)| {
        seen.others.contains(&(namespace.clone(), gate(seen, rollout)))
    });
    let ready = match (taken, seen.refused.first_key_value()) {
        (Some((namespace, rollout)), _) => {
            let name = full(namespace, &gate(seen, rollout));
            let message = format!("RolloutGate {name} was made by somebody else: delete it");
            ("False", "NameTaken", message)
        }
        (None, Some(((namespace, name), why))) => {
            ("False", "GateRefused", format!("RolloutGate {}: {why}", full(namespace, name)))
        }
        (None, None) if stands.active => ("True", "Active", "a rule holds".to_owned()),
        (None, None) => ("True", "Inactive", "no rule holds".to_owned()),
    };
    ScheduleStatus {
        observed_generation: seen.generation,
        active: stands.active,
        rules: stands.rules,
        next: stands.next,
        gates: gates.take(SHOWN_MAX).collect(),
        rollouts: rollouts.take(SHOWN_MAX).collect(),
        conditions: conditions(seen, ready, now),
    }
}

fn unusable(seen: &Watched, problem: &Problem, now: Timestamp) -> ScheduleStatus {
    ScheduleStatus {
        observed_generation: seen.generation,
        active: false,
        rules: Vec::new(),
        next: None,
        conditions: conditions(seen, ("False", problem.code(), problem.to_string()), now),
        ..seen.status.clone()
    }
}

/// Ready, and Stalled beside it where a person has to act.
fn conditions(
    seen: &Watched,
    (status, reason, message): (&str, &str, String),
    now: Timestamp,
) -> Vec<Condition> {
    let stalled = (status == "False").then_some(("Stalled", "True"));
    let rows = [Some(("Ready", status)), stalled];
    let condition = |(kind, status): (&str, &str)| {
        let known = seen.status.conditions.iter();
        let before = known.into_iter().find(|c| c.kind == kind && c.status == status);
        Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.clone(),
            since: before.map_or(now, |condition| condition.since),
            observed_generation: seen.generation,
        }
    };
    rows.into_iter().flatten().map(condition).collect()
}

#[cfg(test)]
mod tests;
