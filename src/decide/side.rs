//! Side: what is known of a revision in a snapshot. It decides nothing.

use std::collections::BTreeMap;

use serde_json::json;

use crate::model::hold::Hold;
use crate::model::image::Image;
use crate::model::moves::Target;
use crate::model::release::ReleaseRef;
use crate::model::snapshot::{LiveRoute, LiveService, ReplicaSet, Service, Snapshot};
use crate::model::spec::{Routing, Step, Strategy};
use crate::model::status::{Cause, Side, Stage, Status};
use crate::model::template::{Revision, Template, TemplateId};
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// How many names are tried for a revision whose name is taken.
const SALTS_MAX: u32 = 16;

/// The ReplicaSet of a revision, if the Rollout owns one.
pub fn replica_set<'a>(seen: &'a Snapshot, revision: &Revision) -> Option<&'a ReplicaSet> {
    seen.replica_sets.iter().find(|rs| rs.owned && rs.revision == *revision)
}

/// The revision of a template: that of the ReplicaSet made of it, else the name that it will get.
pub fn revision_of(seen: &Snapshot, template: &Template) -> Revision {
    if let Some(known) = seen.replica_sets.iter().find(|rs| rs.template == template.id) {
        return known.revision.clone();
    }
    let prefix = |revision: &Revision| revision.pod_base(&seen.rollout.name);
    let taken: Vec<String> = seen.replica_sets.iter().map(|rs| prefix(&rs.revision)).collect();
    (0..SALTS_MAX)
        .map(|salt| template.id.revision(&seen.rollout.name, salt))
        .find(|name| !taken.contains(&prefix(name)))
        .unwrap_or_else(|| template.id.revision(&seen.rollout.name, 0))
}

/// The name of the revision that a release is where there is no template.
pub fn revision_of_release(seen: &Snapshot, release: &ReleaseRef) -> Revision {
    let image = Image::parse(&release.image).ok();
    let digest = image.and_then(|image| image.digest).unwrap_or_default();
    let id = TemplateId::of(&json!({"release": [release.image, release.tag, digest]}));
    id.revision(&seen.rollout.name, 0)
}

/// The revision of the template as it stands on the Rollout; where there is none, of what was
/// delivered last.
pub fn present(seen: &Snapshot) -> Revision {
    let last = seen.status.attempt.as_ref().filter(|_| !seen.spec.workload);
    if let Some(attempt) = last {
        return attempt.revision.clone();
    }
    revision_of(seen, &seen.template)
}

/// Tells whether the present template is the one that carries all traffic.
pub fn on_stable(seen: &Snapshot, status: &Status) -> bool {
    let template = present(seen);
    status.stable.as_ref().is_some_and(|side| side.revision == template)
}

/// What these images deliver: the image of the container that takes releases, which is the named
/// one, else one of the repository that the source tells of or that was delivered before. Where
/// nothing tells, it is the first container's; of several that is nothing to tell bound fields.
pub fn delivered(seen: &Snapshot, images: &BTreeMap<String, String>) -> ReleaseRef {
    let read = |name: &String| images.get(name).and_then(|image| Image::parse(image).ok());
    let known = known(seen);
    let takes = |image: &Image| known.iter().any(|known| image.same_repository(known));
    let mains = || seen.template.containers.iter().filter(|c| !c.init).map(|c| &c.name);
    let first = || {
        let sure = seen.bindings.is_empty() || mains().count() < 2;
        let any = || images.values().next().and_then(|image| Image::parse(image).ok());
        if sure { mains().next().and_then(read).or_else(any) } else { None }
    };
    let named = seen.spec.container.as_ref().and_then(read);
    let image = named.or_else(|| mains().filter_map(read).find(takes)).or_else(first);
    image.map(|image| ReleaseRef::of(&image)).unwrap_or_default()
}

/// The images of releases that are known: offered, or delivered before.
fn known(seen: &Snapshot) -> Vec<Image> {
    let offered = seen.offer.newest_first().next();
    let status = &seen.status;
    let attempt = status.attempt.iter().map(|attempt| &attempt.release);
    let past = attempt.chain(status.stable.iter().map(|side| &side.release));
    let past = past.filter_map(|release| Image::parse(&release.image).ok());
    offered.map(|release| release.image.clone()).into_iter().chain(past).collect()
}

/// The hold of what is not tried again since an attempt.
pub fn quarantined(seen: &Snapshot, what: String, attempt: u32) -> Hold {
    let entry = seen.status.history.iter().find(|entry| entry.number == attempt);
    let lost = entry.is_some_and(|entry| entry.cause == Some(Cause::Concluded));
    Hold::Quarantined { what, attempt, lost }
}

/// A side as it is shown.
pub fn shown(seen: &Snapshot, revision: &Revision, release: &ReleaseRef) -> Side {
    let rs = replica_set(seen, revision);
    Side {
        revision: revision.clone(),
        release: release.clone(),
        replicas: rs.map_or(0, |rs| rs.replicas),
        ready: rs.map_or(0, |rs| rs.ready),
    }
}

/// The attempt in progress, where it uses a ReplicaSet that an earlier one made.
pub fn reused_by(seen: &Snapshot, rs: &ReplicaSet) -> Option<u32> {
    let attempt = seen.status.attempt.as_ref().filter(|attempt| attempt.stage.open())?;
    let again = attempt.revision == rs.revision && rs.attempt < attempt.number;
    again.then_some(attempt.number)
}

