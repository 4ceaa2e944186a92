//! A force's reports, put into the contract's words. Pure: no I/O, no clock, no chance.
//!
//! A notice informs and refers nobody, unless it says so or says significant harm: no box delays a child. What
//! has no place in the canonical submission is kept as an item with its category; intelligence carries its
//! handling code, and a condition that no machine can read keeps that piece, and nothing else, back (HR-01).

use proto::wire::common::v1 as common;
use proto::wire::common::v1::{Agreement, Category, DutyDecision, EventKind, HandlingFlag, HarmPlace, HarmType, Level, Subject};
use proto::wire::police::v1 as form;
use referral::Endpoint;
use referral::identifiers::{ForceCode, Urn};

use crate::form::{
    Document, Kept, Said, Translated, Writing, addressed_to, is_blank, of_child, of_referrer, or, practitioner, to_tell,
    words_of_sharing,
};

/// Translates a public protection notice.
pub fn notice(form: form::PublicProtectionNotice) -> Translated {
    let level = level_of_notice(form.is_referral, form.level);
    let mut writing = Writing::new(level);
    weigh(&mut writing, form.is_referral, form.level, &form.purpose);
    let of_hub = [("hub_grade", grade(form.hub_grade))];
    writing.keep_fields(of_child("form.hub_grade", Category::RiskLevel), Vec::new(), "", &of_hub);
    let why = Kept { label: "The hub on its grade: ", ..of_child("form.hub_rationale", Category::RiskLevel) };
    keep(&mut writing, why, form.hub_rationale.as_ref());
    let checks = Kept { label: "Police checks: ", ..of_child("form.police_checks", Category::CriminalOffence) };
    keep(&mut writing, checks, form.police_checks.as_ref());
    let kept = of_child("form.police_protection_used", Category::ConcernNarrative);
    let used = [("police_protection_used", yes_no(form.police_protection_used)), ("is_referral", tick(form.is_referral))];
    writing.keep_fields(kept, Vec::new(), "", &used);
    let about = About {
        kind: EventKind::Referral,
        level,
        harm: HarmType::NotStated,
        purpose: form.purpose,
        happened: String::new(),
        next_school_day: String::new(),
    };
    report(writing, form.report, about)
}

/// Translates the report that a child was taken into police protection. It is immediate danger: police found that
/// the child would else be likely to suffer significant harm (Children Act 1989 s46(1)).
pub fn police_protection(form: form::PoliceProtection) -> Translated {
    let mut writing = Writing::new(Level::ImmediateDanger as i32);
    writing.needed_text("form.taken_at", &form.taken_at, "is missing: 72 hours run from then");
    let taken = [("taken_into_protection_at", form.taken_at.clone())];
    writing.keep_fields(of_child("form.taken_at", Category::ConcernNarrative), Vec::new(), "", &taken);
    let grounds = Kept { label: "Grounds: ", ..of_child("form.grounds", Category::ConcernNarrative) };
    keep(&mut writing, grounds, form.grounds.as_ref());
    if !is_blank(&form.accommodated_at) {
        writing.condition(HandlingFlag::AddressProtected as i32);
    }
    let place = [("accommodated_at", form.accommodated_at.clone())];
    writing.keep_fields(of_child("form.accommodated_at", Category::ProtectedAddress), Vec::new(), "", &place);
    if let Some(officer) = &form.designated_officer {
        let names = ["designated_officer_name", "designated_officer_role", "designated_officer_contact"];
        let values = practitioner(names, officer);
        writing.keep_fields(of_referrer("form.designated_officer"), Vec::new(), "", &values);
    }
    writing.comes_from("content.circumstances.happened", "form.taken_at");
    let about = About {
        kind: EventKind::PoliceProtectionS46,
        level: Level::ImmediateDanger as i32,
        harm: HarmType::LikelyHarm,
        purpose: String::new(),
        happened: form.taken_at,
        next_school_day: String::new(),
    };
    report(writing, form.report, about)
}

