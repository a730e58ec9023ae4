//! Attempt: when one starts, what it supersedes, and what keeps it from starting.

use std::collections::BTreeMap;

use crate::decide::act::Act;
use crate::decide::bake;
use crate::decide::binding;
use crate::decide::ending;
use crate::decide::gate;
use crate::decide::notice;
use crate::decide::pick;
use crate::decide::release::{self, Wanted};
use crate::decide::routes;
use crate::decide::side::{self, quarantined};
use crate::model::hold::Hold;
use crate::model::image::Image;
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::Write;
use crate::model::release::ReleaseRef;
use crate::model::snapshot::{LiveRoute, LiveService, Offer, Service, Snapshot};
use crate::model::spec::{RouteName, Routing};
use crate::model::status::{Attempt, Cause, Pin, Stage, Status, Trigger};
use crate::model::template::Revision;
use crate::model::version::Version;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// What there is to do about templates and releases that the present attempt does not cover.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// Nothing.
    Nothing,
    /// A new attempt, or another stage of the present one.
    Commit(Box<Status>),
    /// The stable release goes back into the template.
    Apply(Vec<Write>),
    /// A release cannot be taken; the present attempt goes on.
    Hold(Hold),
    /// A template cannot be taken; the present attempt, which is another, stands still.
    Stop(Hold),
}

/// Freezes and unfreezes the attempt; the time between counts for no pause and no deadline.
pub fn freeze(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    #[cfg(feature = "planted")]
    if active(Bug::FrozenTimeCounts) {
        return None;
    }
    let attempt = seen.status.attempt.as_ref()?;
    let moving = matches!(
        attempt.stage,
        Stage::First { .. } | Stage::Step { .. } | Stage::Promoting { .. } | Stage::Baking { .. }
    );
    let frozen = seen.spec.paused || seen.spec.replicas == 0;
    let (frozen_since, stage) = match seen.status.frozen_since {
        None if frozen && moving => (Some(now), attempt.stage.clone()),
        Some(since) if !frozen || !moving => (None, later(&attempt.stage, now.since(since))),
        Some(_) | None => return None,
    };
    let attempt = Some(Attempt { stage, ..attempt.clone() });
    Some(Act::Commit(Box::new(Status { frozen_since, attempt, ..seen.status.clone() })))
}

fn later(stage: &Stage, length: Duration) -> Stage {
    match stage {
        #[cfg(feature = "planted")]
        Stage::Step { number, entered_at, paused_at } if active(Bug::PauseRunsWhileFrozen) => {
            let (number, entered_at) = (*number, *entered_at + length);
            Stage::Step { number, entered_at, paused_at: *paused_at }
        }
        Stage::First { entered_at } => Stage::First { entered_at: *entered_at + length },
        Stage::Step { number, entered_at, paused_at } => Stage::Step {
            number: *number,
            entered_at: *entered_at + length,
            paused_at: paused_at.map(|at| at + length),
        },
        Stage::Promoting { entered_at } => Stage::Promoting { entered_at: *entered_at + length },
        Stage::Baking { entered_at, since } => Stage::Baking {
            entered_at: *entered_at + length,
            since: since.map(|since| since + length),
        },
        Stage::RollingBack { .. } | Stage::Completed { .. } | Stage::Ended { .. } => stage.clone(),
    }
}

/// Tells whether a new attempt starts. A template edit goes before a release of the source, but not
/// one that failed: another release is what mends it.
pub fn start(seen: &Snapshot, now: Timestamp) -> Start {
    match of_template(seen, now) {
        Start::Nothing => of_release(seen, now),
        Start::Stop(hold @ Hold::Quarantined { .. }) => match of_release(seen, now) {
            start @ (Start::Commit(_) | Start::Apply(_)) => start,
            Start::Nothing | Start::Hold(_) | Start::Stop(_) => Start::Stop(hold),
        },
        start @ (Start::Commit(_) | Start::Apply(_) | Start::Hold(_) | Start::Stop(_)) => start,
    }
}

