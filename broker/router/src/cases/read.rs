//! A case as it is written, and the referral that it describes.
//!
//! The form has no field for a few parties that only its story names: the school where the child is registered, the
//! referrer whom an answer goes back to, the provider of a service, the households of a family, a national body. Which
//! one that is, is read from the expected answer; that such a party receives, as what, and what it gets, the rules
//! decide. Authorities, police, conferences and adult services are never bound in this way.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time};
use referral::directory::{Directory, Format, Party, Schema};
use referral::identifiers::{GssCode, NhsNumber, OdsCode, Upn, Urn, VoluntaryCode};
use referral::rules::Rulebook;
use referral::rules::pack::ClockName;
use referral::submission::{
    Age, Body, Checked, Child, ChildCircumstances, Circumstances, Identity, Item, Places, Practitioner, Referral, Submission,
};
use referral::time::{OpeningHours, london_date, start_of_london_day};
use referral::vocab::*;
use referral::{Digest, Endpoint, IdempotencyKey, Moment, Sealed};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// A worked case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    #[serde(rename = "source_rule_ids", default)]
    _source_rule_ids: Vec<String>,
    #[serde(rename = "situation", default)]
    _situation: String,
    message: Message,
    /// What should come of it.
    pub expected: Expected,
    /// The sector does not agree on it.
    #[serde(default)]
    pub contested: bool,
    /// On which line of its file it stands, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// Who sends a case, and what: by which door it would come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// As what it is sent.
    pub by: SenderKind,
    /// What kind of message.
    pub kind: EventKind,
}

impl Case {
    /// When it was received.
    pub fn received(&self) -> Moment {
        self.message.time_received
    }

    /// The categories that it says are there.
    pub fn categories(&self) -> BTreeSet<Category> {
        self.message.info_categories.iter().map(|written| category(written)).collect()
    }

    /// It says that an earlier message went under its key, with other content.
    pub fn is_changed_repeat(&self) -> bool {
        self.message.content_hash_differs == Some(true)
    }
}

/// What should come of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// deliver, deliver_redacted, hold_for_review, redirect or reject.
    pub action: String,
    /// Who is responsible, or where it would go.
    pub responsible_authority: Option<String>,
    /// Who else is told.
    #[serde(default)]
    pub also_notify: Vec<String>,
    /// What must at least be withheld, and from whom.
    #[serde(default)]
    pub withheld: Vec<ExpectedWithheld>,
    /// The bases that must at least be recorded; none where nothing is disclosed.
    #[serde(default)]
    pub lawful_basis: Vec<String>,
    /// Every clock that starts, and when it is due.
    #[serde(default)]
    pub clocks: Vec<ExpectedClock>,
    /// Advice.
    #[serde(default)]
    pub flags: Vec<String>,
    #[serde(rename = "explanation", default)]
    _explanation: String,
}

/// A category that somebody must not get.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedWithheld {
    /// Which.
    pub category: String,
    /// From whom.
    pub from: String,
}

