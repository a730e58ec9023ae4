//! L4: what is put back.

use serde_json::json;

use crate::sim::judge::tale::{Row, Tale, check};

const FINALIZER: &str = "stairlock.dev/restore";

fn deleted() -> Tale {
    let mut tale = Tale::awaiting();
    tale.merge("controller", "rollouts/shop", json!({"metadata": {"finalizers": [FINALIZER]}}));
    let marked = json!({"metadata": {"deletionTimestamp": "2026-01-02T12:05:00Z"}});
    tale.merge("person", "rollouts/shop", marked);
    tale.after(6);
    tale
}

#[test]
fn routing_is_restored_before_a_rollout_goes() {
    let rows: &[Row] = &[
        (
            "it is",
            deleted,
            |t| {
                t.weigh(100, 0);
                t.accept();
                t.delete("controller", "rollouts/shop");
            },
            &[],
        ),
        ("the weights stay", deleted, |t| t.delete("controller", "rollouts/shop"), &["L4"]),
        (
            "the weights stay where stable is dead",
            deleted,
            |t| {
                t.endpoints("stable", "", 0);
                t.after(6);
                t.delete("controller", "rollouts/shop");
            },
            &[],
        ),
        (
            "a Service of a person still selects one revision",
            deleted,
            |t| {
                t.merge(
                    "person",
                    "services/stable",
                    json!({"metadata": {"ownerReferences": null}}),
                );
                t.weigh(100, 0);
                t.after(6);
                t.delete("controller", "rollouts/shop");
            },
            &["L4"],
        ),
    ];
    check(rows);
}
