//! Status: what the invariants ask of the status of a Rollout. Garbage reads as nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::api::status::Attempt as Wire;
use crate::sim::judge::facts::source::Image;

/// The status of a Rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// The generation that was last looked at.
    pub observed_generation: i64,
    /// The phase.
    pub phase: String,
    /// The present or last attempt.
    pub attempt: Option<Attempt>,
    /// The side that carries traffic at rest.
    pub stable: Option<Side>,
    /// Sides that drain.
    pub draining: Vec<Drain>,
    /// Ended attempts, newest first.
    pub history: Vec<Entry>,
    /// What failed.
    pub quarantine: Vec<Failed>,
    /// A pinned image.
    pub pin: Option<Pin>,
    /// The releases that are known.
    pub available_releases: Vec<Known>,
    /// The restart of pods that is under way.
    pub restart: Option<Restart>,
    /// Since when the attempt is frozen.
    pub frozen_since: Option<String>,
    /// Notices to be sent.
    pub outbox: Vec<Notice>,
    /// Why nothing moves.
    pub waiting_for: Vec<Waiting>,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// A release that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Known {
    /// Its tag.
    pub tag: String,
}

/// A restart of pods.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Restart {
    /// Pods that were made before are replaced.
    pub since: String,
    /// Which one it is.
    pub number: i64,
}

/// One try to bring a release or template to full traffic.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attempt {
    /// Its number.
    pub number: i64,
    /// What it delivers.
    pub release: Release,
    /// The revision that climbs.
    pub revision: String,
    /// What began it.
    pub trigger: String,
    /// Whether the release was seen in the template.
    pub delivered: bool,
    /// Where it stands.
    pub stage: String,
    /// The step, 0 off the ladder.
    pub step: i64,
    /// The share that it is to have.
    pub weight: i64,
    /// The objects that split its traffic.
    pub routing: Option<Routing>,
    /// Whether it climbs without pauses.
    pub unpaused: bool,
    /// Whether the data decide its experiment.
    pub concludes: bool,
    /// Why it did not reach full traffic.
    pub cause: Option<String>,
    /// When it began.
    pub started_at: String,
    /// Since when the step is in force.
    pub paused_at: Option<String>,
    /// Since when all is healthy while it bakes.
    pub bake_start_time: Option<String>,
    /// Whether its release stays although it failed.
    pub kept: bool,
    /// Whether others may be taken all the same.
    pub unblocked: bool,
    /// What a person asked for, where one did.
    pub intent: Option<serde_json::Value>,
}

/// What an attempt delivers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Release {
    /// The version.
    pub version: String,
    /// The tag.
    pub tag: String,
    /// The image.
    pub image: String,
}

impl Release {
    /// The digest that goes into a template: what a tag had when it was taken is known besides.
    pub fn digest(&self) -> &str {
        Image::of(&self.image).digest
    }
}

/// The strategy, and the objects by which it splits the traffic of an attempt; empty where there is
/// none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Routing {
    /// The strategy.
    pub strategy: String,
    /// The HTTPRoute, where it is one.
    pub http_route: Option<String>,
    /// The GRPCRoute, where it is one.
    pub grpc_route: Option<String>,
    /// The routes, where they are several.
    pub routes: Vec<Used>,
    /// Labels by which further ones are selected: the plural of their kind, and the labels.
    #[serde(skip)]
    pub selects: Vec<(&'static str, BTreeMap<String, String>)>,
    /// The Service of stable.
    pub stable_service: String,
    /// The Service of the canary.
    pub canary_service: String,
    /// The port of the Services.
    pub port: i64,
    /// By which header the rules of an experiment are known.
    pub variant_match: Option<Variant>,
}

/// One of several routes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Used {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Routing {
    /// All but its routes.
    pub fn rest(&self) -> Self {
        Self {
            http_route: None,
            grpc_route: None,
            routes: Vec::new(),
            selects: Vec::new(),
            ..self.clone()
        }
    }

    /// Whether it names what is used. What labels select may change meanwhile.
    pub fn alike(&self, used: &Self) -> bool {
        let all = |of: &Self| of.names().into_iter().collect::<BTreeSet<String>>();
        let (named, known) = (all(self), all(used));
        let same = if self.selects.is_empty() { named == known } else { named.is_subset(&known) };
        same && self.rest() == used.rest()
    }

    /// The routes that are named, as `<plural of the kind>/<name>`.
    pub fn names(&self) -> Vec<String> {
        let http = self.http_route.iter().map(|name| format!("httproutes/{name}"));
        let grpc = self.grpc_route.iter().map(|name| format!("grpcroutes/{name}"));
        let several =
            self.routes.iter().map(|used| format!("{}/{}", plural(&used.kind), used.name));
        http.chain(grpc).chain(several).collect()
    }
}

