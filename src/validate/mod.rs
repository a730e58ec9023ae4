//! Validate: wire to model, once. Every error carries a field path. It never reads or writes.

mod artifact;
pub mod binding;
pub mod check;
pub mod commands;
mod excerpt;
#[cfg(test)]
mod fixture;
pub mod gate;
pub mod inspection;
pub mod kstatus;
mod listed;
mod listing;
pub mod manifest;
mod own;
mod owner;
mod pod;
mod ready;
pub mod registry;
pub mod replica_set;
mod rival;
mod rollout;
mod route;
mod routing;
mod rules;
pub mod schedule;
pub mod seen;
pub mod selector;
mod service;
mod source;
pub mod status;
pub mod strategy;
pub mod stray;
mod template;
mod variant;

use crate::model::hold::Hold;
use crate::model::snapshot::{Identity, Known, Route, Snapshot};
use crate::model::spec::{Ladder, Routing, Spec, Strategy};
use crate::model::status::{Stage, Status};
use crate::validate::seen::Seen;

/// Makes of what was read what a turn may rely on.
///
/// The result is the same for the same input. A spec that cannot be used is [`Known::Invalid`];
/// trouble with other objects is a hold in their place, so that the rest can still be judged.
pub fn validate(seen: &Seen) -> Known {
    let rollout = rollout::identity(&seen.rollout);
    let status = status::parse(seen.rollout.status.as_ref());
    let (mut spec, instead, ours) = match rollout::spec(&seen.rollout) {
        Ok(spec) => {
            let own = Some(spec.ladder.routes.clone()).filter(|_| spec.ladder.create.is_some());
            let (spec, instead) = in_use(spec, &status);
            let ours = own.is_some_and(|own| own == spec.ladder.routes);
            (spec, instead, ours)
        }
        Err(problem) => return Known::Invalid { rollout, status: Box::new(status), problem },
    };
    let template = template::with_owners(&seen.rollout, &seen.kustomizations);
    let replica_sets = replica_set::of_rollout(&rollout, &template, &seen.replica_sets);
    let (routes, unmatched) = routes_in_use(seen, &rollout, (&mut spec, &status), instead.as_ref());
    let named = instead.as_ref().filter(|_| ours);
    let renamed = named.and_then(|named| own::renamed(seen, &rollout, (&spec.ladder, named)));
    let scene = service::Scene { seen, rollout: &rollout, spec: &spec, sets: &replica_sets };
    let stable_service = spec.ladder.stable_service.as_deref().map(|name| scene.service(name));
    let canary_service = spec.ladder.canary_service.as_deref().map(|name| scene.service(name));
    let beside = |routing: Option<&Routing>| {
        others(routing, &spec.ladder).iter().map(|name| scene.service(name)).collect()
    };
    let used = status.attempt.as_ref().and_then(|attempt| attempt.routing.as_ref());
    let former = match &status.attempt {
        Some(_) => beside(used.filter(|_| instead.is_some())),
        None => scene.forgotten(),
    };
    let coming = beside(instead.as_ref().filter(|named| !named.routes.is_empty()));
    let manifests = manifest::all(seen);
    Known::Valid(Box::new(Snapshot {
        offer: source::offer(seen, (&spec, &manifests), &rollout, (&template, &status)),
        manifests,
        unread: source::unread(seen),
        template,
        former,
        coming,
        template_refused: seen.template_refused.clone(),
        status,
        watched_since: seen.watched_since,
        commands: commands::asked(&seen.rollout),
        pods: pod::known(seen.pods.as_ref()),
        gates: gate::of_rollout(&seen.gates, &rollout, &seen.source),
        bindings: binding::all(seen, &rollout, spec.workload),
        checks: check::all(seen.checks.as_deref()),
        stable_service,
        canary_service,
        duplicate: rival::older(seen, &spec, &routes),
        routes,
        renamed,
        unmatched,
        denied: seen
            .denied
            .as_ref()
            .map(|(kind, why)| Hold::KindForbidden { kind: kind.as_str(), why: why.clone() }),
        sent: seen.sent.clone(),
        refused: seen.refused.clone(),
        rollout,
        spec,
        instead,
        replica_sets,
    }))
}

/// The spec with what splits traffic at present, and what it names itself where that is another.
fn in_use(mut spec: Spec, status: &Status) -> (Spec, Option<Routing>) {
    let used =
        status.attempt.as_ref().and_then(|attempt| Some((attempt, attempt.routing.as_ref()?)));
    let Some((attempt, used)) = used.filter(|(_, used)| !spec.ladder.splits_by(used)) else {
        return (spec, None);
    };
    let named = spec.ladder.routing();
    let measured = used.strategy == Strategy::Canary && !used.routes.is_empty();
    spec.ladder = spec.ladder.left(used.clone(), attempt.stage.step(), attempt.weight);
    spec.ladder.dynamic_stable |= measured && unhurried(&attempt.stage);
    (spec, Some(named))
}

/// The routes that are in use. They may have been given the port, or the Services, that the spec
/// names together with it: their weights are found by these then.
fn routes_in_use(
    seen: &Seen,
    rollout: &Identity,
    (spec, status): (&mut Spec, &Status),
    instead: Option<&Routing>,
) -> (Vec<Route>, Option<Hold>) {
    let left = instead.is_some();
    let found = route::of_rollout(seen, rollout, (spec, status), left);
    let broken = |(routes, _): &(Vec<Route>, _)| routes.iter().any(|route| route.live.is_err());
    let Some(named) = instead.filter(|_| broken(&found)) else { return found };
    let used = spec.ladder.routing();
    let Routing { stable, canary, port, .. } = named.clone();
    let ported = Routing { port, ..used.clone() };
    for other in [ported.clone(), Routing { stable, canary, ..ported }] {
        spec.ladder = spec.ladder.clone().with(other);
        let again = route::of_rollout(seen, rollout, (spec, status), left);
        if !again.0.is_empty() && !broken(&again) {
            return again;
        }
    }
    spec.ladder = spec.ladder.clone().with(used);
    found
}

