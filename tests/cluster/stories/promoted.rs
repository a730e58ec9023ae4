//! `stairlock.dev/deliver: Promoted`: what is written only once a release has all traffic.

use serde_json::{Value, json};

use crate::stories::delivery::{VALUE, staged};
use crate::support::controller::Controller;
use crate::support::flux::{APPS, applied, bound, config_map, oci_repository, ready, shown};
use crate::support::json::{list, merged, text};
use crate::support::shop::{rollout, sourced};
use crate::support::story::{SHOP, Story, attempt_is};
use crate::support::watch::Watch;

/// The Kustomization that is written late.
const LATE: &str = "late";

/// Waits until a value stands in a Kustomization, and Flux has applied it.
async fn stands(story: &Story, of: &str, value: &str) {
    let stands = |k: &Value| text(k, VALUE) == value && ready(k);
    story.becomes("Kustomization", of, &format!("{value} stands"), stands).await;
}

/// The values that a Kustomization had, one after the other.
fn values(targets: &Watch, of: &str) -> Vec<String> {
    let states = targets.states(of);
    let mut values: Vec<String> =
        states.iter().map(|state| text(state, VALUE).to_owned()).collect();
    values.retain(|value| !value.is_empty());
    values.dedup();
    values
}

/// A shop that delivers 1.0.0 to two Kustomizations, to one of them late.
async fn begin() -> (Story, Controller, Watch) {
    let story = Story::begin("promoted", 180).await;
    story.offer("1.0.0").await;
    let targets = story.watch("Kustomization").await;
    staged(&story, &shown(), bound(applied(&story, APPS))).await;
    let manifests = [config_map(LATE, "shop", "${SHOP_VERSION:=0.0.0}")];
    story.publish(LATE, "1.0.0", &manifests).await;
    story.cluster.add(oci_repository(&story, LATE, json!({"tag": "1.0.0"}))).await;
    let late = json!({"metadata": {"annotations": {"stairlock.dev/deliver": "Promoted"}}});
    story.cluster.add(merged(bound(applied(&story, LATE)), &late)).await;
    let steps = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    story.cluster.add(sourced(rollout(&story, "1.0.0", steps))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    stands(&story, APPS, "1.0.0").await;
    stands(&story, LATE, "1.0.0").await;
    (story, controller, targets)
}

#[tokio::test]
async fn a_target_that_asks_for_it_gets_a_release_once_it_is_promoted() {
    let (story, controller, targets) = begin().await;

    // What is aborted before was never there.
    story.push("1.1.0").await;
    story.paused(2, 1).await;
    stands(&story, APPS, "1.1.0").await;
    story.clock("clock1").await;
    assert_eq!(values(&targets, LATE), ["1.0.0"]);
    story.command("stairlock.dev/abort", "true").await;
    story.failed(2, "Aborted").await;
    stands(&story, APPS, "1.0.0").await;

    story.push("1.2.0").await;
    story.paused(3, 1).await;
    story.clock("clock2").await;
    assert_eq!(values(&targets, LATE), ["1.0.0"]);
    story.command("stairlock.dev/promote", "true").await;
    story.completed(3).await;
    let late = story.cluster.get("ConfigMap", LATE).await;
    assert_eq!(text(&late, "/data/shop"), "1.2.0", "a success is what all have applied");

    // What goes back after that is taken out of all.
    let bakes = json!({"spec": {"bakeTime": "1h"}});
    story.cluster.merge("Rollout", SHOP, bakes).await;
    story.push("1.3.0").await;
    story.paused(4, 1).await;
    story.command("stairlock.dev/promote", "true").await;
    let bakes = |r: &Value| text(r, "/status/phase") == "Baking" && attempt_is(r, 4);
    story.until("it bakes", bakes).await;
    story.command("stairlock.dev/abort", "true").await;
    let failed = story.failed(4, "Aborted").await;
    stands(&story, APPS, "1.2.0").await;
    stands(&story, LATE, "1.2.0").await;

    assert_eq!(values(&targets, LATE), ["1.0.0", "1.2.0", "1.3.0", "1.2.0"]);
    let all = ["1.0.0", "1.1.0", "1.0.0", "1.2.0", "1.3.0", "1.2.0"];
    assert_eq!(values(&targets, APPS), all);
    let outcomes = list(&failed, "/status/history").iter().map(|entry| text(entry, "/outcome"));
    let want = ["Aborted", "Completed", "Aborted", "Completed"];
    assert_eq!(outcomes.collect::<Vec<_>>(), want);
    assert_eq!(controller.forbidden(), [""; 0]);
}
