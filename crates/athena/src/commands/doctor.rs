//! `doctor`: what is in force and where it came from, and whether it works.
//!
//! Looks without touching: no store is made, no migration applied, nothing written. Every finding
//! that is not well names the way out. A failed check ends with status 1.

mod native;
mod privacy;

use super::{Session, told};
use crate::compose::{self, MIGRATIONS};
use crate::config::{Settings, redact};
use crate::outcome::Outcome;
use crate::project;
use crate::terminal::{Style, pad, printable};
use athena_core::{BuiltinEmbedder, Error};
use athena_db::{
    Access, Database, Dialect, Executor, MigrationState, MigrationStatus, Scalar, TxOptions,
    params, sqlite_file,
};
use athena_search::VectorKind;
use clap::Command;
use rustix::fs::{StatVfs, statfs, statvfs};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Free space below which writing is near its end.
const LITTLE_SPACE: u64 = 100 << 20;
/// Free space that deserves a warning.
const SOME_SPACE: u64 = 1 << 30;
/// How long an embedder may take to answer.
const EMBEDDER_PATIENCE: Duration = Duration::from_secs(10);
/// File systems on which SQLite's write-ahead log has no shared memory, by their magic numbers.
const NETWORK_FILE_SYSTEMS: [(u64, &str); 4] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9P"),
];

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("doctor").about("Show the settings in force and check that everything works").long_about(
        "Show the settings in force and where each came from, and check database, schema, privacy, embedder, \
         disk and permissions. Nothing is changed. Ends with status 1 when a check fails.",
    )
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Note,
    Warning,
    Failed,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            detail: detail.into(),
            way_out: None,
        }
    }

    fn note(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Note,
            detail: detail.into(),
            way_out: None,
        }
    }

    fn warning(check: &'static str, detail: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Warning,
            detail: detail.into(),
            way_out: Some(way_out.into()),
        }
    }

    fn failed(check: &'static str, detail: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Failed,
            detail: detail.into(),
            way_out: Some(way_out.into()),
        }
    }
}

/// Checks everything.
pub(crate) fn run(session: &Session) -> Outcome {
    let findings = session.block_on(async { Ok(examine(session).await) })?;
    let failed = findings
        .iter()
        .any(|finding| finding.status == Status::Failed);
    let directory = std::env::current_dir().unwrap_or_default();
    let choice = project::choose(&session.settings, &directory);
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ok": !failed,
        "project": {"name": choice.name, "source": choice.reason},
        "config_file": session.settings.file.as_ref().map(|file| file.display().to_string()),
        "settings": session.settings.report,
        "checks": findings,
    });
    session.show(&answer, text)?;
    if failed { told(1) } else { Ok(()) }
}

async fn examine(session: &Session) -> Vec<Finding> {
    let settings = &session.settings;
    let mut findings = vec![home(&settings.home)];
    findings.extend(misspelt(session));
    findings.extend(database(settings).await);
    findings.push(disk(settings));
    findings.push(privacy::policy(settings));
    findings.extend(privacy::key(settings));
    findings.extend(embedder(settings).await);
    findings
}

fn home(path: &Path) -> Finding {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Finding::ok(
            "home",
            format!("{} is made when it is needed", path.display()),
        ),
        Err(error) => Finding::failed(
            "home",
            format!("{}: {error}", path.display()),
            "make it readable, or set ATHENA_HOME",
        ),
        Ok(metadata) if !metadata.is_dir() => Finding::failed(
            "home",
            format!("{} is no directory", path.display()),
            "remove it, or set ATHENA_HOME",
        ),
        Ok(metadata) => open_to_others("home", path, metadata.permissions().mode(), "700")
            .unwrap_or_else(|| {
                Finding::ok(
                    "home",
                    format!("{} is readable by its owner alone", path.display()),
                )
            }),
    }
}

/// Warns about a file or directory that others may look into.
fn open_to_others(check: &'static str, path: &Path, mode: u32, wanted: &str) -> Option<Finding> {
    (mode & 0o077 != 0).then(|| {
        let path = path.display();
        Finding::warning(
            check,
            format!("others may look into {path} (mode {:o})", mode & 0o777),
            format!("chmod {wanted} {path}"),
        )
    })
}

fn misspelt(session: &Session) -> Vec<Finding> {
    let unknown = session.environment.unknown().into_iter();
    unknown
        .map(|(name, nearest)| {
            let way_out = nearest.map_or_else(
                || "unset it".to_owned(),
                |nearest| format!("did you mean {nearest}?"),
            );
            Finding::warning(
                "environment",
                format!("{name} is set and nothing reads it"),
                way_out,
            )
        })
        .collect()
}

