//! Scene: a cluster with its world, moved by hand, and the objects of the tests.

use serde_json::{Value, json};

use crate::model::moment::Duration;
use crate::runtime::clock::Clock;
use crate::sim::cluster::{Actor, Cluster};
use crate::sim::history::Place;
use crate::sim::hub::Hub;
use crate::sim::rules::settle::Part;
use crate::sim::story::{Event, Fate, Span};
use crate::sim::world::trouble::Trouble;
use crate::sim::world::{World, fields};

/// A cluster with its world, moved by hand.
pub struct Scene {
    pub cluster: Cluster,
    pub world: World,
    heard: usize,
}

impl Scene {
    pub fn new(seed: u64) -> Self {
        let start = jiff::Timestamp::from_second(1_700_000_000).unwrap();
        let cluster = Cluster::new(Clock::starting_at(start));
        let chance = fastrand::Rng::with_seed;
        let hub = Hub::new(chance(seed));
        let world = World::new(cluster.clone(), chance(seed), "prod", hub);
        Self { cluster, world, heard: 0 }
    }

    pub fn hear(&mut self) {
        loop {
            let news = self.cluster.changes(self.heard);
            self.heard += news.len();
            if news.is_empty() {
                return;
            }
            news.iter().for_each(|change| self.world.react(change));
        }
    }

    /// Lets time pass, in milliseconds.
    pub async fn pass(&mut self, millis: u64) {
        let end = self.cluster.now() + Duration::from_millis(millis);
        loop {
            self.hear();
            let next = self.world.next().filter(|next| *next <= end).unwrap_or(end);
            let length = next.since(self.cluster.now()).millis();
            tokio::time::advance(std::time::Duration::from_millis(length)).await;
            self.world.tick();
            if next == end && self.world.next().is_none_or(|next| next > end) {
                return self.hear();
            }
        }
    }

    pub fn happens(&mut self, event: Value) -> Result<(), Trouble> {
        self.hear();
        let done = self.world.happens(&serde_json::from_value(event).unwrap());
        self.hear();
        done
    }

    pub fn put(&mut self, place: &Place, object: Value) {
        self.cluster.create(&Actor::other("person"), place, object).unwrap();
    }

    pub fn patch(&mut self, place: &Place, patch: Value) {
        let actor = Actor::other("person");
        let patched = self.cluster.update(&actor, place, Part::Main, |object| {
            json_patch::merge(object, &patch);
            Ok(())
        });
        patched.unwrap();
    }

    pub fn read(&self, place: &Place) -> Value {
        self.cluster.read(place).map_or(Value::Null, |object| (*object).clone())
    }

    /// Running pods: all, and those that are ready.
    pub fn pods(&self, version: &str) -> (usize, usize) {
        let pods = self.cluster.list("pods", None);
        let of_version = pods.iter().filter(|(_, pod)| fields::versions(pod) == [version]);
        let live: Vec<_> = of_version.filter(|(_, pod)| !fields::deleting(pod)).collect();
        (live.len(), live.iter().filter(|(_, pod)| fields::ready(pod)).count())
    }

    /// The numbers of endpoints of a Service: ready, serving, terminating.
    pub fn slice(&self, service: &str) -> Option<(usize, usize, usize)> {
        let slices = self.cluster.list("endpointslices", None);
        let label = ["metadata", "labels", "kubernetes.io/service-name"];
        let mut of = slices.iter().filter(|(_, slice)| fields::text(slice, &label) == service);
        let (_, slice) = of.next()?;
        assert!(of.next().is_none(), "one slice for a Service");
        let endpoints = fields::items(slice, &["endpoints"]);
        let count = |key: &str| {
            let is = |one: &&Value| fields::at(one, &["conditions", key]) == Some(&json!(true));
            endpoints.iter().filter(is).count()
        };
        Some((count("ready"), count("serving"), count("terminating")))
    }
}

pub fn set(name: &str) -> Place {
    Place::new("replicasets", "prod", name)
}

pub fn service(name: &str) -> Place {
    Place::new("services", "prod", name)
}

pub fn route() -> Place {
    Place::new("httproutes", "prod", "shop")
}

pub fn replica_set(version: &str, replicas: u32) -> Value {
    let labels = json!({"app": "shop", "version": version});
    let image = format!("registry.example/shop:v{version}");
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("shop-{version}"), "namespace": "prod"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        },
    })
}

pub fn selecting(version: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {
            "selector": {"app": "shop", "version": version},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    })
}

pub fn rollout(patch: Value) -> Value {
    let mut rollout = json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {
            "sourceRef": {"kind": "ImagePolicy", "name": "tags", "namespace": "flux-system"},
            "template": {"spec": {"containers": [{"name": "app"}]}},
            "strategy": {"canary": {
                "stableService": "shop-stable", "canaryService": "shop-canary", "port": 8080,
                "steps": [{"setWeight": 20}],
                "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}},
            }},
        },
    });
    json_patch::merge(&mut rollout, &patch);
    rollout
}

pub fn fate(fate: Fate) -> Value {
    let event = Event::Pods { at: span(0), version: "1.0.0".to_owned(), fate };
    serde_json::to_value(event).unwrap()
}

pub fn span(millis: u64) -> Span {
    Span(Duration::from_millis(millis))
}

pub fn rollout_place() -> Place {
    Place::new("rollouts", "prod", "shop")
}

pub fn policy() -> Place {
    Place::new("imagepolicies", "flux-system", "tags")
}
