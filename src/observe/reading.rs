//! Reading: what is known of registries, and what is to be asked anew. It makes no call.
//!
//! A repository is listed once however many Rollouts follow it: that of an ImagePolicy when the
//! policy shows something that it did not show before, one that Rollouts name themselves as often
//! as they say, and both again after a failure. The manifests behind its tags are looked at then
//! too, and those that were not looked at yet when a Rollout has a use for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::foreign::ImagePolicy;
use crate::api::kind::Key;
use crate::model::moment;
use crate::model::version::Version;
use crate::observe::registry::page::Pages;
use crate::observe::subject::{Subject, behind};
use crate::validate::seen::{Manifest, Manifests, Reading, Unresolved};

/// The first pause after a failure, doubled with each: a registry that is down is left alone.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// The part of an interval by which it is lengthened at most, by chance.
const JITTER_PART: u32 = 10;
/// What is said where there was no answer at all.
const LATE: &str = "the registry did not answer in time";
/// Manifests that are kept of a repository: those of dozens of Rollouts that follow it and run
/// other versions each; looking at all of them again takes a registry seconds.
const MANIFESTS_MAX: usize = 128;

/// What is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Which one it is: an answer to a former one is none.
    pub number: u64,
    /// About what.
    pub subject: Subject,
    /// The namespaces whose ImagePolicies want to know.
    pub namespaces: BTreeSet<String>,
    /// What was told the last time, as far as the registry can say that it is the same.
    pub last: Pages,
    /// Whether its tags are to be listed.
    pub list: bool,
    /// The tags whose manifests are to be read, with what is known of them.
    pub tags: BTreeMap<String, Option<Manifest>>,
}

/// What came of asking: nothing where there is nothing to ask, and whether to ask again.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// What is known from now on, where the tags were to be listed.
    pub reading: Option<Reading>,
    /// What is known of the manifests that were asked for.
    pub manifests: Manifests,
    /// The namespaces that may not know it, each with the reason.
    pub denied: BTreeMap<String, String>,
    /// What was told, as far as the registry can say later that it is the same.
    pub pages: Pages,
    /// Whether it is to be asked again without a change.
    pub again: bool,
}

/// Asks about a repository.
pub type Fetch = Arc<dyn Fn(Ask) -> BoxFuture<'static, Fetched> + Send + Sync>;

/// What a Rollout wants to know of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where they are.
    pub subject: Subject,
    /// The namespace that has to be let in there.
    pub namespace: String,
    /// The tags.
    pub tags: BTreeSet<String>,
    /// What its source shows: whenever that is something else, all are looked at again.
    pub shows: String,
}

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
    /// How often something was asked.
    asks: u64,
    entries: BTreeMap<Subject, Entry>,
    /// When which one is to be asked about, of those that nobody asks about now.
    line: BTreeSet<(Instant, Subject)>,
    /// The repository and the policy that each Rollout looks at.
    looks: BTreeMap<Key, (Subject, Key)>,
    /// What each Rollout follows itself.
    follows: BTreeMap<Key, Subject>,
    /// Where the images are of which each Rollout needs manifests.
    wants: BTreeMap<Key, Subject>,
}

#[derive(Debug, Default)]
struct Entry {
    /// What each policy showed when it was last looked at.
    shown: BTreeMap<Key, Shown>,
    /// How often each Rollout that follows it itself wants it to be asked about.
    every: BTreeMap<Key, Duration>,
    reading: Option<Reading>,
    denied: BTreeMap<String, String>,
    /// The namespaces of which was asked whether they may know.
    judged: BTreeSet<String>,
    pages: Pages,
    /// What each Rollout wants to know of the images.
    wanted: BTreeMap<Key, Wants>,
    manifests: Arc<Manifests>,
    /// What somebody asks now.
    asking: Option<Ask>,
    /// When it is to be asked.
    due: Option<Instant>,
    /// Whether the tags are to be listed then.
    list: bool,
    /// Whether the manifests that are known are to be looked at again then.
    recheck: bool,
    /// When its tags were last asked for.
    asked: Option<Instant>,
    /// When they are to be listed again by the interval of those that follow it.
    relist: Option<Instant>,
    failures: u32,
}

/// What a policy showed, and the Rollouts that look at it.
#[derive(Debug, Default)]
struct Shown {
    what: String,
    by: BTreeSet<Key>,
}

