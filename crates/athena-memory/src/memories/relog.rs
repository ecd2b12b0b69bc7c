//! Every memory of a project for a search log that is made anew.

use super::indexing::{self, IndexedText};
use super::sql;
use athena_core::{Cursor, Error, MemoryId, ModelId, PageRequest, ProjectId, Result};
use athena_db::BoxFuture;
use athena_search::{Record, StoredVector};
use athena_store::{Source, Write};

/// Memories that are read at once.
const PAGE: u32 = 500;

/// Logs the memories of a project with the vectors that are stored.
#[derive(Debug)]
pub struct LogMemories;

impl Source for LogMemories {
    fn log<'w>(&'w self, write: &'w Write<'_>, project: ProjectId) -> BoxFuture<'w, Result<()>> {
        Box::pin(log(write, project))
    }
}

async fn log(write: &Write<'_>, project: ProjectId) -> Result<()> {
    let mut page = PageRequest {
        limit: PAGE,
        cursor: None,
    };
    loop {
        let memories = sql::all(write.tx(), &[project], page).await?;
        let ids: Vec<MemoryId> = memories.iter().map(|memory| memory.id).collect();
        let Some(last) = ids.last() else {
            return Ok(());
        };
        page.cursor = Some(Cursor(last.0));
        for memory in &memories {
            let text = IndexedText::of(memory);
            for record in text.records(
                indexing::item(memory.id),
                &indexing::attributes(memory),
                text.terms(),
                &[],
            ) {
                write.log(project, record);
            }
        }
        for (id, model, n, bytes) in sql::vectors_of(write.tx(), &ids).await? {
            let model = indexing::model_number(ModelId(model))?;
            let vector = StoredVector::new(model, &indexing::floats(&bytes));
            let record = Record::Vector {
                item: indexing::item(id),
                n: u32::try_from(n).unwrap_or(athena_search::WHOLE),
                vector: vector.map_err(Error::internal)?,
            };
            write.log(project, record);
        }
    }
}
