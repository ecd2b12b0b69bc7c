//! Asking the database, and telling what it found.
//!
//! An HNSW index that is asked with a filter finds too little unless it scans on
//! (`hnsw.iterative_scan`), and stops scanning where its limits say so. These are lifted for the
//! transaction and read back; if fewer memories come back than were asked for all the same, the
//! question is put again without an index, so none is ever missing.

use super::found::Found;
use super::statement::{Statement, Taken, by_age, by_place};
use super::{NativeFound, refused, setup};
use crate::memories::Memory;
use athena_core::{Ctx, Error, Result};
use athena_db::{Executor, Tx, TxOptions, params};
use athena_search::{Arm, Explain, Ground, Hit, ItemRef, Kind, Part, Query, VectorState, WHOLE};
use athena_store::{Request, question};
use std::time::Instant;

/// What each arm names at least: passages by vectors, memories by words.
const FEWEST: usize = 100;
/// The most that pgvector takes for `hnsw.ef_search`.
const WIDEST_SEARCH: usize = 1_000;
/// The steps of scores.
const STEPS: f64 = 1e7;

/// Asks the database.
pub(super) async fn ask(ctx: &Ctx, request: Request) -> Result<NativeFound> {
    let Request {
        projects,
        query,
        own_vector,
    } = request;
    let question = question(ctx, &projects, query.mode, &query.text, own_vector).await?;
    check_width(question.model.as_ref().map_or(0, |it| it.values.len()))?;
    let notes = question.vector_missing.clone().into_iter().collect();
    let statement = Statement::new(&query, &projects, question, ctx.now());
    let start = Instant::now();
    let tx = ctx.db().begin(TxOptions::read_only()).await?;
    let candidates = query.limit.saturating_mul(4).max(FEWEST);
    widen_scans(&tx, candidates).await?;
    let taken = match query.exact {
        true => Taken::All,
        false => Taken::Nearest(candidates),
    };
    let mut found = statement.run(&tx, taken).await?;
    if found.len() < query.limit && taken != Taken::All && statement.has_vectors() {
        found = statement.run(&tx, Taken::All).await?;
    }
    let took = start.elapsed();
    let considered = found.first().map_or(0, |first| first.considered);
    let considered = usize::try_from(considered).unwrap_or_default();
    let mut summary = statement.summary(&tx, considered).await?;
    tx.rollback().await?;
    let mut hits: Vec<(Hit, Memory)> = found
        .into_iter()
        .map(|found| hit(&query, &statement, found))
        .collect();
    summary.divided_by = divide(&mut hits);
    Ok(NativeFound {
        hits,
        summary,
        notes,
        took,
    })
}

fn check_width(width: usize) -> Result<()> {
    if i64::try_from(width).is_ok_and(|width| width <= setup::WIDEST) {
        return Ok(());
    }
    Err(refused(format!(
        "`search.mode` is `native`, and pgvector indexes at most {} components of this kind, not \
         {width}; use a model with narrower vectors, {}",
        setup::WIDEST,
        super::WAY_OUT
    )))
}

/// Lets index scans go on until the filters are satisfied, for this transaction.
///
/// A setting that pgvector does not know is taken without a word while its library is not loaded, so
/// the same statement loads it, and what is in force is read back.
async fn widen_scans(tx: &Tx<'_>, candidates: usize) -> Result<()> {
    let wanted = (
        // The arms order what they are given; in strict order a scan throws away what comes late.
        "relaxed_order".to_owned(),
        candidates.min(WIDEST_SEARCH).to_string(),
        i32::MAX.to_string(),
        "1000".to_owned(),
    );
    tx.fetch_rows(
        "SELECT vector_dims('[1]'::vector),
                set_config('hnsw.iterative_scan', :scan, TRUE),
                set_config('hnsw.ef_search', :ef, TRUE),
                set_config('hnsw.max_scan_tuples', :tuples, TRUE),
                set_config('hnsw.scan_mem_multiplier', :memory, TRUE)",
        params! { scan: &wanted.0, ef: &wanted.1, tuples: &wanted.2, memory: &wanted.3 },
        1,
    )
    .await?;
    let in_force: (String, String, String, String) = tx
        .fetch_one(
            "SELECT current_setting('hnsw.iterative_scan'), current_setting('hnsw.ef_search'),
                    current_setting('hnsw.max_scan_tuples'),
                    current_setting('hnsw.scan_mem_multiplier')",
            params! {},
        )
        .await?;
    if in_force == wanted {
        return Ok(());
    }
    Err(Error::internal(format!(
        "pgvector did not take the settings of the search: {in_force:?} instead of {wanted:?}"
    )))
}

