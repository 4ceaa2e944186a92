//! One signal that tells every task to finish what it holds and take nothing new.
//!
//! It comes from SIGTERM, SIGINT or by hand, comes once, and is never taken back. Work in hand gets a
//! bounded time to drain: a program that cannot stop is as bad as one that cannot start.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};
use tracing::{error, info};

/// The signal, to be cloned into every task.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: Arc<watch::Sender<bool>>,
    drain: Duration,
}

/// Work was still in hand when the time to drain ran out. What was not settled comes again after the restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("work was still in hand when the time to drain ran out")]
pub struct DrainOverrun;

impl Shutdown {
    /// A shutdown that somebody requests by hand; `drain` is the time that work in hand gets.
    pub fn by_hand(drain: Duration) -> Shutdown {
        Shutdown { requested: Arc::new(watch::Sender::new(false)), drain }
    }

    /// A shutdown that SIGTERM and SIGINT request. Must be called inside the runtime.
    pub fn on_signals(drain: Duration) -> io::Result<Shutdown> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Shutdown::by_hand(drain);
        let requester = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => info!("asked to stop by SIGTERM; finishing what is in hand"),
                _ = interrupt.recv() => info!("asked to stop by SIGINT; finishing what is in hand"),
            }
            requester.request();
            // A second signal is somebody who has decided not to wait. What is not settled is redelivered.
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
            error!("asked to stop twice; leaving at once");
            std::process::exit(1);
        });
        Ok(shutdown)
    }

    /// Asks every holder of this signal to stop.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Whether the stop was requested.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until the stop is requested.
    pub async fn requested(&self) {
        // The sender lives in self, so the only way out of this wait is the request.
        let _ = self.requested.subscribe().wait_for(|requested| *requested).await;
    }

    /// The time that work in hand gets after the request.
    pub fn drain(&self) -> Duration {
        self.drain
    }

    /// Runs `work` to its end, but once the stop is requested no longer than the time to drain.
    pub async fn drained<F: Future>(&self, work: F) -> Result<F::Output, DrainOverrun> {
        let overrun = async {
            self.requested().await;
            sleep(self.drain).await;
        };
        tokio::select! {
            done = work => Ok(done),
            () = overrun => Err(DrainOverrun),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn everyone_who_waits_hears_the_request_also_those_who_ask_late() {
        let shutdown = Shutdown::by_hand(Duration::from_secs(1));
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        shutdown.request();
        waiting.await.expect("the waiting task hears it");
        shutdown.requested().await;
    }

    #[tokio::test]
    async fn work_is_not_hurried_before_the_request_and_ends_with_the_drain_after_it() {
        let shutdown = Shutdown::by_hand(Duration::from_millis(10));
        assert_eq!(shutdown.drained(async { 7 }).await, Ok(7));
        shutdown.request();
        assert_eq!(shutdown.drained(pending::<()>()).await, Err(DrainOverrun));
    }
}
