//! Api: the wire types, as users write them and as the API server stores them. No logic.

pub mod check;
pub mod definition;
pub mod foreign;
pub mod gate;
pub mod keys;
pub mod kind;
pub mod registry;
pub mod rollout;
pub mod routing;
pub mod schedule;
pub mod selector;
pub mod status;
pub mod strategy;
