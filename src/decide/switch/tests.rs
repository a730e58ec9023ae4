//! When the active Service turns, and how many pods the new side has.

use std::collections::BTreeMap;

use super::*;
use crate::decide::fixture::{climbing, shown};
use crate::model::spec::{Pause, Scale, Strategy};

/// `shop:1.1.0` beside `shop:1.0.0`, each with so many available pods of four; the active Service
/// selects the old side, or the new one.
fn sides(old: u32, new: u32, turned: bool) -> (Snapshot, Revision, Revision) {
    let mut seen = climbing(1, None);
    seen.routes.clear();
    seen.spec.ladder.routes.clear();
    seen.spec.ladder.strategy = Strategy::BlueGreen;
    seen.spec.ladder.steps = [(0, Scale::Count(2)), (100, Scale::Full)]
        .map(|(percent, scale)| Rung {
            weight: Weight::new(percent).unwrap(),
            scale: Some(scale),
            pause: Pause::None,
        })
        .to_vec();
    let attempt = seen.status.attempt.as_mut().unwrap();
    attempt.routing = None;
    let revision = attempt.revision.clone();
    let stable = seen.status.stable.as_ref().unwrap().revision.clone();
    for (rs, available) in seen.replica_sets.iter_mut().zip([old, new]) {
        (rs.desired, rs.replicas, rs.available) = (4, 4, available);
    }
    let ready = BTreeMap::from([(stable.clone(), old), (revision.clone(), new)]);
    let selected = if turned { &revision } else { &stable };
    for (service, selects) in
        [(&mut seen.stable_service, selected), (&mut seen.canary_service, &revision)]
    {
        let live = service.as_mut().unwrap().live.as_mut().unwrap();
        (live.selects, live.ready) = (Some(selects.clone()), ready.clone());
    }
    (seen, stable, revision)
}

#[test]
fn the_new_side_is_whole_before_the_service_turns() {
    for (case, step, (old, new), turned, want) in [
        ("more pods than a look needs stay", 1, (4, 4), false, "in force"),
        ("it has the traffic: back first", 1, (4, 4), true, "turn stable"),
        ("but not to fewer pods", 1, (1, 4), true, "NoHealthyBackend"),
        ("pods are missing", 2, (4, 3), false, "PodsNotReady"),
        ("whole", 2, (4, 4), false, "turn stable"),
        ("turned", 2, (4, 4), true, "in force"),
        ("turned, and pods died", 2, (4, 3), true, "PodsNotReady"),
    ] {
        let (seen, _, revision) = sides(old, new, turned);
        let rung = seen.spec.ladder.step(step).unwrap();
        assert_eq!(shown(ladder(&seen, &revision, &rung)), want, "{case}");
    }
}

#[test]
fn the_service_goes_back_to_a_whole_side_or_the_better_one() {
    for (case, (old, new), turned, want) in [
        ("it never turned", (4, 4), false, "in force"),
        ("both are whole", (4, 4), true, "turn stable"),
        ("neither is, the old side has more", (3, 1), true, "turn stable"),
        ("neither is, the new side has as many", (2, 2), true, "NoHealthyBackend"),
        ("the old side is dead", (0, 4), true, "NoHealthyBackend"),
    ] {
        let (seen, stable, _) = sides(old, new, turned);
        assert_eq!(shown(super::stable(&seen, &stable)), want, "{case}");
    }
}
