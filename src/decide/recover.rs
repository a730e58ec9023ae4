//! Recover: what a Rollout is when its status is lost. Never a jump to full traffic.

use crate::decide::act::Act;
use crate::decide::change;
use crate::decide::side;
use crate::model::moment::Timestamp;
use crate::model::moves::Write;
use crate::model::snapshot::{ReplicaSet, Snapshot};
use crate::model::status::{Attempt, Cause, Quarantined, Stage, Trigger};
use crate::model::template::Revision;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Takes back ReplicaSets that the Rollout made before and that have no owner.
pub fn adopt(seen: &Snapshot) -> Option<Act> {
    let orphans = seen.replica_sets.iter().filter(|rs| !rs.owned);
    let writes: Vec<_> = orphans.map(|rs| Write::AdoptReplicaSet(side::target(rs))).collect();
    (!writes.is_empty()).then_some(Act::Apply(writes))
}

/// Finds attempt, stable side and quarantine again from what the ReplicaSets carry.
pub fn status(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    #[cfg(feature = "planted")]
    if active(Bug::StatusLossStartsOver) {
        return None;
    }
    let lost = seen.status.attempt.is_none() && seen.replica_sets.iter().any(|rs| rs.owned);
    if !lost {
        return None;
    }
    // Whoever uses them gets answers of all pods, whatever becomes of the revision they select.
    let freed: Vec<Write> = seen.former.iter().filter_map(|s| change::released(seen, s)).collect();
    if !freed.is_empty() {
        return Some(Act::Apply(freed));
    }
    let mut status = seen.status.clone();
    status.quarantine =
        seen.replica_sets.iter().filter_map(|rs| quarantined(seen, rs, now)).collect();
    let stable = stable(seen)?;
    let release = |rs: &ReplicaSet| side::delivered(seen, &rs.images);
    status.stable = Some(side::shown(seen, &stable.revision, &release(stable)));
    let present = side::present(seen);
    let climbing = side::replica_set(seen, &present).filter(|rs| rs.revision != stable.revision);
    let failed = |rs: &ReplicaSet| rs.quarantined.is_some_and(|attempt| attempt > 0);
    status.attempt = Some(match climbing {
        Some(rs) if failed(rs) => {
            let stage = Stage::Ended { at: now, cause: Cause::DeadlineExceeded };
            attempt(seen, rs, stage, now)
        }
        Some(rs) => {
            let stage = Stage::Step { number: 1, entered_at: now, paused_at: None };
            status.canary = Some(side::shown(seen, &rs.revision, &release(rs)));
            attempt(seen, rs, stage, now)
        }
        None if stable.available < seen.spec.replicas => {
            status.stable = None; // It never proved itself, as far as anyone can tell.
            attempt(seen, stable, Stage::First { entered_at: now }, now)
        }
        None => attempt(seen, stable, Stage::Completed { at: now }, now),
    });
    Some(Act::Commit(Box::new(status)))
}

fn attempt(seen: &Snapshot, rs: &ReplicaSet, stage: Stage, now: Timestamp) -> Attempt {
    let number = seen.replica_sets.iter().map(|rs| rs.attempt).max().unwrap_or(1).max(1);
    #[cfg(feature = "planted")]
    let number = if active(Bug::NumberLostWithStatus) { 1 } else { number };
    let weight = match stage {
        Stage::Completed { .. } => Some(Weight::FULL),
        Stage::Step { number, .. } => seen.spec.ladder.step(number).map(|step| step.weight),
        Stage::First { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. }
        | Stage::Ended { .. } => None,
    };
    let release = side::delivered(seen, &rs.images);
    Attempt {
        number,
        release,
        revision: rs.revision.clone(),
        trigger: Trigger::Template,
        delivered: true,
        started_at: now,
        stage,
        weight: weight.unwrap_or(Weight::NONE),
        highest: weight.unwrap_or(Weight::NONE),
        routing: side::routing(seen),
        unpaused: false,
        concludes: false,
        previous: None,
        bake: None,
        kept: false,
        unblocked: false,
        intent: None,
    }
}

fn quarantined(seen: &Snapshot, rs: &ReplicaSet, now: Timestamp) -> Option<Quarantined> {
    let attempt = rs.quarantined.filter(|attempt| *attempt > 0)?;
    Some(Quarantined {
        revision: rs.revision.clone(),
        release: side::delivered(seen, &rs.images),
        trigger: Trigger::Release,
        attempt,
        since: now,
    })
}

/// The side that the stable Service selects; else, mid-way, the one that is not of the present
/// template; else the present template's.
fn stable(seen: &Snapshot) -> Option<&ReplicaSet> {
    let owned = || seen.replica_sets.iter().filter(|rs| rs.owned);
    let find = |revision: &Revision| owned().find(|rs| rs.revision == *revision);
    if let Some(selected) = side::selected(seen.stable_service.as_ref()).and_then(find) {
        return Some(selected);
    }
    let present = side::present(seen);
    let serving = owned().filter(|rs| rs.desired > 0 && rs.quarantined.is_none_or(|a| a == 0));
    let others = serving.filter(|rs| rs.revision != present);
    others
        .max_by_key(|rs| (rs.available, rs.desired, rs.attempt))
        .or_else(|| find(&present))
        .or_else(|| owned().max_by_key(|rs| rs.attempt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{at, at_rest};
    use crate::model::status::Status;

    fn shown(act: Option<Act>) -> String {
        match act {
            Some(Act::Apply(writes)) => match writes.as_slice() {
                [Write::Select { target, from: Some(_), to: None }] => {
                    format!("frees {}", target.name)
                }
                other => format!("{other:?}"),
            },
            Some(Act::Commit(_)) => "is found again".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn services_that_were_forgotten_select_all_pods_before_the_status_is_found_again() {
        type Patch = fn(&mut Snapshot);
        let cases: [(&str, Patch, &str); 5] = [
            ("one selects a revision", |_| (), "frees old"),
            ("none", |seen| seen.former.clear(), "is found again"),
            ("it selects all already", |seen| live(seen).selects = None, "is found again"),
            (
                "a GitOps tool would put it back",
                |seen| live(seen).owner = Some("Kustomization a/b".to_owned()),
                "is found again",
            ),
            (
                "an older Rollout has the objects",
                |seen| seen.duplicate = Some(("Service stable".to_owned(), "old".to_owned())),
                "is found again",
            ),
        ];
        for (case, patch, want) in cases {
            let mut seen = at_rest();
            seen.status = Status::default();
            let mut old = seen.canary_service.clone().unwrap();
            old.name = "old".to_owned();
            seen.former = vec![old];
            patch(&mut seen);
            assert_eq!(shown(status(&seen, at(0))), want, "{case}");
        }
    }

    fn live(seen: &mut Snapshot) -> &mut crate::model::snapshot::LiveService {
        seen.former[0].live.as_mut().unwrap()
    }
}
