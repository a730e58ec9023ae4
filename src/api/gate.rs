//! The RolloutGate: what has to hold before releases start. No logic.

// Each printer column repeats the word `type_`; the lint takes them for one attribute.
#![allow(clippy::duplicated_attributes)]
// `KubeSchema` copies each struct, and nobody reads what its copy leaves out.
#![allow(dead_code)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::selector::LabelSelector;

/// A RolloutGate keeps releases of one Rollout, or of many, from starting until it lets them
/// through.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "stairlock.dev",
    version = "v1alpha1",
    kind = "RolloutGate",
    namespaced,
    category = "stairlock",
    printcolumn(name = "Rollout", type_ = "string", json_path = ".spec.rolloutRef.name"),
    printcolumn(name = "Passing", type_ = "boolean", json_path = ".spec.passing"),
    printcolumn(name = "Allowed", type_ = "string", json_path = ".spec.allowedVersions"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.rolloutRef) != has(self.rolloutSelector)").message(
        "a gate is for one Rollout or for those with labels: write rolloutRef or rolloutSelector"),
    validation = Rule::new(
        "((has(self.passing) || has(self.allowedVersions)) ? 1 : 0) \
         + (has(self.approval) ? 1 : 0) + (has(self.dependsOn) ? 1 : 0) \
         + (has(self.verified) ? 1 : 0) <= 1"
    ).message("a gate asks for one thing: write passing and allowedVersions, or approval, or \
        dependsOn, or verified, and make another RolloutGate for the rest"),
    validation = Rule::new("!has(self.verified) || self.verified").message(
        "verified may be true only: leave it out where signatures are not asked for")
)]
pub struct RolloutGateSpec {
    /// The Rollout that the gate is for, in the gate's namespace. Default: none; then
    /// rolloutSelector says. Range: one Rollout. Example: `{name: shop}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_ref: Option<RolloutRef>,
    /// The labels of the Rollouts that the gate is for, in the gate's namespace; `{}` is all of
    /// them. Default: none; then rolloutRef says. Range: a label selector. Example:
    /// `{matchLabels: {tier: web}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_selector: Option<LabelSelector>,
    /// Whether releases may start. Default: true. Range: true or false. Example: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passing: Option<bool>,
    /// The versions that may start, as tags or as semantic versions; `[]` is none of them. Default:
    /// every version. Range: at most 100, of at most 128 letters, digits, `.`, `_`, `+` and `-`; no
    /// range. Example: `["1.2.3"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 128), regex(pattern = "^[0-9A-Za-z_][0-9A-Za-z._+-]*$"))
    )]
    pub allowed_versions: Option<Vec<String>>,
    /// Each version waits until a person approves it, by the annotation `stairlock.dev/approve` on
    /// the gate, whose value is the version. Default: none. Range: `{}`. Example: `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Each version waits until another Rollout runs it, so that environments follow each other.
    /// Default: none. Range: one Rollout and a time. Example: `{rollout: {name: shop, namespace:
    /// staging}, for: 1h}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<DependsOn>,
    /// Each version waits until Flux has verified the signature of that very revision: the source
    /// has to be an OCIRepository with `spec.verify`. Default: none. Range: true. Example: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// A Rollout of the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
pub struct RolloutRef {
    /// Its name. Range: 1 to 52 characters. Example: `shop`.
    #[schemars(length(min = 1, max = 52))]
    pub name: String,
}

/// Asks a person.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
pub struct Approval {}

/// Asks another Rollout.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
pub struct DependsOn {
    /// The Rollout whose last release that ended well has to be the version. Range: one Rollout,
    /// not one that the gate is for. Example: `{name: shop, namespace: staging}`.
    pub rollout: OtherRollout,
    /// How long ago it has to have ended well. Default: 0s. Range: 0s to 8760h. Example: `1h`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub lasting: Option<String>,
}

/// A Rollout that may be in another namespace.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
pub struct OtherRollout {
    /// Its name. Range: 1 to 52 characters. Example: `shop`.
    #[schemars(length(min = 1, max = 52))]
    pub name: String,
    /// Its namespace; another than the gate's only where the controller was started with
    /// `--allow-cross-namespace-refs` for it. Default: the gate's. Range: 1 to 63 characters.
    /// Example: `staging`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
}
