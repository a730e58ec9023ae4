//! The HealthCheck: whether something that a release depends on is well. No logic.

// Each printer column repeats the word `type_`; the lint takes them for one attribute.
#![allow(clippy::duplicated_attributes)]
// `KubeSchema` copies each struct, and nobody reads what its copy leaves out.
#![allow(dead_code)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A HealthCheck tells, in its status, whether something that releases depend on is well. Whoever
/// looks after it writes the status; a Rollout that selects it waits for it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
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
#[x_kube(validation = Rule::new(
    "!has(self.kustomizationRef) || (has(self.class) && self.class == 'kustomization')"
).message("kustomizationRef is for class kustomization: write `class: kustomization` beside it, or \
    leave kustomizationRef out"))]
pub struct HealthCheckSpec {
    /// A word by which those who write the status tell theirs; of class `kustomization` Stairlock
    /// writes it itself. Default: none. Range: 1 to 63 characters. Example: `datadog`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub class: Option<String>,
    /// The Flux Kustomization that a check of class `kustomization` looks at, with all that it
    /// applies. Default: the one that the annotation `healthcheck.kuberik.com/kustomization` names.
    /// Range: one Kustomization. Example: `{name: apps, namespace: flux-system}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomization_ref: Option<KustomizationRef>,
}

/// A Flux Kustomization.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
pub struct KustomizationRef {
    /// Its name. Range: 1 to 253 characters. Example: `apps`.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Its namespace; another than the check's only where the controller was started with
    /// `--allow-cross-namespace-refs` for it. Default: the check's. Range: 1 to 63 characters.
    /// Example: `flux-system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
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
    #[schemars(extend("format" = "date-time"))]
    pub last_error_time: Option<String>,
    /// Why, for a person. Range: a sentence. Example: `two pods are not ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When status last changed, RFC 3339. Range: a time. Example: `2026-01-02T03:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_change_time: Option<String>,
    /// The Kustomization as it stood when a check of class `kustomization` found it Healthy: what
    /// was found counts for no other generation or revision. Range: one. Example:
    /// `{generation: 3, revision: "1.2.0@sha256:0123"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomization: Option<AppliedState>,
}

/// How a Kustomization stood.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
pub struct AppliedState {
    /// Its generation. Range: a whole number. Example: 3.
    pub generation: i64,
    /// The revision that it last applied. Range: a text. Example: `1.2.0@sha256:0123`.
    pub revision: String,
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
