//! Cluster: what etcd and the rules of the API server's storage hold, without HTTP.
//!
//! Every write, by a request of a controller or by the world itself, goes through [`Cluster`], is
//! stored under a revision of its own and is heard by whoever listens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::model::moment::Timestamp;
use crate::runtime::clock::Clock;
use crate::sim::history::{Change, Place, Writer};
use crate::sim::resource::Resource;
use crate::sim::rules::meta;

pub mod feed;

use feed::{Feed, Next, Record, Stored};

/// How many changes of a resource are kept for watches, as in the API server's watch cache.
const WINDOW: usize = 1024;

/// Hears of each change as it is stored, before anybody else acts on it.
pub type Listener = Box<dyn FnMut(&Arc<Change>) + Send>;

/// Who writes, and under which field manager.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Who.
    pub writer: Writer,
    /// The field manager.
    pub manager: String,
}

impl Actor {
    /// Somebody who is no controller of ours; the name is the field manager too.
    pub fn other(name: &str) -> Self {
        Self { writer: Writer::Other(name.into()), manager: name.to_owned() }
    }
}

/// The part of an object that a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but the status.
    Main,
    /// The status.
    Status,
}

/// A write that is not taken, as the API server says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The reason, as in a `Status`: `Conflict`, `NotFound`.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// Whether a write is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It is.
    Real,
    /// It is checked and answered, and nothing is stored.
    Dry,
}

/// What became of an object.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is there, in this version.
    Kept(Arc<Stored>),
    /// It is gone; this was its last version.
    Gone(Arc<Stored>),
}

impl Outcome {
    /// Returns the version that is, or was the last.
    pub fn stored(&self) -> &Arc<Stored> {
        match self {
            Self::Kept(stored) | Self::Gone(stored) => stored,
        }
    }
}

/// A cluster in memory; clones are the same cluster.
#[derive(Clone)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    clock: Clock,
}

struct State {
    objects: BTreeMap<Place, Arc<Stored>>,
    log: Vec<Arc<Change>>,
    feeds: BTreeMap<&'static str, Feed>,
    window: usize,
    absent: BTreeSet<&'static str>,
    revision: u64,
    uids: u64,
    listeners: Vec<Listener>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Makes an empty cluster whose true time is this clock's.
    pub fn new(clock: Clock) -> Self {
        let state = State {
            objects: BTreeMap::new(),
            log: Vec::new(),
            feeds: BTreeMap::new(),
            window: WINDOW,
            absent: BTreeSet::new(),
            revision: 1,
            uids: 0,
            listeners: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::new(Notify::new()), clock }
    }

    /// Has every later change heard.
    pub fn listen(&self, listener: Listener) {
        self.lock().listeners.push(listener);
    }

