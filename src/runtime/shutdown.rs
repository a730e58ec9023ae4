//! Tells everyone that the process has been asked to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

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
    /// Waits for the request. A trigger that is gone counts as one.
    pub async fn requested(&self) {
        // The error says that the trigger is gone.
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_request_is_heard_before_and_after_it_is_made() {
        let (trigger, shutdown) = pair();
        assert!(shutdown.requested().now_or_never().is_none(), "nothing was requested");
        trigger.request();
        shutdown.requested().await;
        shutdown.clone().requested().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_trigger_is_a_request() {
        let (trigger, shutdown) = pair();
        drop(trigger);
        shutdown.requested().await;
    }
}
