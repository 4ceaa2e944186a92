//! The broker: receive, decide, record, deliver, chase.

pub mod decide;
pub mod meters;
pub mod record;
pub mod roads;
