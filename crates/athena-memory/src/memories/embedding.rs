//! Vectors that follow: a model's, which are made after the write.

use super::indexing::{self, IndexedText};
use super::{Memory, sql, vectors};
use athena_core::{Code, Ctx, Embedder, Env, Error, MemoryId, ModelId, ProjectId, Result};
use athena_db::BoxFuture;
use athena_search::{Kind, Record};
use athena_store::{
    Chore, Due, Intent, Spaces, Write, claim, done, due, enqueue, hold_spaces, model_id, postpone,
    put_back, put_spaces, write,
};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many items are taken from the queue at once.
const BATCH: u32 = 64;

/// How many passages are embedded in one call, and stored in one transaction, where no item has
/// more.
const PASSAGES: usize = 256;

/// How long one run goes on taking items.
const SLICE: Duration = Duration::from_secs(1);

/// How many items fail one after the other before the rest of their batch is spared.
const PATIENCE: usize = 2;

/// Embeds what waits in the queue.
#[derive(Debug)]
pub struct EmbedPending;

impl Chore for EmbedPending {
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let ctx = Ctx::for_own_work(Arc::clone(env));
            let begun = Instant::now();
            while begun.elapsed() < SLICE {
                match embed_batch(&ctx).await? {
                    Batch::Stored(_) => {}
                    Batch::Failed(_) | Batch::Nothing => break,
                }
            }
            Ok(())
        })
    }
}

/// What came of a batch.
#[derive(Debug)]
pub(super) enum Batch {
    /// So many items were done with.
    Stored(usize),
    /// None was; why the last one was not.
    Failed(Error),
    /// There is none that waits for this process.
    Nothing,
}

/// Puts a memory into the queue for a model's vectors, if there is a model and it takes them.
pub(super) async fn want_model_vectors(write: &Write<'_>, memory: &Memory) -> Result<()> {
    if write.ctx().model().is_none() || !takes_model_vectors(memory) {
        return Ok(());
    }
    enqueue(write, memory.project_id, indexing::item(memory.id)).await
}

/// What an assistant said in a conversation has none: it is long, restates what the user said, and
/// draws hits away from that. Its words and its built-in vectors find it.
fn takes_model_vectors(memory: &Memory) -> bool {
    memory.session.is_none() || memory.role.as_deref() != Some("assistant")
}

/// Returns the number of the configured model's space in the store.
pub(super) async fn space(ctx: &Ctx, embedder: &dyn Embedder) -> Result<ModelId> {
    let model = embedder.model().await?;
    model_id(ctx.db(), &model.name, model.dim, ctx.now()).await
}

/// Embeds a batch of what waits, all of it in few calls and transactions.
///
/// An item that fails is put off and holds no other one up.
pub(super) async fn embed_batch(ctx: &Ctx) -> Result<Batch> {
    // Another process may have the model that is waited for.
    let Some(embedder) = ctx.model() else {
        return Ok(Batch::Nothing);
    };
    if due(ctx.db(), Kind::MEMORY, ctx.now(), 1).await?.is_empty() {
        return Ok(Batch::Nothing);
    }
    let model = match space(ctx, embedder).await {
        Ok(model) => model,
        Err(error) => {
            let claimed = claim(ctx, Kind::MEMORY, None, BATCH).await?;
            return put_off(ctx, &claimed, error).await;
        }
    };
    let claimed = claim(ctx, Kind::MEMORY, Some(model), BATCH).await?;
    if claimed.is_empty() {
        return Ok(Batch::Nothing);
    }
    let found = wanted(ctx, &claimed).await?;
    let mut stored = claimed.len() - found.len();
    let mut failed = None;
    for range in runs(&found) {
        match embed_run(ctx, model, &found[range]).await? {
            Batch::Stored(count) => stored += count,
            Batch::Failed(error) => failed = Some(error),
            Batch::Nothing => {}
        }
    }
    Ok(match failed {
        Some(error) if stored == 0 => Batch::Failed(error),
        _ => Batch::Stored(stored),
    })
}

/// An item with what is to be embedded of it.
#[derive(Debug)]
struct Wanted {
    due: Due,
    memory: Memory,
    text: IndexedText,
}

/// Returns those of the claimed items that are there and take vectors; the others are done with.
async fn wanted(ctx: &Ctx, claimed: &[Due]) -> Result<Vec<Wanted>> {
    let ids: Vec<MemoryId> = claimed.iter().map(|due| MemoryId(due.item.id)).collect();
    let memories = sql::by_ids(ctx.db(), &ids).await?;
    let mut found = Vec::with_capacity(memories.len());
    for due in claimed {
        let memory = memories.iter().find(|memory| memory.id.0 == due.item.id);
        match memory.filter(|memory| takes_model_vectors(memory)) {
            Some(memory) => found.push(Wanted {
                due: *due,
                text: IndexedText::of(memory),
                memory: memory.clone(),
            }),
            None => done(ctx.db(), due.item).await?,
        }
    }
    Ok(found)
}

/// Cuts items into runs of so many passages, and at least one item.
fn runs(items: &[Wanted]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut filled = 0;
    for (at, item) in items.iter().enumerate() {
        let passages = item.text.ranges.len();
        match runs.last_mut() {
            Some(run) if filled + passages <= PASSAGES => {
                run.end = at + 1;
                filled += passages;
            }
            _ => {
                runs.push(at..at + 1);
                filled = passages;
            }
        }
    }
    runs
}

