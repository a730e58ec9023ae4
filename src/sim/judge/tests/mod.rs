//! Histories that keep the invariants, and the least that breaks each of them.

mod attempts;
mod tale;
mod times;
mod traffic;

use crate::sim::judge::INVARIANTS;
use tale::Tale;

/// A case: where the tale begins, what happens then, and what of it is broken.
type Row = (&'static str, fn() -> Tale, fn(&mut Tale), &'static [&'static str]);

fn check(rows: &[Row]) {
    for (case, begin, act, want) in rows {
        let mut tale = begin();
        assert_eq!(tale.broken(), [""; 0], "before {case}: {:#?}", tale.judge.violations());
        act(&mut tale);
        assert_eq!(tale.broken(), *want, "{case}: {:#?}", tale.judge.violations());
    }
}

#[test]
fn a_whole_release_breaks_nothing() {
    for begin in [Tale::completed, Tale::aborted] {
        let tale = begin();
        assert_eq!(tale.judge.violations(), []);
    }
}

#[test]
fn every_invariant_is_listed_once() {
    let mut names: Vec<_> = INVARIANTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), 32);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 32);
}
