//! A rule pack as it is written: TOML, one row one rule. Parsing finds every fault at once, with its line.
//!
//! What comes out is a [`Draft`]: well-typed, not yet trusted. Only [`super::prove`] makes a pack of drafts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::Date;
use serde::Serialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::table::{Column, Cube, Evidence, Reason, Row, RuleId, Scope, Table};
use crate::Digest;
use crate::identifiers::GssCode;
use crate::time::Amount;
use crate::vocab::{Desk, Vocabulary};

crate::vocab::vocabulary! {
    /// Which authority a route names; which organisation that is, on that date, the directory says.
    pub enum RouteTo = "authority" {
        /// Where the child lives.
        Home => "home",
        /// Where the child was found.
        Located => "located",
        /// The authority that placed a looked-after child.
        Placing => "placing",
        /// The authority that holds the child protection plan.
        PlanHolder => "plan_holder",
        /// The authority with enquiries under way.
        Enquiry => "enquiry",
        /// Where the subject of an allegation works (RA-15).
        Workplace => "workplace",
        /// The child's school (RA-21, CL-13).
        School => "school",
        /// Whoever had referred (FB-01).
        Referrer => "referrer",
        /// The provider that is named (DM-11).
        Provider => "provider",
        /// The first household that is named (DM-02).
        Household => "household",
        /// The Child Safeguarding Practice Review Panel (CL-12).
        ReviewPanel => "review_panel",
        /// Adult safeguarding of the home area.
        AdultServices => "adult_services",
        /// Children's services of the Welsh, Scottish or Northern Irish home area.
        DevolvedHome => "devolved_home",
        /// Children's services of the Welsh, Scottish or Northern Irish area where the child was found.
        DevolvedLocated => "devolved_located",
        /// It cannot be known: a person decides, at once.
        Nobody => "nobody",
    }
}

crate::vocab::vocabulary! {
    /// What holds a referral back.
    pub enum Hold = "hold" {
        /// Nothing leaves before a person has decided.
        Review => "review",
        /// It goes back to the sender with the reason.
        ReturnToSender => "return_to_sender",
        /// It is refused and not stored; the sender is told how to send it.
        Refuse => "refuse",
    }
}

crate::vocab::vocabulary! {
    /// Who else is told.
    pub enum NotifyTo = "to" {
        /// The home authority.
        Home => "home",
        /// The authority where the child was found.
        Located => "located",
        /// The placing authority.
        Placing => "placing",
        /// The authority that holds the child protection plan.
        PlanHolder => "plan_holder",
        /// The worker of the authority with an open case.
        AllocatedWorker => "allocated_worker",
        /// The designated officer where the subject of an allegation works.
        Lado => "lado",
        /// The manager of the responsible front door.
        Manager => "manager",
        /// The manager of the home authority's front door.
        HomeManager => "home_manager",
        /// The manager of the front door where the child was found.
        LocatedManager => "located_manager",
        /// The police of the place: where the child was found, else home, else where the sender is.
        Police => "police",
        /// The Prevent team of the same police.
        Prevent => "prevent",
        /// The national referral mechanism.
        ReferralMechanism => "nrm",
        /// The multi-agency risk assessment conference of the home area.
        Marac => "marac",
        /// Health visiting of the home area.
        HealthVisiting => "health_visiting",
        /// Child death review of the home area.
        ChildDeathOverview => "child_death_overview",
        /// The child's school.
        School => "school",
        /// Whoever had referred.
        Referrer => "referrer",
        /// Whom the sender asks to be told.
        Requested => "requested",
    }
}

crate::vocab::vocabulary! {
    /// How much of an item.
    pub enum Extent = "extent" {
        /// None of it.
        Nothing => "nothing",
        /// None of it until a person has looked.
        Review => "review",
        /// The minimum only.
        Minimum => "minimum",
        /// All of it.
        Whole => "whole",
    }
}

