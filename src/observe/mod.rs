//! Observe: reads. Stores that watches fill, and what one turn takes out of them.
//!
//! It never writes to the cluster and never decides.

pub mod access;
pub mod barrier;
pub mod beside;
pub mod guard;
pub mod light;
pub mod pods;
pub mod reader;
pub mod reading;
pub mod refs;
pub mod registry;
pub mod schedules;
pub mod seen;
pub mod store;
pub mod stores;
pub mod subject;
pub mod watch;