/// A clock that must start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedClock {
    /// Which.
    pub name: String,
    /// A date, at whose end in London it is due, or a moment.
    pub due: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    sender_kind: String,
    sender_id: String,
    event_kind: String,
    child: ChildWritten,
    harm_type: String,
    level_of_concern: String,
    consent: Option<Consent>,
    #[serde(default)]
    info_categories: Vec<String>,
    #[serde(default)]
    handling_flags: Vec<String>,
    time_received: Moment,
    front_door_hours: Option<String>,
    accused_role: Option<Value>,
    addressed_to: Option<String>,
    clock: Option<Value>,
    content_hash_differs: Option<bool>,
    #[serde(rename = "corrects")]
    _corrects: Option<String>,
    duplicate_of: Option<String>,
    #[serde(rename = "message_id")]
    _message_id: Option<String>,
    next_school_day: Option<Date>,
    school_day_start: Option<String>,
    other_child: Option<ChildWritten>,
    other_pr_holder_refused: Option<bool>,
    outcome: Option<String>,
    possible_related: Option<IgnoredAny>,
    prior_contacts_28d: Option<u16>,
    referral_received: Option<Moment>,
    #[serde(rename = "relates_to")]
    _relates_to: Option<String>,
    reporter_role: Option<String>,
    #[serde(default)]
    requested_notify: Vec<String>,
    sender_designated_agency: Option<bool>,
    sender_lawful_basis: Option<String>,
    sender_s16la_decision: Option<DutyDecisionWritten>,
    #[serde(default)]
    siblings: Vec<ChildWritten>,
    subject_employer: Option<Value>,
    trace_result: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    sought: Option<bool>,
    given: Option<bool>,
    by_whom: Option<String>,
    reason_not_sought: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DutyDecisionWritten {
    #[serde(rename = "relevant")]
    _relevant: Option<bool>,
    may_facilitate_functions: Option<bool>,
    more_detrimental: Option<bool>,
    #[serde(rename = "reason")]
    _reason: Option<String>,
    #[serde(rename = "decided_by")]
    _decided_by: Option<String>,
    #[serde(rename = "decided_at", alias = "at")]
    _decided_at: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChildWritten {
    dob: Option<Date>,
    age: Option<u8>,
    unborn: Option<bool>,
    edd: Option<Date>,
    mother_nhs_number: Option<String>,
    mother_placing_la: Option<String>,
    home_la: Option<String>,
    located_la: Option<String>,
    placing_la: Option<String>,
    cpp_la: Option<String>,
    s47_open_la: Option<String>,
    open_case_la: Option<String>,
    #[serde(rename = "previous_la")]
    _previous_la: Option<String>,
    other_home_la: Option<String>,
    name: Option<String>,
    nhs_number: Option<String>,
    upn: Option<String>,
    looked_after: Option<bool>,
    #[serde(rename = "adopted")]
    _adopted: Option<bool>,
    age_disputed: Option<bool>,
    arrangement_days: Option<u16>,
    carer_relationship: Option<String>,
    competence: Option<Value>,
    deceased: Option<bool>,
    disabled: Option<bool>,
    home_educated: Option<bool>,
    inpatient: Option<bool>,
    non_mobile: Option<bool>,
}

/// A case, bound: the submission and the referrals it describes, the directory it takes place in, and what its parties are called.
pub struct Bound {
    /// Who sends it, and what.
    pub said: Said,
    /// The whole as it would be submitted.
    pub submission: Submission,
    /// One a child, with what the case says is there and nothing else.
    pub referrals: Vec<Referral>,
    /// The register, with the parties of this case in it.
    pub directory: Directory,
    /// What the case calls a party, where that is not its own written form.
    pub names: BTreeMap<Endpoint, String>,
    /// The parties that only the story names.
    pub from_story: Vec<String>,
    /// The message says that it repeats another, unchanged.
    pub is_repeat: bool,
}

/// A word of a vocabulary, or what is wrong with it.
fn word<Word: Vocabulary>(what: &str, text: &str) -> Result<Word, String> {
    Word::read(text).ok_or_else(|| format!("{what} is no word of {}", Word::NAME))
}

/// A place by its code, or by the name under which a coming authority is known.
fn place(text: &str, directory: &Directory) -> Result<GssCode, String> {
    let called = || directory.called(text).cloned();
    GssCode::parse(text).ok().or_else(called).ok_or_else(|| "a place is neither a GSS code nor a name in the register".to_owned())
}

/// Reads `LA:<gss>:<desk>` and the other written forms of the cases.
pub fn party(text: &str, directory: &Directory) -> Result<Endpoint, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let gss = |text: &str| place(text, directory);
    let urn = |text: &str| Urn::parse(text).map(Endpoint::School).map_err(|fault| fault.to_string());
    match parts.as_slice() {
        ["LA", code, desk] => {
            Ok(Endpoint::Authority(gss(code)?, word("a desk", &desk.replace("early_help", "early-help").replace('_', "-"))?))
        }
        // An authority that writes without saying from which desk: its worker's.
        ["LA", code] => Ok(Endpoint::Authority(gss(code)?, Desk::AllocatedWorker)),
        ["POLICE", force] | ["POLICE", force, "prevent"] => {
            let force = referral::identifiers::ForceCode::parse(force).map_err(|fault| fault.to_string())?;
            Ok(if parts.len() == 2 { Endpoint::Police(force) } else { Endpoint::PolicePrevent(force) })
        }
        ["SCHOOL", school] | ["SCHOOL", school, _] => urn(school),
        ["DEVOLVED", code] => gss(code).map(Endpoint::Devolved),
        ["ADULT", code] => gss(code).map(Endpoint::Adult),
        ["MARAC", code] => gss(code).map(Endpoint::Marac),
        ["ODS", code] => OdsCode::parse(code).map(Endpoint::Nhs).map_err(|fault| fault.to_string()),
        ["VCS", code] => Ok(Endpoint::Voluntary(code_of(code)?)),
        ["NRM"] => Ok(Endpoint::National(NationalBody::ReferralMechanism)),
        ["NATIONAL", body, ..] if body.eq_ignore_ascii_case("ofsted") => Ok(Endpoint::National(NationalBody::Ofsted)),
        ["NATIONAL", body, ..] if body.eq_ignore_ascii_case("dfe") => {
            Ok(Endpoint::National(NationalBody::DepartmentForEducation))
        }
        ["NATIONAL", ..] => Ok(Endpoint::National(NationalBody::ReviewPanel)),
        ["PUBLIC"] => Ok(Endpoint::Public),
        ["OPS", ..] | ["BROKER", ..] => Ok(Endpoint::Operator),
        [school] if school.starts_with("URN") => urn(school),
        // Another organisation: known by its kind, which the case states.
        [..] => Ok(Endpoint::Voluntary(code_of(text)?)),
    }
}

