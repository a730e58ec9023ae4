use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::model::image::Image;
use crate::model::version::Version;
use crate::validate::seen::Reading;
use crate::validate::{fixture, rollout};

const OWN: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const OTHER: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn policy(tag: &str) -> Arc<ImagePolicy> {
    fixture::object(json!({
        "metadata": {"name": "shop", "namespace": "prod", "generation": 1},
        "spec": {},
        "status": {"latestRef": {"name": "registry.example/shop", "tag": tag}},
    }))
}

#[test]
fn what_is_shown_known_wanted_and_running_is_worth_a_request() {
    let image = |tag: &str| format!("registry.example/shop:{tag}");
    let app = |image: &str| {
        let containers = json!([{"name": "app", "image": image}]);
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    };
    let side = |tag: &str| {
        let release = json!({"tag": tag, "image": image(tag)});
        json!({"status": {"stable": {"revision": "5f6c0a91be", "release": release}}})
    };
    let known = |count: usize| {
        let all: Vec<_> = (0..count).map(|at| json!({"tag": format!("1.{at}.0")})).collect();
        json!({"status": {"availableReleases": all}})
    };
    let wanted_version = fixture::merged(&known(30), &json!({"spec": {"wantedVersion": "1.3.0"}}));
    let gate = json!({"name": "freeze", "passing": true, "allowedVersions": ["v1.4.0", "7.0.0"]});
    let gated = fixture::merged(&known(16), &json!({"status": {"gates": [gate]}}));
    for (case, tag, patch, want) in [
        ("what is shown", "9.0.0", app("other:1"), "9.0.0"),
        ("nothing is shown", "", app("other:1"), ""),
        ("what is in the template", "9.0.0", app(&image("1.0.0")), "1.0.0 9.0.0"),
        ("not of another repository", "9.0.0", app("other.example/shop:1.0.0"), "9.0.0"),
        (
            "what stable has",
            "9.0.0",
            fixture::merged(&app("other:1"), &side("1.1.0")),
            "1.1.0 9.0.0",
        ),
        ("no tag that none can be", "../x", app(&image("1.0.0")), "1.0.0"),
        (
            "the newest known ones, and the wanted one",
            "9.0.0",
            fixture::merged(&app("other:1"), &wanted_version),
            "1.20.0 1.21.0 1.22.0 1.23.0 1.24.0 1.25.0 1.26.0 1.27.0 1.28.0 1.29.0 1.3.0 9.0.0",
        ),
        (
            "what a gate names, of those that are known",
            "9.0.0",
            fixture::merged(&app("other:1"), &gated),
            "1.10.0 1.11.0 1.12.0 1.13.0 1.14.0 1.15.0 1.4.0 1.6.0 1.7.0 1.8.0 1.9.0 9.0.0",
        ),
    ] {
        let source = json!({"spec": {"sourceRef": {"kind": "ImagePolicy", "name": "shop"}}});
        let shop = fixture::rollout(fixture::merged(&patch, &source));
        let shown = shown(&policy(tag));
        let tags = shown.map(|(repository, tag)| wanted(&repository, Some(tag), &shop));
        let tags = tags.unwrap_or_default().into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(tags, want, "{case}");
    }
}

#[test]
fn the_images_of_a_version_are_those_of_the_container_that_takes_it() {
    let containers = json!([
        {"name": "side"},
        {"name": "proxy", "image": "registry.example/proxy:1"},
        {"name": "app", "image": "registry.example/shop:1.0.0"},
    ]);
    let source = |kind: &str, image: Option<&str>| {
        let source = json!({"kind": kind, "name": "shop", "image": image});
        json!({"sourceRef": source})
    };
    for (case, patch, want) in [
        ("no source", json!({}), None),
        ("its policy tells it", source("ImagePolicy", None), None),
        ("named", source("OCIRepository", Some("a.example/shop")), Some("a.example/shop")),
        ("the first with an image", source("Kustomization", None), Some("registry.example/proxy")),
        (
            "that of the container",
            fixture::merged(&source("OCIRepository", None), &json!({"container": "app"})),
            Some("registry.example/shop"),
        ),
        (
            "followed",
            json!({"registry": {"image": "a.example/shop", "interval": "1m"}}),
            Some("a.example/shop"),
        ),
    ] {
        let template = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let shop = fixture::rollout(fixture::merged(&template, &json!({"spec": patch})));
        let got = repository(&shop).map(|image| image.repository);
        assert_eq!(got.as_deref(), want, "{case}");
    }
}

