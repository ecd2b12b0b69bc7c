//! The one way in: key, gates, rows, log, links, commit.

use crate::models::Models;
use crate::store::{Intent, Mirror, Store};
use crate::{changes, idempotency, models, privacy};
use athena_core::{Ctx, Error, ModelId, ProjectId, Result};
use athena_db::{BoxFuture, Dialect, Executor, Tx, TxOptions, params};
use athena_search::{ItemRef, Record, record};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The time that each further item of a change may take.
const PER_ITEM: Duration = Duration::from_millis(50);

/// A change in progress: the transaction and what search will be told of it.
#[derive(Debug)]
pub struct Write<'scope> {
    tx: &'scope Tx<'scope>,
    ctx: &'scope Ctx,
    told: Mutex<BTreeMap<ProjectId, Told>>,
    /// The id of the built-in model, once it was asked for.
    builtin: OnceLock<ModelId>,
    /// The models that were asked for; those that the change made known may not outlive it.
    models: Models,
}

/// What a change tells of one project.
#[derive(Debug, Default)]
struct Told {
    /// To the search.
    records: Vec<Record>,
    /// To those who follow what changes.
    changed: BTreeSet<ItemRef>,
}

/// Reserves numbers in the head of a project's logs, and returns columns of it.
macro_rules! advance_returning {
    ($columns:literal) => {
        concat!(
            "INSERT INTO search_heads
                 (project_id, seq, sealed_seq, replaced, purged, format, builtin_id, change_seq)
             VALUES (:project_id, :count, 0, 0, 0, :format, :builtin, :changes)
             ON CONFLICT (project_id) DO UPDATE
             SET seq = search_heads.seq + :count, change_seq = search_heads.change_seq + :changes
             RETURNING ",
            $columns
        )
    };
}

/// An item that a change wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its project.
    pub project: ProjectId,
    /// The item.
    pub item: ItemRef,
}

impl Write<'_> {
    /// Returns the transaction: statements through it are part of the change.
    #[must_use]
    pub fn tx(&self) -> &Tx<'_> {
        self.tx
    }

    /// Returns the context of the call.
    #[must_use]
    pub fn ctx(&self) -> &Ctx {
        self.ctx
    }

    /// Returns the time of the change.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ctx.now()
    }

    /// Adds a record to the search log of a project; it becomes visible with the commit. Those who
    /// follow what changes are told of its item, unless Athena works by itself.
    pub fn log(&self, project: ProjectId, record: Record) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.entry(project).or_default();
        if !self.ctx.is_own_work() {
            told.changed.insert(record.item());
        }
        told.records.push(record);
    }

    /// Tells those who follow what changes in a project of an item that the search does not know,
    /// or whose record says nothing new to it.
    pub fn note(&self, project: ProjectId, item: ItemRef) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.entry(project).or_default().changed.insert(item);
    }

    /// Returns the id of an embedding model, which is made known if it is new.
    ///
    /// # Errors
    ///
    /// What the database fails with.
    pub async fn model_id(&self, name: &str, dim: usize) -> Result<ModelId> {
        let store: &Store = self.ctx.part();
        let known = store.models.get(name, dim);
        if let Some(id) = known.or_else(|| self.models.get(name, dim)) {
            return Ok(id);
        }
        let id = models::model_id(self.tx, name, dim, self.now()).await?;
        self.models.insert(name, dim, id);
        Ok(id)
    }

    /// Returns the id of the built-in model, which everything that the change logs has vectors of.
    ///
    /// # Errors
    ///
    /// What the database fails with.
    pub async fn builtin_id(&self) -> Result<ModelId> {
        if let Some(id) = self.builtin.get() {
            return Ok(*id);
        }
        let model = self.ctx.builtin().model();
        let id = self.model_id(&model.name, model.dim).await?;
        Ok(*self.builtin.get_or_init(|| id))
    }

    fn written(&self) -> Vec<Written> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = Vec::new();
        for (project, told) in &*told {
            for record in &told.records {
                let item = Written {
                    project: *project,
                    item: record.item(),
                };
                if written.last() != Some(&item) {
                    written.push(item);
                }
            }
        }
        written
    }

    /// Numbers the logged records and the changes and stores them, projects in id order.
    ///
    /// The head row stays locked until the commit, so the numbers become visible in their order.
    async fn append_log(&self, operation: &str, mirror: Option<&dyn Mirror>) -> Result<Appended> {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        let mut appended = Appended::default();
        for (project, told) in told {
            let Advanced {
                last,
                sealed,
                last_change,
                mirrored,
            } = self.advance_head(project, &told, mirror).await?;
            appended.mirrored |= mirrored;
            let records = (first(last, told.records.len())..).zip(&told.records);
            let rows = records.map(|(seq, record)| {
                params! {
                    project_id: project,
                    seq: seq,
                    kind: i64::from(record.item().kind.0),
                    item_id: record.item().id,
                    record: record::encode(record),
                }
            });
            self.tx
                .execute_many(
                    "INSERT INTO search_tail (project_id, seq, kind, item_id, record)
                     VALUES (:project_id, :seq, :kind, :item_id, :record)",
                    rows.collect(),
                )
                .await?;
            let changed = (first(last_change, told.changed.len())..).zip(told.changed);
            changes::append(self, project, changed, operation).await?;
            if !told.records.is_empty() && last - sealed >= self.ctx.part::<Store>().seal_at {
                appended.long.push(project);
            }
        }
        Ok(appended)
    }

    /// Reserves numbers for what a change tells.
    ///
    /// Making a mirror waits for changes that have written rows, and this comes after the rows: so
    /// either it finds them, or it is found here.
    async fn advance_head(
        &self,
        project: ProjectId,
        told: &Told,
        mirror: Option<&dyn Mirror>,
    ) -> Result<Advanced> {
        let head = params! {
            project_id: project,
            count: i64::try_from(told.records.len()).map_err(Error::internal)?,
            changes: i64::try_from(told.changed.len()).map_err(Error::internal)?,
            format: athena_search::FORMAT,
            builtin: self.builtin.get().copied(),
        };
        if let Some(mirror) = mirror
            && self.tx.dialect() == Dialect::Postgres
        {
            let (table, column) = mirror.kept_in();
            let kept = advance_returning!(
                "seq, sealed_seq, change_seq, EXISTS (SELECT 1 FROM pg_attribute
                 WHERE attrelid = to_regclass(:table) AND attname = :column)"
            );
            let head = head.with("table", table).with("column", column);
            let (last, sealed, last_change, mirrored) = self.tx.fetch_one(kept, head).await?;
            return Ok(Advanced {
                last,
                sealed,
                last_change,
                mirrored,
            });
        }
        let advanced = advance_returning!("seq, sealed_seq, change_seq");
        let (last, sealed, last_change) = self.tx.fetch_one(advanced, head).await?;
        Ok(Advanced {
            last,
            sealed,
            last_change,
            mirrored: false,
        })
    }
}