fn code_of(text: &str) -> Result<VoluntaryCode, String> {
    let plain: String = text.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    VoluntaryCode::parse(&plain).map_err(|fault| fault.to_string())
}

/// Makes the referrals of a case.
pub fn bind(case: &Case, rules: &Rulebook) -> Result<Bound, String> {
    let message = &case.message;
    let register = &rules.directory;
    let event: EventKind = word("event_kind", &message.event_kind)?;
    let mut names = BTreeMap::new();
    let mut from_story = Vec::new();

    let sender = party(&message.sender_id, register)?;
    names.insert(sender.clone(), message.sender_id.clone());
    let consent = message.consent.as_ref();
    let own_role = consent.and_then(|consent| consent.by_whom.as_deref()).unwrap_or_default();
    let is_protected = message.handling_flags.iter().any(|flag| flag == "address_protected" || flag == "pds_sensitive");

    let mut tell = Vec::new();
    for asked in &message.requested_notify {
        let to = family_or_party(asked, own_role, is_protected, register)?;
        names.insert(to.clone(), asked.clone());
        tell.push(to);
    }
    let (mut reply_to, mut school) = (None, None);
    let expected = &case.expected;
    let named = expected.responsible_authority.iter().map(|text| (text, true));
    for (text, is_first) in named.chain(expected.also_notify.iter().map(|text| (text, false))) {
        let is_reply = matches!(event, EventKind::Acknowledgement | EventKind::ReferralOutcome) && is_first;
        let is_told_of_breach = event == EventKind::ClockBreached && !is_first && !text.starts_with("LA:");
        let to = match only_in_story(text, own_role, is_protected, register)? {
            Some(to) => to,
            // Whoever had referred is known to the broker from the referral; the form does not repeat it.
            None if is_reply || is_told_of_breach => party(text, register)?,
            None => continue,
        };
        if tell.contains(&to) {
            continue;
        }
        names.entry(to.clone()).or_insert_with(|| text.clone());
        match (&to, event) {
            (Endpoint::School(urn), EventKind::OperationEncompass | EventKind::CpFileTransfer) if is_first => {
                school = Some(urn.clone());
            }
            _ if is_reply || is_told_of_breach => reply_to = Some(to.clone()),
            // Whom the rules find; only the name is the case's.
            (Endpoint::National(NationalBody::ReviewPanel), _) if is_first => {}
            (Endpoint::Voluntary(_), EventKind::ServiceRequest) | (Endpoint::Household(_), EventKind::OutcomeNotice)
                if is_first =>
            {
                tell.push(to.clone());
            }
            _ if !is_first => tell.push(to.clone()),
            _ => {}
        }
        from_story.push(text.clone());
    }

    let directory = directory(message, &sender, register)?;
    let submission = submission(message, sender, event, tell, reply_to, school, &directory)?;
    let mut referrals = submission.split();
    referrals.iter_mut().for_each(|referral| referral.items.clone_from(&submission.items));
    let said = Said { by: word("sender_kind", &message.sender_kind)?, kind: event };
    let is_repeat =
        message.content_hash_differs == Some(false) || message.duplicate_of.is_some() && message.content_hash_differs.is_none();
    if let Some(Value::String(clock)) = &message.clock {
        word::<ClockName>("clock", clock)?;
    }
    Ok(Bound { said, submission, referrals, directory, names, from_story, is_repeat })
}

