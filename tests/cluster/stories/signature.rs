//! Signatures: behind a gate a release starts once real Flux has verified the signature of its very
//! revision.

use serde_json::{Value, json};

use crate::support::controller::Controller;
use crate::support::cosign::Signer;
use crate::support::flux::{APPS, config_map, oci_repository};
use crate::support::json::{condition, hold_message, list, merged, text};
use crate::support::shop::rollout;
use crate::support::story::{SHOP, Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// What an artifact of the story holds; its tag is what the shop takes.
fn manifests() -> [Value; 1] {
    [config_map("settings", "a", "b")]
}

/// A shop behind a gate that asks for signatures; it follows artifacts that nobody verifies yet.
async fn gated(title: &str) -> (Story, Controller) {
    let story = Story::begin(title, 120).await;
    story.publish(APPS, "1.0.0", &manifests()).await;
    story.cluster.add(oci_repository(&story, APPS, json!({"semver": "*"}))).await;
    let steps = json!([{"setWeight": 50}, {"setWeight": 100}]);
    let follows = json!({"spec": {"sourceRef": {"kind": "OCIRepository", "name": APPS}}});
    story.cluster.add(merged(rollout(&story, "1.0.0", steps), &follows)).await;
    let gate = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
        "metadata": {"name": "signed"},
        "spec": {"rolloutRef": {"name": SHOP}, "verified": true}});
    story.cluster.add(gate).await;
    let controller = story.controller().await;
    story.completed(1).await;
    (story, controller)
}

/// Waits until the source is held back by what its message tells.
async fn refused(story: &Story, why: &str) -> Value {
    let told = |r: &Value| hold_message(r, "SourceNotReady").contains(why);
    story.until(&format!("Flux refuses it: {why}"), told).await
}

#[tokio::test]
async fn a_version_starts_once_flux_has_verified_its_signature() {
    let (story, controller) = gated("signed").await;
    let (ours, other) = (Signer::make(&story, "ours").await, Signer::make(&story, "other").await);
    story.cluster.add(ours.secret().await).await;

    // Flux fetches it, and nobody asks it to verify anything.
    story.publish(APPS, "1.1.0", &manifests()).await;
    let message = story.held("GateClosed").await;
    assert!(message.contains("RolloutGate signed: OCIRepository apps"), "{message}");
    assert!(message.contains("no condition SourceVerified, write its spec.verify"), "{message}");

    // It is asked to, and does not find what it wants.
    story.cluster.merge("OCIRepository", APPS, ours.asked_for()).await;
    let waits = refused(&story, "no matching signatures").await;
    assert!(attempt_is(&waits, 1), "{waits}");
    let seen = story.sign(&other, APPS, "1.1.0").await;
    assert_eq!(condition(&seen, "SourceVerified"), "False", "it is another's signature");
    story.sign(&ours, APPS, "1.1.0").await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"));

    // The signature of one release is none of the next.
    story.publish(APPS, "1.2.0", &manifests()).await;
    let waits = refused(&story, "no matching signatures").await;
    assert!(attempt_is(&waits, 2), "{waits}");
    story.sign(&ours, APPS, "1.2.0").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0"));
    assert_eq!(list(&done, "/status/history").len(), 3);
    assert_eq!(list(&done, "/status/gates/0/allowedVersions"), [json!("1.2.0")]);
    assert_eq!(controller.forbidden(), [""; 0]);
}
