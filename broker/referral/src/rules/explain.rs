//! Why, in plain English: one sentence per decision, each with its rule, its source and how well founded it is.

use std::sync::Arc;

use serde::Serialize;

use super::pack::Extent;
use super::table::Reason;
use super::{Decision, Role, Ruling, View};
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

/// A party's name for a reader, such as `the front door of Leeds`.
pub fn name_of(endpoint: &Endpoint, directory: &Directory) -> String {
    let area = |gss| directory.name(gss).map_or_else(|| gss.to_string(), str::to_owned);
    match endpoint {
        Endpoint::Authority(gss, desk) => format!("{} of {}", desk_words(*desk), area(gss)),
        Endpoint::Police(force) => format!("police force {force}"),
        Endpoint::PolicePrevent(force) => format!("the Prevent team of police force {force}"),
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
        let named = self.withheld_for_the_record();
        named.into_iter().filter(|withheld| !naming_discloses(withheld.category, self.kind)).collect()
    }

    /// The same with nothing left out: for the sender, whose information it is, and for the record.
    pub fn withheld_for_the_record(&self) -> Vec<Withheld> {
        let mut withheld: Vec<Withheld> = Vec::new();
        for verdict in self.verdicts.iter().filter(|verdict| verdict.given != Extent::Whole) {
            if withheld.iter().any(|known| known.category == verdict.category && known.given == verdict.given) {
                continue;
            }
            let (rule, because) = match verdict.by.first() {
                Some(reason) => (reason.rule.to_string(), reason.because.clone()),
                None => ("DM-01".to_owned(), "no rule gives this recipient a purpose for it".to_owned()),
            };
            withheld.push(Withheld { category: verdict.category, given: verdict.given, rule, because });
        }
        withheld
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
    let mut say = |text: String, reason: Option<&Arc<Reason>>| sentences.push(Sentence { text, reason: reason.cloned() });

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
        say(format!("{}.", reason.because), Some(reason));
    }
    if let Some(addressed) = ruling.redirected_from.as_ref().filter(|_| reader.is_none()) {
        say(format!("The sender had addressed it to {addressed}, which is not responsible and got nothing."), None);
    }
    let everything = reader.is_none_or(|view| view.role == Role::Responsible);
    for reason in ruling.notified_by.iter().filter(|_| everything) {
        say(format!("{}.", reason.because), Some(reason));
    }
    for view in ruling.views.iter().filter(|view| reader.is_none_or(|reader| reader.to == view.to)) {
        say(format!("{} receives: {}.", view.to, list(view.given())), None);
        let withheld = if reader.is_none() { view.withheld_for_the_record() } else { view.withheld() };
        for withheld in withheld {
            let how = match withheld.given {
                Extent::Nothing => "does not receive",
                Extent::Review => "does not receive, until a person has looked,",
                Extent::Minimum => "receives the minimum only of",
                Extent::Whole => continue,
            };
            let reason =
                view.verdicts.iter().find(|verdict| verdict.category == withheld.category).and_then(|verdict| verdict.by.first());
            say(format!("{} {how} {}: {} ({}).", view.to, withheld.category.words(), withheld.because, withheld.rule), reason);
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
            say(format!("Lawful basis {basis}: {}.", reason.because), Some(reason));
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
    format!("{text}.")
}
