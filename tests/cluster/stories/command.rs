//! Commands by annotation: each acts once, at the place that it was meant for.

use serde_json::{Value, json};

use crate::support::controller::Controller;
use crate::support::json::{holds, list, number, text};
use crate::support::ladder::{replica_set, sequence, totals, weights};
use crate::support::shop::{gated_twice, rollout, route, routed, sized, sourced};
use crate::support::story::{SHOP, Story, attempt_is};

const PROMOTE: &str = "stairlock.dev/promote";
const RESTART: &str = "stairlock.dev/restart";

/// A shop without a router that stands at its first pause in attempt 2.
async fn at_the_first_pause(title: &str) -> (Story, Controller) {
    let story = Story::begin(title, 90).await;
    story.cluster.add(rollout(&story, "1.0.0", gated_twice())).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    (story, controller)
}

pub fn annotation<'a>(rollout: &'a Value, key: &str) -> &'a str {
    let annotations = &rollout["metadata"]["annotations"];
    annotations.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Waits until a command annotation is answered and removed.
pub async fn answered(story: &Story, key: &str) -> Value {
    story.until(&format!("{key} is there"), |r| !annotation(r, key).is_empty()).await;
    story.until(&format!("{key} is answered"), |r| annotation(r, key).is_empty()).await
}

#[tokio::test]
async fn a_manual_pause_ends_with_promote_and_only_that_one() {
    let (story, controller) = at_the_first_pause("promote").await;
    let waiting = story.paused(2, 1).await;
    assert_eq!(holds(&waiting), ["AwaitingPromotion"]);
    let command = text(&waiting, "/status/waitingFor/0/command");
    assert!(command.contains("stairlock.dev/promote=true"), "{command}");

    story.command(PROMOTE, "true").await;
    story.paused(2, 2).await;
    story.command(PROMOTE, "true").await;

    let done = story.completed(2).await;
    assert_eq!(annotation(&done, PROMOTE), "");
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_promote_for_another_place_is_dropped() {
    let (story, _controller) = at_the_first_pause("stale").await;
    for stale in ["1/1", "2/2", "3/1"] {
        story.command(PROMOTE, stale).await;
        let after = answered(&story, PROMOTE).await;
        assert!(attempt_is(&after, 2), "{stale}");
        assert_eq!(number(&after, "/status/attempt/step"), 1, "{stale}");
        assert_eq!(annotation(&after, "stairlock.dev/accepted"), "", "{stale}");
    }
    story.command(PROMOTE, "2/1").await;
    story.paused(2, 2).await;
}

#[tokio::test]
async fn a_promote_that_nothing_waits_for_does_not_fire_later() {
    let story = Story::begin("early", 60).await;
    story.cluster.add(rollout(&story, "1.0.0", gated_twice())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.command(PROMOTE, "true").await;
    answered(&story, PROMOTE).await;

    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    // Another Rollout of the same controller is the clock: the pause outlasts it.
    story.clock("clock").await;
    let after = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(number(&after, "/status/attempt/step"), 1);
}

#[tokio::test]
async fn a_value_that_is_not_understood_does_nothing_and_stays() {
    let (story, _controller) = at_the_first_pause("garbage").await;
    for value in ["yes", "TRUE", "1", "2/x"] {
        story.command(PROMOTE, value).await;
        let what = format!("{value} is answered");
        let answer = |r: &Value| text(r, "/status/rejectedCommands/0/value") == value;
        let after = story.until(&what, answer).await;
        assert_eq!(annotation(&after, PROMOTE), value);
        assert_eq!(number(&after, "/status/attempt/step"), 1);
    }
    const UNBLOCK: &str = "rollout.kuberik.com/unblock-failed";
    story.command(UNBLOCK, "maybe").await;
    let both = |r: &Value| text(r, "/status/rejectedCommands/1/value") == "maybe";
    story.until("a second is answered beside the first", both).await;
    story.command(PROMOTE, "true").await;
    story.paused(2, 2).await;
}

#[tokio::test]
async fn the_spelling_of_kulta_promotes() {
    let (story, _controller) = at_the_first_pause("kulta").await;
    story.command("kulta.io/promote", "true").await;
    let after = story.paused(2, 2).await;
    assert_eq!(annotation(&after, "kulta.io/promote"), "");
}

#[tokio::test]
async fn promote_full_climbs_without_further_pauses() {
    let story = Story::begin("full", 60).await;
    story.cluster.add(route()).await;
    story.cluster.add(routed(&story, "1.0.0", gated_twice())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;

    story.command("stairlock.dev/promote-full", "true").await;
    story.completed(2).await;

    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (0, 100), (100, 0)]);
}

#[tokio::test]
async fn abort_brings_traffic_pods_and_image_back_and_is_not_tried_again() {
    let story = Story::begin("abort", 120).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", gated_twice()))).await;
    let controller = story.controller().await;
    let first = story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    let sets = story.watch("ReplicaSet").await;
    story.push("1.1.0").await;
    let paused = story.paused(2, 1).await;

    story.command("stairlock.dev/abort", "true").await;
    let failed = story.failed(2, "Aborted").await;

    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (100, 0)]);
    assert_eq!(failed["status"]["stable"]["revision"], first["status"]["stable"]["revision"]);
    assert_eq!(text(&failed, "/status/quarantine/0/release/tag"), "1.1.0");
    let image = "/spec/template/spec/containers/0/image";
    let back = |r: &Value| text(r, image) == story.image("1.0.0");
    story.until("the image is put back", back).await;
    let canary = text(&paused, "/status/attempt/revision").to_owned();
    let gone = |seen: &[crate::support::watch::Seen]| {
        let states = seen.iter().rev().map(|seen| &seen.object);
        let last = states.into_iter().find(|set| text(set, REVISION) == canary);
        last.is_some_and(|set| number(set, "/spec/replicas") == 0)
    };
    sets.until_all(story.end, "the pods of 1.1.0 are gone", gone).await;
    assert_eq!(weights(&routes.states(SHOP).pop().unwrap()), (100, 0));

    // Neither a restart nor time tries it again.
    controller.kill();
    controller.restart();
    story.clock("clock").await;
    let after = story.cluster.get("Rollout", SHOP).await;
    assert!(attempt_is(&after, 2), "{}", after["status"]);
    assert!(holds(&after).contains(&"Quarantined"), "{}", after["status"]);
    let sets = sets.present();
    assert_eq!(number(replica_set(&sets, &canary), "/spec/replicas"), 0);
    assert_eq!(controller.forbidden(), [""; 0]);
}

