//! The HealthCheck: whether something that a release depends on is well. No logic.

// Each printer column repeats the word `type_`; the lint takes them for one attribute.
#![allow(clippy::duplicated_attributes)]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A HealthCheck tells, in its status, whether something that releases depend on is well. Whoever
/// looks after it writes the status; a Rollout that selects it waits for it.
#[derive(CustomResource, Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[kube(
    group = "stairlock.dev",
    version = "v1alpha1",
    kind = "HealthCheck",
    namespaced,
    status = "HealthCheckStatus",
    category = "stairlock",
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.class"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.status"),
    printcolumn(name = "Changed", type_ = "date", json_path = ".status.lastChangeTime"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckSpec {
    /// A word by which those who write the status tell theirs. Default: none. Range: 1 to 63
    /// characters. Example: `datadog`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub class: Option<String>,
}

/// What is known of it.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckStatus {
    /// What it says; absent: Pending. Range: Healthy, Unhealthy, Pending. Example: Healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<HealthState>,
    /// When an error was last found, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error_time: Option<String>,
    /// Why, for a person. Range: a sentence. Example: `two pods are not ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When status last changed, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change_time: Option<String>,
}

/// What it says; absent: Pending. Range: Healthy, Unhealthy, Pending. Example: Healthy.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// All is well.
    Healthy,
    /// An error was found.
    Unhealthy,
    /// Nothing is known yet.
    Pending,
}
