//! Cluster: what etcd and the rules of the API server's storage hold, without HTTP.
//!
//! Every write, by a request of a controller or by the world itself, goes through [`Cluster`], is
//! stored under a revision of its own and is heard by whoever listens.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::model::moment::Timestamp;
use crate::runtime::clock::Clock;
use crate::sim::history::{Change, Place, Writer};
use crate::sim::resource::Resource;

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

/// A cluster in memory; clones are the same cluster.
#[derive(Clone)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    clock: Clock,
}

struct State {
    objects: BTreeMap<Place, Arc<Value>>,
    log: Vec<Arc<Change>>,
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

    /// Reads an object.
    pub fn read(&self, place: &Place) -> Option<Arc<Value>> {
        self.lock().objects.get(place).cloned()
    }

    /// Reads all objects of a resource, of one namespace or of all, sorted by name.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<(Place, Arc<Value>)> {
        let state = self.lock();
        let within = |place: &Place| {
            place.resource == resource && namespace.is_none_or(|name| name == place.namespace)
        };
        let all = state.objects.iter().filter(|(place, _)| within(place));
        all.map(|(place, object)| (place.clone(), Arc::clone(object))).collect()
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`Refusal`] 409 `AlreadyExists`.
    pub fn create(
        &self,
        actor: &Actor,
        place: &Place,
        mut object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        let mut state = self.lock();
        if state.objects.contains_key(place) {
            let message = format!("{} {:?} already exists", place.resource, place.name);
            return Err(Refusal { code: 409, reason: "AlreadyExists", message });
        }
        state.uids += 1;
        let uid = format!("00000000-0000-4000-8000-{:012}", state.uids);
        let generation = Resource::named(place.resource).is_some_and(|known| known.generation);
        let meta = meta(&mut object);
        meta.insert("name".to_owned(), json!(place.name));
        meta.insert("namespace".to_owned(), json!(place.namespace));
        meta.insert("uid".to_owned(), json!(uid));
        meta.insert("creationTimestamp".to_owned(), json!(seconds(self.now())));
        if generation {
            meta.insert("generation".to_owned(), json!(1));
        }
        let stored = self.commit(&mut state, actor, place, Some(object));
        drop(state);
        self.changed.notify_waiters();
        stored.ok_or_else(|| gone(place))
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
        let mut state = self.lock();
        let before = state.objects.get(place).cloned().ok_or_else(|| gone(place))?;
        let mut object = (*before).clone();
        edit(&mut object)?;
        let status = before.get("status").cloned();
        match part {
            Part::Main => set(&mut object, "status", status),
            Part::Status => {
                let status = object.get("status").cloned();
                object = (*before).clone();
                set(&mut object, "status", status);
            }
        }
        if object == *before {
            return Ok(before);
        }
        let counts = Resource::named(place.resource).is_some_and(|known| known.generation);
        if counts && part == Part::Main && !alike(&before, &object) {
            let generation = before.pointer("/metadata/generation").and_then(Value::as_i64);
            let next = generation.unwrap_or_default() + 1;
            meta(&mut object).insert("generation".to_owned(), json!(next));
        }
        let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
        let held = object.pointer("/metadata/finalizers").and_then(Value::as_array);
        let held = held.is_some_and(|all| !all.is_empty());
        let after = if deleting && !held { None } else { Some(object) };
        let stored = self.commit(&mut state, actor, place, after);
        drop(state);
        self.changed.notify_waiters();
        Ok(stored.unwrap_or(before))
    }

    /// Deletes an object; one with finalizers is only marked.
    ///
    /// # Errors
    /// [`Refusal`] 404 `NotFound`.
    pub fn delete(&self, actor: &Actor, place: &Place) -> Result<(), Refusal> {
        let mut state = self.lock();
        let before = state.objects.get(place).cloned().ok_or_else(|| gone(place))?;
        let held = before.pointer("/metadata/finalizers").and_then(Value::as_array);
        let after = if held.is_some_and(|all| !all.is_empty()) {
            let mut marked = (*before).clone();
            let at = json!(seconds(self.now()));
            meta(&mut marked).entry("deletionTimestamp").or_insert(at);
            (marked != *before).then_some(marked)
        } else {
            None
        };
        let marked_already = held.is_some_and(|all| !all.is_empty()) && after.is_none();
        if !marked_already {
            self.commit(&mut state, actor, place, after);
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    fn commit(
        &self,
        state: &mut State,
        actor: &Actor,
        place: &Place,
        after: Option<Value>,
    ) -> Option<Arc<Value>> {
        state.revision += 1;
        let revision = state.revision;
        let after = after.map(|mut object| {
            let version = json!(revision.to_string());
            meta(&mut object).insert("resourceVersion".to_owned(), version);
            Arc::new(object)
        });
        let before = match &after {
            Some(object) => state.objects.insert(place.clone(), Arc::clone(object)),
            None => state.objects.remove(place),
        };
        let change = Arc::new(Change {
            revision,
            at: self.now(),
            writer: actor.writer.clone(),
            place: place.clone(),
            before,
            after: after.clone(),
        });
        state.log.push(Arc::clone(&change));
        state.listeners.iter_mut().for_each(|listener| listener(&change));
        after
    }

    /// A panic while the lock is held leaves a state that is still whole: go on with it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metadata of an object, made where it is missing.
fn meta(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    let made = Map::new();
    let fields = match object {
        Value::Object(fields) => fields,
        _ => return Box::leak(Box::new(made)),
    };
    let meta = fields.entry("metadata").or_insert_with(|| json!({}));
    if !meta.is_object() {
        *meta = json!({});
    }
    match meta {
        Value::Object(fields) => fields,
        _ => Box::leak(Box::new(made)),
    }
}

fn set(object: &mut Value, key: &str, value: Option<Value>) {
    let Value::Object(fields) = object else { return };
    match value {
        Some(value) => fields.insert(key.to_owned(), value),
        None => fields.remove(key),
    };
}

/// Tells whether two states differ in metadata and status only.
fn alike(before: &Value, after: &Value) -> bool {
    let rest = |object: &Value| {
        let mut rest = object.clone();
        set(&mut rest, "metadata", None);
        set(&mut rest, "status", None);
        rest
    };
    rest(before) == rest(after)
}

fn gone(place: &Place) -> Refusal {
    let message = format!("{} {:?} not found", place.resource, place.name);
    Refusal { code: 404, reason: "NotFound", message }
}

/// A time as the API server writes it: whole seconds.
fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    let (whole, _) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}Z")
}
