//! Schema: what objects look like: which fields they have, which lists are sets or maps, what is
//! empty. It holds no objects.

pub mod builtin;
pub mod checks;
pub mod openapi;
pub mod registry;
pub mod shape;
