//! The doors: one gRPC server, one pure translation per agency.
//!
//! A door has no memory: what it accepted a queue has, and what it must ask it asks the broker. It answers a
//! sender only after a queue confirmed, speaks for nobody but the certificate at its door, and never repeats
//! a value in an error.

pub mod childrens_services;
pub mod client;
pub mod config;
pub mod console;
pub mod desk;
pub mod follow;
pub mod form;
pub mod gateway;
pub mod ladder;
pub mod meters;
pub mod outbox;
pub mod police;
pub mod samples;
pub mod school;
pub mod sender;
pub mod status;
pub mod submit;

/// Attributes that the doors' spans and logs may carry, beside those of transport: none is personal.
pub const TELEMETRY_KEYS: &[&str] =
    &["referral.id", "delivery.id", "sender.code", "message.kind", "refusal.reason", "rpc.grpc.status_code"];
