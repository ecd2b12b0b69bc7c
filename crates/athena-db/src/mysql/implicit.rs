//! Statements before which the server commits whatever is open.

use crate::dialect::Dialect;
use crate::error::Error;
use crate::sql::words;

/// Refuses a statement that would commit the transaction it stands in.
///
/// What a procedure or a prepared text does cannot be seen in a `CALL` or `EXECUTE`.
pub(super) fn refuse_commit(text: &str) -> Result<(), Error> {
    match committing(text) {
        None => Ok(()),
        Some(name) => Err(Error::unsupported(
            format!("`{name}` in a transaction"),
            Dialect::MySql,
            "it would commit what was done before; run it on the `Database`, or as a migration",
        )),
    }
}

/// Returns the first words of a statement with an implicit commit.
fn committing(text: &str) -> Option<String> {
    let mut words = words(Dialect::MySql, text).map(str::to_ascii_uppercase);
    let verb = words.next()?;
    let mut objects = words.filter(|word| !matches!(word.as_str(), "OR" | "REPLACE"));
    match verb.as_str() {
        "CREATE" | "DROP" | "ALTER" => {
            let object = objects.next().unwrap_or_default();
            let harmless = match object.as_str() {
                "TEMPORARY" => {
                    verb != "ALTER" && objects.next().is_some_and(|word| word == "TABLE")
                }
                "PREPARE" => true,
                _ => false,
            };
            (!harmless).then(|| format!("{verb} {object}"))
        }
        "TRUNCATE" | "RENAME" | "GRANT" | "REVOKE" | "FLUSH" | "RESET" | "INSTALL"
        | "UNINSTALL" | "OPTIMIZE" | "REPAIR" | "CACHE" | "BACKUP" | "CHANGE" | "STOP"
        | "IMPORT" | "CLONE" | "SHUTDOWN" => Some(verb),
        // `ANALYZE SELECT …` explains a query.
        "ANALYZE" => objects
            .take(2)
            .any(|word| word == "TABLE" || word == "TABLES")
            .then_some(verb),
        "CHECK" | "LOAD" => {
            let object = objects.next()?;
            matches!(object.as_str(), "TABLE" | "TABLES" | "VIEW" | "INDEX")
                .then(|| format!("{verb} {object}"))
        }
        "SET" => set(objects),
        _ => None,
    }
}

/// `SET PASSWORD`, and `SET STATEMENT … FOR` another statement.
fn set(mut words: impl Iterator<Item = String>) -> Option<String> {
    match words.next()?.as_str() {
        "PASSWORD" => Some("SET PASSWORD".to_owned()),
        "STATEMENT" => {
            words.find(|word| word == "FOR")?;
            committing(&words.collect::<Vec<_>>().join(" "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::committing;

    #[track_caller]
    fn check(text: &str, name: Option<&str>) {
        assert_eq!(committing(text).as_deref(), name, "{text}");
    }

    #[test]
    fn definitions_commit_and_temporary_tables_do_not() {
        check("CREATE TABLE t (id INT)", Some("CREATE TABLE"));
        check(
            "/* x */ create or replace view v AS SELECT 1",
            Some("CREATE VIEW"),
        );
        check("/*!50100 DROP TABLE t */", Some("DROP TABLE"));
        check("ALTER TABLE t ADD x INT", Some("ALTER TABLE"));
        check("TRUNCATE t", Some("TRUNCATE"));
        check("GRANT SELECT ON t TO u", Some("GRANT"));
        check("ANALYZE LOCAL TABLE t", Some("ANALYZE"));
        check("SET PASSWORD = 'x'", Some("SET PASSWORD"));
        check(
            "SET STATEMENT max_statement_time = 1 FOR DROP TABLE t",
            Some("DROP TABLE"),
        );
        check("CREATE TEMPORARY TABLE t (id INT)", None);
        check("CREATE OR REPLACE TEMPORARY TABLE t (id INT)", None);
        check("DROP TEMPORARY TABLE t", None);
        check("ALTER TABLE \"TEMPORARY\" ADD x INT", Some("ALTER TABLE"));
        check("DROP PREPARE s", None);
        check("ANALYZE SELECT 'TABLE' FROM a", None);
        check("CHECKSUM TABLE t", None);
        check("SET @a = 1", None);
        check("SET STATEMENT max_statement_time = 1 FOR SELECT 1", None);
        check("INSERT INTO t VALUES ('CREATE TABLE')", None);
        check("SHOW CREATE TABLE t", None);
    }
}
