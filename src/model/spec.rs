//! Spec: what a Rollout asks for, parsed. It holds no value that would be illegal.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::model::moment::Duration;
use crate::model::range::Range;
use crate::model::registry::Registry;
use crate::model::weight::{Quantity, Weight};

/// How long a side stays after the route accepted weight 0 for it, where nothing else is said:
/// longer than data planes need to follow, and than most requests last.
pub const DRAIN_DELAY: Duration = Duration::from_secs(30);

/// What a Rollout asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Pods of a full side.
    pub replicas: u32,
    /// The labels that select the Rollout's pods.
    pub selector: BTreeMap<String, String>,
    /// Seconds that a pod must be ready to count as available.
    pub min_ready_secs: u32,
    /// The longest time that a step, the promotion or the first revision may need.
    pub deadline: Duration,
    /// Old ReplicaSets that are kept.
    pub revisions_max: usize,
    /// Ended attempts that are kept in the history.
    pub history_max: usize,
    /// Whether ladder and deliveries are frozen.
    pub paused: bool,
    /// The object that offers releases, if one does.
    pub source: Option<SourceRef>,
    /// The registry that offers them by itself, if one does: never beside an object.
    pub registry: Option<Registry>,
    /// The version that goes before all others.
    pub wanted_version: Option<String>,
    /// A further range that a release has to lie in.
    pub range: Option<Range>,
    /// How long after one attempt at a release the next one may start.
    pub release_interval: Option<Duration>,
    /// The one container that takes releases.
    pub container: Option<String>,
    /// Whether it has pods of its own: else it only delivers.
    pub workload: bool,
    /// How long a delivered release has to stay healthy.
    pub bake_time: Option<Duration>,
    /// The longest time that a delivered release may need to become healthy.
    pub deploy_timeout: Option<Duration>,
    /// What becomes of a release that fails once it has all traffic.
    pub on_failure: OnFailure,
    /// Whether Ready waits for the present template to be completed.
    pub ready_when_completed: bool,
    /// The ladder that its strategy climbs.
    pub ladder: Ladder,
}

/// What becomes of a release that fails once it has all traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The last good one comes back.
    Rollback,
    /// It stays until a person decides.
    Hold,
}

/// The ImagePolicy that offers releases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceRef {
    /// Its kind.
    pub kind: SourceKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The variable that holds the version, of a Kustomization.
    pub substitute: Option<String>,
    /// The repository of the image, where the source tells a version only.
    pub image: Option<String>,
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// The kinds of Flux objects that offer releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// It tells an image.
    ImagePolicy,
    /// It tells a version by the tag of an artifact.
    OciRepository,
    /// It tells a version by a variable or by the tag of what it applied.
    Kustomization,
}

impl SourceKind {
    /// Tells the name, as Kubernetes spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImagePolicy => "ImagePolicy",
            Self::OciRepository => "OCIRepository",
            Self::Kustomization => "Kustomization",
        }
    }
}

/// A strategy, as the steps that it takes and what it takes them with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    /// Which strategy it is.
    pub strategy: Strategy,
    /// The Service of the stable side.
    pub stable_service: Option<String>,
    /// The Service of the canary side.
    pub canary_service: Option<String>,
    /// The port of both Services and of the route's backends.
    pub port: u16,
    /// Pods allowed beyond the wanted replicas, without a route.
    pub surge: Quantity,
    /// Pods allowed to lack of the wanted replicas, without a route.
    pub unavailable: Quantity,
    /// The steps, at least one.
    pub steps: Vec<Step>,
    /// The routes that split traffic, by name, in their order.
    pub routes: Vec<RouteName>,
    /// Further ones, by label; neither these nor those: the split is by numbers of pods.
    pub labelled: Vec<Labelled>,
    /// What the one that is named is made with, where it is the Rollout's own.
    pub create: Option<NewRoute>,
    /// How long a side stays after it lost its traffic.
    pub drain: Duration,
    /// Which requests an experiment sends to the canary side, where the strategy is one.
    pub experiment: Option<HeaderMatch>,
    /// What the data of an experiment have to be before they decide.
    pub analysis: Option<Analysis>,
    /// How long a canary that failed stays after it lost its traffic; none: until the next attempt.
    pub abort_drain: Option<Duration>,
    /// Whether stable has only the pods that its weight needs.
    pub dynamic_stable: bool,
    /// How many revisions before the present one come back without the steps.
    pub rollback_window: usize,
}

