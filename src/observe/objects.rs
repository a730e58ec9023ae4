//! Objects: what Kustomizations applied that HealthChecks look at, one store for each kind that is
//! in use. It never calls the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kube::core::ApiResource;
use tokio::sync::Notify;

use crate::api::inspected::{Inspected, Sort};
use crate::api::kind::Key;
use crate::observe::store::{Scope, Store};

/// The most kinds that are watched at a time: each is a connection that stays open.
const SORTS_MAX: usize = 64;

/// The objects of one kind.
#[derive(Debug)]
pub struct Sorted {
    /// Those that Flux applied.
    pub store: Store<Inspected>,
    /// The path of the kind, once it was found.
    pub resource: OnceLock<ApiResource>,
}

/// The objects of all kinds that are in use.
pub struct Objects {
    scopes: Vec<Scope>,
    shelf: Mutex<Shelf>,
    /// Rings when other kinds are in use than before.
    pub bell: Notify,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Which kinds each HealthCheck looks at.
    wants: BTreeMap<Key, BTreeSet<Sort>>,
    sorts: BTreeMap<Sort, Arc<Sorted>>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("sorts", &self.all().len()).finish_non_exhaustive()
    }
}

impl Objects {
    /// Makes an empty one that watches these scopes.
    pub fn new(scopes: Vec<Scope>) -> Self {
        Self { scopes, shelf: Mutex::default(), bell: Notify::new() }
    }

    /// Notes which kinds a HealthCheck looks at; none: it is not looked after.
    pub fn want(&self, check: &Key, sorts: BTreeSet<Sort>) {
        let mut shelf = self.lock();
        let before = if sorts.is_empty() {
            shelf.wants.remove(check)
        } else {
            shelf.wants.insert(check.clone(), sorts.clone())
        };
        if before.unwrap_or_default() == sorts {
            return;
        }
        let wanted: BTreeSet<Sort> = shelf.wants.values().flatten().cloned().collect();
        shelf.sorts.retain(|sort, _| wanted.contains(sort));
        for sort in wanted {
            let room = shelf.sorts.len() < SORTS_MAX;
            if room && !shelf.sorts.contains_key(&sort) {
                let store = Store::new(self.scopes.iter().cloned());
                let sorted = Sorted { store, resource: OnceLock::new() };
                shelf.sorts.insert(sort, Arc::new(sorted));
            }
        }
        drop(shelf);
        self.bell.notify_waiters();
    }

    /// Tells all kinds that are in use.
    pub fn all(&self) -> BTreeMap<Sort, Arc<Sorted>> {
        self.lock().sorts.clone()
    }

    /// Finds the objects of a kind.
    ///
    /// # Errors
    /// Why they are not watched.
    pub fn of(&self, sort: &Sort) -> Result<Arc<Sorted>, String> {
        let found = self.lock().sorts.get(sort).cloned();
        found.ok_or_else(|| format!("more than {SORTS_MAX} kinds are in use, no more are watched"))
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // A panic while the lock is held leaves a shelf that is whole.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(kind: &str) -> Sort {
        Sort { group: "apps".to_owned(), version: "v1".to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn a_kind_is_watched_once_and_while_a_check_looks_at_it() {
        let objects = Objects::new(vec![None]);
        let (one, two) = (Key::new("prod", "one"), Key::new("prod", "two"));
        let names = || objects.all().keys().map(|sort| sort.kind.clone()).collect::<Vec<_>>();
        objects.want(&one, [sort("Deployment"), sort("StatefulSet")].into());
        let first = objects.of(&sort("Deployment")).unwrap();
        objects.want(&two, [sort("Deployment")].into());
        assert_eq!(names(), ["Deployment", "StatefulSet"]);
        assert!(
            Arc::ptr_eq(&first, &objects.of(&sort("Deployment")).unwrap()),
            "what is there stays"
        );
        objects.want(&one, BTreeSet::new());
        assert_eq!(names(), ["Deployment"]);
        objects.want(&two, BTreeSet::new());
        assert!(names().is_empty());
    }

    #[test]
    fn no_more_kinds_are_watched_than_there_is_room_for() {
        let objects = Objects::new(vec![None]);
        let sorts = (0..=SORTS_MAX).map(|number| sort(&format!("Kind{number:03}"))).collect();
        objects.want(&Key::new("prod", "one"), sorts);
        assert_eq!(objects.all().len(), SORTS_MAX);
        let why = objects.of(&sort(&format!("Kind{SORTS_MAX:03}"))).unwrap_err();
        assert!(why.contains("more than 64 kinds"), "{why}");
    }
}
