//! Range: which versions a policy allows, in the grammar of Flux.
//!
//! Never picks the newest of them: it answers for one version at a time.

use std::cmp::Ordering;
use std::fmt;

use semver::BuildMetadata;

use super::version::{Cursor, Fault, Version, compare, identifiers, parse_component, suffix};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Longest range in bytes: far beyond what a person writes, and it bounds the work of a check.
pub const RANGE_MAX: usize = 256;

/// Most alternatives between `||`.
///
/// Source: behaviour of Masterminds/semver 3.5.0.
pub const GROUPS_MAX: usize = 32;

const CONSTRAINT: &str =
    "a version such as 1.2.3, 1.2, 1.x or *, with = != > >= < <= ~ or ^ before it";
const SEPARATOR: &str = "a space, \",\" or \"||\" between constraints";
const SPACED: &str = "a space between \"||\" and a hyphen range";
const COMPONENT: &str = "a number, x, X or *";

/// This is a set of versions, written as constraints: `>=1.2.0 <2`, `1.x || ^3.1`, `1.2 - 2.3`.
///
/// Constraints joined by a space or a comma must all hold; of the groups joined by `||`, one must.
/// A prerelease is allowed only by a group in which some constraint has a prerelease part:
/// `>=1.0.0` refuses 1.1.0-rc.1, `>=1.0.0-0` takes it.
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
        match Reader::new(text).read() {
            Ok(groups) => Ok(Range { text: text.to_owned(), groups }),
            Err(fault) => Err(RangeError::Malformed { range: text.to_owned(), fault }),
        }
    }

    /// Tells if the version is in the set. Build metadata does not matter.
    pub fn allows(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| group.allows(version.number()))
    }

    /// Tells if the version is in the set where a prerelease counts like any other version.
    ///
    /// Source: `Constraints.IncludePrerelease` of Masterminds/semver 3.5.0.
    pub fn spans(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| group.spans(version.number()))
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
    #[error("range of {bytes} bytes, allowed: up to {RANGE_MAX}")]
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
    /// There are more alternatives than [`GROUPS_MAX`].
    #[error("range of {groups} groups between \"||\", allowed: up to {GROUPS_MAX}")]
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Group {
    constraints: Vec<Constraint>,
    prereleases: bool,
}

impl Group {
    fn add(&mut self, operator: Operator, bound: Bound) {
        self.prereleases |= !bound.number.pre.is_empty();
        self.constraints.push(Constraint { operator, bound });
    }

    fn allows(&self, version: &semver::Version) -> bool {
        let prereleases = self.prereleases;
        #[cfg(feature = "planted")]
        let prereleases = prereleases || active(Bug::PrereleaseCounts);
        (version.pre.is_empty() || prereleases) && self.spans(version)
    }

    fn spans(&self, version: &semver::Version) -> bool {
        self.constraints.iter().all(|constraint| constraint.allows(version))
    }
}

/// This reads a range from left to right.
///
/// Flux rewrites hyphen ranges, `1 - 2` into `>= 1, <= 2 `, before it divides the text at `||`, and
/// what it takes for a version there may contain `||`. The reader gives the same results: a hyphen
/// range may not touch a `||` or follow a constraint without a comma; what follows it needs no
/// separator; and `1||2 - 3` is `>=1 || 2 <=3`.
struct Reader<'a> {
    cursor: Cursor<'a>,
    full: Vec<Group>,
    open: Group,
}

