//! Schedule: what is done for the schedules: their gates are made, opened, closed and taken away.

use std::future::Future;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::api::kind::Key;
use crate::apply::error::Error as WriteError;
use crate::apply::gates;
use crate::controller::aside::{Work, catch_up, land};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::line::Line;
use crate::decide::managed;
use crate::model::schedule::{GateWrite, ScheduleStatus, Turn};
use crate::observe::barrier::UNSEEN_MAX;
use crate::observe::schedules;
use crate::validate::schedule::{Either, watched};

/// The work of schedules.
#[derive(Debug, Clone, Copy)]
pub struct Scheduling;

impl Work for Scheduling {
    const WHAT: &'static str = "schedule";

    fn line<'a>(&self, ctx: &'a Context) -> &'a Line {
        &ctx.schedules.line
    }

    fn wake(&self, ctx: &Context, now: Instant) {
        ctx.schedules.wake(&ctx.stores, now);
    }

    fn reconcile(
        &self,
        ctx: &Context,
        key: &Key,
    ) -> impl Future<Output = Result<Option<Instant>, Error>> + Send {
        reconcile(ctx, key)
    }
}

/// Brings the gates of one schedule a single move closer to what its rules say.
async fn reconcile(ctx: &Context, key: &Key) -> Result<Option<Instant>, Error> {
    let Some(schedule) = schedules::find(&ctx.stores, key) else {
        ctx.schedules.line.forget(key); // The garbage collector takes its gates away.
        return Ok(None);
    };
    if schedule.meta().deletion_timestamp.is_some() || !schedules::ready(&ctx.stores, &schedule) {
        return Ok(None);
    }
    let line = &ctx.schedules.line;
    let uid = schedule.meta().uid.as_deref().unwrap_or_default();
    if let Some(until) = catch_up(ctx, line, key, uid).await? {
        return Ok(Some(until));
    }
    let Some(schedule) = schedules::find(&ctx.stores, key) else { return Ok(None) };
    let mut seen = schedules::gather(&ctx.stores, &schedule);
    let (refused, again) =
        line.remember(key, |memory| (memory.refused(ctx.clock.monotonic()), memory.again));
    seen.refused = refused;
    let seen = watched(&seen);
    let now = ctx.now();
    match managed::next(&seen, now) {
        Turn::Apply(writes) => apply(ctx, key, &schedule, &writes).await,
        Turn::Report(status) => report(ctx, key, &schedule, &status).await,
        Turn::Wait(until) => {
            Ok(until.map(|until| ctx.instant(until, now)).into_iter().chain(again).min())
        }
    }
}

async fn report(
    ctx: &Context,
    key: &Key,
    schedule: &Either,
    status: &ScheduleStatus,
) -> Result<Option<Instant>, Error> {
    let line = &ctx.schedules.line;
    let target = schedules::reference(schedule);
    line.remember(key, |memory| memory.flight.push(target.clone()));
    let maker = gates::maker(schedule.kind(), schedule.meta());
    let written = gates::report(&ctx.client, &target, &maker, status).await;
    land(ctx, line, key, written)?;
    info!(schedule = %key, active = status.active, gates = status.gates.len(), "stored");
    Ok(Some(ctx.clock.monotonic() + UNSEEN_MAX))
}

async fn apply(
    ctx: &Context,
    key: &Key,
    schedule: &Either,
    writes: &[GateWrite],
) -> Result<Option<Instant>, Error> {
    let maker = gates::maker(schedule.kind(), schedule.meta());
    let line = &ctx.schedules.line;
    let mut refused = false;
    for write in writes {
        line.remember(key, |memory| memory.flight.push(gates::target(write)));
        let written = gates::write(&ctx.client, &maker, write).await;
        match land(ctx, line, key, written) {
            Ok(()) => {}
            // What one namespace refuses keeps no other from its gates.
            Err(Error::Write(WriteError::Refused { target, why })) => {
                warn!(schedule = %key, gate = %target, why, "a gate was refused");
                let Key { namespace, name } = target.key;
                line.remember(key, |memory| {
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