crate::vocab::vocabulary! {
    /// In which law a disclosure stands.
    pub enum LawfulBasis = "basis" {
        /// Legal obligation.
        Art61c => "UKGDPR.6.1.c",
        /// Vital interests.
        Art61d => "UKGDPR.6.1.d",
        /// Public task.
        Art61e => "UKGDPR.6.1.e",
        /// Recognised legitimate interest (from 5 February 2026).
        Art61ea => "UKGDPR.6.1.ea",
        /// Legitimate interests.
        Art61f => "UKGDPR.6.1.f",
        /// Substantial public interest: safeguarding of children.
        Art92g => "UKGDPR.9.2.g+DPA2018.Sch1.18",
        /// Vital interests, special categories.
        Art92c => "UKGDPR.9.2.c",
        /// Criminal offence data.
        Art10 => "UKGDPR.10+DPA2018.Sch1.18",
        /// Children Act 1989, section 47.
        Ca1989S47 => "CA1989.s47",
        /// Children Act 1989, section 17.
        Ca1989S17 => "CA1989.s17",
        /// Children Act 2004, section 10.
        Ca2004S10 => "CA2004.s10",
        /// Children Act 2004, section 11.
        Ca2004S11 => "CA2004.s11",
        /// Children Act 2004, section 16LA: the duty to share.
        Ca2004S16La => "CA2004.s16LA",
        /// Children Act 2004, section 16C: serious incidents.
        Ca2004S16C => "CA2004.s16C",
        /// Domestic Abuse Act 2021, section 49A.
        Daa2021S49A => "DAA2021.s49A",
        /// Care Act 2014, section 42.
        CareAct2014S42 => "CareAct2014.s42",
        /// Female Genital Mutilation Act 2003, section 5B.
        Fgma2003S5B => "FGMA2003.s5B",
    }
}

impl LawfulBasis {
    /// It is an Article 6 basis: every disclosure needs one.
    pub fn is_article_6(self) -> bool {
        matches!(
            self,
            LawfulBasis::Art61c | LawfulBasis::Art61d | LawfulBasis::Art61e | LawfulBasis::Art61ea | LawfulBasis::Art61f
        )
    }

    /// It is an Article 9 condition: special categories need one.
    pub fn is_article_9(self) -> bool {
        matches!(self, LawfulBasis::Art92g | LawfulBasis::Art92c)
    }
}

crate::vocab::vocabulary! {
    /// A statutory or local clock.
    pub enum ClockName = "clock" {
        /// Acknowledge and decide the type of response (CL-01).
        LaAckDecision1Wd => "la_ack_decision_1wd",
        /// The referrer follows up if nothing came (CL-02).
        ReferrerFollowup3Wd => "referrer_followup_3wd",
        /// The initial child protection conference (CL-03).
        Icpc15Wd => "icpc_15wd",
        /// The core group meets (CL-03b).
        CoreGroup10Wd => "core_group_10wd",
        /// The first review conference (CL-03b).
        ReviewConference3M => "review_conference_3m",
        /// The assessment is complete (CL-04).
        Assessment45Wd => "assessment_45wd",
        /// The designated officer is told of an allegation (CL-05).
        LadoNotify1Wd => "lado_notify_1wd",
        /// Female genital mutilation is reported to police, best practice (CL-06).
        FgmReportNextWd => "fgm_report_next_wd",
        /// Female genital mutilation is reported to police, at the latest (CL-06).
        FgmReportMax1M => "fgm_report_max_1m",
        /// The return interview (CL-07).
        Rhi72H => "rhi_72h",
        /// The transfer-in conference (CL-08).
        TransferInConference15Wd => "transfer_in_conference_15wd",
        /// The school knows before its next day begins (CL-09).
        EncompassNextSchoolDay => "encompass_next_school_day",
        /// Police protection ends (CL-10).
        PoliceProtection72H => "police_protection_72h",
        /// The private fostering visit (CL-11).
        PrivateFosteringVisit7Wd => "private_fostering_visit_7wd",
        /// The Panel is notified (CL-12).
        SeriousIncidentNotify5Wd => "serious_incident_notify_5wd",
        /// The rapid review (CL-12).
        RapidReview15Wd => "rapid_review_15wd",
        /// The child protection file follows the child (CL-13).
        CpFileTransfer5D => "cp_file_transfer_5d",
        /// A hub answers what it rated red (CL-14).
        HubRed => "hub_red",
        /// A hub answers what it rated amber (CL-14).
        HubAmber => "hub_amber",
        /// A hub answers what it rated green (CL-14).
        HubGreen => "hub_green",
        /// A telephone referral is confirmed in writing (CL-15).
        WrittenConfirmation => "written_confirmation",
        /// A suspected sexual offence against a child is reported, at the latest (CL-16).
        CsaReport7D => "csa_report_7d",
        /// The front door's manager answers a professional disagreement (FB-03).
        DisagreementAnswer => "disagreement_answer",
        /// The safeguarding leads answer it (FB-03).
        DisagreementLeads => "disagreement_leads",
        /// The heads of service answer it (FB-03).
        DisagreementHeadsOfService => "disagreement_heads_of_service",
        /// The safeguarding partners answer it (FB-03).
        DisagreementPartners => "disagreement_partners",
        /// The authority that is offered a case accepts or refuses it (RA-02).
        TransferAnswer => "transfer_answer",
    }
}

