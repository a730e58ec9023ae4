//! Plants each mistake and sees its rule fail; plants its honest neighbour and sees it pass.

use super::text::{Finding, Source, Tree, tokens};
use super::{imports, limits, purity, spec, words};

/// A rule, a file, its text, and whether the rule must find something.
type Row<'a> = (fn(&Tree) -> Vec<Finding>, &'a str, &'a str, bool);

fn check(rows: &[Row<'_>]) {
    for (rule, path, text, found) in rows {
        let findings = rule(&Tree::of([(*path, *text)]));
        assert_eq!(!findings.is_empty(), *found, "{path}: {text}\n{findings:?}");
    }
}

#[test]
fn a_wrong_import_is_found() {
    let f = imports::table;
    check(&[
        (f, "src/decide/canary.rs", "use crate::model::hold::Hold;", false),
        (f, "src/decide/canary.rs", "use crate::observe::stores;", true),
        (f, "src/decide/canary.rs", "use crate::{model::moves, api::keys};", true),
        (f, "src/decide/canary.rs", "use crate::{\n    model::{self, moves::Move},\n};", false),
        (f, "src/decide/canary.rs", "use super::super::api::keys;", true),
        (f, "src/decide/canary.rs", "fn f() { crate::apply::writes::send() }", true),
        (
            f,
            "src/decide/canary.rs",
            "// crate::apply::writes\nconst A: &str = \"crate::apply::\";",
            false,
        ),
        (f, "src/decide/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::api::keys;\n}", false),
        (f, "src/decide/mod.rs", "#[cfg(test)]\nmod t {\n}\nuse crate::api::keys;", true),
        (f, "src/model/hold.rs", "use crate::api::keys;", true),
        (f, "src/model/hold.rs", "pub(crate) fn f() {}", false),
        (f, "src/runtime/leader.rs", "use crate::controller::context;", true),
        (f, "src/main.rs", "fn main() { stairlock::cli::run() }", false),
        (f, "src/main.rs", "use stairlock::decide::decide;", true),
        (f, "src/lib.rs", "pub use crate::cli::run;", false),
        (f, "src/extra/mod.rs", "", true),
    ]);
}

#[test]
fn a_circle_between_siblings_is_found() {
    let circle = [
        ("src/decide/mod.rs", "mod canary;\nmod order;\nuse canary::next;"),
        ("src/decide/canary.rs", "use super::order;"),
        ("src/decide/order.rs", "use crate::decide::canary::next;"),
    ];
    assert_eq!(imports::siblings(&Tree::of(circle)).len(), 2);
    let line = [circle[0], circle[1], ("src/decide/order.rs", "use crate::model::weight;")];
    assert!(imports::siblings(&Tree::of(line)).is_empty());
    let reverse = [circle[0], ("src/decide/canary.rs", "use super::decide;")];
    assert_eq!(imports::siblings(&Tree::of(reverse)).len(), 1);
    let parent = [circle[0], ("src/decide/mod.rs", "use self::canary::next;")];
    assert!(imports::siblings(&Tree::of(parent)).is_empty());
}

#[test]
fn a_defect_without_its_feature_is_found() {
    let f = imports::table;
    let on = "#[cfg(feature = \"planted\")]\n";
    let place = "use crate::planted::{Bug, active};\nfn f() {}\n";
    let after = format!("{on}use crate::planted::Bug;\nuse crate::planted::active;");
    let path = format!("fn f() {{\n{on}if crate::planted::active(A) {{\nreturn;\n}}\ng()\n}}");
    let late = format!("fn f() {{\n{on}if a {{\n}} else {{\n}}\ncrate::planted::plant(None)\n}}");
    check(&[
        (f, "src/decide/canary.rs", &format!("{on}{place}"), false),
        (f, "src/decide/canary.rs", place, true),
        (f, "src/decide/canary.rs", &place.replace("use", "#[cfg(test)]\nuse"), true),
        (f, "src/decide/canary.rs", &after, true),
        (f, "src/decide/canary.rs", &path, false),
        (f, "src/decide/canary.rs", &late, true),
        (f, "src/planted.rs", "use crate::model::hold;", true),
    ]);
    let f = imports::planted;
    check(&[
        (f, "src/lib.rs", &format!("{on}pub mod planted;"), false),
        (f, "src/lib.rs", "pub mod planted;", true),
        (f, "src/lib.rs", &format!("{on}pub mod a;\npub mod planted;"), true),
    ]);
    let reaches = |path: &str, text: &str| spec::planted_not_shipped([(path, text.into())]).len();
    assert_eq!(reaches("Cargo.toml", "[features]\nplanted = []"), 0);
    assert_eq!(reaches("Cargo.toml", "default = [\"planted\"]"), 1);
    assert_eq!(reaches("Makefile", "\t$(CARGO) build --profile dist --features planted"), 1);
    assert_eq!(reaches("Makefile", "\t$(CARGO) test --release --features planted"), 0);
    assert_eq!(reaches("Dockerfile", "RUN cargo build --all-features"), 1);
}

#[test]
fn a_reexport_is_found() {
    let f = imports::reexports;
    check(&[
        (f, "src/model/mod.rs", "pub mod hold;\nuse hold::Hold;", false),
        (f, "src/model/mod.rs", "pub use hold::Hold;", true),
        (f, "src/model/mod.rs", "pub(crate) use hold::Hold;", true),
        (f, "src/lib.rs", "pub use model::hold::Hold;", false),
    ]);
}

#[test]
fn an_orphaned_file_is_found() {
    let lib = ("src/lib.rs", "pub mod model;");
    let model = ("src/model/mod.rs", "pub mod hold;\n#[cfg(test)]\nmod tests;");
    let hold = ("src/model/hold.rs", "");
    let tests = ("src/model/tests.rs", "");
    assert!(imports::reachable(&Tree::of([lib, model, hold, tests])).is_empty());
    assert_eq!(imports::reachable(&Tree::of([lib, hold, tests])).len(), 2);
}

#[test]
fn a_clock_in_a_pure_module_is_found() {
    let f = purity::pure_modules;
    check(&[
        (f, "src/decide/canary.rs", "fn next(now: Timestamp) -> bool { at <= now }", false),
        (f, "src/decide/canary.rs", "fn f() { let t = Timestamp::now(); }", true),
        (f, "src/decide/canary.rs", "fn f() { let t = clock.now(); }", true),
        (f, "src/decide/canary.rs", "use std::time::Instant;", true),
        (f, "src/decide/canary.rs", "/// Takes no Instant::now.\nfn f() {}", false),
        (f, "src/runtime/clock.rs", "use std::time::Instant;", false),
        (f, "src/model/mod.rs", "pub async fn f() {}", true),
        (f, "src/api/keys.rs", "const A: &str = \"async HashMap Client\";", false),
        (f, "src/validate/mod.rs", "use std::collections::HashMap;", true),
        (f, "src/validate/mod.rs", "use std::collections::BTreeMap;", false),
        (f, "src/render/route.rs", "use kube::Client;", true),
        (f, "src/render/route.rs", "tracing::info!(\"x\");", true),
        (f, "src/render/route.rs", "let a = std::env::var(\"A\");", true),
        (f, "src/render/route.rs", "let a = rand::random();", true),
        (
            f,
            "src/render/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}",
            false,
        ),
    ]);
    let f = purity::time_library;
    check(&[
        (f, "src/model/moment.rs", "use jiff::Timestamp;", false),
        (f, "src/decide/bake.rs", "fn f(at: jiff::Timestamp) {}", true),
        (f, "src/runtime/clock.rs", "use jiff::Timestamp;", false),
    ]);
    let f = purity::clock;
    let allow = "#[allow(clippy::disallowed_methods)]\nfn now() {}";
    check(&[(f, "src/runtime/clock.rs", allow, false), (f, "src/runtime/leader.rs", allow, true)]);
}

#[test]
fn a_size_beyond_its_limit_is_found() {
    let function = |name: &str, lines: usize| {
        format!("fn {name}(a: [u8; 4]) {{\n{}}}\n", "    call();\n".repeat(lines - 2))
    };
    let calls = |lines: usize| "const A: u8 = 1;\n".repeat(lines);
    let tests = |lines: usize| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", calls(lines));
    let comments = "// why\n\n".repeat(300);
    let (columns, file, body) = (limits::columns, limits::file_lines, limits::function_lines);
    check(&[
        (columns, "src/lib.rs", &"ä".repeat(100), false),
        (columns, "src/lib.rs", &"a".repeat(101), true),
        (columns, "tests/cluster/main.rs", &"a".repeat(101), true),
        (file, "src/lib.rs", &calls(500), false),
        (file, "src/lib.rs", &calls(501), true),
        (file, "src/lib.rs", &(comments + &calls(500) + &tests(400)), false),
        (body, "src/lib.rs", &function("step", 70), false),
        (body, "src/lib.rs", &function("step", 71), true),
        (body, "tests/cluster/main.rs", &function("step", 71), true),
        (body, "src/lib.rs", &function("reconcile", 41), true),
        (body, "src/lib.rs", &format!("trait A {{ fn f(); }}\n{}", calls(90)), false),
    ]);
}

#[test]
fn the_group_outside_of_keys_is_found() {
    let f = words::group;
    let kube = "#[derive(A)]\n#[kube(\n    group = \"stairlock.dev\",\n)]\nstruct R;\n";
    let after = format!("{kube}const A: &str = \"stairlock.dev/promote\";");
    check(&[
        (f, "src/api/keys.rs", "pub const GROUP: &str = \"stairlock.dev\";", false),
        (f, "src/render/route.rs", "let a = \"stairlock.dev/rollout\";", true),
        (f, "src/render/route.rs", "let a = r#\"{\"stairlock.dev/rollout\": 1}\"#;", true),
        (f, "src/render/route.rs", "/// Reads `stairlock.dev/rollout`.\nfn f() {}", false),
        (
            f,
            "src/render/mod.rs",
            "#[cfg(test)]\nmod t {\n    const A: &str = \"stairlock.dev\";\n}",
            false,
        ),
        (f, "src/api/rollout.rs", kube, false),
        (f, "src/api/rollout.rs", &after, true),
        (f, "src/render/route.rs", kube, true),
    ]);
}

#[test]
fn an_empty_name_or_a_synonym_is_found() {
    let f = words::names;
    check(&[
        (f, "src/model/hold.rs", "pub enum Hold {}", false),
        (f, "src/controller/a.rs", "struct RolloutManager;", true),
        (f, "src/controller/a.rs", "trait EventHandler {}", true),
        (f, "src/model/a.rs", "struct ReleaseInfo;", true),
        (f, "src/model/snapshot.rs", "struct LiveService;", false),
        (f, "src/model/a.rs", "enum PrimaryWeight {}", true),
        (f, "src/model/utils.rs", "", true),
    ]);
    let f = words::ignored_tests;
    check(&[
        (f, "tests/cluster/main.rs", "#[test]\n#[ignore]\nfn f() {}", true),
        (f, "tests/cluster/main.rs", "#[test]\n#[ignore = \"later\"]\nfn f() {}", true),
        (f, "tests/cluster/main.rs", "#[test]\nfn f() {}", false),
    ]);
}

#[test]
fn an_undocumented_code_is_found() {
    let hold = r#"
impl Hold {
    fn code(&self) -> &'static str {
        match self {
            Self::A => "NoRelease",
            Self::B => "ImageOwned",
        }
    }
}
"#;
    let tree = Tree::of([("src/model/hold.rs", hold)]);
    assert!(spec::codes_documented(&tree, "| `NoRelease` | … |\n| `ImageOwned` |").is_empty());
    assert_eq!(spec::codes_documented(&tree, "`NoRelease`, `ImageOwnedBy`").len(), 1);
    let reason = hold.replace("code", "reason");
    assert_eq!(spec::codes_documented(&Tree::of([("src/apply/error.rs", reason)]), "").len(), 2);
    let other = hold.replace("code", "title");
    assert!(spec::codes_documented(&Tree::of([("src/apply/error.rs", other)]), "").is_empty());
}

