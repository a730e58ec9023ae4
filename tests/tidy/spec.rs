//! What users and reviewers read keeps up with the code: codes are documented, dependencies are
//! explained, the deliberate defects stay out of what is shipped.

use super::text::{Finding, Tree};

/// Functions whose literals are codes that users see in conditions, events and metrics.
const CODE_FUNCTIONS: &[&str] = &["code", "reason"];

/// Members of one family (`serde`, `serde_json`) may share a comment; more is a list.
const FAMILY_MAX: usize = 4;

/// Every CamelCase literal in `fn code` and `fn reason` occurs in the spec page.
pub fn codes_documented(tree: &Tree, page: &str) -> Vec<Finding> {
    let documented: Vec<&str> = page.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let mut findings = Vec::new();
    for source in tree.product() {
        for function in source.functions() {
            if !CODE_FUNCTIONS.contains(&function.name) || source.test[function.first] {
                continue;
            }
            for literal in &source.literals {
                let inside = (function.first..=function.last).contains(&literal.line);
                let code = literal.text.as_str();
                if inside && camel_case(code) && !documented.contains(&code) {
                    let what = format!("`{code}` is not in docs/spec/rollout.md");
                    findings.push(source.at(literal.line, &what));
                }
            }
        }
    }
    findings
}

/// Every test that a page names is there: names in backticks with two underscores or more.
pub fn tests_there(tree: &Tree, path: &str, page: &str) -> Vec<Finding> {
    let functions = tree.sources.iter().flat_map(|source| source.functions());
    let there: Vec<&str> = functions.map(|function| function.name).collect();
    let name = |text: &&str| {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        plain && 2 <= text.matches('_').count()
    };
    let named = page.split('`').skip(1).step_by(2).filter(name);
    let missing = named.filter(|name| !there.contains(name));
    missing.map(|name| format!("{path}: there is no test `{name}`")).collect()
}

/// Every dependency has a comment line above it, or above the family it stands in.
pub fn dependencies_explained(manifest: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut explained: Vec<String> = Vec::new();
    let mut within = false;
    let mut covered = 0;
    for (at, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            within = line.ends_with("dependencies]");
            covered = 0;
        } else if line.is_empty() {
            covered = 0;
        } else if line.starts_with('#') {
            covered = FAMILY_MAX;
        } else if within && let Some((name, _)) = line.split_once('=') {
            let name = name.trim().to_owned();
            if covered == 0 && !explained.contains(&name) {
                let what = format!("Cargo.toml:{}: `{name}` has no comment above it", at + 1);
                findings.push(what);
            }
            explained.push(name);
            covered = covered.saturating_sub(1);
        }
    }
    findings
}

/// No default feature and no build or run of the program switches the deliberate defects on.
pub fn planted_not_shipped<P: Into<String>>(
    files: impl IntoIterator<Item = (P, String)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        let path = path.into();
        for (at, line) in text.lines().enumerate() {
            let words: Vec<&str> =
                line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
            let default = path == "Cargo.toml" && words.first() == Some(&"default");
            let builds = words.iter().any(|word| ["build", "run", "install"].contains(word));
            let on = words.iter().any(|word| ["planted", "--all-features"].contains(word));
            if on && (default || builds) {
                findings.push(format!("{path}:{}: `planted` reaches what is shipped", at + 1));
            }
        }
    }
    findings
}

fn camel_case(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}
