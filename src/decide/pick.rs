//! Pick: which of the known releases is wanted now. The only place where one is refused; it never
//! writes.
//!
//! `spec.wantedVersion` goes before a version that the command force-deploy chose, and that before
//! the newest release of the source that nothing refuses.

use std::collections::BTreeSet;

use crate::decide::digest::{self, listed};
use crate::decide::gate;
use crate::decide::side;
use crate::decide::target::{arrived, barred, delivered, image, owned, targets};
use crate::model::hold::Hold;
use crate::model::image::{Image, parse_digest};
use crate::model::moment::Timestamp;
use crate::model::release::{About, Listed, Release, ReleaseRef};
use crate::model::shared::Shared;
use crate::model::snapshot::{Offer, Releases, Snapshot};
use crate::model::status::{Entry, Pin, Quarantined, Stage, Trigger};
use crate::model::template::Container;
use crate::model::version::Version;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Known releases that status keeps beside those of the history: more than people look back, small
/// for many Rollouts.
pub const AVAILABLE_MAX: usize = 20;
/// Candidates that status shows.
pub const CANDIDATES_MAX: usize = 10;

/// What there is to take.
#[derive(Debug, Clone, PartialEq)]
pub enum Pick {
    /// Nothing: there is no source, or what is wanted runs.
    Nothing,
    /// Nothing, and why.
    Hold(Hold),
    /// A release that the template does not have.
    Release(Release),
}

/// Tells which release is wanted now.
pub fn pick(seen: &Snapshot, now: Timestamp) -> Pick {
    let releases = match &seen.offer {
        Offer::NoSource => return Pick::Nothing,
        Offer::Nothing(hold) => Err(hold),
        Offer::Releases(releases) => Ok(releases),
    };
    if let Some(version) = &seen.spec.wanted_version {
        return match (find(seen, version), releases) {
            (Some(release), _) => named(seen, release),
            (None, Err(hold)) => Pick::Hold(hold.clone()),
            (None, Ok(_)) => Pick::Hold(Hold::VersionNotFound { version: version.clone() }),
        };
    }
    if let Some(release) = forced(seen) {
        return named(seen, release);
    }
    match releases {
        Ok(releases) => newest(seen, releases, now),
        Err(hold) => Pick::Hold(hold.clone()),
    }
}

/// Tells whether a person chose what is to be taken.
pub fn manual(seen: &Snapshot) -> bool {
    seen.spec.wanted_version.is_some() || forced(seen).is_some()
}

/// The release that would be taken if nothing refused it.
pub fn goal(seen: &Snapshot) -> Option<Release> {
    let newest = || seen.offer.newest_first().next().cloned();
    let wanted = seen.spec.wanted_version.as_ref().and_then(|version| find(seen, version));
    wanted.or_else(|| forced(seen)).or_else(newest)
}

/// The release of a person's choice: neither its age nor a pin keeps it, but what failed is not
/// tried again and what Git owns is not written.
fn named(seen: &Snapshot, release: Release) -> Pick {
    let release = whole(seen, release);
    let targets = match targets(seen, &release.image) {
        Ok(targets) => targets,
        Err(hold) => return Pick::Hold(hold),
    };
    if arrived(seen, &release.image) {
        return Pick::Nothing;
    }
    let hold = failed(seen, &release).or_else(|| digestless(seen, &release, &targets));
    match hold.or_else(|| barred(seen, &targets)) {
        Some(hold) => Pick::Hold(hold),
        None => Pick::Release(release),
    }
}

