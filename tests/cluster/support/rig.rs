//! The rig: where the cluster is and how it is reached. Started by `tests/rig/rig.sh`, not here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::LazyLock;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What to do where there is none.
const ABSENT: &str = "no rig: run `make test` (or `make cluster`), or by hand \
    `tests/rig/rig.sh up` and `tests/rig/rig.sh run cargo test --test cluster`";

static RIG: LazyLock<Rig> = LazyLock::new(Rig::read);

/// The rig that this process runs in.
pub struct Rig {
    state: PathBuf,
    vars: BTreeMap<String, String>,
}

/// The rig; fails with what to do where there is none.
pub fn rig() -> &'static Rig {
    &RIG
}

impl Rig {
    fn read() -> Self {
        let state = PathBuf::from(std::env::var_os("STAIRLOCK_RIG").expect(ABSENT));
        let text = std::fs::read_to_string(state.join("env")).expect(ABSENT);
        let vars = text.lines().filter_map(|line| line.split_once('='));
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { state, vars }
    }

    /// A variable of the rig, empty where it has none.
    pub fn var(&self, name: &str) -> &str {
        self.vars.get(name).map_or("", String::as_str)
    }

    /// A folder of ours in the rig's state, made when it is asked for.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.state.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// The host and port of the registry.
    pub fn registry(&self) -> &str {
        self.var("REGISTRY")
    }

    /// Whether pods are real and a data plane serves the routes.
    pub fn real_traffic(&self) -> bool {
        self.var("REAL_NODE") == "1" && !self.var("GATEWAY_URL").is_empty()
    }

    /// A program of the rig, with admin rights where it speaks to the cluster.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(Path::new(self.var("BIN")).join(name));
        command.env("KUBECONFIG", self.var("KUBECONFIG")).env("HOME", self.folder("home"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Has crane do something in the rig's registry; tells what it printed.
    pub async fn crane(&self, verb: &str, args: &[&str]) -> String {
        let mut crane = self.program("crane");
        let done = crane.args([verb, "--insecure"]).args(args).output().await.unwrap();
        succeeded(&format!("crane {verb}"), done).trim().to_owned()
    }

    /// Runs kubectl as admin.
    pub async fn kubectl(&self, args: &[&str]) -> Output {
        self.program("kubectl").args(args).output().await.unwrap()
    }

    /// Runs kubectl as admin with a text on its standard input.
    pub async fn kubectl_with(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.program("kubectl");
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        child.wait_with_output().await.unwrap()
    }

    /// A client with admin rights, which belongs to the runtime that asks for it.
    pub async fn client(&self) -> Client {
        self.client_as(None).await
    }

    /// A client of a user, who may do what is granted to that name.
    pub async fn client_as(&self, user: Option<&str>) -> Client {
        let mut file = Kubeconfig::read_from(self.var("KUBECONFIG")).unwrap();
        for named in &mut file.auth_infos {
            named.auth_info.as_mut().unwrap().impersonate = user.map(str::to_owned);
        }
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(file, &options).await.unwrap();
        Client::try_from(config).unwrap()
    }
}

/// The standard output of a program that has to succeed.
pub fn succeeded(what: &str, output: Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed: {}\n{stdout}{stderr}", output.status);
    stdout
}
