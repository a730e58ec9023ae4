//! What a schedule does with its gates, turn by turn.

use super::*;
use crate::model::moment::Duration;
use crate::model::moves::Target;
use crate::model::schedule::{Action, Rule, Times};
use crate::model::zone::Zone;

/// Midnight of 2026-01-01 and some minutes.
fn at(minute: u64) -> Timestamp {
    Timestamp::parse("2026-01-01T00:00:00Z").unwrap() + Duration::from_secs(60 * minute)
}

/// Active from one o'clock to two, for `shop` and `till`.
fn seen(action: Action) -> Watched {
    let times = Some(Times { start: 60, end: 120 });
    let rule = Rule { name: "one".to_owned(), times, weekdays: [].into(), dates: None };
    let zone = Zone::named("UTC").unwrap();
    let name = |name: &str| ("prod".to_owned(), name.to_owned());
    Watched {
        namespace: "prod".to_owned(),
        name: "office".to_owned(),
        mark: "office-1".to_owned(),
        generation: 3,
        schedule: Ok(Schedule { zone, action, rules: vec![rule] }),
        rollouts: [name("shop"), name("till")].into(),
        gates: Vec::new(),
        others: [].into(),
        refused: [].into(),
        status: ScheduleStatus::default(),
    }
}

fn made(rollout: &str, passing: bool, turns_at: Option<Timestamp>) -> ManagedGate {
    ManagedGate {
        namespace: "prod".to_owned(),
        target: Target {
            name: format!("office-1-{rollout}"),
            uid: rollout.to_owned(),
            resource_version: "7".to_owned(),
        },
        rollout: rollout.to_owned(),
        passing,
        turns_at,
        plain: true,
        ending: false,
    }
}

/// The writes of a turn, in words.
fn told(turn: Turn) -> Vec<String> {
    let Turn::Apply(writes) = turn else { return Vec::new() };
    let minute = |at: Option<Timestamp>| at.map(|at| at.since(self::at(0)).millis() / 60_000);
    let words = |write: &GateWrite| match write {
        GateWrite::Create { name, passing, turns_at, .. } => {
            format!("+{name} {passing} {:?}", minute(*turns_at))
        }
        GateWrite::Set { target, passing, turns_at, .. } => {
            format!("={} {passing} {:?}", target.name, minute(*turns_at))
        }
        GateWrite::Delete { target, .. } => format!("-{}", target.name),
    };
    writes.iter().map(words).collect()
}

#[test]
fn gates_stand_as_the_rules_say() {
    let (allow, deny) = (Action::Allow, Action::Deny);
    let both =
        |passing, turns_at| vec![made("shop", passing, turns_at), made("till", passing, turns_at)];
    let ending = vec![ManagedGate { ending: true, ..made("shop", false, None) }];
    for (case, action, minute, gates, want) in [
        (
            "they are made",
            deny,
            0,
            vec![],
            vec!["+office-1-shop true Some(60)", "+office-1-till true Some(60)"],
        ),
        (
            "closed until it is over",
            deny,
            60,
            both(true, Some(at(60))),
            vec!["=office-1-shop false Some(120)", "=office-1-till false Some(120)"],
        ),
        (
            "and opened then",
            deny,
            120,
            both(false, Some(at(120))),
            vec!["=office-1-shop true Some(1500)", "=office-1-till true Some(1500)"],
        ),
        (
            "Allow is the other way round",
            allow,
            0,
            vec![],
            vec!["+office-1-shop false Some(60)", "+office-1-till false Some(60)"],
        ),
        (
            "and open while it is active",
            allow,
            60,
            both(false, Some(at(60))),
            vec!["=office-1-shop true Some(120)", "=office-1-till true Some(120)"],
        ),
        ("what is as it should be is left", deny, 0, both(true, Some(at(60))), vec![]),
        (
            "an open one knows when it closes",
            deny,
            0,
            both(true, None),
            vec!["=office-1-shop true Some(60)", "=office-1-till true Some(60)"],
        ),
        (
            "one that nobody needs goes",
            deny,
            0,
            [both(true, Some(at(60))), vec![made("gone", true, None)]].concat(),
            vec!["-office-1-gone"],
        ),
        ("what goes already is waited for", deny, 0, ending, vec!["+office-1-till true Some(60)"]),
    ] {
        let seen = Watched { gates, ..seen(action) };
        assert_eq!(told(next(&seen, at(minute))), want, "{case}");
    }
}

