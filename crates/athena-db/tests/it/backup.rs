//! The copy of a SQLite store before a migration changes it.

use std::path::{Path, PathBuf};

use athena_db::{Database, Executor, MigrationFile, MigrationSet, Scalar, params};

use crate::backends::Store;

const FILES: &[MigrationFile] = &[
    MigrationFile::new(
        1,
        "create",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT)",
    ),
    MigrationFile::new(2, "two", "ALTER TABLE notes ADD COLUMN two TEXT"),
    MigrationFile::new(3, "three", "ALTER TABLE notes ADD COLUMN three TEXT"),
    MigrationFile::new(4, "four", "ALTER TABLE notes ADD COLUMN four TEXT"),
    MigrationFile::new(5, "five", "ALTER TABLE notes ADD COLUMN five TEXT"),
    MigrationFile::new(6, "six", "ALTER TABLE notes ADD COLUMN six TEXT"),
];

fn up_to(version: usize) -> MigrationSet<'static> {
    MigrationSet {
        name: "notes",
        files: &FILES[..version],
    }
}

fn beside(store: &Store, version: u32) -> PathBuf {
    let path = store.path().unwrap().display().to_string();
    PathBuf::from(format!("{path}.before-notes-V{version:03}.bak"))
}

/// Lists the copies that lie beside the store, whole or not.
fn copies(store: &Store) -> Vec<PathBuf> {
    let folder = store.path().unwrap().parent().unwrap().to_owned();
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_copy = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end == "bak" || end == "part")
    };
    let mut paths: Vec<PathBuf> = paths.filter(is_copy).collect();
    paths.sort();
    paths
}

async fn titles(copy: &Path) -> Vec<String> {
    let db = Database::open(&format!("sqlite:{}?mode=ro", copy.display()))
        .await
        .unwrap();
    let titles: Vec<Scalar<String>> = db
        .fetch_all("SELECT title FROM notes ORDER BY id", params! {})
        .await
        .unwrap();
    db.close().await.unwrap();
    titles.into_iter().map(|Scalar(title)| title).collect()
}

async fn insert(store: &Store, title: &str) {
    let sql = "INSERT INTO notes (title) VALUES (:title)";
    store
        .db
        .execute(sql, params! { title: title })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_store_with_rows_is_copied_and_an_empty_one_is_not() {
    let store = Store::sqlite().await;
    let up = async |version: usize| store.db.migrations(&up_to(version)).up().await.unwrap();
    assert_eq!(up(1).await.backup, None);
    assert_eq!(up(2).await.backup, None, "there were no rows to lose");
    insert(&store, "kept").await;
    assert_eq!(up(2).await.backup, None, "there was nothing to do");
    let copy = up(3).await.backup.unwrap();
    assert_eq!(copy, beside(&store, 3));
    assert_eq!(titles(&copy).await, ["kept"]);
    let status = Database::open(&format!("sqlite:{}", copy.display()))
        .await
        .unwrap();
    let table = status.schema().table("notes").await.unwrap().unwrap();
    assert_eq!(table.column("three"), None, "as it was before");
    status.close().await.unwrap();
}

#[tokio::test]
async fn the_newest_copies_are_kept() {
    let store = Store::sqlite().await;
    store.db.migrations(&up_to(1)).up().await.unwrap();
    insert(&store, "a").await;
    for version in 2..=6 {
        store.db.migrations(&up_to(version)).up().await.unwrap();
    }
    let expected: Vec<PathBuf> = (4..=6).map(|version| beside(&store, version)).collect();
    assert_eq!(copies(&store), expected);
}

#[tokio::test]
async fn the_copy_goes_where_it_is_told_or_nowhere() {
    let store = Store::sqlite().await;
    store.db.migrations(&up_to(1)).up().await.unwrap();
    insert(&store, "it's").await;
    let place = store
        .path()
        .unwrap()
        .parent()
        .unwrap()
        .join("it's a copy.db");
    let applied = store
        .db
        .migrations(&up_to(2))
        .backup_to(&place)
        .up()
        .await
        .unwrap();
    assert_eq!(applied.backup, Some(place.clone()));
    assert_eq!(titles(&place).await, ["it's"]);

    let error = store
        .db
        .migrations(&up_to(3))
        .backup_to(&place)
        .up()
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("was not changed: it exists already"),
        "{error}"
    );
    let error = store
        .db
        .migrations(&up_to(3))
        .backup_to(PathBuf::from("/nowhere/at/all.db"))
        .up()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all.db"), "{error}");
    assert_eq!(
        store.db.migrations(&up_to(3)).plan().await.unwrap().len(),
        1,
        "and so nothing was migrated"
    );

    let applied = store
        .db
        .migrations(&up_to(3))
        .without_backup()
        .up()
        .await
        .unwrap();
    assert_eq!((applied.versions, applied.backup), (vec![3], None));
    assert!(copies(&store).is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn who_may_not_read_the_store_may_not_read_its_copy() {
    use std::os::unix::fs::PermissionsExt as _;

    let store = Store::sqlite().await;
    store.db.migrations(&up_to(1)).up().await.unwrap();
    insert(&store, "secret").await;
    let permissions = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(store.path().unwrap(), permissions).unwrap();
    let copy = store
        .db
        .migrations(&up_to(2))
        .up()
        .await
        .unwrap()
        .backup
        .unwrap();
    assert_eq!(
        std::fs::metadata(copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_store_in_memory_is_not_copied() {
    let db = Database::open("sqlite::memory:").await.unwrap();
    db.migrations(&up_to(1)).up().await.unwrap();
    db.execute("INSERT INTO notes (title) VALUES ('a')", params! {})
        .await
        .unwrap();
    assert_eq!(db.migrations(&up_to(2)).up().await.unwrap().backup, None);
}
