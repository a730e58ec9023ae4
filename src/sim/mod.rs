//! Sim: a whole cluster in memory, under one seed and in virtual time, around the shipped program.
//!
//! It never touches a real cluster, a clock of the machine or its random numbers: the same story
//! gives the same history, byte for byte.

pub mod chance;
pub mod cluster;
pub mod collector;
pub mod faults;
pub mod history;
pub mod hub;
pub mod judge;
pub mod manners;
pub mod normal;
pub mod play;
pub mod process;
pub mod resource;
pub mod rules;
pub mod scenario;
pub mod schema;
pub mod server;
pub mod shrink;
pub mod story;
pub mod trace;
pub mod wire;
pub mod world;
pub mod yaml;
