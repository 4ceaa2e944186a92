//! The register: which authority answers for a place, on a date (RA-07).
//!
//! Codes outlive the councils they were given to: a district, a retired code, a code used before its day, all
//! lead to whoever answers on the date asked for. Where a code alone does not tell, every candidate is named and
//! none is chosen. The register proves itself when it is read: every district has one authority on every day.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Deserialize;

use crate::identifiers::{ForceCode, GssCode};
use crate::vocab::{Area, vocabulary};

vocabulary! {
    /// What kind of council an authority is.
    pub enum AuthorityKind = "kind" {
        /// A county council, over districts.
        County => "county",
        /// A unitary council.
        Unitary => "unitary",
        /// The Council of the Isles of Scilly, of its own kind.
        IslesOfScilly => "isles_of_scilly",
        /// A metropolitan district.
        MetropolitanDistrict => "metropolitan_district",
        /// A London borough.
        LondonBorough => "london_borough",
        /// The City of London Corporation.
        CityOfLondon => "city_of_london",
    }
}

/// A children's services authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its code.
    pub gss: GssCode,
    /// The Department for Education's three digits; none before they are issued.
    pub dfe: Option<String>,
    /// Its name.
    pub name: String,
    /// What kind of council.
    pub kind: AuthorityKind,
    /// The code of its region.
    pub region: GssCode,
    /// The police force of its area.
    pub police: ForceCode,
    /// Its code is ours until the real one is issued.
    pub provisional: bool,
}

/// One code, for as long as it stood for somebody.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    from: Option<Date>,
    until: Option<Date>,
    role: Role,
    becomes: Vec<GssCode>,
}

#[derive(Clone, Debug)]
enum Role {
    Authority(Authority),
    District { county: GssCode },
}

/// Where a day lies, seen from an entry.
enum Seen {
    Before,
    Within,
    After,
}

impl Entry {
    fn seen_on(&self, day: Date) -> Seen {
        if self.from.is_some_and(|from| day < from) {
            Seen::Before
        } else if self.until.is_some_and(|until| day > until) {
            Seen::After
        } else {
            Seen::Within
        }
    }

    fn is_in_force(&self, day: Date) -> bool {
        matches!(self.seen_on(day), Seen::Within)
    }
}

/// A police force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Force {
    /// Its two digits.
    pub code: ForceCode,
    /// Its name.
    pub name: String,
    /// In which country its area lies; none for a special force.
    pub nation: Option<Area>,
    /// The code of its area; none for a special force.
    pub area: Option<GssCode>,
    /// What a special force polices, such as the railways.
    pub special: Option<String>,
}

/// A council outside England, to which a child who lives there is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Its code.
    pub gss: GssCode,
    /// Its name.
    pub name: String,
    /// Its nation.
    pub nation: Area,
    /// Who has children's services there, where that is not the council: the trusts of Northern Ireland.
    pub bodies: Vec<String>,
}

/// A company that does an authority's work. The authority stays the addressee.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryBody {
    /// For whom.
    pub authority: GssCode,
    /// Its name.
    pub name: String,
    /// Its first day.
    pub from: Date,
    /// Its last day, if it has ended.
    pub until: Option<Date>,
    /// The source was not checked again, or does not give the exact day.
    #[serde(default)]
    pub doubtful: bool,
}

