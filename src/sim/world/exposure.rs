//! Exposure: how many requests to a Rollout failed so far. It never answers a request: it follows
//! where they would go and what the story says of the versions there.
//!
//! Behind a route requests go to the ready endpoints of both Services by the weights that the
//! gateway accepted last, without one to all ready pods, or to those of the active Service. Those
//! fail for which there is no ready pod, and of the others as many as the story says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::api::keys;
use crate::model::moment::Timestamp;
use crate::sim::history::{Change, Place};
use crate::sim::world::fields;
use crate::sim::world::gateway;
use crate::sim::world::prometheus::Prometheus;

/// What is followed.
#[derive(Debug, Default)]
pub struct Exposure {
    rollouts: BTreeMap<Place, Traffic>,
    /// Rollouts by the Services and routes that they name.
    naming: BTreeMap<Place, BTreeSet<Place>>,
    /// Routes as they were when the gateway accepted them last.
    routes: BTreeMap<Place, Arc<Value>>,
    /// Pods that take requests to a Service.
    endpoints: BTreeMap<Place, Vec<Place>>,
    pods: BTreeMap<Place, Pod>,
    /// Pods by Rollout.
    owned: BTreeMap<Place, BTreeSet<Place>>,
}

#[derive(Debug)]
struct Pod {
    rollout: Place,
    version: String,
    ready: bool,
}

/// The requests to one Rollout, as many at each time.
#[derive(Debug)]
struct Traffic {
    routes: Vec<Place>,
    /// Labels of further routes: the plural of their kind, and the labels.
    selects: Vec<(&'static str, Value)>,
    services: Vec<Place>,
    /// The Service that carries all requests.
    active: Option<Place>,
    /// When a request could be answered for the first time.
    begun: Option<Timestamp>,
    /// The share that fails, 0 to 1, since a time.
    failing: (f64, Timestamp),
    /// What failed until then, in milliseconds of all requests.
    failed: f64,
}

impl Traffic {
    /// How much failed until a time.
    fn until(&self, now: Timestamp) -> f64 {
        let (share, since) = self.failing;
        self.failed + share * millis(since, now)
    }
}

/// A time in milliseconds; a story is too short for the loss of digits to matter.
fn millis(since: Timestamp, now: Timestamp) -> f64 {
    let length = u32::try_from(now.since(since).millis()).unwrap_or(u32::MAX);
    f64::from(length)
}

impl Exposure {
    /// Tells how many of a hundred requests to a Rollout failed until a time: 0 to 100. `None`:
    /// none was answered yet.
    pub fn percent(&self, rollout: &Place, now: Timestamp) -> Option<f64> {
        let traffic = self.rollouts.get(rollout)?;
        let length = millis(traffic.begun?, now);
        let failed = if length > 0.0 { traffic.until(now) / length } else { traffic.failing.0 };
        Some(failed * 100.0)
    }

    /// Hears of a change.
    pub fn hear(&mut self, change: &Change, prometheus: &Prometheus) {
        let place = &change.place;
        let touched = match place.resource {
            "rollouts" => self.hear_rollout(change),
            resource if fields::ROUTES.contains(&resource) => self.hear_route(change),
            "endpointslices" => self.hear_slice(change),
            "pods" => self.hear_pod(change),
            _ => return,
        };
        for rollout in touched {
            self.follow(&rollout, change.at, prometheus);
        }
    }

    /// Hears that another share of the requests fails.
    pub fn errors(&mut self, now: Timestamp, prometheus: &Prometheus) {
        let all: Vec<Place> = self.rollouts.keys().cloned().collect();
        for rollout in all {
            self.follow(&rollout, now, prometheus);
        }
    }

    fn hear_rollout(&mut self, change: &Change) -> BTreeSet<Place> {
        let place = &change.place;
        let [before, after] = [&change.before, &change.after]
            .map(|state| state.as_ref().map(|object| object.get("spec")));
        if before.is_some() && before == after {
            return BTreeSet::new();
        }
        for rollouts in self.naming.values_mut() {
            rollouts.remove(place);
        }
        let Some(object) = &change.after else {
            self.rollouts.remove(place);
            return BTreeSet::new();
        };
        let named = fields::named(object);
        let at = |resource: &'static str, name: &str| {
            (!name.is_empty()).then(|| Place::new(resource, place.namespace.as_str(), name))
        };
        let routes: Vec<Place> =
            named.routes.iter().filter_map(|(resource, name)| at(resource, name)).collect();
        let services = named.services.map(|name| at("services", name));
        let services: Vec<Place> = services.into_iter().flatten().collect();
        for other in routes.iter().chain(&services) {
            self.naming.entry(other.clone()).or_default().insert(place.clone());
        }
        let traffic = self.rollouts.entry(place.clone()).or_insert_with(|| Traffic {
            routes: Vec::new(),
            selects: Vec::new(),
            services: Vec::new(),
            active: None,
            begun: None,
            failing: (1.0, change.at),
            failed: 0.0,
        });
        traffic.active = services.first().filter(|_| named.switch).cloned();
        (traffic.routes, traffic.services) = (routes, services);
        traffic.selects =
            named.selects.into_iter().map(|(kind, all)| (kind, all.clone())).collect();
        BTreeSet::from([place.clone()])
    }

    fn named(&self, place: &Place) -> BTreeSet<Place> {
        self.naming.get(place).cloned().unwrap_or_default()
    }

