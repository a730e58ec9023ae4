//! Rules: which rules of a route an experiment has, and which it needs. All others stay as they
//! are, byte for byte.
//!
//! A rule of an experiment is a copy of one that holds both Services, in front of it, that asks for
//! the header of variant B too and leads to its Service alone. Older versions of the Gateway API
//! have no names of rules, so it is known by that header and that Service.

use serde_json::{Map, Value, json};

use crate::model::hold::Hold;
use crate::model::moves::{NewRule, RuleAt};
use crate::model::snapshot::Experiment;
use crate::model::spec::{HeaderMatch, RouteKind, RouteName};

/// Most rules of a route, as in the Gateway API.
const RULES_MAX: usize = 16;
/// Most matches of all rules of a route, as in the Gateway API.
const MATCHES_MAX: usize = 128;
/// Most headers of a match, as in the Gateway API.
const HEADERS_MAX: usize = 16;

/// What the rules of an experiment are known and made by.
pub struct Wanted<'a> {
    /// The route.
    pub route: &'a RouteName,
    /// The Service of variant B.
    pub service: &'a str,
    /// The header that the rules to be made ask for.
    pub header: &'a HeaderMatch,
    /// The header that the last attempt recorded.
    pub recorded: Option<&'a HeaderMatch>,
    /// Whether this attempt is in progress: then every rule with that header is ours, since there
    /// was none before it. At rest it has to be the exact copy of the rule behind it.
    pub runs: bool,
}

/// One rule of a route, as far as it matters here.
pub struct Read<'a> {
    /// The rule.
    pub rule: &'a Value,
    /// Whether variant B is its only backend.
    pub alone: bool,
    /// The place of variant B, where the rule holds both Services.
    pub pair: Option<usize>,
}

