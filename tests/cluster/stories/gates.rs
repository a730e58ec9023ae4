//! Gates: what keeps a release from starting, and who lets it.

use serde_json::{Value, json};

use crate::support::json::{hold_message, holds, list, text};
use crate::support::shop::{rollout, sourced};
use crate::support::story::{SHOP, Story};

/// A ladder that needs no person.
fn quick() -> Value {
    json!([{"setWeight": 50}, {"setWeight": 100}])
}

fn held(rollout: &Value, code: &str) -> bool {
    holds(rollout).contains(&code)
}

#[tokio::test]
async fn a_schedule_closes_a_gate_and_takes_it_along() {
    let story = Story::begin("schedule", 90).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    let controller = story.controller().await;
    story.completed(1).await;

    let gates = story.watch("RolloutGate").await;
    story
        .cluster
        .add(json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutSchedule",
            "metadata": {"name": "freeze"}, "spec": {"rolloutSelector": {}, "rules": [
                {"name": "always", "timeRange": {"start": "00:00", "end": "00:00"}}]}}))
        .await;
    let gate = gates.until(story.end, "the gate is made", |_| true).await;
    assert_eq!(gate["spec"], json!({"rolloutRef": {"name": SHOP}, "passing": false}));
    story.push("1.1.0").await;
    let waits = story.until("the gate is closed", |r| held(r, "GateClosed")).await;
    assert!(hold_message(&waits, "GateClosed").contains("lets nothing through"));

    story.cluster.remove("RolloutSchedule", "freeze").await;
    let done = story.completed(2).await;
    assert_eq!(list(&done, "/status/gates").len(), 0, "the garbage collector took the gate");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_version_waits_for_the_approval_of_a_person() {
    let story = Story::begin("approval", 90).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    story
        .cluster
        .add(json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
            "metadata": {"name": "person"},
            "spec": {"rolloutRef": {"name": SHOP}, "approval": {}}}))
        .await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.push("1.1.0").await;
    let waits = story.until("it waits for a person", |r| held(r, "NotApproved")).await;
    let command = text(&waits, "/status/waitingFor/0/command");
    let words: Vec<&str> = command.split_whitespace().skip(3).collect();
    story.kubectl(&words).await;
    story.completed(2).await;

    story.push("1.2.0").await;
    story.until("another version waits anew", |r| held(r, "NotApproved")).await;
    story.command("stairlock.dev/bypass-gates", "1.2.0").await;
    story.completed(3).await;
}
