//! Queue: whose turn it is. A Rollout stands in it once, and never takes two turns at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::kind::Key;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Turns of those that press, one after the other, while others are due: what is only told waits
/// for what is to be done, but not for ever.
const PRESSING_MAX: u32 = 15;
/// Turns of others that run beside one that presses: each may be a request that the API server
/// answers before one for what is to be done.
const BESIDE_MAX: usize = 4;

/// The Rollouts that are due, now or later.
#[derive(Debug, Default)]
pub struct Queue {
    line: Mutex<Line>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Line {
    /// Those that are due, as of the last look.
    due: BTreeSet<(Instant, Key)>,
    /// Those of them that come first.
    first: BTreeSet<(Instant, Key)>,
    /// Those that come first once they are due.
    pressing: BTreeSet<Key>,
    /// Turns that were given to those that press since another one had one.
    given: u32,
    /// Those that are due later, so that counting who waits does not walk over the timers.
    later: BTreeSet<(Instant, Key)>,
    at: BTreeMap<Key, Instant>,
    /// Those whose turn runs.
    running: BTreeMap<Key, Running>,
    /// How many of them press.
    urgent: usize,
}

/// A turn that runs.
#[derive(Debug, Default)]
struct Running {
    /// When it is due again.
    again: Option<Instant>,
    pressed: bool,
}

impl Queue {
    /// Makes a Rollout due at a time; an earlier one that it has stays.
    pub fn push(&self, key: Key, at: Instant) {
        self.lock().push(key, at);
        self.bell.notify_one();
    }

    /// Makes a Rollout due whose turn comes before those of others: there is something to do.
    pub fn press(&self, key: Key, at: Instant) {
        let mut line = self.lock();
        line.press(&key);
        line.push(key, at);
        self.bell.notify_one();
    }

    /// Takes the first Rollout that is due.
    pub fn pop(&self, now: Instant) -> Option<Key> {
        self.lock().pop(now).map(|(key, _)| key)
    }

    /// Takes the first Rollout that is due, and tells whether it pressed.
    pub fn take(&self, now: Instant) -> Option<(Key, bool)> {
        self.lock().pop(now)
    }

    /// Ends a turn. `next`: when the Rollout is due again without an event.
    pub fn done(&self, key: &Key, next: Option<Instant>) {
        self.lock().done(key, next);
    }

    /// Ends a turn after which the next one presses.
    pub fn go_on(&self, key: &Key, next: Option<Instant>) {
        let mut line = self.lock();
        line.press(key);
        line.done(key, next);
    }

    /// Tells when the next Rollout is due.
    pub fn next(&self) -> Option<Instant> {
        let line = self.lock();
        let due = line.first.first().or_else(|| line.due.first().filter(|_| line.lets_others()));
        due.or_else(|| line.later.first()).map(|(at, _)| *at)
    }

    /// Tells how many Rollouts are due and wait for a place.
    pub fn waiting(&self, now: Instant) -> usize {
        let mut line = self.lock();
        line.ripen(now);
        line.due.len().saturating_add(line.first.len())
    }

    /// Empties the line: another process gives the turns.
    pub fn clear(&self) {
        let mut line = self.lock();
        line.due.clear();
        line.first.clear();
        line.pressing.clear();
        line.later.clear();
        line.at.clear();
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
        if let Some(Running { again, .. }) = self.running.get_mut(&key) {
            *again = Some(again.map_or(at, |before| before.min(at)));
            return;
        }
        match self.at.get(&key) {
            Some(before) if *before <= at => return,
            #[cfg(feature = "planted")]
            Some(_) if active(Bug::TimerBeatsEvent) => return,
            Some(before) => {
                let before = (*before, key.clone());
                self.due.remove(&before);
                self.first.remove(&before);
                self.later.remove(&before);
            }
            None => {}
        }
        self.at.insert(key.clone(), at);
        self.later.insert((at, key));
    }

    fn press(&mut self, key: &Key) {
        self.pressing.insert(key.clone());
        let due = self.at.get(key).map(|at| (*at, key.clone()));
        self.first.extend(due.and_then(|due| self.due.take(&due)));
    }

    /// Moves over what is due by now.
    fn ripen(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            let due = self.later.pop_first();
            let presses = due.as_ref().is_some_and(|(_, key)| self.pressing.contains(key));
            if presses { self.first.extend(due) } else { self.due.extend(due) }
        }
    }

    fn pop(&mut self, now: Instant) -> Option<(Key, bool)> {
        self.ripen(now);
        let others = !self.due.is_empty() && self.lets_others();
        let first =
            if others && PRESSING_MAX <= self.given { None } else { self.first.pop_first() };
        self.given = if first.is_some() { self.given.saturating_add(1) } else { 0 };
        let other = first.is_none() && others;
        let (_, key) = first.or_else(|| if other { self.due.pop_first() } else { None })?;
        self.at.remove(&key);
        let pressed = self.pressing.remove(&key);
        self.urgent += usize::from(pressed);
        self.running.insert(key.clone(), Running { again: None, pressed });
        Some((key, pressed))
    }

    /// Tells whether one that does not press may have a turn now.
    fn lets_others(&self) -> bool {
        let beside = self.running.len().saturating_sub(self.urgent);
        self.urgent == 0 || beside < BESIDE_MAX
    }

