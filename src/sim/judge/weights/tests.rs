//! S1, S4, S7 and S9 of weights.

use serde_json::json;

use crate::sim::judge::tale::{NEW, OLD, Row, Tale, check, merge, place, selector};

fn routed() -> Tale {
    Tale::delivered(true)
}

#[test]
fn weights_rise_on_ready_endpoints_only() {
    let rows: &[Row] = &[
        ("enough are ready", routed, |t| t.weigh(80, 20), &[]),
        ("one is ready and two are needed", routed, |t| t.weigh(75, 25), &["S9", "S1"]),
        (
            "those that are ready are of the old revision",
            routed,
            |t| {
                t.endpoints("canary", OLD, 5);
                t.after(6);
                t.weigh(80, 20);
            },
            &["S1"],
        ),
        (
            "no pod is wanted",
            routed,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"replicas": 0}}));
                t.endpoints("canary", NEW, 0);
                t.after(6);
                t.weigh(80, 20);
            },
            &[],
        ),
        (
            "a person may do what they like",
            routed,
            |t| {
                t.endpoints("canary", NEW, 0);
                t.after(6);
                t.weigh_as("person", 80, 20);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn a_stale_cache_excuses_and_a_fresh_one_does_not() {
    let rows: &[Row] = &[
        (
            "none is ready",
            routed,
            |t| {
                t.endpoints("canary", NEW, 0);
                t.after(6);
                t.weigh(80, 20);
            },
            &["S1"],
        ),
        (
            "one was ready a moment ago",
            routed,
            |t| {
                t.endpoints("canary", NEW, 0);
                t.after(4);
                t.weigh(80, 20);
            },
            &[],
        ),
        (
            "one was ready when the writer was last told",
            routed,
            |t| {
                t.sight = Some(
                    [("endpointslices", t.revision())]
                        .into_iter()
                        .chain(["rollouts", "services", "httproutes"].map(|r| (r, t.revision())))
                        .collect(),
                );
                t.endpoints("canary", NEW, 0);
                t.after(60);
                t.weigh(80, 20);
            },
            &[],
        ),
        (
            "the writer was told that none is ready",
            routed,
            |t| {
                t.endpoints("canary", NEW, 0);
                let told = t.revision();
                t.sight = Some(
                    ["endpointslices", "rollouts", "services", "httproutes"]
                        .map(|resource| (resource, told))
                        .into(),
                );
                t.after(60);
                t.weigh(80, 20);
            },
            &["S1"],
        ),
    ];
    check(rows);
}

#[test]
fn a_promotion_ends_on_ready_endpoints() {
    let rows: &[Row] = &[(
        "the promotion turns back to a stable Service without pods",
        Tale::promoting,
        |t| {
            t.merge("controller", "services/stable", selector(NEW));
            t.after(6);
            t.endpoints("stable", NEW, 4);
            t.after(6);
            t.weigh(100, 0);
        },
        &["S1"],
    )];
    check(rows);
}

#[test]
fn the_way_back_leads_to_ready_endpoints() {
    let rows: &[Row] = &[
        ("stable is whole", Tale::aborted, |t| t.weigh(100, 0), &[]),
        (
            "stable has more than the canary",
            Tale::aborted,
            |t| {
                t.endpoints("stable", OLD, 4);
                t.after(6);
                t.weigh(100, 0);
            },
            &[],
        ),
        (
            "stable has fewer than the canary",
            Tale::aborted,
            |t| {
                t.endpoints("stable", OLD, 2);
                t.after(6);
                t.weigh(100, 0);
            },
            &["S4"],
        ),
        ("the canary gets weight on the way back", Tale::aborted, |t| t.weigh(40, 60), &["S4"]),
    ];
    check(rows);
}

#[test]
fn weights_add_up() {
    let rows: &[Row] = &[
        ("both and 100", routed, |t| t.weigh(80, 20), &[]),
        ("99", routed, |t| t.weigh(79, 20), &["S7"]),
        (
            "one is not written out",
            routed,
            |t| {
                let mut route = t.objects[&place("httproutes/shop")].as_ref().clone();
                let rule = &mut route["spec"]["rules"][0]["backendRefs"];
                rule[0]["weight"] = json!(100);
                merge(&mut rule[1], &json!({"weight": null}));
                t.create("controller", "httproutes/shop", route);
            },
            &["S7", "S9"],
        ),
        (
            "what others shared before",
            routed,
            |t| {
                let mut route = t.objects[&place("httproutes/shop")].as_ref().clone();
                let rule = &mut route["spec"]["rules"][0]["backendRefs"];
                rule.as_array_mut().unwrap().push(json!({"name": "other", "weight": 100}));
                rule[0]["weight"] = json!(150);
                t.create("person", "httproutes/shop", route.clone());
                let rule = &mut route["spec"]["rules"][0]["backendRefs"];
                rule[0]["weight"] = json!(120);
                rule[1]["weight"] = json!(30);
                t.create("controller", "httproutes/shop", route);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn the_share_of_the_canary_does_not_fall() {
    let rows: &[Row] = &[
        ("the canary's share falls", Tale::awaiting, |t| t.weigh(80, 20), &["S9"]),
        (
            "the canary's share falls with the ladder",
            Tale::awaiting,
            |t| {
                t.merge(
                    "person",
                    "rollouts/shop",
                    json!({"spec": {"strategy": {"canary": {
                "steps": [{"setWeight": 20}, {"setWeight": 20, "pause": {}}]}}}}),
                );
                t.weigh(80, 20);
            },
            &[],
        ),
        (
            "what a person gave it is taken back",
            Tale::awaiting,
            |t| {
                t.weigh_as("person", 20, 80);
                t.weigh(50, 50);
            },
            &[],
        ),
        ("the canary gets weight at rest", rest, |t| t.weigh(80, 20), &["S9"]),
    ];
    check(rows);
}

fn rest() -> Tale {
    Tale::at_rest(true)
}

/// Beside its route the Rollout has another one, of which its gateway said nothing yet.
fn two() -> Tale {
    let mut tale = routed();
    let backends = json!([{"name": "stable", "port": 80, "weight": 100},
        {"name": "canary", "port": 80, "weight": 0}]);
    let route = json!({"spec": {"parentRefs": [{"name": "gw"}],
        "rules": [{"backendRefs": backends}]}});
    tale.create("person", "grpcroutes/shop", route);
    tale.status(json!({"attempt": {"routing": {"httpRoute": null, "routes": [
        {"kind": "HTTPRoute", "name": "shop"}, {"kind": "GRPCRoute", "name": "shop"}]}}}));
    tale.after(6);
    tale
}

/// The other route is accepted.
fn both() -> Tale {
    let mut tale = two();
    let said = |kind| json!({"type": kind, "status": "True", "observedGeneration": 1});
    let parents = json!([{"conditions": [said("Accepted"), said("ResolvedRefs")]}]);
    tale.merge("gateway", "grpcroutes/shop", json!({"status": {"parents": parents}}));
    tale.after(6);
    tale
}

/// A GitOps tool has applied it besides.
fn one_in_git() -> Tale {
    let mut tale = both();
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "apps"});
    tale.merge("person", "grpcroutes/shop", json!({"metadata": {"labels": labels}}));
    tale.after(6);
    tale
}

#[test]
fn weights_rise_on_all_routes_together() {
    let rows: &[Row] = &[
        ("another one is not accepted", two, |t| t.weigh(80, 20), &["S1"]),
        ("it falls all the same", two, |t| t.weigh(100, 0), &[]),
        ("both can be written", both, |t| t.weigh(80, 20), &[]),
        ("another one is in Git", one_in_git, |t| t.weigh(80, 20), &["S1"]),
    ];
    check(rows);
    let mut tale = routed();
    let labels = json!({"app": "shop"});
    let api = json!({"httpRoute": null, "routes": [{"kind": "HTTPRoute", "name": "shop"},
        {"kind": "HTTPRoute", "matchLabels": labels}]});
    let canary = json!({"trafficRouting": {"gatewayAPI": api}});
    tale.merge("person", "rollouts/shop", json!({"spec": {"strategy": {"canary": canary}}}));
    let more = |stable: u32, canary: u32| {
        let backends = json!([{"name": "stable", "port": 80, "weight": stable},
            {"name": "canary", "port": 80, "weight": canary}]);
        json!({"metadata": {"labels": labels}, "spec": {"parentRefs": [{"name": "gw"}],
            "rules": [{"backendRefs": backends}]}})
    };
    tale.create("person", "httproutes/more", more(100, 0));
    tale.after(6);
    assert_eq!(tale.broken(), [""; 0]);
    tale.merge("controller", "httproutes/more", more(80, 20));
    assert!(tale.broken().contains(&"S9"), "the attempt did not record it: {:?}", tale.broken());
}
