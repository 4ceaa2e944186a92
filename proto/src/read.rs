//! Wire to domain. Total: whatever bytes come, an answer comes; what is refused names every wrong field at
//! once and repeats no value.

use std::fmt;

use jiff::civil::Date;
use prost::Message;
use referral::identifiers::{GssCode, Malformed, NhsNumber, Postcode, Upn, Uprn, Urn};
use referral::submission::{
    Address, Age, Arrival, Body, Checked, Child, ChildCircumstances, ChildStatus, Circumstances, ConsentWithdrawal, Disagreement,
    Field, FrontDoorAnswer, Identity, Item, Places, Practitioner, Says, Submission, What,
};
use referral::time::london_date;
use referral::vocab::{Category, HandlingFlag, Level};
use referral::{DeliveryId, Digest, Endpoint, IdempotencyKey, Moment, ReferralId, Sealed};

use crate::wire::{common::v1 as common, events::v1 as events};
use crate::words::{NotAWord, Word};

/// The largest message we take, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The longest free text, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The longest name, role, telephone number or other short text, in bytes.
pub const SHORT_TEXT_BYTES_MAX: usize = 1024;
/// The most items of information in one submission.
pub const ITEMS_MAX: usize = 200;
/// The most named values in one item.
pub const FIELDS_MAX: usize = 64;
/// The longest name of a named value, in bytes.
pub const FIELD_NAME_BYTES_MAX: usize = 64;
/// The most further children in one submission.
pub const FURTHER_CHILDREN_MAX: usize = 19;
/// The most handling conditions in one place.
pub const HANDLING_MAX: usize = 32;
/// The most parties that a sender may ask to be told.
pub const TELL_MAX: usize = 16;
/// The oldest age that is believed, in years.
pub const AGE_YEARS_MAX: u32 = 120;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, such as `content.child.identity.nhs_number`.
    pub field: String,
    /// Which rule it breaks: a rule's id, or `required`, `vocabulary`, `limit`, `form`.
    pub rule: &'static str,
    /// What is wrong, to be read after the field's name. Never repeats a value.
    pub because: String,
}

/// All that is wrong with a message; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<Violation>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, violation) in self.0.iter().enumerate() {
            write!(f, "{}{} {}", if at == 0 { "" } else { "; " }, violation.field, violation.because)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Why a message on the intake cannot be read. Such a message ends in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is longer than anything a door would have put there.
    TooLarge,
    /// It is not protobuf, or not of this type.
    NotProtobuf,
    /// It is sealed, and no key of ours opens it.
    Sealed,
    /// It has no body, or an event of a kind this edition does not know.
    NoEvent,
    /// It does not say who sent it, for which referral, or when, in a form that can be read.
    Unlabelled,
    /// It says that it is about another referral than its content is.
    Mislabelled,
    /// Its content breaks the contract.
    Invalid(Invalid),
}

