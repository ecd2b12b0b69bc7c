//! Sealed stretches of the search log: how they are made, merged and freed of what must go.
//!
//! Rows of the tail become a segment; eight segments become one. A segment is written a few chunks
//! a transaction and counts from the last of them on, so that no writer waits long, and a process
//! that is killed leaves nothing behind but chunks that the next one removes. Nothing that counts
//! is changed, but for what a purge takes out.

mod erase;
mod merge;
mod publish;
mod rebuild;
mod seal;
pub(crate) mod sql;

pub(crate) use erase::clear_void;
pub use erase::{drop_vectors, remove_item, remove_items};
pub(crate) use merge::merge_small;
pub(crate) use rebuild::{is_unreadable, rebuild};
pub(crate) use seal::seal;

use crate::store::Store;
use athena_core::{Env, ProjectId, Result};
use std::sync::Arc;

/// Seals the tails that have grown long, and merges what has become many segments.
///
/// What fails for one project is left to the next write to it, and keeps no other waiting.
pub(crate) async fn tend(env: &Arc<Env>) -> Result<()> {
    let mut tended = Ok(());
    for project in env.part::<Store>().take_wanted() {
        tended = tended.and(tend_one(env, project).await);
    }
    tended
}

/// Seals and merges; a log that cannot be read is made anew.
async fn tend_one(env: &Arc<Env>, project: ProjectId) -> Result<()> {
    let Some(head) = sql::head(env.db(), project).await? else {
        return Ok(());
    };
    if head.format == athena_search::FORMAT {
        match seal_and_merge(env, project).await {
            Err(error) if is_unreadable(&error) => {}
            tended => return tended,
        }
    }
    rebuild(env, project, head.replaced).await
}

async fn seal_and_merge(env: &Arc<Env>, project: ProjectId) -> Result<()> {
    seal(env, project).await?;
    merge_small(env, project).await
}