/// The plural of a kind of routes.
pub fn plural(kind: &str) -> &'static str {
    if kind == "GRPCRoute" { "grpcroutes" } else { "httproutes" }
}

/// A header that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(default)]
pub struct Variant {
    /// How it is compared.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A revision by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Side {
    /// The revision.
    pub revision: String,
    /// What it delivers.
    pub release: Release,
}

/// A side that drains.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Drain {
    /// The revision.
    pub revision: String,
    /// Since when, as its controller takes it.
    pub since: Option<String>,
}

/// One ended attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Its number.
    pub number: i64,
    /// The revision.
    pub revision: String,
    /// How it ended.
    pub outcome: String,
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Failed {
    /// The revision.
    pub revision: String,
    /// The attempt.
    pub attempt: i64,
    /// What it delivered.
    pub release: Release,
    /// What began the attempt.
    pub trigger: String,
}

/// A pinned image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Pin {
    /// The image.
    pub image: String,
    /// Whether a command chose it.
    pub forced: bool,
}

/// A notice to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// What it tells of.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

/// Why nothing moves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// The code of the hold.
    pub kind: String,
    /// Whether it ends by itself.
    pub automatic: bool,
    /// Since when.
    pub since: String,
    /// When it ends, where that is known.
    pub until: Option<String>,
}

/// A condition by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A word.
    pub reason: String,
    /// When the status last changed.
    pub last_transition_time: String,
}

/// The stages of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The first revision comes up.
    First,
    /// It stands on a step.
    Step,
    /// All traffic is on the new side.
    Promoting,
    /// It has all traffic and has to be healthy.
    Baking,
    /// Traffic goes back.
    RollingBack,
    /// It ended well.
    Completed,
    /// It ended otherwise.
    Ended,
    /// No stage that is known.
    Unknown,
}

/// The hold of a release that failed and stays: it is at rest, and people are told.
pub const KEPT: &str = "FailedRelease";

impl Status {
    /// Reads a status.
    pub fn read(status: &Value) -> Self {
        Self::deserialize(status).unwrap_or_default()
    }

    /// Whether it waits for anything before it is at rest.
    pub fn waits(&self) -> bool {
        self.waiting_for.iter().any(|waiting| waiting.kind != KEPT)
    }

    /// Whether it is lost as a whole: no controller writes such a stage.
    pub fn lost(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.stage() == Stage::Unknown)
    }
}

impl Attempt {
    /// Where it stands.
    pub fn stage(&self) -> Stage {
        match self.stage.as_str() {
            Wire::FIRST => Stage::First,
            Wire::STEP => Stage::Step,
            Wire::PROMOTING => Stage::Promoting,
            Wire::BAKING => Stage::Baking,
            Wire::ROLLING_BACK => Stage::RollingBack,
            Wire::COMPLETED => Stage::Completed,
            Wire::ENDED => Stage::Ended,
            _ => Stage::Unknown,
        }
    }

    /// Whether it goes on.
    pub fn open(&self) -> bool {
        match self.stage() {
            Stage::First | Stage::Step | Stage::Promoting | Stage::Baking | Stage::RollingBack => {
                true
            }
            Stage::Completed | Stage::Ended | Stage::Unknown => false,
        }
    }

    /// Whether its release is to blame for its end.
    pub fn failed(&self) -> bool {
        matches!(
            self.cause.as_deref(),
            Some(
                "Aborted" | "BakeFailed" | "DeadlineExceeded" | "DeliveryFailed" | "DeployTimeout"
            )
        )
    }

    /// Whether it did not win its experiment.
    pub fn lost(&self) -> bool {
        self.cause.as_deref() == Some("Concluded")
    }

    /// Whether it is past the step on which it stood.
    pub fn left(&self, before: &Self) -> bool {
        match self.stage() {
            Stage::Step => self.step > before.step,
            Stage::Promoting | Stage::Baking | Stage::Completed => true,
            Stage::First | Stage::RollingBack | Stage::Ended | Stage::Unknown => false,
        }
    }

    /// The step and whether its pause runs, if it stands on one.
    pub fn place(&self) -> (i64, i64) {
        (self.number, if self.stage() == Stage::Step { self.step } else { 0 })
    }
}
