//! When to ask again: where the answer invites it (RetryInfo), or where the line broke before there was one.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;
use tonic_types::StatusExt;

use crate::Failed;

/// The shortest wait before something is asked again, and the longest that is not asked for.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));

/// Who hears of an answer that is not the last one, and how long it is waited for the next.
pub type Told = fn(&Status, Duration);

/// Asks until it is answered, for `patience` at most. It asks again only where that can help: whatever is asked
/// carries its own key, so that asking twice is asking once.
pub async fn patiently<A, W>(patience: Duration, told: Told, ask: impl Fn() -> W) -> Result<A, Failed>
where
    W: Future<Output = Result<A, Status>>,
{
    let since = Instant::now();
    let mut attempt = 0u32;
    loop {
        let status = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        let Some(wait) = pause(&status, attempt, chance()) else { return Err(status.into()) };
        if since.elapsed() + wait > patience {
            return Err(Failed::GaveUp { status: Box::new(status), tried: since.elapsed() });
        }
        told(&status, wait);
        tokio::time::sleep(wait).await;
        attempt = attempt.saturating_add(1);
    }
}

/// How long to wait before the same is asked again, if it may be: no sooner than was asked for, longer each time,
/// and by up to half longer as `chance` (0 to 1) has it, so that those who were cut off together do not come back
/// together.
pub fn pause(status: &Status, attempt: u32, chance: f64) -> Option<Duration> {
    // A status with a source was not sent by the gateway: it was made here, when the line broke.
    let broke = status.source().is_some_and(|cause| !is_distrust(cause));
    let invited = status.get_details_retry_info().map(|retry| retry.retry_delay.unwrap_or_default());
    let asked_for = invited.or(broke.then_some(Duration::ZERO))?;
    let growing = PAUSE.0.saturating_mul(1 << attempt.min(8)).min(PAUSE.1);
    Some(growing.max(asked_for).mul_f64(1.0 + chance.clamp(0.0, 1.0) / 2.0))
}

/// A number from 0 to 1.
pub fn chance() -> f64 {
    let [chance, ..] = *uuid::Uuid::new_v4().as_bytes();
    f64::from(chance) / f64::from(u8::MAX)
}

/// A certificate that is not believed today is not believed in two seconds either.
pub fn is_distrust(cause: &(dyn Error + 'static)) -> bool {
    causes(cause).iter().any(|words| words.contains("certificate") || words.contains("fatal alert"))
}

/// What went wrong, down to its first cause.
pub fn causes(first: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = vec![first.to_string()];
    let mut cause = first.source();
    while let Some(fault) = cause {
        causes.push(fault.to_string());
        cause = fault.source();
    }
    causes
}
