//! Stairlock.

pub mod runtime;
pub mod serve;
