//! TLS to servers in every mode, with the right and the wrong authority and host.
//!
//! The far end of PostgreSQL is PgBouncer, which has its own certificate and insists on TLS.

use std::path::Path;
use std::time::Duration;

use athena_db::{Database, ErrorKind, Executor, Result, Scalar, TxOptions, params};
use athena_testserver::{Authority, Identity, MariaDb, PgBouncer, Postgres};

/// Where the certificate says that the server is, and another way to it.
const NAMED: &str = "localhost";
const UNNAMED: &str = "127.0.0.1";

fn insisting(server: &Postgres, identity: &Identity, more: &str, root: &Path) -> PgBouncer {
    let settings = "client_tls_sslmode = require\nclient_tls_cert_file = {folder}/server.crt\n\
                    client_tls_key_file = {folder}/server.key\nclient_tls_ca_file = {folder}/root.crt\n";
    let read = |path: &Path| std::fs::read(path).unwrap();
    PgBouncer::start(
        server,
        &format!("{settings}{more}"),
        &[
            ("server.crt", read(&identity.certificate)),
            ("server.key", read(&identity.key)),
            ("root.crt", read(root)),
        ],
    )
}

async fn connect(url: String) -> Result<()> {
    let db = Database::open(&url).await?;
    let Scalar(one): Scalar<i32> = db.fetch_one("SELECT 1", params! {}).await?;
    assert_eq!(one, 1);
    db.close().await
}

