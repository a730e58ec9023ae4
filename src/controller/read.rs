//! Read: asks about registries beside the turns, and wakes the Rollouts to which the answer is
//! news. It never decides.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;
use tracing::debug;

use crate::api::kind::{Key, Kind, Reference};
use crate::controller::context::Context;
use crate::observe::reading::{Ask, Fetch, Fetched};

/// Repositories that are listed at a time.
const CONCURRENCY: usize = 4;
/// How long the listing of one may take, all pages, manifests and waits included.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Asks about what is due, for ever.
pub async fn run(ctx: Arc<Context>, fetch: Fetch) {
    let mut running = FuturesUnordered::new();
    loop {
        let now = ctx.clock.monotonic();
        while running.len() < CONCURRENCY {
            let Some(ask) = ctx.readings.take(now) else { break };
            running.push(one(&fetch, ask));
        }
        let next = ctx.readings.next().filter(|_| running.len() < CONCURRENCY);
        tokio::select! {
            biased;
            Some((key, fetched)) = running.next(), if !running.is_empty() => {
                heard(&ctx, &key, fetched);
            }
            () = ctx.readings.rung() => {}
            () = until(next) => {}
        }
    }
}

async fn one(fetch: &Fetch, ask: Ask) -> (Key, Fetched) {
    let key = ask.key.clone();
    let asked = tokio::time::timeout(WHOLE_TIMEOUT, fetch(ask)).await;
    (key, asked.unwrap_or(Fetched { again: true, ..Fetched::default() }))
}

fn heard(ctx: &Context, key: &Key, fetched: Fetched) {
    let now = ctx.clock.monotonic();
    debug!(repository = %key, known = fetched.reading.is_some(), "a registry was asked");
    for policy in ctx.readings.finish(key, fetched, now) {
        let policy = Reference { kind: Kind::ImagePolicy, key: policy };
        ctx.stores.users(&policy).into_iter().for_each(|rollout| ctx.queue.push(rollout, now));
    }
    ctx.queue.ring();
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
