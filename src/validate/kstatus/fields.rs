//! Fields: reads what kstatus looks at, as strictly as it does. It never judges.

use serde_json::Value;

use crate::model::standing::{Standing, Told};

/// A field is of another type than kstatus reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(pub &'static str);

/// What a condition states.
#[derive(Debug, Clone, Copy)]
pub struct Stated<'a> {
    /// Its type.
    pub kind: &'a str,
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// A word.
    pub reason: &'a str,
    /// A sentence.
    pub message: &'a str,
}

/// Makes what an object tells that is as it is to be.
pub fn current() -> Told {
    Told::new(Standing::Current, "")
}

/// Makes what an object tells that is not there yet.
pub fn on_its_way(why: &str) -> Told {
    Told::new(Standing::InProgress, why)
}

/// Makes what an object tells that failed.
pub fn failed(why: &str) -> Told {
    Told::new(Standing::Failed, why)
}

/// Finds a field. Nothing below null is there; below anything else that is no object is a fault.
fn field<'a>(
    object: &'a Value,
    path: [&str; 2],
    what: &'static str,
) -> Result<Option<&'a Value>, Fault> {
    let mut at = object;
    for part in path {
        match at {
            Value::Null => return Ok(None),
            Value::Object(fields) => match fields.get(part) {
                Some(below) => at = below,
                None => return Ok(None),
            },
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(Fault(what));
            }
        }
    }
    Ok(Some(at))
}

/// Reads a whole number that may be absent, but nothing else.
fn whole(object: &Value, path: [&str; 2], what: &'static str) -> Result<Option<i64>, Fault> {
    let Some(value) = field(object, path, what)? else { return Ok(None) };
    value.as_i64().map(Some).ok_or(Fault(what))
}

/// The generation of an object.
///
/// # Errors
/// [`Fault`] where it is no whole number.
pub fn generation(object: &Value) -> Result<Option<i64>, Fault> {
    whole(object, ["metadata", "generation"], "metadata.generation")
}

/// The generation that its controller last looked at.
///
/// # Errors
/// [`Fault`] where it is no whole number.
pub fn observed_generation(object: &Value) -> Result<Option<i64>, Fault> {
    whole(object, ["status", "observedGeneration"], "status.observedGeneration")
}

/// Tells whether its controller has looked at its generation, as far as both are told.
///
/// # Errors
/// [`Fault`] where one of them is no whole number.
pub fn observed(object: &Value) -> Result<bool, Fault> {
    let Some(generation) = generation(object)? else { return Ok(true) };
    Ok(observed_generation(object)?.is_none_or(|observed| observed == generation))
}

/// Tells whether an object is being deleted.
///
/// # Errors
/// [`Fault`] where its time is no text.
pub fn deleted(object: &Value) -> Result<bool, Fault> {
    let what = "metadata.deletionTimestamp";
    let Some(value) = field(object, ["metadata", "deletionTimestamp"], what)? else {
        return Ok(false);
    };
    value.as_str().map(|text| !text.is_empty()).ok_or(Fault(what))
}

/// Reads the conditions of an object.
///
/// # Errors
/// [`Fault`] where one of them is none.
pub fn conditions(object: &Value) -> Result<Vec<Stated<'_>>, Fault> {
    let fault = Fault("status.conditions");
    let all = match object.get("status") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(status)) => status.get("conditions"),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return Err(Fault("status"));
        }
    };
    let all = match all {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(all) => all.as_array().ok_or(fault)?,
    };
    let text = |condition: &'_ Value, key: &str| match condition.get(key) {
        None | Some(Value::Null) => Ok(()),
        Some(value) => value.as_str().map(|_| ()).ok_or(fault),
    };
    let read = |condition: &Value| -> Result<(), Fault> {
        if !(condition.is_object() || condition.is_null()) {
            return Err(fault);
        }
        ["type", "status", "reason", "message"].iter().try_for_each(|key| text(condition, key))
    };
    all.iter().try_for_each(read)?;
    Ok(all.iter().map(stated).collect())
}

fn stated(condition: &Value) -> Stated<'_> {
    let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default();
    Stated {
        kind: text("type"),
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
    }
}

/// Reads a number; what is none counts as absent.
pub fn number(object: &Value, path: &str, default: i64) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or(default)
}

/// Reads a text; what is none counts as absent.
pub fn text<'a>(object: &'a Value, path: &str, default: &'a str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or(default)
}
