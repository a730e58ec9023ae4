//! The CRD on a real API server: what it lets in, what it refuses, what it explains.

use std::path::{Path, PathBuf};

use http::Request;
use kube::Error;
use serde_json::Value;

use crate::support::json::{list, text};
use crate::support::rig::{rig, succeeded};
use crate::support::story::Story;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crd");

/// The files of a folder, sorted.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(CASES).join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "no cases in tests/crd/{folder}");
    files
}

/// What the API server says to an object that it is asked to try, strictly.
async fn tried(story: &Story, yaml: &str) -> Result<String, String> {
    let path = format!("/apis/stairlock.dev/v1alpha1/namespaces/{}/rollouts", story.namespace());
    let query = "dryRun=All&fieldValidation=Strict";
    let request = Request::post(format!("{path}?{query}"));
    let request = request.header("content-type", "application/yaml").body(yaml.as_bytes().to_vec());
    match story.cluster.client.request_text(request.unwrap()).await {
        Ok(answer) => Ok(answer),
        Err(Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{error}"),
    }
}

/// Tries a file: its first object; with a second one, that one as an edit of the first.
async fn tried_file(story: &Story, file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).unwrap();
    let documents: Vec<&str> = text.split("\n---\n").collect();
    let [first, edits @ ..] = &documents[..] else { panic!("an empty file") };
    let [edit] = edits else { return tried(story, first).await };
    let namespace = ["-n", story.namespace()];
    let create = [&namespace[..], &["create", "-f", "-"]].concat();
    succeeded("the object before", rig().kubectl_with(&create, first).await);
    let replace = [&namespace[..], &["replace", "--dry-run=server", "-f", "-"]].concat();
    let output = rig().kubectl_with(&replace, edit).await;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[tokio::test]
async fn every_accepted_object_is_accepted() {
    let story = Story::begin("accept", 60).await;
    for file in files("accept") {
        let answer = tried_file(&story, &file).await;
        assert!(answer.is_ok(), "{}: {answer:?}", file.display());
    }
}

#[tokio::test]
async fn every_rejected_object_is_rejected_with_its_remedy() {
    let story = Story::begin("reject", 60).await;
    for file in files("reject") {
        let text = std::fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let expect = first.strip_prefix("# expect: ").expect("a first line `# expect: …`").trim();
        let answer = tried_file(&story, &file).await;
        let message = answer.expect_err(&file.display().to_string());
        assert!(message.contains(expect), "{}: {message}", file.display());
    }
}

#[tokio::test]
async fn an_unknown_field_outside_the_template_is_refused() {
    let story = Story::begin("unknown", 60).await;
    let [file, ..] = &files("accept")[..] else { panic!("no file") };
    let yaml = std::fs::read_to_string(file).unwrap();
    let yaml = yaml.replacen("\nspec:\n", "\nspec:\n  replica: 3\n", 1);
    let message = tried(&story, &yaml).await.expect_err("a typo");
    assert!(message.contains("unknown field \"spec.replica\""), "{message}");
}

/// A field of the schema: its path, whether it has to be there, what it says.
struct Field {
    path: Vec<String>,
    required: bool,
    schema: Value,
}

/// Every field below a schema.
fn fields(schema: &Value, path: &[String], found: &mut Vec<Field>) {
    let items = schema.get("items").unwrap_or(schema);
    let Some(properties) = items.get("properties").and_then(Value::as_object) else { return };
    let required = list(items, "/required");
    for (name, schema) in properties {
        let path = [path, std::slice::from_ref(name)].concat();
        let required = required.iter().any(|needed| needed == name);
        fields(schema, &path, found);
        found.push(Field { path, required, schema: schema.clone() });
    }
}

#[tokio::test]
async fn every_field_is_explained_with_default_range_and_example() {
    let story = Story::begin("explain", 60).await;
    let api = kube::Api::<kube::core::DynamicObject>::all_with(
        story.cluster.client.clone(),
        &crate::support::cluster::resource("CustomResourceDefinition"),
    );
    let crd = api.get("rollouts.stairlock.dev").await.unwrap();
    let crd = crate::support::cluster::plain(crd);
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = Vec::new();
    fields(schema, &[], &mut found);
    let mut poor = Vec::new();
    for Field { path, required, schema } in &found {
        let words = text(schema, "/description");
        let path = path.join(".");
        let block = schema.get("properties").is_some(); // its range is that of its fields
        let needs: &[(&str, bool)] = match path.starts_with("spec.") {
            true => &[("Default:", !*required && !block), ("Range:", !block), ("Example:", true)],
            false => &[],
        };
        let top = ["apiVersion", "kind", "metadata", "spec", "status"].contains(&path.as_str());
        if words.is_empty() && !top {
            poor.push(format!("{path}: no description"));
        }
        for (word, needed) in needs {
            if *needed && !words.contains(word) {
                poor.push(format!("{path}: no {word}"));
            }
        }
    }
    assert!(poor.is_empty(), "{}", poor.join("\n"));
    assert!(found.len() > 60, "{} fields", found.len());

    for path in [
        "",
        ".spec.sourceRef.kind",
        ".spec.strategy.canary.steps.pause.duration",
        ".spec.strategy.canary.trafficRouting.gatewayAPI.httpRoute",
        ".status.waitingFor.message",
        ".spec.template.spec.containers.image",
    ] {
        let field = format!("rollout{path}");
        let words = story.kubectl(&["explain", &field]).await;
        assert!(words.contains("DESCRIPTION"), "{field}: {words}");
        assert!(!words.contains("<no description>") && !words.contains("<empty>"), "{words}");
    }
}
