//! What a release costs the API server, and what doing nothing costs it: counted at the proxy.

use serde_json::{Value, json};

use crate::support::clock::ticks;
use crate::support::controller::Controller;
use crate::support::json::text;
use crate::support::proxy::Call;
use crate::support::shop::{rollout, route, routed, sourced};
use crate::support::story::Story;

/// The bars of the design for reference stories A and B, events included.
const WRITES_MAX_A: usize = 9;
const WRITES_MAX_B: usize = 18;

fn steps() -> Value {
    json!([{"setWeight": 50, "pause": {"duration": "1s"}}, {"setWeight": 100}])
}

/// The writes for the shop since a mark; the clock that proves the end of it is left out.
fn of_shop(controller: &Controller, mark: usize) -> Vec<String> {
    let writes = controller.proxy.writes(mark).into_iter();
    let ours = writes.filter(|call| !ticks(call, "clock"));
    ours.map(|call| call.line()).collect()
}

#[tokio::test]
async fn story_a_costs_at_most_nine_writes() {
    let story = Story::begin("costa", 60).await;
    story.cluster.add(rollout(&story, "1.0.0", steps())).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.clock("clock1").await;
    let mark = controller.proxy.mark();

    story.set_image(&story.image("1.1.0")).await;
    story.completed(2).await;
    story.drained().await;
    story.clock("clock2").await;

    let writes = of_shop(&controller, mark);
    println!("story A: {} writes\n{}", writes.len(), writes.join("\n"));
    assert!(writes.len() <= WRITES_MAX_A, "{}:\n{}", writes.len(), writes.join("\n"));
}

#[tokio::test]
async fn story_b_costs_at_most_eighteen_writes() {
    let story = Story::begin("costb", 120).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", steps()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.clock("clock1").await;
    let mark = controller.proxy.mark();

    story.push("1.1.0").await;
    story.completed(2).await;
    story.drained().await;
    story.clock("clock2").await;

    let writes = of_shop(&controller, mark);
    println!("story B: {} writes\n{}", writes.len(), writes.join("\n"));
    assert!(writes.len() <= WRITES_MAX_B, "{}:\n{}", writes.len(), writes.join("\n"));
}

#[tokio::test]
async fn at_rest_nothing_is_asked_and_nothing_is_written() {
    let story = Story::begin("rest", 60).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", steps()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let told = |r: &Value| {
        !text(r, "/status/stable/release/digest").is_empty()
            && r.pointer("/status/outbox").is_none()
    };
    story.until("the registry was read and all is told", told).await;
    story.clock("clock1").await;
    let mark = controller.proxy.mark();

    // The window ends when three Rollouts of the same controller have come up one after another.
    for clock in ["clock2", "clock3", "clock4"] {
        story.clock(clock).await;
    }

    let calls = controller.proxy.calls().into_iter().skip(mark);
    let others: Vec<String> =
        calls.filter(|call| !ticks(call, "clock")).map(|call| Call::line(&call)).collect();
    assert!(others.is_empty(), "{}", others.join("\n"));
}