/// Tells whether a ReplicaSet is asked for so many pods already, and carries what it has to.
pub fn asked_for(seen: &Snapshot, rs: &ReplicaSet, replicas: u32) -> bool {
    rs.desired == replicas
        && rs.min_ready_secs == seen.spec.min_ready_secs
        && reused_by(seen, rs).is_none()
}

/// A ReplicaSet as the target of a write.
pub fn target(rs: &ReplicaSet) -> Target {
    Target {
        name: rs.name.clone(),
        uid: rs.uid.clone(),
        resource_version: rs.resource_version.clone(),
    }
}

/// A Service as the target of a write.
pub fn service_target(service: &Service, live: &LiveService) -> Target {
    Target {
        name: service.name.clone(),
        uid: live.uid.clone(),
        resource_version: live.resource_version.clone(),
    }
}

/// The name of a Service, empty where there is none.
pub fn name(service: Option<&Service>) -> String {
    service.map(|service| service.name.clone()).unwrap_or_default()
}

/// Ready endpoints of a revision behind a Service, 0 where there is no Service.
pub fn ready(service: Option<&Service>, revision: &Revision) -> u32 {
    service.and_then(|s| s.live.as_ref()).map_or(0, |live| live.ready_of(revision))
}

/// Ready endpoints behind a Service, of whichever revision, 0 where there is no Service.
pub fn ready_of_any(service: Option<&Service>) -> u32 {
    service.and_then(|s| s.live.as_ref()).map_or(0, LiveService::ready_of_any)
}

/// Tells whether a backend with a weight, or a rule of an experiment, leads to a revision.
pub fn has_traffic(seen: &Snapshot, route: &LiveRoute, revision: &Revision) -> bool {
    let behind = |service| selected(service) == Some(revision);
    let stable = behind(seen.stable_service.as_ref()) && !in_place(route, Weight::FULL);
    let served = !in_place(route, Weight::NONE) || !route.experiment.there.is_empty();
    let canary = behind(seen.canary_service.as_ref()) && served;
    stable || canary
}

/// The objects that split the traffic at present: the routes that labels select too.
pub fn routing(seen: &Snapshot) -> Option<Routing> {
    let routes = seen.routes.iter().map(|route| route.name.clone()).collect();
    Some(Routing { routes, ..seen.spec.ladder.routing() })
}

/// The revision that a Service selects.
pub fn selected(service: Option<&Service>) -> Option<&Revision> {
    service.and_then(|s| s.live.as_ref()).and_then(|live| live.selects.as_ref())
}

/// The step of the ladder on which the attempt in progress stands.
pub fn rung(seen: &Snapshot) -> Option<Step> {
    let attempt = seen.status.attempt.as_ref()?;
    let Stage::Step { number, .. } = attempt.stage else { return None };
    seen.spec.ladder.stands(number)
}

/// The pods that a side is to have on a step. One of two whole sides that has more keeps them: it
/// may be on its way back.
pub fn pods(seen: &Snapshot, revision: &Revision, step: &Step) -> u32 {
    let (size, asked) = (seen.spec.replicas, step.pods(seen.spec.replicas));
    let there = replica_set(seen, revision).map_or(0, |rs| rs.desired).min(size);
    match (seen.spec.ladder.strategy, step.scale) {
        (Strategy::BlueGreen | Strategy::AbTesting, Some(_)) => asked.max(there),
        (Strategy::BlueGreen | Strategy::AbTesting, None)
        | (Strategy::Canary | Strategy::Simple, _) => asked,
    }
}

/// Tells whether no route is left that leads to a canary: they do not exist, or do not name its
/// Service.
pub fn gone(seen: &Snapshot) -> bool {
    seen.spec.ladder.routed() && seen.routes.is_empty() && seen.unmatched.is_none()
}

/// The share of the canary backend that a rule has to have for a weight.
pub fn canary_share(sum: u32, weight: Weight) -> u32 {
    #[cfg(feature = "planted")]
    if active(Bug::WeightOffByOne) && weight > Weight::NONE {
        return weight.share(sum).saturating_sub(1);
    }
    weight.share(sum)
}

/// Tells whether every rule has this weight written out.
pub fn in_place(route: &LiveRoute, weight: Weight) -> bool {
    route.rules.iter().all(|rule| {
        let canary = canary_share(rule.sum, weight);
        rule.explicit && rule.canary.1 == canary && rule.stable.1 == rule.sum.saturating_sub(canary)
    })
}

/// The highest share of traffic that the canary backend has in any rule, in percent, rounded up.
pub fn canary_weight(route: &LiveRoute) -> Weight {
    let shares = route.rules.iter().map(|rule| percent(rule.canary.1, rule.stable.1));
    shares.max().unwrap_or(Weight::NONE)
}

/// The highest share of traffic that the stable backend has in any rule, in percent, rounded up.
pub fn stable_weight(route: &LiveRoute) -> Weight {
    let shares = route.rules.iter().map(|rule| percent(rule.stable.1, rule.canary.1));
    shares.max().unwrap_or(Weight::FULL)
}

fn percent(part: u32, other: u32) -> Weight {
    let sum = u64::from(part) + u64::from(other);
    let share = (u64::from(part) * 100).checked_div(sum).unwrap_or(0);
    let exact = share * sum == u64::from(part) * 100;
    let percent = u32::try_from(share + u64::from(!exact)).ok();
    percent.and_then(Weight::new).unwrap_or(Weight::FULL)
}
