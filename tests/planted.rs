//! How strong the simulator is: for each planted defect, the number of seeds until it is caught.
//!
//! Only with the feature `planted`: `make planted` runs it and writes docs/planted-bugs.md.
//! `STAIRLOCK_SEEDS` bounds the seeds of each defect, `STAIRLOCK_BUG` picks some by name,
//! `STAIRLOCK_TABLE` is the file to write.

#![cfg(feature = "planted")]

#[cfg(test)]
#[allow(dead_code)] // Of the stories' support a part is enough here.
#[path = "sim/support.rs"]
mod support;

#[cfg(test)]
mod planted {
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Instant;

    use stairlock::planted::{Bug, plant};
    use stairlock::sim::chance::disturb;
    use stairlock::sim::story::Story;

    use crate::support::{Base, all_stories, each, number, played};

    /// Seeds after which a defect counts as missed.
    const SEEDS: u64 = 10_000;

    /// How a defect was caught.
    #[derive(Debug, Clone)]
    struct Catch {
        /// The first seed that shows it.
        seed: u64,
        /// The invariant that was broken first.
        invariant: String,
        /// What was said about it.
        message: String,
    }

    #[test]
    fn every_planted_defect_is_caught() {
        let (bases, seeds) = (all_stories(), number("STAIRLOCK_SEEDS", SEEDS));
        let picked = std::env::var("STAIRLOCK_BUG").unwrap_or_default();
        let wanted = |bug: &&Bug| picked.is_empty() || picked.split(',').any(|n| n == bug.name());
        let bugs: Vec<Bug> = Bug::ALL.iter().filter(wanted).copied().collect();
        // A defect may break the simulation itself: that is a catch, and no news for the screen.
        std::panic::set_hook(Box::new(|_| {}));
        let caught = each(bugs.len() as u64, |at| hunt(bugs[at as usize], &bases, seeds));
        let _ = std::panic::take_hook();
        let rows: Vec<_> = bugs.iter().copied().zip(caught).collect();
        let table = table(&rows, seeds);
        println!("{table}");
        if let Ok(path) = std::env::var("STAIRLOCK_TABLE") {
            std::fs::write(path, &table).unwrap();
        }
        let missed = rows.iter().filter(|(_, catch)| catch.is_none());
        let missed: Vec<String> = missed.map(|(bug, _)| bug.name()).collect();
        assert!(missed.is_empty(), "missed in {seeds} seeds: {}", missed.join(", "));
    }

    fn hunt(bug: Bug, bases: &[Base], seeds: u64) -> Option<Catch> {
        #[allow(clippy::disallowed_methods)] // It measures the machine.
        let began = Instant::now();
        let catch = (0..seeds).find_map(|seed| caught_by(bug, bases, seed));
        let told =
            catch.as_ref().map_or("missed".to_owned(), |Catch { seed, invariant, message }| {
                format!("seed {seed}, {invariant}: {message}")
            });
        println!("{:>4} s {}: {told}", began.elapsed().as_secs(), bug.name());
        catch
    }

    /// Plays a seed with a defect, and without it: what is broken anyway is no catch.
    fn caught_by(bug: Bug, bases: &[Base], seed: u64) -> Option<Catch> {
        let base = &bases[(seed % bases.len() as u64) as usize];
        let story = disturb(&base.story, seed);
        let (invariant, message) = broken(Some(bug), &story)?;
        broken(None, &story).is_none().then_some(Catch { seed, invariant, message })
    }

    /// The first thing that goes wrong.
    fn broken(bug: Option<Bug>, story: &Story) -> Option<(String, String)> {
        plant(bug);
        let outcome = catch_unwind(AssertUnwindSafe(|| played(story)));
        plant(None);
        let Ok(outcome) = outcome else {
            return Some(("panic".to_owned(), "the simulation panics".to_owned()));
        };
        let first = outcome.violations.first()?;
        Some((first.invariant.to_owned(), first.message.clone()))
    }

    fn table(rows: &[(Bug, Option<Catch>)], seeds: u64) -> String {
        let what = what();
        let caught = rows.iter().filter(|(_, catch)| catch.is_some()).count();
        let mut text = format!(
            "# Planted defects\n\n\
             Written by `make planted`. Each row is a deliberate defect of `src/planted.rs`, in \
             the shipped code under a\ncargo feature, and the number of seeds until the simulator \
             tells of it (at most {seeds}). The same seed without\nthe defect breaks nothing. \
             `stands for`: the mutant of the reliability reference, section 4.4.\n\
             {caught} of {} are caught.\n\n\
             | defect | what the program does | stands for | seeds | invariant |\n\
             | --- | --- | --- | ---: | --- |\n",
            rows.len(),
        );
        for (bug, catch) in rows {
            let (name, kin) = (bug.name(), bug.mutant().unwrap_or_default());
            let said = what.get(&name).map_or("", String::as_str);
            let (seeds, invariant) = match catch {
                Some(catch) => ((catch.seed + 1).to_string(), catch.invariant.as_str()),
                None => ("missed".to_owned(), ""),
            };
            text += &format!("| {name} | {said} | {kin} | {seeds} | {invariant} |\n");
        }
        text
    }

    /// What each defect does, from where it is declared.
    fn what() -> BTreeMap<String, String> {
        let source = include_str!("../src/planted.rs");
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        let pairs = lines.windows(2).filter_map(|pair| {
            let name = pair[1].strip_suffix(',')?;
            Some((name.to_owned(), pair[0].strip_prefix("/// ")?.to_owned()))
        });
        pairs.collect()
    }
}
