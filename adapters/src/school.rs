//! A school's form, put into the contract's words. Pure: no I/O, no clock, no chance.
//!
//! What has a place in the canonical submission goes there; everything else is kept as an item with its
//! category. Nothing that the school wrote is lost, and nothing it wrote decides by itself who may read it.
//! What is wrong is named by the form's own fields, never by ours.

use proto::wire::common::v1 as common;
use proto::wire::common::v1::{
    Agreement, Category, DutyDecision, EventKind, HandlingFlag, HarmPlace, HarmType, Knowledge, Subject,
};
use proto::wire::school::v1 as form;
use referral::Endpoint;
use referral::identifiers::Urn;

pub use crate::form::Translated;
use crate::form::{Kept, Said, Writing, addressed_to, is_blank, of_referrer, or, practitioner};

/// The school that a form names is not the one whose certificate sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnotherSchool;

/// Whether a form may come from `sender`: it names that school, or (to be told so with all else) none.
pub fn is_own(sender: &Endpoint, school: Option<&form::School>) -> Result<(), AnotherSchool> {
    match school.map(|school| Urn::parse(&school.urn)) {
        Some(Ok(urn)) if Endpoint::School(urn.clone()) != *sender => Err(AnotherSchool),
        Some(Ok(_)) | Some(Err(_)) | None => Ok(()),
    }
}

/// Translates the short form: the whole form with most of it left empty.
pub fn concern(form: form::ConcernForm) -> Translated {
    let short = form::ReferralForm {
        school: form.school,
        referrer: form.referrer,
        pupil: form.pupil,
        consent: Some(form.consent.unwrap_or_default()),
        level: form.level,
        harm: or(form.harm, HarmType::NotStated as i32),
        account: vec![form::AccountPart {
            topic: form::Topic::Worry as i32,
            subject: Subject::Child as i32,
            when: form.when,
            r#where: form.r#where,
            statement: form.worry,
            about_child: None,
        }],
        views_of_child: form.views_of_child,
        ..form::ReferralForm::default()
    };
    let mut translated = referral(short);
    // Its one account is a field of its own in the short form.
    let in_short = |field: &mut String| {
        *field = field.replace("form.account[0].statement", "form.worry").replace("form.account[0]", "form.worry")
    };
    translated.faults.iter_mut().for_each(|fault| in_short(&mut fault.field));
    translated.origins.iter_mut().for_each(|(_, origin)| in_short(origin));
    translated
}

/// Translates the whole form.
pub fn referral(form: form::ReferralForm) -> Translated {
    let mut writing = Writing::new(form.level);
    writing.school(form.school.as_ref());
    writing
        .referrer(form.referrer.as_ref(), form.school.as_ref().and_then(|school| school.designated_safeguarding_lead.as_ref()));

    let child = form.pupil.as_ref().map(|pupil| writing.pupil("form.pupil", "content.child", 0, pupil));
    if child.is_none() {
        writing.refuse("form.pupil", "required", "is missing");
    }
    let further = form.further_pupils.iter().zip(0u32..);
    let further_children: Vec<common::Child> = further
        .map(|(pupil, nth)| {
            let (origin, canonical) = (format!("form.further_pupils[{nth}]"), format!("content.further_children[{nth}]"));
            writing.pupil(&origin, &canonical, nth.saturating_add(1), pupil)
        })
        .collect();

    for (nth, adult) in form.parents_and_carers.iter().enumerate() {
        writing.adult(&format!("form.parents_and_carers[{nth}]"), Subject::Parent, adult);
    }
    for (nth, adult) in form.other_adults.iter().enumerate() {
        writing.adult(&format!("form.other_adults[{nth}]"), Subject::Other, adult);
    }
    for (nth, sibling) in form.siblings.iter().enumerate() {
        writing.sibling(&format!("form.siblings[{nth}]"), sibling);
    }
    let (agreement, duty_decision) = writing.consent(form.consent.as_ref());
    writing.accounts(&form.account);
    writing.views(&form);
    for (nth, document) in form.documents.iter().enumerate() {
        writing.document(&format!("form.documents[{nth}]"), document);
    }
    for flag in &form.handling {
        writing.condition(*flag);
    }
    for (canonical, origin) in [
        ("content.level", "form.level"),
        ("content.harm", "form.harm"),
        ("content.harm_place", "form.harm_place"),
        ("content.purpose", "form.purpose"),
        ("content.addressed_to", "form.addressed_to"),
        ("content.handling", "form.handling"),
        ("content.agreement", "form.consent.agreement"),
        ("content.duty_decision", "form.consent.duty_decision"),
        ("content.further_children", "form.further_pupils"),
        ("content.child", "form.pupil"),
    ] {
        writing.comes_from(canonical, origin);
    }

    writing.done(common::Submission {
        kind: EventKind::Referral as i32,
        level: form.level,
        harm: form.harm,
        harm_place: or(form.harm_place, HarmPlace::NotStated as i32),
        child,
        further_children,
        agreement,
        duty_decision,
        purpose: form.purpose,
        addressed_to: addressed_to(&form.addressed_to),
        ..common::Submission::default()
    })
}

