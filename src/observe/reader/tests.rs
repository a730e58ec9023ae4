use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// A client of an API server that has these objects, by the end of their path; others are denied.
fn client(objects: Vec<(&'static str, Value)>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        let found = objects.iter().find(|(end, _)| path.ends_with(end));
        let (code, body) = match found {
            Some((_, Value::Null)) => (404, failure(404)),
            Some((_, object)) => (200, object.clone()),
            None => (403, failure(403)),
        };
        let body = Body::from(serde_json::to_vec(&body).unwrap());
        let reply = Response::builder().status(code).body(body).unwrap();
        std::future::ready(Ok::<_, std::convert::Infallible>(reply))
    });
    Client::new(service, "default")
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": if code == 404 { "NotFound" } else { "Forbidden" }, "message": "x"})
}

fn repository(spec: Value) -> (&'static str, Value) {
    let object = json!({"apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImageRepository",
        "metadata": {"name": "shop", "namespace": "flux"}, "spec": spec});
    ("/v1/namespaces/flux/imagerepositories/shop", object)
}

/// Asks for the tags of a repository.
fn listing(subject: Subject) -> Ask {
    let (namespaces, last, tags) = Default::default();
    Ask { number: 1, subject, namespaces, last, list: true, tags }
}

async fn said(objects: Vec<(&'static str, Value)>) -> String {
    let tags = BTreeMap::from([("1.0.0".to_owned(), None)]);
    let subject = Subject::Repository(Key::new("flux", "shop"));
    let namespaces = ["flux".to_owned()].into();
    let ask = Ask { namespaces, tags, ..listing(subject) };
    let fetched = read(&client(objects), &ask).await;
    let manifest = fetched.manifests["1.0.0"].as_ref().unwrap_err();
    let reason = if manifest.reason == "SourceMissing" { "nothing" } else { manifest.reason };
    assert_eq!(manifest.passing, fetched.again);
    match fetched.reading {
        None => format!("{reason} {}", fetched.again),
        Some(Reading::Tags { tags, truncated }) => format!("{tags:?} {truncated}"),
        Some(Reading::Unread { why, .. }) => {
            assert_eq!(manifest.why, why, "the manifests are not known for the same reason");
            format!("{reason} {}: {why}", fetched.again)
        }
    }
}

#[tokio::test]
async fn what_keeps_a_repository_from_being_listed_is_told() {
    let image = json!({"image": "registry.example/shop", "insecure": true});
    let with = |key: &str, value: Value| {
        let mut spec = image.clone();
        json_patch::merge(&mut spec, &json!({key: value}));
        repository(spec)
    };
    let none = vec![("/imagerepositories/shop", Value::Null)];
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "sa"}, "imagePullSecrets": [{"name": "pull"}]});
    for (case, objects, want) in [
        ("none", none, "nothing false"),
        (
            "forbidden",
            vec![],
            "Forbidden true: the controller may not get ImageRepository flux/shop",
        ),
        (
            "a cloud",
            vec![with("provider", json!("aws"))],
            "Unsupported false: spec.provider of the ImageRepository is \"aws\", which is not \
            supported here; allowed: generic",
        ),
        (
            "the Secret of a proxy that may not be read",
            vec![with("proxySecretRef", json!({"name": "p"}))],
            "Forbidden true: the controller may not get Secret flux/p",
        ),
        (
            "a proxy without an address",
            vec![
                with("proxySecretRef", json!({"name": "p"})),
                ("/secrets/p", json!({"metadata": {"name": "p"}, "data": {}})),
            ],
            "RegistryFault true: the registry cannot be reached: address of the Secret of the",
        ),
        (
            "a Secret that may not be read",
            vec![with("secretRef", json!({"name": "pull"}))],
            "Forbidden true: the controller may not get Secret flux/pull; grant",
        ),
        (
            "a Secret that is not there",
            vec![with("secretRef", json!({"name": "pull"})), ("/secrets/pull", Value::Null)],
            "SecretMissing true: Secret flux/pull",
        ),
        (
            "a certificate that may not be read",
            vec![with("certSecretRef", json!({"name": "ca"}))],
            "Forbidden true: the controller may not get Secret flux/ca",
        ),
        (
            "the Secret of an account",
            vec![with("serviceAccountName", json!("sa")), ("/serviceaccounts/sa", account)],
            "Forbidden true: the controller may not get Secret flux/pull",
        ),
    ] {
        let got = said(objects).await;
        assert!(got.starts_with(want), "{case}: {got}");
    }
}

