//! The shipped controller in a simulated cluster: stories, seeds, crashes.
//!
//! `STAIRLOCK_SEEDS=n` plays n seeds (1,000), `STAIRLOCK_FROM=n` begins at another one,
//! `STAIRLOCK_TWICE=n` plays n seeds twice (50), `STAIRLOCK_PAIRS=n` each nth pair of crashes (97),
//! `SEED=n` one seed, with its history, `STAIRLOCK_STORY=name` seeds of one story only. A story is
//! a file of tests/stories: no code.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod support;
#[cfg(test)]
mod traces;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
