//! Tells what time it is. The only place that reads a clock; everyone else takes `now` as an
//! argument or holds a [`Clock`].
//!
//! The wall clock is read once; from there on time goes as the monotonic clock does. So a clock
//! that is set or that drifts while a pause runs neither ends the pause nor makes it longer. A wall
//! clock that is wrong from the start shows when the API server says what time it has: then that
//! counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::warn;

/// How far this machine and the API server may be apart: more than clocks that are kept by NTP ever
/// are, and more than the whole seconds of a `Date` and the way of a reply make.
const APART_MAX: SignedDuration = SignedDuration::from_secs(2);

/// The same once they were found together: a clock that is almost too far from the server's would
/// else be found so by the next reply, and a pause that runs would be shorter or longer by that.
const LATER_APART_MAX: SignedDuration = SignedDuration::from_secs(5);

/// Tells wall time for what is stored, and monotonic time for what must not jump. Clones are the
/// same clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    wall: Wall,
    anchor: Arc<Mutex<Option<Anchor>>>,
}

/// A wall time and the monotonic time that belongs to it.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    at: Timestamp,
    since: Instant,
    /// Whether the API server's time was found near.
    agreed: bool,
}

impl Anchor {
    fn now(&self, monotonic: Instant) -> Timestamp {
        let passed = monotonic.saturating_duration_since(self.since);
        self.at.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// The wall clock of the machine.
#[derive(Clone, Debug, Default)]
enum Wall {
    /// The real one.
    #[default]
    System,
    /// One of the simulator.
    Steered(Arc<Mutex<Course>>),
}

impl Wall {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => timestamp(),
            Self::Steered(course) => lock(course).now(instant()),
        }
    }
}

/// How a steered wall time follows the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Course {
    anchor: Anchor,
    /// How much too fast it runs, in parts per thousand.
    permille: i32,
}

