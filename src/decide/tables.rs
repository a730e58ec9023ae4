//! The tables of the decision: one row for each sentence of docs/spec/rollout.md.

use crate::decide::act::{Act, Waits};
use crate::decide::attempt::{self, Start};
use crate::decide::fixture::{at, at_rest, climbing, delivered, http, release, route, template};
use crate::decide::{command, stage};
use crate::model::command::{Asked, Command, Force, Token, Value};
use crate::model::hold::Hold;
use crate::model::moment::Duration;
use crate::model::moves::Write;
use crate::model::release::{Listed, ReleaseRef};
use crate::model::snapshot::{Acceptance, Offer, Releases, Snapshot};
use crate::model::spec::Routing;
use crate::model::status::{Cause, Quarantined, Stage, Trigger};
use crate::model::weight::Weight;

type Change = fn(&mut Snapshot);

#[test]
fn an_attempt_starts_only_where_it_can_be_proven() {
    starts(&[
        ("an edit climbs", |_| {}, "commit"),
        ("nothing new starts nothing", |_| {}, "nothing"),
        ("a frozen Rollout starts nothing", |s| s.spec.paused = true, "Suspended"),
        ("no pods prove nothing", |s| s.spec.replicas = 0, "ScaledToZero"),
        (
            "a refused template is told",
            |s| s.template_refused = Some("bad".into()),
            "InvalidTemplate",
        ),
        (
            "what failed as a template is left",
            |s| {
                s.status.quarantine.push(Quarantined {
                    revision: s.template.id.revision("shop", 0),
                    release: delivered("shop:2.0.0"),
                    trigger: Trigger::Template,
                    attempt: 5,
                    since: at(0),
                });
            },
            "Quarantined",
        ),
    ]);
}

#[test]
fn another_release_goes_past_a_template_that_failed() {
    let failed: Change = |s| {
        s.status.quarantine.push(Quarantined {
            revision: s.template.id.revision("shop", 0),
            release: delivered("shop:2.0.0"),
            trigger: Trigger::Release,
            attempt: 5,
            since: at(0),
        });
    };
    for (case, offered, want) in [
        ("the source still offers what failed", "2.0.0", "Quarantined"),
        ("it offers an older one", "1.9.0", "Quarantined"),
        ("it offers another one", "2.0.1", "commit"),
    ] {
        let mut seen = at_rest();
        seen.template = template("shop:2.0.0");
        failed(&mut seen);
        seen.offer = Offer::Releases(Releases::one(release(offered)));
        assert_eq!(started(&seen), want, "{case}");
    }
}

#[test]
fn an_attempt_starts_only_where_nobody_will_saw_through_the_ladder() {
    starts(&[
        (
            "an older Rollout keeps its Service",
            |s| {
                s.duplicate = Some(("Service stable".into(), "older".into()));
            },
            "DuplicateBinding",
        ),
        (
            "a route that would be put back is left",
            |s| {
                s.routes[0].live.as_mut().unwrap().owner = Some("K".into());
            },
            "RouteOwned",
        ),
        (
            "a route that is missing is told",
            |s| {
                let hold = Hold::BackendNotFound { what: "HTTPRoute shop".into() };
                s.routes[0].live = Err(hold);
            },
            "BackendNotFound",
        ),
        (
            "a Service that would be put back is left",
            |s| {
                let live = s.stable_service.as_mut().unwrap().live.as_mut().unwrap();
                live.owner = Some("K".into());
            },
            "ServiceOwned",
        ),
        (
            "a Service of other pods is left",
            |s| {
                let live = s.canary_service.as_mut().unwrap().live.as_mut().unwrap();
                live.mismatch = Some("label tier".into());
            },
            "ServiceMismatch",
        ),
        (
            "a Service without a port is not made",
            |s| {
                s.canary_service.as_mut().unwrap().live = None;
                s.template.ports = vec![81, 82];
            },
            "PortUnknown",
        ),
    ]);
}

fn starts(rows: &[(&str, Change, &str)]) {
    for (case, change, want) in rows {
        let mut seen = at_rest();
        if *want != "nothing" {
            seen.template = template("shop:2.0.0");
        }
        change(&mut seen);
        assert_eq!(started(&seen), *want, "{case}");
    }
}

fn started(seen: &Snapshot) -> &'static str {
    match attempt::start(seen, at(1)) {
        Start::Nothing => "nothing",
        Start::Commit(_) => "commit",
        Start::Apply(_) => "apply",
        Start::Hold(hold) | Start::Stop(hold) => hold.code(),
    }
}