impl Writing {
    fn keep_statement(&mut self, kept: Kept<'_>, statement: Option<&form::Statement>) {
        let Some(statement) = statement else { return };
        let secret = statement.confidentiality.as_ref();
        let said = Said {
            text: &statement.text,
            summary: &statement.summary,
            source: statement.source,
            told_to: "the school",
            told_by: &statement.told_by,
            why_secret: secret.map_or("", |secret| &secret.why),
            handling: not_for_family(secret),
        };
        self.keep_said(kept, said);
    }

    fn school(&mut self, school: Option<&form::School>) {
        let Some(school) = school else {
            return self.refuse("form.school", "required", "is missing");
        };
        if let Err(why) = Urn::parse(&school.urn) {
            self.refuse("form.school.urn", "form", &why.to_string());
        }
        let digits = school.dfe_number.replacen('/', "", 1);
        if !school.dfe_number.is_empty() && (digits.len() != 7 || !digits.bytes().all(|byte| byte.is_ascii_digit())) {
            self.doubt("form.school.dfe_number", "is not a DfE number: three digits of the authority, then four of the school");
        }
        let kept = Kept {
            origin: "form.school",
            category: Category::EducationRecord,
            subject: Subject::Child as i32,
            about_child: None,
            label: "",
        };
        let values = [
            ("school_urn", school.urn.clone()),
            ("school_dfe_number", school.dfe_number.clone()),
            ("school_name", school.name.clone()),
        ];
        self.keep_fields(kept, Vec::new(), "", &values);
    }

    fn referrer(&mut self, referrer: Option<&form::Referrer>, lead: Option<&common::Practitioner>) {
        let person = referrer.and_then(|referrer| referrer.person.as_ref());
        let origin = if person.is_some() { "form.referrer.person" } else { "form.school.designated_safeguarding_lead" };
        self.comes_from("content.referrer", origin);
        self.referrer = person.or(lead).cloned();
        if person.is_some() {
            match lead {
                Some(lead) if !is_blank(&lead.name) => {
                    let values = practitioner(LEAD, lead);
                    self.keep_fields(of_referrer("form.school.designated_safeguarding_lead"), Vec::new(), "", &values);
                }
                Some(_) | None => self.refuse("form.school.designated_safeguarding_lead.name", "required", "is missing"),
            }
        }
        let Some(referrer) = referrer else { return };
        let values = [("agency", referrer.agency.clone()), ("relationship_to_child", referrer.relationship_to_child.clone())];
        self.keep_fields(of_referrer("form.referrer"), Vec::new(), "", &values);
        if referrer.anonymous_to_family {
            self.condition(HandlingFlag::ReferrerAnonymousToFamily as i32);
        }
    }

