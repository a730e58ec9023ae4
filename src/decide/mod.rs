//! Decide: what one turn does next. Pure and total: no clock, no client, no log, no failure.
//!
//! Read [`decide`] first, then [`stage`] (the ladder) and [`order`] (the safe order of writes).

pub mod attempt;
pub mod bake;
pub mod binding;
pub mod birth;
pub mod bypass;
pub mod change;
pub mod command;
pub mod conditions;
pub mod digest;
pub mod drain;
pub mod ending;
pub mod experiment;
pub mod finalize;
pub mod gate;
pub mod health;
pub mod inspect;
pub mod invariant;
pub mod managed;
pub mod notice;
pub mod order;
pub mod pick;
pub mod pods;
pub mod recover;
pub mod release;
pub mod replicas;
pub mod restart;
pub mod routes;
pub mod schedule;
pub mod side;
pub mod stage;
pub mod status;
pub mod switch;
pub mod target;
pub mod way;
pub mod weights;

use crate::decide::act::Act;
use crate::model::command::Commands;
use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::moves::{Move, Write};
use crate::model::snapshot::{Known, Snapshot};
use crate::model::status::Status;

pub mod act;

#[cfg(test)]
mod denied;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod people;
#[cfg(test)]
mod tables;

/// Tells the one move that brings a Rollout closer to its goal.
///
/// `now`: the time of the turn. The first of commit, apply, report, announce and wait that is not
/// empty; a move that is carried out changes what the next turn sees, so that it is not repeated.
pub fn decide(known: &Known, now: Timestamp) -> Move {
    match known {
        Known::Valid(seen) if seen.rollout.deleting.is_some() => finalize::next(seen, now),
        Known::Valid(seen) => valid(seen, now),
        Known::Invalid { rollout, .. } if rollout.deleting.is_some() => finalize::let_go(rollout),
        Known::Invalid { rollout, status, problem } => {
            let shown = status::invalid(rollout, status, problem, now);
            if shown == **status {
                return Move::Wait { hold: None, until: None };
            }
            Move::Report(Box::new(shown))
        }
    }
}

fn valid(seen: &Snapshot, now: Timestamp) -> Move {
    if let Some(hold) = &seen.denied {
        return rest(seen, &act::Waits::of(hold.clone()), now);
    }
    match act(seen, now) {
        Act::Commit(status) => Move::Commit(Box::new(foretold(seen, *status, now))),
        Act::Apply(writes) => apply(seen, writes, now),
        Act::Wait(waits) => rest(seen, &waits, now),
    }
}

/// The fixed order of a turn. Each line either acts or leaves it to the next one.
fn act(seen: &Snapshot, now: Timestamp) -> Act {
    let refused = seen.refused.is_some();
    let act = None
        .or_else(|| recover::adopt(seen))
        .or_else(|| recover::status(seen, now))
        .or_else(|| attempt::freeze(seen, now))
        .or_else(|| attempt::join(seen))
        .or_else(|| release::restore(seen))
        .or_else(|| command::obey(seen, now))
        .or_else(|| command::take(seen, now))
        .or_else(|| bypass::take(seen, now))
        .or_else(|| finalize::guard(seen))
        .or_else(|| change::next(seen, now))
        .or_else(|| release::deliver(seen, now))
        .or_else(|| if refused { None } else { told(seen, now) })
        .unwrap_or_else(|| match attempt::start(seen, now) {
            attempt::Start::Commit(status) => Act::Commit(status),
            attempt::Start::Apply(writes) => Act::Apply(writes),
            attempt::Start::Hold(hold) => stage::advance(seen, now).with(hold),
            attempt::Start::Stop(hold) => stage::stand(seen, now).with(hold),
            attempt::Start::Nothing => stage::advance(seen, now),
        });
    let act = binding::troubles(seen).into_iter().fold(act, Act::with);
    let act = match act {
        Act::Wait(waits) => {
            let told = if refused { told(seen, now) } else { None };
            told.or_else(|| birth::fields(seen)).unwrap_or(Act::Wait(waits))
        }
        Act::Commit(_) | Act::Apply(_) => act,
    };
    restart::beside(seen, act, now)
}

/// What goes into the objects of others. While a write is refused it comes last: it must not keep
/// traffic where it is, nor the time from passing.
fn told(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    match health::reset(seen, now).or_else(|| binding::deliver(seen, now))? {
        act @ Act::Apply(_) => Some(bake::begins_late(seen, now).unwrap_or(act)),
        act @ (Act::Commit(_) | Act::Wait(_)) => Some(act),
    }
}

/// What is to be written, unless the API server refused just that and people do not know it yet.
fn apply(seen: &Snapshot, writes: Vec<Write>, now: Timestamp) -> Move {
    if let Some((what, why)) = &seen.refused {
        let hold = Hold::Refused { what: what.clone(), why: why.clone() };
        let known = seen.status.waiting.iter().any(|w| w.kind == hold.code() && w.name == *what);
        if !known {
            let shown = status::project(seen, seen.status.clone(), &act::Waits::of(hold), now);
            return Move::Report(Box::new(shown));
        }
    }
    match invariant::broken(seen, &writes) {
        None => Move::Apply(writes),
        Some(rule) => {
            let hold =
                Hold::Refused { what: rule.to_owned(), why: "it would be unsafe".to_owned() };
            rest(seen, &act::Waits::of(hold), now)
        }
    }
}

/// A new status, with what the turn after it will wait for: so that no write is needed to show it.
fn foretold(seen: &Snapshot, status: Status, now: Timestamp) -> Status {
    let commands = Commands::default();
    let then = Snapshot { status, commands, ..seen.clone() };
    let waits = match act(&then, now) {
        Act::Wait(waits) => waits,
        Act::Apply(writes) => status::expected(&then, &writes),
        Act::Commit(_) => act::Waits::default(),
    };
    status::project(seen, then.status, &waits, now)
}

/// Nothing moves: show it, tell it, then wait.
fn rest(seen: &Snapshot, waits: &act::Waits, now: Timestamp) -> Move {
    let mut shown = status::project(seen, seen.status.clone(), waits, now);
    notice::of_holds(seen, &mut shown, waits, now);
    notice::of_moved(seen, &mut shown, now);
    let mut until = waits.until;
    match status::due(seen, &shown, now) {
        status::Due::Now => return Move::Report(Box::new(shown)),
        status::Due::At(time) => until = act::sooner(until, Some(time)),
        status::Due::Never => {}
    }
    let unsent: Vec<_> =
        seen.status.outbox.iter().filter(|n| !seen.sent.contains(&n.id)).cloned().collect();
    if unsent.is_empty() {
        Move::Wait { hold: waits.holds.first().map(|(hold, _)| hold.clone()), until }
    } else {
        Move::Announce(unsent)
    }
}
