//! Errors: why a turn did not do what it was to do, and when to try again.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::api::kind::{Key, Reference};
use crate::apply::error::Error as WriteError;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::runtime::fence::Stop;
use crate::runtime::metrics::WriteResult;

/// The first pause after an error.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest pause where nobody answered: once the API server is back, all goes on within it.
const UNANSWERED_MAX: Duration = Duration::from_secs(30);
/// The longest pause after errors: a quota or a permission takes a person minutes, not hours.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// The pause after a write that the fence refused: a renewal that was late by a moment changes no
/// standing, so that nothing else would wake the Rollout.
const FENCED_PAUSE: Duration = Duration::from_secs(2);
/// Conflicts in a row that are taken for the usual race.
const CONFLICTS_MAX: u32 = 5;

/// A turn failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object could not be read.
    #[error("{target} could not be read")]
    Read {
        /// The object.
        target: Reference,
        /// Why.
        source: Box<kube::Error>,
    },
    /// A write was not taken, or nobody knows.
    #[error("a write failed")]
    Write(#[source] WriteError),
    /// A notice was not taken.
    #[error("a notice was not taken")]
    Notice(#[source] WriteError),
    /// A notice could not be sent in time.
    #[error("a notice could not be sent in time")]
    NoticeLate,
    /// The turn took too long and was cut.
    #[error("the turn was cut")]
    Cut,
    /// The turn ran into a fault of the program.
    #[error("the turn panicked: {0}")]
    Panicked(String),
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// As soon as what was stale is seen as it is.
    Now,
    /// After a pause that grows to 30 s: nobody answered, and nobody tells when somebody does.
    Soon,
    /// After a pause that grows to 5 minutes.
    Backoff,
    /// Once this process leads again, which wakes every Rollout; after a pause where it led all
    /// the time.
    OnChange,
}

impl Error {
    /// Tells the stable CamelCase word, for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } => "ReadFailed",
            Self::Write(WriteError::Conflict { .. }) => "Conflict",
            Self::Write(WriteError::Taken { .. }) => "NameTaken",
            Self::Write(WriteError::Refused { .. }) => "WriteRefused",
            Self::Write(WriteError::Unanswered { .. }) => "WriteUnanswered",
            Self::Notice(_) | Self::NoticeLate => "NoticeFailed",
            Self::Cut => "TurnCut",
            Self::Panicked(_) => "Panicked",
        }
    }

    /// Tells when to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Write(
                WriteError::Conflict { .. } | WriteError::Taken { .. } | WriteError::Refused { .. },
            ) => Retry::Now,
            Self::Write(WriteError::Unanswered { source, .. }) => match Stop::of(source) {
                Some(Stop::NotLeading) => Retry::OnChange,
                Some(Stop::TimedOut) | None => Retry::Soon,
            },
            Self::Notice(WriteError::Refused { .. }) | Self::Cut | Self::Panicked(_) => {
                Retry::Backoff
            }
            Self::Read { .. } | Self::Notice(_) | Self::NoticeLate => Retry::Soon,
        }
    }
}

/// Tells how a write ended, for the counter.
pub fn outcome(error: &WriteError) -> WriteResult {
    match error {
        WriteError::Conflict { .. } | WriteError::Taken { .. } => WriteResult::Conflict,
        WriteError::Refused { .. } => WriteResult::Refused,
        WriteError::Unanswered { source, .. } => match Stop::of(source) {
            Some(Stop::NotLeading) => WriteResult::Fenced,
            Some(Stop::TimedOut) | None => WriteResult::Unknown,
        },
    }
}

/// Tells what a panic said.
pub fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The errors of one Rollout since it last succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    conflicts: u32,
    others: u32,
}

