use super::*;

fn check(file: &str, text: &str) -> Result<Manifests, Faults> {
    read(&sources(file, text)?)
}

fn smallest() -> String {
    include_str!("../../../tests/crd/accept/smallest.yaml").to_owned()
}

/// The folders are those that the real API server is asked about.
#[test]
fn what_the_api_server_takes_is_taken_and_what_it_refuses_is_refused_with_a_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crd");
    let mut refused = 0;
    for (kind, taken) in [("accept", true), ("reject", false)] {
        for entry in fs::read_dir(folder.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let (file, text) = super::text(&path).unwrap();
            if !text.contains("\nkind: Rollout\n") {
                continue; // Of the other kinds only the API server is asked.
            }
            match check(&file, &text) {
                Ok(_) => assert!(taken, "{file} is taken"),
                Err(faults) => {
                    assert!(!taken, "{faults}");
                    // Line 2 is where the Rollout begins: the field is not known.
                    assert!(faults.all().iter().all(|fault| 2 < fault.at.line), "{faults}");
                    refused += 1;
                }
            }
        }
    }
    assert!(60 < refused, "{refused}");
}

#[test]
fn a_fault_names_place_finding_and_expectation() {
    let policy = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\n";
    for (text, want) in [
        (String::new(), "no file: found no Rollout of stairlock.dev, expected one"),
        (policy.to_owned(), "a.yaml:1:1: found ImagePolicy without metadata.name, expected one"),
        (
            format!("{policy}metadata: {{name: shop}}\n"),
            "a.yaml: found no Rollout of stairlock.dev, expected one",
        ),
        ("- 1\n".into(), "a.yaml:1:1: found no apiVersion, expected a Kubernetes manifest"),
        ("hello\n".into(), "a.yaml:1:1: found no apiVersion, expected a Kubernetes manifest"),
        ("apiVersion: v1\n".into(), "a.yaml:1:1: found no kind, expected a Kubernetes manifest"),
        ("story: 1\n".into(), "a.yaml:1:1: found a story, expected a manifest: give it to"),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\n".into(),
            "a.yaml:1:13: apiVersion: found a Rollout of argoproj.io/v1alpha1, expected \
             stairlock.dev/v1alpha1",
        ),
        (
            smallest().replace("v1alpha1", "v1"),
            "a.yaml:1:13: apiVersion: found a Rollout of stairlock.dev/v1, expected",
        ),
        (
            format!("{}---\n{0}", smallest()),
            "a.yaml:26:1: found a second Rollout shop, expected one: shop is in a.yaml:1",
        ),
        (
            format!("{}strategi: 1\n", smallest()),
            "a.yaml:25:1: strategi: found an unknown field, expected one of apiVersion, kind, \
             metadata, spec, status",
        ),
        (smallest().replace("spec:\n  sel", "sp:\n  sel"), "a.yaml:1:1: found no spec, expected"),
        ("a: [\n".into(), "a.yaml:1:4: is not YAML: unclosed bracket"),
    ] {
        let found = check("a.yaml", &text).unwrap_err().to_string();
        assert!(found.contains(want), "{text}\nfound  {found}\nwanted {want}");
    }
}

#[test]
fn objects_are_as_the_api_server_would_create_them() {
    let text = format!(
        "{}status: {{phase: Paused}}\n---\n{}---\n{}---\n{}",
        smallest().replace("  name: shop\n", "  name: shop\n  uid: a\n  generation: 7\n"),
        "apiVersion: image.toolkit.fluxcd.io/v1beta2\nkind: ImagePolicy\nmetadata: {name: shop, \
         namespace: flux}\nstatus: {latestRef: {tag: 1.0.0}}\n",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: \
         a}\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\n",
    );
    let read = check("a.yaml", &text).unwrap();
    let [rollout, policy, service] = read.objects.as_slice() else { panic!("{read:?}") };
    assert_eq!(rollout["status"], Value::Null, "a new object has no status");
    assert_eq!(rollout["metadata"], json!({"name": "shop", "namespace": "default"}));
    assert_eq!(policy["apiVersion"], "image.toolkit.fluxcd.io/v1", "the version that is served");
    assert_eq!(policy["status"]["latestRef"]["tag"], "1.0.0", "what it shows");
    assert_eq!(policy["metadata"]["namespace"], "flux");
    assert_eq!(service["metadata"], json!({"name": "a", "namespace": "default"}));
    assert_eq!(service["apiVersion"], "v1");
    assert_eq!(read.skipped, ["Deployment other (a.yaml:41) is no part of the simulation"]);
    assert_eq!((read.rollout.namespace.as_str(), read.rollout.name.as_str()), ("default", "shop"));
    assert_eq!(read.rollout.object, *rollout);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    for (path, want) in [
        ("tests/crd/none.yaml", "tests/crd/none.yaml: unreadable: No such file"),
        ("tests/crd", "tests/crd: unreadable: Is a directory"),
    ] {
        let found = super::text(Path::new(path)).unwrap_err().to_string();
        assert!(found.starts_with(want), "{found}");
    }
}