fn shown(act: Act) -> String {
    match act {
        Act::Commit(status) => match status.attempt.map(|attempt| attempt.stage) {
            Some(Stage::Step { number, paused_at: None, .. }) => format!("step {number}"),
            Some(Stage::Step { number, .. }) => format!("step {number} in force"),
            Some(Stage::Promoting { .. }) => "promoting".to_owned(),
            Some(Stage::RollingBack { cause, .. }) => format!("back: {}", cause.as_str()),
            Some(Stage::Baking { .. }) => "baking".to_owned(),
            Some(Stage::Completed { .. }) => "completed".to_owned(),
            Some(Stage::Ended { .. }) => "ended".to_owned(),
            Some(Stage::First { .. }) | None => "first".to_owned(),
        },
        Act::Apply(writes) => match writes.first() {
            Some(Write::SetWeights { edits, .. }) => format!("weigh {}", edits[1].weight),
            Some(Write::Resize { replicas, .. }) => format!("resize {replicas}"),
            Some(Write::Select { target, .. }) => format!("select by {}", target.name),
            Some(Write::CreateReplicaSet { .. }) => "create".to_owned(),
            Some(other) => format!("{other:?}"),
            None => "no write".to_owned(),
        },
        Act::Wait(Waits { holds, .. }) => {
            holds.first().map_or("rest".to_owned(), |(hold, _)| hold.code().to_owned())
        }
    }
}

#[test]
fn a_step_is_left_only_for_a_stated_reason() {
    let canary = |s: &mut Snapshot, available: u32| {
        s.replica_sets[1].available = available;
    };
    for (case, number, paused_at, change, minute, want) in [
        ("a weight in force starts the pause", 1, None, 0, 1, "step 1 in force"),
        ("the pause runs", 1, Some(at(1)), 0, 5, "Paused"),
        ("the pause is over at its end", 1, Some(at(1)), 0, 6, "step 2"),
        ("an unready canary does not end a pause", 1, Some(at(1)), 1, 6, "PodsNotReady"),
        ("pods come before weight", 1, None, 2, 1, "PodsNotReady"),
        ("endpoints come before weight", 1, None, 3, 1, "EndpointsNotReady"),
        ("then the weight rises", 1, None, 4, 1, "weigh 50"),
        ("then the gateway has to accept", 1, None, 5, 1, "RouteNotAccepted"),
        ("a refusing gateway is waited for", 1, None, 6, 1, "RouteRefused"),
        ("the deadline is over at its end", 1, None, 2, 10, "back: DeadlineExceeded"),
        ("and not before", 1, None, 2, 9, "PodsNotReady"),
        ("a person is waited for", 2, Some(at(1)), 0, 999, "AwaitingPromotion"),
        ("no pause goes on at once", 3, None, 0, 1, "promoting"),
        ("edited weights are put back", 2, Some(at(1)), 7, 2, "weigh 75"),
        ("a frozen ladder stands", 1, Some(at(1)), 8, 99, "Suspended"),
        ("a larger side comes first", 1, None, 9, 1, "resize 8"),
    ] {
        let mut seen = climbing(number, paused_at);
        let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
        let live = seen.routes[0].live.as_mut().unwrap();
        match change {
            1 => canary(&mut seen, 0),
            2 => {
                *live = route((100, 0));
                canary(&mut seen, 1);
            }
            3 => {
                *live = route((100, 0));
                let service = seen.canary_service.as_mut().unwrap().live.as_mut().unwrap();
                service.ready.insert(revision, 1);
            }
            4 => *live = route((100, 0)),
            5 => live.acceptance = Acceptance::Pending,
            6 => live.acceptance = Acceptance::Refused("no".into()),
            7 => *live = route((90, 10)),
            8 => seen.spec.paused = true,
            9 => seen.spec.replicas = 8,
            _ => {}
        }
        assert_eq!(shown(stage::advance(&seen, at(minute))), want, "{case}");
    }
}

