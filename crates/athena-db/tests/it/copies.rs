//! Copies between databases: every value, every id, every number to come; and what interrupts them.

use std::sync::Arc;

use athena_db::{
    Copied, CopyError, CopyOptions, CopyProgress, Database, Decimal, Dialect, Error, ErrorKind,
    Executor, MigrationError, MigrationFile, MigrationSet, Params, Scalar, TableDigest, TxOptions,
    Value, copy_database, digest_database, params,
};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::backends::{Store, story};

const FIRST: &str = "
    CREATE TABLE kinds (
        name VARCHAR(50) NOT NULL,
        region VARCHAR(50) NOT NULL,
        PRIMARY KEY (name, region)
    );
    CREATE TABLE things (
        id INTEGER PRIMARY KEY,
        kind VARCHAR(50) NOT NULL,
        region VARCHAR(50) NOT NULL,
        parent BIGINT REFERENCES things (id),
        uid UUID NOT NULL,
        price DECIMAL(20,4),
        weight REAL,
        alive BOOLEAN NOT NULL,
        born DATE,
        seen_at TIMESTAMP,
        about TEXT,
        details JSON,
        image BLOB,
        double_weight REAL GENERATED ALWAYS AS (weight * 2) STORED,
        FOREIGN KEY (kind, region) REFERENCES kinds (name, region)
    );
    CREATE TABLE sightings (
        thing BIGINT NOT NULL REFERENCES things (id) ON DELETE CASCADE,
        note TEXT NOT NULL
    );
    INSERT INTO kinds (name, region) VALUES ('bird', 'north');";
/// Sorts before the tables that it needs.
const SECOND: &str =
    "CREATE TABLE addresses (id BIGINT PRIMARY KEY, thing BIGINT NOT NULL REFERENCES things (id));";

const FILES: &[MigrationFile] = &[
    MigrationFile::new(1, "things", FIRST),
    MigrationFile::new(2, "addresses", SECOND),
];
const SET: MigrationSet = MigrationSet {
    name: "things",
    files: FILES,
};

const ROWS: i64 = 2_500;

fn thing(id: i64) -> Params {
    let awkward = [
        "",
        "NULL",
        "ünï ço\u{0301}de 面白い 🦉",
        "a\nb\t'c' \"d\" \\e ",
        " spaces ",
    ];
    let nth = usize::try_from(id).unwrap();
    let real = [0.1 + 0.2, -0.0, 1e300, 5e-324, -3.0, 16_777_217.0];
    params! {
        id: id,
        kind: ["bird", "Bird", "bïrd"][nth % 3],
        region: "north",
        // The children of later rows come first in the order of ids.
        parent: (id % 3 == 0 && id < ROWS).then_some(id + 1),
        uid: Uuid::from_u128(0x0123 + u128::try_from(id).unwrap()),
        price: (id % 4 != 0).then(|| format!("{id}.5000").parse::<Decimal>().unwrap()),
        weight: real[nth % real.len()],
        alive: id % 2 == 0,
        born: (id % 5 != 0).then(|| jiff::civil::date(1999, 12, 31)),
        seen_at: Timestamp::from_microsecond(1_700_000_000_000_001 + id).unwrap(),
        about: awkward[nth % awkward.len()],
        details: json!({"b": [1.0, 0.30000000000000004, 12_345_678_901_234_567_i64, null], "a": {"id": id, "": 1e25}}),
        image: vec![0_u8, 255, 128, u8::try_from(id % 256).unwrap()],
    }
}

const INSERT: &str = "INSERT INTO things (id, kind, region, parent, uid, price, weight, alive, born, seen_at, about, details, image)
    VALUES (:id, :kind, :region, :parent, :uid, :price, :weight, :alive, :born, :seen_at, :about, :details, :image)";

