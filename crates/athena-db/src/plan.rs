//! Statements as they are prepared: text with `:name` parameters, rewritten once and remembered.

mod addresses;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::{Duration, Instant};

use addresses::Addresses;

use crate::collect::{Collected, Collector};
use crate::dialect::Dialect;
use crate::error::{Error, Position, Result};
use crate::names::LastFound;
use crate::observe::{StatementStats, Statistics, summarise};
use crate::params::{Params, check_value};
use crate::postgres::Hint;
use crate::row::{Columns, FromRow, Row};
use crate::shard::Sharded;
use crate::sql::{
    Form, InsertShape, Rewritten, Slot, SourceMap, Statement, fingerprint, line_and_column,
    native_statement, rewrite, translate_statement, words,
};
use crate::sqlite::Facts;
use crate::stream::{RowReceiver, RowSender, channel};
use crate::value::Value;

/// The text of one SQL statement with `:name` parameters.
#[derive(Debug, Clone)]
pub enum Sql {
    /// Text in the programme; its plan is found by its address.
    Static(&'static str),
    /// Text that was built at run time. Never build values into it.
    Owned(String),
    /// A text for each dialect; [`sql!`](crate::sql!) makes it.
    PerDialect(&'static [(Dialect, &'static str)]),
}

/// Makes a [`Sql`] with a text for each dialect: `sql! { sqlite: "…", postgres: "…" }`.
#[macro_export]
macro_rules! sql {
    (@sqlite) => { $crate::Dialect::Sqlite };
    (@postgres) => { $crate::Dialect::Postgres };
    (@mysql) => { $crate::Dialect::MySql };
    ($($dialect:ident : $text:expr),+ $(,)?) => {
        $crate::Sql::PerDialect(&[$(($crate::sql!(@$dialect), $text)),+])
    };
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

/// A statement ready to be prepared, as the threads of one shard run it: what they write down of
/// their runs, and who holds it, does not hold up the others. A built text has one plan for all.
#[derive(Debug)]
pub struct Plan {
    analysis: Arc<Analysis>,
    /// What it has cost so far.
    pub(crate) statistics: Statistics,
    /// The columns of the first result.
    columns: OnceLock<Arc<Columns>>,
    /// The names of a `params!` that are those of the slots.
    named: LastFound,
}

/// The positional parameters of a statement and what is known about it, whoever runs it.
#[derive(Debug)]
pub struct Analysis {
    /// As the caller wrote it.
    source: Cow<'static, str>,
    pub(crate) text: String,
    map: SourceMap,
    pub(crate) slots: Vec<Slot>,
    /// No two slots have the same name.
    pub(crate) names_once: bool,
    pub(crate) class: Class,
    insert: OnceLock<Option<InsertShape>>,
    /// PostgreSQL's form of it for many rows.
    bulk: OnceLock<Arc<Plan>>,
    fingerprint: OnceLock<(u64, String)>,
    dialect: Dialect,
    /// What SQLite has said about it.
    pub(crate) sqlite: Facts,
    /// What PostgreSQL had to be told about the parameter types.
    pub(crate) hint: OnceLock<Hint>,
    /// How MySQL runs it.
    pub(crate) form: Form,
    /// The table that it writes to, if it was translated for MySQL.
    #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "for MySQL alone"))]
    pub(crate) table: Option<String>,
    /// What the translation for MySQL changed, step by step.
    translation: Vec<SourceMap>,
}

/// What a statement's first word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// `SELECT`, `VALUES`: reads and nothing else (or is found to write when prepared).
    Query,
    /// `INSERT`, `UPDATE`, `DELETE`, `WITH`, …
    Change,
    /// `CREATE` and everything else that is worth no place in a statement cache.
    Other,
    /// `VACUUM`, `PRAGMA`: SQLite runs them only, or differently, outside a transaction.
    Alone,
}

/// Something to do on a connection; kept so that it can be replayed.
#[derive(Debug)]
pub enum Work {
    Execute {
        plan: Arc<Plan>,
        values: Vec<Value>,
    },
    ExecuteMany {
        plan: Arc<Plan>,
        rows: Vec<Vec<Value>>,
    },
    /// Reads at most `limit` rows into the caller's type, where that can be done on the way.
    Fetch {
        plan: Arc<Plan>,
        values: Vec<Value>,
        limit: usize,
        collector: Collector,
    },
    /// Reads all rows and sends them away in chunks while it goes on.
    Stream {
        plan: Arc<Plan>,
        values: Vec<Value>,
        rows: RowSender,
    },
    /// One or more statements without parameters, as they are.
    Batch(String),
}

