#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::collections::HashSet;

use proptest::prelude::*;

use super::{Grammar, Kind, Lexer, Rewritten, rewrite};
use crate::dialect::Dialect::{self, MySql, Postgres, Sqlite};

const DIALECTS: [Dialect; 3] = [Sqlite, Postgres, MySql];

/// Checks a rewriting; `slots` are the names in order, a list with `*` behind it.
#[track_caller]
fn check(dialect: Dialect, sql: &str, text: &str, slots: &[&str]) {
    let rewritten =
        rewrite(dialect, sql).unwrap_or_else(|error| panic!("{dialect}: {sql}: {error}"));
    assert_eq!(
        (rewritten.text.as_str(), names(&rewritten)),
        (text, slots.join(" ")),
        "{dialect}: {sql}"
    );
}

/// Checks that a text without parameters comes back as it is.
#[track_caller]
fn untouched(dialects: &[Dialect], sql: &str) {
    for &dialect in dialects {
        check(dialect, sql, sql, &[]);
    }
}

/// Checks that a text is refused, where, and that the message holds a piece.
#[track_caller]
fn refused(dialects: &[Dialect], sql: &str, place: (u32, u32), piece: &str) {
    for &dialect in dialects {
        let error = rewrite(dialect, sql)
            .map(|rewritten| rewritten.text)
            .unwrap_err();
        assert_eq!(
            (error.line, error.column),
            place,
            "{dialect}: {sql}: {error}"
        );
        assert!(error.message.contains(piece), "{dialect}: {sql}: {error}");
    }
}