fn of_template(seen: &Snapshot, now: Timestamp) -> Start {
    if !seen.spec.workload {
        return Start::Nothing;
    }
    if seen.template.containers.iter().any(|c| c.image.is_none())
        || release::pending(seen).is_some()
    {
        return Start::Nothing; // The first release, or the one on its way, fills the template.
    }
    let status = &seen.status;
    let present = side::present(seen);
    if let Some(attempt) = &status.attempt {
        let same = present == attempt.revision;
        let failed = matches!(attempt.stage, Stage::Ended { .. });
        if same && (attempt.stage.open() || !failed || attempt.kept) {
            return Start::Nothing;
        }
        if let Stage::Promoting { .. } = attempt.stage {
            return Start::Nothing; // All traffic is on the new side: finish first.
        }
        if !same && status.stable.as_ref().is_some_and(|stable| stable.revision == present) {
            return back_to_stable(seen, attempt, now);
        }
    }
    if let Some(entry) = status.quarantine.iter().find(|entry| entry.revision == present) {
        let what = format!("the template of revision {present}");
        return Start::Stop(quarantined(seen, what, entry.attempt));
    }
    let delivers = side::delivered(seen, &seen.template.images());
    let hold = blocked(seen).or_else(|| refused_template(seen));
    if let Some(hold) = hold.or_else(|| binding::blocked(seen, &delivers, Trigger::Template)) {
        return Start::Stop(hold);
    }
    let mut next = begin(seen, present, delivers, Trigger::Template, now);
    next.pin = pin(seen, now).or(next.pin);
    Start::Commit(Box::new(next))
}

fn refused_template(seen: &Snapshot) -> Option<Hold> {
    seen.template_refused.clone().map(|why| Hold::InvalidTemplate { why })
}

