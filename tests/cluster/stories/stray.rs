//! Bindings to a Rollout that is not there.

use serde_json::{Value, json};

use crate::stories::delivery::{shows, staged};
use crate::support::flux::{APPS, applied, bound, delivering, oci_repository, shown};
use crate::support::json::{list, merged, text};
use crate::support::proxy::Call;
use crate::support::story::{SHOP, Story};

/// Whether an Event tells that the Rollout is missing.
fn tells(event: &Value) -> bool {
    text(event, "/reason") == "RolloutNotFound"
}

/// Whether a request is about such an Event, which was taken or is there already.
fn sends(call: &Call, status: u16) -> bool {
    call.path.contains("/events") && tells(&call.body) && call.status == status
}

#[tokio::test]
async fn a_kustomization_is_told_once_that_its_rollout_is_missing() {
    let story = Story::begin("missing", 150).await;
    story.offer("1.0.0").await;
    staged(&story, &shown(), bound(applied(&story, APPS))).await;
    let controller = story.controller().await;

    controller.proxy.heard(story.end, "it is told", |call| sends(call, 201)).await;
    let told = || async {
        let mut events = story.cluster.all("Event").await;
        events.retain(tells);
        events
    };
    let events = told().await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let about = ["kind", "name", "apiVersion"].map(|of| text(event, &format!("/regarding/{of}")));
    assert_eq!(about, ["Kustomization", APPS, "kustomize.toolkit.fluxcd.io/v1"]);
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(event, "/regarding/uid"), text(&apps, "/metadata/uid"));
    assert_eq!(text(event, "/type"), "Warning");
    let named = format!("no Rollout {}/{SHOP}", story.namespace());
    assert!(text(event, "/note").contains(&named), "{event}");

    // Another process tells the same, which is one.
    controller.kill();
    controller.restart();
    controller.proxy.heard(story.end, "it is told again", |call| sends(call, 409)).await;

    story.cluster.add(delivering(SHOP)).await;
    let done = story.completed(1).await;
    shows(&story, "1.0.0").await;
    assert_eq!(list(&done, "/status/targets").len(), 1);
    assert_eq!(told().await.len(), 1);
    let sent = controller.proxy.calls().into_iter().filter(|call| call.mutates());
    let sent = sent.filter(|call| sends(call, 201) || sends(call, 409)).count();
    assert_eq!(sent, 2, "once in the life of each process");
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn an_annotation_that_can_name_no_rollout_is_told_where_it_is() {
    let story = Story::begin("nameless", 120).await;
    let repository = oci_repository(&story, APPS, json!({"tag": "1.0.0"}));
    let wrong = json!({"metadata": {"annotations": {"stairlock.dev/rollout": "My Shop"}}});
    story.cluster.add(merged(repository, &wrong)).await;
    let controller = story.controller().await;
    let invalid = |event: &Value| text(event, "/reason") == "InvalidBinding";
    let told = |call: &Call, what: &str| {
        let about = invalid(&call.body) && text(&call.body, "/note").contains(what);
        call.path.contains("/events") && call.status == 201 && about
    };

    let tag = "annotation stairlock.dev/rollout is \"My Shop\"";
    controller.proxy.heard(story.end, "the tag is told", |call| told(call, tag)).await;
    // One that comes while the controller runs.
    let wrong = json!({"metadata": {"annotations": {"stairlock.dev/substitute.TAG.from": ""}}});
    story.cluster.add(merged(applied(&story, APPS), &wrong)).await;
    let variable = "annotation stairlock.dev/substitute.TAG.from is \"\"";
    controller.proxy.heard(story.end, "the variable is told", |call| told(call, variable)).await;

    let mut events = story.cluster.all("Event").await;
    events.retain(invalid);
    let about = |event: &Value| {
        let about = ["kind", "name"].map(|of| text(event, &format!("/regarding/{of}")).to_owned());
        (about, text(event, "/type").to_owned())
    };
    let mut about: Vec<_> = events.iter().map(about).collect();
    about.sort();
    let want = ["Kustomization", "OCIRepository"].map(|kind| [kind.to_owned(), APPS.to_owned()]);
    assert_eq!(about, want.map(|object| (object, "Warning".to_owned())));
    assert_eq!(controller.forbidden(), [""; 0]);
}
