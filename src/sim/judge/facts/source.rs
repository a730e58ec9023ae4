//! Source: what an ImagePolicy offers, and how images and versions compare.

use serde_json::Value;

use crate::sim::judge::read::{list, number, text};

/// What an ImagePolicy offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest; empty: none.
    pub digest: String,
}

impl Offer {
    /// Reads what is offered; nothing while the policy is not Ready at its generation.
    pub fn read(object: &Value) -> Option<Self> {
        let conditions = list(object, &["status", "conditions"]);
        let ready = conditions.iter().any(|condition| {
            text(condition, &["type"]) == "Ready" && text(condition, &["status"]) == "True"
        });
        let present = number(object, &["status", "observedGeneration"])
            == number(object, &["metadata", "generation"]);
        let latest = |key| text(object, &["status", "latestRef", key]).to_owned();
        let offer =
            Self { repository: latest("name"), tag: latest("tag"), digest: latest("digest") };
        (ready && present && !offer.tag.is_empty()).then_some(offer)
    }
}

/// An image, taken apart; what is not there is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    /// The repository.
    pub repository: &'a str,
    /// The tag.
    pub tag: &'a str,
    /// The digest.
    pub digest: &'a str,
}

impl<'a> Image<'a> {
    /// Takes a reference apart.
    pub fn of(text: &'a str) -> Self {
        let (name, digest) = text.split_once('@').unwrap_or((text, ""));
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            Some(_) | None => (name, ""),
        };
        Self { repository, tag, digest }
    }

    /// Its version, where the tag is one.
    pub fn version(&self) -> Option<semver::Version> {
        version(self.tag)
    }
}

/// The version of a tag, with or without a leading `v`.
pub fn version(tag: &str) -> Option<semver::Version> {
    semver::Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}
