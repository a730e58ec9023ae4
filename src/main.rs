//! Stairlock: parses arguments and runs.

use std::process::ExitCode;

use clap::Parser;
use stairlock::cli::{self, Arguments};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::start(Arguments::parse())
}
