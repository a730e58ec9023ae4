//! Sizes: how many pods a controller may ask ReplicaSets for (S2, S3, S8).

use crate::sim::judge::facts::pods::Set;
use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::route::{Route, part};
use crate::sim::judge::facts::status::Routing;
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh, Seen};

/// One write of a controller to a ReplicaSet.
struct Resize<'a, 'b> {
    case: &'b Case<'a>,
    seen: Seen<'a>,
    revision: String,
    was: Option<&'b Set>,
    is: Option<&'b Set>,
}

/// Looks at a write of a controller to a ReplicaSet.
pub fn see(case: &Case<'_>, found: &mut Found) {
    let Fresh::Set(is) = case.fresh else { return };
    if case.controller().is_none() {
        return;
    }
    let place = (case.namespace().to_owned(), case.name().to_owned());
    let was = case.scene.sets.get(&place).and_then(|past| past.now()).map(AsRef::as_ref);
    let is = is.as_deref();
    let Some(any) = is.or(was) else { return };
    let Some(seen) = case.rollouts().find(|seen| any.owner.as_ref() == Some(&seen.now.uid)) else {
        return;
    };
    let resize = Resize { case, seen, revision: any.revision.clone(), was, is };
    resize.pods_with_traffic_stay(found);
    resize.failed_stays_away(found);
    resize.first_keeps_its_pods(found);
    if resize.routed() {
        resize.stable_keeps_its_size(found);
    } else {
        resize.within_surge(found);
        resize.enough_stay(found);
    }
}

impl Resize<'_, '_> {
    fn before(&self) -> u32 {
        self.was.map_or(0, |set| set.desired)
    }

    fn after(&self) -> u32 {
        self.is.map_or(0, |set| set.desired)
    }

    fn remembers(&self) -> bool {
        let resources = ["httproutes", "replicasets", "rollouts", "services"];
        resources.iter().all(|resource| self.case.remembers(resource))
    }

    /// Whether two whole sides stand side by side, as far as its writer may have thought. Only a
    /// controller changes that, by a write of its own.
    fn routed(&self) -> bool {
        self.seen.stages().any(|state| state.routing().is_some() || state.spec.switch)
    }

    /// S2: pods behind a backend with a weight stay, as many as the weight needs.
    fn pods_with_traffic_stay(&self, found: &mut Found) {
        let replicas = self.seen.replicas();
        let gone = self.is.is_none() && self.was.is_some_and(|set| set.there() > 0);
        found.unless(!gone, "S2", || format!("{} is deleted with pods", self.case.name()));
        if self.after() >= self.before() || replicas == 0 || !self.remembers() {
            return;
        }
        let selects = |service: &str| {
            let states = self.case.service_states(service);
            !states.is_empty()
                && states
                    .iter()
                    .all(|state| state.and_then(|s| s.selects.as_ref()) == Some(&self.revision))
        };
        let mut needed = 0;
        for routing in self.seen.routings() {
            for route in self.case.routes_of(&routing) {
                let states = self.case.route_states(&route);
                for service in [&routing.stable_service, &routing.canary_service] {
                    let share = |route: &Route| route.share(service, &routing);
                    let shares = states.iter().map(|route| route.map_or(0, share));
                    let share = shares.min().unwrap_or(0);
                    if share > 0 && selects(service) {
                        needed = part(replicas, share).max(1).max(needed);
                    }
                }
            }
        }
        let behind = |state: &Rollout| {
            state.spec.switch && state.spec.stable_service.as_deref().is_some_and(selects)
        };
        if self.seen.states().all(behind) {
            needed = needed.max(replicas);
        }
        let last = |state: &Rollout| {
            let stable = state.spec.stable_service.as_deref();
            state.spec.unavailable < replicas && stable.is_some_and(selects)
        };
        if !self.routed() && self.seen.states().all(last) {
            needed = needed.max(1);
        }
        let after = self.after();
        found.unless(after >= needed, "S2", || {
            format!("{} gets {after} pods, its traffic needs {needed}", self.case.name())
        });
    }

