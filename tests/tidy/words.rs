//! One word per thing: our group is spelled in one file, and synonyms do not creep in.

use super::text::{Finding, Source, Tree};

/// The file that spells the group, every annotation, label, finalizer and field manager.
const KEYS: &str = "src/api/keys.rs";
const GROUP: &str = "stairlock.dev";

/// Endings that say nothing about a type. `Service` is not among them: it is a kind of Kubernetes.
const EMPTY_ENDINGS: &[&str] = &["Manager", "Handler", "Helper", "Util", "Utils", "Info", "Data"];

/// Words of other tools for things that have a name in the glossary.
const SYNONYMS: &[(&str, &str)] = &[
    ("Baseline", "Stable"),
    ("Blacklist", "Quarantine"),
    ("Blocker", "Hold"),
    ("Blocklist", "Quarantine"),
    ("Denylist", "Quarantine"),
    ("Judgement", "Verdict"),
    ("Judgment", "Verdict"),
    ("Notification", "Notice"),
    ("Primary", "Stable"),
    ("Soak", "Bake"),
];

/// File names that collect what has no place.
const EMPTY_FILES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// String literals outside of tests spell the group in one file. The CRD derive takes a literal
/// only, so `#[kube(…)]` attributes of wire types are exempt.
pub fn group(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product().filter(|source| source.path != KEYS) {
        let attributes = kube_attributes(source);
        for literal in source.literals.iter().filter(|literal| literal.text.contains(GROUP)) {
            let exempt = source.test[literal.line] || attributes[literal.line];
            if !exempt {
                findings.push(source.at(literal.line, &format!("`{GROUP}` is spelled in {KEYS}")));
            }
        }
    }
    findings
}

/// Declared types and file names use the words of the glossary.
pub fn names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product() {
        if let Some(name) = source.module().last().filter(|n| EMPTY_FILES.contains(&n.as_str())) {
            findings.push(source.at(0, &format!("a file named `{name}` has no subject")));
        }
        let tokens = source.product_tokens();
        for window in tokens.windows(2) {
            let [keyword, name] = window else { continue };
            if !["struct", "enum", "trait", "type", "union"].contains(&keyword.text) {
                continue;
            }
            if let Some(what) = complaint(name.text) {
                findings.push(source.at(name.line, &what));
            }
        }
    }
    findings
}

/// A test that is not run hides a bug.
pub fn ignored_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        for (line, code) in source.code.lines().enumerate() {
            let code = code.trim_start();
            if code.starts_with("#[ignore]") || code.starts_with("#[ignore ") {
                findings.push(source.at(line, "an ignored test is never run"));
            }
        }
    }
    findings
}

/// What is wrong with a type's name.
fn complaint(name: &str) -> Option<String> {
    let ending = EMPTY_ENDINGS.iter().find(|end| name.ends_with(*end));
    if let Some(ending) = ending {
        return Some(format!("type `{name}`: `{ending}` says nothing"));
    }
    let words = camel_words(name);
    let (word, better) = SYNONYMS.iter().find(|(word, _)| words.iter().any(|w| w == word))?;
    Some(format!("type `{name}`: say `{better}`, not `{word}`"))
}

fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for letter in name.chars() {
        match words.last_mut() {
            Some(word) if !letter.is_uppercase() => word.push(letter),
            _ => words.push(letter.to_string()),
        }
    }
    words
}

/// For each line whether it lies in a `#[kube(…)]` attribute of a wire type.
fn kube_attributes(source: &Source) -> Vec<bool> {
    let mut inside = false;
    let mut marks: Vec<bool> = Vec::new();
    for line in source.code.lines() {
        let line = line.trim();
        inside |= line.starts_with("#[kube(") && source.path.starts_with("src/api/");
        marks.push(inside);
        inside &= !line.ends_with(")]");
    }
    marks
}