async fn fill(db: &Database) {
    db.migrations(&SET).up().await.unwrap();
    let kinds = ["Bird", "bïrd", "bird "].map(|name| vec![name.into(), "north".into()]);
    db.insert_rows("kinds", &["name", "region"], kinds.to_vec())
        .await
        .unwrap();
    // Parents are stored first; their ids are higher.
    let (children, parents): (Vec<i64>, Vec<i64>) =
        (1..=ROWS).partition(|id| id % 3 == 0 && *id < ROWS);
    for ids in [parents, children] {
        let rows = ids.into_iter().map(thing).collect();
        db.execute_many(INSERT, rows).await.unwrap();
    }
    let sightings = (0..700_i64).map(|n| vec![Value::Int(1 + n % 50), "same note".into()]);
    db.insert_rows("sightings", &["thing", "note"], sightings.collect())
        .await
        .unwrap();
    let addresses = (0..300_i64).map(|n| vec![Value::Int(n * 7 - 100), Value::Int(n + 1)]);
    db.insert_rows("addresses", &["id", "thing"], addresses.collect())
        .await
        .unwrap();
    // A number that was given out and is not in use: it must not come again.
    db.schema()
        .advance_identity("things", ROWS + 41)
        .await
        .unwrap();
}

async fn copy(source: &Database, target: &Database) -> Result<Copied, Error> {
    copy_named(source, target, "the first").await
}

async fn copy_named(source: &Database, target: &Database, name: &str) -> Result<Copied, Error> {
    let options = CopyOptions {
        source: name,
        sets: &[&SET],
        leave_out_foreign: false,
    };
    copy_database(source, target, &options, &mut |_| {}).await
}

/// Copies until that many rows are done, and then drops everything on the spot.
async fn interrupted(source: &Database, target: &Database, rows: u64) {
    let enough = Arc::new(Notify::new());
    let options = CopyOptions {
        source: "the first",
        sets: &[&SET],
        leave_out_foreign: false,
    };
    let mut progress = |progress: CopyProgress<'_>| {
        if progress.done >= rows {
            enough.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = enough.notified() => {}
        done = copy_database(source, target, &options, &mut progress) => panic!("{done:?}"),
    }
}

async fn check_equal(source: &Database, target: &Database) {
    let expected = digest_database(source).await.unwrap();
    assert_eq!(digest_database(target).await.unwrap(), expected);
    let mut rows: Vec<(&str, u64)> = expected
        .iter()
        .map(|table| (table.table.as_str(), table.rows))
        .collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            ("addresses", 300),
            ("kinds", 4),
            ("sightings", 700),
            ("things", 2_500)
        ]
    );
    assert_eq!(target.migrations(&SET).verify().await.unwrap(), []);
}

/// Copies through all backends and back, so that each is source and target.
#[tokio::test]
async fn a_copy_is_equal_on_every_backend_and_back() {
    let mut stores = Store::all().await;
    stores.push(Store::sqlite().await);
    fill(&stores[0].db).await;
    for pair in stores.windows(2) {
        let copied = copy(&pair[0].db, &pair[1].db).await.unwrap();
        assert_eq!((copied.resumed_rows, copied.started_over), (0, false));
        assert_eq!(copied.left_out, Vec::<String>::new());
        let names: Vec<&str> = copied.tables.iter().map(|t| t.table.as_str()).collect();
        assert_eq!(names, ["kinds", "things", "addresses", "sightings"]);
        check_equal(&stores[0].db, &pair[1].db).await;
    }
    let last = stores.last().unwrap();
    // JSON is the same document, as the digests say, and need not be the same text.
    let dump = "SELECT id, kind, region, parent, uid, price, weight, alive, born, seen_at, about, image, double_weight FROM things ORDER BY id";
    assert_eq!(
        last.db
            .fetch_rows(dump, params! {}, usize::MAX)
            .await
            .unwrap(),
        stores[0]
            .db
            .fetch_rows(dump, params! {}, usize::MAX)
            .await
            .unwrap()
    );
    for store in stores {
        let new = params! { uid: Uuid::from_u128(7) };
        let insert =
            "INSERT INTO things (kind, region, uid, alive) VALUES ('bird', 'north', :uid, TRUE)";
        store.db.execute(insert, new).await.unwrap();
        let Scalar(id): Scalar<i64> = store
            .db
            .fetch_one("SELECT max(id) FROM things", params! {})
            .await
            .unwrap();
        assert_eq!(id, ROWS + 42, "{}", store.dialect());
        store.finish().await;
    }
}

story! {
    #[tokio::test]
    async fn an_interrupted_copy_goes_on(target: Store) {
        let source = Store::sqlite().await;
        fill(&source.db).await;
        for rows in [2, 1_200, 2_600] {
            interrupted(&source.db, &target.db, rows).await;
        }
        match target.db.migrations(&SET).up().await.unwrap_err().kind() {
            ErrorKind::Migration(MigrationError::UnfinishedCopy { source }) => {
                assert_eq!(source, "the first");
            }
            other => panic!("{other:?}"),
        }
        let copied = copy(&source.db, &target.db).await.unwrap();
        assert!(copied.resumed_rows >= 2_000, "{copied:?}");
        assert!(!copied.started_over);
        check_equal(&source.db, &target.db).await;
        source.finish().await;
    }
}

