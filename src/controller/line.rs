//! Line: the schedules and HealthChecks that are due, and what is kept of each between turns.
//! Losing it costs calls, never correctness.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::api::kind::{Key, Kind, Reference};
use crate::controller::error::{Failures, Retry};
use crate::controller::queue::Queue;
use crate::model::selector::Labels;
use crate::observe::barrier::Barrier;
use crate::observe::schedules;
use crate::observe::store::{Change, key};
use crate::observe::stores::Stores;
use crate::validate::check::is_ours;

/// Objects of one kind that are given turns, one at a time.
#[derive(Debug, Default)]
pub struct Line {
    /// Whose turn it is.
    pub queue: Queue,
    memories: Mutex<BTreeMap<Key, Memory>>,
}

/// What the loop of schedules works with; a schedule without a namespace is a
/// ClusterRolloutSchedule.
#[derive(Debug, Default)]
pub struct Schedules {
    /// Which are due.
    pub line: Line,
    /// The labels that Rollouts had: most of their changes are of no interest to a schedule.
    labels: Mutex<BTreeMap<Key, Labels>>,
}

/// What the loop of HealthChecks works with.
#[derive(Debug, Default)]
pub struct Checks {
    /// Which are due.
    pub line: Line,
}

/// What is kept of one object between turns.
#[derive(Debug, Default)]
pub struct Memory {
    /// Which object of the name this is about.
    pub uid: String,
    /// What has to be seen before the next turn.
    pub barrier: Barrier,
    /// Errors since the last success.
    pub failures: Failures,
    /// Whether all that it is about was looked at, and said, since this process leads.
    pub looked: bool,
    /// The objects of writes that are under way.
    pub flight: Vec<Reference>,
    /// What the API server said where it would not take a write to a gate, by namespace and name.
    pub refused: BTreeMap<(String, String), String>,
    /// When these are tried again.
    pub again: Option<Instant>,
}

impl Memory {
    /// Counts a success: only what is still refused is not forgotten.
    pub fn succeed(&mut self) {
        if self.refused.is_empty() {
            self.failures = Failures::default();
        }
    }

    /// Keeps what the API server said. All that it refuses is tried again at one time, since
    /// nothing that is seen ends a refusal.
    pub fn refuse(&mut self, gate: (String, String), why: String, now: Instant, key: &Key) {
        self.refused.insert(gate, why);
        let failures = &mut self.failures;
        self.again.get_or_insert_with(|| now + failures.pause(Retry::Backoff, key));
    }

    /// Tells what was refused, unless it is time to try again.
    pub fn refused(&mut self, now: Instant) -> BTreeMap<(String, String), String> {
        if self.again.is_some_and(|again| again <= now) {
            self.refused.clear();
            self.again = None;
        }
        self.refused.clone()
    }
}

impl Line {
    /// Looks into what is remembered of an object, and changes it.
    pub fn remember<T>(&self, key: &Key, look: impl FnOnce(&mut Memory) -> T) -> T {
        // A panic while the lock is held leaves memories that are still whole: go on with them.
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        look(memories.entry(key.clone()).or_default())
    }

    /// Tells whether anything is remembered of an object.
    fn knows(&self, key: &Key) -> bool {
        self.known(key, |_| true)
    }

    /// Tells whether something is remembered of an object.
    fn known(&self, key: &Key, what: impl FnOnce(&Memory) -> bool) -> bool {
        let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.get(key).is_some_and(what)
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, key: &Key) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Begins anew: another process acted meanwhile. What this one wrote itself stays newer than
    /// what its stores may still show.
    pub fn step(&self) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        for memory in memories.values_mut() {
            (memory.failures, memory.looked) = (Failures::default(), false);
        }
    }
}

impl Schedules {
    /// Tells whether a Rollout came, went, or has other labels than before.
    fn relabelled(&self, stores: &Stores, key: &Key) -> bool {
        let mut known = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rollout) = stores.rollouts.get(key) else {
            known.remove(key);
            return true;
        };
        let labels = rollout.metadata.labels.clone().unwrap_or_default();
        let going = rollout.metadata.deletion_timestamp.is_some();
        known.insert(key.clone(), labels.clone()).as_ref() != Some(&labels) || going
    }

    /// Wakes the schedules that a change is about.
    pub fn hear(&self, stores: &Stores, change: &Change, now: Instant) {
        let Reference { kind, key } = &change.reference;
        let keys: BTreeSet<Key> = match kind {
            Kind::RolloutSchedule | Kind::ClusterRolloutSchedule => [key.clone()].into(),
            Kind::RolloutGate => schedules::makers(change),
            Kind::Namespace => schedules::keys(stores, None),
            Kind::Rollout if !schedules::any(stores) => return,
            Kind::Rollout if self.relabelled(stores, key) => {
                schedules::keys(stores, Some(&key.namespace))
            }
            Kind::Rollout
            | Kind::ReplicaSet
            | Kind::Pod
            | Kind::Service
            | Kind::EndpointSlice
            | Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::ImagePolicy
            | Kind::OciRepository
            | Kind::Kustomization
            | Kind::KuberikRollout
            | Kind::HealthCheck
            | Kind::Applied
            | Kind::Event => return,
        };
        keys.into_iter().for_each(|key| self.line.queue.push(key, now));
    }

    /// Wakes all schedules.
    pub fn wake(&self, stores: &Stores, now: Instant) {
        let mut keys = schedules::keys(stores, None);
        keys.extend(stores.schedules.keys());
        keys.into_iter().for_each(|key| self.line.queue.push(key, now));
        self.line.queue.ring();
    }
}

