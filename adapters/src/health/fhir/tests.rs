//! What a message says arrives, in either form; what is hostile or not ours is named and goes no further.

use prost::Message as _;
use proto::read;
use proto::wire::common::v1::information_item::Body;
use referral::submission::{Age, Submission};
use referral::vocab::{self, Vocabulary};
use referral::{IdempotencyKey, Sealed};
use serde_json::{Value, json};

use super::*;

const SAMPLE: &str = include_str!("../../../../examples/fhir/referral.json");

fn received() -> Moment {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn sample() -> Value {
    serde_json::from_str(SAMPLE).unwrap()
}

fn sender() -> Endpoint {
    Endpoint::parse("nhs.ZZ304").unwrap()
}

fn translated(message: &Value) -> Result<Translated, Vec<Issue>> {
    translate(Format::Json, message.to_string().as_bytes(), &sender(), received())
}

fn read(translated: &Translated) -> Submission {
    let key = IdempotencyKey::from_bytes([1; 16]);
    read::submission(&sender(), key, received(), &translated.content).unwrap_or_else(|invalid| panic!("{invalid:?}"))
}

/// The resource of a type in the sample.
fn resource<'a>(message: &'a mut Value, kind: &str) -> &'a mut Value {
    let entries = message["entry"].as_array_mut().unwrap();
    &mut entries.iter_mut().find(|entry| entry["resource"]["resourceType"] == kind).unwrap()["resource"]
}

fn changed(change: impl Fn(&mut Value)) -> Value {
    let mut message = sample();
    change(&mut message);
    message
}

fn refused(message: &Value) -> Vec<(Wrong, String)> {
    translated(message).err().unwrap_or_default().into_iter().map(|issue| (issue.wrong, issue.at)).collect()
}

#[test]
fn a_message_says_what_a_form_would() {
    let submission = read(&translated(&sample()).unwrap_or_else(|issues| panic!("{issues:?}")));
    assert_eq!(
        (submission.level, submission.harm, submission.agreement, submission.duty_decision),
        (vocab::Level::SignificantHarm, vocab::HarmType::PhysicalAbuse, vocab::Agreement::Refused, vocab::DutyDecision::Share)
    );
    assert_eq!(submission.referrer.name, Sealed::from("Dr Ines Carrow"));
    assert_eq!(submission.referrer.role, Sealed::from("consultant paediatrician"));
    let child = &submission.child;
    assert_eq!(child.identity.given_name, Some(Sealed::from("Tamsin Rue")));
    assert_eq!(child.identity.age, Age::Born(Sealed::new("2019-02-03".parse().unwrap())));
    assert!(child.identity.nhs_number.as_ref().is_some_and(|number| number.fault().is_none()));
    assert_eq!(child.circumstances.trace, Some(vocab::TraceResult::Matched));
    assert_eq!(
        [&child.places.home, &child.places.located].map(|gss| gss.as_ref().unwrap().to_string()),
        ["E08000035", "E08000035"]
    );
    let categories: Vec<&str> = submission.items.iter().map(|item| item.category.as_str()).collect();
    assert!(
        ["attendance_event", "child_health", "concern_narrative", "consent_record"].iter().all(|one| categories.contains(one))
    );
    assert!(!categories.contains(&"unknown"), "an ordinary message leaves nothing that nobody knows: {categories:?}");
}

fn texts(translated: &Translated) -> Vec<String> {
    let text = |item: &common::InformationItem| match &item.body {
        Some(Body::Text(text)) => Some(text.clone()),
        Some(_) | None => None,
    };
    translated.content.items.iter().filter_map(text).collect()
}

#[test]
fn what_was_found_is_told_apart_from_what_is_thought_of_it() {
    let told = texts(&translated(&sample()).ok().unwrap());
    assert!(told.iter().any(|text| text.starts_with("Observation (fact)\n") && text.contains("Bruise, left cheek")), "{told:#?}");
    assert!(
        told.iter().any(|text| text.starts_with("Condition (opinion)\n") && text.contains("Victim of child abuse")),
        "{told:#?}"
    );
}