/// What one Rollout wants to know of images.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wants {
    tags: BTreeSet<String>,
    /// What its source showed.
    shows: String,
}

impl Readings {
    /// Tells what is known of the repository of the policy a Rollout looks at, and has it asked
    /// anew where the policy shows something new; a policy that no Rollout looks at any more is
    /// forgotten. `reached` tells whether it may name one of another namespace.
    pub fn look(
        &self,
        rollout: &Key,
        policy: Option<&ImagePolicy>,
        reached: impl Fn(&str, &str) -> bool,
        now: Instant,
    ) -> Option<Reading> {
        let sight = policy.and_then(sight);
        let far = sight.as_ref().filter(|(to, own, _)| !reached(&own.namespace, &to.namespace));
        let far = far.map(|(repository, _, _)| out_of_reach(repository));
        let near = sight.filter(|_| far.is_none());
        let place =
            near.as_ref().map(|(to, own, _)| (Subject::Repository(to.clone()), own.clone()));
        let mut known = self.lock();
        if known.looks.get(rollout) != place.as_ref() {
            known.look_away(rollout);
        }
        let Some(((subject, own), (_, _, shows))) = place.zip(near) else { return far };
        known.looks.insert(rollout.clone(), (subject.clone(), own.clone()));
        let entry = known.entries.entry(subject.clone()).or_default();
        let reading = match entry.denied.get(&own.namespace) {
            Some(why) => Some(Reading::Unread { reason: DENIED, why: why.clone() }),
            None => entry.reading.clone(),
        };
        let shown = entry.shown.entry(own).or_default();
        shown.by.insert(rollout.clone());
        if shown.what != shows {
            shown.what = shows;
            (entry.list, entry.recheck) = (true, true);
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
            (entry.list, entry.recheck) = (true, true);
            known.ask(&subject, due.or(Some(now)));
            known.follows.insert(rollout.clone(), subject.clone());
            self.bell.notify_one();
        }
        known.entries.get(&subject)?.reading.clone()
    }

    /// Tells what is known of the manifests behind the tags that a Rollout has a use for, and has
    /// those read that nobody asked for yet; what it wanted before is forgotten.
    pub fn want(&self, rollout: &Key, wanted: Option<Wanted>, now: Instant) -> Arc<Manifests> {
        let mut known = self.lock();
        let subject = wanted.as_ref().map(|wanted| &wanted.subject);
        if known.wants.get(rollout) != subject {
            known.ignore(rollout);
        }
        let Some(Wanted { subject, namespace, tags, shows }) = wanted else {
            return Arc::default();
        };
        let entry = match &subject {
            Subject::Repository(_) => known.entries.get_mut(&subject),
            Subject::Registry(_) => Some(known.entries.entry(subject.clone()).or_default()),
        };
        let Some(entry) = entry.filter(|entry| !entry.denied.contains_key(&namespace)) else {
            return Arc::default();
        };
        let told = matches!(subject, Subject::Registry(_)) || entry.judged.contains(&namespace);
        let manifests = if told { Arc::clone(&entry.manifests) } else { Arc::default() };
        let wants = Wants { tags, shows };
        let before = entry.wanted.get(rollout);
        let again = before.is_some_and(|before| before.shows != wants.shows);
        let new = before != Some(&wants);
        if new {
            entry.wanted.insert(rollout.clone(), wants);
        }
        entry.recheck |= again;
        let unasked = entry.lacks(rollout) && entry.unasked();
        if unasked {
            entry.failures = 0; // None of what is new.
        }
        if (again || unasked) && entry.due.is_none_or(|due| now < due) {
            known.ask(&subject, Some(now));
            self.bell.notify_one();
        }
        if new {
            known.wants.insert(rollout.clone(), subject);
        }
        manifests
    }

    /// Forgets a Rollout that is gone.
    pub fn leave(&self, rollout: &Key) {
        let mut known = self.lock();
        known.look_away(rollout);
        known.leave(rollout);
        known.ignore(rollout);
    }

    /// Forgets everything: another process asks now, and what is known here grows old.
    pub fn rest(&self) {
        let mut known = self.lock();
        *known = Known { asks: known.asks, ..Known::default() };
    }

