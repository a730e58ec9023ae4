//! Model: the vocabulary. Values that are legal by construction, and what a turn knows and may do.
//!
//! Start at [`snapshot`] (what a turn knows) and [`moves`] (what it may do).

pub mod binding;
pub mod command;
pub mod gate;
pub mod health;
pub mod hold;
pub mod image;
pub mod inspection;
pub mod moment;
pub mod moves;
pub mod notice;
pub mod problem;
pub mod range;
pub mod registry;
pub mod release;
pub mod remedy;
pub mod schedule;
pub mod selector;
pub mod shared;
pub mod snapshot;
pub mod spec;
pub mod standing;
pub mod status;
pub mod template;
pub mod version;
pub mod weight;
pub mod zone;
