//! A health body's forms, put into the contract's words. Pure: no I/O, no clock, no chance.
//!
//! Clinical fact stays apart from opinion, a number goes with what tracing it found, and an unborn child is known
//! by its mother and the expected date. What has no place in the canonical submission is kept as an item with its
//! category. Nothing clinical can come with an attendance: its form has no room for it (DM-10).

pub mod fhir;

use proto::wire::common::v1 as common;
use proto::wire::common::v1::{
    Agreement, Category, DutyDecision, EventKind, HandlingFlag, HarmPlace, HarmType, Level, Reporter, Subject,
};
use proto::wire::health::v1 as form;
use referral::Endpoint;
use referral::identifiers::OdsCode;

use crate::form::{
    Document, Kept, Said, Translated, Writing, addressed_to, is_blank, not_for_family, of_child, of_referrer, or, practitioner,
    to_tell, words_of_sharing,
};

/// How many attendances the register lists.
const ATTENDANCES_MAX: usize = 25;

/// Translates a safeguarding referral.
pub fn referral(form: form::SafeguardingReferral) -> Translated {
    let mut writing = Writing::new(form.level);
    let why = Kept { label: "Why this level: ", ..of_child("form.why_this_level", Category::RiskLevel) };
    keep(&mut writing, why, form.why_this_level.as_ref());
    let sought = Kept { label: "What should come of this: ", ..of_child("form.outcome_sought", Category::ConcernNarrative) };
    keep(&mut writing, sought, form.outcome_sought.as_ref());
    writing.comes_from("content.level", "form.level");
    writing.comes_from("content.harm", "form.harm");
    writing.comes_from("content.purpose", "form.purpose");
    let about = common::Submission {
        kind: EventKind::Referral as i32,
        level: form.level,
        harm: or(form.harm, HarmType::NotStated as i32),
        purpose: form.purpose,
        ..nothing_stated()
    };
    report(writing, form.report, about)
}

/// Translates a report of female genital mutilation. Whether the duty of section 5B is the reporter's own is for
/// the rules to say; that it was done by a call to the police is for the reporter.
pub fn fgm(form: form::FgmReport) -> Translated {
    let level = or(form.level, Level::SignificantHarm as i32);
    let mut writing = Writing::new(level);
    let (profession, reporter) = match form::Profession::try_from(form.profession) {
        Ok(form::Profession::Doctor) => ("doctor", Reporter::Regulated),
        Ok(form::Profession::Nurse) => ("nurse", Reporter::Regulated),
        Ok(form::Profession::Midwife) => ("midwife", Reporter::Regulated),
        Ok(form::Profession::OtherRegulated) => ("another regulated profession", Reporter::Regulated),
        Ok(form::Profession::NotRegulated) => ("not a regulated profession", Reporter::Other),
        Ok(form::Profession::Unspecified) => {
            writing.refuse("form.profession", "RA-16", "is missing: it decides whose duty this is");
            ("", Reporter::NotStated)
        }
        Err(_) => ("a profession that this edition of the contract does not know", Reporter::NotStated),
    };
    let (finding, harm, is_known) = match form::FgmFinding::try_from(form.finding) {
        Ok(form::FgmFinding::ToldByGirl) => ("the girl said so", HarmType::FgmKnown, true),
        Ok(form::FgmFinding::SignsSeen) => ("its physical signs were seen", HarmType::FgmKnown, true),
        Ok(form::FgmFinding::ToldByOthers) => ("somebody else said so", HarmType::FgmReportedByThirdParty, false),
        Ok(form::FgmFinding::AtRisk) => ("it is feared", HarmType::FgmRisk, false),
        Ok(form::FgmFinding::Unspecified) => {
            writing.refuse("form.finding", "RA-16", "is missing: it decides whose duty this is");
            ("", HarmType::NotStated, false)
        }
        // A finding from a later edition is feared at the least; what was meant stands beside it.
        Err(_) => ("a finding that this edition of the contract does not know", HarmType::FgmRisk, false),
    };
    writing.needed_text("form.discovered_at", &form.discovered_at, "is missing: a month runs from then");
    if is_known && reporter == Reporter::Regulated && is_blank(&form.police_reference) {
        let because = "is missing: whoever found it calls the police on 101 themselves, and this does not do it for them";
        writing.refuse("form.police_reference", "RA-16", because);
    }
    let found = [
        ("fgm_finding", finding.to_owned()),
        ("discovered_at", form.discovered_at.clone()),
        ("police_reference", form.police_reference),
    ];
    // What was done to a girl is hers; what is feared is a worry like another.
    let category = if is_known { Category::SexualHealth } else { Category::ConcernNarrative };
    writing.keep_fields(of_child("form.finding", category), Vec::new(), "", &found);
    let works_as = [("reporter_profession", profession.to_owned())];
    writing.keep_fields(of_referrer("form.profession"), Vec::new(), "", &works_as);
    writing.comes_from("content.level", "form.level");
    writing.comes_from("content.harm", "form.finding");
    writing.comes_from("content.circumstances.happened", "form.discovered_at");
    let about = common::Submission {
        kind: EventKind::Referral as i32,
        level,
        harm: harm as i32,
        // The form itself says what for, also where it only informs (TC-05).
        purpose: "A report of female genital mutilation (Female Genital Mutilation Act 2003 s5B).".to_owned(),
        circumstances: Some(common::Circumstances {
            reporter: reporter as i32,
            happened: form.discovered_at,
            ..common::Circumstances::default()
        }),
        ..nothing_stated()
    };
    report(writing, form.report, about)
}

