//! Order: the safe order of writes where a route splits the traffic.
//!
//! Traffic rises only on ready endpoints and an accepted route; it falls first, and pods go last.
//! Each function looks at what is, and names the next write or what it waits for.

use crate::decide::attempt::{duplicate, lacks, not_ours_to_change, taken, target_port};
use crate::decide::experiment::{self, Needs};
use crate::decide::side;
use crate::model::hold::Hold;
use crate::model::moves::{WeightEdit, Write};
use crate::model::snapshot::{Acceptance, LiveRoute, Service, Snapshot};
use crate::model::spec::Step as Rung;
use crate::model::status::Stage;
use crate::model::template::Revision;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// What a goal needs next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// These writes come next.
    Write(Vec<Write>),
    /// Something else comes first.
    Hold(Hold),
}

/// `Ok` once a part of a goal is in force, else what it needs next: so that `?` keeps the order.
pub type Step = Result<(), Next>;

fn waits(hold: Hold) -> Step {
    Err(Next::Hold(hold))
}

fn writes(writes: Vec<Write>) -> Step {
    Err(Next::Write(writes))
}

/// A rung: the canary has the weight and the pods of the step, stable the rest of the weight.
pub fn ladder(seen: &Snapshot, canary: &Revision, rung: &Rung) -> Step {
    let Some(route) = side::route(seen) else { return unusable(seen) };
    let Some(stable) = seen.status.stable.as_ref().map(|side| &side.revision) else {
        return waits(Hold::NoHealthyBackend);
    };
    let present = side::canary_weight(route);
    let (weight, pods) = (rung.weight, side::pods(seen, canary, rung));
    let settled = side::in_place(route, weight);
    let most = if settled { weight } else { weight.max(present) };
    let size = most.share(seen.spec.replicas).max(pods);
    create_service(seen, seen.stable_service.as_ref(), stable)?;
    create_service(seen, seen.canary_service.as_ref(), canary)?;
    #[cfg(feature = "planted")]
    if active(Bug::StableShrinksInLadder) {
        resized(seen, stable, weight.rest().share(seen.spec.replicas))?;
    }
    let rest = rest(seen, canary, route, weight);
    resized(seen, stable, kept(seen, stable, rest))?;
    created(seen, canary, pods)?;
    select_stable(seen, route, stable)?;
    select_canary(seen, route, canary)?;
    lowered(seen, route, weight, present)?;
    #[cfg(feature = "planted")]
    if active(Bug::RuleBeforeReady) {
        ruled(experiment::on(seen, route, rung))?;
    }
    grown(seen, canary, size)?;
    healthy(seen, canary, rung)?;
    weighed(seen, route, weight)?;
    accepted(route)?;
    ruled(experiment::on(seen, route, rung))?;
    resized(seen, canary, pods)?;
    // At full weight what is left of the old side drains after the promotion.
    if weight == Weight::FULL { Ok(()) } else { resized(seen, stable, rest) }
}

/// The pods that stable needs beside a canary that has this weight, or is about to.
fn rest(seen: &Snapshot, canary: &Revision, route: &LiveRoute, weight: Weight) -> u32 {
    let size = seen.spec.replicas;
    let turned = side::selected(seen.canary_service.as_ref()) == Some(canary);
    if !seen.spec.ladder.dynamic_stable || !turned {
        return size; // Before the canary Service turns stable takes all traffic.
    }
    side::stable_weight(route).max(weight.rest()).share(size)
}

/// So many pods, or as many as a side of the Rollout has already, at most all.
fn kept(seen: &Snapshot, revision: &Revision, pods: u32) -> u32 {
    let there = side::replica_set(seen, revision).map_or(0, |rs| rs.desired);
    there.min(seen.spec.replicas).max(pods)
}

