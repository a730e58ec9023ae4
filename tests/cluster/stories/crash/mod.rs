//! Crash at every write, on both sides of it: the same story is played for each write of it, with
//! SIGKILL before the API server sees the write and after it carried it out. However it is
//! disturbed it has to end like the run that nobody disturbed.
//!
//! The stories are data, in `tale`. `make test` tries a few writes of each, so that each kind of
//! write is among them; `make cluster CASE=crash CRASH=all` tries all and prints the table.

mod delivered;
mod normal;
mod tale;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use self::delivered::DELIVERED;
use self::normal::{Names, differences, normal};
use self::tale::{Act, OTHERS, PROMOTED, Tale, kind};
use crate::support::controller::Controller;
use crate::support::flux::{APPS, VARIABLE, ready};
use crate::support::json::{holds, list, name, number, text};
use crate::support::ladder::sequence;
use crate::support::proxy::Moment;
use crate::support::story::{SHOP, Story, attempt_is, completed};
use crate::support::watch::{Change, Seen, Watch, present};

/// Runs that climb at the same time; those that only drain do not count.
static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(5)));
/// Writes that only show numbers of pods: there may be more or fewer from run to run.
const UNSTEADY_MAX: usize = 4;
/// A run, the drain of 30 s included.
const RUN_SECS: u64 = 240;

/// The variable of a Kustomization.
const VALUE: &str = "/spec/postBuild/substitute/SHOP_VERSION";

/// At which write a run is disturbed, and when.
type Point = Option<(usize, Moment)>;

/// How a run ended.
struct Ending {
    /// The writes from the first act on.
    writes: Vec<String>,
    normal: String,
}

/// A story as it is played, and what is seen of it.
struct Run {
    controller: Controller,
    routes: Watch,
    sets: Watch,
    targets: Watch,
    _tellers: Option<JoinSet<()>>,
    // The last that is dropped: it is judged when the controller has ended.
    story: Story,
}

impl Run {
    /// A run whose first releases carry all traffic and where nothing moves.
    async fn begin(tale: &Tale) -> Self {
        let story = Story::begin("crash", RUN_SECS).await;
        story.offer("1.0.0").await;
        let manifests = (tale.artifact)();
        if !manifests.is_empty() {
            for tag in ["1.0.0", "1.1.0"] {
                story.publish(APPS, tag, &manifests).await;
            }
        }
        let objects = (tale.objects)(&story);
        let rollouts = objects.iter().filter(|object| text(object, "/kind") == "Rollout");
        let rollouts: Vec<String> = rollouts.map(|rollout| name(rollout).to_owned()).collect();
        for other in rollouts.iter().filter(|name| *name != SHOP) {
            story.push_of(other, "1.0.0").await;
        }
        for object in objects {
            story.cluster.add(object).await;
        }
        let tellers = if tale.well { Some(story.all_is_well().await) } else { None };
        let controller = story.controller().await;
        let sets = story.watch("ReplicaSet").await;
        for rollout in &rollouts {
            let begun = |r: &Value| attempt_is(r, 1) && completed(r) && at_rest(r);
            let what = "its first attempt is told of and settled";
            story.becomes("Rollout", rollout, what, begun).await;
        }
        if let Some(secs) = tale.patience {
            story.hasten(secs).await;
        }
        let routes = story.watch("HTTPRoute").await;
        let targets = story.watch("Kustomization").await;
        Self { story, controller, routes, sets, targets, _tellers: tellers }
    }

    /// Has the controller down while tags are pushed; it is not started again.
    async fn down(&self, tags: &[&str]) {
        self.controller.kill();
        for tag in tags {
            self.story.push(tag).await;
        }
        let newest = tags.iter().max().unwrap();
        let offered = |policy: &Value| text(policy, "/status/latestRef/tag") == *newest;
        self.story.becomes("ImagePolicy", SHOP, &format!("{newest} is offered"), offered).await;
    }

