//! Manners: what a controller owes the API server and no change shows. It decides again only once
//! it was told of its own writes, writes over nothing that it has not seen, looks again after a
//! write that was refused as stale or that nobody answered (S9), opens a watch again that has ended
//! (L5) and does not ask on and on (L10). It never holds a request up.

use std::collections::BTreeMap;

use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::{Place, Sight};
use crate::sim::judge::Violation;

/// Writes of one decision follow each other within this time.
const ONE_DECISION: Duration = Duration::from_secs(1);
/// How soon a watch that expired is opened again.
const REOPENED_WITHIN: Duration = Duration::from_secs(10);
/// Requests of one controller within a minute, for one or two Rollouts: a whole release takes 100.
const REQUESTS_MAX: u32 = 600;
/// How soon after another write one counts as the same blind try.
const BLIND: Duration = Duration::from_secs(3);
const MINUTE: Duration = Duration::from_secs(60);
/// Breaches that are kept: who makes more of them is known by the first.
const BREACHES_MAX: usize = 20;

/// What one controller did, as far as its manners ask for it.
#[derive(Debug)]
pub struct Manners {
    identity: String,
    /// The revision at which each object was last answered to it.
    answered: BTreeMap<Place, u64>,
    /// The version that it was told its own last write to each object made.
    own: BTreeMap<Place, u64>,
    /// Its writes that it was not told of yet: revision and time.
    unseen: BTreeMap<Place, (u64, Timestamp)>,
    /// Its writes that were refused as stale: the version that they demanded, and when.
    refused: BTreeMap<Place, (u64, Timestamp)>,
    /// Its writes that nobody answered: the revision of which it has to be told, and when.
    unanswered: BTreeMap<Place, (u64, Timestamp)>,
    /// The watches that ended, by resource.
    ended: BTreeMap<&'static str, Timestamp>,
    /// Whether it met a server that does not answer: then it may wait longer.
    excused: bool,
    /// Whether there were ever two Rollouts: writes for one need not wait for those of the other.
    crowded: bool,
    /// Requests in this minute, and when it began.
    minute: (u32, Option<Timestamp>),
    breaches: Vec<Violation>,
}

/// One write that was carried out.
#[derive(Debug, Clone)]
pub struct Deed {
    /// The object.
    pub place: Place,
    /// Its revision before, if it was there.
    pub before: Option<u64>,
    /// Its revision after; that of its end if it is gone.
    pub after: u64,
    /// When.
    pub at: Timestamp,
}

