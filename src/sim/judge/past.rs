//! Past: the last states of one object, as far back as a controller may still have looked at it.

use std::collections::VecDeque;

use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::Sight;
use crate::sim::world::fields::ROUTES;

/// How long before its write a decision may have been made on what was there: a turn reads its
/// stores, then writes.
pub const DECISION_AGE: Duration = Duration::from_secs(5);
/// How long states are kept: a cache may be late by two minutes (fault 8).
const KEPT: Duration = Duration::from_secs(180);
/// States of one object that are kept at most.
const STATES_MAX: usize = 512;

/// What the writer of a change may have been looking at.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Up to which revision it had been told of each resource, where that is known.
    pub sight: Option<&'a Sight>,
    /// States that ended before this time are too old to act on, unless it was not told so.
    pub since: Timestamp,
}

impl Window<'_> {
    /// The revision of a resource up to which the writer had been told; `None`: not known.
    pub fn told(&self, resource: &str) -> Option<u64> {
        let sight = self.sight?;
        kinds(&resource).iter().filter_map(|resource| sight.get(resource)).copied().min()
    }
}

/// The resources that count as one: routes of any kind.
pub fn kinds<'a>(resource: &'a &'a str) -> &'a [&'a str] {
    if ROUTES.contains(resource) { &ROUTES } else { std::slice::from_ref(resource) }
}

/// The states of one object, oldest first; the last one is the present one.
#[derive(Debug)]
pub struct Past<T> {
    states: VecDeque<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// When it ended: revision and time; the present one did not.
    ended: Option<(u64, Timestamp)>,
    what: Option<T>,
}

impl<T> Past<T> {
    /// Begins with an object that is not there.
    pub fn new() -> Self {
        Self { states: VecDeque::from([State { ended: None, what: None }]) }
    }

    /// Notes a new state, absent if the object is gone. Returns the revision up to which states
    /// were forgotten, 0 if none were.
    pub fn push(&mut self, revision: u64, at: Timestamp, what: Option<T>) -> u64 {
        if let Some(last) = self.states.back_mut() {
            last.ended = Some((revision, at));
        }
        self.states.push_back(State { ended: None, what });
        let mut forgotten = 0;
        while let Some((end, ended_at)) = self.states.front().and_then(|state| state.ended) {
            if ended_at + KEPT >= at && self.states.len() <= STATES_MAX {
                break;
            }
            forgotten = end;
            self.states.pop_front();
        }
        forgotten
    }

    /// The present state.
    pub fn now(&self) -> Option<&T> {
        self.states.back().and_then(|state| state.what.as_ref())
    }

    /// The states that the writer may have been looking at, newest first; `None` where the object
    /// was not there.
    pub fn within(&self, window: Window<'_>, resource: &str) -> impl Iterator<Item = Option<&T>> {
        let told = window.told(resource);
        let visible = move |state: &&State<T>| match state.ended {
            None => true,
            Some((revision, at)) => window.since <= at || told.is_some_and(|told| told < revision),
        };
        self.states.iter().rev().take_while(visible).map(|state| state.what.as_ref())
    }
}
