//! Endpoints: the EndpointSlice controller. For each Service that selects there is one slice that
//! follows it and its pods a little late; it never changes a Service or a pod.
//!
//! Source: Kubernetes 1.36, `pkg/controller/endpointslice` and `endpointslice/utils.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::keys;
use crate::sim::history::{Change, Place};
use crate::sim::rules::settle::Part;
use crate::sim::world::fields;
use crate::sim::world::ground::{self, Ground};
use crate::sim::world::timers::Task;

/// The label by which the controller knows its slices, and its value.
const MANAGED_BY: (&str, &str) =
    ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");

/// The EndpointSlice controller.
#[derive(Debug, Default)]
pub struct Endpoints {
    services: BTreeMap<Place, Arc<Value>>,
    pods: BTreeMap<Place, Arc<Value>>,
    /// Services by one pair of their selector.
    selecting: Index,
    /// Pods by all pairs of their labels.
    labelled: Index,
    /// The slice of each Service, as it was heard of last.
    slices: BTreeMap<Place, (Place, Arc<Value>)>,
}

/// Objects by a label: key and value.
type Index = BTreeMap<(String, String), BTreeSet<Place>>;

impl Endpoints {
    /// Hears of a change.
    pub fn hear(&mut self, ground: &mut Ground, change: &Change) {
        match change.place.resource {
            "services" => self.hear_service(ground, change),
            "pods" => self.hear_pod(ground, change),
            "endpointslices" => self.hear_slice(ground, change),
            _ => {}
        }
    }

    fn hear_service(&mut self, ground: &mut Ground, change: &Change) {
        let place = &change.place;
        if let Some(before) = self.services.remove(place) {
            leave(&mut self.selecting, pair(&before), place);
        }
        if let Some(after) = &change.after {
            enter(&mut self.selecting, pair(after), place);
            self.services.insert(place.clone(), Arc::clone(after));
        }
        let spec = |object: &Option<Arc<Value>>| object.as_ref().map(|o| o.get("spec").cloned());
        if spec(&change.before) != spec(&change.after) {
            ground.soon(Task::Slice(place.clone()));
        }
    }

    fn hear_pod(&mut self, ground: &mut Ground, change: &Change) {
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        let labels = |pod: Option<&Arc<Value>>| pod.and_then(|pod| fields::labels(pod)).cloned();
        let (old, new) = (labels(before), labels(after));
        let counts = |pod: Option<&Arc<Value>>| pod.is_some_and(|pod| counts(pod));
        if counts(before) || counts(after) {
            let shape = |pod: Option<&Arc<Value>>| {
                pod.map(|pod| (fields::ready(pod), fields::deleting(pod), counts(Some(pod))))
            };
            if old != new || shape(before) != shape(after) {
                self.wake(ground, &change.place, old.as_ref());
                self.wake(ground, &change.place, new.as_ref());
            }
        }
        if old != new {
            for (key, value) in fields::pairs(old.as_ref()) {
                leave(&mut self.labelled, Some((key, value)), &change.place);
            }
            for (key, value) in fields::pairs(new.as_ref()) {
                enter(&mut self.labelled, Some((key, value)), &change.place);
            }
        }
        match after {
            Some(pod) => drop(self.pods.insert(change.place.clone(), Arc::clone(pod))),
            None => drop(self.pods.remove(&change.place)),
        }
    }

    /// Has the Services looked at that select a pod of these labels.
    fn wake(&self, ground: &mut Ground, pod: &Place, labels: Option<&Value>) {
        for (key, value) in fields::pairs(labels) {
            let found = self.selecting.get(&(key.to_owned(), value.to_owned()));
            for place in found.into_iter().flatten() {
                let service = self.services.get(place);
                let selects = service.is_some_and(|service| selects(service, labels));
                if place.namespace == pod.namespace && selects {
                    ground.soon(Task::Slice(place.clone()));
                }
            }
        }
    }

    fn hear_slice(&mut self, ground: &mut Ground, change: &Change) {
        let Some(object) = change.after.as_ref().or(change.before.as_ref()) else { return };
        let label = |key: &str| fields::text(object, &["metadata", "labels", key]);
        if label(MANAGED_BY.0) != MANAGED_BY.1 {
            return;
        }
        let service =
            Place::new("services", change.place.namespace.as_str(), label(keys::SLICE_SERVICE));
        match &change.after {
            Some(slice) => {
                let slice = (change.place.clone(), Arc::clone(slice));
                self.slices.insert(service.clone(), slice);
            }
            None => drop(self.slices.remove(&service)),
        }
        if change.writer != ground::controllers().writer || change.after.is_none() {
            ground.soon(Task::Slice(service));
        }
    }

