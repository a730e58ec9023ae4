//! Two sides: a release that is looked at before it takes all traffic at once.

use serde_json::{Value, json};

use crate::support::json::{merged, number, text};
use crate::support::ladder::{emptied, replica_set, sequence, totals};
use crate::support::shop::{CANARY, STABLE, rollout, route, sized, two_sides};
use crate::support::story::{SHOP, Story};
use crate::support::watch::Seen;

const REVISION: &str = "/spec/selector/stairlock.dev~1revision";

/// The shop with two sides of three pods behind its route.
fn shop(story: &Story, over: &Value) -> Value {
    let routing = json!({"trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}}});
    two_sides(sized(rollout(story, "1.0.0", json!([])), 3), &merged(routing, over))
}

#[tokio::test]
async fn a_blue_green_release_takes_all_traffic_at_once_when_it_is_promoted() {
    let story = Story::begin("bluegreen", 120).await;
    let chosen = json!({"autoPromotionEnabled": false, "previewReplicaCount": 1,
        "scaleDownDelaySeconds": 2});
    story.cluster.add(route()).await;
    story.cluster.add(shop(&story, &chosen)).await;
    let controller = story.controller().await;
    let first = story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    let sets = story.watch("ReplicaSet").await;

    story.set_image(&story.image("1.1.0")).await;
    let preview = story.previewed(2).await;
    let revision = text(&preview, "/status/attempt/revision").to_owned();
    assert_eq!(sequence(&routes), [(100, 0)], "no traffic before it was looked at");
    assert_eq!(number(replica_set(&sets.present(), &revision), "/spec/replicas"), 1);
    let service = story.cluster.get("Service", CANARY).await;
    assert_eq!(text(&service, REVISION), revision, "the new side can be looked at");

    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;
    assert_eq!(sequence(&routes), [(100, 0), (0, 100), (100, 0)]);
    assert_eq!(text(&done, "/status/stable/revision"), revision);
    let old = text(&first, "/status/stable/revision").to_owned();
    sets.until_all(story.end, "the old side goes", |seen| emptied(seen, &old)).await;
    assert_eq!(number(replica_set(&sets.present(), &revision), "/spec/replicas"), 3);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_blue_green_release_that_does_not_please_goes_without_having_had_traffic() {
    let story = Story::begin("unpleasant", 120).await;
    story.cluster.add(route()).await;
    let chosen = json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 0});
    story.cluster.add(shop(&story, &chosen)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;

    story.set_image(&story.image("1.1.0")).await;
    story.previewed(2).await;
    story.command("stairlock.dev/abort", "true").await;
    story.failed(2, "Aborted").await;
    story.set_image(&story.image("1.2.0")).await;
    story.previewed(3).await;
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(3).await;

    assert_eq!(sequence(&routes), [(100, 0), (0, 100), (100, 0)], "one switch in all");
    assert_eq!(text(&done, "/status/history/1/outcome"), "Aborted");
    assert_eq!(number(&done, "/status/history/1/weight"), 0);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn without_a_route_the_active_service_turns_to_the_new_side_when_it_is_whole() {
    let story = Story::begin("turn", 120).await;
    let chosen = json!({"trafficRouting": null, "autoPromotionSeconds": 1,
        "previewReplicaCount": 1, "scaleDownDelaySeconds": 2});
    story.cluster.add(shop(&story, &chosen)).await;
    let controller = story.controller().await;
    let first = story.completed(1).await;
    let services = story.watch("Service").await;
    let sets = story.watch("ReplicaSet").await;

    story.set_image(&story.image("1.1.0")).await;
    let second = story.completed(2).await;
    story.set_image(&story.image("1.2.0")).await;
    let third = story.completed(3).await;

    let revision = |r: &Value| text(r, "/status/stable/revision").to_owned();
    let mut turns: Vec<_> =
        services.states(STABLE).iter().map(|s| text(s, REVISION).to_owned()).collect();
    turns.dedup();
    assert_eq!(turns, [&first, &second, &third].map(revision), "one turn a release");
    let gone = |seen: &[Seen]| totals(seen).last().is_some_and(|total| *total == (3, 3));
    sets.until_all(story.end, "one side is left", gone).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}
