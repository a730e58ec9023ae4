//! Tale: a small history of one Rollout, told change by change to a judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::{Change, Place, Sight, Writer};
use crate::sim::judge::{Judge, Note};
use crate::sim::resource::RESOURCES;

/// A case: where the tale begins, what happens then, and what of it is broken.
pub type Row = (&'static str, fn() -> Tale, fn(&mut Tale), &'static [&'static str]);

pub fn check(rows: &[Row]) {
    for (case, begin, act, want) in rows {
        let mut tale = begin();
        assert_eq!(tale.broken(), [""; 0], "before {case}: {:#?}", tale.judge.violations());
        act(&mut tale);
        assert_eq!(tale.broken(), *want, "{case}: {:#?}", tale.judge.violations());
    }
}

/// The revision of 1.0.0, which is stable, and of 1.1.0, which climbs.
pub const OLD: &str = "1111111111";
pub const NEW: &str = "2222222222";
/// Noon of some day.
const START: i64 = 1_767_355_200_000;

pub struct Tale {
    pub judge: Judge,
    pub at: Timestamp,
    pub objects: BTreeMap<Place, Arc<Value>>,
    /// What the controllers have been told; absent: not known.
    pub sight: Option<Sight>,
    /// The controller that stores statuses and sends Events.
    pub by: String,
    revision: u64,
    notices: u32,
}

pub fn place(path: &str) -> Place {
    let (plural, name) = path.split_once('/').unwrap();
    let resource = RESOURCES.iter().find(|known| known.plural == plural).unwrap();
    Place::new(resource.plural, "prod", name)
}

/// JSON merge patch (RFC 7386).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(target.as_object_mut().unwrap().entry(key).or_insert(Value::Null), value);
        }
    }
}

impl Tale {
    fn begin() -> Self {
        Self {
            judge: Judge::new(),
            at: Timestamp::from_millis(START),
            objects: BTreeMap::new(),
            sight: None,
            by: "controller".to_owned(),
            revision: 1,
            notices: 0,
        }
    }

    /// 1.0.0 carries all traffic; with a route or without.
    pub fn at_rest(routed: bool) -> Self {
        let mut tale = Self::begin();
        tale.offer("1.0.0", "sha256:aa");
        tale.create("person", "rollouts/shop", rollout(routed));
        tale.create("person", "httproutes/shop", route());
        tale.accept();
        tale.begins(json!({"number": 1, "revision": OLD, "stage": "First", "trigger": "Template",
            "delivered": true, "release": release("1.0.0", "")}));
        tale.create("controller", &set(OLD), replica_set(OLD, "shop:1.0.0", 5));
        tale.create("controller", "services/stable", service(OLD));
        tale.create("controller", "services/canary", service(OLD));
        tale.after(1);
        tale.pods(OLD, 5);
        if routed {
            tale.weigh(100, 0);
            tale.after(1);
            tale.accept();
        }
        let notice = tale.notice("AttemptCompleted");
        tale.status(json!({"phase": "Completed", "outbox": [notice],
            "attempt": {"stage": "Completed", "weight": 100}, "stable": {"revision": OLD},
            "history": [{"number": 1, "outcome": "Completed", "revision": OLD}],
            "waitingFor": null, "conditions": [{"type": "Ready", "status": "True"}]}));
        tale.send("AttemptCompleted");
        tale.status(json!({"outbox": null}));
        tale.after(60);
        tale
    }

    /// 1.1.0 is offered and its attempt stored.
    pub fn decided(routed: bool) -> Self {
        let mut tale = Self::at_rest(routed);
        tale.begins_release("1.1.0", "sha256:bb");
        tale
    }

    /// A release is offered and its attempt stored.
    pub fn begins_release(&mut self, tag: &str, digest: &str) {
        self.offer(tag, digest);
        self.begins(json!({"number": 2, "revision": NEW, "stage": "Step", "step": 1, "weight": 20,
            "trigger": "Release", "delivered": false, "release": release(tag, digest),
            "routing": self.routing()}));
    }

    /// 1.1.0 is in the template, and its pods are up.
    pub fn delivered(routed: bool) -> Self {
        let mut tale = Self::decided(routed);
        tale.image("controller", "shop:1.1.0@sha256:bb");
        tale.status(json!({"attempt": {"delivered": true}}));
        let image = "shop:1.1.0@sha256:bb";
        tale.create("controller", &set(NEW), replica_set(NEW, image, 1));
        tale.after(1);
        tale.merge("controller", "services/canary", selector(NEW));
        tale.pods(NEW, 1);
        tale.after(6);
        tale
    }

    /// The weight of step 1 is in force.
    pub fn delivered_and_weighed() -> Self {
        let mut tale = Self::delivered(true);
        tale.weigh(80, 20);
        tale.after(1);
        tale.accept();
        tale
    }