impl ClockName {
    /// The clocks that a step of the case starts. How long each runs, every edition says.
    pub(crate) const OF_STEPS: [ClockName; 5] = [
        ClockName::DisagreementAnswer,
        ClockName::DisagreementLeads,
        ClockName::DisagreementHeadsOfService,
        ClockName::DisagreementPartners,
        ClockName::TransferAnswer,
    ];
}

crate::vocab::vocabulary! {
    /// What stops a clock.
    pub enum ClockEnd = "ends_with" {
        /// A named person acknowledged.
        Acknowledged => "acknowledged",
        /// The authority decided.
        Decided => "decided",
        /// The offer of a transfer was accepted or refused.
        Answered => "answered",
    }
}

crate::vocab::vocabulary! {
    /// From when a clock runs.
    pub enum ClockAnchor = "starts" {
        /// From receipt of this message.
        Receipt => "receipt",
        /// From what it reports: the return, the taking into protection. From receipt where that is not said.
        Event => "event",
        /// From receipt of the referral that it is about. Where that is not said it does not start: it is not guessed.
        Referral => "referral",
        /// From a step of the case: a disagreement reaches a stage, a case is offered. No ruling starts it, so it looks at nothing but whose
        /// area it is.
        Step => "step",
    }
}

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockSpec {
    /// Which clock.
    pub name: ClockName,
    /// From when it runs.
    pub starts: ClockAnchor,
    /// How long it runs.
    pub amount: Amount,
    /// What stops it.
    pub ends_with: ClockEnd,
}

/// Somebody else who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Notify {
    /// Who.
    pub to: NotifyTo,
    /// Even while nobody is known to answer and a person decides where it goes. What a rule holds goes to nobody.
    pub even_when_held: bool,
}

/// The tables of a pack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// Messages that somebody else answers than the authority of the place. At most one row matches, and it goes
    /// before any route.
    pub diversion: Table<RouteTo>,
    /// Which authority, by the place. Exactly one row matches.
    pub route: Table<RouteTo>,
    /// Which desk of it. Exactly one row matches.
    pub desk: Table<Desk>,
    /// What holds it back. All that match.
    pub hold: Table<Hold>,
    /// Who else is told. All that match.
    pub notify: Table<Notify>,
    /// What a recipient may have: the most that any row gives.
    pub share: Table<Extent>,
    /// What a recipient may not have: the least that any row leaves. Withhold beats share.
    pub withhold: Table<Extent>,
    /// In which law it stands. All that match.
    pub basis: Table<LawfulBasis>,
    /// Which clocks start. All that match.
    pub clock: Table<ClockSpec>,
    /// What people are alerted to. All that match.
    pub flag: Table<String>,
}

