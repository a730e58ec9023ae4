//! Watches that are late, lose events, fall silent, expire or break: noticed in time, and nothing
//! is decided on what is not there any more.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::controller::Controller;
use crate::support::flux::{APPS, applied, delivering, oci_repository, shown};
use crate::support::health::{checked, health_check};
use crate::support::json::{list, merged, name, number};
use crate::support::kuberik::{bound_as_kuberik, installed};
use crate::support::ladder::sequence;
use crate::support::proxy::{Call, Strike, Trouble};
use crate::support::shop::{CANARY, STABLE, route, routed, sourced};
use crate::support::story::{SHOP, Story, attempt_is};
use crate::support::watch::{Change, Seen, Watch};

/// What a controller watches.
const WATCHED: &[&str] = &[
    "rollouts",
    "replicasets",
    "services",
    "endpointslices",
    "httproutes",
    "imagepolicies",
    "kustomizations",
];
/// Within which time a watch that tells nothing is noticed.
const NOTICED_MAX: Duration = Duration::from_secs(60);
/// Within which time a watch that ended is whole again.
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// A routed shop at the pause of its first step, and the watch of its route.
async fn at_the_pause(title: &str, secs: u64) -> (Story, Controller, Watch) {
    let story = Story::begin(title, secs).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    let steps = json!([{"setWeight": 20, "pause": {}}, {"setWeight": 50}, {"setWeight": 100}]);
    story.cluster.add(sourced(routed(&story, "1.0.0", steps))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    story.push("1.1.0").await;
    story.paused(2, 1).await;
    (story, controller, routes)
}

/// Promotes; tells how long it took until the step was left.
async fn promote(story: &Story) -> Duration {
    story.command("stairlock.dev/promote", "true").await;
    let began = Instant::now();
    let left = |r: &Value| attempt_is(r, 2) && number(r, "/status/attempt/step") > 1;
    story.until("the step is left", left).await;
    began.elapsed()
}

/// Nothing was done twice, and nothing was left out.
async fn once(story: &Story, controller: &Controller, routes: &Watch) {
    let done = story.completed(2).await;
    assert_eq!(sequence(routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(story.replica_sets().await.len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn watches_that_fall_silent_are_noticed_within_a_minute() {
    let (story, controller, routes) = at_the_pause("silent", 150).await;
    story.clock("clock").await;
    WATCHED.iter().for_each(|resource| controller.proxy.strike(resource, Strike::Freeze));
    let took = promote(&story).await;
    assert!(took <= NOTICED_MAX, "{took:?}");
    once(&story, &controller, &routes).await;
}

#[tokio::test]
async fn a_promotion_that_the_watch_lost_is_seen_within_a_minute() {
    let (story, controller, routes) = at_the_pause("untold", 150).await;
    story.clock("clock").await;
    let lost = Trouble { lost: true, ..Trouble::default() };
    controller.proxy.trouble("rollouts", lost);
    let rollouts = story.watch("Rollout").await;
    story.command("stairlock.dev/promote", "true").await;
    let began = Instant::now();
    while !controller.proxy.lost("stairlock.dev/promote") {
        tokio::task::yield_now().await;
    }
    // What happens later is told: the watch looks whole, and nothing in it tells of the promotion.
    controller.proxy.trouble("rollouts", Trouble::default());
    story.clock("later").await;
    let left = |seen: &Seen| {
        let step = number(&seen.object, "/status/attempt/step");
        name(&seen.object) == SHOP && attempt_is(&seen.object, 2) && step > 1
    };
    rollouts.until(story.end, "the step is left", left).await;
    assert!(began.elapsed() <= NOTICED_MAX, "{:?}", began.elapsed());
    once(&story, &controller, &routes).await;
}

/// A release whose watches are late by these seconds, from its template to its end.
async fn climbs_late(title: &str, late: &[(&'static str, u64)]) {
    let story = Story::begin(title, 180).await;
    story.cluster.add(route()).await;
    let steps = json!([{"setWeight": 20, "pause": {}}, {"setWeight": 100}]);
    story.cluster.add(routed(&story, "1.0.0", steps)).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    for (resource, secs) in late {
        let late = Trouble { late: Duration::from_secs(*secs), ..Trouble::default() };
        controller.proxy.trouble(resource, late);
    }
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    promote(&story).await;
    let done = story.completed(2).await;
    assert_eq!(sequence(&routes), [(100, 0), (80, 20), (0, 100), (100, 0)]);
    assert_eq!(list(&done, "/status/history").len(), 2);
    assert_eq!(story.replica_sets().await.len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn a_release_climbs_though_each_watch_is_late_by_a_time_of_its_own() {
    // One is later than the controller waits for its own writes before it asks.
    let rollouts = [("rollouts", 6), ("endpointslices", 1)];
    let others = [("rollouts", 1), ("replicasets", 3), ("endpointslices", 2), ("httproutes", 7)];
    tokio::join!(climbs_late("lates", &rollouts), climbs_late("lated", &others));
}

#[tokio::test]
async fn a_watch_that_expired_lists_again_and_drops_what_is_gone() {
    let (story, controller, routes) = at_the_pause("expired", 120).await;
    let services = story.watch("Service").await;
    let lost = Trouble { lost: true, ..Trouble::default() };
    controller.proxy.trouble("services", lost);
    story.cluster.remove("Service", CANARY).await;
    story.clock("clock").await;
    assert!(story.cluster.find("Service", CANARY).await.is_none(), "nobody has told of it");

    controller.proxy.trouble("services", Trouble::default());
    controller.proxy.strike("services", Strike::Expire);
    let began = Instant::now();
    let again = |seen: &Seen| seen.change == Change::Added && name(&seen.object) == CANARY;
    services.until(story.end, "the Service is made again", again).await;
    assert!(began.elapsed() <= AGAIN_MAX, "{:?}", began.elapsed());
    promote(&story).await;
    once(&story, &controller, &routes).await;
    assert!(story.cluster.find("Service", STABLE).await.is_some(), "{SHOP}");
}

#[tokio::test]
async fn watches_that_break_mid_way_go_on() {
    let (story, controller, routes) = at_the_pause("broken", 120).await;
    WATCHED.iter().for_each(|resource| controller.proxy.strike(resource, Strike::Cut));
    let took = promote(&story).await;
    assert!(took <= AGAIN_MAX, "{took:?}");
    once(&story, &controller, &routes).await;
}

/// Kinds that only some Rollouts and schedules have to do with.
const RARE: &[&str] = &[
    "clusterrolloutschedules",
    "healthchecks",
    "kustomizations",
    "ocirepositories",
    "rolloutgates",
    "rolloutschedules",
];

/// A release that has to do with all of these: delivered twice, found well, and let through by
/// schedules of both kinds.
async fn with_all_kinds(story: &Story) {
    story.offer("1.0.0").await;
    let manifests = shown();
    for tag in ["1.0.0", "1.1.0"] {
        story.publish(APPS, tag, &manifests).await;
    }
    let labels = json!({"metadata": {"annotations": {"stairlock.dev/rollout": SHOP}}});
    story.cluster.add(merged(oci_repository(story, APPS, json!({})), &labels)).await;
    story.cluster.add(bound_as_kuberik(applied(story, APPS))).await;
    story.cluster.add(health_check()).await;
    let anybody = json!({"namespaceSelector": {}});
    for (kind, name, over) in [
        ("RolloutSchedule", "office", json!({})),
        ("ClusterRolloutSchedule", story.namespace(), anybody),
    ] {
        let spec = json!({"rolloutSelector": {}, "action": "Allow",
            "rules": [{"timeRange": {"start": "00:00", "end": "00:00"}}]});
        let schedule = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": merged(spec, &over)});
        story.cluster.add(story.labelled(schedule)).await;
    }
    story.cluster.add(story.labelled(checked(delivering(SHOP)))).await;
}

#[tokio::test]
async fn kinds_that_tell_too_late_are_asked_for_and_listed_where_lists_do_not_stream() {
    let story = Story::begin("rare", 240).await;
    installed().await;
    with_all_kinds(&story).await;
    let _tellers = story.all_is_well().await;
    let controller = story.controller_of_all(&[]).await;
    controller.kill();
    controller.proxy.be_old();
    // Later than a controller waits for its own writes before it asks.
    let late = Trouble { late: Duration::from_secs(7), ..Trouble::default() };
    RARE.iter().for_each(|resource| controller.proxy.trouble(resource, late));
    let mark = controller.proxy.mark();
    controller.restart();
    story.completed(1).await;
    story.push("1.1.0").await;
    let done = story.completed(2).await;
    story.cluster.remove("ClusterRolloutSchedule", story.namespace()).await;

    assert_eq!(list(&done, "/status/history").len(), 2);
    let calls = controller.proxy.calls().split_off(mark);
    let reads: Vec<_> = calls.iter().filter(|call| call.method == "GET").collect();
    for kind in RARE {
        let by_name = format!("/{kind}/");
        assert!(reads.iter().any(|call| call.path.contains(&by_name)), "{kind} is not asked for");
    }
    for kind in RARE.iter().chain(&["namespaces", "kuberik.com/v1alpha1/rollouts"]) {
        let list = |call: &&&Call| call.path.ends_with(kind) && call.query.contains("limit=");
        assert!(reads.iter().find(list).is_some(), "{kind} are not listed");
    }
    assert_eq!(controller.forbidden(), [""; 0]);
}
