//! The rules: packs that were proved, the edition in force on a date, and the ruling on one referral.
//!
//! A ruling says who gets it and why, what each recipient is given of each item, in which law, which clocks
//! start, and what a person must still do. It is total: whatever the facts, there is a ruling. The pack names
//! the *kind* of authority; which organisation that is, on that date, is a look-up in the directory, and
//! unknown is a review, never a guess.

mod area;
pub mod diff;
pub mod explain;
mod handover;
pub mod in_code;
pub mod library;
pub mod pack;
pub mod prove;
pub mod render;
pub mod review;
pub mod table;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::directory::{Basis, Directory, Doubt, OnDate};
use crate::facts::{Addressed, Facts, ItemFacts};
use crate::identifiers::{ForceCode, GssCode};
use crate::submission::Referral;
use crate::time::{Amount, Calendar, Due, OpeningHours, london_date};
use crate::vocab::*;
use crate::{Digest, Endpoint, Moment};
pub use library::{Library, LibraryFault};
use pack::{ClockAnchor, ClockEnd, ClockName, ClockSpec, Extent, Hold, LawfulBasis, NotifyTo, RouteTo, Tables};
use review::Lift;
use table::{Column, Evidence, Reason, Row, RuleId, Scope, Situation, Table};

/// Which rules ruled: the names of the edition and its overlays, and the digest of their files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackId {
    /// Such as `WT2026/1+ISD-2026-09-30/1`.
    pub edition: String,
    /// The digest of the files.
    pub hash: Digest,
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
    share: ByCell<Extent>,
    withhold: ByCell<Extent>,
    basis: ByCell<LawfulBasis>,
    /// The rows of tables that look at the referral, apart from those that look at its items as well.
    hold: ByScope<Hold>,
    flag: ByScope<String>,
}

#[derive(Clone, Debug)]
struct ByScope<Outcome> {
    whole: Table<Outcome>,
    items: Table<Outcome>,
}

impl<Outcome: Clone> ByScope<Outcome> {
    fn of(table: &Table<Outcome>) -> Self {
        let asks_of_items = |row: &Row<Outcome>| row.when.columns().any(|(column, _)| column.scope() == Scope::Item);
        let (items, whole) = table.0.iter().cloned().partition(asks_of_items);
        ByScope { whole: Table(whole), items: Table(items) }
    }

    /// The rows on items that can match this message at all, whatever the item and the recipient.
    fn of_items_in<'a>(&'a self, situation: &Situation) -> Vec<&'a Row<Outcome>> {
        self.items.0.iter().filter(|row| row.when.may_hold(situation)).collect()
    }
}

/// The rows that speak of a cell of the matrix, by category and recipient, without those two columns: a verdict looks
/// at a handful of rows, and most of them ask nothing more.
#[derive(Clone, Debug)]
struct ByCell<Outcome>(Vec<Vec<Row<Outcome>>>);

impl<Outcome: Clone> ByCell<Outcome> {
    fn of(table: &Table<Outcome>) -> Self {
        let cells = Category::ALL.iter().flat_map(|&category| RecipientKind::ALL.iter().map(move |&kind| (category, kind)));
        let rows = cells.map(|(category, kind)| {
            let speaks_of = |row: &&Row<Outcome>| {
                row.when.values(Column::Category) & (1 << category.ordinal()) != 0
                    && row.when.values(Column::Recipient) & (1 << kind.ordinal()) != 0
            };
            let rest = |row: &Row<Outcome>| Row {
                reason: row.reason.clone(),
                when: row.when.without(Column::Category).without(Column::Recipient),
                outcome: row.outcome.clone(),
            };
            table.0.iter().filter(speaks_of).map(rest).collect()
        });
        ByCell(rows.collect())
    }

    fn matching<'a>(
        &'a self,
        category: Category,
        kind: RecipientKind,
        situation: &'a Situation,
    ) -> impl Iterator<Item = &'a Row<Outcome>> {
        let cell = self.0.get(category.ordinal() * RecipientKind::ALL.len() + kind.ordinal());
        cell.into_iter().flatten().filter(|row| row.when.holds(situation))
    }
}

