//! Registries that do not let everybody in: logins, certificates, proxies.

use serde_json::{Value, json};

use crate::stories::digest::push;
use crate::stories::registry::{reason, tags};
use crate::support::flux::{APPS, VARIABLE, applied, oci_repository, shown};
use crate::support::guard::{Authority, Guard, PASSWORD};
use crate::support::json::{hold_message, list, merged, text};
use crate::support::rig::rig;
use crate::support::shop::{image_policy, image_repository, named, quick, rollout, sourced};
use crate::support::story::{REQUESTED_AT, SHOP, Story, attempt_is};
use crate::support::tunnel::Tunnel;

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// A Secret with a login, as `kubectl create secret docker-registry` makes it.
fn secret(name: &str, login: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": login}})
}

/// Puts another text into a Secret.
async fn change(story: &Story, name: &str, key: &str, value: &str) {
    story.cluster.merge("Secret", name, json!({"stringData": {key: value}})).await;
}

/// Lets the controller read Secrets, as a tenant does it.
async fn grant(story: &Story, names: &[&str]) {
    grant_of(story, "secrets", names).await;
}

/// Lets the controller read objects of a resource.
async fn grant_of(story: &Story, resource: &str, names: &[&str]) {
    let account = "--serviceaccount=stairlock-system:stairlock";
    let resources = format!("--resource={resource}");
    let mut role = vec!["create", "role", resource, "--verb=get", &resources];
    let named: Vec<String> = names.iter().map(|name| format!("--resource-name={name}")).collect();
    role.extend(named.iter().map(String::as_str));
    story.kubectl(&role).await;
    let of = format!("--role={resource}");
    story.kubectl(&["create", "rolebinding", resource, &of, account]).await;
}

/// Waits until the digest of the release is missing, and why is told.
async fn missing(story: &Story, word: &str) -> Value {
    let told = |r: &Value| hold_message(r, "DigestUnknown").contains(word);
    story.until(&format!("the digest is not known: {word}"), told).await
}

#[tokio::test]
async fn the_digest_of_a_variable_is_asked_for_with_the_login_of_the_pods() {
    let story = Story::begin("login", 180).await;
    let guard = Guard::open(None).await;
    let first = push(&story, "1.0.0", "one").await;
    story.publish(APPS, "1.0.0", &shown()).await;
    story.cluster.add(oci_repository(&story, APPS, json!({"tag": "1.0.0"}))).await;
    story.cluster.add(applied(&story, APPS)).await;
    story.substitute("person", APPS, json!({VARIABLE: "1.0.0"})).await;
    story.cluster.add(secret("other", &json!({"auths": {}}).to_string())).await;
    story.cluster.add(secret("pull", &guard.login("wrong"))).await;
    let source = json!({"kind": "Kustomization", "name": APPS, "substitute": VARIABLE});
    let pulls = json!([{"name": "other"}, {"name": "pull"}]);
    let pinned = json!({"spec": {"sourceRef": source, "requireDigest": true,
        "template": {"spec": {"imagePullSecrets": pulls}}}});
    let shop = named(SHOP, &guard.image(&story, "0.9.0"), quick());
    story.cluster.add(merged(shop, &pinned)).await;
    let controller = story.controller().await;

    missing(&story, "grant its service account get on it by a Role").await;
    grant(&story, &["pull"]).await;
    missing(&story, "401").await;
    change(&story, "pull", ".dockerconfigjson", &guard.login(PASSWORD)).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), format!("{}@{first}", guard.image(&story, "1.0.0")));

    // A version whose image is not there yet is not taken, and nothing older in its place.
    story.substitute("person", APPS, json!({VARIABLE: "1.1.0"})).await;
    let held = missing(&story, "1.1.0").await;
    assert!(attempt_is(&held, 2), "{held}");
    let second = push(&story, "1.1.0", "two").await;
    let done = story.completed(3).await;
    assert_eq!(text(&done, IMAGE), format!("{}@{second}", guard.image(&story, "1.1.0")));
    assert_eq!(text(&done, "/status/stable/release/digest"), second);
    let secrets = |line: &String| line.contains("/secrets/");
    assert!(controller.forbidden().iter().all(secrets), "{:?}", controller.forbidden());
}

