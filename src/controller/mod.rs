//! Controller: runs turns. Each goes one way: observe, validate, decide, one move, stop.

pub mod aside;
pub mod check;
pub mod context;
pub mod error;
pub mod hint;
pub mod line;
pub mod memory;
pub mod moves;
pub mod queue;
pub mod read;
pub mod reconcile;
pub mod run;
pub mod schedule;
pub mod stray;
pub mod triggers;

#[cfg(test)]
mod fixture;
