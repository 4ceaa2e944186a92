//! The forms of the agencies' doors, filled in with what a case says, and sent by the call that is for each.

use adapters::form::Translated;
use adapters::{health as health_door, police as police_door, school as school_door};
use proto::wire::common::v1 as common;
use proto::wire::common::v1::{Category, HandlingFlag as Flag};
use proto::wire::health::v1 as health;
use proto::wire::health::v1::health_service_client::HealthServiceClient;
use proto::wire::police::v1 as police;
use proto::wire::police::v1::police_service_client::PoliceServiceClient;
use proto::wire::referral::v1 as referral_v1;
use proto::wire::school::v1 as school;
use proto::wire::school::v1::school_service_client::SchoolServiceClient;
use proto::write;
use referral::Endpoint;
use router::cases::Bound;
use tests::client::person;
use tonic::Status;
use tonic::transport::Channel;

use crate::doors::Call;

/// A form, filled in.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and boxed where it is kept")]
pub enum Form {
    Refer(school::ReferralForm),
    RaiseConcern(school::ConcernForm),
    ReportAllegation(school::AllegationForm),
    ReportLowLevelConcern(school::LowLevelConcernForm),
    TransferChildProtectionFile(school::FileTransferForm),
    SendPublicProtectionNotice(police::PublicProtectionNotice),
    ReportPoliceProtection(police::PoliceProtection),
    ReportMissingChildReturn(police::MissingChildReturn),
    NotifyOperationEncompass(police::OperationEncompass),
    HealthRefer(health::SafeguardingReferral),
    ReportFgm(health::FgmReport),
    NotifyUnscheduledAttendance(health::UnscheduledAttendance),
}

impl Form {
    /// The form of `call`, filled in with what the case says.
    pub fn of(call: Call, bound: &Bound) -> Form {
        let case = Filling { bound, said: write::submission(&bound.submission) };
        match call {
            Call::Refer => Form::Refer(case.refer()),
            Call::RaiseConcern => Form::RaiseConcern(case.raise_concern()),
            Call::ReportAllegation => Form::ReportAllegation(case.allegation()),
            Call::ReportLowLevelConcern => Form::ReportLowLevelConcern(case.low_level_concern()),
            Call::TransferChildProtectionFile => Form::TransferChildProtectionFile(case.file_transfer()),
            Call::SendPublicProtectionNotice => Form::SendPublicProtectionNotice(case.notice()),
            Call::ReportPoliceProtection => Form::ReportPoliceProtection(case.police_protection()),
            Call::ReportMissingChildReturn => Form::ReportMissingChildReturn(case.missing_child_return()),
            Call::NotifyOperationEncompass => Form::NotifyOperationEncompass(case.operation_encompass()),
            Call::HealthRefer => Form::HealthRefer(case.health_referral()),
            Call::ReportFgm => Form::ReportFgm(case.fgm()),
            Call::NotifyUnscheduledAttendance => Form::NotifyUnscheduledAttendance(case.attendance()),
        }
    }

    /// What its door makes of it.
    pub fn translated(&self) -> Translated {
        match self.clone() {
            Form::Refer(form) => school_door::referral(form),
            Form::RaiseConcern(form) => school_door::concern(form),
            Form::ReportAllegation(form) => school_door::allegation(form),
            Form::ReportLowLevelConcern(form) => school_door::low_level_concern(form),
            Form::TransferChildProtectionFile(form) => school_door::file_transfer(form),
            Form::SendPublicProtectionNotice(form) => police_door::notice(form),
            Form::ReportPoliceProtection(form) => police_door::police_protection(form),
            Form::ReportMissingChildReturn(form) => police_door::missing_child_return(form),
            Form::NotifyOperationEncompass(form) => police_door::operation_encompass(form),
            Form::HealthRefer(form) => health_door::referral(form),
            Form::ReportFgm(form) => health_door::fgm(form),
            Form::NotifyUnscheduledAttendance(form) => health_door::unscheduled_attendance(form),
        }
    }