/// Translates an attendance at unscheduled care: status and attendance, and nothing else.
pub fn unscheduled_attendance(form: form::UnscheduledAttendance) -> Translated {
    let mut writing = Writing::new(Level::Information as i32);
    organisation(&mut writing, "form.organisation", form.organisation.as_ref());
    referrer(&mut writing, "form.referrer", form.referrer);
    if form.identity.is_none() {
        writing.refuse("form.identity", "required", "is missing");
    }
    let care = match form::Care::try_from(form.care) {
        Ok(form::Care::EmergencyDepartment) => "emergency department",
        Ok(form::Care::UrgentTreatment) => "urgent treatment",
        Ok(form::Care::OutOfHoursGp) => "out-of-hours general practice",
        Ok(form::Care::UnbookedMaternity) => "unbooked maternity",
        Ok(form::Care::PaediatricUnplanned) => "children's ward, unplanned",
        Ok(form::Care::Ambulance) => "ambulance",
        Ok(form::Care::Unspecified) => {
            writing.refuse("form.care", "DM-10", "is missing: only unscheduled care is notified");
            ""
        }
        Err(_) => "unscheduled care that this edition of the contract does not know",
    };
    writing.needed_text("form.attended_at", &form.attended_at, "is missing");
    let kept = Kept { about_child: Some(0), ..of_child("form.attended_at", Category::AttendanceEvent) };
    let attended = [("attended_at", form.attended_at.clone()), ("care", care.to_owned())];
    writing.keep_fields(kept, Vec::new(), "", &attended);
    let known = form.register.as_ref().and_then(holder);
    match form.register.as_ref() {
        Some(status) => {
            register(&mut writing, "form.register", 0, status);
            if known.is_none() {
                let because = "is not of a child whom the register knows, so nobody is to be told of this attendance";
                writing.refuse("form.register.status", "DM-10", because);
            } else if is_blank(&status.authority) {
                writing.refuse("form.register.authority", "required", "is missing: it is the one that is told");
            }
        }
        None => writing.refuse("form.register", "required", "is missing"),
    }
    for (canonical, origin) in [
        ("content.child.identity", "form.identity"),
        ("content.child.places", "form.register.authority"),
        ("content.child.circumstances.trace", "form.trace"),
        ("content.circumstances.happened", "form.attended_at"),
    ] {
        writing.comes_from(canonical, origin);
    }
    let mut places = common::Places::default();
    place_by_register(&mut writing, ["content.child", "form"], &mut places, form.register.as_ref());
    let content = common::Submission {
        kind: EventKind::CpisAttendance as i32,
        level: Level::Information as i32,
        harm: HarmType::None as i32,
        purpose: "Child protection information sharing: the authority that holds the plan is told of unscheduled care."
            .to_owned(),
        child: Some(common::Child {
            identity: form.identity,
            address: None,
            places: Some(places),
            circumstances: Some(common::ChildCircumstances {
                trace: form.trace,
                looked_after: known == Some(Holder::LooksAfter),
                ..common::ChildCircumstances::default()
            }),
        }),
        circumstances: Some(common::Circumstances { happened: form.attended_at, ..common::Circumstances::default() }),
        ..nothing_stated()
    };
    writing.done(content)
}

