//! Version: what a release tag says, and which of two tags is newer.
//!
//! Never decides whether a version is wanted: that is `range` and the gates.

use std::cmp::Ordering;
use std::fmt;

use semver::{BuildMetadata, Prerelease};

/// Longest tag in bytes.
///
/// Source: OCI distribution specification 1.1, "Pulling manifests": at most 128 characters.
pub const TAG_MAX: usize = 128;

/// Longest excerpt of a text, in characters, that an error repeats.
const GIVEN_MAX: usize = 24;

/// This is the version in a tag, with the tag it was read from.
///
/// Two versions are equal if their tags are. Comparison is by precedence, so versions that differ
/// only in build metadata or in a leading `v` are neither equal nor less nor greater; sort with
/// [`Version::precedence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    tag: String,
    number: semver::Version,
}

impl Version {
    /// Reads the version in a tag, by the rules that select tags for a Flux ImagePolicy.
    ///
    /// A `v` may lead. Three parts between dots are needed, but the dots of a prerelease or of
    /// build metadata count: `1.2-rc.1` is 1.2.0-rc.1. Leading zeros are read over in the three
    /// numbers and refused in numeric prerelease identifiers.
    ///
    /// # Errors
    /// [`TagError::TooLong`], [`TagError::Parts`] or [`TagError::Malformed`]. Flux skips such a
    /// tag, too.
    ///
    /// Source: behaviour of fluxcd/pkg/version 0.16.0 with Masterminds/semver 3.5.0, measured by
    /// tests/semver.
    pub fn from_tag(tag: &str) -> Result<Version, TagError> {
        if tag.len() > TAG_MAX {
            return Err(TagError::TooLong { bytes: tag.len() });
        }
        let parts = tag.split('.').count();
        if parts < 3 {
            return Err(TagError::Parts { tag: tag.to_owned(), parts });
        }
        let mut cursor = Cursor::new(tag, 0);
        match number(&mut cursor) {
            Ok(number) => Ok(Version { tag: tag.to_owned(), number }),
            Err(fault) => Err(TagError::Malformed { tag: tag.to_owned(), fault }),
        }
    }

    /// The tag as it was given.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Tells if the version has a prerelease part, such as `-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.number.pre.is_empty()
    }

    /// The first identifier of the prerelease part, `rc` of `-rc.1`; empty where there is none.
    pub fn channel(&self) -> &str {
        self.number.pre.split('.').next().unwrap_or_default()
    }

    /// Orders by precedence: `Greater` is the newer version, `Equal` are versions that only differ
    /// in build metadata or in the spelling of the tag.
    ///
    /// A numeric prerelease identifier of 2^64 or more is compared as text, as Flux does.
    ///
    /// Source: Semantic Versioning 2.0.0, 11.
    pub fn precedence(&self, other: &Version) -> Ordering {
        compare(&self.number, &other.number)
    }

    /// Tells if no precedence separates the two: neither is newer.
    pub fn same_precedence(&self, other: &Version) -> bool {
        self.precedence(other) == Ordering::Equal
    }

    /// The numbers, prerelease and build metadata.
    pub(super) fn number(&self) -> &semver::Version {
        &self.number
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        if self == other {
            return Some(Ordering::Equal);
        }
        Some(self.precedence(other)).filter(|order| order.is_ne())
    }
}

/// Prints the version in its shortest form: no leading `v` and no leading zeros.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// This says why a tag is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The tag is longer than any registry may serve.
    #[error("tag of {bytes} bytes, allowed: up to {TAG_MAX}")]
    TooLong {
        /// Length of the tag.
        bytes: usize,
    },
    /// The tag is not divided like a version: `latest`, `1.2`.
    #[error("tag {tag:?} has {parts} of the parts MAJOR.MINOR.PATCH, allowed: all 3")]
    Parts {
        /// The tag as given.
        tag: String,
        /// Number of parts between dots.
        parts: usize,
    },
    /// One place in the tag breaks the grammar.
    #[error("tag {tag:?} has {fault}")]
    Malformed {
        /// The tag as given.
        tag: String,
        /// The place.
        fault: Fault,
    },
}

/// This is one place where a text leaves its grammar. Prints as the end of a sentence:
/// `"01" at byte 6, allowed: a number without leading zero`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it begins, counted in bytes from 0.
    pub position: usize,
    /// What is there, cut to a few characters; empty at the end of the text.
    pub given: String,
    /// What could be there instead.
    pub allowed: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.given.as_str() {
            "" => write!(f, "its end")?,
            given => write!(f, "{given:?}")?,
        }
        write!(f, " at byte {}, allowed: {}", self.position, self.allowed)
    }
}

/// Compares by precedence. Versions and the bounds of a range share it.
pub(super) fn compare(left: &semver::Version, right: &semver::Version) -> Ordering {
    let core = |version: &semver::Version| (version.major, version.minor, version.patch);
    core(left).cmp(&core(right)).then_with(|| compare_prerelease(&left.pre, &right.pre))
}

