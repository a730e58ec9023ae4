//! S24.

use serde_json::json;

use crate::sim::judge::tale::{Row, Tale, check};

fn rest() -> Tale {
    Tale::at_rest(true)
}

/// A gate of this spec stands before 1.1.0 begins.
fn behind(tale: &mut Tale, spec: serde_json::Value) {
    tale.create("person", "rolloutgates/freeze", json!({"spec": spec}));
    tale.after(60);
}

fn begins(tale: &mut Tale) {
    tale.begins_release("1.1.0", "sha256:bb");
}

#[test]
fn a_release_starts_through_no_gate_that_is_closed_for_it() {
    let rows: &[Row] = &[
        (
            "a gate that lets nothing through",
            rest,
            |t| {
                behind(t, json!({"rolloutRef": {"name": "shop"}, "passing": false}));
                begins(t);
            },
            &["S24"],
        ),
        (
            "one that selects it",
            rest,
            |t| {
                behind(t, json!({"rolloutSelector": {}, "passing": false}));
                begins(t);
            },
            &["S24"],
        ),
        (
            "one that allows another version",
            rest,
            |t| {
                let versions = ["1.2.0"];
                let shop = json!({"name": "shop"});
                behind(t, json!({"rolloutRef": shop, "allowedVersions": versions}));
                begins(t);
            },
            &["S24"],
        ),
        (
            "one that allows none",
            rest,
            |t| {
                behind(t, json!({"rolloutRef": {"name": "shop"}, "allowedVersions": []}));
                begins(t);
            },
            &["S24"],
        ),
    ];
    check(rows);
}

#[test]
fn a_gate_that_asks_for_nothing_is_no_gate() {
    let rows: &[Row] = &[
        (
            "one that was opened, then closed a moment ago",
            rest,
            |t| {
                behind(t, json!({"rolloutRef": {"name": "shop"}, "passing": true}));
                t.merge("person", "rolloutgates/freeze", json!({"spec": {"passing": false}}));
                t.after(1);
                begins(t);
            },
            &[],
        ),
        (
            "one that allows it by its version",
            rest,
            |t| {
                let versions = ["v1.1.0"];
                let shop = json!({"name": "shop"});
                behind(t, json!({"rolloutRef": shop, "allowedVersions": versions}));
                begins(t);
            },
            &[],
        ),
        (
            "one for another Rollout",
            rest,
            |t| {
                behind(t, json!({"rolloutRef": {"name": "till"}, "passing": false}));
                let labels = json!({"matchLabels": {"tier": "web"}});
                t.create(
                    "person",
                    "rolloutgates/web",
                    json!({"spec": {"rolloutSelector": labels, "passing": false}}),
                );
                t.after(60);
                begins(t);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn what_stands_in_no_way_is_told_apart() {
    let rows: &[Row] = &[
        (
            "one that is gone",
            rest,
            |t| {
                behind(t, json!({"rolloutRef": {"name": "shop"}, "passing": false}));
                t.delete("person", "rolloutgates/freeze");
                t.after(60);
                begins(t);
            },
            &[],
        ),
        (
            "a person had it pass",
            rest,
            |t| {
                behind(t, json!({"rolloutRef": {"name": "shop"}, "passing": false}));
                t.status(json!({"bypass": {"version": "1.1.0"}}));
                begins(t);
            },
            &[],
        ),
        (
            "a person wants it",
            rest,
            |t| {
                behind(t, json!({"rolloutRef": {"name": "shop"}, "passing": false}));
                t.merge("person", "rollouts/shop", json!({"spec": {"wantedVersion": "1.1.0"}}));
                begins(t);
            },
            &[],
        ),
    ];
    check(rows);
}