    fn hear_route(&mut self, change: &Change) -> BTreeSet<Place> {
        match &change.after {
            Some(route) if gateway::accepted(route) => {
                self.routes.insert(change.place.clone(), Arc::clone(route));
            }
            Some(_) => return BTreeSet::new(),
            None => drop(self.routes.remove(&change.place)),
        }
        let place = &change.place;
        let mut touched = self.named(place);
        let selecting = self.rollouts.iter().filter(|(rollout, traffic)| {
            let kinds = || traffic.selects.iter().any(|(kind, _)| *kind == place.resource);
            rollout.namespace == place.namespace && kinds()
        });
        touched.extend(selecting.map(|(rollout, _)| rollout.clone()));
        touched
    }

    /// The routes of a Rollout that gateways took.
    fn taken(&self, rollout: &Place, traffic: &Traffic) -> Vec<(&Place, &Value)> {
        let named = |place: &Place| traffic.routes.contains(place);
        let selected = |place: &Place, route: &Value| {
            place.namespace == rollout.namespace
                && traffic
                    .selects
                    .iter()
                    .any(|(kind, labels)| *kind == place.resource && fields::carries(route, labels))
        };
        let all = self.routes.iter().map(|(place, route)| (place, route.as_ref()));
        all.filter(|(place, route)| named(place) || selected(place, route)).collect()
    }

    fn hear_slice(&mut self, change: &Change) -> BTreeSet<Place> {
        let Some(slice) = change.after.as_ref().or(change.before.as_ref()) else {
            return BTreeSet::new();
        };
        let namespace = change.place.namespace.as_str();
        let name = fields::text(slice, &["metadata", "labels", keys::SLICE_SERVICE]);
        let service = Place::new("services", namespace, name);
        let endpoints = change.after.as_ref().map_or(&[][..], |s| fields::items(s, &["endpoints"]));
        let ready =
            |one: &&Value| fields::at(one, &["conditions", "ready"]) == Some(&Value::Bool(true));
        let pod =
            |one: &Value| Place::new("pods", namespace, fields::text(one, &["targetRef", "name"]));
        let pods = endpoints.iter().filter(ready).map(pod).collect();
        let touched = self.named(&service);
        self.endpoints.insert(service, pods);
        touched
    }

    fn hear_pod(&mut self, change: &Change) -> BTreeSet<Place> {
        let place = &change.place;
        let Some(object) = &change.after else {
            let Some(pod) = self.pods.remove(place) else { return BTreeSet::new() };
            if let Some(owned) = self.owned.get_mut(&pod.rollout) {
                owned.remove(place);
            }
            return BTreeSet::from([pod.rollout]);
        };
        let ready = fields::ready(object);
        if let Some(pod) = self.pods.get_mut(place) {
            if pod.ready == ready {
                return BTreeSet::new();
            }
            pod.ready = ready;
            return BTreeSet::from([pod.rollout.clone()]);
        }
        let name = fields::text(object, &["metadata", "labels", keys::LABEL_ROLLOUT]);
        let rollout = Place::new("rollouts", place.namespace.as_str(), name);
        let version = fields::versions(object).into_iter().next().unwrap_or_default();
        self.owned.entry(rollout.clone()).or_default().insert(place.clone());
        self.pods.insert(place.clone(), Pod { rollout: rollout.clone(), version, ready });
        BTreeSet::from([rollout])
    }

    /// Counts what failed until now and from now on.
    fn follow(&mut self, rollout: &Place, now: Timestamp, prometheus: &Prometheus) {
        let share = self.share(rollout, now, prometheus);
        let Some(traffic) = self.rollouts.get_mut(rollout) else { return };
        if traffic.begun.is_some() {
            traffic.failed = traffic.until(now);
        } else if share < 1.0 {
            traffic.begun = Some(now);
        }
        traffic.failing = (share, now);
    }

    /// The share of the requests to a Rollout that fails, 0 to 1.
    fn share(&self, rollout: &Place, now: Timestamp, prometheus: &Prometheus) -> f64 {
        let Some(traffic) = self.rollouts.get(rollout) else { return 1.0 };
        if traffic.routes.is_empty() && traffic.selects.is_empty() {
            if let Some(active) = &traffic.active {
                let pods = self.endpoints.get(active).into_iter().flatten();
                return self.mean(pods, now, prometheus);
            }
            let owned = self.owned.get(rollout).into_iter().flatten();
            let ready = owned.filter(|pod| self.pods.get(pod).is_some_and(|pod| pod.ready));
            return self.mean(ready, now, prometheus);
        }
        let (mut failing, mut all) = (0.0, 0.0);
        for (route, object) in self.taken(rollout, traffic) {
            for (service, weight) in gateway::weights(object, route) {
                if traffic.services.contains(&service) {
                    let pods = self.endpoints.get(&service).into_iter().flatten();
                    failing += weight * self.mean(pods, now, prometheus);
                    all += weight;
                }
            }
        }
        if all > 0.0 { failing / all } else { 1.0 }
    }

    /// The share that fails of requests that go to these pods in turns.
    fn mean<'a>(
        &self,
        pods: impl Iterator<Item = &'a Place>,
        now: Timestamp,
        prometheus: &Prometheus,
    ) -> f64 {
        let (mut failing, mut all) = (0.0, 0.0);
        for pod in pods {
            all += 1.0;
            failing += match self.pods.get(pod) {
                Some(pod) if pod.ready => prometheus.percent(&pod.version, now) / 100.0,
                Some(_) | None => 1.0,
            };
        }
        if all > 0.0 { failing / all } else { 1.0 }
    }
}
