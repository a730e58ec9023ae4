//! Writes whose answer is lost, late or false: each is made once, and tried again soon.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::support::controller::Controller;
use crate::support::json::list;
use crate::support::ladder::sequence;
use crate::support::proxy::{Answer, Call, Fault, Rule, answer, too_many};
use crate::support::shop::{route, routed, sourced};
use crate::support::story::{SHOP, Story};
use crate::support::watch::Watch;

/// The deadline of a call, and what a loaded machine adds.
const CUT_SECS: (f64, f64) = (9.0, 15.0);
/// The longest pause after a failed write that asks for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// So many writes a rival makes one after the other, and how long it rests between.
const RIVAL_BURST: u32 = 10;
const RIVAL_REST: Duration = Duration::from_secs(1);

fn steps() -> Value {
    json!([{"setWeight": 20}, {"setWeight": 50, "pause": {}}, {"setWeight": 100}])
}

/// A routed shop whose first release carries all traffic, and the watch of its route.
async fn opened(title: &str, secs: u64) -> (Story, Controller, Watch) {
    let story = Story::begin(title, secs).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", steps()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let routes = story.watch("HTTPRoute").await;
    (story, controller, routes)
}

/// The second release, from its tag until it carries all traffic.
async fn climb(story: &Story) -> Value {
    story.push("1.1.0").await;
    story.paused(2, 2).await;
    story.command("stairlock.dev/promote", "true").await;
    story.completed(2).await
}

