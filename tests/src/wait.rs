//! Waiting for something to become true: looked at often, given up at a deadline, never slept and hoped.

use std::future::Future;
use std::time::Duration;

/// How long anything in a test may take before it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `look` gives an answer. Fails, saying what was waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    match found.await {
        Ok(found) => found,
        Err(_) => panic!("waited {} s in vain for this: {what}", PATIENCE.as_secs()),
    }
}
