//! Who sends and who receives: endpoints, written `la.E08000035.front-door`, `school.999001`, `police.13`.
//!
//! An endpoint is also the common name of its owner's certificate, the name of its queue and of its RabbitMQ
//! user, so it holds nothing about a person.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identifiers::{ForceCode, GssCode, Malformed, OdsCode, Urn, VoluntaryCode};
use crate::vocab::{Desk, Household, NationalBody, NhsService, SenderKind, Vocabulary};

/// A party that sends or receives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoint {
    /// A desk of a children's services authority.
    Authority(GssCode, Desk),
    /// A police force's public protection unit.
    Police(ForceCode),
    /// A police force's Prevent team.
    PolicePrevent(ForceCode),
    /// A school's designated safeguarding lead.
    School(Urn),
    /// An NHS organisation.
    Nhs(OdsCode),
    /// An authority's adult safeguarding.
    Adult(GssCode),
    /// Children's services in Wales, Scotland or Northern Ireland.
    Devolved(GssCode),
    /// A voluntary organisation.
    Voluntary(VoluntaryCode),
    /// A service of the NHS in an area, such as health visiting.
    NhsService(GssCode, NhsService),
    /// The multi-agency risk assessment conference of an area (RA-24).
    Marac(GssCode),
    /// A national body.
    National(NationalBody),
    /// A household of the child's family. Nobody but the authority reaches it.
    Household(Household),
    /// A member of the public.
    Public,
    /// Whoever runs this broker.
    Operator,
}

impl Endpoint {
    /// Reads the dotted form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let unknown = Malformed {
            identifier: "an endpoint",
            because: "it needs a form such as la.E08000035.front-door, school.999001 or police.13",
        };
        let parts: Vec<&str> = text.split('.').collect();
        match parts.as_slice() {
            ["la", gss, desk] => Ok(Endpoint::Authority(GssCode::parse(gss)?, Desk::read(desk).ok_or(unknown)?)),
            ["police", force] => ForceCode::parse(force).map(Endpoint::Police),
            ["police", force, "prevent"] => ForceCode::parse(force).map(Endpoint::PolicePrevent),
            ["school", urn] => Urn::parse(urn).map(Endpoint::School),
            ["nhs", ods] => OdsCode::parse(ods).map(Endpoint::Nhs),
            ["adult", gss] => GssCode::parse(gss).map(Endpoint::Adult),
            ["devolved", gss] => GssCode::parse(gss).map(Endpoint::Devolved),
            ["vcs", code] => VoluntaryCode::parse(code).map(Endpoint::Voluntary),
            ["nhs", gss, service] => Ok(Endpoint::NhsService(GssCode::parse(gss)?, NhsService::read(service).ok_or(unknown)?)),
            ["marac", gss] => GssCode::parse(gss).map(Endpoint::Marac),
            ["national", body] => NationalBody::read(body).map(Endpoint::National).ok_or(unknown),
            ["household", which] => Household::read(which).map(Endpoint::Household).ok_or(unknown),
            ["public"] => Ok(Endpoint::Public),
            ["operator"] => Ok(Endpoint::Operator),
            _ => Err(unknown),
        }
    }

    /// The front door of the authority `gss`.
    pub fn front_door(gss: GssCode) -> Self {
        Endpoint::Authority(gss, Desk::FrontDoor)
    }

    /// The authority whose desk this is.
    pub fn authority(&self) -> Option<&GssCode> {
        match self {
            Endpoint::Authority(gss, _) => Some(gss),
            Endpoint::Police(_)
            | Endpoint::PolicePrevent(_)
            | Endpoint::School(_)
            | Endpoint::Nhs(_)
            | Endpoint::Adult(_)
            | Endpoint::Devolved(_)
            | Endpoint::Voluntary(_)
            | Endpoint::NhsService(..)
            | Endpoint::Marac(_)
            | Endpoint::National(_)
            | Endpoint::Household(_)
            | Endpoint::Public
            | Endpoint::Operator => None,
        }
    }

    /// As what kind of agency it sends. A school that is independent is known from the directory.
    pub fn sender_kind(&self) -> SenderKind {
        match self {
            Endpoint::Authority(..) => SenderKind::Authority,
            Endpoint::Police(_) | Endpoint::PolicePrevent(_) => SenderKind::Police,
            Endpoint::School(_) => SenderKind::School,
            Endpoint::Nhs(_) | Endpoint::NhsService(..) => SenderKind::Nhs,
            Endpoint::Adult(_) | Endpoint::Devolved(_) | Endpoint::Marac(_) | Endpoint::National(_) => SenderKind::OtherAuthority,
            Endpoint::Voluntary(_) => SenderKind::Voluntary,
            Endpoint::Household(_) | Endpoint::Public => SenderKind::Public,
            Endpoint::Operator => SenderKind::Operator,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Authority(gss, desk) => write!(f, "la.{gss}.{desk}"),
            Endpoint::Police(force) => write!(f, "police.{force}"),
            Endpoint::PolicePrevent(force) => write!(f, "police.{force}.prevent"),
            Endpoint::School(urn) => write!(f, "school.{urn}"),
            Endpoint::Nhs(ods) => write!(f, "nhs.{ods}"),
            Endpoint::Adult(gss) => write!(f, "adult.{gss}"),
            Endpoint::Devolved(gss) => write!(f, "devolved.{gss}"),
            Endpoint::Voluntary(code) => write!(f, "vcs.{code}"),
            Endpoint::NhsService(gss, service) => write!(f, "nhs.{gss}.{service}"),
            Endpoint::Marac(gss) => write!(f, "marac.{gss}"),
            Endpoint::National(body) => write!(f, "national.{body}"),
            Endpoint::Household(which) => write!(f, "household.{which}"),
            Endpoint::Public => f.write_str("public"),
            Endpoint::Operator => f.write_str("operator"),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        Endpoint::parse(&text)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        endpoint.to_string()
    }
}