    /// Brings the slice of a Service up to date. That of a Service that is gone goes with it, by
    /// its owner.
    pub fn act(&mut self, ground: &mut Ground, place: &Place) {
        let Some(service) = self.services.get(place) else { return };
        if fields::deleting(service) || pair(service).is_none() {
            return;
        }
        let endpoints = self.endpoints(service, place);
        let ports = ports(service);
        let Some((slice, stored)) = self.slices.get(place) else {
            return create(ground, place, service, endpoints, ports);
        };
        let same = |key: &str, value: &Value| stored.get(key) == Some(value);
        if same("endpoints", &endpoints) && same("ports", &ports) {
            return;
        }
        // A slice that is gone is heard of soon.
        let _ = ground.cluster.update(&ground::controllers(), slice, Part::Main, |object| {
            if let Value::Object(fields) = object {
                fields.insert("endpoints".to_owned(), endpoints);
                fields.insert("ports".to_owned(), ports);
            }
            Ok(())
        });
    }

    /// The endpoints of a Service, by name of the pod.
    fn endpoints(&self, service: &Value, place: &Place) -> Value {
        let nothing = BTreeSet::new();
        let selector = fields::pairs(selector(service));
        let sets = selector.map(|(key, value)| {
            self.labelled.get(&(key.to_owned(), value.to_owned())).unwrap_or(&nothing)
        });
        let fewest = sets.min_by_key(|set| set.len()).unwrap_or(&nothing);
        let pods = fewest.iter().filter(|pod| pod.namespace == place.namespace);
        let pods = pods.filter_map(|pod| Some((pod, self.pods.get(pod)?)));
        let all = at_all_times(service);
        let chosen = pods.filter(|(_, pod)| counts(pod) && selects(service, fields::labels(pod)));
        Value::Array(chosen.map(|(pod, object)| endpoint(pod, object, all)).collect())
    }
}

fn endpoint(place: &Place, pod: &Value, all: bool) -> Value {
    let (serving, terminating) = (fields::ready(pod), fields::deleting(pod));
    json!({
        "addresses": [fields::text(pod, &["status", "podIP"])],
        "conditions": {
            "ready": all || (serving && !terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": place.namespace,
            "name": place.name,
            "uid": fields::uid(pod),
        },
    })
}

/// The ports of a slice: those that the pods listen on.
fn ports(service: &Value) -> Value {
    let port = |port: &Value| {
        let target = port.get("targetPort").filter(|target| target.is_number());
        json!({
            "name": fields::text(port, &["name"]),
            "port": target.or_else(|| port.get("port")).unwrap_or(&Value::Null),
            "protocol": port.get("protocol").unwrap_or(&json!("TCP")),
        })
    };
    Value::Array(fields::items(service, &["spec", "ports"]).iter().map(port).collect())
}

fn create(ground: &mut Ground, place: &Place, service: &Value, endpoints: Value, ports: Value) {
    let base = format!("{}-", place.name);
    let name = format!("{base}{}", ground.suffix());
    let slice = Place::new("endpointslices", place.namespace.as_str(), name);
    let mut labels = fields::labels(service).cloned().unwrap_or_else(|| json!({}));
    if let Value::Object(labels) = &mut labels {
        labels.insert(keys::SLICE_SERVICE.to_owned(), json!(place.name));
        labels.insert(MANAGED_BY.0.to_owned(), json!(MANAGED_BY.1));
    }
    let body = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": base,
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": "v1",
                "kind": "Service",
                "name": place.name,
                "uid": fields::uid(service),
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    });
    if ground.cluster.create(&ground::controllers(), &slice, body).is_err() {
        ground.soon(Task::Slice(place.clone()));
    }
}

fn selector(service: &Value) -> Option<&Value> {
    fields::at(service, &["spec", "selector"])
}

/// The pair of a selector by which a Service is found: the one that the fewest pods carry.
fn pair(service: &Value) -> Option<(&str, &str)> {
    let rank = |(key, _): &(&str, &str)| match *key {
        keys::LABEL_REVISION => 0,
        keys::LABEL_ROLLOUT => 1,
        _ => 2,
    };
    fields::pairs(selector(service)).min_by_key(rank)
}

fn selects(service: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    fields::pairs(selector(service)).all(|(key, value)| label(key) == Some(value))
}

/// Tells whether pods that are not ready count as ready.
fn at_all_times(service: &Value) -> bool {
    fields::at(service, &["spec", "publishNotReadyAddresses"]) == Some(&Value::Bool(true))
}

/// A pod without an address is no endpoint.
fn counts(pod: &Value) -> bool {
    !fields::text(pod, &["status", "podIP"]).is_empty()
}

fn enter(index: &mut Index, pair: Option<(&str, &str)>, place: &Place) {
    if let Some((key, value)) = pair {
        index.entry((key.to_owned(), value.to_owned())).or_default().insert(place.clone());
    }
}

fn leave(index: &mut Index, pair: Option<(&str, &str)>, place: &Place) {
    let Some((key, value)) = pair else { return };
    let pair = (key.to_owned(), value.to_owned());
    if let Some(places) = index.get_mut(&pair) {
        places.remove(place);
        if places.is_empty() {
            index.remove(&pair);
        }
    }
}
