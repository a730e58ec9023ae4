//! Releases that have all traffic and do not become healthy: in time they go back, or stay until a
//! person decides.

use serde_json::{Value, json};

use crate::support::controller::Controller;
use crate::support::health::{CHECK, checked, health_check};
use crate::support::json::{condition, hold_message, holds, list, merged, text};
use crate::support::shop::{rollout, sourced};
use crate::support::story::{SHOP, Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// How long a release may take to become healthy, where nobody tells that it is.
async fn patience(story: &Story, time: &Value) {
    story.cluster.merge("Rollout", SHOP, json!({"spec": {"deployTimeout": time}})).await;
}

/// A shop at 1.1.0, which was not healthy in time after the good 1.0.0; the next ones may take
/// as long as they like.
async fn unhealthy(title: &str, on_failure: &str) -> (Story, Controller, Value) {
    let story = Story::begin(title, 150).await;
    story.offer("1.0.0").await;
    story.cluster.add(health_check()).await;
    let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
    let shop = checked(sourced(rollout(&story, "1.0.0", steps)));
    story.cluster.add(merged(shop, &json!({"spec": {"onFailure": on_failure}}))).await;
    let controller = story.controller().await;
    story.found_anew("Healthy").await;
    story.completed(1).await;

    patience(&story, &json!("3s")).await;
    story.push("1.1.0").await;
    let failed = story.failed(2, "DeployTimeout").await;
    patience(&story, &Value::Null).await;
    (story, controller, failed)
}

/// The outcomes of the history, newest first.
fn outcomes(rollout: &Value) -> Vec<&str> {
    list(rollout, "/status/history").iter().map(|entry| text(entry, "/outcome")).collect()
}

#[tokio::test]
async fn what_is_not_healthy_in_time_makes_room_for_the_last_good_release() {
    let (story, controller, failed) = unhealthy("late", "Rollback").await;

    let entry = &failed["status"]["history"][0];
    assert_eq!(text(entry, "/outcome"), "DeployTimeout");
    assert_eq!(text(entry, "/bakeStatus"), "Failed");
    let why = text(entry, "/bakeStatusMessage");
    assert!(why.starts_with("not healthy in time: HealthCheck"), "{why}");
    assert_eq!(text(entry, "/failedHealthChecks/0/name"), CHECK, "{entry}");
    assert_eq!(condition(&failed, "Stalled"), "True");
    assert_eq!(text(&failed, "/status/stable/release/tag"), "1.0.0");
    assert_eq!(text(&failed, "/status/quarantine/0/release/tag"), "1.1.0");
    let back = |r: &Value| text(r, IMAGE) == story.image("1.0.0");
    story.until("the image is put back", back).await;
    let message = story.held("Quarantined").await;
    assert!(message.contains("1.1.0") && message.contains("retry"), "{message}");

    let _tellers = story.all_is_well().await;
    story.push("1.2.0").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0"));
    assert_eq!(outcomes(&done), ["Completed", "DeployTimeout", "Completed"]);
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// The same where it stays; the person who is waited for is told so.
async fn kept(title: &str) -> (Story, Controller) {
    let (story, controller, failed) = unhealthy(title, "Hold").await;
    assert_eq!(text(&failed, IMAGE), story.image("1.1.0"));
    assert_eq!(text(&failed, "/status/stable/release/tag"), "1.1.0");
    assert_eq!(failed["status"]["attempt"]["kept"], json!(true));
    assert_eq!(condition(&failed, "Stalled"), "True");
    assert_eq!(holds(&failed), ["FailedRelease"]);
    let hold = &failed["status"]["waitingFor"][0];
    assert!(text(hold, "/command").contains("stairlock.dev/retry=true"), "{hold}");
    (story, controller)
}

/// The same, with a newer release that waits behind it.
async fn blocked(title: &str) -> (Story, Controller) {
    let (story, controller) = kept(title).await;
    story.push("1.2.0").await;
    let waits = |r: &Value| text(r, "/status/releaseCandidates/0/tag") == "1.2.0";
    let waiting = story.until("1.2.0 is known", waits).await;
    let message = hold_message(&waiting, "FailedRelease");
    assert!(message.contains("1.1.0") && message.contains("others wait"), "{message}");
    assert!(attempt_is(&waiting, 2), "{}", waiting["status"]);
    (story, controller)
}

#[tokio::test]
async fn what_failed_and_stays_bakes_again_where_a_person_retries_it() {
    let (story, controller) = kept("again").await;
    let _tellers = story.all_is_well().await;
    story.command("stairlock.dev/retry", "true").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, "/status/history/0/release/tag"), "1.1.0");
    assert_eq!(text(&done, "/status/history/0/bakeStatus"), "Succeeded");
    assert_eq!(outcomes(&done), ["Completed", "DeployTimeout", "Completed"]);
    assert_eq!(story.replica_sets().await.len(), 2, "no pod runs a second time");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn what_failed_and_stays_is_left_for_a_newer_release_where_a_person_unblocks_it() {
    let (story, controller) = blocked("unblock").await;
    let _tellers = story.all_is_well().await;
    story.command("rollout.kuberik.com/unblock-failed", "true").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0"));
    assert_eq!(outcomes(&done), ["Completed", "DeployTimeout", "Completed"]);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn what_failed_and_stays_is_a_success_where_a_person_says_so() {
    let (story, controller) = blocked("fine").await;
    let _tellers = story.all_is_well().await;
    story.command("stairlock.dev/mark-successful", "true").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0"));
    assert_eq!(outcomes(&done), ["Completed", "Completed", "Completed"]);
    assert_eq!(text(&done, "/status/history/1/bakeStatus"), "Succeeded");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn what_failed_and_stays_goes_where_a_person_rolls_back() {
    let (story, controller) = blocked("undo").await;
    let _tellers = story.all_is_well().await;
    story.command("stairlock.dev/rollback", "true").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("1.0.0"));
    assert_eq!(outcomes(&done), ["Completed", "DeployTimeout", "Completed"]);
    let message = story.held("ManualImage").await;
    assert!(message.contains("1.0.0"), "{message}");
    assert_eq!(controller.forbidden(), [""; 0]);
}
