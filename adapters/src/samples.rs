//! Synthetic referrals, to try the whole with. Nobody in them exists: NHS numbers come from the range that is
//! never issued, schools from numbers that are not given.
//!
//! The first three are below significant harm, so that they reach the front door at any hour: out of hours anything
//! graver goes to the emergency duty team.

use proto::wire::common::v1::{
    Address, Agreement, DutyDecision, HarmPlace, HarmType, Identity, Knowledge, Level, Places, Practitioner, Subject,
    identity::Age,
};
use proto::wire::police::v1 as police;
use proto::wire::school::v1::{
    AccountPart, Adult, Confidentiality, Consent, Pupil, ReferralForm, School, SchoolRecord, Sibling, Statement, Topic, YesNo,
};

/// A synthetic referral.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sample {
    /// A girl of nine, hungry and cold; Leeds.
    Neglect,
    /// A girl of twelve with bruises; Kent.
    PhysicalAbuse,
    /// A boy of fifteen with money and a second telephone; Newham; in need, so graver harm than the level says.
    Exploitation,
    /// A boy of six with a burn, his health and his mother's; significant harm, Leeds.
    Injury,
    /// A girl of thirteen who is afraid to go home today; immediate danger, Leeds; police are told too.
    ImmediateDanger,
    /// A boy of ten who lives in Leeds, addressed to Kent: it goes to Leeds all the same.
    Misaddressed,
    /// A girl of eight whose father refuses early help; Leeds; a person decides whether it goes.
    EarlyHelpRefused,
    /// A brother and a sister who live in two areas: two referrals, Leeds and Kent.
    Siblings,
}

impl Sample {
    /// The school's form, filled in by the school with the number `urn`.
    pub fn form(self, urn: &str) -> ReferralForm {
        match self {
            Sample::Neglect => neglect(urn),
            Sample::PhysicalAbuse => physical_abuse(urn),
            Sample::Exploitation => exploitation(urn),
            Sample::Injury => injury(urn),
            Sample::ImmediateDanger => immediate_danger(urn),
            Sample::Misaddressed => misaddressed(urn),
            Sample::EarlyHelpRefused => early_help_refused(urn),
            Sample::Siblings => siblings(urn),
        }
    }

    /// The same, as a force would tell it in a public protection notice that is a referral.
    pub fn notice(self) -> police::PublicProtectionNotice {
        let form = self.form("");
        let child = |pupil: &Pupil| police::Child {
            identity: pupil.identity.clone(),
            address: pupil.address.clone(),
            places: pupil.places.clone(),
            language: pupil.first_language.clone(),
            ..police::Child::default()
        };
        let statement = |said: &Statement| police::Statement {
            text: said.text.clone(),
            summary: said.summary.clone(),
            source: said.source,
            told_by: said.told_by.clone(),
            not_for_family: said.confidentiality.as_ref().is_some_and(|secret| secret.from_family),
        };
        let account = form.account.iter().map(|part| police::AccountPart {
            topic: topic_of_police(part.topic()) as i32,
            subject: part.subject,
            statement: part.statement.as_ref().map(statement),
            about_child: part.about_child,
        });
        let report = police::Report {
            incident: Some(police::Incident { number: "synthetic 0001".to_owned(), ..police::Incident::default() }),
            officer: Some(Practitioner {
                name: "Rowan Dunmore".to_owned(),
                role: "police constable".to_owned(),
                contact: "the station's safeguarding desk".to_owned(),
            }),
            marking: police::Marking::OfficialSensitive as i32,
            child: form.pupil.as_ref().map(child),
            further_children: form.further_pupils.iter().map(child).collect(),
            harm: form.harm,
            harm_place: form.harm_place,
            risk_grade: police::RiskGrade::Amber as i32,
            account: account.collect(),
            voice_of_child: form.views_of_child.as_ref().map(statement),
            sharing: form.consent.map(|consent| police::Sharing {
                agreement: consent.agreement,
                by_whom: consent.by_whom,
                why_not: consent.why_not,
                duty_decision: consent.duty_decision,
                duty_reason: consent.duty_reason,
                claimed_basis: consent.claimed_basis,
                ..police::Sharing::default()
            }),
            addressed_to: form.addressed_to,
            tell: form.tell,
            possibly_related: form.possibly_related,
            ..police::Report::default()
        };
        let level = form.level;
        police::PublicProtectionNotice {
            report: Some(report),
            is_referral: true,
            level,
            ..police::PublicProtectionNotice::default()
        }
    }
}