/// A household by its role, else any other party.
fn family_or_party(text: &str, own: &str, is_protected: bool, register: &Directory) -> Result<Endpoint, String> {
    match (only_in_story(text, own, is_protected, register)?, text.split(':').next()) {
        (Some(to), _) => Ok(to),
        // Health visiting and child death review may be asked for as well as found.
        (None, Some("NHS")) => Ok(Endpoint::NhsService(stand_in_area()?, NhsService::NamedProfessional)),
        (None, Some("LA" | "POLICE" | "DEVOLVED" | "ADULT" | "MARAC" | "ODS" | "NRM" | "PUBLIC" | "OPS")) => {
            party(text, register)
        }
        // A kind that no rule knows, such as an employer, may have nothing (DM-15).
        (None, _) => Ok(Endpoint::Public),
    }
}

/// Where a service is that a case names by what it does: the area does not matter to who gets what.
fn stand_in_area() -> Result<GssCode, String> {
    GssCode::parse("E09000001").map_err(|fault| fault.to_string())
}

/// A party that no field of the form can name; none where the rules find it themselves.
fn only_in_story(text: &str, own: &str, is_protected: bool, register: &Directory) -> Result<Option<Endpoint>, String> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        ["SCHOOL", ..] | ["VCS", ..] | ["NATIONAL", ..] => party(text, register).map(Some),
        // The household of the parent who was asked is the child's own. Where nobody was, and an address is protected,
        // none is taken to be.
        ["PARENT"] => Ok(Some(Endpoint::Household(Household::Own))),
        ["PARENT", role] => {
            let named = own.split('_').next().filter(|named| ["mother", "father", "parents"].contains(named));
            let is_own = named.map_or(!is_protected, |named| named == *role || named == "parents" && !is_protected);
            Ok(Some(Endpoint::Household(if is_own { Household::Own } else { Household::Other })))
        }
        // These two the rules find.
        ["NHS", "health_visiting" | "child_death_overview"] => Ok(None),
        ["NHS", "named_professional"] => Ok(Some(Endpoint::NhsService(stand_in_area()?, NhsService::NamedProfessional))),
        ["NHS", code] => Ok(OdsCode::parse(code).ok().map(Endpoint::Nhs)),
        _ => Ok(None),
    }
}

