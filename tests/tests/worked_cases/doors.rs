//! Which case goes by which call. What the form of a door has no place for is found by translating it as the door will
//! and comparing that with the case; the list that the test holds is only compared with what was found.

use std::collections::BTreeSet;

use proto::wire::common::v1 as common;
use proto::wire::common::v1::Category;
use proto::wire::referral::v1 as referral_v1;
use proto::wire::referral::v1::referral_service_client::ReferralServiceClient;
use proto::{read, write};
use referral::submission::{Child, ChildCircumstances, Circumstances, Submission};
use referral::vocab::{Agreement, EventKind, HandlingFlag, Level, SenderKind};
use router::cases::{Bound, Case, Said};
use tonic::Status;
use tonic::transport::Channel;

use crate::forms::Form;

/// The calls of an agency's own door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Refer,
    RaiseConcern,
    ReportAllegation,
    ReportLowLevelConcern,
    TransferChildProtectionFile,
    SendPublicProtectionNotice,
    ReportPoliceProtection,
    ReportMissingChildReturn,
    NotifyOperationEncompass,
    HealthRefer,
    ReportFgm,
    NotifyUnscheduledAttendance,
}

/// How a message comes to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Road {
    /// By its agency's own form.
    Form(Call),
    /// In the contract's own words: `ReferralService.Submit`.
    Submit,
    /// As a change of what was submitted: `ReferralService.Amend`.
    Amend,
    /// Not at all.
    None,
}

/// The table: which kind of message of which sender goes by which call. Every pair stands in it.
fn road(bound: &Bound) -> Road {
    use EventKind as Kind;
    let Said { by, kind } = bound.said;
    match (by, kind) {
        (SenderKind::Public | SenderKind::Operator | SenderKind::Broker, _) => Road::None,
        (_, Kind::Correction) => Road::Amend,
        (SenderKind::School | SenderKind::IndependentSchool, kind) => match kind {
            Kind::Referral if has_little(bound) => Road::Form(Call::RaiseConcern),
            Kind::Referral => Road::Form(Call::Refer),
            Kind::Allegation => Road::Form(Call::ReportAllegation),
            Kind::LowLevelConcern => Road::Form(Call::ReportLowLevelConcern),
            Kind::CpFileTransfer => Road::Form(Call::TransferChildProtectionFile),
            _ => in_the_contracts_words(kind),
        },
        (SenderKind::Police, kind) => match kind {
            Kind::Referral => Road::Form(Call::SendPublicProtectionNotice),
            Kind::PoliceProtectionS46 => Road::Form(Call::ReportPoliceProtection),
            Kind::MissingChildReturn => Road::Form(Call::ReportMissingChildReturn),
            Kind::OperationEncompass => Road::Form(Call::NotifyOperationEncompass),
            _ => in_the_contracts_words(kind),
        },
        (SenderKind::Nhs, kind) => match kind {
            Kind::Referral if is_of_fgm(bound) => Road::Form(Call::ReportFgm),
            Kind::Referral => Road::Form(Call::HealthRefer),
            Kind::CpisAttendance => Road::Form(Call::NotifyUnscheduledAttendance),
            _ => in_the_contracts_words(kind),
        },
        // These have no form of their own: an authority's system speaks the contract, and so does a nursery's.
        (SenderKind::Authority | SenderKind::OtherAuthority | SenderKind::Voluntary, kind) => in_the_contracts_words(kind),
    }
}

/// What no form carries is submitted in the contract's own words.
fn in_the_contracts_words(kind: EventKind) -> Road {
    match kind {
        EventKind::Referral
        | EventKind::LowLevelConcern
        | EventKind::Allegation
        | EventKind::Correction
        | EventKind::ConsentWithdrawn
        | EventKind::ProfessionalDisagreement
        | EventKind::ServiceRequest
        | EventKind::CpFileTransfer
        | EventKind::CpPlanTransferAccepted
        | EventKind::CpisAttendance
        | EventKind::MissingChildReturn
        | EventKind::OperationEncompass
        | EventKind::PoliceProtectionS46
        | EventKind::PrivateFosteringNotification
        | EventKind::SeriousIncident
        | EventKind::StrategyDiscussionHeld
        | EventKind::TransferRefused
        | EventKind::Acknowledgement
        | EventKind::ReferralOutcome
        | EventKind::OutcomeNotice
        | EventKind::IcpcHeld => Road::Submit,
        // Nobody but the broker and its operators says this.
        EventKind::ClockBreached | EventKind::OperatorQuery => Road::None,
    }
}

