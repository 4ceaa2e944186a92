//! Submissions that never were: every word of every vocabulary, right and wrong identifiers, odd texts.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proto::{read, write};
use referral::identifiers::{GssCode, NhsNumber, Postcode, Upn, Uprn, Urn};
use referral::submission::{
    Address, Age, Arrival, Body, Checked, Child, ChildCircumstances, ChildStatus, Circumstances, ConsentWithdrawal, Disagreement,
    Field, FrontDoorAnswer, Identity, Item, Places, Practitioner, Says, Submission, What,
};
use referral::vocab::*;
use referral::{DeliveryId, Digest, Endpoint, IdempotencyKey, ReferralId, Sealed};

/// Any word of a vocabulary.
fn word<W: Vocabulary + std::fmt::Debug>() -> impl Strategy<Value = W> {
    select(W::ALL)
}

/// A text that says something: what is blank counts as missing.
fn text() -> BoxedStrategy<Sealed<String>> {
    "\\PC{0,12}[a-zé漢\u{202e}\\n\u{0}]\\PC{0,12}"
        .prop_filter("says something", |text| !text.trim().is_empty())
        .prop_map(Sealed::from)
        .boxed()
}

fn or_nothing() -> impl Strategy<Value = Option<Sealed<String>>> {
    option::of(text())
}

fn received() -> impl Strategy<Value = Timestamp> {
    (1_600_000_000i64..1_900_000_000, 0i32..1_000_000_000).prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap())
}

fn date(before: Timestamp) -> impl Strategy<Value = Sealed<Date>> {
    let today = referral::time::london_date(before);
    (0i32..7000).prop_map(move |days| Sealed::new(today.saturating_sub(days.days())))
}

fn gss() -> impl Strategy<Value = GssCode> {
    "[ENSW][0-9]{8}".prop_map(|code| GssCode::parse(&code).unwrap())
}

fn nhs_number() -> impl Strategy<Value = NhsNumber> {
    "[0-9]{9}".prop_filter_map("has a check digit", |digits| {
        (0..=9).find_map(|check| NhsNumber::parse(&format!("{digits}{check}")).ok())
    })
}

fn upn() -> impl Strategy<Value = Upn> {
    "[0-9]{11}[0-9A-HJ-NP-RT-Z]".prop_map(|rest| {
        "ABCDEFGHJKLMNPQRTUVWXYZ"
            .chars()
            .find_map(|letter| Upn::parse(&format!("{letter}{rest}")).ok())
            .expect("a check letter fits")
    })
}

/// A right identifier, or at significant harm and above (ID-04) a wrong one too.
fn checked<T: Clone + PartialEq + 'static>(
    right: impl Strategy<Value = T> + 'static,
    level: Level,
    parse: fn(&str) -> Result<T, referral::identifiers::Malformed>,
) -> BoxedStrategy<Option<Checked<T>>>
where
    Checked<T>: std::fmt::Debug,
{
    let right = right.prop_map(Checked::Valid).no_shrink();
    if level.is_significant_harm_or_above() {
        let wrong = "[ -~]{1,20}[!]".prop_map(move |text| Checked::new(&text, parse));
        option::of(prop_oneof![right, wrong]).boxed()
    } else {
        option::of(right).boxed()
    }
}

fn identity(level: Level, at: Timestamp) -> BoxedStrategy<Identity> {
    let age = prop_oneof![
        date(at).prop_map(Age::Born),
        date(at).prop_map(Age::Expected),
        (0u8..=120).prop_map(Age::About),
        Just(Age::NotStated),
    ];
    let nhs = || checked(nhs_number(), level, NhsNumber::parse);
    (or_nothing(), or_nothing(), or_nothing(), age, or_nothing(), nhs(), checked(upn(), level, Upn::parse), nhs())
        .prop_map(|(given_name, family_name, also_known_as, age, sex, nhs_number, upn, mother_nhs_number)| Identity {
            given_name,
            family_name,
            also_known_as,
            age,
            sex,
            nhs_number,
            upn,
            mother_nhs_number,
        })
        .boxed()
}

fn address() -> BoxedStrategy<Address> {
    let postcode = "[A-Z]{1,2}[0-9]{1,2} [0-9][A-Z]{2}".prop_map(|text| Postcode::parse(&text).unwrap());
    let uprn = "[0-9]{1,12}".prop_map(|text| Uprn::parse(&text).unwrap());
    let lines = prop_oneof![Just(Sealed::from("")), text()];
    (lines, option::of(postcode), option::of(uprn), or_nothing(), any::<bool>())
        .prop_map(|(lines, postcode, uprn, telephone, protected)| Address { lines, postcode, uprn, telephone, protected })
        .boxed()
}

