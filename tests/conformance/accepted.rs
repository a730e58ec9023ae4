//! Accepted: the differences between the two servers that we live with, each with its reason.
//!
//! Blocks of three lines in `accepted.txt`: `sequence:`, `field:` (a prefix), `reason:`.

use super::golden::Difference;
use super::table::{Sequence, folder};

/// So many at most: more, and the simulated server is no stand-in for the real one.
pub const ACCEPTED_MAX: usize = 10;

/// A difference that is accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub sequence: String,
    pub field: String,
}

impl Accepted {
    /// Whether it speaks of this difference.
    pub fn covers(&self, sequence: &Sequence, difference: &Difference) -> bool {
        let rest = difference.field.strip_prefix(&self.field);
        sequence.title == self.sequence && rest.is_some_and(|r| r.is_empty() || r.starts_with('.'))
    }
}

/// Reads the list.
pub fn read() -> Vec<Accepted> {
    let text = std::fs::read_to_string(folder().join("accepted.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("//"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    blocks
        .map(|block| {
            let line = |key: &str| {
                let found = block.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
                let found = found.filter(|text| !text.is_empty());
                found.unwrap_or_else(|| panic!("accepted.txt: no `{key}` in\n{block}")).to_owned()
            };
            line("reason:");
            Accepted { sequence: line("sequence:"), field: line("field:") }
        })
        .collect()
}
