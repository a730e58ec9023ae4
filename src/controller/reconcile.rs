//! The loop: one turn of one Rollout. Start reading here.

use std::sync::Arc;

use tokio::time::Instant;

use crate::api::kind::{Key, Kind, Reference};
use crate::api::rollout::Rollout;
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::moves::{
    Next, announce, apply, catch_up, commit, observe, report, surveyed,
};
use crate::controller::stray;
use crate::decide::decide;
use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::moves::Move;
use crate::model::snapshot::Known;
#[cfg(feature = "planted")]
use crate::model::status::Stage;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::runtime::metrics::Stand;
use crate::validate::validate;

/// Brings one Rollout a single move closer to its goal.
///
/// A turn does exactly one kind of thing. Intent is stored (compare-and-swap on `status`) before
/// anything outside the Rollout is touched, so a crash at any await is repaired by the next turn.
///
/// # Errors
/// Any [`Error`]; what it means for the next turn is said there.
pub async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(rollout) = ctx.stores.rollouts.get(key) else {
        return Box::pin(stray::tell(ctx, key)).await;
    };
    let known = ctx.stores.ready_for(&rollout) || ctx.stores.denied_for(&rollout).is_some();
    if !known {
        return Ok(Next::Wait(None)); //                       a kind that it names is not listed
    }
    if let Some(until) = catch_up(ctx, key, &rollout).await? {
        return Ok(Next::Behind(until)); //                    our own last write is not seen yet
    }
    let Some(rollout) = ctx.stores.rollouts.get(key) else {
        return Box::pin(stray::tell(ctx, key)).await;
    };

    let seen = observe(ctx, key, &rollout).await?; //         reads only
    let known = validate(&seen); //                           parsed: from here all is legal
    #[cfg(feature = "planted")]
    let known = restarted(ctx, key, known);
    let now = ctx.now();
    let next = decide(&known, now); //                        pure, cannot fail

    let moves = matches!(next, Move::Commit(_) | Move::Apply(_));
    if moves && !surveyed(ctx, key, &rollout) {
        return Ok(Next::Wait(Some(ctx.clock.monotonic()))); // what was seen may be of long ago
    }
    ctx.metrics.moved(next.kind());
    match next {
        Move::Commit(status) => commit(ctx, key, &rollout, &status).await,
        Move::Apply(writes) => apply(ctx, key, &rollout, &writes).await,
        Move::Report(status) => report(ctx, key, &rollout, &status).await,
        Move::Announce(notices) => match announce(ctx, key, &rollout, &notices).await? {
            Next::Moved(at) => told(ctx, key, &rollout, known, at).await,
            next @ (Next::Wait(_) | Next::Intends(_) | Next::Behind(_)) => Ok(next),
        },
        Move::Wait { hold, until } => Ok(wait(ctx, key, &known, hold.as_ref(), until, now)),
    }
}

/// Goes on once people are told, where only that is left to be stored, or nothing: a turn of its
/// own would see the same. Whatever else there is to do is looked at anew.
async fn told(
    ctx: &Context,
    key: &Key,
    rollout: &Arc<Rollout>,
    mut known: Known,
    at: Instant,
) -> Result<Next, Error> {
    let same = ctx.stores.rollouts.get(key).is_some_and(|there| Arc::ptr_eq(&there, rollout));
    if !same {
        return Ok(Next::Moved(at));
    }
    if let Known::Valid(seen) = &mut known {
        seen.sent = ctx.remember(key, |memory| memory.sent.clone());
    }
    let now = ctx.now();
    let next = decide(&known, now);
    let kind = next.kind();
    match next {
        Move::Report(status) => {
            ctx.metrics.moved(kind);
            report(ctx, key, rollout, &status).await
        }
        Move::Wait { hold, until } => {
            ctx.metrics.moved(kind);
            Ok(wait(ctx, key, &known, hold.as_ref(), until, now))
        }
        Move::Commit(_) | Move::Apply(_) | Move::Announce(_) => Ok(Next::Moved(at)),
    }
}

/// The first turn of a process does not know since when the pause runs.
#[cfg(feature = "planted")]
fn restarted(ctx: &Context, key: &Key, mut known: Known) -> Known {
    let looked = ctx.remember(key, |memory| std::mem::replace(&mut memory.looked, true));
    if let Known::Valid(seen) = &mut known
        && let Some(attempt) = &mut seen.status.attempt
        && let Stage::Step { paused_at, .. } = &mut attempt.stage
        && !looked
        && active(Bug::PauseRestarts)
    {
        *paused_at = None;
    }
    known
}

/// Shows where the Rollout stands, and tells when to look again without an event.
fn wait(
    ctx: &Context,
    key: &Key,
    known: &Known,
    hold: Option<&Hold>,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Next {
    let status = match known {
        Known::Valid(snapshot) => &snapshot.status,
        Known::Invalid { status, .. } => status.as_ref(),
    };
    let revision = |side: &crate::model::status::Side| side.revision.to_string();
    let stand = Stand {
        phase: status.phase.as_str(),
        holds: hold.map(Hold::code).into_iter().collect(),
        stable: status.stable.as_ref().map(revision),
        canary: status.canary.as_ref().map(revision),
    };
    ctx.metrics.show(&key.namespace, &key.name, stand);
    // A command that the watch lost would be missed for ever: nothing else tells of it.
    let open = status.attempt.as_ref().is_some_and(|attempt| attempt.stage.open());
    let own = Reference { kind: Kind::Rollout, key: key.clone() };
    let seen_at = ctx.clock.monotonic();
    let due = ctx.remember(key, |memory| {
        match open {
            true => memory.barrier.doubt(own, seen_at),
            false => memory.barrier.believe(&own),
        }
        memory.due()
    });
    let until = until.map(|until| ctx.instant(until, now));
    Next::Wait(due.into_iter().chain(until).min())
}

#[cfg(test)]
mod tests;
