//! Apply: writes. Each carries the state on which it was decided and fails at another one.
//!
//! It never decides and never reads to decide. The client that it is given refuses writes of a
//! process that does not lead, and cuts every call at its deadline.

pub mod announce;
pub mod checks;
pub mod commit;
pub mod error;
pub mod gates;
pub mod send;
pub mod writes;
