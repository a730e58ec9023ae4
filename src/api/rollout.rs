//! The Rollout: spec, scale, columns and the rules that the API server checks.

// Each printer column repeats the word `type_`; the lint takes them for one attribute.
#![allow(clippy::duplicated_attributes)]
// `KubeSchema` copies each struct, and nobody reads what its copy leaves out.
#![allow(dead_code)]

use std::sync::OnceLock;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::keys::GROUP;
use crate::api::registry::{Prereleases, Registry};
use crate::api::routing::labels_schema;
use crate::api::selector::LabelSelector;
use crate::api::status::{RolloutStatus, Routing};
use crate::api::strategy::{A_YEAR_AT_MOST, EACH_UNIT_ONCE, SOME_TIME, Strategy};

/// A Rollout brings each new release of an image, and each edit of its pod template, to full
/// traffic step by step.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "stairlock.dev",
    version = "v1alpha1",
    kind = "Rollout",
    namespaced,
    status = "RolloutStatus",
    shortname = "slr",
    category = "stairlock",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "integer", json_path = ".status.attempt.step"),
    printcolumn(name = "Weight", type_ = "integer", json_path = ".status.attempt.weight"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.attempt.release.version"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Waiting-For", type_ = "string", json_path = ".status.waitingFor[0].kind"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 52").message(
        "metadata.name may have at most 52 characters, since names of pods are made of it: \
         choose a shorter name"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "has(self.template) == has(self.selector) && has(self.template) == has(self.strategy)"
    ).message("spec.template, spec.selector and spec.strategy belong together: write all three, or \
        none for a Rollout that only delivers"),
    validation = Rule::new("has(self.template) || has(self.sourceRef) || has(self.registry)")
        .message("a Rollout without spec.template has nothing to do without spec.sourceRef or \
            spec.registry: add one of them"),
    validation = Rule::new("!has(self.sourceRef) || !has(self.registry)").message(
        "spec.sourceRef and spec.registry both offer releases: remove one of them"),
    validation = Rule::new("!has(self.prereleases) || has(self.registry)").message(
        "spec.prereleases counts for spec.registry only: remove it; of an ImagePolicy its own \
         range says which prereleases it takes, such as >=1.0.0-0"),
    validation = Rule::new(
        "!has(self.template) || !has(self.selector) \
         || has(self.template.metadata) && has(self.template.metadata.labels) \
         && self.selector.matchLabels.all(key, key in self.template.metadata.labels \
         && self.template.metadata.labels[key] == self.selector.matchLabels[key])"
    ).message("spec.selector.matchLabels has a label that the pods would not carry: add it to \
        spec.template.metadata.labels with the same value"),
    validation = Rule::new(format!(
        "!has(self.template) || !has(self.template.metadata) \
         || !has(self.template.metadata.labels) \
         || self.template.metadata.labels.all(key, !key.startsWith('{GROUP}/'))"
    )).message(format!("spec.template.metadata.labels has keys that begin with {GROUP}/: \
        remove them, Stairlock sets its own").as_str()),
    validation = Rule::new(
        "!has(self.wantedVersion) || has(self.sourceRef) || has(self.registry)"
    ).message("spec.wantedVersion needs a source: set spec.sourceRef or spec.registry, or edit the \
        image in the template"),
    validation = Rule::new(
        "!self.requireDigest || has(self.template) && (has(self.sourceRef) || has(self.registry))"
    ).message("spec.requireDigest writes the digest of a release into spec.template: set \
        spec.template, and spec.sourceRef or spec.registry, or remove requireDigest"),
    validation = Rule::new(
        "!has(self.template) || !has(self.template.spec.initContainers) \
         || self.template.spec.initContainers.all(init, \
         !self.template.spec.containers.exists(other, other.name == init.name))"
    ).message("a container and an init container have the same name: rename one of them")
)]
pub struct RolloutSpec {
    /// The Flux object that offers releases. Default: none; then every edit of the template is a
    /// new revision and the version is read from the image tag. Range: one ImagePolicy,
    /// OCIRepository or Kustomization. Example: `{kind: ImagePolicy, name: shop, namespace:
    /// flux-system}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<SourceRef>,
    /// A repository of a registry that offers releases by itself, in place of sourceRef: its tags
    /// are listed again and again. Default: none. Range: one repository. Example: `{image:
    /// "registry.example/shop", interval: 10m}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// Which prereleases `spec.registry` may offer. It counts for a registry only: an ImagePolicy
    /// takes the prereleases that its own range names, and another source tells one version.
    /// Default: none but those that `spec.semver` names. Range: `enabled` and `allow`. Example:
    /// `{enabled: true, allow: [rc]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prereleases: Option<Prereleases>,
    /// A further range that the version of a release has to lie in, in the grammar of Flux:
    /// comparisons joined by space or comma, alternatives by `||`, and `~`, `^`, `x`, hyphen.
    /// Default: every version that the source offers. Range: at most 256 characters.
    /// Example: `">=1.2.0 <3.0.0"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub semver: Option<String>,
    /// The version to run, whatever else is offered: it goes before force-deploy and before newer
    /// releases, and may be older than what runs. Default: none; the newest release is taken.
    /// Range: the version or the tag of a release that is known, at most 128 characters. Example:
    /// `"2.1.0"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[a-zA-Z0-9_][a-zA-Z0-9_.+-]*$"))]
    pub wanted_version: Option<String>,
    /// Whether a release goes into the template with its digest, as `tag@digest`: as long as the
    /// digest is not known nothing is written, and a tag that is pushed again is a new release. For
    /// versions of an OCIRepository or a Kustomization it is asked of the image's registry, with
    /// the logins of the template's imagePullSecrets. Default: false; then the digest is written
    /// where the ImagePolicy reports one. Range: true or false. Example: true.
    #[serde(default)]
    pub require_digest: bool,
    /// The container or init container whose image takes the releases. Default: every one whose
    /// image is of the release's repository. Range: a container name of the template, at most 63
    /// characters. Example: `app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub container: Option<String>,
    /// The HealthChecks that a release depends on: one that is Unhealthy keeps releases from
    /// starting by themselves, and a release that has all traffic waits until each of them became
    /// Healthy since its attempt began. Default: none. Range: labels of HealthChecks, and of
    /// namespaces. Example: `{selector: {matchLabels: {app: shop}}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_selector: Option<HealthCheckSelector>,
    /// How long after the start of an attempt at a release the next one may start: of releases that
    /// come in between the newest is taken then. Edits of the template, the first release and one
    /// that passes gates by do not wait. Default: none, so that each release starts at once. Range:
    /// 1ms to 8760h, in h, m, s and ms. Example: `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 28), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    #[x_kube(
        validation = Rule::new(SOME_TIME).message(
            "releaseUpdateInterval has to be longer than 0: write a time such as 1h, or leave it \
             out"),
        validation = Rule::new(EACH_UNIT_ONCE).message(
            "releaseUpdateInterval repeats a unit: write each of h, m, s and ms once, such as \
             1h30m"),
        validation = Rule::new(A_YEAR_AT_MOST).message(
            "releaseUpdateInterval is longer than 8760h: write a shorter time, or leave it out")
    )]
    pub release_update_interval: Option<String>,
    /// How many ended attempts `status.history` keeps. Default: 10. Range: 1 to 100. Example: 20.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    pub version_history_limit: i32,
    /// How many pods a full side has. Leave it out of Git where an autoscaler sets it.
    /// Default: 1. Range: 0 to 100000. Example: 5.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100_000))]
    pub replicas: i32,
    /// How long a release has to stay healthy once it has all traffic and Flux has applied it,
    /// before it counts as a success. Default: none, it succeeds at once. Range: 1ms to
    /// 8760h. Example: `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 28), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    #[x_kube(
        validation = Rule::new(SOME_TIME).message(
            "bakeTime has to be longer than 0: write a time such as 10m, or leave it out"),
        validation = Rule::new(EACH_UNIT_ONCE).message(
            "bakeTime repeats a unit: write each of h, m, s and ms once, such as 1h30m"),
        validation = Rule::new(A_YEAR_AT_MOST).message(
            "bakeTime is longer than 8760h: write a shorter time, or leave it out")
    )]
    pub bake_time: Option<String>,
    /// The longest time that a release may need, once it has all traffic, until Flux has applied
    /// what was delivered and all is healthy; then it has failed. Default: none, it waits. Range:
    /// 1ms to 8760h. Example: `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 28), regex(pattern = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    #[x_kube(
        validation = Rule::new(SOME_TIME).message(
            "deployTimeout has to be longer than 0: write a time such as 15m, or leave it out to \
             wait"),
        validation = Rule::new(EACH_UNIT_ONCE).message(
            "deployTimeout repeats a unit: write each of h, m, s and ms once, such as 1h30m"),
        validation = Rule::new(A_YEAR_AT_MOST).message(
            "deployTimeout is longer than 8760h: write a shorter time, or leave it out to wait")
    )]
    pub deploy_timeout: Option<String>,
    /// What becomes of a release that fails while it is delivered or bakes. Rollback: the last good
    /// one comes back. Hold: it stays, and other releases wait until a person decides. Default:
    /// Rollback. Range: Rollback, Hold. Example: `Hold`.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What the condition Ready says. Admitted: that the present generation is under way.
    /// Completed: that it is completed; then a Flux Kustomization with `wait` waits for the whole
    /// ladder. Default: Admitted. Range: Admitted, Completed. Example: `Completed`.
    #[serde(default)]
    pub ready_when: ReadyWhen,
    /// The labels that select the Rollout's pods; the template has to carry them and they cannot
    /// be changed. Default: none, where there is no template. Range: 1 to 32 labels. Example:
    /// `{matchLabels: {app: shop}}`.
    #[serde(default, skip_serializing_if = "Selector::is_empty")]
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.selector is immutable: create a Rollout of another name instead"))]
    pub selector: Selector,
    /// The pods to run. The containers' images may be absent until the first release fills them.
    /// Unknown fields are kept; the API server checks the template when a revision is made of it.
    /// Default: none; then the Rollout only delivers to the Flux objects that are bound to it.
    /// Range: a PodTemplateSpec whose labels include those of spec.selector. Example: `{metadata:
    /// {labels: {app: shop}}, spec: {containers: [{name: app, image:
    /// "registry.example/shop:1.2.3"}]}}`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(schema_with = "template_schema")]
    pub template: Value,
    /// The identity of the template, told once: every turn asks.
    #[serde(skip)]
    #[schemars(skip)]
    pub template_id: OnceLock<[u8; 32]>,
    /// How many seconds a pod has to be ready without a break to count as available. Default: 0.
    /// Range: 0 to 3600. Example: 10.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub min_ready_seconds: i32,
    /// How many seconds a step, the promotion or the first revision may need until it is in
    /// force; then the attempt fails and is rolled back. Pauses do not count. Default: 600.
    /// Range: 1 to 86400. Example: 300.
    #[serde(default = "six_hundred")]
    #[schemars(range(min = 1, max = 86_400))]
    pub progress_deadline_seconds: i32,
    /// How many old ReplicaSets are kept. Default: 10. Range: 0 to 100. Example: 3.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 100))]
    pub revision_history_limit: i32,
    /// Freezes the ladder and deliveries; the command abort still works. Default: false.
    /// Range: true or false. Example: true.
    #[serde(default)]
    pub paused: bool,
    /// How a new revision gets its traffic. Default: none, where there is no template. Range:
    /// exactly one strategy. Example: `{canary:
    /// {steps: [{setWeight: 20, pause: {duration: 5m}}, {setWeight: 100}]}}`.
    #[serde(default, skip_serializing_if = "Strategy::is_none")]
    pub strategy: Strategy,
}