/// The newest release that nothing refuses; else what ends first of itself, or why the newest is.
fn newest(seen: &Snapshot, releases: &Releases, now: Timestamp) -> Pick {
    if let Some(tag) = &releases.suspect {
        return Pick::Hold(Hold::SourceSuspect { tag: tag.clone() });
    }
    let mut refused = Vec::new();
    for release in releases.newest_first() {
        let targets = match targets(seen, &release.image) {
            Ok(targets) => targets,
            Err(hold) => return Pick::Hold(hold),
        };
        if arrived(seen, &release.image) || twin(seen, releases, release) {
            break; // All others are older than what runs.
        }
        let Some(hold) = refusal(seen, release, &targets, now) else {
            let stale = releases.stale.clone().map(|hold| Pick::Hold(*hold));
            return stale.unwrap_or_else(|| Pick::Release(release.clone()));
        };
        // What is about to be known would come right after an older one.
        let last = matches!(
            hold,
            Hold::OlderRelease { .. } | Hold::AmbiguousRelease { .. } | Hold::DigestUnknown { .. }
        );
        refused.push(hold);
        if last {
            break;
        }
    }
    // What ends by itself, the soonest, is what is waited for: nobody else would wake it.
    let hold = refused.into_iter().min_by_key(|hold| (hold.until().is_none(), hold.until()));
    hold.map_or(Pick::Nothing, Pick::Hold)
}

/// Tells whether another tag of the same version runs or is on its way: a registry may have both,
/// and then that one is meant.
fn twin(seen: &Snapshot, releases: &Releases, release: &Release) -> bool {
    let mut all = releases.newest_first();
    all.any(|other| other.version.same_precedence(&release.version) && arrived(seen, &other.image))
        || coming(seen).is_some_and(|tag| other_tag(tag, release))
}

/// The tag of the attempt whose release is not in the template yet.
fn coming(seen: &Snapshot) -> Option<&str> {
    let attempt = seen.status.attempt.as_ref().filter(|attempt| !attempt.delivered)?;
    let climbs = matches!(attempt.stage, Stage::First { .. } | Stage::Step { .. });
    climbs.then_some(attempt.release.tag.as_str())
}

/// Tells whether a tag is another one of the version of a release.
fn other_tag(tag: &str, release: &Release) -> bool {
    let version = Version::from_tag(tag);
    let same = version.is_ok_and(|version| version.same_precedence(&release.version));
    same && release.image.tag.as_deref() != Some(tag)
}

/// Why a release that the template does not have is not taken by itself.
fn refusal(
    seen: &Snapshot,
    release: &Release,
    targets: &[&Container],
    now: Timestamp,
) -> Option<Hold> {
    let hold = older(seen, release, targets).or_else(|| failed(seen, release));
    let hold = hold.or_else(|| pinned(seen, release)).or_else(|| barred(seen, targets));
    // A gate may be for an older one: what is not known of this one keeps that from nothing.
    let closed = || gate::allows(seen, &ReleaseRef::of(&release.image), now).err();
    hold.or_else(closed).or_else(|| digestless(seen, release, targets))
}

fn older(seen: &Snapshot, release: &Release, targets: &[&Container]) -> Option<Hold> {
    let running = running(seen, targets)?;
    let older = release.version < running;
    #[cfg(feature = "planted")]
    let older = older && !active(Bug::DowngradeTaken);
    if older {
        return Some(Hold::OlderRelease {
            offered: release.version.to_string(),
            running: running.to_string(),
        });
    }
    let tags = targets.iter().filter_map(|c| image(c)?.tag);
    let last = delivered(seen).filter(|_| !seen.spec.workload).map(|last| last.tag.clone());
    let offered = release.image.tag.clone().unwrap_or_default();
    // Two tags of one version: which is meant is not told, so the present one stays.
    let other = tags.chain(last).find(|tag| other_tag(tag, release));
    other.map(|running| Hold::AmbiguousRelease { offered, running })
}

/// The newest version that runs.
fn running(seen: &Snapshot, targets: &[&Container]) -> Option<Version> {
    if !seen.spec.workload {
        let last = delivered(seen).map(|release| &release.tag);
        // Where the status is lost, what was delivered still tells it.
        let ours = seen.bindings.iter().filter(|binding| binding.ours && last.is_none());
        let tags = last.into_iter().chain(ours.filter_map(|binding| binding.value.as_ref()));
        return tags.filter_map(|tag| Version::from_tag(tag).ok()).max_by(Version::precedence);
    }
    targets.iter().filter_map(|c| version(c)).max_by(Version::precedence)
}

