#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use super::{Form, Keyed, Refusal, SourceMap, Statement, native_statement, translate_statement};

fn translated(sql: &str) -> Statement {
    translate_statement(sql).unwrap()
}

#[track_caller]
fn check(sql: &str, expected: &str) {
    assert_eq!(translated(sql).text, expected);
}

#[track_caller]
fn check_same(sql: &str) {
    let statement = translated(sql);
    assert_eq!(
        (statement.text.as_str(), &statement.form),
        (sql, &Form::Plain)
    );
}

#[track_caller]
fn check_refused(sql: &str, what: &str) {
    match translate_statement(sql).unwrap_err() {
        Refusal::NoCounterpart(error) => assert!(error.message.contains(what), "{error}"),
        other @ Refusal::Text(_) => panic!("{other:?}"),
    }
}

fn keyed(sql: &str) -> Keyed {
    match translated(sql).form {
        Form::Keyed(keyed) => *keyed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_mysql_knows_passes_untouched() {
    check_same("SELECT a, 'it''s' || \"b\" FROM t /* c */ WHERE a IN :ids");
    check_same("INSERT INTO t (a) VALUES (:a) RETURNING a");
    check_same("DELETE FROM t WHERE a = :a RETURNING a");
    check_same("UPDATE t SET a = :a, b = (SELECT max(a) FROM u) WHERE c IS NOT NULL;");
    check_same("INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)");
    check_same("WITH x AS (SELECT 1) SELECT * FROM x");
    check_same("");
}

#[test]
fn upserts_take_any_duplicate() {
    let statement = translated(
        "INSERT INTO \"t\" (id, n) VALUES (:id, :n) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n, m = Excluded.\"m\" RETURNING n",
    );
    assert_eq!(
        statement.text,
        "INSERT INTO \"t\" (id, n) VALUES (:id, :n) ON DUPLICATE KEY UPDATE n = t.n + VALUES(n), m = VALUES(\"m\") RETURNING n"
    );
    assert_eq!(statement.form, Form::Upsert);
    assert_eq!(statement.table.as_deref(), Some("t"));
}

#[test]
fn one_row_is_inserted_or_skipped() {
    let statement = translated(
        "INSERT INTO a.t (id, n) VALUES (:id, (:n)) ON CONFLICT (\"id\", n) DO NOTHING RETURNING id",
    );
    assert_eq!(
        statement.text,
        "INSERT INTO a.t (id, n) VALUES (:id, (:n))  RETURNING id"
    );
    let columns = vec!["id".to_owned(), "n".to_owned()];
    assert_eq!(statement.form, Form::InsertOrSkip(columns));
    assert_eq!(statement.table.as_deref(), Some("a.t"));
}

#[test]
fn several_rows_change_nothing_where_they_meet_one() {
    let statement = translated("INSERT INTO t (id) SELECT id FROM u ON CONFLICT DO NOTHING");
    assert_eq!(
        statement.text,
        "INSERT INTO t (id) SELECT id FROM u ON DUPLICATE KEY UPDATE t.\"id\" = t.\"id\""
    );
    assert_eq!(statement.form, Form::Skip);
}

#[test]
fn places_lead_back_to_what_was_written() {
    let sql = "SELECT 'a:b', CAST(a AS TEXT), c ORDER BY d NULLS LAST, here";
    let statement = translated(sql);
    let place = statement.text.find("here").unwrap();
    let back = |offset, map: &SourceMap| map.source_offset(offset);
    let found = statement.maps.iter().rev().fold(place, back);
    assert_eq!(&sql[found..], "here");
}

#[test]
fn updates_that_return_go_by_keys() {
    let keyed = keyed(
        "WITH big AS (SELECT 40 AS least) UPDATE \"v\" x SET a = 1, x.b = (SELECT c FROM d WHERE e) WHERE id > (SELECT least FROM big) ORDER BY id RETURNING id, a + 1 AS next;",
    );
    assert_eq!(keyed.with, "WITH big AS (SELECT 40 AS least) ");
    assert_eq!(keyed.table, "\"v\" x");
    assert_eq!(keyed.name, "x");
    assert_eq!(
        keyed.set.as_deref(),
        Some("SET a = 1, x.b = (SELECT c FROM d WHERE e)")
    );
    assert_eq!(keyed.assigned, ["a", "b"]);
    assert_eq!(
        keyed.filter,
        "WHERE id > (SELECT least FROM big) ORDER BY id"
    );
    assert_eq!(keyed.returning.as_deref(), Some("id, a + 1 AS next"));
}

#[test]
fn deletes_with_an_alias_name_it() {
    check(
        "DELETE FROM t AS x WHERE x.a = :a",
        "DELETE x FROM t AS x WHERE x.a = :a",
    );
    let keyed =
        keyed("WITH old AS (SELECT 1 AS id) DELETE FROM t WHERE id IN (SELECT id FROM old)");
    assert_eq!((keyed.name.as_str(), keyed.set), ("t", None));
    assert_eq!(keyed.returning, None);
}

#[test]
fn inserts_take_their_with_along() {
    check(
        "WITH x AS (SELECT 1 AS a) INSERT INTO t (a) SELECT a FROM x",
        "INSERT INTO t (a) WITH x AS (SELECT 1 AS a) SELECT a FROM x",
    );
    check("INSERT INTO t DEFAULT VALUES", "INSERT INTO t () VALUES ()");
}

#[test]
fn casts_have_other_names() {
    check(
        "SELECT CAST(CAST(:a AS TEXT) AS BIGINT), CAST(b AS double precision)",
        "SELECT CAST(CAST(:a AS CHAR) AS SIGNED), CAST(b AS DOUBLE)",
    );
    check(
        "SELECT CAST(a AS VARCHAR(10)), CAST(a AS NUMERIC(10, 2)), CAST(a AS DATE)",
        "SELECT CAST(a AS CHAR(10)), CAST(a AS DECIMAL(10, 2)), CAST(a AS DATE)",
    );
    check(
        "SELECT CAST((SELECT x AS y FROM t) AS TIMESTAMP WITH TIME ZONE)",
        "SELECT CAST((SELECT x AS y FROM t) AS DATETIME(6))",
    );
}

#[test]
fn distinct_from_is_the_spaceship() {
    check(
        "SELECT 1 WHERE a IS NOT DISTINCT FROM :a AND b IS DISTINCT FROM f(1, 2) OR c",
        "SELECT 1 WHERE a <=> :a AND b <=> f(1, 2) = 0 OR c",
    );
    check(
        "SELECT CASE WHEN a IS DISTINCT FROM CASE WHEN b THEN 1 END THEN 2 END",
        "SELECT CASE WHEN a <=> CASE WHEN b THEN 1 END = 0 THEN 2 END",
    );
    check("SELECT a IS DISTINCT FROM b", "SELECT a <=> b = 0");
    check(
        "SELECT a IS NULL, b IS NOT NULL",
        "SELECT a IS NULL, b IS NOT NULL",
    );
}

#[test]
fn nulls_get_keys_of_their_own() {
    check(
        "SELECT a FROM t ORDER BY a NULLS LAST, f(b, c) DESC NULLS FIRST, d ASC NULLS FIRST, e DESC NULLS LAST LIMIT 1",
        "SELECT a FROM t ORDER BY (a) IS NULL, a, (f(b, c)) IS NOT NULL, f(b, c) DESC, d ASC, e DESC LIMIT 1",
    );
    check(
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b NULLS LAST) FROM t",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY (b) IS NULL, b) FROM t",
    );
}

#[test]
fn functions_mean_the_same() {
    check(
        "SELECT length(a), CURRENT_TIMESTAMP, 'length(a)'",
        "SELECT CHAR_LENGTH(a), CURRENT_TIMESTAMP(6), 'length(a)'",
    );
}

#[test]
fn the_driver_sees_no_parameters_in_literals() {
    check(
        "SELECT 'at :a\\', ':b' -- :c\n, :d /* :e */",
        "SELECT 'at :' 'a\\', ':' 'b' , :d",
    );
    assert_eq!(
        native_statement("SELECT 'x:y', '12:30' -- the end")
            .unwrap()
            .text,
        "SELECT 'x:' 'y', '12:30'"
    );
    check(
        "SELECT '*/:a', \":b\" /* :c */, :d /*! + 1 */ FROM e -- f\n",
        "/**/SELECT '*' '/:' 'a', \":b\" , :d /*! + 1 *//**/ FROM e",
    );
}

#[test]
fn what_has_no_counterpart_is_named() {
    check_refused("SELECT count(*) FILTER (WHERE a) FROM t", "`FILTER`");
    check_refused("SELECT a ILIKE 'x'", "`ILIKE`");
    check_refused("UPDATE t SET a = u.a FROM u WHERE t.id = u.id", "`FROM`");
    check_refused("UPDATE t SET (a, b) = (1, 2)", "several columns");
    check_refused("DELETE FROM t USING u WHERE t.id = u.id", "`USING`");
    check_refused("INSERT OR REPLACE INTO t VALUES (1)", "without `INTO`");
    check_refused("INSERT INTO t AS x (a) VALUES (1)", "alias");
    check_refused(
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1 WHERE c",
        "`WHERE`",
    );
    check_refused(
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) WHERE b DO NOTHING",
        "condition",
    );
    check_refused(
        "INSERT INTO t (a) VALUES (1), (2) ON CONFLICT DO NOTHING RETURNING a",
        "several rows",
    );
    check_refused("SELECT CAST(a AS JSON)", "JSON");
    check_refused(
        "SELECT a FROM t ORDER BY 1 NULLS LAST",
        "number of a column",
    );
    check_refused("SELECT \"a:b\", \"*/\"", "quoted name");
}

