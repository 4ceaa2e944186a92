//! The broker: receive, decide, record, deliver, chase.

pub mod record;
