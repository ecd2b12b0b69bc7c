//! A PostgreSQL for the peers: the one of the tests, with the memory that a search index wants.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::postgres::Postgres;
use crate::server::{self, Home, Owner, Server, Service, Site};

/// A running server; stopped and removed when dropped.
pub(super) struct Running(Server);

impl Running {
    /// Starts it, after what an interrupted run may have left behind.
    pub(super) fn start() -> Result<Running> {
        server::stop(&Tuned)?;
        server::start(&Tuned).map(Running)
    }

    pub(super) fn url(&self) -> &str {
        &self.0.url
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = server::stop(&Tuned) {
            eprintln!("PostgreSQL does not stop: {error:#}");
        }
    }
}

/// Everything is as it is for tests but the name, by which its directory is told from theirs, and
/// the memory.
struct Tuned;

impl Service for Tuned {
    fn name(&self) -> &'static str {
        "postgres-bench"
    }

    fn variables(&self) -> &'static str {
        Postgres.variables()
    }

    fn programs(&self, home: &Home, owner: &Owner) -> Result<PathBuf> {
        Postgres.programs(home, owner)
    }

    fn initialise(&self, site: &Site<'_>, password: &str) -> Result<()> {
        Postgres.initialise(site, password)
    }

    fn serve(&self, site: &Site<'_>, port: u16) -> Command {
        let mut command = Postgres.serve(site, port);
        command.args(["-c", "shared_buffers=2GB"]);
        command.args(["-c", "maintenance_work_mem=1GB"]);
        command.args(["-c", "work_mem=64MB"]);
        command.args(["-c", "max_wal_size=4GB"]);
        command
    }

    fn port_is_taken(&self, log: &str) -> bool {
        Postgres.port_is_taken(log)
    }

    fn process_file(&self) -> &'static str {
        Postgres.process_file()
    }

    fn signals(&self) -> &'static [&'static str] {
        Postgres.signals()
    }

    fn query(&self, bin: &Path, url: &str, statement: &str) -> Result<String> {
        Postgres.query(bin, url, statement)
    }

    fn furnish(&self, site: &Site<'_>, server: &mut Server) -> Result<()> {
        Postgres.furnish(site, server)
    }

    fn system_database(&self) -> &'static str {
        Postgres.system_database()
    }

    fn url(&self, password: &str, port: u16, database: &str) -> String {
        Postgres.url(password, port, database)
    }
}
