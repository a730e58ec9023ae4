//! Play: runs a story from its beginning to its end, and says what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::api::status::Attempt;
use crate::model::moment::{Duration, Timestamp};
use crate::runtime::clock::Clock;
use crate::sim::cluster::{Actor, Cluster};
use crate::sim::faults::Faults;
use crate::sim::history::{Change, Place};
use crate::sim::hub::Hub;
use crate::sim::judge::{Judge, Note, Violation};
use crate::sim::process::{Host, Process};
use crate::sim::resource::Resource;
use crate::sim::story::{Event, Story};
use crate::sim::wire::Ends;
use crate::sim::world::World;
use crate::sim::world::fields::at;

/// When every story begins: 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000;
/// How long nothing may happen before a story is over: a watch is opened again within.
const QUIET: Duration = Duration::from_secs(80);
/// How long a watch may be silent before it is opened again.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest pause before a registry that failed is asked again, and some more.
const REGISTRY_PAUSE_SECS: u64 = 660;
/// Changes of a story: a controller that makes more runs in a circle.
const CHANGES_MAX: usize = 20_000;

/// Why a story cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The system gives no timer.
    #[error("there is no virtual time")]
    Runtime(#[from] std::io::Error),
    /// An object of the story cannot be created.
    #[error("object {number} of the story: {why}")]
    Object {
        /// Which one, from 1.
        number: usize,
        /// Why.
        why: String,
    },
}

/// Tells whether the deadline of an attempt runs: it is under way, and no person is waited for.
fn hurries(rollout: &Value) -> bool {
    let stage = at(rollout, &["status", "attempt", "stage"]).and_then(Value::as_str);
    let holds = at(rollout, &["status", "waitingFor"]).and_then(Value::as_array);
    let automatic = |hold: &Value| hold.get("automatic").and_then(Value::as_bool) == Some(true);
    stage.is_some_and(|stage| [Attempt::FIRST, Attempt::STEP, Attempt::PROMOTING].contains(&stage))
        && holds.is_some_and(|holds| !holds.is_empty() && holds.iter().all(automatic))
}

/// The seconds within which a registry is asked again that a Rollout follows, after it failed too.
fn asked(rollout: &Value) -> Option<u64> {
    let interval = at(rollout, &["spec", "registry", "interval"]).and_then(Value::as_str)?;
    Some(Duration::parse(interval).ok()?.millis() / 1000 * 11 / 10 + REGISTRY_PAUSE_SECS)
}

/// What came of a story.
#[derive(Debug)]
pub struct Outcome {
    /// Every change, in order.
    pub changes: Vec<Arc<Change>>,
    /// When it began.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// What must never be, and was.
    pub violations: Vec<Violation>,
    /// Writes of controllers, the Lease not counted.
    pub writes: u32,
    /// Requests of controllers.
    pub requests: u64,
    /// Events that had no effect, and why: what they were about was gone, or was never there.
    pub idle: Vec<(Timestamp, String)>,
    /// The world at the end.
    pub world: World,
    /// The cluster at the end.
    pub cluster: Cluster,
}

/// Plays a story, in virtual time, on this thread. It must not be called within a runtime.
///
/// # Errors
/// [`Trouble`] if it cannot be played.
pub fn play(story: &Story) -> Result<Outcome, Trouble> {
    // kube draws the jitter of its watches from this thread's generator.
    fastrand::seed(story.seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build()?;
    runtime.block_on(async { Ok(Stage::set(story)?.run().await) })
}

/// Everything of a story while it is played.
struct Stage<'a> {
    story: &'a Story,
    began: Timestamp,
    ends: Ends,
    world: World,
    judge: Judge,
    heard: Arc<Heard>,
    chance: Rng,
    hosts: Vec<Host>,
    processes: BTreeMap<u32, Process>,
    starts: u32,
    requests: u64,
    /// What processes did that they may not, and no change shows.
    breaches: Vec<Violation>,
    /// What is still to happen, by time.
    agenda: BTreeMap<(Timestamp, usize), Act>,
    acts: usize,
    changes: Vec<Arc<Change>>,
    /// When anything but the Lease changed last.
    moved: Timestamp,
    /// How long nothing may happen from then on.
    patience: Duration,
    /// When the last disturbance or foreign edit is over.
    calm: Timestamp,
    /// What was to happen and could not, and why: its object was gone.
    idle: Vec<(Timestamp, String)>,
}

