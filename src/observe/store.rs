//! Store: the objects of one kind as the watches last told of them, found by name and by what they
//! name. It never calls the cluster.
//!
//! Of our own, since kube's store has no index (a scan of ten thousand objects a turn) and does not
//! tell up to which resourceVersion it has seen, which the barrier needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use crate::api::kind::{Key, Kind, Reference, version_number};
use crate::observe::refs::Watched;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// What a watch covers: one namespace, or all.
pub type Scope = Option<String>;

/// An object that is another than before, and all that it names or named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The object.
    pub reference: Reference,
    /// What it names, and what it named before.
    pub refs: BTreeSet<Reference>,
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Store<K> {
    shelf: RwLock<Shelf<K>>,
}

#[derive(Debug)]
struct Shelf<K> {
    objects: BTreeMap<Key, Arc<K>>,
    by: BTreeMap<Reference, BTreeSet<Key>>,
    scopes: BTreeMap<Scope, Sight>,
    /// Objects that cannot be read.
    malformed: BTreeSet<Key>,
    absent: bool,
}

/// What is known of one scope.
#[derive(Debug, Default)]
struct Sight {
    listed: bool,
    /// What the API server said, where it does not let us list it.
    denied: Option<String>,
    /// The highest resourceVersion of which the watch has told: it tells in order, so all that is
    /// older has been told too.
    seen: u64,
    /// The names of a list that is under way.
    listing: BTreeSet<Key>,
    /// The highest resourceVersion in that list.
    highest: u64,
}

