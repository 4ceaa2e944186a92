//! A whole stack for tests: the two real programs, a virtual host of its own on the run's real RabbitMQ, a
//! ledger and certificates in a folder of its own. Everything it starts, it stops.
//!
//! The node is named by `SAFEGUARDING_TEST_RABBITMQ`, a folder with `node.env`, as `tests/run` sets it. Without
//! it a test fails and says so; nothing is skipped.

pub mod client;
pub mod kept;
pub mod road;
pub mod stack;
pub mod wait;