fn places() -> BoxedStrategy<Places> {
    let area = || option::of(gss());
    (area(), area(), area(), area(), area(), area(), area())
        .prop_map(|(home, located, placing, plan_holder, enquiry, open_case, other_home)| Places {
            home,
            located,
            placing,
            plan_holder,
            enquiry,
            open_case,
            other_home,
        })
        .boxed()
}

fn child_circumstances() -> BoxedStrategy<ChildCircumstances> {
    let truths = any::<[bool; 7]>();
    let school = option::of("[0-9]{6}".prop_map(|text| Urn::parse(&text).unwrap()));
    (truths, school, option::of(any::<u16>()), option::of(word()), option::of(word()))
        .prop_map(|(truths, school, arrangement_days, carer, trace)| {
            let [looked_after, age_disputed, deceased, disabled, home_educated, inpatient, non_mobile] = truths;
            ChildCircumstances {
                looked_after,
                age_disputed,
                deceased,
                disabled,
                home_educated,
                inpatient,
                non_mobile,
                school,
                arrangement_days,
                carer,
                trace,
            }
        })
        .boxed()
}

fn circumstances() -> BoxedStrategy<Circumstances> {
    let moment = || option::of((0i64..4_000_000_000).prop_map(|second| Timestamp::from_second(second).unwrap()));
    let words = (option::of(word()), option::of(word()), option::of(word()), option::of(word()));
    let parties = (option::of(gss()), option::of(endpoint()), vec(endpoint(), 0..4));
    (any::<[bool; 4]>(), words, any::<u16>(), (moment(), moment(), moment()), parties)
        .prop_map(|(truths, words, contacts_in_28_days, moments, parties)| {
            let [other_holder_refused, accused_controls_feedback, possibly_related, by_telephone] = truths;
            let (reporter, claimed_basis, rating, outcome) = words;
            let (happened, referral_received, next_school_day) = moments;
            let (employer, reply_to, tell) = parties;
            Circumstances {
                other_holder_refused,
                reporter,
                accused_controls_feedback,
                employer,
                contacts_in_28_days,
                claimed_basis,
                possibly_related,
                by_telephone,
                rating,
                happened,
                referral_received,
                next_school_day,
                outcome,
                reply_to,
                tell,
            }
        })
        .boxed()
}

fn child(level: Level, at: Timestamp) -> BoxedStrategy<Child> {
    (identity(level, at), option::of(address()), places(), child_circumstances())
        .prop_map(|(identity, address, places, circumstances)| Child { identity, address, places, circumstances })
        .boxed()
}

fn practitioner() -> BoxedStrategy<Practitioner> {
    let or_empty = || prop_oneof![Just(Sealed::from("")), text()];
    (text(), or_empty(), or_empty()).prop_map(|(name, role, contact)| Practitioner { name, role, contact }).boxed()
}

fn body() -> BoxedStrategy<Body> {
    let field = ("[a-z][a-z0-9_]{0,12}", "\\PC{0,20}").prop_map(|(name, value)| Field { name, value: Sealed::from(value) });
    let attachment = (text(), "[a-z]{1,10}/[a-z0-9.+-]{1,10}", any::<[u8; 32]>()).prop_map(|(reference, media_type, digest)| {
        Body::Attachment { reference, media_type, digest: Digest::from_bytes(digest) }
    });
    prop_oneof![text().prop_map(Body::Text), vec(field, 0..6).prop_map(Body::Fields), attachment].boxed()
}

fn item(children: u16) -> BoxedStrategy<Item> {
    (word(), word(), word(), vec(word(), 0..3), option::of(0..children), body(), or_nothing())
        .prop_map(|(category, subject, knowledge, handling, about_child, body, summary)| Item {
            category,
            subject,
            knowledge,
            handling,
            about_child,
            body,
            summary,
        })
        .boxed()
}

fn endpoint() -> BoxedStrategy<Endpoint> {
    let school = "[0-9]{6}".prop_map(|urn| format!("school.{urn}"));
    let desk = (gss(), word::<Desk>()).prop_map(|(gss, desk)| format!("la.{gss}.{desk}"));
    let service = (gss(), word::<NhsService>()).prop_map(|(gss, service)| format!("nhs.{gss}.{service}"));
    let body = word::<NationalBody>().prop_map(|body| format!("national.{body}"));
    let household = word::<Household>().prop_map(|which| format!("household.{which}"));
    let area = gss().prop_flat_map(|gss| select(vec![format!("adult.{gss}"), format!("devolved.{gss}"), format!("marac.{gss}")]));
    let other =
        select(vec!["public".to_owned(), "operator".to_owned(), "vcs.helpline".to_owned(), "police.13.prevent".to_owned()]);
    let coded = prop_oneof!["police\\.[0-9]{2}", "nhs\\.[A-Z]{3}"];
    prop_oneof![school, desk, coded, service, body, household, area, other]
        .prop_map(|text| Endpoint::parse(&text).unwrap())
        .boxed()
}