impl<K: Watched> Store<K> {
    /// Makes an empty store that waits for these scopes to be listed.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let scopes = scopes.into_iter().map(|scope| (scope, Sight::default())).collect();
        let shelf = Shelf {
            objects: BTreeMap::new(),
            by: BTreeMap::new(),
            scopes,
            malformed: BTreeSet::new(),
            absent: false,
        };
        Self { shelf: RwLock::new(shelf) }
    }

    /// Tells whether everything has been listed once, or the kind is known to be absent.
    pub fn ready(&self) -> bool {
        let shelf = self.read();
        shelf.absent || shelf.scopes.values().all(|sight| sight.listed)
    }

    /// Tells whether it is known what there is: everything has been listed once, as far as that is
    /// allowed, or the kind is absent.
    pub fn settled(&self) -> bool {
        let shelf = self.read();
        let known = |sight: &Sight| sight.listed || sight.denied.is_some();
        shelf.absent || shelf.scopes.values().all(known)
    }

    /// Tells whether what there is in a namespace has been listed once. One that nobody watches is
    /// not waited for.
    pub fn listed(&self, namespace: &str) -> bool {
        let shelf = self.read();
        shelf.absent || shelf.sight(namespace).is_none_or(|sight| sight.listed)
    }

    /// Tells what the API server said, where it does not let us list a namespace.
    pub fn denied(&self, namespace: &str) -> Option<String> {
        self.read().sight(namespace)?.denied.clone()
    }

    /// Notes that the API server does not let us list a scope. Tells whether that is news.
    pub fn deny(&self, scope: &Scope, said: String) -> bool {
        let mut shelf = self.write();
        let sight = shelf.scopes.get_mut(scope);
        sight.is_some_and(|sight| sight.denied.replace(said.clone()) != Some(said))
    }

    /// Tells whether the kind is not installed.
    pub fn absent(&self) -> bool {
        self.read().absent
    }

    /// Tells the scopes that are watched.
    pub fn scopes(&self) -> Vec<Scope> {
        self.read().scopes.keys().cloned().collect()
    }

    /// Tells whether there is an object of that name, one that cannot be read included.
    pub fn holds(&self, key: &Key) -> bool {
        let shelf = self.read();
        shelf.objects.contains_key(key) || shelf.malformed.contains(key)
    }

    /// Finds an object by name.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().objects.get(key).cloned()
    }

    /// Finds the objects that name another one, sorted by name.
    pub fn by(&self, reference: &Reference) -> Vec<Arc<K>> {
        let shelf = self.read();
        let keys = shelf.by.get(reference).into_iter().flatten();
        keys.filter_map(|key| shelf.objects.get(key).cloned()).collect()
    }

    /// Finds the objects of a namespace, sorted by name.
    pub fn within(&self, namespace: &str) -> Vec<Arc<K>> {
        let shelf = self.read();
        let from = Key { namespace: namespace.to_owned(), name: String::new() };
        let later = shelf.objects.range(from..);
        let here = later.take_while(|(key, _)| key.namespace == namespace);
        here.map(|(_, object)| Arc::clone(object)).collect()
    }

    /// Tells the names of the objects that name another one.
    pub fn keys_by(&self, reference: &Reference) -> Vec<Key> {
        self.read().by.get(reference).into_iter().flatten().cloned().collect()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.read().objects.is_empty()
    }

    /// Finds all objects, sorted by name.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read().objects.values().cloned().collect()
    }

    /// Tells all names.
    pub fn keys(&self) -> Vec<Key> {
        self.read().objects.keys().cloned().collect()
    }

    /// Tells whether any object names one of a kind.
    pub fn names(&self, kind: Kind) -> bool {
        self.read().of_kind(kind).next().is_some()
    }

    /// Tells all of a kind that are named by any object.
    pub fn named(&self, kind: Kind) -> Vec<Reference> {
        self.read().of_kind(kind).cloned().collect()
    }

    /// Tells uid and resourceVersion of an object.
    pub fn version(&self, key: &Key) -> Option<(String, u64)> {
        let shelf = self.read();
        let meta = shelf.objects.get(key)?.meta();
        Some((
            meta.uid.clone().unwrap_or_default(),
            version_number(meta.resource_version.as_deref()),
        ))
    }

    /// Tells up to which resourceVersion the changes of a namespace have been told.
    pub fn seen(&self, namespace: &str) -> u64 {
        self.read().sight(namespace).map_or(0, |sight| sight.seen)
    }

    /// Tells how many objects cannot be read.
    pub fn malformed(&self) -> usize {
        self.read().malformed.len()
    }

    /// Notes that the watch tells of an object, where this very version of it is there already.
    /// Tells whether it is.
    pub fn knows(&self, scope: &Scope, key: &Key, told: &ObjectMeta) -> bool {
        let mut shelf = self.write();
        let same = shelf.objects.get(key).is_some_and(|there| {
            let there = there.meta();
            let versions = (&there.resource_version, &told.resource_version);
            there.uid == told.uid && versions.0.is_some() && versions.0 == versions.1
        });
        if same {
            shelf.saw(scope, told.resource_version.as_deref());
        }
        same
    }

    /// Takes an object. Nothing changes where a newer one is there already.
    pub fn apply(&self, scope: &Scope, object: K) -> Option<Change> {
        let mut shelf = self.write();
        shelf.saw(scope, object.meta().resource_version.as_deref());
        shelf.put(object)
    }

    /// Takes an object that the API server answered with, unless a newer one is there. Where there
    /// is none and the watch has told of what is newer, it came and went.
    pub fn answer(&self, object: K) -> Option<Change> {
        let mut shelf = self.write();
        let key = key(&object);
        let version = |object: &K| version_number(object.meta().resource_version.as_deref());
        let there = shelf.objects.get(&key).map(|there| version(there));
        let told = || shelf.sight(&key.namespace).map_or(0, |sight| sight.seen);
        if version(&object) <= there.unwrap_or_else(told) { None } else { shelf.put(object) }
    }

    /// Drops an object that is deleted. `version` is that of its deletion.
    pub fn delete(&self, scope: &Scope, key: &Key, version: Option<&str>) -> Option<Change> {
        let mut shelf = self.write();
        shelf.saw(scope, version);
        shelf.malformed.remove(key);
        let deleted = version_number(version);
        let there = shelf.objects.get(key)?.meta().resource_version.as_deref();
        // Another object of the name may have been read since.
        if 0 < deleted && deleted < version_number(there) { None } else { shelf.take(key) }
    }

    /// Drops an object that cannot be read. `version`: its own, where a watch tells of it in order.
    /// Tells whether it is the first time.
    pub fn refuse(&self, scope: &Scope, key: Key, version: Option<&str>) -> (Option<Change>, bool) {
        let mut shelf = self.write();
        shelf.saw(scope, version);
        let change = shelf.take(&key);
        if let Some(sight) = shelf.scopes.get_mut(scope) {
            sight.listing.insert(key.clone());
        }
        (change, shelf.malformed.insert(key))
    }

    /// Begins a list of a scope.
    pub fn begin(&self, scope: &Scope) {
        let mut shelf = self.write();
        if let Some(sight) = shelf.scopes.get_mut(scope) {
            sight.listing.clear();
            sight.highest = 0;
        }
    }

    /// Takes an object of a list. It counts at once: it is no older than what was there.
    pub fn list(&self, scope: &Scope, object: K) -> Option<Change> {
        let mut shelf = self.write();
        let key = key(&object);
        if let Some(sight) = shelf.scopes.get_mut(scope) {
            sight.listing.insert(key);
            sight.highest =
                sight.highest.max(version_number(object.meta().resource_version.as_deref()));
        }
        shelf.put(object)
    }

    /// Ends a list: what it did not hold is gone.
    pub fn finish(&self, scope: &Scope) -> Vec<Change> {
        let mut shelf = self.write();
        let Some(sight) = shelf.scopes.get_mut(scope) else { return Vec::new() };
        let listed = std::mem::take(&mut sight.listing);
        sight.listed = true;
        sight.denied = None;
        sight.seen = sight.seen.max(sight.highest);
        let within = |key: &&Key| scope.as_ref().is_none_or(|name| *name == key.namespace);
        let known = shelf.objects.keys().chain(&shelf.malformed);
        let gone: Vec<Key> =
            known.filter(within).filter(|key| !listed.contains(*key)).cloned().collect();
        shelf.absent = false;
        #[cfg(feature = "planted")]
        let gone = if active(Bug::RelistKeepsDeleted) { Vec::new() } else { gone };
        let forget = |key: &Key| {
            shelf.malformed.remove(key);
            shelf.take(key)
        };
        gone.iter().filter_map(forget).collect()
    }

    /// Notes that the kind is not installed: nothing of it is there.
    pub fn vanish(&self) -> Vec<Change> {
        let mut shelf = self.write();
        shelf.absent = true;
        shelf.malformed.clear();
        shelf.scopes.values_mut().for_each(|sight| *sight = Sight::default());
        let keys: Vec<Key> = shelf.objects.keys().cloned().collect();
        keys.iter().filter_map(|key| shelf.take(key)).collect()
    }

    /// Notes that the kind is installed and about to be listed.
    pub fn appear(&self) {
        self.write().absent = false;
    }

    /// A panic while the lock is held leaves a store that is still whole: go on with it.
    fn read(&self) -> RwLockReadGuard<'_, Shelf<K>> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelf<K>> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Watched> Shelf<K> {
    /// What is known of the scope that holds a namespace.
    fn sight(&self, namespace: &str) -> Option<&Sight> {
        self.scopes.get(&Some(namespace.to_owned())).or_else(|| self.scopes.get(&None))
    }

    /// The references to a kind; they stand together.
    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Reference> {
        let all = self.by.range(Reference::new(kind, "", "")..);
        all.map(|(reference, _)| reference).take_while(move |reference| reference.kind == kind)
    }

    fn saw(&mut self, scope: &Scope, version: Option<&str>) {
        if let Some(sight) = self.scopes.get_mut(scope) {
            sight.seen = sight.seen.max(version_number(version));
        }
    }

    fn put(&mut self, mut object: K) -> Option<Change> {
        let key = key(&object);
        self.malformed.remove(&key);
        if let Some(old) = self.objects.get(&key) {
            let (old, new) = (old.meta(), object.meta());
            let versions = [old, new].map(|meta| version_number(meta.resource_version.as_deref()));
            let [before, after] = versions;
            let older = old.uid == new.uid && 0 < after && after <= before;
            #[cfg(feature = "planted")]
            let older = older && !active(Bug::OlderEventWins);
            if older {
                return None;
            }
        }
        if let Some(last) = self.objects.get(&key) {
            object.inherit(last);
        }
        object.trim();
        let new: BTreeSet<Reference> = object.refs().into_iter().collect();
        let old = self.objects.get(&key);
        let old: BTreeSet<Reference> = old.into_iter().flat_map(|old| old.refs()).collect();
        old.difference(&new).for_each(|reference| self.unlink(reference, &key));
        for reference in new.difference(&old) {
            self.by.entry(reference.clone()).or_default().insert(key.clone());
        }
        self.objects.insert(key.clone(), Arc::new(object));
        let refs = if old == new { new } else { old.into_iter().chain(new).collect() };
        Some(Change { reference: Reference { kind: K::KIND, key }, refs })
    }

    fn take(&mut self, key: &Key) -> Option<Change> {
        let old = self.objects.remove(key)?;
        let refs: BTreeSet<Reference> = old.refs().into_iter().collect();
        refs.iter().for_each(|reference| self.unlink(reference, key));
        Some(Change { reference: Reference { kind: K::KIND, key: key.clone() }, refs })
    }

    /// Forgets that an object refers to another.
    fn unlink(&mut self, reference: &Reference, key: &Key) {
        if let Some(keys) = self.by.get_mut(reference) {
            keys.remove(key);
            if keys.is_empty() {
                self.by.remove(reference);
            }
        }
    }
}

/// Names an object.
pub fn key(object: &impl Resource) -> Key {
    Key::of(object.meta())
}

#[cfg(test)]
mod tests;
