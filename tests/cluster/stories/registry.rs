//! Releases that a registry offers by itself: no object of Flux is there.

use serde_json::{Value, json};

use crate::stories::digest::{push, push_with};
use crate::support::json::{condition, list, merged, text};
use crate::support::shop::{image_policy, image_repository, imageless, quick, rollout, sourced};
use crate::support::story::{SHOP, Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// The shop at a tag, which follows its repository in the rig's registry.
pub fn following(story: &Story, tag: &str, over: &Value) -> Value {
    let registry = json!({"image": story.repository(), "insecure": true, "interval": "30s"});
    let follows = json!({"spec": {"registry": registry}});
    merged(merged(rollout(story, tag, quick()), &follows), over)
}

/// Why the registry is not listed, as the condition says; empty where it is.
pub fn reason(rollout: &Value) -> &str {
    let mut all = list(rollout, "/status/conditions").iter();
    let said = all.find(|condition| text(condition, "/type") == "RegistryUnreadable");
    said.map_or("", |said| text(said, "/reason"))
}

/// The tags that status lists in a field.
pub fn tags<'a>(rollout: &'a Value, field: &str) -> Vec<&'a str> {
    list(rollout, field).iter().map(|known| text(known, "/tag")).collect()
}

#[tokio::test]
async fn a_pushed_tag_climbs_without_flux() {
    let story = Story::begin("pushed", 150).await;
    story.push("1.0.0").await;
    story.push("0.9.0").await;
    story.cluster.add(following(&story, "1.0.0", &json!({}))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let known = |r: &Value| tags(r, "/status/availableReleases") == ["0.9.0", "1.0.0"];
    story.until("the registry is listed", known).await;

    for prerelease in ["2.0.0-rc.1", "2.1.0-beta.1", "2.1.0-rc1"] {
        story.push(prerelease).await;
    }
    story.push("1.1.0").await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"), "no prerelease by itself");
    assert_eq!(condition(&done, "RegistryUnreadable"), "");

    let more = json!({"spec": {"prereleases": {"enabled": true, "allow": ["rc"]}}});
    story.cluster.merge("Rollout", SHOP, more).await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("2.0.0-rc.1"), "none but what is allowed");
    let any = json!({"spec": {"prereleases": {"allow": null}}});
    story.cluster.merge("Rollout", SHOP, any).await;
    let done = story.completed(4).await;
    assert_eq!(text(&done, IMAGE), story.image("2.1.0-rc1"), "any is a version like others");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_tag_that_is_pushed_again_climbs_without_flux_where_its_digest_is_required() {
    let story = Story::begin("repushed", 180).await;
    story.push("1.0.0").await;
    story.cluster.add(following(&story, "1.0.0", &json!({}))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let known = |r: &Value| text(r, "/status/stable/release/digest").starts_with("sha256:");
    let told = story.until("its digest is known", known).await;
    let first = text(&told, "/status/stable/release/digest").to_owned();
    assert_eq!(text(&told, IMAGE), story.image("1.0.0"), "and stays out of the template");

    let required = json!({"spec": {"requireDigest": true}});
    story.cluster.merge("Rollout", SHOP, required).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), format!("{}@{first}", story.image("1.0.0")));
    push(&story, "1.0.0", "two").await;
    let done = story.completed(3).await;
    let second = text(&done, "/status/stable/release/digest");
    assert_ne!(second, first, "another image of the same version");
    assert_eq!(text(&done, IMAGE), format!("{}@{second}", story.image("1.0.0")));
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn the_labels_of_an_image_are_told_where_it_has_no_annotations() {
    let story = Story::begin("labels", 150).await;
    // A label as `docker build --label` lays it on.
    let label = "org.opencontainers.image.revision=labelled";
    push_with(&story, "1.0.0", &["-l", label, "-a", "other=x"]).await;
    story.cluster.add(following(&story, "1.0.0", &json!({}))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let known = |r: &Value| text(r, "/status/stable/release/revision") == "labelled";
    let told = story.until("its label is told", known).await;
    assert_eq!(text(&told, "/status/availableReleases/0/revision"), "labelled");

    let label = "org.opencontainers.image.title=labelled";
    let annotation = "org.opencontainers.image.revision=annotated";
    push_with(&story, "1.1.0", &["-l", label, "-a", annotation]).await;
    story.completed(2).await;
    let known = |r: &Value| text(r, "/status/stable/release/revision") == "annotated";
    let told = story.until("its annotation is told", known).await;
    assert_eq!(text(&told, "/status/title"), "", "and no label beside it");
    assert_eq!(text(&told, "/status/history/1/release/revision"), "labelled");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn the_newest_of_what_was_pushed_while_nobody_looked_is_taken() {
    let story = Story::begin("missed", 120).await;
    story.push("1.0.0").await;
    let over = json!({"spec": {"semver": "<2.0.0-0"}});
    story.cluster.add(following(&story, "1.0.0", &over)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let known = |r: &Value| tags(r, "/status/availableReleases") == ["1.0.0"];
    story.until("the registry is listed", known).await;

    controller.kill();
    for tag in ["1.2.0", "2.0.0", "1.1.0"] {
        story.push(tag).await;
    }
    controller.restart();

    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0"));
    assert_eq!(list(&done, "/status/history").len(), 2, "none of those in between");
    let all = |r: &Value| tags(r, "/status/availableReleases") == ["1.0.0", "1.1.0", "1.2.0"];
    story.until("all in the range are known", all).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn what_keeps_a_registry_from_being_listed_is_told_until_it_is_gone() {
    let story = Story::begin("unlisted", 180).await;
    let config = json!({"auths": {}}).to_string();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config}});
    story.cluster.add(secret).await;
    let private = json!({"spec": {"container": "app",
        "registry": {"secretRef": {"name": "pull"}}}});
    story.cluster.add(imageless(following(&story, "any", &private))).await;
    let controller = story.controller().await;
    let held = story.until("a Role is missing", |r| reason(r) == "Forbidden").await;
    assert!(held.to_string().contains("grant its service account get on it by a Role"), "{held}");
    let message = story.held("SourceNotReady").await;
    assert!(message.starts_with(&format!("registry {}", story.repository())), "{message}");

    let account = "--serviceaccount=stairlock-system:stairlock";
    let role = ["create", "role", "pull", "--verb=get", "--resource=secrets"];
    story.kubectl(&[&role[..], &["--resource-name=pull"]].concat()).await;
    story.kubectl(&["create", "rolebinding", "pull", "--role=pull", account]).await;
    story.until("the repository is missing", |r| reason(r) == "RegistryFault").await;
    story.push("1.0.0").await;

    let done = story.until("it is listed", |r| attempt_is(r, 1) && reason(r).is_empty()).await;
    assert_eq!(text(&done, "/status/attempt/release/tag"), "1.0.0");
    let done = story.completed(1).await;
    assert_eq!(text(&done, IMAGE), story.image("1.0.0"));
    let secrets = |line: &String| line.contains("/secrets/pull");
    assert!(controller.forbidden().iter().all(secrets), "{:?}", controller.forbidden());
}

#[tokio::test]
async fn a_repository_of_another_namespace_is_listed_where_it_and_the_flag_let_in() {
    let mut story = Story::begin("abroad", 150).await;
    let other = Story::begin("images", 150).await;
    story.beside(&other);
    for tag in ["1.0.0", "1.0.5", "1.1.0"] {
        story.push(tag).await;
    }
    let own = json!({"kubernetes.io/metadata.name": story.namespace()});
    let access = json!({"spec": {"accessFrom": {"namespaceSelectors": [{"matchLabels": own}]}}});
    other.cluster.add(merged(image_repository(&story), &access)).await;
    let there = json!({"name": SHOP, "namespace": other.namespace()});
    let named = json!({"spec": {"imageRepositoryRef": there}});
    story.cluster.add(merged(image_policy(), &named)).await;
    story.cluster.add(sourced(rollout(&story, "1.1.0", quick()))).await;
    let controller = story.controller().await;
    let told = story.until("the flag is missing", |r| reason(r) == "AccessDenied").await;
    assert_eq!(tags(&told, "/status/availableReleases"), ["1.1.0"], "what the policy shows");
    controller.kill();

    let flag = format!("--allow-cross-namespace-refs={}", other.namespace());
    let controller = story.controller_with(&[&flag]).await;
    let known = |r: &Value| tags(r, "/status/availableReleases") == ["1.0.0", "1.0.5", "1.1.0"];
    let listed = story.until("the registry is listed", known).await;
    assert_eq!(reason(&listed), "");
    assert_eq!(controller.forbidden(), [""; 0]);
}