#[test]
fn half_sentences_are_no_panic() {
    for sql in [
        "SELECT nulls FROM t ORDER BY nulls",
        "SELECT a FROM t ORDER BY nulls NULLS LAST",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = excluded.",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO RETURNING id",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT",
        "INSERT INTO t (a) VALUES (1) RETURNING",
        "INSERT INTO",
        "UPDATE t SET",
        "UPDATE t SET a = 1 RETURNING",
        "DELETE FROM",
        "SELECT CAST(",
        "SELECT a IS DISTINCT FROM",
        "SELECT a ORDER BY",
    ] {
        let _ = translate_statement(sql);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_is_written_is_no_panic(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..16)) {
        let _ = translate_statement(&words.join(" "));
    }
}

const WORDS: &[&str] = &[
    "INSERT",
    "INTO",
    "UPDATE",
    "DELETE",
    "FROM",
    "SELECT",
    "SET",
    "VALUES",
    "ON",
    "CONFLICT",
    "DO",
    "NOTHING",
    "RETURNING",
    "excluded",
    ".",
    ",",
    "(",
    ")",
    "=",
    "a",
    "\"b\"",
    "t",
    ":x",
    "1",
    "'s'",
    "NULLS",
    "FIRST",
    "LAST",
    "ORDER",
    "BY",
    "WHERE",
    "IS",
    "NOT",
    "DISTINCT",
    "CAST",
    "AS",
    "TEXT",
    "WITH",
    "CASE",
    "END",
    ";",
    "LIMIT",
    "TIMESTAMP",
    "nulls",
    "*",
];
