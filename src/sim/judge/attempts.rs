//! Attempts: how numbers, stages, steps and history go on (S8, S9, S11).
//!
//! A stage follows only from one of these; a new number begins with First or Step 1, or the last
//! step where a revision comes back, or Baking where there are no pods or stable itself is tried
//! again, and ends what is in progress as Superseded, not a promotion:
//!
//! | from | to |
//! | --- | --- |
//! | nothing | First, or what the ReplicaSets tell: Step 1, Completed, Ended |
//! | First | Baking or Completed, Ended |
//! | Step | a later Step, Promoting (with a route), Baking or Completed (without), RollingBack |
//! | Promoting | Baking or Completed, RollingBack |
//! | Baking | Completed, RollingBack, Ended where there is nothing to go back to or it is kept |
//! | RollingBack | Ended, by the same cause |
//! | Ended, failed, of an edit | Ended, Reverted: the template is the stable one again |
//! | Ended, kept | Completed: a person marked it as successful |
//! | Completed, Ended | nothing else: they are the end of an attempt |

use crate::sim::judge::facts::pods::Set;
use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::status::{Attempt, Stage, Status};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::Case;

/// Looks at a write of a controller to a Rollout.
pub fn see(case: &Case<'_>, found: &mut Found) {
    let Some((was, is)) = case.own().filter(|(was, is)| was.status != is.status) else { return };
    if was.status.lost() {
        return; // Nobody knows what a person meant.
    }
    numbers(case, was, is, found);
    history(was, is, found);
    stages(was, is, found);
    steps(was, is, found);
    quarantine(was, is, found);
    failure(was, is, found);
    phase(is, found);
}

/// S8: numbers have no gaps, and an attempt is not lost.
fn numbers(case: &Case<'_>, was: &Rollout, is: &Rollout, found: &mut Found) {
    let name = &is.name;
    match (&was.status.attempt, &is.status.attempt) {
        (Some(old), Some(new)) => {
            let fine = new.number == old.number || new.number == old.number.saturating_add(1);
            found.unless(fine, "S8", || {
                format!("{name}: attempt {} follows attempt {}", new.number, old.number)
            });
            let same = new.number == old.number;
            let kept = new.release == old.release
                && new.trigger == old.trigger
                && new.started_at == old.started_at
                && (new.revision == old.revision || !old.delivered);
            found.unless(!same || kept, "S8", || {
                format!("{name}: attempt {} becomes another one", new.number)
            });
        }
        (Some(old), None) => found.push("S8", format!("{name}: attempt {} is lost", old.number)),
        (None, Some(new)) => {
            let sets = case.sets_of(&is.uid);
            let owned = |set: &Option<&crate::sim::judge::facts::pods::Set>| {
                set.is_some_and(|set| set.owner.as_ref() == Some(&is.uid))
            };
            let unseen = sets.iter().all(|(_, states)| !states.iter().all(owned));
            let begins = if is.spec.workload { Stage::First } else { Stage::Baking };
            let first = new.number == 1 && new.stage() == begins && unseen;
            let marks = sets.iter().map(|(_, states)| {
                states.iter().map(|set| set.map_or(0, |set| set.attempt)).min().unwrap_or(0)
            });
            let least = marks.max().unwrap_or(0);
            let recovered = !sets.is_empty() && new.number >= least;
            found.unless(first || recovered, "S8", || {
                format!(
                    "{name}: attempt {} begins at {}, its ReplicaSets know {least}",
                    new.number, new.stage
                )
            });
            let here = |set: &Set| set.revision == new.revision;
            let whole = sets.iter().any(|(_, states)| {
                states.iter().all(|set| {
                    set.is_some_and(|s| here(s) && s.settled && s.available >= is.spec.replicas)
                })
            });
            found.unless(
                new.stage() != Stage::First || !whole || is.spec.replicas == 0,
                "S8",
                || {
                    format!(
                        "{name}: attempt {} takes a revision that serves for a first one",
                        new.number
                    )
                },
            );
        }
        (None, None) => {}
    }
}

