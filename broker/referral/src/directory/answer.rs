//! Who answers, from whatever was given: with its basis, its release, its reason and its doubts.
//!
//! What a person stated wins over what a postcode suggests, because a postcode is evidence and not proof; so does the
//! number of a property, which lies in one area only. Where the
//! evidence leaves several, or none, every candidate is named and nobody is chosen: a person decides. A reason
//! never repeats what was given.

use jiff::civil::Date;

use super::place::Place;
use super::postcodes::{PartialPostcode, PostcodeKey};
use super::{Directory, HealthBody, School};
use crate::identifiers::{GssCode, OdsCode, Postcode, Uprn, Urn};
use crate::submission::Referral;
use crate::vocab::{Area, vocabulary};

vocabulary! {
    /// What an answer stands on.
    pub enum Basis = "basis" {
        /// A code that somebody stated.
        Stated => "stated",
        /// A property's reference number.
        Uprn => "uprn",
        /// A postcode, by the release in use.
        Postcode => "postcode",
        /// The front of a postcode.
        PartialPostcode => "partial_postcode",
        /// The authority in whose area a school is.
        School => "school",
        /// Where an NHS organisation has its office.
        HealthOrganisation => "health_organisation",
        /// Nothing was given.
        Nothing => "nothing",
    }
}

vocabulary! {
    /// Why an answer is less than certain, or there is none.
    pub enum Doubt = "doubt" {
        /// Several may answer.
        Several => "several",
        /// The code is not known.
        UnknownCode => "unknown_code",
        /// The code is no longer, or not yet, in use: whoever has its place was found.
        NotOfThatDay => "not_of_that_day",
        /// The answer's own code is provisional.
        Provisional => "provisional",
        /// A pseudo postcode: no fixed abode, not known, or abroad.
        PseudoPostcode => "pseudo_postcode",
        /// Forces post: the postcode says nothing about where somebody lives.
        ForcesPost => "forces_post",
        /// The release does not hold the postcode.
        NotInRelease => "not_in_release",
        /// The postcode is no longer in use.
        EndedPostcode => "ended_postcode",
        /// The release gives no district for the postcode.
        NoDistrict => "no_district",
        /// Jersey, Guernsey or the Isle of Man.
        CrownDependency => "crown_dependency",
        /// What was stated, and what the property's number or the postcode suggests, differ.
        StatedDiffers => "stated_differs",
        /// No table of property reference numbers is held.
        NoUprnTable => "no_uprn_table",
        /// The list in use does not hold the organisation.
        UnknownOrganisation => "unknown_organisation",
        /// The organisation was not open on that day.
        NotOpen => "not_open",
        /// No release was imported: only the small sample that ships is held.
        OnlyASample => "only_a_sample",
    }
}

/// Who answers, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it stands on.
    pub basis: Basis,
    /// Who answers: an English authority, or a council outside England.
    pub council: Option<GssCode>,
    /// In whose area that is.
    pub area: Area,
    /// Everybody it may be, where that is not one.
    pub candidates: Vec<GssCode>,
    /// By which release.
    pub release: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// What speaks against it.
    pub doubts: Vec<Doubt>,
}

impl Answer {
    fn none(basis: Basis, reason: &str, doubts: &[Doubt]) -> Self {
        Answer {
            basis,
            council: None,
            area: Area::Unknown,
            candidates: Vec::new(),
            release: None,
            reason: reason.to_owned(),
            doubts: doubts.to_vec(),
        }
    }

    fn doubted(mut self, doubt: Doubt) -> Self {
        if !self.doubts.contains(&doubt) {
            self.doubts.push(doubt);
        }
        self
    }

    fn by(self, basis: Basis, release: &str) -> Self {
        Answer { basis, release: Some(release.to_owned()), ..self }
    }
}

/// What can be looked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// A code of an area.
    Gss(GssCode),
    /// A school.
    School(Urn),
    /// An NHS organisation.
    Health(OdsCode),
    /// A postcode.
    Postcode(Postcode),
    /// The front of one.
    PartialPostcode(PartialPostcode),
    /// A property.
    Uprn(Uprn),
}

