//! A delivery as short text, for a recipient without a system of its own. It says no more than the delivery
//! does, and puts the conditions before the content.

use std::fmt::Write as _;

use referral::disclosure::{DisclosedItem, Disclosure, Matter, Notice, Remark};
use referral::rules::Role;
use referral::rules::pack::Extent;
use referral::submission::Body;
use referral::time::{london_date, london_time};
use referral::vocab::{HandlingFlag, Subject, Vocabulary};
use referral::{Endpoint, Moment};

/// A disclosure as text.
pub(crate) fn of_disclosure(disclosure: &Disclosure, how_to_answer: &str) -> String {
    let mut page = Page(heading(disclosure.matter(), disclosure.sender(), disclosure.received(), disclosure.to()));
    page.line(&format!("You receive it as {}", role_words(disclosure.role())));
    disclosure.replaces().into_iter().for_each(|before| page.line(&format!("It replaces delivery {before}")));
    page.line(&format!("How serious, in the sender's view: {}", disclosure.level().words()));
    page.line(&format!("Kind of harm: {}", disclosure.harm().words()));
    disclosure.remark().into_iter().for_each(|remark| page.remark(remark));
    if let Some(status) = disclosure.status() {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let (plan, looked_after) = (yes(status.child_protection_plan), yes(status.looked_after));
        page.line(&format!("With that authority: child protection plan {plan}, looked after {looked_after}"));
    }
    disclosure.handling().iter().for_each(|condition| page.line(&format!("CONDITION: {}", condition_words(*condition))));
    disclosure.flags().iter().for_each(|flag| page.line(&format!("LOOK AT: {}", flag.replace('_', " "))));
    for clock in disclosure.clocks() {
        let due = clock.due.date.map_or_else(|| in_london(clock.due.by), |date| format!("the end of {date}"));
        page.line(&format!("DUE by {due}: {}", clock.by.because));
    }
    disclosure.items().iter().for_each(|item| page.item(item));

    if !disclosure.withheld().is_empty() {
        page.title("NOT GIVEN TO YOU");
    }
    for withheld in disclosure.withheld() {
        let how = match withheld.given {
            Extent::Nothing | Extent::Whole => "",
            Extent::Review => ", until a person has looked",
            Extent::Minimum => ", but for the minimum",
        };
        page.line(&format!("  {}{how}: {} ({})", withheld.category.words(), withheld.because, withheld.rule));
    }
    page.title("WHY YOU RECEIVE IT");
    for sentence in disclosure.sentences() {
        let source = sentence.reason.as_ref().map(|reason| format!(" [{}; {}]", reason.rule, reason.source)).unwrap_or_default();
        page.line(&format!("  {}{source}", sentence.text));
    }
    page.title("TO ANSWER");
    page.line(&format!("  {how_to_answer}"));
    page.line(&format!("\nReferral {}\nDelivery {}", disclosure.referral(), disclosure.delivery()));
    page.0
}

/// A notice as text.
pub(crate) fn of_notice(notice: &Notice, how_to_answer: &str) -> String {
    let mut page = Page(heading(notice.matter, &notice.sender, notice.received, &notice.to));
    page.line(&format!("\n{}", notice.text));
    notice.remark.iter().for_each(|remark| page.remark(remark));
    page.line(&format!("\n{how_to_answer}\n"));
    page.line(&format!("Referral {}\nDelivery {}", notice.referral, notice.delivery));
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, words: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{words}");
    }

    fn remark(&mut self, remark: &Remark) {
        let (name, role) = (remark.by.name.open(), remark.by.role.open());
        self.title(&format!("{name} ({role}) WRITES TO YOU"));
        remark.text.open().lines().for_each(|words| self.line(&format!("  {words}")));
    }

    fn title(&mut self, words: &str) {
        self.line(&format!("\n{words}"));
    }

    fn item(&mut self, item: &DisclosedItem) {
        let about = match item.subject {
            Subject::Child => String::new(),
            Subject::Parent | Subject::Sibling | Subject::Other => format!(" ({})", item.subject.words()),
        };
        let extent = if item.extent == Extent::Minimum { ", the minimum" } else { "" };
        self.title(&format!("{}{about}{extent}", item.category.words().to_uppercase()));
        item.handling.iter().for_each(|condition| self.line(&format!("  CONDITION: {}", condition_words(*condition))));
        match &item.body {
            Body::Text(text) => text.open().lines().for_each(|words| self.line(&format!("  {words}"))),
            Body::Fields(fields) => {
                for field in fields.iter().filter(|field| !field.value.open().is_empty()) {
                    self.line(&format!("  {}: {}", field.name.replace('_', " "), field.value.open()));
                }
            }
            Body::Attachment { reference, media_type, .. } => {
                self.line(&format!("  a document ({media_type}) that the sender holds; ask for {}", reference.open()));
            }
        }
    }
}

