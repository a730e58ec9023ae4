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
    /// Progressing, Paused, Preview, Experimenting, Baking, Concluded, Completed, Failed. Example:
    /// Paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The present or last attempt to bring a release or template to full traffic. Range: one
    /// attempt. Example: `{number: 7, stage: Step, step: 2, weight: 50}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The side that carries all traffic at rest. Range: one revision. Example: `{revision:
    /// 5f6c0a91be, replicas: 5, readyReplicas: 5}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Side>,
    /// The side that climbs. Range: one revision. Example: `{revision: 0c31d7e2aa, replicas: 1,
    /// readyReplicas: 1}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Side>,
    /// Revisions that lost their traffic and still finish requests. Range: at most 32. Example:
    /// `[{revision: 5f6c0a91be}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub draining: Vec<Draining>,
    /// Ended attempts, newest first; as many as spec.versionHistoryLimit. Range: at most 100.
    /// Example: `[{number: 6, outcome: Completed, weight: 100}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub history: Vec<Entry>,
    /// What failed, or did not win its experiment, and is not tried again. Range: at most 32.
    /// Example: `[{revision: 0c31d7e2aa, attempt: 6}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub quarantine: Vec<Quarantined>,
    /// The fields of Flux objects that hold what was delivered. Range: at most 64. Example:
    /// `[{kind: Kustomization, namespace: flux-system, name: apps, variable: SHOP_TAG, value:
    /// 1.2.3}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub targets: Vec<Target>,
    /// Who asks for the next release that people choose, and why. Default: none. Range: one
    /// intent. Example: `{user: jo, message: as agreed}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// An image that a person set by hand, or a version chosen by force-deploy; releases wait.
    /// Range: one image. Example: `{image: "registry.example/shop:1.2.3"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The releases that are known, oldest first. Range: the newest 20, those of the history, and
    /// 10 that spec.wantedVersion or a gate names. Example: `[{tag: v1.2.3, version: 1.2.3}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 160))]
    pub available_releases: Vec<Listed>,
    /// The known releases that are newer than what runs and did not fail, newest first. Range: at
    /// most 10. Example: `[{tag: v1.2.3, version: 1.2.3}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub release_candidates: Vec<Listed>,
    /// Those candidates that nothing keeps from being taken, newest first. Range: at most 10.
    /// Example: `[{tag: v1.2.3, version: 1.2.3}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub gated_release_candidates: Vec<Listed>,
    /// What kind of artifact the newest known release is. Default: none, where its manifest is not
    /// read. Range: at most 200 characters. Example: `application/vnd.oci.image.config.v1+json`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    /// Where the source code of the newest known release is, as its annotations tell. Default:
    /// none. Range: at most 200 characters. Example: `https://git.example/shop`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What the image is called, likewise. Default: none. Range: at most 200 characters. Example:
    /// `Shop`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What the image is for, likewise. Default: none. Range: at most 200 characters. Example: `The
    /// shop of the example`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The tags of the registry that are no versions, so that no release comes of them. Default:
    /// none. Range: a count and at most 5 tags. Example: `{count: 2, tags: [latest, main]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_tags: Option<SkippedTags>,
    /// The restart of pods that is under way. Range: one restart. Example: `{since:
    /// "2026-01-02T03:04:05Z", number: 1}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Since when spec.paused freezes the attempt, RFC 3339. Range: a time. Example:
    /// `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_since: Option<String>,
    /// Notices of stored transitions that are not known to be sent. Range: at most 32. Example:
    /// `[{type: Normal, reason: Started}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub outbox: Vec<Notice>,
    /// The command annotations whose values were not understood, each answered with one event.
    /// Default: none. Range: at most one for each annotation, 12. Example: `[{annotation:
    /// kulta.io/promote, value: "yes"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub rejected_commands: Vec<Rejected>,
    /// The gates of the Rollout and how they stand. Range: at most 32. Example: `[{name: freeze,
    /// passing: false}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub gates: Vec<Gate>,
    /// A version that passes gates by, as a person asked. Range: one version. Example: `{version:
    /// 1.2.3}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass: Option<Bypass>,
    /// Why nothing moves, and who or what ends that. Range: at most 8. Example: `[{kind:
    /// AwaitingPromotion}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub waiting_for: Vec<Waiting>,
    /// Ready, Completed, and Reconciling, RegistryUnreadable, Unbound, Stalled and TagMoved while
    /// they are true. Range: at most 8. Example: `[{type: Ready, status: "True"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Pods of all revisions. Range: 0 and more. Example: `6`.
    #[serde(default)]
    pub replicas: i32,
    /// Pods of all revisions that are ready. Range: 0 and more. Example: `6`.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Pods of all revisions that are available. Range: 0 and more. Example: `6`.
    #[serde(default)]
    pub available_replicas: i32,
    /// Pods of the present template. Range: 0 and more. Example: `1`.
    #[serde(default)]
    pub updated_replicas: i32,
    /// The labels that select the pods, as text for the scale subresource. Range: a label selector.
    /// Example: `app=shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// What an attempt or side delivers.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The version, absent where the tag is none. Range: a semantic version. Example: `1.2.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The tag. Range: at most 128 characters. Example: `v1.2.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// The digest of the image, or the one that the tag had when it was taken, where it is known.
    /// Range: sha256 or sha512. Example: `sha256:5f6c…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// The image as it stands in the template. Range: an image reference. Example:
    /// `registry.example/shop:v1.2.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// The revision of its source code, as its annotations tell. Range: a text. Example: `5f6c0a9`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// When it was made, as its annotations tell. Range: a time. Example: `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created: String,
}

