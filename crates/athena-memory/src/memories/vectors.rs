//! Statements about which memories have vectors of a model.

use athena_core::{MemoryId, ModelId, ProjectId, Result};
use athena_db::{Executor, Scalar, params};

/// The ids of memories of a project after one of them that have no vectors of a model; further
/// conditions follow.
macro_rules! without_vectors {
    ($what:literal, $($rest:literal),+) => {
        concat!(
            "SELECT ",
            $what,
            " FROM memory_vectors m
             WHERE m.project_id = :project AND m.id > :after
               AND NOT EXISTS (SELECT 1 FROM memory_passages e
                               WHERE e.memory_id = m.id AND e.model_id = :model AND e.n >= 0) ",
            $($rest),+
        )
    };
}

/// The same of memories that take a model's vectors, as `takes_model_vectors` has it.
macro_rules! without_model_vectors {
    ($what:literal, $rest:literal) => {
        without_vectors!(
            $what,
            "AND (m.session_id IS NULL OR m.role IS NULL OR m.role <> 'assistant') ",
            $rest
        )
    };
}

/// Returns memories of a project that have no vectors of a model, in the order of their ids.
pub(super) async fn without(
    db: &impl Executor,
    project: ProjectId,
    model: ModelId,
    after: MemoryId,
    limit: u32,
) -> Result<Vec<MemoryId>> {
    let sql = without_vectors!("m.id", "ORDER BY m.id LIMIT :limit");
    let params = params! { project: project, model: model, after: after, limit: i64::from(limit) };
    Ok(ids(db.fetch_all(sql, params).await?))
}

/// Returns memories of a project that take vectors of a model and have none, in the order of their
/// ids.
pub(super) async fn lacking(
    db: &impl Executor,
    project: ProjectId,
    model: ModelId,
    after: MemoryId,
    limit: u32,
) -> Result<Vec<MemoryId>> {
    let sql = without_model_vectors!("m.id", "ORDER BY m.id LIMIT :limit");
    let params = params! { project: project, model: model, after: after, limit: i64::from(limit) };
    Ok(ids(db.fetch_all(sql, params).await?))
}

/// Counts the memories of a project that take vectors of a model and have none.
pub(super) async fn count_lacking(
    db: &impl Executor,
    project: ProjectId,
    model: ModelId,
) -> Result<u64> {
    let Scalar(count): Scalar<i64> = db
        .fetch_one(
            without_model_vectors!("COUNT(*)", ""),
            params! { project: project, model: model, after: 0_i64 },
        )
        .await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Tells whether a memory of a project takes vectors of a model, and neither has them nor waits for
/// them.
pub(super) async fn are_forgotten(
    db: &impl Executor,
    project: ProjectId,
    model: ModelId,
) -> Result<bool> {
    let sql = without_model_vectors!(
        "m.id",
        "AND NOT EXISTS (SELECT 1 FROM embed_queue q WHERE q.kind = 1 AND q.item_id = m.id)
         ORDER BY m.id LIMIT 1"
    );
    let first: Option<Scalar<MemoryId>> = db
        .fetch_opt(
            sql,
            params! { project: project, model: model, after: 0_i64 },
        )
        .await?;
    Ok(first.is_some())
}

/// Counts the versions of memories of a project.
pub(super) async fn count(db: &impl Executor, project: ProjectId) -> Result<i64> {
    let Scalar(count) = db
        .fetch_one(
            "SELECT COUNT(*) FROM memory_vectors WHERE project_id = :project",
            params! { project: project },
        )
        .await?;
    Ok(count)
}

/// Returns memories of a project after one of them, in the order of their ids.
pub(super) async fn ids_after(
    db: &impl Executor,
    project: ProjectId,
    after: MemoryId,
    limit: u32,
) -> Result<Vec<MemoryId>> {
    let rows = db
        .fetch_all(
            "SELECT id FROM memory_vectors WHERE project_id = :project AND id > :after
             ORDER BY id LIMIT :limit",
            params! { project: project, after: after, limit: i64::from(limit) },
        )
        .await?;
    Ok(ids(rows))
}

/// Removes the vectors of models from memories; what callers brought themselves stays.
pub(super) async fn remove(
    db: &impl Executor,
    memories: &[MemoryId],
    models: &[ModelId],
) -> Result<()> {
    db.execute(
        "DELETE FROM memory_passages
         WHERE memory_id IN :memories AND model_id IN :models AND n >= 0",
        params! {
            memories: memories.iter().map(|id| id.0).collect::<Vec<_>>(),
            models: models.iter().map(|id| id.0).collect::<Vec<_>>(),
        },
    )
    .await?;
    Ok(())
}

fn ids(rows: Vec<Scalar<MemoryId>>) -> Vec<MemoryId> {
    rows.into_iter().map(|Scalar(id)| id).collect()
}