impl RulePack {
    fn proved(id: PackId, tables: Tables) -> RulePack {
        let (share, withhold, basis) = (ByCell::of(&tables.share), ByCell::of(&tables.withhold), ByCell::of(&tables.basis));
        let (hold, flag) = (ByScope::of(&tables.hold), ByScope::of(&tables.flag));
        RulePack { id, tables, share, withhold, basis, hold, flag }
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
    /// Whom the sender asked to be told, and who may have nothing of it.
    pub(crate) not_told: Vec<(Endpoint, Vec<Arc<Reason>>)>,
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
    /// Whom the sender asked to be told, and who may have nothing of it, with the rules.
    pub fn not_told(&self) -> &[(Endpoint, Vec<Arc<Reason>>)] {
        &self.not_told
    }
    /// Nothing but the fact of receipt goes back to the sender, because the person under suspicion reads it (DM-09).
    pub fn is_feedback_suppressed(&self) -> bool {
        self.facts.accused_controls_feedback == YesNo::Yes
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
    /// Whether it is handled at significant harm or above.
    pub fn is_significant_harm_or_above(&self) -> bool {
        self.facts.level.is_significant_harm_or_above()
    }
}

/// Who receives, as what, and in which role.
struct Addressee {
    to: Endpoint,
    kind: RecipientKind,
    role: Role,
    /// The sender asked for it: one who may have nothing is not told at all.
    is_asked_for: bool,
}

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
            directory: Directory::built_in(endpoints).map_err(|fault| fault.to_string())?,
            calendar: Calendar::parse(include_str!("../../../policies/calendars/england-and-wales.toml"))
                .map_err(|fault| fault.to_string())?,
        })
    }

    /// The ruling on `referral`. Those in `earlier` received a version of it before and receive the change
    /// too, each what it may have (RK-02).
    pub fn rule(&self, referral: &Referral, earlier: &[Endpoint]) -> Ruling {
        self.rule_with(referral, earlier, None, None)
    }

    /// The same where a person lifted something, or where `taken_over` names the authority that took the referral over:
    /// that one answers instead of whichever authority the rules name, at whichever of its desks they name.
    fn rule_with(
        &self,
        referral: &Referral,
        earlier: &[Endpoint],
        taken_over: Option<&GssCode>,
        lift: Option<Lift<'_>>,
    ) -> Ruling {
        let (referral, how_placed) = self.with_home(referral);
        let facts = Facts::derive(&referral, &self.directory);
        let mut ruling = match self.library.in_force(london_date(referral.received)) {
            None => self.without_a_pack(facts),
            Some(pack) => self.rule_under(pack, &referral, facts, earlier, taken_over, lift),
        };
        ruling.flags.extend(how_placed);
        ruling
    }

    /// The referral with the home that the number of the property or its postcode tells, where nobody stated one that
    /// does (RA-07), and what the recipient has to know of that. Says nothing about where the home is: a protected
    /// address stays one.
    fn with_home<'a>(&self, referral: &'a Referral) -> (Cow<'a, Referral>, Option<(String, Arc<Reason>)>) {
        if (referral.home_postcode.is_none() && referral.home_uprn.is_none()) || self.directory.postcodes().is_none() {
            return (Cow::Borrowed(referral), None);
        }
        let answer = self.directory.home_of(referral, london_date(referral.received));
        let flag = |name: &str, because: &str| {
            Some((name.to_owned(), own_reason("RA-07", because, "product convention", Evidence::Convention)))
        };
        let placed = |home: GssCode| {
            let mut placed = referral.clone();
            placed.places.home = Some(home);
            Cow::Owned(placed)
        };
        let release = answer.release.unwrap_or_default();
        match (answer.basis, answer.council) {
            (Basis::Uprn, Some(home)) => {
                let because = format!("the authority of the home was found by the number of the property in {release}");
                (placed(home), flag("home_by_uprn", &because))
            }
            (Basis::Postcode, Some(home)) => {
                let because = format!(
                    "the authority of the home was found by its postcode in {release}; a postcode is evidence, not proof: if \
                     the child lives elsewhere, hand the referral on"
                );
                (placed(home), flag("home_by_postcode", &because))
            }
            (Basis::Postcode | Basis::Uprn, None) => {
                let because = "the postcode or the property of the home tells no authority; ask where the child is now";
                (Cow::Borrowed(referral), flag("home_not_located", because))
            }
            (_, _) if answer.doubts.contains(&Doubt::StatedDiffers) => {
                let because = "the postcode or the property of the home lies in another authority's area than the one stated; \
                               what was stated was used";
                (Cow::Borrowed(referral), flag("home_postcode_differs", because))
            }
            (_, _) => (Cow::Borrowed(referral), None),
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
            not_told: Vec::new(),
            views: Vec::new(),
            notified_by: Vec::new(),
            clocks: Vec::new(),
            flags: Vec::new(),
            bases: Vec::new(),
        }
    }

    /// The ruling under `pack`, as [`Rulebook::rule_with`] asks for it.
    fn rule_under(
        &self,
        pack: &RulePack,
        referral: &Referral,
        facts: Facts,
        earlier: &[Endpoint],
        taken_over: Option<&GssCode>,
        lift: Option<Lift<'_>>,
    ) -> Ruling {
        let tables = &pack.tables;
        let situation = |facts: &Facts| Situation::of(facts, RecipientKind::Unknown, Category::Unknown);

        let before = situation(&facts);
        let diverted = tables.diversion.matching(&before).next();
        let route = diverted.or_else(|| tables.route.matching(&before).next());
        let named = lift.and_then(Lift::target);
        let target = named.cloned().or_else(|| route.and_then(|row| self.organisation(row.outcome, referral)));
        let by_rules = target.as_ref().and_then(Endpoint::authority);
        let taken_over = taken_over.filter(|gss| named.is_none() && by_rules.is_some_and(|by_rules| by_rules != *gss));
        let target = taken_over.cloned().map(Endpoint::front_door).or(target);
        let hours = match target.as_ref().and_then(|target| self.hours(target)) {
            Some(hours) if !hours.are_open(&self.calendar, referral.received) => Hours::Closed,
            _ => Hours::Open,
        };
        let code = match target.as_ref().and_then(Endpoint::authority).and_then(|gss| self.on_receipt(referral).authority(gss)) {
            Some(authority) if authority.provisional => AuthorityCode::Provisional,
            Some(_) | None => AuthorityCode::Issued,
        };
        let facts = facts.once_routed(hours, code, addressed(referral, target.as_ref(), self.on_receipt(referral)));
        let after = situation(&facts);
        // From here on the responsible authority's own settings lie on the rest: they tighten, and never move anything.
        let own = target
            .as_ref()
            .and_then(Endpoint::authority)
            .and_then(|gss| self.library.in_force_for(london_date(referral.received), gss));
        let pack = own.map_or(pack, |own| own.as_ref());
        let tables = &pack.tables;
        let desk = tables.desk.matching(&after).next().filter(|_| named.is_none());
        let to = target.map(|target| match (target, desk) {
            (Endpoint::Authority(gss, _), Some(desk)) => Endpoint::Authority(gss, desk.outcome),
            (other, _) => other,
        });

        let mut by: Vec<Arc<Reason>> = match (named, taken_over) {
            (Some(_), _) => Vec::new(),
            (None, Some(_)) => vec![handover::taken_over()],
            (None, None) => route.into_iter().map(|row| row.reason.clone()).collect(),
        };
        let is_reply = named.is_none() && matches!(route.map(|row| row.outcome), Some(RouteTo::Referrer));
        let items: Vec<ItemFacts> = referral.items.iter().map(|item| ItemFacts::derive(item, referral)).collect();
        let mut holds: Vec<&Row<Hold>> = pack.hold.whole.matching(&after).collect();
        let on_items = pack.hold.of_items_in(&after);
        if let Some(to) = to.as_ref().filter(|_| !on_items.is_empty()) {
            // What a rule says of an item for a recipient holds the whole: it is looked at as if it went out.
            let (recipients, _) = self.recipients(tables, &after, Some(to), is_reply, true, referral, earlier);
            let situations: Vec<Situation> = recipients
                .iter()
                .flat_map(|addressee| {
                    let whole = Situation::of(&facts, addressee.kind, Category::Unknown);
                    items.iter().map(move |item| whole.about(item))
                })
                .collect();
            holds.extend(on_items.into_iter().filter(|row| situations.iter().any(|situation| row.when.holds(situation))));
        }
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

        let (recipients, notified_by) = match &decision {
            Decision::Deliver { to } => self.recipients(tables, &after, Some(to), is_reply, true, referral, earlier),
            // What a rule puts before a person stays whole until that person has looked. What waits only because
            // nobody is known to answer may still be told to those who can find the child.
            Decision::HoldForReview { .. } if holds.is_empty() => {
                self.recipients(tables, &after, None, is_reply, false, referral, earlier)
            }
            Decision::HoldForReview { .. } | Decision::ReturnToSender | Decision::Refuse => (Vec::new(), Vec::new()),
        };
        let mut bases: Vec<(LawfulBasis, Arc<Reason>)> = Vec::new();
        let (mut views, mut not_told) = (Vec::new(), Vec::new());
        for addressee in recipients {
            let is_asked_for = addressee.is_asked_for;
            let view = view(pack, &facts, referral, &items, addressee, lift, &mut bases);
            let gives_something = view.verdicts.iter().any(|verdict| matches!(verdict.given, Extent::Whole | Extent::Minimum));
            if gives_something || !is_asked_for {
                views.push(view);
            } else {
                let mut why: Vec<Arc<Reason>> = view.verdicts.iter().flat_map(|verdict| verdict.by.iter().cloned()).collect();
                why.dedup_by(|one, other| one.rule == other.rule);
                not_told.push((view.to, why));
            }
        }
        let delivered = matches!(decision, Decision::Deliver { .. });
        let clocks = if delivered {
            earliest(tables.clock.matching(&after).filter_map(|row| self.start(row, referral)))
        } else {
            Vec::new()
        };
        let flags = flags(pack, &after, &facts, referral, &items, views.first());
        let redirected_from = match facts.addressed {
            Addressed::Wrongly => referral.addressed_to.clone(),
            Addressed::Nobody | Addressed::Rightly => None,
        };
        let pack = Some(pack.id.clone());
        Ruling { pack, facts, decision, by, redirected_from, not_told, views, notified_by, clocks, flags, bases }
    }

    /// The clock that a row starts; none where it runs from a referral that nobody dated: an exact clock is not guessed.
    fn start(&self, row: &Row<ClockSpec>, referral: &Referral) -> Option<ClockStart> {
        let ClockSpec { name, starts, amount, ends_with } = row.outcome;
        let said = &referral.circumstances;
        let from = match starts {
            ClockAnchor::Receipt => referral.received,
            ClockAnchor::Event => said.happened.unwrap_or(referral.received),
            ClockAnchor::Referral => said.referral_received?,
            ClockAnchor::Step => return None,
        };
        let due = match (amount, said.next_school_day) {
            (Amount::NextSchoolDay, Some(begins)) => Due { by: begins, date: None, provisional: false },
            (
                Amount::NextSchoolDay
                | Amount::WorkingDays(_)
                | Amount::SchoolDays(_)
                | Amount::ElapsedHours(_)
                | Amount::Months(_),
                _,
            ) => self.calendar.due(from, amount),
        };
        Some(ClockStart { name, due, ends_with, by: row.reason.clone() })
    }

    /// Until when what the authority `gss` does at a step of the case is due, if that step is taken `now`: the tightest
    /// limit of the rules in force there (FB-03: limits are local). None where the rules set none.
    pub fn limit(&self, clock: ClockName, gss: &GssCode, now: Moment) -> Option<ClockStart> {
        let pack = self.library.in_force_for(london_date(now), gss)?;
        let rows = pack.tables.clock.0.iter().filter(|row| row.outcome.name == clock && row.outcome.starts == ClockAnchor::Step);
        let limits = rows.map(|row| {
            let ClockSpec { name, amount, ends_with, .. } = row.outcome;
            ClockStart { name, due: self.calendar.due(now, amount), ends_with, by: row.reason.clone() }
        });
        limits.min_by_key(|limit| limit.due.by)
    }

    /// The directory on the London date of receipt.
    fn on_receipt(&self, referral: &Referral) -> OnDate<'_> {
        self.directory.on(london_date(referral.received))
    }

    fn authority(&self, gss: Option<&GssCode>, referral: &Referral) -> Option<GssCode> {
        gss.and_then(|gss| self.on_receipt(referral).authority(gss)).map(|authority| authority.gss.clone())
    }

    /// The organisation that a route names, on the date of receipt.
    fn organisation(&self, route: RouteTo, referral: &Referral) -> Option<Endpoint> {
        let (places, said) = (&referral.places, &referral.circumstances);
        let located = || self.directory.found_at(referral);
        let front_door = |gss: Option<&GssCode>| self.authority(gss, referral).map(Endpoint::front_door);
        match route {
            RouteTo::Home => front_door(places.home.as_ref()),
            RouteTo::Located => front_door(located()),
            RouteTo::Placing => front_door(places.placing.as_ref()),
            RouteTo::PlanHolder => front_door(places.plan_holder.as_ref()),
            RouteTo::Enquiry => front_door(places.enquiry.as_ref()),
            RouteTo::Workplace => self.workplace(referral).map(Endpoint::front_door),
            RouteTo::School => referral.child.school.clone().map(Endpoint::School),
            RouteTo::Referrer => said.reply_to.clone(),
            RouteTo::Provider => said.tell.iter().find(|to| matches!(to, Endpoint::Voluntary(_))).cloned(),
            RouteTo::Household => said.tell.iter().find(|to| matches!(to, Endpoint::Household(_))).cloned(),
            RouteTo::ReviewPanel => Some(Endpoint::National(NationalBody::ReviewPanel)),
            // An adult's home answers, else where the adult was found (Care Act 2014 s42: ordinarily resident or
            // not); outside England that area's own adult safeguarding does.
            RouteTo::AdultServices => {
                let places = || places.home.as_ref().into_iter().chain(located());
                let english = places().find_map(|gss| self.authority(Some(gss), referral));
                english.or_else(|| places().find(|gss| self.is_devolved(gss, referral)).cloned()).map(Endpoint::Adult)
            }
            RouteTo::DevolvedHome => places.home.clone().map(Endpoint::Devolved),
            RouteTo::DevolvedLocated => located().cloned().map(Endpoint::Devolved),
            RouteTo::Nobody => None,
        }
    }

    /// Where the subject of an allegation works; where nobody said, where the child was found.
    fn workplace(&self, referral: &Referral) -> Option<GssCode> {
        let stated = self.authority(referral.circumstances.employer.as_ref(), referral);
        stated
            .or_else(|| self.authority(self.directory.found_at(referral), referral))
            .or_else(|| self.authority(referral.places.home.as_ref(), referral))
    }

    /// The authority in whose area a service of the NHS is told: home, else where the child was found.
    fn area_of_services(&self, referral: &Referral) -> Option<GssCode> {
        self.authority(referral.places.home.as_ref(), referral)
            .or_else(|| self.authority(self.directory.found_at(referral), referral))
    }

    fn is_devolved(&self, gss: &GssCode, referral: &Referral) -> bool {
        matches!(self.on_receipt(referral).area(Some(gss)), Area::Wales | Area::Scotland | Area::NorthernIreland)
    }

    fn hours(&self, target: &Endpoint) -> Option<OpeningHours> {
        target.authority()?;
        Some(self.directory.party(target).map_or(OpeningHours::OFFICE, |party| party.hours))
    }

    /// Everybody who receives when `responsible` does, or when it waits because nobody is known to answer.
    #[expect(clippy::too_many_arguments, reason = "each is one thing that decides who receives")]
    fn recipients(
        &self,
        tables: &Tables,
        situation: &Situation,
        responsible: Option<&Endpoint>,
        is_reply: bool,
        delivered: bool,
        referral: &Referral,
        earlier: &[Endpoint],
    ) -> (Vec<Addressee>, Vec<Arc<Reason>>) {
        let authority = responsible.and_then(Endpoint::authority);
        let mut recipients: Vec<Addressee> = Vec::new();
        let mut reasons = Vec::new();
        if let Some(to) = responsible {
            // A member of the public who referred hears that it was received, and no more (DM-15).
            let is_professional = is_reply && *to != Endpoint::Public;
            let kind = match to {
                _ if is_professional => RecipientKind::Referrer,
                // A desk that staff under suspicion cannot see gives nobody more than the desk it stands in for (HR-10).
                Endpoint::Authority(gss, Desk::Restricted) => {
                    let without = situation.without_conflict();
                    let desk = tables.desk.matching(&without).next().map_or(Desk::Restricted, |row| row.outcome);
                    kind_of(&Endpoint::Authority(gss.clone(), desk), Role::Responsible, authority)
                }
                _ => kind_of(to, Role::Responsible, authority),
            };
            recipients.push(Addressee { to: to.clone(), kind, role: Role::Responsible, is_asked_for: false });
        }
        for row in tables.notify.matching(situation).filter(|row| delivered || row.outcome.even_when_held) {
            for told in self.told(row.outcome.to, referral, authority) {
                // Whoever sent it has it. The responsible authority's front door is told by the referral itself.
                let is_the_same_door = matches!(&told, Endpoint::Authority(gss, Desk::FrontDoor) if Some(gss) == authority);
                if told == referral.sender || is_the_same_door || recipients.iter().any(|known| known.to == told) {
                    continue;
                }
                let kind = match row.outcome.to {
                    NotifyTo::Referrer => RecipientKind::Referrer,
                    NotifyTo::Home
                    | NotifyTo::Located
                    | NotifyTo::Placing
                    | NotifyTo::PlanHolder
                    | NotifyTo::AllocatedWorker
                    | NotifyTo::Lado
                    | NotifyTo::Manager
                    | NotifyTo::HomeManager
                    | NotifyTo::LocatedManager
                    | NotifyTo::Police
                    | NotifyTo::Prevent
                    | NotifyTo::ReferralMechanism
                    | NotifyTo::Marac
                    | NotifyTo::HealthVisiting
                    | NotifyTo::ChildDeathOverview
                    | NotifyTo::School
                    | NotifyTo::Requested => kind_of(&told, Role::Notified, authority),
                };
                let is_asked_for = row.outcome.to == NotifyTo::Requested;
                reasons.push(row.reason.clone());
                recipients.push(Addressee { to: told, kind, role: Role::Notified, is_asked_for });
            }
        }
        reasons.dedup_by(|one, other| one.rule == other.rule);
        if delivered {
            for before in earlier {
                if !recipients.iter().any(|known| known.to == *before) {
                    let kind = kind_of(before, Role::EarlierRecipient, authority);
                    recipients.push(Addressee { to: before.clone(), kind, role: Role::EarlierRecipient, is_asked_for: false });
                }
            }
        }
        (recipients, reasons)
    }

    fn told(&self, to: NotifyTo, referral: &Referral, responsible: Option<&GssCode>) -> Vec<Endpoint> {
        let (places, said) = (&referral.places, &referral.circumstances);
        let manager = |gss: Option<GssCode>| gss.map(|gss| Endpoint::Authority(gss, Desk::FrontDoorManager));
        let service = |service| self.area_of_services(referral).map(|gss| Endpoint::NhsService(gss, service));
        let one = match to {
            NotifyTo::Home => match &places.home {
                Some(home) if self.is_devolved(home, referral) => Some(Endpoint::Devolved(home.clone())),
                _ => self.organisation(RouteTo::Home, referral),
            },
            NotifyTo::Located => self.organisation(RouteTo::Located, referral),
            NotifyTo::Placing => self.organisation(RouteTo::Placing, referral),
            NotifyTo::PlanHolder => self.organisation(RouteTo::PlanHolder, referral),
            NotifyTo::AllocatedWorker => {
                self.authority(places.open_case.as_ref(), referral).map(|gss| Endpoint::Authority(gss, Desk::AllocatedWorker))
            }
            NotifyTo::Lado => self.workplace(referral).map(|gss| Endpoint::Authority(gss, Desk::Lado)),
            NotifyTo::Manager => manager(responsible.cloned()),
            NotifyTo::HomeManager => manager(self.authority(places.home.as_ref(), referral)),
            NotifyTo::LocatedManager => manager(self.authority(self.directory.found_at(referral), referral)),
            NotifyTo::Police => self.police(referral).map(Endpoint::Police),
            NotifyTo::Prevent => self.police(referral).map(Endpoint::PolicePrevent),
            NotifyTo::ReferralMechanism => Some(Endpoint::National(NationalBody::ReferralMechanism)),
            NotifyTo::Marac => self.area_of_services(referral).map(Endpoint::Marac),
            NotifyTo::HealthVisiting => service(NhsService::HealthVisiting),
            NotifyTo::ChildDeathOverview => service(NhsService::ChildDeathOverview),
            NotifyTo::School => self.organisation(RouteTo::School, referral),
            NotifyTo::Referrer => said.reply_to.clone(),
            NotifyTo::Requested => return said.tell.clone(),
        };
        one.into_iter().collect()
    }

    /// The force of the place: where the child was found, else home, else where the sender is. A child on a ward is safe
    /// there for now; what happened, happened at home.
    fn police(&self, referral: &Referral) -> Option<ForceCode> {
        let sender = self.directory.party(&referral.sender).and_then(|party| party.located.as_ref());
        let (found, home) = (self.directory.found_at(referral), referral.places.home.as_ref());
        let places = if referral.child.inpatient { [home, found, sender] } else { [found, home, sender] };
        places
            .into_iter()
            .flatten()
            .find_map(|gss| self.on_receipt(referral).authority(gss))
            .map(|authority| authority.police.clone())
    }
}

