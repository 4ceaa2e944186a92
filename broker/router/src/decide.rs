//! Decide: load the case, let the core judge, record what is owed before any of it is sent.
//!
//! It decides in batches: what is waiting is judged together and recorded in one commit of the ledger. Two lanes take
//! turns, so that one judges while the ledger records for the other; all that is about one submission goes by one lane.
//! Nothing is handed to delivery but what the ledger gave back as recorded; nothing on the intake is settled
//! before its step was. Knows no AMQP: where an input came from is a `Token` it carries through.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use prost::Message as _;
use proto::tell;
use referral::case::{Case, Effect, Event, HeldBy, News, Question, Step, Surprise, step};
use referral::directory::Directory;
use referral::facts::Facts;
use referral::rules::review::{Choice, Reviewer};
use referral::rules::{Decision as Ruled, Ruling};
use referral::submission::{Arrival, Referral, Says, What};
use referral::time::london_date;
use referral::vocab::Marking;
use referral::{Digest, Endpoint, ReferralId};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;
use transport::clock::Clock;
use transport::telemetry;

use crate::deliver::Order;
use crate::meters::Meters;
use crate::record::{Commit, Committed, Content, Kind, Ledger, LedgerError, Owed, Progress, Recorded, Version, Waiting};
use crate::roads;
use crate::rules::Rules;

/// How many messages are decided and recorded together at most.
const BATCH_MAX: usize = 1_024;
/// How many lanes decide: one judges while the ledger records for the other, and it records for one at a time.
const LANES: u16 = 2;
/// How long to wait before a batch is tried again after the ledger failed.
pub const LEDGER_RETRY: Duration = Duration::from_millis(500);

/// Something to decide about one referral or, where a submission has several children, about each of them.
pub struct Input<Token> {
    /// What happened, to which referrals.
    pub events: Vec<(ReferralId, Event)>,
    /// Personal content to keep with it: what arrived, as it came.
    pub content: Option<Content>,
    /// The W3C trace context under which it arrived.
    pub traceparent: Option<String>,
    /// Settles it where it came from, once recorded.
    pub token: Option<Token>,
    /// To whoever waits to hear what came of it.
    pub answer: Option<Answer>,
}

/// What came of each event of an input, once it is recorded: nothing to remark, or why nothing changed. Dropped
/// unanswered when it was not recorded.
pub type Answer = oneshot::Sender<Vec<Option<Surprise>>>;

impl<Token> Input<Token> {
    /// An arrival off the intake. `bytes` are kept as its content.
    pub fn arrived(arrival: Arrival, bytes: &[u8], traceparent: Option<String>, token: Token) -> Input<Token> {
        Input { token: Some(token), traceparent, ..Input::read(arrival, bytes) }
    }

    /// An arrival that came by another way than the intake.
    pub fn read(arrival: Arrival, bytes: &[u8]) -> Input<Token> {
        let content = Content { id: *Digest::of_bytes(bytes).as_bytes(), kind: "intake".to_owned(), bytes: bytes.to_vec() };
        let from = arrival.from;
        let events = match arrival.what {
            What::Submitted(submission) => {
                submission.split().into_iter().map(|referral| (referral.id, Event::Submitted(Box::new(referral)))).collect()
            }
            What::Amended { referral, submission } => submission
                .split_as(referral)
                .into_iter()
                .map(|referral| (referral.id, Event::Amended(Box::new(referral))))
                .collect(),
            What::Withdrawn { referral, by, reason } => vec![(referral, Event::Withdrawn { from, by, reason })],
            What::Answered { referral, answer } => vec![(referral, Event::Answered(answer))],
            What::ConsentWithdrawn { referral, withdrawal } => {
                vec![(referral, Event::ConsentWithdrawn { withdrawal, referral: None })]
            }
            What::Disagreed { referral, disagreement } => {
                vec![(referral, Event::Disagreed { disagreement, referral: None })]
            }
        };
        Input { events, content: Some(content), traceparent: None, token: None, answer: None }
    }

    /// Something that happened inside the broker.
    pub fn inside(referral: ReferralId, event: Event) -> Input<Token> {
        Input { events: vec![(referral, event)], content: None, traceparent: None, token: None, answer: None }
    }
}

/// What came of a batch.
pub struct Decided<Token> {
    /// To settle: their steps are recorded, or nothing was to be recorded.
    pub settled: Vec<Token>,
    /// To deliver, in order.
    pub owed: Vec<Recorded<Owed>>,
    /// To be decided again: somebody else wrote the case in between.
    pub again: Vec<Input<Token>>,
    /// Somebody has news: those who watch should look.
    pub news: bool,
}

/// Judges, and records.
#[derive(Clone)]
pub struct Decider<L> {
    /// Where steps are recorded.
    pub ledger: L,
    /// The rules.
    pub rules: Rules,
    /// What the time is.
    pub clock: Clock,
    /// What operators see.
    pub meters: Meters,
}

/// A case while a batch is decided.
#[derive(Clone, Default)]
struct Current {
    version: Version,
    case: Option<Case>,
}

/// The way back to where inputs came from. Two are real: RabbitMQ's, and the simulation's intake.
pub trait Settle<Token>: Send + Sync + 'static {
    /// These are dealt with, and need not come again. What cannot be told comes again, which does no harm.
    fn settle(&self, tokens: &[Token]) -> impl Future<Output = ()> + Send;
}

