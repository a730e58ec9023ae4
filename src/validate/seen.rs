//! Seen: the raw objects and readings of one turn. Nothing here is checked yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::check::HealthCheck;
use crate::api::foreign::{
    EndpointSlice, GrpcRoute, HttpRoute, ImagePolicy, Kustomization, OciRepository, Pod,
    ReplicaSet, Service,
};
use crate::api::gate::RolloutGate;
use crate::api::kind::{Key, Kind};
use crate::api::rollout::Rollout;
use crate::model::moment::Timestamp;

/// A HealthCheck, with the Kustomization that it names where that exists.
#[derive(Debug, Clone)]
pub struct NamedCheck {
    /// The check.
    pub check: Arc<HealthCheck>,
    /// The Kustomization that it names.
    pub kustomization: Option<Arc<Kustomization>>,
    /// Whether the Rollout may look at it.
    pub reached: bool,
    /// Whether this process has looked at what it is about, where that is ours to do.
    pub looked: bool,
}

/// The raw objects and readings of one turn.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The Rollout; of its managedFields at least those entries that own an image.
    pub rollout: Arc<Rollout>,
    /// Every ReplicaSet of the namespace that carries our label with the Rollout's name, or that
    /// the Rollout owns.
    pub replica_sets: Vec<Arc<ReplicaSet>>,
    /// The pods that carry our label with the Rollout's name, or why they cannot be read; `None`
    /// unless a restart is under way.
    pub pods: Option<Result<Vec<Pod>, String>>,
    /// The object of `spec.sourceRef`.
    pub source: Source,
    /// What is known of the registry of an ImagePolicy: `None` where nobody was asked yet.
    pub reading: Option<Reading>,
    /// What is known of the manifests behind tags of that registry.
    pub manifests: Arc<Manifests>,
    /// The HealthChecks that the Rollout selects, each with the Kustomization that it names, as far
    /// as that exists; `None`: it selects none.
    pub checks: Option<Vec<NamedCheck>>,
    /// The gates that are for the Rollout, each with the Rollout that it depends on.
    pub gates: Vec<(Arc<RolloutGate>, Option<Found<Rollout>>)>,
    /// The Services that the strategy or the attempt in progress names, as far as they exist; where
    /// there is no attempt, also those whose selector we wrote and that no Rollout names.
    pub services: Vec<Arc<Service>>,
    /// The EndpointSlices of these Services.
    pub slices: Vec<Arc<EndpointSlice>>,
    /// The HTTPRoutes that the strategy or the attempt in progress names, as far as they exist, and
    /// those with the labels that the strategy asks for.
    pub routes: Vec<Arc<HttpRoute>>,
    /// The GRPCRoutes, likewise.
    pub grpc_routes: Vec<Arc<GrpcRoute>>,
    /// The kinds of routes that are not installed.
    pub absent: BTreeSet<Kind>,
    /// A kind that the Rollout refers to and the API server does not let us list, with its words.
    pub denied: Option<(Kind, String)>,
    /// What is bound to the Rollout.
    pub bound: Bound,
    /// The Kustomizations that the labels of the Rollout, the Services, the routes or what is bound
    /// name.
    pub kustomizations: Vec<Arc<Kustomization>>,
    /// Other Rollouts of the namespace that use one of the Services or routes.
    pub rivals: Vec<Arc<Rollout>>,
    /// Since when this process, as the one that leads, looks at the Rollout.
    pub watched_since: Timestamp,
    /// What the API server said to a dry run of the present template's ReplicaSet, if it refused.
    pub template_refused: Option<String>,
    /// The ids of notices that are known to be sent.
    pub sent: BTreeSet<String>,
    /// A write that the API server refused since the Rollout last changed: object and answer.
    pub refused: Option<(String, String)>,
}

/// The Flux objects that bind a field to the Rollout, and what tells whether it has that field.
#[derive(Debug, Clone, Default)]
pub struct Bound {
    /// The Kustomizations that name the Rollout in an annotation.
    pub kustomizations: Vec<Arc<Kustomization>>,
    /// The OCIRepositories that do.
    pub repositories: Vec<Arc<OciRepository>>,
    /// The Kustomizations that apply what these fetch.
    pub appliers: Vec<Arc<Kustomization>>,
    /// Other Rollouts that are named on the same objects.
    pub rivals: Vec<Arc<Rollout>>,
    /// Rollouts that are named on the same objects and do not exist, as far as they would be seen.
    pub gone: BTreeSet<Key>,
    /// The Rollouts of kuberik that these annotations name and that live.
    pub kuberik: BTreeSet<Key>,
    /// Namespaces whose objects may be bound from others.
    pub shared: BTreeSet<String>,
}

/// The object that offers releases.
#[derive(Debug, Clone)]
pub enum Source {
    /// None is named.
    None,
    /// An ImagePolicy.
    Policy(Found<ImagePolicy>),
    /// An OCIRepository.
    Artifact(Found<OciRepository>),
    /// A Kustomization.
    Kustomization(Found<Kustomization>),
}

/// What is known of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The tags of the repository.
    Tags {
        /// Each once.
        tags: Arc<BTreeSet<String>>,
        /// Whether there are more.
        truncated: bool,
    },
    /// Nothing.
    Unread {
        /// A CamelCase word.
        reason: &'static str,
        /// A sentence.
        why: String,
    },
}

/// The manifests behind tags, or why they are not known; a tag that is not there was not asked
/// about.
pub type Manifests = BTreeMap<String, Result<Manifest, Unresolved>>;

/// What a registry tells of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The digest, which is the one of what was read.
    pub digest: String,
    /// What kind of artifact it is.
    pub artifact_type: String,
    /// Its annotations, or else the labels of its image, as far as they are of use.
    pub annotations: BTreeMap<String, String>,
    /// Whether the labels could not be read, and may be another time.
    pub unread: bool,
}

/// Why the manifest of a tag is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// A CamelCase word.
    pub reason: &'static str,
    /// A sentence.
    pub why: String,
    /// Whether it may go away by itself.
    pub passing: bool,
}

/// An object that is referred to.
#[derive(Debug, Clone)]
pub enum Found<K> {
    /// No reference.
    NotAsked,
    /// The reference reaches into a namespace that it may not reach.
    Denied,
    /// The kind is not installed.
    KindMissing,
    /// The object does not exist.
    Missing,
    /// The object.
    Is(Arc<K>),
}
