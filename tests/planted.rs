//! How strong the simulator is: for each planted defect, the number of seeds until it is caught.
//!
//! Only with the feature `planted`: `make planted` runs it and writes docs/planted-bugs.md.
//! `STAIRLOCK_SEEDS` bounds the seeds of each defect, `STAIRLOCK_BUG` picks some by name,
//! `STAIRLOCK_TABLE` is the file to write.

#![cfg(feature = "planted")]

#[cfg(test)]
mod planted {
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{available_parallelism, scope};
    use std::time::Instant;

    use stairlock::planted::{Bug, plant};
    use stairlock::sim::chance;
    use stairlock::sim::play::play;

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
        let seeds = setting("STAIRLOCK_SEEDS").and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
        let picked = setting("STAIRLOCK_BUG");
        let wanted = |bug: &&Bug| picked.iter().all(|names| names.split(',').any(|n| n == bug.name()));
        let bugs: Vec<Bug> = Bug::ALL.iter().filter(wanted).copied().collect();
        let caught = hunt(&bugs, seeds);
        let table = table(&bugs, &caught, seeds);
        println!("{table}");
        if let Some(path) = setting("STAIRLOCK_TABLE") {
            std::fs::write(path, &table).unwrap();
        }
        let missed: Vec<String> =
            bugs.iter().filter(|bug| !caught.contains_key(bug)).map(|bug| bug.name()).collect();
        assert!(missed.is_empty(), "missed in {seeds} seeds: {}", missed.join(", "));
    }

    fn setting(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|text| !text.is_empty())
    }

    /// Hunts all defects, on all cores.
    fn hunt(bugs: &[Bug], seeds: u64) -> BTreeMap<Bug, Catch> {
        let caught = Mutex::new(BTreeMap::new());
        let next = AtomicUsize::new(0);
        let cores = available_parallelism().map_or(1, usize::from);
        // A defect may break the simulation itself: that is a catch, and no news for the screen.
        std::panic::set_hook(Box::new(|_| {}));
        scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let began = Instant::now();
                        let catch = (0..seeds).find_map(|seed| caught_by(*bug, seed));
                        eprintln!("{:>4} s {} {catch:?}", began.elapsed().as_secs(), bug.name());
                        if let Some(catch) = catch {
                            caught.lock().unwrap().insert(*bug, catch);
                        }
                    }
                });
            }
        });
        let _ = std::panic::take_hook();
        caught.into_inner().unwrap()
    }

    /// Plays a seed with a defect, and without it: what is broken anyway is no catch.
    fn caught_by(bug: Bug, seed: u64) -> Option<Catch> {
        let (invariant, message) = broken(Some(bug), seed)?;
        broken(None, seed).is_none().then_some(Catch { seed, invariant, message })
    }

    /// The first thing that goes wrong.
    fn broken(bug: Option<Bug>, seed: u64) -> Option<(String, String)> {
        plant(bug);
        let played = catch_unwind(AssertUnwindSafe(|| play(&chance::story(seed))));
        plant(None);
        match played {
            Ok(Ok(outcome)) => {
                let first = outcome.violations.first()?;
                Some((first.invariant.to_owned(), first.message.clone()))
            }
            Ok(Err(trouble)) => Some(("play".to_owned(), trouble.to_string())),
            Err(_) => Some(("panic".to_owned(), "the simulation panics".to_owned())),
        }
    }

    fn table(bugs: &[Bug], caught: &BTreeMap<Bug, Catch>, seeds: u64) -> String {
        let what = what();
        let mut text = format!(
            "# Planted defects\n\n\
             Written by `make planted`. Each row is a deliberate defect of `src/planted.rs`, in the \
             shipped code under a cargo\nfeature, and the number of seeds until the simulator tells \
             of it (at most {seeds}). The same seed without the\ndefect breaks nothing. \
             {} of {} are caught.\n\n\
             | defect | what the program does | stands for | seeds | invariant |\n\
             | --- | --- | --- | ---: | --- |\n",
            caught.len(),
            bugs.len(),
        );
        for bug in bugs {
            let (name, kin) = (bug.name(), bug.mutant().unwrap_or_default());
            let said = what.get(&name).map_or("", String::as_str);
            let (seeds, invariant) = match caught.get(bug) {
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
