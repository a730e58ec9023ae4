//! What gets lost mid-way: the status, the Rollout, an object beside it.

use serde_json::{Value, json};

use crate::support::controller::Controller;
use crate::support::json::{holds, list, number, text};
use crate::support::ladder::{rises_by_steps, sequence, weights};
use crate::support::shop::{CANARY, STABLE, gated, route, routed, sized};
use crate::support::story::{SHOP, Story};
use crate::support::watch::{Change, Seen, Watch};

/// A routed shop of two pods at the pause of its first step, and the watch of its route.
async fn at_the_pause(title: &str) -> (Story, Controller, Watch) {
    let story = Story::begin(title, 120).await;
    story.cluster.add(route()).await;
    story.cluster.add(sized(routed(&story, "1.0.0", gated()), 2)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    (story, controller, routes)
}

#[tokio::test]
async fn a_status_deleted_mid_ladder_is_found_again_without_a_jump() {
    let (story, _controller, routes) = at_the_pause("amnesia").await;
    let before = story.cluster.get("Rollout", SHOP).await;
    story.cluster.merge_status("Rollout", SHOP, json!({"status": null})).await;
    story.until("the status is gone", |r| text(r, "/status/phase").is_empty()).await;

    let again = |r: &Value| text(r, "/status/phase") == "Paused";
    let paused = story.until("it stands at a pause again", again).await;
    assert_eq!(
        text(&paused, "/status/stable/revision"),
        text(&before, "/status/stable/revision"),
        "the same side is stable"
    );
    story.command("stairlock.dev/promote", "true").await;
    let done = story.until("it is Completed", crate::support::story::completed).await;

    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
    let sequence = sequence(&routes);
    rises_by_steps(&sequence, &[20, 50, 100]);
    assert_eq!(sequence.last(), Some(&(100, 0)));
    assert_eq!(story.cluster.all("ReplicaSet").await.len(), 2, "no third revision");
}

#[tokio::test]
async fn a_status_deleted_at_rest_moves_nothing() {
    let story = Story::begin("restored", 60).await;
    story.cluster.add(route()).await;
    story.cluster.add(routed(&story, "1.0.0", gated())).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let sets = story.watch("ReplicaSet").await;
    let routes = story.watch("HTTPRoute").await;
    let mark = controller.proxy.mark();
    story.cluster.merge_status("Rollout", SHOP, json!({"status": null})).await;
    story.until("the status is gone", |r| text(r, "/status/phase").is_empty()).await;

    story.until("it is Completed", crate::support::story::completed).await;

    assert_eq!(sequence(&routes), [(100, 0)]);
    assert_eq!(sets.present().len(), 1);
    let writes = controller.proxy.writes(mark);
    let outside = writes.iter().filter(|call| call.path.contains("/replicasets"));
    assert_eq!(outside.count(), 0);
}

#[tokio::test]
async fn a_rollout_deleted_mid_way_leaves_traffic_on_stable_and_nothing_behind() {
    let (story, controller, routes) = at_the_pause("deleted").await;
    let sets = story.watch("ReplicaSet").await;
    story.kubectl(&["delete", "slr", SHOP, "--wait=false"]).await;

    let gone = |seen: &Seen| seen.change == Change::Deleted;
    story.rollouts.until(story.end, "the Rollout is gone", gone).await;

    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (100, 0)]);
    let collected =
        |seen: &[Seen]| seen.iter().filter(|seen| seen.change == Change::Deleted).count() == 2;
    sets.until_all(story.end, "both ReplicaSets are collected", collected).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn orphaned_replica_sets_keep_their_pods() {
    let (story, controller, routes) = at_the_pause("orphan").await;
    let sets = story.watch("ReplicaSet").await;
    story.kubectl(&["delete", "slr", SHOP, "--cascade=orphan", "--wait=false"]).await;
    let gone = |seen: &Seen| seen.change == Change::Deleted;
    story.rollouts.until(story.end, "the Rollout is gone", gone).await;

    assert_eq!(weights(&routes.states(SHOP).pop().unwrap()), (100, 0));
    let present = sets.present();
    assert_eq!(present.len(), 2);
    for set in &present {
        assert_eq!(list(set, "/metadata/ownerReferences").len(), 0, "{set}");
        assert!(number(set, "/spec/replicas") > 0, "{set}");
    }
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_rollout_deleted_without_its_route_is_gone_all_the_same() {
    let (story, _controller, _routes) = at_the_pause("noroute").await;
    story.cluster.remove("HTTPRoute", SHOP).await;
    story.cluster.remove("Rollout", SHOP).await;
    let gone = |seen: &Seen| seen.change == Change::Deleted;
    story.rollouts.until(story.end, "the Rollout is gone", gone).await;
}

#[tokio::test]
async fn a_restart_mid_ladder_goes_on_where_it_was() {
    let (story, controller, routes) = at_the_pause("restart").await;
    controller.kill();
    controller.restart();
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
}

/// Deletes an object, and waits until another one of its name stands there, as is asked.
async fn made_again(story: &Story, kind: &str, of: &str, is: impl Fn(&Value) -> bool) {
    let before = story.cluster.get(kind, of).await;
    story.cluster.remove(kind, of).await;
    let uid = "/metadata/uid";
    let again = |now: &Value| text(now, uid) != text(&before, uid) && is(now);
    story.becomes(kind, of, "it is there again", again).await;
}

#[tokio::test]
async fn services_deleted_mid_way_are_made_again_and_the_ladder_goes_on() {
    let (story, controller, routes) = at_the_pause("serviceless").await;
    let paused = story.cluster.get("Rollout", SHOP).await;
    for (service, side) in [(CANARY, "attempt"), (STABLE, "stable")] {
        let revision = text(&paused, &format!("/status/{side}/revision"));
        let selects = |s: &Value| text(s, "/spec/selector/stairlock.dev~1revision") == revision;
        made_again(&story, "Service", service, selects).await;
    }
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;
    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_canary_whose_replica_set_is_deleted_mid_way_comes_up_again() {
    let (story, controller, routes) = at_the_pause("canaryless").await;
    let paused = story.cluster.get("Rollout", SHOP).await;
    let set = format!("{SHOP}-{}", text(&paused, "/status/attempt/revision"));
    let ready = |set: &Value| number(set, "/status/readyReplicas") > 0;
    made_again(&story, "ReplicaSet", &set, ready).await;
    story.paused(2, 1).await;
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;
    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// Deletes the ReplicaSet of stable; waits until it is told that nothing can be gone back to.
async fn stable_deleted(story: &Story, rollout: &Value) {
    let set = format!("{SHOP}-{}", text(rollout, "/status/stable/revision"));
    story.cluster.remove("ReplicaSet", &set).await;
    let told = |r: &Value| holds(r) == ["AwaitingPromotion", "NoHealthyBackend"];
    story.until("it is told", told).await;
}

#[tokio::test]
async fn where_the_replica_set_of_stable_is_deleted_mid_way_the_next_one_takes_over() {
    let (story, controller, routes) = at_the_pause("stableless").await;
    stable_deleted(&story, &story.cluster.get("Rollout", SHOP).await).await;
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;
    let climbed = [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)];
    assert_eq!(sequence(&routes), climbed);

    // Aborted it keeps what traffic it has, since nothing else answers.
    story.set_image(&story.image("1.2.0")).await;
    stable_deleted(&story, &story.paused(3, 1).await).await;
    story.command("stairlock.dev/abort", "true").await;
    story.until("nothing takes it", |r| holds(r) == ["NoHealthyBackend"]).await;
    story.clock("clock").await;
    assert_eq!(sequence(&routes).last(), Some(&(80, 20)));
    story.set_image(&story.image("1.3.0")).await;
    let done = story.completed(4).await;
    assert_eq!(text(&done, "/status/history/1/outcome"), "Superseded");
    let all = [&climbed[..], &[(80, 20), (100, 0)]].concat();
    assert_eq!(sequence(&routes), all, "what comes next is a first revision");
    assert_eq!(controller.forbidden(), [""; 0]);
}
