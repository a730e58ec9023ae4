//! Release: whether what the source offers is wanted, and its way into the template.

use std::collections::BTreeMap;

use crate::decide::act::Act;
use crate::decide::binding;
use crate::decide::side;
use crate::model::hold::Hold;
use crate::model::image::Image;
use crate::model::moves::{ImageEdit, Write};
use crate::model::release::{Release, ReleaseRef};
use crate::model::snapshot::{Offer, Snapshot};
use crate::model::status::{Attempt, Stage, Trigger};
use crate::model::template::Container;
use crate::model::version::Version;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// What there is to do about the source's offer.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Nothing: there is no source, or the template has the release already.
    Nothing,
    /// Nothing can be taken, and why.
    Hold(Hold),
    /// These images are to go into the template.
    Images {
        /// The release.
        release: ReleaseRef,
        /// Images by container.
        images: BTreeMap<String, String>,
    },
}

/// Tells whether the source offers a release that the template does not have and should.
pub fn wanted(seen: &Snapshot) -> Wanted {
    let release = match &seen.offer {
        Offer::NoSource => return Wanted::Nothing,
        Offer::Nothing(hold) => return Wanted::Hold(hold.clone()),
        Offer::Release(release) => release,
    };
    if !seen.spec.workload {
        return delivery(seen, release);
    }
    let targets = match targets(seen, &release.image) {
        Ok(targets) => targets,
        Err(hold) => return Wanted::Hold(hold),
    };
    if targets.iter().all(|container| carries(container, &release.image)) {
        return Wanted::Nothing;
    }
    if let Some(hold) = refusal(seen, release, &targets) {
        return Wanted::Hold(hold);
    }
    let images: BTreeMap<_, _> =
        targets.iter().map(|c| (c.name.clone(), written(c, &release.image))).collect();
    let first = images.values().next().and_then(|image| Image::parse(image).ok());
    let release = first.map(|image| ReleaseRef::of(&image)).unwrap_or_default();
    Wanted::Images { release, images }
}

/// Tells whether a Rollout without pods delivers a release.
fn delivery(seen: &Snapshot, release: &Release) -> Wanted {
    let (status, offered) = (&seen.status, ReleaseRef::of(&release.image));
    let last = status.attempt.as_ref().filter(|attempt| attempt.stage.open() || attempt.kept);
    let stable = status.stable.as_ref().map(|side| &side.release);
    let running = last.map(|attempt| &attempt.release).or(stable);
    if running.is_some_and(|running| running.same(&offered)) {
        return Wanted::Nothing;
    }
    // Where the status is lost, what was delivered still tells it.
    let delivered = seen.bindings.iter().filter(|binding| binding.ours && running.is_none());
    let delivered = delivered.filter_map(|binding| binding.value.as_ref());
    let tags = running.map(|running| &running.tag).into_iter().chain(delivered);
    let running = tags.filter_map(|tag| Version::from_tag(tag).ok()).max_by(Version::precedence);
    let hold = running.and_then(|running| older(release, &running));
    match hold.or_else(|| failed_before(seen, &offered)) {
        Some(hold) => Wanted::Hold(hold),
        None => Wanted::Images { release: offered, images: BTreeMap::new() },
    }
}

/// Releases that are older than what runs are not taken.
fn older(release: &Release, running: &Version) -> Option<Hold> {
    let older = release.version < *running;
    #[cfg(feature = "planted")]
    let older = older && !active(Bug::DowngradeTaken);
    older.then(|| Hold::OlderRelease {
        offered: release.version.to_string(),
        running: running.to_string(),
    })
}

/// Releases that failed are not tried again.
fn failed_before(seen: &Snapshot, offered: &ReleaseRef) -> Option<Hold> {
    let failed = seen
        .status
        .quarantine
        .iter()
        .find(|entry| entry.trigger != Trigger::Template && entry.release.same(offered))?;
    Some(side::quarantined(seen, offered.image.clone(), failed.attempt))
}

/// The containers that take a release.
fn targets<'a>(seen: &'a Snapshot, offered: &Image) -> Result<Vec<&'a Container>, Hold> {
    let all = &seen.template.containers;
    #[cfg(feature = "planted")]
    if active(Bug::WrongContainer) {
        return Ok(all.iter().collect());
    }
    let names = || all.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = &seen.spec.container {
        let named = all.iter().find(|c| c.name == *name);
        let named = named.ok_or_else(|| Hold::ContainerUnknown { present: names() })?;
        return match image(named) {
            Some(present) if !present.same_repository(offered) => {
                Err(mismatch(offered, &present.to_string()))
            }
            Some(_) | None => Ok(vec![named]),
        };
    }
    let same = |c: &&Container| image(c).is_some_and(|i| i.same_repository(offered));
    let same: Vec<_> = all.iter().filter(same).collect();
    if !same.is_empty() {
        return Ok(same);
    }
    let empty: Vec<_> = all.iter().filter(|c| c.image.is_none()).collect();
    match empty.as_slice() {
        [one] => Ok(vec![one]),
        [] => {
            let present: Vec<_> = all.iter().filter_map(|c| c.image.as_deref()).collect();
            Err(mismatch(offered, &present.join(", ")))
        }
        [_, _, ..] => Err(Hold::ContainerUnknown { present: names() }),
    }
}

