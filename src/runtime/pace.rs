//! Pace: while many turns run, the thread that runs them naps before it waits.
//!
//! A turn goes through half a megabyte of code. What it waits for comes in one by one, and between
//! two of them others use the processor: each would find its caches filled with what is not its
//! own. After a nap several have come in, and go through the same code one after the other
//! (docs/decisions/0012-naps-of-a-busy-thread.md).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Turns that run at a time before naps are taken: with fewer, nobody waits for a nap to end.
const TURNS_MIN: usize = 8;
/// A nap: several answers of an API server that has much to do, and short beside what a release
/// takes then. Longer ones save no more.
const NAP: Duration = Duration::from_millis(3);

/// Whether naps are taken; copies are one.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    naps: Arc<AtomicBool>,
}

impl Pace {
    /// Notes how many turns run.
    pub fn set_turns(&self, turns: usize) {
        self.naps.store(TURNS_MIN <= turns, Ordering::Relaxed);
    }

    /// Tells how long a thread that has nothing to do is to stand still before it waits for
    /// something; zero or a few milliseconds.
    pub fn nap(&self) -> Duration {
        if self.naps.load(Ordering::Relaxed) { NAP } else { Duration::ZERO }
    }

    /// Stands still for that long. It blocks its thread.
    pub fn rest(&self) {
        let nap = self.nap();
        if !nap.is_zero() {
            thread::sleep(nap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naps_are_taken_while_many_turns_run() {
        let pace = Pace::default();
        let thread = pace.clone();
        assert_eq!(thread.nap(), Duration::ZERO);
        for (turns, nap) in [(1, Duration::ZERO), (7, Duration::ZERO), (8, NAP), (64, NAP)] {
            pace.set_turns(turns);
            assert_eq!(thread.nap(), nap, "{turns}");
        }
        pace.set_turns(0);
        assert_eq!(thread.nap(), Duration::ZERO);
    }
}
