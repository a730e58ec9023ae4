//! Drain: pods stay for a while after their last traffic (S2, S19), by the true clock.

use std::collections::BTreeMap;

use crate::model::moment::{Duration, Timestamp};
use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::route::Route;
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh, Name, Scene};
use crate::sim::world::fields::ROUTES;

/// How far a process may be off from another (docs/decisions/0011): where one begins a drain or a
/// pause and another ends it, the clocks of both count.
pub const CLOCKS_OFF: Duration = Duration::from_secs(3);

/// When which revision had traffic.
#[derive(Debug, Default)]
pub struct Drains {
    /// By Rollout, then by revision: since when it has none; absent: it has.
    traffic: BTreeMap<Name, BTreeMap<String, Option<Timestamp>>>,
    /// Who said last since when a revision drains.
    stamped: BTreeMap<(Name, String), String>,
}

impl Drains {
    /// Looks at a write of a controller to a ReplicaSet, before it is kept.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        self.stamp(case);
        let Fresh::Set(is) = case.fresh else { return };
        let place = (case.namespace().to_owned(), case.name().to_owned());
        let Some(was) = case.scene.sets.get(&place).and_then(|past| past.now()) else { return };
        let goes = is.as_ref().map_or(0, |set| set.desired) == 0 && was.desired > 0;
        if case.controller().is_none() || !goes || was.replicas == 0 {
            return;
        }
        let Some(seen) = case.rollouts().find(|s| was.owner.as_ref() == Some(&s.now.uid)) else {
            return;
        };
        let name = (case.namespace().to_owned(), seen.now.name.clone());
        let known = self.traffic.get(&name).and_then(|all| all.get(&was.revision));
        let routed = seen.states().all(|state| state.routing().is_some() || state.spec.switch);
        let Some(known) = known.filter(|_| routed && seen.replicas() > 0) else { return };
        match known {
            None => found.push("S2", format!("{} loses its pods with its traffic", case.name())),
            Some(since) => {
                let stayed = case.change.at.since(*since);
                let by = self.stamped.get(&(name, was.revision.clone())).map(String::as_str);
                let same = by.is_none_or(|by| Some(by) == case.controller());
                let off = if same { Duration::ZERO } else { CLOCKS_OFF };
                let delay = seen.states().filter_map(|state| state.stays(&was.revision)).min();
                found.unless(delay.is_some(), "S19", || {
                    format!("{} loses pods that stay until the next attempt", case.name())
                });
                let delay = delay.unwrap_or(Duration::ZERO);
                found.unless(stayed.millis() + off.millis() >= delay.millis(), "S19", || {
                    format!("{} drained for {stayed}, not for {delay}", case.name())
                });
            }
        }
    }

    fn stamp(&mut self, case: &Case<'_>) {
        let (Some((was, is)), Some(writer)) = (case.own(), case.controller()) else { return };
        let name = (case.namespace().to_owned(), case.name().to_owned());
        for drain in is.status.draining.iter().filter(|d| !was.status.draining.contains(d)) {
            self.stamped.insert((name.clone(), drain.revision.clone()), writer.to_owned());
        }
        let drains = |revision: &String| is.status.draining.iter().any(|d| d.revision == *revision);
        self.stamped.retain(|(other, revision), _| *other != name || drains(revision));
    }

    /// Notes who has traffic, after a change is kept.
    pub fn note(&mut self, scene: &Scene, place: (&str, &Name), at: Timestamp) {
        let (resource, (namespace, name)) = place;
        if !["services", "rollouts"].contains(&resource) && !ROUTES.contains(&resource) {
            return;
        }
        let from = scene.rollouts.range((namespace.clone(), String::new())..);
        let here = from.take_while(|((space, _), _)| space == namespace);
        for (known, past) in here {
            let Some(rollout) = past.now() else {
                self.traffic.remove(known);
                continue;
            };
            let routing = rollout.routing();
            let concerns = match &routing {
                Some(routing) => {
                    let services = [&routing.stable_service, &routing.canary_service];
                    ROUTES.contains(&resource) || services.contains(&name)
                }
                None => rollout.spec.stable_service.as_ref() == Some(name),
            };
            if concerns || known.1 == *name {
                self.weigh(scene, known, rollout, at);
            }
        }
    }

    fn weigh(&mut self, scene: &Scene, name: &Name, rollout: &Rollout, at: Timestamp) {
        let named = |object: &String| (name.0.clone(), object.clone());
        let shares: Vec<(String, u32)> = match (rollout.routing(), &rollout.spec.stable_service) {
            (Some(routing), _) => {
                let routes = scene.routes_of(&name.0, &routing);
                let share = |service: &String| {
                    let share =
                        |route: Option<&Route>| route.map_or(0, |r| r.share(service, &routing));
                    let shares = routes.iter().map(|(_, route)| share(*route));
                    (service.clone(), shares.max().unwrap_or(0))
                };
                [&routing.stable_service, &routing.canary_service].map(share).into()
            }
            (None, Some(service)) if rollout.spec.switch => vec![(service.clone(), 100)],
            (None, _) => return,
        };
        let all = self.traffic.entry(name.clone()).or_default();
        let mut carrying: Vec<&str> = Vec::new();
        for (service, share) in &shares {
            let known = scene.service(&named(service));
            let selects = known.and_then(|service| service.selects.as_deref());
            carrying.extend(selects.filter(|_| *share > 0));
        }
        for revision in &carrying {
            all.insert((*revision).to_owned(), None);
        }
        for (revision, since) in all.iter_mut() {
            if since.is_none() && !carrying.contains(&revision.as_str()) {
                *since = Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests;