/// The register of English children's services authorities.
#[derive(Clone, Debug, Default)]
pub struct Register {
    entries: BTreeMap<GssCode, Entry>,
    /// Older codes of the same body.
    formerly: BTreeMap<GssCode, GssCode>,
    /// Whom an entry followed.
    followed: BTreeMap<GssCode, Vec<GssCode>>,
    called: BTreeMap<String, GssCode>,
    /// The Department for Education's numbers. A number may have outlived a council.
    dfe: BTreeMap<String, Vec<GssCode>>,
    regions: BTreeMap<GssCode, String>,
    forces: BTreeMap<ForceCode, Force>,
    /// Further two-digit codes of a force.
    also_force: BTreeMap<ForceCode, ForceCode>,
    beyond: BTreeMap<GssCode, Beyond>,
    delivery_bodies: Vec<DeliveryBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterFile {
    #[serde(rename = "as_at")]
    _as_at: Date,
    region: Vec<RegionEntry>,
    authority: Vec<AuthorityEntry>,
    #[serde(default)]
    district: Vec<DistrictEntry>,
    #[serde(default)]
    retired_dfe_code: Vec<RetiredDfeEntry>,
    #[serde(default)]
    force: Vec<ForceEntry>,
    #[serde(default)]
    beyond: Vec<BeyondEntry>,
    #[serde(default)]
    delivery_body: Vec<DeliveryBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForceEntry {
    code: ForceCode,
    #[serde(default)]
    also: Vec<ForceCode>,
    name: String,
    nation: Option<Area>,
    area: Option<GssCode>,
    special: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BeyondEntry {
    gss: GssCode,
    name: String,
    nation: Area,
    #[serde(default)]
    formerly: Vec<FormerCode>,
    #[serde(default)]
    bodies: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionEntry {
    gss: GssCode,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityEntry {
    gss: GssCode,
    dfe: Option<String>,
    name: String,
    kind: AuthorityKind,
    region: GssCode,
    police: ForceCode,
    from: Option<Date>,
    until: Option<Date>,
    #[serde(default)]
    becomes: Vec<GssCode>,
    #[serde(default)]
    formerly: Vec<FormerCode>,
    #[serde(default)]
    provisional: bool,
    called: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DistrictEntry {
    gss: GssCode,
    name: String,
    county: GssCode,
    from: Option<Date>,
    until: Option<Date>,
    #[serde(default)]
    becomes: Vec<GssCode>,
    #[serde(default)]
    formerly: Vec<FormerCode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormerCode {
    gss: GssCode,
    #[serde(rename = "until")]
    _until: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetiredDfeEntry {
    dfe: String,
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "until")]
    _until: Date,
    becomes: Vec<GssCode>,
}

impl Register {
    /// Reads a register file and proves it. Every fault is named.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file: RegisterFile = toml::from_str(text).map_err(|fault| vec![format!("register: {fault}")])?;
        let mut faults = Vec::new();
        let regions = file.region.into_iter().map(|region| (region.gss, region.name)).collect();
        let mut register = Register { regions, ..Register::default() };
        for AuthorityEntry { gss, dfe, name, kind, region, police, from, until, becomes, formerly, provisional, called } in
            file.authority
        {
            if !register.regions.contains_key(&region) {
                faults.push(format!("authority {gss}: {region} is no region of this register"));
            }
            if let Some(dfe) = &dfe {
                register.dfe.entry(dfe.clone()).or_default().push(gss.clone());
            }
            if let Some(called) = called
                && register.called.insert(called, gss.clone()).is_some()
            {
                faults.push(format!("authority {gss}: another is called the same"));
            }
            let authority = Authority { gss: gss.clone(), dfe, name: name.clone(), kind, region, police, provisional };
            let entry = Entry { name, from, until, role: Role::Authority(authority), becomes };
            register.enter(gss, entry, formerly, &mut faults);
        }
        for DistrictEntry { gss, name, county, from, until, becomes, formerly } in file.district {
            let entry = Entry { name, from, until, role: Role::District { county }, becomes };
            register.enter(gss, entry, formerly, &mut faults);
        }
        for retired in file.retired_dfe_code {
            for gss in retired.becomes {
                if !register.entries.contains_key(&gss) {
                    faults.push(format!("the retired number {} points to {gss}, which does not stand here", retired.dfe));
                }
                register.dfe.entry(retired.dfe.clone()).or_default().push(gss);
            }
        }
        for ForceEntry { code, also, name, nation, area, special } in file.force {
            if area.is_some() == special.is_some() {
                faults.push(format!("force {code} needs either an area or what it polices"));
            }
            register.also_force.extend(also.into_iter().map(|also| (also, code.clone())));
            if register.forces.insert(code.clone(), Force { code: code.clone(), name, nation, area, special }).is_some() {
                faults.push(format!("force {code} stands there twice"));
            }
        }
        for BeyondEntry { gss, name, nation, formerly, bodies } in file.beyond {
            register.formerly.extend(formerly.into_iter().map(|former| (former.gss, gss.clone())));
            if register.beyond.insert(gss.clone(), Beyond { gss: gss.clone(), name, nation, bodies }).is_some() {
                faults.push(format!("{gss} stands there twice"));
            }
        }
        register.delivery_bodies = file.delivery_body;
        register.prove(&mut faults);
        if faults.is_empty() { Ok(register) } else { Err(faults) }
    }

    fn enter(&mut self, gss: GssCode, entry: Entry, formerly: Vec<FormerCode>, faults: &mut Vec<String>) {
        for successor in &entry.becomes {
            self.followed.entry(successor.clone()).or_default().push(gss.clone());
        }
        for former in formerly {
            if self.formerly.insert(former.gss.clone(), gss.clone()).is_some() {
                faults.push(format!("the former code {} stands there twice", former.gss));
            }
        }
        if self.entries.insert(gss.clone(), entry).is_some() {
            faults.push(format!("{gss} stands there twice"));
        }
    }

    /// What makes the answers total and never two: a code stands for one body, who follows begins the day after,
    /// and a county lasts as long as its districts.
    fn prove(&self, faults: &mut Vec<String>) {
        for former in self.formerly.keys().filter(|former| self.entries.contains_key(*former)) {
            faults.push(format!("{former} is both a former code and one in its own right"));
        }
        for (gss, entry) in &self.entries {
            if let (Some(from), Some(until)) = (entry.from, entry.until)
                && from > until
            {
                faults.push(format!("{gss} ends before it begins"));
            }
            match (entry.until, entry.becomes.is_empty()) {
                (Some(_), true) => faults.push(format!("{gss} ends and nobody follows")),
                (None, false) => faults.push(format!("{gss} has a successor and no last day")),
                (Some(_), false) | (None, true) => {}
            }
            let next_day = entry.until.map(|until| until.saturating_add(1.day()));
            for successor in &entry.becomes {
                match self.entries.get(successor) {
                    None => faults.push(format!("{gss} becomes {successor}, which does not stand here")),
                    Some(next) if next.from != next_day => {
                        faults.push(format!("{gss} becomes {successor}, which does not begin on the day after"));
                    }
                    Some(_) => {}
                }
            }
            match &entry.role {
                Role::District { county } => self.prove_county(gss, entry, county, faults),
                Role::Authority(authority) => {
                    if self.forces.get(&authority.police).is_none_or(|force| force.area.is_none()) {
                        faults.push(format!("authority {gss}: {} is no police force with an area", authority.police));
                    }
                }
            }
        }
        for body in self.delivery_bodies.iter().filter(|body| !self.is_authority(&body.authority)) {
            faults.push(format!("{}: {} is no authority of this register", body.name, body.authority));
        }
    }

    /// Whether a code is an authority's own, whatever the date: no district's, and none by which it went before.
    pub fn is_authority(&self, gss: &GssCode) -> bool {
        self.entries.get(gss).is_some_and(|entry| matches!(entry.role, Role::Authority(_)))
    }

    fn prove_county(&self, gss: &GssCode, district: &Entry, county: &GssCode, faults: &mut Vec<String>) {
        match self.entries.get(county) {
            Some(above) if matches!(&above.role, Role::Authority(authority) if authority.kind == AuthorityKind::County) => {
                let lasts = above.from.is_none_or(|from| district.from.is_some_and(|began| began >= from))
                    && above.until.is_none_or(|until| district.until.is_some_and(|ended| ended <= until));
                if !lasts {
                    faults.push(format!("district {gss} has days on which its county {county} does not exist"));
                }
            }
            Some(_) | None => faults.push(format!("district {gss}: {county} is no county of this register")),
        }
    }

    fn entry(&self, gss: &GssCode) -> Option<&Entry> {
        self.entries.get(gss).or_else(|| self.entries.get(self.formerly.get(gss)?))
    }

    /// Whether the code stands, or ever stood, for a place of this register.
    pub fn knows(&self, gss: &GssCode) -> bool {
        self.entry(gss).is_some()
    }

    /// The name of the place of a code, whatever the date.
    pub fn name(&self, gss: &GssCode) -> Option<&str> {
        let inside = self.entry(gss).map(|entry| entry.name.as_str());
        inside.or_else(|| self.beyond(gss).map(|beyond| beyond.name.as_str()))
    }

    /// The code by which the body of `gss` goes now, if `gss` is an older one of the same body.
    pub fn current_code<'a>(&'a self, gss: &'a GssCode) -> &'a GssCode {
        self.formerly.get(gss).unwrap_or(gss)
    }

    /// Whether a code stands for a council or a district on that day. An older code of the same body does not.
    pub fn is_in_force(&self, gss: &GssCode, on: Date) -> bool {
        self.entries.get(gss).is_some_and(|entry| entry.is_in_force(on))
    }

    /// A council outside England.
    pub fn beyond(&self, gss: &GssCode) -> Option<&Beyond> {
        self.beyond.get(self.current_code(gss))
    }

    /// The councils outside England, in order of code.
    pub fn all_beyond(&self) -> impl Iterator<Item = &Beyond> {
        self.beyond.values()
    }

    /// A police force, by any of its codes.
    pub fn force(&self, code: &ForceCode) -> Option<&Force> {
        self.forces.get(self.also_force.get(code).unwrap_or(code))
    }

    /// Every police force, in order of code.
    pub fn forces(&self) -> impl Iterator<Item = &Force> {
        self.forces.values()
    }

    /// The company that does an authority's work on that day, if one does.
    pub fn delivery_body(&self, authority: &GssCode, on: Date) -> Option<&DeliveryBody> {
        self.delivery_bodies
            .iter()
            .find(|body| body.authority == *authority && body.from <= on && body.until.is_none_or(|until| on <= until))
    }

    /// Whether the authority or district of `gss` has ended by that day, or has another code now.
    pub fn has_ended(&self, gss: &GssCode, on: Date) -> bool {
        let current = self.current_code(gss);
        current != gss || self.entries.get(current).is_some_and(|entry| matches!(entry.seen_on(on), Seen::After))
    }

    /// Everybody who may answer for `gss` on that day, in order of code: one where the code tells, several where
    /// it was split or merged, none where it is not known.
    pub fn candidates(&self, gss: &GssCode, on: Date) -> Vec<&Authority> {
        let gss = self.current_code(gss);
        let mut found = BTreeMap::new();
        self.collect(gss, on, &mut found);
        found.into_values().collect()
    }

    /// Ends because successors begin after those they follow (proved above), so each step is a step in time, in
    /// one direction.
    fn collect<'a>(&'a self, gss: &GssCode, on: Date, found: &mut BTreeMap<&'a GssCode, &'a Authority>) {
        let Some(entry) = self.entries.get(gss) else { return };
        match (entry.seen_on(on), &entry.role) {
            (Seen::Within, Role::Authority(authority)) => {
                found.insert(&authority.gss, authority);
            }
            (Seen::Within, Role::District { county }) => self.collect(county, on, found),
            (Seen::After, Role::Authority(_) | Role::District { .. }) => {
                for successor in &entry.becomes {
                    self.collect(successor, on, found);
                }
            }
            // Used before its day: whoever had the place then.
            (Seen::Before, Role::Authority(_) | Role::District { .. }) => {
                for predecessor in self.followed.get(gss).into_iter().flatten() {
                    self.collect(predecessor, on, found);
                }
            }
        }
    }

    /// The one authority that answers for `gss` on that day.
    pub fn authority(&self, gss: &GssCode, on: Date) -> Option<&Authority> {
        match self.candidates(gss, on).as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Everybody whom one of the Department for Education's numbers, in use or retired, may mean on that day.
    pub fn by_dfe_number(&self, dfe: &str, on: Date) -> Vec<&Authority> {
        let mut found = BTreeMap::new();
        for gss in self.dfe.get(dfe).into_iter().flatten() {
            self.collect(gss, on, &mut found);
        }
        found.into_values().collect()
    }

    /// The code of the place that worked cases call by this name.
    pub fn called(&self, name: &str) -> Option<&GssCode> {
        self.called.get(name)
    }

    /// The name by which worked cases call the place of `gss`, where they have one.
    pub fn stand_in_name(&self, gss: &GssCode) -> Option<&str> {
        self.called.iter().find(|(_, code)| *code == gss).map(|(name, _)| name.as_str())
    }

    /// The authorities of a day, in order of code.
    pub fn authorities(&self, on: Date) -> impl Iterator<Item = &Authority> {
        self.entries.values().filter(move |entry| entry.is_in_force(on)).filter_map(|entry| match &entry.role {
            Role::Authority(authority) => Some(authority),
            Role::District { .. } => None,
        })
    }

    /// The districts of a day, in order of code: what a postcode file gives. An authority without districts below
    /// it is its own.
    pub fn districts(&self, on: Date) -> impl Iterator<Item = &GssCode> {
        self.entries.iter().filter(move |(_, entry)| entry.is_in_force(on)).filter_map(|(gss, entry)| match &entry.role {
            Role::Authority(authority) => (authority.kind != AuthorityKind::County).then_some(gss),
            Role::District { .. } => Some(gss),
        })
    }

    /// Every day on which something begins or has ended, in order.
    pub fn days_of_change(&self) -> Vec<Date> {
        let begun = self.entries.values().filter_map(|entry| entry.from);
        let ended = self.entries.values().filter_map(|entry| entry.until).map(|until| until.saturating_add(1.day()));
        let days: std::collections::BTreeSet<Date> = begun.chain(ended).collect();
        days.into_iter().collect()
    }

    /// The name of a region.
    pub fn region(&self, gss: &GssCode) -> Option<&str> {
        self.regions.get(gss).map(String::as_str)
    }
}