async fn database(settings: &Settings) -> Vec<Finding> {
    let url = &settings.database.url;
    let mut findings = Vec::new();
    if let Some(file) = sqlite_file(url) {
        match std::fs::metadata(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return vec![Finding::ok(
                    "database",
                    format!("{} is made at the first use", file.display()),
                )];
            }
            Ok(metadata) => {
                findings.extend(open_to_others(
                    "database file",
                    &file,
                    metadata.permissions().mode(),
                    "600",
                ));
            }
            Err(_) => {}
        }
        findings.extend(on_network(&file));
    }
    match compose::connect(&settings.database).await {
        Err(error) => findings.push(unreachable(url, &error)),
        Ok(db) => {
            findings.extend(inside(&db, settings).await);
            if let Err(error) = db.close().await {
                findings.push(Finding::warning(
                    "database",
                    format!("closing it: {error}"),
                    "look at the log",
                ));
            }
        }
    }
    findings
}

fn unreachable(url: &str, error: &Error) -> Finding {
    let way_out = if url.starts_with("sqlite:") {
        "make the file readable and writable, or choose another with --database-url"
    } else {
        "start the server, check the URL and the password, or use an embedded store by unsetting it"
    };
    Finding::failed("database", format!("{}: {error}", redact(url)), way_out)
}

fn on_network(file: &Path) -> Option<Finding> {
    let magic = u64::try_from(statfs(file).ok()?.f_type).ok()? & 0xffff_ffff;
    let (_, name) = NETWORK_FILE_SYSTEMS
        .iter()
        .find(|(known, _)| *known == magic)?;
    let way_out = "move the store to a local disk, or use PostgreSQL";
    Some(Finding::warning(
        "database file",
        format!(
            "{} is on {name}, where several processes cannot share it safely",
            file.display()
        ),
        way_out,
    ))
}

async fn inside(db: &Database, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    match db.ping().await {
        Ok(health) => findings.push(Finding::ok(
            "database",
            format!("{} at {}", health.version, redact(&settings.database.url)),
        )),
        Err(error) => findings.push(Finding::failed(
            "database",
            error.to_string(),
            "look at the database's own log",
        )),
    }
    let schema = schema(db).await;
    let is_current = schema.iter().all(|finding| finding.status == Status::Ok);
    findings.extend(schema);
    if is_current {
        findings.extend(privacy::store_key(db, settings).await);
    }
    findings.push(writable(db).await);
    findings.push(durability(db, settings).await);
    findings.extend(native::search(db, settings, is_current).await);
    findings
}

async fn schema(db: &Database) -> Vec<Finding> {
    let mut findings = Vec::new();
    for set in MIGRATIONS {
        findings.push(match db.migrations(set).status().await {
            Ok(status) => schema_finding(set.name, &status),
            Err(error) => Finding::failed(
                "schema",
                format!("`{}`: {error}", set.name),
                "restore the store from a backup",
            ),
        });
    }
    findings
}

fn schema_finding(set: &str, status: &[MigrationStatus]) -> Finding {
    let known = status
        .iter()
        .filter(|m| !matches!(m.state, MigrationState::Unknown(_)))
        .map(|m| m.version)
        .max()
        .unwrap_or(0);
    let count =
        |wanted: fn(&MigrationState) -> bool| status.iter().filter(|m| wanted(&m.state)).count();
    let newer = status
        .iter()
        .any(|m| matches!(m.state, MigrationState::Unknown(_)) && m.version > known);
    if newer {
        return Finding::failed(
            "schema",
            format!("`{set}` was written by a newer version of Athena"),
            "install that version or a newer one",
        );
    }
    let damaged = count(|state| {
        matches!(
            state,
            MigrationState::Changed(_) | MigrationState::Unknown(_)
        )
    });
    if damaged > 0 {
        return Finding::failed(
            "schema",
            format!("`{set}`: {damaged} migrations are not the ones of this version"),
            "use the version that wrote the store",
        );
    }
    let pending = count(|state| matches!(state, MigrationState::Pending));
    match pending {
        0 => Finding::ok("schema", format!("`{set}` is at version {known}")),
        pending => Finding::note(
            "schema",
            format!("`{set}`: {pending} migrations are applied at the next use"),
        ),
    }
}

