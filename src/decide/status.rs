//! Status: how what is known is shown, and when showing it is worth a write.

use crate::decide::act::Waits;
use crate::decide::binding;
use crate::decide::conditions;
use crate::decide::digest;
use crate::decide::drain;
use crate::decide::gate;
use crate::decide::pick;
use crate::decide::side;
use crate::model::hold::{EndedBy, Hold};
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::{Target, Write};
use crate::model::problem::Problem;
use crate::model::release::{About, Card, Listed, ReleaseRef};
use crate::model::shared::Shared;
use crate::model::snapshot::{Identity, Snapshot};
use crate::model::spec::{RouteName, Strategy};
use crate::model::status::{
    Attempt, Cause, Counts, Delivered, Phase, Side, Skipped, Stage, Status, Waiting,
};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// While an attempt moves, numbers and passing waits are shown at most this often.
pub const REPORT_EVERY: Duration = Duration::from_secs(3);
/// How Flux comes along with what was delivered, and what a registry tells of it, at most this
/// often: mostly Flux is done before, and what it says meanwhile changes from second to second.
pub const DELIVERY_EVERY: Duration = Duration::from_secs(15);

/// When a status is worth a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It says nothing new.
    Never,
    /// At once.
    Now,
    /// At this time, unless another write takes it along.
    At(Timestamp),
}

/// Fills in all that follows from the rest: phase, numbers, waits, conditions.
pub fn project(seen: &Snapshot, mut status: Status, waits: &Waits, now: Timestamp) -> Status {
    status.observed_generation = seen.rollout.generation;
    status.outbox.retain(|notice| !seen.sent.contains(&notice.id));
    let climbing = status.attempt.as_ref().filter(|attempt| drain::climbs(seen, &status, attempt));
    let climbing = climbing.map(|attempt| attempt.revision.clone());
    status.draining.retain(|draining| {
        let there = side::replica_set(seen, &draining.revision).is_some_and(|rs| rs.desired > 0);
        there && climbing.as_ref() != Some(&draining.revision)
    });
    let present = side::present(seen);
    if let Some(attempt) = status.attempt.as_mut().filter(|a| a.revision == present) {
        #[cfg(feature = "planted")]
        if active(Bug::DeadlineRestarts) {
            attempt.stage = arrived(&attempt.stage, now);
        }
        if !attempt.delivered {
            attempt.stage = arrived(&attempt.stage, now);
        }
        attempt.delivered = true;
    }
    if let Some(attempt) = &mut status.attempt
        && let Stage::Step { number, .. } = attempt.stage
        && let Some(step) = seen.spec.ladder.stands(number)
    {
        attempt.weight = step.weight;
        attempt.highest = attempt.highest.max(step.weight);
    }
    digest::learn(seen, &mut status);
    status.gates = gate::states(seen, now);
    status.targets = binding::remembered(seen, &status, now);
    status.available = pick::available(seen);
    (status.candidates, status.gated) = pick::candidates(seen, now);
    if let Some(attempt) = status.attempt.as_ref().filter(|attempt| attempt.stage.open()) {
        // Taken, though it may not have arrived yet.
        let newer = |listed: &Listed| !attempt.release.is(listed);
        for list in [&mut status.candidates, &mut status.gated] {
            *list = std::mem::take(list).into_iter().take_while(newer).collect();
        }
    }
    status.card = digest::card(seen);
    status.skipped = digest::skipped(seen);
    status.counts = counts(seen);
    status.selector = selector(seen);
    for side in [&mut status.stable, &mut status.canary].into_iter().flatten() {
        *side = side_now(seen, side);
    }
    status.phase = phase(seen, &status);
    let old = std::mem::take(&mut status.waiting);
    status.waiting =
        waits.holds.iter().map(|(hold, until)| waiting(seen, &old, hold, *until, now)).collect();
    let generation = seen.rollout.generation;
    status.conditions = conditions::of(seen, &status, waits, (generation, now)).into();
    status
}

/// The release has arrived: from here on the deadline runs.
fn arrived(stage: &Stage, now: Timestamp) -> Stage {
    match stage {
        Stage::First { .. } => Stage::First { entered_at: now },
        Stage::Step { number, paused_at: None, .. } => {
            Stage::Step { number: *number, entered_at: now, paused_at: None }
        }
        Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => stage.clone(),
    }
}

fn side_now(seen: &Snapshot, side: &Side) -> Side {
    match side::replica_set(seen, &side.revision) {
        Some(_) => side::shown(seen, &side.revision, &side.release),
        None => Side { replicas: 0, ready: 0, ..side.clone() },
    }
}

fn counts(seen: &Snapshot) -> Counts {
    let present = side::present(seen);
    let mut counts = Counts::default();
    for rs in seen.replica_sets.iter().filter(|rs| rs.owned) {
        counts.replicas = counts.replicas.saturating_add(rs.replicas);
        counts.ready = counts.ready.saturating_add(rs.ready);
        counts.available = counts.available.saturating_add(rs.available);
        if rs.revision == present {
            counts.updated = counts.updated.saturating_add(rs.replicas);
        }
    }
    counts
}

