//! Tells whether the loop still gets work done, and whether its stores are ready.
//!
//! Only the loop knows what is due, so it reports; nothing here looks at the cluster. A follower
//! has nothing due: it must not report its queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::clock::Clock;
use crate::runtime::fence::CALL_TIMEOUT;

/// How long one reconcile may take: a read and a write, each cut at the deadline of a call.
pub const DUE_TIME: Duration = Duration::from_secs(2 * CALL_TIMEOUT.as_secs());
/// For how many due times nothing may be done before the loop counts as wedged: one for what is
/// running, one for what waits behind it, one because a restart costs more than patience.
const DUE_TIMES_MAX: u32 = 3;

/// What the loop has reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pulse {
    queued: bool,
    running: u32,
    /// Since when something was due without any reconcile having ended.
    due_since: Option<Instant>,
}

impl Pulse {
    fn settle(&mut self, now: Instant) {
        if !self.queued && self.running == 0 {
            self.due_since = None;
        } else {
            self.due_since.get_or_insert(now);
        }
    }

    fn queue(mut self, queued: bool, now: Instant) -> Self {
        self.queued = queued;
        self.settle(now);
        self
    }

    fn begin(mut self, now: Instant) -> Self {
        self.running = self.running.saturating_add(1);
        self.settle(now);
        self
    }

    fn end(mut self, now: Instant) -> Self {
        self.running = self.running.saturating_sub(1);
        self.due_since = None;
        self.settle(now);
        self
    }

    /// Returns for how long work has been due with nothing done.
    fn due_for(&self, now: Instant) -> Duration {
        self.due_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    fn is_wedged(&self, now: Instant) -> bool {
        DUE_TIME * DUE_TIMES_MAX <= self.due_for(now)
    }
}

#[derive(Debug, Default)]
struct State {
    pulse: Pulse,
    synced: bool,
}

/// What probes ask and the loop reports to; cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

/// One running reconcile; it ends when this is dropped, also by a panic or a cut.
#[derive(Debug)]
#[must_use = "the reconcile ends when this is dropped"]
pub struct Turn(Health);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.update(Pulse::end);
    }
}

impl Health {
    /// Creates the health of a process that has just begun: nothing due, stores not ready.
    pub fn new(clock: Clock) -> Self {
        Self { state: Arc::default(), clock }
    }

    /// Reports whether anything waits to be reconciled at this moment.
    pub fn beat(&self, queue_nonempty: bool) {
        self.update(|pulse, now| pulse.queue(queue_nonempty, now));
    }

    /// Reports that a reconcile begins.
    pub fn begin(&self) -> Turn {
        self.update(Pulse::begin);
        Turn(self.clone())
    }

    /// Reports whether all stores have been filled once.
    pub fn set_synced(&self, synced: bool) {
        self.lock().synced = synced;
    }

    /// Tells whether the stores are ready; a follower's are too.
    pub fn is_ready(&self) -> bool {
        self.lock().synced
    }

    /// Tells whether work has been due for three due times with no reconcile done: a restart is
    /// the only help.
    pub fn is_wedged(&self) -> bool {
        self.lock().pulse.is_wedged(self.clock.monotonic())
    }

    /// Returns for how long work has been due with no reconcile done.
    pub fn due_for(&self) -> Duration {
        self.lock().pulse.due_for(self.clock.monotonic())
    }

    fn update(&self, change: impl FnOnce(Pulse, Instant) -> Pulse) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.pulse = change(state.pulse, now);
    }

    /// A panic while the lock is held leaves a pulse that is still whole: go on with it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Report {
        Queue(bool),
        Begin,
        End,
    }
    use Report::{Begin, End, Queue};

    #[test]
    fn the_loop_is_wedged_when_work_is_due_and_none_gets_done() {
        let start = Clock::system().monotonic();
        let at = |second: u64| start + Duration::from_secs(second);
        for (case, reports, now, want) in [
            ("nothing due", &[][..], 9999, false),
            ("queue emptied", &[(0, Queue(true)), (1, Queue(false))], 9999, false),
            ("due, not for long", &[(0, Queue(true))], 59, false),
            ("due for three times, at its end", &[(0, Queue(true))], 60, true),
            ("beating does not help", &[(0, Queue(true)), (59, Queue(true))], 60, true),
            ("a reconcile hangs", &[(0, Begin)], 60, true),
            ("it began late", &[(0, Queue(true)), (30, Begin)], 60, true),
            ("one ended", &[(0, Queue(true)), (0, Begin), (50, End)], 109, false),
            ("one ended long ago", &[(0, Queue(true)), (0, Begin), (50, End)], 110, true),
            ("others end", &[(0, Begin), (0, Begin), (50, End)], 109, false),
            ("all ended", &[(0, Begin), (50, End)], 9999, false),
            ("an end too many", &[(0, End), (0, Queue(true))], 60, true),
        ] {
            let pulse =
                reports.iter().fold(Pulse::default(), |pulse, (second, report)| match report {
                    Queue(queued) => pulse.queue(*queued, at(*second)),
                    Begin => pulse.begin(at(*second)),
                    End => pulse.end(at(*second)),
                });
            assert_eq!(pulse.is_wedged(at(now)), want, "{case}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_when_it_is_dropped() {
        let health = Health::new(Clock::system());
        let turn = health.begin();
        tokio::time::advance(DUE_TIME * DUE_TIMES_MAX).await;
        assert!(health.is_wedged());
        assert_eq!(health.due_for(), Duration::from_secs(60));
        drop(turn);
        assert!(!health.is_wedged());
    }

    #[test]
    fn ready_is_what_the_stores_say() {
        let health = Health::new(Clock::system());
        assert!(!health.is_ready());
        health.clone().set_synced(true);
        assert!(health.is_ready());
    }
}