fn version(container: &Container) -> Option<Version> {
    image(container).and_then(|i| i.tag).and_then(|tag| Version::from_tag(&tag).ok())
}

/// The hold of a release that would go into the template without the digest that is required.
fn digestless(seen: &Snapshot, release: &Release, targets: &[&Container]) -> Option<Hold> {
    let writes = targets.iter().any(|container| owned(container).is_none());
    if !seen.spec.require_digest || release.image.digest.is_some() || !writes {
        return None;
    }
    let tag = release.image.tag.as_deref().unwrap_or_default();
    let told = seen.manifests.get(tag).and_then(|manifest| manifest.as_ref().err()).cloned();
    let unread = || seen.unread.as_ref().map(|(_, why)| why.clone());
    let why = told.or_else(unread).unwrap_or_else(|| "the registry has not told it yet".to_owned());
    Some(Hold::DigestUnknown { image: release.image.to_string(), why })
}

/// A release that a person chose, with its digest where that is required: it may have been chosen
/// before that was known.
fn whole(seen: &Snapshot, mut release: Release) -> Release {
    if !seen.spec.require_digest || release.image.digest.is_some() {
        return release;
    }
    let same = |offered: &&Release| {
        offered.image.tag == release.image.tag && offered.image.same_repository(&release.image)
    };
    let shown =
        seen.offer.newest_first().find(same).and_then(|offered| offered.image.digest.clone());
    let read = || digest::of(seen, &ReleaseRef::of(&release.image));
    release.image.digest = shown.or_else(read);
    release
}

/// Tells whether an entry of the quarantine keeps from being tried what would be taken otherwise,
/// be it a release or what the template has.
pub fn kept_back(seen: &Snapshot, entry: &Quarantined) -> bool {
    let goal = goal(seen).map(|release| ReleaseRef::of(&release.image));
    let edited = entry.revision == side::present(seen);
    edited || goal.is_some_and(|release| blames(entry, &release))
}

/// The hold of what failed before.
fn failed(seen: &Snapshot, release: &Release) -> Option<Hold> {
    let offered = ReleaseRef::of(&release.image);
    let entry = seen.status.quarantine.iter().find(|entry| blames(entry, &offered))?;
    Some(side::quarantined(seen, offered.image, entry.attempt))
}

/// Tells whether an entry of the quarantine is about a release, and not about an edit.
pub fn blames(entry: &Quarantined, release: &ReleaseRef) -> bool {
    entry.trigger != Trigger::Template && entry.release.same(release)
}

/// The hold of an image that a person chose, for a release that is no newer than what was known
/// then.
fn pinned(seen: &Snapshot, release: &Release) -> Option<Hold> {
    let pin = seen.status.pin.as_ref()?;
    let until = Version::from_tag(&pin.until_newer_than).ok()?;
    let known = release.version.precedence(&until).is_le();
    known.then(|| Hold::ManualImage { image: pin.image.clone() })
}

/// The release that the command force-deploy chose, until it runs or has failed.
pub fn forced(seen: &Snapshot) -> Option<Release> {
    let pin = seen.status.pin.as_ref().filter(|pin| pin.forced)?;
    let release = release_of(Image::parse(&pin.image).ok()?)?;
    // It has arrived with whatever digest it was chosen: a tag pushed again is no choice.
    let due = !arrived(seen, &release.image) && failed(seen, &release).is_none();
    due.then(|| whole(seen, release))
}

/// The release that an attempt of the history delivered: the one of this number, or with `true`
/// the last that ended well and is not what runs.
pub fn former(seen: &Snapshot, number: &str) -> Option<Release> {
    let release = |entry: &Entry| recorded(seen, &entry.release).and_then(release_of);
    let mut history = seen.status.history.iter();
    if number == "true" {
        let good = history.filter(|entry| entry.cause.is_none()).filter_map(release);
        return good.into_iter().find(|release| !arrived(seen, &release.image));
    }
    history.find(|entry| entry.number.to_string() == number).and_then(release)
}

