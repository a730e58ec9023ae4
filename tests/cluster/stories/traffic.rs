//! Real pods behind a real data plane: what is measured is what was asked for, and nothing fails.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::controller::Controller;
use crate::support::front::{Front, Speaks};
use crate::support::json::{merged, text};
use crate::support::rig::{rig, succeeded};
use crate::support::shop::{experiment, grpc, rollout, routed, two_sides};
use crate::support::story::{SHOP, Story, attempt_is};

/// Where a Rollout names a route for gRPC.
const GRPC_ROUTE: &str = "/spec/strategy/canary/trafficRouting/gatewayAPI/grpcRoute";

/// A Rollout whose pods run on the real node.
fn real(rollout: Value) -> Value {
    let image = text(&rollout, "/spec/template/spec/containers/0/image").to_owned();
    let pod = json!({
        "nodeSelector": {"type": "real"},
        "tolerations": [{"key": "stairlock.dev/real", "operator": "Exists"}],
        "terminationGracePeriodSeconds": 10,
        "containers": [{"name": "app", "image": image,
            "ports": [{"containerPort": 8080}],
            "env": [{"name": "DRAIN", "value": "2s"}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080},
                "periodSeconds": 1}}],
    });
    merged(rollout, &json!({"spec": {"template": {"spec": pod}}}))
}

/// Pushes the program that answers with its version.
async fn push_program(story: &Story, tag: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/image.sh");
    let output = Command::new(script).arg(story.image(tag)).output().await.unwrap();
    succeeded("image.sh", output);
}

/// A shop that answers through the data plane with 1.0.0; nothing where there is no data plane.
async fn open(
    title: &str,
    tags: &[&str],
    rollout: impl Fn(&Story) -> Value,
) -> Option<(Story, Controller, Front)> {
    if !rig().real_traffic() {
        println!("no real node or data plane here: {title} is seen on the route only");
        return None;
    }
    let story = Story::begin(title, 240).await;
    let rollout = rollout(&story);
    let (route, host) = story.real_route();
    let grpc_only = rollout.pointer(GRPC_ROUTE).is_some();
    let (route, speaks) =
        if grpc_only { (grpc(route), Speaks::Grpc) } else { (route, Speaks::Http) };
    for tag in tags {
        push_program(&story, tag).await;
    }
    story.cluster.add(route).await;
    story.cluster.add(real(rollout)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let front = Front::open(&story, &host, speaks).await;
    Some((story, controller, front))
}

/// Sets the image as a person does.
async fn release(story: &Story, tag: &str) {
    let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image",
        "value": story.image(tag)}]);
    story.kubectl(&["patch", "slr", SHOP, "--type=json", "-p", &image.to_string()]).await;
}

/// A release has the traffic that it is to have at each pause, which is ended then, and all of it
/// at last.
async fn climbed(story: &Story, front: &Front, tag: &str, (attempt, weights): (i64, &[i32])) {
    for (step, weight) in (1..).zip(weights) {
        story.paused(attempt, step).await;
        front.shares(tag, *weight).await;
        story.command("stairlock.dev/promote", "true").await;
    }
    story.completed(attempt).await;
    story.drained().await;
    front.shares(tag, 100).await;
}

#[tokio::test]
async fn measured_traffic_follows_the_weights_and_no_answer_fails() {
    let steps = json!([{"setWeight": 20, "pause": {}}, {"setWeight": 50, "pause": {}},
        {"setWeight": 100}]);
    let shop = |story: &Story| routed(story, "1.0.0", steps.clone());
    let Some((story, _controller, front)) = open("traffic", &["1.0.0", "1.1.0"], shop).await else {
        return;
    };
    let visitors = front.visitors();
    release(&story, "1.1.0").await;
    climbed(&story, &front, "1.1.0", (2, &[20, 50])).await;
    visitors.leave().await;
}

#[tokio::test]
async fn measured_calls_of_grpc_follow_the_weights_and_none_fails() {
    let steps = json!([{"setWeight": 30, "pause": {}}, {"setWeight": 100}]);
    let shop = |story: &Story| grpc(routed(story, "1.0.0", steps.clone()));
    let Some((story, _controller, front)) = open("grpc", &["1.0.0", "1.1.0"], shop).await else {
        return;
    };
    let visitors = front.visitors();
    release(&story, "1.1.0").await;
    climbed(&story, &front, "1.1.0", (2, &[30])).await;
    visitors.leave().await;
}