const REVISION: &str = "/metadata/labels/stairlock.dev~1revision";

/// A shop whose release 1.1.0 a person aborted at the first step.
pub async fn aborted((title, seconds): (&str, u64), steps: Value) -> (Story, Controller) {
    let story = Story::begin(title, seconds).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", steps))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.push("1.1.0").await;
    story.paused(2, 1).await;
    story.command("stairlock.dev/abort", "true").await;
    story.failed(2, "Aborted").await;
    story.held("Quarantined").await;
    (story, controller)
}

#[tokio::test]
async fn retry_tries_again_what_failed() {
    let (story, _controller) = aborted(("retry", 90), gated_twice()).await;

    story.command("stairlock.dev/retry", "true").await;
    story.paused(3, 1).await;
    story.command("stairlock.dev/promote-full", "true").await;

    let done = story.completed(3).await;
    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
    assert_eq!(done.pointer("/status/quarantine"), None);
    let outcomes = list(&done, "/status/history").iter().map(|entry| text(entry, "/outcome"));
    assert_eq!(outcomes.collect::<Vec<_>>(), ["Completed", "Aborted", "Completed"]);
}

#[tokio::test]
async fn abort_wins_over_promote() {
    let (story, _controller) = at_the_first_pause("both").await;
    let both = json!({"metadata": {"annotations": {PROMOTE: "true",
        "stairlock.dev/abort": "true"}}});
    story.cluster.merge("Rollout", SHOP, both).await;
    let failed = story.failed(2, "Aborted").await;
    assert_eq!(number(&failed, "/status/history/0/weight"), 20);
}

/// The uids of the pods that are there and stay.
async fn pods(story: &Story) -> Vec<String> {
    let pods = story.cluster.all("Pod").await;
    let stays = pods.iter().filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
    stays.map(|pod| text(pod, "/metadata/uid").to_owned()).collect()
}

#[tokio::test]
async fn a_restart_replaces_pods_one_by_one_within_their_budget() {
    let story = Story::begin("restart", 120).await;
    story.cluster.add(sized(rollout(&story, "1.0.0", gated_twice()), 3)).await;
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": SHOP},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": SHOP}}}});
    story.cluster.add(budget).await;
    let controller = story.controller().await;
    let before = story.completed(1).await;
    let old = pods(&story).await;
    let made = story.replica_sets().await;
    let sets = story.watch("ReplicaSet").await;

    story.command(RESTART, "true").await;
    story.until("a restart is under way", |r| r.pointer("/status/restart").is_some()).await;
    let after = story.until("it is over", |r| r.pointer("/status/restart").is_none()).await;

    let new = pods(&story).await;
    assert_eq!((old.len(), new.len()), (3, 3));
    assert!(new.iter().all(|uid| !old.contains(uid)), "every pod is another one");
    for (_, ready) in totals(&sets.seen()) {
        assert!(ready >= 2, "one at a time: {ready}");
    }
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["status"]["stable"]["revision"], before["status"]["stable"]["revision"]);
    assert_eq!(after["status"]["attempt"], before["status"]["attempt"]);
    let specs = |sets: &[Value]| sets.iter().map(|set| set["spec"].clone()).collect::<Vec<_>>();
    assert_eq!(specs(&story.replica_sets().await), specs(&made));
    assert_eq!(annotation(&after, RESTART), "");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_restart_waits_for_a_budget_that_has_no_room() {
    let story = Story::begin("budget", 120).await;
    story.cluster.add(rollout(&story, "1.0.0", gated_twice())).await;
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": SHOP},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": SHOP}}}});
    story.cluster.add(budget).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let old = pods(&story).await;

    story.command(RESTART, "true").await;
    let words = story.held("Refused").await;
    assert!(words.contains("disruption budget"), "{words}");
    assert_eq!(pods(&story).await, old);
    story.cluster.remove("PodDisruptionBudget", SHOP).await;
    story.until("it is over", |r| r.pointer("/status/restart").is_none()).await;
    assert_ne!(pods(&story).await, old);
}
