//! The promises, swept twice over: by groups of situations, and by the rules told a second time.
//!
//! `promises.rs` lists what can be listed; here the tables are swept in groups of situations that no row tells apart
//! (`sweep`), which together are all situations there are, and whole referrals are held to the rules told again in plain
//! code (`told`). What was swept is counted, and the counts are asserted: a sweep that shrinks is a change that
//! somebody must see. Run with `--nocapture` for the counts and the times.

#[path = "../common/mod.rs"]
mod common;
mod sweep;
mod tables;
mod told;

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