/// What people are alerted to: rows on the whole, rows on an item as the responsible recipient has it, and the faults
/// that no table may look at.
fn flags(
    pack: &RulePack,
    after: &Situation,
    facts: &Facts,
    referral: &Referral,
    items: &[ItemFacts],
    responsible: Option<&View>,
) -> Vec<(String, Arc<Reason>)> {
    let kind = responsible.map_or(RecipientKind::Unknown, |view| view.kind);
    let whole = Situation::of(facts, kind, Category::Unknown);
    let situations: Vec<Situation> = items.iter().map(|item| whole.about(item)).collect();
    let on_items = pack.flag.of_items_in(after).into_iter().filter(|row| situations.iter().any(|at| row.when.holds(at)));
    let rows = pack.flag.whole.matching(after).chain(on_items);
    rows.map(|row| (row.outcome.clone(), row.reason.clone())).chain(faults_of_items(referral)).collect()
}

fn addressed(referral: &Referral, target: Option<&Endpoint>, today: OnDate<'_>) -> Addressed {
    let council =
        |endpoint: &Endpoint| endpoint.authority().and_then(|gss| today.authority(gss)).map(|authority| authority.gss.clone());
    match (&referral.addressed_to, target) {
        (None, _) => Addressed::Nobody,
        // Any desk of the right authority will do, also under a code that it had before: which one is the broker's
        // business.
        (Some(stated), Some(target)) if stated == target || (council(stated).is_some() && council(stated) == council(target)) => {
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

/// As what an endpoint receives in a role: a front door that is told is not the one that must act.
fn kind_of(endpoint: &Endpoint, role: Role, responsible: Option<&GssCode>) -> RecipientKind {
    match endpoint {
        Endpoint::Authority(gss, desk) => match (desk, role) {
            (Desk::Lado, _) => RecipientKind::Lado,
            (Desk::EarlyHelp, _) => RecipientKind::FamilyHelp,
            (Desk::AllocatedWorker, _) | (_, Role::Responsible) => RecipientKind::FrontDoor,
            (Desk::FrontDoorManager, Role::Notified | Role::EarlierRecipient) if Some(gss) == responsible => {
                RecipientKind::FrontDoor
            }
            (
                Desk::FrontDoor
                | Desk::EmergencyDutyTeam
                | Desk::Restricted
                | Desk::FrontDoorManager
                | Desk::ChildProtection
                | Desk::ElectiveHomeEducation
                | Desk::SafeguardingLead
                | Desk::HeadOfService
                | Desk::SafeguardingPartners,
                Role::Notified | Role::EarlierRecipient,
            ) => RecipientKind::OtherAuthority,
        },
        Endpoint::Police(_) | Endpoint::PolicePrevent(_) => RecipientKind::Police,
        Endpoint::School(_) => RecipientKind::School,
        Endpoint::Nhs(_) | Endpoint::NhsService(..) => RecipientKind::NhsProfessional,
        Endpoint::Adult(_) => RecipientKind::AdultServices,
        Endpoint::Devolved(_) => RecipientKind::Devolved,
        Endpoint::Voluntary(_) => RecipientKind::VoluntaryProvider,
        Endpoint::Marac(_) => RecipientKind::Marac,
        Endpoint::National(NationalBody::ReferralMechanism) => RecipientKind::Nrm,
        Endpoint::National(NationalBody::ReviewPanel | NationalBody::Ofsted | NationalBody::DepartmentForEducation) => {
            RecipientKind::NationalBody
        }
        Endpoint::Household(Household::Own) => RecipientKind::Parent,
        Endpoint::Household(Household::Other) => RecipientKind::OtherHousehold,
        Endpoint::Public => RecipientKind::Unknown,
        Endpoint::Operator => RecipientKind::Operator,
    }
}

fn view(
    pack: &RulePack,
    facts: &Facts,
    referral: &Referral,
    items: &[ItemFacts],
    addressee: Addressee,
    lift: Option<Lift<'_>>,
    all: &mut Vec<(LawfulBasis, Arc<Reason>)>,
) -> View {
    let Addressee { to, kind, role, is_asked_for: _ } = addressee;
    let mut bases: Vec<LawfulBasis> = Vec::new();
    let mut verdicts = Vec::with_capacity(referral.items.len());
    let whole = Situation::of(facts, kind, Category::Unknown);
    for ((item, item_facts), at) in referral.items.iter().zip(items).zip(0u16..) {
        let situation = whole.about(item_facts);
        let mut verdict = verdict(pack, &situation, at, item.category, kind);
        // Free text has no minimum but what the sender wrote as one. Said here, so that the record, the sender and
        // the recipient all read the same: it was not given.
        if verdict.given == Extent::Minimum && crate::disclosure::minimum(item).is_none() {
            verdict.given = Extent::Nothing;
            let because = "only the minimum may go, and the sender wrote no summary of this text";
            verdict.by = vec![own_reason("DM-01", because, "UK GDPR Article 5(1)(c)", Evidence::Convention)];
        }
        // What a person let go still needs a basis.
        if let Some(lift) = lift.filter(|lift| lift.lifts_items() && verdict.given == Extent::Review)
            && pack.basis.matching(item.category, kind, &situation).next().is_some()
        {
            verdict.given = Extent::Whole;
            verdict.by.push(lift.reason());
        }
        let is_given = matches!(verdict.given, Extent::Whole | Extent::Minimum);
        for row in pack.basis.matching(item.category, kind, &situation) {
            if is_given && !bases.contains(&row.outcome) {
                bases.push(row.outcome);
            }
            // Of what is withheld it is recorded too in which law that was weighed (LB-11).
            if !all.iter().any(|(basis, _)| *basis == row.outcome) {
                all.push((row.outcome, row.reason.clone()));
            }
        }
        verdicts.push(verdict);
    }
    View { to, kind, role, verdicts, bases }
}

/// Each clock once: where an area sets one more tightly, its own is due first.
fn earliest(starts: impl Iterator<Item = ClockStart>) -> Vec<ClockStart> {
    let mut clocks: Vec<ClockStart> = Vec::new();
    for start in starts {
        match clocks.iter_mut().find(|clock| clock.name == start.name) {
            Some(clock) if start.due.by < clock.due.by => *clock = start,
            Some(_) => {}
            None => clocks.push(start),
        }
    }
    clocks
}

/// Withhold beats share: the most that any row gives, and of that the least that any row leaves.
fn verdict(pack: &RulePack, situation: &Situation, item: u16, category: Category, kind: RecipientKind) -> Verdict {
    let mut given = Extent::Nothing;
    let mut by = Vec::new();
    for row in pack.share.matching(category, kind, situation) {
        if row.outcome > given {
            given = row.outcome;
            by.clear();
        }
        if row.outcome == given {
            by.push(row.reason.clone());
        }
    }
    for row in pack.withhold.matching(category, kind, situation) {
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

/// ID-04 is code: it looks at identifiers, which no table may.
fn faults_of_items(referral: &Referral) -> impl Iterator<Item = (String, Arc<Reason>)> {
    referral.identifier_faults.iter().map(|(field, _)| {
        let because = "an identifier is wrong; it never stops a referral at significant harm, but somebody must put it right";
        (format!("identifier_invalid:{field}"), own_reason("ID-04", because, "product convention", Evidence::Convention))
    })
}
