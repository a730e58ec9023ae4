//! Images: what a controller writes into the template, and whence it has it (S8, S14, S18).

use std::collections::BTreeMap;

use semver::Version;

use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::source::{Image, Offer, version};
use crate::sim::judge::facts::status::{Attempt, Release, Stage, Status};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh};

/// What was written into each template in its present attempt.
#[derive(Debug, Default)]
pub struct Images {
    /// By the uid of the Rollout.
    written: BTreeMap<String, Written>,
}

#[derive(Debug, Default)]
struct Written {
    attempt: i64,
    /// The images that a controller put in the place of others, by container; those that someone
    /// else took out again before they were seen are forgotten.
    images: BTreeMap<String, Vec<String>>,
}

impl Images {
    /// Looks at a change of a Rollout.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        let Fresh::Rollout(Some(is)) = case.fresh else { return };
        let name = (case.namespace().to_owned(), case.name().to_owned());
        let Some(was) = case.scene.rollout(&name) else { return };
        if case.controller().is_none() {
            self.disturbed(was, is);
            return;
        }
        if was.status != is.status {
            started(case, was, is, found);
        }
        if was.spec.images != is.spec.images {
            self.wrote(case, was, is, found);
        }
    }

    /// Someone else changed an image: one that was not seen to arrive may be written once more.
    fn disturbed(&mut self, was: &Rollout, is: &Rollout) {
        let delivered = was.open().is_none_or(|attempt| attempt.delivered);
        let Some(written) = self.written.get_mut(&is.uid).filter(|_| !delivered) else { return };
        let other =
            |container: &String| was.spec.images.get(container) != is.spec.images.get(container);
        written.images.retain(|container, _| !other(container));
    }

    fn wrote(&mut self, case: &Case<'_>, was: &Rollout, is: &Rollout, found: &mut Found) {
        let number = was.status.attempt.as_ref().map_or(0, |attempt| attempt.number);
        let written = self.written.entry(is.uid.clone()).or_default();
        if written.attempt != number {
            *written = Written { attempt: number, images: BTreeMap::new() };
        }
        for (container, image) in &is.spec.images {
            let before = was.spec.images.get(container).and_then(Option::as_ref);
            let (Some(before), Some(image)) = (before, image) else { continue };
            if before == image {
                continue;
            }
            let all = written.images.entry(container.clone()).or_default();
            found.unless(!all.contains(image), "S8", || {
                format!("{}: attempt {number} writes {image} a second time", is.name)
            });
            all.push(image.clone());
            older(was, (before, image), found);
            ours(was, container, (before, image), found);
            pinned(case, was, (container, image), found);
        }
    }
}

/// S5: a release goes only into containers of its repository, and into the one that is named.
fn ours(was: &Rollout, container: &str, (before, image): (&str, &str), found: &mut Found) {
    let named = was.spec.container.as_ref().is_none_or(|name| name == container);
    let back = was.open().is_some_and(|attempt| attempt.stage() == Stage::RollingBack);
    let same = canonical(Image::of(before).repository) == canonical(Image::of(image).repository);
    found.unless((named && same) || back, "S5", || {
        format!("{}: {container} gets {image} in the place of {before}", was.name)
    });
}

/// A repository by its whole name: `nginx` is `docker.io/library/nginx`.
fn canonical(repository: &str) -> String {
    match repository.split_once('/') {
        None => format!("docker.io/library/{repository}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => {
            repository.strip_prefix("index.").unwrap_or(repository).to_owned()
        }
        Some(_) => format!("docker.io/{repository}"),
    }
}

/// S14: a version falls only on the way back from what failed.
fn older(was: &Rollout, (before, image): (&str, &str), found: &mut Found) {
    let back =
        was.open().is_some_and(|a| a.stage() == Stage::RollingBack && (a.failed() || a.lost()));
    let (from, to) = (Image::of(before).version(), Image::of(image).version());
    let falls = from.zip(to).is_some_and(|(from, to)| to.cmp_precedence(&from).is_lt());
    let chosen = was.chosen(Image::of(image).tag);
    found.unless(back || chosen || !falls, "S14", || {
        format!("{}: {image} replaces {before}", was.name)
    });
}

