//! How many pods the canary has behind a route, and when.

use super::*;
use crate::decide::fixture::{climbing, replica_set, route, shown, template};
use crate::model::snapshot::Acceptance;
use crate::model::spec::{Pause, Scale};

#[test]
fn a_scale_gives_the_canary_more_pods_than_its_weight_needs() {
    let share = |percent| Scale::Share(Weight::new(percent).unwrap());
    let none = Scale::Count(0);
    for (case, (percent, scale), (pods, ready), present, want) in [
        ("more come before the weight", (50, Scale::Count(3)), (2, 2), 0, "3 pods"),
        ("all of them are waited for", (50, Scale::Count(3)), (3, 2), 0, "PodsNotReady"),
        ("then the weight rises", (50, Scale::Count(3)), (3, 3), 0, "weigh 50"),
        ("and that is it", (50, Scale::Count(3)), (3, 3), 50, "in force"),
        ("fewer go only once less is carried", (25, Scale::Count(1)), (3, 3), 75, "weigh 25"),
        ("and then", (25, Scale::Count(1)), (3, 3), 25, "1 pods"),
        ("a share", (0, share(75)), (0, 0), 0, "3 pods"),
        ("its pods too are waited for", (0, share(75)), (3, 1), 0, "PodsNotReady"),
        ("none at all: what is there drains", (0, none), (3, 3), 0, "in force"),
        ("too few for the weight are not made", (75, Scale::Count(1)), (1, 1), 0, "3 pods"),
        ("nor waited for alone", (75, Scale::Count(1)), (3, 1), 0, "PodsNotReady"),
        ("more than a full side are not made", (50, Scale::Count(9)), (3, 3), 50, "4 pods"),
    ] {
        let mut seen = climbing(1, None);
        seen.routes[0].live = Ok(route((100 - present, present)));
        let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
        let rs = &mut seen.replica_sets[1];
        (rs.desired, rs.replicas, rs.available) = (pods, pods, ready);
        let live = seen.canary_service.as_mut().unwrap().live.as_mut().unwrap();
        live.ready.insert(revision.clone(), ready);
        let (weight, scale) = (Weight::new(percent).unwrap(), Some(scale));
        let rung = Rung { weight, scale, pause: Pause::None };
        assert_eq!(shown(ladder(&seen, &revision, &rung)), want, "{case}");
    }
}

/// `shop:1.1.0` on a step of this weight beside a stable side that shares its size: the share in
/// force, the pods of stable, and how many of them and of the canary are ready.
fn beside(percent: u32, present: u32, pods: u32, (ready, other): (u32, u32)) -> Snapshot {
    let mut seen = climbing(1, None);
    seen.spec.ladder.dynamic_stable = true;
    seen.spec.ladder.steps[0].weight = Weight::new(percent).unwrap();
    seen.routes[0].live = Ok(route((100 - present, present)));
    let canary = seen.status.attempt.as_ref().unwrap().revision.clone();
    let stable = seen.replica_sets[0].revision.clone();
    for (rs, pods, ready) in [(0, pods, ready), (1, other, other)] {
        let rs = &mut seen.replica_sets[rs];
        (rs.desired, rs.replicas, rs.available) = (pods, pods, ready);
    }
    let live = |service: &mut Option<Service>, revision, ready| {
        let live = service.as_mut().unwrap().live.as_mut().unwrap();
        live.ready = [(revision, ready)].into();
    };
    live(&mut seen.stable_service, stable, ready);
    live(&mut seen.canary_service, canary, other);
    seen
}

#[test]
fn stable_has_what_its_weight_needs_once_that_is_in_force() {
    for (case, percent, present, (pods, canary), want) in [
        ("the weight comes first", 50, 0, (4, 2), "weigh 50"),
        ("then pods go", 50, 50, (4, 2), "2 pods"),
        ("and that is it", 50, 50, (2, 2), "in force"),
        ("it stays while the weight rises", 75, 50, (2, 3), "weigh 75"),
        ("and goes on then", 75, 75, (2, 3), "1 pods"),
        ("what was taken away comes back", 50, 50, (1, 2), "2 pods"),
        ("at full weight the rest stays", 100, 100, (1, 4), "in force"),
    ] {
        let seen = beside(percent, present, pods, (pods, canary));
        let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
        let rung = seen.spec.ladder.step(1).unwrap();
        assert_eq!(shown(ladder(&seen, &revision, &rung)), want, "{case}");
    }
    let mut seen = beside(50, 50, 4, (4, 2));
    seen.routes[0].live.as_mut().unwrap().acceptance = Acceptance::Pending;
    let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
    let rung = seen.spec.ladder.step(1).unwrap();
    assert_eq!(shown(ladder(&seen, &revision, &rung)), "RouteNotAccepted");
}

#[test]
fn traffic_goes_back_as_stable_gets_its_pods() {
    for (case, present, (pods, ready, other), want) in [
        ("pods come first", 75, (1, 1, 3), "4 pods"),
        ("no more traffic than they carry", 75, (4, 1, 3), "PodsNotReady"),
        ("then some", 75, (4, 2, 3), "weigh 50"),
        ("and more", 50, (4, 3, 3), "weigh 25"),
        ("and all of it", 25, (4, 4, 3), "weigh 0"),
        ("all at once from a canary that cannot carry it", 75, (4, 2, 1), "weigh 0"),
        ("not to a side that is worse", 75, (4, 1, 2), "PodsNotReady"),
        ("nor to a dead one", 75, (4, 0, 0), "NoHealthyBackend"),
    ] {
        let seen = beside(50, present, pods, (ready, other));
        let revision = seen.replica_sets[0].revision.clone();
        assert_eq!(shown(stable(&seen, &revision)), want, "{case}");
    }
}

#[test]
fn another_release_waits_for_the_pods_of_stable() {
    for (case, present, (pods, ready), want) in [
        ("stable gets all pods", 50, (2, 2), "4 pods"),
        ("and takes what they carry", 50, (4, 3), "weigh 25"),
        ("then the rest", 25, (4, 4), "weigh 0"),
    ] {
        let mut seen = beside(50, present, pods, (ready, 2));
        let before = seen.status.attempt.as_ref().unwrap().revision.clone();
        let next = template("shop:1.2.0");
        let revision = next.id.revision("shop", 0);
        seen.replica_sets.push(replica_set(&next, 2, 2));
        assert_ne!(before, revision);
        let rung = seen.spec.ladder.step(1).unwrap();
        assert_eq!(shown(ladder(&seen, &revision, &rung)), want, "{case}");
    }
}
