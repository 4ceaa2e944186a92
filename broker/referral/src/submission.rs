//! What an agency submits, in the domain's words: children, places, agreement, and a list of information
//! items. Withholding works on items; free text is trusted with nothing.

use jiff::civil::Date;

use crate::identifiers::{Digest, GssCode, IdempotencyKey, Malformed, NhsNumber, Postcode, ReferralId, Upn, Uprn, Urn};
use crate::vocab::*;
use crate::{Endpoint, Moment, Sealed};

/// What one agency submitted at once: about one child or several.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Who submits, as its certificate says.
    pub sender: Endpoint,
    /// The sender's key; with the sender it gives the referral's id.
    pub key: IdempotencyKey,
    /// When it was received.
    pub received: Moment,
    /// The digest of the canonical content: tells a repeat from a change (DQ-01).
    pub digest: Digest,
    /// What kind of message.
    pub kind: EventKind,
    /// How serious the sender says it is.
    pub level: Level,
    /// What kind of harm.
    pub harm: HarmType,
    /// Where the harm happened.
    pub harm_place: HarmPlace,
    /// The first child.
    pub child: Child,
    /// Further children of the same submission, each determined apart (RA-27).
    pub further_children: Vec<Child>,
    /// Whether the family agrees.
    pub agreement: Agreement,
    /// What the sender recorded under s16LA.
    pub duty_decision: DutyDecision,
    /// Why the information is sent; needed where the level is information only (TC-05).
    pub purpose: Option<Sealed<String>>,
    /// To whom the sender would send it: advice, not an instruction (RA-26).
    pub addressed_to: Option<Endpoint>,
    /// Conditions on the whole.
    pub handling: Vec<HandlingFlag>,
    /// The practitioner who refers.
    pub referrer: Practitioner,
    /// The information.
    pub items: Vec<Item>,
    /// What else the rules ask about.
    pub circumstances: Circumstances,
}

/// What else the rules ask about a message. What nobody said is a value here too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circumstances {
    /// Another holder of parental responsibility refused what one agreed to (TC-07).
    pub other_holder_refused: bool,
    /// As what the reporter works (RA-16).
    pub reporter: Option<Reporter>,
    /// The person under suspicion reads what is sent back to the sender (DM-09).
    pub accused_controls_feedback: bool,
    /// Where the subject of an allegation works (RA-15).
    pub employer: Option<GssCode>,
    /// Earlier low-level reports about the child in 28 days (TC-08).
    pub contacts_in_28_days: u16,
    /// What the sender ticked as its lawful basis (LB-10).
    pub claimed_basis: Option<ClaimedBasis>,
    /// The sender believes that others report the same (DQ-01).
    pub possibly_related: bool,
    /// It came by telephone and is confirmed in writing here (CL-15).
    pub by_telephone: bool,
    /// The hub's own rating (CL-14).
    pub rating: Option<Rating>,
    /// When what is reported happened: the return, the taking into protection, the discovery.
    pub happened: Option<Moment>,
    /// When the referral was received that this message is about (CL-04).
    pub referral_received: Option<Moment>,
    /// When the school's next day begins (CL-09).
    pub next_school_day: Option<Moment>,
    /// What the authority decided.
    pub outcome: Option<Outcome>,
    /// To whom this answers: who had referred.
    pub reply_to: Option<Endpoint>,
    /// Whom the sender asks to be told as well: advice, like every address (RA-26).
    pub tell: Vec<Endpoint>,
}

/// A named person at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Practitioner {
    /// Full name.
    pub name: Sealed<String>,
    /// Role, such as designated safeguarding lead.
    pub role: Sealed<String>,
    /// A secure way to reach them; empty when not given.
    pub contact: Sealed<String>,
}

/// The child, and where the child is.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Who the child is.
    pub identity: Identity,
    /// Where the child lives, as an address.
    pub address: Option<Address>,
    /// Where the child is.
    pub places: Places,
    /// What else the rules ask about the child.
    pub circumstances: ChildCircumstances,
}

