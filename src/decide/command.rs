//! Command: what people ask for, taken exactly once.
//!
//! An annotation is first turned into a token that names attempt and step, then acted on by one
//! commit that makes the token void, then removed. After a crash at any point the same follows.

use crate::decide::act::Act;
use crate::decide::attempt;
use crate::decide::bake;
use crate::decide::ending;
use crate::decide::experiment;
use crate::decide::gate;
use crate::decide::notice::{self, Unforced};
use crate::decide::pick;
use crate::decide::restart;
use crate::decide::side;
use crate::decide::stage;
use crate::decide::target;
use crate::model::command::{ANNOTATIONS_MAX, Asked, Command, Token, Value};
use crate::model::moment::Timestamp;
use crate::model::moves::Write;
use crate::model::release::{Release, ReleaseRef};
use crate::model::snapshot::Snapshot;
use crate::model::status::{Cause, Quarantined, Rejected, Stage, Status};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Acts on the accepted token, or removes it once it is void.
pub fn obey(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let (key, token) = seen.commands.accepted.as_ref()?;
    let next = token.and_then(|token| obeyed(seen, token, now));
    Some(match next {
        Some(status) => Act::Commit(Box::new(status)),
        None => Act::Apply(vec![Write::TakeCommands { remove: vec![key.clone()], accept: None }]),
    })
}

/// The status after a command, `None` where its token is void.
fn obeyed(seen: &Snapshot, token: Token, now: Timestamp) -> Option<Status> {
    let here = bound(seen, token.command) == Some((token.attempt, token.step));
    #[cfg(feature = "planted")]
    let here = here || active(Bug::TokenUnbound);
    if !here {
        return None;
    }
    if climbs(token.command) && stands(seen) {
        return None;
    }
    let mut status = seen.status.clone();
    match token.command {
        Command::Promote => {
            if !matches!(stage_of(seen)?, Stage::Step { .. }) {
                return None;
            }
            stage::next(seen, &mut status, now);
        }
        Command::ConcludeA | Command::ConcludeB | Command::Conclude if !experiments(seen) => {
            return None;
        }
        Command::ConcludeA => {
            status.attempt.as_mut()?.concludes = false; // A person decides, not the data.
            ending::roll_back(&mut status, Cause::Concluded, now);
        }
        Command::Conclude => by_data(seen, &mut status, now)?,
        Command::ConcludeB => stage::next(seen, &mut status, now),
        Command::PromoteFull => {
            let Stage::Step { number, .. } = stage_of(seen)? else { return None };
            let last = seen.spec.ladder.last();
            let unpaused = seen.status.attempt.as_ref().is_some_and(|attempt| attempt.unpaused);
            if unpaused {
                return None;
            }
            if *number < last {
                stage::enter(seen, &mut status, last, now);
            }
            status.attempt.as_mut()?.unpaused = true;
        }
        Command::Abort => match stage_of(seen)? {
            Stage::Step { .. } | Stage::Promoting { .. } => {
                ending::roll_back(&mut status, Cause::Aborted, now);
            }
            Stage::Baking { .. } => bake::go_back(seen, &mut status, Cause::Aborted, now),
            Stage::First { .. } => stage::fail_first(seen, &mut status, Cause::Aborted, now),
            Stage::RollingBack { .. } | Stage::Completed { .. } | Stage::Ended { .. } => {
                return None;
            }
        },
        Command::Retry => {
            status.quarantine.retain(|entry| !retried(seen, token.attempt, entry));
            status.pin = None;
            if let Some(again) = attempt::again(seen, now) {
                return Some(again);
            }
            if status == seen.status {
                return None;
            }
        }
        Command::MarkSuccessful => bake::mark(seen, &mut status, now)?,
        Command::UnblockFailed => {
            let attempt = status.attempt.as_mut().filter(|a| a.kept && !a.unblocked)?;
            attempt.unblocked = true;
        }
        Command::Restart => status = restart::begin(seen, now),
    }
    Some(status)
}

/// Tells whether a retry of an attempt gives an entry of the quarantine another try.
fn retried(seen: &Snapshot, attempt: u32, entry: &Quarantined) -> bool {
    entry.attempt == attempt || pick::kept_back(seen, entry)
}

/// Lets the data decide: at once where they may, else once they may. `None` where they do already.
fn by_data(seen: &Snapshot, status: &mut Status, now: Timestamp) -> Option<()> {
    let attempt = status.attempt.as_mut().filter(|attempt| !attempt.concludes)?;
    attempt.concludes = true;
    let Stage::Step { paused_at: Some(paused_at), .. } = attempt.stage else { return Some(()) };
    if experiment::decided_at(seen, paused_at) <= now {
        experiment::decide(status, now);
    }
    Some(())
}

