//! Rules: what the API server makes of an object before it stores it. Pure, they store nothing.

pub mod apply;
pub mod cause;
pub mod compare;
pub mod defaults;
pub mod definition;
pub mod fields;
pub mod managed;
pub mod meta;
pub mod names;
pub mod schema;
pub mod selector;
pub mod settle;
pub mod validate;