/// What else the rules ask about a child. What nobody said is a value here too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChildCircumstances {
    /// Looked after by an authority.
    pub looked_after: bool,
    /// Whether the child is a child is disputed: treated as one until assessed (RA-10).
    pub age_disputed: bool,
    /// The child has died (RK-05).
    pub deceased: bool,
    /// Disabled (RA-11: private fostering until 18).
    pub disabled: bool,
    /// Educated at home (RA-21).
    pub home_educated: bool,
    /// On a ward, and safe there for now (RA-01).
    pub inpatient: bool,
    /// Not yet moving about: any bruise is possible significant harm (TC-08).
    pub non_mobile: bool,
    /// The establishment where the child is registered, or which the child joins (RA-21, CL-13).
    pub school: Option<Urn>,
    /// How many days the child is meant to live with the carer (RA-11).
    pub arrangement_days: Option<u16>,
    /// What the carer is to the child.
    pub carer: Option<Carer>,
    /// What tracing the NHS number found (ID-01).
    pub trace: Option<TraceResult>,
}

/// Who the child is. What is missing is missing: nothing here blocks a referral at significant harm (ID-04).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// Given names.
    pub given_name: Option<Sealed<String>>,
    /// Family name.
    pub family_name: Option<Sealed<String>>,
    /// Other names by which the child is known.
    pub also_known_as: Option<Sealed<String>>,
    /// Born, expected, or about this old.
    pub age: Age,
    /// As recorded by the sender, in the sender's words.
    pub sex: Option<Sealed<String>>,
    /// NHS number, right or wrong.
    pub nhs_number: Option<Checked<NhsNumber>>,
    /// Unique pupil number, right or wrong.
    pub upn: Option<Checked<Upn>>,
    /// For an unborn child: the mother's NHS number (ID-05).
    pub mother_nhs_number: Option<Checked<NhsNumber>>,
}

/// What is known of a child's age.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Age {
    /// Date of birth.
    Born(Sealed<Date>),
    /// Expected date of delivery.
    Expected(Sealed<Date>),
    /// About so many years.
    About(u8),
    /// Not known.
    #[default]
    NotStated,
}

/// An identifier that was checked. A wrong one is kept as it came, flagged, and never stops a referral at
/// significant harm (ID-04).
#[derive(Clone, PartialEq)]
pub enum Checked<T> {
    /// It fits.
    Valid(T),
    /// It does not, and why.
    Invalid(Sealed<String>, Malformed),
}

impl<T> std::fmt::Debug for Checked<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Checked::Valid(_) => f.write_str("Valid[sealed]"),
            Checked::Invalid(_, why) => write!(f, "Invalid({})", why.because),
        }
    }
}

impl<T> Checked<T> {
    /// Checks `text` with `parse`.
    pub fn new(text: &str, parse: impl Fn(&str) -> Result<T, Malformed>) -> Self {
        match parse(text) {
            Ok(value) => Checked::Valid(value),
            Err(why) => Checked::Invalid(Sealed::from(text), why),
        }
    }

    fn valid(&self, as_str: impl Fn(&T) -> &str) -> Option<String> {
        match self {
            Checked::Valid(value) => Some(as_str(value).to_owned()),
            Checked::Invalid(..) => None,
        }
    }

    /// What was given, where that is wrong.
    fn as_given(&self) -> Option<String> {
        match self {
            Checked::Valid(_) => None,
            Checked::Invalid(raw, _) => Some(raw.open().clone()),
        }
    }

    /// Why it is wrong, if it is.
    pub fn fault(&self) -> Option<Malformed> {
        match self {
            Checked::Valid(_) => None,
            Checked::Invalid(_, why) => Some(*why),
        }
    }
}

/// An address. If `protected`, it is an item of category *protected address*, else *contact address*.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// The lines, as the sender wrote them.
    pub lines: Sealed<String>,
    /// Postcode.
    pub postcode: Option<Postcode>,
    /// Unique property reference number; it wins over the postcode.
    pub uprn: Option<Uprn>,
    /// Telephone.
    pub telephone: Option<Sealed<String>>,
    /// Somebody must not learn it (DM-03).
    pub protected: bool,
}

/// Which areas the child has to do with, as the sender knows them. A code may be a district's (RA-07).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// Where the child lives.
    pub home: Option<GssCode>,
    /// Where the child was found: school, hospital, the street.
    pub located: Option<GssCode>,
    /// The authority that placed a looked-after child.
    pub placing: Option<GssCode>,
    /// The authority that holds a child protection plan.
    pub plan_holder: Option<GssCode>,
    /// The authority with section 47 enquiries under way.
    pub enquiry: Option<GssCode>,
    /// The authority with an open case and an allocated worker (RA-22).
    pub open_case: Option<GssCode>,
    /// A second home, such as in shared care.
    pub other_home: Option<GssCode>,
}

