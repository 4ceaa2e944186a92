//! The promises, swept over every situation there is.
//!
//! What tables say is enumerated in groups of situations that no row tells apart (`sweep`); then whole referrals go
//! through the rule book, and the answer is held to the rules told a second time, in plain code (`told`). What was
//! swept is counted, and the counts are asserted: a sweep that shrinks is a change that somebody must see. Run with
//! `--nocapture` for the counts and the times.

mod book;
#[path = "../common/mod.rs"]
mod common;
mod sweep;
mod tables;
mod told;
mod whole;

use std::sync::LazyLock;

use referral::rules::Rulebook;

/// The parties of `common`, and one more of each kind that sends.
static RULES: LazyLock<Rulebook> = LazyLock::new(|| {
    let more = "
[[endpoint]]
name = \"school.999002\"
authority = \"E10000016\"
independent = true
designated = true
[[endpoint]]
name = \"vcs.helpline\"
";
    Rulebook::built_in(&format!("{}{more}", common::ENDPOINTS)).unwrap()
});
