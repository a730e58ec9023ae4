//! What the controller was told to do: flags, then `STAIRLOCK_*` variables, then what the pod
//! and KULTA's variables say, then defaults. Never read after start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::runtime::names;

/// A namespace that the controller lives in when nothing tells it another.
const NAMESPACE_DEFAULT: &str = "stairlock-system";
/// What is logged by default. kube's client is silenced: it writes whole bodies of replies that
/// it cannot read, and one line for every refused connection; our own lines say what failed.
const LOG_FILTER_DEFAULT: &str = "info,kube_client::client=off";
/// The variables that are read beside those of the flags.
const VARIABLES: [&str; 7] = [
    "KULTA_LEADER_ELECTION",
    "POD_NAME",
    "POD_NAMESPACE",
    "HOSTNAME",
    "RUST_LOG",
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
];

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One line of text, for people.
    Text,
}

/// Where the API server and our credentials are described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// This kubeconfig.
    File(PathBuf),
    /// The files of `KUBECONFIG`, else `~/.kube/config`.
    Default,
    /// The pod's service account.
    Pod,
}

/// A comma separated list of namespaces, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(BTreeSet<String>);

/// The flags of the controller as given; [`Flags::resolve`] makes [`Settings`] of them.
#[derive(clap::Args, Clone, Debug)]
pub struct Flags {
    /// Kubeconfig to use (default: KUBECONFIG, inside a cluster the pod's service account)
    #[arg(long, env = "STAIRLOCK_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Accept a kubeconfig that switches off the check of the server's certificate
    #[arg(long, env = "STAIRLOCK_INSECURE_KUBECONFIG_TLS")]
    insecure_kubeconfig_tls: bool,

    /// Accept a kubeconfig that runs a program to get credentials
    #[arg(long, env = "STAIRLOCK_INSECURE_KUBECONFIG_EXEC")]
    insecure_kubeconfig_exec: bool,

    /// Namespaces to watch, comma separated (empty: all), e.g. `prod,staging`
    #[arg(long, env = "STAIRLOCK_WATCH_NAMESPACES", value_name = "NAMES", default_value = "")]
    #[arg(value_parser = namespaces, hide_default_value = true)]
    watch_namespaces: Namespaces,

    /// Rollouts to watch, as `kubectl get -l` takes it (default: all), e.g. `shard in (a,b)`
    #[arg(long, env = "STAIRLOCK_WATCH_LABEL_SELECTOR", value_name = "SELECTOR")]
    #[arg(value_parser = selector)]
    watch_label_selector: Option<String>,

    /// Namespaces whose sources Rollouts of others may name, comma separated (empty: none)
    #[arg(long, env = "STAIRLOCK_ALLOW_CROSS_NAMESPACE_REFS", value_name = "NAMES")]
    #[arg(value_parser = namespaces, default_value = "", hide_default_value = true)]
    allow_cross_namespace_refs: Namespaces,

    /// Act only while holding the Lease (default: KULTA_LEADER_ELECTION, else inside a cluster)
    #[arg(long, env = "STAIRLOCK_LEADER_ELECTION", value_name = "true|false")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = switch)]
    leader_election: Option<bool>,

    /// Name of the Lease
    #[arg(long, env = "STAIRLOCK_LEASE_NAME", value_name = "NAME")]
    #[arg(value_parser = object, default_value = "stairlock-controller")]
    lease_name: String,

    /// Namespace of the Lease (default: POD_NAMESPACE, else stairlock-system)
    #[arg(long, env = "STAIRLOCK_LEASE_NAMESPACE", value_name = "NAME", value_parser = namespace)]
    lease_namespace: Option<String>,

    /// Who we are in the Lease; two processes must never share it (default: POD_NAME, else the
    /// hostname)
    #[arg(long, env = "STAIRLOCK_IDENTITY", value_name = "NAME", value_parser = identity)]
    identity: Option<String>,

    /// Where probes and metrics are served
    #[arg(long, env = "STAIRLOCK_BIND_ADDRESS", value_name = "IP:PORT")]
    #[arg(value_parser = address, default_value = "0.0.0.0:8080")]
    bind_address: SocketAddr,

    /// Rollouts reconciled at the same time, 1 to 256
    #[arg(long, env = "STAIRLOCK_CONCURRENCY", value_name = "COUNT", default_value = "32")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,

    /// How log lines look
    #[arg(long, env = "STAIRLOCK_LOG_FORMAT", value_name = "FORMAT", default_value = "json")]
    log_format: LogFormat,

    /// What is logged, in the syntax of RUST_LOG (default: RUST_LOG, else info)
    #[arg(long, env = "STAIRLOCK_LOG_FILTER", value_name = "FILTER", value_parser = filter)]
    log_filter: Option<String>,
}

