//! What an operator asks the directory. Only an operator's certificate is answered; nothing that is asked is stored
//! or logged, because a postcode may be a child's.

use proto::wire::operator::v1 as wire;
use proto::wire::operator::v1::directory_service_server::{DirectoryService, DirectoryServiceServer};
use referral::directory::{Answer, Directory};
use referral::identifiers::GssCode;
use referral::time::london_date;
use tonic::{Request, Response, Status};
use transport::clock::Clock;

use super::operators::operator;
use crate::directory::lookup::hours_of;
use crate::rules::Rules;

/// Answers operators about places, by the directory in use at that moment.
pub struct Places {
    /// The rules, for their directory.
    pub rules: Rules,
    /// What the time is.
    pub clock: Clock,
}

impl Places {
    /// The gRPC service.
    pub fn service(self) -> DirectoryServiceServer<Places> {
        DirectoryServiceServer::new(self)
    }

    fn answer(&self, wire::LookupRequest { what, on }: wire::LookupRequest) -> Result<wire::LookupResponse, Status> {
        let on = if on.is_empty() {
            london_date(self.clock.now())
        } else {
            on.parse().map_err(|_| Status::invalid_argument("on: is no day; write it as 2027-04-01"))?
        };
        let rules = self.rules.now();
        let directory = &rules.book.directory;
        let asked = directory.asked(&what).ok_or_else(|| {
            Status::invalid_argument(
                "what: is no postcode or front of one, no number of a school or a property, and no ODS or GSS code",
            )
        })?;
        let Answer { basis, council, area, candidates, release, reason, doubts } = directory.look_up(&asked, on);
        let desks = council.iter().flat_map(|council| directory.desks_of(council)).map(|(desk, party)| wire::DirectoryDesk {
            endpoint: desk.to_string(),
            read_by: party.endpoint.to_string(),
            hours: hours_of(desk, party).map(|hours| hours.to_string()).unwrap_or_default(),
            format: party.format.as_str().to_owned(),
            live: party.live,
        });
        Ok(wire::LookupResponse {
            desks: desks.collect(),
            council: council.map(|gss| named(directory, gss)),
            area: area.to_string(),
            candidates: candidates.into_iter().map(|gss| named(directory, gss)).collect(),
            basis: basis.to_string(),
            release: release.unwrap_or_default(),
            reason,
            doubts: doubts.iter().map(ToString::to_string).collect(),
            on: on.to_string(),
        })
    }
}

fn named(directory: &Directory, gss: GssCode) -> wire::DirectoryCouncil {
    let name = directory.name(&gss).unwrap_or_default().to_owned();
    wire::DirectoryCouncil { gss: gss.to_string(), name }
}

#[tonic::async_trait]
impl DirectoryService for Places {
    async fn lookup(&self, request: Request<wire::LookupRequest>) -> Result<Response<wire::LookupResponse>, Status> {
        operator(&request)?;
        self.answer(request.into_inner()).map(Response::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use referral::rules::Rulebook;

    fn places() -> Places {
        let mut book = Rulebook::built_in("[[endpoint]]\nname = \"la.E10000030.front-door\"\n").unwrap();
        let nothing_imported = std::path::Path::new("nothing was imported here");
        book.directory = crate::directory::with_imported(book.directory, nothing_imported).unwrap();
        Places { rules: Rules::fixed(book), clock: Clock::system() }
    }

    fn ask(what: &str, on: &str) -> Result<wire::LookupResponse, Status> {
        places().answer(wire::LookupRequest { what: what.to_owned(), on: on.to_owned() })
    }

    #[test]
    fn an_operator_is_told_who_answers_on_the_day_and_on_what_that_stands() {
        let before = ask("E07000209", "2027-03-31").unwrap();
        assert_eq!(before.council.unwrap().name, "Surrey");
        let desk = &before.desks[0];
        assert_eq!((desk.endpoint.as_str(), desk.hours.as_str()), ("la.E10000030.front-door", "Mon-Fri 09:00-17:00"));
        let after = ask("E07000209", "2027-04-01").unwrap();
        assert_eq!(after.council.unwrap().name, "West Surrey");
        assert!(after.desks.is_empty(), "nobody connected it yet");
        assert_eq!((after.basis.as_str(), after.doubts.join(" ")), ("stated", "not_of_that_day provisional".to_owned()));
        let split = ask("E10000021", "2026-11-23").unwrap();
        assert!(split.council.is_none());
        assert_eq!(split.candidates.len(), 2);
    }

    #[test]
    fn what_is_no_place_or_no_day_is_named_and_not_repeated() {
        for (what, on, field) in [("not a place", "", "what:"), ("E07000209", "soon", "on:")] {
            let refused = ask(what, on).err().unwrap();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
            assert!(refused.message().starts_with(field) && !refused.message().contains(what));
        }
    }

    #[tokio::test]
    async fn nobody_but_an_operator_is_answered() {
        let request = Request::new(wire::LookupRequest { what: "E07000209".to_owned(), on: String::new() });
        assert_eq!(places().lookup(request).await.err().unwrap().code(), tonic::Code::PermissionDenied);
    }
}
