//! Route: reads the rules of a route that hold both Services. All other rules stay unread.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{Object, TypeMeta};
use serde_json::Value;

use crate::api::foreign::{Condition, GrpcSpec, RouteParent, RouteStatus};
use crate::api::keys;
use crate::api::kind::Kind;
use crate::model::hold::Hold;
use crate::model::snapshot::{Acceptance, Experiment, Identity, LiveRoute, Route, Rule};
use crate::model::spec::{HeaderMatch, Labelled, Ladder, NewRoute, RouteKind, RouteName, Spec};
use crate::model::status::Status;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::validate::excerpt::excerpt;
use crate::validate::own;
use crate::validate::owner;
use crate::validate::rules::{self, Wanted};
use crate::validate::seen::Seen;

/// What two weights have to add up to, so that a whole percentage fits.
const SUM: u32 = 100;

/// Reads the routes of a Rollout, and what is to be said where its labels select none. What was
/// stored tells which rules are of an experiment, and which routes an attempt began with. Where
/// they are to be `left`, those that lead to no canary any more have no part in it.
pub fn of_rollout(
    seen: &Seen,
    rollout: &Identity,
    known: (&Spec, &Status),
    left: bool,
) -> (Vec<Route>, Option<Hold>) {
    let (spec, status) = known;
    let ladder = &spec.ladder;
    let used = used(spec, status);
    let all = all(seen);
    let selected = |asked: &Labelled| {
        let mut found: Vec<RouteName> = Vec::new();
        for (name, route) in &all {
            let backends = Backends::new(name, rollout, known);
            if asked.kind == name.kind && carries(route, &asked.labels) && backends.pair(route) {
                found.push(name.clone());
            }
        }
        found
    };
    let mut names: BTreeSet<RouteName> = ladder.routes.iter().cloned().collect();
    let mut unmatched = None;
    for asked in &ladder.labelled {
        let found = selected(asked);
        if found.is_empty() && unmatched.is_none() {
            unmatched = Some(none(seen, asked, ladder));
        }
        names.extend(found);
    }
    // One that is gone, or leads to neither Service any more, has no part in it.
    names.extend(
        used.iter()
            .filter(|name| {
                let route = all.iter().find(|(other, _)| other == *name);
                route.is_some_and(|(name, route)| Backends::new(name, rollout, known).any(route))
            })
            .cloned(),
    );
    if left {
        names.retain(|name| {
            let route = all.iter().find(|(other, _)| other == name);
            route.is_some_and(|(name, route)| {
                Backends::new(name, rollout, known).canary_named(route)
            })
        });
    }
    let routes: Vec<Route> = names
        .into_iter()
        .map(|name| {
            let route = all.iter().find(|(other, _)| *other == name).map(|(_, route)| route);
            let backends = Backends::new(&name, rollout, known);
            let live = route.ok_or_else(|| missing(seen, &name));
            let live = live.and_then(|route| live_of(seen, route, &backends));
            let remnant = route.filter(|_| live.is_err());
            let remnant = remnant.and_then(|route| remnant_of(seen, route, &backends));
            Route { there: route.is_some(), name, live, remnant }
        })
        .collect();
    let unmatched = unmatched.filter(|_| used.is_empty() || routes.is_empty());
    (routes, unmatched)
}

/// The routes that the attempt in progress uses beside those that are named.
fn used<'a>(spec: &Spec, status: &'a Status) -> &'a [RouteName] {
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.stage.open());
    let routing = attempt.and_then(|attempt| attempt.routing.as_ref());
    let selects = !spec.ladder.labelled.is_empty();
    routing.filter(|_| selects).map_or(&[], |routing| &routing.routes)
}

fn all(seen: &Seen) -> Vec<(RouteName, Read<'_>)> {
    let http = seen.routes.iter().map(|route| named(RouteKind::Http, read(route, |spec| spec)));
    let grpc = seen.grpc_routes.iter().map(|route| {
        let read = read(route, |GrpcSpec(spec)| spec);
        named(RouteKind::Grpc, read)
    });
    http.chain(grpc).collect()
}

