//! State: what a cluster holds, and how a change of an object is stored. It knows no rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;

use serde_json::{Value, json};

use crate::model::moment::Timestamp;
use crate::sim::cluster::feed::{Feed, Record, Stored};
use crate::sim::cluster::garbage::Garbage;
use crate::sim::cluster::write::Outcome;
use crate::sim::history::{Change, Place, Writer};
use crate::sim::rules::managed::Managers;
use crate::sim::rules::meta;

/// How many changes of a resource are kept for watches, as in the API server's watch cache.
const WINDOW: usize = 1024;

/// Hears of each change as it is stored, before anybody else acts on it.
pub type Listener = Box<dyn FnMut(&Arc<Change>) + Send>;

/// What a cluster holds.
pub struct State {
    /// All objects.
    pub objects: BTreeMap<Place, Arc<Stored>>,
    /// All changes, oldest first.
    pub log: Vec<Arc<Change>>,
    /// The last changes of each resource (its plural), for watches.
    pub feeds: BTreeMap<&'static str, Feed>,
    /// How many changes of a resource are kept for watches.
    pub window: usize,
    /// Who owns whom.
    pub garbage: Garbage,
    /// Resources (their plurals) that are not installed.
    pub absent: BTreeSet<&'static str>,
    /// Objects whose defaults have not been stored: the next write stores them, if it changes
    /// nothing else.
    pub owed: BTreeSet<Place>,
    /// Namespaces that are not there; all others are.
    pub nowhere: BTreeSet<String>,
    /// The revision of the last change.
    pub revision: u64,
    /// How many uids were given.
    pub uids: u64,
    /// Who hears of changes.
    pub listeners: Vec<Listener>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            log: Vec::new(),
            feeds: BTreeMap::new(),
            window: WINDOW,
            garbage: Garbage::default(),
            absent: BTreeSet::new(),
            owed: BTreeSet::new(),
            nowhere: BTreeSet::new(),
            revision: 1,
            uids: 0,
            listeners: Vec::new(),
        }
    }
}

impl State {
    /// Returns the objects of a resource, of one namespace or of all.
    pub fn range<'a>(
        &'a self,
        resource: &'static str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Place, &'a Arc<Stored>)> {
        let from = Place::new(resource, namespace.unwrap_or_default(), "");
        let within = move |place: &Place| {
            place.resource == resource && namespace.is_none_or(|name| name == place.namespace)
        };
        self.objects.range(from..).take_while(move |(place, _)| within(place))
    }

    /// Returns the objects of a resource as they were at a revision; nothing, if that is forgotten.
    pub fn snapshot_at(
        &mut self,
        resource: &'static str,
        namespace: Option<&str>,
        revision: u64,
    ) -> Option<Vec<Arc<Stored>>> {
        let all = self.range(resource, namespace);
        let mut all: BTreeMap<Place, Arc<Stored>> =
            all.map(|(place, stored)| (place.clone(), Arc::clone(stored))).collect();
        for record in self.feeds.entry(resource).or_default().since(revision)?.rev() {
            let place = &record.change.place;
            match &record.before {
                _ if namespace.is_some_and(|name| name != place.namespace) => {}
                Some(before) => drop(all.insert(place.clone(), Arc::clone(before))),
                None => drop(all.remove(place)),
            }
        }
        Some(all.into_values().collect())
    }

    /// Stores a new state of an object; returns what became of it and whom to wake.
    pub fn commit(
        &mut self,
        at: Timestamp,
        writer: &Writer,
        place: &Place,
        after: Option<(Value, Managers)>,
    ) -> (Option<Outcome>, Vec<Waker>) {
        self.revision += 1;
        let revision = self.revision;
        let after = after.map(|(mut object, managers)| {
            let version = json!(revision.to_string());
            meta::set(&mut object, "resourceVersion", Some(version));
            Arc::new(Stored::new(Arc::new(object), managers))
        });
        let before = match &after {
            Some(object) => self.objects.insert(place.clone(), Arc::clone(object)),
            None => self.objects.remove(place),
        };
        let value =
            |stored: &Option<Arc<Stored>>| stored.as_ref().map(|stored| Arc::clone(&stored.value));
        let change = Arc::new(Change {
            revision,
            at,
            writer: writer.clone(),
            place: place.clone(),
            before: value(&before),
            after: value(&after),
        });
        self.log.push(Arc::clone(&change));
        self.garbage.hear(&change);
        let record = Arc::new(Record::new(Arc::clone(&change), before, after.clone()));
        let last = match after {
            Some(stored) => Some(Outcome::Kept(stored)),
            None => record.last().map(Outcome::Gone),
        };
        let window = self.window;
        let woken = self.feeds.entry(place.resource).or_default().push(record, window);
        self.listeners.iter_mut().for_each(|listener| listener(&change));
        (last, woken)
    }
}
