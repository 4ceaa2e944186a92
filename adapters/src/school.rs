//! A school's form, put into the contract's words. Pure: no I/O, no clock, no chance.
//!
//! What has a place in the canonical submission goes there; everything else is kept as an item with its
//! category. Nothing that the school wrote is lost, and nothing it wrote decides by itself who may read it.
//! What is wrong is named by the form's own fields, never by ours.

use proto::wire::common::v1 as common;
use proto::wire::common::v1::{Agreement, Category, DutyDecision, EventKind, HandlingFlag, HarmPlace, HarmType, Level, Subject};
use proto::wire::school::v1 as form;
use referral::Endpoint;
use referral::identifiers::Urn;

pub use crate::form::Translated;
use crate::form::{
    Document, Kept, Said, Writing, addressed_to, is_blank, not_for_family, of_child, of_referrer, or, practitioner, to_tell,
    words_of_sharing,
};

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
    writing.referrer(form.referrer.as_ref(), lead(form.school.as_ref()));
    let (child, further_children) = writing.pupils(form.pupil.as_ref(), &form.further_pupils, own_urn(form.school.as_ref()));
    if child.is_none() {
        writing.refuse("form.pupil", "required", "is missing");
    }
    for (nth, adult) in form.parents_and_carers.iter().enumerate() {
        writing.adult(&format!("form.parents_and_carers[{nth}]"), Subject::Parent, adult);
    }
    for (nth, adult) in form.other_adults.iter().enumerate() {
        writing.adult(&format!("form.other_adults[{nth}]"), Subject::Other, adult);
    }
    for (nth, sibling) in form.siblings.iter().enumerate() {
        writing.sibling(&format!("form.siblings[{nth}]"), sibling);
    }
    if form.consent.is_none() {
        writing.refuse("form.consent", "required", "is missing");
    }
    let (agreement, duty_decision) = writing.consent(form.consent.as_ref());
    writing.accounts(&form.account);
    writing.views(&form);
    writing.documents(&form.documents);
    for flag in &form.handling {
        writing.condition(*flag);
    }
    writing.stands_where_the_form_has_it();
    let circumstances = common::Circumstances {
        other_holder_refused: form.consent.as_ref().is_some_and(|consent| consent.other_holder_refused),
        reporter: form.reporter,
        by_telephone: form.by_telephone,
        contacts_in_28_days: form.contacts_in_28_days,
        possibly_related: form.possibly_related,
        claimed_basis: claimed_basis(form.consent.as_ref()),
        tell: to_tell(&form.tell),
        ..common::Circumstances::default()
    };
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
        circumstances: Some(circumstances),
        ..common::Submission::default()
    })
}