/// What a part of a school's account is about, in a force's words.
fn topic_of_police(topic: Topic) -> police::Topic {
    match topic {
        Topic::Unspecified => police::Topic::Unspecified,
        Topic::ChildHealth => police::Topic::ChildHealth,
        Topic::SexualHealth => police::Topic::SexualHealth,
        Topic::ParentHealth => police::Topic::ParentHealth,
        Topic::DomesticAbuse => police::Topic::DomesticAbuse,
        Topic::Offence => police::Topic::Offence,
        Topic::StaffAllegation => police::Topic::StaffAllegation,
        Topic::SomebodyElse | Topic::SiblingRecord => police::Topic::SomebodyElse,
        Topic::Immigration => police::Topic::Immigration,
        Topic::Court => police::Topic::Court,
        Topic::Missing => police::Topic::Missing,
        Topic::Marac => police::Topic::Marac,
        Topic::Risk => police::Topic::Risk,
        Topic::Worry | Topic::Education | Topic::Adoption | Topic::SpecialCategory => police::Topic::Circumstances,
    }
}

fn said(text: &str, summary: &str) -> Statement {
    Statement { text: text.to_owned(), summary: summary.to_owned(), source: Knowledge::Direct as i32, ..Statement::default() }
}

fn part(topic: Topic, when: &str, statement: Statement) -> AccountPart {
    AccountPart {
        topic: topic as i32,
        subject: Subject::Child as i32,
        when: when.to_owned(),
        statement: Some(statement),
        ..AccountPart::default()
    }
}

fn school(urn: &str) -> School {
    School {
        urn: urn.to_owned(),
        name: "Hawthorn Bank School (synthetic)".to_owned(),
        designated_safeguarding_lead: Some(Practitioner {
            name: "Morag Ellwood".to_owned(),
            role: "designated safeguarding lead".to_owned(),
            contact: "school office, ask for Morag".to_owned(),
        }),
        ..School::default()
    }
}

fn pupil(given: &str, family: &str, born: &str, nhs_number: &str, lines: &str, home: &str) -> Pupil {
    Pupil {
        identity: Some(Identity {
            given_name: given.to_owned(),
            family_name: family.to_owned(),
            age: Some(Age::DateOfBirth(born.to_owned())),
            nhs_number: nhs_number.to_owned(),
            ..Identity::default()
        }),
        address: Some(Address { lines: lines.to_owned(), ..Address::default() }),
        places: Some(Places { home: home.to_owned(), ..Places::default() }),
        ..Pupil::default()
    }
}

fn agreed(by_whom: &str) -> Consent {
    Consent {
        discussed_with_parents: YesNo::Yes as i32,
        discussed_with_child: YesNo::Yes as i32,
        agreement: Agreement::Given as i32,
        by_whom: by_whom.to_owned(),
        duty_decision: DutyDecision::Share as i32,
        duty_reason: "It may help children's services to see what this family needs.".to_owned(),
        ..Consent::default()
    }
}

fn neglect(urn: &str) -> ReferralForm {
    let mut child = pupil("Tamsin", "Quillfeather", "2017-03-14", "9990000026", "12 Sample Terrace\nLeeds", "E08000035");
    child.first_language = "English".to_owned();
    child.ethnicity = "White British".to_owned();
    child.record = Some(SchoolRecord {
        year_group: "5".to_owned(),
        attendance_percent: Some(81.5),
        attendance_comment: "Late on most Mondays.".to_owned(),
        ..SchoolRecord::default()
    });
    ReferralForm {
        school: Some(school(urn)),
        pupil: Some(child),
        parents_and_carers: vec![Adult {
            name: "Jory Quillfeather".to_owned(),
            relationship: "father".to_owned(),
            parental_responsibility: YesNo::Yes as i32,
            lives_with_child: YesNo::Yes as i32,
            health: Some(said("He told us that he drinks when he cannot sleep.", "")),
            ..Adult::default()
        }],
        siblings: vec![Sibling {
            name: "Perran Quillfeather".to_owned(),
            date_of_birth: "2021-09-01".to_owned(),
            relationship: "brother".to_owned(),
            lives_with_child: YesNo::Yes as i32,
            ..Sibling::default()
        }],
        consent: Some(agreed("father, who has parental responsibility")),
        level: Level::InNeed as i32,
        harm: HarmType::Neglect as i32,
        harm_place: HarmPlace::Home as i32,
        account: vec![part(
            Topic::Worry,
            "most days since half-term",
            said(
                "Tamsin comes without breakfast and without a coat, and asks to stay after school.",
                "Hungry and cold most days since half-term.",
            ),
        )],
        views_of_child: Some(said("\"It's warmer here.\"", "")),
        outcome_sought: Some(said("Somebody to see the home with the father.", "")),
        ..ReferralForm::default()
    }
}

