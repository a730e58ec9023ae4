//! Replicas: the ReplicaSet controller. It makes and deletes pods and counts them; it never makes
//! them ready.
//!
//! Source: Kubernetes 1.36, `pkg/controller/replicaset`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::{Change, Place};
use crate::sim::rules::settle::Part;
use crate::sim::world::fields;
use crate::sim::world::ground::{self, Ground};
use crate::sim::world::timers::Task;

/// Longest beginning of a generated name that the API server keeps.
///
/// Source: Kubernetes apiserver, `storage/names.MaxGeneratedNameLength`.
const GENERATED_MAX: usize = 58;

/// Most pods that are made or deleted at one look.
const BURST: usize = 500;

/// Names that are tried for one pod before it is left for the next look.
const NAMES_MAX: usize = 8;

/// Keeps a deleted pod until its kubelet has stopped it, as the grace period does on a cluster.
pub const POD_FINALIZER: &str = "kubelet.sim/stops";

/// The ReplicaSet controller.
#[derive(Debug, Default)]
pub struct Replicas {
    sets: BTreeMap<Place, Set>,
    /// ReplicaSets by uid.
    uids: BTreeMap<String, Place>,
}

#[derive(Debug)]
struct Set {
    object: Arc<Value>,
    /// Its pods by name, those that end included.
    pods: BTreeMap<String, Arc<Value>>,
}

impl Replicas {
    /// Hears of a change.
    pub fn hear(&mut self, ground: &mut Ground, change: &Change) {
        match change.place.resource {
            "replicasets" => self.hear_set(ground, change),
            "pods" => self.hear_pod(ground, change),
            _ => {}
        }
    }

    fn hear_set(&mut self, ground: &mut Ground, change: &Change) {
        let place = &change.place;
        let Some(object) = &change.after else {
            if let Some(set) = self.sets.remove(place) {
                self.uids.remove(fields::uid(&set.object));
            }
            ground.timers.cancel(&Task::Replicas(place.clone()));
            return;
        };
        match self.sets.get_mut(place) {
            Some(set) => set.object = Arc::clone(object),
            None => {
                self.uids.insert(fields::uid(object).to_owned(), place.clone());
                let set = Set { object: Arc::clone(object), pods: BTreeMap::new() };
                self.sets.insert(place.clone(), set);
            }
        }
        if change.before.is_none() || change.writer != ground::controllers().writer {
            ground.soon(Task::Replicas(place.clone()));
        }
    }

    fn hear_pod(&mut self, ground: &mut Ground, change: &Change) {
        let Some(pod) = change.after.as_ref().or(change.before.as_ref()) else { return };
        let place = fields::controller(pod).and_then(|uid| self.uids.get(uid)).cloned();
        let Some(place) = place else { return };
        let Some(set) = self.sets.get_mut(&place) else { return };
        match &change.after {
            Some(pod) => drop(set.pods.insert(change.place.name.clone(), Arc::clone(pod))),
            None => drop(set.pods.remove(&change.place.name)),
        }
        let counts = |pod: &Arc<Value>| (fields::deleting(pod), fields::ready_since(pod));
        if change.before.as_ref().map(counts) != change.after.as_ref().map(counts) {
            ground.soon(Task::Replicas(place));
        }
    }

    /// Looks at a ReplicaSet: makes or deletes pods, writes what it counted before that.
    pub fn act(&mut self, ground: &mut Ground, place: &Place) {
        let Some(set) = self.sets.get(place) else { return };
        let now = ground.now();
        let active: Vec<Pod> = set
            .pods
            .iter()
            .filter(|(_, pod)| !fields::deleting(pod))
            .map(|(name, pod)| Pod { name, object: pod, ready: fields::ready_since(pod) })
            .collect();
        let wait = fields::number(&set.object, &["spec", "minReadySeconds"]).unwrap_or_default();
        let wait = Duration::from_secs(u64::try_from(wait).unwrap_or_default());
        let status = status(&set.object, &active, now, wait);
        if !fields::deleting(&set.object) {
            manage(ground, place, &set.object, &active);
        }
        if set.object.get("status") != Some(&status) {
            // A ReplicaSet that is gone is heard of soon.
            let _ = ground.cluster.update(&ground::controllers(), place, Part::Status, |object| {
                if let Value::Object(fields) = object {
                    fields.insert("status".to_owned(), status);
                }
                Ok(())
            });
        }
        let ends = active.iter().filter_map(|pod| pod.ready).map(|since| since + wait);
        if let Some(next) = ends.filter(|end| *end >= now && wait > Duration::ZERO).min() {
            let at = next + Duration::from_millis(1);
            ground.timers.schedule(Task::Replicas(place.clone()), at);
        }
    }
}

