//! Gates: what keeps a release from starting, and who lets it.

use serde_json::{Value, json};

use crate::support::json::{hold_message, holds, list, merged, name, text};
use crate::support::shop::{rollout, sourced};
use crate::support::story::{SHOP, Story};
use crate::support::watch::{Change, Seen, Watch};

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
    story.cluster.add(always("RolloutSchedule", "freeze", &json!({}))).await;
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

/// A schedule of any time; `over` says more of it.
fn always(kind: &str, name: &str, over: &Value) -> Value {
    let schedule = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": {"rolloutSelector": {}, "rules": [
            {"name": "always", "timeRange": {"start": "00:00", "end": "00:00"}}]}});
    merged(schedule, over)
}

/// The last state of a gate that has not been deleted.
async fn gate(story: &Story, gates: &Watch, what: &str, test: impl Fn(&Value) -> bool) -> Value {
    let stands = |seen: &Seen| seen.change != Change::Deleted && test(&seen.object);
    gates.until(story.end, what, stands).await
}

/// Waits until the gate is gone.
async fn taken_away(story: &Story, gates: &Watch) {
    let gone = |seen: &Seen| seen.change == Change::Deleted;
    gates.until(story.end, "the gate is taken away", gone).await;
}

fn shut(gate: &Value) -> bool {
    gate["spec"]["passing"] == json!(false)
}

#[tokio::test]
async fn the_gate_of_a_schedule_follows_its_edits() {
    let story = Story::begin("edits", 120).await;
    story.offer("1.0.0").await;
    let shop = sourced(rollout(&story, "1.0.0", quick()));
    story.cluster.add(merged(shop, &json!({"metadata": {"labels": {"tier": "web"}}}))).await;
    let web = json!({"spec": {"rolloutSelector": {"matchLabels": {"tier": "web"}}}});
    story.cluster.add(always("RolloutSchedule", "office", &web)).await;
    let gates = story.watch("RolloutGate").await;
    let controller = story.controller().await;
    story.completed(1).await;
    let made = gate(&story, &gates, "the gate is made", shut).await;

    // Who opens it by hand, with nothing to come yet, finds it shut again.
    let by_hand = json!({"spec": {"passing": true}});
    story.cluster.merge("RolloutGate", name(&made), by_hand).await;
    gate(&story, &gates, "somebody opens it", |gate| !shut(gate)).await;
    gate(&story, &gates, "it is shut again", shut).await;

    // What cannot be read changes nothing, and says so.
    story.push("1.1.0").await;
    story.until("the gate is closed", |r| held(r, "GateClosed")).await;
    let edit = async |spec: Value| {
        story.cluster.merge("RolloutSchedule", "office", json!({"spec": spec})).await;
    };
    edit(json!({"timezone": "Mars/Olympus"})).await;
    let invalid = |s: &Value| text(s, "/status/conditions/0/reason") == "InvalidSpec";
    story.becomes("RolloutSchedule", "office", "its zone is not known", invalid).await;
    assert!(shut(&story.cluster.get("RolloutGate", name(&made)).await));

    edit(json!({"timezone": "Europe/Berlin", "action": "Allow"})).await;
    gate(&story, &gates, "it is opened", |gate| !shut(gate)).await;
    story.completed(2).await;

    // A Rollout that it is for no more has no gate of it.
    edit(json!({"action": "Deny"})).await;
    gate(&story, &gates, "it is shut", shut).await;
    let batch = json!({"metadata": {"labels": {"tier": "batch"}}});
    story.cluster.merge("Rollout", SHOP, batch).await;
    taken_away(&story, &gates).await;
    story.push("1.2.0").await;
    story.completed(3).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_schedule_of_the_cluster_is_for_the_namespaces_that_it_selects() {
    let mut story = Story::begin("fleet", 120).await;
    let other = Story::begin("fleet", 120).await;
    story.beside(&other);
    let stage = |stage: &'static str| ["label", "namespace", story.namespace(), stage];
    story.kubectl(&stage("stage=prod")).await;
    story.offer("1.0.0").await;
    let shop = story.labelled(sourced(rollout(&story, "1.0.0", quick())));
    story.cluster.add(shop).await;
    other.cluster.add(story.labelled(rollout(&other, "1.0.0", quick()))).await;
    let prod = json!({"spec": {"namespaceSelector": {"matchLabels": {"stage": "prod"}}}});
    let freeze = story.labelled(always("ClusterRolloutSchedule", story.namespace(), &prod));
    story.cluster.add(freeze).await;
    let gates = story.watch("RolloutGate").await;
    let controller = story.controller_of_all(&[]).await;
    story.completed(1).await;
    other.completed(1).await;
    let made = gate(&story, &gates, "the gate is made", shut).await;

    let (kind, freeze) = ("ClusterRolloutSchedule", story.namespace());
    let told = |s: &Value| list(s, "/status/managedGates").len() == 1;
    let told = story.becomes(kind, freeze, "it tells of its gate", told).await;
    let place = |name: &str| json!([format!("{}/{name}", story.namespace())]);
    assert_eq!(told["status"]["managedGates"], place(name(&made)));
    assert_eq!(told["status"]["matchingRollouts"], place(SHOP));
    assert_eq!(other.cluster.all("RolloutGate").await.len(), 0);
    story.push("1.1.0").await;
    story.until("the gate is closed", |r| held(r, "GateClosed")).await;

    story.cluster.merge(kind, freeze, json!({"spec": {"action": "Allow"}})).await;
    gate(&story, &gates, "it is opened", |gate| !shut(gate)).await;
    story.completed(2).await;
    story.kubectl(&[&stage("stage=test")[..], &["--overwrite"]].concat()).await;
    taken_away(&story, &gates).await;
    story.cluster.remove(kind, freeze).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_release_waits_until_another_environment_has_run_it() {
    let staging = Story::begin("staging", 120).await;
    let mut prod = Story::begin("prod", 120).await;
    prod.beside(&staging);
    staging.offer("1.0.0").await;
    let gated = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    let first = prod.labelled(sourced(rollout(&staging, "1.0.0", gated)));
    staging.cluster.add(first).await;
    let source = json!({"spec": {"sourceRef": {"namespace": staging.namespace()}}});
    let second = merged(sourced(rollout(&staging, "1.0.0", quick())), &source);
    prod.cluster.add(prod.labelled(second)).await;
    let after = json!({"rollout": {"name": SHOP, "namespace": staging.namespace()}, "for": "1s"});
    prod.cluster
        .add(json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
            "metadata": {"name": "after-staging"},
            "spec": {"rolloutRef": {"name": SHOP}, "dependsOn": after}}))
        .await;
    let shared = format!("--allow-cross-namespace-refs={}", staging.namespace());
    let controller = prod.controller_of_all(&[&shared]).await;
    staging.completed(1).await;
    prod.completed(1).await;

    staging.push("1.1.0").await;
    staging.paused(2, 1).await;
    let message = prod.held("GateClosed").await;
    assert!(message.contains("runs 1.0.0, not 1.1.0"), "{message}");
    staging.command("stairlock.dev/promote", "true").await;
    staging.completed(2).await;
    let done = prod.completed(2).await;
    assert_eq!(text(&done, "/status/history/0/release/tag"), "1.1.0");
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
