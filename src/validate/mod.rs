//! Validate: wire to model, once. Every error carries a field path.

pub mod seen;