/// What becomes of a release that fails while it is delivered or bakes.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The last good one comes back.
    #[default]
    Rollback,
    /// It stays until a person decides.
    Hold,
}

/// What the condition Ready says.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadyWhen {
    /// That the present generation is under way.
    #[default]
    Admitted,
    /// That it is completed.
    Completed,
}

/// The Flux object that offers releases.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.kind == 'Kustomization' || !has(self.substitute)").message(
        "spec.sourceRef.substitute names a variable of a Kustomization: remove it, or set kind to \
         Kustomization"),
    validation = Rule::new("self.kind != 'ImagePolicy' || !has(self.image)").message(
        "spec.sourceRef.image is for sources that tell no image: remove it, the ImagePolicy tells \
         its own")
)]
pub struct SourceRef {
    /// Its kind. An ImagePolicy tells an image; an OCIRepository, by the tag of its artifact, and
    /// a Kustomization tell a version only. Range: `ImagePolicy`, `OCIRepository`,
    /// `Kustomization`. Example: `ImagePolicy`.
    pub kind: SourceKind,
    /// Its name. Range: 1 to 253 characters. Example: `shop`.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Its namespace; another than the Rollout's only where the controller was started with
    /// `--allow-cross-namespace-refs` for it. Default: the Rollout's. Range: 1 to 63 characters.
    /// Example: `flux-system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// The variable in `spec.postBuild.substitute` of a Kustomization whose value is the version.
    /// Default: the tag in its `status.lastAppliedRevision`. Range: a variable name of Flux, at
    /// most 128 characters. Example: `SHOP_VERSION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[_a-zA-Z][_a-zA-Z0-9]*$"))]
    pub substitute: Option<String>,
    /// The repository of the image whose tag is the version, where the source tells a version
    /// only. Default: that of the container that takes releases. Range: a repository without tag,
    /// at most 512 characters. Example: `registry.example/shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
}

