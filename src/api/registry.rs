//! The registry as a source by itself, and which prereleases it may offer. No logic.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::strategy::{A_YEAR_AT_MOST, EACH_UNIT_ONCE, SOME_TIME};

/// The rule that a registry is not asked too often.
const SELDOM: &str = "duration(self) >= duration('30s')";

/// A repository of a registry whose tags are the releases.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.insecure || !has(self.certSecretRef)").message(
        "spec.registry.certSecretRef is for TLS, which spec.registry.insecure turns off: remove \
         one of them")
)]
pub struct Registry {
    /// The repository. Each of its tags that is a semantic version is a release. Range: a
    /// repository without tag and digest, 1 to 512 characters. Example: `registry.example/shop`.
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[a-zA-Z0-9._/:-]+$"))]
    #[x_kube(validation = Rule::new("!self.matches(':[^/]*$')").message(
        "spec.registry.image has a tag: write the repository alone, such as registry.example/shop"
    ))]
    pub image: String,
    /// How often it is asked for its tags, with up to a tenth more so that many Rollouts do not ask
    /// at once. Rollouts with the same repository and Secrets ask together, as often as the
    /// shortest of them says. Default: 5m. Range: 30s to 8760h, in h, m, s and ms. Example: `10m`.
    #[serde(default = "five_minutes")]
    #[schemars(length(min = 1, max = 28), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    #[x_kube(
        validation = Rule::new(SOME_TIME).message(
            "interval has to be longer than 0: write a time such as 5m, or leave it out"),
        validation = Rule::new(EACH_UNIT_ONCE).message(
            "interval repeats a unit: write each of h, m, s and ms once, such as 1h30m"),
        validation = Rule::new(A_YEAR_AT_MOST).message(
            "interval is longer than 8760h: write a shorter time, or leave it out"),
        validation = Rule::new(SELDOM).message(
            "interval is shorter than 30s: write a longer time, or leave it out")
    )]
    pub interval: String,
    /// A Secret of type `kubernetes.io/dockerconfigjson` in the Rollout's namespace, with the login
    /// for the registry. The controller may read it only by a Role that you make. Default: none, it
    /// asks without a login. Range: a name. Example: `{name: pull}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A Secret in the Rollout's namespace with `ca.crt`, who may sign the registry's certificate,
    /// and `tls.crt` with `tls.key`, what is shown to it. The controller may read it only by a Role
    /// that you make. Default: none, those that the system trusts may. Range: a name. Example:
    /// `{name: registry-ca}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<SecretRef>,
    /// Whether it is asked by HTTP without TLS. Default: false. Range: true or false. Example:
    /// true.
    #[serde(default)]
    pub insecure: bool,
}

/// A Secret in the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// Its name. Range: 1 to 253 characters. Example: `pull`.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// The prereleases that may be taken.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.enabled || !has(self.allow)").message(
        "spec.prereleases.allow needs spec.prereleases.enabled: true")
)]
pub struct Prereleases {
    /// Whether prereleases are taken like other versions: `spec.semver` then compares them by
    /// precedence, so that `<3.0.0` takes 3.0.0-rc.1 and `<3.0.0-0` does not. Default: false; then
    /// one is taken only where `spec.semver` names one itself, as `>=1.0.0-0` does. Range: true or
    /// false. Example: true.
    #[serde(default)]
    pub enabled: bool,
    /// The first identifiers that a prerelease may have: `rc` is that of 1.2.0-rc.1, and not of
    /// 1.2.0-rc1. Default: any. Range: 1 to 16 identifiers, each of 1 to 64 letters, digits and
    /// hyphens. Example: `[rc]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 64), regex(pattern = "^[0-9A-Za-z-]+$"))
    )]
    pub allow: Option<Vec<String>>,
}

fn five_minutes() -> String {
    "5m".to_owned()
}
