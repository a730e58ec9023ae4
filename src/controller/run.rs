//! Run: keeps the stores filled and gives turns to the Rollouts that are due.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join3;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use kube::runtime::watcher;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::api::kind::{Key, Kind};
use crate::controller::aside;
use crate::controller::check::Checking;
use crate::controller::context::{Context, Parts};
use crate::controller::error::{Error, Retry, said};
use crate::controller::moves::Next;
use crate::controller::read;
use crate::controller::reconcile::reconcile;
use crate::controller::schedule::Scheduling;
use crate::controller::triggers::awaiting;
use crate::observe::beside::Beside;
use crate::observe::follow;
use crate::observe::stores::{Reach, Stores};
use crate::observe::watch::{self, Sighting, Watches};
use crate::runtime::health::DUE_TIME;
use crate::runtime::leader::Standing;
use crate::runtime::metrics::ReconcileResult;
use crate::runtime::shutdown::Shutdown;
use crate::runtime::telemetry::Chain;

/// How long turns may go on after the end was requested.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// How often a watch that keeps failing is complained of.
const COMPLAIN_EVERY: Duration = Duration::from_secs(300);

/// What is watched, and how.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Namespaces.
    pub reach: Reach,
    /// Rollouts, as a label selector.
    pub selector: Option<String>,
    /// How watches are opened.
    pub config: watcher::Config,
    /// How many turns may run at a time.
    pub concurrency: usize,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// No turn was under way any more.
    Idle,
    /// Turns were cut: a write may still be under way.
    Cut,
    /// The watches ended by a fault of the program: nothing would ever be seen again.
    Blind,
}

/// Runs until the end is requested, or the watches end.
pub async fn run(parts: Parts, scope: Scope, shutdown: Shutdown) -> End {
    let stores = Arc::new(Stores::new(scope.reach));
    let fetch = parts.fetch.clone();
    let ctx = Arc::new(Context::new(parts, Arc::clone(&stores)));
    let told = Arc::clone(&ctx);
    let complained = Mutex::new(BTreeMap::new());
    let watches = Watches {
        client: ctx.client.clone(),
        config: scope.config,
        selector: scope.selector,
        stores,
        tell: Arc::new(move |sighting| hear(&told, &complained, sighting)),
    };
    // Whoever drops this run ends its watches with it.
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        let watches = watch::prepared(watches).await;
        let all = [watch::run(&watches).boxed(), follow::run(&watches).boxed()];
        Beside::new(all).await;
    });
    if let Some(fetch) = fetch {
        watching.spawn(read::run(Arc::clone(&ctx), fetch));
    }
    let rollouts = turns(&ctx, scope.concurrency, &shutdown);
    let schedules = aside::turns(&ctx, &shutdown, &Scheduling);
    let checks = aside::turns(&ctx, &shutdown, &Checking);
    tokio::select! {
        biased;
        (end, (), ()) = join3(rollouts, schedules, checks) => end,
        _ = watching.join_next() => End::Blind,
    }
}

/// Gives turns to the Rollouts that are due, while this process leads and the stores are ready.
async fn turns(ctx: &Arc<Context>, concurrency: usize, shutdown: &Shutdown) -> End {
    let mut leadership = ctx.leadership.clone();
    let mut leading = false;
    let mut running = FuturesUnordered::new();
    loop {
        let ready = ctx.stores.ready();
        ctx.health.set_synced(ready);
        if leading != (leadership.standing() == Standing::Leading) {
            leading = !leading;
            change(ctx, leading);
        }
        if !leading {
            // Whoever begins to lead gives a turn to all. Kept, the line would grow for ever.
            ctx.queue.clear();
        }
        let now = ctx.clock.monotonic();
        while ready && leading && running.len() < concurrency {
            let Some((key, pressed)) = ctx.queue.take(now) else { break };
            running.push(turn(key, pressed, ctx));
        }
        let waiting = ctx.queue.waiting(now);
        ctx.metrics.set_queued(waiting);
        ctx.pace.set_turns(running.len());
        ctx.health.beat(ready && leading && 0 < waiting);
        let open = ready && leading && running.len() < concurrency;
        let next = ctx.queue.next().filter(|_| open);
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            Some((key, presses, next)) = running.next(), if !running.is_empty() => {
                if presses { ctx.queue.go_on(&key, next) } else { ctx.queue.done(&key, next) }
            }
            _ = leadership.changed() => {}
            () = ctx.queue.rung() => {}
            () = until(next) => {}
        }
    }
    ctx.pace.set_turns(0);
    let rest = running.for_each(|_| async {});
    match tokio::time::timeout(DRAIN_TIMEOUT, rest).await {
        Ok(()) => End::Idle,
        Err(_) => End::Cut,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Begins to act, or stops. What was remembered is void: others have written meanwhile.
fn change(ctx: &Context, leading: bool) {
    info!(leading, "standing changed");
    ctx.metrics.set_leader(leading);
    ctx.forget_all();
    let now = ctx.clock.monotonic();
    if leading {
        all(&ctx.stores).into_iter().for_each(|key| ctx.queue.push(key, now));
    }
}

/// The Rollouts, and those that something names and that may not be there.
fn all(stores: &Stores) -> BTreeSet<Key> {
    let below = stores.kustomizations.named(Kind::Rollout).into_iter();
    let named = below.chain(stores.repositories.named(Kind::Rollout));
    named.map(|named| named.key).chain(stores.rollouts.keys()).collect()
}

/// One turn, within its time; a fault of the program ends this turn and nothing else. Tells whether
/// the next one presses, and when it is due without an event.
async fn turn(key: Key, pressed: bool, ctx: &Arc<Context>) -> (Key, bool, Option<Instant>) {
    let began = ctx.clock.monotonic();
    let alive = ctx.health.begin();
    let guarded = AssertUnwindSafe(reconcile(&key, ctx)).catch_unwind();
    let result = match tokio::time::timeout(DUE_TIME, guarded).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Error::Panicked(said(panic.as_ref()))),
        Err(_) => Err(Error::Cut),
    };
    drop(alive);
    let now = ctx.clock.monotonic();
    let (result, presses, next) = match result {
        Ok(next) => {
            ctx.remember_success(&key);
            match next {
                Next::Wait(at) => (ReconcileResult::Waited, false, at),
                Next::Behind(at) => (ReconcileResult::Waited, pressed, Some(at)),
                Next::Moved(at) => (ReconcileResult::Moved, false, Some(at)),
                Next::Intends(at) => (ReconcileResult::Moved, true, Some(at)),
            }
        }
        Err(error) => {
            // What was raced has the same to do.
            let again = pressed && matches!(error.retry(), Retry::OnChange | Retry::Now);
            (ReconcileResult::Failed, again, Some(fail(ctx, &key, &error, now)))
        }
    };
    ctx.metrics.reconciled(result, now.saturating_duration_since(began));
    (key, presses, next)
}

