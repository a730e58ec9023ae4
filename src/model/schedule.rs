//! Schedule: when releases may start, or may not. It never tells the time.

use std::collections::BTreeSet;

use crate::model::moment::Timestamp;
use crate::model::zone::{Day, Weekday, Zone};

/// When releases may start, or may not.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Whose clocks the rules speak of.
    pub zone: Zone,
    /// What an active schedule does.
    pub action: Action,
    /// It is active while one of them is.
    pub rules: Vec<Rule>,
}

/// What an active schedule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It lets releases start, and at no other time.
    Allow,
    /// It lets no release start.
    Deny,
}

/// When a schedule is active: each part that is there has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What people call it.
    pub name: String,
    /// The minutes of the day; absent: all.
    pub times: Option<Times>,
    /// The days of the week; empty: all.
    pub weekdays: BTreeSet<Weekday>,
    /// The first and the last day; absent: all.
    pub dates: Option<(Day, Day)>,
}

/// A part of a day. One that does not end after its start goes on to the next day, and all of it
/// belongs to the day on which it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The first minute of the day.
    pub start: u16,
    /// The minute at which it is over.
    pub end: u16,
}

/// How a schedule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is active.
    pub active: bool,
    /// The names of the rules that are.
    pub rules: Vec<String>,
    /// When that next changes; `None`: never.
    pub next: Option<Timestamp>,
}

impl Schedule {
    /// Tells whether a gate of this schedule lets releases through.
    pub fn passes(&self, active: bool) -> bool {
        match self.action {
            Action::Allow => active,
            Action::Deny => !active,
        }
    }
}
