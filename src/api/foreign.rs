//! Foreign: the few fields that are read of objects of other systems. Tolerant, never written back.
//!
//! Lean structs, since a store of whole objects costs ten times the memory.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use kube::core::{DynamicObject, Object, PartialObjectMeta};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A namespace: its labels.
#[derive(Resource, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[resource(inherit = k8s_openapi::api::core::v1::Namespace)]
pub struct Namespace {
    /// Name and labels.
    #[serde(deserialize_with = "lean")]
    pub metadata: ObjectMeta,
}

/// A ReplicaSet. Its template is read from our annotation, not from its spec.
#[derive(Resource, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[resource(inherit = k8s_openapi::api::apps::v1::ReplicaSet)]
pub struct ReplicaSet {
    /// Name, labels, annotations, owners.
    #[serde(deserialize_with = "lean")]
    pub metadata: ObjectMeta,
    /// What it is to have.
    #[serde(default)]
    pub spec: ReplicaSetSpec,
    /// What it has.
    #[serde(default)]
    pub status: ReplicaSetStatus,
    /// What its template annotation says, read once: every turn of its Rollout asks.
    #[serde(skip)]
    pub made_of: OnceLock<Option<MadeOf>>,
}

/// Metadata as it is read: without what nobody asks for, and with `M` of `managedFields`.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Lean<M> {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    managed_fields: Option<M>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

impl<M> Lean<M> {
    /// Returns the metadata, and apart from it what was read of `managedFields`.
    pub fn split(self) -> (ObjectMeta, Option<M>) {
        let meta = ObjectMeta {
            annotations: self.annotations,
            creation_timestamp: self.creation_timestamp,
            deletion_timestamp: self.deletion_timestamp,
            finalizers: self.finalizers,
            generation: self.generation,
            labels: self.labels,
            name: self.name,
            namespace: self.namespace,
            owner_references: self.owner_references,
            resource_version: self.resource_version,
            uid: self.uid,
            ..ObjectMeta::default()
        };
        (meta, self.managed_fields)
    }
}

/// Reads metadata without `managedFields`: they are half of an object, and of these kinds nobody
/// asks for them.
///
/// # Errors
/// What cannot be read.
pub fn lean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Ok(Lean::<IgnoredAny>::deserialize(deserializer)?.split().0)
}

/// What a template annotation says.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeOf {
    /// The identity of the template.
    pub template: [u8; 32],
    /// Its images by container.
    pub images: BTreeMap<String, String>,
}

/// What a ReplicaSet is to have.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaSetSpec {
    /// Pods.
    #[serde(default)]
    pub replicas: Option<i32>,
    /// Seconds that a pod must be ready.
    #[serde(default)]
    pub min_ready_seconds: Option<i32>,
}

/// What a ReplicaSet has.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaSetStatus {
    /// Pods, without those that end.
    #[serde(default)]
    pub replicas: i32,
    /// Ready pods.
    #[serde(default)]
    pub ready_replicas: Option<i32>,
    /// Pods that are ready for minReadySeconds.
    #[serde(default)]
    pub available_replicas: Option<i32>,
    /// The generation that this speaks of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
}

/// A pod.
#[derive(Resource, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[resource(inherit = k8s_openapi::api::core::v1::Pod)]
pub struct Pod {
    /// Name, labels, owners.
    #[serde(deserialize_with = "lean")]
    pub metadata: ObjectMeta,
    /// How it does.
    #[serde(default)]
    pub status: PodStatus,
}

/// How a pod does.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct PodStatus {
    /// `Succeeded` and `Failed` are final: such a pod stays as a record only.
    #[serde(default)]
    pub phase: String,
    /// Ready among them.
    #[serde(default)]
    pub conditions: Option<Vec<PodCondition>>,
}

/// A condition of a pod.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct PodCondition {
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// When the status last changed.
    #[serde(default)]
    pub last_transition_time: Option<Time>,
}

/// A Service.
#[derive(Resource, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
pub struct Service {
    /// Name, labels, annotations, owners.
    pub metadata: ObjectMeta,
    /// What it selects.
    #[serde(default)]
    pub spec: ServiceSpec,
}

/// What a Service selects.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Labels of the pods.
    #[serde(default)]
    pub selector: Option<BTreeMap<String, String>>,
    /// Its ports.
    #[serde(default)]
    pub ports: Option<Vec<ServicePort>>,
}

/// A port of a Service.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// The number.
    #[serde(default)]
    pub port: i32,
}

/// A part of the endpoints of a Service.
#[derive(Resource, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[resource(inherit = k8s_openapi::api::discovery::v1::EndpointSlice)]
pub struct EndpointSlice {
    /// Name and labels.
    #[serde(deserialize_with = "lean")]
    pub metadata: ObjectMeta,
    /// The endpoints.
    #[serde(default)]
    pub endpoints: Option<Vec<Endpoint>>,
}

/// One endpoint.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Whether it takes traffic.
    #[serde(default)]
    pub conditions: Option<EndpointConditions>,
    /// The pod.
    #[serde(default)]
    pub target_ref: Option<TargetRef>,
}

/// Whether an endpoint takes traffic.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct EndpointConditions {
    /// `None` means unknown, which Kubernetes asks to read as ready.
    #[serde(default)]
    pub ready: Option<bool>,
}

/// The object behind an endpoint.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct TargetRef {
    /// `Pod`.
    #[serde(default)]
    pub kind: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
}

/// Flux's choice of one tag. Its served version is discovered.
pub type ImagePolicy = Object<Value, ImagePolicyStatus>;