/// The image of an attempt of the history, by its digest where that is required or the tag is not
/// known to be still that image.
fn recorded(seen: &Snapshot, release: &ReleaseRef) -> Option<Image> {
    let mut image = Image::parse(&release.image).ok()?;
    let stands = digest::of(seen, release).is_some_and(|digest| digest == release.digest);
    if image.digest.is_none() && (seen.spec.require_digest || !stands) {
        image.digest = parse_digest(&release.digest).ok();
    }
    Some(image)
}

/// The pin of a release that is to be taken at once.
pub fn force(seen: &Snapshot, release: &Release, now: Timestamp) -> Pin {
    let known = seen.offer.newest_first().map(|release| &release.version).next();
    let newest = known.into_iter().chain([&release.version]).max_by(|a, b| a.precedence(b));
    let until_newer_than = newest.map(ToString::to_string).unwrap_or_default();
    Pin { image: release.image.to_string(), until_newer_than, since: now, forced: true }
}

/// Tells whether a pin is of a release that was chosen by command.
pub fn chose(pin: &Pin, release: &ReleaseRef) -> bool {
    let image = Image::parse(&pin.image).ok().filter(|_| pin.forced);
    image.is_some_and(|image| ReleaseRef::of(&image).same(release))
}

/// Finds a release by its version or tag: the one of that very tag, else the one that runs, else
/// the first of that version, of those that are offered, those that are known, and those that ran.
pub fn find(seen: &Snapshot, version: &str) -> Option<Release> {
    let named = |image: &Image| image.tag.as_deref() == Some(version);
    let of_version = |image: &Image| is(image, version);
    let runs = |image: &Image| of_version(image) && arrived(seen, image);
    let any = |meant: &dyn Fn(&Image) -> bool| shown(seen, meant).or_else(|| ran_as(seen, meant));
    shown(seen, &named).or_else(|| any(&runs)).or_else(|| any(&of_version))
}

/// The first of the releases that are offered and those that are known.
fn shown(seen: &Snapshot, meant: &dyn Fn(&Image) -> bool) -> Option<Release> {
    let offered = seen.offer.newest_first().find(|release| meant(&release.image));
    offered.cloned().or_else(|| known(seen, meant))
}

/// The first of the releases that ran.
fn ran_as(seen: &Snapshot, meant: &dyn Fn(&Image) -> bool) -> Option<Release> {
    let status = &seen.status;
    let stable = status.stable.iter().map(|side| &side.release);
    let attempt = status.attempt.iter().map(|attempt| &attempt.release);
    let history = status.history.iter().map(|entry| &entry.release);
    let mut images =
        stable.chain(attempt).chain(history).filter_map(|r| Image::parse(&r.image).ok());
    images.find(|image| meant(image)).and_then(release_of)
}

/// A release of the list in status, in the repository that is offered, else that of the template.
fn known(seen: &Snapshot, meant: &dyn Fn(&Image) -> bool) -> Option<Release> {
    let repository = seen.offer.newest_first().next().map(|release| release.image.clone());
    let named = |c: &&Container| seen.spec.container.as_ref().is_none_or(|name| *name == c.name);
    let present = || seen.template.containers.iter().filter(named).find_map(image);
    let repository = repository.or_else(present)?.repository;
    // A digest goes into the template where it is required, or where the source shows digests.
    let shows = seen.offer.newest_first().any(|release| release.image.digest.is_some());
    let pins = |digest: &String| !digest.is_empty() && (shows || seen.spec.require_digest);
    let all = seen.status.available.iter().map(|listed| {
        let (tag, digest) = (Some(listed.tag.clone()), listed.digest.clone());
        Image { repository: repository.clone(), tag, digest: digest.filter(pins) }
    });
    all.into_iter().find(|image| meant(image)).and_then(release_of)
}

fn release_of(image: Image) -> Option<Release> {
    let version = Version::from_tag(image.tag.as_deref()?).ok()?;
    Some(Release { version, image, about: About::default() })
}

