//! S16.

use serde_json::json;

use crate::sim::judge::tale::{Row, Tale, check};

fn rest() -> Tale {
    Tale::at_rest(true)
}

fn claim(t: &mut Tale, holder: &str) {
    let lease = json!({"spec": {"holderIdentity": holder}});
    let by = if holder.is_empty() { "controller" } else { holder };
    t.create(by, "leases/stairlock", lease);
}

fn elected() -> Tale {
    let mut tale = Tale::at_rest(true);
    claim(&mut tale, "controller");
    tale.status(json!({"observedGeneration": 2}));
    tale
}

fn write(t: &mut Tale, by: &str, number: i64) {
    t.merge(by, "rollouts/shop", json!({"status": {"observedGeneration": number}}));
}

#[test]
fn one_controller_writes_at_a_time() {
    let rows: &[Row] = &[
        ("the holder", elected, |t| write(t, "controller", 3), &[]),
        ("somebody who never held it", elected, |t| write(t, "controller-b", 3), &["S16"]),
        (
            "the next holder",
            elected,
            |t| {
                t.after(15);
                claim(t, "controller-b");
                write(t, "controller-b", 3);
            },
            &[],
        ),
        (
            "the old one after the next one wrote",
            elected,
            |t| {
                t.after(15);
                claim(t, "controller-b");
                write(t, "controller-b", 3);
                write(t, "controller", 4);
            },
            &["S16"],
        ),
        (
            "the old one before the next one wrote",
            elected,
            |t| {
                claim(t, "");
                claim(t, "controller-b");
                write(t, "controller", 3);
                write(t, "controller-b", 4);
            },
            &[],
        ),
        (
            "the old one comes back",
            elected,
            |t| {
                t.after(15);
                claim(t, "controller-b");
                write(t, "controller-b", 3);
                t.after(15);
                claim(t, "controller");
                write(t, "controller", 4);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn a_lease_lasts_its_time() {
    let rows: &[Row] = &[
        (
            "too long after it renewed",
            elected,
            |t| {
                t.after(16);
                write(t, "controller", 3);
            },
            &["S16"],
        ),
        (
            "the next one does not wait",
            elected,
            |t| {
                t.after(14);
                claim(t, "controller-b");
            },
            &["S16"],
        ),
        (
            "the holder gives it back",
            elected,
            |t| {
                claim(t, "");
                claim(t, "controller-b");
            },
            &[],
        ),
        ("nobody is elected", rest, |t| write(t, "controller-b", 3), &[]),
    ];
    check(rows);
}
