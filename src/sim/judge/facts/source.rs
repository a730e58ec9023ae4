//! Source: what a Flux object offers, and how images and versions compare.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::keys;
use crate::model::moment::Duration;
use crate::sim::judge::read::{at, list, number, text};

/// The object whose releases a Rollout follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The plural of its kind.
    pub resource: &'static str,
    /// Its namespace, and its name after the plural.
    pub name: (String, String),
    /// The variable that tells the version.
    pub substitute: Option<String>,
}

/// What a Flux object offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The repository; empty: a version only.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest; empty: none.
    pub digest: String,
    /// The values of its variables.
    pub variables: BTreeMap<String, String>,
}

/// A repository that a Rollout follows itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Registry host and path.
    pub image: String,
    /// How often it is asked.
    pub interval: Duration,
    /// Whether prereleases count that the range does not name.
    pub prereleases: bool,
}

impl Registry {
    /// Reads it from the spec of a Rollout.
    pub fn read(spec: &Value) -> Option<Self> {
        let registry = at(spec, &["registry"])?;
        Some(Self {
            image: text(registry, &["image"]).to_owned(),
            interval: Duration::parse(text(registry, &["interval"])).ok()?,
            prereleases: at(spec, &["prereleases", "enabled"]) == Some(&Value::Bool(true)),
        })
    }
}

impl Offer {
    /// What a repository offers by a tag.
    pub fn tagged(repository: &str, tag: &str) -> Self {
        let (repository, tag) = (repository.to_owned(), tag.to_owned());
        Self { repository, tag, digest: String::new(), variables: BTreeMap::new() }
    }

    /// Reads what is offered; nothing while the policy is not Ready at its generation.
    pub fn read(object: &Value) -> Option<Self> {
        let conditions = list(object, &["status", "conditions"]);
        let ready = conditions.iter().any(|condition| {
            text(condition, &["type"]) == "Ready" && text(condition, &["status"]) == "True"
        });
        let present = number(object, &["status", "observedGeneration"])
            == number(object, &["metadata", "generation"]);
        let latest = |key| text(object, &["status", "latestRef", key]).to_owned();
        let revisions =
            [&["status", "artifact", "revision"][..], &["status", "lastAppliedRevision"]];
        let tagged = revisions.iter().find_map(|path| text(object, path).split_once('@'));
        let metadata = [&["status", "artifact", "metadata"][..], &[keys::OCI_VERSION]].concat();
        // An artifact that is read by its digest has no tag, but may say which version it is.
        let annotated = || Some(text(object, &metadata)).filter(|version| !version.is_empty());
        let tag = tagged.map(|(tag, _)| tag).or_else(annotated);
        let tag = tag.map_or_else(|| latest("tag"), str::to_owned);
        let variables = at(object, &["spec", "postBuild", "substitute"]).cloned();
        let variables = variables.and_then(|all| serde_json::from_value(all).ok());
        let offer = Self {
            repository: latest("name"),
            tag,
            digest: latest("digest"),
            variables: variables.unwrap_or_default(),
        };
        let tells = !offer.tag.is_empty() || !offer.variables.is_empty();
        (ready && present && tells).then_some(offer)
    }

    /// What it offers to a Rollout that follows it so.
    pub fn to(&self, source: &Source) -> Option<Self> {
        match &source.substitute {
            Some(variable) => {
                let tag = self.variables.get(variable)?.clone();
                Some(Self { tag, ..self.clone() })
            }
            None => Some(self.clone()).filter(|offer| !offer.tag.is_empty()),
        }
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

/// Whether a version may lie in a range of Flux's grammar, as far as it is simple to tell.
pub fn in_range(range: Option<&str>, version: &semver::Version) -> bool {
    let Some(range) = range else { return true };
    if !version.pre.is_empty() {
        // A prerelease lies only in a range that names one: `1.2.3-rc`, not `1.2 - 1.3`.
        let texts: Vec<&str> = range.split('-').collect();
        let solid = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
        return texts.windows(2).any(|pair| match pair {
            [left, right] => solid(left.chars().next_back()) && solid(right.chars().next()),
            _ => false,
        });
    }
    let mut known = range.split("||").map(|part| {
        let comparators: Vec<&str> = part.split([' ', ',']).filter(|c| !c.is_empty()).collect();
        semver::VersionReq::parse(&comparators.join(","))
    });
    known.any(|part| part.map_or(true, |part| part.matches(version)))
}
