//! The status of a Rollout, as it is stored and shown.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What the controller knows about a Rollout.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The generation of the spec that was last looked at. Default: -1, before the first look.
    /// Range: -1 and more. Example: 3.
    #[serde(default = "never")]
    pub observed_generation: i64,
    /// Where the Rollout stands. Default: none, before the first look. Range: Initializing,
    /// Progressing, Paused, Completed, Failed. Example: Paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The present or last attempt to bring a release or template to full traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The side that carries all traffic at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Side>,
    /// The side that climbs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Side>,
    /// Revisions that lost their traffic and still finish requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub draining: Vec<Draining>,
    /// Ended attempts, newest first; as many as spec.versionHistoryLimit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub history: Vec<Entry>,
    /// What failed and is not tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub quarantine: Vec<Quarantined>,
    /// An image that a person set by hand; releases wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Since when spec.paused freezes the attempt, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_since: Option<String>,
    /// Notices of stored transitions that are not known to be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub outbox: Vec<Notice>,
    /// A command annotation whose value was not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// Why nothing moves, and who or what ends that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub waiting_for: Vec<Waiting>,
    /// Ready, Completed, and Reconciling and Stalled while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Pods of all revisions.
    #[serde(default)]
    pub replicas: i32,
    /// Pods of all revisions that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Pods of all revisions that are available.
    #[serde(default)]
    pub available_replicas: i32,
    /// Pods of the present template.
    #[serde(default)]
    pub updated_replicas: i32,
    /// The labels that select the pods, as text for the scale subresource. Example: `app=shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// What an attempt or side delivers.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The version, absent where the tag is none. Example: `1.2.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The tag. Example: `v1.2.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// The digest, where it is known. Example: `sha256:5f6c…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// The image as it stands in the template. Example: `registry.example/shop:v1.2.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
}

/// One try to bring a release or template to full traffic.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its number, counted from 1 without gaps.
    pub number: i64,
    /// What it delivers.
    #[serde(default)]
    pub release: Release,
    /// The revision that climbs: ten hex digits, part of the name of its ReplicaSet.
    pub revision: String,
    /// What began it: Release, Template or Command.
    pub trigger: String,
    /// Whether the release was seen in the template.
    #[serde(default)]
    pub delivered: bool,
    /// Where it stands: First, Step, Promoting, RollingBack, Completed or Ended.
    pub stage: String,
    /// The step of the ladder, counted from 1; 0 off the ladder.
    #[serde(default)]
    pub step: i64,
    /// The share of traffic of the new revision that was last asked for, in percent.
    #[serde(default)]
    pub weight: i64,
    /// Why it did not reach full traffic: Aborted, DeadlineExceeded, Reverted or Superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// Since when it stands where it stands, RFC 3339.
    pub entered_at: String,
    /// Since when the step is in force and its pause runs, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<String>,
}

/// One revision as it serves.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// The revision.
    pub revision: String,
    /// What it delivers.
    #[serde(default)]
    pub release: Release,
    /// Its pods.
    #[serde(default)]
    pub replicas: i32,
    /// Its pods that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
}

/// A revision that lost its traffic.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Draining {
    /// The revision.
    pub revision: String,
    /// When the route accepted weight 0 for it, RFC 3339; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// One ended attempt.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its number.
    pub number: i64,
    /// What it delivered.
    #[serde(default)]
    pub release: Release,
    /// The revision.
    pub revision: String,
    /// What began it: Release, Template or Command.
    pub trigger: String,
    /// How it ended: Completed, or a cause: Aborted, DeadlineExceeded, Reverted, Superseded.
    pub outcome: String,
    /// The highest weight that it reached, in percent.
    pub weight: i64,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it ended, RFC 3339.
    pub ended_at: String,
}

/// What failed and is not tried again.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// The revision.
    pub revision: String,
    /// What it delivered.
    #[serde(default)]
    pub release: Release,
    /// What began the attempt: Release, Template or Command.
    pub trigger: String,
    /// The attempt in which it failed.
    pub attempt: i64,
    /// When, RFC 3339.
    pub since: String,
}

/// An image that a person set by hand.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The image.
    pub image: String,
    /// The version that a release has to exceed to end the pin; absent: any release ends it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub until_newer_than: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// A notice of a stored transition.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Derived from Rollout, attempt, step and reason.
    pub id: String,
    /// Normal or Warning.
    #[serde(rename = "type")]
    pub kind: String,
    /// A CamelCase word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// When the transition was stored, RFC 3339.
    pub at: String,
}

/// A command annotation whose value was not understood.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The annotation.
    pub annotation: String,
    /// Its value, cut to 64 characters.
    pub value: String,
}

/// Why nothing moves.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The code of the hold. Example: AwaitingPromotion.
    pub kind: String,
    /// The object that it is about; absent: the Rollout itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Until when, RFC 3339, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether it ends without a person.
    pub automatic: bool,
    /// What is waited for and what ends it.
    pub message: String,
    /// The command that ends it, as a line for a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A condition, as kubectl and kstatus read it.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Ready, Completed, Reconciling or Stalled.
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown.
    pub status: String,
    /// A CamelCase word.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// When the status last changed, RFC 3339.
    pub last_transition_time: String,
    /// The generation that it speaks of.
    pub observed_generation: i64,
}

fn never() -> i64 {
    -1
}

fn conditions_schema(generator: &mut SchemaGenerator) -> Schema {
    let item = Condition::json_schema(generator);
    let schema = json!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": item,
    });
    Schema::try_from(schema).unwrap_or_default()
}
