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

use crate::model::moment::{Duration, Timestamp};
use crate::runtime::clock::Clock;
use crate::sim::history::{Change, Place, Writer};
use crate::sim::resource::Resource;
use crate::sim::rules::managed::{Managers, Writing};
use crate::sim::rules::schema::registry;
use crate::sim::rules::{meta, settle};

pub mod feed;
pub mod garbage;
pub mod refusal;
pub mod write;

use feed::{Feed, Next, Record, Stored};
use garbage::{Chore, FOREGROUND, Garbage, ORPHAN, disown, drop_finalizer, has_finalizer};
use refusal::{Refusal, gone, quoted};
use write::{Claim, Draft, Going, Outcome, Part, Run};

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
    garbage: Garbage,
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
            garbage: Garbage::default(),
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

    /// Tells the true time as the API server writes it, in whole seconds.
    pub fn seconds(&self) -> String {
        seconds(self.now())
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

    /// Creates an object. Unlike a request, the world may create one with its status.
    ///
    /// # Errors
    /// [`Refusal`] 409 `AlreadyExists`.
    pub fn create(
        &self,
        actor: &Actor,
        place: &Place,
        mut object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        if let Some(resource) = Resource::named(place.resource) {
            settle::shape(resource, &mut object);
        }
        let stored = self.add(actor, place, Draft::change(object), Run::Real)?;
        Ok(Arc::clone(&stored.value))
    }

    /// Creates an object, or tells what it would be.
    ///
    /// # Errors
    /// [`Refusal`] 409 `AlreadyExists`.
    pub fn add(
        &self,
        actor: &Actor,
        place: &Place,
        draft: Draft,
        run: Run,
    ) -> Result<Arc<Stored>, Refusal> {
        let mut state = self.lock();
        if let Some(there) = state.objects.get(place) {
            let going = meta::has(&there.value, "deletionTimestamp");
            let prefix = if going { "object is being deleted: " } else { "" };
            let message = format!("{prefix}{} already exists", quoted(place));
            return Err(Refusal { code: 409, reason: "AlreadyExists", message });
        }
        let known = Resource::named(place.resource);
        let empty = known.map_or(&Value::Null, |known| &registry::known(known).empty);
        let Draft { mut object, claim } = draft;
        let nobody = Managers::default();
        let managers = self.managers(actor, place, Part::Main, (empty, &nobody), (&object, claim));
        let uid = format!("00000000-0000-4000-8000-{:012}", state.uids + 1);
        let generation = known.is_some_and(|known| known.generation).then(|| json!(1));
        for (key, value) in [
            ("name", Some(json!(place.name))),
            ("namespace", Some(json!(place.namespace))),
            ("uid", Some(json!(uid))),
            ("creationTimestamp", Some(json!(self.seconds()))),
            ("generation", generation),
            ("resourceVersion", None),
            ("managedFields", None),
        ] {
            meta::set(&mut object, key, value);
        }
        if let Some(known) = known {
            settle::begin(known, &mut object, state.uids + 1);
        }
        if run == Run::Dry {
            return Ok(Arc::new(Stored::new(Arc::new(object), managers)));
        }
        state.uids += 1;
        let after = Some((object, managers));
        let (outcome, woken) = self.commit(&mut state, actor, place, after);
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
        let outcome = self.edit(actor, place, part, Run::Real, |before| {
            let mut object = (*before.value).clone();
            edit(&mut object)?;
            if let Some(resource) = Resource::named(place.resource) {
                settle::update(resource, part.rule(), &before.value, &mut object);
            }
            Ok::<_, Refusal>(Draft::change(object))
        })?;
        Ok(Arc::clone(&outcome.stored().value))
    }

    /// Reads an object, lets a new state of it be made and stores that, or tells what would be
    /// stored. What a write to the part may not change must have been put back.
    ///
    /// # Errors
    /// A [`Refusal`] 404 `NotFound`, or what `edit` refuses.
    pub fn edit<E: From<Refusal>>(
        &self,
        actor: &Actor,
        place: &Place,
        part: Part,
        run: Run,
        edit: impl FnOnce(&Stored) -> Result<Draft, E>,
    ) -> Result<Outcome, E> {
        let mut state = self.lock();
        let before = state.objects.get(place).cloned().ok_or_else(|| gone(place))?;
        let Draft { mut object, claim } = edit(&before)?;
        meta::set(&mut object, "managedFields", None);
        let same = object == *before.value;
        if same && matches!(claim, Claim::Change) {
            return Ok(Outcome::Kept(before));
        }
        let known = (&*before.value, &before.managers);
        let managers = self.managers(actor, place, part, known, (&object, claim));
        // Times of entries alone are no change.
        let managers = if managers.alike(&before.managers) && same {
            before.managers.clone()
        } else {
            managers
        };
        if same && managers.alike(&before.managers) {
            return Ok(Outcome::Kept(before));
        }
        let resource = Resource::named(place.resource);
        if part != Part::Status
            && resource.is_some_and(|known| settle::counts(known, &before.value, &object))
        {
            let generation = before.value.pointer("/metadata/generation").and_then(Value::as_i64);
            let next = generation.unwrap_or_default() + 1;
            meta::set(&mut object, "generation", Some(json!(next)));
        }
        let over = meta::has(&object, "deletionTimestamp") && !meta::held(&object);
        if run == Run::Dry || over {
            let left = Arc::new(Stored::new(Arc::new(object), managers));
            if run == Run::Dry {
                return Ok(Outcome::Kept(left));
            }
            let (_, woken) = self.commit(&mut state, actor, place, None);
            drop(state);
            self.ring(woken);
            return Ok(Outcome::Gone(left));
        }
        let (outcome, woken) = self.commit(&mut state, actor, place, Some((object, managers)));
        drop(state);
        self.ring(woken);
        Ok(outcome.unwrap_or(Outcome::Gone(before)))
    }

    /// Tells who manages what after a write.
    fn managers(
        &self,
        actor: &Actor,
        place: &Place,
        part: Part,
        (before, known): (&Value, &Managers),
        (after, claim): (&Value, Claim),
    ) -> Managers {
        let Some(resource) = Resource::named(place.resource) else { return Managers::default() };
        let base = match claim {
            Claim::Change => known.clone(),
            Claim::ChangeFrom(managers) => managers,
            Claim::Told(managers) => return managers,
        };
        // What nobody was told to manage is nobody's, until somebody applies.
        let fresh = before.pointer("/metadata/uid").is_none();
        if base.is_empty() && !fresh {
            return base;
        }
        let writing = Writing {
            manager: &actor.manager,
            api_version: &resource.api_version(),
            subresource: part.rule().name(),
            time: &self.seconds(),
            reset: &settle::reset(resource, part.rule()),
        };
        base.track(&registry::known(resource).schema, &writing, before, after)
    }

    /// Deletes an object; one with finalizers is only marked.
    ///
    /// # Errors
    /// [`Refusal`] 404 `NotFound`.
    pub fn delete(&self, actor: &Actor, place: &Place) -> Result<(), Refusal> {
        self.remove(actor, place, Run::Real, |_| Ok::<_, Refusal>(Going::default())).map(|_| ())
    }

    /// Deletes an object; one that is held is only marked. `check` sees it first, and tells how it
    /// goes.
    ///
    /// # Errors
    /// A [`Refusal`] 404 `NotFound`, or what `check` refuses.
    pub fn remove<E: From<Refusal>>(
        &self,
        actor: &Actor,
        place: &Place,
        run: Run,
        check: impl FnOnce(&Value) -> Result<Going, E>,
    ) -> Result<Outcome, E> {
        let mut state = self.lock();
        let before = state.objects.get(place).cloned().ok_or_else(|| gone(place))?;
        let Going { grace, finalizers } = check(&before.value)?;
        let mut marked = (*before.value).clone();
        if let Some(finalizers) = finalizers {
            let some = (!finalizers.is_empty()).then(|| json!(finalizers));
            meta::set(&mut marked, "finalizers", some);
        }
        let held = meta::held(&marked) || grace > 0;
        if held {
            let first = !meta::has(&marked, "deletionTimestamp");
            // Being deleted counts as a change of what is wanted.
            let generation = marked.pointer("/metadata/generation").and_then(Value::as_i64);
            if let Some(generation) = generation.filter(|_| first) {
                meta::set(&mut marked, "generation", Some(json!(generation + 1)));
            }
            if first {
                let at = seconds(self.now() + Duration::from_secs(grace));
                meta::set(&mut marked, "deletionTimestamp", Some(json!(at)));
                meta::set(&mut marked, "deletionGracePeriodSeconds", Some(json!(grace)));
            }
        }
        if held && marked == *before.value {
            return Ok(Outcome::Kept(before));
        }
        let managers = before.managers.clone();
        if run == Run::Dry {
            let left = Arc::new(Stored::new(Arc::new(marked), managers));
            return Ok(if held { Outcome::Kept(left) } else { Outcome::Gone(left) });
        }
        let after = held.then_some((marked, managers));
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
        after: Option<(Value, Managers)>,
    ) -> (Option<Outcome>, Vec<Waker>) {
        state.revision += 1;
        let revision = state.revision;
        let after = after.map(|(mut object, managers)| {
            let version = json!(revision.to_string());
            meta::set(&mut object, "resourceVersion", Some(version));
            Arc::new(Stored::new(Arc::new(object), managers))
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
        state.garbage.hear(&change);
        let record = Arc::new(Record::new(Arc::clone(&change), before, after.clone()));
        let last = match after {
            Some(stored) => Some(Outcome::Kept(stored)),
            None => record.last().map(Outcome::Gone),
        };
        let window = state.window;
        let woken = state.feeds.entry(place.resource).or_default().push(record, window);
        state.listeners.iter_mut().for_each(|listener| listener(&change));
        (last, woken)
    }

    /// Tells whether the garbage collector has something to do.
    pub fn has_garbage(&self) -> bool {
        self.lock().garbage.waits()
    }

    /// Does what the garbage collector does: deletes what nobody owns any more, frees what is
    /// orphaned, and lets go what waited for its dependents. What follows from that is left to
    /// the next call, as time passes there too. Returns how many objects it wrote.
    pub fn collect_garbage(&self) -> usize {
        let actor = Actor {
            writer: Writer::Other("cluster".into()),
            manager: "kube-controller-manager".to_owned(),
        };
        let chores: Vec<(Place, Chore)> = {
            let mut state = self.lock();
            let waiting = state.garbage.take();
            let object = |place: &Place| state.objects.get(place).map(|stored| &stored.value);
            let held = |place: &Place| {
                object(place).is_some_and(|object| {
                    meta::has(object, "deletionTimestamp") && has_finalizer(object, FOREGROUND)
                })
            };
            let chore = |place: Place| {
                let chore = state.garbage.chore(object(&place)?, held)?;
                Some((place, chore))
            };
            waiting.into_iter().filter_map(chore).collect()
        };
        chores.into_iter().map(|(place, chore)| self.tidy(&actor, &place, chore)).sum()
    }

    /// Does one thing of the garbage collector; returns how many objects it wrote.
    fn tidy(&self, actor: &Actor, place: &Place, chore: Chore) -> usize {
        let edit = |place: &Place, change: &dyn Fn(&mut Value)| {
            let done = self.update(actor, place, Part::Main, |object| {
                change(object);
                Ok(())
            });
            usize::from(done.is_ok())
        };
        match chore {
            Chore::Delete => usize::from(self.delete(actor, place).is_ok()),
            Chore::DeleteForeground => {
                let going = |object: &Value| {
                    let all = object.pointer("/metadata/finalizers").and_then(Value::as_array);
                    let mut finalizers = all.cloned().unwrap_or_default();
                    finalizers.push(json!(FOREGROUND));
                    Ok::<_, Refusal>(Going { grace: 0, finalizers: Some(finalizers) })
                };
                usize::from(self.remove(actor, place, Run::Real, going).is_ok())
            }
            Chore::Disown(uids) => edit(place, &|object| disown(object, &uids)),
            Chore::Release { uid, dependents } => {
                let uids = [uid];
                let free = |place: &Place| edit(place, &|object| disown(object, &uids));
                let freed: usize = dependents.iter().map(free).sum();
                freed + edit(place, &|object| drop_finalizer(object, ORPHAN))
            }
            Chore::Finish(finalizer) => edit(place, &|object| drop_finalizer(object, finalizer)),
        }
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

/// A time as the API server writes it: whole seconds.
fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    let (whole, _) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}Z")
}
