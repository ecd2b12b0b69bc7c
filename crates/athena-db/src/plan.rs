//! Statements as they are prepared: text with `:name` parameters, rewritten once and remembered.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, RwLock};

use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::params::Params;
use crate::postgres::Hint;
use crate::row::Row;
use crate::sql::{Slot, rewrite};
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

/// A statement ready to be prepared: positional parameters and what is known about it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) text: String,
    pub(crate) slots: Vec<Slot>,
    pub(crate) class: Class,
    /// The text may go to the log: it is part of the programme.
    pub(crate) is_static: bool,
    /// SQLite's answer whether the statement leaves the database alone.
    pub(crate) readonly: OnceLock<bool>,
    /// What PostgreSQL had to be told about the parameter types.
    pub(crate) hint: RwLock<Hint>,
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
pub(crate) enum Work {
    Execute {
        plan: Arc<Plan>,
        values: Vec<Value>,
    },
    ExecuteMany {
        plan: Arc<Plan>,
        rows: Vec<Vec<Value>>,
    },
    /// Reads at most `limit` rows.
    Fetch {
        plan: Arc<Plan>,
        values: Vec<Value>,
        limit: usize,
    },
    /// One or more statements without parameters, as they are.
    Batch(String),
}

/// What came of a [`Work`].
#[derive(Debug)]
pub(crate) enum Outcome {
    Count(u64),
    Rows(Vec<Row>),
}

impl Outcome {
    /// The number of rows changed or read.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            Self::Rows(rows) => rows.len() as u64,
        }
    }

    pub(crate) fn count(self) -> u64 {
        self.len()
    }

    pub(crate) fn rows(self) -> Vec<Row> {
        match self {
            Self::Count(_) => Vec::new(),
            Self::Rows(rows) => rows,
        }
    }
}

impl Work {
    pub(crate) fn plan(&self) -> Option<&Arc<Plan>> {
        match self {
            Self::Execute { plan, .. }
            | Self::ExecuteMany { plan, .. }
            | Self::Fetch { plan, .. } => Some(plan),
            Self::Batch(_) => None,
        }
    }
}

/// The plans of a database: by address for text in the programme, by content for built text.
#[derive(Debug)]
pub(crate) struct PlanCache {
    dialect: Dialect,
    by_address: RwLock<HashMap<(usize, usize), Arc<Plan>>>,
    by_text: RwLock<HashMap<String, Arc<Plan>>>,
}

/// Built texts may be endless in number; when this many are known all are forgotten.
const MAX_BUILT_PLANS: usize = 1024;

impl PlanCache {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            by_address: RwLock::default(),
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

    pub(crate) fn fetch(&self, sql: Sql, params: Params, limit: usize) -> Result<Work> {
        let plan = self.plan(sql)?;
        let values = params.bind(&plan)?;
        Ok(Work::Fetch {
            plan,
            values,
            limit,
        })
    }

    fn plan(&self, sql: Sql) -> Result<Arc<Plan>> {
        match sql {
            Sql::Static(text) => self.static_plan(text),
            Sql::PerDialect(texts) => self.static_plan(choose(self.dialect, texts)?),
            Sql::Owned(text) => self.built_plan(text),
        }
    }

    fn static_plan(&self, text: &'static str) -> Result<Arc<Plan>> {
        let address = (text.as_ptr().addr(), text.len());
        if let Some(plan) = read(&self.by_address).get(&address) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::new(self.dialect, text, true)?);
        write(&self.by_address).insert(address, Arc::clone(&plan));
        Ok(plan)
    }

    fn built_plan(&self, text: String) -> Result<Arc<Plan>> {
        if let Some(plan) = read(&self.by_text).get(&text) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::new(self.dialect, &text, false)?);
        let mut plans = write(&self.by_text);
        if plans.len() >= MAX_BUILT_PLANS {
            plans.clear();
        }
        plans.insert(text, Arc::clone(&plan));
        Ok(plan)
    }
}

impl Plan {
    fn new(dialect: Dialect, text: &str, is_static: bool) -> Result<Self> {
        let class = classify(dialect, text)?;
        let rewritten = rewrite(dialect, text)?;
        Ok(Self {
            text: rewritten.text,
            slots: rewritten.slots,
            class,
            is_static,
            readonly: OnceLock::new(),
            hint: RwLock::new(Hint::Unknown),
        })
    }

    pub(crate) fn parameter(&self, index: usize) -> String {
        self.slots.get(index).map_or_else(
            || format!("parameter {}", index + 1),
            |slot| format!(":{}", slot.name),
        )
    }
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
fn classify(dialect: Dialect, text: &str) -> Result<Class> {
    let word = first_word(text).to_ascii_uppercase();
    match word.as_str() {
        "" => Err(Error::new(ErrorKind::Syntax, "the statement is empty")),
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {
            Err(Error::unsupported(
                format!("`{word}` as a statement"),
                dialect,
                "use `Database::begin`, `Database::transaction` and `Tx::savepoint`",
            ))
        }
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

/// The first word behind blanks, comments and parentheses.
fn first_word(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(' || c == ';');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.find('\n').map_or("", |end| &comment[end..]);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.find("*/").map_or("", |end| &comment[end + 2..]);
        } else {
            let end = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            return &rest[..end];
        }
    }
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

    #[test]
    fn first_words_are_found_behind_comments() {
        assert_eq!(first_word("  -- BEGIN\n /* x */ (SELECT 1)"), "SELECT");
        assert_eq!(first_word("-- only a comment"), "");
        assert_eq!(first_word("WITH x AS (SELECT 1) DELETE FROM y"), "WITH");
    }

    #[test]
    fn transaction_control_is_refused() {
        for text in [
            "BEGIN",
            "commit;",
            "/* */ Rollback",
            "SAVEPOINT x",
            "ATTACH 'x' AS y",
        ] {
            let error = classify(Dialect::Sqlite, text).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Unsupported { .. }),
                "{text}: {error}"
            );
        }
        assert!(matches!(
            classify(Dialect::Sqlite, " -- nothing").unwrap_err().kind(),
            ErrorKind::Syntax
        ));
    }
}
