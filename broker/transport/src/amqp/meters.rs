//! What operators see of the AMQP side: counts, never contents. No label holds anything that was sent.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, exponential_buckets};

use super::NotConfirmed;

/// The meters of one program's publishers and consumers. Clones count together.
#[derive(Clone, Debug)]
pub struct Meters {
    published: IntCounterVec,
    confirm_seconds: Histogram,
    connected: IntGaugeVec,
    dials: IntCounterVec,
    blocked: IntGaugeVec,
    delivered: IntCounter,
    settled: IntCounterVec,
    stale: IntCounter,
}

impl Meters {
    /// Meters that nobody reads; for tests and short-lived tools.
    pub fn unread() -> Meters {
        // The only faults there are would be a malformed name below, which the first test to run would meet.
        Meters::new().expect("the names below are well formed")
    }

    /// Meters that `registry` shows.
    pub fn register(registry: &Registry) -> prometheus::Result<Meters> {
        let meters = Meters::new()?;
        registry.register(Box::new(meters.published.clone()))?;
        registry.register(Box::new(meters.confirm_seconds.clone()))?;
        registry.register(Box::new(meters.connected.clone()))?;
        registry.register(Box::new(meters.dials.clone()))?;
        registry.register(Box::new(meters.blocked.clone()))?;
        registry.register(Box::new(meters.delivered.clone()))?;
        registry.register(Box::new(meters.settled.clone()))?;
        registry.register(Box::new(meters.stale.clone()))?;
        Ok(meters)
    }

    fn new() -> prometheus::Result<Meters> {
        let vec = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauge = |name, help| IntGaugeVec::new(Opts::new(name, help), &["connection"]);
        Ok(Meters {
            published: vec("amqp_published_total", "Messages handed to the publisher, by what became of them.", &["outcome"])?,
            confirm_seconds: Histogram::with_opts(
                HistogramOpts::new("amqp_publish_seconds", "From handing a message over to the answer about it.")
                    .buckets(exponential_buckets(0.0005, 2.0, 16)?),
            )?,
            connected: gauge("amqp_connected", "1 while the connection to RabbitMQ is up.")?,
            dials: vec("amqp_dials_total", "Attempts to connect to RabbitMQ, by how they ended.", &["connection", "outcome"])?,
            blocked: gauge("amqp_blocked", "1 while RabbitMQ is short of memory or disk and takes no messages.")?,
            delivered: IntCounter::new("amqp_delivered_total", "Messages received from RabbitMQ.")?,
            settled: vec("amqp_settled_total", "Messages settled with RabbitMQ, by how.", &["how"])?,
            stale: IntCounter::new("amqp_stale_tokens_total", "Settlements dropped because their connection is gone.")?,
        })
    }

    pub(super) fn published(&self, outcome: &Result<super::Confirmed, NotConfirmed>, seconds: f64) {
        let outcome = match outcome {
            Ok(_) => "confirmed",
            Err(fault) => fault.name(),
        };
        self.published.with_label_values(&[outcome]).inc();
        self.confirm_seconds.observe(seconds);
    }

    pub(super) fn connected(&self, connection: &str, up: bool) {
        self.connected.with_label_values(&[connection]).set(up.into());
        if !up {
            self.blocked(connection, false);
        }
    }

    pub(super) fn blocked(&self, connection: &str, blocked: bool) {
        self.blocked.with_label_values(&[connection]).set(blocked.into());
    }

    pub(super) fn dialled(&self, connection: &str, succeeded: bool) {
        let outcome = if succeeded { "connected" } else { "failed" };
        self.dials.with_label_values(&[connection, outcome]).inc();
    }

    pub(super) fn delivered(&self, count: usize) {
        self.delivered.inc_by(count as u64);
    }

    pub(super) fn settled(&self, how: &str, count: usize) {
        self.settled.with_label_values(&[how]).inc_by(count as u64);
    }

    pub(super) fn stale(&self, count: usize) {
        self.stale.inc_by(count as u64);
    }

    /// How many settlements were dropped because their connection is gone.
    pub fn stale_tokens(&self) -> u64 {
        self.stale.get()
    }
}
