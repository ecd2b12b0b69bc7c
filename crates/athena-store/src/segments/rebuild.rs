//! Making the log of a project anew.

use super::sql;
use crate::Write;
use crate::store::{Intent, Store};
use crate::write::write;
use athena_core::{Ctx, ProjectId, Result};
use athena_db::{Executor, params};

/// Puts every item of a project into its log again, in the form of this version.
///
/// Done once after an upgrade that changed the form, by the first process that searches the
/// project; others wait for it.
pub(crate) async fn rebuild(ctx: &Ctx, project: ProjectId) -> Result<()> {
    tracing::info!(
        project = project.0,
        "putting memories into the search log again"
    );
    let own = Ctx::for_own_work(std::sync::Arc::clone(ctx.env()));
    let intent = Intent::new("search.rebuild")
        .in_project(project)
        .of_items(ITEMS);
    write(&own, intent, move |write| {
        Box::pin(async move {
            if begin(write, project).await? {
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
async fn begin(write: &Write<'_>, project: ProjectId) -> Result<bool> {
    sql::lock_head(write.tx(), project).await?;
    let head = sql::head(write.tx(), project).await?;
    if head.is_none_or(|head| head.format == athena_search::FORMAT) {
        return Ok(false);
    }
    let emptied = [
        "DELETE FROM search_tail WHERE project_id = :project",
        "DELETE FROM search_segments WHERE project_id = :project",
        "DELETE FROM search_chunks WHERE project_id = :project",
    ];
    for statement in emptied {
        write
            .tx()
            .execute(statement, params! { project: project })
            .await?;
    }
    write
        .tx()
        .execute(
            "UPDATE search_heads
             SET sealed_seq = seq, replaced = replaced + 1, purged = purged + 1, format = :format
             WHERE project_id = :project",
            params! { project: project, format: athena_search::FORMAT },
        )
        .await?;
    Ok(true)
}