/// Something that the stage does itself.
#[derive(Debug, Clone)]
enum Act {
    World(Event),
    Kill(u32),
    Start(u32),
    Pause(u32),
    Resume(u32),
    Step(u32, i64),
    Drift(u32, i32),
    Calm,
}

/// Changes that are to be looked at.
#[derive(Debug, Default)]
struct Heard {
    changes: Mutex<Vec<Arc<Change>>>,
    bell: Notify,
}

impl<'a> Stage<'a> {
    fn set(story: &'a Story) -> Result<Self, Trouble> {
        let start = jiff::Timestamp::from_millisecond(BEGIN).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let clock = Clock::starting_at(start);
        let began = Timestamp::from_millis(BEGIN);
        let cluster = Cluster::new(clock.clone());
        let heard = Arc::new(Heard::default());
        let told = Arc::clone(&heard);
        cluster.listen(Box::new(move |change| told.hear(change)));
        let faults = Faults::new(story, began);
        let mut chance = Rng::with_seed(story.seed);
        let namespace = namespace(story);
        let hub = Hub::new(Rng::with_seed(story.seed));
        let world = World::new(cluster.clone(), chance.fork(), &namespace, hub.clone());
        let mut stage = Self {
            story,
            began,
            world,
            judge: Judge::new(),
            heard,
            hosts: Vec::new(),
            processes: BTreeMap::new(),
            starts: 0,
            requests: 0,
            breaches: Vec::new(),
            agenda: BTreeMap::new(),
            acts: 0,
            changes: Vec::new(),
            moved: began,
            patience: QUIET,
            calm: began,
            idle: Vec::new(),
            ends: Ends { cluster, clock, faults, hub },
            chance,
        };
        let election = 1 < story.controllers;
        stage.hosts = (0..story.controllers).map(|n| Host::new(n, election, start)).collect();
        stage.fill(&namespace)?;
        stage.pushed(began);
        story.events.iter().for_each(|event| stage.plan(event));
        stage.schedule(stage.calm, Act::Calm);
        (0..story.controllers).for_each(|number| stage.schedule(began, Act::Start(number)));
        Ok(stage)
    }

    /// Puts the objects of the story into the cluster.
    fn fill(&mut self, namespace: &str) -> Result<(), Trouble> {
        let mut objects = self.story.objects.clone();
        self.world.complete(&mut objects);
        for (at, object) in objects.into_iter().enumerate() {
            let trouble = |why: String| Trouble::Object { number: at + 1, why };
            let kind = object.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default();
            let Some(resource) = Resource::of_kind(kind) else {
                return Err(trouble(format!("kind {kind:?} is not served")));
            };
            let meta = |key: &str| {
                object.pointer(&format!("/metadata/{key}")).and_then(|text| text.as_str())
            };
            let Some(name) = meta("name") else {
                return Err(trouble("metadata.name is missing".to_owned()));
            };
            let own = meta("namespace").unwrap_or(namespace);
            let own = if resource.namespaced() { own } else { "" };
            let place = Place::new(resource.plural, own, name);
            let created = self.ends.cluster.create(&Actor::other("kubectl"), &place, object);
            created.map_err(|refusal| trouble(refusal.to_string()))?;
        }
        Ok(())
    }

    fn schedule(&mut self, at: Timestamp, act: Act) {
        self.acts += 1;
        self.agenda.insert((at, self.acts), act);
    }

