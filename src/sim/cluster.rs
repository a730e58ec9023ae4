//! Cluster: what etcd and the rules of the API server's storage hold, without HTTP.
//!
//! Every write, by a request of a controller or by the world itself, goes through [`Cluster`], is
//! stored under a revision of its own and is heard by whoever listens.

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
use crate::sim::rules::settle::Part;
use crate::sim::rules::{meta, settle};

pub mod feed;
pub mod garbage;
pub mod refusal;
pub mod state;
pub mod write;

use feed::{Next, Stored};
use garbage::{Chore, FOREGROUND, has_finalizer};
use refusal::{Refusal, gone, quoted};
use state::{Listener, State};
use write::{Claim, Draft, Going, Outcome, Run};

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

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Makes an empty cluster whose true time is this clock's.
    pub fn new(clock: Clock) -> Self {
        let state = State::default();
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

    /// Says whether a namespace is there. All are, unless something else is said; in one that is
    /// not, requests create nothing.
    pub fn set_namespace(&self, name: &str, there: bool) {
        let mut state = self.lock();
        if there {
            state.nowhere.remove(name);
        } else {
            state.nowhere.insert(name.to_owned());
        }
    }

    /// Tells whether a namespace is there.
    pub fn has_namespace(&self, name: &str) -> bool {
        !self.lock().nowhere.contains(name)
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
        self.lock().snapshot_at(resource, namespace, revision)
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
        if known.is_some_and(|known| known.generation) {
            meta::set(&mut object, "generation", Some(json!(1)));
        }
        for (key, value) in [
            ("name", Some(json!(place.name))),
            ("namespace", Some(json!(place.namespace)).filter(|_| !place.namespace.is_empty())),
            ("uid", Some(json!(uid))),
            ("creationTimestamp", Some(json!(self.seconds()))),
            ("resourceVersion", None),
            ("managedFields", None),
        ] {
            meta::set(&mut object, key, value);
        }
        let bare = object.get("status").is_none();
        if let Some(known) = known {
            settle::begin(known, &mut object, state.uids + 1);
        }
        state.uids += 1;
        if run == Run::Dry {
            return Ok(Arc::new(Stored::new(Arc::new(object), managers)));
        }
        // The default of a status is in what is read, not yet in what is stored.
        let owed = known.is_some_and(Resource::custom) && bare && object.get("status").is_some();
        if owed {
            state.owed.insert(place.clone());
        }
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
                settle::update(resource, part, &before.value, &mut object, 0);
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
        let owed = run == Run::Real && state.owed.remove(place);
        if same && matches!(claim, Claim::Change) && !owed {
            return Ok(Outcome::Kept(before));
        }
        let known = (&*before.value, &before.managers);
        let managers = self.managers(actor, place, part, known, (&object, claim));
        // Times of entries alone are no change.
        let kept = same && managers.alike(&before.managers);
        if kept && !owed {
            return Ok(Outcome::Kept(before));
        }
        let managers = if kept { before.managers.clone() } else { managers };
        let resource = Resource::named(place.resource);
        if part != Part::Status
            && resource.is_some_and(|known| settle::counts(known, &before.value, &object))
        {
            let generation = meta::get(&before.value, "generation").and_then(Value::as_i64);
            let next = generation.unwrap_or_default() + 1;
            meta::set(&mut object, "generation", Some(json!(next)));
        }
        let grace = meta::grace(&object).unwrap_or_default();
        let over = meta::has(&object, "deletionTimestamp") && !meta::held(&object) && grace == 0;
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
        let fresh = !meta::has(before, "uid");
        if base.is_empty() && !fresh {
            return base;
        }
        let writing = Writing {
            manager: &actor.manager,
            api_version: &resource.api_version(),
            subresource: part.name(),
            time: &self.seconds(),
            reset: settle::reset(resource, part),
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
        let held = meta::held(&marked) || grace.is_some_and(|grace| grace > 0);
        if held || grace.is_some() {
            self.mark(&mut marked, grace.unwrap_or_default());
        }
        if held && marked == *before.value {
            return Ok(Outcome::Kept(before));
        }
        let managers = before.managers.clone();
        if run == Run::Dry {
            let left = Arc::new(Stored::new(Arc::new(marked), managers));
            return Ok(if held { Outcome::Kept(left) } else { Outcome::Gone(left) });
        }
        let mut woken = Vec::new();
        let after = Some((marked, managers));
        // What may have grace and gets none is marked first, and gone at once.
        if grace.is_some() && !held {
            woken = self.commit(&mut state, actor, place, after.clone()).1;
        }
        let (outcome, more) = self.commit(&mut state, actor, place, after.filter(|_| held));
        drop(state);
        woken.extend(more);
        self.ring(woken);
        Ok(outcome.unwrap_or(Outcome::Gone(before)))
    }

    /// Marks an object that is being deleted; of one that is marked, grace may only become less.
    fn mark(&self, object: &mut Value, grace: u64) {
        if meta::has(object, "deletionTimestamp") {
            if meta::grace(object).is_none_or(|given| given <= grace) {
                return;
            }
        } else if let Some(generation) = meta::get(object, "generation").and_then(Value::as_i64) {
            // Being deleted counts as a change of what is wanted.
            meta::set(object, "generation", Some(json!(generation + 1)));
        }
        let at = seconds(self.now() + Duration::from_secs(grace));
        meta::set(object, "deletionTimestamp", Some(json!(at)));
        meta::set(object, "deletionGracePeriodSeconds", Some(json!(grace)));
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

    /// Stores a new state of an object; returns what became of it and whom to wake.
    fn commit(
        &self,
        state: &mut State,
        actor: &Actor,
        place: &Place,
        after: Option<(Value, Managers)>,
    ) -> (Option<Outcome>, Vec<Waker>) {
        state.commit(self.now(), &actor.writer, place, after)
    }

    /// Tells whether the garbage collector has something to do.
    pub fn has_garbage(&self) -> bool {
        self.lock().garbage.waits()
    }

    /// Tells what the garbage collector has to do, and forgets it.
    pub fn take_chores(&self) -> Vec<(Place, Chore)> {
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

/// A time as the API server writes it: whole seconds.
fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    let (whole, _) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}Z")
}
