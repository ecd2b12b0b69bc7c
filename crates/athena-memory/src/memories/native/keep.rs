//! Keeping the tables in step with the memories, and bringing in those from before.

use super::setup::{self, WIDEST};
use super::{NativeState, SearchMode, Searching};
use crate::memories::indexing;
use athena_core::{Code, Ctx, Env, MemoryId, ProjectId, Result};
use athena_db::{BoxFuture, Executor, Params, Scalar, Tx, params};
use athena_search::Kind;
use athena_search::analyze;
use athena_search::passages::indexed_text;
use athena_store::{Chore, Intent, Mirror, Write, Written, write};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Memories that are brought in with one transaction at most: they cannot be changed meanwhile.
const BATCH: i64 = 100;
/// Vectors that are brought in with one transaction, unless the first memory has more.
const BATCH_VECTORS: i64 = 1_000;
/// How long one run brings in memories.
const STINT: Duration = Duration::from_secs(1);
/// Bytes of words in one row. A `tsvector` holds less than 1 MiB.
const PART_BYTES: usize = 512 << 10;
/// How often a word is counted at most; PostgreSQL stops at 256, and what `ts_rank` makes of more
/// hardly differs.
const MOST_POSITIONS: u32 = 200;

/// Keeps the tables in step with every change.
#[derive(Debug)]
pub struct KeepNative;

impl Mirror for KeepNative {
    fn kept_in(&self) -> (&'static str, &'static str) {
        ("native_passages", "v")
    }

    fn keep<'w>(
        &'w self,
        write: &'w Write<'_>,
        written: &'w [Written],
    ) -> BoxFuture<'w, Result<()>> {
        Box::pin(async move {
            let memories = written.iter().filter(|it| it.item.kind == Kind::MEMORY);
            let mut ids: Vec<i64> = memories.map(|written| written.item.id).collect();
            ids.sort_unstable();
            ids.dedup();
            refresh(write.tx(), &ids).await
        })
    }
}

/// Brings in the memories that were there before the tables.
#[derive(Debug)]
pub struct FillNative;

impl Chore for FillNative {
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let searching: &Searching = env.part();
            if searching.mode == SearchMode::Memory {
                return Ok(());
            }
            let state = match searching.prepare(env.db()).await {
                Err(error) if error.code() == Code::Unsupported => {
                    if !searching.refused.swap(true, Ordering::AcqRel) {
                        tracing::warn!("{error}");
                    }
                    return Ok(());
                }
                state => state?,
            };
            setup::index_models(env.db()).await?;
            if state == NativeState::Complete {
                return Ok(());
            }
            let ctx = Ctx::for_own_work(Arc::clone(env));
            let start = Instant::now();
            while fill_some(&ctx).await? && start.elapsed() < STINT {}
            Ok(())
        })
    }
}

/// Brings in the next memories; says whether there may be more for this process to bring.
async fn fill_some(ctx: &Ctx) -> Result<bool> {
    let vectors = usize::try_from(BATCH_VECTORS).unwrap_or(usize::MAX);
    let intent = Intent::new("memory.fill_native").of_items(vectors);
    write(ctx, intent, |write| Box::pin(fill(write.tx()))).await
}

async fn fill(tx: &Tx<'_>) -> Result<bool> {
    let next: Option<Scalar<i64>> = tx
        .fetch_opt(
            "SELECT filled_to FROM native_state WHERE id = 1 AND NOT filled
             FOR UPDATE SKIP LOCKED",
            params! {},
        )
        .await?;
    // Another process is at it, or has done it.
    let Some(Scalar(filled_to)) = next else {
        return Ok(false);
    };
    let ids = next_memories(tx, filled_to).await?;
    // A change that comes between reading and storing waits, and has the last word.
    tx.execute(
        "SELECT 1 FROM memory_vectors WHERE id IN :ids ORDER BY id FOR SHARE",
        params! { ids: &ids },
    )
    .await?;
    refresh(tx, &ids).await?;
    let Some(last) = ids.last() else {
        let done = "UPDATE native_state SET filled = TRUE WHERE id = 1";
        tx.execute(done, params! {}).await?;
        return Ok(false);
    };
    tx.execute(
        "UPDATE native_state SET filled_to = :last WHERE id = 1",
        params! { last: last },
    )
    .await?;
    Ok(true)
}

/// Returns the next memories to bring in; none when all are there.
async fn next_memories(tx: &Tx<'_>, filled_to: i64) -> Result<Vec<i64>> {
    let next: Vec<(i64, i64)> = tx
        .fetch_all(
            "SELECT m.id, (SELECT count(*) FROM memory_passages p WHERE p.memory_id = m.id)
             FROM memory_vectors m WHERE m.id > :filled_to ORDER BY m.id LIMIT :limit",
            params! { filled_to: filled_to, limit: BATCH },
        )
        .await?;
    let mut vectors = 0;
    let fitting = next.into_iter().take_while(|(_, more)| {
        let is_first = vectors == 0;
        vectors += more;
        is_first || vectors <= BATCH_VECTORS
    });
    Ok(fitting.map(|(id, _)| id).collect())
}

