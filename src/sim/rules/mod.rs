//! Rules: what the API server makes of an object before it stores it. Pure, they store nothing.

pub mod meta;
pub mod selector;