    async fn act(&self, act: Act) {
        let story = &self.story;
        match act {
            Act::Push(tag) => story.push(tag).await,
            Act::PushOf(of, tag) => {
                story.push_of(of, tag).await;
                story.reconcile("ImageRepository", of, tag).await;
            }
            Act::Add(objects) => {
                for object in objects(story) {
                    story.cluster.add(object).await;
                }
            }
            Act::Publish(name, tag, objects) => story.publish(name, tag, &objects(story)).await,
            Act::Applied(name, tag) => drop(story.applied(name, tag).await),
            Act::Rival(Some(value)) => {
                story.substitute("rival", APPS, json!({VARIABLE: value})).await;
            }
            Act::Rival(None) => story.substitute("rival", APPS, json!({})).await,
            Act::Kuberik => story.kuberik().await,
            Act::KuberikGoes => story.kuberik_goes().await,
            Act::Held(code) => drop(story.held(code).await),
            Act::Unwritten => {
                let target = story.cluster.get("Kustomization", APPS).await;
                assert_eq!(text(&target, VALUE), "", "{}", story.namespace());
            }
            Act::Stands(value) => {
                let stands = |target: &Value| text(target, VALUE) == value && ready(target);
                story.becomes("Kustomization", APPS, &format!("{value} stands"), stands).await;
                let known = |r: &Value| {
                    let free = !holds(r).contains(&"OwnershipConflict");
                    free && text(r, "/status/targets/0/value") == value
                };
                story.until(&format!("{value} is known to stand"), known).await;
            }
            Act::Annotate(key, value) => story.command(key, value).await,
            Act::Change(to) => {
                let to = to(story);
                let rollout = to.iter().find(|object| text(object, "/kind") == "Rollout");
                story.change_strategy(rollout.unwrap()).await;
            }
            Act::Restarted => {
                let under_way = |seen: &Seen| seen.object.pointer("/status/restart").is_some();
                let over = |seen: &[Seen]| {
                    seen.iter().any(under_way) && seen.last().is_some_and(|last| !under_way(last))
                };
                story.rollouts.until_all(story.end, "the pods are replaced", over).await;
            }
            Act::Delete => story.cluster.remove("Rollout", SHOP).await,
            Act::Paused(attempt, step) => drop(story.paused(attempt, step).await),
            Act::Previewed(attempt) => drop(story.previewed(attempt).await),
            Act::Experimenting(attempt) => drop(story.experimenting(attempt).await),
            Act::Concluded(attempt) => {
                let over = |r: &Value| text(r, "/status/history/0/outcome") == "Concluded";
                story.until("the experiment is lost", |r| over(r) && attempt_is(r, attempt)).await;
            }
            Act::Completed(attempt) => drop(story.completed(attempt).await),
            Act::CompletedOf(of, attempt) => {
                let over = |r: &Value| attempt_is(r, attempt) && completed(r);
                story.becomes("Rollout", of, &format!("attempt {attempt} is over"), over).await;
            }
            Act::Failed(attempt, cause) => drop(story.failed(attempt, cause).await),
            Act::Gone => {
                let gone = |seen: &Seen| seen.change == Change::Deleted;
                story.rollouts.until(story.end, "the Rollout is gone", gone).await;
            }
        }
    }

    /// Everything in its normal form, once pods, counts and notices have settled too.
    async fn settled(&self, tale: &Tale) -> String {
        let story = &self.story;
        let there = !matches!(tale.acts.last(), Some(Act::Gone));
        let settled = |seen: &[Seen]| present(seen).into_iter().all(|set| there && rests(set));
        self.sets.until_all(story.end, "the ReplicaSets have settled", settled).await;
        let mut rollouts = Vec::new();
        for rollout in story.rollouts.present() {
            let settled = story.becomes("Rollout", name(&rollout), "all is settled", at_rest);
            rollouts.push(settled.await);
        }
        let shop = rollouts.iter().find(|rollout| name(rollout) == SHOP);
        let outcomes = shop.map_or(&[][..], |shop| list(shop, "/status/history")).iter();
        let outcomes = outcomes.map(|entry| (number(entry, "/number"), text(entry, "/outcome")));
        assert_eq!(outcomes.collect::<Vec<_>>(), tale.history, "{}", story.namespace());
        if !tale.weights.is_empty() {
            assert_eq!(sequence(&self.routes), tale.weights, "{}", story.namespace());
        }
        let delivered: Vec<Value> = self.targets.states(APPS);
        let mut delivered: Vec<&str> = delivered.iter().map(|state| text(state, VALUE)).collect();
        delivered.dedup();
        delivered.retain(|value| !value.is_empty());
        assert_eq!(delivered, tale.delivered, "{}", story.namespace());
        let mut services = story.cluster.all("Service").await;
        let mut routes = story.cluster.all("HTTPRoute").await;
        if !there {
            // Their owner is gone: they go when the cluster gets to it, and the gateway says so.
            services.clear();
            routes.iter_mut().for_each(|route| route["status"] = Value::Null);
        }
        let mut targets = self.targets.present();
        targets.extend(story.cluster.all("OCIRepository").await);
        let targets: Vec<Value> = targets.iter().map(target).collect();
        let state = json!({"rollouts": rollouts, "sets": self.sets.present(), "services": services,
            "routes": routes, "targets": targets});
        normal(&state, &self.names())
    }

    /// The writes from a request on, as the table shows them.
    fn writes(&self, from: usize) -> Vec<String> {
        let names = self.names();
        let writes = self.controller.proxy.writes(from);
        writes.iter().map(|call| unnamed(&names.put(&call.brief()))).collect()
    }