/// What an ImagePolicy chose.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ImagePolicyStatus {
    /// The chosen image; kept by Flux while Ready is False.
    #[serde(default)]
    pub latest_ref: Option<ImageRef>,
    /// The generation that this speaks of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// Ready among them.
    #[serde(default)]
    pub conditions: Option<Vec<Condition>>,
    /// The request for a reconciliation that was answered last.
    #[serde(default)]
    pub last_handled_reconcile_at: Option<String>,
}

/// The chosen image.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct ImageRef {
    /// The repository.
    #[serde(default)]
    pub name: String,
    /// The tag.
    #[serde(default)]
    pub tag: String,
    /// The digest, where the policy reflects it.
    #[serde(default)]
    pub digest: Option<String>,
}

/// A condition of another controller.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// A word.
    #[serde(default)]
    pub reason: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
    /// When the status last changed, as text: whatever it is spoils nothing.
    #[serde(default)]
    pub last_transition_time: Option<Value>,
    /// The generation that it speaks of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
}

/// A route. Its spec stays JSON: it is patched in place and never written back whole.
pub type HttpRoute = Object<Value, RouteStatus>;

/// A route for gRPC: read as the other, and kept apart from it by its type.
pub type GrpcRoute = Object<GrpcSpec, RouteStatus>;

/// The spec of a route for gRPC.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(transparent)]
pub struct GrpcSpec(pub Value);

/// What the gateways say about a route.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// One entry for each gateway and controller.
    #[serde(default)]
    pub parents: Vec<RouteParent>,
}

/// What one gateway says.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RouteParent {
    /// The gateway, as JSON.
    #[serde(default)]
    pub parent_ref: Value,
    /// Accepted and ResolvedRefs.
    #[serde(default)]
    pub conditions: Option<Vec<Condition>>,
}

/// A Flux Kustomization.
pub type Kustomization = Object<KustomizationSpec, KustomizationStatus>;

/// What is read of a Kustomization.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationSpec {
    /// Fields that it leaves alone.
    #[serde(default)]
    pub ignore: Option<Vec<IgnoreRule>>,
    /// What is put into the manifests before they are applied.
    #[serde(default)]
    pub post_build: Option<PostBuild>,
    /// What it applies.
    #[serde(default)]
    pub source_ref: Option<SourceObject>,
    /// Whether it stands still.
    #[serde(default)]
    pub suspend: bool,
}

/// What is put into the manifests before they are applied.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct PostBuild {
    /// Variables with their values.
    #[serde(default)]
    pub substitute: Option<BTreeMap<String, String>>,
}

/// The source of a Kustomization.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct SourceObject {
    /// Its kind.
    #[serde(default)]
    pub kind: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its namespace; absent: the Kustomization's.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// How far a Kustomization has come.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationStatus {
    /// The generation that was last applied, or cannot be.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// Ready among them.
    #[serde(default)]
    pub conditions: Option<Vec<Condition>>,
    /// The revision of the source that was last applied, all healthy.
    #[serde(default)]
    pub last_applied_revision: Option<String>,
    /// The revision of the source that was last tried.
    #[serde(default)]
    pub last_attempted_revision: Option<String>,
    /// What it applied.
    #[serde(default)]
    pub inventory: Option<Inventory>,
    /// The request for a reconciliation that was last answered.
    #[serde(default)]
    pub last_handled_reconcile_at: Option<String>,
}

/// What a Kustomization applied.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct Inventory {
    /// One for each object.
    #[serde(default)]
    pub entries: Vec<InventoryEntry>,
}

/// One object that a Kustomization applied.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct InventoryEntry {
    /// `<namespace>_<name>_<group>_<kind>`.
    #[serde(default)]
    pub id: String,
    /// The version of its kind.
    #[serde(rename = "v", default)]
    pub version: String,
}

/// A Flux OCIRepository.
pub type OciRepository = Object<OciRepositorySpec, OciRepositoryStatus>;

/// What is read of an OCIRepository.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct OciRepositorySpec {
    /// What it fetches.
    #[serde(rename = "ref", default)]
    pub reference: Option<OciReference>,
    /// Whether it stands still.
    #[serde(default)]
    pub suspend: bool,
}

/// What an OCIRepository fetches: a digest outranks a range, and that a tag.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct OciReference {
    /// A digest.
    #[serde(default)]
    pub digest: Option<String>,
    /// A range of versions.
    #[serde(default)]
    pub semver: Option<String>,
    /// A tag.
    #[serde(default)]
    pub tag: Option<String>,
}

/// How far an OCIRepository has come.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct OciRepositoryStatus {
    /// The generation that this speaks of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// Ready among them.
    #[serde(default)]
    pub conditions: Option<Vec<Condition>>,
    /// What was fetched.
    #[serde(default)]
    pub artifact: Option<Artifact>,
    /// The request for a reconciliation that was last answered.
    #[serde(default)]
    pub last_handled_reconcile_at: Option<String>,
}

/// What a source has fetched.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct Artifact {
    /// `<tag>@sha256:…`, or the digest alone.
    #[serde(default)]
    pub revision: String,
    /// OCI annotations.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A Rollout of kuberik: only that it is there matters, whatever it holds.
pub type KuberikRollout = PartialObjectMeta<DynamicObject>;

/// Fields that a Kustomization leaves alone.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
pub struct IgnoreRule {
    /// JSON pointers.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The objects that they are about; absent: all.
    #[serde(default)]
    pub target: Option<IgnoreTarget>,
}

/// The objects that an ignore rule is about; every part is an anchored regular expression.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreTarget {
    /// API group.
    #[serde(default)]
    pub group: Option<String>,
    /// API version.
    #[serde(default)]
    pub version: Option<String>,
    /// Kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// Namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// A label selector as text.
    #[serde(default)]
    pub label_selector: Option<String>,
    /// An annotation selector as text.
    #[serde(default)]
    pub annotation_selector: Option<String>,
}
