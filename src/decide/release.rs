//! Release: whether what the source offers is wanted, and its way into the template.

use std::collections::BTreeMap;

use crate::decide::act::Act;
use crate::decide::binding;
use crate::decide::pick::{self, Pick};
use crate::decide::side;
use crate::decide::target::{arrived, image, owned, targets};
use crate::model::hold::Hold;
use crate::model::image::Image;
use crate::model::moment::Timestamp;
use crate::model::moves::{ImageEdit, Write};
use crate::model::release::ReleaseRef;
use crate::model::snapshot::Snapshot;
use crate::model::status::{Attempt, Stage, Trigger};
use crate::model::template::Container;
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

/// Tells whether there is a release that the template does not have and should.
pub fn wanted(seen: &Snapshot, now: Timestamp) -> Wanted {
    let release = match pick::pick(seen, now) {
        Pick::Nothing => return Wanted::Nothing,
        Pick::Hold(hold) => return Wanted::Hold(hold),
        Pick::Release(release) => release,
    };
    let targets = match targets(seen, &release.image) {
        Ok(targets) => targets,
        Err(hold) => return Wanted::Hold(hold),
    };
    let images: BTreeMap<_, _> =
        targets.iter().map(|c| (c.name.clone(), written(c, &release.image))).collect();
    let first = images.values().next().and_then(|image| Image::parse(image).ok());
    let release = ReleaseRef::of(first.as_ref().unwrap_or(&release.image));
    Wanted::Images { release, images }
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

/// Writes the release of the attempt into the template, as long as it did not arrive there; a
/// frozen Rollout takes nothing.
pub fn deliver(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    if let Some(act) = arrive(seen) {
        return Some(act);
    }
    let attempt = pending(seen).filter(|_| !seen.spec.paused)?;
    if let Wanted::Images { release, .. } = wanted(seen, now)
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
    let offered = pick::goal(seen).is_some_and(|release| arrived(seen, &release.image));
    (!arrived(seen, &image) && !offered).then_some(attempt)
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

#[cfg(test)]
mod tests;