#[test]
fn what_is_seen_is_stored_once_and_then_waited_for() {
    let gates = vec![made("shop", true, Some(at(60))), made("till", true, Some(at(60)))];
    let mut seen = Watched { gates, ..seen(Action::Deny) };
    let Turn::Report(status) = next(&seen, at(0)) else { panic!("nothing is stored") };
    assert_eq!((status.observed_generation, status.active, status.next), (3, false, Some(at(60))));
    assert_eq!(status.gates, ["office-1-shop", "office-1-till"]);
    assert_eq!(status.rollouts, ["shop", "till"]);
    let said = |status: &ScheduleStatus| -> Vec<String> {
        let all = status.conditions.iter();
        all.map(|c| format!("{} {} {}", c.kind, c.status, c.reason)).collect()
    };
    assert_eq!(said(&status), ["Ready True Inactive"]);
    seen.status = *status;
    assert_eq!(next(&seen, at(1)), Turn::Wait(Some(at(60))), "nothing is polled");
    assert_eq!(told(next(&seen, at(60))).len(), 2, "gates before status");
}

#[test]
fn what_cannot_be_used_leaves_gates_as_they_are() {
    let gates = vec![made("shop", false, None)];
    let problem = Problem::new("spec.timezone", "is none");
    let mut seen = Watched { gates, schedule: Err(problem), ..seen(Action::Deny) };
    let Turn::Report(status) = next(&seen, at(0)) else { panic!("nothing is stored") };
    let ready = &status.conditions[0];
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "InvalidSpec"));
    assert_eq!(ready.message, "spec.timezone: is none");
    assert_eq!(status.conditions[1].kind, "Stalled");
    seen.status = *status;
    assert_eq!(next(&seen, at(1)), Turn::Wait(None));
}

#[test]
fn a_gate_of_somebody_else_is_told_of_and_left() {
    let mut seen = seen(Action::Deny);
    seen.others = [("prod".to_owned(), "office-1-shop".to_owned())].into();
    assert_eq!(told(next(&seen, at(0))), ["+office-1-till true Some(60)"]);
    seen.gates = vec![made("till", true, Some(at(60)))];
    let Turn::Report(status) = next(&seen, at(0)) else { panic!("nothing is stored") };
    assert_eq!(status.conditions[0].reason, "NameTaken");
}

#[test]
fn what_else_a_gate_asks_for_is_taken_out_open_or_not() {
    let mut seen = seen(Action::Deny);
    let odd = ManagedGate { plain: false, ..made("shop", true, Some(at(60))) };
    seen.gates = vec![odd, made("till", true, Some(at(60)))];
    assert_eq!(told(next(&seen, at(0))), ["=office-1-shop true Some(60)"]);
}

#[test]
fn many_gates_are_written_in_several_turns() {
    let mut seen = seen(Action::Deny);
    seen.namespace.clear();
    seen.rollouts = (0..250).map(|n| (format!("ns-{n}"), "shop".to_owned())).collect();
    assert_eq!(told(next(&seen, at(0))).len(), WRITES_MAX);
}

#[test]
fn a_gate_that_is_refused_keeps_no_other_and_is_told_of() {
    let mut seen = seen(Action::Deny);
    let name = ("prod".to_owned(), "office-1-shop".to_owned());
    seen.refused = [(name, "exceeded quota".to_owned())].into();
    assert_eq!(told(next(&seen, at(0))), ["+office-1-till true Some(60)"]);
    seen.gates = vec![made("till", true, Some(at(60)))];
    let Turn::Report(status) = next(&seen, at(0)) else { panic!("nothing is stored") };
    let [ready, stalled] = status.conditions.as_slice() else { panic!("{:?}", status.conditions) };
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "GateRefused"));
    assert_eq!(ready.message, "RolloutGate office-1-shop: exceeded quota");
    assert_eq!(stalled.kind, "Stalled");
    seen.refused.clear();
    assert_eq!(told(next(&seen, at(0))), ["+office-1-shop true Some(60)"], "it is tried again");
}