fn named(kind: RouteKind, read: Read<'_>) -> (RouteName, Read<'_>) {
    (RouteName::new(kind, read.meta.name.clone().unwrap_or_default()), read)
}

fn carries(route: &Read<'_>, labels: &BTreeMap<String, String>) -> bool {
    let own = route.meta.labels.as_ref();
    labels.iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
}

/// Tells whether labels of another Rollout select a route, and one of its rules holds both of that
/// one's Services.
pub fn selects<'a>(
    seen: &Seen,
    name: &RouteName,
    labelled: impl Iterator<Item = (Kind, &'a BTreeMap<String, String>)>,
    services: &[&str],
) -> bool {
    let all = all(seen);
    let Some((_, route)) = all.iter().find(|(other, _)| other == name) else { return false };
    let mut asked = labelled.filter(|(kind, _)| kind.as_str() == name.kind.as_str());
    let names = |rule: &[Value], service: &str| {
        rule.iter().any(|backend| backend.get("name").and_then(Value::as_str) == Some(service))
    };
    let holds = |rule: &[Value]| services.iter().all(|service| names(rule, service));
    asked.any(|(_, labels)| carries(route, labels)) && route.rules().any(holds)
}

/// What is said of a route that does not exist.
fn missing(seen: &Seen, name: &RouteName) -> Hold {
    if absent(seen, name.kind) {
        return Hold::KindMissing { kind: name.kind.as_str() };
    }
    Hold::BackendNotFound { what: name.to_string() }
}

/// What is said where labels select no route.
fn none(seen: &Seen, asked: &Labelled, ladder: &Ladder) -> Hold {
    if absent(seen, asked.kind) {
        return Hold::KindMissing { kind: asked.kind.as_str() };
    }
    let service = |name: &Option<String>| name.clone().unwrap_or_default();
    let services = [service(&ladder.stable_service), service(&ladder.canary_service)];
    let what = format!("{asked} and a rule that holds both Services {}", services.join(" and "));
    Hold::BackendNotFound { what }
}

fn absent(seen: &Seen, kind: RouteKind) -> bool {
    seen.absent.iter().any(|absent| absent.as_str() == kind.as_str())
}

/// What is read of a route, whatever its kind.
struct Read<'a> {
    types: Option<&'a TypeMeta>,
    meta: &'a ObjectMeta,
    spec: &'a Value,
    parents: &'a [RouteParent],
}

fn read<'a, S: Clone + std::fmt::Debug>(
    route: &'a Object<S, RouteStatus>,
    spec: impl Fn(&'a S) -> &'a Value,
) -> Read<'a> {
    Read {
        types: route.types.as_ref(),
        meta: &route.metadata,
        spec: spec(&route.spec),
        parents: route.status.as_ref().map_or(&[], |status| &status.parents),
    }
}

impl<'a> Read<'a> {
    /// The backends of each rule.
    fn rules(&self) -> impl Iterator<Item = &'a [Value]> {
        let rules = self.spec.get("rules").and_then(Value::as_array);
        rules.into_iter().flatten().map(|rule| {
            rule.get("backendRefs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
        })
    }
}

/// What is looked for in a route.
struct Backends<'a> {
    route: &'a RouteName,
    namespace: &'a str,
    stable: &'a str,
    canary: &'a str,
    port: u16,
    field: &'static str,
    /// The header of the experiment.
    header: Option<&'a HeaderMatch>,
    /// That of the last attempt, and whether it is in progress.
    recorded: Option<(&'a HeaderMatch, bool)>,
    /// What it is made with, and for whom, where it is the Rollout's own.
    own: Option<(&'a NewRoute, &'a Identity)>,
}