/// Little is known, and nothing is said but what worries the school: the short form.
fn has_little(bound: &Bound) -> bool {
    use referral::vocab::Category::{ChildVoice, ConcernNarrative, ConsentRecord, Identity};
    let submission = &bound.submission;
    let has_place =
        |item: &referral::submission::Item| matches!(item.category, Identity | ConcernNarrative | ConsentRecord | ChildVoice);
    submission.items.iter().all(has_place) && submission.further_children.is_empty() && submission.handling.is_empty()
}

fn is_of_fgm(bound: &Bound) -> bool {
    use referral::vocab::HarmType::{FgmKnown, FgmReportedByThirdParty, FgmRisk};
    matches!(bound.submission.harm, FgmKnown | FgmReportedByThirdParty | FgmRisk)
}

/// How a case goes in the end.
pub enum Way {
    /// By its agency's own form.
    Form(Call, Box<Form>),
    /// In the contract's own words, because the form of its sender's door does not say these parts of it.
    Beyond(Vec<String>),
    /// In the contract's own words: no form is for this kind of message.
    Submit,
    /// As a change of what was submitted.
    Amend,
    /// Not at all.
    None,
}

/// By which way `case` goes. A form that its door refuses goes all the same where the case is to be turned away: that is
/// the answer.
pub fn way(case: &Case, bound: &Bound) -> Way {
    let call = match road(bound) {
        Road::Form(call) => call,
        Road::Submit => return Way::Submit,
        Road::Amend => return Way::Amend,
        Road::None => return Way::None,
    };
    let form = Form::of(call, bound);
    match form.says(bound) {
        Says::All => Way::Form(call, Box::new(form)),
        Says::Refused(_) if case.expected.action == "reject" => Way::Form(call, Box::new(form)),
        Says::Refused(fields) => Way::Beyond(fields),
        Says::Not(parts) => Way::Beyond(parts.into_iter().map(str::to_owned).collect()),
    }
}

/// What a form says otherwise than the case, or has no place for. A form that its door refuses says nothing.
enum Says {
    /// All that the case says.
    All,
    /// Not these parts of it.
    Not(Vec<&'static str>),
    /// The door refuses it, for these fields.
    Refused(Vec<String>),
}

impl Form {
    /// What the broker will read in it, beside what the case says.
    fn says(&self, bound: &Bound) -> Says {
        let case = &bound.submission;
        let translated = self.translated();
        let understood = read::submission(&case.sender, case.key, case.received, &translated.content);
        let mut refused: Vec<String> = translated.faults.iter().map(|fault| fault.field.clone()).collect();
        match understood {
            Ok(form) if refused.is_empty() => match unsaid(&self.whole_of(case), &form) {
                parts if parts.is_empty() => Says::All,
                parts => Says::Not(parts),
            },
            Ok(_) => Says::Refused(refused),
            Err(invalid) => {
                refused.extend(invalid.0.into_iter().map(|violation| violation.field));
                Says::Refused(refused)
            }
        }
    }