/// What came of a [`Work`].
#[derive(Debug)]
pub enum Outcome {
    Count(u64),
    Rows(Vec<Row>),
    Collected(Collected),
}

impl Outcome {
    /// The number of rows changed or read.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            Self::Rows(rows) => rows.len() as u64,
            Self::Collected(rows) => rows.len() as u64,
        }
    }

    pub(crate) fn count(self) -> u64 {
        self.len()
    }

    /// Returns what [`PlanCache::fetch_all`] asked for.
    pub(crate) fn all<T: FromRow>(self) -> Result<Vec<T>> {
        match self {
            Self::Collected(rows) => rows.all(),
            Self::Rows(mut rows) => rows.iter_mut().map(T::take_row).collect(),
            Self::Count(_) => Ok(Vec::new()),
        }
    }

    /// Returns what [`PlanCache::fetch_only`] asked for.
    pub(crate) fn only<T: FromRow>(self) -> Result<Option<T>> {
        match self {
            Self::Collected(rows) => rows.only(),
            Self::Rows(mut rows) => match &mut *rows {
                [] => Ok(None),
                [row] => T::take_row(row).map(Some),
                _ => Err(Error::too_many_rows()),
            },
            Self::Count(_) => Ok(None),
        }
    }
}

impl Work {
    /// Gives up sending rows at a time.
    pub(crate) fn until(self, deadline: Instant) -> Self {
        match self {
            Self::Stream { plan, values, rows } => Self::Stream {
                plan,
                values,
                rows: rows.until(deadline),
            },
            work => work,
        }
    }

    /// Whether it says by its first word that it changes rows.
    pub(crate) fn is_change(&self) -> bool {
        self.plan().is_some_and(|plan| {
            let first = words(plan.dialect, &plan.text).next();
            plan.class == Class::Change
                && !first.is_some_and(|word| word.eq_ignore_ascii_case("WITH"))
        })
    }

    /// Whether it takes several statements on a server, which belong together.
    pub(crate) fn needs_transaction(&self) -> bool {
        let by_keys = self
            .plan()
            .is_some_and(|plan| matches!(plan.form, Form::Keyed(_)));
        by_keys || matches!(self, Self::ExecuteMany { .. })
    }

    pub(crate) fn plan(&self) -> Option<&Arc<Plan>> {
        match self {
            Self::Execute { plan, .. }
            | Self::ExecuteMany { plan, .. }
            | Self::Fetch { plan, .. }
            | Self::Stream { plan, .. } => Some(plan),
            Self::Batch(_) => None,
        }
    }
}

/// The plans of a database: by address for text in the programme, by content for built text.
#[derive(Debug)]
pub struct PlanCache {
    dialect: Dialect,
    slow: Duration,
    by_address: Sharded<Addresses>,
    by_text: RwLock<HashMap<String, Arc<Plan>>>,
}

/// Built texts may be endless in number; when this many are known all are forgotten.
const MAX_BUILT_PLANS: usize = 1024;

impl PlanCache {
    /// `slow` is how long a statement runs before the log speaks of it.
    pub(crate) fn new(dialect: Dialect, slow: Duration) -> Self {
        Self {
            dialect,
            slow,
            by_address: Sharded::new(Addresses::new),
            by_text: RwLock::default(),
        }
    }

    pub(crate) fn execute(&self, sql: Sql, params: Params) -> Result<Work> {
        let plan = self.plan(sql)?;
        let values = params.bind(&plan)?;
        Ok(Work::Execute { plan, values })
    }

    pub(crate) fn execute_many(&self, sql: Sql, rows: Vec<Params>) -> Result<Work> {
        let plan = self.plan(sql)?;
        let rows = rows
            .into_iter()
            .map(|params| params.bind(&plan))
            .collect::<Result<_>>()?;
        Ok(Work::ExecuteMany { plan, rows })
    }

    pub(crate) fn fetch_all<T: FromRow>(
        &self,
        sql: Sql,
        params: Params,
        limit: usize,
    ) -> Result<Work> {
        self.fetch(sql, params, limit, Collector::all::<T>())
    }

    /// One more row than is wanted tells that there are too many.
    pub(crate) fn fetch_only<T: FromRow>(&self, sql: Sql, params: Params) -> Result<Work> {
        self.fetch(sql, params, 2, Collector::only::<T>())
    }