    /// Rings at every change.
    pub fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Tells the revision of the last change.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Tells the true time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().as_millisecond())
    }

    /// Tells the changes from this one on, counted from 0.
    pub fn changes(&self, from: usize) -> Vec<Arc<Change>> {
        self.lock().log.get(from..).unwrap_or_default().to_vec()
    }

    /// Installs a resource (its plural) or takes it away, as with its CustomResourceDefinition;
    /// its objects go with it.
    pub fn set_installed(&self, plural: &str, installed: bool) {
        let Some(resource) = Resource::named(plural) else { return };
        if installed {
            self.lock().absent.remove(resource.plural);
            return;
        }
        for (place, _) in self.list(resource.plural, None) {
            let _ = self.purge(&Actor::other("cluster"), &place);
        }
        self.lock().absent.insert(resource.plural);
        self.forget(resource.plural);
    }

    /// Tells whether a resource (its plural) is there.
    pub fn installed(&self, plural: &str) -> bool {
        !self.lock().absent.contains(plural)
    }

    /// Keeps that many changes of each resource for watches; older ones are answered 410.
    pub fn set_window(&self, window: usize) {
        self.lock().window = window;
    }

    /// Forgets the changes of a resource (its plural): whoever watches it and has not seen the
    /// last one is answered 410.
    pub fn forget(&self, plural: &str) {
        let Some(resource) = Resource::named(plural) else { return };
        let mut state = self.lock();
        let revision = state.revision;
        let woken = state.feeds.entry(resource.plural).or_default().forget(revision);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Reads an object.
    pub fn read(&self, place: &Place) -> Option<Arc<Value>> {
        self.stored(place).map(|stored| Arc::clone(&stored.value))
    }

    /// Reads an object together with its text.
    pub fn stored(&self, place: &Place) -> Option<Arc<Stored>> {
        self.lock().objects.get(place).cloned()
    }

    /// Reads all objects of a resource, of one namespace or of all, sorted by name.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<(Place, Arc<Value>)> {
        let Some(resource) = Resource::named(resource) else { return Vec::new() };
        let state = self.lock();
        let all = state.range(resource.plural, namespace);
        all.map(|(place, stored)| (place.clone(), Arc::clone(&stored.value))).collect()
    }

    /// Reads all objects of a resource with their texts, and the revision at which they are so.
    pub fn snapshot(
        &self,
        resource: &'static str,
        namespace: Option<&str>,
    ) -> (Vec<Arc<Stored>>, u64) {
        let state = self.lock();
        let all = state.range(resource, namespace).map(|(_, stored)| Arc::clone(stored)).collect();
        (all, state.revision)
    }

    /// Reads all objects of a resource as they were at a revision, from what is kept for watches;
    /// `None` if that is forgotten.
    pub fn snapshot_at(
        &self,
        resource: &'static str,
        namespace: Option<&str>,
        revision: u64,
    ) -> Option<Vec<Arc<Stored>>> {
        let mut state = self.lock();
        let all = state.range(resource, namespace);
        let mut all: BTreeMap<Place, Arc<Stored>> =
            all.map(|(place, stored)| (place.clone(), Arc::clone(stored))).collect();
        for record in state.feeds.entry(resource).or_default().since(revision)?.rev() {
            let place = &record.change.place;
            match &record.before {
                _ if namespace.is_some_and(|name| name != place.namespace) => {}
                Some(before) => drop(all.insert(place.clone(), Arc::clone(before))),
                None => drop(all.remove(place)),
            }
        }
        Some(all.into_values().collect())
    }

    /// Tells where in the feed of a resource the changes after a revision begin.
    ///
    /// # Errors
    /// The oldest revision from which changes are known, if that one is older.
    pub fn after(&self, resource: &'static str, revision: u64) -> Result<usize, u64> {
        let mut state = self.lock();
        let feed = state.feeds.entry(resource).or_default();
        feed.after(revision).ok_or(feed.floor())
    }

    /// Returns what is at a place in the feed of a resource; if nothing is there yet, the waker is
    /// woken when it is.
    pub fn next(&self, resource: &'static str, place: usize, waker: &Waker) -> Next {
        let mut state = self.lock();
        let feed = state.feeds.entry(resource).or_default();
        let next = feed.get(place);
        if let Next::NotYet = next {
            feed.wait(waker);
        }
        next
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`Refusal`] 409 `AlreadyExists`.
    pub fn create(
        &self,
        actor: &Actor,
        place: &Place,
        object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        self.add(actor, place, object, Run::Real).map(|stored| Arc::clone(&stored.value))
    }

    /// Creates an object, or tells what it would be.
    ///
    /// # Errors
    /// [`Refusal`] 409 `AlreadyExists`.
    pub fn add(
        &self,
        actor: &Actor,
        place: &Place,
        mut object: Value,
        run: Run,
    ) -> Result<Arc<Stored>, Refusal> {
        let mut state = self.lock();
        if state.objects.contains_key(place) {
            let message = format!("{} already exists", quoted(place));
            return Err(Refusal { code: 409, reason: "AlreadyExists", message });
        }
        let uid = format!("00000000-0000-4000-8000-{:012}", state.uids + 1);
        let known = Resource::named(place.resource);
        if let Some(known) = known {
            meta::put(&mut object, "apiVersion", Some(json!(known.api_version())));
            meta::put(&mut object, "kind", Some(json!(known.kind)));
        }
        let generation = known.is_some_and(|known| known.generation);
        meta::set(&mut object, "name", Some(json!(place.name)));
        meta::set(&mut object, "namespace", Some(json!(place.namespace)));
        meta::set(&mut object, "uid", Some(json!(uid)));
        let created = json!(seconds(self.now()));
        meta::set(&mut object, "creationTimestamp", Some(created));
        meta::set(&mut object, "generation", generation.then(|| json!(1)));
        if run == Run::Dry {
            meta::set(&mut object, "resourceVersion", None);
            return Ok(Arc::new(Stored::new(Arc::new(object))));
        }
        state.uids += 1;
        let (outcome, woken) = self.commit(&mut state, actor, place, Some(object));
        drop(state);
        self.ring(woken);
        outcome.map(|outcome| Arc::clone(outcome.stored())).ok_or_else(|| gone(place))
    }

    /// Reads an object, changes it and stores it, in one moment. Nothing is stored if nothing is
    /// another than before. An object whose last finalizer goes while it is being deleted is gone.
    ///
    /// # Errors
    /// [`Refusal`] 404 `NotFound`, or what `edit` refuses.
    pub fn update(
        &self,
        actor: &Actor,
        place: &Place,
        part: Part,
        edit: impl FnOnce(&mut Value) -> Result<(), Refusal>,
    ) -> Result<Arc<Value>, Refusal> {
        let outcome = self.edit(actor, place, part, Run::Real, |_, object| edit(object))?;
        Ok(Arc::clone(&outcome.stored().value))
    }

    /// Does what [`Cluster::update`] does, or tells what it would; `edit` sees the object before
    /// as well.
    ///
    /// # Errors
    /// A [`Refusal`] 404 `NotFound`, or what `edit` refuses.
    pub fn edit<E: From<Refusal>>(
        &self,
        actor: &Actor,
        place: &Place,
        part: Part,
        run: Run,
        edit: impl FnOnce(&Value, &mut Value) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        let mut state = self.lock();
        let before = state.objects.get(place).cloned().ok_or_else(|| gone(place))?;
        let mut object = (*before.value).clone();
        edit(&before.value, &mut object)?;
        settle(place, part, &before.value, &mut object);
        if object == *before.value {
            return Ok(Outcome::Kept(before));
        }
        let known = Resource::named(place.resource);
        let counts = known.is_some_and(|known| known.generation);
        if counts && part == Part::Main && !meta::alike(&before.value, &object) {
            let generation = before.value.pointer("/metadata/generation").and_then(Value::as_i64);
            let next = generation.unwrap_or_default() + 1;
            meta::set(&mut object, "generation", Some(json!(next)));
        }
        if run == Run::Dry {
            return Ok(Outcome::Kept(Arc::new(Stored::new(Arc::new(object)))));
        }
        let over = meta::has(&object, "deletionTimestamp") && !meta::held(&object);
        let after = (!over).then_some(object);
        let (outcome, woken) = self.commit(&mut state, actor, place, after);
        drop(state);
        self.ring(woken);
        Ok(outcome.unwrap_or(Outcome::Gone(before)))
    }

    /// Deletes an object; one with finalizers is only marked.
    ///
    /// # Errors
    /// [`Refusal`] 404 `NotFound`.
    pub fn delete(&self, actor: &Actor, place: &Place) -> Result<(), Refusal> {
        self.remove(actor, place, Run::Real, |_| Ok::<_, Refusal>(None)).map(|_| ())
    }

    /// Deletes an object; one with finalizers is only marked. `check` sees it first and may give
    /// it finalizers.
    ///
    /// # Errors
    /// A [`Refusal`] 404 `NotFound`, or what `check` refuses.
    pub fn remove<E: From<Refusal>>(
        &self,
        actor: &Actor,
        place: &Place,
        run: Run,
        check: impl FnOnce(&Value) -> Result<Option<Value>, E>,
    ) -> Result<Outcome, E> {
        let mut state = self.lock();
        let before = state.objects.get(place).cloned().ok_or_else(|| gone(place))?;
        let changed = check(&before.value)?;
        let held = meta::held(changed.as_ref().unwrap_or(&before.value));
        let after = held.then(|| {
            let mut marked = changed.unwrap_or_else(|| (*before.value).clone());
            if !meta::has(&marked, "deletionTimestamp") {
                let at = json!(seconds(self.now()));
                meta::set(&mut marked, "deletionTimestamp", Some(at));
                meta::set(&mut marked, "deletionGracePeriodSeconds", Some(json!(0)));
                // Being deleted counts as a change of what is wanted.
                if let Some(known) = marked.pointer("/metadata/generation").and_then(Value::as_i64)
                {
                    meta::set(&mut marked, "generation", Some(json!(known + 1)));
                }
            }
            marked
        });
        if after.as_ref().is_some_and(|after| *after == *before.value) {
            return Ok(Outcome::Kept(before));
        }
        if run == Run::Dry {
            let kept = after.map(|after| Outcome::Kept(Arc::new(Stored::new(Arc::new(after)))));
            return Ok(kept.unwrap_or(Outcome::Gone(before)));
        }
        let (outcome, woken) = self.commit(&mut state, actor, place, after);
        drop(state);
        self.ring(woken);
        Ok(outcome.unwrap_or(Outcome::Gone(before)))
    }

    /// Takes an object away whatever holds it.
    fn purge(&self, actor: &Actor, place: &Place) -> Result<(), Refusal> {
        let mut state = self.lock();
        if !state.objects.contains_key(place) {
            return Err(gone(place));
        }
        let (_, woken) = self.commit(&mut state, actor, place, None);
        drop(state);
        self.ring(woken);
        Ok(())
    }

    fn commit(
        &self,
        state: &mut State,
        actor: &Actor,
        place: &Place,
        after: Option<Value>,
    ) -> (Option<Outcome>, Vec<Waker>) {
        state.revision += 1;
        let revision = state.revision;
        let after = after.map(|mut object| {
            let version = json!(revision.to_string());
            meta::set(&mut object, "resourceVersion", Some(version));
            Arc::new(Stored::new(Arc::new(object)))
        });
        let before = match &after {
            Some(object) => state.objects.insert(place.clone(), Arc::clone(object)),
            None => state.objects.remove(place),
        };
        let value =
            |stored: &Option<Arc<Stored>>| stored.as_ref().map(|stored| Arc::clone(&stored.value));
        let change = Arc::new(Change {
            revision,
            at: self.now(),
            writer: actor.writer.clone(),
            place: place.clone(),
            before: value(&before),
            after: value(&after),
        });
        state.log.push(Arc::clone(&change));
        let record = Arc::new(Record::new(Arc::clone(&change), before, after.clone()));
        let last = match &after {
            Some(stored) => Some(Outcome::Kept(Arc::clone(stored))),
            None => record.last().map(Outcome::Gone),
        };
        let window = state.window;
        let woken = state.feeds.entry(place.resource).or_default().push(record, window);
        state.listeners.iter_mut().for_each(|listener| listener(&change));
        (last, woken)
    }

    fn ring(&self, woken: Vec<Waker>) {
        woken.into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
    }

    /// A panic while the lock is held leaves a state that is still whole: go on with it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The objects of a resource, of one namespace or of all.
    fn range<'a>(
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
}

/// Keeps what this write may not change: the other part, and what the server alone sets.
fn settle(place: &Place, part: Part, before: &Value, object: &mut Value) {
    let parted = Resource::named(place.resource).is_some_and(|known| known.status);
    match part {
        Part::Main if parted => meta::put(object, "status", before.get("status").cloned()),
        Part::Main => {}
        Part::Status => {
            let status = object.get("status").cloned();
            object.clone_from(before);
            meta::put(object, "status", status);
        }
    }
    for key in [
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
    ] {
        let kept = before.get("metadata").and_then(|meta| meta.get(key)).cloned();
        meta::set(object, key, kept);
    }
}

/// The resource with its group and the name, as messages say it.
fn quoted(place: &Place) -> String {
    let resource = Resource::named(place.resource).map(Resource::qualified);
    format!("{} {:?}", resource.as_deref().unwrap_or(place.resource), place.name)
}

fn gone(place: &Place) -> Refusal {
    let message = format!("{} not found", quoted(place));
    Refusal { code: 404, reason: "NotFound", message }
}

/// A time as the API server writes it: whole seconds.
fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    let (whole, _) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}Z")
}
