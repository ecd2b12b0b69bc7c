//! A small bank, the same on SQLite, PostgreSQL and MySQL:
//!
//! ```sh
//! cargo run -p athena-db --example bank                       # a database in memory
//! cargo run -p athena-db --example bank -- sqlite:bank.db
//! cargo run -p athena-db --example bank -- postgres://user:password@host/database
//! ```

#![allow(clippy::print_stdout, reason = "a programme for a terminal")]

use athena_db::{
    Database, Decimal, Error, ErrorKind, Executor, FromRow, MigrationFile, MigrationSet, Result,
    Tx, TxOptions, params,
};
use jiff::Timestamp;

/// The tables, written once for every database.
const MIGRATIONS: MigrationSet = MigrationSet {
    name: "bank",
    files: &[MigrationFile::new(
        1,
        "accounts",
        "CREATE TABLE accounts (
           id INTEGER PRIMARY KEY,
           owner VARCHAR(100) NOT NULL UNIQUE,
           cents BIGINT NOT NULL CONSTRAINT never_negative CHECK (cents >= 0),
           rate DECIMAL(6, 4) NOT NULL DEFAULT 0,
           tags JSON NOT NULL,
           opened_at TIMESTAMP NOT NULL
         );",
    )],
};

/// What `SELECT * FROM accounts` is read into.
#[derive(FromRow)]
struct Account {
    owner: String,
    cents: i64,
    rate: Decimal,
    #[db(json)]
    tags: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1);
    let db = Database::open(url.as_deref().unwrap_or("sqlite::memory:")).await?;
    db.migrations(&MIGRATIONS).up().await?;
    db.execute("DELETE FROM accounts", params! {}).await?;

    open_accounts(&db).await?;
    transfer(&db, "ada", "grace", 2_500).await?;
    match transfer(&db, "grace", "ada", 1_000_000).await {
        Err(error) if matches!(error.kind(), ErrorKind::Check) => {
            println!("refused by {}", error.constraint().unwrap_or("a check"));
        }
        other => return other,
    }

    let names = vec!["ada", "grace"];
    let rich = "SELECT count(*) FROM accounts WHERE owner IN :names AND cents > 5000";
    let (rich,): (i64,) = db.fetch_one(rich, params! { names: names }).await?;
    println!("{rich} of them has more than 50.00");

    let mut accounts = db.stream::<Account>("SELECT * FROM accounts ORDER BY owner", params! {});
    while let Some(account) = accounts.next().await {
        let it = account?;
        println!(
            "{:8} {:>8} at {} %, {:?}",
            it.owner, it.cents, it.rate, it.tags
        );
    }
    drop(accounts);
    db.close().await
}

/// Many rows travel together.
async fn open_accounts(db: &Database) -> Result<()> {
    let now = Timestamp::now();
    let rows = ["ada", "grace", "edsger", "barbara"].map(|owner| {
        let rate: Decimal = "1.2500".parse().unwrap_or_default();
        let tags = serde_json::json!(["private", owner]);
        params! { owner: owner, cents: 5_000, rate: rate, tags: tags, now: now }
    });
    let insert = "INSERT INTO accounts (owner, cents, rate, tags, opened_at)
                  VALUES (:owner, :cents, :rate, :tags, :now)";
    let opened = db.execute_many(insert, rows.into()).await?;
    println!("{opened} accounts opened");
    Ok(())
}

/// All or nothing; run again by itself when it met another one.
async fn transfer(db: &Database, from: &str, to: &str, cents: i64) -> Result<()> {
    db.transaction(TxOptions::default(), |tx| {
        Box::pin(async move {
            add(tx, from, -cents).await?;
            add(tx, to, cents).await
        })
    })
    .await
}

async fn add(tx: &Tx<'_>, owner: &str, cents: i64) -> Result<()> {
    let update = "UPDATE accounts SET cents = cents + :cents WHERE owner = :owner";
    let values = params! { cents: cents, owner: owner };
    match tx.execute(update, values).await? {
        1 => Ok(()),
        _ => Err(Error::new(ErrorKind::NotFound, "there is no such account")),
    }
}
