//! Hold: why nothing moves. A closed list; each says who or what ends it.

use crate::model::binding::Trouble;
use crate::model::moment::Timestamp;
use crate::model::remedy;
use crate::model::spec::RouteName;

/// Why nothing moves.
///
/// The code of each goes into `status.waitingFor[].kind`, into conditions, events and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// A pause of the ladder runs until its time.
    Paused,
    /// A pause of the ladder that a person ends.
    AwaitingPromotion,
    /// An experiment runs until its time.
    Experimenting,
    /// An experiment that its data end, once it lasted long enough.
    Concluding,
    /// An experiment that a person ends.
    AwaitingConclusion,
    /// `spec.paused` freezes ladder and deliveries.
    Suspended,
    /// Too few pods of a side are available.
    PodsNotReady {
        /// The ReplicaSet.
        replica_set: String,
        /// Pods available.
        available: u32,
        /// Pods needed.
        needed: u32,
    },
    /// Too few endpoints of a Service are ready.
    EndpointsNotReady {
        /// The Service.
        service: String,
        /// Endpoints ready.
        ready: u32,
        /// Endpoints needed.
        needed: u32,
    },
    /// The gateway has not yet said anything about the present route.
    RouteNotAccepted {
        /// The route.
        route: RouteName,
    },
    /// The gateway refuses the route.
    RouteRefused {
        /// The route.
        route: RouteName,
        /// What the gateway says.
        why: String,
    },
    /// No side has ready endpoints to take the traffic back.
    NoHealthyBackend,
    /// The old side may still answer requests until its time.
    Draining,
    /// The source offers nothing, and the template has no image.
    NoRelease,
    /// The source is not Ready at its generation.
    SourceNotReady {
        /// The source.
        source: String,
        /// What its condition says.
        why: String,
    },
    /// The source does not exist.
    SourceMissing {
        /// The source.
        source: String,
    },
    /// The source is in a namespace that references may not reach.
    AccessDenied {
        /// The source.
        source: String,
    },
    /// The kind of the source or the route is not installed in this cluster.
    KindMissing {
        /// The kind.
        kind: &'static str,
    },
    /// The API server does not let us list the kind of the source, the route or what applies them.
    KindForbidden {
        /// The kind.
        kind: &'static str,
        /// What it says.
        why: String,
    },
    /// The source takes what this Rollout releases: it would follow itself.
    SelfReference {
        /// The source.
        source: String,
    },
    /// What the source offers is not a release: its tag or digest is malformed.
    UnusableRelease {
        /// The source.
        source: String,
        /// What is wrong.
        why: String,
    },
    /// The source offers an image of another repository than the template's.
    ImageMismatch {
        /// What the source offers.
        offered: String,
        /// What the template has.
        present: String,
    },
    /// The digest that `spec.requireDigest` asks for is not known.
    DigestUnknown {
        /// The image without it.
        image: String,
        /// Why.
        why: String,
    },
    /// The list of the source has lost what runs: it is not believed.
    SourceSuspect {
        /// The tag that is missing.
        tag: String,
    },
    /// The version that is wanted is not known.
    VersionNotFound {
        /// The version.
        version: String,
    },
    /// No version that is offered lies within `spec.semver`.
    OutOfRange {
        /// The newest of them.
        version: String,
        /// The range.
        range: String,
    },
    /// The offered version is older than the one that runs.
    OlderRelease {
        /// The version offered.
        offered: String,
        /// The version that runs.
        running: String,
    },
    /// The offered tag is another one of the version that runs: which is meant is not told.
    AmbiguousRelease {
        /// The tag offered.
        offered: String,
        /// The tag that runs.
        running: String,
    },
    /// A gate does not let the release through.
    GateClosed {
        /// The RolloutGate.
        gate: String,
        /// What it waits for.
        why: String,
        /// When it opens by itself, where that is known.
        until: Option<Timestamp>,
    },
    /// A gate waits for a person to approve the version.
    NotApproved {
        /// The RolloutGate.
        gate: String,
        /// The version.
        version: String,
    },
    /// A selected HealthCheck finds an error: no release starts by itself.
    UnhealthyCheck {
        /// The HealthCheck.
        check: String,
        /// What it says.
        why: String,
    },
    /// The last attempt at a release began too short a time ago.
    ReleaseInterval {
        /// When the next one may.
        until: Timestamp,
    },
    /// A person set the image by hand; releases wait.
    ManualImage {
        /// The image that was set.
        image: String,
    },
    /// A GitOps tool owns the image.
    ImageOwned {
        /// The container.
        container: String,
        /// The field manager.
        manager: String,
    },
    /// No container of the template takes the release.
    ContainerUnknown {
        /// The containers that there are.
        present: String,
    },
    /// The API server refuses the template.
    InvalidTemplate {
        /// What it says.
        why: String,
    },
    /// A Service that we would have to change would be put back by a GitOps tool.
    ServiceOwned {
        /// The Service.
        service: String,
        /// Who would put it back.
        owner: String,
    },
    /// A Service selects other pods than the Rollout's.
    ServiceMismatch {
        /// The Service.
        service: String,
        /// What does not fit.
        why: String,
    },
    /// The port that a new Service needs is not told by the template.
    PortUnknown {
        /// The Service.
        service: String,
        /// The port asked for.
        port: u16,
    },
    /// The route would be put back by a GitOps tool.
    RouteOwned {
        /// The route.
        route: RouteName,
        /// Who would put it back.
        owner: String,
    },
    /// A route stands where the Rollout's own is to be made.
    RouteTaken {
        /// The route.
        route: RouteName,
    },
    /// The route, or a rule of it that holds both Services, does not exist.
    BackendNotFound {
        /// What is missing.
        what: String,
    },
    /// The route's rules can be read in two ways.
    RouteAmbiguous {
        /// The route.
        route: RouteName,
        /// What is ambiguous.
        why: String,
    },
    /// Another Rollout came first with this Service or route.
    DuplicateBinding {
        /// The object.
        what: String,
        /// The Rollout that came first.
        holder: String,
    },
    /// The strategy, or what it splits traffic with, was changed: what was used is left first.
    StrategyChanged {
        /// What is used.
        used: String,
    },
    /// No replicas are wanted, so no pods can prove the release.
    ScaledToZero,
    /// The release or template failed before and is not tried again.
    Quarantined {
        /// What failed.
        what: String,
        /// Its attempt.
        attempt: u32,
        /// Whether it did not win its experiment there, which is no failure.
        lost: bool,
    },
    /// A bound field of a Flux object cannot be written.
    Binding(Trouble),
    /// Flux has not applied what was delivered yet.
    AwaitingDelivery {
        /// The object.
        object: String,
        /// What it waits for.
        why: String,
    },
    /// HealthChecks are not healthy since the delivery.
    AwaitingHealth {
        /// The first of them.
        check: String,
        /// What it says.
        why: String,
    },
    /// The release bakes until its time.
    Baking,
    /// A release failed and stays, as `spec.onFailure: Hold` asks; others wait.
    FailedRelease {
        /// What failed.
        what: String,
        /// Its attempt.
        attempt: u32,
    },
    /// Pods are replaced, as the command restart asks.
    Restarting,
    /// The API server refuses a write.
    Refused {
        /// The object.
        what: String,
        /// What it says.
        why: String,
    },
}

