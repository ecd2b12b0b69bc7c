//! Statements and rows of projects.

use super::ops::{Create, Known};
use super::{DEFAULT_CONSOLIDATION_INTERVAL, DEFAULT_EMBEDDING_DIM, Project};
use athena_core::{PageRequest, ProjectId, Result};
use athena_db::{Executor, FromRow, Row, Scalar, params};
use jiff::Timestamp;

impl FromRow for Project {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            path: row.get("path")?,
            description: row.get("description")?,
            language: row.get("language")?,
            framework: row.get("framework")?,
            embedding_dim: row.get("embedding_dim")?,
            consolidation_interval: row.get("consolidation_interval")?,
            memory_count: row.get("memory_count")?,
            created_at: row.get("created_at")?,
            last_accessed: row.get("last_accessed")?,
            last_modified: row.get("last_modified")?,
        })
    }
}

/// Everything a [`Project`] is read from; conditions follow.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.name, p.path, p.description, p.language, p.framework, p.embedding_dim,
                    p.consolidation_interval, p.created_at, p.last_accessed, p.last_modified,
                    (SELECT COUNT(*) FROM memory_vectors m
                     WHERE m.project_id = p.id AND m.live_key = 1) AS memory_count
             FROM projects p ",
            $rest
        )
    };
}

/// Stores a project and returns its id, or `None` if its name or path is taken.
pub(super) async fn insert(
    db: &impl Executor,
    project: &Create,
    principal: &str,
    now: Timestamp,
) -> Result<Option<ProjectId>> {
    let id: Option<Scalar<ProjectId>> = db
        .fetch_opt(
            "INSERT INTO projects (name, path, description, language, framework, embedding_dim,
                                   consolidation_interval, principal, created_at, last_accessed,
                                   last_modified, live_key)
             VALUES (:name, :path, :description, :language, :framework, :embedding_dim,
                     :consolidation_interval, :principal, :now, :now, :now, 1)
             ON CONFLICT DO NOTHING
             RETURNING id",
            params! {
                name: &project.name,
                path: project.path.as_deref(),
                description: project.description.as_deref(),
                language: project.language.as_deref(),
                framework: project.framework.as_deref(),
                embedding_dim: i64::from(project.embedding_dim.unwrap_or(DEFAULT_EMBEDDING_DIM)),
                consolidation_interval:
                    i64::from(project.consolidation_interval.unwrap_or(DEFAULT_CONSOLIDATION_INTERVAL)),
                principal: principal,
                now: now,
            },
        )
        .await?;
    Ok(id.map(|Scalar(id)| id))
}

pub(super) async fn by_name(db: &impl Executor, name: &str) -> Result<Option<Project>> {
    Ok(db
        .fetch_opt(
            select!("WHERE p.name = :name AND p.live_key = 1"),
            params! { name: name },
        )
        .await?)
}

pub(super) async fn by_path(db: &impl Executor, path: &str) -> Result<Option<Project>> {
    Ok(db
        .fetch_opt(
            select!("WHERE p.path = :path AND p.live_key = 1"),
            params! { path: path },
        )
        .await?)
}

/// Returns every project's id and name.
pub(super) async fn all(db: &impl Executor) -> Result<Vec<(ProjectId, String)>> {
    Ok(db
        .fetch_all(
            "SELECT id, name FROM projects WHERE live_key = 1 ORDER BY id",
            params! {},
        )
        .await?)
}

/// Returns the named projects.
pub(super) async fn known(db: &impl Executor, names: &[&str]) -> Result<Vec<Known>> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<(ProjectId, String, u32)> = db
        .fetch_all(
            "SELECT id, name, embedding_dim FROM projects
             WHERE name IN :names AND live_key = 1 ORDER BY id",
            params! { names: names },
        )
        .await?;
    let project = |(id, name, embedding_dim)| Known {
        id,
        name,
        embedding_dim,
    };
    Ok(rows.into_iter().map(project).collect())
}

/// Returns the names of up to 50 projects, the last used first.
pub(super) async fn some_names(db: &impl Executor) -> Result<Vec<String>> {
    let names: Vec<Scalar<String>> = db
        .fetch_all(
            "SELECT name FROM projects WHERE live_key = 1 ORDER BY last_accessed DESC, id DESC LIMIT 50",
            params! {},
        )
        .await?;
    Ok(names.into_iter().map(|Scalar(name)| name).collect())
}

/// Returns one more than the page asks for, newest first.
pub(super) async fn list(db: &impl Executor, page: PageRequest) -> Result<Vec<Project>> {
    Ok(db
        .fetch_all(
            select!("WHERE p.live_key = 1 AND p.id < :before ORDER BY p.id DESC LIMIT :limit"),
            params! {
                before: page.cursor.map_or(i64::MAX, |cursor| cursor.0),
                limit: i64::from(page.limit) + 1,
            },
        )
        .await?)
}

pub(super) async fn touch(db: &impl Executor, id: ProjectId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE projects SET last_accessed = :now WHERE id = :id",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(db: &impl Executor, id: ProjectId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE projects SET deleted_at = :now, last_modified = :now, live_key = NULL WHERE id = :id",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Returns how wide the vectors are that callers may bring.
pub(super) async fn embedding_dim(db: &impl Executor, id: ProjectId) -> Result<u32> {
    let Scalar(dim) = db
        .fetch_one(
            "SELECT embedding_dim FROM projects WHERE id = :id",
            params! { id: id },
        )
        .await?;
    Ok(dim)
}

pub(super) async fn name(db: &impl Executor, id: ProjectId) -> Result<String> {
    let Scalar(name) = db
        .fetch_one(
            "SELECT name FROM projects WHERE id = :id",
            params! { id: id },
        )
        .await?;
    Ok(name)
}