/// S18: what is written is what was accepted, or the stable release that the source shows again.
fn pinned(case: &Case<'_>, was: &Rollout, (container, image): (&str, &str), found: &mut Found) {
    let image = Image::of(image);
    let same = |tag: &str, digest: &str| image.tag == tag && image.digest == digest;
    let back = was.open().is_some_and(|attempt| attempt.stage() == Stage::RollingBack);
    let accepted = was.open().filter(|attempt| attempt.trigger == "Release");
    let accepted = accepted.is_some_and(|a| same(&a.release.tag, a.release.digest()));
    let offers = was.spec.source.iter().flat_map(|source| case.offers(source));
    let stable = was.status.stable.as_ref().map(|side| &side.release);
    let runs = stable.is_some_and(|stable| same(&stable.tag, stable.digest()))
        && offers.into_iter().any(|offer| same(&offer.tag, &offer.digest));
    let accepted = accepted || was.chosen(image.tag);
    found.unless(accepted || runs || back || !remembers(case, was), "S18", || {
        format!("{}: {container} gets {image:?}, that was not accepted", was.name)
    });
}

/// Whether the writer looked at the source of a Rollout at a time that is still remembered.
fn remembers(case: &Case<'_>, rollout: &Rollout) -> bool {
    rollout.spec.source.as_ref().is_none_or(|source| case.remembers(source.resource))
}

/// S14 and S18: an attempt at a release takes what the source shows, and nothing older.
fn started(case: &Case<'_>, was: &Rollout, is: &Rollout, found: &mut Found) {
    let old = was.status.attempt.as_ref().map(|attempt| attempt.number);
    let new = |attempt: &&Attempt| Some(attempt.number) != old && attempt.trigger == "Release";
    let Some(attempt) = is.open().filter(new) else { return };
    let release = &attempt.release;
    let offers = is.spec.source.iter().flat_map(|source| case.offers(source));
    let offers: Vec<Offer> = offers.collect();
    let shown = offers.iter().any(|o| o.tag == release.tag && o.digest == release.digest());
    let chosen = is.chosen(&release.tag);
    // A registry tells of more than its policy shows.
    let listed =
        |status: &Status| status.available_releases.iter().any(|known| known.tag == release.tag);
    // What it was just listed for is told with the attempt; the policy shows the upper bound.
    let listed = listed(&was.status) || (listed(&is.status) && below(&offers, release));
    // A failed release that was kept runs: who asks for another attempt asks for that one.
    let kept = was.status.attempt.as_ref().filter(|attempt| attempt.kept);
    let kept = kept.is_some_and(|kept| kept.release == *release);
    // Where nobody tells what was pushed, a registry may have it.
    let pushed = is.spec.registry.as_ref().is_some_and(|registry| {
        let tags = case.scene.pushed.get(&registry.image);
        tags.is_none_or(|tags| tags.contains(&release.tag))
    });
    let shown = shown || listed || pushed;
    found.unless(shown || chosen || kept || !remembers(case, is), "S18", || {
        format!(
            "{}: attempt {} takes {}, which its source does not show",
            is.name, attempt.number, release.image
        )
    });
    let Some(version) = version(&release.tag) else {
        found.push("S14", format!("{}: {} is no version", is.name, release.tag));
        return;
    };
    found.unless(chosen || is.spec.takes(&version), "S14", || {
        format!("{}: {version} is out of {:?}", is.name, is.spec.range)
    });
    let repository = Image::of(&release.image).repository;
    let present = was.spec.images.values().flatten().map(|image| Image::of(image));
    let newer = present
        .filter(|image| image.repository == repository)
        .find(|image| image.version().is_some_and(|v| version.cmp_precedence(&v).is_lt()));
    found.unless(chosen || newer.is_none(), "S14", || {
        format!(
            "{}: attempt {} takes {}, the template has {newer:?}",
            is.name, attempt.number, release.image
        )
    });
}

/// Whether a policy shows something newer of the repository of a release.
fn below(offers: &[Offer], release: &Release) -> bool {
    let repository = Image::of(&release.image).repository;
    let own = offers.iter().filter(|offer| canonical(&offer.repository) == canonical(repository));
    let bounds = own.filter_map(|offer| version(&offer.tag));
    let tells = |own: Version| bounds.into_iter().any(|bound| own.cmp_precedence(&bound).is_lt());
    version(&release.tag).is_some_and(tells)
}

#[cfg(test)]
mod tests;
