//! The rules that are code and not rows: what each says, and which code holds it. A practitioner finds every rule of
//! the book either in a pack or here.

/// A rule that is code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InCode {
    /// Its id.
    pub rule: &'static str,
    /// What it says.
    pub says: &'static str,
    /// What holds it.
    pub held_by: &'static str,
}

const fn rule(rule: &'static str, says: &'static str, held_by: &'static str) -> InCode {
    InCode { rule, says, held_by }
}

/// Every rule that is code.
pub const RULES_IN_CODE: &[InCode] = &[
    rule("RA-07", "A district answers with its county, and every code with whoever has the place on the day", "the register"),
    rule("RA-12", "Wales, Scotland and Northern Ireland are other systems", "the facts on places, with rows of the same id"),
    rule("RA-27", "Each child is ruled apart, and the referrals are linked", "the splitting of a submission"),
    rule("TC-02", "At significant harm no agreement is needed; refusal is recorded and never blocks", "the proof of every pack"),
    rule(
        "TC-07",
        "Who can agree: a holder of parental responsibility, the young person, the competent child",
        "the facts on agreement",
    ),
    rule("TC-08", "A level too low for the harm is handled as significant harm, and never lowered", "the facts on the level"),
    rule("TC-09", "No decision about a child is made by a machine alone: it routes, withholds, holds and reminds", "reviews"),
    rule("LB-11", "Every disclosure and every refusal is recorded with its reason and basis", "the ruling and the ledger"),
    rule(
        "DM-01",
        "What no rule gives a recipient it does not need; where only the minimum may go, free text needs a summary",
        "the view of a ruling",
    ),
    rule("DM-15", "An unknown category or recipient gets nothing", "the proof of every pack"),
    rule(
        "DM-14",
        "No personal data in traces, logs, routing keys, queue names, labels or errors",
        "sealed types and the canary tests",
    ),
    rule("HR-02", "Conditions are inherited by every copy", "the disclosure"),
    rule(
        "HR-07",
        "Suspects and witnesses are not approached: carried with every copy",
        "the handling conditions of a disclosure",
    ),
    rule("HR-11", "A record that the demographics service marks sensitive is a protected address", "the facts on the address"),
    rule(
        "CL-00",
        "Day 0 is the London date of receipt, working days after it are counted, due at the end of the last",
        "the calendar",
    ),
    rule("FB-01", "The referrer gets a receipt, then the decision and its reasons", "the life of a case"),
    rule("FB-02", "A breach is told to the manager and the referrer, without content", "the life of a case"),
    rule(
        "FB-03",
        "A disagreement that was answered, or that nobody answered in time, may be taken to the next stage: the manager, the \
         safeguarding leads, the heads of service, the safeguarding partners; immediate danger goes past all of them",
        "the life of a case; how long each stage has is a row",
    ),
    rule("RK-01", "What, whom, why, basis, rules, edition and a digest of the input are recorded, append only", "the ledger"),
    rule("RK-02", "A correction goes to every earlier recipient and erases nothing", "the life of a case"),
    rule("RK-03", "Content lives apart from the record and can be erased", "the ledger"),
    rule(
        "RK-04",
        "How long records are kept is their controllers' decision, and a legal hold stops erasure",
        "the ledger's erasure, on a person's word",
    ),
    rule("RK-05", "Confidence outlives a child", "the same matrix for everybody, with rows of the same id"),
    rule("RK-06", "Area and edition are stored with the decision", "the ruling"),
    rule(
        "DQ-01",
        "The same sender, key and content is a repeat; other content is an amendment; two senders are never merged",
        "the life of a case",
    ),
    rule("DQ-02", "A correction takes the place of what was sent before", "the life of a case"),
    rule("ID-01", "An NHS number has ten digits and a check digit", "the identifiers"),
    rule("ID-02", "A pupil number has a check letter, may be temporary, and never routes", "the identifiers"),
    rule("ID-04", "A wrong identifier never stops a referral at significant harm", "the door and the flags"),
    rule("ID-05", "An unborn child is known by the mother and the expected date", "the identity of a child"),
    rule("VR-01", "The edition is chosen by the London date of receipt, stored, and never applied again", "the library"),
    rule("VR-02", "Recognised legitimate interests from 5 February 2026", "the library, by an overlay's date"),
    rule("VR-03", "The duty to tell schools from 7 November 2025", "the library, by an overlay's date"),
];
