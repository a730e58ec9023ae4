//! Fields: which fields of which objects a controller writes (S5). All others stay as they are.

use serde_json::{Map, Value};

use crate::api::keys;
use crate::sim::judge::deliveries::{BOUND, unbound};
use crate::sim::judge::experiments;
use crate::sim::judge::facts::rollout::{COMMANDS, Spec};
use crate::sim::judge::facts::route::told;
use crate::sim::judge::facts::status::Routing;
use crate::sim::judge::found::Found;
use crate::sim::judge::read::{at, list, owner, text};
use crate::sim::judge::scene::Case;
use crate::sim::world::fields::ROUTES;

/// One token of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Key(&'a str),
    Index(usize),
}

/// Looks at a write of a controller.
pub fn see(case: &Case<'_>, found: &mut Found) {
    if case.controller().is_none() || case.change.place.resource == "leases" {
        return;
    }
    let change = case.change;
    match (change.before.as_deref(), change.after.as_deref()) {
        (None, Some(object)) => created(case, object, found),
        (Some(object), None) => deleted(case, object, found),
        (Some(before), Some(after)) => changed(case, before, after, found),
        (None, None) => {}
    }
}

fn created(case: &Case<'_>, object: &Value, found: &mut Found) {
    let owner = owner(object);
    let ours = || case.rollouts().any(|seen| owner.as_ref() == Some(&seen.now.uid));
    let named = || {
        case.rollouts().any(|seen| {
            seen.states().any(|state| {
                let used = [&state.spec.stable_service, &state.spec.canary_service];
                let next = [&state.named.stable_service, &state.named.canary_service];
                used.into_iter().flatten().chain(next).any(|service| service == case.name())
            })
        })
    };
    let fine = match case.change.place.resource {
        "events" => true,
        "replicasets" => ours(),
        "services" => ours() && named(),
        resource if ROUTES.contains(&resource) => born(case, object),
        "rolloutgates" => scheduled(object),
        _ => false,
    };
    // A Rollout that is gone meanwhile: what is made for it goes after it.
    let fine = fine || (owner.is_some() && case.rollouts().next().is_none());
    found.unless(fine, "S5", || {
        format!("{} {} is not for a controller to create", case.change.place.resource, case.name())
    });
}

fn deleted(case: &Case<'_>, object: &Value, found: &mut Found) {
    let fine = match case.change.place.resource {
        "replicasets" | "pods" => owner(object).is_some(),
        "rolloutgates" => scheduled(object),
        "rollouts" => {
            let finalizers = list(object, &["metadata", "finalizers"]);
            at(object, &["metadata", "deletionTimestamp"]).is_some()
                && finalizers.iter().all(|name| name.as_str() == Some(keys::FINALIZER))
        }
        _ => false,
    };
    found.unless(fine, "S5", || {
        format!("{} {} is not for a controller to delete", case.change.place.resource, case.name())
    });
}

fn changed(case: &Case<'_>, before: &Value, after: &Value, found: &mut Found) {
    let mut paths = Vec::new();
    let experiments = match case.change.place.resource {
        resource if ROUTES.contains(&resource) => experiments::routings(case),
        _ => Vec::new(),
    };
    let stripped = (!experiments.is_empty())
        .then(|| [before, after].map(|route| without_experiments(&experiments, route)));
    let bound = BOUND.contains(&case.change.place.resource);
    let stripped = stripped.or_else(|| {
        bound.then(|| [before, after].map(|object| unbound(case.change.place.resource, object)))
    });
    let (old, new) = match &stripped {
        Some([old, new]) => (old, new),
        None => (before, after),
    };
    differ(old, new, &mut Vec::new(), &mut paths);
    if case.change.place.resource == "replicasets" {
        let owner = owner(before).or_else(|| owner(after));
        let ours = case.rollouts().any(|seen| owner.as_ref() == Some(&seen.now.uid));
        let any = case.rollouts().next().is_some();
        found.unless(ours || !any, "S5", || format!("{} is no Rollout's", case.name()));
    }
    let services =
        if ROUTES.contains(&case.change.place.resource) { backends(case) } else { Vec::new() };
    let wanted = paths.iter().any(|path| path.first() == Some(&Token::Key("spec")));
    for path in &paths {
        let fine = match case.change.place.resource {
            "rollouts" if path.first() == Some(&Token::Key("status")) => !wanted,
            "rollouts" => of_rollout(path, before, after),
            "replicasets" => of_set(path, before),
            "services" => {
                let port = keyed(path, &["spec", "ports"]) && owner(before).is_some();
                port || keyed(path, &["spec", "selector", keys::LABEL_REVISION])
            }
            "rolloutgates" => scheduled(before) && of_gate(path),
            "rolloutschedules" | "clusterrolloutschedules" | "healthchecks" => {
                path.first() == Some(&Token::Key("status"))
            }
            // An eviction; whether it may be, S23 tells.
            "pods" => ["deletionTimestamp", "deletionGracePeriodSeconds"]
                .into_iter()
                .any(|key| keyed(path, &["metadata", key])),
            resource if ROUTES.contains(&resource) => {
                of_route(path, new, &services) || of_own(case, path, new) || led(case, path, new)
            }
            resource if BOUND.contains(&resource) => {
                keyed(path, &["metadata", "annotations", keys::FLUX_REQUEST])
            }
            _ => false,
        };
        found.unless(fine, "S5", || {
            format!(
                "{} {}: {} is not a controller's",
                case.change.place.resource,
                case.name(),
                shown(path)
            )
        });
    }
}

