//! A watch that survives lost connections: it goes on from the last position it saw.

use std::time::Duration;

use proto::wire::common::v1::ProgressEntry;
use proto::wire::referral::v1::{WatchRequest, WatchResponse};
use tonic::{Status, Streaming};

use crate::{Client, Failed, chance, pause};

/// Before a stream that ended without a word is opened again.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// What happens to a party's referrals, as it happens.
pub struct Watch<'a> {
    client: &'a Client,
    referral: String,
    after: u64,
    failed: u32,
    stream: Option<Streaming<WatchResponse>>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(client: &'a Client, referral: String, after: u64) -> Watch<'a> {
        Watch { client, referral, after, failed: 0, stream: None }
    }

    /// The position of the last entry. Kept, it lets another watch go on from there.
    pub fn position(&self) -> u64 {
        self.after
    }

    /// The next entry. It waits for as long as it takes, and fails only where asking again cannot help.
    pub async fn next(&mut self) -> Result<ProgressEntry, Failed> {
        loop {
            let wait = match self.try_next().await {
                Ok(Some(entry)) => {
                    self.after = entry.position;
                    self.failed = 0;
                    return Ok(entry);
                }
                Ok(None) => REOPEN_AFTER,
                Err(status) => {
                    let Some(wait) = pause(&status, self.failed, chance()) else { return Err(status.into()) };
                    self.failed = self.failed.saturating_add(1);
                    (self.client.told)(&status, wait);
                    wait
                }
            };
            self.stream = None;
            tokio::time::sleep(wait).await;
        }
    }

    async fn try_next(&mut self) -> Result<Option<ProgressEntry>, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let request = WatchRequest { after: self.after, referral_id: self.referral.clone() };
                let stream = self.client.referrals().watch(self.client.ask(request)).await?.into_inner();
                self.stream.insert(stream)
            }
        };
        Ok(stream.message().await?.and_then(|told| told.entry))
    }
}
