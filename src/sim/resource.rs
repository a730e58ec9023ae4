//! Resource: which kinds of objects the simulated API server serves, and by which rules.

use crate::api::keys;

/// A kind of object that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// The group; empty for the core.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The plural, as in paths.
    pub plural: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Whether `status` is a part of its own.
    pub status: bool,
    /// Whether a change of what is neither metadata nor status counts up `generation`.
    pub generation: bool,
}

/// All that is served.
pub const RESOURCES: &[Resource] = &[
    resource("", "v1", "configmaps", "ConfigMap", false, false),
    resource("", "v1", "pods", "Pod", true, true),
    resource("", "v1", "services", "Service", true, false),
    resource("apps", "v1", "replicasets", "ReplicaSet", true, true),
    resource("coordination.k8s.io", "v1", "leases", "Lease", false, false),
    resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", false, true),
    resource("events.k8s.io", "v1", "events", "Event", false, false),
    resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, true),
    resource(keys::GATEWAY_GROUP, "v1", "grpcroutes", "GRPCRoute", true, true),
    resource(keys::GATEWAY_GROUP, "v1", "httproutes", "HTTPRoute", true, true),
    resource(keys::FLUX_IMAGE_GROUP, "v1", "imagepolicies", "ImagePolicy", true, true),
    resource(keys::FLUX_KUSTOMIZE_GROUP, "v1", "kustomizations", "Kustomization", true, true),
    resource(keys::GROUP, keys::VERSION, "rolloutgates", "RolloutGate", false, true),
    resource(keys::FLUX_SOURCE_GROUP, "v1", "ocirepositories", "OCIRepository", true, true),
    resource(keys::GROUP, keys::VERSION, "healthchecks", "HealthCheck", true, true),
    resource(keys::GROUP, keys::VERSION, "rolloutschedules", "RolloutSchedule", true, true),
    resource(
        keys::GROUP,
        keys::VERSION,
        "clusterrolloutschedules",
        "ClusterRolloutSchedule",
        true,
        true,
    ),
    resource(keys::GROUP, keys::VERSION, "rollouts", "Rollout", true, true),
];

const fn resource(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    status: bool,
    generation: bool,
) -> Resource {
    Resource { group, version, plural, kind, status, generation }
}

impl Resource {
    /// Returns group and version as in `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Returns the plural with the group, as messages say it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Returns the kind with the group, as messages say it.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() {
            self.kind.to_owned()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }

    /// Tells whether a definition says what the kind is; the others are built in.
    pub fn custom(&self) -> bool {
        [
            keys::GATEWAY_GROUP,
            keys::FLUX_IMAGE_GROUP,
            keys::FLUX_KUSTOMIZE_GROUP,
            keys::FLUX_SOURCE_GROUP,
            keys::GROUP,
        ]
        .contains(&self.group)
    }

    /// Returns the path under which the server stores it.
    pub fn registry(&self) -> String {
        if self.custom() {
            format!("/registry/{}/{}", self.group, self.plural)
        } else {
            format!("/registry/{}", self.plural)
        }
    }

    /// Tells whether its objects are in namespaces.
    pub fn namespaced(&self) -> bool {
        self.plural != "clusterrolloutschedules"
    }

    /// Tells whether `scale` is a part of its own.
    pub fn scale(&self) -> bool {
        ["replicasets", "rollouts"].contains(&self.plural)
    }

    /// Finds a resource by its plural.
    pub fn named(plural: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|resource| resource.plural == plural)
    }

    /// Finds a resource by its kind.
    pub fn of_kind(kind: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|resource| resource.kind == kind)
    }
}
