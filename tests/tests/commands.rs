//! Everything that a party without a system can say, said with its two programs: `safeguarding-send` and
//! `safeguarding-front-door`.

use std::fs;
use std::path::PathBuf;

use adapters::samples::Sample;
use proto::json;
use proto::wire::health::v1 as health;
use proto::wire::police::v1 as police;
use tests::client::{content, person};
use tests::stack::{Stack, repository};

const LEEDS: &str = "la.E08000035.front-door";
const KENT: &str = "la.E10000016.front-door";
const SCHOOL: &str = "school.999001";

/// What a program printed, which ended well.
fn ran(stack: &Stack, program: &str, party: &str, arguments: &[&str]) -> String {
    let (ended_well, printed) = stack.at_the_command_line(program, party, arguments);
    assert!(ended_well, "{program} {arguments:?} as {party}: {printed}");
    printed
}

/// What a program printed that was refused.
fn refused(stack: &Stack, program: &str, party: &str, arguments: &[&str]) -> String {
    let (ended_well, printed) = stack.at_the_command_line(program, party, arguments);
    assert!(!ended_well, "{program} {arguments:?} as {party}: {printed}");
    printed
}

/// The word after `label` at the beginning of a line.
fn after(printed: &str, label: &str) -> String {
    let found = printed.lines().find_map(|line| line.strip_prefix(label)).and_then(|rest| rest.split_whitespace().next());
    found.unwrap_or_else(|| panic!("no line begins with {label:?} in {printed}")).to_owned()
}

struct Desk<'a> {
    stack: &'a Stack,
    party: &'static str,
    by: &'static str,
}

