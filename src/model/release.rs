//! Release: one version of an image that a source offers. It never decides whether to take it.

use crate::model::image::Image;
use crate::model::version::Version;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// One version of an image that a source offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version, read from the tag.
    pub version: Version,
    /// The image, with its tag and, where the source tells one, its digest.
    pub image: Image,
    /// What else is told of it.
    pub about: About,
}

/// What the annotations of an image tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The revision of its source code, empty where it is not told.
    pub revision: String,
    /// When it was made, empty where it is not told.
    pub created: String,
}

/// What the annotations of an image tell of it as such, of whichever release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Card {
    /// What kind of artifact it is.
    pub artifact_type: String,
    /// Where its source code is.
    pub source: String,
    /// What it is called.
    pub title: String,
    /// What it is for.
    pub description: String,
}

/// What is known of the image behind a tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The digest that the tag has in the registry, empty where nobody asked there.
    pub digest: String,
    /// What is told of this release.
    pub about: About,
    /// What is told of the image as such.
    pub card: Card,
}

/// A release as status lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// The tag.
    pub tag: String,
    /// The digest, where it is known.
    pub digest: Option<String>,
    /// The version.
    pub version: String,
    /// What else is told of it.
    pub about: About,
}

impl Listed {
    /// Lists a release.
    pub fn of(release: &Release) -> Self {
        Self {
            tag: release.image.tag.clone().unwrap_or_default(),
            digest: release.image.digest.clone(),
            version: release.version.to_string(),
            about: release.about.clone(),
        }
    }
}

/// What is kept of a release in status: text, since a template may carry tags that are no versions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReleaseRef {
    /// The version, empty where the tag is none.
    pub version: String,
    /// The tag, empty where there is none.
    pub tag: String,
    /// The digest: of the image reference, else the one that the tag had when it was taken; empty
    /// where neither is known.
    pub digest: String,
    /// The whole image reference.
    pub image: String,
    /// What else is told of it.
    pub about: About,
}

impl ReleaseRef {
    /// Tells whether it is what a list shows: one of its tag, unless both are known to be others.
    pub fn is(&self, listed: &Listed) -> bool {
        let digest = listed.digest.as_ref().filter(|_| !self.digest.is_empty());
        self.tag == listed.tag && digest.is_none_or(|digest| *digest == self.digest)
    }

    /// Makes what is kept of an image reference, whether or not its tag is a version.
    pub fn of(image: &Image) -> Self {
        let tag = image.tag.clone().unwrap_or_default();
        let version = Version::from_tag(&tag).map(|version| version.to_string());
        Self {
            version: version.unwrap_or_default(),
            tag,
            digest: image.digest.clone().unwrap_or_default(),
            image: image.to_string(),
            about: About::default(),
        }
    }

    /// Takes what is known of the image behind its tag, as far as it is this one's.
    pub fn learn(&mut self, manifest: &Manifest) {
        if self.digest.is_empty() {
            self.digest.clone_from(&manifest.digest);
        }
        if self.digest == manifest.digest && self.about == About::default() {
            self.about = manifest.about.clone();
        }
    }

    /// Tells whether both are one release: the same tag, and not two different digests.
    pub fn same(&self, other: &Self) -> bool {
        let digests = [&self.digest, &other.digest];
        let known = digests.iter().all(|digest| !digest.is_empty());
        #[cfg(feature = "planted")]
        let known = known && !active(Bug::RepushIgnored);
        self.tag == other.tag && (!known || self.digest == other.digest)
    }
}
