//! Pauses: they last as long as they are to last by the true clock (S19), and a frozen Rollout
//! stands still (S22).

use std::collections::BTreeMap;

use crate::model::moment::{Duration, Timestamp};
use crate::sim::judge::drain::CLOCKS_OFF;
use crate::sim::judge::facts::rollout::{Pause, Rollout};
use crate::sim::judge::facts::status::{Attempt, Stage};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh, Name};

/// The pauses that run.
#[derive(Debug, Default)]
pub struct Pauses {
    /// By Rollout.
    known: BTreeMap<Name, Known>,
}

/// What is known of one Rollout, by the true clock.
#[derive(Debug)]
struct Known {
    /// The step on which it stands: attempt, step.
    place: (i64, i64),
    entered: Timestamp,
    /// Since when its pause runs.
    began: Option<Timestamp>,
    /// Who said so.
    by: Option<String>,
    /// How long that was frozen so far, and since when it is again.
    frozen: Duration,
    frozen_since: Option<Timestamp>,
    /// Since when the spec freezes it or does not.
    freezes: (bool, Timestamp),
}

impl Pauses {
    /// Looks at a change of a Rollout.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        let name = (case.namespace().to_owned(), case.name().to_owned());
        let Fresh::Rollout(is) = case.fresh else { return };
        let Some(is) = is else {
            self.known.remove(&name);
            return;
        };
        let at = case.change.at;
        let was = case.scene.rollout(&name).map(AsRef::as_ref);
        let fresh = || Known {
            place: (0, 0),
            entered: at,
            began: None,
            by: None,
            frozen: Duration::ZERO,
            frozen_since: None,
            freezes: (frozen(is), at),
        };
        let known = self.known.entry(name.clone()).or_insert_with(fresh);
        if known.freezes.0 != frozen(is) {
            known.freezes = (frozen(is), at);
        }
        let Some(was) = was else { return };
        if case.controller().is_some() {
            let off =
                if known.by.as_deref() == case.controller() { 0 } else { CLOCKS_OFF.millis() };
            known.left(was, is, at + Duration::from_millis(off), found);
            moved(was, is, found);
            stands_still(was, is, found);
        } else if was.status != is.status {
            known.place = (0, 0); // Nobody knows what a person meant.
        }
        if was.status == is.status {
            return;
        }
        known.thawed(was, is, at);
        let attempt = is.status.attempt.as_ref();
        let place = attempt.map_or((0, 0), Attempt::place);
        if place != known.place {
            *known = Known { place, freezes: known.freezes, ..fresh() };
        }
        if let Some(text) = attempt.and_then(|a| a.paused_at.as_ref())
            && known.began.is_none()
        {
            let routes = is.routing().map(|routing| case.scene.routes_of(&name.0, &routing));
            let routes = routes.into_iter().flatten();
            let in_force = routes.filter_map(|(_, route)| route?.accepted_since).max();
            let in_force = in_force.unwrap_or(known.entered);
            let said = Timestamp::parse(text).unwrap_or(at);
            // By a clock that is ahead nobody knows when it was said, only that it was in force.
            let began = if said <= at { said.max(in_force) } else { in_force };
            known.began = Some(began.min(at));
            known.by = case.controller().map(str::to_owned);
        }
    }
}

impl Known {
    /// S19: a timed pause is left no sooner than its time is over.
    fn left(&self, was: &Rollout, is: &Rollout, at: Timestamp, found: &mut Found) {
        let (Some(old), Some(new)) = (was.open(), &is.status.attempt) else { return };
        let paused = old.paused_at.is_some() && !old.unpaused && old.place() == self.place;
        let (length, ends) = match was.spec.step(old.step).pause {
            Pause::For(length) => (length, new.left(old) && !was.promotes(old)),
            Pause::UntilConcluded(most) => {
                let least = if was.by_data(old) { was.spec.least } else { Duration::MAX };
                (most.unwrap_or(Duration::MAX).min(least), new.lost() && !was.concludes(old))
            }
            Pause::None | Pause::UntilPromoted => return,
        };
        let ends = ends && paused;
        let Some(began) = self.began.filter(|_| ends) else { return };
        if new.number != old.number {
            return;
        }
        let frozen = self.frozen.millis().saturating_add(self.thawing(at).millis());
        let stood = Duration::from_millis(at.since(began).millis().saturating_sub(frozen));
        found.unless(stood >= length, "S19", || {
            format!("{}: the pause of step {} lasted {stood}, not {length}", is.name, old.step)
        });
    }

    /// Time that was frozen does not count: as long as the spec asked for it and the status said
    /// so.
    fn thawed(&mut self, was: &Rollout, is: &Rollout, at: Timestamp) {
        match (says_frozen(was), says_frozen(is)) {
            // What a clock says that is behind is no time of ours; by now it is frozen.
            (false, true) => self.frozen_since = Some(at),
            (true, false) => {
                let length = self.frozen.millis().saturating_add(self.thawing(at).millis());
                self.frozen = Duration::from_millis(length);
                self.frozen_since = None;
            }
            (false, false) | (true, true) => {}
        }
    }

