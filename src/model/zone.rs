//! Zone: time zones by their IANA names, days and minutes as a clock on the wall there shows them.
//! It never reads a clock or a file: the database is compiled in (tests/zones).

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp as Moment};

use crate::model::moment::Timestamp;

/// The database: records of a name and its TZif data, each with its length before it.
const ZONES: &[u8] = include_bytes!("zones.bin");
/// Seconds of a day without a change of the clocks.
const DAY_SECS: i64 = 86_400;

/// A time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

/// What a clock on the wall shows, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Local {
    /// The day.
    pub day: Day,
    /// The minute of that day, from 0 to 1439.
    pub minute: u16,
}

/// A day of the calendar, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i32);

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// The days of a week.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Tells the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "Monday",
            Self::Tuesday => "Tuesday",
            Self::Wednesday => "Wednesday",
            Self::Thursday => "Thursday",
            Self::Friday => "Friday",
            Self::Saturday => "Saturday",
            Self::Sunday => "Sunday",
        }
    }
}

impl Day {
    /// Reads `YYYY-MM-DD`; `None` if it is anything else or no day of the calendar.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| {
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            (part.len(), part.parse::<i16>().ok().filter(|_| digits))
        });
        let ((4, year), (2, month), (2, day), None) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next())
        else {
            return None;
        };
        let [month, day] = [month?, day?].map(i8::try_from);
        let date = Date::new(year?, month.ok()?, day.ok()?).ok()?;
        let days = Date::constant(1970, 1, 1).until(date).ok()?.get_days();
        Some(Self(days))
    }

    /// Tells the day that comes so many days later.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Tells the day of the week.
    pub fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        match (i64::from(self.0) + 3).rem_euclid(7) {
            0 => Weekday::Monday,
            1 => Weekday::Tuesday,
            2 => Weekday::Wednesday,
            3 => Weekday::Thursday,
            4 => Weekday::Friday,
            5 => Weekday::Saturday,
            _ => Weekday::Sunday,
        }
    }
}

impl Zone {
    /// Finds a time zone by its IANA name, `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        let data = record(name)?;
        TimeZone::tzif(name, data).ok().map(Self)
    }

    /// Tells what clocks show at a point in time.
    pub fn local(&self, at: Timestamp) -> Local {
        let secs = at.millis().div_euclid(1000);
        let moment = Moment::from_second(secs).unwrap_or(Moment::MAX);
        let shown = secs + i64::from(self.0.to_offset(moment).seconds());
        let day = i32::try_from(shown.div_euclid(DAY_SECS)).unwrap_or(i32::MAX);
        let minute = u16::try_from(shown.rem_euclid(DAY_SECS) / 60).unwrap_or(0);
        Local { day: Day(day), minute }
    }

    /// Tells when clocks begin to show a minute: never where they jump over it, twice where they
    /// are put back over it.
    pub fn times(&self, local: Local) -> Vec<Timestamp> {
        let (hour, minute) = (local.minute / 60, local.minute % 60);
        let date = Span::new().try_days(local.day.0).and_then(|days| {
            let first = Date::constant(1970, 1, 1);
            first.checked_add(days)
        });
        let small = |number: u16| i8::try_from(number).unwrap_or(0);
        let Ok(date) = date else { return Vec::new() };
        let shown = date.at(small(hour), small(minute), 0, 0);
        let offsets = match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => vec![offset],
            AmbiguousOffset::Gap { .. } => Vec::new(),
            AmbiguousOffset::Fold { before, after } => vec![before, after],
        };
        let times = offsets.into_iter().filter_map(|offset| offset.to_timestamp(shown).ok());
        times.map(|at| Timestamp::from_millis(at.as_millisecond())).collect()
    }

    /// Tells when clocks are put forward or back around a day.
    pub fn changes(&self, day: Day) -> Vec<Timestamp> {
        // Clocks differ from UTC by less than a day and two hours.
        let from = i64::from(day.0).saturating_mul(DAY_SECS) - 26 * 3600;
        let to = from + DAY_SECS + 52 * 3600;
        let (Ok(from), Ok(to)) = (Moment::from_second(from), Moment::from_second(to)) else {
            return Vec::new();
        };
        let changes = self.0.following(from).map(|change| change.timestamp());
        let near = changes.take_while(|at| *at <= to);
        near.map(|at| Timestamp::from_millis(at.as_millisecond())).collect()
    }
}