/// A canary is taken back by command, the next by a release in the middle of its ladder.
#[tokio::test]
async fn no_answer_fails_while_a_canary_is_aborted_and_another_superseded() {
    let steps = json!([{"setWeight": 40, "pause": {}}, {"setWeight": 100}]);
    let shop = |story: &Story| routed(story, "1.0.0", steps.clone());
    let tags = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"];
    let Some((story, _controller, front)) = open("aborted", &tags, shop).await else { return };
    let visitors = front.visitors();

    release(&story, "1.1.0").await;
    story.paused(2, 1).await;
    front.shares("1.1.0", 40).await;
    story.command("stairlock.dev/abort", "true").await;
    story.failed(2, "Aborted").await;
    front.shares("1.0.0", 100).await;

    release(&story, "1.2.0").await;
    story.paused(3, 1).await;
    release(&story, "1.3.0").await;
    climbed(&story, &front, "1.3.0", (4, &[40])).await;
    visitors.leave().await;
}

/// The switch and an abort, each under traffic.
#[tokio::test]
async fn no_answer_fails_while_two_sides_switch() {
    let over = json!({"autoPromotionEnabled": false,
        "trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}}});
    let shop = |story: &Story| two_sides(rollout(story, "1.0.0", json!([])), &over);
    let tags = ["1.0.0", "1.1.0", "1.2.0"];
    let Some((story, _controller, front)) = open("switch", &tags, shop).await else { return };
    let visitors = front.visitors();
    for (attempt, tag, command, then) in
        [(2, "1.1.0", "promote", "1.1.0"), (3, "1.2.0", "abort", "1.1.0")]
    {
        release(&story, tag).await;
        story.previewed(attempt).await;
        front.shares(tag, 0).await;
        story.command(&format!("stairlock.dev/{command}"), "true").await;
        match command {
            "promote" => story.completed(attempt).await,
            _ => story.failed(attempt, "Aborted").await,
        };
        front.shares(then, 100).await;
    }
    visitors.leave().await;
}

/// A canary with traffic becomes blue-green, under traffic.
#[tokio::test]
async fn no_answer_fails_while_the_strategy_changes() {
    let steps = json!([{"setWeight": 40, "pause": {}}, {"setWeight": 100}]);
    let shop = |story: &Story| routed(story, "1.0.0", steps.clone());
    let Some((story, _controller, front)) = open("changed", &["1.0.0", "1.1.0"], shop).await else {
        return;
    };
    let visitors = front.visitors();
    release(&story, "1.1.0").await;
    story.paused(2, 1).await;
    front.shares("1.1.0", 40).await;
    let over = json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 10,
        "trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}}});
    story.change_strategy(&two_sides(rollout(&story, "1.0.0", json!([])), &over)).await;
    story.previewed(3).await;
    front.shares("1.0.0", 100).await;
    story.command("stairlock.dev/promote", "true").await;
    story.completed(3).await;
    story.drained().await;
    front.shares("1.1.0", 100).await;
    visitors.leave().await;
}

/// An experiment that is won, one that is superseded and one that is not won, each under traffic
/// with the cookie and without.
#[tokio::test]
async fn users_with_the_cookie_see_variant_b_and_no_answer_fails() {
    let cookie = json!({"variantBMatch": {"header": null,
        "cookie": {"name": "group", "value": "b.1"}}});
    let shop = |story: &Story| experiment(rollout(story, "1.0.0", json!([])), &cookie);
    let tags = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"];
    let Some((story, _controller, all)) = open("variants", &tags, shop).await else { return };
    let (group, near) = (all.with("a=1; group=b.1; z=2"), all.with("xgroup=b.1; group=bx1"));
    let visitors = [all.visitors(), group.visitors()];
    for (attempt, tag, winner, then) in
        [(2, "1.1.0", Some("B"), "1.1.0"), (3, "1.2.0", None, ""), (4, "1.3.0", Some("A"), "1.1.0")]
    {
        release(&story, tag).await;
        story.experimenting(attempt).await;
        group.until_only(&story, tag).await;
        let before = if attempt == 2 { "1.0.0" } else { "1.1.0" };
        for (front, sees) in [(&group, tag), (&all, before), (&near, before)] {
            front.only(sees).await;
        }
        let Some(winner) = winner else { continue };
        story.command("stairlock.dev/conclude-experiment", winner).await;
        let ended = |r: &Value| text(r, "/status/attempt/stage").ends_with("ed");
        story.until("it is over", |r| attempt_is(r, attempt) && ended(r)).await;
        story.drained().await;
        for front in [&all, &group] {
            front.only(then).await;
        }
    }
    for visitors in visitors {
        visitors.leave().await;
    }
}
