//! Moves: carries out what was decided, and remembers what has to be seen of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::api::foreign::{ImagePolicy, Pod};
use crate::api::kind::{Key, Kind, Reference};
use crate::api::rollout::Rollout;
use crate::apply::announce::{Announced, announce as send};
use crate::apply::error::Error as WriteError;
use crate::apply::send::{Effect, Written};
use crate::apply::{commit, writes};
use crate::controller::context::Context;
use crate::controller::error::{Error, backoff, outcome, unanswered};
use crate::controller::hint;
use crate::controller::memory::{Memory, Verdict};
use crate::decide::notice;
use crate::model::moment::Timestamp;
use crate::model::moves::Write;
use crate::model::notice::Notice;
use crate::model::status::Status;
use crate::model::template::TemplateId;
#[cfg(feature = "planted")]
use crate::observe::barrier::Barrier;
use crate::observe::barrier::{Expect, UNSEEN_MAX};
use crate::observe::reading::Wanted;
use crate::observe::seen::{Remembered, gather};
use crate::observe::subject::{self, Subject};
use crate::observe::{pods, refs};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::runtime::metrics::WriteResult;
use crate::validate::manifest;
use crate::validate::replica_set::made_of;
use crate::validate::seen::{Reading, Seen};

/// Refusals of a notice before it counts as sent: whoever may not write Events is not to ask for
/// ever. One that nobody answers is kept until it is taken or the outbox is full.
const NOTICE_REFUSALS_MAX: u32 = 5;
/// How long a refused template is not asked about again, where nothing changes.
const TEMPLATE_PAUSE: Duration = Duration::from_secs(300);

/// How a turn went, and when the next one is where nothing changes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It made a move; the next turn is due once that is seen, at the latest then.
    Moved(Instant),
    /// It stored what is to be done next; that turn presses, and is due as after a move.
    Intends(Instant),
    /// Its own last write is not seen yet; as pressing as it was, the next turn is due then.
    Behind(Instant),
    /// It waited.
    Wait(Option<Instant>),
}

/// Waits for the stores to show this Rollout's own writes; asks for what stays unseen. Tells when
/// to look again, if not all is seen.
///
/// # Errors
/// [`Error::Read`] if there is no answer.
pub async fn catch_up(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
) -> Result<Option<Instant>, Error> {
    ctx.remember(key, |memory| memory.meet(rollout));
    #[cfg(feature = "planted")]
    if active(Bug::NoBarrier) {
        return Ok(None);
    }
    ctx.catch_up(|look| ctx.remember(key, |memory| look(&mut memory.barrier))).await
}

/// Has the Services and the route asked for before the first move of a process that leads; tells
/// whether that was done before. What its watches tell of them may be from long before another
/// one led, and no version of a write speaks of what was only looked at: a side would seem to be
/// without traffic. A Rollout without an attempt has nothing to lose.
pub fn surveyed(ctx: &Context, key: &Key, rollout: &Rollout) -> bool {
    let attempt = rollout.status.as_ref().and_then(|status| status.attempt.as_ref());
    if ctx.remember(key, Memory::survey) || attempt.is_none() {
        return true;
    }
    let splits =
        |reference: &Reference| reference.kind.splits() && ctx.stores.version(reference).is_some();
    let now = ctx.clock.monotonic();
    let mut asked = false;
    for reference in ctx.stores.uses(rollout).into_iter().filter(splits) {
        ctx.remember(key, |memory| memory.barrier.expect(reference, Expect::Asked, now));
        asked = true;
    }
    !asked
}