/// A pod that is not being deleted.
struct Pod<'a> {
    name: &'a str,
    object: &'a Value,
    ready: Option<Timestamp>,
}

impl Pod<'_> {
    fn born(&self) -> Reverse<&str> {
        Reverse(fields::text(self.object, &["metadata", "creationTimestamp"]))
    }
}

/// Counts pods as `calculateStatus` does; what is 0 is left out but for `replicas`.
fn status(set: &Value, active: &[Pod], now: Timestamp, wait: Duration) -> Value {
    let template = fields::at(set, &["spec", "template", "metadata", "labels"]);
    let labelled = |pod: &&Pod| {
        let labels = fields::labels(pod.object);
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        fields::pairs(template).all(|(key, value)| label(key) == Some(value))
    };
    let available =
        |pod: &&Pod| pod.ready.is_some_and(|since| wait == Duration::ZERO || since + wait < now);
    let counts = [
        ("fullyLabeledReplicas", active.iter().filter(labelled).count()),
        ("readyReplicas", active.iter().filter(|pod| pod.ready.is_some()).count()),
        ("availableReplicas", active.iter().filter(available).count()),
    ];
    let mut status = Map::new();
    status.insert("replicas".to_owned(), json!(active.len()));
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status.insert(name.to_owned(), json!(count));
    }
    if let Some(generation) = fields::at(set, &["metadata", "generation"]) {
        status.insert("observedGeneration".to_owned(), generation.clone());
    }
    Value::Object(status)
}

/// Makes the pods that lack and deletes those that are too many.
fn manage(ground: &mut Ground, place: &Place, set: &Value, active: &[Pod]) {
    let wanted = fields::number(set, &["spec", "replicas"]).unwrap_or(1);
    let wanted = usize::try_from(wanted).unwrap_or_default();
    for _ in 0..wanted.saturating_sub(active.len()).min(BURST) {
        create(ground, place, set);
    }
    let surplus = active.len().saturating_sub(wanted).min(BURST);
    if surplus == 0 {
        return;
    }
    // Not ready before ready, ready for a short before a long time, young before old.
    let mut order: Vec<&Pod> = active.iter().collect();
    order.sort_by_key(|pod| (pod.ready.is_some(), Reverse(pod.ready), pod.born(), pod.name));
    for pod in order.into_iter().take(surplus) {
        let pod = Place::new("pods", place.namespace.as_str(), pod.name);
        // Gone already is as good.
        let _ = ground.cluster.delete(&ground::controllers(), &pod);
    }
}

fn create(ground: &mut Ground, place: &Place, set: &Value) {
    let base = format!("{}-", place.name);
    let short: String = base.chars().take(GENERATED_MAX).collect();
    for _ in 0..NAMES_MAX {
        let name = format!("{short}{}", ground.suffix());
        let pod = Place::new("pods", place.namespace.as_str(), name);
        let body = pod_of(set, &pod, &base);
        match ground.cluster.create(&ground::controllers(), &pod, body) {
            Ok(_) => return,
            Err(refusal) if refusal.code == 409 => {}
            Err(_) => return ground.soon(Task::Replicas(place.clone())),
        }
    }
}

/// The body of a pod: of its spec only the names, images and ports of containers.
fn pod_of(set: &Value, pod: &Place, base: &str) -> Value {
    let template = fields::at(set, &["spec", "template"]).unwrap_or(&Value::Null);
    let containers = fields::items(template, &["spec", "containers"]);
    let containers: Vec<Value> = containers.iter().map(container).collect();
    let mut metadata = Map::new();
    for key in ["labels", "annotations"] {
        if let Some(value) = fields::at(template, &["metadata", key]) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let owner = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": fields::text(set, &["metadata", "name"]),
        "uid": fields::uid(set),
        "controller": true,
        "blockOwnerDeletion": true,
    });
    metadata.insert("ownerReferences".to_owned(), Value::Array(vec![owner]));
    metadata.insert("finalizers".to_owned(), json!([POD_FINALIZER]));
    metadata.insert("generateName".to_owned(), json!(base));
    metadata.insert("name".to_owned(), json!(pod.name));
    metadata.insert("namespace".to_owned(), json!(pod.namespace));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers},
        "status": {"phase": "Pending"},
    })
}

fn container(written: &Value) -> Value {
    let keys = ["name", "image", "ports"];
    let there = keys.iter().filter_map(|key| Some(((*key).to_owned(), written.get(*key)?.clone())));
    Value::Object(there.collect())
}