/// What a pack is to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackKind {
    /// A whole edition; it replaces the one before.
    Edition,
    /// An overlay from its date on: adds rows, and ends others by their id.
    Overlay,
    /// The settings of one authority: they withhold, tell, hold and set clocks more tightly, and loosen nothing.
    Area(GssCode),
}

/// An edition that another one stands on, and the line that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its name, such as `WT2023`, or with its version, such as `WT2023/1`.
    pub edition: String,
    /// The line, from 1.
    pub line: usize,
}

/// What a pack says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name, such as `WT2026`.
    pub edition: String,
    /// Its version.
    pub version: u32,
    /// The first London date on which it rules.
    pub effective_from: Date,
    /// The last London date on which it rules; none where its end is open.
    pub effective_until: Option<Date>,
    /// Edition, overlay or area.
    pub kind: PackKind,
    /// Off: it is read, checked and listed, and rules nobody until this says otherwise.
    pub enabled: bool,
    /// The edition whose rows are also its own.
    pub based_on: Option<Base>,
    /// Rows of what it lies or stands on that it ends.
    pub ends: Vec<RuleId>,
    /// What it is for, in a line.
    pub about: String,
}

impl Head {
    /// Its name and version, such as `WT2026/1`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.edition, self.version)
    }

    /// Its dates hold `on`.
    pub fn covers(&self, on: Date) -> bool {
        self.effective_from <= on && self.effective_until.is_none_or(|until| on <= until)
    }
}

/// A pack that is well-typed and not yet trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What it says of itself.
    pub head: Head,
    /// The tables.
    pub tables: Tables,
    /// The digest of the file's bytes.
    pub hash: Digest,
}

/// One fault of a pack, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub text: String,
}

impl fmt::Display for PackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl FromStr for Draft {
    type Err = Vec<PackFault>;

    /// Reads a pack. All faults at once.
    fn from_str(text: &str) -> Result<Draft, Vec<PackFault>> {
        let root = DeTable::parse(text).map_err(|fault| {
            let line = fault.span().map_or(1, |span| line_of(text, span.start));
            vec![PackFault { line, text: fault.message().to_owned() }]
        })?;
        let mut reader = Reader { text, faults: Vec::new() };
        let draft = reader.pack(root.get_ref());
        if reader.faults.is_empty() { Ok(draft) } else { Err(reader.faults) }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// What a pack's head may say.
const HEAD: [&str; 10] =
    ["edition", "version", "effective_from", "effective_until", "kind", "authority", "enabled", "based_on", "ends", "about"];

/// The tables there are.
const TABLES: [&str; 10] = ["diversion", "route", "desk", "hold", "notify", "share", "withhold", "basis", "clock", "flag"];

/// Those of an area.
const AREA_TABLES: [&str; 4] = ["withhold", "notify", "hold", "clock"];

struct Reader<'a> {
    text: &'a str,
    faults: Vec<PackFault>,
}

type Entry<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
    fn fault(&mut self, at: usize, text: impl Into<String>) {
        self.faults.push(PackFault { line: line_of(self.text, at), text: text.into() });
    }