#[test]
fn a_message_in_xml_says_the_same() {
    let tree = tree::read(Format::Json, SAMPLE.as_bytes()).unwrap();
    let xml = tree::write(Format::Xml, &tree);
    let from_xml = translate(Format::Xml, xml.as_bytes(), &sender(), received()).unwrap_or_else(|issues| panic!("{issues:?}"));
    let from_json = translate(Format::Json, SAMPLE.as_bytes(), &sender(), received()).ok().unwrap();
    assert!(from_xml.content == from_json.content);
    let by_hand = include_str!("../../../../examples/fhir/referral.xml");
    let by_hand = translate(Format::Xml, by_hand.as_bytes(), &sender(), received()).unwrap_or_else(|issues| panic!("{issues:?}"));
    assert_eq!(read(&by_hand).level, vocab::Level::EarlyHelp);
}

/// Gives every text of the message's resources a canary; what is a code, an id or a reference keeps its meaning.
fn marked(value: &mut Value, name: &str, canaries: &mut Vec<String>) {
    const MEANT: &[&str] =
        &["resourceType", "reference", "system", "code", "status", "id", "url", "type", "birthDate", "use", "valueCode"];
    match value {
        Value::Object(object) => object.iter_mut().for_each(|(name, value)| marked(value, name, canaries)),
        Value::Array(list) => list.iter_mut().for_each(|value| marked(value, name, canaries)),
        Value::String(text) if !MEANT.contains(&name) => {
            *text = format!("canary {} ends", canaries.len());
            canaries.push(text.clone());
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

#[test]
fn no_element_of_a_message_disappears() {
    let mut message = sample();
    let patient = resource(&mut message, "Patient");
    // What the mapping has never heard of, and what there is more than one of.
    patient["maritalStatus"] = json!({"text": "x"});
    patient["extension"] = json!([
        {"url": "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory", "valueCodeableConcept": {"text": "x"}},
        {"url": "https://example.invalid/unheard-of", "extension": [{"url": "deeper", "valueString": "x"}]}
    ]);
    patient["name"].as_array_mut().unwrap().push(json!({"use": "nickname", "text": "x"}));
    patient["address"].as_array_mut().unwrap().push(json!({"use": "temp", "line": ["x", "x"], "postalCode": "x"}));
    patient["telecom"].as_array_mut().unwrap().push(json!({"value": "x"}));
    patient["contact"] = json!([{"name": {"text": "x"}, "relationship": [{"text": "x"}]}]);
    patient["_gender"] = json!({"extension": [{"url": "why", "valueString": "x"}]});
    let entries = message["entry"].as_array_mut().unwrap();
    entries.push(json!({"resource": {"resourceType": "NutritionOrder", "oralDiet": {"instruction": "x"}}}));
    entries
        .push(json!({"resource": {"resourceType": "RelatedPerson", "name": [{"text": "x"}], "relationship": [{"text": "x"}]}}));
    entries.push(json!({"resource": {"resourceType": "Flag", "status": "active", "code": {"text": "x"}, "text": {"status": "additional", "div": "x"}}}));
    let mut canaries = Vec::new();
    for entry in message["entry"].as_array_mut().unwrap() {
        marked(&mut entry["resource"], "", &mut canaries);
    }
    let translated = translated(&message).unwrap_or_else(|issues| panic!("{issues:?}"));
    let bytes = proto::write::submission(&read(&translated)).encode_to_vec();
    let lost: Vec<&String> =
        canaries.iter().filter(|canary| !bytes.windows(canary.len()).any(|bytes| bytes == canary.as_bytes())).collect();
    assert!(canaries.len() > 35, "only {} texts were tried", canaries.len());
    assert!(lost.is_empty(), "lost: {lost:?} of {message:#}");
    let unknown = |item: &&common::InformationItem| item.category == Category::Unknown as i32;
    assert_eq!(translated.content.items.iter().filter(unknown).count(), 2, "what nobody has heard of waits for a person");
}

#[test]
fn an_unborn_child_is_the_mothers_number_and_the_date() {
    // Of a date that is not whole, the first day it can mean; what was written is read as well.
    for (written, expected) in [("2027-03-01", "2027-03-01"), ("2027-03", "2027-03-01"), ("2027", "2027-01-01")] {
        let message = changed(|message| {
            let unborn = json!({"coding": [{"system": "urn:safeguarding:subject", "code": "unborn"}]});
            resource(message, "ServiceRequest")["category"].as_array_mut().unwrap().push(unborn);
            let observation = resource(message, "Observation");
            observation["code"] = json!({"coding": [{"system": "http://loinc.org", "code": "11778-8"}]});
            observation["valueDateTime"] = json!(written);
        });
        let translated = translated(&message).unwrap_or_else(|issues| panic!("{issues:?}"));
        let submission = read(&translated);
        let identity = &submission.child.identity;
        assert_eq!(identity.age, Age::Expected(Sealed::new(expected.parse().unwrap())));
        assert!(identity.mother_nhs_number.is_some() && identity.nhs_number.is_none() && identity.family_name.is_none());
        assert!(texts(&translated).iter().any(|text| text.ends_with(&format!("valueDateTime: {written}"))), "{written}");
    }
}

#[test]
fn the_first_destination_is_where_it_would_be_sent_and_the_others_should_be_told() {
    let message = changed(|message| {
        resource(message, "MessageHeader")["destination"] = json!([
            {"endpoint": "urn:safeguarding:la.E08000035.front-door"},
            {"endpoint": "urn:safeguarding:school.999044"},
            {"endpoint": "https://elsewhere.example/"}
        ]);
    });
    let submission = read(&translated(&message).unwrap_or_else(|issues| panic!("{issues:?}")));
    assert_eq!(submission.addressed_to, Some(Endpoint::parse("la.E08000035.front-door").unwrap()));
    assert_eq!(submission.circumstances.tell, [Endpoint::parse("school.999044").unwrap()]);
}

/// The categories of the items that have `text` in them.
fn categories_of(translated: &Translated, text: &str) -> Vec<&'static str> {
    let has = |item: &&common::InformationItem| item.encode_to_vec().windows(text.len()).any(|bytes| bytes == text.as_bytes());
    let items = translated.content.items.iter().filter(has);
    items.map(|item| Category::try_from(item.category).unwrap().as_str_name()).collect()
}

#[test]
fn an_address_in_a_restricted_record_is_protected_wherever_it_stands() {
    for unborn in [false, true] {
        let message = changed(|message| {
            let patient = resource(message, "Patient");
            patient["meta"] = json!({"security": [{"code": "R"}]});
            patient["address"].as_array_mut().unwrap().push(json!({"line": ["3 Refuge Road"]}));
            patient["contact"] = json!([{"name": {"text": "Aunt Wren"}, "address": {"line": ["3 Refuge Road"]}}]);
            if unborn {
                let said = json!({"coding": [{"system": "urn:safeguarding:subject", "code": "unborn"}]});
                resource(message, "ServiceRequest")["category"].as_array_mut().unwrap().push(said);
                let observation = resource(message, "Observation");
                observation["code"] = json!({"coding": [{"system": "http://loinc.org", "code": "11778-8"}]});
                observation["valueDateTime"] = json!("2027-03-01");
            }
            message["entry"].as_array_mut().unwrap().push(json!({"resource": {
                "resourceType": "RelatedPerson", "name": [{"text": "Nan Wren"}], "address": [{"line": ["3 Refuge Road"]}]
            }}));
        });
        let translated = translated(&message).unwrap_or_else(|issues| panic!("{issues:?}"));
        let categories = categories_of(&translated, "3 Refuge Road");
        assert_eq!(categories, ["CATEGORY_PROTECTED_ADDRESS"; 3], "unborn: {unborn}");
        assert_eq!(categories_of(&translated, "Nan Wren"), ["CATEGORY_FAMILY_COMPOSITION"]);
    }
}

#[test]
fn a_condition_holds_wherever_it_stands_and_a_label_that_nobody_can_obey_waits_for_a_person() {
    let with = |code: &str| json!({"security": [{"system": "urn:safeguarding:handling", "code": code}]});
    let on_the_bundle = changed(|message| message["meta"] = with("do_not_inform_parents"));
    let told = translated(&on_the_bundle).ok().unwrap();
    assert!(told.content.handling.contains(&(HandlingFlag::DoNotInformParents as i32)));
    let unheard = changed(|message| message["meta"] = with("whisper"));
    assert_eq!(refused(&unheard), [(Wrong::Value, "Bundle.meta.security".to_owned())]);
    let restricted = json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]});
    let labelled = changed(|message| {
        resource(message, "Observation")["meta"] = restricted.clone();
        resource(message, "ServiceRequest")["meta"] = restricted.clone();
    });
    let told = translated(&labelled).ok().unwrap();
    assert_eq!(categories_of(&told, "Bruise, left cheek"), ["CATEGORY_UNKNOWN"]);
    let unknown = told.content.items.iter().filter(|item| item.category == Category::Unknown as i32).count();
    assert_eq!(unknown, 1, "the alert itself goes");
}

