use serde_json::json;

use super::*;
use crate::api::definition;

fn all() -> Vec<String> {
    texts(&definition::rollout().unwrap())
}

#[test]
fn every_rule_of_the_definition_has_a_law() {
    let texts = all();
    assert_eq!(unspoken(&texts), Vec::<&String>::new());
    let said = |law: &&Law| texts.iter().any(|text| text.starts_with(law.said));
    assert_eq!(LAWS.iter().filter(said).count(), LAWS.len(), "a law without a rule");
}

#[test]
fn a_law_is_broken_where_the_rule_would_be() {
    let labels = json!({"app": "shop"});
    let scaled = |scale: Value, routed: bool| {
        let mut canary = json!({"steps": [{"setWeight": 5, "setCanaryScale": scale}],
            "stableService": "a", "canaryService": "b"});
        if routed {
            canary["trafficRouting"] = json!({"gatewayAPI": {"httpRoute": "shop"}});
        }
        canary
    };
    let spec = |canary: Value| {
        json!({"metadata": {"name": "shop"}, "spec": {"selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app"}]}},
            "strategy": {"canary": canary}}})
    };
    for (case, canary, field) in [
        ("fine", json!({"steps": [{"setWeight": 20}, {"pause": {"duration": "1h30m"}}]}), None),
        ("an empty step", json!({"steps": [{}]}), Some("steps[0]")),
        ("a pause of 0", json!({"steps": [{"pause": {"duration": "0s"}}]}), Some("duration")),
        ("a unit twice", json!({"steps": [{"pause": {"duration": "1m2m"}}]}), Some("duration")),
        ("minutes and millis", json!({"steps": [{"pause": {"duration": "1m2ms"}}]}), None),
        ("too long", json!({"steps": [{"pause": {"duration": "8761h"}}]}), Some("duration")),
        ("falls", json!({"steps": [{"setWeight": 50}, {"setWeight": 20}]}), Some("canary")),
        ("no room", json!({"steps": [], "maxSurge": "0%", "maxUnavailable": 0}), Some("canary")),
        ("pods without a route", scaled(json!({"replicas": 2}), false), Some("canary")),
        ("pods of a route", scaled(json!({"matchTrafficWeight": true}), true), None),
        ("pods of no kind", scaled(json!({}), true), Some("setCanaryScale")),
        ("no pods at a weight", scaled(json!({"replicas": 0}), true), Some("steps[0]")),
        ("no rest", json!({"steps": [], "dynamicStableScale": true}), Some("canary")),
        ("no route", json!({"steps": [], "scaleDownDelaySeconds": 5}), Some("canary")),
        ("one service", json!({"steps": [], "stableService": "a"}), Some("canary")),
    ] {
        let found = check(&all(), None, &spec(canary));
        let found: Vec<&str> = found.iter().map(|problem| problem.field.as_str()).collect();
        match field {
            None => assert_eq!(found, Vec::<&str>::new(), "{case}"),
            Some(field) => {
                assert!(found.len() == 1 && found[0].ends_with(field), "{case} {found:?}")
            }
        }
    }
}

#[test]
fn a_strategy_is_one_and_has_two_sides() {
    let sides = json!({"activeService": "a", "previewService": "b"});
    let alike = json!({"activeService": "a", "previewService": "a"});
    let late = json!({"activeService": "a", "previewService": "b",
        "autoPromotionEnabled": false, "autoPromotionSeconds": 5});
    let variants = |patch: Value| {
        let mut chosen = json!({"variantAService": "a", "variantBService": "b",
            "variantBMatch": {"header": {"name": "x", "value": "b"}}});
        for (key, value) in patch.as_object().unwrap() {
            chosen[key] = value.clone();
        }
        chosen
    };
    for (case, strategy, field) in [
        ("blue-green", json!({"blueGreen": sides}), None),
        ("an experiment", json!({"abTesting": variants(json!({}))}), None),
        (
            "one Service for both variants",
            json!({"abTesting": variants(json!({"variantBService": "a"}))}),
            Some("abTesting"),
        ),
        (
            "nothing to match",
            json!({"abTesting": variants(json!({"variantBMatch": {}}))}),
            Some("abTesting.variantBMatch"),
        ),
        (
            "no time at all",
            json!({"abTesting": variants(json!({"maxDuration": "0s"}))}),
            Some("abTesting.maxDuration"),
        ),
        (
            "data that decide at once",
            json!({"abTesting": variants(json!({"analysis": {"minDuration": "0m"}}))}),
            Some("abTesting.analysis.minDuration"),
        ),
        (
            "data that decide before the end",
            json!({"abTesting": variants(json!({"maxDuration": "1h",
                "analysis": {"minDuration": "59m59s999ms"}}))}),
            None,
        ),
        (
            "data that decide with the end",
            json!({"abTesting": variants(json!({"maxDuration": "1h",
                "analysis": {"minDuration": "60m"}}))}),
            Some("abTesting"),
        ),
        ("none", json!({}), Some("strategy")),
        ("two", json!({"blueGreen": sides, "simple": {}}), Some("strategy")),
        ("one Service", json!({"blueGreen": alike}), Some("blueGreen")),
        ("seconds of nothing", json!({"blueGreen": late}), Some("blueGreen")),
        ("no room", json!({"simple": {"maxSurge": 0, "maxUnavailable": 0}}), Some("simple")),
    ] {
        let labels = json!({"app": "shop"});
        let object = json!({"metadata": {"name": "shop"}, "spec": {
            "selector": {"matchLabels": labels}, "strategy": strategy,
            "template": {"metadata": {"labels": labels}, "spec": {"containers": []}}}});
        let found: Vec<String> =
            check(&all(), None, &object).into_iter().map(|problem| problem.field).collect();
        let wanted: Vec<String> = field
            .into_iter()
            .map(|field| match field {
                "strategy" => "spec.strategy".to_owned(),
                field => format!("spec.strategy.{field}"),
            })
            .collect();
        assert_eq!(found, wanted, "{case}");
    }
}
