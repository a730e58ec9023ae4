//! Keys: every name that Stairlock writes into objects or reads from them. No logic.
//!
//! Each entry says what it is, who writes it and who reads it.

/// The API group of all kinds.
pub const GROUP: &str = "stairlock.dev";
/// The version of the API.
pub const VERSION: &str = "v1alpha1";
/// The field manager of every write to the cluster. Written by us, read by who looks at ownership.
pub const FIELD_MANAGER: &str = "stairlock";
/// The field manager of the kubectl plugin. Flux strips what managers named `kubectl…` wrote.
pub const CLI_MANAGER: &str = "stairlock-cli";
/// The finalizer of a Rollout that uses objects which are not its own. Written and removed by us.
pub const FINALIZER: &str = "stairlock.dev/restore";

/// Label on pods, ReplicaSets and Services: the Rollout's name. Written by us.
pub const LABEL_ROLLOUT: &str = "stairlock.dev/rollout";
/// Label on pods and ReplicaSets, key in the selectors of Services: the revision. Written by us.
pub const LABEL_REVISION: &str = "stairlock.dev/revision";

/// Annotation on a ReplicaSet: the template as written on the Rollout, as JSON. Written and read
/// by us: revisions are recognised by it.
pub const ANNOTATION_TEMPLATE: &str = "stairlock.dev/template";
/// Annotation on a ReplicaSet: the attempt that made it. Written by us, read when status is lost.
pub const ANNOTATION_ATTEMPT: &str = "stairlock.dev/attempt";
/// Annotation on a ReplicaSet: the attempt in which its revision failed. Written by us, read when
/// status is lost.
pub const ANNOTATION_QUARANTINED: &str = "stairlock.dev/quarantined";

/// Annotation on a Rollout: end the pause of the present step. Written by people.
pub const COMMAND_PROMOTE: &str = "stairlock.dev/promote";
/// Annotation on a Rollout: climb to full traffic without further pauses. Written by people.
pub const COMMAND_PROMOTE_FULL: &str = "stairlock.dev/promote-full";
/// Annotation on a Rollout: go back to stable. Written by people.
pub const COMMAND_ABORT: &str = "stairlock.dev/abort";
/// Annotation on a Rollout: try again what failed. Written by people.
pub const COMMAND_RETRY: &str = "stairlock.dev/retry";
/// Annotation on a Rollout: replace its pods, one after another. Written by people.
pub const COMMAND_RESTART: &str = "stairlock.dev/restart";
/// Annotation on a Rollout: end the experiment, with the winner as value. Written by people.
pub const COMMAND_CONCLUDE: &str = "stairlock.dev/conclude-experiment";
/// Annotation on a Rollout: a version that passes gates by. Written by people.
pub const COMMAND_BYPASS: &str = "stairlock.dev/bypass-gates";
/// kuberik's spelling of [`COMMAND_BYPASS`].
pub const COMMAND_BYPASS_KUBERIK: &str = "rollout.kuberik.com/bypass-gates";
/// Annotation on a RolloutGate with an approval: the version that is approved. Written by people.
pub const APPROVE: &str = "stairlock.dev/approve";
/// Label on a gate that a schedule made: the schedule. Written by us.
pub const LABEL_SCHEDULE: &str = "stairlock.dev/schedule-name";
/// Label on a gate that a RolloutSchedule made: its namespace. Written by us.
pub const LABEL_SCHEDULE_NAMESPACE: &str = "stairlock.dev/schedule-namespace";
/// Label on a gate that a schedule made: its kind. Written by us.
pub const LABEL_SCHEDULE_KIND: &str = "stairlock.dev/schedule-kind";
/// Label on a gate that a schedule made: the Rollout that it is for. Written by us.
pub const LABEL_ROLLOUT_NAME: &str = "stairlock.dev/rollout-name";
/// Annotation on a closed gate: when its schedule opens it. Written by us, read by us.
pub const OPENS_AT: &str = "stairlock.dev/opens-at";
/// Annotation on an open gate: when its schedule closes it. Written by us, read by us.
pub const CLOSES_AT: &str = "stairlock.dev/closes-at";
/// Annotation on a Rollout: take this version at once. Written by people.
pub const COMMAND_FORCE: &str = "stairlock.dev/force-deploy";
/// Annotation on a Rollout: deliver again what an attempt of the history delivered. Written by
/// people.
pub const COMMAND_ROLLBACK: &str = "stairlock.dev/rollback";
/// Annotation on a Rollout: take the release for a success. Written by people.
pub const COMMAND_MARK: &str = "stairlock.dev/mark-successful";
/// Annotation on a Rollout: let other releases be taken beside one that failed and stays. Written
/// by people.
pub const COMMAND_UNBLOCK: &str = "stairlock.dev/unblock-failed";
/// kuberik's spelling of [`COMMAND_UNBLOCK`].
pub const COMMAND_UNBLOCK_KUBERIK: &str = "rollout.kuberik.com/unblock-failed";
/// kuberik's spelling of [`COMMAND_RETRY`]: whatever its value, it is asked for.
pub const COMMAND_RETRY_KUBERIK: &str = "rollout.kuberik.com/retry";
/// Annotation on a Rollout: who asks for the release that is chosen with it. Written by people.
pub const DEPLOY_USER: &str = "stairlock.dev/deploy-user";
/// Annotation on a Rollout: why. Written by people.
pub const DEPLOY_MESSAGE: &str = "stairlock.dev/deploy-message";
/// kuberik's spelling of [`DEPLOY_USER`].
pub const DEPLOY_USER_KUBERIK: &str = "rollout.kuberik.com/deploy-user";
/// kuberik's spelling of [`DEPLOY_MESSAGE`].
pub const DEPLOY_MESSAGE_KUBERIK: &str = "rollout.kuberik.com/deploy-message";
/// kuberik's spelling of [`COMMAND_FORCE`].
pub const COMMAND_FORCE_KUBERIK: &str = "rollout.kuberik.com/force-deploy";
/// KULTA's spelling of [`COMMAND_PROMOTE`].
pub const COMMAND_PROMOTE_KULTA: &str = "kulta.io/promote";
/// KULTA's spelling of [`COMMAND_CONCLUDE`].
pub const COMMAND_CONCLUDE_KULTA: &str = "kulta.io/conclude-experiment";
/// Annotation on a Rollout: the command that was accepted, as `promote 7/2`. Written by us.
pub const ACCEPTED: &str = "stairlock.dev/accepted";

