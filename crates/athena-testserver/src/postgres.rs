//! A private PostgreSQL.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{append_to, children_of, free_port, is_alive, succeed, wait_until};
use crate::programs::Programs;

pub(crate) const PASSWORD: &str = "private-and-killed";

/// A server of its own on a free loopback port; killed and removed when dropped.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    folder: TempDir,
    port: u16,
    postmaster: Option<Child>,
}

impl Postgres {
    /// Starts a server, or returns none in the narrow run.
    ///
    /// # Panics
    ///
    /// It is not installed or does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// Starts a server with further settings, as `postgresql.conf` takes them, or returns none in
    /// the narrow run.
    ///
    /// # Panics
    ///
    /// It is not installed or does not start.
    #[must_use]
    pub fn start_with(settings: &str) -> Option<Self> {
        let programs = Programs::find("ATHENA_TEST_POSTGRES", "initdb")?;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut server = Self {
            programs,
            folder,
            port: free_port(),
            postmaster: None,
        };
        server.initialise(settings);
        server.restart();
        Some(server)
    }

    /// Returns the URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres://athena:{PASSWORD}@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// Returns the port that it listens on, also while it is down.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of all its files: its data and its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Kills all its processes as `kill -9` does; the postmaster has no time to tell anybody.
    ///
    /// # Panics
    ///
    /// They do not die.
    pub fn kill(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else {
            return;
        };
        let pid = Pid::from_child(&postmaster);
        // Stopped first, so that it starts no process after we have looked.
        kill_process(pid, Signal::STOP).unwrap();
        let children = children_of(pid);
        for child in &children {
            // It may have ended by itself.
            let _ = kill_process(*child, Signal::KILL);
        }
        kill_process(pid, Signal::KILL).unwrap();
        postmaster.wait().unwrap();
        wait_until(|| children.iter().all(|child| !is_alive(*child)));
    }

    /// Shuts it down as an administrator does who does not wait for its users.
    ///
    /// # Panics
    ///
    /// It does not go.
    pub fn stop(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            kill_process(Pid::from_child(&postmaster), Signal::INT).unwrap();
            postmaster.wait().unwrap();
        }
    }

    /// Starts it again on the same data and port and waits until it has recovered.
    ///
    /// # Panics
    ///
    /// It does not come up.
    pub fn restart(&mut self) {
        let mut postmaster = self
            .programs
            .command("postgres")
            .arg("-D")
            .arg(self.cluster())
            .args(["-p", &self.port.to_string()])
            .stdout(append_to(&self.log()))
            .stderr(append_to(&self.log()))
            .spawn()
            .unwrap();
        wait_until(|| {
            if let Some(status) = postmaster.try_wait().unwrap() {
                panic!("postgres ended with {status}: {}", self.said());
            }
            self.answers()
        });
        self.postmaster = Some(postmaster);
    }

    fn initialise(&self, further: &str) {
        let data = self.folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let password = self.folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        self.programs.give(&data);
        succeed(
            self.programs
                .command("initdb")
                .arg("--pgdata")
                .arg(self.cluster())
                .arg("--pwfile")
                .arg(password)
                .args(["--username=athena", "--auth=password", "--no-sync"])
                .args(["--encoding=UTF8", "--locale=C.UTF-8"]),
        );
        let settings = "
            listen_addresses = '127.0.0.1'
            unix_socket_directories = ''
            fsync = on
            synchronous_commit = on
            full_page_writes = on
            timezone = 'Asia/Kathmandu'
        ";
        let file = self.cluster().join("postgresql.conf");
        let defaults = fs::read_to_string(&file).unwrap();
        fs::write(file, defaults + settings + further).unwrap();
    }

    fn answers(&self) -> bool {
        let ready = self
            .programs
            .command("pg_isready")
            .args(["--quiet", "--host=127.0.0.1", "--timeout=5"])
            .arg(format!("--port={}", self.port))
            .status();
        ready.unwrap().success()
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("data/cluster")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}
