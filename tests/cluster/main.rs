//! Stories that a user would recognise, played on a real control plane against the real program.
//!
//! Each has a namespace, a controller process and a proxy of its own; `tests/rig/rig.sh run` gives
//! them the cluster. Nothing here reaches into the program: it is seen through the API server only.

#[cfg(test)]
mod stories;
#[cfg(test)]
mod support;