/// One try to bring a release or template to full traffic.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its number, counted from 1 without gaps. Range: 1 and more. Example: `7`.
    pub number: i64,
    /// What it delivers. Range: one release. Example: `{version: 1.2.3, tag: v1.2.3}`.
    #[serde(default)]
    pub release: Release,
    /// The revision that climbs: ten hex digits, part of the name of its ReplicaSet. Range: ten hex
    /// digits. Example: `5f6c0a91be`.
    pub revision: String,
    /// What began it. Range: Release, Template. Example:
    /// `Release`.
    pub trigger: String,
    /// Whether the release was seen in the template. Default: false. Range: true or false.
    /// Example: `true`.
    #[serde(default)]
    pub delivered: bool,
    /// Where it stands. Range: First, Step, Promoting, Baking, RollingBack, Completed, Ended.
    /// Example: `Step`.
    pub stage: String,
    /// The step of the ladder, counted from 1; 0 off the ladder. Range: 0 to 51. Example: `2`.
    #[serde(default)]
    pub step: i64,
    /// The share of traffic that the new revision is to have at present, in percent; 0 once it goes
    /// back. Range: 0 to 100. Example: `50`.
    #[serde(default)]
    pub weight: i64,
    /// The highest share that the new revision was to have, in percent. Range: 0 to 100. Example:
    /// `75`.
    #[serde(default)]
    pub highest_weight: i64,
    /// The strategy and the objects by which its traffic is split, as they were named when it
    /// began: used until the Rollout has left them. Default: none. Range: one strategy, routes
    /// and two Services. Example: `{strategy: canary, httpRoute: shop, stableService:
    /// shop-stable, canaryService: shop-canary, port: 80}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// Whether it climbs without further pauses, as promote-full asks. Default: false. Range: true
    /// or false. Example: `true`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpaused: bool,
    /// Whether the data decide its experiment, as conclude-experiment with the value true or
    /// maxDuration asks. Default: false. Range: true or false. Example: `true`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub concludes: bool,
    /// Why it did not succeed. Range: Aborted, BakeFailed, Concluded, DeadlineExceeded,
    /// DeliveryFailed, DeployTimeout, Reverted, StrategyChanged, Superseded. Example: `Aborted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Since when all is healthy while it bakes, RFC 3339. Range: a time. Example:
    /// `2026-01-02T03:04:05.678Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_start_time: Option<String>,
    /// The last side that had all traffic and ended well, while the present one, or the one that
    /// it came behind, did not yet. Default: none. Range: one revision. Example:
    /// `{revision: 5f6c0a91be}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Side>,
    /// What its bake came to. Default: none. Range: one bake. Example: `{status: Failed}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Bake>,
    /// Whether its release stays although it failed, as spec.onFailure: Hold asks. Default: false.
    /// Range: true or false. Example: `true`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Whether other releases may be taken all the same, as unblock-failed asks. Default: false.
    /// Range: true or false. Example: `true`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unblocked: bool,
    /// Who asked for it, and why, where people chose it. Default: none. Range: one intent.
    /// Example: `{user: jo, message: as agreed}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// When it began, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub started_at: String,
    /// Since when it stands where it stands, RFC 3339. Range: a time. Example:
    /// `2026-01-02T03:04:05Z`.
    pub entered_at: String,
    /// Since when the step is in force and its pause runs, RFC 3339. Range: a time. Example:
    /// `2026-01-02T03:04:05.678Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<String>,
}