/// The Services of a routing that a ladder does not name.
fn others(routing: Option<&Routing>, ladder: &Ladder) -> Vec<String> {
    let names = routing.into_iter().flat_map(|routing| [&routing.stable, &routing.canary]);
    let kept = [&ladder.stable_service, &ladder.canary_service];
    let new = names.flatten().filter(|name| !kept.iter().any(|kept| kept.as_ref() == Some(name)));
    new.cloned().collect()
}

/// Tells whether stable may take traffic back as its pods become ready. Whether it had only those
/// that its weight needed is not known any more; from a canary that failed no time is lost so.
fn unhurried(stage: &Stage) -> bool {
    match stage {
        Stage::Step { .. } => true,
        Stage::RollingBack { cause, .. } => !cause.failed(),
        Stage::First { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::snapshot::Offer;
    use crate::validate::fixture;

    #[test]
    fn one_turn_knows_everything_or_why_not() {
        let known = validate(&fixture::seen(fixture::rollout(json!({}))));
        let Known::Valid(snapshot) = &known else { panic!("{known:?}") };
        assert_eq!(snapshot.status.observed_generation, -1);
        assert_eq!(snapshot.offer, Offer::NoSource);
        let live = [&snapshot.stable_service, &snapshot.canary_service]
            .map(|service| service.as_ref().map(|s| (s.name.as_str(), s.live.is_some())));
        assert_eq!(live, [Some(("shop-stable", false)), Some(("shop-canary", false))]);
        assert!(snapshot.routes[0].live.is_err() && !snapshot.routes[0].there);
        assert_eq!(known, validate(&fixture::seen(fixture::rollout(json!({})))));

        let broken = fixture::rollout(json!({
            "metadata": {"deletionTimestamp": "2026-01-02T03:05:00Z",
                "finalizers": ["stairlock.dev/restore"]},
            "spec": {"semver": ">="},
            "status": {"observedGeneration": 2},
        }));
        let known = validate(&fixture::seen(broken));
        let Known::Invalid { rollout, status, problem } = known else { panic!("{known:?}") };
        assert_eq!(problem.field, "spec.semver");
        assert_eq!(status.observed_generation, 2);
        assert!(rollout.finalizer && rollout.deleting.is_some());
        assert_eq!((rollout.name.as_str(), rollout.generation), ("shop", 3));
    }

    #[test]
    fn what_is_in_use_is_used_until_it_is_left() {
        let stored = |name: &str| {
            let attempt = json!({"number": 2, "revision": "5f6c0a91be", "trigger": "Template",
                "stage": "Step", "step": 3, "weight": 40, "startedAt": "2026-01-02T03:04:05Z",
                "enteredAt": "2026-01-02T03:04:05Z", "delivered": true, "release": {},
                "routing": {"strategy": "canary", "httpRoute": name, "port": 8080,
                    "stableService": "shop-stable", "canaryService": "shop-canary"}});
            fixture::rollout(json!({"status": {"observedGeneration": 2, "attempt": attempt}}))
        };
        let read = |name: &str| match validate(&fixture::seen(stored(name))) {
            Known::Valid(snapshot) => snapshot,
            Known::Invalid { problem, .. } => panic!("{problem:?}"),
        };
        let named = read("shop");
        assert_eq!(named.instead, None);
        assert_eq!(read("old").routes, [], "one that is gone is not waited for");
        let renamed = read("old");
        assert_eq!(renamed.instead, Some(named.spec.ladder.routing()));
        assert_eq!(renamed.spec.ladder.routing().routes[0].name, "old");
        let rung = renamed.spec.ladder.stands(3).unwrap();
        assert_eq!(rung.weight.percent(), 40, "it stands where it stood");
        let measured = [&named, &renamed].map(|seen| seen.spec.ladder.dynamic_stable);
        assert_eq!(measured, [false, true], "stable may have had no more pods than it needed");
    }

    #[test]
    fn a_route_with_the_new_port_is_still_the_one_in_use() {
        let attempt = json!({"number": 2, "revision": "5f6c0a91be", "trigger": "Template",
            "stage": "Step", "step": 1, "weight": 20, "startedAt": "2026-01-02T03:04:05Z",
            "enteredAt": "2026-01-02T03:04:05Z", "delivered": true, "release": {},
            "routing": {"strategy": "canary", "httpRoute": "shop", "port": 80,
                "stableService": "shop-stable", "canaryService": "shop-canary"}});
        let status = json!({"status": {"observedGeneration": 2, "attempt": attempt}});
        let mut seen = fixture::seen(fixture::rollout(status));
        for (port, used) in [(80, 80), (8080, 8080), (90, 80)] {
            let backend = |name: &str| json!({"name": name, "port": port, "weight": 50});
            let rule = json!({"backendRefs": [backend("shop-stable"), backend("shop-canary")]});
            seen.routes = vec![fixture::object(json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": {"name": "shop", "namespace": "prod", "uid": "r"},
                "spec": {"rules": [rule]},
            }))];
            let Known::Valid(known) = validate(&seen) else { panic!("{port}") };
            assert!(known.instead.is_some());
            assert_eq!(known.spec.ladder.port, used, "{port}");
            assert_eq!(known.routes[0].live.is_ok(), port != 90, "{port}");
        }
    }
}
