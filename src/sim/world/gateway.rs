//! Gateway: says of each route whether it is accepted and its Services are there. It never
//! changes a route.
//!
//! Source: Gateway API 1.3, `HTTPRouteStatus`; a reference to a missing backend sets ResolvedRefs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::moment::Timestamp;
use crate::sim::history::{Change, Place};
use crate::sim::rules::settle::Part;
use crate::sim::story::GatewayAnswer;
use crate::sim::world::fields;
use crate::sim::world::ground::{self, Ground};
use crate::sim::world::timers::Task;

/// The name by which the gateway signs what it says.
pub const CONTROLLER: &str = "gateway.sim/controller";

/// The controller of the gateway.
#[derive(Debug)]
pub struct Gateway {
    answer: GatewayAnswer,
    /// Its answers to single routes.
    answers: BTreeMap<Place, GatewayAnswer>,
    routes: BTreeMap<Place, Arc<Value>>,
    /// Routes by the Services that they name.
    naming: BTreeMap<Place, BTreeSet<Place>>,
    services: BTreeSet<Place>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            answer: GatewayAnswer::Accepts,
            answers: BTreeMap::new(),
            routes: BTreeMap::new(),
            naming: BTreeMap::new(),
            services: BTreeSet::new(),
        }
    }
}

impl Gateway {
    /// Hears of a change.
    pub fn hear(&mut self, ground: &mut Ground, change: &Change) {
        match change.place.resource {
            resource if fields::ROUTES.contains(&resource) => self.hear_route(ground, change),
            "services" => self.hear_service(ground, change),
            _ => {}
        }
    }

    fn hear_route(&mut self, ground: &mut Ground, change: &Change) {
        let place = &change.place;
        if let Some(before) = self.routes.remove(place) {
            for service in backends(&before, place) {
                self.leave(&service, place);
            }
        }
        let Some(route) = &change.after else {
            ground.timers.cancel(&Task::Route(place.clone()));
            return;
        };
        for service in backends(route, place) {
            self.naming.entry(service).or_default().insert(place.clone());
        }
        self.routes.insert(place.clone(), Arc::clone(route));
        if change.writer != ground::gateway().writer {
            ground.soon(Task::Route(place.clone()));
        }
    }

    fn leave(&mut self, service: &Place, route: &Place) {
        if let Some(routes) = self.naming.get_mut(service) {
            routes.remove(route);
            if routes.is_empty() {
                self.naming.remove(service);
            }
        }
    }

    fn hear_service(&mut self, ground: &mut Ground, change: &Change) {
        let place = &change.place;
        let news = match &change.after {
            Some(_) => self.services.insert(place.clone()),
            None => self.services.remove(place),
        };
        if news {
            for route in self.naming.get(place).into_iter().flatten() {
                ground.soon(Task::Route(route.clone()));
            }
        }
    }

    /// Changes how the gateway answers, to one route or to all, those too that are there.
    pub fn decree(&mut self, ground: &mut Ground, only: Option<Place>, answer: GatewayAnswer) {
        let all = only.is_none();
        let told = self.routes.keys().filter(|route| all || only.as_ref() == Some(route));
        for route in told {
            ground.soon(Task::Route(route.clone()));
        }
        if let Some(route) = only {
            self.answers.insert(route, answer);
            return;
        }
        self.answer = answer;
        self.answers.clear();
    }

