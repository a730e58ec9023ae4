//! Rollout: what one asks for and where it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::api::keys;
use crate::model::moment::Duration;
use crate::sim::judge::facts::route::{part, texts, told};
use crate::sim::judge::facts::source::{Image, Registry, Source, in_range};
use crate::sim::judge::facts::status::{Attempt, Routing, Stage, Status, Used, Variant, plural};
use crate::sim::judge::read::{at, count, list, number, text, word};
use crate::sim::resource::Resource;

/// The annotations of commands, by rank, and what they ask for.
pub const COMMANDS: [(&str, &str); 12] = [
    (keys::COMMAND_ABORT, "abort"),
    (keys::COMMAND_CONCLUDE, CONCLUDE),
    (keys::COMMAND_CONCLUDE_KULTA, CONCLUDE),
    (keys::COMMAND_PROMOTE_FULL, "promote-full"),
    (keys::COMMAND_PROMOTE, "promote"),
    (keys::COMMAND_PROMOTE_KULTA, "promote"),
    (keys::COMMAND_RETRY, "retry"),
    (keys::COMMAND_RETRY_KUBERIK, "retry"),
    (keys::COMMAND_MARK, "mark-successful"),
    (keys::COMMAND_UNBLOCK, "unblock-failed"),
    (keys::COMMAND_UNBLOCK_KUBERIK, "unblock-failed"),
    (keys::COMMAND_RESTART, "restart"),
];

/// What the annotations ask for that end an experiment: their value tells the winner.
const CONCLUDE: &str = "conclude";
/// What commands ask for, the one that wins first.
const RANKS: [&str; 10] = [
    "abort",
    "conclude-a",
    "conclude-b",
    "conclude",
    "promote-full",
    "promote",
    "retry",
    "mark-successful",
    "unblock-failed",
    "restart",
];

const BLUE_GREEN: &str = "blueGreen";
const AB_TESTING: &str = "abTesting";
const STRATEGIES: [&str; 4] = [BLUE_GREEN, AB_TESTING, "canary", "simple"];

/// One state of a Rollout.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// When it was created, as the API server writes it.
    pub created: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it carries our finalizer.
    pub finalizer: bool,
    /// The command annotations and their values, by rank.
    pub asked: Vec<(&'static str, &'static str, String)>,
    /// The version that is to be taken at once.
    pub force: Option<String>,
    /// The accepted command.
    pub accepted: Option<String>,
    /// What it asks for; what splits the traffic is what is in use.
    pub spec: Arc<Spec>,
    /// What it names to split the traffic.
    pub named: Arc<Routing>,
    /// Where it stands.
    pub status: Arc<Status>,
}

/// What a Rollout asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Whether it has pods of its own.
    pub workload: bool,
    /// How long a release has to stay healthy.
    pub bake: Option<Duration>,
    /// Pods of a full side.
    pub replicas: u32,
    /// Whether it is frozen.
    pub paused: bool,
    /// How long a stage may take.
    pub deadline: Duration,
    /// Ended attempts that are kept.
    pub history_max: usize,
    /// The ladder as it is written.
    pub steps: Vec<Step>,
    /// The strategy.
    pub strategy: &'static str,
    /// The port of the Services.
    pub port: i64,
    /// The phase of its pauses.
    pub pause: &'static str,
    /// The Service of stable.
    pub stable_service: Option<String>,
    /// The Service of the canary.
    pub canary_service: Option<String>,
    /// The routes that are named, and the labels of further ones.
    pub routes: Option<Routing>,
    /// What its own route is made with: its parentRefs and hostnames.
    pub create: Option<[Value; 2]>,
    /// Whether the Service of stable alone carries the traffic, to one side or the other.
    pub switch: bool,
    /// Which requests an experiment sends to the canary.
    pub experiment: Option<Variant>,
    /// How long an experiment lasts before its data decide.
    pub least: Duration,
    /// How long pods stay after the route accepted weight 0 for them.
    pub drain: Duration,
    /// How long those of a canary that failed stay: `None` until the next attempt.
    pub abort_drain: Option<Duration>,
    /// Pods allowed beyond the replicas.
    pub surge: u32,
    /// Pods allowed to lack.
    pub unavailable: u32,
    /// The object whose releases it follows.
    pub source: Option<Source>,
    /// The repository that it follows itself.
    pub registry: Option<Registry>,
    /// The version that goes before all others.
    pub wanted: Option<String>,
    /// The range that a release has to lie in.
    pub range: Option<String>,
    /// Whether stable has only the pods that its weight needs.
    pub dynamic_stable: bool,
    /// How many revisions before the present one come back without the steps.
    pub rollback_window: usize,
    /// Old ReplicaSets that are kept.
    pub revisions_max: usize,
    /// The container that takes releases, where one is named.
    pub container: Option<String>,
    /// The images of the template by container.
    pub images: BTreeMap<String, Option<String>>,
}

