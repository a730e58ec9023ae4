//! Chance: makes of a story and a seed another story, in which things go wrong. Pure: the same
//! seed gives the same story.
//!
//! How often which fault: of the bugs that Sieve found in ten controllers 19 of 46 came from stale
//! sights, 11 from crashes, 7 from missed events, 9 from the rest.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::model::moment::Duration;
use crate::sim::resource::Resource;
use crate::sim::story::{Event, Fate, GatewayAnswer, Side, Span, Story};
use crate::sim::world::fields;

/// Faults of a story, at most.
const FAULTS_MAX: usize = 5;
/// A story about 30 writes long is disturbed at writes up to this one.
const WRITE_MAX: u32 = 45;
/// What controllers watch.
const WATCHED: &[&str] = &[
    "rollouts",
    "replicasets",
    "services",
    "endpointslices",
    "imagepolicies",
    "httproutes",
    "kustomizations",
];
/// Answers that an API server or a proxy before it gives at bad times.
const CODES: &[u16] = &[409, 409, 429, 500, 502, 503, 504];

/// Makes another story of one, in which things go wrong as the seed says.
pub fn disturb(story: &Story, seed: u64) -> Story {
    let mut draw = Draw { chance: Rng::with_seed(seed), names: Names::of(story), horizon: 0 };
    let mut story = story.clone();
    story.seed = seed;
    draw.horizon = horizon(&story);
    if draw.one_in(4) {
        story.controllers = 2;
    }
    let people = draw.chance.usize(0..=2);
    let faults = draw.chance.usize(0..=FAULTS_MAX);
    for _ in 0..people {
        let events = draw.people();
        story.events.extend(events);
    }
    for _ in 0..faults {
        let events = draw.fault(story.controllers);
        story.events.extend(events);
    }
    story
}

/// When the last thing happens in a story that nobody disturbs, in seconds.
fn horizon(story: &Story) -> u64 {
    let last = story.events.iter().filter_map(Event::at).max();
    last.map_or(0, |at| at.0.millis() / 1000) + 60
}

/// A time so much later.
fn after(at: Span, length: Span) -> Span {
    Span(Duration::from_millis(at.0.millis() + length.0.millis()))
}

/// The names of what a Rollout uses.
#[derive(Debug, Clone, Default)]
struct Names {
    rollout: String,
    /// Its routes as stories name objects.
    routes: Vec<String>,
    services: Vec<String>,
    /// The object that offers releases, as stories name objects.
    source: Option<String>,
    /// Whether a registry offers them by itself.
    listed: bool,
    /// Whether its strategy is an experiment.
    experiment: bool,
    /// The rules of its route, where the story has it.
    rules: Option<Value>,
}

impl Names {
    /// The Rollout itself.
    fn own(&self) -> String {
        format!("rollouts/{}", self.rollout)
    }

    fn of(story: &Story) -> Self {
        let kind = |object: &&Value| object.get("kind").and_then(Value::as_str) == Some("Rollout");
        let Some(rollout) = story.objects.iter().find(kind) else { return Self::default() };
        let text = |path: &str| rollout.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let named = fields::named(rollout);
        let some = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        Self {
            rollout: text("/metadata/name").unwrap_or_default(),
            routes: routes(story, &named),
            services: named.services.into_iter().filter_map(some).collect(),
            source: source(rollout),
            listed: rollout.pointer("/spec/registry").is_some(),
            experiment: rollout.pointer("/spec/strategy/abTesting").is_some(),
            rules: story.objects.iter().find_map(|object| {
                let kind = object.get("kind").and_then(Value::as_str);
                object
                    .pointer("/spec/rules")
                    .filter(|_| kind.is_some_and(|kind| kind.ends_with("Route")))
                    .cloned()
            }),
        }
    }
}

/// The object whose releases a Rollout follows.
fn source(rollout: &Value) -> Option<String> {
    let text = |path: &str| rollout.pointer(path).and_then(Value::as_str);
    let resource = Resource::of_kind(text("/spec/sourceRef/kind")?)?;
    Some(format!("{}/{}", resource.plural, text("/spec/sourceRef/name")?))
}

/// The routes that a Rollout names, or that the story has for its labels.
fn routes(story: &Story, named: &fields::Named<'_>) -> Vec<String> {
    let mut all: Vec<String> =
        named.routes.iter().map(|(resource, name)| format!("{resource}/{name}")).collect();
    for object in story.objects.iter().filter(|_| !named.selects.is_empty()) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let resource = match text("/kind") {
            "HTTPRoute" => "httproutes",
            "GRPCRoute" => "grpcroutes",
            _ => continue,
        };
        all.push(format!("{resource}/{}", text("/metadata/name")));
    }
    all
}