/// Turns annotations into one token, or drops them with a notice.
pub fn take(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let act = reject(seen, now).or_else(|| intend(seen)).or_else(|| force(seen, now));
    if let Some(act) = act {
        return Some(act);
    }
    let known: Vec<&Asked> = seen
        .commands
        .asked
        .iter()
        .filter(|asked| !matches!(asked.value, Value::Unknown(_)))
        .collect();
    let mut wanted: Vec<_> = known.iter().filter(|asked| possible(seen, asked)).collect();
    wanted.sort_by_key(|asked| asked.command);
    let accepted = wanted.first().map(|asked| asked.command);
    // A restart takes nothing from another command: its turn comes after that one's.
    let stays = |asked: &&&Asked| {
        asked.command == Command::Restart
            && accepted.is_some_and(|accepted| accepted != Command::Restart)
    };
    let gone = known.iter().filter(|asked| !stays(asked));
    let remove = gone.map(|asked| asked.key.clone()).collect();
    let accept = match wanted.first() {
        Some(asked) => {
            let (attempt, step) = bound(seen, asked.command)?;
            Some(Token { command: asked.command, attempt, step })
        }
        None => {
            let first = known.first()?;
            let mut status = seen.status.clone();
            if notice::dropped(seen, &mut status, first, now) {
                return Some(Act::Commit(Box::new(status)));
            }
            None
        }
    };
    (!known.is_empty()).then(|| Act::Apply(vec![Write::TakeCommands { remove, accept }]))
}

/// Stores who asks for the release that is chosen, and why, until an attempt begins; then removes
/// the annotations.
fn intend(seen: &Snapshot) -> Option<Act> {
    let (remove, intent) = seen.commands.intent.as_ref()?;
    if seen.status.intent.as_ref() != Some(intent) {
        let status = Status { intent: Some(intent.clone()), ..seen.status.clone() };
        return Some(Act::Commit(Box::new(status)));
    }
    Some(Act::Apply(vec![Write::TakeCommands { remove: remove.clone(), accept: None }]))
}

/// Stores the version that is to be taken at once as the choice of a person, then removes the
/// annotation; one that is not known, or that runs, is dropped with a notice.
fn force(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let asked = seen.commands.force.as_ref()?;
    let remove =
        || Act::Apply(vec![Write::TakeCommands { remove: vec![asked.key.clone()], accept: None }]);
    let mut status = seen.status.clone();
    let release = if asked.back {
        pick::former(seen, &asked.version)
    } else {
        pick::find(seen, &asked.version)
    };
    let release = match release {
        None => Err(Unforced::Unknown),
        Some(release) if target::arrived(seen, &release.image) => Err(Unforced::Runs),
        Some(release) if outranked(seen, &release) => Err(Unforced::Outranked),
        Some(release) => Ok(release),
    };
    let release = match release {
        Ok(release) => release,
        Err(why) => {
            let news = notice::unforced(seen, &mut status, (asked, why), now);
            return Some(if news { Act::Commit(Box::new(status)) } else { remove() });
        }
    };
    let chosen = ReleaseRef::of(&release.image);
    if seen.status.pin.as_ref().is_some_and(|pin| pick::chose(pin, &chosen)) {
        return Some(remove());
    }
    status.quarantine.retain(|entry| !entry.release.same(&chosen));
    status.pin = Some(pick::force(seen, &release, now));
    Some(Act::Commit(Box::new(status)))
}

/// Tells whether the spec wants another version than this one, which would wait until it does not.
fn outranked(seen: &Snapshot, release: &Release) -> bool {
    let wanted = seen.spec.wanted_version.as_ref();
    wanted.is_some_and(|wanted| !gate::names(wanted, &ReleaseRef::of(&release.image)))
}

/// Answers each value that is not understood, once; the annotations stay.
fn reject(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let unknown = seen.commands.asked.iter().filter_map(|asked| match &asked.value {
        Value::Unknown(value) => Some(Rejected { key: asked.key.clone(), value: value.clone() }),
        Value::Present | Value::Named { .. } => None,
    });
    let unknown: Vec<Rejected> = unknown.take(ANNOTATIONS_MAX).collect();
    let answered = &seen.status.rejected;
    if unknown == *answered {
        return None;
    }
    let mut status = seen.status.clone();
    for rejected in unknown.iter().filter(|rejected| !answered.contains(rejected)) {
        notice::rejected(seen, &mut status, rejected, now);
    }
    status.rejected = unknown;
    Some(Act::Commit(Box::new(status)))
}

