//! Numbers of pods: the ladder without a router, and sizes that people change.

use serde_json::{Value, json};

use crate::support::json::{list, merged, number, text};
use crate::support::ladder::{replica_set, totals};
use crate::support::shop::{rollout, route, routed, sized};
use crate::support::story::{SHOP, Story};
use crate::support::watch::Seen;

/// The numbers of the canary's pods in the order in which it was to have them.
fn wanted(seen: &[Seen], revision: &str) -> Vec<i64> {
    let sets = seen.iter().map(|seen| &seen.object);
    let sets = sets.filter(|set| text(set, "/metadata/name").ends_with(revision));
    let mut wanted: Vec<i64> = sets.map(|set| number(set, "/spec/replicas")).collect();
    wanted.dedup();
    wanted
}

#[tokio::test]
async fn without_a_router_the_ladder_keeps_surge_and_availability() {
    let story = Story::begin("ratio", 90).await;
    let steps = json!([{"setWeight": 20, "pause": {"duration": "200ms"}},
        {"setWeight": 50, "pause": {"duration": "200ms"}}, {"setWeight": 100}]);
    story.cluster.add(sized(rollout(&story, "1.0.0", steps), 10)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let sets = story.watch("ReplicaSet").await;

    story.set_image(&story.image("1.1.0")).await;
    let done = story.completed(2).await;
    let down = |seen: &[Seen]| totals(seen).last().is_some_and(|total| *total == (10, 10));
    sets.until_all(story.end, "ten pods at the end", down).await;

    let seen = sets.seen();
    for (wanted, ready) in totals(&seen) {
        assert!(wanted <= 13, "at most 10 and a surge of 25%: {wanted}");
        assert!(ready >= 10, "none is unavailable: {ready}");
    }
    let canary = wanted(&seen, text(&done, "/status/stable/revision"));
    assert!(canary.is_sorted(), "{canary:?}");
    assert!(canary.contains(&2) && canary.contains(&5), "{canary:?}");
    assert_eq!(canary.last(), Some(&10));
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn max_unavailable_allows_a_ladder_without_surge() {
    let story = Story::begin("nosurge", 90).await;
    let steps = json!([{"setWeight": 50, "pause": {"duration": "100ms"}}, {"setWeight": 100}]);
    let bounds = json!({"spec": {"strategy": {"canary":
        {"maxSurge": 0, "maxUnavailable": 1}}}});
    story.cluster.add(merged(sized(rollout(&story, "1.0.0", steps), 4), &bounds)).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let sets = story.watch("ReplicaSet").await;

    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;
    let down = |seen: &[Seen]| totals(seen).last().is_some_and(|total| *total == (4, 4));
    sets.until_all(story.end, "four pods at the end", down).await;

    for (wanted, ready) in totals(&sets.seen()) {
        assert!(wanted <= 4, "no surge: {wanted}");
        assert!(ready >= 3, "one may lack: {ready}");
    }
}

/// A rolling update within its bounds; one that fails leaves as many pods of the old revision.
#[tokio::test]
async fn a_rolling_update_replaces_pods_and_goes_back_if_they_never_become_ready() {
    let story = Story::begin("rolling", 120).await;
    let mut simple = sized(rollout(&story, "1.0.0", json!([])), 4);
    simple["spec"]["strategy"] = json!({"simple": {"maxSurge": 1, "maxUnavailable": 1}});
    story.cluster.add(simple).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let sets = story.watch("ReplicaSet").await;

    story.set_image(&story.image("1.1.0")).await;
    let done = story.completed(2).await;
    let stable = text(&done, "/status/stable/revision").to_owned();
    story.hasten(5).await;
    story.set_image(&story.image("1.2.0-bad.1")).await;
    let failed = story.failed(3, "DeadlineExceeded").await;

    assert_eq!(text(&failed, "/status/stable/revision"), stable);
    let back = |seen: &[Seen]| totals(seen).last().is_some_and(|total| *total == (4, 4));
    sets.until_all(story.end, "four pods at the end", back).await;
    for (wanted, ready) in totals(&sets.seen()) {
        assert!(wanted <= 5, "a surge of one: {wanted}");
        assert!(ready >= 3, "one may lack: {ready}");
    }
    assert_eq!(number(replica_set(&sets.present(), &stable), "/spec/replicas"), 4);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn scaling_mid_ladder_resizes_both_sides_in_proportion() {
    let story = Story::begin("scale", 120).await;
    let steps = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    story.cluster.add(route()).await;
    story.cluster.add(sized(routed(&story, "1.0.0", steps), 2)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    let paused = story.paused(2, 1).await;
    assert_eq!(text(&paused, "/status/selector"), "app=shop");
    let sets = story.watch("ReplicaSet").await;
    let canary = text(&paused, "/status/attempt/revision").to_owned();
    let stable = text(&paused, "/status/stable/revision").to_owned();

    story.kubectl(&["scale", "slr", SHOP, "--replicas=5"]).await;

    let sized = |seen: &[Seen]| {
        let last = |revision| wanted(seen, revision).pop();
        last(&stable) == Some(5) && last(&canary) == Some(3)
    };
    sets.until_all(story.end, "5 stable, 3 canary", sized).await;
    let ready = |r: &Value| number(r, "/status/replicas") == 8;
    story.until("8 pods are counted", ready).await;
    let scale = story.kubectl(&["get", "slr", SHOP, "--subresource=scale", "-o", "json"]).await;
    let scale: Value = serde_json::from_str(&scale).unwrap();
    assert_eq!(scale["status"]["replicas"], 8);
    assert_eq!(scale["status"]["selector"], "app=shop");

    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;
    assert_eq!(list(&done, "/status/history").len(), 2, "scaling is no attempt");
    let present = sets.present();
    assert_eq!(number(replica_set(&present, &canary), "/spec/replicas"), 5);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn old_revisions_are_kept_up_to_the_limit() {
    let story = Story::begin("limit", 90).await;
    let steps = json!([{"setWeight": 100}]);
    let limit = json!({"spec": {"revisionHistoryLimit": 1, "versionHistoryLimit": 2}});
    story.cluster.add(merged(rollout(&story, "1.0.0", steps), &limit)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let sets = story.watch("ReplicaSet").await;
    for (attempt, tag) in [(2, "1.1.0"), (3, "1.2.0"), (4, "1.3.0")] {
        story.set_image(&story.image(tag)).await;
        story.completed(attempt).await;
    }
    let deleted = |seen: &[Seen]| {
        let gone = seen.iter().filter(|s| s.change == crate::support::watch::Change::Deleted);
        gone.count() == 2
    };
    sets.until_all(story.end, "two old ReplicaSets are deleted", deleted).await;
    assert_eq!(sets.present().len(), 2);
    let done = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
}
