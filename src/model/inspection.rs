//! Inspection: what one turn of a HealthCheck of class `kustomization` knows, and what it may do.

use crate::model::health::{Check, Health};
use crate::model::moment::Timestamp;
use crate::model::standing::Told;

/// What one turn of a HealthCheck knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What the check says.
    pub known: Check,
    /// How the Kustomization stood when it last said Healthy.
    pub healthy_at: Option<AppliedAt>,
    /// What it is about.
    pub subject: Subject,
}

/// What a check is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Nothing that could be looked at, and why.
    Nothing(String),
    /// A Kustomization and what it applied.
    Applied {
        /// How the Kustomization stands.
        at: AppliedAt,
        /// The Kustomization, and each object that it applied.
        all: Vec<Entry>,
    },
}

/// A generation of a Kustomization, and the revision that it last applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedAt {
    /// The generation.
    pub generation: i64,
    /// The revision.
    pub revision: String,
}

/// An object that a check is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Kind, namespace and name.
    pub name: String,
    /// What is known of it.
    pub sight: Sight,
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// What it tells of itself.
    Told(Told),
    /// It is not there.
    Absent {
        /// Whether its kind goes by itself once it is done.
        goes: bool,
    },
    /// Nothing, and why.
    Unread(String),
}

/// What a check is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whether all is well.
    pub health: Health,
    /// Why, for a person.
    pub message: String,
    /// When that last changed.
    pub changed_at: Timestamp,
    /// When an error was last found.
    pub error_at: Option<Timestamp>,
    /// How the Kustomization stands, where it is healthy.
    pub healthy_at: Option<AppliedAt>,
}

/// What one turn of a HealthCheck does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It says something else than before.
    Report(Statement),
    /// It asks the API server for each object: watches of several kinds tell of one moment at
    /// different times, so that what seems healthy may be what was there before.
    Confirm,
    /// Nothing is new, until this time.
    Wait(Option<Timestamp>),
}
