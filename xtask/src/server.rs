//! What the servers that tests need have in common: who runs them, where they live, how they end.
//!
//! A service is one implementation of [`Service`]; `services.rs` lists them and knows nothing
//! else about any of them.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::workspace::{self, last_lines, output};

const SYSTEM_USER: &str = "athena-test";

/// The account that tests use on every server; it may do everything there.
pub(crate) const ACCOUNT: &str = "athena";
/// The empty database that the URL of every server names.
pub(crate) const DATABASE: &str = "athena_test";

/// A kind of server that tests need.
pub(crate) trait Service {
    /// What people call it, and the name of its directory.
    fn name(&self) -> &'static str;

    /// What the names of its environment variables begin with.
    fn variables(&self) -> &'static str;

    /// Finds its programs, installing them below `target/` where that is possible.
    fn programs(&self, home: &Home, owner: &Owner) -> Result<PathBuf>;

    /// Makes its data directory, with an account of this password.
    fn initialise(&self, site: &Site<'_>, password: &str) -> Result<()>;

    /// The call that is the server, in the foreground, listening on `port`.
    fn serve(&self, site: &Site<'_>, port: u16) -> Command;

    /// What its log says when somebody else has the port.
    fn port_is_taken(&self, log: &str) -> bool;

    /// The file below the cluster whose first line is the number of its process.
    fn process_file(&self) -> &'static str;

    /// The signals that end it, politest first.
    fn signals(&self) -> &'static [&'static str];

    /// Runs one statement and returns its rows as text.
    fn query(&self, bin: &Path, url: &str, statement: &str) -> Result<String>;

    /// Makes what else tests expect of the server, and describes it.
    fn furnish(&self, site: &Site<'_>, server: &mut Server) -> Result<()>;

    /// A database that is always there.
    fn system_database(&self) -> &'static str;

    /// The URL of a database of the server on `port`.
    fn url(&self, password: &str, port: u16, database: &str) -> String;
}

/// A started server, as the state file remembers it.
pub(crate) struct Server {
    /// URL of an all-powerful account and an empty database.
    pub(crate) url: String,
    /// Directory of its programs, readable for the system user.
    pub(crate) bin: PathBuf,
    /// The system user to run a server as; none when we are not root.
    pub(crate) system_user: Option<String>,
    /// What it is, in a line.
    pub(crate) description: String,
    /// What cannot be tested with it and why.
    pub(crate) lacks: Option<(String, String)>,
}

/// Where and as whom a server is started.
pub(crate) struct Site<'a> {
    pub(crate) home: &'a Home,
    pub(crate) owner: &'a Owner,
    pub(crate) bin: &'a Path,
}

/// Installs what is missing and starts a fresh server.
///
/// # Errors
///
/// Fails when its programs cannot be had or when it does not come up; the message carries the
/// end of its log.
pub(crate) fn start(service: &dyn Service) -> Result<Server> {
    let owner = Owner::for_this_process()?;
    let home = Home::prepare(service, &owner)?;
    let bin = service.programs(&home, &owner)?;
    let site = Site {
        home: &home,
        owner: &owner,
        bin: &bin,
    };
    let password = random_hex()?;
    service.initialise(&site, &password)?;
    let port = launch(service, &site, &password)?;
    let system = service.url(&password, port, service.system_database());
    service.query(&bin, &system, &format!("CREATE DATABASE {DATABASE}"))?;
    let mut server = Server {
        url: service.url(&password, port, DATABASE),
        bin: bin.clone(),
        system_user: owner.name.clone(),
        description: String::new(),
        lacks: None,
    };
    service.furnish(&site, &mut server)?;
    Ok(server)
}

/// Stops the server of this checkout, if one runs, and removes its data.
pub(crate) fn stop(service: &dyn Service) -> Result<()> {
    let home = Home::locate(service);
    if !home.data().exists() {
        return Ok(());
    }
    home.check_owner()?;
    if let Some(pid) = home.live_server(service) {
        // Also for the guard, whose terminal may be gone: nothing may keep it from stopping.
        use std::io::Write as _;
        let name = service.name();
        let _ = writeln!(std::io::stderr(), "stopping {name} (process {pid})");
        stop_process(service, &home, pid)?;
    }
    fs::remove_dir_all(home.data()).context("the data directory cannot be removed")
}

/// Installs what is missing and returns the programs' directory and who is to run them.
///
/// # Errors
///
/// As for [`start`], but for the server.
pub(crate) fn programs(service: &dyn Service) -> Result<(PathBuf, Option<String>)> {
    let owner = Owner::for_this_process()?;
    let bin = service.programs(&Home::make(service, &owner)?, &owner)?;
    Ok((bin, owner.name))
}

impl Server {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "url": self.url,
            "bin": self.bin,
            "system_user": self.system_user,
            "description": self.description,
            "lacks": self.lacks,
        })
    }

    pub(crate) fn from_json(value: &Value) -> Option<Server> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Server {
            url: text(&value["url"])?,
            bin: PathBuf::from(text(&value["bin"])?),
            system_user: text(&value["system_user"]),
            description: text(&value["description"])?,
            lacks: text(&value["lacks"][0]).zip(text(&value["lacks"][1])),
        })
    }

    /// Describes it in a line.
    pub(crate) fn describe(&self) -> String {
        match &self.system_user {
            Some(user) => format!("{}, run as `{user}`", self.description),
            None => self.description.clone(),
        }
    }
}