/// Translates a low-level concern about somebody who works with children. It informs, and the rules give it back with
/// advice: such a concern is the employer's to record.
pub fn low_level_concern(form: form::LowLevelConcernForm) -> Translated {
    let level = Level::Information as i32;
    let mut writing = Writing::new(level);
    writing.school(form.school.as_ref());
    writing.referrer(form.referrer.as_ref(), lead(form.school.as_ref()));
    let (child, _) = writing.pupils(form.pupil.as_ref(), &[], own_urn(form.school.as_ref()));
    writing.staff_member("form.subject", form.subject.as_ref());
    writing.needed("form.concern.text", form.concern.as_ref());
    let label = when_and_where(&form.when, &form.r#where);
    writing.keep_statement(Kept { label: &label, ..of_staff("form.concern") }, form.concern.as_ref());
    writing.keep_statement(Kept { label: "The school did: ", ..of_staff("form.action_taken") }, form.action_taken.as_ref());
    writing.stands_where_the_form_has_it();
    let subject = form.subject.unwrap_or_default();
    let circumstances = common::Circumstances {
        accused_controls_feedback: runs_the_school(subject.position),
        employer_area: subject.employer_area,
        ..common::Circumstances::default()
    };
    writing.done(common::Submission {
        kind: EventKind::LowLevelConcern as i32,
        level,
        harm: HarmType::None as i32,
        child: Some(child.unwrap_or_else(nobody)),
        purpose: "A low-level concern about somebody who works with children.".to_owned(),
        circumstances: Some(circumstances),
        ..informing()
    })
}

/// Translates an allegation against somebody who works with children. The person under suspicion must not read what
/// comes back: who runs the school or its safeguarding does (DM-09).
pub fn allegation(form: form::AllegationForm) -> Translated {
    let mut writing = Writing::new(form.level);
    writing.school(form.school.as_ref());
    writing.referrer(form.referrer.as_ref(), lead(form.school.as_ref()));
    let (child, further_children) = writing.pupils(form.pupil.as_ref(), &form.further_pupils, own_urn(form.school.as_ref()));
    writing.staff_member("form.accused", form.accused.as_ref());
    writing.accounts(&form.account);
    for (origin, category, label, statement) in [
        ("form.views_of_child", Category::ChildVoice, "", &form.views_of_child),
        ("form.action_taken", Category::AllegationAgainstProfessional, "The school did: ", &form.action_taken),
    ] {
        let kept = Kept { origin, category, subject: Subject::Child as i32, about_child: None, label };
        writing.keep_statement(kept, statement.as_ref());
    }
    let (agreement, duty_decision) = writing.consent(form.consent.as_ref());
    writing.documents(&form.documents);
    let learned = [("school_learned_at", form.learned_at.clone())];
    writing.keep_fields(of_staff("form.learned_at"), Vec::new(), "", &learned);
    writing.comes_from("content.circumstances.happened", "form.learned_at");
    writing.stands_where_the_form_has_it();
    let accused = form.accused.unwrap_or_default();
    let circumstances = common::Circumstances {
        accused_controls_feedback: form.accused_reads_what_comes_back || runs_the_school(accused.position),
        employer_area: accused.employer_area,
        happened: form.learned_at,
        claimed_basis: claimed_basis(form.consent.as_ref()),
        other_holder_refused: form.consent.as_ref().is_some_and(|consent| consent.other_holder_refused),
        ..common::Circumstances::default()
    };
    writing.done(common::Submission {
        kind: EventKind::Allegation as i32,
        level: form.level,
        harm: form.harm,
        harm_place: or(form.harm_place, HarmPlace::NotStated as i32),
        child: Some(child.unwrap_or_else(nobody)),
        further_children,
        agreement,
        duty_decision,
        circumstances: Some(circumstances),
        ..common::Submission::default()
    })
}

/// Translates a child protection file that follows the child to the next school (CL-13).
pub fn file_transfer(form: form::FileTransferForm) -> Translated {
    let level = Level::Information as i32;
    let mut writing = Writing::new(level);
    writing.school(form.school.as_ref());
    writing.referrer(form.referrer.as_ref(), lead(form.school.as_ref()));
    if let Err(why) = Urn::parse(&form.new_school_urn) {
        writing.refuse("form.new_school_urn", "form", &why.to_string());
    }
    writing.comes_from("content.child.circumstances.school_urn", "form.new_school_urn");
    let (child, _) = writing.pupils(form.pupil.as_ref(), &[], &form.new_school_urn);
    if child.is_none() {
        writing.refuse("form.pupil", "required", "is missing");
    }
    let about = |origin: &'static str, label| Kept {
        origin,
        category: Category::EducationRecord,
        subject: Subject::Child as i32,
        about_child: None,
        label,
    };
    let next =
        [("new_school_urn", form.new_school_urn), ("new_school_name", form.new_school_name), ("leaves_on", form.leaves_on)];
    writing.keep_fields(about("form.new_school_urn", ""), Vec::new(), "", &next);
    writing.needed("form.handover.text", form.handover.as_ref());
    // All of it is the school's file, which the next school has whole; what a document is about decides for itself.
    for (origin, label, statement) in [
        ("form.handover", "", &form.handover),
        ("form.chronology", "Chronology: ", &form.chronology),
        ("form.plans", "Plans: ", &form.plans),
    ] {
        writing.keep_statement(about(origin, label), statement.as_ref());
    }
    writing.documents(&form.documents);
    writing.stands_where_the_form_has_it();
    writing.done(common::Submission {
        kind: EventKind::CpFileTransfer as i32,
        level,
        harm: HarmType::None as i32,
        child,
        purpose: "The child protection file follows the child to the next school.".to_owned(),
        ..informing()
    })
}

