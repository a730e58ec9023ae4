//! Invariant: rules that no write may break, whoever asked for it. A hit blocks the move.
//!
//! The rest of the decision keeps them already; this is the second look before traffic moves.

use crate::decide::way::{self, Way};
use crate::decide::{routes, side};
use crate::model::moves::{NewRule, Target, WeightEdit, Write};
use crate::model::snapshot::{LiveRoute, Snapshot};
use crate::model::spec::RouteName;
use crate::model::template::Revision;

/// Names the rule that one of the writes would break.
pub fn broken(seen: &Snapshot, writes: &[Write]) -> Option<&'static str> {
    writes.iter().find_map(|write| match write {
        Write::SetWeights { kind, target, edits } => {
            let route = RouteName { kind: *kind, name: target.name.clone() };
            let route = routes::readable(seen).into_iter().find(|known| known.name == route)?;
            weights_add_up(route, edits).or_else(|| traffic_only_to_ready_pods(seen, route, edits))
        }
        Write::SetRules { into, .. } => rules_lead_to_ready_pods(seen, into),
        Write::Resize { target, replicas, .. } => pods_with_traffic_stay(seen, target, *replicas),
        Write::Select { target, to, .. } => turns_to_ready_pods(seen, target, to.as_ref()),
        Write::Evict { uid, .. } => only_old_pods_go(seen, uid),
        Write::CreateReplicaSet { .. }
        | Write::DeleteReplicaSet(_)
        | Write::AdoptReplicaSet(_)
        | Write::CreateService { .. }
        | Write::CreateRoute { .. }
        | Write::SetRoute { .. }
        | Write::AddPort { .. }
        | Write::Deliver { .. }
        | Write::ResetCheck { .. }
        | Write::Request { .. }
        | Write::SetImages(_)
        | Write::TakeCommands { .. }
        | Write::Finalizer { .. } => None,
    })
}

/// Both weights of a rule add up to its sum, and are not both 0.
fn weights_add_up(route: &LiveRoute, edits: &[WeightEdit]) -> Option<&'static str> {
    let fine = route.rules.iter().all(|rule| {
        let sum: u32 = edits.iter().filter(|e| e.rule == rule.index).map(|e| e.weight).sum();
        sum == rule.sum && sum > 0
    });
    (!fine).then_some("S7: weights add up")
}

/// A backend whose weight rises has a ready endpoint.
fn traffic_only_to_ready_pods(
    seen: &Snapshot,
    route: &LiveRoute,
    edits: &[WeightEdit],
) -> Option<&'static str> {
    let unsafe_rule = route.rules.iter().any(|rule| {
        let weight = |backend: usize| {
            edits.iter().find(|e| e.rule == rule.index && e.backend == backend).map(|e| e.weight)
        };
        let rises = |(place, before): (usize, u32)| weight(place).is_some_and(|w| w > before);
        let canary = rises(rule.canary) && side::ready_of_any(seen.canary_service.as_ref()) == 0;
        let takes = rises(rule.stable) && rule.canary.1 > 0;
        canary || (takes && side::ready_of_any(seen.stable_service.as_ref()) == 0)
    });
    (unsafe_rule && seen.spec.replicas > 0).then_some("S1: traffic rises only on ready endpoints")
}

/// The rules of an experiment lead to a side that is there, and leave only for one.
fn rules_lead_to_ready_pods(seen: &Snapshot, into: &[NewRule]) -> Option<&'static str> {
    let stable = side::ready_of_any(seen.stable_service.as_ref());
    let canary = side::ready_of_any(seen.canary_service.as_ref());
    let fine = if into.is_empty() { stable > 0 || canary == 0 } else { canary > 0 };
    (!fine && seen.spec.replicas > 0).then_some("S1: traffic rises only on ready endpoints")
}

/// Pods behind a backend with a weight are not all taken away.
fn pods_with_traffic_stay(seen: &Snapshot, target: &Target, replicas: u32) -> Option<&'static str> {
    let rs = seen.replica_sets.iter().find(|rs| rs.name == target.name)?;
    if replicas > 0 || seen.spec.replicas == 0 {
        return None;
    }
    way::carries(seen, &rs.revision)?.then_some("S2: pods behind a backend with weight stay")
}

/// A pod is evicted by a restart alone, and only one that stood before it.
fn only_old_pods_go(seen: &Snapshot, uid: &str) -> Option<&'static str> {
    let pods = seen.pods.as_ref().and_then(|pods| pods.as_ref().ok());
    let pod = pods.into_iter().flatten().find(|pod| pod.uid == uid);
    let since = seen.status.restart.map(|restart| restart.since);
    let old = pod.is_some_and(|pod| since.is_some_and(|since| pod.created_at < since));
    (!old).then_some("S23: only pods that stood before a restart are evicted")
}

/// A Service that carries all traffic turns only to a side that has pods.
fn turns_to_ready_pods(
    seen: &Snapshot,
    target: &Target,
    to: Option<&Revision>,
) -> Option<&'static str> {
    let active = seen.stable_service.as_ref().is_some_and(|service| service.name == target.name);
    if way::of(seen) != Way::Switch || !active || seen.spec.replicas == 0 {
        return None;
    }
    let there = side::replica_set(seen, to?).map_or(0, |rs| rs.available);
    (there == 0).then_some("S1: traffic rises only on ready endpoints")
}
