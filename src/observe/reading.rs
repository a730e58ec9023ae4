//! Reading: what is known of registries, and what is to be asked anew. It makes no call.
//!
//! A repository is listed once however many Rollouts follow it: that of an ImagePolicy when the
//! policy shows something that it did not show before, one that Rollouts name themselves as often
//! as they say, and both again after a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::foreign::ImagePolicy;
use crate::api::kind::Key;
use crate::model::moment;
use crate::observe::registry::page::Pages;
use crate::observe::subject::Subject;
use crate::validate::seen::Reading;

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// The part of an interval by which it is lengthened at most, by chance.
const JITTER_PART: u32 = 10;

/// What is to be asked.
#[derive(Debug, Clone)]
pub struct Ask {
    /// About what.
    pub subject: Subject,
    /// The namespaces whose ImagePolicies want to know.
    pub namespaces: BTreeSet<String>,
    /// What was told the last time, as far as the registry can say that it is the same.
    pub last: Pages,
}

/// What came of asking: nothing where there is nothing to ask, and whether to ask again.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// What is known from now on.
    pub reading: Option<Reading>,
    /// The namespaces that may not know it, each with the reason.
    pub denied: BTreeMap<String, String>,
    /// What was told, as far as the registry can say later that it is the same.
    pub pages: Pages,
    /// Whether it is to be asked again without a change.
    pub again: bool,
}

/// Asks about a repository.
pub type Fetch = Arc<dyn Fn(Ask) -> BoxFuture<'static, Fetched> + Send + Sync>;

/// To whom an answer is news.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// ImagePolicies.
    pub policies: BTreeSet<Key>,
    /// Rollouts that follow the repository themselves.
    pub rollouts: BTreeSet<Key>,
}

/// What is known of all repositories.
#[derive(Default)]
pub struct Readings {
    known: Mutex<Known>,
    bell: Notify,
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Known {
    entries: BTreeMap<Subject, Entry>,
    /// When which one is to be asked about, of those that nobody asks about now.
    line: BTreeSet<(Instant, Subject)>,
    /// What each Rollout follows itself.
    follows: BTreeMap<Key, Subject>,
}

#[derive(Debug, Default)]
struct Entry {
    /// What each policy showed when it was last looked at.
    shown: BTreeMap<Key, String>,
    /// How often each Rollout that follows it itself wants it to be asked about.
    every: BTreeMap<Key, Duration>,
    reading: Option<Reading>,
    denied: BTreeMap<String, String>,
    pages: Pages,
    /// Whether somebody asks now.
    busy: bool,
    /// When it is to be asked.
    due: Option<Instant>,
    /// When it was last asked.
    asked: Option<Instant>,
    failures: u32,
}

impl Readings {
    /// Tells what is known of the repository of a policy, and has it asked anew where the policy
    /// shows something new. `reached` tells whether it may name one of another namespace.
    pub fn look(
        &self,
        policy: &ImagePolicy,
        reached: impl Fn(&str, &str) -> bool,
        now: Instant,
    ) -> Option<Reading> {
        let repository = repository(policy)?;
        let latest = policy.status.as_ref().and_then(|status| status.latest_ref.as_ref())?;
        let generation = policy.metadata.generation.unwrap_or(0);
        let digest = latest.digest.as_deref().unwrap_or_default();
        let shows = format!("{generation} {} {digest}", latest.tag);
        let own = Key::new(
            policy.metadata.namespace.clone().unwrap_or_default(),
            policy.metadata.name.clone().unwrap_or_default(),
        );
        if !reached(&own.namespace, &repository.namespace) {
            return Some(out_of_reach(&repository));
        }
        let mut known = self.lock();
        let subject = Subject::Repository(repository);
        let entry = known.entries.entry(subject.clone()).or_default();
        let reading = match entry.denied.get(&own.namespace) {
            Some(why) => Some(Reading::Unread { reason: DENIED, why: why.clone() }),
            None => entry.reading.clone(),
        };
        if entry.shown.get(&own) != Some(&shows) {
            entry.shown.insert(own, shows);
            known.ask(&subject, Some(now));
            self.bell.notify_one();
        }
        reading
    }

    /// Tells what is known of the repository that a Rollout follows itself, and has it asked as
    /// often as it wants from now on; a Rollout that follows none any more is forgotten.
    pub fn follow(
        &self,
        rollout: &Key,
        wanted: Option<(Subject, moment::Duration)>,
        now: Instant,
    ) -> Option<Reading> {
        let mut known = self.lock();
        let subject = wanted.as_ref().map(|(subject, _)| subject);
        if known.follows.get(rollout) != subject {
            known.leave(rollout);
        }
        let (subject, every) = wanted?;
        let every = Duration::from_millis(every.millis());
        let entry = known.entries.entry(subject.clone()).or_default();
        if entry.every.insert(rollout.clone(), every) != Some(every) {
            let due = entry.next();
            known.ask(&subject, due.or(Some(now)));
            known.follows.insert(rollout.clone(), subject.clone());
            self.bell.notify_one();
        }
        known.entries.get(&subject)?.reading.clone()
    }

