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

/// A case, in the namespace of the story.
fn case(story: &Story, file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    text.replace("namespace: default", &format!("namespace: {}", story.namespace()))
}

/// What the first line of a case expects.
fn expected(yaml: &str) -> String {
    let line = yaml.lines().next().unwrap_or_default();
    line.strip_prefix("# expect: ").expect("a first line `# expect: …`").trim().to_owned()
}

/// Where objects of the kind of a case are.
fn place(story: &Story, yaml: &str) -> String {
    let kind = yaml.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap().trim();
    let plural = format!("{}s", kind.to_ascii_lowercase());
    match kind.starts_with("Cluster") {
        true => format!("/{plural}"),
        false => format!("/namespaces/{}/{plural}", story.namespace()),
    }
}

/// What the API server says to an object that it is asked to try, strictly.
async fn tried(story: &Story, yaml: &str) -> Result<String, String> {
    let path = format!("/apis/stairlock.dev/v1alpha1{}", place(story, yaml));
    let query = "dryRun=All&fieldValidation=Strict";
    let request = Request::post(format!("{path}?{query}"));
    let request = request.header("content-type", "application/yaml").body(yaml.as_bytes().to_vec());
    match story.cluster.client.request_text(request.unwrap()).await {
        Ok(answer) => Ok(answer),
        Err(Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn every_accepted_object_is_accepted() {
    let story = Story::begin("accept", 60).await;
    let mut wrong = Vec::new();
    for file in files("accept") {
        if let Err(message) = tried(&story, &case(&story, &file)).await {
            wrong.push(format!("{}: {message}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_rejected_object_is_rejected_with_its_remedy() {
    let story = Story::begin("reject", 60).await;
    let mut wrong = Vec::new();
    for file in files("reject") {
        let yaml = case(&story, &file);
        let expect = expected(&yaml);
        match tried(&story, &yaml).await {
            Err(message) if message.contains(&expect) => {}
            other => wrong.push(format!("{}: {expect}: {other:?}", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_rejected_edit_is_rejected_with_its_remedy() {
    let story = Story::begin("edit", 60).await;
    let namespace = ["-n", story.namespace()];
    for file in files("reject-update") {
        let yaml = case(&story, &file);
        let before = yaml.lines().nth(1).and_then(|line| line.strip_prefix("# before: "));
        let before = Path::new(CASES).join(before.expect("a second line `# before: …`"));
        let before = case(&story, &before);
        let create = [&namespace[..], &["create", "-f", "-"]].concat();
        succeeded("the object before", rig().kubectl_with(&create, &before).await);
        let replace = [&namespace[..], &["replace", "--dry-run=server", "-f", "-"]].concat();
        let output = rig().kubectl_with(&replace, &yaml).await;
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{}", file.display());
        assert!(message.contains(&expected(&yaml)), "{}: {message}", file.display());
        let delete = [&namespace[..], &["delete", "--wait=false", "-f", "-"]].concat();
        succeeded("deleting it", rig().kubectl_with(&delete, &before).await);
    }
}

#[tokio::test]
async fn an_unknown_field_outside_the_template_is_refused() {
    let story = Story::begin("unknown", 60).await;
    let [file, ..] = &files("accept")[..] else { panic!("no file") };
    let yaml = case(&story, file);
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
        let field = format!("rollouts{path}");
        let version = "--api-version=stairlock.dev/v1alpha1"; // kuberik has Rollouts, too
        let words = story.kubectl(&["explain", &field, version]).await;
        assert!(words.contains("DESCRIPTION"), "{field}: {words}");
        assert!(!words.contains("<no description>") && !words.contains("<empty>"), "{words}");
    }
}
