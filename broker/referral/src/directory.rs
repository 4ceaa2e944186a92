//! Which authority answers for which place, and what is known of each party: its hours, its kind, whether the
//! duty to share reaches it.
//!
//! An unknown place is *unknown*, never a guess (P4). The directory is plain data handed in; reading its files
//! is the shell's work.

mod answer;
mod change;
mod organisations;
mod place;
mod postcodes;
mod register;
mod uprns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use serde::Deserialize;

use crate::Endpoint;
use crate::identifiers::GssCode;
use crate::submission::Referral;
use crate::time::OpeningHours;
use crate::vocab::{Area, Desk, DutyScope, SenderKind};

pub use answer::{Answer, Asked, Basis, Doubt};
pub use change::{Changes, Releases};
pub use organisations::{Extract, HealthBody, List, ListFault, Listed, School, Standing};
pub use place::Place;
pub use postcodes::{GatherFault, Gathered, Located, PartialPostcode, PostcodeKey, Postcodes, PostcodesFault, Release};
pub use register::{Authority, AuthorityKind, Beyond, DeliveryBody, Force, Register};
pub use uprns::{GatheredUprns, UprnGatherFault, UprnRelease, Uprns, UprnsFault};

/// The register of children's services authorities, and the parties this broker knows.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    register: Arc<Register>,
    parties: BTreeMap<Endpoint, Party>,
    /// The desks that another authority answers, and the party that does.
    served: BTreeMap<Endpoint, Endpoint>,
    postcodes: Option<Arc<Postcodes>>,
    /// Nobody imported a release; the postcodes are the few that ship.
    only_a_sample: bool,
    uprns: Option<Arc<Uprns>>,
    schools: Option<Arc<List<School>>>,
    health: Option<Arc<List<HealthBody>>>,
}

/// What the directory knows of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// As what it sends.
    pub kind: SenderKind,
    /// The authority in whose area it is: where a child was found, if a school does not say otherwise.
    pub located: Option<GssCode>,
    /// Whether the duty to share reaches it.
    pub duty: DutyScope,
    /// The other authorities whose desk of the same kind it answers, from the same inbox (RA-23).
    pub serves: Vec<GssCode>,
    /// When its front door is open.
    pub hours: OpeningHours,
    /// How its messages are written.
    pub format: Format,
    /// Which versions of the messages it reads. It is sent the newest of them that this broker writes.
    pub schemas: BTreeSet<Schema>,
    /// Real people behind it. A rehearsal never sends to one.
    pub live: bool,
}

/// Everything wrong with a directory file, all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFaults(pub Vec<String>);

impl std::fmt::Display for DirectoryFaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the directory was refused: {}", self.0.join("; "))
    }
}

impl std::error::Error for DirectoryFaults {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartiesFile {
    /// Each on its own, so that a fault in one hides none in another.
    #[serde(default)]
    endpoint: Vec<toml::Spanned<toml::Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyEntry {
    name: Endpoint,
    hours: Option<String>,
    authority: Option<GssCode>,
    #[serde(default)]
    independent: bool,
    designated: Option<bool>,
    #[serde(default)]
    serves: Vec<GssCode>,
    #[serde(default)]
    format: Format,
    #[serde(default = "every_schema")]
    schemas: Vec<Schema>,
    #[serde(default)]
    live: bool,
}

fn every_schema() -> Vec<Schema> {
    vec![Schema::V1]
}

/// A version of the messages that recipients read: the protobuf package `safeguarding.delivery.<version>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schema {
    /// `safeguarding.delivery.v1`.
    V1,
}

/// How a recipient's messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Protobuf, in its envelope.
    #[default]
    Protobuf,
    /// Protobuf's JSON mapping, for a desk that reads text.
    Json,
}

impl Format {
    /// The word for it in `endpoints.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Protobuf => "protobuf",
            Format::Json => "json",
        }
    }
}

/// The directory as it stands on one date: every question asked of it is asked of that day.
#[derive(Clone, Copy, Debug)]
pub struct OnDate<'a> {
    directory: &'a Directory,
    date: Date,
}

