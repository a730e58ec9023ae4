//! What is left, when, and what keeps it.

use super::*;
use crate::decide::fixture::{at, at_rest, climbing, route};
use crate::model::hold::Hold;
use crate::model::snapshot::LiveService;
use crate::model::spec::Strategy;
use crate::model::status::Draining;
use crate::model::template::Revision;

/// The Rollout, whose spec names no route and another canary Service since.
fn changed(mut seen: Snapshot) -> Snapshot {
    let mut named = seen.spec.ladder.routing();
    (named.strategy, named.routes) = (Strategy::BlueGreen, Vec::new());
    named.canary = Some("preview".to_owned());
    seen.instead = Some(named);
    seen
}

fn shown(act: Option<Act>) -> String {
    match act {
        None => "nothing".to_owned(),
        Some(Act::Commit(status)) => {
            let attempt = status.attempt.unwrap();
            let used = attempt.routing.map(|routing| routing.strategy.as_str());
            match attempt.stage {
                Stage::RollingBack { cause, .. } => format!("back, {}", cause.as_str()),
                Stage::First { .. }
                | Stage::Step { .. }
                | Stage::Promoting { .. }
                | Stage::Baking { .. }
                | Stage::Completed { .. }
                | Stage::Ended { .. } => format!("uses {}", used.unwrap()),
            }
        }
        Some(Act::Apply(writes)) => match writes.as_slice() {
            [Write::AddPort { target, port, .. }, ..] => format!("adds {port} to {}", target.name),
            [Write::Select { target, from: Some(_), to: None }] => {
                format!("lets {} go", target.name)
            }
            other => format!("{other:?}"),
        },
        Some(act @ Act::Wait(_)) => format!("{act:?}"),
    }
}

fn staged(seen: &mut Snapshot, stage: Stage) {
    seen.status.attempt.as_mut().unwrap().stage = stage;
}

#[test]
fn an_attempt_goes_back_before_anything_is_left() {
    let (entered_at, cause) = (at(0), Cause::StrategyChanged);
    for (case, stage, want) in [
        ("on a step", None, "back, StrategyChanged"),
        ("the first one is not disturbed", Some(Stage::First { entered_at }), "lets canary go"),
        ("all traffic arrives first", Some(Stage::Promoting { entered_at }), "nothing"),
        ("on its way back", Some(Stage::RollingBack { entered_at, cause }), "nothing"),
    ] {
        let mut seen = changed(climbing(1, None));
        if let Some(stage) = stage {
            staged(&mut seen, stage);
        }
        assert_eq!(shown(next(&seen, at(0))), want, "{case}");
        seen.spec.paused = true;
        assert_eq!(shown(next(&seen, at(0))), "nothing", "{case}, frozen");
        seen.spec.paused = false;
        seen.instead = None;
        assert_eq!(shown(next(&seen, at(0))), "nothing", "{case}, unchanged");
    }
}

#[test]
fn at_rest_traffic_and_drains_come_first() {
    type Change = fn(&mut Snapshot);
    let unusable = |s: &mut Snapshot| {
        s.routes[0].live = Err(Hold::BackendNotFound { what: "port".into() });
    };
    let cases: [(&str, Change, &str); 9] = [
        ("the route cannot be used", unusable, "lets canary go"),
        ("nothing is in the way", |_| {}, "lets canary go"),
        ("the Service is free", |s| canary_of(s).selects = None, "uses blueGreen"),
        ("it would be put back", |s| canary_of(s).owner = Some("x".into()), "uses blueGreen"),
        (
            "an older Rollout has it",
            |s| s.duplicate = Some(("x".into(), "y".into())),
            "uses blueGreen",
        ),
        (
            "it selects another's pods",
            |s| canary_of(s).selects = Revision::parse("5f6c0a91be"),
            "uses blueGreen",
        ),
        (
            "the Service is gone",
            |s| s.canary_service.as_mut().unwrap().live = None,
            "uses blueGreen",
        ),
        ("the canary has traffic", |s| s.routes[0].live = Ok(route((90, 10))), "nothing"),
        ("the route is gone", |s| s.routes.clear(), "lets canary go"),
    ];
    for (case, change, want) in cases {
        let mut seen = changed(at_rest());
        change(&mut seen);
        assert_eq!(shown(next(&seen, at(0))), want, "{case}");
    }
}

