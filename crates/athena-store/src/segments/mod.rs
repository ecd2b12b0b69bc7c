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
pub use erase::{drop_vectors, remove_item};
pub(crate) use merge::merge_small;
pub(crate) use rebuild::rebuild;
pub(crate) use seal::seal;

use crate::store::Store;
use athena_core::{Env, Result};
use std::sync::Arc;

/// Seals the tails that have grown long, and merges what has become many segments.
pub(crate) async fn tend(env: &Arc<Env>) -> Result<()> {
    for project in env.part::<Store>().take_wanted() {
        seal(env, project).await?;
        merge_small(env, project).await?;
    }
    Ok(())
}
