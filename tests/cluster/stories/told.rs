//! Versions that objects of Flux tell, as real Flux writes them.

use serde_json::{Value, json};

use crate::support::flux::{APPS, applied, oci_repository, shown};
use crate::support::json::{hold_message, merged, text};
use crate::support::rig::rig;
use crate::support::shop::{quick, rollout};
use crate::support::story::{Story, attempt_is};

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// The shop at 1.0.0, which takes the versions that an object of Flux tells.
fn following(story: &Story, kind: &str) -> Value {
    let source = json!({"spec": {"sourceRef": {"kind": kind, "name": APPS}}});
    merged(rollout(story, "1.0.0", quick()), &source)
}

/// Has the OCIRepository read another artifact, and nothing beside it.
async fn read(story: &Story, reference: Value) {
    let now = json!({"spec": {"ref": merged(json!({"tag": null, "digest": null}), &reference)}});
    story.cluster.merge("OCIRepository", APPS, now).await;
}

#[tokio::test]
async fn the_tag_of_what_a_kustomization_applied_is_the_tag_of_the_image() {
    let story = Story::begin("applied", 120).await;
    for tag in ["1.0.0", "1.1.0", "1.2.0-rc.1"] {
        story.publish(APPS, tag, &shown()).await;
    }
    story.publish(APPS, "1.3.0", &[json!({"kind": "Unknown"})]).await;
    story.cluster.add(oci_repository(&story, APPS, json!({"tag": "1.0.0"}))).await;
    story.cluster.add(applied(&story, APPS)).await;
    story.cluster.add(following(&story, "Kustomization")).await;
    let controller = story.controller().await;
    story.completed(1).await;

    read(&story, json!({"tag": "1.1.0"})).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"), "without the digest of the artifact");
    let source = story.cluster.get("Kustomization", APPS).await;
    let revision = text(&source, "/status/lastAppliedRevision");
    assert!(revision.starts_with("1.1.0@sha256:"), "{revision}");

    // What could not be applied is told by nobody.
    read(&story, json!({"tag": "1.3.0"})).await;
    let held = |r: &Value| hold_message(r, "SourceNotReady").contains("Kustomization");
    let held = story.until("it is not applied", held).await;
    assert!(attempt_is(&held, 2), "{held}");
    read(&story, json!({"tag": "1.2.0-rc.1"})).await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), story.image("1.2.0-rc.1"));
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// Lays another version on an artifact; tells the digest of that.
async fn annotated(story: &Story, tag: &str, version: &str) -> String {
    let repository = story.repository_of(APPS);
    let (from, to) = (format!("{repository}:{tag}"), format!("{repository}:{tag}-annotated"));
    let version = format!("org.opencontainers.image.version={version}");
    rig().crane("mutate", &[&from, "-t", &to, "-a", &version]).await;
    rig().crane("digest", &[&to]).await
}

#[tokio::test]
async fn an_artifact_read_by_its_digest_tells_the_version_of_its_annotation() {
    let story = Story::begin("bare", 120).await;
    story.publish(APPS, "1.0.0", &shown()).await;
    let (plain, versioned) = (
        rig().crane("digest", &[&format!("{}:1.0.0", story.repository_of(APPS))]).await,
        annotated(&story, "1.0.0", "v1.1.0").await,
    );
    story.cluster.add(oci_repository(&story, APPS, json!({"digest": plain}))).await;
    story.cluster.add(following(&story, "OCIRepository")).await;
    let controller = story.controller().await;

    let why = format!("its revision \"{}", plain.get(..14).unwrap());
    let held = |r: &Value| {
        let message = hold_message(r, "UnusableRelease");
        message.contains(&why) && message.contains("org.opencontainers.image.version")
    };
    story.until("no version is known", held).await;
    story.completed(1).await;

    read(&story, json!({"digest": versioned})).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("v1.1.0"), "without the digest of the artifact");
    assert_eq!(text(&done, "/status/stable/release/version"), "1.1.0");
    let source = story.cluster.get("OCIRepository", APPS).await;
    assert_eq!(text(&source, "/status/artifact/revision"), versioned);
    assert_eq!(controller.forbidden(), [""; 0]);
}
