//! Stairlock: parses arguments and runs.

use std::process::ExitCode;

use clap::Parser;
use stairlock::cli::{self, Arguments};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

// One thread: a second one costs a sixth more CPU for a release, mostly for being woken, and no
// release is sooner by it, since the API server is what all wait for.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    // A task of a worker: the thread of `main` is none, and would have to be woken for each answer.
    let running = tokio::spawn(cli::run(Arguments::parse()));
    running.await.unwrap_or(ExitCode::FAILURE)
}
