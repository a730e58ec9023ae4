//! Stairlock brings each new release of an image to full traffic, step by step.
//!
//! A turn goes one way: `observe` reads, `validate` parses once, `decide` thinks without I/O,
//! `apply` carries out one move; `controller` runs turns. `model` is the vocabulary, `api` the
//! wire, `render` the bodies of writes, `runtime` and `serve` what a process needs besides.

pub mod model;

pub mod api;

pub mod validate;

pub mod decide;

pub mod render;

pub mod observe;

pub mod apply;

pub mod controller;

pub mod runtime;

pub mod serve;

pub mod sim;

#[cfg(feature = "planted")]
pub mod planted;

pub mod cli;
