//! The crash story: a release is promoted once, wherever the controller is killed.
//!
//! The same story is played for every write of it, with SIGKILL before the API server sees the
//! write and after it carried it out. It has to end like the run that nobody disturbed.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot::{Receiver, Sender, channel};
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
/// Writes that only show numbers of pods: there may be more or fewer from run to run.
const UNSTEADY_MAX: usize = 4;
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
    "terminatingReplicas", // pods of Kubernetes that still end
];

/// At which write a run is disturbed, and when.
type Point = Option<(usize, Moment)>;

/// How a run ended.
struct Ending {
    point: Point,
    /// The writes from the tag on.
    writes: Vec<String>,
    normal: Value,
}

/// Plays the story; with a point, the controller is killed there. `climbed` hears how many writes
/// there were when the release was Completed, before its old side drains.
async fn play(point: Point, permit: OwnedSemaphorePermit, climbed: Sender<usize>) -> Ending {
    let story = Story::begin("crash", RUN_SECS).await;
    story.offer("1.0.0").await;
    story.cluster.add(route()).await;
    let steps = json!([{"setWeight": 20, "pause": {}}, {"setWeight": 50, "pause": {}},
        {"setWeight": 100}]);
    story.cluster.add(sourced(routed(&story, "1.0.0", steps))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.until("the first attempt is told of and settled", at_rest).await;
    let routes = story.watch("HTTPRoute").await;
    let mark = controller.proxy.mark();
    if let Some((at, moment)) = point {
        controller.kill_at(at, moment);
    }
    let told = async {
        climb(&story).await;
        drop(permit);
        let _ = climbed.send(controller.proxy.writes(mark).len());
        story.drained().await;
        settled(&story, &routes).await
    };
    let revived = async {
        if point.is_some() {
            controller.proxy.killed(story.end).await;
            controller.restart();
        }
        std::future::pending::<Value>().await
    };
    let normal = tokio::select! {
        normal = told => normal,
        normal = revived => normal,
    };
    assert_eq!(controller.forbidden(), [""; 0]);
    once(&story, &routes);
    let writes = controller.proxy.writes(mark).iter().map(Call::line).collect();
    Ending { point, writes, normal }
}

/// The release, from its tag until it carries all traffic.
async fn climb(story: &Story) {
    story.push("1.1.0").await;
    story.paused(2, 1).await;
    story.command(PROMOTE, "true").await;
    story.paused(2, 2).await;
    let second = promote(story).await;
    story.completed(2).await;
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

/// Whether nothing is left to tell, to count or to drain.
fn at_rest(rollout: &Value) -> bool {
    let pods = ["replicas", "readyReplicas", "availableReplicas", "updatedReplicas"];
    let pods = pods.iter().map(|name| number(rollout, &format!("/status/{name}")));
    rollout.pointer("/status/outbox").is_none()
        && rollout.pointer("/status/draining").is_none()
        && pods.into_iter().all(|pods| pods == 1)
}

/// The normal form of everything, once the counts and notices have settled too.
async fn settled(story: &Story, routes: &Watch) -> Value {
    let rollout = story.until("all is settled", at_rest).await;
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

/// The lines in which two texts differ.
fn differences(got: &str, want: &str) -> Vec<String> {
    let all: Vec<&str> = want.lines().collect();
    let more = got.lines().filter(|line| !all.contains(line)).map(|line| format!("+ {line}"));
    let all: Vec<&str> = got.lines().collect();
    let less = want.lines().filter(|line| !all.contains(line)).map(|line| format!("- {line}"));
    let mut lines: Vec<String> = more.chain(less).collect();
    if lines.is_empty() && got != want {
        lines.push("the same lines in another order or number".to_owned());
    }
    lines
}

/// Whether a text is a point in time, as RFC 3339 writes it.
fn moment(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && text.ends_with('Z')
}

/// Starts runs, as many at a time as there are permits.
struct Runs {
    permits: Arc<Semaphore>,
    running: JoinSet<Ending>,
}

impl Runs {
    /// Starts a run as soon as there is a permit; the receiver hears when it has climbed.
    fn start(&mut self, point: Point) -> Receiver<usize> {
        let permits = Arc::clone(&self.permits);
        let (climbed, heard) = channel();
        self.running.spawn(async move {
            let permit = permits.acquire_owned().await.unwrap();
            play(point, permit, climbed).await
        });
        heard
    }

    /// Starts a run for both sides of each of some writes.
    fn start_all(&mut self, writes: RangeInclusive<usize>) {
        for at in writes {
            for moment in [Moment::Before, Moment::After] {
                drop(self.start(Some((at, moment))));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_promoted_once_wherever_the_controller_is_killed() {
    let permits = Arc::new(Semaphore::new(PARALLEL_MAX));
    let mut runs = Runs { permits, running: JoinSet::new() };
    let climbed = runs.start(None).await.expect("the run that nobody disturbs");
    runs.start_all(1..=climbed);
    let mut undisturbed = None;
    let mut endings = Vec::new();
    let mut failed = 0;
    while let Some(ending) = runs.running.join_next().await {
        match ending {
            Ok(ending) if ending.point.is_none() => {
                // The writes of the drain are known by now too.
                runs.start_all(climbed + 1..=ending.writes.len());
                undisturbed = Some(ending);
            }
            Ok(ending) => endings.push(ending),
            Err(_) => failed += 1,
        }
    }
    let undisturbed = undisturbed.expect("the run that nobody disturbs");
    let count = undisturbed.writes.len();
    println!("{count} writes:\n{}", undisturbed.writes.join("\n"));
    assert!(climbed >= 8, "too few writes to be the story: {climbed}");
    let want = serde_json::to_string_pretty(&undisturbed.normal).unwrap();
    for Ending { point, writes, normal } in &endings {
        let (at, moment) = point.expect("a disturbed run");
        // Numbers may be shown in fewer writes; a run that ended before its point is undisturbed.
        let reached = writes.len() >= at || writes.len() + UNSTEADY_MAX >= count;
        assert!(reached, "write {at} was never reached: {}", writes.join("\n"));
        let got = serde_json::to_string_pretty(normal).unwrap();
        let write = &undisturbed.writes[at - 1];
        let differs = differences(&got, &want);
        assert!(differs.is_empty(), "killed {moment:?} write {at} ({write}): {differs:#?}");
    }
    assert_eq!(failed, 0, "of {} runs", 2 * count);
    assert_eq!(endings.len(), 2 * count);
}