    /// 1.1.0 stands on step 1 with weight 20, whose pause of a minute runs.
    pub fn paused() -> Self {
        let mut tale = Self::delivered_and_weighed();
        let at = tale.at.to_string();
        tale.status(json!({"phase": "Paused", "attempt": {"pausedAt": at},
            "waitingFor": [{"kind": "Paused", "automatic": true}]}));
        tale
    }

    /// The pause of step 1 is over and step 2, with weight 50, waits to be promoted.
    pub fn awaiting() -> Self {
        let mut tale = Self::paused();
        tale.after(60);
        tale.enters(2, 50);
        tale.merge("controller", &set(NEW), json!({"spec": {"replicas": 3}}));
        tale.after(1);
        tale.pods(NEW, 3);
        tale.weigh(50, 50);
        tale.after(1);
        tale.accept();
        let (at, notice) = (tale.at.to_string(), tale.notice("AwaitingPromotion"));
        tale.status(json!({"phase": "Paused", "attempt": {"pausedAt": at}, "outbox": [notice],
            "waitingFor": [{"kind": "AwaitingPromotion", "automatic": false}]}));
        tale.send("AwaitingPromotion");
        tale.status(json!({"outbox": null}));
        tale.after(6);
        tale
    }

    /// All traffic is on 1.1.0 and the stable Service is about to follow.
    pub fn promoting() -> Self {
        let mut tale = Self::awaiting();
        tale.annotate("person", json!({"stairlock.dev/promote": "true"}));
        tale.annotate(
            "controller",
            json!({"stairlock.dev/promote": null,
            "stairlock.dev/accepted": "promote 2/2"}),
        );
        tale.enters(3, 100);
        tale.annotate("controller", json!({"stairlock.dev/accepted": null}));
        tale.merge("controller", &set(NEW), json!({"spec": {"replicas": 5}}));
        tale.after(1);
        tale.pods(NEW, 5);
        tale.weigh(0, 100);
        tale.after(1);
        tale.accept();
        tale.status(json!({"attempt": {"stage": "Promoting", "step": 0}}));
        tale
    }

    /// 1.1.0 carries all traffic and 1.0.0 begins to drain.
    pub fn completed() -> Self {
        let mut tale = Self::promoting();
        tale.merge("controller", "services/stable", selector(NEW));
        tale.after(1);
        tale.slices();
        tale.weigh(100, 0);
        tale.after(1);
        tale.accept();
        let (at, notice) = (tale.at.to_string(), tale.notice("AttemptCompleted"));
        tale.status(json!({"phase": "Completed", "outbox": [notice],
            "attempt": {"stage": "Completed"}, "stable": {"revision": NEW},
            "draining": [{"revision": OLD, "since": at}], "history": [
                {"number": 2, "outcome": "Completed"}, {"number": 1, "outcome": "Completed"}]}));
        tale.send("AttemptCompleted");
        tale.status(json!({"outbox": null}));
        tale
    }

    /// 1.1.0 is aborted on step 2 and about to give its traffic back.
    pub fn aborted() -> Self {
        let mut tale = Self::awaiting();
        tale.annotate("person", json!({"stairlock.dev/abort": "true"}));
        tale.annotate(
            "controller",
            json!({"stairlock.dev/abort": null,
            "stairlock.dev/accepted": "abort 2/2"}),
        );
        tale.status(json!({"phase": "Progressing", "waitingFor": null,
            "attempt": {"stage": "RollingBack", "step": 0, "weight": 0, "cause": "Aborted",
                "pausedAt": null},
            "quarantine": [{"revision": NEW, "attempt": 2, "trigger": "Release",
                "release": release("1.1.0", "sha256:bb")}]}));
        tale.after(6);
        tale
    }

    /// The attempt that was aborted has failed: traffic and image are back.
    pub fn fails(&mut self) {
        self.weigh(100, 0);
        self.after(1);
        self.accept();
        self.image("controller", "shop:1.0.0");
        let notice = self.notice("AttemptFailed");
        self.status(json!({"phase": "Failed", "attempt": {"stage": "Ended"}, "outbox": [notice],
            "history": [{"number": 2, "outcome": "Aborted"},
                {"number": 1, "outcome": "Completed"}]}));
    }

    fn routing(&self) -> Value {
        let rollout = &self.objects[&place("rollouts/shop")];
        match rollout["spec"]["strategy"]["canary"].get("trafficRouting") {
            None => Value::Null,
            Some(_) => json!({"strategy": "canary", "port": 80, "httpRoute": "shop",
                "stableService": "stable", "canaryService": "canary"}),
        }
    }

    pub fn after(&mut self, secs: u64) {
        self.at = self.at + Duration::from_secs(secs);
    }

    pub fn calm(&mut self) {
        let at = self.at;
        self.judge.note(Note::Calm { at });
    }