impl Failures {
    /// Counts an error. Returns the pause until the next try.
    pub fn pause(&mut self, retry: Retry, key: &Key) -> Duration {
        match retry {
            #[cfg(feature = "planted")]
            Retry::Now | Retry::Soon | Retry::Backoff if active(Bug::NoBackoff) => Duration::ZERO,
            Retry::OnChange => FENCED_PAUSE,
            Retry::Now if self.conflicts < CONFLICTS_MAX => {
                self.conflicts = self.conflicts.saturating_add(1);
                Duration::ZERO
            }
            Retry::Soon => self.next(key, unanswered),
            Retry::Now | Retry::Backoff => self.next(key, backoff),
        }
    }

    fn next(&mut self, key: &Key, pause: impl Fn(u32, &Key) -> Duration) -> Duration {
        let pause = pause(self.others, key);
        self.others = self.others.saturating_add(1);
        pause
    }
}

/// Tells the pause after so many calls that nobody answered.
pub fn unanswered(errors: u32, key: &Key) -> Duration {
    between(errors, key, UNANSWERED_MAX)
}

/// Tells the pause after so many errors: doubled each time, and different for each Rollout, so that
/// not all of them come back at once.
pub fn backoff(errors: u32, key: &Key) -> Duration {
    between(errors, key, BACKOFF_MAX)
}

fn between(errors: u32, key: &Key, most: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(errors.min(16));
    let whole = BACKOFF_MIN.saturating_mul(factor).min(most);
    let hash = Sha256::digest(format!("{key}/{errors}").as_bytes());
    let part = hash.first().copied().map_or(0, u32::from);
    // Between a half and the whole.
    whole / 2 + (whole / 2).saturating_mul(part) / 256
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kind::Kind;
    use crate::runtime::fence::TimedOut;
    use crate::runtime::leader::NotLeading;

    fn answer(code: u16, reason: &str) -> Error {
        let status = kube::core::Status::failure("", reason).with_code(code);
        write(kube::Error::Api(Box::new(status)))
    }

    fn stopped(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
        write(kube::Error::Service(Box::new(cause)))
    }

    fn write(error: kube::Error) -> Error {
        let target = Reference::new(Kind::Service, "prod", "shop");
        Error::Write(WriteError::of(&target, 7, error))
    }

    #[test]
    fn each_error_has_its_class() {
        for (case, error, reason, retry) in [
            ("stale", answer(409, "Conflict"), "Conflict", Retry::Now),
            ("forbidden", answer(403, "Forbidden"), "WriteRefused", Retry::Now),
            ("server", answer(500, ""), "WriteUnanswered", Retry::Soon),
            ("no reply", stopped(TimedOut), "WriteUnanswered", Retry::Soon),
            ("follower", stopped(NotLeading), "WriteUnanswered", Retry::OnChange),
            ("sink", Error::NoticeLate, "NoticeFailed", Retry::Soon),
            ("cut", Error::Cut, "TurnCut", Retry::Backoff),
            ("panic", Error::Panicked(String::new()), "Panicked", Retry::Backoff),
        ] {
            assert_eq!((error.reason(), error.retry()), (reason, retry), "{case}");
        }
    }

    #[test]
    fn pauses_grow_and_differ() {
        let key = Key::new("prod", "shop");
        let mut failures = Failures::default();
        for _ in 0..5 {
            assert_eq!(failures.pause(Retry::Now, &key), Duration::ZERO);
        }
        let sixth = failures.pause(Retry::Now, &key);
        assert!(BACKOFF_MIN / 2 <= sixth && sixth <= BACKOFF_MIN, "{sixth:?}");
        for errors in 0..40 {
            let whole = BACKOFF_MIN.saturating_mul(2_u32.pow(errors.min(16))).min(BACKOFF_MAX);
            let pause = backoff(errors, &key);
            assert!(whole / 2 <= pause && pause <= whole, "{errors}: {pause:?}");
        }
        assert!(
            UNANSWERED_MAX / 2 <= unanswered(40, &key) && unanswered(40, &key) <= UNANSWERED_MAX
        );
        assert_ne!(backoff(9, &key), backoff(9, &Key::new("prod", "till")));
        assert_eq!(failures.pause(Retry::OnChange, &key), FENCED_PAUSE, "never for ever");
    }
}
