//! What is asked of ReplicaSets, and when the stable Service turns to another one.

use crate::decide::act::Act;
use crate::decide::act::Next;
use crate::decide::fixture::{at, climbing};
use crate::decide::{pods, stage};
use crate::model::moves::Write;

#[test]
fn a_replica_set_carries_the_attempt_that_uses_it() {
    for (case, made_by, want) in [("its own", 2, None), ("an earlier one's", 1, Some(2))] {
        for routed in [true, false] {
            let mut seen = climbing(1, None);
            let canary = seen.replica_sets.last_mut().unwrap();
            canary.attempt = made_by;
            if !routed {
                seen.routes.clear();
                seen.spec.ladder.routes.clear();
                seen.status.attempt.as_mut().unwrap().routing = None;
                seen.replica_sets[0].desired = 2;
            }
            let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
            let mark = |write: &Write| {
                let Write::Resize { target, attempt, .. } = write else { return None };
                attempt.filter(|_| target.name.ends_with(revision.as_str()))
            };
            let marked = match stage::advance(&seen, at(0)) {
                Act::Apply(writes) => writes.iter().find_map(mark),
                Act::Commit(_) | Act::Wait(_) => None,
            };
            assert_eq!(marked, want, "{case}, routed: {routed}");
        }
    }
}

#[test]
fn without_a_route_the_service_goes_back_to_no_fewer_pods() {
    for (case, settled, available, back, turns) in [
        ("both have one", true, 1, 1, true),
        ("more serve where it leads", true, 3, 1, false),
        ("how many serve is not known yet", false, 0, 1, false),
        ("enough are back", false, 0, 3, true),
        ("those there are dead", true, 0, 1, true),
    ] {
        let mut seen = climbing(1, None);
        seen.routes.clear();
        seen.spec.ladder.routes.clear();
        let canary = seen.status.attempt.as_ref().unwrap().revision.clone();
        let service = seen.stable_service.as_mut().unwrap().live.as_mut().unwrap();
        service.selects = Some(canary);
        seen.replica_sets[0].available = back;
        let from = &mut seen.replica_sets[1];
        (from.desired, from.settled, from.available) = (3, settled, available);
        let stable = seen.status.stable.as_ref().unwrap().revision.clone();
        let turned = match pods::stable(&seen, &stable) {
            Err(Next::Write(writes)) => writes.iter().any(|w| matches!(w, Write::Select { .. })),
            Err(Next::Hold(_)) | Ok(()) => false,
        };
        assert_eq!(turned, turns, "{case}");
    }
}
