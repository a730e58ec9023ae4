//! `spec.paused` over deliveries: nothing is written, and what fails is taken back all the same.

use serde_json::{Value, json};

use crate::stories::delivery::{VALUE, delivered, deliveries, shows, staged};
use crate::support::controller::Controller;
use crate::support::flux::{APPS, VARIABLE, applied, bound, ready, shown};
use crate::support::json::{list, number, text};
use crate::support::shop::{rollout, sourced};
use crate::support::story::{SHOP, Story};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

async fn pause(story: &Story, paused: bool) {
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"paused": paused}})).await;
}

/// Waits until a value stands in the Kustomization, and Flux has applied it.
async fn stands(story: &Story, value: &str) {
    let stands = |k: &Value| text(k, VALUE) == value && ready(k);
    story.becomes("Kustomization", APPS, &format!("{value} stands"), stands).await;
    shows(story, value).await;
}

/// Has a person write a value, which Flux applies.
async fn by_hand(story: &Story, value: &str) {
    let other = json!({"spec": {"postBuild": {"substitute": {VARIABLE: value}}}});
    story.cluster.merge("Kustomization", APPS, other).await;
    stands(story, value).await;
}

/// A shop with pods that delivers too, and whose release 1.1.0 stands at a pause.
async fn half_way(title: &str) -> (Story, Controller) {
    let story = Story::begin(title, 150).await;
    story.offer("1.0.0").await;
    staged(&story, &shown(), bound(applied(&story, APPS))).await;
    let steps = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    story.cluster.add(sourced(rollout(&story, "1.0.0", steps))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    stands(&story, "1.0.0").await;
    story.push("1.1.0").await;
    story.paused(2, 1).await;
    stands(&story, "1.1.0").await;
    (story, controller)
}

#[tokio::test]
async fn an_abort_of_a_paused_rollout_takes_the_delivery_back_too() {
    let (story, controller) = half_way("frozenback").await;
    let before = deliveries(&controller).len();

    pause(&story, true).await;
    story.held("Suspended").await;
    story.push("1.2.0").await;
    story.clock("clock1").await;
    let still = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(number(&still, "/status/attempt/number"), 2);
    assert_eq!(number(&still, "/status/attempt/step"), 1);
    assert_eq!(deliveries(&controller).len(), before, "nothing newer is delivered");

    story.command("stairlock.dev/abort", "true").await;
    let failed = story.failed(2, "Aborted").await;
    assert_eq!(text(&failed, IMAGE), story.image("1.0.0"));
    stands(&story, "1.0.0").await;
    story.clock("clock2").await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "1.0.0", "and nothing begins");

    pause(&story, false).await;
    story.paused(3, 1).await;
    stands(&story, "1.2.0").await;
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(3).await;
    let outcomes = list(&done, "/status/history").iter().map(|entry| text(entry, "/outcome"));
    assert_eq!(outcomes.collect::<Vec<_>>(), ["Completed", "Aborted", "Completed"]);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn an_abort_of_a_paused_rollout_leaves_what_a_person_wrote_meanwhile() {
    let (story, controller) = half_way("frozenleft").await;
    pause(&story, true).await;
    story.held("Suspended").await;
    by_hand(&story, "0.8.0").await;

    story.command("stairlock.dev/abort", "true").await;
    story.failed(2, "Aborted").await;
    story.clock("clock").await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "0.8.0", "it is not what failed");

    pause(&story, false).await;
    stands(&story, "1.0.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_paused_rollout_writes_no_release_and_leaves_what_others_write() {
    let (story, controller) = delivered("frozenwrite", 150).await;
    let before = deliveries(&controller).len();
    pause(&story, true).await;
    story.push("1.1.0").await;
    story.held("Suspended").await;
    by_hand(&story, "0.8.0").await;
    story.clock("clock").await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "0.8.0");
    assert_eq!(deliveries(&controller).len(), before);

    pause(&story, false).await;
    story.completed(2).await;
    stands(&story, "1.1.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}