/// Asks for the right to write without writing: the transaction is undone.
async fn writable(db: &Database) -> Finding {
    let attempt = async {
        let tx = db
            .begin(TxOptions {
                access: Access::ReadWrite,
                ..TxOptions::default()
            })
            .await?;
        let read_only = match tx.dialect() {
            Dialect::Sqlite => false,
            Dialect::Postgres | Dialect::MySql => {
                let sql = athena_db::sql! {
                    postgres: "SELECT current_setting('transaction_read_only') = 'on'",
                    mysql: "SELECT @@read_only",
                };
                tx.fetch_one::<Scalar<bool>>(sql, params! {}).await?.0
            }
        };
        tx.rollback().await?;
        Ok::<bool, athena_db::Error>(!read_only)
    };
    match attempt.await {
        Ok(true) => Finding::ok("writing", "allowed"),
        Ok(false) => Finding::failed(
            "writing",
            "the server is read-only, as a standby is",
            "connect to the primary",
        ),
        Err(error) => Finding::failed(
            "writing",
            error.to_string(),
            "make the store writable; reading works without",
        ),
    }
}

async fn durability(db: &Database, settings: &Settings) -> Finding {
    match db.dialect() {
        Dialect::Sqlite if settings.database.full_durability => Finding::ok(
            "durability",
            "full: what was acknowledged survives a power cut",
        ),
        Dialect::Sqlite => Finding::warning(
            "durability",
            "normal: a power cut may take the last commits",
            "set database.durability to full",
        ),
        Dialect::Postgres | Dialect::MySql => server_durability(db).await,
    }
}

/// Reads whether the server calls a commit done before it is on the disk.
async fn server_durability(db: &Database) -> Finding {
    let sql = athena_db::sql! {
        postgres: "SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off',
                          'fsync ' || current_setting('fsync')
                          || ' and synchronous_commit ' || current_setting('synchronous_commit')",
        mysql: "SELECT @@innodb_flush_log_at_trx_commit = 1 AND @@innodb_flush_method <> 'nosync',
                       'innodb_flush_log_at_trx_commit ' || @@innodb_flush_log_at_trx_commit
                       || ' and innodb_flush_method ' || @@innodb_flush_method",
    };
    match db.fetch_one::<(bool, String)>(sql, params! {}).await {
        Ok((true, settings)) => Finding::ok("durability", format!("the server has {settings}")),
        Ok((false, settings)) => Finding::warning(
            "durability",
            format!("the server has {settings}: a crash may take the last commits"),
            "give the server its default settings back",
        ),
        Err(error) => Finding::note("durability", format!("unknown: {error}")),
    }
}

fn disk(settings: &Settings) -> Finding {
    let wanted = sqlite_file(&settings.database.url).unwrap_or_else(|| settings.home.clone());
    let absolute = std::path::absolute(&wanted).unwrap_or(wanted);
    let Some((path, space)) = absolute
        .ancestors()
        .find_map(|path| Some((path, statvfs(path).ok()?)))
    else {
        return Finding::note("disk", "the free space is unknown");
    };
    disk_finding(path, free(&space))
}

fn free(space: &StatVfs) -> u64 {
    space.f_bavail.saturating_mul(space.f_frsize)
}

fn disk_finding(path: &Path, free: u64) -> Finding {
    let detail = format!("{} free at {}", size(free), path.display());
    match free {
        free if free < LITTLE_SPACE => {
            Finding::failed("disk", detail, "free some space, or move the store")
        }
        free if free < SOME_SPACE => Finding::warning("disk", detail, "free some space soon"),
        _ => Finding::ok("disk", detail),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 10 << 30 => format!("{} GiB", bytes >> 30),
        bytes => format!("{} MiB", bytes >> 20),
    }
}

async fn embedder(settings: &Settings) -> Vec<Finding> {
    let config = match compose::embedder_config(&settings.embedder, |name| std::env::var(name).ok())
    {
        Ok(config) => config,
        Err(error) => return vec![embedder_failed(&error, "")],
    };
    let place = config
        .shown_url()
        .map(|url| format!(" at {url}"))
        .unwrap_or_default();
    let embedders = match athena_embed::build(&config) {
        Ok(embedders) => embedders,
        Err(error) => return vec![embedder_failed(&error, &place)],
    };
    let Some(embedder) = embedders.model else {
        return vec![builtin_embedder(&*embedders.builtin)];
    };
    let probe = async {
        let model = embedder.model().await?;
        embedder.embed(&["Is anybody there?"]).await?;
        Ok::<_, Error>(model)
    };
    match tokio::time::timeout(EMBEDDER_PATIENCE, probe).await {
        Ok(Ok(model)) => {
            vec![Finding::ok(
                "embedder",
                format!(
                    "{}{place}: {} components, beside the built-in vectors",
                    model.name, model.dim
                ),
            )]
        }
        Ok(Err(error)) => vec![embedder_failed(&error, &place)],
        Err(_) => {
            let detail = format!(
                "{}{place} does not answer within {} s",
                settings.embedder.provider,
                EMBEDDER_PATIENCE.as_secs()
            );
            vec![Finding::failed(
                "embedder",
                detail,
                "start the provider, or set embedder.provider to builtin",
            )]
        }
    }
}

