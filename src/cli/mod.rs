//! Cli: what a person starts from a shell.

pub mod crd;
