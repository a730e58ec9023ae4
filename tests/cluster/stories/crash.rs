//! The crash story: a release is promoted once, wherever the controller is killed.
//!
//! The same story is played for every write of it, with SIGKILL before the API server sees the
//! write and after it carried it out. It has to end like the run that nobody disturbed.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::support::json::{list, number, text, version};
use crate::support::ladder::sequence;
use crate::support::proxy::{Call, Moment};
use crate::support::shop::{route, routed, sourced};
use crate::support::story::{SHOP, Story, attempt_is};
use crate::support::watch::Watch;

/// Runs that climb at the same time; those that only drain do not count.
const PARALLEL_MAX: usize = 4;
/// A run, the drain of 30 s included.
const RUN_SECS: u64 = 200;

const PROMOTE: &str = "stairlock.dev/promote";

/// Fields that differ from run to run.
const VOLATILE: &[&str] = &[
    "resourceVersion",
    "uid",
    "generation",
    "observedGeneration",
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "clusterIP",
    "clusterIPs",
    "namespace",
];

/// How a run ended.
struct Ending {
    /// The writes from the tag on.
    writes: Vec<String>,
    normal: Value,
}

/// Plays the story; with a kill, at that write.
async fn play(kill: Option<(usize, Moment)>, permit: OwnedSemaphorePermit) -> Ending {
    let story = Story::begin("crash", RUN_SECS).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    let steps = json!([{"setWeight": 20, "pause": {}}, {"setWeight": 50, "pause": {}},
        {"setWeight": 100}]);
    story.cluster.add(sourced(routed(&story, "1.0.0", steps))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    controller.proxy.quiet(story.end).await;
    let routes = story.watch("HTTPRoute").await;
    let mark = controller.proxy.mark();
    if let Some((at, moment)) = kill {
        controller.kill_at(at, moment);
    }
    let climbed = async {
        climb(&story, permit).await;
        settled(&story, &routes).await
    };
    let revived = async {
        if kill.is_some() {
            controller.proxy.killed(story.end).await;
            controller.restart();
        }
        std::future::pending::<Value>().await
    };
    let normal = tokio::select! {
        normal = climbed => normal,
        normal = revived => normal,
    };
    assert_eq!(controller.forbidden(), [""; 0]);
    let writes = controller.proxy.writes(mark);
    if let Some((at, _)) = kill {
        let enough = writes.len() >= at;
        assert!(enough, "write {at} was never reached: {}", writes.len());
    }
    once(&story, &routes);
    Ending { writes: writes.iter().map(Call::line).collect(), normal }
}

/// The release, from its tag until the old side has no pods.
async fn climb(story: &Story, permit: OwnedSemaphorePermit) {
    story.push("1.1.0").await;
    story.paused(2, 1).await;
    story.command(PROMOTE, "true").await;
    story.paused(2, 2).await;
    let second = promote(story).await;
    story.completed(2).await;
    drop(permit);
    story.drained().await;
    let states = story.rollouts.states(SHOP);
    let past = states.iter().filter(|r| attempt_is(r, 2));
    let past = past.filter(|r| number(r, "/status/attempt/step") > 2).map(version).min();
    assert!(past > Some(second), "promoted before it was asked for");
}

/// Asks for the promotion; the version of the Rollout that carries the command.
async fn promote(story: &Story) -> u64 {
    let change = json!({"metadata": {"annotations": {PROMOTE: "true"}}});
    version(&story.cluster.merge("Rollout", SHOP, change).await)
}

/// The normal form of everything, once the counts and notices have settled too.
async fn settled(story: &Story, routes: &Watch) -> Value {
    let rest = |r: &Value| {
        r.pointer("/status/outbox").is_none()
            && number(r, "/status/replicas") == 1
            && number(r, "/status/availableReplicas") == 1
            && number(r, "/status/updatedReplicas") == 1
            && r.pointer("/status/draining").is_none()
    };
    let rollout = story.until("all is settled", rest).await;
    let mut sets = story.cluster.all("ReplicaSet").await;
    sets.sort_by_key(|set| text(set, "/metadata/creationTimestamp").to_owned());
    let services = story.cluster.all("Service").await;
    let all = json!({"rollout": rollout, "sets": sets, "services": services,
        "weights": sequence(routes)});
    let mut names: Vec<(String, &str)> = vec![(story.namespace().to_owned(), "NAMESPACE")];
    for (side, place) in [("/status/history/1/revision", "OLD"), ("/status/stable/revision", "NEW")]
    {
        names.push((text(&rollout, side).to_owned(), place));
    }
    let mut text = normal(&all).to_string();
    for (name, place) in names.iter().filter(|(name, _)| !name.is_empty()) {
        text = text.replace(name, place);
    }
    let mut normal: Value = serde_json::from_str(&text).unwrap();
    let sets = normal["sets"].as_array_mut().unwrap();
    sets.sort_by_key(|set| set["metadata"]["name"].as_str().unwrap_or_default().to_owned());
    normal
}

/// Exactly one history entry for the release, and each weight once.
fn once(story: &Story, routes: &Watch) {
    let rollout = story.rollouts.states(SHOP).pop().unwrap();
    let entries: Vec<i64> =
        list(&rollout, "/status/history").iter().map(|entry| number(entry, "/number")).collect();
    assert_eq!(entries, [2, 1], "{}", story.namespace());
    assert_eq!(sequence(routes), [(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)]);
}

/// A value without what differs from run to run; points in time are all one.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| !VOLATILE.contains(&key.as_str()));
            let fields = fields.map(|(key, value)| (key.clone(), normal(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        Value::String(text) if moment(text) => json!("TIME"),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// Whether a text is a point in time, as RFC 3339 writes it.
fn moment(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && text.ends_with('Z')
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_promoted_once_wherever_the_controller_is_killed() {
    let permits = Arc::new(Semaphore::new(PARALLEL_MAX));
    let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
    let undisturbed = Arc::new(play(None, permit).await);
    let count = undisturbed.writes.len();
    println!("{count} writes:\n{}", undisturbed.writes.join("\n"));
    assert!(count >= 8, "too few writes to be the story");

    let mut runs = JoinSet::new();
    for at in 1..=count {
        for moment in [Moment::Before, Moment::After] {
            let (permits, want) = (Arc::clone(&permits), Arc::clone(&undisturbed));
            runs.spawn(async move {
                let permit = permits.acquire_owned().await.unwrap();
                let ending = play(Some((at, moment)), permit).await;
                let write = &want.writes[at - 1];
                let got = serde_json::to_string_pretty(&ending.normal).unwrap();
                let want = serde_json::to_string_pretty(&want.normal).unwrap();
                assert_eq!(got, want, "killed {moment:?} write {at} ({write})");
            });
        }
    }
    let mut failed = 0;
    while let Some(run) = runs.join_next().await {
        failed += usize::from(run.is_err());
    }
    assert_eq!(failed, 0, "of {} runs", 2 * count);
}

impl crate::support::proxy::Proxy {
    /// Waits until the attempt before has been told of: its notices are sent.
    async fn quiet(&self, end: tokio::time::Instant) {
        let told = |calls: &[Call]| {
            calls.iter().any(|call| call.mutates() && call.path.contains("/events"))
        };
        self.until(end, "the first attempt is told of", told).await;
    }
}
