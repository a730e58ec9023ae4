//! Releases arrive as tags: what is taken, and what is not.

use serde_json::{Value, json};

use crate::support::controller::Controller;
use crate::support::json::{condition, holds, list, merged, number, text};
use crate::support::ladder::sequence;
use crate::support::rig::{rig, succeeded};
use crate::support::shop::{
    image_policy, image_repository, imageless, quick, rollout, routed, sourced,
};
use crate::support::shop::{kustomization, named, route};
use crate::support::story::{SHOP, Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

#[tokio::test]
async fn a_tag_climbs_the_steps_to_full_traffic() {
    let story = Story::begin("tag", 60).await;
    story.offer("1.0.0").await;
    let steps = json!([{"setWeight": 20, "pause": {"duration": "100ms"}}, {"setWeight": 50},
        {"setWeight": 100}]);
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", steps))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;

    story.push("1.1.0").await;
    let done = story.completed(2).await;

    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"));
    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
    assert_eq!(text(&done, "/status/history/0/outcome"), "Completed");
    assert_eq!(text(&done, "/status/history/0/trigger"), "Release");
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(condition(&done, "Ready"), "True");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn the_first_release_fills_an_image_that_the_template_lacks() {
    let story = Story::begin("first", 60).await;
    let rollout = merged(
        sourced(imageless(rollout(&story, "any", quick()))),
        &json!({"spec": {"container": "app"}}),
    );
    story.cluster.add(rollout).await;
    let _controller = story.controller().await;
    story.until("held without a source", |r| condition(r, "Completed") != "True").await;

    story.offer("1.0.0").await;

    let done = story.completed(1).await;
    assert_eq!(text(&done, IMAGE), story.image("1.0.0"));
}

/// An OCIRepository, and the status of one that copied a tag.
pub fn artifact(tag: &str) -> (Value, Value) {
    let object = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": SHOP},
        "spec": {"interval": "1h", "suspend": true, "url": "oci://registry.example/manifests/shop",
            "ref": {"semver": "*"}},
    });
    (object, copied(tag))
}

