//! What a ladder looks like from outside: weights of a route, replicas of two sides.

use serde_json::Value;

use super::json::{list, name, number, text};
use super::shop::{CANARY, STABLE};
use super::story::SHOP;
use super::watch::{Change, Seen, Watch};

/// The weights of the stable and the canary side in the first rule that holds both.
pub fn weights(route: &Value) -> (i64, i64) {
    let rule = list(route, "/spec/rules").iter().find_map(|rule| {
        let weight = |of: &str| {
            let backends = list(rule, "/backendRefs").iter();
            let backend = backends.into_iter().find(|backend| text(backend, "/name") == of)?;
            Some(backend.get("weight").and_then(Value::as_i64).unwrap_or(1))
        };
        Some((weight(STABLE)?, weight(CANARY)?))
    });
    rule.expect("a rule with both Services")
}

/// The sequence of weights of the shop's route, each once as long as it stands.
pub fn sequence(routes: &Watch) -> Vec<(i64, i64)> {
    let mut sequence: Vec<(i64, i64)> = routes.states(SHOP).iter().map(weights).collect();
    sequence.dedup();
    sequence
}

/// Fails if the canary's weight ever rises other than from one step to the next.
pub fn rises_by_steps(sequence: &[(i64, i64)], steps: &[i64]) {
    for pair in sequence.windows(2) {
        let [(_, before), (_, after)] = pair else { continue };
        let next = steps.iter().find(|step| *step > before).copied();
        let rises = after > before;
        assert!(!rises || Some(*after) == next, "{before} → {after} in {sequence:?}");
    }
}

/// Whether the ReplicaSet of a revision is asked for no pods any more.
pub fn emptied(seen: &[Seen], revision: &str) -> bool {
    let mut states = seen.iter().rev().map(|seen| &seen.object);
    let set = states.find(|set| text(set, "/metadata/name").ends_with(revision));
    set.is_some_and(|set| number(set, "/spec/replicas") == 0)
}

/// Pods wanted and ready over all ReplicaSets after each change of one.
pub fn totals(seen: &[Seen]) -> Vec<(i64, i64)> {
    let mut present: Vec<&Value> = Vec::new();
    let mut totals = Vec::new();
    for Seen { change, object } in seen {
        present.retain(|other| name(other) != name(object));
        if *change != Change::Deleted {
            present.push(object);
        }
        let wanted = present.iter().map(|set| number(set, "/spec/replicas")).sum();
        let ready = present.iter().map(|set| number(set, "/status/readyReplicas")).sum();
        totals.push((wanted, ready));
    }
    totals
}

/// The ReplicaSet of a revision.
pub fn replica_set<'a>(sets: &'a [Value], revision: &str) -> &'a Value {
    let label = "/metadata/labels/stairlock.dev~1revision";
    sets.iter().find(|set| text(set, label) == revision).expect("a ReplicaSet of the revision")
}
