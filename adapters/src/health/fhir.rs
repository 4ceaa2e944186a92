//! FHIR R4 messages in the shape of the NHS booking and referral standard (BaRS), put into the contract's words.
//! Pure. No conformance is claimed: no profile of BaRS for safeguarding is published.
//!
//! A message is a Bundle: a MessageHeader, the ServiceRequest that it is about, the child, and whatever else. Its
//! level, harm and places are said in codings of this contract (`urn:safeguarding:...`); nothing is guessed from a
//! priority. What no rule of this mapping reads is kept word for word, with the category of its resource, or as
//! unknown, which nobody is given until a person has looked (DM-15). Only ids, versions, tags, profiles, resolved
//! references and narratives that were generated from the resource itself stay behind.

mod answer;
mod tree;

use std::collections::BTreeMap;

use jiff::civil::Date;
use proto::read::{Invalid, Violation};
use proto::wire::common::v1 as common;
use proto::wire::common::v1::identity::Age;
use proto::wire::common::v1::{
    Agreement, Category, DutyDecision, EventKind, HandlingFlag, HarmPlace, HarmType, Knowledge, Level, Subject, TraceResult,
};
use proto::wire::health::v1 as wire;
use referral::identifiers::{GssCode, OdsCode};
use referral::time::london_date;
use referral::{Endpoint, Moment};

pub use answer::{Feedback, accepted, feedback, refused};
use tree::Element;
pub use tree::Format;

use crate::form::{Kept, Translated, Writing};

/// What begins the names of this contract's own code systems.
const OURS: &str = "urn:safeguarding:";
const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
const ODS: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
/// LOINC for the estimated date of delivery.
const DELIVERY_DATE: &str = "11778-8";
/// How long a date is that says the day.
const WHOLE_DATE: usize = 10;
/// An adult is eighteen.
const ADULT_YEARS: i64 = 18;

/// What kind of thing is wrong: a code of FHIR's and one of BaRS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It cannot be read.
    Structure,
    /// It is another version than R4, or asks for what is not done here.
    NotSupported,
    /// An element is missing.
    Required,
    /// An element says what it may not.
    Value,
    /// It is not for children's services.
    Elsewhere,
    /// It speaks for somebody else.
    Forbidden,
}

/// Something that is wrong with a message: where, and what; never what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Of what kind.
    pub wrong: Wrong,
    /// The element's path.
    pub at: String,
    /// What is wrong with it, to be read after the path.
    pub because: String,
}

/// The issues behind faults of the submission, told in the message's elements.
pub fn issues_of(invalid: &Invalid) -> Vec<Issue> {
    let issue = |Violation { field, rule, because }: &Violation| Issue {
        wrong: if *rule == "required" { Wrong::Required } else { Wrong::Value },
        at: field.clone(),
        because: format!("{because} [{rule}]"),
    };
    invalid.0.iter().map(issue).collect()
}

