//! Stairlock.

pub mod runtime;
