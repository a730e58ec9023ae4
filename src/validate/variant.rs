//! Variant: reads which requests an experiment sends to variant B, as the header match that its
//! rules have. It never writes a rule.

use regex::Regex;

use crate::api::strategy as wire;
use crate::model::problem::Problem;
use crate::model::spec::{HeaderMatch, MatchKind};

/// What has a meaning in a regular expression, in whichever dialect.
const SPECIAL: &str = r"\.+*?()|[]{}^$";
/// Longest name of a header or cookie, as in the CRD.
const NAME_MAX: usize = 256;
/// Longest value of a header, as in the Gateway API.
const VALUE_MAX: usize = 4096;
/// Longest value of a cookie: it may double when it is written as a pattern.
const COOKIE_MAX: usize = 1024;

/// Reads the match of variant B.
///
/// # Errors
/// A [`Problem`] with the path of its field.
pub fn of(field: &str, wanted: &wire::VariantMatch) -> Result<HeaderMatch, Problem> {
    match (&wanted.header, &wanted.cookie) {
        (Some(header), None) => of_header(&format!("{field}.header"), header),
        (None, Some(cookie)) => of_cookie(&format!("{field}.cookie"), cookie),
        (None, None) => Err(Problem::new(field, "is empty; write header or cookie")),
        (Some(_), Some(_)) => {
            Err(Problem::new(field, "holds header and cookie; leave one of them"))
        }
    }
}

fn of_header(field: &str, header: &wire::Header) -> Result<HeaderMatch, Problem> {
    name(field, &header.name)?;
    let place = format!("{field}.value");
    let control = header.value.chars().any(char::is_control);
    let length = header.value.chars().count();
    if control || !(1..=VALUE_MAX).contains(&length) {
        let why = format!("has to be 1 to {VALUE_MAX} characters without control characters");
        return Err(Problem::new(place, why));
    }
    let kind = match header.kind {
        wire::MatchType::Exact => MatchKind::Exact,
        wire::MatchType::RegularExpression => {
            // A gateway that cannot read it may drop the whole route, with all of its traffic.
            if Regex::new(&header.value).is_err() {
                return Err(Problem::new(place, "is no regular expression in the syntax of RE2"));
            }
            MatchKind::RegularExpression
        }
    };
    Ok(HeaderMatch { name: header.name.clone(), value: header.value.clone(), kind })
}

/// A cookie is a part of the header Cookie. The expression is right whether a gateway looks for it
/// in the value or compares it with all of it.
fn of_cookie(field: &str, cookie: &wire::Cookie) -> Result<HeaderMatch, Problem> {
    name(field, &cookie.name)?;
    let octet = |c: char| c.is_ascii_graphic() && !"\",;\\".contains(c);
    if !(1..=COOKIE_MAX).contains(&cookie.value.len()) || !cookie.value.chars().all(octet) {
        let why = format!(
            "has to be 1 to {COOKIE_MAX} printable ASCII characters without spaces, quotes, \
             commas, semicolons and backslashes"
        );
        return Err(Problem::new(format!("{field}.value"), why));
    }
    let (name, value) = (escaped(&cookie.name), escaped(&cookie.value));
    Ok(HeaderMatch {
        name: "Cookie".to_owned(),
        value: format!(r"^(.*;\s*)?{name}={value}(;.*)?$"),
        kind: MatchKind::RegularExpression,
    })
}

fn name(field: &str, name: &str) -> Result<(), Problem> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(token) {
        return Ok(());
    }
    let why = format!("has to be 1 to {NAME_MAX} letters, digits or !#$%&'*+-.^_`|~");
    Err(Problem::new(format!("{field}.name"), why))
}

/// A text as a pattern that matches just that text.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if SPECIAL.contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(wanted: Value) -> Result<HeaderMatch, Problem> {
        of("match", &serde_json::from_value(wanted).unwrap())
    }

    #[test]
    fn a_header_is_matched_as_it_is_written() {
        let exact = read(json!({"header": {"name": "x-group", "value": "b.*"}})).unwrap();
        assert_eq!(exact.kind, MatchKind::Exact);
        assert_eq!((exact.name.as_str(), exact.value.as_str()), ("x-group", "b.*"));
        let kind = json!({"header": {"name": "x", "value": "b.*", "type": "RegularExpression"}});
        assert_eq!(read(kind).unwrap().kind, MatchKind::RegularExpression);
    }

    #[test]
    fn a_cookie_is_found_anywhere_in_its_header_and_its_value_is_no_pattern() {
        let cookie = json!({"cookie": {"name": "g.1", "value": "b+(c)|[d]$"}});
        let wanted = read(cookie).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.kind), ("Cookie", MatchKind::RegularExpression));
        let searched = Regex::new(&wanted.value).unwrap();
        let compared = Regex::new(&format!("^(?:{})$", wanted.value)).unwrap();
        let value = "b+(c)|[d]$";
        for (header, found) in [
            (format!("g.1={value}"), true),
            (format!("a=1; g.1={value}"), true),
            (format!("g.1={value}; a=1"), true),
            (format!("a=1;g.1={value};z=2"), true),
            (format!("g.1={value}x"), false),
            (format!("xg.1={value}"), false),
            (format!("a=g.1={value}"), false),
            (format!("gx1={value}"), false),
            ("g.1=bbc".to_owned(), false),
            (String::new(), false),
        ] {
            for engine in [&searched, &compared] {
                assert_eq!(engine.is_match(&header), found, "{header} {engine}");
            }
        }
    }

    #[test]
    fn what_cannot_be_matched_is_refused_with_its_field() {
        let header = |name: &str, value: &str, kind: &str| {
            let header = json!({"name": name, "value": value, "type": kind});
            json!({"header": header})
        };
        let cookie = |name: &str, value: &str| json!({"cookie": {"name": name, "value": value}});
        let both = json!({"cookie": {"name": "a", "value": "b"},
            "header": {"name": "a", "value": "b"}});
        for (wanted, field) in [
            (json!({}), "match"),
            (both, "match"),
            (header("", "b", "Exact"), "match.header.name"),
            (header("a b", "b", "Exact"), "match.header.name"),
            (header("a", "", "Exact"), "match.header.value"),
            (header("a", "b\nc", "Exact"), "match.header.value"),
            (header("a", &"b".repeat(4097), "Exact"), "match.header.value"),
            (header("a", "(", "RegularExpression"), "match.header.value"),
            (header("a", "b(?=c)", "RegularExpression"), "match.header.value"),
            (cookie("a=b", "c"), "match.cookie.name"),
            (cookie("a", ""), "match.cookie.value"),
            (cookie("a", "b;c"), "match.cookie.value"),
            (cookie("a", "b c"), "match.cookie.value"),
            (cookie("a", &"b".repeat(1025)), "match.cookie.value"),
        ] {
            assert_eq!(read(wanted).unwrap_err().field, field);
        }
    }
}