/// Stores anew what the tables have of memories, as far as it differs from what it is made of.
async fn refresh(tx: &Tx<'_>, ids: &[i64]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    refresh_words(tx, ids).await?;
    refresh_vectors(tx, ids).await
}

async fn refresh_words(tx: &Tx<'_>, ids: &[i64]) -> Result<()> {
    type Changed = (
        MemoryId,
        ProjectId,
        Option<String>,
        String,
        Option<String>,
        i64,
    );
    let changed: Vec<Changed> = tx
        .fetch_all(
            "SELECT id, project_id, speaker, content, caption, digest
             FROM (SELECT m.*, hashtextextended(ROW(m.speaker, m.content, m.caption)::text, 0) AS digest
                   FROM memory_vectors m WHERE m.id IN :ids) m
             WHERE NOT EXISTS (SELECT 1 FROM native_words w
                               WHERE w.memory_id = m.id AND w.part = 0 AND w.digest = m.digest)
             ORDER BY id",
            params! { ids: ids },
        )
        .await?;
    let changed_ids: Vec<i64> = changed.iter().map(|(id, ..)| id.0).collect();
    tx.execute(
        "DELETE FROM native_words WHERE memory_id IN :ids",
        params! { ids: changed_ids },
    )
    .await?;
    let mut rows = Vec::new();
    for (id, project, speaker, content, caption, digest) in changed {
        let text = indexed_text(speaker.as_deref(), &content, caption.as_deref());
        for (part, words) in (0_i64..).zip(word_parts(&text)) {
            rows.push(params! {
                id: id, part: part, project: project, digest: digest, words: words,
            });
        }
    }
    store_words(tx, rows).await
}

async fn store_words(tx: &Tx<'_>, rows: Vec<Params>) -> Result<()> {
    tx.execute_many(
        "INSERT INTO native_words (memory_id, part, project_id, digest, words)
         VALUES (:id, :part, :project, :digest, :words::text::tsvector)
         ON CONFLICT (memory_id, part) DO UPDATE
         SET digest = EXCLUDED.digest, words = EXCLUDED.words",
        rows,
    )
    .await?;
    Ok(())
}

async fn refresh_vectors(tx: &Tx<'_>, ids: &[i64]) -> Result<()> {
    let changed: Vec<(MemoryId, i64, i64, ProjectId, Vec<u8>, i64)> = tx
        .fetch_all(
            "SELECT p.memory_id, p.model_id, p.n, p.project_id, p.e, p.digest
             FROM (SELECT p.*, m.project_id, hashtextextended(encode(p.e, 'hex'), 0) AS digest
                   FROM memory_passages p JOIN memory_vectors m ON m.id = p.memory_id
                   WHERE p.memory_id IN :ids AND octet_length(p.e) <= 2 * :widest) p
             LEFT JOIN native_passages v
                 ON v.memory_id = p.memory_id AND v.model_id = p.model_id AND v.n = p.n
             WHERE v.digest IS DISTINCT FROM p.digest
             ORDER BY p.memory_id, p.model_id, p.n",
            params! { ids: ids, widest: WIDEST },
        )
        .await?;
    let rows = changed
        .into_iter()
        .map(|(id, model, n, project, bytes, digest)| {
            params! {
                id: id, model: model, n: n, project: project, digest: digest,
                v: indexing::floats(&bytes),
            }
        });
    tx.execute_many(
        "INSERT INTO native_passages (memory_id, model_id, n, project_id, digest, v)
         VALUES (:id, :model, :n, :project, :digest, :v::vector::halfvec)
         ON CONFLICT (memory_id, model_id, n) DO UPDATE
         SET digest = EXCLUDED.digest, v = EXCLUDED.v",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// Returns the words of a text in the form that `tsvector` is read from, in as many parts as it
/// takes: at least one, which may be empty.
fn word_parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for (term, count) in analyze::document_terms(text).terms {
        if parts.last().is_some_and(|part| part.len() > PART_BYTES) {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(&lexeme(&term));
            for position in 1..=count.min(MOST_POSITIONS) {
                let mark = if position == 1 { ':' } else { ',' };
                let _ = write!(part, "{mark}{position}");
            }
            part.push(' ');
        }
    }
    parts
}

/// Returns a word as `tsvector` and `tsquery` are read from.
pub(super) fn lexeme(word: &str) -> String {
    format!("'{}'", word.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_and_quoted() {
        assert_eq!(word_parts(""), [""]);
        assert_eq!(word_parts("retry, retry!"), ["'retri':1,2 "]);
        assert_eq!(lexeme(r"it's a\b"), r"'it''s a\\b'");
    }

    #[test]
    fn long_texts_take_several_rows() {
        let text: Vec<String> = (0..60_000).map(|n| format!("word{n}")).collect();
        let parts = word_parts(&text.join(" "));
        assert!(parts.len() > 1);
        assert!(parts.iter().all(|part| part.len() < 1 << 20));
        let words: usize = parts.iter().map(|part| part.split(' ').count() - 1).sum();
        assert_eq!(words, analyze::document_terms(&text.join(" ")).terms.len());
    }
}
