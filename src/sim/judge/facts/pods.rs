//! Pods: ReplicaSets, Services and EndpointSlices, as far as pods and their traffic go.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::keys;
use crate::sim::judge::read::{applied, at, count, list, number, owner, text, word};

/// The longest beginning of a generated name that the API server keeps.
const BASE_MAX: usize = 58;

/// A ReplicaSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The uid of the controller that owns it.
    pub owner: Option<String>,
    /// The Rollout of its label.
    pub rollout: String,
    /// The revision of its label.
    pub revision: String,
    /// Pods that it is asked to have.
    pub desired: u32,
    /// Pods that it has.
    pub replicas: u32,
    /// Pods that are available, as it says.
    pub available: u32,
    /// Whether these numbers are of its present generation.
    pub settled: bool,
    /// The attempt that it is marked with.
    pub attempt: i64,
}

impl Set {
    /// Reads a ReplicaSet.
    pub fn read(object: &Value) -> Self {
        let label = |key| text(object, &["metadata", "labels", key]).to_owned();
        let attempt = text(object, &["metadata", "annotations", keys::ANNOTATION_ATTEMPT]);
        Self {
            owner: owner(object),
            rollout: label(keys::LABEL_ROLLOUT),
            revision: label(keys::LABEL_REVISION),
            desired: count(object, &["spec", "replicas"], 1),
            replicas: count(object, &["status", "replicas"], 0),
            available: count(object, &["status", "availableReplicas"], 0),
            settled: number(object, &["status", "observedGeneration"])
                == number(object, &["metadata", "generation"]),
            attempt: attempt.parse().unwrap_or(0),
        }
    }

    /// Pods that there are or will be.
    pub fn there(&self) -> u32 {
        self.desired.max(self.replicas)
    }
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The uid of the controller that owns it.
    pub owner: Option<String>,
    /// The revision that it selects, if it names one.
    pub selects: Option<String>,
    /// Whether a GitOps tool applies it.
    pub applied: bool,
}

impl Service {
    /// Reads a Service.
    pub fn read(object: &Value) -> Self {
        let selects = word(object, &["spec", "selector", keys::LABEL_REVISION]);
        Self { owner: owner(object), selects, applied: applied(object) }
    }
}

/// The ready pods of one EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The Service.
    pub service: String,
    /// Ready pods by the part of their names that all pods of a ReplicaSet share.
    pub ready: BTreeMap<String, u32>,
    /// Ready endpoints, of whichever pods.
    pub any: u32,
}

impl Slice {
    /// Reads an EndpointSlice. Unknown readiness counts as ready.
    pub fn read(object: &Value) -> Self {
        let mut slice = Self {
            service: text(object, &["metadata", "labels", keys::SLICE_SERVICE]).to_owned(),
            ready: BTreeMap::new(),
            any: 0,
        };
        let ready =
            |endpoint: &&Value| at(endpoint, &["conditions", "ready"]) != Some(&Value::Bool(false));
        for endpoint in list(object, &["endpoints"]).iter().filter(ready) {
            slice.any = slice.any.saturating_add(1);
            let pod = text(endpoint, &["targetRef", "name"]);
            if let Some((base, _)) = pod.rsplit_once('-') {
                let base: String = format!("{base}-").chars().take(BASE_MAX).collect();
                let counted = slice.ready.entry(base).or_insert(0);
                *counted = counted.saturating_add(1);
            }
        }
        slice
    }
}

/// The part of their names that the pods of a revision share.
pub fn base(rollout: &str, revision: &str) -> String {
    format!("{rollout}-{revision}-").chars().take(BASE_MAX).collect()
}

/// Who holds a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The holder; empty: nobody.
    pub holder: String,
    /// How often it changed hands.
    pub transitions: i64,
}

impl Lease {
    /// Reads a Lease.
    pub fn read(object: &Value) -> Self {
        Self {
            holder: text(object, &["spec", "holderIdentity"]).to_owned(),
            transitions: number(object, &["spec", "leaseTransitions"]).unwrap_or(0),
        }
    }
}
