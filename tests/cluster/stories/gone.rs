//! What a release rests on is gone: the source half-way, the tag that runs.

use serde_json::{Value, json};

use crate::support::json::{hold_message, holds, list, merged, text};
use crate::support::rig::rig;
use crate::support::shop::{gated, image_policy, image_repository, rollout, sourced};
use crate::support::story::{SHOP, Story, attempt_is};

use super::registry::{following, tags};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// Takes a tag out of the registry.
async fn pull(story: &Story, tag: &str) {
    rig().crane("delete", &[&story.image(tag)]).await;
}

#[tokio::test]
async fn a_list_that_has_lost_the_tag_that_runs_leads_nowhere() {
    let story = Story::begin("yanked", 180).await;
    story.push("1.0.0").await;
    story.push("1.1.0").await;
    story.cluster.add(following(&story, "1.1.0", &json!({}))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let known = |r: &Value| tags(r, "/status/availableReleases") == ["1.0.0", "1.1.0"];
    story.until("both are known", known).await;

    pull(&story, "1.1.0").await;
    let message = story.held("SourceSuspect").await;
    assert!(message.contains("1.1.0"), "{message}");
    // Neither back, nor on: what else such a list lacks is not known.
    story.push("1.2.0").await;
    let wanted = json!({"spec": {"registry": {"interval": "31s"}}});
    story.cluster.merge("Rollout", SHOP, wanted).await;
    let told = story.held("SourceSuspect").await;
    let held = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(text(&held, IMAGE), story.image("1.1.0"), "{told}");
    assert!(attempt_is(&held, 1) && known(&held), "{held}");

    story.push("1.1.0").await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0"));
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_source_that_is_deleted_half_way_is_named_and_the_ladder_goes_on() {
    let story = Story::begin("sourceless", 150).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", gated()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.push("1.1.0").await;
    story.paused(2, 1).await;

    story.cluster.remove("ImagePolicy", SHOP).await;
    story.cluster.remove("ImageRepository", SHOP).await;
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"));
    let named = format!("ImagePolicy {}/{SHOP}", story.namespace());
    let held = |r: &Value| hold_message(r, "SourceMissing").contains(&named);
    story.until("what is missing is named", held).await;

    let narrow = json!({"spec": {"exclusionList": ["^1\\.2\\."]}});
    story.push_of(SHOP, "1.2.0").await;
    story.push_of(SHOP, "1.3.0").await;
    story.cluster.add(merged(image_repository(&story), &narrow)).await;
    story.cluster.add(image_policy()).await;
    story.paused(3, 1).await;
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("1.3.0"));
    assert!(!holds(&done).contains(&"SourceMissing"), "{done}");
    let known = |r: &Value| tags(r, "/status/availableReleases") == ["1.0.0", "1.1.0", "1.3.0"];
    story.until("all are known but what Flux leaves out", known).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}
