//! Networks between us and a server that lose answers or fall silent.

use std::time::Duration;

use athena_db::{
    Builder, Database, Dialect, ErrorKind, Executor, Notification, Scalar, TxOptions, params,
};
use athena_testserver::{MariaDb, Postgres, Proxy};

const INSERT: &str = "INSERT INTO t (id) VALUES (:id)";
const COUNT: &str = "SELECT count(*) FROM t";

/// A server behind a network, and a way past it.
struct Remote {
    server: Server,
    proxy: Proxy,
    direct: Database,
}

enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Remote {
    /// Starts a server of each kind; none in the narrow run.
    async fn all() -> Vec<Self> {
        let servers = [
            Postgres::start().map(Server::Postgres),
            MariaDb::start().map(Server::MariaDb),
        ];
        let mut remotes = Vec::new();
        for server in servers.into_iter().flatten() {
            remotes.push(Self::of(server).await);
        }
        remotes
    }

    async fn of(server: Server) -> Self {
        let port = match &server {
            Server::Postgres(postgres) => postgres.port(),
            Server::MariaDb(mariadb) => mariadb.port(),
        };
        Self {
            direct: Database::open(&server.url()).await.unwrap(),
            proxy: Proxy::start(port),
            server,
        }
    }

    /// Opens a database through the network.
    fn builder(&self) -> Builder {
        Database::builder(&self.proxy.through(&self.server.url())).max_connections(1)
    }

    async fn run(&self, sql: &'static str) {
        self.direct.execute(sql, params! {}).await.unwrap();
    }
}

impl Server {
    fn url(&self) -> String {
        match self {
            Self::Postgres(postgres) => postgres.url(),
            Self::MariaDb(mariadb) => mariadb.url(),
        }
    }
}

async fn number(db: &impl Executor, sql: &'static str) -> athena_db::Result<i64> {
    let Scalar(number) = db.fetch_one::<Scalar<i64>>(sql, params! {}).await?;
    Ok(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_not_sent_again() {
    const NEXT: &str = "SELECT nextval('numbers')";
    for remote in Remote::all().await {
        remote.run("CREATE SEQUENCE numbers").await;
        let next = match remote.direct.dialect() {
            Dialect::MySql => "SELECT nextval(numbers)",
            _ => NEXT,
        };
        let db = remote.builder().open().await.unwrap();
        assert_eq!(number(&db, next).await.unwrap(), 1);
        remote.proxy.lose_an_answer();
        let lost = number(&db, next).await.unwrap_err();
        assert!(lost.is_connection(), "{lost:?}");
        assert_eq!(number(&db, next).await.unwrap(), 3, "the lost one was 2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_sent_is_sent_on_another_connection() {
    for remote in Remote::all().await {
        remote.run("CREATE TABLE t (id BIGINT PRIMARY KEY)").await;
        let db = remote.builder().open().await.unwrap();
        // New texts: that they cannot be prepared is noticed before anything is done.
        remote.proxy.cut();
        assert_eq!(number(&db, "SELECT 1").await.unwrap(), 1);
        remote.proxy.cut();
        db.execute(INSERT, params! { id: 1 }).await.unwrap();
        remote.proxy.cut();
        let tx = db.begin(TxOptions::default()).await.unwrap();
        tx.execute(INSERT, params! { id: 2 }).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(number(&remote.direct, COUNT).await.unwrap(), 2);
    }
}

/// A database that does not wait long, with a connection that was just used.
async fn quick(remote: &Remote) -> Database {
    let builder = remote.builder().statement_timeout(Duration::from_secs(1));
    let db = builder.open().await.unwrap();
    number(&db, COUNT).await.unwrap();
    db
}

/// Waits for something that takes its time, and no longer than a test has patience.
async fn bounded<T>(waiting: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(120);
    tokio::time::timeout(patience, waiting).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_holds_nobody_for_ever() {
    for remote in Remote::all().await {
        let remote = &remote;
        remote.run("CREATE TABLE t (id BIGINT PRIMARY KEY)").await;
        let options = TxOptions::default().with_deadline(Duration::from_secs(600));
        let begun = async |id: i64| {
            let db = quick(remote).await;
            let tx = db.begin(options).await.unwrap();
            tx.execute(INSERT, params! { id: id }).await.unwrap();
            (db, tx)
        };
        let (committing, tx) = begun(1).await;
        let (undoing, undone) = begun(2).await;
        let (leaving, left) = begun(3).await;
        let beginning = quick(remote).await;
        let reading = quick(remote).await;
        let writing = quick(remote).await;
        remote.proxy.fall_silent();

        let commit = async {
            let unknown = tx.commit().await.unwrap_err();
            assert_eq!(*unknown.kind(), ErrorKind::CommitUnknown, "{unknown:?}");
        };
        let begin = async {
            let tx = beginning.begin(options).await.unwrap();
            tx.rollback().await.unwrap();
        };
        // Where it was looked at before, the connection was replaced unseen.
        let read = async {
            if let Err(lost) = number(&reading, COUNT).await {
                assert!(lost.is_connection(), "{lost:?}");
            }
        };
        let write = async {
            if let Err(unknown) = writing.execute(INSERT, params! { id: 4 }).await {
                assert_eq!(*unknown.kind(), ErrorKind::CommitUnknown, "{unknown:?}");
            }
        };
        drop(left);
        let all = async { tokio::join!(commit, begin, read, write, undone.rollback()) };
        bounded(all).await.4.unwrap();
        // Each has one connection only: the silent one was given up for another.
        for db in [committing, undoing, leaving, beginning, reading, writing] {
            assert_eq!(bounded(number(&db, "SELECT 5")).await.unwrap(), 5);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_on_a_silent_line_gets_another() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let remote = Remote::of(Server::Postgres(server)).await;
    let db = remote.builder().open().await.unwrap();
    let mut first = db.listen("first").await.unwrap();
    remote.proxy.fall_silent();
    // The line may have been found silent before, and replaced.
    if let Err(refused) = bounded(db.listen("second")).await {
        assert!(refused.is_connection(), "{refused:?}");
    }
    let mut second = bounded(db.listen("second")).await.unwrap();
    for (channel, listener) in [("first", &mut first), ("second", &mut second)] {
        remote.direct.notify(channel, "said").await.unwrap();
        while bounded(listener.next()).await.unwrap() == Notification::Look {}
    }
}
