//! A private PostgreSQL that a test may kill.
//!
//! `cargo xtask test` says in `ATHENA_TEST_POSTGRES_BIN` where the programs are and, for root, in
//! `ATHENA_TEST_POSTGRES_USER` who is to run them. Without the former they are looked for on the
//! search path.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{self, PATIENCE, finish};

const PASSWORD: &str = "private-and-killed";

/// A server of its own on a free loopback port; killed and removed when dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: Programs,
    folder: TempDir,
    port: u16,
    postmaster: Option<Child>,
}

/// The programs of PostgreSQL and who runs them.
#[derive(Debug)]
struct Programs {
    directory: PathBuf,
    user: Option<String>,
}

impl Postgres {
    /// Starts a server, or returns none in the narrow run.
    pub(crate) fn start() -> Option<Self> {
        athena_testkit::postgres_url()?;
        let programs = Programs::find();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut server = Self {
            programs,
            folder,
            port: free_port(),
            postmaster: None,
        };
        server.initialise();
        server.restart();
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://athena:{PASSWORD}@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// Kills all its processes as `kill -9` does; the postmaster has no time to tell anybody.
    pub(crate) fn kill(&mut self) {
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

    /// Starts it again on the same data and port and waits until it has recovered.
    pub(crate) fn restart(&mut self) {
        let mut postmaster = self
            .programs
            .command("postgres")
            .arg("-D")
            .arg(self.cluster())
            .args(["-p", &self.port.to_string()])
            .stdout(process::append_to(&self.log()))
            .stderr(process::append_to(&self.log()))
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

    fn initialise(&self) {
        let data = self.folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let password = self.folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        self.programs.give(&data);
        let output = finish(
            self.programs
                .command("initdb")
                .arg("--pgdata")
                .arg(self.cluster())
                .arg("--pwfile")
                .arg(password)
                .args(["--username=athena", "--auth=password", "--no-sync"])
                .args(["--encoding=UTF8", "--locale=C.UTF-8"]),
        );
        assert!(output.status.success(), "{}", process::stderr(&output));
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
        fs::write(file, defaults + settings).unwrap();
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

impl Programs {
    fn find() -> Self {
        let directory = match std::env::var_os("ATHENA_TEST_POSTGRES_BIN") {
            Some(directory) => PathBuf::from(directory),
            None => on_search_path().expect(
                "`initdb` is on the search path, or `ATHENA_TEST_POSTGRES_BIN` names its directory: \
                 this test kills a server of its own",
            ),
        };
        Self {
            directory,
            user: std::env::var("ATHENA_TEST_POSTGRES_USER").ok(),
        }
    }

    /// Prepares a program that runs as the user.
    fn command(&self, program: &str) -> Command {
        let program = self.directory.join(program);
        let mut command = match &self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={user}"))
                    .arg("--clear-groups")
                    .arg(program);
                command
            }
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Makes the user the owner of a directory.
    fn give(&self, directory: &std::path::Path) {
        if let Some(user) = &self.user {
            let given = Command::new("chown").arg(user).arg(directory).status();
            assert!(given.unwrap().success());
        }
    }
}

fn on_search_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter_map(|directory| fs::canonicalize(directory.join("initdb")).ok())
        .find_map(|initdb| Some(initdb.parent()?.to_owned()))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Returns the processes whose parent is `parent`.
fn children_of(parent: Pid) -> Vec<Pid> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| {
            stat(*pid).is_some_and(|(_, its_parent)| its_parent == parent.as_raw_nonzero().get())
        })
        .collect()
}

/// Whether there is such a process; one that has ended and was not yet collected is none.
fn is_alive(pid: Pid) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z")
}

/// Returns the state and the parent of a process.
fn stat(pid: Pid) -> Option<(String, i32)> {
    let line = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name before them is in parentheses and may hold anything.
    let (_, rest) = line.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// Waits for something that comes by itself; gives up on it after a long time.
fn wait_until(mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(
            Instant::now() < deadline,
            "it did not happen in {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
