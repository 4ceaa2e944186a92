//! Domain to wire. Cannot fail: whatever the core holds has a place in the contract.

use prost::Message;
use referral::submission::{
    Address, Age, Arrival, Body, Checked, Child, ChildCircumstances, ChildStatus, Circumstances, FrontDoorAnswer, Identity, Item,
    Places, Practitioner, Says, Submission, What,
};
use referral::vocab::HandlingFlag;
use referral::{Endpoint, Moment, ReferralId, Sealed};

use crate::wire::{common::v1 as common, events::v1 as events};
use crate::words::Word;

/// A moment as a protobuf timestamp.
pub fn timestamp(moment: Moment) -> prost_types::Timestamp {
    // A timestamp's nanoseconds count forwards from its second; jiff's count towards zero before 1970.
    let nanos = moment.subsec_nanosecond();
    if nanos < 0 {
        prost_types::Timestamp { seconds: moment.as_second().saturating_sub(1), nanos: nanos.saturating_add(1_000_000_000) }
    } else {
        prost_types::Timestamp { seconds: moment.as_second(), nanos }
    }
}

/// An intake message around an event, encoded.
pub fn intake(
    from: &Endpoint,
    referral: ReferralId,
    received: Moment,
    traceparent: &str,
    event: events::event::Event,
) -> Vec<u8> {
    let event = events::Event { event: Some(event) };
    events::Intake {
        sender: from.to_string(),
        referral_id: referral.to_string(),
        received: Some(timestamp(received)),
        traceparent: traceparent.to_owned(),
        body: Some(events::intake::Body::Plain(event.encode_to_vec())),
    }
    .encode_to_vec()
}

/// An arrival as it lay on the intake, encoded.
pub fn arrival(arrival: &Arrival, traceparent: &str) -> Vec<u8> {
    intake(&arrival.from, arrival.what.referral(), arrival.received, traceparent, event(&arrival.what))
}

/// What arrived, as an event.
pub fn event(what: &What) -> events::event::Event {
    match what {
        What::Submitted(content) => events::event::Event::Submitted(events::Submitted {
            idempotency_key: content.key.to_string(),
            content: Some(submission(content)),
        }),
        What::Amended { referral, submission: content } => events::event::Event::Amended(events::Amended {
            referral_id: referral.to_string(),
            idempotency_key: content.key.to_string(),
            content: Some(submission(content)),
        }),
        What::Withdrawn { referral, by, reason } => events::event::Event::Withdrawn(events::Withdrawn {
            referral_id: referral.to_string(),
            by: Some(practitioner(by)),
            reason: reason.open().clone(),
        }),
        What::Answered { referral, answer } => events::event::Event::Answered(answered(*referral, answer)),
        What::ConsentWithdrawn { referral, withdrawal } => events::event::Event::ConsentWithdrawn(events::ConsentWithdrawn {
            referral_id: referral.to_string(),
            by: Some(practitioner(&withdrawal.by)),
            withdrawn_by: withdrawal.holder.number(),
            withdrawn_on: withdrawal.on.to_string(),
            reason: or_empty(&withdrawal.reason),
        }),
        What::Disagreed { referral, disagreement } => events::event::Event::Disagreed(events::Disagreed {
            referral_id: referral.to_string(),
            by: Some(practitioner(&disagreement.by)),
            reason: disagreement.reason.open().clone(),
            immediate_danger: disagreement.is_immediate_danger,
        }),
    }
}

fn answered(referral: ReferralId, answer: &FrontDoorAnswer) -> events::Answered {
    events::Answered {
        referral_id: referral.to_string(),
        delivery_id: answer.delivery.to_string(),
        digest: answer.digest.as_bytes().to_vec(),
        by: Some(practitioner(&answer.by)),
        says: Some(says(&answer.says)),
    }
}