#[tokio::test]
async fn a_registry_behind_tls_is_listed_with_the_certificates_that_it_asks_for() {
    let story = Story::begin("certs", 180).await;
    let authority = Authority::make(&story).await;
    let guard = Guard::open(Some(&authority)).await;
    story.push("1.0.0").await;
    story.cluster.add(secret("pull", &guard.login(PASSWORD))).await;
    story.cluster.add(authority.secret("certs", &["ca.crt"])).await;
    grant(&story, &["pull", "certs"]).await;
    let registry = json!({"image": guard.repository(&story), "interval": "30s",
        "secretRef": {"name": "pull"}});
    let shop = named(SHOP, &guard.image(&story, "1.0.0"), quick());
    let follows = json!({"spec": {"registry": registry}});
    story.cluster.add(merged(shop, &follows)).await;
    let controller = story.controller().await;

    story.until("it is not trusted", |r| reason(r) == "RegistryFault").await;
    guard.unmet(&story, "UnknownCA").await;
    story.completed(1).await;
    let trusted = json!({"spec": {"registry": {"certSecretRef": {"name": "certs"}}}});
    story.cluster.merge("Rollout", SHOP, trusted).await;
    guard.unmet(&story, "peer sent no certificates").await;
    let whole = authority.secret("certs", &["ca.crt", "tls.crt", "tls.key"]);
    story.cluster.merge("Secret", "certs", json!({"stringData": whole["stringData"]})).await;
    story.until("it is listed", |r| reason(r).is_empty()).await;
    story.push("1.1.0").await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), guard.image(&story, "1.1.0"));
    assert_eq!(controller.forbidden(), [""; 0]);
}