    fn pack(&mut self, root: &DeTable<'_>) -> Draft {
        for (key, _) in root.iter() {
            let name = key.get_ref().as_ref();
            if name != "pack" && !TABLES.contains(&name) {
                self.fault(key.span().start, format!("there is no table \"{name}\"; there are pack, {}", TABLES.join(", ")));
            }
        }
        let tables = Tables {
            diversion: self
                .table(root, "diversion", Scope::Referral, &["authority"], |reader, row| reader.word(row, "authority")),
            route: self.table(root, "route", Scope::Referral, &["authority"], |reader, row| reader.word(row, "authority")),
            desk: self.table(root, "desk", Scope::Routed, &["desk"], |reader, row| reader.word(row, "desk")),
            hold: self.table(root, "hold", Scope::Item, &["hold"], |reader, row| reader.word(row, "hold")),
            notify: self.table(root, "notify", Scope::Routed, &["to", "even_when_held"], |reader, row| {
                let even_when_held = reader.truth(row, "even_when_held");
                Some(Notify { to: reader.word(row, "to")?, even_when_held })
            }),
            share: self.table(root, "share", Scope::Item, &["extent"], |reader, row| reader.word(row, "extent")),
            withhold: self.table(root, "withhold", Scope::Item, &["leaves"], |reader, row| match row.get("leaves") {
                None => Some(Extent::Nothing),
                Some(_) => reader.word(row, "leaves"),
            }),
            basis: self.table(root, "basis", Scope::Item, &["basis"], |reader, row| reader.word(row, "basis")),
            clock: self.table(
                root,
                "clock",
                Scope::Routed,
                &["clock", "starts", "working_days", "school_days", "elapsed_hours", "months", "next_school_day", "ends_with"],
                |reader, row| {
                    let (name, ends_with) = (reader.word(row, "clock"), reader.word(row, "ends_with"));
                    let starts = if row.contains_key("starts") { reader.word(row, "starts") } else { Some(ClockAnchor::Receipt) };
                    reader.is_started_by_what_starts_it(row, name?, starts?);
                    reader.ends_with_what_ends_it(row, name?, ends_with?);
                    Some(ClockSpec { name: name?, starts: starts?, amount: reader.amount(row)?, ends_with: ends_with? })
                },
            ),
            flag: self.table(root, "flag", Scope::Item, &["flag"], |reader, row| reader.token(row, "flag")),
        };
        let head = self.head(root);
        if let PackKind::Area(_) = head.kind {
            self.only_what_an_area_may_say(root);
        }
        Draft { head, tables, hash: Digest::of_bytes(self.text.as_bytes()) }
    }