#[test]
fn a_command_acts_only_on_what_is_waited_for() {
    let paused = || climbing(2, Some(at(1)));
    let moving = || climbing(1, None);
    let frozen = || {
        let mut seen = paused();
        seen.spec.paused = true;
        seen
    };
    let (mut empty, mut elsewhere) = (paused(), paused());
    empty.spec.replicas = 0;
    elsewhere.instead =
        Some(Routing { routes: vec![http("other")], ..elsewhere.spec.ladder.routing() });
    let named = |attempt, step| Value::Named { attempt, step };
    let token = |command, step| Some(Token { command, attempt: 2, step });
    use Command::{Abort, Promote, PromoteFull, Retry};
    for (case, seen, command, value, want) in [
        ("true names the present step", paused(), Promote, Value::Present, token(Promote, 2)),
        ("the step may be named", paused(), Promote, named(2, 2), token(Promote, 2)),
        ("another step is dropped", paused(), Promote, named(2, 1), None),
        ("another attempt is dropped", paused(), Promote, named(1, 2), None),
        ("nothing waits for promote", moving(), Promote, Value::Present, None),
        ("nothing waits at rest", at_rest(), Promote, Value::Present, None),
        ("abort needs no pause", moving(), Abort, Value::Present, token(Abort, 1)),
        ("nothing to abort at rest", at_rest(), Abort, Value::Present, None),
        (
            "promote-full needs no pause",
            moving(),
            PromoteFull,
            Value::Present,
            token(PromoteFull, 1),
        ),
        (
            "the last step may have a pause",
            climbing(3, None),
            PromoteFull,
            Value::Present,
            token(PromoteFull, 3),
        ),
        ("a frozen ladder is not promoted", frozen(), Promote, Value::Present, None),
        ("nor one without pods", empty, PromoteFull, Value::Present, None),
        ("nor one on other objects", elsewhere, Promote, Value::Present, None),
        ("nothing failed", at_rest(), Retry, Value::Present, None),
    ] {
        let mut seen = seen;
        let key = format!("x/{}", command.as_str());
        seen.commands.asked.push(Asked { command, key: key.clone(), value });
        let mut act = command::take(&seen, at(2)).unwrap();
        if let Act::Commit(status) = act {
            let notice = status.outbox.last().unwrap();
            assert_eq!(notice.reason, "CommandDropped", "{case}");
            seen.status = *status;
            act = command::take(&seen, at(2)).unwrap();
        }
        let want = Act::Apply(vec![Write::TakeCommands { remove: vec![key], accept: want }]);
        assert_eq!(act, want, "{case}");
    }
}

#[test]
fn each_value_that_is_not_understood_is_answered_once() {
    let asked = |(command, text): &(Command, &str)| {
        let (key, value) = (format!("x/{}", command.as_str()), Value::parse(text));
        Asked { command: *command, key, value }
    };
    let mut seen = climbing(2, Some(at(1)));
    let (abort, retry) = ((Command::Abort, "yes"), (Command::Retry, "maybe"));
    let unblock = (Command::UnblockFailed, "");
    let good = (Command::Promote, "true");
    for (case, annotations, want) in [
        ("one", vec![abort], vec!["x/abort: unknown value \"yes\""]),
        ("a second beside it", vec![abort, retry], vec!["x/retry: unknown value \"maybe\""]),
        ("another value of one", vec![(abort.0, "no"), retry], vec!["x/abort: unknown value"]),
        ("one stays beside a command", vec![good, retry], vec![]),
        ("two come at once", vec![abort, retry, unblock], vec!["x/abort: ", "x/unblock-failed: "]),
        ("all are taken away", vec![], vec![]),
        ("both come again", vec![abort, retry], vec!["x/abort: ", "x/retry: "]),
    ] {
        seen.commands.asked = annotations.iter().map(asked).collect();
        seen.status.outbox.clear();
        let Some(Act::Commit(status)) = command::take(&seen, at(2)) else { panic!("{case}") };
        let told: Vec<&str> = status.outbox.iter().map(|notice| &*notice.message).collect();
        assert_eq!(told.len(), want.len(), "{case}: {told:?}");
        for (told, want) in told.iter().zip(want) {
            assert!(told.starts_with(want), "{case}: {told}");
        }
        seen.status = *status;
        let next = command::take(&seen, at(2));
        assert!(!matches!(next, Some(Act::Commit(_))), "{case}: once, and stored: {next:?}");
        assert_eq!(next.is_some(), annotations.contains(&good), "{case}: they stay");
    }
}

