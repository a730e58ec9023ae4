//! Rollouts that real Flux applies from artifacts in a registry.

use serde_json::{Value, json};

use crate::support::flux::{APPS, applied, config_map, oci_repository};
use crate::support::json::{list, merged, text};
use crate::support::shop::{quick, rollout};
use crate::support::story::{SHOP, Story};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// The shop with its version and that of another part from variables.
fn manifests(story: &Story, text: &str) -> Vec<Value> {
    let settings = config_map("settings", "text", text);
    let versions = config_map("versions", "shop", "${SHOP_VERSION:=1.0.0}");
    vec![settings, versions, rollout(story, "${SHOP_VERSION:=1.0.0}", quick())]
}

/// Everything stands that the artifact 1.0.0 holds.
async fn first_applied(story: &Story) {
    story.publish(APPS, "1.0.0", &manifests(story, "first")).await;
    let newest = json!({"semver": ">=1.0.0"});
    story.cluster.add(oci_repository(story, APPS, newest)).await;
    story.cluster.add(applied(story, APPS)).await;
    story.applied(APPS, "1.0.0").await;
}

#[tokio::test]
async fn an_artifact_that_holds_a_rollout_is_applied_and_waited_for() {
    let story = Story::begin("fluxapply", 120).await;
    let controller = story.controller().await;

    first_applied(&story).await;

    let versions = story.cluster.get("ConfigMap", "versions").await;
    assert_eq!(text(&versions, "/data/shop"), "1.0.0", "the default stands without a value");
    let done = story.completed(1).await;
    assert_eq!(text(&done, IMAGE), story.image("1.0.0"));
    // One kustomize-controller for all stories: what has not its label is another story's prop.
    let unlabelled = merged(applied(&story, "prop"), &json!({"metadata": {"labels": null}}));
    story.cluster.add(unlabelled).await;
    story.clock("clock").await;
    let prop = story.cluster.get("Kustomization", "prop").await;
    assert_eq!(prop.pointer("/status/conditions"), None);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_value_of_a_variable_and_a_newer_artifact_climb() {
    let story = Story::begin("fluxclimb", 150).await;
    let controller = story.controller().await;
    first_applied(&story).await;
    story.completed(1).await;

    story.substitute("person", APPS, json!({"SHOP_VERSION": "1.1.0"})).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"));
    story.applied(APPS, "1.0.0").await;

    // What does not touch the template starts no attempt.
    story.publish(APPS, "1.2.0", &manifests(&story, "second")).await;
    story.applied(APPS, "1.2.0").await;
    let settings = story.cluster.get("ConfigMap", "settings").await;
    assert_eq!(text(&settings, "/data/text"), "second");
    story.clock("clock").await;
    let after = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(list(&after, "/status/history").len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
}
