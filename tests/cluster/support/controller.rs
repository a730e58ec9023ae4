//! The program as a process: with the shipped ServiceAccount, behind a proxy of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::install;
use super::process::{Process, signal};
use super::proxy::ledger::Word;
use super::proxy::{Kill, Moment, Proxy};
use super::rig::rig;

/// Lines of its log that a failed story prints.
const LOG_LINES: usize = 60;

/// A controller.
pub struct Controller {
    pub proxy: Proxy,
    name: String,
    kubeconfig: PathBuf,
    log: PathBuf,
    flags: Vec<String>,
    process: Arc<Mutex<Process>>,
}

impl Controller {
    /// Starts one; `name` tells it from every other of the run.
    pub async fn start(name: &str, flags: &[String]) -> Self {
        let proxy = Proxy::listen(name).await;
        let token = install::token().await;
        let kubeconfig = rig().folder("stories").join(format!("{name}.kubeconfig"));
        let file = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "story",
            "clusters": [{"name": "story", "cluster": {"server": proxy.url()}}],
            "users": [{"name": "story", "user": {"token": token}}],
            "contexts": [{"name": "story", "context": {"cluster": "story", "user": "story"}}],
        });
        std::fs::write(&kubeconfig, file.to_string()).unwrap();
        let log = rig().folder("logs/stories").join(format!("{name}.log"));
        let flags = flags.to_vec();
        let has = |what: &str| flags.iter().any(|flag| flag.starts_with(what));
        let abroad = has("--allow-cross-namespace-refs=");
        proxy.note(Word::Begun { abroad, whole: !has("--watch-namespaces=") });
        let process = Arc::new(Mutex::new(start(name, &kubeconfig, &log, &flags)));
        Self { proxy, name: name.to_owned(), kubeconfig, log, flags, process }
    }

    /// Has the proxy end it at a write, counted from here.
    pub fn kill_at(&self, at: usize, moment: Moment) {
        self.proxy.kill_at(Kill { at, moment, process: Arc::clone(&self.process) });
    }

    /// Ends it with SIGKILL.
    pub fn kill(&self) {
        self.proxy.note(Word::Crashed);
        self.process.lock().unwrap().kill();
    }

    /// Starts it again after its end, behind the same proxy.
    pub fn restart(&self) {
        self.proxy.revive();
        self.start_again();
    }

    /// Starts it again after [`Self::kill`]; where it is to be ended stays.
    pub fn start_again(&self) {
        let mut process = self.process.lock().unwrap();
        assert!(process.ended(), "{} runs still", self.name);
        *process = start(&self.name, &self.kubeconfig, &self.log, &self.flags);
    }

    /// Sends SIGTERM and waits for its end.
    pub async fn terminate(&self, end: Instant) -> ExitStatus {
        self.proxy.note(Word::Told);
        let id = self.process.lock().unwrap().id();
        signal(id, "TERM");
        let process = Arc::clone(&self.process);
        let ended = tokio::task::spawn_blocking(move || process.lock().unwrap().wait());
        let ended = timeout_at(end, ended).await;
        if ended.is_err() {
            signal(id, "KILL"); // else it would be waited for without an end
        }
        ended.expect("the controller does not end after SIGTERM").unwrap()
    }

    /// Requests that its Roles do not allow.
    pub fn forbidden(&self) -> Vec<String> {
        let calls = self.proxy.calls().into_iter();
        calls.filter(|call| call.status == 403).map(|call| call.line()).collect()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // A poisoned lock is no reason to leave a process behind.
        self.process.lock().unwrap_or_else(PoisonError::into_inner).kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
            let writes: Vec<String> = self.proxy.writes(0).iter().map(|c| c.line()).collect();
            let name = &self.name;
            eprintln!("writes of controller {name}:\n{}", writes.join("\n"));
            eprintln!("log of controller {name}:\n{}", tail.join("\n"));
        }
    }
}

fn start(name: &str, kubeconfig: &Path, log: &Path, flags: &[String]) -> Process {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stairlock"));
    command
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--identity={name}"))
        .arg("--bind-address=127.0.0.1:0")
        .args(flags)
        .env_clear()
        .env("RUST_BACKTRACE", "1")
        .env("RUST_LOG", std::env::var("STORY_LOG").unwrap_or_else(|_| "info".to_owned()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    Process::start(command)
}
