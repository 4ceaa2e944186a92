//! The rules: packs that were proved, the edition in force on a date, and the ruling on one referral.
//!
//! A ruling says who gets it and why, what each recipient is given of each item, in which law, which clocks
//! start, and what a person must still do. It is total: whatever the facts, there is a ruling. The pack names
//! the *kind* of authority; which organisation that is, on that date, is a look-up in the directory, and
//! unknown is a review, never a guess.

pub mod explain;
pub mod pack;
pub mod prove;
pub mod review;
pub mod table;

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::directory::Directory;
use crate::facts::{Addressed, Facts};
use crate::identifiers::GssCode;
use crate::submission::Referral;
use crate::time::{Calendar, Due, OpeningHours, london_date};
use crate::vocab::*;
use crate::{Digest, Endpoint};
use pack::{ClockEnd, ClockName, ClockSpec, Draft, Extent, Hold, LawfulBasis, NotifyTo, PackFault, PackKind, RouteTo, Tables};
use prove::ProofFailure;
use review::Lift;
use table::{Evidence, Reason, Row, RuleId, Situation, Table};

/// Which rules ruled: the names of the edition and its overlays, and the digest of their files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackId {
    /// Such as `WT2026/1+ISD-2026-09-30/1`.
    pub edition: String,
    /// The digest of the files.
    pub hash: Digest,
}

impl PackId {
    fn of(edition: &Draft, overlays: &[&Draft]) -> PackId {
        let all: Vec<&Draft> = std::iter::once(edition).chain(overlays.iter().copied()).collect();
        let names: Vec<String> = all.iter().map(|draft| format!("{}/{}", draft.edition, draft.version)).collect();
        let hashes: Vec<&[u8]> = all.iter().map(|draft| draft.hash.as_bytes().as_slice()).collect();
        PackId { edition: names.join("+"), hash: Digest::of(&hashes) }
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.edition)
    }
}

/// A pack that was proved. Only [`prove::prove`] makes one.
#[derive(Clone, Debug)]
pub struct RulePack {
    id: PackId,
    tables: Tables,
    /// The rows of the item tables by category, so that a cell looks at a handful of rows.
    share: ByCategory<Extent>,
    withhold: ByCategory<Extent>,
    basis: ByCategory<LawfulBasis>,
}

#[derive(Clone, Debug)]
struct ByCategory<Outcome>(Vec<Vec<Row<Outcome>>>);

impl<Outcome: Clone> ByCategory<Outcome> {
    fn of(table: &Table<Outcome>) -> Self {
        let speaks_of =
            |row: &&Row<Outcome>, category: Category| row.when.values(table::Column::Category) & (1 << category.ordinal()) != 0;
        ByCategory(
            Category::ALL
                .iter()
                .map(|&category| table.0.iter().filter(|row| speaks_of(row, category)).cloned().collect())
                .collect(),
        )
    }

    fn matching<'a>(&'a self, category: Category, situation: &'a Situation) -> impl Iterator<Item = &'a Row<Outcome>> {
        self.0.get(category.ordinal()).into_iter().flatten().filter(|row| row.when.holds(situation))
    }
}

impl RulePack {
    fn proved(id: PackId, tables: Tables) -> RulePack {
        let (share, withhold, basis) =
            (ByCategory::of(&tables.share), ByCategory::of(&tables.withhold), ByCategory::of(&tables.basis));
        RulePack { id, tables, share, withhold, basis }
    }

    /// Its name and digest.
    pub fn id(&self) -> &PackId {
        &self.id
    }

    /// Its tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }
}

/// Every edition with its overlays, ordered by the London date from which it rules.
#[derive(Clone, Debug)]
pub struct Library(Vec<(Date, Arc<RulePack>)>);