/// The HealthChecks that a release depends on.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckSelector {
    /// The labels of the HealthChecks; `{}` is all of them. Range: a label selector. Example:
    /// `{matchLabels: {app: shop}}`.
    pub selector: LabelSelector,
    /// The labels of the namespaces in which they are; `{}` is all namespaces. Default: the
    /// Rollout's own namespace. Range: a label selector. Example: `{matchLabels: {team: web}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
}

/// The kinds that offer releases.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Flux's choice of one tag out of a registry.
    ImagePolicy,
    /// Flux's copy of an artifact.
    OCIRepository,
    /// What Flux applies.
    Kustomization,
}

/// Labels that select pods.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels with the value that a pod has to have. Range: 1 to 32 labels. Example: `{app: shop}`.
    #[schemars(schema_with = "labels_schema")]
    pub match_labels: std::collections::BTreeMap<String, String>,
}

impl Selector {
    fn is_empty(&self) -> bool {
        self.match_labels.is_empty()
    }
}

impl Rollout {
    /// Tells the Services that it uses: first those that it has in use, then others that its
    /// strategy names.
    pub fn services(&self) -> impl Iterator<Item = &String> {
        let used = self.routing().into_iter();
        let used = used.flat_map(|used| [&used.stable_service, &used.canary_service]).flatten();
        let used: Vec<&String> = used.collect();
        let named = self.spec.strategy.services().filter(|name| !used.contains(name));
        let named: Vec<&String> = named.collect();
        used.into_iter().chain(named)
    }

