//! The tables of schedules, and a second reading of them minute by minute.

use crate::decide::schedule::standing;
use crate::model::moment::{Duration, Timestamp};
use crate::model::schedule::{Action, Rule, Schedule, Times};
use crate::model::zone::{Day, Weekday, Zone};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Reads `22:00-06:00 Fri,Sat 2026-01-01..2026-01-31`, each part or none.
fn rule(text: &str) -> Rule {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':').unwrap();
        hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap()
    };
    let mut rule = Rule { name: text.to_owned(), times: None, weekdays: [].into(), dates: None };
    for part in text.split_whitespace() {
        if let Some((first, last)) = part.split_once("..") {
            rule.dates = Some((Day::parse(first).unwrap(), Day::parse(last).unwrap()));
        } else if let Some((start, end)) = part.split_once('-') {
            rule.times = Some(Times { start: minute(start), end: minute(end) });
        } else {
            let day = |short| Weekday::ALL.into_iter().find(|d| d.as_str().starts_with(short));
            rule.weekdays = part.split(',').map(|short| day(short).unwrap()).collect();
        }
    }
    rule
}

fn schedule(zone: &str, rules: &str) -> Schedule {
    let rules = rules.split(" | ").map(rule).collect();
    Schedule { zone: Zone::named(zone).unwrap(), action: Action::Deny, rules }
}

/// The case, the zone, the rules, the time, whether the schedule is active and what comes next.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str, bool, Option<&'a str>);

fn check(rows: &[Row<'_>]) {
    for (case, zone, rules, now, active, next) in rows {
        let stands = standing(&schedule(zone, rules), at(now));
        assert_eq!(stands.active, *active, "{case}");
        assert_eq!(stands.next.map(|at| at.to_string()).as_deref(), *next, "{case}");
    }
}

/// A time of a day of January 2026, whose first is a Thursday.
fn leaked(day: u8, time: &str) -> &'static str {
    Box::leak(format!("2026-01-0{day}T{time}:00Z").into_boxed_str())
}

#[test]
fn a_schedule_is_active_while_a_rule_holds() {
    let utc = "UTC";
    let t = |d: u8, time: &str| -> &'static str { leaked(d, time) };
    check(&[
        ("before its start", utc, "09:00-17:00", t(1, "08:59"), false, Some(t(1, "09:00"))),
        ("from its start on", utc, "09:00-17:00", t(1, "09:00"), true, Some(t(1, "17:00"))),
        ("not at its end", utc, "09:00-17:00", t(1, "17:00"), false, Some(t(2, "09:00"))),
        ("on its days only", utc, "09:00-17:00 Mon", t(1, "10:00"), false, Some(t(5, "09:00"))),
        ("without times all day", utc, "Sat,Sun", t(2, "12:00"), false, Some(t(3, "00:00"))),
        ("days that follow are one", utc, "Sat,Sun", t(3, "12:00"), true, Some(t(5, "00:00"))),
    ]);
}