story! {
    #[tokio::test]
    async fn a_source_that_changed_meanwhile_is_copied_from_the_start(target: Store) {
        let source = Store::sqlite().await;
        fill(&source.db).await;
        interrupted(&source.db, &target.db, 2_600).await;
        source
            .db
            .execute(
                "UPDATE things SET about = 'changed' WHERE id = 1",
                params! {},
            )
            .await
            .unwrap();
        let copied = copy(&source.db, &target.db).await.unwrap();
        assert!(copied.started_over);
        assert_eq!(copied.resumed_rows, 0);
        check_equal(&source.db, &target.db).await;
        source.finish().await;
    }
}

story! {
    /// What is written while the copy goes on is not in it, and does not disturb it.
    #[tokio::test]
    async fn a_copy_is_one_state_of_a_busy_source(source: Store) {
        fill(&source.db).await;
        let target = Store::sqlite().await;
        let before = sorted(digest_database(&source.db).await.unwrap());
        let writer = source.another().await;
        let started = Notify::new();
        let write = async {
            started.notified().await;
            for sql in ["DELETE FROM sightings", "UPDATE things SET about = 'later'"] {
                writer.execute(sql, params! {}).await.unwrap();
            }
        };
        let options = CopyOptions {
            source: "busy",
            sets: &[&SET],
            leave_out_foreign: false,
        };
        let mut progress = |_: CopyProgress<'_>| started.notify_one();
        let (copied, ()) = tokio::join!(
            copy_database(&source.db, &target.db, &options, &mut progress),
            write
        );
        assert_eq!(sorted(copied.unwrap().tables), before);
        assert_eq!(source.count("sightings").await, 0);
        target.finish().await;
    }
}

fn sorted(mut tables: Vec<TableDigest>) -> Vec<TableDigest> {
    tables.sort_by(|a, b| a.table.cmp(&b.table));
    tables
}

story! {
    #[tokio::test]
    async fn what_cannot_be_a_copy_is_refused(target: Store) {
        let source = Store::sqlite().await;
        fill(&source.db).await;
        let refusal = async |source: &Database, target: &Database, name: &str| match copy_named(
            source, target, name,
        )
        .await
        .unwrap_err()
        .kind()
        {
            ErrorKind::Copy(error) => error.clone(),
            other => panic!("{other:?}"),
        };
        let empty = Store::sqlite().await;
        let set = "things".to_owned();
        assert_eq!(
            refusal(&empty.db, &target.db, "the first").await,
            CopyError::NotReady { set }
        );
        interrupted(&source.db, &target.db, 1_200).await;
        assert_eq!(
            refusal(&source.db, &target.db, "the second").await,
            CopyError::OtherSource {
                source: "the first".to_owned()
            }
        );
        copy(&source.db, &target.db).await.unwrap();
        assert!(matches!(
            refusal(&source.db, &target.db, "the first").await,
            CopyError::NotEmpty { .. }
        ));
        check_equal(&source.db, &target.db).await;
        empty.finish().await;
        source.finish().await;
    }
}

/// What others made with migrations of their own is told, and left out if that is wanted.
#[tokio::test]
async fn sets_of_others_are_left_out_on_request() {
    let (source, target) = (Store::sqlite().await, Store::sqlite().await);
    fill(&source.db).await;
    let others = MigrationSet {
        name: "others",
        files: &[MigrationFile::new(
            1,
            "notes",
            "CREATE TABLE notes (id INTEGER PRIMARY KEY);",
        )],
    };
    source.db.migrations(&others).up().await.unwrap();
    let error = copy(&source.db, &target.db).await.unwrap_err();
    match error.kind() {
        ErrorKind::Copy(CopyError::Foreign { sets }) => assert_eq!(sets, &["others"]),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("the tables `notes`"), "{error}");
    let options = CopyOptions {
        source: "the first",
        sets: &[&SET],
        leave_out_foreign: true,
    };
    let copied = copy_database(&source.db, &target.db, &options, &mut |_| {}).await;
    assert_eq!(copied.unwrap().left_out, ["notes"]);
    assert_eq!(target.db.migrations(&SET).plan().await.unwrap(), []);
    source.finish().await;
    target.finish().await;
}

