//! World: what the rest of a cluster does: ReplicaSets, pods, EndpointSlices, garbage, a gateway,
//! Flux, people and Prometheus. It never runs by itself: it hears changes, says when something is
//! due and does it when told.

mod budgets;
mod complete;
mod endpoints;
mod exposure;
pub mod fields;
mod flux;
mod gateway;
mod ground;
mod people;
mod pods;
pub mod prometheus;
mod replicas;
mod timers;
pub mod trouble;

use serde_json::Value;

use crate::model::moment::{Duration, Timestamp};
use crate::sim::cluster::Cluster;
use crate::sim::collector::collect;
use crate::sim::history::{Change, Place};
use crate::sim::hub::Hub;
use crate::sim::story::Event;
use crate::sim::world::budgets::Budgets;
use crate::sim::world::endpoints::Endpoints;
use crate::sim::world::exposure::Exposure;
use crate::sim::world::flux::{Flux, Release};
use crate::sim::world::gateway::Gateway;
use crate::sim::world::ground::Ground;
use crate::sim::world::people::{Edit, People};
use crate::sim::world::pods::Pods;
use crate::sim::world::prometheus::Prometheus;
use crate::sim::world::replicas::Replicas;
use crate::sim::world::timers::{Task, Timers};
use crate::sim::world::trouble::Trouble;

/// How long the garbage collector takes to hear that an owner is gone. No part of chance: it looks
/// at each new object, and would change every history.
const COLLECTED_AFTER: Duration = Duration::from_millis(200);

/// The rest of a cluster.
#[derive(Debug)]
pub struct World {
    ground: Ground,
    begun: Timestamp,
    replicas: Replicas,
    pods: Pods,
    endpoints: Endpoints,
    budgets: Budgets,
    gateway: Gateway,
    flux: Flux,
    people: People,
    prometheus: Prometheus,
    exposure: Exposure,
    hub: Hub,
    /// Until when the API server answers nobody.
    outage: Option<Timestamp>,
}

impl World {
    /// Makes the world of a cluster. Times of a story count from now; `chance` gives all delays
    /// and names, `namespace` is that of the Rollout, `hub` the registry.
    pub fn new(cluster: Cluster, chance: fastrand::Rng, namespace: &str, hub: Hub) -> Self {
        let begun = cluster.now();
        let namespace = namespace.to_owned();
        Self {
            ground: Ground { cluster, timers: Timers::default(), chance, namespace },
            begun,
            replicas: Replicas::default(),
            pods: Pods::default(),
            endpoints: Endpoints::default(),
            budgets: Budgets::default(),
            gateway: Gateway::default(),
            flux: Flux::default(),
            people: People::default(),
            prometheus: Prometheus::default(),
            exposure: Exposure::default(),
            hub,
            outage: None,
        }
    }

    /// Adds to the manifests of a story what they lack: the sources and routes that Rollouts
    /// name. ImageRepositories are taken out, since nobody but the world reads them.
    pub fn complete(&mut self, objects: &mut Vec<Value>) {
        let namespace = self.ground.namespace.as_str();
        complete::complete(objects, namespace);
        for (policy, repository) in complete::repositories(objects, namespace) {
            self.flux.repository(policy, repository);
        }
        for (repository, tag) in complete::registries(objects) {
            self.hub.push(&repository, tag.as_deref());
        }
    }

    /// Lets an event of a story happen now, if it is one of the world; others do nothing here.
    ///
    /// # Errors
    /// [`Trouble`], which says what in the event cannot be done.
    pub fn happens(&mut self, event: &Event) -> Result<(), Trouble> {
        let Self { ground, .. } = self;
        let now = ground.now();
        match event {
            Event::Release { at: _, name, version, build } => {
                let source = name.as_deref();
                if let Some(repository) = followed(ground, source) {
                    self.hub.push(&repository, Some(version));
                    return Ok(());
                }
                for (_, rollout) in ground.cluster.list("rollouts", None) {
                    if let Some(repository) = complete::pinned(&rollout) {
                        self.hub.push(&repository, Some(version));
                    }
                }
                self.flux.release(ground, Release { source, version, build: *build })?;
            }
            Event::Source { at: _, ready } => {
                self.hub.set_away(!ready);
                let listed = followed(ground, None).is_some();
                self.flux.source(ground, *ready).or_else(|why| listed.then_some(()).ok_or(why))?;
            }
            Event::Edit { at: _, object, by, merge, every, until } => {
                let edit = Edit {
                    object: object.clone(),
                    by: by.clone(),
                    merge: merge.clone(),
                    every: every.map(|every| every.0),
                    until: until.map(|until| self.begun + until.0),
                };
                self.people.edit(ground, edit)?;
            }
            Event::Annotate { at: _, set } => people::annotate(ground, set)?,
            Event::Delete { at: _, object } => people::delete(ground, object)?,
            Event::Pods { at: _, version, fate } => self.pods.decree(ground, version, *fate),
            Event::Gateway { at: _, object, answer } => {
                let only = object.as_ref().map(|object| people::place(ground, object));
                self.gateway.decree(ground, only.transpose()?, *answer);
            }
            Event::Errors { at: _, version, percent } => {
                if !(0.0..=100.0).contains(percent) {
                    let value = percent.to_string();
                    return Err(Trouble::Percent { what: "percent", value });
                }
                self.prometheus.errors(version, now, *percent);
                self.exposure.errors(now, &self.prometheus);
            }
            Event::Outage { at: _, length } => {
                self.outage = self.outage.max(Some(now + length.0));
            }
            Event::Prometheus { at: _, up } => self.prometheus.answers(now, *up),
            Event::Crash { .. }
            | Event::Restart { .. }
            | Event::Pause { .. }
            | Event::LoseReply { .. }
            | Event::Answer { .. }
            | Event::Delay { .. }
            | Event::Drop { .. }
            | Event::Duplicate { .. }
            | Event::Expire { .. }
            | Event::Clock { .. }
            | Event::Drift { .. } => {}
        }
        Ok(())
    }

