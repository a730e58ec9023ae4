//! Image: references to container images. It never talks to a registry.

use std::fmt;

/// The longest reference that is read, in bytes.
pub const REFERENCE_MAX: usize = 1024;

/// A reference to an image, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// The repository as written: registry host and path.
    pub repository: String,
    /// The tag, where there is one.
    pub tag: Option<String>,
    /// The digest, where there is one: `sha256:<64 hex>` or `sha512:<128 hex>`.
    pub digest: Option<String>,
}

/// Why a text is not a reference to an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Empty, too long, or with characters that no reference has.
    #[error("{0:?} is not an image reference (repository[:tag][@digest])")]
    Reference(String),
    /// A tag that the distribution specification does not allow.
    #[error("{0:?} is not a tag (letters, digits, _ . -; at most 128)")]
    Tag(String),
    /// A digest of another form than the two that are known.
    #[error("{0:?} is not a digest (sha256:<64 hex> or sha512:<128 hex>)")]
    Digest(String),
}

impl Image {
    /// Reads `repository[:tag][@digest]`.
    ///
    /// # Errors
    /// An [`ImageError`] that says which part is wrong.
    ///
    /// Source: OCI distribution specification 1.1, "Pulling manifests".
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let fault = || ImageError::Reference(text.chars().take(80).collect());
        if text.is_empty() || text.len() > REFERENCE_MAX {
            return Err(fault());
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(parse_digest(digest)?)),
            None => (text, None),
        };
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(parse_tag(tag)?)),
            Some(_) | None => (name, None),
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
        let whole = repository.split('/').all(|part| !part.is_empty());
        if !whole || !repository.chars().all(legal) {
            return Err(fault());
        }
        Ok(Self { repository: repository.to_owned(), tag, digest })
    }

    /// Tells whether both name one repository; `nginx` is `docker.io/library/nginx`.
    pub fn same_repository(&self, other: &Self) -> bool {
        canonical(&self.repository) == canonical(&other.repository)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Reads a tag.
///
/// # Errors
/// [`ImageError::Tag`] where it has other characters or more of them than the specification allows.
pub fn parse_tag(tag: &str) -> Result<String, ImageError> {
    let first = tag.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let legal = tag.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && legal && tag.len() <= 128 {
        Ok(tag.to_owned())
    } else {
        Err(ImageError::Tag(tag.chars().take(140).collect()))
    }
}

/// Reads a digest.
///
/// # Errors
/// [`ImageError::Digest`] where it is neither sha256 nor sha512 with as many hex digits as these
/// have.
pub fn parse_digest(digest: &str) -> Result<String, ImageError> {
    let hex = |hex: &str, length: usize| {
        hex.len() == length && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let known = match digest.split_once(':') {
        Some(("sha256", rest)) => hex(rest, 64),
        Some(("sha512", rest)) => hex(rest, 128),
        Some(_) | None => false,
    };
    if known {
        Ok(digest.to_owned())
    } else {
        Err(ImageError::Digest(digest.chars().take(150).collect()))
    }
}

/// Docker's short names, spelled out.
fn canonical(repository: &str) -> String {
    let host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    match repository.split_once('/') {
        Some(("index.docker.io", rest)) => format!("docker.io/{rest}"),
        Some((first, _)) if host(first) => repository.to_owned(),
        Some(_) => format!("docker.io/{repository}"),
        None => format!("docker.io/library/{repository}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_repository_tag_and_digest() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        for (text, repository, tag, pinned) in [
            ("nginx", "nginx", None, false),
            ("nginx:1.2", "nginx", Some("1.2"), false),
            ("localhost:5000/shop", "localhost:5000/shop", None, false),
            ("localhost:5000/shop:1.0.0", "localhost:5000/shop", Some("1.0.0"), false),
            ("ghcr.io/a/b:v1@D", "ghcr.io/a/b", Some("v1"), true),
            ("ghcr.io/a/b@D", "ghcr.io/a/b", None, true),
        ] {
            let text = text.replace('D', &digest);
            let image = Image::parse(&text).unwrap();
            assert_eq!(image.repository, repository, "{text}");
            assert_eq!(image.tag.as_deref(), tag, "{text}");
            assert_eq!(image.digest.is_some(), pinned, "{text}");
            assert_eq!(image.to_string(), text);
        }
        for text in ["", "a b", "/a", "a//b", "a:", "a:ü", "a@sha256:12", "a@md5:1", "a@", ":1"] {
            assert!(Image::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn short_names_are_the_long_ones() {
        for (one, other, want) in [
            ("nginx:1", "docker.io/library/nginx:2", true),
            ("a/b", "docker.io/a/b", true),
            ("index.docker.io/a/b", "a/b", true),
            ("localhost/a", "docker.io/localhost/a", false),
            ("ghcr.io/a/b", "a/b", false),
        ] {
            let same = Image::parse(one).unwrap().same_repository(&Image::parse(other).unwrap());
            assert_eq!(same, want, "{one} {other}");
        }
    }
}