/// Which form a media type names. A version in it is R4's or refused.
pub fn format_of(media_type: &str) -> Result<Format, Issue> {
    let mut parts = media_type.split(';').map(str::trim);
    let refuse = |because: &str| Issue { wrong: Wrong::NotSupported, at: "media_type".to_owned(), because: because.to_owned() };
    let format = match parts.next().map(str::to_ascii_lowercase).as_deref() {
        Some("application/fhir+json") => Format::Json,
        Some("application/fhir+xml") => Format::Xml,
        Some(_) | None => return Err(refuse("is neither application/fhir+json nor application/fhir+xml")),
    };
    for parameter in parts {
        if let Some((name, version)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("fhirVersion")
            && !version.trim().trim_matches('"').starts_with("4.0")
        {
            return Err(refuse("names another version of FHIR: send R4, fhirVersion=4.0"));
        }
    }
    Ok(format)
}

/// What is wrong with a request for feedback.
pub fn faults_of_feedback(request: &wire::GetFhirFeedbackRequest) -> Vec<Violation> {
    let fault = |field: &str, because: &str| Violation { field: field.to_owned(), rule: "form", because: because.to_owned() };
    let is_id = |text: &str| {
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    let mut faults = Vec::new();
    for (field, text) in [("message_id", &request.message_id), ("correlation_id", &request.correlation_id)] {
        if !is_id(text) {
            faults.push(fault(field, "is not an id as FHIR writes one: 1 to 64 letters, digits, hyphens and full stops"));
        }
    }
    faults.extend(format_of(&request.media_type).err().map(|issue| fault("media_type", &issue.because)));
    faults
}

/// Reads and translates a message that `sender` sent.
pub fn translate(format: Format, bytes: &[u8], sender: &Endpoint, received: Moment) -> Result<Translated, Vec<Issue>> {
    let bundle = tree::read(format, bytes).map_err(|fault| {
        let at = if fault.at.is_empty() { "Bundle".to_owned() } else { fault.at };
        vec![Issue { wrong: Wrong::Structure, at, because: fault.because.to_owned() }]
    })?;
    let entries = opened(&bundle)?;
    let mut message = Message { bundle: &bundle, entries: &entries, issues: Vec::new() };
    message.references();
    let translated = message.translate(sender, received);
    match (translated, message.issues.is_empty()) {
        (Some(translated), true) => Ok(translated),
        (Some(_) | None, _) => Err(message.issues),
    }
}

/// A resource of the message.
struct Entry<'a> {
    /// Its path.
    path: String,
    /// By what others refer to it.
    names: Vec<String>,
    kind: &'a str,
    resource: &'a Element,
}

/// Opens the envelope: what is no message in R4 is named, and goes no further.
fn opened(bundle: &Element) -> Result<Vec<Entry<'_>>, Vec<Issue>> {
    let refuse = |wrong, at: &str, because: &str| Err(vec![Issue { wrong, at: at.to_owned(), because: because.to_owned() }]);
    if bundle.resource.as_deref() != Some("Bundle") {
        return refuse(Wrong::Structure, "Bundle", "is missing: the resource is another");
    }
    if bundle.take("type") != Some("message") {
        return refuse(Wrong::Value, "Bundle.type", "is not message");
    }
    // What is about this message as a message, and not about a child.
    for name in ["meta", "id", "timestamp", "identifier", "total", "link", "language"] {
        bundle.all(name).for_each(Element::take_all);
    }
    let mut entries = Vec::new();
    for (nth, entry) in bundle.all("entry").enumerate() {
        let path = format!("Bundle.entry[{nth}].resource");
        let found = entry.at("resource").and_then(|resource| Some((resource, resource.resource.as_deref()?)));
        let Some((resource, kind)) = found.filter(|_| entry.all("resource").count() == 1) else {
            return refuse(Wrong::Structure, &path, "is missing, is no resource, or is there twice");
        };
        entry.all("fullUrl").chain(entry.all("id")).chain(entry.all("link")).for_each(Element::take_all);
        let relative = resource.see("id").map(|id| format!("{kind}/{id}"));
        let names = entry.see("fullUrl").map(str::to_owned).into_iter().chain(relative).collect();
        entries.push(Entry { path, names, kind, resource });
    }
    let Some(header) = entries.first().filter(|entry| entry.kind == "MessageHeader") else {
        return refuse(Wrong::Structure, "Bundle.entry[0].resource", "is not the MessageHeader, with which a message begins");
    };
    // What only STU3 has: its header, and its profiles.
    let is_older = ["event", "timestamp", "receiver"].iter().any(|name| header.resource.at(name).is_some());
    let profiled = |entry: &Entry<'_>| {
        let mut profiles = entry.resource.all("meta").flat_map(|meta| meta.all("profile"));
        profiles.any(|profile| profile.value.as_deref().is_some_and(|url| url.contains("STU3") || url.contains("/CareConnect-")))
    };
    if is_older || entries.iter().any(profiled) {
        return refuse(Wrong::NotSupported, "Bundle", "is FHIR STU3: send R4 (4.0.1)");
    }
    let bound = std::iter::once(bundle).chain(entries.iter().map(|entry| entry.resource));
    if bound.into_iter().any(|resource| resource.at("implicitRules").is_some()) {
        return refuse(
            Wrong::NotSupported,
            "Bundle",
            "binds its reader to implicitRules that are not known here: send it without",
        );
    }
    Ok(entries)
}

struct Message<'a> {
    bundle: &'a Element,
    entries: &'a [Entry<'a>],
    issues: Vec<Issue>,
}

impl<'a> Message<'a> {
    fn refuse(&mut self, wrong: Wrong, at: String, because: &str) {
        self.issues.push(Issue { wrong, at, because: because.to_owned() });
    }

    /// Every reference into the message leads somewhere, letter by letter: FHIR tells capitals from small letters.
    fn references(&mut self) {
        let mut lost = Vec::new();
        for entry in self.entries {
            each_element(entry.resource, &entry.path, &mut |element, path| {
                let Some(reference) = element.value.as_deref().filter(|_| element.name == "reference") else { return };
                if self.entries.iter().any(|other| other.names.iter().any(|name| name == reference)) {
                    element.take_all();
                } else if self.entries.iter().any(|other| other.names.iter().any(|name| name.eq_ignore_ascii_case(reference))) {
                    lost.push((path.to_owned(), "differs in its capitals from what it refers to: write both alike"));
                } else if let Some(id) = reference.strip_prefix('#') {
                    if entry.resource.all("contained").any(|contained| contained.see("id") == Some(id)) {
                        element.take_all();
                    } else {
                        lost.push((path.to_owned(), "refers to nothing that its resource contains"));
                    }
                } else if reference.starts_with("urn:") {
                    lost.push((path.to_owned(), "refers to nothing in the message"));
                }
            });
        }
        lost.into_iter().for_each(|(at, because)| self.refuse(Wrong::Value, at, because));
    }

    fn find(&self, reference: Option<&str>) -> Option<&'a Entry<'a>> {
        let reference = reference?;
        self.entries.iter().find(|entry| entry.names.iter().any(|name| name == reference))
    }

