//! What a URL and the settings mean for a connection.

use std::time::Duration;

use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts};

use crate::database::Settings;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::url::{self, Roots, SslMode};

/// How a connection is made and set up.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Tried first.
    pub(super) driver: Opts,
    /// With TLS where the first is without, or the other way round, if both will do.
    pub(super) second: Option<Opts>,
    /// Host, port and database, for messages.
    pub(super) place: String,
    statement_timeout: Option<Duration>,
    lock_timeout: Duration,
    read_only: bool,
}

/// Statements that a connection keeps prepared; built texts may be endless in number.
const CACHED_STATEMENTS: usize = 256;

/// The most that the driver takes in one packet; what the server takes is asked of it.
const LARGEST_ANSWER: usize = 1 << 30;

/// After how long without a word the kernel asks whether the other side is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// What tells MySQL to read SQL as others do. The mode of a server is not trusted.
const MODES: &str = "ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ZERO_DATE,\
                     NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

impl Options {
    /// Reads a URL.
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self> {
        let (url, options) = url::split(url)?;
        if options.pooled {
            let way_out = "connect to the server itself";
            return Err(Error::unsupported(
                "`pooler=transaction`",
                Dialect::MySql,
                way_out,
            ));
        }
        let url = match url.strip_prefix("mariadb:") {
            Some(rest) => format!("mysql:{rest}"),
            None => url,
        };
        // The driver's own message could quote a piece of the password.
        let opts = Opts::from_url(&url).map_err(|_| {
            let message = "the MySQL URL cannot be read; write `mysql://user:password@host:port/database`, \
                           special characters percent-encoded";
            Error::new(ErrorKind::Connection, message)
        })?;
        let database = settings
            .schema
            .clone()
            .or(opts.db_name().map(str::to_owned));
        let place = place_of(&opts, database.as_deref());
        let builder = OptsBuilder::from_opts(opts)
            .db_name(database)
            .prefer_socket(false)
            .stmt_cache_size(CACHED_STATEMENTS)
            .max_allowed_packet(Some(LARGEST_ANSWER))
            .wait_timeout(Some(28_800))
            .tcp_keepalive(Some(KEEP_ALIVE))
            // An `UPDATE` tells what it matched anyway, and an upsert only so whether it inserted.
            .client_found_rows(false)
            .connect_attribute("program_name", settings.application_name.as_str());
        let plain = || builder.clone().ssl_opts(None).into();
        let encrypted = || builder.clone().ssl_opts(Some(encryption(&options))).into();
        let (driver, second) = match options.mode {
            SslMode::Disable => (plain(), None),
            SslMode::Allow => (plain(), Some(encrypted())),
            SslMode::Prefer => (encrypted(), Some(plain())),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (encrypted(), None),
        };
        Ok(Self {
            driver,
            second,
            place,
            statement_timeout: settings.statement_timeout,
            lock_timeout: settings.acquire_timeout,
            read_only: settings.read_only,
        })
    }

    /// The statements that make a session out of a connection.
    pub(super) fn session(&self, is_mariadb: bool) -> String {
        let timeout = self.statement_timeout.unwrap_or_default();
        let (collation, modes, timeout) = if is_mariadb {
            let timeout = format!("max_statement_time = {}", timeout.as_secs_f64());
            (
                "utf8mb4_nopad_bin",
                format!("{MODES},SIMULTANEOUS_ASSIGNMENT"),
                timeout,
            )
        } else {
            let timeout = format!("max_execution_time = {}", timeout.as_millis());
            ("utf8mb4_0900_bin", MODES.to_owned(), timeout)
        };
        let lock = self.lock_timeout.as_secs().max(1);
        let access = if self.read_only { "ONLY" } else { "WRITE" };
        format!(
            "SET NAMES utf8mb4 COLLATE {collation}, SESSION time_zone = '+00:00', SESSION sql_mode = '{modes}', \
             SESSION lc_messages = 'en_US', SESSION innodb_lock_wait_timeout = {lock}, \
             SESSION lock_wait_timeout = {lock}, SESSION {timeout}; \
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ {access}"
        )
    }
}

/// Whom to trust, and who we say we are.
fn encryption(options: &url::Options) -> SslOpts {
    let identity = options.certificate.clone().zip(options.key.clone());
    let identity =
        identity.map(|(certificate, key)| ClientIdentity::new(certificate.into(), key.into()));
    let ssl = SslOpts::default().with_client_identity(identity);
    if !matches!(options.mode, SslMode::VerifyCa | SslMode::VerifyFull) {
        return ssl
            .with_danger_accept_invalid_certs(true)
            .with_danger_skip_domain_validation(true);
    }
    let roots = match &options.roots {
        Some(Roots::File(path)) => vec![path.clone().into()],
        Some(Roots::System) | None => {
            let certificates = rustls_native_certs::load_native_certs().certs;
            let bytes = certificates.iter().map(|certificate| certificate.to_vec());
            bytes.map(Into::into).collect()
        }
    };
    ssl.with_disable_built_in_roots(true)
        .with_root_certs(roots)
        .with_danger_skip_domain_validation(options.mode == SslMode::VerifyCa)
}

fn place_of(opts: &Opts, database: Option<&str>) -> String {
    let place = match opts.socket() {
        Some(socket) => format!("`{socket}`"),
        None => format!("`{}:{}`", opts.ip_or_hostname(), opts.tcp_port()),
    };
    format!("{place}, database `{}`", database.unwrap_or("(none)"))
}