impl<L: Ledger> Decider<L> {
    /// Decides what comes until nothing can come any more, each referral in the lane of its submission.
    pub async fn run<Token: Send + Sync + 'static>(
        self,
        mut inputs: mpsc::Receiver<Input<Token>>,
        mut events: mpsc::Receiver<(ReferralId, Event)>,
        orders: mpsc::UnboundedSender<Order>,
        settler: impl Settle<Token> + Clone,
        news: watch::Sender<u64>,
    ) {
        let (mut to_decide, mut happened, mut lanes) = (Vec::new(), Vec::new(), JoinSet::new());
        for _ in 0..LANES {
            let (inputs, taken) = mpsc::channel(BATCH_MAX);
            let (events, told) = mpsc::channel(BATCH_MAX);
            to_decide.push(inputs);
            happened.push(events);
            lanes.spawn(self.clone().run_lane(taken, told, orders.clone(), settler.clone(), news.clone()));
        }
        // A lane ends only after these do, so that each finds it there.
        let sort_inputs = async move {
            while let Some(input) = inputs.recv().await {
                let about = input.events.first().map(|(referral, _)| *referral);
                if let Some(lane) = to_decide.get(about.map_or(0, lane_of)) {
                    let _ = lane.send(input).await;
                }
            }
        };
        let sort_events = async move {
            while let Some((referral, event)) = events.recv().await {
                if let Some(lane) = happened.get(lane_of(referral)) {
                    let _ = lane.send((referral, event)).await;
                }
            }
        };
        tokio::select! {
            biased;
            ((), ()) = async { tokio::join!(sort_inputs, sort_events) } => {}
            Some(ended) = lanes.join_next() => raise(ended),
        }
        while let Some(ended) = lanes.join_next().await {
            raise(ended);
        }
    }

    /// Decides what comes, in batches, until nothing can come any more. What is owed is handed to delivery, and
    /// what is recorded is settled, in this order.
    async fn run_lane<Token: Send + Sync + 'static>(
        self,
        mut inputs: mpsc::Receiver<Input<Token>>,
        mut events: mpsc::Receiver<(ReferralId, Event)>,
        orders: mpsc::UnboundedSender<Order>,
        settler: impl Settle<Token>,
        news: watch::Sender<u64>,
    ) {
        let mut batch: Vec<Input<Token>> = Vec::new();
        let (mut arrived, mut happened) = (Vec::new(), Vec::new());
        let (mut more_inputs, mut more_events) = (true, true);
        let mut unsure = false;
        while more_inputs || more_events || !batch.is_empty() {
            if batch.is_empty() {
                // In this order, so that a simulated life is the same again; neither can starve the other, because what
                // else is there is taken along below.
                tokio::select! {
                    biased;
                    count = inputs.recv_many(&mut arrived, BATCH_MAX), if more_inputs => more_inputs = count > 0,
                    count = events.recv_many(&mut happened, BATCH_MAX), if more_events => more_events = count > 0,
                }
                // What else is there by now goes along: one commit for all of it.
                while arrived.len() < BATCH_MAX
                    && let Ok(input) = inputs.try_recv()
                {
                    arrived.push(input);
                }
                while happened.len() < BATCH_MAX
                    && let Ok(event) = events.try_recv()
                {
                    happened.push(event);
                }
                batch.append(&mut arrived);
                batch.extend(happened.drain(..).map(|(referral, event)| Input::inside(referral, event)));
                if batch.is_empty() {
                    continue;
                }
            }
            self.meters.batch(batch.len());
            match self.decide(std::mem::take(&mut batch)).await {
                Ok(Decided { settled, owed, again, news: is_news }) => {
                    // The other end stops only when the broker does; then the ledger still owes it. Only the
                    // ledger knows what was owed by a step that was thought lost, or that somebody else wrote, and
                    // that comes first.
                    if std::mem::take(&mut unsure) || !again.is_empty() {
                        let _ = orders.send(Order::AskLedger);
                    } else if !owed.is_empty() {
                        let _ = orders.send(Order::Owed(owed));
                    }
                    settler.settle(&settled).await;
                    if is_news {
                        news.send_modify(|count| *count += 1);
                    }
                    batch = again;
                }
                Err((error, undecided)) => {
                    self.meters.ledger_failed();
                    tracing::error!("the ledger did not record a batch of {}; it is decided again: {error}", undecided.len());
                    batch = undecided;
                    unsure = true;
                    let _ = orders.send(Order::AskLedger);
                    tokio::time::sleep(LEDGER_RETRY).await;
                }
            }
        }
    }

    /// Decides a batch. An error says that nobody knows what was recorded: decide the same batch again, and
    /// what is owed comes from the ledger.
    pub async fn decide<Token>(&self, inputs: Vec<Input<Token>>) -> Result<Decided<Token>, (LedgerError, Vec<Input<Token>>)> {
        let mut cases = match self.load(&inputs).await {
            Ok(cases) => cases,
            Err(error) => return Err((error, inputs)),
        };
        let handed_on = match self.handed_on(&inputs, &cases).await {
            Ok(handed_on) => handed_on,
            Err(error) => return Err((error, inputs)),
        };
        let mut steps: Vec<ReferralId> = Vec::new();
        let mut to_look_at: BTreeSet<ReferralId> = BTreeSet::new();
        let mut commits: Vec<Commit> = Vec::new();
        let mut surprises: Vec<Vec<Option<Surprise>>> = Vec::with_capacity(inputs.len());
        for input in &inputs {
            let mut of_input = Vec::with_capacity(input.events.len());
            for (referral, event) in &input.events {
                let event = newly_named(event, input, *referral, &cases);
                let current = cases.entry(*referral).or_default();
                let event = &with_what_is_handed_on(event, *referral, current.case.as_ref(), &handed_on);
                let (commit, surprise) = self.judge(*referral, event, input, current);
                of_input.push(surprise);
                if let Some(commit) = commit {
                    // One look is enough: what it cannot change, it would be asked about for ever.
                    if !matches!(event, Event::LookedAgain { .. }) {
                        to_look_at.insert(*referral);
                    }
                    steps.push(*referral);
                    commits.push(commit);
                }
            }
            surprises.push(of_input);
        }
        let committed = if commits.is_empty() { Ok(Vec::new()) } else { self.record(&inputs, commits).await };
        match committed {
            Ok(committed) => {
                let (mut decided, confirmed) = self.sort_out(inputs, surprises, &steps, committed);
                to_look_at.retain(|id| self.wants_another_look(cases.get(id)));
                let looks = to_look_at.into_iter().map(|id| Input::inside(id, Event::LookedAgain { referral: None }));
                decided.again.extend(looks);
                if !confirmed.is_empty()
                    && let Err(error) = self.ledger.settle(confirmed, self.clock.now()).await
                {
                    // They are owed again at the next start, and repeated: at least once is what is promised.
                    self.meters.ledger_failed();
                    tracing::error!("deliveries were confirmed and could not be settled, so they will be repeated: {error}");
                }
                Ok(decided)
            }
            Err(error) => Err((error, inputs)),
        }
    }

    /// Whether a case was decided by a directory that answers otherwise by now: it was replaced meanwhile, or a day has
    /// begun since the referral was received. Whoever looks daily has passed it already.
    fn wants_another_look(&self, current: Option<&Current>) -> bool {
        let (today, rules) = (london_date(self.clock.now()), self.rules.now());
        let case = current.and_then(|current| current.case.as_ref());
        case.is_some_and(|case| case.wants_another_look(today, &rules.book.directory))
    }

    /// One commit for the whole batch, in a span that is linked to every trace it serves.
    async fn record<Token>(&self, inputs: &[Input<Token>], commits: Vec<Commit>) -> Result<Vec<Committed>, LedgerError> {
        let span = tracing::info_span!("record", messaging.batch.message_count = commits.len());
        for traceparent in inputs.iter().filter_map(|input| input.traceparent.as_deref()) {
            telemetry::link(&span, traceparent);
        }
        self.ledger.commit(commits).instrument(span).await
    }

    async fn load<Token>(&self, inputs: &[Input<Token>]) -> Result<HashMap<ReferralId, Current>, LedgerError> {
        let mut ids: Vec<ReferralId> = inputs.iter().flat_map(|input| input.events.iter().map(|(id, _)| *id)).collect();
        ids.sort_unstable();
        ids.dedup();
        let keys: Vec<uuid::Uuid> = ids.iter().map(|id| roads::ledger_id(*id)).collect();
        let stored = self.ledger.load(&keys).await?;
        let mut cases = HashMap::with_capacity(ids.len());
        for (id, stored) in ids.into_iter().zip(stored) {
            let Some(stored) = stored else { continue };
            let case = serde_json::from_slice(&stored.state)
                .map_err(|cause| LedgerError::Failed { doing: "read back a case it holds", cause: Box::new(cause) })?;
            cases.insert(id, Current { version: stored.version, case: Some(case) });
        }
        Ok(cases)
    }

    /// The versions of every referral that is handed on in this batch: those the ledger kept, and those that arrived
    /// in the batch itself.
    async fn handed_on<Token>(
        &self,
        inputs: &[Input<Token>],
        cases: &HashMap<ReferralId, Current>,
    ) -> Result<HashMap<ReferralId, Vec<Referral>>, LedgerError> {
        let events = || inputs.iter().flat_map(|input| &input.events);
        // What may not be kept is not handed on either, however soon that is asked for.
        let directory = &self.rules.now().book.directory;
        let kept = || inputs.iter().filter(|input| !holds_what_is_marked(input, directory)).flat_map(|input| &input.events);
        let mut versions: HashMap<ReferralId, Vec<Referral>> = HashMap::new();
        for (id, _) in events().filter(|(_, event)| needs_the_referral(event)) {
            if versions.contains_key(id) {
                continue;
            }
            // What was kept comes first: the same content that arrives again is a duplicate, received at another moment.
            let mut found = Vec::new();
            if let Some(case) = cases.get(id).and_then(|current| current.case.as_ref())
                && let Some(digest) = case.digest_to_hand_on()
            {
                found.extend(kept_version(&self.ledger, case, digest).await?);
            }
            found.extend(kept().filter_map(|(_, event)| version_in(event, *id)));
            versions.insert(*id, found);
        }
        Ok(versions)
    }

    /// One event: the core's step, encoded for the ledger. No commit where nothing changes.
    fn judge<Token>(
        &self,
        id: ReferralId,
        event: &Event,
        input: &Input<Token>,
        current: &mut Current,
    ) -> (Option<Commit>, Option<Surprise>) {
        let span = tracing::info_span!("decide", referral.id = %id, event.kind = kind_of(event).as_str());
        if let Some(traceparent) = &input.traceparent {
            telemetry::follow(&span, traceparent);
        }
        let _entered = span.enter();
        let traceparent = telemetry::traceparent().or_else(|| input.traceparent.clone());
        let now = self.clock.now();
        let message = input.content.as_ref().map(|content| Digest::from_bytes(content.id));
        // The intake brings everything at least once, and not always in order when it brings it again.
        if let (Some(case), Some(message)) = (&current.case, message)
            && case.has_heard(message)
        {
            self.surprised(id, event, Surprise::Duplicate);
            return (None, Some(Surprise::Duplicate));
        }
        let rules = self.rules.now();
        let Step { case, effects, ruling, surprise } = step(current.case.clone(), event.clone(), now, &rules.book);
        if let (Some(ruling), Some(next)) = (&ruling, &rules.shadow)
            && let Some(shadow) = step(current.case.clone(), event.clone(), now, next).ruling
        {
            self.meters.rehearsed(ruling, &shadow);
        }
        if let Some(surprise) = surprise {
            self.surprised(id, event, surprise);
            if !could_be_news_later(event, surprise) {
                return (None, Some(surprise));
            }
        }
        let Some(mut case) = case else { return (None, surprise) };
        message.into_iter().for_each(|message| case.was_heard(message));
        let expected = current.version;
        let digest = case.digest().unwrap_or(Digest::of_bytes(&[]));
        let mut owed = Vec::new();
        let mut progress = Vec::new();
        for effect in &effects {
            match effect {
                Effect::Deliver(disclosure) => {
                    let order = order_of(&case, disclosure.to(), disclosure.delivery());
                    let (delivery, inbox) = (disclosure.delivery(), rules.book.directory.inbox(disclosure.to()));
                    let encoded = tell::disclosure(disclosure, order, rules.book.directory.format(inbox));
                    case.was_encoded(delivery, encoded.digest, inbox);
                    owed.push(roads::delivery(delivery, id, order, inbox, encoded, traceparent.as_deref()));
                }
                Effect::Notify(notice) => {
                    let order = order_of(&case, &notice.to, notice.delivery);
                    let inbox = rules.book.directory.inbox(&notice.to);
                    let encoded = tell::notice(notice, order, rules.book.directory.format(inbox));
                    case.was_encoded(notice.delivery, encoded.digest, inbox);
                    owed.push(roads::delivery(notice.delivery, id, order, inbox, encoded, traceparent.as_deref()));
                }
                Effect::TellSender(news) => {
                    self.meters.told(news);
                    // Its position is the ledger's to give; it is written in when the entry is read.
                    let entry = tell::entry(id, now, digest, case.linked(), news);
                    progress.push(Progress { party: case.sender().to_string(), body: entry.encode_to_vec() });
                }
                Effect::AskPerson(question) => self.ask(id, question),
            }
        }
        if let Some(ruling) = &ruling {
            self.meters.ruled(ruling);
        }
        let is_refused = ruling.as_ref().is_some_and(|ruling| *ruling.decision() == Ruled::Refuse);
        // What is marked above what this broker may hold leaves nothing behind but the fact (HR-08). What arrived
        // holds every child's items, so one that is marked is enough, also where another child's is recorded.
        let may_keep = surprise.is_none() && !is_refused && !holds_what_is_marked(input, &rules.book.directory);
        let commit = Commit {
            referral: roads::ledger_id(id),
            expected,
            owner: case.sender().to_string(),
            state: serde_json::to_vec(&case).unwrap_or_default(),
            wake: case.wake_at(),
            open: case.is_open(),
            waiting: case.waiting().map(|waiting| Waiting { since: waiting.since, urgent: waiting.is_urgent() }),
            content: input.content.iter().filter(|_| may_keep).cloned().collect(),
            record: record(id, event, surprise, ruling.as_deref(), &effects, now),
            kind: if surprise.is_some() { NOT_USED } else { kind_of(event) },
            at: now,
            owed,
            progress,
            settles: delivered(event),
        };
        *current = Current { version: expected.next(), case: Some(case) };
        (Some(commit), surprise)
    }

    fn surprised(&self, id: ReferralId, event: &Event, surprise: Surprise) {
        self.meters.surprised(surprise);
        match surprise {
            Surprise::Duplicate | Surprise::Late | Surprise::NothingDue => {
                tracing::debug!(referral.id = %id, "nothing changes for referral {id}: {}", surprise.words());
            }
            Surprise::NeverSeen
            | Surprise::NotYours
            | Surprise::NotSentToYou
            | Surprise::OtherContent
            | Surprise::NotResponsible
            | Surprise::NotHeld
            | Surprise::AlreadyReviewed
            | Surprise::VersionChanged
            | Surprise::NowhereToGo
            | Surprise::UnknownTarget
            | Surprise::OnlyItems
            | Surprise::NoBasis
            | Surprise::TransferPending
            | Surprise::NothingOffered
            | Surprise::NotYoursToLift
            | Surprise::NotWithAnAuthority
            | Surprise::AlreadyDisputed
            | Surprise::NoStageAbove
            | Surprise::ContentErased => {
                tracing::warn!(referral.id = %id, event.kind = kind_of(event).as_str(), "a message about referral {id} was not used: {}", surprise.words());
            }
        }
    }

    fn ask(&self, id: ReferralId, question: &Question) {
        self.meters.asked(question);
        match question {
            Question::Review { urgent: true, rules } => {
                tracing::error!(referral.id = %id, "URGENT: referral {id} waits for a person, at significant harm or above: {}", rules.join(", "))
            }
            Question::Review { urgent: false, rules } => {
                tracing::warn!(referral.id = %id, "referral {id} waits for a person: {}", rules.join(", "))
            }
            Question::NotConnected { to, urgent } => {
                let word = if *urgent { "URGENT: " } else { "" };
                tracing::error!(referral.id = %id, authority.code = %to, "{word}referral {id} cannot be delivered to {to}: there is no connection to it. Telephone them, and add the endpoint");
            }
        }
    }

    /// What was recorded is settled. A referral that somebody else wrote in between was judged on what is no longer
    /// so, and everything about it is judged again: also what seemed to change nothing.
    fn sort_out<Token>(
        &self,
        inputs: Vec<Input<Token>>,
        surprises: Vec<Vec<Option<Surprise>>>,
        steps: &[ReferralId],
        committed: Vec<Committed>,
    ) -> (Decided<Token>, Vec<uuid::Uuid>) {
        let news = !committed.is_empty();
        let mut owed = Vec::new();
        let mut stale = HashSet::new();
        let mut refused = HashSet::new();
        for (referral, committed) in steps.iter().zip(committed) {
            match committed {
                Committed::Recorded { owed: recorded, .. } => owed.extend(recorded),
                Committed::Stale => {
                    stale.insert(*referral);
                }
                Committed::Refused(refusal) => {
                    refused.insert(*referral);
                    self.meters.refused_by_ledger();
                    tracing::error!("the ledger refused a step, which is a fault of this program: {refusal}");
                }
            }
        }
        let (mut again, mut confirmed) = (Vec::new(), Vec::new());
        let mut done = Vec::with_capacity(inputs.len());
        for (mut input, surprises) in inputs.into_iter().zip(surprises) {
            let is_among = |these: &HashSet<ReferralId>| input.events.iter().any(|(referral, _)| these.contains(referral));
            if is_among(&stale) {
                again.push(input);
                continue;
            }
            let was_refused = is_among(&refused);
            // What was known to be delivered already changes no case, and is settled all the same.
            let told_again = input.events.iter().zip(&surprises).filter(|(_, surprise)| surprise.is_some());
            confirmed.extend(told_again.filter_map(|((_, event), _)| delivered(event)));
            if let Some(answer) = input.answer.take().filter(|_| !was_refused) {
                // Whoever asked may have gone; what was recorded stays recorded.
                let _ = answer.send(surprises);
            }
            done.push(input);
        }
        let settled = done.into_iter().filter_map(|input| input.token).collect();
        (Decided { settled, owed, again, news }, confirmed)
    }
}

