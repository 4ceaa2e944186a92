//! The broker: receive, decide, record, deliver, chase.
//!
//! Each verb is a file. The judgement is the core's (`referral`); what is here is the machinery that never
//! loses what it judged. It never knows a child: it carries sealed content and words from closed vocabularies.

pub mod broker;
pub mod cases;
pub mod chase;
pub mod config;
pub mod decide;
pub mod deliver;
pub mod directory;
pub mod meters;
pub mod operate;
pub mod packs;
pub mod receive;
pub mod record;
pub mod roads;
pub mod rules;
pub mod topology;
