//! S6, and S1 and S4 of rules.

use serde_json::{Value, json};

use crate::sim::judge::tale::{NEW, OLD, Row, Tale, check, replica_set, selector, set};

const GROUP: &str = "x-group";

fn rule(headers: &Value, backends: Value) -> Value {
    json!({"matches": [{"path": {"value": "/"}, "headers": headers}], "backendRefs": backends})
}

fn plain() -> Value {
    json!({"matches": [{"path": {"value": "/"}}], "backendRefs": [
        {"name": "stable", "port": 80, "weight": 100},
        {"name": "canary", "port": 80, "weight": 0}]})
}

fn ours() -> Value {
    let asked = json!([{"type": "Exact", "name": GROUP, "value": "b"}]);
    rule(&asked, json!([{"name": "canary", "port": 80, "weight": 1}]))
}

/// 1.1.0 is whole beside 1.0.0, and its experiment is about to begin.
fn whole() -> Tale {
    let mut tale = Tale::at_rest(true);
    let chosen = json!({"variantAService": "stable", "variantBService": "canary",
        "variantBMatch": {"header": {"name": GROUP, "value": "b"}},
        "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}}});
    let strategy = json!({"canary": null, "abTesting": chosen});
    tale.merge("person", "rollouts/shop", json!({"spec": {"strategy": strategy}}));
    tale.after(6);
    tale.begins_release("1.1.0", "sha256:bb");
    let routing = json!({"strategy": "abTesting", "port": 80, "httpRoute": "shop",
        "stableService": "stable", "canaryService": "canary",
        "variantMatch": {"type": "Exact", "name": GROUP, "value": "b"}});
    tale.status(json!({"attempt": {"routing": routing}}));
    tale.image("controller", "shop:1.1.0@sha256:bb");
    tale.status(json!({"attempt": {"delivered": true}}));
    tale.create("controller", &set(NEW), replica_set(NEW, "shop:1.1.0@sha256:bb", 5));
    tale.after(1);
    tale.merge("controller", "services/canary", selector(NEW));
    tale.pods(NEW, 5);
    tale.after(6);
    tale
}

fn rules(tale: &mut Tale, by: &str, rules: &[Value]) {
    tale.merge(by, "httproutes/shop", json!({"spec": {"rules": rules}}));
}

/// The experiment runs.
fn running() -> Tale {
    let mut tale = whole();
    rules(&mut tale, "controller", &[ours(), plain()]);
    tale.after(1);
    tale.accept();
    tale.after(6);
    tale
}

#[test]
fn a_rule_appears_as_a_copy_on_a_whole_side() {
    let rows: &[Row] = &[
        ("it does", whole, |t| rules(t, "controller", &[ours(), plain()]), &[]),
        (
            "a pod is missing",
            || {
                let mut tale = whole();
                tale.pods(NEW, 4);
                tale.after(6);
                tale
            },
            |t| rules(t, "controller", &[ours(), plain()]),
            &["S1"],
        ),
        (
            "it stands there twice",
            whole,
            |t| rules(t, "controller", &[ours(), ours(), plain()]),
            &["S6"],
        ),
        ("it stands behind", whole, |t| rules(t, "controller", &[plain(), ours()]), &["S6"]),
        (
            "a filter is lost",
            || {
                let mut tale = whole();
                let mut rule = plain();
                rule["filters"] = json!([{"type": "URLRewrite"}]);
                rules(&mut tale, "person", &[rule]);
                tale.after(6);
                tale
            },
            |t| {
                let mut rule = plain();
                rule["filters"] = json!([{"type": "URLRewrite"}]);
                rules(t, "controller", &[ours(), rule]);
            },
            &["S6"],
        ),
        (
            "another rule is changed beside it",
            whole,
            |t| {
                let mut rule = plain();
                rule["timeouts"] = json!({"request": "1s"});
                rules(t, "controller", &[ours(), rule]);
            },
            &["S5", "S6"],
        ),
        (
            "nothing runs",
            || {
                let mut tale = whole();
                tale.after(6);
                tale.status(json!({"phase": "Progressing", "attempt": {"step": 2, "weight": 100}}));
                tale.after(6);
                tale
            },
            |t| rules(t, "controller", &[ours(), plain()]),
            &["S6"],
        ),
    ];
    for (case, begin, act, want) in rows {
        let mut tale = begin();
        let before = tale.broken().len();
        act(&mut tale);
        let broken = tale.broken();
        let fresh: Vec<_> = broken.into_iter().skip(before).collect();
        assert_eq!(fresh, *want, "{case}: {:#?}", tale.judge.violations());
    }
}

#[test]
fn a_rule_goes_only_to_a_side_that_answers() {
    let rows: &[Row] = &[
        ("it does", running, |t| rules(t, "controller", &[plain()]), &[]),
        (
            "stable is dead",
            || {
                let mut tale = running();
                tale.endpoints("stable", OLD, 0);
                tale.after(6);
                tale
            },
            |t| rules(t, "controller", &[plain()]),
            &["S4"],
        ),
        (
            "another rule goes with it",
            || {
                let mut tale = running();
                let other = json!({"backendRefs": [{"name": "files", "port": 80}]});
                rules(&mut tale, "person", &[ours(), plain(), other]);
                tale.after(6);
                tale
            },
            |t| rules(t, "controller", &[plain()]),
            &["S5"],
        ),
        (
            "the Service turns before it goes",
            running,
            |t| t.merge("controller", "services/canary", selector(OLD)),
            &["S2"],
        ),
    ];
    check(rows);
}
