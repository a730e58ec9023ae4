//! Range: which versions a policy allows, in the grammar of Flux.
//!
//! Never picks the newest of them: it answers for one version at a time.

use std::cmp::Ordering;
use std::fmt;

use semver::BuildMetadata;

use super::version::{Cursor, Fault, Version, compare, parse_component, suffix};

/// Longest range in bytes: far beyond what a person writes, and it bounds the work of a check.
pub const RANGE_MAX: usize = 256;

/// Most alternatives between `||`.
///
/// Source: behaviour of Masterminds/semver 3.5.0.
pub const GROUPS_MAX: usize = 32;

const CONSTRAINT: &str =
    "a version such as 1.2.3, 1.2, 1.x or *, with = != > >= < <= ~ or ^ before it";
const SEPARATOR: &str = "a space, \",\" or \"||\" between constraints";
const COMPONENT: &str = "a number, x, X or *";

/// This is a set of versions, written as constraints: `>=1.2.0 <2`, `1.x || ^3.1`, `1.2 - 2.3`.
///
/// Constraints joined by a space or a comma must all hold; of the groups joined by `||`, one must.
/// A prerelease is allowed only by a group in which some constraint has a prerelease part: `>=1.0.0`
/// refuses 1.1.0-rc.1, `>=1.0.0-0` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    text: String,
    groups: Vec<Group>,
}

impl Range {
    /// Reads a range as Flux reads `policy.semver.range` of an ImagePolicy.
    ///
    /// # Errors
    /// [`RangeError::TooLong`], [`RangeError::TooManyGroups`] or [`RangeError::Malformed`].
    ///
    /// Source: behaviour of Masterminds/semver 3.5.0, measured by tests/semver.
    pub fn parse(text: &str) -> Result<Range, RangeError> {
        if text.len() > RANGE_MAX {
            return Err(RangeError::TooLong { bytes: text.len() });
        }
        let count = text.split("||").count();
        if count > GROUPS_MAX {
            return Err(RangeError::TooManyGroups { groups: count });
        }
        let mut groups = Vec::with_capacity(count);
        let mut position: usize = 0;
        for part in text.split("||") {
            let group = Group::parse(Cursor::new(part, position))
                .map_err(|fault| RangeError::Malformed { range: text.to_owned(), fault })?;
            groups.push(group);
            position = position.saturating_add(part.len()).saturating_add(2);
        }
        Ok(Range { text: text.to_owned(), groups })
    }

    /// Tells if the version is in the set. Build metadata does not matter.
    pub fn allows(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| group.allows(version.number()))
    }
}

/// Prints the range as it was written.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// This says why a text is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The text is longer than [`RANGE_MAX`].
    #[error("range of {bytes} bytes, allowed are {RANGE_MAX}")]
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
    /// There are more alternatives than [`GROUPS_MAX`].
    #[error("range of {groups} groups between \"||\", allowed are {GROUPS_MAX}")]
    TooManyGroups {
        /// Number of groups.
        groups: usize,
    },
    /// One place in the text breaks the grammar.
    #[error("range {range:?} has {fault}")]
    Malformed {
        /// The text as given.
        range: String,
        /// The place.
        fault: Fault,
    },
}

/// This is a list of constraints that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    constraints: Vec<Constraint>,
    prereleases: bool,
}

impl Group {
    fn parse(mut cursor: Cursor<'_>) -> Result<Group, Fault> {
        let mut constraints = Vec::new();
        spaces(&mut cursor);
        let mut may_span = true;
        loop {
            let (first, second) = constraint(&mut cursor, may_span)?;
            let spanned = second.is_some();
            constraints.push(first);
            constraints.extend(second);
            let spaced = spaces(&mut cursor);
            let comma = cursor.eat(",");
            spaces(&mut cursor);
            if cursor.at_end() && !comma {
                break;
            }
            // Flux puts a separator of its own behind a hyphen range, so none is needed there.
            if !(spaced || comma || spanned) {
                return Err(cursor.fault(SEPARATOR));
            }
            may_span = comma || spanned;
        }
        let prereleases =
            constraints.iter().any(|constraint| !constraint.bound.number.pre.is_empty());
        Ok(Group { constraints, prereleases })
    }

