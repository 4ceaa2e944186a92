//! What operators see in numbers: rate, errors, what waits, what is late. Never a person, never a place finer
//! than a rule id.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use referral::case::{News, Question, Surprise};
use referral::rules::Ruling;
use referral::rules::diff::between;
use referral::rules::pack::Extent;
use referral::vocab::Vocabulary as _;

use crate::decide::news_word;
use crate::record::Counts;

/// The broker's own metrics.
#[derive(Clone)]
pub struct Meters {
    rungs: IntCounterVec,
    surprises: IntCounterVec,
    questions: IntCounterVec,
    withheld: IntCounterVec,
    quarantined: IntCounterVec,
    deliveries: IntCounterVec,
    ledger_faults: IntCounter,
    ledger_refusals: IntCounter,
    batch: Histogram,
    open: IntGauge,
    owed: IntGauge,
    oldest_owed_s: IntGauge,
    quarantine: IntGauge,
    reviews_waiting: IntGaugeVec,
    oldest_review_s: IntGaugeVec,
    leaves: IntGauge,
    rules_replaced: IntCounter,
    rules_refused: IntCounter,
    directory_replaced: IntCounter,
    directory_refused: IntCounter,
    rules_days_left: IntGauge,
    calendar_days_left: IntGauge,
    shadow_rulings: IntCounter,
    shadow_differences: IntCounterVec,
}

