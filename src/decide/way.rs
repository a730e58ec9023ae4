//! Way: what carries the traffic of a Rollout, and so which order of writes is safe.

use crate::model::snapshot::Snapshot;
use crate::model::spec::Strategy;

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
}
