use super::*;
use crate::decide::fixture::{at, at_rest, climbing, shown};
use crate::decide::{attempt, decide, order};
use crate::model::hold::Hold;
use crate::model::moves::{FieldEdit, Move};
use crate::model::snapshot::Known;
use crate::model::spec::NewRoute;
use crate::model::status::Stage;

/// The route of a Rollout is its own, and does not exist.
fn without(mut seen: Snapshot) -> Snapshot {
    seen.spec.ladder.create = Some(NewRoute::default());
    let route = seen.routes.first_mut().unwrap();
    route.there = false;
    route.live = Err(Hold::BackendNotFound { what: route.name.to_string() });
    seen
}

#[test]
fn a_missing_route_is_made_wherever_weights_are_needed() {
    let rest = without(at_rest());
    let stable = rest.status.stable.clone().unwrap().revision;
    assert_eq!(shown(order::stable(&rest, &stable)), "make the route");

    let step = without(climbing(1, None));
    let canary = step.status.attempt.clone().unwrap().revision;
    let rung = step.spec.ladder.step(1).unwrap();
    assert_eq!(shown(order::ladder(&step, &canary, &rung)), "make the route");

    let mut dynamic = step.clone();
    dynamic.spec.ladder.dynamic_stable = true;
    let live = dynamic.stable_service.as_mut().unwrap().live.as_mut().unwrap();
    live.ready.insert(stable, 2);
    let waits = shown(order::ladder(&dynamic, &canary, &rung));
    assert_eq!(waits, "EndpointsNotReady", "stable takes all traffic first");

    let mut first = without(at_rest());
    first.status.stable = None;
    let revision = first.status.attempt.clone().unwrap().revision;
    assert_eq!(shown(order::first(&first, &revision)), "make the route");
    first.replica_sets[0].available = 3;
    assert_eq!(shown(order::first(&first, &revision)), "PodsNotReady", "not before its pods");
}

#[test]
fn in_a_promotion_the_service_turns_before_the_route_is_made() {
    let mut seen = without(climbing(3, None));
    seen.status.attempt.as_mut().unwrap().stage = Stage::Promoting { entered_at: at(0) };
    let canary = seen.status.attempt.clone().unwrap().revision;
    assert_eq!(shown(order::promotion(&seen, &canary)), "turn stable");
    let live = seen.stable_service.as_mut().unwrap().live.as_mut().unwrap();
    live.selects = Some(canary.clone());
    assert_eq!(shown(order::promotion(&seen, &canary)), "EndpointsNotReady");
    live_ready(&mut seen, &canary);
    assert_eq!(shown(order::promotion(&seen, &canary)), "make the route");
}

fn live_ready(seen: &mut Snapshot, revision: &crate::model::template::Revision) {
    let live = seen.stable_service.as_mut().unwrap().live.as_mut().unwrap();
    live.ready.insert(revision.clone(), 4);
}

#[test]
fn an_attempt_begins_without_the_route_unless_it_is_not_ours_to_make() {
    let begins = |change: fn(&mut Snapshot)| {
        let mut seen = without(at_rest());
        seen.template = crate::decide::fixture::template("shop:1.1.0");
        change(&mut seen);
        match attempt::start(&seen, at(1)) {
            attempt::Start::Commit(_) => "begins",
            attempt::Start::Stop(hold) | attempt::Start::Hold(hold) => hold.code(),
            attempt::Start::Apply(_) => "writes",
            attempt::Start::Nothing => "nothing",
        }
    };
    let live = |seen: &mut Snapshot, hold| seen.routes[0].live = Err(hold);
    assert_eq!(begins(|_| {}), "begins");
    assert_eq!(begins(|seen| seen.spec.ladder.create = None), "BackendNotFound");
    let missing = |seen: &mut Snapshot| {
        seen.routes[0].live = Err(Hold::KindMissing { kind: "HTTPRoute" });
    };
    assert_eq!(begins(missing), "KindMissing");
    let mut taken = without(at_rest());
    let route = taken.routes[0].name.clone();
    taken.routes[0].there = true;
    live(&mut taken, Hold::RouteTaken { route });
    assert!(!due(&taken), "one that is not ours is in the way");
    let mut older = without(at_rest());
    older.duplicate = Some(("HTTPRoute shop".into(), "old".into()));
    assert_eq!(shown(route_of(&older)), "DuplicateBinding");
}

fn route_of(seen: &Snapshot) -> Step {
    super::route(seen)
}

#[test]
fn fields_are_set_once_nothing_else_is_to_be_done() {
    let edit = FieldEdit { field: "hostnames", from: None, to: Some("a.example".into()) };
    let stray = |mut seen: Snapshot| {
        seen.spec.ladder.create = Some(NewRoute::default());
        seen.routes[0].live.as_mut().unwrap().strays = vec![edit.clone()];
        seen
    };
    let next = |seen: Snapshot| decide(&Known::Valid(Box::new(seen)), at(1));
    let written = |step: &Move| match step {
        Move::Apply(all) => matches!(all[..], [Write::SetRoute { .. }]),
        Move::Commit(_) | Move::Report(_) | Move::Announce(_) | Move::Wait { .. } => false,
    };
    assert!(written(&next(stray(at_rest()))));
    assert!(written(&next(stray(climbing(1, Some(at(0)))))), "on a pause too");
    let mut frozen = stray(at_rest());
    frozen.spec.paused = true;
    assert!(!written(&next(frozen)));
    let mut heavy = stray(at_rest());
    heavy.routes[0].live.as_mut().unwrap().rules[0].canary.1 = 50;
    assert!(!written(&next(heavy)), "traffic goes first");
}
