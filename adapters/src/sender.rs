//! Who stands at the door: the peer's certificate, and nothing else, says so; and what that party may say here.

use referral::Endpoint;
use tonic::Request;

use crate::status::Refusal;

/// A door of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `safeguarding.school.v1.SchoolService`.
    School,
    /// `safeguarding.police.v1.PoliceService`.
    Police,
    /// `safeguarding.health.v1.HealthService`.
    Health,
    /// `safeguarding.referral.v1.ReferralService`.
    Referral,
    /// `safeguarding.childrens_services.v1.FrontDoorService`, where a council decides.
    FrontDoor,
    /// Its `Collect`, `Acknowledge`, `List` and `Get`: whoever receives says that it has it, and asks how it stands.
    Delivery,
}

/// The party that calls.
pub fn of<T>(request: &Request<T>) -> Result<Endpoint, Refusal> {
    let certificates = request.peer_certs();
    // The leaf stands first; whoever issued it does not call.
    let leaf = certificates.as_ref().and_then(|chain| chain.first()).ok_or(Refusal::Nobody)?;
    let name = transport::tls::common_name(leaf).map_err(|_| Refusal::Nobody)?;
    Endpoint::parse(&name).map_err(|_| Refusal::Nobody)
}

/// Whether `party` has any business at `door`.
pub fn may_enter(party: &Endpoint, door: Door) -> Result<(), Refusal> {
    if may_come_through(party, door) { Ok(()) } else { Err(Refusal::WrongDoor) }
}

/// Which party may come through which door. Whoever has a queue may say that it has what lay there; only a council
/// decides. Nobody slips in through another's door.
fn may_come_through(party: &Endpoint, door: Door) -> bool {
    match party {
        Endpoint::School(_) => matches!(door, Door::School | Door::Referral | Door::Delivery),
        Endpoint::Police(_) => matches!(door, Door::Police | Door::Referral | Door::Delivery),
        Endpoint::Nhs(_) => matches!(door, Door::Health | Door::Referral | Door::Delivery),
        Endpoint::Authority(..) => matches!(door, Door::FrontDoor | Door::Referral | Door::Delivery),
        // A helpline or a nursery refers too; it has no form of its own.
        Endpoint::Voluntary(_) => matches!(door, Door::Referral | Door::Delivery),
        Endpoint::PolicePrevent(_)
        | Endpoint::Adult(_)
        | Endpoint::Devolved(_)
        | Endpoint::NhsService(..)
        | Endpoint::Marac(_)
        | Endpoint::National(_) => matches!(door, Door::Delivery),
        Endpoint::Household(_) | Endpoint::Public | Endpoint::Operator => false,
    }
}

/// A message may leave its sender out; if it names one, it is the certificate's.
pub fn names_itself(party: &Endpoint, named: &str) -> Result<(), Refusal> {
    if named.is_empty() || named == party.to_string() { Ok(()) } else { Err(Refusal::SpeaksForAnother) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors_of(party: &str) -> Vec<Door> {
        let party = Endpoint::parse(party).unwrap();
        let all = [Door::School, Door::Police, Door::Health, Door::Referral, Door::FrontDoor, Door::Delivery];
        all.into_iter().filter(|door| may_come_through(&party, *door)).collect()
    }

    #[test]
    fn each_party_has_its_own_doors_and_no_other() {
        assert_eq!(doors_of("school.999001"), [Door::School, Door::Referral, Door::Delivery]);
        assert_eq!(doors_of("police.13"), [Door::Police, Door::Referral, Door::Delivery]);
        assert_eq!(doors_of("nhs.ZZ304"), [Door::Health, Door::Referral, Door::Delivery]);
        for desk in [
            "front-door",
            "edt",
            "early-help",
            "lado",
            "restricted",
            "front-door-manager",
            "allocated-worker",
            "child-protection",
            "safeguarding-lead",
            "head-of-service",
            "safeguarding-partners",
        ] {
            assert_eq!(doors_of(&format!("la.E08000035.{desk}")), [Door::Referral, Door::FrontDoor, Door::Delivery], "{desk}");
        }
        assert_eq!(doors_of("vcs.helpers"), [Door::Referral, Door::Delivery]);
        for other in ["police.13.prevent", "adult.E08000035", "devolved.W06000015"] {
            assert_eq!(doors_of(other), [Door::Delivery], "{other}");
        }
    }

    #[test]
    fn without_a_certificate_nobody_is_there() {
        assert!(matches!(of(&Request::new(())), Err(Refusal::Nobody)));
    }

    #[test]
    fn a_message_that_names_another_sender_is_refused() {
        let school = Endpoint::parse("school.999001").unwrap();
        assert!(names_itself(&school, "").is_ok());
        assert!(names_itself(&school, "school.999001").is_ok());
        assert!(matches!(names_itself(&school, "school.999002"), Err(Refusal::SpeaksForAnother)));
    }
}