fn holds_what_is_marked<Token>(input: &Input<Token>, directory: &Directory) -> bool {
    input.events.iter().any(|(_, event)| match event {
        Event::Submitted(referral) | Event::Amended(referral) => {
            Facts::derive(referral, directory).marking == Marking::AboveOfficialSensitive
        }
        Event::Withdrawn { .. }
        | Event::Answered(_)
        | Event::HandedOn { .. }
        | Event::ConsentWithdrawn { .. }
        | Event::Disagreed { .. }
        | Event::Delivered(_)
        | Event::Opened { .. }
        | Event::Reviewed { .. }
        | Event::SenderTold
        | Event::Woken
        | Event::LookedAgain { .. } => false,
    })
}

/// The version of what `case` is about that has `digest`, as it was received; none if its content was erased. The case
/// knows which messages it was made of.
pub async fn kept_version<L: Ledger>(ledger: &L, case: &Case, digest: Digest) -> Result<Option<Referral>, LedgerError> {
    for message in case.heard().iter().rev() {
        let kept = ledger.content(roads::ledger_id(case.id()), *message.as_bytes()).await?;
        let arrival = kept.and_then(|content| match proto::read::arrival(&content.bytes) {
            Ok(arrival) => Some(arrival),
            Err(unreadable) => {
                let id = case.id();
                tracing::error!(referral.id = %id, "a version of referral {id} is kept and can no longer be read: {unreadable}");
                None
            }
        });
        let referrals = match arrival.map(|arrival| arrival.what) {
            Some(What::Submitted(submission)) => submission.split(),
            Some(What::Amended { referral, submission }) => submission.split_as(referral),
            Some(What::Withdrawn { .. } | What::Answered { .. } | What::ConsentWithdrawn { .. } | What::Disagreed { .. })
            | None => continue,
        };
        let is_it = |referral: &Referral| referral.id == case.id() && referral.digest == digest;
        if let Some(found) = referrals.into_iter().find(is_it) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether somebody else is to read the referral because of `event`.
fn needs_the_referral(event: &Event) -> bool {
    match event {
        Event::Answered(answer) => answer.says.hands_it_on(),
        Event::ConsentWithdrawn { .. } => true,
        Event::Disagreed { disagreement, .. } => disagreement.is_immediate_danger,
        Event::LookedAgain { .. } => true,
        Event::Submitted(_)
        | Event::Amended(_)
        | Event::Withdrawn { .. }
        | Event::HandedOn { .. }
        | Event::Delivered(_)
        | Event::Opened { .. }
        | Event::Reviewed { .. }
        | Event::SenderTold
        | Event::Woken => false,
    }
}

fn version_in(event: &Event, id: ReferralId) -> Option<Referral> {
    match event {
        Event::Submitted(referral) | Event::Amended(referral) | Event::Reviewed { referral, .. } => {
            (referral.id == id).then(|| (**referral).clone())
        }
        Event::Withdrawn { .. }
        | Event::Answered(_)
        | Event::HandedOn { .. }
        | Event::ConsentWithdrawn { .. }
        | Event::Disagreed { .. }
        | Event::Delivered(_)
        | Event::Opened { .. }
        | Event::SenderTold
        | Event::Woken
        | Event::LookedAgain { .. } => None,
    }
}

/// The event with the version that counts now, where one is handed on.
fn with_what_is_handed_on(
    event: Event,
    id: ReferralId,
    case: Option<&Case>,
    versions: &HashMap<ReferralId, Vec<Referral>>,
) -> Event {
    if !needs_the_referral(&event) {
        return event;
    }
    let counts = |referral: &&Referral| {
        case.is_some_and(|case| case.digest_to_hand_on() == Some(referral.digest) && referral.sender == *case.sender())
    };
    let referral = versions.get(&id).and_then(|versions| versions.iter().find(counts)).cloned().map(Box::new);
    match (event, referral) {
        (Event::Answered(answer), Some(referral)) => Event::HandedOn { answer, referral },
        (Event::ConsentWithdrawn { withdrawal, .. }, referral) => Event::ConsentWithdrawn { withdrawal, referral },
        (Event::Disagreed { disagreement, .. }, referral) => Event::Disagreed { disagreement, referral },
        (Event::LookedAgain { .. }, referral) => Event::LookedAgain { referral },
        (other, _) => other,
    }
}

/// A child that an amendment names for the first time is a new referral of the same sender's, not a change to one
/// that never was: it must not be dropped (P4).
fn newly_named<Token>(event: &Event, input: &Input<Token>, id: ReferralId, cases: &HashMap<ReferralId, Current>) -> Event {
    let case_of = |id: &ReferralId| cases.get(id).and_then(|current| current.case.as_ref());
    let first = input.events.first().and_then(|(first, _)| case_of(first));
    match event {
        Event::Amended(referral) if case_of(&id).is_none() && first.is_some_and(|first| *first.sender() == referral.sender) => {
            Event::Submitted(referral.clone())
        }
        other => other.clone(),
    }
}

/// What panicked in a lane panics in whoever runs the lanes, as if there were none.
fn raise(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Which lane decides about a referral: the same for every child of a submission, as with the intake's partitions.
fn lane_of(referral: ReferralId) -> usize {
    usize::from(referral.partition(LANES))
}

/// The delivery that its recipient's queue has confirmed, if that is what happened.
fn delivered(event: &Event) -> Option<uuid::Uuid> {
    match event {
        Event::Delivered(delivery) => Some(uuid::Uuid::from_bytes(*delivery.as_bytes())),
        Event::Submitted(_)
        | Event::Amended(_)
        | Event::Withdrawn { .. }
        | Event::Answered(_)
        | Event::HandedOn { .. }
        | Event::ConsentWithdrawn { .. }
        | Event::Disagreed { .. }
        | Event::Opened { .. }
        | Event::Reviewed { .. }
        | Event::SenderTold
        | Event::Woken
        | Event::LookedAgain { .. } => None,
    }
}

/// The place of a delivery among everything its recipient was sent about this referral.
fn order_of(case: &Case, to: &Endpoint, delivery: referral::DeliveryId) -> u32 {
    let recipient = case.recipients().iter().find(|recipient| recipient.to == *to);
    recipient.and_then(|recipient| recipient.deliveries.iter().position(|known| known.id == delivery)).unwrap_or(0) as u32
}

/// Whether what changes nothing now would change something if the intake brought it again after more has happened:
/// a second withdrawal after a change undid the first, a repeated decision after another one, a decision after the
/// referral came to whoever decided. That it was heard is recorded, so that it cannot.
fn could_be_news_later(event: &Event, surprise: Surprise) -> bool {
    match event {
        Event::Withdrawn { .. } => surprise == Surprise::Duplicate,
        Event::ConsentWithdrawn { .. } => matches!(surprise, Surprise::Duplicate | Surprise::NotWithAnAuthority),
        Event::Answered(answer) | Event::HandedOn { answer, .. } => {
            let is_about_its_moment = matches!(
                surprise,
                Surprise::Late
                    | Surprise::NotResponsible
                    | Surprise::TransferPending
                    | Surprise::NothingOffered
                    | Surprise::ContentErased
            );
            !matches!(answer.says, Says::Collected | Says::Acknowledged) && is_about_its_moment
        }
        Event::Disagreed { .. } => {
            matches!(surprise, Surprise::NotWithAnAuthority | Surprise::AlreadyDisputed | Surprise::NoStageAbove)
        }
        Event::Submitted(_)
        | Event::Amended(_)
        | Event::Delivered(_)
        | Event::Opened { .. }
        | Event::Reviewed { .. }
        | Event::SenderTold
        | Event::Woken
        | Event::LookedAgain { .. } => false,
    }
}

/// The kind of a leaf for what was heard and changed nothing.
const NOT_USED: Kind = Kind::named("not-used");

fn kind_of(event: &Event) -> Kind {
    const SUBMITTED: Kind = Kind::named("submitted");
    const AMENDED: Kind = Kind::named("amended");
    const WITHDRAWN: Kind = Kind::named("withdrawn");
    const COLLECTED: Kind = Kind::named("collected");
    const ACKNOWLEDGED: Kind = Kind::named("acknowledged");
    const DECIDED: Kind = Kind::named("decided");
    const DELIVERED: Kind = Kind::named("delivered");
    const ASKED_FOR_MORE: Kind = Kind::named("asked-for-more");
    const TRANSFER_OFFERED: Kind = Kind::named("transfer-offered");
    const TRANSFER_ACCEPTED: Kind = Kind::named("transfer-accepted");
    const TRANSFER_REFUSED: Kind = Kind::named("transfer-refused");
    const TRANSFER_WITHDRAWN: Kind = Kind::named("transfer-withdrawn");
    const STRATEGY_DISCUSSION: Kind = Kind::named("strategy-discussion-held");
    const STATUS_RECORDED: Kind = Kind::named("status-recorded");
    const REFERRED_ON: Kind = Kind::named("referred-on");
    const HANDLING_LIFTED: Kind = Kind::named("handling-lifted");
    const CONSENT_WITHDRAWN: Kind = Kind::named("consent-withdrawn");
    const DISAGREED: Kind = Kind::named("disagreed");
    const OPENED: Kind = Kind::named("opened");
    const REVIEWED: Kind = Kind::named("reviewed");
    const SENDER_TOLD: Kind = Kind::named("sender-told");
    const WOKEN: Kind = Kind::named("clock-breached");
    const LOOKED_AGAIN: Kind = Kind::named("looked-again");
    match event {
        Event::Submitted(_) => SUBMITTED,
        Event::Amended(_) => AMENDED,
        Event::Withdrawn { .. } => WITHDRAWN,
        Event::Answered(answer) | Event::HandedOn { answer, .. } => match answer.says {
            Says::Collected => COLLECTED,
            Says::Acknowledged => ACKNOWLEDGED,
            Says::Decided { .. } => DECIDED,
            Says::AskedForMore { .. } => ASKED_FOR_MORE,
            Says::TransferOffered { .. } => TRANSFER_OFFERED,
            Says::TransferAccepted => TRANSFER_ACCEPTED,
            Says::TransferRefused { .. } => TRANSFER_REFUSED,
            Says::TransferWithdrawn { .. } => TRANSFER_WITHDRAWN,
            Says::StrategyDiscussionHeld { .. } => STRATEGY_DISCUSSION,
            Says::StatusRecorded(_) => STATUS_RECORDED,
            Says::ReferredOn { .. } => REFERRED_ON,
            Says::HandlingLifted { .. } => HANDLING_LIFTED,
        },
        Event::ConsentWithdrawn { .. } => CONSENT_WITHDRAWN,
        Event::Disagreed { .. } => DISAGREED,
        Event::Delivered(_) => DELIVERED,
        Event::Opened { .. } => OPENED,
        Event::Reviewed { .. } => REVIEWED,
        Event::SenderTold => SENDER_TOLD,
        Event::Woken => WOKEN,
        Event::LookedAgain { .. } => LOOKED_AGAIN,
    }
}

/// A decision as it is recorded (LB-11): what, to whom, why, on which basis, under which edition. No content.
#[derive(Serialize)]
struct DecisionRecord<'a> {
    referral: ReferralId,
    at: referral::Moment,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_used: Option<Surprise>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ruling: Option<&'a Ruling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Person<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<ReviewRecord<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owed: Vec<Due<'a>>,
}

/// What a person did about what waited for one: opened it, or decided.
#[derive(Serialize)]
struct ReviewRecord<'a> {
    number: u32,
    choice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirected_to: Option<&'a Endpoint>,
    reason: &'a str,
    /// The operator's certificate.
    certificate: &'a str,
    /// The rules that no longer hold it.
    #[serde(skip_serializing_if = "<[HeldBy]>::is_empty")]
    lifted: &'a [HeldBy],
}

fn review_record<'a>(event: &'a Event, effects: &'a [Effect]) -> Option<ReviewRecord<'a>> {
    let certificate = |by: &'a Reviewer| by.certificate.open().as_str();
    match event {
        Event::Opened { by, reason, number } => Some(ReviewRecord {
            number: *number,
            choice: "opened",
            redirected_to: None,
            reason: reason.open(),
            certificate: certificate(by),
            lifted: &[],
        }),
        Event::Reviewed { review, .. } => {
            let (choice, redirected_to) = match &review.choice {
                Choice::Release => ("released", None),
                Choice::Redirect { to } => ("redirected", Some(to)),
                Choice::Return => ("returned", None),
            };
            let lifted = effects.iter().find_map(|effect| match effect {
                Effect::TellSender(News::Reviewed(news)) => Some(news.lifted.as_slice()),
                Effect::TellSender(_) | Effect::Deliver(_) | Effect::Notify(_) | Effect::AskPerson(_) => None,
            });
            Some(ReviewRecord {
                number: review.number,
                choice,
                redirected_to,
                reason: review.reason.open(),
                certificate: certificate(&review.by),
                lifted: lifted.unwrap_or_default(),
            })
        }
        Event::Submitted(_)
        | Event::Amended(_)
        | Event::Withdrawn { .. }
        | Event::Answered(_)
        | Event::HandedOn { .. }
        | Event::ConsentWithdrawn { .. }
        | Event::Disagreed { .. }
        | Event::Delivered(_)
        | Event::SenderTold
        | Event::Woken
        | Event::LookedAgain { .. } => None,
    }
}

/// The person who answered, withdrew, opened or decided. Part of the record, which can be erased; never of the log.
#[derive(Serialize)]
struct Person<'a> {
    name: &'a str,
    role: &'a str,
}

