//! Which authority answers for which place, and what is known of each party: its hours, its kind, whether the
//! duty to share reaches it.
//!
//! An unknown place is *unknown*, never a guess (P4). The directory is plain data handed in; reading its files
//! is the shell's work.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;

use crate::Endpoint;
use crate::identifiers::{ForceCode, GssCode};
use crate::submission::Referral;
use crate::time::OpeningHours;
use crate::vocab::{Area, DutyScope, SenderKind};

/// The register of children's services authorities, and the parties this broker knows.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    authorities: BTreeMap<GssCode, Authority>,
    /// Every other code that still means one of them: districts, and codes no longer in use.
    also_means: BTreeMap<GssCode, Meaning>,
    parties: BTreeMap<Endpoint, Party>,
}

/// A children's services authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its code.
    pub gss: GssCode,
    /// Its name.
    pub name: String,
    /// The police force of its area.
    pub police: ForceCode,
}

#[derive(Clone, Debug)]
enum Meaning {
    /// A district: its county answers.
    District(GssCode),
    /// Not in use after `ended`; one successor answers, or it cannot be told from the code alone.
    Retired { now: Vec<GssCode> },
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
    /// When its front door is open.
    pub hours: OpeningHours,
    /// How its messages are written.
    pub format: Format,
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
struct RegisterFile {
    #[serde(rename = "as_at")]
    _as_at: Date,
    authority: Vec<AuthorityEntry>,
    #[serde(default)]
    retired: Vec<RetiredEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityEntry {
    gss: GssCode,
    name: String,
    police: ForceCode,
    #[serde(default)]
    districts: Vec<GssCode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetiredEntry {
    gss: GssCode,
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "ended")]
    _ended: Option<Date>,
    now: Vec<GssCode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartiesFile {
    #[serde(default)]
    endpoint: Vec<PartyEntry>,
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
    format: Format,
    #[serde(default)]
    live: bool,
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

impl Directory {
    /// Reads the register (`policies/directory`) and the parties of this deployment (`endpoints.toml`).
    pub fn parse(register: &str, parties: &str) -> Result<Self, DirectoryFaults> {
        let register: RegisterFile =
            toml::from_str(register).map_err(|fault| DirectoryFaults(vec![format!("register: {fault}")]))?;
        let parties: PartiesFile =
            toml::from_str(parties).map_err(|fault| DirectoryFaults(vec![format!("endpoints: {fault}")]))?;
        let mut faults = Vec::new();
        let mut directory = Directory::default();
        for entry in register.authority {
            for district in entry.districts {
                if directory.also_means.insert(district.clone(), Meaning::District(entry.gss.clone())).is_some() {
                    faults.push(format!("district {district} stands under two authorities"));
                }
            }
            let authority = Authority { gss: entry.gss.clone(), name: entry.name, police: entry.police };
            if directory.authorities.insert(entry.gss.clone(), authority).is_some() {
                faults.push(format!("authority {} stands there twice", entry.gss));
            }
        }
        for entry in register.retired {
            for successor in entry.now.iter().filter(|successor| !directory.authorities.contains_key(*successor)) {
                faults.push(format!("retired code {} points to {successor}, which is not an authority", entry.gss));
            }
            directory.also_means.insert(entry.gss, Meaning::Retired { now: entry.now });
        }
        for entry in parties.endpoint {
            match directory.party_of(entry) {
                Ok(party) => {
                    let name = party.endpoint.clone();
                    if directory.parties.insert(name.clone(), party).is_some() {
                        faults.push(format!("endpoint {name} stands there twice"));
                    }
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(directory) } else { Err(DirectoryFaults(faults)) }
    }

    fn party_of(&self, entry: PartyEntry) -> Result<Party, String> {
        let name = &entry.name;
        let hours = match &entry.hours {
            None => OpeningHours::OFFICE,
            Some(hours) => OpeningHours::parse(hours)
                .ok_or_else(|| format!("endpoint {name}: hours need the form \"Mon-Fri 09:00-17:00\""))?,
        };
        let stated = entry.authority.or_else(|| name.authority().cloned());
        let located = match stated {
            None => None,
            Some(gss) => Some(
                self.authority(&gss)
                    .ok_or_else(|| format!("endpoint {name}: {gss} is no children's services authority"))?
                    .gss
                    .clone(),
            ),
        };
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
        Ok(Party { endpoint: entry.name, kind, located, duty, hours, format: entry.format, live: entry.live })
    }

    /// The same directory with `party` known in it, in place of what was known of it.
    pub fn with(mut self, party: Party) -> Directory {
        self.parties.insert(party.endpoint.clone(), party);
        self
    }

    /// The authority that answers for `gss`: itself, its county, or its one successor (RA-07).
    pub fn authority(&self, gss: &GssCode) -> Option<&Authority> {
        self.authorities.get(gss).or_else(|| match self.also_means.get(gss)? {
            Meaning::District(county) => self.authorities.get(county),
            Meaning::Retired { now } => match now.as_slice() {
                [one] => self.authorities.get(one),
                _ => None,
            },
        })
    }

    /// In whose area a stated code lies. A code this directory does not know is unknown.
    pub fn area(&self, gss: Option<&GssCode>) -> Area {
        match gss {
            None => Area::Unknown,
            Some(gss) => match gss.as_str().get(..1) {
                Some("W") => Area::Wales,
                Some("S") => Area::Scotland,
                Some("N") => Area::NorthernIreland,
                _ if self.authority(gss).is_some() => Area::England,
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

    /// What is known of a party.
    pub fn party(&self, endpoint: &Endpoint) -> Option<&Party> {
        self.parties.get(endpoint)
    }

    /// How a party's messages are written.
    pub fn format(&self, endpoint: &Endpoint) -> Format {
        self.party(endpoint).map_or(Format::Protobuf, |party| party.format)
    }

    /// Every party, in order of name.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        self.parties.values()
    }

    /// Every authority, in order of code.
    pub fn authorities(&self) -> impl Iterator<Item = &Authority> {
        self.authorities.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: &str = include_str!("../../../policies/directory/england.toml");

    fn directory() -> Directory {
        Directory::parse(REGISTER, "").unwrap()
    }

    fn answers_for(gss: &str) -> Option<String> {
        directory().authority(&GssCode::parse(gss).unwrap()).map(|authority| authority.gss.to_string())
    }

    #[test]
    fn the_register_holds_every_english_authority_and_district() {
        let directory = directory();
        let districts = directory.also_means.values().filter(|meaning| matches!(meaning, Meaning::District(_))).count();
        let alone = directory.authorities.keys().filter(|gss| gss.kind() != "E10").count();
        assert_eq!((directory.authorities.len(), districts + alone), (153, 296));
    }

    #[test]
    fn a_district_answers_with_its_county() {
        assert_eq!(answers_for("E07000106").as_deref(), Some("E10000016")); // Canterbury: Kent
        assert_eq!(answers_for("E08000035").as_deref(), Some("E08000035")); // Leeds: itself
    }

    #[test]
    fn a_retired_code_answers_with_its_successor_or_is_unknown() {
        assert_eq!(answers_for("E06000028").as_deref(), Some("E06000058")); // Bournemouth
        assert_eq!(answers_for("E10000021"), None); // Northamptonshire became two
        assert_eq!(answers_for("E06999999"), None);
    }

    #[test]
    fn every_fault_of_an_endpoint_file_is_named_at_once() {
        let faults = Directory::parse(REGISTER, "[[endpoint]]\nname = \"la.E08000035.front-door\"\nhours = \"whenever\"\n[[endpoint]]\nname = \"school.999001\"\nauthority = \"E06999999\"\n").unwrap_err();
        assert_eq!(faults.0.len(), 2);
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