    /// Puts an event on the agenda, and notes when calm can be at the earliest.
    fn plan(&mut self, event: &Event) {
        let began = self.began;
        let over = match event {
            Event::Restart { at, controller, after } => {
                self.schedule(began + at.0, Act::Kill(*controller));
                self.schedule(began + at.0 + after.0, Act::Start(*controller));
                began + at.0 + after.0
            }
            Event::Pause { at, controller, length } => {
                self.schedule(began + at.0, Act::Pause(*controller));
                self.schedule(began + at.0 + length.0, Act::Resume(*controller));
                began + at.0 + length.0
            }
            Event::Clock { at, controller, seconds } => {
                self.schedule(began + at.0, Act::Step(*controller, *seconds));
                began + at.0
            }
            Event::Drift { at, controller, permille } => {
                self.schedule(began + at.0, Act::Drift(*controller, *permille));
                began + at.0
            }
            Event::Delay { at, length, by, .. } => began + at.0 + length.0 + by.0,
            // A watch that lost something is silent from there on, until that is noticed.
            Event::Drop { at, length, .. } => began + at.0 + length.0 + SILENCE,
            Event::Duplicate { at, length, .. } | Event::Outage { at, length } => {
                began + at.0 + length.0
            }
            Event::Expire { at, .. } => began + at.0,
            Event::Crash { .. } | Event::LoseReply { .. } | Event::Answer { .. } => began,
            Event::Edit { at, until, .. } => {
                self.schedule(began + at.0, Act::World(event.clone()));
                began + until.map_or(at.0, |until| until.0.max(at.0))
            }
            Event::Release { at, .. }
            | Event::Source { at, .. }
            | Event::Annotate { at, .. }
            | Event::Delete { at, .. }
            | Event::Pods { at, .. }
            | Event::Gateway { at, .. }
            | Event::Errors { at, .. }
            | Event::Prometheus { at, .. } => {
                self.schedule(began + at.0, Act::World(event.clone()));
                began + at.0
            }
        };
        self.calm = self.calm.max(over);
    }

    async fn run(mut self) -> Outcome {
        let end = self.began + self.story.until.0;
        loop {
            self.look();
            let now = self.ends.cluster.now();
            for number in self.ends.faults.crashed() {
                self.kill(number);
                let pause = Duration::from_millis(self.chance.u64(100..3000));
                self.schedule(now + pause, Act::Start(number));
            }
            self.act(now);
            self.world.tick();
            if self.heard.pending() {
                continue;
            }
            if end <= now || self.quiet(now) || CHANGES_MAX < self.changes.len() {
                break;
            }
            let due = self.agenda.keys().next().map(|(at, _)| *at);
            let quiet = Some(self.moved.max(self.calm) + self.patience).filter(|at| now < *at);
            let next = [due, self.world.next(), Some(end), quiet];
            let wait = next.into_iter().flatten().min().unwrap_or(end).since(now).millis();
            tokio::select! {
                biased;
                () = self.heard.bell.notified() => {}
                () = self.ends.faults.bell().notified() => {}
                () = sleep(std::time::Duration::from_millis(wait)) => {}
            }
        }
        self.end()
    }

    /// Has the judge and the world see what is new.
    fn look(&mut self) {
        loop {
            let new = self.heard.take();
            if new.is_empty() {
                return;
            }
            for change in new {
                self.judge.see(&change);
                self.world.react(&change);
                if change.place.resource != "leases" {
                    self.moved = change.at;
                }
                if change.place.resource == "rollouts" {
                    self.patience = self.patience();
                }
                self.changes.push(change);
            }
        }
    }

    /// Does what is due.
    fn act(&mut self, now: Timestamp) {
        while let Some(entry) = self.agenda.first_entry() {
            if now < entry.key().0 {
                return;
            }
            let ((at, _), act) = entry.remove_entry();
            match act {
                Act::World(event) => {
                    if let Err(why) = self.world.happens(&event) {
                        self.idle.push((at, why.to_string()));
                    }
                    self.pushed(at);
                }
                Act::Kill(number) => self.kill(number),
                Act::Start(number) => self.start(number),
                Act::Pause(number) => self.pause(number, true),
                Act::Resume(number) => {
                    // A longer pause may have begun before this one.
                    let still = self.ends.faults.paused(number, now).is_some();
                    self.pause(number, still);
                }
                Act::Step(number, seconds) => {
                    let by = SignedDuration::from_secs(seconds);
                    self.host(number).into_iter().for_each(|host| host.steer.step(by));
                }
                Act::Drift(number, permille) => {
                    self.host(number).into_iter().for_each(|host| host.steer.drift(permille));
                }
                Act::Calm => self.judge.note(Note::Calm { at: now }),
            }
            // What one did is seen before the next.
            self.look();
        }
    }

    /// Tells the judge what was pushed to the registry: no object shows it.
    fn pushed(&mut self, at: Timestamp) {
        for (image, tag) in self.ends.hub.pushed() {
            self.judge.note(Note::Pushed { image, tag, at });
        }
    }

    fn host(&self, number: u32) -> Option<&Host> {
        self.hosts.iter().find(|host| host.number == number)
    }

