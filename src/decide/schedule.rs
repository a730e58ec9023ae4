//! Schedule: whether one is active, and when that changes next. It reads no clock.
//!
//! A rule looks at clocks on the wall of its zone: where these are put back, a minute that comes
//! twice counts twice; one that they jump over does not come.

use std::collections::BTreeSet;

use crate::model::moment::Timestamp;
use crate::model::schedule::{Rule, Schedule, Standing};
use crate::model::zone::{Day, Local};

/// Days after which rules without dates have shown all that they do: each minute of a week comes
/// twice in it, even where clocks jump over it once.
const PERIOD_DAYS: i32 = 22;

/// Tells how a schedule stands.
pub fn standing(schedule: &Schedule, now: Timestamp) -> Standing {
    let local = schedule.zone.local(now);
    let rules = schedule.rules.iter().filter(|rule| holds(rule, local));
    let rules: Vec<String> = rules.map(|rule| rule.name.clone()).collect();
    let active = !rules.is_empty();
    Standing { active, rules, next: next(schedule, now, active) }
}

/// Tells whether a rule holds while clocks show this.
fn holds(rule: &Rule, local: Local) -> bool {
    let Local { day, minute } = local;
    match rule.times {
        None => on(rule, day),
        Some(times) if times.start < times.end => {
            (times.start..times.end).contains(&minute) && on(rule, day)
        }
        // Past midnight it is still the window of the day before.
        Some(times) => {
            (times.start <= minute && on(rule, day))
                || (minute < times.end && on(rule, day.plus(-1)))
        }
    }
}

/// Tells whether windows of a rule begin on a day.
fn on(rule: &Rule, day: Day) -> bool {
    let dates = rule.dates.is_none_or(|(first, last)| first <= day && day <= last);
    dates && (rule.weekdays.is_empty() || rule.weekdays.contains(&day.weekday()))
}

/// The next time at which the schedule is active and was not, or the other way round.
fn next(schedule: &Schedule, now: Timestamp, active: bool) -> Option<Timestamp> {
    let another = |at: &Timestamp| {
        let local = schedule.zone.local(*at);
        now < *at && schedule.rules.iter().any(|rule| holds(rule, local)) != active
    };
    let today = schedule.zone.local(now).day;
    let minutes = minutes(schedule);
    starts(schedule, today).into_iter().find_map(|first| {
        let times = turns(schedule, first, &minutes);
        times.into_iter().find(another)
    })
}

/// The minutes of a day at which anything may change.
fn minutes(schedule: &Schedule) -> BTreeSet<u16> {
    let times = schedule.rules.iter().filter_map(|rule| rule.times);
    times.flat_map(|times| [times.start, times.end]).chain([0]).collect()
}

/// The days from which on the rules have to be looked at for a period: as of today, and where dates
/// begin and end. Between two of them they do what they did in the period before.
fn starts(schedule: &Schedule, today: Day) -> BTreeSet<Day> {
    let dates = schedule.rules.iter().filter_map(|rule| rule.dates);
    let edges = dates.flat_map(|(first, last)| [first.plus(-1), last]);
    edges.filter(|day| today < *day).chain([today.plus(-1)]).collect()
}

/// All times of a period at which anything may change, in order.
fn turns(schedule: &Schedule, first: Day, minutes: &BTreeSet<u16>) -> BTreeSet<Timestamp> {
    let days = (0..=PERIOD_DAYS + 2).map(|days| first.plus(days));
    let of_day = |day: Day| {
        let locals = minutes.iter().map(move |minute| Local { day, minute: *minute });
        let times = locals.flat_map(|local| schedule.zone.times(local));
        times.chain(schedule.zone.changes(day))
    };
    days.flat_map(of_day).collect()
}

#[cfg(test)]
mod tests;