/// The register, with the sender and the front doors of this case.
fn directory(message: &Message, sender: &Endpoint, register: &Directory) -> Result<Directory, String> {
    let kind: SenderKind = word("sender_kind", &message.sender_kind)?;
    let hours = match &message.front_door_hours {
        None => OpeningHours::OFFICE,
        Some(text) => {
            let stated: String = text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            // Free text: what is not in this form leaves the hours at what a front door has.
            OpeningHours::parse(&stated).unwrap_or(OpeningHours::OFFICE)
        }
    };
    let duty = match (message.sender_designated_agency, kind) {
        (Some(true), _) => DutyScope::InScope,
        (Some(false), _) => DutyScope::OutOfScope,
        (None, SenderKind::Police | SenderKind::Nhs | SenderKind::Authority | SenderKind::OtherAuthority) => DutyScope::InScope,
        (
            None,
            SenderKind::School
            | SenderKind::IndependentSchool
            | SenderKind::Voluntary
            | SenderKind::Public
            | SenderKind::Operator
            | SenderKind::Broker,
        ) => DutyScope::OutOfScope,
    };
    let known = |endpoint: Endpoint, kind, located, duty| Party {
        endpoint,
        kind,
        located,
        duty,
        serves: Vec::new(),
        hours,
        format: Format::Json,
        schemas: BTreeSet::from([Schema::V1]),
        live: false,
    };
    // A helpline has police of its own, wherever the caller is; the cases do not say whose.
    let located = if message.child.home_la.is_none() && message.child.located_la.is_none() {
        GssCode::parse("E09000033").ok()
    } else {
        None
    };
    let today = london_date(message.time_received);
    let written = [
        &message.child.home_la,
        &message.child.located_la,
        &message.child.placing_la,
        &message.child.cpp_la,
        &message.child.s47_open_la,
    ];
    let mut directory = register.clone().with(known(sender.clone(), kind, located, duty));
    for text in written.into_iter().flatten() {
        if let Some(authority) = place(text, register).ok().and_then(|gss| register.authority(&gss, today).cloned()) {
            let door = Endpoint::front_door(authority.gss.clone());
            directory = directory.with(known(door, SenderKind::Authority, Some(authority.gss), DutyScope::InScope));
        }
    }
    Ok(directory)
}

fn submission(
    message: &Message,
    sender: Endpoint,
    event: EventKind,
    tell: Vec<Endpoint>,
    reply_to: Option<Endpoint>,
    school: Option<Urn>,
    directory: &Directory,
) -> Result<Submission, String> {
    let harm: HarmType = word("harm_type", &message.harm_type)?;
    let handling = message.handling_flags.iter().map(|flag| condition(flag)).collect::<Result<Vec<_>, _>>()?;
    let outcome = message.outcome.as_deref().map(|outcome| match outcome {
        // The sector writes both.
        "family_help" | "early_help/family_help" => Ok(Outcome::EarlyHelp),
        outcome => word("outcome", outcome),
    });
    let outcome = outcome.transpose()?;
    let trace = match message.trace_result.as_deref() {
        None => None,
        Some("mismatch") => Some(TraceResult::Mismatch),
        Some("match" | "matched") => Some(TraceResult::Matched),
        Some("not_traced" | "no_match" | "not_found") => Some(TraceResult::NotTraced),
        Some(_) => return Err("trace_result is mismatch, matched or not_traced".to_owned()),
    };
    let next_school_day = match message.next_school_day {
        None => None,
        Some(day) => {
            let start = message.school_day_start.as_deref().unwrap_or("08:00");
            let start: Time = start.parse().map_err(|_| "school_day_start is a time of day such as 08:00")?;
            let into = jiff::SignedDuration::from_mins(i64::from(start.hour()) * 60 + i64::from(start.minute()));
            start_of_london_day(day).saturating_add(into).ok()
        }
    };
    let circumstances = Circumstances {
        other_holder_refused: message.other_pr_holder_refused == Some(true),
        reporter: message.reporter_role.as_deref().map(reporter),
        accused_controls_feedback: message.accused_role.as_ref().is_some_and(|role| reads_what_comes_back(&role.to_string())),
        employer: message.subject_employer.as_ref().and_then(|written| employer(&written.to_string(), directory)),
        contacts_in_28_days: message.prior_contacts_28d.unwrap_or(0),
        claimed_basis: message
            .sender_lawful_basis
            .as_deref()
            .map(|basis| if basis.ends_with("6.1.a") { ClaimedBasis::Consent } else { ClaimedBasis::Other }),
        possibly_related: message.possible_related.is_some(),
        referral_received: message.referral_received,
        next_school_day,
        outcome,
        reply_to,
        tell,
        ..Circumstances::default()
    };
    let further = message.siblings.iter().chain(&message.other_child);
    let further_children = further.map(|written| child(written, None, None, directory)).collect::<Result<Vec<_>, _>>()?;
    Ok(Submission {
        sender,
        key: IdempotencyKey::from_bytes([1; 16]),
        received: message.time_received,
        digest: Digest::of_bytes(b"a worked case"),
        kind: event,
        level: word("level_of_concern", &message.level_of_concern)?,
        harm,
        harm_place: HarmPlace::NotStated,
        child: child(&message.child, trace, school, directory)?,
        further_children,
        agreement: agreement(message.consent.as_ref(), message.child.competence.as_ref()),
        duty_decision: match &message.sender_s16la_decision {
            None => DutyDecision::NotRecorded,
            Some(decision) if decision.more_detrimental == Some(true) => DutyDecision::MoreDetrimental,
            Some(decision) if decision.may_facilitate_functions == Some(true) => DutyDecision::Share,
            Some(_) => DutyDecision::NotRecorded,
        },
        // The form has no field for a purpose: a harm that is named is one.
        purpose: (harm != HarmType::None).then(|| Sealed::from("safeguarding")),
        addressed_to: message.addressed_to.as_deref().map(|to| party(to, directory)).transpose()?,
        handling,
        referrer: Practitioner { name: "A Referrer".into(), role: "".into(), contact: "".into() },
        items: items(&message.info_categories),
        circumstances,
    })
}