fn compare_prerelease(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => left.split('.').map(Identifier).cmp(right.split('.').map(Identifier)),
    }
}

/// This is a prerelease identifier with its order: numbers by value, before any text.
struct Identifier<'a>(&'a str);

impl Ord for Identifier<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0.parse::<u64>(), other.0.parse::<u64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => self.0.cmp(other.0),
        }
    }
}

impl PartialOrd for Identifier<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Identifier<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Identifier<'_> {}

fn number(cursor: &mut Cursor<'_>) -> Result<semver::Version, Fault> {
    const MORE: &str = "\".\" and a number, \"-\" and a prerelease, \"+\" and build metadata";
    cursor.eat("v");
    let major = component(cursor)?;
    let minor = if cursor.eat(".") { component(cursor)? } else { 0 };
    let patch = if cursor.eat(".") { component(cursor)? } else { 0 };
    let (pre, build) = suffix(cursor)?;
    if !cursor.at_end() {
        return Err(cursor.fault(MORE));
    }
    Ok(semver::Version { major, minor, patch, pre, build })
}

fn component(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    let start = cursor.position();
    parse_component(cursor.take(|byte| byte.is_ascii_digit()), start, cursor)
}

/// Turns digits that began at `start` into a number; the cursor stands behind them.
pub(super) fn parse_component(
    digits: &str,
    start: usize,
    cursor: &Cursor<'_>,
) -> Result<u64, Fault> {
    if digits.is_empty() {
        return Err(cursor.fault("a number"));
    }
    digits.parse().map_err(|_| Fault::new(start, digits, "a number below 2^64"))
}

/// Reads what may follow the numbers: `-` and a prerelease, `+` and build metadata.
pub(super) fn suffix(cursor: &mut Cursor<'_>) -> Result<(Prerelease, BuildMetadata), Fault> {
    const PRERELEASE: &str = "identifiers of 0-9 A-Z a-z \"-\", split by \".\", none empty, no \
                              number with a leading zero";
    const BUILD: &str = "identifiers of 0-9 A-Z a-z \"-\", split by \".\", none empty";
    let mut pre = Prerelease::EMPTY;
    if cursor.eat("-") {
        let (start, text) = (cursor.position(), identifiers(cursor));
        if text.is_empty() {
            return Err(cursor.fault(PRERELEASE));
        }
        pre = Prerelease::new(text).map_err(|_| Fault::new(start, text, PRERELEASE))?;
    }
    let mut build = BuildMetadata::EMPTY;
    if cursor.eat("+") {
        let (start, text) = (cursor.position(), identifiers(cursor));
        if text.is_empty() {
            return Err(cursor.fault(BUILD));
        }
        build = BuildMetadata::new(text).map_err(|_| Fault::new(start, text, BUILD))?;
    }
    Ok((pre, build))
}