impl Manners {
    /// Begins with a controller that has done nothing.
    pub fn new(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            answered: BTreeMap::new(),
            own: BTreeMap::new(),
            unseen: BTreeMap::new(),
            refused: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            ended: BTreeMap::new(),
            excused: false,
            crowded: false,
            minute: (0, None),
            breaches: Vec::new(),
        }
    }

    /// What it did that it may not, in order.
    pub fn breaches(&self) -> &[Violation] {
        &self.breaches
    }

    /// Notes a request.
    pub fn asks(&mut self, at: Timestamp) {
        match self.minute.1 {
            Some(since) if at < since + MINUTE => self.minute.0 += 1,
            Some(_) | None => self.minute = (1, Some(at)),
        }
        if self.minute.0 == REQUESTS_MAX + 1 {
            self.breach("L10", at, format!("more than {REQUESTS_MAX} requests in a minute"));
        }
    }

    /// Notes that the server does not answer, or that the process did not run.
    pub fn excuse(&mut self) {
        self.excused = true;
        self.unseen.clear();
        self.refused.clear();
        self.unanswered.clear();
        self.ended.clear();
    }

    /// Notes what a watch or a list has told: everything of a resource up to a revision.
    pub fn told(&mut self, resource: &'static str, revision: u64) {
        let untold = |place: &Place, own: u64| place.resource != resource || revision < own;
        self.unseen.retain(|place, (own, _)| untold(place, *own));
        self.unanswered.retain(|place, (own, _)| untold(place, *own));
    }

    /// Notes that an object was answered to it; `None`: that it is not there.
    pub fn answered(&mut self, place: Place, revision: Option<u64>) {
        self.unseen.remove(&place);
        self.refused.remove(&place);
        self.unanswered.remove(&place);
        self.answered.insert(place, revision.unwrap_or(0));
    }

    /// Notes that a watch of a resource expired.
    pub fn ended(&mut self, resource: &'static str, at: Timestamp) {
        self.ended.insert(resource, at);
    }

    /// Notes that a resource is listed or watched.
    pub fn opens(&mut self, resource: &'static str, at: Timestamp) {
        let Some(since) = self.ended.remove(resource) else { return };
        let late = at.since(since);
        if REOPENED_WITHIN < late && !self.excused {
            self.breach("L5", at, format!("the watch of {resource} is opened again after {late}"));
        }
    }

    /// Notes a write. `seen`: what its writer had been told; `alone`: there is one Rollout, so that
    /// all writes are for it.
    pub fn wrote(&mut self, deed: Deed, seen: &Sight, alone: bool) {
        let Deed { place, before, after, at } = deed;
        // A pod is evicted by its uid, whatever became of it: no version is written over.
        if ["leases", "events", "pods"].contains(&place.resource) {
            return;
        }
        let shown = format!("{}/{}", place.resource, place.name);
        let told = seen.get(place.resource).copied().unwrap_or(0);
        let known = self.answered.get(&place).copied().unwrap_or(0).max(told);
        if let Some(before) = before.filter(|before| known < *before) {
            let message = format!("{shown} is written over at {before}, it was seen at {known}");
            self.breach("S9", at, message);
        }
        let unseen = self.unseen.iter().find(|(_, (_, since))| *since + ONE_DECISION <= at);
        self.crowded |= !alone;
        if let Some((own, (revision, since))) = unseen.filter(|_| !self.crowded) {
            let message = format!(
                "{shown} is written before the own write {}/{} ({revision}, {} ago) is seen",
                own.resource,
                own.name,
                at.since(*since)
            );
            self.breach("S9", at, message);
        }
        self.unseen.insert(place, (after, at));
    }

    /// Notes that it was told which version its write made. `read`: it reads the object too.
    pub fn made(&mut self, place: Place, version: u64, read: bool) {
        self.own.insert(place.clone(), version);
        if read {
            self.answered(place, Some(version));
        }
    }

    /// Notes that a write was sent, with the version that it demands.
    pub fn tries(&mut self, place: &Place, demanded: Option<u64>, at: Timestamp, alone: bool) {
        self.crowded |= !alone;
        if self.crowded || place.resource == "events" {
            return;
        }
        let blind = |since: Timestamp| at < since + BLIND;
        let shown = format!("{}/{}", place.resource, place.name);
        let refused = self.refused.get(place).filter(|(_, since)| blind(*since));
        if let Some((version, _)) = refused.filter(|(version, _)| demanded == Some(*version)) {
            let message = format!("{shown} is written to again at {version}, which was stale");
            self.breach("S9", at, message);
        } else if self.unanswered.get(place).is_some_and(|(_, since)| blind(*since)) {
            let message = format!("{shown} is written to again after a write without an answer");
            self.breach("S9", at, message);
        }
    }

    /// Notes that nobody answered a write. `revision`: of which a watch tells once it told of it.
    pub fn unanswered(&mut self, place: Place, revision: u64, at: Timestamp) {
        self.unanswered.insert(place, (revision, at));
    }

    /// Notes a write that was refused as stale, with the version that it demanded: a controller
    /// that has to read its own writes never demands an older one.
    pub fn stale(&mut self, place: &Place, demanded: u64, at: Timestamp) {
        self.refused.insert(place.clone(), (demanded, at));
        // Two loops write these, each for itself: an attempt sets them back while it begins, and
        // what their objects say is stored. The version that both demand keeps them apart.
        if place.resource == "healthchecks" {
            return;
        }
        if self.own.get(place).is_some_and(|own| demanded < *own) {
            let shown = format!("{}/{}", place.resource, place.name);
            let message = format!("{shown} is written to as it was before our last write");
            self.breach("S9", at, message);
        }
    }

    fn breach(&mut self, invariant: &'static str, at: Timestamp, message: String) {
        if self.breaches.len() < BREACHES_MAX {
            let message = format!("{}: {message}", self.identity);
            self.breaches.push(Violation { invariant, revision: 0, at, message });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(0) + Duration::from_secs(secs)
    }

    fn deed(name: &str, before: u64, after: u64, secs: u64) -> Deed {
        let place = Place::new("rollouts", "prod", name);
        Deed { place, before: Some(before), after, at: at(secs) }
    }

    fn broken(play: impl Fn(&mut Manners)) -> Vec<&'static str> {
        let mut manners = Manners::new("a");
        play(&mut manners);
        manners.breaches().iter().map(|breach| breach.invariant).collect()
    }

    #[test]
    fn own_writes_are_seen_before_the_next_decision() {
        let seen = |revision| Sight::from([("rollouts", revision)]);
        for (case, want, play) in [
            (
                "one decision",
                vec![],
                (|m: &mut Manners| {
                    m.wrote(deed("shop", 7, 8, 0), &Sight::from([("rollouts", 7)]), true);
                    m.wrote(deed("till", 7, 9, 0), &Sight::from([("rollouts", 7)]), true);
                }) as fn(&mut Manners),
            ),
            ("not told", vec!["S9"], |m| {
                m.wrote(deed("shop", 7, 8, 0), &Sight::from([("rollouts", 7)]), true);
                m.wrote(deed("till", 7, 9, 2), &Sight::from([("rollouts", 7)]), true);
            }),
            ("told", vec![], |m| {
                m.wrote(deed("shop", 7, 8, 0), &Sight::from([("rollouts", 7)]), true);
                m.told("rollouts", 8);
                m.wrote(deed("shop", 8, 9, 2), &Sight::from([("rollouts", 8)]), true);
            }),
            ("asked for", vec![], |m| {
                m.wrote(deed("shop", 7, 8, 0), &Sight::from([("rollouts", 7)]), true);
                m.answered(Place::new("rollouts", "prod", "shop"), Some(8));
                m.wrote(deed("shop", 8, 9, 2), &Sight::from([("rollouts", 7)]), true);
            }),
            ("answered with", vec![], |m| {
                m.wrote(deed("shop", 7, 8, 0), &Sight::from([("rollouts", 7)]), true);
                m.made(Place::new("rollouts", "prod", "shop"), 8, true);
                m.wrote(deed("shop", 8, 9, 2), &Sight::from([("rollouts", 7)]), true);
            }),
            ("answered with, but not read", vec!["S9", "S9"], |m| {
                m.wrote(deed("shop", 7, 8, 0), &Sight::from([("rollouts", 7)]), true);
                m.made(Place::new("rollouts", "prod", "shop"), 8, false);
                m.wrote(deed("shop", 8, 9, 2), &Sight::from([("rollouts", 7)]), true);
            }),
            ("two Rollouts", vec![], |m| {
                m.wrote(deed("shop", 7, 8, 0), &Sight::from([("rollouts", 7)]), false);
                m.wrote(deed("till", 7, 9, 2), &Sight::from([("rollouts", 7)]), false);
            }),
        ] {
            assert_eq!(broken(play), want, "{case}");
        }
        assert_eq!(broken(|m| m.wrote(deed("shop", 8, 9, 0), &seen(7), true)), ["S9"]);
        let stale = |demanded: u64| {
            broken(|m| {
                let place = Place::new("rollouts", "prod", "shop");
                m.made(place.clone(), 8, false);
                m.stale(&place, demanded, at(1));
            })
        };
        assert_eq!((stale(7), stale(8)), (vec!["S9"], vec![]));
        let check = Place::new("healthchecks", "prod", "shop");
        let beside = |m: &mut Manners| {
            m.made(check.clone(), 8, false);
            m.stale(&check, 7, at(1));
        };
        assert_eq!(broken(beside), [""; 0], "the other loop wrote it");
    }

    #[test]
    fn after_a_write_that_failed_it_looks_first() {
        fn shop() -> Place {
            Place::new("rollouts", "prod", "shop")
        }
        let again = |m: &mut Manners, version: u64, secs: u64| {
            m.tries(&shop(), Some(version), at(secs), true);
        };
        let stale = |then: &dyn Fn(&mut Manners)| {
            broken(|m| {
                m.stale(&shop(), 7, at(0));
                then(m);
            })
        };
        assert_eq!(stale(&|m| again(m, 7, 1)), ["S9"]);
        assert_eq!(stale(&|m| again(m, 8, 1)), [""; 0], "it has seen another version");
        assert_eq!(stale(&|m| again(m, 7, 4)), [""; 0], "not at once");
        assert_eq!(stale(&|m| m.tries(&shop(), Some(7), at(1), false)), [""; 0], "two Rollouts");
        let asked = |m: &mut Manners| {
            m.answered(shop(), Some(7));
            again(m, 7, 1);
        };
        assert_eq!(stale(&asked), [""; 0]);
        let silent = |then: &dyn Fn(&mut Manners)| {
            broken(|m| {
                m.unanswered(shop(), 9, at(0));
                then(m);
            })
        };
        assert_eq!(silent(&|m| again(m, 7, 1)), ["S9"]);
        assert_eq!(silent(&asked), [""; 0]);
        let told = |m: &mut Manners| {
            m.told("rollouts", 9);
            again(m, 9, 1);
        };
        assert_eq!(silent(&told), [""; 0]);
    }

    #[test]
    fn watches_are_opened_again_and_requests_are_few() {
        let late = |m: &mut Manners| {
            m.ended("services", at(0));
            m.opens("services", at(11));
        };
        assert_eq!(broken(late), ["L5"]);
        assert_eq!(broken(|m| (0..700).for_each(|n| m.asks(at(n / 20)))), ["L10"]);
        assert_eq!(broken(|m| (0..700).for_each(|n| m.asks(at(n)))), [""; 0]);
    }
}