fn child(
    written: &ChildWritten,
    trace: Option<TraceResult>,
    school: Option<Urn>,
    directory: &Directory,
) -> Result<Child, String> {
    let is_said = |text: &&str| *text != "unknown" && !text.starts_with("ZZ99");
    let gss = |text: &Option<String>| text.as_deref().filter(is_said).map(|text| place(text, directory)).transpose();
    let age = match (written.edd, written.dob, written.age) {
        (Some(expected), _, _) => Age::Expected(Sealed::new(expected)),
        (None, Some(born), _) => Age::Born(Sealed::new(born)),
        (None, None, Some(years)) => Age::About(years),
        (None, None, None) => Age::NotStated,
    };
    // Where an age is given the full name is, unless the case says otherwise.
    let has_full_name =
        age != Age::NotStated && written.unborn != Some(true) && written.name.as_deref() != Some("given_name_only");
    let checked = |text: &Option<String>| text.as_deref().map(|text| Checked::new(text, NhsNumber::parse));
    let placing = gss(&written.placing_la)?;
    Ok(Child {
        identity: Identity {
            given_name: Some("Robin".into()),
            family_name: has_full_name.then(|| Sealed::from("Example")),
            age,
            nhs_number: checked(&written.nhs_number),
            upn: written.upn.as_deref().map(|text| Checked::new(text, Upn::parse)),
            mother_nhs_number: checked(&written.mother_nhs_number),
            ..Identity::default()
        },
        address: None,
        places: Places {
            home: gss(&written.home_la)?,
            located: gss(&written.located_la)?,
            placing: if placing.is_some() { placing } else { gss(&written.mother_placing_la)? },
            plan_holder: gss(&written.cpp_la)?,
            enquiry: gss(&written.s47_open_la)?,
            open_case: gss(&written.open_case_la)?,
            other_home: gss(&written.other_home_la)?,
        },
        circumstances: ChildCircumstances {
            looked_after: written.looked_after == Some(true),
            age_disputed: written.age_disputed == Some(true),
            deceased: written.deceased == Some(true),
            disabled: written.disabled == Some(true),
            home_educated: written.home_educated == Some(true),
            inpatient: written.inpatient == Some(true),
            non_mobile: written.non_mobile == Some(true),
            school,
            arrangement_days: written.arrangement_days,
            carer: written.carer_relationship.as_deref().map(carer),
            trace,
        },
    })
}

/// A condition. One that nobody here can read makes the part unreadable (HR-01), and stops nothing.
fn condition(flag: &str) -> Result<HandlingFlag, String> {
    match (HandlingFlag::read(flag), flag.split(':').next()) {
        (Some(known), _) => Ok(known),
        (None, Some("condition")) => Ok(HandlingFlag::PoliceHandlingC),
        (None, Some("police_handling_legacy")) => Ok(HandlingFlag::PoliceHandlingLegacy5),
        (None, _) => Err(format!("a handling flag is no word of {}", HandlingFlag::NAME)),
    }
}

