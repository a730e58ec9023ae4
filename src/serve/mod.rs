//! What the program answers over HTTP, and how a peer is kept from holding it up.

pub mod probes;
pub mod router;
