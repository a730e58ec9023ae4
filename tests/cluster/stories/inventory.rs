//! HealthChecks of class `kustomization`: what real Flux applied is looked at before a release
//! counts as a success.

use serde_json::{Value, json};

use crate::support::controller::Controller;
use crate::support::flux::{APPS, applied, bound, config_map, delivering, oci_repository};
use crate::support::json::{condition, hold_message, list, merged, number, text};
use crate::support::story::{SHOP, Story};

/// A Deployment of the shop's image; a tag with `bad` in it never becomes ready on the fake nodes.
fn deployment(story: &Story) -> Value {
    let image = format!("{}:${{SHOP_VERSION:=0.0.0}}", story.repository());
    let labels = json!({"app": "web"});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    })
}

fn check() -> Value {
    json!({
        "apiVersion": "stairlock.dev/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": SHOP, "labels": {"app": SHOP}},
        "spec": {"class": "kustomization", "kustomizationRef": {"name": APPS}},
    })
}

/// A shop that delivers to a Kustomization which does not wait for what it applies; a check does.
async fn checked(title: &str, others: &[Value]) -> (Story, Controller) {
    let (story, controller) = begun(title, others).await;
    story.completed(1).await;
    (story, controller)
}

/// The same shop, which delivers for the first time.
async fn begun(title: &str, others: &[Value]) -> (Story, Controller) {
    let story = Story::begin(title, 200).await;
    story.offer("1.0.0").await;
    let own = [deployment(&story)];
    let manifests = [&own[..], others].concat();
    story.publish(APPS, "1.0.0", &manifests).await;
    story.cluster.add(oci_repository(&story, APPS, json!({"tag": "1.0.0"}))).await;
    let patient = json!({"spec": {"wait": false}});
    story.cluster.add(merged(bound(applied(&story, APPS)), &patient)).await;
    story.cluster.add(check()).await;
    let selector = json!({"selector": {"matchLabels": {"app": SHOP}}});
    let over = json!({"spec": {"healthCheckSelector": selector}});
    story.cluster.add(merged(delivering(SHOP), &over)).await;
    let controller = story.controller().await;
    (story, controller)
}

fn says(check: &Value, health: &str) -> bool {
    text(check, "/status/status") == health
}

#[tokio::test]
async fn a_release_is_a_success_once_what_flux_applied_is_healthy() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}});
    let (story, controller) = checked("healthy", &[config_map("settings", "a", "b"), secret]).await;
    let first = story.cluster.get("HealthCheck", SHOP).await;
    assert!(says(&first, "Healthy"), "{first}");
    let aside = merged(check(), &json!({"metadata": {"name": "aside", "labels": {"app": "any"}}}));
    story.cluster.add(aside).await;

    story.push("1.1.0").await;
    let done = story.completed(2).await;

    // Succeeded is said only of what was looked at.
    assert_eq!(text(&done, "/status/history/0/bakeStatus"), "Succeeded");
    let web = story.cluster.get("Deployment", "web").await;
    let container = "/spec/template/spec/containers/0/image";
    assert_eq!(text(&web, container), format!("{}:1.1.0", story.repository()));
    assert_eq!(condition(&web, "Available"), "True");
    let apps = story.cluster.get("Kustomization", APPS).await;
    let second = story.cluster.get("HealthCheck", SHOP).await;
    assert!(says(&second, "Healthy"), "{second}");
    let looked_at = number(&second, "/status/kustomization/generation");
    assert_eq!(looked_at, number(&apps, "/metadata/generation"));

    // One that no Rollout selects is not looked at, until one does.
    let aside = story.cluster.get("HealthCheck", "aside").await;
    assert_eq!(aside.get("status"), None, "{aside}");
    let chosen = json!({"metadata": {"labels": {"app": SHOP}}});
    story.cluster.merge("HealthCheck", "aside", chosen).await;
    let well = |check: &Value| says(check, "Healthy");
    story.becomes("HealthCheck", "aside", "it is looked at", well).await;
    assert_eq!(controller.forbidden(), [""; 0], "no Secret is asked for");
}

#[tokio::test]
async fn what_never_becomes_ready_fails_its_release_and_the_last_good_one_comes_back() {
    let (story, controller) = checked("unready", &[]).await;

    story.push("2.0.0-bad").await;
    let failed = story.failed(2, "BakeFailed").await;

    assert_eq!(text(&failed, "/status/history/0/bakeStatus"), "Failed");
    let blamed = list(&failed, "/status/history/0/failedHealthChecks");
    assert_eq!(blamed.len(), 1, "{failed}");
    let why = text(&blamed[0], "/message");
    assert!(why.starts_with("Deployment ") && why.contains("progressDeadlineSeconds"), "{why}");

    let good = format!("{}:1.0.0", story.repository());
    let back = |web: &Value| {
        text(web, "/spec/template/spec/containers/0/image") == good
            && condition(web, "Progressing") == "True"
            && condition(web, "Available") == "True"
    };
    story.becomes("Deployment", "web", "1.0.0 is back", back).await;
    let well = |check: &Value| says(check, "Healthy");
    story.becomes("HealthCheck", SHOP, "it is well again", well).await;

    story.push("3.0.0").await;
    story.completed(3).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn what_may_not_be_read_is_named_and_counts_once_a_role_grants_it() {
    let limits = json!([{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]);
    let limits = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"},
        "spec": {"limits": limits}});
    let (story, controller) = begun("unread", &[limits]).await;
    let object = format!("LimitRange {}/limits: the controller may not", story.namespace());
    let pending = async |why: &str, verb: &str| {
        let (why, verb) = (format!("{object} {why}"), format!("{verb} resource \"limitranges\""));
        let told = |check: &Value| {
            let message = text(check, "/status/message");
            says(check, "Pending") && message.starts_with(&why) && message.contains(&verb)
        };
        story.becomes("HealthCheck", SHOP, &format!("it says {why}"), told).await
    };
    let grant = async |name: &str, verbs: &str| {
        let account = "--serviceaccount=stairlock-system:stairlock";
        let (verbs, role) = (format!("--verb={verbs}"), format!("--role={name}"));
        story.kubectl(&["create", "role", name, &verbs, "--resource=limitranges"]).await;
        story.kubectl(&["create", "rolebinding", name, &role, account]).await;
    };

    pending("list and watch it: ", "").await; // which verb it asks by is its own affair
    // The Rollout is told of it later than the check.
    let told = |r: &Value| hold_message(r, "AwaitingHealth").contains(&object);
    story.until("held by what may not be read", told).await;
    grant("lister", "list,watch").await;
    pending("get it: ", "cannot get").await;
    grant("getter", "get").await;

    // No watch tells of a permission: it is tried again, by the same process.
    let done = story.completed(1).await;
    assert_eq!(text(&done, "/status/history/0/bakeStatus"), "Succeeded");
    let check = story.cluster.get("HealthCheck", SHOP).await;
    assert!(says(&check, "Healthy"), "{check}");
    let ours = |line: &String| line.contains("/limitranges");
    assert!(controller.forbidden().iter().all(ours), "{:?}", controller.forbidden());
}
