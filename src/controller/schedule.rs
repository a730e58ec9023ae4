//! Schedule: the loop of schedules beside that of the Rollouts. One schedule at a time, one kind of
//! thing in a turn, and no polling: it is woken by changes, and when its rules say something else.

use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::api::kind::{Key, Reference};
use crate::apply::error::Error as WriteError;
use crate::apply::gates;
use crate::apply::send::{Effect, Written};
use crate::controller::context::Context;
use crate::controller::error::{Error, Retry, outcome, said};
use crate::controller::line::Memory;
use crate::controller::triggers::touched;
use crate::decide::managed;
use crate::model::schedule::{GateWrite, Turn};
use crate::observe::barrier::{Expect, Gate, UNSEEN_MAX, View};
use crate::observe::schedules;
use crate::runtime::health::DUE_TIME;
use crate::runtime::leader::Standing;
use crate::runtime::metrics::WriteResult;
use crate::runtime::shutdown::Shutdown;
use crate::validate::schedule::{Either, watched};

/// How long a turn may go on after the end was requested.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// Gives turns to the schedules that are due, while this process leads, until the end is requested.
pub async fn turns(ctx: &Context, shutdown: &Shutdown) {
    let mut leadership = ctx.leadership.clone();
    let mut leading = false;
    let line = &ctx.schedules.queue;
    loop {
        if leading != (leadership.standing() == Standing::Leading) {
            leading = !leading;
            step(ctx, leading);
        }
        if !leading {
            line.clear();
        }
        let now = ctx.clock.monotonic();
        // What is popped is in hand until it is done: not before this process leads.
        if leading && let Some(key) = line.pop(now) {
            let turn = turn(ctx, &key);
            let ended = async {
                shutdown.requested().await;
                tokio::time::sleep(DRAIN_TIMEOUT).await;
            };
            tokio::select! {
                biased;
                next = turn => line.done(&key, next),
                () = ended => return,
            }
            if shutdown.requested().now_or_never().is_some() {
                return;
            }
            continue;
        }
        let next = line.next().filter(|_| leading);
        tokio::select! {
            biased;
            () = shutdown.requested() => return,
            _ = leadership.changed() => {}
            () = line.rung() => {}
            () = until(next) => {}
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Begins to act, or stops: what this process wrote itself stays newer than its stores.
fn step(ctx: &Context, leading: bool) {
    ctx.schedules.step();
    if leading {
        ctx.schedules.wake(&ctx.stores, ctx.clock.monotonic());
    }
}

/// One turn, within its time; tells when the next one is due without a change.
async fn turn(ctx: &Context, key: &Key) -> Option<Instant> {
    // A fault of the program ends this turn and nothing else.
    let guarded = AssertUnwindSafe(reconcile(ctx, key)).catch_unwind();
    let result = match tokio::time::timeout(DUE_TIME, guarded).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Error::Panicked(said(panic.as_ref()))),
        Err(_) => Err(Error::Cut),
    };
    let error = match result {
        Ok(next) => {
            ctx.schedules.remember(key, Memory::succeed);
            return next;
        }
        Err(error) => error,
    };
    let now = ctx.clock.monotonic();
    // Nothing that is seen ends a refusal: a person has to.
    let refused = matches!(error, Error::Write(WriteError::Refused { .. }));
    let retry = if refused { Retry::Backoff } else { error.retry() };
    let pause = ctx.schedules.remember(key, |memory| {
        let flight = std::mem::take(&mut memory.flight);
        flight.into_iter().for_each(|target| memory.barrier.expect(target, Expect::Asked, now));
        memory.failures.pause(retry, key)
    });
    let (reason, chain) = (error.reason(), &error as &dyn StdError);
    match retry {
        Retry::OnChange | Retry::Now => {
            debug!(schedule = %key, reason, error = chain, "turn failed")
        }
        Retry::Soon | Retry::Backoff => {
            warn!(schedule = %key, reason, error = chain, ?pause, "turn failed");
        }
    }
    Some(now + pause)
}

/// Brings the gates of one schedule a single move closer to what its rules say.
async fn reconcile(ctx: &Context, key: &Key) -> Result<Option<Instant>, Error> {
    let Some(schedule) = schedules::find(&ctx.stores, key) else {
        ctx.schedules.forget(key); // The garbage collector takes its gates away.
        return Ok(None);
    };
    if schedule.meta().deletion_timestamp.is_some() || !schedules::ready(&ctx.stores, &schedule) {
        return Ok(None);
    }
    if let Some(until) = catch_up(ctx, key, &schedule).await? {
        return Ok(Some(until));
    }
    let Some(schedule) = schedules::find(&ctx.stores, key) else { return Ok(None) };
    let mut seen = schedules::gather(&ctx.stores, &schedule);
    let (refused, again) =
        ctx.schedules.remember(key, |memory| (memory.refused(ctx.clock.monotonic()), memory.again));
    seen.refused = refused;
    let seen = watched(&seen);
    let now = ctx.now();
    match managed::next(&seen, now) {
        Turn::Apply(writes) => apply(ctx, key, &schedule, &writes).await,
        Turn::Report(status) => {
            let target = schedules::reference(&schedule);
            ctx.schedules.remember(key, |memory| memory.flight.push(target.clone()));
            let written = gates::report(
                &ctx.client,
                &target,
                &gates::maker(schedule.kind(), schedule.meta()),
                &status,
            )
            .await;
            land(ctx, key, written)?;
            info!(schedule = %key, active = status.active, gates = status.gates.len(), "stored");
            Ok(Some(ctx.clock.monotonic() + UNSEEN_MAX))
        }
        Turn::Wait(until) => {
            Ok(until.map(|until| ctx.instant(until, now)).into_iter().chain(again).min())
        }
    }
}

/// Waits for the stores to show this schedule's own writes; asks for what stays unseen.
async fn catch_up(ctx: &Context, key: &Key, schedule: &Either) -> Result<Option<Instant>, Error> {
    let uid = schedule.meta().uid.clone().unwrap_or_default();
    ctx.schedules.remember(key, |memory| {
        if memory.uid != uid {
            *memory = Memory { uid, ..Memory::default() };
        }
    });
    loop {
        let now = ctx.clock.monotonic();
        let view = |reference: &Reference| View::of(&ctx.stores, reference);
        match ctx.schedules.remember(key, |memory| memory.barrier.look(view, now)) {
            Gate::Open => return Ok(None),
            Gate::Shut { until } => return Ok(Some(until)),
            Gate::Ask(target) => {
                debug!(object = %target, "own write not seen: asking");
                let asked = ctx.stores.refresh(&ctx.client, &target).await;
                let change = asked.map_err(|source| {
                    let target = target.clone();
                    Error::Read { target, source: Box::new(source) }
                })?;
                // The watch will tell nothing of what the store has already.
                let rollouts = change.map(|change| touched(&ctx.stores, &change));
                rollouts.into_iter().flatten().for_each(|rollout| ctx.queue.push(rollout, now));
                ctx.schedules.remember(key, |memory| memory.barrier.settle(&target));
            }
        }
    }
}

async fn apply(
    ctx: &Context,
    key: &Key,
    schedule: &Either,
    writes: &[GateWrite],
) -> Result<Option<Instant>, Error> {
    let maker = gates::maker(schedule.kind(), schedule.meta());
    let mut refused = false;
    for write in writes {
        ctx.schedules.remember(key, |memory| memory.flight.push(gates::target(write)));
        let written = gates::write(&ctx.client, &maker, write).await;
        match land(ctx, key, written) {
            Ok(()) => {}
            // What one namespace refuses keeps no other from its gates.
            Err(Error::Write(WriteError::Refused { target, why })) => {
                warn!(schedule = %key, gate = %target, why, "a gate was refused");
                let Key { namespace, name } = target.key;
                ctx.schedules.remember(key, |memory| {
                    memory.refuse((namespace, name), why, ctx.clock.monotonic(), key);
                });
                refused = true;
            }
            Err(error) => return Err(error),
        }
    }
    let now = ctx.clock.monotonic();
    // After a refusal at once: there are other gates, and something to tell.
    Ok(Some(if refused { now } else { now + UNSEEN_MAX }))
}

/// Counts a write and remembers what has to be seen of it.
fn land(ctx: &Context, key: &Key, written: Result<Written, WriteError>) -> Result<(), Error> {
    let now = ctx.clock.monotonic();
    let (target, expect, result) = match written {
        Ok(Written { target, effect }) => {
            let expect = match effect {
                Effect::Version(version) => Expect::Version(version),
                Effect::Gone { uid } => Expect::Gone { uid },
            };
            (target, Some(expect), Ok(()))
        }
        Err(error) => {
            let expect = match &error {
                WriteError::Conflict { stale, .. } => Some(Expect::Newer(*stale)),
                WriteError::Taken { version, .. } => Some(Expect::Version(*version)),
                WriteError::Unanswered { .. } => Some(Expect::Asked),
                WriteError::Refused { .. } => None,
            };
            (error.target().clone(), expect, Err(error))
        }
    };
    let counted = result.as_ref().err().map_or(WriteResult::Done, outcome);
    ctx.metrics.wrote(target.kind.as_str(), counted);
    ctx.schedules.remember(key, |memory| {
        memory.flight.retain(|other| *other != target);
        if let Some(expect) = expect {
            memory.barrier.expect(target, expect, now);
        }
    });
    result.map_err(Error::Write)
}
