//! When the rules of an experiment come and go, and how it ends.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::decide::act::{self, Act, Waits};
use crate::decide::fixture::{at, climbing, http, route, shown};
use crate::decide::order;
use crate::decide::{command, finalize, stage, status};
use crate::model::command::{Asked, Command, Token, Value};
use crate::model::moves::Move;
use crate::model::snapshot::Experiment;
use crate::model::spec::{Analysis, HeaderMatch, MatchKind, Scale, Strategy};
use crate::model::status::{Cause, Phase, Stage, Trigger};
use crate::model::weight::Weight;

const HOUR: Duration = Duration::from_secs(3600);

/// `shop:1.1.0` beside `shop:1.0.0`, both whole; the experiment runs for an hour at most.
fn experiment(paused_at: Option<Timestamp>) -> Snapshot {
    let mut seen = climbing(1, None);
    let ladder = &mut seen.spec.ladder;
    let rung = |weight, pause| Rung { weight, scale: Some(Scale::Full), pause };
    ladder.strategy = Strategy::AbTesting;
    ladder.steps = vec![
        rung(Weight::NONE, Pause::UntilConcluded(Some(HOUR))),
        rung(Weight::FULL, Pause::None),
    ];
    let (name, value) = ("x-group".to_owned(), "b".to_owned());
    ladder.experiment = Some(HeaderMatch { name, value, kind: MatchKind::Exact });
    let routing = ladder.routing();
    let attempt = seen.status.attempt.as_mut().unwrap();
    attempt.routing = Some(routing);
    attempt.stage = Stage::Step { number: 1, entered_at: at(0), paused_at };
    (attempt.weight, attempt.highest) = (Weight::NONE, Weight::NONE);
    let revision = attempt.revision.clone();
    seen.routes[0].live = Ok(route((100, 0)));
    live_route(&mut seen).experiment.wanted = vec![wanted()];
    for rs in &mut seen.replica_sets {
        (rs.desired, rs.replicas, rs.available, rs.attempt) = (4, 4, 4, 2);
    }
    behind(&mut seen, &revision, 4);
    seen
}

fn wanted() -> NewRule {
    NewRule { index: 0, rule: json!({"copy": true}), of: json!({"copy": false}) }
}

fn live_route(seen: &mut Snapshot) -> &mut LiveRoute {
    seen.routes[0].live.as_mut().unwrap()
}

/// The rule stands there, as it is to be or as it was before somebody edited its own.
fn there(seen: &mut Snapshot, fresh: bool) {
    let rule = if fresh { wanted().rule } else { json!({"old": true}) };
    live_route(seen).experiment.there = vec![RuleAt { index: 0, rule }];
}

/// So many endpoints of a revision are ready behind the Service of variant B.
fn behind(seen: &mut Snapshot, revision: &Revision, ready: u32) {
    let live = seen.canary_service.as_mut().unwrap().live.as_mut().unwrap();
    live.selects = Some(revision.clone());
    live.ready = BTreeMap::from([(revision.clone(), ready)]);
}

fn dead_stable(seen: &mut Snapshot) {
    seen.stable_service.as_mut().unwrap().live.as_mut().unwrap().ready.clear();
}

type Change = fn(&mut Snapshot);

#[test]
fn a_rule_appears_only_on_a_whole_side() {
    for (case, change, want) in [
        ("it is whole", (|_| {}) as Change, "-0 +1"),
        ("the rule stands", |s| there(s, true), "in force"),
        ("it is outdated", |s| there(s, false), "-1 +1"),
        ("pods are missing", |s| s.replica_sets[1].available = 3, "PodsNotReady"),
        (
            "endpoints are missing",
            |s| {
                let revision = s.replica_sets[1].revision.clone();
                behind(s, &revision, 3);
            },
            "EndpointsNotReady",
        ),
        (
            "it stands, and the side lost its endpoints",
            |s| {
                there(s, true);
                let revision = s.replica_sets[1].revision.clone();
                behind(s, &revision, 0);
            },
            "EndpointsNotReady",
        ),
        ("the weights come first", |s| live_route(s).rules[0].canary.1 = 9, "weigh 0"),
        (
            "another release has it",
            |s| {
                there(s, true);
                let stable = s.replica_sets[0].revision.clone();
                behind(s, &stable, 4);
            },
            "-1 +0",
        ),
        (
            "another release had it",
            |s| {
                let stable = s.replica_sets[0].revision.clone();
                behind(s, &stable, 4);
            },
            "turn canary",
        ),
        ("a GitOps tool has the route", |s| live_route(s).owner = Some("K".into()), "RouteOwned"),
        (
            "there is no room for it",
            |s| {
                let why = "is full".to_owned();
                let hold = Hold::RouteAmbiguous { route: http("shop"), why };
                live_route(s).experiment.hold = Some(hold);
            },
            "RouteAmbiguous",
        ),
        (
            "the gateway has to accept it",
            |s| {
                there(s, true);
                live_route(s).acceptance = crate::model::snapshot::Acceptance::Pending;
            },
            "RouteNotAccepted",
        ),
    ] {
        let mut seen = experiment(None);
        change(&mut seen);
        let rung = seen.spec.ladder.step(1).unwrap();
        let revision = seen.replica_sets[1].revision.clone();
        assert_eq!(shown(order::ladder(&seen, &revision, &rung)), want, "{case}");
    }
}

