//! Stub while the judge is written.
use crate::model::moment::Timestamp;
use crate::sim::history::Change;
/// V
#[derive(Debug, Clone)]
pub struct Violation {
    /// i
    pub invariant: &'static str,
    /// r
    pub revision: u64,
    /// a
    pub at: Timestamp,
    /// m
    pub message: String,
}
/// N
#[derive(Debug, Clone)]
pub enum Note {
    /// C
    Crashed {
        /// i
        identity: String,
        /// a
        at: Timestamp,
    },
    /// C
    Calm {
        /// a
        at: Timestamp,
    },
}
/// J
#[derive(Debug, Default)]
pub struct Judge(Vec<Violation>);
impl Judge {
    /// n
    pub fn new() -> Self {
        Self::default()
    }
    /// s
    pub fn see(&mut self, _: &Change) {}
    /// n
    pub fn note(&mut self, _: Note) {}
    /// e
    pub fn end(&mut self, _: Timestamp) {}
    /// v
    pub fn violations(&self) -> &[Violation] {
        &self.0
    }
}