/// Gathers what a turn needs, the API server's word on a new template included.
///
/// # Errors
/// [`Error::Write`] if it does not answer about the template, [`Error::Read`] about the pods.
pub async fn observe(ctx: &Context, key: &Key, rollout: &Arc<Rollout>) -> Result<Seen, Error> {
    let now = ctx.clock.monotonic();
    let template_refused = check_template(ctx, key, rollout, now).await?;
    let pods = check_pods(ctx, key, rollout).await?;
    let version = |target: &Reference| ctx.stores.version(target).map(|(_, version)| version);
    let policy = policy(ctx, key, rollout).filter(|_| ctx.reads);
    let reading = ctx.reads.then(|| reading(ctx, key, rollout, (policy.as_deref(), now))).flatten();
    let wanted = ctx.reads.then(|| wanted(ctx, rollout, policy.as_deref())).flatten();
    let manifests = ctx.readings.want(key, wanted, now);
    let remembered = ctx.remember(key, |memory| {
        let refusal = memory.refusal(rollout, version, now);
        let refused = refusal.map(|refusal| (refusal.target.to_string(), refusal.why));
        let sent = memory.sent.clone();
        let watched_since = memory.watched(ctx.now());
        Remembered { template_refused, pods, reading, manifests, sent, refused, watched_since }
    });
    let looked = |check: &Key| ctx.checks.looked(check);
    Ok(gather(&ctx.stores, rollout, remembered, looked))
}

/// What is known of the registry that a Rollout follows, by itself or behind its ImagePolicy.
fn reading(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
    (policy, now): (Option<&ImagePolicy>, Instant),
) -> Option<Reading> {
    let followed = ctx.readings.follow(key, subject::followed(rollout), now);
    let reached = |from: &str, to: &str| ctx.stores.reach.allows(from, to);
    let shown = ctx.readings.look(key, policy, reached, now);
    followed.or(shown)
}

/// What a Rollout wants to know of the images of its releases.
fn wanted(ctx: &Context, rollout: &Rollout, policy: Option<&ImagePolicy>) -> Option<Wanted> {
    let Some(policy) = policy else {
        let (subject, repository) = subject::of_images(rollout)?;
        let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
        let tags = manifest::wanted(&repository, None, rollout);
        return Some(Wanted { subject, namespace, tags, shows: shows(ctx, rollout) });
    };
    let (repository, shown) = manifest::shown(policy)?;
    let behind = subject::behind(policy)?;
    let namespace = policy.metadata.namespace.clone().unwrap_or_default();
    if !ctx.stores.reach.allows(&namespace, &behind.namespace) {
        return None;
    }
    let tags = manifest::wanted(&repository, Some(shown), rollout);
    // Whatever is new of a policy has its repository looked at anyway.
    let shows = String::new();
    Some(Wanted { subject: Subject::Repository(behind), namespace, tags, shows })
}

/// What a source that tells versions shows: whenever that is something else, an image may be, too.
fn shows(ctx: &Context, rollout: &Rollout) -> String {
    let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let reached = |there: &str| ctx.stores.reach.allows(own, there);
    let Some(source) = refs::source(rollout).filter(|source| reached(&source.key.namespace)) else {
        return String::new();
    };
    let shown = if source.kind == Kind::OciRepository {
        ctx.stores.repositories.get(&source.key).and_then(|object| {
            let status = object.status.as_ref()?;
            let revision = status.artifact.as_ref().map(|artifact| &artifact.revision);
            Some(format!("{revision:?} {:?}", status.last_handled_reconcile_at))
        })
    } else {
        ctx.stores.kustomizations.get(&source.key).and_then(|object| {
            let (status, generation) = (object.status.as_ref()?, object.metadata.generation);
            let (applied, asked) =
                (&status.last_applied_revision, &status.last_handled_reconcile_at);
            Some(format!("{generation:?} {applied:?} {asked:?}"))
        })
    };
    shown.unwrap_or_default()
}

/// The ImagePolicy whose registry may tell of more releases.
fn policy(ctx: &Context, key: &Key, rollout: &Rollout) -> Option<Arc<ImagePolicy>> {
    let source = refs::source(rollout).filter(|source| source.kind == Kind::ImagePolicy)?;
    let reached = ctx.stores.reach.allows(&key.namespace, &source.key.namespace);
    ctx.stores.policies.get(&source.key).filter(|_| reached)
}

