//! Releases that real Flux applies: Stairlock writes a variable or a tag, and believes what Flux
//! says about it.

use std::time::Duration;

use serde_json::{Value, json};
use stairlock::decide::status::DELIVERY_EVERY;
use stairlock::model::moment::Timestamp;

use crate::support::clock::ticks;
use crate::support::controller::Controller;
use crate::support::flux::{APPS, VARIABLE, applied, bound, bound_to, config_map, delivering};
use crate::support::flux::{oci_repository, ready, shown, variable_of};
use crate::support::json::{holds, list, merged, name, text, version};
use crate::support::kuberik::bound_as_kuberik;
use crate::support::proxy::Call;
use crate::support::rig::rig;
use crate::support::shop::{image_policy, image_repository, rollout, sourced, sources_of};
use crate::support::story::{SHOP, Story};
use crate::support::watch::Seen;

/// Reference story C, events included.
const WRITES_MAX_C: usize = 7;
/// The variable that is bound.
pub const VALUE: &str = "/spec/postBuild/substitute/SHOP_VERSION";

/// The artifact 1.0.0 of these manifests, and what applies it.
pub async fn staged(story: &Story, manifests: &[Value], kustomization: Value) {
    story.publish(APPS, "1.0.0", manifests).await;
    story.cluster.add(oci_repository(story, APPS, json!({"tag": "1.0.0"}))).await;
    story.cluster.add(kustomization).await;
}

/// A shop whose first release is applied and baked.
pub async fn delivered(title: &str, secs: u64) -> (Story, Controller) {
    let story = Story::begin(title, secs).await;
    story.offer("1.0.0").await;
    staged(&story, &shown(), bound(applied(&story, APPS))).await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    (story, controller)
}

/// Waits until Flux has applied a version.
pub async fn shows(story: &Story, version: &str) {
    let is = |map: &Value| text(map, "/data/shop") == version;
    story.becomes("ConfigMap", "versions", &format!("{version} is applied"), is).await;
}

/// The requests of a controller that change a bound object.
pub fn deliveries(controller: &Controller) -> Vec<String> {
    // One that came too late for what it saw is refused, and made again.
    let made = |call: &Call| call.mutates() && call.status < 300;
    let calls = controller.proxy.calls().into_iter().filter(made);
    let fluxes = ["/kustomizations/", "/ocirepositories/"];
    let ours = calls.filter(|call| fluxes.iter().any(|part| call.path.contains(part)));
    ours.map(|call| call.line()).collect()
}

