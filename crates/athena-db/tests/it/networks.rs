//! Networks between us and a server that lose answers or fall silent.

use athena_db::{Builder, Database, Dialect, Executor, Scalar, TxOptions, params};
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
