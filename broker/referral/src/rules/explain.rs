//! Why, in plain English: one sentence per decision, each with its rule, its source and how well founded it is.

use std::sync::Arc;

use serde::Serialize;

use super::pack::Extent;
use super::table::Reason;
use super::{Decision, Role, Ruling, Verdict, View};
use crate::Endpoint;
use crate::directory::Directory;
use crate::vocab::{Category, Desk, Household, NationalBody, NhsService, RecipientKind, Vocabulary};

/// A sentence of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sentence {
    /// What it says.
    pub text: String,
    /// The rule behind it; none where the sentence only introduces.
    pub reason: Option<Arc<Reason>>,
}

/// Something a recipient does not get, named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Withheld {
    /// The category.
    pub category: Category,
    /// What is given of it instead: nothing, the minimum, or nothing until a person has looked.
    pub given: Extent,
    /// The rule; `DM-01` where no rule gives this recipient a purpose for it.
    pub rule: String,
    /// Why.
    pub because: String,
}

/// What a view keeps back, as it stands there.
struct Kept<'a> {
    verdict: &'a Verdict,
    rule: &'a str,
    because: &'a str,
}

impl From<Kept<'_>> for Withheld {
    fn from(kept: Kept<'_>) -> Withheld {
        Withheld {
            category: kept.verdict.category,
            given: kept.verdict.given,
            rule: kept.rule.to_owned(),
            because: kept.because.to_owned(),
        }
    }
}

/// A party's name for a reader, such as `the front door of Leeds`.
pub fn name_of(endpoint: &Endpoint, directory: &Directory) -> String {
    let area = |gss| directory.name(gss).map_or_else(|| gss.to_string(), str::to_owned);
    let force =
        |code| directory.register().force(code).map_or_else(|| format!("police force {code}"), |force| force.name.clone());
    match endpoint {
        Endpoint::Authority(gss, desk) => format!("{} of {}", desk_words(*desk), area(gss)),
        Endpoint::Police(code) => force(code),
        Endpoint::PolicePrevent(code) => format!("the Prevent team of {}", force(code)),
        Endpoint::School(urn) => format!("school {urn}"),
        Endpoint::Nhs(ods) => format!("NHS organisation {ods}"),
        Endpoint::Adult(gss) => format!("adult safeguarding of {}", area(gss)),
        Endpoint::Devolved(gss) => format!("children's services of {gss}"),
        Endpoint::Voluntary(code) => format!("voluntary organisation {code}"),
        Endpoint::NhsService(gss, service) => format!("{} in {}", nhs_words(*service), area(gss)),
        Endpoint::Marac(gss) => format!("the multi-agency risk assessment conference of {}", area(gss)),
        Endpoint::National(NationalBody::ReferralMechanism) => "the national referral mechanism".to_owned(),
        Endpoint::National(NationalBody::ReviewPanel) => "the Child Safeguarding Practice Review Panel".to_owned(),
        Endpoint::National(NationalBody::Ofsted) => "Ofsted".to_owned(),
        Endpoint::National(NationalBody::DepartmentForEducation) => "the Department for Education".to_owned(),
        Endpoint::Household(Household::Own) => "the household in which the child lives".to_owned(),
        Endpoint::Household(Household::Other) => "the other household".to_owned(),
        Endpoint::Public => "a member of the public".to_owned(),
        Endpoint::Operator => "whoever runs this broker".to_owned(),
    }
}

fn nhs_words(service: NhsService) -> &'static str {
    match service {
        NhsService::HealthVisiting => "health visiting",
        NhsService::NamedProfessional => "the named professional for safeguarding",
        NhsService::ChildDeathOverview => "child death review",
    }
}

fn desk_words(desk: Desk) -> &'static str {
    match desk {
        Desk::FrontDoor => "the front door",
        Desk::EmergencyDutyTeam => "the emergency duty team",
        Desk::EarlyHelp => "the early help desk",
        Desk::Lado => "the designated officer",
        Desk::Restricted => "the restricted desk",
        Desk::FrontDoorManager => "the front door's manager",
        Desk::AllocatedWorker => "the allocated worker",
        Desk::ChildProtection => "the child protection team",
        Desk::ElectiveHomeEducation => "the officer for elective home education",
        Desk::SafeguardingLead => "the safeguarding leads",
        Desk::HeadOfService => "the head of service",
        Desk::SafeguardingPartners => "the safeguarding partners",
    }
}

/// Categories whose very existence tells something: named to the front door that must act, to nobody else.
fn naming_discloses(category: Category, kind: RecipientKind) -> bool {
    let telling = matches!(
        category,
        Category::ProtectedAddress
            | Category::AdoptionRecord
            | Category::PoliceIntelligence
            | Category::MaracInformation
            | Category::Mappa
            | Category::ImmigrationStatus
            | Category::SexualHealth
            | Category::AllegationAgainstProfessional
    );
    telling && !matches!(kind, RecipientKind::FrontDoor | RecipientKind::Referrer)
}

impl View {
    /// What this recipient does not get in whole, each category once; what would disclose by its name is left
    /// out (P5).
    pub fn withheld(&self) -> Vec<Withheld> {
        self.kept_back().filter(|kept| !naming_discloses(kept.verdict.category, self.kind)).map(Withheld::from).collect()
    }

    /// The same with nothing left out: for the sender, whose information it is, and for the record.
    pub fn withheld_for_the_record(&self) -> Vec<Withheld> {
        self.kept_back().map(Withheld::from).collect()
    }