/// What draws.
struct Draw {
    chance: Rng,
    names: Names,
    horizon: u64,
}

impl Draw {
    fn one_in(&mut self, n: u32) -> bool {
        self.chance.u32(0..n) == 0
    }

    fn seconds(&mut self, from: u64, to: u64) -> Span {
        Span(Duration::from_millis(self.chance.u64(from * 1000..=to * 1000)))
    }

    /// A time within the story.
    fn at(&mut self) -> Span {
        let horizon = self.horizon;
        self.seconds(0, horizon)
    }

    /// A length: most are short, some long.
    fn length(&mut self, max: u64) -> Span {
        let max = if self.one_in(3) { max } else { max.min(15) };
        self.seconds(1, max)
    }

    fn of<T: Copy>(&mut self, all: &[T], otherwise: T) -> T {
        self.chance.choice(all).copied().unwrap_or(otherwise)
    }

    fn write(&mut self) -> u32 {
        self.chance.u32(1..=WRITE_MAX)
    }

    fn version(&mut self) -> String {
        self.of(&["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.3.1-rc.1"], "1.1.0").to_owned()
    }

    fn controller(&mut self, controllers: u32) -> u32 {
        self.chance.u32(0..controllers.max(1))
    }

    /// What people and pods do, beyond the story.
    fn people(&mut self) -> Vec<Event> {
        match self.chance.u32(0..14) {
            0 | 1 => vec![self.command()],
            2 | 3 => vec![self.release()],
            4 => (0..self.chance.u32(2..6)).map(|_| self.release()).collect(),
            5..=7 => vec![self.pods()],
            8 => vec![self.edit()],
            9 => self.freeze(),
            10 => self.leave(),
            11 => self.hurry(),
            12 => self.turn_back(),
            _ => self.gateway(),
        }
    }

    fn command(&mut self) -> Event {
        if self.names.experiment && self.one_in(2) {
            let winner = self.of(&["A", "B", "B", "true", "C"], "A").to_owned();
            let set = BTreeMap::from([("conclude-experiment".to_owned(), winner)]);
            return Event::Annotate { at: self.at(), set };
        }
        let keys = ["promote", "promote", "promote-full", "abort", "abort", "retry"];
        let key = self.of(&keys, "promote");
        let value = if self.one_in(6) {
            format!("{}/{}", self.chance.u32(1..4), self.chance.u32(1..4))
        } else {
            "true".to_owned()
        };
        let set = BTreeMap::from([(key.to_owned(), value)]);
        Event::Annotate { at: self.at(), set }
    }

    fn release(&mut self) -> Event {
        let at = self.at();
        self.released(at)
    }

    fn released(&mut self, at: Span) -> Event {
        let version = self.version();
        if self.names.source.is_none() && !self.names.listed {
            let merge = json!({"spec": {"template": {"metadata": {"annotations": {
                "example/edit": version,
            }}}}});
            return self.person(at, self.names.own(), merge);
        }
        let build = u32::from(self.one_in(4));
        Event::Release { at, name: None, version, build }
    }

    fn person(&self, at: Span, object: String, merge: Value) -> Event {
        let by = "kubectl-edit".to_owned();
        Event::Edit { at, object, by, merge, every: None, until: None }
    }

    fn pods(&mut self) -> Event {
        let fate = match self.chance.u32(0..5) {
            0 => Fate::Ready { after: self.seconds(1, 60) },
            1 => Fate::Stuck,
            2 => Fate::Flapping { every: self.seconds(1, 20) },
            3 => Fate::Crashing { after: self.seconds(1, 60) },
            _ => Fate::OneStuck,
        };
        let at = if self.one_in(2) { Span(Duration::ZERO) } else { self.at() };
        Event::Pods { at, version: self.version(), fate }
    }

    fn edit(&mut self) -> Event {
        let at = self.at();
        let spec = match self.chance.u32(0..4) {
            0 => json!({"replicas": self.chance.u32(1..8)}),
            1 => json!({"paused": self.chance.bool()}),
            2 => json!({"progressDeadlineSeconds": self.chance.u32(20..120)}),
            _ => json!({"template": {"metadata": {"annotations": {"example/edit": "a"}}}}),
        };
        self.person(at, self.names.own(), json!({"spec": spec}))
    }

