//! Versions that people choose, and who they say they are: neither age, failure nor gate keeps
//! what they ask for, and each asking acts once.

use serde_json::{Value, json};

use crate::stories::command::{aborted, annotation, answered};
use crate::stories::source::listed;
use crate::support::json::{condition, holds, merged, text};
use crate::support::shop::{gated, quick, rollout, sourced};
use crate::support::story::{SHOP, Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";
const FORCE: &str = "stairlock.dev/force-deploy";
const ROLLBACK: &str = "stairlock.dev/rollback";
const BYPASS: &str = "stairlock.dev/bypass-gates";

/// Asks by several annotations in one line, as a person does with kubectl.
async fn ask(story: &Story, annotations: Value) {
    let change = json!({"metadata": {"annotations": annotations}});
    story.cluster.merge("Rollout", SHOP, change).await;
}

/// Waits until the world is told of something by a reason and words.
async fn told(story: &Story, reason: &str, words: &str) {
    let events = story.watch("Event").await;
    let is =
        |event: &Value| text(event, "/reason") == reason && text(event, "/note").contains(words);
    let what = format!("{}: {reason} is told of {words}", story.namespace());
    events.until(story.end, &what, |seen| is(&seen.object)).await;
}

/// The newest entry of the history: tag, outcome, who began it, and why.
fn last(rollout: &Value) -> [&str; 4] {
    let of = |field: &str| text(rollout, &format!("/status/history/0/{field}"));
    [of("release/tag"), of("outcome"), of("triggeredBy/name"), of("message")]
}

#[tokio::test]
async fn an_older_version_that_a_person_forces_stays_until_a_newer_release() {
    let (story, controller, _) = listed("force", 150).await;

    let (user, why) = ("stairlock.dev/deploy-user", "stairlock.dev/deploy-message");
    ask(&story, json!({FORCE: "v1.0.5", user: "jo", why: "1.1.0 loses carts"})).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.0.5"));
    assert_eq!(last(&done), ["1.0.5", "Completed", "jo", "1.1.0 loses carts"]);
    assert_eq!(text(&done, "/status/history/0/triggeredBy/kind"), "User");
    for key in [FORCE, user, why] {
        assert_eq!(annotation(&done, key), "", "{key} is taken");
    }
    let message = story.held("ManualImage").await;
    assert!(message.contains("1.0.5") && message.contains("retry"), "{message}");

    // What is not known, and what runs, is answered and comes to nothing.
    for (version, reason) in [("9.9.9", "VersionNotFound"), ("1.0.5", "CommandDropped")] {
        story.command(FORCE, version).await;
        told(&story, reason, version).await;
        let after = answered(&story, FORCE).await;
        assert!(attempt_is(&after, 2), "{version}: {}", after["status"]);
    }

    story.push("1.2.0").await;
    let done = story.completed(3).await;
    assert_eq!(last(&done), ["1.2.0", "Completed", "stairlock", ""]);
    assert_eq!(done.pointer("/status/pin"), None);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_version_that_failed_is_tried_again_where_a_person_forces_it() {
    let (story, controller) = aborted(("insist", 120), gated()).await;

    let (user, why) = ("rollout.kuberik.com/deploy-user", "rollout.kuberik.com/deploy-message");
    ask(
        &story,
        json!({"rollout.kuberik.com/force-deploy": "1.1.0", user: "jo", why: "it is fine"}),
    )
    .await;
    story.paused(3, 1).await;
    story.command("stairlock.dev/promote", "true").await;

    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"));
    assert_eq!(last(&done), ["1.1.0", "Completed", "jo", "it is fine"]);
    assert_eq!(done.pointer("/status/quarantine"), None);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_rollback_delivers_what_a_numbered_attempt_delivered() {
    let story = Story::begin("back", 150).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    for (attempt, tag) in [(2, "1.1.0"), (3, "1.2.0")] {
        story.push(tag).await;
        story.completed(attempt).await;
    }

    ask(&story, json!({ROLLBACK: "1", "stairlock.dev/deploy-user": "jo"})).await;
    let done = story.completed(4).await;
    assert_eq!(text(&done, IMAGE), story.image("1.0.0"));
    assert_eq!(last(&done), ["1.0.0", "Completed", "jo", ""]);
    story.held("ManualImage").await;

    // Without a number it is the last that ended well and does not run.
    story.command(ROLLBACK, "true").await;
    let done = story.completed(5).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0"));
    story.command(ROLLBACK, "77").await;
    told(&story, "VersionNotFound", "77").await;
    let after = answered(&story, ROLLBACK).await;
    assert!(attempt_is(&after, 5), "{}", after["status"]);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_bake_is_over_when_a_person_says_that_all_is_well() {
    let story = Story::begin("mark", 90).await;
    story.offer("1.0.0").await;
    let patient = json!({"spec": {"bakeTime": "1h"}});
    story.cluster.add(merged(sourced(rollout(&story, "1.0.0", quick())), &patient)).await;
    let controller = story.controller().await;
    let bakes = |r: &Value| text(r, "/status/phase") == "Baking";
    let baking = story.until("it bakes", bakes).await;
    assert_eq!(holds(&baking), ["Baking"]);
    assert_eq!(condition(&baking, "Completed"), "False");

    story.command("stairlock.dev/mark-successful", "true").await;
    let done = story.completed(1).await;
    let entry = &done["status"]["history"][0];
    assert_eq!(text(entry, "/bakeStatus"), "Succeeded");
    assert!(text(entry, "/bakeStatusMessage").contains("a person"), "{entry}");

    // It was said of that release only.
    story.push("1.1.0").await;
    let bakes = |r: &Value| attempt_is(r, 2) && text(r, "/status/phase") == "Baking";
    story.until("the next one bakes", bakes).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_bypass_is_for_one_version_and_gone_with_its_attempt() {
    let story = Story::begin("bypass", 150).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", gated()))).await;
    let freeze = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
        "metadata": {"name": "freeze"},
        "spec": {"rolloutRef": {"name": SHOP}, "passing": false}});
    story.cluster.add(freeze).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.push("1.1.0").await;
    story.held("GateClosed").await;

    // None for what is no candidate.
    story.command(BYPASS, "1.0.0").await;
    told(&story, "CommandDropped", "1.0.0").await;
    let after = answered(&story, BYPASS).await;
    assert!(attempt_is(&after, 1) && holds(&after).contains(&"GateClosed"), "{}", after["status"]);

    story.command("rollout.kuberik.com/bypass-gates", "1.1.0").await;
    let paused = story.paused(2, 1).await;
    assert_eq!(annotation(&paused, "rollout.kuberik.com/bypass-gates"), "");
    assert_eq!(paused.pointer("/status/bypass"), None, "it was for this attempt");
    story.command("stairlock.dev/abort", "true").await;
    story.failed(2, "Aborted").await;

    // Tried again, the same version stands before the gate like any other.
    story.command("rollout.kuberik.com/retry", "").await;
    let waits = |r: &Value| holds(r).contains(&"GateClosed");
    let waiting = story.until("1.1.0 waits again", waits).await;
    assert!(attempt_is(&waiting, 2), "{}", waiting["status"]);
    assert_eq!(controller.forbidden(), [""; 0]);
}
