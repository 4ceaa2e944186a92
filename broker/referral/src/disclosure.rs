//! What one recipient may read. There is no way to deliver a referral, only a `Disclosure`, and only a ruling
//! can make one.
//!
//! ```compile_fail
//! // A disclosure cannot be put together by hand: its fields are private and it has no constructor.
//! let forged = referral::disclosure::Disclosure { to: referral::Endpoint::parse("police.13").unwrap(), ..todo!() };
//! ```
//! ```compile_fail
//! // Nor can a ruling, which is the only thing that makes one.
//! let forged = referral::rules::Ruling { ..todo!() };
//! ```

use crate::case::DisagreementStage;
use crate::directory::Directory;
use crate::rules::explain::{Sentence, Withheld, explain};
use crate::rules::pack::{Extent, LawfulBasis};
use crate::rules::{ClockStart, PackId, Role, Ruling, Verdict, View};
use crate::submission::{Body, ChildStatus, Field, Item, Practitioner, Referral};
use crate::vocab::*;
use crate::{DeliveryId, Endpoint, Moment, ReferralId, Sealed};

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    /// A new referral.
    Referral,
    /// A changed one: it replaces what was delivered before, which stays on record.
    Amendment,
    /// What was delivered before was wrong: this replaces it, and the wrong version stays on record (RK-02).
    Correction,
    /// Whoever had agreed agrees no longer: what rests on that alone stops, and nothing is erased (TC-11).
    ConsentWithdrawn,
    /// The sender took it back.
    Withdrawal,
    /// A clock ran out.
    ClockBreached,
    /// Another authority offers it: accept or refuse. Until then it stays where it is.
    TransferOffer,
    /// An offered case was accepted: whoever is told this answers for it no longer.
    TransferAccepted,
    /// An offered case was refused, or could not be offered: it stays where it is.
    TransferRefused,
    /// The recipient has ended, and its successor answers for the child.
    PassedToSuccessor,
    /// An offered case was taken back before it was answered: nothing is asked of whoever is told this any more.
    TransferWithdrawn,
    /// The responsible authority asks a service to help.
    ReferredOn,
    /// A service that was to help could not be asked: a person has to.
    NotReferredOn,
    /// The authority lifted a condition.
    HandlingLifted,
    /// The referrer disagrees with what was decided.
    Disagreement,
}

impl Matter {
    /// What it says of the referral itself: who received it hears of every change (RK-02).
    pub fn has_content(self) -> bool {
        match self {
            Matter::Referral
            | Matter::Amendment
            | Matter::Correction
            | Matter::ConsentWithdrawn
            | Matter::TransferOffer
            | Matter::ReferredOn => true,
            Matter::Withdrawal
            | Matter::ClockBreached
            | Matter::TransferAccepted
            | Matter::TransferRefused
            | Matter::PassedToSuccessor
            | Matter::TransferWithdrawn
            | Matter::NotReferredOn
            | Matter::HandlingLifted
            | Matter::Disagreement => false,
        }
    }
}

/// One recipient's reading of a referral: what it may have, what is withheld and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Disclosure {
    delivery: DeliveryId,
    matter: Matter,
    referral: ReferralId,
    linked: Vec<ReferralId>,
    sender: Endpoint,
    received: Moment,
    level: Level,
    harm: HarmType,
    kind: EventKind,
    to: Endpoint,
    role: Role,
    items: Vec<DisclosedItem>,
    withheld: Vec<Withheld>,
    bases: Vec<LawfulBasis>,
    handling: Vec<HandlingFlag>,
    clocks: Vec<ClockStart>,
    flags: Vec<String>,
    sentences: Vec<Sentence>,
    pack: Option<PackId>,
    remark: Option<Remark>,
    status: Option<ChildStatus>,
    replaces: Option<DeliveryId>,
}

/// An item, or what may be given of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DisclosedItem {
    /// Its category.
    pub category: Category,
    /// Whom it is about.
    pub subject: Subject,
    /// How the sender knows.
    pub knowledge: Knowledge,
    /// Whole, or the minimum.
    pub extent: Extent,
    /// Conditions, inherited by every copy (HR-02).
    pub handling: Vec<HandlingFlag>,
    /// What it says.
    pub body: Body,
}

impl Disclosure {
    /// What `view` of `ruling` allows of `referral`. Callable in the core only: the view and the ruling belong
    /// together here.
    pub(crate) fn under(
        ruling: &Ruling,
        view: &View,
        referral: &Referral,
        delivery: DeliveryId,
        matter: Matter,
        directory: &Directory,
    ) -> Disclosure {
        let item_of =
            |verdict: &Verdict| referral.items.get(usize::from(verdict.item)).and_then(|item| given(item, verdict.given));
        let items = view.verdicts().iter().filter_map(item_of).collect();
        Disclosure {
            delivery,
            matter,
            referral: referral.id,
            linked: if view.role() == Role::Responsible { referral.linked.clone() } else { Vec::new() },
            sender: referral.sender.clone(),
            received: referral.received,
            level: referral.level,
            harm: referral.harm,
            kind: referral.kind,
            to: view.to().clone(),
            role: view.role(),
            items,
            withheld: view.withheld(),
            bases: view.bases().to_vec(),
            handling: referral.handling.clone(),
            clocks: if view.role() == Role::Responsible { ruling.clocks().to_vec() } else { Vec::new() },
            flags: if view.role() == Role::Responsible { ruling.flags().map(str::to_owned).collect() } else { Vec::new() },
            sentences: explain(ruling, Some(view), directory),
            pack: ruling.pack().cloned(),
            remark: None,
            status: None,
            replaces: None,
        }
    }

