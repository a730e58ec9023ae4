//! Ground: what all parts of the world stand on: the cluster, the timers and chance. It never
//! decides what is done.

use crate::model::moment::{Duration, Timestamp};
use crate::sim::cluster::{Actor, Cluster};
use crate::sim::history::Writer;
use crate::sim::world::timers::{Task, Timers};

/// Longest time that somebody needs to hear of a change and act on it.
const LAG_MAX_MILLIS: u64 = 300;

/// Shortest time between two turns of what repeats, so that a story cannot stand still.
pub const REPEAT_MIN: Duration = Duration::from_millis(100);

/// What all parts of the world stand on.
#[derive(Debug)]
pub struct Ground {
    /// The cluster.
    pub cluster: Cluster,
    /// What is due.
    pub timers: Timers,
    /// What all delays and names are drawn from.
    pub chance: fastrand::Rng,
    /// The namespace of the Rollout.
    pub namespace: String,
}

impl Ground {
    /// Tells the true time.
    pub fn now(&self) -> Timestamp {
        self.cluster.now()
    }

    /// Has a task done a moment later.
    pub fn soon(&mut self, task: Task) {
        let lag = self.between(0, LAG_MAX_MILLIS);
        self.after(task, lag);
    }

    /// Has a task done after a time, or when it is due already if that is earlier.
    pub fn after(&mut self, task: Task, length: Duration) {
        let at = self.now() + length;
        self.timers.schedule(task, at);
    }

    /// Draws a length of time, in milliseconds, both ends included.
    pub fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.chance.u64(least..=most))
    }

    /// Draws the end of a name as Kubernetes does: five characters that make no words.
    ///
    /// Source: Kubernetes apimachinery, `util/rand.String`.
    pub fn suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let letter = |_| *self.chance.choice(ALPHABET).unwrap_or(&b'x');
        (0..5).map(letter).map(char::from).collect()
    }
}

/// The ReplicaSet and EndpointSlice controllers.
pub fn controllers() -> Actor {
    actor("cluster", "kube-controller-manager")
}

/// The kubelets.
pub fn kubelet() -> Actor {
    Actor::other("kubelet")
}

/// The controller of the gateway.
pub fn gateway() -> Actor {
    Actor::other("gateway")
}

/// Flux, image-reflector-controller and kustomize-controller in one.
pub fn flux() -> Actor {
    Actor::other("flux")
}

/// Somebody with kubectl.
pub fn person(manager: &str) -> Actor {
    actor("person", manager)
}

fn actor(writer: &str, manager: &str) -> Actor {
    Actor { writer: Writer::Other(writer.into()), manager: manager.to_owned() }
}