fn builtin_embedder(embedder: &dyn BuiltinEmbedder) -> Finding {
    let model = embedder.model();
    let how = match embedder.kind() {
        VectorKind::Words => "counts words",
        VectorKind::Table | VectorKind::Model => "knows what English words mean",
    };
    let detail = format!(
        "{}: {} components, {how}; no network",
        model.name, model.dim
    );
    Finding::ok("embedder", detail)
}

fn embedder_failed(error: &Error, place: &str) -> Finding {
    let way_out = "start the provider and check embedder.url and embedder.model, or set embedder.provider to builtin; \
                   memories are kept meanwhile and found by their words";
    Finding::failed("embedder", format!("{error}{place}"), way_out)
}

fn text(answer: &Value, style: Style) -> String {
    let mut text = String::new();
    let string = |value: &Value| {
        value
            .as_str()
            .map(|text| printable(text).into_owned())
            .unwrap_or_default()
    };
    let _ = writeln!(
        text,
        "{}",
        style.bold(&format!("Athena {}", string(&answer["version"])))
    );
    let project = &answer["project"];
    let _ = writeln!(
        text,
        "project {}  {}\n",
        string(&project["name"]),
        style.dim(&string(&project["source"]))
    );
    let _ = writeln!(text, "{}", style.bold("Settings"));
    for setting in answer["settings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|setting| setting.get("value").is_some())
    {
        let (key, value) = (string(&setting["key"]), string(&setting["value"]));
        let _ = writeln!(
            text,
            "  {}  {value}  {}",
            pad(&key, 24),
            style.dim(&string(&setting["source"]))
        );
    }
    let _ = writeln!(text, "\n{}", style.bold("Checks"));
    for finding in answer["checks"].as_array().into_iter().flatten() {
        let mark = match finding["status"].as_str() {
            Some("ok") => style.green("ok     "),
            Some("note") => style.dim("note   "),
            Some("warning") => style.yellow("warning"),
            _ => style.red("FAILED "),
        };
        let _ = writeln!(
            text,
            "  {mark}  {}  {}",
            pad(&string(&finding["check"]), 13),
            string(&finding["detail"])
        );
        if let Some(way_out) = finding["way_out"].as_str() {
            let _ = writeln!(text, "           {}  → {}", pad("", 13), printable(way_out));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn sqlite_files_are_read_from_urls() {
        let file = |url: &str| sqlite_file(url).map(|path| path.display().to_string());
        assert_eq!(file("sqlite:/a/b.db").as_deref(), Some("/a/b.db"));
        assert_eq!(file("sqlite:///a/b.db?mode=ro").as_deref(), Some("/a/b.db"));
        assert_eq!(file("sqlite::memory:"), None);
        assert_eq!(file("postgresql://h/d"), None);
    }

    #[test]
    fn little_space_is_a_failure_and_some_a_warning() {
        let status = |free| disk_finding(Path::new("/"), free).status;
        assert_eq!(status(50 << 20), Status::Failed);
        assert_eq!(status(500 << 20), Status::Warning);
        assert_eq!(status(20 << 30), Status::Ok);
        assert_eq!(size(20 << 30), "20 GiB");
    }

    #[test]
    fn schemas_are_judged_by_their_migrations() {
        let at = Timestamp::UNIX_EPOCH;
        let migration = |version, state| MigrationStatus {
            version,
            name: "x".into(),
            state,
        };
        let status = |all: &[MigrationStatus]| schema_finding("memory", all).status;
        assert_eq!(
            status(&[migration(1, MigrationState::Applied(at))]),
            Status::Ok
        );
        assert_eq!(
            status(&[
                migration(1, MigrationState::Applied(at)),
                migration(2, MigrationState::Pending)
            ]),
            Status::Note
        );
        assert_eq!(
            status(&[migration(1, MigrationState::Changed(at))]),
            Status::Failed
        );
        let newer = [
            migration(1, MigrationState::Applied(at)),
            migration(2, MigrationState::Unknown(at)),
        ];
        assert!(
            schema_finding("memory", &newer)
                .detail
                .contains("newer version")
        );
    }

    #[test]
    fn others_may_not_look_in() {
        assert_eq!(
            open_to_others("home", Path::new("/h"), 0o40700, "700"),
            None
        );
        let finding = open_to_others("home", Path::new("/h"), 0o40755, "700").unwrap();
        assert_eq!(finding.detail, "others may look into /h (mode 755)");
        assert_eq!(finding.way_out.as_deref(), Some("chmod 700 /h"));
    }
}
