//! Digest: what is known of the images behind tags, and whether a tag that runs was pushed again.
//! It never decides what to take.

use crate::model::image::Image;
use crate::model::release::{Card, Listed, Manifest, Release, ReleaseRef};
use crate::model::snapshot::{Offer, Snapshot};
use crate::model::status::{Skipped, Status};

/// Characters of a digest that are told: its algorithm and enough to tell it from another.
const TOLD_MAX: usize = 19;

/// A tag that was pushed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    tag: String,
    taken: String,
    present: String,
    /// Whether the digest goes into the template, so that it is another release.
    climbs: bool,
}

impl Moved {
    /// Tells people what happened and what to do about it.
    pub fn message(&self) -> String {
        let short = |digest: &str| digest.chars().take(TOLD_MAX).collect::<String>();
        let (tag, taken, present) = (&self.tag, short(&self.taken), short(&self.present));
        let then = if self.climbs {
            "it is a new release of the same version"
        } else {
            "what runs is left alone, and new pods may get the other image; push a new version, or \
             set spec.requireDigest to take it as a new release"
        };
        format!("tag {tag} was pushed again: {taken} was taken, it is {present} now; {then}")
    }
}

/// The tag of what runs or climbs that has another digest by now than when it was taken.
pub fn moved(seen: &Snapshot, status: &Status) -> Option<Moved> {
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.stage.open());
    let stable = status.stable.iter().map(|side| &side.release);
    attempt.iter().map(|attempt| &attempt.release).chain(stable).find_map(|release| {
        let (present, climbs) = present(seen, release)?;
        let other = !release.digest.is_empty() && release.digest != present;
        let (tag, taken) = (release.tag.clone(), release.digest.clone());
        other.then_some(Moved { tag, taken, present, climbs })
    })
}

/// Tells whether the tag of stable was pushed again, and a release is what it has become.
pub fn repushed(seen: &Snapshot, release: &ReleaseRef) -> Option<Moved> {
    let stable = &seen.status.stable.as_ref()?.release;
    let known = [stable, release].iter().all(|one| !one.digest.is_empty());
    let other = known && stable.tag == release.tag && stable.digest != release.digest;
    let (taken, present) = (stable.digest.clone(), release.digest.clone());
    other.then(|| Moved { tag: release.tag.clone(), taken, present, climbs: true })
}

/// The digest of a tag: the one that is to go into the template, which is told too, else as the
/// registry knows it.
fn present(seen: &Snapshot, release: &ReleaseRef) -> Option<(String, bool)> {
    let tag = Some(&release.tag);
    let mut offered = seen.offer.newest_first().filter(|offer| offer.image.tag.as_ref() == tag);
    let shown = offered.find_map(|offer| offer.image.digest.clone());
    let climbs = shown.is_some();
    let digest = shown.or_else(|| Some(manifest(seen, release)?.digest.clone()))?;
    let known = ours(seen, release) && !digest.is_empty();
    known.then_some((digest, climbs))
}

/// Tells whether an image is of the repository that is offered.
fn ours(seen: &Snapshot, release: &ReleaseRef) -> bool {
    let offered = seen.offer.newest_first().next();
    let image = Image::parse(&release.image).ok();
    offered.zip(image).is_some_and(|(offered, image)| offered.image.same_repository(&image))
}

/// The digest of the image of a release, as its registry knows it.
pub fn of(seen: &Snapshot, release: &ReleaseRef) -> Option<String> {
    Some(manifest(seen, release)?.digest.clone()).filter(|digest| !digest.is_empty())
}

fn manifest<'a>(seen: &'a Snapshot, release: &ReleaseRef) -> Option<&'a Manifest> {
    seen.manifests.get(&release.tag)?.as_ref().ok().filter(|_| ours(seen, release))
}

/// Notes what is known of the images of an attempt, its entry in the history and of the sides.
pub fn learn(seen: &Snapshot, status: &mut Status) {
    let number = status.attempt.as_ref().map(|attempt| attempt.number);
    let told = |release: &mut ReleaseRef| {
        if let Some(manifest) = manifest(seen, release) {
            release.learn(manifest);
        }
    };
    status.attempt.iter_mut().for_each(|attempt| told(&mut attempt.release));
    let sides = [&mut status.stable, &mut status.canary];
    sides.into_iter().flatten().for_each(|side| told(&mut side.release));
    // The history is copied only where something is learned.
    let mut entries = status.history.iter().enumerate();
    let learned =
        entries.find(|(_, entry)| Some(entry.number) == number).and_then(|(at, entry)| {
            let mut release = entry.release.clone();
            told(&mut release);
            (release != entry.release).then_some((at, release))
        });
    if let Some((at, release)) = learned
        && let Some(entry) = status.history.get_mut(at)
    {
        entry.release = release;
    }
}

/// A release with what is known of its image, now or from before.
pub fn listed(seen: &Snapshot, release: &Release) -> Listed {
    let mut listed = Listed::of(release);
    let known = seen.manifests.get(&listed.tag).and_then(|manifest| manifest.as_ref().ok());
    let before = seen.status.available.iter().find(|before| before.tag == listed.tag);
    match (known, before) {
        (Some(Manifest { digest, .. }), _) => {
            let digest = Some(digest.clone()).filter(|digest| !digest.is_empty());
            listed.digest = listed.digest.or(digest);
        }
        (None, Some(before)) if listed.digest.is_none() || listed.digest == before.digest => {
            return Listed { version: listed.version, ..before.clone() };
        }
        (None, Some(_) | None) => {}
    }
    listed
}

/// What the newest release tells of the image as such, now or before.
pub fn card(seen: &Snapshot) -> Card {
    let newest = seen.offer.newest_first().next().and_then(|release| release.image.tag.as_ref());
    match newest.and_then(|tag| seen.manifests.get(tag)) {
        Some(Ok(manifest)) => manifest.card.clone(),
        Some(Err(_)) | None if seen.offer == Offer::NoSource => Card::default(),
        Some(Err(_)) | None => seen.status.card.clone(),
    }
}

/// The tags of the registry that are no versions, now or when it was listed last.
pub fn skipped(seen: &Snapshot) -> Skipped {
    match &seen.offer {
        Offer::NoSource => Skipped::default(),
        Offer::Releases(releases) if releases.whole => releases.skipped.clone(),
        Offer::Releases(_) | Offer::Nothing(_) => seen.status.skipped.clone(),
    }
}

#[cfg(test)]
mod tests;