/// Tells whether a command is for what the Rollout waits for.
fn possible(seen: &Snapshot, asked: &Asked) -> bool {
    let here = match (&asked.value, place(seen)) {
        (Value::Present, Some(_)) => true,
        (Value::Named { attempt, step }, Some(place)) => place == (*attempt, *step),
        (Value::Unknown(_), _) | (_, None) => false,
    };
    #[cfg(feature = "planted")]
    let here = here || active(Bug::NamedStepUnchecked);
    let Some(stage) = stage_of(seen).filter(|_| here) else { return false };
    #[cfg(feature = "planted")]
    if active(Bug::PromoteWithoutPause) && asked.command == Command::Promote {
        return matches!(stage, Stage::Step { .. });
    }
    #[cfg(feature = "planted")]
    if active(Bug::AbortWaitsForPause) && asked.command == Command::Abort {
        return matches!(stage, Stage::Step { paused_at: Some(_), .. });
    }
    if climbs(asked.command) && stands(seen) {
        return false; // It waits for the spec, not for a promotion.
    }
    match asked.command {
        Command::Promote => matches!(stage, Stage::Step { paused_at: Some(_), .. }),
        Command::ConcludeA | Command::ConcludeB | Command::Conclude => {
            let decides = seen.status.attempt.as_ref().is_some_and(|attempt| attempt.concludes);
            let news = asked.command != Command::Conclude || !decides;
            let paused = matches!(stage, Stage::Step { paused_at: Some(_), .. });
            experiments(seen) && paused && news
        }
        Command::PromoteFull => {
            let unpaused = seen.status.attempt.as_ref().is_some_and(|attempt| attempt.unpaused);
            matches!(stage, Stage::Step { .. }) && !unpaused
        }
        Command::Abort => {
            matches!(
                stage,
                Stage::Step { .. }
                    | Stage::First { .. }
                    | Stage::Promoting { .. }
                    | Stage::Baking { .. }
            )
        }
        Command::Retry => {
            let number = seen.status.attempt.as_ref().map_or(0, |attempt| attempt.number);
            let tried = |entry: &Quarantined| retried(seen, number, entry);
            let failed = seen.status.quarantine.iter().any(tried);
            let kept = seen.status.attempt.as_ref().is_some_and(|attempt| attempt.kept);
            seen.status.pin.is_some() || ((failed || kept) && !stage.open())
        }
        Command::MarkSuccessful => {
            let kept = seen.status.attempt.as_ref().is_some_and(|attempt| attempt.kept);
            kept || matches!(stage, Stage::Baking { .. })
        }
        Command::UnblockFailed => {
            seen.status.attempt.as_ref().is_some_and(|attempt| attempt.kept && !attempt.unblocked)
        }
        Command::Restart => true,
    }
}

/// Tells whether a command lets the attempt go on, if only to its end.
fn climbs(command: Command) -> bool {
    match command {
        Command::Promote
        | Command::PromoteFull
        | Command::ConcludeA
        | Command::ConcludeB
        | Command::Conclude => true,
        Command::Abort
        | Command::Retry
        | Command::MarkSuccessful
        | Command::UnblockFailed
        | Command::Restart => false,
    }
}

/// Tells whether the attempt stands on a step that is an experiment.
fn experiments(seen: &Snapshot) -> bool {
    side::rung(seen).is_some_and(|rung| rung.pause.experiments())
}

/// Tells whether the spec keeps the attempt where it is, or ends it: frozen, without pods, or on
/// other objects.
fn stands(seen: &Snapshot) -> bool {
    seen.spec.paused || seen.spec.replicas == 0 || seen.instead.is_some()
}

fn stage_of(seen: &Snapshot) -> Option<&Stage> {
    seen.status.attempt.as_ref().map(|attempt| &attempt.stage)
}

/// What the token of a command names: attempt and step; a restart is bound to no step, but to which
/// one it is.
fn bound(seen: &Snapshot, command: Command) -> Option<(u32, u32)> {
    let (attempt, step) = place(seen)?;
    match command {
        Command::Restart => Some((attempt, restart::number(seen).saturating_add(1))),
        Command::Abort
        | Command::ConcludeA
        | Command::ConcludeB
        | Command::Conclude
        | Command::PromoteFull
        | Command::Promote
        | Command::Retry
        | Command::MarkSuccessful
        | Command::UnblockFailed => Some((attempt, step)),
    }
}

/// The attempt and the step on which the Rollout stands, step 0 off the ladder.
fn place(seen: &Snapshot) -> Option<(u32, u32)> {
    let attempt = seen.status.attempt.as_ref()?;
    Some((attempt.number, attempt.stage.step()))
}