async fn check_template(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
    now: Instant,
) -> Result<Option<String>, Error> {
    let none = rollout.spec.template.is_null();
    if none || !complete(rollout) || rollout.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let id = match ctx.remember(key, |memory| memory.template(rollout, now)) {
        Verdict::Known(refused) => return Ok(refused),
        Verdict::Unknown(id) => id,
    };
    let refused = if is_made(ctx, rollout, id) {
        None
    } else {
        Box::pin(writes::dry_run(&ctx.client, rollout)).await.map_err(Error::Write)?
    };
    let pause = TEMPLATE_PAUSE;
    #[cfg(feature = "planted")]
    let pause = if active(Bug::NoBackoff) { Duration::ZERO } else { pause };
    let until = now + pause;
    ctx.remember(key, |memory| memory.checked(rollout, id, refused.clone(), until));
    Ok(refused)
}

/// Asks for the pods while a restart is under way, and at no other time. Before the second is over
/// in which it began none is to be replaced, and one that is made is taken for an old one.
async fn check_pods(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
) -> Result<Option<Result<Vec<Pod>, String>>, Error> {
    let restart = rollout.status.as_ref().and_then(|status| status.restart.as_ref());
    let since = restart.and_then(|restart| Timestamp::parse(&restart.since));
    let began = since.is_some_and(|since| since <= ctx.now());
    if !began || rollout.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let asked = Box::pin(pods::of_rollout(&ctx.client, key)).await;
    let target = || Reference::new(Kind::Pod, key.namespace.as_str(), "");
    asked.map(Some).map_err(|source| Error::Read { target: target(), source: Box::new(source) })
}

/// Tells whether every container of the template has an image.
fn complete(rollout: &Rollout) -> bool {
    let spec = rollout.spec.template.get("spec");
    let list = |key| spec.and_then(|spec| spec.get(key)).and_then(|list| list.as_array());
    let mut all = ["initContainers", "containers"].into_iter().filter_map(list).flatten();
    let image = |item: &serde_json::Value| {
        item.get("image").and_then(|image| image.as_str()).is_some_and(|text| !text.is_empty())
    };
    all.all(image)
}

/// Tells whether a ReplicaSet was made of this template.
fn is_made(ctx: &Context, rollout: &Rollout, id: TemplateId) -> bool {
    let sets = ctx.stores.replica_sets.by(&writes::own(rollout));
    sets.iter().any(|set| made_of(set).is_some_and(|made| made.template == id.bytes()))
}

/// Stores an intent, and says so.
///
/// # Errors
/// [`Error::Write`].
pub async fn commit(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
    status: &Status,
) -> Result<Next, Error> {
    #[cfg(feature = "planted")]
    if active(Bug::AnnounceBeforeCommit) {
        let about = (&writes::own(rollout), uid(rollout));
        send(&ctx.client, about, &status.outbox, &ctx.identity, &mut Vec::new()).await;
    }
    let at = store(ctx, key, rollout, status).await?;
    let attempt = status.attempt.as_ref();
    let step = attempt.map(|attempt| attempt.stage.step()).filter(|step| *step > 0);
    info!(
        rollout = %key,
        attempt = attempt.map(|attempt| attempt.number),
        phase = status.phase.as_str(),
        step,
        weight = attempt.map(|attempt| attempt.weight.to_string()),
        image = attempt.map(|attempt| attempt.release.image.as_str()),
        "stored"
    );
    let open = attempt.is_some_and(|attempt| attempt.stage.open());
    Ok(if open { Next::Intends(at) } else { Next::Moved(at) })
}

/// Stores what was seen.
///
/// # Errors
/// [`Error::Write`].
pub async fn report(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
    status: &Status,
) -> Result<Next, Error> {
    store(ctx, key, rollout, status).await.map(Next::Moved)
}

