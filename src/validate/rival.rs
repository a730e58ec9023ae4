//! Rival: finds an older Rollout that uses the same Service or route. It never settles the dispute.

use kube::ResourceExt;

use crate::api::rollout::Rollout;
use crate::model::snapshot::Route;
use crate::model::spec::{RouteName, Spec};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::validate::seen::Seen;
use crate::validate::status;
use crate::validate::{route, routing};

/// Tells the object that an older Rollout of the namespace uses too, and that Rollout's name.
///
/// Older is who was created first, then who has the lesser uid. A Rollout that is being deleted
/// gives its objects up.
pub fn older(seen: &Seen, spec: &Spec, routes: &[Route]) -> Option<(String, String)> {
    let own = age(&seen.rollout);
    let mut rivals: Vec<&Rollout> = seen
        .rivals
        .iter()
        .map(AsRef::as_ref)
        .filter(|rival| rival.metadata.deletion_timestamp.is_none())
        .filter(|rival| rival.namespace() == seen.rollout.namespace())
        .filter(|rival| age(rival) < own)
        .collect();
    rivals.sort_by_key(|rival| age(rival));
    let own = (spec, routes);
    rivals.into_iter().find_map(|rival| Some((shared(seen, rival, own)?, rival.name_any())))
}

/// By what Rollouts are sorted by age: the older one has the lesser.
pub fn age(rollout: &Rollout) -> (i64, String) {
    let created = rollout.metadata.creation_timestamp.as_ref();
    let millis = created.map_or(i64::MAX, |time| time.0.as_millisecond());
    (millis, rollout.uid().unwrap_or_default())
}

/// The object that a rival names as well.
fn shared(seen: &Seen, rival: &Rollout, (spec, routes): (&Spec, &[Route])) -> Option<String> {
    #[cfg(feature = "planted")]
    if active(Bug::DuplicateUnchecked) {
        return None;
    }
    let mut services =
        [&spec.ladder.stable_service, &spec.ladder.canary_service].into_iter().flatten();
    if let Some(name) = services.find(|name| rival.services().any(|other| other == *name)) {
        return Some(format!("Service {name}"));
    }
    let theirs = &rival.spec.strategy;
    let (named, labelled): (Vec<RouteName>, Vec<_>) = match theirs.gateway() {
        Some(api) => (routing::named(api, &rival.name_any()), api.labelled().collect()),
        None => Default::default(),
    };
    let used = status::parse(rival.status.as_ref()).attempt.and_then(|attempt| attempt.routing);
    let used = used.map(|used| used.routes).unwrap_or_default();
    let services: Vec<&str> = theirs.services().map(String::as_str).collect();
    let theirs = |name: &&RouteName| {
        let selects = || route::selects(seen, name, labelled.iter().copied(), &services);
        named.contains(name) || used.contains(name) || selects()
    };
    routes.iter().map(|route| &route.name).find(theirs).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::status::Status;
    use crate::validate::{fixture, rollout};

    fn against(rivals: &[Value]) -> Option<(String, String)> {
        let mut seen = fixture::seen(fixture::rollout(json!({})));
        let older = json!({"metadata": {
            "name": "old", "uid": "u0", "creationTimestamp": "2026-01-01T00:00:00Z"}});
        let rivals = rivals.iter().map(|patch| fixture::merged(&older, patch));
        seen.rivals = rivals.map(fixture::rollout).collect();
        older_of(&seen)
    }

    fn older_of(seen: &Seen) -> Option<(String, String)> {
        let spec = rollout::spec(&seen.rollout).unwrap();
        let known = (&spec, &Status::default());
        let identity = rollout::identity(&seen.rollout);
        let (routes, _) = route::of_rollout(seen, &identity, known, false);
        older(seen, &spec, &routes)
    }

    #[test]
    fn the_older_of_two_rollouts_keeps_the_object() {
        let canary = |patch: Value| json!({"spec": {"strategy": {"canary": patch}}});
        let others = json!({"stableService": "a", "canaryService": "b"});
        let routing = json!({"trafficRouting": {"gatewayAPI": {"httpRoute": "b"}}});
        let apart = fixture::merged(&others, &routing);
        let crossed = json!({"stableService": "shop-canary", "canaryService": "b"});
        let same = "2026-01-02T03:04:05Z";
        for (case, rival, want) in [
            ("the same Services", json!({}), Some("Service shop-stable")),
            ("its canary is our stable", canary(crossed), Some("Service shop-canary")),
            ("the same route", canary(others), Some("HTTPRoute shop")),
            ("nothing shared", canary(apart), None),
            ("being deleted", json!({"metadata": {"deletionTimestamp": same}}), None),
            ("another namespace", json!({"metadata": {"namespace": "dev"}}), None),
            (
                "a second younger",
                json!({"metadata": {
                "creationTimestamp": "2026-01-02T03:04:06Z"}}),
                None,
            ),
            (
                "the same second, a lesser uid",
                json!({"metadata": {"creationTimestamp": same}}),
                Some("Service shop-stable"),
            ),
            (
                "the same second, a greater uid",
                json!({"metadata": {
                "creationTimestamp": same, "uid": "u2"}}),
                None,
            ),
        ] {
            let want = want.map(|what| (what.to_owned(), "old".to_owned()));
            assert_eq!(against(&[rival]), want, "{case}");
        }
        let oldest =
            json!({"metadata": {"name": "oldest", "creationTimestamp": "2025-01-01T00:00:00Z"}});
        let holder = against(&[json!({}), oldest]).map(|(_, holder)| holder);
        assert_eq!(holder.as_deref(), Some("oldest"), "the oldest is named");
    }
}