    /// The names of the invariants that are broken so far, each once.
    pub fn broken(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.judge.violations().iter().map(|v| v.invariant).collect();
        names.dedup();
        names
    }

    pub fn create(&mut self, by: &str, path: &str, object: Value) {
        self.change(by, path, Some(object));
    }

    pub fn delete(&mut self, by: &str, path: &str) {
        self.change(by, path, None);
    }

    pub fn merge(&mut self, by: &str, path: &str, patch: Value) {
        let mut object = self.objects.get(&place(path)).unwrap().as_ref().clone();
        merge(&mut object, &patch);
        self.change(by, path, Some(object));
    }

    fn change(&mut self, by: &str, path: &str, after: Option<Value>) {
        let place = place(path);
        let before = self.objects.get(&place).cloned();
        self.revision += 1;
        self.at = self.at + Duration::from_millis(10);
        let after = after.map(|mut object| {
            let generation = before.as_ref().map_or(1, |old| {
                let number = old["metadata"]["generation"].as_i64().unwrap();
                number + i64::from(old["spec"] != object["spec"])
            });
            merge(
                &mut object,
                &json!({"metadata": {"name": place.name, "namespace": "prod",
                "generation": generation, "resourceVersion": self.revision.to_string()}}),
            );
            Arc::new(object)
        });
        match &after {
            Some(object) => drop(self.objects.insert(place.clone(), Arc::clone(object))),
            None => drop(self.objects.remove(&place)),
        }
        let writer = if by.starts_with("controller") {
            Writer::Controller { identity: by.into(), seen: self.sight.clone().map(Arc::new) }
        } else {
            Writer::Other(by.into())
        };
        let (revision, at) = (self.revision, self.at);
        self.judge.see(&Change { revision, at, writer, place, before, after });
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// A status that a controller stores.
    pub fn status(&mut self, patch: Value) {
        let by = self.by.clone();
        self.merge(&by, "rollouts/shop", json!({"status": patch}));
    }

    pub fn annotate(&mut self, by: &str, patch: Value) {
        self.merge(by, "rollouts/shop", json!({"metadata": {"annotations": patch}}));
    }

    fn begins(&mut self, attempt: Value) {
        let notice = self.notice("AttemptStarted");
        let phase = if attempt["stage"] == "First" { "Initializing" } else { "Progressing" };
        // The attempt is stored as a whole, in place of the one before.
        let mut rollout = self.objects[&place("rollouts/shop")].as_ref().clone();
        merge(&mut rollout, &json!({"status": {"attempt": null}}));
        merge(
            &mut rollout,
            &json!({"status": {"attempt": attempt, "phase": phase,
            "outbox": [notice], "observedGeneration": 1}}),
        );
        self.create("controller", "rollouts/shop", rollout);
        self.send("AttemptStarted");
        self.status(json!({"outbox": null}));
    }

    pub fn enters(&mut self, step: i64, weight: i64) {
        let notices = if step < 3 { json!([self.notice("StepEntered")]) } else { Value::Null };
        self.status(json!({"phase": "Progressing", "waitingFor": null, "outbox": notices,
            "attempt": {"step": step, "weight": weight, "pausedAt": null}}));
        if step < 3 {
            self.send("StepEntered");
            self.status(json!({"outbox": null}));
        }
    }

    pub fn notice(&mut self, reason: &str) -> Value {
        self.notices += 1;
        json!({"id": format!("id{}", self.notices), "type": "Normal", "reason": reason,
            "message": format!("{reason} {}", self.notices), "at": self.at.to_string()})
    }

    /// The Event of the last notice.
    pub fn send(&mut self, reason: &str) {
        let number = self.notices;
        self.create(
            "controller",
            &format!("events/shop.id{number}"),
            json!({
            "regarding": {"uid": "u1"}, "reason": reason, "note": format!("{reason} {number}")}),
        );
    }

    pub fn offer(&mut self, tag: &str, digest: &str) {
        let known = self.objects.contains_key(&place("imagepolicies/shop"));
        let policy = json!({"spec": {}, "status": {"observedGeneration": 1,
            "latestRef": {"name": "shop", "tag": tag, "digest": digest},
            "conditions": [{"type": "Ready", "status": "True"}]}});
        if known {
            self.merge("flux", "imagepolicies/shop", policy);
        } else {
            self.create("flux", "imagepolicies/shop", policy);
        }
    }

    pub fn image(&mut self, by: &str, image: &str) {
        let containers = json!([{"name": "app", "image": image}]);
        self.merge(
            by,
            "rollouts/shop",
            json!({"spec": {"template": {"spec": {"containers": containers}}}}),
        );
    }

    pub fn weigh(&mut self, stable: u32, canary: u32) {
        self.weigh_as("controller", stable, canary);
    }

    pub fn weigh_as(&mut self, by: &str, stable: u32, canary: u32) {
        self.merge(by, "httproutes/shop", json!({"spec": {"rules": rules(stable, canary)}}));
    }

    pub fn accept(&mut self) {
        let route = &self.objects[&place("httproutes/shop")];
        let generation = &route["metadata"]["generation"];
        let said = |kind| json!({"type": kind, "status": "True", "observedGeneration": generation});
        let parents = json!([{"conditions": [said("Accepted"), said("ResolvedRefs")]}]);
        self.merge("gateway", "httproutes/shop", json!({"status": {"parents": parents}}));
    }

    /// So many pods of a revision are there and ready.
    pub fn pods(&mut self, revision: &str, ready: u32) {
        self.ready(revision, ready);
        self.slices();
    }

    pub fn ready(&mut self, revision: &str, ready: u32) {
        let generation = &self.objects[&place(&set(revision))]["metadata"]["generation"];
        let numbers = json!({"replicas": ready, "availableReplicas": ready,
            "observedGeneration": generation});
        self.merge("kubelet", &set(revision), json!({"status": numbers}));
    }

    /// EndpointSlices follow Services and pods.
    pub fn slices(&mut self) {
        for service in ["stable", "canary"] {
            let known = &self.objects[&place(&format!("services/{service}"))];
            let selector = &known["spec"]["selector"]["stairlock.dev/revision"];
            let revision = &selector.as_str().unwrap_or_default().to_owned();
            let Some(set) = self.objects.get(&place(&set(revision))) else { continue };
            let ready = set["status"]["availableReplicas"].as_u64().unwrap_or_default();
            self.endpoints(service, revision, ready);
        }
    }

    pub fn endpoints(&mut self, service: &str, revision: &str, ready: u64) {
        let pods = (0..ready).map(|pod| {
            let name = format!("shop-{revision}-{pod}");
            json!({"conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": name}})
        });
        let slice = json!({"metadata": {"labels": {"kubernetes.io/service-name": service}},
            "endpoints": pods.collect::<Vec<_>>()});
        self.create("kubelet", &format!("endpointslices/{service}-x"), slice);
    }
}

