//! Snapshot: everything that one turn knows, validated. From here on every value is legal.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::binding::Binding;
use crate::model::command::Commands;
use crate::model::gate::Gate;
use crate::model::health::Check;
use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::moves::{FieldEdit, NewRule, RuleAt, Target};
use crate::model::problem::Problem;
use crate::model::release::{Manifest, Release};
use crate::model::spec::{RouteName, Routing, Spec};
use crate::model::status::{Skipped, Status};
use crate::model::template::{Revision, Template, TemplateId};

/// What a turn knows, or why it knows too little to act.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// Everything is legal.
    Valid(Box<Snapshot>),
    /// The spec is not usable.
    Invalid {
        /// The Rollout.
        rollout: Identity,
        /// What is stored.
        status: Box<Status>,
        /// Why.
        problem: Problem,
    },
}

/// The Rollout itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The API group, with which the keys of command annotations begin.
    pub group: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// Its generation.
    pub generation: i64,
    /// Since when it is being deleted.
    pub deleting: Option<Timestamp>,
    /// Whether our finalizer is on it.
    pub finalizer: bool,
}

/// Everything that one turn knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The Rollout.
    pub rollout: Identity,
    /// What it asks for; its ladder splits traffic by what is in use.
    pub spec: Spec,
    /// What the spec names to split traffic, where that is not in use yet.
    pub instead: Option<Routing>,
    /// Its template.
    pub template: Template,
    /// What the API server says about the template in a dry run: `None` until asked.
    pub template_refused: Option<String>,
    /// What is stored.
    pub status: Status,
    /// Since when this process, as the one that leads, looks at it.
    pub watched_since: Timestamp,
    /// Its command annotations.
    pub commands: Commands,
    /// Its ReplicaSets, and those that it made before and that have no owner.
    pub replica_sets: Vec<ReplicaSet>,
    /// Its pods, or why they cannot be read: `None` unless they are asked for.
    pub pods: Option<Result<Vec<Pod>, String>>,
    /// What the source offers.
    pub offer: Offer,
    /// What is known of the images behind tags of the offered repository, or why it is not.
    pub manifests: BTreeMap<String, Result<Manifest, String>>,
    /// Why less is known of the source's registry than could be: a word and a sentence.
    pub unread: Option<(&'static str, String)>,
    /// Its gates, by name.
    pub gates: Vec<Gate>,
    /// The fields of Flux objects that are bound to it, in the order of delivery.
    pub bindings: Vec<Binding>,
    /// The HealthChecks that it selects; `None`: it selects none.
    pub checks: Option<Vec<Check>>,
    /// The stable Service.
    pub stable_service: Option<Service>,
    /// Services that were in use until they were changed in spec and route together, or that a lost
    /// status forgot.
    pub former: Vec<Service>,
    /// Services that the spec names to split traffic by routes and that are not in use yet.
    pub coming: Vec<Service>,
    /// The canary Service.
    pub canary_service: Option<Service>,
    /// The routes: those that are named, that their labels select, and that the attempt in progress
    /// uses.
    pub routes: Vec<Route>,
    /// The rules of its own route with the Services and the port that the spec names, where these
    /// are not in use yet.
    pub renamed: Option<FieldEdit>,
    /// What is said where labels are to select routes, and there is none.
    pub unmatched: Option<Hold>,
    /// What is said where a kind that it refers to may not be listed: nothing of it is known.
    pub denied: Option<Hold>,
    /// An older Rollout that uses one of the Services or routes: object and holder.
    pub duplicate: Option<(String, String)>,
    /// The ids of notices that are known to be sent.
    pub sent: BTreeSet<String>,
    /// A write that the API server refused since the Rollout last changed: object and answer.
    pub refused: Option<(String, String)>,
}

/// A ReplicaSet of the Rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSet {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// Whether this Rollout is its controller; else it has none.
    pub owned: bool,
    /// Its revision.
    pub revision: Revision,
    /// The template that it was made of.
    pub template: TemplateId,
    /// The images of that template by container.
    pub images: BTreeMap<String, String>,
    /// The attempt that made it.
    pub attempt: u32,
    /// The attempt in which it failed.
    pub quarantined: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Pods that it is to have.
    pub desired: u32,
    /// Seconds that a pod must be ready to count, as it has them.
    pub min_ready_secs: u32,
    /// Pods that are there.
    pub replicas: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are available, 0 while its status is of an older generation.
    pub available: u32,
    /// Whether its status is of the present generation.
    pub settled: bool,
}

/// A pod of a ReplicaSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The uid of its ReplicaSet.
    pub owner: String,
    /// When it was made, in whole seconds.
    pub created_at: Timestamp,
    /// Whether it is being deleted.
    pub ending: bool,
    /// Since when it is ready.
    pub ready_since: Option<Timestamp>,
}

/// What the source offers.
#[derive(Debug, Clone, PartialEq)]
pub enum Offer {
    /// There is no source.
    NoSource,
    /// Nothing usable, and why.
    Nothing(Hold),
    /// Releases.
    Releases(Releases),
}

