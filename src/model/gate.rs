//! Gate: what has to hold before a release starts. It never tells whether it does.

use std::collections::BTreeSet;

use crate::model::moment::{Duration, Timestamp};
use crate::model::release::ReleaseRef;

/// A gate of a Rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub asks: Asks,
}

/// What a gate asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asks {
    /// That whoever writes it lets releases through.
    Passing {
        /// Whether releases may start.
        passing: bool,
        /// The versions that may; absent: all.
        allowed: Option<BTreeSet<String>>,
        /// When its schedule turns it: opens it where it is closed, closes it where it is open.
        turns_at: Option<Timestamp>,
    },
    /// That a person approved the version.
    Approval {
        /// The version that was approved.
        approved: Option<String>,
    },
    /// That another Rollout runs the version.
    Other {
        /// Its namespace and name.
        rollout: String,
        /// For how long.
        lasting: Duration,
        /// What it runs, or why that is not known.
        runs: Result<Ran, String>,
    },
    /// That Flux verified the signature of the version.
    Signature {
        /// The tag that it verified, or why it verified none.
        verified: Result<String, String>,
    },
    /// What cannot be read: nothing passes.
    Unusable(String),
}

/// A release that ended well and is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The release.
    pub release: ReleaseRef,
    /// When it ended well.
    pub since: Timestamp,
}

/// How a gate stands, as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateState {
    /// The name of the gate.
    pub name: String,
    /// Whether it lets anything through.
    pub passing: bool,
    /// The versions that it lets through; absent: all.
    pub allowed: Option<Vec<String>>,
    /// What it waits for, for a person; empty where it passes.
    pub message: String,
    /// Whether a person had a release pass it by.
    pub bypassed: bool,
}

/// A version that passes gates by, as a person asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bypass {
    /// The version or tag.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
}
