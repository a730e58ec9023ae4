//! Two controllers and one Lease: one acts at a time, and another goes on where it ends.

use tokio::sync::Mutex;

use crate::support::cluster::Cluster;
use crate::support::controller::Controller;
use crate::support::install::NAMESPACE;
use crate::support::json::{list, text};
use crate::support::ladder::sequence;
use crate::support::proxy::Call;
use crate::support::shop::{gated, route, routed};
use crate::support::story::{SHOP, Story};
use crate::support::watch::{Seen, Watch};

/// The shipped Role is for one Lease, so these stories take turns.
static LEASE: Mutex<()> = Mutex::const_new(());

/// Starts a controller that waits for the Lease.
async fn contender(story: &Story, name: &str) -> Controller {
    let flags = [story.watched(), "--leader-election=true".to_owned()];
    Controller::start(&format!("{}-{name}", story.namespace()), &flags).await
}

/// A watch of the Lease.
async fn lease(story: &Story) -> Watch {
    let client = story.cluster.client.clone();
    Watch::open(&Cluster { client, namespace: NAMESPACE.to_owned() }, "Lease").await
}

/// Waits until a controller of the story holds the Lease.
async fn holds(story: &Story, leases: &Watch, name: &str) {
    let holder = format!("{}-{name}", story.namespace());
    let held = |seen: &Seen| text(&seen.object, "/spec/holderIdentity") == holder;
    leases.until(story.end, &format!("{holder} holds the Lease"), held).await;
}

/// Writes outside the Lease that were not refused.
fn writes(controller: &Controller) -> Vec<Call> {
    controller.proxy.writes(0)
}

/// A shop at its pause under controller `a`, with `b` beside it.
async fn led_by_a(story: &Story, leases: &Watch) -> (Controller, Controller, Watch) {
    story.cluster.add(route()).await;
    story.cluster.add(routed(story, "1.0.0", gated())).await;
    let a = contender(story, "a").await;
    holds(story, leases, "a").await;
    let b = contender(story, "b").await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    assert_eq!(writes(&b).len(), 0, "who does not hold the Lease does not write");
    (a, b, routes)
}

/// Nothing of `a` was written after the first write of `b`.
fn in_turn(a: &Controller, b: &Controller) {
    let last = writes(a).iter().map(|call| call.order).max();
    let first = writes(b).iter().map(|call| call.order).min();
    assert!(last < first, "{last:?} of a, {first:?} of b");
}

#[tokio::test]
async fn another_controller_finishes_what_a_killed_leader_began() {
    let _turn = LEASE.lock().await;
    let story = Story::begin("killed", 120).await;
    let leases = lease(&story).await;
    let (a, b, routes) = led_by_a(&story, &leases).await;

    a.kill();
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;

    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    assert_eq!(list(&done, "/status/history").len(), 2);
    holds(&story, &leases, "b").await;
    in_turn(&a, &b);
    assert_eq!(b.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_hands_over() {
    let _turn = LEASE.lock().await;
    let story = Story::begin("told", 120).await;
    let leases = lease(&story).await;
    let (a, b, _routes) = led_by_a(&story, &leases).await;

    let status = a.terminate(story.end).await;
    assert_eq!(status.code(), Some(0));
    let released = |seen: &Seen| text(&seen.object, "/spec/holderIdentity").is_empty();
    leases.until(story.end, "the Lease is given back", released).await;
    holds(&story, &leases, "b").await;
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;

    in_turn(&a, &b);
    let last = a.proxy.calls().into_iter().rfind(Call::mutates).unwrap();
    assert!(last.leases(), "giving back the Lease is its last write: {}", last.line());
    assert_eq!(a.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_leader_that_starts_again_goes_on_at_once() {
    let _turn = LEASE.lock().await;
    let story = Story::begin("again", 120).await;
    let leases = lease(&story).await;
    story.cluster.add(routed(&story, "1.0.0", gated())).await;
    story.cluster.add(route()).await;
    let a = contender(&story, "a").await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;

    a.kill();
    a.restart();
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await;
    let holders = leases.seen().into_iter().map(|seen| seen.object);
    let holders: Vec<String> =
        holders.map(|lease| text(&lease, "/spec/holderIdentity").to_owned()).collect();
    let own = format!("{}-a", story.namespace());
    let first = holders.iter().position(|holder| *holder == own).unwrap();
    assert!(holders[first..].iter().all(|holder| *holder == own), "{holders:?} {SHOP}");
}