#[test]
fn whose_health_it_is_decides_its_category() {
    let mothers = changed(|message| {
        resource(message, "Observation")["subject"] = json!({"reference": "https://epr.invalid/Patient/mother"});
    });
    assert_eq!(categories_of(&translated(&mothers).ok().unwrap(), "Bruise, left cheek"), ["CATEGORY_THIRD_PARTY"]);
    let unborn = changed(|message| {
        let said = json!({"coding": [{"system": "urn:safeguarding:subject", "code": "unborn"}]});
        resource(message, "ServiceRequest")["category"].as_array_mut().unwrap().push(said);
        resource(message, "Patient")["deceasedBoolean"] = json!(true);
    });
    let told = translated(&unborn).ok().unwrap();
    assert_eq!(categories_of(&told, "Bruise, left cheek"), ["CATEGORY_PARENT_HEALTH"]);
    assert!(!told.content.child.unwrap().circumstances.unwrap().deceased, "the child is not its mother");
}

#[test]
fn of_several_consents_the_one_counts_that_agrees_to_least() {
    let message = changed(|message| {
        resource(message, "Consent")["status"] = json!("active");
        resource(message, "Consent")["provision"] = json!({"type": "permit"});
        let mut research = resource(message, "Consent").clone();
        research["scope"] = json!({"coding": [{"code": "research"}]});
        research["provision"] = json!({"type": "deny"});
        message["entry"].as_array_mut().unwrap().push(json!({"resource": research}));
    });
    assert_eq!(translated(&message).ok().unwrap().content.agreement, Agreement::Given as i32);
    let mut denied = message;
    let mut deny = resource(&mut denied, "Consent").clone();
    deny["provision"] = json!({"type": "deny"});
    denied["entry"].as_array_mut().unwrap().push(json!({"resource": deny}));
    assert_eq!(translated(&denied).ok().unwrap().content.agreement, Agreement::Refused as i32);
}

