//! Tells what time it is. The only place that reads a clock; everyone else takes `now` as an
//! argument or holds a [`Clock`].

use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Reads the wall clock for what is stored, and the monotonic clock for what must not jump.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// How the wall time follows the monotonic one; absent, the system's wall clock is read.
    course: Option<Arc<Mutex<Course>>>,
}

/// How a wall time follows the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Course {
    /// The wall time at `since`.
    at: Timestamp,
    since: Instant,
    /// How much too fast it runs, in parts per thousand.
    permille: i32,
}

impl Course {
    fn now(&self, monotonic: Instant) -> Timestamp {
        let passed = monotonic.saturating_duration_since(self.since);
        let rate = u32::try_from(1000_i32.saturating_add(self.permille)).unwrap_or(0);
        let passed = passed.saturating_mul(rate) / 1000;
        self.at.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// Sets a clock of the simulator, as an operator or a bad time server would.
#[derive(Clone, Debug)]
pub struct Steer(Arc<Mutex<Course>>);

impl Steer {
    /// Sets the clock forwards or backwards.
    pub fn step(&self, by: jiff::SignedDuration) {
        self.change(|course| course.at = course.at.checked_add(by).unwrap_or(course.at));
    }

    /// Has the clock run too fast by parts per thousand; negative is too slow.
    pub fn drift(&self, permille: i32) {
        self.change(|course| course.permille = permille);
    }

    fn change(&self, change: impl FnOnce(&mut Course)) {
        let mut course = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = instant();
        *course = Course { at: course.now(now), since: now, permille: course.permille };
        change(&mut course);
    }
}

impl Clock {
    /// Creates the clock of a real process.
    pub fn system() -> Self {
        Self { course: None }
    }

    /// Creates a clock whose wall time is `at` when it is made and then follows the monotonic
    /// clock. Under tokio's paused time it moves only when a test moves it.
    pub fn starting_at(at: Timestamp) -> Self {
        Self::steered(at).0
    }

    /// Creates such a clock together with what sets it.
    pub fn steered(at: Timestamp) -> (Self, Steer) {
        let course = Arc::new(Mutex::new(Course { at, since: instant(), permille: 0 }));
        (Self { course: Some(Arc::clone(&course)) }, Steer(course))
    }

    /// Returns the wall time in whole milliseconds, so that a stored time compares equal to the
    /// one that was stored.
    pub fn now(&self) -> Timestamp {
        let wall = match &self.course {
            None => timestamp(),
            Some(course) => course.lock().unwrap_or_else(PoisonError::into_inner).now(instant()),
        };
        Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall)
    }

    /// Returns the monotonic time: never set back, not moved by a change of the wall clock.
    ///
    /// It stands still while the whole machine is suspended, as `CLOCK_MONOTONIC` does.
    pub fn monotonic(&self) -> Instant {
        instant()
    }
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

    #[tokio::test(start_paused = true)]
    async fn wall_time_follows_monotonic_time_from_its_start() {
        let start = Timestamp::new(1_700_000_000, 1_234_567).unwrap();
        let clock = Clock::starting_at(start);
        assert_eq!(clock.now().as_millisecond(), 1_700_000_000_001);
        tokio::time::advance(Duration::from_millis(2500)).await;
        assert_eq!(clock.now().as_millisecond(), 1_700_000_002_501);
    }

    #[tokio::test(start_paused = true)]
    async fn a_steered_clock_jumps_and_drifts_and_the_monotonic_one_does_not() {
        let (clock, steer) = Clock::steered(Timestamp::UNIX_EPOCH);
        let start = clock.monotonic();
        steer.step(jiff::SignedDuration::from_hours(1));
        assert_eq!(clock.now().as_second(), 3600);
        steer.drift(-500);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.now().as_second(), 3630);
        steer.drift(0);
        steer.step(jiff::SignedDuration::from_secs(-3600));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.now().as_second(), 90);
        assert_eq!(clock.monotonic() - start, Duration::from_secs(120));
    }

    #[test]
    fn wall_time_has_whole_milliseconds() {
        assert_eq!(Clock::system().now().subsec_nanosecond() % 1_000_000, 0);
    }
}
