//! Act: what a part of the decision comes to, before it is shown.

use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::moves::Write;
use crate::model::status::Status;

/// What a part of the decision comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Store a new intent.
    Commit(Box<Status>),
    /// Write what the stored intent says.
    Apply(Vec<Write>),
    /// Nothing moves.
    Wait(Waits),
}

/// What a goal needs next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// These writes come next.
    Write(Vec<Write>),
    /// Something else comes first.
    Hold(Hold),
}

/// `Ok` once a part of a goal is in force, else what it needs next: so that `?` keeps the order.
pub type Step = Result<(), Next>;

/// Why nothing moves, and when to look again.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Waits {
    /// Each reason, with the time at which it ends by itself.
    pub holds: Vec<(Hold, Option<Timestamp>)>,
    /// When to look again without an event.
    pub until: Option<Timestamp>,
}

impl Waits {
    /// One reason without a time.
    pub fn of(hold: Hold) -> Self {
        Self { holds: vec![(hold, None)], until: None }
    }

    /// One reason that ends at a time.
    pub fn until(hold: Hold, until: Timestamp) -> Self {
        Self { holds: vec![(hold, Some(until))], until: Some(until) }
    }

    /// No reason, but a time to look again.
    pub fn wake(until: Option<Timestamp>) -> Self {
        Self { holds: Vec::new(), until }
    }

    /// Also looks again at this time.
    #[must_use]
    pub fn and_wake(mut self, until: Option<Timestamp>) -> Self {
        self.until = sooner(self.until, until);
        self
    }
}

impl Act {
    /// Waits for one reason.
    pub fn hold(hold: Hold) -> Self {
        Self::Wait(Waits::of(hold))
    }

    /// Adds a reason that stands beside whatever else happens.
    #[must_use]
    pub fn with(self, hold: Hold) -> Self {
        match self {
            Self::Wait(mut waits) => {
                if !waits.holds.iter().any(|(known, _)| *known == hold) {
                    let until = hold.until();
                    waits.until = sooner(waits.until, until);
                    waits.holds.push((hold, until));
                }
                Self::Wait(waits)
            }
            Self::Commit(_) | Self::Apply(_) => self,
        }
    }
}

/// The sooner of two times.
pub fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
