//! Releases that lose their way: nothing is a success that nobody has.

use serde_json::{Value, json};

use crate::stories::delivery::{VALUE, delivered, deliveries, shows};
use crate::support::controller::Controller;
use crate::support::flux::{APPS, VARIABLE, ready};
use crate::support::json::{condition, hold_message, list, text};
use crate::support::story::{SHOP, Story, attempt_is};

/// A shop whose release 1.1.0 is delivered, and which Flux does not apply: it waits for another
/// Kustomization first.
async fn on_the_way(title: &str) -> (Story, Controller) {
    let (story, controller) = delivered(title, 150).await;
    let after = json!({"spec": {"dependsOn": [{"name": "base"}]}});
    story.cluster.merge("Kustomization", APPS, after).await;
    let waits = |k: &Value| {
        let mut all = list(k, "/status/conditions").iter();
        all.any(|condition| text(condition, "/reason") == "DependencyNotReady")
    };
    story.becomes("Kustomization", APPS, "it waits for another one", waits).await;
    story.push("1.1.0").await;
    let written = |k: &Value| text(k, VALUE) == "1.1.0";
    story.becomes("Kustomization", APPS, "1.1.0 is written", written).await;
    let message = story.held("AwaitingDelivery").await;
    assert!(message.contains(APPS), "{message}");
    (story, controller)
}

/// Names who the variable is from, or nobody.
async fn bind(story: &Story, to: Value) {
    let key = format!("stairlock.dev/substitute.{VARIABLE}.from");
    let bound = json!({"metadata": {"annotations": {key: to}}});
    story.cluster.merge("Kustomization", APPS, bound).await;
}

/// Waits until it is told that nobody takes the release, and that it is no success meanwhile.
async fn lost(story: &Story) {
    let told = |r: &Value| {
        let lost = hold_message(r, "AwaitingDelivery").contains("is not bound any more");
        lost && condition(r, "Unbound") == "True"
    };
    let told = story.until("it is not bound any more", told).await;
    let message = hold_message(&told, "AwaitingDelivery");
    assert!(message.contains(&format!("Kustomization {}/{APPS}", story.namespace())), "{message}");
    assert!(message.contains("stairlock.dev/mark-successful"), "{message}");
    assert_eq!(condition(&told, "Completed"), "False", "{told}");
    story.clock("clock").await;
    let still = story.cluster.get("Rollout", SHOP).await;
    assert!(attempt_is(&still, 2), "{still}");
    assert_eq!(list(&still, "/status/history").len(), 1, "{still}");
    assert_eq!(text(&still, "/status/stable/release/tag"), "1.0.0");
}

#[tokio::test]
async fn a_release_whose_annotation_goes_before_it_is_applied_waits_until_it_is_bound_again() {
    let (story, controller) = on_the_way("annotation").await;
    let before = deliveries(&controller).len();

    bind(&story, Value::Null).await;

    lost(&story).await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "1.1.0", "the value stays");
    let free = json!({"spec": {"dependsOn": null}});
    story.cluster.merge("Kustomization", APPS, free).await;
    story.becomes("Kustomization", APPS, "Flux goes on", ready).await;
    shows(&story, "1.1.0").await;
    bind(&story, json!(SHOP)).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, "/status/history/0/release/tag"), "1.1.0");
    assert_eq!(condition(&done, "Unbound"), "");
    assert_eq!(deliveries(&controller).len(), before, "it was there already");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_release_whose_target_is_deleted_before_it_is_applied_waits_for_a_person() {
    let (story, controller) = on_the_way("target").await;

    story.cluster.remove("Kustomization", APPS).await;

    lost(&story).await;
    story.command("stairlock.dev/mark-successful", "true").await;
    let done = story.completed(2).await;
    let entry = &list(&done, "/status/history")[0];
    assert_eq!(text(entry, "/release/tag"), "1.1.0");
    assert_eq!(text(entry, "/bakeStatusMessage"), "a person marked it as successful");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_release_that_nobody_takes_in_time_fails_and_what_ran_before_goes_on() {
    let (story, controller) = on_the_way("intime").await;
    bind(&story, Value::Null).await;
    lost(&story).await;
    let before = deliveries(&controller).len();

    let short = json!({"spec": {"deployTimeout": "1s"}});
    story.cluster.merge("Rollout", SHOP, short).await;
    let failed = story.failed(2, "DeployTimeout").await;
    let why = text(&failed, "/status/history/0/bakeStatusMessage");
    assert!(why.contains("is not bound any more"), "{failed}");
    assert_eq!(deliveries(&controller).len(), before, "what is not bound is not written");

    // Bound again it holds what ran before, and takes what comes.
    bind(&story, json!(SHOP)).await;
    story.cluster.merge("Kustomization", APPS, json!({"spec": {"dependsOn": null}})).await;
    let back = |k: &Value| text(k, VALUE) == "1.0.0" && ready(k);
    story.becomes("Kustomization", APPS, "1.0.0 is back", back).await;
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"deployTimeout": null}})).await;
    story.push("1.2.0").await;
    story.completed(3).await;
    shows(&story, "1.2.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}
