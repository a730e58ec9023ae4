//! S1 and S2 of Services.

use crate::sim::judge::tale::{NEW, OLD, Row, Tale, check, selector};

fn unrouted() -> Tale {
    Tale::delivered(false)
}

#[test]
fn a_service_turns_to_enough_pods() {
    let rows: &[Row] = &[
        (
            "the stable Service turns to too few pods",
            Tale::paused,
            |t| {
                t.merge("controller", "services/stable", selector(NEW));
            },
            &["S1"],
        ),
        (
            "it turns once it carries nothing",
            Tale::promoting,
            |t| {
                t.merge("controller", "services/stable", selector(NEW));
            },
            &[],
        ),
        (
            "without a route it turns to fewer pods than it has",
            unrouted,
            |t| {
                t.merge("controller", "services/stable", selector(NEW));
            },
            &["S1"],
        ),
        (
            "without a route it turns to enough of them",
            unrouted,
            |t| {
                t.ready(NEW, 4);
                t.merge("controller", "services/stable", selector(NEW));
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn a_service_with_traffic_does_not_turn_away() {
    let rows: &[Row] = &[(
        "the canary Service turns away while it carries traffic",
        Tale::awaiting,
        |t| {
            t.merge("controller", "services/canary", selector(OLD));
        },
        &["S2"],
    )];
    check(rows);
}