/// Embeds items together or, when that fails, one by one.
async fn embed_run(ctx: &Ctx, model: ModelId, items: &[Wanted]) -> Result<Batch> {
    let all: Vec<&Wanted> = items.iter().collect();
    match embed(ctx, model, &all).await {
        Ok(()) => return Ok(Batch::Stored(items.len())),
        Err(error) if items.len() == 1 => {
            return put_off(ctx, &[items[0].due], error).await;
        }
        Err(_) => {}
    }
    let (mut stored, mut in_a_row) = (0, 0);
    let mut failed = None;
    for item in items {
        if in_a_row == PATIENCE {
            put_back(ctx, &item.due).await?;
            continue;
        }
        match embed(ctx, model, &[item]).await {
            Ok(()) => (stored, in_a_row) = (stored + 1, 0),
            Err(error) => {
                in_a_row += 1;
                failed = Some(put_off(ctx, &[item.due], error).await?);
            }
        }
    }
    Ok(match failed {
        Some(failed) if stored == 0 => failed,
        _ => Batch::Stored(stored),
    })
}

async fn put_off(ctx: &Ctx, items: &[Due], error: Error) -> Result<Batch> {
    for due in items {
        tracing::warn!(item = due.item.id, attempts = due.attempts, code = %error.code(), "embedding failed");
        postpone(ctx, due).await?;
    }
    Ok(Batch::Failed(error))
}

/// Embeds a memory's passages with the configured model and stores the vectors.
///
/// # Errors
///
/// What the provider or the database fails with, and [`Code::EmbeddingMismatch`] where the
/// project's vectors are of another model.
pub(super) async fn embed_now(ctx: &Ctx, id: MemoryId) -> Result<()> {
    let Some(embedder) = ctx.model() else {
        return Ok(());
    };
    let memory = sql::by_id(ctx.db(), id).await?;
    let Some(memory) = memory.filter(takes_model_vectors) else {
        return done(ctx.db(), indexing::item(id)).await;
    };
    let model = space(ctx, embedder).await?;
    let item = Wanted {
        due: Due {
            item: indexing::item(id),
            project: memory.project_id,
            attempts: 0,
        },
        text: IndexedText::of(&memory),
        memory,
    };
    let spaces = athena_store::spaces(ctx.db(), item.memory.project_id).await?;
    if spaces.is_some_and(|spaces| !spaces.wants(model)) {
        let message = "the vectors of this project are of another model than the settings name; \
                       `athena reembed` makes them anew";
        return Err(Error::new(Code::EmbeddingMismatch, message));
    }
    embed(ctx, model, &[&item]).await
}

/// Embeds the passages of items in one call and stores the vectors in one transaction.
async fn embed(ctx: &Ctx, model: ModelId, items: &[&Wanted]) -> Result<()> {
    let Some(embedder) = ctx.model() else {
        return Ok(());
    };
    let passages: Vec<&str> = items.iter().flat_map(|item| item.text.passages()).collect();
    let intent = Intent::new("memory.embed").of_items(passages.len());
    let mut made = embedder.embed(&passages).await?.into_iter();
    let items = items.iter().map(|item| {
        let own: Vec<Vec<f32>> = made.by_ref().take(item.text.ranges.len()).collect();
        Made {
            memory: item.memory.clone(),
            text: item.text.clone(),
            vectors: own,
        }
    });
    let made: Arc<Vec<Made>> = Arc::new(items.collect());
    write(ctx, intent, move |write| {
        let made = Arc::clone(&made);
        Box::pin(async move { store_all(write, model, &made).await })
    })
    .await
}

/// A memory as it was embedded.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) memory: Memory,
    pub(super) text: IndexedText,
    pub(super) vectors: Vec<Vec<f32>>,
}

/// Stores a model's vectors in the projects that want them.
async fn store_all(write: &Write<'_>, model: ModelId, made: &[Made]) -> Result<()> {
    let projects: BTreeSet<ProjectId> = made.iter().map(|made| made.memory.project_id).collect();
    for project in projects {
        let spaces = hold_spaces(write, project).await?;
        let Some(spaces) = spaces.filter(|spaces| spaces.wants(model)) else {
            continue;
        };
        for made in made.iter().filter(|made| made.memory.project_id == project) {
            if store(write, model, made).await? {
                done(write.tx(), indexing::item(made.memory.id)).await?;
            }
        }
        settle_first(write, &spaces, model).await?;
    }
    Ok(())
}

/// Stores the vectors of a memory that still says what was embedded; `false` if it says something
/// else by now, and is to be embedded again.
pub(super) async fn store(write: &Write<'_>, model: ModelId, made: &Made) -> Result<bool> {
    let memory = &made.memory;
    let Some(present) = sql::by_id(write.tx(), memory.id).await? else {
        // Purged since: there is nothing to add to.
        return Ok(true);
    };
    if present.uid != memory.uid {
        return Ok(true);
    }
    if IndexedText::of(&present) != made.text {
        return Ok(false);
    }
    let stored = made.text.vectors(model, &made.vectors)?;
    sql::put_vectors(write.tx(), indexing::of(memory.id, &stored)).await?;
    for vector in stored {
        let record = Record::Vector {
            item: indexing::item(memory.id),
            n: vector.n,
            vector: vector.stored,
        };
        write.log(memory.project_id, record);
    }
    Ok(true)
}

/// Lets the first model of a project answer once nothing is without its vectors but what waits for
/// them.
async fn settle_first(write: &Write<'_>, spaces: &Spaces, model: ModelId) -> Result<()> {
    if spaces.model_id.is_some() || spaces.next_id.is_some() {
        return Ok(());
    }
    if vectors::are_forgotten(write.tx(), spaces.project_id, model).await? {
        return Ok(());
    }
    let settled = Spaces {
        model_id: Some(model),
        ..*spaces
    };
    put_spaces(write, &settled).await
}
