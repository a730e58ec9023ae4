//! Account: the numbers of a story: pods at the peak, shares of traffic over time, failed
//! requests. All of them come from the history; what fails is what the story says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::api::status::{Attempt, Entry, RolloutStatus};
use crate::cli::facts;
use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::Change;

/// Where an attempt stood for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// The stage, as in `status.attempt.stage`.
    pub stage: String,
    /// The step of the ladder; 0 off the ladder.
    pub step: i64,
    /// The weight that it was to have.
    pub weight: i64,
    /// Since when.
    pub from: Timestamp,
    /// Since when it was in force, where that is told.
    pub in_force: Option<Timestamp>,
    /// Until when.
    pub to: Timestamp,
    /// What held it, and how long in all: each code once, in order.
    pub holds: Vec<(String, Duration)>,
    /// Pods of the new revision and of all others that were ready at the end of it.
    pub pods: (u32, u32),
}

/// How traffic was split from a time on.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Since when.
    pub from: Timestamp,
    /// Parts of all traffic by revision; they add up to 1, or there is no traffic.
    pub parts: BTreeMap<String, f64>,
}

/// The numbers of a story.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Account {
    /// Most pods at once that were not being stopped.
    pub peak_pods: u32,
    /// Where the attempt stood, in order.
    pub stands: Vec<Stand>,
    /// How traffic was split, in order.
    pub shares: Vec<Share>,
    /// What revisions deliver.
    pub versions: BTreeMap<String, String>,
    /// When attempts began and ended, by number.
    pub attempts: BTreeMap<i64, (Timestamp, Option<Timestamp>)>,
    /// The revision of the attempt; empty where it did not begin.
    pub revision: String,
}

/// Reads the numbers from a history that ended at a time, of one attempt.
pub fn account(changes: &[Arc<Change>], ended: Timestamp, attempt: Option<i64>) -> Account {
    let mut counter = Counter { attempt, ..Counter::default() };
    changes.iter().for_each(|change| counter.see(change));
    if counter.standing {
        counter.leave(ended);
    }
    counter.account
}

#[derive(Default)]
struct Counter {
    attempt: Option<i64>,
    account: Account,
    /// Pods that run.
    pods: BTreeSet<String>,
    /// Ready pods of each revision.
    ready: BTreeMap<String, u32>,
    /// What Services select.
    services: BTreeMap<String, String>,
    /// Weights of the route.
    weights: Option<BTreeMap<String, u32>>,
    /// Whether the attempt stands where it stood last.
    standing: bool,
    pods_of: (u32, u32),
    /// The codes of what holds it, and since when that was looked at.
    held: (Vec<String>, Option<Timestamp>),
}

impl Counter {
    fn see(&mut self, change: &Change) {
        let after = change.after.as_deref();
        let name = &change.place.name;
        match change.place.resource {
            "pods" => self.pod(name, after),
            "replicasets" => {
                let revision = change.after.as_ref().or(change.before.as_ref());
                let revision = revision.map_or("", |set| facts::revision(set)).to_owned();
                let ready = after.map_or(0, |set| facts::number(set, "/status/readyReplicas"));
                self.ready.insert(revision, ready);
            }
            "services" => {
                let selects = after.map_or("", facts::selected).to_owned();
                self.services.insert(name.clone(), selects);
            }
            "httproutes" | "grpcroutes" => {
                self.weights = after.and_then(|route| facts::weights(route).pop())
            }
            "rollouts" => self.rollout(&facts::status(after), change.at),
            _ => return,
        }
        self.count();
        self.share(change.at);
    }

    fn pod(&mut self, name: &str, pod: Option<&Value>) {
        if pod.is_some_and(|pod| !facts::deleting(pod)) {
            self.pods.insert(name.to_owned());
        } else {
            self.pods.remove(name);
        }
        let count = u32::try_from(self.pods.len()).unwrap_or(u32::MAX);
        self.account.peak_pods = self.account.peak_pods.max(count);
    }

    fn count(&mut self) {
        let all: u32 = self.ready.values().sum();
        let new = self.ready.get(&self.account.revision).copied().unwrap_or_default();
        self.pods_of = (new, all.saturating_sub(new));
    }

    fn rollout(&mut self, status: &RolloutStatus, at: Timestamp) {
        let sides = [&status.stable, &status.canary].into_iter().flatten();
        for (revision, release) in sides
            .map(|side| (&side.revision, &side.release))
            .chain(status.attempt.iter().map(|attempt| (&attempt.revision, &attempt.release)))
        {
            self.account.versions.insert(revision.clone(), facts::called(release).to_owned());
        }
        for Entry { number, started_at, ended_at, .. } in &status.history {
            let Some(began) = Timestamp::parse(started_at) else { continue };
            self.account.attempts.insert(*number, (began, Timestamp::parse(ended_at)));
        }
        let Some(attempt) = &status.attempt else { return };
        if let Some(began) = Timestamp::parse(&attempt.started_at) {
            self.account.attempts.entry(attempt.number).or_insert((began, None));
        }
        if self.attempt == Some(attempt.number) {
            self.account.revision.clone_from(&attempt.revision);
            self.stand(status, attempt, at);
        } else if self.standing {
            self.leave(at);
        }
    }

