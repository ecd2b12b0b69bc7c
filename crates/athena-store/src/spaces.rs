//! Which models' vectors answer in a project, and which are being made.
//!
//! Vectors compare only within their model's space. A project is answered by the vectors of one
//! model that everything in it has; another model's are made beside them, and take their place in
//! one transaction when all are there. The row that says so is the head of the project's log: every
//! search reads it anyway, and whoever stores vectors holds it.

use crate::Write;
use athena_core::{ModelId, ProjectId, Result};
use athena_db::{Executor, FromRow, Scalar, params};

/// What is known of the vectors of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Spaces {
    /// The project.
    pub project_id: ProjectId,
    /// The built-in model whose vectors everything has; `None` where nobody has looked.
    pub builtin_id: Option<ModelId>,
    /// Up to which item the built-in vectors are made anew.
    pub builtin_to: i64,
    /// The model whose vectors everything has or waits for; `None` while something has none.
    pub model_id: Option<ModelId>,
    /// The model that is to take its place.
    pub next_id: Option<ModelId>,
    /// Up to which item the queue was given what has no vectors of the next model.
    pub queued_to: i64,
    /// Up to which item the vectors of former models are removed; `None` with nothing to remove.
    pub cleared_to: Option<i64>,
}

impl Spaces {
    /// Whether vectors of a model are wanted here: of the next one, or of the one that answers; of
    /// any where there is neither.
    #[must_use]
    pub fn wants(&self, model: ModelId) -> bool {
        self.next_id
            .or(self.model_id)
            .is_none_or(|wanted| wanted == model)
    }
}

/// Everything [`Spaces`] is read from; conditions follow.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT project_id, builtin_id, builtin_to, model_id, next_id, queued_to, cleared_to
             FROM search_heads ",
            $rest
        )
    };
}

/// Returns what is known of the vectors of a project, or `None` before its first write.
///
/// # Errors
///
/// What the database fails with.
pub async fn spaces(db: &impl Executor, project: ProjectId) -> Result<Option<Spaces>> {
    Ok(db
        .fetch_opt(
            select!("WHERE project_id = :project"),
            params! { project: project },
        )
        .await?)
}

/// Returns the same, and holds it against others until the commit.
///
/// # Errors
///
/// What the database fails with.
pub async fn hold_spaces(write: &Write<'_>, project: ProjectId) -> Result<Option<Spaces>> {
    crate::segments::sql::lock_head(write.tx(), project).await?;
    spaces(write.tx(), project).await
}

/// Stores what is known of the vectors of a project that was written to.
///
/// # Errors
///
/// What the database fails with.
pub async fn put_spaces(write: &Write<'_>, spaces: &Spaces) -> Result<()> {
    write
        .tx()
        .execute(
            "UPDATE search_heads
             SET builtin_id = :builtin_id, builtin_to = :builtin_to, model_id = :model_id,
                 next_id = :next_id, queued_to = :queued_to, cleared_to = :cleared_to
             WHERE project_id = :project_id",
            params! {
                project_id: spaces.project_id,
                builtin_id: spaces.builtin_id,
                builtin_to: spaces.builtin_to,
                model_id: spaces.model_id,
                next_id: spaces.next_id,
                queued_to: spaces.queued_to,
                cleared_to: spaces.cleared_to,
            },
        )
        .await?;
    Ok(())
}

/// Returns the projects in which there is something to do: built-in vectors of an earlier model
/// than `builtin`, or of nobody knows which; vectors of a model to come; vectors of former models.
///
/// # Errors
///
/// What the database fails with.
pub async fn unsettled(db: &impl Executor, builtin: ModelId) -> Result<Vec<ProjectId>> {
    let projects: Vec<Scalar<ProjectId>> = db
        .fetch_all(
            "SELECT project_id FROM search_heads
             WHERE builtin_id IS NULL OR builtin_id < :builtin
                OR next_id IS NOT NULL OR cleared_to IS NOT NULL
             ORDER BY project_id",
            params! { builtin: builtin },
        )
        .await?;
    Ok(projects.into_iter().map(|Scalar(id)| id).collect())
}