/// Why a set of packs was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryFault {
    /// A file could not be read as a pack.
    Unreadable {
        /// Which file.
        file: String,
        /// Its faults, with lines.
        faults: Vec<PackFault>,
    },
    /// What stands together from `from` on breaks a promise.
    Unproved {
        /// From which date.
        from: Date,
        /// What breaks.
        failures: Vec<ProofFailure>,
    },
    /// There is no edition at all.
    Empty,
}

impl fmt::Display for LibraryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LibraryFault::Unreadable { file, faults } => {
                write!(f, "rule pack {file} was refused:")?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
            LibraryFault::Unproved { from, failures } => {
                write!(f, "the rules in force from {from} break a promise:")?;
                failures.iter().try_for_each(|failure| write!(f, "\n  {failure}"))
            }
            LibraryFault::Empty => f.write_str("there is no edition among the rule packs"),
        }
    }
}

impl std::error::Error for LibraryFault {}

impl Library {
    /// Reads packs (name and text of each), lays overlays over editions, and proves what is in force on every
    /// date on which that changes.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Library, LibraryFault> {
        let mut drafts = Vec::new();
        for (file, text) in files {
            drafts.push(text.parse::<Draft>().map_err(|faults| LibraryFault::Unreadable { file: file.to_owned(), faults })?);
        }
        drafts.sort_by(|a, b| (a.effective_from, &a.edition).cmp(&(b.effective_from, &b.edition)));
        let mut dates: Vec<Date> = drafts.iter().map(|draft| draft.effective_from).collect();
        dates.dedup();
        let mut library = Vec::new();
        for from in dates {
            let in_force = || drafts.iter().filter(|draft| draft.effective_from <= from);
            let Some(edition) = in_force().rfind(|draft| draft.kind == PackKind::Edition) else { continue };
            // Which of two rules would be a guess.
            let rivals =
                in_force().filter(|draft| draft.kind == PackKind::Edition && draft.effective_from == edition.effective_from);
            let rivals: Vec<String> = rivals.map(|draft| format!("{}/{}", draft.edition, draft.version)).collect();
            if rivals.len() > 1 {
                let failure =
                    ProofFailure { property: "One edition rules from one date", situations: vec![rivals.join(" and ")] };
                return Err(LibraryFault::Unproved { from: edition.effective_from, failures: vec![failure] });
            }
            let overlays: Vec<&Draft> = in_force().filter(|draft| draft.kind == PackKind::Overlay).collect();
            let pack = prove::prove(edition, &overlays).map_err(|failures| LibraryFault::Unproved { from, failures })?;
            library.push((from, Arc::new(pack)));
        }
        if library.is_empty() { Err(LibraryFault::Empty) } else { Ok(Library(library)) }
    }

    /// The packs that come with the product.
    pub fn built_in() -> Result<Library, LibraryFault> {
        Library::parse([
            ("wt2026.toml", include_str!("../../../policies/packs/wt2026.toml")),
            ("isd-2026-09-30.toml", include_str!("../../../policies/packs/isd-2026-09-30.toml")),
        ])
    }

    /// The rules in force on `on`, a London date of receipt.
    pub fn in_force(&self, on: Date) -> Option<&Arc<RulePack>> {
        self.0.iter().rfind(|(from, _)| *from <= on).map(|(_, pack)| pack)
    }

    /// Every pack with the date from which it rules.
    pub fn packs(&self) -> impl Iterator<Item = (Date, &Arc<RulePack>)> {
        self.0.iter().map(|(from, pack)| (*from, pack))
    }
}

/// Everything a ruling stands on.
#[derive(Clone, Debug)]
pub struct Rulebook {
    /// The packs.
    pub library: Library,
    /// Who answers for which place.
    pub directory: Directory,
    /// Working days.
    pub calendar: Calendar,
}

/// What is to happen to a referral.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It goes to the responsible authority.
    Deliver {
        /// The responsible desk.
        to: Endpoint,
    },
    /// A person decides first.
    HoldForReview {
        /// Where it would go.
        intended: Option<Endpoint>,
    },
    /// It goes back to the sender.
    ReturnToSender,
    /// It is refused, and nothing of it is kept.
    Refuse,
}

