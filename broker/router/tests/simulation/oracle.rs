//! The oracle: what must have happened. It runs the core's own step once for each distinct event, in the order
//! that the intake had, without faults, and counts: what was recorded, sent and told must be exactly this.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use prost::Message as _;
use proto::tell;
use referral::case::{Case, ClockState, Effect, Event, News, Rung, Step, Surprise, step};
use referral::rules::pack::ClockName;
use referral::rules::{Role, Rulebook};
use referral::submission::{Referral, Says};
use referral::vocab::HandlingFlag;
use referral::{DeliveryId, Digest, Endpoint, Moment, ReferralId};
use router::decide::Input;
use router::record::log::{Frontier, Hash, Leaf, Proof, PublicKey, delivery_record};
use router::record::{Commit, Content, Owed};
use router::roads;
use transport::amqp::{Message, Road};
use uuid::Uuid;

/// The salts that the ledger drew, in order, so that its log can be computed a second time.
pub type Drawn = Arc<Mutex<VecDeque<[u8; 32]>>>;

/// The kind of what was heard and changed nothing.
const NOT_USED: &str = "not-used";

/// What a fault means is a sentence; a life without any is a good one.
pub type Complaints = Vec<String>;

pub struct Oracle {
    rules: Arc<Rulebook>,
    key: PublicKey,
    threads: BTreeMap<ReferralId, Thread>,
    /// Who opened which referral, in the order of the intake.
    opened: BTreeMap<ReferralId, Endpoint>,
    /// The referrals that each message of the intake is about.
    messages: BTreeMap<usize, BTreeSet<ReferralId>>,
    deliveries: BTreeMap<Uuid, Expected>,
    /// How many distinct deliveries of a referral each recipient has seen.
    arrived: BTreeMap<(String, Uuid), u64>,
    /// What each party was told, in order.
    told: BTreeMap<String, Vec<(Uuid, Vec<u8>)>>,
    /// How often each due moment of a clock was told to have passed: a graver change starts a clock again.
    breaches: BTreeMap<(ReferralId, ClockName, Moment), usize>,
    drawn: Drawn,
    log: Frontier,
    roots: BTreeMap<u64, Hash>,
    /// Distinct events that changed something.
    pub steps: u64,
    /// Leaves that these steps and their deliveries must have.
    leaves: u64,
}

/// One referral: how it stands, and what the intake still holds for it.
#[derive(Default)]
struct Thread {
    case: Option<Case>,
    version: u64,
    pending: VecDeque<Pending>,
    /// The versions that may be kept, and so may be handed on.
    versions: Vec<Referral>,
}

struct Pending {
    message: usize,
    /// The digest of the message, by which a case remembers it.
    digest: Digest,
    event: Event,
    content: Option<Content>,
    traceparent: Option<String>,
}

struct Expected {
    owed: Owed,
    landed: u32,
}

/// What a step must leave behind.
struct Consequence {
    kind: &'static str,
    case: Case,
    /// The case as the ledger must hold it.
    state: Vec<u8>,
    effects: Vec<Effect>,
    owed: Vec<Owed>,
    progress: Vec<(String, Vec<u8>)>,
}

/// A sender's share: its referrals, and what it was told, in order.
type Share = (BTreeSet<Uuid>, Vec<(Uuid, Vec<u8>)>);

impl Oracle {
    pub fn new(rules: Arc<Rulebook>, key: PublicKey, drawn: Drawn) -> Oracle {
        Oracle {
            rules,
            key,
            threads: BTreeMap::new(),
            opened: BTreeMap::new(),
            messages: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            arrived: BTreeMap::new(),
            told: BTreeMap::new(),
            breaches: BTreeMap::new(),
            drawn,
            log: Frontier::default(),
            roots: BTreeMap::new(),
            steps: 0,
            leaves: 0,
        }
    }

