//! S1 and S2 of Services.

use serde_json::json;

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

#[test]
fn a_rule_to_the_canary_alone_follows_its_service() {
    let looked_at = |weight: u32| {
        let mut tale = Tale::awaiting();
        let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
        let pair = json!([backend("stable", 100 - weight), backend("canary", weight)]);
        let rules = json!([{"backendRefs": [backend("canary", 1)]}, {"backendRefs": pair}]);
        tale.merge("person", "httproutes/shop", json!({"spec": {"rules": rules}}));
        tale.accept();
        tale
    };
    let turns = |t: &mut Tale| t.merge("controller", "services/canary", selector(OLD));
    for (case, weight, want) in [
        ("another rule gives it a share", 50, vec!["S2"]),
        ("it has traffic only of those who look at it", 0, vec![]),
    ] {
        let mut tale = looked_at(weight);
        tale.calm();
        turns(&mut tale);
        assert_eq!(tale.broken(), want, "{case}");
    }
}