/// Makes a hit of a row.
fn hit(query: &Query, statement: &Statement<'_>, found: Found) -> (Hit, Memory) {
    let memory = &found.memory;
    let share = found.words.min(statement.word_count()) / statement.word_count().max(1.0);
    let semantic = match statement.has(Ground::Model) {
        true => found.model,
        false => found.builtin,
    };
    let match_score = found.model.unwrap_or(0.0).max(share).clamp(0.0, 1.0);
    let parts = parts(query, statement, &found);
    let score = rounded(parts.iter().map(|part| part.contribution).sum());
    let passage = found
        .passage
        .map_or(0, |n| u32::try_from(n).unwrap_or(WHOLE));
    let explain = query.explain.then(|| Explain {
        score,
        found_by: found_by(&found),
        passage,
        terms: Vec::new(),
        vector: match (semantic, statement.has_vectors()) {
            (Some(_), _) => VectorState::Scored,
            (None, true) => VectorState::Pending,
            (None, false) => VectorState::NotAsked,
        },
        match_score,
        cosine: semantic,
        keyword_share: share,
        parts,
    });
    let hit = Hit {
        index: statement.index_of(memory.project_id),
        item: ItemRef {
            kind: Kind::MEMORY,
            id: memory.id.0,
        },
        uid: *memory.uid.as_bytes(),
        score,
        match_score,
        semantic,
        keyword: found.rank,
        passage,
        explain,
    };
    (hit, found.memory)
}

/// Returns what each arm adds, and what else does: the statement orders by their sum.
fn parts(query: &Query, statement: &Statement<'_>, found: &Found) -> Vec<Part> {
    let arms = statement.shares().into_iter().map(|(ground, weight)| {
        let place = found.place(ground);
        (ground, weight, place.map_or(0.0, by_place))
    });
    let recency = query.recency.map(|recency| {
        let memory = &found.memory;
        let time = memory.occurred_at.unwrap_or(memory.created_at);
        let value = by_age(&recency, time);
        (Ground::Recency, recency.weight.max(0.0), value)
    });
    let usefulness = (query.usefulness_weight > 0.0).then_some((
        Ground::Usefulness,
        query.usefulness_weight,
        found.memory.usefulness,
    ));
    arms.chain(recency)
        .chain(usefulness)
        .map(|(part, weight, value)| Part {
            part,
            weight,
            value,
            contribution: rounded(weight * value),
        })
        .collect()
}

fn found_by(found: &Found) -> Vec<Arm> {
    [
        (Ground::Keyword, Arm::Keyword),
        (Ground::Builtin, Arm::Builtin),
        (Ground::Model, Arm::Model),
    ]
    .into_iter()
    .filter_map(|(ground, arm)| found.place(ground).map(|_| arm))
    .collect()
}

/// Divides all scores by the best one, if that is above 1, and returns by what.
fn divide(hits: &mut [(Hit, Memory)]) -> f64 {
    let best = hits.iter().map(|(hit, _)| hit.score).fold(1.0, f64::max);
    for (hit, _) in hits.iter_mut().filter(|_| best > 1.0) {
        hit.score = rounded(hit.score / best);
        let Some(explain) = &mut hit.explain else {
            continue;
        };
        explain.score = hit.score;
        for part in &mut explain.parts {
            part.contribution = rounded(part.contribution / best);
        }
    }
    best
}

fn rounded(score: f64) -> f64 {
    (score * STEPS).round() / STEPS
}
