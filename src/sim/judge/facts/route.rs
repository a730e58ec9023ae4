//! Route: the weights of a route, whether the gateways took them, and which may be in force.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::moment::Timestamp;
use crate::sim::judge::facts::status::{Routing, Variant};
use crate::sim::judge::read::{applied, at, list, number, text, word};

/// One backend of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The Service; empty if it is something else.
    pub service: String,
    /// Its weight, where it is written out.
    pub weight: Option<u32>,
}

impl Backend {
    /// The weight that counts: 1 where none is written.
    pub fn counts(&self) -> u32 {
        self.weight.unwrap_or(1)
    }
}

/// The two backends of a Rollout in one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The weight of stable.
    pub stable: u32,
    /// The weight of the canary.
    pub canary: u32,
    /// Whether both are written out.
    pub explicit: bool,
    /// Whether another backend of the rule has a weight.
    pub shared: bool,
}

impl Pair {
    /// What both add up to.
    pub fn sum(&self) -> u32 {
        self.stable.saturating_add(self.canary)
    }
}

/// A Service among the backends of a rule: that Service, those beside it, and the headers that each
/// match of the rule asks for.
type Led = (String, BTreeSet<String>, Vec<Variant>);

/// A route of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its rules.
    pub rules: Vec<Vec<Backend>>,
    /// The rules that lead to one Service alone: the Service, and the headers that each of their
    /// matches asks for.
    alone: Vec<(String, Vec<Variant>)>,
    /// Since when every gateway takes what stands there; absent: not yet.
    pub accepted_since: Option<Timestamp>,
    /// The highest share of traffic, in percent, that each backend may have in rules of its kind at
    /// present: what stands there, and what was in force before until it is accepted.
    traffic: BTreeMap<Led, u32>,
    /// Whether a GitOps tool applies it.
    pub applied: bool,
    /// Its Gateways, without what the API server says of each, and its host names.
    pub told: [Value; 2],
    /// Its labels.
    labels: BTreeMap<String, String>,
}

impl Route {
    /// Reads a route. `before` is its state before.
    pub fn read(object: &Value, before: Option<&Self>, now: Timestamp) -> Self {
        let namespace = text(object, &["metadata", "namespace"]);
        let rules: Vec<Vec<Backend>> = list(object, &["spec", "rules"])
            .iter()
            .map(|rule| {
                list(rule, &["backendRefs"]).iter().map(|b| backend(b, namespace)).collect()
            })
            .collect();
        let mut traffic = traffic(object, &rules);
        let accepted = accepted(object);
        let same = before.filter(|before| before.rules == rules);
        let since = same.and_then(|before| before.accepted_since).unwrap_or(now);
        if !accepted {
            for (led, share) in before.iter().flat_map(|before| &before.traffic) {
                let most = traffic.entry(led.clone()).or_insert(0);
                *most = (*share).max(*most);
            }
        }
        Self {
            rules,
            alone: list(object, &["spec", "rules"]).iter().filter_map(alone).collect(),
            accepted_since: accepted.then_some(since),
            traffic,
            applied: applied(object),
            told: told(object),
            labels: texts(at(object, &["metadata", "labels"])),
        }
    }

    /// The pairs of two Services, by the index of their rule.
    pub fn pairs(&self, stable: &str, canary: &str) -> BTreeMap<usize, Pair> {
        let rules = self.rules.iter().enumerate();
        rules.filter_map(|(at, rule)| Some((at, pair(rule, stable, canary)?))).collect()
    }

    /// Whether labels select it, as a route of a kind, for two Services.
    pub fn selected(&self, resource: &str, routing: &Routing) -> bool {
        let carries = |labels: &BTreeMap<String, String>| {
            labels.iter().all(|(key, value)| self.labels.get(key) == Some(value))
        };
        let mut asked = routing.selects.iter().filter(|(kind, _)| *kind == resource);
        asked.any(|(_, labels)| carries(labels))
            && !self.pairs(&routing.stable_service, &routing.canary_service).is_empty()
    }

    /// Whether a rule of it leads to a Service.
    pub fn leads_to(&self, service: &str) -> bool {
        self.rules.iter().flatten().any(|backend| backend.service == service)
    }

    /// How many of its rules are of an experiment.
    pub fn experiments(&self, routing: &Routing) -> usize {
        let Some(wanted) = &routing.variant_match else { return 0 };
        let ours = |(service, headers): &&(String, Vec<Variant>)| {
            *service == routing.canary_service && headers.contains(wanted)
        };
        self.alone.iter().filter(ours).count()
    }

    /// The highest share that a backend may have at present, in percent, as a Service of a routing.
    ///
    /// Beside the rules that hold both Services people may lead requests to the canary Service
    /// alone, to look at what comes: these follow it wherever it turns, and are not managed.
    pub fn share(&self, service: &str, routing: &Routing) -> u32 {
        let (stable, canary) = (&routing.stable_service, &routing.canary_service);
        let paired = !self.pairs(stable, canary).is_empty();
        let managed = |(_, beside, headers): &Led| {
            let wanted = routing.variant_match.as_ref();
            let ours = wanted.is_some_and(|wanted| headers.contains(wanted));
            !paired || service != canary || ours || beside.contains(stable)
        };
        let of = self.traffic.iter().filter(|(led, _)| led.0 == service && managed(led));
        of.map(|(_, share)| *share).max().unwrap_or(0)
    }
}

