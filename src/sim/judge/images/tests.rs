//! S14, S18 and the source of S20.

use serde_json::json;

use crate::sim::judge::tale::{NEW, Row, Tale, check, release};

fn decided() -> Tale {
    Tale::decided(true)
}

fn rest() -> Tale {
    Tale::at_rest(true)
}

/// An attempt at 1.1.0 begins, which status tells of for the first time, while the policy shows
/// another one.
fn below(tale: &mut Tale, shown: &str, image: &str) {
    tale.offer(shown, "");
    let release = json!({"version": "1.1.0", "tag": "1.1.0", "image": image});
    let known = json!([{"tag": "1.0.0"}, {"tag": "1.1.0"}]);
    let notice = tale.notice("AttemptStarted");
    tale.status(json!({"phase": "Progressing", "outbox": [notice], "availableReleases": known,
        "attempt": {"number": 2, "stage": "Step", "step": 1, "weight": 20, "trigger": "Release",
        "revision": NEW, "delivered": false, "release": release}}));
}

#[test]
fn releases_are_those_of_the_source() {
    let rows: &[Row] = &[
        ("an older one", rest, |t| t.begins_release("0.9.0", "sha256:dd"), &["S14"]),
        (
            "another digest than the source shows",
            rest,
            |t| {
                t.offer("1.1.0", "sha256:bb");
                let notice = t.notice("AttemptStarted");
                t.status(
                    json!({"phase": "Progressing", "outbox": [notice], "attempt": {"number": 2,
                "stage": "Step", "step": 1, "weight": 20, "trigger": "Release", "revision": NEW,
                "delivered": false, "release": release("1.1.0", "sha256:ee")}}),
                );
            },
            &["S18"],
        ),
        (
            "from another namespace",
            rest,
            |t| {
                t.merge(
                    "person",
                    "rollouts/shop",
                    json!({"spec": {"sourceRef": {"namespace": "flux"}}}),
                );
                t.begins_release("1.1.0", "sha256:bb");
            },
            &["S20", "S18"],
        ),
        (
            "out of its range",
            rest,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"semver": ">=1.0.0 <1.1.0"}}));
                t.begins_release("1.1.0", "sha256:bb");
            },
            &["S14"],
        ),
        (
            "a prerelease that no range names",
            rest,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"semver": ">=1.0.0"}}));
                t.begins_release("1.1.0-rc.1", "sha256:bb");
            },
            &["S14"],
        ),
        (
            "a prerelease that a range names",
            rest,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"semver": ">=1.0.0-0"}}));
                t.begins_release("1.1.0-rc.1", "sha256:bb");
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn a_policy_shows_the_upper_bound_of_what_its_registry_tells() {
    let rows: &[Row] = &[
        (
            "one below what the policy shows, that the registry was just listed for",
            rest,
            |t| below(t, "1.2.0", "shop:1.1.0"),
            &[],
        ),
        ("one above what the policy shows", rest, |t| below(t, "1.0.5", "shop:1.1.0"), &["S18"]),
        (
            "one of another repository than the policy shows",
            rest,
            |t| below(t, "1.2.0", "cart:1.1.0"),
            &["S18"],
        ),
    ];
    check(rows);
}

#[test]
fn images_are_those_that_were_accepted() {
    let rows: &[Row] = &[
        (
            "an older one is written",
            Tale::paused,
            |t| t.image("controller", "shop:1.0.0"),
            &["S14", "S18"],
        ),
        ("the old one is put back", Tale::aborted, |t| t.image("controller", "shop:1.0.0"), &[]),
        (
            "another digest than was accepted",
            decided,
            |t| {
                t.image("controller", "shop:1.1.0@sha256:ee");
            },
            &["S18"],
        ),
        (
            "the stable release where the source shows it again",
            || Tale::delivered(true),
            |t| {
                t.status(json!({"stable": {"release": release("1.2.0", "sha256:cc")}}));
                t.offer("1.2.0", "sha256:cc");
                t.image("controller", "shop:1.2.0@sha256:cc");
            },
            &[],
        ),
        (
            "into a container of another repository",
            || {
                let mut tale = decided();
                tale.image("person", "sidecar:1.0.0");
                tale
            },
            |t| t.image("controller", "shop:1.1.0@sha256:bb"),
            &["S5"],
        ),
    ];
    check(rows);
}
