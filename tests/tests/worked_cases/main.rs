//! Every worked case over the wire: through the door of its sender, with the two real programs, a real RabbitMQ and
//! mutual TLS, at the moment it says; and what lay on each recipient's queue is compared with what the case expects.
//!
//! What came of a case is judged by the same code that judges what the core makes of it (`router::cases::compare`), and
//! the two are compared with each other as well. Contested cases are reported apart, and do not fail for what the sector
//! does not agree on; that the wire does what the core says is not contested.

mod course;
mod doors;
mod forms;
mod queues;
mod seen;

use std::collections::{BTreeMap, BTreeSet};

use course::{Course, UnderWay};
use doors::Way;
use futures_util::{StreamExt as _, stream};
use proto::wire::common::v1 as common;
use proto::wire::common::v1::progress_entry::Step;
use proto::wire::referral::v1 as referral_v1;
use proto::wire::referral::v1::referral_service_client::ReferralServiceClient;
use queues::{AtQueue, Queues};
use referral::Endpoint;
use referral::directory::Party;
use referral::rules::Rulebook;
use referral::vocab::{Desk, DutyScope, SenderKind};
use router::cases::{self, Became, Bound, Case, Observed, Outcome, bind};
use seen::Referral;
use tests::client::{channel, key, person};
use tests::stack::{Node, Stack, certify, repository};
use tests::wait::until;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The cases that nobody can send, and why.
const NOT_ON_THE_WIRE: &[(&str, &str)] = &[
    ("OC-034", "the broker tells by itself that a clock ran out (see the other test), and nobody may say it for the broker"),
    ("SC-056", "a member of the public has no certificate: the front door that is told refers"),
    ("SC-136", "an operator asks at the operators' desk, which opens nothing of a child unrecorded"),
];

/// The cases of which the form of their sender's door does not say all, and which go by `Submit` instead: what it has no
/// place for.
const BEYOND_THE_FORM: &[(&str, &[&str])] = &[
    // The form of an attendance has no room for anything clinical (DM-10).
    ("OC-026", &["items"]),
];

/// The cases that their door turns away before anything is kept: with which code, and for which fields of the form.
const TURNED_AWAY: &[(&str, Code, &[&str])] =
    &[("OC-025", Code::InvalidArgument, &["form.register.status"]), ("SC-097", Code::FailedPrecondition, &[])];

/// The cases that their form says more exactly than the list of a case can, so that the wire does otherwise than the core:
/// how, to the letter, and why.
const SAID_MORE_EXACTLY: &[(&str, &str, &str)] = &[(
    "OC-027",
    r#"the core gives {"LA:E08000035:front_door": {"concern_narrative", "identity", "police_intelligence", "risk_level"}, "SCHOOL:URN999202": {"identity", "risk_level"}}, the wire {"LA:E08000035:front_door": {"concern_narrative", "identity", "police_intelligence", "risk_level"}, "SCHOOL:URN999202": {"concern_narrative", "identity", "risk_level"}}"#,
    "the form puts the condition on the intelligence; in the case's list it stands over the whole",
)];

/// How many cases of a moment are on their way at once.
const AT_ONCE: usize = 8;

/// A case with everything that is known of it before it is sent.
struct Worked {
    case: Case,
    bound: Bound,
    /// What the core makes of it.
    in_core: Observed,
}

/// What came of a case, and by which way it went.
struct Played {
    outcome: Outcome,
    by: String,
    /// Where the wire does otherwise than the core, or tells its sender otherwise than its recipients.
    faults: Vec<String>,
    /// Why its door turned it away.
    turned_away: Option<Status>,
    /// How much came about each of its referrals.
    counts: Vec<(String, usize)>,
}

