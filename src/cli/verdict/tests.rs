use serde_json::json;

use super::*;

fn release(version: &str) -> Value {
    json!({"version": version})
}

fn attempt(number: u32, version: &str, stage: &str) -> Value {
    json!({"number": number, "release": release(version), "revision": "5f6c0a91be",
        "trigger": "Release", "stage": stage, "startedAt": "2026-01-02T03:04:05Z",
        "enteredAt": "2026-01-02T03:04:05Z"})
}

fn entry(number: u32, version: &str, outcome: &str) -> Value {
    json!({"number": number, "release": release(version), "revision": "5f6c0a91be",
        "trigger": "Release", "outcome": outcome, "weight": 20,
        "startedAt": "2026-01-02T03:04:05Z", "endedAt": "2026-01-02T03:04:05Z"})
}

fn hold(kind: &str, automatic: bool) -> Value {
    json!({"kind": kind, "since": "2026-01-02T03:04:05Z", "automatic": automatic, "message": "m"})
}

type Row = (&'static str, Value, Option<&'static str>, &'static str, u8, &'static str);

fn on(attempt: Value, history: Value, holds: Value) -> Value {
    json!({"status": {"attempt": attempt, "history": history, "waitingFor": holds}})
}

fn step(holds: Value) -> Value {
    on(attempt(2, "1.1.0", "Step"), json!([entry(1, "1.0.0", "Completed")]), holds)
}

fn done(holds: Value) -> Value {
    let history = json!([entry(2, "1.1.0", "Completed"), entry(1, "1.0.0", "Completed")]);
    on(attempt(2, "1.1.0", "Completed"), history, holds)
}

fn ended(cause: &str) -> Value {
    let history = json!([entry(2, "1.1.0", cause), entry(1, "1.0.0", "Completed")]);
    on(attempt(2, "1.1.0", "Ended"), history, json!([]))
}

fn told(rows: impl IntoIterator<Item = Row>) {
    for (case, rollout, version, outcome, code, message) in rows {
        let verdict = verdict(Some(&rollout), version);
        assert_eq!(verdict.outcome.as_str(), outcome, "{case}");
        assert_eq!(verdict.exit(None).code(), code, "{case}");
        assert!(verdict.message.starts_with(message), "{case}: {}", verdict.message);
    }
    assert_eq!(verdict(None, None).exit(None).code(), 1, "the Rollout is gone");
}

#[test]
fn the_end_of_a_story_is_told_by_a_code() {
    let storm =
        on(attempt(3, "1.2.0", "Step"), json!([entry(2, "1.1.0", "Superseded")]), json!([]));
    let any = None;
    let one = Some("v1.1.0");
    let other = Some("1.0.0");
    told([
        ("full traffic", done(json!([])), any, "completed", 0, "attempt 2 (1.1.0) completed"),
        ("it drains on", done(json!([hold("Draining", true)])), any, "completed", 0, "attempt 2"),
        (
            "a later one is held",
            done(json!([hold("OutOfRange", false)])),
            any,
            "waitsForPerson",
            4,
            "OutOfRange: m",
        ),
        ("but this one is not", done(json!([hold("OutOfRange", false)])), one, "completed", 0, "a"),
        ("an earlier one", done(json!([])), other, "completed", 0, "attempt 1 (1.0.0) completed"),
        (
            "aborted",
            ended("Aborted"),
            any,
            "rolledBack",
            3,
            "attempt 2 (1.1.0) ended at weight 20: Aborted",
        ),
        ("too slow", ended("DeadlineExceeded"), one, "rolledBack", 3, "attempt 2"),
        ("edited back", ended("Reverted"), any, "rolledBack", 3, "attempt 2"),
        (
            "overtaken",
            storm.clone(),
            one,
            "superseded",
            7,
            "attempt 2 (1.1.0) ended at weight 20: Superseded",
        ),
        ("the last one", storm, any, "unfinished", 6, "attempt 3 is under way"),
    ]);
}

#[test]
fn an_end_by_another_attempt_too() {
    let stalled = json!({"status": {"conditions": [{"type": "Stalled", "status": "True",
        "reason": "InvalidSpec", "message": "m", "lastTransitionTime": "2026-01-02T03:04:05Z",
        "observedGeneration": 1}]}});
    let any = None;
    let one = Some("v1.1.0");
    told([
        (
            "a person",
            step(json!([hold("AwaitingPromotion", false)])),
            any,
            "waitsForPerson",
            4,
            "AwaitingPromotion: m",
        ),
        (
            "a person beside others",
            step(json!([hold("Paused", true), hold("RouteRefused", false)])),
            one,
            "waitsForPerson",
            4,
            "RouteRefused: m",
        ),
        ("time", step(json!([hold("Paused", true)])), any, "blocked", 5, "Paused: m"),
        ("nothing holds it", step(json!([])), any, "unfinished", 6, "attempt 2 is under way"),
        ("never offered", step(json!([])), Some("9.0.0"), "unfinished", 6, "9.0.0 never began"),
        (
            "never taken",
            step(json!([hold("OlderRelease", false)])),
            Some("0.1.0"),
            "waitsForPerson",
            4,
            "OlderRelease: m",
        ),
        ("nothing", json!({}), any, "unfinished", 6, "nothing began"),
        ("an unusable spec", stalled, any, "waitsForPerson", 4, "InvalidSpec: m"),
    ]);
}

#[test]
fn an_assertion_decides_what_is_success() {
    let of = |outcome| Verdict { outcome, message: String::new(), attempt: None };
    for (outcome, completed, rolled_back) in [
        (Outcome::Completed, 0, 1),
        (Outcome::RolledBack, 3, 0),
        (Outcome::WaitsForPerson, 4, 4),
        (Outcome::Blocked, 5, 5),
        (Outcome::Unfinished, 6, 6),
        (Outcome::Superseded, 7, 7),
        (Outcome::Gone, 1, 1),
    ] {
        assert_eq!(of(outcome).exit(None), of(outcome).exit(Some(Wanted::Completed)));
        assert_eq!(of(outcome).exit(Some(Wanted::Completed)).code(), completed, "{outcome:?}");
        assert_eq!(of(outcome).exit(Some(Wanted::RolledBack)).code(), rolled_back, "{outcome:?}");
    }
}

#[test]
fn a_tag_that_is_no_version_names_a_release_too() {
    let mut attempt = attempt(2, "", "Completed");
    attempt["release"] = json!({"tag": "main-7"});
    let rollout = json!({"status": {"attempt": attempt}});
    let of = |name| verdict(Some(&rollout), Some(name)).outcome;
    assert_eq!((of("main-7"), of("main-8")), (Outcome::Completed, Outcome::Unfinished));
}