    /// How long it is frozen this time. What was frozen before the pause began is none of it.
    fn thawing(&self, at: Timestamp) -> Duration {
        let (asked, since) = self.freezes;
        let end = if asked { at } else { since };
        match (self.frozen_since, self.began) {
            (Some(from), Some(began)) => end.since(from.max(began)),
            (Some(_) | None, _) => Duration::ZERO,
        }
    }
}

fn frozen(rollout: &Rollout) -> bool {
    rollout.spec.paused || rollout.spec.replicas == 0
}

/// Whether a status says that the Rollout is frozen: since when, or that this is waited for.
fn says_frozen(rollout: &Rollout) -> bool {
    let mut waits = rollout.status.waiting_for.iter();
    rollout.status.frozen_since.is_some()
        || waits.any(|waits| ["Suspended", "ScaledToZero"].contains(&waits.kind.as_str()))
}

/// S19: the beginning of a pause moves only by the time that was frozen.
fn moved(was: &Rollout, is: &Rollout, found: &mut Found) {
    let (Some(old), Some(new)) = (was.open(), is.open()) else { return };
    let thawed = was.status.frozen_since.is_some() && is.status.frozen_since.is_none();
    let (Some(from), Some(to)) = (&old.paused_at, &new.paused_at) else { return };
    found.unless(old.place() != new.place() || from == to || thawed, "S19", || {
        format!("{}: the pause of step {} begins at {to} instead of {from}", is.name, new.step)
    });
}

/// S22: while `spec.paused` is true nothing begins, climbs or is delivered.
fn stands_still(was: &Rollout, is: &Rollout, found: &mut Found) {
    if !was.spec.paused {
        return;
    }
    let name = &is.name;
    if let (Some(old), Some(new)) = (&was.status.attempt, &is.status.attempt) {
        let order = |attempt: &Attempt| match attempt.stage() {
            Stage::First => 0,
            Stage::Step => attempt.step.saturating_mul(2) + i64::from(attempt.paused_at.is_some()),
            Stage::Promoting => 1000,
            Stage::Baking => 1001,
            Stage::Completed => 1002,
            Stage::RollingBack | Stage::Ended | Stage::Unknown => -1,
        };
        let climbs = order(new) > order(old) && order(old) >= 0;
        found.unless(new.number == old.number, "S22", || {
            format!("{name}: attempt {} begins while spec.paused", new.number)
        });
        found.unless(new.number != old.number || !climbs, "S22", || {
            format!("{name}: attempt {} goes on to {} while spec.paused", new.number, new.stage)
        });
    }
    let back = was.open().is_some_and(|attempt| attempt.stage() == Stage::RollingBack);
    for (container, image) in &is.spec.images {
        let before = was.spec.images.get(container).and_then(Option::as_ref);
        let changed = before.is_some() && before != image.as_ref();
        found.unless(!changed || back, "S22", || {
            format!("{name}: {container} gets {image:?} while spec.paused")
        });
    }
}

/// S22: while `spec.paused` is true an attempt's traffic stays where it is.
pub fn traffic_stands(case: &Case<'_>, found: &mut Found) {
    if case.controller().is_none() || !case.remembers("rollouts") {
        return;
    }
    let uses = |rollout: &Rollout| {
        let routing = rollout.routing().or(rollout.spec.routing());
        let active = rollout.spec.stable_service.as_deref().filter(|_| rollout.spec.switch);
        active == Some(case.name())
            || routing.is_some_and(|routing| {
                let services = [&routing.stable_service, &routing.canary_service];
                let service = case.change.place.resource == "services";
                (service && services.iter().any(|name| *name == case.name()))
                    || case.splits(&routing)
            })
    };
    let moved = match case.fresh {
        Fresh::Route(Some(_)) => true,
        Fresh::Service(Some(service)) => {
            let name = (case.namespace().to_owned(), case.name().to_owned());
            case.scene.service(&name).is_some_and(|before| before.selects != service.selects)
        }
        Fresh::Route(None)
        | Fresh::Service(None)
        | Fresh::Rollout(_)
        | Fresh::Set(_)
        | Fresh::Slice(_)
        | Fresh::Offer(_)
        | Fresh::Lease(_)
        | Fresh::Other => false,
    };
    if !moved {
        return;
    }
    let still = |rollout: &Rollout| {
        let stage = rollout.open().map(|attempt| attempt.stage());
        let climbs =
            matches!(stage, Some(Stage::First | Stage::Step | Stage::Promoting | Stage::Baking));
        rollout.spec.paused && climbs && !rollout.deleting
    };
    let all: Vec<_> = case.rollouts().filter(|seen| seen.states().any(uses)).collect();
    let barred = !all.is_empty() && all.iter().all(|seen| seen.states().all(still));
    found.unless(!barred, "S22", || {
        format!("{} {} is changed while spec.paused", case.change.place.resource, case.name())
    });
}

#[cfg(test)]
mod tests;
