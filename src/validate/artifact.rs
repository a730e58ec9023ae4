//! Artifact: reads the version that an OCIRepository or a Kustomization tells, and the image that
//! it is the tag of. The digest of a manifest artifact is never the image's.

use crate::api::foreign::{Artifact, Kustomization, OciRepository};
use crate::api::keys;
use crate::model::hold::Hold;
use crate::model::image::{Image, parse_tag};
use crate::model::release::{About, Release};
use crate::model::spec::{SourceRef, Spec};
use crate::model::template::Template;
use crate::model::version::Version;
use crate::validate::excerpt::excerpt;
use crate::validate::ready::{Stated, not_ready, unready};

/// The release that an OCIRepository tells, while it is Ready at its generation.
///
/// # Errors
/// What keeps it from telling one.
pub fn of_repository(
    object: &OciRepository,
    source: &SourceRef,
    (spec, template): (&Spec, &Template),
) -> Result<Release, Hold> {
    let status = object.status.as_ref().ok_or_else(|| not_ready(source, "it has no status yet"))?;
    ready(
        source,
        &Stated {
            conditions: status.conditions.as_deref(),
            observed: status.observed_generation,
            generation: object.metadata.generation,
        },
    )?;
    let artifact = status.artifact.as_ref().filter(|artifact| !artifact.revision.is_empty());
    let artifact = artifact.ok_or(Hold::NoRelease)?;
    let tag = told(artifact);
    let unknown = || {
        let why = format!(
            "its revision {:?} has no tag, and its artifact no annotation {}",
            excerpt(&artifact.revision),
            keys::OCI_VERSION
        );
        unusable(source, why)
    };
    release(&tag.ok_or_else(unknown)?, source, (spec, template))
}

/// The release that a Kustomization tells, while it is Ready at its generation: by a variable, else
/// by the tag of what it applied.
///
/// # Errors
/// What keeps it from telling one.
pub fn of_kustomization(
    object: &Kustomization,
    source: &SourceRef,
    (spec, template): (&Spec, &Template),
) -> Result<Release, Hold> {
    let status = object.status.as_ref().ok_or_else(|| not_ready(source, "it has no status yet"))?;
    ready(
        source,
        &Stated {
            conditions: status.conditions.as_deref(),
            observed: status.observed_generation,
            generation: object.metadata.generation,
        },
    )?;
    let tag = match &source.substitute {
        Some(variable) => {
            let values = object.spec.post_build.as_ref().and_then(|post| post.substitute.as_ref());
            let value = values.and_then(|values| values.get(variable));
            let missing = || {
                let why = format!("spec.postBuild.substitute has no variable {variable}");
                unusable(source, why)
            };
            value.map(String::as_str).ok_or_else(missing)?
        }
        None => {
            let revision = status.last_applied_revision.as_deref().ok_or(Hold::NoRelease)?;
            let unknown = || {
                let why = format!("its revision {:?} has no tag", excerpt(revision));
                unusable(source, why)
            };
            tag_of(revision).ok_or_else(unknown)?
        }
    };
    release(tag, source, (spec, template))
}

/// Lets a source through that is Ready at its generation.
fn ready(source: &SourceRef, stated: &Stated<'_>) -> Result<(), Hold> {
    unready(stated).map_or(Ok(()), |why| Err(not_ready(source, &why)))
}

/// The tag of a revision of Flux: `<tag>@<digest>`, where it is not the digest alone.
fn tag_of(revision: &str) -> Option<&str> {
    revision.split_once('@').map(|(tag, _)| tag).filter(|tag| !tag.is_empty())
}

/// The tag that an artifact tells: by its revision, else by an annotation.
pub fn told(artifact: &Artifact) -> Option<String> {
    tag_of(&artifact.revision).map(str::to_owned).or_else(|| annotated(artifact))
}

fn annotated(artifact: &Artifact) -> Option<String> {
    artifact.metadata.as_ref()?.get(keys::OCI_VERSION).cloned()
}

fn release(
    tag: &str,
    source: &SourceRef,
    (spec, template): (&Spec, &Template),
) -> Result<Release, Hold> {
    let fault = |why: String| unusable(source, why);
    let tag = parse_tag(tag).map_err(|error| fault(error.to_string()))?;
    let version = Version::from_tag(&tag).map_err(|error| fault(error.to_string()))?;
    let mut image = match &source.image {
        Some(image) => Image::parse(image).map_err(|error| fault(error.to_string()))?,
        None if spec.workload => repository(source, spec, template)?,
        // Nothing runs it here: its name says enough.
        None => Image { repository: source.name.clone(), tag: None, digest: None },
    };
    (image.tag, image.digest) = (Some(tag), None);
    Ok(Release { version, image, about: About::default() })
}

/// The repository of the container that takes releases, or of all that have an image.
fn repository(source: &SourceRef, spec: &Spec, template: &Template) -> Result<Image, Hold> {
    let takes = |name: &String| spec.container.as_ref().is_none_or(|wanted| wanted == name);
    let images = template.containers.iter().filter(|container| takes(&container.name));
    let mut images = images.filter_map(|container| Image::parse(container.image.as_deref()?).ok());
    let why = |what: &str| {
        unusable(source, format!("it tells a version only, and {what}: set spec.sourceRef.image"))
    };
    let first = images.next().ok_or_else(|| why("no container that takes it has an image"))?;
    if images.all(|other| other.same_repository(&first)) {
        Ok(first)
    } else {
        Err(why("the containers have images of several repositories"))
    }
}

fn unusable(source: &SourceRef, why: String) -> Hold {
    Hold::UnusableRelease { source: source.to_string(), why }
}

#[cfg(test)]
mod tests;
