//! The proxy between a client and the API server: what passes, and what does not.

use std::process::{Command, Stdio};
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use super::*;
use crate::support::cluster::Cluster;
use crate::support::install;
use crate::support::process::Process;
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

/// A process that does nothing for long.
fn sleeper() -> Arc<Mutex<Process>> {
    let mut sleep = Command::new("sleep");
    sleep.arg("600").stdin(Stdio::null());
    Arc::new(Mutex::new(Process::start(sleep)))
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
        let process = sleeper();
        proxy.revive();
        proxy.kill_at(Kill { at: 2, moment, process: Arc::clone(&process) });
        let name = format!("kept{stays}");
        through.add(service(&name)).await;
        let last = format!("last{stays}");
        let patch = json!({"metadata": {"labels": {"last": last.as_str()}}});
        let params = kube::api::PatchParams::default();
        let patch = kube::api::Patch::Merge(patch);
        let answer = through.api("Service").patch(&name, &params, &patch).await;
        assert!(answer.is_err(), "no reply comes back");
        proxy.killed(end).await;
        assert!(process.lock().unwrap().ended());
        let after = story.cluster.get("Service", &name).await;
        assert_eq!(after["metadata"]["labels"]["last"] == last.as_str(), stays);
        let refused = through.api("Service").patch(&name, &params, &patch).await;
        assert!(refused.is_err(), "nothing passes until it is revived");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_kill_waits_for_the_end_of_the_process() {
    let story = Story::begin("killed", 60).await;
    let proxy = Proxy::listen("somebody").await;
    let namespace = story.namespace().to_owned();
    let through = Cluster { client: behind(&proxy).await, namespace };
    let process = sleeper();
    proxy.disturb(Rule::nth(1, Fault::Overtaken(1)));
    proxy.kill_at(Kill { at: 1, moment: Moment::After, process: Arc::clone(&process) });
    let params = kube::api::PostParams::default();
    let (services, one) = (through.api("Service"), service("one"));
    let one = serde_json::from_value(one).unwrap();
    let write = tokio::spawn(async move { services.create(&params, &one).await.is_err() });
    while proxy.calls().is_empty() {
        tokio::task::yield_now().await; // until it has come and is held
    }

    let end = Instant::now() + Duration::from_secs(10);
    let waits = async {
        proxy.killed(end).await;
        assert!(process.lock().unwrap().ended(), "it runs still");
    };
    tokio::join!(waits, async { proxy.step() });
    assert!(write.await.unwrap(), "no reply comes back");
    assert!(story.cluster.find("Service", "one").await.is_some(), "it was carried out");
}
