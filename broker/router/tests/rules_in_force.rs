//! The rules in force while the broker runs: good ones take the place of good ones, bad ones of none.

#[path = "../../referral/tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};

use evidence::Signer;
use prometheus::Registry;
use referral::Moment;
use referral::case::Event;
use referral::rules::Rulebook;
use referral::rules::library::BUILT_IN;
use referral::vocab::{Agreement, Level};
use router::config;
use router::decide::{Decider, Input};
use router::meters::Meters;
use router::packs::{self, PackFile};
use router::record::memory::MemoryLedger;
use router::record::{Ledger, Owed, Recorded};
use router::rules::{Change, Keeper, Rules};
use transport::clock::Clock;

const ENDPOINTS: &str = include_str!("../../../deploy/endpoints.toml");

/// A folder of packs, and whoever keeps the rules that stand in it. Goes with the test.
struct Scene {
    folder: PathBuf,
    keeper: Keeper<MemoryLedger>,
    rules: Rules,
    ledger: MemoryLedger,
    registry: Registry,
    meters: Meters,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The clock of a broker that runs on `date`.
fn clock(date: &str) -> Clock {
    let noon: Moment = format!("{date}T12:00:00Z").parse().unwrap();
    Clock::shifted(noon.duration_since(Clock::system().now()))
}

impl Scene {
    fn new(name: &str, date: &str, change: impl FnOnce(&mut config::Rules, &Path)) -> Scene {
        let folder = std::env::temp_dir().join(format!("rules-in-force-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("shadow")).unwrap();
        std::fs::create_dir_all(folder.join("areas")).unwrap();
        BUILT_IN.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).unwrap());
        let mut files = config::Rules { packs: Some(folder.clone()), ..config::Rules::default() };
        change(&mut files, &folder);
        let mut salt = 0;
        let salts = Box::new(move || {
            salt += 1;
            [salt; 32]
        });
        let ledger = MemoryLedger::new(Signer::new("localhost/test", &[7; 32]), salts);
        let registry = Registry::new();
        let meters = Meters::register(&registry).unwrap();
        let mut book = Rulebook::built_in(ENDPOINTS).unwrap();
        book.library = router::rules::library(&files).unwrap();
        let (change, rules) = Change::begin(book);
        let keeper = Keeper::new(files, change, ledger.clone(), clock(date), meters.clone());
        Scene { folder, keeper, rules, ledger, registry, meters }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    /// A folder that was changed is used once it rests.
    async fn look_until_it_rests(&mut self) {
        self.keeper.look().await;
        self.keeper.look().await;
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("no {name}"));
        let metric = &family.get_metric()[0];
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }

    fn in_force(&self, date: &str) -> String {
        let now = self.rules.now();
        now.book.library.in_force(date.parse().unwrap()).map_or("none".to_owned(), |pack| pack.id().edition.clone())
    }