/// Whether the family agrees, and whether whoever agreed could (TC-07).
fn agreement(consent: Option<&Consent>, competence: Option<&Value>) -> Agreement {
    let Some(consent) = consent else { return Agreement::NotStated };
    match (consent.sought, consent.given) {
        (Some(true), Some(true)) => {
            let by = consent.by_whom.as_deref().unwrap_or_default();
            let doubts = ["not", "lack", "doubt", "unclear", "disputed", "no", "false"];
            let is_competent = competence.is_none_or(|said| !doubts.iter().any(|doubt| said.to_string().contains(doubt)));
            match by {
                "child" if competence.is_none() || !is_competent => Agreement::GivenWithoutStanding,
                "child_gillick" | "young_person" if !is_competent => Agreement::GivenWithoutStanding,
                by if by.ends_with("_no_pr") => Agreement::GivenWithoutStanding,
                _ => Agreement::Given,
            }
        }
        (Some(true), Some(false)) => Agreement::Refused,
        (Some(true), None) => Agreement::Awaited,
        (Some(false), _) if consent.reason_not_sought.is_some() => Agreement::NotSoughtWithReason,
        (Some(false), _) => Agreement::NotSoughtNoReason,
        (None, _) => Agreement::NotStated,
    }
}

/// A teacher, or a regulated professional of health or social care (Female Genital Mutilation Act 2003 s5B(2)).
fn reporter(role: &str) -> Reporter {
    match role {
        "teacher" | "headteacher" | "doctor" | "gp" | "nurse" | "school_nurse" | "midwife" | "health_visitor" | "paramedic"
        | "dentist" | "pharmacist" | "social_worker" | "consultant" | "paediatrician" | "surgeon" => Reporter::Regulated,
        _ => Reporter::Other,
    }
}

/// Who reads what comes back to a school: whoever leads it or its safeguarding.
fn reads_what_comes_back(role: &str) -> bool {
    ["head", "principal", "proprietor", "safeguarding_lead", "dsl", "chair"].iter().any(|leads| role.contains(leads))
}

/// A grandparent, sibling, uncle, aunt or step-parent is a close relative (Children Act 1989 s105); a great-aunt or a
/// cousin is not.
fn carer(relationship: &str) -> Carer {
    let said = relationship.to_ascii_lowercase().replace(['-', ' ', '/'], "_");
    let parts: Vec<&str> = said.split('_').collect();
    let has = |words: &[&str]| parts.iter().any(|part| words.iter().any(|word| part.trim_end_matches('s') == *word));
    if has(&[
        "great",
        "friend",
        "boyfriend",
        "girlfriend",
        "partner",
        "neighbour",
        "cousin",
        "godparent",
        "godmother",
        "godfather",
    ]) {
        return Carer::AnybodyElse;
    }
    let relatives = [
        "grandparent",
        "grandmother",
        "grandfather",
        "gran",
        "nan",
        "granny",
        "grandad",
        "sibling",
        "brother",
        "sister",
        "uncle",
        "aunt",
        "step",
        "stepparent",
        "stepmother",
        "stepfather",
        "relative",
    ];
    if has(&relatives) {
        Carer::CloseRelative
    } else if has(&["parent", "mother", "father", "guardian", "pr"]) {
        Carer::Parent
    } else {
        Carer::AnybodyElse
    }
}

/// The area where the subject of an allegation works, from whatever the case writes there: a code within it.
fn employer(text: &str, directory: &Directory) -> Option<GssCode> {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
    parts.filter_map(|part| place(part, directory).ok()).next()
}

/// A category that nobody here knows is withheld and flagged (DM-15).
fn category(written: &str) -> Category {
    Category::read(written).unwrap_or(Category::Unknown)
}

/// One item a category, with what may go to those who may have the minimum.
fn items(categories: &[String]) -> Vec<Item> {
    let item = |written: &String| Item {
        category: category(written),
        subject: Subject::Child,
        knowledge: Knowledge::Direct,
        handling: Vec::new(),
        about_child: None,
        body: Body::Text(Sealed::from("what a case leaves out")),
        summary: Some(Sealed::from("what a case leaves out")),
    };
    categories.iter().map(item).collect()
}