/// In which role a recipient receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Responsible: it acknowledges and decides.
    Responsible,
    /// Told.
    Notified,
    /// It received an earlier version, so it receives the change.
    EarlierRecipient,
}

/// What one recipient is given of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The item's place in the referral.
    pub item: u16,
    /// Its category.
    pub category: Category,
    /// How much.
    pub given: Extent,
    /// The rules that decided; empty when no rule gives this recipient a purpose for it: that too is a verdict,
    /// "not needed" (DM-01).
    pub by: Vec<Arc<Reason>>,
}

/// One recipient's view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    pub(crate) to: Endpoint,
    pub(crate) kind: RecipientKind,
    pub(crate) role: Role,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) bases: Vec<LawfulBasis>,
}

impl View {
    /// The recipient.
    pub fn to(&self) -> &Endpoint {
        &self.to
    }
    /// As what it receives.
    pub fn kind(&self) -> RecipientKind {
        self.kind
    }
    /// In which role.
    pub fn role(&self) -> Role {
        self.role
    }
    /// What it is given of each item.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }
    /// In which law the disclosure stands.
    pub fn bases(&self) -> &[LawfulBasis] {
        &self.bases
    }
}

/// A clock that starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClockStart {
    /// Which.
    pub name: ClockName,
    /// When it is due.
    pub due: Due,
    /// What stops it.
    pub ends_with: ClockEnd,
    /// Why.
    pub by: Arc<Reason>,
}

/// The ruling on one referral. Only a [`Rulebook`] makes one, and nobody can change it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ruling {
    pub(crate) pack: Option<PackId>,
    pub(crate) facts: Facts,
    pub(crate) decision: Decision,
    pub(crate) by: Vec<Arc<Reason>>,
    pub(crate) redirected_from: Option<Endpoint>,
    pub(crate) views: Vec<View>,
    pub(crate) notified_by: Vec<Arc<Reason>>,
    pub(crate) clocks: Vec<ClockStart>,
    pub(crate) flags: Vec<(String, Arc<Reason>)>,
    pub(crate) bases: Vec<(LawfulBasis, Arc<Reason>)>,
}

impl Ruling {
    /// Which rules ruled; none when no pack covers the date.
    pub fn pack(&self) -> Option<&PackId> {
        self.pack.as_ref()
    }
    /// The facts ruled on.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
    /// What is to happen.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }
    /// The rules that decided it.
    pub fn by(&self) -> &[Arc<Reason>] {
        &self.by
    }
    /// To whom the sender had addressed it, if not to the responsible authority (RA-26).
    pub fn redirected_from(&self) -> Option<&Endpoint> {
        self.redirected_from.as_ref()
    }
    /// Each recipient's view.
    pub fn views(&self) -> &[View] {
        &self.views
    }
    /// The clocks that start.
    pub fn clocks(&self) -> &[ClockStart] {
        &self.clocks
    }
    /// What people are alerted to.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(|(flag, _)| flag.as_str())
    }
    /// The bases of all disclosures together, each once.
    pub fn bases(&self) -> impl Iterator<Item = LawfulBasis> + '_ {
        self.bases.iter().map(|(basis, _)| *basis)
    }
    /// The rule that speaks of `clock`.
    pub fn is_significant_harm_or_above(&self) -> bool {
        self.facts.level.is_significant_harm_or_above()
    }
}

/// Who receives, as what, and in which role.
type Addressee = (Endpoint, RecipientKind, Role);

/// What the fixed part of the product adds to the packs: rules that are code, not rows.
fn own_reason(rule: &str, because: &str, source: &str, evidence: Evidence) -> Arc<Reason> {
    Arc::new(Reason {
        rule: RuleId(rule.to_owned()),
        because: because.to_owned(),
        source: source.to_owned(),
        evidence,
        contested: false,
    })
}

