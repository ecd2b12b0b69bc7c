//! What statements cost: a span and a histogram for each, and a line in the log for slow ones.
//!
//! None of it shows a value: texts are shown with their literals replaced by `?`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tracing::{Instrument as _, Level, Span};

use crate::error::Result;
use crate::plan::{Outcome, Plan, PlanCache, Work};

/// What one statement has cost since the database was opened, over all its runs.
///
/// Statements that differ only in literals, blanks and comments count as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementStats {
    /// The identity of the statement, 16 hexadecimal digits.
    pub fingerprint: String,
    /// Its text with `?` for every literal.
    pub sql: String,
    /// How often it ran, failures included.
    pub runs: u64,
    /// How often it failed.
    pub errors: u64,
    /// Rows read or changed altogether.
    pub rows: u64,
    /// Time of all runs in microseconds, the wait for a connection included.
    pub total_us: u64,
    /// The longest run in microseconds.
    pub max_us: u64,
    /// Runs by duration: the `n`-th counts those of less than 2ⁿ microseconds, and not less than
    /// half of that.
    pub histogram: Vec<u64>,
}

/// Durations to more than half an hour; longer ones count in the last bucket.
const BUCKETS: usize = 32;

/// What a plan remembers of its runs.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    errors: AtomicU64,
    rows: AtomicU64,
    total_us: AtomicU64,
    max_us: AtomicU64,
    histogram: [AtomicU64; BUCKETS],
}

impl Statistics {
    fn add(&self, micros: u64, result: &Result<Outcome>) {
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.histogram[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.total_us.fetch_add(micros, Ordering::Relaxed);
        self.max_us.fetch_max(micros, Ordering::Relaxed);
        match result {
            Ok(outcome) => self.rows.fetch_add(outcome.len(), Ordering::Relaxed),
            Err(_) => self.errors.fetch_add(1, Ordering::Relaxed),
        };
    }

    fn add_to(&self, stats: &mut StatementStats) {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        stats.errors += load(&self.errors);
        stats.rows += load(&self.rows);
        stats.total_us += load(&self.total_us);
        stats.max_us = stats.max_us.max(load(&self.max_us));
        for (sum, bucket) in stats.histogram.iter_mut().zip(&self.histogram) {
            *sum += load(bucket);
        }
        stats.runs = stats.histogram.iter().sum();
    }
}

impl StatementStats {
    fn new(fingerprint: u64, sql: &str) -> Self {
        Self {
            fingerprint: format!("{fingerprint:016x}"),
            sql: sql.to_owned(),
            runs: 0,
            errors: 0,
            rows: 0,
            total_us: 0,
            max_us: 0,
            histogram: vec![0; BUCKETS],
        }
    }

    /// Returns an upper bound in microseconds for the duration of the fastest `share` of all runs:
    /// `quantile(0.99)`.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "a share of a count"
    )]
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.runs as f64 * share.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (bucket, runs) in self.histogram.iter().enumerate() {
            seen += runs;
            if seen >= wanted && seen > 0 {
                return self.max_us.min(1 << bucket);
            }
        }
        self.max_us
    }
}

/// Adds up the plans that ran, the most expensive statement first.
pub(crate) fn summarise(plans: &[Arc<Plan>]) -> Vec<StatementStats> {
    let mut all: BTreeMap<u64, StatementStats> = BTreeMap::new();
    for plan in plans {
        let (fingerprint, sql) = plan.fingerprint();
        let stats = all
            .entry(*fingerprint)
            .or_insert_with(|| StatementStats::new(*fingerprint, sql));
        plan.statistics.add_to(stats);
    }
    let mut all: Vec<StatementStats> = all.into_values().filter(|stats| stats.runs > 0).collect();
    all.sort_by_key(|stats| std::cmp::Reverse(stats.total_us));
    all
}

/// Times one statement.
#[derive(Debug)]
pub(crate) struct Watch {
    plan: Option<Arc<Plan>>,
    system: &'static str,
    slow: Duration,
    span: Span,
    started: Instant,
}

impl Watch {
    pub(crate) fn start(plans: &PlanCache, work: &Work) -> Self {
        let plan = work.plan().cloned();
        let system = plans.dialect().name();
        Self {
            span: span(system, plan.as_deref()),
            plan,
            system,
            slow: plans.slow(),
            started: Instant::now(),
        }
    }

    /// Runs the statement within its span, if somebody listens; backends may record `wait_us`, the
    /// wait for a connection.
    pub(crate) async fn follow<F: Future>(&self, run: Pin<&mut F>) -> F::Output {
        if self.span.is_disabled() {
            run.await
        } else {
            run.instrument(self.span.clone()).await
        }
    }

    pub(crate) fn stop(self, result: &Result<Outcome>) {
        let elapsed = self.started.elapsed();
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        if let Some(plan) = &self.plan {
            plan.statistics.add(micros, result);
        }
        if !self.span.is_disabled() {
            self.span.record("exec_us", micros);
            match result {
                Ok(outcome) => self.span.record("rows", outcome.len()),
                Err(error) => self.span.record("error", error.to_string()),
            };
        }
        if elapsed >= self.slow {
            self.complain(micros);
        }
    }

    fn complain(&self, micros: u64) {
        let (fingerprint, sql) = self.plan.as_ref().map_or((0, "(script)"), |plan| {
            let (fingerprint, sql) = plan.fingerprint();
            (*fingerprint, sql.as_str())
        });
        tracing::warn!(
            target: "athena_db",
            system = self.system,
            fingerprint = format_args!("{fingerprint:016x}"),
            micros,
            sql,
            "slow statement"
        );
    }
}

/// The text is looked at only where somebody listens.
fn span(system: &'static str, plan: Option<&Plan>) -> Span {
    if !tracing::enabled!(target: "athena_db", Level::DEBUG) {
        return Span::none();
    }
    let (fingerprint, sql) = plan.map_or((0, "(script)"), |plan| {
        let (fingerprint, sql) = plan.fingerprint();
        (*fingerprint, sql.as_str())
    });
    tracing::debug_span!(
        target: "athena_db",
        "statement",
        system,
        fingerprint = format_args!("{fingerprint:016x}"),
        sql,
        rows = tracing::field::Empty,
        wait_us = tracing::field::Empty,
        exec_us = tracing::field::Empty,
        error = tracing::field::Empty,
    )
}