impl Asked {
    /// Reads what an operator types: `LS1 4AP`, `LS1`, `E08000035`, `100000`, `RR8`; with `urn:`, `ods:` or `uprn:`
    /// in front where it could be two things. Six digits are a school, other numbers a property.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        for (prefix, read) in [
            ("urn:", (|text| Urn::parse(text).ok().map(Asked::School)) as fn(&str) -> Option<Asked>),
            ("ods:", |text| OdsCode::parse(text).ok().map(Asked::Health)),
            ("uprn:", |text| Uprn::parse(text).ok().map(Asked::Uprn)),
        ] {
            if let Some(rest) = lower.strip_prefix(prefix) {
                return read(rest.trim());
            }
        }
        let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if number {
            return Urn::parse(text).map(Asked::School).or_else(|_| Uprn::parse(text).map(Asked::Uprn)).ok();
        }
        let gss = GssCode::parse(text).map(Asked::Gss);
        let postcode = || Postcode::parse(text).map(Asked::Postcode);
        let health = || OdsCode::parse(text).ok().map(Asked::Health);
        let front = || PartialPostcode::parse(text).map(Asked::PartialPostcode);
        gss.or_else(|_| postcode()).ok().or_else(front).or_else(health)
    }
}

impl Directory {
    /// Reads what an operator types. A short code such as `RR8` has the shape of a postcode's front; where no postcode
    /// begins so, it is an NHS organisation's.
    pub fn asked(&self, text: &str) -> Option<Asked> {
        let asked = Asked::parse(text)?;
        match &asked {
            Asked::PartialPostcode(partial)
                if self.postcodes.as_ref().is_none_or(|postcodes| postcodes.beginning(*partial).is_empty()) =>
            {
                Some(OdsCode::parse(text).map(Asked::Health).unwrap_or(asked))
            }
            Asked::Gss(_)
            | Asked::School(_)
            | Asked::Health(_)
            | Asked::Postcode(_)
            | Asked::PartialPostcode(_)
            | Asked::Uprn(_) => Some(asked),
        }
    }

    /// Who answers for what was asked, on that day.
    pub fn look_up(&self, asked: &Asked, on: Date) -> Answer {
        match asked {
            Asked::Gss(gss) => self.by_code(gss, on),
            Asked::School(urn) => self.by_school(urn, on),
            Asked::Health(ods) => self.by_health_body(ods, on),
            Asked::Postcode(postcode) => self.by_postcode(postcode, on),
            Asked::PartialPostcode(partial) => self.by_partial_postcode(*partial, on),
            Asked::Uprn(uprn) => self.by_uprn(uprn, on),
        }
    }

    /// Where the child lives, on that day: what the sender states, else what the number of the property says, else what
    /// the postcode of the home suggests. A stated code that leaves several is narrowed by those, if they agree with one
    /// of them.
    pub fn home_of(&self, referral: &Referral, on: Date) -> Answer {
        let by_uprn =
            referral.home_uprn.as_ref().map(|uprn| self.by_uprn(uprn, on)).filter(|answer| answer.area != Area::Unknown);
        let suggested = by_uprn.or_else(|| referral.home_postcode.as_ref().map(|postcode| self.by_postcode(postcode, on)));
        match (referral.places.home.as_ref().map(|gss| self.by_code(gss, on)), suggested) {
            (None, None) => Answer::none(Basis::Nothing, "neither a place nor a postcode of the home was given", &[]),
            (None, Some(suggested)) => suggested,
            (Some(stated), None) => stated,
            (Some(stated), Some(suggested)) => match (&stated.council, &suggested.council) {
                (Some(home), Some(other)) if home != other => stated.doubted(Doubt::StatedDiffers),
                (None, Some(council)) if stated.candidates.contains(council) => suggested,
                (Some(_), Some(_) | None) | (None, Some(_) | None) => stated,
            },
        }
    }