impl Unreadable {
    /// The reason as one stable word, for records and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Unreadable::TooLarge => "too_large",
            Unreadable::NotProtobuf => "not_protobuf",
            Unreadable::Sealed => "sealed",
            Unreadable::NoEvent => "no_event",
            Unreadable::Unlabelled => "unlabelled",
            Unreadable::Mislabelled => "mislabelled",
            Unreadable::Invalid(_) => "invalid",
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::TooLarge => write!(f, "the message is longer than {MESSAGE_BYTES_MAX} bytes and what the envelope adds"),
            Unreadable::NotProtobuf => f.write_str("the message is not an intake message in protobuf"),
            Unreadable::Sealed => f.write_str("the message is sealed and there is no key to open it"),
            Unreadable::NoEvent => f.write_str("the message holds no event that this edition knows"),
            Unreadable::Unlabelled => f.write_str("the message does not say who sent it, about which referral, or when"),
            Unreadable::Mislabelled => f.write_str("the message is labelled with another referral than its content has"),
            Unreadable::Invalid(invalid) => write!(f, "the message breaks the contract: {invalid}"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// What the envelope and the event around a submission may add to it, in bytes.
const ENVELOPE_BYTES_MAX: usize = 4 * 1024;

/// Reads what lay on an intake queue.
pub fn arrival(bytes: &[u8]) -> Result<Arrival, Unreadable> {
    if bytes.len() > MESSAGE_BYTES_MAX + ENVELOPE_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let intake = events::Intake::decode(bytes).map_err(|_| Unreadable::NotProtobuf)?;
    let body = match intake.body {
        Some(events::intake::Body::Plain(body)) => body,
        Some(events::intake::Body::Sealed(_)) => return Err(Unreadable::Sealed),
        None => return Err(Unreadable::NoEvent),
    };
    let event = events::Event::decode(body.as_slice()).map_err(|_| Unreadable::NotProtobuf)?;
    let event = event.event.ok_or(Unreadable::NoEvent)?;

    let from = Endpoint::parse(&intake.sender).map_err(|_| Unreadable::Unlabelled)?;
    let labelled = ReferralId::parse(&intake.referral_id).map_err(|_| Unreadable::Unlabelled)?;
    let received = intake.received.as_ref().and_then(moment).ok_or(Unreadable::Unlabelled)?;
    let what = match &event {
        events::event::Event::Submitted(event) => {
            submitted(&from, received, event).map(|content| What::Submitted(Box::new(content)))
        }
        events::event::Event::Amended(event) => amended(&from, received, event),
        events::event::Event::Withdrawn(event) => withdrawn(event),
        events::event::Event::Answered(event) => answered(&from, event),
        events::event::Event::Disagreed(event) => disagreed(&from, event),
        events::event::Event::ConsentWithdrawn(event) => consent_withdrawn(&from, event),
    };
    let what = what.map_err(Unreadable::Invalid)?;
    if what.referral() != labelled {
        return Err(Unreadable::Mislabelled);
    }
    Ok(Arrival { from, received, what })
}

/// Reads the content of a submission by `sender` under `key`. Field paths begin with `content`.
pub fn submission(
    sender: &Endpoint,
    key: IdempotencyKey,
    received: Moment,
    content: &common::Submission,
) -> Result<Submission, Invalid> {
    let mut faults = Faults::default();
    let read = read_submission(&mut faults, sender, key, received, content);
    faults.or(read)
}

/// Reads a submission with its key.
pub fn submitted(sender: &Endpoint, received: Moment, event: &events::Submitted) -> Result<Submission, Invalid> {
    let mut faults = Faults::default();
    let key = read_key(&mut faults, &event.idempotency_key);
    let key = key.unwrap_or_else(no_key);
    let content = faults.needed("content", event.content.as_ref());
    let read = content.and_then(|content| read_submission(&mut faults, sender, key, received, content));
    faults.or(read)
}

/// Reads an amendment.
pub fn amended(sender: &Endpoint, received: Moment, event: &events::Amended) -> Result<What, Invalid> {
    let mut faults = Faults::default();
    let referral = faults.parsed("referral_id", &event.referral_id, ReferralId::parse);
    let key = read_key(&mut faults, &event.idempotency_key);
    let key = key.unwrap_or_else(no_key);
    let content = faults.needed("content", event.content.as_ref());
    let submission = content.and_then(|content| read_submission(&mut faults, sender, key, received, content));
    let read =
        referral.zip(submission).map(|(referral, submission)| What::Amended { referral, submission: Box::new(submission) });
    faults.or(read)
}

/// Reads a withdrawal.
pub fn withdrawn(event: &events::Withdrawn) -> Result<What, Invalid> {
    let mut faults = Faults::default();
    let referral = faults.parsed("referral_id", &event.referral_id, ReferralId::parse);
    let by = read_practitioner(&mut faults, "by", event.by.as_ref());
    let reason = faults.needed_text("reason", &event.reason, TEXT_BYTES_MAX);
    let read = referral.zip(by).zip(reason).map(|((referral, by), reason)| What::Withdrawn { referral, by, reason });
    faults.or(read)
}

/// Reads a front door's answer. A person who answers needs a role as well as a name (P7).
pub fn answered(from: &Endpoint, event: &events::Answered) -> Result<What, Invalid> {
    let mut faults = Faults::default();
    let referral = faults.parsed("referral_id", &event.referral_id, ReferralId::parse);
    let delivery = faults.parsed("delivery_id", &event.delivery_id, DeliveryId::parse);
    let digest = read_digest(&mut faults, "digest", &event.digest);
    let by = read_practitioner(&mut faults, "by", event.by.as_ref());
    let says = match &event.says {
        None => faults.refuse("says", "required", "is missing"),
        Some(events::answered::Says::Collected(_)) => Some(Says::Collected),
        Some(events::answered::Says::Acknowledged(_)) => Some(Says::Acknowledged),
        Some(events::answered::Says::Decided(decided)) => {
            let outcome = faults.word("outcome", decided.outcome);
            let reason = faults.needed_text("reason", &decided.reason, TEXT_BYTES_MAX);
            outcome.zip(reason).map(|(outcome, reason)| Says::Decided { outcome, reason })
        }
        Some(events::answered::Says::AskedForMore(asked)) => {
            faults.needed_text("question", &asked.question, TEXT_BYTES_MAX).map(|question| Says::AskedForMore { question })
        }
        Some(events::answered::Says::TransferOffered(offered)) => {
            let to = faults.parsed("to_area", &offered.to_area, GssCode::parse);
            let reason = faults.needed_text("reason", &offered.reason, TEXT_BYTES_MAX);
            to.zip(reason).map(|(to, reason)| Says::TransferOffered { to, reason })
        }
        Some(events::answered::Says::TransferAccepted(_)) => Some(Says::TransferAccepted),
        Some(events::answered::Says::TransferRefused(refused)) => {
            faults.needed_text("reason", &refused.reason, TEXT_BYTES_MAX).map(|reason| Says::TransferRefused { reason })
        }
        Some(events::answered::Says::TransferWithdrawn(withdrawn)) => {
            faults.needed_text("reason", &withdrawn.reason, TEXT_BYTES_MAX).map(|reason| Says::TransferWithdrawn { reason })
        }
        Some(events::answered::Says::StrategyDiscussionHeld(held)) => {
            let enquiries_started = held.enquiries_started;
            read_date(&mut faults, "held_on", &held.held_on).map(|held| Says::StrategyDiscussionHeld { held, enquiries_started })
        }
        Some(events::answered::Says::StatusRecorded(recorded)) => {
            faults.needed("status", recorded.status.as_ref()).map(|status| {
                let common::ChildStatus { child_protection_plan, looked_after } = *status;
                Says::StatusRecorded(ChildStatus { child_protection_plan, looked_after })
            })
        }
        Some(events::answered::Says::ReferredOn(referred)) => {
            let to = faults.parsed("to", &referred.to, Endpoint::parse);
            let reason = faults.needed_text("reason", &referred.reason, TEXT_BYTES_MAX);
            to.zip(reason).map(|(to, reason)| Says::ReferredOn { to, reason })
        }
        Some(events::answered::Says::HandlingLifted(lifted)) => {
            let condition = faults.word("condition", lifted.condition);
            let reason = faults.needed_text("reason", &lifted.reason, TEXT_BYTES_MAX);
            condition.zip(reason).map(|(condition, reason)| Says::HandlingLifted { condition, reason })
        }
    };
    if let (Some(by), Some(says)) = (&by, &says)
        && *says != Says::Collected
        && by.role.open().trim().is_empty()
    {
        faults.add("by.role", "required", "is missing: a person who answers does so in a role");
    }
    let read = referral.zip(delivery).zip(digest).zip(by).zip(says).map(|((((referral, delivery), digest), by), says)| {
        What::Answered { referral, answer: FrontDoorAnswer { from: from.clone(), delivery, digest, by, says } }
    });
    faults.or(read)
}

/// Reads that agreement was withdrawn.
pub fn consent_withdrawn(from: &Endpoint, event: &events::ConsentWithdrawn) -> Result<What, Invalid> {
    let mut faults = Faults::default();
    let referral = faults.parsed("referral_id", &event.referral_id, ReferralId::parse);
    let by = read_practitioner(&mut faults, "by", event.by.as_ref());
    let holder = faults.word("withdrawn_by", event.withdrawn_by);
    let on = read_date(&mut faults, "withdrawn_on", &event.withdrawn_on);
    let reason = faults.text("reason", &event.reason, TEXT_BYTES_MAX);
    let read = referral.zip(by).zip(holder).zip(on).map(|(((referral, by), holder), on)| What::ConsentWithdrawn {
        referral,
        withdrawal: ConsentWithdrawal { from: from.clone(), by, holder, on, reason },
    });
    faults.or(read)
}

/// Reads a professional disagreement.
pub fn disagreed(from: &Endpoint, event: &events::Disagreed) -> Result<What, Invalid> {
    let mut faults = Faults::default();
    let referral = faults.parsed("referral_id", &event.referral_id, ReferralId::parse);
    let by = read_practitioner(&mut faults, "by", event.by.as_ref());
    let reason = faults.needed_text("reason", &event.reason, TEXT_BYTES_MAX);
    let is_immediate_danger = event.immediate_danger;
    let read = referral.zip(by).zip(reason).map(|((referral, by), reason)| What::Disagreed {
        referral,
        disagreement: Disagreement { from: from.clone(), by, reason, is_immediate_danger },
    });
    faults.or(read)
}

/// The moment of a timestamp, if it is one.
pub fn moment(timestamp: &prost_types::Timestamp) -> Option<Moment> {
    let nanos = u32::try_from(timestamp.nanos).ok().filter(|&nanos| nanos < 1_000_000_000)?;
    Moment::new(timestamp.seconds, i32::try_from(nanos).ok()?).ok()
}

/// The digest of a submission's content: SHA-256 of its encoding. Prost writes fields in the order of their
/// numbers and leaves out what is unset, and the content holds no map: the same content has the same bytes.
pub fn digest_of(content: &common::Submission) -> Digest {
    Digest::of_bytes(&content.encode_to_vec())
}

/// Stands in for a key that could not be read, so that the rest is read too. Never leaves this file: a fault
/// was recorded.
fn no_key() -> IdempotencyKey {
    IdempotencyKey::from_bytes([0; 16])
}

fn read_key(faults: &mut Faults, text: &str) -> Option<IdempotencyKey> {
    let key = faults.parsed("idempotency_key", text, IdempotencyKey::parse)?;
    if key == no_key() {
        return faults.refuse("idempotency_key", "form", "is all zeros: choose a random one for each submission");
    }
    Some(key)
}

fn read_digest(faults: &mut Faults, field: &str, bytes: &[u8]) -> Option<Digest> {
    match <[u8; 32]>::try_from(bytes) {
        Ok(bytes) => Some(Digest::from_bytes(bytes)),
        Err(_) => faults.refuse(field, "form", "is not a SHA-256 digest: it needs 32 bytes"),
    }
}

fn read_submission(
    faults: &mut Faults,
    sender: &Endpoint,
    key: IdempotencyKey,
    received: Moment,
    content: &common::Submission,
) -> Option<Submission> {
    let encoded = content.encode_to_vec();
    if encoded.len() > MESSAGE_BYTES_MAX {
        return faults.refuse("content", "limit", "is longer than 256 KiB: send long documents as attachments you hold");
    }
    let kind = faults.word("content.kind", content.kind);
    let level: Option<Level> = faults.word("content.level", content.level);
    let harm = faults.word("content.harm", content.harm);
    let harm_place = faults.word("content.harm_place", content.harm_place);
    let agreement = faults.word("content.agreement", content.agreement);
    let duty_decision = faults.word("content.duty_decision", content.duty_decision);

    // Without a level there is no telling whether a wrong identifier may pass; it is refused for the level.
    let reading = Reading { today: london_date(received), forgiving: level.is_none_or(Level::is_significant_harm_or_above) };
    let child = match faults.needed("content.child", content.child.as_ref()) {
        Some(child) => reading.child(faults, "content.child", child),
        None => None,
    };
    let further = faults.at_most("content.further_children", &content.further_children, FURTHER_CHILDREN_MAX);
    let further_children = each(further, |nth, child| reading.child(faults, &format!("content.further_children[{nth}]"), child));
    let children_count = content.further_children.len().saturating_add(1);

    let purpose = faults.text("content.purpose", &content.purpose, TEXT_BYTES_MAX);
    let addressed_to = faults.parsed_if_any("content.addressed_to", &content.addressed_to, Endpoint::parse);
    let handling = read_handling(faults, "content.handling", &content.handling);
    let referrer = read_practitioner(faults, "content.referrer", content.referrer.as_ref());
    let items = faults.at_most("content.items", &content.items, ITEMS_MAX);
    let items = each(items, |nth, item| read_item(faults, &format!("content.items[{nth}]"), item, children_count));
    let circumstances = match &content.circumstances {
        None => Some(Circumstances::default()),
        Some(said) => read_circumstances(faults, said),
    };

    Some(Submission {
        sender: sender.clone(),
        key,
        received,
        digest: Digest::of_bytes(&encoded),
        kind: kind?,
        level: level?,
        harm: harm?,
        harm_place: harm_place?,
        child: child?,
        further_children: further_children?,
        agreement: agreement?,
        duty_decision: duty_decision?,
        purpose,
        addressed_to,
        handling: handling?,
        referrer: referrer?,
        items: items?,
        circumstances: circumstances?,
    })
}

fn read_circumstances(faults: &mut Faults, said: &common::Circumstances) -> Option<Circumstances> {
    let at = |name: &str| format!("content.circumstances.{name}");
    let employer = faults.parsed_if_any(&at("employer_area"), &said.employer_area, GssCode::parse);
    let mut moment = |name: &str, text: &str| faults.moment_if_any(&at(name), text);
    let happened = moment("happened", &said.happened);
    let referral_received = moment("referral_received", &said.referral_received);
    let next_school_day = moment("next_school_day", &said.next_school_day);
    let reply_to = faults.parsed_if_any(&at("reply_to"), &said.reply_to, Endpoint::parse);
    let tell = faults.at_most(&at("tell"), &said.tell, TELL_MAX);
    let tell = each(tell, |nth, to| faults.parsed(&format!("content.circumstances.tell[{nth}]"), to, Endpoint::parse));
    let contacts = u16::try_from(said.contacts_in_28_days).ok();
    if contacts.is_none() {
        faults.add(&at("contacts_in_28_days"), "limit", "is more than 65535");
    }
    // Everything is read before anything is given up: all faults are named at once.
    let reporter = faults.word_if_any(&at("reporter"), said.reporter);
    let claimed_basis = faults.word_if_any(&at("claimed_basis"), said.claimed_basis);
    let rating = faults.word_if_any(&at("rating"), said.rating);
    let outcome = faults.word_if_any(&at("outcome"), said.outcome);
    Some(Circumstances {
        other_holder_refused: said.other_holder_refused,
        reporter,
        accused_controls_feedback: said.accused_controls_feedback,
        employer,
        contacts_in_28_days: contacts?,
        claimed_basis,
        possibly_related: said.possibly_related,
        by_telephone: said.by_telephone,
        rating,
        happened,
        referral_received,
        next_school_day,
        outcome,
        reply_to,
        tell: tell?,
    })
}

fn read_child_circumstances(faults: &mut Faults, field: &str, said: &common::ChildCircumstances) -> Option<ChildCircumstances> {
    let days = said.arrangement_days.map(|days| u16::try_from(days).ok());
    if days == Some(None) {
        faults.add(&format!("{field}.arrangement_days"), "limit", "is more than 65535");
    }
    Some(ChildCircumstances {
        looked_after: said.looked_after,
        age_disputed: said.age_disputed,
        deceased: said.deceased,
        disabled: said.disabled,
        home_educated: said.home_educated,
        inpatient: said.inpatient,
        non_mobile: said.non_mobile,
        school: faults.parsed_if_any(&format!("{field}.school_urn"), &said.school_urn, Urn::parse),
        arrangement_days: days.flatten(),
        carer: faults.word_if_any(&format!("{field}.carer"), said.carer),
        trace: faults.word_if_any(&format!("{field}.trace"), said.trace),
    })
}

fn read_practitioner(faults: &mut Faults, field: &str, practitioner: Option<&common::Practitioner>) -> Option<Practitioner> {
    let practitioner = faults.needed(field, practitioner)?;
    let name = faults.needed_text(&format!("{field}.name"), &practitioner.name, SHORT_TEXT_BYTES_MAX);
    let role = faults.text(&format!("{field}.role"), &practitioner.role, SHORT_TEXT_BYTES_MAX);
    let contact = faults.text(&format!("{field}.contact"), &practitioner.contact, SHORT_TEXT_BYTES_MAX);
    let or_empty = |text: Option<Sealed<String>>| text.unwrap_or_else(|| Sealed::from(""));
    Some(Practitioner { name: name?, role: or_empty(role), contact: or_empty(contact) })
}

fn read_handling(faults: &mut Faults, field: &str, handling: &[i32]) -> Option<Vec<HandlingFlag>> {
    let handling = faults.at_most(field, handling, HANDLING_MAX);
    each(handling, |nth, &flag| faults.word(&format!("{field}[{nth}]"), flag))
}

fn read_item(faults: &mut Faults, field: &str, item: &common::InformationItem, children_count: usize) -> Option<Item> {
    // A category from a later edition is not refused: it is carried, withheld from everybody and flagged (DM-15).
    let category = match Category::of(item.category) {
        Err(NotAWord::Unknown) => Some(Category::Unknown),
        Ok(_) | Err(NotAWord::Unspecified) => faults.word(&format!("{field}.category"), item.category),
    };
    let subject = faults.word(&format!("{field}.subject"), item.subject);
    let knowledge = faults.word(&format!("{field}.knowledge"), item.knowledge);
    let handling = read_handling(faults, &format!("{field}.handling"), &item.handling);
    let about_child = match item.about_child {
        None => Some(None),
        Some(nth) => match u16::try_from(nth) {
            Ok(about) if usize::from(about) < children_count => Some(Some(about)),
            _ => faults.refuse(&format!("{field}.about_child"), "RA-27", "is not a child of this submission: 0 is the first"),
        },
    };
    let summary = faults.text(&format!("{field}.summary"), &item.summary, TEXT_BYTES_MAX);
    let body = match &item.body {
        None => faults.refuse(&format!("{field}.body"), "required", "is missing: it needs text, fields or an attachment"),
        Some(common::information_item::Body::Text(text)) => {
            faults.needed_text(&format!("{field}.text"), text, TEXT_BYTES_MAX).map(Body::Text)
        }
        Some(common::information_item::Body::Fields(fields)) => read_fields(faults, &format!("{field}.fields.fields"), fields),
        Some(common::information_item::Body::Attachment(attachment)) => {
            read_attachment(faults, &format!("{field}.attachment"), attachment)
        }
    };
    Some(Item {
        category: category?,
        subject: subject?,
        knowledge: knowledge?,
        handling: handling?,
        about_child: about_child?,
        body: body?,
        summary,
    })
}

fn read_fields(faults: &mut Faults, field: &str, fields: &common::Fields) -> Option<Body> {
    let fields = faults.at_most(field, &fields.fields, FIELDS_MAX);
    let read = each(fields, |nth, named| {
        let mut name = Some(named.name.clone());
        if !is_field_name(&named.name) {
            // The name could be anything, a child's name among it: it is not repeated.
            name = faults.refuse(
                &format!("{field}[{nth}].name"),
                "form",
                "is not a field's name: a lower-case letter, then lower-case letters, digits and underscores, at most 64",
            );
        }
        let value = faults.sized(&format!("{field}[{nth}].value"), &named.value, TEXT_BYTES_MAX);
        name.zip(value).map(|(name, value)| Field { name, value: Sealed::from(value) })
    });
    read.map(Body::Fields)
}

fn is_field_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= FIELD_NAME_BYTES_MAX && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(fits)
}

fn read_attachment(faults: &mut Faults, field: &str, attachment: &common::Attachment) -> Option<Body> {
    let reference = faults.needed_text(&format!("{field}.reference"), &attachment.reference, SHORT_TEXT_BYTES_MAX);
    let mut media_type = Some(attachment.media_type.clone());
    if !is_media_type(&attachment.media_type) {
        media_type = faults.refuse(&format!("{field}.media_type"), "form", "is not a media type such as application/pdf");
    }
    let digest = read_digest(faults, &format!("{field}.sha256"), &attachment.sha256);
    reference.zip(media_type).zip(digest).map(|((reference, media_type), digest)| Body::Attachment {
        reference,
        media_type,
        digest,
    })
}

fn is_media_type(text: &str) -> bool {
    let fits = |part: &str| {
        (1..=64).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    text.split_once('/').is_some_and(|(kind, of)| fits(kind) && fits(of))
}

/// What the reading of a child depends on.
struct Reading {
    /// The London date of receipt.
    today: Date,
    /// At significant harm or above a wrong identifier is flagged and the referral goes (ID-04).
    forgiving: bool,
}

impl Reading {
    fn child(&self, faults: &mut Faults, field: &str, child: &common::Child) -> Option<Child> {
        let identity = match faults.needed(&format!("{field}.identity"), child.identity.as_ref()) {
            Some(identity) => self.identity(faults, &format!("{field}.identity"), identity),
            None => None,
        };
        let address = child.address.as_ref().map(|address| self.address(faults, &format!("{field}.address"), address));
        let places = child.places.as_ref().map(|places| read_places(faults, &format!("{field}.places"), places));
        let circumstances = match &child.circumstances {
            None => Some(ChildCircumstances::default()),
            Some(said) => read_child_circumstances(faults, &format!("{field}.circumstances"), said),
        };
        Some(Child { identity: identity?, address, places: places.unwrap_or_default(), circumstances: circumstances? })
    }

    fn identity(&self, faults: &mut Faults, field: &str, identity: &common::Identity) -> Option<Identity> {
        let mut short = |name: &str, text: &str| faults.text(&format!("{field}.{name}"), text, SHORT_TEXT_BYTES_MAX);
        let given_name = short("given_name", &identity.given_name);
        let family_name = short("family_name", &identity.family_name);
        let also_known_as = short("also_known_as", &identity.also_known_as);
        let sex = short("sex", &identity.sex);
        let age = self.age(faults, field, identity.age.as_ref());
        // Told apart by name and age, the child needs no identifier: a wrong one is flagged, not refused.
        let is_named = family_name.is_some() && age.as_ref().is_some_and(|age| *age != Age::NotStated);
        let reading = Reading { forgiving: self.forgiving || is_named, ..*self };
        let nhs_number = reading.checked(faults, &format!("{field}.nhs_number"), "ID-01", &identity.nhs_number, NhsNumber::parse);
        let upn = reading.checked(faults, &format!("{field}.upn"), "ID-02", &identity.upn, Upn::parse);
        let mother = &identity.mother_nhs_number;
        let mother_nhs_number = reading.checked(faults, &format!("{field}.mother_nhs_number"), "ID-01", mother, NhsNumber::parse);
        Some(Identity { given_name, family_name, also_known_as, age: age?, sex, nhs_number, upn, mother_nhs_number })
    }

    fn age(&self, faults: &mut Faults, field: &str, age: Option<&common::identity::Age>) -> Option<Age> {
        match age {
            None => Some(Age::NotStated),
            Some(common::identity::Age::DateOfBirth(text)) => {
                let born = read_date(faults, &format!("{field}.date_of_birth"), text)?;
                if born > self.today {
                    return faults.refuse(
                        &format!("{field}.date_of_birth"),
                        "RA-14",
                        "is in the future; for an unborn child give the expected date of delivery",
                    );
                }
                Some(Age::Born(Sealed::new(born)))
            }
            Some(common::identity::Age::ExpectedDeliveryDate(text)) => {
                let expected = read_date(faults, &format!("{field}.expected_delivery_date"), text)?;
                Some(Age::Expected(Sealed::new(expected)))
            }
            Some(common::identity::Age::AboutYears(years)) => match u8::try_from(*years) {
                Ok(about) if *years <= AGE_YEARS_MAX => Some(Age::About(about)),
                _ => faults.refuse(&format!("{field}.about_years"), "limit", "is more than 120 years"),
            },
        }
    }

    /// An identifier of the child: a wrong one is refused below significant harm where nothing else tells the child
    /// apart, and otherwise kept as it came (ID-04).
    fn checked<T>(
        &self,
        faults: &mut Faults,
        field: &str,
        rule: &'static str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Option<Checked<T>> {
        let text = faults.text(field, text, SHORT_TEXT_BYTES_MAX)?;
        let checked = Checked::new(text.open(), parse);
        if let Some(why) = checked.fault()
            && !self.forgiving
        {
            faults.add(field, rule, &why.to_string());
        }
        Some(checked)
    }

    fn address(&self, faults: &mut Faults, field: &str, address: &common::Address) -> Address {
        let mut kept = Vec::new();
        let lines = faults.text(&format!("{field}.lines"), &address.lines, TEXT_BYTES_MAX);
        kept.extend(lines.map(|lines| lines.open().clone()));
        let postcode = self.located(faults, &format!("{field}.postcode"), &address.postcode, Postcode::parse, &mut kept);
        let uprn = self.located(faults, &format!("{field}.uprn"), &address.uprn, Uprn::parse, &mut kept);
        let telephone = faults.text(&format!("{field}.telephone"), &address.telephone, SHORT_TEXT_BYTES_MAX);
        Address { lines: Sealed::new(kept.join("\n")), postcode, uprn, telephone, protected: address.protected }
    }

    /// A part of an address. A wrong one is refused below significant harm; above, it is kept among the lines,
    /// where a person sees it, and no rule takes it for a place.
    fn located<T>(
        &self,
        faults: &mut Faults,
        field: &str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, Malformed>,
        kept: &mut Vec<String>,
    ) -> Option<T> {
        let text = faults.text(field, text, SHORT_TEXT_BYTES_MAX)?;
        match parse(text.open()) {
            Ok(read) => Some(read),
            Err(why) if !self.forgiving => faults.refuse(field, "ID-04", &why.to_string()),
            Err(_) => {
                kept.push(text.open().clone());
                None
            }
        }
    }
}

/// The areas decide who receives the referral, so a wrong code is refused at every level: at once, to the
/// sender's face, rather than a child's referral going by a guess (P4).
fn read_places(faults: &mut Faults, field: &str, places: &common::Places) -> Places {
    let mut area = |name: &str, code: &str| faults.parsed_if_any(&format!("{field}.{name}"), code, GssCode::parse);
    Places {
        home: area("home", &places.home),
        located: area("located", &places.located),
        placing: area("placing", &places.placing),
        plan_holder: area("plan_holder", &places.plan_holder),
        enquiry: area("enquiry", &places.enquiry),
        open_case: area("open_case", &places.open_case),
        other_home: area("other_home", &places.other_home),
    }
}

fn read_date(faults: &mut Faults, field: &str, text: &str) -> Option<Date> {
    let shaped = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match text.parse() {
        Ok(date) if shaped => Some(date),
        _ => faults.refuse(field, "form", "is not a date of the calendar in the form 2014-02-02"),
    }
}

/// Reads every element, so that all faults are found; gives them only if all could be read.
fn each<T, U>(elements: &[T], mut read: impl FnMut(usize, &T) -> Option<U>) -> Option<Vec<U>> {
    let read: Vec<Option<U>> = elements.iter().enumerate().map(|(nth, element)| read(nth, element)).collect();
    read.into_iter().collect()
}

/// Collects what is wrong while reading goes on.
#[derive(Default)]
struct Faults(Vec<Violation>);

impl Faults {
    fn add(&mut self, field: &str, rule: &'static str, because: &str) {
        self.0.push(Violation { field: field.to_owned(), rule, because: because.to_owned() });
    }

    fn refuse<T>(&mut self, field: &str, rule: &'static str, because: &str) -> Option<T> {
        self.add(field, rule, because);
        None
    }

    /// What was read, unless something was wrong.
    fn or<T>(mut self, read: Option<T>) -> Result<T, Invalid> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => {
                if self.0.is_empty() {
                    self.add("content", "form", "could not be read");
                }
                Err(Invalid(self.0))
            }
        }
    }

