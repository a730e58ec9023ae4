//! Cli: what a person starts from a shell.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::runtime::settings::{Flags, Surroundings};

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
pub mod report;
pub mod timeline;
pub mod verdict;

/// The exit code for arguments and settings that cannot be used.
const USAGE: u8 = 2;

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
}

/// Does what the arguments say. Without a subcommand it is the controller.
pub async fn run(arguments: Arguments) -> ExitCode {
    let result = match arguments.command {
        Some(Command::Crd) => print_crd(),
        None => match arguments.flags.resolve(&Surroundings::read()) {
            Ok(settings) => controller::run(settings).await.map_err(Into::into),
            Err(error) => {
                complain(&error);
                return ExitCode::from(USAGE);
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn print_crd() -> Result<(), Box<dyn std::error::Error>> {
    let text = crd::crd_yaml()?;
    io::stdout().write_all(text.as_bytes()).map_err(Into::into)
}

/// Prints an error with all its causes on one line.
fn complain(error: &dyn std::error::Error) {
    let mut line = format!("stairlock: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // Nobody is left to be told where standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}
