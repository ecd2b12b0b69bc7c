//! What SQLite has said about a statement, remembered in its plan.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use rusqlite::Connection;

use super::error::{translate, translate_plan};
use crate::error::Result;
use crate::plan::{Class, Plan};

/// What is known of one statement; nothing before its first run.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    way: AtomicU8,
    /// Late runs on a task, one after the other.
    late: AtomicU32,
    /// Runs that still go to a thread because one was too slow for a task.
    rest: AtomicU32,
}

/// Where a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nobody has asked SQLite yet.
    Unknown,
    /// It writes.
    Writer,
    /// It reads, and nobody knows how much.
    Reader,
    /// It reads a bounded number of rows by their keys: done before a thread would have woken up.
    Inline,
}

/// Runs on threads before a task is tried again.
const REST: u32 = 100;

impl Facts {
    pub(super) fn way(&self) -> Way {
        match self.way.load(Ordering::Relaxed) {
            1 => Way::Writer,
            2 => Way::Reader,
            3 => Way::Inline,
            _ => Way::Unknown,
        }
    }

    /// Whether this run may be on a task.
    pub(super) fn may_run_inline(&self) -> bool {
        let one_less = |rest: u32| rest.checked_sub(1);
        self.way() == Way::Inline
            && self
                .rest
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .is_err()
    }

    /// Notes whether a run on a task took too long: the second in a row sends the next ones to
    /// threads. A single one may have been the machine, busy elsewhere.
    pub(super) fn ran_inline(&self, late: bool) {
        if !late {
            if self.late.load(Ordering::Relaxed) != 0 {
                self.late.store(0, Ordering::Relaxed);
            }
        } else if self.late.fetch_add(1, Ordering::Relaxed) > 0 {
            self.rest.store(REST, Ordering::Relaxed);
        }
    }
}

/// Asks SQLite where a statement is to run, once.
pub(super) fn way(conn: &Connection, plan: &Plan) -> Result<Way> {
    match plan.sqlite.way() {
        Way::Unknown => {
            let way = learn(conn, plan)?;
            plan.sqlite.way.store(way as u8, Ordering::Relaxed);
            Ok(way)
        }
        way => Ok(way),
    }
}

fn learn(conn: &Connection, plan: &Plan) -> Result<Way> {
    let readonly = conn
        .prepare_cached(&plan.text)
        .map_err(|error| translate_plan(plan, error))?
        .readonly();
    Ok(match plan.class {
        _ if !readonly => Way::Writer,
        Class::Query | Class::Change if is_lookup(conn, &plan.text)? => Way::Inline,
        _ => Way::Reader,
    })
}

/// Whether the programme of a statement finds each row by its key and has no loop: of all steps
/// that move a cursor, only those to one row occur.
fn is_lookup(conn: &Connection, text: &str) -> Result<bool> {
    let mut explained = conn
        .prepare(&format!("EXPLAIN {text}"))
        .map_err(translate)?;
    let mut steps = explained.raw_query();
    while let Some(step) = steps.next().map_err(translate)? {
        let step: String = step.get(1).map_err(translate)?;
        if !HARMLESS.contains(&step.as_str()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the programme of a lookup consists of. Steps that SQLite may add some day are not in the
/// list, and neither is anything that goes on to a next row, sorts, counts or calls a virtual table.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    // Frame
    "Init", "Transaction", "Goto", "Halt", "HaltIfNull", "Noop", "Explain", "TableLock", "Once",
    "ResultRow", "OpenRead", "ReopenIdx", "Close", "BeginSubrtn", "Return",
    // To one row, and what is in it. `SeekGE` without a step to the next row is a unique index.
    "SeekRowid", "NotExists", "Found", "NotFound", "NoConflict", "SeekGE", "IdxGT", "IdxRowid",
    "DeferredSeek", "FinishSeek", "SeekHit", "IfNoHope", "NullRow", "IfNullRow", "Column", "Rowid",
    "Offset",
    // Values
    "Integer", "Int64", "Real", "String", "String8", "Null", "SoftNull", "Blob", "Variable", "Copy",
    "SCopy", "IntCopy", "Move", "Affinity", "RealAffinity", "Cast", "MustBeInt", "CollSeq",
    "Function", "PureFunc", "Concat", "Add", "Subtract", "Multiply", "Divide", "Remainder",
    "BitAnd", "BitOr", "BitNot", "ShiftLeft", "ShiftRight", "And", "Or", "Not", "IsTrue",
    "ZeroOrNull", "ClrSubtype", "GetSubtype", "SetSubtype",
    // Branches
    "If", "IfNot", "IfPos", "IfNotZero", "OffsetLimit", "DecrJumpZero", "IsNull", "NotNull",
    "IsType", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "ElseEq", "Compare", "Jump", "AddImm",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lookups_by_key_run_inline() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, a INTEGER, b INTEGER, UNIQUE (a, b)) STRICT;
             CREATE INDEX by_b ON t (b);
             CREATE TABLE s (id INTEGER PRIMARY KEY, t INTEGER) STRICT;
             CREATE VIRTUAL TABLE words USING fts5 (body);",
        )
        .unwrap();
        let check = |text: &str, expected: bool| {
            assert_eq!(is_lookup(&conn, text).unwrap(), expected, "{text}");
        };
        check("SELECT * FROM t WHERE id = ?1", true);
        check(
            "SELECT upper(name), a + 1 FROM t WHERE name = ?1 AND a > 3",
            true,
        );
        check("SELECT id FROM t WHERE a = ?1 AND b = ?2", true);
        check(
            "SELECT s.t, t.name FROM s JOIN t ON t.id = s.t WHERE s.id = ?1",
            true,
        );
        check(
            "SELECT s.t, t.name FROM s LEFT JOIN t ON t.id = s.t WHERE s.id = ?1 LIMIT 1",
            true,
        );
        check("SELECT (SELECT name FROM t WHERE id = ?1)", true);
        check("SELECT 1", true);
        check("SELECT * FROM t", false);
        check("SELECT count(*) FROM t", false);
        check("SELECT max(id) FROM t", false);
        check("SELECT * FROM t WHERE b = ?1", false);
        check("SELECT * FROM t WHERE a = ?1", false);
        check("SELECT * FROM t WHERE id > ?1 LIMIT 1", false);
        check(
            "SELECT * FROM t WHERE id IN (SELECT value FROM json_each(?1))",
            false,
        );
        check(
            "SELECT id, (SELECT count(*) FROM s) FROM t WHERE id = ?1",
            false,
        );
        check("SELECT * FROM words WHERE words MATCH ?1", false);
        check(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            false,
        );
        check("SELECT value FROM json_each(?1)", false);
    }

    #[test]
    fn a_slow_lookup_rests_on_threads_for_a_while() {
        let facts = Facts::default();
        facts.way.store(Way::Inline as u8, Ordering::Relaxed);
        assert!(facts.may_run_inline());
        facts.ran_inline(true);
        facts.ran_inline(false);
        facts.ran_inline(true);
        assert!(facts.may_run_inline());
        facts.ran_inline(true);
        let runs = (0..=REST).filter(|_| facts.may_run_inline()).count();
        assert_eq!(runs, 1);
        assert!(facts.may_run_inline());
    }
}
