//! What goes wrong with writes, and at which of them. Pure: it only counts.

use std::collections::BTreeSet;
use std::time::Duration;

use super::call::Call;

/// An answer that the API server did not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<&'static str>,
}

/// What goes wrong with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The API server never sees it; this is the answer.
    Refused(Answer),
    /// It is carried out; this is the answer all the same.
    Masked(Answer),
    /// It is carried out; the connection closes without an answer.
    Lost,
    /// It is carried out; the answer comes this much later.
    Late(Duration),
    /// It is carried out; the answer comes a byte a second.
    Trickled,
    /// It is carried out once so many steps were made by somebody else since it came.
    Overtaken(usize),
}

/// Which writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// This one, from 1.
    Nth(usize),
    /// Every one of so many.
    Every(usize),
    /// The first of each method and path.
    FirstOfEach,
}

/// A rule: what goes wrong with which writes. The Lease and dry runs do not count.
#[derive(Clone, Debug)]
pub struct Rule {
    when: When,
    /// Taken in turn.
    faults: Vec<Fault>,
    /// What the path holds.
    part: &'static str,
    left: usize,
    count: usize,
    seen: BTreeSet<String>,
}

/// An answer without a header.
pub fn answer(code: u16) -> Answer {
    Answer { code, retry_after: None }
}

/// The answer 429.
pub fn too_many(retry_after: &'static str) -> Answer {
    Answer { code: 429, retry_after: Some(retry_after) }
}

impl Rule {
    fn new(when: When, faults: &[Fault]) -> Self {
        let faults = faults.to_vec();
        Self { when, faults, part: "", left: usize::MAX, count: 0, seen: BTreeSet::new() }
    }

    /// The n-th write from here on, from 1.
    pub fn nth(n: usize, fault: Fault) -> Self {
        Self::new(When::Nth(n), &[fault])
    }

    /// Every k-th write, with these faults in turn.
    pub fn every(k: usize, faults: &[Fault]) -> Self {
        Self::new(When::Every(k), faults)
    }

    /// The first write of each method to each path.
    pub fn first_of_each(fault: Fault) -> Self {
        Self::new(When::FirstOfEach, &[fault])
    }

    /// Only writes whose path holds this.
    pub fn to(self, part: &'static str) -> Self {
        Self { part, ..self }
    }

    /// Not more often than this.
    pub fn at_most(self, left: usize) -> Self {
        Self { left, ..self }
    }

    /// Counts a write. Tells what goes wrong with it.
    pub fn meet(&mut self, call: &Call) -> Option<Fault> {
        if !call.counts() || !call.path.contains(self.part) {
            return None;
        }
        self.count += 1;
        let meant = match self.when {
            When::Nth(n) => self.count == n,
            When::Every(k) => self.count.is_multiple_of(k),
            When::FirstOfEach => self.seen.insert(format!("{} {}", call.method, call.path)),
        };
        if !meant || self.left == 0 {
            return None;
        }
        self.left -= 1;
        self.faults.rotate_left(1);
        self.faults.last().copied()
    }
}

#[test]
fn a_rule_counts_what_it_is_about() {
    let call = |method: &str, path: &str| Call {
        order: 0,
        method: method.parse().unwrap(),
        path: path.to_owned(),
        query: String::new(),
        status: 0,
        body: serde_json::Value::Null,
        at: tokio::time::Instant::now(),
        fault: None,
    };
    let (one, two) = (Fault::Lost, Fault::Refused(answer(409)));
    let hits = |mut rule: Rule| -> Vec<usize> {
        let calls =
            [("GET", "/a"), ("PATCH", "/a"), ("PATCH", "/b"), ("PATCH", "/a"), ("POST", "/a")];
        let calls = calls.iter().enumerate();
        let hits = calls.filter(|(_, (method, path))| rule.meet(&call(method, path)).is_some());
        hits.map(|(at, _)| at).collect()
    };
    for (case, rule, want) in [
        ("reads do not count", Rule::nth(1, one), vec![1]),
        ("every second", Rule::every(2, &[one]), vec![2, 4]),
        ("of a path", Rule::every(1, &[one]).to("/b"), vec![2]),
        ("once of each", Rule::first_of_each(one), vec![1, 2, 4]),
        ("not more often", Rule::every(1, &[one]).at_most(2), vec![1, 2]),
    ] {
        assert_eq!(hits(rule), want, "{case}");
    }
    let mut turns = Rule::every(1, &[one, two]);
    let faults: Vec<_> = (0..3).map(|_| turns.meet(&call("PATCH", "/a")).unwrap()).collect();
    assert_eq!(faults, [one, two, one], "in turn");
}
