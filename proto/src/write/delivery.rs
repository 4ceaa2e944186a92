//! What one recipient reads: a disclosure or a notice, with a rendering for those without a system of their own.

use std::fmt::Write as _;

use prost::Message;
use referral::disclosure::{DisclosedItem, Disclosure, Matter, Notice};
use referral::rules::Role;
use referral::rules::pack::Extent;
use referral::submission::Body;
use referral::time::{london_date, london_time};
use referral::vocab::{Subject, Vocabulary};
use referral::{Digest, Endpoint, Moment, ReferralId};

use super::{handling, progress, timestamp};
use crate::wire::{common::v1 as common, delivery::v1 as wire};
use crate::words::Word;

/// A delivery as it goes on the recipient's queue.
pub struct Encoded {
    /// The envelope: the body of the AMQP message.
    pub envelope: Vec<u8>,
    /// The digest that an answer must name: SHA-256 of the encoded delivery inside.
    pub digest: Digest,
}

/// A disclosure, encoded.
pub fn disclosure(disclosure: &Disclosure) -> Encoded {
    encoded(&wire::Delivery {
        delivery_id: disclosure.delivery().to_string(),
        referral_id: disclosure.referral().to_string(),
        linked_referral_ids: disclosure.linked().iter().map(ReferralId::to_string).collect(),
        recipient: disclosure.to().to_string(),
        role: progress::role(disclosure.role()) as i32,
        matter: matter(disclosure.matter()) as i32,
        sender: disclosure.sender().to_string(),
        received: Some(timestamp(disclosure.received())),
        kind: disclosure.kind().number(),
        level: disclosure.level().number(),
        harm: disclosure.harm().number(),
        items: disclosure.items().iter().map(item).collect(),
        withheld: disclosure.withheld().iter().map(progress::withheld).collect(),
        bases: disclosure.bases().iter().map(ToString::to_string).collect(),
        handling: handling(disclosure.handling()),
        clocks: disclosure.clocks().iter().map(progress::clock_start).collect(),
        sentences: progress::sentences(disclosure.sentences()),
        flags: disclosure.flags().to_vec(),
        notice: String::new(),
        how_to_answer: how_to_answer(disclosure.role()).to_owned(),
        rendering: rendering(disclosure),
        edition: disclosure.pack().map(progress::edition),
    })
}

/// A notice, encoded. It holds nothing of the referral's content.
pub fn notice(notice: &Notice) -> Encoded {
    let clock = notice.clock.map(|name| common::Clock { name: name.to_string(), ..common::Clock::default() });
    let mut rendering = heading(notice.matter, &notice.sender, notice.received, &notice.to);
    // Writing to a String cannot fail.
    let _ = writeln!(rendering, "\n{}\n\nReferral {}\nDelivery {}", notice.text, notice.referral, notice.delivery);
    encoded(&wire::Delivery {
        delivery_id: notice.delivery.to_string(),
        referral_id: notice.referral.to_string(),
        recipient: notice.to.to_string(),
        role: progress::role(notice.role) as i32,
        matter: matter(notice.matter) as i32,
        sender: notice.sender.to_string(),
        received: Some(timestamp(notice.received)),
        clocks: clock.into_iter().collect(),
        notice: notice.text.clone(),
        how_to_answer: "Acknowledge it as a named person, so that it is known that somebody has read it.".to_owned(),
        rendering,
        ..wire::Delivery::default()
    })
}

fn encoded(delivery: &wire::Delivery) -> Encoded {
    let bytes = delivery.encode_to_vec();
    let digest = Digest::of_bytes(&bytes);
    let body = Some(wire::delivery_envelope::Body::Plain(bytes));
    Encoded { envelope: wire::DeliveryEnvelope { body }.encode_to_vec(), digest }
}

fn matter(matter: Matter) -> wire::Matter {
    match matter {
        Matter::Referral => wire::Matter::Referral,
        Matter::Amendment => wire::Matter::Amendment,
        Matter::Withdrawal => wire::Matter::Withdrawal,
        Matter::ClockBreached => wire::Matter::ClockBreached,
    }
}

fn item(item: &DisclosedItem) -> wire::DisclosedItem {
    use common::information_item::Body as Whole;
    use wire::disclosed_item::Body as Given;
    wire::DisclosedItem {
        category: item.category.number(),
        subject: item.subject.number(),
        knowledge: item.knowledge.number(),
        extent: progress::extent(item.extent) as i32,
        handling: handling(&item.handling),
        body: Some(match super::body(&item.body) {
            Whole::Text(text) => Given::Text(text),
            Whole::Fields(fields) => Given::Fields(fields),
            Whole::Attachment(attachment) => Given::Attachment(attachment),
        }),
    }
}