/// What was owed because of it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Due<'a> {
    Delivery { id: referral::DeliveryId, to: &'a Endpoint },
    Notice { id: referral::DeliveryId, to: &'a Endpoint },
    Person(&'a Question),
    Sender(&'static str),
}

fn record(
    id: ReferralId,
    event: &Event,
    not_used: Option<Surprise>,
    ruling: Option<&Ruling>,
    effects: &[Effect],
    at: referral::Moment,
) -> Vec<u8> {
    let person =
        |by: &'_ referral::submission::Practitioner| -> (String, String) { (by.name.open().clone(), by.role.open().clone()) };
    let (content_digest, by) = match event {
        Event::Submitted(referral) | Event::Amended(referral) => (Some(referral.digest), None),
        Event::Withdrawn { by, .. } => (None, Some(person(by))),
        Event::Answered(answer) | Event::HandedOn { answer, .. } => (Some(answer.digest), Some(person(&answer.by))),
        Event::ConsentWithdrawn { withdrawal, .. } => (None, Some(person(&withdrawal.by))),
        Event::Disagreed { disagreement, .. } => (None, Some(person(&disagreement.by))),
        Event::Opened { by, .. } => (None, Some(person(&by.person))),
        Event::Reviewed { review, referral } => (Some(referral.digest), Some(person(&review.by.person))),
        Event::Delivered(_) | Event::SenderTold | Event::Woken | Event::LookedAgain { .. } => (None, None),
    };
    let owed = effects.iter().map(|effect| match effect {
        Effect::Deliver(disclosure) => Due::Delivery { id: disclosure.delivery(), to: disclosure.to() },
        Effect::Notify(notice) => Due::Notice { id: notice.delivery, to: &notice.to },
        Effect::AskPerson(question) => Due::Person(question),
        Effect::TellSender(news) => Due::Sender(news_word(news)),
    });
    let by = by.as_ref().map(|(name, role)| Person { name, role });
    let decision = DecisionRecord {
        referral: id,
        at,
        event: kind_of(event).as_str(),
        not_used,
        content_digest,
        ruling,
        by,
        review: review_record(event, effects),
        owed: owed.collect(),
    };
    // Words, numbers and times only: writing these as JSON cannot fail.
    serde_json::to_vec(&decision).unwrap_or_default()
}

/// A rung's name, for records and metrics.
pub fn news_word(news: &News) -> &'static str {
    match news {
        News::Accepted => "accepted",
        News::Routed(_) => "routed",
        News::Held(_) => "held",
        News::Reviewed(_) => "reviewed",
        News::ReturnedToSender(_) => "returned_to_sender",
        News::Refused(_) => "refused",
        News::Amended { .. } => "amended",
        News::Withdrawn => "withdrawn",
        News::ConsentWithdrawn { .. } => "consent_withdrawn",
        News::Delivered(_) => "delivered",
        News::NotConnected(_) => "not_connected",
        News::Collected(_) => "collected",
        News::Acknowledged { .. } => "acknowledged",
        News::Decided { .. } => "decided",
        News::OutcomeReturned => "outcome_returned",
        News::ClockBreached { .. } => "clock_breached",
        News::AskedForMore { .. } => "asked_for_more",
        News::TransferOffered { .. } => "transfer_offered",
        News::TransferAccepted { .. } => "transfer_accepted",
        News::TransferRefused { .. } => "transfer_refused",
        News::PassedToSuccessor { .. } => "passed_to_successor",
        News::TransferWithdrawn { .. } => "transfer_withdrawn",
        News::StrategyDiscussionHeld { .. } => "strategy_discussion_held",
        News::ReferredOn { .. } => "referred_on",
        News::HandlingLifted { .. } => "handling_lifted",
        News::Disagreed { .. } => "disagreed",
    }
}
