//! Target: the containers of the template that take a release. It never tells which release.

use crate::model::hold::Hold;
use crate::model::image::Image;
use crate::model::release::ReleaseRef;
use crate::model::snapshot::Snapshot;
use crate::model::status::Stage;
use crate::model::template::Container;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// The containers that take a release.
pub fn targets<'a>(seen: &'a Snapshot, offered: &Image) -> Result<Vec<&'a Container>, Hold> {
    let all = &seen.template.containers;
    if !seen.spec.workload {
        return Ok(Vec::new());
    }
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

/// The image of a container, where it is one.
pub fn image(container: &Container) -> Option<Image> {
    container.image.as_deref().and_then(|image| Image::parse(image).ok())
}

/// Tells whether a container runs the release. A digest counts only where both sides name one.
pub fn carries(container: &Container, offered: &Image) -> bool {
    image(container).is_some_and(|present| {
        let (ours, theirs) = (ReleaseRef::of(&present), ReleaseRef::of(offered));
        present.same_repository(offered) && ours.same(&theirs)
    })
}

/// The release that was delivered last, where there is no template; one that goes back is not.
pub fn delivered(seen: &Snapshot) -> Option<&ReleaseRef> {
    let attempt = seen.status.attempt.as_ref().filter(|attempt| {
        attempt.kept
            || match attempt.stage {
                Stage::First { .. }
                | Stage::Step { .. }
                | Stage::Promoting { .. }
                | Stage::Baking { .. } => true,
                Stage::RollingBack { .. } | Stage::Completed { .. } | Stage::Ended { .. } => false,
            }
    });
    let stable = seen.status.stable.as_ref().map(|side| &side.release);
    attempt.map(|attempt| &attempt.release).or(stable)
}

/// Tells whether the template has a release, or where there is none, whether it was delivered.
pub fn arrived(seen: &Snapshot, image: &Image) -> bool {
    if !seen.spec.workload {
        return delivered(seen).is_some_and(|release| release.same(&ReleaseRef::of(image)));
    }
    let has = |c: &&Container| carries(c, image) && (pinned(c, image) || !seen.spec.require_digest);
    targets(seen, image).is_ok_and(|all| all.iter().all(has))
}

/// Tells whether a container names the digest of a release, where it has one and is ours to write.
fn pinned(container: &Container, offered: &Image) -> bool {
    let named = || image(container).is_some_and(|present| present.digest == offered.digest);
    offered.digest.is_none() || owned(container).is_some() || named()
}

/// The hold of images that a GitOps tool would put back, unless they arrive through what is bound.
pub fn barred(seen: &Snapshot, targets: &[&Container]) -> Option<Hold> {
    let fed = seen.bindings.iter().any(|binding| binding.feeds);
    targets.iter().find_map(|container| owned(container)).filter(|_| !fed)
}

/// The hold of an image that a GitOps tool would put back.
pub fn owned(container: &Container) -> Option<Hold> {
    let manager = container.foreign_owners.first().filter(|_| !container.released)?;
    Some(Hold::ImageOwned { container: container.name.clone(), manager: manager.clone() })
}