/// The head of a project's logs after numbers were reserved.
#[derive(Debug)]
struct Advanced {
    /// The last number of the search log.
    last: i64,
    /// The last number of it that segments cover.
    sealed: i64,
    /// The last number of the changes.
    last_change: i64,
    /// Whether the mirror is kept.
    mirrored: bool,
}

/// Returns the first of the numbers that were reserved.
fn first(last: i64, count: usize) -> i64 {
    last - i64::try_from(count).unwrap_or(0) + 1
}

/// What storing the log brought to light.
#[derive(Debug, Default)]
struct Appended {
    /// Projects whose tails have grown long enough to be sealed.
    long: Vec<ProjectId>,
    /// Whether the mirror is kept.
    mirrored: bool,
}

/// Performs a change in one transaction.
///
/// `change` stores its rows through [`Write::tx`] and logs what search must know. It is run again
/// when the database asks for it (a deadlock, a serialisation failure, a failed group commit), so
/// it must have no effect besides. Nothing slow belongs inside: embedding and calls to providers
/// come before.
///
/// With an idempotency key in the context, a repeated request answers what the first one did.
///
/// # Errors
///
/// What a gate refuses, what `change` fails with,
/// [`Code::NewerStore`](athena_core::Code::NewerStore) when a newer version has migrated the store,
/// and [`Code::InvalidState`](athena_core::Code::InvalidState) when its personal data is tokenised
/// with a key that this process does not hold.
pub async fn write<T, F>(ctx: &Ctx, intent: Intent, change: F) -> Result<T>
where
    T: Serialize + DeserializeOwned + Send,
    F: for<'w> Fn(&'w Write<'w>) -> BoxFuture<'w, Result<T>> + Send + Sync,
{
    if !ctx.is_masked() {
        return Err(Error::internal(
            "an operation that writes was called past the registry, with its input unmasked",
        ));
    }
    let store: &Store = ctx.part();
    let change = &change;
    let (value, left) = ctx
        .db()
        .transaction_with(options(intent), |tx| {
            Box::pin(async move { perform(ctx, store, intent, tx, change).await })
        })
        .await?;
    for project in left.long {
        store.want_sealed(project);
    }
    store.models.take(left.models);
    Ok(value)
}

/// Gives a change its time: the default for one item, and a little more for each further one.
fn options(intent: Intent) -> TxOptions {
    let mut options = TxOptions::default();
    let items = u32::try_from(intent.items.saturating_sub(1)).unwrap_or(u32::MAX);
    options.deadline += PER_ITEM.saturating_mul(items);
    options
}

async fn perform<T, F>(
    ctx: &Ctx,
    store: &Store,
    intent: Intent,
    tx: &Tx<'_>,
    change: &F,
) -> Result<(T, Left)>
where
    T: Serialize + DeserializeOwned + Send,
    F: for<'w> Fn(&'w Write<'w>) -> BoxFuture<'w, Result<T>> + Send + Sync,
{
    let fingerprint = store.schema.check(tx).await?;
    store.privacy.check(ctx, tx, fingerprint).await?;
    if let Some(idempotency) = ctx.idempotency()
        && let Some(answer) = idempotency::claim(tx, ctx, idempotency).await?
    {
        return Ok((
            serde_json::from_str(&answer).map_err(Error::internal)?,
            Left::default(),
        ));
    }
    let write = Write {
        tx,
        ctx,
        told: Mutex::default(),
        builtin: OnceLock::new(),
        models: Models::default(),
    };
    for gate in &store.gates {
        gate.check(&write, &intent).await?;
    }
    privacy::keep_values(&write, &store.privacy).await?;
    let value = change(&write).await?;
    let written = write.written();
    for link in &store.links {
        link.infer(&write, &written).await?;
    }
    if let Some(idempotency) = ctx.idempotency() {
        let response = serde_json::to_string(&value).map_err(Error::internal)?;
        idempotency::answer(tx, ctx, idempotency, response).await?;
    }
    let mirror = store.mirror.as_deref();
    let appended = write.append_log(intent.operation, mirror).await?;
    if let Some(mirror) = mirror.filter(|_| appended.mirrored) {
        mirror.keep(&write, &written).await?;
    }
    let left = Left {
        long: appended.long,
        models: write.models,
    };
    Ok((value, left))
}

/// What a change leaves to be done once it is committed.
#[derive(Debug, Default)]
struct Left {
    /// Projects whose tails have grown long.
    long: Vec<ProjectId>,
    /// Models that were met.
    models: Models,
}
