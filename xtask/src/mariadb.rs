//! MariaDB, from the system's packages.
//!
//! It promises durability, because fault tests kill it, and is set up unlike what Athena wants
//! wherever a session can put that right: the time zone, the SQL mode, the collation. A statement
//! that depends on a server's defaults shows up here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::server::{ACCOUNT, Home, Owner, Server, Service, Site, directory_on_path};
use crate::workspace::output;

/// The service.
pub(crate) struct MariaDb;

impl Service for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn variables(&self) -> &'static str {
        "ATHENA_TEST_MYSQL"
    }

    fn programs(&self, _: &Home, _: &Owner) -> Result<PathBuf> {
        let server = directory_on_path("mariadbd");
        let client = directory_on_path("mariadb").zip(directory_on_path("mariadb-install-db"));
        server.filter(|_| client.is_some()).context(
            "there is no MariaDB (on Debian: apt-get install mariadb-server-core \
             mariadb-client-core); set ATHENA_TEST_MYSQL_URL to a server of yours or run with \
             --backend sqlite",
        )
    }

    fn initialise(&self, site: &Site<'_>, password: &str) -> Result<()> {
        let install = directory_on_path("mariadb-install-db").context("`mariadb-install-db`")?;
        output(
            site.owner
                .command(install.join("mariadb-install-db"))
                .arg("--no-defaults")
                .arg(option("datadir", &site.home.cluster()))
                .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
                .args(["--skip-name-resolve", "--innodb-log-file-size=32M"]),
        )
        .context("the database cluster cannot be made")?;
        let account = format!(
            "CREATE USER IF NOT EXISTS {ACCOUNT}@'%' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO {ACCOUNT}@'%' WITH GRANT OPTION;\n\
             DROP USER IF EXISTS root@localhost, root@'127.0.0.1', root@'::1', ''@localhost;\n"
        );
        site.write_secret(ACCOUNT_FILE, &account)?;
        Ok(())
    }

    fn serve(&self, site: &Site<'_>, port: u16) -> Command {
        let data = site.home.data();
        let mut command = site.command("mariadbd");
        command
            .arg("--no-defaults")
            .arg(option("datadir", &site.home.cluster()))
            .arg(option("pid-file", &site.home.cluster().join(PROCESS_FILE)))
            .arg(option("socket", &data.join("socket")))
            .arg(option("init-file", &data.join(ACCOUNT_FILE)))
            .arg(format!("--port={port}"))
            .args(SETTINGS);
        command
    }

    fn port_is_taken(&self, log: &str) -> bool {
        log.contains("Address already in use")
    }

    fn process_file(&self) -> &'static str {
        PROCESS_FILE
    }

    fn signals(&self) -> &'static [&'static str] {
        &["TERM", "KILL"]
    }

    fn query(&self, _: &Path, url: &str, statement: &str) -> Result<String> {
        let (password, port, database) = parse(url).context("a URL that we did not make")?;
        let client = directory_on_path("mariadb").context("there is no `mariadb`")?;
        output(
            Command::new(client.join("mariadb"))
                .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"])
                .args(["--batch", "--skip-column-names", "--connect-timeout=5"])
                .args([format!("--user={ACCOUNT}"), format!("--port={port}")])
                .args(["--execute", statement, database])
                .env("MYSQL_PWD", password),
        )
    }

    fn furnish(&self, site: &Site<'_>, server: &mut Server) -> Result<()> {
        let version = self.query(&server.bin, &server.url, "SELECT version()")?;
        server.description = format!("MariaDB {}", version.trim());
        fs::remove_file(site.home.data().join(ACCOUNT_FILE))
            .context("the account's file cannot be removed")
    }

    fn system_database(&self) -> &'static str {
        "mysql"
    }

    fn url(&self, password: &str, port: u16, database: &str) -> String {
        format!("mysql://{ACCOUNT}:{password}@127.0.0.1:{port}/{database}")
    }
}

const ACCOUNT_FILE: &str = "account.sql";
const PROCESS_FILE: &str = "server.pid";

const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--max-connections=200",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-log-file-size=32M",
    "--innodb-buffer-pool-size=128M",
    "--skip-log-bin",
    "--default-time-zone=+05:45",
    "--sql-mode=",
    "--character-set-server=latin1",
    "--collation-server=latin1_swedish_ci",
];

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// Takes one of our URLs apart.
fn parse(url: &str) -> Option<(&str, &str, &str)> {
    let (account, place) = url.split_once('@')?;
    let password = account.rsplit_once(':')?.1;
    let (address, database) = place.split_once('/')?;
    Some((password, address.rsplit_once(':')?.1, database))
}
