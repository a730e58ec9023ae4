//! Listing: orders the tags of a registry as an ImagePolicy would choose among them. It never goes
//! above what the policy shows, and where it cannot read the policy it keeps to that alone.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::api::foreign::ImagePolicy;
use crate::model::image::{Image, parse_tag};
use crate::model::range::Range;
use crate::model::release::{About, Release};
use crate::model::snapshot::Releases;
use crate::model::status::{Skipped, Status};
use crate::model::template::Template;
use crate::model::version::Version;
use crate::validate::excerpt::excerpt;
use crate::validate::seen::Reading;

/// Releases that a turn looks at: the newest, more than status lists.
const RELEASES_MAX: usize = 50;
/// Tags that are no versions and are told of: enough to see what they are.
const SKIPPED_MAX: usize = 5;
/// The most memory that a pattern of a policy may take: they come from users.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Orders what a policy may choose and the Rollout's own range takes; `latest` is what the policy
/// shows, and the upper bound.
pub fn releases(
    (policy, range): (&ImagePolicy, Option<&Range>),
    latest: Release,
    reading: Option<&Reading>,
    (template, status): (&Template, &Status),
) -> Releases {
    let Some(Reading::Tags { tags, truncated: false }) = reading else {
        return Releases::one(latest);
    };
    let Some(choice) = Choice::read(&policy.spec) else { return Releases::one(latest) };
    let mut list: Vec<Release> = tags
        .iter()
        .filter_map(|tag| choice.version(tag).map(|version| (tag, version)))
        .filter(|(tag, version)| {
            let same = latest.image.tag.as_ref() == Some(tag);
            let taken = range.is_none_or(|range| range.allows(version));
            !same && taken && version.precedence(&latest.version).is_lt()
        })
        .map(|(tag, version)| {
            let (tag, digest) = (Some(tag.clone()), None);
            let image = Image { tag, digest, ..latest.image.clone() };
            Release { version, image, about: About::default() }
        })
        .collect();
    list.sort_by(|a, b| b.version.precedence(&a.version));
    list.truncate(RELEASES_MAX);
    let suspect = missing(&latest.image, tags, template, status);
    let mut found = Releases::newest(latest, list);
    (found.whole, found.suspect, found.skipped) = (true, suspect, choice.skipped(tags));
    found
}

/// The tag that runs, that was listed before, and is not any more. What the policy shows is there:
/// the list is from before it.
pub fn missing(
    latest: &Image,
    tags: &BTreeSet<String>,
    template: &Template,
    status: &Status,
) -> Option<String> {
    let images = template.containers.iter().filter_map(|c| Image::parse(c.image.as_deref()?).ok());
    let ours = images.filter(|image| image.same_repository(latest));
    let shown = |tag: &String| latest.tag.as_ref() == Some(tag);
    let listed = |tag: &String| status.available.iter().any(|known| known.tag == *tag);
    let lost = |tag: &String| listed(tag) && !tags.contains(tag) && !shown(tag);
    ours.filter_map(|image| image.tag).find(lost)
}

/// How a policy chooses.
struct Choice {
    range: Range,
    pattern: Option<Regex>,
}

impl Choice {
    /// Reads it, `None` where it orders by something else than versions, or by a part of the tag.
    fn read(spec: &Value) -> Option<Self> {
        let range = spec.pointer("/policy/semver/range").and_then(Value::as_str)?;
        let filter = |key| spec.get("filterTags").and_then(|filter| filter.get(key));
        let text = |key| filter(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("extract").is_some() {
            return None;
        }
        let pattern = match text("pattern") {
            Some(pattern) => {
                Some(RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().ok()?)
            }
            None => None,
        };
        Some(Self { range: Range::parse(range).ok()?, pattern })
    }

    fn version(&self, tag: &str) -> Option<Version> {
        let tag = parse_tag(tag).ok().filter(|tag| self.passes(tag))?;
        Version::from_tag(&tag).ok().filter(|version| self.range.allows(version))
    }

    fn passes(&self, tag: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(tag))
    }

