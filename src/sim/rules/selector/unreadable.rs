//! Unreadable: why a selector cannot be read, in the API server's words. No logic.

/// A selector that cannot be read: what the API server says of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);