#[test]
fn what_failed_in_an_earlier_attempt_is_tried_again() {
    let mut seen = at_rest();
    let number = seen.status.attempt.as_ref().unwrap().number;
    seen.offer = Offer::Releases(Releases::one(release("9.0.0")));
    let entry = Quarantined {
        revision: template("shop:9.0.0").id.revision("shop", 0),
        release: ReleaseRef::of(&release("9.0.0").image),
        trigger: Trigger::Release,
        attempt: number.saturating_sub(1),
        since: at(0),
    };
    seen.status.quarantine = vec![entry];
    let key = "x/retry".to_owned();
    let asked = Asked { command: Command::Retry, key: key.clone(), value: Value::Present };
    seen.commands.asked.push(asked);
    let token = Token { command: Command::Retry, attempt: number, step: 0 };
    let remove = vec![key];
    let want = Act::Apply(vec![Write::TakeCommands { remove, accept: Some(token) }]);
    assert_eq!(command::take(&seen, at(2)), Some(want));
    seen.commands.accepted = Some(("x/accepted".to_owned(), Some(token)));
    let Some(Act::Commit(status)) = command::obey(&seen, at(2)) else { panic!() };
    assert_eq!(status.quarantine, []);
}

#[test]
fn abort_wins_over_every_other_command() {
    let mut seen = climbing(2, Some(at(1)));
    for command in [Command::Promote, Command::PromoteFull, Command::Abort] {
        let key = format!("x/{}", command.as_str());
        seen.commands.asked.push(Asked { command, key, value: Value::Present });
    }
    let accept = Some(Token { command: Command::Abort, attempt: 2, step: 2 });
    let remove = ["x/promote", "x/promote-full", "x/abort"].map(str::to_owned).to_vec();
    let want = Act::Apply(vec![Write::TakeCommands { remove, accept }]);
    assert_eq!(command::take(&seen, at(2)), Some(want));
}

#[test]
fn an_accepted_token_acts_once() {
    for (case, command, step, want) in [
        ("promote enters the next step", Command::Promote, 2, "step 3"),
        ("promote-full enters the last step", Command::PromoteFull, 2, "step 3"),
        ("abort goes back", Command::Abort, 2, "back: Aborted"),
        ("a token of another step is void", Command::Promote, 1, "void"),
    ] {
        let mut seen = climbing(2, Some(at(1)));
        let token = Token { command, attempt: 2, step };
        seen.commands.accepted = Some(("x/accepted".to_owned(), Some(token)));
        let act = command::obey(&seen, at(2)).unwrap();
        let Act::Commit(status) = act else {
            assert_eq!(want, "void", "{case}");
            continue;
        };
        assert_eq!(shown(Act::Commit(status.clone())), want, "{case}");
        seen.status = *status;
        let again = command::obey(&seen, at(3)).unwrap();
        assert!(matches!(again, Act::Apply(_)), "{case}: {again:?}");
    }
}

#[test]
fn a_promotion_moves_the_service_before_the_traffic() {
    let promoting = || {
        let mut seen = climbing(3, None);
        seen.status.attempt.as_mut().unwrap().stage = Stage::Promoting { entered_at: at(0) };
        seen
    };
    let moved = |ready: u32| {
        let mut seen = promoting();
        let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
        let service = seen.stable_service.as_mut().unwrap().live.as_mut().unwrap();
        service.selects = Some(revision.clone());
        service.ready = [(revision, ready)].into();
        seen
    };
    let full = |mut seen: Snapshot, weights| {
        seen.routes[0].live = Ok(route(weights));
        seen
    };
    let late = |mut seen: Snapshot| {
        let entered_at = at(0) + Duration::from_secs(60);
        seen.spec.deadline = Duration::from_secs(0);
        seen.status.attempt.as_mut().unwrap().stage = Stage::Promoting { entered_at };
        seen
    };
    for (case, seen, want) in [
        ("the stable Service turns at full weight", promoting(), "select by stable"),
        ("not before", full(promoting(), (1, 99)), "weigh 100"),
        ("its endpoints come next", moved(3), "EndpointsNotReady"),
        ("then it takes all traffic", moved(4), "weigh 0"),
        ("then the attempt is over", full(moved(4), (100, 0)), "completed"),
        ("the deadline ends what hangs", late(moved(3)), "back: DeadlineExceeded"),
        ("pods that go then do not turn it back", full(moved(0), (100, 0)), "completed"),
    ] {
        assert_eq!(shown(stage::advance(&seen, at(1))), want, "{case}");
    }
}

