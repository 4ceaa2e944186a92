//! What the doors count. Labels are closed words of ours: no party, no referral, nothing personal.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use tonic::Status;
use transport::clock::{Clock, Stopwatch};

use crate::status::Refusal;

/// The doors' metrics.
#[derive(Clone)]
pub struct Meters {
    answered: IntCounterVec,
    refused: IntCounterVec,
    seconds: HistogramVec,
}

impl Meters {
    /// Registers them in `registry`.
    pub fn register(registry: &Registry) -> prometheus::Result<Meters> {
        let answered = IntCounterVec::new(
            Opts::new("safeguarding_door_answered_total", "Calls answered as asked; for Submit and the like: accepted."),
            &["method"],
        )?;
        let refused = IntCounterVec::new(
            Opts::new("safeguarding_door_refused_total", "Calls refused, by the reason of their ErrorInfo."),
            &["method", "reason"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("safeguarding_door_seconds", "From a call's arrival to its answer, confirm included.")
                .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
            &["method"],
        )?;
        for metric in [answered.clone(), refused.clone()] {
            registry.register(Box::new(metric))?;
        }
        registry.register(Box::new(seconds.clone()))?;
        Ok(Meters { answered, refused, seconds })
    }

    /// Starts timing a call.
    pub fn start(&self) -> Stopwatch {
        Clock::system().stopwatch()
    }

    /// Counts how a call of `method` ended, and makes its status.
    pub fn ended<T>(&self, method: &'static str, since: Stopwatch, outcome: Result<T, Refusal>) -> Result<T, Status> {
        self.seconds.with_label_values(&[method]).observe(since.elapsed_s());
        match outcome {
            Ok(answer) => {
                self.answered.with_label_values(&[method]).inc();
                Ok(answer)
            }
            Err(refusal) => {
                self.turned_back(method, refusal.reason());
                Err(refusal.into())
            }
        }
    }

    /// Counts a refusal, also one that is told in an answer, as FHIR wants it.
    pub fn turned_back(&self, method: &'static str, reason: &'static str) {
        self.refused.with_label_values(&[method, reason]).inc();
        tracing::info!(rpc.method = method, refusal.reason = reason, "refused {method}: {reason}");
    }
}