#[tokio::test]
async fn a_repository_of_another_namespace_is_told_to_those_that_it_lets_in() {
    let selects = |labels: Value| json!({"namespaceSelectors": [{"matchLabels": labels}]});
    let labelled = json!({"apiVersion": "v1", "kind": "NamespaceList", "metadata": {},
        "items": [{"metadata": {"name": "team", "labels": {"tenant": "web", "a": "b"}}}]});
    for (case, access, may_list, want) in [
        ("no word", Value::Null, true, Some("has no accessFrom")),
        ("nobody", json!({"namespaceSelectors": []}), true, Some("does not select")),
        ("all", selects(json!({})), true, None),
        ("its label", selects(json!({"tenant": "web"})), true, None),
        ("another value", selects(json!({"tenant": "shop"})), true, Some("does not select")),
        ("one of two labels", selects(json!({"tenant": "web", "c": "d"})), true, Some("does not")),
        ("its labels may not be read", selects(json!({})), false, Some("may not list namespaces")),
    ] {
        let image = json!({"image": "registry.example/shop", "provider": "aws"});
        let mut objects = vec![repository(fixture(&image, &json!({"accessFrom": access})))];
        objects.extend(may_list.then(|| ("/api/v1/namespaces", labelled.clone())));
        let subject = Subject::Repository(Key::new("flux", "shop"));
        let namespaces = ["flux".to_owned(), "team".to_owned()].into();
        let ask = Ask { namespaces, ..listing(subject) };
        let fetched = read(&client(objects), &ask).await;
        assert!(matches!(fetched.reading, Some(Reading::Unread { reason: "Unsupported", .. })));
        assert_eq!(fetched.again, want.is_some(), "{case}: labels may change");
        let denied: Vec<_> = fetched.denied.into_iter().collect();
        match (want, denied.as_slice()) {
            (None, []) => {}
            (Some(part), [(namespace, why)]) => {
                assert_eq!(namespace, "team", "{case}");
                assert!(why.contains(part) && why.contains("flux/shop"), "{case}: {why}");
            }
            _ => panic!("{case}: {denied:?}"),
        }
    }
}

fn fixture(base: &Value, patch: &Value) -> Value {
    let mut value = base.clone();
    json_patch::merge(&mut value, patch);
    value
}

#[tokio::test]
async fn the_secrets_that_a_rollout_names_are_its_own() {
    let key = |name: &str| Key::new("prod", name);
    let named = |secrets, cert| Named {
        image: "registry.example/shop".to_owned(),
        insecure: false,
        secrets,
        cert,
    };
    for (case, named, want) in [
        ("a login", named(vec![key("pull")], None), "may not get Secret prod/pull; grant"),
        (
            "neither of two logins",
            named(vec![key("pull"), key("other")], None),
            "may not get Secret prod/pull; grant",
        ),
        ("certificates", named(vec![], Some(key("ca"))), "may not get Secret prod/ca; grant"),
    ] {
        let subject = Subject::Registry(named);
        let ask = listing(subject);
        let fetched = read(&client(vec![]), &ask).await;
        let Some(Reading::Unread { reason: "Forbidden", why }) = fetched.reading else { panic!() };
        assert!(why.contains(want), "{case}: {why}");
    }
}

#[test]
fn a_login_is_found_by_the_host() {
    let config = json!({"auths": {
        "https://index.docker.io/v1/": {"auth": "YTpi"},
        "ghcr.io": {"username": "me", "password": "it"},
        "other.example/team": {"auth": "Yzpk"},
        "broken.example": {"auth": "?"},
    }});
    let data = Filled::from([(".dockerconfigjson".to_owned(), config.to_string().into_bytes())]);
    for (host, want) in [
        ("docker.io", Some(("a", "b"))),
        ("registry-1.docker.io", Some(("a", "b"))),
        ("ghcr.io", Some(("me", "it"))),
        ("other.example", Some(("c", "d"))),
        ("broken.example", None),
        ("evil.example", None),
    ] {
        let login = docker_login(&data, host);
        let got = login.as_ref().map(|login| (login.user.as_str(), login.password.as_str()));
        assert_eq!(got, want, "{host}");
    }
    assert_eq!(docker_login(&Filled::new(), "ghcr.io"), None);
}

#[tokio::test]
async fn an_older_version_is_asked_for_only_where_a_newer_one_is_not_served() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let answer = |served: &'static str, there: bool| {
        let asked = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            let version = request.uri().path().split('/').nth(3).unwrap_or_default().to_owned();
            let object = repository(json!({"image": "registry.example/shop"})).1;
            let (code, body) = match (version == served, there) {
                (false, _) => (404, "404 page not found\n".to_owned()),
                (true, false) => (404, failure(404).to_string()),
                (true, true) => (200, object.to_string()),
            };
            asked.lock().unwrap().push(version);
            let reply = Response::builder().status(code).body(Body::from(body.into_bytes()));
            std::future::ready(Ok::<_, std::convert::Infallible>(reply.unwrap()))
        });
        Client::new(service, "default")
    };
    for (case, served, there, want, found) in [
        ("the newest", "v1", true, 1, true),
        ("the newest has none", "v1", false, 1, false),
        ("an older one", "v1beta2", true, 2, true),
        ("an older one has none", "v1beta2", false, 2, false),
        ("not installed", "", false, 3, false),
    ] {
        let told = repository_of(&answer(served, there)).await;
        assert_eq!(told, found, "{case}");
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), VERSIONS[..want], "{case}");
    }
}

async fn repository_of(client: &Client) -> bool {
    let found = super::repository(client, &Key::new("flux", "shop")).await;
    found.ok().flatten().is_some_and(|found| found.image == "registry.example/shop")
}