impl Rulebook {
    /// The rules, the register and the calendar that come with the product, and the parties of a deployment.
    pub fn built_in(endpoints: &str) -> Result<Rulebook, String> {
        Ok(Rulebook {
            library: Library::built_in().map_err(|fault| fault.to_string())?,
            directory: Directory::parse(include_str!("../../../policies/directory/england.toml"), endpoints)
                .map_err(|fault| fault.to_string())?,
            calendar: Calendar::parse(include_str!("../../../policies/calendars/england-and-wales.toml"))
                .map_err(|fault| fault.to_string())?,
        })
    }

    /// The ruling on `referral`. Those in `earlier` received a version of it before and receive the change
    /// too, each what it may have (RK-02).
    pub fn rule(&self, referral: &Referral, earlier: &[Endpoint]) -> Ruling {
        let facts = Facts::derive(referral, &self.directory);
        match self.library.in_force(london_date(referral.received)) {
            None => self.without_a_pack(facts),
            Some(pack) => self.rule_under(pack, referral, facts, earlier, None),
        }
    }

    fn without_a_pack(&self, facts: Facts) -> Ruling {
        let why = own_reason("VR-01", "no rule pack covers the date of receipt, so a person decides", "", Evidence::Convention);
        Ruling {
            pack: None,
            facts,
            decision: Decision::HoldForReview { intended: None },
            by: vec![why],
            redirected_from: None,
            views: Vec::new(),
            notified_by: Vec::new(),
            clocks: Vec::new(),
            flags: Vec::new(),
            bases: Vec::new(),
        }
    }

    /// The ruling under `pack`; after a review, with what the person lifted.
    fn rule_under(
        &self,
        pack: &RulePack,
        referral: &Referral,
        facts: Facts,
        earlier: &[Endpoint],
        lift: Option<Lift<'_>>,
    ) -> Ruling {
        let tables = &pack.tables;
        let nobody = RecipientKind::Unknown;
        let situation = |facts: &Facts| Situation::of(facts, nobody, Category::Unknown);

        let before = situation(&facts);
        let route = tables.route.matching(&before).next();
        let named = lift.and_then(Lift::target);
        let target = named.cloned().or_else(|| route.and_then(|row| self.organisation(row.outcome, referral)));
        let hours = match target.as_ref().and_then(|target| self.hours(target)) {
            Some(hours) if !hours.are_open(&self.calendar, referral.received) => Hours::Closed,
            _ => Hours::Open,
        };
        let facts = facts.once_routed(hours, addressed(referral, target.as_ref()));
        let after = situation(&facts);
        let desk = tables.desk.matching(&after).next().filter(|_| named.is_none());
        let to = target.map(|target| match (target, desk) {
            (Endpoint::Authority(gss, _), Some(desk)) => Endpoint::Authority(gss, desk.outcome),
            (other, _) => other,
        });

        let mut by: Vec<Arc<Reason>> = route.filter(|_| named.is_none()).into_iter().map(|row| row.reason.clone()).collect();
        let mut holds: Vec<&Row<Hold>> = tables.hold.matching(&after).collect();
        let decision = match lift {
            None => decision(to, &holds),
            Some(lift) => {
                by.push(lift.reason());
                // What the person lifted no longer holds anything; the record says what it was.
                holds.retain(|row| row.outcome != Hold::Review);
                lift.decision(to, &holds)
            }
        };
        by.extend(holds.iter().map(|row| row.reason.clone()));
        if let (Decision::Deliver { to: Endpoint::Authority(..) }, Some(desk)) = (&decision, desk) {
            by.push(desk.reason.clone());
        }

        let (recipients, notified_by) = self.recipients(tables, &after, &decision, !holds.is_empty(), referral, earlier);
        let mut bases: Vec<(LawfulBasis, Arc<Reason>)> = Vec::new();
        let views: Vec<View> =
            recipients.into_iter().map(|addressee| view(pack, &facts, referral, addressee, lift, &mut bases)).collect();
        let delivered = matches!(decision, Decision::Deliver { .. });
        let clocks =
            if delivered { tables.clock.matching(&after).map(|row| self.start(row, referral)).collect() } else { Vec::new() };
        let mut flags: Vec<(String, Arc<Reason>)> =
            tables.flag.matching(&after).map(|row| (row.outcome.clone(), row.reason.clone())).collect();
        flags.extend(faults_of_items(referral));
        let redirected_from = match facts.addressed {
            Addressed::Wrongly => referral.addressed_to.clone(),
            Addressed::Nobody | Addressed::Rightly => None,
        };
        Ruling { pack: Some(pack.id.clone()), facts, decision, by, redirected_from, views, notified_by, clocks, flags, bases }
    }