    /// Sends it.
    pub async fn send(self, channel: Channel, key: &str) -> Result<referral_v1::Receipt, Status> {
        let idempotency_key = key.to_owned();
        let mut at_school = SchoolServiceClient::new(channel.clone());
        let mut at_police = PoliceServiceClient::new(channel.clone());
        let mut at_health = HealthServiceClient::new(channel);
        macro_rules! sent {
            ($door:ident.$call:ident($request:path), $form:ident) => {{
                type Request = $request;
                $door.$call(Request { idempotency_key, form: Some($form) }).await?.into_inner().receipt
            }};
        }
        let receipt = match self {
            Form::Refer(form) => sent!(at_school.refer(school::ReferRequest), form),
            Form::RaiseConcern(form) => sent!(at_school.raise_concern(school::RaiseConcernRequest), form),
            Form::ReportAllegation(form) => sent!(at_school.report_allegation(school::ReportAllegationRequest), form),
            Form::ReportLowLevelConcern(form) => {
                sent!(at_school.report_low_level_concern(school::ReportLowLevelConcernRequest), form)
            }
            Form::TransferChildProtectionFile(form) => {
                sent!(at_school.transfer_child_protection_file(school::TransferChildProtectionFileRequest), form)
            }
            Form::SendPublicProtectionNotice(form) => {
                sent!(at_police.send_public_protection_notice(police::SendPublicProtectionNoticeRequest), form)
            }
            Form::ReportPoliceProtection(form) => {
                sent!(at_police.report_police_protection(police::ReportPoliceProtectionRequest), form)
            }
            Form::ReportMissingChildReturn(form) => {
                sent!(at_police.report_missing_child_return(police::ReportMissingChildReturnRequest), form)
            }
            Form::NotifyOperationEncompass(form) => {
                sent!(at_police.notify_operation_encompass(police::NotifyOperationEncompassRequest), form)
            }
            Form::HealthRefer(form) => sent!(at_health.refer(health::ReferRequest), form),
            Form::ReportFgm(form) => sent!(at_health.report_fgm(health::ReportFgmRequest), form),
            Form::NotifyUnscheduledAttendance(form) => {
                sent!(at_health.notify_unscheduled_attendance(health::NotifyUnscheduledAttendanceRequest), form)
            }
        };
        Ok(receipt.expect("a receipt"))
    }
}

/// A case while it is put into a form.
struct Filling<'a> {
    bound: &'a Bound,
    said: common::Submission,
}

const TEXT: &str = "What the case leaves out.";
const LEAST: &str = "The least of it.";

fn said_to_school() -> Option<school::Statement> {
    let source = common::Knowledge::Direct as i32;
    Some(school::Statement { text: TEXT.to_owned(), summary: LEAST.to_owned(), source, ..school::Statement::default() })
}

fn said_to_police() -> Option<police::Statement> {
    let source = common::Knowledge::Direct as i32;
    Some(police::Statement { text: TEXT.to_owned(), summary: LEAST.to_owned(), source, ..police::Statement::default() })
}

fn said_to_health() -> Option<health::Statement> {
    let source = common::Knowledge::Direct as i32;
    Some(health::Statement { text: TEXT.to_owned(), summary: LEAST.to_owned(), source, ..health::Statement::default() })
}

fn an_address() -> common::Address {
    let (lines, telephone) = ("1 Test Street".to_owned(), "01632 960000".to_owned());
    common::Address { lines, telephone, ..common::Address::default() }
}

const CHILD: i32 = common::Subject::Child as i32;