/// One step of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its weight in percent.
    pub weight: u32,
    /// Pods that it asks for beyond its share, as far as a side has them.
    pub pods: u32,
    /// The same, as a share of the replicas in percent.
    pub part: u32,
    /// What it waits for once it is in force.
    pub pause: Pause,
}

/// How long a step stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Not at all.
    None,
    /// So long.
    For(Duration),
    /// Until it is promoted.
    UntilPromoted,
    /// Until the experiment is concluded, at most so long.
    UntilConcluded(Option<Duration>),
}

impl Rollout {
    /// Reads a Rollout. What did not change since `before` is shared with it.
    pub fn read(object: &Value, before: Option<(&Value, &Self)>) -> Self {
        let same = |key: &str| before.filter(|(old, _)| old.get(key) == object.get(key));
        let status = same("status").map(|(_, known)| Arc::clone(&known.status));
        let status = status.unwrap_or_else(|| {
            Arc::new(object.get("status").map(Status::read).unwrap_or_default())
        });
        let both =
            same("spec").filter(|(_, known)| known.used() == used(&status) && !known.renamed());
        let (spec, named) = match both {
            Some((_, known)) => (Arc::clone(&known.spec), Arc::clone(&known.named)),
            None => {
                let mut spec = Spec::read(object);
                let named = spec.split();
                let attempt = status.attempt.as_ref();
                if let Some((used, attempt)) =
                    used(&status).zip(attempt).filter(|u| !named.alike(u.0))
                {
                    spec.splits_by(used, attempt);
                }
                (Arc::new(spec), Arc::new(named))
            }
        };
        let annotation = |key| at(object, &["metadata", "annotations", key]);
        let value = |key| annotation(key).and_then(Value::as_str).map(str::to_owned);
        let finalizers = list(object, &["metadata", "finalizers"]);
        let asked = COMMANDS.into_iter().filter_map(|(key, word)| {
            // kuberik's dashboard leaves the value of its retry empty.
            let opaque = key == keys::COMMAND_RETRY_KUBERIK;
            let value = value(key).map(|text| if opaque { "true".to_owned() } else { text })?;
            Some((key, asked(word, &value), value))
        });
        let mut asked: Vec<_> = asked.collect();
        asked.sort_by_key(|(_, word, _)| RANKS.iter().position(|known| known == word));
        Self {
            uid: text(object, &["metadata", "uid"]).to_owned(),
            name: text(object, &["metadata", "name"]).to_owned(),
            created: text(object, &["metadata", "creationTimestamp"]).to_owned(),
            deleting: at(object, &["metadata", "deletionTimestamp"]).is_some(),
            finalizer: finalizers.iter().any(|name| name.as_str() == Some(keys::FINALIZER)),
            asked,
            force: value(keys::COMMAND_FORCE)
                .or_else(|| value(keys::COMMAND_FORCE_KUBERIK))
                .or_else(|| value(keys::COMMAND_ROLLBACK)),
            accepted: value(keys::ACCEPTED),
            spec,
            named,
            status,
        }
    }

    /// Whether a person chose a tag: in the spec, or by a command that was accepted.
    pub fn chosen(&self, tag: &str) -> bool {
        let pin = self.status.pin.as_ref().filter(|pin| pin.forced);
        let pinned = pin.is_some_and(|pin| Image::of(&pin.image).tag == tag);
        let wanted = self.spec.wanted.as_deref().map(|wanted| wanted.trim_start_matches('v'));
        pinned || wanted == Some(tag.trim_start_matches('v'))
    }

    /// What splits the traffic, as it is noted.
    pub fn used(&self) -> Option<&Routing> {
        used(&self.status)
    }