    /// A message lies on the intake: from now on it must be decided, once, whatever happens.
    pub fn accepted(&mut self, message: usize, input: Input<()>) {
        let Input { events, mut content, traceparent, token: _, answer: _ } = input;
        let digest = content.as_ref().map(|content| Digest::from_bytes(content.id)).expect("an arrival has content");
        if events.iter().any(|(_, event)| is_marked_secret(event)) {
            content = None;
        }
        let first = events.first().map(|(id, _)| *id);
        let about = self.messages.entry(message).or_default();
        for (id, event) in events {
            // A child whom the sender adds to a referral of its own is a new referral.
            let event = match event {
                Event::Amended(referral)
                    if !self.opened.contains_key(&id)
                        && first.and_then(|first| self.opened.get(&first)) == Some(&referral.sender) =>
                {
                    Event::Submitted(referral)
                }
                other => other,
            };
            if let Event::Submitted(referral) = &event {
                self.opened.entry(id).or_insert_with(|| referral.sender.clone());
            }
            about.insert(id);
            let thread = self.threads.entry(id).or_default();
            if let Event::Submitted(version) | Event::Amended(version) = &event
                && content.is_some()
            {
                thread.versions.push((**version).clone());
            }
            thread.pending.push_back(Pending {
                message,
                digest,
                event,
                content: content.clone(),
                traceparent: traceparent.clone(),
            });
        }
    }

    /// The version that the ledger must hold of a referral.
    pub fn version(&self, referral: Uuid) -> u64 {
        self.threads.get(&roads::referral_id(referral)).map_or(0, |thread| thread.version)
    }

    /// A step was written. It must be the next one that the intake, or the broker itself, gave cause for.
    pub fn written(&mut self, commit: &Commit) -> Complaints {
        self.append(commit);
        let id = roads::referral_id(commit.referral);
        let kind = commit.kind.as_str();
        let rules = self.rules.clone();
        let thread = self.threads.entry(id).or_default();
        thread.version += 1;
        let (next, content) = match kind {
            "delivered" => (thread.delivered(commit, &rules), None),
            "clock-breached" => (consequence(&thread.case, &Event::Woken, commit.at, &rules), None),
            "sender-told" => (consequence(&thread.case, &Event::SenderTold, commit.at, &rules), None),
            _ => match thread.next(commit.at, &rules) {
                Some((content, next)) if next.kind == kind => (Some(next), content),
                Some((_, next)) => return vec![format!("referral {id}: recorded {kind} where {} was next", next.kind)],
                None => (None, None),
            },
        };
        let Some(next) = next else {
            return vec![format!("referral {id}: recorded {kind} that nothing gave cause for: doubled, or out of order")];
        };
        let before = thread.case.replace(next.case.clone());
        self.steps += 1;
        self.leaves += 1 + next.owed.len() as u64;
        let mut complaints = self.compare(id, commit, &next, content.as_ref());
        complaints.extend(self.only_whom_the_rules_name(before.as_ref(), &next));
        for (party, body) in next.progress {
            self.told.entry(party).or_default().push((commit.referral, body));
        }
        for effect in &next.effects {
            if let Effect::TellSender(News::ClockBreached { clock, due }) = effect {
                *self.breaches.entry((id, *clock, due.by)).or_default() += 1;
            }
        }
        for owed in next.owed {
            self.deliveries.insert(owed.id, Expected { owed, landed: 0 });
        }
        complaints
    }

    /// Somebody else wrote a referral down again, unchanged.
    pub fn rewritten(&mut self, commit: &Commit) {
        self.append(commit);
        self.leaves += 1;
        self.threads.entry(roads::referral_id(commit.referral)).or_default().version += 1;
    }

    /// A call of the ledger ended: the checkpoint that it signed covers the log as it is now.
    pub fn sealed(&mut self) {
        self.roots.insert(self.log.size(), self.log.root());
    }