impl Filling<'_> {
    fn has(&self, category: Category) -> bool {
        self.said.items.iter().any(|item| item.category() == category)
    }

    fn when_said<T>(&self, category: Category, part: Option<T>) -> Option<T> {
        part.filter(|_| self.has(category))
    }

    fn circumstances(&self) -> common::Circumstances {
        self.said.circumstances.clone().unwrap_or_default()
    }

    /// The parts of an account: what has a topic of its own. Where the case says none of that, something worries all the
    /// same: a form without an account is refused.
    fn topics<T>(&self, topic: impl Fn(Category) -> Option<T>, worry: T) -> Vec<T> {
        let topics: Vec<T> = self.said.items.iter().filter_map(|item| topic(item.category())).collect();
        if topics.is_empty() { vec![worry] } else { topics }
    }

    /// What the case says in a category that nobody here knows: a topic of a later edition of the form (DM-15).
    fn later_topics(&self) -> Option<i32> {
        self.has(Category::Unknown).then_some(9_999)
    }

    /// Where the child lives, without what would be looked up.
    fn address(&self) -> Option<common::Address> {
        let protected = self.has(Category::ProtectedAddress);
        (protected || self.has(Category::ContactAddress)).then(|| common::Address { protected, ..an_address() })
    }

    /// Where the other parent lives, if the child's own address is protected and one is known that is not.
    fn address_of_parent(&self) -> Option<common::Address> {
        (self.has(Category::ProtectedAddress) && self.has(Category::ContactAddress)).then(an_address)
    }

    /// A parent, where the case says something of the family.
    fn parent<T>(&self, parent: impl FnOnce(Option<common::Address>) -> T) -> Vec<T> {
        let address = self.address_of_parent();
        let is_known = self.has(Category::FamilyComposition) || address.is_some();
        is_known.then(|| parent(address)).into_iter().collect()
    }

    fn children(&self) -> (common::Child, Vec<common::Child>) {
        (self.said.child.clone().unwrap_or_default(), self.said.further_children.clone())
    }

    fn why_not(&self) -> String {
        let with_reason = common::Agreement::NotSoughtWithReason;
        if self.said.agreement() == with_reason { "The case says why.".to_owned() } else { String::new() }
    }

    /// When what is reported happened: when it is reported, as far as the case says.
    fn now(&self) -> String {
        self.bound.submission.received.to_string()
    }

    // ---------------------------------------------------------------- a school

    fn school(&self) -> Option<school::School> {
        let Endpoint::School(urn) = &self.bound.submission.sender else { return None };
        let designated_safeguarding_lead = Some(person("A Referrer"));
        Some(school::School { urn: urn.to_string(), designated_safeguarding_lead, ..school::School::default() })
    }

    fn pupil(&self, child: common::Child) -> school::Pupil {
        let yes = |is_so: bool| if is_so { school::YesNo::Yes as i32 } else { 0 };
        let of = child.circumstances.unwrap_or_default();
        let looked_after = yes(of.looked_after);
        let record = of.looked_after.then(|| school::SchoolRecord { looked_after, ..school::SchoolRecord::default() });
        school::Pupil {
            identity: child.identity,
            address: self.address(),
            places: child.places,
            record,
            home_educated: yes(of.home_educated),
            disabled: yes(of.disabled),
            non_mobile: yes(of.non_mobile),
            carer: of.carer,
            arrangement_days: of.arrangement_days,
            ..school::Pupil::default()
        }
    }

    fn pupils(&self) -> (school::Pupil, Vec<school::Pupil>) {
        let (first, further) = self.children();
        (self.pupil(first), further.into_iter().map(|child| self.pupil(child)).collect())
    }

    fn school_consent(&self) -> school::Consent {
        school::Consent {
            agreement: self.said.agreement,
            why_not: self.why_not(),
            duty_decision: self.said.duty_decision,
            other_holder_refused: self.circumstances().other_holder_refused,
            claimed_basis: self.circumstances().claimed_basis,
            ..school::Consent::default()
        }
    }

    fn school_account(&self) -> Vec<school::AccountPart> {
        use school::Topic;
        let topic = |category| match category {
            Category::ConcernNarrative => Some(Topic::Worry),
            Category::RiskLevel => Some(Topic::Risk),
            Category::ChildHealth => Some(Topic::ChildHealth),
            Category::SexualHealth => Some(Topic::SexualHealth),
            Category::ParentHealth => Some(Topic::ParentHealth),
            Category::DomesticAbuseDetail => Some(Topic::DomesticAbuse),
            Category::CriminalOffence => Some(Topic::Offence),
            Category::AllegationAgainstProfessional => Some(Topic::StaffAllegation),
            Category::ThirdParty => Some(Topic::SomebodyElse),
            Category::UnrelatedSiblingRecord => Some(Topic::SiblingRecord),
            Category::EducationRecord => Some(Topic::Education),
            Category::ImmigrationStatus => Some(Topic::Immigration),
            Category::AdoptionRecord => Some(Topic::Adoption),
            Category::LegalProceedings => Some(Topic::Court),
            Category::MissingEpisode => Some(Topic::Missing),
            Category::SpecialCategoryOther => Some(Topic::SpecialCategory),
            Category::MaracInformation => Some(Topic::Marac),
            _ => None,
        };
        let part = |topic: i32| school::AccountPart {
            topic,
            subject: CHILD,
            statement: said_to_school(),
            ..school::AccountPart::default()
        };
        self.topics(topic, Topic::Worry).into_iter().map(|topic| topic as i32).chain(self.later_topics()).map(part).collect()
    }

    fn refer(&self) -> school::ReferralForm {
        let (pupil, further_pupils) = self.pupils();
        let (name, relationship) = ("A Parent".to_owned(), "parent".to_owned());
        let parent = |address| school::Adult { name, relationship, address, ..school::Adult::default() };
        let said = self.circumstances();
        school::ReferralForm {
            school: self.school(),
            pupil: Some(pupil),
            further_pupils,
            parents_and_carers: self.parent(parent),
            consent: Some(self.school_consent()),
            level: self.said.level,
            harm: self.said.harm,
            account: self.school_account(),
            views_of_child: self.when_said(Category::ChildVoice, said_to_school()),
            purpose: self.said.purpose.clone(),
            addressed_to: self.said.addressed_to.clone(),
            handling: self.said.handling.clone(),
            reporter: said.reporter,
            by_telephone: said.by_telephone,
            contacts_in_28_days: said.contacts_in_28_days,
            possibly_related: said.possibly_related,
            tell: said.tell,
            ..school::ReferralForm::default()
        }
    }

    fn raise_concern(&self) -> school::ConcernForm {
        school::ConcernForm {
            school: self.school(),
            pupil: Some(self.pupils().0),
            worry: said_to_school(),
            views_of_child: self.when_said(Category::ChildVoice, said_to_school()),
            level: self.said.level,
            harm: self.said.harm,
            consent: Some(self.school_consent()),
            ..school::ConcernForm::default()
        }
    }

    fn staff_member(&self) -> school::StaffMember {
        let said = self.circumstances();
        let position = if said.accused_controls_feedback { school::Position::Head } else { school::Position::Staff };
        school::StaffMember {
            name: "A Member of Staff".to_owned(),
            position: position as i32,
            employer_area: said.employer_area,
            ..school::StaffMember::default()
        }
    }

    fn allegation(&self) -> school::AllegationForm {
        let (pupil, further_pupils) = self.pupils();
        school::AllegationForm {
            school: self.school(),
            accused: Some(self.staff_member()),
            pupil: Some(pupil),
            further_pupils,
            level: self.said.level,
            harm: self.said.harm,
            account: self.school_account(),
            views_of_child: self.when_said(Category::ChildVoice, said_to_school()),
            consent: Some(self.school_consent()),
            ..school::AllegationForm::default()
        }
    }

    fn low_level_concern(&self) -> school::LowLevelConcernForm {
        school::LowLevelConcernForm {
            school: self.school(),
            subject: Some(self.staff_member()),
            concern: said_to_school(),
            pupil: Some(self.pupils().0),
            ..school::LowLevelConcernForm::default()
        }
    }

    fn file_transfer(&self) -> school::FileTransferForm {
        // The file itself: what is told of a worry in it is no record of the school's.
        let worry = school::Document {
            topic: school::Topic::Worry as i32,
            description: LEAST.to_owned(),
            attachment: Some(common::Attachment {
                reference: "ask the school".to_owned(),
                media_type: "application/pdf".to_owned(),
                sha256: vec![0; 32],
            }),
            ..school::Document::default()
        };
        let new_school = self.bound.submission.child.circumstances.school.as_ref();
        school::FileTransferForm {
            school: self.school(),
            pupil: Some(self.pupils().0),
            new_school_urn: new_school.map(ToString::to_string).unwrap_or_default(),
            handover: said_to_school(),
            documents: self.when_said(Category::ConcernNarrative, Some(worry)).into_iter().collect(),
            ..school::FileTransferForm::default()
        }
    }

    // ---------------------------------------------------------------- police

    fn police_child(&self, child: common::Child) -> police::Child {
        let yes = |is_so: bool| if is_so { police::YesNo::Yes as i32 } else { 0 };
        let of = child.circumstances.unwrap_or_default();
        let at_school = self.has(Category::EducationRecord).then(|| "A School".to_owned());
        police::Child {
            identity: child.identity,
            address: self.address(),
            places: child.places,
            school_urn: of.school_urn,
            school_name: at_school.unwrap_or_default(),
            home_educated: yes(of.home_educated),
            looked_after: yes(of.looked_after),
            disabled: yes(of.disabled),
            non_mobile: yes(of.non_mobile),
            age_disputed: of.age_disputed,
            ..police::Child::default()
        }
    }

    fn report(&self) -> police::Report {
        use police::Topic;
        let topic = |category| match category {
            Category::ConcernNarrative => Some(Topic::Circumstances),
            Category::RiskLevel => Some(Topic::Risk),
            Category::ChildHealth => Some(Topic::ChildHealth),
            Category::SexualHealth => Some(Topic::SexualHealth),
            Category::ParentHealth => Some(Topic::ParentHealth),
            Category::DomesticAbuseDetail => Some(Topic::DomesticAbuse),
            Category::CriminalOffence => Some(Topic::Offence),
            Category::AllegationAgainstProfessional => Some(Topic::StaffAllegation),
            Category::ThirdParty => Some(Topic::SomebodyElse),
            Category::ImmigrationStatus => Some(Topic::Immigration),
            Category::LegalProceedings => Some(Topic::Court),
            Category::MissingEpisode => Some(Topic::Missing),
            Category::MaracInformation => Some(Topic::Marac),
            Category::Mappa => Some(Topic::Mappa),
            _ => None,
        };
        let part = |topic: i32| police::AccountPart {
            topic,
            subject: CHILD,
            statement: said_to_police(),
            ..police::AccountPart::default()
        };
        let (child, further) = self.children();
        let parent = |address| police::Person {
            name: "A Parent".to_owned(),
            relationship_to_child: "parent".to_owned(),
            parental_responsibility: police::YesNo::Yes as i32,
            address,
            ..police::Person::default()
        };
        let is_secret = self.said.handling.contains(&(Flag::Secret as i32));
        let marking = if is_secret { police::Marking::Secret } else { police::Marking::OfficialSensitive };
        let (intelligence, handling) = self.intelligence();
        police::Report {
            incident: Some(police::Incident { number: "synthetic".to_owned(), ..police::Incident::default() }),
            officer: Some(person("A Referrer")),
            marking: marking as i32,
            child: Some(self.police_child(child)),
            further_children: further.into_iter().map(|child| self.police_child(child)).collect(),
            persons: self.parent(parent),
            harm: self.said.harm,
            account: self
                .topics(topic, Topic::Circumstances)
                .into_iter()
                .map(|topic| topic as i32)
                .chain(self.later_topics())
                .map(part)
                .collect(),
            voice_of_child: self.when_said(Category::ChildVoice, said_to_police()),
            intelligence,
            sharing: Some(police::Sharing {
                agreement: self.said.agreement,
                why_not: self.why_not(),
                duty_decision: self.said.duty_decision,
                claimed_basis: self.circumstances().claimed_basis,
                ..police::Sharing::default()
            }),
            handling,
            addressed_to: self.said.addressed_to.clone(),
            tell: self.circumstances().tell,
            possibly_related: self.circumstances().possibly_related,
            ..police::Report::default()
        }
    }

    /// Intelligence carries its handling code itself; what is no part of that is a condition on the whole.
    fn intelligence(&self) -> (Vec<police::Intelligence>, Vec<i32>) {
        let whole = self.said.handling.clone();
        if !self.has(Category::PoliceIntelligence) {
            return (Vec::new(), whole);
        }
        let has = |flag: Flag| whole.contains(&(flag as i32));
        let code = [
            (Flag::PoliceHandlingLegacy5, police::HandlingCode::Legacy5),
            (Flag::PoliceHandlingC, police::HandlingCode::C),
            (Flag::PoliceHandlingP, police::HandlingCode::P),
        ];
        let conditions = [
            (Flag::NotForEducation, police::HandlingCondition::NotForEducation),
            (Flag::NotForFamily, police::HandlingCondition::NotForFamily),
            (Flag::PoliceOnly, police::HandlingCondition::PoliceOnly),
            (Flag::DoNotContactSuspectOrWitness, police::HandlingCondition::DoNotContactSuspectOrWitness),
        ];
        let on_it = code.iter().map(|(flag, _)| *flag).chain(conditions.iter().map(|(flag, _)| *flag));
        let on_it: Vec<i32> = on_it.chain([Flag::Unsanitised]).map(|flag| flag as i32).collect();
        let piece = police::Intelligence {
            statement: said_to_police(),
            // The form needs a code. P puts no condition on a piece, and no case has one in place of another.
            handling_code: code.iter().find(|(flag, _)| has(*flag)).map_or(police::HandlingCode::P, |(_, code)| *code) as i32,
            conditions: conditions.iter().filter(|(flag, _)| has(*flag)).map(|(_, condition)| *condition as i32).collect(),
            unsanitised: has(Flag::Unsanitised),
            ..police::Intelligence::default()
        };
        (vec![piece], whole.into_iter().filter(|flag| !on_it.contains(flag)).collect())
    }

    fn notice(&self) -> police::PublicProtectionNotice {
        police::PublicProtectionNotice {
            report: Some(self.report()),
            is_referral: true,
            level: self.said.level,
            purpose: self.said.purpose.clone(),
            ..police::PublicProtectionNotice::default()
        }
    }

    fn police_protection(&self) -> police::PoliceProtection {
        let (report, grounds) = (Some(self.report()), said_to_police());
        police::PoliceProtection { report, taken_at: self.now(), grounds, ..police::PoliceProtection::default() }
    }

    fn missing_child_return(&self) -> police::MissingChildReturn {
        let (report, level) = (Some(self.report()), self.said.level);
        police::MissingChildReturn { report, level, returned_at: self.now(), ..police::MissingChildReturn::default() }
    }

    fn operation_encompass(&self) -> police::OperationEncompass {
        police::OperationEncompass { report: Some(self.report()), next_school_day: self.circumstances().next_school_day }
    }

    // ---------------------------------------------------------------- a health body

    fn organisation(&self) -> Option<health::Organisation> {
        let Endpoint::Nhs(ods) = &self.bound.submission.sender else { return None };
        Some(health::Organisation { ods_code: ods.to_string(), ..health::Organisation::default() })
    }

    fn health_child(&self, child: common::Child) -> health::Child {
        let of = child.circumstances.unwrap_or_default();
        let places = child.places.unwrap_or_default();
        let register = of.looked_after.then(|| health::RegisterStatus {
            status: health::PlanStatus::LookedAfter as i32,
            authority: places.placing.clone(),
            ..health::RegisterStatus::default()
        });
        health::Child {
            identity: child.identity,
            trace: of.trace,
            address: self.address(),
            record_is_sensitive: self.said.handling.contains(&(Flag::PdsSensitive as i32)),
            places: Some(places),
            disability: said_to_health().filter(|_| of.disabled),
            inpatient: of.inpatient,
            non_mobile: of.non_mobile,
            deceased: of.deceased,
            register,
            ..health::Child::default()
        }
    }

    fn health_report(&self) -> health::Report {
        use health::Topic;
        let topic = |category| match category {
            Category::ConcernNarrative => Some(Topic::Worry),
            Category::RiskLevel => Some(Topic::Risk),
            Category::ChildHealth => Some(Topic::ChildHealth),
            Category::SexualHealth => Some(Topic::SexualHealth),
            Category::ParentHealth => Some(Topic::ParentHealth),
            Category::DomesticAbuseDetail => Some(Topic::DomesticAbuse),
            Category::CriminalOffence => Some(Topic::Offence),
            Category::AllegationAgainstProfessional => Some(Topic::StaffAllegation),
            Category::ThirdParty => Some(Topic::SomebodyElse),
            Category::UnrelatedSiblingRecord => Some(Topic::SiblingRecord),
            Category::ImmigrationStatus => Some(Topic::Immigration),
            Category::AdoptionRecord => Some(Topic::Adoption),
            Category::LegalProceedings => Some(Topic::Court),
            _ => None,
        };
        let part = |topic: i32| health::AccountPart {
            topic,
            standing: health::Standing::Fact as i32,
            subject: CHILD,
            statement: said_to_health(),
            ..health::AccountPart::default()
        };
        let (child, further) = self.children();
        let (name, relationship) = ("A Parent".to_owned(), "parent".to_owned());
        let parent = |address| health::Adult { name, relationship, address, ..health::Adult::default() };
        health::Report {
            organisation: self.organisation(),
            referrer: Some(person("A Referrer")),
            child: Some(self.health_child(child)),
            further_children: further.into_iter().map(|child| self.health_child(child)).collect(),
            parents_and_carers: self.parent(parent),
            account: self
                .topics(topic, Topic::Worry)
                .into_iter()
                .map(|topic| topic as i32)
                .chain(self.later_topics())
                .map(part)
                .collect(),
            views_of_child: self.when_said(Category::ChildVoice, said_to_health()),
            sharing: Some(health::Sharing {
                agreement: self.said.agreement,
                why_not: self.why_not(),
                duty_decision: self.said.duty_decision,
                claimed_basis: self.circumstances().claimed_basis,
                ..health::Sharing::default()
            }),
            addressed_to: self.said.addressed_to.clone(),
            tell: self.circumstances().tell,
            possibly_related: self.circumstances().possibly_related,
            handling: self.said.handling.clone(),
            ..health::Report::default()
        }
    }

    fn health_referral(&self) -> health::SafeguardingReferral {
        health::SafeguardingReferral {
            report: Some(self.health_report()),
            level: self.said.level,
            harm: self.said.harm,
            purpose: self.said.purpose.clone(),
            ..health::SafeguardingReferral::default()
        }
    }

    fn fgm(&self) -> health::FgmReport {
        let profession = match self.circumstances().reporter() {
            common::Reporter::Regulated => health::Profession::Doctor,
            common::Reporter::Other => health::Profession::NotRegulated,
            common::Reporter::Unspecified | common::Reporter::NotStated => health::Profession::Unspecified,
        };
        let finding = match self.said.harm() {
            common::HarmType::FgmKnown => health::FgmFinding::ToldByGirl,
            common::HarmType::FgmReportedByThirdParty => health::FgmFinding::ToldByOthers,
            _ => health::FgmFinding::AtRisk,
        };
        health::FgmReport {
            report: Some(self.health_report()),
            profession: profession as i32,
            finding: finding as i32,
            discovered_at: self.now(),
            // Whoever has the duty called the police themselves: without that the form is not taken (RA-16).
            police_reference: "synthetic".to_owned(),
            level: self.said.level,
        }
    }

    fn attendance(&self) -> health::UnscheduledAttendance {
        let child = self.children().0;
        let of = child.circumstances.unwrap_or_default();
        let places = child.places.unwrap_or_default();
        let (status, authority) = if of.looked_after {
            (health::PlanStatus::LookedAfter, places.placing)
        } else if !places.plan_holder.is_empty() {
            (health::PlanStatus::ChildProtectionPlan, places.plan_holder)
        } else {
            (health::PlanStatus::None, String::new())
        };
        health::UnscheduledAttendance {
            organisation: self.organisation(),
            referrer: Some(person("A Referrer")),
            identity: child.identity,
            trace: of.trace,
            register: Some(health::RegisterStatus { status: status as i32, authority, ..health::RegisterStatus::default() }),
            care: health::Care::EmergencyDepartment as i32,
            attended_at: self.now(),
        }
    }
}