    fn done(&mut self, key: &Key, next: Option<Instant>) {
        let Running { again, pressed } = self.running.remove(key).unwrap_or_default();
        self.urgent -= usize::from(pressed);
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
        let pop = |line: &mut Line, second| line.pop(at(second)).map(|(key, _)| key);
        assert_eq!(pop(&mut line, 4), None, "nobody is due");
        assert_eq!(pop(&mut line, 5), Some(key("a")), "the earliest time counts, at its end");
        line.push(key("a"), at(5));
        assert_eq!(pop(&mut line, 5), None, "not while its turn runs");
        assert_eq!(pop(&mut line, 9), Some(key("b")));
        line.done(&key("a"), Some(at(60)));
        assert_eq!(pop(&mut line, 5), Some(key("a")), "what came meanwhile is not lost");
        line.done(&key("a"), Some(at(60)));
        line.push(key("a"), at(10));
        assert_eq!(pop(&mut line, 10), Some(key("a")), "an event beats a timer");
        line.done(&key("a"), None);
        line.done(&key("b"), None);
        assert_eq!(pop(&mut line, 9999), None, "the timer is gone with the turn");
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_press_come_first_but_not_for_ever() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let queue = Queue::default();
        let names: Vec<String> = (0..=PRESSING_MAX).map(|at| format!("p{at:02}")).collect();
        for name in ["a", "b"].into_iter().chain(names.iter().map(String::as_str)) {
            queue.push(key(name), now);
        }
        names.iter().for_each(|name| queue.press(key(name), now));
        let all = names.len() + 2;
        assert_eq!((queue.waiting(now), queue.next()), (all, Some(now)), "each stands there once");
        let took = |queue: &Queue, at| {
            let (key, pressed) = queue.take(at)?;
            Some(format!("{}{}", key.name, if pressed { "!" } else { "" }))
        };
        let all: Vec<_> = std::iter::from_fn(|| took(&queue, now)).collect();
        let mut want: Vec<_> = names.iter().map(|name| format!("{name}!")).collect();
        want.insert(names.len() - 1, "a".to_owned());
        want.push("b".to_owned());
        assert_eq!(all, want, "now and then it is another's turn");

        names.iter().for_each(|name| queue.done(&key(name), None));
        ["c", "d", "e"].into_iter().for_each(|name| queue.push(key(name), now));
        while took(&queue, now).is_some() {}
        queue.press(key("c"), now);
        ["a", "b"].into_iter().for_each(|name| queue.done(&key(name), Some(now)));
        queue.done(&key("c"), Some(later));
        queue.go_on(&key("d"), Some(later));
        queue.done(&key("e"), Some(later));
        assert_eq!(took(&queue, now).as_deref(), Some("c!"), "what came during its turn stays");
        queue.push(key("d"), now);
        queue.push(key("e"), now);
        let all: Vec<_> = std::iter::from_fn(|| took(&queue, now)).collect();
        assert_eq!(all, ["d!", "a", "b", "e"], "so does what its own turn left to do");
        queue.press(key("x"), later);
        queue.push(key("y"), later);
        queue.clear();
        assert_eq!((queue.waiting(later), queue.next()), (0, None));
        queue.push(key("x"), later);
        assert_eq!(took(&queue, later).as_deref(), Some("x"), "nothing is left of the time before");
    }

    #[tokio::test(start_paused = true)]
    async fn few_others_have_a_turn_beside_one_that_presses() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let queue = Queue::default();
        let others: Vec<Key> = (0..=BESIDE_MAX).map(|at| key(&format!("o{at}"))).collect();
        others.iter().for_each(|other| queue.push(other.clone(), now));
        queue.push(key("l"), later);
        queue.press(key("p"), now);
        let took = |most: usize| std::iter::from_fn(|| queue.pop(now)).take(most).count();
        assert_eq!(took(usize::MAX), 1 + BESIDE_MAX, "it and as many beside it");
        assert_eq!((queue.waiting(now), queue.next()), (1, Some(later)), "the last one waits");
        queue.done(&others[0], None);
        assert_eq!(queue.next(), Some(now), "there is a place");
        assert_eq!(took(1), 1);
        let more: Vec<Key> = (0..9).map(|at| key(&format!("q{at}"))).collect();
        more.iter().for_each(|other| queue.push(other.clone(), now));
        assert_eq!(took(1), 0);
        queue.done(&key("p"), None);
        assert_eq!(took(usize::MAX), 9, "nobody presses any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_before_the_wait_is_not_lost() {
        let queue = Queue::default();
        queue.push(key("a"), Instant::now());
        queue.rung().await;
        assert_eq!(queue.waiting(Instant::now()), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn only_those_that_are_due_wait_and_a_follower_keeps_none() {
        let queue = Queue::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        queue.push(key("a"), later);
        queue.push(key("b"), now);
        assert_eq!((queue.waiting(now), queue.next()), (1, Some(now)));
        assert_eq!(queue.waiting(later), 2, "over at its end");
        queue.push(key("a"), now);
        assert_eq!(queue.waiting(now), 2, "once, at the earlier time");
        queue.clear();
        assert_eq!((queue.waiting(later), queue.next()), (0, None));
        queue.push(key("a"), later);
        assert_eq!(queue.next(), Some(later), "nothing is left of the time before");
    }
}