    /// In place of what `before` brought to the same recipient.
    pub(crate) fn replacing(self, before: Option<DeliveryId>) -> Disclosure {
        Disclosure { replaces: before, ..self }
    }

    /// With what a named person wrote to whoever receives it.
    pub(crate) fn with_remark(self, remark: Remark) -> Disclosure {
        Disclosure { remark: Some(remark), ..self }
    }

    /// With how the child stands with the authority that hands it on.
    pub(crate) fn with_status(self, status: Option<ChildStatus>) -> Disclosure {
        Disclosure { status, ..self }
    }

    /// The delivery's id, the same at every repeat.
    pub fn delivery(&self) -> DeliveryId {
        self.delivery
    }
    /// What it is about.
    pub fn matter(&self) -> Matter {
        self.matter
    }
    /// The referral.
    pub fn referral(&self) -> ReferralId {
        self.referral
    }
    /// The other children's referrals; the responsible authority only.
    pub fn linked(&self) -> &[ReferralId] {
        &self.linked
    }
    /// Who sent it.
    pub fn sender(&self) -> &Endpoint {
        &self.sender
    }
    /// When it was received.
    pub fn received(&self) -> Moment {
        self.received
    }
    /// How serious the sender says it is.
    pub fn level(&self) -> Level {
        self.level
    }
    /// What harm.
    pub fn harm(&self) -> HarmType {
        self.harm
    }
    /// What kind of message.
    pub fn kind(&self) -> EventKind {
        self.kind
    }
    /// To whom it goes.
    pub fn to(&self) -> &Endpoint {
        &self.to
    }
    /// In which role it receives.
    pub fn role(&self) -> Role {
        self.role
    }
    /// What it may read.
    pub fn items(&self) -> &[DisclosedItem] {
        &self.items
    }
    /// What it may not, and why.
    pub fn withheld(&self) -> &[Withheld] {
        &self.withheld
    }
    /// In which law it stands.
    pub fn bases(&self) -> &[LawfulBasis] {
        &self.bases
    }
    /// Conditions on the whole, inherited by every copy.
    pub fn handling(&self) -> &[HandlingFlag] {
        &self.handling
    }
    /// Clocks that run; the responsible authority only.
    pub fn clocks(&self) -> &[ClockStart] {
        &self.clocks
    }
    /// Alerts; the responsible authority only.
    pub fn flags(&self) -> &[String] {
        &self.flags
    }
    /// Why.
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }
    /// What a named person wrote to this recipient.
    pub fn remark(&self) -> Option<&Remark> {
        self.remark.as_ref()
    }
    /// How the child stands with the authority that hands it on.
    pub fn status(&self) -> Option<ChildStatus> {
        self.status
    }
    /// Which delivery to the same recipient it takes the place of (RK-02).
    pub fn replaces(&self) -> Option<DeliveryId> {
        self.replaces
    }
    /// Which rules ruled.
    pub fn pack(&self) -> Option<&PackId> {
        self.pack.as_ref()
    }
}

/// What of `item` may be given: all, its minimum, or nothing.
fn given(item: &Item, extent: Extent) -> Option<DisclosedItem> {
    let body = match extent {
        Extent::Whole => item.body.clone(),
        Extent::Minimum => minimum(item)?,
        Extent::Nothing | Extent::Review => return None,
    };
    let (category, subject, knowledge) = (item.category, item.subject, item.knowledge);
    Some(DisclosedItem { category, subject, knowledge, extent, handling: item.handling.clone(), body })
}

/// The minimum of an item: the fields that its category defines, else the sender's own summary.
pub(crate) fn minimum(item: &Item) -> Option<Body> {
    let fields: Vec<Field> = match &item.body {
        Body::Fields(fields) => {
            fields.iter().filter(|field| item.category.minimum_fields().contains(&field.name.as_str())).cloned().collect()
        }
        Body::Text(_) | Body::Attachment { .. } => Vec::new(),
    };
    let summary: Option<&Sealed<String>> = item.summary.as_ref();
    match (fields.is_empty(), summary) {
        (false, _) => Some(Body::Fields(fields)),
        (true, Some(summary)) => Some(Body::Text(summary.clone())),
        (true, None) => None,
    }
}

/// Something a recipient is told that holds nothing of the referral's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The delivery's id.
    pub delivery: DeliveryId,
    /// What it is about.
    pub matter: Matter,
    /// The referral.
    pub referral: ReferralId,
    /// To whom.
    pub to: Endpoint,
    /// In which role.
    pub role: Role,
    /// The sender of the referral.
    pub sender: Endpoint,
    /// When the referral was received.
    pub received: Moment,
    /// What happened, in a sentence without content.
    pub text: String,
    /// The clock, where one ran out.
    pub clock: Option<crate::rules::pack::ClockName>,
    /// What a named person wrote to this recipient.
    pub remark: Option<Remark>,
    /// The stage to which a disagreement has come.
    pub stage: Option<DisagreementStage>,
}

/// What a named person wrote to somebody who receives the referral.
#[derive(Clone, Debug, PartialEq)]
pub struct Remark {
    /// Who.
    pub by: Practitioner,
    /// What.
    pub text: Sealed<String>,
}