fn mismatch(offered: &Image, present: &str) -> Hold {
    Hold::ImageMismatch {
        offered: offered.repository.clone(),
        present: present.chars().take(200).collect(),
    }
}

fn image(container: &Container) -> Option<Image> {
    container.image.as_deref().and_then(|image| Image::parse(image).ok())
}

/// The image to write: the release's, in the repository as the template spells it.
fn written(container: &Container, offered: &Image) -> String {
    #[cfg(feature = "planted")]
    let offered = &if active(Bug::DigestDropped) {
        Image { digest: None, ..offered.clone() }
    } else {
        offered.clone()
    };
    match image(container) {
        Some(present) => Image { repository: present.repository, ..offered.clone() }.to_string(),
        None => offered.to_string(),
    }
}

/// Tells whether a container runs the release. A digest counts only where both sides name one.
fn carries(container: &Container, offered: &Image) -> bool {
    image(container).is_some_and(|present| {
        let (ours, theirs) = (ReleaseRef::of(&present), ReleaseRef::of(offered));
        present.same_repository(offered) && ours.same(&theirs)
    })
}

/// Why a release that the template does not have is not taken.
fn refusal(seen: &Snapshot, release: &Release, targets: &[&Container]) -> Option<Hold> {
    let offered = ReleaseRef::of(&release.image);
    let running = targets.iter().filter_map(|c| version(c)).max_by(Version::precedence);
    if let Some(running) = running {
        if let Some(hold) = older(release, &running) {
            return Some(hold);
        }
        let tagged = targets.iter().filter_map(|c| image(c)).any(|i| i.tag != release.image.tag);
        if tagged && release.version.same_precedence(&running) {
            // Two tags of one version: which is meant is not told, so the present one stays.
            return Some(Hold::OlderRelease { offered: offered.tag, running: running.to_string() });
        }
    }
    if let Some(hold) = failed_before(seen, &offered) {
        return Some(hold);
    }
    if let Some(pin) = &seen.status.pin {
        let newer = Version::from_tag(&pin.until_newer_than)
            .is_ok_and(|v| release.version.precedence(&v).is_le());
        if newer {
            return Some(Hold::ManualImage { image: pin.image.clone() });
        }
    }
    targets.iter().find_map(|container| owned(container)).filter(|_| !binding::feeds(seen))
}

fn version(container: &Container) -> Option<Version> {
    image(container).and_then(|i| i.tag).and_then(|tag| Version::from_tag(&tag).ok())
}

/// The hold of an image that a GitOps tool would put back.
fn owned(container: &Container) -> Option<Hold> {
    let manager = container.foreign_owners.first().filter(|_| !container.released)?;
    Some(Hold::ImageOwned { container: container.name.clone(), manager: manager.clone() })
}

/// Writes the release of the attempt into the template, as long as it did not arrive there; a
/// frozen Rollout takes nothing.
pub fn deliver(seen: &Snapshot) -> Option<Act> {
    if let Some(act) = arrive(seen) {
        return Some(act);
    }
    let attempt = pending(seen).filter(|_| !seen.spec.paused)?;
    if let Wanted::Images { release, .. } = wanted(seen)
        && !release.same(&attempt.release)
    {
        return None; // Another release is offered meanwhile: the start of an attempt takes it.
    }
    let image = Image::parse(&attempt.release.image).ok()?;
    let targets = match targets(seen, &image) {
        Ok(targets) => targets,
        Err(hold) => return Some(Act::hold(hold)),
    };
    if let Some(hold) = targets.iter().find_map(|container| owned(container)) {
        // What is bound brings it: that is written, and waited for.
        return (!binding::feeds(seen)).then(|| Act::hold(hold));
    }
    let images: BTreeMap<_, _> =
        targets.iter().map(|c| (c.name.clone(), written(c, &image))).collect();
    let arriving = side::revision_of(seen, &seen.template.with_images(&images));
    let stable = seen.status.stable.as_ref().is_some_and(|stable| stable.revision == arriving);
    if arriving != attempt.revision && !stable {
        // The template was edited between the decision and the write.
        let mut status = seen.status.clone();
        if let Some(attempt) = &mut status.attempt {
            attempt.revision = arriving;
        }
        return Some(Act::Commit(Box::new(status)));
    }
    Some(Act::Apply(set_images(seen, &images)))
}