    fn head(&mut self, root: &DeTable<'_>) -> Head {
        let mut said = Head {
            edition: String::new(),
            version: 0,
            effective_from: Date::MIN,
            effective_until: None,
            kind: PackKind::Edition,
            enabled: true,
            based_on: None,
            ends: Vec::new(),
            about: String::new(),
        };
        let (head, at) = match root.get_key_value("pack").map(|(key, entry)| (key.span().start, entry.get_ref())) {
            Some((at, DeValue::Table(head))) => (head, at),
            _ => {
                self.fault(0, "a pack begins with [pack]: edition, version, effective_from, kind");
                return said;
            }
        };
        for (key, _) in head.iter() {
            if !HEAD.contains(&key.get_ref().as_ref()) {
                self.fault(key.span().start, format!("[pack] has no \"{}\"", key.get_ref()));
            }
        }
        // A fault stands where the entry is, and at [pack] where there is none.
        let place = |name: &str| head.get(name).map_or(at, |entry| entry.span().start);
        match self.text_of(head, "edition").filter(|name| !name.trim().is_empty()) {
            Some(name) => said.edition = name,
            None => self.fault(place("edition"), "[pack] edition needs a name, such as \"WT2026\""),
        }
        match self.number(head, "version") {
            Some(version) => said.version = version,
            None if head.contains_key("version") => {}
            None => self.fault(at, "[pack] version needs a whole number"),
        }
        match self.text_of(head, "effective_from").and_then(|text| text.parse().ok()) {
            Some(date) => said.effective_from = date,
            None => self.fault(place("effective_from"), "[pack] effective_from needs a date as text, such as \"2026-09-30\""),
        }
        if head.contains_key("effective_until") {
            said.effective_until = self.text_of(head, "effective_until").and_then(|text| text.parse().ok());
            if said.effective_until.is_none_or(|until| until < said.effective_from) {
                let text =
                    "[pack] effective_until needs a date as text, not before effective_from: the last day on which it rules";
                self.fault(place("effective_until"), text);
            }
        }
        let kind = self.text_of(head, "kind");
        let authority = self.text_of(head, "authority").map(|text| GssCode::parse(&text));
        match (kind.as_deref(), authority) {
            (Some("edition"), None) => {}
            (Some("overlay"), None) => said.kind = PackKind::Overlay,
            (Some("area"), Some(Ok(authority))) => said.kind = PackKind::Area(authority),
            (Some("area"), Some(Err(fault))) => self.fault(place("authority"), format!("[pack] authority {fault}")),
            (Some("area"), None) => {
                self.fault(at, "[pack] authority says whose area it is, by its GSS code, such as \"E08000035\"")
            }
            (Some("edition" | "overlay"), Some(_)) => {
                self.fault(place("authority"), "only a pack of kind \"area\" is one authority's")
            }
            (Some(_) | None, _) => self.fault(place("kind"), "[pack] kind is \"edition\", \"overlay\" or \"area\""),
        }
        if head.contains_key("enabled") {
            said.enabled = self.truth(head, "enabled");
        }
        said.about = self.text_of(head, "about").unwrap_or_default();
        let line = line_of(self.text, place("based_on"));
        said.based_on = self.text_of(head, "based_on").map(|edition| Base { edition, line });
        said.ends = self.ends(head);
        if said.based_on.is_some() && said.kind != PackKind::Edition {
            self.fault(
                place("based_on"),
                "only an edition is based on another; an overlay lies on whichever edition is in force",
            );
        }
        if said.kind == PackKind::Edition && said.based_on.is_none() && !said.ends.is_empty() {
            self.fault(
                place("ends"),
                "only an overlay, or an edition based on another, ends rules; an edition replaces the one before",
            );
        }
        if matches!(said.kind, PackKind::Area(_)) && !said.ends.is_empty() {
            self.fault(place("ends"), "an area ends no rule: it may tighten, never loosen");
        }
        said
    }

    /// An area's tables are those by which it can only tighten.
    fn only_what_an_area_may_say(&mut self, root: &DeTable<'_>) {
        for (key, _) in root.iter() {
            let name = key.get_ref().as_ref();
            if TABLES.contains(&name) && !AREA_TABLES.contains(&name) {
                let text =
                    format!("an area has no rows of {name}: it may tighten, never loosen; it has {}", AREA_TABLES.join(", "));
                self.fault(key.span().start, text);
            }
        }
    }

    fn ends(&mut self, head: &DeTable<'_>) -> Vec<RuleId> {
        let Some(entry) = head.get("ends") else { return Vec::new() };
        let ids = match entry.get_ref() {
            DeValue::Array(ids) => ids.iter().map(|id| id.get_ref().as_str().map(|id| RuleId(id.to_owned()))).collect(),
            _ => None,
        };
        if ids.is_none() {
            self.fault(entry.span().start, "[pack] ends is a list of rule ids in quotation marks");
        }
        ids.unwrap_or_default()
    }

