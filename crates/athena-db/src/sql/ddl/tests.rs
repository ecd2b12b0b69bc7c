#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use proptest::prelude::*;

use super::{ColumnChange, column_changes, columns};
use crate::dialect::Dialect::{MySql, Postgres, Sqlite};
use crate::sql::translate;

/// Checks that no dialect takes a script, where it fails, and that the message holds a piece.
#[track_caller]
fn refused(script: &str, place: (u32, u32), piece: &str) {
    for dialect in [Sqlite, Postgres, MySql] {
        let error = translate(dialect, script).unwrap_err();
        assert_eq!((error.line, error.column), place, "{script}: {error}");
        assert!(error.message.contains(piece), "{script}: {error}");
    }
}

#[test]
fn statements_outside_the_subset_are_refused() {
    refused(
        "SELECT 1",
        (1, 1),
        "`SELECT` is outside the portable subset",
    );
    refused("-- why\n\n  PRAGMA x", (3, 3), "`PRAGMA`");
    refused("CREATE VIEW v AS SELECT 1", (1, 8), "CREATE `VIEW`");
    refused("CREATE TEMP TABLE t (a TEXT)", (1, 8), "CREATE `TEMP`");
    refused("DROP VIEW v", (1, 6), "DROP `VIEW`");
    refused(
        "ALTER TABLE t ALTER COLUMN a SET DEFAULT 1",
        (1, 34),
        "expected `NOT`",
    );
    refused(
        "ALTER TABLE t ADD CONSTRAINT c PRIMARY KEY (a)",
        (1, 19),
        "a primary key cannot be added",
    );
    refused(
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS a TEXT",
        (1, 29),
        "`NOT` is not a type",
    );
    refused(
        "INSERT OR REPLACE INTO t VALUES (1)",
        (1, 8),
        "expected `INTO`, found `OR`",
    );
    refused(
        "UPDATE OR IGNORE t SET a = 1",
        (1, 8),
        "expected a table name",
    );
    refused("DROP TABLE a, b", (1, 13), "expected `;` or the end");
    refused(
        "DROP TABLE a DROP TABLE b",
        (1, 14),
        "expected `;` or the end",
    );
    refused("'x'", (1, 1), "a string literal");
}

#[test]
fn tables_are_checked() {
    refused("CREATE TABLE t ()", (1, 17), "expected a column name");
    refused(
        "CREATE TABLE t (UNIQUE (a))",
        (1, 14),
        "a table needs a column",
    );
    refused(
        "CREATE TABLE s.t (a TEXT)",
        (1, 15),
        "a table name with a schema",
    );
    refused(
        "CREATE TABLE t (a TEXT, A TEXT)",
        (1, 25),
        "`a` is named twice",
    );
    refused(
        "CREATE TABLE t (a TEXT, UNIQUE (a, b))",
        (1, 36),
        "table `t` has no column `b`",
    );
    refused(
        "CREATE TABLE t (a TEXT, UNIQUE (a, a))",
        (1, 36),
        "named twice",
    );
    refused(
        "CREATE TABLE t (a TEXT) STRICT",
        (1, 25),
        "no options here, found `STRICT`",
    );
    refused(
        "CREATE TABLE t (a TEXT PRIMARY KEY, PRIMARY KEY (a))",
        (1, 37),
        "one primary key",
    );
    refused(
        "CREATE TABLE t (a INTEGER, PRIMARY KEY (a))",
        (1, 28),
        "`a INTEGER PRIMARY KEY` for a generated id",
    );
    refused(
        "CREATE TABLE t (a TEXT",
        (1, 23),
        "expected `)`, found the end",
    );
    refused(
        "CREATE TABLE t (a TEXT COLLATE NOCASE)",
        (1, 24),
        "column option `COLLATE`",
    );
    refused(
        "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)",
        (1, 39),
        "`AUTOINCREMENT`",
    );
    refused(
        "CREATE TABLE t (a BIGINT REFERENCES o)",
        (1, 38),
        "REFERENCES t(id)",
    );
    refused(
        "CREATE TABLE t (a BIGINT REFERENCES o (id) ON UPDATE CASCADE)",
        (1, 47),
        "expected `DELETE`",
    );
    refused(
        "CREATE TABLE t (a BIGINT REFERENCES o (id) ON DELETE NO ACTION)",
        (1, 54),
        "CASCADE, SET NULL or RESTRICT",
    );
    refused(
        "CREATE TABLE t (a BIGINT, FOREIGN KEY (a) REFERENCES o (b, c))",
        (1, 27),
        "as many columns",
    );
    refused(
        "CREATE TABLE t (a TEXT GENERATED ALWAYS AS ('x') VIRTUAL)",
        (1, 50),
        "expected `STORED`",
    );
    refused(
        "CREATE TABLE t (a INTEGER PRIMARY KEY DEFAULT 1)",
        (1, 17),
        "takes no DEFAULT",
    );
    refused(
        &format!("CREATE TABLE {} (a TEXT)", "n".repeat(64)),
        (1, 14),
        "1 to 63 bytes",
    );
}