#[test]
fn a_date_of_birth_that_is_not_whole_stops_nothing() {
    for (born, years) in [("2014", 12), ("2014-05", 12)] {
        let told = translated(&changed(|message| resource(message, "Patient")["birthDate"] = json!(born))).ok().unwrap();
        let submission = read(&told);
        assert_eq!(submission.child.identity.age, referral::submission::Age::About(years));
        let as_written = told.content.items.iter().filter(|item| item.encode_to_vec().windows(4).any(|four| four == b"2014"));
        assert!(as_written.count() > 0, "what was written is kept");
    }
}

#[test]
fn the_envelope_loses_nothing_and_binds_nobody() {
    let signed = changed(|message| {
        message["signature"] = json!({"who": {"display": "canary of the signature"}});
        message["entry"][4]["search"] = json!({"mode": "canary of the entry"});
        message["timestamp"] = json!("2026-11-23T10:00:00Z");
    });
    let told = translated(&signed).ok().unwrap();
    for canary in ["canary of the signature", "canary of the entry"] {
        assert_eq!(categories_of(&told, canary), ["CATEGORY_UNKNOWN"]);
    }
    let rules = changed(|message| resource(message, "Patient")["implicitRules"] = json!("https://example.invalid/rules"));
    assert_eq!(refused(&rules), [(Wrong::NotSupported, "Bundle".to_owned())]);
    let two = changed(|message| {
        let one = message["entry"][4]["resource"].clone();
        message["entry"][4]["resource"] = json!([one, one]);
    });
    assert_eq!(refused(&two), [(Wrong::Structure, "Bundle.entry[4].resource".to_owned())]);
}

#[test]
fn how_serious_it_is_only_a_person_says() {
    let message = changed(|message| {
        let request = resource(message, "ServiceRequest");
        request["priority"] = json!("stat");
        request["category"] = json!([]);
    });
    assert_eq!(refused(&message), [(Wrong::Required, "Bundle.entry[2].resource.category".to_owned())]);
    let unheard =
        changed(|message| resource(message, "ServiceRequest")["category"][1]["coding"][0]["code"] = json!("unheard_of"));
    assert_eq!(refused(&unheard), [(Wrong::Value, "Bundle.entry[2].resource.category".to_owned())]);
}