fn selector(seen: &Snapshot) -> String {
    let pairs: Vec<_> =
        seen.spec.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// The phase, in one word. `Completed` speaks of the present template.
fn phase(seen: &Snapshot, status: &Status) -> Phase {
    let Some(attempt) = &status.attempt else { return Phase::Initializing };
    match &attempt.stage {
        Stage::First { .. } => Phase::Initializing,
        Stage::Step { paused_at: Some(_), .. } => match seen.spec.ladder.strategy {
            Strategy::BlueGreen => Phase::Preview,
            Strategy::AbTesting => Phase::Experimenting,
            Strategy::Canary | Strategy::Simple => Phase::Paused,
        },
        Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { since: None, .. }
        | Stage::RollingBack { .. } => Phase::Progressing,
        Stage::Baking { since: Some(_), .. } => Phase::Baking,
        Stage::Ended { cause, .. } if cause.failed() => Phase::Failed,
        Stage::Completed { .. } | Stage::Ended { .. } if side::on_stable(seen, status) => {
            Phase::Completed
        }
        Stage::Ended { cause: Cause::Concluded, .. } => Phase::Concluded,
        Stage::Completed { .. } | Stage::Ended { .. } => Phase::Progressing,
    }
}

fn waiting(
    seen: &Snapshot,
    old: &[Waiting],
    hold: &Hold,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Waiting {
    let same = |w: &&Waiting| w.kind == hold.code() && w.name == hold.object();
    let kin = |w: &&Waiting| unhealthy(&w.kind) && unhealthy(hold.code());
    let before = old.iter().find(same).or_else(|| old.iter().find(kin));
    let (automatic, command) = match hold.ended_by() {
        EndedBy::Itself => (true, None),
        EndedBy::Person => (false, None),
        EndedBy::Approval => (false, approval(seen, hold)),
        EndedBy::Command(command) => {
            let Identity { group, namespace, name, .. } = &seen.rollout;
            let key = format!("{group}/{command}");
            let line = format!("kubectl -n {namespace} annotate slr {name} {key}=true --overwrite");
            (false, Some(line))
        }
    };
    Waiting {
        kind: hold.code().to_owned(),
        name: hold.object().to_owned(),
        since: before.map_or(now, |w| w.since),
        until,
        automatic,
        message: hold.message(),
        command,
    }
}

/// The line that approves a version at a gate.
fn approval(seen: &Snapshot, hold: &Hold) -> Option<String> {
    let Hold::NotApproved { gate, version } = hold else { return None };
    let Identity { group, namespace, .. } = &seen.rollout;
    let key = format!("{group}/approve");
    Some(format!("kubectl -n {namespace} annotate rolloutgate {gate} {key}={version} --overwrite"))
}

/// The holds of a side that is not healthy: they are one as far as its deadline goes.
pub fn unhealthy(kind: &str) -> bool {
    ["PodsNotReady", "EndpointsNotReady", "RouteNotAccepted", "RouteRefused", "Refused"]
        .contains(&kind)
}

/// What is waited for once these writes are done, as far as that is foreseen.
pub fn expected(seen: &Snapshot, writes: &[Write]) -> Waits {
    let name = &seen.rollout.name;
    let resized = |target: &Target, replicas: u32| {
        seen.replica_sets.iter().any(|rs| rs.name == target.name && rs.desired != replicas)
    };
    let hold = writes.iter().find_map(|write| match write {
        Write::CreateReplicaSet { revision, replicas, .. } => Some(Hold::PodsNotReady {
            replica_set: revision.replica_set(name),
            available: 0,
            needed: *replicas,
        }),
        // A failure or a number is marked.
        Write::Resize { quarantine: Some(1..), .. } => None,
        Write::Resize { target, replicas, .. } if *replicas > 0 && resized(target, *replicas) => {
            Some(Hold::PodsNotReady {
                replica_set: target.name.clone(),
                available: 0,
                needed: *replicas,
            })
        }
        Write::CreateRoute { kind, .. } => {
            let route = RouteName { kind: *kind, name: name.clone() };
            Some(Hold::RouteNotAccepted { route })
        }
        Write::SetWeights { kind, target, .. }
        | Write::SetRules { kind, target, .. }
        | Write::SetRoute { kind, target, .. } => {
            let route = RouteName { kind: *kind, name: target.name.clone() };
            Some(Hold::RouteNotAccepted { route })
        }
        Write::SetImages(_) => {
            let attempt = seen.status.attempt.as_ref()?;
            let replica_set = attempt.revision.replica_set(name);
            Some(Hold::PodsNotReady { replica_set, available: 0, needed: 1 })
        }
        Write::Resize { .. }
        | Write::DeleteReplicaSet(_)
        | Write::AdoptReplicaSet(_)
        | Write::Evict { .. }
        | Write::CreateService { .. }
        | Write::AddPort { .. }
        | Write::Select { .. }
        | Write::Deliver { .. }
        | Write::ResetCheck { .. }
        | Write::Request { .. }
        | Write::TakeCommands { .. }
        | Write::Finalizer { .. } => None,
    });
    hold.map(Waits::of).unwrap_or_default()
}

/// Tells when the shown status is worth a write of its own.
pub fn due(seen: &Snapshot, shown: &Status, now: Timestamp) -> Due {
    let stored = &seen.status;
    let open = stored.attempt.as_ref().is_some_and(|attempt| attempt.stage.open());
    let news = shown.outbox.iter().any(|notice| !stored.outbox.contains(notice));
    let same = Status { outbox: shown.outbox.clone(), ..stored.clone() } == *shown;
    // Most often nothing is another than before.
    let quiet = !news && (same || calm(stored) == calm(shown));
    if !open {
        // Sent notices are crossed out once all are; numbers are shown once they stand still.
        let told = shown.outbox.len() < stored.outbox.len() && shown.outbox.is_empty();
        let passing = quiet && shrinking(seen);
        let late = !(same || passing);
        return if news || told || late { Due::Now } else { Due::Never };
    }
    if !quiet {
        return Due::Now;
    }
    if same {
        return Due::Never;
    }
    let told_alone = beside_told(stored) == beside_told(shown);
    let last = last_shown(stored) + if told_alone { DELIVERY_EVERY } else { REPORT_EVERY };
    if last <= now { Due::Now } else { Due::At(last) }
}

/// All but what is learned of releases later, what is known to be delivered, and what is sent.
fn unlearned(status: &Status) -> Status {
    let attempt = status.attempt.clone().map(|attempt| Attempt {
        delivered: true,
        release: bare(attempt.release),
        ..attempt
    });
    let stable = status.stable.clone();
    Status {
        attempt,
        stable: stable.map(|side| Side { release: bare(side.release), ..side }),
        outbox: Vec::new(),
        available: Shared::default(),
        candidates: Vec::new(),
        gated: Vec::new(),
        card: Card::default(),
        skipped: Skipped::default(),
        ..status.clone()
    }
}

/// All but how Flux comes along with what was delivered, and what is learned of releases later.
fn beside_told(status: &Status) -> Status {
    let other = |waiting: &&Waiting| waiting.kind != Hold::AWAITING_DELIVERY;
    Status {
        waiting: status.waiting.iter().filter(other).cloned().collect(),
        targets: Vec::new(),
        ..unlearned(status)
    }
}

/// What is worth a write at once: all but numbers and passing waits.
fn calm(status: &Status) -> Status {
    let rest = unlearned(status);
    let there = status.attempt.as_ref().is_some_and(|attempt| attempt.delivered);
    let begun = |attempt: Attempt| Attempt {
        stage: arrived(&attempt.stage, Timestamp::from_millis(0)),
        ..attempt
    };
    Status {
        attempt: rest.attempt.map(|attempt| if there { attempt } else { begun(attempt) }),
        counts: Counts::default(),
        observed_generation: 0,
        targets: reverted(status),
        stable: None,
        canary: None,
        draining: Vec::new(),
        waiting: status.waiting.iter().filter(|w| !w.automatic).cloned().collect(),
        conditions: conditions::without_generation(&status.conditions).into(),
        ..rest
    }
}

/// The targets that somebody took away: the next revert counts only of what is known to stand.
fn reverted(status: &Status) -> Vec<Delivered> {
    status.targets.iter().filter(|target| !target.reverts.is_empty()).cloned().collect()
}

/// A release without what is learned of it later.
fn bare(release: ReleaseRef) -> ReleaseRef {
    ReleaseRef { digest: String::new(), about: About::default(), ..release }
}

/// Pods are being taken away: their number falls in several steps.
fn shrinking(seen: &Snapshot) -> bool {
    seen.replica_sets.iter().filter(|rs| rs.owned).any(|rs| !rs.settled || rs.desired < rs.replicas)
}

/// When the stored status was last written, as far as it tells.
fn last_shown(status: &Status) -> Timestamp {
    let entered = status.attempt.iter().map(|attempt| {
        if let Stage::Step { paused_at: Some(at), .. } = attempt.stage {
            at
        } else {
            attempt.stage.entered_at()
        }
    });
    let waits = status.waiting.iter().map(|w| w.since);
    let conditions = status.conditions.iter().map(|c| c.since);
    entered.chain(waits).chain(conditions).max().unwrap_or(Timestamp::from_millis(0))
}

/// The status of a Rollout whose spec cannot be used.
pub fn invalid(rollout: &Identity, status: &Status, problem: &Problem, now: Timestamp) -> Status {
    let mut shown = status.clone();
    shown.observed_generation = rollout.generation;
    shown.waiting = Vec::new();
    shown.conditions = conditions::invalid(status, problem, (rollout.generation, now)).into();
    shown
}

#[cfg(test)]
mod tests;