    /// Whether labels select routes of it: one of those that is gone has no part in it any more.
    pub fn selects(&self) -> bool {
        self.spec.routes.as_ref().is_some_and(|routes| !routes.selects.is_empty())
    }

    /// Whether it names something else to split the traffic than it uses.
    pub fn renamed(&self) -> bool {
        self.used().is_some_and(|used| !self.named.alike(used))
    }

    /// The attempt, while it goes on.
    pub fn open(&self) -> Option<&Attempt> {
        self.status.attempt.as_ref().filter(|attempt| attempt.open())
    }

    /// Whether the controller can use its spec, as the status says.
    pub fn usable(&self) -> bool {
        self.status.conditions.iter().all(|condition| condition.reason != "InvalidSpec")
    }

    /// Whether a promotion of the step on which an attempt stands is accepted.
    pub fn promotes(&self, attempt: &Attempt) -> bool {
        let token = |word: &str| format!("{word} {}/{}", attempt.number, attempt.step);
        let accepted = self.accepted.as_ref();
        let words = ["promote", "promote-full", "conclude-b"];
        accepted.is_some_and(|it| words.iter().any(|word| token(word) == *it))
    }

    /// Whether the end of the experiment without its winning is accepted.
    pub fn concludes(&self, attempt: &Attempt) -> bool {
        let token = format!("conclude-a {}/{}", attempt.number, attempt.step);
        self.accepted.as_ref() == Some(&token)
    }

    /// Whether it is accepted that the data of the experiment decide.
    pub fn by_data(&self, attempt: &Attempt) -> bool {
        let token = format!("conclude {}/{}", attempt.number, attempt.step);
        attempt.concludes || self.accepted.as_ref() == Some(&token)
    }

    /// How long the pods of a revision stay after they lost their traffic: `None` until the next
    /// attempt, or until what splits the traffic is left.
    pub fn stays(&self, revision: &str) -> Option<Duration> {
        let failed = |attempt: &Attempt| {
            let cause = attempt.cause.as_deref();
            attempt.revision == revision
                && attempt.stage() == Stage::Ended
                && ["Aborted", "DeadlineExceeded"].map(Some).contains(&cause)
        };
        let failed = self.status.attempt.as_ref().is_some_and(failed);
        let leaves = self.renamed() && !self.spec.paused;
        match self.spec.abort_drain {
            Some(delay) if failed => Some(delay),
            None if failed && self.spec.replicas > 0 && !leaves => None,
            Some(_) | None => Some(self.spec.drain),
        }
    }

    /// Whether a revision may come back without the steps: it is one of the last that carried all
    /// traffic before stable, and what ended last of it ended well.
    pub fn returns(&self, revision: &str) -> bool {
        let stable = self.status.stable.as_ref().map_or("", |side| side.revision.as_str());
        let mut well = 0;
        for (at, entry) in self.status.history.iter().enumerate() {
            let later = self.status.history.iter().take(at);
            let last = later.into_iter().all(|other| other.revision != entry.revision);
            if entry.revision != stable && last && entry.outcome == "Completed" {
                well += 1;
                if entry.revision == revision {
                    return well <= self.spec.rollback_window;
                }
            }
        }
        false
    }

    /// The objects that split its traffic, where routes do: those of the attempt in progress, else
    /// those that are in use.
    pub fn routing(&self) -> Option<Routing> {
        match self.open().and_then(|attempt| attempt.routing.as_ref()) {
            Some(used) => Some(used.clone()).filter(|used| !used.names().is_empty()),
            None => self.spec.routing(),
        }
    }
}

/// The object whose releases a Rollout follows.
fn source(spec: &Value, own: &str) -> Option<Source> {
    let name = word(spec, &["sourceRef", "name"])?;
    let resource = Resource::of_kind(text(spec, &["sourceRef", "kind"]));
    let resource = resource.map_or("imagepolicies", |resource| resource.plural);
    let there = word(spec, &["sourceRef", "namespace"]).unwrap_or_else(|| own.to_owned());
    let substitute = word(spec, &["sourceRef", "substitute"]);
    Some(Source { resource, name: (there, format!("{resource}/{name}")), substitute })
}