impl<'a> OnDate<'a> {
    /// The authority that answers for `gss`.
    pub fn authority(self, gss: &GssCode) -> Option<&'a Authority> {
        self.directory.authority(gss, self.date)
    }

    /// In whose area `gss` lies.
    pub fn area(self, gss: Option<&GssCode>) -> Area {
        self.directory.area(gss, self.date)
    }
}

impl Directory {
    /// The register that comes with the product, and the parties of a deployment.
    pub fn built_in(parties: &str) -> Result<Self, DirectoryFaults> {
        Directory::parse(include_str!("../../../policies/directory/england.toml"), parties)
    }

    /// Reads the register (`policies/directory`) and the parties of this deployment (`endpoints.toml`).
    pub fn parse(register: &str, parties: &str) -> Result<Self, DirectoryFaults> {
        let register = Register::parse(register).map_err(DirectoryFaults)?;
        let file: PartiesFile = toml::from_str(parties).map_err(|fault| DirectoryFaults(vec![format!("endpoints: {fault}")]))?;
        let mut faults = Vec::new();
        let mut directory = Directory { register: Arc::new(register), ..Directory::default() };
        for entry in file.endpoint {
            let line = parties.get(..entry.span().start).unwrap_or_default().lines().count() + 1;
            match entry.into_inner().try_into::<PartyEntry>() {
                Ok(entry) => {
                    let (party, wrong) = directory.party_of(entry);
                    faults.extend(wrong.into_iter().map(|fault| format!("line {line}, endpoint {}: {fault}", party.endpoint)));
                    if let Some(before) = directory.parties.insert(party.endpoint.clone(), party) {
                        faults.push(format!("line {line}, endpoint {}: stands there twice", before.endpoint));
                    }
                }
                Err(fault) => faults.push(format!("line {line}, an endpoint: {}", fault.message())),
            }
        }
        faults.extend(directory.serve());
        if faults.is_empty() { Ok(directory) } else { Err(DirectoryFaults(faults)) }
    }

    /// Puts in place who answers for whom, and names whom two would answer for.
    fn serve(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        for party in self.parties.values() {
            let Endpoint::Authority(_, desk) = &party.endpoint else { continue };
            for gss in &party.serves {
                let served = Endpoint::Authority(gss.clone(), *desk);
                if self.parties.contains_key(&served) {
                    faults
                        .push(format!("endpoint {}: serves {gss}, whose desk {served} has an entry of its own", party.endpoint));
                } else if let Some(other) = self.served.insert(served, party.endpoint.clone()) {
                    faults.push(format!("endpoint {}: serves {gss}, which {other} serves already", party.endpoint));
                }
            }
        }
        faults
    }

    fn party_of(&self, entry: PartyEntry) -> (Party, Vec<String>) {
        let name = &entry.name;
        let mut faults = Vec::new();
        let hours = match entry.hours.as_deref().map(OpeningHours::parse) {
            None => OpeningHours::OFFICE,
            Some(Some(hours)) => hours,
            Some(None) => {
                faults.push("hours need the form \"Mon-Fri 09:00-17:00\"".to_owned());
                OpeningHours::OFFICE
            }
        };
        let located = entry.authority.or_else(|| name.authority().cloned());
        if let Some(gss) = located.as_ref().filter(|gss| !self.register.knows(gss)) {
            faults.push(format!("{gss} is no children's services authority"));
        }
        if !entry.serves.is_empty() && name.authority().is_none() {
            faults.push("serves stands at a desk of an authority only".to_owned());
        }
        let no_authority = entry.serves.iter().filter(|gss| !self.register.is_authority(gss));
        faults.extend(no_authority.map(|gss| format!("serves {gss}, which is no children's services authority's own code")));
        let schemas: BTreeSet<Schema> = entry.schemas.into_iter().collect();
        if schemas.is_empty() {
            faults.push("schemas names no version, so nothing could be sent to it; leave it out for every version".to_owned());
        }
        let kind = match name.sender_kind() {
            SenderKind::School if entry.independent => SenderKind::IndependentSchool,
            kind => kind,
        };
        let duty = match (entry.designated, kind) {
            (Some(true), _) => DutyScope::InScope,
            (Some(false), _) => DutyScope::OutOfScope,
            // s11(1) names these; schools are in scope only through designation (s16E).
            (None, SenderKind::Police | SenderKind::Nhs | SenderKind::Authority | SenderKind::OtherAuthority) => {
                DutyScope::InScope
            }
            (
                None,
                SenderKind::School
                | SenderKind::IndependentSchool
                | SenderKind::Voluntary
                | SenderKind::Public
                | SenderKind::Operator
                | SenderKind::Broker,
            ) => DutyScope::OutOfScope,
        };
        let party = Party {
            endpoint: entry.name,
            kind,
            located,
            duty,
            serves: entry.serves,
            hours,
            format: entry.format,
            schemas,
            live: entry.live,
        };
        (party, faults)
    }

