//! Storing what is asked for, and finding out what should be found.

use super::super::place::PROJECT;
use super::bm25::Bm25;
use super::gauge::cpu_time;
use super::stages::Bench;
use crate::compose::Store;
use athena_core::Result;
use athena_corpus::{DIMENSION, Row, Truth};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Records in one call of `memory.import`.
const BATCH: u64 = 500;

/// What was stored.
#[derive(Debug)]
pub(super) struct Filled {
    /// Which rows lie nearest to each question.
    pub(super) truth: Truth,
    /// How well the words of each question fit each row.
    pub(super) bm25: Bm25,
    /// How long storing took, making up the rows not counted.
    pub(super) took: Duration,
    /// The CPU time of that.
    pub(super) cpu: Duration,
}

/// Stores rows in a project of its own, in batches.
///
/// # Errors
///
/// What the operations fail with.
pub(super) async fn fill(bench: &Bench<'_>, store: &Store, bar: &ProgressBar) -> Result<Filled> {
    let (registry, corpus, questions) = (&bench.session.registry, &bench.corpus, &bench.questions);
    let rows = bench.plan.rows;
    let ctx = store.ctx("bench");
    let project = json!({"name": PROJECT, "embedding_dim": DIMENSION});
    registry.call("project.create", &ctx, project, None).await?;
    let mut filled = Filled {
        truth: Truth::new(questions),
        bm25: Bm25::new(questions),
        took: Duration::ZERO,
        cpu: Duration::ZERO,
    };
    for first in (0..rows).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let mut records = Vec::new();
        for number in first..rows.min(first + BATCH) {
            let row = corpus.row(number);
            filled.truth.add(number, &row);
            filled.bm25.add(&row.text);
            records.push(record(number, &row));
        }
        let count = u64::try_from(records.len()).unwrap_or(BATCH);
        let input = json!({ "memories": records });
        let (cpu, started) = (cpu_time(), Instant::now());
        registry.call("memory.import", &ctx, input, None).await?;
        filled.took += started.elapsed();
        filled.cpu += cpu_time().saturating_sub(cpu);
        bar.inc(count);
    }
    let (cpu, started) = (cpu_time(), Instant::now());
    athena_store::flush(store.env()).await;
    filled.took += started.elapsed();
    filled.cpu += cpu_time().saturating_sub(cpu);
    Ok(filled)
}

/// Returns a row as the operations take it; `external_id` brings its number back.
pub(super) fn record(number: u64, row: &Row) -> Value {
    json!({
        "content": row.text,
        "embedding": row.vector,
        "external_id": number.to_string(),
        "tags": row.labels.names().collect::<Vec<&str>>(),
    })
}