impl Spec {
    /// Reads the spec of a Rollout.
    pub fn read(object: &Value) -> Self {
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let canary = at(spec, &["strategy", "canary"]).unwrap_or(&Value::Null);
        let blue_green = at(spec, &["strategy", "blueGreen"]);
        let simple = at(spec, &["strategy", "simple"]);
        let ab = at(spec, &["strategy", "abTesting"]);
        let chosen = blue_green.or(ab).unwrap_or(canary);
        let written = |key: &&str| at(spec, &["strategy", key]).is_some();
        let strategy = STRATEGIES.into_iter().find(written).unwrap_or_default();
        let route = at(chosen, &["trafficRouting", "gatewayAPI"])
            .map(|api| routes(api, text(object, &["metadata", "name"])));
        let delay = count(blue_green.unwrap_or(canary), &["scaleDownDelaySeconds"], 30);
        let aborted = count(canary, &["abortScaleDownDelaySeconds"], delay);
        let kept = aborted == 0 && at(canary, &["abortScaleDownDelaySeconds"]).is_some();
        let replicas = count(spec, &["replicas"], 1);
        let amount =
            |key, default, up| amount(at(simple.unwrap_or(canary), &[key]), default, replicas, up);
        let surge = amount("maxSurge", Some(25), true);
        let unavailable = amount("maxUnavailable", None, false);
        let deadline = count(spec, &["progressDeadlineSeconds"], 600);
        let history = count(spec, &["versionHistoryLimit"], 10);
        let revisions = count(spec, &["revisionHistoryLimit"], 10);
        let window = count(canary, &["rollbackWindow", "revisions"], 0);
        Self {
            workload: at(spec, &["template"]).is_some(),
            bake: Duration::parse(text(spec, &["bakeTime"])).ok(),
            replicas,
            paused: at(spec, &["paused"]) == Some(&Value::Bool(true)),
            deadline: Duration::from_secs(u64::from(deadline)),
            history_max: usize::try_from(history).unwrap_or(usize::MAX),
            // A rolling update is the step to all pods that follows where none is written.
            steps: match (blue_green, ab) {
                (Some(chosen), _) => switch(chosen),
                (None, Some(chosen)) => experiment(chosen),
                (None, None) => steps(list(canary, &["steps"])),
            },
            strategy,
            port: number(chosen, &["port"]).unwrap_or(80),
            pause: phase(strategy),
            stable_service: word(canary, &["stableService"])
                .or_else(|| word(blue_green?, &["activeService"]))
                .or_else(|| word(ab?, &["variantAService"])),
            canary_service: word(canary, &["canaryService"])
                .or_else(|| word(blue_green?, &["previewService"]))
                .or_else(|| word(ab?, &["variantBService"])),
            create: at(chosen, &["trafficRouting", "gatewayAPI", "createRoute"]).map(told),
            switch: blue_green.is_some() && route.is_none(),
            routes: route,
            experiment: ab.and_then(variant),
            least: ab
                .and_then(|ab| Duration::parse(text(ab, &["analysis", "minDuration"])).ok())
                .unwrap_or(Duration::ZERO),
            drain: Duration::from_secs(u64::from(delay)),
            abort_drain: (!kept).then(|| Duration::from_secs(u64::from(aborted))),
            surge,
            // Where both come to nothing no pod could move: one may lack.
            unavailable: if surge == 0 { unavailable.max(1) } else { unavailable },
            source: source(spec, text(object, &["metadata", "namespace"])),
            registry: Registry::read(spec),
            wanted: word(spec, &["wantedVersion"]),
            range: word(spec, &["semver"]),
            dynamic_stable: at(canary, &["dynamicStableScale"]) == Some(&Value::Bool(true)),
            rollback_window: usize::try_from(window).unwrap_or(usize::MAX),
            revisions_max: usize::try_from(revisions).unwrap_or(usize::MAX),
            container: word(spec, &["container"]),
            images: images(at(spec, &["template", "spec"]).unwrap_or(&Value::Null)),
        }
    }

    /// Whether a version is among those that may be taken by themselves.
    pub fn takes(&self, version: &semver::Version) -> bool {
        let listed = self.registry.as_ref();
        match (&self.range, listed, version.pre.is_empty()) {
            // By precedence, of which the parser of ranges here knows nothing.
            (_, Some(Registry { prereleases: true, .. }), false) => true,
            (None, Some(Registry { prereleases: false, .. }), false) => false,
            (range, _, _) => in_range(range.as_deref(), version),
        }
    }

    /// The objects that split traffic, where a route does.
    pub fn routing(&self) -> Option<Routing> {
        self.routes.is_some().then(|| self.split())
    }