impl Attempt {
    /// Stage: the first revision comes up.
    pub const FIRST: &str = "First";
    /// Tells whether it is in progress.
    pub fn open(&self) -> bool {
        ![Self::COMPLETED, Self::ENDED].contains(&self.stage.as_str())
    }

    /// Stage: it stands on a step.
    pub const STEP: &str = "Step";
    /// Stage: all traffic is on the new side, Service and route follow.
    pub const PROMOTING: &str = "Promoting";
    /// Stage: it has all traffic, and has to be healthy.
    pub const BAKING: &str = "Baking";
    /// Stage: traffic and pods go back to stable.
    pub const ROLLING_BACK: &str = "RollingBack";
    /// Stage: it ended well.
    pub const COMPLETED: &str = "Completed";
    /// Stage: it ended badly, or was ended.
    pub const ENDED: &str = "Ended";
    /// Trigger: a release of the source.
    pub const BY_RELEASE: &str = "Release";
    /// Trigger: an edit of the template.
    pub const BY_TEMPLATE: &str = "Template";
}

/// The strategy of an attempt, and the objects by which its traffic is split.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// The strategy. Range: canary, blueGreen, abTesting, simple. Example: `canary`.
    pub strategy: String,
    /// The HTTPRoute, where it is one. Default: none. Range: a name. Example: `shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<String>,
    /// The GRPCRoute, where it is one. Default: none. Range: a name. Example: `shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_route: Option<String>,
    /// The routes, where they are several. Default: none. Range: two or more. Example: `[{kind:
    /// HTTPRoute, name: shop}, {kind: GRPCRoute, name: shop}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<UsedRoute>,
    /// The Service of the stable side. Default: none. Range: a name. Example: `shop-stable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_service: Option<String>,
    /// The Service of the canary side. Default: none. Range: a name. Example: `shop-canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_service: Option<String>,
    /// The port of both Services and of the route's backends. Range: 1 to 65535. Example: `80`.
    pub port: i32,
    /// Which requests an experiment sends to the canary side; its rules in the route are known by
    /// it. Default: none. Range: one header. Example: `{type: Exact, name: x-group, value: b}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_match: Option<HeaderMatch>,
}

impl Routing {
    /// Tells the kind and the name of each route, as the API spells kinds.
    pub fn all(&self) -> impl Iterator<Item = (&str, &String)> {
        let http = self.http_route.iter().map(|name| ("HTTPRoute", name));
        let grpc = self.grpc_route.iter().map(|name| ("GRPCRoute", name));
        http.chain(grpc).chain(self.routes.iter().map(|route| (route.kind.as_str(), &route.name)))
    }
}

/// One of several routes.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UsedRoute {
    /// Its kind. Range: HTTPRoute, GRPCRoute. Example: HTTPRoute.
    pub kind: String,
    /// Its name. Range: a name. Example: `shop`.
    pub name: String,
}

