//! Who may write a bound field: what outranks it, who owns it, and whose namespace it is in.

use serde_json::{Value, json};

use crate::stories::delivery::{deliveries, shows, staged};
use crate::support::controller::Controller;
use crate::support::flux::{APPS, VARIABLE, applied, config_map, delivering, oci_repository};
use crate::support::flux::{ready, shown};
use crate::support::json::{hold_message, merged, text};
use crate::support::shop::{image_policy, image_repository, named};
use crate::support::story::{SHOP, Story, attempt_is, completed};

const TAG: &str = "/spec/ref/tag";

/// Two artifacts of the shop, the newer of which is offered.
async fn artifacts(title: &str) -> Story {
    let story = Story::begin(title, 150).await;
    for tag in ["1.0.0", "1.1.0"] {
        story.publish(SHOP, tag, &[config_map("versions", "shop", tag)]).await;
    }
    story.cluster.add(image_repository(&story)).await;
    story.cluster.add(image_policy()).await;
    story
}

/// An OCIRepository that takes its tag from the shop.
fn target(story: &Story, reference: Value) -> Value {
    let binding = json!({"metadata": {"annotations": {"stairlock.dev/rollout": SHOP}}});
    merged(oci_repository(story, SHOP, reference), &binding)
}

/// Waits until the shop is held by a word that is about the artifact, and says so.
async fn held(story: &Story, code: &str, words: &[&str]) {
    let told = |r: &Value| words.iter().all(|word| hold_message(r, code).contains(word));
    story.until(&format!("held by {code}: {words:?}"), told).await;
}