    /// Takes a repository that is to be asked about now.
    pub fn take(&self, now: Instant) -> Option<Ask> {
        let mut known = self.lock();
        let (due, subject) = known.line.pop_first()?;
        if now < due {
            known.line.insert((due, subject));
            return None;
        }
        known.asks += 1;
        let number = known.asks;
        let entry = known.entries.get_mut(&subject)?;
        if entry.relist.is_some_and(|relist| relist <= now) {
            (entry.list, entry.recheck) = (true, true);
        }
        if entry.list {
            entry.asked = Some(now);
        }
        Some(entry.ask(subject, number))
    }

    /// Tells when the next one is to be asked about.
    pub fn next(&self) -> Option<Instant> {
        self.lock().line.first().map(|(due, _)| *due)
    }

    /// Notes what came of asking, and tells to whom it is news.
    pub fn finish(
        &self,
        (subject, number): (&Subject, u64),
        fetched: Fetched,
        now: Instant,
    ) -> News {
        let mut known = self.lock();
        let Some(entry) = known.entries.get_mut(subject) else { return News::default() };
        let Some(asked) = entry.asking.take_if(|asking| asking.number == number) else {
            return News::default();
        };
        let Fetched { reading, manifests, denied, pages, again } = fetched;
        let again = again || !entry.prompted() && manifests.values().any(Result::is_err);
        entry.failures = if again { entry.failures.saturating_add(1) } else { 0 };
        let pause = PAUSE_MIN.saturating_mul(1 << entry.failures.min(10).saturating_sub(1));
        if asked.list {
            entry.relist = entry.next();
        }
        let pause = again.then(|| now + pause.min(PAUSE_MAX));
        let listed = matches!(reading, Some(Reading::Tags { .. })) && denied.is_empty();
        let unlisted = again && asked.list && !listed;
        entry.list |= unlisted;
        // What a manifest lacks puts no listing off.
        let next = pause.into_iter().chain(entry.relist.filter(|_| !unlisted)).min();
        let mut news = entry.note(&asked, &manifests);
        let next = if entry.unasked() { Some(now) } else { next };
        let due = entry.due.into_iter().chain(next).min();
        // What was read before is better than nothing, but not better than its failure told.
        if asked.list {
            news |= entry.reading != reading || entry.denied != denied;
            (entry.reading, entry.denied, entry.pages) = (reading, denied, pages);
            entry.judged = asked.namespaces;
        }
        let news = News {
            policies: entry.shown.keys().filter(|_| news).cloned().collect(),
            rollouts: if news { entry.users() } else { BTreeSet::new() },
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
        if let Some(due) = entry.due.filter(|_| entry.asking.is_none()) {
            self.line.insert((due, subject.clone()));
        }
    }

    /// Forgets that a Rollout looks at a policy.
    fn look_away(&mut self, rollout: &Key) {
        let Some((subject, policy)) = self.looks.remove(rollout) else { return };
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        if let Some(shown) = entry.shown.get_mut(&policy) {
            shown.by.remove(rollout);
        }
        entry.shown.retain(|_, shown| !shown.by.is_empty());
        self.drop_unused(&subject);
    }

    fn leave(&mut self, rollout: &Key) {
        let Some(subject) = self.follows.remove(rollout) else { return };
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        entry.every.remove(rollout);
        if entry.every.is_empty() {
            entry.relist = None;
        }
        self.drop_unused(&subject);
    }

    /// Forgets what a Rollout wanted to know of images.
    fn ignore(&mut self, rollout: &Key) {
        let Some(subject) = self.wants.remove(rollout) else { return };
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.wanted.remove(rollout);
        }
        self.drop_unused(&subject);
    }

    /// Forgets a repository of Rollouts that nobody has a use for any more.
    fn drop_unused(&mut self, subject: &Subject) {
        let Some(entry) = self.entries.get(subject) else { return };
        if entry.prompted() || !entry.wanted.is_empty() {
            return;
        }
        let due = entry.due.map(|due| (due, subject.clone()));
        due.iter().for_each(|due| _ = self.line.remove(due));
        self.entries.remove(subject);
    }
}

impl Entry {
    /// The Rollouts to which its news are of use.
    fn users(&self) -> BTreeSet<Key> {
        self.every.keys().chain(self.wanted.keys()).cloned().collect()
    }