#[test]
fn the_way_back_needs_pods_to_go_back_to() {
    let back = |stable: u32, canary: u32| {
        let mut seen = climbing(2, None);
        let cause = Cause::Aborted;
        let attempt = seen.status.attempt.as_mut().unwrap();
        attempt.stage = Stage::RollingBack { entered_at: at(0), cause };
        let (attempt, first) = (attempt.revision.clone(), seen.replica_sets[0].revision.clone());
        let live = |s: &mut Option<crate::model::snapshot::Service>| {
            s.as_mut().unwrap().live.as_mut().unwrap().clone()
        };
        let mut service = live(&mut seen.stable_service);
        service.ready = [(first, stable)].into();
        seen.stable_service.as_mut().unwrap().live = Some(service);
        let mut service = live(&mut seen.canary_service);
        service.ready = [(attempt, canary)].into();
        seen.canary_service.as_mut().unwrap().live = Some(service);
        seen
    };
    for (case, seen, want) in [
        ("a whole stable side takes all", back(4, 3), "weigh 0"),
        ("part of it does where the canary has less", back(2, 1), "weigh 0"),
        ("less than the canary does not", back(2, 3), "NoHealthyBackend"),
        ("nothing does not", back(0, 0), "NoHealthyBackend"),
    ] {
        assert_eq!(shown(stage::advance(&seen, at(1))), want, "{case}");
    }
    assert_eq!(Weight::FULL.rest(), Weight::NONE);
}

#[test]
fn a_step_tells_that_nothing_can_be_gone_back_to() {
    let told = |seen: &Snapshot| {
        let Act::Wait(Waits { holds, .. }) = stage::advance(seen, at(1)) else { panic!("it acts") };
        holds.iter().map(|(hold, _)| hold.code()).collect::<Vec<_>>().join(", ")
    };
    let mut seen = climbing(1, Some(at(1)));
    assert_eq!(told(&seen), "Paused");
    seen.replica_sets.remove(0);
    assert_eq!(told(&seen), "Paused, NoHealthyBackend", "the ReplicaSet of stable is gone");
}

#[test]
fn a_forced_version_is_stored_before_its_annotation_goes() {
    let mut seen = at_rest();
    seen.offer = Offer::Releases(Releases::one(release("1.1.0")));
    seen.template = template("shop:1.1.0");
    seen.status.available.push(Listed::of(&release("0.9.0")));
    let ask = |version: &str| {
        let key = "stairlock.dev/force-deploy".to_owned();
        Some(Force { key, version: version.to_owned(), back: false })
    };
    let removes = |act: Option<Act>| {
        let Some(Act::Apply(writes)) = act else { return false };
        let one = |keys: &Vec<String>| keys.len() == 1;
        matches!(writes.as_slice(), [Write::TakeCommands { remove, accept: None }] if one(remove))
    };
    seen.commands.force = ask("v0.9.0");
    let Some(Act::Commit(stored)) = command::take(&seen, at(5)) else { panic!("not stored") };
    assert_eq!(stored.pin.as_ref().map(|pin| pin.image.as_str()), Some("shop:0.9.0"));
    seen.status = *stored;
    assert!(removes(command::take(&seen, at(6))), "a crash between the two does no harm");

    let unknown = "VersionNotFound";
    for (version, reason) in [("7.7.7", unknown), ("", unknown), ("1.1.0", "CommandDropped")] {
        seen.commands.force = ask(version);
        seen.status.outbox.clear();
        let Some(Act::Commit(told)) = command::take(&seen, at(7)) else { panic!("not told") };
        assert_eq!(told.outbox[0].reason, reason);
        seen.status = *told;
        assert!(removes(command::take(&seen, at(8))), "{version}");
    }
    seen.commands.force = ask("77").map(|asked| Force { back: true, ..asked });
    seen.status.outbox.clear();
    let Some(Act::Commit(told)) = command::take(&seen, at(8)) else { panic!("not told") };
    assert!(told.outbox[0].message.contains("status.history"), "{told:?}");
    seen.spec.wanted_version = Some("1.1.0".to_owned());
    (seen.commands.force, seen.status.pin) = (ask("0.9.0"), None);
    seen.status.outbox.clear();
    let Some(Act::Commit(told)) = command::take(&seen, at(9)) else { panic!("not told") };
    assert!(told.outbox[0].message.contains("spec.wantedVersion names another"), "{told:?}");
    assert_eq!(told.pin, None, "nothing waits for the day on which that is gone");
}