    fn translate(&mut self, sender: &Endpoint, received: Moment) -> Option<Translated> {
        let header = self.entries.first()?;
        self.event(header);
        let requests: Vec<&Entry<'_>> = self.entries.iter().filter(|entry| entry.kind == "ServiceRequest").collect();
        let request = match requests.as_slice() {
            [request] => *request,
            [] => {
                self.refuse(Wrong::Required, "Bundle.entry.resource".to_owned(), "has no ServiceRequest among its resources");
                return None;
            }
            [_, second, ..] => {
                self.refuse(Wrong::Value, second.path.clone(), "is a second ServiceRequest: send one message for each child");
                return None;
            }
        };
        if self.find(header.resource.see("focus.reference")).is_none_or(|focus| focus.path != request.path) {
            self.refuse(Wrong::Required, format!("{}.focus", header.path), "does not name the ServiceRequest");
        }
        let subject = self.find(request.resource.see("subject.reference")).filter(|entry| entry.kind == "Patient");
        let Some(patient) = subject else {
            self.refuse(Wrong::Required, format!("{}.subject", request.path), "does not name a Patient of the message");
            return None;
        };
        self.names_itself(header, sender);
        self.is_for_a_child(request, patient, received);
        self.submission(header, request, patient, received)
    }

    fn event(&mut self, header: &Entry<'_>) {
        let at = |name: &str| format!("{}.{name}", header.path);
        match header.resource.take("eventCoding.code") {
            Some("servicerequest-request") => (),
            Some(_) => self.refuse(Wrong::NotSupported, at("eventCoding.code"), "is not servicerequest-request"),
            None => self.refuse(Wrong::Required, at("eventCoding.code"), "is missing"),
        }
        header.resource.all("eventCoding").for_each(Element::take_all);
        match header.resource.take("reason.coding.code") {
            Some("new") | None => header.resource.all("reason").for_each(Element::take_all),
            Some(_) => {
                let because = "is not new: change or take back what was sent with Amend and Withdraw of ReferralService";
                self.refuse(Wrong::NotSupported, at("reason.coding.code"), because);
            }
        }
    }

    /// A message names the organisation of its certificate, or none.
    fn names_itself(&mut self, header: &Entry<'_>, sender: &Endpoint) {
        let Some(organisation) = self.find(header.resource.see("sender.reference")) else { return };
        let named = identifier(organisation.resource, ODS).and_then(|identifier| identifier.see("value"));
        if let Some(Ok(ods)) = named.map(OdsCode::parse)
            && Endpoint::Nhs(ods) != *sender
        {
            let at = format!("{}.identifier", organisation.path);
            self.refuse(Wrong::Forbidden, at, "is another organisation than your certificate's; you speak for yourself only");
        }
    }