/// The promotion: the stable Service selects the new side, then takes all traffic.
pub fn promotion(seen: &Snapshot, canary: &Revision) -> Step {
    let Some(route) = side::route(seen) else { return unusable(seen) };
    let service = seen.stable_service.as_ref();
    let moved = side::selected(service) == Some(canary);
    resized(seen, canary, seen.spec.replicas)?;
    create_service(seen, service, canary)?;
    create_service(seen, seen.canary_service.as_ref(), canary)?;

    if !moved {
        weighed(seen, route, Weight::FULL)?;
        accepted(route)?;
        return select(seen, service, canary);
    }
    if side::in_place(route, Weight::NONE) && experiment::is_off(route) {
        return accepted(route);
    }
    #[cfg(feature = "planted")]
    if active(Bug::PromotionSkipsEndpoints) {
        weighed(seen, route, Weight::NONE)?;
    }
    endpoints(seen, service, canary, seen.spec.replicas)?;
    ruled(experiment::off(seen, route, canary))?;
    weighed(seen, route, Weight::NONE)?;
    accepted(route)
}

/// All traffic on stable: at rest, and on the way back.
pub fn stable(seen: &Snapshot, stable: &Revision) -> Step {
    let Some(route) = side::route(seen) else { return unusable(seen) };
    whole(seen, stable)?;
    select_stable(seen, route, stable)?;

    if !side::in_place(route, Weight::NONE) {
        given_back(seen, route, stable, Weight::NONE)?;
    }
    ruled(experiment::off(seen, route, stable))?;
    accepted(route)?;
    leave_dead_side(seen, stable)
}

/// All pods and the stable Service are stable's: no route leads to another side.
pub fn without_route(seen: &Snapshot, stable: &Revision) -> Step {
    whole(seen, stable)?;
    available(seen, stable, seen.spec.replicas)?;
    select(seen, seen.stable_service.as_ref(), stable)
}

/// The canary Service does not stay on a revision that has no pods: a route that is made anew
/// would send half of the traffic there.
pub fn leave_dead_side(seen: &Snapshot, stable: &Revision) -> Step {
    let service = seen.canary_service.as_ref();
    let dead = side::selected(service).is_some_and(|revision| {
        side::replica_set(seen, revision).is_none_or(|rs| rs.desired == 0 && rs.replicas == 0)
    });
    if dead && seen.spec.replicas > 0 { select(seen, service, stable) } else { Ok(()) }
}

/// The first revision: its pods, then the Services, then the route.
pub fn first(seen: &Snapshot, revision: &Revision) -> Step {
    let Some(route) = side::route(seen) else { return unusable(seen) };
    let size = seen.spec.replicas;
    whole(seen, revision)?;
    #[cfg(feature = "planted")]
    if active(Bug::SelectBeforeAvailable) {
        select(seen, seen.stable_service.as_ref(), revision)?;
    }
    available(seen, revision, size)?;
    select(seen, seen.stable_service.as_ref(), revision)?;
    endpoints(seen, seen.stable_service.as_ref(), revision, size)?;
    ruled(experiment::off(seen, route, revision))?;
    weighed(seen, route, Weight::NONE)?;
    accepted(route)?;
    select(seen, seen.canary_service.as_ref(), revision)
}

/// While traffic cannot or must not move: the sides keep the sizes that their traffic needs.
pub fn sizes(seen: &Snapshot) -> Step {
    let (status, size) = (&seen.status, seen.spec.replicas);
    if let Some(stable) = status.stable.as_ref().map(|side| &side.revision) {
        if side::present(seen) == *stable {
            created(seen, stable, size)?;
        }
        resized(seen, stable, held(seen, stable))?;
    }
    let Some(attempt) = &status.attempt else { return Ok(()) };
    match attempt.stage {
        Stage::First { .. } | Stage::Promoting { .. } => resized(seen, &attempt.revision, size),
        Stage::Step { .. } => {
            let present = side::route(seen).map_or(Weight::NONE, side::canary_weight);
            let serves = side::selected(seen.stable_service.as_ref()) == Some(&attempt.revision);
            let pods = side::rung(seen).map_or(0, |r| side::pods(seen, &attempt.revision, &r));
            let pods = if serves { size } else { pods };
            let share = attempt.weight.max(present).share(size);
            resized(seen, &attempt.revision, share.max(pods))
        }
        Stage::RollingBack { .. } | Stage::Completed { .. } | Stage::Ended { .. } => Ok(()),
    }
}