/// A route by kind and name, told as `HTTPRoute shop`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteName {
    /// Its kind.
    pub kind: RouteKind,
    /// Its name.
    pub name: String,
}

impl RouteName {
    /// Names a route.
    pub fn new(kind: RouteKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// All routes of a kind that carry these labels and hold both Services.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labelled {
    /// Their kind.
    pub kind: RouteKind,
    /// The labels that each carries.
    pub labels: BTreeMap<String, String>,
}

impl fmt::Display for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> =
            self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        write!(f, "an {} with the labels {}", self.kind.as_str(), pairs.join(","))
    }
}

/// What a route is made with that is a Rollout's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRoute {
    /// Its Gateways, as the Gateway API writes them.
    pub parents: Vec<Value>,
    /// The host names that it is for.
    pub hostnames: Vec<String>,
}

/// The kinds of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteKind {
    /// For HTTP.
    Http,
    /// For gRPC.
    Grpc,
}

impl RouteKind {
    /// Tells the name, as Kubernetes spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
        }
    }

    /// Reads the name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Http, Self::Grpc].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// A ladder of weights.
    Canary,
    /// A second side that takes all traffic at once.
    BlueGreen,
    /// Two sides of which each has its users, until one wins.
    AbTesting,
    /// A rolling update.
    Simple,
}

impl Strategy {
    /// Tells the path of its field.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Canary => "spec.strategy.canary",
            Self::BlueGreen => "spec.strategy.blueGreen",
            Self::AbTesting => "spec.strategy.abTesting",
            Self::Simple => "spec.strategy.simple",
        }
    }

    /// Tells the word, as a Rollout spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::BlueGreen => "blueGreen",
            Self::AbTesting => "abTesting",
            Self::Simple => "simple",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Canary, Self::BlueGreen, Self::AbTesting, Self::Simple];
        all.into_iter().find(|strategy| strategy.as_str() == word)
    }
}

/// One step of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The canary's share once the step is in force.
    pub weight: Weight,
    /// Pods of the canary, where its share alone does not tell.
    pub scale: Option<Scale>,
    /// How long it stays.
    pub pause: Pause,
}

/// How many pods the canary has on a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As many as a full side.
    Full,
    /// So many, at most a full side.
    Count(u32),
    /// A share of a full side.
    Share(Weight),
}

impl Step {
    /// Tells the pods of the canary on this step beside a full side of so many, never fewer than
    /// its weight needs.
    pub fn pods(&self, replicas: u32) -> u32 {
        let share = self.weight.share(replicas);
        match self.scale {
            None => share,
            Some(Scale::Full) => replicas,
            Some(Scale::Count(count)) => count.min(replicas).max(share),
            Some(Scale::Share(part)) => part.share(replicas).max(share),
        }
    }
}

/// How long a step stays once it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Not at all.
    None,
    /// For a time.
    For(Duration),
    /// Until a person promotes.
    UntilPromoted,
    /// Until an experiment is concluded, at most so long where a time is told.
    UntilConcluded(Option<Duration>),
}

impl Pause {
    /// Tells whether an experiment runs in it.
    pub fn experiments(self) -> bool {
        match self {
            Self::UntilConcluded(_) => true,
            Self::None | Self::For(_) | Self::UntilPromoted => false,
        }
    }
}

/// What the data of an experiment have to be before they decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Analysis {
    /// How long it has to have lasted.
    pub least: Option<Duration>,
    /// How many samples each variant needs to win.
    pub samples: u32,
}

/// A header that a request has to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Its name.
    pub name: String,
    /// Its value, or what the value has to match.
    pub value: String,
    /// How they are compared.
    pub kind: MatchKind,
}

/// How a header is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchKind {
    /// The value is that one.
    Exact,
    /// The value matches a regular expression.
    RegularExpression,
}