impl Course {
    fn now(&self, monotonic: Instant) -> Timestamp {
        let passed = monotonic.saturating_duration_since(self.anchor.since);
        let rate = u32::try_from(1000_i32.saturating_add(self.permille)).unwrap_or(0);
        let passed = passed.saturating_mul(rate) / 1000;
        self.anchor.at.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// Sets a clock of the simulator, as an operator or a bad time server would.
#[derive(Clone, Debug)]
pub struct Steer(Arc<Mutex<Course>>);

impl Steer {
    /// Sets the clock forwards or backwards.
    pub fn step(&self, by: SignedDuration) {
        self.change(|course| {
            course.anchor.at = course.anchor.at.checked_add(by).unwrap_or(course.anchor.at);
        });
    }

    /// Has the clock run too fast by parts per thousand; negative is too slow.
    pub fn drift(&self, permille: i32) {
        self.change(|course| course.permille = permille);
    }

    /// Makes the clock of a process that begins on this machine.
    pub fn clock(&self) -> Clock {
        Clock { wall: Wall::Steered(Arc::clone(&self.0)), anchor: Arc::default() }
    }

    fn change(&self, change: impl FnOnce(&mut Course)) {
        let mut course = lock(&self.0);
        let now = instant();
        course.anchor = Anchor { at: course.now(now), since: now, agreed: false };
        change(&mut course);
    }
}

impl Clock {
    /// Creates the clock of a real process.
    pub fn system() -> Self {
        Self::default()
    }

    /// Creates a clock whose wall time is `at` when it is made and then follows the monotonic
    /// clock. Under tokio's paused time it moves only when a test moves it.
    pub fn starting_at(at: Timestamp) -> Self {
        Self::steered(at).clock()
    }

    /// Creates the wall clock of a machine of the simulator.
    pub fn steered(at: Timestamp) -> Steer {
        let anchor = Anchor { at, since: instant(), agreed: false };
        Steer(Arc::new(Mutex::new(Course { anchor, permille: 0 })))
    }

    /// Returns the wall time in whole milliseconds, so that a stored time compares equal to the
    /// one that was stored.
    pub fn now(&self) -> Timestamp {
        let now = instant();
        let anchored = || Anchor { at: self.wall.now(), since: now, agreed: false };
        let wall = lock(&self.anchor).get_or_insert_with(anchored).now(now);
        Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall)
    }

    /// Returns the monotonic time: never set back, not moved by a change of the wall clock.
    ///
    /// It stands still while the whole machine is suspended, as `CLOCK_MONOTONIC` does.
    pub fn monotonic(&self) -> Instant {
        instant()
    }

    /// Returns what the machine's own clock shows, however wrong.
    #[cfg(feature = "planted")]
    pub fn machine(&self) -> Timestamp {
        self.wall.now()
    }

    /// Hears what time the API server has. `date`: whole seconds, as in its reply to a request that
    /// left at `sent`. If this clock is far from it, this machine's wall clock is read again; if
    /// that one is far too, the server's time counts.
    pub fn hear(&self, date: Timestamp, sent: Instant) {
        let now = instant();
        let way = now.saturating_duration_since(sent);
        let late = date.checked_add(way).unwrap_or(date);
        let latest = late.checked_add(SignedDuration::from_secs(1)).unwrap_or(late);
        let far = |at: Timestamp, most: SignedDuration| {
            at.duration_since(latest) > most || date.duration_since(at) > most
        };
        let told = self.now();
        if let Some(anchor) = &mut *lock(&self.anchor) {
            let most = if anchor.agreed { LATER_APART_MAX } else { APART_MAX };
            if !far(told, most) {
                anchor.agreed = true;
                return;
            }
        }
        let wall = self.wall.now();
        let at = if far(wall, APART_MAX) {
            let apart = wall.duration_since(date).as_secs();
            warn!(apart, "this machine's clock is wrong by seconds; the API server's counts");
            date
        } else {
            wall
        };
        *lock(&self.anchor) = Some(Anchor { at, since: now, agreed: true });
    }
}

/// A panic while the lock is held leaves a clock that is still whole: go on with it.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::disallowed_methods)] // This file is the place that may.
fn instant() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods)] // This file is the place that may.
fn timestamp() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    async fn pass(secs: u64) {
        tokio::time::advance(Duration::from_secs(secs)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn wall_time_follows_monotonic_time_from_its_start() {
        let start = Timestamp::new(1_700_000_000, 1_234_567).unwrap();
        let clock = Clock::starting_at(start);
        assert_eq!(clock.now().as_millisecond(), 1_700_000_000_001);
        tokio::time::advance(Duration::from_millis(2500)).await;
        assert_eq!(clock.now().as_millisecond(), 1_700_000_002_501);
    }

    #[test]
    fn wall_time_has_whole_milliseconds() {
        assert_eq!(Clock::system().now().subsec_nanosecond() % 1_000_000, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_whose_clock_is_set_or_drifts_moves_no_time_of_a_process() {
        let steer = Clock::steered(Timestamp::UNIX_EPOCH);
        let clock = steer.clock();
        assert_eq!(clock.now().as_second(), 0);
        steer.step(HOUR);
        steer.drift(-500);
        pass(60).await;
        assert_eq!(clock.now().as_second(), 60);
        assert_eq!(steer.clock().now().as_second(), 3630, "the next process reads what is set");
        steer.step(-HOUR - HOUR);
        assert_eq!(clock.now().as_second(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_believed_where_both_clocks_are_far_from_it() {
        let day = Timestamp::from_second(86_400).unwrap();
        let hear = |clock: &Clock, date: i64| {
            clock.hear(Timestamp::from_second(date).unwrap(), clock.monotonic());
            clock.now().as_second()
        };
        for (case, date, want) in [
            ("the same", 86_400, 86_400),
            ("within what clocks differ", 86_398, 86_400),
            ("within it, the other way", 86_402, 86_400),
            ("an hour fast", 82_800, 82_800),
            ("an hour slow", 90_000, 90_000),
        ] {
            assert_eq!(hear(&Clock::starting_at(day), date), want, "{case}");
        }
        let clock = Clock::starting_at(day);
        for (date, want) in [(86_402, 86_400), (86_404, 86_400), (86_396, 86_400), (86_406, 86_406)]
        {
            assert_eq!(hear(&clock, date), want, "{date}, by one that agreed before");
        }
        let steer = Clock::steered(day);
        let clock = steer.clock();
        assert_eq!(clock.now(), day);
        steer.step(HOUR);
        assert_eq!(hear(&clock, 90_000), 90_000, "both clocks were set");
        let sent = clock.monotonic();
        pass(8).await;
        clock.hear(Timestamp::from_second(90_000).unwrap(), sent);
        assert_eq!(clock.now().as_second(), 90_008, "the reply was slow, not the clock");
    }
}