/// Translates the report that a child is missing.
pub fn missing_child(form: form::MissingChild) -> Translated {
    let level = level_of_notice(form.is_referral, form.level);
    let mut writing = Writing::new(level);
    weigh(&mut writing, form.is_referral, form.level, &form.purpose);
    writing.needed_text("form.missing_from", &form.missing_from, "is missing");
    let episode = [
        ("missing_from", form.missing_from.clone()),
        ("last_seen", form.last_seen),
        ("episodes_before", form.episodes_before.map(|count| count.to_string()).unwrap_or_default()),
        ("is_referral", tick(form.is_referral)),
    ];
    writing.keep_fields(of_child("form.missing_from", Category::MissingEpisode), Vec::new(), "", &episode);
    let fears = Kept { label: "Feared: ", ..of_child("form.fears", Category::ConcernNarrative) };
    keep(&mut writing, fears, form.fears.as_ref());
    writing.comes_from("content.circumstances.happened", "form.missing_from");
    let about = About {
        kind: EventKind::Referral,
        level,
        harm: HarmType::Missing,
        purpose: form.purpose,
        happened: form.missing_from,
        next_school_day: String::new(),
    };
    report(writing, form.report, about)
}

/// Translates the report that a missing child came back.
pub fn missing_child_return(form: form::MissingChildReturn) -> Translated {
    let level = or(form.level, Level::InNeed as i32);
    let mut writing = Writing::new(level);
    writing.needed_text("form.returned_at", &form.returned_at, "is missing: 72 hours run from then");
    let episode = [("missing_from", form.missing_from), ("returned_at", form.returned_at.clone())];
    writing.keep_fields(of_child("form.returned_at", Category::MissingEpisode), Vec::new(), "", &episode);
    let found = Kept { label: "Found: ", ..of_child("form.where_found", Category::MissingEpisode) };
    keep(&mut writing, found, form.where_found.as_ref());
    let told = Kept { label: "On return: ", ..of_child("form.prevention_interview", Category::ChildVoice) };
    keep(&mut writing, told, form.prevention_interview.as_ref());
    writing.comes_from("content.circumstances.happened", "form.returned_at");
    writing.comes_from("content.level", "form.level");
    let about = About {
        kind: EventKind::MissingChildReturn,
        level,
        harm: HarmType::Missing,
        purpose: String::new(),
        happened: form.returned_at,
        next_school_day: String::new(),
    };
    report(writing, form.report, about)
}

/// Translates an Operation Encompass notification.
pub fn operation_encompass(form: form::OperationEncompass) -> Translated {
    let level = Level::Information as i32;
    let mut writing = Writing::new(level);
    writing.comes_from("content.circumstances.next_school_day", "form.next_school_day");
    let about = About {
        kind: EventKind::OperationEncompass,
        level,
        harm: HarmType::DomesticAbuse,
        purpose: "Operation Encompass: the school is told so that it can support the child (Domestic Abuse Act 2021 s49A)."
            .to_owned(),
        happened: String::new(),
        next_school_day: form.next_school_day,
    };
    report(writing, form.report, about)
}

/// What a form says about the whole of its report.
struct About {
    kind: EventKind,
    level: i32,
    /// What the harm is where the report leaves it open.
    harm: HarmType,
    purpose: String,
    happened: String,
    next_school_day: String,
}

/// What is no referral informs. Significant harm is never less than that, whatever box was ticked.
fn level_of_notice(is_referral: bool, level: i32) -> i32 {
    if is_referral || is_grave(level) { level } else { Level::Information as i32 }
}

fn is_grave(level: i32) -> bool {
    [Level::ImmediateDanger as i32, Level::SignificantHarm as i32].contains(&level)
}

