//! All that is bound to one Rollout: the order of its deliveries, and what stands in their way.

use serde_json::{Value, json};

use crate::stories::delivery::{VALUE, delivered, deliveries, shows, staged};
use crate::support::flux::{APPS, applied, bound, config_map, delivering};
use crate::support::flux::{oci_repository, ready, shown};
use crate::support::json::{hold_message, list, merged, text};
use crate::support::story::{SHOP, Story, attempt_is};

/// A Kustomization of a name and its artifact, which show a variable in a ConfigMap of that name.
async fn showing(story: &Story, name: &str, annotations: Value) {
    let all = [config_map(name, "shop", "${SHOP_VERSION:=0.0.0} ${SHOP_TAG:=0.0.0}")];
    story.publish(name, "1.0.0", &all).await;
    story.cluster.add(oci_repository(story, name, json!({"tag": "1.0.0"}))).await;
    let over = json!({"metadata": {"annotations": annotations}});
    story.cluster.add(merged(bound(applied(story, name)), &over)).await;
}

#[tokio::test]
async fn all_targets_of_a_release_are_written_in_their_order() {
    let story = Story::begin("ordered", 150).await;
    story.offer("1.0.0").await;
    let two = json!({"stairlock.dev/substitute.SHOP_TAG.from": SHOP});
    showing(&story, "beta", json!({})).await;
    showing(&story, "alpha", two).await;
    for tag in ["1.0.0", "1.1.0"] {
        story.publish("gamma", tag, &[config_map("gamma", "shop", tag)]).await;
    }
    let binding = json!({"metadata": {"annotations": {"stairlock.dev/rollout": SHOP}}});
    let gamma = merged(oci_repository(&story, "gamma", json!({"tag": "1.0.0"})), &binding);
    story.cluster.add(gamma).await;
    story.cluster.add(applied(&story, "gamma")).await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let before = deliveries(&controller).len();

    story.push("1.1.0").await;
    let done = story.completed(2).await;

    // A success is what all of them have applied.
    for (name, want) in [("alpha", "1.1.0 1.1.0"), ("beta", "1.1.0 0.0.0"), ("gamma", "1.1.0")] {
        let map = story.cluster.get("ConfigMap", name).await;
        assert_eq!(text(&map, "/data/shop"), want, "{name}");
    }
    let made = deliveries(&controller);
    let names = made.iter().skip(before).map(|line| {
        let path = line.split(' ').nth(1).unwrap();
        path.rsplit('/').next().unwrap()
    });
    let names: Vec<&str> = names.collect();
    assert_eq!(names, ["gamma", "alpha", "beta", "alpha"], "a second variable comes next");
    let told = list(&done, "/status/targets").iter();
    let told = told.map(|target| (text(target, "/name"), text(target, "/value")));
    let want = ["gamma", "alpha", "alpha", "beta"].map(|name| (name, "1.1.0"));
    assert_eq!(told.collect::<Vec<_>>(), want);
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// Suspends the Kustomization, or has it go on.
async fn suspend(story: &Story, suspend: bool) {
    story.cluster.merge("Kustomization", APPS, json!({"spec": {"suspend": suspend}})).await;
}

#[tokio::test]
async fn a_suspended_target_holds_a_release_back_and_one_half_way_waits() {
    let (story, controller) = delivered("suspended", 150).await;
    suspend(&story, true).await;
    story.push("1.1.0").await;

    let message = story.held("TargetSuspended").await;
    assert!(message.contains("set its spec.suspend to false"), "{message}");
    story.clock("clock1").await;
    let still = story.cluster.get("Rollout", SHOP).await;
    assert!(attempt_is(&still, 1), "no attempt begins: {still}");
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "1.0.0");
    suspend(&story, false).await;
    story.completed(2).await;
    shows(&story, "1.1.0").await;

    // Half-way: Flux waits for another one, and is then told to stand still.
    let after = json!({"spec": {"dependsOn": [{"name": "base"}]}});
    story.cluster.merge("Kustomization", APPS, after).await;
    story.push("1.2.0").await;
    let written = |k: &Value| text(k, VALUE) == "1.2.0";
    story.becomes("Kustomization", APPS, "1.2.0 is written", written).await;
    suspend(&story, true).await;
    let held = |r: &Value| attempt_is(r, 3) && !hold_message(r, "TargetSuspended").is_empty();
    story.until("it waits for Flux to go on", held).await;
    story.clock("clock2").await;
    let still = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(list(&still, "/status/history").len(), 2, "{still}");
    let free = json!({"spec": {"dependsOn": null, "suspend": false}});
    story.cluster.merge("Kustomization", APPS, free).await;
    story.completed(3).await;
    shows(&story, "1.2.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn an_annotation_that_cannot_be_meant_holds_until_it_is_mended() {
    let story = Story::begin("unmeant", 150).await;
    story.offer("1.0.0").await;
    let later = json!({"metadata": {"annotations": {"stairlock.dev/deliver": "Later"}}});
    staged(&story, &shown(), merged(bound(applied(&story, APPS)), &later)).await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;

    let message = story.held("InvalidBinding").await;
    assert!(message.contains("\"Later\"; write Start or Promoted"), "{message}");
    let other = json!({"metadata": {"annotations": {"stairlock.dev/deliver": null,
        "stairlock.dev/substitute.1ST.from": SHOP}}});
    story.cluster.merge("Kustomization", APPS, other).await;
    let named = |r: &Value| hold_message(r, "InvalidBinding").contains("variable \"1ST\"");
    story.until("a variable is none", named).await;
    story.clock("clock").await;
    assert_eq!(deliveries(&controller), [""; 0]);

    let mended = json!({"metadata": {"annotations": {"stairlock.dev/substitute.1ST.from": null}}});
    story.cluster.merge("Kustomization", APPS, mended).await;
    story.completed(1).await;
    shows(&story, "1.0.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_rollout_that_is_deleted_leaves_its_value_and_knows_it_when_it_comes_back() {
    let (story, controller) = delivered("deleted", 150).await;
    story.push("1.1.0").await;
    story.completed(2).await;
    let before = deliveries(&controller).len();

    story.cluster.remove("Rollout", SHOP).await;
    story.clock("clock").await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "1.1.0", "no silent downgrade");
    shows(&story, "1.1.0").await;

    // What it delivered tells it which version runs: an older one is not taken.
    let older = json!({"spec": {"policy": {"semver": {"range": "<1.1.0"}}}});
    story.cluster.merge("ImagePolicy", SHOP, older).await;
    let shows_older = |policy: &Value| text(policy, "/status/latestRef/tag") == "1.0.0";
    story.becomes("ImagePolicy", SHOP, "it offers 1.0.0", shows_older).await;
    story.cluster.add(delivering(SHOP)).await;
    let message = story.held("OlderRelease").await;
    assert!(message.contains("1.0.0") && message.contains("1.1.0"), "{message}");
    assert_eq!(deliveries(&controller).len(), before);
    let newer = json!({"spec": {"policy": {"semver": {"range": "*"}}}});
    story.cluster.merge("ImagePolicy", SHOP, newer).await;
    story.push("1.2.0").await;
    let stands = |k: &Value| text(k, VALUE) == "1.2.0" && ready(k);
    story.becomes("Kustomization", APPS, "it goes on with what is newer", stands).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}