    /// What is flagged as an adult's is told where to go. Only a flag on the subject counts, and none on a child.
    fn is_for_a_child(&mut self, request: &Entry<'_>, patient: &Entry<'_>, received: Moment) {
        let born = patient.resource.see("birthDate").and_then(latest);
        let today = london_date(received);
        let is_child = born.is_some_and(|born| {
            // Nobody born on 29 February comes of age a day early.
            jiff::Span::new().try_years(ADULT_YEARS).and_then(|years| born.checked_add(years)).is_ok_and(|grown| grown > today)
        });
        if is_child {
            return;
        }
        let is_about_patient = |entry: &&Entry<'_>| {
            let subject = entry.resource.see("subject.reference");
            entry.path == request.path
                || (entry.kind == "Flag" && subject.is_none_or(|name| patient.names.iter().any(|known| known == name)))
        };
        let flagged = self.entries.iter().filter(is_about_patient).find_map(|entry| {
            let concepts = entry.resource.all("code").chain(entry.resource.all("category"));
            concepts.into_iter().any(is_adult_safeguarding).then(|| entry.path.clone())
        });
        if let Some(path) = flagged {
            let home = place(patient.resource.all("address").next()).and_then(|gss| GssCode::parse(&gss).ok());
            let whom = match home {
                Some(gss) => format!("send it to adult.{gss}, adult safeguarding of the council where the adult lives"),
                None => "send it to adult safeguarding of the council where the adult lives".to_owned(),
            };
            let because = format!(
                "is about an adult (Care Act 2014 s42): {whom}. Nothing was stored. If children live there, refer them here too"
            );
            self.refuse(Wrong::Elsewhere, format!("{path}.code"), &because);
        }
    }

    fn submission(
        &mut self,
        header: &Entry<'_>,
        request: &Entry<'_>,
        patient: &Entry<'_>,
        received: Moment,
    ) -> Option<Translated> {
        let level = self.word(request, "level", |name| Level::from_str_name(&format!("LEVEL_{name}")).map(|level| level as i32));
        if level.is_none() {
            let because = "has no coding of urn:safeguarding:level: how serious it is, only a person says";
            self.refuse(Wrong::Required, format!("{}.category", request.path), because);
        }
        let harm =
            self.word(request, "harm", |name| HarmType::from_str_name(&format!("HARM_TYPE_{name}")).map(|harm| harm as i32));
        let duty = self.word(request, "duty-decision", |name| {
            DutyDecision::from_str_name(&format!("DUTY_DECISION_{name}")).map(|duty| duty as i32)
        });
        let is_unborn = self.word(request, "subject", |name| (name == "UNBORN").then_some(1)).is_some();
        let level = level.unwrap_or_default();
        let mut writing = Writing::new(level);
        writing.comes_from("content", "Bundle");
        for (canonical, origin) in [
            ("content.level", format!("{}.category", request.path)),
            ("content.harm", format!("{}.category", request.path)),
            ("content.purpose", format!("{}.reasonCode", request.path)),
            ("content.addressed_to", format!("{}.destination", header.path)),
            ("content.circumstances.tell", format!("{}.destination", header.path)),
            ("content.referrer", format!("{}.requester", request.path)),
            ("content.child", patient.path.clone()),
            ("content.child.identity.nhs_number", format!("{}.identifier", patient.path)),
            ("content.child.identity.mother_nhs_number", format!("{}.identifier", patient.path)),
            ("content.child.identity.date_of_birth", format!("{}.birthDate", patient.path)),
            ("content.child.address", format!("{}.address", patient.path)),
            ("content.child.address.postcode", format!("{}.address.postalCode", patient.path)),
            ("content.child.places.home", format!("{}.address.extension", patient.path)),
            ("content.child.places.located", format!("{}.locationCode", request.path)),
        ] {
            writing.comes_from(canonical, &origin);
        }
        writing.referrer = self.referrer(request);
        let child = self.child(&mut writing, request, patient, is_unborn, received);
        let agreement = self.agreement(patient);
        let purpose = request.resource.see("reasonCode.text").unwrap_or_default().to_owned();
        // The first destination is where the sender would send it, and whoever else is named should be told as well.
        let endpoints = header.resource.all("destination").filter_map(|destination| destination.see("endpoint"));
        let mut destinations = endpoints
            .filter_map(|endpoint| endpoint.strip_prefix(OURS))
            .filter(|text| Endpoint::parse(text).is_ok())
            .map(str::to_owned);
        let addressed_to = destinations.next().unwrap_or_default();
        let circumstances = common::Circumstances { tell: destinations.collect(), ..common::Circumstances::default() };
        self.conditions(&mut writing);
        for entry in self.entries {
            self.keep(&mut writing, entry, patient, is_unborn);
        }
        self.keep_the_envelope(&mut writing);
        Some(writing.done(common::Submission {
            kind: EventKind::Referral as i32,
            level,
            harm: harm.unwrap_or(HarmType::NotStated as i32),
            harm_place: HarmPlace::NotStated as i32,
            child: Some(child),
            agreement: agreement as i32,
            duty_decision: duty.unwrap_or(DutyDecision::NotRecorded as i32),
            purpose: if level == Level::Information as i32 { purpose } else { String::new() },
            addressed_to,
            circumstances: Some(circumstances),
            ..common::Submission::default()
        }))
    }

    /// The word that a coding of the contract's own says in the request's categories. One that is not known is
    /// refused: it was meant to say something.
    fn word(&mut self, request: &Entry<'_>, system: &str, read: impl Fn(&str) -> Option<i32>) -> Option<i32> {
        let mut wrong = false;
        let mut found = None;
        for coding in request.resource.all("category").flat_map(|category| category.all("coding")) {
            if coding.see("system").and_then(|named| named.strip_prefix(OURS)) == Some(system) {
                match coding.see("code").and_then(|code| read(&code.to_ascii_uppercase())) {
                    Some(word) if found.is_none_or(|known| known == word) => found = Some(word),
                    Some(_) | None => wrong = true,
                }
                // A display is somebody's own word for it: it is kept.
                coding.all("system").chain(coding.all("code")).for_each(Element::take_all);
            }
        }
        if wrong {
            let because = format!("has a code of {OURS}{system} that the contract does not know, or two that differ");
            self.refuse(Wrong::Value, format!("{}.category", request.path), &because);
        }
        found
    }

    fn referrer(&mut self, request: &Entry<'_>) -> Option<common::Practitioner> {
        let requester = self.find(request.resource.see("requester.reference"));
        let (person, role) = match requester {
            Some(role) if role.kind == "PractitionerRole" => {
                let person = self.find(role.resource.see("practitioner.reference"));
                let said = role.resource.see("code.text").or_else(|| role.resource.see("code.coding.display"));
                (person, said.unwrap_or_default().to_owned())
            }
            Some(person) if person.kind == "Practitioner" => {
                (Some(person), person.resource.see("qualification.code.text").unwrap_or_default().to_owned())
            }
            Some(_) | None => (None, String::new()),
        };
        let name = person.and_then(|person| person.resource.all("name").next()).map(human_name).unwrap_or_default();
        if name.is_empty() {
            let because = "does not lead to a Practitioner with a name: a person refers, not an organisation";
            self.refuse(Wrong::Required, format!("{}.requester", request.path), because);
            return None;
        }
        let contact = [person, requester].into_iter().flatten().find_map(|entry| entry.resource.see("telecom.value"));
        Some(common::Practitioner { name, role, contact: contact.unwrap_or_default().to_owned() })
    }

    fn child(
        &mut self,
        writing: &mut Writing,
        request: &Entry<'_>,
        patient: &Entry<'_>,
        is_unborn: bool,
        received: Moment,
    ) -> common::Child {
        let resource = patient.resource;
        let number = identifier(resource, NHS_NUMBER);
        let nhs_number = number.and_then(|number| number.take("value")).unwrap_or_default().to_owned();
        let origin = patient.path.as_str();
        // Of an unborn child the record is the mother's.
        let subject = if is_unborn { Subject::Parent } else { Subject::Child } as i32;
        let about = |category| Kept { origin, category, subject, about_child: Some(0), label: "" };
        let verified = number.and_then(|number| number.at("extension.valueCodeableConcept.coding.code"));
        let trace = match verified.and_then(|code| code.value.as_deref()) {
            Some("01" | "number-present-and-verified") => TraceResult::Matched,
            Some(_) => TraceResult::NotTraced,
            None => TraceResult::Unspecified,
        };
        let address = resource.all("address").next();
        let is_sensitive = is_restricted(resource);
        if is_sensitive {
            writing.condition(HandlingFlag::PdsSensitive as i32);
            writing.condition(HandlingFlag::AddressProtected as i32);
        }
        let located = request.resource.all("locationCode").flat_map(|code| code.all("coding")).find_map(gss_of);
        let places = common::Places {
            home: place(address).unwrap_or_default(),
            located: located.unwrap_or_default(),
            ..common::Places::default()
        };
        let identity = if is_unborn {
            common::Identity {
                age: self.expected_delivery().map(Age::ExpectedDeliveryDate),
                mother_nhs_number: nhs_number,
                ..common::Identity::default()
            }
        } else {
            let mut names = resource.all("name");
            let first = names.next();
            let taken = |name: &str| first.map(|first| joined(first, name, true)).unwrap_or_default();
            common::Identity {
                given_name: taken("given"),
                family_name: taken("family"),
                also_known_as: names.map(human_name).collect::<Vec<_>>().join("; "),
                age: resource.see("birthDate").map(|born| age(born, received)),
                sex: resource.take("gender").unwrap_or_default().to_owned(),
                nhs_number,
                ..common::Identity::default()
            }
        };
        // Of a date that is not whole the year counts, and what was written is kept as well.
        let born = resource.see("birthDate").filter(|born| !is_unborn && born.len() < WHOLE_DATE).unwrap_or_default().to_owned();
        if !is_unborn {
            resource.all("birthDate").for_each(Element::take_all);
        }
        let status = verified.and_then(|code| code.value.clone()).unwrap_or_default();
        number.into_iter().for_each(Element::take_all);
        let deceased = ["deceasedDateTime", "deceasedBoolean"].iter().find_map(|name| resource.take(name)).unwrap_or_default();
        let deceased_flag = !is_unborn && !deceased.is_empty() && deceased != "false";
        let values = [("nhs_number_status", status), ("deceased", deceased.to_owned()), ("date_of_birth_as_recorded", born)];
        writing.keep_fields(about(Category::Identity), Vec::new(), "", &values);
        let address_of_child = address.map(|address| self.address(resource, address, is_sensitive));
        let first_name = if is_unborn { None } else { resource.all("name").next() };
        for said in first_name.into_iter().chain(address) {
            // Which of several names or addresses it is matters where there are several: the first one counts.
            said.all("use").chain(said.all("type")).chain(said.all("extension")).for_each(Element::take_all);
        }
        resource.all("active").for_each(Element::take_all);
        // Where people can be reached is nobody's family composition: it is as protected as the record says. A second
        // address or number of the child's family, of a contact or of a relative is as good as the first.
        let related = self.entries.iter().filter(|entry| entry.kind == "RelatedPerson");
        let is_protected = is_sensitive || related.clone().any(|entry| is_restricted(entry.resource));
        let reached = if is_protected { Category::ProtectedAddress } else { Category::ContactAddress };
        let family = Subject::Parent as i32;
        for (whose, subject, origin) in std::iter::once((resource, subject, origin))
            .chain(resource.all("contact").map(|contact| (contact, family, origin)))
            .chain(related.map(|entry| (entry.resource, family, entry.path.as_str())))
        {
            let kept = Kept { origin, subject, ..about(reached) };
            shelve(writing, kept, whose.all("address").chain(whose.all("telecom")));
        }
        if !is_unborn {
            for (name, category) in
                [("name", Category::Identity), ("communication", Category::Identity), ("contact", Category::FamilyComposition)]
            {
                shelve(writing, about(category), resource.all(name));
            }
            let is_ethnicity = |extension: &&Element| extension.see("url").is_some_and(|url| url.ends_with("EthnicCategory"));
            shelve(writing, about(Category::SpecialCategoryOther), resource.all("extension").filter(is_ethnicity));
        }
        common::Child {
            identity: Some(identity),
            address: address_of_child,
            places: Some(places),
            circumstances: Some(common::ChildCircumstances {
                deceased: deceased_flag,
                trace: trace as i32,
                ..common::ChildCircumstances::default()
            }),
        }
    }

    fn address(&self, patient: &Element, address: &Element, protected: bool) -> common::Address {
        let lines: Vec<String> = ["text", "line", "city", "district"].iter().map(|name| joined(address, name, true)).collect();
        common::Address {
            lines: lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"),
            postcode: address.take("postalCode").unwrap_or_default().to_owned(),
            uprn: String::new(),
            telephone: patient.take("telecom.value").unwrap_or_default().to_owned(),
            protected,
        }
    }

    /// The date that an observation of the message says; of one that is not whole, the first day that it can mean, so that
    /// nobody comes too late. What was written stands with the observation.
    fn expected_delivery(&self) -> Option<String> {
        let mut observations = self.entries.iter().filter(|entry| entry.kind == "Observation");
        observations.find_map(|entry| {
            let is_date = entry
                .resource
                .all("code")
                .flat_map(|code| code.all("coding"))
                .any(|coding| coding.see("code") == Some(DELIVERY_DATE));
            let written = is_date.then(|| entry.resource.see("valueDateTime")).flatten()?;
            Some(match written.len() {
                4 => format!("{written}-01-01"),
                7 => format!("{written}-01"),
                // A moment of that day is that day.
                _ => written.chars().take(WHOLE_DATE).collect(),
            })
        })
    }

    /// What the consents about the patient say; where they differ, the one that agrees to least. One for research says
    /// nothing about a referral.
    fn agreement(&self, patient: &Entry<'_>) -> Agreement {
        let is_of_patient = |entry: &&Entry<'_>| {
            let is_research = entry.resource.see("scope.coding.code") == Some("research");
            entry.kind == "Consent" && !is_research && self.is_about(entry.resource, patient)
        };
        let said = |entry: &Entry<'_>| match (entry.resource.see("status"), entry.resource.see("provision.type")) {
            (Some("active"), Some("permit")) => Agreement::Given,
            (Some("active"), Some("deny")) | (Some("rejected"), _) => Agreement::Refused,
            (Some("draft" | "proposed"), _) => Agreement::Awaited,
            (Some(_) | None, _) => Agreement::NotStated,
        };
        let agrees_to_least = |said: &Agreement| match said {
            Agreement::Refused => 0,
            Agreement::Awaited => 1,
            Agreement::Given => 3,
            _ => 2,
        };
        self.entries.iter().filter(is_of_patient).map(said).min_by_key(agrees_to_least).unwrap_or(Agreement::NotStated)
    }

    /// Whether a resource is about the patient: it says nobody else.
    fn is_about(&self, resource: &Element, patient: &Entry<'_>) -> bool {
        let Some(named) = resource.at("subject").or_else(|| resource.at("patient")) else { return true };
        match (named.see("reference"), named.at("identifier")) {
            (Some(reference), _) => self.find(Some(reference)).is_some_and(|about| about.path == patient.path),
            (None, Some(by)) => patient.resource.all("identifier").any(|own| {
                (own.see("system"), own.see("value")) == (by.see("system"), by.see("value")) && own.see("value").is_some()
            }),
            (None, None) => false,
        }
    }

    /// Conditions in the contract's own words hold for the whole message, on whichever resource they stand.
    fn conditions(&mut self, writing: &mut Writing) {
        let mut unknown = Vec::new();
        each_element(self.bundle, "Bundle", &mut |element, path| {
            let is_ours = element.see("system").and_then(|system| system.strip_prefix(OURS)) == Some("handling");
            if element.name != "security" || !is_ours {
                return;
            }
            let name = element.see("code").unwrap_or_default().to_ascii_uppercase();
            match HandlingFlag::from_str_name(&format!("HANDLING_FLAG_{name}")) {
                Some(flag) => writing.condition(flag as i32),
                None => unknown.push(path.to_owned()),
            }
            element.take_all();
        });
        for at in unknown {
            self.refuse(Wrong::Value, at, "is a condition that the contract does not know, so nobody could obey it");
        }
    }

    /// What the envelope says besides is no resource's: a person looks at it first (DM-15).
    fn keep_the_envelope(&self, writing: &mut Writing) {
        let of_entries = self.bundle.all("entry").flat_map(|entry| entry.children.iter().filter(|said| said.name != "resource"));
        let others = self.bundle.children.iter().filter(|said| said.name != "entry").chain(of_entries);
        let kept =
            Kept { origin: "Bundle", category: Category::Unknown, subject: Subject::Other as i32, about_child: None, label: "" };
        shelve(writing, kept, others);
    }

    /// Keeps what has not been understood of a resource as one item.
    fn keep(&mut self, writing: &mut Writing, entry: &Entry<'_>, patient: &Entry<'_>, is_unborn: bool) {
        let resource = entry.resource;
        if resource.see("text.status") == Some("generated") {
            resource.all("text").for_each(Element::take_all);
        }
        resource.all("id").for_each(Element::take_all);
        for said in resource.all("meta").flat_map(|meta| &meta.children).filter(|said| said.name != "security") {
            said.take_all();
        }
        let is_about_patient = self.is_about(resource, patient);
        let Shelf { category, subject, label } = shelf(entry, patient, is_about_patient, is_unborn);
        let category = own_category(resource).unwrap_or(category);
        // The alert itself goes whatever it is labelled; of what stands beside it, a label that is not this contract's
        // means that a person looks first, for nobody here can obey it.
        let is_labelled = resource.all("meta").flat_map(|meta| meta.all("security")).any(|label| !label.is_taken());
        let category = match entry.kind {
            "Patient" if is_restricted(resource) => category,
            "ServiceRequest" | "MessageHeader" => category,
            _ if is_labelled => Category::Unknown,
            _ => category,
        };
        if entry.kind == "Patient" {
            let understood = resource.all("meta").flat_map(|meta| meta.all("security")).filter(|label| is_confidential(label));
            understood.for_each(Element::take_all);
        }
        if entry.kind == "Encounter"
            && let Some(since) = resource.take("period.start")
        {
            let kept = Kept {
                origin: &entry.path,
                category: Category::AttendanceEvent,
                subject: subject as i32,
                about_child: None,
                label: "",
            };
            writing.keep_fields(kept, Vec::new(), "", &[("attended_at", since.to_owned())]);
        }
        let mut lines = Vec::new();
        resource.children.iter().for_each(|element| left(element, &element.name, &mut lines));
        if lines.is_empty() {
            return;
        }
        writing.keep(
            &entry.path,
            common::InformationItem {
                category: category as i32,
                subject: subject as i32,
                knowledge: Knowledge::NotStated as i32,
                handling: Vec::new(),
                about_child: None,
                summary: String::new(),
                body: Some(common::information_item::Body::Text(format!("{label}\n{}", lines.join("\n")))),
            },
        );
    }
}

