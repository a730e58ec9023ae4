//! Write: create, replace, patch and delete, as requests ask for them.

use std::sync::Arc;

use hyper::body::Bytes;
use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::{Value, json};

use crate::sim::cluster::feed::{Stored, json_text};
use crate::sim::cluster::{Actor, Cluster, Outcome, Part, Run};
use crate::sim::history::Place;
use crate::sim::resource::Resource;
use crate::sim::rules::meta;
use crate::sim::server::failure::Failure;

/// What a stale write is told.
const MODIFIED: &str = "the object has been modified; please apply your changes to the latest \
    version and try again";

/// A write to one object.
#[derive(Debug)]
pub struct Write<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Who writes.
    pub actor: &'a Actor,
    /// The resource.
    pub resource: &'static Resource,
    /// The object.
    pub place: &'a Place,
    /// The part.
    pub part: Part,
    /// Whether it is stored.
    pub run: Run,
}

impl Write<'_> {
    /// Creates the object.
    ///
    /// # Errors
    /// [`Failure`] 400, 409, 422.
    pub fn create(&self, mut object: Value) -> Result<Arc<Stored>, Failure> {
        self.check_kind(&object)?;
        if meta::text(&object, "resourceVersion").is_some_and(|text| !text.is_empty()) {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Failure::bad(message));
        }
        for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            meta::set(&mut object, key, None);
        }
        if self.resource.status {
            meta::put(&mut object, "status", None);
        }
        Ok(self.cluster.add(self.actor, self.place, object, self.run)?)
    }

    /// Replaces the object.
    ///
    /// # Errors
    /// [`Failure`] 400, 404, 409, 422.
    pub fn replace(&self, object: Value) -> Result<Arc<Stored>, Failure> {
        self.check_kind(&object)?;
        let name = meta::text(&object, "name").unwrap_or_default().to_owned();
        if name != self.place.name {
            let message = format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                self.place.name
            );
            return Err(Failure::bad(message));
        }
        self.edit(|_| Ok(object))
    }

    /// Changes the object by a JSON patch.
    ///
    /// # Errors
    /// [`Failure`] 400, 404, 409, 422.
    pub fn json_patch(&self, body: &Bytes) -> Result<Arc<Stored>, Failure> {
        let operations: Vec<PatchOperation> = serde_json::from_slice(body)
            .map_err(|error| Failure::bad(format!("error decoding patch: {error}")))?;
        self.edit(|before| {
            let mut object = before.clone();
            json_patch::patch(&mut object, &operations).map_err(|error| {
                let path = error.path.to_string();
                Failure::unpatchable(match error.kind {
                    PatchErrorKind::TestFailed => {
                        format!("testing value {path} failed: test failed")
                    }
                    _ => "the server rejected our request due to an error in our request".into(),
                })
            })?;
            Ok(object)
        })
    }

    /// Changes the object by a merge patch.
    ///
    /// # Errors
    /// [`Failure`] 400, 404, 409, 422.
    pub fn merge_patch(&self, body: &Bytes) -> Result<Arc<Stored>, Failure> {
        let patch = json_body(body)?;
        if !patch.is_object() {
            return Err(Failure::bad("error decoding patch: it is no object"));
        }
        self.edit(|before| {
            let mut object = before.clone();
            json_patch::merge(&mut object, &patch);
            Ok(object)
        })
    }

    /// Stores what `make` makes of the object, if that comes from its last version.
    fn edit(
        &self,
        make: impl FnOnce(&Value) -> Result<Value, Failure>,
    ) -> Result<Arc<Stored>, Failure> {
        let Self { cluster, actor, resource, place, part, run } = *self;
        let outcome = cluster.edit(actor, place, part, run, |before, object| {
            *object = make(before)?;
            self.check_kind(object)?;
            for (key, label) in [("uid", "UID"), ("resourceVersion", "")] {
                let (is, was) = (meta::text(object, key), meta::text(before, key));
                let is = is.unwrap_or_default();
                if is.is_empty() || Some(is) == was {
                    continue;
                }
                let was = was.unwrap_or_default();
                let why = if label.is_empty() {
                    MODIFIED.to_owned()
                } else {
                    format!(
                        "Precondition failed: UID in precondition: {is}, UID in object meta: {was}"
                    )
                };
                return Err(Failure::conflict(resource, &place.name, &why));
            }
            Ok(())
        })?;
        Ok(Arc::clone(outcome.stored()))
    }

    /// Deletes the object; returns what is left of it, or the last version if nothing is.
    ///
    /// # Errors
    /// [`Failure`] 400, 404, 409.
    pub fn delete(&self, options: &Value) -> Result<Outcome, Failure> {
        let Self { cluster, actor, resource, place, run, .. } = *self;
        cluster.remove(actor, place, run, |before| {
            for (key, title) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
                let wanted = options.pointer(&format!("/preconditions/{key}"));
                let wanted = wanted.and_then(Value::as_str);
                let is = meta::text(before, key).unwrap_or_default();
                if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                    let why = format!(
                        "Precondition failed: {title} in precondition: {wanted}, {title} in \
                         object meta: {is}"
                    );
                    return Err(Failure::conflict(resource, &place.name, &why));
                }
            }
            let policy = options.get("propagationPolicy").and_then(Value::as_str);
            let finalizer = match policy {
                Some("Orphan") => "orphan",
                Some("Foreground") => "foregroundDeletion",
                Some(_) | None => return Ok(None),
            };
            let mut marked = before.clone();
            let held = before.pointer("/metadata/finalizers").and_then(Value::as_array);
            let mut held = held.cloned().unwrap_or_default();
            if !held.contains(&json!(finalizer)) {
                held.push(json!(finalizer));
            }
            meta::set(&mut marked, "finalizers", Some(Value::Array(held)));
            Ok(Some(marked))
        })
    }

    fn check_kind(&self, object: &Value) -> Result<(), Failure> {
        let field = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (field("apiVersion"), field("kind"));
        let wanted = self.resource.api_version();
        if (api_version, kind) != (wanted.as_str(), self.resource.kind) {
            let message = format!(
                "the API version in the data ({api_version}) does not match the expected API \
                 version ({wanted})"
            );
            return Err(Failure::bad(message));
        }
        Ok(())
    }
}

/// Reads a body as JSON.
///
/// # Errors
/// [`Failure`] 400.
pub fn json_body(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad(error.to_string()))
}

/// The answer to a delete: the object while something holds it, a `Status` when it is gone.
pub fn deleted(resource: &Resource, outcome: &Outcome) -> Bytes {
    match outcome {
        Outcome::Kept(stored) => stored.text(),
        Outcome::Gone(stored) => {
            let text = |key| meta::text(&stored.value, key).unwrap_or_default();
            let mut details = json!({"name": text("name"), "kind": resource.plural,
                "uid": text("uid")});
            if !resource.group.is_empty() {
                meta::put(&mut details, "group", Some(json!(resource.group)));
            }
            json_text(&json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
                "status": "Success", "details": details}))
        }
    }
}
