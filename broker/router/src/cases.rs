//! Worked cases: a practitioner writes what arrives and what should come of it, one JSON object a line, and each goes
//! through the same core as a real referral.
//!
//! Unknown keys and words are errors that name themselves. Nothing is guessed: what a case names only in its story is
//! bound by name (see [`bind`]), and what came of it is compared word for word ([`compare()`]): what the rules made of it
//! ([`run`]), or what was seen on the queues of a whole stack (`tests/tests/worked_cases`).

mod compare;
mod read;

use std::fmt;

use referral::case::{Event, Surprise, step};
use referral::rules::Rulebook;
use referral::submission::Referral;

pub use compare::{Became, Observed, Started, Told, compare};
pub use read::{Bound, Case, Expected, Said, bind};

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The case's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The sector does not agree on it: reported apart, and no failure.
    pub contested: bool,
    /// Where the rules answer otherwise than expected, in words; none where they agree.
    pub differences: Vec<String>,
    /// What is advice only: flags that were expected and not raised.
    pub remarks: Vec<String>,
}

/// A line that is no case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {because}")]
pub struct Unreadable {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub because: String,
}

/// Everything that came of a file.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The cases, in order.
    pub outcomes: Vec<Outcome>,
    /// The lines that are no cases.
    pub unreadable: Vec<Unreadable>,
}

impl Report {
    /// How many passed; contested ones are not counted.
    pub fn passed(&self) -> usize {
        self.settled().filter(|outcome| outcome.differences.is_empty()).count()
    }

    /// How many failed; a line that cannot be read is a failure, a contested case is not.
    pub fn failed(&self) -> usize {
        self.settled().filter(|outcome| !outcome.differences.is_empty()).count() + self.unreadable.len()
    }

    /// The contested cases.
    pub fn contested(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.contested)
    }

    fn settled(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| !outcome.contested)
    }
}

impl fmt::Display for Report {
    /// Every case with its differences, the contested ones apart, without the closing count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.unreadable {
            writeln!(f, "FAIL     {line}")?;
        }
        for outcome in self.settled() {
            tell(f, if outcome.differences.is_empty() { "pass" } else { "FAIL" }, outcome)?;
        }
        let contested: Vec<&Outcome> = self.contested().collect();
        if !contested.is_empty() {
            let agree = contested.iter().filter(|outcome| outcome.differences.is_empty()).count();
            writeln!(f, "\nContested, reported apart: {agree} as expected, {} otherwise", contested.len() - agree)?;
            for outcome in contested {
                tell(f, if outcome.differences.is_empty() { "as expected" } else { "otherwise" }, outcome)?;
            }
        }
        Ok(())
    }
}

fn tell(f: &mut fmt::Formatter<'_>, word: &str, outcome: &Outcome) -> fmt::Result {
    writeln!(f, "{word:<8} {} {}", outcome.id, outcome.title)?;
    outcome.differences.iter().try_for_each(|difference| writeln!(f, "           {difference}"))?;
    outcome.remarks.iter().try_for_each(|remark| writeln!(f, "           (advice: {remark})"))
}

/// The cases of `text`, one a line. Blank lines and lines that begin with `#` are passed over.
pub fn read(text: &str) -> impl Iterator<Item = Result<Case, Unreadable>> {
    let is_case = |content: &str| !content.trim().is_empty() && !content.trim_start().starts_with('#');
    (1..).zip(text.lines()).filter(move |(_, content)| is_case(content)).map(|(line, content)| {
        let mut case: Case = serde_json::from_str(content).map_err(|fault| Unreadable { line, because: fault.to_string() })?;
        case.line = line;
        Ok(case)
    })
}

/// Runs the cases of `text` through the core.
pub fn run(text: &str, rules: &Rulebook) -> Report {
    let mut report = Report::default();
    for case in read(text) {
        let judged = case.and_then(|case| {
            let (line, id) = (case.line, &case.id);
            judge(&case, rules).map_err(|because| Unreadable { line, because: format!("case {id}: {because}") })
        });
        match judged {
            Ok(outcome) => report.outcomes.push(outcome),
            Err(unreadable) => report.unreadable.push(unreadable),
        }
    }
    report
}

fn judge(case: &Case, rules: &Rulebook) -> Result<Outcome, String> {
    let bound = bind(case, rules)?;
    let observed = in_the_core(&bound, rules).ok_or("it has no child")?;
    Ok(Outcome::of(case, &bound, &observed))
}

/// What the core makes of a case: a ruling for each child, or that it was received before.
pub fn in_the_core(bound: &Bound, rules: &Rulebook) -> Option<Observed> {
    let own = Rulebook { directory: bound.directory.clone(), ..rules.clone() };
    let rulings: Vec<_> = bound.referrals.iter().map(|referral| (referral.clone(), own.rule(referral, &[]))).collect();
    let is_repeat = bound.is_repeat && bound.referrals.first().is_some_and(|first| is_duplicate(first, &own));
    Observed::in_rulings(&rulings, is_repeat)
}

impl Outcome {
    /// What was observed of a case, beside what it expects.
    pub fn of(case: &Case, bound: &Bound, observed: &Observed) -> Outcome {
        let (differences, remarks) = compare(case, bound, observed);
        Outcome { id: case.id.clone(), title: case.title.clone(), contested: case.contested, differences, remarks }
    }
}

/// Whether the same message again changes nothing (DQ-01), as the life of a case says it.
fn is_duplicate(referral: &Referral, rules: &Rulebook) -> bool {
    let submit = |case| step(case, Event::Submitted(Box::new(referral.clone())), referral.received, rules);
    submit(submit(None).case).surprise == Some(Surprise::Duplicate)
}