#[test]
fn types_of_one_database_are_refused_with_the_portable_one() {
    for (foreign, portable) in super::FOREIGN_TYPES {
        refused(
            &format!("CREATE TABLE t (a {})", foreign.to_lowercase()),
            (1, 19),
            &format!("write `{portable}`"),
        );
    }
    refused("CREATE TABLE t (a MONEY)", (1, 19), "the types are INTEGER");
    refused("CREATE TABLE t (a VARCHAR)", (1, 26), "expected `(`");
    refused("CREATE TABLE t (a TEXT(0))", (1, 23), "1 to 16383");
    refused(
        "CREATE TABLE t (a DECIMAL(5, 6))",
        (1, 26),
        "1 to 65 digits",
    );
    refused(
        "CREATE TABLE t (a TIMESTAMP WITH TIME ZONE)",
        (1, 29),
        "a type with `WITH`",
    );
    refused(
        "CREATE TABLE t (a TIMESTAMP(6))",
        (1, 28),
        "a type with `(`",
    );
    refused(
        "CREATE TABLE t (a 'TEXT')",
        (1, 19),
        "expected a type, found a string literal",
    );
}

#[test]
fn defaults_must_fit_their_type_everywhere() {
    let table = |column: &str| format!("CREATE TABLE t (a {column})");
    refused(&table("BOOLEAN DEFAULT 0"), (1, 35), "TRUE or FALSE");
    refused(&table("INTEGER DEFAULT '1'"), (1, 35), "a whole number");
    refused(&table("INTEGER DEFAULT TRUE"), (1, 35), "a whole number");
    refused(&table("BIGINT DEFAULT 1.5"), (1, 34), "a whole number");
    refused(&table("TEXT DEFAULT 5"), (1, 32), "a string");
    refused(&table("JSON DEFAULT 5"), (1, 32), "a string");
    refused(
        &table("TIMESTAMP DEFAULT '2020-01-01'"),
        (1, 37),
        "CURRENT_TIMESTAMP",
    );
    refused(
        &table("TEXT DEFAULT CURRENT_TIMESTAMP"),
        (1, 32),
        "a string",
    );
    refused(&table("BLOB DEFAULT 'x'"), (1, 32), "X'00ff'");
    refused(&table("TEXT DEFAULT now()"), (1, 32), "expected a literal");
    refused(
        &table("TEXT DEFAULT (now())"),
        (1, 33),
        "write CURRENT_TIMESTAMP",
    );
    refused(&table("TEXT DEFAULT -'x'"), (1, 32), "expected a number");
}

#[test]
fn what_databases_read_differently_is_refused() {
    refused("UPDATE t SET a = b::text", (1, 19), "CAST(x AS type)");
    refused(
        "UPDATE t SET a = :x",
        (1, 18),
        "a migration has no parameters",
    );
    refused(
        "UPDATE t SET a = ?",
        (1, 18),
        "a migration has no parameters",
    );
    refused(
        "UPDATE t SET a = $1",
        (1, 18),
        "a migration has no parameters",
    );
    refused(
        "UPDATE t SET a = $$x$$",
        (1, 18),
        "a migration has no parameters",
    );
    refused("UPDATE t SET `a` = 1", (1, 14), "quote a name");
    refused("UPDATE t SET a[1] = 1", (1, 15), "quote a name");
    refused("UPDATE t SET a = E'x'", (1, 18), "prefix `E`");
    refused("UPDATE t SET a = 'x'\n'y'", (1, 18), "two literals");
    refused(
        "UPDATE t SET a = 1 RETURNING a",
        (1, 20),
        "nobody to return rows to",
    );
    refused("UPDATE t SET a = now()", (1, 18), "write CURRENT_TIMESTAMP");
    refused("DELETE FROM t WHERE a ILIKE 'x'", (1, 23), "LOWER(x)");
    refused("DELETE FROM t WHERE (a = 1", (1, 21), "never closed");
    refused("DELETE FROM t WHERE a = 1)", (1, 26), "closes nothing");
    refused(
        "CREATE TABLE t (a TEXT CHECK (a; b))",
        (1, 32),
        "expected `)`, found `;`",
    );
    refused(
        "CREATE TABLE t (a TEXT CHECK ())",
        (1, 31),
        "expected an expression",
    );
    refused(
        "CREATE TABLE t (a TIMESTAMP CHECK (a < CURRENT_TIMESTAMP))",
        (1, 40),
        "the current time",
    );
    refused(
        "CREATE INDEX i ON t (a) WHERE a < current_timestamp",
        (1, 35),
        "the current time",
    );
    refused(
        "CREATE INDEX i ON t (a COLLATE x)",
        (1, 24),
        "index option `COLLATE`",
    );
    refused("CREATE INDEX i ON t (lower(a))", (1, 27), "expected `)`");
    refused(
        "DELETE FROM t WHERE a = 'é\n",
        (1, 25),
        "string literal that starts here",
    );
}

