//! Manifest: what the images behind tags tell of themselves, and of which tags that is worth
//! asking. It makes no call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::foreign::{ImagePolicy, OciRepository};
use crate::api::keys;
use crate::api::rollout::{Rollout, SourceKind, SourceRef};
use crate::model::image::{Image, parse_tag};
use crate::model::release::{About, Card, Manifest, Release};
use crate::model::spec::Spec;
use crate::validate::artifact;
use crate::validate::excerpt::excerpt;
use crate::validate::seen::{self, Found, Seen, Source, Unresolved};

/// Tags of the newest known releases whose manifests are read: as many as there are candidates in
/// status, since each costs a request whenever the source shows something new.
const NEWEST_MAX: usize = 10;

/// What is known of the images behind tags, or why nothing is.
pub type Manifests = BTreeMap<String, Result<Manifest, String>>;

/// The image that a policy shows: its repository, and its tag.
pub fn shown(policy: &ImagePolicy) -> Option<(Image, String)> {
    let latest = policy.status.as_ref().and_then(|status| status.latest_ref.clone());
    let latest = latest.filter(|latest| !latest.tag.is_empty())?;
    Some((Image::parse(&latest.name).ok()?, latest.tag))
}

/// The repository of the images of a Rollout whose source tells versions only: the one that it
/// names, else that of the first container that takes releases.
pub fn repository(rollout: &Rollout) -> Option<Image> {
    let spec = &rollout.spec;
    let named = spec.registry.as_ref().map(|registry| registry.image.as_str());
    let source = || match spec.source_ref.as_ref()? {
        SourceRef { kind: SourceKind::ImagePolicy, .. } => None,
        source => source.image.as_deref().or_else(|| image(&spec.template, &spec.container)),
    };
    Image::parse(named.or_else(source)?).ok()
}

/// The image of the container of that name, or of the first one.
fn image<'a>(template: &'a Value, container: &Option<String>) -> Option<&'a str> {
    let takes = |one: &&Value| {
        container.is_none() || one.get("name").and_then(Value::as_str) == container.as_deref()
    };
    containers(template).filter(takes).find_map(|one| one.get("image")?.as_str())
}

/// Tells the tags of a repository whose manifests a Rollout has a use for: the one that its policy
/// shows, the newest known ones, the wanted one, those that gates name, and those that run.
pub fn wanted(repository: &Image, shown: Option<String>, rollout: &Rollout) -> BTreeSet<String> {
    let tag = |text: &str| {
        let image = Image::parse(text).ok().filter(|image| image.same_repository(repository))?;
        image.tag
    };
    let mut all: BTreeSet<String> = images(&rollout.spec.template).filter_map(tag).collect();
    let bare = |version: &str| version.trim_start_matches('v').to_owned();
    let wanted = rollout.spec.wanted_version.as_deref().map(bare);
    if let Some(status) = &rollout.status {
        let attempt = status.attempt.iter().map(|attempt| &attempt.release);
        let stable = status.stable.iter().map(|side| &side.release);
        all.extend(attempt.chain(stable).filter_map(|release| tag(&release.image)));
        all.extend(status.pin.iter().filter_map(|pin| tag(&pin.image)));
        let known = || status.available_releases.iter().map(|listed| listed.tag.clone());
        all.extend(known().rev().take(NEWEST_MAX));
        all.extend(known().filter(|tag| wanted.as_ref() == Some(&bare(tag))));
        let gates = status.gates.iter().filter_map(|gate| gate.allowed_versions.as_ref());
        let named: BTreeSet<String> = gates.flatten().map(|version| bare(version)).collect();
        all.extend(known().rev().filter(|tag| named.contains(&bare(tag))).take(NEWEST_MAX));
    }
    all.extend(shown);
    all.retain(|tag| parse_tag(tag).is_ok());
    all
}

/// The images of a template.
fn images(template: &Value) -> impl Iterator<Item = &str> {
    containers(template).filter_map(|container| container.get("image")?.as_str())
}

fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["/spec/containers", "/spec/initContainers"];
    lists.into_iter().filter_map(|path| template.pointer(path)?.as_array()).flatten()
}

/// What is known of the images behind tags, as their registry told; an OCIRepository tells of one
/// by the annotations of its artifact. The digest of an artifact of manifests is never the image's.
pub fn all(seen: &Seen) -> Manifests {
    let read = |(tag, manifest): (&String, &Result<_, Unresolved>)| {
        let read = manifest.as_ref().map(read).map_err(|unresolved| excerpt(&unresolved.why));
        (tag.clone(), read)
    };
    let mut all: Manifests = seen.manifests.iter().map(read).collect();
    if let Source::Artifact(Found::Is(object)) = &seen.source
        && let Some((tag, told)) = of_artifact(object)
    {
        match all.get_mut(&tag) {
            Some(Ok(image)) => *image = Manifest { digest: image.digest.clone(), ..told },
            Some(Err(_)) => {}
            None => _ = all.insert(tag, Ok(told)),
        }
    }
    all
}

fn read(manifest: &seen::Manifest) -> Manifest {
    let artifact_type = excerpt(&manifest.artifact_type);
    let digest = manifest.digest.clone();
    let (about, card) = told(&manifest.annotations);
    Manifest { digest, about, card: Card { artifact_type, ..card } }
}

fn of_artifact(object: &OciRepository) -> Option<(String, Manifest)> {
    let artifact = object.status.as_ref()?.artifact.as_ref()?;
    let (about, card) = told(artifact.metadata.as_ref()?);
    let manifest = Manifest { digest: String::new(), about, card };
    Some((artifact::tag(artifact)?, manifest))
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
pub fn learn(release: &mut Release, manifests: &Manifests, spec: &Spec) {
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