impl<'a> Backends<'a> {
    fn new(
        route: &'a RouteName,
        rollout: &'a Identity,
        (spec, status): (&'a Spec, &'a Status),
    ) -> Self {
        let recorded = status.attempt.as_ref().and_then(|attempt| {
            let header = attempt.routing.as_ref()?.experiment.as_ref()?;
            Some((header, attempt.stage.open()))
        });
        Self {
            route,
            namespace: &rollout.namespace,
            stable: spec.ladder.stable_service.as_deref().unwrap_or_default(),
            canary: spec.ladder.canary_service.as_deref().unwrap_or_default(),
            port: spec.ladder.port,
            field: spec.ladder.strategy.field(),
            header: spec.ladder.experiment.as_ref(),
            recorded,
            own: spec.ladder.create.as_ref().map(|create| (create, rollout)),
        }
    }

    fn ambiguous(&self, why: String) -> Hold {
        Hold::RouteAmbiguous { route: self.route.clone(), why }
    }

    /// Tells whether a rule of a route holds both Services.
    fn pair(&self, route: &Read<'_>) -> bool {
        let holds = |rule: &[Value], service| !self.places(rule, service).is_empty();
        route.rules().any(|rule| holds(rule, self.stable) && holds(rule, self.canary))
    }

    /// Tells whether a rule of a route holds one of the Services.
    fn any(&self, route: &Read<'_>) -> bool {
        let holds = |rule: &[Value], service| !self.places(rule, service).is_empty();
        route.rules().any(|rule| holds(rule, self.stable) || holds(rule, self.canary))
    }

    /// The places of a Service in a rule.
    fn places(&self, backends: &[Value], service: &str) -> Vec<usize> {
        let places = backends.iter().enumerate();
        places.filter(|(_, backend)| self.names(backend, service)).map(|(at, _)| at).collect()
    }

    /// Tells whether any rule names the canary Service.
    fn canary_named(&self, route: &Read) -> bool {
        let rules = route.spec.get("rules").and_then(Value::as_array).into_iter().flatten();
        let backends = rules.filter_map(|rule| rule.get("backendRefs")?.as_array()).flatten();
        backends.into_iter().any(|backend| self.names(backend, self.canary))
    }

    /// Tells whether a backendRef is a Service of our namespace.
    fn names(&self, backend: &Value, service: &str) -> bool {
        own::leads_to(backend, self.namespace, service)
    }
}

fn live_of(seen: &Seen, route: &Read, wanted: &Backends) -> Result<LiveRoute, Hold> {
    if wanted.own.is_some_and(|(_, rollout)| !own::made_for(route.meta, rollout)) {
        return Err(Hold::RouteTaken { route: wanted.route.clone() });
    }
    let mut rules: Vec<Rule> = Vec::new();
    let all = route.spec.get("rules").and_then(Value::as_array);
    for (index, item) in all.into_iter().flatten().enumerate() {
        let backends = item.get("backendRefs").and_then(Value::as_array);
        rules.extend(rule(index, backends.map_or(&[], Vec::as_slice), wanted)?);
        #[cfg(feature = "planted")]
        if active(Bug::FirstRuleOnly) && !rules.is_empty() {
            break;
        }
    }
    if rules.is_empty() {
        let Backends { route, stable, canary, .. } = wanted;
        let what = format!("a rule of {route} that holds both Services {stable} and {canary}");
        return Err(Hold::BackendNotFound { what });
    }
    Ok(known(seen, route, wanted, rules))
}

/// What is left of the rules of an experiment in a route that cannot be used.
fn remnant_of(seen: &Seen, route: &Read, wanted: &Backends) -> Option<LiveRoute> {
    if wanted.own.is_some_and(|(_, rollout)| !own::made_for(route.meta, rollout)) {
        return None;
    }
    let known = known(seen, route, wanted, Vec::new());
    (!known.experiment.there.is_empty()).then_some(known)
}