/// Keeps what is left of `elements` as one item, and nobody keeps it again.
fn shelve<'e>(writing: &mut Writing, kept: Kept<'_>, elements: impl Iterator<Item = &'e Element>) {
    let mut lines = Vec::new();
    for element in elements {
        left(element, &element.name, &mut lines);
        element.take_all();
    }
    if !lines.is_empty() {
        let text = common::information_item::Body::Text(lines.join("\n"));
        let item = common::InformationItem {
            category: kept.category as i32,
            subject: kept.subject,
            knowledge: Knowledge::NotStated as i32,
            about_child: kept.about_child,
            body: Some(text),
            ..common::InformationItem::default()
        };
        writing.keep(kept.origin, item);
    }
}

/// Where an item belongs.
struct Shelf {
    category: Category,
    subject: Subject,
    label: String,
}

fn shelf(entry: &Entry<'_>, patient: &Entry<'_>, is_about_patient: bool, is_unborn: bool) -> Shelf {
    let kind = entry.kind;
    // The patient of an unborn child is the mother.
    let clinical = match (is_about_patient, is_unborn) {
        (true, false) => (Category::ChildHealth, Subject::Child),
        (true, true) => (Category::ParentHealth, Subject::Parent),
        (false, _) => (Category::ThirdParty, Subject::Other),
    };
    let ((category, subject), standing) = match kind {
        "MessageHeader" | "Practitioner" | "PractitionerRole" | "Organization" | "HealthcareService" | "Endpoint" => {
            ((Category::ReferrerIdentity, Subject::Other), "")
        }
        "ServiceRequest" | "Location" => ((Category::ConcernNarrative, Subject::Child), ""),
        // Of the child's own record only what the mapping knows has a category; the mother's is the family's.
        "Patient" if entry.path == patient.path && !is_unborn => ((Category::Unknown, Subject::Child), ""),
        "Patient" | "RelatedPerson" => ((Category::FamilyComposition, Subject::Parent), ""),
        "Consent" => ((Category::ConsentRecord, Subject::Child), ""),
        "Flag" if is_about_patient => ((Category::RiskLevel, Subject::Child), ""),
        "Flag" => ((Category::ThirdParty, Subject::Other), ""),
        "Condition" if entry.resource.see("verificationStatus.coding.code") == Some("confirmed") => (clinical, " (fact)"),
        "Condition" | "ClinicalImpression" | "RiskAssessment" => (clinical, " (opinion)"),
        "Observation"
        | "Encounter"
        | "Procedure"
        | "AllergyIntolerance"
        | "DiagnosticReport"
        | "Immunization"
        | "MedicationStatement"
        | "BodyStructure" => (clinical, " (fact)"),
        "CarePlan" | "QuestionnaireResponse" | "Communication" | "DocumentReference" => (clinical, ""),
        // What kind of information this is, nobody has said: a person looks first (DM-15).
        _ => ((Category::Unknown, Subject::Child), ""),
    };
    Shelf { category, subject, label: format!("{kind}{standing}") }
}

