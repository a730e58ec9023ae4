//! Read: asks about registries beside the turns, and wakes the Rollouts to which the answer is
//! news. It never decides.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;
use tracing::debug;

use crate::api::kind::{Kind, Reference};
use crate::controller::context::Context;
use crate::observe::reading::{Ask, Fetch, Fetched, News};
use crate::observe::subject::Subject;
use crate::validate::seen::{Manifest, Manifests, Reading, Unresolved};

/// Repositories that are listed at a time.
const CONCURRENCY: usize = 4;
/// How long the listing of one may take, all pages, manifests and waits included.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Makes what asks something else than registries for the tags of an image and for the digest of
/// one, as a simulated world does. ImageRepositories are not asked about.
pub fn by(
    tags: impl Fn(&str) -> Result<BTreeSet<String>, String> + Send + Sync + 'static,
    digest: impl Fn(&str, &str) -> Result<String, String> + Send + Sync + 'static,
) -> Fetch {
    let told = move |ask: Ask| {
        let Subject::Registry(named) = &ask.subject else { return Fetched::default() };
        let fault = "RegistryFault";
        let one = |tag: &String| match digest(&named.image, tag) {
            Ok(digest) => Ok(Manifest { digest, ..Manifest::default() }),
            Err(why) => Err(Unresolved { reason: fault, why, passing: true }),
        };
        let manifests: Manifests = ask.tags.keys().map(|tag| (tag.clone(), one(tag))).collect();
        let unknown = manifests.values().any(Result::is_err);
        let listed = ask.list.then(|| tags(&named.image));
        let again = unknown || listed.as_ref().is_some_and(Result::is_err);
        let reading = listed.map(|listed| match listed {
            Ok(tags) => Reading::Tags { tags: Arc::new(tags), truncated: false },
            Err(why) => Reading::Unread { reason: fault, why },
        });
        Fetched { reading, manifests, again, ..Fetched::default() }
    };
    Arc::new(move |ask| std::future::ready(told(ask)).boxed())
}

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
            Some((subject, number, fetched)) = running.next(), if !running.is_empty() => {
                heard(&ctx, (&subject, number), fetched);
            }
            () = ctx.readings.rung() => {}
            () = until(next) => {}
        }
    }
}

async fn one(fetch: &Fetch, ask: Ask) -> (Subject, u64, Fetched) {
    let (subject, number) = (ask.subject.clone(), ask.number);
    let asked = tokio::time::timeout(WHOLE_TIMEOUT, fetch(ask)).await;
    let why = format!("it was not listed within {} s", WHOLE_TIMEOUT.as_secs());
    let reading = Some(Reading::Unread { reason: "Unreachable", why });
    let late = Fetched { reading, again: true, ..Fetched::default() };
    (subject, number, asked.unwrap_or(late))
}

fn heard(ctx: &Context, (subject, number): (&Subject, u64), fetched: Fetched) {
    let now = ctx.clock.monotonic();
    debug!(%subject, known = fetched.reading.is_some(), "a registry was asked");
    let News { policies, rollouts } = ctx.readings.finish((subject, number), fetched, now);
    for policy in policies {
        let policy = Reference { kind: Kind::ImagePolicy, key: policy };
        ctx.stores.users(&policy).into_iter().for_each(|rollout| ctx.queue.push(rollout, now));
    }
    rollouts.into_iter().for_each(|rollout| ctx.queue.push(rollout, now));
    ctx.queue.ring();
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