    /// S8: what failed gets no pods again but by an attempt of its own.
    fn failed_stays_away(&self, found: &mut Found) {
        if self.after() <= self.before() || !self.case.remembers("rollouts") {
            return;
        }
        let barred = self.seen.states().all(|state| {
            let failed = state.status.quarantine.iter().any(|f| f.revision == self.revision);
            let sides = [
                state.open().map(|attempt| &attempt.revision),
                state.status.stable.as_ref().map(|side| &side.revision),
            ];
            failed && !sides.contains(&Some(&self.revision))
        });
        found.unless(!barred, "S8", || {
            format!("{} failed and gets {} pods again", self.case.name(), self.after())
        });
    }

    /// S2: where there is no stable side nothing takes the place of the first revision.
    fn first_keeps_its_pods(&self, found: &mut Found) {
        let alone = self.seen.stages().all(|state| {
            let attempt = state.status.attempt.as_ref();
            state.status.stable.is_none()
                && attempt.is_some_and(|attempt| attempt.revision == self.revision)
        });
        let less = self.after() < self.before() && self.after() < self.seen.replicas();
        found.unless(!alone || !less || !self.remembers(), "S2", || {
            format!("{} is all there is and gets {} pods", self.case.name(), self.after())
        });
    }

    /// S3: with a router stable keeps its full size, or as many pods as its weight needs once a
    /// gateway has accepted that.
    fn stable_keeps_its_size(&self, found: &mut Found) {
        let stable = self.seen.stages().all(|state| {
            let side = state.status.stable.as_ref();
            side.is_some_and(|side| side.revision == self.revision)
        });
        let (after, replicas) = (self.after(), self.seen.replicas());
        let short = stable && after < self.before() && after < replicas && self.remembers();
        let taken = |routing: &Routing| {
            self.case.routes_of(routing).iter().all(|name| {
                let routes = self.case.route_states(name);
                routes.into_iter().flatten().any(|route| {
                    let rest = part(replicas, route.share(&routing.stable_service, routing));
                    route.accepted_since.is_some() && rest <= after
                })
            })
        };
        let dynamic = self.seen.states().any(|state| state.spec.dynamic_stable);
        let shares = dynamic && self.seen.routings().iter().any(taken);
        found.unless(!short || shares, "S3", || {
            format!("{} is stable and gets {after} of {replicas} pods", self.case.name())
        });
    }

    /// S3: no more pods are asked for than the replicas and the surge.
    fn within_surge(&self, found: &mut Found) {
        if self.after() <= self.before() || !self.remembers() {
            return;
        }
        let others = self.others(|set| set.desired, Iterator::min);
        let all = others.saturating_add(self.after());
        let most = self.seen.states().map(|s| s.spec.replicas.saturating_add(s.spec.surge)).max();
        let most = most.unwrap_or(u32::MAX);
        found.unless(all <= most, "S3", || {
            format!(
                "{} gets {} pods beside {others}, {most} are allowed",
                self.case.name(),
                self.after()
            )
        });
    }

    /// S3: no ready pod goes that has to stay.
    fn enough_stay(&self, found: &mut Found) {
        let Some(was) = self.was.filter(|was| self.after() < was.desired) else { return };
        let ready = was.available.min(was.desired);
        let stay = ready.min(self.after());
        if stay == ready || !self.remembers() {
            return; // Only pods go that are not ready.
        }
        let others = self.others(|set| set.available.min(set.there()), Iterator::max);
        let least = self.seen.states().map(|s| s.spec.replicas.saturating_sub(s.spec.unavailable));
        let least = least.min().unwrap_or(0);
        let all = others.saturating_add(stay);
        found.unless(all >= least, "S3", || {
            format!("{} leaves {all} ready pods, {least} have to stay", self.case.name())
        });
    }

    fn others(
        &self,
        count: impl Fn(&Set) -> u32,
        extreme: impl Fn(std::vec::IntoIter<u32>) -> Option<u32>,
    ) -> u32 {
        let all = self.case.sets_of(&self.seen.now.uid).into_iter();
        let others = all.filter(|(name, _)| *name != self.case.name());
        let counts = others.map(|(_, states)| {
            let counts: Vec<u32> = states.iter().map(|set| set.map_or(0, &count)).collect();
            extreme(counts.into_iter()).unwrap_or(0)
        });
        counts.fold(0, u32::saturating_add)
    }
}

#[cfg(test)]
mod tests;