    fn names(&self) -> Names {
        let sets: Vec<Value> = self.sets.seen().into_iter().map(|seen| seen.object).collect();
        let rollouts = self.story.rollouts.present();
        let delivers = |rollout: &&Value| rollout.pointer("/spec/template").is_none();
        let delivered = rollouts.iter().filter(delivers);
        let history: Vec<Value> =
            delivered.flat_map(|r| list(r, "/status/history")).cloned().collect();
        Names::new(self.story.namespace(), &sets).and_of(&history)
    }
}

/// Whether a ReplicaSet has the pods that it is to have.
fn rests(set: &Value) -> bool {
    let wanted = number(set, "/spec/replicas");
    let seen = number(set, "/status/observedGeneration") == number(set, "/metadata/generation");
    let counts = ["replicas", "readyReplicas", "availableReplicas"];
    seen && counts.iter().all(|count| number(set, &format!("/status/{count}")) == wanted)
}

/// What an object of Flux is to do; what it says of it differs from run to run.
fn target(object: &Value) -> Value {
    let name = format!("{} {}", text(object, "/kind"), name(object));
    json!({"metadata": {"name": name}, "spec": object["spec"]})
}

/// Whether nothing is left to tell, to count or to drain.
fn at_rest(rollout: &Value) -> bool {
    let wanted = rollout.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let wanted = if rollout.pointer("/spec/template").is_some() { wanted } else { 0 };
    let counts = ["replicas", "readyReplicas", "availableReplicas", "updatedReplicas"];
    let counts = counts.iter().map(|count| number(rollout, &format!("/status/{count}")));
    rollout.pointer("/status/outbox").is_none()
        && rollout.pointer("/status/draining").is_none()
        && counts.into_iter().all(|count| count == wanted)
}

/// Plays a story; with a point, the controller is killed there. `climbed` hears which writes
/// there were at its last act, before anything drains.
async fn play(
    tale: Tale,
    point: Point,
    permit: OwnedSemaphorePermit,
    climbed: Sender<Vec<String>>,
) -> Ending {
    let run = Run::begin(&tale).await;
    let Run { story, controller, .. } = &run;
    if !tale.down.is_empty() {
        run.down(tale.down).await;
    }
    let mark = controller.proxy.mark();
    if let Some((at, moment)) = point {
        controller.kill_at(at, moment);
    }
    if !tale.down.is_empty() {
        controller.start_again();
    }
    let told = async {
        for act in tale.acts {
            run.act(*act).await;
        }
        drop(permit);
        let _ = climbed.send(run.writes(mark));
        run.settled(&tale).await
    };
    let revived = async {
        if point.is_some() {
            controller.proxy.killed(story.end).await;
            controller.restart();
        }
        std::future::pending::<String>().await
    };
    let normal = tokio::select! {
        normal = told => normal,
        normal = revived => normal,
    };
    assert_eq!(controller.forbidden(), [""; 0]);
    Ending { writes: run.writes(mark), normal }
}

/// All kinds of writes that the short run tries, over all stories.
fn tried_kinds() -> BTreeSet<String> {
    let all = OTHERS.iter().chain(DELIVERED).chain([&PROMOTED]);
    all.flat_map(|tale| tale.tried).map(|(write, _)| kind(write)).collect()
}

/// Starts runs of one story, as many at a time as there are permits.
struct Runs {
    tale: Tale,
    running: JoinSet<(Point, Option<Ending>)>,
}

impl Runs {
    /// Starts a run as soon as there is a permit; the receiver hears what it wrote to climb.
    fn start(&mut self, point: Point) -> Receiver<Vec<String>> {
        let (tale, permits) = (self.tale, Arc::clone(&PERMITS));
        let (climbed, heard) = channel();
        self.running.spawn(async move {
            let permit = permits.acquire_owned().await.unwrap();
            (point, tokio::spawn(play(tale, point, permit, climbed)).await.ok())
        });
        heard
    }

    /// Starts a run for both sides of some writes.
    fn start_all(&mut self, writes: impl Iterator<Item = usize>) {
        let sides = |at: usize| [(at, Moment::Before), (at, Moment::After)];
        writes.flat_map(sides).for_each(|point| drop(self.start(Some(point))));
    }
}

/// All runs of one story.
struct Table {
    tale: Tale,
    undisturbed: Ending,
    /// The points that were tried, each with its end; none if it failed.
    tried: Vec<((usize, Moment), Option<Ending>)>,
}