    /// The strategy, and the objects by which it splits traffic.
    fn split(&self) -> Routing {
        let text = |name: &Option<String>| name.clone().unwrap_or_default();
        Routing {
            strategy: self.strategy.to_owned(),
            stable_service: text(&self.stable_service),
            canary_service: text(&self.canary_service),
            port: self.port,
            variant_match: self.experiment.clone(),
            ..self.routes.clone().unwrap_or_default()
        }
    }

    /// Takes the strategy and the objects that are in use, of whose ladder no more is known than
    /// where the attempt stands.
    fn splits_by(&mut self, used: &Routing, attempt: &Attempt) {
        let weight = u32::try_from(attempt.weight).unwrap_or(0);
        let pause = match used.strategy.as_str() {
            AB_TESTING => Pause::UntilConcluded(None),
            _ => Pause::UntilPromoted,
        };
        let count = usize::try_from(attempt.step.max(1)).unwrap_or(1);
        self.steps = vec![Step { weight, pods: 0, part: 0, pause }; count];
        self.surge = part(self.replicas, 25);
        self.unavailable = u32::from(self.surge == 0);
        let measured = used.strategy == "canary" && !used.names().is_empty();
        self.dynamic_stable |= measured && attempt.open();
        let name = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let known = STRATEGIES.into_iter().find(|known| *known == used.strategy);
        self.strategy = known.unwrap_or_default();
        self.pause = phase(self.strategy);
        self.routes = Some(used.clone()).filter(|used| !used.names().is_empty());
        self.create = None;
        self.stable_service = name(&used.stable_service);
        self.canary_service = name(&used.canary_service);
        self.port = used.port;
        self.experiment = used.variant_match.clone();
        self.switch = self.strategy == BLUE_GREEN && self.routes.is_none();
    }

    /// The number of the last step: one of weight 100 follows where none is written.
    pub fn last(&self) -> i64 {
        let full = self.steps.last().is_some_and(|step| step.weight == 100);
        let count = i64::try_from(self.steps.len()).unwrap_or(i64::MAX);
        if full { count } else { count.saturating_add(1) }
    }

    /// The step of a number, counted from 1; a number beyond the last is the last.
    pub fn step(&self, number: i64) -> Step {
        let number = number.min(self.last());
        let index = usize::try_from(number.saturating_sub(1)).ok();
        let written = index.and_then(|index| self.steps.get(index)).copied();
        written.unwrap_or(Step { weight: 100, pods: 0, part: 0, pause: Pause::None })
    }
}

/// What splits the traffic of a Rollout, as its status notes it.
fn used(status: &Status) -> Option<&Routing> {
    status.attempt.as_ref()?.routing.as_ref()
}

/// The phase of the pauses of a strategy.
fn phase(strategy: &str) -> &'static str {
    match strategy {
        BLUE_GREEN => "Preview",
        AB_TESTING => "Experimenting",
        _ => "Paused",
    }
}

/// The routes that the strategy of a Rollout names, and the labels by which it selects further
/// ones.
fn routes(api: &Value, rollout: &str) -> Routing {
    let mut routing = Routing {
        http_route: word(api, &["httpRoute"]),
        grpc_route: word(api, &["grpcRoute"]),
        ..Routing::default()
    };
    if let Some(own) = api.get("createRoute") {
        let name = Some(rollout.to_owned());
        if plural(text(own, &["kind"])) == "grpcroutes" {
            routing.grpc_route = name;
        } else {
            routing.http_route = name;
        }
    }
    for entry in list(api, &["routes"]) {
        let kind = text(entry, &["kind"]).to_owned();
        match word(entry, &["name"]) {
            Some(name) => routing.routes.push(Used { kind, name }),
            None => {
                let labels = texts(at(entry, &["matchLabels"]));
                routing.selects.push((plural(&kind), labels));
            }
        }
    }
    routing.routes.sort_by(|a, b| (&b.kind, &a.name).cmp(&(&a.kind, &b.name)));
    routing.routes.dedup();
    // One alone is recorded as one that is named alone.
    if let [only] = routing.routes.as_slice()
        && routing.selects.is_empty()
    {
        let (kind, name) = (plural(&only.kind), Some(only.name.clone()));
        routing.routes = Vec::new();
        if kind == "grpcroutes" {
            routing.grpc_route = name;
        } else {
            routing.http_route = name;
        }
    }
    routing
}

