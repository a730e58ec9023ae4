//! Real: the API server of the rig that this process runs in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::StreamExt;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::normal;
use super::play::{self, Lever};
use super::table::Sequence;

/// Sequences that are played at once.
const AT_ONCE: usize = 24;
/// A mark of sequences that need the controllers of the cluster.
const WITH_CONTROLLERS: &str = "@controllers";
/// A mark of sequences that disturb others.
const ALONE: &str = "@alone";

/// A rig, if this process runs in one.
pub struct Rig {
    state: PathBuf,
    vars: BTreeMap<String, String>,
}

impl Rig {
    pub fn find() -> Option<Self> {
        let state = PathBuf::from(std::env::var_os("STAIRLOCK_RIG")?);
        let text = std::fs::read_to_string(state.join("env")).unwrap();
        let vars = text.lines().filter_map(|line| line.split_once('='));
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let _ = rustls::crypto::ring::default_provider().install_default();
        Some(Self { state, vars })
    }

    async fn client(&self) -> Client {
        let file = Kubeconfig::read_from(&self.vars["KUBECONFIG"]).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(file, &options).await.unwrap();
        // An answer 504 is an answer.
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    fn kubectl(&self, args: &[&str]) {
        let kubectl = Path::new(&self.vars["BIN"]).join("kubectl");
        let mut command = Command::new(kubectl);
        command.env("KUBECONFIG", &self.vars["KUBECONFIG"]).env("HOME", &self.state);
        let output = command.args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// etcd, which forgets on demand.
struct Etcd<'a>(&'a Client, &'a Rig);

impl Lever for Etcd<'_> {
    async fn compact(&self) {
        let Self(client, rig) = self;
        let list = request(client, "GET", "/api/v1/namespaces/default/pods", &Value::Null).await;
        let revision = list["metadata"]["resourceVersion"].as_str().unwrap();
        let body = json!({"revision": revision, "physical": true}).to_string();
        let url = format!("{}/v3/kv/compaction", rig.vars["ETCD_URL"]);
        let sent = Command::new("curl").args(["-sf", "-d", &body, &url]).output().unwrap();
        assert!(sent.status.success(), "etcd did not forget: {sent:?}");
    }

    async fn catch_up(&self, path: &str) {
        let Self(client, _) = self;
        let list = request(client, "GET", &format!("{path}?limit=1"), &Value::Null).await;
        let Some(version) = list["metadata"]["resourceVersion"].as_str() else { return };
        let since = format!("resourceVersion={version}&resourceVersionMatch=NotOlderThan");
        request(client, "GET", &format!("{path}?{since}"), &Value::Null).await;
    }
}

/// The parts of a rig that write into objects of the table's kinds.
const CONTROLLERS: &[&str] = &["kube-controller-manager", "reflector", "gateway-acceptor"];

/// The controllers of the cluster, stopped while this is there: they would write into the
/// objects of the table.
struct Stopped(Vec<String>);

impl Stopped {
    fn stop(rig: &Rig) -> Self {
        let pid = |part: &&str| {
            let text = std::fs::read_to_string(rig.state.join("pids").join(part)).unwrap();
            text.split_whitespace().next().unwrap().to_owned()
        };
        let pids: Vec<String> = CONTROLLERS.iter().map(pid).collect();
        pids.iter().for_each(|pid| signal("-STOP", pid));
        Self(pids)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| signal("-CONT", pid));
    }
}

fn signal(signal: &str, pid: &str) {
    let sent = Command::new("kill").args([signal, pid]).status().unwrap();
    assert!(sent.success(), "kill {signal} {pid}");
}

/// A sequence: its place in the table, and its namespace.
type Space<'a> = (usize, &'a Sequence, String);

/// Plays all sequences. Their answers in the normal form.
pub async fn play(rig: &Rig, sequences: &[Sequence]) -> Vec<Vec<Value>> {
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/config/crd");
    rig.kubectl(&["apply", "--server-side", "--force-conflicts", "-k", crds]);
    let crd = "crd/rollouts.stairlock.dev";
    rig.kubectl(&["wait", "--for=condition=Established", "--timeout=20s", crd]);
    let client = rig.client().await;
    let spaces: Vec<Space<'_>> = sequences
        .iter()
        .enumerate()
        .map(|(at, sequence)| (at, sequence, format!("table-{}-{at}", std::process::id())))
        .collect();
    let (moving, still): (Vec<_>, Vec<_>) =
        spaces.iter().partition(|(_, sequence, _)| sequence.marks.contains(WITH_CONTROLLERS));
    // Pods cannot be made before a controller has made the ServiceAccount of their namespace.
    let (pods, rest): (Vec<_>, Vec<_>) = still.into_iter().partition(|(_, sequence, _)| {
        sequence.requests.iter().any(|request| request.target.starts_with("pods"))
    });
    let mut answers = vec![Vec::new(); sequences.len()];
    make_namespaces(&client, &moving).await;
    make_namespaces(&client, &pods).await;
    for (_, _, space) in &pods {
        until_pods_can_be(&client, space).await;
    }
    play_some(&client, rig, &moving, &mut answers).await;
    let stopped = Stopped::stop(rig);
    make_namespaces(&client, &rest).await;
    play_some(&client, rig, &pods, &mut answers).await;
    // What etcd is told to forget, others may need.
    let (alone, rest): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|(_, sequence, _)| sequence.marks.contains(ALONE));
    play_some(&client, rig, &rest, &mut answers).await;
    for one in &alone {
        play_some(&client, rig, std::slice::from_ref(one), &mut answers).await;
    }
    drop(stopped);
    answers
}

async fn play_some(client: &Client, rig: &Rig, spaces: &[&Space<'_>], answers: &mut [Vec<Value>]) {
    let played: Vec<(usize, Vec<Value>)> = futures::stream::iter(spaces)
        .map(|(at, sequence, space)| async move {
            let etcd = Etcd(client, rig);
            let answers = play::play(client, &etcd, space, sequence).await;
            (*at, normal::answers(sequence, space, &answers))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    played.into_iter().for_each(|(at, played)| answers[at] = played);
}

async fn make_namespaces(client: &Client, spaces: &[&Space<'_>]) {
    let make = async |(_, _, name): &&Space<'_>| {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        request(client, "POST", "/api/v1/namespaces", &body).await;
    };
    futures::stream::iter(spaces).for_each_concurrent(AT_ONCE, make).await;
}

async fn until_pods_can_be(client: &Client, name: &str) {
    let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
    for _ in 0..200 {
        if request(client, "GET", &account, &Value::Null).await["kind"] == "ServiceAccount" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} has no ServiceAccount");
}

async fn request(client: &Client, method: &str, path: &str, body: &Value) -> Value {
    let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
    let call = http::Request::builder().method(method).uri(path);
    let call = call.header("content-type", "application/json").body(Body::from(bytes)).unwrap();
    let reply = client.send(call).await.unwrap();
    let bytes = reply.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}