/// The status of an OCIRepository that copied a tag.
pub fn copied(tag: &str) -> Value {
    let digest = format!("sha256:{}", "a".repeat(64));
    json!({"status": {
        "observedGeneration": 1,
        "artifact": {"revision": format!("{tag}@{digest}"), "digest": digest, "path": "a",
            "url": "http://source.example/a", "lastUpdateTime": "2026-01-02T03:04:05Z"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
            "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 1}],
    }})
}

#[tokio::test]
async fn the_tag_of_an_artifact_is_the_tag_of_the_image() {
    let story = Story::begin("artifact", 60).await;
    let (object, status) = artifact("1.0.0");
    story.cluster.add(object).await;
    story.cluster.merge_status("OCIRepository", SHOP, status).await;
    let follows = json!({"spec": {"sourceRef": {"kind": "OCIRepository", "name": SHOP}}});
    story.cluster.add(merged(rollout(&story, "1.0.0", quick()), &follows)).await;
    let controller = story.controller().await;
    story.completed(1).await;

    story.cluster.merge_status("OCIRepository", SHOP, copied("1.1.0")).await;

    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"), "without the digest of the artifact");
    let bound = json!({"metadata": {"annotations": {"stairlock.dev/rollout": SHOP}}});
    story.cluster.merge("OCIRepository", SHOP, bound).await;
    let message = story.held("SelfReference").await;
    assert!(message.contains("remove the annotation"), "{message}");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_variable_of_a_kustomization_tells_the_version() {
    let story = Story::begin("variable", 60).await;
    let with = |version: &str| {
        let substitute = json!({"SHOP_VERSION": version});
        json!({"spec": {"suspend": true, "postBuild": {"substitute": substitute}}})
    };
    story.cluster.add(merged(kustomization("Rollout", &[]), &with("1.0.0"))).await;
    let source = json!({"kind": "Kustomization", "name": "apps", "substitute": "SHOP_VERSION"});
    let follows = json!({"spec": {"sourceRef": source}});
    story.cluster.add(merged(rollout(&story, "1.0.0", quick()), &follows)).await;
    let controller = story.controller().await;
    let applied = |generation: i64| {
        json!({"status": {"observedGeneration": generation,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Applied", "message": "",
                "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": generation}]}})
    };
    story.cluster.merge_status("Kustomization", "apps", applied(1)).await;
    story.completed(1).await;

    story.cluster.merge("Kustomization", "apps", with("1.1.0")).await;
    let message = story.held("SourceNotReady").await;
    assert!(message.contains("Kustomization"), "{message}");
    story.cluster.merge_status("Kustomization", "apps", applied(2)).await;

    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"));
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// A shop that runs 1.1.0, and two older releases that only the registry knows.
pub async fn listed(title: &str, seconds: u64) -> (Story, Controller, Value) {
    let story = Story::begin(title, seconds).await;
    story.push("1.0.0").await;
    story.push("1.0.5").await;
    story.offer("1.1.0").await;
    story.cluster.add(sourced(rollout(&story, "1.1.0", quick()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let lists = |r: &Value| list(r, "/status/availableReleases").len() == 3;
    let listed = story.until("the registry is listed", lists).await;
    (story, controller, listed)
}

#[tokio::test]
async fn a_version_that_only_the_registry_knows_can_be_wanted() {
    let (story, controller, listed) = listed("listed", 90).await;
    let tags = list(&listed, "/status/availableReleases").iter().map(|known| text(known, "/tag"));
    assert_eq!(tags.collect::<Vec<_>>(), ["1.0.0", "1.0.5", "1.1.0"]);

    let wanted = json!({"spec": {"wantedVersion": "1.0.5"}});
    story.cluster.merge("Rollout", SHOP, wanted).await;

    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.0.5"));
    assert_eq!(text(&done, "/status/releaseCandidates/0/tag"), "1.1.0");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn what_is_out_of_the_range_is_held_until_the_registry_has_one_within_it() {
    let story = Story::begin("ranged", 120).await;
    story.push("1.0.0").await;
    story.offer("2.0.0").await;
    let within = json!({"spec": {"semver": ">=1.1.0 <2.0.0"}});
    story.cluster.add(merged(sourced(rollout(&story, "1.0.0", quick())), &within)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let message = story.held("OutOfRange").await;
    assert!(message.contains("2.0.0") && message.contains("<2.0.0"), "{message}");

    // Below what the policy shows: only the registry tells of them.
    story.push_of(SHOP, "1.1.0").await;
    story.push_of(SHOP, "1.2.0").await;
    story.push("2.1.0").await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0"));
    assert!(!holds(&done).contains(&"OutOfRange"), "{done}");
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"semver": ">=1.1.0"}})).await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("2.1.0"));
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_secret_that_no_role_grants_leaves_what_the_policy_shows() {
    let story = Story::begin("secret", 90).await;
    story.push("1.0.0").await;
    let config = json!({"auths": {}}).to_string();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config}});
    story.cluster.add(secret).await;
    let private = json!({"spec": {"secretRef": {"name": "pull"}}});
    story.cluster.add(merged(image_repository(&story), &private)).await;
    story.cluster.add(image_policy()).await;
    story.cluster.add(sourced(rollout(&story, "0.9.0", quick()))).await;
    let _controller = story.controller().await;

    let told = |r: &Value| condition(r, "RegistryUnreadable") == "True";
    let unread = story.until("it is told", told).await;
    let all = list(&unread, "/status/conditions");
    let said = all.iter().find(|c| text(c, "/type") == "RegistryUnreadable").unwrap();
    assert_eq!(text(said, "/reason"), "Forbidden");
    assert!(text(said, "/message").contains("Secret"), "{said}");
    let done = story.until("what is shown is taken", |r| attempt_is(r, 2)).await;
    assert_eq!(text(&done, "/status/attempt/release/tag"), "1.0.0");
}

#[tokio::test]
async fn an_older_release_is_never_taken() {
    let story = Story::begin("older", 60).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "2.0.0", quick()))).await;
    let controller = story.controller().await;

    let message = story.held("OlderRelease").await;

    assert!(message.contains("1.0.0") && message.contains("2.0.0"), "{message}");
    let done = story.completed(1).await;
    assert_eq!(text(&done, IMAGE), story.image("2.0.0"));
    assert_eq!(edits(&controller.proxy.calls()), 0);
}

#[tokio::test]
async fn a_digest_in_latest_ref_is_pinned() {
    let story = Story::begin("digest", 60).await;
    story.push("1.0.0").await;
    story.cluster.add(image_repository(&story)).await;
    let reflected = json!({"spec": {"digestReflectionPolicy": "IfNotPresent"}});
    story.cluster.add(merged(image_policy(), &reflected)).await;
    story.cluster.add(sourced(rollout(&story, "0.9.0", quick()))).await;
    let _controller = story.controller().await;

    let done = story.completed(2).await;

    let policy = story.cluster.get("ImagePolicy", SHOP).await;
    let digest = text(&policy, "/status/latestRef/digest");
    assert!(digest.starts_with("sha256:"), "{digest}");
    assert_eq!(text(&done, IMAGE), format!("{}@{digest}", story.image("1.0.0")));
    assert_eq!(text(&done, "/status/stable/release/digest"), digest);
}

#[tokio::test]
async fn an_image_of_another_repository_is_not_taken() {
    let story = Story::begin("mismatch", 60).await;
    story.offer("1.0.0").await;
    let other = named(SHOP, "registry.example/other:1.0.0", quick());
    story.cluster.add(sourced(other)).await;
    let controller = story.controller().await;

    let message = story.held("ImageMismatch").await;

    assert!(message.contains("registry.example/other"), "{message}");
    assert!(message.contains(&story.repository()), "{message}");
    assert_eq!(edits(&controller.proxy.calls()), 0);
}