fn nothing_stated() -> common::Submission {
    common::Submission {
        harm_place: HarmPlace::NotStated as i32,
        agreement: Agreement::NotStated as i32,
        duty_decision: DutyDecision::NotRecorded as i32,
        ..common::Submission::default()
    }
}

fn report(mut writing: Writing, report: Option<form::Report>, about: common::Submission) -> Translated {
    let Some(report) = report else {
        writing.refuse("form.report", "required", "is missing");
        return writing.done(about);
    };
    organisation(&mut writing, "form.report.organisation", report.organisation.as_ref());
    referrer(&mut writing, "form.report.referrer", report.referrer);
    if let Some(person) = &report.named_professional {
        let names = ["named_professional_name", "named_professional_role", "named_professional_contact"];
        writing.keep_fields(of_referrer("form.report.named_professional"), Vec::new(), "", &practitioner(names, person));
    }
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
    for (nth, adult) in report.parents_and_carers.iter().enumerate() {
        one_adult(&mut writing, &format!("form.report.parents_and_carers[{nth}]"), Subject::Parent, adult);
    }
    for (nth, adult) in report.other_adults.iter().enumerate() {
        one_adult(&mut writing, &format!("form.report.other_adults[{nth}]"), Subject::Other, adult);
    }
    accounts(&mut writing, &report.account);
    keep(&mut writing, of_child("form.report.views_of_child", Category::ChildVoice), report.views_of_child.as_ref());
    let family = Kept {
        label: "The family says: ",
        subject: Subject::Parent as i32,
        ..of_child("form.report.views_of_family", Category::ConcernNarrative)
    };
    keep(&mut writing, family, report.views_of_family.as_ref());
    let (agreement, duty_decision) = sharing(&mut writing, report.sharing.as_ref());
    for (nth, document) in report.documents.iter().enumerate() {
        one_document(&mut writing, &format!("form.report.documents[{nth}]"), document);
    }
    for flag in &report.handling {
        writing.condition(*flag);
    }
    for (canonical, origin) in [
        ("content.harm_place", "form.report.harm_place"),
        ("content.addressed_to", "form.report.addressed_to"),
        ("content.circumstances.tell", "form.report.tell"),
        ("content.circumstances.claimed_basis", "form.report.sharing.claimed_basis"),
        ("content.handling", "form.report.handling"),
        ("content.agreement", "form.report.sharing.agreement"),
        ("content.duty_decision", "form.report.sharing.duty_decision"),
        ("content.further_children", "form.report.further_children"),
        ("content.child", "form.report.child"),
    ] {
        writing.comes_from(canonical, origin);
    }
    let circumstances = common::Circumstances {
        claimed_basis: report.sharing.as_ref().map(|sharing| sharing.claimed_basis).unwrap_or_default(),
        possibly_related: report.possibly_related,
        tell: to_tell(&report.tell),
        ..about.circumstances.clone().unwrap_or_default()
    };
    writing.done(common::Submission {
        harm_place: or(report.harm_place, HarmPlace::NotStated as i32),
        child: first,
        further_children,
        agreement,
        duty_decision,
        addressed_to: addressed_to(&report.addressed_to),
        circumstances: Some(circumstances),
        ..about
    })
}

/// About the children of the form, all of them.
fn keep(writing: &mut Writing, kept: Kept<'_>, statement: Option<&form::Statement>) {
    let Some(statement) = statement else { return };
    // A reason without a tick is a tick: in doubt it stays from the family.
    let is_secret = statement.not_for_family || !is_blank(&statement.why_not_for_family);
    let said = Said {
        text: &statement.text,
        summary: &statement.summary,
        source: statement.source,
        told_to: "the health body",
        told_by: &statement.told_by,
        why_secret: &statement.why_not_for_family,
        handling: not_for_family(is_secret),
    };
    writing.keep_said(kept, said);
}