/// Says what failed, once a turn, and tells when to try again.
fn fail(ctx: &Context, key: &Key, error: &Error, now: Instant) -> Instant {
    let retry = error.retry();
    let pause = ctx.remember(key, |memory| {
        memory.crash(now);
        memory.failures.pause(retry, key)
    });
    let (reason, chain) = (error.reason(), Chain(error));
    match retry {
        Retry::OnChange | Retry::Now => {
            debug!(rollout = %key, reason, error = %chain, "turn failed")
        }
        Retry::Soon | Retry::Backoff => {
            warn!(rollout = %key, reason, error = %chain, ?pause, "turn failed")
        }
    }
    now + pause
}

/// When a failing watch was last complained of.
type Complaints = Mutex<BTreeMap<Kind, Instant>>;

/// Tells whether a failing watch is to be complained of, and notes that it is.
fn is_news(complained: &Complaints, kind: Kind, now: Instant) -> bool {
    let mut complained = complained.lock().unwrap_or_else(PoisonError::into_inner);
    let last = complained.get(&kind).copied();
    let news = last.is_none_or(|last| COMPLAIN_EVERY <= now.saturating_duration_since(last));
    if news {
        complained.insert(kind, now);
    }
    news
}

/// Hears what the watches tell of: wakes Rollouts, counts, complains once.
fn hear(ctx: &Context, complained: &Complaints, sighting: Sighting) {
    match sighting {
        Sighting::Changed(change) => ctx.hear(&change),
        Sighting::Listed | Sighting::Denied => {
            // Rollouts that waited for the list are due, whichever they are.
            let now = ctx.clock.monotonic();
            all(&ctx.stores).into_iter().for_each(|key| ctx.queue.push(key, now));
            ctx.queue.ring();
            ctx.schedules.wake(&ctx.stores, now);
            ctx.checks.wake(&ctx.stores, now);
        }
        Sighting::Restarted { kind, error } => {
            ctx.metrics.watch_restarted(kind.as_str());
            let error = Chain(error.as_ref());
            if is_news(complained, kind, ctx.clock.monotonic()) {
                warn!(kind = kind.as_str(), %error, "a watch failed and is opened again");
            } else {
                debug!(kind = kind.as_str(), %error, "a watch failed and is opened again");
            }
        }
        Sighting::Malformed { kind, key, error } => {
            let object = key.to_string();
            warn!(kind = kind.as_str(), object, error, "an object cannot be read; it is left out");
        }
        Sighting::MalformedCount { kind, count } => ctx.metrics.set_malformed(kind.as_str(), count),
        Sighting::Installed { kind, installed } => {
            info!(kind = kind.as_str(), installed, "looked for a kind");
            // What refers to the kind looks again, and the stores may be ready.
            let now = ctx.clock.monotonic();
            let keys = awaiting(&ctx.stores, kind).into_iter();
            keys.for_each(|key| ctx.queue.push(key, now));
            ctx.queue.ring();
        }
        Sighting::Unanswered { kind, error } => {
            let error = Chain(error.as_ref());
            warn!(kind = kind.as_str(), %error, "cannot tell whether a kind is installed");
        }
    }
}
