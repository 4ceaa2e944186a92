//! Synthetic referrals, to try the whole with. Nobody in them exists: NHS numbers come from the range that is
//! never issued, schools from numbers that are not given.
//!
//! All are below significant harm, so that they reach the front door at any hour: out of hours anything graver
//! goes to the emergency duty team.

use proto::wire::common::v1::{
    Address, Agreement, DutyDecision, HarmPlace, HarmType, Identity, Knowledge, Level, Places, Practitioner, Subject,
    identity::Age,
};
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
    /// A boy of fifteen with money and a second telephone; Newham.
    Exploitation,
}

impl Sample {
    /// The school's form, filled in by the school with the number `urn`.
    pub fn form(self, urn: &str) -> ReferralForm {
        match self {
            Sample::Neglect => neglect(urn),
            Sample::PhysicalAbuse => physical_abuse(urn),
            Sample::Exploitation => exploitation(urn),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::school;
    use clap::ValueEnum;
    use proto::wire::common::v1::{Category, EventKind};
    use referral::Endpoint;

    #[test]
    fn every_sample_is_a_form_that_a_school_may_send() {
        for sample in Sample::value_variants() {
            let translated = school::referral(sample.form("999001"));
            assert!(translated.faults.is_empty(), "{sample:?}: {:?}", translated.faults);
            let sender = Endpoint::parse("school.999001").unwrap();
            let key = referral::IdempotencyKey::from_bytes([7; 16]);
            let read = proto::read::submission(&sender, key, "2026-11-23T10:00:00Z".parse().unwrap(), &translated.content);
            assert!(read.is_ok(), "{sample:?}: {:?}", read.err());
            assert_eq!(translated.content.kind, EventKind::Referral as i32);
            assert!(translated.content.items.iter().any(|item| item.category == Category::ConcernNarrative as i32));
        }
    }
}