/// This is what joins a constraint to the one behind it.
enum Joint {
    And { may_span: bool },
    Or { may_span: bool },
    End,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Reader<'a> {
        Reader { cursor: Cursor::new(text, 0), full: Vec::new(), open: Group::default() }
    }

    fn read(mut self) -> Result<Vec<Group>, Fault> {
        spaces(&mut self.cursor);
        let mut span = Span::find(&self.cursor);
        loop {
            match &span {
                Some(span) => self.span(span)?,
                None => self.constraint()?,
            }
            let may_span = match self.joint(span.is_some())? {
                Joint::And { may_span } => may_span,
                Joint::Or { may_span } => {
                    self.close();
                    may_span
                }
                Joint::End => {
                    self.close();
                    return Ok(self.full);
                }
            };
            span = if may_span { Span::find(&self.cursor) } else { None };
        }
    }

    fn close(&mut self) {
        self.full.push(std::mem::take(&mut self.open));
    }

    fn constraint(&mut self) -> Result<(), Fault> {
        let operator = Operator::read(&mut self.cursor);
        if operator.is_some() {
            spaces(&mut self.cursor);
        }
        let bound = Bound::read(&mut self.cursor)?;
        self.open.add(operator.unwrap_or(Operator::Equal), bound);
        Ok(())
    }

    fn span(&mut self, span: &Span) -> Result<(), Fault> {
        self.chain(Operator::GreaterEqual, span.left_end)?;
        spaces(&mut self.cursor);
        self.cursor.eat("-");
        spaces(&mut self.cursor);
        self.chain(Operator::LessEqual, span.right_end)
    }

    /// Reads one side of a hyphen range: `operator` belongs to the first version, those behind a
    /// `||` have none.
    fn chain(&mut self, mut operator: Operator, end: usize) -> Result<(), Fault> {
        loop {
            let before = self.cursor.clone();
            let bound = Bound::read(&mut self.cursor)?;
            self.open.add(operator, bound);
            match self.cursor.position().cmp(&end) {
                Ordering::Equal => return Ok(()),
                Ordering::Greater => return Err(before.fault(SPACED)),
                Ordering::Less if self.cursor.eat("||") => self.close(),
                Ordering::Less => return Err(self.cursor.fault(SEPARATOR)),
            }
            operator = Operator::Equal;
        }
    }

    fn joint(&mut self, spanned: bool) -> Result<Joint, Fault> {
        let spaced = spaces(&mut self.cursor);
        if self.cursor.at_end() {
            return Ok(Joint::End);
        }
        if self.cursor.eat("||") {
            let may_span = spaces(&mut self.cursor) || self.cursor.is_next("v");
            return Ok(Joint::Or { may_span });
        }
        let comma = self.cursor.eat(",");
        spaces(&mut self.cursor);
        if !(spaced || comma || spanned) {
            return Err(self.cursor.fault(SEPARATOR));
        }
        Ok(Joint::And { may_span: comma || spanned })
    }
}

/// This is where the two sides of a hyphen range end.
struct Span {
    left_end: usize,
    right_end: usize,
}

impl Span {
    /// Looks for a hyphen range at the cursor, without a judgement of its versions.
    fn find(cursor: &Cursor<'_>) -> Option<Span> {
        let mut ahead = cursor.clone();
        let left_end = Span::side(&mut ahead)?;
        if !(spaces(&mut ahead) && ahead.eat("-") && spaces(&mut ahead)) {
            return None;
        }
        let right_end = Span::side(&mut ahead)?;
        Some(Span { left_end, right_end })
    }

    /// Steps over one side; returns where it ends, not counting a `||` behind it.
    fn side(cursor: &mut Cursor<'_>) -> Option<usize> {
        cursor.eat("v");
        let mut end = None;
        for place in 0..3_u8 {
            if place > 0 && !cursor.eat(".") {
                break;
            }
            let numbers = cursor.take(|byte| is_component(byte) || byte == b'|');
            let bars = numbers.len().saturating_sub(numbers.trim_end_matches('|').len());
            let behind = if bars < 2 { 0 } else { bars };
            end = (!numbers.is_empty()).then(|| cursor.position().saturating_sub(behind));
        }
        for sign in ["-", "+"] {
            if cursor.eat(sign) {
                identifiers(cursor);
                end = Some(cursor.position());
            }
        }
        end
    }
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
            match component(cursor, if place > 0 { COMPONENT } else { allowed }, wild)? {
                Some(digits) => numbers.push(parse_component(digits, start, cursor)?),
                None => wild = true,
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

/// Reads the digits of a number, or a wildcard, which is `None`. What is behind a wildcard says
/// nothing: `1.x.3` is `1.x`, and so is `1.x.*3|x`.
fn component<'a>(
    cursor: &mut Cursor<'a>,
    allowed: &'static str,
    wild: bool,
) -> Result<Option<&'a str>, Fault> {
    let before = cursor.clone();
    let text = cursor.take(is_component);
    if wild {
        while !cursor.is_next("||") && cursor.eat("|") {
            cursor.take(is_component);
        }
        let empty = cursor.position() == before.position();
        return if empty { Err(before.fault(allowed)) } else { Ok(None) };
    }
    match text {
        "" => Err(before.fault(allowed)),
        "x" | "X" | "*" => Ok(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(digits)),
        _ => Err(before.fault(COMPONENT)),
    }
}