fn physical_abuse(urn: &str) -> ReferralForm {
    let child = pupil("Wren", "Applegarth-Sample", "2014-06-02", "9990000034", "3 Specimen Close\nCanterbury", "E07000106");
    ReferralForm {
        school: Some(school(urn)),
        pupil: Some(child),
        consent: Some(agreed("mother, who has parental responsibility")),
        level: Level::InNeed as i32,
        harm: HarmType::PhysicalAbuse as i32,
        harm_place: HarmPlace::NotStated as i32,
        account: vec![
            part(
                Topic::Worry,
                "Monday morning",
                said("Wren flinched when a teacher reached over her.", "Flinched when reached over."),
            ),
            part(
                Topic::ChildHealth,
                "Monday morning",
                said("Two old bruises on the upper arm, seen by the school nurse.", "Two old bruises, seen by a nurse."),
            ),
        ],
        views_of_child: Some(Statement {
            confidentiality: Some(Confidentiality {
                from_family: true,
                why: "She asked us not to say that she said so.".to_owned(),
            }),
            ..said("\"I fell, I think.\"", "")
        }),
        ..ReferralForm::default()
    }
}

fn exploitation(urn: &str) -> ReferralForm {
    let mut child = pupil("Ilya", "Brackenbury-Sample", "2011-01-20", "9990000042", "7 Example Road\nLondon", "E09000025");
    child.identity.get_or_insert_default().also_known_as = "Ink".to_owned();
    ReferralForm {
        school: Some(school(urn)),
        pupil: Some(child),
        consent: Some(agreed("mother, who has parental responsibility")),
        level: Level::InNeed as i32,
        harm: HarmType::CriminalExploitation as i32,
        harm_place: HarmPlace::Elsewhere as i32,
        account: vec![
            part(
                Topic::Worry,
                "three weeks",
                said(
                    "New trainers, a second telephone, picked up by older boys in a car.",
                    "Unexplained money; picked up by older boys.",
                ),
            ),
            part(
                Topic::Missing,
                "two nights in November",
                said("His mother did not know where he was on two nights.", "Missing on two nights."),
            ),
            part(Topic::SomebodyElse, "last week", said("A pupil of another school says that he works for her cousin.", "")),
        ],
        ..ReferralForm::default()
    }
}

/// At significant harm nobody has to agree; that the parents were not asked has its reason.
fn not_asked(why: &str) -> Consent {
    Consent {
        discussed_with_parents: YesNo::No as i32,
        discussed_with_child: YesNo::Yes as i32,
        agreement: Agreement::NotSoughtWithReason as i32,
        why_not: why.to_owned(),
        duty_decision: DutyDecision::Share as i32,
        duty_reason: "It may help to protect the child, and waiting would not.".to_owned(),
        ..Consent::default()
    }
}