story! {
    /// Somebody writes first while the copy looks whether the target is empty.
    #[tokio::test]
    async fn a_first_write_on_its_way_is_kept(target: Store) {
        let source = Store::sqlite().await;
        fill(&source.db).await;
        target.db.migrations(&SET).up().await.unwrap();
        target.db.execute("DELETE FROM kinds", params! {}).await.unwrap();
        let writer = target.another().await;
        let tx = writer.begin(TxOptions::default()).await.unwrap();
        let insert = "INSERT INTO kinds (name, region) VALUES ('first', 'here')";
        tx.execute(insert, params! {}).await.unwrap();
        let write = async {
            wait_for_marker(target).await;
            tx.commit().await.unwrap();
        };
        let (copied, ()) = tokio::join!(copy(&source.db, &target.db), write);
        match copied.unwrap_err().kind() {
            ErrorKind::Copy(CopyError::NotEmpty { table }) => assert_eq!(table, "kinds"),
            other => panic!("{other:?}"),
        }
        let names: Vec<Scalar<String>> = target
            .db
            .fetch_all("SELECT name FROM kinds", params! {})
            .await
            .unwrap();
        assert_eq!(names, [Scalar("first".to_owned())]);
        // It is an ordinary store again.
        assert_eq!(target.db.migrations(&SET).up().await.unwrap().current, 2);
        writer.close().await.unwrap();
        source.finish().await;
    }
}

story! {
    /// A copy that fails before it has written a row leaves the store to its owner.
    #[tokio::test]
    async fn a_copy_that_fails_early_leaves_no_marker(target: Store) {
        let source = Store::sqlite().await;
        fill(&source.db).await;
        target.db.migrations(&SET).up().await.unwrap();
        target.db.execute("DELETE FROM kinds", params! {}).await.unwrap();
        refuse_changes_of_the_ledger(target).await;
        let error = copy(&source.db, &target.db).await.unwrap_err();
        assert!(!matches!(error.kind(), ErrorKind::Copy(_)), "{error:?}");
        assert_eq!(target.db.migrations(&SET).up().await.unwrap().current, 2);
        source.finish().await;
    }
}

