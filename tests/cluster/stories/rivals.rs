//! Two that claim one route: the older Rollout has it, and what somebody else made stays theirs.

use serde_json::{Value, json};

use crate::support::json::{hold_message, list, merged, name, number, text};
use crate::support::shop::{named, quick, rollout, route, routed, service};
use crate::support::story::{SHOP, Story, attempt_is, completed};
use crate::support::watch::Seen;

/// Another Rollout beside the shop.
const CART: &str = "cart";

/// A Rollout with Services of its own behind the route of the shop.
fn claiming(of: &str) -> Value {
    let image = format!("registry.example/{of}:1.0.0");
    let over = json!({"spec": {"strategy": {"canary": {
        "stableService": format!("{of}-stable"),
        "canaryService": format!("{of}-canary"),
        "port": 8080,
        "trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}},
    }}}});
    merged(named(of, &image, quick()), &over)
}

/// A route with a rule for each of the two.
fn shared() -> Value {
    let rules = [SHOP, CART].map(|of| {
        let backend = |side: &str, weight: i64| {
            json!({"name": format!("{of}-{side}"), "port": 8080,
                "weight": weight})
        };
        json!({"matches": [{"path": {"value": format!("/{of}")}}],
            "backendRefs": [backend("stable", 100), backend("canary", 0)]})
    });
    merged(route(), &json!({"spec": {"rules": rules}}))
}

/// Adds the Services of the two, since the route names all of them.
async fn services(story: &Story) {
    for of in [SHOP, CART] {
        for side in ["stable", "canary"] {
            let selector = json!({"spec": {"selector": {"app": of}}});
            story.cluster.add(merged(service(&format!("{of}-{side}")), &selector)).await;
        }
    }
}

/// The weights that one of the two has had, each once as long as it stood.
fn had(states: &[Value], of: &str) -> Vec<[i64; 2]> {
    let rule = if of == SHOP { 0 } else { 1 };
    let weight = |route: &Value, at: i32| {
        number(route, &format!("/spec/rules/{rule}/backendRefs/{at}/weight"))
    };
    let mut had: Vec<_> = states.iter().map(|r| [weight(r, 0), weight(r, 1)]).collect();
    had.dedup();
    had
}

/// Has one of the two release another version.
async fn release(story: &Story, of: &str) {
    let containers = json!([{"name": "app", "image": format!("registry.example/{of}:1.1.0"),
        "ports": [{"containerPort": 8080}]}]);
    let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    story.cluster.merge("Rollout", of, change).await;
}

/// The names of the two, the older one first: of one second who has the lesser uid.
async fn by_age(story: &Story) -> [String; 2] {
    let mut both = story.cluster.all("Rollout").await;
    let meta = |r: &Value, field: &str| text(r, &format!("/metadata/{field}")).to_owned();
    both.sort_by_key(|r| (meta(r, "creationTimestamp"), meta(r, "uid")));
    [0, 1].map(|at| name(&both[at]).to_owned())
}

/// The older of the two has the route; the other one holds, and follows once that is gone.
async fn settled(story: &Story) {
    let [older, younger] = by_age(story).await;
    let routes = story.watch("HTTPRoute").await;
    story.completed_of(&older, 1).await;
    let waits = |r: &Value| !hold_message(r, "DuplicateBinding").is_empty();
    let held = story.becomes("Rollout", &younger, "the older one has it", waits).await;
    let message = hold_message(&held, "DuplicateBinding");
    assert!(message.contains(&format!("HTTPRoute {SHOP}")), "{message}");
    assert!(message.contains(&format!("the older Rollout {older}")), "{message}");

    release(story, &older).await;
    story.completed_of(&older, 2).await;
    let climbed = [[100, 0], [50, 50], [0, 100], [100, 0]];
    assert_eq!(had(&routes.states(SHOP), &older), climbed);
    assert_eq!(had(&routes.states(SHOP), &younger), [[100, 0]], "it touches nothing of it");
    let held = story.cluster.get("Rollout", &younger).await;
    assert_eq!(list(&held, "/status/history").len(), 0, "{held}");

    story.cluster.remove("Rollout", &older).await;
    story.completed_of(&younger, 1).await;
    release(story, &younger).await;
    story.completed_of(&younger, 2).await;
    assert_eq!(had(&routes.states(SHOP), &younger), climbed);
}

#[tokio::test]
async fn of_two_rollouts_on_one_route_the_older_has_it() {
    let story = Story::begin("claimed", 60).await;
    services(&story).await;
    story.cluster.add(shared()).await;
    story.cluster.add(claiming(SHOP)).await;
    story.cluster.add(claiming(CART)).await;
    let controller = story.controller().await;
    settled(&story).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn of_two_rollouts_on_a_route_that_comes_later_the_older_has_it() {
    let story = Story::begin("awaited", 60).await;
    services(&story).await;
    let controller = story.controller().await;
    story.cluster.add(claiming(CART)).await;
    let absent = |r: &Value| hold_message(r, "BackendNotFound").contains("HTTPRoute shop");
    story.until_of(CART, "there is no route", absent).await;
    story.cluster.add(claiming(SHOP)).await;
    let held = |r: &Value| !list(r, "/status/waitingFor").is_empty();
    story.until("the other one waits too", held).await;
    story.cluster.add(shared()).await;
    settled(&story).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// The shop, which makes its route itself.
fn making(story: &Story) -> Value {
    let own = json!({"parentRefs": [{"name": "fake", "namespace": "gw"}]});
    let api = json!({"httpRoute": null, "createRoute": own});
    let routing = json!({"trafficRouting": {"gatewayAPI": api}});
    merged(routed(story, "1.0.0", quick()), &json!({"spec": {"strategy": {"canary": routing}}}))
}

/// The route of somebody else stays as it is; once it is gone the shop makes its own.
async fn taken(story: &Story) {
    let message = story.held("RouteTaken").await;
    assert!(message.contains("HTTPRoute shop") && message.contains("createRoute"), "{message}");
    story.clock("clock").await;
    let theirs = story.cluster.get("HTTPRoute", SHOP).await;
    assert_eq!(list(&theirs, "/metadata/ownerReferences").len(), 0, "{theirs}");
    assert_eq!(number(&theirs, "/metadata/generation"), 1, "{theirs}");

    let routes = story.watch("HTTPRoute").await;
    story.cluster.remove("HTTPRoute", SHOP).await;
    let ours = |seen: &Seen| text(&seen.object, "/metadata/ownerReferences/0/kind") == "Rollout";
    routes.until(story.end, "the shop makes its own", ours).await;
}

#[tokio::test]
async fn a_route_of_somebody_else_is_not_taken_over() {
    let story = Story::begin("taken", 120).await;
    story.cluster.add(route()).await;
    story.cluster.add(making(&story)).await;
    let controller = story.controller().await;
    taken(&story).await;
    story.completed(1).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_route_that_somebody_else_puts_in_the_place_of_ours_is_left_to_them() {
    let story = Story::begin("displaced", 120).await;
    let controller = story.controller().await;
    story.cluster.add(rollout(&story, "1.0.0", quick())).await;
    story.completed(1).await;
    // The route comes before the Rollout asks for one of its own.
    story.cluster.add(route()).await;
    story.change_strategy(&making(&story)).await;
    taken(&story).await;
    let done = story.until("it is Completed", |r| attempt_is(r, 1) && completed(r)).await;
    assert_eq!(list(&done, "/status/history").len(), 1);
    assert_eq!(controller.forbidden(), [""; 0]);
}