/// The pods of stable while nothing moves.
fn held(seen: &Snapshot, stable: &Revision) -> u32 {
    let (size, attempt) = (seen.spec.replicas, seen.status.attempt.as_ref());
    let Some(attempt) = attempt.filter(|_| seen.spec.ladder.dynamic_stable) else { return size };
    match attempt.stage {
        Stage::Promoting { .. } => kept(seen, stable, 0),
        Stage::Step { .. } => {
            let all = Weight::FULL;
            kept(seen, stable, side::route(seen).map_or(all, side::stable_weight).share(size))
        }
        Stage::First { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => size,
    }
}

fn unusable(seen: &Snapshot) -> Step {
    sizes(seen)?;
    let hold = seen.route.as_ref().and_then(|route| route.live.clone().err());
    waits(hold.unwrap_or(Hold::BackendNotFound { what: "the route".to_owned() }))
}

/// A revision is asked for all pods, and both Services exist.
pub fn whole(seen: &Snapshot, revision: &Revision) -> Step {
    let size = seen.spec.replicas;
    created(seen, revision, size)?;
    resized(seen, revision, size)?;
    create_service(seen, seen.stable_service.as_ref(), revision)?;
    create_service(seen, seen.canary_service.as_ref(), revision)
}

/// The ReplicaSet of a revision exists.
pub fn created(seen: &Snapshot, revision: &Revision, replicas: u32) -> Step {
    if side::replica_set(seen, revision).is_some() {
        return Ok(());
    }
    if side::present(seen) != *revision {
        // Its template is not known: only its pods could have told.
        return waits(Hold::NoHealthyBackend);
    }
    let attempt = seen.status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    writes(vec![Write::CreateReplicaSet {
        revision: revision.clone(),
        attempt,
        replicas,
        min_ready_secs: seen.spec.min_ready_secs,
        selector: seen.spec.selector.clone(),
        template: seen.template.value.clone(),
    }])
}

/// The ReplicaSet of a revision is asked for exactly so many pods, and carries the number of the
/// attempt that uses it: a lost status is numbered on from there.
pub fn resized(seen: &Snapshot, revision: &Revision, replicas: u32) -> Step {
    let Some(rs) = side::replica_set(seen, revision) else { return Ok(()) };
    let clear = rs.quarantined.filter(|attempt| *attempt > 0).map(|_| 0);
    if side::asked_for(seen, rs, replicas) && clear.is_none() {
        return Ok(());
    }
    let (target, attempt) = (side::target(rs), side::reused_by(seen, rs));
    let min_ready_secs = seen.spec.min_ready_secs;
    writes(vec![Write::Resize { target, replicas, min_ready_secs, quarantine: clear, attempt }])
}

/// The ReplicaSet of a revision is asked for at least so many pods.
fn grown(seen: &Snapshot, revision: &Revision, replicas: u32) -> Step {
    let desired = side::replica_set(seen, revision).map_or(0, |rs| rs.desired);
    resized(seen, revision, replicas.max(desired))
}

/// So many pods of a revision are available.
pub fn available(seen: &Snapshot, revision: &Revision, needed: u32) -> Step {
    let rs = side::replica_set(seen, revision);
    let available = rs.map_or(0, |rs| rs.available);
    if available >= needed {
        return Ok(());
    }
    let replica_set = revision.replica_set(&seen.rollout.name);
    waits(Hold::PodsNotReady { replica_set, available, needed })
}

/// So many endpoints of a revision are ready behind a Service, at least one.
pub fn endpoints(
    seen: &Snapshot,
    service: Option<&Service>,
    revision: &Revision,
    needed: u32,
) -> Step {
    let (Some(service), needed) = (service, needed.max(1)) else { return Ok(()) };
    let ready = side::ready(Some(service), revision);
    if ready >= needed || seen.spec.replicas == 0 {
        return Ok(());
    }
    waits(Hold::EndpointsNotReady { service: service.name.clone(), ready, needed })
}

/// Enough of the canary is there for a step.
fn healthy(seen: &Snapshot, canary: &Revision, rung: &Rung) -> Step {
    let needed = rung.pods(seen.spec.replicas);
    #[cfg(feature = "planted")]
    if active(Bug::WeightBeforeReady) {
        return Ok(());
    }
    #[cfg(feature = "planted")]
    if rung.weight == Weight::NONE && active(Bug::PreviewNotAwaited) {
        return Ok(());
    }
    if needed == 0 {
        return Ok(());
    }
    available(seen, canary, needed)?;
    endpoints(seen, seen.canary_service.as_ref(), canary, needed)
}

/// Enough of stable is there for everything, or at least more than of the canary.
fn carries_all(seen: &Snapshot, route: &LiveRoute, stable: &Revision) -> Step {
    #[cfg(feature = "planted")]
    if active(Bug::RollbackToDeadStable) {
        return Ok(());
    }
    let needed = seen.spec.replicas.max(1);
    let ready = side::ready(seen.stable_service.as_ref(), stable);
    let other = side::ready_of_any(seen.canary_service.as_ref());
    let fine = ready >= needed || ready > other || side::canary_weight(route) == Weight::NONE;
    if fine || seen.spec.replicas == 0 { Ok(()) } else { waits(Hold::NoHealthyBackend) }
}

/// The canary has no more than this weight: traffic goes back to stable, as much at a time as its
/// ready pods can carry where not all of them are there.
fn given_back(seen: &Snapshot, route: &LiveRoute, stable: &Revision, weight: Weight) -> Step {
    let size = seen.spec.replicas;
    if !seen.spec.ladder.dynamic_stable || size == 0 {
        carries_all(seen, route, stable)?;
        return weighed(seen, route, weight);
    }
    let ready = side::ready(seen.stable_service.as_ref(), stable);
    let other = side::ready_of_any(seen.canary_service.as_ref());
    let carried = u64::from(ready.min(size)) * 100 / u64::from(size);
    let carried = u32::try_from(carried).ok().and_then(Weight::new).unwrap_or(Weight::NONE);
    let left = carried.rest();
    let sick = other < left.share(size) && ready > other;
    let present = side::canary_weight(route);
    if left <= weight || sick || present == Weight::NONE {
        return weighed(seen, route, weight);
    }
    if ready == 0 {
        return waits(Hold::NoHealthyBackend);
    }
    if left < present {
        accepted(route)?;
        weighed(seen, route, left)?;
    }
    let needed = weight.rest().share(size);
    let replica_set = stable.replica_set(&seen.rollout.name);
    waits(Hold::PodsNotReady { replica_set, available: ready, needed })
}

/// A Service exists; a new one selects this revision. One that we made has the port of the spec.
pub fn create_service(seen: &Snapshot, service: Option<&Service>, revision: &Revision) -> Step {
    let port = seen.spec.ladder.port;
    let Some(service) = service.filter(|service| service.live.is_none() || lacks(service, port))
    else {
        return Ok(());
    };
    if let Some(hold) = duplicate(seen) {
        return waits(hold);
    }
    let name = service.name.clone();
    let Some(target_port) = target_port(seen, port) else {
        return waits(Hold::PortUnknown { service: name, port });
    };
    if let Some(live) = &service.live {
        let target = side::service_target(service, live);
        return writes(vec![Write::AddPort { target, port, target_port }]);
    }
    writes(vec![Write::CreateService {
        name,
        revision: revision.clone(),
        selector: seen.spec.selector.clone(),
        port,
        target_port,
    }])
}

/// A Service selects this revision.
pub fn select(seen: &Snapshot, service: Option<&Service>, revision: &Revision) -> Step {
    let Some((service, live)) = service.and_then(|s| Some((s, s.live.as_ref()?))) else {
        return Ok(());
    };
    if live.selects.as_ref() == Some(revision) {
        return Ok(());
    }
    if let Some(hold) = duplicate(seen).or_else(|| not_ours_to_change(service, live)) {
        return waits(hold);
    }
    writes(vec![Write::Select {
        target: side::service_target(service, live),
        from: live.selects.clone(),
        to: Some(revision.clone()),
    }])
}

/// The stable Service selects the stable side, once that has pods to answer: one, or all of them
/// where the Service turns from another revision while it carries traffic.
fn select_stable(seen: &Snapshot, route: &LiveRoute, stable: &Revision) -> Step {
    let service = seen.stable_service.as_ref();
    let selected = side::selected(service);
    if selected == Some(stable) {
        return Ok(());
    }
    let turns = selected.is_some() && !side::in_place(route, Weight::FULL);
    let needed = if turns { seen.spec.replicas } else { seen.spec.replicas.min(1) };
    available(seen, stable, needed)?;
    select(seen, service, stable)
}

/// The canary Service selects the canary; before it turns from another revision, that one has no
/// traffic.
fn select_canary(seen: &Snapshot, route: &LiveRoute, canary: &Revision) -> Step {
    let service = seen.canary_service.as_ref();
    if side::selected(service) == Some(canary) {
        return Ok(());
    }
    #[cfg(feature = "planted")]
    if active(Bug::CanaryTurnedUnderTraffic) {
        return select(seen, service, canary);
    }
    let stable = seen.status.stable.as_ref().map(|side| &side.revision);
    if let Some(stable) = stable.filter(|_| !side::in_place(route, Weight::NONE)) {
        given_back(seen, route, stable, Weight::NONE)?;
        return accepted(route);
    }
    #[cfg(feature = "planted")]
    let stable = stable.filter(|_| !active(Bug::RuleKeptOnSupersede));
    if let Some(stable) = stable {
        ruled(experiment::off(seen, route, stable))?;
    }
    accepted(route)?;
    select(seen, service, canary)
}

/// Traffic that is to fall falls before anything else happens.
fn lowered(seen: &Snapshot, route: &LiveRoute, weight: Weight, present: Weight) -> Step {
    let stable = seen.status.stable.as_ref().map(|side| &side.revision);
    match stable.filter(|_| weight < present) {
        None => Ok(()),
        Some(stable) => {
            given_back(seen, route, stable, weight)?;
            accepted(route)
        }
    }
}

/// The route has this weight for the canary, in every rule that holds both Services.
fn weighed(seen: &Snapshot, route: &LiveRoute, weight: Weight) -> Step {
    if side::in_place(route, weight) {
        return Ok(());
    }
    if let Some(hold) = taken(seen, route) {
        return waits(hold);
    }
    writes(vec![set_weights(seen, route, weight)])
}

/// The write that gives the canary this weight, in every rule that holds both Services.
pub fn set_weights(seen: &Snapshot, route: &LiveRoute, weight: Weight) -> Write {
    let service = |service: &Option<Service>| {
        service.as_ref().map(|service| service.name.clone()).unwrap_or_default()
    };
    let (stable, canary) = (service(&seen.stable_service), service(&seen.canary_service));
    let mut edits = Vec::new();
    for rule in &route.rules {
        let share = side::canary_share(rule.sum, weight);
        let edit = |backend, service: &String, weight| WeightEdit {
            rule: rule.index,
            backend,
            service: service.clone(),
            weight,
        };
        edits.push(edit(rule.stable.0, &stable, rule.sum.saturating_sub(share)));
        edits.push(edit(rule.canary.0, &canary, share));
    }
    Write::SetWeights { kind: route.name.kind, target: route.target(), edits }
}

/// The rules of an experiment are as they are to be.
fn ruled(needs: Needs) -> Step {
    match needs {
        None => Ok(()),
        Some(Ok(write)) => writes(vec![write]),
        Some(Err(hold)) => waits(hold),
    }
}

/// The gateways accept the present route.
fn accepted(route: &LiveRoute) -> Step {
    let name = route.name.clone();
    match &route.acceptance {
        Acceptance::Accepted => Ok(()),
        #[cfg(feature = "planted")]
        Acceptance::Pending if active(Bug::SilenceAccepts) => Ok(()),
        Acceptance::Pending => waits(Hold::RouteNotAccepted { route: name }),
        Acceptance::Refused(why) => waits(Hold::RouteRefused { route: name, why: why.clone() }),
    }
}

#[cfg(test)]
mod tests;
