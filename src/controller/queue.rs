//! Queue: whose turn it is. A Rollout stands in it once, and never takes two turns at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::kind::Key;

/// The Rollouts that are due, now or later.
#[derive(Debug, Default)]
pub struct Queue {
    line: Mutex<Line>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Line {
    due: BTreeSet<(Instant, Key)>,
    at: BTreeMap<Key, Instant>,
    /// Those whose turn runs, and when they are due again.
    running: BTreeMap<Key, Option<Instant>>,
}

impl Queue {
    /// Makes a Rollout due at a time; an earlier one that it has stays.
    pub fn push(&self, key: Key, at: Instant) {
        self.lock().push(key, at);
        self.bell.notify_one();
    }

    /// Takes the first Rollout that is due.
    pub fn pop(&self, now: Instant) -> Option<Key> {
        self.lock().pop(now)
    }

    /// Ends a turn. `next`: when the Rollout is due again without an event.
    pub fn done(&self, key: &Key, next: Option<Instant>) {
        self.lock().done(key, next);
    }

    /// Tells when the next Rollout is due.
    pub fn next(&self) -> Option<Instant> {
        self.lock().due.first().map(|(at, _)| *at)
    }

    /// Tells how many Rollouts are due and wait for a place.
    pub fn waiting(&self, now: Instant) -> usize {
        self.lock().due.iter().take_while(|(at, _)| *at <= now).count()
    }

    /// Wakes whoever waits for the bell: something besides the queue is another than before.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until something was pushed since the last wait.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// A panic while the lock is held leaves a line that is still whole: go on with it.
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn push(&mut self, key: Key, at: Instant) {
        if let Some(again) = self.running.get_mut(&key) {
            *again = Some(again.map_or(at, |before| before.min(at)));
            return;
        }
        match self.at.get(&key) {
            Some(before) if *before <= at => return,
            Some(before) => drop(self.due.remove(&(*before, key.clone()))),
            None => {}
        }
        self.at.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    fn pop(&mut self, now: Instant) -> Option<Key> {
        if now < self.due.first()?.0 {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        self.at.remove(&key);
        self.running.insert(key.clone(), None);
        Some(key)
    }

    fn done(&mut self, key: &Key, next: Option<Instant>) {
        let again = self.running.remove(key).flatten();
        let at = match (again, next) {
            (Some(again), Some(next)) => Some(again.min(next)),
            (again, next) => again.or(next),
        };
        if let Some(at) = at {
            self.push(key.clone(), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new("prod", name)
    }

    #[tokio::test(start_paused = true)]
    async fn a_rollout_stands_in_line_once_and_takes_one_turn_at_a_time() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut line = Line::default();
        line.push(key("a"), at(9));
        line.push(key("a"), at(5));
        line.push(key("a"), at(7));
        line.push(key("b"), at(6));
        assert_eq!(line.pop(at(4)), None, "nobody is due");
        assert_eq!(line.pop(at(5)), Some(key("a")), "the earliest time counts, at its end");
        line.push(key("a"), at(5));
        assert_eq!(line.pop(at(5)), None, "not while its turn runs");
        assert_eq!(line.pop(at(9)), Some(key("b")));
        line.done(&key("a"), Some(at(60)));
        assert_eq!(line.pop(at(5)), Some(key("a")), "what came meanwhile is not lost");
        line.done(&key("a"), Some(at(60)));
        line.push(key("a"), at(10));
        assert_eq!(line.pop(at(10)), Some(key("a")), "an event beats a timer");
        line.done(&key("a"), None);
        line.done(&key("b"), None);
        assert_eq!(line.pop(at(9999)), None, "the timer is gone with the turn");
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_before_the_wait_is_not_lost() {
        let queue = Queue::default();
        queue.push(key("a"), Instant::now());
        queue.rung().await;
        assert_eq!(queue.waiting(Instant::now()), 1);
    }
}