    /// What of a case this form is for. Of an attendance the register says whose the child is, and where it lives is
    /// nobody's business (DM-10). What informs asks for no service, so nobody was asked to agree to one, and no reason is
    /// given.
    fn whole_of(&self, case: &Submission) -> Submission {
        let mut case = case.clone();
        let informs = match self {
            Form::NotifyUnscheduledAttendance(_) => {
                (case.child.places.home, case.child.places.located) = (None, None);
                true
            }
            Form::ReportLowLevelConcern(_) | Form::TransferChildProtectionFile(_) => true,
            Form::Refer(_)
            | Form::RaiseConcern(_)
            | Form::ReportAllegation(_)
            | Form::SendPublicProtectionNotice(_)
            | Form::ReportPoliceProtection(_)
            | Form::ReportMissingChildReturn(_)
            | Form::NotifyOperationEncompass(_)
            | Form::HealthRefer(_)
            | Form::ReportFgm(_) => false,
        };
        if informs && case.agreement == Agreement::NotSoughtNoReason {
            case.agreement = Agreement::NotStated;
        }
        case
    }
}

/// The case in the contract's own words.
pub fn in_own_words(bound: &Bound) -> common::Submission {
    let mut content = write::submission(&bound.submission);
    // Who the child is stands with the child.
    content.items.retain(|item| item.category() != Category::Identity);
    content
}

/// Submits.
pub async fn submit(channel: Channel, key: &str, content: common::Submission) -> Result<referral_v1::Receipt, Status> {
    let request = referral_v1::SubmitRequest { idempotency_key: key.to_owned(), content: Some(content), sender: String::new() };
    let answer = ReferralServiceClient::new(channel).submit(request).await?;
    Ok(answer.into_inner().receipt.expect("a receipt"))
}

/// The parts of `case` that `form` does not say. What it says beyond is no harm: that a pupil is at the school that
/// writes, that what is reported happened when it was reported.
fn unsaid(case: &Submission, form: &Submission) -> Vec<&'static str> {
    let Submission { sender: _, key: _, received, digest: _, kind, level, harm, harm_place, .. } = case;
    let Submission { child, further_children, agreement, duty_decision, purpose, addressed_to, .. } = case;
    let said = &form.circumstances;
    let Circumstances { other_holder_refused, reporter, accused_controls_feedback, employer, contacts_in_28_days, .. } =
        &case.circumstances;
    let Circumstances { claimed_basis, possibly_related, by_telephone, rating, happened, referral_received, .. } =
        &case.circumstances;
    let Circumstances { next_school_day, outcome, reply_to, tell, .. } = &case.circumstances;
    let children = std::iter::once(child).chain(further_children);
    let form_children: Vec<&Child> = std::iter::once(&form.child).chain(&form.further_children).collect();
    let is_same = |part: fn(&Child, &Child) -> bool| {
        children.clone().count() == form_children.len()
            && children.clone().zip(&form_children).all(|(case, form)| part(case, form))
    };
    let conditions = |submission: &Submission| -> BTreeSet<HandlingFlag> {
        let of_items = submission.items.iter().flat_map(|item| item.handling.clone());
        submission.handling.iter().copied().chain(of_items).collect()
    };
    let categories = |submission: &Submission| -> BTreeSet<_> {
        submission.split().iter().flat_map(|referral| referral.items.iter().map(|item| item.category)).collect()
    };
    // What for is asked of information only (TC-05); a form that asks for help says it by what it is.
    let has_conditions = || {
        let beyond: BTreeSet<_> = conditions(form).difference(&conditions(case)).copied().collect();
        conditions(case).is_subset(&conditions(form)) && beyond.iter().all(|flag| *flag == HandlingFlag::PoliceHandlingP)
    };
    let has_purpose = purpose.is_none() || form.purpose.is_some() || *level != Level::Information;
    [
        ("kind", *kind == form.kind),
        ("level", *level == form.level),
        ("harm", *harm == form.harm && *harm_place == form.harm_place),
        ("children", is_same(|_, _| true)),
        ("identity", is_same(|case, form| case.identity == form.identity)),
        ("places", is_same(|case, form| case.places == form.places)),
        ("child.circumstances", is_same(|case, form| says_of_child(&case.circumstances, &form.circumstances))),
        ("agreement", *agreement == form.agreement),
        ("duty_decision", *duty_decision == form.duty_decision),
        ("purpose", has_purpose),
        ("addressed_to", *addressed_to == form.addressed_to),
        ("handling", has_conditions()),
        ("items", categories(case).is_subset(&categories(form))),
        ("other_holder_refused", *other_holder_refused == said.other_holder_refused),
        ("reporter", *reporter == said.reporter),
        ("accused_controls_feedback", *accused_controls_feedback == said.accused_controls_feedback),
        ("employer", *employer == said.employer),
        ("contacts_in_28_days", *contacts_in_28_days == said.contacts_in_28_days),
        ("claimed_basis", *claimed_basis == said.claimed_basis),
        ("possibly_related", *possibly_related == said.possibly_related),
        ("by_telephone", *by_telephone == said.by_telephone),
        ("rating", *rating == said.rating),
        ("happened", *happened == said.happened || happened.is_none() && said.happened == Some(*received)),
        ("referral_received", *referral_received == said.referral_received),
        ("next_school_day", *next_school_day == said.next_school_day),
        ("outcome", *outcome == said.outcome),
        ("reply_to", *reply_to == said.reply_to),
        ("tell", *tell == said.tell),
    ]
    .into_iter()
    .filter_map(|(part, is_said)| (!is_said).then_some(part))
    .collect()
}

fn says_of_child(case: &ChildCircumstances, form: &ChildCircumstances) -> bool {
    let school = case.school.clone().or(form.school.clone());
    ChildCircumstances { school, ..case.clone() } == *form
}
