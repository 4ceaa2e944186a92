//! Everything about AMQP that can only be believed when a real RabbitMQ has shown it.

mod consuming;
mod node;
mod proxy;
mod publishing;
mod topology;
