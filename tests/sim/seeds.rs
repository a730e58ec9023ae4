//! Seeds: whatever goes wrong, what must always hold does.

use stairlock::sim::chance::disturb;
use stairlock::sim::play::Outcome;
use stairlock::sim::scenario;
use stairlock::sim::shrink::shrink;
use stairlock::sim::story::Story;
use stairlock::sim::trace;

use crate::support::{Base, all_stories, each, number, played, tell};

/// Failing seeds that are made short and printed.
const SHOWN_MAX: usize = 5;

/// The story of a seed: they take turns.
fn of(bases: &[Base], seed: u64) -> (&str, Story) {
    let base = &bases[(seed % bases.len() as u64) as usize];
    (&base.name, disturb(&base.story, seed))
}

fn history(outcome: &Outcome) -> String {
    trace::text(outcome.changes.iter().map(AsRef::as_ref), outcome.began)
}

#[test]
fn no_seed_breaks_what_must_always_hold() {
    let mut bases = all_stories();
    if let Ok(name) = std::env::var("STAIRLOCK_STORY") {
        bases.retain(|base| base.name == name);
        assert!(!bases.is_empty(), "there is no story {name}");
    }
    let (from, count) = match std::env::var("SEED") {
        Ok(seed) => (seed.parse().expect("SEED is a number"), 1),
        Err(_) => (number("STAIRLOCK_FROM", 0), number("STAIRLOCK_SEEDS", 1000)),
    };
    #[allow(clippy::disallowed_methods)] // It measures the machine.
    let began = std::time::Instant::now();
    let results = each(count, |at| {
        let (name, story) = of(&bases, from + at);
        let outcome = played(&story);
        if count == 1 {
            println!("{name}\n{}", history(&outcome));
        }
        let first = outcome.violations.first().cloned();
        (outcome.changes.len(), outcome.writes, first)
    });
    let changes: usize = results.iter().map(|(changes, _, _)| changes).sum();
    let writes: u32 = results.iter().map(|(_, writes, _)| writes).sum();
    let failed: Vec<u64> =
        (from..).zip(&results).filter(|(_, r)| r.2.is_some()).map(|(s, _)| s).collect();
    let rate = count as f64 / began.elapsed().as_secs_f64();
    tell(&format!(
        "{count} seeds from {from}: {} with violations, {changes} changes, {writes} writes, \
         {rate:.0} seeds/s",
        failed.len()
    ));
    let shown: Vec<String> =
        failed.iter().take(SHOWN_MAX).map(|seed| shortest(&bases, *seed)).collect();
    assert!(
        failed.is_empty(),
        "{} seeds fail: {:?}\n{}",
        failed.len(),
        &failed[..failed.len().min(50)],
        shown.join("\n")
    );
}

/// The shortest story that fails as a seed does, to be stored under tests/traces/sim.
fn shortest(bases: &[Base], seed: u64) -> String {
    let (name, story) = of(bases, seed);
    let first = played(&story).violations[0].clone();
    let short = shrink(&story, |story| {
        played(story).violations.iter().any(|found| found.invariant == first.invariant)
    });
    let found = played(&short).violations;
    let found = found.iter().find(|found| found.invariant == first.invariant).unwrap().clone();
    let mut text = format!("seed {seed} of {name}: {}: {}\n", found.invariant, found.message);
    text.push_str(&scenario::print(&short).unwrap());
    text
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let bases = all_stories();
    let count = number("STAIRLOCK_TWICE", 50);
    let differ: Vec<u64> = each(count, |seed| {
        let (_, story) = of(&bases, seed);
        let same = history(&played(&story)) == history(&played(&story));
        (!same).then_some(seed)
    })
    .into_iter()
    .flatten()
    .collect();
    tell(&format!("{count} seeds twice: {} differ", differ.len()));
    assert!(differ.is_empty(), "seeds that differ: {differ:?}");
}

#[test]
fn every_story_ends_well_if_nobody_disturbs_it() {
    for base in all_stories() {
        let outcome = played(&base.story);
        assert!(outcome.violations.is_empty(), "{}: {:#?}", base.name, outcome.violations);
        assert!(outcome.idle.is_empty(), "{}: {:?}", base.name, outcome.idle);
    }
}