impl Desk<'_> {
    /// The next delivery's id, once what was shown holds `words`.
    fn next(&self, words: &str) -> String {
        for _ in 0..10 {
            let shown = ran(self.stack, "safeguarding-front-door", self.party, &["next", "--wait", "60"]);
            if shown.contains(words) {
                return after(&shown, "Delivery ");
            }
        }
        panic!("{} was shown nothing with {words:?}", self.party)
    }

    fn says(&self, command: &str, delivery: &str, more: &[&str]) -> String {
        let arguments = [&[command, delivery, "--as", self.by], more].concat();
        ran(self.stack, "safeguarding-front-door", self.party, &arguments)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_says_with_its_program_all_that_the_front_door_takes() {
    let stack = Stack::start("desk").await;
    let leeds = Desk { stack: &stack, party: LEEDS, by: "Priya Shah, duty social worker" };
    let kent = Desk { stack: &stack, party: KENT, by: "Tobias Field, duty social worker" };
    ran(&stack, "safeguarding-send", SCHOOL, &["refer", "--sample", "neglect"]);
    let received = leeds.next("SAFEGUARDING REFERRAL");

    let stands = |party: &str| ran(&stack, "safeguarding-front-door", party, &["stands"]);
    let at_leeds = stands(LEEDS);
    assert!(at_leeds.contains(&received) && at_leeds.contains("answers for the child"), "{at_leeds}");
    assert!(at_leeds.contains("the end of"), "it says what is due: {at_leeds}");
    assert_eq!(stands(KENT), "");

    assert!(leeds.says("request-information", &received, &["--question", "Who fetched her?"]).contains("asked by Priya Shah"));
    leeds.says("strategy-discussion", &received, &["--held-on", "2026-11-24", "--enquiries-started"]);
    leeds.says("plan-status", &received, &["--child-protection-plan", "no", "--looked-after", "no"]);
    leeds.says("refer-on", &received, &["--to", "la.E08000035.early-help", "--reason", "Help with the mornings."]);
    leeds.says("lift-handling", &received, &["--reason", "The mother knows now."]);

    let transfer = || leeds.says("transfer", &received, &["--to", "E10000016", "--reason", "The family has moved."]);
    assert!(transfer().contains("offered to E10000016 by Priya Shah"));
    kent.next("OFFERED to you");
    leeds.says("withdraw-transfer", &received, &["--reason", "They came home."]);
    kent.next("OFFERED NO LONGER");
    transfer();
    let offered = kent.next("OFFERED to you");
    kent.says("refuse-transfer", &offered, &["--reason", "Not known here."]);
    leeds.next("NOT TAKEN OVER");
    transfer();
    let offered = kent.next("OFFERED to you");
    assert!(kent.says("accept-transfer", &offered, &[]).contains("taken over by Tobias Field"));
    leeds.next("TAKEN OVER from you");
    let late = refused(
        &stack,
        "safeguarding-front-door",
        LEEDS,
        &["transfer", &received, "--as", leeds.by, "--to", "E10000016", "--reason", "Again."],
    );
    assert!(late.contains("NOT_RESPONSIBLE"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_corrects_takes_agreement_back_and_disagrees_with_its_program() {
    let stack = Stack::start("sender").await;
    let send = |arguments: &[&str]| ran(&stack, "safeguarding-send", SCHOOL, arguments);
    let leeds = Desk { stack: &stack, party: LEEDS, by: "Priya Shah, duty social worker" };
    let manager = Desk { stack: &stack, party: "la.E08000035.front-door-manager", by: "Ottoline Grey, manager" };
    let id = after(&send(&["refer", "--sample", "neglect"]), "referral ");
    let lead = "Morag Ellwood, designated safeguarding lead";
    leeds.next("SAFEGUARDING REFERRAL");

    assert_eq!(after(&send(&["correct", &id, "--sample", "neglect"]), "corrected "), id);
    let corrected = leeds.next("CORRECTED");
    let withdraw = ["withdraw-consent", &id, "--as", lead, "--withdrawn-by", "parental-responsibility", "--on", "2026-11-24"];
    assert!(send(&withdraw).contains("Everybody who received the referral is told"));
    leeds.next("AGREEMENT WITHDRAWN");

    leeds.says("decide", &corrected, &["--outcome", "nfa", "--reason", "Not for us."]);
    let disagree = ["disagree", &id, "--as", lead, "--reason", "The bruises were not looked at."];
    send(&disagree);
    let disputed = manager.next("THE REFERRER DISAGREES");
    let open = refused(&stack, "safeguarding-send", SCHOOL, &disagree);
    assert!(open.contains("DISAGREEMENT_OPEN") && open.contains("to act: receiver"), "{open}");
    let stands = send(&["get", &id]);
    assert!(stands.contains("your disagreement (stage 1, the manager) waits for an answer"), "{stands}");
    assert!(stands.contains("agreement     withdrawn on 2026-11-24 (parental responsibility)"), "{stands}");
    manager.says("decide", &disputed, &["--outcome", "early_help", "--reason", "We looked again."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn police_and_health_send_their_own_forms_with_the_program() {
    let stack = Stack::start("forms").await;
    let file = |name: &str, text: String| -> PathBuf {
        let path = stack.broker_config().with_file_name(name);
        fs::write(&path, text).expect("a form");
        path
    };
    let report = Sample::Neglect.notice().report;
    let protection = police::PoliceProtection {
        report: report.clone(),
        taken_at: "2026-11-24T21:00:00Z".to_owned(),
        ..police::PoliceProtection::default()
    };
    let missing = police::MissingChild {
        report: report.clone(),
        purpose: "To find her.".to_owned(),
        missing_from: "2026-11-24T21:00:00Z".to_owned(),
        ..police::MissingChild::default()
    };
    let returned = police::MissingChildReturn {
        report,
        returned_at: "2026-11-25T07:00:00Z".to_owned(),
        ..police::MissingChildReturn::default()
    };
    let forms = [
        ("police-protection", json::write(&protection)),
        ("missing-child", json::write(&missing)),
        ("missing-child-return", json::write(&returned)),
    ];
    for (which, form) in forms {
        let path = file(&format!("{which}.json"), form.expect("JSON")).display().to_string();
        let printed = ran(&stack, "safeguarding-send", "police.13", &["report", which, "--form", &path]);
        let id = after(&printed, "referral ");
        // The same file is the same report, however often it is sent.
        assert_eq!(after(&ran(&stack, "safeguarding-send", "police.13", &["report", which, "--form", &path]), "referral "), id);
        // It is not a school's form, and a school has no business at the door of the police.
        let told = refused(&stack, "safeguarding-send", SCHOOL, &["report", which, "--form", &path]);
        assert!(told.contains("NOT_YOUR_SERVICE"), "{told}");
    }

    let child = content("Siskin", "").child.expect("a child");
    let organisation = Some(health::Organisation { ods_code: "ZZ304".to_owned(), ..health::Organisation::default() });
    let referral = health::SafeguardingReferral {
        report: Some(health::Report {
            organisation,
            referrer: Some(person("Dr Ines Carrow")),
            child: Some(health::Child { identity: child.identity, places: child.places, ..health::Child::default() }),
            ..health::Report::default()
        }),
        ..health::SafeguardingReferral::default()
    };
    // What the door needs of it is told in the form's own words.
    let path = file("referral.json", json::write(&referral).expect("JSON")).display().to_string();
    let told = refused(&stack, "safeguarding-send", "nhs.ZZ304", &["report", "safeguarding-referral", "--form", &path]);
    assert!(told.contains("form.level"), "{told}");
    let account = health::AccountPart {
        topic: health::Topic::ChildHealth as i32,
        standing: health::Standing::Fact as i32,
        statement: Some(health::Statement { text: "A bruise of 3 cm.".to_owned(), ..health::Statement::default() }),
        ..health::AccountPart::default()
    };
    let referral = health::SafeguardingReferral {
        report: referral.report.map(|report| health::Report { account: vec![account], ..report }),
        level: proto::wire::common::v1::Level::SignificantHarm as i32,
        harm: proto::wire::common::v1::HarmType::PhysicalAbuse as i32,
        ..referral
    };
    let path = file("referral.json", json::write(&referral).expect("JSON")).display().to_string();
    let printed = ran(&stack, "safeguarding-send", "nhs.ZZ304", &["report", "safeguarding-referral", "--form", &path]);
    after(&printed, "referral ");

    // The same door takes FHIR, in either form, and answers in it.
    let example = |name: &str| repository().join("examples/fhir").join(name).display().to_string();
    let fhir = |name: &str| ran(&stack, "safeguarding-send", "nhs.ZZ304", &["fhir", &example(name)]);
    let (json, xml) = (fhir("referral.json"), fhir("referral.xml"));
    let is_outcome = |printed: &str, form: char| printed.starts_with(form) && printed.contains("OperationOutcome");
    assert!(is_outcome(&json, '{') && is_outcome(&xml, '<'), "{json}\n{xml}");
    let id = after(&json, "referral ");
    assert_eq!(after(&fhir("referral.json"), "referral "), id);
    let feedback = ["fhir-feedback", &id, "--message-id", "the-message"];
    let feedback = ran(&stack, "safeguarding-send", "nhs.ZZ304", &feedback);
    assert!(feedback.contains("the-message") && feedback.contains("\"resourceType\":\"Bundle\""), "{feedback}");
    let wrong = file("wrong.json", r#"{"resourceType": "Bundle", "type": "message"}"#.to_owned()).display().to_string();
    let told = refused(&stack, "safeguarding-send", "nhs.ZZ304", &["fhir", &wrong]);
    assert!(told.contains("the outcome says why"), "{told}");
}