    fn by_code(&self, gss: &GssCode, on: Date) -> Answer {
        let register = self.register();
        if let Some(beyond) = register.beyond(gss) {
            return Answer {
                council: Some(beyond.gss.clone()),
                area: beyond.nation,
                ..Answer::none(Basis::Stated, "the council is outside England: the child is handed to that system", &[])
            };
        }
        let candidates = register.candidates(gss, on);
        let codes = || candidates.iter().map(|authority| authority.gss.clone()).collect();
        match candidates.as_slice() {
            // A code with the letter of another country is in that country, known or not.
            [] => Answer {
                area: self.area(Some(gss), on),
                ..Answer::none(Basis::Stated, "the register does not know the code", &[Doubt::UnknownCode])
            },
            [one] => {
                let own = register.current_code(gss) == &one.gss;
                let reason = if own {
                    "the code is this authority's own"
                } else if register.is_in_force(gss, on) {
                    "the code is a district's; its county has the children's services"
                } else {
                    "the code is not in use on that day; this authority has its place"
                };
                let answer =
                    Answer { council: Some(one.gss.clone()), area: Area::England, ..Answer::none(Basis::Stated, reason, &[]) };
                let answer = if own || register.is_in_force(gss, on) { answer } else { answer.doubted(Doubt::NotOfThatDay) };
                if one.provisional { answer.doubted(Doubt::Provisional) } else { answer }
            }
            [_, _, ..] => Answer {
                candidates: codes(),
                area: Area::England,
                ..Answer::none(
                    Basis::Stated,
                    "the code's area went to several authorities; a postcode or a person tells which",
                    &[Doubt::Several, Doubt::NotOfThatDay],
                )
            },
        }
    }

    /// Who answers for the place of a postcode, on that day.
    pub fn by_postcode(&self, postcode: &Postcode, on: Date) -> Answer {
        let nowhere = |reason, doubt| Answer::none(Basis::Postcode, reason, &[doubt]);
        if postcode.is_pseudo() {
            return nowhere(
                "a postcode that stands for no fixed abode, not known or abroad; ask where the child is now",
                Doubt::PseudoPostcode,
            );
        }
        if postcode.as_str().starts_with("BF1 ") {
            return nowhere("a postcode of the forces' post office; ask where the child is now", Doubt::ForcesPost);
        }
        let Some(postcodes) = &self.postcodes else {
            return nowhere("no postcodes are held", Doubt::NotInRelease);
        };
        let release = &postcodes.release().name;
        let located = PostcodeKey::of(postcode.as_str().as_bytes()).and_then(|key| postcodes.find(key));
        let answer = match located {
            None => nowhere("the release in use does not hold the postcode", Doubt::NotInRelease),
            Some(located) => {
                let answer = self.by_place(located.place, "postcode", on);
                if located.ended { answer.doubted(Doubt::EndedPostcode) } else { answer }
            }
        };
        self.with_sample_noted(answer.by(Basis::Postcode, release))
    }

    /// Who answers for the place of a property, on that day. It is nearer to proof than its postcode, which may lie in two
    /// areas.
    pub fn by_uprn(&self, uprn: &Uprn, on: Date) -> Answer {
        let Some(uprns) = &self.uprns else {
            let reason = "no table of property reference numbers is held; the postcode or the council has to be given";
            return Answer::none(Basis::Uprn, reason, &[Doubt::NoUprnTable]);
        };
        let answer = match uprns.find(uprn) {
            None => Answer::none(Basis::Uprn, "the release in use does not hold the property", &[Doubt::NotInRelease]),
            Some(place) => self.by_place(place, "property", on),
        };
        answer.by(Basis::Uprn, &uprns.release().name)
    }

    /// Who answers for a place to which a release puts a postcode or a property.
    fn by_place(&self, place: &Place, what: &str, on: Date) -> Answer {
        let nowhere = |reason: String, doubt| Answer::none(Basis::Nothing, &reason, &[doubt]);
        match place {
            Place::NoDistrict => nowhere(format!("the release gives no district for the {what}"), Doubt::NoDistrict),
            Place::ChannelIslands | Place::IsleOfMan => {
                nowhere(format!("the {what} is in a Crown dependency, which has its own services"), Doubt::CrownDependency)
            }
            Place::Council(district) => {
                let answer = self.by_code(district, on);
                let reason = format!("the release puts the {what} in {district}; {}", answer.reason);
                // A release names the districts of its own day; who has them now is what was asked.
                let doubts = answer.doubts.iter().copied().filter(|doubt| *doubt != Doubt::NotOfThatDay).collect();
                Answer { reason, doubts, ..answer }
            }
        }
    }