fn is_component(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'x' | b'X' | b'*')
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

    #[test]
    fn a_refusal_names_the_place_what_was_given_and_what_is_allowed() {
        for (range, want) in [
            ("", "range \"\" has its end at byte 0, allowed: a version such as"),
            ("1 ||", "its end at byte 4, allowed: a version"),
            ("1 || || 2", "\"|\" at byte 5, allowed: a version"),
            (">=1 foo", "\"foo\" at byte 4, allowed: a version"),
            (">=1<2", "\"<2\" at byte 3, allowed: a space, \",\" or \"||\""),
            ("1.2.3.4", "\".4\" at byte 5, allowed: a space"),
            ("1.", "its end at byte 2, allowed: a number, x, X or *"),
            ("1.2x", "\"2x\" at byte 2, allowed: a number, x, X or *"),
            ("1 - 2 - 3", "\"-\" at byte 6, allowed: a version"),
            ("^1.2.3-01", "\"01\" at byte 7, allowed: identifiers"),
            ("99999999999999999999", "at byte 0, allowed: a number below 2^64"),
            ("~1 || 1.0 - 2.0.0||3.1", "\"3.1\" at byte 19, allowed: a space between"),
            (">=1\u{a0}", "\"\\u{a0}\" at byte 3, allowed: a space"),
            ("1 || ≥2", "\"≥2\" at byte 5, allowed: a version"),
        ] {
            let text =
                Range::parse(range).map_or_else(|error| error.to_string(), |r| r.to_string());
            assert!(text.contains(want), "{range}: {text}");
        }
    }

    #[test]
    fn text_and_groups_are_limited() {
        let spaced = |length: usize| format!("1{}", " ".repeat(length - 1));
        assert!(Range::parse(&spaced(RANGE_MAX)).is_ok());
        assert_eq!(
            Range::parse(&spaced(RANGE_MAX + 1)),
            Err(RangeError::TooLong { bytes: RANGE_MAX + 1 })
        );
        let grouped = |groups: usize| vec!["1"; groups].join("||");
        assert!(Range::parse(&grouped(GROUPS_MAX)).is_ok());
        assert_eq!(
            Range::parse(&grouped(GROUPS_MAX + 1)),
            Err(RangeError::TooManyGroups { groups: GROUPS_MAX + 1 })
        );
    }

    #[test]
    fn a_range_prints_as_it_was_written() {
        for text in [" >=1.0 ,<2 ", "=>1", "1 - 2", "v1||^0.0.3", "1.x.3"] {
            assert_eq!(Range::parse(text).map(|range| range.to_string()), Ok(text.to_owned()));
        }
    }

    /// Pieces that mean something in a range or a tag, and some that do not.
    const PIECES: [&str; 32] = [
        "",
        " ",
        "\t",
        "\n",
        "\u{b}",
        "\u{a0}",
        "\0",
        ",",
        "|",
        "||",
        "-",
        " - ",
        "+",
        ".",
        "..",
        "v",
        "V",
        "x",
        "*",
        "=",
        "!",
        ">",
        "<",
        "~",
        "^",
        "0",
        "01",
        "18446744073709551616",
        "rc",
        "é",
        "٣",
        "\u{1f980}",
    ];

    /// Replaces the character at `place` (modulo the length) by `piece`.
    fn mutate(text: &str, place: usize, piece: &str) -> String {
        let at = place % text.chars().count().max(1);
        text.chars()
            .enumerate()
            .map(|(i, c)| if i == at { piece.to_owned() } else { c.to_string() })
            .collect()
    }

    #[test]
    fn no_mutation_of_a_range_or_tag_panics() {
        let ranges =
            [">=1.0.0-0 <2 || 1.2 - 2.3.x, !=2.1", "0.1||1.x - v2.0.0-rc.1+b ~>2", "* - x", "1"];
        let tags = ["v1.2.3-rc.1+b.2", "0.0.0", "1-a.2.3", "18446744073709551615.0.0-0"];
        let mut read = 0;
        for (range, tag) in ranges.into_iter().zip(tags) {
            for first in 0..range.len() * PIECES.len() {
                let second = first * 7 + 3;
                let piece = |n: usize| PIECES[n % PIECES.len()];
                let range = mutate(
                    &mutate(range, first / PIECES.len(), piece(first)),
                    second,
                    piece(second / 5),
                );
                let tag = mutate(
                    &mutate(tag, first / PIECES.len(), piece(first)),
                    second,
                    piece(second / 5),
                );
                match (Range::parse(&range), Version::from_tag(&tag)) {
                    (Ok(range), Ok(version)) => {
                        range.allows(&version);
                        read += 1;
                    }
                    (range, version) => {
                        let errors =
                            (range.map_err(|e| e.to_string()), version.map_err(|e| e.to_string()));
                        assert!(
                            !matches!(errors, (Err(ref e), _) | (_, Err(ref e)) if e.is_empty())
                        );
                    }
                }
            }
        }
        assert!(read > 0, "no mutation was legal: the loop tests refusals only");
    }
}