fn says(says: &Says) -> events::answered::Says {
    use events::answered::Says as Wire;
    let text = |text: &Sealed<String>| text.open().clone();
    match says {
        Says::Collected => Wire::Collected(events::Collected {}),
        Says::Acknowledged => Wire::Acknowledged(events::Acknowledged {}),
        Says::Decided { outcome, reason } => Wire::Decided(events::Decided { outcome: outcome.number(), reason: text(reason) }),
        Says::AskedForMore { question } => Wire::AskedForMore(events::AskedForMore { question: text(question) }),
        Says::TransferOffered { to, reason } => {
            Wire::TransferOffered(events::TransferOffered { to_area: to.to_string(), reason: text(reason) })
        }
        Says::TransferAccepted => Wire::TransferAccepted(events::TransferAccepted {}),
        Says::TransferRefused { reason } => Wire::TransferRefused(events::TransferRefused { reason: text(reason) }),
        Says::TransferWithdrawn { reason } => Wire::TransferWithdrawn(events::TransferWithdrawn { reason: text(reason) }),
        Says::StrategyDiscussionHeld { held, enquiries_started } => {
            Wire::StrategyDiscussionHeld(events::StrategyDiscussionHeld {
                held_on: held.to_string(),
                enquiries_started: *enquiries_started,
            })
        }
        Says::StatusRecorded(status) => Wire::StatusRecorded(events::StatusRecorded { status: Some(child_status(*status)) }),
        Says::ReferredOn { to, reason } => Wire::ReferredOn(events::ReferredOn { to: to.to_string(), reason: text(reason) }),
        Says::HandlingLifted { condition, reason } => {
            Wire::HandlingLifted(events::HandlingLifted { condition: condition.number(), reason: text(reason) })
        }
    }
}

/// How a child stands with an authority.
pub(crate) fn child_status(status: ChildStatus) -> common::ChildStatus {
    let ChildStatus { child_protection_plan, looked_after } = status;
    common::ChildStatus { child_protection_plan, looked_after }
}

/// The content of a submission.
pub fn submission(submission: &Submission) -> common::Submission {
    common::Submission {
        kind: submission.kind.number(),
        level: submission.level.number(),
        harm: submission.harm.number(),
        harm_place: submission.harm_place.number(),
        child: Some(child(&submission.child)),
        further_children: submission.further_children.iter().map(child).collect(),
        agreement: submission.agreement.number(),
        duty_decision: submission.duty_decision.number(),
        purpose: or_empty(&submission.purpose),
        addressed_to: submission.addressed_to.as_ref().map(Endpoint::to_string).unwrap_or_default(),
        handling: handling(&submission.handling),
        referrer: Some(practitioner(&submission.referrer)),
        items: submission.items.iter().map(item).collect(),
        // Left out when nothing is said, as a sender would.
        circumstances: (submission.circumstances != Circumstances::default()).then(|| circumstances(&submission.circumstances)),
    }
}

fn circumstances(said: &Circumstances) -> common::Circumstances {
    let moment = |moment: &Option<referral::Moment>| moment.as_ref().map(ToString::to_string).unwrap_or_default();
    common::Circumstances {
        other_holder_refused: said.other_holder_refused,
        reporter: word(said.reporter),
        accused_controls_feedback: said.accused_controls_feedback,
        employer_area: said.employer.as_ref().map(ToString::to_string).unwrap_or_default(),
        contacts_in_28_days: u32::from(said.contacts_in_28_days),
        claimed_basis: word(said.claimed_basis),
        possibly_related: said.possibly_related,
        by_telephone: said.by_telephone,
        rating: word(said.rating),
        happened: moment(&said.happened),
        referral_received: moment(&said.referral_received),
        next_school_day: moment(&said.next_school_day),
        outcome: word(said.outcome),
        reply_to: said.reply_to.as_ref().map(Endpoint::to_string).unwrap_or_default(),
        tell: said.tell.iter().map(Endpoint::to_string).collect(),
    }
}

fn child_circumstances(said: &ChildCircumstances) -> common::ChildCircumstances {
    common::ChildCircumstances {
        looked_after: said.looked_after,
        age_disputed: said.age_disputed,
        deceased: said.deceased,
        disabled: said.disabled,
        home_educated: said.home_educated,
        inpatient: said.inpatient,
        non_mobile: said.non_mobile,
        school_urn: said.school.as_ref().map(ToString::to_string).unwrap_or_default(),
        arrangement_days: said.arrangement_days.map(u32::from),
        carer: word(said.carer),
        trace: word(said.trace),
    }
}

