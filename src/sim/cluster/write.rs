//! Write: what is asked of a cluster and what becomes of it. No logic.

use std::sync::Arc;

use serde_json::Value;

use crate::sim::cluster::feed::Stored;
use crate::sim::rules::managed::Managers;

/// Whether a write is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It is.
    Real,
    /// It is checked and answered, and nothing is stored.
    Dry,
}

/// A new state of an object, and how it is told who manages its fields.
#[derive(Debug)]
pub struct Draft {
    /// The object, without `managedFields`.
    pub object: Value,
    /// Who manages it.
    pub claim: Claim,
}

/// How it is told who manages the fields of a new state.
#[derive(Debug)]
pub enum Claim {
    /// Whoever writes manages what he changes.
    Change,
    /// The same, on the word of these entries about what was before.
    ChangeFrom(Managers),
    /// These entries say it.
    Told(Managers),
}

impl Draft {
    /// A state whose changes are its writer's.
    pub fn change(object: Value) -> Self {
        Self { object, claim: Claim::Change }
    }
}

/// What became of an object.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is there, in this version.
    Kept(Arc<Stored>),
    /// It is gone; this was its last version.
    Gone(Arc<Stored>),
}

impl Outcome {
    /// Returns the version that is, or was the last.
    pub fn stored(&self) -> &Arc<Stored> {
        match self {
            Self::Kept(stored) | Self::Gone(stored) => stored,
        }
    }
}

/// How an object goes.
#[derive(Debug, Default)]
pub struct Going {
    /// How many seconds it is given; absent: objects of its kind never are given any.
    pub grace: Option<u64>,
    /// Its finalizers from then on, if they change.
    pub finalizers: Option<Vec<Value>>,
}