/// Writes a status, and tells until when that may stay unseen.
async fn store(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
    status: &Status,
) -> Result<Instant, Error> {
    let own = writes::own(rollout);
    ctx.remember(key, |memory| memory.depart(own.clone()));
    // What is moved with every turn is to be small: a request is boxed.
    let stored = Box::pin(commit::commit(&ctx.client, rollout, status)).await;
    let (written, stored) = match stored {
        Ok(stored) => {
            let version = stored.metadata.resource_version.as_deref();
            (Ok(Some(Written::at(&own, version))), Some(stored))
        }
        Err(error) => (Err(error), None),
    };
    match &written {
        Ok(_) => ctx.remember(key, Memory::stored),
        Err(WriteError::Refused { why, .. }) => {
            Box::pin(tell_unstored(ctx, key, rollout, why)).await;
        }
        Err(
            WriteError::Conflict { .. } | WriteError::Taken { .. } | WriteError::Unanswered { .. },
        ) => {}
    }
    land(ctx, key, rollout, written)?;
    let change = stored.and_then(|stored| ctx.stores.answered(*stored));
    change.iter().for_each(|change| ctx.hear(change));
    Ok(ctx.clock.monotonic() + UNSEEN_MAX)
}

/// Tells people once of each generation that its status is refused: the status cannot say so.
async fn tell_unstored(ctx: &Context, key: &Key, rollout: &Rollout, why: &str) {
    let generation = rollout.metadata.generation.unwrap_or_default();
    let notice = notice::unstored((uid(rollout), generation), why, ctx.now());
    let known = |memory: &mut Memory| memory.unstored.as_ref() == Some(&notice.id);
    if ctx.remember(key, known) {
        return;
    }
    // One that nobody takes is sent with the next refusal.
    if hint::tell(ctx, (&writes::own(rollout), uid(rollout)), &notice).await.is_ok() {
        ctx.remember(key, |memory| memory.unstored = Some(notice.id));
    }
}

/// Carries out writes in order; the first that fails ends it. Before the first ones of a new leader
/// the Rollout is asked for: the versions that writes demand tell only that their own objects are
/// as they were seen, not that the attempt still stands where it did.
///
/// # Errors
/// [`Error::Write`].
pub async fn apply(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
    all: &[Write],
) -> Result<Next, Error> {
    let version = |target: &Reference| ctx.stores.version(target).map(|(_, version)| version);
    let now = ctx.clock.monotonic();
    if !ctx.remember(key, Memory::confirm) {
        let own = writes::own(rollout);
        ctx.remember(key, |memory| memory.barrier.expect(own, Expect::Asked, now));
        return Ok(Next::Wait(Some(now)));
    }
    let refusal = ctx.remember(key, |memory| memory.refusal(rollout, version, now));
    for write in all {
        let target = writes::target(rollout, write);
        if let Some(refusal) = refusal.as_ref().filter(|refusal| refusal.target == target) {
            // Refused a moment ago. What comes after it in order has to wait too.
            return Ok(Next::Wait(Some(refusal.until)));
        }
        ctx.remember(key, |memory| memory.depart(target));
        let written = Box::pin(writes::apply(&ctx.client, rollout, write)).await;
        land(ctx, key, rollout, written)?;
    }
    ctx.remember(key, |memory| memory.refusals = 0);
    Ok(Next::Moved(ctx.clock.monotonic() + UNSEEN_MAX))
}