    fn kept_back(&self) -> impl Iterator<Item = Kept<'_>> {
        let kept = self.verdicts.iter().enumerate().filter(|(_, verdict)| verdict.given != Extent::Whole);
        let is_first = |&(at, verdict): &(usize, &Verdict)| {
            let same = |known: &Verdict| known.category == verdict.category && known.given == verdict.given;
            !self.verdicts.iter().take(at).any(same)
        };
        kept.filter(is_first).map(|(_, verdict)| {
            let (rule, because) = match verdict.by.first() {
                Some(reason) => (reason.rule.0.as_str(), reason.because.as_str()),
                None => ("DM-01", "no rule gives this recipient a purpose for it"),
            };
            Kept { verdict, rule, because }
        })
    }

    /// The categories it gets, in whole or in part.
    pub fn given(&self) -> Vec<Category> {
        let mut given: Vec<Category> = Vec::new();
        for verdict in self.verdicts.iter().filter(|verdict| matches!(verdict.given, Extent::Whole | Extent::Minimum)) {
            if !given.contains(&verdict.category) {
                given.push(verdict.category);
            }
        }
        given
    }
}

fn list(categories: impl IntoIterator<Item = Category>) -> String {
    let words: Vec<String> = categories.into_iter().map(Vocabulary::words).collect();
    words.join(", ")
}

/// The ruling in sentences. `reader` is the recipient who reads: it learns of itself and of who is responsible;
/// the sender, for whom `reader` is none, learns of everybody.
pub fn explain(ruling: &Ruling, reader: Option<&View>, directory: &Directory) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let mut say = |mut text: String, reason: Option<&Arc<Reason>>| {
        if reason.is_some_and(|reason| reason.contested) {
            text.push_str(" The sector does not agree on this rule.");
        }
        sentences.push(Sentence { text, reason: reason.cloned() });
    };

    match &ruling.decision {
        Decision::Deliver { to } => say(format!("It goes to {} ({to}).", name_of(to, directory)), None),
        Decision::HoldForReview { intended: Some(to) } => {
            say(format!("It waits for a person before it goes to {} ({to}).", name_of(to, directory)), None)
        }
        Decision::HoldForReview { intended: None } => say("It waits for a person, who decides where it goes.".to_owned(), None),
        Decision::ReturnToSender => say("It goes back to the sender.".to_owned(), None),
        Decision::Refuse => say("It was refused, and nothing of it was kept.".to_owned(), None),
    }
    for reason in &ruling.by {
        say([&reason.because, "."].concat(), Some(reason));
    }
    if let Some(addressed) = ruling.redirected_from.as_ref().filter(|_| reader.is_none()) {
        say(format!("The sender had addressed it to {addressed}, which is not responsible and got nothing."), None);
    }
    let everything = reader.is_none_or(|view| view.role == Role::Responsible);
    for reason in ruling.notified_by.iter().filter(|_| everything) {
        say([&reason.because, "."].concat(), Some(reason));
    }
    for view in ruling.views.iter().filter(|view| reader.is_none_or(|reader| reader.to == view.to)) {
        let name = capital(&name_of(&view.to, directory));
        let given = view.given();
        let given = if given.is_empty() { "nothing of what was sent".to_owned() } else { list(given) };
        say([&name, " receives: ", &given, "."].concat(), None);
        let is_told = |kept: &Kept<'_>| reader.is_none() || !naming_discloses(kept.verdict.category, view.kind);
        for kept in view.kept_back().filter(is_told) {
            let how = match kept.verdict.given {
                Extent::Nothing => " does not receive ",
                Extent::Review => " does not receive, until a person has looked, ",
                Extent::Minimum => " receives the minimum only of ",
                Extent::Whole => continue,
            };
            let (category, because) = (kept.verdict.category.words(), uncapital(kept.because));
            let reason = view
                .verdicts
                .iter()
                .find(|verdict| verdict.category == kept.verdict.category)
                .and_then(|verdict| verdict.by.first());
            say([&name, how, &category, ": ", &because, " (", kept.rule, ")."].concat(), reason);
        }
    }
    for (asked, why) in ruling.not_told.iter().filter(|_| reader.is_none()) {
        say(
            format!("You asked that {} be told. It may have nothing of this, so it is not told.", name_of(asked, directory)),
            why.first(),
        );
    }
    for (basis, reason) in &ruling.bases {
        if reader.is_none_or(|view| view.bases.contains(basis)) {
            say(["Lawful basis ", basis.as_str(), ": ", &reason.because, "."].concat(), Some(reason));
        }
    }
    for clock in ruling.clocks.iter().filter(|_| everything) {
        let due = clock.due.date.map_or_else(|| format!("at {}", clock.due.by), |date| format!("by the end of {date}"));
        say(format!("{} Due {due} ({}).", sentence(&clock.by.because), clock.name), Some(&clock.by));
    }
    for (_, reason) in ruling.flags.iter().filter(|_| everything) {
        say(sentence(&reason.because), Some(reason));
    }
    sentences
}

fn sentence(text: &str) -> String {
    let mut sentence = capital(text);
    sentence.push('.');
    sentence
}

/// The text as the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    begun_with(letters.next().into_iter().flat_map(char::to_uppercase), letters.as_str())
}

/// The text as it goes on in a sentence; a word in capitals stays as it is.
fn uncapital(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), text.chars().nth(1)) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            begun_with(first.to_lowercase(), letters.as_str())
        }
        _ => text.to_owned(),
    }
}

fn begun_with(first: impl Iterator<Item = char>, rest: &str) -> String {
    let mut text = String::with_capacity(rest.len() + 8);
    text.extend(first);
    text.push_str(rest);
    text
}
