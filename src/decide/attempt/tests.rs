//! Which revisions come back without the steps.

use super::*;
use crate::decide::fixture::{at, at_rest, delivered, replica_set, template};
use crate::model::status::Entry;

/// The template becomes that of `shop:0.9.0`, while `shop:1.0.0` is stable; before it ended, newest
/// first, attempts at these versions. So many revisions may come back.
fn begins(window: usize, ended: &[(&str, Option<Cause>)]) -> Attempt {
    let mut seen = at_rest();
    let template_of = |version: &str| template(&format!("shop:{version}"));
    seen.template = template_of("0.9.0");
    seen.spec.ladder.rollback_window = window;
    for (version, cause) in ended {
        let template = template_of(version);
        if !seen.replica_sets.iter().any(|rs| rs.template == template.id) {
            seen.replica_sets.push(replica_set(&template, 0, 0));
        }
        seen.status.history.push(Entry {
            number: 1,
            release: delivered(&format!("shop:{version}")),
            revision: template.id.revision("shop", 0),
            trigger: Trigger::Template,
            started_at: at(0),
            ended_at: at(0),
            cause: *cause,
            weight: Weight::FULL,
            bake: None,
            intent: None,
        });
    }
    let Start::Commit(status) = start(&seen, at(1)) else { panic!("no attempt begins") };
    status.attempt.unwrap()
}

#[test]
fn what_carried_all_traffic_before_comes_back_without_the_steps() {
    let (well, failed) = (None, Some(Cause::DeadlineExceeded));
    let two = [("1.0.0", well), ("0.9.0", well)];
    let three = [("1.0.0", well), ("0.9.5", well), ("0.9.0", well)];
    let between = [("1.0.0", well), ("0.9.5", failed), ("0.9.0", well)];
    let back_and_forth = [("1.0.0", well), ("0.9.5", well), ("1.0.0", well), ("0.9.0", well)];
    let failed_since = [("1.0.0", well), ("0.9.0", failed), ("0.9.0", well)];
    let superseded = [("0.9.0", Some(Cause::Superseded)), ("1.0.0", well), ("0.9.0", well)];
    for (case, window, ended, want) in [
        ("the one before", 1, &two[..], 3),
        ("without a window it climbs", 0, &two[..], 1),
        ("two before, of one", 1, &three[..], 1),
        ("two before, of two", 2, &three[..], 3),
        ("what failed between does not count", 1, &between[..], 3),
        ("a revision counts once", 2, &back_and_forth[..], 3),
        ("and no more than that", 1, &back_and_forth[..], 1),
        ("one that failed since climbs", 9, &failed_since[..], 1),
        ("one that was not brought to its end climbs", 9, &superseded[..], 1),
        ("one that never carried all traffic climbs", 9, &[("1.0.0", well)][..], 1),
    ] {
        let attempt = begins(window, ended);
        let Stage::Step { number, paused_at: None, .. } = attempt.stage else { panic!("{case}") };
        assert_eq!(number, want, "{case}");
        assert_eq!((attempt.unpaused, attempt.weight == Weight::FULL), (want == 3, want == 3));
    }
}

#[test]
fn what_is_only_delivered_keeps_its_last_good_release() {
    let other = template("shop:0.9.0");
    let newer = template("shop:1.1.0").id.revision("shop", 0);
    for (workload, kept) in [(false, true), (true, false)] {
        let mut seen = at_rest();
        seen.spec.workload = workload;
        seen.replica_sets.clear();
        seen.status.attempt.as_mut().unwrap().revision = other.id.revision("shop", 0);
        seen.template = other.clone();
        let release = delivered("shop:1.1.0");
        let status = begin(&seen, newer.clone(), release, Trigger::Release, at(1));
        assert_eq!(status.stable.is_some(), kept, "workload: {workload}");
    }
}