    /// The Rollout is frozen for a while.
    fn freeze(&mut self) -> Vec<Event> {
        let (at, length) = (self.at(), self.length(240));
        let object = self.names.own();
        let paused =
            |at, paused: bool| self.person(at, object.clone(), json!({"spec": {"paused": paused}}));
        vec![paused(at, true), paused(after(at, length), false)]
    }

    /// The Rollout is deleted, sometimes after its route, sometimes before a gateway that says
    /// nothing any more.
    fn leave(&mut self) -> Vec<Event> {
        let (at, early) = (self.at(), self.seconds(0, 20));
        let object = self.names.own();
        let going = Event::Delete { at: after(at, early), object };
        match (self.chance.u32(0..3), self.route()) {
            (0, Some(object)) => vec![Event::Delete { at, object }, going],
            (1, _) => {
                vec![Event::Gateway { at, object: None, answer: GatewayAnswer::Silent }, going]
            }
            (_, _) => vec![going],
        }
    }

    /// A release is promoted in full, and the next one comes.
    fn hurry(&mut self) -> Vec<Event> {
        let (at, one, two) = (self.at(), self.seconds(3, 30), self.seconds(3, 60));
        let set = BTreeMap::from([("promote-full".to_owned(), "true".to_owned())]);
        let promoted = Event::Annotate { at: after(at, one), set };
        vec![promoted, self.released(after(after(at, one), two))]
    }

    /// Stable's pods break while a release climbs, which is then aborted.
    fn turn_back(&mut self) -> Vec<Event> {
        let (at, delay) = (self.at(), self.seconds(1, 30));
        let fate = if self.one_in(2) {
            Fate::Crashing { after: self.seconds(1, 10) }
        } else {
            Fate::Flapping { every: self.seconds(1, 20) }
        };
        let version = self.of(&["1.0.0", "1.0.0", "1.1.0"], "1.0.0").to_owned();
        let set = BTreeMap::from([("abort".to_owned(), "true".to_owned())]);
        vec![Event::Pods { at, version, fate }, Event::Annotate { at: after(at, delay), set }]
    }

    fn gateway(&mut self) -> Vec<Event> {
        let at = self.at();
        let length = self.length(120);
        let answer =
            self.of(&[GatewayAnswer::Refuses, GatewayAnswer::Silent], GatewayAnswer::Silent);
        let over = after(at, length);
        let several = self.names.routes.len() > 1;
        let object = if several && self.one_in(2) { self.route() } else { None };
        vec![
            Event::Gateway { at, object: object.clone(), answer },
            Event::Gateway { at: over, object, answer: GatewayAnswer::Accepts },
        ]
    }

    /// What goes wrong between the parts.
    fn fault(&mut self, controllers: u32) -> Vec<Event> {
        match self.chance.u32(0..100) {
            0..40 => vec![self.stale()],
            40..65 => self.crash(controllers),
            65..80 => self.missed(),
            80..90 => self.answers(),
            _ => self.rest(controllers),
        }
    }

    fn stale(&mut self) -> Event {
        let resource = self.watched();
        let (at, length, by) = (self.at(), self.length(120), self.length(120));
        Event::Delay { at, resource, length, by }
    }