/// What the controller was told to do, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the API server is described.
    pub access: Access,
    /// Whether a kubeconfig may switch off the check of the server's certificate.
    pub insecure_kubeconfig_tls: bool,
    /// Whether a kubeconfig may run a program.
    pub insecure_kubeconfig_exec: bool,
    /// Namespaces to watch; empty means all.
    pub watch_namespaces: BTreeSet<String>,
    /// Selector of the Rollouts to watch; absent means all.
    pub watch_label_selector: Option<String>,
    /// Namespaces whose sources may be named from other namespaces; empty means none.
    pub allow_cross_namespace_refs: BTreeSet<String>,
    /// Whether a Lease decides who acts.
    pub leader_election: bool,
    /// Name of the Lease.
    pub lease_name: String,
    /// Namespace of the Lease.
    pub lease_namespace: String,
    /// Who we are in the Lease.
    pub identity: String,
    /// Where probes and metrics are served.
    pub bind_address: SocketAddr,
    /// Rollouts reconciled at the same time, 1 to 256.
    pub concurrency: u16,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_filter: String,
}

/// What is wrong with the settings: the person who started the program must change them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A variable that is not one of the flags' has a value that cannot be used.
    #[error("invalid value '{value}' for {name}: {allowed}")]
    Variable {
        /// Name of the variable.
        name: &'static str,
        /// The value found.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// Nothing tells who we are.
    #[error("no identity for the Lease: set --identity (or POD_NAME)")]
    NoIdentity,
}

/// What the process finds around it, read once.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    variables: BTreeMap<&'static str, String>,
    hostname: Option<String>,
}

impl Surroundings {
    /// Reads the environment and the machine's name.
    pub fn read() -> Self {
        let find = |name: &&'static str| std::env::var(name).ok().map(|value| (*name, value));
        let variables = VARIABLES.iter().filter_map(find).collect();
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        Self { variables, hostname }
    }

    /// Returns a variable's value unless it is unset or empty.
    fn get(&self, name: &'static str) -> Option<String> {
        self.variables.get(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty())
    }

    /// Returns a variable's value as `parse` reads it.
    fn parsed<T>(&self, name: &'static str, parse: Parser<T>) -> Result<Option<T>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match parse(&value) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(allowed) => Err(Error::Variable { name, value, allowed }),
        }
    }

    fn in_cluster(&self) -> bool {
        self.get("KUBERNETES_SERVICE_HOST").is_some()
    }

    fn hostname(&self) -> Option<String> {
        let read = self.hostname.as_deref().map(str::trim).filter(|name| !name.is_empty());
        self.get("HOSTNAME").or_else(|| read.map(str::to_owned))
    }
}

type Parser<T> = fn(&str) -> Result<T, String>;

impl Flags {
    /// Fills what was not given from the surroundings and defaults.
    ///
    /// # Errors
    /// [`Error::Variable`] if a variable that is used has a value that cannot be;
    /// [`Error::NoIdentity`] if nothing tells who we are. Both end the program with code 2.
    pub fn resolve(self, around: &Surroundings) -> Result<Settings, Error> {
        let leader_election = match self.leader_election {
            Some(given) => given,
            None => around
                .parsed("KULTA_LEADER_ELECTION", switch)?
                .unwrap_or_else(|| around.in_cluster()),
        };
        let lease_namespace = match self.lease_namespace {
            Some(given) => given,
            None => around
                .parsed("POD_NAMESPACE", namespace)?
                .unwrap_or_else(|| NAMESPACE_DEFAULT.to_owned()),
        };
        let log_filter = match self.log_filter {
            Some(given) => given,
            None => {
                around.parsed("RUST_LOG", filter)?.unwrap_or_else(|| LOG_FILTER_DEFAULT.to_owned())
            }
        };
        let identity = self.identity.or_else(|| around.get("POD_NAME"));
        let identity = identity.or_else(|| around.hostname()).ok_or(Error::NoIdentity)?;
        Ok(Settings {
            access: access(self.kubeconfig, around),
            insecure_kubeconfig_tls: self.insecure_kubeconfig_tls,
            insecure_kubeconfig_exec: self.insecure_kubeconfig_exec,
            watch_namespaces: self.watch_namespaces.0,
            watch_label_selector: self.watch_label_selector,
            allow_cross_namespace_refs: self.allow_cross_namespace_refs.0,
            leader_election,
            lease_name: self.lease_name,
            lease_namespace,
            identity,
            bind_address: self.bind_address,
            concurrency: self.concurrency,
            log_format: self.log_format,
            log_filter,
        })
    }
}

fn access(given: Option<PathBuf>, around: &Surroundings) -> Access {
    match given {
        Some(file) => Access::File(file),
        None if around.get("KUBECONFIG").is_some() => Access::Default,
        None if around.in_cluster() => Access::Pod,
        None => Access::Default,
    }
}

fn namespaces(text: &str) -> Result<Namespaces, String> {
    if text.trim().is_empty() {
        return Ok(Namespaces::default());
    }
    text.split(',').map(|name| namespace(name.trim())).collect::<Result<_, _>>().map(Namespaces)
}

fn namespace(text: &str) -> Result<String, String> {
    names::label(text).map(|()| text.to_owned())
}

fn object(text: &str) -> Result<String, String> {
    names::object(text).map(|()| text.to_owned())
}

fn selector(text: &str) -> Result<String, String> {
    names::selector(text).map(|()| text.to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("allowed are true, 1, false and 0".to_owned()),
    }
}

fn identity(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("printable ASCII without spaces".to_owned()) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address and a port, e.g. 127.0.0.1:8080 or [::]:8080".to_owned())
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; a level or target=level, e.g. info,kube=debug")),
    }
}

#[cfg(test)]
mod tests;