/// What is the same of every form that asks nobody for anything.
fn informing() -> common::Submission {
    common::Submission {
        harm_place: HarmPlace::NotStated as i32,
        agreement: Agreement::NotStated as i32,
        duty_decision: DutyDecision::NotRecorded as i32,
        ..common::Submission::default()
    }
}

/// No child is known: nothing about one is said.
fn nobody() -> common::Child {
    common::Child { identity: Some(common::Identity::default()), ..common::Child::default() }
}

fn lead(school: Option<&form::School>) -> Option<&common::Practitioner> {
    school.and_then(|school| school.designated_safeguarding_lead.as_ref())
}

fn own_urn(school: Option<&form::School>) -> &str {
    school.map_or("", |school| &school.urn)
}

/// About somebody who works with children.
fn of_staff(origin: &str) -> Kept<'_> {
    let (category, subject) = (Category::AllegationAgainstProfessional, Subject::Other as i32);
    Kept { origin, category, subject, about_child: None, label: "" }
}

fn when_and_where(when: &str, place: &str) -> String {
    let label = [("When: ", when), ("Where: ", place)];
    label.iter().filter(|(_, text)| !is_blank(text)).map(|(label, text)| format!("{label}{text}\n")).collect()
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
            handling: not_for_family(is_secret(secret)),
        };
        self.keep_said(kept, said);
    }

    fn school(&mut self, school: Option<&form::School>) {
        let Some(school) = school else {
            return self.refuse("form.school", "required", "is missing");
        };
        match Urn::parse(&school.urn) {
            Ok(urn) => self.named = Some(Endpoint::School(urn)),
            Err(why) => self.refuse("form.school.urn", "form", &why.to_string()),
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

    /// Where each part of the submission stands in a form.
    fn stands_where_the_form_has_it(&mut self) {
        for (canonical, origin) in [
            ("content.level", "form.level"),
            ("content.harm", "form.harm"),
            ("content.harm_place", "form.harm_place"),
            ("content.purpose", "form.purpose"),
            ("content.addressed_to", "form.addressed_to"),
            ("content.handling", "form.handling"),
            ("content.agreement", "form.consent.agreement"),
            ("content.duty_decision", "form.consent.duty_decision"),
            ("content.circumstances", "form"),
            ("content.circumstances.claimed_basis", "form.consent.claimed_basis"),
            ("content.circumstances.tell", "form.tell"),
            ("content.further_children", "form.further_pupils"),
            ("content.child", "form.pupil"),
        ] {
            self.comes_from(canonical, origin);
        }
    }

    fn needed(&mut self, field: &str, statement: Option<&form::Statement>) {
        if statement.is_none_or(|statement| is_blank(&statement.text)) {
            self.refuse(field, "required", "is missing");
        }
    }

    /// The children of a form. `school_urn` is the school where they are registered.
    fn pupils(
        &mut self,
        first: Option<&form::Pupil>,
        further: &[form::Pupil],
        school_urn: &str,
    ) -> (Option<common::Child>, Vec<common::Child>) {
        let first = first.map(|pupil| self.pupil("form.pupil", "content.child", 0, pupil, school_urn));
        let further = further.iter().zip(0u32..).map(|(pupil, nth)| {
            let (origin, canonical) = (format!("form.further_pupils[{nth}]"), format!("content.further_children[{nth}]"));
            self.pupil(&origin, &canonical, nth.saturating_add(1), pupil, school_urn)
        });
        (first, further.collect())
    }

    fn staff_member(&mut self, origin: &str, member: Option<&form::StaffMember>) {
        let Some(member) = member else {
            return self.refuse(origin, "required", "is missing");
        };
        if is_blank(&member.name) {
            self.refuse(&format!("{origin}.name"), "required", "is missing");
        }
        if member.position == 0 {
            self.refuse(&format!("{origin}.position"), "DM-09", "is missing: it decides who may read what comes back");
        }
        let values = [
            ("name", member.name.clone()),
            ("position", position(member.position)),
            ("role", member.role.clone()),
            ("date_of_birth", member.date_of_birth.clone()),
            ("employer", member.employer.clone()),
            ("employer_area", member.employer_area.clone()),
            ("other_work_with_children", member.other_work_with_children.clone()),
            ("own_children", member.own_children.clone()),
            ("knows_of_it", yes_no(member.knows_of_it)),
        ];
        self.keep_fields(of_staff(origin), Vec::new(), "", &values);
        self.comes_from("content.circumstances.employer_area", &format!("{origin}.employer_area"));
    }

    fn documents(&mut self, documents: &[form::Document]) {
        for (nth, document) in documents.iter().enumerate() {
            self.document(&format!("form.documents[{nth}]"), document);
        }
    }

    fn pupil(&mut self, origin: &str, canonical: &str, nth: u32, pupil: &form::Pupil, school_urn: &str) -> common::Child {
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
        self.comes_from(&format!("{canonical}.circumstances"), origin);
        let schooling = [("home_educated", yes_no(pupil.home_educated))];
        self.keep_fields(about(Category::EducationRecord), Vec::new(), "", &schooling);
        let health = [("disabled", yes_no(pupil.disabled)), ("non_mobile", yes_no(pupil.non_mobile))];
        self.keep_fields(about(Category::ChildHealth), Vec::new(), "", &health);
        let is_home_educated = is_yes(pupil.home_educated);
        let says_disability = pupil.disability.as_ref().is_some_and(|said| !is_blank(&said.text) || !is_blank(&said.summary));
        let is_registered = !is_home_educated && Urn::parse(school_urn).is_ok();
        common::Child {
            identity: pupil.identity.clone(),
            address: pupil.address.clone(),
            places: pupil.places.clone(),
            circumstances: Some(common::ChildCircumstances {
                looked_after: pupil.record.as_ref().is_some_and(|record| is_yes(record.looked_after)),
                disabled: is_yes(pupil.disabled) || (pupil.disabled == 0 && says_disability),
                home_educated: is_home_educated,
                non_mobile: is_yes(pupil.non_mobile),
                school_urn: if is_registered { school_urn.to_owned() } else { String::new() },
                arrangement_days: pupil.arrangement_days,
                carer: pupil.carer,
                ..common::ChildCircumstances::default()
            }),
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
            return (Agreement::NotStated as i32, not_recorded);
        };
        let agreement = agreement(consent);
        if consent.do_not_inform_parents {
            self.condition(HandlingFlag::DoNotInformParents as i32);
        }
        let about = || of_child("form.consent", Category::ConsentRecord);
        let [agreed, decided] = words_of_sharing(agreement, or(consent.duty_decision, not_recorded));
        self.keep_fields(
            about(),
            Vec::new(),
            "",
            &[
                ("agreement", agreed),
                ("discussed_with_parents", yes_no(consent.discussed_with_parents)),
                ("discussed_with_child", yes_no(consent.discussed_with_child)),
                ("by_whom", consent.by_whom.clone()),
                ("standing", standing(consent.standing)),
                ("other_holder_refused", if consent.other_holder_refused { "yes".to_owned() } else { String::new() }),
                ("why_they_may_decide", consent.why_they_may_decide.clone()),
                ("whose_information", consent.whose_information.clone()),
                ("why_not", consent.why_not.clone()),
                ("duty_decision", decided),
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
            let label = when_and_where(&part.when, &part.r#where);
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
        let Some(category) = self.category(origin, document.topic) else { return };
        let secret = document.confidentiality.as_ref();
        let document = Document {
            description: &document.description,
            attachment: document.attachment.clone(),
            is_secret: is_secret(secret),
            why_secret: secret.map_or("", |secret| &secret.why),
        };
        self.keep_document(of_child(origin, category), document);
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
            Ok(form::Topic::Marac) => Category::MaracInformation,
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

fn claimed_basis(consent: Option<&form::Consent>) -> i32 {
    consent.map(|consent| consent.claimed_basis).unwrap_or_default()
}

/// What was written down counts: a reason makes it sought or not with a reason, and an empty line does not.
fn agreement(consent: &form::Consent) -> i32 {
    let not_sought = [Agreement::NotSoughtWithReason as i32, Agreement::NotSoughtNoReason as i32];
    if !not_sought.contains(&consent.agreement) {
        let has_none = consent.standing == form::Standing::None as i32;
        return match consent.agreement {
            given if given == Agreement::Given as i32 && has_none => Agreement::GivenWithoutStanding as i32,
            said => or(said, Agreement::NotStated as i32),
        };
    }
    if is_blank(&consent.why_not) { Agreement::NotSoughtNoReason as i32 } else { Agreement::NotSoughtWithReason as i32 }
}

/// A reason without a tick is a tick: in doubt it stays from the family.
fn is_secret(confidentiality: Option<&form::Confidentiality>) -> bool {
    confidentiality.is_some_and(|secret| secret.from_family || !is_blank(&secret.why))
}

const LEAD: [&str; 3] = ["lead_name", "lead_role", "lead_contact"];
const VIRTUAL_SCHOOL: [&str; 3] = ["virtual_school_name", "virtual_school_role", "virtual_school_contact"];

fn is_yes(number: i32) -> bool {
    number == form::YesNo::Yes as i32
}

fn standing(number: i32) -> String {
    match form::Standing::try_from(number) {
        Ok(form::Standing::ParentalResponsibility) => "parental responsibility",
        Ok(form::Standing::ChildOf16) => "the child, who is 16 or over",
        Ok(form::Standing::CompetentChild) => "the child, who is competent to decide",
        Ok(form::Standing::None) => "none",
        Ok(form::Standing::Unspecified) => "",
        Err(_) => "a standing that this edition of the contract does not know",
    }
    .to_owned()
}

/// Whoever runs a school or its safeguarding reads what comes back to it (DM-09).
fn runs_the_school(position: i32) -> bool {
    match form::Position::try_from(position) {
        Ok(form::Position::Head | form::Position::SafeguardingLead | form::Position::ProprietorOrGovernor) => true,
        Ok(
            form::Position::Staff | form::Position::SupplyOrContractor | form::Position::Volunteer | form::Position::Unspecified,
        ) => false,
        // A position from a later edition: in doubt it is one that reads along.
        Err(_) => true,
    }
}

fn position(number: i32) -> String {
    match form::Position::try_from(number) {
        Ok(form::Position::Head) => "head",
        Ok(form::Position::SafeguardingLead) => "safeguarding lead",
        Ok(form::Position::ProprietorOrGovernor) => "proprietor or governor",
        Ok(form::Position::Staff) => "staff",
        Ok(form::Position::SupplyOrContractor) => "supply or contractor",
        Ok(form::Position::Volunteer) => "volunteer",
        Ok(form::Position::Unspecified) => "",
        Err(_) => "a position that this edition of the contract does not know",
    }
    .to_owned()
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
