//! Force: a step, a promotion and the way back are over only once what they ask for is there, as
//! pods and gateways say of the present generation (S13).

use crate::sim::judge::changes;
use crate::sim::judge::facts::rollout::{Pause, Rollout};
use crate::sim::judge::facts::route::{Route, part};
use crate::sim::judge::facts::status::{Attempt, Routing, Stage};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::Case;

/// What has to be there for an attempt to go on.
struct Goal<'a> {
    /// The share of the canary in percent.
    weight: u32,
    /// Pods of a revision that have to be available.
    pods: Vec<(&'a str, u32)>,
    /// The Service of stable has to select this revision.
    turned: Option<&'a str>,
    /// Whether the rules of an experiment stand in the route: else none does.
    ruled: Option<bool>,
}

/// Looks at a write of a controller to a Rollout.
pub fn see(case: &Case<'_>, found: &mut Found) {
    let Some((was, is)) = case.own().filter(|(was, is)| was.status != is.status) else { return };
    let (Some(old), Some(new)) = (was.open(), &is.status.attempt) else { return };
    let Some(goal) = goal(was, old, new).filter(|_| old.number == new.number) else { return };
    let known = ["httproutes", "replicasets", "services"].iter().all(|r| case.remembers(r));
    if !known || was.spec.replicas == 0 {
        return;
    }
    for (revision, needed) in goal.pods {
        let sets = case.set_states(&format!("{}-{revision}", was.name));
        let there = sets.iter().flatten().any(|set| set.settled && set.available >= needed);
        found.unless(there || needed == 0, "S13", || {
            format!(
                "{}: {} is left with too few pods of {revision}, {needed} are needed",
                was.name,
                shown(old)
            )
        });
    }
    let Some(routing) = was.routing() else {
        let service = was.spec.stable_service.as_deref().filter(|_| was.spec.switch);
        turned(
            case,
            was,
            (service.unwrap_or_default(), goal.turned.filter(|_| service.is_some())),
            found,
        );
        return;
    };
    let left = was.renamed() && old.stage() == Stage::RollingBack;
    let taken = |route: &Route| {
        let pairs = |of: &Routing| route.pairs(&of.stable_service, &of.canary_service);
        // Spec and route may name other Services at once.
        let pairs = match pairs(&routing) {
            none if none.is_empty() && left => pairs(&was.named),
            pairs => pairs,
        };
        let weighed = |(canary, sum)| canary == part(sum, goal.weight);
        let rules = if goal.ruled == Some(true) { pairs.len() } else { 0 };
        let ruled = goal.ruled.is_none() || route.experiments(&routing) == rules;
        ruled
            && route.accepted_since.is_some()
            && !pairs.is_empty()
            && pairs.values().all(|pair| weighed((pair.canary, pair.sum())))
    };
    let routes = case.routes_of(&routing);
    let several = routes.len() > 1;
    for name in &routes {
        let states = case.route_states(name);
        // One of several that is gone, or leads to neither side, keeps nobody from going back.
        let gone = |route: &Option<&Route>| {
            let services = [&routing.stable_service, &routing.canary_service];
            route.is_none_or(|route| !services.iter().any(|service| route.leads_to(service)))
        };
        let free = several && goal.weight == 0 && (states.is_empty() || states.iter().any(gone));
        let free = free || (left && !changes::leads(&states, &routing));
        let free = free || (was.selects() && (states.is_empty() || states.iter().any(gone)));
        found.unless(free || states.into_iter().flatten().any(taken), "S13", || {
            format!(
                "{}: {} is left before a route with weight {} was accepted",
                was.name,
                shown(old),
                goal.weight
            )
        });
    }
    // The stable Service turns only after the last step.
    let revision = goal.turned.filter(|_| goal.weight == 0);
    turned(case, was, (&routing.stable_service, revision), found);
}

fn turned(
    case: &Case<'_>,
    was: &Rollout,
    (service, revision): (&str, Option<&str>),
    found: &mut Found,
) {
    let Some(revision) = revision else { return };
    let services = case.service_states(service);
    let selects = services.iter().flatten().any(|s| s.selects.as_deref() == Some(revision));
    found.unless(selects, "S13", || format!("{}: {service} does not select {revision}", was.name));
}

fn shown(attempt: &Attempt) -> String {
    format!("{} {}", attempt.stage, attempt.step)
}

/// What has to be there for this transition; nothing where a command or a failure makes it.
fn goal<'a>(was: &'a Rollout, old: &'a Attempt, new: &Attempt) -> Option<Goal<'a>> {
    let replicas = was.spec.replicas;
    let revision = old.revision.as_str();
    let stable = was.status.stable.as_ref().map(|side| side.revision.as_str());
    match (old.stage(), new.stage()) {
        (Stage::Step, Stage::Step | Stage::Promoting | Stage::Baking | Stage::Completed) => {
            let begins = new.step == old.step && old.paused_at.is_none() && new.paused_at.is_some();
            let step = was.spec.step(old.step);
            let (weight, pods) = (step.weight, part(replicas, step.weight));
            let asked = step.pods.min(replicas).max(part(replicas, step.part));
            let pods = vec![(revision, pods.max(asked))];
            let ruled = matches!(step.pause, Pause::UntilConcluded(_)).then_some(true);
            let goal = Goal { weight, pods, turned: (weight == 100).then_some(revision), ruled };
            (begins || (new.left(old) && !was.promotes(old))).then_some(goal)
        }
        (Stage::First, Stage::Baking | Stage::Completed) => {
            let (pods, turned) = (vec![(revision, replicas)], Some(revision));
            Some(Goal { weight: 0, pods, turned, ruled: Some(false) })
        }
        (Stage::Promoting, Stage::Baking | Stage::Completed) => {
            let (pods, turned) = (Vec::new(), Some(revision));
            Some(Goal { weight: 0, pods, turned, ruled: Some(false) })
        }
        (Stage::RollingBack, Stage::Ended) if was.spec.workload => {
            let stable = stable?;
            let routed = was.routing().is_some();
            let pods = if routed { Vec::new() } else { vec![(stable, replicas)] };
            Some(Goal { weight: 0, pods, turned: Some(stable), ruled: Some(false) })
        }
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests;
