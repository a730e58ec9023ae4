//! Conditions: what kubectl and kstatus read. Reconciling and Stalled are there only while true.

use crate::decide::act::Waits;
use crate::decide::digest;
use crate::decide::side::on_stable;
use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::problem::Problem;
use crate::model::snapshot::Snapshot;
use crate::model::status::{Condition, Delivered, Stage, Status};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

type At = (i64, Timestamp);
type Said = (&'static str, String);

/// The conditions of a status whose other fields are filled in.
pub fn of(seen: &Snapshot, status: &Status, waits: &Waits, at: At) -> Vec<Condition> {
    let blocking = waits.holds.iter().map(|(hold, _)| hold).find(|hold| hold.blocks());
    let stalled = stalled(status, blocking);
    let empty = waits.holds.iter().find(|(hold, _)| *hold == Hold::NoRelease);
    let reconciling = match (&status.attempt, empty) {
        (_, Some((hold, _))) => Some((hold.code(), hold.message())),
        (None, None) if stalled.is_none() => {
            Some(("Progressing", "the first attempt is about to begin".to_owned()))
        }
        (Some(_) | None, None) => None,
    };
    let ended = status.attempt.as_ref().is_some_and(|attempt| match attempt.stage {
        Stage::Completed { .. } => true,
        Stage::Ended { cause, .. } => !cause.failed(),
        Stage::First { .. }
        | Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. } => false,
    });
    let complete = ended && on_stable(seen, status);
    let waits = seen.spec.ready_when_completed && !complete && stalled.is_none();
    let reconciling = reconciling.or_else(|| {
        let word = status.phase.as_str();
        waits.then(|| (word, "the present template is not completed yet".to_owned()))
    });
    let ready = match (&stalled, &reconciling) {
        (None, Some(said)) if waits => ("Unknown", said.clone()),
        (Some(said), _) => ("False", said.clone()),
        (None, Some(said)) => ("False", said.clone()),
        (None, None) => ("True", ("Admitted", "the present generation is admitted".to_owned())),
    };
    let (whole, lacks) = if seen.spec.workload {
        (
            "the present template carries all traffic",
            "the present template does not carry all traffic",
        )
    } else {
        ("the release is delivered", "the release is not delivered")
    };
    let completed = if complete {
        ("True", ("Completed", whole.to_owned()))
    } else {
        ("False", (status.phase.as_str(), lacks.to_owned()))
    };
    let beside = Beside {
        reconciling,
        unread: seen.unread.clone(),
        unbound: unbound(status),
        stalled,
        moved: digest::moved(seen, status).map(|moved| ("Repushed", moved.message())),
    };
    assemble(&status.conditions, at, (ready, completed), beside)
}

/// The conditions of a Rollout whose spec cannot be used.
pub fn invalid(status: &Status, problem: &Problem, at: At) -> Vec<Condition> {
    let said = (problem.code(), problem.to_string());
    let completed = ("False", (problem.code(), "the spec cannot be used".to_owned()));
    let beside = Beside { stalled: Some(said.clone()), ..Beside::default() };
    assemble(&status.conditions, at, (("False", said), completed), beside)
}

/// The same conditions, whatever generation they speak of.
pub fn without_generation(conditions: &[Condition]) -> Vec<Condition> {
    conditions.iter().map(|c| Condition { observed_generation: 0, ..c.clone() }).collect()
}

fn stalled(status: &Status, blocking: Option<&Hold>) -> Option<Said> {
    if let Some(hold) = blocking {
        return Some((hold.code(), hold.message()));
    }
    let attempt = status.attempt.as_ref()?;
    match attempt.stage {
        Stage::Ended { cause, .. } if cause.failed() => {
            let what = &attempt.release.image;
            Some((cause.as_str(), format!("attempt {} failed: {what}", attempt.number)))
        }
        Stage::First { .. }
        | Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => None,
    }
}

/// A field that was bound when the present attempt began and is not any more.
fn unbound(status: &Status) -> Option<Said> {
    let left = status.targets.iter().find(|target| !target.bound)?;
    let Delivered { field, value, .. } = left;
    Some(("NotBound", format!("{field} is not bound any more and keeps {value:?}")))
}

type Told = (&'static str, Said);

/// The conditions that are there only while they are true.
#[derive(Default)]
struct Beside {
    reconciling: Option<Said>,
    unread: Option<Said>,
    unbound: Option<Said>,
    stalled: Option<Said>,
    moved: Option<Said>,
}

fn assemble(
    old: &[Condition],
    (generation, now): At,
    (ready, completed): (Told, Told),
    beside: Beside,
) -> Vec<Condition> {
    let Beside { reconciling, unread, unbound, stalled, moved } = beside;
    let rows = [
        Some(("Completed", completed)),
        Some(("Ready", ready)),
        reconciling.map(|said| ("Reconciling", ("True", said))),
        unread.map(|said| ("RegistryUnreadable", ("True", said))),
        unbound.map(|said| ("Unbound", ("True", said))),
        stalled.map(|said| ("Stalled", ("True", said))),
        moved.map(|said| ("TagMoved", ("True", said))),
    ];
    let condition = |(kind, (status, (reason, message))): (&str, Told)| {
        #[cfg(feature = "planted")]
        let old = if active(Bug::ConditionsRestart) { &[] } else { old };
        let before = old.iter().find(|c| c.kind == kind && c.status == status);
        Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            since: before.map_or(now, |c| c.since),
            observed_generation: generation,
        }
    };
    rows.into_iter().flatten().map(condition).collect()
}
