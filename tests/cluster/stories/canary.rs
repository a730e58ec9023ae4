//! A canary with numbers of pods of its own, beside a stable side that shares its size.

use serde_json::{Value, json};

use crate::support::json::{merged, number, text};
use crate::support::ladder::{replica_set, sequence};
use crate::support::shop::{route, routed, sized};
use crate::support::story::Story;

/// Four pods behind a route; the canary has two before its first traffic.
fn shop(story: &Story) -> Value {
    let steps = json!([
        {"setCanaryScale": {"replicas": 2}, "pause": {}},
        {"setWeight": 75, "setCanaryScale": {"matchTrafficWeight": true}, "pause": {}},
    ]);
    let canary = json!({"dynamicStableScale": true, "rollbackWindow": {"revisions": 1},
        "scaleDownDelaySeconds": 2, "abortScaleDownDelaySeconds": 0});
    let over = json!({"spec": {"strategy": {"canary": canary}}});
    merged(sized(routed(story, "1.0.0", steps), 4), &over)
}

/// The pods that two revisions are asked for.
async fn pods(story: &Story, revisions: [&str; 2]) -> [i64; 2] {
    let sets = story.replica_sets().await;
    revisions.map(|revision| number(replica_set(&sets, revision), "/spec/replicas"))
}

#[tokio::test]
async fn stable_gives_its_pods_up_and_what_ran_before_comes_back_without_the_steps() {
    let story = Story::begin("shares", 120).await;
    story.cluster.add(route()).await;
    story.cluster.add(shop(&story)).await;
    let controller = story.controller().await;
    let old = text(&story.completed(1).await, "/status/stable/revision").to_owned();
    let routes = story.watch("HTTPRoute").await;

    story.set_image(&story.image("1.1.0")).await;
    let looked_at = story.paused(2, 1).await;
    let new = text(&looked_at, "/status/attempt/revision").to_owned();
    assert_eq!(pods(&story, [&old, &new]).await, [4, 2], "pods before traffic");
    story.command("stairlock.dev/promote", "true").await;
    story.paused(2, 2).await;
    assert_eq!(pods(&story, [&old, &new]).await, [1, 3], "each side has its share");
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;
    story.drained().await;

    story.set_image(&story.image("1.0.0")).await;
    let back = story.completed(3).await;
    assert_eq!(text(&back, "/status/stable/revision"), old);
    let rises = [(100, 0), (25, 75), (0, 100), (100, 0), (0, 100), (100, 0)];
    assert_eq!(sequence(&routes), rises);
    story.drained().await;

    story.set_image(&story.image("1.2.0")).await;
    story.paused(4, 1).await;
    story.command("stairlock.dev/abort", "true").await;
    let failed = story.failed(4, "Aborted").await;
    let third = text(&failed, "/status/attempt/revision").to_owned();
    assert_eq!(pods(&story, [&old, &third]).await, [4, 2], "what failed can be looked at");
    assert_eq!(controller.forbidden(), [""; 0]);
}
