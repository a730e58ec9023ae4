//! What belongs to the user stays the user's: routes and Services are touched by field.

use serde_json::{Value, json};

use crate::support::json::{list, merged, text};
use crate::support::ladder::{sequence, weights};
use crate::support::proxy::{Fault, Rule};
use crate::support::shop::{CANARY, STABLE, grpc, route, routed, service};
use crate::support::story::{SHOP, Story};
use crate::support::watch::{Change, Seen};

fn three_steps() -> Value {
    json!([{"setWeight": 20}, {"setWeight": 50}, {"setWeight": 100}])
}

/// A route as users have them: rules around ours, filters, matches, a backend of their own.
fn crowded() -> Value {
    let spec = json!({"spec": {"hostnames": ["shop.example"], "rules": [
        {
            "name": "legacy",
            "matches": [{"path": {"type": "PathPrefix", "value": "/old"},
                "headers": [{"type": "RegularExpression", "name": "x-age", "value": "9.*"}]}],
            "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier":
                {"set": [{"name": "x-shop", "value": "old"}], "remove": ["x-new"]}}],
            "backendRefs": [{"name": "legacy", "port": 80, "weight": 7}],
        },
        {
            "name": "main",
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}, "method": "GET"}],
            "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier":
                {"add": [{"name": "x-by", "value": "shop"}]}}],
            "timeouts": {"request": "5s"},
            "backendRefs": [
                {"name": STABLE, "port": 8080, "weight": 100},
                {"name": CANARY, "port": 8080, "weight": 0, "filters": [
                    {"type": "RequestHeaderModifier",
                     "requestHeaderModifier": {"set": [{"name": "x-side", "value": "canary"}]}}]},
            ],
        },
        {"name": "tail", "backendRefs": [{"name": "legacy", "port": 80}]},
    ]}});
    let labels = json!({"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "ours"}}});
    merged(merged(route(), &spec), &labels)
}

/// A route without what we may write: its status, its bookkeeping, our two weights.
fn theirs(route: &Value) -> Value {
    let mut route = route.clone();
    let fields = route.as_object_mut().unwrap();
    fields.remove("status");
    let metadata = fields["metadata"].as_object_mut().unwrap();
    for field in ["resourceVersion", "generation", "managedFields"] {
        metadata.remove(field);
    }
    for rule in route["spec"]["rules"].as_array_mut().unwrap() {
        for backend in rule["backendRefs"].as_array_mut().unwrap() {
            if [STABLE, CANARY].contains(&text(backend, "/name")) {
                backend.as_object_mut().unwrap().remove("weight");
            }
        }
    }
    route
}

#[tokio::test]
async fn all_else_of_a_users_route_stays_byte_for_byte() {
    let story = Story::begin("theirs", 90).await;
    story.cluster.add(service("legacy")).await;
    let before = story.cluster.add(crowded()).await;
    let routes = story.watch("HTTPRoute").await;
    story.cluster.add(routed(&story, "1.0.0", three_steps())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;

    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    let before = theirs(&before).to_string();
    for state in routes.states(SHOP) {
        assert_eq!(theirs(&state).to_string(), before);
    }
}

#[tokio::test]
async fn a_route_for_grpc_is_weighed_and_all_else_of_it_stays_byte_for_byte() {
    let story = Story::begin("grpc-route", 90).await;
    story.cluster.add(service("legacy")).await;
    let rules = json!({"spec": {"rules": [
        {"matches": [{"method": {"service": "shop.Old"}}],
            "backendRefs": [{"name": "legacy", "port": 80}]},
        {"matches": [{"method": {"service": "shop.Cart", "method": "Add"},
                "headers": [{"name": "x-age", "value": "9"}]}],
            "backendRefs": [{"name": STABLE, "port": 8080}, {"name": CANARY, "port": 8080}]},
    ]}});
    let before = story.cluster.add(grpc(merged(route(), &rules))).await;
    let routes = story.watch("GRPCRoute").await;
    story.cluster.add(grpc(routed(&story, "1.0.0", three_steps()))).await;
    // An API server without streaming lists, which does not answer the first weight.
    let controller = story.controller().await;
    controller.kill();
    controller.proxy.be_old();
    controller.proxy.disturb(Rule::nth(1, Fault::Lost).to("/grpcroutes/"));
    controller.restart();
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;

    // Backends without weights count as 1 each, until the first revision is up.
    assert_eq!(sequence(&routes), [(1, 1), (100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    let before = theirs(&before).to_string();
    for state in routes.states(SHOP) {
        assert_eq!(theirs(&state).to_string(), before);
    }
}

#[tokio::test]
async fn weights_shared_with_a_backend_of_the_users_keep_their_sum() {
    let story = Story::begin("shared", 90).await;
    story.cluster.add(service("legacy")).await;
    let rules = json!([{"backendRefs": [
        {"name": "legacy", "port": 8080, "weight": 200},
        {"name": STABLE, "port": 8080, "weight": 300},
        {"name": CANARY, "port": 8080, "weight": 0},
    ]}]);
    story.cluster.add(merged(route(), &json!({"spec": {"rules": rules}}))).await;
    let routes = story.watch("HTTPRoute").await;
    story.cluster.add(routed(&story, "1.0.0", three_steps())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;

    assert_eq!(sequence(&routes), [(300, 0), (240, 60), (150, 150), (0, 300), (300, 0)]);
    for state in routes.states(SHOP) {
        let theirs = state.pointer("/spec/rules/0/backendRefs/0/weight");
        assert_eq!(theirs, Some(&json!(200)));
    }
}

#[tokio::test]
async fn shared_weights_that_are_too_small_to_split_are_held_with_the_remedy() {
    let story = Story::begin("small", 60).await;
    let rules = json!([{"backendRefs": [
        {"name": "legacy", "port": 8080, "weight": 40},
        {"name": STABLE, "port": 8080, "weight": 60},
        {"name": CANARY, "port": 8080, "weight": 0},
    ]}]);
    story.cluster.add(merged(route(), &json!({"spec": {"rules": rules}}))).await;
    story.cluster.add(routed(&story, "1.0.0", three_steps())).await;
    let _controller = story.controller().await;
    let message = story.held("RouteAmbiguous").await;
    assert!(message.contains("at least 100"), "{message}");
}

#[tokio::test]
async fn services_are_created_where_there_are_none() {
    let story = Story::begin("services", 60).await;
    story.cluster.add(route()).await;
    story.cluster.add(routed(&story, "1.0.0", three_steps())).await;
    let controller = story.controller().await;
    let done = story.completed(1).await;
    let revision = text(&done, "/status/stable/revision");
    for name in [STABLE, CANARY] {
        let service = story.cluster.get("Service", name).await;
        assert_eq!(text(&service, "/metadata/ownerReferences/0/kind"), "Rollout");
        assert_eq!(service["spec"]["ports"][0]["port"], 8080);
        assert_eq!(service["spec"]["ports"][0]["targetPort"], 8080);
        assert_eq!(text(&service, "/spec/selector/app"), SHOP);
        assert_eq!(text(&service, "/spec/selector/stairlock.dev~1revision"), revision, "{name}");
    }
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_users_services_are_adopted_by_one_selector_key_and_given_back() {
    let story = Story::begin("adopted", 90).await;
    let labels = json!({"metadata": {"labels": {"team": "shop"}},
        "spec": {"sessionAffinity": "ClientIP"}});
    let mut before = Vec::new();
    for name in [STABLE, CANARY] {
        before.push(story.cluster.add(merged(service(name), &labels)).await);
    }
    story.cluster.add(route()).await;
    let services = story.watch("Service").await;
    story.cluster.add(routed(&story, "1.0.0", three_steps())).await;
    let controller = story.controller().await;
    let done = story.completed(1).await;
    let revision = text(&done, "/status/stable/revision");

    for before in &before {
        let after = story.cluster.get("Service", text(before, "/metadata/name")).await;
        let mut want = before["spec"].clone();
        want["selector"]["stairlock.dev/revision"] = json!(revision);
        assert_eq!(after["spec"], want);
        assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
        assert_eq!(after["metadata"]["ownerReferences"], Value::Null);
    }

    story.cluster.remove("Rollout", SHOP).await;
    let gone = |seen: &Seen| seen.change == Change::Deleted;
    story.rollouts.until(story.end, "the Rollout is gone", gone).await;
    for before in &before {
        let after = story.cluster.get("Service", text(before, "/metadata/name")).await;
        assert_eq!(after["spec"], before["spec"], "the selector is the user's again");
    }
    assert_eq!(list(&services.states(STABLE)[0], "/metadata/ownerReferences").len(), 0);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_route_that_the_gateway_refuses_gets_no_traffic() {
    let story = Story::begin("refused", 90).await;
    story.cluster.add(route()).await;
    story.cluster.add(routed(&story, "1.0.0", three_steps())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    let refuse = json!({"metadata": {"annotations": {"test.stairlock.dev/accept": "false"}}});
    story.cluster.merge("HTTPRoute", SHOP, refuse).await;
    let refused = |seen: &Seen| {
        let conditions = list(&seen.object, "/status/parents/0/conditions");
        conditions.iter().any(|c| text(c, "/type") == "Accepted" && text(c, "/status") == "False")
    };
    routes.until(story.end, "the route is refused", refused).await;

    story.set_image(&story.image("1.1.0")).await;
    story.held("RouteRefused").await;
    assert_eq!(sequence(&routes), [(100, 0)]);

    let accept = json!({"metadata": {"annotations": {"test.stairlock.dev/accept": null}}});
    story.cluster.merge("HTTPRoute", SHOP, accept).await;
    story.completed(2).await;
}

/// The Rollout of the shop behind several routes.
fn behind(story: &Story, entries: Value) -> Value {
    let api = json!({"httpRoute": null, "routes": entries});
    let routing = json!({"trafficRouting": {"gatewayAPI": api}});
    merged(
        routed(story, "1.0.0", three_steps()),
        &json!({"spec": {"strategy": {"canary": routing}}}),
    )
}

#[tokio::test]
async fn several_routes_rise_together_and_fall_though_one_is_refused() {
    let story = Story::begin("several", 120).await;
    story.cluster.add(route()).await;
    story.cluster.add(grpc(route())).await;
    let http = story.watch("HTTPRoute").await;
    let calls = story.watch("GRPCRoute").await;
    let entries = json!([{"kind": "GRPCRoute", "name": SHOP}, {"kind": "HTTPRoute", "name": SHOP}]);
    story.cluster.add(behind(&story, entries)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;
    let climbed = [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)];
    assert_eq!((sequence(&http), sequence(&calls)), (climbed.to_vec(), climbed.to_vec()));

    // One is refused once it has weight: the other loses it all the same.
    let steps = json!([{"setWeight": 20, "pause": {}}]);
    let paused = json!({"spec": {"strategy": {"canary": {"steps": steps}}}});
    story.cluster.merge("Rollout", SHOP, paused).await;
    story.set_image(&story.image("1.2.0")).await;
    story.paused(3, 1).await;
    let refuse = json!({"metadata": {"annotations": {"test.stairlock.dev/accept": "false"}}});
    story.cluster.merge("GRPCRoute", SHOP, refuse).await;
    story.held("RouteRefused").await;
    story.command("stairlock.dev/abort", "true").await;
    let home = |seen: &[Seen]| seen.last().is_some_and(|seen| weights(&seen.object) == (100, 0));
    http.until_all(story.end, "the HTTPRoute is back", home).await;
    let accept = json!({"metadata": {"annotations": {"test.stairlock.dev/accept": null}}});
    story.cluster.merge("GRPCRoute", SHOP, accept).await;
    story.failed(3, "Aborted").await;
    assert_eq!(sequence(&calls).last(), Some(&(100, 0)));
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_route_that_gets_the_labels_joins_and_stays_until_the_end() {
    let story = Story::begin("labelled", 120).await;
    let labels = |value: Value| json!({"metadata": {"labels": {"shop": value}}});
    story.cluster.add(merged(route(), &labels(json!("yes")))).await;
    let late = merged(route(), &json!({"metadata": {"name": "late"}}));
    story.cluster.add(late).await;
    let routes = story.watch("HTTPRoute").await;
    let entries = json!([{"kind": "HTTPRoute", "matchLabels": {"shop": "yes"}}]);
    let steps = json!([{"setWeight": 20, "pause": {}}]);
    let paused = json!({"spec": {"strategy": {"canary": {"steps": steps}}}});
    story.cluster.add(merged(behind(&story, entries), &paused)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    assert_eq!(routes.states("late").iter().map(weights).max(), Some((100, 0)));

    story.cluster.merge("HTTPRoute", "late", labels(json!("yes"))).await;
    let joined = |seen: &Seen| {
        text(&seen.object, "/metadata/name") == "late" && weights(&seen.object) == (80, 20)
    };
    routes.until(story.end, "the second route has the weight", joined).await;
    let status = story.cluster.get("Rollout", SHOP).await;
    let used = list(&status, "/status/attempt/routing/routes");
    assert_eq!(used.iter().map(|used| text(used, "/name")).collect::<Vec<_>>(), ["late", SHOP]);

    story.cluster.merge("HTTPRoute", SHOP, labels(Value::Null)).await;
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;
    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (0, 100), (100, 0)]);
    let last = routes.states("late").last().map(weights);
    assert_eq!(last, Some((100, 0)));
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// The Rollout of the shop that makes its route itself, with a pause on its first step.
fn making(story: &Story, kind: &str) -> Value {
    let own = json!({"kind": kind, "hostnames": ["shop.example"],
        "parentRefs": [{"name": "fake", "namespace": "gw"}]});
    let api = json!({"httpRoute": null, "createRoute": own});
    let canary = json!({"steps": [{"setWeight": 20, "pause": {}}],
        "trafficRouting": {"gatewayAPI": api}});
    merged(
        routed(story, "1.0.0", three_steps()),
        &json!({"spec": {"strategy": {"canary": canary}}}),
    )
}

/// The route is made, made anew in the middle of a release, told other host names, and goes with
/// the Rollout.
async fn made_for_a_rollout(name: &str, kind: &str) {
    let story = Story::begin(name, 120).await;
    let routes = story.watch(kind).await;
    story.cluster.add(making(&story, kind)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let made = story.cluster.get(kind, SHOP).await;
    assert_eq!(text(&made, "/metadata/ownerReferences/0/kind"), "Rollout");
    assert_eq!(weights(&made), (100, 0));

    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    story.cluster.remove(kind, SHOP).await;
    let anew = |seen: &Seen| {
        seen.change != Change::Deleted
            && seen.object["metadata"]["uid"] != made["metadata"]["uid"]
            && weights(&seen.object) == (80, 20)
    };
    routes.until(story.end, "the route is there again, with its weight", anew).await;

    let own = json!({"hostnames": ["shop.example", "www.shop.example"]});
    let canary = json!({"trafficRouting": {"gatewayAPI": {"createRoute": own}}});
    let told = json!({"spec": {"strategy": {"canary": canary}}});
    story.cluster.merge("Rollout", SHOP, told).await;
    let follows = |seen: &Seen| list(&seen.object, "/spec/hostnames").len() == 2;
    routes.until(story.end, "the route has the host names", follows).await;
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;

    story.cluster.remove("Rollout", SHOP).await;
    let gone = |seen: &[Seen]| seen.last().is_some_and(|seen| seen.change == Change::Deleted);
    routes.until_all(story.end, "the route goes with the Rollout", gone).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn an_http_route_is_made_for_a_rollout() {
    made_for_a_rollout("made-http", "HTTPRoute").await;
}

#[tokio::test]
async fn a_grpc_route_is_made_for_a_rollout() {
    made_for_a_rollout("made-grpc", "GRPCRoute").await;
}
