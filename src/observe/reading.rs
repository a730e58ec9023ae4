//! Reading: what is known of the registries behind ImagePolicies, and what is to be asked anew. It
//! makes no call.
//!
//! A repository is listed once however many Rollouts follow it: when a policy shows something that
//! it did not show before, and again after a failure.

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
use crate::validate::seen::Reading;

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// What came of asking: nothing where there is nothing to ask, and whether to ask again.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// What is known from now on.
    pub reading: Option<Reading>,
    /// Whether it is to be asked again without a change.
    pub again: bool,
}

/// Asks about the repository of an ImageRepository.
pub type Fetch = Arc<dyn Fn(Key) -> BoxFuture<'static, Fetched> + Send + Sync>;

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
    /// Whether somebody asks now.
    busy: bool,
    /// When it is to be asked.
    due: Option<Instant>,
    failures: u32,
}

impl Readings {
    /// Tells what is known of the repository of a policy, and has it asked anew where the policy
    /// shows something new.
    pub fn look(&self, policy: &ImagePolicy, now: Instant) -> Option<Reading> {
        let repository = repository(policy)?;
        let latest = policy.status.as_ref().and_then(|status| status.latest_ref.as_ref())?;
        let generation = policy.metadata.generation.unwrap_or(0);
        let digest = latest.digest.as_deref().unwrap_or_default();
        let shows = format!("{generation} {} {digest}", latest.tag);
        let own = Key::new(
            policy.metadata.namespace.clone().unwrap_or_default(),
            policy.metadata.name.clone().unwrap_or_default(),
        );
        let mut known = self.lock();
        let entry = known.entry(repository).or_default();
        if entry.shown.get(&own) != Some(&shows) {
            entry.shown.insert(own, shows);
            entry.due = Some(now);
            self.bell.notify_one();
        }
        entry.reading.clone()
    }

    /// Takes a repository that is to be asked about now.
    pub fn take(&self, now: Instant) -> Option<Key> {
        let mut known = self.lock();
        let due = |entry: &Entry| !entry.busy && entry.due.is_some_and(|due| due <= now);
        let (key, entry) = known.iter_mut().find(|(_, entry)| due(entry))?;
        (entry.busy, entry.due) = (true, None);
        Some(key.clone())
    }

    /// Tells when the next one is to be asked about.
    pub fn next(&self) -> Option<Instant> {
        self.lock().values().filter(|entry| !entry.busy).filter_map(|entry| entry.due).min()
    }

    /// Notes what came of asking. Returns the policies to which it is news.
    pub fn finish(&self, key: &Key, fetched: Fetched, now: Instant) -> BTreeSet<Key> {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(key) else { return BTreeSet::new() };
        entry.busy = false;
        entry.failures = if fetched.again { entry.failures.saturating_add(1) } else { 0 };
        if fetched.again {
            let pause = PAUSE_MIN.saturating_mul(1 << entry.failures.min(6).saturating_sub(1));
            let again = now + pause.min(PAUSE_MAX);
            entry.due = Some(entry.due.map_or(again, |due| due.min(again)));
        }
        // What was read before is better than nothing, but not better than its failure told.
        if entry.reading == fetched.reading {
            return BTreeSet::new();
        }
        entry.reading = fetched.reading;
        entry.shown.keys().cloned().collect()
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
        Fetched { reading: Some(Reading::Tags { tags, truncated: false }), again: false }
    }

    #[tokio::test(start_paused = true)]
    async fn a_repository_is_asked_about_once_for_each_thing_that_is_shown() {
        let readings = Readings::default();
        let key = Key::new("flux", "shop");
        let now = Instant::now();
        assert_eq!(readings.look(&policy("one", "1.0.0"), now), None);
        assert_eq!(readings.look(&policy("two", "1.0.0"), now), None);
        assert_eq!(readings.take(now), Some(key.clone()));
        assert_eq!(readings.take(now), None, "one listing for both");
        let woken = readings.finish(&key, tags("1.0.0"), now);
        assert_eq!(woken.len(), 2, "{woken:?}");
        assert!(readings.look(&policy("one", "1.0.0"), now).is_some());
        assert_eq!((readings.take(now), readings.next()), (None, None), "nothing is new");

        readings.look(&policy("one", "1.1.0"), now);
        assert_eq!(readings.take(now), Some(key.clone()));
        readings.look(&policy("one", "1.2.0"), now);
        assert_eq!(readings.take(now), None, "not twice at a time");
        assert!(readings.finish(&key, tags("1.0.0"), now).is_empty(), "no news");
        assert_eq!(readings.take(now), Some(key.clone()), "but once more after it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_asked_about_again_ever_more_rarely() {
        let readings = Readings::default();
        let key = Key::new("flux", "shop");
        let mut now = Instant::now();
        readings.look(&policy("one", "1.0.0"), now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(readings.take(now), Some(key.clone()));
            readings.finish(&key, Fetched { reading: None, again: true }, now);
            let next = readings.next().unwrap();
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600, 600]);
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
