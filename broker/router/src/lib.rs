//! The broker: receive, decide, record, deliver, chase.

pub mod chase;
pub mod decide;
pub mod deliver;
pub mod meters;
pub mod receive;
pub mod record;
pub mod roads;