/// Reads the rules of an experiment.
pub fn of_route(rules: &[Read<'_>], wanted: &Wanted<'_>) -> Experiment {
    let mut ours = vec![false; rules.len()];
    let mut there = Vec::new();
    for ((index, read), ours) in rules.iter().enumerate().zip(&mut ours) {
        *ours = is_ours(read, rules.get(index + 1), wanted);
        if *ours {
            there.push(RuleAt { index, rule: read.rule.clone() });
        }
    }
    let theirs = rules.iter().zip(&ours).filter(|(_, ours)| !**ours).map(|(read, _)| read);
    let (mut needed, mut count, mut asked) = (Vec::new(), 0, 0);
    for read in theirs.clone() {
        asked += matches(read.rule).len().max(1);
        if let Some(place) = read.pair {
            let rule = copy(read.rule, place, (wanted.route.kind, wanted.header));
            asked += matches(&rule).len();
            needed.push(NewRule { index: count, rule, of: read.rule.clone() });
            count += 1;
        }
        count += 1;
    }
    let why = taken(rules, &ours, wanted)
        .or_else(|| theirs.filter(|read| read.pair.is_some()).find_map(|r| full(r, wanted)))
        .or_else(|| too_many("rules", count, RULES_MAX))
        .or_else(|| too_many("matches", asked, MATCHES_MAX));
    let hold = why.map(|why| Hold::RouteAmbiguous { route: wanted.route.clone(), why });
    Experiment { there, wanted: needed, hold }
}

fn is_ours(read: &Read<'_>, behind: Option<&Read<'_>>, wanted: &Wanted<'_>) -> bool {
    let known = [wanted.recorded, Some(wanted.header).filter(|_| !wanted.runs)];
    let mut known = known.into_iter().flatten().filter(|header| alike(read, header));
    if wanted.runs {
        return known.next().is_some();
    }
    let origin = behind.and_then(|behind| Some((behind.rule, behind.pair?)));
    let kind = wanted.route.kind;
    origin.is_some_and(|(rule, place)| {
        known.any(|header| copy(rule, place, (kind, header)) == *read.rule)
    })
}

/// Tells whether a rule leads requests with a header to variant B alone.
fn alike(read: &Read<'_>, header: &HeaderMatch) -> bool {
    let asks = |test: &Value| headers(test).iter().any(|other| same(other, header));
    let tests = matches(read.rule);
    read.alone && !tests.is_empty() && tests.iter().all(asks)
}

fn same(written: &Value, header: &HeaderMatch) -> bool {
    let text = |key: &str| written.get(key).and_then(Value::as_str);
    named(written, header)
        && text("value") == Some(header.value.as_str())
        && text("type").unwrap_or("Exact") == header.kind.as_str()
}

fn named(written: &Value, header: &HeaderMatch) -> bool {
    let name = written.get("name").and_then(Value::as_str);
    name.is_some_and(|name| name.eq_ignore_ascii_case(&header.name))
}

fn matches(rule: &Value) -> &[Value] {
    rule.get("matches").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn headers(test: &Value) -> &[Value] {
    test.get("headers").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A rule that a person wrote and that would be taken for one of the experiment.
fn taken(rules: &[Read<'_>], ours: &[bool], wanted: &Wanted<'_>) -> Option<String> {
    let mut all = rules.iter().zip(ours).enumerate();
    let (index, _) = all.find(|(_, (read, ours))| !**ours && alike(read, wanted.header))?;
    let Wanted { service, header, .. } = wanted;
    Some(format!(
        "rules[{index}] leads requests with the header {} of the experiment to {service} already; \
         remove it, or use another header",
        header.name
    ))
}

/// A match to which the header cannot be added.
fn full(read: &Read<'_>, wanted: &Wanted<'_>) -> Option<String> {
    let name = &wanted.header.name;
    let all = matches(read.rule).iter().map(headers);
    let clash = |headers: &[Value]| headers.iter().any(|other| named(other, wanted.header));
    all.into_iter().find_map(|headers| {
        if clash(headers) {
            return Some(format!(
                "a rule with both Services asks for the header {name} already, and a match may \
                 name it once; use another one for the experiment"
            ));
        }
        let many = headers.len() >= HEADERS_MAX;
        many.then(|| format!("a match has {HEADERS_MAX} headers, so {name} cannot be added"))
    })
}

fn too_many(what: &str, count: usize, most: usize) -> Option<String> {
    (count > most).then(|| {
        format!(
            "has {count} {what} with those that the experiment adds, and may have {most}; put \
             some of them into another route"
        )
    })
}

/// The rule that sends those requests of a rule that carry a header to one of its backends.
fn copy(rule: &Value, place: usize, asks: (RouteKind, &HeaderMatch)) -> Value {
    let mut rule = rule.as_object().cloned().unwrap_or_default();
    rule.remove("name"); // It would be there twice.
    let backend = rule.get("backendRefs").and_then(|all| all.get(place));
    let mut backend = backend.and_then(Value::as_object).cloned().unwrap_or_default();
    backend.insert("weight".to_owned(), json!(1));
    rule.insert("backendRefs".to_owned(), json!([backend]));
    let nothing = [json!({})];
    let written = rule.get("matches").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let written = if written.is_empty() { &nothing[..] } else { written };
    let tests: Vec<Value> = written.iter().map(|test| narrowed(test, asks)).collect();
    rule.insert("matches".to_owned(), Value::Array(tests));
    Value::Object(rule)
}

/// A match that asks for a header too. What the API server would add by itself stands in it, so
/// that what it stores is what was written.
fn narrowed(test: &Value, (kind, header): (RouteKind, &HeaderMatch)) -> Value {
    let mut test: Map<String, Value> = test.as_object().cloned().unwrap_or_default();
    match kind {
        RouteKind::Http => {
            test.entry("path").or_insert_with(|| json!({"type": "PathPrefix", "value": "/"}));
        }
        RouteKind::Grpc => {}
    }
    let mut all = test.get("headers").and_then(Value::as_array).cloned().unwrap_or_default();
    let HeaderMatch { name, value, kind } = header;
    all.push(json!({"type": kind.as_str(), "name": name, "value": value}));
    test.insert("headers".to_owned(), Value::Array(all));
    Value::Object(test)
}

#[cfg(test)]
mod tests;