impl MatchKind {
    /// Tells the word that the Gateway API has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "Exact",
            Self::RegularExpression => "RegularExpression",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Exact, Self::RegularExpression].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A strategy, and the objects by which it splits traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// The strategy.
    pub strategy: Strategy,
    /// The routes, in their order.
    pub routes: Vec<RouteName>,
    /// The Service of the stable side.
    pub stable: Option<String>,
    /// The Service of the canary side.
    pub canary: Option<String>,
    /// The port of both Services and of the route's backends.
    pub port: u16,
    /// Which requests an experiment sends to the canary side: its rules are known by it.
    pub experiment: Option<HeaderMatch>,
}

impl Ladder {
    /// The same ladder with these routes: named, selected, or made.
    pub fn through(
        self,
        (routes, labelled, create): (Vec<RouteName>, Vec<Labelled>, Option<NewRoute>),
    ) -> Self {
        Self { routes, labelled, create, ..self }
    }

    /// Tells whether routes split the traffic.
    pub fn routed(&self) -> bool {
        !self.routes.is_empty() || !self.labelled.is_empty()
    }

    /// Tells whether it splits traffic by these objects. What labels select may change meanwhile.
    pub fn splits_by(&self, used: &Routing) -> bool {
        let Routing { strategy, routes, stable, canary, port, experiment } = used;
        let named = self.routes.iter().all(|route| routes.contains(route));
        (named && !self.labelled.is_empty() || self.routes == *routes)
            && (self.strategy, self.port) == (*strategy, *port)
            && (&self.stable_service, &self.canary_service) == (stable, canary)
            && self.experiment == *experiment
    }

    /// Tells the strategy and the objects by which it splits traffic, as far as they are named.
    pub fn routing(&self) -> Routing {
        Routing {
            strategy: self.strategy,
            routes: self.routes.clone(),
            stable: self.stable_service.clone(),
            canary: self.canary_service.clone(),
            port: self.port,
            experiment: self.experiment.clone(),
        }
    }

    /// The same ladder with the strategy and the objects that something else told.
    pub fn with(self, routing: Routing) -> Self {
        let Routing { strategy, routes, stable, canary, port, experiment } = routing;
        let (stable_service, canary_service, labelled) = (stable, canary, Vec::new());
        Self {
            strategy,
            routes,
            labelled,
            create: None,
            stable_service,
            canary_service,
            port,
            experiment,
            ..self
        }
    }

    /// What is left of a ladder of which only the strategy and its objects are known: it stands on
    /// its step, or goes back, with few pods at a time.
    pub fn left(self, routing: Routing, number: u32, weight: Weight) -> Self {
        let step = match routing.strategy {
            Strategy::Canary | Strategy::Simple => {
                Step { weight, scale: None, pause: Pause::UntilPromoted }
            }
            // Whole sides keep the pods that they have.
            Strategy::BlueGreen => {
                Step { weight, scale: Some(Scale::Count(0)), pause: Pause::UntilPromoted }
            }
            Strategy::AbTesting => {
                Step { weight, scale: Some(Scale::Count(0)), pause: Pause::UntilConcluded(None) }
            }
        };
        let steps = vec![step; usize::try_from(number.max(1)).unwrap_or(1)];
        let (surge, unavailable) = (Quantity::Percent(25), Quantity::Count(0));
        Self { steps, surge, unavailable, ..self.with(routing) }
    }

    /// Tells a step by its number, counted from 1. One past the last is the full weight without a
    /// pause, where the last step stops short of it.
    pub fn step(&self, number: u32) -> Option<Step> {
        let count = self.steps.len();
        match usize::try_from(number).unwrap_or(usize::MAX) {
            0 => None,
            n if n <= count => self.steps.get(n - 1).cloned(),
            n if n == count + 1 && !self.ends_full() => {
                Some(Step { weight: Weight::FULL, scale: None, pause: Pause::None })
            }
            _ => None,
        }
    }

    /// Tells the step on which an attempt stands that entered this one: the last, where the ladder
    /// has become shorter since.
    pub fn stands(&self, number: u32) -> Option<Step> {
        self.step(number.min(self.last()))
    }

    /// Tells the number of the step that carries the full weight.
    pub fn last(&self) -> u32 {
        let count = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        if self.ends_full() { count } else { count.saturating_add(1) }
    }

    fn ends_full(&self) -> bool {
        self.steps.last().is_some_and(|step| step.weight == Weight::FULL)
    }
}