fn injury(urn: &str) -> ReferralForm {
    let mut child = pupil("Corin", "Thistlewood-Sample", "2020-05-09", "9990000050", "4 Sample Mews\nLeeds", "E08000035");
    child.disability = Some(said("Corin has epilepsy; his plan is at school.", "Has epilepsy."));
    child.places.get_or_insert_default().located = "E08000035".to_owned();
    ReferralForm {
        school: Some(school(urn)),
        pupil: Some(child),
        parents_and_carers: vec![Adult {
            name: "Ottilie Thistlewood-Sample".to_owned(),
            relationship: "mother".to_owned(),
            parental_responsibility: YesNo::Yes as i32,
            lives_with_child: YesNo::Yes as i32,
            health: Some(said(
                "She told us that she stopped her medicine for depression in September.",
                "Has an illness for which she takes no medicine at present.",
            )),
            ..Adult::default()
        }],
        consent: Some(not_asked("To ask could put pressure on the child to say otherwise.")),
        level: Level::SignificantHarm as i32,
        harm: HarmType::PhysicalAbuse as i32,
        harm_place: HarmPlace::Home as i32,
        account: vec![
            part(
                Topic::Worry,
                "this morning",
                said(
                    "Corin said that the iron was put on his hand because he would not eat.",
                    "Says that he was burned at home.",
                ),
            ),
            part(
                Topic::ChildHealth,
                "this morning",
                said(
                    "A burn with a straight edge on the back of the left hand, seen by the school nurse.",
                    "A burn on the hand.",
                ),
            ),
            part(Topic::Immigration, "known since June", said("The mother's leave to remain ends in spring.", "")),
        ],
        views_of_child: Some(said("\"I will eat it next time.\"", "")),
        ..ReferralForm::default()
    }
}

fn immediate_danger(urn: &str) -> ReferralForm {
    let mut child = pupil("Marisol", "Fennimore-Sample", "2013-02-21", "9990000069", "9 Sample Walk\nLeeds", "E08000035");
    child.places.get_or_insert_default().located = "E08000035".to_owned();
    ReferralForm {
        school: Some(school(urn)),
        pupil: Some(child),
        consent: Some(not_asked("To ask would tell the person she is afraid of. 999 was called.")),
        level: Level::ImmediateDanger as i32,
        harm: HarmType::DomesticAbuse as i32,
        harm_place: HarmPlace::Home as i32,
        account: vec![part(
            Topic::Worry,
            "now",
            said(
                "Marisol says that he waits at home with a knife. She is in the head's office.",
                "Afraid of a man at home with a weapon.",
            ),
        )],
        views_of_child: Some(said("\"Please do not send me home.\"", "")),
        ..ReferralForm::default()
    }
}

fn misaddressed(urn: &str) -> ReferralForm {
    let child = pupil("Bertram", "Oakhollow-Sample", "2016-10-30", "9990000077", "2 Sample Yard\nLeeds", "E08000035");
    ReferralForm {
        school: Some(school(urn)),
        pupil: Some(child),
        consent: Some(agreed("grandmother, who has parental responsibility")),
        level: Level::InNeed as i32,
        harm: HarmType::YoungCarer as i32,
        harm_place: HarmPlace::Home as i32,
        account: vec![part(
            Topic::Worry,
            "this term",
            said(
                "Bertram lifts his grandmother out of bed before school and is too tired to work.",
                "Cares for his grandmother.",
            ),
        )],
        addressed_to: "la.E10000016.front-door".to_owned(),
        ..ReferralForm::default()
    }
}

fn early_help_refused(urn: &str) -> ReferralForm {
    let child = pupil("Linnea", "Copperfield-Sample", "2018-04-17", "9990000085", "6 Sample Row\nLeeds", "E08000035");
    ReferralForm {
        school: Some(school(urn)),
        pupil: Some(child),
        consent: Some(Consent {
            agreement: Agreement::Refused as i32,
            by_whom: "father, who has parental responsibility".to_owned(),
            ..agreed("")
        }),
        level: Level::EarlyHelp as i32,
        harm: HarmType::ParentingSupport as i32,
        harm_place: HarmPlace::NotStated as i32,
        account: vec![part(
            Topic::Worry,
            "since September",
            said("Linnea is often the last to be fetched; her father says that he manages.", "Often fetched late."),
        )],
        ..ReferralForm::default()
    }
}