/// A header that a request has to carry, as a rule of the route has it.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// How it is compared. Range: Exact, RegularExpression. Example: `Exact`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name. Range: the name of a header. Example: `x-group`.
    pub name: String,
    /// Its value, or what the value has to match. Range: a text. Example: `b`.
    pub value: String,
}

/// One revision as it serves.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// The revision. Range: ten hex digits. Example: `5f6c0a91be`.
    pub revision: String,
    /// What it delivers. Range: one release. Example: `{version: 1.2.3, tag: v1.2.3}`.
    #[serde(default)]
    pub release: Release,
    /// Its pods. Range: 0 and more. Example: `5`.
    #[serde(default)]
    pub replicas: i32,
    /// Its pods that are ready. Range: 0 and more. Example: `5`.
    #[serde(default)]
    pub ready_replicas: i32,
}

/// A revision that lost its traffic.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Draining {
    /// The revision. Range: ten hex digits. Example: `5f6c0a91be`.
    pub revision: String,
    /// When the route accepted weight 0 for it, RFC 3339; absent before. Range: a time. Example:
    /// `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// One ended attempt.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its number. Range: 1 and more. Example: `6`.
    pub number: i64,
    /// What it delivered. Range: one release. Example: `{version: 1.2.3, tag: v1.2.3}`.
    #[serde(default)]
    pub release: Release,
    /// The revision. Range: ten hex digits. Example: `5f6c0a91be`.
    pub revision: String,
    /// What began it. Range: Release, Template. Example:
    /// `Release`.
    pub trigger: String,
    /// How it ended: Completed, or the cause. Range: Completed, Aborted, BakeFailed, Concluded,
    /// DeadlineExceeded, DeliveryFailed, DeployTimeout, Reverted, StrategyChanged, Superseded.
    /// Example: `Completed`.
    pub outcome: String,
    /// The highest weight that it reached, in percent. Range: 0 to 100. Example: `100`.
    pub weight: i64,
    /// When it began, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub started_at: String,
    /// When it ended, RFC 3339. Range: a time. Example: `2026-01-02T03:09:05Z`.
    pub ended_at: String,
    /// What began it, and who asked for it where people chose it. Default: none. Range: a kind
    /// and a name. Example: `{kind: User, name: jo}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggered_by: Option<TriggeredBy>,
    /// Why, where people chose it. Default: none. Range: a text. Example: `as agreed`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What its bake came to: Succeeded, Failed, Cancelled. Default: none, it had no bake. Range:
    /// Succeeded, Failed, Cancelled. Example: `Succeeded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_status: Option<String>,
    /// Why. Default: none. Range: a sentence. Example: `all stayed healthy for 10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_status_message: Option<String>,
    /// Since when all was healthy, RFC 3339. Default: none, it never was. Range: a time. Example:
    /// `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_start_time: Option<String>,
    /// When the bake ended, RFC 3339. Range: a time. Example: `2026-01-02T03:09:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_end_time: Option<String>,
    /// The HealthChecks that failed it. Range: at most 16. Example: `[{name: shop}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub failed_health_checks: Vec<FailedHealthCheck>,
}

/// Who asks for a release, and why: claims of whoever annotates.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Who. Default: none. Range: at most 128 characters. Example: `jo`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Why. Default: none. Range: at most 512 characters. Example: `as agreed`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Who began an attempt.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TriggeredBy {
    /// User: a person, as the annotation deploy-user claims. System: Stairlock by itself. Range:
    /// User, System. Example: `User`.
    pub kind: String,
    /// The name. Range: a name. Example: `jo`.
    pub name: String,
}

impl TriggeredBy {
    /// Kind: a person.
    pub const USER: &str = "User";
    /// Kind: by itself.
    pub const SYSTEM: &str = "System";
}