#[test]
fn an_adult_is_sent_to_adult_safeguarding_and_a_flagged_child_is_still_a_child() {
    let flagged = |born: &str, subject: &str| {
        changed(|message| {
            resource(message, "Patient")["birthDate"] = json!(born);
            message["entry"].as_array_mut().unwrap().push(json!({"resource": {
                "resourceType": "Flag", "status": "active",
                "code": {"text": "Adult safeguarding concern"},
                "subject": {"reference": subject}
            }}));
        })
    };
    let patient = "urn:uuid:40000000-0000-4000-8000-000000000004";
    let adult = translated(&flagged("1990-05-06", patient)).err().unwrap();
    assert_eq!((adult[0].wrong, adult[0].at.as_str()), (Wrong::Elsewhere, "Bundle.entry[10].resource.code"));
    assert!(adult[0].because.contains("send it to adult.E08000035"), "{}", adult[0].because);
    // No flag turns a child away, and none on somebody else: both go on, with the flag among them.
    assert!(translated(&flagged("2019-02-03", patient)).is_ok());
    assert!(translated(&flagged("2008-11-24", patient)).is_ok(), "eighteen tomorrow");
    assert!(translated(&flagged("2008-11-23", patient)).is_err(), "eighteen today");
    assert!(translated(&flagged("1990-05-06", "urn:uuid:60000000-0000-4000-8000-000000000006")).is_ok());
}

#[test]
fn stu3_is_refused_by_its_name() {
    let header = changed(|message| resource(message, "MessageHeader")["event"] = json!({"code": "x"}));
    let profile = changed(|message| {
        resource(message, "Patient")["meta"] =
            json!({"profile": ["https://fhir.hl7.org.uk/STU3/StructureDefinition/CareConnect-Patient-1"]});
    });
    for message in [header, profile] {
        let issues = translated(&message).err().unwrap();
        assert!(issues[0].wrong == Wrong::NotSupported && issues[0].because.contains("STU3"), "{issues:?}");
    }
    assert!(format_of("application/fhir+json; fhirVersion=3.0").is_err());
    assert_eq!(format_of("Application/FHIR+XML; charset=utf-8; fhirVersion=4.0"), Ok(Format::Xml));
    assert!(format_of("application/json").is_err());
}

#[test]
fn references_are_told_apart_letter_by_letter() {
    let message = changed(|message| {
        message["entry"][3]["fullUrl"] = json!("urn:uuid:AAAA");
        resource(message, "ServiceRequest")["subject"]["reference"] = json!("urn:uuid:aaaa");
        for kind in ["Consent", "Observation", "Condition", "Encounter"] {
            let name = if kind == "Consent" { "patient" } else { "subject" };
            resource(message, kind)[name]["reference"] = json!("urn:uuid:AAAA");
        }
    });
    let issues = translated(&message).err().unwrap();
    assert_eq!(issues[0].at, "Bundle.entry[2].resource.subject.reference");
    assert!(issues[0].because.contains("capitals"), "{issues:?}");
    let nowhere = changed(|message| resource(message, "Observation")["subject"]["reference"] = json!("urn:uuid:nowhere"));
    assert_eq!(refused(&nowhere), [(Wrong::Value, "Bundle.entry[7].resource.subject.reference".to_owned())]);
}

#[test]
fn a_message_names_the_organisation_of_its_certificate() {
    let another = changed(|message| resource(message, "Organization")["identifier"][0]["value"] = json!("RR8"));
    assert_eq!(refused(&another), [(Wrong::Forbidden, "Bundle.entry[1].resource.identifier".to_owned())]);
}

#[test]
fn every_fault_is_named_at_once() {
    let message = changed(|message| {
        resource(message, "MessageHeader")["eventCoding"]["code"] = json!("booking-request");
        resource(message, "MessageHeader")["reason"]["coding"][0]["code"] = json!("update");
        resource(message, "ServiceRequest")["category"] = json!([]);
        resource(message, "ServiceRequest")["requester"] = json!({"reference": "urn:uuid:20000000-0000-4000-8000-000000000002"});
    });
    let at: Vec<String> = refused(&message).into_iter().map(|(_, at)| at).collect();
    assert_eq!(
        at,
        [
            "Bundle.entry[0].resource.eventCoding.code",
            "Bundle.entry[0].resource.reason.coding.code",
            "Bundle.entry[2].resource.category",
            "Bundle.entry[2].resource.requester"
        ]
    );
}