    fn allows(&self, version: &semver::Version) -> bool {
        (version.pre.is_empty() || self.prereleases)
            && self.constraints.iter().all(|constraint| constraint.allows(version))
    }
}

/// Reads one constraint, or the two that a hyphen range stands for. A hyphen range may only begin
/// where `may_span` says so: first in its group, behind a comma, or behind another one.
fn constraint(
    cursor: &mut Cursor<'_>,
    may_span: bool,
) -> Result<(Constraint, Option<Constraint>), Fault> {
    if let Some(operator) = Operator::read(cursor) {
        spaces(cursor);
        return Ok((Constraint { operator, bound: Bound::read(cursor)? }, None));
    }
    let bound = Bound::read(cursor)?;
    let mut ahead = cursor.clone();
    if may_span && spaces(&mut ahead) && ahead.eat("-") && spaces(&mut ahead) {
        let last = Bound::read(&mut ahead)?;
        *cursor = ahead;
        let last = Constraint { operator: Operator::LessEqual, bound: last };
        return Ok((Constraint { operator: Operator::GreaterEqual, bound }, Some(last)));
    }
    Ok((Constraint { operator: Operator::Equal, bound }, None))
}

/// Steps over white space; tells if there was any.
fn spaces(cursor: &mut Cursor<'_>) -> bool {
    !cursor.take(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')).is_empty()
}

/// This is how a constraint compares a version with its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Tilde,
    Caret,
}

impl Operator {
    fn read(cursor: &mut Cursor<'_>) -> Option<Operator> {
        // Longer ones first: `>=` is not `>`.
        const SPELLINGS: [(&str, Operator); 11] = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterEqual),
            ("=>", Operator::GreaterEqual),
            ("<=", Operator::LessEqual),
            ("=<", Operator::LessEqual),
            ("~>", Operator::Tilde),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("~", Operator::Tilde),
            ("^", Operator::Caret),
        ];
        SPELLINGS.iter().find(|(text, _)| cursor.eat(text)).map(|(_, operator)| *operator)
    }
}

/// This is the version in a constraint, and how much of it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    /// Numbers that were not said are 0.
    number: semver::Version,
    said: Said,
}

/// This is the last number that was said before the version ended or a wildcard stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Major,
    Minor,
    Patch,
}

impl Bound {
    fn read(cursor: &mut Cursor<'_>) -> Result<Bound, Fault> {
        let allowed = if cursor.eat("v") { COMPONENT } else { CONSTRAINT };
        let mut numbers = Vec::with_capacity(3);
        let mut wild = false;
        for place in 0..3_u8 {
            if place > 0 && !cursor.eat(".") {
                break;
            }
            let start = cursor.position();
            let digits = component(cursor, if place > 0 { COMPONENT } else { allowed })?;
            wild |= digits.is_none();
            // What follows a wildcard says nothing: 1.x.3 is 1.x.
            if let (Some(digits), false) = (digits, wild) {
                numbers.push(parse_component(digits, start, cursor)?);
            }
        }
        let (pre, _) = suffix(cursor)?;
        let (major, minor, patch, said) = match numbers.as_slice() {
            [] => (0, 0, 0, Said::Nothing),
            [major] => (*major, 0, 0, Said::Major),
            [major, minor] => (*major, *minor, 0, Said::Minor),
            [major, minor, patch, ..] => (*major, *minor, *patch, Said::Patch),
        };
        let build = BuildMetadata::EMPTY;
        Ok(Bound { number: semver::Version { major, minor, patch, pre, build }, said })
    }
}

/// Reads the digits of a number, or a wildcard, which is `None`.
fn component<'a>(cursor: &mut Cursor<'a>, allowed: &'static str) -> Result<Option<&'a str>, Fault> {
    let before = cursor.clone();
    match cursor.take(|byte| byte.is_ascii_digit() || matches!(byte, b'x' | b'X' | b'*')) {
        "" => Err(before.fault(allowed)),
        "x" | "X" | "*" => Ok(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(digits)),
        _ => Err(before.fault(COMPONENT)),
    }
}

