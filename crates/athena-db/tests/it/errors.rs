//! The same mistakes have the same kinds everywhere, and no message shows a value.

use athena_db::{Database, Dialect, Error, ErrorKind, Executor, Row, TxOptions, params};

use crate::backends::{Store, mysql_url, postgres_url, story};

story! {
    #[tokio::test]
    async fn constraints_have_portable_kinds(store: Store) {
        store.create("parents (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, CONSTRAINT short_name CHECK (length(name) < 20))").await;
        store.create("children (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parents (id), a BIGINT, b BIGINT, UNIQUE (a, b))").await;
        let run = async |sql: &'static str| -> Error {
            let error = store.db.execute(sql, params! {}).await.unwrap_err();
            assert!(error.code().is_some(), "{error:?}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            error
        };
        store.db.execute("INSERT INTO parents (id, name) VALUES (1, 'secret')", params! {}).await.unwrap();
        store.db.execute("INSERT INTO children (id, parent, a, b) VALUES (1, 1, 1, 1)", params! {}).await.unwrap();

        let columns = |error: Error| match error.kind() {
            ErrorKind::Unique { columns, .. } => columns.join("+"),
            other => panic!("{other:?}"),
        };
        assert_eq!(columns(run("INSERT INTO parents (id, name) VALUES (2, 'secret')").await), "name");
        assert_eq!(columns(run("INSERT INTO parents (id, name) VALUES (1, 'other')").await), "id");
        assert_eq!(columns(run("INSERT INTO children (id, parent, a, b) VALUES (2, 1, 1, 1)").await), "a+b");
        assert_eq!(*run("INSERT INTO children (id, parent) VALUES (3, 99)").await.kind(), ErrorKind::ForeignKey);
        assert_eq!(*run("DELETE FROM parents WHERE id = 1").await.kind(), ErrorKind::ForeignKey);
        assert_eq!(*run("INSERT INTO parents (id, name) VALUES (4, NULL)").await.kind(), ErrorKind::NotNull { column: Some("name".to_owned()) });
        let check = run("INSERT INTO parents (id, name) VALUES (5, 'secret secret secret secret')").await;
        assert_eq!((check.kind(), check.constraint()), (&ErrorKind::Check, Some("short_name")));
        assert!(!check.is_retryable());
    }
}

story! {
    #[tokio::test]
    async fn wrong_statements_are_syntax_errors(store: Store) {
        for sql in [
            "SELEC 1",
            "SELECT 1 FROM nowhere",
            "SELECT \"nothing\"",
            "SELECT 'open",
            "SELECT 1; SELECT 2",
            "  -- nothing",
        ] {
            let error = store
                .db
                .fetch_all::<Row>(sql, params! {})
                .await
                .unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Syntax { .. }),
                "{sql}: {error}"
            );
        }
    }
}

story! {
    #[tokio::test]
    async fn deferred_constraints_fail_the_commit_and_nobody_else(store: Store) {
        store.create("parents (id BIGINT PRIMARY KEY)").await;
        let children = "children (id BIGINT PRIMARY KEY, parent BIGINT REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)";
        if store.dialect() == Dialect::MySql {
            // It has no such thing and says so.
            let error = store.db.execute(format!("CREATE TABLE {children}"), params! {}).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Syntax { .. }), "{error}");
            return;
        }
        store.create(children).await;
        let orphan = "INSERT INTO children (id, parent) VALUES (:id, 99)";
        assert!(store.db.execute(orphan, params! { id: 1 }).await.unwrap_err().is_foreign_key_violation());
        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        tx.execute(orphan, params! { id: 1 }).await.unwrap();
        assert!(tx.commit().await.unwrap_err().is_foreign_key_violation());

        // Next to others that share the commit, through every door.
        let mut tasks = Vec::new();
        for id in 10..40 {
            let db = store.db.clone();
            tasks.push(tokio::spawn(async move {
                match id % 3 {
                    0 => (id, db.execute(orphan, params! { id: id }).await),
                    1 => (id, db.execute("INSERT INTO parents (id) VALUES (:id)", params! { id: id }).await),
                    _ => (id, db.transaction(TxOptions::default(), |tx| Box::pin(async move { tx.execute("INSERT INTO parents (id) VALUES (:id)", params! { id: id }).await })).await),
                }
            }));
        }
        for task in tasks {
            let (id, result) = task.await.unwrap();
            match id % 3 {
                0 => assert!(result.unwrap_err().is_foreign_key_violation()),
                _ => assert_eq!(result.unwrap(), 1),
            }
        }
        assert_eq!((store.count("parents").await, store.count("children").await), (20, 0));
    }
}