    fn pupil(&mut self, origin: &str, canonical: &str, nth: u32, pupil: &form::Pupil) -> common::Child {
        let about =
            |category: Category| Kept { origin, category, subject: Subject::Child as i32, about_child: Some(nth), label: "" };
        for part in ["identity", "address", "places"] {
            self.comes_from(&format!("{canonical}.{part}"), &format!("{origin}.{part}"));
        }
        if pupil.address.as_ref().is_some_and(|address| address.protected) {
            self.condition(HandlingFlag::AddressProtected as i32);
        }
        let why = [("why_address_is_protected", pupil.why_address_is_protected.clone())];
        self.keep_fields(about(Category::ProtectedAddress), Vec::new(), "", &why);
        self.keep_fields(
            about(Category::Identity),
            Vec::new(),
            "",
            &[
                ("first_language", pupil.first_language.clone()),
                ("interpreter_needed", yes_no(pupil.interpreter_needed)),
                ("communication_needs", pupil.communication_needs.clone()),
            ],
        );
        let special = [("ethnicity", pupil.ethnicity.clone()), ("religion", pupil.religion.clone())];
        self.keep_fields(about(Category::SpecialCategoryOther), Vec::new(), &pupil.cultural_needs_summary, &special);
        let disability = format!("{origin}.disability");
        let kept = Kept { origin: &disability, label: "Disability: ", ..about(Category::ChildHealth) };
        self.keep_statement(kept, pupil.disability.as_ref());
        let gp = [("gp_name", pupil.gp_name.clone()), ("gp_ods_code", pupil.gp_ods_code.clone())];
        self.keep_fields(about(Category::ChildHealth), Vec::new(), "", &gp);
        self.keep_fields(about(Category::AdoptionRecord), Vec::new(), "", &[("former_upn", pupil.former_upn.clone())]);
        if let Some(record) = &pupil.record {
            self.record(&format!("{origin}.record"), nth, record);
        }
        common::Child {
            identity: pupil.identity.clone(),
            address: pupil.address.clone(),
            places: pupil.places.clone(),
            circumstances: None,
        }
    }

