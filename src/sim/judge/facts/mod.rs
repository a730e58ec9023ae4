//! Facts: what the invariants ask of objects, read once from each state. They never judge.

pub mod pods;
pub mod rollout;
pub mod route;
pub mod source;
pub mod status;