/// Finds the data of a zone.
fn record(wanted: &str) -> Option<&'static [u8]> {
    let mut rest = ZONES;
    loop {
        let (length, tail) = rest.split_first()?;
        let (name, tail) = tail.split_at_checked(usize::from(*length))?;
        let (length, tail) = tail.split_first_chunk::<2>()?;
        let (data, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if name == wanted.as_bytes() {
            return Some(data);
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn zones_are_found_by_their_iana_names() {
        for name in ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Etc/GMT+5"] {
            assert!(Zone::named(name).is_some(), "{name}");
        }
        for name in ["", "Mars/Olympus", "europe/berlin", "CEST", "+02:00", "Europe"] {
            assert!(Zone::named(name).is_none(), "{name}");
        }
        let mut rest = ZONES;
        let mut count = 0;
        while let Some((length, tail)) = rest.split_first() {
            let (name, tail) = tail.split_at(usize::from(*length));
            let (length, tail) = tail.split_first_chunk::<2>().unwrap();
            rest = tail.split_at(usize::from(u16::from_be_bytes(*length))).1;
            let name = std::str::from_utf8(name).unwrap();
            assert!(Zone::named(name).is_some(), "{name}");
            count += 1;
        }
        assert_eq!(count, 598);
    }

    #[test]
    fn clocks_show_what_the_zone_says() {
        let day = |text| Day::parse(text).unwrap();
        for (zone, time, date, minute) in [
            ("UTC", "2026-01-02T03:04:05Z", "2026-01-02", 184),
            ("Europe/Berlin", "2026-01-01T23:30:00Z", "2026-01-02", 30),
            ("Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29", 119),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29", 180),
            ("Europe/Berlin", "2026-10-25T00:59:00Z", "2026-10-25", 179),
            ("Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25", 120),
            ("America/New_York", "2026-03-08T07:00:00Z", "2026-03-08", 180),
            ("America/New_York", "2026-07-01T03:59:00Z", "2026-06-30", 1439),
            ("Asia/Kolkata", "2040-01-01T00:00:00Z", "2040-01-01", 330),
            ("Pacific/Kiritimati", "2026-01-01T10:00:00Z", "2026-01-02", 0),
        ] {
            let local = Zone::named(zone).unwrap().local(at(time));
            assert_eq!(local, Local { day: day(date), minute }, "{zone} {time}");
        }
    }

    #[test]
    fn a_minute_comes_never_once_or_twice() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let local = |day, minute| Local { day: Day::parse(day).unwrap(), minute };
        for (day, minute, want) in [
            ("2026-06-01", 0, vec!["2026-05-31T22:00:00Z"]),
            ("2026-03-29", 150, vec![]),
            ("2026-10-25", 150, vec!["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]),
        ] {
            let want: Vec<_> = want.into_iter().map(at).collect();
            assert_eq!(berlin.times(local(day, minute)), want, "{day} {minute}");
        }
        let changes = |day| berlin.changes(Day::parse(day).unwrap());
        assert_eq!(changes("2026-10-25"), [at("2026-10-25T01:00:00Z")]);
        assert_eq!(changes("2026-10-28"), []);
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        for (text, want) in [
            ("1970-01-01", Some(Weekday::Thursday)),
            ("2026-01-02", Some(Weekday::Friday)),
            ("2024-02-29", Some(Weekday::Thursday)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-1-1", None),
            ("20260101", None),
            ("+026-01-01", None),
            ("2026-01-01T00", None),
            ("", None),
        ] {
            assert_eq!(Day::parse(text).map(Day::weekday), want, "{text}");
        }
        let eve = Day::parse("2026-12-31").unwrap();
        assert_eq!(Some(eve.plus(1)), Day::parse("2027-01-01"));
    }
}