/// The highest share of each backend in rules of a kind.
fn traffic(object: &Value, rules: &[Vec<Backend>]) -> BTreeMap<Led, u32> {
    let mut traffic = BTreeMap::new();
    for (rule, backends) in list(object, &["spec", "rules"]).iter().zip(rules) {
        let sum = backends.iter().fold(0_u32, |sum, b| sum.saturating_add(b.counts()));
        let named = || backends.iter().filter(|backend| !backend.service.is_empty());
        for backend in named() {
            let beside = named().map(|other| other.service.clone());
            let beside = beside.filter(|other| *other != backend.service).collect();
            let led = (backend.service.clone(), beside, headers(rule));
            let most = traffic.entry(led).or_insert(0_u32);
            *most = percent(backend.counts(), sum).max(*most);
        }
    }
    traffic
}

/// The Gateways of a route or of what asks for one, without what the API server says of each, and
/// the host names.
pub fn told(spec: &Value) -> [Value; 2] {
    let spec = spec.get("spec").unwrap_or(spec);
    let mut parents = list(spec, &["parentRefs"]).to_vec();
    for fields in parents.iter_mut().filter_map(Value::as_object_mut) {
        fields.retain(|key, _| key != "group" && key != "kind");
    }
    [Value::from(parents), Value::from(list(spec, &["hostnames"]).to_vec())]
}

/// The texts of an object.
pub fn texts(map: Option<&Value>) -> BTreeMap<String, String> {
    let all = map.and_then(Value::as_object).into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The Service that is the only backend of a rule, and the headers that each match asks for.
fn alone(rule: &Value) -> Option<(String, Vec<Variant>)> {
    let [backend] = list(rule, &["backendRefs"]) else { return None };
    list(rule, &["matches"]).first()?;
    Some((text(backend, &["name"]).to_owned(), headers(rule)))
}

/// The headers that each match of a rule asks for.
fn headers(rule: &Value) -> Vec<Variant> {
    let headers = |test: &Value| -> Vec<Variant> {
        let all = list(test, &["headers"]).iter();
        let header = |header: &Value| Variant {
            kind: word(header, &["type"]).unwrap_or_else(|| "Exact".to_owned()),
            name: text(header, &["name"]).to_owned(),
            value: text(header, &["value"]).to_owned(),
        };
        all.map(header).collect()
    };
    let mut tests = list(rule, &["matches"]).iter().map(headers);
    let mut common = tests.next().unwrap_or_default();
    for test in tests {
        common.retain(|header| test.contains(header));
    }
    common
}

/// Whether a rule of a route is one of an experiment: it leads the header to the canary alone.
pub fn experiments(rule: &Value, routing: &Routing) -> bool {
    let wanted = routing.variant_match.as_ref();
    alone(rule).zip(wanted).is_some_and(|((service, headers), wanted)| {
        service == routing.canary_service && headers.contains(wanted)
    })
}

fn pair(rule: &[Backend], stable: &str, canary: &str) -> Option<Pair> {
    let find = |service: &str| rule.iter().find(|backend| backend.service == service);
    let (first, second) = (find(stable)?, find(canary)?);
    let other = |b: &&Backend| b.service != stable && b.service != canary && b.counts() > 0;
    Some(Pair {
        stable: first.counts(),
        canary: second.counts(),
        explicit: first.weight.is_some() && second.weight.is_some(),
        shared: rule.iter().any(|backend| other(&backend)),
    })
}

fn backend(object: &Value, namespace: &str) -> Backend {
    let or = |key: &str, default: &'static str| {
        Some(text(object, &[key])).filter(|text| !text.is_empty()).unwrap_or(default).to_owned()
    };
    let here = text(object, &["namespace"]);
    let ours = or("kind", "Service") == "Service"
        && text(object, &["group"]).is_empty()
        && (here.is_empty() || here == namespace);
    let weight = number(object, &["weight"]);
    Backend {
        service: if ours { text(object, &["name"]).to_owned() } else { String::new() },
        weight: weight.map(|weight| u32::try_from(weight.max(0)).unwrap_or(u32::MAX)),
    }
}

/// The least whole percentage whose share of the sum, rounded up, is this weight.
pub fn percent(weight: u32, sum: u32) -> u32 {
    let Some(below) = weight.checked_sub(1) else { return 0 };
    let share = (u64::from(below) * 100).checked_div(u64::from(sum)).unwrap_or(0) + 1;
    u32::try_from(share).unwrap_or(100)
}

/// So many percent of a count, rounded up.
pub fn part(count: u32, percent: u32) -> u32 {
    let part = (u64::from(count) * u64::from(percent)).div_ceil(100);
    u32::try_from(part).unwrap_or(u32::MAX)
}

/// Whether every gateway speaks of the present generation and takes the route.
fn accepted(object: &Value) -> bool {
    let generation = number(object, &["metadata", "generation"]);
    let parents = list(object, &["status", "parents"]);
    let said = |parent: &Value, kind: &str| {
        list(parent, &["conditions"]).iter().any(|condition| {
            text(condition, &["type"]) == kind
                && at(condition, &["observedGeneration"]).and_then(Value::as_i64) == generation
                && text(condition, &["status"]) == "True"
        })
    };
    let takes = |parent: &Value| said(parent, "Accepted") && said(parent, "ResolvedRefs");
    !parents.is_empty() && parents.iter().all(takes)
}
