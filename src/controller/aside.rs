//! Aside: the loop of objects beside that of the Rollouts. One object at a time, one kind of thing
//! in a turn, and no polling: it is woken by changes, and when time alone makes a difference.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::api::kind::Key;
use crate::apply::error::Error as WriteError;
use crate::apply::send::{Effect, Written};
use crate::controller::context::Context;
use crate::controller::error::{Error, Retry, outcome, said};
use crate::controller::line::{Line, Memory};
use crate::observe::barrier::Expect;
use crate::runtime::health::DUE_TIME;
use crate::runtime::leader::Standing;
use crate::runtime::metrics::WriteResult;
use crate::runtime::shutdown::Shutdown;
use crate::runtime::telemetry::Chain;

/// How long a turn may go on after the end was requested.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// What is done for the objects of one kind.
pub trait Work: Sync {
    /// What they are called in logs.
    const WHAT: &'static str;

    /// Which of them are due.
    fn line<'a>(&self, ctx: &'a Context) -> &'a Line;

    /// Has all of them be due.
    fn wake(&self, ctx: &Context, now: Instant);

    /// Brings one a single move closer to its goal; tells when to look again without a change.
    fn reconcile(
        &self,
        ctx: &Context,
        key: &Key,
    ) -> impl Future<Output = Result<Option<Instant>, Error>> + Send;
}

/// Gives turns to the objects that are due, while this process leads, until the end is requested.
pub async fn turns(ctx: &Context, shutdown: &Shutdown, work: &impl Work) {
    let mut leadership = ctx.leadership.clone();
    let mut leading = false;
    let line = work.line(ctx);
    let queue = &line.queue;
    loop {
        if leading != (leadership.standing() == Standing::Leading) {
            leading = !leading;
            line.step();
            if leading {
                work.wake(ctx, ctx.clock.monotonic());
            }
        }
        if !leading {
            queue.clear();
        }
        let now = ctx.clock.monotonic();
        // What is popped is in hand until it is done: not before this process leads.
        if leading && let Some(key) = queue.pop(now) {
            let turn = turn(ctx, work, &key);
            let ended = async {
                shutdown.requested().await;
                tokio::time::sleep(DRAIN_TIMEOUT).await;
            };
            tokio::select! {
                biased;
                next = turn => queue.done(&key, next),
                () = ended => return,
            }
            if shutdown.requested().now_or_never().is_some() {
                return;
            }
            continue;
        }
        let next = queue.next().filter(|_| leading);
        tokio::select! {
            biased;
            () = shutdown.requested() => return,
            _ = leadership.changed() => {}
            () = queue.rung() => {}
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

/// One turn, within its time; tells when the next one is due without a change.
async fn turn<W: Work>(ctx: &Context, work: &W, key: &Key) -> Option<Instant> {
    let line = work.line(ctx);
    // A fault of the program ends this turn and nothing else.
    let guarded = AssertUnwindSafe(work.reconcile(ctx, key)).catch_unwind();
    let result = match tokio::time::timeout(DUE_TIME, guarded).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Error::Panicked(said(panic.as_ref()))),
        Err(_) => Err(Error::Cut),
    };
    let error = match result {
        Ok(next) => {
            line.remember(key, Memory::succeed);
            return next;
        }
        Err(error) => error,
    };
    let now = ctx.clock.monotonic();
    // Nothing that is seen ends a refusal: a person has to.
    let refused = matches!(error, Error::Write(WriteError::Refused { .. }));
    let retry = if refused { Retry::Backoff } else { error.retry() };
    let pause = line.remember(key, |memory| {
        let flight = std::mem::take(&mut memory.flight);
        flight.into_iter().for_each(|target| memory.barrier.expect(target, Expect::Asked, now));
        memory.failures.pause(retry, key)
    });
    let (reason, chain) = (error.reason(), Chain(&error));
    match retry {
        Retry::OnChange | Retry::Now => {
            debug!(what = W::WHAT, object = %key, reason, error = %chain, "turn failed")
        }
        Retry::Soon | Retry::Backoff => {
            warn!(what = W::WHAT, object = %key, reason, error = %chain, ?pause, "turn failed");
        }
    }
    Some(now + pause)
}

/// Waits for the stores to show an object's own writes; asks for what stays unseen. `uid`: that of
/// the object.
///
/// # Errors
/// [`Error::Read`] if there is no answer.
pub async fn catch_up(
    ctx: &Context,
    line: &Line,
    key: &Key,
    uid: &str,
) -> Result<Option<Instant>, Error> {
    line.remember(key, |memory| {
        if memory.uid != uid {
            *memory = Memory { uid: uid.to_owned(), ..Memory::default() };
        }
    });
    ctx.catch_up(|look| line.remember(key, |memory| look(&mut memory.barrier))).await
}

/// Counts a write and remembers what has to be seen of it.
///
/// # Errors
/// [`Error::Write`] if it was not taken, or nobody knows.
pub fn land(
    ctx: &Context,
    line: &Line,
    key: &Key,
    written: Result<Written, WriteError>,
) -> Result<(), Error> {
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
    line.remember(key, |memory| {
        memory.flight.retain(|other| *other != target);
        if let Some(expect) = expect {
            memory.barrier.expect(target, expect, now);
        }
    });
    result.map_err(Error::Write)
}
