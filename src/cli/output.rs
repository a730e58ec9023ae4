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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use schemars::schema_for;

    use crate::cli::{forecast, report};
    use crate::sim::scenario;

    /// `UPDATE=1` rewrites them.
    #[test]
    fn the_stored_schemas_are_up_to_date() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
        for (name, schema) in [
            ("simulate", schema_for!(report::Report).to_value()),
            ("plan", schema_for!(forecast::Plan).to_value()),
            ("scenario", scenario::schema().clone()),
        ] {
            let path = folder.join(format!("{name}.schema.json"));
            let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
            if std::env::var_os("UPDATE").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &text).unwrap();
            }
            let stored = fs::read_to_string(&path).unwrap_or_default();
            assert!(stored == text, "{} is stale: UPDATE=1", path.display());
        }
    }
}
