//! Vectors that follow: a model's, which are made after the write.

use super::indexing::{self, IndexedText, PassageVector};
use super::{Memory, sql};
use athena_core::{Code, Ctx, Env, Error, MemoryId, Result};
use athena_db::BoxFuture;
use athena_search::{Kind, Record};
use athena_store::{Chore, Due, Intent, Write, claim, done, due, enqueue, postpone, write};
use std::sync::Arc;

/// How many items one run takes from the queue.
const BATCH: u32 = 32;

/// Embeds what waits in the queue.
#[derive(Debug)]
pub struct EmbedPending;

impl Chore for EmbedPending {
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let ctx = Ctx::for_own_work(Arc::clone(env));
            // Another process may have the model that is waited for.
            if ctx.model().is_none() {
                return Ok(());
            }
            for item in due(ctx.db(), Kind::MEMORY, ctx.now(), BATCH).await? {
                embed_due(&ctx, &item).await?;
            }
            Ok(())
        })
    }
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

/// Embeds one item that no other process is at, or puts it off when that fails.
async fn embed_due(ctx: &Ctx, item: &Due) -> Result<()> {
    if !claim(ctx, item).await? {
        return Ok(());
    }
    if let Err(error) = embed_now(ctx, MemoryId(item.item.id)).await {
        tracing::warn!(item = item.item.id, attempts = item.attempts, code = %error.code(), "embedding failed");
        postpone(ctx, item).await?;
    }
    Ok(())
}

/// Embeds a memory's passages with the configured model and stores the vectors.
pub(super) async fn embed_now(ctx: &Ctx, id: MemoryId) -> Result<()> {
    let Some(embedder) = ctx.model() else {
        return Ok(());
    };
    let memory = sql::by_id(ctx.db(), id).await?;
    let Some(memory) = memory.filter(takes_model_vectors) else {
        return done(ctx.db(), indexing::item(id)).await;
    };
    let text = IndexedText::of(&memory);
    let vectors = embedder.embed(&text.passages()).await?;
    let model = embedder.model().await?;
    let intent = Intent::new("memory.embed").of_items(text.ranges.len());
    let found = Arc::new((memory, text, vectors, model));
    write(ctx, intent, move |write| {
        let found = Arc::clone(&found);
        Box::pin(async move {
            let (memory, text, vectors, model) = &*found;
            let model = write.model_id(&model.name, model.dim).await?;
            store(write, memory, &text.vectors(model, vectors)?).await
        })
    })
    .await
}

async fn store(write: &Write<'_>, memory: &Memory, vectors: &[PassageVector]) -> Result<()> {
    // Purged since: there is nothing to add to.
    let present = sql::by_id(write.tx(), memory.id).await?;
    if present
        .as_ref()
        .is_some_and(|present| IndexedText::of(present) != IndexedText::of(memory))
    {
        return Err(Error::new(Code::Busy, "its text was changed meanwhile"));
    }
    if present.is_some_and(|present| present.uid == memory.uid) {
        sql::put_vectors(write.tx(), memory.id, vectors).await?;
        for vector in vectors {
            let record = Record::Vector {
                item: indexing::item(memory.id),
                n: vector.n,
                vector: vector.stored.clone(),
            };
            write.log(memory.project_id, record);
        }
    }
    done(write.tx(), indexing::item(memory.id)).await
}
