//! Operations on projects, and how a call finds its project.

use super::{PERSONAL, Project, sql};
use athena_core::{
    Code, Ctx, Cursor, Error, Operation, Page, PageRequest, ProjectId, Result, Spec,
};
use athena_db::Executor;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Creates a project. Memories live in projects, and what one project knows is not mixed into
/// another's answers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProjectCreate")]
pub struct Create {
    /// A name for it, unique among the projects that exist.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"\S"))]
    #[schemars(extend("x-text" = "project"))]
    pub name: String,
    /// The folder it lives in, unique likewise. Somebody's home is kept as `~`.
    #[schemars(length(min = 1, max = 700))]
    #[schemars(extend("x-text" = "path"))]
    pub path: Option<String>,
    /// What it is about.
    #[schemars(length(max = 10_000))]
    pub description: Option<String>,
    /// Its main programming language.
    #[schemars(length(min = 1, max = 50))]
    pub language: Option<String>,
    /// Its main framework.
    #[schemars(length(min = 1, max = 100))]
    pub framework: Option<String>,
    /// Components of the vectors that callers may bring; 768 unless given.
    #[schemars(range(min = 1, max = 65_536))]
    pub embedding_dim: Option<u32>,
    /// Seconds between two consolidations; 3600 unless given.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub consolidation_interval: Option<u32>,
    /// Answer the existing project of that name instead of failing.
    #[serde(default)]
    pub get_or_create: bool,
}

impl Operation for Create {
    const SPEC: Spec = Spec::create("project.create", "/projects")
        .command(&["project", "create"])
        .positional(&["name", "path"])
        .errors(&[Code::Conflict]);
    type Output = Project;

    async fn call(self, ctx: &Ctx) -> Result<Project> {
        let create = Arc::new(self);
        write(ctx, Intent::new("project.create"), move |write| {
            let create = Arc::clone(&create);
            Box::pin(async move { store_new(write, &create).await })
        })
        .await
    }
}

async fn store_new(write: &Write<'_>, create: &Create) -> Result<Project> {
    if create.get_or_create
        && let Some(project) = sql::by_name(write.tx(), &create.name).await?
    {
        return Ok(project);
    }
    let principal = &write.ctx().caller().principal;
    if sql::insert(write.tx(), create, principal, write.now())
        .await?
        .is_none()
    {
        return Err(taken(write.tx(), create).await?);
    }
    existing(write.tx(), &create.name).await
}

/// Says which of name and path is taken.
async fn taken(db: &impl Executor, create: &Create) -> Result<Error> {
    let (field, value) = match (&create.path, sql::by_name(db, &create.name).await?) {
        (Some(path), None) => ("path", path),
        _ => ("name", &create.name),
    };
    let message = format!(
        "a project with the {field} `{value}` exists already; pass `get_or_create` to use it"
    );
    Ok(Error::new(Code::Conflict, message).with_field(field))
}

/// Returns a project by its name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProjectGet")]
pub struct Get {
    /// Its name.
    #[schemars(length(min = 1, max = 255))]
    #[schemars(extend("x-text" = "project"))]
    pub name: String,
}

impl Operation for Get {
    const SPEC: Spec = Spec::read("project.get", "/projects/{name}")
        .command(&["project", "get"])
        .positional(&["name"]);
    type Output = Project;

    async fn call(self, ctx: &Ctx) -> Result<Project> {
        existing(ctx.db(), &self.name).await
    }
}

/// Returns the project that lives in a folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProjectGetByPath")]
pub struct GetByPath {
    /// The folder, as it was given when the project was created.
    #[schemars(length(min = 1, max = 700))]
    #[schemars(extend("x-text" = "path"))]
    pub path: String,
}

impl Operation for GetByPath {
    const SPEC: Spec = Spec::read("project.get_by_path", "/project-by-path")
        .command(&["project", "get-by-path"])
        .positional(&["path"]);
    type Output = Project;

    async fn call(self, ctx: &Ctx) -> Result<Project> {
        sql::by_path(ctx.db(), &self.path)
            .await?
            .ok_or_else(|| Error::not_found(format_args!("a project at `{}`", self.path)))
    }
}

/// Lists the projects of this store, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProjectList")]
pub struct List {
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn default_limit() -> u32 {
    50
}

impl Operation for List {
    const SPEC: Spec = Spec::read("project.list", "/projects")
        .command(&["project", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Project>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Project>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let projects = sql::list(
            ctx.db(),
            PageRequest {
                limit: self.limit,
                cursor,
            },
        )
        .await?;
        Ok(Page::from_overfetch(projects, self.limit, |project| {
            project.id.0
        }))
    }
}

/// Notes that a project is being used now.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProjectUpdateAccess")]
pub struct UpdateAccess {
    /// Its name.
    #[schemars(length(min = 1, max = 255))]
    #[schemars(extend("x-text" = "project"))]
    pub name: String,
}

/// When a project was last used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProjectAccessed {
    /// The project's id.
    pub id: ProjectId,
    /// When it was last used.
    pub last_accessed: Timestamp,
}

impl Operation for UpdateAccess {
    const SPEC: Spec = Spec::act("project.update_access", "/projects/{name}/access").idempotent();
    type Output = ProjectAccessed;