/// A resource may say its category itself, as a tag in the contract's own words.
fn own_category(resource: &Element) -> Option<Category> {
    let mut tags = resource.all("meta").flat_map(|meta| meta.all("tag"));
    let tag = tags.find(|tag| tag.see("system").and_then(|system| system.strip_prefix(OURS)) == Some("category"))?;
    let name = tag.see("code").unwrap_or_default().to_ascii_uppercase();
    // A word that nobody knows is withheld from everybody.
    Some(
        Category::from_str_name(&format!("CATEGORY_{name}"))
            .filter(|known| *known != Category::Unspecified)
            .unwrap_or(Category::Unknown),
    )
}

/// What is left of an element, as lines.
fn left(element: &Element, path: &str, lines: &mut Vec<String>) {
    if let Some(value) = element.value.as_deref().filter(|_| !element.is_taken()) {
        lines.push(format!("{path}: {value}"));
    }
    if element.name == "coding" && element.children.iter().all(|child| child.children.is_empty() && !child.is_taken()) {
        let said: Vec<&str> =
            ["display", "code", "system", "version", "userSelected"].iter().filter_map(|name| element.see(name)).collect();
        let known = element.children.iter().filter(|child| child.value.is_some()).count();
        if said.len() == known && known > 0 {
            let path = path.strip_suffix(".coding").unwrap_or(path);
            return lines.push(format!("{path}: {}", said.join(", ")));
        }
    }
    for child in &element.children {
        left(child, &format!("{path}.{}", child.name), lines);
    }
}

