//! Story: what a simulated cluster is made of and what happens to it, as YAML.
//!
//! A scenario of `stairlock simulate`, a story of the tests and a failing seed are all this. What
//! happens in it is the business of the driver and the world; its text that of `scenario`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::model::moment::Duration;
use crate::sim::schema::DURATION;

/// The version of this format. Another one is refused.
pub const VERSION: u32 = 1;

/// The answers to a write that a story may ask for.
pub const CODES: [u16; 6] = [409, 429, 500, 502, 503, 504];

/// What a simulated cluster is made of and what happens to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Story {
    /// The version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub story: u32,
    /// What all chance is drawn from.
    #[serde(default, skip_serializing_if = "zero")]
    pub seed: u64,
    /// Controllers that compete for the Lease; with 1 there is no election.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 8))]
    pub controllers: u32,
    /// When it ends, at the latest.
    #[serde(default = "hour")]
    pub until: Span,
    /// What stands there at the beginning: manifests. Those of `-f` come before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub objects: Vec<Value>,
    /// What happens, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10_000))]
    pub events: Vec<Event>,
}

fn one() -> u32 {
    1
}

fn hour() -> Span {
    Span(Duration::from_secs(3600))
}

fn zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// A length of time, as `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Duration::parse(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": DURATION})
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One thing that happens. Times count from the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Event {
    /// The source `name` shows a version: an ImagePolicy, else an OCIRepository, else a
    /// Kustomization that applied it. Its digest is made from version and `build`, so that another
    /// `build` is the same tag pushed again. Where a Rollout has a `registry`, the tag is pushed
    /// there, and seen once it is listed; `name` is that of the Rollout then.
    Release {
        /// When.
        at: Span,
        /// The source; absent: the only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The version, which is the tag too.
        #[schemars(length(min = 1, max = 128))]
        version: String,
        /// Which push of the tag.
        #[serde(default, skip_serializing_if = "zero")]
        build: u32,
    },
    /// The ImagePolicies and OCIRepositories are Ready or not; they keep what they showed. A
    /// `registry` that is not fails, or tells no tags or some of them.
    Source {
        /// When.
        at: Span,
        /// Whether they are.
        ready: bool,
    },
    /// Somebody merges this into an object: `rollouts/shop`. With `every`, again and again until
    /// `until` (a controller that puts back).
    Edit {
        /// When.
        at: Span,
        /// `plural/name`, in the namespace of the Rollout.
        object: String,
        /// By whom: the field manager.
        #[serde(default = "person")]
        #[schemars(length(min = 1, max = 128))]
        by: String,
        /// The merge patch, a map.
        merge: Value,
        /// How often.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        every: Option<Span>,
        /// Until when; absent: to the end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Span>,
    },
    /// A person annotates the Rollout: `{promote: "true"}`; a key without a slash is ours.
    Annotate {
        /// When.
        at: Span,
        /// The annotations.
        set: BTreeMap<String, String>,
    },
    /// An object is deleted.
    Delete {
        /// When.
        at: Span,
        /// `plural/name`, in the namespace of the Rollout.
        object: String,
    },
    /// What becomes of pods of a version, those that run included.
    Pods {
        /// When.
        at: Span,
        /// The version.
        #[schemars(length(min = 1, max = 128))]
        version: String,
        /// What.
        fate: Fate,
    },
    /// Whether the gateway accepts routes; a silent one says nothing of what it is asked.
    Gateway {
        /// When.
        at: Span,
        /// The only route that it is about, as plural/name; all where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        object: Option<String>,
        /// How.
        answer: GatewayAnswer,
    },
    /// How many of a hundred requests to a version fail.
    Errors {
        /// When.
        at: Span,
        /// The version.
        #[schemars(length(min = 1, max = 128))]
        version: String,
        /// How many.
        #[schemars(range(min = 0.0, max = 100.0))]
        percent: f64,
    },
    /// Whether Prometheus answers.
    Prometheus {
        /// When.
        at: Span,
        /// Whether it does.
        up: bool,
    },
    /// Whichever controller makes the n-th write of the story (from 1, the Lease not counted) ends
    /// there, and begins again.
    Crash {
        /// Which write, from 1.
        #[schemars(range(min = 1))]
        write: u32,
        /// On which side of it.
        side: Side,
    },
    /// A controller ends and begins again `after` that.
    Restart {
        /// When.
        at: Span,
        /// Which controller, from 0.
        #[serde(default, skip_serializing_if = "zero")]
        controller: u32,
        /// How much later it begins again.
        #[serde(default = "second")]
        after: Span,
    },
    /// A controller does not run for a while; what it had sent arrives when it does again.
    Pause {
        /// When.
        at: Span,
        /// Which controller, from 0.
        #[serde(default, skip_serializing_if = "zero")]
        controller: u32,
        /// How long.
        length: Span,
    },
    /// The answer to the n-th write is lost; the write is carried out.
    LoseReply {
        /// Which write, from 1.
        #[schemars(range(min = 1))]
        write: u32,
    },
    /// The n-th write is answered so and not carried out (`code: 504`: carried out).
    Answer {
        /// Which write, from 1.
        #[schemars(range(min = 1))]
        write: u32,
        /// The HTTP status: 409, 429, 500, 502, 503 or 504.
        code: u16,
        /// The header `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<String>,
    },
    /// What watches of a resource tell comes later, for a while.
    Delay {
        /// When.
        at: Span,
        /// The plural.
        resource: String,
        /// How long.
        length: Span,
        /// How much later.
        by: Span,
    },
    /// Watches of a resource lose what happens within this time.
    Drop {
        /// When.
        at: Span,
        /// The plural.
        resource: String,
        /// How long.
        length: Span,
    },
    /// Watches of a resource tell everything twice for a while.
    Duplicate {
        /// When.
        at: Span,
        /// The plural.
        resource: String,
        /// How long.
        length: Span,
    },
    /// All watches of a resource end with 410 Gone.
    Expire {
        /// When.
        at: Span,
        /// The plural.
        resource: String,
    },
    /// The API server does not answer at all for a while.
    Outage {
        /// When.
        at: Span,
        /// How long.
        length: Span,
    },
    /// The wall clock of a controller is set, forwards or backwards.
    Clock {
        /// When.
        at: Span,
        /// Which controller, from 0.
        #[serde(default, skip_serializing_if = "zero")]
        controller: u32,
        /// By how many seconds; backwards below 0. At most a year either way.
        #[schemars(range(min = -31_536_000, max = 31_536_000))]
        seconds: i64,
    },
    /// The wall clock of a controller runs too fast.
    Drift {
        /// When.
        at: Span,
        /// Which controller, from 0.
        #[serde(default, skip_serializing_if = "zero")]
        controller: u32,
        /// By how many parts of a thousand; too slow below 0.
        #[schemars(range(min = -999, max = 9000))]
        permille: i32,
    },
}

