//! Controller: puts the program together and runs it until it is told to end.

use std::io;

use tokio::sync::oneshot;
use tracing::info;

use crate::controller::context::Parts;
use crate::controller::run::{self, End, Scope};
use crate::observe::reader::reader;
use crate::observe::stores::Reach;
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::runtime::leader::{self, Elector, Leadership};
use crate::runtime::metrics::Metrics;
use crate::runtime::pace::Pace;
use crate::runtime::settings::{self, Settings};
use crate::runtime::shutdown::{self, Shutdown};
use crate::runtime::{client, telemetry};
use crate::serve::probes::Probes;
use crate::serve::router;

/// Why the controller did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings cannot be used.
    #[error("the settings cannot be used")]
    Settings(#[from] settings::Error),
    /// Logs cannot be written.
    #[error("logs cannot be written")]
    Logs(#[from] telemetry::Error),
    /// The API server cannot be reached.
    #[error("there is no way to the API server")]
    Client(#[from] client::Error),
    /// The port of the probes cannot be opened, or signals cannot be heard.
    #[error("the system refuses")]
    System(#[from] io::Error),
    /// The watches or the election ended by a fault of the program; a restart is the only help.
    #[error("{0} ended by a fault of the program")]
    Broken(&'static str),
}

/// Runs the controller until SIGTERM or SIGINT. `pace`: what its thread rests by.
///
/// # Errors
/// [`Error`] if it cannot start.
pub async fn run(settings: Settings, pace: Pace) -> Result<(), Error> {
    telemetry::init(settings.log_format, &settings.log_filter)?;
    client::install_tls();
    let shutdown = shutdown::on_signals()?;
    let clock = Clock::system();
    let config = client::configure(&settings).await?;
    let (elector, leadership) = if settings.leader_election {
        let plain = client::open(config.clone(), clock.clone())?;
        let (elector, leadership) = leader::elect(plain, (&settings).into(), clock.clone());
        (Some(elector), leadership)
    } else {
        (None, Leadership::always(clock.clone()))
    };
    let client = client::open_fenced(config, clock.clone(), leadership.clone())?;
    let (metrics, health) = (Metrics::new(), Health::new(clock.clone()));
    let probes = Probes { health: health.clone(), metrics: metrics.clone() };
    let listener = router::bind(settings.bind_address).await?;
    let serving = router::serve(listener, router::router(probes), shutdown.clone());
    let identity = settings.identity.clone();
    let fetch = Some(reader(client.clone()));
    let parts = Parts { client, clock, leadership, metrics, health, identity, fetch, pace };
    #[cfg(feature = "planted")]
    tracing::warn!("{}", crate::planted::MARK);
    info!(version = env!("CARGO_PKG_VERSION"), address = %settings.bind_address, "started");
    tokio::spawn(serving);
    act(parts, scope(&settings), elector, shutdown).await
}

/// Runs turns beside the election. The lease is given back only once no write is under way; else it
/// runs out by itself.
async fn act(
    parts: Parts,
    scope: Scope,
    elector: Option<Elector>,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let (idle, release) = oneshot::channel::<()>();
    let mut election = tokio::spawn(async move {
        match elector {
            Some(elector) => elector.run(released(release)).await,
            None => released(release).await,
        }
    });
    let end = tokio::select! {
        end = run::run(parts, scope, shutdown) => end,
        _ = &mut election => return Err(Error::Broken("the election")),
    };
    info!(?end, "ended");
    match end {
        End::Blind => return Err(Error::Broken("the watches")),
        End::Cut => election.abort(),
        End::Idle => {
            // An error of either says that the election is over already.
            let _ = idle.send(());
            let _ = election.await;
        }
    }
    Ok(())
}

/// Waits until the lease may be given back; never, if that is not said.
async fn released(release: oneshot::Receiver<()>) {
    if release.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn scope(settings: &Settings) -> Scope {
    Scope {
        reach: Reach {
            namespaces: settings.watch_namespaces.clone(),
            shared: settings.allow_cross_namespace_refs.clone(),
            selected: settings.watch_label_selector.is_some(),
        },
        selector: settings.watch_label_selector.clone(),
        config: client::watch_config(),
        concurrency: usize::from(settings.concurrency),
    }
}
