//! Way: what carries the traffic of a Rollout, and so which order of writes is safe.

use crate::decide::{routes, side};
use crate::model::snapshot::Snapshot;
use crate::model::spec::Strategy;
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
        _ if seen.spec.ladder.routed() => Way::Route,
        Strategy::BlueGreen => Way::Switch,
        Strategy::Canary | Strategy::AbTesting | Strategy::Simple => Way::Pods,
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
}

/// Tells whether a revision has traffic, as far as what carries it can be read and keeps sides
/// apart.
pub fn carries(seen: &Snapshot, revision: &Revision) -> Option<bool> {
    match of(seen) {
        Way::Route => routes::carry(seen, revision),
        Way::Switch => Some(side::selected(seen.stable_service.as_ref()) == Some(revision)),
        Way::Pods => None,
    }
}