fn worked(rules: &Rulebook) -> Vec<Worked> {
    let mut all = Vec::new();
    for file in ["worked.jsonl", "own.jsonl"] {
        let path = repository().join("policies/cases").join(file);
        let text = std::fs::read_to_string(path).expect("the worked cases");
        for case in cases::read(&text) {
            let case = case.expect("a case");
            let bound = bind(&case, rules).expect("a case that can be bound");
            let in_core = cases::in_the_core(&bound, rules).expect("a case with a child");
            all.push(Worked { case, bound, in_core });
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_worked_case_goes_through_its_door_and_each_recipient_has_what_it_may() {
    let rules = Rulebook::built_in("").expect("the built-in rules");
    let (unsent, sent): (Vec<Worked>, Vec<Worked>) =
        worked(&rules).into_iter().partition(|worked| matches!(doors::way(&worked.case, &worked.bound), Way::None));
    let unsent: Vec<&str> = unsent.iter().map(|worked| worked.case.id.as_str()).collect();
    let beyond: BTreeMap<String, Vec<String>> = sent.iter().filter_map(beyond_the_form).collect();

    let everybody = everybody(&sent);
    let mut stack = stack_of("worked", &everybody);
    let mut queues = None;
    let mut played: Vec<Played> = Vec::new();
    for group in groups(sent) {
        stack.connect(&endpoints_file(&group, &everybody));
        stack.start_at(group.first().expect("a group has a case").case.received()).await;
        let queues = queues.get_or_insert_with(|| Queues::of(&stack, &everybody));
        let plays = group.iter().map(|worked| play(&stack, queues, worked));
        played.extend(stream::iter(plays).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
        stack.stop();
    }
    let queues = queues.expect("a case was sent");
    queues.are_read(&stack).await;

    played.sort_by(|one, other| one.outcome.id.cmp(&other.outcome.id));
    println!("{}", report(&played));
    let counted: BTreeMap<String, usize> = played.iter().flat_map(|played| played.counts.clone()).collect();
    assert_eq!(
        queues.counts(),
        counted.into_iter().filter(|(_, count)| *count > 0).collect(),
        "something came later, or to nobody's case"
    );
    let named = |list: &[(&str, &[&str])]| -> BTreeMap<String, Vec<String>> {
        list.iter().map(|(id, lacks)| ((*id).to_owned(), lacks.iter().map(|lacks| (*lacks).to_owned()).collect())).collect()
    };
    assert_eq!(beyond, named(BEYOND_THE_FORM));
    assert_eq!(unsent.into_iter().collect::<BTreeSet<_>>(), NOT_ON_THE_WIRE.iter().map(|(id, _)| *id).collect());
    let turned_away: BTreeMap<&str, (Code, Vec<String>)> = played
        .iter()
        .filter_map(|played| Some((played.outcome.id.as_str(), played.turned_away.as_ref()?)))
        .map(|(id, refused)| (id, (refused.code(), fields(refused))))
        .collect();
    let to_turn_away =
        TURNED_AWAY.iter().map(|(id, code, fields)| (*id, (*code, fields.iter().map(|f| (*f).to_owned()).collect())));
    assert_eq!(turned_away, to_turn_away.collect());
    let failed: Vec<&str> = played.iter().filter(|played| played.has_failed()).map(|played| played.outcome.id.as_str()).collect();
    assert!(failed.is_empty(), "otherwise than expected: {failed:?}");
    let (holds, said) = stack.broker_command(&["ledger", "verify"]);
    assert!(holds, "{said}");
}

/// Where the calls that are made of a referral under way do otherwise than the same said as a message of its own, and why.
const OTHERWISE_UNDER_WAY: &[(&str, &str, &str)] = &[
    (
        "SC-107",
        r#"heard by: expected {"LA:E08000035:child_protection"}, found {}"#,
        "the authority that held the discussion tells its own team, and the referrer does not read what it found",
    ),
    (
        "SC-127",
        r#"clocks: expected {}, started {("disagreement_answer", "2026-11-26")}"#,
        "the product gives the manager five working days (FB-03): its own convention, for the limits are local",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_referral_under_way_is_heard_by_whom_the_cases_say() {
    let rules = Rulebook::built_in("").expect("the built-in rules");
    let courses = |worked: Worked| Course::of(worked.bound.said.kind).map(|course| (course, worked));
    let mut all: Vec<(Course, Worked)> = worked(&rules).into_iter().filter_map(courses).collect();
    // The latest first, so that no clock runs out while others are said.
    all.sort_by_key(|(_, worked)| std::cmp::Reverse(worked.case.received()));
    let mut everybody = everybody(all.iter().map(|(_, worked)| worked));
    everybody.extend(all.iter().map(|(_, worked)| UnderWay::referrer(worked)));
    let mut stack = stack_of("under-way", &everybody);
    let mut queues = None;
    let mut otherwise: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (course, worked) in &all {
        let said = worked.case.received();
        let referred = worked.bound.submission.circumstances.referral_received.unwrap_or(said);
        stack.connect(&endpoints_file(std::slice::from_ref(worked), &everybody));
        stack.start_at(referred).await;
        let queues = queues.get_or_insert_with(|| Queues::of(&stack, &everybody));
        let under_way = UnderWay::begin(&stack, queues, worked, *course).await;
        let later = if *course == Course::ClockRunsOut { said + jiff::SignedDuration::from_hours(48) } else { said };
        if later != referred {
            stack.stop();
            stack.start_at(later).await;
        }
        let status = under_way.go_on(&stack, queues).await;
        // What is in hand is finished first: nothing comes after it.
        stack.stop();
        queues.are_read(&stack).await;
        let differences = under_way.differences(queues, &status);
        println!("{} {course:?}: {}", worked.case.id, if differences.is_empty() { "as expected" } else { "otherwise" });
        differences.iter().for_each(|difference| println!("    {difference}"));
        if !differences.is_empty() {
            otherwise.insert(&worked.case.id, differences);
        }
    }
    let listed = OTHERWISE_UNDER_WAY.iter().map(|(id, how, _)| (*id, vec![(*how).to_owned()]));
    assert_eq!(otherwise, listed.collect());
}

impl Played {
    fn has_failed(&self) -> bool {
        let listed = SAID_MORE_EXACTLY.iter().filter(|(id, ..)| *id == self.outcome.id).map(|(_, fault, _)| *fault);
        !self.faults.iter().map(String::as_str).eq(listed) || !self.outcome.contested && !self.outcome.differences.is_empty()
    }
}

/// Every case, by which way it went and what came of it; the contested ones apart.
fn report(played: &[Played]) -> String {
    let mut lines = Vec::new();
    for is_contested in [false, true] {
        lines.push(if is_contested { "\nContested, reported apart" } else { "Settled" }.to_owned());
        for Played { outcome, by, faults, .. } in played.iter().filter(|played| played.outcome.contested == is_contested) {
            let word = match (outcome.differences.is_empty(), is_contested) {
                (true, true) => "as expected",
                (true, false) => "pass",
                (false, true) => "otherwise",
                (false, false) => "FAIL",
            };
            lines.push(format!("{word:<11} {} by {by}: {}", outcome.id, outcome.title));
            lines.extend(outcome.differences.iter().map(|difference| format!("              {difference}")));
            lines.extend(faults.iter().map(|fault| format!("              FAULT {fault}")));
        }
    }
    let mut ways: BTreeMap<&str, usize> = BTreeMap::new();
    played.iter().for_each(|played| *ways.entry(&played.by).or_default() += 1);
    lines.push("\nBy which way".to_owned());
    lines.extend(ways.into_iter().map(|(way, count)| format!("{count:>3} {way}")));
    lines.push("\nNot on the wire".to_owned());
    lines.extend(NOT_ON_THE_WIRE.iter().map(|(id, because)| format!("{id}: {because}")));
    lines.join("\n")
}

fn beyond_the_form(worked: &Worked) -> Option<(String, Vec<String>)> {
    match doors::way(&worked.case, &worked.bound) {
        Way::Beyond(parts) => Some((worked.case.id.clone(), parts)),
        Way::Form(..) | Way::Submit | Way::Amend | Way::None => None,
    }
}

/// A stack whose parties all have their certificates.
fn stack_of(name: &str, everybody: &BTreeSet<Endpoint>) -> Stack {
    let node = Node::of_the_run();
    let names: Vec<String> = everybody.iter().map(Endpoint::to_string).collect();
    certify(&node.certificates(), &[], &names.iter().map(String::as_str).collect::<Vec<_>>());
    Stack::prepare(name, node)
}

// ---------------------------------------------------------------- the moments, and who is there

/// The cases of one moment together, the latest first: the clock then goes back, and no clock of a case runs out while
/// others are sent. Cases that know a party otherwise are apart.
fn groups(mut all: Vec<Worked>) -> Vec<Vec<Worked>> {
    all.sort_by_key(|worked| std::cmp::Reverse(worked.case.received()));
    let mut groups: Vec<(BTreeMap<Endpoint, Party>, Vec<Worked>)> = Vec::new();
    for worked in all {
        let own = own_parties(&worked.bound);
        let fits = |(known, group): &&mut (BTreeMap<Endpoint, Party>, Vec<Worked>)| {
            group.iter().all(|other| other.case.received() == worked.case.received())
                && own.iter().all(|(endpoint, party)| known.get(endpoint).is_none_or(|other| other == party))
        };
        match groups.iter_mut().find(fits) {
            Some((known, group)) => {
                known.extend(own);
                group.push(worked);
            }
            None => groups.push((own, vec![worked])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn own_parties(bound: &Bound) -> BTreeMap<Endpoint, Party> {
    bound.directory.parties().map(|party| (party.endpoint.clone(), party.clone())).collect()
}

/// Everybody who has a queue: who sends, who should receive, and who could by mistake: the desks of every authority in a
/// case.
fn everybody<'a>(sent: impl IntoIterator<Item = &'a Worked>) -> BTreeSet<Endpoint> {
    let mut all = BTreeSet::new();
    for Worked { bound, in_core, .. } in sent {
        all.extend(bound.directory.parties().map(|party| party.endpoint.clone()));
        all.extend(in_core.told.iter().map(|told| told.to.clone()));
        match &in_core.became {
            Became::Delivered { to } | Became::Held { intended: Some(to) } => all.extend([to.clone()]),
            Became::Held { intended: None } | Became::Returned | Became::Repeat => {}
        }
    }
    let authorities: BTreeSet<_> = all.iter().filter_map(|endpoint| endpoint.authority().cloned()).collect();
    let desks = [Desk::FrontDoor, Desk::EmergencyDutyTeam, Desk::EarlyHelp];
    all.extend(authorities.iter().flat_map(|gss| desks.map(|desk| Endpoint::Authority(gss.clone(), desk))));
    // Nobody but the authority reaches a household; the public and the operators have no queue.
    all.retain(|endpoint| !matches!(endpoint, Endpoint::Household(_) | Endpoint::Public | Endpoint::Operator));
    all
}

/// The directory file of a group: everybody, and what its cases say of their parties.
fn endpoints_file(group: &[Worked], everybody: &BTreeSet<Endpoint>) -> String {
    let known: BTreeMap<Endpoint, Party> = group.iter().flat_map(|worked| own_parties(&worked.bound)).collect();
    let mut file = String::new();
    for endpoint in everybody {
        file.push_str(&format!("[[endpoint]]\nname = \"{endpoint}\"\nhours = \"Mon-Fri 09:00-17:00\"\n"));
        let Some(Party { kind, located, duty, hours, .. }) = known.get(endpoint) else { continue };
        assert_eq!(Some(*hours), referral::time::OpeningHours::parse("Mon-Fri 09:00-17:00"), "{endpoint} has other hours");
        let is_independent = *kind == SenderKind::IndependentSchool;
        assert!(is_independent || *kind == endpoint.sender_kind(), "{endpoint} cannot be a {kind} in a directory file");
        file.push_str(&format!("independent = {is_independent}\ndesignated = {}\n", *duty == DutyScope::InScope));
        if let Some(gss) = located.as_ref().filter(|_| endpoint.authority().is_none()) {
            file.push_str(&format!("authority = \"{gss}\"\n"));
        }
    }
    file
}

// ---------------------------------------------------------------- one case

async fn play(stack: &Stack, queues: &Queues, worked: &Worked) -> Played {
    let Worked { case, bound, in_core } = worked;
    let sender = Sending { queues, worked, channel: channel(stack, &bound.submission.sender.to_string()).await };
    let Came { by, observed, referrals, turned_away } = sender.play().await;
    let mut faults: Vec<String> = referrals.iter().flat_map(Referral::contradictions).collect();
    faults.extend(otherwise(case, bound, in_core, &observed));
    let counts = referrals.iter().map(|referral| (referral.status.referral_id.clone(), referral.came.len())).collect();
    Played { outcome: Outcome::of(case, bound, &observed), by, faults, turned_away, counts }
}

/// Where the wire does otherwise than the core: whom it tells, and what of the case's own it gives them.
fn otherwise(case: &Case, bound: &Bound, in_core: &Observed, on_wire: &Observed) -> Vec<String> {
    let mut faults = Vec::new();
    if in_core.became != on_wire.became {
        faults.push(format!("the core says {:?}, the wire {:?}", in_core.became, on_wire.became));
    }
    let there = case.categories();
    let given = |observed: &Observed| {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for told in &observed.told {
            let given = told.given.intersection(&there).map(ToString::to_string);
            all.entry(bound.called(&told.to)).or_default().extend(given);
        }
        all
    };
    let (in_core, on_wire) = (given(in_core), given(on_wire));
    if in_core != on_wire {
        faults.push(format!("the core gives {in_core:?}, the wire {on_wire:?}"));
    }
    faults
}

/// By which way a case went, and what came of it.
struct Came {
    by: String,
    observed: Observed,
    referrals: Vec<Referral>,
    turned_away: Option<Status>,
}

/// A sender with its case.
struct Sending<'a> {
    queues: &'a Queues,
    worked: &'a Worked,
    channel: Channel,
}

impl Sending<'_> {
    async fn play(&self) -> Came {
        let Worked { bound, case, .. } = self.worked;
        let key = key();
        let (by, form) = match doors::way(case, bound) {
            Way::Form(call, form) => (format!("{call:?}"), Some(*form)),
            Way::Beyond(parts) => (format!("Submit (its form has no place for: {})", parts.join(", ")), None),
            Way::Submit => ("Submit".to_owned(), None),
            Way::Amend => {
                let first = common::Submission { kind: common::EventKind::Referral as i32, ..doors::in_own_words(bound) };
                let receipt = doors::submit(self.channel.clone(), &key, first).await.expect("received");
                self.settled(&receipt, 1).await;
                self.amend(&receipt.referral_id, doors::in_own_words(bound)).await;
                let referrals = self.settled(&receipt, 2).await;
                return self.came_to("Submit, then Amend".to_owned(), referrals);
            }
            Way::None => panic!("{} is not sent", case.id),
        };
        let send = || async {
            match form.clone() {
                Some(form) => form.send(self.channel.clone(), &key).await,
                None => doors::submit(self.channel.clone(), &key, doors::in_own_words(bound)).await,
            }
        };
        if case.is_changed_repeat() {
            let mut other = doors::in_own_words(bound);
            other.purpose = "As it was said at first.".to_owned();
            let receipt = doors::submit(self.channel.clone(), &key, other).await.expect("received");
            self.settled(&receipt, 1).await;
            assert_eq!(send().await.expect("received").referral_id, receipt.referral_id, "never an overwrite");
            let referrals = self.settled(&receipt, 2).await;
            return self.came_to(format!("{by}, under the key of another"), referrals);
        }
        let receipt = match send().await {
            Ok(receipt) => receipt,
            Err(refused) => {
                let observed = seen::nothing(Became::Returned, case.received());
                return Came { by, observed, referrals: Vec::new(), turned_away: Some(refused) };
            }
        };
        let referrals = self.settled(&receipt, 1).await;
        if !bound.is_repeat {
            return self.came_to(by, referrals);
        }
        assert!(send().await.expect("received") == receipt, "the same receipt for ever");
        // The intake keeps the order of a referral: once the withdrawal is heard, the repeat was.
        self.withdraw(&receipt.referral_id).await;
        let is_withdrawn = |status: &common::ReferralStatus| status.withdrawn && seen::is_settled(status, 1);
        let status = self.status(&receipt.referral_id, "withdrawn", is_withdrawn).await;
        let rulings = status.ladder.iter().filter(|entry| matches!(entry.step, Some(Step::Routed(_) | Step::Amended(_))));
        assert_eq!(rulings.count(), 1, "the repeat changed nothing");
        let came = self.came(&status, 1).await;
        let received = status.received.as_ref().and_then(proto::read::moment).expect("when it was received");
        let (observed, referrals) = (seen::nothing(Became::Repeat, received), vec![Referral { status, came }]);
        Came { by: format!("{by}, twice"), observed, referrals, turned_away: None }
    }

    fn came_to(&self, by: String, referrals: Vec<Referral>) -> Came {
        let observed = seen::observed(&referrals, &self.worked.bound.submission.circumstances.tell);
        Came { by, observed, referrals, turned_away: None }
    }

    /// The referrals of a receipt, once `versions` of each were ruled on and everything lies on its queue.
    async fn settled(&self, receipt: &referral_v1::Receipt, versions: usize) -> Vec<Referral> {
        let mut referrals = Vec::new();
        for id in std::iter::once(&receipt.referral_id).chain(&receipt.further_referral_ids) {
            let is_settled = |status: &common::ReferralStatus| seen::is_settled(status, versions);
            let status = if self.hears_nothing() {
                self.status(id, "accepted", |status| !status.ladder.is_empty()).await
            } else {
                self.status(id, "settled", is_settled).await
            };
            let came = self.came(&status, 0).await;
            referrals.push(Referral { status, came });
        }
        referrals
    }

    /// What lay on the queues about a referral, once it holds all that its sender is told of, and for each recipient
    /// so many notices, of which the sender is not told.
    async fn came(&self, status: &common::ReferralStatus, notices: usize) -> Vec<AtQueue> {
        let delivered = |endpoint: &str| {
            let is_to = |step: &Step| matches!(step, Step::Delivered(to) if to.endpoint == endpoint);
            status.ladder.iter().filter_map(|entry| entry.step.as_ref()).filter(|step| is_to(step)).count()
        };
        let told: Vec<(String, usize)> = if self.hears_nothing() {
            self.worked.in_core.told.iter().map(|told| (told.to.to_string(), 1)).collect()
        } else {
            let with_a_queue = status.recipients.iter().map(|recipient| &recipient.endpoint);
            with_a_queue.map(|endpoint| (endpoint.clone(), delivered(endpoint) + notices)).collect()
        };
        let (case, id) = (&self.worked.case.id, &status.referral_id);
        until(&format!("what was sent about {case} lies on its queues"), || async {
            let came = self.queues.about(id);
            let is_there = |(endpoint, count): &(String, usize)| {
                came.iter().filter(|(owner, _)| owner.to_string() == *endpoint).count() >= *count
            };
            told.iter().all(is_there).then_some(came)
        })
        .await
    }

    /// The person under suspicion reads what comes back: the sender is told that it was received, and no more (DM-09).
    fn hears_nothing(&self) -> bool {
        self.worked.bound.submission.circumstances.accused_controls_feedback
    }

    async fn amend(&self, referral_id: &str, content: common::Submission) {
        let (referral_id, idempotency_key, sender) = (referral_id.to_owned(), key(), String::new());
        let request = referral_v1::AmendRequest { referral_id, idempotency_key, content: Some(content), sender };
        ReferralServiceClient::new(self.channel.clone()).amend(request).await.expect("amended");
    }

    async fn withdraw(&self, referral_id: &str) {
        let (referral_id, reason) = (referral_id.to_owned(), "It was sent twice.".to_owned());
        let request = referral_v1::WithdrawRequest { referral_id, by: Some(person("A Referrer")), reason };
        ReferralServiceClient::new(self.channel.clone()).withdraw(request).await.expect("withdrawn");
    }

    async fn status(&self, id: &str, what: &str, holds: impl Fn(&common::ReferralStatus) -> bool) -> common::ReferralStatus {
        let case = &self.worked.case.id;
        until(&format!("{case}, {id}, is {what}"), || {
            let mut referrals = ReferralServiceClient::new(self.channel.clone());
            let (holds, request) = (&holds, referral_v1::GetRequest { referral_id: id.to_owned() });
            async move { referrals.get(request).await.ok()?.into_inner().status.filter(holds) }
        })
        .await
    }
}

/// The fields that a refusal names.
fn fields(refused: &Status) -> Vec<String> {
    let named = refused.get_details_bad_request().map(|details| details.field_violations);
    named.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}
