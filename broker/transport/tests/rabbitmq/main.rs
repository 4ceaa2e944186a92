//! Everything about AMQP that can only be believed when a real RabbitMQ has shown it.

mod consuming;
// Shared with the test of the alarm, which uses the rest of it.
#[allow(dead_code)]
mod node;
mod proxy;
mod publishing;
mod topology;