    fn record(&mut self, origin: &str, nth: u32, record: &form::SchoolRecord) {
        if record.attendance_percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            self.doubt(&format!("{origin}.attendance_percent"), "is not a percentage");
        }
        let mut values = vec![
            ("year_group", record.year_group.clone()),
            ("attendance_percent", record.attendance_percent.map(|percent| percent.to_string()).unwrap_or_default()),
            ("attendance_comment", record.attendance_comment.clone()),
            ("sen_status", record.sen_status.clone()),
            ("sen_comment", record.sen_comment.clone()),
            ("child_protection_file_held", yes_no(record.child_protection_file_held)),
            ("looked_after", yes_no(record.looked_after)),
            ("plans", record.plans.clone()),
            ("exclusions", record.exclusions.clone()),
        ];
        if let Some(head) = &record.virtual_school {
            values.extend(practitioner(VIRTUAL_SCHOOL, head));
        }
        let kept = Kept {
            origin,
            category: Category::EducationRecord,
            subject: Subject::Child as i32,
            about_child: Some(nth),
            label: "",
        };
        self.keep_fields(kept, Vec::new(), "", &values);
    }

    fn adult(&mut self, origin: &str, subject: Subject, adult: &form::Adult) {
        let about = |category: Category| Kept { origin, category, subject: subject as i32, about_child: None, label: "" };
        self.keep_fields(
            about(Category::FamilyComposition),
            Vec::new(),
            "",
            &[
                ("name", adult.name.clone()),
                ("relationship", adult.relationship.clone()),
                ("parental_responsibility", yes_no(adult.parental_responsibility)),
                ("date_of_birth", adult.date_of_birth.clone()),
                ("lives_with_child", yes_no(adult.lives_with_child)),
                ("language", adult.language.clone()),
            ],
        );
        if let Some(address) = &adult.address {
            let category = if address.protected { Category::ProtectedAddress } else { Category::ContactAddress };
            self.keep_fields(
                about(category),
                Vec::new(),
                "",
                &[
                    ("address_of", adult.name.clone()),
                    ("address", address.lines.clone()),
                    ("postcode", address.postcode.clone()),
                    ("uprn", address.uprn.clone()),
                    ("telephone", address.telephone.clone()),
                ],
            );
        }
        // What is known of a parent is the family's; what is known of anybody else is that person's own.
        let (comment, health) = match subject {
            Subject::Parent => (Category::FamilyComposition, Category::ParentHealth),
            Subject::Unspecified | Subject::Child | Subject::Sibling | Subject::Other => {
                (Category::ThirdParty, Category::ThirdParty)
            }
        };
        let (of, health_of) = (format!("Of {}: ", adult.name), format!("Health of {}: ", adult.name));
        self.keep_statement(Kept { label: &of, ..about(comment) }, adult.comment.as_ref());
        self.keep_statement(Kept { label: &health_of, ..about(health) }, adult.health.as_ref());
    }

    fn sibling(&mut self, origin: &str, sibling: &form::Sibling) {
        let about =
            |category: Category| Kept { origin, category, subject: Subject::Sibling as i32, about_child: None, label: "" };
        self.keep_fields(
            about(Category::FamilyComposition),
            Vec::new(),
            "",
            &[
                ("name", sibling.name.clone()),
                ("relationship", sibling.relationship.clone()),
                ("date_of_birth", sibling.date_of_birth.clone()),
                ("school", sibling.school.clone()),
                ("lives_with_child", yes_no(sibling.lives_with_child)),
            ],
        );
        let of = format!("Of {}: ", sibling.name);
        self.keep_statement(Kept { label: &of, ..about(Category::UnrelatedSiblingRecord) }, sibling.record.as_ref());
    }

    fn consent(&mut self, consent: Option<&form::Consent>) -> (i32, i32) {
        let not_recorded = DutyDecision::NotRecorded as i32;
        let Some(consent) = consent else {
            self.refuse("form.consent", "required", "is missing");
            return (Agreement::NotStated as i32, not_recorded);
        };
        let agreement = agreement(consent);
        if consent.do_not_inform_parents {
            self.condition(HandlingFlag::DoNotInformParents as i32);
        }
        let about = || Kept {
            origin: "form.consent",
            category: Category::ConsentRecord,
            subject: Subject::Child as i32,
            about_child: None,
            label: "",
        };
        let word = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_ascii_lowercase();
        let said = Agreement::try_from(agreement).map(|agreement| word(agreement.as_str_name(), "AGREEMENT_"));
        let duty = DutyDecision::try_from(or(consent.duty_decision, not_recorded))
            .map(|duty| word(duty.as_str_name(), "DUTY_DECISION_"));
        self.keep_fields(
            about(),
            Vec::new(),
            "",
            &[
                ("agreement", said.unwrap_or_default()),
                ("discussed_with_parents", yes_no(consent.discussed_with_parents)),
                ("discussed_with_child", yes_no(consent.discussed_with_child)),
                ("by_whom", consent.by_whom.clone()),
                ("why_they_may_decide", consent.why_they_may_decide.clone()),
                ("whose_information", consent.whose_information.clone()),
                ("why_not", consent.why_not.clone()),
                ("duty_decision", duty.unwrap_or_default()),
                ("duty_reason", consent.duty_reason.clone()),
            ],
        );
        let why = [("why_parents_must_not_be_told", consent.why_parents_must_not_be_told.clone())];
        self.keep_fields(about(), vec![HandlingFlag::NotForFamily as i32], "", &why);
        (agreement, or(consent.duty_decision, not_recorded))
    }

    fn accounts(&mut self, accounts: &[form::AccountPart]) {
        let is_told = |part: &form::AccountPart| part.statement.as_ref().is_some_and(|statement| !is_blank(&statement.text));
        for (nth, part) in accounts.iter().enumerate() {
            let origin = format!("form.account[{nth}]");
            if !is_told(part) {
                self.refuse(&format!("{origin}.statement.text"), "required", "is missing");
            }
            let Some(category) = self.category(&origin, part.topic) else { continue };
            let label = [("When: ", &part.when), ("Where: ", &part.r#where)];
            let label: String =
                label.iter().filter(|(_, text)| !is_blank(text)).map(|(label, text)| format!("{label}{text}\n")).collect();
            let subject = or(part.subject, Subject::Child as i32);
            let statement = format!("{origin}.statement");
            self.keep_statement(
                Kept { origin: &statement, category, subject, about_child: part.about_child, label: &label },
                part.statement.as_ref(),
            );
        }
        if accounts.is_empty() {
            self.refuse("form.account", "required", "is missing: at least one part is needed");
        }
    }

    fn views(&mut self, form: &form::ReferralForm) {
        let (child, parent) = (Subject::Child, Subject::Parent);
        let narrative = Category::ConcernNarrative;
        for (origin, category, subject, label, statement) in [
            ("form.views_of_child", Category::ChildVoice, child, "", &form.views_of_child),
            ("form.views_of_parents", narrative, parent, "The parents say: ", &form.views_of_parents),
            ("form.going_well", narrative, child, "What is going well: ", &form.going_well),
            ("form.early_help_so_far", narrative, child, "Help so far: ", &form.early_help_so_far),
            ("form.outcome_sought", narrative, child, "What should come of this: ", &form.outcome_sought),
            ("form.why_this_level", Category::RiskLevel, child, "Why this level: ", &form.why_this_level),
        ] {
            let kept = Kept { origin, category, subject: subject as i32, about_child: None, label };
            self.keep_statement(kept, statement.as_ref());
        }
    }

    fn document(&mut self, origin: &str, document: &form::Document) {
        let secret = document.confidentiality.as_ref();
        if let Some(category) = self.category(origin, document.topic) {
            self.keep(
                origin,
                common::InformationItem {
                    category: category as i32,
                    subject: Subject::Child as i32,
                    knowledge: Knowledge::Direct as i32,
                    handling: not_for_family(secret),
                    about_child: None,
                    summary: document.description.clone(),
                    body: document.attachment.clone().map(common::information_item::Body::Attachment),
                },
            );
        }
        let why = secret.map(|secret| secret.why.clone()).unwrap_or_default();
        let kept =
            Kept { origin, category: Category::ConcernNarrative, subject: Subject::Child as i32, about_child: None, label: "" };
        self.keep_fields(kept, not_for_family(secret), "", &[("why_confidential_from_the_family", why)]);
    }

    fn category(&mut self, origin: &str, topic: i32) -> Option<Category> {
        let category = match form::Topic::try_from(topic) {
            Ok(form::Topic::Worry) => Category::ConcernNarrative,
            Ok(form::Topic::Risk) => Category::RiskLevel,
            Ok(form::Topic::ChildHealth) => Category::ChildHealth,
            Ok(form::Topic::SexualHealth) => Category::SexualHealth,
            Ok(form::Topic::ParentHealth) => Category::ParentHealth,
            Ok(form::Topic::DomesticAbuse) => Category::DomesticAbuseDetail,
            Ok(form::Topic::Offence) => Category::CriminalOffence,
            Ok(form::Topic::StaffAllegation) => Category::AllegationAgainstProfessional,
            Ok(form::Topic::SomebodyElse) => Category::ThirdParty,
            Ok(form::Topic::SiblingRecord) => Category::UnrelatedSiblingRecord,
            Ok(form::Topic::Education) => Category::EducationRecord,
            Ok(form::Topic::Immigration) => Category::ImmigrationStatus,
            Ok(form::Topic::Adoption) => Category::AdoptionRecord,
            Ok(form::Topic::Court) => Category::LegalProceedings,
            Ok(form::Topic::Missing) => Category::MissingEpisode,
            Ok(form::Topic::SpecialCategory) => Category::SpecialCategoryOther,
            Ok(form::Topic::Unspecified) => {
                self.refuse(&format!("{origin}.topic"), "required", "is missing: it decides who may read this part");
                return None;
            }
            // A topic from a later edition: carried, withheld from everybody and flagged (DM-15).
            Err(_) => Category::Unknown,
        };
        Some(category)
    }
}

/// What was written down counts: a reason makes it sought or not with a reason, and an empty line does not.
fn agreement(consent: &form::Consent) -> i32 {
    let not_sought = [Agreement::NotSoughtWithReason as i32, Agreement::NotSoughtNoReason as i32];
    if !not_sought.contains(&consent.agreement) {
        return or(consent.agreement, Agreement::NotStated as i32);
    }
    if is_blank(&consent.why_not) { Agreement::NotSoughtNoReason as i32 } else { Agreement::NotSoughtWithReason as i32 }
}

/// A reason without a tick is a tick: in doubt it stays from the family.
fn not_for_family(confidentiality: Option<&form::Confidentiality>) -> Vec<i32> {
    let secret = confidentiality.is_some_and(|secret| secret.from_family || !is_blank(&secret.why));
    if secret { vec![HandlingFlag::NotForFamily as i32] } else { Vec::new() }
}

const LEAD: [&str; 3] = ["lead_name", "lead_role", "lead_contact"];
const VIRTUAL_SCHOOL: [&str; 3] = ["virtual_school_name", "virtual_school_role", "virtual_school_contact"];

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
