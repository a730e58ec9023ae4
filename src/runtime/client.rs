//! Opens the connection to the API server, with deadlines of our own and no retries but ours.
//!
//! What kube 5 does by itself and what becomes of it here:
//! - an ordinary call has no deadline: [`Fence`] cuts it, reply included, after 10 s;
//! - 429, 503 and 504 are retried up to 15 times, for POST too, obeying any `Retry-After`:
//!   switched off, the reconcile loop backs off by itself;
//! - a watch is re-opened after 290 s, and one that went silent is noticed 5 s later:
//!   [`watch_config`] asks for 50 s, so a half-open watch is noticed after 55 s. A read timeout
//!   would not do: a quiet watch gets a bookmark only once a minute;
//! - hyper sends a request again only if a pooled connection closed before any of it was sent.

use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::{Client, ClientBuilder};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use tracing::warn;

use crate::runtime::clock::Clock;
use crate::runtime::fence::{CALL_TIMEOUT, Fence};
use crate::runtime::leader::Leadership;
use crate::runtime::settings::{Access, Settings};

/// How long a connection may take to open: name, TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After how many seconds the server ends a watch. kube takes a watch for dead 5 s later, so a
/// half-open one is noticed within a minute; the price is one request per kind and watch.
const WATCH_SECONDS: u32 = 50;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be read or used.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The pod has no usable service account.
    #[error("the pod's service account cannot be used")]
    Pod(#[from] kube::config::InClusterError),
    /// The kubeconfig switches off the check of the server's certificate.
    #[error("the kubeconfig sets insecure-skip-tls-verify; --insecure-kubeconfig-tls accepts it")]
    InsecureTls,
    /// The kubeconfig runs a program to get credentials.
    #[error("the kubeconfig runs a program for credentials; --insecure-kubeconfig-exec accepts it")]
    Exec,
    /// The client cannot be built from the configuration.
    #[error("the client cannot be built")]
    Build(#[source] Box<kube::Error>),
}

/// Installs ring as the process's TLS provider. Must run before the first client is opened; a
/// second call changes nothing.
pub fn install_tls() {
    // The only error is that a provider is installed already: then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Finds the API server and our credentials, and sets our limits.
///
/// # Errors
/// [`Error::Kubeconfig`] or [`Error::Pod`] if they cannot be read, [`Error::InsecureTls`] or
/// [`Error::Exec`] if the kubeconfig does what only a flag allows.
pub async fn configure(settings: &Settings) -> Result<Config, Error> {
    let options = KubeConfigOptions::default();
    let mut config = match &settings.access {
        Access::Pod => Config::incluster()?,
        Access::Default => Config::from_kubeconfig(&options).await?,
        Access::File(path) => {
            Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?
        }
    };
    check(&config, settings)?;
    limit(&mut config);
    Ok(config)
}

/// Refuses what weakens the connection or runs programs, unless a flag accepts it.
fn check(config: &Config, settings: &Settings) -> Result<(), Error> {
    // kube's `auth-provider` runs `cmd-path` of its configuration.
    let runs = config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some();
    match (config.accept_invalid_certs, settings.insecure_kubeconfig_tls) {
        (true, false) => return Err(Error::InsecureTls),
        (true, true) => warn!("the API server's certificate is not checked"),
        (false, _) => {}
    }
    match (runs, settings.insecure_kubeconfig_exec) {
        (true, false) => return Err(Error::Exec),
        (true, true) => warn!("the kubeconfig runs a program for credentials"),
        (false, _) => {}
    }
    Ok(())
}

fn limit(config: &mut Config) {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(CALL_TIMEOUT);
    config.read_timeout = None;
    config.default_retry = false;
    let agent = concat!("stairlock/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
}

/// Opens a client whose writes are not fenced: for the elector, which must write to lead.
///
/// # Errors
/// [`Error::Build`] if certificates or keys of the configuration cannot be used.
pub fn open(config: Config, clock: Clock) -> Result<Client, Error> {
    build(config, &Fence::deadlines(clock))
}

/// Opens a client that writes only while `leadership` allows it: for everything else. A write
/// that it refuses fails with [`Stop::NotLeading`](crate::runtime::fence::Stop).
///
/// # Errors
/// [`Error::Build`] if certificates or keys of the configuration cannot be used.
pub fn open_fenced(config: Config, clock: Clock, leadership: Leadership) -> Result<Client, Error> {
    build(config, &Fence::leading(clock, leadership))
}

fn build(config: Config, fence: &Fence) -> Result<Client, Error> {
    let builder = ClientBuilder::try_from(config).map_err(|error| Error::Build(Box::new(error)))?;
    Ok(builder.with_layer(fence).build())
}

/// Returns how every watch has to be configured: selectors and strategy are the caller's.
pub fn watch_config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

#[cfg(test)]
mod tests;