    fn fetch(&self, sql: Sql, params: Params, limit: usize, collector: Collector) -> Result<Work> {
        let plan = self.plan(sql)?;
        let values = params.bind(&plan)?;
        Ok(Work::Fetch {
            plan,
            values,
            limit,
            collector,
        })
    }

    pub(crate) fn stream(&self, sql: Sql, params: Params) -> Result<(Work, RowReceiver)> {
        let plan = self.plan(sql)?;
        let values = params.bind(&plan)?;
        let (sender, receiver) = channel();
        let work = Work::Stream {
            plan,
            values,
            rows: sender,
        };
        Ok((work, receiver))
    }

    pub(crate) fn insert_rows(
        &self,
        table: &str,
        columns: &[&str],
        rows: Vec<Vec<Value>>,
    ) -> Result<Work> {
        let names: Vec<String> = columns
            .iter()
            .map(|column| self.dialect.quote(column))
            .collect();
        let slots: Vec<String> = (1..=columns.len()).map(|n| format!(":v{n}")).collect();
        let text = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            self.dialect.quote(table),
            names.join(", "),
            slots.join(", ")
        );
        let plan = self.built_plan(text)?;
        for row in &rows {
            check_row(&plan, table, columns, row)?;
        }
        Ok(Work::ExecuteMany { plan, rows })
    }

    pub(crate) fn slow(&self) -> Duration {
        self.slow
    }

    /// What the statements have cost so far.
    pub(crate) fn statistics(&self) -> Vec<StatementStats> {
        let by_address = self.by_address.all().flat_map(Addresses::plans);
        let mut plans: Vec<Arc<Plan>> = by_address.cloned().collect();
        plans.extend(read(&self.by_text).values().cloned());
        summarise(&plans)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn plan(&self, sql: Sql) -> Result<Arc<Plan>> {
        match sql {
            Sql::Static(text) => self.static_plan(text, Origin::Portable),
            Sql::PerDialect(texts) => {
                self.static_plan(choose(self.dialect, texts)?, Origin::Dialect)
            }
            Sql::Owned(text) => self.built_plan(text),
        }
    }

    fn static_plan(&self, text: &'static str, origin: Origin) -> Result<Arc<Plan>> {
        let plans = self.by_address.here();
        if let Some(plan) = plans.get(text) {
            return Ok(Arc::clone(plan));
        }
        let known = self.by_address.all().find_map(|plans| plans.get(text));
        let plan = match known {
            Some(plan) => Plan::of(Arc::clone(&plan.analysis)),
            None => Plan::new(self.dialect, Cow::Borrowed(text), origin)?,
        };
        Ok(Arc::clone(plans.insert(text, Arc::new(plan))))
    }

    fn built_plan(&self, text: String) -> Result<Arc<Plan>> {
        if let Some(plan) = read(&self.by_text).get(&text) {
            return Ok(Arc::clone(plan));
        }
        let source = Cow::Owned(text.clone());
        let plan = Arc::new(Plan::new(self.dialect, source, Origin::Portable)?);
        let mut plans = write(&self.by_text);
        if plans.len() >= MAX_BUILT_PLANS {
            plans.clear();
        }
        plans.insert(text, Arc::clone(&plan));
        Ok(plan)
    }
}

/// Whom a text was written for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    /// Every database: what MySQL spells differently is translated for it.
    Portable,
    /// This database alone.
    Dialect,
}

impl Plan {
    pub(crate) fn new(dialect: Dialect, source: Cow<'static, str>, origin: Origin) -> Result<Self> {
        let analysis = Analysis::new(dialect, source, origin)?;
        Ok(Self::of(Arc::new(analysis)))
    }

    fn of(analysis: Arc<Analysis>) -> Self {
        Self {
            analysis,
            statistics: Statistics::default(),
            columns: OnceLock::new(),
            named: LastFound::default(),
        }
    }

    pub(crate) fn slot_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.slots.iter().map(|slot| slot.name.as_str())
    }

    /// Whether the names of a `params!` are those of the slots, one by one.
    pub(crate) fn has_names(&self, names: &'static [&'static str]) -> bool {
        self.named.is_same(names, self.slot_names())
    }

    pub(crate) fn analysis(&self) -> &Arc<Analysis> {
        &self.analysis
    }

    /// Returns the columns of a result: those of earlier ones, unless the tables have changed since.
    pub(crate) fn columns<'a, N>(&self, names: impl Fn() -> N) -> Cow<'_, Arc<Columns>>
    where
        N: Iterator<Item = &'a str>,
    {
        let make = || Columns::new(names().map(str::to_owned).collect());
        let known = self.columns.get_or_init(make);
        if known.iter().eq(names()) {
            Cow::Borrowed(known)
        } else {
            Cow::Owned(make())
        }
    }
}

