//! Loss: whatever is killed, and whenever, everything that was accepted arrives, where it belongs, in order.
//!
//! 2,000 referrals flow from two schools to two councils and their police while broker, adapter and the RabbitMQ
//! node are killed without warning, at points that a seed chooses. The seed is printed; `SAFEGUARDING_SEED` takes
//! it again, and with it the same referrals and the same deaths. Only an answered receipt counts as accepted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use futures_util::stream;
use proto::wire::common::v1 as common;
use proto::wire::delivery::v1::Matter;
use proto::wire::referral::v1 as referral;
use router::record::sqlite::SqliteLedger;
use router::record::{Counts, Ledger, key};
use sha2::{Digest as _, Sha256};
use tests::client::{Sender, content, read};
use tests::stack::{OwnNode, Program, Stack, certify, http_get, is_ready, repository};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use transport::amqp::{Consumer, Delivered, Meters, Subscription};
use transport::clock::{Clock, Stopwatch};

const REFERRALS: usize = 2_000;
/// Who sends, and how many referrals each has under way at once.
const SCHOOLS: [&str; 2] = ["school.999001", "school.999002"];
const HANDS: usize = 8;
/// How often each is killed; the node once more than this, when its queues are seconds old.
const DEATHS: [(Victim, usize); 3] = [(Victim::Broker, 5), (Victim::Adapter, 4), (Victim::RabbitMq, 2)];
/// The node's first death comes after so many accepted referrals.
const YOUNG: usize = 5;
/// How many are sent once more when all is over.
const REPEATED: usize = 50;
/// Longer than any answer takes: a caller that has waited so long asks again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
/// What does not end within this has got stuck.
const RUN_PATIENCE: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_every_accepted_referral_reaches_the_right_queue() {
    let seed = std::env::var("SAFEGUARDING_SEED")
        .map_or_else(|_| fresh_seed(), |seed| seed.parse().expect("SAFEGUARDING_SEED is a number"));
    println!("seed {seed}; SAFEGUARDING_SEED={seed} sends the same referrals and kills at the same counts");
    let stopwatch = Clock::system().stopwatch();
    let node = Arc::new(OwnNode::start("loss"));
    let endpoints = endpoints();
    certify(&node.node().certificates(), &[], &endpoints.iter().map(String::as_str).collect::<Vec<_>>());
    let mut stack = Stack::prepare("loss", node.node());
    stack.start_broker(0).await;
    stack.start_adapter().await;
    let schools = [Sender::of(&stack, SCHOOLS[0]).await, Sender::of(&stack, SCHOOLS[1]).await];
    let consumers: Vec<Consumer> = endpoints.iter().map(|endpoint| consumer(&stack, endpoint)).collect();

    let drill = Drill::new(seed, stopwatch, node.clone(), stack, schools);
    let recipients = join_all(endpoints.iter().zip(consumers).map(|(endpoint, consumer)| drill.receive(endpoint, consumer)));
    let work = async {
        join(drill.send_everything(), drill.kill_everything()).await;
        drill.says("all is accepted, and everybody alive".to_owned());
        drill.everything_has_arrived().await;
        drill.says("all has arrived".to_owned());
        drill.repeats_change_nothing().await;
    };
    let done = timeout(RUN_PATIENCE, async {
        tokio::select! { () = work => (), _ = recipients => () }
    })
    .await;
    assert!(done.is_ok(), "not done within {RUN_PATIENCE:?}: {}", drill.books().summary());

    let Drill { stack, books, .. } = drill;
    let (mut stack, books) = (stack.into_inner().expect("whole"), books.into_inner().expect("whole"));
    stack.stop();
    let (holds, said) = stack.broker_command(&["ledger", "verify"]);
    assert!(holds, "{said}");
    let counts = counts(&stack.folder.join("ledger")).await;
    assert_eq!((counts.owed, counts.quarantined), (0, 0), "owed, and put into quarantine");
    let (_, bundle) = stack.broker_command(&["ledger", "export", "--without-records"]);
    let recorded = bundle.lines().filter(|line| line.contains(r#""kind":"delivery""#)).count();
    assert_eq!(recorded, books.deliveries.len(), "what was recorded is what came");
    println!("{}; {} s", books.summary(), stopwatch.elapsed().as_secs());
    println!("{}", said.trim());
}

// Who is there.

struct Council {
    code: &'static str,
    desks: [&'static str; 2],
    police: &'static str,
}

const COUNCILS: [Council; 2] = [
    Council { code: "E08000035", desks: ["la.E08000035.front-door", "la.E08000035.edt"], police: "police.13" },
    Council { code: "E10000016", desks: ["la.E10000016.front-door", "la.E10000016.edt"], police: "police.46" },
];

/// Every endpoint of the local stack. Each has a queue and is read, so that what comes to the wrong one is seen.
fn endpoints() -> Vec<String> {
    let file = std::fs::read_to_string(repository().join("deploy/endpoints.toml")).expect("the endpoints");
    file.lines().filter_map(|line| Some(line.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned())).collect()
}

fn consumer(stack: &Stack, endpoint: &str) -> Consumer {
    let subscription =
        Subscription { queues: vec![format!("delivery.{endpoint}")], prefetch: 64, name: format!("test {endpoint}") };
    Consumer::subscribe(stack.nodes(endpoint), subscription, Meters::unread())
}

// What is sent.

const LEVELS: [common::Level; 4] =
    [common::Level::ImmediateDanger, common::Level::SignificantHarm, common::Level::SignificantHarm, common::Level::InNeed];

/// One referral as it is sent, version by version. It follows from the seed and its number alone.
#[derive(Clone)]
struct Plan {
    number: usize,
    key: String,
    council: &'static Council,
    level: common::Level,
    amendments: Vec<Amendment>,
}

/// How a referral is amended.
#[derive(Clone, Copy)]
enum Amendment {
    /// By the call for it, which asks the broker.
    Amend,
    /// By a changed submission under the same key, which asks nobody.
    SameKey,
}

impl Plan {
    fn of(seed: u64, number: usize) -> Plan {
        let mut chance = Chance::of(seed, number as u64);
        let amendments = chance.below(8).saturating_sub(5);
        Plan {
            number,
            key: chance.key(),
            council: &COUNCILS[usize::from(chance.below(3) == 0)],
            level: LEVELS[chance.below(LEVELS.len() as u64) as usize],
            amendments: (0..amendments)
                .map(|_| if chance.below(2) == 0 { Amendment::Amend } else { Amendment::SameKey })
                .collect(),
        }
    }

    /// The content in one version, which it names where everybody who gets the narrative can read it.
    fn content(&self, version: usize) -> common::Submission {
        let mut content = content("Everychild", &format!("Worry {}, version {version}.", self.number));
        content.level = self.level as i32;
        content.agreement = common::Agreement::Given as i32;
        let home = self.council.code.to_owned();
        let child = content.child.as_mut().expect("a child");
        child.places = Some(common::Places { home: home.clone(), located: home, ..common::Places::default() });
        content
    }

    /// Whether `endpoints` are whom the rules want it to reach: the council's front door, at night its other desk as
    /// well or instead when a child cannot wait, and the police of the place when a child is in immediate danger.
    fn belongs_to(&self, endpoints: &BTreeSet<String>) -> bool {
        let (desks, others): (BTreeSet<&str>, BTreeSet<&str>) =
            endpoints.iter().map(String::as_str).partition(|endpoint| self.council.desks.contains(endpoint));
        let police = (self.level == common::Level::ImmediateDanger).then_some(self.council.police);
        let can_wait = self.level == common::Level::InNeed;
        let right_desks = if can_wait { desks == BTreeSet::from([self.council.desks[0]]) } else { !desks.is_empty() };
        right_desks && others == police.into_iter().collect()
    }
}

async fn submit(school: &Sender, plan: &Plan, version: usize) -> Result<referral::Receipt, Status> {
    school.clone().submit(&plan.key, plan.content(version)).await
}

/// A repeat of an amendment carries the same key, too.
async fn amend(school: &Sender, plan: &Plan, id: &str, version: usize) -> Result<referral::Receipt, Status> {
    let idempotency_key = Chance::of(version as u64, plan.number as u64).key();
    let content = Some(plan.content(version));
    let request = referral::AmendRequest { referral_id: id.to_owned(), idempotency_key, content, sender: String::new() };
    Ok(school.referrals.clone().amend(request).await?.into_inner().receipt.expect("a receipt"))
}

// What is killed.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Broker,
    Adapter,
    RabbitMq,
}

/// A death: a moment after so many referrals were accepted, and how long it lasts before somebody starts it again.
struct Death {
    accepted: usize,
    moment: Duration,
    lasts: Duration,
}

fn deaths(seed: u64, victim: Victim, count: usize) -> Vec<Death> {
    let mut chance = Chance::of(seed, u64::MAX - victim as u64);
    let mut death = |accepted| Death {
        accepted,
        moment: Duration::from_millis(chance.below(400)),
        lasts: Duration::from_millis(chance.below(1_500)),
    };
    let mut deaths: Vec<Death> = (0..count).map(|_| death(0)).collect();
    if victim == Victim::RabbitMq {
        deaths.push(Death { moment: Duration::ZERO, ..death(YOUNG) });
    }
    for death in deaths.iter_mut().take(count) {
        death.accepted = 20 + chance.below(REFERRALS as u64 * 9 / 10) as usize;
    }
    deaths.sort_by_key(|death| death.accepted);
    deaths
}

/// Chance out of a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn of(seed: u64, stream: u64) -> Chance {
        let mut chance = Chance(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn key(&mut self) -> String {
        let bytes = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid().to_string()
    }
}

fn fresh_seed() -> u64 {
    // Short enough to be read out.
    u64::from(uuid::Uuid::new_v4().as_fields().0)
}

// What is known.

/// What was accepted, and what came.
#[derive(Default)]
struct Books {
    accepted: HashMap<String, Accepted>,
    /// What came to whom of which referral, at first arrival, in the order of arrival.
    arrived: HashMap<String, BTreeMap<String, Vec<Arrival>>>,
    /// Every delivery: to whom it came, and the digest of its body.
    deliveries: HashMap<String, (String, [u8; 32])>,
    repeats: usize,
    deaths: BTreeMap<Victim, usize>,
    starts_in_vain: usize,
    answers: BTreeMap<String, usize>,
}

struct Accepted {
    plan: Plan,
    /// How many versions of it were accepted.
    versions: usize,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    matter: &'static str,
    sequence: u32,
    /// The version it tells, where its reader may have the narrative.
    version: Option<usize>,
}

impl Books {
    /// One delivery came to `endpoint`'s queue. A repeat is the same delivery, to the byte, in the same queue.
    fn arrived(&mut self, endpoint: &str, delivered: Delivered) {
        let body: [u8; 32] = Sha256::digest(&delivered.message.body).into();
        let received = read(delivered.message);
        let delivery = received.delivery;
        assert_eq!((delivery.recipient.as_str(), &delivery.delivery_id), (endpoint, &received.message.id));
        if let Some(before) = self.deliveries.insert(delivery.delivery_id.clone(), (endpoint.to_owned(), body)) {
            assert_eq!(before, (endpoint.to_owned(), body), "a repeat is not what came before");
            self.repeats += 1;
            return;
        }
        let (matter, sequence) = (delivery.matter().as_str_name(), delivery.sequence);
        let version = delivery.rendering.split_once(", version ").and_then(|(_, rest)| rest.split_once('.')?.0.parse().ok());
        self.arrived.entry(delivery.referral_id).or_default().entry(endpoint.to_owned()).or_default().push(Arrival {
            matter,
            sequence,
            version,
        });
    }

    /// Whether every accepted version of a referral has come to each of `recipients`, in order and once, and to
    /// nobody else. What has come and must not fails at once; what has not come yet may still.
    fn is_complete(&self, id: &str, recipients: &BTreeSet<String>) -> bool {
        let Accepted { plan, versions } = &self.accepted[id];
        assert!(plan.belongs_to(recipients), "referral {id} goes to {recipients:?}");
        let Some(arrived) = self.arrived.get(id) else { return false };
        for (endpoint, arrivals) in arrived {
            assert!(recipients.contains(endpoint), "referral {id} came to {endpoint}");
            for (nth, arrival) in arrivals.iter().enumerate() {
                let matter = if nth == 0 { Matter::Referral } else { Matter::Amendment };
                let in_order = arrival.sequence as usize == nth && arrival.version.is_none_or(|version| version == nth);
                assert!(
                    in_order && arrival.matter == matter.as_str_name() && nth < *versions,
                    "referral {id} at {endpoint}: {arrivals:?}"
                );
            }
        }
        recipients.iter().all(|endpoint| arrived.get(endpoint).is_some_and(|arrivals| arrivals.len() == *versions))
    }

    fn summary(&self) -> String {
        let versions: usize = self.accepted.values().map(|accepted| accepted.versions).sum();
        format!(
            "{} referrals accepted, {} amendments; {} deliveries, {} repeats of them; killed {:?}, {} starts in vain; answers other than a receipt {:?}",
            self.accepted.len(),
            versions - self.accepted.len(),
            self.deliveries.len(),
            self.repeats,
            self.deaths,
            self.starts_in_vain,
            self.answers,
        )
    }
}

async fn counts(folder: &Path) -> Counts {
    let signer = key::open(&folder.join("signing.key"), "localhost/safeguarding-ledger").expect("the ledger's key");
    let ledger = SqliteLedger::open(&folder.join("ledger.sqlite"), signer, Box::new(|| [0; 32])).expect("the ledger");
    ledger.counts().await.expect("the ledger counts")
}

// The drill.

struct Drill {
    seed: u64,
    stopwatch: Stopwatch,
    node: Arc<OwnNode>,
    schools: [Sender; 2],
    stack: Mutex<Stack>,
    accepted: AtomicUsize,
    books: Mutex<Books>,
}

impl Drill {
    fn new(seed: u64, stopwatch: Stopwatch, node: Arc<OwnNode>, stack: Stack, schools: [Sender; 2]) -> Drill {
        Drill { seed, stopwatch, node, schools, stack: Mutex::new(stack), accepted: AtomicUsize::new(0), books: Mutex::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stack(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_everything(&self) {
        let next = AtomicUsize::new(0);
        join_all((0..HANDS * SCHOOLS.len()).map(|_| self.send_what_is_next(&next))).await;
    }

    /// One pair of hands: sends what is next until nothing is, and lets go of nothing before it is accepted.
    async fn send_what_is_next(&self, next: &AtomicUsize) {
        let mut pause = Chance::of(self.seed, u64::MAX / 2);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= REFERRALS {
                return;
            }
            let plan = Plan::of(self.seed, number);
            let school = self.school_of(&plan);
            let id = self.until_accepted(async || submit(school, &plan, 0).await).await.referral_id;
            let before = self.books().accepted.insert(id.clone(), Accepted { plan: plan.clone(), versions: 1 });
            assert!(before.is_none(), "two submissions are one referral");
            self.accepted.fetch_add(1, Ordering::Relaxed);
            for (version, amendment) in plan.amendments.iter().enumerate().map(|(nth, amendment)| (nth + 1, amendment)) {
                let receipt = self
                    .until_accepted(async || match amendment {
                        Amendment::Amend => amend(school, &plan, &id, version).await,
                        Amendment::SameKey => submit(school, &plan, version).await,
                    })
                    .await;
                assert_eq!(receipt.referral_id, id, "an amendment stays with its referral");
                self.books().accepted.get_mut(&id).expect("accepted").versions += 1;
            }
            sleep(Duration::from_millis(pause.below(100))).await;
        }
    }

    fn school_of(&self, plan: &Plan) -> &Sender {
        &self.schools[plan.number % SCHOOLS.len()]
    }

    /// Tries until something is accepted, waiting in between for as long as the refusal says.
    async fn until_accepted<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T, Status>) -> T {
        loop {
            let status = match timeout(ANSWER_PATIENCE, attempt()).await {
                Ok(Ok(accepted)) => return accepted,
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("nobody answered"),
            };
            sleep(self.wait_after(&status)).await;
        }
    }

    fn wait_after(&self, status: &Status) -> Duration {
        const A_MOMENT: Duration = Duration::from_millis(500);
        let said = status.get_details_error_info().map(|info| info.reason);
        let word = said.clone().unwrap_or_else(|| format!("{:?}, not the product's: {}", status.code(), status.message()));
        *self.books().answers.entry(word).or_default() += 1;
        match (said.as_deref(), status.code()) {
            (Some("NOT_RECEIVED" | "BROKER_AWAY"), Code::Unavailable) => status
                .get_details_retry_info()
                .and_then(|info| info.retry_delay)
                .expect("a refusal for now says when to try again"),
            // It was accepted a moment ago, and the broker has not got to it.
            (Some("NO_SUCH_REFERRAL"), Code::NotFound) => A_MOMENT,
            // The connection broke, and nobody knows whether it was received.
            (None, Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal | Code::DeadlineExceeded) => A_MOMENT,
            _ => panic!("an answer that is no use to a sender: {status:?}"),
        }
    }

    async fn kill_everything(&self) {
        join_all(DEATHS.map(|(victim, count)| self.kill_again_and_again(victim, count))).await;
    }

    async fn kill_again_and_again(&self, victim: Victim, count: usize) {
        for death in deaths(self.seed, victim, count) {
            while self.accepted.load(Ordering::Relaxed) < death.accepted {
                sleep(Duration::from_millis(2)).await;
            }
            sleep(death.moment).await;
            self.says(format!("{victim:?} dies, for {:?}", death.lasts));
            *self.books().deaths.entry(victim).or_default() += 1;
            match victim {
                Victim::Broker => self.kill_program(Program::Broker, death.lasts).await,
                Victim::Adapter => self.kill_program(Program::Adapter, death.lasts).await,
                Victim::RabbitMq => self.kill_node(death.lasts).await,
            }
            self.says(format!("{victim:?} is back"));
        }
    }

    /// What happens, and when.
    fn says(&self, what: String) {
        println!("{:5.1} s, {} accepted: {what}", self.stopwatch.elapsed_s(), self.accepted.load(Ordering::Relaxed));
    }

    /// A program that ends by itself is started again, as whoever looks after it would: a broker that finds no
    /// RabbitMQ when it starts says so and ends.
    async fn kill_program(&self, program: Program, lasts: Duration) {
        self.stack().kill(program);
        sleep(lasts).await;
        self.stack().launch(program);
        let health = match program {
            Program::Broker => self.stack().broker_metrics(),
            Program::Adapter => self.stack().adapter_metrics(),
        };
        while !is_ready(&health).await {
            sleep(Duration::from_millis(200)).await;
            if self.stack().has_ended(program) {
                self.books().starts_in_vain += 1;
                sleep(Duration::from_secs(1)).await;
                self.stack().launch(program);
            }
        }
    }

    async fn kill_node(&self, lasts: Duration) {
        let node = self.node.clone();
        let death = tokio::task::spawn_blocking(move || {
            node.kill();
            std::thread::sleep(lasts);
            node.bring_back();
        });
        death.await.expect("the node is killed and comes back");
    }

    /// A recipient: reads its queue, and settles what is in its hands.
    async fn receive(&self, endpoint: &str, mut consumer: Consumer) {
        loop {
            for delivered in consumer.next(64).await {
                let token = delivered.token;
                self.books().arrived(endpoint, delivered);
                consumer.settle(&[token]).await;
            }
        }
    }

    /// Waits until each accepted version has come to everybody whom the school is told of as a recipient.
    async fn everything_has_arrived(&self) {
        let all: Vec<(String, Plan)> =
            self.books().accepted.iter().map(|(id, accepted)| (id.clone(), accepted.plan.clone())).collect();
        let arrivals = stream::iter(&all).for_each_concurrent(16, |(id, plan)| async move {
            while !self.has_arrived(id, plan).await {
                sleep(Duration::from_millis(300)).await;
            }
        });
        arrivals.await;
        let books = self.books();
        let strangers: Vec<&String> = books.arrived.keys().filter(|id| !books.accepted.contains_key(*id)).collect();
        assert!(strangers.is_empty(), "these came and were never sent: {strangers:?}");
    }

    async fn has_arrived(&self, id: &str, plan: &Plan) -> bool {
        if !self.books().arrived.contains_key(id) {
            return false;
        }
        let Ok(status) = self.school_of(plan).clone().get(id).await else { return false };
        let recipients: BTreeSet<String> = status.recipients.into_iter().map(|recipient| recipient.endpoint).collect();
        status.stage == common::Stage::Delivered as i32 && self.books().is_complete(id, &recipients)
    }

    /// The same submission gets the same receipt, however long ago it was, and nobody gets anything new.
    async fn repeats_change_nothing(&self) {
        let before = self.repeats_that_changed_nothing().await;
        for number in (0..REFERRALS).step_by(REFERRALS / REPEATED) {
            let plan = Plan::of(self.seed, number);
            let receipt = self.until_accepted(async || submit(self.school_of(&plan), &plan, 0).await).await;
            assert_eq!(self.books().accepted[&receipt.referral_id].plan.number, number);
        }
        while self.repeats_that_changed_nothing().await < before + REPEATED {
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn repeats_that_changed_nothing(&self) -> usize {
        let address = self.stack().broker_metrics();
        let metrics = http_get(&address, "/metrics").await.expect("the broker's metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix("safeguarding_surprises_total{why=\"duplicate\"} "));
        line.map_or(0, |count| count.parse().expect("a count"))
    }
}