/// Counts a write and remembers what has to be seen of it.
fn land(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
    written: Result<Option<Written>, WriteError>,
) -> Result<(), Error> {
    let now = ctx.clock.monotonic();
    let error = match written {
        Ok(written) => {
            ctx.remember(key, |memory| {
                memory.land();
                if let Some(Written { target, effect }) = written {
                    // Status is taken only at the version that was seen.
                    if target.kind == Kind::Rollout {
                        memory.confirm();
                    }
                    ctx.metrics.wrote(target.kind.as_str(), WriteResult::Done);
                    let expect = match effect {
                        Effect::Version(version) => Expect::Version(version),
                        Effect::Gone { uid } => Expect::Gone { uid },
                    };
                    memory.barrier.expect(target, expect, now);
                }
            });
            return Ok(());
        }
        Err(error) => error,
    };
    let target = error.target().clone();
    ctx.metrics.wrote(target.kind.as_str(), outcome(&error));
    let version = ctx.stores.version(&target).map(|(_, version)| version);
    ctx.remember(key, |memory| {
        memory.land();
        match &error {
            #[cfg(feature = "planted")]
            WriteError::Conflict { .. } if active(Bug::BarrierForgetsOnConflict) => {
                memory.barrier = Barrier::default();
            }
            #[cfg(feature = "planted")]
            WriteError::Unanswered { .. } if active(Bug::UnansweredForgotten) => {}
            WriteError::Conflict { stale, .. } => {
                memory.barrier.expect(target, Expect::Newer(*stale), now);
            }
            WriteError::Taken { version, .. } => {
                memory.barrier.expect(target, Expect::Version(*version), now);
            }
            WriteError::Refused { why, .. } => {
                if memory.refusals == 0 {
                    warn!(rollout = %key, object = %target, why, "a write was refused");
                }
                let until = now + backoff(memory.refusals, key);
                memory.refusals = memory.refusals.saturating_add(1);
                memory.refuse(rollout, target, why.clone(), version, until);
            }
            WriteError::Unanswered { .. } => memory.barrier.expect(target, Expect::Asked, now),
        }
    });
    Err(Error::Write(error))
}

fn uid(rollout: &Rollout) -> &str {
    rollout.metadata.uid.as_deref().unwrap_or_default()
}

/// Sends notices. One that is refused again and again counts as sent.
///
/// # Errors
/// [`Error::Notice`], [`Error::NoticeLate`].
pub async fn announce(
    ctx: &Context,
    key: &Key,
    rollout: &Rollout,
    notices: &[Notice],
) -> Result<Next, Error> {
    let now = ctx.clock.monotonic();
    let (tries, due) = ctx.remember(key, |memory| memory.notice);
    if let Some(due) = due.filter(|due| now < *due) {
        return Ok(Next::Wait(Some(due)));
    }
    let mut sent = Vec::new();
    let own = writes::own(rollout);
    let about = (&own, uid(rollout));
    let sending = send(&ctx.client, about, notices, &ctx.identity, &mut sent);
    let announced = Box::pin(sending).await;
    let unsent = notices.get(sent.len()).map(|notice| notice.id.clone());
    sent.iter().for_each(|_| ctx.metrics.wrote("Event", WriteResult::Done));
    let error = match announced {
        Announced::All => None,
        Announced::Failed(error) => {
            ctx.metrics.wrote("Event", outcome(&error));
            Some(Error::Notice(error))
        }
        Announced::Late => {
            ctx.metrics.wrote("Event", WriteResult::Unknown);
            Some(Error::NoticeLate)
        }
    };
    let refused = matches!(error, Some(Error::Notice(WriteError::Refused { .. })));
    let given_up = refused && NOTICE_REFUSALS_MAX <= tries.saturating_add(1);
    ctx.remember(key, |memory| {
        memory.sent.extend(sent);
        memory.notice = match (&error, given_up) {
            (None, _) | (Some(_), true) => (0, None),
            (Some(_), false) => {
                let pause = if refused { backoff(tries, key) } else { unanswered(tries, key) };
                (tries.saturating_add(1), Some(now + pause))
            }
        };
        memory.sent.extend(unsent.clone().filter(|_| given_up));
    });
    match error {
        None => Ok(Next::Moved(now)),
        Some(_) if given_up => {
            warn!(rollout = %key, notice = unsent, "a notice cannot be sent and is dropped");
            Ok(Next::Moved(now))
        }
        Some(error) => Err(error),
    }
}
