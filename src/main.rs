//! Stairlock: parses arguments and runs.

use std::process::ExitCode;

use clap::Parser;
use stairlock::cli::{self, Arguments};

// Two threads: one may decode a large list while the other gives turns.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // A task of a worker: the thread of `main` is none, and would have to be woken for each answer.
    let running = tokio::spawn(cli::run(Arguments::parse()));
    running.await.unwrap_or(ExitCode::FAILURE)
}
