//! What a GitOps tool would put back is not written; each remedy that is named makes it go on.

use serde_json::{Value, json};

use crate::support::json::{holds, merged, text, version};
use crate::support::proxy::Call;
use crate::support::shop::{
    CANARY, STABLE, from_git, kustomization, quick, rollout, route, routed,
};
use crate::support::shop::{service, sourced};
use crate::support::story::{SHOP, Story};

const FLUX: &str = "kustomize-controller";
const IMAGE: &str = "/spec/template/spec/containers/0/image";

fn if_not_present() -> Value {
    json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}}})
}

/// A shop whose Services are in Git: held, and untouched.
async fn services_in_git(title: &str) -> (Story, crate::support::controller::Controller) {
    let story = Story::begin(title, 90).await;
    story.cluster.add(kustomization("Service", &[])).await;
    let mut before = Vec::new();
    for name in [STABLE, CANARY] {
        before.push(story.cluster.apply(FLUX, from_git(&story, service(name))).await);
    }
    story.cluster.add(route()).await;
    story.cluster.add(routed(&story, "1.0.0", quick())).await;
    let controller = story.controller().await;

    let message = story.held("ServiceOwned").await;

    for remedy in ["leave it out of Git", "ssa: IfNotPresent", "/spec/selector", "spec.ignore"] {
        assert!(message.contains(remedy), "{remedy}: {message}");
    }
    for before in &before {
        let after = story.cluster.get("Service", text(before, "/metadata/name")).await;
        assert_eq!(version(&after), version(before), "it is not written");
    }
    (story, controller)
}

#[tokio::test]
async fn services_in_git_hold_until_they_are_annotated() {
    let (story, controller) = services_in_git("svcssa").await;
    for name in [STABLE, CANARY] {
        story.cluster.merge("Service", name, if_not_present()).await;
    }
    story.completed(1).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn services_in_git_hold_until_their_kustomization_ignores_the_selector() {
    let (story, controller) = services_in_git("svcign").await;
    let ignore = json!({"spec": kustomization("Service", &["/spec/selector"])["spec"].clone()});
    story.cluster.merge("Kustomization", "apps", ignore).await;
    story.completed(1).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// A shop whose route is in Git: held, and untouched.
async fn route_in_git(title: &str) -> (Story, crate::support::controller::Controller) {
    let story = Story::begin(title, 90).await;
    story.cluster.add(kustomization("HTTPRoute", &[])).await;
    story.cluster.apply(FLUX, from_git(&story, route())).await;
    story.cluster.add(routed(&story, "1.0.0", quick())).await;
    let controller = story.controller().await;

    let message = story.held("RouteOwned").await;

    for remedy in ["ssa: IfNotPresent", "/spec/rules", "spec.ignore"] {
        assert!(message.contains(remedy), "{remedy}: {message}");
    }
    let calls = controller.proxy.calls();
    let writes = calls.iter().find(|call| call.mutates() && call.path.contains("/httproutes/"));
    assert!(writes.is_none(), "{writes:?}");
    (story, controller)
}

#[tokio::test]
async fn a_route_in_git_holds_until_it_is_annotated() {
    let (story, controller) = route_in_git("routessa").await;
    story.cluster.merge("HTTPRoute", SHOP, if_not_present()).await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_route_in_git_holds_until_its_kustomization_ignores_the_rules() {
    let (story, controller) = route_in_git("routeign").await;
    let ignore = json!({"spec": kustomization("HTTPRoute", &["/spec/rules"])["spec"].clone()});
    story.cluster.merge("Kustomization", "apps", ignore).await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn merge_is_no_remedy() {
    let (story, _controller) = route_in_git("merge").await;
    let merge = json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/ssa": "Merge"}}});
    story.cluster.merge("HTTPRoute", SHOP, merge).await;
    story.clock("clock").await;
    let after = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(holds(&after), ["RouteOwned"]);
}

#[tokio::test]
async fn an_image_that_git_owns_is_not_written() {
    let story = Story::begin("image", 90).await;
    story.offer("1.1.0").await;
    let owned = sourced(rollout(&story, "1.0.0", quick()));
    story.cluster.apply(FLUX, owned.clone()).await;
    let controller = story.controller().await;

    let message = story.held("ImageOwned").await;

    assert!(message.contains(FLUX), "{message}");
    assert!(message.contains("leave image out of Git"), "{message}");
    story.completed(1).await;
    story.clock("clock").await;
    let after = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(text(&after, IMAGE), story.image("1.0.0"));
    let calls = controller.proxy.calls();
    assert_eq!(calls.iter().find(|call| edits_the_image(call)).map(Call::line), None);

    // The remedy: Git leaves the image out, and what it leaves behind is taken over.
    let container = json!([{"name": "app", "ports": [{"containerPort": 8080}]}]);
    let without = json!({"spec": {"template": {"spec": {"containers": container}}}});
    story.cluster.apply(FLUX, merged(owned, &without)).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"));
}

#[tokio::test]
async fn an_image_that_git_owns_is_written_where_its_kustomization_ignores_it() {
    let story = Story::begin("imageign", 90).await;
    story.offer("1.1.0").await;
    let path = "/spec/template/spec/containers/0/image";
    story.cluster.add(kustomization("Rollout", &[path])).await;
    let owned = from_git(&story, sourced(rollout(&story, "1.0.0", quick())));
    story.cluster.apply(FLUX, owned).await;
    let _controller = story.controller().await;

    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), story.image("1.1.0"));
}

#[tokio::test]
async fn an_image_that_is_put_back_is_not_fought_over() {
    let story = Story::begin("fight", 90).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.push("1.1.0").await;
    story.completed(2).await;

    // Git had the old value all along, which nobody can see until it is put back.
    story.cluster.apply(FLUX, sourced(rollout(&story, "1.0.0", quick()))).await;
    story.held("ImageOwned").await;
    let mark = controller.proxy.mark();
    story.clock("clock").await;
    let calls = controller.proxy.calls();
    let again = calls.iter().skip(mark).find(|call| edits_the_image(call));
    assert_eq!(again.map(Call::line), None);
}

/// Whether a request changes the shop itself, and an image in it.
fn edits_the_image(call: &Call) -> bool {
    call.mutates() && call.path.ends_with("/rollouts/shop") && call.body.to_string().contains(":1.")
}