fn organisation(writing: &mut Writing, origin: &str, organisation: Option<&form::Organisation>) {
    let Some(organisation) = organisation else {
        return writing.refuse(origin, "required", "is missing");
    };
    match OdsCode::parse(&organisation.ods_code) {
        Ok(ods) => writing.named = Some(Endpoint::Nhs(ods)),
        Err(why) => writing.refuse(&format!("{origin}.ods_code"), "form", &why.to_string()),
    }
    let values = [
        ("organisation_ods_code", organisation.ods_code.clone()),
        ("organisation_name", organisation.name.clone()),
        ("organisation_site", organisation.site.clone()),
    ];
    writing.keep_fields(of_referrer(origin), Vec::new(), "", &values);
}

fn referrer(writing: &mut Writing, origin: &str, referrer: Option<common::Practitioner>) {
    if referrer.is_none() {
        writing.refuse(origin, "required", "is missing");
    }
    writing.comes_from("content.referrer", origin);
    writing.referrer = referrer;
}

fn one_child(writing: &mut Writing, origin: &str, canonical: &str, nth: u32, child: &form::Child) -> common::Child {
    let about = |category: Category| Kept { about_child: Some(nth), ..of_child(origin, category) };
    for part in ["identity", "address", "places"] {
        writing.comes_from(&format!("{canonical}.{part}"), &format!("{origin}.{part}"));
    }
    writing.comes_from(&format!("{canonical}.circumstances.trace"), &format!("{origin}.trace"));
    if let Some(identity) = &child.identity {
        let is_unborn = matches!(identity.age, Some(common::identity::Age::ExpectedDeliveryDate(_)));
        if is_unborn && is_blank(&identity.mother_nhs_number) {
            writing.doubt(&format!("{origin}.identity.mother_nhs_number"), "is missing: an unborn child is known by its mother");
        }
    }
    if child.address.as_ref().is_some_and(|address| address.protected) {
        writing.condition(HandlingFlag::AddressProtected as i32);
    }
    if child.record_is_sensitive {
        writing.condition(HandlingFlag::PdsSensitive as i32);
    }
    let why = [("why_address_is_protected", child.why_address_is_protected.clone())];
    writing.keep_fields(about(Category::ProtectedAddress), Vec::new(), "", &why);
    // That a record is sensitive says that there is an address to hide: it goes where that may go, and nowhere else.
    let record = [("record_is_sensitive", if child.record_is_sensitive { "yes" } else { "" }.to_owned())];
    writing.keep_fields(about(Category::ProtectedAddress), Vec::new(), "", &record);
    writing.keep_fields(about(Category::Identity), Vec::new(), "", &[("language", child.language.clone())]);
    let ethnicity = [("ethnicity", child.ethnicity.clone())];
    writing.keep_fields(about(Category::SpecialCategoryOther), Vec::new(), "", &ethnicity);
    if let Some(gp) = &child.gp {
        if !is_blank(&gp.ods_code) && OdsCode::parse(&gp.ods_code).is_err() {
            writing.doubt(&format!("{origin}.gp.ods_code"), "is not an ODS code");
        }
        let values = [("gp_ods_code", gp.ods_code.clone()), ("gp_name", gp.name.clone()), ("gp_site", gp.site.clone())];
        writing.keep_fields(about(Category::ChildHealth), Vec::new(), "", &values);
    }
    let disability = format!("{origin}.disability");
    let kept = Kept { origin: &disability, label: "Disability: ", ..about(Category::ChildHealth) };
    keep(writing, kept, child.disability.as_ref());
    if let Some(status) = &child.register {
        register(writing, &format!("{origin}.register"), nth, status);
    }
    let mut places = child.places.clone().unwrap_or_default();
    place_by_register(writing, [canonical, origin], &mut places, child.register.as_ref());
    common::Child {
        identity: child.identity.clone(),
        address: child.address.clone(),
        places: Some(places),
        circumstances: Some(common::ChildCircumstances {
            looked_after: child.register.as_ref().and_then(holder) == Some(Holder::LooksAfter),
            deceased: child.deceased,
            disabled: child.disability.as_ref().is_some_and(|disability| !is_blank(&disability.text)),
            inpatient: child.inpatient,
            non_mobile: child.non_mobile,
            trace: child.trace,
            ..common::ChildCircumstances::default()
        }),
    }
}