fn known(seen: &Seen, route: &Read, wanted: &Backends, rules: Vec<Rule>) -> LiveRoute {
    let object = owner::Object {
        group: keys::GATEWAY_GROUP,
        version: version(route),
        kind: wanted.route.kind.as_str(),
        meta: route.meta,
    };
    let all = route.spec.get("rules").and_then(Value::as_array);
    LiveRoute {
        name: wanted.route.clone(),
        uid: route.meta.uid.clone().unwrap_or_default(),
        resource_version: route.meta.resource_version.clone().unwrap_or_default(),
        experiment: experiment(all.map_or(&[], Vec::as_slice), &rules, wanted),
        rules,
        acceptance: acceptance(route),
        owner: owner::of_field(&object, "/spec/rules", &seen.kustomizations)
            .filter(|_| wanted.own.is_none()),
        strays: wanted.own.map_or_else(Vec::new, |(create, _)| own::strays(route.spec, create)),
    }
}

/// The rules of an experiment, where the strategy is one.
fn experiment(all: &[Value], pairs: &[Rule], wanted: &Backends) -> Experiment {
    let Some(header) = wanted.header else { return Experiment::default() };
    let runs = wanted.recorded.is_some_and(|(_, runs)| runs);
    let recorded = wanted.recorded.map(|(header, _)| header);
    let rules = all.iter().enumerate().map(|(index, rule)| {
        let backends = rule.get("backendRefs").and_then(Value::as_array);
        let only = backends.filter(|all| all.len() == 1).and_then(|all| all.first());
        let alone = only.is_some_and(|backend| wanted.names(backend, wanted.canary));
        let pair = pairs.iter().find(|pair| pair.index == index).map(|pair| pair.canary.0);
        rules::Read { rule, alone, pair }
    });
    let rules: Vec<rules::Read<'_>> = rules.collect();
    let service = wanted.canary;
    // An attempt goes on with the header that it began with.
    let header = recorded.filter(|_| runs).unwrap_or(header);
    rules::of_route(&rules, &Wanted { route: wanted.route, service, header, recorded, runs })
}

fn version<'a>(route: &Read<'a>) -> &'a str {
    let version = route.types.and_then(|types| types.api_version.rsplit('/').next());
    version.unwrap_or("v1")
}

/// Reads a rule, `None` where it does not hold both Services.
fn rule(index: usize, backends: &[Value], wanted: &Backends) -> Result<Option<Rule>, Hold> {
    let stable = wanted.places(backends, wanted.stable);
    let canary = wanted.places(backends, wanted.canary);
    let (stable_at, canary_at) = match (stable.as_slice(), canary.as_slice()) {
        ([], _) | (_, []) => return Ok(None),
        ([stable], [canary]) => (*stable, *canary),
        (_, _) => {
            let why = format!("rules[{index}] names one Service twice; remove one backendRef");
            return Err(wanted.ambiguous(why));
        }
    };
    let at = |place: usize| backends.get(place).unwrap_or(&Value::Null);
    for (place, service) in [(stable_at, wanted.stable), (canary_at, wanted.canary)] {
        if at(place).get("port").and_then(Value::as_u64) != Some(u64::from(wanted.port)) {
            let Backends { route, port, field, .. } = wanted;
            let what = format!(
                "port {port} of Service {service} in rules[{index}] of {route} \
                 ({field}.port)"
            );
            return Err(Hold::BackendNotFound { what });
        }
    }
    let (stable_weight, canary_weight) = (weight(at(stable_at)), weight(at(canary_at)));
    let rest = backends.iter().enumerate();
    let mut others = rest.filter(|(place, _)| *place != stable_at && *place != canary_at);
    let shared = others.any(|(_, backend)| weight(backend) > 0);
    #[cfg(feature = "planted")]
    let shared = shared && !active(Bug::SharedSumIgnored);
    let sum = if shared { stable_weight.saturating_add(canary_weight) } else { SUM };
    if sum < SUM {
        let Backends { stable, canary, .. } = wanted;
        let why = format!(
            "rules[{index}] shares its traffic with other backends, and the weights of {stable} \
             and {canary} add up to {sum}; write weights for the two that add up to at least {SUM}"
        );
        return Err(wanted.ambiguous(why));
    }
    let explicit = [stable_at, canary_at].iter().all(|place| at(*place).get("weight").is_some());
    Ok(Some(Rule {
        index,
        stable: (stable_at, stable_weight),
        canary: (canary_at, canary_weight),
        explicit,
        sum,
    }))
}

