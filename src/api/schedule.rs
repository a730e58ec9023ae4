//! The schedules: when releases may start, or may not. No logic.

// Each printer column repeats the word `type_`; the lint takes them for one attribute.
#![allow(clippy::duplicated_attributes)]
// `KubeSchema` copies each struct, and nobody reads what its copy leaves out.
#![allow(dead_code)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::selector::LabelSelector;
use crate::api::status::{Condition, conditions_schema, never};

/// A RolloutSchedule opens and closes a gate at each Rollout of its namespace that it selects, by
/// the clock.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "stairlock.dev",
    version = "v1alpha1",
    kind = "RolloutSchedule",
    namespaced,
    status = "ScheduleStatus",
    category = "stairlock",
    printcolumn(name = "Action", type_ = "string", json_path = ".spec.action"),
    printcolumn(name = "Active", type_ = "boolean", json_path = ".status.active"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextTransition"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message(
        "metadata.name may have at most 63 characters, since labels of gates are made of it: \
         choose a shorter name"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct RolloutScheduleSpec {
    /// The labels of the Rollouts that it is for; `{}` is all of the namespace. Range: a label
    /// selector. Example: `{matchLabels: {tier: web}}`.
    pub rollout_selector: LabelSelector,
    /// When it is active: while one of them holds. Range: 1 to 50 rules. Example: `[{name: office,
    /// timeRange: {start: "09:00", end: "17:00"}, daysOfWeek: [Monday, Friday]}]`.
    #[schemars(length(min = 1, max = 50))]
    pub rules: Vec<ScheduleRule>,
    /// Whose clocks the rules speak of. Default: UTC. Range: the IANA name of a time zone. Example:
    /// `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub timezone: Option<String>,
    /// What it does while it is active: Allow lets releases start, and at no other time; Deny lets
    /// none start. Default: Deny. Range: Allow, Deny. Example: Allow.
    #[serde(default)]
    pub action: ScheduleAction,
}

/// A ClusterRolloutSchedule does for Rollouts of many namespaces what a RolloutSchedule does for
/// those of one.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "stairlock.dev",
    version = "v1alpha1",
    kind = "ClusterRolloutSchedule",
    status = "ScheduleStatus",
    category = "stairlock",
    printcolumn(name = "Action", type_ = "string", json_path = ".spec.action"),
    printcolumn(name = "Active", type_ = "boolean", json_path = ".status.active"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextTransition"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message(
        "metadata.name may have at most 63 characters, since labels of gates are made of it: \
         choose a shorter name"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRolloutScheduleSpec {
    /// The labels of the Rollouts that it is for; `{}` is all. Range: a label selector. Example:
    /// `{matchLabels: {tier: web}}`.
    pub rollout_selector: LabelSelector,
    /// The labels of the namespaces whose Rollouts it is for. Default: all namespaces. Range: a
    /// label selector. Example: `{matchLabels: {stage: prod}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// When it is active: while one of them holds. Range: 1 to 50 rules. Example:
    /// `[{dateRange: {start: "2026-12-24", end: "2027-01-02"}}]`.
    #[schemars(length(min = 1, max = 50))]
    pub rules: Vec<ScheduleRule>,
    /// Whose clocks the rules speak of. Default: UTC. Range: the IANA name of a time zone. Example:
    /// `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub timezone: Option<String>,
    /// What it does while it is active: Allow lets releases start, and at no other time; Deny lets
    /// none start. Default: Deny. Range: Allow, Deny. Example: Deny.
    #[serde(default)]
    pub action: ScheduleAction,
}

/// When a schedule is active: each part that is there has to hold.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "has(self.timeRange) || has(self.daysOfWeek) || has(self.dateRange)"
).message("a rule needs a part: write timeRange, daysOfWeek or dateRange"))]
pub struct ScheduleRule {
    /// What people call it, as in status.activeRules. Default: its place, as `rules[0]`. Range: 1
    /// to 63 characters. Example: `office`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// The time of day. Default: all day. Range: a start and an end. Example: `{start: "22:00",
    /// end: "06:00"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_range: Option<TimeRange>,
    /// The days of the week on which the time begins. Default: every day. Range: 1 to 7 days.
    /// Example: `[Monday, Tuesday]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 7))]
    pub days_of_week: Option<Vec<DayOfWeek>>,
    /// The days of the calendar on which the time begins. Default: every day. Range: a first and a
    /// last day. Example: `{start: "2026-12-24", end: "2027-01-02"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_range: Option<DateRange>,
}

/// A time of day.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
pub struct TimeRange {
    /// When it begins. Range: 00:00 to 23:59. Example: `"22:00"`.
    #[schemars(length(min = 5, max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    /// When it is over; a time that is not after start is one of the next day. Range: 00:00 to
    /// 23:59. Example: `"06:00"`.
    #[schemars(length(min = 5, max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub end: String,
}

/// Days of the calendar.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = Rule::new("self.start <= self.end").message(
    "dateRange.end is before its start: write the later day as end"))]
pub struct DateRange {
    /// The first day. Range: YYYY-MM-DD. Example: `"2026-12-24"`.
    #[schemars(length(min = 10, max = 10), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub start: String,
    /// The last day, which counts too. Range: YYYY-MM-DD, not before start. Example:
    /// `"2027-01-02"`.
    #[schemars(length(min = 10, max = 10), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub end: String,
}

/// A day of the week.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DayOfWeek {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// What an active schedule does.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScheduleAction {
    /// It lets releases start.
    Allow,
    /// It lets none start.
    #[default]
    Deny,
}

/// What the controller knows about a schedule.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// The generation of the spec that was last looked at. Default: -1, before the first look.
    /// Range: -1 and more. Example: 3.
    #[serde(default = "never")]
    pub observed_generation: i64,
    /// Whether a rule holds. Default: false. Range: true or false. Example: true.
    #[serde(default)]
    pub active: bool,
    /// The rules that hold. Range: at most 50. Example: `[office]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub active_rules: Vec<String>,
    /// When active changes next, RFC 3339; absent: never. Range: a time to come. Example:
    /// `2026-01-05T09:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_transition: Option<String>,
    /// The RolloutGates that it made; of a ClusterRolloutSchedule with their namespaces. Range: the
    /// first 256. Example: `[office-shop-5f6c0a91be]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub managed_gates: Vec<String>,
    /// The Rollouts that it is for; of a ClusterRolloutSchedule with their namespaces. Range: the
    /// first 256. Example: `[shop]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub matching_rollouts: Vec<String>,
    /// Ready: whether its gates stand as its rules say. Range: at most 8. Example: `[{type: Ready,
    /// status: "True"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