/// What the authority of a register entry is to the child.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    HoldsThePlan,
    LooksAfter,
}

fn holder(status: &form::RegisterStatus) -> Option<Holder> {
    match form::PlanStatus::try_from(status.status) {
        Ok(form::PlanStatus::ChildProtectionPlan | form::PlanStatus::UnbornPlan) => Some(Holder::HoldsThePlan),
        Ok(form::PlanStatus::LookedAfter) => Some(Holder::LooksAfter),
        Ok(form::PlanStatus::None | form::PlanStatus::NotChecked | form::PlanStatus::Unspecified) | Err(_) => None,
    }
}

/// The register knows who holds the plan where the writer does not say; what the writer says wins.
fn place_by_register(
    writing: &mut Writing,
    [canonical, origin]: [&str; 2],
    places: &mut common::Places,
    status: Option<&form::RegisterStatus>,
) {
    let Some(status) = status else { return };
    let (name, place) = match holder(status) {
        Some(Holder::HoldsThePlan) => ("plan_holder", &mut places.plan_holder),
        Some(Holder::LooksAfter) => ("placing", &mut places.placing),
        None => return,
    };
    if is_blank(place) {
        *place = status.authority.clone();
        writing.comes_from(&format!("{canonical}.places.{name}"), &format!("{origin}.register.authority"));
    }
}

