//! The core: all the judgement, none of the machinery.
//!
//! Plain values in, plain values out. Nothing here does I/O, reads a clock, draws a random number, or knows
//! protobuf or AMQP; everything here is total: whatever comes in, an answer comes out.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod case;
pub mod directory;
pub mod disclosure;
pub mod endpoint;
pub mod facts;
pub mod identifiers;
pub mod rules;
pub mod sealed;
pub mod submission;
pub mod time;
pub mod vocab;

pub use endpoint::Endpoint;
pub use identifiers::{DeliveryId, Digest, IdempotencyKey, ReferralId};
pub use sealed::Sealed;

/// A moment in time, UTC inside, shown in Europe/London.
pub type Moment = jiff::Timestamp;
