use std::collections::BTreeMap;

use super::*;
use crate::cli::manifest;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000) + Duration::from_secs(secs)
}

fn rollout() -> Chosen {
    let text = include_str!("../../../tests/crd/accept/smallest.yaml");
    let text = text.replace(
        "        - setWeight: 20\n          pause:\n            duration: \"5m\"\n",
        "        - {setWeight: 5, pause: {duration: 10m}}\n        - {setWeight: 50, pause: {}}\n",
    );
    let text = text.replace("spec:\n  selector", "spec:\n  replicas: 5\n  selector");
    manifest::read(&manifest::sources("a.yaml", &text).unwrap()).unwrap().rollout
}

fn stand(step: i64, weight: i64, from: u64, to: u64, pods: (u32, u32)) -> Stand {
    let stage = if step == 0 { Attempt::PROMOTING } else { Attempt::STEP };
    Stand {
        stage: stage.to_owned(),
        step,
        weight,
        from: at(from),
        in_force: (step == 1).then(|| at(from + 10)),
        to: at(to),
        holds: vec![],
        pods,
    }
}

fn rehearsal(outcome: Outcome, message: &str) -> Rehearsal {
    let pods = vec![("PodsNotReady".to_owned(), Duration::from_secs(10))];
    let pause = vec![
        ("PodsNotReady".to_owned(), Duration::from_millis(900)),
        ("Paused".to_owned(), Duration::from_secs(600)),
    ];
    let stands = vec![
        Stand { holds: pause, ..stand(1, 5, 100, 710, (1, 4)) },
        stand(2, 50, 710, 711, (3, 3)),
        Stand { holds: pods, ..stand(3, 100, 711, 732, (5, 0)) },
        stand(0, 100, 732, 733, (5, 0)),
    ];
    let attempts = BTreeMap::from([(2, (at(100), Some(at(733))))]);
    Rehearsal {
        verdict: Verdict { outcome, message: message.to_owned(), attempt: Some(2) },
        account: Account { peak_pods: 7, stands, attempts, ..Account::default() },
        released: at(100),
        promoted: vec![2],
    }
}

fn made(ideal: &Rehearsal, time: Option<Timestamp>, latest: Option<u64>) -> (Plan, Exit) {
    forecast(&Forecast {
        rollout: &rollout(),
        from: "2.3.0",
        version: "2.4.0",
        at: time,
        ready_after: Duration::from_secs(10),
        ideal,
        latest: latest.map(Duration::from_secs),
    })
}

#[test]
fn a_plan_tells_when_how_many_and_what_holds() {
    let ideal = rehearsal(Outcome::Completed, "attempt 2 completed");
    let (plan, exit) = made(&ideal, None, None);
    assert_eq!((exit, plan.exit_code, plan.completes), (Exit::Reached, 0, true));
    let want = "\
default/shop: 2.3.0 → 2.4.0, pods ready after 10s

t+0s         step 1/3   weight 20 (asked 5)    pods 1 new, 4 old    pause 10m
t+10m10s     step 2/3   weight 50              pods 3 new, 3 old    until promoted
t+10m11s     step 3/3   weight 100             pods 5 new, 0 old                     held by \
PodsNotReady 10s
t+10m32s     promotion  weight 100             pods 5 new, 0 old

earliest end  t+10m33s, if promoted at once
latest end    when a person promotes
peak pods     7 (2 beyond the replicas)
warning       W104: step 1: weight 5 was asked, 1 of 5 pods without a trafficRouting give 20
";
    assert_eq!(plan.text(), want);
    let steps: Vec<_> = plan.steps.iter().map(|step| step.held_by.len()).collect();
    assert_eq!(steps, [2, 0, 1, 0], "programs are told of short holds too");
    assert_eq!(plan.steps[0].in_force.as_ref().map(|moment| moment.millis), Some(10_000));
}

#[test]
fn with_a_time_ends_are_told_as_times() {
    let ideal = rehearsal(Outcome::Completed, "attempt 2 completed");
    let time = Timestamp::parse("2026-11-27T16:30:00Z");
    let text = made(&ideal, time, Some(1800)).0.text();
    for line in [
        "default/shop: 2.3.0 → 2.4.0, released at 2026-11-27T16:30:00Z, pods ready after 10s\n",
        "earliest end  t+10m33s (2026-11-27T16:40:33Z), if promoted at once\n",
        "latest end    t+30m (2026-11-27T17:00:00Z)\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_release_that_does_not_complete_has_no_end() {
    let ideal = rehearsal(Outcome::Blocked, "NoRelease: none");
    let (plan, exit) = made(&ideal, None, None);
    assert_eq!((exit, plan.exit_code, plan.earliest_end.clone()), (Exit::Trouble, 1, None));
    assert!(plan.text().contains("\nno end        NoRelease: none\npeak pods"), "{}", plan.text());
}
