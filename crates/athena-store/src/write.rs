//! The one way in: key, gates, rows, log, links, commit.

use crate::models::Models;
use crate::store::{Intent, Mirror, Store};
use crate::{idempotency, models, privacy};
use athena_core::{Ctx, Error, ModelId, ProjectId, Result};
use athena_db::{BoxFuture, Dialect, Executor, Tx, TxOptions, params};
use athena_search::{ItemRef, Record, record};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The time that each further item of a change may take.
const PER_ITEM: Duration = Duration::from_millis(50);

/// A change in progress: the transaction and what search will be told of it.
#[derive(Debug)]
pub struct Write<'scope> {
    tx: &'scope Tx<'scope>,
    ctx: &'scope Ctx,
    log: Mutex<BTreeMap<ProjectId, Vec<Record>>>,
    /// The id of the built-in model, once it was asked for.
    builtin: OnceLock<ModelId>,
    /// The models that were asked for; those that the change made known may not outlive it.
    models: Models,
}

/// Reserves numbers in the head of a project's log, and returns columns of it.
macro_rules! advance_returning {
    ($columns:literal) => {
        concat!(
            "INSERT INTO search_heads (project_id, seq, sealed_seq, replaced, purged, format, builtin_id)
             VALUES (:project_id, :count, 0, 0, 0, :format, :builtin)
             ON CONFLICT (project_id) DO UPDATE SET seq = search_heads.seq + :count
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

    /// Adds a record to the search log of a project; it becomes visible with the commit.
    pub fn log(&self, project: ProjectId, record: Record) {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(project)
            .or_default()
            .push(record);
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
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = Vec::new();
        for (project, records) in &*log {
            for record in records {
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

    /// Numbers the logged records and stores them, projects in id order.
    ///
    /// The head row stays locked until the commit, so the numbers become visible in their order.
    async fn append_log(&self, mirror: Option<&dyn Mirror>) -> Result<Appended> {
        let log = std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        let mut appended = Appended::default();
        for (project, records) in log {
            let (last, sealed, mirrored) =
                self.advance_head(project, records.len(), mirror).await?;
            appended.mirrored |= mirrored;
            let first = last - i64::try_from(records.len()).unwrap_or(0) + 1;
            let rows = (first..).zip(&records).map(|(seq, record)| {
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
            if last - sealed >= self.ctx.part::<Store>().seal_at {
                appended.long.push(project);
            }
        }
        Ok(appended)
    }

    /// Reserves `count` numbers and returns the last of them, with the last sealed one, and whether
    /// the mirror is kept.
    ///
    /// Making a mirror waits for changes that have written rows, and this comes after the rows: so
    /// either it finds them, or it is found here.
    async fn advance_head(
        &self,
        project: ProjectId,
        count: usize,
        mirror: Option<&dyn Mirror>,
    ) -> Result<(i64, i64, bool)> {
        let count = i64::try_from(count).map_err(Error::internal)?;
        let head = params! {
            project_id: project,
            count: count,
            format: athena_search::FORMAT,
            builtin: self.builtin.get().copied(),
        };
        if let Some(mirror) = mirror
            && self.tx.dialect() == Dialect::Postgres
        {
            let (table, column) = mirror.kept_in();
            let kept = advance_returning!(
                "seq, sealed_seq, EXISTS (SELECT 1 FROM pg_attribute
                 WHERE attrelid = to_regclass(:table) AND attname = :column)"
            );
            let head = head.with("table", table).with("column", column);
            return Ok(self.tx.fetch_one(kept, head).await?);
        }
        let advanced = advance_returning!("seq, sealed_seq");
        let (last, sealed) = self.tx.fetch_one::<(i64, i64)>(advanced, head).await?;
        Ok((last, sealed, false))
    }
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
        log: Mutex::default(),
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
    let appended = write.append_log(mirror).await?;
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
