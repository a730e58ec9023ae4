//! People: those who edit, annotate and delete with kubectl, and controllers that put back what
//! they want again and again. It never reads what an edit is about.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::keys;
use crate::model::moment::{Duration, Timestamp};
use crate::sim::cluster::Actor;
use crate::sim::cluster::refusal::Refusal;
use crate::sim::history::Place;
use crate::sim::resource::Resource;
use crate::sim::rules::settle::{self, Part};
use crate::sim::world::ground::{self, Ground, REPEAT_MIN};
use crate::sim::world::timers::Task;
use crate::sim::world::trouble::Trouble;

/// Parts of the metadata that the API server sets; an edit does not change them.
const SET_BY_SERVER: [&str; 7] = [
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "name",
    "namespace",
    "resourceVersion",
    "uid",
];

/// Who edits again and again.
#[derive(Debug, Default)]
pub struct People {
    edits: Vec<Edit>,
}

/// An edit.
#[derive(Debug, Clone)]
pub struct Edit {
    /// `plural/name`.
    pub object: String,
    /// The field manager.
    pub by: String,
    /// The merge patch.
    pub merge: Value,
    /// How often; absent: once.
    pub every: Option<Duration>,
    /// Until when; absent: for ever.
    pub until: Option<Timestamp>,
}

impl People {
    /// Edits an object, and again and again where the edit says so.
    ///
    /// # Errors
    /// [`Trouble::Kind`], [`Trouble::Missing`] or [`Trouble::Refused`]. An edit that is repeated
    /// does not mind that the object is missing.
    pub fn edit(&mut self, ground: &mut Ground, edit: Edit) -> Result<(), Trouble> {
        let place = place(ground, &edit.object)?;
        let done = merge(ground, &place, &edit);
        let Some(every) = edit.every else { return done };
        self.edits.push(edit);
        let number = self.edits.len() - 1;
        ground.after(Task::Edit(number), every.max(REPEAT_MIN));
        match done {
            Err(Trouble::Missing { .. }) => Ok(()),
            done => done,
        }
    }

    /// Does an edit again.
    pub fn act(&mut self, ground: &mut Ground, number: usize) {
        let Some(edit) = self.edits.get(number) else { return };
        if edit.until.is_some_and(|until| until < ground.now()) {
            return;
        }
        // Whoever puts back tries again; so a refusal means nothing.
        let _ = place(ground, &edit.object).and_then(|place| merge(ground, &place, edit));
        ground.after(Task::Edit(number), edit.every.unwrap_or(REPEAT_MIN).max(REPEAT_MIN));
    }
}

/// Annotates the Rollout.
///
/// # Errors
/// [`Trouble::None`] or [`Trouble::Several`] where it is not clear which Rollout.
pub fn annotate(ground: &Ground, set: &BTreeMap<String, String>) -> Result<(), Trouble> {
    let rollouts = ground.cluster.list("rollouts", Some(&ground.namespace));
    let names: Vec<&str> = rollouts.iter().map(|(place, _)| place.name.as_str()).collect();
    let place = match rollouts.as_slice() {
        [(place, _)] => place,
        [] => {
            let remedy = "a story needs one among its objects";
            return Err(Trouble::None { kind: "Rollout", named: String::new(), remedy });
        }
        [_, ..] => {
            let remedy = "use an edit of metadata.annotations";
            return Err(Trouble::Several { kind: "Rollout", names: names.join(", "), remedy });
        }
    };
    let full = |key: &String| {
        if key.contains('/') { key.clone() } else { format!("{}/{key}", keys::GROUP) }
    };
    let annotations: Map<String, Value> =
        set.iter().map(|(key, value)| (full(key), json!(value))).collect();
    let patch = json!({"metadata": {"annotations": annotations}});
    write(ground, &ground::person("kubectl-annotate"), place, Part::Main, &patch)
        .map_err(Trouble::Refused)
}

/// Deletes an object.
///
/// # Errors
/// [`Trouble::Kind`], [`Trouble::Missing`] or [`Trouble::Refused`].
pub fn delete(ground: &Ground, object: &str) -> Result<(), Trouble> {
    let place = place(ground, object)?;
    let done = ground.cluster.delete(&ground::person("kubectl-delete"), &place);
    done.map_err(|refusal| trouble(ground, object, refusal))
}

/// The place of an object as stories name it.
///
/// # Errors
/// [`Trouble::Kind`].
pub fn place(ground: &Ground, object: &str) -> Result<Place, Trouble> {
    let known = object.split_once('/').filter(|(_, name)| !name.is_empty());
    let known = known.and_then(|(plural, name)| Some((Resource::named(plural)?, name)));
    let Some((resource, name)) = known else {
        let example = "rollouts/shop";
        return Err(Trouble::Kind { object: object.to_owned(), example });
    };
    let namespace = if resource.namespaced() { ground.namespace.as_str() } else { "" };
    Ok(Place::new(resource.plural, namespace, name))
}

fn merge(ground: &Ground, place: &Place, edit: &Edit) -> Result<(), Trouble> {
    let actor = Actor::other(&edit.by);
    let refused = |refusal| trouble(ground, &edit.object, refusal);
    let mut patch = edit.merge.clone();
    if let Some(metadata) = patch.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !SET_BY_SERVER.contains(&key.as_str()));
    }
    let status = patch.as_object_mut().and_then(|fields| fields.remove("status"));
    write(ground, &actor, place, Part::Main, &patch).map_err(refused)?;
    match status {
        Some(status) => {
            let patch = json!({"status": status});
            write(ground, &actor, place, Part::Status, &patch).map_err(refused)
        }
        None => Ok(()),
    }
}

fn write(
    ground: &Ground,
    actor: &Actor,
    place: &Place,
    part: Part,
    patch: &Value,
) -> Result<(), Refusal> {
    let written = ground.cluster.update(actor, place, part, |object| {
        json_patch::merge(object, patch);
        if let Some(resource) = Resource::named(place.resource).filter(|_| part == Part::Main) {
            settle::shape(resource, object);
        }
        Ok(())
    });
    written.map(|_| ())
}

fn trouble(ground: &Ground, object: &str, refusal: Refusal) -> Trouble {
    if refusal.code == 404 {
        let (object, namespace) = (object.to_owned(), ground.namespace.clone());
        Trouble::Missing { object, namespace }
    } else {
        Trouble::Refused(refusal)
    }
}