#[test]
fn what_the_contract_refuses_is_told_in_the_messages_elements() {
    let message = changed(|message| {
        resource(message, "ServiceRequest")["category"][0]["coding"][0]["code"] = json!("in_need");
        resource(message, "Patient")["identifier"][0]["value"] = json!("1234567890");
        resource(message, "Patient")["birthDate"] = json!("2019-02-30");
    });
    let translated = translated(&message).ok().unwrap();
    let invalid = read::submission(&sender(), IdempotencyKey::from_bytes([1; 16]), received(), &translated.content).unwrap_err();
    let issues = issues_of(&translated.in_the_forms_words(invalid));
    let at: Vec<&str> = issues.iter().map(|issue| issue.at.as_str()).collect();
    assert_eq!(at, ["Bundle.entry[3].resource.birthDate", "Bundle.entry[3].resource.identifier"]);
    assert!(!self::refused_text(&issues).contains("1234567890"));
}

fn refused_text(issues: &[Issue]) -> String {
    answer::refused(Format::Json, issues) + &answer::refused(Format::Xml, issues)
}

fn hostile(format: Format, text: &str) -> String {
    let issues = translate(format, text.as_bytes(), &sender(), received()).err().unwrap_or_default();
    let first = issues.first().unwrap_or_else(|| panic!("it was taken"));
    assert_eq!(first.wrong, Wrong::Structure, "{issues:?}");
    first.because.clone()
}