fn each_element(element: &Element, path: &str, look: &mut impl FnMut(&Element, &str)) {
    look(element, path);
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for child in &element.children {
        counts.entry(&child.name).or_default().0 += 1;
    }
    for child in &element.children {
        let (all, before) = counts.entry(&child.name).or_default();
        let at = if *all > 1 { format!("{path}.{}[{before}]", child.name) } else { format!("{path}.{}", child.name) };
        *before += 1;
        each_element(child, &at, look);
    }
}

/// A record that must not be shown widely says so in HL7's words: restricted or very restricted.
fn is_restricted(resource: &Element) -> bool {
    resource.all("meta").flat_map(|meta| meta.all("security")).any(is_confidential)
}

fn is_confidential(label: &Element) -> bool {
    matches!(label.see("code"), Some("R" | "V"))
}

/// A date as FHIR writes one may be a year, or a year and a month.
fn latest(date: &str) -> Option<Date> {
    let whole = |day: &str| day.parse::<Date>().ok();
    match date.len() {
        4 => whole(&format!("{date}-12-31")),
        7 => whole(&format!("{date}-01")).map(Date::last_of_month),
        _ => whole(date),
    }
}

/// The age that a date of birth tells; of one that is not whole, about as many years.
fn age(born: &str, received: Moment) -> Age {
    match latest(born) {
        Some(day) if born.len() < WHOLE_DATE => {
            let years = i32::from(london_date(received).year()) - i32::from(day.year());
            Age::AboutYears(u32::try_from(years).unwrap_or_default())
        }
        // What is no date at all, the contract refuses in its own words.
        Some(_) | None => Age::DateOfBirth(born.to_owned()),
    }
}