impl Site<'_> {
    /// Prepares a call of one of the server's programs, as the user that owns its data.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.owner.command(self.bin.join(program))
    }

    /// Writes a file that only the owner of the data can read.
    pub(crate) fn write_secret(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.home.data().join(name);
        fs::write(&path, content)?;
        chown(&path, Some(self.owner.uid), Some(self.owner.gid))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }
}

/// Who a server runs as.
pub(crate) struct Owner {
    pub(crate) name: Option<String>,
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
            println!("creating the system user `{SYSTEM_USER}`: the servers refuse to run as root");
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
    pub(crate) fn command(&self, program: PathBuf) -> Command {
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

/// The directory of one of this checkout's servers: copied programs, data and log.
///
/// It lies in the temporary directory, because a checkout may lie where the system user may
/// not look. The name of the checkout's part holds a hash of the checkout's path.
pub(crate) struct Home(PathBuf);

impl Home {
    fn locate(service: &dyn Service) -> Home {
        Home(Self::of_checkout().join(service.name()))
    }

    fn of_checkout() -> PathBuf {
        let checkout = workspace::root().to_string_lossy();
        let hash = fnv1a(checkout.as_bytes());
        std::env::temp_dir().join(format!("athena-services-{hash:016x}"))
    }

    /// Makes the directory, empty of data.
    fn prepare(service: &dyn Service, owner: &Owner) -> Result<Home> {
        let home = Home::make(service, owner)?;
        fs::create_dir(home.data()).context("the data directory is still there")?;
        fs::set_permissions(home.data(), fs::Permissions::from_mode(0o700))?;
        chown(home.data(), Some(owner.uid), Some(owner.gid))?;
        Ok(home)
    }

    /// Makes the directory, unless it is there.
    fn make(service: &dyn Service, owner: &Owner) -> Result<Home> {
        let home = Home::locate(service);
        for directory in [&Self::of_checkout(), &home.0] {
            match fs::create_dir(directory) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error)
                        .with_context(|| format!("`{}` cannot be created", directory.display()));
                }
                _ => check_owner(directory)?,
            }
            let mode = if owner.name.is_some() { 0o755 } else { 0o700 };
            fs::set_permissions(directory, fs::Permissions::from_mode(mode))?;
        }
        Ok(home)
    }

    fn check_owner(&self) -> Result<()> {
        check_owner(&Self::of_checkout())?;
        check_owner(&self.0)
    }

    /// Where programs are copied to that the system user cannot reach.
    pub(crate) fn binaries(&self) -> PathBuf {
        self.0.join("programs")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The cluster itself, one level down: the programs want to make their own directory.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.data().join("cluster")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.data().join("log")
    }

    /// Returns the process of the server, if the process file names one that really is it.
    ///
    /// After a crash the number in the file may by now belong to somebody else.
    fn live_server(&self, service: &dyn Service) -> Option<u32> {
        let file = fs::read_to_string(self.cluster().join(service.process_file())).ok()?;
        let pid: u32 = file.lines().next()?.trim().parse().ok()?;
        let cluster = self.cluster().to_string_lossy().into_owned();
        command_line(pid)
            .is_some_and(|words| words.contains(&cluster))
            .then_some(pid)
    }
}

