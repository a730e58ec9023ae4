//! Way: what carries the traffic of a Rollout, and so which order of writes is safe.

use crate::decide::order::{self, Step};
use crate::decide::pods;
use crate::decide::switch;
use crate::model::snapshot::Snapshot;
use crate::model::spec::{Step as Rung, Strategy};
use crate::model::template::Revision;

/// What carries the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A route splits it by weights.
    Route,
    /// A Service selects the side that has it.
    Switch,
    /// All pods share it.
    Pods,
}

/// Tells what carries the traffic.
pub fn of(seen: &Snapshot) -> Way {
    match seen.spec.ladder.strategy {
        _ if seen.route.is_some() => Way::Route,
        Strategy::BlueGreen => Way::Switch,
        Strategy::Canary | Strategy::Simple => Way::Pods,
    }
}

impl Way {
    /// Tells whether a side that lost its traffic stays for a while: its pods still get requests
    /// of those who do not know yet.
    pub fn drains(self) -> bool {
        match self {
            Self::Route | Self::Switch => true,
            Self::Pods => false,
        }
    }

    /// What the first revision needs next.
    pub fn first(self, seen: &Snapshot, revision: &Revision) -> Step {
        match self {
            Self::Route => order::first(seen, revision),
            Self::Switch => switch::first(seen, revision),
            Self::Pods => pods::first(seen, revision),
        }
    }

    /// What a step needs next.
    pub fn ladder(self, seen: &Snapshot, revision: &Revision, rung: &Rung) -> Step {
        match self {
            Self::Route => order::ladder(seen, revision, rung),
            Self::Switch => switch::ladder(seen, revision, rung),
            Self::Pods => pods::ladder(seen, revision, rung.weight),
        }
    }

    /// What all traffic on stable needs next.
    pub fn stable(self, seen: &Snapshot, revision: &Revision) -> Step {
        match self {
            Self::Route => order::stable(seen, revision),
            Self::Switch => switch::stable(seen, revision),
            Self::Pods => pods::stable(seen, revision),
        }
    }

    /// What the sizes of the sides need next while the ladder is held.
    pub fn sizes(self, seen: &Snapshot) -> Step {
        match self {
            Self::Route | Self::Switch => order::sizes(seen),
            Self::Pods => pods::sizes(seen),
        }
    }
}