fn identifier<'a>(resource: &'a Element, system: &str) -> Option<&'a Element> {
    resource.all("identifier").find(|identifier| identifier.see("system") == Some(system))
}

/// The area of an address, as an extension of the contract's own says it.
fn place(address: Option<&Element>) -> Option<String> {
    let mut extensions = address?.all("extension");
    let extension = extensions.find(|extension| extension.see("url").and_then(|url| url.strip_prefix(OURS)) == Some("gss"))?;
    extension.see("valueCode").or_else(|| extension.see("valueString")).map(str::to_owned)
}

fn gss_of(coding: &Element) -> Option<String> {
    let is_ours = coding.see("system").and_then(|system| system.strip_prefix(OURS)) == Some("gss");
    is_ours.then(|| coding.see("code").map(str::to_owned)).flatten()
}

fn is_adult_safeguarding(concept: &Element) -> bool {
    let words = |text: Option<&str>| {
        let text = text.unwrap_or_default().to_ascii_lowercase();
        text.contains("adult") && text.contains("safeguarding")
    };
    let is_said = |coding: &Element| {
        let is_ours = coding.see("system").and_then(|system| system.strip_prefix(OURS)) == Some("matter");
        (is_ours && coding.see("code") == Some("adult")) || words(coding.see("display"))
    };
    words(concept.see("text")) || concept.all("coding").any(is_said)
}

/// The values called `name`, one after the other; they thereby count as understood if `taken`.
fn joined(element: &Element, name: &str, taken: bool) -> String {
    let values = element.all(name).inspect(|found| {
        if taken {
            found.take_all();
        }
    });
    values.filter_map(|found| found.value.as_deref()).collect::<Vec<_>>().join(" ")
}

fn human_name(name: &Element) -> String {
    let text = joined(name, "text", false);
    if !text.is_empty() {
        return text;
    }
    let parts: Vec<String> = ["prefix", "given", "family"].iter().map(|part| joined(name, part, false)).collect();
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