/// What a bake came to.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Bake {
    /// How it ended. Range: Succeeded, Failed, Cancelled. Example: `Failed`.
    pub status: String,
    /// Why. Range: a sentence. Example: `HealthCheck shop: error rate 7 %`.
    pub message: String,
    /// Since when all was healthy, RFC 3339. Default: none, it never was. Range: a time. Example:
    /// `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// When it ended, RFC 3339. Range: a time. Example: `2026-01-02T03:09:05Z`.
    pub end_time: String,
    /// The HealthChecks that failed it. Range: at most 16. Example: `[{name: shop}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub failed_health_checks: Vec<FailedHealthCheck>,
}

/// A HealthCheck that failed a bake.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FailedHealthCheck {
    /// Its name. Range: a name. Example: `shop`.
    pub name: String,
    /// Its namespace. Range: a name. Example: `prod`.
    pub namespace: String,
    /// What it said. Range: a sentence. Example: `error rate 7 %`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A field of a Flux object that holds what was delivered.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The kind of the object. Range: OCIRepository, Kustomization. Example: `Kustomization`.
    pub kind: String,
    /// Its namespace. Range: a name. Example: `flux-system`.
    pub namespace: String,
    /// Its name. Range: a name. Example: `apps`.
    pub name: String,
    /// The variable of its substitutes; absent for a tag. Default: none. Range: a variable.
    /// Example: `SHOP_TAG`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variable: String,
    /// What was delivered, or what others set instead and it holds. Range: a value, empty where it
    /// holds none. Example: `1.2.3`.
    pub value: String,
    /// Since when it is there, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub since: String,
    /// Who took it away since a release last stayed, the latest last. Default: none. Range: at
    /// most 8. Example: `[{manager: kubectl-edit, value: 1.2.3, times: 1}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub reverted_by: Vec<Revert>,
    /// Whether the object does not bind it any more: its value stays. Default: false. Range: true
    /// or false. Example: `true`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unbound: bool,
}

/// How often one manager took away what was delivered.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Revert {
    /// The field manager; absent where the value vanished and nobody had the field. Default: none.
    /// Range: a field manager. Example: `kubectl-edit`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// What it took away, at last. Range: a tag. Example: `1.2.3`.
    pub value: String,
    /// How many times; the second is OwnershipConflict. Range: 1 to 2. Example: `1`.
    pub times: i32,
}

impl Entry {
    /// Outcome: it reached full traffic.
    pub const COMPLETED: &str = "Completed";
}

/// What failed and is not tried again.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// The revision. Range: ten hex digits. Example: `0c31d7e2aa`.
    pub revision: String,
    /// What it delivered. Range: one release. Example: `{version: 1.2.4, tag: v1.2.4}`.
    #[serde(default)]
    pub release: Release,
    /// What began the attempt. Range: Release, Template.
    /// Example: `Release`.
    pub trigger: String,
    /// The attempt in which it failed. Range: 1 and more. Example: `6`.
    pub attempt: i64,
    /// When, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub since: String,
}

/// An image that a person set by hand.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The image. Range: an image reference. Example: `registry.example/shop:1.2.3`.
    pub image: String,
    /// The version that a release has to exceed to end the pin; absent: any release ends it. Range:
    /// a semantic version. Example: `1.2.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub until_newer_than: String,
    /// Since when, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub since: String,
    /// Whether the command force-deploy chose it: then it is delivered. Default: false. Range: true
    /// or false. Example: `true`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

/// A release as it is listed.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The tag. Range: at most 128 characters. Example: `v1.2.3`.
    #[serde(default)]
    pub tag: String,
    /// The digest, where it is known. Range: sha256 or sha512. Example: `sha256:5f6c…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The version. Range: a semantic version. Example: `1.2.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The revision of its source code, as its annotations tell. Range: a text. Example: `5f6c0a9`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// When it was made, as its annotations tell. Range: a time. Example: `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created: String,
}

