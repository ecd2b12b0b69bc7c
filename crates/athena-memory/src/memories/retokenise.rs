//! What follows from a memory's text when its tokens are replaced by others of the same length.

use super::embedding::want_model_vectors;
use super::indexing::{self, IndexedText, PassageVector};
use super::ops::identity;
use super::{ConsolidationState, Memory, sql};
use athena_core::{Error, MemoryId, ModelId, Result};
use athena_db::BoxFuture;
use athena_search::WHOLE;
use athena_store::{Derive, Write};

/// The columns that the search log is made from.
const INDEXED: [&str; 8] = [
    "content",
    "speaker",
    "caption",
    "session_id",
    "tags",
    "domain",
    "role",
    "agent",
];

/// Makes the hash, the vectors and the search records of memories anew.
#[derive(Debug)]
pub struct DeriveMemories;

impl Derive for DeriveMemories {
    fn table(&self) -> &'static str {
        "memory_vectors"
    }

    fn derive<'w>(
        &'w self,
        write: &'w Write<'_>,
        id: i64,
        columns: &'w [&'static str],
    ) -> BoxFuture<'w, Result<()>> {
        Box::pin(async move {
            if columns.iter().any(|column| INDEXED.contains(column)) {
                derive(write, MemoryId(id)).await?;
            }
            Ok(())
        })
    }
}

async fn derive(write: &Write<'_>, id: MemoryId) -> Result<()> {
    let Some(memory) = sql::anywhere(write.tx(), id).await? else {
        return Ok(());
    };
    identify(write, &memory).await?;
    let text = IndexedText::of(&memory);
    let mut vectors = own_vectors(write, &memory, &text).await?;
    sql::remove_passage_vectors(write.tx(), id).await?;
    let builtin = write.builtin_id().await?;
    let passages = text.vectors(builtin, &text.embed_builtin(write.ctx()))?;
    sql::put_vectors(write.tx(), indexing::of(id, &passages)).await?;
    vectors.extend(passages);
    want_model_vectors(write, &memory).await?;
    for record in text.records(
        indexing::item(memory.id),
        &indexing::attributes(&memory),
        text.terms(),
        &vectors,
    ) {
        write.log(memory.project_id, record);
    }
    Ok(())
}

/// Gives a memory the hash of its new text. One that was told anew meanwhile, with the new tokens,
/// is the later one of two that are the same: this one takes its place.
async fn identify(write: &Write<'_>, memory: &Memory) -> Result<()> {
    let hash = identity(
        memory.memory_type,
        &memory.content,
        memory.session.as_deref(),
        memory.speaker.as_deref(),
        memory.occurred_at,
    );
    let is_current =
        memory.forgotten_at.is_none() && memory.state != ConsolidationState::Superseded;
    if is_current
        && let Some((same, _)) = sql::same(write.tx(), memory.project_id, &hash).await?
        && same != memory.id
    {
        sql::supersede(write.tx(), same, memory.id, write.now()).await?;
        if let Some(same) = sql::anywhere(write.tx(), same).await? {
            write.log(same.project_id, indexing::attributes_record(&same));
        }
    }
    sql::set_content_hash(write.tx(), memory.id, &hash).await
}

/// Returns the vectors that callers brought for the whole text.
async fn own_vectors(
    write: &Write<'_>,
    memory: &Memory,
    text: &IndexedText,
) -> Result<Vec<PassageVector>> {
    let mut vectors = Vec::new();
    for (model, bytes) in sql::own_vectors(write.tx(), memory.id).await? {
        let model = indexing::model_number(ModelId(model))?;
        let values = indexing::floats(&bytes);
        let vector = PassageVector::new(model, WHOLE, text.whole(), &values);
        vectors.push(vector.map_err(Error::internal)?);
    }
    Ok(vectors)
}