    /// Answers to a route.
    pub fn act(&mut self, ground: &mut Ground, place: &Place) {
        let Some(route) = self.routes.get(place) else { return };
        let accepted = match self.answers.get(place).unwrap_or(&self.answer) {
            GatewayAnswer::Accepts => ("True", "Accepted", "the route is accepted".to_owned()),
            GatewayAnswer::Refuses => {
                let why = "no listener of the Gateway allows this route".to_owned();
                ("False", "NotAllowedByListeners", why)
            }
            GatewayAnswer::Silent => return,
        };
        let missing = backends(route, place).into_iter().find(|s| !self.services.contains(s));
        let resolved = match missing {
            None => ("True", "ResolvedRefs", "all references are resolved".to_owned()),
            Some(service) => {
                ("False", "BackendNotFound", format!("Service {} not found", service.name))
            }
        };
        let said = [("Accepted", accepted), ("ResolvedRefs", resolved)];
        let parents = parents(route, &said, ground.now());
        if fields::at(route, &["status", "parents"]) == Some(&parents) {
            return;
        }
        // A route that is gone is heard of soon.
        let _ = ground.cluster.update(&ground::gateway(), place, Part::Status, |object| {
            if let Value::Object(fields) = object {
                fields.insert("status".to_owned(), json!({"parents": parents}));
            }
            Ok(())
        });
    }
}

type Said = (&'static str, (&'static str, &'static str, String));

/// What others say of the route stays; ours stands there once for each Gateway that it names.
fn parents(route: &Value, said: &[Said], now: Timestamp) -> Value {
    let old = fields::items(route, &["status", "parents"]);
    let ours = |parent: &&Value| fields::text(parent, &["controllerName"]) == CONTROLLER;
    let mut all: Vec<Value> = old.iter().filter(|parent| !ours(parent)).cloned().collect();
    for reference in fields::items(route, &["spec", "parentRefs"]) {
        let same = |parent: &&Value| parent.get("parentRef") == Some(reference);
        let before = old.iter().filter(ours).find(same).unwrap_or(&Value::Null);
        let conditions = said.iter().map(|said| condition(route, before, said, now));
        all.push(json!({
            "parentRef": reference,
            "controllerName": CONTROLLER,
            "conditions": conditions.collect::<Vec<_>>(),
        }));
    }
    Value::Array(all)
}

fn condition(route: &Value, before: &Value, said: &Said, now: Timestamp) -> Value {
    let (kind, (status, reason, message)) = said;
    let old = fields::condition(before, &["conditions"], kind);
    let old = old.filter(|old| fields::text(old, &["status"]) == *status);
    let since = old.map(|old| fields::text(old, &["lastTransitionTime"]).to_owned());
    json!({
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": fields::at(route, &["metadata", "generation"]),
        "lastTransitionTime": since.unwrap_or_else(|| fields::seconds(now)),
    })
}

/// Tells whether the gateway accepts a route as it is.
pub fn accepted(route: &Value) -> bool {
    let generation = fields::at(route, &["metadata", "generation"]);
    let ours = |parent: &&Value| fields::text(parent, &["controllerName"]) == CONTROLLER;
    let parents = fields::items(route, &["status", "parents"]).iter().filter(ours);
    let said = parents.filter_map(|parent| fields::condition(parent, &["conditions"], "Accepted"));
    let mut present = said.filter(|said| said.get("observedGeneration") == generation);
    present.any(|said| fields::text(said, &["status"]) == "True")
}

/// Tells the Services that a route names, with their weights; one that is not written is 1.
pub fn weights(route: &Value, place: &Place) -> Vec<(Place, f64)> {
    let weight = |one: &Value| one.get("weight").and_then(Value::as_f64).unwrap_or(1.0);
    let all = references(route);
    all.filter_map(|one| Some((service(one, place)?, weight(one)))).collect()
}

fn references(route: &Value) -> impl Iterator<Item = &Value> {
    let rules = fields::items(route, &["spec", "rules"]);
    rules.iter().flat_map(|rule| fields::items(rule, &["backendRefs"]))
}

/// The Service that a reference names.
fn service(reference: &Value, route: &Place) -> Option<Place> {
    let text = |key: &str| reference.get(key).and_then(Value::as_str);
    let is = text("kind").unwrap_or("Service") == "Service"
        && text("group").unwrap_or_default().is_empty();
    let namespace = text("namespace").unwrap_or(&route.namespace).to_owned();
    is.then(|| Place::new("services", namespace, text("name").unwrap_or_default()))
}

/// The Services that a route names.
fn backends(route: &Value, place: &Place) -> BTreeSet<Place> {
    references(route).filter_map(|reference| service(reference, place)).collect()
}