/// One piece of information.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its category in the matrix.
    pub category: Category,
    /// Whom it is about.
    pub subject: Subject,
    /// How the sender knows.
    pub knowledge: Knowledge,
    /// Conditions on this item.
    pub handling: Vec<HandlingFlag>,
    /// Which child of the submission it is about: 0 the first, 1 the next; none means all of them.
    pub about_child: Option<u16>,
    /// What it says.
    pub body: Body,
    /// What the sender wrote for recipients who may have the minimum only. Without it, free text is withheld
    /// from them.
    pub summary: Option<Sealed<String>>,
}

/// What an item says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Free text.
    Text(Sealed<String>),
    /// Named fields; some of them are the category's minimum.
    Fields(Vec<Field>),
    /// Something the sender holds.
    Attachment {
        /// Where the recipient asks for it.
        reference: Sealed<String>,
        /// What it is.
        media_type: String,
        /// The digest of its bytes.
        digest: Digest,
    },
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// A name of our own, lower case, never a value.
    pub name: String,
    /// The value.
    pub value: Sealed<String>,
}

impl Category {
    /// Which fields of a structured item are its minimum: for identity, what is needed to recognise the child.
    pub fn minimum_fields(self) -> &'static [&'static str] {
        match self {
            Category::Identity => &["given_name", "family_name", "date_of_birth", "expected_delivery_date", "age"],
            Category::ContactAddress => &["telephone"],
            Category::ConsentRecord => &["agreement"],
            Category::AttendanceEvent => &["attended_at"],
            Category::MissingEpisode => &["missing_from", "returned_at"],
            Category::ProtectedAddress
            | Category::FamilyComposition
            | Category::UnrelatedSiblingRecord
            | Category::ConcernNarrative
            | Category::RiskLevel
            | Category::Outcome
            | Category::EducationRecord
            | Category::ChildHealth
            | Category::SexualHealth
            | Category::ParentHealth
            | Category::ThirdParty
            | Category::ReferrerIdentity
            | Category::CriminalOffence
            | Category::PoliceIntelligence
            | Category::DomesticAbuseDetail
            | Category::MaracInformation
            | Category::Mappa
            | Category::ImmigrationStatus
            | Category::AdoptionRecord
            | Category::AllegationAgainstProfessional
            | Category::ChildVoice
            | Category::SpecialCategoryOther
            | Category::LegalProceedings
            | Category::ClockStatus
            | Category::Unknown => &[],
        }
    }
}

/// One child's part of a submission: what the rules rule on and recipients receive views of.
#[derive(Clone, Debug, PartialEq)]
pub struct Referral {
    /// Its id.
    pub id: ReferralId,
    /// The other children's referrals of the same submission.
    pub linked: Vec<ReferralId>,
    /// Who sent it.
    pub sender: Endpoint,
    /// When it was received.
    pub received: Moment,
    /// The digest of the submission's content.
    pub digest: Digest,
    /// What kind of message.
    pub kind: EventKind,
    /// How serious.
    pub level: Level,
    /// What harm.
    pub harm: HarmType,
    /// Where the harm happened.
    pub harm_place: HarmPlace,
    /// What is known of the child's age.
    pub age: Age,
    /// Where the child is.
    pub places: Places,
    /// The postcode of the home, as evidence where no authority is stated.
    pub home_postcode: Option<Postcode>,
    /// The number of the property, as it was given.
    pub home_uprn: Option<Uprn>,
    /// Whether the family agrees.
    pub agreement: Agreement,
    /// What the sender recorded under s16LA.
    pub duty_decision: DutyDecision,
    /// A purpose was stated.
    pub purpose_stated: bool,
    /// Whether the identity given tells the child apart from others (ID-04).
    pub child_is_identified: bool,
    /// Identifiers that are wrong, by the names of their fields.
    pub identifier_faults: Vec<(&'static str, Malformed)>,
    /// To whom the sender would send it.
    pub addressed_to: Option<Endpoint>,
    /// Conditions on the whole.
    pub handling: Vec<HandlingFlag>,
    /// The information, the child's identity and address among it.
    pub items: Vec<Item>,
    /// What else the rules ask about the message.
    pub circumstances: Circumstances,
    /// What else the rules ask about the child.
    pub child: ChildCircumstances,
}

impl Submission {
    /// The id of the first child's referral.
    pub fn referral_id(&self) -> ReferralId {
        ReferralId::of(&self.sender, self.key)
    }