impl Meters {
    /// Makes them and registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Meters> {
        let counters = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let by_urgency = |name: &str, help: &str| -> prometheus::Result<IntGaugeVec> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &["urgent"])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let batch = Histogram::with_opts(
            HistogramOpts::new("safeguarding_decide_batch_size", "How many messages were decided and recorded together")
                .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
        )?;
        registry.register(Box::new(batch.clone()))?;
        Ok(Meters {
            rungs: counters("safeguarding_ladder_total", "Rungs climbed, by rung", "rung")?,
            surprises: counters("safeguarding_surprises_total", "Messages that changed nothing, by why", "why")?,
            questions: counters("safeguarding_questions_total", "Times a person was asked, by what for", "what")?,
            withheld: counters("safeguarding_withheld_total", "Items withheld or cut to the minimum, by rule", "rule")?,
            quarantined: counters("safeguarding_quarantined_total", "Messages put into quarantine, by why", "why")?,
            deliveries: counters("safeguarding_delivery_attempts_total", "Attempts to deliver, by outcome", "outcome")?,
            ledger_faults: counter("safeguarding_ledger_faults_total", "Times the ledger did not answer")?,
            ledger_refusals: counter("safeguarding_ledger_refusals_total", "Steps the ledger refused: a fault of this program")?,
            batch,
            open: gauge("safeguarding_open_referrals", "Referrals whose outcome has not reached the referrer")?,
            owed: gauge("safeguarding_owed_deliveries", "Deliveries recorded and not confirmed by their queue")?,
            oldest_owed_s: gauge("safeguarding_oldest_owed_seconds", "Age of the oldest delivery not confirmed, in seconds")?,
            quarantine: gauge("safeguarding_quarantine_messages", "Messages in quarantine")?,
            reviews_waiting: by_urgency("safeguarding_reviews_waiting", "Referrals that wait for a person, by urgency")?,
            oldest_review_s: by_urgency(
                "safeguarding_oldest_review_seconds",
                "How long the longest of them has waited, in seconds; 0 when none waits",
            )?,
            leaves: gauge("safeguarding_ledger_leaves", "Entries of the ledger's log")?,
            rules_replaced: counter("safeguarding_rules_reloads_total", "Times new rules took the place of the old")?,
            rules_refused: counter("safeguarding_rules_reload_refused_total", "Times new rules were refused and the old stayed")?,
            directory_replaced: counter(
                "safeguarding_directory_reloads_total",
                "Times a new directory took the place of the old",
            )?,
            directory_refused: counter(
                "safeguarding_directory_reload_refused_total",
                "Times a new directory was refused, or could not be established or recorded, and the old stayed",
            )?,
            rules_days_left: gauge(
                "safeguarding_rules_days_left",
                "Days for which everything now in force stays so; 0 when nothing is, 36525 when no end is known",
            )?,
            calendar_days_left: gauge("safeguarding_calendar_days_left", "Days for which bank holidays are known")?,
            shadow_rulings: counter("safeguarding_shadow_rulings_total", "Rulings made by the next edition too")?,
            shadow_differences: counters(
                "safeguarding_shadow_differences_total",
                "Rulings in which the next edition differs, by what differs",
                "what",
            )?,
        })
    }

    /// Metrics that nobody reads, for tools and simulations.
    pub fn unread() -> Option<Meters> {
        Meters::register(&Registry::new()).ok()
    }

    pub(crate) fn told(&self, news: &News) {
        self.rungs.with_label_values(&[news_word(news)]).inc();
    }

    pub(crate) fn surprised(&self, surprise: Surprise) {
        let why = match surprise {
            Surprise::Duplicate => "duplicate",
            Surprise::NeverSeen => "never_seen",
            Surprise::NotYours => "not_yours",
            Surprise::NotSentToYou => "not_sent_to_you",
            Surprise::OtherContent => "other_content",
            Surprise::NotResponsible => "not_responsible",
            Surprise::Late => "late",
            Surprise::NothingDue => "nothing_due",
            Surprise::NotHeld => "not_held",
            Surprise::AlreadyReviewed => "already_reviewed",
            Surprise::VersionChanged => "version_changed",
            Surprise::NowhereToGo => "nowhere_to_go",
            Surprise::UnknownTarget => "unknown_target",
            Surprise::OnlyItems => "only_items",
            Surprise::NoBasis => "no_basis",
            Surprise::TransferPending => "transfer_pending",
            Surprise::NothingOffered => "nothing_offered",
            Surprise::NotYoursToLift => "not_yours_to_lift",
            Surprise::NotWithAnAuthority => "not_with_an_authority",
            Surprise::AlreadyDisputed => "already_disputed",
            Surprise::NoStageAbove => "no_stage_above",
            Surprise::ContentErased => "content_erased",
        };
        self.surprises.with_label_values(&[why]).inc();
    }

    pub(crate) fn asked(&self, question: &Question) {
        let what = match question {
            Question::Review { urgent: true, .. } => "urgent_review",
            Question::Review { urgent: false, .. } => "review",
            Question::NotConnected { .. } => "not_connected",
        };
        self.questions.with_label_values(&[what]).inc();
    }

    pub(crate) fn ruled(&self, ruling: &Ruling) {
        for verdict in ruling.views().iter().flat_map(|view| view.verdicts()).filter(|verdict| verdict.given != Extent::Whole) {
            let rule = verdict.by.first().map_or("DM-01", |reason| reason.rule.0.as_str());
            self.withheld.with_label_values(&[rule]).inc();
        }
    }

    pub(crate) fn rules_replaced(&self) {
        self.rules_replaced.inc();
    }

    pub(crate) fn rules_refused(&self) {
        self.rules_refused.inc();
    }

    pub(crate) fn directory_replaced(&self) {
        self.directory_replaced.inc();
    }

    pub(crate) fn directory_refused(&self) {
        self.directory_refused.inc();
    }

    pub(crate) fn days_left(&self, rules: i64, calendar: i64) {
        self.rules_days_left.set(rules);
        self.calendar_days_left.set(calendar);
    }

    /// What the next edition would have ruled, beside what was ruled.
    pub(crate) fn rehearsed(&self, ruling: &Ruling, shadow: &Ruling) {
        self.shadow_rulings.inc();
        for difference in between(ruling, shadow) {
            self.shadow_differences.with_label_values(&[difference.as_str()]).inc();
        }
    }

    pub(crate) fn quarantined(&self, why: &str) {
        self.quarantined.with_label_values(&[why]).inc();
    }

    pub(crate) fn delivered(&self, outcome: &str) {
        self.deliveries.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn ledger_failed(&self) {
        self.ledger_faults.inc();
    }

    pub(crate) fn refused_by_ledger(&self) {
        self.ledger_refusals.inc();
    }

    pub(crate) fn batch(&self, size: usize) {
        self.batch.observe(size as f64);
    }

    pub(crate) fn counted(&self, counts: &Counts, now: referral::Moment) {
        let age_s = |oldest: Option<referral::Moment>| oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs());
        let gauge = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge(&self.open, counts.open);
        gauge(&self.owed, counts.owed);
        gauge(&self.quarantine, counts.quarantined);
        gauge(&self.leaves, counts.leaves);
        self.oldest_owed_s.set(age_s(counts.oldest_owed));
        for (urgent, waiting) in [("no", counts.waiting), ("yes", counts.waiting_urgently)] {
            gauge(&self.reviews_waiting.with_label_values(&[urgent]), waiting.referrals);
            self.oldest_review_s.with_label_values(&[urgent]).set(age_s(waiting.oldest));
        }
    }
}