#[test]
fn columns_are_added_with_care() {
    refused(
        "ALTER TABLE t ADD COLUMN a BIGINT PRIMARY KEY",
        (1, 35),
        "primary key cannot be added",
    );
    refused(
        "ALTER TABLE t ADD COLUMN a TEXT NOT NULL",
        (1, 26),
        "no DEFAULT for the rows that exist",
    );
    refused(
        "ALTER TABLE t ADD COLUMN a TEXT NOT NULL DEFAULT NULL",
        (1, 26),
        "no DEFAULT for the rows",
    );
}

#[test]
fn columns_that_stand_at_the_end_are_told() {
    let script = "
        CREATE TABLE t (id INTEGER PRIMARY KEY, \"Name\" VARCHAR(20), Price DECIMAL(10, 2), gone TEXT);
        CREATE TABLE u (id BIGINT PRIMARY KEY);
        ALTER TABLE t ADD COLUMN seen TIMESTAMP;
        ALTER TABLE t DROP COLUMN gone;
        ALTER TABLE t RENAME COLUMN seen TO seen_at;
        ALTER TABLE t RENAME TO things;
        ALTER TABLE other ADD COLUMN flag BOOLEAN;
        DROP TABLE u;
        INSERT INTO things (id) VALUES (1);
        CREATE INDEX i ON things (id);";
    let found: Vec<String> = columns(script)
        .unwrap()
        .iter()
        .map(|column| format!("{}.{} {}", column.table, column.column, column.logical_type))
        .collect();
    let want = [
        "things.id INTEGER",
        "things.Name TEXT(20)",
        "things.price DECIMAL(10,2)",
        "things.seen_at TIMESTAMP",
        "other.flag BOOLEAN",
    ];
    assert_eq!(found, want);
}

#[test]
fn changes_come_in_order() {
    let changes =
        column_changes("DROP TABLE IF EXISTS a; ALTER TABLE b RENAME COLUMN c TO d").unwrap();
    let want = [
        ColumnChange::TableDropped { table: "a".into() },
        ColumnChange::Renamed {
            table: "b".into(),
            from: "c".into(),
            to: "d".into(),
        },
    ];
    assert_eq!(changes, want);
}

#[test]
fn types_are_displayed_as_they_are_written() {
    let types = "INTEGER, BIGINT, REAL, DECIMAL(9,2), BOOLEAN, TEXT, TEXT(7), JSON, UUID, DATE, TIMESTAMP, BLOB";
    let list: Vec<String> = types
        .split(", ")
        .enumerate()
        .map(|(index, name)| format!("c{index} {name}"))
        .collect();
    let columns = columns(&format!("CREATE TABLE t ({})", list.join(", "))).unwrap();
    let shown: Vec<String> = columns
        .iter()
        .map(|column| column.logical_type.to_string())
        .collect();
    assert_eq!(shown.join(", "), types);
}

/// Words of the language in any order, so that the parser is led far and then astray.
fn noise() -> impl Strategy<Value = String> {
    let word = prop::sample::select(
        "CREATE TABLE INDEX UNIQUE ALTER DROP ADD COLUMN RENAME TO IF NOT EXISTS ON WHERE DEFAULT NULL PRIMARY KEY \
         CHECK REFERENCES FOREIGN CONSTRAINT GENERATED ALWAYS AS STORED DELETE SET CASCADE INSERT INTO UPDATE FROM \
         INTEGER TEXT DECIMAL BOOLEAN BLOB CURRENT_TIMESTAMP TRUE t a b ( ( ) ) , ; . - 1 2.5 'x' X'00' \"Q\" \"\" :p ? ' -- /*"
            .split_whitespace()
            .collect::<Vec<_>>(),
    );
    let words = |start: &'static str, word| {
        prop::collection::vec(word, 0..16)
            .prop_map(move |words: Vec<&str>| format!("{start} {}", words.join(" ")))
    };
    prop_oneof![
        words("", word.clone()),
        words("CREATE TABLE t ( a", word.clone()),
        words("CREATE INDEX i ON t (", word.clone()),
        words("ALTER TABLE t", word.clone()),
        words("CREATE TABLE t ( a INTEGER", word),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_script_makes_it_panic(script in noise()) {
        for dialect in [Sqlite, Postgres, MySql] {
            let _ = translate(dialect, &script);
        }
        let _ = columns(&script);
        let _ = crate::sql::token_checksum(&script);
    }
}
