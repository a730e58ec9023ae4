//! Which rules are ours, which are to be there, and what keeps them from it.

use serde_json::json;

use super::*;
use crate::model::spec::MatchKind;

fn header(value: &str) -> HeaderMatch {
    let (name, value) = ("x-group".to_owned(), value.to_owned());
    HeaderMatch { name, value, kind: MatchKind::Exact }
}

fn backend(name: &str, weight: u32) -> Value {
    json!({"name": name, "port": 80, "weight": weight})
}

/// A rule with both Services that asks for these matches.
fn pair(matches: Value) -> Value {
    json!({"name": "main", "matches": matches, "timeouts": {"request": "5s"},
        "backendRefs": [backend("a", 100), backend("b", 0)]})
}

fn path(value: &str) -> Value {
    json!({"path": {"type": "PathPrefix", "value": value}})
}

/// The copy of such a rule for one match.
fn copied(value: &str, group: &str) -> Value {
    let asked = json!({"type": "Exact", "name": "x-group", "value": group});
    json!({"matches": [{"path": {"type": "PathPrefix", "value": value}, "headers": [asked]}],
        "timeouts": {"request": "5s"}, "backendRefs": [backend("b", 1)]})
}

fn read(rules: &[Value], recorded: Option<&HeaderMatch>, runs: bool) -> Experiment {
    let reads: Vec<Read<'_>> = rules
        .iter()
        .map(|rule| {
            let backends = rule["backendRefs"].as_array().unwrap();
            let place = |name: &str| backends.iter().position(|b| b["name"] == name);
            let alone = backends.len() == 1 && place("b").is_some();
            Read { rule, alone, pair: place("a").and(place("b")) }
        })
        .collect();
    let route = RouteName::new(RouteKind::Http, "shop");
    let wanted = Wanted { route: &route, service: "b", header: &header("b"), recorded, runs };
    of_route(&reads, &wanted)
}

#[test]
fn each_rule_with_both_services_gets_a_copy_before_it() {
    let other = json!({"backendRefs": [backend("files", 1)]});
    let rules = [pair(json!([path("/x")])), other, pair(json!([path("/"), {"method": "GET"}]))];
    let experiment = read(&rules, None, false);
    assert_eq!((experiment.there.len(), experiment.hold), (0, None));
    let places: Vec<_> = experiment.wanted.iter().map(|rule| rule.index).collect();
    assert_eq!(places, [0, 3], "they stand in front of rules 0 and 2");
    assert_eq!(experiment.wanted[0].rule, copied("/x", "b"));
    assert_eq!(experiment.wanted[0].of, rules[0]);
    let asked = json!({"type": "Exact", "name": "x-group", "value": "b"});
    let root = json!({"type": "PathPrefix", "value": "/"});
    let both = json!([{"path": root, "headers": [asked]},
        {"method": "GET", "path": root, "headers": [asked]}]);
    assert_eq!(experiment.wanted[1].rule["matches"], both);
    let bare = read(&[pair(json!([]))], None, false);
    assert_eq!(bare.wanted[0].rule["matches"], json!([{"path": root, "headers": [asked]}]));
    let known = json!({"name": "X-Other", "value": "1"});
    let more = read(&[pair(json!([{"path": root, "headers": [known]}]))], None, false);
    assert_eq!(more.wanted[0].rule["matches"][0]["headers"], json!([known, asked]));
}

#[test]
fn rules_are_ours_by_what_the_attempt_recorded() {
    let plain = pair(json!([path("/")]));
    let (ours, edited) = (copied("/", "b"), copied("/old", "b"));
    let foreign = copied("/", "c");
    let both =
        json!({"matches": ours["matches"], "backendRefs": [backend("b", 1), backend("c", 1)]});
    let recorded = header("b");
    let earlier = header("c");
    for (case, first, record, runs, count) in [
        ("while it runs", &ours, Some(&recorded), true, 1),
        ("its own rule was edited", &edited, Some(&recorded), true, 1),
        ("another value", &foreign, Some(&recorded), true, 0),
        ("another backend beside it", &both, Some(&recorded), true, 0),
        ("left over", &ours, Some(&recorded), false, 1),
        ("left over, and the spec asks for another header", &foreign, Some(&earlier), false, 1),
        ("the status was lost", &ours, None, false, 1),
        ("not ours at rest", &edited, Some(&recorded), false, 0),
    ] {
        let rules = [first.clone(), plain.clone()];
        let experiment = read(&rules, record, runs);
        assert_eq!(experiment.there.len(), count, "{case}");
        let places: Vec<_> = experiment.wanted.iter().map(|rule| rule.index).collect();
        assert_eq!(places, [1 - count], "{case}");
    }
}

#[test]
fn what_keeps_an_experiment_from_a_route_is_told_before_it_begins() {
    let plain = || pair(json!([path("/")]));
    let many = |count| -> Vec<Value> {
        let other = json!({"backendRefs": [backend("files", 1)]});
        [vec![plain()], vec![other; count]].concat()
    };
    let matches = |count: usize| Value::Array(vec![path("/"); count]);
    let asks = |name: &str| json!([{"headers": [{"name": name, "value": "1"}]}]);
    let headers: Vec<Value> =
        (0..16).map(|n| json!({"name": format!("h{n}"), "value": "1"})).collect();
    for (case, rules, why) in [
        ("room for one", many(14), None),
        ("16 rules", many(15), Some("has 17 rules with those that the experiment adds")),
        ("64 matches", vec![pair(matches(64))], None),
        (
            "65 matches in two rules",
            vec![pair(matches(64)), pair(matches(1))],
            Some("has 130 matches"),
        ),
        ("the same header", vec![pair(asks("X-Group"))], Some("asks for the header x-group")),
        ("another header", vec![pair(asks("x-user"))], None),
        ("16 headers", vec![pair(json!([{"headers": headers}]))], Some("a match has 16 headers")),
        (
            "a rule of a person that would be taken for ours",
            vec![copied("/old", "b"), plain()],
            Some("rules[0] leads requests with the header x-group"),
        ),
    ] {
        match (read(&rules, None, false).hold, why) {
            (None, None) => {}
            (Some(Hold::RouteAmbiguous { why: told, .. }), Some(why)) => {
                assert!(told.contains(why), "{case}: {told}");
            }
            (hold, _) => panic!("{case}: {hold:?}"),
        }
    }
}
