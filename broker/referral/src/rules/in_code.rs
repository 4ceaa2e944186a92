//! The rules that are code and not rows: each with what it says and where it is kept.
//!
//! A rule pack may look at closed facts only. What needs a date, an identifier, a digest or a life of several
//! messages is code, which no pack can change. Nothing reads this list to rule by it: it is there so that every rule
//! of the book can be found, and a test compares it and the packs with the list of ids.

/// A rule that is code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInCode {
    /// Its id.
    pub id: &'static str,
    /// What it says, in a sentence.
    pub says: &'static str,
    /// The module that keeps it.
    pub kept_by: &'static str,
}

const fn rule(id: &'static str, kept_by: &'static str, says: &'static str) -> RuleInCode {
    RuleInCode { id, says, kept_by }
}

/// Every rule that is code, in the order of the book.
pub const RULES_IN_CODE: &[RuleInCode] = &[
    rule(
        "RA-07",
        "directory::register",
        "A district's code means its county, and a code that a reorganisation ended means whoever follows it on that day",
    ),
    rule("RA-27", "submission", "Each child of a submission is determined apart, and the referrals name each other"),
    rule(
        "TC-02",
        "rules::prove",
        "No pack may hold back, or disclose less of, what is sent at significant harm because of agreement",
    ),
    rule("TC-08", "facts", "A level that is lower than the harm is handled as possible significant harm, and never lowered"),
    rule(
        "LB-11",
        "rules",
        "Of what is disclosed and of what is withheld it is recorded to whom, by which rule, in which law and under which edition",
    ),
    rule("DM-01", "rules", "Nobody receives what no row gives, and of free text only what the sender wrote as its minimum"),
    rule(
        "DM-14",
        "sealed",
        "Personal data is sealed: no log, error, metric, queue name or Debug output can print it by accident",
    ),
    rule("DM-15", "rules::prove", "No pack may open a category or a recipient that this edition does not know"),
    rule("HR-02", "disclosure", "The conditions on an item and on the whole go with every copy"),
    rule("HR-07", "disclosure", "That suspects and witnesses must not be approached stands on every copy, as a condition"),
    rule("HR-11", "facts", "A record that the Personal Demographics Service marks sensitive is a protected address"),
    rule(
        "CL-00",
        "time",
        "Day 0 is the London date of receipt; what is due in working days is due at the end of that local date",
    ),
    rule("RK-01", "rules", "A ruling carries the rules that made it, the edition's name and its digest, for the record"),
    rule("RK-02", "case", "A correction takes the place of what was sent, erases nothing, and goes to every earlier recipient"),
    rule("RK-03", "case", "A case keeps no content: digests, ids and states only, and a delivery is owed until it is taken"),
    rule(
        "RK-04",
        "case",
        "How long a record is kept is for each controller to say: a case has no content to keep, and never ends one",
    ),
    rule("RK-06", "rules", "The edition, the overlays and the area's settings that ruled are named in the ruling"),
    rule(
        "DQ-01",
        "case",
        "The same key and content is a repeat, other content under it an amendment; two senders are never merged",
    ),
    rule("DQ-02", "case", "A correction is ruled anew, on its own date, as a new version of the same referral"),
    rule("ID-01", "identifiers", "An NHS number has ten digits of which the last checks the others"),
    rule("ID-02", "identifiers", "A pupil number has a check letter; its authority's number is history and routes nothing"),
    rule("ID-04", "submission", "A wrong identifier goes on as what it is, flagged, and holds nothing back at significant harm"),
    rule(
        "ID-05",
        "submission",
        "An unborn child is known by the mother's number and the expected date, which nothing overwrites",
    ),
    rule(
        "VR-01",
        "rules::library",
        "The edition is that of the London date of receipt, so the duty to share counts from its day",
    ),
    rule("VR-02", "rules::library", "Recognised legitimate interests count from the day on which their overlay begins"),
    rule("VR-03", "rules::library", "The duty of Operation Encompass counts from the day on which its overlay begins"),
];
