//! Manifest: what the images behind tags tell of themselves, and of which tags that is worth
//! asking. It makes no call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::foreign::{ImagePolicy, OciRepository};
use crate::api::keys;
use crate::api::rollout::Rollout;
use crate::model::image::{Image, parse_tag};
use crate::model::release::{About, Card, Manifest, Release};
use crate::model::spec::Spec;
use crate::validate::artifact;
use crate::validate::excerpt::excerpt;
use crate::validate::seen::{self, Found, Seen, Source, Unresolved};

/// Tags of the newest known releases whose manifests are read: as many as there are candidates in
/// status, since each costs a request whenever the source shows something new.
const NEWEST_MAX: usize = 10;

/// Tells the tags of a policy's repository whose manifests a Rollout has a use for: the one that
/// the policy shows, the newest known ones, the wanted one, and those that run.
pub fn wanted(policy: &ImagePolicy, rollout: &Rollout) -> BTreeSet<String> {
    let latest = policy.status.as_ref().and_then(|status| status.latest_ref.clone());
    let Some(latest) = latest.filter(|latest| !latest.tag.is_empty()) else {
        return BTreeSet::new();
    };
    let Ok(repository) = Image::parse(&latest.name) else { return BTreeSet::new() };
    let tag = |text: &str| {
        let image = Image::parse(text).ok().filter(|image| image.same_repository(&repository))?;
        image.tag
    };
    let mut all: BTreeSet<String> = images(&rollout.spec.template).filter_map(tag).collect();
    let bare = |version: &str| version.trim_start_matches('v').to_owned();
    let wanted = rollout.spec.wanted_version.as_deref().map(bare);
    if let Some(status) = &rollout.status {
        let attempt = status.attempt.iter().map(|attempt| &attempt.release);
        let stable = status.stable.iter().map(|side| &side.release);
        all.extend(attempt.chain(stable).filter_map(|release| tag(&release.image)));
        let known = || status.available_releases.iter().map(|listed| listed.tag.clone());
        all.extend(known().rev().take(NEWEST_MAX));
        all.extend(known().filter(|tag| wanted.as_ref() == Some(&bare(tag))));
    }
    all.insert(latest.tag);
    all.retain(|tag| parse_tag(tag).is_ok());
    all
}

/// The images of a template.
fn images(template: &Value) -> impl Iterator<Item = &str> {
    let lists = ["/spec/containers", "/spec/initContainers"];
    let lists = lists.into_iter().filter_map(|path| template.pointer(path)?.as_array());
    lists.flatten().filter_map(|container| container.get("image")?.as_str())
}

/// What is known of the images behind tags: of an ImagePolicy as its registry told, of an
/// OCIRepository as the annotations of its artifact do. The digest of an artifact of manifests is
/// never the image's.
pub fn all(seen: &Seen) -> BTreeMap<String, Result<Manifest, String>> {
    if let Source::Artifact(Found::Is(object)) = &seen.source {
        return of_artifact(object).into_iter().collect();
    }
    let read = |(tag, manifest): (&String, &Result<_, Unresolved>)| {
        let read = manifest.as_ref().map(read).map_err(|unresolved| excerpt(&unresolved.why));
        (tag.clone(), read)
    };
    seen.manifests.iter().map(read).collect()
}

fn read(manifest: &seen::Manifest) -> Manifest {
    let artifact_type = excerpt(&manifest.artifact_type);
    let digest = manifest.digest.clone();
    let (about, card) = told(&manifest.annotations);
    Manifest { digest, about, card: Card { artifact_type, ..card } }
}

fn of_artifact(object: &OciRepository) -> Option<(String, Result<Manifest, String>)> {
    let artifact = object.status.as_ref()?.artifact.as_ref()?;
    let (about, card) = told(artifact.metadata.as_ref()?);
    let manifest = Manifest { digest: String::new(), about, card };
    Some((artifact::tag(artifact)?, Ok(manifest)))
}

/// Reads OCI annotations.
///
/// Source: OCI image specification 1.1, "Pre-Defined Annotation Keys".
fn told(annotations: &BTreeMap<String, String>) -> (About, Card) {
    let text = |key: &str| annotations.get(key).map(|text| excerpt(text)).unwrap_or_default();
    let about = About { revision: text(keys::OCI_REVISION), created: text(keys::OCI_CREATED) };
    let card = Card {
        artifact_type: String::new(),
        source: text(keys::OCI_SOURCE),
        title: text(keys::OCI_TITLE),
        description: text(keys::OCI_DESCRIPTION),
    };
    (about, card)
}

/// Adds to a release what is known of its image; where the digest is required it goes into the
/// image.
pub fn learn(
    release: &mut Release,
    manifests: &BTreeMap<String, Result<Manifest, String>>,
    spec: &Spec,
) {
    let tag = release.image.tag.as_ref();
    let Some(Ok(manifest)) = tag.and_then(|tag| manifests.get(tag)) else { return };
    let Manifest { digest, about, card: _ } = manifest;
    if release.image.digest.as_ref().is_some_and(|shown| shown != digest) {
        return; // It was pushed again since the source looked: what is told is of another image.
    }
    release.about = about.clone();
    if spec.require_digest && !digest.is_empty() {
        release.image.digest = Some(digest.clone());
    }
}

/// Tells what keeps a manifest from being read, of the first tag where that is a fault.
pub fn unread(seen: &Seen) -> Option<(&'static str, String)> {
    let fault = |(tag, manifest): (&String, &Result<_, Unresolved>)| {
        let unresolved = manifest.as_ref().err().filter(|unresolved| unresolved.passing)?;
        Some((
            unresolved.reason,
            format!("the manifest of tag {tag}: {}", excerpt(&unresolved.why)),
        ))
    };
    seen.manifests.iter().find_map(fault)
}

#[cfg(test)]
mod tests;
