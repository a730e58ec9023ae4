//! Status: what is stored about a Rollout, parsed. Its resourceVersion is the only lock.

use crate::model::binding::Field;
use crate::model::command::Intent;
use crate::model::gate::{Bypass, GateState, Ran};
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;
use crate::model::release::{Card, Listed, ReleaseRef};
use crate::model::shared::Shared;
use crate::model::spec::Routing;
use crate::model::template::Revision;
use crate::model::weight::Weight;

/// The tags of a registry that are no versions, so that no release comes of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Skipped {
    /// How many there are.
    pub count: u32,
    /// Some of them.
    pub some: Vec<String>,
}

/// What is stored about a Rollout. `Default` is what an untouched Rollout has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// The generation that was last looked at, -1 before the first look.
    pub observed_generation: i64,
    /// Where the Rollout stands, in one word.
    pub phase: Phase,
    /// The present or last attempt.
    pub attempt: Option<Attempt>,
    /// The side that carries traffic at rest.
    pub stable: Option<Side>,
    /// The side that climbs.
    pub canary: Option<Side>,
    /// Sides that lost their traffic and still finish requests.
    pub draining: Vec<Draining>,
    /// Ended attempts, newest first.
    pub history: Shared<Entry>,
    /// What failed and is not tried again.
    pub quarantine: Vec<Quarantined>,
    /// The fields of Flux objects that hold what was delivered.
    pub targets: Vec<Delivered>,
    /// Who asks for the next release that people choose, and why.
    pub intent: Option<Intent>,
    /// An image set by hand.
    pub pin: Option<Pin>,
    /// The releases that are known, oldest first.
    pub available: Shared<Listed>,
    /// Those that are newer than what runs and did not fail, newest first.
    pub candidates: Vec<Listed>,
    /// Those of them that nothing keeps from being taken.
    pub gated: Vec<Listed>,
    /// What the newest known release tells of the image as such.
    pub card: Card,
    /// The tags of the registry that are no versions.
    pub skipped: Skipped,
    /// The restart of pods that is under way.
    pub restart: Option<Restart>,
    /// Since when `spec.paused` freezes the attempt.
    pub frozen_since: Option<Timestamp>,
    /// Notices of stored transitions that are not known to be sent.
    pub outbox: Vec<Notice>,
    /// The command annotations whose values are not understood and that were answered.
    pub rejected: Vec<Rejected>,
    /// How its gates stand.
    pub gates: Vec<GateState>,
    /// A version that passes gates by.
    pub bypass: Option<Bypass>,
    /// Why nothing moves.
    pub waiting: Vec<Waiting>,
    /// The conditions, sorted by type.
    pub conditions: Shared<Condition>,
    /// Numbers of pods.
    pub counts: Counts,
    /// The selector as text, for the scale subresource.
    pub selector: String,
}

impl Status {
    /// Tells what the Rollout runs: its last release that ended well, as long as that is what it
    /// stands on.
    pub fn ran(&self) -> Option<Ran> {
        let well = || self.history.iter().filter(|entry| entry.cause.is_none());
        let Some(good) = well().next() else { return self.trimmed() };
        if self.stable.as_ref().is_some_and(|stable| stable.revision != good.revision) {
            return None;
        }
        // The same release may have been brought there more than once without a break.
        let unbroken = well().take_while(|entry| entry.release.same(&good.release));
        let since = unbroken.map(|entry| entry.ended_at).last()?;
        Some(Ran { release: good.release.clone(), since })
    }

    /// What it runs, where only failures since are left of the history: it ended well before the
    /// oldest of them began.
    fn trimmed(&self) -> Option<Ran> {
        let oldest = self.history.last().filter(|oldest| 1 < oldest.number)?;
        let Side { release, revision, .. } = self.stable.as_ref()?;
        let failed = self.history.iter().map(|entry| &entry.revision);
        let failed = failed.chain(self.quarantine.iter().map(|entry| &entry.revision));
        let well = failed.into_iter().all(|failed| failed != revision);
        well.then(|| Ran { release: release.clone(), since: oldest.started_at })
    }
}

/// Where a Rollout stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Phase {
    /// The first revision comes up, or nothing happened yet.
    #[default]
    Initializing,
    /// A revision climbs.
    Progressing,
    /// The ladder stands at a pause.
    Paused,
    /// The new side is looked at before it takes the traffic.
    Preview,
    /// An experiment runs: each side has its users.
    Experimenting,
    /// All traffic is on the new side, which has to stay healthy.
    Baking,
    /// An experiment ended, and the new side did not win it: stable carries all traffic.
    Concluded,
    /// The template carries all traffic.
    Completed,
    /// The last attempt failed; the stable revision carries all traffic.
    Failed,
}

impl Phase {
    /// All phases, in the order of a release.
    pub const ALL: [Self; 9] = [
        Self::Initializing,
        Self::Progressing,
        Self::Paused,
        Self::Preview,
        Self::Experimenting,
        Self::Baking,
        Self::Concluded,
        Self::Completed,
        Self::Failed,
    ];

