//! Registry: a repository whose tags are the releases, and which of them count. It lists nothing.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::moment::Duration;
use crate::model::range::Range;
use crate::model::version::Version;

/// A repository that a Rollout follows by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// The repository: registry host and path.
    pub image: String,
    /// How often it is asked, at the least.
    pub interval: Duration,
    /// The Secret with the login.
    pub secret: Option<String>,
    /// The Secret with certificates.
    pub cert: Option<String>,
    /// Whether it is asked without TLS.
    pub insecure: bool,
    /// The prereleases that count.
    pub prereleases: Prereleases,
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registry {}", self.image)
    }
}

/// The prereleases that count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Prereleases {
    /// Those that the range names itself.
    #[default]
    Ranged,
    /// All.
    All,
    /// Those with one of these first identifiers.
    Of(BTreeSet<String>),
}

impl Prereleases {
    /// Tells whether a version counts that has to lie in a range, where there is one.
    pub fn allow(&self, version: &Version, range: Option<&Range>) -> bool {
        if !version.is_prerelease() {
            return range.is_none_or(|range| range.allows(version));
        }
        let lies = || range.is_none_or(|range| range.spans(version));
        match self {
            Self::Ranged => range.is_some_and(|range| range.allows(version)),
            Self::All => lies(),
            Self::Of(first) => first.contains(version.channel()) && lies(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prereleases_count_as_the_spec_says() {
        let all = Prereleases::All;
        let of = Prereleases::Of(BTreeSet::from(["rc".to_owned()]));
        let ranged = Prereleases::Ranged;
        for (case, allowed, range, version, want) in [
            ("a plain version needs no word", &ranged, None, "1.0.0", true),
            ("nor with others", &of, None, "1.0.0", true),
            ("but it has to lie in the range", &all, Some("<1.0.0"), "1.0.0", false),
            ("no prerelease by itself", &ranged, None, "1.0.0-rc.1", false),
            ("nor in a range that names none", &ranged, Some(">=0.1.0"), "1.0.0-rc.1", false),
            ("in one that does", &ranged, Some(">=0.1.0-0"), "1.0.0-rc.1", true),
            ("all of them", &all, None, "1.0.0-beta.1", true),
            ("all in the range", &all, Some(">=1.0.0"), "1.1.0-beta.1", true),
            ("by precedence below", &all, Some(">=1.0.0"), "1.0.0-beta.1", false),
            ("and below the end", &all, Some("<2.0.0"), "2.0.0-beta.1", true),
            ("unless the end is one", &all, Some("<2.0.0-0"), "2.0.0-beta.1", false),
            ("in a caret", &all, Some("^1.2.0"), "1.3.0-rc.1", true),
            ("in a tilde", &all, Some("~1.2.0"), "1.2.3-rc.1", true),
            ("the first identifier", &of, None, "1.0.0-rc.1", true),
            ("alone", &of, None, "1.0.0-rc", true),
            ("as a whole", &of, None, "1.0.0-rc1", false),
            ("another", &of, None, "1.0.0-beta.rc", false),
            ("its case counts", &of, None, "1.0.0-RC.1", false),
            ("another that the range names", &of, Some(">=0.1.0-0"), "1.0.0-beta.1", false),
            ("one out of the range", &of, Some("<1.0.0-0"), "1.0.0-rc.1", false),
        ] {
            let range = range.map(|range| Range::parse(range).unwrap());
            let version = Version::from_tag(version).unwrap();
            assert_eq!(allowed.allow(&version, range.as_ref()), want, "{case}");
        }
    }
}