/// This is one comparison with a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Constraint {
    operator: Operator,
    bound: Bound,
}

impl Constraint {
    /// Compares alone; whether prereleases are wanted at all is for the group to say.
    fn allows(&self, version: &semver::Version) -> bool {
        let bound = &self.bound.number;
        let order = compare(version, bound);
        match self.operator {
            Operator::Equal => match self.bound.said {
                Said::Patch => order == Ordering::Equal,
                Said::Nothing | Said::Major | Said::Minor => self.tilde(version),
            },
            Operator::NotEqual => match self.bound.said {
                Said::Nothing | Said::Patch => order != Ordering::Equal,
                Said::Major => version.major != bound.major,
                // The prerelease counts although the patch is open: !=1.2-0 takes 1.2.3.
                Said::Minor => minor(version) != minor(bound) || version.pre != bound.pre,
            },
            Operator::Greater => match self.bound.said {
                Said::Nothing | Said::Patch => order == Ordering::Greater,
                Said::Major => version.major > bound.major,
                Said::Minor => minor(version) > minor(bound),
            },
            Operator::GreaterEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessEqual => match self.bound.said {
                // <=* is <=0.0.x: the wildcard became 0.0.0 with an open patch.
                Said::Nothing | Said::Minor => minor(version) <= minor(bound),
                Said::Major => version.major <= bound.major,
                Said::Patch => order != Ordering::Greater,
            },
            Operator::Tilde => self.tilde(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn tilde(&self, version: &semver::Version) -> bool {
        let bound = &self.bound.number;
        let open = match self.bound.said {
            Said::Nothing => true,
            Said::Major => version.major == bound.major,
            Said::Minor => minor(version) == minor(bound),
            // ~0.0.0 is every version, as ~* is.
            Said::Patch => patch(bound) == (0, 0, 0) || minor(version) == minor(bound),
        };
        open && compare(version, bound) != Ordering::Less
    }

    /// The first number that is not 0, or the last that was said, may not change.
    fn caret(&self, version: &semver::Version) -> bool {
        let bound = &self.bound.number;
        let same = match self.bound.said {
            Said::Major => version.major == bound.major,
            Said::Minor | Said::Nothing | Said::Patch if bound.major > 0 => {
                version.major == bound.major
            }
            Said::Minor => minor(version) == minor(bound),
            Said::Nothing | Said::Patch if bound.minor > 0 => minor(version) == minor(bound),
            Said::Nothing | Said::Patch => patch(version) == patch(bound),
        };
        same && compare(version, bound) != Ordering::Less
    }
}

fn minor(version: &semver::Version) -> (u64, u64) {
    (version.major, version.minor)
}

fn patch(version: &semver::Version) -> (u64, u64, u64) {
    (version.major, version.minor, version.patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by tests/semver with the library that Flux uses.
    const TABLE: &str = include_str!("../../tests/semver/table.tsv");

    /// Turns the escapes of the table back: a text with a tab would be two columns.
    fn unescape(column: &str) -> String {
        column
            .replace("\\t", "\t")
            .replace("\\n", "\n")
            .replace("\\r", "\r")
            .replace("\\f", "\x0c")
            .replace("\\v", "\x0b")
    }

    fn verdict(range: &str, tag: &str) -> &'static str {
        match (Range::parse(range), Version::from_tag(tag)) {
            (Ok(range), Ok(version)) if range.allows(&version) => "true",
            (Ok(_), Ok(_)) => "false",
            (Err(_), _) | (_, Err(_)) => "error",
        }
    }

    #[test]
    fn every_row_of_the_table_agrees_with_flux() {
        let mut differences = Vec::new();
        for row in TABLE.lines() {
            let columns: Vec<&str> = row.split('\t').collect();
            let (range, tag, want) = match columns.as_slice() {
                [range, tag, want] => (unescape(range), unescape(tag), *want),
                other => (String::new(), String::new(), *other.first().unwrap_or(&"no columns")),
            };
            if verdict(&range, &tag) != want {
                differences.push(row);
            }
        }
        assert_eq!(differences, Vec::<&str>::new());
        assert!(TABLE.lines().count() > 60 * 45);
    }
}