    async fn leaves(&self) -> u64 {
        self.ledger.counts().await.unwrap().leaves
    }
}

/// An overlay of its own name.
fn overlay(name: &str, head: &str, rows: &str) -> String {
    format!("[pack]\nedition = \"{name}\"\nversion = 1\neffective_from = \"2026-10-01\"\nkind = \"overlay\"\n{head}\n{rows}")
}

const WITHHOLDS: &str = "[[withhold]]\nid = \"LOCAL-1\"\nbecause = \"Not here\"\nsource = \"Local\"\nevidence = \"P\"\n\
    recipient = [\"police\"]\ncategory = [\"child_health\"]\n";

#[tokio::test]
async fn a_pack_put_into_the_folder_is_in_force_once_the_folder_rests_and_the_ledger_says_so() {
    let mut scene = Scene::new("good", "2026-11-23", |_, _| {});
    scene.keeper.look().await;
    let before = scene.in_force("2026-11-23");
    assert_eq!(scene.leaves().await, 1);
    scene.write("local.toml", &overlay("LOCAL", "", WITHHOLDS));
    scene.keeper.look().await;
    assert_eq!(scene.in_force("2026-11-23"), before, "a folder that is being written to is left alone");
    scene.keeper.look().await;
    assert_eq!(scene.in_force("2026-11-23"), format!("{before}+LOCAL/1"));
    assert_eq!(scene.leaves().await, 2);
    assert_eq!(scene.metric("safeguarding_rules_reloads_total"), 1.0);
    scene.look_until_it_rests().await;
    assert_eq!(scene.leaves().await, 2, "what did not change is not recorded again");
}

#[tokio::test]
async fn a_bad_pack_never_takes_the_place_of_a_good_one() {
    let mut scene = Scene::new("bad", "2026-11-23", |_, _| {});
    scene.keeper.look().await;
    let before = scene.in_force("2026-11-23");
    let holds = WITHHOLDS.replace("[[withhold]]", "[[hold]]").replace("recipient", "sender").replace("[\"police\"]", "[\"vcs\"]");
    let bad = [
        "this is no pack".to_owned(),
        overlay("LOCAL", "", &WITHHOLDS.replace("child_health", "child_heatlh")),
        overlay("LOCAL", "", &holds.replace("category = [\"child_health\"]", "hold = \"review\"")),
    ];
    for (text, refused) in bad.iter().zip(1..) {
        scene.write("local.toml", text);
        scene.look_until_it_rests().await;
        scene.look_until_it_rests().await;
        assert_eq!(scene.in_force("2026-11-23"), before);
        assert_eq!(scene.metric("safeguarding_rules_reload_refused_total"), f64::from(refused), "said once");
    }
    // Nor do good rules of which none covers the day, when what rules now does.
    let editions = BUILT_IN.iter().filter(|(_, text)| text.contains("kind = \"edition\""));
    editions.clone().for_each(|(name, _)| std::fs::remove_file(scene.folder.join(name)).unwrap());
    std::fs::remove_file(scene.folder.join("local.toml")).unwrap();
    let (name, text) = editions.clone().next().unwrap();
    let from = text.lines().find(|line| line.starts_with("effective_from")).unwrap();
    scene.write(name, &text.replacen(from, "effective_from = \"2031-01-01\"", 1));
    let files = config::Rules { packs: Some(scene.folder.clone()), ..config::Rules::default() };
    router::rules::library(&files).expect("rules that prove, for another day");
    scene.look_until_it_rests().await;
    assert_eq!(scene.in_force("2026-11-23"), before);
    editions.for_each(|(name, text)| scene.write(name, text));
    // Nor does an empty folder, or none.
    for (name, _) in BUILT_IN {
        std::fs::remove_file(scene.folder.join(name)).unwrap();
    }
    scene.look_until_it_rests().await;
    assert_eq!(scene.in_force("2026-11-23"), before);
    std::fs::remove_dir_all(&scene.folder).unwrap();
    scene.look_until_it_rests().await;
    assert_eq!(scene.in_force("2026-11-23"), before);
    assert_eq!(scene.leaves().await, 1);
}

#[tokio::test]
async fn where_signatures_are_required_an_unsigned_change_is_refused_until_it_is_signed() {
    let guardian = Signer::new("guardian", &[1; 32]);
    let sign = |folder: &Path, guardian: &Signer| {
        for file in packs::read(folder).unwrap() {
            std::fs::write(packs::beside(&folder.join(&file.name)), PackFile::sign(&file, guardian).unwrap()).unwrap();
        }
    };
    let mut scene = Scene::new("signed", "2026-11-23", |files, folder| {
        sign(folder, &guardian);
        files.require_signature = true;
        files.trusted_keys = vec![guardian.public().clone()];
    });
    scene.keeper.look().await;
    let before = scene.in_force("2026-11-23");
    scene.write("local.toml", &overlay("LOCAL", "", WITHHOLDS));
    scene.look_until_it_rests().await;
    assert_eq!(scene.in_force("2026-11-23"), before);
    assert_eq!(scene.metric("safeguarding_rules_reload_refused_total"), 1.0);
    sign(&scene.folder, &guardian);
    scene.look_until_it_rests().await;
    assert_eq!(scene.in_force("2026-11-23"), format!("{before}+LOCAL/1"));
}

#[tokio::test]
async fn a_shadow_is_rehearsed_as_if_its_day_had_come_and_never_in_force() {
    let mut scene = Scene::new("shadow", "2026-11-23", |files, folder| files.shadow = Some(folder.join("shadow")));
    scene.write("shadow/next.toml", &overlay("NEXT", "", WITHHOLDS).replace("2026-10-01", "2031-01-01"));
    scene.keeper.look().await;
    let now = scene.rules.now();
    let shadow = now.shadow.as_ref().unwrap().library.in_force("2026-11-23".parse().unwrap()).unwrap();
    assert!(shadow.id().edition.ends_with("+NEXT/1"), "{}", shadow.id());
    assert!(!scene.in_force("2031-01-01").contains("NEXT"));
    scene.write("shadow/next.toml", "no pack");
    scene.look_until_it_rests().await;
    assert!(scene.rules.now().shadow.is_some(), "what was rehearsed before goes on");
    assert_eq!(scene.metric("safeguarding_rules_reload_refused_total"), 1.0);
}

#[tokio::test]
async fn what_the_shadow_would_do_otherwise_is_counted_and_nothing_of_it_is_done() {
    let mut scene = Scene::new("rehearsal", "2026-11-23", |files, folder| files.shadow = Some(folder.join("shadow")));
    let withholds = WITHHOLDS
        .replace("[\"police\"]", "[\"front_door\"]")
        .replace("[\"child_health\"]", "[\"concern_narrative\"]\nlevel = [\"in_need\"]");
    scene.write("shadow/next.toml", &overlay("NEXT", "", &withholds).replace("2026-10-01", "2031-01-01"));
    scene.keeper.look().await;
    let mut one = common::referral();
    (one.level, one.agreement) = (Level::InNeed, Agreement::Given);
    let decided = |rules: Rules, ledger: MemoryLedger, meters: Meters| {
        let decider = Decider { ledger, rules, clock: clock("2026-11-23"), meters };
        let input = Input::<()>::inside(one.id, Event::Submitted(Box::new(one.clone())));
        async move { decider.decide(vec![input]).await.unwrap_or_else(|(error, _)| panic!("{error}")).owed }
    };
    let with = decided(scene.rules.clone(), scene.ledger.clone(), scene.meters.clone()).await;
    let alone =
        Rules::fixed(Rulebook { library: scene.rules.now().book.library.clone(), ..Rulebook::built_in(ENDPOINTS).unwrap() });
    let without =
        decided(alone, MemoryLedger::new(Signer::new("localhost/test", &[7; 32]), Box::new(|| [9; 32])), scene.meters.clone())
            .await;
    assert_eq!(scene.metric("safeguarding_shadow_rulings_total"), 1.0);
    assert_eq!(scene.metric("safeguarding_shadow_differences_total"), 1.0);
    let bodies = |owed: &[Recorded<Owed>]| owed.iter().map(|owed| (owed.routing_key.clone(), owed.digest)).collect::<Vec<_>>();
    assert_eq!((bodies(&with), with.is_empty()), (bodies(&without), false));
}

#[tokio::test]
async fn whoever_runs_it_sees_how_long_the_rules_and_the_calendar_last() {
    let mut scene = Scene::new("days", "2026-11-23", |_, _| {});
    scene.keeper.look().await;
    assert_eq!(scene.metric("safeguarding_rules_days_left"), 36_525.0);
    assert!(scene.metric("safeguarding_calendar_days_left") > 90.0);
    scene.write("local.toml", &overlay("LOCAL", "effective_until = \"2026-12-02\"", WITHHOLDS));
    scene.look_until_it_rests().await;
    // The last day counts.
    assert_eq!(scene.metric("safeguarding_rules_days_left"), 10.0);
    let mut scene = Scene::new("before", "2001-01-01", |_, _| {});
    scene.keeper.look().await;
    assert_eq!(scene.metric("safeguarding_rules_days_left"), 0.0);
    let mut scene = Scene::new("late", "2056-01-01", |_, _| {});
    scene.keeper.look().await;
    assert_eq!(scene.metric("safeguarding_calendar_days_left"), 0.0);
}