impl Checks {
    /// Wakes the HealthChecks that a change is about.
    pub fn hear(&self, stores: &Stores, change: &Change, now: Instant) {
        let named = |kind| change.refs.iter().filter(move |reference| reference.kind == kind);
        let own = [change.reference.clone()];
        let about: Vec<Key> = match change.reference.kind {
            Kind::HealthCheck => vec![change.reference.key.clone()],
            Kind::Kustomization => own.iter().flat_map(|one| stores.checks.keys_by(one)).collect(),
            Kind::Applied => {
                named(Kind::Kustomization).flat_map(|one| stores.checks.keys_by(one)).collect()
            }
            Kind::Rollout => {
                let places = named(Kind::HealthCheck).map(|any| any.key.namespace.as_str());
                let gone = stores.rollouts.get(&change.reference.key).is_none();
                let all = places.flat_map(|place| checks_in(stores, place));
                all.filter(|key| gone || !self.line.knows(key)).collect()
            }
            Kind::Namespace => checks_in(stores, &change.reference.key.name),
            Kind::RolloutGate
            | Kind::RolloutSchedule
            | Kind::ClusterRolloutSchedule
            | Kind::ReplicaSet
            | Kind::Pod
            | Kind::Service
            | Kind::EndpointSlice
            | Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::ImagePolicy
            | Kind::OciRepository
            | Kind::KuberikRollout
            | Kind::Event => return,
        };
        about.into_iter().for_each(|key| self.line.queue.push(key, now));
    }

    /// Tells whether what a HealthCheck says was found since this process leads.
    pub fn looked(&self, key: &Key) -> bool {
        self.line.known(key, |memory| memory.looked)
    }

    /// Wakes all HealthChecks.
    pub fn wake(&self, stores: &Stores, now: Instant) {
        stores.checks.keys().into_iter().for_each(|key| self.line.queue.push(key, now));
        self.line.queue.ring();
    }
}

/// The HealthChecks of a namespace that a Rollout may select, or of all.
fn checks_in(stores: &Stores, namespace: &str) -> Vec<Key> {
    let all =
        if namespace.is_empty() { stores.checks.all() } else { stores.checks.within(namespace) };
    all.iter().filter(|check| is_ours(check)).map(|check| key(check.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::api::check::HealthCheck;
    use crate::observe::inspect::selected;
    use crate::observe::stores::Reach;

    fn object(kind: &str, (namespace, name): (&str, &str), spec: Value) -> Value {
        json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": kind, "spec": spec,
            "metadata": {"namespace": namespace, "name": name, "uid": name,
                "resourceVersion": "1", "labels": {"app": name}}})
    }

    /// A Rollout that selects the checks of `shop`, and checks of two namespaces.
    fn stores(namespaces: Option<Value>) -> (Stores, Change) {
        let stores = Stores::new(Reach::default());
        let chosen = json!({"selector": {"matchLabels": {"app": "shop"}},
            "namespaceSelector": namespaces});
        let rollout = object("Rollout", ("prod", "shop"), json!({"healthCheckSelector": chosen}));
        let rollout = serde_json::from_value(rollout).unwrap();
        let change = stores.rollouts.apply(&None, rollout).unwrap();
        for place in [("prod", "shop"), ("prod", "other"), ("test", "shop")] {
            let check = object("HealthCheck", place, json!({"class": "kustomization"}));
            stores.checks.apply(&None, serde_json::from_value(check).unwrap());
        }
        let outside = object("HealthCheck", ("prod", "outside"), json!({"class": "outside"}));
        stores.checks.apply(&None, serde_json::from_value(outside).unwrap());
        let test = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "test", "resourceVersion": "1", "labels": {"stage": "test"}}});
        stores.namespaces.apply(&None, serde_json::from_value(test).unwrap());
        (stores, change)
    }

    fn names<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Vec<String> {
        keys.into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_check_is_looked_at_where_a_rollout_selects_it() {
        for (case, namespaces, want) in [
            ("of its own namespace", None, &["prod/shop"][..]),
            ("of others", Some(json!({"matchLabels": {"stage": "test"}})), &["test/shop"]),
            ("of none", Some(json!({"matchLabels": {"stage": "prod"}})), &[]),
        ] {
            let (stores, _) = stores(namespaces);
            let mut all = stores.checks.all();
            all.retain(|check: &Arc<HealthCheck>| is_ours(check) && selected(&stores, check));
            let keys: Vec<Key> = all.iter().map(|check| key(check.as_ref())).collect();
            assert_eq!(names(&keys), want, "{case}");
        }
    }

    #[test]
    fn a_rollout_wakes_the_checks_that_it_may_select_from_now_on() {
        let (stores, change) = stores(None);
        let (checks, now) = (Checks::default(), Instant::now());
        let woken = || {
            checks.hear(&stores, &change, now);
            let keys: Vec<Key> = std::iter::from_fn(|| checks.line.queue.pop(now)).collect();
            keys.iter().for_each(|key| checks.line.queue.done(key, None));
            names(&keys)
        };
        assert_eq!(woken(), ["prod/other", "prod/shop"]);
        checks.line.remember(&Key::new("prod", "shop"), |_| ());
        assert_eq!(woken(), ["prod/other"], "it is looked at already");
        stores.rollouts.delete(&None, &Key::new("prod", "shop"), Some("2"));
        assert_eq!(woken(), ["prod/other", "prod/shop"], "nobody selects it any more");
    }
}
