//! The simulation: thousands of lives of the real decider, deliverer and watcher of clocks, over a ledger and in a
//! world that fail in every way they can, between crashes. Not the sets are compared but the counts: every step,
//! every delivery, every rung and every leaf is there exactly as often as the oracle says.
//!
//! A life hangs on its seed alone. When one goes wrong its seed is printed; `SAFEGUARDING_SEED=<seed>` lives it
//! again and tells what happens. `SAFEGUARDING_LIVES=<count>` asks for another number of lives.

mod chance;
mod life;
mod oracle;
mod people;
mod shaky;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use life::{Given, live};
use router::meters::Meters;
use transport::clock::Clock;
use world::Tally;

/// How many lives are lived unless somebody asks for another number.
const LIVES: u64 = 2_000;
/// How many lives that went wrong are told of; the rest is told as a number.
const TOLD_MAX: usize = 5;

fn given() -> Given {
    Given { rules: Arc::new(people::rulebook()), meters: Meters::unread().expect("meters that nobody reads") }
}

fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number, not {text:?}")))
}

#[test]
fn whatever_fails_everything_accepted_is_recorded_delivered_and_told_exactly_as_the_oracle_says() {
    let given = given();
    if let Some(seed) = asked("SAFEGUARDING_SEED") {
        let ended = live(seed, &given, true);
        assert!(ended.complaints.is_empty(), "life {seed} went wrong:\n  {}", ended.complaints.join("\n  "));
        return;
    }
    let lives = asked("SAFEGUARDING_LIVES").unwrap_or(LIVES);
    let stopwatch = Clock::system().stopwatch();
    let next = AtomicU64::new(0);
    let lived = |_| {
        let (mut tally, mut wrong) = (Tally::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= lives {
                return (tally, wrong);
            }
            let ended = live(seed, &given, false);
            tally.add(&ended.tally);
            if !ended.complaints.is_empty() {
                wrong.push((seed, ended.complaints));
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get().min(4));
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || lived(worker))).collect();
        for worker in workers {
            let (lived, went_wrong) = worker.join().expect("a worker lives its lives to the end");
            tally.add(&lived);
            wrong.extend(went_wrong);
        }
    });
    println!("{tally:#?}\nin {:.1} s", stopwatch.elapsed_s());
    wrong.sort();
    let told: Vec<String> = wrong
        .iter()
        .take(TOLD_MAX)
        .map(|(seed, complaints)| format!("SAFEGUARDING_SEED={seed}\n  {}", complaints.join("\n  ")))
        .collect();
    assert!(wrong.is_empty(), "{} of {lives} lives went wrong:\n{}", wrong.len(), told.join("\n"));
    if lives >= 100 {
        for (fault, times) in tally.faults() {
            assert!(times > 0, "there were no {fault} in {lives} lives: the simulation has become too kind");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_life() {
    let given = given();
    for seed in 0..20 {
        let (once, again) = (live(seed, &given, false), live(seed, &given, false));
        assert_eq!(once.tally, again.tally, "life {seed}");
        assert_eq!(once.complaints, again.complaints, "life {seed}");
    }
}