/// Who or what ends a [`Hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Time, pods, a gateway: no one has to act.
    Itself,
    /// A command.
    Command(&'static str),
    /// A change that a person makes; the message names it.
    Person,
    /// A person who approves a version at a gate.
    Approval,
}

impl Hold {
    /// The name of [`Hold::AwaitingDelivery`].
    pub const AWAITING_DELIVERY: &str = "AwaitingDelivery";

    /// Tells the stable CamelCase name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Paused => "Paused",
            Self::AwaitingPromotion => "AwaitingPromotion",
            Self::Experimenting => "Experimenting",
            Self::Concluding => "Concluding",
            Self::AwaitingConclusion => "AwaitingConclusion",
            Self::Suspended => "Suspended",
            Self::PodsNotReady { .. } => "PodsNotReady",
            Self::EndpointsNotReady { .. } => "EndpointsNotReady",
            Self::RouteNotAccepted { .. } => "RouteNotAccepted",
            Self::RouteRefused { .. } => "RouteRefused",
            Self::NoHealthyBackend => "NoHealthyBackend",
            Self::Draining => "Draining",
            Self::NoRelease => "NoRelease",
            Self::SourceNotReady { .. } => "SourceNotReady",
            Self::SourceMissing { .. } => "SourceMissing",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::KindMissing { .. } => "KindMissing",
            Self::KindForbidden { .. } => "KindForbidden",
            Self::SelfReference { .. } => "SelfReference",
            Self::UnusableRelease { .. } => "UnusableRelease",
            Self::ImageMismatch { .. } => "ImageMismatch",
            Self::DigestUnknown { .. } => "DigestUnknown",
            Self::SourceSuspect { .. } => "SourceSuspect",
            Self::VersionNotFound { .. } => "VersionNotFound",
            Self::OutOfRange { .. } => "OutOfRange",
            Self::OlderRelease { .. } => "OlderRelease",
            Self::AmbiguousRelease { .. } => "AmbiguousRelease",
            Self::GateClosed { .. } => "GateClosed",
            Self::NotApproved { .. } => "NotApproved",
            Self::ReleaseInterval { .. } => "ReleaseInterval",
            Self::UnhealthyCheck { .. } => "UnhealthyCheck",
            Self::ManualImage { .. } => "ManualImage",
            Self::ImageOwned { .. } => "ImageOwned",
            Self::ContainerUnknown { .. } => "ContainerUnknown",
            Self::InvalidTemplate { .. } => "InvalidTemplate",
            Self::ServiceOwned { .. } => "ServiceOwned",
            Self::ServiceMismatch { .. } => "ServiceMismatch",
            Self::PortUnknown { .. } => "PortUnknown",
            Self::RouteOwned { .. } => "RouteOwned",
            Self::RouteTaken { .. } => "RouteTaken",
            Self::BackendNotFound { .. } => "BackendNotFound",
            Self::RouteAmbiguous { .. } => "RouteAmbiguous",
            Self::DuplicateBinding { .. } => "DuplicateBinding",
            Self::StrategyChanged { .. } => "StrategyChanged",
            Self::ScaledToZero => "ScaledToZero",
            Self::Quarantined { .. } => "Quarantined",
            Self::Binding(trouble) => trouble.code(),
            Self::AwaitingDelivery { .. } => Self::AWAITING_DELIVERY,
            Self::AwaitingHealth { .. } => "AwaitingHealth",
            Self::Baking => "Baking",
            Self::FailedRelease { .. } => "FailedRelease",
            Self::Restarting => "Restarting",
            Self::Refused { .. } => "Refused",
        }
    }

    /// Tells who or what ends it.
    pub fn ended_by(&self) -> EndedBy {
        match self {
            Self::Paused
            | Self::Experimenting
            | Self::Concluding
            | Self::PodsNotReady { .. }
            | Self::EndpointsNotReady { .. }
            | Self::RouteNotAccepted { .. }
            | Self::NoHealthyBackend
            | Self::Draining
            | Self::NoRelease
            | Self::SourceNotReady { .. }
            | Self::DigestUnknown { .. }
            | Self::StrategyChanged { .. }
            | Self::AwaitingDelivery { .. }
            | Self::AwaitingHealth { .. }
            | Self::Baking
            | Self::Restarting
            | Self::ReleaseInterval { .. }
            | Self::UnhealthyCheck { .. }
            | Self::GateClosed { until: Some(_), .. }
            | Self::Refused { .. } => EndedBy::Itself,
            Self::NotApproved { .. } => EndedBy::Approval,
            Self::AwaitingPromotion => EndedBy::Command("promote"),
            Self::AwaitingConclusion => EndedBy::Command("conclude-experiment"),
            Self::ManualImage { .. } | Self::Quarantined { .. } | Self::FailedRelease { .. } => {
                EndedBy::Command("retry")
            }
            Self::Suspended
            | Self::Binding(_)
            | Self::RouteRefused { .. }
            | Self::SourceMissing { .. }
            | Self::AccessDenied { .. }
            | Self::KindMissing { .. }
            | Self::KindForbidden { .. }
            | Self::SelfReference { .. }
            | Self::UnusableRelease { .. }
            | Self::ImageMismatch { .. }
            | Self::SourceSuspect { .. }
            | Self::VersionNotFound { .. }
            | Self::OutOfRange { .. }
            | Self::OlderRelease { .. }
            | Self::AmbiguousRelease { .. }
            | Self::GateClosed { until: None, .. }
            | Self::ImageOwned { .. }
            | Self::ContainerUnknown { .. }
            | Self::InvalidTemplate { .. }
            | Self::ServiceOwned { .. }
            | Self::ServiceMismatch { .. }
            | Self::PortUnknown { .. }
            | Self::RouteOwned { .. }
            | Self::RouteTaken { .. }
            | Self::BackendNotFound { .. }
            | Self::RouteAmbiguous { .. }
            | Self::DuplicateBinding { .. }
            | Self::ScaledToZero => EndedBy::Person,
        }
    }

    /// Tells when it ends by itself, where the hold itself knows.
    pub fn until(&self) -> Option<Timestamp> {
        if let Self::GateClosed { until, .. } = self {
            return *until;
        }
        if let Self::ReleaseInterval { until } = self { Some(*until) } else { None }
    }

    /// Tells whether a new template or release is kept from starting, which a person has to mend.
    pub fn blocks(&self) -> bool {
        match self {
            Self::KindMissing { .. }
            | Self::KindForbidden { .. }
            | Self::ImageMismatch { .. }
            | Self::VersionNotFound { .. }
            | Self::ImageOwned { .. }
            | Self::ContainerUnknown { .. }
            | Self::InvalidTemplate { .. }
            | Self::ServiceOwned { .. }
            | Self::ServiceMismatch { .. }
            | Self::PortUnknown { .. }
            | Self::RouteOwned { .. }
            | Self::RouteTaken { .. }
            | Self::BackendNotFound { .. }
            | Self::RouteAmbiguous { .. }
            | Self::DuplicateBinding { .. }
            | Self::AccessDenied { .. }
            | Self::SourceMissing { .. }
            | Self::Binding(_)
            | Self::SelfReference { .. }
            | Self::UnusableRelease { .. } => true,
            Self::Paused
            | Self::AwaitingPromotion
            | Self::Experimenting
            | Self::Concluding
            | Self::AwaitingConclusion
            | Self::StrategyChanged { .. }
            | Self::Suspended
            | Self::PodsNotReady { .. }
            | Self::EndpointsNotReady { .. }
            | Self::RouteNotAccepted { .. }
            | Self::RouteRefused { .. }
            | Self::NoHealthyBackend
            | Self::Draining
            | Self::NoRelease
            | Self::SourceNotReady { .. }
            | Self::DigestUnknown { .. }
            | Self::SourceSuspect { .. }
            | Self::OutOfRange { .. }
            | Self::OlderRelease { .. }
            | Self::AmbiguousRelease { .. }
            | Self::GateClosed { .. }
            | Self::NotApproved { .. }
            | Self::ReleaseInterval { .. }
            | Self::UnhealthyCheck { .. }
            | Self::ManualImage { .. }
            | Self::ScaledToZero
            | Self::Quarantined { .. }
            | Self::AwaitingDelivery { .. }
            | Self::AwaitingHealth { .. }
            | Self::Baking
            | Self::FailedRelease { .. }
            | Self::Restarting
            | Self::Refused { .. } => false,
        }
    }

    /// Tells which object it is about, empty where it is about the Rollout itself.
    pub fn object(&self) -> &str {
        match self {
            Self::PodsNotReady { replica_set, .. } => replica_set,
            Self::EndpointsNotReady { service, .. }
            | Self::ServiceOwned { service, .. }
            | Self::ServiceMismatch { service, .. }
            | Self::PortUnknown { service, .. } => service,
            Self::RouteNotAccepted { route }
            | Self::RouteRefused { route, .. }
            | Self::RouteOwned { route, .. }
            | Self::RouteTaken { route }
            | Self::RouteAmbiguous { route, .. } => &route.name,
            Self::SourceNotReady { source, .. }
            | Self::SourceMissing { source }
            | Self::AccessDenied { source }
            | Self::SelfReference { source }
            | Self::UnusableRelease { source, .. } => source,
            Self::KindMissing { kind } | Self::KindForbidden { kind, .. } => kind,
            Self::BackendNotFound { what }
            | Self::DuplicateBinding { what, .. }
            | Self::Refused { what, .. } => what,
            Self::ImageOwned { container, .. } => container,
            Self::GateClosed { gate, .. } | Self::NotApproved { gate, .. } => gate,
            Self::Binding(trouble) => trouble.object(),
            Self::AwaitingDelivery { object, .. } => object,
            Self::AwaitingHealth { check, .. } | Self::UnhealthyCheck { check, .. } => check,
            Self::Paused
            | Self::AwaitingPromotion
            | Self::Experimenting
            | Self::Concluding
            | Self::AwaitingConclusion
            | Self::Suspended
            | Self::NoHealthyBackend
            | Self::Draining
            | Self::NoRelease
            | Self::ImageMismatch { .. }
            | Self::DigestUnknown { .. }
            | Self::SourceSuspect { .. }
            | Self::VersionNotFound { .. }
            | Self::OutOfRange { .. }
            | Self::OlderRelease { .. }
            | Self::AmbiguousRelease { .. }
            | Self::ReleaseInterval { .. }
            | Self::ManualImage { .. }
            | Self::ContainerUnknown { .. }
            | Self::InvalidTemplate { .. }
            | Self::StrategyChanged { .. }
            | Self::ScaledToZero
            | Self::Baking
            | Self::FailedRelease { .. }
            | Self::Restarting
            | Self::Quarantined { .. } => "",
        }
    }

    /// Tells a person what is waited for and what to do about it.
    pub fn message(&self) -> String {
        match self {
            Self::Paused => "the pause of this step runs".to_owned(),
            Self::AwaitingPromotion => "waits to be promoted".to_owned(),
            Self::Experimenting => "the experiment runs".to_owned(),
            Self::Concluding => remedy::concluding(),
            Self::AwaitingConclusion => remedy::awaiting_conclusion(),
            Self::Suspended => "spec.paused is true; set it to false to go on".to_owned(),
            Self::PodsNotReady { replica_set, available, needed } => {
                format!("{available} of {needed} pods of {replica_set} are available")
            }
            Self::EndpointsNotReady { service, ready, needed } => {
                format!("{ready} of {needed} endpoints of Service {service} are ready")
            }
            Self::RouteNotAccepted { route } => remedy::not_accepted(route),
            Self::RouteRefused { route, why } => format!("the gateway refuses {route}: {why}"),
            Self::NoHealthyBackend => remedy::no_healthy_backend(),
            Self::Draining => "the old side finishes its requests".to_owned(),
            Self::NoRelease => remedy::no_release(),
            Self::SourceNotReady { source, why } => format!("{source} is not ready: {why}"),
            Self::SourceMissing { source } => format!("{source} does not exist"),
            Self::AccessDenied { source } => remedy::access_denied(source),
            Self::KindMissing { kind } => {
                format!("the kind {kind} is not installed in this cluster; install its CRD")
            }
            Self::KindForbidden { kind, why } => remedy::kind_forbidden(kind, why),
            Self::SelfReference { source } => remedy::self_reference(source),
            Self::UnusableRelease { source, why } => {
                format!("what {source} offers is not a release: {why}")
            }
            Self::ImageMismatch { offered, present } => remedy::image_mismatch(offered, present),
            Self::DigestUnknown { image, why } => remedy::digest_unknown(image, why),
            Self::SourceSuspect { tag } => remedy::source_suspect(tag),
            Self::VersionNotFound { version } => remedy::version_not_found(version),
            Self::OutOfRange { version, range } => {
                format!("version {version} is outside spec.semver {range:?}")
            }
            Self::OlderRelease { offered, running } => remedy::older_release(offered, running),
            Self::AmbiguousRelease { offered, running } => remedy::ambiguous(offered, running),
            Self::GateClosed { gate, why, .. } => format!("RolloutGate {gate}: {why}"),
            Self::NotApproved { gate, version } => remedy::not_approved(gate, version),
            Self::ReleaseInterval { .. } => remedy::release_interval(),
            Self::ManualImage { image } => remedy::manual_image(image),
            Self::ImageOwned { container, manager } => remedy::image_owned(container, manager),
            Self::ContainerUnknown { present } => remedy::container_unknown(present),
            Self::InvalidTemplate { why } => format!("the API server refuses the template: {why}"),
            Self::ServiceOwned { service, owner } => remedy::service_owned(service, owner),
            Self::ServiceMismatch { service, why } => format!("Service {service}: {why}"),
            Self::PortUnknown { service, port } => remedy::port_unknown(service, *port),
            Self::RouteOwned { route, owner } => remedy::route_owned(route, owner),
            Self::RouteTaken { route } => remedy::route_taken(route),
            Self::BackendNotFound { what } => format!("{what} does not exist"),
            Self::RouteAmbiguous { route, why } => format!("{route}: {why}"),
            Self::DuplicateBinding { what, holder } => {
                format!("{what} is already used by the older Rollout {holder}")
            }
            Self::StrategyChanged { used } => remedy::strategy_changed(used),
            Self::ScaledToZero => remedy::scaled_to_zero(),
            Self::Quarantined { what, attempt, lost } => remedy::quarantined(what, *attempt, *lost),
            Self::Binding(trouble) => trouble.message(),
            Self::AwaitingDelivery { object, why } => format!("{object}: {why}"),
            Self::UnhealthyCheck { check, why } => remedy::unhealthy_check(check, why),
            Self::AwaitingHealth { check, why } => format!("HealthCheck {check}: {why}"),
            Self::Baking => "the release has to stay healthy until the end of its bake".to_owned(),
            Self::FailedRelease { what, attempt } => remedy::failed_release(what, *attempt),
            Self::Restarting => "pods are replaced one after another, as asked".to_owned(),
            Self::Refused { what, why } => format!("the API server refuses {what}: {why}"),
        }
    }
}
