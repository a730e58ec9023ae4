//! Check: what is done for the HealthChecks of class `kustomization`: their status is written.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::api::check::HealthCheck;
use crate::api::kind::{Key, Kind, Reference};
use crate::apply::checks;
use crate::controller::aside::{Work, catch_up, land};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::line::Line;
use crate::decide::inspect;
use crate::model::inspection::{Inspection, Statement, Turn};
use crate::model::moment::Timestamp;
use crate::observe::barrier::UNSEEN_MAX;
use crate::observe::inspect::{self as objects, Unread};
use crate::validate::check::is_ours;
use crate::validate::inspection::{self, Id};

/// How long after the API server refused to show an object it is asked again: no watch tells of a
/// permission.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// The work of HealthChecks.
#[derive(Debug, Clone, Copy)]
pub struct Checking;

impl Work for Checking {
    const WHAT: &'static str = "health check";

    fn line<'a>(&self, ctx: &'a Context) -> &'a Line {
        &ctx.checks.line
    }

    fn wake(&self, ctx: &Context, now: Instant) {
        ctx.checks.wake(&ctx.stores, now);
    }

    fn reconcile(
        &self,
        ctx: &Context,
        key: &Key,
    ) -> impl Future<Output = Result<Option<Instant>, Error>> + Send {
        reconcile(ctx, key)
    }
}

/// Brings the status of one HealthCheck up to what its objects say.
async fn reconcile(ctx: &Context, key: &Key) -> Result<Option<Instant>, Error> {
    let stores = &ctx.stores;
    let stands = |check: &Arc<HealthCheck>| {
        let there = is_ours(check) && check.metadata.deletion_timestamp.is_none();
        there && objects::selected(stores, check)
    };
    let Some(check) = stores.checks.get(key).filter(stands) else {
        stores.objects.want(key, Default::default());
        ctx.checks.line.forget(key);
        return Ok(None);
    };
    if !stores.kustomizations.settled() {
        return Ok(None); //                                    its list wakes all checks
    }
    let uid = check.metadata.uid.as_deref().unwrap_or_default();
    if let Some(until) = catch_up(ctx, &ctx.checks.line, key, uid).await? {
        return Ok(Some(until));
    }
    let Some(check) = stores.checks.get(key).filter(stands) else { return Ok(None) };
    let ids = objects::follow(stores, &check);
    let missing = objects::missing(stores, &ids);
    let mut unread = ask(ctx, key, &missing).await?;
    let mut seen = look(ctx, &check, &ids, &unread);
    let mut turn = inspect::next(&seen, false, ctx.now());
    if turn == Turn::Confirm {
        unread.extend(ask(ctx, key, &ids).await?);
        seen = look(ctx, &check, &ids, &unread);
        turn = inspect::next(&seen, true, ctx.now());
    }
    let now = ctx.clock.monotonic();
    let again = (!unread.is_empty()).then(|| now + ASK_AGAIN);
    match turn {
        Turn::Report(said) => report(ctx, key, &seen, &said).await,
        Turn::Confirm => Ok(again), //                         never of what was asked for
        Turn::Wait(until) => Ok(rest(ctx, key, &ids, until).into_iter().chain(again).min()),
    }
}

/// What the check says is what its objects say, as far as their watches tell.
fn rest(ctx: &Context, key: &Key, ids: &[Id], until: Option<Timestamp>) -> Option<Instant> {
    let looked = objects::listed(&ctx.stores, ids);
    ctx.checks.line.remember(key, |memory| memory.looked |= looked);
    until.map(|until| ctx.instant(until, ctx.now()))
}

fn look(ctx: &Context, check: &Arc<HealthCheck>, ids: &[Id], unread: &Unread) -> Inspection {
    inspection::of(&objects::gather(&ctx.stores, check, ids, unread))
}

async fn ask(ctx: &Context, key: &Key, ids: &[Id]) -> Result<Unread, Error> {
    let asked = objects::ask(&ctx.client, &ctx.stores, ids).await;
    let target = Reference { kind: Kind::HealthCheck, key: key.clone() };
    asked.map_err(|source| Error::Read { target, source })
}

async fn report(
    ctx: &Context,
    key: &Key,
    seen: &Inspection,
    said: &Statement,
) -> Result<Option<Instant>, Error> {
    let line = &ctx.checks.line;
    let target = checks::target(&seen.known);
    line.remember(key, |memory| memory.flight.push(target));
    let written = checks::report(&ctx.client, &seen.known, said).await;
    land(ctx, line, key, written)?;
    info!(check = %key, health = ?said.health, why = said.message, "stored");
    Ok(Some(ctx.clock.monotonic() + UNSEEN_MAX))
}