#[tokio::test]
async fn an_image_set_by_hand_climbs_and_stays_until_a_newer_release() {
    let story = Story::begin("pin", 90).await;
    story.push("1.0.5").await;
    story.offer("1.1.0").await;
    story.cluster.add(sourced(rollout(&story, "1.1.0", quick()))).await;
    let _controller = story.controller().await;
    story.completed(1).await;

    story.set_image(&story.image("1.0.5")).await;
    let pinned = story.completed(2).await;
    assert_eq!(text(&pinned, "/status/stable/release/version"), "1.0.5");
    assert_eq!(text(&pinned, "/status/pin/image"), story.image("1.0.5"));
    let message = story.held("ManualImage").await;
    assert!(message.contains("retry"), "{message}");

    story.push("1.2.0").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, "/status/stable/release/version"), "1.2.0");
    assert_eq!(done.pointer("/status/pin"), None);
}

#[tokio::test]
async fn the_command_retry_ends_a_pin() {
    let story = Story::begin("unpin", 90).await;
    story.offer("1.1.0").await;
    story.cluster.add(sourced(rollout(&story, "1.1.0", quick()))).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.0.5")).await;
    story.held("ManualImage").await;
    story.completed(2).await;

    story.command("stairlock.dev/retry", "true").await;

    let done = story.completed(3).await;
    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
}

#[tokio::test]
async fn a_file_without_image_applied_again_mid_ladder_does_not_disturb_it() {
    let story = Story::begin("apply", 90).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    let steps = json!([{"setWeight": 20, "pause": {}}, {"setWeight": 100}]);
    let file = imageless(sourced(routed(&story, "any", steps)));
    let file = merged(file, &json!({"spec": {"container": "app"}})).to_string();
    apply_client_side(&story, &file).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.push("1.1.0").await;
    story.paused(2, 1).await;

    apply_client_side(&story, &file).await;
    story.until("the image is gone", |r| text(r, IMAGE).is_empty()).await;
    let back = story.until("the image is back", |r| !text(r, IMAGE).is_empty()).await;
    assert_eq!(text(&back, IMAGE), story.image("1.1.0"));
    let seen = "the new generation is seen at the same place";
    let same = |r: &Value| {
        let generation = number(r, "/metadata/generation");
        attempt_is(r, 2)
            && number(r, "/status/observedGeneration") == generation
            && number(r, "/status/attempt/step") == 1
            && text(r, "/status/phase") == "Paused"
    };
    story.until(seen, same).await;

    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;
    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (0, 100), (100, 0)]);
    assert_eq!(list(&done, "/status/history").len(), 2);
}

#[tokio::test]
async fn a_source_of_another_namespace_is_denied() {
    let story = Story::begin("denied", 60).await;
    let controller = story.controller().await;
    story.cluster.add(abroad(&story, "flux-system")).await;

    let message = story.held("AccessDenied").await;

    assert!(message.contains("--allow-cross-namespace-refs"), "{message}");
    let calls = controller.proxy.calls();
    let abroad = calls.iter().find(|call| call.path.contains("/namespaces/flux-system/image"));
    assert!(abroad.is_none(), "{abroad:?}");
}

#[tokio::test]
async fn a_source_of_another_namespace_is_read_where_that_is_allowed() {
    let mut story = Story::begin("allowed", 60).await;
    let other = Story::begin("flux", 60).await;
    story.beside(&other);
    other.offer("1.1.0").await;
    let flag = format!("--allow-cross-namespace-refs={}", other.namespace());
    let controller = story.controller_with(&[&flag]).await;
    let image = other.image("1.0.0");
    let rollout = named(SHOP, &image, quick());
    let over = json!({"spec": {"sourceRef": {"kind": "ImagePolicy", "name": SHOP,
        "namespace": other.namespace()}}});
    story.cluster.add(merged(rollout, &over)).await;

    let done = story.completed(2).await;

    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// A Rollout whose source is in another namespace.
fn abroad(story: &Story, namespace: &str) -> Value {
    let over = json!({"spec": {"sourceRef": {"kind": "ImagePolicy", "name": SHOP,
        "namespace": namespace}}});
    merged(rollout(story, "1.0.0", quick()), &over)
}

/// How often the Rollout itself, and not its status, was written.
fn edits(calls: &[crate::support::proxy::Call]) -> usize {
    let ours = calls.iter().filter(|call| call.mutates() && call.path.contains("/rollouts/"));
    let ours = ours.filter(|call| !call.path.ends_with("/status"));
    ours.filter(|call| call.body.to_string().contains("image")).count()
}

async fn apply_client_side(story: &Story, file: &str) {
    let args = ["-n", story.namespace(), "apply", "-f", "-"];
    succeeded("kubectl apply", rig().kubectl_with(&args, file).await);
}