    fn table<Outcome>(
        &mut self,
        root: &DeTable<'_>,
        name: &str,
        scope: Scope,
        own: &[&str],
        mut outcome: impl FnMut(&mut Self, &DeTable<'_>) -> Option<Outcome>,
    ) -> Table<Outcome> {
        let Some(entry) = root.get(name) else { return Table::default() };
        let DeValue::Array(rows) = entry.get_ref() else {
            self.fault(entry.span().start, format!("{name} is a list of rows: write [[{name}]]"));
            return Table::default();
        };
        let mut table = Vec::new();
        for row in rows.iter() {
            let DeValue::Table(fields) = row.get_ref() else {
                self.fault(row.span().start, format!("a row of {name} is a table: write [[{name}]]"));
                continue;
            };
            let reason = self.reason(row, fields);
            let when = self.when(name, fields, scope, own);
            let before = self.faults.len();
            match outcome(self, fields) {
                Some(outcome) => table.push(Row { reason, when, outcome }),
                None if self.faults.len() == before => {
                    self.fault(row.span().start, format!("this row of {name} lacks {}", own.join(", ")))
                }
                None => {}
            }
        }
        Table(table)
    }

    /// A clock is started by a ruling or by a step of the case, never by both. Where a step starts it, there is no
    /// referral at hand whose situation a row could ask about.
    fn is_started_by_what_starts_it(&mut self, row: &DeTable<'_>, name: ClockName, starts: ClockAnchor) {
        let at = row.get("clock").map_or(0, |entry| entry.span().start);
        match (ClockName::OF_STEPS.contains(&name), starts == ClockAnchor::Step) {
            (true, false) => self.fault(at, format!("a step of the case starts {name}: write starts = \"step\"")),
            (false, true) => self.fault(at, format!("no step of the case starts {name}")),
            (false, false) => {}
            (true, true) => {
                let asks = |name: &str| name == "not" || Column::read(name).is_some();
                for (key, _) in row.iter().filter(|(key, _)| asks(key.get_ref())) {
                    let text = "a clock that a step of the case starts runs in every situation: this row can ask about none";
                    self.fault(key.span().start, text);
                }
            }
        }
    }

    /// Only an offer is answered, and nothing else ends what waits for that.
    fn ends_with_what_ends_it(&mut self, row: &DeTable<'_>, name: ClockName, ends_with: ClockEnd) {
        if (name == ClockName::TransferAnswer) != (ends_with == ClockEnd::Answered) {
            let at = row.get("ends_with").map_or(0, |entry| entry.span().start);
            self.fault(at, format!("{name} does not end with {ends_with}"));
        }
    }

    fn reason(&mut self, row: &Entry<'_>, fields: &DeTable<'_>) -> Arc<Reason> {
        let mut text = |name: &str| {
            let text = self.text_of(fields, name).unwrap_or_default();
            if text.trim().is_empty() {
                self.fault(row.span().start, format!("every rule says its {name}"));
            }
            text
        };
        let (rule, because, source, mark) = (text("id"), text("because"), text("source"), text("evidence"));
        let evidence = match mark.as_str() {
            "V" => Evidence::Verified,
            "M" => Evidence::ToBeConfirmed,
            "P" | "" => Evidence::Convention,
            other => {
                self.fault(row.span().start, format!("evidence \"{other}\" is not V, M or P"));
                Evidence::Convention
            }
        };
        let contested = self.truth(fields, "contested");
        Arc::new(Reason { rule: RuleId(rule), because, source, evidence, contested })
    }

    fn when(&mut self, table: &str, fields: &DeTable<'_>, scope: Scope, own: &[&str]) -> Cube {
        let mut cube = Cube::everything();
        for (key, value) in fields.iter() {
            match key.get_ref().as_ref() {
                "id" | "because" | "source" | "evidence" | "contested" => {}
                name if own.contains(&name) => {}
                "not" => match value.get_ref() {
                    DeValue::Table(cells) => {
                        for (key, value) in cells.iter() {
                            if let Some((column, values)) = self.cell(table, key, value, scope) {
                                cube = cube.and(column, !values);
                            }
                        }
                    }
                    _ => self.fault(key.span().start, "write not.column = [..]"),
                },
                _ => {
                    if let Some((column, values)) = self.cell(table, key, value, scope) {
                        cube = cube.and(column, values);
                    }
                }
            }
        }
        cube
    }

    fn cell(
        &mut self,
        table: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Entry<'_>,
        scope: Scope,
    ) -> Option<(Column, u64)> {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        let Some(column) = Column::read(name) else {
            self.fault(at, format!("there is no column \"{name}\"; there are {}", Column::ALL.map(Column::name).join(", ")));
            return None;
        };
        if column.scope() > scope {
            self.fault(at, format!("{table} is decided before {name} is known"));
            return None;
        }
        let DeValue::Array(values) = value.get_ref() else {
            self.fault(at, format!("{name} needs a list of values in brackets"));
            return None;
        };
        if values.is_empty() {
            self.fault(at, format!("{name} allows no value, so this row could never match"));
        }
        Some((column, self.values(column, values)))
    }

    fn values(&mut self, column: Column, values: &DeArray<'_>) -> u64 {
        let known = column.values();
        let mut set = 0;
        for value in values.iter() {
            match value.get_ref().as_str().and_then(|text| known.iter().position(|known| *known == text)) {
                Some(at) if set & (1 << at) != 0 => self.fault(value.span().start, "this value stands here twice"),
                Some(at) => set |= 1 << at,
                None => {
                    self.fault(value.span().start, format!("not a value of {}; there are {}", column.name(), known.join(", ")))
                }
            }
        }
        set
    }

    fn word<Word: Vocabulary>(&mut self, row: &DeTable<'_>, name: &str) -> Option<Word> {
        let entry = row.get(name)?;
        let word = entry.get_ref().as_str().and_then(Word::read);
        if word.is_none() {
            let known: Vec<&str> = Word::ALL.iter().map(|word| word.as_str()).collect();
            self.fault(entry.span().start, format!("not a value of {name}; there are {}", known.join(", ")));
        }
        word
    }

    fn token(&mut self, row: &DeTable<'_>, name: &str) -> Option<String> {
        let entry = row.get(name)?;
        let token = entry.get_ref().as_str().filter(|text| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        });
        if token.is_none() {
            self.fault(entry.span().start, format!("{name} needs lower-case letters, digits and underscores"));
        }
        token.map(str::to_owned)
    }