/// What an annotation asks for.
fn asked(word: &'static str, value: &str) -> &'static str {
    match (word, value) {
        (CONCLUDE, "B") => "conclude-b",
        (CONCLUDE, "true") => "conclude",
        (CONCLUDE, _) => "conclude-a",
        (other, _) => other,
    }
}

/// The step of an experiment, and that to all traffic.
fn experiment(chosen: &Value) -> Vec<Step> {
    let pause = Pause::UntilConcluded(Duration::parse(text(chosen, &["maxDuration"])).ok());
    let step = |weight, pause| Step { weight, pods: u32::MAX, part: 0, pause };
    vec![step(0, pause), step(100, Pause::None)]
}

/// Which requests an experiment sends to variant B.
fn variant(chosen: &Value) -> Option<Variant> {
    let wanted = at(chosen, &["variantBMatch"])?;
    if let Some(header) = wanted.get("header") {
        let kind = word(header, &["type"]).unwrap_or_else(|| "Exact".to_owned());
        let (name, value) = (text(header, &["name"]).to_owned(), text(header, &["value"]));
        return Some(Variant { kind, name, value: value.to_owned() });
    }
    let cookie = wanted.get("cookie")?;
    let plain = |key: &str| {
        let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
        let escaped = |c: char| if special(c) { format!("\\{c}") } else { c.to_string() };
        text(cookie, &[key]).chars().map(escaped).collect::<String>()
    };
    Some(Variant {
        kind: "RegularExpression".to_owned(),
        name: "Cookie".to_owned(),
        value: format!(r"^(.*;\s*)?{}={}(;.*)?$", plain("name"), plain("value")),
    })
}

/// The images of a pod's containers and init containers, by name.
pub fn images(pod: &Value) -> BTreeMap<String, Option<String>> {
    let containers = ["containers", "initContainers"].into_iter();
    let containers = containers.flat_map(|key| list(pod, &[key]));
    containers.map(|c| (text(c, &["name"]).to_owned(), word(c, &["image"]))).collect()
}

/// The steps of a blue-green release: a look at the new side, then the switch.
fn switch(chosen: &Value) -> Vec<Step> {
    let by_itself = at(chosen, &["autoPromotionEnabled"]) != Some(&Value::Bool(false));
    let seconds = number(chosen, &["autoPromotionSeconds"]).and_then(|s| u64::try_from(s).ok());
    let pause = match seconds {
        _ if !by_itself => Pause::UntilPromoted,
        Some(seconds) => Pause::For(Duration::from_secs(seconds)),
        None => Pause::None,
    };
    let pods = count(chosen, &["previewReplicaCount"], u32::MAX);
    let all = Step { weight: 100, pods: u32::MAX, part: 0, pause: Pause::None };
    vec![Step { weight: 0, pods, pause, ..all }, all]
}

fn steps(written: &[Value]) -> Vec<Step> {
    let (mut weight, mut scale) = (0, (0, 0));
    let step = |step: &Value| {
        weight = count(step, &["setWeight"], weight);
        if let Some(set) = step.get("setCanaryScale") {
            scale = (count(set, &["replicas"], 0), count(set, &["weight"], 0));
        }
        let (pods, part) = scale;
        let pause = match step.get("pause") {
            None => Pause::None,
            Some(pause) => match Duration::parse(text(pause, &["duration"])) {
                Ok(length) => Pause::For(length),
                Err(_) => Pause::UntilPromoted,
            },
        };
        Step { weight, pods, part, pause }
    };
    written.iter().map(step).collect()
}

/// A number or a percentage of the replicas.
fn amount(value: Option<&Value>, percent: Option<u32>, replicas: u32, up: bool) -> u32 {
    let of = |percent: u32| {
        let down = u64::from(replicas) * u64::from(percent) / 100;
        if up { part(replicas, percent) } else { u32::try_from(down).unwrap_or(u32::MAX) }
    };
    match value {
        None | Some(Value::Null) => percent.map_or(0, of),
        Some(value) => match value.as_str() {
            Some(text) => text.trim_end_matches('%').parse().map_or(0, of),
            None => number(value, &[]).map_or(0, |n| u32::try_from(n.max(0)).unwrap_or(u32::MAX)),
        },
    }
}
