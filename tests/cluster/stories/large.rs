//! Rollouts of which the API server, or etcd behind it, takes no more.

use kube::Error;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::support::cluster::typed;
use crate::support::json::{merged, text};
use crate::support::proxy::{Call, Fault, Rule, answer};
use crate::support::shop::{quick, rollout};
use crate::support::story::{SHOP, Story, attempt_is};

/// The largest request that etcd takes, in bytes, if nobody says otherwise.
const ETCD_MAX: usize = 1_572_864;

/// Writes in vain of one Rollout: some at once, then with pauses that grow.
const VAIN_MAX: usize = 30;

/// A change of the template by which it becomes longer by so many bytes.
fn padded(story: &Story, bytes: usize) -> Value {
    let pad = json!([{"name": "PAD", "value": "x".repeat(bytes)}]);
    let container = json!([{"name": "app", "image": story.image("1.0.0"), "env": pad}]);
    json!({"spec": {"template": {"spec": {"containers": container}}}})
}

/// Creates the Rollout as large as etcd takes it, but for some bytes.
async fn fill(story: &Story) {
    for bytes in (0..20).map(|step| ETCD_MAX - 256 * step) {
        let full = merged(rollout(story, "1.0.0", quick()), &padded(story, bytes));
        match story.cluster.api("Rollout").create(&PostParams::default(), &typed(full)).await {
            Ok(_) => return,
            Err(Error::Api(status)) if status.message.contains("too large") => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("etcd takes less than {ETCD_MAX} bytes by far");
}

#[tokio::test]
async fn a_template_that_no_replica_set_can_hold_is_held() {
    let story = Story::begin("long", 90).await;
    let over = padded(&story, 1_400_000);
    story.cluster.add(merged(rollout(&story, "1.0.0", quick()), &over)).await;
    let controller = story.controller().await;

    let message = story.held("InvalidTemplate").await;

    assert!(message.contains("spec.template takes 14"), "{message}");
    story.cluster.merge("Rollout", SHOP, padded(&story, 1)).await;
    story.completed(1).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_rollout_that_leaves_no_room_for_its_status_is_told_so() {
    let story = Story::begin("full", 120).await;
    fill(&story).await;
    let controller = story.controller().await;

    let tells = |event: &Value| text(event, "/reason") == "StatusRefused";
    let sent = |call: &Call| call.path.contains("/events") && tells(&call.body);
    controller.proxy.heard(story.end, "it is told", |call| sent(call) && call.status == 201).await;

    story.clock("clock1").await;
    let mut events = story.cluster.all("Event").await;
    events.retain(tells);
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let about = ["kind", "name"].map(|of| text(event, &format!("/regarding/{of}")));
    assert_eq!((about, text(event, "/type")), (["Rollout", SHOP], "Warning"));
    assert!(text(event, "/note").contains("request is too large"), "{event}");
    let calls = controller.proxy.calls();
    let vain = calls.iter().filter(|call| call.path.contains("/rollouts/shop/status")).count();
    assert!((1..=VAIN_MAX).contains(&vain), "{vain} writes in vain");
    assert_eq!(calls.iter().filter(|call| sent(call)).count(), 1, "told once");

    story.cluster.merge("Rollout", SHOP, padded(&story, 1)).await;
    story.completed(1).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_status_that_is_too_large_to_be_stored_is_not_written_without_end() {
    let story = Story::begin("large", 90).await;
    story.cluster.add(rollout(&story, "1.0.0", quick())).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let mark = controller.proxy.mark();
    let large = Fault::Refused(answer(413));
    controller.proxy.disturb(Rule::every(1, &[large]).to("/rollouts/shop/status"));
    story.set_image(&story.image("1.1.0")).await;
    let refused = |call: &Call| call.fault == Some(large);
    controller.proxy.heard(story.end, "a status is too large", refused).await;

    // Others go on meanwhile.
    for name in ["clock1", "clock2"] {
        story.clock(name).await;
    }
    let writes = controller.proxy.writes(mark);
    let own = writes.iter().filter(|call| call.path.contains("/rollouts/shop"));
    let count = own.count();
    assert!(count <= VAIN_MAX, "{count} writes in vain");
    let after = story.cluster.get("Rollout", SHOP).await;
    assert!(attempt_is(&after, 1), "{}", after["status"]);
    assert_eq!(story.replica_sets().await.len(), 1, "nothing begins that is not stored");
}