    /// One referral for each child, cross-linked (RA-27). An item about one child goes with that child only.
    pub fn split(&self) -> Vec<Referral> {
        self.split_as(self.referral_id())
    }

    /// The same as a new version of what was submitted before: the referrals keep their first ids, whatever
    /// key the amendment came under.
    pub fn split_as(&self, first: ReferralId) -> Vec<Referral> {
        let children: Vec<(u16, ReferralId, &Child)> = std::iter::once((0, first, &self.child))
            .chain(self.further_children.iter().zip(1u16..).map(|(child, nth)| (nth, first.of_further_child(nth), child)))
            .collect();
        children
            .iter()
            .map(|&(nth, id, child)| {
                let linked = children.iter().map(|&(_, other, _)| other).filter(|&other| other != id).collect();
                self.referral_of(nth, id, linked, child)
            })
            .collect()
    }

    fn referral_of(&self, nth: u16, id: ReferralId, linked: Vec<ReferralId>, child: &Child) -> Referral {
        let own = |item: &&Item| item.about_child.is_none_or(|about| about == nth);
        let items =
            child.items().into_iter().chain(std::iter::once(self.referrer.item())).chain(self.items.iter().filter(own).cloned());
        Referral {
            id,
            linked,
            sender: self.sender.clone(),
            received: self.received,
            digest: self.digest,
            kind: self.kind,
            level: self.level,
            harm: self.harm,
            harm_place: self.harm_place,
            age: child.identity.age.clone(),
            places: child.places.clone(),
            home_postcode: child.address.as_ref().and_then(|address| address.postcode.clone()),
            home_uprn: child.address.as_ref().and_then(|address| address.uprn.clone()),
            agreement: self.agreement,
            duty_decision: self.duty_decision,
            purpose_stated: self.purpose.is_some(),
            child_is_identified: child.identity.tells_apart(),
            identifier_faults: child.identity.faults(),
            addressed_to: self.addressed_to.clone(),
            handling: self.handling.clone(),
            items: items.collect(),
            circumstances: self.circumstances.clone(),
            child: child.circumstances.clone(),
        }
    }
}

impl Practitioner {
    fn item(&self) -> Item {
        let field = |name: &str, value: &Sealed<String>| Field { name: name.to_owned(), value: value.clone() };
        Item {
            category: Category::ReferrerIdentity,
            subject: Subject::Other,
            knowledge: Knowledge::Direct,
            handling: Vec::new(),
            about_child: None,
            body: Body::Fields(vec![field("name", &self.name), field("role", &self.role), field("contact", &self.contact)]),
            summary: None,
        }
    }
}

impl Identity {
    /// Whether a valid NHS number, or a name with an age, is there. A pupil number alone tells nobody outside the
    /// school who it is (ID-04).
    pub fn tells_apart(&self) -> bool {
        let valid =
            matches!(self.nhs_number, Some(Checked::Valid(_))) || matches!(self.mother_nhs_number, Some(Checked::Valid(_)));
        let named = self.family_name.is_some() && !matches!(self.age, Age::NotStated);
        valid || named
    }

    /// What is wrong with the identifiers given.
    pub fn faults(&self) -> Vec<(&'static str, Malformed)> {
        let nhs = |number: &Option<Checked<NhsNumber>>| number.as_ref().and_then(Checked::fault);
        let faults = [
            ("nhs_number", nhs(&self.nhs_number)),
            ("mother_nhs_number", nhs(&self.mother_nhs_number)),
            ("upn", self.upn.as_ref().and_then(Checked::fault)),
        ];
        faults.into_iter().filter_map(|(field, fault)| Some((field, fault?))).collect()
    }

