//! The schema as it stands, column by column.

use athena_db::{Executor, params};
use athena_store::TableClasses;
use athena_testkit::story;
use std::collections::BTreeSet;

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
}

fn columns(table: &TableClasses) -> Vec<(String, String)> {
    table
        .columns
        .iter()
        .map(|(column, _)| (table.table.to_owned(), (*column).to_owned()))
        .collect()
}
