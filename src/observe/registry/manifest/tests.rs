use serde_json::{Value, json};

use super::*;

const INDEX: &str = KINDS[0];
const IMAGE: &str = KINDS[1];

fn headers(kind: &str, digest: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
    if let Some(digest) = digest {
        headers.insert(DIGEST, digest.parse().unwrap());
    }
    headers
}

#[test]
fn a_manifest_is_what_its_digest_says() {
    let body = br#"{"schemaVersion": 2}"#;
    let (short, long) = (hex(&Sha256::digest(body), 64), hex(&Sha512::digest(body), 128));
    let (short, long) = (format!("sha256:{short}"), format!("sha512:{long}"));
    let other = format!("sha256:{}", "0".repeat(64));
    let mismatch = Err(Fault::DigestMismatch);
    for (case, kind, told, want) in [
        ("none is told", IMAGE, None, Ok(short.clone())),
        ("the same is told", IMAGE, Some(short.as_str()), Ok(short.clone())),
        ("a longer one is told", IMAGE, Some(&long), Ok(long.clone())),
        ("with a charset", &format!("{IMAGE}; charset=utf-8"), None, Ok(short.clone())),
        ("another one is told", IMAGE, Some(&other), mismatch.clone()),
        ("none that is known", IMAGE, Some("md5:1"), Err(Fault::Malformed("no digest"))),
        (
            "of another kind",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            None,
            Err(Fault::Malformed("a manifest of a kind that is not known")),
        ),
    ] {
        let read = read(&headers(kind, told), body).map(|parsed| parsed.manifest.digest);
        assert_eq!(read, want, "{case}");
    }
    for body in ["", "{\"manifests\": 1}", "<html>"] {
        let read = read(&headers(IMAGE, None), body.as_bytes());
        assert_eq!(read, Err(Fault::Malformed("no manifest")), "{body}");
    }
}

#[test]
fn annotations_are_those_of_the_index_else_of_one_platform() {
    let title = |text: &str| json!({"org.opencontainers.image.title": text});
    let one = |digit: &str, os: &str, annotations: Value| {
        json!({"digest": format!("sha256:{}", digit.repeat(64)), "annotations": annotations,
            "platform": {"os": os, "architecture": "amd64"}})
    };
    let index = |own: Value, all: Value| json!({"annotations": own, "manifests": all});
    let none = || json!({"vendor.example/x": "1"});
    for (case, document, want, child) in [
        ("its own", index(title("own"), json!([one("a", "linux", title("a"))])), Some("own"), None),
        (
            "of its platform",
            index(none(), json!([one("b", "linux", none()), one("a", "linux", title("a"))])),
            None,
            Some("b"),
        ),
        (
            "as the index tells them",
            index(Value::Null, json!([one("a", "linux", title("a"))])),
            Some("a"),
            None,
        ),
        (
            "not of an attestation",
            index(none(), json!([one("a", "unknown", title("a")), one("b", "windows", none())])),
            None,
            Some("b"),
        ),
        ("of no platform", index(none(), json!([])), None, None),
    ] {
        let read = read(&headers(INDEX, None), document.to_string().as_bytes()).unwrap();
        let found = read.manifest.annotations.get(keys::OCI_TITLE).map(String::as_str);
        assert_eq!(found, want, "{case}");
        let child_of = child.map(|digit| format!("sha256:{}", digit.repeat(64)));
        assert_eq!(read.child, child_of, "{case}");
    }
}

#[test]
fn the_configuration_is_read_where_no_annotation_tells_anything() {
    const OCI: &str = "application/vnd.oci.image.config.v1+json";
    const DOCKER: &str = "application/vnd.docker.container.image.v1+json";
    let digest = format!("sha256:{}", "c".repeat(64));
    let of = |kind: &str, annotations: Value| {
        let mut descriptor = json!({"mediaType": kind, "digest": digest});
        descriptor["annotations"] = annotations;
        descriptor
    };
    let title = || json!({"org.opencontainers.image.title": "of the config"});
    let own = json!({"org.opencontainers.image.revision": "abc"});
    let none = json!({"vendor.example/x": "1"});
    for (case, annotations, config, want) in [
        ("annotations", &own, of(OCI, title()), (Some("revision"), false)),
        ("those of its descriptor", &none, of(OCI, title()), (Some("title"), false)),
        ("neither", &none, of(OCI, Value::Null), (None, true)),
        ("neither, of Docker", &Value::Null, of(DOCKER, none.clone()), (None, true)),
        (
            "no image",
            &none,
            of("application/vnd.cncf.helm.config.v1+json", none.clone()),
            (None, false),
        ),
        ("no digest", &none, json!({"mediaType": OCI, "digest": "x"}), (None, false)),
    ] {
        let document = json!({"annotations": annotations, "config": config});
        let read = read(&headers(IMAGE, None), document.to_string().as_bytes()).unwrap();
        let mut known = read.manifest.annotations.keys();
        let known = known.next().and_then(|key| key.strip_prefix("org.opencontainers.image."));
        assert_eq!((known, read.config.is_some()), want, "{case}");
        assert!(read.config.is_none_or(|config| config == digest), "{case}");
    }
}

#[test]
fn labels_are_those_of_the_configuration_that_its_digest_names() {
    let body = |document: &Value| document.to_string().into_bytes();
    let labels_of = |labels: Value| body(&json!({"created": "x", "config": {"Labels": labels}}));
    let useful = json!({"org.opencontainers.image.revision": "abc", "maintainer": "me",
        "org.opencontainers.image.title": ""});
    for (case, body, want) in [
        ("labels", labels_of(useful), Ok(1)),
        ("none", labels_of(Value::Null), Ok(0)),
        ("nothing about a container", body(&json!({})), Ok(0)),
        ("no object", b"7".to_vec(), Err(Fault::Malformed("no configuration"))),
        ("no text", labels_of(json!({"a": 1})), Err(Fault::Malformed("no configuration"))),
    ] {
        let digest = format!("sha256:{}", hex(&Sha256::digest(&body), 64));
        assert_eq!(labels(&digest, &body).map(|labels| labels.len()), want, "{case}");
        let long = format!("sha512:{}", hex(&Sha512::digest(&body), 128));
        assert_eq!(labels(&long, &body).map(|labels| labels.len()), want, "{case}");
        let other = format!("sha256:{}", "0".repeat(64));
        assert_eq!(labels(&other, &body), Err(Fault::DigestMismatch), "{case}");
    }
}

#[test]
fn an_artifact_is_of_the_type_that_it_tells() {
    let config = json!({"mediaType": "application/vnd.config"});
    for (document, want) in [
        (json!({"artifactType": "application/vnd.mine", "config": config}), "application/vnd.mine"),
        (json!({"artifactType": "", "config": config}), "application/vnd.config"),
        (json!({}), IMAGE),
    ] {
        let read = read(&headers(IMAGE, None), document.to_string().as_bytes()).unwrap();
        assert_eq!(read.manifest.artifact_type, want, "{document}");
    }
    let long = json!({"annotations": {"org.opencontainers.image.title": "ü".repeat(9999)}});
    let read = read(&headers(IMAGE, None), long.to_string().as_bytes()).unwrap();
    assert_eq!(read.manifest.annotations[keys::OCI_TITLE].chars().count(), TEXT_MAX);
}
