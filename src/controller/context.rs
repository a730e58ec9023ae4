//! Context: what every turn works with, shared by all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::time::Instant;
use tracing::debug;

use crate::api::kind::{Key, Kind, Reference};
use crate::controller::error::{Error, Failures};
use crate::controller::line::{Checks, Schedules};
use crate::controller::memory::Memory;
use crate::controller::queue::Queue;
use crate::controller::triggers::{presses, touched};
use crate::model::moment::Timestamp;
use crate::observe::barrier::{Barrier, Gate, View};
use crate::observe::reading::{Fetch, Readings};
use crate::observe::store::Change;
use crate::observe::stores::Stores;
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::runtime::leader::Leadership;
use crate::runtime::metrics::Metrics;
use crate::runtime::pace::Pace;

/// How long an event of pods waits for others of its kind: one change of a ReplicaSet comes as
/// three or four, and each may cost a write of status.
const SETTLE: Duration = Duration::from_millis(20);

/// What every turn works with.
pub struct Context {
    /// The client; it refuses writes of a process that does not lead.
    pub client: Client,
    /// The clock.
    pub clock: Clock,
    /// What the watches told.
    pub stores: Arc<Stores>,
    /// Whose turn it is.
    pub queue: Queue,
    /// The loop of schedules.
    pub schedules: Schedules,
    /// The loop of HealthChecks.
    pub checks: Checks,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// The counters.
    pub metrics: Metrics,
    /// What the probes ask.
    pub health: Health,
    /// The name of this process, for Events.
    pub identity: String,
    /// What is known of registries.
    pub readings: Readings,
    /// Whether registries are asked.
    pub reads: bool,
    /// What the thread that runs the turns rests by.
    pub pace: Pace,
    memories: Mutex<BTreeMap<Key, Memory>>,
}

/// What a context is made of, besides its own parts.
pub struct Parts {
    /// The client; it has to refuse writes of a process that does not lead.
    pub client: Client,
    /// The clock.
    pub clock: Clock,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// The counters.
    pub metrics: Metrics,
    /// What the probes ask.
    pub health: Health,
    /// The name of this process.
    pub identity: String,
    /// What the thread that runs the turns rests by.
    pub pace: Pace,
    /// Asks registries; none: only what sources show is known.
    pub fetch: Option<Fetch>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Context {
    /// Puts a context together.
    pub fn new(parts: Parts, stores: Arc<Stores>) -> Self {
        let Parts { client, clock, leadership, metrics, health, identity, pace, fetch } = parts;
        Self {
            client,
            clock,
            stores,
            queue: Queue::default(),
            schedules: Schedules::default(),
            checks: Checks::default(),
            leadership,
            metrics,
            health,
            identity,
            readings: Readings::default(),
            reads: fetch.is_some(),
            pace,
            memories: Mutex::default(),
        }
    }

    /// Looks into what is remembered of a Rollout, and changes it.
    pub fn remember<T>(&self, key: &Key, look: impl FnOnce(&mut Memory) -> T) -> T {
        // A panic while the lock is held leaves memories that are still whole: go on with them.
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        match memories.get_mut(key) {
            Some(memory) => look(memory),
            None => look(memories.entry(key.clone()).or_default()),
        }
    }

    /// Notes that a turn did what it was to do.
    pub fn remember_success(&self, key: &Key) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = memories.get_mut(key) {
            memory.failures = Failures::default();
        }
    }

    /// Forgets a Rollout that is gone.
    pub fn forget(&self, key: &Key) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.leave(key);
    }

    /// Lets go what is kept for a Rollout that is gone, but for what is remembered of it.
    pub fn leave(&self, key: &Key) {
        self.readings.leave(key);
        self.metrics.forget(&key.namespace, &key.name);
    }

    /// Forgets all Rollouts but what it wrote itself: another process acts on them.
    pub fn forget_all(&self) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.values_mut().for_each(Memory::step_down);
        drop(memories);
        self.readings.rest();
        self.metrics.forget_all();
    }

    /// Hears that an object is another than before: who it is about is due.
    pub fn hear(&self, change: &Change) {
        let now = self.clock.monotonic();
        self.schedules.hear(&self.stores, change, now);
        self.checks.hear(&self.stores, change, now);
        let pods = matches!(change.reference.kind, Kind::ReplicaSet | Kind::EndpointSlice);
        let at = if pods { now + SETTLE } else { now };
        let presses = presses(&self.stores, change);
        for key in touched(&self.stores, change) {
            if presses { self.queue.press(key, at) } else { self.queue.push(key, at) }
        }
    }

    /// Asks for an object that is not seen, though it was written or named. The watch will tell
    /// nothing of what the store has already.
    ///
    /// # Errors
    /// [`Error::Read`] if there is no answer.
    pub async fn ask(&self, target: &Reference) -> Result<(), Error> {
        debug!(object = %target, "not seen: asking");
        let asked = Box::pin(self.stores.refresh(&self.client, target)).await;
        let change = asked.map_err(|source| {
            let target = target.clone();
            Error::Read { target, source: Box::new(source) }
        })?;
        change.iter().for_each(|change| self.hear(change));
        Ok(())
    }

    /// Waits for the stores to show own writes, and asks for what stays unseen; tells when to look
    /// again, if not all is seen. `barrier` gives access to what has to be.
    ///
    /// # Errors
    /// [`Error::Read`] if there is no answer.
    pub async fn catch_up(
        &self,
        barrier: impl Fn(&mut dyn FnMut(&mut Barrier)),
    ) -> Result<Option<Instant>, Error> {
        loop {
            let (now, mut gate) = (self.clock.monotonic(), Gate::Open);
            let view = |reference: &Reference| View::of(&self.stores, reference);
            barrier(&mut |barrier| gate = barrier.look(view, now));
            match gate {
                Gate::Open => return Ok(None),
                Gate::Shut { until } => return Ok(Some(until)),
                Gate::Ask(target) => {
                    self.ask(&target).await?;
                    barrier(&mut |barrier| barrier.settle(&target));
                }
            }
        }
    }

    /// Tells the wall time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().as_millisecond())
    }

    /// Tells when a point in wall time comes, by the clock that does not jump.
    pub fn instant(&self, at: Timestamp, now: Timestamp) -> Instant {
        self.clock.monotonic() + Duration::from_millis(at.since(now).millis())
    }
}