/// A word's number, or zero where nothing was said.
fn word<W: Word>(word: Option<W>) -> i32 {
    word.map_or(0, W::number)
}

/// A named person.
pub fn practitioner(practitioner: &Practitioner) -> common::Practitioner {
    common::Practitioner {
        name: practitioner.name.open().clone(),
        role: practitioner.role.open().clone(),
        contact: practitioner.contact.open().clone(),
    }
}

/// An item of information.
pub fn item(item: &Item) -> common::InformationItem {
    common::InformationItem {
        category: item.category.number(),
        subject: item.subject.number(),
        knowledge: item.knowledge.number(),
        handling: handling(&item.handling),
        about_child: item.about_child.map(u32::from),
        summary: or_empty(&item.summary),
        body: Some(body(&item.body)),
    }
}

/// Handling conditions.
pub fn handling(flags: &[HandlingFlag]) -> Vec<i32> {
    flags.iter().map(|flag| flag.number()).collect()
}

pub(crate) fn body(body: &Body) -> common::information_item::Body {
    match body {
        Body::Text(text) => common::information_item::Body::Text(text.open().clone()),
        Body::Fields(fields) => common::information_item::Body::Fields(common::Fields {
            fields: fields
                .iter()
                .map(|field| common::Field { name: field.name.clone(), value: field.value.open().clone() })
                .collect(),
        }),
        Body::Attachment { reference, media_type, digest } => common::information_item::Body::Attachment(common::Attachment {
            reference: reference.open().clone(),
            media_type: media_type.clone(),
            sha256: digest.as_bytes().to_vec(),
        }),
    }
}

fn child(child: &Child) -> common::Child {
    common::Child {
        identity: Some(identity(&child.identity)),
        address: child.address.as_ref().map(address),
        // Left out when nothing is said, as a sender would.
        places: (child.places != Places::default()).then(|| places(&child.places)),
        circumstances: (child.circumstances != ChildCircumstances::default()).then(|| child_circumstances(&child.circumstances)),
    }
}

fn identity(identity: &Identity) -> common::Identity {
    common::Identity {
        given_name: or_empty(&identity.given_name),
        family_name: or_empty(&identity.family_name),
        also_known_as: or_empty(&identity.also_known_as),
        sex: or_empty(&identity.sex),
        nhs_number: checked(&identity.nhs_number, |number| number.as_str()),
        upn: checked(&identity.upn, |upn| upn.as_str()),
        mother_nhs_number: checked(&identity.mother_nhs_number, |number| number.as_str()),
        age: match &identity.age {
            Age::Born(date) => Some(common::identity::Age::DateOfBirth(date.open().to_string())),
            Age::Expected(date) => Some(common::identity::Age::ExpectedDeliveryDate(date.open().to_string())),
            Age::About(years) => Some(common::identity::Age::AboutYears(u32::from(*years))),
            Age::NotStated => None,
        },
    }
}

fn checked<T>(identifier: &Option<Checked<T>>, as_str: impl Fn(&T) -> &str) -> String {
    match identifier {
        Some(Checked::Valid(identifier)) => as_str(identifier).to_owned(),
        Some(Checked::Invalid(as_it_came, _)) => as_it_came.open().clone(),
        None => String::new(),
    }
}

fn address(address: &Address) -> common::Address {
    common::Address {
        lines: address.lines.open().clone(),
        postcode: address.postcode.as_ref().map(|postcode| postcode.as_str().to_owned()).unwrap_or_default(),
        uprn: address.uprn.as_ref().map(|uprn| uprn.as_str().to_owned()).unwrap_or_default(),
        telephone: or_empty(&address.telephone),
        protected: address.protected,
    }
}

fn places(places: &Places) -> common::Places {
    let code = |code: &Option<referral::identifiers::GssCode>| code.as_ref().map(ToString::to_string).unwrap_or_default();
    common::Places {
        home: code(&places.home),
        located: code(&places.located),
        placing: code(&places.placing),
        plan_holder: code(&places.plan_holder),
        enquiry: code(&places.enquiry),
        open_case: code(&places.open_case),
        other_home: code(&places.other_home),
    }
}

fn or_empty(text: &Option<Sealed<String>>) -> String {
    text.as_ref().map(|text| text.open().clone()).unwrap_or_default()
}