    fn start(&self, row: &Row<ClockSpec>, referral: &Referral) -> ClockStart {
        let ClockSpec { name, amount, ends_with } = row.outcome;
        ClockStart { name, due: self.calendar.due(referral.received, amount), ends_with, by: row.reason.clone() }
    }

    /// The organisation that a route names, on the date of receipt.
    fn organisation(&self, route: RouteTo, referral: &Referral) -> Option<Endpoint> {
        let places = &referral.places;
        let located = || self.located(referral);
        let authority = |gss: Option<&GssCode>| {
            gss.and_then(|gss| self.directory.authority(gss)).map(|authority| Endpoint::front_door(authority.gss.clone()))
        };
        match route {
            RouteTo::Home => authority(places.home.as_ref()),
            RouteTo::Located => authority(located()),
            RouteTo::Placing => authority(places.placing.as_ref()),
            RouteTo::PlanHolder => authority(places.plan_holder.as_ref()),
            RouteTo::Enquiry => authority(places.enquiry.as_ref()),
            // An adult's home answers, else where the adult was found (Care Act 2014 s42: ordinarily resident or
            // not); outside England that area's own adult safeguarding does.
            RouteTo::AdultServices => {
                let places = || places.home.as_ref().into_iter().chain(located());
                let english = places().find_map(|gss| self.directory.authority(gss)).map(|authority| authority.gss.clone());
                english.or_else(|| places().find(|gss| self.is_devolved(gss)).cloned()).map(Endpoint::Adult)
            }
            RouteTo::DevolvedHome => places.home.clone().map(Endpoint::Devolved),
            RouteTo::DevolvedLocated => located().cloned().map(Endpoint::Devolved),
            RouteTo::Nobody => None,
        }
    }

    /// Where the child was found: as stated, else where the sender is.
    fn located<'a>(&'a self, referral: &'a Referral) -> Option<&'a GssCode> {
        referral
            .places
            .located
            .as_ref()
            .or_else(|| self.directory.party(&referral.sender).and_then(|party| party.located.as_ref()))
    }

    fn is_devolved(&self, gss: &GssCode) -> bool {
        matches!(self.directory.area(Some(gss)), Area::Wales | Area::Scotland | Area::NorthernIreland)
    }

    fn hours(&self, target: &Endpoint) -> Option<OpeningHours> {
        target.authority()?;
        Some(self.directory.party(target).map_or(OpeningHours::OFFICE, |party| party.hours))
    }