fn key() -> impl Strategy<Value = IdempotencyKey> {
    any::<[u8; 16]>().prop_filter("is not all zeros", |bytes| *bytes != [0; 16]).prop_map(IdempotencyKey::from_bytes)
}

/// A whole submission, with the digest of its own content.
pub fn submission() -> BoxedStrategy<Submission> {
    (word::<Level>(), received(), 1u16..4)
        .prop_flat_map(|(level, at, children)| {
            let words = (word(), word(), word(), word(), word(), vec(word(), 0..3));
            let people = (child(level, at), vec(child(level, at), usize::from(children) - 1), practitioner());
            let rest = (endpoint(), key(), or_nothing(), option::of(endpoint()), vec(item(children), 0..4), circumstances());
            (words, people, rest).prop_map(move |(words, people, rest)| {
                let (kind, harm, harm_place, agreement, duty_decision, handling) = words;
                let (child, further_children, referrer) = people;
                let (sender, key, purpose, addressed_to, items, circumstances) = rest;
                let mut submission = Submission {
                    sender,
                    key,
                    received: at,
                    digest: Digest::from_bytes([0; 32]),
                    kind,
                    level,
                    harm,
                    harm_place,
                    child,
                    further_children,
                    agreement,
                    duty_decision,
                    purpose,
                    addressed_to,
                    handling,
                    referrer,
                    items,
                    circumstances,
                };
                submission.digest = read::digest_of(&write::submission(&submission));
                submission
            })
        })
        .boxed()
}

fn answer() -> BoxedStrategy<FrontDoorAnswer> {
    let says = prop_oneof![
        Just(Says::Collected),
        Just(Says::Acknowledged),
        (word(), text()).prop_map(|(outcome, reason)| Says::Decided { outcome, reason }),
        text().prop_map(|question| Says::AskedForMore { question }),
        (gss(), text()).prop_map(|(to, reason)| Says::TransferOffered { to, reason }),
        Just(Says::TransferAccepted),
        text().prop_map(|reason| Says::TransferRefused { reason }),
        text().prop_map(|reason| Says::TransferWithdrawn { reason }),
        (date("2027-01-01T00:00:00Z".parse().unwrap()), any::<bool>())
            .prop_map(|(held, enquiries_started)| { Says::StrategyDiscussionHeld { held: *held.open(), enquiries_started } }),
        any::<[bool; 2]>().prop_map(|[child_protection_plan, looked_after]| {
            Says::StatusRecorded(ChildStatus { child_protection_plan, looked_after })
        }),
        (endpoint(), text()).prop_map(|(to, reason)| Says::ReferredOn { to, reason }),
        (word(), text()).prop_map(|(condition, reason)| Says::HandlingLifted { condition, reason }),
    ];
    let person = (text(), text(), text()).prop_map(|(name, role, contact)| Practitioner { name, role, contact });
    (endpoint(), any::<[u8; 16]>(), any::<[u8; 32]>(), person, says)
        .prop_map(|(from, delivery, digest, by, says)| FrontDoorAnswer {
            from,
            delivery: DeliveryId::from_bytes(delivery),
            digest: Digest::from_bytes(digest),
            by,
            says,
        })
        .boxed()
}

/// Whatever can arrive.
pub fn arrival() -> BoxedStrategy<Arrival> {
    let id = || any::<[u8; 16]>().prop_map(ReferralId::from_bytes);
    let sent = |submission: Submission, what: What| Arrival { from: submission.sender, received: submission.received, what };
    prop_oneof![
        submission().prop_map(move |submission| sent(submission.clone(), What::Submitted(Box::new(submission)))),
        (id(), submission()).prop_map(move |(referral, submission)| {
            sent(submission.clone(), What::Amended { referral, submission: Box::new(submission) })
        }),
        (endpoint(), received(), id(), practitioner(), text()).prop_map(|(from, received, referral, by, reason)| Arrival {
            from,
            received,
            what: What::Withdrawn { referral, by, reason }
        }),
        (received(), id(), answer()).prop_map(|(received, referral, answer)| Arrival {
            from: answer.from.clone(),
            received,
            what: What::Answered { referral, answer }
        }),
        (endpoint(), received(), id(), practitioner(), word(), date("2027-01-01T00:00:00Z".parse().unwrap()), or_nothing())
            .prop_map(|(from, received, referral, by, holder, on, reason)| {
                let withdrawal = ConsentWithdrawal { from: from.clone(), by, holder, on: *on.open(), reason };
                Arrival { from, received, what: What::ConsentWithdrawn { referral, withdrawal } }
            }),
        (endpoint(), received(), id(), practitioner(), text(), any::<bool>()).prop_map(
            |(from, received, referral, by, reason, is_immediate_danger)| {
                let disagreement = Disagreement { from: from.clone(), by, reason, is_immediate_danger };
                Arrival { from, received, what: What::Disagreed { referral, disagreement } }
            }
        ),
    ]
    .boxed()
}
