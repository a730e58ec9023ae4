//! Tells whether the tree keeps the rules of docs/STYLE.md and docs/ARCHITECTURE.md.
//!
//! Every rule is a function over texts and returns findings. `planted` proves that each rule can
//! fail; `the_tree_is_tidy` applies all of them to the repository. Needs nothing but the standard
//! library, so `rustc --test --edition 2024 tests/tidy.rs` builds it alone.

#[cfg(test)]
mod tidy {
    mod imports;
    mod limits;
    mod planted;
    mod purity;
    mod spec;
    mod text;
    mod words;

    use std::fs;
    use std::path::{Path, PathBuf};

    use text::{Finding, Tree};

    /// Every rule over Rust sources, in the order in which findings are printed.
    const RULES: &[fn(&Tree) -> Vec<Finding>] = &[
        imports::table,
        imports::siblings,
        imports::planted,
        imports::reexports,
        imports::reachable,
        purity::pure_modules,
        purity::time_library,
        purity::clock,
        limits::columns,
        limits::file_lines,
        limits::function_lines,
        words::group,
        words::names,
        words::ignored_tests,
    ];

    /// What builds the binary that is shipped, or says how cargo does.
    const SHIPPING: [&str; 6] = [
        "Cargo.toml",
        "Dockerfile",
        "Makefile",
        "skaffold.yaml",
        "tests/scripts/generate.sh",
        "tests/scripts/image.sh",
    ];

    #[test]
    fn the_tree_is_tidy() {
        let tree = Tree::of(files("src").into_iter().chain(files("tests")));
        let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
        findings.extend(spec::codes_documented(&tree, &read("docs/spec/rollout.md")));
        let tests = "docs/migration/kuberik-tests.md";
        findings.extend(spec::tests_there(&tree, tests, &read(tests)));
        findings.extend(spec::dependencies_explained(&read("Cargo.toml")));
        findings.extend(spec::planted_not_shipped(SHIPPING.map(|path| (path, read(path)))));
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    }

    /// The repository: where cargo says the manifest is, else the working directory.
    fn root() -> PathBuf {
        option_env!("CARGO_MANIFEST_DIR").unwrap_or(".").into()
    }

    /// The text of a file, empty when there is none.
    fn read(path: &str) -> String {
        fs::read_to_string(root().join(path)).unwrap_or_default()
    }

    /// All Rust files below a folder as (path from the root, text), sorted by path.
    fn files(folder: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
            for entry in entries {
                let entry = entry.unwrap();
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if entry.file_type().unwrap().is_dir() {
                    open.push(path);
                } else if Path::new(&path).extension().is_some_and(|kind| kind == "rs") {
                    let text = read(&path);
                    found.push((path, text));
                }
            }
        }
        found.sort();
        found
    }
}
