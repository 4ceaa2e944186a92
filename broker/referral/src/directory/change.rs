//! What is different between two directories, for the record and for whoever reads the log.

use serde::Serialize;

use super::{Directory, Party};
use crate::{Digest, Endpoint};

/// What another directory does differently from the one before. Holds nothing about a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Parties that are connected now and were not.
    pub connected: Vec<Endpoint>,
    /// Parties that were connected and are no longer.
    pub no_longer: Vec<Endpoint>,
    /// Parties that stay, and what of them is different.
    pub altered: Vec<(Endpoint, Vec<&'static str>)>,
    /// Whether places are looked up in other releases than before.
    pub other_releases: bool,
}

/// The releases that places are looked up in; none where nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Releases {
    /// Of postcodes: what it is called, and the digest of what was imported.
    pub postcodes: Option<(String, Digest)>,
    /// Of properties.
    pub properties: Option<(String, Digest)>,
    /// Of schools.
    pub schools: Option<(String, Digest)>,
    /// Of NHS organisations.
    pub health_bodies: Option<(String, Digest)>,
}

impl Changes {
    /// Nothing is different.
    pub fn are_none(&self) -> bool {
        *self == Changes::default()
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |endpoints: &[Endpoint]| endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        if !self.connected.is_empty() {
            parts.push(format!("connected: {}", names(&self.connected)));
        }
        if !self.no_longer.is_empty() {
            parts.push(format!("no longer connected: {}", names(&self.no_longer)));
        }
        parts.extend(self.altered.iter().map(|(endpoint, what)| format!("{endpoint}: other {}", what.join(", "))));
        if self.other_releases {
            parts.push("another release of what was imported".to_owned());
        }
        f.write_str(&parts.join("; "))
    }
}

impl Directory {
    /// What is different here from `before`.
    pub fn changes_since(&self, before: &Directory) -> Changes {
        let only_in = |one: &Directory, other: &Directory| {
            one.parties.keys().filter(|endpoint| !other.parties.contains_key(endpoint)).cloned().collect()
        };
        let altered = self.parties.iter().filter_map(|(endpoint, party)| {
            let what = differences(before.parties.get(endpoint)?, party);
            (!what.is_empty()).then(|| (endpoint.clone(), what))
        });
        Changes {
            connected: only_in(self, before),
            no_longer: only_in(before, self),
            altered: altered.collect(),
            other_releases: self.releases() != before.releases(),
        }
    }

    /// Whether a release that `before` held is not there any more. Nobody takes one away while places are looked up in it.
    pub fn lacks_a_release_of(&self, before: &Directory) -> bool {
        let (now, then) = (self.releases(), before.releases());
        (self.only_a_sample && !before.only_a_sample)
            || (now.properties.is_none() && then.properties.is_some())
            || (now.schools.is_none() && then.schools.is_some())
            || (now.health_bodies.is_none() && then.health_bodies.is_some())
    }

    /// The releases that places are looked up in.
    pub fn releases(&self) -> Releases {
        let postcodes = self.postcodes.as_ref().map(|postcodes| (postcodes.release().name.clone(), postcodes.digest()));
        let properties = self.uprns.as_ref().map(|uprns| (uprns.release().name.clone(), uprns.digest()));
        let schools = self.schools.as_ref().map(|list| (list.extract().name.clone(), list.extract().source));
        let health_bodies = self.health.as_ref().map(|list| (list.extract().name.clone(), list.extract().source));
        Releases { postcodes, properties, schools, health_bodies }
    }
}

fn differences(before: &Party, now: &Party) -> Vec<&'static str> {
    let Party { endpoint: _, kind, located, duty, serves, hours, format, schemas, live } = before;
    let compared = [
        (*kind == now.kind, "kind"),
        (*located == now.located, "area"),
        (*duty == now.duty, "duty to share"),
        (*serves == now.serves, "authorities served"),
        (*hours == now.hours, "hours"),
        (*format == now.format, "format"),
        (*schemas == now.schemas, "schema versions"),
        (*live == now.live, "live"),
    ];
    compared.into_iter().filter(|(is_same, _)| !is_same).map(|(_, what)| what).collect()
}
