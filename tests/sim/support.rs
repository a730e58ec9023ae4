//! The stories, and how many of something are asked for.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use stairlock::sim::play::{Outcome, play};
use stairlock::sim::scenario;
use stairlock::sim::story::Story;

/// A story that nobody disturbs yet.
pub struct Base {
    pub name: String,
    pub story: Story,
}

/// Reads all stories that seeds disturb: besides those of strategies, those that show one thing.
pub fn all_stories() -> Vec<Base> {
    let mut all = stories();
    all.extend(stories_in("tests/stories/seeds"));
    all
}

/// Reads all stories that strategies are tested by: they end the same wherever a process ends.
pub fn stories() -> Vec<Base> {
    let all = stories_in("tests/stories");
    assert!(3 <= all.len(), "stories are missing in tests/stories");
    all
}

/// Reads all stories of a folder, sorted by name.
pub fn stories_in(folder: &str) -> Vec<Base> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "yaml")).collect();
    files.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let story = scenario::read(&path.display().to_string(), &text);
        Base { name, story: story.unwrap_or_else(|faults| panic!("{faults}")) }
    };
    files.into_iter().map(read).collect()
}

/// Tells a figure whoever runs the tests, captured or not.
pub fn tell(figure: &str) {
    // Nobody is left to be told where standard error is closed.
    let _ = writeln!(std::io::stderr(), "{figure}");
}

/// A number from the environment.
pub fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is expected"))
    })
}

pub fn played(story: &Story) -> Outcome {
    play(story).unwrap_or_else(|trouble| panic!("{trouble}"))
}

/// Does something for each number below `count`, on all cores; the results in order.
pub fn each<T: Send>(count: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut all: Vec<(u64, T)> = std::thread::scope(|scope| {
        let run = || {
            let mut mine = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if count <= at {
                    return mine;
                }
                mine.push((at, work(at)));
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}