    /// The tags that are wanted; of too many the newest.
    fn wanted(&self) -> BTreeSet<&String> {
        let all: BTreeSet<&String> = self.wanted.values().flat_map(|wants| &wants.tags).collect();
        if all.len() <= MANIFESTS_MAX {
            return all;
        }
        let mut versions: Vec<_> =
            all.into_iter().map(|tag| (Version::from_tag(tag), tag)).collect();
        versions.sort_by(|(one, _), (other, _)| match (one, other) {
            (Ok(one), Ok(other)) => other.precedence(one),
            (one, other) => one.is_err().cmp(&other.is_err()),
        });
        versions.into_iter().map(|(_, tag)| tag).take(MANIFESTS_MAX).collect()
    }

    /// Tells whether a manifest is wanted that nobody asked for or asks for.
    fn unasked(&self) -> bool {
        self.wanted().into_iter().any(|tag| self.is_new(tag))
    }

    /// Tells whether one Rollout wants a manifest that nobody asked for or asks for.
    fn lacks(&self, rollout: &Key) -> bool {
        self.wanted.get(rollout).is_some_and(|wants| wants.tags.iter().any(|tag| self.is_new(tag)))
    }

    fn is_new(&self, tag: &String) -> bool {
        let asking = || self.asking.iter().any(|ask| ask.tags.contains_key(tag));
        !self.manifests.contains_key(tag) && !asking()
    }

    /// Tells whether the manifest of a tag is known or nobody expects it to be; where nothing else
    /// has it looked at again, it always is.
    fn settled(&self, tag: &String) -> bool {
        let lasting = |error: &Unresolved| !error.passing && self.prompted();
        self.manifests.get(tag).is_some_and(|known| known.as_ref().err().is_none_or(lasting))
    }

    /// Tells whether a policy or an interval has it looked at.
    fn prompted(&self) -> bool {
        !self.shown.is_empty() || !self.every.is_empty()
    }

    /// What is to be asked, now that it is due.
    fn ask(&mut self, subject: Subject, number: u64) -> Ask {
        let known = |tag: &String| self.manifests.get(tag)?.as_ref().ok().cloned();
        let wanted = self.wanted().into_iter().filter(|tag| self.recheck || !self.settled(tag));
        let tags = wanted.map(|tag| (tag.clone(), known(tag))).collect();
        let namespaces = self.shown.keys().map(|policy| policy.namespace.clone()).collect();
        let (last, list) = (self.pages.clone(), self.list);
        let ask = Ask { number, subject, namespaces, last, list, tags };
        (self.list, self.recheck, self.due) = (false, false, None);
        self.asking = Some(ask.clone());
        ask
    }

    /// Notes what came of asking for manifests; those that nobody wants any more are forgotten, and
    /// one that is known stays until the registry says otherwise. Tells whether it is news.
    fn note(&mut self, asked: &Ask, fetched: &Manifests) -> bool {
        let late = || Unresolved { reason: "Unreachable", why: LATE.to_owned(), passing: true };
        let mut all = Manifests::clone(&self.manifests);
        for tag in asked.tags.keys() {
            let found = fetched.get(tag).cloned().unwrap_or_else(|| Err(late()));
            let known = all.get(tag).is_some_and(Result::is_ok);
            if known && found.as_ref().is_err_and(|unresolved| unresolved.passing) {
                self.recheck = true;
                continue;
            }
            all.insert(tag.clone(), found);
        }
        let wanted = self.wanted();
        all.retain(|tag, _| wanted.contains(tag));
        let news = all != *self.manifests;
        if news {
            self.manifests = Arc::new(all);
        }
        news
    }
    /// When it is to be asked by the interval of those that follow it; at once where it was not
    /// asked yet.
    fn next(&self) -> Option<Instant> {
        let every = *self.every.values().min()?;
        let jitter = (every / JITTER_PART).mul_f64(fastrand::f64());
        self.asked.map(|asked| asked + every + jitter)
    }
}

/// The repository of a policy, its own name, and what it shows.
fn sight(policy: &ImagePolicy) -> Option<(Key, Key, String)> {
    let repository = behind(policy)?;
    let status = policy.status.as_ref()?;
    let latest = status.latest_ref.as_ref()?;
    let generation = policy.metadata.generation.unwrap_or(0);
    let digest = latest.digest.as_deref().unwrap_or_default();
    let asked = status.last_handled_reconcile_at.as_deref().unwrap_or_default();
    let shows = format!("{generation} {} {digest} {asked}", latest.tag);
    Some((repository, Key::of(&policy.metadata), shows))
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

#[cfg(test)]
mod tests;
