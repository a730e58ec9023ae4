//! Notice: what the world is told of a stored transition. It is never sent before it is stored.

use crate::model::moment::Timestamp;

/// The image of a stored transition, for people and other systems.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// Derived from Rollout, attempt, step and reason: the same transition has the same id.
    pub id: String,
    /// Whether a person should look.
    pub warning: bool,
    /// A stable CamelCase word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// When the transition was stored.
    pub at: Timestamp,
}