fn register(writing: &mut Writing, origin: &str, nth: u32, status: &form::RegisterStatus) {
    let word = match form::PlanStatus::try_from(status.status) {
        Ok(form::PlanStatus::ChildProtectionPlan) => "child protection plan",
        Ok(form::PlanStatus::LookedAfter) => "looked after",
        Ok(form::PlanStatus::UnbornPlan) => "plan for an unborn child",
        Ok(form::PlanStatus::None) => "none",
        Ok(form::PlanStatus::NotChecked) => "not checked",
        Ok(form::PlanStatus::Unspecified) => "",
        Err(_) => "a status that this edition of the contract does not know",
    };
    let about = || Kept { about_child: Some(nth), ..of_child(origin, Category::AttendanceEvent) };
    let values = [
        ("register_status", word.to_owned()),
        ("register_authority", status.authority.clone()),
        ("register_authority_contact", status.authority_contact.clone()),
        ("register_checked", status.checked.clone()),
    ];
    writing.keep_fields(about(), Vec::new(), "", &values);
    if status.attendances.len() > ATTENDANCES_MAX {
        writing.refuse(&format!("{origin}.attendances"), "form", "are more than the 25 that the register lists");
    }
    for past in &status.attendances {
        let values = [("attendance_when", past.when.clone()), ("attendance_where", past.r#where.clone())];
        writing.keep_fields(about(), Vec::new(), "", &values);
    }
}

fn one_adult(writing: &mut Writing, origin: &str, subject: Subject, adult: &form::Adult) {
    let about = |category: Category| Kept { origin, category, subject: subject as i32, about_child: None, label: "" };
    // What is known of a parent is the family's; what is known of anybody else is that person's own.
    let is_parent = subject == Subject::Parent;
    let (family, health) = if is_parent {
        (Category::FamilyComposition, Category::ParentHealth)
    } else {
        (Category::ThirdParty, Category::ThirdParty)
    };
    let values = [
        ("name", adult.name.clone()),
        ("relationship", adult.relationship.clone()),
        ("parental_responsibility", yes_no(adult.parental_responsibility)),
        ("lives_with_child", yes_no(adult.lives_with_child)),
        ("date_of_birth", adult.date_of_birth.clone()),
    ];
    writing.keep_fields(about(family), Vec::new(), "", &values);
    if !is_blank(&adult.nhs_number) {
        let number = [("nhs_number_of", adult.name.clone()), ("nhs_number", adult.nhs_number.clone())];
        writing.keep_fields(about(health), Vec::new(), "", &number);
    }
    if let Some(address) = &adult.address {
        let open = if is_parent { Category::ContactAddress } else { Category::ThirdParty };
        let category = if address.protected { Category::ProtectedAddress } else { open };
        let values = [
            ("address_of", adult.name.clone()),
            ("address", address.lines.clone()),
            ("postcode", address.postcode.clone()),
            ("uprn", address.uprn.clone()),
            ("telephone", address.telephone.clone()),
        ];
        writing.keep_fields(about(category), Vec::new(), "", &values);
    }
    for (what, category, statement) in [("Health of", health, &adult.health), ("Of", family, &adult.comment)] {
        let label = format!("{what} {}: ", adult.name);
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
        let standing = match form::Standing::try_from(part.standing) {
            Ok(form::Standing::Fact) => "Fact",
            Ok(form::Standing::Opinion) => "Opinion",
            Ok(form::Standing::Unspecified) => {
                let because = "is missing: a reader must be able to tell what was found from what is thought of it";
                writing.refuse(&format!("{origin}.standing"), "required", because);
                continue;
            }
            // Whatever a later edition calls it, it is not known to be a fact.
            Err(_) => "Neither fact nor opinion in this edition's words",
        };
        let Some(category) = category(writing, &origin, part.topic) else { continue };
        let details = [("", &part.when), ("by ", &part.by)];
        let details = details.iter().filter(|(_, text)| !is_blank(text)).map(|(word, text)| format!(", {word}{text}"));
        let label = format!("{standing}{}: ", details.collect::<String>());
        let statement = format!("{origin}.statement");
        let subject = or(part.subject, Subject::Child as i32);
        let kept = Kept { origin: &statement, category, subject, about_child: part.about_child, label: &label };
        keep(writing, kept, part.statement.as_ref());
    }
    if accounts.is_empty() {
        writing.refuse("form.report.account", "required", "is missing: at least one part is needed");
    }
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
        ("by_whom", sharing.by_whom.clone()),
        ("why_not", sharing.why_not.clone()),
        ("duty_decision", decided),
        ("duty_reason", sharing.duty_reason.clone()),
        ("parents_told", yes_no(sharing.parents_told)),
    ];
    let about = || of_child("form.report.sharing", Category::ConsentRecord);
    writing.keep_fields(about(), Vec::new(), "", &values);
    let why = [("why_parents_must_not_be_told", sharing.why_parents_must_not_be_told.clone())];
    writing.keep_fields(about(), not_for_family(true), "", &why);
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
        Ok(form::Topic::Worry) => Category::ConcernNarrative,
        Ok(form::Topic::ChildHealth) => Category::ChildHealth,
        Ok(form::Topic::SexualHealth) => Category::SexualHealth,
        Ok(form::Topic::ParentHealth) => Category::ParentHealth,
        Ok(form::Topic::DomesticAbuse) => Category::DomesticAbuseDetail,
        Ok(form::Topic::Offence) => Category::CriminalOffence,
        Ok(form::Topic::StaffAllegation) => Category::AllegationAgainstProfessional,
        Ok(form::Topic::SomebodyElse) => Category::ThirdParty,
        Ok(form::Topic::SiblingRecord) => Category::UnrelatedSiblingRecord,
        Ok(form::Topic::Immigration) => Category::ImmigrationStatus,
        Ok(form::Topic::Adoption) => Category::AdoptionRecord,
        Ok(form::Topic::Court) => Category::LegalProceedings,
        Ok(form::Topic::Risk) => Category::RiskLevel,
        Ok(form::Topic::Marac) => Category::MaracInformation,
        Ok(form::Topic::Unspecified) => {
            writing.refuse(&format!("{origin}.topic"), "required", "is missing: it decides who may read this part");
            return None;
        }
        // A topic from a later edition: carried, withheld from everybody and flagged (DM-15).
        Err(_) => Category::Unknown,
    };
    Some(category)
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

#[cfg(test)]
mod tests;
