//! Validate: wire to model, once. Every error carries a field path. It never reads or writes.

mod commands;
mod excerpt;
#[cfg(test)]
mod fixture;
mod owner;
pub mod replica_set;
mod rival;
mod rollout;
mod route;
mod routing;
mod rules;
pub mod seen;
mod service;
mod source;
pub mod status;
mod strategy;
mod template;
mod variant;

use crate::model::snapshot::{Known, Snapshot};
use crate::validate::seen::Seen;

/// Makes of what was read what a turn may rely on.
///
/// The result is the same for the same input. A spec that cannot be used is [`Known::Invalid`];
/// trouble with other objects is a hold in their place, so that the rest can still be judged.
pub fn validate(seen: &Seen) -> Known {
    let rollout = rollout::identity(&seen.rollout);
    let status = status::parse(seen.rollout.status.as_ref());
    let spec = match rollout::spec(&seen.rollout) {
        Ok(spec) => spec,
        Err(problem) => return Known::Invalid { rollout, status: Box::new(status), problem },
    };
    let template = template::with_owners(&seen.rollout, &seen.kustomizations);
    let replica_sets = replica_set::of_rollout(&rollout, &template, &seen.replica_sets);
    let scene = service::Scene { seen, rollout: &rollout, spec: &spec, sets: &replica_sets };
    let stable_service = spec.ladder.stable_service.as_deref().map(|name| scene.service(name));
    let canary_service = spec.ladder.canary_service.as_deref().map(|name| scene.service(name));
    let (routes, unmatched) = route::of_rollout(seen, &rollout, (&spec, &status));
    Known::Valid(Box::new(Snapshot {
        template,
        template_refused: seen.template_refused.clone(),
        status,
        commands: commands::asked(&seen.rollout),
        offer: source::offer(&seen.source, &spec),
        stable_service,
        canary_service,
        duplicate: rival::older(seen, &spec, &routes),
        routes,
        unmatched,
        sent: seen.sent.clone(),
        refused: seen.refused.clone(),
        rollout,
        spec,
        replica_sets,
    }))
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
}