#[tokio::test]
async fn every_mode_trusts_whom_it_should() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let (ours, others) = (Authority::new(), Authority::new());
    let identity = ours.identity("server", &format!("DNS:{NAMED}"));
    let pooler = insisting(&server, &identity, "", &ours.root());
    let (right, wrong) = (ours.root(), others.root());
    let own = identity.certificate.clone();
    let named = |path: &Path| format!("&sslrootcert={}", path.display());
    let cases = [
        ("", String::new(), true, true),
        ("disable", String::new(), false, false),
        ("allow", String::new(), true, true),
        ("prefer", String::new(), true, true),
        ("require", String::new(), true, true),
        ("require", named(&right), true, true),
        ("require", named(&wrong), false, false),
        ("verify-ca", named(&right), true, true),
        ("verify-ca", named(&own), true, true),
        ("verify-ca", named(&wrong), false, false),
        ("verify-ca", "&sslrootcert=system".to_owned(), false, false),
        ("verify-ca", String::new(), false, false),
        ("verify-full", named(&right), true, false),
        ("verify-full", named(&own), true, false),
        ("verify-full", named(&wrong), false, false),
        (
            "verify-full",
            "&sslrootcert=system".to_owned(),
            false,
            false,
        ),
    ];
    for (mode, roots, at_name, at_address) in cases {
        for (host, welcome) in [(NAMED, at_name), (UNNAMED, at_address)] {
            let mode = if mode.is_empty() {
                String::new()
            } else {
                format!("sslmode={mode}")
            };
            let url = format!("{}?{mode}{roots}", pooler.url(host));
            let result = connect(url).await;
            assert_eq!(
                result.is_ok(),
                welcome,
                "{mode}{roots} at {host}: {result:?}"
            );
            if let Err(error) = result {
                assert!(error.is_connection(), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_good_for_those_who_do_not_insist() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let root = Authority::new();
    for (mode, welcome) in [
        ("disable", true),
        ("allow", true),
        ("prefer", true),
        ("require", false),
        ("verify-ca", false),
        ("verify-full", false),
    ] {
        let root = root.root();
        let roots = if mode.starts_with("verify") {
            format!("&sslrootcert={}", root.display())
        } else {
            String::new()
        };
        let result = connect(format!("{}?sslmode={mode}{roots}", server.url())).await;
        assert_eq!(result.is_ok(), welcome, "{mode}: {result:?}");
        if let Err(error) = result {
            assert!(error.to_string().contains("TLS"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_client_may_have_to_show_a_certificate_of_its_own() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let ours = Authority::new();
    let identity = ours.identity("server", &format!("DNS:{NAMED}"));
    let client = ours.identity("athena", "DNS:client");
    let stranger = Authority::new().identity("athena", "DNS:client");
    let more = "client_tls_sslmode = verify-full\n";
    let pooler = insisting(&server, &identity, more, &ours.root());
    let url = format!("{}?sslmode=require", pooler.url(NAMED));
    let with = |identity: &Identity| {
        format!(
            "{url}&sslcert={}&sslkey={}",
            identity.certificate.display(),
            identity.key.display()
        )
    };
    assert!(connect(url.clone()).await.unwrap_err().is_connection());
    connect(with(&client)).await.unwrap();
    // The files of the stranger went with its authority.
    let error = connect(with(&stranger)).await.unwrap_err();
    assert!(error.to_string().contains("sslkey"), "{error}");
}

#[tokio::test]
async fn statements_are_stopped_through_tls_as_well() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let ours = Authority::new();
    let identity = ours.identity("server", &format!("DNS:{NAMED}"));
    let pooler = insisting(&server, &identity, "", &ours.root());
    let url = format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        pooler.url(NAMED),
        ours.root().display()
    );
    let db = Database::builder(&url)
        .max_connections(1)
        .open()
        .await
        .unwrap();
    let options = TxOptions::default().with_deadline(Duration::from_millis(200));
    let tx = db.begin(options).await.unwrap();
    let late = tx.execute("SELECT pg_sleep(600)", params! {}).await;
    assert!(matches!(late.unwrap_err().kind(), ErrorKind::Timeout(_)));
    drop(tx);
    let watcher = Database::open(&server.url()).await.unwrap();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' \
                    AND state = 'active' AND pid <> pg_backend_pid()";
    loop {
        let Scalar(count): Scalar<i64> = watcher.fetch_one(sleeping, params! {}).await.unwrap();
        if count == 0 {
            break;
        }
    }
    let Scalar(one): Scalar<i32> = db.fetch_one("SELECT 1", params! {}).await.unwrap();
    assert_eq!(one, 1);
}

#[tokio::test]
async fn mariadb_is_trusted_in_every_mode_as_it_should() {
    let (ours, others) = (Authority::new(), Authority::new());
    let identity = ours.identity("server", &format!("DNS:{NAMED}"));
    let Some(server) = MariaDb::start_with_tls(&identity) else {
        return;
    };
    let named = |path: &Path| format!("&sslrootcert={}", path.display());
    let (right, wrong) = (named(&ours.root()), named(&others.root()));
    for (options, at_name, at_address, encrypted) in [
        ("sslmode=disable".to_owned(), true, true, false),
        ("sslmode=allow".to_owned(), true, true, false),
        (String::new(), true, true, true),
        ("sslmode=prefer".to_owned(), true, true, true),
        ("sslmode=require".to_owned(), true, true, true),
        (format!("sslmode=require{wrong}"), false, false, true),
        // The driver looks at the name in this mode, too.
        (format!("sslmode=verify-ca{right}"), true, false, true),
        (format!("sslmode=verify-ca{wrong}"), false, false, true),
        ("sslmode=verify-ca".to_owned(), false, false, true),
        (format!("sslmode=verify-full{right}"), true, false, true),
        (format!("sslmode=verify-full{wrong}"), false, false, true),
    ] {
        for (host, welcome) in [(NAMED, at_name), (UNNAMED, at_address)] {
            let url = format!("{}?{options}", server.url_at(host));
            let opened = Database::open(&url).await;
            assert_eq!(opened.is_ok(), welcome, "{options} at {host}: {opened:?}");
            match opened {
                Ok(db) => assert_eq!(is_encrypted(&db).await, encrypted, "{options}"),
                Err(error) => assert!(error.is_connection(), "{error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn mariadb_without_tls_is_good_for_those_who_do_not_insist() {
    let Some(server) = MariaDb::start() else {
        return;
    };
    for (mode, welcome) in [
        ("disable", true),
        ("allow", true),
        ("prefer", true),
        ("require", false),
    ] {
        let opened = Database::open(&format!("{}?sslmode={mode}", server.url())).await;
        assert_eq!(opened.is_ok(), welcome, "{mode}: {opened:?}");
        if let Err(error) = opened {
            assert!(error.to_string().contains("TLS"), "{error}");
        }
    }
}

async fn is_encrypted(db: &Database) -> bool {
    let (_, cipher): (String, String) = db
        .fetch_one("SHOW SESSION STATUS LIKE 'Ssl_cipher'", params! {})
        .await
        .unwrap();
    !cipher.is_empty()
}