/// A notice that contradicts itself goes back while the officer is there to say what is meant; at significant harm
/// it goes on as a referral.
fn weigh(writing: &mut Writing, is_referral: bool, level: i32, purpose: &str) {
    writing.comes_from("content.level", "form.level");
    writing.comes_from("content.purpose", "form.purpose");
    if is_referral || is_grave(level) {
        return;
    }
    if ![0, Level::Information as i32].contains(&level) {
        let because = "is that of a referral, and the form says that it is none: tick is_referral, or leave the level out";
        writing.refuse("form.level", "form", because);
    }
    if is_blank(purpose) {
        writing.refuse("form.purpose", "TC-05", "is missing: what only informs says what for");
    }
}

fn report(mut writing: Writing, report: Option<form::Report>, about: About) -> Translated {
    let Some(report) = report else {
        writing.refuse("form.report", "required", "is missing");
        return writing.done(empty(&about));
    };
    incident(&mut writing, report.incident.as_ref());
    officer(&mut writing, report.officer.as_ref());
    marking(&mut writing, report.marking);

    let first = report.child.as_ref().map(|child| one_child(&mut writing, "form.report.child", "content.child", 0, child));
    if first.is_none() {
        writing.refuse("form.report.child", "required", "is missing");
    }
    let further = report.further_children.iter().zip(0u32..);
    let further_children: Vec<common::Child> = further
        .map(|(child, nth)| {
            let origin = format!("form.report.further_children[{nth}]");
            one_child(&mut writing, &origin, &format!("content.further_children[{nth}]"), nth.saturating_add(1), child)
        })
        .collect();
    for (nth, person) in report.persons.iter().enumerate() {
        one_person(&mut writing, &format!("form.report.persons[{nth}]"), person);
    }
    let graded = [("risk_grade", grade(report.risk_grade))];
    writing.keep_fields(of_child("form.report.risk_grade", Category::RiskLevel), Vec::new(), "", &graded);
    for (origin, category, label, statement) in [
        ("form.report.why_this_grade", Category::RiskLevel, "Why this grade: ", &report.why_this_grade),
        ("form.report.voice_of_child", Category::ChildVoice, "", &report.voice_of_child),
        ("form.report.home_conditions", Category::ConcernNarrative, "The home: ", &report.home_conditions),
    ] {
        keep(&mut writing, Kept { label, ..of_child(origin, category) }, statement.as_ref());
    }
    accounts(&mut writing, &report.account);
    domestic_abuse(&mut writing, report.domestic_abuse.as_ref());
    for (nth, piece) in report.intelligence.iter().enumerate() {
        intelligence(&mut writing, &format!("form.report.intelligence[{nth}]"), piece);
    }
    let (agreement, duty_decision) = sharing(&mut writing, report.sharing.as_ref());
    for (nth, document) in report.documents.iter().enumerate() {
        one_document(&mut writing, &format!("form.report.documents[{nth}]"), document);
    }
    for flag in &report.handling {
        writing.condition(*flag);
    }
    for (canonical, origin) in [
        ("content.harm", "form.report.harm"),
        ("content.harm_place", "form.report.harm_place"),
        ("content.addressed_to", "form.report.addressed_to"),
        ("content.circumstances.tell", "form.report.tell"),
        ("content.circumstances.claimed_basis", "form.report.sharing.claimed_basis"),
        ("content.handling", "form.report.handling"),
        ("content.agreement", "form.report.sharing.agreement"),
        ("content.duty_decision", "form.report.sharing.duty_decision"),
        ("content.further_children", "form.report.further_children"),
        ("content.child", "form.report.child"),
        ("content.referrer", "form.report.officer"),
    ] {
        writing.comes_from(canonical, origin);
    }
    let blank = empty(&about);
    let circumstances = common::Circumstances {
        claimed_basis: report.sharing.as_ref().map(|sharing| sharing.claimed_basis).unwrap_or_default(),
        possibly_related: report.possibly_related,
        tell: to_tell(&report.tell),
        ..blank.circumstances.clone().unwrap_or_default()
    };
    let content = common::Submission {
        harm: or(report.harm, about.harm as i32),
        harm_place: or(report.harm_place, HarmPlace::NotStated as i32),
        child: first,
        further_children,
        agreement,
        duty_decision,
        addressed_to: addressed_to(&report.addressed_to),
        circumstances: Some(circumstances),
        ..blank
    };
    writing.done(content)
}

