//! Plays each sample that has a scenario and compares what is printed with its expected.txt.
//!
//! `UPDATE=1 cargo test --test samples` rewrites the files.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};

    use serde_json::Value;

    /// Files of a sample that are no manifests for a cluster.
    const OTHERS: [&str; 2] = ["kustomization.yaml", "scenario.yaml"];

    fn samples() -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = entries.filter(|path| path.join("scenario.yaml").exists()).collect();
        all.sort();
        all
    }

    fn arguments(sample: &Path) -> Vec<String> {
        let entries = fs::read_dir(sample).unwrap().map(|entry| entry.unwrap().file_name());
        let names = entries.map(|name| name.to_string_lossy().into_owned());
        let mut names: Vec<_> = names
            .filter(|name| name.ends_with(".yaml") && !OTHERS.contains(&name.as_str()))
            .collect();
        names.sort();
        let files = names.into_iter().flat_map(|name| ["-f".to_owned(), name]);
        let scenario = ["--scenario", "scenario.yaml"].map(str::to_owned);
        ["simulate".to_owned()].into_iter().chain(files).chain(scenario).collect()
    }

    fn run(sample: &Path, arguments: &[String]) -> Output {
        let program = env!("CARGO_BIN_EXE_stairlock");
        Command::new(program).args(arguments).current_dir(sample).output().unwrap()
    }

    #[test]
    fn every_sample_goes_as_expected() {
        assert!(2 <= samples().len(), "samples are missing");
        for sample in samples() {
            let arguments = arguments(&sample);
            let output = run(&sample, &arguments);
            let printed = String::from_utf8(output.stdout).unwrap();
            let told = format!("$ stairlock {}\n{printed}", arguments.join(" "));
            let path = sample.join("expected.txt");
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &told).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            let same = expected.lines().zip(told.lines()).take_while(|(a, b)| a == b).count();
            let shown = |text: &str| text.lines().nth(same).unwrap_or("(end)").to_owned();
            assert!(
                expected == told,
                "{}:{}\nexpected {}\nprinted  {}",
                path.display(),
                same + 1,
                shown(&expected),
                shown(&told)
            );
            assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{}", path.display());
        }
    }

    #[test]
    fn the_document_says_what_the_text_says() {
        for sample in samples() {
            let arguments: Vec<String> =
                arguments(&sample).into_iter().chain(["-o", "json"].map(str::to_owned)).collect();
            let output = run(&sample, &arguments);
            let document: Value = serde_json::from_slice(&output.stdout).unwrap();
            let expected = fs::read_to_string(sample.join("expected.txt")).unwrap();
            let code = &document["exitCode"];
            assert_eq!(*code, output.status.code().unwrap());
            let outcome = document["outcome"].as_str().unwrap();
            assert!(expected.contains(&format!("{outcome} (exit {code})")), "{document}");
            for line in document["timeline"].as_array().unwrap() {
                assert!(expected.contains(line["text"].as_str().unwrap()), "{line}");
            }
        }
    }
}