/// The attempt that a write ends.
fn ended<'a>(was: &'a Rollout, is: &Rollout) -> Option<&'a Attempt> {
    let old = was.open()?;
    let new = is.status.attempt.as_ref()?;
    (new.number != old.number || !new.open()).then_some(old)
}

/// S8: one entry for each ended attempt, at its end, and none for anything else.
fn history(was: &Rollout, is: &Rollout, found: &mut Found) {
    let numbers =
        |status: &Status| -> Vec<i64> { status.history.iter().map(|entry| entry.number).collect() };
    let (old, new) = (numbers(&was.status), numbers(&is.status));
    let end = ended(was, is);
    let mut wanted: Vec<i64> = end.map(|attempt| attempt.number).into_iter().collect();
    wanted.extend(&old);
    if end.is_some() {
        wanted.truncate(is.spec.history_max);
    }
    found.unless(new == wanted, "S8", || {
        format!("{}: the history is {new:?} after {old:?}, it has to be {wanted:?}", is.name)
    });
    let Some((attempt, entry)) = end.zip(is.status.history.first()) else { return };
    let new = is.status.attempt.as_ref();
    let outcome = match new {
        Some(new) if new.number != attempt.number => "Superseded",
        Some(new) => new.cause.as_deref().unwrap_or("Completed"),
        None => "",
    };
    found.unless(entry.outcome == outcome, "S8", || {
        format!(
            "{}: attempt {} ended as {outcome:?}, its entry says {:?}",
            is.name, attempt.number, entry.outcome
        )
    });
}

/// S11: stages follow the table.
fn stages(was: &Rollout, is: &Rollout, found: &mut Found) {
    let (Some(old), Some(new)) = (&was.status.attempt, &is.status.attempt) else {
        let recovered = is.status.attempt.as_ref().is_none_or(|new| match new.stage() {
            Stage::First | Stage::Completed | Stage::Ended => true,
            Stage::Step => new.step == 1,
            Stage::Baking => !is.spec.workload,
            Stage::Promoting | Stage::RollingBack | Stage::Unknown => false,
        });
        found.unless(recovered, "S11", || format!("{} begins in the middle", is.name));
        return;
    };
    let fine = if new.number == old.number {
        follows(old, new)
    } else {
        let fresh = match new.stage() {
            Stage::First => was.status.stable.is_none() || is.status.stable.is_none(),
            Stage::Step => {
                let back = new.unpaused && is.returns(&new.revision);
                new.step == if back { is.spec.last() } else { 1 }
            }
            Stage::Baking => !is.spec.workload || old.kept,
            Stage::Promoting
            | Stage::RollingBack
            | Stage::Completed
            | Stage::Ended
            | Stage::Unknown => false,
        };
        fresh && old.stage() != Stage::Promoting
    };
    found.unless(fine, "S11", || {
        format!("{}: {} {} follows {} {}", is.name, new.number, shown(new), old.number, shown(old))
    });
}

fn shown(attempt: &Attempt) -> String {
    let cause = attempt.cause.as_deref().map(|cause| format!(" ({cause})"));
    format!("{}{}", attempt.stage, cause.unwrap_or_default())
}

/// Whether one stage of an attempt may follow another.
fn follows(old: &Attempt, new: &Attempt) -> bool {
    if old.stage() == new.stage() {
        let reverted = old.stage() == Stage::Ended
            && old.failed()
            && old.trigger == "Template"
            && new.cause.as_deref() == Some("Reverted");
        return old.cause == new.cause || reverted;
    }
    match (old.stage(), new.stage()) {
        (Stage::First, Stage::Baking | Stage::Completed)
        | (Stage::Step, Stage::RollingBack)
        | (Stage::Promoting, Stage::Baking | Stage::Completed | Stage::RollingBack)
        | (Stage::Baking, Stage::Completed | Stage::RollingBack) => true,
        (Stage::First | Stage::Baking, Stage::Ended) => new.failed(),
        (Stage::Step, Stage::Promoting) => is_routed(new),
        (Stage::Step, Stage::Baking | Stage::Completed) => !is_routed(new),
        (Stage::RollingBack, Stage::Ended) => old.cause == new.cause,
        (Stage::Ended, Stage::Completed) => old.kept, // A person takes it for a success.
        (_, _) => false,
    }
}