    /// Hears of a change of the cluster. Each change is to be heard once, in order, and all before
    /// the next [`World::tick`]: those that the world made itself too.
    pub fn react(&mut self, change: &Change) {
        let Self { ground, .. } = self;
        match change.place.resource {
            "replicasets" => {
                self.replicas.hear(ground, change);
                self.budgets.hear(ground, change);
            }
            "poddisruptionbudgets" => self.budgets.hear(ground, change),
            "pods" => {
                self.replicas.hear(ground, change);
                self.pods.hear(ground, change);
                self.endpoints.hear(ground, change);
                self.budgets.hear(ground, change);
            }
            "services" => {
                self.endpoints.hear(ground, change);
                self.gateway.hear(ground, change);
            }
            "endpointslices" => self.endpoints.hear(ground, change),
            resource if fields::ROUTES.contains(&resource) => self.gateway.hear(ground, change),
            "imagepolicies" | "kustomizations" | "ocirepositories" | "rollouts" => {
                self.flux.hear(ground, change);
            }
            _ => {}
        }
        if ground.cluster.has_garbage() {
            ground.after(Task::Garbage, COLLECTED_AFTER);
        }
        self.exposure.hear(change, &self.prometheus);
    }

    /// Tells when something of the world's own is due: nothing while the API server is out.
    pub fn next(&self) -> Option<Timestamp> {
        let due = self.ground.timers.next()?;
        Some(self.outage.map_or(due, |end| due.max(end)))
    }

    /// Does all that is due at the time of the cluster.
    pub fn tick(&mut self) {
        let now = self.ground.now();
        if self.outage.is_some_and(|end| now < end) {
            return;
        }
        while let Some(task) = self.ground.timers.pop(now) {
            let Self { ground, .. } = self;
            match task {
                Task::Replicas(place) => self.replicas.act(ground, &place),
                Task::Pod(place) => self.pods.act(ground, &place),
                Task::Slice(place) => self.endpoints.act(ground, &place),
                Task::Budget(place) => budgets::act(ground, &place),
                Task::Route(place) => self.gateway.act(ground, &place),
                Task::Flux(place) => self.flux.act(ground, &place),
                Task::Garbage => {
                    collect(&ground.cluster);
                }
                Task::Edit(number) => self.people.act(ground, number),
            }
        }
    }

    /// Tells what Prometheus answers over time.
    pub fn prometheus(&self) -> &Prometheus {
        &self.prometheus
    }

    /// Tells how many of a hundred requests to a Rollout failed so far: 0 to 100. `None`: none
    /// could be answered yet.
    pub fn exposure(&self, rollout: &str) -> Option<f64> {
        let place = Place::new("rollouts", self.ground.namespace.as_str(), rollout);
        self.exposure.percent(&place, self.ground.now())
    }
}

/// The repository that the one Rollout follows itself of which a story speaks: that of a name, or
/// the first.
fn followed(ground: &Ground, name: Option<&str>) -> Option<String> {
    let mut rollouts = ground.cluster.list("rollouts", None);
    rollouts.retain(|(place, _)| name.is_none_or(|name| place.name == name));
    let image = |(_, rollout): &(Place, std::sync::Arc<Value>)| {
        let image = fields::text(rollout, &["spec", "registry", "image"]);
        Some(image.to_owned()).filter(|image| !image.is_empty())
    };
    rollouts.iter().find_map(image)
}

#[cfg(test)]
mod tests;
