//! Backstage: threads for what has to go on whatever a story does, proxies and histories.
//!
//! A test has one thread. What is timed or has to come to an end while that thread works, or waits
//! at the end of a story where nothing can be awaited, runs here.

use std::future::Future;
use std::sync::{LazyLock, mpsc};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// Begins something.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    RUNTIME.spawn(work)
}

/// Does something to its end and blocks the thread meanwhile; `None` if it failed.
pub fn block<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (tell, hear) = mpsc::channel();
    RUNTIME.spawn(async move {
        let _ = tell.send(work.await);
    });
    hear.recv().ok()
}