#[tokio::test]
async fn a_tag_becomes_a_variable_that_flux_applies_and_is_baked() {
    let (story, controller) = delivered("deliver", 150).await;
    shows(&story, "1.0.0").await;

    story.push("1.1.0").await;
    let done = story.completed(2).await;

    // Succeeded is said only of what Flux has applied.
    let versions = story.cluster.get("ConfigMap", "versions").await;
    assert_eq!(text(&versions, "/data/shop"), "1.1.0");
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert!(ready(&apps), "{apps}");
    assert_eq!(text(&apps, VALUE), "1.1.0");
    assert_eq!(text(&done, "/status/history/0/release/tag"), "1.1.0");
    assert_eq!(text(&done, "/status/history/0/bakeStatus"), "Succeeded");
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(deliveries(&controller).len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn story_c_costs_few_writes() {
    let (story, controller) = delivered("costc", 150).await;
    story.clock("clock1").await;
    let mark = controller.proxy.mark();

    story.push("1.1.0").await;
    let done = story.completed(2).await;
    story.clock("clock2").await;

    let writes = controller.proxy.writes(mark).into_iter().filter(|call| !ticks(call, "clock"));
    let writes: Vec<String> = writes.map(|call| call.line()).collect();
    println!("story C: {} writes\n{}", writes.len(), writes.join("\n"));
    // How Flux comes along is told too where it takes longer.
    let time =
        |field: &str| Timestamp::parse(text(&done, &format!("/status/history/0/{field}"))).unwrap();
    let reports = time("endedAt").since(time("startedAt")).millis() / DELIVERY_EVERY.millis();
    let most = WRITES_MAX_C + usize::try_from(reports).unwrap();
    assert!(writes.len() <= most, "{}:\n{}", writes.len(), writes.join("\n"));
}

#[tokio::test]
async fn a_release_that_cannot_be_applied_fails_and_the_last_good_one_comes_back() {
    let (story, controller) = delivered("broken", 150).await;

    story.push("2.0.0-BROKEN").await;
    let failed = story.failed(2, "DeliveryFailed").await;

    assert_eq!(text(&failed, "/status/history/0/bakeStatus"), "Failed");
    let back = |k: &Value| text(k, VALUE) == "1.0.0" && ready(k);
    story.becomes("Kustomization", APPS, "1.0.0 is applied again", back).await;
    shows(&story, "1.0.0").await;

    // However often that happens: what we wrote ourselves is nobody's revert.
    for (attempt, tag) in [(3, "2.1.0-BROKEN"), (4, "2.2.0-BROKEN")] {
        story.push(tag).await;
        story.failed(attempt, "DeliveryFailed").await;
        story.becomes("Kustomization", APPS, "1.0.0 is applied again", back).await;
    }

    story.push("3.0.0").await;
    story.completed(5).await;
    shows(&story, "3.0.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// A Kustomization that has the variable itself in Git, of a parent that applies it.
async fn variable_in_git(title: &str) -> (Story, Controller, Value) {
    let story = Story::begin(title, 150).await;
    story.offer("1.1.0").await;
    let over = json!({"spec": {"postBuild": {"substitute": {VARIABLE: "1.0.0"}}}});
    let child = merged(bound(applied(&story, APPS)), &over);
    story.publish(APPS, "1.0.0", &shown()).await;
    let source = oci_repository(&story, APPS, json!({"tag": "1.0.0"}));
    story.publish("fleet", "1.0.0", &[source.clone(), child.clone()]).await;
    story.cluster.add(oci_repository(&story, "fleet", json!({"semver": "*"}))).await;
    story.cluster.add(applied(&story, "fleet")).await;
    story.applied("fleet", "1.0.0").await;
    shows(&story, "1.0.0").await;
    let before = story.cluster.get("Kustomization", APPS).await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;

    let message = story.held("SubstituteOwned").await;

    for word in ["kustomize-controller", "IfNotPresent", "spec.ignore", "Git"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    story.clock("clock").await;
    let after = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&after, VALUE), "1.0.0");
    let by_us = |entry: &&Value| text(entry, "/manager").starts_with("stairlock");
    assert_eq!(list(&after, "/metadata/managedFields").iter().find(by_us), None);
    assert!(version(&before) <= version(&after));
    (story, controller, child)
}

/// Waits until the release is delivered, and that the parent leaves it there.
async fn delivered_below_a_parent(story: &Story, artifact: &str) {
    story.completed(1).await;
    shows(story, "1.1.0").await;
    story.reconcile("Kustomization", "fleet", "once more").await;
    let again = |k: &Value| text(k, "/status/lastHandledReconcileAt") == "once more" && ready(k);
    story.becomes("Kustomization", "fleet", "it is applied once more", again).await;
    story.applied("fleet", artifact).await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "1.1.0");
}

#[tokio::test]
async fn a_variable_in_git_holds_until_it_is_left_out_of_git() {
    let (story, controller, child) = variable_in_git("gitvar").await;

    let source = oci_repository(&story, APPS, json!({"tag": "1.0.0"}));
    let without = merged(child, &json!({"spec": {"postBuild": {"substitute": {VARIABLE: null}}}}));
    story.publish("fleet", "1.1.0", &[source, without]).await;

    delivered_below_a_parent(&story, "1.1.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_variable_in_git_holds_until_its_parent_ignores_it() {
    let (story, controller, _) = variable_in_git("gitign").await;

    let ignore = json!({"spec": {"ignore": [{
        "paths": [VALUE], "target": {"kind": "Kustomization", "name": APPS}}]}});
    story.cluster.merge("Kustomization", "fleet", ignore).await;

    delivered_below_a_parent(&story, "1.0.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_value_is_put_back_from_a_person_and_not_fought_over_with_a_manager() {
    let (story, controller) = delivered("rival", 150).await;
    let ours = |k: &Value| text(k, VALUE) == "1.0.0";
    let older = json!({"spec": {"postBuild": {"substitute": {VARIABLE: "0.8.0"}}}});
    story.cluster.merge("Kustomization", APPS, older.clone()).await;
    story.becomes("Kustomization", APPS, "it is put back from a person", ours).await;
    let stands = |r: &Value| text(r, "/status/targets/0/value") == "1.0.0";
    let counted = |r: &Value| text(r, "/status/targets/0/revertedBy/0/manager") == "kubectl-edit";
    story.until("it is known to stand again", |r| stands(r) && counted(r)).await;

    // The second time it is what somebody wants, until it is set again.
    story.cluster.merge("Kustomization", APPS, older).await;
    let message = story.held("OwnershipConflict").await;
    assert!(message.starts_with("kubectl-edit ") && message.contains("wantedVersion"), "{message}");
    let newer = json!({"spec": {"postBuild": {"substitute": {VARIABLE: "1.0.0"}}}});
    story.cluster.merge("Kustomization", APPS, newer).await;
    let held = |r: &Value| holds(r).contains(&"OwnershipConflict");
    let free = |r: &Value| stands(r) && !counted(r) && !held(r);
    story.until("nobody holds it", free).await;

    story.substitute("rival", APPS, json!({VARIABLE: "0.9.0"})).await;
    let message = story.held("OwnershipConflict").await;

    assert!(message.contains("rival"), "{message}");
    let before = deliveries(&controller).len();
    story.clock("clock").await;
    assert_eq!(deliveries(&controller).len(), before);
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "0.9.0");

    // The other manager gives it up.
    story.substitute("rival", APPS, json!({})).await;
    story.becomes("Kustomization", APPS, "it is put back", ours).await;
    shows(&story, "1.0.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn of_three_tags_pushed_while_the_controller_is_down_the_newest_is_delivered() {
    let (story, controller) = delivered("down", 150).await;
    controller.kill();
    for tag in ["1.1.0", "1.3.0", "1.2.0"] {
        story.push(tag).await;
    }
    let newest = |policy: &Value| text(policy, "/status/latestRef/tag") == "1.3.0";
    story.becomes("ImagePolicy", SHOP, "the source offers 1.3.0", newest).await;

    controller.restart();
    let done = story.completed(2).await;

    assert_eq!(text(&done, "/status/history/0/release/tag"), "1.3.0");
    shows(&story, "1.3.0").await;
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(deliveries(&controller).len(), 2);
}

#[tokio::test]
async fn the_tag_of_an_artifact_follows_its_releases() {
    let story = Story::begin("artifact", 150).await;
    let text_of = |tag: &str| vec![config_map("versions", "shop", tag)];
    story.publish(SHOP, "1.0.0", &text_of("1.0.0")).await;
    story.cluster.add(image_repository(&story)).await;
    story.cluster.add(image_policy()).await;
    let binding = json!({"metadata": {"annotations": {"stairlock.dev/rollout": SHOP}}});
    let source = merged(oci_repository(&story, SHOP, json!({})), &binding);
    story.cluster.add(source).await;
    story.cluster.add(applied(&story, SHOP)).await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    shows(&story, "1.0.0").await;

    story.publish(SHOP, "1.1.0", &text_of("1.1.0")).await;
    story.reconcile("ImageRepository", SHOP, "1.1.0").await;
    story.completed(2).await;

    let source = story.cluster.get("OCIRepository", SHOP).await;
    assert_eq!(text(&source, "/spec/ref/tag"), "1.1.0");
    assert!(text(&source, "/status/artifact/revision").starts_with("1.1.0@sha256:"));
    shows(&story, "1.1.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_kustomization_waits_for_the_very_rollout_that_feeds_it() {
    let story = Story::begin("itself", 150).await;
    story.offer("1.0.0").await;
    let steps = json!([{"setWeight": 50, "pause": {}}, {"setWeight": 100}]);
    let fed = sourced(rollout(&story, "${SHOP_VERSION:=1.0.0}", steps));
    let fed = merged(fed, &json!({"spec": {"readyWhen": "Completed"}}));
    staged(&story, &[fed], bound(applied(&story, APPS))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.becomes("Kustomization", APPS, "the first release stands", ready).await;

    story.push("1.1.0").await;
    story.paused(2, 1).await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "1.1.0");
    assert!(!ready(&apps), "it waits for the ladder: {apps}");
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;

    let stands = |k: &Value| text(k, VALUE) == "1.1.0" && ready(k);
    story.becomes("Kustomization", APPS, "it is ready with the ladder", stands).await;
    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
    let rollouts = story.cluster.all("Rollout").await;
    assert_eq!(rollouts.iter().map(name).collect::<Vec<_>>(), [SHOP]);
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// How many releases each of two Rollouts makes at the same time.
const ROUNDS: u64 = 100;

/// Releases one version after the other, each as soon as the one before is in the variable.
async fn releases(story: &Story, of: &str, value: &str) {
    let watch = story.watch("Kustomization").await;
    let first = format!("{}:1.0.0", story.repository_of(of));
    // Slower than what the judge takes for a controller that spins: 600 writes in a minute.
    let mut pace = tokio::time::interval(Duration::from_millis(1500));
    for round in 1..=ROUNDS {
        pace.tick().await;
        let tag = format!("1.0.{round}");
        rig().crane("tag", &[&first, &tag]).await;
        story.reconcile("ImageRepository", of, &tag).await;
        let what = format!("{}: {of} {tag} is delivered", story.namespace());
        watch.until(story.end, &what, |seen| text(&seen.object, value) == tag).await;
    }
}

#[tokio::test]
async fn two_rollouts_never_touch_each_others_variable_in_200_releases() {
    let story = Story::begin("two", 540).await;
    let names = [SHOP, "cart"];
    let mut kustomization = applied(&story, APPS);
    for name in names {
        kustomization = bound_to(kustomization, name);
        story.push_of(name, "1.0.0").await;
        for object in sources_of(&story, name) {
            story.cluster.add(object).await;
        }
        story.cluster.add(delivering(name)).await;
    }
    staged(&story, &shown(), kustomization).await;
    let apps = story.watch("Kustomization").await;
    let controller = story.controller().await;
    for name in names {
        story.completed_of(name, 1).await;
    }

    let [shop, cart] =
        names.map(|name| format!("/spec/postBuild/substitute/{}", variable_of(name)));
    tokio::join!(releases(&story, SHOP, &shop), releases(&story, "cart", &cart));

    let last = format!("1.0.{ROUNDS}");
    let both = |seen: &Seen| [&shop, &cart].iter().all(|value| text(&seen.object, value) == last);
    apps.until(story.end, "both last values are there", both).await;
    for value in [&shop, &cart] {
        let states = apps.states(APPS);
        let mut values: Vec<&str> = states.iter().map(|state| text(state, value)).collect();
        values.dedup();
        values.retain(|value| !value.is_empty());
        let all: Vec<String> = (0..=ROUNDS).map(|round| format!("1.0.{round}")).collect();
        assert_eq!(values, all, "each value once, in order, and never another");
    }
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn while_a_rollout_of_kuberik_lives_its_bindings_are_its_own() {
    let story = Story::begin("kuberik", 150).await;
    story.offer("1.0.0").await;
    story.kuberik().await;
    staged(&story, &shown(), bound_as_kuberik(applied(&story, APPS))).await;
    shows(&story, "0.0.0").await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;

    let message = story.held("DuplicateBinding").await;

    assert!(message.contains("kuberik"), "{message}");
    story.clock("clock").await;
    assert_eq!(deliveries(&controller), [""; 0]);

    story.kuberik_goes().await;
    story.completed(1).await;
    shows(&story, "1.0.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}
