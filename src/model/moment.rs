//! Moment: points in time and lengths of time. It never reads a clock.
//!
//! Of the pure modules this one and `zone` alone name the time library.

use std::fmt;
use std::ops::Add;

/// A point in time, in whole milliseconds since the Unix epoch.
///
/// Milliseconds, since a pause of one second stored in whole seconds could end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes a point from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Tells the milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 text; parts finer than a millisecond are cut. `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let moment: jiff::Timestamp = text.parse().ok()?;
        Some(Self(moment.as_millisecond()))
    }

    /// Tells how long ago `earlier` was, zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(length.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        if self.0 % 1000 == 0 { write!(f, "{moment:.0}") } else { write!(f, "{moment:.3}") }
    }
}

/// A length of time, in whole milliseconds, at most [`Duration::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was given.
    #[error("is empty; write a duration such as 1h30m, 5m, 90s or 500ms")]
    Empty,
    /// No digits where a number has to be, or more than five of them.
    #[error("{text:?}: expected 1 to 5 digits at byte {at}")]
    Number {
        /// The text as given, cut to 40 characters.
        text: String,
        /// Byte position of the fault.
        at: usize,
    },
    /// A unit that does not exist.
    #[error("{text:?}: unknown unit at byte {at} (use ms, s, m, h; whole numbers only)")]
    Unit {
        /// The text as given, cut to 40 characters.
        text: String,
        /// Byte position of the fault.
        at: usize,
    },
    /// One unit twice.
    #[error("{text:?}: the unit {unit} is repeated")]
    Repeated {
        /// The text as given, cut to 40 characters.
        text: String,
        /// The unit that stands there twice.
        unit: &'static str,
    },
    /// Longer than a year.
    #[error("{text:?} is longer than the longest duration allowed, 8760h")]
    TooLong {
        /// The text as given, cut to 40 characters.
        text: String,
    },
}

const UNITS: [(&str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// A year of 365 days, the longest duration that a field may hold.
    pub const MAX: Self = Self::from_secs(8760 * 3600);

    /// Makes a length from whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Makes a length from whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Tells the length in milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Reads a Gateway API duration: one to four parts of 1 to 5 digits and a unit out of
    /// `h`, `m`, `s`, `ms`, each unit once.
    ///
    /// # Errors
    /// A [`DurationError`] that names the byte and what is allowed there.
    ///
    /// Source: Gateway API GEP-2257.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let shown = || text.chars().take(40).collect::<String>();
        if text.is_empty() {
            return Err(DurationError::Empty);
        }
        let (mut rest, mut total, mut seen) = (text, 0_u64, Vec::with_capacity(4));
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let number = match number.parse::<u64>() {
                Ok(number) if digits <= 5 => number,
                Ok(_) | Err(_) => return Err(DurationError::Number { text: shown(), at }),
            };
            let Some((unit, millis)) = UNITS.into_iter().find(|(unit, _)| tail.starts_with(unit))
            else {
                return Err(DurationError::Unit { text: shown(), at: at + digits });
            };
            if seen.contains(&unit) {
                return Err(DurationError::Repeated { text: shown(), unit });
            }
            seen.push(unit);
            total = total.saturating_add(number.saturating_mul(millis));
            rest = tail.strip_prefix(unit).unwrap_or_default();
        }
        let length = Self(total);
        if length > Self::MAX { Err(DurationError::TooLong { text: shown() }) } else { Ok(length) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            let count = rest / millis;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
            rest %= millis;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gateway_api_durations() {
        for (text, want) in [
            ("5m", Ok(300_000)),
            ("1h30m", Ok(5_400_000)),
            ("90s", Ok(90_000)),
            ("500ms", Ok(500)),
            ("0s", Ok(0)),
            ("8760h", Ok(31_536_000_000)),
            ("", Err("is empty")),
            ("5", Err("unknown unit at byte 1")),
            ("5 m", Err("unknown unit at byte 1")),
            ("5M", Err("unknown unit at byte 1")),
            ("m", Err("expected 1 to 5 digits at byte 0")),
            ("-5m", Err("expected 1 to 5 digits at byte 0")),
            ("+5m", Err("expected 1 to 5 digits at byte 0")),
            ("1e3s", Err("unknown unit at byte 1")),
            ("1.5h", Err("unknown unit at byte 1")),
            ("5m5m", Err("the unit m is repeated")),
            ("5µ", Err("unknown unit at byte 1")),
            ("5м", Err("unknown unit at byte 1")),
            ("٥m", Err("expected 1 to 5 digits at byte 0")),
            ("100000h", Err("expected 1 to 5 digits at byte 0")),
            ("99999h", Err("longer than the longest")),
            ("5\0m", Err("unknown unit at byte 1")),
        ] {
            match (Duration::parse(text), want) {
                (Ok(got), Ok(want)) => assert_eq!(got.millis(), want, "{text}"),
                (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{text}: {got}"),
                (got, want) => panic!("{text}: {got:?}, wanted {want:?}"),
            }
        }
        assert!(Duration::parse(&"5m".repeat(5000)).is_err());
    }

    #[test]
    fn durations_and_timestamps_print_as_they_are_read() {
        for text in ["1h30m", "5m", "1m30s", "500ms", "0s", "25h1ms"] {
            assert_eq!(Duration::parse(text).map(|d| d.to_string()).as_deref(), Ok(text));
        }
        for text in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z"] {
            assert_eq!(Timestamp::parse(text).map(|t| t.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Timestamp::parse("soon"), None);
    }
}
