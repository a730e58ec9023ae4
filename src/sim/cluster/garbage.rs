//! Garbage: which objects are owned by which, and what is left over when an owner goes. It
//! deletes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::sim::history::{Change, Place};
use crate::sim::rules::meta;

/// The finalizer of an object whose dependents go before it.
pub const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an object whose dependents stay when it goes.
pub const ORPHAN: &str = "orphan";

/// Who owns whom, and whom it is time to look at.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Where an object of a uid is.
    places: BTreeMap<String, Place>,
    /// The dependents of a uid, and whether each of them keeps it from going.
    dependents: BTreeMap<String, BTreeMap<Place, bool>>,
    /// What has to be looked at.
    waiting: BTreeSet<Place>,
}

/// What is to be done about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chore {
    /// It is deleted: nobody owns it any more.
    Delete,
    /// It is deleted, and its own dependents before it.
    DeleteForeground,
    /// Owners of these uids are forgotten.
    Disown(Vec<String>),
    /// Its dependents are set free of this uid, then this finalizer goes.
    Release {
        /// Its uid.
        uid: String,
        /// Its dependents.
        dependents: Vec<Place>,
    },
    /// Its dependents are gone: this finalizer goes.
    Finish(&'static str),
}

impl Garbage {
    /// Hears of a change.
    pub fn hear(&mut self, change: &Change) {
        let place = &change.place;
        let uid = |object: &Value| meta::text(object, "uid").unwrap_or_default().to_owned();
        let before = change.before.as_deref();
        let after = change.after.as_deref();
        let owned_by = [before, after]
            .map(|state| state.and_then(|state| meta::get(state, "ownerReferences")));
        let [old, new] = owned_by;
        if before.is_none() || after.is_none() || old != new {
            for owner in before.map(owners).unwrap_or_default() {
                self.part(&owner.uid, place);
            }
            for owner in after.map(owners).unwrap_or_default() {
                if !self.places.contains_key(&owner.uid) {
                    self.waiting.insert(place.clone());
                }
                self.dependents.entry(owner.uid).or_default().insert(place.clone(), owner.blocks);
            }
        }
        match (before, after) {
            (None, Some(object)) => drop(self.places.insert(uid(object), place.clone())),
            (Some(object), None) => {
                let uid = uid(object);
                self.places.remove(&uid);
                self.waiting.remove(place);
                self.call_dependents(&uid);
            }
            (Some(_), Some(object)) if meta::has(object, "deletionTimestamp") => {
                if has_finalizer(object, FOREGROUND) || has_finalizer(object, ORPHAN) {
                    self.waiting.insert(place.clone());
                }
                if has_finalizer(object, FOREGROUND) {
                    self.call_dependents(&uid(object));
                }
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn call_dependents(&mut self, uid: &str) {
        let dependents = self.dependents.get(uid).into_iter().flatten();
        self.waiting.extend(dependents.map(|(place, _)| place.clone()));
    }

    /// A dependent is no more; whoever waited for that is to be looked at.
    fn part(&mut self, owner: &str, place: &Place) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(place);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
        if let Some(owner) = self.places.get(owner) {
            self.waiting.insert(owner.clone());
        }
    }

    /// Tells whether anything has to be looked at.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns what has to be looked at, and forgets it.
    pub fn take(&mut self) -> BTreeSet<Place> {
        std::mem::take(&mut self.waiting)
    }

    /// Tells what is to be done about an object. `held` tells of a place whether its object waits
    /// for its dependents to go.
    pub fn chore(&self, object: &Value, held: impl Fn(&Place) -> bool) -> Option<Chore> {
        let uid = meta::text(object, "uid").unwrap_or_default();
        let dependents = self.dependents.get(uid);
        if meta::has(object, "deletionTimestamp") {
            if has_finalizer(object, ORPHAN) {
                let dependents = dependents.into_iter().flatten();
                let dependents = dependents.map(|(place, _)| place.clone()).collect();
                return Some(Chore::Release { uid: uid.to_owned(), dependents });
            }
            let blocked = dependents.into_iter().flatten().any(|(_, blocks)| *blocks);
            let over = has_finalizer(object, FOREGROUND) && !blocked;
            return over.then_some(Chore::Finish(FOREGROUND));
        }
        let owners = owners(object);
        if owners.is_empty() {
            return None;
        }
        let place = |owner: &Owner| self.places.get(&owner.uid);
        let solid = |owner: &&Owner| place(owner).is_some_and(|place| !held(place));
        let waiting =
            dependents.is_some() && owners.iter().any(|owner| place(owner).is_some_and(&held));
        let loose: Vec<String> =
            owners.iter().filter(|owner| !solid(owner)).map(|owner| owner.uid.clone()).collect();
        match (loose.is_empty(), loose.len() == owners.len()) {
            (true, _) => None,
            (false, false) => Some(Chore::Disown(loose)),
            (false, true) if waiting => Some(Chore::DeleteForeground),
            (false, true) => Some(Chore::Delete),
        }
    }
}

/// An owner, as an object names it.
struct Owner {
    uid: String,
    blocks: bool,
}

fn owners(object: &Value) -> Vec<Owner> {
    let all = meta::get(object, "ownerReferences").and_then(Value::as_array);
    let owner = |value: &Value| {
        let blocks = value.get("blockOwnerDeletion").and_then(Value::as_bool).unwrap_or_default();
        Some(Owner { uid: value.get("uid")?.as_str()?.to_owned(), blocks })
    };
    all.into_iter().flatten().filter_map(owner).collect()
}

/// Tells whether an object has a finalizer.
pub fn has_finalizer(object: &Value, name: &str) -> bool {
    let all = meta::get(object, "finalizers").and_then(Value::as_array);
    all.into_iter().flatten().any(|finalizer| finalizer == name)
}

/// Takes a finalizer away.
pub fn drop_finalizer(object: &mut Value, name: &str) {
    let all = object.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut);
    if let Some(all) = all {
        all.retain(|finalizer| finalizer != name);
        if all.is_empty() {
            meta::set(object, "finalizers", None);
        }
    }
}

/// Takes owners away.
pub fn disown(object: &mut Value, uids: &[String]) {
    let all = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
    if let Some(all) = all {
        let named = |owner: &Value| owner.get("uid").and_then(Value::as_str).map(str::to_owned);
        all.retain(|owner| named(owner).is_none_or(|uid| !uids.contains(&uid)));
        if all.is_empty() {
            meta::set(object, "ownerReferences", None);
        }
    }
}