#[test]
fn dates_and_rules_are_joined() {
    let utc = "UTC";
    let t = |d: u8, time: &str| -> &'static str { leaked(d, time) };
    check(&[
        (
            "dates count both ends",
            utc,
            "2026-01-03..2026-01-04",
            t(4, "23:59"),
            true,
            Some(t(5, "00:00")),
        ),
        ("a past date never comes back", utc, "2020-01-01..2020-12-31", t(1, "00:00"), false, None),
        (
            "a past date hides no other rule",
            utc,
            "2020-01-01..2020-12-31 | Sat",
            t(1, "00:00"),
            false,
            Some(t(3, "00:00")),
        ),
        (
            "parts all have to hold",
            utc,
            "09:00-10:00 Sat 2026-01-01..2026-01-02",
            t(1, "00:00"),
            false,
            None,
        ),
        (
            "one rule is enough",
            utc,
            "09:00-10:00 | 12:00-13:00",
            t(1, "12:30"),
            true,
            Some(t(1, "13:00")),
        ),
        (
            "rules that touch are one",
            utc,
            "09:00-10:00 | 10:00-11:00",
            t(1, "09:30"),
            true,
            Some(t(1, "11:00")),
        ),
        ("always is for ever", utc, "00:00-00:00", t(1, "00:00"), true, None),
        (
            "a date of a century to come",
            utc,
            "2126-05-01..2126-05-02",
            t(1, "00:00"),
            false,
            Some("2126-05-01T00:00:00Z"),
        ),
        (
            "seconds do not count before the minute",
            utc,
            "09:00-17:00",
            "2026-01-01T08:59:59.999Z",
            false,
            Some(t(1, "09:00")),
        ),
    ]);
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_on_which_it_began() {
    let utc = "UTC";
    let fri = "22:00-06:00 Fri";
    check(&[
        ("Friday evening", utc, fri, "2026-01-02T22:00:00Z", true, Some("2026-01-03T06:00:00Z")),
        ("Saturday at two", utc, fri, "2026-01-03T02:00:00Z", true, Some("2026-01-03T06:00:00Z")),
        ("Friday at two", utc, fri, "2026-01-02T02:00:00Z", false, Some("2026-01-02T22:00:00Z")),
        (
            "Monday at two is Sunday's",
            utc,
            "22:00-06:00 Mon",
            "2026-01-05T02:00:00Z",
            false,
            Some("2026-01-05T22:00:00Z"),
        ),
        (
            "the last date goes on to the next morning",
            utc,
            "22:00-06:00 2026-01-02..2026-01-02",
            "2026-01-03T05:59:00Z",
            true,
            Some("2026-01-03T06:00:00Z"),
        ),
        (
            "the first date does not begin at midnight",
            utc,
            "22:00-06:00 2026-01-02..2026-01-02",
            "2026-01-02T05:59:00Z",
            false,
            Some("2026-01-02T22:00:00Z"),
        ),
        (
            "start and end alike are a whole day",
            utc,
            "09:00-09:00 Fri",
            "2026-01-03T08:59:00Z",
            true,
            Some("2026-01-03T09:00:00Z"),
        ),
        (
            "to midnight",
            utc,
            "22:00-00:00",
            "2026-01-02T23:59:00Z",
            true,
            Some("2026-01-03T00:00:00Z"),
        ),
    ]);
}

#[test]
fn clocks_that_are_put_forward_and_back_are_followed() {
    let berlin = "Europe/Berlin";
    check(&[
        (
            "a day is a day there",
            berlin,
            "Sun",
            "2026-03-28T22:59:00Z",
            false,
            Some("2026-03-28T23:00:00Z"),
        ),
        (
            "a day of 23 hours",
            berlin,
            "Sun",
            "2026-03-28T23:00:00Z",
            true,
            Some("2026-03-29T22:00:00Z"),
        ),
        (
            "a day of 25 hours",
            berlin,
            "Sun",
            "2026-10-24T22:00:00Z",
            true,
            Some("2026-10-25T23:00:00Z"),
        ),
        (
            "times are of that day's clocks",
            berlin,
            "09:00-17:00",
            "2026-03-29T06:59:00Z",
            false,
            Some("2026-03-29T07:00:00Z"),
        ),
        (
            "a window in the gap does not come that day",
            berlin,
            "02:15-02:45",
            "2026-03-29T00:00:00Z",
            false,
            Some("2026-03-30T00:15:00Z"),
        ),
        (
            "a start in the gap is the end of the gap",
            berlin,
            "02:30-04:00",
            "2026-03-29T00:30:00Z",
            false,
            Some("2026-03-29T01:00:00Z"),
        ),
        (
            "an end in the gap is the gap",
            berlin,
            "01:00-02:30",
            "2026-03-29T00:30:00Z",
            true,
            Some("2026-03-29T01:00:00Z"),
        ),
    ]);
}

#[test]
fn windows_over_a_change_of_clocks_follow_the_clocks() {
    let berlin = "Europe/Berlin";
    check(&[
        (
            "a window over the gap is shorter",
            berlin,
            "22:00-06:00",
            "2026-03-28T22:00:00Z",
            true,
            Some("2026-03-29T04:00:00Z"),
        ),
        (
            "a window over the fold is longer",
            berlin,
            "22:00-06:00",
            "2026-10-24T21:00:00Z",
            true,
            Some("2026-10-25T05:00:00Z"),
        ),
        (
            "an hour that comes twice counts twice",
            berlin,
            "02:15-02:45",
            "2026-10-25T00:15:00Z",
            true,
            Some("2026-10-25T00:45:00Z"),
        ),
        (
            "and again",
            berlin,
            "02:15-02:45",
            "2026-10-25T00:45:00Z",
            false,
            Some("2026-10-25T01:15:00Z"),
        ),
        (
            "clocks put back end a window",
            berlin,
            "02:30-03:00",
            "2026-10-25T00:30:00Z",
            true,
            Some("2026-10-25T01:00:00Z"),
        ),
    ]);
}

#[test]
fn other_zones_change_at_other_times() {
    let york = "America/New_York";
    check(&[
        (
            "New York jumps at two",
            york,
            "02:00-03:00",
            "2026-03-08T06:59:00Z",
            false,
            Some("2026-03-09T06:00:00Z"),
        ),
        (
            "New York goes back at two",
            york,
            "01:30-02:00",
            "2026-11-01T05:30:00Z",
            true,
            Some("2026-11-01T06:00:00Z"),
        ),
        (
            "and half an hour later it is half past one",
            york,
            "01:30-02:00",
            "2026-11-01T06:00:00Z",
            false,
            Some("2026-11-01T06:30:00Z"),
        ),
        (
            "Sunday's window in the gap comes a week later",
            york,
            "02:15-02:45 Sun",
            "2026-03-08T06:00:00Z",
            false,
            Some("2026-03-15T06:15:00Z"),
        ),
    ]);
}

/// Rules as anybody may write them, most of them near the days on which clocks change.
fn any_rule(chance: &mut fastrand::Rng) -> Rule {
    let mut pick = |all: &[u16]| all[chance.usize(..all.len())];
    let marks = [0, 30, 60, 90, 119, 120, 150, 165, 180, 181, 360, 540, 1020, 1320, 1439];
    let times = (pick(&[0, 1, 2]) > 0).then(|| Times { start: pick(&marks), end: pick(&marks) });
    let days = pick(&[0, 0, 1, 2]);
    let weekdays = (0..days).map(|_| Weekday::ALL[usize::from(pick(&[0, 4, 5, 6, 6]))]).collect();
    let first = Day::parse("2026-03-20").unwrap().plus(i32::from(pick(&[0, 5, 8, 9, 10, 200])));
    let last = first.plus(i32::from(pick(&[0, 1, 2, 9])));
    let dates = (pick(&[0, 0, 1]) > 0).then_some((first, last));
    Rule { name: String::new(), times, weekdays, dates }
}

#[test]
fn what_comes_next_is_what_comes_minute_by_minute() {
    let mut chance = fastrand::Rng::with_seed(6);
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
    let minute = Duration::from_secs(60);
    for round in 0..120 {
        let zone = zones[round % zones.len()];
        let mut rules: Vec<Rule> = (0..3).map(|_| any_rule(&mut chance)).collect();
        rules.truncate(1 + round % 3);
        let zone = Zone::named(zone).unwrap();
        let schedule = Schedule { zone, action: Action::Allow, rules };
        let from = ["2026-03-27T12:00:00Z", "2026-10-23T00:00:00Z", "2026-03-06T00:00:00Z"];
        let mut now = at(from[round % from.len()]);
        let mut stands = standing(&schedule, now);
        for _ in 0..12 * 24 * 60 {
            now = now + minute;
            let active =
                schedule.rules.iter().any(|rule| super::holds(rule, schedule.zone.local(now)));
            let due = stands.next == Some(now);
            assert_eq!(active != stands.active, due, "{now} {schedule:?} {stands:?}");
            if due {
                stands = standing(&schedule, now);
            }
        }
    }
}
