//! Chase: wake the cases whose time has come, and those about which the directory answers otherwise than it did. What
//! the time means is the core's to say; when it comes is read from the ledger, so a restart forgets nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use referral::ReferralId;
use referral::case::{Case, Event};
use referral::time::london_date;
use tokio::sync::mpsc;
use transport::clock::Clock;
use transport::shutdown::Shutdown;

use crate::meters::Meters;
use crate::record::{Ledger, LedgerError};
use crate::roads;
use crate::rules::{InForce, Rules};

/// How often the clocks are looked at. They are counted in hours and days.
const LOOK: Duration = Duration::from_secs(5);

/// How many cases are woken at once.
const WAKE_MAX: usize = 256;

/// Wakes cases.
pub struct Chaser<L> {
    /// What was recorded.
    pub ledger: L,
    /// The rules, for their directory.
    pub rules: Rules,
    /// What the time is.
    pub clock: Clock,
    /// What operators see.
    pub meters: Meters,
    /// To whoever decides.
    pub wake: mpsc::Sender<(ReferralId, Event)>,
}

/// Whoever decides has stopped, as the broker does.
struct Stopped;

impl<L: Ledger> Chaser<L> {
    /// Looks until shutdown is requested, and counts for the gauges while it is there.
    pub async fn run(self, shutdown: Shutdown) {
        let mut look = tokio::time::interval(LOOK);
        let mut seen = None;
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                _ = look.tick() => {}
            }
            if self.look(&mut seen).await.is_err() {
                return;
            }
        }
    }

    async fn look(&self, seen: &mut Option<(Date, Arc<InForce>)>) -> Result<(), Stopped> {
        let now = self.clock.now();
        match self.ledger.overdue(now, WAKE_MAX).await {
            Ok(overdue) => {
                for referral in overdue {
                    self.send(roads::referral_id(referral), Event::Woken).await?;
                }
            }
            Err(error) => self.not_now("which clocks ran out", &error),
        }
        // The directory answers otherwise on another day, or when it was replaced: what was replaced is not asked.
        let (today, in_force) = (london_date(now), self.rules.now());
        let is_new = seen.as_ref().is_none_or(|(day, before)| *day != today || !Arc::ptr_eq(before, &in_force));
        if is_new {
            match self.look_again(today, &in_force).await {
                Ok(sent) => {
                    sent?;
                    *seen = Some((today, in_force));
                }
                Err(error) => self.not_now("what is not finished", &error),
            }
        }
        if let Ok(counts) = self.ledger.counts().await {
            self.meters.counted(&counts, now);
        }
        Ok(())
    }

    /// Every case that is not finished is held against the directory.
    async fn look_again(&self, today: Date, in_force: &InForce) -> Result<Result<(), Stopped>, LedgerError> {
        let mut after = 0;
        loop {
            let page = self.ledger.unfinished(after, WAKE_MAX).await?;
            let Some(last) = page.last() else { return Ok(Ok(())) };
            after = last.number;
            for listed in page {
                // One that cannot be read is named where it is decided about.
                let Ok(case) = serde_json::from_slice::<Case>(&listed.state) else { continue };
                if case.wants_another_look(today, &in_force.book.directory) {
                    let event = Event::LookedAgain { referral: None };
                    if let Err(stopped) = self.send(case.id(), event).await {
                        return Ok(Err(stopped));
                    }
                }
            }
        }
    }

    async fn send(&self, referral: ReferralId, event: Event) -> Result<(), Stopped> {
        self.wake.send((referral, event)).await.map_err(|_| Stopped)
    }

    fn not_now(&self, what: &str, error: &LedgerError) {
        self.meters.ledger_failed();
        tracing::error!("the ledger could not say {what}; it is asked again: {error}");
    }
}