    fn append(&mut self, commit: &Commit) {
        let mut drawn = self.drawn.lock().expect("no test panics with it");
        let mut salt = || drawn.pop_front().expect("a leaf drew a salt");
        self.log.append(Leaf::new(commit.kind.as_str(), commit.at, &salt(), &commit.record).hash());
        for owed in &commit.owed {
            let record = delivery_record(owed.id, &owed.routing_key, &owed.digest);
            self.log.append(Leaf::new("delivery", commit.at, &salt(), &record).hash());
        }
    }

    fn compare(&self, id: ReferralId, commit: &Commit, next: &Consequence, content: Option<&Content>) -> Complaints {
        let kind = commit.kind.as_str();
        let told: Vec<(String, Vec<u8>)> = commit.progress.iter().map(|told| (told.party.clone(), told.body.clone())).collect();
        let named = |owed: &Owed| String::from_utf8_lossy(&commit.record).contains(&owed.id.to_string());
        let checks = [
            (commit.state == next.state, "the case is not what the core makes of it"),
            (commit.owed == next.owed, "the deliveries owed are not those of the oracle"),
            (told == next.progress, "what the sender is told is not what the oracle says"),
            (commit.wake == next.case.wake_at(), "it is not woken at its first running clock"),
            (commit.open == next.case.is_open(), "it is open where it should be closed, or closed where open"),
            (commit.owner == next.case.sender().to_string(), "it is not in its sender's list"),
            (commit.content.iter().eq(content), "the content kept is not what arrived, or should not have been kept"),
            (commit.owed.iter().all(named), "a delivery is not named in the record of the decision"),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| format!("referral {id}, {kind}: {what}")).collect()
    }

    /// Content goes only to those whom the ruling names, and to those who had an earlier version of it.
    fn only_whom_the_rules_name(&self, before: Option<&Case>, next: &Consequence) -> Complaints {
        let had = |to: &Endpoint| {
            let recipients = before.into_iter().flat_map(|case| case.recipients()).filter(|recipient| recipient.to == *to);
            recipients.flat_map(|recipient| &recipient.deliveries).any(|delivery| delivery.matter.has_content())
        };
        let mut complaints = Complaints::new();
        for effect in &next.effects {
            if let Effect::Deliver(disclosure) = effect
                && disclosure.role() == Role::EarlierRecipient
                && !had(disclosure.to())
            {
                complaints.push(format!("referral {}: {} gets a change of what it never had", next.case.id(), disclosure.to()));
            }
        }
        complaints
    }

    /// A message is settled: nothing of it may still wait to be recorded.
    pub fn settled(&mut self, message: usize) -> Complaints {
        let rules = self.rules.clone();
        let mut complaints = Complaints::new();
        for id in self.messages.get(&message).cloned().unwrap_or_default() {
            let thread = self.threads.entry(id).or_default();
            thread.pass_over_surprises(&rules);
            if thread.pending.iter().any(|pending| pending.message == message) {
                complaints.push(format!("message {message} was settled before its step on referral {id} was recorded"));
            }
        }
        complaints
    }