    async fn call(self, ctx: &Ctx) -> Result<ProjectAccessed> {
        let project = existing(ctx.db(), &self.name).await?;
        let intent = Intent::new("project.update_access").in_project(project.id);
        write(ctx, intent, move |write| {
            Box::pin(async move {
                sql::touch(write.tx(), project.id, write.now()).await?;
                Ok(ProjectAccessed {
                    id: project.id,
                    last_accessed: write.now(),
                })
            })
        })
        .await
    }
}

/// Deletes a project. Its memories go out of sight with it, and its name and path become free.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProjectDelete")]
pub struct Delete {
    /// Its name.
    #[schemars(length(min = 1, max = 255))]
    #[schemars(extend("x-text" = "project"))]
    pub name: String,
}

/// A project that was deleted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProjectDeleted")]
pub struct Deleted {
    /// The id it had.
    pub id: ProjectId,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

impl Operation for Delete {
    const SPEC: Spec = Spec::remove("project.delete", "/projects/{name}")
        .command(&["project", "delete"])
        .positional(&["name"]);
    type Output = Deleted;

    async fn call(self, ctx: &Ctx) -> Result<Deleted> {
        let name = Arc::new(self.name);
        write(ctx, Intent::new("project.delete"), move |write| {
            let name = Arc::clone(&name);
            Box::pin(async move {
                let project = existing(write.tx(), &name).await?;
                sql::delete(write.tx(), project.id, write.now()).await?;
                Ok(Deleted {
                    id: project.id,
                    deleted_at: write.now(),
                })
            })
        })
        .await
    }
}

/// Returns the project of that name, or says which ones there are.
async fn existing(db: &impl Executor, name: &str) -> Result<Project> {
    match sql::by_name(db, name).await? {
        Some(project) => Ok(project),
        None => Err(unknown(db, name).await?),
    }
}

async fn unknown(db: &impl Executor, name: &str) -> Result<Error> {
    let names = sql::some_names(db).await?;
    let known = if names.is_empty() {
        "there is none yet".to_owned()
    } else {
        format!("known: {}", names.join(", "))
    };
    let message =
        format!("project `{name}` does not exist; {known}; create it with `athena project create`");
    Ok(Error::new(Code::NotFound, message).with_field("project"))
}

/// Returns the project that a call names, which must exist.
pub(crate) async fn named(db: &impl Executor, name: &str) -> Result<ProjectId> {
    known(db, name).await.map(|project| project.id)
}

async fn known(db: &impl Executor, name: &str) -> Result<Known> {
    match sql::known(db, &[name]).await?.pop() {
        Some(project) => Ok(project),
        None => Err(unknown(db, name).await?),
    }
}

/// Returns the project that a call writes to: the one it names, which must exist, or the
/// surroundings' own, which is made with its first write.
pub(crate) async fn for_writing(write: &Write<'_>, name: Option<&str>) -> Result<Known> {
    if let Some(name) = name {
        return known(write.tx(), name).await;
    }
    let name = write.ctx().project();
    if let Some(project) = sql::known(write.tx(), &[name]).await?.pop() {
        return Ok(project);
    }
    let create = Create {
        name: name.to_owned(),
        ..Create::default()
    };
    let principal = &write.ctx().caller().principal;
    sql::insert(write.tx(), &create, principal, write.now()).await?;
    known(write.tx(), name).await
}

/// Returns every project's id and name.
pub(crate) async fn all(db: &impl Executor) -> Result<Vec<(ProjectId, String)>> {
    sql::all(db).await
}

/// Returns the project of a call about one project: the one it names, which must exist, or the
/// surroundings' own, if it has anything yet.
pub(crate) async fn own(ctx: &Ctx, name: Option<&str>) -> Result<Option<Known>> {
    match name {
        Some(name) => known(ctx.db(), name).await.map(Some),
        None => Ok(sql::known(ctx.db(), &[ctx.project()]).await?.pop()),
    }
}

/// A project that a call reads or writes.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: ProjectId,
    pub(crate) name: String,
    /// How wide the vectors are that callers may bring to it.
    pub(crate) embedding_dim: u32,
}

/// Returns the projects that a call reads: those it names, which must exist, or the surroundings'
/// own and `personal`, as far as they exist.
pub(crate) async fn for_reading(
    ctx: &Ctx,
    name: Option<&str>,
    names: &[String],
) -> Result<Vec<Known>> {
    let mut wanted: Vec<&str> = name
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    let explicit = !wanted.is_empty();
    if names.is_empty() {
        if !explicit {
            wanted.push(ctx.project());
        }
        wanted.push(PERSONAL);
    }
    let found = sql::known(ctx.db(), &wanted).await?;
    for name in name.into_iter().chain(names.iter().map(String::as_str)) {
        if !found.iter().any(|known| known.name == name) {
            return Err(unknown(ctx.db(), name).await?);
        }
    }
    Ok(found)
}

/// Returns how wide the vectors are that callers may bring to a project.
pub(crate) async fn embedding_dim(db: &impl Executor, id: ProjectId) -> Result<u32> {
    sql::embedding_dim(db, id).await
}

/// Returns the name of a project that exists.
pub(crate) async fn name(db: &impl Executor, id: ProjectId) -> Result<String> {
    sql::name(db, id).await
}