#[tokio::test]
async fn places_that_cannot_be_opened_are_named_and_passwords_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(
        &path,
        "this is no database, though it is long enough to look like a header of one".repeat(20),
    )
    .unwrap();
    let cases = [
        ("".to_owned(), "scheme"),
        ("oracle://x".to_owned(), "oracle"),
        ("sqlite:".to_owned(), "names no file"),
        (
            format!(
                "sqlite://{}?mode=rw",
                folder.path().join("missing.db").display()
            ),
            "missing.db",
        ),
        (
            format!(
                "sqlite://{}?mode=ro",
                folder.path().join("missing.db").display()
            ),
            "missing.db",
        ),
        (
            format!(
                "sqlite://{}?cache=shared",
                folder.path().join("x.db").display()
            ),
            "cache=shared",
        ),
        (
            format!(
                "sqlite:{}",
                folder.path().join("no/such/folder.db").display()
            ),
            "folder.db",
        ),
        (format!("sqlite:{}", path.display()), "notes.txt"),
        (
            "postgres://athena:hunter2@127.0.0.1:1/store".to_owned(),
            "`127.0.0.1:1`, database `store`",
        ),
        (
            "postgres://athena:hunter2@127.0.0.1:port/store".to_owned(),
            "URL",
        ),
        (
            "mysql://athena:hunter2@127.0.0.1:1/store".to_owned(),
            "`127.0.0.1:1`, database `store`",
        ),
        (
            "mariadb://athena:hunter2@127.0.0.1:port/store".to_owned(),
            "URL",
        ),
    ];
    for (url, named) in cases {
        let error = Database::open(&url).await.unwrap_err();
        assert!(error.is_connection(), "{url}: {error:?}");
        assert!(error.to_string().contains(named), "{url}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    for url in postgres_url().into_iter().chain(mysql_url()) {
        let mut parts: Vec<&str> = url.split('/').collect();
        *parts.last_mut().unwrap() = "no_such_database";
        let error = Database::open(&parts.join("/")).await.unwrap_err();
        assert!(
            error.is_connection() && error.to_string().contains("no_such_database"),
            "{error:?}"
        );
    }
}

story! {
    #[tokio::test]
    async fn a_closed_database_says_so(store: Store) {
        let db = store.another().await;
        assert!(db.ping().await.unwrap().version.contains(' '));
        db.close().await.unwrap();
        assert!(
            db.execute("SELECT 1", params! {})
                .await
                .unwrap_err()
                .is_connection()
        );
        assert!(
            db.fetch_all::<Row>("SELECT 1", params! {})
                .await
                .unwrap_err()
                .is_connection()
        );
        assert!(
            db.begin(TxOptions::default())
                .await
                .unwrap_err()
                .is_connection()
        );
    }
}

story! {
    #[tokio::test]
    async fn a_database_opened_to_read_refuses_writes(store: Store) {
        store.create("t (id BIGINT PRIMARY KEY)").await;
        let reader = store.builder().read_only(true).open().await.unwrap();
        let error = reader
            .execute("INSERT INTO t (id) VALUES (1)", params! {})
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ReadOnly, "{error}");
        let error = reader
            .fetch_all::<Row>("INSERT INTO t (id) VALUES (1) RETURNING id", params! {})
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ReadOnly, "{error}");
        assert_eq!(
            reader
                .fetch_all::<Row>("SELECT id FROM t", params! {})
                .await
                .unwrap()
                .len(),
            0
        );
        reader.close().await.unwrap();

        // The same when no writer is there that keeps SQLite's log open.
        store.db.close().await.unwrap();
        let reader = store.builder().read_only(true).open().await.unwrap();
        assert_eq!(
            reader
                .fetch_all::<Row>("SELECT id FROM t", params! {})
                .await
                .unwrap()
                .len(),
            0
        );
        reader.close().await.unwrap();
    }
}

#[tokio::test]
async fn an_unwritable_file_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let db = Database::open(&url).await.unwrap();
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT", params! {})
        .await
        .unwrap();
    db.close().await.unwrap();
    let path = folder.path().join("store.db");
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    match Database::open(&url).await {
        Err(error) => assert!(
            *error.kind() == ErrorKind::ReadOnly && error.to_string().contains("mode=ro"),
            "{error:?}"
        ),
        // Root may write everything.
        Ok(db) => assert!(
            db.execute("INSERT INTO t (id) VALUES (1)", params! {})
                .await
                .is_ok()
        ),
    }
}

story! {
    #[tokio::test]
    async fn a_type_that_was_made_anew_is_met_anew(store: Store) {
        if store.dialect() != Dialect::Postgres {
            return;
        }
        for round in 0..2 {
            for statement in [
                "DROP TABLE IF EXISTS moods",
                "DROP TYPE IF EXISTS mood",
                "CREATE TYPE mood AS ENUM ('calm')",
                "CREATE TABLE moods (m mood)",
            ] {
                store.db.execute(statement, params! {}).await.unwrap();
            }
            let insert = "INSERT INTO moods (m) VALUES (:m::text::mood)";
            store.db.execute(insert, params! { m: "calm" }).await.unwrap();
            let insert = "INSERT INTO moods (m) VALUES (:m)";
            let inserted = store.db.execute(insert, params! { m: "calm" }).await;
            assert_eq!(inserted.unwrap(), 1, "round {round}");
        }
    }
}
