use serde_json::json;

use super::*;
use crate::sim::history::Writer;
use crate::sim::scenario;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000) + Duration::from_secs(secs)
}

fn attempt(stage: &str, step: u32, weight: u32) -> serde_json::Value {
    json!({"number": 2, "release": {"version": "1.1.0"}, "revision": "bbb", "trigger": "Release",
        "stage": stage, "step": step, "weight": weight, "startedAt": at(60).to_string(),
        "enteredAt": at(60).to_string()})
}

fn told(story: &str, violations: Vec<Broken>) -> (Report, Exit, String) {
    let place = Place::new("rollouts", "prod", "web");
    let history = json!([{"number": 2, "release": {"version": "1.1.0"}, "revision": "bbb",
        "trigger": "Release", "outcome": "Completed", "weight": 100, "startedAt":
        at(60).to_string(), "endedAt": at(160).to_string()}]);
    let states = [
        (60, json!({"phase": "Progressing", "attempt": attempt("Step", 1, 50)})),
        (
            160,
            json!({"phase": "Completed", "attempt": attempt("Completed", 0, 100),
            "history": history}),
        ),
    ];
    let mut before = None;
    let mut changes: Vec<Arc<Change>> = Vec::new();
    for (secs, status) in states {
        let after = Some(Arc::new(json!({"status": status})));
        let writer = Writer::Controller { identity: "a".into(), seen: None };
        let before = std::mem::replace(&mut before, after.clone());
        let place = place.clone();
        changes.push(Arc::new(Change { revision: 1, at: at(secs), writer, place, before, after }));
    }
    let sets = ["aaa", "bbb"].map(|revision| {
        let set = json!({"metadata": {"labels": {"stairlock.dev/revision": revision}},
            "status": {"readyReplicas": 1}, "spec": {"replicas": 1}});
        Arc::new(Change {
            revision: 1,
            at: at(50),
            writer: Writer::Other("cluster".into()),
            place: Place::new("replicasets", "prod", revision),
            before: None,
            after: Some(Arc::new(set)),
        })
    });
    changes.splice(0..0, sets);
    let story = scenario::read("s.yaml", story).unwrap();
    let (report, exit) = report(&Played {
        story: &story,
        rollout: &place,
        steps: 1,
        changes: &changes,
        began: at(0),
        ended: at(300),
        writes: 9,
        idle: &[(at(20), "it is gone".to_owned())],
        violations,
        release: None,
        wanted: None,
    });
    let text = report.text(&story);
    (report, exit, text)
}

const STORY: &str = "story: 1
seed: 3
events:
- errors: {at: 110s, version: 1.1.0, percent: 10}
- prometheus: {at: 200s, up: false}
- loseReply: {write: 3}
";

#[test]
fn a_report_weaves_story_and_history_and_sums_up() {
    let (report, exit, text) = told(STORY, vec![]);
    assert_eq!((exit, report.exit_code), (Exit::Reached, 0));
    let want = "\
at a write   story      the answer to write 3 is lost
t+20s        story      that had no effect: it is gone
t+50s        pods       aaa: 0 → 1 pods
t+50s        pods       bbb: 0 → 1 pods
t+1m         rollout    attempt 2: release 1.1.0, step 1 of 1, weight 50, phase Progressing
t+1m50s      story      10 of 100 requests to 1.1.0 fail
t+2m40s      rollout    attempt 2 is completed, phase Completed
t+3m20s      story      Prometheus does not answer

outcome     completed (exit 0)
because     attempt 2 (1.1.0) completed
duration    1m40s
weights     50
peak pods   0
writes      9
errors      2.5 of 100 requests failed during the attempt
reading     step 1 (weight 50): 10 of 100
";
    assert_eq!(text, want);
    let document = serde_json::to_value(&report).unwrap();
    assert_eq!(document["readings"], json!([{"step": 1, "weight": 50, "failedOfHundred": 10.0}]));
    assert_eq!(
        document["timeline"][1],
        json!({"millis": 50_000, "topic": "pods", "text":
        "aaa: 0 → 1 pods"})
    );
}

#[test]
fn without_errors_nothing_is_said_of_them_and_without_an_answer_there_is_no_reading() {
    let (report, _, text) = told("story: 1\n", vec![]);
    assert_eq!((report.failed_of_hundred, report.readings.len()), (None, 0));
    assert!(!text.contains("errors") && !text.contains("reading"), "{text}");
    let (report, _, text) = told(&STORY.replace("200s", "150s"), vec![]);
    assert_eq!(report.readings[0].failed_of_hundred, None);
    assert!(text.contains("reading     step 1 (weight 50): no reading\n"), "{text}");
}

#[test]
fn a_broken_rule_is_trouble_however_it_ended() {
    let broken = Broken { rule: "S1".into(), millis: 61_000, message: "no endpoint".into() };
    let (report, exit, text) = told("story: 1\n", vec![broken]);
    assert_eq!((exit, report.exit_code), (Exit::Trouble, 1));
    assert!(text.ends_with("BROKEN      S1 at t+1m1s: no endpoint\n"), "{text}");
}
