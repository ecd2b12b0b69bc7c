//! New tokens in place of old ones, everywhere in a store.
//!
//! The vault says which token takes the place of which. Tables are gone through in the order of
//! their keys, a few rows a transaction, and what follows from a row is made anew with it. A row
//! whose tokens were replaced has none left to replace, so going through again does no harm.

use super::mentions::{ANY_TOKEN, mentioning};
use super::rotation::{ACTION, Told, check_current, told_of};
use super::sql::{self, RenewedRow};
use crate::classes::TableClasses;
use crate::store::{Intent, Store};
use crate::{Write, idempotency, segments, write};
use athena_core::{Ctx, Error, Result};
use athena_db::{Dialect, Executor, Params, Row, Schema, Value};
use athena_privacy::{tokens, with_tokens_replaced};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Tokens that are replaced in one go through the tables.
const TOKENS: u32 = 10_000;

/// Rows that one transaction rewrites.
const ROWS: u32 = 20;

/// Rows of the vault that one transaction removes.
const REMOVED: u32 = 500;

/// Tokens in one question.
const ASKED: usize = 500;

/// What was done to give a store new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retokenised {
    /// How many tokens have others in their place.
    pub tokens: u64,
    /// How many rows were rewritten.
    pub rows: u64,
    /// How many tokens were met that stand for nothing that is kept, and stay as they are.
    pub kept: u64,
}

/// Puts the new tokens in place of the old ones, and forgets these.
pub(super) async fn retokenise(ctx: &Ctx, to: &str, told: Told<'_>) -> Result<Retokenised> {
    let mut done = Retokenised::default();
    let mut last = (String::new(), String::new());
    let tables = tables(ctx).await?;
    write(ctx, Intent::new(ACTION), |write| {
        Box::pin(idempotency::forget_like(write.tx(), ANY_TOKEN))
    })
    .await?;
    loop {
        let rows = sql::renewed(ctx.db(), (&last.0, &last.1), TOKENS).await?;
        let is_last = rows.len() < usize::try_from(TOKENS).unwrap_or(usize::MAX);
        if let Some(row) = rows.last() {
            last = (row.project.clone(), row.token.clone());
        }
        let renewal = Arc::new(Renewal::of(rows));
        for (table, number) in tables.iter().zip(0..) {
            told(told_of("replacing tokens", number, tables.len()));
            done.rows += rewrite_table(ctx, to, table, &renewal).await?;
        }
        keep_stuck(ctx, to, &renewal).await?;
        if is_last {
            done.kept = renewal.count_kept(ctx).await?;
            break;
        }
    }
    let projects = segments::sql::logged_projects(ctx.db()).await?;
    for (project, number) in projects.iter().zip(0..) {
        told(told_of("clearing the search log", number, projects.len()));
        segments::clear_void(ctx, Intent::new(ACTION), *project).await?;
    }
    done.tokens = forget_old(ctx, to).await?;
    Ok(done)
}

/// Which token takes the place of which, and what was met besides.
#[derive(Debug)]
struct Renewal {
    tokens: HashMap<String, String>,
    met: Mutex<Met>,
}

#[derive(Debug, Default)]
struct Met {
    /// Tokens that none takes the place of here.
    others: BTreeSet<String>,
    /// Old tokens in rows that must stay as they are, for others are the same with the new ones.
    stuck: BTreeSet<String>,
}

impl Renewal {
    fn of(rows: Vec<RenewedRow>) -> Self {
        let tokens = rows.into_iter().map(|row| (row.token, row.renewed));
        Self {
            tokens: tokens.collect(),
            met: Mutex::default(),
        }
    }

    /// Returns a text with the new tokens, if it has old ones.
    fn apply(&self, text: &str) -> Option<String> {
        let applied = with_tokens_replaced(text, |token| {
            let renewed = self.tokens.get(token);
            if renewed.is_none() {
                self.met(|met| met.others.insert(token.to_owned()));
            }
            renewed
        });
        match applied {
            Cow::Owned(applied) => Some(applied),
            Cow::Borrowed(_) => None,
        }
    }

    /// Returns a value with the new tokens, if it has old ones.
    fn apply_to(&self, value: &Value) -> Result<Option<Value>> {
        Ok(match value {
            Value::Text(text) => self.apply(text).map(Value::Text),
            Value::Json(document) => match self.apply(&document.to_string()) {
                Some(text) => Some(Value::Json(
                    serde_json::from_str(&text).map_err(Error::internal)?,
                )),
                None => None,
            },
            _ => None,
        })
    }