    /// Forgets a Rollout that is gone.
    pub fn leave(&self, rollout: &Key) {
        self.lock().leave(rollout);
    }

    /// Forgets what Rollouts follow themselves: another process asks now.
    pub fn rest(&self) {
        let mut known = self.lock();
        while let Some((rollout, _)) = known.follows.first_key_value() {
            let rollout = rollout.clone();
            known.leave(&rollout);
        }
    }

    /// Takes a repository that is to be asked about now.
    pub fn take(&self, now: Instant) -> Option<Ask> {
        let mut known = self.lock();
        let (due, subject) = known.line.pop_first()?;
        if now < due {
            known.line.insert((due, subject));
            return None;
        }
        let entry = known.entries.get_mut(&subject)?;
        (entry.busy, entry.due, entry.asked) = (true, None, Some(now));
        let namespaces = entry.shown.keys().map(|policy| policy.namespace.clone()).collect();
        Some(Ask { namespaces, last: entry.pages.clone(), subject })
    }

    /// Tells when the next one is to be asked about.
    pub fn next(&self) -> Option<Instant> {
        self.lock().line.first().map(|(due, _)| *due)
    }

    /// Notes what came of asking, and tells to whom it is news.
    pub fn finish(&self, subject: &Subject, fetched: Fetched, now: Instant) -> News {
        let mut known = self.lock();
        let Some(entry) = known.entries.get_mut(subject) else { return News::default() };
        let Fetched { reading, denied, pages, again } = fetched;
        entry.busy = false;
        entry.failures = if again { entry.failures.saturating_add(1) } else { 0 };
        let pause = PAUSE_MIN.saturating_mul(1 << entry.failures.min(6).saturating_sub(1));
        let next = if again { Some(now + pause.min(PAUSE_MAX)) } else { entry.next() };
        let due = entry.due.into_iter().chain(next).min();
        // What was read before is better than nothing, but not better than its failure told.
        let same = entry.reading == reading && entry.denied == denied;
        (entry.reading, entry.denied, entry.pages) = (reading, denied, pages);
        let news = News {
            policies: entry.shown.keys().filter(|_| !same).cloned().collect(),
            rollouts: entry.every.keys().filter(|_| !same).cloned().collect(),
        };
        known.ask(subject, due);
        news
    }

    /// Waits until something new is to be asked about.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // A panic while the lock is held leaves entries that are whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Has a repository asked about at a time, or at an earlier one that it has.
    fn ask(&mut self, subject: &Subject, at: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(subject) else { return };
        if let Some(due) = entry.due {
            self.line.remove(&(due, subject.clone()));
        }
        entry.due = entry.due.into_iter().chain(at).min();
        if let Some(due) = entry.due.filter(|_| !entry.busy) {
            self.line.insert((due, subject.clone()));
        }
    }

    fn leave(&mut self, rollout: &Key) {
        let Some(subject) = self.follows.remove(rollout) else { return };
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        entry.every.remove(rollout);
        if entry.every.is_empty() {
            let due = entry.due.map(|due| (due, subject.clone()));
            due.iter().for_each(|due| _ = self.line.remove(due));
            self.entries.remove(&subject);
        }
    }
}

impl Entry {
    /// When it is to be asked by the interval of those that follow it; at once where it was not
    /// asked yet.
    fn next(&self) -> Option<Instant> {
        let every = *self.every.values().min()?;
        let jitter = (every / JITTER_PART).mul_f64(fastrand::f64());
        self.asked.map(|asked| asked + every + jitter)
    }
}

/// The reason of what a policy may not know.
const DENIED: &str = "AccessDenied";

fn out_of_reach(repository: &Key) -> Reading {
    let why = format!(
        "ImageRepository {repository} is in another namespace than the ImagePolicy; start the \
         controller with --allow-cross-namespace-refs={} to have it listed",
        repository.namespace
    );
    Reading::Unread { reason: DENIED, why }
}

/// The ImageRepository of a policy.
fn repository(policy: &ImagePolicy) -> Option<Key> {
    let own = policy.metadata.namespace.as_deref().unwrap_or_default();
    let reference = policy.spec.get("imageRepositoryRef")?;
    let text = |key: &str| reference.get(key).and_then(Value::as_str);
    let there = text("namespace").filter(|there| !there.is_empty()).unwrap_or(own);
    text("name").map(|name| Key::new(there, name))
}

#[cfg(test)]
mod tests;
