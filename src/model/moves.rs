//! Moves: everything that one turn may do. No choice is left to who carries a move out.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::binding::Field;
use crate::model::command::Token;
use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;
use crate::model::spec::{NewRoute, RouteKind};
use crate::model::status::Status;
use crate::model::template::Revision;

/// What one turn does. The first that is not empty, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// Store an intent in status; resourceVersion must match.
    Commit(Box<Status>),
    /// Write what the stored intent says.
    Apply(Vec<Write>),
    /// Store what was seen.
    Report(Box<Status>),
    /// Send notices of stored transitions.
    Announce(Vec<Notice>),
    /// Do nothing until something changes, at the latest at `until`.
    Wait {
        /// Why, where there is a reason beyond being done.
        hold: Option<Hold>,
        /// When to look again without an event.
        until: Option<Timestamp>,
    },
}

impl Move {
    /// Tells the kind in one word, for metrics and traces.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::Apply(_) => "apply",
            Self::Report(_) => "report",
            Self::Announce(_) => "announce",
            Self::Wait { .. } => "wait",
        }
    }
}

/// An existing object at the state on which a write was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion; the write fails where it is another.
    pub resource_version: String,
}

/// One write outside status: object, fields, values, precondition.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Create the ReplicaSet of a revision, owned by the Rollout.
    CreateReplicaSet {
        /// The revision.
        revision: Revision,
        /// The attempt that asks for it, kept on the ReplicaSet.
        attempt: u32,
        /// Pods to begin with.
        replicas: u32,
        /// Seconds that a pod must be ready to count.
        min_ready_secs: u32,
        /// The labels that select the Rollout's pods.
        selector: BTreeMap<String, String>,
        /// The template as written on the Rollout.
        template: Value,
    },
    /// Set the number of pods of a ReplicaSet.
    Resize {
        /// The ReplicaSet.
        target: Target,
        /// Pods that it is to have.
        replicas: u32,
        /// Seconds that a pod must be ready to count.
        min_ready_secs: u32,
        /// Mark the revision as failed in this attempt, so that it is known without status.
        quarantine: Option<u32>,
        /// Note the attempt that uses the ReplicaSet again.
        attempt: Option<u32>,
    },
    /// Delete an old ReplicaSet without pods.
    DeleteReplicaSet(Target),
    /// Make the Rollout the owner of a ReplicaSet that it made before and that has no owner.
    AdoptReplicaSet(Target),
    /// Have a pod evicted, as far as its PodDisruptionBudget allows.
    Evict {
        /// Its name.
        pod: String,
        /// Its uid: another pod of the name stays.
        uid: String,
    },
    /// Create a Service, owned by the Rollout, that selects one revision.
    CreateService {
        /// Its name.
        name: String,
        /// The revision that it selects.
        revision: Revision,
        /// The labels that select the Rollout's pods.
        selector: BTreeMap<String, String>,
        /// Its port.
        port: u16,
        /// The port of the pods.
        target_port: u16,
    },
    /// Give a Service that the Rollout owns a further port.
    AddPort {
        /// The Service.
        target: Target,
        /// The port.
        port: u16,
        /// The port of the pods.
        target_port: u16,
    },
    /// Make a Service select one revision (`Some`), or all of the Rollout's pods again (`None`).
    Select {
        /// The Service.
        target: Target,
        /// The revision that it selects at present.
        from: Option<Revision>,
        /// The revision that it is to select.
        to: Option<Revision>,
    },
    /// Create a route, owned by the Rollout and named so, with one rule that holds both Services:
    /// all traffic on the first.
    CreateRoute {
        /// Its kind.
        kind: RouteKind,
        /// What it is made with.
        asked: NewRoute,
        /// The Service of the stable side, and that of the canary.
        services: [String; 2],
        /// The port of both.
        port: u16,
    },
    /// Bring fields of a route that is the Rollout's own to what the spec asks.
    SetRoute {
        /// The kind of the route.
        kind: RouteKind,
        /// The route.
        target: Target,
        /// Each field.
        edits: Vec<FieldEdit>,
    },
    /// Set weights of backends of a route.
    SetWeights {
        /// The kind of the route.
        kind: RouteKind,
        /// The route.
        target: Target,
        /// Each backend with its weight.
        edits: Vec<WeightEdit>,
    },
    /// Take rules of an experiment out of a route and put others in, all at once.
    SetRules {
        /// The kind of the route.
        kind: RouteKind,
        /// The route.
        target: Target,
        /// The rules to take out, in their order.
        out: Vec<RuleAt>,
        /// The rules to put in, in their order.
        into: Vec<NewRule>,
    },
    /// Set a bound field of a Flux object, and no other.
    Deliver {
        /// The field.
        field: Field,
        /// The object.
        target: Target,
        /// The field manager.
        manager: String,
        /// What is to stand there.
        value: String,
        /// Whether it is taken from a person, or from ourselves by another name.
        force: bool,
    },
    /// Set a HealthCheck back: what it said is of an earlier attempt.
    ResetCheck {
        /// Its namespace.
        namespace: String,
        /// The HealthCheck.
        target: Target,
        /// When.
        at: Timestamp,
    },
    /// Ask Flux to look at an object again whose bound field need not change.
    Request {
        /// The field.
        field: Field,
        /// The object.
        target: Target,
        /// The time that is written: one of an attempt, so that it is asked for once.
        at: Timestamp,
    },
    /// Set images in the Rollout's own template.
    SetImages(Vec<ImageEdit>),
    /// Take commands from the Rollout's annotations.
    TakeCommands {
        /// Annotations to remove.
        remove: Vec<String>,
        /// The accepted token to store in their place.
        accept: Option<Token>,
    },
    /// Add or remove the finalizer of the Rollout.
    Finalizer {
        /// Whether it is to be there.
        present: bool,
    },
}

/// One field of the spec of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldEdit {
    /// Its name.
    pub field: &'static str,
    /// What stands there, which has to be so.
    pub from: Option<Value>,
    /// What is to stand there.
    pub to: Option<Value>,
}

/// One weight of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightEdit {
    /// Place of the rule in the route.
    pub rule: usize,
    /// Place of the backend in the rule.
    pub backend: usize,
    /// The Service that has to stand there.
    pub service: String,
    /// Its weight.
    pub weight: u32,
}

/// A rule of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAt {
    /// Its place in the route.
    pub index: usize,
    /// The rule as it stands there.
    pub rule: Value,
}

/// A rule that is to stand in front of the one that it is a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRule {
    /// Its place in the route, once all are there.
    pub index: usize,
    /// The rule.
    pub rule: Value,
    /// The rule behind it, which has to stand there.
    pub of: Value,
}

/// One image of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEdit {
    /// Whether the container stands in `initContainers`.
    pub init: bool,
    /// Its place in its list.
    pub index: usize,
    /// Its name, which has to stand there.
    pub container: String,
    /// The image to write.
    pub image: String,
}
