//! Making the log of a project anew.

use super::sql;
use crate::Write;
use crate::store::{Intent, Store};
use crate::write::write;
use athena_core::{Ctx, Env, Error, ProjectId, Result};
use athena_db::{Executor, Tx, params};
use athena_search::FormatError;
use std::sync::Arc;

/// The form of a log that nobody is to read.
const NO_FORMAT: i64 = 0;

/// Whether an error says that stored bytes are damaged, or of a form that this version does not
/// know.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<FormatError>())
}

/// Puts every item of a project into its log again, in the form of this version, unless it is in
/// that form and `replaced` is no longer what its head says: somebody else has done it then.
///
/// Done once after an upgrade that changed the form, or when stored bytes are damaged, by the first
/// process that reads the log; others wait for it.
pub(crate) async fn rebuild(env: &Arc<Env>, project: ProjectId, replaced: i64) -> Result<()> {
    tracing::info!(
        project = project.0,
        "putting memories into the search log again"
    );
    let own = Ctx::for_own_work(Arc::clone(env));
    let intent = Intent::new("search.rebuild")
        .in_project(project)
        .of_items(ITEMS);
    write(&own, intent, move |write| {
        Box::pin(async move {
            if begin(write, project, replaced).await? {
                let store: &Store = write.ctx().part();
                for source in &store.sources {
                    source.log(write, project).await?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// How many items the deadline of the change is made for.
const ITEMS: usize = 100_000;

/// Empties the log; returns `false` if another process has made it anew.
async fn begin(write: &Write<'_>, project: ProjectId, replaced: i64) -> Result<bool> {
    sql::lock_head(write.tx(), project).await?;
    let head = sql::head(write.tx(), project).await?;
    let is_anew =
        |head: sql::Head| head.format == athena_search::FORMAT && head.replaced != replaced;
    if head.is_none_or(is_anew) {
        return Ok(false);
    }
    empty(write.tx(), project, athena_search::FORMAT).await?;
    Ok(true)
}

/// Empties a log, whose head is locked, in a way that it is made anew by whoever reads it next.
pub(super) async fn discard(tx: &Tx<'_>, project: ProjectId) -> Result<()> {
    empty(tx, project, NO_FORMAT).await
}

async fn empty(tx: &Tx<'_>, project: ProjectId, format: i64) -> Result<()> {
    let emptied = [
        "DELETE FROM search_tail WHERE project_id = :project",
        "DELETE FROM search_segments WHERE project_id = :project",
        "DELETE FROM search_chunks WHERE project_id = :project",
    ];
    for statement in emptied {
        tx.execute(statement, params! { project: project }).await?;
    }
    tx.execute(
        "UPDATE search_heads
         SET sealed_seq = seq, replaced = replaced + 1, purged = purged + 1, format = :format
         WHERE project_id = :project",
        params! { project: project, format: format },
    )
    .await?;
    Ok(())
}
