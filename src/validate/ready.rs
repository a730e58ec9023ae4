//! Ready: whether a Flux object stands for its present generation. It never reads what it offers.

use crate::api::foreign::Condition;
use crate::model::hold::Hold;
use crate::model::spec::SourceRef;
use crate::validate::excerpt::excerpt;

/// What a Flux object says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Stated<'a> {
    /// Its conditions.
    pub conditions: Option<&'a [Condition]>,
    /// The generation that its status speaks of.
    pub observed: Option<i64>,
    /// Its generation.
    pub generation: Option<i64>,
}

/// Tells why an object is not Ready at its generation: Flux keeps what it found when it fails. It
/// advances observedGeneration only with success, so a failure is told by its condition.
pub fn unready(stated: &Stated) -> Option<String> {
    let ready = stated.conditions.iter().copied().flatten().find(|c| c.kind == "Ready");
    let Some(ready) = ready else { return Some("it has no condition Ready yet".to_owned()) };
    let present = stated.observed == stated.generation
        || (ready.status != "True" && ready.observed_generation == stated.generation);
    match ready.status.as_str() {
        _ if !present => {
            Some("its controller has not looked at its present generation yet".to_owned())
        }
        "True" => None,
        status if ready.message.is_empty() => Some(excerpt(&format!("Ready is {status}"))),
        _ => Some(excerpt(&ready.message)),
    }
}

/// The hold of a source that is not Ready.
pub fn not_ready(source: &SourceRef, why: &str) -> Hold {
    Hold::SourceNotReady { source: source.to_string(), why: why.to_owned() }
}