    /// Tells the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::Preview => "Preview",
            Self::Experimenting => "Experimenting",
            Self::Baking => "Baking",
            Self::Concluded => "Concluded",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }
}

/// One try to bring one release or template to full traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1, without gaps.
    pub number: u32,
    /// What it delivers.
    pub release: ReleaseRef,
    /// The revision that climbs.
    pub revision: Revision,
    /// What began it.
    pub trigger: Trigger,
    /// Whether the template of this revision was seen on the Rollout.
    pub delivered: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// The share of traffic that its revision is to have at present.
    pub weight: Weight,
    /// The highest share that it was to have.
    pub highest: Weight,
    /// The strategy and the objects by which its traffic is split; none: those of the spec.
    pub routing: Option<Routing>,
    /// Whether it climbs without further pauses, as the command promote-full asks.
    pub unpaused: bool,
    /// Whether the data decide its experiment, as soon as they may.
    pub concludes: bool,
    /// The last side that was proven, while this one or the one before it is not.
    pub previous: Option<Side>,
    /// What its bake came to.
    pub bake: Option<Bake>,
    /// Whether its release stays although it failed, until a person decides.
    pub kept: bool,
    /// Whether others may be taken all the same.
    pub unblocked: bool,
    /// Who asked for it, and why, where people chose it.
    pub intent: Option<Intent>,
}

/// What a bake came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bake {
    /// How it ended.
    pub result: BakeResult,
    /// Since when all was healthy, if it ever was.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why, for a person.
    pub message: String,
    /// The HealthChecks that failed it.
    pub failed: Vec<FailedCheck>,
}

/// How a bake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BakeResult {
    /// All stayed healthy for as long as asked.
    Succeeded,
    /// Something did not become or stay healthy.
    Failed,
    /// Something else came before its end.
    Cancelled,
}

impl BakeResult {
    /// Tells the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Succeeded, Self::Failed, Self::Cancelled];
        all.into_iter().find(|result| result.as_str() == word)
    }
}

/// A HealthCheck that failed a bake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCheck {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it said.
    pub message: String,
}

/// A field of a Flux object that something was delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The field.
    pub field: Field,
    /// What was delivered, or what others set instead.
    pub value: String,
    /// Since when it is there.
    pub since: Timestamp,
    /// Who took it away since a release last stayed, the latest last.
    pub reverts: Vec<Revert>,
    /// Whether the object still binds it.
    pub bound: bool,
}

/// How often one manager took away what was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    /// The field manager, empty where the value vanished and nobody had the field.
    pub manager: String,
    /// What it took away, at last.
    pub value: String,
    /// How many times.
    pub times: u32,
}

/// What began an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A release of the source.
    Release,
    /// An edit of the template.
    Template,
}

/// The states of an attempt, each with only what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The first revision comes up; there is no ladder.
    First {
        /// Since when.
        entered_at: Timestamp,
    },
    /// It stands on a step of the ladder.
    Step {
        /// The step, from 1.
        number: u32,
        /// Since when.
        entered_at: Timestamp,
        /// Since when the step is in force and its pause runs.
        paused_at: Option<Timestamp>,
    },
    /// All traffic is on the new side; the stable Service and the route follow.
    Promoting {
        /// Since when.
        entered_at: Timestamp,
    },
    /// The release is delivered and, where there are pods, has all traffic; it has to become
    /// healthy, and to stay so.
    Baking {
        /// Since when.
        entered_at: Timestamp,
        /// Since when all is healthy.
        since: Option<Timestamp>,
    },
    /// Traffic and pods go back to stable.
    RollingBack {
        /// Since when.
        entered_at: Timestamp,
        /// Why.
        cause: Cause,
    },
    /// It ended well.
    Completed {
        /// When.
        at: Timestamp,
    },
    /// It ended badly, or was ended.
    Ended {
        /// When.
        at: Timestamp,
        /// Why.
        cause: Cause,
    },
}

/// Why an attempt does not reach full traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The command abort.
    Aborted,
    /// A HealthCheck found an error while it baked.
    BakeFailed,
    /// The new side did not win its experiment: no failure.
    Concluded,
    /// A step or the first revision was not in force within the progress deadline.
    DeadlineExceeded,
    /// Flux could not apply what was delivered.
    DeliveryFailed,
    /// What was delivered did not become healthy within `spec.deployTimeout`.
    DeployTimeout,
    /// The template went back to the stable one: no failure.
    Reverted,
    /// The strategy or the objects that split the traffic were changed: no failure.
    StrategyChanged,
    /// Another template or release took over: no failure.
    Superseded,
}