impl Table {
    /// Plays a story, undisturbed and disturbed at all writes or some.
    async fn fill(tale: Tale, all: bool) -> Self {
        let mut runs = Runs { tale, running: JoinSet::new() };
        let climbed = runs.start(None).await.expect("the run that nobody disturbs");
        runs.start_all(tale.chosen(&climbed, all).into_iter());
        let mut undisturbed = None;
        let mut tried = Vec::new();
        while let Some(ended) = runs.running.join_next().await {
            let (point, ending) = ended.unwrap();
            let Some(point) = point else {
                let ending = ending.expect("the run that nobody disturbs");
                // The writes of the drain are known by now too.
                let chosen = tale.chosen(&ending.writes, all).into_iter();
                runs.start_all(chosen.filter(|at| *at > climbed.len()));
                undisturbed = Some(ending);
                continue;
            };
            tried.push((point, ending));
        }
        let undisturbed = undisturbed.expect("the run that nobody disturbs");
        Self { tale, undisturbed, tried }
    }

    /// What became of one run: a word for the table, and what is wrong with it.
    fn verdict(&self, (at, moment): (usize, Moment), ending: Option<&Ending>) -> (String, String) {
        let Some(Ending { writes, normal }) = ending else {
            return ("failed".to_owned(), format!("write {at}, {moment:?}: the run failed\n"));
        };
        let count = self.undisturbed.writes.len();
        let killed = writes.get(at - 1).map_or("", String::as_str);
        // Numbers may be shown in fewer writes; a run that ended before its point is undisturbed.
        if killed.is_empty() && writes.len() + UNSTEADY_MAX >= count {
            return ("not reached".to_owned(), String::new());
        }
        let differs = differences(normal, &self.undisturbed.normal);
        let other = self.undisturbed.writes[at - 1] != killed;
        let killed = if other { format!(" ({killed})") } else { String::new() };
        if !differs.is_empty() || killed.ends_with("()") {
            let what = format!("write {at}{killed}, {moment:?}: {differs:#?}\n");
            return (format!("differs{killed}"), what);
        }
        (format!("equal{killed}"), String::new())
    }

    /// The table as lines, and what is wrong with it.
    fn show(&self) -> (String, String) {
        let Self { tale, undisturbed, tried } = self;
        let (mut lines, mut wrong) = (String::new(), String::new());
        if undisturbed.writes.len() < tale.writes_min {
            let _ = writeln!(wrong, "only {} writes", undisturbed.writes.len());
        }
        for write in tale.missing(&undisturbed.writes) {
            let _ = writeln!(wrong, "{}: there is no {write:?}", tale.name);
        }
        let kinds: BTreeSet<String> = undisturbed.writes.iter().map(|write| kind(write)).collect();
        for kind in kinds.difference(&tried_kinds()) {
            let _ = writeln!(wrong, "{}: the short run never tries {kind}", tale.name);
        }
        for (index, write) in undisturbed.writes.iter().enumerate() {
            let mut cells = [const { String::new() }; 2];
            for (cell, moment) in cells.iter_mut().zip([Moment::Before, Moment::After]) {
                let point = (index + 1, moment);
                let Some((_, ending)) = tried.iter().find(|(at, _)| *at == point) else { continue };
                let (word, what) = self.verdict(point, ending.as_ref());
                *cell = word;
                wrong += &what;
            }
            let [before, after] = cells;
            let at = index + 1;
            let _ = writeln!(lines, "| {} | {at} | {write} | {before} | {after} |", tale.name);
        }
        let count = |word: &str| lines.matches(&format!("| {word}")).count();
        let (tried, equal) = (tried.len(), count("equal"));
        let (writes, missed) = (undisturbed.writes.len(), count("not reached"));
        let sum = format!("{writes} writes, {tried} tried, {equal} equal, {missed} not reached");
        let _ = writeln!(lines, "| {} | | {sum} | | |", tale.name);
        (lines, wrong)
    }
}

/// Plays stories, prints their tables and fails if any run ended otherwise.
async fn crash(tales: &[Tale]) {
    let all = std::env::var("CRASH").is_ok_and(|what| what == "all");
    let filled = tales.iter().map(|tale| Table::fill(*tale, all));
    let shown = futures::future::join_all(filled).await;
    let mut text = String::from("| story | write | verb object | before | after |\n");
    text += "| --- | --- | --- | --- | --- |\n";
    let mut wrong = String::new();
    for (lines, what) in shown.iter().map(Table::show) {
        text += &lines;
        wrong += &what;
    }
    if all {
        // Past the capture of the test harness, which prints what failed only.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
    assert!(wrong.is_empty(), "{text}\n{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_promoted_once_wherever_the_controller_is_killed() {
    crash(&[PROMOTED]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_story_ends_the_same_wherever_the_controller_is_killed() {
    crash(OTHERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_flux_applies_is_delivered_once_wherever_the_controller_is_killed() {
    crash(DELIVERED).await;
}

/// An eviction without what the cluster drew for the name of its pod.
fn unnamed(write: &str) -> String {
    match write.strip_suffix("/eviction").and_then(|pod| pod.rsplit_once('-')) {
        Some((pods, _)) => format!("{pods}-<x>/eviction"),
        None => write.to_owned(),
    }
}