fn person() -> String {
    "kubectl-edit".to_owned()
}

fn second() -> Span {
    Span(Duration::from_secs(1))
}

/// What becomes of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fate {
    /// Ready after this time.
    Ready {
        /// How much later.
        after: Span,
    },
    /// Never ready.
    Stuck,
    /// Ready and unready in turns of this length.
    Flapping {
        /// How often.
        every: Span,
    },
    /// Ready, and unready for good after this time.
    Crashing {
        /// How much later.
        after: Span,
    },
    /// All but one become ready.
    OneStuck,
}

/// How the gateway answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GatewayAnswer {
    /// Accepted and resolved.
    Accepts,
    /// Not accepted.
    Refuses,
    /// No answer.
    Silent,
}

/// Which side of a write.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// It is never carried out.
    Before,
    /// It is carried out, the answer is not heard.
    After,
}

impl Event {
    /// Tells when it happens; `None`: at a write.
    pub fn at(&self) -> Option<Span> {
        match self {
            Self::Release { at, .. }
            | Self::Source { at, .. }
            | Self::Edit { at, .. }
            | Self::Annotate { at, .. }
            | Self::Delete { at, .. }
            | Self::Pods { at, .. }
            | Self::Gateway { at, .. }
            | Self::Errors { at, .. }
            | Self::Prometheus { at, .. }
            | Self::Restart { at, .. }
            | Self::Pause { at, .. }
            | Self::Delay { at, .. }
            | Self::Drop { at, .. }
            | Self::Duplicate { at, .. }
            | Self::Expire { at, .. }
            | Self::Outage { at, .. }
            | Self::Clock { at, .. }
            | Self::Drift { at, .. } => Some(*at),
            Self::Crash { .. } | Self::LoseReply { .. } | Self::Answer { .. } => None,
        }
    }

    /// Tells the word by which a story names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Release { .. } => "release",
            Self::Source { .. } => "source",
            Self::Edit { .. } => "edit",
            Self::Annotate { .. } => "annotate",
            Self::Delete { .. } => "delete",
            Self::Pods { .. } => "pods",
            Self::Gateway { .. } => "gateway",
            Self::Errors { .. } => "errors",
            Self::Prometheus { .. } => "prometheus",
            Self::Crash { .. } => "crash",
            Self::Restart { .. } => "restart",
            Self::Pause { .. } => "pause",
            Self::LoseReply { .. } => "loseReply",
            Self::Answer { .. } => "answer",
            Self::Delay { .. } => "delay",
            Self::Drop { .. } => "drop",
            Self::Duplicate { .. } => "duplicate",
            Self::Expire { .. } => "expire",
            Self::Outage { .. } => "outage",
            Self::Clock { .. } => "clock",
            Self::Drift { .. } => "drift",
        }
    }
}
