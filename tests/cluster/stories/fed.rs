//! Rollouts that real Flux applies with the very Kustomization that brings them their releases.

use serde_json::{Value, json};

use crate::stories::command::annotation;
use crate::stories::delivery::{VALUE, shows, staged};
use crate::support::controller::Controller;
use crate::support::flux::{APPS, applied, bound, config_map, oci_repository, ready, shown};
use crate::support::json::{condition, list, merged, number, text};
use crate::support::proxy::{Call, Moment};
use crate::support::shop::{gated_twice, rollout, sourced};
use crate::support::story::{SHOP, Story};
use crate::support::watch::Watch;

const PROMOTE: &str = "stairlock.dev/promote";
const ACCEPTED: &str = "stairlock.dev/accepted";
const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// A shop that the Kustomization applies which it is bound to, and what cannot be applied with a
/// version in capitals.
async fn fed(title: &str, over: &Value) -> (Story, Controller, Watch) {
    let story = Story::begin(title, 150).await;
    story.offer("1.0.0").await;
    let steps = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    let mut manifests = shown();
    manifests.push(sourced(rollout(&story, "${SHOP_VERSION:=1.0.0}", steps)));
    let targets = story.watch("Kustomization").await;
    staged(&story, &manifests, merged(bound(applied(&story, APPS)), over)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.becomes("Kustomization", APPS, "the first release stands", ready).await;
    (story, controller, targets)
}

/// A release that never gets into the template has failed, and nothing of it is left.
async fn fails(story: &Story, targets: &Watch) {
    story.push("2.0.0-BROKEN").await;
    let failed = story.failed(2, "DeliveryFailed").await;

    let entry = &list(&failed, "/status/history")[0];
    assert_eq!(text(entry, "/outcome"), "DeliveryFailed");
    assert_eq!(text(entry, "/release/tag"), "2.0.0-BROKEN");
    assert_eq!(text(entry, "/bakeStatus"), "Failed");
    let why = text(entry, "/bakeStatusMessage");
    assert!(why.contains("shop-2.0.0-BROKEN"), "what Flux says of it: {entry}");
    assert_eq!(text(&failed, IMAGE), story.image("1.0.0"));
    assert_eq!(story.replica_sets().await.len(), 1, "no pod of it was ever made");
    let back = |k: &Value| text(k, VALUE) == "1.0.0";
    story.becomes("Kustomization", APPS, "1.0.0 is delivered again", back).await;
    let states = targets.states(APPS);
    let mut values: Vec<&str> = states.iter().map(|state| text(state, VALUE)).collect();
    values.dedup();
    assert_eq!(values, ["", "2.0.0-BROKEN", "1.0.0"], "tried once");
}

/// The next release comes through the same Kustomization, and climbs.
async fn climbs(story: &Story) {
    story.push("2.1.0").await;
    story.paused(3, 1).await;
    shows(story, "2.1.0").await;
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("2.1.0"));
    assert_eq!(text(&done, "/status/stable/release/version"), "2.1.0");
    let outcomes = list(&done, "/status/history").iter().map(|entry| text(entry, "/outcome"));
    assert_eq!(outcomes.collect::<Vec<_>>(), ["Completed", "DeliveryFailed", "Completed"]);
}

async fn stands(story: &Story) {
    let stands = |k: &Value| text(k, VALUE) == "2.1.0" && ready(k);
    story.becomes("Kustomization", APPS, "it is ready again", stands).await;
}