/// Nothing was done twice, and nothing was left out.
async fn once(story: &Story, controller: &Controller, routes: &Watch, done: &Value) {
    assert_eq!(sequence(routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
    assert_eq!(list(done, "/status/history").len(), 2);
    assert_eq!(story.replica_sets().await.len(), 2);
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// The writes that something went wrong with, each with the next request about its object.
async fn disturbed(story: &Story, controller: &Controller) -> Vec<(Call, Call)> {
    let until = controller.proxy.mark();
    // The last event of the attempt is told of after it is Completed.
    story.until("all is told", |r| r.pointer("/status/outbox").is_none()).await;
    let calls = controller.proxy.calls();
    let pairs = calls.iter().enumerate().take(until).filter(|(_, call)| call.fault.is_some());
    let pairs = pairs.map(|(at, call)| {
        let object = call.path.trim_end_matches("/status");
        let mut later = calls[at + 1..].iter().filter(|next| !next.watches());
        let next = later.find(|next| next.path.starts_with(object));
        let next = next.unwrap_or_else(|| panic!("{} is given up", call.line()));
        (call.clone(), next.clone())
    });
    pairs.collect()
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_made_once() {
    let story = Story::begin("lost", 120).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", steps()))).await;
    let routes = story.watch("HTTPRoute").await;
    let controller = story.controller().await;
    controller.proxy.disturb(Rule::first_of_each(Fault::Lost));
    story.completed(1).await;
    let done = climb(&story).await;

    once(&story, &controller, &routes, &done).await;
    for asked in ["rollouts", "replicasets", "services", "httproutes"] {
        let calls = controller.proxy.calls();
        let gets = calls.iter().filter(|call| call.method == "GET" && !call.watches());
        let gets = gets.filter(|call| call.path.contains(&format!("/{asked}/")));
        assert!(gets.count() > 0, "what became of the write to {asked} is asked for");
    }
}

#[tokio::test]
async fn a_release_climbs_though_every_second_reply_is_lost() {
    let (story, controller, routes) = opened("half", 120).await;
    controller.proxy.disturb(Rule::every(2, &[Fault::Lost]));
    let done = climb(&story).await;
    once(&story, &controller, &routes, &done).await;
    let count = disturbed(&story, &controller).await.len();
    assert!(count >= 5, "only {count} replies were lost");
}

#[tokio::test]
async fn a_reply_that_hangs_is_cut_and_others_go_on() {
    let (story, controller, routes) = opened("hung", 120).await;
    let late = Fault::Late(Duration::from_secs(60));
    controller.proxy.disturb(Rule::nth(1, late).to("/httproutes/"));
    controller.proxy.disturb(Rule::nth(2, Fault::Trickled).to("/httproutes/"));
    story.push("1.1.0").await;
    let hangs = |call: &Call| call.fault == Some(late);
    let hung = controller.proxy.heard(story.end, "the first weight", hangs).await;
    story.clock("clock").await;
    assert!(hung.at.elapsed().as_secs_f64() < CUT_SECS.0, "another Rollout had to wait");
    story.paused(2, 2).await;
    story.command("stairlock.dev/promote", "true").await;
    let done = story.completed(2).await;

    let pairs = disturbed(&story, &controller).await;
    assert_eq!(pairs.len(), 2);
    for (hung, next) in pairs {
        let secs = (next.at - hung.at).as_secs_f64();
        assert!(CUT_SECS.0 <= secs && secs <= CUT_SECS.1, "{} after {secs} s", next.line());
        assert_eq!(next.method, "GET", "what became of it is asked for");
    }
    once(&story, &controller, &routes, &done).await;
}

#[tokio::test]
async fn after_a_conflict_the_object_is_read_before_it_is_written_again() {
    let (story, controller, routes) = opened("conflict", 120).await;
    let conflict = Fault::Refused(answer(409));
    controller.proxy.disturb(Rule::every(3, &[conflict]).to("/rollouts/").at_most(2));
    controller.proxy.disturb(Rule::nth(2, conflict).to("/httproutes/"));
    controller.proxy.disturb(Rule::nth(1, conflict).to("/replicasets"));
    let done = climb(&story).await;

    once(&story, &controller, &routes, &done).await;
    let pairs = disturbed(&story, &controller).await;
    assert_eq!(pairs.len(), 4);
    for (refused, next) in pairs.iter().filter(|(refused, _)| refused.method == "PATCH") {
        assert_eq!(next.method, "GET", "after {} comes {}", refused.line(), next.line());
    }
}

#[tokio::test]
async fn a_rival_that_writes_all_the_time_does_not_stop_a_release() {
    let (story, controller, routes) = opened("rival", 120).await;
    let (controller, cluster) = (Arc::new(controller), story.cluster.clone());
    // Two steps from when a write came, one write of the rival has begun and ended since.
    controller.proxy.disturb(Rule::every(3, &[Fault::Overtaken(2)]).to("/rollouts/"));
    let witness = Arc::clone(&controller);
    let rival = tokio::spawn(async move {
        let mut often = interval(Duration::from_millis(30));
        often.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for count in 1_u32.. {
            often.tick().await;
            if count.is_multiple_of(RIVAL_BURST) {
                // Who writes faster than a slow machine answers keeps everybody else out.
                sleep(RIVAL_REST).await;
            }
            let change = json!({"metadata": {"annotations": {"rival": count.to_string()}}});
            cluster.merge("Rollout", SHOP, change).await;
            witness.proxy.step();
        }
    });
    let done = climb(&story).await;
    rival.abort();
    let _ = rival.await;

    once(&story, &controller, &routes, &done).await;
    let calls = controller.proxy.writes(0);
    let conflicts: Vec<&Call> = calls.iter().filter(|call| call.status == 409).collect();
    assert!(!conflicts.is_empty(), "the rival was never in the way");
    for conflict in conflicts {
        let again = calls.iter().filter(|call| call.order > conflict.order);
        let blind = again.filter(|call| call.repeats(conflict)).find(|c| c.body == conflict.body);
        assert!(blind.is_none(), "written again without reading: {}", conflict.body);
    }
}

#[tokio::test]
async fn a_release_climbs_though_every_second_write_is_answered_by_an_error() {
    let (story, controller, routes) = opened("answers", 180).await;
    let refused = |retry_after| Fault::Refused(too_many(retry_after));
    let faults = [
        refused("3600"),
        refused("0"),
        refused("1"),
        refused("soon"),
        Fault::Refused(Answer { code: 503, retry_after: Some("3600") }),
        Fault::Refused(answer(500)),
        Fault::Refused(answer(502)),
        Fault::Refused(answer(504)),
        Fault::Masked(answer(504)),
    ];
    controller.proxy.disturb(Rule::every(2, &faults));
    let done = climb(&story).await;

    once(&story, &controller, &routes, &done).await;
    let pairs = disturbed(&story, &controller).await;
    for fault in faults {
        let met = pairs.iter().find(|(call, _)| call.fault == Some(fault));
        assert!(met.is_some(), "{fault:?} met nothing: {} writes", pairs.len());
    }
    for (failed, next) in &pairs {
        let pause = next.at - failed.at;
        assert!(pause <= PAUSE_MAX, "{:?} → {} after {pause:?}", failed.fault, next.line());
    }
}

#[tokio::test]
async fn an_api_server_that_does_not_stream_lists_is_listed() {
    let story = Story::begin("old", 90).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    story.cluster.add(sourced(routed(&story, "1.0.0", steps()))).await;
    let controller = old(&story).await;
    story.completed(1).await;
    climb(&story).await;
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// A controller whose API server has no streaming lists.
async fn old(story: &Story) -> Controller {
    let controller = story.controller().await;
    controller.kill();
    controller.proxy.be_old();
    controller.restart();
    controller
}
