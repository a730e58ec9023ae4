//! Render: stored intent to the bodies of writes. Pure; it decides nothing and sends nothing.

pub mod check;
pub mod event;
pub mod eviction;
pub mod flux;
pub mod gate;
pub mod owner;
pub mod patch;
pub mod replica_set;
pub mod rollout;
pub mod route;
pub mod service;
pub mod status;