    fn met<T>(&self, note: impl FnOnce(&mut Met) -> T) -> T {
        note(&mut self.met.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the old tokens of a row that must stay.
    fn stuck(&self, values: &[(&'static str, Value)]) {
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            Value::Json(document) => document.to_string(),
            _ => String::new(),
        };
        for text in values.iter().map(|(_, value)| text(value)) {
            for range in tokens(&text) {
                self.met(|met| met.stuck.insert(text[range].to_owned()));
            }
        }
    }

    /// Counts the tokens that were met and stand for nothing that is kept.
    async fn count_kept(&self, ctx: &Ctx) -> Result<u64> {
        let others: Vec<String> = self.met(|met| met.others.iter().cloned().collect());
        let mut kept = u64::try_from(others.len()).unwrap_or_default();
        for tokens in others.chunks(ASKED) {
            let known = sql::count_kept(ctx.db(), tokens).await?;
            kept -= u64::try_from(known).unwrap_or_default();
        }
        Ok(kept)
    }
}

/// A table that may mention tokens.
struct Table {
    name: &'static str,
    key: Vec<String>,
    texts: Vec<&'static str>,
    /// The condition on rows that mention `:pattern`.
    mentioning: String,
}

async fn tables(ctx: &Ctx) -> Result<Vec<Arc<Table>>> {
    let store: &Store = ctx.part();
    let mut tables = Vec::new();
    for described in Schema::of(ctx.db()).tables().await? {
        let by_name = |classes: &&TableClasses| classes.table == described.name;
        let Some(classes) = store.classes.iter().find(by_name) else {
            continue;
        };
        let Some(mentioning) = mentioning(ctx.db().dialect(), classes) else {
            continue;
        };
        let mut key: Vec<_> = described
            .columns
            .into_iter()
            .filter_map(|column| Some((column.primary_key?, column.name)))
            .collect();
        key.sort();
        if classes.table != "pii_vault" && !key.is_empty() {
            tables.push(Arc::new(Table {
                name: classes.table,
                key: key.into_iter().map(|(_, name)| name).collect(),
                texts: classes.texts().collect(),
                mentioning,
            }));
        }
    }
    Ok(tables)
}

impl Table {
    /// Asks for the keys of rows that mention a token, those after a key; `first` for all.
    fn page(&self, first: bool) -> String {
        let key = self.key.join(", ");
        let after = if first { "1 = 1" } else { &self.after() };
        format!(
            "SELECT {key} FROM {} WHERE ({after}) AND ({}) ORDER BY {key} LIMIT :limit",
            self.name, self.mentioning
        )
    }

    /// The condition on keys after one: `a > :key0 OR a = :key0 AND b > :key1`.
    fn after(&self) -> String {
        let equal = |place: usize| format!("{} = :key{place}", self.key[place]);
        let beyond = |place: usize| {
            let mut conditions: Vec<String> = (0..place).map(equal).collect();
            conditions.push(format!("{} > :key{place}", self.key[place]));
            conditions.join(" AND ")
        };
        let beyond: Vec<String> = (0..self.key.len()).map(beyond).collect();
        beyond.join(" OR ")
    }

    /// The condition on the row with a key.
    fn is(&self) -> String {
        let equal = self.key.iter().zip(0..);
        let equal: Vec<String> = equal
            .map(|(name, place)| format!("{name} = :key{place}"))
            .collect();
        equal.join(" AND ")
    }

    /// Reads the texts of a row, which nobody else changes until the commit.
    fn read(&self, dialect: Dialect) -> String {
        let lock = match dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres | Dialect::MySql => " FOR UPDATE",
        };
        let texts = self.texts.join(", ");
        format!(
            "SELECT {texts} FROM {} WHERE {}{lock}",
            self.name,
            self.is()
        )
    }

    fn update(&self, columns: &[(&'static str, Value)]) -> String {
        let set = columns.iter().zip(0..);
        let set: Vec<String> = set
            .map(|((name, _), place)| format!("{name} = :text{place}"))
            .collect();
        format!(
            "UPDATE {} SET {} WHERE {}",
            self.name,
            set.join(", "),
            self.is()
        )
    }
}

fn key_params(key: &[Value]) -> Params {
    let mut params = Params::new();
    for (value, place) in key.iter().zip(0..) {
        params.push(format!("key{place}"), value.clone());
    }
    params
}

/// Rewrites the rows of a table; returns how many.
async fn rewrite_table(
    ctx: &Ctx,
    to: &str,
    table: &Arc<Table>,
    renewal: &Arc<Renewal>,
) -> Result<u64> {
    let mut rewritten = 0;
    let mut last: Option<Vec<Value>> = None;
    loop {
        let params = last.as_deref().map(key_params).unwrap_or_default();
        let params = params
            .with("pattern", ANY_TOKEN)
            .with("limit", i64::from(ROWS));
        let page = table.page(last.is_none());
        let rows: Vec<Row> = ctx.db().fetch_all(page, params).await?;
        let keys: Vec<Vec<Value>> = rows.into_iter().map(Row::into_values).collect();
        let Some(key) = keys.last() else {
            return Ok(rewritten);
        };
        last = Some(key.clone());
        rewritten += rewrite_rows(ctx, to, table, renewal, keys).await?;
    }
}

async fn rewrite_rows(
    ctx: &Ctx,
    to: &str,
    table: &Arc<Table>,
    renewal: &Arc<Renewal>,
    keys: Vec<Vec<Value>>,
) -> Result<u64> {
    let intent = Intent::new(ACTION).of_items(keys.len());
    let (table, renewal) = (Arc::clone(table), Arc::clone(renewal));
    let batch = Arc::new((keys, to.to_owned()));
    write(ctx, intent, move |write| {
        let (table, renewal, batch) =
            (Arc::clone(&table), Arc::clone(&renewal), Arc::clone(&batch));
        Box::pin(async move {
            let (keys, to) = &*batch;
            check_current(write, to).await?;
            let mut rewritten = 0;
            for key in keys {
                rewritten += u64::from(rewrite_row(write, &table, &renewal, key).await?);
            }
            Ok(rewritten)
        })
    })
    .await
}

/// Rewrites a row and what follows from it; says whether it did.
async fn rewrite_row(
    write: &Write<'_>,
    table: &Table,
    renewal: &Renewal,
    key: &[Value],
) -> Result<bool> {
    let read = table.read(write.tx().dialect());
    let row: Option<Row> = write.tx().fetch_opt(read, key_params(key)).await?;
    let mut changed = Vec::new();
    for (name, value) in table.texts.iter().zip(row.iter().flat_map(Row::values)) {
        if let Some(applied) = renewal.apply_to(value)? {
            changed.push((*name, applied));
        }
    }
    if changed.is_empty() {
        return Ok(false);
    }
    if !store(write, table, key, &changed).await? {
        let row = row.iter().flat_map(Row::values).cloned();
        let values: Vec<_> = table.texts.iter().copied().zip(row).collect();
        renewal.stuck(&values);
        return Ok(false);
    }
    derive(write, table, key, &changed).await?;
    Ok(true)
}

/// Stores the changed columns of a row; `false` if another row is the same with them.
async fn store(
    write: &Write<'_>,
    table: &Table,
    key: &[Value],
    changed: &[(&'static str, Value)],
) -> Result<bool> {
    let mut params = key_params(key);
    for ((_, value), place) in changed.iter().zip(0..) {
        params.push(format!("text{place}"), value.clone());
    }
    let update = table.update(changed);
    let stored = write
        .tx()
        .nested(|tx| Box::pin(async move { tx.execute(update, params).await }))
        .await;
    match stored {
        Err(error) if error.is_unique_violation() => Ok(false),
        stored => Ok(stored? > 0),
    }
}

async fn derive(
    write: &Write<'_>,
    table: &Table,
    key: &[Value],
    changed: &[(&'static str, Value)],
) -> Result<()> {
    let store: &Store = write.ctx().part();
    let derives = store.derives.iter();
    let mut of_table = derives.filter(|derive| derive.table() == table.name);
    let (Some(derive), [Value::Int(id)]) = (of_table.next(), key) else {
        return Ok(());
    };
    let columns: Vec<&'static str> = changed.iter().map(|(name, _)| *name).collect();
    derive.derive(write, *id, &columns).await
}

/// Keeps the old tokens of rows that had to stay as they are.
async fn keep_stuck(ctx: &Ctx, to: &str, renewal: &Renewal) -> Result<()> {
    let stuck: Vec<String> = renewal.met(|met| met.stuck.iter().cloned().collect());
    if stuck.is_empty() {
        return Ok(());
    }
    let batch = Arc::new((stuck, to.to_owned()));
    write(ctx, Intent::new(ACTION), move |write| {
        let batch = Arc::clone(&batch);
        Box::pin(async move {
            check_current(write, &batch.1).await?;
            sql::keep_old(write.tx(), &batch.0).await
        })
    })
    .await
}

/// Removes the tokens that others have taken the place of; returns how many.
async fn forget_old(ctx: &Ctx, to: &str) -> Result<u64> {
    let mut removed = 0;
    loop {
        let rows = sql::renewed(ctx.db(), ("", ""), REMOVED).await?;
        if rows.is_empty() {
            return Ok(removed);
        }
        let batch = Arc::new((rows, to.to_owned()));
        removed += write(ctx, Intent::new(ACTION), move |write| {
            let batch = Arc::clone(&batch);
            Box::pin(async move {
                check_current(write, &batch.1).await?;
                sql::remove_renewed(write.tx(), &batch.0).await
            })
        })
        .await?;
    }
}
