//! Schedule: when releases may start, or may not. It never tells the time.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::moment::Timestamp;
use crate::model::moves::Target;
use crate::model::problem::Problem;
use crate::model::status::Condition;
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

/// Everything that one turn of a schedule knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Its namespace, empty where it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The beginning of the names of its gates that tells it from other schedules.
    pub mark: String,
    /// Its generation.
    pub generation: i64,
    /// What it asks for, or why that cannot be used.
    pub schedule: Result<Schedule, Problem>,
    /// The Rollouts that it is for: namespace and name, sorted.
    pub rollouts: BTreeSet<(String, String)>,
    /// The gates that it made.
    pub gates: Vec<ManagedGate>,
    /// Gates of others: namespace and name.
    pub others: BTreeSet<(String, String)>,
    /// What the API server said where it would not take a write to a gate, by namespace and name;
    /// such a gate is left until the write is tried again.
    pub refused: BTreeMap<(String, String), String>,
    /// What is stored about it.
    pub status: ScheduleStatus,
}

/// A gate that a schedule made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedGate {
    /// Its namespace.
    pub namespace: String,
    /// The gate.
    pub target: Target,
    /// The Rollout that it is for.
    pub rollout: String,
    /// Whether it lets releases through.
    pub passing: bool,
    /// When it is said to turn: to open where it is closed, to close where it is open.
    pub turns_at: Option<Timestamp>,
    /// Whether it asks for nothing else: no version, approval, Rollout or signature.
    pub plain: bool,
    /// Whether it is being deleted.
    pub ending: bool,
}

/// What is stored about a schedule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScheduleStatus {
    /// The generation that was last looked at.
    pub observed_generation: i64,
    /// Whether a rule holds.
    pub active: bool,
    /// The rules that hold.
    pub rules: Vec<String>,
    /// When that changes next.
    pub next: Option<Timestamp>,
    /// The gates that it made.
    pub gates: Vec<String>,
    /// The Rollouts that it is for.
    pub rollouts: Vec<String>,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// One change of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateWrite {
    /// Make it.
    Create {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The Rollout that it is for.
        rollout: String,
        /// Whether it lets releases through.
        passing: bool,
        /// When it turns.
        turns_at: Option<Timestamp>,
    },
    /// Open or close it, and take out what else it asks for.
    Set {
        /// Its namespace.
        namespace: String,
        /// The gate.
        target: Target,
        /// The Rollout that it is for.
        rollout: String,
        /// Whether it lets releases through.
        passing: bool,
        /// When it turns.
        turns_at: Option<Timestamp>,
    },
    /// Take it away.
    Delete {
        /// Its namespace.
        namespace: String,
        /// The gate.
        target: Target,
    },
}

/// The one thing that a turn of a schedule does.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// Write to gates.
    Apply(Vec<GateWrite>),
    /// Store what was seen.
    Report(Box<ScheduleStatus>),
    /// Nothing until this time.
    Wait(Option<Timestamp>),
}