    /// A wrong identifier is passed on as what it is, never as an identifier; one that belongs to somebody else is
    /// not passed on at all (ID-01, ID-04).
    fn fields(&self, trace: Option<TraceResult>) -> Vec<Field> {
        let text = |value: &Option<Sealed<String>>| value.as_ref().map(|value| value.open().clone());
        let is_own = trace != Some(TraceResult::Mismatch);
        let nhs = self.nhs_number.as_ref().filter(|_| is_own);
        let (born, expected, about) = match &self.age {
            Age::Born(date) => (Some(date.open().to_string()), None, None),
            Age::Expected(date) => (None, Some(date.open().to_string()), None),
            Age::About(years) => (None, None, Some(years.to_string())),
            Age::NotStated => (None, None, None),
        };
        [
            ("given_name", text(&self.given_name)),
            ("family_name", text(&self.family_name)),
            ("also_known_as", text(&self.also_known_as)),
            ("date_of_birth", born),
            ("expected_delivery_date", expected),
            ("age", about),
            ("sex", text(&self.sex)),
            ("nhs_number", nhs.and_then(|number| number.valid(NhsNumber::as_str))),
            ("nhs_number_not_valid", nhs.and_then(Checked::as_given)),
            ("upn", self.upn.as_ref().and_then(|upn| upn.valid(Upn::as_str))),
            ("upn_not_valid", self.upn.as_ref().and_then(Checked::as_given)),
            ("mother_nhs_number", self.mother_nhs_number.as_ref().and_then(|number| number.valid(NhsNumber::as_str))),
            ("mother_nhs_number_not_valid", self.mother_nhs_number.as_ref().and_then(Checked::as_given)),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| Field { name: name.to_owned(), value: Sealed::new(value) }))
        .collect()
    }
}

impl Child {
    /// The child's identity and address as items, so that one matrix rules them like everything else.
    fn items(&self) -> Vec<Item> {
        let item = |category, fields: Vec<Field>| Item {
            category,
            subject: Subject::Child,
            knowledge: Knowledge::Direct,
            handling: Vec::new(),
            about_child: None,
            body: Body::Fields(fields),
            summary: None,
        };
        let mut items = vec![item(Category::Identity, self.identity.fields(self.circumstances.trace))];
        if let Some(address) = &self.address {
            let category = if address.protected { Category::ProtectedAddress } else { Category::ContactAddress };
            items.push(item(category, address.fields()));
        }
        items
    }
}

impl Address {
    fn fields(&self) -> Vec<Field> {
        [
            ("address", Some(self.lines.open().clone())),
            ("postcode", self.postcode.as_ref().map(|postcode| postcode.as_str().to_owned())),
            ("uprn", self.uprn.as_ref().map(|uprn| uprn.as_str().to_owned())),
            ("telephone", self.telephone.as_ref().map(|telephone| telephone.open().clone())),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| Field { name: name.to_owned(), value: Sealed::new(value) }))
        .collect()
    }
}

/// One message off the intake, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Who sent it, as its certificate said at the door.
    pub from: Endpoint,
    /// When the door received it.
    pub received: Moment,
    /// What it is.
    pub what: What,
}

/// What can arrive.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An agency submits.
    Submitted(Box<Submission>),
    /// The sender changes what it submitted earlier.
    Amended {
        /// The referral that is changed.
        referral: ReferralId,
        /// The whole as it now stands, under a key of its own.
        submission: Box<Submission>,
    },
    /// The sender takes it back. Recipients are told; nothing is erased.
    Withdrawn {
        /// The referral.
        referral: ReferralId,
        /// Who takes it back.
        by: Practitioner,
        /// Why.
        reason: Sealed<String>,
    },
    /// A front door answers.
    Answered {
        /// The referral.
        referral: ReferralId,
        /// The answer.
        answer: FrontDoorAnswer,
    },
    /// Whoever had agreed agrees no longer (TC-11).
    ConsentWithdrawn {
        /// The referral.
        referral: ReferralId,
        /// What the sender says of it.
        withdrawal: ConsentWithdrawal,
    },
    /// The sender disagrees with what was decided, or with nothing being decided (FB-03).
    Disagreed {
        /// The referral.
        referral: ReferralId,
        /// What it says.
        disagreement: Disagreement,
    },
}