    fn routing(&self) -> Option<&Routing> {
        self.status.as_ref()?.attempt.as_ref()?.routing.as_ref()
    }
}

fn one() -> i32 {
    1
}

fn ten() -> i32 {
    10
}

fn six_hundred() -> i32 {
    600
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default()
}

/// The template is kept as it is; its containers are lists keyed by name, so that server-side
/// apply of another manager leaves their images alone.
fn template_schema(_: &mut SchemaGenerator) -> Schema {
    let containers = |what: &str, least: u32| {
        json!({
            "type": "array",
            "description": what,
            "minItems": least,
            "maxItems": 64,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "description": "One container, with all fields that a pod's container has.",
                "required": ["name"],
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {
                    "name": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 63,
                        "description": "The container's name, unique in the pod. Range: 1 to 63 \
                            characters. Example: `app`.",
                    },
                    "image": {
                        "type": "string",
                        "maxLength": 1024,
                        "description": "The image to run. Default: none; the first release of the \
                            source fills it in. Range: at most 1024 characters. Example: \
                            `registry.example/shop:1.2.3`.",
                    },
                },
            },
        })
    };
    schema(json!({
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "metadata": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "description": "Labels and annotations of the pods. Default: none. Range: \
                    labels that include those of spec.selector. \
                    Example: `{labels: {app: shop}}`.",
                "properties": {
                    "labels": {
                        "type": "object",
                        "maxProperties": 64,
                        "additionalProperties": {"type": "string", "maxLength": 63},
                        "description": "Labels of the pods. Default: none. Range: at most \
                            64 labels, none of Stairlock's own. Example: `{app: shop}`.",
                    },
                },
            },
            "spec": {
                "type": "object",
                "required": ["containers"],
                "x-kubernetes-preserve-unknown-fields": true,
                "description": "The PodSpec. Range: as in a Deployment. Example: \
                    `{containers: [{name: app, image: \"registry.example/shop:1.2.3\"}]}`.",
                "properties": {
                    "containers": containers("The containers, told apart by name. Range: 1 to \
                        64. Example: `[{name: app, image: \"registry.example/shop:1.2.3\"}]`.", 1),
                    "initContainers": containers("The init containers, told apart by name. \
                        Default: none. Range: 0 to 64. Example: `[{name: migrate}]`.", 0),
                },
            },
        },
    }))
}
