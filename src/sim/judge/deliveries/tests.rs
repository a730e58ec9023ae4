//! S5, S8, S13, S15, S19 and S22 of bound fields.

use serde_json::{Value, json};

use crate::sim::judge::tale::{NEW, Row, Tale, check};

const APPS: &str = "kustomizations/apps";

/// 1.1.0 is decided, and a variable is bound; it holds 1.0.0, which is applied.
fn bound() -> Tale {
    let mut tale = Tale::decided(true);
    tale.create(
        "flux",
        APPS,
        json!({"metadata": {"annotations": {"stairlock.dev/substitute.TAG.from": "shop"}},
            "spec": {"postBuild": {"substitute": {"TAG": "1.0.0", "OTHER": "7"}}}}),
    );
    applied(&mut tale);
    tale
}

/// 1.1.0 was aborted, a bound variable holds it, and the Rollout is frozen.
fn frozen() -> Tale {
    let mut tale = Tale::aborted();
    tale.create(
        "flux",
        APPS,
        json!({"metadata": {"annotations": {"stairlock.dev/substitute.TAG.from": "shop"}},
            "spec": {"postBuild": {"substitute": {"TAG": "1.1.0"}}}}),
    );
    applied(&mut tale);
    tale.status(json!({"stable": {"release": {"tag": "1.0.0"}}}));
    tale.merge("person", "rollouts/shop", json!({"spec": {"paused": true}}));
    tale.after(300);
    tale
}

/// The variable is bound to another Rollout too, which delivers 2.0.0 and is frozen.
fn bound_twice() -> Tale {
    let mut tale = bound();
    let alias = json!({"rollout.kuberik.com/substitute.TAG.from": "cart"});
    tale.merge("person", APPS, json!({"metadata": {"annotations": alias}}));
    let shop = &tale.objects[&crate::sim::judge::tale::place("rollouts/shop")];
    let mut cart = shop.as_ref().clone();
    cart["status"]["stable"] = json!(null);
    cart["status"]["attempt"]["release"] = json!({"tag": "2.0.0"});
    cart["spec"]["paused"] = json!(true);
    cart["metadata"] = json!({});
    tale.create("person", "rollouts/cart", cart);
    tale.after(300);
    tale
}

fn holds(tale: &mut Tale, tag: &str) {
    tale.merge("controller", APPS, json!({"spec": {"postBuild": {"substitute": {"TAG": tag}}}}));
}

/// Flux applies what there is.
fn applied(tale: &mut Tale) {
    tale.after(1);
    let object = &tale.objects[&crate::sim::judge::tale::place(APPS)];
    let generation = object["metadata"]["generation"].clone();
    tale.merge(
        "flux",
        APPS,
        json!({"status": {"observedGeneration": generation,
            "conditions": [{"type": "Ready", "status": "True"}]}}),
    );
}

/// 1.1.0 has all traffic and bakes for a minute, not yet healthy.
fn baking() -> Tale {
    let mut tale = Tale::promoting();
    tale.create(
        "flux",
        APPS,
        json!({"metadata": {"annotations": {"stairlock.dev/substitute.TAG.from": "shop"}},
            "spec": {"postBuild": {"substitute": {"TAG": "1.0.0"}}}}),
    );
    applied(&mut tale);
    tale.merge("person", "rollouts/shop", json!({"spec": {"bakeTime": "1m"}}));
    tale.merge("controller", "services/stable", crate::sim::judge::tale::selector(NEW));
    tale.after(1);
    tale.slices();
    tale.weigh(100, 0);
    tale.after(1);
    tale.accept();
    tale.status(json!({"attempt": {"stage": "Baking", "step": 0}, "stable": {"revision": NEW}}));
    tale
}

fn delivered() -> Tale {
    let mut tale = baking();
    holds(&mut tale, "1.1.0");
    applied(&mut tale);
    tale
}

fn begins(tale: &mut Tale) {
    let at = tale.at.to_string();
    tale.status(json!({"phase": "Baking", "attempt": {"bakeStartTime": at}}));
}

fn ends(tale: &mut Tale) {
    let notice = tale.notice("AttemptCompleted");
    tale.status(json!({"phase": "Completed", "outbox": [notice],
        "attempt": {"stage": "Completed", "bakeStartTime": null},
        "history": [
            {"number": 2, "outcome": "Completed"},
            {"number": 1, "outcome": "Completed"}]}));
}

const MARK: &str = "stairlock.dev/mark-successful";

/// A person takes the release for a success.
fn marked(tale: &mut Tale) {
    tale.annotate("person", json!({MARK: "true"}));
    let taken = json!({MARK: null, "stairlock.dev/accepted": "mark-successful 2/0"});
    tale.annotate("controller", taken);
    ends(tale);
}

fn other(tale: &mut Tale, patch: Value) {
    tale.merge("controller", APPS, json!({"spec": {"postBuild": patch}}));
}

#[test]
fn a_bound_field_gets_a_release_of_its_rollout() {
    let rows: &[Row] = &[
        ("the release of the attempt", bound, |t| holds(t, "1.1.0"), &[]),
        ("one of nobody", bound, |t| holds(t, "9.9.9"), &["S15"]),
        ("that of one of two", bound_twice, |t| holds(t, "1.1.0"), &[]),
        ("of two, that of the frozen one", bound_twice, |t| holds(t, "2.0.0"), &["S22"]),
        ("that of none of two", bound_twice, |t| holds(t, "9.9.9"), &["S15"]),
        ("it is taken away", bound, |t| other(t, json!({"substitute": {"TAG": null}})), &["S8"]),
        (
            "a variable that is not bound",
            bound,
            |t| other(t, json!({"substitute": {"OTHER": "8"}})),
            &["S5"],
        ),
        (
            "a field beside it",
            bound,
            |t| t.merge("controller", APPS, json!({"spec": {"suspend": true}})),
            &["S5"],
        ),
        (
            "while it is frozen",
            bound,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"paused": true}}));
                t.after(300);
                holds(t, "1.1.0");
            },
            &["S22"],
        ),
        ("what is aborted while it is frozen", frozen, |t| holds(t, "1.0.0"), &[]),
    ];
    check(rows);
}

#[test]
fn a_release_bakes_once_it_is_applied_and_for_so_long() {
    let rows: &[Row] = &[
        ("it is applied", delivered, begins, &[]),
        ("it is not written", baking, begins, &["S13"]),
        (
            "it is not applied",
            baking,
            |t| {
                holds(t, "1.1.0");
                begins(t);
            },
            &["S13"],
        ),
        (
            "for so long",
            delivered,
            |t| {
                begins(t);
                t.after(60);
                ends(t);
            },
            &[],
        ),
        (
            "not for so long",
            delivered,
            |t| {
                begins(t);
                t.after(50);
                ends(t);
            },
            &["S19"],
        ),
        (
            "a person says that it is over",
            delivered,
            |t| {
                begins(t);
                marked(t);
            },
            &[],
        ),
        ("a person says so of what is not applied", baking, marked, &[]),
        (
            "a person asks for it and nobody took that",
            delivered,
            |t| {
                begins(t);
                t.annotate("person", json!({MARK: "true"}));
                ends(t);
            },
            &["S19"],
        ),
    ];
    check(rows);
}
