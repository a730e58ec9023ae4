//! Sim: how many seeds of a canary story a core plays in a second, and what an event costs in short
//! and in long stories. `cargo bench --bench sim`.

#![allow(clippy::expect_used, clippy::print_stdout)] // It is run by hand and tells a figure.
#![allow(clippy::disallowed_methods)] // It measures the machine.

use std::time::{Duration as Elapsed, Instant};

use serde_json::json;

use stairlock::model::moment::Duration;
use stairlock::sim::play::play;
use stairlock::sim::story::{Event, Span, Story};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Plays of each short story that are measured.
const PLAYS: u64 = 400;
/// Releases of the long stories: more than the ten that the history and the revisions keep.
const RELEASES: [u64; 3] = [16, 64, 256];
/// From one release to the next: the last one has settled by then.
const APART: Duration = Duration::from_secs(180);

/// What plays came to.
#[derive(Default)]
struct Sum {
    plays: u64,
    writes: u64,
    changes: u64,
    took: Elapsed,
}

impl Sum {
    fn of(story: &mut Story, plays: u64) -> Self {
        let mut sum = Self { plays, ..Self::default() };
        let began = Instant::now();
        for seed in 0..plays {
            story.seed = seed;
            let outcome = play(story).expect("the story can be played");
            sum.writes += u64::from(outcome.writes);
            sum.changes += outcome.changes.len() as u64;
        }
        sum.took = began.elapsed();
        sum
    }

    fn a_second(&self) -> f64 {
        self.plays as f64 / self.took.as_secs_f64()
    }

    fn micros_a_change(&self) -> f64 {
        self.took.as_secs_f64() * 1e6 / self.changes as f64
    }
}

fn story(name: &str) -> Story {
    let path = format!("{}/tests/stories/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the story is there");
    serde_saphyr::from_str(&text).expect("the story can be read")
}

/// The story `canary` with so many releases, and nobody to be waited for.
fn long(releases: u64) -> Story {
    let mut story = story("canary");
    for object in &mut story.objects {
        if let Some(canary) = object.pointer_mut("/spec/strategy/canary") {
            canary["steps"] = json!([{"setWeight": 20, "pause": {"duration": "10s"}}]);
        }
    }
    let at = |number| Duration::from_millis(1000 + number * APART.millis());
    let release = |number| {
        let event =
            json!({"release": {"at": Span(at(number)), "version": format!("1.{number}.0")}});
        serde_json::from_value::<Event>(event).expect("an event")
    };
    story.events = (0..releases).map(release).collect();
    story.until = Span(at(releases));
    story
}

fn main() {
    for name in ["template", "pods-split", "canary"] {
        let sum = Sum::of(&mut story(name), PLAYS);
        println!(
            "{name}: {:.0} seeds/s on one core ({} writes, {} changes a seed)",
            sum.a_second(),
            sum.writes / PLAYS,
            sum.changes / PLAYS
        );
    }
    for releases in RELEASES {
        let plays = PLAYS / releases;
        let sum = Sum::of(&mut long(releases), plays);
        println!(
            "{releases} releases: {:.0} us an event ({} writes, {} changes a seed)",
            sum.micros_a_change(),
            sum.writes / plays,
            sum.changes / plays
        );
    }
}
