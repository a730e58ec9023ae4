//! Reading: what is known of the registries behind ImagePolicies, and what is to be asked anew. It
//! makes no call.
//!
//! A repository is listed once however many Rollouts follow it: when a policy shows something that
//! it did not show before, and again after a failure. The manifests behind its tags are looked at
//! then too, and those that were not looked at yet when a Rollout has a use for them.

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
use crate::validate::seen::{Manifest, Manifests, Reading, Unresolved};

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// What is said where there was no answer at all.
const LATE: &str = "the registry did not answer in time";
/// Manifests that are kept of a repository: those of dozens of Rollouts that follow it and run
/// other versions each; looking at all of them again takes a registry seconds.
const MANIFESTS_MAX: usize = 128;

/// What came of asking: nothing where there is nothing to ask, and whether to ask again.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// What is known from now on, where the tags were to be listed.
    pub reading: Option<Reading>,
    /// What is known of the manifests that were asked for.
    pub manifests: Manifests,
    /// Whether it is to be asked again without a change.
    pub again: bool,
}

/// What is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The ImageRepository.
    pub key: Key,
    /// Whether its tags are to be listed.
    pub list: bool,
    /// The tags whose manifests are to be read, with what is known of them.
    pub tags: BTreeMap<String, Option<Manifest>>,
}

/// Asks about the repository of an ImageRepository.
pub type Fetch = Arc<dyn Fn(Ask) -> BoxFuture<'static, Fetched> + Send + Sync>;

/// What is known of all repositories.
#[derive(Default)]
pub struct Readings {
    known: Mutex<BTreeMap<Key, Entry>>,
    bell: Notify,
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Entry {
    /// What each policy showed when it was last looked at.
    shown: BTreeMap<Key, String>,
    reading: Option<Reading>,
    /// The tags of which each Rollout needs the manifest.
    wanted: BTreeMap<Key, BTreeSet<String>>,
    manifests: Arc<Manifests>,
    /// What somebody asks now.
    asking: Option<Ask>,
    /// When it is to be asked.
    due: Option<Instant>,
    /// Whether the tags are to be listed then.
    list: bool,
    /// Whether the manifests that are known are to be looked at again then.
    recheck: bool,
    failures: u32,
}

impl Entry {
    /// The tags that are wanted; of too many the last in order, which are the newest mostly.
    fn wanted(&self) -> BTreeSet<&String> {
        let all: BTreeSet<&String> = self.wanted.values().flatten().collect();
        all.into_iter().rev().take(MANIFESTS_MAX).collect()
    }

    /// Tells whether a manifest is wanted that nobody asked for or asks for.
    fn unasked(&self) -> bool {
        let asking = |tag: &String| self.asking.iter().any(|ask| ask.tags.contains_key(tag));
        self.wanted().into_iter().any(|tag| !self.manifests.contains_key(tag) && !asking(tag))
    }

    /// Tells whether the manifest of a tag is known or nobody expects it to be.
    fn settled(&self, tag: &String) -> bool {
        self.manifests.get(tag).is_some_and(|known| known.as_ref().err().is_none_or(|e| !e.passing))
    }

    /// What is to be asked, now that it is due.
    fn ask(&mut self, key: &Key) -> Ask {
        let known = |tag: &String| self.manifests.get(tag)?.as_ref().ok().cloned();
        let wanted = self.wanted().into_iter().filter(|tag| self.recheck || !self.settled(tag));
        let tags = wanted.map(|tag| (tag.clone(), known(tag))).collect();
        let ask = Ask { key: key.clone(), list: self.list, tags };
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
}

impl Readings {
    /// Tells what is known of the repository of a policy, and has it asked anew where the policy
    /// shows something new.
    pub fn look(&self, policy: &ImagePolicy, now: Instant) -> Option<Reading> {
        let repository = repository(policy)?;
        let latest = policy.status.as_ref().and_then(|status| status.latest_ref.as_ref())?;
        let generation = policy.metadata.generation.unwrap_or(0);
        let digest = latest.digest.as_deref().unwrap_or_default();
        let asked = policy.status.as_ref().and_then(|s| s.last_handled_reconcile_at.as_deref());
        let asked = asked.unwrap_or_default();
        let shows = format!("{generation} {} {digest} {asked}", latest.tag);
        let own = Key::new(
            policy.metadata.namespace.clone().unwrap_or_default(),
            policy.metadata.name.clone().unwrap_or_default(),
        );
        let mut known = self.lock();
        let entry = known.entry(repository).or_default();
        if entry.shown.get(&own) != Some(&shows) {
            entry.shown.insert(own, shows);
            (entry.list, entry.recheck, entry.due) = (true, true, Some(now));
            self.bell.notify_one();
        }
        entry.reading.clone()
    }