/// Tags that are no versions.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct SkippedTags {
    /// How many there are. Range: 1 and more. Example: `2`.
    pub count: i64,
    /// The first of them. Range: at most 5. Example: `[latest, main]`.
    #[serde(default)]
    #[schemars(length(max = 5))]
    pub tags: Vec<String>,
}

/// A restart of pods that is under way.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// Pods that were made before are replaced, RFC 3339. Range: a time. Example:
    /// `2026-01-02T03:04:05Z`.
    pub since: String,
    /// Which one it is of those that followed each other without an end. Range: 1 and more.
    /// Example: `1`.
    pub number: i64,
}

/// A notice of a stored transition.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Derived from Rollout, attempt, step and reason. Range: a text. Example: `3f0c9d27a1`.
    pub id: String,
    /// Normal or Warning. Range: Normal, Warning. Example: `Normal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A CamelCase word. Range: a CamelCase word. Example: `StepEntered`.
    pub reason: String,
    /// One sentence. Range: a sentence. Example: `attempt 7 stands on step 2`.
    pub message: String,
    /// When the transition was stored, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub at: String,
}

impl Notice {
    /// Type: for information.
    pub const NORMAL: &str = "Normal";
    /// Type: a person should look.
    pub const WARNING: &str = "Warning";
}

/// A gate and how it stands.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// The name of the RolloutGate. Range: a name. Example: `freeze`.
    pub name: String,
    /// Whether it lets anything through. Range: true or false. Example: `false`.
    pub passing: bool,
    /// The versions that it lets through; absent: every one. Range: at most 16. Example:
    /// `["1.2.3"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub allowed_versions: Option<Vec<String>>,
    /// What the release on offer waits for, for a person; absent where it may pass. Range: a
    /// sentence. Example: `RolloutGate freeze lets nothing through`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether the release on offer passes it by, as a person asked. Default: false. Range: true or
    /// false. Example: `true`.
    #[serde(default)]
    pub bypassed: bool,
}

/// A version that passes gates by.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Bypass {
    /// The version or tag, as it was asked for. Range: at most 128 characters. Example: `1.2.3`.
    pub version: String,
    /// Since when, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub since: String,
}

/// A command annotation whose value was not understood.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The annotation. Range: the key of a command. Example: `kulta.io/promote`.
    pub annotation: String,
    /// Its value, cut to 64 characters. Range: at most 64 characters. Example: `yes`.
    pub value: String,
}

/// Why nothing moves.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The code of the hold. Range: the codes of docs/spec/rollout.md. Example: AwaitingPromotion.
    pub kind: String,
    /// The object that it is about; absent: the Rollout itself. Range: a name. Example:
    /// `shop-canary`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Since when, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub since: String,
    /// Until when, RFC 3339, where that is known. Range: a time. Example: `2026-01-02T03:09:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether it ends without a person. Range: true or false. Example: `true`.
    pub automatic: bool,
    /// What is waited for and what ends it. Range: a sentence. Example: `waits to be promoted`.
    pub message: String,
    /// The command that ends it, as a line for a shell. Range: a command line. Example: `kubectl
    /// -n prod annotate slr shop stairlock.dev/promote=true --overwrite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A condition, as kubectl and kstatus read it.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Ready, Completed, Reconciling or Stalled. Range: Ready, Completed, Reconciling, Stalled.
    /// Example: `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown. Range: True, False, Unknown. Example: `True`.
    pub status: String,
    /// A CamelCase word. Range: a CamelCase word. Example: `Completed`.
    pub reason: String,
    /// For a person. Range: a sentence. Example: `all traffic is on the present template`.
    pub message: String,
    /// When the status last changed, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    pub last_transition_time: String,
    /// The generation that it speaks of. Range: 1 and more. Example: `3`.
    pub observed_generation: i64,
}

/// The generation of a status that was never written.
pub fn never() -> i64 {
    -1
}

/// The schema of conditions: a list by type, of at most 8.
pub fn conditions_schema(generator: &mut SchemaGenerator) -> Schema {
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