/// Steps over what may be dotted identifiers, and returns it.
pub(super) fn identifiers<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.take(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

impl Fault {
    fn new(position: usize, given: &str, allowed: &'static str) -> Fault {
        Fault { position, given: given.chars().take(GIVEN_MAX).collect(), allowed }
    }
}

/// This walks over a text that may lie within a longer one, and knows where it is.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Starts before `text`, which begins at byte `position` of what the user wrote.
    pub(super) fn new(text: &'a str, position: usize) -> Cursor<'a> {
        Cursor { rest: text, position }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn is_next(&self, expected: &str) -> bool {
        self.rest.starts_with(expected)
    }

    /// Steps over `expected` if it is next; tells if it was.
    pub(super) fn eat(&mut self, expected: &str) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                self.position = self.position.saturating_add(expected.len());
                true
            }
            None => false,
        }
    }

    /// Steps over the bytes that `wanted` accepts, and returns them. It must accept ASCII only.
    pub(super) fn take(&mut self, wanted: fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !wanted(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.position = self.position.saturating_add(taken.len());
        taken
    }

    /// Names the next characters, up to a separator of ranges, as not `allowed`.
    pub(super) fn fault(&self, allowed: &'static str) -> Fault {
        let separator = |c: char| c.is_whitespace() || c == ',' || c == '|';
        let mut characters = self.rest.chars();
        let first = characters.next();
        let more = characters.take_while(|c| !first.is_some_and(separator) && !separator(*c));
        let given: String = first.into_iter().chain(more).take(GIVEN_MAX).collect();
        Fault { position: self.position, given, allowed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints what was read, or why not.
    fn read(tag: &str) -> String {
        match Version::from_tag(tag) {
            Ok(version) => version.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn tags_are_read_as_flux_reads_them() {
        for (case, tag, want) in [
            ("three numbers", "1.2.3", "1.2.3"),
            ("a leading v", "v1.2.3", "1.2.3"),
            ("prerelease and metadata", "1.2.3-rc.1+b.01", "1.2.3-rc.1+b.01"),
            ("leading zeros in numbers", "01.002.3", "1.2.3"),
            ("dots of the prerelease count", "1.2-rc.1", "1.2.0-rc.1"),
            ("dots of the metadata count", "1.2+a.3", "1.2.0+a.3"),
            ("hyphens are a prerelease", "1.2.3--", "1.2.3--"),
            ("the largest number", "18446744073709551615.0.0", "18446744073709551615.0.0"),
            (
                "prerelease numbers of any size",
                "1.0.0-99999999999999999999",
                "1.0.0-99999999999999999999",
            ),
        ] {
            assert_eq!(read(tag), want, "{case}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_given_and_what_is_allowed() {
        for (tag, want) in [
            ("", "tag \"\" has 1 of the parts MAJOR.MINOR.PATCH, allowed: all 3"),
            ("latest", "tag \"latest\" has 1 of the parts MAJOR.MINOR.PATCH, allowed: all 3"),
            ("1.2", "tag \"1.2\" has 2 of the parts MAJOR.MINOR.PATCH, allowed: all 3"),
            ("1.2.", "tag \"1.2.\" has its end at byte 4, allowed: a number"),
            ("V1.2.3", "tag \"V1.2.3\" has \"V1.2.3\" at byte 0, allowed: a number"),
            ("1.٢.3", "tag \"1.٢.3\" has \"٢.3\" at byte 2, allowed: a number"),
            (
                "1.2.3.4",
                "tag \"1.2.3.4\" has \".4\" at byte 5, allowed: \".\" and a number, \"-\" and a \
                 prerelease, \"+\" and build metadata",
            ),
        ] {
            assert_eq!(read(tag), want);
        }
        for (tag, want) in [
            (
                "99999999999999999999.0.0",
                "\"99999999999999999999\" at byte 0, allowed: a number below 2^64",
            ),
            ("1.2.3-01", "\"01\" at byte 6, allowed: identifiers"),
            ("1.2.3-a..b", "\"a..b\" at byte 6, allowed: identifiers"),
            ("1.2.3-", "its end at byte 6, allowed: identifiers"),
            ("1.2.3+", "its end at byte 6, allowed: identifiers"),
            ("1.2.3_4", "\"_4\" at byte 5, allowed: "),
            ("1.2.3\u{0}", "\"\\0\" at byte 5, allowed: "),
        ] {
            assert!(read(tag).contains(want), "{tag}: {}", read(tag));
        }
    }

    #[test]
    fn a_tag_of_128_bytes_is_the_longest() {
        let tag = |length: usize| format!("1.2.3-{}", "a".repeat(length - 6));
        assert!(Version::from_tag(&tag(TAG_MAX)).is_ok());
        assert_eq!(Version::from_tag(&tag(TAG_MAX + 1)), Err(TagError::TooLong { bytes: 129 }));
        assert_eq!(read(&tag(1000)), "tag of 1000 bytes, allowed: up to 128");
    }

    #[test]
    fn order_is_semver_precedence() {
        let ascending = [
            "0.0.9",
            "1.0.0-1",
            "1.0.0-9",
            "1.0.0-10",
            "1.0.0-10.a",
            "1.0.0--",
            "1.0.0-4a",
            "1.0.0-A",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-rc.9",
            "1.0.0-rc.10",
            "1.0.0",
            "1.0.1-0",
            "1.9.0",
            "1.10.0",
            "2.0.0",
            "10.0.0",
            "18446744073709551615.0.0",
        ];
        let versions: Vec<Version> =
            ascending.iter().flat_map(|tag| Version::from_tag(tag)).collect();
        assert_eq!(versions.len(), ascending.len());
        for (i, left) in versions.iter().enumerate() {
            for (j, right) in versions.iter().enumerate() {
                assert_eq!(left.precedence(right), i.cmp(&j), "{left} {right}");
                assert_eq!(left.partial_cmp(right), Some(i.cmp(&j)), "{left} {right}");
            }
        }
    }

    #[test]
    fn metadata_and_spelling_make_no_version_newer() {
        for (left, right) in
            [("1.2.3+a", "1.2.3+b"), ("1.2.3", "1.2.3+b"), ("v1.2.3", "1.2.3"), ("01.2.3", "1.2.3")]
        {
            let pair = Version::from_tag(left).and_then(|l| Ok((l, Version::from_tag(right)?)));
            assert_eq!(
                pair.map(|(l, r)| (l.same_precedence(&r), l == r, l < r, l > r)),
                Ok((true, false, false, false)),
                "{left} {right}"
            );
        }
    }

    #[test]
    fn the_tag_is_kept_and_prereleases_are_known() {
        for (tag, prerelease) in
            [("v1.2.3", false), ("1.2.3-rc.1", true), ("1.2.3+a-b", false), ("01.2.3", false)]
        {
            let version = Version::from_tag(tag);
            assert_eq!(
                version.as_ref().map(|v| (v.tag(), v.is_prerelease())),
                Ok((tag, prerelease))
            );
        }
    }
}
