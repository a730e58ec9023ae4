//! Bound fields that go over from one Rollout to another.

use serde_json::{Value, json};

use crate::stories::delivery::{VALUE, delivered, shows};
use crate::support::flux::{APPS, VARIABLE, delivering};
use crate::support::json::{condition, hold_message, holds, list, text};
use crate::support::shop::sources_of;
use crate::support::story::SHOP;

/// Another Rollout.
const CART: &str = "cart";

/// The annotation by which another Rollout asks for the variable of the shop, as kuberik spells it.
fn asked_by(rollout: &str) -> Value {
    let key = format!("rollout.kuberik.com/substitute.{VARIABLE}.from");
    json!({"metadata": {"annotations": {key: rollout}}})
}

#[tokio::test]
async fn of_two_rollouts_on_one_variable_the_older_has_it_and_the_other_follows() {
    let (story, controller) = delivered("older", 150).await;
    story.cluster.merge("Kustomization", APPS, asked_by(CART)).await;
    story.push_of(CART, "2.0.0").await;
    for object in sources_of(&story, CART) {
        story.cluster.add(object).await;
    }
    story.cluster.add(delivering(CART)).await;
    let duplicate = |r: &Value| holds(r).contains(&"DuplicateBinding");
    let waits = story.until_of(CART, "the older one has it", duplicate).await;
    let message = hold_message(&waits, "DuplicateBinding");
    assert!(message.contains("the older Rollout shop"), "{message}");

    // The older one goes on as if it were alone.
    story.push("1.1.0").await;
    story.completed(2).await;
    shows(&story, "1.1.0").await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    assert_eq!(text(&apps, VALUE), "1.1.0");
    let waits = story.cluster.get("Rollout", CART).await;
    assert_eq!(list(&waits, "/status/history").len(), 0, "{waits}");

    story.cluster.remove("Rollout", SHOP).await;
    story.completed_of(CART, 1).await;
    shows(&story, "2.0.0").await;
    story.push_of(CART, "2.1.0").await;
    story.reconcile("ImageRepository", CART, "2.1.0").await;
    story.completed_of(CART, 2).await;
    shows(&story, "2.1.0").await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_variable_that_is_bound_to_another_rollout_goes_over_to_it() {
    let (story, controller) = delivered("rebound", 150).await;
    story.push_of(CART, "2.0.0").await;
    for object in sources_of(&story, CART) {
        story.cluster.add(object).await;
    }
    let key = format!("stairlock.dev/substitute.{VARIABLE}.from");
    let other = json!({"metadata": {"annotations": {key: CART}}});
    story.cluster.merge("Kustomization", APPS, other).await;
    story.until("the shop has it no more", |r| condition(r, "Unbound") == "True").await;

    story.cluster.add(delivering(CART)).await;

    story.completed_of(CART, 1).await;
    shows(&story, "2.0.0").await;
    let apps = story.cluster.get("Kustomization", APPS).await;
    let managers = list(&apps, "/metadata/managedFields").iter();
    let ours = managers.filter(|entry| text(entry, "/manager").starts_with("stairlock-"));
    assert_eq!(ours.count(), 1, "the shop owns nothing of it any more: {apps}");

    // Named beside it, the older one has it again, as long as it is named.
    story.cluster.merge("Kustomization", APPS, asked_by(SHOP)).await;
    let duplicate = |r: &Value| holds(r).contains(&"DuplicateBinding");
    story.until_of(CART, "the older one has it again", duplicate).await;
    shows(&story, "1.0.0").await;
    let key = format!("rollout.kuberik.com/substitute.{VARIABLE}.from");
    let alone = json!({"metadata": {"annotations": {key: null}}});
    story.cluster.merge("Kustomization", APPS, alone).await;
    shows(&story, "2.0.0").await;
    story.until_of(CART, "nobody else has it", |r| !duplicate(r)).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}
