//! Refusal: a write that is not taken, in the API server's words. It decides nothing.

use crate::sim::history::Place;
use crate::sim::resource::Resource;

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

/// The resource with its group and the name, as messages say it.
pub fn quoted(place: &Place) -> String {
    let resource = Resource::named(place.resource).map(Resource::qualified);
    format!("{} {:?}", resource.as_deref().unwrap_or(place.resource), place.name)
}

/// Says that an object is not there.
pub fn gone(place: &Place) -> Refusal {
    let message = format!("{} not found", quoted(place));
    Refusal { code: 404, reason: "NotFound", message }
}
