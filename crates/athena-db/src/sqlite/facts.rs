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
    /// It writes, and nobody knows how much.
    Writer,
    /// It reads, and nobody knows how much.
    Reader,
    /// It reads a bounded number of rows by their keys: done before a thread would have woken up.
    Lookup,
    /// It writes a bounded number of rows by their keys.
    ShortWrite,
}

impl Way {
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Writer | Self::ShortWrite)
    }
}

/// Runs on threads before a task is tried again.
const REST: u32 = 100;

impl Facts {
    pub(super) fn way(&self) -> Way {
        match self.way.load(Ordering::Relaxed) {
            1 => Way::Writer,
            2 => Way::Reader,
            3 => Way::Lookup,
            4 => Way::ShortWrite,
            _ => Way::Unknown,
        }
    }

    /// Whether this run may be on a task, for a statement of that way.
    pub(super) fn may_run_inline(&self, way: Way) -> bool {
        let one_less = |rest: u32| rest.checked_sub(1);
        self.way() == way
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
    let is_short =
        matches!(plan.class, Class::Query | Class::Change) && is_short(conn, &plan.text)?;
    Ok(match (readonly, is_short) {
        (true, true) => Way::Lookup,
        (true, false) => Way::Reader,
        (false, true) => Way::ShortWrite,
        (false, false) => Way::Writer,
    })
}

/// Whether the programme of a statement finds each row by its key and has no loop: of all steps
/// that move a cursor, only those to one row occur.
fn is_short(conn: &Connection, text: &str) -> Result<bool> {
    Ok(first_harmful(conn, text)?.is_none())
}

fn first_harmful(conn: &Connection, text: &str) -> Result<Option<String>> {
    let mut explained = conn
        .prepare(&format!("EXPLAIN {text}"))
        .map_err(translate)?;
    let mut steps = explained.raw_query();
    while let Some(step) = steps.next().map_err(translate)? {
        let step: String = step.get(1).map_err(translate)?;
        if !HARMLESS.contains(&step.as_str()) {
            return Ok(Some(step));
        }
    }
    Ok(None)
}

/// What the programme of a lookup or of a write by key consists of. Steps that SQLite may add some
/// day are not in the list, and neither is anything that goes on to a next row, sorts, counts, empties
/// a table, calls a virtual table or starts a trigger.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    // Frame
    "Init", "Transaction", "Goto", "Halt", "HaltIfNull", "Noop", "Explain", "TableLock", "Once",
    "ResultRow", "OpenRead", "ReopenIdx", "Close", "BeginSubrtn", "Return",
    // To one row, and what is in it. `SeekGE` without a step to the next row is a unique index.
    "SeekRowid", "NotExists", "Found", "NotFound", "NoConflict", "SeekGE", "IdxGT", "IdxRowid",
    "DeferredSeek", "FinishSeek", "SeekHit", "IfNoHope", "NullRow", "IfNullRow", "Column", "Rowid",
    "Offset",
    // What writes one row. Without the steps that yield rows, no list of rows is written either.
    "OpenWrite", "NewRowid", "MakeRecord", "TypeCheck", "Insert", "IdxInsert", "Delete", "IdxDelete",
    "FkCheck", "FkCounter", "FkIfZero", "ResetCount",
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
            assert_eq!(is_short(&conn, text).unwrap(), expected, "{text}");
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
    fn only_writes_of_few_rows_by_key_run_inline() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, a INTEGER NOT NULL, b INTEGER, UNIQUE (a, b), CHECK (a > 0)) STRICT;
             CREATE INDEX by_b ON t (b);
             CREATE INDEX by_lower ON t (lower(name)) WHERE b > 0;
             CREATE TABLE awaited (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id INTEGER PRIMARY KEY, t INTEGER NOT NULL REFERENCES t (id), later INTEGER REFERENCES awaited (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE INDEX by_t ON child (t);
             CREATE TABLE owned (id INTEGER PRIMARY KEY, child INTEGER REFERENCES child (id) ON DELETE CASCADE);
             CREATE TABLE keyed (name TEXT PRIMARY KEY, n INTEGER) STRICT, WITHOUT ROWID;
             CREATE TABLE plain (a, b, sum AS (a + b) STORED);
             CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT, a INTEGER);
             CREATE TABLE watched (id INTEGER PRIMARY KEY, a INTEGER);
             CREATE TRIGGER note AFTER INSERT ON watched BEGIN INSERT INTO plain (a) VALUES (NEW.a); END;
             CREATE VIEW seen AS SELECT * FROM plain;
             CREATE TRIGGER see INSTEAD OF INSERT ON seen BEGIN INSERT INTO plain (a) VALUES (NEW.a); END;
             CREATE VIRTUAL TABLE words USING fts5 (body);",
        )
        .unwrap();
        let short = [
            "INSERT INTO plain (a, b) VALUES (?1, ?2)",
            "INSERT INTO t (name, a, b) VALUES (?1, ?2, ?3)",
            "INSERT OR IGNORE INTO t (id, name, a) VALUES (?1, ?2, ?3)",
            "INSERT OR FAIL INTO t (id, name, a) VALUES (?1, ?2, ?3)",
            "INSERT INTO t (id, name, a) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            "INSERT INTO t (id, name, a) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET a = excluded.a, b = b + 1",
            "INSERT INTO child (t, later) VALUES (?1, ?2)",
            "INSERT INTO keyed (name, n) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
            "INSERT INTO plain (a) VALUES ((SELECT name FROM t WHERE id = ?1))",
            "UPDATE t SET b = ?1 WHERE id = ?2",
            "UPDATE t SET name = ?1, a = a + 1 WHERE id = ?2 AND b = ?3",
            "UPDATE t SET b = ?1 WHERE name = ?2",
            "UPDATE child SET t = ?1 WHERE id = ?2",
            "UPDATE keyed SET n = n + 1 WHERE name = ?1",
            "DELETE FROM plain WHERE rowid = ?1",
            "DELETE FROM keyed WHERE name = ?1",
            "DELETE FROM owned WHERE id = ?1",
        ];
        for text in short {
            assert_eq!(first_harmful(&conn, text).unwrap(), None, "{text}");
        }
        let long = [
            ("INSERT INTO plain (a) VALUES (?1), (?2)", "InitCoroutine"),
            ("INSERT INTO plain (a) SELECT a FROM t", "InitCoroutine"),
            (
                "INSERT INTO plain (a) SELECT value FROM json_each(?1)",
                "InitCoroutine",
            ),
            (
                "INSERT INTO plain (a) VALUES (?1) RETURNING rowid",
                "Rewind",
            ),
            ("INSERT INTO awaited (id) VALUES (?1)", "Rewind"),
            ("DELETE FROM t WHERE id = ?1", "Next"),
            ("INSERT INTO numbered (a) VALUES (?1)", "MemMax"),
            ("INSERT INTO watched (a) VALUES (?1)", "Program"),
            ("INSERT INTO seen (a) VALUES (?1)", "Program"),
            ("INSERT INTO words (body) VALUES (?1)", "VUpdate"),
            ("UPDATE t SET b = ?1", "Rewind"),
            ("UPDATE t SET b = ?1 WHERE a = ?2", "OpenEphemeral"),
            ("UPDATE t SET b = ?1 WHERE id > ?2", "SeekGT"),
            ("UPDATE words SET body = ?1 WHERE rowid = ?2", "VOpen"),
            ("DELETE FROM plain", "Clear"),
            ("DELETE FROM t WHERE a = ?1", "RowSetAdd"),
            (
                "DELETE FROM t WHERE id IN (SELECT value FROM json_each(?1))",
                "OpenEphemeral",
            ),
            ("DELETE FROM child WHERE id = ?1", "Rewind"),
            ("DELETE FROM words WHERE rowid = ?1", "VOpen"),
            ("CREATE TABLE other (id INTEGER)", "ReadCookie"),
        ];
        for (text, step) in long {
            let found = first_harmful(&conn, text).unwrap();
            assert_eq!(found.as_deref(), Some(step), "{text}");
        }
    }

    #[test]
    fn a_slow_lookup_rests_on_threads_for_a_while() {
        let facts = Facts::default();
        facts.way.store(Way::Lookup as u8, Ordering::Relaxed);
        assert!(facts.may_run_inline(Way::Lookup));
        facts.ran_inline(true);
        facts.ran_inline(false);
        facts.ran_inline(true);
        assert!(facts.may_run_inline(Way::Lookup));
        facts.ran_inline(true);
        let runs = (0..=REST)
            .filter(|_| facts.may_run_inline(Way::Lookup))
            .count();
        assert_eq!(runs, 1);
        assert!(facts.may_run_inline(Way::Lookup));
    }
}
