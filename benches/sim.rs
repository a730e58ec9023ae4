//! Sim: how many seeds of a canary story a core plays in a second. `cargo bench --bench sim`.

#![allow(clippy::expect_used, clippy::print_stdout)] // It is run by hand and tells a figure.
#![allow(clippy::disallowed_methods)] // It measures the machine.

use std::time::Instant;

use mimalloc::MiMalloc;

use stairlock::sim::play::play;
use stairlock::sim::story::Story;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Plays that are measured.
const PLAYS: u64 = 400;

fn main() {
    for name in ["template", "pods-split", "canary"] {
        let path = format!("{}/tests/stories/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the story is there");
        let mut story: Story = serde_saphyr::from_str(&text).expect("the story can be read");
        let began = Instant::now();
        let (mut writes, mut changes) = (0, 0);
        for seed in 0..PLAYS {
            story.seed = seed;
            let outcome = play(&story).expect("the story can be played");
            writes += u64::from(outcome.writes);
            changes += outcome.changes.len() as u64;
        }
        let rate = PLAYS as f64 / began.elapsed().as_secs_f64();
        println!(
            "{name}: {rate:.0} seeds/s on one core ({} writes, {} changes a seed)",
            writes / PLAYS,
            changes / PLAYS
        );
    }
}