#[test]
fn a_rule_goes_before_anything_else_is_over() {
    for (case, change, want) in [
        ("on the way back", (|s| there(s, true)) as Change, "-1 +0"),
        ("it was edited", |s| there(s, false), "-1 +0"),
        ("nothing is left", |_| {}, "in force"),
        (
            "nobody would answer",
            |s| {
                there(s, true);
                dead_stable(s);
            },
            "NoHealthyBackend",
        ),
        (
            "nobody answers anyway",
            |s| {
                there(s, true);
                dead_stable(s);
                let revision = s.replica_sets[1].revision.clone();
                behind(s, &revision, 0);
            },
            "-1 +0",
        ),
    ] {
        let mut seen = experiment(Some(at(0)));
        change(&mut seen);
        let stable = seen.replica_sets[0].revision.clone();
        assert_eq!(shown(order::stable(&seen, &stable)), want, "{case}");
    }
}

#[test]
fn the_winner_takes_all_traffic_before_its_rule_goes() {
    let mut seen = experiment(Some(at(0)));
    there(&mut seen, true);
    let revision = seen.replica_sets[1].revision.clone();
    let rung = seen.spec.ladder.step(2).unwrap();
    assert_eq!(shown(order::ladder(&seen, &revision, &rung)), "weigh 100");
    live_route(&mut seen).rules = route((0, 100)).rules;
    assert_eq!(shown(order::ladder(&seen, &revision, &rung)), "in force");
    assert_eq!(shown(order::promotion(&seen, &revision)), "turn stable");
    let live = seen.stable_service.as_mut().unwrap().live.as_mut().unwrap();
    live.selects = Some(revision.clone());
    live.ready = BTreeMap::from([(revision.clone(), 3)]);
    assert_eq!(shown(order::promotion(&seen, &revision)), "EndpointsNotReady");
    let live = seen.stable_service.as_mut().unwrap().live.as_mut().unwrap();
    live.ready = BTreeMap::from([(revision.clone(), 4)]);
    assert_eq!(shown(order::promotion(&seen, &revision)), "-1 +0");
    live_route(&mut seen).experiment = Experiment::default();
    assert_eq!(shown(order::promotion(&seen, &revision)), "weigh 0");
    live_route(&mut seen).rules = route((100, 0)).rules;
    assert_eq!(shown(order::promotion(&seen, &revision)), "in force");
}

/// How an act is told: the stage that it stores, or what is waited for.
fn told(act: &Act) -> String {
    match act {
        Act::Commit(status) => match &status.attempt.as_ref().unwrap().stage {
            Stage::Step { number, paused_at, .. } => format!("{number} {}", paused_at.is_some()),
            Stage::RollingBack { cause, .. } => cause.as_str().to_owned(),
            Stage::First { .. }
            | Stage::Promoting { .. }
            | Stage::Baking { .. }
            | Stage::Completed { .. }
            | Stage::Ended { .. } => "another stage".to_owned(),
        },
        Act::Wait(Waits { holds, until }) => {
            format!("{} {}", holds[0].0.code(), until.is_some())
        }
        Act::Apply(writes) => format!("{} writes", writes.len()),
    }
}