/// An ImagePolicy of somebody who has the certificates: it shows 1.1.0, and nobody else writes it.
async fn policy(story: &Story, guard: &Guard) {
    let still = json!({"spec": {"suspend": true}});
    story.cluster.add(merged(image_policy(), &still)).await;
    let status = json!({"status": {
        "observedGeneration": 1,
        "latestRef": {"name": guard.repository(story), "tag": "1.1.0"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
            "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 1}],
    }});
    story.cluster.merge_status("ImagePolicy", SHOP, status).await;
}

#[tokio::test]
async fn an_image_repository_behind_tls_is_listed_with_its_login_and_certificates() {
    let story = Story::begin("behind", 150).await;
    let authority = Authority::make(&story).await;
    let guard = Guard::open(Some(&authority)).await;
    for tag in ["1.0.0", "1.0.5", "1.1.0"] {
        story.push_of(SHOP, tag).await;
    }
    story.cluster.add(secret("pull", &guard.login("wrong"))).await;
    story.cluster.add(authority.secret("certs", &["ca.crt", "tls.crt", "tls.key"])).await;
    grant(&story, &["pull", "certs"]).await;
    let way = json!({"spec": {"image": guard.repository(&story), "insecure": false,
        "suspend": true, "secretRef": {"name": "pull"}, "certSecretRef": {"name": "certs"}}});
    story.cluster.add(merged(image_repository(&story), &way)).await;
    policy(&story, &guard).await;
    story.cluster.add(sourced(named(SHOP, &guard.image(&story, "1.1.0"), quick()))).await;
    let controller = story.controller().await;

    let why = |r: &Value| reason(r) == "RegistryFault" && r.to_string().contains("HTTP 401");
    story.until("the login is wrong", why).await;
    change(&story, "pull", ".dockerconfigjson", &guard.login(PASSWORD)).await;
    let known = |r: &Value| tags(r, "/status/availableReleases") == ["1.0.0", "1.0.5", "1.1.0"];
    let listed = story.until("the registry is listed", known).await;
    assert_eq!(reason(&listed), "");
    let wanted = json!({"spec": {"wantedVersion": "1.0.5"}});
    story.cluster.merge("Rollout", SHOP, wanted).await;
    let done = story.completed(2).await;
    assert_eq!(text(&done, IMAGE), guard.image(&story, "1.0.5"));
    assert_eq!(controller.forbidden(), [""; 0]);
}

#[tokio::test]
async fn an_image_repository_is_listed_with_the_login_of_its_service_account() {
    let story = Story::begin("account", 180).await;
    let guard = Guard::open(None).await;
    for tag in ["1.0.0", "1.0.5", "1.1.0"] {
        story.push_of(SHOP, tag).await;
    }
    story.cluster.add(secret("other", &json!({"auths": {}}).to_string())).await;
    story.cluster.add(secret("pull", &guard.login("wrong"))).await;
    let pulls = json!([{"name": "other"}, {"name": "pull"}]);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "puller"}, "imagePullSecrets": pulls});
    story.cluster.add(account).await;
    let way = json!({"spec": {"image": guard.repository(&story), "suspend": true,
        "serviceAccountName": "puller"}});
    story.cluster.add(merged(image_repository(&story), &way)).await;
    policy(&story, &guard).await;
    story.cluster.add(sourced(named(SHOP, &guard.image(&story, "1.1.0"), quick()))).await;
    let controller = story.controller().await;
    let told = async |code: &str, word: &str| {
        let why = |r: &Value| reason(r) == code && r.to_string().contains(word);
        story.until(word, why).await;
    };

    let puller = format!("get ServiceAccount {}/puller; grant", story.namespace());
    told("Forbidden", &puller).await;
    grant_of(&story, "serviceaccounts", &["puller"]).await;
    told("Forbidden", &format!("get Secret {}/other; grant", story.namespace())).await;
    grant(&story, &["other", "pull"]).await;
    told("RegistryFault", "HTTP 401").await;
    change(&story, "pull", ".dockerconfigjson", &guard.login(PASSWORD)).await;
    let known = |r: &Value| tags(r, "/status/availableReleases") == ["1.0.0", "1.0.5", "1.1.0"];
    let listed = story.until("the registry is listed", known).await;
    assert_eq!(reason(&listed), "");
    let ours =
        |line: &String| line.contains("/serviceaccounts/puller") || line.contains("/secrets/");
    assert!(controller.forbidden().iter().all(ours), "{:?}", controller.forbidden());
}

#[tokio::test]
async fn an_image_repository_is_listed_through_the_proxy_that_it_names() {
    let story = Story::begin("tunnel", 150).await;
    let tunnel = Tunnel::open().await;
    for tag in ["1.0.0", "1.0.5", "1.1.0"] {
        story.push(tag).await;
    }
    let means = tunnel.means("wrong");
    story
        .cluster
        .add(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "proxy"},
            "stringData": means}))
        .await;
    grant(&story, &["proxy"]).await;
    let through = json!({"spec": {"proxySecretRef": {"name": "proxy"}}});
    story.cluster.add(merged(image_repository(&story), &through)).await;
    story.cluster.add(image_policy()).await;
    story.cluster.add(sourced(rollout(&story, "1.1.0", quick()))).await;
    let controller = story.controller().await;

    let told = story.until("the proxy lets nobody through", |r| reason(r) == "RegistryFault").await;
    assert_eq!(tags(&told, "/status/availableReleases"), ["1.1.0"], "what the policy shows");
    assert_eq!(tunnel.reached(), [""; 0]);

    change(&story, "proxy", "password", PASSWORD).await;
    let asked = json!({"metadata": {"annotations": {REQUESTED_AT: "now"}}});
    story.cluster.merge("ImagePolicy", SHOP, asked).await;
    let known = |r: &Value| tags(r, "/status/availableReleases") == ["1.0.0", "1.0.5", "1.1.0"];
    let listed = story.until("the registry is listed", known).await;
    assert_eq!(reason(&listed), "");
    let reached = tunnel.reached();
    assert!(!reached.is_empty() && reached.iter().all(|host| host == rig().registry()));
    assert_eq!(list(&listed, "/status/history").len(), 1);
    assert_eq!(controller.forbidden(), [""; 0]);
}
