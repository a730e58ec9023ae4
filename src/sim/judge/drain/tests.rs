//! The drain of S19.

use serde_json::json;

use crate::sim::judge::tale::{NEW, Row, Tale, check, set};

#[test]
fn pods_stay_for_a_while_after_their_traffic() {
    let rows: &[Row] = &[
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
    ];
    check(rows);
}