fn empty(about: &About) -> common::Submission {
    common::Submission {
        kind: about.kind as i32,
        level: about.level,
        harm: about.harm as i32,
        harm_place: HarmPlace::NotStated as i32,
        agreement: Agreement::NotStated as i32,
        duty_decision: DutyDecision::NotRecorded as i32,
        purpose: about.purpose.clone(),
        circumstances: Some(common::Circumstances {
            happened: about.happened.clone(),
            next_school_day: about.next_school_day.clone(),
            ..common::Circumstances::default()
        }),
        ..common::Submission::default()
    }
}

/// About the children of the report, all of them.
fn keep(writing: &mut Writing, kept: Kept<'_>, statement: Option<&form::Statement>) {
    keep_under(writing, kept, statement, Vec::new());
}

/// Keeps a statement under `conditions`, beside its own.
fn keep_under(writing: &mut Writing, kept: Kept<'_>, statement: Option<&form::Statement>, conditions: Vec<i32>) {
    let Some(statement) = statement else { return };
    let mut handling = conditions;
    if statement.not_for_family {
        handling.push(HandlingFlag::NotForFamily as i32);
    }
    let said = Said {
        text: &statement.text,
        summary: &statement.summary,
        source: statement.source,
        told_to: "police",
        told_by: &statement.told_by,
        why_secret: "",
        handling,
    };
    writing.keep_said(kept, said);
}

