//! How many pods the canary has behind a route, and when.

use super::*;
use crate::decide::fixture::{climbing, route};
use crate::model::spec::{Pause, Scale};

fn shown(step: Step) -> String {
    match step {
        Ok(()) => "in force".to_owned(),
        Err(Next::Hold(hold)) => hold.code().to_owned(),
        Err(Next::Write(writes)) => match writes.as_slice() {
            [Write::Resize { replicas, .. }] => format!("{replicas} pods"),
            [Write::SetWeights { edits, .. }] => format!("weigh {}", edits[1].weight),
            other => format!("{other:?}"),
        },
    }
}

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
        ("none at all", (0, none), (3, 3), 0, "0 pods"),
        ("too few for the weight are not made", (75, Scale::Count(1)), (1, 1), 0, "3 pods"),
        ("nor waited for alone", (75, Scale::Count(1)), (3, 1), 0, "PodsNotReady"),
        ("more than a full side are not made", (50, Scale::Count(9)), (3, 3), 50, "4 pods"),
    ] {
        let mut seen = climbing(1, None);
        seen.route.as_mut().unwrap().live = Ok(route((100 - present, present)));
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