    /// One of its routes.
    fn route(&mut self) -> Option<String> {
        match self.names.routes.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            several => self.chance.choice(several).cloned(),
        }
    }

    /// What a controller watches: of the kinds of routes, that of the story.
    fn watched(&mut self) -> String {
        let resource = self.of(WATCHED, "rollouts").to_owned();
        if resource != "httproutes" {
            return resource;
        }
        let route = self.route();
        let own = route.as_ref().and_then(|route| route.split_once('/'));
        own.map_or(resource, |(own, _)| own.to_owned())
    }

    fn crash(&mut self, controllers: u32) -> Vec<Event> {
        let controller = self.controller(controllers);
        if 1 < controllers && self.one_in(3) {
            // Longer than a leader may go without renewing, or nearly so.
            let (at, length) = (self.at(), self.seconds(4, 40));
            return vec![Event::Pause { at, controller, length }];
        }
        if self.one_in(5) {
            let (at, length) = (self.at(), self.length(60));
            let mut events = vec![Event::Restart { at, controller, after: length }];
            if self.one_in(3) {
                let delay = self.chance.u64(0..=length.0.millis());
                events.push(self.released(after(at, Span(Duration::from_millis(delay)))));
            }
            return events;
        }
        let side = self.of(&[Side::Before, Side::After], Side::After);
        vec![Event::Crash { write: self.write(), side }]
    }

    fn missed(&mut self) -> Vec<Event> {
        let resource = self.watched();
        let (at, length) = (self.at(), self.length(60));
        match self.chance.u32(0..5) {
            0 => vec![Event::Expire { at, resource }],
            1 => vec![Event::Duplicate { at, resource, length }],
            2 => self.unseen(at),
            _ => vec![Event::Drop { at, resource, length }],
        }
    }

    /// An object is deleted while nobody is told, and the watch cannot be taken up again.
    fn unseen(&mut self, at: Span) -> Vec<Event> {
        let object = self.object();
        let resource = object.split('/').next().unwrap_or_default().to_owned();
        let (soon, later) = (self.seconds(1, 5), self.seconds(6, 20));
        vec![
            Event::Drop { at, resource: resource.clone(), length: later },
            Event::Delete { at: after(at, soon), object },
            Event::Expire { at: after(at, later), resource },
        ]
    }

    fn answers(&mut self) -> Vec<Event> {
        let first = self.write();
        let run = if self.one_in(3) { self.chance.u32(2..8) } else { 1 };
        let (lost, code) = (self.one_in(3), self.of(CODES, 500));
        let after = self.of(&[None, Some("0"), Some("1"), Some("3600"), Some("soon")], None);
        let one = |write| {
            let retry_after = after.map(str::to_owned);
            if lost {
                Event::LoseReply { write }
            } else {
                Event::Answer { write, code, retry_after }
            }
        };
        (first..first + run).map(one).collect()
    }

    fn rest(&mut self, controllers: u32) -> Vec<Event> {
        let (at, controller) = (self.at(), self.controller(controllers));
        match self.chance.u32(0..8) {
            7 => {
                let object = self.names.own();
                vec![self.person(at, object, json!({"status": null}))]
            }
            0 => vec![Event::Outage { at, length: self.length(600) }],
            1 => vec![Event::Pause { at, controller, length: self.length(60) }],
            2 => {
                let seconds = self.of(&[3600, -3600, 60, -60, 86_400], 3600);
                vec![Event::Clock { at, controller, seconds }]
            }
            3 => {
                let permille = self.of(&[500, -300, 50, -50], 50);
                vec![Event::Drift { at, controller, permille }]
            }
            4 => vec![Event::Delete { at, object: self.object() }],
            5 => self.source(at),
            _ => vec![self.rival(at)],
        }
    }

    /// An object that somebody may delete.
    fn object(&mut self) -> String {
        let mut all: Vec<String> = Vec::new();
        all.extend(self.names.routes.iter().cloned());
        all.extend(self.names.services.iter().map(|name| format!("services/{name}")));
        all.extend(self.names.source.iter().cloned());
        all.push(self.names.own());
        self.chance.choice(&all).cloned().unwrap_or_default()
    }

    fn source(&mut self, at: Span) -> Vec<Event> {
        let over = after(at, self.length(120));
        if self.names.source.is_none() && !self.names.listed {
            return vec![self.edit()];
        }
        vec![Event::Source { at, ready: false }, Event::Source { at: over, ready: true }]
    }

    /// Somebody puts the rules of the route back as they were, or edits them.
    fn rival_of_rules(&mut self, at: Span, mut rules: Value) -> Event {
        let object = self.names.routes.first().cloned().unwrap_or_default();
        if self.one_in(2)
            && let Some(first) = rules.pointer_mut("/0")
        {
            let edited = if object.starts_with("grpcroutes/") {
                json!({"method": {"type": "Exact", "service": "edited"}})
            } else {
                json!({"path": {"type": "PathPrefix", "value": "/edited"}})
            };
            json_patch::merge(first, &json!({"matches": [edited]}));
        }
        let merge = json!({"spec": {"rules": rules}});
        Event::Edit { at, object, by: "rival".to_owned(), merge, every: None, until: None }
    }

    /// Somebody else writes what is ours.
    fn rival(&mut self, at: Span) -> Event {
        if let Some(rules) = self.names.rules.clone().filter(|_| self.names.experiment)
            && self.one_in(2)
        {
            return self.rival_of_rules(at, rules);
        }
        let Some(service) = self.chance.choice(&self.names.services).cloned() else {
            return self.edit();
        };
        let selector = json!({"spec": {"selector": {"example/stray": "x"}}});
        let label = json!({"metadata": {"labels": {"example/by": "rival"}}});
        let merge = if self.one_in(2) { selector } else { label };
        let (every, until) = if self.one_in(3) {
            let over = after(at, Span(Duration::from_secs(60)));
            (Some(self.seconds(2, 20)), Some(over))
        } else {
            (None, None)
        };
        let object = format!("services/{service}");
        Event::Edit { at, object, by: "rival".to_owned(), merge, every, until }
    }
}
