//! PURE modules hold values and decisions only: no word in them can wait, read or surprise.

use super::text::{Finding, Source, Token, Tree, tokens};

/// The modules that are the same for the controller, the tests and every forecast.
const PURE: &[&str] = &["model", "api", "validate", "decide", "render", "import", "lint"];

/// What may not be named in them, and why. A word matches whole tokens.
const IMPURE: &[(&str, &str)] = &[
    ("async", "async"),
    ("await", "async"),
    ("tokio", "async"),
    ("futures", "async"),
    ("SystemTime", "clock"),
    ("Instant", "clock"),
    ("now(", "clock"),
    ("::now", "clock"),
    ("sleep", "clock"),
    ("env::", "environment"),
    ("std::fs", "files"),
    ("std::net", "network"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("rand::", "random"),
    ("RandomState", "random"),
    ("tracing", "log"),
    ("log::", "log"),
    ("println", "log"),
    ("eprintln", "log"),
    ("Client", "client"),
    ("kube::Api", "client"),
    ("kube::api::Api", "client"),
    ("HashMap", "unordered map"),
    ("HashSet", "unordered map"),
];

/// Names of time libraries, and the PURE files that may use them.
const TIME_LIBRARIES: &[&str] = &["jiff", "chrono"];
const MOMENT: &str = "src/model/moment.rs";
const ZONE: &str = "src/model/zone.rs";

/// The one file that reads the machine's clock.
const CLOCK: &str = "src/runtime/clock.rs";

/// PURE modules name nothing of the list.
pub fn pure_modules(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product().filter(|source| pure(source)) {
        let tokens = source.product_tokens();
        for (word, kind) in IMPURE {
            for line in lines_with(&tokens, word) {
                let what = format!("`{word}` in a PURE module ({kind})");
                findings.push(source.at(line, &what));
            }
        }
    }
    findings
}

/// PURE modules take points in time from one file, and time zones from another; only these name the
/// time library.
pub fn time_library(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let others = |source: &&Source| ![MOMENT, ZONE].contains(&source.path.as_str());
    for source in tree.product().filter(others).filter(|source| pure(source)) {
        let tokens = source.product_tokens();
        for word in TIME_LIBRARIES {
            for line in lines_with(&tokens, word) {
                findings.push(
                    source.at(line, &format!("`{word}` is named in {MOMENT} and {ZONE} only")),
                );
            }
        }
    }
    findings
}

/// The lint on clocks is lifted in one file only.
pub fn clock(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product().filter(|source| source.path != CLOCK) {
        for line in lines_with(&tokens(&source.code), "clippy::disallowed_methods") {
            findings.push(source.at(line, &format!("the clock is read in {CLOCK} only")));
        }
    }
    findings
}

fn pure(source: &Source) -> bool {
    source.module().first().is_some_and(|name| PURE.contains(&name.as_str()))
}

/// The lines on which a sequence of tokens begins.
fn lines_with(tokens: &[Token<'_>], word: &str) -> Vec<usize> {
    let wanted: Vec<&str> = super::text::tokens(word).iter().map(|token| token.text).collect();
    let windows = tokens.windows(wanted.len());
    let hits = windows.filter(|window| window.iter().map(|t| t.text).eq(wanted.iter().copied()));
    hits.filter_map(|window| window.first()).map(|token| token.line).collect()
}
