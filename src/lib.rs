//! Stairlock.
