//! Selects: when a controller may turn a Service to other pods (S1, S2).

use crate::sim::judge::facts::pods::Service;
use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::route::part;
use crate::sim::judge::facts::status::Routing;
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh, Seen};

/// Looks at a write of a controller to a Service.
pub fn see(case: &Case<'_>, found: &mut Found) {
    let Fresh::Service(Some(after)) = case.fresh else { return };
    let place = (case.namespace().to_owned(), case.name().to_owned());
    let Some(before) = case.scene.service(&place).filter(|_| case.controller().is_some()) else {
        return;
    };
    if before.selects == after.selects {
        return;
    }
    let mut verdicts = Vec::new();
    for seen in case.rollouts() {
        let mut told = Found::default();
        if turned(case, &seen, before, after, &mut told) {
            verdicts.push(told);
        }
    }
    let best = verdicts.into_iter().min_by_key(|told| told.0.len());
    found.0.extend(best.unwrap_or_default().0);
}

/// Judges the turn as one of this Rollout; `false` if the Service is none of its own.
fn turned(
    case: &Case<'_>,
    seen: &Seen<'_>,
    before: &Service,
    after: &Service,
    found: &mut Found,
) -> bool {
    let name = case.name();
    let named = |service: &Option<String>| service.as_deref() == Some(name);
    let routings = seen.routings();
    let stable = seen.states().any(|state| named(&state.spec.stable_service))
        || routings.iter().any(|routing| routing.stable_service == name);
    let canary = seen.states().any(|state| named(&state.spec.canary_service))
        || routings.iter().any(|routing| routing.canary_service == name);
    if !stable && !canary {
        return false;
    }
    let remembers = ["httproutes", "replicasets", "rollouts"].iter().all(|r| case.remembers(r));
    let replicas = seen.replicas();
    if seen.states().any(|state| state.deleting) || replicas == 0 || !remembers {
        return true;
    }
    let least = |route: &String, routing: &Routing| {
        let states = case.route_states(route).into_iter();
        states.map(|route| route.map_or(0, |route| route.share(name, routing))).min()
    };
    let of = |routing: &Routing| {
        let routes = case.routes_of(routing);
        routes.iter().filter_map(|route| least(route, routing)).max()
    };
    let share = routings.iter().filter_map(of).min();
    let plain = seen.states().any(|state| state.routing().is_none());
    let from = before.selects.as_deref();
    let Some(to) = after.selects.as_deref() else {
        let left = |state: &Rollout| {
            let named = [&state.named.stable_service, &state.named.canary_service];
            let forgotten = state.status.attempt.is_none();
            (state.renamed() || forgotten) && !named.iter().any(|service| *service == name)
        };
        found.unless(seen.states().any(left), "S5", || {
            format!("{name} is let go while {} stands", seen.now.name)
        });
        return true;
    };
    let sets = |revision: &str| case.set_states(&format!("{}-{revision}", seen.now.name));
    let there = sets(to).iter().flatten().map(|set| set.available).max().unwrap_or(0);
    if !stable {
        let loses = share.unwrap_or(0);
        found.unless(loses == 0 || plain, "S2", || {
            format!("{name} turns to {to} while it carries {loses} % of the traffic")
        });
        return true;
    }
    let needed = match (share, from) {
        (Some(0), _) => 0,
        (_, None) => 1,
        (Some(share), Some(_)) => part(replicas, share),
        (None, Some(_)) => replicas,
    };
    let spare = seen.states().map(|s| s.spec.replicas.saturating_sub(s.spec.unavailable)).min();
    // Pods beyond those that are asked for are about to go.
    let stays = |from| sets(from).iter().flatten().map(|set| set.available.min(set.desired)).min();
    let left = from.and_then(stays).unwrap_or(1).max(1);
    let enough =
        needed <= there || (plain && (spare.unwrap_or(0).max(1) <= there || left <= there));
    found.unless(enough, "S1", || {
        format!("{name} turns to {to} with {there} available pods, {needed} are needed")
    });
    true
}

#[cfg(test)]
mod tests;