    /// A message lands in a queue. It must have been recorded, for this queue, with these bytes, in this place.
    pub fn landed(&mut self, road: &Road, message: &Message) -> (bool, Complaints) {
        let mut complaints = Complaints::new();
        let found = Uuid::parse_str(&message.id).ok().and_then(|id| self.deliveries.get_mut(&id));
        let Some(expected) = found else {
            return (true, vec![format!("{} got a delivery that was never recorded", road.routing_key)]);
        };
        expected.landed += 1;
        let (owed, is_first) = (&expected.owed, expected.landed == 1);
        let mut check = |holds: bool, what: &str| {
            if !holds {
                complaints.push(format!("delivery {} to {}: {what}", owed.id, road.routing_key));
            }
        };
        check(
            road.exchange == owed.exchange && road.routing_key == owed.routing_key,
            "it went to another queue than was recorded",
        );
        check(message.body == owed.body, "its bytes are not those recorded");
        let (proof, headers): (Vec<_>, Vec<_>) =
            message.headers.iter().cloned().partition(|(name, _)| name == roads::PROOF_HEADER);
        check(headers == owed.headers, "its headers are not those recorded");
        check(message.content_type == owed.content_type && message.kind == owed.kind, "it is of another type than was recorded");
        if is_first {
            let place = self.arrived.entry((road.routing_key.clone(), owed.referral)).or_default();
            check(*place == owed.order, "it overtook an earlier one of the same referral");
            *place += 1;
        }
        // A signature costs more than all the rest; every first one is checked, and repeats now and then.
        if is_first || expected.landed % 4 == 0 {
            let checked = match proof.as_slice() {
                [(_, text)] => {
                    Proof::parse(text).and_then(|proof| proof.check(&self.key, owed.id, &road.routing_key, &owed.digest))
                }
                _ => {
                    check(false, "it carries no proof, or several");
                    return (is_first, complaints);
                }
            };
            match checked {
                Ok(checkpoint) => check(
                    self.roots.get(&checkpoint.size) == Some(&checkpoint.root),
                    "its proof leads to a log that is not the ledger's",
                ),
                Err(why) => check(false, &format!("its proof does not hold: {why}")),
            }
        }
        (is_first, complaints)
    }

    /// Referrals whose end the sender has not been handed yet.
    pub fn ended(&self) -> Vec<ReferralId> {
        self.cases().filter(|case| has_ended(case)).map(Case::id).collect()
    }

    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.threads.values().filter_map(|thread| thread.case.as_ref())
    }

    /// What each sender must find in its list, and have been told.
    pub fn parties(&self) -> BTreeMap<String, Share> {
        let mut parties: BTreeMap<String, Share> = BTreeMap::new();
        for case in self.cases() {
            parties.entry(case.sender().to_string()).or_default().0.insert(roads::ledger_id(case.id()));
        }
        for (party, told) in &self.told {
            parties.entry(party.clone()).or_default().1 = told.clone();
        }
        parties
    }

    /// How many leaves the log must have, and the root over them.
    pub fn log(&self) -> (u64, Hash) {
        (self.leaves, self.log.root())
    }

    pub fn breaches(&self) -> u64 {
        self.breaches.len() as u64
    }

    /// The world has recovered and all is quiet at `now`: nothing may be left undone.
    pub fn ended_well(&mut self, now: Moment) -> Complaints {
        let rules = self.rules.clone();
        let mut complaints = Complaints::new();
        for (id, thread) in &mut self.threads {
            thread.pass_over_surprises(&rules);
            for pending in &thread.pending {
                complaints.push(format!(
                    "referral {id}: {} of message {} was accepted and never recorded",
                    kind_of(&pending.event),
                    pending.message
                ));
            }
            let Some(case) = &thread.case else { continue };
            if case.clocks().iter().any(|clock| clock.state == ClockState::Running && clock.due.by <= now) {
                complaints.push(format!("referral {id}: a clock ran out and nobody was told"));
            }
            if has_ended(case) {
                complaints.push(format!("referral {id}: how it ended never reached its sender"));
            }
            let rungs = case.recipients().iter().flat_map(|recipient| &recipient.deliveries);
            if rungs.into_iter().any(|delivery| delivery.rung == Rung::Owed) {
                complaints.push(format!("referral {id}: a delivery arrived and that rung was lost"));
            }
        }
        for expected in self.deliveries.values().filter(|expected| expected.landed == 0) {
            complaints.push(format!("delivery {} never reached {}", expected.owed.id, expected.owed.routing_key));
        }
        for ((id, clock, _), times) in &self.breaches {
            if *times != 1 {
                complaints.push(format!("referral {id}: the breach of {clock} was told {times} times"));
            }
        }
        complaints
    }
}