    fn kill(&mut self, number: u32) {
        let Some(process) = self.processes.remove(&number) else { return };
        process.kill();
        self.requests += process.requests();
        self.breaches.extend(process.breaches());
        let at = self.ends.cluster.now();
        self.judge.note(Note::Crashed { identity: process.identity.as_str().into(), at });
    }

    fn start(&mut self, number: u32) {
        if self.processes.contains_key(&number) {
            return;
        }
        let Some(host) = self.hosts.iter().find(|host| host.number == number) else { return };
        self.starts += 1;
        let process = Process::start(host, &self.ends, self.starts, self.chance.fork());
        self.processes.insert(number, process);
    }

    fn pause(&self, number: u32, paused: bool) {
        if let Some(process) = self.processes.get(&number) {
            process.set_paused(paused);
        }
    }

    /// Tells whether nothing happens any more: nobody changed anything for long, and no Rollout
    /// waits for a time.
    fn quiet(&self, now: Timestamp) -> bool {
        self.agenda.is_empty()
            && self.world.next().is_none()
            && self.moved.max(self.calm) + self.patience <= now
            && !self.timed(now)
    }

    /// How long nothing may happen: an attempt under way may still run into its deadline, and a
    /// side may drain, of which no hold tells.
    fn patience(&self) -> Duration {
        let rollouts = self.ends.cluster.list("rollouts", None);
        let deadlines = rollouts.iter().filter(|(_, rollout)| hurries(rollout));
        let deadlines = deadlines.filter_map(|(_, rollout)| {
            at(rollout, &["spec", "progressDeadlineSeconds"]).map_or(Some(600), Value::as_u64)
        });
        let drains = rollouts.iter().filter(|(_, rollout)| {
            at(rollout, &["status", "draining"]).is_some_and(|sides| sides.is_array())
        });
        let delay = |(_, rollout): &(Place, Arc<Value>)| {
            let fields = [
                "/spec/strategy/blueGreen/scaleDownDelaySeconds",
                "/spec/strategy/canary/scaleDownDelaySeconds",
                "/spec/strategy/canary/abortScaleDownDelaySeconds",
            ];
            fields.iter().filter_map(|field| rollout.pointer(field)?.as_u64()).max()
        };
        let asks = rollouts.iter().filter_map(|(_, rollout)| asked(rollout));
        let longest = deadlines.chain(drains.filter_map(delay)).chain(asks).max().unwrap_or(0);
        Duration::from_millis(longest * 1000 + QUIET.millis())
    }

    fn timed(&self, now: Timestamp) -> bool {
        let rollouts = self.ends.cluster.list("rollouts", None);
        let mut holds = rollouts.iter().flat_map(|(_, rollout)| {
            let holds = at(rollout, &["status", "waitingFor"]).and_then(Value::as_array);
            holds.cloned().unwrap_or_default()
        });
        holds.any(|hold| {
            let until = hold.get("until").and_then(Value::as_str).and_then(Timestamp::parse);
            until.is_some_and(|until| now < until)
        })
    }

    fn end(mut self) -> Outcome {
        let ended = self.ends.cluster.now();
        self.look();
        if let Some(at) = self.ends.faults.disturbed().filter(|at| self.calm < *at) {
            self.judge.note(Note::Calm { at });
        }
        for process in self.processes.values() {
            process.kill();
            self.requests += process.requests();
            self.breaches.extend(process.breaches());
        }
        self.judge.end(ended);
        let mut violations = self.judge.violations().to_vec();
        violations.append(&mut self.breaches);
        violations.sort_by_key(|violation| violation.at);
        Outcome {
            began: self.began,
            ended,
            violations,
            writes: self.ends.faults.writes(),
            requests: self.requests,
            changes: self.changes,
            idle: self.idle,
            world: self.world,
            cluster: self.ends.cluster,
        }
    }
}

impl Heard {
    fn hear(&self, change: &Arc<Change>) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push(Arc::clone(change));
        self.bell.notify_one();
    }

    fn take(&self) -> Vec<Arc<Change>> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn pending(&self) -> bool {
        !self.changes.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// The namespace of the story: that of its Rollout.
fn namespace(story: &Story) -> String {
    let rollout = story
        .objects
        .iter()
        .find(|object| object.get("kind").and_then(|kind| kind.as_str()) == Some("Rollout"));
    let namespace = rollout.and_then(|rollout| rollout.pointer("/metadata/namespace"));
    namespace.and_then(|name| name.as_str()).unwrap_or("default").to_owned()
}
