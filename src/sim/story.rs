//! Story: what a simulated cluster is made of and what happens to it, as YAML.
//!
//! A scenario of `stairlock simulate`, a story of the tests and a failing seed are all this.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::model::moment::Duration;

/// The version of this format. Another one is refused.
pub const VERSION: u32 = 1;

/// What a simulated cluster is made of and what happens to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Story {
    /// The version of this format.
    pub story: u32,
    /// What all chance is drawn from.
    #[serde(default)]
    pub seed: u64,
    /// Controllers that compete for the Lease; with 1 there is no election.
    #[serde(default = "one")]
    pub controllers: u32,
    /// When it ends, at the latest.
    #[serde(default = "hour")]
    pub until: Span,
    /// What stands there at the beginning: manifests. Those of `-f` come before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
    /// What happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

fn one() -> u32 {
    1
}

fn hour() -> Span {
    Span(Duration::from_secs(3600))
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

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One thing that happens. Times count from the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Event {
    /// The ImagePolicy `name` shows a version. Its digest is made from version and `build`, so
    /// that another `build` is the same tag pushed again.
    Release {
        /// When.
        at: Span,
        /// The policy; absent: the only one.
        #[serde(default)]
        name: Option<String>,
        /// The version.
        version: String,
        /// Which push of the tag.
        #[serde(default)]
        build: u32,
    },
    /// The ImagePolicy is Ready or not; it keeps what it showed.
    Source {
        /// When.
        at: Span,
        /// Whether it is.
        ready: bool,
    },
    /// Somebody merges this into an object: `rollouts/shop`. `by` is the field manager
    /// (`kubectl-edit`); with `every`, again and again until `until` (a controller that puts
    /// back).
    Edit {
        /// When.
        at: Span,
        /// `plural/name`, in the namespace of the Rollout.
        object: String,
        /// By whom, or by how much.
        #[serde(default = "person")]
        by: String,
        /// The merge patch.
        merge: Value,
        /// How often.
        #[serde(default)]
        every: Option<Span>,
        /// Until when.
        #[serde(default)]
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
        version: String,
        /// What.
        fate: Fate,
    },
    /// Whether the gateway accepts routes; a silent one says nothing of what it is asked.
    Gateway {
        /// When.
        at: Span,
        /// How.
        answer: GatewayAnswer,
    },
    /// How many of a hundred requests to a version fail.
    Errors {
        /// When.
        at: Span,
        /// The version.
        version: String,
        /// 0 to 100.
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
        write: u32,
        /// On which side of it.
        side: Side,
    },
    /// A controller ends and begins again `after` that.
    Restart {
        /// When.
        at: Span,
        /// Which controller, from 0.
        #[serde(default)]
        controller: u32,
        /// How much later.
        #[serde(default = "second")]
        after: Span,
    },
    /// A controller does not run for a while; what it had sent arrives when it does again.
    Pause {
        /// When.
        at: Span,
        /// Which controller, from 0.
        #[serde(default)]
        controller: u32,
        /// How long.
        length: Span,
    },
    /// The answer to the n-th write is lost; the write is carried out.
    LoseReply {
        /// Which write, from 1.
        write: u32,
    },
    /// The n-th write is answered so and not carried out (`code: 504`: carried out).
    Answer {
        /// Which write, from 1.
        write: u32,
        /// The HTTP status.
        code: u16,
        /// The header `Retry-After`.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// What watches of a resource (its plural) tell comes this much later, for a while.
    Delay {
        /// When.
        at: Span,
        /// The plural.
        resource: String,
        /// How long.
        length: Span,
        /// By whom, or by how much.
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
    /// The wall clock of a controller is set by seconds, forwards or backwards.
    Clock {
        /// When.
        at: Span,
        /// Which controller, from 0.
        #[serde(default)]
        controller: u32,
        /// By how much.
        seconds: i64,
    },
    /// The wall clock of a controller runs by this many parts per thousand too fast.
    Drift {
        /// When.
        at: Span,
        /// Which controller, from 0.
        #[serde(default)]
        controller: u32,
        /// By how much.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// It is never carried out.
    Before,
    /// It is carried out, the answer is not heard.
    After,
}
