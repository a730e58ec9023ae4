//! Manifest: reads what a registry stores behind a tag, and whether it is what its digest says. It
//! makes no call.
//!
//! Source: OCI distribution specification 1.1, "Pulling manifests"; OCI image specification 1.1.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use sha2::{Digest, Sha256, Sha512};

use crate::api::keys;
use crate::model::image::parse_digest;
use crate::model::template::hex;
use crate::observe::registry::fault::Fault;
use crate::validate::seen::Manifest;

/// The kinds of manifests that are read: those of images, and those of several platforms.
const KINDS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
/// The kinds of configurations that have labels: those of images.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// The header in which a registry tells the digest of a manifest.
const DIGEST: &str = "docker-content-digest";
/// The annotations that are of use.
const ANNOTATIONS: [&str; 6] = [
    keys::OCI_VERSION,
    keys::OCI_REVISION,
    keys::OCI_CREATED,
    keys::OCI_SOURCE,
    keys::OCI_TITLE,
    keys::OCI_DESCRIPTION,
];
/// Characters of a text of a manifest that are kept: more than is ever shown.
const TEXT_MAX: usize = 512;

/// What was read, and what else has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What is known so far.
    pub manifest: Manifest,
    /// The digest of the manifest of one platform, where only that may have annotations.
    pub child: Option<String>,
    /// The digest of the configuration of the image, where only that may tell something.
    pub config: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

/// The configuration of an image.
#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    config: Option<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Run {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// The value of the header Accept.
pub fn accept() -> String {
    KINDS.join(", ")
}

/// The digest that a registry tells of a manifest, where it tells one.
///
/// # Errors
/// [`Fault::Malformed`] where it is none.
pub fn told(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(told) = headers.get(DIGEST) else { return Ok(None) };
    let digest = told.to_str().ok().and_then(|told| parse_digest(told).ok());
    digest.map(Some).ok_or(Fault::Malformed("no digest"))
}

/// Reads a manifest.
///
/// # Errors
/// [`Fault::DigestMismatch`] where it is not what its digest says, [`Fault::Malformed`] where it is
/// no manifest that is known.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Parsed, Fault> {
    let told = told(headers)?;
    let digest = digest_of(body, told.as_deref().unwrap_or_default());
    if told.is_some_and(|told| told != digest) {
        return Err(Fault::DigestMismatch);
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = KINDS.into_iter().find(|known| *known == kind);
    let kind = kind.ok_or(Fault::Malformed("a manifest of a kind that is not known"))?;
    let document: Document =
        serde_json::from_slice(body).map_err(|_| Fault::Malformed("no manifest"))?;
    let Document { artifact_type, config, manifests, annotations } = document;
    let config_type = config.as_ref().map(|config| config.media_type.clone());
    let artifact_type =
        [artifact_type, config_type].into_iter().flatten().find(|it| !it.is_empty());
    let artifact_type = short(&artifact_type.unwrap_or_else(|| kind.to_owned()));
    let (mut annotations, mut child) = (useful(annotations), None);
    if let Some(one) = platform(manifests.unwrap_or_default()).filter(|_| annotations.is_empty()) {
        annotations = useful(one.annotations);
        child = parse_digest(&one.digest).ok().filter(|_| annotations.is_empty());
    }
    let silent = config.filter(|_| annotations.is_empty());
    let config = silent.and_then(|config| {
        annotations = useful(config.annotations);
        let labelled = annotations.is_empty() && CONFIGS.contains(&config.media_type.as_str());
        parse_digest(&config.digest).ok().filter(|_| labelled)
    });
    let manifest = Manifest { digest, artifact_type, annotations, unread: false };
    Ok(Parsed { manifest, child, config })
}

/// The labels of an image, which its configuration holds.
///
/// # Errors
/// [`Fault::DigestMismatch`] where it is not what its digest says, [`Fault::Malformed`] where it is
/// no configuration.
///
/// Source: OCI image specification 1.1, "Image configuration"; "Annotations", rules of back
/// compatibility with labels.
pub fn labels(digest: &str, body: &[u8]) -> Result<BTreeMap<String, String>, Fault> {
    if digest_of(body, digest) != digest {
        return Err(Fault::DigestMismatch);
    }
    let read: Configuration =
        serde_json::from_slice(body).map_err(|_| Fault::Malformed("no configuration"))?;
    Ok(useful(read.config.and_then(|run| run.labels)))
}

/// The digest of what was read, by the algorithm of the one that is told.
fn digest_of(body: &[u8], told: &str) -> String {
    if told.starts_with("sha512:") {
        return format!("sha512:{}", hex(&Sha512::digest(body), 128));
    }
    format!("sha256:{}", hex(&Sha256::digest(body), 64))
}

/// The one of several platforms whose annotations speak for all: linux/amd64, else the first that
/// is an image at all.
fn platform(all: Vec<Descriptor>) -> Option<Descriptor> {
    let of = |one: &Descriptor| {
        let platform = one.platform.as_ref();
        match platform.map(|platform| (platform.os.as_str(), platform.architecture.as_str())) {
            Some(("linux", "amd64")) => 0,
            // Attestations are stored so beside the images.
            Some(("unknown", _)) => 2,
            Some(_) | None => 1,
        }
    };
    all.into_iter().min_by_key(of)
}

fn useful(annotations: Option<BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut all = annotations.unwrap_or_default();
    all.retain(|key, text| ANNOTATIONS.contains(&key.as_str()) && !text.is_empty());
    all.into_iter().map(|(key, text)| (key, short(&text))).collect()
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests;