    fn amount(&mut self, row: &DeTable<'_>) -> Option<Amount> {
        const LENGTHS: [&str; 5] = ["working_days", "school_days", "elapsed_hours", "months", "next_school_day"];
        let stated: Vec<&str> = LENGTHS.into_iter().filter(|name| row.contains_key(*name)).collect();
        let (name, entry) = match stated.as_slice() {
            [name] => (*name, row.get(*name)?),
            [_, second, ..] => {
                let at = row.get(*second).map_or(0, |entry| entry.span().start);
                self.fault(at, format!("a clock runs for one of {}, not for two", LENGTHS.join(", ")));
                return None;
            }
            [] => return None,
        };
        if name == "next_school_day" {
            return self.truth(row, name).then_some(Amount::NextSchoolDay);
        }
        let Ok(length) = u16::try_from(self.number(row, name)?) else {
            self.fault(entry.span().start, format!("a clock runs for at most {} days, hours or months", u16::MAX));
            return None;
        };
        Some(match name {
            "working_days" => Amount::WorkingDays(length),
            "school_days" => Amount::SchoolDays(length),
            "months" => Amount::Months(length),
            _ => Amount::ElapsedHours(length),
        })
    }

    fn number(&mut self, row: &DeTable<'_>, name: &str) -> Option<u32> {
        let entry = row.get(name)?;
        let number = entry.get_ref().as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        if number.is_none() {
            self.fault(entry.span().start, format!("{name} needs a whole number"));
        }
        number
    }

    fn truth(&mut self, row: &DeTable<'_>, name: &str) -> bool {
        match row.get(name) {
            None => false,
            Some(entry) => entry.get_ref().as_bool().unwrap_or_else(|| {
                self.fault(entry.span().start, format!("{name} is true or false"));
                false
            }),
        }
    }

    fn text_of(&mut self, row: &DeTable<'_>, name: &str) -> Option<String> {
        let entry = row.get(name)?;
        let text = entry.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.fault(entry.span().start, format!("{name} needs text in quotation marks"));
        }
        text
    }
}
