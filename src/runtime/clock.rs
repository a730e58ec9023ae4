//! Tells what time it is. The only place that reads a clock; everyone else takes `now` as an
//! argument or holds a [`Clock`].

use jiff::Timestamp;
use tokio::time::Instant;

/// Reads the wall clock for what is stored, and the monotonic clock for what must not jump.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// The wall time that belongs to a monotonic one; absent, the system's wall clock is read.
    origin: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// Creates the clock of a real process.
    pub fn system() -> Self {
        Self { origin: None }
    }

    /// Creates a clock whose wall time is `at` when it is made and then follows the monotonic
    /// clock. Under tokio's paused time it moves only when a test moves it.
    pub fn starting_at(at: Timestamp) -> Self {
        Self { origin: Some((at, instant())) }
    }

    /// Returns the wall time in whole milliseconds, so that a stored time compares equal to the
    /// one that was stored.
    pub fn now(&self) -> Timestamp {
        let wall = match self.origin {
            None => timestamp(),
            Some((at, since)) => {
                let passed = instant().saturating_duration_since(since);
                at.checked_add(passed).unwrap_or(Timestamp::MAX)
            }
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

    #[test]
    fn wall_time_has_whole_milliseconds() {
        assert_eq!(Clock::system().now().subsec_nanosecond() % 1_000_000, 0);
    }
}