fn names(rewritten: &Rewritten) -> String {
    let name = |slot: &super::Slot| format!("{}{}", slot.name, if slot.list { "*" } else { "" });
    rewritten
        .slots
        .iter()
        .map(name)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_name_becomes_a_placeholder() {
    check(Postgres, "SELECT :a, :b", "SELECT $1, $2", &["a", "b"]);
    check(Sqlite, "SELECT :a, :b", "SELECT ?1, ?2", &["a", "b"]);
    check(MySql, "SELECT :a, :b", "SELECT ?, ?", &["a", "b"]);
}

#[test]
fn a_repeated_name_has_one_slot_where_placeholders_have_numbers() {
    check(
        Postgres,
        ":a :ab :abc :a",
        "$1 $2 $3 $1",
        &["a", "ab", "abc"],
    );
    check(Sqlite, ":a :ab :abc :a", "?1 ?2 ?3 ?1", &["a", "ab", "abc"]);
    check(MySql, ":a :ab :abc :a", "? ? ? ?", &["a", "ab", "abc", "a"]);
}

#[test]
fn names_are_as_long_as_they_can_be() {
    check(Postgres, "(:_a1,:userId)", "($1,$2)", &["_a1", "userId"]);
    check(Sqlite, "x=:größe+:名前", "x=?1+?2", &["größe", "名前"]);
    check(Postgres, "a-:x/:y", "a-$1/$2", &["x", "y"]);
}

#[test]
fn names_are_case_sensitive() {
    check(Postgres, ":a :A", "$1 $2", &["a", "A"]);
}

#[test]
fn literals_are_left_alone() {
    untouched(
        &DIALECTS,
        "SELECT '12:30', 'at :noon', 'it''s :x', ':a'':b'",
    );
    untouched(&DIALECTS, r#"SELECT '{"k":true}', '(?:a|b)'"#);
    check(Postgres, "':x':y", "':x'$1", &["y"]);
}

#[test]
fn a_backslash_is_only_a_backslash_outside_escape_strings() {
    check(
        Postgres,
        r"SELECT '\', :a, '\'",
        r"SELECT '\', $1, '\'",
        &["a"],
    );
    check(
        Sqlite,
        r"SELECT '\', :a, '\'",
        r"SELECT '\', ?1, '\'",
        &["a"],
    );
    check(MySql, r"SELECT '\', :a, '\'", r"SELECT '\', ?, '\'", &["a"]);
}

#[test]
fn escape_strings_know_backslashes() {
    untouched(&[Postgres], r"SELECT E'a\':x', e'\\\':y', E'a'':z'");
    check(Postgres, r"SELECT E'a\\', :a", r"SELECT E'a\\', $1", &["a"]);
    // Only a lone E opens one: `type'..'` is a word before a plain literal.
    check(
        Postgres,
        r"SELECT typE'\', :a",
        r"SELECT typE'\', $1",
        &["a"],
    );
}

#[test]
fn an_escape_string_goes_on_behind_a_line_break() {
    untouched(&[Postgres], "SELECT E'a'\n  'b\\':x'");
    untouched(&[Postgres], "SELECT E'a' -- why\r\n 'b\\':x'");
    check(
        Postgres,
        "SELECT E'a' 'b\\', :x",
        "SELECT E'a' 'b\\', $1",
        &["x"],
    );
    check(
        Postgres,
        "SELECT 'a'\n'b\\', :x",
        "SELECT 'a'\n'b\\', $1",
        &["x"],
    );
}

#[test]
fn prefixes_do_not_change_where_a_literal_ends() {
    check(
        Postgres,
        r"U&'\', :a, U&'d!0061:x' UESCAPE '!'",
        r"U&'\', $1, U&'d!0061:x' UESCAPE '!'",
        &["a"],
    );
    check(
        Postgres,
        "B'01', X'3a', N':x', :a",
        "B'01', X'3a', N':x', $1",
        &["a"],
    );
    check(Postgres, "U&\":x\" = :a", "U&\":x\" = $1", &["a"]);
    check(Sqlite, "x'3a61'|| :a", "x'3a61'|| ?1", &["a"]);
    check(
        MySql,
        "_utf8mb4':x', N':y', b'01', :a",
        "_utf8mb4':x', N':y', b'01', ?",
        &["a"],
    );
    // Outside PostgreSQL an E opens nothing.
    check(MySql, r"E'\', :a, '\'", r"E'\', ?, '\'", &["a"]);
}

#[test]
fn numbers_end_where_they_do() {
    for (dialect, placeholder) in [(Postgres, "$1"), (Sqlite, "?1")] {
        let sql = "1e-:a, 1.-:a, .5*:a, 0x1F+:a, 1_000-:a, 1..:a";
        check(dialect, sql, &sql.replace(":a", placeholder), &["a"]);
    }
    // None at all, but no dollar quote either.
    check(
        Postgres,
        "1a$b$ + :a + $b$:x$b$",
        "1a$b$ + $1 + $b$:x$b$",
        &["a"],
    );
}

#[test]
fn what_psql_would_fill_in_is_left_to_the_server() {
    untouched(&[Postgres], "SELECT :'x', :\"y\", :{?z}, : a");
}

#[test]
fn dollar_quotes_are_literals_on_postgres() {
    untouched(
        &[Postgres],
        "SELECT $$:x$$, $f$ :x $$ :y $f$, $größe$ :x $größe$, $_1$:x$_1$",
    );
    untouched(&[Postgres], "DO $$ BEGIN x := :y; END $$");
    check(
        Postgres,
        "SELECT a$b$, :x, c$b$",
        "SELECT a$b$, $1, c$b$",
        &["x"],
    );
    check(Postgres, "$$it's$$ = :x", "$$it's$$ = $1", &["x"]);
}

#[test]
fn quoted_names_are_left_alone() {
    untouched(&DIALECTS, r#"SELECT ":x", "a"":y""#);
    untouched(&[Sqlite, MySql], "SELECT `c:x`, `a``:y`");
    untouched(&[Sqlite], "SELECT [c :x], [a ':y], ':z'");
    check(Postgres, "SELECT arr[c :x]", "SELECT arr[c $1]", &["x"]);
}

#[test]
fn line_comments_are_left_alone() {
    untouched(&DIALECTS, "SELECT 1 -- :x ' \"");
    check(Sqlite, "1 -- :x\n, :y", "1 -- :x\n, ?1", &["y"]);
    check(Postgres, "1 -- :x\r, :y", "1 -- :x\r, $1", &["y"]);
    untouched(&[Sqlite], "1 -- :x\r, :y");
    check(Sqlite, "1--:x\n+:y", "1--:x\n+?1", &["y"]);
    check(MySql, "1--:x", "1--?", &["x"]);
    check(MySql, "1 --\t:x\n:y", "1 --\t:x\n?", &["y"]);
    check(MySql, "1 # :x '\n:y", "1 # :x '\n?", &["y"]);
    check(Postgres, "1 # :x", "1 # $1", &["x"]);
}

#[test]
fn block_comments_are_left_alone() {
    untouched(&DIALECTS, "SELECT 1 /* :x ' */ + 2");
    check(Postgres, "/* /* */ :x */ :y", "/* /* */ :x */ $1", &["y"]);
    check(
        Sqlite,
        "/* /* */ :x */ :y",
        "/* /* */ ?1 */ ?2",
        &["x", "y"],
    );
    check(MySql, "/* /* */ :x", "/* /* */ ?", &["x"]);
    check(Postgres, "2*/*:x*/:y", "2*/*:x*/$1", &["y"]);
    untouched(&[Sqlite], "SELECT 1 /* :x");
}

#[test]
fn code_comments_are_code_on_mysql() {
    check(
        MySql,
        "SELECT /*!50100 :x */ :y",
        "SELECT /*!50100 ? */ ?",
        &["x", "y"],
    );
    check(
        MySql,
        "SELECT /*M! ':x' */ :y",
        "SELECT /*M! ':x' */ ?",
        &["y"],
    );
    untouched(&[Postgres, Sqlite], "SELECT /*! :x */ 1");
}

#[test]
fn casts_are_not_parameters() {
    check(Postgres, ":a::jsonb", "$1::jsonb", &["a"]);
    check(
        Postgres,
        "'{\"k\":true}'::jsonb @> :a",
        "'{\"k\":true}'::jsonb @> $1",
        &["a"],
    );
    check(
        Postgres,
        "x::int4[] = :a :: int4[]",
        "x::int4[] = $1 :: int4[]",
        &["a"],
    );
    refused(
        &[Sqlite, MySql],
        "SELECT\n :a::jsonb",
        (2, 4),
        "CAST(x AS type)",
    );
}

#[test]
fn slices_are_not_parameters() {
    untouched(
        &[Postgres],
        "SELECT arr[1:2], arr[:2], arr[1:], arr[1 : n], arr[1:NULL], arr[:null]",
    );
    check(Postgres, "arr[:lo : :hi]", "arr[$1 : $2]", &["lo", "hi"]);
    check(Postgres, "arr[:lo:2]", "arr[$1:2]", &["lo"]);
    check(Postgres, "arr[1: :hi]", "arr[1: $1]", &["hi"]);
    check(
        Postgres,
        "arr[:a], arr[a+:b]",
        "arr[$1], arr[a+$2]",
        &["a", "b"],
    );
    check(
        Postgres,
        "ARRAY[:a, :b,:c]",
        "ARRAY[$1, $2,$3]",
        &["a", "b", "c"],
    );
}

#[test]
fn a_colon_between_two_expressions_is_no_parameter() {
    untouched(
        &[Postgres],
        "SELECT arr[1:n], arr[lo:hi], arr[f(x):n], arr[m[1]:n], arr[\"n\":n], arr[:f(x)], arr[1:cardinality(arr)]",
    );
    untouched(
        &[Postgres],
        "SELECT JSON_OBJECT('a':b, c:d, 'e' : f), json_objectagg (k:v), JSON_OBJECT('k':null)",
    );
    check(Postgres, "arr[:lo:hi]", "arr[$1:hi]", &["lo"]);
    check(
        Postgres,
        "JSON_OBJECT('a' : :a, :b : c, 'd': (:e), f VALUE :g)",
        "JSON_OBJECT('a' : $1, $2 : c, 'd': ($3), f VALUE $4)",
        &["a", "b", "e", "g"],
    );
    check(Postgres, "arr[f(LIMIT:n)]", "arr[f(LIMIT $1)]", &["n"]);
    check(Postgres, "arr[1] + b.x:n", "arr[1] + b.x $1", &["n"]);
    check(Postgres, ":null, (:null)", "$1, ($1)", &["null"]);
    check(Sqlite, "json_object(k,:v)", "json_object(k,?1)", &["v"]);
}

#[test]
fn assignments_are_one_token() {
    untouched(&[Postgres, MySql], "f(a := 1), f(a=>1)");
    check(Postgres, "f(x:=:a, y=>:b)", "f(x:=$1, y=>$2)", &["a", "b"]);
    check(MySql, "SET @v := :a", "SET @v := ?", &["a"]);
}

#[test]
fn question_marks_are_operators_on_postgres_only() {
    check(
        Postgres,
        "d ? :a AND d ?| x AND d ?& y",
        "d ? $1 AND d ?| x AND d ?& y",
        &["a"],
    );
    refused(&[Sqlite, MySql], "SELECT ?", (1, 8), "only `:name`");
    refused(&[Sqlite, MySql], "SELECT ':x' || ?1", (1, 16), "`?");
    untouched(&DIALECTS, "SELECT '?', \"?\" /* ? */");
}

#[test]
fn operators_around_a_parameter_stay() {
    check(
        Postgres,
        "d @> :a AND d->>:b = @ -5",
        "d @> $1 AND d->>$2 = @ -5",
        &["a", "b"],
    );
    check(Sqlite, "d->>:b", "d->>?1", &["b"]);
}

#[test]
fn the_engines_own_parameters_are_refused() {
    refused(&[Sqlite], "SELECT $1", (1, 8), "`$1`");
    refused(&[Sqlite, Postgres], "SELECT $name", (1, 8), "`$name`");
    refused(&[Sqlite], "SELECT @x", (1, 8), "`@x`");
    refused(&[Sqlite], "SELECT #x", (1, 8), "`#x`");
    refused(&[Sqlite], "SELECT :1", (1, 8), "`:1`");
    refused(&[Sqlite], "SELECT :$x", (1, 8), "`:$x`");
    untouched(&[MySql], "SELECT @x, @@y, @'a :b', $1, $x$, a$b");
}

#[test]
fn numbered_parameters_stand_in_postgres_statements_without_names() {
    untouched(
        &[Postgres],
        "PREPARE q (int) AS SELECT $1, $2::text, arr[$1:$2], $1 IN ($2)",
    );
    untouched(
        &[Postgres],
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE SQL RETURN $1 + 1",
    );
    refused(
        &[Postgres],
        "PREPARE q AS SELECT :a, $1, $2",
        (1, 25),
        "`$1`",
    );
    refused(&[Postgres], "PREPARE q AS SELECT $1, :a", (1, 21), "`$1`");
}

#[test]
fn what_would_be_read_differently_from_how_it_looks_is_refused() {
    refused(&DIALECTS, "SELECT :a$b", (1, 8), "followed by `$`");
    refused(&DIALECTS, r"SELECT \:a", (1, 9), "does not escape");
    refused(&DIALECTS, "SELECT 1 \0 WHERE :a", (1, 10), "NUL");
    // Without the space PostgreSQL would read the name `lo$1`.
    check(Postgres, "LIMIT:n", "LIMIT $1", &["n"]);
    check(Sqlite, "LIMIT:n", "LIMIT?1", &["n"]);
}

#[test]
fn what_never_ends_is_refused_where_it_starts() {
    refused(
        &DIALECTS,
        "SELECT 1,\n 'é' || 'abc :x",
        (2, 9),
        "string literal that starts here",
    );
    refused(
        &DIALECTS,
        "SELECT \"abc",
        (1, 8),
        "quoted name that starts here",
    );
    refused(&[Sqlite, MySql], "`abc", (1, 1), "quoted name");
    refused(&[Sqlite], "[abc", (1, 1), "quoted name");
    refused(
        &[Postgres, MySql],
        "1 /* abc",
        (1, 3),
        "comment that starts here",
    );
    refused(&[Postgres], "/* /* */", (1, 1), "comment that starts here");
    refused(&[Postgres], "$a$ :x $b$", (1, 1), "dollar-quoted literal");
    refused(&[Postgres], r"E'abc\'", (1, 1), "string literal");
}

#[test]
fn a_list_is_one_parameter() {
    check(Postgres, "a IN :ids", "a = ANY ($1)", &["ids*"]);
    check(Postgres, "a in(:ids)", "a = ANY($1)", &["ids*"]);
    check(Postgres, "a NOT IN :ids", "a <> ALL ($1)", &["ids*"]);
    check(
        Postgres,
        "a NOT /* ! */ IN\n( :ids )",
        "a <> /* ! */ ALL\n( $1 )",
        &["ids*"],
    );
    check(
        Sqlite,
        "a IN :ids",
        "a IN (SELECT value FROM json_each(?1))",
        &["ids*"],
    );
    check(
        Sqlite,
        "a NOT IN(:ids)",
        "a NOT IN(SELECT value FROM json_each(?1))",
        &["ids*"],
    );
    check(
        MySql,
        "a IN :ids AND b NOT IN (:ids)",
        "a IN (?) AND b NOT IN (?)",
        &["ids*", "ids*"],
    );
}

#[test]
fn several_elements_are_not_a_list() {
    check(Postgres, "a IN (:x, :y)", "a IN ($1, $2)", &["x", "y"]);
    check(Sqlite, "a IN (:x + 1)", "a IN (?1 + 1)", &["x"]);
    check(
        Postgres,
        "a IN (SELECT b FROM c WHERE d = :x)",
        "a IN (SELECT b FROM c WHERE d = $1)",
        &["x"],
    );
    check(Postgres, "\"in\" :x", "\"in\" $1", &["x"]);
    check(Postgres, "origin :x", "origin $1", &["x"]);
}

#[test]
fn position_takes_no_list() {
    check(
        Postgres,
        "position(:a IN :b) > 0 AND c IN :b",
        "position($1 IN $2) > 0 AND c = ANY ($3)",
        &["a", "b", "b*"],
    );
    check(MySql, "POSITION ('x' IN :b)", "POSITION ('x' IN ?)", &["b"]);
}

#[test]
fn a_list_and_a_single_value_of_one_name_have_a_slot_each() {
    check(
        Postgres,
        ":a IN :a OR b IN (:a) OR :a",
        "$1 = ANY ($2) OR b = ANY ($2) OR $1",
        &["a", "a*"],
    );
    check(Sqlite, "x = :a", "x = ?1", &["a"]);
}

/// SQLite reads the untouched text itself, and as many parameters in the rewritten one.
#[track_caller]
fn sqlite_finds_the_same(connection: &rusqlite::Connection, sql: &str) {
    let statement = connection.prepare(sql).unwrap();
    let theirs: Vec<_> = (1..=statement.parameter_count())
        .map(|index| statement.parameter_name(index).unwrap()[1..].to_owned())
        .collect();
    let rewritten = rewrite(Sqlite, sql).unwrap();
    assert_eq!(names(&rewritten), theirs.join(" "), "{sql}");
    let count = connection
        .prepare(&rewritten.text)
        .unwrap()
        .parameter_count();
    assert_eq!(count, theirs.len(), "{}", rewritten.text);
}

#[test]
fn sqlite_itself_finds_the_same_names() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    for sql in [
        "SELECT :a, :ab, :abc, :a",
        "SELECT ':x', \":y\", `:z`, [:w], :größe FROM (SELECT 1 AS \":y\", 2 AS `:z`, 3 AS [:w])",
        "SELECT 'it''s :x' || :a -- :b ' \n || :c",
        "SELECT 1 /* :x ' */ + :a /* /* */ - :b",
        "SELECT 1--:x\n+:y",
        "SELECT '\\' || :a || '\\'",
        "SELECT :a-:b/:c*/* :d */:e",
        "SELECT X'3a61' IS :a, NOT:b",
        "SELECT 1e5+:a, .5e-3-:b, 0x1F|:c, 5./:d",
        "SELECT json_extract('{\"k\":true}', '$.k') = :a AND 'b' LIKE :b ESCAPE '\\'",
        "SELECT CASE WHEN :a=:b THEN:c ELSE:d END /* :e",
        "SELECT :a/*/ :b /**/, :c/**/, :d",
        "SELECT '{}'->>:a, '[]'->:b, 1_000+:c",
        "SELECT \u{feff}:a",
        "SELECT :a FROM (SELECT 1) WHERE (:b, :c) IN (VALUES (:d, :e)) LIMIT:f",
    ] {
        sqlite_finds_the_same(&connection, sql);
    }
}

/// Operands behind which SQLite goes on with a fresh token, with `P` for a parameter.
const OPERANDS: &[&str] = &[
    "P",
    "(P)",
    "-P",
    "'it''s :x'",
    "':x'",
    "\":y\"",
    "`:z``'`",
    "[:w'\"]",
    "X'3a61'",
    "1e5",
    ".5e-3",
    "5.",
    "0x1F",
    "1_000",
    "/* :x ' */ P",
    "P /* /* :x */",
    "-- :x '\n P",
    "P--:x\n",
    "json('{\":k\":true}')",
    "CASE WHEN P THEN:t END",
    "(SELECT P LIMIT:n)",
    "(P IN (P,':x'))",
    "'\\'",
    "größe",
    "f$x",
    "CAST(P AS TEXT)",
];

const OPERATORS: &[&str] = &[
    "||", " || ", "+", "-", "/", "*", "|", "<", "=", "->", "->>", " IS ", " AND ", ",", "\t%\n",
    "- -", "*-",
];

/// What is rewritten means the same: SQLite takes it and counts as many parameters as there are slots.
#[test]
fn sqlite_takes_the_rewritten_text() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (a INTEGER, b TEXT) STRICT; INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        )
        .unwrap();
    let count = |condition: &str, list: &str| -> i64 {
        let rewritten =
            rewrite(Sqlite, &format!("SELECT count(*) FROM t WHERE {condition}")).unwrap();
        connection
            .query_row(&rewritten.text, [list], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(count("a IN :ids", "[1, 2, 3]"), 2);
    assert_eq!(count("a NOT IN (:ids)", "[1]"), 1);
    assert_eq!(count("a IN :ids", "[]"), 0);
    assert_eq!(count("a NOT IN :ids", "[]"), 2);
    assert_eq!(count("b IN (:ids)", r#"["x"]"#), 1);
}

/// SQL-like noise: pieces that open, close and mislead.
fn noise() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "'",
        "''",
        "\"",
        "`",
        "[",
        "]",
        "(",
        ")",
        "$",
        "$$",
        "$a$",
        "E'",
        "e'",
        "U&'",
        "N'",
        "X'",
        "\\",
        "--",
        "-- ",
        "#",
        "/*",
        "*/",
        "/*!",
        "/*!50100",
        "/*M!",
        "\n",
        "\r",
        "\t",
        " ",
        " ",
        " ",
        ":",
        "::",
        ":=",
        "=>",
        ":a",
        ":ab",
        " :a ",
        ":größe",
        ":1",
        "?",
        "?1",
        "$1",
        "@x",
        "@",
        "IN",
        " IN :a",
        " NOT IN (:ab)",
        "NOT",
        "IN (",
        "POSITION(",
        "JSON_OBJECT(",
        "x",
        "1",
        "1e",
        "1.",
        "0x",
        ".",
        "é",
        "名",
        "\u{a0}",
        "NULL",
        ":null",
        "/",
        "-",
        "*",
        "<",
        "|",
        ";",
        ",",
        "\0",
    ]);
    prop_oneof![
        9 => prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

/// Checks that a rewriting differs from its source in parameters and the `IN` before a list alone, and
/// returns whether it has a list.
fn only_parameters_differ(sql: &str, rewritten: &Rewritten) -> bool {
    let (mut source, mut output) = (0, 0);
    let mut names = HashSet::new();
    let mut lists = 0;
    for (from, to) in rewritten.map.edits() {
        assert_eq!(
            sql[source..from.start],
            rewritten.text[output..to.start],
            "{sql}"
        );
        let replaced = &sql[from.clone()];
        match replaced.strip_prefix(':') {
            Some(name) => {
                assert!(
                    name.chars()
                        .all(|c| c == '_' || !c.is_ascii() || c.is_ascii_alphanumeric()),
                    "{sql}"
                );
                names.insert(name);
            }
            None if replaced.eq_ignore_ascii_case("in") => lists += 1,
            None => assert!(replaced.eq_ignore_ascii_case("not"), "{sql}"),
        }
        (source, output) = (from.end, to.end);
    }
    assert_eq!(sql[source..], rewritten.text[output..], "{sql}");
    assert_eq!(
        names,
        rewritten
            .slots
            .iter()
            .map(|slot| slot.name.as_str())
            .collect(),
        "{sql}"
    );
    lists > 0 || rewritten.slots.iter().any(|slot| slot.list)
}

/// Returns the tokens of a text; with `placeholders` each parameter as it is written after rewriting.
fn tokens(dialect: Dialect, sql: &str, placeholders: bool) -> Vec<String> {
    let mut lexer = Lexer::new(sql, Grammar::of(dialect));
    let mut numbers = Vec::new();
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token().unwrap() {
        let text = lexer.text(token);
        if !placeholders || token.kind != Kind::Parameter {
            tokens.push(text.to_owned());
            continue;
        }
        let number = numbers
            .iter()
            .position(|known| *known == text)
            .unwrap_or_else(|| {
                numbers.push(text);
                numbers.len() - 1
            })
            + 1;
        match dialect {
            Postgres => tokens.push(format!("${number}")),
            Sqlite => tokens.push(format!("?{number}")),
            MySql => tokens.push("?".to_owned()),
        }
    }
    tokens
}

/// Rewrites a text, whatever it is, and checks all that holds for every text.
fn survives(dialect: Dialect, sql: &str) {
    let Ok(rewritten) = rewrite(dialect, sql) else {
        return;
    };
    let has_list = only_parameters_differ(sql, &rewritten);
    // What separates on PostgreSQL is a parameter to the lexer alone.
    let has_separators = dialect == Postgres && sql.contains(['[', 'J']);
    if !has_list && !has_separators {
        assert_eq!(
            tokens(dialect, &rewritten.text, false),
            tokens(dialect, sql, true),
            "{sql}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 61_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_is_survived(sql in noise()) {
        for dialect in DIALECTS {
            survives(dialect, &sql);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_without_sigils_and_quotes_is_accepted_as_it_is(sql in "[^:?$@#'\"`\\[/\0]*") {
        for dialect in DIALECTS {
            let rewritten = rewrite(dialect, &sql).unwrap();
            prop_assert_eq!(&rewritten.text, &sql);
            prop_assert!(rewritten.slots.is_empty());
        }
    }

    #[test]
    fn sqlite_itself_finds_the_same_names_in_any_expression(
        parts in prop::collection::vec(
            (prop::sample::select(OPERANDS), prop::sample::select(OPERATORS), "[A-Za-z_ß名][A-Za-z0-9_é]{0,4}"),
            1..8,
        )
    ) {
        thread_local! {
            static CONNECTION: rusqlite::Connection = rusqlite::Connection::open_in_memory().unwrap();
        }
        let mut sql = "SELECT ".to_owned();
        for (operand, operator, name) in parts {
            // Together they would start a comment.
            if sql.ends_with(['-', '/']) && operand.starts_with(['-', '/']) {
                sql.push(' ');
            }
            sql.push_str(&operand.replace('P', &format!(":{name}")));
            sql.push_str(operator);
        }
        sql.push_str("1 FROM (SELECT 1 AS \":y\", 2 AS \":z`'\", 3 AS [:w'\"], 4 AS größe, 5 AS f$x)");
        CONNECTION.with(|connection| sqlite_finds_the_same(connection, &sql));
    }

    #[test]
    fn whatever_stands_in_a_literal_stays(content in any::<String>()) {
        let content = content.replace('\0', "").replace('\'', "''");
        for dialect in DIALECTS {
            let sql = format!("SELECT '{content}', :a");
            let rewritten = rewrite(dialect, &sql).unwrap();
            let placeholder = rewrite(dialect, ":a").unwrap().text;
            prop_assert_eq!(rewritten.text, format!("SELECT '{content}', {placeholder}"));
        }
    }

    /// Statements of known pieces: each piece is either text that must stay or a parameter.
    #[test]
    fn parameters_between_pieces_are_replaced_and_nothing_else(
        picks in prop::collection::vec((0..PIECES.len(), prop::option::of("[a-z_][a-z0-9_]{0,3}")), 0..12)
    ) {
        let named = picks.iter().map(|(piece, name)| (PIECES[*piece], name.as_deref()));
        let mut sql = String::new();
        let mut want = String::new();
        let mut slots: Vec<&str> = Vec::new();
        for (piece, name) in named {
            sql.push_str(piece);
            want.push_str(piece);
            if let Some(name) = name {
                let number = slots.iter().position(|known| *known == name).unwrap_or_else(|| {
                    slots.push(name);
                    slots.len() - 1
                }) + 1;
                sql.push_str(&format!(":{name}"));
                want.push_str(&format!("${number}"));
            }
        }
        let rewritten = rewrite(Postgres, &sql).unwrap();
        prop_assert_eq!(rewritten.text, want);
        prop_assert_eq!(rewritten.slots.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>(), slots);
    }
}

/// Pieces after which PostgreSQL reads a fresh token.
const PIECES: &[&str] = &[
    " SELECT ",
    " + ",
    "(",
    ", ':a', ",
    " -- :a '\n",
    " /* :a /* ' */ :b */ ",
    " || E'\\':a' || ",
    " = $$:a'$$ AND ",
    "::int8 = ",
    " @> ",
    " ? ",
    "[1:2] = ",
    " \":a\" ",
    " $q$ $$ :a $q$ <",
    " typE'\\' || ",
    " := ",
    "=>",
    " - ",
];
