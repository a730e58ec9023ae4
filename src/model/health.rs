//! Health: what a selected HealthCheck says. It never judges.

use crate::model::moment::Timestamp;
use crate::model::moves::Target;

/// The longest message that is kept, in characters: one line of a condition.
pub const MESSAGE_MAX: usize = 200;

/// A HealthCheck that `spec.healthCheckSelector` selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub health: Health,
    /// Why, for a person.
    pub message: String,
    /// When what it says last changed; a check that never said anything has none.
    pub changed_at: Option<Timestamp>,
    /// When it last found an error.
    pub error_at: Option<Timestamp>,
    /// The object, as it was seen.
    pub target: Target,
    /// Whether the Rollout may look at it.
    pub reached: bool,
    /// Whether what it says was found since this process leads; one that others write speaks for
    /// itself.
    pub looked: bool,
}

/// What a HealthCheck says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Healthy,
    /// An error was found.
    Unhealthy,
    /// Nothing is known yet.
    Pending,
}
