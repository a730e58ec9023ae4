//! Bakes beside strategies that have no ladder of weights, and bakes that end before their time.

use serde_json::{Value, json};

use crate::support::controller::Controller;
use crate::support::health::{CHECK, checked, health_check};
use crate::support::json::{hold_message, list, merged, name, number, text};
use crate::support::ladder::weights;
use crate::support::shop::{STABLE, experiment, quick, rollout, route, sized, sourced, two_sides};
use crate::support::story::{SHOP, Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";
const REVISION: &str = "/spec/selector/stairlock.dev~1revision";

/// Gives the shop another time to bake.
async fn bakes_for(story: &Story, time: &str) {
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"bakeTime": time}})).await;
}

/// Waits until the bake of an attempt runs.
async fn baking(story: &Story, attempt: i64) -> Value {
    let runs = |r: &Value| attempt_is(r, attempt) && text(r, "/status/phase") == "Baking";
    story.until(&format!("attempt {attempt} bakes"), runs).await
}

/// The same shop, which follows its source, and bakes for a second once others find it well.
fn proven(shop: Value) -> Value {
    merged(checked(sourced(shop)), &json!({"spec": {"bakeTime": "1s"}}))
}

/// A shop whose first release others have found well.
async fn well(title: &str, shop: impl Fn(Value) -> Value) -> (Story, Controller) {
    let story = Story::begin(title, 150).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(health_check()).await;
    story.cluster.add(proven(shop(rollout(&story, "1.0.0", quick())))).await;
    let controller = story.controller().await;
    story.found_anew("Healthy").await;
    story.completed(1).await;
    (story, controller)
}

/// Whether a shop makes experiments.
fn experiments(shop: &Value) -> bool {
    shop.pointer("/spec/strategy/abTesting").is_some()
}

/// Has a release take all traffic.
async fn arrive(story: &Story, attempt: i64, tag: &str) {
    story.push(tag).await;
    if experiments(&story.cluster.get("Rollout", SHOP).await) {
        story.experimenting(attempt).await;
        story.command("stairlock.dev/conclude-experiment", "B").await;
    }
}

/// A release that stays healthy is a success. One with an error makes room for it again, though its
/// pods had gone: those of an experiment stay longer than the error is not found.
async fn bakes(title: &str, shop: impl Fn(Value) -> Value) -> (Story, Value) {
    let (story, controller) = well(title, shop).await;
    arrive(&story, 2, "1.1.0").await;
    let waits = |r: &Value| attempt_is(r, 2) && hold_message(r, "AwaitingHealth").contains(CHECK);
    let waits = story.until("1.1.0 has all traffic, and waits", waits).await;
    assert_eq!(text(&waits, "/status/stable/release/tag"), "1.1.0");
    assert_eq!(list(&waits, "/status/history").len(), 1);
    story.found_anew("Healthy").await;
    let done = story.completed(2).await;
    let good = text(&done, "/status/stable/revision").to_owned();
    let entry = &done["status"]["history"][0];
    assert_eq!((text(entry, "/outcome"), text(entry, "/bakeStatus")), ("Completed", "Succeeded"));

    bakes_for(&story, "1h").await;
    arrive(&story, 3, "1.2.0").await;
    story.found_anew("Healthy").await;
    baking(&story, 3).await;
    if !experiments(&done) {
        story.drained().await;
    }
    story.found("Unhealthy").await;
    let failed = story.failed(3, "BakeFailed").await;
    let entry = &failed["status"]["history"][0];
    assert_eq!((text(entry, "/outcome"), text(entry, "/bakeStatus")), ("BakeFailed", "Failed"));
    assert_eq!(text(entry, "/failedHealthChecks/0/name"), CHECK, "{entry}");
    assert_eq!(text(&failed, "/status/quarantine/0/release/tag"), "1.2.0");
    assert_eq!(text(&failed, "/status/stable/revision"), good, "what stayed healthy is back");
    let back = |r: &Value| text(r, IMAGE) == story.image("1.1.0");
    let failed = story.until("the image is put back", back).await;
    let sets = story.replica_sets().await;
    let old = sets.iter().find(|set| name(set).ends_with(&good)).expect("its ReplicaSet");
    assert_eq!(number(old, "/spec/replicas"), 3, "{old}");
    assert_eq!(controller.forbidden(), [""; 0]);
    (story, failed)
}