/// Tells whether an image is of a version, which may be given as a tag.
fn is(image: &Image, version: &str) -> bool {
    image.tag.as_ref().is_some_and(|tag| says(tag, version))
}

/// Tells whether a tag is of a version, which may be given as another tag.
fn says(tag: &str, version: &str) -> bool {
    let same = |a: Version, b: Version| a.same_precedence(&b);
    let both = Version::from_tag(tag).ok().zip(Version::from_tag(version).ok());
    tag == version || both.is_some_and(|(a, b)| same(a, b))
}

/// The releases that are known, oldest first: those that are offered, and where the source shows
/// one only those that it showed before.
pub fn available(seen: &Snapshot) -> Shared<Listed> {
    let Offer::Releases(releases) = &seen.offer else {
        return match &seen.offer {
            Offer::NoSource => Shared::default(),
            Offer::Nothing(_) | Offer::Releases(_) => seen.status.available.clone(),
        };
    };
    if releases.suspect.is_some() {
        return seen.status.available.clone();
    }
    let mut all: Vec<Listed> =
        releases.newest_first().map(|release| listed(seen, release)).collect();
    if !releases.whole {
        let older = seen.status.available.iter();
        let unknown: Vec<Listed> =
            older.filter(|old| all.iter().all(|new| new.tag != old.tag)).cloned().collect();
        all.extend(unknown);
    }
    let mut all: Vec<(Option<Version>, Listed)> =
        all.into_iter().map(|one| (Version::from_tag(&one.tag).ok(), one)).collect();
    all.sort_by(|a, b| order(&a.0, &b.0).reverse().then_with(|| a.1.tag.cmp(&b.1.tag)));
    let rest = all.split_off(all.len().min(AVAILABLE_MAX));
    let tags = rest.iter().map(|(_, listed)| &listed.tag);
    let chosen: BTreeSet<String> =
        tags.filter(|tag| chosen(seen, tag)).take(CANDIDATES_MAX).cloned().collect();
    let kept = |listed: &Listed| chosen.contains(&listed.tag) || ran(seen, &listed.tag);
    let rest = rest.into_iter().filter(|(_, listed)| kept(listed)).rev();
    rest.chain(all.into_iter().rev()).map(|(_, listed)| listed).collect()
}

/// Tells whether the spec or a gate names the version of a tag: its digest may be needed.
fn chosen(seen: &Snapshot, tag: &str) -> bool {
    let gates = seen.status.gates.iter().filter_map(|gate| gate.allowed.as_ref()).flatten();
    seen.spec.wanted_version.iter().chain(gates).any(|version| says(tag, version))
}

/// Tells whether a tag is of an attempt that is remembered: people may go back to it.
fn ran(seen: &Snapshot, tag: &str) -> bool {
    let present = seen.status.attempt.iter().map(|attempt| &attempt.release);
    let before = seen.status.history.iter().map(|entry| &entry.release);
    present.chain(before).any(|release| release.tag == tag)
}

fn order(a: &Option<Version>, b: &Option<Version>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.precedence(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// The releases that are newer than what runs and did not fail, newest first; and those of them
/// that nothing refuses.
pub fn candidates(seen: &Snapshot, now: Timestamp) -> (Vec<Listed>, Vec<Listed>) {
    let Offer::Releases(releases) = &seen.offer else { return (Vec::new(), Vec::new()) };
    if releases.suspect.is_some() {
        return (Vec::new(), Vec::new());
    }
    let (mut all, mut open) = (Vec::new(), Vec::new());
    for release in releases.newest_first() {
        let Ok(targets) = targets(seen, &release.image) else { break };
        let newest = arrived(seen, &release.image) || older(seen, release, &targets).is_some();
        if newest || CANDIDATES_MAX <= all.len() {
            break;
        }
        if failed(seen, release).is_some() {
            continue;
        }
        all.push(listed(seen, release));
        if refusal(seen, release, &targets, now).is_none() {
            open.push(listed(seen, release));
        }
    }
    (all, open)
}

#[cfg(test)]
mod tests;
