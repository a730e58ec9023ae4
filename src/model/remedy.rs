//! Remedy: what people are told of holds, and what to do about them. It knows no hold.

use crate::model::spec::RouteName;

/// Says what hold `not_accepted` is about.
pub fn not_accepted(route: &RouteName) -> String {
    format!("no gateway has accepted the present {route} yet")
}

/// Says what hold `no_healthy_backend` is about.
pub fn no_healthy_backend() -> String {
    "the stable side has too few ready endpoints to take the traffic back".to_owned()
}

/// Says what hold `access_denied` is about.
pub fn access_denied(source: &str) -> String {
    format!(
        "{source} is in another namespace; start the controller with \
                 --allow-cross-namespace-refs=<its namespace> or move it here"
    )
}

/// Says what hold `self_reference` is about.
pub fn self_reference(source: &str) -> String {
    format!(
        "{source} takes the releases of this Rollout by its annotation and is its source too; \
         remove the annotation, or name another source"
    )
}

/// Says what hold `kind_forbidden` is about.
pub fn kind_forbidden(kind: &str, why: &str) -> String {
    format!(
        "the controller may not list and watch the kind {kind}, so that nothing of it is known: \
         {why}; give its service account the verbs list and watch on it"
    )
}

/// Says what hold `digest_unknown` is about.
pub fn digest_unknown(image: &str, why: &str) -> String {
    format!("the digest of {image}, which spec.requireDigest asks for, is not known: {why}")
}

/// Says what hold `image_mismatch` is about.
pub fn image_mismatch(offered: &str, present: &str) -> String {
    format!(
        "the source offers {offered}, the template has {present}; use a source of the \
                 same repository"
    )
}

/// Says what hold `older_release` is about.
pub fn older_release(offered: &str, running: &str) -> String {
    format!("version {offered} is older than {running}, which runs")
}

/// Says what hold `ambiguous_release` is about.
pub fn ambiguous(offered: &str, running: &str) -> String {
    format!(
        "{offered} and {running}, which runs, are two tags of one version; {running} stays until a \
         newer one is offered, or spec.wantedVersion names the other"
    )
}

/// Says what hold `manual_image` is about.
pub fn manual_image(image: &str) -> String {
    format!("{image} was chosen by hand and stays until a newer release or the command retry")
}

/// Says what hold `image_owned` is about.
pub fn image_owned(container: &str, manager: &str) -> String {
    format!(
        "{manager} owns the image of container {container}; leave image out of Git, or \
                 list its path in the Kustomization's spec.ignore"
    )
}

/// Says what hold `container_unknown` is about.
pub fn container_unknown(present: &str) -> String {
    format!("no container takes the release; set spec.container to one of: {present}")
}

/// Says what hold `service_owned` is about.
pub fn service_owned(service: &str, owner: &str) -> String {
    format!(
        "{owner} would put Service {service} back; leave it out of Git and let it be \
                 created, annotate it in Git and in the cluster \
                 kustomize.toolkit.fluxcd.io/ssa: IfNotPresent, or list /spec/selector in the \
                 Kustomization's spec.ignore"
    )
}

/// Says what hold `port_unknown` is about.
pub fn port_unknown(service: &str, port: u16) -> String {
    format!(
        "Service {service} cannot be created: no containerPort is {port} and there is \
                 not exactly one; set the port of the strategy to a containerPort"
    )
}

/// Says what hold `route_owned` is about.
pub fn route_owned(route: &RouteName, owner: &str) -> String {
    format!(
        "{owner} would put {route} back; annotate it in Git and in the cluster \
                 kustomize.toolkit.fluxcd.io/ssa: IfNotPresent or Ignore, or list /spec/rules in \
                 the Kustomization's spec.ignore"
    )
}

/// Says what hold `route_taken` is about.
pub fn route_taken(route: &RouteName) -> String {
    format!(
        "{route} is not the Rollout's own, so none is made beside it; name it in place of \
         createRoute, or delete it"
    )
}

/// Says what hold `awaiting_conclusion` is about.
pub fn awaiting_conclusion() -> String {
    "the experiment runs until it is concluded: with the value B the new side takes all traffic, \
     with A or true it goes"
        .to_owned()
}

/// Says what hold `concluding` is about.
pub fn concluding() -> String {
    "conclude-experiment=true is held until the experiment has lasted for analysis.minDuration; \
     the value A or B ends it at once"
        .to_owned()
}

/// Says what hold `quarantined` is about.
pub fn quarantined(what: &str, attempt: u32, lost: bool) -> String {
    let how = if lost { "did not win the experiment of" } else { "failed in" };
    format!(
        "{what} {how} attempt {attempt} and is not tried again until the command \
                 retry or another release"
    )
}

/// Says what hold `failed_release` is about.
pub fn failed_release(what: &str, attempt: u32) -> String {
    format!(
        "{what} failed in attempt {attempt} and stays, as spec.onFailure asks; others wait until \
         the command retry, mark-successful or unblock-failed"
    )
}

/// Says what hold `strategy_changed` is about.
pub fn strategy_changed(used: &str) -> String {
    format!(
        "spec.strategy was changed: waits until all traffic is on stable and the other side \
         drained, by {used}"
    )
}

/// Says what hold `unhealthy_check` is about.
pub fn unhealthy_check(check: &str, why: &str) -> String {
    format!("HealthCheck {check} finds an error, so no release starts: {why}")
}

/// Says what hold `not_approved` is about.
pub fn not_approved(gate: &str, version: &str) -> String {
    format!("RolloutGate {gate}: waits for a person to approve {version}")
}

/// Says what hold `release_interval` is about.
pub fn release_interval() -> String {
    "the last attempt at a release is younger than spec.releaseUpdateInterval".to_owned()
}

/// Says what hold `source_suspect` is about.
pub fn source_suspect(tag: &str) -> String {
    format!(
        "the list of the registry has lost {tag}, which runs and was in it: no release is taken \
         until it is back, or one is named by spec.wantedVersion or the command force-deploy"
    )
}

/// Says what hold `version_not_found` is about.
pub fn version_not_found(version: &str) -> String {
    format!(
        "spec.wantedVersion {version:?} is none of the releases that are known; name one of \
         status.availableReleases, or remove it"
    )
}

/// Says what hold `no_release` is about.
pub fn no_release() -> String {
    "the template has no image and the source offers no release yet".to_owned()
}

/// Says what hold `scaled_to_zero` is about.
pub fn scaled_to_zero() -> String {
    "spec.replicas is 0, so no pod can prove the new revision".to_owned()
}
