use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::release::Listed;
use crate::validate::{fixture, rollout, template};

fn read(tags: &[&str], truncated: bool) -> Reading {
    let tags = Arc::new(tags.iter().map(|tag| (*tag).to_owned()).collect());
    Reading::Tags { tags, truncated }
}

/// What a registry with this reading offers to a Rollout on 1.2.3 that knows these tags.
fn told(patch: Value, reading: Option<&Reading>, known: &[&str]) -> String {
    let base = json!({"spec": {"registry": {"image": "registry.example/shop"}}});
    let shop = fixture::rollout(fixture::merged(&base, &json!({"spec": patch})));
    let spec = rollout::spec(&shop).unwrap();
    let listed = |tag: &&str| Listed { tag: (*tag).to_owned(), ..Listed::default() };
    let status = Status { available: known.iter().map(listed).collect(), ..Status::default() };
    let template = template::with_owners(&shop, &[]);
    let registry = spec.registry.as_ref().unwrap();
    match releases(registry, reading, (&spec, &template, &status)) {
        Err(hold) => format!("{}: {}", hold.code(), hold.message()),
        Ok(found) => {
            let tags: Vec<_> = found.newest_first().filter_map(|r| r.image.tag.clone()).collect();
            let stale = if found.stale.is_some() { " stale" } else { "" };
            format!("{}{stale} {:?}", tags.join(" "), found.suspect)
        }
    }
}

#[test]
fn the_tags_that_are_versions_are_offered_newest_first() {
    let all = read(
        &[
            "1.2.3",
            "1.10.0",
            "v1.9.0",
            "1.9.0",
            "2.0.0-rc.1",
            "2.0.0-beta.1",
            "latest",
            "1.2",
            "x y",
        ],
        false,
    );
    let before = read(&["2.0.0-rc.1"], false);
    for (case, patch, reading, known, want) in [
        ("by version", json!({}), Some(&all), &[][..], "1.10.0 1.9.0 v1.9.0 1.2.3 None"),
        ("in the range", json!({"semver": "<1.5.0"}), Some(&all), &[], "1.2.3 None"),
        (
            "prereleases that the range names",
            json!({"semver": ">=1.9.1-0"}),
            Some(&all),
            &[],
            "2.0.0-rc.1 2.0.0-beta.1 1.10.0 None",
        ),
        (
            "prereleases that are allowed",
            json!({"semver": ">=1.9.1", "prereleases": {"enabled": true, "allow": ["rc"]}}),
            Some(&all),
            &[],
            "2.0.0-rc.1 1.10.0 None",
        ),
        (
            "none in the range",
            json!({"semver": ">=3.0.0"}),
            Some(&all),
            &[],
            "OutOfRange: version 2.0.0-rc.1",
        ),
        (
            "a prerelease only",
            json!({}),
            Some(&before),
            &[],
            "SourceNotReady: registry registry.example/shop is not ready: its newest version is \
            2.0.0-rc.1, a prerelease",
        ),
        ("no version", json!({}), Some(&read(&["latest"], false)), &[], "SourceNotReady: "),
    ] {
        let got = told(patch, reading, known);
        assert!(got.starts_with(want), "{case}: {got}");
    }
}

#[test]
fn a_list_that_is_not_whole_offers_nothing() {
    let fault = Reading::Unread { reason: "RegistryFault", why: "it fails".to_owned() };
    for (case, reading, known, want) in [
        ("no tag at all", Some(read(&[], false)), &["1.2.3"][..], "SourceSuspect: "),
        ("what runs is lost", Some(read(&["1.2.2"], false)), &["1.2.3"], "1.2.2 Some(\"1.2.3\")"),
        ("though newer ones are there", Some(read(&["1.3.0"], false)), &["1.2.3"], "1.3.0 Some("),
        ("it was never there", Some(read(&["1.2.2"], false)), &["1.2.2"], "1.2.2 None"),
        ("no tag, and none before", Some(read(&[], false)), &[], "SourceNotReady: "),
        ("more tags than are read", Some(read(&["1.3.0"], true)), &["1.2.3"], "SourceNotReady: "),
        ("the registry fails", Some(fault), &["1.3.0"], "SourceNotReady: "),
        ("not asked yet", None, &["1.2.3", "1.3.0"], "1.3.0 1.2.3 stale None"),
        ("not asked yet, and nothing known", None, &[], "SourceNotReady: "),
    ] {
        let got = told(json!({}), reading.as_ref(), known);
        assert!(got.starts_with(want), "{case}: {got}");
    }
}