    fn recipients(
        &self,
        tables: &Tables,
        situation: &Situation,
        decision: &Decision,
        held_by_rule: bool,
        referral: &Referral,
        earlier: &[Endpoint],
    ) -> (Vec<Addressee>, Vec<Arc<Reason>>) {
        let mut recipients: Vec<Addressee> = Vec::new();
        let mut reasons = Vec::new();
        let delivered = match decision {
            Decision::Deliver { to } => {
                recipients.push((to.clone(), kind_of(to, Role::Responsible), Role::Responsible));
                true
            }
            Decision::HoldForReview { .. } => false,
            Decision::ReturnToSender | Decision::Refuse => return (recipients, reasons),
        };
        let responsible_authority = match decision {
            Decision::Deliver { to } => to.authority().cloned(),
            Decision::HoldForReview { .. } | Decision::ReturnToSender | Decision::Refuse => None,
        };
        // What a rule puts before a person stays whole until that person has looked. What waits only because
        // nobody is known to answer may still be told to those who can find the child.
        for row in tables.notify.matching(situation).filter(|row| delivered || (row.outcome.even_when_held && !held_by_rule)) {
            // Whoever sent it has it.
            let Some(told) = self.told(row.outcome.to, referral).filter(|told| *told != referral.sender) else { continue };
            let is_responsible = told.authority().is_some() && told.authority() == responsible_authority.as_ref();
            if is_responsible || recipients.iter().any(|(to, _, _)| *to == told) {
                continue;
            }
            reasons.push(row.reason.clone());
            recipients.push((told.clone(), kind_of(&told, Role::Notified), Role::Notified));
        }
        if delivered {
            for before in earlier {
                if !recipients.iter().any(|(to, _, _)| to == before) {
                    recipients.push((before.clone(), kind_of(before, Role::EarlierRecipient), Role::EarlierRecipient));
                }
            }
        }
        (recipients, reasons)
    }

    fn told(&self, to: NotifyTo, referral: &Referral) -> Option<Endpoint> {
        match to {
            NotifyTo::Home => match &referral.places.home {
                Some(home) if self.is_devolved(home) => Some(Endpoint::Devolved(home.clone())),
                _ => self.organisation(RouteTo::Home, referral),
            },
            NotifyTo::Located => self.organisation(RouteTo::Located, referral),
            NotifyTo::Placing => self.organisation(RouteTo::Placing, referral),
            NotifyTo::Police => {
                let authority = |gss: &GssCode| self.directory.authority(gss);
                let sender = self.directory.party(&referral.sender).and_then(|party| party.located.as_ref());
                let places = [self.located(referral), referral.places.home.as_ref(), sender];
                places.into_iter().flatten().find_map(authority).map(|authority| Endpoint::Police(authority.police.clone()))
            }
        }
    }
}

fn addressed(referral: &Referral, target: Option<&Endpoint>) -> Addressed {
    match (&referral.addressed_to, target) {
        (None, _) => Addressed::Nobody,
        // Any desk of the right authority will do: which one is the broker's business.
        (Some(stated), Some(target))
            if stated == target || (stated.authority().is_some() && stated.authority() == target.authority()) =>
        {
            Addressed::Rightly
        }
        (Some(_), _) => Addressed::Wrongly,
    }
}

fn decision(to: Option<Endpoint>, holds: &[&Row<Hold>]) -> Decision {
    let any = |hold: Hold| holds.iter().any(|row| row.outcome == hold);
    if any(Hold::Refuse) {
        return Decision::Refuse;
    }
    if any(Hold::Review) {
        return Decision::HoldForReview { intended: to };
    }
    if any(Hold::ReturnToSender) {
        return Decision::ReturnToSender;
    }
    match to {
        Some(to) => Decision::Deliver { to },
        None => Decision::HoldForReview { intended: None },
    }
}

/// As what an endpoint receives in a role: another authority that is told is not a front door that must act.
fn kind_of(endpoint: &Endpoint, role: Role) -> RecipientKind {
    match endpoint {
        Endpoint::Authority(_, desk) => match (desk, role) {
            (Desk::Lado, _) => RecipientKind::Lado,
            (Desk::EarlyHelp, _) => RecipientKind::FamilyHelp,
            (_, Role::Responsible) => RecipientKind::FrontDoor,
            (Desk::AllocatedWorker, Role::Notified | Role::EarlierRecipient) => RecipientKind::FrontDoor,
            (
                Desk::FrontDoor
                | Desk::EmergencyDutyTeam
                | Desk::Restricted
                | Desk::FrontDoorManager
                | Desk::ChildProtection
                | Desk::ElectiveHomeEducation,
                Role::Notified | Role::EarlierRecipient,
            ) => RecipientKind::OtherAuthority,
        },
        Endpoint::Police(_) | Endpoint::PolicePrevent(_) => RecipientKind::Police,
        Endpoint::School(_) => RecipientKind::School,
        Endpoint::Nhs(_) => RecipientKind::NhsProfessional,
        Endpoint::Adult(_) => RecipientKind::AdultServices,
        Endpoint::Devolved(_) => RecipientKind::Devolved,
        Endpoint::Voluntary(_) => RecipientKind::VoluntaryProvider,
    }
}