impl Deref for Plan {
    type Target = Analysis;

    fn deref(&self) -> &Analysis {
        &self.analysis
    }
}

impl Analysis {
    fn new(dialect: Dialect, source: Cow<'static, str>, origin: Origin) -> Result<Self> {
        let statement = match (dialect, origin) {
            (Dialect::MySql, Origin::Portable) => translate_statement(&source)?,
            (Dialect::MySql, Origin::Dialect) => native_statement(&source)?,
            (Dialect::Sqlite | Dialect::Postgres, _) => Statement::plain(&source),
        };
        let rewritten = rewrite(dialect, &statement.text)?;
        let class = classify(dialect, &source)?;
        Ok(Self {
            form: statement.form,
            table: statement.table,
            translation: statement.maps,
            ..Self::rewritten(dialect, class, source, rewritten)
        })
    }

    fn rewritten(
        dialect: Dialect,
        class: Class,
        source: Cow<'static, str>,
        rewritten: Rewritten,
    ) -> Self {
        Self {
            source,
            text: rewritten.text,
            map: rewritten.map,
            names_once: are_distinct(&rewritten.slots),
            slots: rewritten.slots,
            class,
            insert: OnceLock::new(),
            bulk: OnceLock::new(),
            fingerprint: OnceLock::new(),
            dialect,
            sqlite: Facts::default(),
            hint: OnceLock::new(),
            form: Form::Plain,
            table: None,
            translation: Vec::new(),
        }
    }

    /// The hash and the text without literals.
    pub(crate) fn fingerprint(&self) -> &(u64, String) {
        self.fingerprint
            .get_or_init(|| fingerprint(self.dialect, &self.text))
    }

    /// The shape of an `INSERT` that can travel in bulk.
    pub(crate) fn insert_shape(&self) -> Option<&InsertShape> {
        let shape = || InsertShape::of(self.dialect, &self.text);
        self.insert.get_or_init(shape).as_ref()
    }

    /// The plan of another text that does the same for many rows.
    pub(crate) fn bulk(&self, text: impl FnOnce() -> String) -> &Arc<Plan> {
        self.bulk.get_or_init(|| {
            let rewritten = Rewritten {
                text: text(),
                slots: Vec::new(),
                map: SourceMap::default(),
            };
            let source = self.source.clone();
            let analysis = Self::rewritten(self.dialect, self.class, source, rewritten);
            Arc::new(Plan::of(Arc::new(analysis)))
        })
    }

    /// Adds to an error the place in the caller's text that a byte of the prepared text came from.
    pub(crate) fn locate(&self, error: Error, byte: usize) -> Error {
        let rewritten = self.map.source_offset(byte);
        let steps = self.translation.iter().rev();
        let offset = steps.fold(rewritten, |offset, step| step.source_offset(offset));
        let (line, column) = line_and_column(&self.source, offset);
        error.located(Position { line, column })
    }

    pub(crate) fn parameter(&self, index: usize) -> String {
        self.slots.get(index).map_or_else(
            || format!("parameter {}", index + 1),
            |slot| format!(":{}", slot.name),
        )
    }
}

fn are_distinct(slots: &[Slot]) -> bool {
    let mut names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
    names.sort_unstable();
    names.is_sorted_by(|one, next| one < next)
}

fn check_row(plan: &Plan, table: &str, columns: &[&str], row: &[Value]) -> Result<()> {
    if row.len() != columns.len() {
        return Err(Error::mismatch(
            table,
            format!("{} values in a row", columns.len()),
            row.len().to_string(),
        ));
    }
    let pairs = plan.slots.iter().zip(columns).zip(row);
    for ((slot, column), value) in pairs {
        check_value(column, slot.list, value)?;
    }
    Ok(())
}

fn choose(dialect: Dialect, texts: &'static [(Dialect, &'static str)]) -> Result<&'static str> {
    texts
        .iter()
        .find(|(candidate, _)| *candidate == dialect)
        .map(|(_, text)| *text)
        .ok_or_else(|| {
            Error::unsupported(
                "a statement without a text for this dialect",
                dialect,
                "add one to the `sql!`",
            )
        })
}

