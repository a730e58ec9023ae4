//! Who may import whom: the table between modules, no circles between siblings, no re-exports,
//! no orphaned files. Deliberate defects are imported by all, under their feature.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{Declared, Finding, Source, Token, Tree, tokens};

/// Module, and the modules it may import. What is not listed is forbidden.
/// `apply` serves `serve` for one purpose: storing a command on a Rollout.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("api", &[]),
    ("validate", &["api", "model"]),
    ("decide", &["model"]),
    ("render", &["api", "model"]),
    ("import", &["api", "model", "validate", "decide"]),
    ("lint", &["api", "model", "validate", "decide"]),
    ("observe", &["api", "model", "validate"]),
    ("apply", &["api", "model", "render"]),
    ("runtime", &[]),
    ("controller", &["api", "model", "validate", "decide", "observe", "apply", "runtime"]),
    ("serve", &["api", "model", "validate", "decide", "render", "observe", "apply", "runtime"]),
    ("sim", &["api", "model", "controller", "runtime"]),
    (PLANTED, &[]),
    ("cli", CLI),
    ("main", &["cli"]),
];

/// The deliberate defects: every module may import them, where the feature of that name is on.
const PLANTED: &str = "planted";

/// `cli` puts the program together and may see all of it.
const CLI: &[&str] = &[
    "model",
    "api",
    "validate",
    "decide",
    "render",
    "import",
    "lint",
    "observe",
    "apply",
    "runtime",
    "controller",
    "serve",
    "sim",
];

/// A path that a file names, resolved from the crate root.
struct Import {
    line: usize,
    path: Vec<String>,
}

/// Every import between modules is in the table, and every module has a row.
pub fn table(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product() {
        let module = source.module();
        let Some(own) = module.first() else { continue };
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| name == own) else {
            findings.push(source.at(0, &format!("module `{own}` has no row in the import table")));
            continue;
        };
        let guarded = source.guarded(PLANTED);
        for import in imports(source, &module) {
            let Some(other) = import.path.first() else { continue };
            if other == PLANTED && guarded[import.line] {
                continue;
            }
            let known = TABLE.iter().any(|(name, _)| name == other);
            if other != own && known && !allowed.contains(&other.as_str()) {
                let what = format!("wrong import: `{own}` may not import `{other}`");
                findings.push(source.at(import.line, &what));
            }
        }
    }
    findings
}

/// Inside a folder: no circle between siblings, and no child imports the `mod.rs` above it.
pub fn siblings(tree: &Tree) -> Vec<Finding> {
    let modules: BTreeSet<Vec<String>> = tree.product().map(Source::module).collect();
    let mut findings = Vec::new();
    let mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for source in tree.product() {
        let from = source.module();
        for import in imports(source, &from) {
            let Some(to) = nearest(&modules, &import.path) else { continue };
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if shared == 0 || from.len() == shared {
                continue;
            }
            if to.len() == shared {
                let what = format!("child imports its parent `{}`", to.join("::"));
                findings.push(source.at(import.line, &what));
                continue;
            }
            edges.entry(from[..=shared].to_vec()).or_default().insert(to[..=shared].to_vec());
        }
    }
    let circular = edges.keys().filter(|start| reaches_itself(&edges, start));
    findings.extend(
        circular.map(|start| format!("src/{}: circular import between siblings", start.join("/"))),
    );
    findings
}

/// The deliberate defects are declared under their feature, so that nothing of them is compiled
/// without it.
pub fn planted(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product() {
        let guarded = source.guarded(PLANTED);
        for pair in tokens(&source.code).windows(2) {
            let declares = pair[0].text == "mod" && pair[1].text == PLANTED;
            if declares && !guarded[pair[1].line] {
                findings.push(source.at(pair[1].line, "`planted` is declared without its feature"));
            }
        }
    }
    findings
}

/// Only lib.rs re-exports.
pub fn reexports(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product().filter(|source| source.path != "src/lib.rs") {
        for line in source.code.lines().enumerate().filter(|(line, _)| !source.test[*line]) {
            let (line, code) = (line.0, line.1.trim_start());
            let words: Vec<&str> = code.split_whitespace().take(2).collect();
            if code.starts_with("pub") && words.get(1) == Some(&"use") {
                findings.push(source.at(line, "re-export outside lib.rs"));
            }
        }
    }
    findings
}

/// Every file below `src/` is declared by `mod` lines that lead to it from lib.rs or main.rs.
pub fn reachable(tree: &Tree) -> Vec<Finding> {
    let mut reached: BTreeSet<String> = ["src/lib.rs".to_owned(), "src/main.rs".to_owned()].into();
    loop {
        let before = reached.len();
        let next: Vec<String> = tree
            .product()
            .filter(|source| reached.contains(&source.path))
            .flat_map(|source| source.declared(Declared::All))
            .collect();
        reached.extend(next);
        if reached.len() == before {
            break;
        }
    }
    let orphans = tree.product().filter(|source| !reached.contains(&source.path));
    orphans.map(|source| source.at(0, "not reachable from lib.rs by mod lines")).collect()
}

fn reaches_itself(
    edges: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
    start: &Vec<String>,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for next in edges.get(node).into_iter().flatten().filter(|next| *next != node) {
            if next == start {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

/// The longest beginning of a path that is a module.
fn nearest(modules: &BTreeSet<Vec<String>>, path: &[String]) -> Option<Vec<String>> {
    (1..=path.len()).rev().map(|end| path[..end].to_vec()).find(|path| modules.contains(path))
}

/// Every path outside of tests that starts at `crate`, `super` or `self` (in main.rs at the
/// library's name), with groups (`crate::{a, b::c}`) spread out.
fn imports(source: &Source, module: &[String]) -> Vec<Import> {
    let tokens = source.product_tokens();
    let top = ["src/lib.rs", "src/main.rs"].contains(&source.path.as_str());
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let inside = at > 0 && tokens[at - 1].text == "::";
        let path = tokens.get(at + 1).is_some_and(|next| next.text == "::");
        if inside || !path {
            continue;
        }
        let base = match token.text {
            "crate" => Vec::new(),
            "stairlock" if top => Vec::new(),
            "self" => module.to_vec(),
            "super" => module[..module.len().saturating_sub(1)].to_vec(),
            _ => continue,
        };
        spread(&tokens, at + 2, base, &mut found);
    }
    found
}

/// Reads one branch of a path tree from `at` and returns where it ends.
fn spread(
    tokens: &[Token<'_>],
    mut at: usize,
    mut path: Vec<String>,
    found: &mut Vec<Import>,
) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => return spread_group(tokens, at + 1, &path, found),
            "super" => drop(path.pop()),
            "self" => {}
            word if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                path.push(word.to_owned());
            }
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|next| next.text != "::") {
            break;
        }
        at += 1;
    }
    let line = tokens.get(at.saturating_sub(1)).map_or(0, |token| token.line);
    found.push(Import { line, path });
    at
}

/// Reads the branches of a group up to its closing brace and returns the place after it.
fn spread_group(
    tokens: &[Token<'_>],
    mut at: usize,
    path: &[String],
    found: &mut Vec<Import>,
) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text {
            "}" => return at + 1,
            "," | "*" => at += 1,
            "as" => at += 2,
            _ => {
                let next = spread(tokens, at, path.to_vec(), found);
                at = next.max(at + 1);
            }
        }
    }
    at
}