/// The template is the stable one again: an attempt in progress ends at once.
fn back_to_stable(seen: &Snapshot, attempt: &Attempt, now: Timestamp) -> Start {
    let mut status = seen.status.clone();
    let cause = Cause::Reverted;
    let stage = match &attempt.stage {
        Stage::Step { .. } => Stage::RollingBack { entered_at: now, cause },
        Stage::Ended { cause: ended, .. }
            if ended.failed() && attempt.trigger != Trigger::Release =>
        {
            Stage::Ended { at: now, cause }
        }
        Stage::First { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => return Start::Nothing,
    };
    if let Some(attempt) = &mut status.attempt {
        attempt.stage = stage;
        attempt.weight = Weight::NONE;
    }
    status.pin = pin(seen, now).or(status.pin);
    Start::Commit(Box::new(status))
}

fn of_release(seen: &Snapshot, now: Timestamp) -> Start {
    let status = &seen.status;
    let (kept, manual) = (kept(seen), pick::manual(seen));
    if let Some(hold) = kept.as_ref().filter(|_| !manual) {
        return Start::Hold(hold.clone());
    }
    let (release, images) = match release::wanted(seen, now) {
        Wanted::Nothing => return kept.map_or_else(|| no_image(seen), Start::Hold),
        Wanted::Hold(hold) => return Start::Hold(hold),
        Wanted::Images { release, images } => (release, images),
    };
    let promoting = |a: &Attempt| matches!(a.stage, Stage::Promoting { .. });
    let on_its_way = |a: &Attempt| release::pending(seen).is_some() && a.release.same(&release);
    if status.attempt.as_ref().is_some_and(|a| promoting(a) || on_its_way(a)) {
        return Start::Nothing;
    }
    if bake::runs(seen, now) && !manual {
        return Start::Nothing; // It is healthy so far: the next one comes after it.
    }
    let revision = if seen.spec.workload {
        side::revision_of(seen, &seen.template.with_images(&images))
    } else {
        side::revision_of_release(seen, &release)
    };
    if let Some(entry) = status.quarantine.iter().find(|entry| entry.revision == revision) {
        return Start::Hold(quarantined(seen, release.image, entry.attempt));
    }
    let bound = || binding::blocked(seen, &release, Trigger::Release);
    if let Some(hold) = blocked(seen).or_else(bound) {
        return Start::Hold(hold);
    }
    let workload = seen.spec.workload;
    if workload && status.stable.as_ref().is_some_and(|stable| stable.revision == revision) {
        return Start::Apply(release::set_images(seen, &images)); // It runs: nothing has to climb.
    }
    let mut next = begin(seen, revision, release, Trigger::Release, now);
    let chosen = status.pin.clone();
    let delivers = next.attempt.as_ref().map(|attempt| &attempt.release);
    next.pin = chosen.filter(|pin| delivers.is_some_and(|release| pick::chose(pin, release)));
    Start::Commit(Box::new(next))
}

/// A release that failed and stays keeps others from being taken, until a person says otherwise.
fn kept(seen: &Snapshot) -> Option<Hold> {
    let stays = |attempt: &&Attempt| attempt.kept && !attempt.unblocked;
    let attempt = seen.status.attempt.as_ref().filter(stays)?;
    Some(Hold::FailedRelease { what: attempt.release.image.clone(), attempt: attempt.number })
}

fn no_image(seen: &Snapshot) -> Start {
    let empty = seen.template.containers.iter().any(|c| c.image.is_none());
    if empty { Start::Hold(Hold::NoRelease) } else { Start::Nothing }
}

/// What keeps any attempt from starting: better now than half-way up the ladder.
fn blocked(seen: &Snapshot) -> Option<Hold> {
    if seen.spec.paused {
        return Some(Hold::Suspended);
    }
    if let Some(hold) = changed(seen).or_else(|| duplicate(seen)) {
        return Some(hold);
    }
    if seen.spec.replicas == 0 {
        return Some(Hold::ScaledToZero);
    }
    if let Some(hold) = blocked_routes(seen) {
        return Some(hold);
    }
    let services = [&seen.stable_service, &seen.canary_service];
    services.into_iter().flatten().find_map(|service| blocked_service(seen, service))
}

/// What keeps an attempt from using one of the routes.
fn blocked_routes(seen: &Snapshot) -> Option<Hold> {
    if !seen.spec.ladder.routed() {
        return None;
    }
    let blocked = |live: &LiveRoute| owned(live).or_else(|| live.experiment.hold.clone());
    match routes::all(seen) {
        Ok(all) => all.into_iter().find_map(blocked),
        Err(hold) => routes::unmade(seen).is_none().then_some(hold),
    }
}

/// An older Rollout has one of the Services or routes.
pub fn duplicate(seen: &Snapshot) -> Option<Hold> {
    let (what, holder) = seen.duplicate.clone()?;
    Some(Hold::DuplicateBinding { what, holder })
}

/// An older Rollout keeps us from writing to a Service or route. What we had before it we may
/// leave: on the way back traffic goes to stable, as long as the other did not take it.
pub fn barred(seen: &Snapshot) -> Option<Hold> {
    let leaves = seen.status.attempt.as_ref().is_some_and(|attempt| {
        attempt.routing.is_some() && matches!(attempt.stage, Stage::RollingBack { .. })
    });
    let taken =
        || [&seen.stable_service, &seen.canary_service].iter().any(|s| lost_service(seen, s));
    duplicate(seen).filter(|_| !leaves || taken())
}

/// An older Rollout turned a Service to its own pods: our traffic is not there any more, and two
/// that write would undo each other's writes without end.
fn lost_service(seen: &Snapshot, service: &Option<Service>) -> bool {
    let ours = |revision: &Revision| side::replica_set(seen, revision).is_some();
    seen.duplicate.is_some() && side::selected(service.as_ref()).is_some_and(|to| !ours(to))
}

/// Somebody else has the route.
pub fn taken(seen: &Snapshot, route: &LiveRoute) -> Option<Hold> {
    barred(seen).or_else(|| owned(route))
}

/// A GitOps tool would put the route back.
fn owned(route: &LiveRoute) -> Option<Hold> {
    let owner = route.owner.clone()?;
    Some(Hold::RouteOwned { route: route.name.clone(), owner })
}

/// What is in use is not what the spec names: an attempt would begin with it.
pub fn changed(seen: &Snapshot) -> Option<Hold> {
    seen.instead.as_ref()?;
    let Routing { strategy, routes, stable, canary, experiment, .. } = seen.spec.ladder.routing();
    let mut parts = vec![format!("strategy {}", strategy.as_str())];
    parts.extend(routes.iter().map(ToString::to_string));
    parts.extend([stable, canary].into_iter().flatten().map(|name| format!("Service {name}")));
    parts.extend(experiment.map(|header| format!("the header {}", header.name)));
    Some(Hold::StrategyChanged { used: parts.join(", ") })
}

/// Takes a route that labels select since the attempt began into what it uses, before it is
/// written to: from then on it stays, whatever becomes of its labels.
pub fn join(seen: &Snapshot) -> Option<Act> {
    let attempt = seen.status.attempt.as_ref().filter(|attempt| attempt.stage.open())?;
    let used = attempt.routing.as_ref().filter(|_| seen.instead.is_none())?;
    let names = || seen.routes.iter().map(|route| &route.name);
    if names().all(|name| used.routes.contains(name)) {
        return None;
    }
    let mut routes: Vec<RouteName> = names().chain(&used.routes).cloned().collect();
    routes.sort();
    routes.dedup();
    let mut status = seen.status.clone();
    let attempt = status.attempt.as_mut()?;
    attempt.routing = Some(Routing { routes, ..used.clone() });
    Some(Act::Commit(Box::new(status)))
}

fn blocked_service(seen: &Snapshot, service: &Service) -> Option<Hold> {
    let port = seen.spec.ladder.port;
    let needed = service.live.is_none() || lacks(service, port);
    if needed && target_port(seen, port).is_none() {
        return Some(Hold::PortUnknown { service: service.name.clone(), port });
    }
    not_ours_to_change(service, service.live.as_ref()?)
}

/// What keeps us from writing to a Service: it is for other pods, or would be put back.
pub fn not_ours_to_change(service: &Service, live: &LiveService) -> Option<Hold> {
    let name = service.name.clone();
    if let Some(why) = live.mismatch.clone() {
        return Some(Hold::ServiceMismatch { service: name, why });
    }
    live.owner.clone().map(|owner| Hold::ServiceOwned { service: name, owner })
}

/// The write that makes a Service for a revision.
///
/// # Errors
/// What keeps it from being made.
pub fn made(
    seen: &Snapshot,
    service: &Service,
    revision: &Revision,
    port: u16,
) -> Result<Write, Hold> {
    let target_port = usable_port(seen, service, port)?;
    let (name, selector) = (service.name.clone(), seen.spec.selector.clone());
    Ok(Write::CreateService { name, revision: revision.clone(), selector, port, target_port })
}

/// The write that gives a Service that we made a port, where it has not this one.
pub fn ported(seen: &Snapshot, service: &Service, port: u16) -> Option<Result<Write, Hold>> {
    let live = service.live.as_ref().filter(|_| lacks(service, port))?;
    let target = side::service_target(service, live);
    let added = |target_port| Write::AddPort { target, port, target_port };
    Some(usable_port(seen, service, port).map(added))
}

/// The pods' port behind a port that a Service of ours is to have.
fn usable_port(seen: &Snapshot, service: &Service, port: u16) -> Result<u16, Hold> {
    if let Some(hold) = duplicate(seen) {
        return Err(hold);
    }
    let unknown = || Hold::PortUnknown { service: service.name.clone(), port };
    target_port(seen, port).ok_or_else(unknown)
}

/// Tells whether a Service that we made has not this port.
pub fn lacks(service: &Service, port: u16) -> bool {
    service.live.as_ref().is_some_and(|live| live.ours && !live.ports.contains(&port))
}

/// The pods' port behind a port of a new Service: the containerPort of that number, else the only
/// one.
pub fn target_port(seen: &Snapshot, port: u16) -> Option<u16> {
    let ports = &seen.template.ports;
    match ports.as_slice() {
        _ if ports.contains(&port) => Some(port),
        [only] => Some(*only),
        [] | [_, _, ..] => None,
    }
}

/// The status with a new attempt; the one in progress is superseded.
fn begin(
    seen: &Snapshot,
    revision: Revision,
    release: ReleaseRef,
    trigger: Trigger,
    now: Timestamp,
) -> Status {
    let mut status = seen.status.clone();
    #[cfg(feature = "planted")]
    if active(Bug::EndedTwice) && !seen.status.attempt.iter().any(|attempt| attempt.stage.open()) {
        ending::close(seen, &mut status, Some(Cause::Superseded), now);
    }
    if status.attempt.as_ref().is_some_and(|attempt| attempt.stage.open()) {
        ending::close(seen, &mut status, Some(Cause::Superseded), now);
    }
    if lost(seen) {
        status.stable = None; // Nobody can bring it back, so there is nothing to protect.
    }
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number).saturating_add(1);
    #[cfg(feature = "planted")]
    let number = if active(Bug::NumberFromHistory) {
        u32::try_from(status.history.len()).unwrap_or(0).saturating_add(1)
    } else {
        number
    };
    let returns = returns(seen, &status, &revision);
    let first = if returns { seen.spec.ladder.last() } else { 1 };
    let (stage, weight) = foot(seen, &status, (&revision, first), now);
    let baking = matches!(stage, Stage::Baking { .. });
    status.draining.retain(|draining| draining.revision != revision);
    status.targets.retain(|target| binding::binds(seen, target));
    let climbs = status.stable.as_ref().filter(|_| !baking);
    status.canary = climbs.map(|_| side::shown(seen, &revision, &release));
    let attempt = Attempt {
        number,
        release,
        revision,
        trigger,
        delivered: trigger != Trigger::Release,
        started_at: now,
        stage,
        weight,
        highest: weight,
        routing: side::routing(seen).filter(|_| seen.spec.workload),
        unpaused: returns,
        concludes: false,
        previous: seen.status.attempt.as_ref().and_then(|attempt| attempt.previous.clone()),
        bake: None,
        kept: false,
        unblocked: false,
        intent: status.intent.take().filter(|_| pick::manual(seen)),
    };
    #[cfg(feature = "planted")]
    let unpaused =
        returns || active(Bug::UnpausedSurvives) && status.attempt.iter().any(|a| a.unpaused);
    #[cfg(feature = "planted")]
    let attempt = Attempt { unpaused, ..attempt };
    gate::used(&mut status, &attempt.release);
    notice::repushed(seen, &mut status, &attempt, now);
    notice::started(seen, &mut status, &attempt, now);
    status.attempt = Some(attempt);
    status.frozen_since = None;
    status
}

