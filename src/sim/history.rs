//! History: every change of every object of a cluster, in the order in which it was stored.
//!
//! The simulator writes it down as it happens; on a real cluster it is read from a complete watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::model::moment::Timestamp;

/// An object by its resource, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The plural, as in the path of a request: `replicasets`. Plurals are unique here.
    pub resource: &'static str,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Place {
    /// Names an object.
    pub fn new(
        resource: &'static str,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self { resource, namespace: namespace.into(), name: name.into() }
    }
}

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// A controller of ours.
    Controller {
        /// The identity of the process, as in the Lease.
        identity: Arc<str>,
        /// What it had been told when the write left it. `None`: not known (a real cluster).
        seen: Option<Arc<Sight>>,
    },
    /// Whoever else: `kubelet`, `gateway`, `flux`, `person`, `rival`, `cluster`.
    Other(Arc<str>),
}

/// Up to which revision a process had been told of each resource (its plural).
pub type Sight = BTreeMap<&'static str, u64>;

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision of the cluster that it made: strictly rising, each change has its own.
    pub revision: u64,
    /// When, by the true clock.
    pub at: Timestamp,
    /// By whom.
    pub writer: Writer,
    /// The object.
    pub place: Place,
    /// The object before; absent if it was created.
    pub before: Option<Arc<Value>>,
    /// The object after; absent if it is gone.
    pub after: Option<Arc<Value>>,
}
