//! The proxy between a client and the API server: what passes, and what does not.

use std::process::{Command, Stdio};
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use super::*;
use crate::support::cluster::Cluster;
use crate::support::install;
use crate::support::story::Story;
use crate::support::watch::Watch;

/// A client of the shipped ServiceAccount behind a proxy.
async fn behind(proxy: &Proxy) -> Client {
    let token = install::token().await;
    let file = json!({
        "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": proxy.url()}}],
        "users": [{"name": "a", "user": {"token": token}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    });
    let file = Kubeconfig::from_yaml(&file.to_string()).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
    Client::try_from(config).unwrap()
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "shop"}}})
}

#[tokio::test]
async fn watches_stream_through_it_and_a_kill_lets_nothing_pass() {
    let story = Story::begin("proxy", 60).await;
    let proxy = Proxy::listen("somebody").await;
    let client = behind(&proxy).await;
    let namespace = story.namespace().to_owned();
    let through = Cluster { client, namespace };
    let watch = Watch::open(&through, "Service").await;
    through.add(service("one")).await;
    let end = Instant::now() + Duration::from_secs(10);
    watch.until(end, "the Service is seen", |seen| seen.object["kind"] == "Service").await;
    assert_eq!(proxy.writes(0).len(), 1);

    for (moment, stays) in [(Moment::Before, false), (Moment::After, true)] {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let child = Arc::new(Mutex::new(child));
        proxy.revive();
        proxy.kill_at(Kill { at: 2, moment, child: Arc::clone(&child) });
        let name = format!("kept{stays}");
        through.add(service(&name)).await;
        let last = format!("last{stays}");
        let patch = json!({"metadata": {"labels": {"last": last.as_str()}}});
        let params = kube::api::PatchParams::default();
        let patch = kube::api::Patch::Merge(patch);
        let answer = through.api("Service").patch(&name, &params, &patch).await;
        assert!(answer.is_err(), "no reply comes back");
        proxy.killed(end).await;
        assert!(child.lock().unwrap().try_wait().unwrap().is_some());
        let after = story.cluster.get("Service", &name).await;
        assert_eq!(after["metadata"]["labels"]["last"] == last.as_str(), stays);
        let refused = through.api("Service").patch(&name, &params, &patch).await;
        assert!(refused.is_err(), "nothing passes until it is revived");
    }
}