#[test]
fn hostile_json_is_refused() {
    let deep = |depth: usize| format!("{{\"resourceType\":\"Bundle\",\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(hostile(Format::Json, &deep(40)).contains("deeper"));
    assert!(hostile(Format::Json, &deep(100_000)).contains("deeper"));
    let deep = format!("{}1{}", "{\"a\":".repeat(50), "}".repeat(50));
    assert!(hostile(Format::Json, &deep).contains("deeper"));
    assert!(hostile(Format::Json, "{\"resourceType\":\"Bundle\",\"type\":\"message\",\"type\":\"batch\"}").contains("twice"));
    let many = format!("{{\"resourceType\":\"Bundle\",\"a\":[{}1]}}", "1,".repeat(30_000));
    assert!(hostile(Format::Json, &many).contains("more elements"));
    let long = format!("{{\"resourceType\":\"Bundle\",\"{}\":[1,1]}}", "a".repeat(65));
    assert!(hostile(Format::Json, &long).contains("longer"));
    for broken in ["", "null", "[]", "\"Bundle\"", "{\"resourceType\":\"Bundle\"", "{}{}", "{\"resourceType\":7}"] {
        hostile(Format::Json, broken);
    }
}

#[test]
fn hostile_xml_is_refused() {
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE Bundle [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Bundle xmlns=\"http://hl7.org/fhir\"/>";
    assert!(hostile(Format::Xml, bomb).contains("DTD"));
    let outside = "<!DOCTYPE Bundle SYSTEM \"file:///etc/passwd\"><Bundle xmlns=\"http://hl7.org/fhir\"/>";
    assert!(hostile(Format::Xml, outside).contains("DTD"));
    assert!(hostile(Format::Xml, "<Bundle xmlns=\"http://hl7.org/fhir\"><id value=\"&xxe;\"/></Bundle>").contains("entity"));
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    assert!(hostile(Format::Xml, &deep).contains("deeper"));
    let deep = format!("<a><div>{}{}</div></a>", "<b>".repeat(100_000), "</b>".repeat(100_000));
    assert!(hostile(Format::Xml, &deep).contains("deeper"));
    assert!(hostile(Format::Xml, &format!("<{}/>", "a".repeat(65))).contains("longer"));
    let two = "<Bundle xmlns=\"http://hl7.org/fhir\"><entry><resource><Patient/><Observation/></resource></entry></Bundle>";
    assert!(hostile(Format::Xml, two).contains("twice"));
    assert!(hostile(Format::Xml, "<Bundle xmlns=\"urn:other\"/>").contains("namespace"));
    assert!(hostile(Format::Xml, "<Bundle xmlns=\"http://hl7.org/fhir\"><?run it?></Bundle>").contains("instruction"));
    let many = format!("<Bundle xmlns=\"http://hl7.org/fhir\">{}</Bundle>", "<a/>".repeat(30_000));
    assert!(hostile(Format::Xml, &many).contains("more elements"));
    for broken in [
        "",
        "<Bundle>",
        "</Bundle>",
        "<a></b>",
        "<a/><b/>",
        "text",
        "<Bundle xmlns=\"http://hl7.org/fhir\">text</Bundle>",
        "<a b='1' b='2'/>",
    ] {
        hostile(Format::Xml, broken);
    }
}

#[test]
fn words_of_a_narrative_stay_apart() {
    let text = "<Flag xmlns=\"http://hl7.org/fhir\"><text><div><td>Injury</td><td>none</td>line<br/>next</div></text></Flag>";
    let tree = tree::read(Format::Xml, text.as_bytes()).unwrap();
    let words: Vec<&str> = tree.see("text.div").unwrap().split_whitespace().collect();
    assert_eq!(words, ["Injury", "none", "line", "next"]);
}

#[test]
fn an_outcome_names_the_element_and_bars_code_in_both_forms() {
    let issue =
        Issue { wrong: Wrong::Required, at: "Bundle.entry[2].resource.category".to_owned(), because: "is <missing>".to_owned() };
    let json: Value = serde_json::from_str(&answer::refused(Format::Json, std::slice::from_ref(&issue))).unwrap();
    assert_eq!(json["resourceType"], "OperationOutcome");
    assert_eq!(json["issue"][0]["details"]["coding"][0]["code"], "REC_UNPROCESSABLE_ENTITY");
    assert_eq!(json["issue"][0]["expression"][0], "Bundle.entry[2].resource.category");
    let xml = answer::refused(Format::Xml, &[issue]);
    assert!(xml.contains("<OperationOutcome xmlns=\"http://hl7.org/fhir\"><issue><severity value=\"error\"/>"), "{xml}");
    assert!(xml.contains("is &lt;missing&gt;") && xml.contains("Nothing was stored"), "{xml}");
    let issue = |at: usize| Issue { wrong: Wrong::Value, at: format!("Bundle.entry[{at}]"), because: "is wrong".to_owned() };
    let many: Value = serde_json::from_str(&answer::refused(Format::Json, &(0..10_000).map(issue).collect::<Vec<_>>())).unwrap();
    let many = many["issue"].as_array().unwrap();
    assert!(many.len() == 101 && many[100]["diagnostics"].as_str().unwrap().starts_with("And 9900 more."));
}

#[test]
fn a_feedback_message_has_a_new_id_as_soon_as_there_is_something_new() {
    let entry = |position| common::ProgressEntry { position, ..common::ProgressEntry::default() };
    let status = |ladder: Vec<common::ProgressEntry>| common::ReferralStatus {
        referral_id: "0b7c4a53-6a0e-8a3e-9d5f-2f0d5f3f1a77".to_owned(),
        open: true,
        ladder,
        ..common::ReferralStatus::default()
    };
    let first = feedback(Format::Json, "message-1", &status(vec![entry(1)]), received());
    let again = feedback(Format::Json, "message-1", &status(vec![entry(1)]), received());
    let later = feedback(Format::Json, "message-1", &status(vec![entry(1), entry(2)]), received());
    assert_eq!((&first.request_id, &first.body), (&again.request_id, &again.body));
    assert_ne!(first.request_id, later.request_id);
    let bundle: Value = serde_json::from_str(&later.body).unwrap();
    let header = &bundle["entry"][0]["resource"];
    assert_eq!((&header["id"], &header["response"]["identifier"]), (&json!(later.request_id), &json!("message-1")));
    assert_eq!(header["eventCoding"]["code"], "servicerequest-response");
    let request = &bundle["entry"][1]["resource"];
    assert_eq!((&request["status"], request["note"].as_array().unwrap().len()), (&json!("active"), 2));
    assert!(
        feedback(Format::Xml, "message-1", &status(Vec::new()), received()).body.contains("<resource><MessageHeader><id value=")
    );
}
