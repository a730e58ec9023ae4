//! Timers: what is due and when, in one order. It never does what is due.

use std::collections::BTreeMap;

use crate::model::moment::Timestamp;
use crate::sim::history::Place;

/// What is to be done: somebody looks at an object, or edits it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// The ReplicaSet controller looks at a ReplicaSet.
    Replicas(Place),
    /// The kubelet takes the next turn of a pod.
    Pod(Place),
    /// The EndpointSlice controller looks at a Service.
    Slice(Place),
    /// The disruption controller looks at a PodDisruptionBudget.
    Budget(Place),
    /// The gateway looks at a route.
    Route(Place),
    /// Flux looks at an ImagePolicy or a Kustomization.
    Flux(Place),
    /// The garbage collector takes away what nobody owns any more.
    Garbage,
    /// Whoever edits again and again does so; the number of the edit.
    Edit(usize),
}

/// The tasks by the time at which they are due. One task is due once at most, so that quick
/// changes of one object are looked at together.
#[derive(Debug, Default)]
pub struct Timers {
    /// Tasks due at the same time keep the order in which they were put in.
    due: BTreeMap<(Timestamp, u64), Task>,
    places: BTreeMap<Task, (Timestamp, u64)>,
    count: u64,
}

impl Timers {
    /// Has a task done at a time, or when it is due already if that is earlier.
    pub fn schedule(&mut self, task: Task, at: Timestamp) {
        match self.places.get(&task) {
            Some((due, _)) if *due <= at => {}
            Some(_) | None => self.set(task, at),
        }
    }

    /// Has a task done at a time and at no other.
    pub fn set(&mut self, task: Task, at: Timestamp) {
        self.count += 1;
        let key = (at, self.count);
        if let Some(old) = self.places.insert(task.clone(), key) {
            self.due.remove(&old);
        }
        self.due.insert(key, task);
    }

    /// Has a task not done.
    pub fn cancel(&mut self, task: &Task) {
        if let Some(key) = self.places.remove(task) {
            self.due.remove(&key);
        }
    }

    /// Tells when the first task is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first task that is due at `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<Task> {
        let first = self.due.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let task = first.remove();
        self.places.remove(&task);
        Some(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_due_once_at_the_earlier_time() {
        let at = Timestamp::from_millis;
        let route = |name: &str| Task::Route(Place::new("httproutes", "prod", name));
        let mut timers = Timers::default();
        timers.schedule(route("a"), at(30));
        timers.schedule(route("a"), at(20));
        timers.schedule(route("a"), at(40));
        timers.schedule(route("b"), at(20));
        timers.set(Task::Edit(0), at(10));
        timers.set(Task::Edit(0), at(90));
        timers.schedule(route("c"), at(15));
        timers.cancel(&route("c"));
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(timers.pop(at(19)), None);
        let all: Vec<Task> = std::iter::from_fn(|| timers.pop(at(100))).collect();
        assert_eq!(all, [route("a"), route("b"), Task::Edit(0)]);
        assert_eq!(timers.next(), None);
    }
}