#[tokio::test]
async fn a_release_that_flux_cannot_bring_into_the_template_fails_and_leaves_no_trace() {
    let (story, controller, targets) = fed("unfed", &json!({"spec": {"wait": false}})).await;
    fails(&story, &targets).await;
    let again = |k: &Value| text(k, VALUE) == "1.0.0" && ready(k);
    story.becomes("Kustomization", APPS, "1.0.0 is applied again", again).await;
    shows(&story, "1.0.0").await;
    climbs(&story).await;
    stands(&story).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn where_flux_waits_for_the_rollout_it_fails_with_it_until_a_good_release_comes() {
    let (story, controller, targets) = fed("unfedwait", &json!({})).await;
    fails(&story, &targets).await;
    let tells = |k: &Value| {
        let mut all = list(k, "/status/conditions").iter();
        let told = all.find(|condition| text(condition, "/type") == "Ready");
        let told = told.filter(|told| told["observedGeneration"] == k["metadata"]["generation"]);
        told.is_some_and(|told| text(told, "/reason") == "HealthCheckFailed")
    };
    let told = story.becomes("Kustomization", APPS, "it fails as the Rollout does", tells).await;
    assert_eq!(text(&told, VALUE), "1.0.0", "with what it has applied again");
    let shop = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(condition(&shop, "Stalled"), "True");
    climbs(&story).await;
    stands(&story).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// The artifact of a version: the shop at that version, and what cannot be applied where it says
/// so.
async fn artifact(story: &Story, tag: &str, name: &str) {
    let steps = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    let shop = sourced(rollout(story, tag, steps));
    story.publish(APPS, tag, &[config_map(name, "shop", tag), shop]).await;
}

#[tokio::test]
async fn a_rollout_in_an_artifact_climbs_with_its_tag_and_goes_back_with_it() {
    let story = Story::begin("fedtag", 150).await;
    story.offer("1.0.0").await;
    for (tag, name) in [("1.0.0", "versions"), ("2.0.0", "BROKEN"), ("2.1.0", "versions")] {
        artifact(&story, tag, name).await;
    }
    let binding = json!({"metadata": {"annotations": {"stairlock.dev/rollout": SHOP}}});
    let source = merged(oci_repository(&story, APPS, json!({"tag": "1.0.0"})), &binding);
    story.cluster.add(source).await;
    let target = merged(applied(&story, APPS), &json!({"spec": {"wait": false}}));
    story.cluster.add(target).await;
    let controller = story.controller().await;
    story.completed(1).await;

    story.push("2.0.0").await;
    let failed = story.failed(2, "DeliveryFailed").await;
    let why = text(&failed, "/status/history/0/bakeStatusMessage");
    assert!(why.contains("BROKEN"), "{failed}");
    assert_eq!(text(&failed, IMAGE), story.image("1.0.0"));
    story.applied(APPS, "1.0.0").await;
    assert_eq!(story.replica_sets().await.len(), 1, "no pod of it was ever made");

    climbs(&story).await;
    story.applied(APPS, "2.1.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// Has Flux apply the artifact that it read, once more.
async fn applied_again(story: &Story, token: &str) {
    story.reconcile("Kustomization", APPS, token).await;
    let again = |k: &Value| text(k, "/status/lastHandledReconcileAt") == token && ready(k);
    story.becomes("Kustomization", APPS, "it is applied once more", again).await;
}

/// Asks for a command as a person does whose annotations Flux takes away.
async fn asked(story: &Story) {
    story.kubectl(&["annotate", "slr", SHOP, "stairlock.dev/promote=true"]).await;
}

/// A shop at the first of two pauses, which Flux applies and nothing delivers to.
async fn at_a_pause(title: &str) -> (Story, Controller) {
    let story = Story::begin(title, 150).await;
    for tag in ["1.0.0", "1.1.0"] {
        story.publish(APPS, tag, &[rollout(&story, tag, gated_twice())]).await;
    }
    story.cluster.add(oci_repository(&story, APPS, json!({"tag": "1.0.0"}))).await;
    story.cluster.add(applied(&story, APPS)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let next = json!({"spec": {"ref": {"tag": "1.1.0"}}});
    story.cluster.merge("OCIRepository", APPS, next).await;
    story.paused(2, 1).await;
    let told = |call: &Call| text(&call.body, "/reason") == "AwaitingPromotion";
    controller.proxy.heard(story.end, "the pause is told of", told).await;
    story.applied(APPS, "1.1.0").await;
    (story, controller)
}

#[tokio::test]
async fn a_command_that_flux_strips_before_it_is_seen_does_nothing() {
    let (story, controller) = at_a_pause("stripped").await;
    controller.kill();
    asked(&story).await;
    applied_again(&story, "strip").await;
    let shop = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(annotation(&shop, PROMOTE), "", "Flux took it away: {shop}");

    controller.restart();
    story.clock("clock").await;
    let shop = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(number(&shop, "/status/attempt/step"), 1, "nobody asks any more: {shop}");
    asked(&story).await;
    story.paused(2, 2).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_command_that_is_accepted_acts_once_though_flux_strips_it() {
    let (story, controller) = at_a_pause("accepted").await;
    controller.kill_at(1, Moment::After);
    asked(&story).await;
    controller.proxy.killed(story.end).await;
    let shop = story.cluster.get("Rollout", SHOP).await;
    let token = annotation(&shop, ACCEPTED).to_owned();
    assert!(!token.is_empty(), "{shop}");
    applied_again(&story, "strip").await;
    let shop = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(annotation(&shop, ACCEPTED), token, "it outlasts what Flux does: {shop}");
    assert_eq!(annotation(&shop, PROMOTE), "", "{shop}");

    controller.restart();
    story.paused(2, 2).await;
    applied_again(&story, "again").await;
    story.clock("clock").await;
    let shop = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(number(&shop, "/status/attempt/step"), 2, "it acts once: {shop}");
    assert_eq!(annotation(&shop, ACCEPTED), "", "{shop}");
    assert_eq!(controller.forbidden(), [""; 0]);
}
