//! Stray: what is done for a Rollout that is not there: the objects of Flux whose annotations name
//! it are told so, once.

use std::time::Duration;

use tracing::warn;

use crate::api::kind::{Key, Kind, Reference};
use crate::apply::announce::{Announced, announce};
use crate::apply::error::Error as WriteError;
use crate::controller::context::Context;
use crate::controller::error::{Error, outcome};
use crate::controller::moves::Next;
use crate::observe::stores::Stores;
use crate::runtime::metrics::WriteResult;
use crate::validate::stray::Stray;

/// How long a Rollout may be missing before that is told: it and what is bound to it mostly come
/// together, in any order.
const MISSING_MIN: Duration = Duration::from_secs(10);

/// Tells the objects that name a Rollout which is not there.
///
/// What is sent is remembered as long as this process leads; after that the Event of the same name
/// keeps it from being sent again, as long as the API server keeps Events (an hour).
///
/// # Errors
/// [`Error::Read`] if nobody says whether it is there, [`Error::Notice`], [`Error::NoticeLate`].
pub async fn tell(ctx: &Context, key: &Key) -> Result<Next, Error> {
    let all = strays(&ctx.stores, key);
    if all.is_empty() {
        ctx.forget(key);
        return Ok(Next::Wait(None));
    }
    ctx.leave(key);
    let (now, at) = (ctx.clock.monotonic(), ctx.now());
    let all: Vec<_> = all.into_iter().map(|stray| (stray.notice(at), stray)).collect();
    let (due, untold) = ctx.remember(key, |memory| {
        memory.sent.retain(|id| all.iter().any(|(notice, _)| notice.id == *id));
        let due = *memory.missed_since.get_or_insert(now) + MISSING_MIN;
        let untold = all.into_iter().filter(|(notice, _)| !memory.sent.contains(&notice.id));
        (due, untold.collect::<Vec<_>>())
    });
    if untold.is_empty() || now < due {
        return Ok(Next::Wait((!untold.is_empty()).then_some(due)));
    }
    // A watch may be late: whoever holds all objects is asked.
    ctx.ask(&Reference { kind: Kind::Rollout, key: key.clone() }).await?;
    if strays(&ctx.stores, key).is_empty() {
        return Ok(Next::Wait(Some(now)));
    }
    for (notice, stray) in untold {
        let about = (&stray.object, stray.uid.as_str());
        let (one, mut sent) = (std::slice::from_ref(&notice), Vec::new());
        let announced = announce(&ctx.client, about, one, &ctx.identity, &mut sent).await;
        land(ctx, &stray, announced)?;
        ctx.remember(key, |memory| memory.sent.insert(notice.id));
    }
    Ok(Next::Wait(None))
}

/// Counts a notice. One that the API server refuses is not tried again: it is no more than a hint.
fn land(ctx: &Context, stray: &Stray, announced: Announced) -> Result<(), Error> {
    let (counted, result) = match announced {
        Announced::All => (WriteResult::Done, Ok(())),
        Announced::Failed(error @ WriteError::Refused { .. }) => {
            let (object, rollout) = (stray.object.to_string(), stray.rollout.to_string());
            warn!(object, rollout, "the Rollout is not there, and no Event may say so");
            (outcome(&error), Ok(()))
        }
        Announced::Failed(error) => (outcome(&error), Err(Error::Notice(error))),
        Announced::Late => (WriteResult::Unknown, Err(Error::NoticeLate)),
    };
    ctx.metrics.wrote("Event", counted);
    result
}

/// The objects that name a Rollout which is not there. None where this process would not know: it
/// does not watch the namespace, or only some Rollouts, or the Rollout is there and cannot be read.
fn strays(stores: &Stores, key: &Key) -> Vec<Stray> {
    if stores.rollouts.holds(key) || !stores.reach.sees(key) {
        return Vec::new();
    }
    let named = Reference { kind: Kind::Rollout, key: key.clone() };
    let kuberik = !stores.kuberik.listed(&key.namespace) || stores.kuberik.holds(key);
    let below = stores.kustomizations.by(&named).into_iter();
    let below =
        below.filter_map(|object| Stray::of(Kind::Kustomization, &object.metadata, key, kuberik));
    let fetched = stores.repositories.by(&named).into_iter();
    let fetched =
        fetched.filter_map(|object| Stray::of(Kind::OciRepository, &object.metadata, key, kuberik));
    below.chain(fetched).collect()
}

#[cfg(test)]
mod tests;
