//! Found: collects what one change breaks. It never judges.

/// The broken invariants of one change, each with a sentence.
#[derive(Debug, Default)]
pub struct Found(pub Vec<(&'static str, String)>);

impl Found {
    /// Notes that an invariant is broken.
    pub fn push(&mut self, invariant: &'static str, message: impl Into<String>) {
        self.0.push((invariant, message.into()));
    }

    /// Notes that an invariant is broken unless this holds.
    pub fn unless(&mut self, holds: bool, invariant: &'static str, why: impl FnOnce() -> String) {
        if !holds {
            self.push(invariant, why());
        }
    }
}