/// The path of the ReplicaSet of a revision.
pub fn set(revision: &str) -> String {
    format!("replicasets/shop-{revision}")
}

pub fn selector(revision: &str) -> Value {
    json!({"spec": {"selector": {"stairlock.dev/revision": revision}}})
}

pub fn release(version: &str, digest: &str) -> Value {
    let image = if digest.is_empty() { String::new() } else { format!("@{digest}") };
    json!({"version": version, "tag": version, "digest": digest,
        "image": format!("shop:{version}{image}")})
}

fn rollout(routed: bool) -> Value {
    let mut canary = json!({"stableService": "stable", "canaryService": "canary",
        "maxSurge": 1, "maxUnavailable": 1, "steps": [
            {"setWeight": 20, "pause": {"duration": "1m"}}, {"setWeight": 50, "pause": {}},
            {"setWeight": 100}]});
    if routed {
        canary["trafficRouting"] = json!({"gatewayAPI": {"httpRoute": "shop"}});
    }
    json!({
        "metadata": {"uid": "u1", "creationTimestamp": "2026-01-02T12:00:00Z"},
        "spec": {
            "replicas": 5,
            "sourceRef": {"kind": "ImagePolicy", "name": "shop"},
            "strategy": {"canary": canary},
            "template": {"spec": {"containers": [{"name": "app", "image": "shop:1.0.0"}]}},
        },
    })
}

pub fn owner() -> Value {
    json!([{"kind": "Rollout", "name": "shop", "uid": "u1", "controller": true}])
}

pub fn replica_set(revision: &str, image: &str, replicas: u32) -> Value {
    json!({
        "metadata": {"ownerReferences": owner(), "labels": {"stairlock.dev/rollout": "shop",
            "stairlock.dev/revision": revision}},
        "spec": {"replicas": replicas, "minReadySeconds": 0,
            "template": {"spec": {"containers": [{"name": "app", "image": image}]}}},
    })
}

fn service(revision: &str) -> Value {
    json!({"metadata": {"ownerReferences": owner()},
        "spec": {"selector": {"app": "shop", "stairlock.dev/revision": revision}}})
}

fn rules(stable: u32, canary: u32) -> Value {
    json!([{"matches": [{"path": {"value": "/"}}], "backendRefs": [
        {"name": "stable", "port": 80, "weight": stable},
        {"name": "canary", "port": 80, "weight": canary}]}])
}

fn route() -> Value {
    json!({"spec": {"parentRefs": [{"name": "gw"}],
        "rules": [{"matches": [{"path": {"value": "/"}}], "backendRefs": [
            {"name": "stable", "port": 80}, {"name": "canary", "port": 80}]}]}})
}