/// Makes a trigger that fails where a copy confirms that the target is empty.
async fn refuse_changes_of_the_ledger(target: &Store) {
    let statements: &[&str] = match target.dialect() {
        Dialect::Sqlite => &["CREATE TRIGGER refuse BEFORE UPDATE ON athena_migrations
             BEGIN SELECT RAISE(ABORT, 'refused'); END"],
        Dialect::Postgres => &[
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
            "CREATE TRIGGER refuse BEFORE UPDATE ON athena_migrations
             FOR EACH ROW EXECUTE FUNCTION refuse()",
        ],
        Dialect::MySql => &["CREATE TRIGGER refuse BEFORE UPDATE ON athena_migrations
             FOR EACH ROW SIGNAL SQLSTATE '45000'"],
    };
    for statement in statements {
        target.db.execute(*statement, params! {}).await.unwrap();
    }
}

/// Waits until a copy has marked the target; on SQLite it cannot while somebody else writes.
async fn wait_for_marker(target: &Store) {
    if target.dialect() == Dialect::Sqlite {
        return;
    }
    let marked = "SELECT count(*) FROM athena_migrations WHERE set_name = 'athena_copy'";
    while target
        .db
        .fetch_one::<Scalar<i64>>(marked, params! {})
        .await
        .unwrap()
        != Scalar(1)
    {
        tokio::task::yield_now().await;
    }
}

story! {
    /// Of two copies at once into a fresh target, one goes on to the end and the other gives up.
    #[tokio::test]
    async fn two_copies_at_once_do_not_mix(target: Store) {
        let source = Store::sqlite().await;
        fill(&source.db).await;
        let other = target.another().await;
        let (first, second) = tokio::join!(copy(&source.db, &target.db), copy(&source.db, &other));
        let (done, refused): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
        assert_eq!((done.len(), refused.len()), (1, 1), "{refused:?}");
        match refused[0].as_ref().unwrap_err().kind() {
            ErrorKind::Copy(CopyError::TakenOver | CopyError::NotEmpty { .. }) => {}
            error => panic!("{error:?}"),
        }
        check_equal(&source.db, &target.db).await;
        other.close().await.unwrap();
        source.finish().await;
    }
}

const DOCUMENT: &str =
    r#"{"n": [12345678901234567890123, 0.12345678901234567890, -1.50e-30, 1e25], "t": "\\u0000é"}"#;

/// Writes a text into a JSON column as it is; a driver would parse it first.
async fn set_details(db: &Database, id: i64, text: &str) {
    let sql = format!("UPDATE things SET details = '{text}' WHERE id = {id}");
    db.execute_alone(sql).await.unwrap();
}

async fn details(db: &Database, id: i64) -> String {
    let sql = athena_db::sql! {
        sqlite: "SELECT details FROM things WHERE id = :id",
        postgres: "SELECT details::text FROM things WHERE id = :id",
        mysql: "SELECT details FROM things WHERE id = :id",
    };
    let Scalar(text) = db.fetch_one(sql, params! { id: id }).await.unwrap();
    text
}

/// Through all backends and back, so that each is source and target.
#[tokio::test]
async fn numbers_in_json_keep_all_their_digits() {
    let mut stores = Store::all().await;
    stores.push(Store::sqlite().await);
    fill(&stores[0].db).await;
    set_details(&stores[0].db, 1, DOCUMENT).await;
    for pair in stores.windows(2) {
        copy(&pair[0].db, &pair[1].db).await.unwrap();
        let text = details(&pair[1].db, 1).await;
        for digits in ["12345678901234567890123", "0.12345678901234567890"] {
            assert!(text.contains(digits), "{}: {text}", pair[1].dialect());
        }
        assert_eq!(
            digest_database(&pair[0].db).await.unwrap(),
            digest_database(&pair[1].db).await.unwrap()
        );
    }
    for store in stores {
        store.finish().await;
    }
}

/// One digit more is another document.
#[tokio::test]
async fn a_digest_sees_every_digit() {
    let source = Store::sqlite().await;
    fill(&source.db).await;
    let mut digests = Vec::new();
    for text in [
        "1.0000000000000000000000001",
        "1.0000000000000000000000002",
        "1",
    ] {
        set_details(&source.db, 1, text).await;
        let digest = digest_database(&source.db).await.unwrap();
        assert!(!digests.contains(&digest), "{text}");
        digests.push(digest);
    }
    source.finish().await;
}

/// PostgreSQL has no U+0000: who reads the message must find the row.
#[tokio::test]
async fn what_postgres_cannot_store_is_named() {
    let Some(target) = Store::on(Dialect::Postgres).await else {
        return;
    };
    let source = Store::sqlite().await;
    fill(&source.db).await;
    set_details(&source.db, 8, r#"{"secret": ["\\u0000"]}"#).await;
    set_details(&source.db, 7, r#"{"secret": ["\u0000"]}"#).await;
    let error = copy(&source.db, &target.db).await.unwrap_err();
    let said = error.to_string();
    assert!(
        matches!(error.kind(), ErrorKind::Unsupported { .. }),
        "{said}"
    );
    assert!(
        said.contains("`things.details`, in the row with `id` 7"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
    set_details(&source.db, 7, "{}").await;
    let text = "UPDATE things SET about = 'a' || char(0) WHERE id = 9";
    source.db.execute_alone(text).await.unwrap();
    let said = copy(&source.db, &target.db).await.unwrap_err().to_string();
    assert!(
        said.contains("`things.about`, in the row with `id` 9"),
        "{said}"
    );
    source
        .db
        .execute("UPDATE things SET about = 'a' WHERE id = 9", params! {})
        .await
        .unwrap();
    // Numbers beyond what its numeric holds.
    for number in ["1e200000", "1e-20000"] {
        set_details(&source.db, 7, number).await;
        let said = copy(&source.db, &target.db).await.unwrap_err().to_string();
        assert!(said.contains("`things`"), "{number}: {said}");
    }
    source.finish().await;
    target.finish().await;
}

#[tokio::test]
async fn a_value_that_is_not_of_its_type_stops_the_copy() {
    let (source, target) = (Store::sqlite().await, Store::sqlite().await);
    fill(&source.db).await;
    source
        .db
        .execute(
            "UPDATE things SET details = 'no JSON' WHERE id = 7",
            params! {},
        )
        .await
        .unwrap();
    let error = copy(&source.db, &target.db).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`things.details` wants JSON and got text"
    );
    source.finish().await;
    target.finish().await;
}