fn canary_of(seen: &mut Snapshot) -> &mut LiveService {
    seen.canary_service.as_mut().unwrap().live.as_mut().unwrap()
}

#[test]
fn the_old_side_drains_first() {
    let mut seen = climbing(1, Some(at(0)));
    seen.routes[0].live = Ok(route((100, 0)));
    let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
    staged(&mut seen, Stage::Ended { at: at(0), cause: Cause::StrategyChanged });
    seen.status.draining.push(Draining { revision, since: Some(at(0)) });
    let mut seen = changed(seen);
    assert_eq!(shown(next(&seen, at(0))), "nothing", "30 s are not over");
    assert_eq!(shown(next(&seen, at(5))), "nothing", "its pods are there");
    let live = Err(Hold::BackendNotFound { what: "port".into() });
    let usable = std::mem::replace(&mut seen.routes[0].live, live);
    assert_eq!(shown(next(&seen, at(5))), "nothing", "it may have traffic");
    seen.routes[0].live = usable;
    seen.replica_sets[1].desired = 0;
    assert_eq!(shown(next(&seen, at(5))), "lets canary go");
}

#[test]
fn pods_that_a_failure_left_drain_too() {
    let mut seen = climbing(1, Some(at(0)));
    seen.routes[0].live = Ok(route((100, 0)));
    seen.spec.ladder.abort_drain = None;
    staged(&mut seen, Stage::Ended { at: at(0), cause: Cause::Aborted });
    assert_eq!(drain::next(&seen, at(5)), Err(None), "they stay");
    let mut seen = changed(seen);
    assert_eq!(shown(next(&seen, at(5))), "nothing", "users would get to them");
    assert!(drain::next(&seen, at(5)).is_ok(), "they drain");
    seen.spec.paused = true;
    assert_eq!(drain::next(&seen, at(5)), Err(None), "nothing is left yet");
}

#[test]
fn another_port_is_added_to_our_services_first() {
    let mut seen = at_rest();
    let mut named = seen.spec.ladder.routing();
    named.port = 90;
    seen.instead = Some(named);
    assert_eq!(shown(next(&seen, at(0))), "adds 90 to stable");
    seen.stable_service.as_mut().unwrap().live.as_mut().unwrap().ports.push(90);
    assert_eq!(shown(next(&seen, at(0))), "adds 90 to canary");
    canary_of(&mut seen).ours = false;
    assert_eq!(shown(next(&seen, at(0))), "uses canary", "its owner has to");
}

#[test]
fn a_route_that_names_new_services_already_gets_them() {
    let mut seen = changed(climbing(1, None));
    let (entered_at, cause) = (at(0), Cause::StrategyChanged);
    staged(&mut seen, Stage::RollingBack { entered_at, cause });
    seen.coming = vec![Service { name: "preview".to_owned(), live: None }];
    assert_eq!(shown(next(&seen, at(0))), "nothing", "no gateway refuses it");
    seen.routes[0].live.as_mut().unwrap().acceptance = Acceptance::Refused("no Service".into());
    let Some(Act::Apply(writes)) = next(&seen, at(0)) else { panic!("it waits") };
    let stable = &seen.status.stable.as_ref().unwrap().revision;
    assert!(matches!(writes.as_slice(), [Write::CreateService { name, revision, .. }]
        if name == "preview" && revision == stable));
    seen.coming[0].live = seen.stable_service.as_ref().unwrap().live.clone();
    assert_eq!(shown(next(&seen, at(0))), "nothing", "it is there");
}

#[test]
fn what_is_used_is_told() {
    assert_eq!(attempt::changed(&at_rest()), None);
    let hold = attempt::changed(&changed(at_rest())).unwrap();
    let used = "strategy canary, HTTPRoute shop, Service stable, Service canary";
    assert_eq!(hold, Hold::StrategyChanged { used: used.to_owned() });
}