fn how_to_answer(role: Role) -> &'static str {
    match role {
        Role::Responsible => {
            "Acknowledge it as a named person, then record what was decided and why. Over gRPC these are Acknowledge \
             and Decide of safeguarding.childrens_services.v1.FrontDoorService; both name the delivery and the SHA-256 \
             of its bytes."
        }
        Role::Notified | Role::EarlierRecipient => {
            "You are told; the decision is another's. You may acknowledge it as a named person, so that it is known \
             that somebody has read it."
        }
    }
}

/// The delivery as short text. It says no more than the delivery does.
fn rendering(disclosure: &Disclosure) -> String {
    let mut text = heading(disclosure.matter(), disclosure.sender(), disclosure.received(), disclosure.to());
    let mut line = |words: &str| {
        let _ = writeln!(text, "{words}");
    };
    line(&format!("How serious, in the sender's view: {}", disclosure.level().words()));
    line(&format!("Kind of harm: {}", disclosure.harm().words()));
    for condition in disclosure.handling() {
        line(&format!("CONDITION: {}", condition.words()));
    }
    for flag in disclosure.flags() {
        line(&format!("LOOK AT: {}", flag.replace('_', " ")));
    }
    for clock in disclosure.clocks() {
        let due = clock.due.date.map_or_else(|| in_london(clock.due.by), |date| format!("the end of {date}"));
        line(&format!("DUE by {due}: {}", clock.by.because));
    }
    for item in disclosure.items() {
        line(&format!("\n{}", title(item)));
        for condition in &item.handling {
            line(&format!("  condition: {}", condition.words()));
        }
        match &item.body {
            Body::Text(text) => text.open().lines().for_each(|words| line(&format!("  {words}"))),
            Body::Fields(fields) => {
                for field in fields.iter().filter(|field| !field.value.open().is_empty()) {
                    line(&format!("  {}: {}", field.name.replace('_', " "), field.value.open()));
                }
            }
            Body::Attachment { reference, media_type, .. } => {
                line(&format!("  a document ({media_type}); ask the sender for {}", reference.open()));
            }
        }
    }
    if !disclosure.withheld().is_empty() {
        line("\nNOT GIVEN TO YOU");
    }
    for withheld in disclosure.withheld() {
        let how = match withheld.given {
            Extent::Nothing | Extent::Whole => "",
            Extent::Review => ", until a person has looked",
            Extent::Minimum => ", but for the minimum",
        };
        line(&format!("  {}{how}: {} ({})", withheld.category.words(), withheld.because, withheld.rule));
    }
    line("\nWHY YOU RECEIVE THIS");
    for sentence in disclosure.sentences() {
        let rule = sentence.reason.as_ref().map(|reason| format!(" [{}]", reason.rule)).unwrap_or_default();
        line(&format!("  {}{rule}", sentence.text));
    }
    line(&format!("\nTO ANSWER\n  {}", how_to_answer(disclosure.role())));
    line(&format!("\nReferral {}\nDelivery {}", disclosure.referral(), disclosure.delivery()));
    text
}

fn heading(matter: Matter, sender: &Endpoint, received: Moment, to: &Endpoint) -> String {
    let what = match matter {
        Matter::Referral => "SAFEGUARDING REFERRAL",
        Matter::Amendment => "SAFEGUARDING REFERRAL, CHANGED: this replaces what you were sent before",
        Matter::Withdrawal => "SAFEGUARDING REFERRAL, WITHDRAWN by its sender",
        Matter::ClockBreached => "SAFEGUARDING REFERRAL, LATE",
    };
    format!("{what}\nFrom {sender}, received {}\nFor {to}\n", in_london(received))
}

fn in_london(moment: Moment) -> String {
    format!("{} {} London time", london_date(moment), london_time(moment).strftime("%H:%M"))
}

fn title(item: &DisclosedItem) -> String {
    let about = match item.subject {
        Subject::Child => String::new(),
        Subject::Parent | Subject::Sibling | Subject::Other => format!(" ({})", item.subject.words()),
    };
    let extent = if item.extent == Extent::Minimum { ", the minimum" } else { "" };
    format!("{}{about}{extent}", item.category.words().to_uppercase())
}
