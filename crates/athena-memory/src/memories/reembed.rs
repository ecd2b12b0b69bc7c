//! Vectors of another model for a project: made in the background, while what there is answers.
//!
//! What is to be done stands in the head of the project's search log, and what is done in the data,
//! so a process that is killed leaves nothing to repair: whoever comes next goes on.
//!
//! - *Built-in vectors* of an earlier version are made anew by themselves, some memories a
//!   transaction.
//! - *A model's vectors* are made when somebody asks for it ([`begin`]): everything that has none
//!   goes into the queue, where it is embedded as what was told just now is. When nothing of it
//!   waits any more, one transaction lets the new vectors answer.
//! - *Vectors of former models* are then removed, some memories a transaction, and taken out of the
//!   search log.

use super::embedding::{self, Batch, Made, embed_batch, space};
use super::indexing::{self, CALLER_MODEL, IndexedText};
use super::{sql, vectors};
use athena_core::{Ctx, Env, MemoryId, ModelId, ProjectId, Result};
use athena_db::BoxFuture;
use athena_search::{ItemRef, Kind};
use athena_store::{
    Chore, Intent, Spaces, Waiting, Write, drop_vectors, hasten, hold_spaces, model_id, put_spaces,
    requeue, spaces, unsettled, waiting, write,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the work is called before gates.
const ACTION: &str = "memory.reembed";

/// How long one run of the chore goes on.
const SLICE: Duration = Duration::from_millis(50);

/// Memories that get built-in vectors in one transaction.
const MADE: u32 = 50;

/// Memories that go into the queue in one transaction.
const QUEUED: u32 = 1_000;

/// Memories whose former vectors are removed in one transaction.
const CLEARED: u32 = 500;

/// How often an item is tried before it holds up nobody any more.
const TRIES: i64 = 5;

/// One item in so many may stay without vectors, but always one.
const FEW: i64 = 100;

/// How the names of built-in models begin.
const BUILTIN: &str = "athena-";

/// How long one waits for what another process is at.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes the vectors that are missing: built-in ones of an earlier version, and those of a model
/// that was asked for.
#[derive(Debug)]
pub struct Reembedding;

impl Chore for Reembedding {
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let ctx = Ctx::for_own_work(Arc::clone(env));
            let builtin = builtin(&ctx).await?;
            let begun = Instant::now();
            for project in unsettled(ctx.db(), builtin).await? {
                while step(&ctx, project, builtin).await? {
                    if begun.elapsed() >= SLICE {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }
}

/// The models of this process, as the store numbers their spaces.
#[derive(Debug, Clone, Copy)]
struct Own {
    builtin: ModelId,
    model: Option<ModelId>,
}

impl Own {
    async fn of(ctx: &Ctx) -> Result<Self> {
        let model = match ctx.model() {
            Some(embedder) => Some(space(ctx, embedder).await?),
            None => None,
        };
        let builtin = builtin(ctx).await?;
        Ok(Self { builtin, model })
    }
}

/// Returns the number of the built-in model's space in the store.
async fn builtin(ctx: &Ctx) -> Result<ModelId> {
    let model = ctx.builtin().model();
    model_id(ctx.db(), &model.name, model.dim, ctx.now()).await
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReembedProgress {
    /// How many memories have their vectors.
    pub done: u64,
    /// How many need them.
    pub of: u64,
}

/// Asks for the vectors of the configured model in a project, where all of them are made sure of;
/// returns how many memories have none.
///
/// Without a model, only the built-in vectors are looked at.
///
/// # Errors
///
/// What the provider or the database fails with.
pub(super) async fn begin(ctx: &Ctx, project: ProjectId) -> Result<u64> {
    let own = Own::of(ctx).await?;
    write(ctx, Intent::new(ACTION).in_project(project), move |write| {
        Box::pin(ask(write, project, own))
    })
    .await?;
    match own.model {
        Some(model) => vectors::count_lacking(ctx.db(), project, model).await,
        None => Ok(0),
    }
}

async fn ask(write: &Write<'_>, project: ProjectId, own: Own) -> Result<()> {
    let Some(mut spaces) = hold_spaces(write, project).await? else {
        return Ok(());
    };
    if spaces.builtin_id != Some(own.builtin) {
        (spaces.builtin_id, spaces.builtin_to) = (None, 0);
    }
    if own.model.is_some() && spaces.next_id != own.model {
        (spaces.next_id, spaces.queued_to) = (own.model, 0);
    }
    put_spaces(write, &spaces).await?;
    hasten(write, Kind::MEMORY, project).await
}

/// Does what was asked for in projects until nothing is left to do, and tells how far it is.
///
/// # Errors
///
/// What the database fails with, and what the provider fails with when no memory can be embedded.
/// What is done stays done.
pub async fn reembed(
    env: &Arc<Env>,
    projects: &[ProjectId],
    told: &(dyn Fn(ReembedProgress) + Send + Sync),
) -> Result<()> {
    let ctx = &Ctx::for_own_work(Arc::clone(env));
    let own = Own::of(ctx).await?;
    let mut of = 0;
    loop {
        let mut is_settled = true;
        let mut left = 0;
        for project in projects {
            while step(ctx, *project, own.builtin).await? {}
            is_settled &= is_done(ctx, *project, own).await?;
            left += waiting(ctx.db(), Kind::MEMORY, *project, i64::MAX)
                .await?
                .items;
        }
        let left = u64::try_from(left).unwrap_or_default();
        of = left.max(of);
        told(ReembedProgress {
            done: of - left,
            of,
        });
        if is_settled {
            return Ok(());
        }
        match embed_batch(ctx).await? {
            Batch::Stored(_) => {}
            Batch::Failed(error) => return Err(error),
            Batch::Nothing => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Whether nothing is left to do in a project for a process with these models.
async fn is_done(ctx: &Ctx, project: ProjectId, own: Own) -> Result<bool> {
    let spaces = spaces(ctx.db(), project).await?;
    Ok(spaces.is_none_or(|spaces| {
        let is_making = spaces.next_id.is_some();
        let is_ours = is_making && spaces.next_id == own.model;
        let is_clearing = !is_making && spaces.cleared_to.is_some();
        !is_ours && !is_clearing && !is_outdated(&spaces, own.builtin)
    }))
}

/// Whether built-in vectors are to be made: of a model that is older than ours, as the store met
/// them, or nobody knows which. Those of a newer one are left to processes that have it.
fn is_outdated(spaces: &Spaces, builtin: ModelId) -> bool {
    spaces.builtin_id.is_none_or(|id| id < builtin)
}

/// Does a little of what is to be done in a project; returns whether there is more that can be done
/// at once.
async fn step(ctx: &Ctx, project: ProjectId, builtin: ModelId) -> Result<bool> {
    let Some(spaces) = spaces(ctx.db(), project).await? else {
        return Ok(false);
    };
    if is_outdated(&spaces, builtin) {
        make_builtin(ctx, &spaces, builtin).await?;
        return Ok(true);
    }
    if let (Some(next), Some(embedder)) = (spaces.next_id, ctx.model()) {
        return match space(ctx, embedder).await? == next {
            true => make_next(ctx, project, next).await,
            false => Ok(false),
        };
    }
    if spaces.next_id.is_none() && spaces.cleared_to.is_some() {
        return clear(ctx, &spaces).await;
    }
    Ok(false)
}

fn intent(project: ProjectId, items: u32) -> Intent {
    let items = usize::try_from(items).unwrap_or(usize::MAX);
    Intent::new(ACTION).in_project(project).of_items(items)
}

/// Gives some memories the built-in vectors that they lack.
async fn make_builtin(ctx: &Ctx, spaces: &Spaces, builtin: ModelId) -> Result<()> {
    let project = spaces.project_id;
    let after = MemoryId(spaces.builtin_to);
    let ids = vectors::without(ctx.db(), project, builtin, after, MADE).await?;
    let is_last = ids.len() < usize::try_from(MADE).unwrap_or_default();
    let last = ids.last().map_or(spaces.builtin_to, |id| id.0);
    let memories = sql::by_ids(ctx.db(), &ids).await?;
    let made = memories.into_iter().map(|memory| {
        let text = IndexedText::of(&memory);
        Made {
            vectors: text.embed_builtin(ctx),
            memory,
            text,
        }
    });
    let made: Arc<Vec<Made>> = Arc::new(made.collect());
    write(ctx, intent(project, MADE), move |write| {
        let made = Arc::clone(&made);
        Box::pin(async move {
            let Some(mut spaces) = hold_spaces(write, project).await? else {
                return Ok(());
            };
            for made in made.iter() {
                embedding::store(write, builtin, made).await?;
            }
            spaces.builtin_to = last;
            if is_last {
                if spaces.builtin_id.is_some() || spaces.builtin_to > 0 {
                    spaces.cleared_to = Some(0);
                }
                (spaces.builtin_id, spaces.builtin_to) = (Some(builtin), 0);
            }
            put_spaces(write, &spaces).await
        })
    })
    .await
}

/// Puts some memories into the queue that have no vectors of the next model; with the last of them,
/// and none of them waiting, the next model answers.
async fn make_next(ctx: &Ctx, project: ProjectId, next: ModelId) -> Result<bool> {
    write(ctx, intent(project, QUEUED), move |write| {
        Box::pin(async move {
            let Some(mut spaces) = hold_spaces(write, project).await? else {
                return Ok(false);
            };
            if spaces.next_id != Some(next) {
                return Ok(true);
            }
            let after = MemoryId(spaces.queued_to);
            let found = vectors::lacking(write.tx(), project, next, after, QUEUED).await?;
            let items: Vec<ItemRef> = found.iter().map(|id| indexing::item(*id)).collect();
            requeue(write, project, &items).await?;
            let has_all = items.len() < usize::try_from(QUEUED).unwrap_or_default();
            spaces.queued_to = found.last().map_or(spaces.queued_to, |id| id.0);
            let is_made = has_all && is_embedded(write, &spaces).await?;
            if is_made {
                (spaces.model_id, spaces.next_id) = (Some(next), None);
                (spaces.queued_to, spaces.cleared_to) = (0, Some(0));
            }
            put_spaces(write, &spaces).await?;
            Ok(!has_all || is_made)
        })
    })
    .await
}

/// Whether all that was put into the queue has its vectors, but for what no provider takes.
async fn is_embedded(write: &Write<'_>, spaces: &Spaces) -> Result<bool> {
    let project = spaces.project_id;
    let Waiting { items, attempts } =
        waiting(write.tx(), Kind::MEMORY, project, spaces.queued_to).await?;
    if items == 0 || attempts < TRIES {
        return Ok(items == 0);
    }
    let of = vectors::count(write.tx(), project).await?;
    Ok(items <= (of / FEW).max(1))
}

/// Removes the vectors of former models from some memories; after the last of them, from the search
/// log.
async fn clear(ctx: &Ctx, spaces: &Spaces) -> Result<bool> {
    let project = spaces.project_id;
    let former = former(ctx, spaces).await?;
    let is_cleared = former.is_empty() || clear_some(ctx, project, &former).await?;
    if !is_cleared {
        return Ok(true);
    }
    if !former.is_empty() {
        drop_vectors(ctx, Intent::new(ACTION), project, &former).await?;
    }
    let before = *spaces;
    write(ctx, intent(project, 1), move |write| {
        Box::pin(async move {
            let Some(mut spaces) = hold_spaces(write, project).await? else {
                return Ok(());
            };
            let is_same =
                (spaces.builtin_id, spaces.model_id) == (before.builtin_id, before.model_id);
            spaces.cleared_to = if is_same { None } else { Some(0) };
            put_spaces(write, &spaces).await
        })
    })
    .await?;
    Ok(true)
}

/// Returns the models whose vectors nothing asks for any more in a project.
async fn former(ctx: &Ctx, spaces: &Spaces) -> Result<Vec<ModelId>> {
    let is_former = |(id, name): &(ModelId, String)| match name.as_str() {
        CALLER_MODEL => false,
        name if name.starts_with(BUILTIN) => spaces.builtin_id.is_some_and(|own| own != *id),
        _ => spaces.model_id.is_some_and(|own| own != *id) && spaces.next_id != Some(*id),
    };
    let models = athena_store::models(ctx.db()).await?;
    Ok(models
        .into_iter()
        .filter(is_former)
        .map(|(id, _)| id)
        .collect())
}

/// Removes the vectors of former models from some memories; returns whether these were the last.
async fn clear_some(ctx: &Ctx, project: ProjectId, former: &[ModelId]) -> Result<bool> {
    let former: Arc<[ModelId]> = former.into();
    write(ctx, intent(project, CLEARED), move |write| {
        let former = Arc::clone(&former);
        Box::pin(async move {
            let Some(mut spaces) = hold_spaces(write, project).await? else {
                return Ok(true);
            };
            let after = MemoryId(spaces.cleared_to.unwrap_or_default());
            let ids = vectors::ids_after(write.tx(), project, after, CLEARED).await?;
            let Some(last) = ids.last() else {
                return Ok(true);
            };
            vectors::remove(write.tx(), &ids, &former).await?;
            spaces.cleared_to = Some(last.0);
            put_spaces(write, &spaces).await?;
            Ok(false)
        })
    })
    .await
}
