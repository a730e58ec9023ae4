//! Experiments: when a controller may put a rule of an experiment into a route, and how it looks
//! (S6, S1, S4).

use serde_json::{Value, json};

use crate::sim::judge::facts::rollout::{Pause, Rollout};
use crate::sim::judge::facts::route;
use crate::sim::judge::facts::status::{Routing, Stage};
use crate::sim::judge::found::Found;
use crate::sim::judge::read::{list, text};
use crate::sim::judge::scene::{Case, Seen};
use crate::sim::world::fields::ROUTES;

/// The Rollouts that use a route with an experiment, and how each names its objects.
pub fn routings(case: &Case<'_>) -> Vec<Routing> {
    let all = case.rollouts().flat_map(|seen| seen.routings());
    all.filter(|r| case.splits(r) && r.variant_match.is_some()).collect()
}

/// Whether a rule is one of an experiment of any of these.
pub fn any(routings: &[Routing], rule: &Value) -> bool {
    routings.iter().any(|routing| route::experiments(rule, routing))
}

/// Looks at a write of a controller to a route.
pub fn see(case: &Case<'_>, found: &mut Found) {
    if case.controller().is_none() || !ROUTES.contains(&case.change.place.resource) {
        return;
    }
    let (Some(before), Some(after)) = (&case.change.before, &case.change.after) else { return };
    let rules = |object: &Value| list(object, &["spec", "rules"]).to_vec();
    let (before, after) = (rules(before), rules(after));
    for seen in case.rollouts() {
        for routing in seen.routings() {
            if !case.splits(&routing) || routing.variant_match.is_none() {
                continue;
            }
            let ours = |rules: &[Value]| -> Vec<Value> {
                rules.iter().filter(|rule| route::experiments(rule, &routing)).cloned().collect()
            };
            let (old, new) = (ours(&before), ours(&after));
            if old == new {
                continue;
            }
            copies(case, &after, &routing, found);
            if new.is_empty() {
                leaves(case, &seen, &routing, found);
            } else {
                appears(case, &seen, &routing, found);
            }
        }
    }
}

/// S6: each stands right before the rule that it is a copy of, and each such rule has one.
fn copies(case: &Case<'_>, rules: &[Value], routing: &Routing, found: &mut Found) {
    let ours = |rule: &Value| route::experiments(rule, routing);
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| ours(rule)) {
        let behind = rules.get(index + 1).filter(|behind| !ours(behind));
        let http = case.change.place.resource == "httproutes";
        let fine = behind.is_some_and(|of| holds_both(of, routing) && copy(rule, of, http));
        found.unless(fine, "S6", || {
            format!("rule {index} of {} is no copy of the one behind it", case.name())
        });
    }
    let pairs = rules.iter().filter(|rule| holds_both(rule, routing)).count();
    let count = rules.iter().filter(|rule| ours(rule)).count();
    found.unless(count == 0 || count == pairs, "S6", || {
        format!("{} has {count} rules of an experiment for {pairs}", case.name())
    });
}

fn holds_both(rule: &Value, routing: &Routing) -> bool {
    let backends = list(rule, &["backendRefs"]);
    let holds = |name: &String| backends.iter().any(|backend| text(backend, &["name"]) == name);
    holds(&routing.stable_service) && holds(&routing.canary_service)
}

/// Whether a rule is another one with one more header in each match and fewer backends.
fn copy(rule: &Value, of: &Value, http: bool) -> bool {
    let plain = |rule: &Value| {
        let mut rule = rule.clone();
        if let Some(fields) = rule.as_object_mut() {
            fields.retain(|key, _| !["name", "matches", "backendRefs"].contains(&key.as_str()));
        }
        rule
    };
    let narrowed = |(test, of): (&Value, &Value)| {
        let (headers, known) = (list(test, &["headers"]), list(of, &["headers"]));
        let path = json!({"type": "PathPrefix", "value": "/"});
        let path = of.get("path").or(http.then_some(&path));
        let rest = |key: &str| test.get(key) == of.get(key);
        test.get("path") == path
            && headers.len() == known.len() + 1
            && headers.starts_with(known)
            && ["method", "queryParams"].into_iter().all(rest)
    };
    let nothing = [json!({})];
    let (tests, known) = (list(rule, &["matches"]), list(of, &["matches"]));
    let known = if known.is_empty() { &nothing[..] } else { known };
    plain(rule) == plain(of) && tests.len() == known.len() && tests.iter().zip(known).all(narrowed)
}

/// S6 and S1: a rule stands only on the step of the experiment, and only on a whole side.
fn appears(case: &Case<'_>, seen: &Seen<'_>, routing: &Routing, found: &mut Found) {
    if !remembers(case) {
        return;
    }
    let running = |state: &Rollout| {
        let open = state.open().filter(|open| open.stage() == Stage::Step)?;
        let pause = state.spec.step(open.step).pause;
        matches!(pause, Pause::UntilConcluded(_)).then(|| open.revision.clone())
    };
    let running: Vec<String> = seen.stages().filter_map(running).collect();
    found.unless(!running.is_empty(), "S6", || {
        format!("{} gets a rule and no experiment of {} runs", case.name(), seen.now.name)
    });
    let ready = |r: &String| case.most_ready(&routing.canary_service, &seen.now.name, r);
    let ready = running.iter().map(ready).max().unwrap_or(0);
    let needed = seen.replicas();
    found.unless(ready >= needed || running.is_empty(), "S1", || {
        format!("{} gets a rule on {ready} ready endpoints, {needed} are needed", case.name())
    });
}

/// S4: its requests go only where somebody answers.
fn leaves(case: &Case<'_>, seen: &Seen<'_>, routing: &Routing, found: &mut Found) {
    let deleting = seen.states().any(|state| state.deleting);
    if deleting || seen.replicas() == 0 || !remembers(case) {
        return;
    }
    let ready = case.most_ready_of_any(&routing.stable_service);
    let other = case.least_ready_of_any(&routing.canary_service);
    found.unless(ready > 0 || other == 0, "S4", || {
        format!("{} loses its rules with no ready endpoint of stable", case.name())
    });
}

fn remembers(case: &Case<'_>) -> bool {
    ["endpointslices", "services", "rollouts"].iter().all(|resource| case.remembers(resource))
}

#[cfg(test)]
mod tests;