/// The weight of a backend; one that is not written is 1.
fn weight(backend: &Value) -> u32 {
    let written = backend.get("weight").and_then(Value::as_u64);
    written.map_or(1, |weight| u32::try_from(weight).unwrap_or(u32::MAX))
}

/// What all gateways together say about the present generation.
fn acceptance(route: &Read) -> Acceptance {
    let generation = route.meta.generation;
    let said: Vec<Acceptance> =
        route.parents.iter().map(|parent| verdict(parent, generation)).collect();
    let refused = said.iter().find(|said| matches!(said, Acceptance::Refused(_)));
    match refused {
        Some(refused) => refused.clone(),
        None if said.is_empty() || said.contains(&Acceptance::Pending) => Acceptance::Pending,
        None => Acceptance::Accepted,
    }
}

fn verdict(parent: &RouteParent, generation: Option<i64>) -> Acceptance {
    let present = |kind: &str| {
        let conditions = parent.conditions.iter().flatten();
        let current = |said: &&Condition| said.observed_generation == generation;
        #[cfg(feature = "planted")]
        let current = |said: &&Condition| current(said) || active(Bug::OldAcceptanceCounts);
        let mut current = conditions.filter(current);
        current.find(|said| said.kind == kind)
    };
    let both = [present("Accepted"), present("ResolvedRefs")];
    let refused = both.iter().flatten().find(|said| said.status == "False");
    if let Some(Condition { kind, reason, message, .. }) = refused {
        return Acceptance::Refused(excerpt(&format!("{kind} is False, {reason}: {message}")));
    }
    let accepted = both.iter().all(|said| said.is_some_and(|said| said.status == "True"));
    if accepted { Acceptance::Accepted } else { Acceptance::Pending }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::spec::Routing;
    use crate::validate::{fixture, rollout};

    fn backend(name: &str, patch: Value) -> Value {
        fixture::merged(&json!({"name": name, "port": 8080}), &patch)
    }

    fn weighed(name: &str, weight: u32) -> Value {
        backend(name, json!({"weight": weight}))
    }

    fn pair(stable: u32, canary: u32) -> Vec<Value> {
        vec![weighed("shop-stable", stable), weighed("shop-canary", canary)]
    }

    fn read(patch: Value) -> Result<LiveRoute, Hold> {
        let base = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "shop", "namespace": "prod", "uid": "h1", "generation": 4,
                "resourceVersion": "5"},
            "spec": {"rules": [{"backendRefs": pair(100, 0)}]},
        });
        let mut seen = fixture::seen(fixture::rollout(json!({})));
        seen.routes = vec![fixture::object(fixture::merged(&base, &patch))];
        let spec = rollout::spec(&seen.rollout).unwrap();
        let known = (&spec, &Status::default());
        of_rollout(&seen, &rollout::identity(&seen.rollout), known, false).0.remove(0).live
    }

    fn rules(rules: &[Vec<Value>]) -> Result<LiveRoute, Hold> {
        let rules: Vec<Value> = rules.iter().map(|refs| json!({"backendRefs": refs})).collect();
        read(json!({"spec": {"rules": rules}}))
    }

    #[test]
    fn rules_that_hold_both_services_are_read() {
        let bare = vec![backend("shop-canary", json!({})), backend("shop-stable", json!({}))];
        let spelled = json!({"kind": "Service", "group": "", "namespace": "prod", "weight": 9});
        let third = |weight: u32| [pair(60, 60), vec![weighed("cart", weight)]].concat();
        for (case, given, want) in [
            ("weights as written", pair(90, 10), (0, 90, 1, 10, true, 100)),
            ("an absent weight is 1", bare, (1, 1, 0, 1, false, 100)),
            (
                "a reference in full",
                vec![weighed("shop-stable", 1), backend("shop-canary", spelled)],
                (0, 1, 1, 9, true, 100),
            ),
            ("another backend keeps its share", third(5), (0, 60, 1, 60, true, 120)),
            ("another backend without weight 0", third(0), (0, 60, 1, 60, true, 100)),
        ] {
            let live = rules(&[given]).unwrap();
            let Rule { stable, canary, explicit, sum, .. } = live.rules[0];
            let got = (stable.0, stable.1, canary.0, canary.1, explicit, sum);
            assert_eq!(got, want, "{case}");
        }
        let alone = vec![weighed("shop-stable", 1)];
        let live = rules(&[alone, vec![], pair(1, 1), pair(2, 2)]).unwrap();
        assert_eq!(live.rules.iter().map(|rule| rule.index).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_route_that_cannot_be_used_is_a_hold_that_says_why() {
        let ported = |port: Value| vec![weighed("shop-stable", 1), backend("shop-canary", port)];
        let elsewhere =
            |patch: Value| vec![weighed("shop-stable", 1), backend("shop-canary", patch)];
        let none = "BackendNotFound: a rule of HTTPRoute shop that holds both Services shop-stable \
            and shop-canary";
        let port =
            "BackendNotFound: port 8080 of Service shop-canary in rules[0] of HTTPRoute shop";
        let shared = "RouteAmbiguous: HTTPRoute shop: rules[0] shares its traffic with other \
            backends, and the weights of shop-stable and shop-canary add up to 99";
        let other = vec![backend("cart", json!({}))];
        let third = backend("shop-stable", json!({"port": 9090}));
        for (case, given, want) in [
            ("no backends", vec![], none),
            ("one of the two", vec![weighed("shop-stable", 1)], none),
            ("another namespace", elsewhere(json!({"namespace": "dev"})), none),
            ("another kind", elsewhere(json!({"kind": "Bucket"})), none),
            ("another group", elsewhere(json!({"group": "x.example"})), none),
            ("another port", ported(json!({"port": 80})), port),
            ("no port", ported(json!({"port": null})), port),
            (
                "one Service twice",
                [pair(1, 1), vec![third]].concat(),
                "RouteAmbiguous: HTTPRoute shop: rules[0] names one Service twice",
            ),
            ("too small a share", [pair(50, 49), other].concat(), shared),
        ] {
            let hold = rules(&[given]).unwrap_err();
            let said = format!("{}: {}", hold.code(), hold.message());
            assert!(said.starts_with(want), "{case}: {said}");
        }
        let seen = fixture::seen(fixture::rollout(json!({})));
        let spec = rollout::spec(&seen.rollout).unwrap();
        let identity = rollout::identity(&seen.rollout);
        let installed = BTreeSet::new();
        let http = BTreeSet::from([crate::api::kind::Kind::HttpRoute]);
        for (absent, want) in [(installed, "BackendNotFound"), (http, "KindMissing")] {
            let seen = Seen { absent, ..seen.clone() };
            let (routes, _) = of_rollout(&seen, &identity, (&spec, &Status::default()), false);
            assert_eq!(routes[0].live.clone().unwrap_err().code(), want);
        }
    }

    #[test]
    fn labels_select_what_holds_both_services_and_an_attempt_keeps_what_it_uses() {
        let entry = json!({"kind": "HTTPRoute", "matchLabels": {"app": "shop"}});
        let api = json!({"httpRoute": null, "routes": [entry]});
        let canary = json!({"trafficRouting": {"gatewayAPI": api}});
        let rollout = fixture::rollout(json!({"spec": {"strategy": {"canary": canary}}}));
        let route = |name: &str, app: &str, refs: Vec<Value>| {
            fixture::object(json!({
                "metadata": {"name": name, "namespace": "prod", "labels": {"app": app}},
                "spec": {"rules": [{"backendRefs": refs}]},
            }))
        };
        let alone = || vec![weighed("shop-canary", 1)];
        let mut seen = fixture::seen(rollout);
        seen.routes = vec![
            route("both", "shop", pair(100, 0)),
            route("one", "shop", alone()),
            route("none", "shop", vec![backend("cart", json!({}))]),
            route("other", "none", pair(100, 0)),
            route("kept", "none", pair(50, 50)),
            route("emptied", "none", vec![]),
        ];
        let spec = rollout::spec(&seen.rollout).unwrap();
        let told = |seen: &Seen, status: &Status| {
            let identity = rollout::identity(&seen.rollout);
            let (routes, unmatched) = of_rollout(seen, &identity, (&spec, status), false);
            let names = routes.iter().map(|route| route.name.name.clone());
            (names.collect::<Vec<_>>().join(" "), unmatched.map(|hold| hold.message()))
        };
        let rest = Status::default();
        assert_eq!(told(&seen, &rest), ("both".to_owned(), None));
        let used = ["kept", "emptied", "gone", "one"].map(|n| RouteName::new(RouteKind::Http, n));
        let status = fixture::climbing(Routing { routes: used.to_vec(), ..spec.ladder.routing() });
        assert_eq!(told(&seen, &status), ("both kept one".to_owned(), None));
        seen.routes.remove(0);
        assert_eq!(told(&seen, &status), ("kept one".to_owned(), None));
        let (names, unmatched) = told(&seen, &rest);
        assert_eq!(names, "");
        assert!(unmatched.unwrap().contains("an HTTPRoute with the labels app=shop"));
    }

    #[test]
    fn a_route_is_accepted_when_every_gateway_says_so_of_the_present_generation() {
        let condition = |kind: &str, status: &str, generation: i64| {
            json!({"type": kind, "status": status, "observedGeneration": generation,
                "reason": "R", "message": "no\nlistener"})
        };
        let parent = |accepted: &str, resolved: &str, generation: i64| {
            json!({"parentRef": {"name": "gw"}, "conditions": [
                condition("Accepted", accepted, generation),
                condition("ResolvedRefs", resolved, generation)]})
        };
        let good = || parent("True", "True", 4);
        let refused = |kind: &str| Acceptance::Refused(format!("{kind} is False, R: no listener"));
        let half = json!({"conditions": [condition("Accepted", "True", 4)]});
        for (case, parents, want) in [
            ("no gateway", json!([]), Acceptance::Pending),
            ("one gateway", json!([good()]), Acceptance::Accepted),
            ("two gateways", json!([good(), good()]), Acceptance::Accepted),
            (
                "one of an older generation",
                json!([good(), parent("True", "True", 3)]),
                Acceptance::Pending,
            ),
            (
                "refused at an older generation",
                json!([parent("False", "True", 3)]),
                Acceptance::Pending,
            ),
            ("one without ResolvedRefs", json!([half]), Acceptance::Pending),
            ("one unknown", json!([parent("Unknown", "True", 4)]), Acceptance::Pending),
            ("one refuses", json!([good(), parent("False", "True", 4)]), refused("Accepted")),
            (
                "references are not resolved",
                json!([parent("True", "False", 4)]),
                refused("ResolvedRefs"),
            ),
            (
                "a refusal outweighs what is pending",
                json!([parent("True", "True", 3), parent("True", "False", 4)]),
                refused("ResolvedRefs"),
            ),
        ] {
            let live = read(json!({"status": {"parents": parents}})).unwrap();
            assert_eq!(live.acceptance, want, "{case}");
        }
        let owned = read(json!({"metadata": {"labels": fixture::flux_labels()}})).unwrap();
        assert_eq!(owned.owner.as_deref(), Some("Kustomization flux-system/apps"));
    }
}
