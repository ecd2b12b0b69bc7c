//! A private PgBouncer before a private PostgreSQL.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;

use tempfile::TempDir;

use crate::postgres::{PASSWORD, Postgres};
use crate::process::{append_to, free_port, wait_until};
use crate::programs::directory_of;

/// A pooler on a free loopback port; killed when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl PgBouncer {
    /// Starts a pooler with additional settings (lines of its `[pgbouncer]` section) and files
    /// beside them, which the settings name as `{folder}/name`.
    ///
    /// # Panics
    ///
    /// It is not installed or does not start.
    #[must_use]
    pub fn start(server: &Postgres, settings: &str, files: &[(&str, Vec<u8>)]) -> Self {
        let directory = directory_of("pgbouncer")
            .expect("there is no `pgbouncer` (on Debian: apt-get install pgbouncer)");
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        let place = folder.path().display().to_string();
        let own = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {place}/users\nignore_startup_parameters = extra_float_digits\n{}\n",
            server.port(),
            settings.replace("{folder}", &place)
        );
        let users = format!("\"athena\" \"{PASSWORD}\"\n");
        let all = [
            ("settings", own.into_bytes()),
            ("users", users.into_bytes()),
        ];
        for (name, content) in all.iter().chain(files) {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            server.programs().give(&path);
        }
        let child = server
            .programs()
            .run(&directory.join("pgbouncer"))
            .arg(folder.path().join("settings"))
            .stdout(append_to(&folder.path().join("log")))
            .stderr(append_to(&folder.path().join("log")))
            .spawn()
            .unwrap();
        let mut pooler = Self {
            child,
            port,
            folder,
        };
        wait_until(|| {
            if let Some(status) = pooler.child.try_wait().unwrap() {
                let said = fs::read_to_string(pooler.folder.path().join("log")).unwrap();
                panic!("pgbouncer ended with {status}: {said}");
            }
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        pooler
    }

    /// Returns the URL of the database behind it, by the host's name or address.
    #[must_use]
    pub fn url(&self, host: &str) -> String {
        format!("postgres://athena:{PASSWORD}@{host}:{}/postgres", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