impl What {
    /// The referral that it is about; of a submission, the first child's.
    pub fn referral(&self) -> ReferralId {
        match self {
            What::Submitted(submission) => submission.referral_id(),
            What::Amended { referral, .. }
            | What::Withdrawn { referral, .. }
            | What::Answered { referral, .. }
            | What::ConsentWithdrawn { referral, .. }
            | What::Disagreed { referral, .. } => *referral,
        }
    }
}

/// Agreement that was withdrawn (TC-11).
#[derive(Clone, Debug, PartialEq)]
pub struct ConsentWithdrawal {
    /// Who speaks, as its certificate says.
    pub from: Endpoint,
    /// The practitioner to whom it was said.
    pub by: Practitioner,
    /// Who withdrew it.
    pub holder: AgreementHolder,
    /// When, the London date.
    pub on: Date,
    /// Why, as far as they said: for those who received the referral.
    pub reason: Option<Sealed<String>>,
}

/// A professional disagreement (FB-03).
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// Who speaks, as its certificate says.
    pub from: Endpoint,
    /// The practitioner who disagrees.
    pub by: Practitioner,
    /// With what, and why.
    pub reason: Sealed<String>,
    /// The child is not safe now: it goes past the ladder, to whoever is on duty.
    pub is_immediate_danger: bool,
}

/// A named person's answer from a front door.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontDoorAnswer {
    /// Who answers, as its certificate says.
    pub from: Endpoint,
    /// Which delivery is answered.
    pub delivery: crate::DeliveryId,
    /// The digest of what was received, so that an answer is to what was sent and to nothing else.
    pub digest: Digest,
    /// The person who answers.
    pub by: Practitioner,
    /// What they say.
    pub says: Says,
}

/// What a front door says.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// The system at the front door has taken the delivery off its queue. No person has read it yet.
    Collected,
    /// We have it, and I am reading it.
    Acknowledged,
    /// This is what we decided, and why.
    Decided {
        /// The typed outcome.
        outcome: Outcome,
        /// The reason, written for the referrer.
        reason: Sealed<String>,
    },
    /// This is what we need to know from you. Nothing waits for it.
    AskedForMore {
        /// The question, written for the referrer.
        question: Sealed<String>,
    },
    /// Another area should take this over. It stays ours until that area accepts (RA-02, RA-05).
    TransferOffered {
        /// The area; a district's code will do (RA-07).
        to: GssCode,
        /// Why, written for that authority.
        reason: Sealed<String>,
    },
    /// We take over what was offered to us.
    TransferAccepted,
    /// We do not take over what was offered to us.
    TransferRefused {
        /// Why, written for the authority that offered it.
        reason: Sealed<String>,
    },
    /// We take back what we offered to another area: it stays ours.
    TransferWithdrawn {
        /// Why, written for the authority to which it was offered.
        reason: Sealed<String>,
    },
    /// A strategy discussion was held.
    StrategyDiscussionHeld {
        /// The London date.
        held: Date,
        /// Section 47 enquiries were started (CL-03).
        enquiries_started: bool,
    },
    /// How the child stands with us. Kept with the case.
    StatusRecorded(ChildStatus),
    /// A service shall help too.
    ReferredOn {
        /// Its endpoint.
        to: Endpoint,
        /// Why, written for the service.
        reason: Sealed<String>,
    },
    /// A condition need not be kept any longer (HR-04).
    HandlingLifted {
        /// Which.
        condition: HandlingFlag,
        /// Why, for the record and for those who kept it.
        reason: Sealed<String>,
    },
}

impl Says {
    /// The referral itself is needed to carry it out: somebody else is to read it, each what it may have.
    pub fn hands_it_on(&self) -> bool {
        match self {
            Says::TransferOffered { .. } | Says::TransferAccepted | Says::ReferredOn { .. } => true,
            Says::Collected
            | Says::Acknowledged
            | Says::Decided { .. }
            | Says::AskedForMore { .. }
            | Says::TransferRefused { .. }
            | Says::TransferWithdrawn { .. }
            | Says::StrategyDiscussionHeld { .. }
            | Says::StatusRecorded(_)
            | Says::HandlingLifted { .. } => false,
        }
    }
}

/// How a child stands with an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChildStatus {
    /// The child has a child protection plan.
    pub child_protection_plan: bool,
    /// The child is looked after.
    pub looked_after: bool,
}
