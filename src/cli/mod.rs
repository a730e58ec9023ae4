//! Cli: what a person starts from a shell.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use crate::cli::exit::Exit;
use crate::runtime::pace::Pace;
use crate::runtime::settings::{Flags, Surroundings};
use crate::runtime::telemetry::Chain;

pub mod account;
pub mod author;
pub mod controller;
pub mod crd;
pub mod exit;
pub mod facts;
pub mod forecast;
pub mod happens;
pub mod manifest;
pub mod output;
pub mod plan;
pub mod report;
pub mod simulate;
pub mod timeline;
pub mod verdict;

/// Brings each new release of an image to full traffic, step by step.
#[derive(Parser, Debug)]
#[command(name = "stairlock", version)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Print the CustomResourceDefinitions
    Crd,
    /// Play a rollout in a simulated cluster and tell how it goes
    Simulate(simulate::Simulate),
    /// Tell how a release would climb where nothing goes wrong
    Plan(plan::Plan),
}

/// Does what the arguments say. Without a subcommand it is the controller.
pub fn start(arguments: Arguments) -> ExitCode {
    let pace = Pace::default();
    let naps = pace.clone();
    // One thread: a second one costs a sixth more CPU for a release, mostly for being woken, and no
    // release is sooner by it, since the API server is what all wait for.
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().on_thread_park(move || naps.rest());
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, Exit::Trouble),
    };
    // A task of a worker: the thread of `main` is none, and would have to be woken for each answer.
    let running = runtime.spawn(run(arguments, pace));
    runtime.block_on(running).unwrap_or(ExitCode::FAILURE)
}

async fn run(arguments: Arguments, pace: Pace) -> ExitCode {
    match arguments.command {
        Some(Command::Crd) => match print_crd() {
            Ok(()) => Exit::Reached.into(),
            Err(error) => fail(error.as_ref(), Exit::Trouble),
        },
        Some(Command::Simulate(flags)) => {
            apart(move || {
                let played = simulate::simulate(&flags, note);
                played.unwrap_or_else(|error| failed(&error, error.exit()))
            })
            .await
        }
        Some(Command::Plan(flags)) => {
            apart(move || {
                let planned = plan::plan(&flags, note);
                planned.unwrap_or_else(|error| failed(&error, error.exit()))
            })
            .await
        }
        None => match arguments.flags.resolve(&Surroundings::read()) {
            Ok(settings) => match controller::run(settings, pace).await {
                Ok(()) => Exit::Reached.into(),
                Err(error) => fail(&error, Exit::Trouble),
            },
            Err(error) => fail(&error, Exit::Usage),
        },
    }
}

/// Runs what has a runtime of its own on a thread that belongs to none.
async fn apart(work: impl FnOnce() -> Exit + Send + 'static) -> ExitCode {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Exit::Trouble).into()
}

fn failed(error: &dyn std::error::Error, exit: Exit) -> Exit {
    note(&Chain(error).to_string());
    exit
}

fn fail(error: &dyn std::error::Error, exit: Exit) -> ExitCode {
    failed(error, exit).into()
}

/// Tells what a person may want to know and what no program reads.
fn note(what: &str) {
    // Nobody is left to be told where standard error is closed.
    let _ = writeln!(io::stderr(), "stairlock: {what}");
}

fn print_crd() -> Result<(), Box<dyn std::error::Error>> {
    let text = crd::crd_yaml()?;
    io::stdout().write_all(text.as_bytes()).map_err(Into::into)
}
