//! The schema as it stands, column by column.

use athena_db::schema::{DefaultValue, Generated, IndexKey, Table};
use athena_db::{Executor, params};
use athena_store::TableClasses;
use athena_testkit::story;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

story! {
    /// Every column has a privacy class, and every class a column.
    async fn every_column_has_a_class(app: TestApp) {
        let rows: Vec<(String, String)> = app
            .env
            .db()
            .fetch_all("SELECT table_name, column_name FROM athena_columns", params! {})
            .await
            .unwrap();
        let stored: BTreeSet<(String, String)> = rows.into_iter().collect();
        let classes = athena_store::COLUMN_CLASSES.iter().chain(athena_memory::COLUMN_CLASSES);
        let declared: BTreeSet<(String, String)> = classes.flat_map(columns).collect();
        let without: Vec<_> = stored.difference(&declared).collect();
        assert!(without.is_empty(), "columns without a privacy class: {without:?}");
        let gone: Vec<_> = declared.difference(&stored).collect();
        assert!(gone.is_empty(), "classes of columns that do not exist: {gone:?}");
    }

    /// All backends have one schema, which is written down in `schema.txt`. After a change to the
    /// migrations, `ATHENA_TEST_WRITE=1` writes it anew.
    async fn all_backends_have_one_schema(app: TestApp) {
        let mut tables = app.env.db().schema().tables().await.unwrap();
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        // What the ledger of migrations is made of is the database layer's own.
        tables.retain(|table| !table.name.starts_with("athena_"));
        let found: String = tables.iter().map(written_down).collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schema.txt");
        if std::env::var_os("ATHENA_TEST_WRITE").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        for (line, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "line {} of {}", line + 1, path.display());
        }
        assert_eq!(found, expected);
    }
}

/// Returns a table in the words of migrations, without what a backend chooses by itself.
fn written_down(table: &Table) -> String {
    let mut text = format!("{}\n", table.name);
    for column in &table.columns {
        let kind = column
            .kind
            .unwrap_or_else(|| panic!("{}.{}: {}", table.name, column.name, column.raw_type));
        write!(text, "    {} {kind}", column.name).unwrap();
        if !column.nullable {
            text.push_str(" NOT NULL");
        }
        match &column.default {
            Some(DefaultValue::Literal(value)) => write!(text, " DEFAULT {value}").unwrap(),
            Some(other) => write!(text, " DEFAULT {other:?}").unwrap(),
            None => {}
        }
        match &column.generated {
            Some(Generated::Identity) => text.push_str(" GENERATED"),
            Some(other) => write!(text, " {other:?}").unwrap(),
            None => {}
        }
        text.push('\n');
    }
    let keyed = table.primary_key().join(", ");
    writeln!(text, "    PRIMARY KEY ({keyed})").unwrap();
    for unique in &table.unique {
        writeln!(text, "    UNIQUE ({})", unique.columns.join(", ")).unwrap();
    }
    for foreign in &table.foreign_keys {
        let (columns, references) = (foreign.columns.join(", "), foreign.references.join(", "));
        writeln!(
            text,
            "    FOREIGN KEY ({columns}) REFERENCES {} ({references}) ON DELETE {:?}",
            foreign.table, foreign.on_delete
        )
        .unwrap();
    }
    for index in &table.indexes {
        let keys: Vec<String> = index.keys.iter().map(key).collect();
        writeln!(text, "    INDEX {} ({})", index.name, keys.join(", ")).unwrap();
    }
    text.push('\n');
    text
}

fn key(key: &IndexKey) -> String {
    match key {
        IndexKey::Column { name, descending } if *descending => format!("{name} DESC"),
        IndexKey::Column { name, .. } => name.clone(),
        IndexKey::Expression { text, .. } => text.clone(),
    }
}

fn columns(table: &TableClasses) -> Vec<(String, String)> {
    table
        .columns
        .iter()
        .map(|(column, _)| (table.table.to_owned(), (*column).to_owned()))
        .collect()
}