impl Cause {
    /// Tells the stable CamelCase name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "Aborted",
            Self::BakeFailed => "BakeFailed",
            Self::Concluded => "Concluded",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::DeliveryFailed => "DeliveryFailed",
            Self::DeployTimeout => "DeployTimeout",
            Self::Reverted => "Reverted",
            Self::StrategyChanged => "StrategyChanged",
            Self::Superseded => "Superseded",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::Aborted,
            Self::BakeFailed,
            Self::Concluded,
            Self::DeadlineExceeded,
            Self::DeliveryFailed,
            Self::DeployTimeout,
            Self::Reverted,
            Self::StrategyChanged,
            Self::Superseded,
        ];
        all.into_iter().find(|cause| cause.as_str() == text)
    }

    /// Tells whether the release is to be blamed.
    pub fn failed(self) -> bool {
        match self {
            Self::Aborted
            | Self::BakeFailed
            | Self::DeadlineExceeded
            | Self::DeliveryFailed
            | Self::DeployTimeout => true,
            Self::Concluded | Self::Reverted | Self::StrategyChanged | Self::Superseded => false,
        }
    }

    /// Tells whether the release is not tried again by itself.
    pub fn bars(self) -> bool {
        match self {
            Self::Aborted
            | Self::BakeFailed
            | Self::Concluded
            | Self::DeadlineExceeded
            | Self::DeliveryFailed
            | Self::DeployTimeout => true,
            Self::Reverted | Self::StrategyChanged | Self::Superseded => false,
        }
    }
}

/// One revision as it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The revision.
    pub revision: Revision,
    /// What it delivers.
    pub release: ReleaseRef,
    /// Its pods.
    pub replicas: u32,
    /// Its pods that are ready.
    pub ready: u32,
}

/// A side that lost its traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draining {
    /// The revision.
    pub revision: Revision,
    /// When the route accepted weight 0 for it; `None`: not yet.
    pub since: Option<Timestamp>,
}

/// One ended attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u32,
    /// What it delivered.
    pub release: ReleaseRef,
    /// The revision.
    pub revision: Revision,
    /// What began it.
    pub trigger: Trigger,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How: `None` is success.
    pub cause: Option<Cause>,
    /// The highest weight that was reached.
    pub weight: Weight,
    /// What its bake came to, if it had one.
    pub bake: Option<Bake>,
    /// Who asked for it, and why, where people chose it.
    pub intent: Option<Intent>,
}

/// What failed, or did not win its experiment, and is not tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The revision.
    pub revision: Revision,
    /// The release, with an empty tag where the template had no image tag.
    pub release: ReleaseRef,
    /// Whether it was a release of the source that failed.
    pub trigger: Trigger,
    /// The attempt in which it failed.
    pub attempt: u32,
    /// When.
    pub since: Timestamp,
}

/// An image set by hand under an active source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The image that was set.
    pub image: String,
    /// The version that a release has to exceed to end the pin; empty: any release ends it.
    pub until_newer_than: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether the command force-deploy chose it: then it is delivered.
    pub forced: bool,
}

/// A restart of pods that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// Pods that were made before are replaced.
    pub since: Timestamp,
    /// Which one it is of those that followed each other without an end, from 1: the token of a
    /// command that began one is void from then on.
    pub number: u32,
}

/// A command annotation whose value is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The annotation.
    pub key: String,
    /// Its value, cut to 64 characters.
    pub value: String,
}

/// One entry of `waitingFor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The code of the hold.
    pub kind: String,
    /// The object that it is about.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest, where that is known.
    pub until: Option<Timestamp>,
    /// Whether it ends without a person.
    pub automatic: bool,
    /// What is waited for, for a person.
    pub message: String,
    /// The line for a shell that ends it, where a command does.
    pub command: Option<String>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A stable CamelCase word.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// When the status last changed.
    pub since: Timestamp,
    /// The generation that it speaks of.
    pub observed_generation: i64,
}

/// Numbers of pods over all revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Pods that are there.
    pub replicas: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are available.
    pub available: u32,
    /// Pods of the present template.
    pub updated: u32,
}

impl Stage {
    /// Tells whether the attempt goes on.
    pub fn open(&self) -> bool {
        match self {
            Self::First { .. }
            | Self::Step { .. }
            | Self::Promoting { .. }
            | Self::Baking { .. }
            | Self::RollingBack { .. } => true,
            Self::Completed { .. } | Self::Ended { .. } => false,
        }
    }

    /// Tells the step of the ladder, 0 off it.
    pub fn step(&self) -> u32 {
        match self {
            Self::Step { number, .. } => *number,
            Self::First { .. }
            | Self::Promoting { .. }
            | Self::Baking { .. }
            | Self::RollingBack { .. }
            | Self::Completed { .. }
            | Self::Ended { .. } => 0,
        }
    }

    /// Tells since when all is healthy, where it bakes and all is.
    pub fn bakes_since(&self) -> Option<Timestamp> {
        match self {
            Self::Baking { since, .. } => *since,
            Self::First { .. }
            | Self::Step { .. }
            | Self::Promoting { .. }
            | Self::RollingBack { .. }
            | Self::Completed { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// Tells since when it stands where it stands.
    pub fn entered_at(&self) -> Timestamp {
        match self {
            Self::First { entered_at }
            | Self::Step { entered_at, .. }
            | Self::Promoting { entered_at }
            | Self::Baking { entered_at, .. }
            | Self::RollingBack { entered_at, .. } => *entered_at,
            Self::Completed { at } | Self::Ended { at, .. } => *at,
        }
    }
}
