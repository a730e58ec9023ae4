//! Traces: stories that once went wrong, or that show what happens, with what is to come of them.
//!
//! `tests/traces/sim/NAME.yaml` is a story as a failing seed prints it; `NAME.txt` beside it is
//! what people see of it. `UPDATE=1 cargo test --test sim traces` writes the texts.

use std::fs;
use std::path::Path;

use stairlock::cli::timeline::lines;
use stairlock::sim::play::Outcome;

use crate::support::{played, stories_in};

/// What people see, what broke, and how it ended.
fn told(outcome: &Outcome) -> String {
    let mut text = String::new();
    for line in lines(&outcome.changes, outcome.began, 0) {
        text.push_str(&format!("t+{} {}: {}\n", line.at, line.topic.as_str(), line.text));
    }
    for found in &outcome.violations {
        text.push_str(&format!("broken {}: {}\n", found.invariant, found.message));
    }
    text.push_str(&format!("{} writes\n", outcome.writes));
    text
}

#[test]
fn every_stored_story_goes_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/sim");
    let mut changed = Vec::new();
    for base in stories_in("tests/traces/sim") {
        let outcome = played(&base.story);
        assert!(outcome.violations.is_empty(), "{}: {:#?}", base.name, outcome.violations);
        let path = folder.join(format!("{}.txt", base.name));
        let (got, stored) = (told(&outcome), fs::read_to_string(&path).unwrap_or_default());
        if got == stored {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &got).unwrap();
        } else {
            let at = got.lines().zip(stored.lines()).take_while(|(a, b)| a == b).count();
            let (got, stored) = (got.lines().nth(at), stored.lines().nth(at));
            changed.push(format!("{} line {}: {stored:?} is {got:?}", base.name, at + 1));
        }
    }
    assert!(changed.is_empty(), "traces changed:\n{}", changed.join("\n"));
}