fn heading(matter: Matter, sender: &Endpoint, received: Moment, to: &Endpoint) -> String {
    let what = match matter {
        Matter::Referral => "SAFEGUARDING REFERRAL",
        Matter::Amendment => "SAFEGUARDING REFERRAL, CHANGED: it replaces what you were sent before",
        Matter::Correction => "SAFEGUARDING REFERRAL, CORRECTED: what you were sent before was wrong, and this replaces it",
        Matter::ConsentWithdrawn => "SAFEGUARDING REFERRAL, AGREEMENT WITHDRAWN: what rests on agreement alone stops",
        Matter::Withdrawal => "SAFEGUARDING REFERRAL, WITHDRAWN by its sender",
        Matter::ClockBreached => "SAFEGUARDING REFERRAL, LATE",
        Matter::TransferOffer => "SAFEGUARDING REFERRAL, OFFERED to you by the authority that answers for the child",
        Matter::TransferAccepted => "SAFEGUARDING REFERRAL, TAKEN OVER from you",
        Matter::TransferRefused => "SAFEGUARDING REFERRAL, NOT TAKEN OVER",
        Matter::PassedToSuccessor => "SAFEGUARDING REFERRAL, PASSED ON to the authority that follows you",
        Matter::TransferWithdrawn => "SAFEGUARDING REFERRAL, OFFERED NO LONGER: the authority keeps it",
        Matter::NotReferredOn => "SAFEGUARDING REFERRAL, NOT REFERRED ON: the service could not be asked",
        Matter::ReferredOn => "SAFEGUARDING REFERRAL, REFERRED ON to you by the authority that answers for the child",
        Matter::HandlingLifted => "SAFEGUARDING REFERRAL, A CONDITION LIFTED",
        Matter::Disagreement => "SAFEGUARDING REFERRAL, THE REFERRER DISAGREES",
    };
    format!("{what}\nFrom {sender}, received {}\nFor {to}\n", in_london(received))
}

fn in_london(moment: Moment) -> String {
    format!("{} {} London time", london_date(moment), london_time(moment).strftime("%H:%M"))
}

fn role_words(role: Role) -> &'static str {
    match role {
        Role::Responsible => "the responsible authority",
        Role::Notified => "one who is told",
        Role::EarlierRecipient => "one who received an earlier version",
    }
}

/// What a condition asks of its reader.
fn condition_words(condition: HandlingFlag) -> &'static str {
    match condition {
        HandlingFlag::AddressProtected => "the address is protected; nobody else may learn it",
        HandlingFlag::PdsSensitive => "the health record is marked sensitive; the address is protected",
        HandlingFlag::DoNotInformParents => "do not inform the parents",
        HandlingFlag::ReferrerAnonymousToFamily => "the family must not learn who referred",
        HandlingFlag::ConflictOfInterestRecipientStaff => "somebody who works for you is concerned; keep it from them",
        HandlingFlag::PoliceHandlingP => "police handling code P: lawful sharing permitted",
        HandlingFlag::PoliceHandlingC => "police handling code C: keep to the conditions the police set",
        HandlingFlag::PoliceHandlingLegacy5 => "police handling code 5 of the older scheme: ask the police before sharing",
        HandlingFlag::Unsanitised => "it may name its source; do not pass it on",
        HandlingFlag::NotForEducation => "not for education",
        HandlingFlag::NotForFamily => "not for the family",
        HandlingFlag::PoliceOnly => "for police only",
        HandlingFlag::DoNotContactSuspectOrWitness => "do not approach suspects or witnesses",
        HandlingFlag::Secret => "marked SECRET",
    }
}