    fn needed<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        value.or_else(|| self.refuse(field, "required", "is missing"))
    }

    fn word<W: Word>(&mut self, field: &str, number: i32) -> Option<W> {
        match W::of(number) {
            Ok(word) => Some(word),
            Err(NotAWord::Unspecified) => self.refuse(field, "required", "is missing: zero is not an answer"),
            Err(NotAWord::Unknown) => self.refuse(field, "vocabulary", "is not a word that this edition of the contract knows"),
        }
    }

    /// A word that may be left out.
    fn word_if_any<W: Word>(&mut self, field: &str, number: i32) -> Option<W> {
        if number == 0 { None } else { self.word(field, number) }
    }

    /// A moment that may be left out.
    fn moment_if_any(&mut self, field: &str, text: &str) -> Option<Moment> {
        if text.is_empty() {
            return None;
        }
        let read = text.parse().ok();
        read.or_else(|| self.refuse(field, "form", "is not a moment in the form 2026-11-23T10:00:00Z"))
    }

    fn sized(&mut self, field: &str, text: &str, bytes_max: usize) -> Option<String> {
        if text.len() > bytes_max {
            return self.refuse(field, "limit", &format!("is longer than {bytes_max} bytes"));
        }
        Some(text.to_owned())
    }

    /// A text that may be missing; one of blanks only is.
    fn text(&mut self, field: &str, text: &str, bytes_max: usize) -> Option<Sealed<String>> {
        let text = self.sized(field, text, bytes_max)?;
        (!text.trim().is_empty()).then(|| Sealed::new(text))
    }

    fn needed_text(&mut self, field: &str, text: &str, bytes_max: usize) -> Option<Sealed<String>> {
        let text = self.sized(field, text, bytes_max)?;
        if text.trim().is_empty() {
            return self.refuse(field, "required", "is missing");
        }
        Some(Sealed::new(text))
    }

    fn parsed<T>(&mut self, field: &str, text: &str, parse: impl Fn(&str) -> Result<T, Malformed>) -> Option<T> {
        if text.is_empty() {
            return self.refuse(field, "required", "is missing");
        }
        parse(text).map_or_else(|why| self.refuse(field, "form", &why.to_string()), Some)
    }

    fn parsed_if_any<T>(&mut self, field: &str, text: &str, parse: impl Fn(&str) -> Result<T, Malformed>) -> Option<T> {
        if text.is_empty() { None } else { self.parsed(field, text, parse) }
    }

    /// The elements, or none of them if there are too many to look at.
    fn at_most<'a, T>(&mut self, field: &str, elements: &'a [T], count_max: usize) -> &'a [T] {
        if elements.len() > count_max {
            self.add(field, "limit", &format!("has more than {count_max} elements"));
            return &[];
        }
        elements
    }
}
