//! The conformance table: sequences of requests, and what the real API server answers to them.
//!
//! `*.txt` are the sequences and `golden/*.txt` the real answers. Without a cluster the simulated
//! API server is compared with the stored answers; inside a rig (`tests/rig/rig.sh run cargo test
//! --test conformance`) the real one is too, and with `UPDATE=1` its answers are stored.

#[cfg(test)]
mod accepted;
#[cfg(test)]
mod asked;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod normal;
#[cfg(test)]
mod play;
#[cfg(test)]
mod real;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