#[test]
fn an_experiment_ends_at_its_time_whatever_state_it_is_in() {
    let endless: Change = |s| s.spec.ladder.steps[0].pause = Pause::UntilConcluded(None);
    let ill: Change = |s| s.replica_sets[1].available = 0;
    for (case, change, minutes, want) in [
        ("it runs", (|_| {}) as Change, 59, "Experimenting true"),
        ("its time is over", |_| {}, 60, "Concluded"),
        ("it has no time", endless, 6000, "AwaitingConclusion false"),
        ("it is ill", ill, 5, "PodsNotReady true"),
        ("it is ill and its time is over", ill, 60, "Concluded"),
    ] {
        let mut seen = experiment(Some(at(0)));
        there(&mut seen, true);
        change(&mut seen);
        assert_eq!(told(&stage::advance(&seen, at(minutes))), want, "{case}");
    }
    let mut seen = experiment(None);
    there(&mut seen, true);
    assert_eq!(told(&stage::advance(&seen, at(1))), "1 true", "its time begins with the rule");
    let Act::Commit(status) = stage::advance(&seen, at(1)) else { panic!() };
    assert_eq!(status.outbox[0].reason, "ExperimentStarted");
    let shown = status::project(&seen, *status, &Waits::default(), at(1));
    assert_eq!(shown.phase, Phase::Experimenting);
}

#[test]
fn a_command_names_the_winner() {
    let obeyed = |seen: &Snapshot, command| {
        let mut seen = seen.clone();
        let token = Some(Token { command, attempt: 2, step: 1 });
        seen.commands.accepted = Some(("accepted".to_owned(), token));
        told(&command::obey(&seen, at(2)).unwrap())
    };
    let seen = experiment(Some(at(0)));
    assert_eq!(obeyed(&seen, Command::ConcludeA), "Concluded");
    assert_eq!(obeyed(&seen, Command::ConcludeB), "2 false");
    assert_eq!(obeyed(&seen, Command::Promote), "2 false");
    let canary = climbing(1, Some(at(0)));
    assert_eq!(obeyed(&canary, Command::ConcludeB), "1 writes", "there is none to conclude");
    let mut frozen = seen.clone();
    frozen.spec.paused = true;
    assert_eq!(obeyed(&frozen, Command::ConcludeB), "1 writes");

    let taken = |seen: &Snapshot| {
        let mut seen = seen.clone();
        let key = "stairlock.dev/conclude-experiment".to_owned();
        let asked = Asked { command: Command::ConcludeB, key, value: Value::Present };
        seen.commands.asked = vec![asked];
        match command::take(&seen, at(2)).unwrap() {
            Act::Apply(writes) => matches!(&writes[0], Write::TakeCommands { accept: Some(_), .. }),
            Act::Commit(_) | Act::Wait(_) => false,
        }
    };
    assert!(taken(&seen));
    assert!(!taken(&experiment(None)), "the experiment does not run yet");
    assert!(!taken(&canary));
}

#[test]
fn data_decide_no_sooner_than_they_may() {
    let analysed = |concludes: bool, most: Option<Duration>| {
        let mut seen = experiment(Some(at(0)));
        there(&mut seen, true);
        seen.spec.ladder.steps[0].pause = Pause::UntilConcluded(most);
        let least = Some(Duration::from_secs(30 * 60));
        seen.spec.ladder.analysis = Some(Analysis { least, samples: 7 });
        seen.status.attempt.as_mut().unwrap().concludes = concludes;
        seen
    };
    let obeyed = |seen: &Snapshot, command, minute| {
        let mut seen = seen.clone();
        let token = Some(Token { command, attempt: 2, step: 1 });
        seen.commands.accepted = Some(("accepted".to_owned(), token));
        match command::obey(&seen, at(minute)).unwrap() {
            Act::Commit(status) => {
                let concludes = status.attempt.as_ref().unwrap().concludes;
                format!("{} {concludes}", told(&Act::Commit(status)))
            }
            other @ (Act::Apply(_) | Act::Wait(_)) => told(&other),
        }
    };
    let fresh = analysed(false, Some(HOUR));
    for (case, command, minute, want) in [
        ("too early: it is held", Command::Conclude, 29, "1 true true"),
        ("they may", Command::Conclude, 30, "Concluded true"),
        ("A ends it at once", Command::ConcludeA, 1, "Concluded false"),
        ("B ends it at once", Command::ConcludeB, 1, "2 false false"),
        ("a promotion does", Command::Promote, 1, "2 false false"),
        ("an abort does", Command::Abort, 1, "Aborted false"),
    ] {
        assert_eq!(obeyed(&fresh, command, minute), want, "{case}");
    }
    let held = analysed(true, Some(HOUR));
    assert_eq!(obeyed(&held, Command::Conclude, 5), "1 writes", "asked twice is asked once");
    assert_eq!(obeyed(&held, Command::ConcludeA, 5), "Concluded false", "a person overrules");
    assert_eq!(obeyed(&held, Command::ConcludeB, 5), "2 false false");
    for (case, seen, minute, want) in [
        ("it waits", &held, 29, "Concluding true"),
        ("and ends", &held, 30, "Concluded"),
        ("nobody asked", &fresh, 30, "Experimenting true"),
        ("its time is over", &fresh, 60, "Concluded"),
        ("it has no time of its own", &analysed(true, None), 29, "Concluding true"),
        ("and ends by the data", &analysed(true, None), 30, "Concluded"),
    ] {
        assert_eq!(told(&stage::advance(seen, at(minute))), want, "{case}");
    }
}

