//! Histories that keep the invariants, and the least that breaks each of them.

use crate::sim::judge::INVARIANTS;
use crate::sim::judge::tale::Tale;

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
    assert_eq!(names.len(), 35);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 35);
}
