//! Definition: the CustomResourceDefinitions of our kinds, made from their types. No logic.

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::api::check::HealthCheck;
use crate::api::gate::RolloutGate;
use crate::api::rollout::Rollout;
use crate::api::schedule::{ClusterRolloutSchedule, RolloutSchedule};

/// Where a null is kept: the API server would drop it from a new object, and so the pause.
const NULL_KEPT: &str = "/properties/spec/properties/strategy/properties/canary/properties/steps\
    /items/properties/pause";

/// The definition has another shape than is expected here: a fault in the types, not in an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the definition of the kind has no {0}")]
pub struct ShapeError(pub &'static str);

/// Makes the definitions of all kinds.
///
/// # Errors
/// [`ShapeError`].
pub fn all() -> Result<Vec<Value>, ShapeError> {
    Ok(vec![rollout()?, gate()?, schedule()?, cluster_schedule()?, check()?])
}

/// Makes the definition of the Rollout, with what the derive cannot say.
///
/// # Errors
/// [`ShapeError`].
pub fn rollout() -> Result<Value, ShapeError> {
    let mut crd = of::<Rollout>("What the Rollout delivers, and how.")?;
    let schema = schema(&mut crd)?;
    fields(schema, NULL_KEPT, "pause")?.insert("nullable".to_owned(), json!(true));
    unseen(schema)?;
    // One writer, and always the whole: who owns each field of it would be a fifth of each object.
    let status = fields(schema, "/properties/status", "status")?;
    status.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
    Ok(crd)
}

/// Makes the definition of the RolloutGate.
///
/// # Errors
/// [`ShapeError`].
pub fn gate() -> Result<Value, ShapeError> {
    of::<RolloutGate>("What the gate is for, and what it waits for.")
}

/// Makes the definition of the RolloutSchedule.
///
/// # Errors
/// [`ShapeError`].
pub fn schedule() -> Result<Value, ShapeError> {
    let mut crd = of::<RolloutSchedule>("What the schedule is for, and when it is active.")?;
    unseen(schema(&mut crd)?)?;
    Ok(crd)
}

/// Makes the definition of the ClusterRolloutSchedule.
///
/// # Errors
/// [`ShapeError`].
pub fn cluster_schedule() -> Result<Value, ShapeError> {
    let mut crd = of::<ClusterRolloutSchedule>("What the schedule is for, and when it is active.")?;
    unseen(schema(&mut crd)?)?;
    Ok(crd)
}

/// Makes the definition of the HealthCheck.
///
/// # Errors
/// [`ShapeError`].
pub fn check() -> Result<Value, ShapeError> {
    of::<HealthCheck>("Who looks after the check.")
}

/// Makes a definition; `about` is said of its spec.
fn of<K: CustomResourceExt>(about: &str) -> Result<Value, ShapeError> {
    let mut crd = serde_json::to_value(K::crd()).map_err(|_| ShapeError("JSON form"))?;
    let schema = schema(&mut crd)?;
    strict(schema);
    let kind = schema.pointer("/properties/spec/description").cloned().unwrap_or_default();
    fields(schema, "", "schema")?.insert("description".to_owned(), kind);
    let spec = fields(schema, "/properties/spec", "spec")?;
    spec.insert("description".to_owned(), json!(about));
    Ok(crd)
}

fn schema(crd: &mut Value) -> Result<&mut Value, ShapeError> {
    crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema").ok_or(ShapeError("schema"))
}

/// Says that nobody has looked yet: without it, kstatus takes such an object for healthy.
fn unseen(schema: &mut Value) -> Result<(), ShapeError> {
    let status = fields(schema, "/properties/status", "status")?;
    status.insert("default".to_owned(), json!({"observedGeneration": -1}));
    Ok(())
}

fn fields<'a>(
    schema: &'a mut Value,
    path: &str,
    what: &'static str,
) -> Result<&'a mut Map<String, Value>, ShapeError> {
    schema.pointer_mut(path).and_then(Value::as_object_mut).ok_or(ShapeError(what))
}

/// Lets no field be null, writes whole numbers as such, and joins the lines of descriptions, which
/// `kubectl explain` breaks itself.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("nullable");
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            fields.values_mut().for_each(strict);
        }
        Value::Array(items) => items.iter_mut().for_each(strict),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e9) {
                *schema = Value::from(whole as i64);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
