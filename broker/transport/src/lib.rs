//! The machinery every program of ours shares: AMQP, TLS, telemetry, clock and shutdown.
//!
//! Bytes in, bytes out. It promises that every wait ends, and that "confirmed" means a queue has the
//! message. It never knows what a message says: there is no referral in here.

pub mod amqp;
pub mod clock;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;
pub mod tls;

// The tests beside the code use the same RabbitMQ helper as those outside, which knows this crate by its name.
#[cfg(test)]
extern crate self as transport;
