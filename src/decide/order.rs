//! Order: the safe order of writes where a route splits the traffic.
//!
//! Traffic rises only on ready endpoints and an accepted route; it falls first, and pods go last.
//! Each function looks at what is, and names the next write or what it waits for.

use crate::decide::act::{Next, Step};
use crate::decide::attempt::{barred, made, not_ours_to_change, ported};
use crate::decide::experiment::{self, Needs};
use crate::decide::weights::{accepted, given_back, lowered, weighed};
use crate::decide::{birth, restart, routes, side};
use crate::model::hold::Hold;
use crate::model::moves::Write;
use crate::model::snapshot::{LiveRoute, Service, Snapshot};
use crate::model::spec::Step as Rung;
use crate::model::status::Stage;
use crate::model::template::Revision;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

fn waits(hold: Hold) -> Step {
    Err(Next::Hold(hold))
}

fn writes(writes: Vec<Write>) -> Step {
    Err(Next::Write(writes))
}

/// A rung: the canary has the weight and the pods of the step, stable the rest of the weight.
pub fn ladder(seen: &Snapshot, canary: &Revision, rung: &Rung) -> Step {
    let (weight, pods) = (rung.weight, side::pods(seen, canary, rung));
    let Ok(all) = routes::all(seen) else {
        eased(seen, canary, weight)?;
        born(seen)?;
        return unusable(seen);
    };
    let routes = all.as_slice();
    let Some(stable) = seen.status.stable.as_ref().map(|side| &side.revision) else {
        return waits(Hold::NoHealthyBackend);
    };
    let present = routes::canary_weight(routes);
    let settled = routes::in_place(routes, weight);
    let most = if settled { weight } else { weight.max(present) };
    let size = most.share(seen.spec.replicas).max(pods);
    create_service(seen, seen.stable_service.as_ref(), stable)?;
    create_service(seen, seen.canary_service.as_ref(), canary)?;
    #[cfg(feature = "planted")]
    if active(Bug::StableShrinksInLadder) {
        resized(seen, stable, weight.rest().share(seen.spec.replicas))?;
    }
    let rest = rest(seen, canary, routes, weight);
    resized(seen, stable, kept(seen, stable, rest))?;
    created(seen, canary, pods)?;
    select_stable(seen, routes, stable)?;
    select_canary(seen, routes, canary)?;
    lowered(seen, routes, weight)?;
    #[cfg(feature = "planted")]
    if active(Bug::RuleBeforeReady) {
        ruled(experiment::on(seen, routes, rung))?;
    }
    grown(seen, canary, size)?;
    healthy(seen, canary, rung)?;
    weighed(seen, routes, weight)?;
    accepted(routes)?;
    ruled(experiment::on(seen, routes, rung))?;
    shrunk(seen, canary, pods)?;
    // At full weight what is left of the old side drains after the promotion.
    if weight == Weight::FULL { Ok(()) } else { resized(seen, stable, rest) }
}

/// One of the routes cannot be used, so that none rises: those that have more traffic than they are
/// to have lose it all the same.
fn eased(seen: &Snapshot, canary: &Revision, weight: Weight) -> Step {
    let turned = side::selected(seen.canary_service.as_ref()) == Some(canary);
    let weight = if turned { weight } else { Weight::NONE };
    let mut above = routes::readable(seen);
    above.retain(|route| side::canary_weight(route) > weight);
    let stable = seen.status.stable.as_ref().map(|side| &side.revision);
    let Some(stable) = stable.filter(|_| !above.is_empty()) else { return Ok(()) };
    resized(seen, stable, seen.spec.replicas)?;
    lowered(seen, &above, weight)
}

/// The Rollout's own route is made, where it does not exist: all traffic is stable's then.
fn born(seen: &Snapshot) -> Step {
    let stable = seen.status.stable.as_ref().map(|side| &side.revision);
    let Some(stable) = stable.filter(|_| birth::due(seen)) else { return Ok(()) };
    whole(seen, stable)?;
    if seen.spec.ladder.dynamic_stable {
        endpoints(seen, seen.stable_service.as_ref(), stable, seen.spec.replicas)?;
    }
    birth::route(seen)
}

/// The pods that stable needs beside a canary that has this weight, or is about to.
fn rest(seen: &Snapshot, canary: &Revision, routes: &[&LiveRoute], weight: Weight) -> u32 {
    let size = seen.spec.replicas;
    let turned = side::selected(seen.canary_service.as_ref()) == Some(canary);
    if !seen.spec.ladder.dynamic_stable || !turned {
        return size; // Before the canary Service turns stable takes all traffic.
    }
    routes::stable_weight(routes).max(weight.rest()).share(size)
}

