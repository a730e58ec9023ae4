//! Stairlock.
fn main() {}
