//! Faults between the controller and the API server that are no crash.

use serde_json::json;

use crate::support::controller::Controller;
use crate::support::json::list;
use crate::support::ladder::sequence;
use crate::support::shop::{route, routed, sourced};
use crate::support::story::Story;

fn steps() -> serde_json::Value {
    json!([{"setWeight": 20}, {"setWeight": 50, "pause": {}}, {"setWeight": 100}])
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_made_once() {
    let story = Story::begin("lost", 120).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", steps()))).await;
    let routes = story.watch("HTTPRoute").await;
    let controller = story.controller().await;
    controller.proxy.lose_replies();
    story.completed(1).await;
    story.push("1.1.0").await;
    story.paused(2, 2).await;
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;

    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(story.cluster.all("ReplicaSet").await.len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
    for asked in ["rollouts", "replicasets", "services", "httproutes"] {
        let calls = controller.proxy.calls();
        let gets = calls.iter().filter(|call| call.method == "GET" && !call.watches());
        let gets = gets.filter(|call| call.path.contains(&format!("/{asked}/")));
        assert!(gets.count() > 0, "what became of the write to {asked} is asked for");
    }
}

#[tokio::test]
async fn an_api_server_that_does_not_stream_lists_is_listed() {
    let story = Story::begin("old", 90).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", steps()))).await;
    let controller = old(&story).await;
    story.completed(1).await;
    story.push("1.1.0").await;
    story.paused(2, 2).await;
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// A controller whose API server has no streaming lists.
async fn old(story: &Story) -> Controller {
    let controller = story.controller().await;
    controller.kill();
    controller.proxy.be_old();
    controller.restart();
    controller
}