impl Thread {
    /// Drops what changes nothing from the front: a duplicate, a late answer, a stranger's.
    fn pass_over_surprises(&mut self, rules: &Rulebook) {
        while let Some(pending) = self.pending.front() {
            // Whether an event of the intake is a surprise does not depend on the hour.
            if pending.consequence(&self.case, &self.versions, Moment::UNIX_EPOCH, rules).is_some() {
                return;
            }
            self.pending.pop_front();
        }
    }

    /// The next event of the intake that leaves something behind: the content to keep with it, and what it must be.
    fn next(&mut self, at: Moment, rules: &Rulebook) -> Option<(Option<Content>, Consequence)> {
        loop {
            let pending = self.pending.pop_front()?;
            if let Some(next) = pending.consequence(&self.case, &self.versions, at, rules) {
                let content = if next.kind == NOT_USED { None } else { pending.content };
                return Some((content, next));
            }
        }
    }

    /// Which delivery was confirmed is not in the commit's kind; it is the one that leads to the same case.
    fn delivered(&self, commit: &Commit, rules: &Rulebook) -> Option<Consequence> {
        let deliveries = self.case.iter().flat_map(|case| case.recipients()).flat_map(|recipient| &recipient.deliveries);
        let owed = deliveries.filter(|delivery| delivery.rung == Rung::Owed);
        let mut each = owed.filter_map(|delivery| consequence(&self.case, &Event::Delivered(delivery.id), commit.at, rules));
        each.find(|next| next.state == commit.state)
    }
}

impl Pending {
    /// Each message is heard once. What is the sender's or the recipient's to say is remembered even where it
    /// changes nothing now, lest it do so when it is brought again.
    fn consequence(&self, case: &Option<Case>, versions: &[Referral], at: Moment, rules: &Rulebook) -> Option<Consequence> {
        let event = with_the_version(self.event.clone(), case.as_ref(), versions);
        let Step { case, effects, surprise, .. } = step(case.clone(), event.clone(), at, rules);
        let kind = match (&event, surprise) {
            (event, None) => kind_of(event),
            (Event::Withdrawn { .. }, Some(Surprise::Duplicate)) => NOT_USED,
            (
                Event::Disagreed { .. },
                Some(Surprise::NotWithAnAuthority | Surprise::AlreadyDisputed | Surprise::NoStageAbove),
            ) => NOT_USED,
            (Event::Answered(answer) | Event::HandedOn { answer, .. }, Some(surprise))
                if !matches!(answer.says, Says::Collected | Says::Acknowledged)
                    && matches!(
                        surprise,
                        Surprise::Late
                            | Surprise::NotResponsible
                            | Surprise::TransferPending
                            | Surprise::NothingOffered
                            | Surprise::ContentErased
                    ) =>
            {
                NOT_USED
            }
            (_, Some(_)) => return None,
        };
        let mut case = case?;
        case.was_heard(self.digest);
        Some(Consequence::of(kind, case, effects, self.traceparent.as_deref(), at, rules))
    }
}

/// What is handed on goes along: the version that the authority has.
fn with_the_version(event: Event, case: Option<&Case>, versions: &[Referral]) -> Event {
    let counts = |version: &&Referral| case.is_some_and(|case| case.digest_to_hand_on() == Some(version.digest));
    let version = || versions.iter().find(counts).cloned().map(Box::new);
    match event {
        Event::Answered(answer) if answer.says.hands_it_on() => match version() {
            Some(referral) => Event::HandedOn { answer, referral },
            None => Event::Answered(answer),
        },
        Event::Disagreed { disagreement, .. } if disagreement.is_immediate_danger => {
            Event::Disagreed { disagreement, referral: version() }
        }
        other => other,
    }
}

/// What something that happened inside the broker must leave behind.
fn consequence(case: &Option<Case>, event: &Event, at: Moment, rules: &Rulebook) -> Option<Consequence> {
    let Step { case, effects, surprise, .. } = step(case.clone(), event.clone(), at, rules);
    if surprise.is_some() {
        return None;
    }
    Some(Consequence::of(kind_of(event), case?, effects, None, at, rules))
}

