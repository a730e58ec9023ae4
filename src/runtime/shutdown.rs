//! Tells everyone that the process has been asked to end, and how long they have.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

/// How long work under way may go on: one call to the API server. With the release of the Lease
/// it stays well below the 30 s that a pod has.
pub const GRACE: Duration = Duration::from_secs(10);

/// Knows whether the process has been asked to end; cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Asks the process to end.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Trigger {
    /// Asks everyone who holds the [`Shutdown`] to end.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

/// Creates a shutdown that only its trigger requests.
pub fn pair() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

/// Creates a shutdown that SIGTERM and SIGINT request.
///
/// # Errors
/// The system's error if the signals cannot be listened to.
pub fn on_signals() -> io::Result<Shutdown> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (trigger, shutdown) = pair();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "ending");
        trigger.request();
        // The sender lives on: a dropped one would be a request too.
        trigger.0.closed().await;
    });
    Ok(shutdown)
}

impl Shutdown {
    /// Tells whether the end has been requested.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the request. A trigger that is gone counts as one.
    pub async fn requested(&self) {
        // The error says that the trigger is gone.
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }

    /// Lets `work` go on undisturbed, and for [`GRACE`] after the request, then drops it.
    /// Whatever is cut, the next turn repairs. Returns whether it came to its end.
    pub async fn drain(&self, work: impl Future<Output = ()>) -> bool {
        let over = async {
            self.requested().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            () = work => true,
            () = over => {
                warn!(grace_seconds = GRACE.as_secs(), "work under way was cut");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_until_the_grace_is_over() {
        let (trigger, shutdown) = pair();
        let work = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        assert!(shutdown.drain(work(9999)).await, "nothing was requested");
        assert!(!shutdown.is_requested());
        trigger.request();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
        assert!(shutdown.drain(work(9)).await, "done within the grace");
        assert!(!shutdown.drain(work(11)).await, "cut");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_trigger_is_a_request() {
        let (trigger, shutdown) = pair();
        drop(trigger);
        shutdown.requested().await;
    }
}