/// All traffic is on the stable side, and that is what stands behind its Service.
async fn serves(story: &Story, failed: &Value) {
    assert_eq!(weights(&story.cluster.get("HTTPRoute", SHOP).await), (100, 0));
    let service = story.cluster.get("Service", STABLE).await;
    assert_eq!(text(&service, REVISION), text(failed, "/status/stable/revision"));
}

#[tokio::test]
async fn what_switched_bakes_and_switches_back_where_an_error_is_found() {
    let routing = json!({"gatewayAPI": {"httpRoute": SHOP}});
    let chosen = json!({"scaleDownDelaySeconds": 1, "trafficRouting": routing});
    let (story, failed) = bakes("switched", |shop| two_sides(sized(shop, 3), &chosen)).await;
    serves(&story, &failed).await;
}

#[tokio::test]
async fn the_winner_of_an_experiment_bakes_and_goes_back_where_an_error_is_found() {
    let chosen = json!({});
    let (story, failed) = bakes("winner", |shop| experiment(sized(shop, 3), &chosen)).await;
    serves(&story, &failed).await;
    let rules = story.cluster.get("HTTPRoute", SHOP).await;
    assert_eq!(list(&rules, "/spec/rules").len(), 1, "no trace of the experiment: {rules}");
}

#[tokio::test]
async fn a_rolling_update_bakes_and_is_rolled_back_where_an_error_is_found() {
    let simple = json!({"spec": {"strategy": {"canary": null, "simple": {}}}});
    let (story, failed) = bakes("rolling", |shop| merged(sized(shop, 3), &simple)).await;
    let good = text(&failed, "/status/stable/revision");
    for set in story.replica_sets().await {
        let (wanted, serves) = (number(&set, "/spec/replicas"), name(&set).ends_with(good));
        assert_eq!(wanted, if serves { 3 } else { 0 }, "{set}");
    }
}

#[tokio::test]
async fn a_bake_that_another_release_ends_is_cancelled() {
    let (story, controller) = well("cancelled", |shop| shop).await;
    bakes_for(&story, "1h").await;

    // Before it runs a newer release takes the place by itself.
    story.push("1.1.0").await;
    let waits = |r: &Value| attempt_is(r, 2) && hold_message(r, "AwaitingHealth").contains(CHECK);
    story.until("1.1.0 has all traffic, and waits", waits).await;
    story.push("1.2.0").await;
    let next = |r: &Value| attempt_is(r, 3) && hold_message(r, "AwaitingHealth").contains(CHECK);
    let after = story.until("1.2.0 took its place", next).await;
    let entry = &after["status"]["history"][0];
    assert_eq!((text(entry, "/outcome"), text(entry, "/bakeStatus")), ("Superseded", "Cancelled"));
    assert_eq!((text(entry, "/release/tag"), text(entry, "/bakeStartTime")), ("1.1.0", ""));

    // Once it runs it waits for its end, unless a person asks for it.
    story.found_anew("Healthy").await;
    baking(&story, 3).await;
    story.push("1.3.0").await;
    let known = |r: &Value| text(r, "/status/releaseCandidates/0/tag") == "1.3.0";
    let known = story.until("1.3.0 is known", known).await;
    assert!(attempt_is(&known, 3) && !hold_message(&known, "Baking").is_empty(), "{known}");
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"wantedVersion": "1.3.0"}})).await;
    story.found_anew("Healthy").await;
    let after = baking(&story, 4).await;
    let entry = &after["status"]["history"][0];
    assert_eq!((text(entry, "/outcome"), text(entry, "/bakeStatus")), ("Superseded", "Cancelled"));
    assert_eq!(text(entry, "/release/tag"), "1.2.0");
    assert!(!text(entry, "/bakeStartTime").is_empty(), "{entry}");
    assert!(text(entry, "/bakeStatusMessage").contains("Superseded"), "{entry}");

    // And so does an edit of the template.
    story.set_image(&story.image("1.4.0")).await;
    let edited = |r: &Value| attempt_is(r, 5) && list(r, "/status/history").len() == 4;
    let after = story.until("the edit took its place", edited).await;
    assert_eq!(text(&after, "/status/history/0/bakeStatus"), "Cancelled");
    assert_eq!(controller.forbidden(), [""; 0]);
}
