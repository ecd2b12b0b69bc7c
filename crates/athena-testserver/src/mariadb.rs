//! A private MariaDB.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::certificates::Identity;
use crate::postgres::PASSWORD;
use crate::process::{append_to, free_port, succeed, wait_until};
use crate::programs::{Programs, directory_of};

/// A server of its own on a free loopback port; killed and removed when dropped.
#[derive(Debug)]
pub struct MariaDb {
    programs: Programs,
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    server: Option<Child>,
}

/// Durable, and unlike what Athena wants wherever a session can put that right.
const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-log-file-size=16M",
    "--innodb-buffer-pool-size=32M",
    "--default-time-zone=+05:45",
    "--sql-mode=",
];

impl MariaDb {
    /// Starts a server, or returns none in the narrow run.
    ///
    /// # Panics
    ///
    /// It is not installed or does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::prepare().map(Self::started)
    }

    /// Starts a server that shows a certificate, or returns none in the narrow run.
    ///
    /// # Panics
    ///
    /// It is not installed or does not start.
    #[must_use]
    pub fn start_with_tls(identity: &Identity) -> Option<Self> {
        let mut server = Self::prepare()?;
        for (option, file) in [("cert", &identity.certificate), ("key", &identity.key)] {
            let own = server.data().join(option);
            fs::copy(file, &own).unwrap();
            server.programs.give(&own);
            let option = format!("--ssl-{option}={}", own.display());
            server.options.push(option);
        }
        Some(server.started())
    }

    fn prepare() -> Option<Self> {
        let programs = Programs::find("ATHENA_TEST_MYSQL", "mariadbd")?;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let server = Self {
            programs,
            folder,
            port: free_port(),
            options: Vec::new(),
            server: None,
        };
        server.initialise();
        Some(server)
    }

    fn started(mut self) -> Self {
        self.restart();
        self
    }

    /// Returns the URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    /// Returns the URL of its database, by the host's name or address.
    #[must_use]
    pub fn url_at(&self, host: &str) -> String {
        format!("mysql://athena:{PASSWORD}@{host}:{}/athena", self.port)
    }

    /// Returns the port that it listens on, also while it is down.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Panics
    ///
    /// It does not die.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Shuts it down as an administrator does.
    ///
    /// # Panics
    ///
    /// It does not go.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts it again on the same data and port and waits until it has recovered.
    ///
    /// # Panics
    ///
    /// It does not come up.
    pub fn restart(&mut self) {
        let mut server = self
            .programs
            .command("mariadbd")
            .arg("--no-defaults")
            .arg(option("datadir", &self.cluster()))
            .arg(option("tmpdir", &self.scratch()))
            .arg(option("socket", &self.data().join("socket")))
            .arg(option("init-file", &self.account()))
            .arg(format!("--port={}", self.port))
            .args(SETTINGS)
            .args(&self.options)
            .stdout(append_to(&self.log()))
            .stderr(append_to(&self.log()))
            .spawn()
            .unwrap();
        wait_until(|| {
            if let Some(status) = server.try_wait().unwrap() {
                let said = fs::read_to_string(self.log()).unwrap_or_default();
                panic!("mariadbd ended with {status}: {said}");
            }
            self.answers()
        });
        self.server = Some(server);
    }

    fn initialise(&self) {
        fs::create_dir(self.data()).unwrap();
        fs::create_dir(self.scratch()).unwrap();
        self.programs.give(&self.data());
        self.programs.give(&self.scratch());
        let install = directory_of("mariadb-install-db").expect("there is no `mariadb-install-db`");
        succeed(
            self.programs
                .run(&install.join("mariadb-install-db"))
                .arg("--no-defaults")
                .arg(option("datadir", &self.cluster()))
                .arg(option("tmpdir", &self.scratch()))
                .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
                .args(["--skip-name-resolve", "--innodb-log-file-size=16M"]),
        );
        let account = format!(
            "CREATE USER IF NOT EXISTS athena@'%' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON *.* TO athena@'%' WITH GRANT OPTION;\n\
             CREATE DATABASE IF NOT EXISTS athena CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;\n"
        );
        fs::write(self.account(), account).unwrap();
        self.programs.give(&self.account());
    }

    /// It greets whoever comes, once it is ready.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream.read_exact(&mut [0; 5]).is_ok()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn cluster(&self) -> PathBuf {
        self.data().join("cluster")
    }

    /// Its own, because a server that starts removes the temporary files of all others.
    fn scratch(&self) -> PathBuf {
        self.data().join("scratch")
    }

    fn account(&self) -> PathBuf {
        self.data().join("account.sql")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.kill();
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
