//! S15 and S20.

use serde_json::json;

use crate::sim::judge::Note;
use crate::sim::judge::bindings::Reach;
use crate::sim::judge::tale::{NEW, OLD, Tale, merge, place, selector};

#[test]
fn writes_stay_in_their_namespaces() {
    let mut tale = Tale::at_rest(true);
    let namespaces = Some(["dev".to_owned()].into());
    tale.judge.note(Note::Reach(Reach { namespaces, foreign_sources: false }));
    tale.status(json!({"observedGeneration": 2}));
    assert_eq!(tale.broken(), ["S20"]);
}

#[test]
fn the_older_rollout_has_its_objects() {
    let other = |created: &str| {
        let mut tale = Tale::delivered(true);
        let mut object = tale.objects[&place("rollouts/shop")].as_ref().clone();
        merge(
            &mut object,
            &json!({"status": null,
            "metadata": {"uid": "u2", "creationTimestamp": created}}),
        );
        tale.create("person", "rollouts/other", object);
        tale.after(6);
        tale
    };
    let (younger, older) = ("2026-01-02T12:00:01Z", "2026-01-02T11:00:00Z");
    for (created, want) in [(younger, &[] as &[&str]), (older, &["S15"])] {
        let mut tale = other(created);
        tale.merge("person", "services/canary", selector(OLD));
        tale.after(6);
        tale.merge("controller", "services/canary", selector(NEW));
        assert_eq!(tale.broken(), want, "the Service, {created}");
        let mut tale = other(created);
        // The older one has another pair of Services in the same route.
        let names = json!({"stableService": "a", "canaryService": "b"});
        tale.merge("person", "rollouts/other", json!({"spec": {"strategy": {"canary": names}}}));
        tale.after(6);
        tale.weigh(80, 20);
        assert_eq!(tale.broken(), want, "the route, {created}");
    }
}