fn view(
    pack: &RulePack,
    facts: &Facts,
    referral: &Referral,
    (to, kind, role): Addressee,
    lift: Option<Lift<'_>>,
    all: &mut Vec<(LawfulBasis, Arc<Reason>)>,
) -> View {
    let mut bases: Vec<LawfulBasis> = Vec::new();
    let mut verdicts = Vec::with_capacity(referral.items.len());
    for (at, item) in referral.items.iter().enumerate() {
        let situation = Situation::of(facts, kind, item.category);
        let mut verdict = verdict(pack, &situation, at as u16, item.category);
        // Free text has no minimum but what the sender wrote as one. Said here, so that the record, the sender and
        // the recipient all read the same: it was not given.
        if verdict.given == Extent::Minimum && crate::disclosure::minimum(item).is_none() {
            verdict.given = Extent::Nothing;
            let because = "only the minimum may go, and the sender wrote no summary of this text";
            verdict.by = vec![own_reason("DM-01", because, "UK GDPR Article 5(1)(c)", Evidence::Convention)];
        }
        if let Some(lift) = lift.filter(|lift| lift.lifts_items() && verdict.given == Extent::Review)
            && pack.basis.matching(item.category, &situation).next().is_some()
        {
            verdict.given = Extent::Whole;
            verdict.by.push(lift.reason());
        }
        if matches!(verdict.given, Extent::Whole | Extent::Minimum) {
            for row in pack.basis.matching(item.category, &situation) {
                if !bases.contains(&row.outcome) {
                    bases.push(row.outcome);
                }
                if !all.iter().any(|(basis, _)| *basis == row.outcome) {
                    all.push((row.outcome, row.reason.clone()));
                }
            }
        }
        verdicts.push(verdict);
    }
    View { to, kind, role, verdicts, bases }
}

/// Withhold beats share: the most that any row gives, and of that the least that any row leaves.
fn verdict(pack: &RulePack, situation: &Situation, item: u16, category: Category) -> Verdict {
    let mut given = Extent::Nothing;
    let mut by = Vec::new();
    for row in pack.share.matching(category, situation) {
        if row.outcome > given {
            given = row.outcome;
            by.clear();
        }
        if row.outcome == given {
            by.push(row.reason.clone());
        }
    }
    for row in pack.withhold.matching(category, situation) {
        if row.outcome < given {
            given = row.outcome;
            by.clear();
        }
        if row.outcome <= given {
            by.push(row.reason.clone());
        }
    }
    Verdict { item, category, given, by }
}

/// ID-04 and DM-15 are code: they look at the items themselves, which no table may.
fn faults_of_items(referral: &Referral) -> Vec<(String, Arc<Reason>)> {
    let mut flags = Vec::new();
    if !referral.identifier_faults.is_empty() {
        let because = "an identifier is wrong; it never stops a referral at significant harm, but somebody must put it right";
        flags.push(("identifier_invalid".to_owned(), own_reason("ID-04", because, "product convention", Evidence::Convention)));
    }
    if referral.items.iter().any(|item| item.category == Category::Unknown) {
        let because = "a category this edition does not know is withheld from everybody until a person has named it";
        flags
            .push(("unknown_category".to_owned(), own_reason("DM-15", because, "UK GDPR Article 5(1)(c)", Evidence::Convention)));
    }
    flags
}