/// The release came through what is bound, with other changes of the template beside it: it is
/// what climbs.
fn arrive(seen: &Snapshot) -> Option<Act> {
    let attempt = seen.status.attempt.as_ref()?;
    let open = matches!(attempt.stage, Stage::First { .. } | Stage::Step { .. });
    let waits = attempt.trigger == Trigger::Release && open && !attempt.delivered;
    let present = side::present(seen);
    let image = Image::parse(&attempt.release.image).ok()?;
    let fed = waits && binding::feeds(seen) && present != attempt.revision;
    if !fed || !arrived(seen, &image) {
        return None;
    }
    let mut status = seen.status.clone();
    status.attempt.as_mut()?.revision = present;
    Some(Act::Commit(Box::new(status)))
}

/// The write that brings images into the template.
pub fn set_images(seen: &Snapshot, images: &BTreeMap<String, String>) -> Vec<Write> {
    vec![Write::SetImages(edits(seen, images))]
}

/// The attempt whose release is not in the template yet, and is not overtaken by one that is.
pub fn pending(seen: &Snapshot) -> Option<&Attempt> {
    let attempt = seen.status.attempt.as_ref()?;
    let open = matches!(attempt.stage, Stage::First { .. } | Stage::Step { .. });
    let waits = attempt.trigger == Trigger::Release && open && !attempt.delivered;
    if !waits || !seen.spec.workload || side::present(seen) == attempt.revision {
        return None;
    }
    let image = Image::parse(&attempt.release.image).ok()?;
    // A source that went back offers what the template has: to write the other one again, and then
    // this one, would never end.
    let offered = match &seen.offer {
        Offer::Release(release) => arrived(seen, &release.image),
        Offer::NoSource | Offer::Nothing(_) => false,
    };
    (!arrived(seen, &image) && !offered).then_some(attempt)
}

/// Tells whether the template has a release.
fn arrived(seen: &Snapshot, image: &Image) -> bool {
    targets(seen, image).is_ok_and(|all| all.iter().all(|c| carries(c, image)))
}

/// Writes images back that vanished from the template: those of the attempt, else of stable.
pub fn restore(seen: &Snapshot) -> Option<Act> {
    let missing: Vec<_> = seen.template.containers.iter().filter(|c| c.image.is_none()).collect();
    if missing.is_empty() {
        return None;
    }
    let known = last_images(seen)?;
    let images: BTreeMap<_, _> = missing
        .iter()
        .filter_map(|c| Some((c.name.clone(), known.get(&c.name)?.clone())))
        .collect();
    let edits = edits(seen, &images);
    (!edits.is_empty()).then(|| Act::Apply(vec![Write::SetImages(edits)]))
}

/// The images of the attempt in progress, else of stable.
pub fn last_images(seen: &Snapshot) -> Option<BTreeMap<String, String>> {
    let status = &seen.status;
    let open = status.attempt.as_ref().filter(|attempt| {
        attempt.stage.open() && !matches!(attempt.stage, Stage::RollingBack { .. })
    });
    let revisions = open.map(|a| &a.revision).into_iter();
    let revisions = revisions.chain(status.stable.as_ref().map(|side| &side.revision));
    revisions.filter_map(|r| side::replica_set(seen, r)).map(|rs| rs.images.clone()).next()
}

/// Puts the images of stable back where a failed release stands in the template and it is ours.
pub fn put_back(seen: &Snapshot) -> Option<Act> {
    let attempt = seen.status.attempt.as_ref()?;
    let ours = attempt.trigger == Trigger::Release && side::present(seen) == attempt.revision;
    let stable = side::replica_set(seen, &seen.status.stable.as_ref()?.revision)?;
    if !ours {
        return None;
    }
    let differs = |c: &&Container| {
        let before = stable.images.get(&c.name);
        before.is_some() && before != c.image.as_ref() && owned(c).is_none()
    };
    let images: BTreeMap<_, _> = seen
        .template
        .containers
        .iter()
        .filter(differs)
        .filter_map(|c| Some((c.name.clone(), stable.images.get(&c.name)?.clone())))
        .collect();
    let edits = edits(seen, &images);
    (!edits.is_empty()).then(|| Act::Apply(vec![Write::SetImages(edits)]))
}

fn edits(seen: &Snapshot, images: &BTreeMap<String, String>) -> Vec<ImageEdit> {
    let edit = |c: &Container| {
        let image = images.get(&c.name).filter(|image| c.image.as_ref() != Some(image))?;
        let (container, image) = (c.name.clone(), image.clone());
        Some(ImageEdit { init: c.init, index: c.index, container, image })
    };
    seen.template.containers.iter().filter_map(edit).collect()
}
