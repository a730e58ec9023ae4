//! Rules: what the API server makes of an object before it stores it. Pure, they store nothing.

pub mod kinds;
pub mod meta;
pub mod metadata;
pub mod names;
pub mod problem;
pub mod selector;
