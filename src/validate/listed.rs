//! Listed: orders the tags of a registry that a Rollout follows by itself. It never makes an older
//! version the newest: a list that has lost what runs, or that is not there, offers nothing.

use std::collections::BTreeSet;

use crate::model::hold::Hold;
use crate::model::image::{Image, parse_digest, parse_tag};
use crate::model::registry::Registry;
use crate::model::release::{About, Listed, Release};
use crate::model::snapshot::Releases;
use crate::model::spec::Spec;
use crate::model::status::Status;
use crate::model::template::Template;
use crate::model::version::Version;
use crate::validate::excerpt::excerpt;
use crate::validate::listing;
use crate::validate::seen::Reading;

/// Releases that a turn looks at: the newest, more than status lists.
const RELEASES_MAX: usize = 50;

/// Orders what a registry offers.
///
/// # Errors
/// What keeps it from offering a release.
pub fn releases(
    registry: &Registry,
    reading: Option<&Reading>,
    (spec, template, status): (&Spec, &Template, &Status),
) -> Result<Releases, Hold> {
    let not_ready =
        |why: &str| Hold::SourceNotReady { source: registry.to_string(), why: why.into() };
    let tags = match reading {
        None => {
            let hold = not_ready("its tags were not listed yet");
            return known(registry, spec, status, &hold).ok_or(hold);
        }
        Some(Reading::Unread { why, .. }) => return Err(not_ready(&excerpt(why))),
        Some(Reading::Tags { truncated: true, .. }) => {
            return Err(not_ready("it has more tags than are read"));
        }
        Some(Reading::Tags { tags, truncated: false }) => tags,
    };
    let suspect = listing::missing(&image(registry, None), tags, template, status);
    let versions = versions(tags);
    let newest = versions.first().map(|(_, version)| version.to_string());
    let passing = versions.into_iter().filter(|(_, version)| passes(registry, spec, version));
    let release = |(tag, version)| Release {
        version,
        image: image(registry, Some(tag)),
        about: About::default(),
    };
    let mut passing = passing.take(RELEASES_MAX).map(release);
    match (passing.next(), suspect, newest, &spec.range) {
        (Some(first), suspect, _, _) => {
            let mut found = Releases::newest(first, passing.collect());
            (found.whole, found.suspect) = (true, suspect);
            Ok(found)
        }
        (None, Some(tag), _, _) => Err(Hold::SourceSuspect { tag }),
        (None, None, Some(version), Some(range)) => {
            Err(Hold::OutOfRange { version, range: range.to_string() })
        }
        (None, None, Some(version), None) => {
            Err(not_ready(&format!("its newest version is {version}, a prerelease")))
        }
        (None, None, None, _) => Err(not_ready("it has no tag that is a version")),
    }
}

/// The tags that are versions, newest first; of one version the tags in their order.
fn versions(tags: &BTreeSet<String>) -> Vec<(String, Version)> {
    let version = |tag: &String| {
        let tag = parse_tag(tag).ok()?;
        Version::from_tag(&tag).ok().map(|version| (tag, version))
    };
    let mut all: Vec<_> = tags.iter().filter_map(version).collect();
    all.sort_by(|(_, a), (_, b)| b.precedence(a));
    all
}

fn passes(registry: &Registry, spec: &Spec, version: &Version) -> bool {
    registry.prereleases.allow(version, spec.range.as_ref())
}

fn image(registry: &Registry, tag: Option<String>) -> Image {
    Image { repository: registry.image.clone(), tag, digest: None }
}

/// What status lists, until the registry is listed: a controller that begins anew knows no more.
fn known(registry: &Registry, spec: &Spec, status: &Status, hold: &Hold) -> Option<Releases> {
    let release = |listed: &Listed| {
        let version = Version::from_tag(&listed.tag).ok()?;
        let digest = listed.digest.as_deref().filter(|_| spec.require_digest);
        let digest = digest.and_then(|digest| parse_digest(digest).ok());
        let image = Image { digest, ..image(registry, Some(parse_tag(&listed.tag).ok()?)) };
        let about = listed.about.clone();
        passes(registry, spec, &version).then_some(Release { version, image, about })
    };
    let mut all: Vec<Release> = status.available.iter().filter_map(release).collect();
    all.sort_by(|a, b| b.version.precedence(&a.version));
    let mut all = all.into_iter();
    let mut found = Releases::newest(all.next()?, all.collect());
    found.stale = Some(Box::new(hold.clone()));
    Some(found)
}

#[cfg(test)]
mod tests;