    fn by_partial_postcode(&self, partial: PartialPostcode, on: Date) -> Answer {
        let basis = Basis::PartialPostcode;
        let Some(postcodes) = &self.postcodes else {
            return Answer::none(basis, "no postcodes are held", &[Doubt::NotInRelease]);
        };
        let councils: std::collections::BTreeSet<GssCode> = postcodes
            .beginning(partial)
            .into_iter()
            .flat_map(|place| match place {
                Place::Council(district) => {
                    let answer = self.by_code(district, on);
                    answer.council.into_iter().chain(answer.candidates).collect::<Vec<_>>()
                }
                Place::ChannelIslands | Place::IsleOfMan | Place::NoDistrict => Vec::new(),
            })
            .collect();
        // Even one candidate is not chosen: part of a postcode routes nobody.
        let (reason, doubt) = if councils.is_empty() {
            ("the release in use holds no postcode that begins so", Doubt::NotInRelease)
        } else {
            ("the front of a postcode; a whole postcode, or a person, tells who answers", Doubt::Several)
        };
        let answer = Answer { candidates: councils.into_iter().collect(), ..Answer::none(basis, reason, &[doubt]) };
        self.with_sample_noted(answer.by(basis, &postcodes.release().name))
    }

    fn with_sample_noted(&self, answer: Answer) -> Answer {
        if self.only_a_sample { answer.doubted(Doubt::OnlyASample) } else { answer }
    }

    fn by_school(&self, urn: &Urn, on: Date) -> Answer {
        let basis = Basis::School;
        let Some(schools) = &self.schools else {
            return Answer::none(basis, "no schools are held", &[Doubt::UnknownOrganisation]);
        };
        let Some(school) = schools.get(urn) else {
            let answer = Answer::none(basis, "the schools' list in use does not hold it", &[Doubt::UnknownOrganisation]);
            return answer.by(basis, &schools.extract().name);
        };
        let authorities = self.register().by_dfe_number(&school.dfe, on);
        let codes: Vec<GssCode> = authorities.iter().map(|authority| authority.gss.clone()).collect();
        // A number that became several is settled by the school's own postcode, if that gives one of them.
        let by_postcode = || school.postcode.as_ref().and_then(|postcode| self.by_postcode(postcode, on).council);
        let answer = match codes.as_slice() {
            [] => Answer::none(basis, "the list gives an authority that the register does not know", &[Doubt::UnknownCode]),
            [one] => Answer {
                council: Some(one.clone()),
                area: Area::England,
                ..Answer::none(basis, "the authority in whose area the school is; the child may live in another", &[])
            },
            several => match by_postcode().filter(|council| several.contains(council)) {
                Some(council) => Answer {
                    council: Some(council),
                    area: Area::England,
                    ..Answer::none(basis, "the authority that the school's own postcode tells among several", &[])
                },
                None => Answer {
                    candidates: several.to_vec(),
                    area: Area::England,
                    ..Answer::none(basis, "the school's authority became several", &[Doubt::Several])
                },
            },
        };
        let answer = answer.by(basis, &schools.extract().name);
        if school.is_open(on) { answer } else { answer.doubted(Doubt::NotOpen) }
    }

    fn by_health_body(&self, ods: &OdsCode, on: Date) -> Answer {
        let basis = Basis::HealthOrganisation;
        let Some(list) = &self.health else {
            return Answer::none(basis, "no NHS organisations are held", &[Doubt::UnknownOrganisation]);
        };
        let Some(body) = list.get(ods) else {
            let answer =
                Answer::none(basis, "the list of NHS organisations in use does not hold it", &[Doubt::UnknownOrganisation]);
            return answer.by(basis, &list.extract().name);
        };
        let answer = match &body.postcode {
            None => Answer::none(basis, "the list gives no postcode for it", &[]),
            Some(postcode) => {
                let answer = self.by_postcode(postcode, on);
                Answer {
                    reason: format!("where it has its office, not where a child lives or is found: {}", answer.reason),
                    ..answer
                }
            }
        };
        let answer = answer.by(basis, &list.extract().name);
        if body.is_open(on) { answer } else { answer.doubted(Doubt::NotOpen) }
    }

    /// The school with that number, if the list in use holds it.
    pub fn school(&self, urn: &Urn) -> Option<&School> {
        self.schools.as_ref()?.get(urn)
    }

    /// The NHS organisation with that code, if the list in use holds it.
    pub fn health_body(&self, ods: &OdsCode) -> Option<&HealthBody> {
        self.health.as_ref()?.get(ods)
    }
}