fn siblings(urn: &str) -> ReferralForm {
    let brother = pupil("Piers", "Hazelmere-Sample", "2012-09-03", "9990000093", "1 Sample Green\nLeeds", "E08000035");
    let sister = pupil("Saskia", "Hazelmere-Sample", "2014-11-11", "9990000107", "5 Specimen Lane\nCanterbury", "E07000106");
    ReferralForm {
        school: Some(school(urn)),
        pupil: Some(brother),
        further_pupils: vec![sister],
        consent: Some(agreed("mother, who has parental responsibility")),
        level: Level::InNeed as i32,
        harm: HarmType::EmotionalWellbeing as i32,
        harm_place: HarmPlace::Home as i32,
        account: vec![
            part(
                Topic::Worry,
                "since the summer",
                said(
                    "Both children were told different things about why their parents live apart.",
                    "Distressed by the separation.",
                ),
            ),
            AccountPart {
                about_child: Some(1),
                ..part(Topic::Education, "this term", said("Saskia has missed every Monday.", "Absent on Mondays."))
            },
        ],
        ..ReferralForm::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::school;
    use clap::ValueEnum;
    use referral::rules::{Decision, Rulebook};
    use referral::{Endpoint, IdempotencyKey, submission::Submission};

    /// Who gets each child's referral, in the local stack, on a Monday at ten.
    fn outcome(sample: Sample) -> Vec<String> {
        let rules = Rulebook::built_in(include_str!("../../deploy/endpoints.toml")).unwrap();
        let describe = |referral| {
            let ruling = rules.rule(&referral, &[]);
            let what = match ruling.decision() {
                Decision::Deliver { .. } => "goes to",
                Decision::HoldForReview { .. } => "waits for a person",
                Decision::ReturnToSender => "comes back",
                Decision::Refuse => "is refused",
            };
            let to: Vec<String> = ruling.views().iter().map(|view| view.to().to_string()).collect();
            let flags: String = ruling.flags().map(|flag| format!(", {flag}")).collect();
            format!("{what} {}", to.join(" and ")).trim_end().to_owned() + &flags
        };
        read(sample).split().into_iter().map(describe).collect()
    }

    fn read(sample: Sample) -> Submission {
        let translated = school::referral(sample.form("999001"));
        assert!(translated.faults.is_empty(), "{sample:?}: {:?}", translated.faults);
        let sender = Endpoint::parse("school.999001").unwrap();
        let received = "2026-11-23T10:00:00Z".parse().unwrap();
        let read = proto::read::submission(&sender, IdempotencyKey::from_bytes([7; 16]), received, &translated.content);
        read.unwrap_or_else(|invalid| panic!("{sample:?}: {invalid}"))
    }

    #[test]
    fn every_sample_is_a_form_that_a_school_may_send() {
        for sample in Sample::value_variants() {
            let submission = read(*sample);
            let narrative = referral::vocab::Category::ConcernNarrative;
            assert!(submission.items.iter().any(|item| item.category == narrative), "{sample:?}");
        }
    }

    #[test]
    fn every_sample_is_a_notice_that_a_force_may_send() {
        for sample in Sample::value_variants() {
            let translated = crate::police::notice(sample.notice());
            assert!(translated.faults.is_empty(), "{sample:?}: {:?}", translated.faults);
            let (sender, key) = (Endpoint::parse("police.13").unwrap(), IdempotencyKey::from_bytes([7; 16]));
            let received = "2026-11-23T10:00:00Z".parse().unwrap();
            let submission = proto::read::submission(&sender, key, received, &translated.content);
            assert_eq!(submission.unwrap_or_else(|invalid| panic!("{sample:?}: {invalid}")).level, read(*sample).level);
        }
    }

    #[test]
    fn every_sample_goes_where_it_says() {
        let leeds = "goes to la.E08000035.front-door";
        assert_eq!(outcome(Sample::Neglect), [leeds]);
        assert_eq!(outcome(Sample::PhysicalAbuse), ["goes to la.E10000016.front-door"]);
        assert_eq!(
            outcome(Sample::Exploitation),
            ["goes to la.E09000025.front-door and police.13 and national.nrm, level_mismatch"]
        );
        assert_eq!(outcome(Sample::Injury), [leeds]);
        assert_eq!(outcome(Sample::ImmediateDanger), ["goes to la.E08000035.front-door and police.13"]);
        assert_eq!(outcome(Sample::Misaddressed), ["goes to la.E08000035.front-door, redirected"]);
        assert_eq!(outcome(Sample::EarlyHelpRefused), ["waits for a person, person_decides"]);
        assert_eq!(outcome(Sample::Siblings), [leeds, "goes to la.E10000016.front-door"]);
    }
}
