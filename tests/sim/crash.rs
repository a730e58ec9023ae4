//! Crash: the controller ends before and after every write, and at every pair of writes, and the
//! story comes to the end that it has without.

use serde_json::Value;
use stairlock::sim::normal::normal;
use stairlock::sim::story::{Event, Side, Story};
use stairlock::sim::trace::difference;

use crate::support::{each, number, played, stories, tell};

const SIDES: [Side; 2] = [Side::Before, Side::After];

fn crashing(story: &Story, at: &[(u32, Side)]) -> Story {
    let mut story = story.clone();
    story.events.extend(at.iter().map(|(write, side)| Event::Crash { write: *write, side: *side }));
    story
}

/// The end of a story with these crashes, and what broke on the way.
fn end(story: &Story, at: &[(u32, Side)]) -> (Value, Vec<String>, u32) {
    let outcome = played(&crashing(story, at));
    let broken = outcome.violations.iter().map(|v| format!("{}: {}", v.invariant, v.message));
    (normal(&outcome.cluster), broken.collect(), outcome.writes)
}

#[test]
fn every_story_ends_the_same_wherever_the_controller_ends() {
    for base in stories() {
        let (want, broken, writes) = end(&base.story, &[]);
        assert_eq!(broken, [""; 0], "{}", base.name);
        let points: Vec<(u32, Side)> =
            (1..=writes).flat_map(|write| SIDES.map(|side| (write, side))).collect();
        let wrong =
            each(points.len() as u64, |at| differs(&base.story, &want, &[points[at as usize]]));
        let wrong: Vec<String> = wrong.into_iter().flatten().collect();
        tell(&format!(
            "{}: {writes} writes, {} crashes, {} end otherwise",
            base.name,
            points.len(),
            wrong.len()
        ));
        assert!(wrong.is_empty(), "{}: {}", base.name, wrong.join("\n"));
    }
}

/// Every pair with `STAIRLOCK_PAIRS=1`, every 17th with `make sim`, else every 97th: `make test`
/// has to be done in 40 minutes where nothing is built yet.
#[test]
fn every_story_ends_the_same_wherever_the_controller_ends_twice() {
    let every = number("STAIRLOCK_PAIRS", 97) as usize;
    for base in stories() {
        let (want, _, writes) = end(&base.story, &[]);
        // The second crash comes after the first, among the writes that are left to do.
        let pairs = (1..=writes).flat_map(|one| (one + 1..=writes + 1).map(move |two| (one, two)));
        let pairs = pairs.flat_map(|(one, two)| {
            SIDES.into_iter().flat_map(move |a| SIDES.map(|b| [(one, a), (two, b)]))
        });
        let pairs: Vec<_> = pairs.step_by(every.max(1)).collect();
        let wrong = each(pairs.len() as u64, |at| differs(&base.story, &want, &pairs[at as usize]));
        let wrong: Vec<String> = wrong.into_iter().flatten().collect();
        let (count, name) = (pairs.len(), &base.name);
        tell(&format!("{name}: {count} pairs of crashes, {} end otherwise", wrong.len()));
        assert!(wrong.is_empty(), "{}: {}", base.name, wrong.join("\n"));
    }
}

fn differs(story: &Story, want: &Value, at: &[(u32, Side)]) -> Option<String> {
    let (got, broken, _) = end(story, at);
    if got == *want && broken.is_empty() {
        return None;
    }
    let ends = difference(want, &got);
    let ends: Vec<String> = ends.iter().map(|(path, got)| format!("  {path}: {got}")).collect();
    Some(format!("{at:?}: {broken:?}\n{}", ends.join("\n")))
}
