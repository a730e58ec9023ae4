//! Kind: the kinds of objects that are read or written, by name. No logic.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::gvk::GroupVersionKind;
use kube::discovery::ApiResource;

use crate::api::keys;

/// A kind of object that is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Our own.
    Rollout,
    /// What keeps releases from starting.
    RolloutGate,
    /// What opens and closes gates by the clock.
    RolloutSchedule,
    /// The same for many namespaces.
    ClusterRolloutSchedule,
    /// What tells whether something is well.
    HealthCheck,
    /// What objects are in.
    Namespace,
    /// The pods of one revision.
    ReplicaSet,
    /// One pod.
    Pod,
    /// What selects pods.
    Service,
    /// The endpoints of a Service.
    EndpointSlice,
    /// Flux's choice of one tag.
    ImagePolicy,
    /// Flux's copy of an artifact.
    OciRepository,
    /// A route of the Gateway API.
    HttpRoute,
    /// A route of the Gateway API for gRPC.
    GrpcRoute,
    /// What Flux applies.
    Kustomization,
    /// kuberik's own.
    KuberikRollout,
    /// What a Kustomization applied, of whatever kind.
    Applied,
    /// What people are told.
    Event,
}

impl Kind {
    /// Tells whether objects of this kind split traffic between two sides.
    pub fn splits(self) -> bool {
        match self {
            Self::Service | Self::HttpRoute | Self::GrpcRoute => true,
            Self::Rollout
            | Self::RolloutGate
            | Self::RolloutSchedule
            | Self::ClusterRolloutSchedule
            | Self::HealthCheck
            | Self::Namespace
            | Self::ReplicaSet
            | Self::Pod
            | Self::EndpointSlice
            | Self::ImagePolicy
            | Self::OciRepository
            | Self::Kustomization
            | Self::KuberikRollout
            | Self::Applied
            | Self::Event => false,
        }
    }

    /// Tells the name, as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rollout => "Rollout",
            Self::RolloutGate => "RolloutGate",
            Self::RolloutSchedule => "RolloutSchedule",
            Self::ClusterRolloutSchedule => "ClusterRolloutSchedule",
            Self::HealthCheck => "HealthCheck",
            Self::Namespace => "Namespace",
            Self::ReplicaSet => "ReplicaSet",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::ImagePolicy => "ImagePolicy",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::OciRepository => "OCIRepository",
            Self::Kustomization => "Kustomization",
            Self::KuberikRollout => "Rollout",
            Self::Applied => "applied object",
            Self::Event => "Event",
        }
    }

    /// Tells the group, the versions that can be read, best first, and the plural.
    fn names(self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Self::Rollout => (keys::GROUP, &[keys::VERSION], "rollouts"),
            Self::RolloutSchedule => (keys::GROUP, &[keys::VERSION], "rolloutschedules"),
            Self::ClusterRolloutSchedule => {
                (keys::GROUP, &[keys::VERSION], "clusterrolloutschedules")
            }
            Self::HealthCheck => (keys::GROUP, &[keys::VERSION], "healthchecks"),
            Self::Namespace => ("", &["v1"], "namespaces"),
            Self::RolloutGate => (keys::GROUP, &[keys::VERSION], "rolloutgates"),
            Self::ReplicaSet => ("apps", &["v1"], "replicasets"),
            Self::Pod => ("", &["v1"], "pods"),
            Self::Service => ("", &["v1"], "services"),
            Self::EndpointSlice => ("discovery.k8s.io", &["v1"], "endpointslices"),
            Self::ImagePolicy => {
                (keys::FLUX_IMAGE_GROUP, &["v1", "v1beta2", "v1beta1"], "imagepolicies")
            }
            Self::OciRepository => (keys::FLUX_SOURCE_GROUP, &["v1", "v1beta2"], "ocirepositories"),
            Self::HttpRoute => (keys::GATEWAY_GROUP, &["v1"], "httproutes"),
            Self::GrpcRoute => (keys::GATEWAY_GROUP, &["v1"], "grpcroutes"),
            Self::Kustomization => (keys::FLUX_KUSTOMIZE_GROUP, &["v1"], "kustomizations"),
            Self::KuberikRollout => (keys::KUBERIK_GROUP, &["v1alpha1"], "rollouts"),
            Self::Applied => ("", &[], ""), // one of many: its watch asks for its path
            Self::Event => ("events.k8s.io", &["v1"], "events"),
        }
    }

    /// Tells the paths by which every version that can be read is asked for, best first.
    pub fn resources(self) -> Vec<ApiResource> {
        let (group, versions, plural) = self.names();
        let resource = |version: &&str| {
            let gvk = GroupVersionKind::gvk(group, version, self.as_str());
            ApiResource::from_gvk_with_plural(&gvk, plural)
        };
        versions.iter().map(resource).collect()
    }

    /// Tells the path by which objects are written: the best version.
    pub fn resource(self) -> ApiResource {
        let (group, versions, plural) = self.names();
        let version = versions.first().copied().unwrap_or_default();
        let gvk = GroupVersionKind::gvk(group, version, self.as_str());
        ApiResource::from_gvk_with_plural(&gvk, plural)
    }
}

/// A name within a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// Makes a name within a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The name of an object by its metadata; what is missing there is empty.
    pub fn of(meta: &ObjectMeta) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self::new(text(&meta.namespace), text(&meta.name))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An object by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The kind.
    pub kind: Kind,
    /// Namespace and name.
    pub key: Key,
}

impl Reference {
    /// Names an object.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, key: Key::new(namespace, name) }
    }

    /// Speaks of all objects of a kind in a namespace: no object has an empty name.
    pub fn any(kind: Kind, namespace: impl Into<String>) -> Self {
        Self::new(kind, namespace, "")
    }

    /// Tells whether it speaks of all objects of its kind.
    pub fn is_any(&self) -> bool {
        self.key.name.is_empty()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.key)
    }
}

/// Reads a resourceVersion, 0 where there is none; they are numbers that grow (Kubernetes 1.35 says
/// so, etcd always did).
pub fn version_number(version: Option<&str>) -> u64 {
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}
