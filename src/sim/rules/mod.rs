//! Rules: what the API server makes of an object before it stores it. Pure, they store nothing.

pub mod apply;
pub mod compare;
pub mod definition;
pub mod fields;
pub mod kinds;
pub mod laws;
pub mod managed;
pub mod meta;
pub mod metadata;
pub mod names;
pub mod path;
pub mod problem;
pub mod schema;
pub mod selector;
pub mod settle;
pub mod strategic;
pub mod validate;