    /// Tells what is known of the manifests behind tags, and has those read that a Rollout has a
    /// use for and that nobody asked for yet.
    pub fn want(
        &self,
        policy: &ImagePolicy,
        (rollout, tags): (&Key, BTreeSet<String>),
        now: Instant,
    ) -> Arc<Manifests> {
        let mut known = self.lock();
        let entry = repository(policy).and_then(|repository| known.get_mut(&repository));
        let Some(entry) = entry else { return Arc::default() };
        if entry.wanted.get(rollout) != Some(&tags) {
            entry.wanted.insert(rollout.clone(), tags);
        }
        if entry.unasked() && entry.due.is_none_or(|due| now < due) {
            entry.due = Some(now);
            self.bell.notify_one();
        }
        Arc::clone(&entry.manifests)
    }

    /// Forgets what a Rollout that is gone had a use for.
    pub fn forget(&self, rollout: &Key) {
        self.lock().values_mut().for_each(|entry| drop(entry.wanted.remove(rollout)));
    }

    /// Takes what is to be asked about a repository now.
    pub fn take(&self, now: Instant) -> Option<Ask> {
        let mut known = self.lock();
        let due = |entry: &Entry| entry.asking.is_none() && entry.due.is_some_and(|d| d <= now);
        let (key, entry) = known.iter_mut().find(|(_, entry)| due(entry))?;
        Some(entry.ask(key))
    }

    /// Tells when the next one is to be asked about.
    pub fn next(&self) -> Option<Instant> {
        let known = self.lock();
        known.values().filter(|entry| entry.asking.is_none()).filter_map(|entry| entry.due).min()
    }

    /// Notes what came of asking. Returns the policies to which it is news.
    pub fn finish(&self, key: &Key, fetched: Fetched, now: Instant) -> BTreeSet<Key> {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(key) else { return BTreeSet::new() };
        let Some(asked) = entry.asking.take() else { return BTreeSet::new() };
        entry.failures = if fetched.again { entry.failures.saturating_add(1) } else { 0 };
        if fetched.again {
            let pause = PAUSE_MIN.saturating_mul(1 << entry.failures.min(6).saturating_sub(1));
            let again = now + pause.min(PAUSE_MAX);
            entry.due = Some(entry.due.map_or(again, |due| due.min(again)));
            entry.list |= asked.list && !matches!(fetched.reading, Some(Reading::Tags { .. }));
        }
        let mut news = entry.note(&asked, &fetched.manifests);
        if entry.unasked() {
            entry.due = Some(now);
        }
        // What was read before is better than nothing, but not better than its failure told.
        if asked.list && entry.reading != fetched.reading {
            entry.reading = fetched.reading;
            news = true;
        }
        if news { entry.shown.keys().cloned().collect() } else { BTreeSet::new() }
    }

