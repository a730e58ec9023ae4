//! Patch: carries out JSON patches and merge patches on a value, as the server's own libraries do.
//!
//! It stores nothing. Source: evanphx/json-patch v4.

use hyper::body::Bytes;
use json_patch::{AddOperation, PatchOperation, ReplaceOperation, TestOperation};
use serde_json::Value;

use crate::sim::rules::schema::shape::Schema;
use crate::sim::rules::strategic;
use crate::sim::server::body;
use crate::sim::server::failure::Failure;

/// A patch, read.
#[derive(Debug)]
pub enum Patch {
    /// A list of operations.
    Json(Vec<PatchOperation>),
    /// A value that is merged.
    Merge(Value),
    /// A value that is merged by what the schema says of lists.
    Strategic(Value),
}

impl Patch {
    /// Reads a JSON patch.
    ///
    /// # Errors
    /// [`Failure`] 400 if it is no list, 422 if one of its operations is none.
    pub fn json(bytes: &Bytes) -> Result<Self, Failure> {
        let value = body::patch(bytes)?;
        let Value::Array(all) = value else {
            let kind = body::go_kind(&value);
            return Err(Failure::bad(format!(
                "error decoding patch: json: cannot unmarshal {kind} into Go value of type \
                 []handlers.jsonPatchOp"
            )));
        };
        let read = |value| operation(value).map_err(|_| Failure::unfit());
        Ok(Self::Json(all.into_iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Reads a merge patch.
    ///
    /// # Errors
    /// [`Failure`] 400 if it is no object.
    pub fn merge(bytes: &Bytes) -> Result<Self, Failure> {
        object(bytes).map(Self::Merge)
    }

    /// Reads a strategic merge patch.
    ///
    /// # Errors
    /// [`Failure`] 400 if it is no object.
    pub fn strategic(bytes: &Bytes) -> Result<Self, Failure> {
        object(bytes).map(Self::Strategic)
    }

    /// Carries it out.
    ///
    /// # Errors
    /// [`Failure`] 422 if it does not fit.
    pub fn apply(self, schema: &Schema, object: &mut Value) -> Result<(), Failure> {
        match self {
            Self::Strategic(patch) => {
                strategic::merge(schema, object, &patch);
                Ok(())
            }
            Self::Merge(patch) => {
                json_patch::merge(object, &patch);
                Ok(())
            }
            Self::Json(operations) => {
                operations.into_iter().try_for_each(|operation| step(object, operation))
            }
        }
    }
}

/// Reads a patch that is an object.
fn object(bytes: &Bytes) -> Result<Value, Failure> {
    let value = body::patch(bytes)?;
    if value.is_object() {
        return Ok(value);
    }
    let kind = body::go_kind(&value);
    Err(Failure::bad(format!(
        "error decoding patch: json: cannot unmarshal {kind} into Go value of type \
         map[string]interface {{}}"
    )))
}

/// Reads an operation. Its value is set aside meanwhile: what reads tagged unions copies twice.
fn operation(mut value: Value) -> Result<PatchOperation, serde_json::Error> {
    let set = value.get_mut("value").map(Value::take);
    let mut operation: PatchOperation = serde_json::from_value(value)?;
    match &mut operation {
        PatchOperation::Add(AddOperation { value, .. })
        | PatchOperation::Replace(ReplaceOperation { value, .. })
        | PatchOperation::Test(TestOperation { value, .. }) => {
            *value = set.unwrap_or_default();
        }
        PatchOperation::Remove(_) | PatchOperation::Move(_) | PatchOperation::Copy(_) => {}
    }
    Ok(operation)
}

fn step(object: &mut Value, operation: PatchOperation) -> Result<(), Failure> {
    // The server's library takes a key that is missing for null, and sets it where it replaces.
    let operation = match operation {
        PatchOperation::Test(test) if test.value.is_null() => {
            let (parent, key) = split(test.path.as_str());
            match object.pointer(parent) {
                Some(Value::Object(fields)) if !fields.contains_key(&key) => return Ok(()),
                Some(_) | None => PatchOperation::Test(test),
            }
        }
        PatchOperation::Replace(ReplaceOperation { path, value }) => {
            match set(object, path.as_str(), value) {
                None => return Ok(()),
                Some(value) => PatchOperation::Replace(ReplaceOperation { path, value }),
            }
        }
        PatchOperation::Add(AddOperation { path, value }) => {
            match set(object, path.as_str(), value) {
                None => return Ok(()),
                Some(value) => PatchOperation::Add(AddOperation { path, value }),
            }
        }
        other @ (PatchOperation::Test(_)
        | PatchOperation::Remove(_)
        | PatchOperation::Move(_)
        | PatchOperation::Copy(_)) => other,
    };
    // What a patch that fails leaves is thrown away: nothing has to be undone.
    json_patch::patch_unsafe(object, &[operation]).map_err(|_| Failure::unfit())
}

/// Sets a key of a map that is there; returns the value where there is no such map.
fn set(object: &mut Value, path: &str, value: Value) -> Option<Value> {
    let (parent, key) = split(path);
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) if !path.is_empty() => {
            fields.insert(key, value);
            None
        }
        Some(_) | None => Some(value),
    }
}

/// Takes the last key off a pointer.
fn split(path: &str) -> (&str, String) {
    let (parent, key) = path.rsplit_once('/').unwrap_or(("", path));
    (parent, key.replace("~1", "/").replace("~0", "~"))
}
