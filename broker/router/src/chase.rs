//! Chase: wake the cases whose time has come. What the time means is the core's to say; when it comes is read
//! from the ledger, so a restart forgets nothing.

use std::time::Duration;

use referral::case::Event;
use tokio::sync::mpsc;
use transport::clock::Clock;
use transport::shutdown::Shutdown;

use crate::meters::Meters;
use crate::record::Ledger;
use crate::roads;

/// How often the clocks are looked at. They are counted in hours and days.
const LOOK: Duration = Duration::from_secs(5);

/// How many cases are woken at once.
const WAKE_MAX: usize = 256;

/// Looks at the clocks until shutdown is requested, and counts for the gauges while it is there.
pub async fn chase<L: Ledger>(
    ledger: L,
    clock: Clock,
    meters: Meters,
    wake: mpsc::Sender<(referral::ReferralId, Event)>,
    shutdown: Shutdown,
) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => return,
            _ = look.tick() => {}
        }
        let now = clock.now();
        match ledger.overdue(now, WAKE_MAX).await {
            Ok(overdue) => {
                for referral in overdue {
                    if wake.send((roads::referral_id(referral), Event::Woken)).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                meters.ledger_failed();
                tracing::error!("the ledger could not say which clocks ran out; it is asked again: {error}");
            }
        }
        if let Ok(counts) = ledger.counts().await {
            meters.counted(&counts, now);
        }
    }
}