    /// The tags that pass the pattern and are no versions.
    fn skipped(&self, tags: &BTreeSet<String>) -> Skipped {
        let legal = |tag: &&String| parse_tag(tag).is_ok_and(|tag| Version::from_tag(&tag).is_ok());
        let others = || tags.iter().filter(|tag| self.passes(tag) && !legal(tag));
        let some = others().take(SKIPPED_MAX).map(|tag| excerpt(tag)).collect();
        Skipped { count: u32::try_from(others().count()).unwrap_or(u32::MAX), some }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::model::release::Listed;
    use crate::validate::{fixture, template};

    fn latest(tag: &str) -> Release {
        let image = Image::parse(&format!("registry.example/shop:{tag}")).unwrap();
        Release { version: Version::from_tag(tag).unwrap(), image, about: About::default() }
    }

    fn read(tags: &[&str], truncated: bool) -> Reading {
        let tags = Arc::new(tags.iter().map(|tag| (*tag).to_owned()).collect());
        Reading::Tags { tags, truncated }
    }

    fn told(spec: Value, reading: Option<&Reading>, known: &[&str]) -> (String, Option<String>) {
        shown("1.9.0", spec, reading, known)
    }

    fn shown(
        tag: &str,
        spec: Value,
        reading: Option<&Reading>,
        known: &[&str],
    ) -> (String, Option<String>) {
        let policy: ImagePolicy = serde_json::from_value(json!({
            "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy",
            "metadata": {"name": "shop", "namespace": "prod"}, "spec": spec,
        }))
        .unwrap();
        let shop = template::with_owners(&fixture::rollout(json!({})), &[]);
        let available = known.iter().map(|tag| Listed::of(&latest(tag))).collect();
        let status = Status { available, ..Status::default() };
        let found = releases((&policy, None), latest(tag), reading, (&shop, &status));
        let tags: Vec<_> = found.newest_first().filter_map(|r| r.image.tag.clone()).collect();
        (format!("{} {}", tags.join(" "), found.whole), found.suspect)
    }

    #[test]
    fn tags_are_ordered_as_the_policy_would_choose() {
        let semver = |range: &str| json!({"policy": {"semver": {"range": range}}});
        let filtered = |pattern: &str| {
            fixture::merged(&semver("*"), &json!({"filterTags": {"pattern": pattern}}))
        };
        let extract = json!({"filterTags": {"pattern": "^(?P<v>.*)$", "extract": "$v"}});
        let all = read(
            &["1.2.3", "1.10.0", "1.9.0", "v1.8.0", "1.8.5-rc.1", "latest", "1.2", "0.1.0", "x y"],
            false,
        );
        for (case, spec, reading, want) in [
            ("by version", semver("*"), Some(&all), "1.9.0 v1.8.0 1.2.3 0.1.0 true"),
            ("in its range", semver(">=1.5.0"), Some(&all), "1.9.0 v1.8.0 true"),
            ("prereleases too", semver(">=1.8.1-0"), Some(&all), "1.9.0 1.8.5-rc.1 true"),
            ("past its filter", filtered("^1"), Some(&all), "1.9.0 1.2.3 true"),
            ("a filter that cannot be read", filtered("("), Some(&all), "1.9.0 false"),
            ("by a part", fixture::merged(&semver("*"), &extract), Some(&all), "1.9.0 false"),
            ("by letters", json!({"policy": {"alphabetical": {}}}), Some(&all), "1.9.0 false"),
            ("no list", semver("*"), None, "1.9.0 false"),
            ("an empty list", semver("*"), Some(&read(&[], false)), "1.9.0 true"),
            ("a list without end", semver("*"), Some(&read(&["1.2.3"], true)), "1.9.0 false"),
        ] {
            assert_eq!(told(spec, reading, &[]).0, want, "{case}");
        }
    }

    #[test]
    fn tags_that_are_no_versions_are_counted_and_some_are_told() {
        let filtered = json!({"policy": {"semver": {"range": ">=5"}},
            "filterTags": {"pattern": "^[a-m0-9]"}});
        let choice = |spec: &Value| Choice::read(spec).unwrap();
        let tags = ["1.2.3", "1.2", "latest", "main", "x", "y", "1.2.3.4"].map(str::to_owned);
        let tags = BTreeSet::from(tags);
        let all = choice(&json!({"policy": {"semver": {"range": "*"}}})).skipped(&tags);
        let some = ["1.2", "1.2.3.4", "latest", "main", "x"].map(str::to_owned).to_vec();
        assert_eq!(all, Skipped { count: 6, some });
        assert_eq!(choice(&filtered).skipped(&tags).count, 4, "of those that are looked at");
    }

    #[test]
    fn a_list_that_lost_what_runs_is_suspect() {
        let spec = || json!({"policy": {"semver": {"range": "*"}}});
        let (with, without) = (read(&["1.2.3", "1.9.0"], false), read(&["1.9.0"], false));
        assert_eq!(told(spec(), Some(&with), &["1.2.3"]).1, None);
        assert_eq!(told(spec(), Some(&without), &["1.2.3"]).1, Some("1.2.3".to_owned()));
        assert_eq!(told(spec(), Some(&without), &[]).1, None, "it never was of this list");
        assert_eq!(told(spec(), Some(&read(&[], true)), &["1.2.3"]).1, None, "nobody knows");
        let shown = shown("1.2.3", spec(), Some(&without), &["1.2.3"]);
        assert_eq!(shown.1, None, "the list is from before it was pushed");
    }
}