    /// The same directory with `party` known in it, in place of what was known of it.
    pub fn with(mut self, party: Party) -> Directory {
        self.parties.insert(party.endpoint.clone(), party);
        self
    }

    /// The directory as it stands on a London date.
    pub fn on(&self, date: Date) -> OnDate<'_> {
        OnDate { directory: self, date }
    }

    /// With these postcodes; `only_a_sample` when they are the few that ship.
    pub fn with_postcodes(self, postcodes: Arc<Postcodes>, only_a_sample: bool) -> Self {
        Directory { postcodes: Some(postcodes), only_a_sample, ..self }
    }

    /// With these properties.
    pub fn with_uprns(self, uprns: Arc<Uprns>) -> Self {
        Directory { uprns: Some(uprns), ..self }
    }

    /// With these schools. A party that is one of them is where the list has it, unless this deployment says where.
    pub fn with_schools(self, schools: Arc<List<School>>) -> Self {
        let as_at = schools.extract().as_at;
        let mut directory = Directory { schools: Some(schools), ..self };
        let found = |endpoint: &Endpoint| match endpoint {
            Endpoint::School(urn) => directory.look_up(&Asked::School(urn.clone()), as_at).council,
            _ => None,
        };
        let unplaced = directory.parties.values().filter(|party| party.located.is_none());
        let placed: Vec<(Endpoint, GssCode)> =
            unplaced.filter_map(|party| Some((party.endpoint.clone(), found(&party.endpoint)?))).collect();
        for (endpoint, gss) in placed {
            if let Some(party) = directory.parties.get_mut(&endpoint) {
                party.located = Some(gss);
            }
        }
        directory
    }

    /// With these NHS organisations.
    pub fn with_health_bodies(self, health: Arc<List<HealthBody>>) -> Self {
        Directory { health: Some(health), ..self }
    }

    /// The postcodes in use.
    pub fn postcodes(&self) -> Option<&Postcodes> {
        self.postcodes.as_deref()
    }

    /// The register.
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// The authority that answers for `gss` on that day: itself, its county, or the one that followed (RA-07).
    pub fn authority(&self, gss: &GssCode, on: Date) -> Option<&Authority> {
        self.register.authority(gss, on)
    }

    /// The code of the place that worked cases call by this name.
    pub fn called(&self, name: &str) -> Option<&GssCode> {
        self.register.called(name)
    }

    /// The name of the place of a code, whatever the date.
    pub fn name(&self, gss: &GssCode) -> Option<&str> {
        self.register.name(gss)
    }

    /// In whose area a stated code lies on that day. A code this directory does not know is unknown.
    pub fn area(&self, gss: Option<&GssCode>, on: Date) -> Area {
        match gss {
            None => Area::Unknown,
            Some(gss) => match gss.as_str().get(..1) {
                Some("W") => Area::Wales,
                Some("S") => Area::Scotland,
                Some("N") => Area::NorthernIreland,
                _ if self.authority(gss, on).is_some() => Area::England,
                _ => Area::Unknown,
            },
        }
    }

    /// Where the child was found: as stated; else at the school that reports it (RA-01, "found"). A helpline, a force
    /// or a surgery reports children who are elsewhere.
    pub fn found_at<'a>(&'a self, referral: &'a Referral) -> Option<&'a GssCode> {
        let at_school = || {
            let party = self.party(&referral.sender)?;
            match party.kind {
                SenderKind::School | SenderKind::IndependentSchool => party.located.as_ref(),
                SenderKind::Police
                | SenderKind::Nhs
                | SenderKind::Authority
                | SenderKind::OtherAuthority
                | SenderKind::Voluntary
                | SenderKind::Public
                | SenderKind::Operator
                | SenderKind::Broker => None,
            }
        };
        referral.places.located.as_ref().or_else(at_school)
    }

    /// What is known of a party; of a desk that another authority answers, what is known of that one.
    pub fn party(&self, endpoint: &Endpoint) -> Option<&Party> {
        self.parties.get(self.inbox(endpoint))
    }

    /// The party that reads what is sent to `endpoint`: itself, or the desk that serves its authority (RA-23).
    pub fn inbox<'a>(&'a self, endpoint: &'a Endpoint) -> &'a Endpoint {
        self.served.get(endpoint).unwrap_or(endpoint)
    }

    /// How a council is reached here: its desks that are connected, in order, each with the party that reads for it.
    pub fn desks_of<'a>(&'a self, council: &'a GssCode) -> impl Iterator<Item = (&'a Endpoint, &'a Party)> {
        let all = self.parties.keys().chain(self.served.keys());
        let is_its =
            |endpoint: &&Endpoint| endpoint.authority() == Some(council) || **endpoint == Endpoint::Devolved(council.clone());
        let own = all.filter(move |endpoint| is_its(endpoint));
        own.filter_map(|endpoint| Some((endpoint, self.party(endpoint)?)))
    }

    /// Which desks would be needed beside a front door and are not connected: who is told outside its hours, and who is
    /// told when it has not answered in time. In their place an operator is asked to telephone.
    pub fn missing_desks(&self) -> Vec<Endpoint> {
        let fronts = self.parties.keys().chain(self.served.keys()).filter_map(|endpoint| {
            let Endpoint::Authority(gss, Desk::FrontDoor) = endpoint else { return None };
            Some(gss)
        });
        let beside = [Desk::EmergencyDutyTeam, Desk::FrontDoorManager];
        let desks = fronts.flat_map(|gss| beside.map(|desk| Endpoint::Authority(gss.clone(), desk)));
        desks.filter(|desk| self.party(desk).is_none()).collect()
    }

    /// How a party's messages are written.
    pub fn format(&self, endpoint: &Endpoint) -> Format {
        self.party(endpoint).map_or(Format::Protobuf, |party| party.format)
    }

    /// Every party, in order of name.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        self.parties.values()
    }

    /// The authorities of a day, in order of code.
    pub fn authorities(&self, on: Date) -> impl Iterator<Item = &Authority> {
        self.register.authorities(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: &str = include_str!("../../../policies/directory/england.toml");

    #[test]
    fn every_fault_of_an_endpoint_file_is_named_at_once_with_its_line() {
        let file = "[[endpoint]]\nname = \"la.E08000035.front-door\"\nhours = \"whenever\"\n\
                    [[endpoint]]\nname = \"school.999001\"\nauthority = \"E06999999\"\nhours = \"9 to 5\"\n\
                    [[endpoint]]\nname = \"nobody\"\n\
                    [[endpoint]]\nname = \"police.13\"\ncolour = \"blue\"\n\
                    [[endpoint]]\nname = \"police.46\"\n[[endpoint]]\nname = \"police.46\"\n";
        let faults = Directory::parse(REGISTER, file).unwrap_err().0;
        let lines: Vec<&str> = faults.iter().filter_map(|fault| fault.split(',').next()).collect();
        assert_eq!(lines, ["line 1", "line 4", "line 4", "line 8", "line 10", "line 15"], "{faults:?}");
    }

    #[test]
    fn an_authority_is_served_by_one_inbox_only_and_only_by_a_desk() {
        let file = |serves: &str| {
            format!("[[endpoint]]\nname = \"la.E09000021.front-door\"\nformat = \"json\"\nserves = [\"E09000027\"]\n{serves}")
        };
        let directory = Directory::parse(REGISTER, &file("")).unwrap();
        let richmond = Endpoint::parse("la.E09000027.front-door").unwrap();
        assert_eq!(directory.inbox(&richmond).to_string(), "la.E09000021.front-door");
        assert_eq!(directory.format(&richmond), Format::Json);
        for wrong in [
            "[[endpoint]]\nname = \"la.E09000027.front-door\"\n",
            "[[endpoint]]\nname = \"la.E09000025.front-door\"\nserves = [\"E09000027\"]\n",
            "[[endpoint]]\nname = \"la.E09000025.edt\"\nserves = [\"E06999999\"]\n",
            "[[endpoint]]\nname = \"police.13\"\nserves = [\"E09000025\"]\n",
        ] {
            assert_eq!(Directory::parse(REGISTER, &file(wrong)).unwrap_err().0.len(), 1, "{wrong}");
        }
    }

    #[test]
    fn what_is_different_from_the_directory_before_is_named() {
        let read = |text: &str| Directory::parse(REGISTER, text).unwrap();
        let before = read(
            "[[endpoint]]\nname = \"la.E08000035.front-door\"\n[[endpoint]]\nname = \"police.13\"\n\
             [[endpoint]]\nname = \"police.46\"\n",
        );
        let after = read(
            "[[endpoint]]\nname = \"la.E08000035.front-door\"\nhours = \"Mon-Fri 08:00-18:00\"\nformat = \"json\"\n\
             [[endpoint]]\nname = \"police.13\"\n[[endpoint]]\nname = \"police.01\"\n",
        );
        assert!(after.changes_since(&after).are_none());
        assert_eq!(
            after.changes_since(&before).to_string(),
            "connected: police.01; no longer connected: police.46; la.E08000035.front-door: other hours, format"
        );
    }

    #[test]
    fn a_front_door_without_a_night_desk_or_a_manager_is_named() {
        let directory = Directory::parse(
            REGISTER,
            "[[endpoint]]\nname = \"la.E08000035.front-door\"\nserves = [\"E08000032\"]\n\
             [[endpoint]]\nname = \"la.E08000035.edt\"\nserves = [\"E08000032\"]\n\
             [[endpoint]]\nname = \"la.E08000032.front-door-manager\"\n",
        )
        .unwrap();
        let missing: Vec<String> = directory.missing_desks().iter().map(Endpoint::to_string).collect();
        assert_eq!(missing, ["la.E08000035.front-door-manager"]);
        let bradford = GssCode::parse("E08000032").unwrap();
        let desks: Vec<String> = directory.desks_of(&bradford).map(|(to, by)| format!("{to} by {}", by.endpoint)).collect();
        assert_eq!(
            desks,
            [
                "la.E08000032.front-door-manager by la.E08000032.front-door-manager",
                "la.E08000032.front-door by la.E08000035.front-door",
                "la.E08000032.edt by la.E08000035.edt",
            ]
        );
    }

    #[test]
    fn versions_of_messages_that_nobody_writes_are_refused() {
        let with = |schemas: &str| format!("[[endpoint]]\nname = \"police.13\"\nschemas = {schemas}\n");
        assert!(Directory::parse(REGISTER, &with("[\"v1\"]")).is_ok());
        for wrong in ["[]", "[\"v2\"]", "\"v1\""] {
            assert_eq!(Directory::parse(REGISTER, &with(wrong)).unwrap_err().0.len(), 1, "{wrong}");
        }
    }

    #[test]
    fn a_school_is_in_scope_of_the_duty_only_when_designated() {
        let directory = Directory::parse(
            REGISTER,
            "[[endpoint]]\nname = \"school.999001\"\n[[endpoint]]\nname = \"school.999002\"\ndesignated = true\n",
        )
        .unwrap();
        let duty = |urn: &str| directory.party(&Endpoint::parse(urn).unwrap()).unwrap().duty;
        assert_eq!((duty("school.999001"), duty("school.999002")), (DutyScope::OutOfScope, DutyScope::InScope));
    }
}