/// Waits until the newer artifact is delivered and applied.
async fn arrives(story: &Story, controller: &Controller) {
    story.completed(1).await;
    shows(story, "1.1.0").await;
    let source = story.cluster.get("OCIRepository", SHOP).await;
    assert_eq!(text(&source, TAG), "1.1.0");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn what_outranks_a_tag_is_named_until_it_is_removed() {
    let story = artifacts("outranked").await;
    story.cluster.add(target(&story, json!({"semver": "<1.1.0"}))).await;
    story.cluster.add(applied(&story, SHOP)).await;
    let old = story.applied(SHOP, "1.0.0").await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;

    held(&story, "RefPrecedence", &["spec.ref.semver", "remove it"]).await;
    let revision = text(&old, "/status/lastAppliedRevision");
    let (_, digest) = revision.split_once('@').unwrap();
    let pinned = json!({"spec": {"ref": {"semver": null, "digest": digest}}});
    story.cluster.merge("OCIRepository", SHOP, pinned).await;
    held(&story, "RefPrecedence", &["spec.ref.digest", "remove it"]).await;
    story.clock("clock").await;
    assert_eq!(deliveries(&controller), [""; 0]);
    shows(&story, "1.0.0").await;

    let free = json!({"spec": {"ref": {"digest": null}}});
    story.cluster.merge("OCIRepository", SHOP, free).await;
    arrives(&story, &controller).await;
}

#[tokio::test]
async fn a_tag_that_another_manager_has_is_left_until_that_gives_it_up() {
    let story = artifacts("tagged").await;
    let owned = target(&story, json!({"tag": "1.0.0"}));
    story.cluster.apply("rival", owned.clone()).await;
    story.cluster.add(applied(&story, SHOP)).await;
    story.applied(SHOP, "1.0.0").await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;

    held(&story, "RefOwned", &["rival", "leave the field out of Git"]).await;
    story.clock("clock").await;
    assert_eq!(deliveries(&controller), [""; 0]);
    shows(&story, "1.0.0").await;

    let without = merged(owned, &json!({"spec": {"ref": null}}));
    story.cluster.apply("rival", without).await;
    arrives(&story, &controller).await;
}

/// An OCIRepository whose tag a parent has in Git: held, and untouched.
async fn tag_in_git(title: &str) -> (Story, Controller, Value) {
    let story = artifacts(title).await;
    let child = target(&story, json!({"tag": "1.0.0"}));
    story.publish("fleet", "1.0.0", &[child.clone(), applied(&story, SHOP)]).await;
    story.cluster.add(oci_repository(&story, "fleet", json!({"semver": "*"}))).await;
    story.cluster.add(applied(&story, "fleet")).await;
    story.applied("fleet", "1.0.0").await;
    shows(&story, "1.0.0").await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;

    let remedy = "in Git and in the cluster kustomize.toolkit.fluxcd.io/ssa: IfNotPresent";
    held(&story, "RefOwned", &["kustomize-controller", remedy, "/spec/ref/tag"]).await;
    story.clock("clock").await;
    assert_eq!(deliveries(&controller), [""; 0]);
    (story, controller, child)
}

/// Waits until the newer artifact is there, and that the parent leaves it.
async fn stays(story: &Story, controller: &Controller) {
    arrives(story, controller).await;
    story.reconcile("Kustomization", "fleet", "once more").await;
    let again = |k: &Value| text(k, "/status/lastHandledReconcileAt") == "once more" && ready(k);
    story.becomes("Kustomization", "fleet", "it is applied once more", again).await;
    let source = story.cluster.get("OCIRepository", SHOP).await;
    assert_eq!(text(&source, TAG), "1.1.0", "its parent leaves it there");
}

#[tokio::test]
async fn a_tag_in_git_is_left_until_the_object_is_annotated() {
    let (story, controller, child) = tag_in_git("tagssa").await;
    let left = json!({"metadata": {"annotations": {
        "kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}}});
    // Flux looks at what is in Git alone, and Stairlock at what is in the cluster.
    let annotated = merged(child, &left);
    story.publish("fleet", "1.1.0", &[annotated, applied(&story, SHOP)]).await;
    story.applied("fleet", "1.1.0").await;
    story.cluster.merge("OCIRepository", SHOP, left).await;
    stays(&story, &controller).await;
}

#[tokio::test]
async fn a_tag_in_git_is_left_until_its_parent_ignores_it() {
    let (story, controller, _) = tag_in_git("tagign").await;
    let ignore = json!({"spec": {"ignore": [{
        "paths": [TAG], "target": {"kind": "OCIRepository", "name": SHOP}}]}});
    story.cluster.merge("Kustomization", "fleet", ignore).await;
    stays(&story, &controller).await;
}

#[tokio::test]
async fn a_tag_whose_artifact_comes_later_is_waited_for() {
    let story = artifacts("lateartifact").await;
    story.cluster.add(target(&story, json!({"tag": "1.0.0"}))).await;
    story.cluster.add(applied(&story, SHOP)).await;
    // Its images are those of another repository.
    for tag in ["1.1.0", "1.2.0"] {
        story.push_of("images", tag).await;
    }
    let images = json!({"spec": {"image": story.repository_of("images")}});
    story.cluster.merge("ImageRepository", SHOP, images).await;
    let offered = |policy: &Value| text(policy, "/status/latestRef/tag") == "1.2.0";
    story.becomes("ImagePolicy", SHOP, "1.2.0 is offered", offered).await;
    story.cluster.add(delivering(SHOP)).await;
    let controller = story.controller().await;

    held(&story, "AwaitingDelivery", &["OCIRepository", "1.2.0"]).await;
    shows(&story, "1.0.0").await;
    story.publish(SHOP, "1.2.0", &[config_map("versions", "shop", "1.2.0")]).await;
    story.completed(1).await;
    shows(&story, "1.2.0").await;
    assert_eq!(deliveries(&controller).len(), 1);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn an_object_of_another_namespace_is_written_only_where_that_is_allowed() {
    let mut story = Story::begin("bindfar", 150).await;
    let other = Story::begin("flux", 150).await;
    story.beside(&other);
    story.offer("1.0.0").await;
    let key = format!("stairlock.dev/substitute.{VARIABLE}.from");
    let far = json!({"metadata": {"annotations": {key: format!("{}/{SHOP}", story.namespace())}}});
    staged(&other, &shown(), merged(applied(&other, APPS), &far)).await;
    shows(&other, "0.0.0").await;
    story.cluster.add(story.labelled(delivering(SHOP))).await;
    let controller = story.controller_of_all(&[]).await;

    let place = format!("Kustomization {}/{APPS}", other.namespace());
    held(&story, "AccessDenied", &[&place, "--allow-cross-namespace-refs"]).await;
    let steps = json!([{"setWeight": 100}]);
    let clock = named("clock", "registry.example/clock:1.0.0", steps);
    story.cluster.add(story.labelled(clock)).await;
    story.completed_of("clock", 1).await;
    assert_eq!(deliveries(&controller), [""; 0]);
    controller.kill();

    // One of this namespace sees the other one too, then.
    let flag = format!("--allow-cross-namespace-refs={}", other.namespace());
    let controller = story.controller_with(&[&flag]).await;
    story.completed(1).await;
    shows(&other, "1.0.0").await;
    assert_eq!(deliveries(&controller).len(), 1);
    assert_eq!(controller.forbidden(), [""; 0]);
    controller.kill();

    let controller = story.controller_of_all(&[&flag]).await;
    story.push("1.1.0").await;
    story.completed(2).await;
    shows(&other, "1.1.0").await;
    assert_eq!(deliveries(&controller).len(), 1);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_version_of_another_namespace_is_followed_only_where_that_is_allowed() {
    let mut story = Story::begin("followfar", 150).await;
    let other = Story::begin("flux", 150).await;
    story.beside(&other);
    staged(&other, &shown(), applied(&other, APPS)).await;
    other.applied(APPS, "1.0.0").await;
    for (name, kind) in [(SHOP, "OCIRepository"), ("cart", "Kustomization")] {
        let there = json!({"kind": kind, "name": APPS, "namespace": other.namespace()});
        let image = format!("{}:0.9.0", story.repository_of(name));
        let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
        let follows = merged(named(name, &image, steps), &json!({"spec": {"sourceRef": there}}));
        story.cluster.add(follows).await;
    }
    let controller = story.controller().await;
    for name in [SHOP, "cart"] {
        let held = |r: &Value| {
            let message = hold_message(r, "AccessDenied");
            message.contains("--allow-cross-namespace-refs")
        };
        story.becomes("Rollout", name, "its source is far", held).await;
    }
    controller.kill();

    let flag = format!("--allow-cross-namespace-refs={}", other.namespace());
    let controller = story.controller_with(&[&flag]).await;
    for name in [SHOP, "cart"] {
        let taken = |r: &Value| attempt_is(r, 2) && completed(r);
        let done = story.becomes("Rollout", name, "the version is taken", taken).await;
        assert_eq!(text(&done, "/status/stable/release/version"), "1.0.0");
    }
    assert_eq!(controller.forbidden(), [""; 0]);
}