/// So many pods, or as many as a side of the Rollout has already, at most all.
fn kept(seen: &Snapshot, revision: &Revision, pods: u32) -> u32 {
    let there = side::replica_set(seen, revision).map_or(0, |rs| rs.desired);
    there.min(seen.spec.replicas).max(pods)
}

/// The promotion: the stable Service selects the new side, then takes all traffic.
pub fn promotion(seen: &Snapshot, canary: &Revision) -> Step {
    let service = seen.stable_service.as_ref();
    let moved = side::selected(service) == Some(canary);
    if birth::due(seen) {
        // No route leads anywhere: the Service turns before it is made.
        resized(seen, canary, seen.spec.replicas)?;
        create_service(seen, service, canary)?;
        create_service(seen, seen.canary_service.as_ref(), canary)?;
        available(seen, canary, seen.spec.replicas)?;
        select(seen, service, canary)?;
        endpoints(seen, service, canary, seen.spec.replicas)?;
        return birth::route(seen);
    }
    // All traffic is on the new side already, whichever of its Services carries it.
    let known = if moved { Ok(routes::readable(seen)) } else { routes::all(seen) };
    let Some(known) = known.ok().filter(|known| !known.is_empty()) else { return unusable(seen) };
    let routes = known.as_slice();
    resized(seen, canary, seen.spec.replicas)?;
    create_service(seen, service, canary)?;
    create_service(seen, seen.canary_service.as_ref(), canary)?;

    if !moved {
        weighed(seen, routes, Weight::FULL)?;
        accepted(routes)?;
        return select(seen, service, canary);
    }
    if routes::in_place(routes, Weight::NONE) && experiment::is_off(routes) {
        return settled(seen, routes);
    }
    #[cfg(feature = "planted")]
    if active(Bug::PromotionSkipsEndpoints) {
        weighed(seen, routes, Weight::NONE)?;
    }
    endpoints(seen, service, canary, seen.spec.replicas)?;
    any_write([ruled(experiment::off(seen, routes, canary)), weighed(seen, routes, Weight::NONE)])?;
    settled(seen, routes)
}

/// The gateways accept all routes, and there is none that cannot be read.
fn settled(seen: &Snapshot, routes: &[&LiveRoute]) -> Step {
    accepted(routes)?;
    routes::unreadable(seen).map_or(Ok(()), waits)
}

/// A route that has to wait keeps no other from what it needs.
fn any_write(steps: [Step; 2]) -> Step {
    let [first, second] = steps;
    match (first, second) {
        (Err(Next::Hold(_)), Err(Next::Write(writes))) => Err(Next::Write(writes)),
        (Ok(()), second) => second,
        (first @ Err(_), _) => first,
    }
}

/// All traffic on stable: at rest, and on the way back.
pub fn stable(seen: &Snapshot, stable: &Revision) -> Step {
    let known = routes::readable(seen);
    let routes = known.as_slice();
    let due = birth::due(seen);
    let off = ruled(experiment::off(seen, &routes::ruled(seen), stable));
    if routes.is_empty() && !due {
        off?;
        return unusable(seen);
    }
    whole(seen, stable)?;
    select_stable(seen, routes, stable)?;
    if due {
        return birth::route(seen);
    }

    if routes::in_place(routes, Weight::NONE) {
        off?;
    } else {
        any_write([given_back(seen, routes, stable, Weight::NONE), off])?;
    }
    settled(seen, routes)?;
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
    let all = match routes::all(seen) {
        Ok(all) => all,
        Err(_) if birth::due(seen) => Vec::new(),
        Err(_) => return unusable(seen),
    };
    let (routes, size) = (all.as_slice(), seen.spec.replicas);
    whole(seen, revision)?;
    #[cfg(feature = "planted")]
    if active(Bug::SelectBeforeAvailable) {
        select(seen, seen.stable_service.as_ref(), revision)?;
    }
    available(seen, revision, size)?;
    select(seen, seen.stable_service.as_ref(), revision)?;
    endpoints(seen, seen.stable_service.as_ref(), revision, size)?;
    birth::route(seen)?;
    ruled(experiment::off(seen, routes, revision))?;
    weighed(seen, routes, Weight::NONE)?;
    accepted(routes)?;
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
        Stage::First { .. } | Stage::Promoting { .. } | Stage::Baking { .. } => {
            resized(seen, &attempt.revision, size)
        }
        Stage::Step { .. } => {
            let present = routes::canary_weight(&routes::readable(seen));
            let serves = side::selected(seen.stable_service.as_ref()) == Some(&attempt.revision);
            let pods = side::rung(seen).map_or(0, |r| side::pods(seen, &attempt.revision, &r));
            let pods = if serves { size } else { pods };
            let pods = attempt.weight.max(present).share(size).max(pods);
            // A route that cannot be read may need those that are there.
            let unknown = routes::unreadable(seen).is_some();
            let pods = if unknown { kept(seen, &attempt.revision, pods) } else { pods };
            shrunk(seen, &attempt.revision, pods)
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
            let share = routes::stable_weight(&routes::readable(seen)).share(size);
            let unknown = routes::unreadable(seen).is_some();
            kept(seen, stable, if unknown { size } else { share })
        }
        Stage::First { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => size,
    }
}

