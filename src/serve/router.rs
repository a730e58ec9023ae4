//! Maps paths to answers and serves them, within limits on what a peer may send and take.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

use crate::runtime::shutdown::Shutdown;
use crate::runtime::telemetry::Chain;
use crate::serve::probes::{self, Probes};

/// The head of a request: more than any probe or scraper sends. A body is never read, since no
/// answer here asks for one.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a peer may take to send the head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may live: one request, its answer read by a slow peer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections are served at once; others wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// The pause after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Returns what answers `/healthz`, `/readyz` and `/metrics`, all by GET.
pub fn router(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics))
        .with_state(probes)
}

/// Opens the port, so that a taken one ends the program before anything else begins.
///
/// # Errors
/// The system's error, e.g. that the address is in use.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves `router` until the end is requested; answers under way are finished or cut by their
/// own limits.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.requested() => return,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    answer(stream, router).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(error = %Chain(&error), "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Takes the next connection once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// Answers one request. No connection is kept alive: an idle one would hold a place.
async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error = %Chain(&error), "bad connection"),
        Err(_) => debug!("a connection was cut"),
    }
}

#[cfg(test)]
mod tests;