    fn leave(&mut self, at: Timestamp) {
        self.hold(Vec::new(), at);
        self.standing = false;
        if let Some(stand) = self.account.stands.last_mut() {
            (stand.to, stand.pods) = (at, self.pods_of);
        }
    }

    fn stand(&mut self, status: &RolloutStatus, attempt: &Attempt, at: Timestamp) {
        let over = matches!(attempt.stage.as_str(), Attempt::COMPLETED | Attempt::ENDED);
        let last = self.account.stands.last();
        let same = last.is_some_and(|last| {
            (last.stage.as_str(), last.step) == (attempt.stage.as_str(), attempt.step)
        });
        if self.standing && !same {
            self.leave(at);
        }
        if over {
            return;
        }
        if !self.standing {
            self.standing = true;
            self.account.stands.push(Stand {
                stage: attempt.stage.clone(),
                step: attempt.step,
                weight: attempt.weight,
                from: at,
                in_force: None,
                to: at,
                holds: Vec::new(),
                pods: (0, 0),
            });
        }
        let Some(stand) = self.account.stands.last_mut() else { return };
        stand.weight = attempt.weight;
        stand.in_force = attempt.paused_at.as_deref().and_then(Timestamp::parse).or(stand.in_force);
        self.hold(status.waiting_for.iter().map(|hold| hold.kind.clone()).collect(), at);
    }

    /// Counts what held it until a time, and notes what holds it from then on.
    fn hold(&mut self, codes: Vec<String>, at: Timestamp) {
        let (before, since) = std::mem::replace(&mut self.held, (codes, Some(at)));
        let Some(stand) = self.account.stands.last_mut().filter(|_| self.standing) else { return };
        let length = since.map_or(Duration::ZERO, |since| at.since(since)).millis();
        for code in before {
            if let Some((_, all)) = stand.holds.iter_mut().find(|(known, _)| *known == code) {
                *all = Duration::from_millis(all.millis().saturating_add(length));
            }
        }
        for code in &self.held.0 {
            if !stand.holds.iter().any(|(known, _)| known == code) {
                stand.holds.push((code.clone(), Duration::ZERO));
            }
        }
    }

    /// Traffic follows the route, or else the ready pods: those that the Services select where
    /// there is one.
    fn share(&mut self, at: Timestamp) {
        let mut parts: BTreeMap<String, f64> = BTreeMap::new();
        match &self.weights {
            Some(weights) => {
                for (service, weight) in weights {
                    let Some(revision) = self.services.get(service) else { continue };
                    *parts.entry(revision.clone()).or_default() += f64::from(*weight);
                }
            }
            None => {
                for (revision, ready) in &self.ready {
                    parts.insert(revision.clone(), f64::from(*ready));
                }
            }
        }
        let all: f64 = parts.values().sum();
        parts.retain(|_, part| 0.0 < *part);
        parts.values_mut().for_each(|part| *part /= all);
        if self.account.shares.last().is_none_or(|last| last.parts != parts) {
            self.account.shares.push(Share { from: at, parts });
        }
    }
}

impl Account {
    /// Tells the version that the attempt delivers.
    pub fn version(&self) -> Option<String> {
        self.versions.get(&self.revision).filter(|version| !version.is_empty()).cloned()
    }

    /// Tells how many of a hundred requests failed between two times, by what fails at each time
    /// of each version. `None` where there was no traffic.
    pub fn failed(
        &self,
        from: Timestamp,
        to: Timestamp,
        turns: &[Timestamp],
        percent: impl Fn(&str, Timestamp) -> f64,
    ) -> Option<f64> {
        let mut times: Vec<Timestamp> = self.shares.iter().map(|share| share.from).collect();
        times.extend(turns);
        times.extend([from, to]);
        times.retain(|time| from <= *time && *time <= to);
        times.sort_unstable();
        times.dedup();
        let (mut failed, mut all) = (0.0, 0.0);
        for (begin, end) in times.iter().zip(times.iter().skip(1)) {
            let Some(share) = self.share_at(*begin) else { continue };
            let length = seconds(end.since(*begin));
            for (revision, part) in &share.parts {
                let version = self.versions.get(revision).map_or("", String::as_str);
                failed += part * length * percent(version, *begin);
                all += part * length;
            }
        }
        (0.0 < all).then(|| failed / all)
    }

    fn share_at(&self, at: Timestamp) -> Option<&Share> {
        self.shares.iter().rev().find(|share| share.from <= at)
    }
}

/// Lengths of stories are far below what a float holds exactly.
fn seconds(length: Duration) -> f64 {
    std::time::Duration::from_millis(length.millis()).as_secs_f64()
}

#[cfg(test)]
mod tests;
