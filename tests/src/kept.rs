//! What a stack has kept: the whole ledger, what the doors handed to RabbitMQ, and what the broker received from
//! it. Read before and after a refusal, it shows that nothing was stored on the way to it.

use crate::stack::{Stack, http_get};

/// Everything in which something that was stored would show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The ledger, with its records.
    ledger: String,
    /// The doors' count of messages handed to RabbitMQ, and the broker's of messages received and put aside.
    counts: Vec<String>,
}

impl Kept {
    /// What `stack` has kept by now.
    pub async fn by(stack: &Stack) -> Kept {
        let (exported, ledger) = stack.broker_command(&["ledger", "export"]);
        assert!(exported, "{ledger}");
        let mut counts = Vec::new();
        for address in [stack.adapter_metrics(), stack.broker_metrics()] {
            let metrics = http_get(&address, "/metrics").await.expect("metrics");
            let tells = |line: &&str| {
                ["amqp_published_total", "amqp_delivered_total", "safeguarding_quarantined_total"]
                    .iter()
                    .any(|name| line.starts_with(name))
            };
            counts.extend(metrics.lines().filter(tells).map(str::to_owned));
        }
        Kept { ledger, counts }
    }
}
