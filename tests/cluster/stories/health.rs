//! Health: what others find decides whether a release that is delivered counts as a success.

use serde_json::{Value, json};

use crate::support::controller::Controller;
use crate::support::flux::{APPS, applied, bound, delivering, oci_repository, ready, shown};
use crate::support::health::{CHECK, checked, health_check};
use crate::support::json::{hold_message, list, merged, text};
use crate::support::shop::{quick, rollout, sourced};
use crate::support::story::{SHOP, Story, attempt_is};

const VALUE: &str = "/spec/postBuild/substitute/SHOP_VERSION";

/// Gives the shop another time to bake.
async fn bakes_for(story: &Story, time: &str) {
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"bakeTime": time}})).await;
}

/// Waits until Flux has applied a version.
async fn stands(story: &Story, version: &str) {
    let is = |k: &Value| text(k, VALUE) == version && ready(k);
    story.becomes("Kustomization", APPS, &format!("{version} is applied"), is).await;
}

/// A shop whose first release Flux has applied and others have found well.
async fn well(title: &str) -> (Story, Controller) {
    let story = Story::begin(title, 150).await;
    story.offer("1.0.0").await;
    story.publish(APPS, "1.0.0", &shown()).await;
    story.cluster.add(oci_repository(&story, APPS, json!({"tag": "1.0.0"}))).await;
    story.cluster.add(bound(applied(&story, APPS))).await;
    story.cluster.add(health_check()).await;
    story.cluster.add(checked(delivering(SHOP))).await;
    let controller = story.controller().await;
    let message = story.held("AwaitingHealth").await;
    assert!(message.contains(CHECK), "{message}");
    story.found_anew("Healthy").await;
    story.completed(1).await;
    (story, controller)
}

#[tokio::test]
async fn an_error_that_others_find_fails_the_bake_and_the_version_before_comes_back() {
    let (story, controller) = well("health").await;

    // What was said of the release before is not believed of this one.
    bakes_for(&story, "1h").await;
    story.push("1.1.0").await;
    story.found_anew("Healthy").await;
    story.until("it bakes", |r| text(r, "/status/phase") == "Baking").await;
    stands(&story, "1.1.0").await;
    story.found("Unhealthy").await;
    let failed = story.failed(2, "BakeFailed").await;
    let entry = &list(&failed, "/status/history")[0];
    assert_eq!(text(entry, "/bakeStatus"), "Failed");
    assert_eq!(text(entry, "/failedHealthChecks/0/name"), CHECK, "{entry}");
    stands(&story, "1.0.0").await;

    // While the error lasts nothing starts by itself.
    bakes_for(&story, "1s").await;
    story.push("1.2.0").await;
    let waits = story.until("it is not well", |r| !hold_message(r, "UnhealthyCheck").is_empty());
    let waits = waits.await;
    assert!(hold_message(&waits, "UnhealthyCheck").contains("as measured"), "{waits}");
    story.found("Healthy").await;
    story.found_anew("Healthy").await;
    let done = story.completed(3).await;
    stands(&story, "1.2.0").await;
    assert_eq!(text(&done, "/status/history/0/bakeStatus"), "Succeeded");
    assert_eq!(list(&done, "/status/history").len(), 3);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn what_nobody_finds_healthy_in_time_is_taken_back_from_flux() {
    let (story, controller) = well("silence").await;
    story.push("1.1.0").await;
    let waits = |r: &Value| attempt_is(r, 2) && hold_message(r, "AwaitingHealth").contains(CHECK);
    story.until("1.1.0 is applied, and waits", waits).await;

    story.cluster.merge("Rollout", SHOP, json!({"spec": {"deployTimeout": "1s"}})).await;
    let failed = story.failed(2, "DeployTimeout").await;

    let entry = &failed["status"]["history"][0];
    assert_eq!(text(entry, "/bakeStatus"), "Failed");
    assert!(text(entry, "/bakeStatusMessage").contains("not healthy in time"), "{entry}");
    assert_eq!(text(entry, "/failedHealthChecks/0/name"), CHECK, "{entry}");
    stands(&story, "1.0.0").await;
    assert_eq!(text(&failed, "/status/quarantine/0/release/tag"), "1.1.0");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_check_of_another_namespace_counts_where_it_is_selected_and_the_flag_lets_it() {
    let mut story = Story::begin("checked", 150).await;
    let other = Story::begin("watchers", 150).await;
    story.beside(&other);
    story.offer("1.0.0").await;
    let there = json!({"kubernetes.io/metadata.name": other.namespace()});
    let apps = json!([{"key": "app", "operator": "In", "values": [SHOP, "cart"]},
        {"key": "retired", "operator": "DoesNotExist"}]);
    let selects = json!({"spec": {"bakeTime": "1s", "healthCheckSelector": {
        "selector": {"matchExpressions": apps}, "namespaceSelector": {"matchLabels": there}}}});
    let shop = merged(sourced(rollout(&story, "1.0.0", quick())), &selects);
    // Those that are not selected are never well: one is here, one is retired.
    story.cluster.add(story.labelled(health_check())).await;
    other.cluster.add(story.labelled(health_check())).await;
    let retired = json!({"metadata": {"name": "old", "labels": {"retired": "yes"}}});
    other.cluster.add(merged(story.labelled(health_check()), &retired)).await;
    story.cluster.add(story.labelled(shop)).await;
    let blind = story.controller_of_all(&[]).await;
    let flag = format!("--allow-cross-namespace-refs={}", other.namespace());
    let named = format!("{}/{CHECK}", other.namespace());
    let held = |r: &Value| r["status"]["waitingFor"].to_string().contains(&named);
    let held = story.until("it is not known", held).await;
    assert!(held["status"]["waitingFor"].to_string().contains(&flag), "{held}");
    blind.kill();

    let controller = story.controller_of_all(&[&flag]).await;
    other.found_anew("Healthy").await;
    story.completed(1).await;
    story.push("1.1.0").await;
    other.found_anew("Unhealthy").await;
    let failed = story.failed(2, "BakeFailed").await;
    let blamed = list(&failed, "/status/history/0/failedHealthChecks");
    assert_eq!(blamed.len(), 1, "{failed}");
    assert_eq!(text(&blamed[0], "/namespace"), other.namespace());
    assert_eq!(text(&failed, "/spec/template/spec/containers/0/image"), story.image("1.0.0"));
    assert_eq!(controller.forbidden(), [""; 0]);
}