#[test]
fn a_test_that_is_named_and_not_there_is_found() {
    let tree = Tree::of([("tests/a.rs", "#[test]\nfn it_goes_up() {}\n".to_owned())]);
    let missing = |page| spec::tests_there(&tree, "a.md", page);
    assert!(missing("`it_goes_up`, `tests/a.rs`, `on_failure`, it_goes_down").is_empty());
    assert_eq!(missing("`it_goes_up`, `it_goes_down`").len(), 1);
}

#[test]
fn an_unexplained_dependency_is_found() {
    let good = r#"
[package]
name = "a"
[dependencies]
# Wire formats.
serde = "1"
serde_json = "1"
"#;
    assert!(spec::dependencies_explained(good).is_empty());
    assert_eq!(spec::dependencies_explained(&good.replace("# Wire formats.\n", "")).len(), 2);
    let repeated = format!("{good}[dev-dependencies]\nserde = \"1\"\nhyper = \"1\"\n");
    assert_eq!(spec::dependencies_explained(&repeated).len(), 1);
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r#"
let a = 'b'; // crate::c
let d: &'static str = "// \" e"; /* f
/* g */ h */ i('\'');
"#;
    let source = Source::new("src/lib.rs".into(), text.into());
    let words: Vec<&str> = tokens(&source.code)
        .iter()
        .map(|token| token.text)
        .filter(|word| word.starts_with(char::is_alphabetic))
        .collect();
    assert_eq!(words, ["let", "a", "let", "d", "static", "str", "i"]);
    assert_eq!(source.literals.len(), 1);
    assert_eq!(source.code.lines().count(), text.lines().count());
}
