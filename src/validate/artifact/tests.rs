use serde_json::{Value, json};

use crate::model::snapshot::Offer;
use crate::model::spec::SourceKind;
use crate::model::status::Status;
use crate::validate::seen::{Found, Seen, Source};
use crate::validate::{fixture, manifest, rollout, source, template};

/// What a Rollout with such a source and such containers is offered.
fn offered(source_ref: &Value, containers: &Value, object: &Value) -> String {
    let patch = json!({"spec": {
        "sourceRef": source_ref,
        "template": {"spec": {"containers": containers}},
    }});
    let shop = fixture::rollout(patch);
    let spec = rollout::spec(&shop).unwrap();
    let seen = match spec.source.as_ref().unwrap().kind {
        SourceKind::OciRepository => Source::Artifact(Found::Is(fixture::object(object.clone()))),
        SourceKind::Kustomization => {
            Source::Kustomization(Found::Is(fixture::object(object.clone())))
        }
        SourceKind::ImagePolicy => panic!("tested elsewhere"),
    };
    let with = (rollout::identity(&shop), template::with_owners(&shop, &[]));
    let seen = Seen { source: seen, ..fixture::seen(shop) };
    let manifests = manifest::all(&seen);
    match source::offer(&seen, (&spec, &manifests), &with.0, (&with.1, &Status::default())) {
        Offer::NoSource => "no source".to_owned(),
        Offer::Nothing(hold) => format!("{}: {}", hold.code(), hold.message()),
        Offer::Releases(releases) => {
            let release = releases.newest_first().next().unwrap();
            format!("{} {}", release.version, release.image)
        }
    }
}

fn app() -> Value {
    json!([{"name": "app", "image": "registry.example/shop:1.2.3"}])
}

fn ready(patch: Value) -> Value {
    let base = json!({
        "metadata": {"name": "shop", "namespace": "prod", "generation": 2},
        "spec": {},
        "status": {
            "observedGeneration": 2,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    fixture::merged(&base, &patch)
}

#[test]
fn an_artifact_tells_a_version_and_never_a_digest() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let named = |revision: &str| ready(json!({"status": {"artifact": {"revision": revision}}}));
    let tagged = named(&format!("v1.3.0@{digest}"));
    let annotated = |key: &str| {
        let metadata = json!({key: "1.4.0"});
        let artifact = json!({"revision": digest, "metadata": metadata});
        ready(json!({"status": {"artifact": artifact}}))
    };
    let bound = |value: &str| {
        let mark = json!({"metadata": {"annotations": {"stairlock.dev/rollout": value}}});
        fixture::merged(&tagged, &mark)
    };
    let failed = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    let older = json!({"status": {"observedGeneration": 1}});
    for (case, object, want) in [
        ("a tag", tagged.clone(), "1.3.0 registry.example/shop:v1.3.0"),
        ("a digest alone", named(&digest), "UnusableRelease: "),
        ("a version beside it", annotated("org.opencontainers.image.version"), "1.4.0 registry"),
        ("another annotation", annotated("org.opencontainers.image.title"), "UnusableRelease: "),
        ("a tag that is no version", named(&format!("latest@{digest}")), "UnusableRelease: "),
        ("no artifact yet", ready(json!({})), "NoRelease: "),
        ("not Ready", fixture::merged(&tagged, &failed), "SourceNotReady: OCIRepository prod/shop"),
        ("an older generation", fixture::merged(&tagged, &older), "SourceNotReady: "),
        ("no status", fixture::merged(&tagged, &json!({"status": null})), "SourceNotReady: "),
        ("its own target", bound("shop"), "SelfReference: OCIRepository prod/shop takes"),
        ("its own target, in full", bound("prod/shop"), "SelfReference: "),
        ("the target of another", bound("cart"), "1.3.0 registry.example/shop:v1.3.0"),
    ] {
        let got = offered(&json!({"kind": "OCIRepository", "name": "shop"}), &app(), &object);
        assert!(got.starts_with(want), "{case}: {got}");
        assert!(!got.starts_with("1.") || !got.contains('@'), "{case}: {got}");
    }
}

#[test]
fn a_kustomization_tells_a_version_by_a_variable_or_by_what_it_applied() {
    let applied = |revision: &str| {
        let substitute = json!({"SHOP": "1.5.0", "BAD": "x y"});
        ready(json!({
            "spec": {"postBuild": {"substitute": substitute}},
            "status": {"lastAppliedRevision": revision},
        }))
    };
    let digest = format!("sha256:{}", "a".repeat(64));
    let bound =
        json!({"metadata": {"annotations": {"stairlock.dev/substitute.SHOP.from": "shop"}}});
    let unready = json!({"status": {"observedGeneration": -1}});
    for (case, variable, object, want) in [
        ("a variable", Some("SHOP"), applied("main@sha1:b"), "1.5.0 registry.example/shop:1.5.0"),
        ("no such variable", Some("CART"), applied("main@sha1:b"), "UnusableRelease: "),
        ("no tag", Some("BAD"), applied("main@sha1:b"), "UnusableRelease: "),
        ("the tag", None, applied(&format!("1.6.0@{digest}")), "1.6.0 registry.example/shop:1.6.0"),
        ("a branch", None, applied("main@sha1:b"), "UnusableRelease: "),
        ("a digest alone", None, applied(&digest), "UnusableRelease: "),
        ("nothing applied", None, ready(json!({})), "NoRelease: "),
        (
            "never looked at",
            Some("SHOP"),
            fixture::merged(&applied(""), &unready),
            "SourceNotReady",
        ),
        ("its own target", Some("SHOP"), fixture::merged(&applied(""), &bound), "SelfReference: "),
    ] {
        let mut source = json!({"kind": "Kustomization", "name": "apps"});
        if let Some(variable) = variable {
            source = fixture::merged(&source, &json!({"substitute": variable}));
        }
        let got = offered(&source, &app(), &object);
        assert!(got.starts_with(want), "{case}: {got}");
    }
}

#[test]
fn the_image_is_the_one_that_is_named_else_that_of_the_containers() {
    let revision = format!("1.3.0@sha256:{}", "a".repeat(64));
    let object = ready(json!({"status": {"artifact": {"revision": revision}}}));
    let side = json!([
        {"name": "app", "image": "registry.example/shop:1.2.3"},
        {"name": "side", "image": "registry.example/proxy:7"},
    ]);
    let twins = json!([{"name": "a", "image": "nginx:1"}, {"name": "b"},
        {"name": "c", "image": "docker.io/library/nginx:2"}]);
    for (case, image, containers, want) in [
        ("one container", None, app(), "1.3.0 registry.example/shop:1.3.0"),
        ("one repository", None, twins, "1.3.0 nginx:1.3.0"),
        ("several repositories", None, side.clone(), "UnusableRelease: "),
        ("several, and one named", Some("ghcr.io/a/b"), side, "1.3.0 ghcr.io/a/b:1.3.0"),
        ("no image yet", None, json!([{"name": "app"}]), "UnusableRelease: "),
        ("no image, one named", Some("ghcr.io/a/b"), json!([{"name": "app"}]), "1.3.0 ghcr.io/a/b"),
    ] {
        let mut source = json!({"kind": "OCIRepository", "name": "shop"});
        if let Some(image) = image {
            source = fixture::merged(&source, &json!({"image": image}));
        }
        let got = offered(&source, &containers, &object);
        assert!(got.starts_with(want), "{case}: {got}");
    }
}