#[test]
fn a_release_learns_of_its_image_and_its_digest_where_that_is_required() {
    let manifest = |digest: &str| Manifest {
        digest: digest.to_owned(),
        about: About { revision: "5f6c0a9".into(), created: String::new() },
        card: Card::default(),
    };
    let shown = format!("shop:1.0.0@{OTHER}");
    let pinned = format!("shop:1.0.0@{OWN}");
    for (case, image, known, required, want) in [
        ("the digest stays out", "shop:1.0.0", Ok(OWN), false, ("shop:1.0.0", true)),
        ("it goes in where it has to", "shop:1.0.0", Ok(OWN), true, (pinned.as_str(), true)),
        ("what the source shows stays", &shown, Ok(OWN), true, (&shown, false)),
        ("of an artifact there is none", "shop:1.0.0", Ok(""), true, ("shop:1.0.0", true)),
        ("not known", "shop:1.0.0", Err(()), true, ("shop:1.0.0", false)),
    ] {
        let image = Image::parse(image).unwrap();
        let version = Version::from_tag("1.0.0").unwrap();
        let mut release = Release { version, image, about: About::default() };
        let known = known.map(manifest).map_err(|()| "no".to_owned());
        let mut spec = rollout::spec(&fixture::rollout(json!({}))).unwrap();
        spec.require_digest = required;
        learn(&mut release, &BTreeMap::from([("1.0.0".to_owned(), known)]), &spec);
        let got = (release.image.to_string(), !release.about.revision.is_empty());
        assert_eq!((got.0.as_str(), got.1), want, "{case}");
    }
}

#[test]
fn annotations_become_short_texts() {
    let texts = [(keys::OCI_TITLE, "Shop\n\u{1b}[31m"), (keys::OCI_REVISION, "5f6c0a9")];
    let annotations = texts.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    let digest = OWN.to_owned();
    let about = seen::Manifest { artifact_type: "a/b".into(), ..seen::Manifest::default() };
    let raw = seen::Manifest { digest, annotations, ..about };
    let read = read(&raw);
    assert_eq!((read.card.title.as_str(), read.card.artifact_type.as_str()), ("Shop [31m", "a/b"));
    assert_eq!((read.about.revision.as_str(), read.digest.as_str()), ("5f6c0a9", OWN));
}

#[test]
fn of_an_artifact_its_annotations_are_told() {
    let annotation = |key: &str| (key.to_owned(), format!("{key}!"));
    let metadata: BTreeMap<_, _> =
        [keys::OCI_SOURCE, keys::OCI_REVISION, keys::OCI_CREATED].map(annotation).into();
    for revision in [format!("1.3.0@{OWN}"), OWN.to_owned()] {
        let mut metadata = metadata.clone();
        metadata.insert(keys::OCI_VERSION.to_owned(), "1.3.0".to_owned());
        let artifact = json!({"revision": revision, "metadata": metadata});
        let object = fixture::object(json!({"metadata": {"name": "shop"}, "spec": {},
            "status": {"artifact": artifact}}));
        let shop = fixture::rollout(json!({}));
        let seen = Seen { source: Source::Artifact(Found::Is(object)), ..fixture::seen(shop) };
        let all = all(&seen);
        let Manifest { digest, about, card } = all["1.3.0"].clone().unwrap();
        assert_eq!(digest, "", "it is the one of manifests");
        assert_eq!(about.revision, format!("{}!", keys::OCI_REVISION));
        assert_eq!(card.source, format!("{}!", keys::OCI_SOURCE));
        let image = seen::Manifest { digest: OTHER.to_owned(), ..seen::Manifest::default() };
        let manifests = BTreeMap::from([("1.3.0".to_owned(), Ok(image))]);
        let both = self::all(&Seen { manifests: Arc::new(manifests), ..seen })["1.3.0"].clone();
        let Manifest { digest, about: same, .. } = both.unwrap();
        assert_eq!((digest.as_str(), same), (OTHER, about), "its registry tells the digest");
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_told_as_long_as_that_may_pass() {
    let failed = |passing| {
        let unresolved = Unresolved { reason: "DigestMismatch", why: "it is".into(), passing };
        BTreeMap::from([("1.0.0".to_owned(), Err(unresolved))])
    };
    let reading = Some(Reading::Tags { tags: Arc::default(), truncated: false });
    let told = |passing| {
        let shop = fixture::rollout(json!({}));
        let manifests = Arc::new(failed(passing));
        let seen = Seen { reading: reading.clone(), manifests, ..fixture::seen(shop) };
        crate::validate::source::unread(&seen)
    };
    let said = "the manifest of tag 1.0.0: it is".to_owned();
    assert_eq!(told(true), Some(("DigestMismatch", said)));
    assert_eq!(told(false), None, "a tag that was removed");
}