/// Where an attempt begins, with its weight: at a step, as the first revision, or, where the
/// revision has all traffic already or there are no pods, with its bake.
fn foot(
    seen: &Snapshot,
    status: &Status,
    (revision, first): (&Revision, u32),
    now: Timestamp,
) -> (Stage, Weight) {
    let stable = status.stable.as_ref().map(|side| &side.revision);
    if !seen.spec.workload || stable == Some(revision) {
        return (Stage::Baking { entered_at: now, since: None }, Weight::FULL);
    }
    if stable.is_none() {
        return (Stage::First { entered_at: now }, Weight::NONE);
    }
    let weight = seen.spec.ladder.step(first).map_or(Weight::NONE, |step| step.weight);
    (Stage::Step { number: first, entered_at: now, paused_at: None }, weight)
}

/// Another attempt at a release that failed and stays: it bakes again.
pub fn again(seen: &Snapshot, now: Timestamp) -> Option<Status> {
    let attempt = seen.status.attempt.as_ref().filter(|attempt| attempt.kept)?;
    let Attempt { revision, release, trigger, .. } = attempt.clone();
    Some(begin(seen, revision, release, trigger, now))
}

/// A revision that carried all traffic not long ago, and did not fail since, needs no steps.
fn returns(seen: &Snapshot, status: &Status, revision: &Revision) -> bool {
    let Some(stable) = status.stable.as_ref().map(|side| &side.revision) else { return false };
    let mut known: Vec<&Revision> = vec![stable];
    let mut last = status.history.iter().filter(|entry| {
        let fresh = !known.contains(&&entry.revision);
        known.push(&entry.revision);
        fresh && entry.cause.is_none()
    });
    last.by_ref().take(seen.spec.ladder.rollback_window).any(|entry| entry.revision == *revision)
        && side::replica_set(seen, revision).is_some()
}