fn incident(writing: &mut Writing, incident: Option<&form::Incident>) {
    let Some(incident) = incident else {
        return writing.refuse("form.report.incident", "required", "is missing");
    };
    writing.needed_text("form.report.incident.number", &incident.number, "is missing");
    match ForceCode::parse(&incident.force_code) {
        Ok(force) => writing.named = Some(Endpoint::Police(force)),
        // It may be left out: the certificate says it.
        Err(_) if incident.force_code.is_empty() => {}
        Err(why) => writing.refuse("form.report.incident.force_code", "form", &why.to_string()),
    }
    let values = [
        ("incident_number", incident.number.clone()),
        ("incident_when", incident.when.clone()),
        ("incident_where", incident.r#where.clone()),
        ("force_code", incident.force_code.clone()),
    ];
    writing.keep_fields(of_child("form.report.incident", Category::ConcernNarrative), Vec::new(), "", &values);
    let crime = [("crime_reference", incident.crime_reference.clone()), ("offences", incident.offences.clone())];
    writing.keep_fields(of_child("form.report.incident", Category::CriminalOffence), Vec::new(), "", &crime);
}

fn officer(writing: &mut Writing, officer: Option<&common::Practitioner>) {
    if officer.is_none() {
        writing.refuse("form.report.officer", "required", "is missing");
    }
    writing.referrer = officer.cloned();
}

fn marking(writing: &mut Writing, marking: i32) {
    let marked = match form::Marking::try_from(marking) {
        Ok(form::Marking::Official) => "OFFICIAL",
        Ok(form::Marking::OfficialSensitive) => "OFFICIAL-SENSITIVE",
        // What is marked by a word from a later edition is not known to be low enough.
        Ok(form::Marking::Secret | form::Marking::TopSecret) | Err(_) => {
            return writing.condition(HandlingFlag::Secret as i32);
        }
        Ok(form::Marking::Unspecified) => {
            return writing.refuse("form.report.marking", "HR-08", "is missing: it decides whether this may be sent here");
        }
    };
    let values = [("marking", marked.to_owned())];
    writing.keep_fields(of_child("form.report.marking", Category::ConcernNarrative), Vec::new(), "", &values);
}

fn one_child(writing: &mut Writing, origin: &str, canonical: &str, nth: u32, child: &form::Child) -> common::Child {
    let about = |category: Category| Kept { about_child: Some(nth), ..of_child(origin, category) };
    for part in ["identity", "address", "places"] {
        writing.comes_from(&format!("{canonical}.{part}"), &format!("{origin}.{part}"));
    }
    writing.comes_from(&format!("{canonical}.circumstances.school_urn"), &format!("{origin}.school_urn"));
    if child.address.as_ref().is_some_and(|address| address.protected) {
        writing.condition(HandlingFlag::AddressProtected as i32);
    }
    let why = [("why_address_is_protected", child.why_address_is_protected.clone())];
    writing.keep_fields(about(Category::ProtectedAddress), Vec::new(), "", &why);
    writing.keep_fields(about(Category::Identity), Vec::new(), "", &[("language", child.language.clone())]);
    let ethnicity = [("ethnicity", child.ethnicity.clone())];
    writing.keep_fields(about(Category::SpecialCategoryOther), Vec::new(), "", &ethnicity);
    let involved = [("involvement_of_child", involvement(child.involvement))];
    writing.keep_fields(about(Category::ConcernNarrative), Vec::new(), "", &involved);
    let school_urn = child.school_urn.trim();
    let is_readable = school_urn.is_empty() || Urn::parse(school_urn).is_ok();
    if !is_readable {
        writing.doubt(&format!("{origin}.school_urn"), "is not a URN: six digits of the DfE register");
    }
    let schooling = [
        ("school_urn", school_urn.to_owned()),
        ("school_name", child.school_name.clone()),
        ("home_educated", yes_no(child.home_educated)),
        ("looked_after", yes_no(child.looked_after)),
    ];
    writing.keep_fields(about(Category::EducationRecord), Vec::new(), "", &schooling);
    let health = [("disabled", yes_no(child.disabled)), ("non_mobile", yes_no(child.non_mobile))];
    writing.keep_fields(about(Category::ChildHealth), Vec::new(), "", &health);
    common::Child {
        identity: child.identity.clone(),
        address: child.address.clone(),
        places: child.places.clone(),
        circumstances: Some(common::ChildCircumstances {
            looked_after: is_yes(child.looked_after),
            age_disputed: child.age_disputed,
            disabled: is_yes(child.disabled),
            home_educated: is_yes(child.home_educated),
            non_mobile: is_yes(child.non_mobile),
            // A wrong number goes as it was written, among the school's record; no rule takes it for a school.
            school_urn: if is_readable { school_urn.to_owned() } else { String::new() },
            ..common::ChildCircumstances::default()
        }),
    }
}

/// Who lives with the child or cares for it is the family; anybody else is somebody else's business (TC-12).
fn one_person(writing: &mut Writing, origin: &str, person: &form::Person) {
    let is_parent = person.involvement == form::Involvement::ParentOrCarer as i32 || is_yes(person.parental_responsibility);
    let is_family = is_parent || is_yes(person.lives_with_child);
    let subject = if is_family { Subject::Parent } else { Subject::Other };
    let about = |category: Category| Kept { origin, category, subject: subject as i32, about_child: None, label: "" };
    let family = if is_family { Category::FamilyComposition } else { Category::ThirdParty };
    writing.keep_fields(
        about(family),
        Vec::new(),
        "",
        &[
            ("name", person.name.clone()),
            ("relationship", person.relationship_to_child.clone()),
            ("parental_responsibility", yes_no(person.parental_responsibility)),
            ("date_of_birth", person.date_of_birth.clone()),
            ("lives_with_child", yes_no(person.lives_with_child)),
        ],
    );
    if person.involvement != 0 {
        // That somebody is suspected is an allegation of an offence; who told police is nobody's but theirs.
        let category = match form::Involvement::try_from(person.involvement) {
            Ok(form::Involvement::Suspect) => Category::CriminalOffence,
            Ok(form::Involvement::Informant) => Category::ReferrerIdentity,
            Ok(
                form::Involvement::Victim
                | form::Involvement::Witness
                | form::Involvement::Present
                | form::Involvement::ParentOrCarer
                | form::Involvement::Unspecified,
            ) => family,
            Err(_) => Category::Unknown,
        };
        let values = [("involvement_of", person.name.clone()), ("involvement", involvement(person.involvement))];
        writing.keep_fields(about(category), Vec::new(), "", &values);
    }
    if let Some(address) = &person.address {
        let category = if address.protected { Category::ProtectedAddress } else { Category::ContactAddress };
        let category = if is_family || address.protected { category } else { Category::ThirdParty };
        let values = [
            ("address_of", person.name.clone()),
            ("address", address.lines.clone()),
            ("postcode", address.postcode.clone()),
            ("uprn", address.uprn.clone()),
            ("telephone", address.telephone.clone()),
        ];
        writing.keep_fields(about(category), Vec::new(), "", &values);
    }
    let health = if is_family { Category::ParentHealth } else { Category::ThirdParty };
    for (what, category, statement) in [
        ("Offences of", Category::CriminalOffence, &person.offences),
        ("Of", family, &person.comment),
        ("Health of", health, &person.health),
    ] {
        let label = format!("{what} {}: ", person.name);
        keep(writing, Kept { label: &label, ..about(category) }, statement.as_ref());
    }
}

fn accounts(writing: &mut Writing, accounts: &[form::AccountPart]) {
    let is_told = |part: &form::AccountPart| part.statement.as_ref().is_some_and(|statement| !is_blank(&statement.text));
    for (nth, part) in accounts.iter().enumerate() {
        let origin = format!("form.report.account[{nth}]");
        if !is_told(part) {
            writing.refuse(&format!("{origin}.statement.text"), "required", "is missing");
        }
        let Some(category) = category(writing, &origin, part.topic) else { continue };
        let statement = format!("{origin}.statement");
        let subject = or(part.subject, Subject::Child as i32);
        let kept = Kept { origin: &statement, category, subject, about_child: part.about_child, label: "" };
        keep(writing, kept, part.statement.as_ref());
    }
    if accounts.is_empty() {
        writing.refuse("form.report.account", "required", "is missing: at least one part is needed");
    }
}

fn domestic_abuse(writing: &mut Writing, assessed: Option<&form::DomesticAbuse>) {
    let Some(assessed) = assessed else { return };
    let kept = of_child("form.report.domestic_abuse", Category::DomesticAbuseDetail);
    let values = [
        ("dash_grade", grade(assessed.grade)),
        ("dash_answered_yes", assessed.answered_yes.map(|count| count.to_string()).unwrap_or_default()),
        ("referred_to_conference", yes_no(assessed.referred_to_conference)),
    ];
    writing.keep_fields(kept, Vec::new(), "", &values);
    let kept = of_child("form.report.domestic_abuse.account", Category::DomesticAbuseDetail);
    keep(writing, kept, assessed.account.as_ref());
}

fn intelligence(writing: &mut Writing, origin: &str, piece: &form::Intelligence) {
    let statement = piece.statement.clone().unwrap_or_default();
    writing.needed_text(&format!("{origin}.statement.text"), &statement.text, "is missing");
    let (code, graded) = match form::HandlingCode::try_from(piece.handling_code) {
        Ok(form::HandlingCode::P) => ("P", HandlingFlag::PoliceHandlingP),
        Ok(form::HandlingCode::C) => ("C", HandlingFlag::PoliceHandlingC),
        Ok(form::HandlingCode::Legacy5) => ("5", HandlingFlag::PoliceHandlingLegacy5),
        Ok(form::HandlingCode::Unspecified) => {
            let because = "is missing: nobody may guess how intelligence is handled";
            return writing.refuse(&format!("{origin}.handling_code"), "HR-01", because);
        }
        // A code from a later edition: nobody here can read what it permits.
        Err(_) => ("of a later edition", HandlingFlag::PoliceHandlingLegacy5),
    };
    let mut conditions = Vec::new();
    for (nth, condition) in piece.conditions.iter().enumerate() {
        conditions.push(match form::HandlingCondition::try_from(*condition) {
            Ok(form::HandlingCondition::NotForEducation) => (HandlingFlag::NotForEducation, "not for education"),
            Ok(form::HandlingCondition::NotForFamily) => (HandlingFlag::NotForFamily, "not for the family"),
            Ok(form::HandlingCondition::PoliceOnly) => (HandlingFlag::PoliceOnly, "police only"),
            Ok(form::HandlingCondition::DoNotContactSuspectOrWitness) => {
                (HandlingFlag::DoNotContactSuspectOrWitness, "do not contact suspect or witness")
            }
            Ok(form::HandlingCondition::Unspecified) | Err(_) => {
                let because = "is not a condition that this edition of the contract knows: say it in other_condition";
                writing.refuse(&format!("{origin}.conditions[{nth}]"), "HR-01", because);
                continue;
            }
        });
    }
    if statement.not_for_family {
        conditions.push((HandlingFlag::NotForFamily, "not for the family"));
    }
    let mut label = format!("Handling code {code}. ");
    if !is_blank(&piece.evaluation) {
        label.push_str(&format!("Evaluated {}. ", piece.evaluation));
    }
    let mut handling = vec![graded as i32];
    if is_blank(&piece.other_condition) {
        handling.extend(conditions.iter().map(|(flag, _)| *flag as i32));
    } else {
        // Beside a condition that can be read, one that cannot would be overlooked: with the bare code this piece
        // waits for police, and what all the conditions were stands in its text.
        handling = vec![HandlingFlag::PoliceHandlingC as i32];
        let words = conditions.iter().map(|(_, word)| *word).chain([piece.other_condition.as_str()]);
        label.push_str(&format!("On condition: {}. ", words.collect::<Vec<_>>().join("; ")));
    }
    handling.extend(piece.unsanitised.then_some(HandlingFlag::Unsanitised as i32));
    // Whoever told police is a source: that name goes nowhere but with the piece itself (HR-03).
    let told_by = if is_blank(&statement.told_by) { String::new() } else { format!("Told by {}. ", statement.told_by) };
    let said = Said {
        text: &format!("{told_by}{}", statement.text),
        summary: &statement.summary,
        source: statement.source,
        told_to: "police",
        told_by: "",
        why_secret: "",
        handling,
    };
    writing.keep_said(Kept { label: &label, ..of_child(origin, Category::PoliceIntelligence) }, said);
}

fn sharing(writing: &mut Writing, sharing: Option<&form::Sharing>) -> (i32, i32) {
    let (not_stated, not_recorded) = (Agreement::NotStated as i32, DutyDecision::NotRecorded as i32);
    let Some(sharing) = sharing else { return (not_stated, not_recorded) };
    if sharing.do_not_inform_parents {
        writing.condition(HandlingFlag::DoNotInformParents as i32);
    }
    let (agreement, duty) = (or(sharing.agreement, not_stated), or(sharing.duty_decision, not_recorded));
    let [agreed, decided] = words_of_sharing(agreement, duty);
    let values = [
        ("agreement", agreed),
        ("parents_told", yes_no(sharing.parents_told)),
        ("child_told", yes_no(sharing.child_told)),
        ("by_whom", sharing.by_whom.clone()),
        ("why_not", sharing.why_not.clone()),
        ("duty_decision", decided),
        ("duty_reason", sharing.duty_reason.clone()),
    ];
    let about = || of_child("form.report.sharing", Category::ConsentRecord);
    writing.keep_fields(about(), Vec::new(), "", &values);
    let why = [("why_parents_must_not_be_told", sharing.why_parents_must_not_be_told.clone())];
    writing.keep_fields(about(), vec![HandlingFlag::NotForFamily as i32], "", &why);
    (agreement, duty)
}

fn one_document(writing: &mut Writing, origin: &str, document: &form::Document) {
    let Some(category) = category(writing, origin, document.topic) else { return };
    let document = Document {
        description: &document.description,
        attachment: document.attachment.clone(),
        is_secret: document.not_for_family,
        why_secret: "",
    };
    writing.keep_document(of_child(origin, category), document);
}

fn category(writing: &mut Writing, origin: &str, topic: i32) -> Option<Category> {
    let category = match form::Topic::try_from(topic) {
        Ok(form::Topic::Circumstances) => Category::ConcernNarrative,
        Ok(form::Topic::ChildHealth) => Category::ChildHealth,
        Ok(form::Topic::SexualHealth) => Category::SexualHealth,
        Ok(form::Topic::ParentHealth) => Category::ParentHealth,
        Ok(form::Topic::DomesticAbuse) => Category::DomesticAbuseDetail,
        Ok(form::Topic::Offence) => Category::CriminalOffence,
        Ok(form::Topic::StaffAllegation) => Category::AllegationAgainstProfessional,
        Ok(form::Topic::SomebodyElse) => Category::ThirdParty,
        Ok(form::Topic::Immigration) => Category::ImmigrationStatus,
        Ok(form::Topic::Court) => Category::LegalProceedings,
        Ok(form::Topic::Missing) => Category::MissingEpisode,
        Ok(form::Topic::Marac) => Category::MaracInformation,
        Ok(form::Topic::Mappa) => Category::Mappa,
        Ok(form::Topic::Risk) => Category::RiskLevel,
        Ok(form::Topic::Unspecified) => {
            writing.refuse(&format!("{origin}.topic"), "required", "is missing: it decides who may read this part");
            return None;
        }
        // A topic from a later edition: carried, withheld from everybody and flagged (DM-15).
        Err(_) => Category::Unknown,
    };
    Some(category)
}

fn is_yes(number: i32) -> bool {
    number == form::YesNo::Yes as i32
}

fn yes_no(number: i32) -> String {
    match form::YesNo::try_from(number) {
        Ok(form::YesNo::Yes) => "yes",
        Ok(form::YesNo::No) => "no",
        Ok(form::YesNo::NotKnown) => "not known",
        Ok(form::YesNo::Unspecified) | Err(_) => "",
    }
    .to_owned()
}

fn tick(ticked: bool) -> String {
    if ticked { "yes" } else { "no" }.to_owned()
}

fn grade(number: i32) -> String {
    match form::RiskGrade::try_from(number) {
        Ok(form::RiskGrade::Red) => "red",
        Ok(form::RiskGrade::Amber) => "amber",
        Ok(form::RiskGrade::Green) => "green",
        Ok(form::RiskGrade::Blue) => "blue",
        Ok(form::RiskGrade::High) => "high",
        Ok(form::RiskGrade::Medium) => "medium",
        Ok(form::RiskGrade::Low) => "low",
        Ok(form::RiskGrade::NoApparentRisk) => "no apparent risk",
        Ok(form::RiskGrade::Unspecified) => "",
        Err(_) => "a grade that this edition of the contract does not know",
    }
    .to_owned()
}

fn involvement(number: i32) -> String {
    match form::Involvement::try_from(number) {
        Ok(form::Involvement::Victim) => "victim",
        Ok(form::Involvement::Suspect) => "suspect",
        Ok(form::Involvement::Witness) => "witness",
        Ok(form::Involvement::Present) => "present",
        Ok(form::Involvement::ParentOrCarer) => "parent or carer",
        Ok(form::Involvement::Informant) => "told police",
        Ok(form::Involvement::Unspecified) => "",
        Err(_) => "an involvement that this edition of the contract does not know",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