fn unusable(seen: &Snapshot) -> Step {
    sizes(seen)?;
    routes::all(seen).map_or_else(waits, |_| Ok(()))
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
    let replicas = restart::spared(seen, rs, replicas);
    let clear = rs.quarantined.filter(|attempt| *attempt > 0).map(|_| 0);
    if side::asked_for(seen, rs, replicas) && clear.is_none() {
        return Ok(());
    }
    let (target, attempt) = (side::target(rs), side::reused_by(seen, rs));
    let min_ready_secs = seen.spec.min_ready_secs;
    writes(vec![Write::Resize { target, replicas, min_ready_secs, quarantine: clear, attempt }])
}

/// As [`resized`], but the last pods of a side go only once they drained.
fn shrunk(seen: &Snapshot, revision: &Revision, replicas: u32) -> Step {
    let drains = replicas == 0 && seen.spec.replicas > 0;
    if drains { Ok(()) } else { resized(seen, revision, replicas) }
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

/// A Service exists; a new one selects this revision. One that we made has the port of the spec.
pub fn create_service(seen: &Snapshot, service: Option<&Service>, revision: &Revision) -> Step {
    let Some(service) = service else { return Ok(()) };
    provided(seen, (service, seen.spec.ladder.port), revision)
}

/// As [`create_service`], with a port.
pub fn provided(seen: &Snapshot, (service, port): (&Service, u16), revision: &Revision) -> Step {
    let needs = match service.live {
        None => Some(made(seen, service, revision, port)),
        Some(_) => ported(seen, service, port),
    };
    ruled(needs.map(|needed| needed.map(|write| vec![write])))
}

/// A Service selects this revision.
pub fn select(seen: &Snapshot, service: Option<&Service>, revision: &Revision) -> Step {
    let Some((service, live)) = service.and_then(|s| Some((s, s.live.as_ref()?))) else {
        return Ok(());
    };
    if live.selects.as_ref() == Some(revision) {
        return Ok(());
    }
    if let Some(hold) = barred(seen).or_else(|| not_ours_to_change(service, live)) {
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
fn select_stable(seen: &Snapshot, routes: &[&LiveRoute], stable: &Revision) -> Step {
    let service = seen.stable_service.as_ref();
    let selected = side::selected(service);
    if selected == Some(stable) {
        return Ok(());
    }
    let bare = routes::in_place(routes, Weight::FULL) && routes::unreadable(seen).is_none();
    let turns = selected.is_some() && !bare;
    let needed = if turns { seen.spec.replicas } else { seen.spec.replicas.min(1) };
    available(seen, stable, needed)?;
    select(seen, service, stable)
}

/// The canary Service selects the canary; before it turns from another revision, that one has no
/// traffic.
fn select_canary(seen: &Snapshot, routes: &[&LiveRoute], canary: &Revision) -> Step {
    let service = seen.canary_service.as_ref();
    if side::selected(service) == Some(canary) {
        return Ok(());
    }
    #[cfg(feature = "planted")]
    if active(Bug::CanaryTurnedUnderTraffic) {
        return select(seen, service, canary);
    }
    let stable = seen.status.stable.as_ref().map(|side| &side.revision);
    if let Some(stable) = stable.filter(|_| !routes::in_place(routes, Weight::NONE)) {
        given_back(seen, routes, stable, Weight::NONE)?;
        return accepted(routes);
    }
    #[cfg(feature = "planted")]
    let stable = stable.filter(|_| !active(Bug::RuleKeptOnSupersede));
    if let Some(stable) = stable {
        ruled(experiment::off(seen, routes, stable))?;
    }
    accepted(routes)?;
    select(seen, service, canary)
}

/// What is needed is there.
fn ruled(needs: Needs) -> Step {
    match needs {
        None => Ok(()),
        Some(Ok(all)) => writes(all),
        Some(Err(hold)) => waits(hold),
    }
}

#[cfg(test)]
mod tests;
