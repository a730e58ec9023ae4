//! One request of a controller, and what became of it.

use hyper::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::fault::Fault;

/// One request of the controller.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place among the requests of all controllers of the run.
    pub order: usize,
    pub method: Method,
    pub path: String,
    pub query: String,
    /// The answer of the API server or of a fault, 0 while there is none.
    pub status: u16,
    /// The body of a write, `Null` for a read.
    pub body: Value,
    /// When it arrived.
    pub at: Instant,
    /// What was done to it.
    pub fault: Option<Fault>,
}

impl Call {
    /// Whether it changes something that stays: a write that is no dry run.
    pub fn mutates(&self) -> bool {
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        writes.contains(&self.method) && !self.query.contains("dryRun=")
    }

    /// Whether it is about the Lease.
    pub fn leases(&self) -> bool {
        self.path.contains("/leases")
    }

    /// Whether it is a watch that is opened.
    pub fn watches(&self) -> bool {
        self.method == Method::GET && self.query.contains("watch=")
    }

    /// Whether it counts as a write of a release.
    pub fn counts(&self) -> bool {
        self.mutates() && !self.leases()
    }

    /// The resource of a watch or list: its plural.
    pub fn resource(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Method and path within the namespace: `PATCH rollouts/shop/status`.
    pub fn brief(&self) -> String {
        let path = self.path.split_once("/namespaces/").map_or(self.path.as_str(), |(_, in_it)| {
            in_it.split_once('/').map_or(in_it, |(_, path)| path)
        });
        format!("{} {path}", self.method)
    }

    /// Whether two are the same request about the same object.
    pub fn repeats(&self, other: &Self) -> bool {
        self.method == other.method && self.path == other.path
    }

    /// Method, path and answer in one line.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.method, self.path, self.status)
    }
}