/// Sorts by the first word, and refuses what would take the transaction out of the layer's hands.
pub(crate) fn classify(dialect: Dialect, text: &str) -> Result<Class> {
    let mut words = words(dialect, text).map(str::to_ascii_uppercase);
    let Some(word) = words.next() else {
        return Err(Error::syntax("the statement is empty"));
    };
    match word.as_str() {
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE"
        | "XA" => Err(controls_transaction(dialect, &word)),
        "SET" => match words.find(|word| word == "TRANSACTION" || word == "AUTOCOMMIT") {
            Some(what) => Err(controls_transaction(dialect, &format!("SET {what}"))),
            None => Ok(Class::Other),
        },
        "PREPARE" if words.next().is_some_and(|word| word == "TRANSACTION") => {
            Err(controls_transaction(dialect, "PREPARE TRANSACTION"))
        }
        "LOCK" | "UNLOCK" if dialect == Dialect::MySql => Err(controls_transaction(dialect, &word)),
        "ATTACH" | "DETACH" => Err(Error::unsupported(
            format!("`{word}`"),
            dialect,
            "open the other file as a `Database` of its own",
        )),
        "SELECT" | "VALUES" => Ok(Class::Query),
        "INSERT" | "UPDATE" | "DELETE" | "WITH" | "REPLACE" | "MERGE" => Ok(Class::Change),
        "VACUUM" | "PRAGMA" => Ok(Class::Alone),
        _ => Ok(Class::Other),
    }
}

fn controls_transaction(dialect: Dialect, statement: &str) -> Error {
    Error::unsupported(
        format!("`{statement}` as a statement"),
        dialect,
        "use `Database::begin`, `Database::transaction` and `Tx::savepoint`",
    )
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[track_caller]
    fn class(dialect: Dialect, text: &str, expected: Class) {
        assert_eq!(classify(dialect, text).unwrap(), expected, "{text}");
    }

    #[test]
    fn the_first_word_counts() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
            class(dialect, " -- BEGIN\n /* x */ (SELECT 1)", Class::Query);
            class(dialect, "WITH x AS (SELECT 1) DELETE FROM y", Class::Change);
            class(dialect, "SET x = 'TRANSACTION'", Class::Other);
            class(dialect, "CREATE TABLE begin_ (a INTEGER)", Class::Other);
        }
        class(Dialect::Postgres, "PREPARE q AS SELECT $1", Class::Other);
        class(Dialect::Postgres, "LOCK TABLE t", Class::Other);
    }

    #[test]
    fn transaction_control_is_refused() {
        let refused = |dialect, text| {
            let error = classify(dialect, text).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Unsupported { .. }),
                "{text}: {error}"
            );
        };
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
            for text in [
                "BEGIN",
                "/**/ begin",
                "-- x\nBEGIN IMMEDIATE",
                ";(begin",
                "START TRANSACTION READ ONLY",
                "commit;",
                "END",
                "/* */ Rollback",
                "ROLLBACK TO x",
                "SAVEPOINT x",
                "RELEASE x",
                "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "set autocommit = 0",
                "PREPARE TRANSACTION 'x'",
                "ATTACH 'x' AS y",
            ] {
                refused(dialect, text);
            }
        }
        refused(Dialect::Postgres, "/* /* */ SELECT */ BEGIN");
        for text in [
            "/*! BEGIN */",
            "SET @a = 1, @@session.autocommit = 0",
            "# x\nBEGIN",
            "XA START 'x'",
            "LOCK TABLES t WRITE",
        ] {
            refused(Dialect::MySql, text);
        }
    }

    #[test]
    fn what_holds_no_statement_is_a_mistake() {
        for text in ["", " -- nothing", ";", "/* BEGIN */"] {
            let error = classify(Dialect::Sqlite, text).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Syntax { .. }), "{text}");
        }
    }

    #[test]
    fn errors_point_into_the_callers_text() {
        let source = "SELECT :größe,\n  é, tpyo FROM t";
        let plan = Plan::new(Dialect::Postgres, Cow::Borrowed(source), Origin::Portable).unwrap();
        let byte = plan.text.find("tpyo").unwrap();
        let error = plan.locate(Error::syntax("what is this"), byte);
        assert_eq!(error.to_string(), "line 2, column 6: what is this");
        let at = Some(Position { line: 2, column: 6 });
        assert_eq!(*error.kind(), ErrorKind::Syntax { at });
    }
}