/// What the key of an annotation on a Kustomization begins with that binds a variable:
/// `stairlock.dev/substitute.<VAR>.from: [<namespace>/]<rollout>`. Written by people.
pub const BIND_VARIABLE: &str = "stairlock.dev/substitute.";
/// Annotation on an OCIRepository that binds its tag: `[<namespace>/]<rollout>`. Written by people.
pub const BIND_TAG: &str = "stairlock.dev/rollout";
/// Annotation on a bound object: `Start` or `Promoted`. Written by people.
pub const DELIVER: &str = "stairlock.dev/deliver";
/// kuberik's spelling of [`BIND_VARIABLE`].
pub const BIND_VARIABLE_KUBERIK: &str = "rollout.kuberik.com/substitute.";
/// kuberik's spelling of [`BIND_TAG`].
pub const BIND_TAG_KUBERIK: &str = "rollout.kuberik.com/rollout";
/// The field manager of Flux's kustomize-controller.
pub const FLUX_MANAGER: &str = "kustomize-controller";
/// kuberik's field manager on the objects that it delivered to.
pub const KUBERIK_MANAGER: &str = "rollout-controller";
/// The group of kuberik's Rollouts.
pub const KUBERIK_GROUP: &str = "kuberik.com";
/// The group of OCIRepositories.
pub const FLUX_SOURCE_GROUP: &str = "source.toolkit.fluxcd.io";

/// The class of the HealthChecks whose status is written by us. Written by people.
pub const CLASS_KUSTOMIZATION: &str = "kustomization";
/// kuberik's way to name the Kustomization of a HealthCheck: `[<namespace>/]<name>`. Written by
/// people.
pub const CHECKED_KUBERIK: &str = "healthcheck.kuberik.com/kustomization";

/// Label on objects that a Flux Kustomization applies: its name. Written by kustomize-controller.
pub const FLUX_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
/// Label on objects that a Flux Kustomization applies: its namespace.
pub const FLUX_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
/// Annotation by which an object tells kustomize-controller how to apply it.
pub const FLUX_SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
/// Annotation by which people and controllers ask Flux to look at an object. Any new value asks.
pub const FLUX_REQUEST: &str = "reconcile.fluxcd.io/requestedAt";
/// The group of ImagePolicies.
pub const FLUX_IMAGE_GROUP: &str = "image.toolkit.fluxcd.io";
/// The group of Kustomizations.
pub const FLUX_KUSTOMIZE_GROUP: &str = "kustomize.toolkit.fluxcd.io";
/// The group of HTTPRoutes and GRPCRoutes.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// The OCI annotation that tells a version. Written by who builds the artifact.
pub const OCI_VERSION: &str = "org.opencontainers.image.version";
/// The OCI annotation that tells the revision of the source code. Written by who builds the image.
pub const OCI_REVISION: &str = "org.opencontainers.image.revision";
/// The OCI annotation that tells when it was made. Written by who builds the image.
pub const OCI_CREATED: &str = "org.opencontainers.image.created";
/// The OCI annotation that tells where the source code is. Written by who builds the image.
pub const OCI_SOURCE: &str = "org.opencontainers.image.source";
/// The OCI annotation that tells what it is called. Written by who builds the image.
pub const OCI_TITLE: &str = "org.opencontainers.image.title";
/// The OCI annotation that tells what it is for. Written by who builds the image.
pub const OCI_DESCRIPTION: &str = "org.opencontainers.image.description";
/// The label of an EndpointSlice that names its Service. Written by Kubernetes.
pub const SLICE_SERVICE: &str = "kubernetes.io/service-name";

/// The annotation that tells when a schedule turns its gate.
pub const fn turns_at(passing: bool) -> &'static str {
    if passing { CLOSES_AT } else { OPENS_AT }
}