    /// Waits until something new is to be asked about.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        // A panic while the lock is held leaves entries that are whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ImageRepository of a policy, where it is in the policy's own namespace: of another one Flux
/// alone judges who may use it.
fn repository(policy: &ImagePolicy) -> Option<Key> {
    let own = policy.metadata.namespace.as_deref().unwrap_or_default();
    let reference = policy.spec.get("imageRepositoryRef")?;
    let text = |key: &str| reference.get(key).and_then(Value::as_str);
    let there = text("namespace").unwrap_or(own);
    (there == own).then(|| text("name")).flatten().map(|name| Key::new(own, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(name: &str, tag: &str) -> ImagePolicy {
        serde_json::from_value(json!({
            "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy",
            "metadata": {"name": name, "namespace": "flux", "generation": 1},
            "spec": {"imageRepositoryRef": {"name": "shop"}},
            "status": {"latestRef": {"name": "a/shop", "tag": tag}},
        }))
        .unwrap()
    }

    fn tags(tag: &str) -> Fetched {
        let tags = Arc::new(BTreeSet::from([tag.to_owned()]));
        let reading = Some(Reading::Tags { tags, truncated: false });
        Fetched { reading, ..Fetched::default() }
    }

    /// What is taken: the repository, whether it is listed, and the tags, with a star where their
    /// manifest is known.
    fn taken(readings: &Readings, now: Instant) -> Option<String> {
        let Ask { key, list, tags } = readings.take(now)?;
        let tag = |(tag, known): (String, Option<Manifest>)| {
            format!(" {tag}{}", if known.is_some() { "*" } else { "" })
        };
        let tags: String = tags.into_iter().map(tag).collect();
        Some(format!("{key}{}{tags}", if list { " list" } else { "" }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_repository_is_asked_about_once_for_each_thing_that_is_shown() {
        let readings = Readings::default();
        let key = Key::new("flux", "shop");
        let now = Instant::now();
        assert_eq!(readings.look(&policy("one", "1.0.0"), now), None);
        assert_eq!(readings.look(&policy("two", "1.0.0"), now), None);
        assert_eq!(taken(&readings, now).as_deref(), Some("flux/shop list"));
        assert_eq!(readings.take(now), None, "one listing for both");
        let woken = readings.finish(&key, tags("1.0.0"), now);
        assert_eq!(woken.len(), 2, "{woken:?}");
        assert!(readings.look(&policy("one", "1.0.0"), now).is_some());
        assert_eq!((readings.take(now), readings.next()), (None, None), "nothing is new");

        readings.look(&policy("one", "1.1.0"), now);
        assert_eq!(taken(&readings, now).as_deref(), Some("flux/shop list"));
        readings.look(&policy("one", "1.2.0"), now);
        assert_eq!(readings.take(now), None, "not twice at a time");
        assert!(readings.finish(&key, tags("1.0.0"), now).is_empty(), "no news");
        let again = taken(&readings, now);
        assert_eq!(again.as_deref(), Some("flux/shop list"), "but once more after it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_asked_about_again_ever_more_rarely() {
        let readings = Readings::default();
        let key = Key::new("flux", "shop");
        let mut now = Instant::now();
        readings.look(&policy("one", "1.0.0"), now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(taken(&readings, now).as_deref(), Some("flux/shop list"));
            readings.finish(&key, Fetched { again: true, ..Fetched::default() }, now);
            let next = readings.next().unwrap();
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600, 600]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_manifest_is_read_once_until_the_source_shows_something_new() {
        let (readings, now) = (Readings::default(), Instant::now());
        let key = Key::new("flux", "shop");
        let want = |rollout: &str, tags: &[&str]| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            readings.want(&policy("one", "1.1.0"), (&Key::new("prod", rollout), tags), now)
        };
        let known = |found: &[(&str, Option<bool>)]| {
            let one = |(tag, failed): &(&str, Option<bool>)| {
                let error = |passing| Unresolved { reason: "R", why: String::new(), passing };
                ((*tag).to_owned(), failed.map_or(Ok(Manifest::default()), |p| Err(error(p))))
            };
            Fetched { manifests: found.iter().map(one).collect(), ..tags("1.0.0") }
        };
        assert!(want("a", &["1.0.0"]).is_empty(), "nobody looked at the policy yet");
        readings.look(&policy("one", "1.1.0"), now);
        want("a", &["1.1.0", "1.0.0"]);
        want("b", &["1.1.0", "0.9.0"]);
        let all = "flux/shop list 0.9.0 1.0.0 1.1.0";
        assert_eq!(taken(&readings, now).as_deref(), Some(all), "one visit for both");
        let found = known(&[("1.1.0", None), ("1.0.0", Some(false)), ("0.9.0", Some(true))]);
        assert_eq!(readings.finish(&key, Fetched { again: true, ..found }, now).len(), 1);
        assert_eq!(want("a", &["1.1.0", "1.0.0"]).len(), 3);
        assert_eq!(taken(&readings, now), None, "what failed waits");
        let later = readings.next().unwrap();
        assert_eq!((later - now).as_secs(), 30);
        assert_eq!(taken(&readings, later).as_deref(), Some("flux/shop 0.9.0"), "that alone");
        readings.finish(&key, known(&[("0.9.0", None)]), now);
        assert_eq!((taken(&readings, later), readings.next()), (None, None), "at rest");

        want("a", &["1.1.0", "1.2.0"]);
        assert_eq!(taken(&readings, now).as_deref(), Some("flux/shop 1.2.0"), "what is new");
        readings.finish(&key, known(&[]), now);
        assert!(want("a", &["1.1.0"])["1.2.0"].is_err(), "an answer that lacks it is none");
        readings.forget(&Key::new("prod", "b"));
        readings.look(&policy("one", "1.3.0"), now);
        assert_eq!(taken(&readings, now).as_deref(), Some("flux/shop list 1.1.0*"), "looked at");
        let failed = Fetched { again: true, ..known(&[("1.1.0", Some(true))]) };
        readings.finish(&key, failed, now);
        let kept = want("a", &["1.1.0"]);
        assert!(kept.len() == 1 && kept["1.1.0"].is_ok(), "what is known stays: {kept:?}");
        assert_eq!(
            taken(&readings, later).as_deref(),
            Some("flux/shop 1.1.0*"),
            "until it answers"
        );
    }

    #[test]
    fn a_request_for_a_reconciliation_is_something_new() {
        let (readings, now) = (Readings::default(), Instant::now());
        let mut asked = policy("one", "1.0.0");
        readings.look(&asked, now);
        assert!(readings.take(now).is_some());
        readings.finish(&Key::new("flux", "shop"), tags("1.0.0"), now);
        asked.status.as_mut().unwrap().last_handled_reconcile_at = Some("today".to_owned());
        readings.look(&asked, now);
        assert!(readings.take(now).is_some());
    }

    #[test]
    fn a_repository_of_another_namespace_is_left_to_flux() {
        let mut other = policy("one", "1.0.0");
        other.spec = json!({"imageRepositoryRef": {"name": "shop", "namespace": "team"}});
        assert_eq!(repository(&other), None);
        other.spec = Value::Null;
        assert_eq!(repository(&other), None);
    }
}