/// Whether a route splits the traffic of an attempt.
fn is_routed(attempt: &Attempt) -> bool {
    attempt.routing.as_ref().is_some_and(|routing| !routing.names().is_empty())
}

/// S9: steps and weights do not fall, and no step is left out but by promote-full.
fn steps(was: &Rollout, is: &Rollout, found: &mut Found) {
    let (Some(old), Some(new)) = (was.open(), is.open()) else { return };
    let (from, to) = (old.place(), new.place());
    if from.0 != to.0 || from.1 == 0 || to.1 == 0 {
        return;
    }
    found.unless(to.1 >= from.1, "S9", || {
        format!("{}: attempt {} falls from step {} to {}", is.name, to.0, from.1, to.1)
    });
    let same = was.spec.steps == is.spec.steps && to.1 == from.1;
    // The spec may have been edited a while before the status tells.
    let edited = i64::from(is.spec.step(to.1).weight) == new.weight;
    found.unless(!same || edited || new.weight >= old.weight, "S9", || {
        format!("{}: attempt {} falls from weight {} to {}", is.name, to.0, old.weight, new.weight)
    });
    let full = was.accepted.as_deref() == Some(&format!("promote-full {}/{}", from.0, from.1));
    found.unless(to.1 <= from.1.saturating_add(1) || full, "S9", || {
        format!("{}: attempt {} goes from step {} to {} at once", is.name, to.0, from.1, to.1)
    });
}

/// S8: what failed is noted.
fn failure(was: &Rollout, is: &Rollout, found: &mut Found) {
    let (Some(old), Some(new)) = (was.open(), &is.status.attempt) else { return };
    let bars = |attempt: &Attempt| attempt.failed() || attempt.lost();
    let fails = bars(new) && !bars(old) && new.number == old.number;
    let noted = is.status.quarantine.iter().any(|failed| failed.attempt == new.number);
    found.unless(!fails || noted || new.kept, "S8", || {
        format!("{}: attempt {} fails and is not noted", is.name, new.number)
    });
}

/// S8: what failed is not tried again before the command retry.
fn quarantine(was: &Rollout, is: &Rollout, found: &mut Found) {
    let Some(new) = is.open() else { return };
    let old = was.status.attempt.as_ref();
    if old.is_none_or(|old| (old.number, &old.revision) == (new.number, &new.revision)) {
        return;
    }
    let barred = was.status.quarantine.iter().find(|failed| {
        let release = failed.trigger != "Template"
            && new.trigger == "Release"
            && failed.release.tag == new.release.tag
            && failed.release.digest() == new.release.digest();
        failed.revision == new.revision || release
    });
    found.unless(barred.is_none(), "S8", || {
        format!("{}: attempt {} tries what failed before: {}", is.name, new.number, new.revision)
    });
}

/// S11: the phase is the one of the stage.
fn phase(is: &Rollout, found: &mut Found) {
    let Rollout { status, name, .. } = is;
    let Some(attempt) = &status.attempt else {
        found.unless(["", "Initializing"].contains(&status.phase.as_str()), "S11", || {
            format!("{name} is {} without an attempt", status.phase)
        });
        return;
    };
    let wanted: &[&str] = match attempt.stage() {
        Stage::First => &["Initializing"],
        Stage::Step if attempt.paused_at.is_some() => &[is.spec.pause],
        Stage::Baking if attempt.bake_start_time.is_some() => &["Baking"],
        Stage::Step | Stage::Promoting | Stage::Baking | Stage::RollingBack => &["Progressing"],
        Stage::Ended if attempt.failed() => &["Failed"],
        Stage::Ended if attempt.lost() => &["Completed", "Concluded"],
        Stage::Completed | Stage::Ended => &["Completed", "Progressing"],
        Stage::Unknown => &[],
    };
    found.unless(wanted.contains(&status.phase.as_str()), "S11", || {
        format!("{name} is {} while its attempt is {}", status.phase, shown(attempt))
    });
}

#[cfg(test)]
mod tests;
