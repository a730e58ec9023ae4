//! What is behind tags: digests and annotations, tags that are pushed again, required digests.

use serde_json::{Value, json};

use crate::stories::source::{artifact, copied};
use crate::support::json::{condition, hold_message, holds, list, merged, number, text};
use crate::support::rig::rig;
use crate::support::shop::{image_policy, image_repository, quick, rollout, sourced};
use crate::support::story::{REQUESTED_AT, SHOP, Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// Pushes an image of the shop on which crane lays annotations (`-a`) and labels (`-l`).
pub async fn push_with(story: &Story, tag: &str, flags: &[&str]) {
    // A tag is never seen without them: they are laid on elsewhere.
    story.push_of("draft", tag).await;
    let (draft, image) = (format!("{}:{tag}", story.repository_of("draft")), story.image(tag));
    rig().crane("mutate", &[&[&draft, "-t", &image], flags].concat()).await;
}

/// Pushes an image of the shop with annotations; tells its digest.
pub async fn push(story: &Story, tag: &str, revision: &str) -> String {
    let told = [("revision", revision), ("source", "https://git.example/shop"), ("title", "Shop")];
    let told = told.map(|(key, value)| format!("org.opencontainers.image.{key}={value}"));
    let flags: Vec<&str> = told.iter().flat_map(|told| ["-a", told]).collect();
    push_with(story, tag, &flags).await;
    rig().crane("digest", &[&story.image(tag)]).await
}

/// Asks for a look at the source, as `flux reconcile image policy` does.
async fn look(story: &Story, token: &str) {
    let asked = json!({"metadata": {"annotations": {REQUESTED_AT: token}}});
    story.cluster.merge("ImagePolicy", SHOP, asked).await;
}

async fn sources(story: &Story) {
    story.cluster.add(image_repository(story)).await;
    story.cluster.add(image_policy()).await;
}

#[tokio::test]
async fn a_tag_that_is_pushed_again_is_told_and_climbs_where_its_digest_is_required() {
    let story = Story::begin("repush", 120).await;
    let first = push(&story, "1.0.0", "one").await;
    push(&story, "latest", "any").await;
    sources(&story).await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let known = |r: &Value| text(r, "/status/stable/release/digest") == first;
    let told = story.until("the digest is known", known).await;
    assert_eq!(text(&told, "/status/stable/release/revision"), "one");
    assert_eq!(text(&told, "/status/availableReleases/0/digest"), first);
    assert_eq!(text(&told, "/status/availableReleases/0/revision"), "one");
    assert_eq!(text(&told, "/status/title"), "Shop");
    assert_eq!(text(&told, "/status/source"), "https://git.example/shop");
    assert!(text(&told, "/status/artifactType").starts_with("application/vnd."), "{told}");
    assert_eq!(list(&told, "/status/skippedTags/tags"), [json!("latest")]);

    let second = push(&story, "1.0.0", "two").await;
    look(&story, "second").await;
    let moved = |r: &Value| condition(r, "TagMoved") == "True";
    let moved = story.until("the tag has moved", moved).await;
    let all = list(&moved, "/status/conditions");
    let said = all.iter().find(|c| text(c, "/type") == "TagMoved").unwrap();
    assert!(text(said, "/message").contains(first.get(..19).unwrap()), "{said}");
    assert!(text(said, "/message").contains(second.get(..19).unwrap()), "{said}");
    assert_eq!(text(&moved, IMAGE), story.image("1.0.0"), "what runs is left alone");
    assert!(attempt_is(&moved, 1));

    let required = json!({"spec": {"requireDigest": true}});
    story.cluster.merge("Rollout", SHOP, required).await;
    let pinned = story.completed(2).await;
    assert_eq!(text(&pinned, IMAGE), format!("{}@{second}", story.image("1.0.0")));
    let still = |r: &Value| condition(r, "TagMoved") != "True";
    story.until("what runs is what the tag is", still).await;

    let third = push(&story, "1.0.0", "three").await;
    look(&story, "third").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), format!("{}@{third}", story.image("1.0.0")));
    assert_eq!(text(&done, "/status/history/0/release/digest"), third);
    assert_eq!(text(&done, "/status/history/0/release/revision"), "three");
    let events = story.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]).await;
    assert!(events.contains("TagMoved"), "{events}");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn without_the_digest_that_is_required_nothing_is_written() {
    let story = Story::begin("nodigest", 90).await;
    let first = push(&story, "1.0.0", "one").await;
    let config = json!({"auths": {}}).to_string();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config}});
    story.cluster.add(secret).await;
    let private = json!({"spec": {"secretRef": {"name": "pull"}}});
    story.cluster.add(merged(image_repository(&story), &private)).await;
    story.cluster.add(image_policy()).await;
    let required = json!({"spec": {"requireDigest": true}});
    story.cluster.add(merged(sourced(rollout(&story, "0.9.0", quick())), &required)).await;
    let _controller = story.controller().await;

    let names = |r: &Value| {
        let held = hold_message(r, "DigestUnknown");
        held.contains("Secret") && held.contains("spec.requireDigest")
    };
    let held = |r: &Value| holds(r).contains(&"DigestUnknown") && names(r);
    let waiting = story.until("the Secret is named", held).await;
    assert_eq!(text(&waiting, IMAGE), story.image("0.9.0"));
    assert_eq!(number(&waiting, "/status/attempt/number"), 1);

    // Nobody needs a login here: what was missing was the way in.
    let open = json!({"spec": {"secretRef": null}});
    story.cluster.merge("ImageRepository", SHOP, open).await;
    look(&story, "open").await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), format!("{}@{first}", story.image("1.0.0")));
}

#[tokio::test]
async fn the_digest_of_a_version_comes_from_the_registry_of_its_image() {
    let story = Story::begin("version-digest", 120).await;
    let first = push(&story, "1.0.0", "one").await;
    let (object, status) = artifact("1.0.0");
    story.cluster.add(object).await;
    story.cluster.merge_status("OCIRepository", SHOP, status).await;
    let source = json!({"kind": "OCIRepository", "name": SHOP});
    let pinned = json!({"spec": {"sourceRef": source, "requireDigest": true}});
    story.cluster.add(merged(rollout(&story, "0.9.0", quick()), &pinned)).await;
    let controller = story.controller().await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), format!("{}@{first}", story.image("1.0.0")));

    story.cluster.merge_status("OCIRepository", SHOP, copied("1.1.0")).await;
    let missing = |r: &Value| hold_message(r, "DigestUnknown").contains("1.1.0");
    let held = story.until("its image is not there yet", missing).await;
    assert_eq!(text(&held, IMAGE), format!("{}@{first}", story.image("1.0.0")));
    let second = push(&story, "1.1.0", "two").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), format!("{}@{second}", story.image("1.1.0")));
    assert_eq!(text(&done, "/status/stable/release/digest"), second);
    assert_eq!(controller.forbidden(), [""; 0]);
}