impl Offer {
    /// Tells the releases in the order of their versions; none where the source offers none.
    pub fn newest_first(&self) -> impl Iterator<Item = &Release> {
        let releases = match self {
            Self::Releases(releases) => Some(releases),
            Self::NoSource | Self::Nothing(_) => None,
        };
        releases.into_iter().flat_map(Releases::newest_first)
    }
}

/// The releases that a source offers, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Releases {
    /// The newest.
    first: Release,
    /// The others, newest first.
    rest: Vec<Release>,
    /// Whether these are all that there are; else the source shows the newest only.
    pub whole: bool,
    /// A tag that runs and that the list has lost: what it tells is not believed.
    pub suspect: Option<String>,
    /// Why none of them starts by itself, where they are what was known before and not yet told
    /// anew.
    pub stale: Option<Box<Hold>>,
    /// The tags of the list that are no versions.
    pub skipped: Skipped,
}

impl Releases {
    /// The newest one, and the others in the order of their versions.
    pub fn newest(first: Release, rest: Vec<Release>) -> Self {
        let skipped = Skipped::default();
        Self { first, rest, whole: false, suspect: None, stale: None, skipped }
    }

    /// The one that a source shows.
    pub fn one(first: Release) -> Self {
        Self::newest(first, Vec::new())
    }

    /// Those of them that pass, `None` where none does.
    pub fn only(self, passes: impl Fn(&Release) -> bool) -> Option<Self> {
        let Self { first, rest, whole, suspect, stale, skipped } = self;
        let mut list = std::iter::once(first).chain(rest).filter(passes);
        let first = list.next()?;
        Some(Self { first, rest: list.collect(), whole, suspect, stale, skipped })
    }

    /// Them with what is changed in each; their order stays.
    pub fn each(mut self, change: impl Fn(&mut Release)) -> Self {
        change(&mut self.first);
        self.rest.iter_mut().for_each(change);
        self
    }

    /// Tells them in the order of their versions.
    pub fn newest_first(&self) -> impl Iterator<Item = &Release> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

/// A Service that the Rollout uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What is known of it; `None`: it does not exist.
    pub live: Option<LiveService>,
}

/// A Service as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveService {
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// Whether this Rollout owns it.
    pub ours: bool,
    /// Its ports.
    pub ports: Vec<u16>,
    /// The revision that it selects.
    pub selects: Option<Revision>,
    /// What keeps it from selecting our pods: labels that they do not have, no selector.
    pub mismatch: Option<String>,
    /// The GitOps tool that would put its selector back.
    pub owner: Option<String>,
    /// Ready endpoints by revision.
    pub ready: BTreeMap<Revision, u32>,
    /// Ready endpoints that are no pods of the Rollout's known revisions.
    pub strangers: u32,
}

impl LiveService {
    /// Tells the ready endpoints, of whichever revision.
    pub fn ready_of_any(&self) -> u32 {
        self.ready.values().fold(self.strangers, |sum, ready| sum.saturating_add(*ready))
    }

    /// Tells the ready endpoints of a revision.
    pub fn ready_of(&self, revision: &Revision) -> u32 {
        self.ready.get(revision).copied().unwrap_or(0)
    }
}

/// The route that splits traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its kind and name.
    pub name: RouteName,
    /// Whether it exists: one that does not sends no traffic anywhere.
    pub there: bool,
    /// What is known of it, or why it cannot be used.
    pub live: Result<LiveRoute, Hold>,
    /// Where it cannot be used: what is left in it of the rules of an experiment, without others.
    pub remnant: Option<LiveRoute>,
}

/// A route as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRoute {
    /// Its kind and name.
    pub name: RouteName,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// The rules that hold both Services, at least one.
    pub rules: Vec<Rule>,
    /// The rules of the experiment.
    pub experiment: Experiment,
    /// What the gateways say about its present generation.
    pub acceptance: Acceptance,
    /// The GitOps tool that would put its rules back.
    pub owner: Option<String>,
    /// What is not as the spec asks, where it is the Rollout's own.
    pub strays: Vec<FieldEdit>,
}

impl LiveRoute {
    /// Names it as the object of a write.
    pub fn target(&self) -> Target {
        Target {
            name: self.name.name.clone(),
            uid: self.uid.clone(),
            resource_version: self.resource_version.clone(),
        }
    }
}

/// The rules by which an experiment sends its requests to the canary side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Experiment {
    /// Those that are there.
    pub there: Vec<RuleAt>,
    /// Those that are to be there while it runs.
    pub wanted: Vec<NewRule>,
    /// What keeps these from the route.
    pub hold: Option<Hold>,
}

/// A rule that holds both Services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its place in the route.
    pub index: usize,
    /// The place of the stable backend and its weight, 1 where it has none.
    pub stable: (usize, u32),
    /// The place of the canary backend and its weight, 1 where it has none.
    pub canary: (usize, u32),
    /// Whether all weights are written out.
    pub explicit: bool,
    /// What both weights have to add up to: 100, or what they had where other backends share the
    /// rule.
    pub sum: u32,
}

/// What the gateways say about a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// Nothing yet about the present generation.
    Pending,
    /// All accept it, with all references resolved.
    Accepted,
    /// At least one refuses it.
    Refused(String),
}
