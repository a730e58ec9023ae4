//! Stray: what is done for a Rollout that is not there: the objects of Flux whose annotations name
//! it are told so, once; so are those whose annotations can name none.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::kind::{Key, Kind, Reference};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::hint;
use crate::controller::moves::Next;
use crate::observe::stores::Stores;
use crate::validate::stray::Stray;

/// How long a Rollout may be missing before that is told: it and what is bound to it mostly come
/// together, in any order.
const MISSING_MIN: Duration = Duration::from_secs(10);

/// Tells the objects that name a Rollout which is not there. No Rollout has an empty name: such a
/// key is about the objects of its namespace that can name none.
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
    let named = Reference { kind: Kind::Rollout, key: key.clone() };
    if !named.is_any() {
        // A watch may be late: whoever holds all objects is asked.
        ctx.ask(&named).await?;
        if strays(&ctx.stores, key).is_empty() {
            return Ok(Next::Wait(Some(now)));
        }
    }
    for (notice, stray) in untold {
        hint::tell(ctx, (&stray.object, stray.uid.as_str()), &notice).await?;
        ctx.remember(key, |memory| memory.sent.insert(notice.id));
    }
    Ok(Next::Wait(None))
}

/// The objects that name a Rollout which is not there. None where this process would not know: it
/// does not watch the namespace, or only some Rollouts, or the Rollout is there and cannot be read.
fn strays(stores: &Stores, key: &Key) -> Vec<Stray> {
    if stores.rollouts.holds(key) || !stores.reach.sees(key) {
        return Vec::new();
    }
    let named = Reference { kind: Kind::Rollout, key: key.clone() };
    let kuberik = !stores.kuberik.listed(&key.namespace) || stores.kuberik.holds(key);
    let stray = |kind, meta: &ObjectMeta| match named.is_any() {
        true => Stray::nameless(kind, meta, kuberik),
        false => Stray::of(kind, meta, key, kuberik),
    };
    let below = stores.kustomizations.by(&named).into_iter();
    let below = below.filter_map(|object| stray(Kind::Kustomization, &object.metadata));
    let fetched = stores.repositories.by(&named).into_iter();
    let fetched = fetched.filter_map(|object| stray(Kind::OciRepository, &object.metadata));
    below.chain(fetched).collect()
}

#[cfg(test)]
mod tests;