/// Refuses a directory that someone else put there: its name can be guessed.
fn check_owner(directory: &Path) -> Result<()> {
    let found = fs::symlink_metadata(directory)?;
    ensure!(
        found.is_dir() && found.uid() == id(&["-u"])?,
        "`{}` belongs to someone else; remove it",
        directory.display()
    );
    Ok(())
}

/// Returns the command line of a process, if there is such a process.
fn command_line(pid: u32) -> Option<String> {
    if let Ok(words) = fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&words).replace('\0', " "));
    }
    output(Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()])).ok()
}

/// Returns the directory of a program on the search path.
pub(crate) fn directory_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where only the administrator's path leads.
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = places
        .map(|directory| directory.join(program))
        .find_map(|candidate| fs::canonicalize(candidate).ok())?;
    found.parent().map(Path::to_owned)
}

/// Starts the server on a free port and waits until it answers.
fn launch(service: &dyn Service, site: &Site<'_>, password: &str) -> Result<u16> {
    let mut attempts = 0;
    loop {
        let port = free_port()?;
        let url = service.url(password, port, service.system_database());
        let mut server = spawn(service, site, port)?;
        let Err(error) = wait_for_answer(service, site, &url, &mut server) else {
            return Ok(port);
        };
        let log = fs::read_to_string(site.home.log()).unwrap_or_default();
        attempts += 1;
        // Somebody else may have taken the port since we looked.
        if attempts == 3 || !service.port_is_taken(&log) {
            return Err(error.context(last_lines(&log, 20)));
        }
    }
}

/// Starts the server so that it outlives us and whoever interrupts us.
fn spawn(service: &dyn Service, site: &Site<'_>, port: u16) -> Result<Child> {
    let log = File::create(site.home.log())?;
    service
        .serve(site, port)
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} cannot be started", service.name()))
}

/// Asks until the server answers, for as long as it lives.
fn wait_for_answer(
    service: &dyn Service,
    site: &Site<'_>,
    url: &str,
    server: &mut Child,
) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let Err(error) = service.query(site.bin, url, "SELECT 1") else {
            return Ok(());
        };
        if let Some(status) = server.try_wait()? {
            bail!("{} ended with {status}", service.name());
        }
        if Instant::now() > deadline {
            server.kill()?;
            return Err(error.context(format!("{} does not answer", service.name())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn stop_process(service: &dyn Service, home: &Home, pid: u32) -> Result<()> {
    let owner = Owner::for_this_process()?;
    // The shell's own `kill`: a minimal machine has no other, and the server's programs may be
    // gone with `target/`.
    let signal = |name: &str| {
        owner
            .command("/bin/sh".into())
            .args(["-c", &format!("kill -{name} {pid}")])
            .status()
    };
    for name in service.signals() {
        signal(name).context("the server cannot be signalled")?;
        for _ in 0..100 {
            if home.live_server(service) != Some(pid) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    bail!("{} (process {pid}) does not stop", service.name())
}

/// Returns 128 random bits as hexadecimal digits.
fn random_hex() -> Result<String> {
    use std::fmt::Write as _;
    use std::io::Read as _;
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
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