/// The stable ReplicaSet is gone, and with it its template. What is only delivered has none, and
/// can always be delivered again.
fn lost(seen: &Snapshot) -> bool {
    let stable = seen.status.stable.as_ref().filter(|_| seen.spec.workload);
    stable.map(|side| &side.revision).is_some_and(|stable| {
        side::replica_set(seen, stable).is_none() && side::present(seen) != *stable
    })
}

/// The pin of an image that a person set by hand while a source is active.
fn pin(seen: &Snapshot, now: Timestamp) -> Option<Pin> {
    if seen.offer == Offer::NoSource {
        return None;
    }
    let offered = pick::goal(seen);
    let before = before(seen)?;
    let changed = seen.template.containers.iter().find(|container| {
        let image = container.image.as_ref();
        image.is_some()
            && before.get(&container.name).is_some_and(|old| Some(old) != image)
            && container.foreign_owners.is_empty()
    })?;
    let image = changed.image.clone()?;
    let set = Image::parse(&image).ok()?;
    if offered.as_ref().is_some_and(|o| {
        ReleaseRef::of(&o.image).same(&ReleaseRef::of(&set)) && o.image.same_repository(&set)
    }) {
        return None; // The release itself, delivered by hand.
    }
    let by_hand = set.tag.as_deref().and_then(|tag| Version::from_tag(tag).ok());
    let newest = offered
        .map(|release| release.version.clone())
        .into_iter()
        .chain(by_hand)
        .max_by(Version::precedence);
    let until_newer_than = newest.map(|version| version.to_string()).unwrap_or_default();
    Some(Pin { image, until_newer_than, since: now, forced: false })
}

/// The images before the present template: of the attempt, unless it failed; else of stable.
fn before(seen: &Snapshot) -> Option<BTreeMap<String, String>> {
    let status = &seen.status;
    let attempt = status.attempt.as_ref()?;
    let ended = matches!(attempt.stage, Stage::Ended { .. } | Stage::RollingBack { .. });
    let stable = status.stable.as_ref().filter(|_| ended).map(|side| &side.revision);
    side::replica_set(seen, stable.unwrap_or(&attempt.revision)).map(|rs| rs.images.clone())
}

#[cfg(test)]
mod tests;
