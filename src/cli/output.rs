//! Output: in which form a command prints what it found.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

/// Prints text, or the document that says the same.
///
/// # Errors
/// What the system says of standard output.
pub fn print(format: Format, text: &str, document: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Text => out.write_all(text.as_bytes()),
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, document)?;
            out.write_all(b"\n")
        }
    }
}
