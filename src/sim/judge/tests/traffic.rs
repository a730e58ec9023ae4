//! Traffic: S1, S2, S3, S4, S5, S7 and the drain of S19.

use serde_json::json;

use super::tale::{NEW, OLD, Tale, merge, owner, place, release, replica_set, selector, set};
use super::{Row, check};

fn routed() -> Tale {
    Tale::delivered(true)
}

fn unrouted() -> Tale {
    Tale::delivered(false)
}

#[test]
fn weights_rise_on_ready_endpoints_only() {
    let rows: &[Row] = &[
        ("enough are ready", routed, |t| t.weigh(80, 20), &[]),
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
        ("one is ready and two are needed", routed, |t| t.weigh(75, 25), &["S1"]),
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
        (
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
        ),
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
fn pods_with_traffic_stay() {
    let rows: &[Row] = &[
        (
            "the canary is cut below its share",
            Tale::awaiting,
            |t| {
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 2}}));
            },
            &["S2"],
        ),
        (
            "the canary goes before its weight",
            Tale::aborted,
            |t| {
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &["S2"],
        ),
        (
            "its weight is 0 and not accepted",
            Tale::aborted,
            |t| {
                t.weigh(100, 0);
                t.after(60);
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &["S2"],
        ),
        (
            "its weight is 0 for too short a time",
            Tale::aborted,
            |t| {
                t.weigh(100, 0);
                t.accept();
                t.after(29);
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &["S19"],
        ),
        (
            "its weight is 0 for long enough",
            Tale::aborted,
            |t| {
                t.weigh(100, 0);
                t.accept();
                t.after(30);
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &[],
        ),
        (
            "no pods are wanted",
            Tale::awaiting,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"replicas": 0}}));
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &[],
        ),
        (
            "a ReplicaSet with pods is deleted",
            Tale::completed,
            |t| {
                t.delete("controller", &set(OLD));
            },
            &["S2", "S19"],
        ),
        (
            "the canary Service turns away while it carries traffic",
            Tale::awaiting,
            |t| {
                t.merge("controller", "services/canary", selector(OLD));
            },
            &["S2"],
        ),
        (
            "without a route the last pod behind the stable Service goes",
            unrouted,
            |t| {
                t.ready(NEW, 9);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 0}}));
            },
            &["S2"],
        ),
    ];
    check(rows);
}

#[test]
fn pods_stay_within_their_bounds() {
    let rows: &[Row] = &[
        ("one more is allowed", unrouted, |_| {}, &[]),
        (
            "two more are not",
            unrouted,
            |t| {
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 2}}));
            },
            &["S3"],
        ),
        (
            "one may lack",
            unrouted,
            |t| {
                t.ready(NEW, 0);
                t.after(6);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 4}}));
            },
            &[],
        ),
        (
            "two may not",
            unrouted,
            |t| {
                t.ready(NEW, 0);
                t.after(6);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 3}}));
            },
            &["S3"],
        ),
        (
            "those that are not ready may go",
            unrouted,
            |t| {
                t.ready(OLD, 2);
                t.after(6);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 2}}));
            },
            &[],
        ),
        (
            "with a route stable keeps its size",
            Tale::promoting,
            |t| {
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 4}}));
            },
            &["S3"],
        ),
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
            &["S7"],
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
fn fields_of_others_stay() {
    let rows: &[Row] = &[
        (
            "a match of a rule",
            routed,
            |t| {
                let mut route = t.objects[&place("httproutes/shop")].as_ref().clone();
                route["spec"]["rules"][0]["matches"] = json!([]);
                t.create("controller", "httproutes/shop", route);
            },
            &["S5"],
        ),
        (
            "the weight of another backend",
            routed,
            |t| {
                let mut route = t.objects[&place("httproutes/shop")].as_ref().clone();
                let rule = &mut route["spec"]["rules"][0]["backendRefs"];
                rule.as_array_mut().unwrap().push(json!({"name": "other", "weight": 0}));
                t.create("person", "httproutes/shop", route.clone());
                route["spec"]["rules"][0]["backendRefs"][2]["weight"] = json!(1);
                t.create("controller", "httproutes/shop", route);
            },
            &["S5"],
        ),
        (
            "another key of a selector",
            routed,
            |t| {
                let other = json!({"spec": {"selector": {"app": "till"}}});
                t.merge("controller", "services/stable", other);
            },
            &["S5"],
        ),
        (
            "an environment variable",
            routed,
            |t| {
                let other = json!({"spec": {"replicas": 6}});
                t.merge("controller", "rollouts/shop", other);
            },
            &["S5"],
        ),
        (
            "an annotation of a person",
            routed,
            |t| {
                t.annotate("person", json!({"note": "hello"}));
                t.annotate("controller", json!({"note": null}));
            },
            &["S5"],
        ),
        (
            "a label of a ReplicaSet",
            routed,
            |t| {
                t.merge("controller", &set(OLD), json!({"metadata": {"labels": {"a": "b"}}}));
            },
            &["S5"],
        ),
        ("pods", routed, |t| t.create("controller", "pods/shop-1", json!({})), &["S5"]),
        (
            "a Service that nobody names",
            routed,
            |t| {
                let body = json!({"metadata": {"ownerReferences": owner()}});
                t.create("controller", "services/other", body);
            },
            &["S5"],
        ),
        (
            "a ReplicaSet of nobody",
            routed,
            |t| {
                let mut body = replica_set("3333333333", "shop:1.0.0", 0);
                merge(&mut body, &json!({"metadata": {"ownerReferences": null}}));
                t.create("controller", &set("3333333333"), body);
            },
            &["S5"],
        ),
        (
            "the finalizer of another",
            routed,
            |t| {
                t.merge("person", "rollouts/shop", json!({"metadata": {"finalizers": ["x"]}}));
                t.merge(
                    "controller",
                    "rollouts/shop",
                    json!({"metadata": {"finalizers": ["x", "stairlock.dev/restore"]}}),
                );
                t.merge("controller", "rollouts/shop", json!({"metadata": {"finalizers": []}}));
            },
            &["S5"],
        ),
        (
            "a Rollout that is not being deleted",
            routed,
            |t| {
                t.delete("controller", "rollouts/shop");
            },
            &["S5"],
        ),
    ];
    check(rows);
}

#[test]
fn what_failed_gets_no_pods() {
    let failed = || {
        let mut tale = Tale::aborted();
        tale.weigh(100, 0);
        tale.after(1);
        tale.accept();
        tale.image("controller", "shop:1.0.0");
        let notice = tale.notice("AttemptFailed");
        tale.status(json!({"phase": "Failed", "attempt": {"stage": "Ended"}, "outbox": [notice],
            "history": [{"number": 2, "outcome": "Aborted"},
                {"number": 1, "outcome": "Completed"}]}));
        tale.after(31);
        tale.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
        tale
    };
    let again = |t: &mut Tale| {
        t.after(6);
        t.merge("controller", &set(NEW), json!({"spec": {"replicas": 1}}));
    };
    let retried = |t: &mut Tale| {
        let notice = t.notice("AttemptStarted");
        t.after(6);
        t.status(json!({"phase": "Progressing", "outbox": [notice], "attempt": {"number": 3,
            "revision": NEW, "stage": "Step", "step": 1, "weight": 20, "trigger": "Release",
            "delivered": false, "cause": null, "release": release("1.1.0", "sha256:bb")}}));
    };
    let rows: &[Row] = &[
        ("it stays without pods", failed, |_| {}, &[]),
        ("it gets pods", failed, again, &["S8"]),
        ("it is tried again", failed, retried, &["S8", "S17"]),
    ];
    check(rows);
}