#[test]
fn the_end_by_data_tells_what_was_measured() {
    let told = |asked: bool, analysed: bool| {
        let mut seen = experiment(Some(at(0)));
        let attempt = seen.status.attempt.as_mut().unwrap();
        (attempt.trigger, attempt.concludes) = (Trigger::Template, asked);
        attempt.stage = Stage::RollingBack { entered_at: at(1), cause: Cause::Concluded };
        let analysis = Analysis { least: None, samples: 7 };
        seen.spec.ladder.analysis = Some(analysis).filter(|_| analysed);
        let Act::Commit(ended) = stage::advance(&seen, at(61)) else { panic!() };
        ended.outbox[0].message.clone()
    };
    let data = "(no samples were measured, 0 of minSampleSize 7: A)";
    assert!(told(true, true).contains(data), "{}", told(true, true));
    assert!(!told(false, true).contains("samples"), "a person named A");
    assert!(!told(true, false).contains("samples"), "nothing was asked of the data");
}

#[test]
fn who_does_not_win_is_noted_and_no_failure() {
    let mut seen = experiment(Some(at(0)));
    seen.status.attempt.as_mut().unwrap().trigger = Trigger::Template;
    let Act::Commit(back) = stage::advance(&seen, at(60)) else { panic!() };
    assert_eq!(back.quarantine.len(), 1);
    let then = Snapshot { status: *back, ..seen };
    let Act::Commit(ended) = stage::advance(&then, at(61)) else { panic!() };
    assert_eq!(ended.history[0].cause, Some(Cause::Concluded));
    assert_eq!(ended.outbox[0].reason, "ExperimentConcluded");
    assert!(!ended.outbox[0].warning);
    let shown = status::project(&then, *ended, &Waits::default(), at(61));
    assert_eq!(shown.phase, Phase::Concluded, "the template still is the other one");
    assert!(shown.conditions.iter().all(|condition| condition.kind != "Stalled"));
    let last = Snapshot { status: shown, ..then };
    let hold = side::quarantined(&last, "shop:1.1.0".to_owned(), 2);
    assert!(hold.message().contains("did not win the experiment of attempt 2"));
}

#[test]
fn a_rule_goes_from_a_route_that_serves_for_nothing_else() {
    let mut seen = experiment(Some(at(0)));
    there(&mut seen, true);
    let mut remnant = live_route(&mut seen).clone();
    remnant.rules.clear();
    let lost = Hold::BackendNotFound { what: "a rule".to_owned() };
    (seen.routes[0].live, seen.routes[0].remnant) = (Err(lost), Some(remnant));
    let stable = seen.status.stable.clone().unwrap().revision;
    assert_eq!(shown(order::stable(&seen, &stable)), "-1 +0");
    seen.rollout.deleting = Some(at(1));
    assert_eq!(shown_move(finalize::next(&seen, at(1))), "-1 +0");
    seen.routes[0].remnant = None;
    assert_eq!(shown(order::stable(&seen, &stable)), "BackendNotFound");
}

fn shown_move(next: Move) -> String {
    match next {
        Move::Apply(writes) => shown(Err(act::Next::Write(writes))),
        other @ (Move::Commit(_) | Move::Report(_) | Move::Announce(_) | Move::Wait { .. }) => {
            panic!("{other:?}")
        }
    }
}