impl Consequence {
    fn of(
        kind: &'static str,
        mut case: Case,
        effects: Vec<Effect>,
        traceparent: Option<&str>,
        at: Moment,
        rules: &Rulebook,
    ) -> Consequence {
        let id = case.id();
        let digest = case.digest().expect("a case has a version");
        let (mut owed, mut progress) = (Vec::new(), Vec::new());
        for effect in &effects {
            let (delivery, to, order, encoded) = match effect {
                Effect::Deliver(disclosure) => {
                    let order = place(&case, disclosure.to(), disclosure.delivery());
                    (
                        disclosure.delivery(),
                        disclosure.to(),
                        order,
                        tell::disclosure(disclosure, order, rules.directory.format(disclosure.to())),
                    )
                }
                Effect::Notify(notice) => {
                    let order = place(&case, &notice.to, notice.delivery);
                    (notice.delivery, &notice.to, order, tell::notice(notice, order, rules.directory.format(&notice.to)))
                }
                Effect::TellSender(news) => {
                    let entry = tell::entry(id, at, digest, case.linked(), news);
                    progress.push((case.sender().to_string(), entry.encode_to_vec()));
                    continue;
                }
                Effect::AskPerson(_) => continue,
            };
            case.was_encoded(delivery, encoded.digest, to);
            owed.push(roads::delivery(delivery, id, order, to, encoded, traceparent));
        }
        let state = serde_json::to_vec(&case).expect("a case is words and numbers");
        Consequence { kind, case, state, effects, owed, progress }
    }
}

/// It has ended, and its sender does not know yet.
fn has_ended(case: &Case) -> bool {
    case.is_open() && case.has_ended()
}

fn place(case: &Case, to: &Endpoint, delivery: DeliveryId) -> u32 {
    let recipient = case.recipients().iter().find(|recipient| recipient.to == *to).expect("it is owed something");
    recipient.deliveries.iter().position(|known| known.id == delivery).expect("it is owed this") as u32
}

fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::Submitted(_) => "submitted",
        Event::Amended(_) => "amended",
        Event::Withdrawn { .. } => "withdrawn",
        Event::Answered(answer) | Event::HandedOn { answer, .. } => match answer.says {
            Says::Collected => "collected",
            Says::Acknowledged => "acknowledged",
            Says::Decided { .. } => "decided",
            Says::AskedForMore { .. } => "asked-for-more",
            Says::TransferOffered { .. } => "transfer-offered",
            Says::TransferAccepted => "transfer-accepted",
            Says::TransferRefused { .. } => "transfer-refused",
            Says::TransferWithdrawn { .. } => "transfer-withdrawn",
            Says::StrategyDiscussionHeld { .. } => "strategy-discussion-held",
            Says::StatusRecorded(_) => "status-recorded",
            Says::ReferredOn { .. } => "referred-on",
            Says::HandlingLifted { .. } => "handling-lifted",
        },
        Event::ConsentWithdrawn { .. } => "consent-withdrawn",
        Event::Disagreed { .. } => "disagreed",
        Event::Delivered(_) => "delivered",
        Event::Opened { .. } => "opened",
        Event::Reviewed { .. } => "reviewed",
        Event::SenderTold => "sender-told",
        Event::Woken => "clock-breached",
        Event::LookedAgain { .. } => "looked-again",
    }
}

fn is_marked_secret(event: &Event) -> bool {
    let secret = |flags: &[HandlingFlag]| flags.contains(&HandlingFlag::Secret);
    let marked = |referral: &Referral| secret(&referral.handling) || referral.items.iter().any(|item| secret(&item.handling));
    match event {
        Event::Submitted(referral) | Event::Amended(referral) => marked(referral),
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
    }
}