/// The Services whose weights may be written in a route.
fn backends(case: &Case<'_>) -> Vec<(String, String)> {
    let all = case.rollouts().flat_map(|seen| seen.routings());
    let here = all.filter(|routing| case.splits(routing));
    here.map(|routing| (routing.stable_service, routing.canary_service)).collect()
}

/// A route without the rules of an experiment: these are judged for themselves.
fn without_experiments(experiments: &[Routing], route: &Value) -> Value {
    let mut route = route.clone();
    if let Some(rules) = route.pointer_mut("/spec/rules").and_then(Value::as_array_mut) {
        rules.retain(|rule| !experiments::any(experiments, rule));
    }
    route
}

fn of_rollout(path: &[Token<'_>], before: &Value, after: &Value) -> bool {
    match path {
        [Token::Key("metadata"), Token::Key("annotations"), Token::Key(key)] => is_command(key),
        [Token::Key("metadata"), Token::Key("annotations")] => {
            let all = |object| at(object, &["metadata", "annotations"]).and_then(Value::as_object);
            let ours = |all: &Map<String, Value>| all.keys().all(|key| is_command(key));
            [before, after].into_iter().filter_map(all).all(ours)
        }
        [Token::Key("metadata"), Token::Key("finalizers"), ..] => {
            let others = |object| -> Vec<&Value> {
                let all = list(object, &["metadata", "finalizers"]).iter();
                all.filter(|name| name.as_str() != Some(keys::FINALIZER)).collect()
            };
            others(before) == others(after)
        }
        [
            Token::Key("spec"),
            Token::Key("template"),
            Token::Key("spec"),
            Token::Key("containers" | "initContainers"),
            Token::Index(_),
            Token::Key("image"),
        ] => true,
        _ => false,
    }
}

/// Tells whether a field of a gate is a schedule's to write.
fn of_gate(path: &[Token<'_>]) -> bool {
    keyed(path, &["spec", "passing"])
        || keyed(path, &["metadata", "annotations"])
        || [keys::OPENS_AT, keys::CLOSES_AT]
            .iter()
            .any(|key| keyed(path, &["metadata", "annotations", key]))
}

/// Tells whether a gate is one that a schedule made.
fn scheduled(object: &Value) -> bool {
    let owners = list(object, &["metadata", "ownerReferences"]);
    let kinds = ["RolloutSchedule", "ClusterRolloutSchedule"];
    owners.iter().any(|owner| kinds.contains(&text(owner, &["kind"])))
}

/// Tells whether an annotation of a Rollout asks for a command, or holds one that was accepted.
fn is_command(key: &str) -> bool {
    let others = [
        keys::ACCEPTED,
        keys::COMMAND_BYPASS,
        keys::COMMAND_BYPASS_KUBERIK,
        keys::COMMAND_FORCE,
        keys::COMMAND_FORCE_KUBERIK,
        keys::COMMAND_ROLLBACK,
        keys::DEPLOY_USER,
        keys::DEPLOY_USER_KUBERIK,
        keys::DEPLOY_MESSAGE,
        keys::DEPLOY_MESSAGE_KUBERIK,
    ];
    others.contains(&key) || COMMANDS.iter().any(|(known, _)| *known == key)
}

fn of_set(path: &[Token<'_>], before: &Value) -> bool {
    let marks = [keys::ANNOTATION_ATTEMPT, keys::ANNOTATION_QUARANTINED];
    match path {
        [Token::Key("spec"), Token::Key("replicas" | "minReadySeconds")] => true,
        [Token::Key("metadata"), Token::Key("annotations"), Token::Key(key)] => marks.contains(key),
        [Token::Key("metadata"), Token::Key("ownerReferences")] => {
            list(before, &["metadata", "ownerReferences"]).is_empty()
        }
        _ => false,
    }
}

fn of_route(path: &[Token<'_>], after: &Value, pairs: &[(String, String)]) -> bool {
    let [
        Token::Key("spec"),
        Token::Key("rules"),
        Token::Index(rule),
        Token::Key("backendRefs"),
        Token::Index(backend),
        Token::Key("weight"),
    ] = path
    else {
        return false;
    };
    let rule = list(after, &["spec", "rules"]).get(*rule).unwrap_or(&Value::Null);
    let backends = list(rule, &["backendRefs"]);
    let name = backends.get(*backend).map_or("", |backend| text(backend, &["name"]));
    let holds = |service: &String| backends.iter().any(|b| text(b, &["name"]) == service);
    pairs.iter().any(|(stable, canary)| {
        (name == stable || name == canary) && holds(stable) && holds(canary)
    })
}

/// A route is born as its Rollout asks: named so, all traffic of its one rule on stable.
fn born(case: &Case<'_>, route: &Value) -> bool {
    let [rule] = list(route, &["spec", "rules"]) else { return false };
    let backend = |backend: &Value| {
        let weight = at(backend, &["weight"]).and_then(Value::as_i64);
        (text(backend, &["name"]).to_owned(), at(backend, &["port"]).cloned(), weight)
    };
    let backends: Vec<_> = list(rule, &["backendRefs"]).iter().map(backend).collect();
    asked(case, route, |spec, own| {
        let port = || Some(Value::from(spec.port));
        let wanted = [(&spec.stable_service, 100), (&spec.canary_service, 0)]
            .map(|(name, weight)| (name.clone().unwrap_or_default(), port(), Some(weight)));
        backends == wanted && *own == told(route)
    })
}

/// Gateways and host names of a route that is the Rollout's own are as it asks.
fn of_own(case: &Case<'_>, path: &[Token<'_>], route: &Value) -> bool {
    let [Token::Key("spec"), Token::Key(key), ..] = path else { return false };
    let [parents, hosts] = told(route);
    asked(case, route, |_, [wanted, names]| match *key {
        "parentRefs" => parents == *wanted,
        "hostnames" => hosts == *names,
        _ => false,
    })
}

/// A rule of a route that is the Rollout's own leads to the Services that the spec names, where
/// others are in use yet.
fn led(case: &Case<'_>, path: &[Token<'_>], route: &Value) -> bool {
    let [
        Token::Key("spec"),
        Token::Key("rules"),
        Token::Index(rule),
        Token::Key("backendRefs"),
        Token::Index(_),
        Token::Key("name" | "port"),
    ] = path
    else {
        return false;
    };
    let rule = list(route, &["spec", "rules"]).get(*rule).unwrap_or(&Value::Null);
    let holds = |service: &String, port: i64| {
        list(rule, &["backendRefs"]).iter().any(|backend| {
            let same = at(backend, &["port"]).and_then(Value::as_i64) == Some(port);
            same && text(backend, &["name"]) == service
        })
    };
    let owner = owner(route);
    let mut all = case.rollouts().filter(|seen| owner.as_ref() == Some(&seen.now.uid));
    all.any(|seen| {
        seen.states().any(|state| {
            let Routing { stable_service, canary_service, port, .. } = &*state.named;
            let named = [stable_service, canary_service].into_iter().all(|s| holds(s, *port));
            state.renamed() && named
        })
    })
}

/// Whether a Rollout that is the owner of a route asks for it so.
fn asked(case: &Case<'_>, route: &Value, fits: impl Fn(&Spec, &[Value; 2]) -> bool) -> bool {
    let owner = owner(route);
    let mut all = case.rollouts().filter(|seen| owner.as_ref() == Some(&seen.now.uid));
    all.any(|seen| {
        seen.now.name == case.name()
            && seen.states().any(|state| {
                let names = state.spec.routing().map(|routing| routing.names());
                names.is_some_and(|names| names.contains(&case.route()))
                    && state.spec.create.as_ref().is_some_and(|own| fits(&state.spec, own))
            })
    })
}

fn keyed(path: &[Token<'_>], keys: &[&str]) -> bool {
    path.len() == keys.len() && path.iter().zip(keys).all(|(token, key)| *token == Token::Key(key))
}

/// Fields of metadata that the API server writes by itself.
const STAMPS: [&str; 3] = ["resourceVersion", "generation", "managedFields"];

/// Collects the paths at which two objects differ.
fn differ<'a>(
    before: &'a Value,
    after: &'a Value,
    path: &mut Vec<Token<'a>>,
    found: &mut Vec<Vec<Token<'a>>>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            for key in new.keys().chain(gone) {
                if STAMPS.contains(&key.as_str()) && *path == [Token::Key("metadata")] {
                    continue;
                }
                path.push(Token::Key(key));
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => differ(old, new, path, found),
                    (_, _) => found.push(path.clone()),
                }
                path.pop();
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                path.push(Token::Index(index));
                differ(old, new, path, found);
                path.pop();
            }
        }
        (_, _) => found.push(path.clone()),
    }
}

fn shown(path: &[Token<'_>]) -> String {
    let tokens = path.iter().map(|token| match token {
        Token::Key(key) => (*key).to_owned(),
        Token::Index(index) => index.to_string(),
    });
    tokens.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests;
