//! Settings: a file, the environment and the command line, later ones stronger.
//!
//! Every setting is one row of [`KEYS`]; the file's keys, the environment's names, the check for
//! unknown names and what `athena doctor` shows are made from it. Each value remembers where it
//! came from. Passwords are never shown: [`redact`] stands before every output.
//!
//! This module opens nothing but the configuration file.

use crate::outcome::at_path;
use athena_core::{Code, Error, Result};
use athena_db::sqlite_url;
use athena_memory::memories::SearchMode;
use athena_privacy::Policy;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is in force.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The directory that holds the store, the configuration and keys.
    pub(crate) home: PathBuf,
    /// The configuration file that was read, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// Where memories are kept.
    pub(crate) database: DatabaseSettings,
    /// What turns text into vectors.
    pub(crate) embedder: EmbedderSettings,
    /// Who searches.
    pub(crate) search: SearchMode,
    /// Where `serve` listens.
    pub(crate) server: ServerSettings,
    /// What is personal, and what happens to it.
    pub(crate) privacy: PrivacySettings,
    /// The project of calls that name none, when it was set.
    pub(crate) project: Option<String>,
    /// What is logged, as `warn` or `athena=debug`.
    pub(crate) log: String,
    /// Every setting with its value and where it came from, in the order of the documentation.
    pub(crate) report: Vec<Setting>,
}

/// Where memories are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatabaseSettings {
    /// The URL, password included.
    pub(crate) url: String,
    /// Connections that stay open, where the backend has a pool.
    pub(crate) min_connections: Option<u32>,
    /// Connections at most.
    pub(crate) max_connections: Option<u32>,
    /// Whether a commit waits for the disk.
    pub(crate) full_durability: bool,
    /// Whether an unreachable server may be replaced by the embedded store.
    pub(crate) fall_back_to_sqlite: bool,
}

/// What turns text into vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EmbedderSettings {
    /// `builtin`, `ollama`, `llamacpp`, `openai` or `local`.
    pub(crate) provider: String,
    /// The address of the provider.
    pub(crate) url: Option<String>,
    /// The model to ask for.
    pub(crate) model: Option<String>,
    /// The folder of a model that runs in this process.
    pub(crate) path: Option<PathBuf>,
    /// The name of the environment variable that holds the key.
    pub(crate) api_key_env: Option<String>,
    /// The width of vectors to ask for.
    pub(crate) dimensions: Option<usize>,
    /// What is put before each query.
    pub(crate) query_prefix: Option<String>,
    /// What is put before each passage.
    pub(crate) document_prefix: Option<String>,
    /// Passages per request.
    pub(crate) batch: Option<usize>,
    /// How long a request may take.
    pub(crate) timeout: Option<Duration>,
    /// How often a failed request is repeated.
    pub(crate) retries: Option<u32>,
}

/// Where `serve` listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerSettings {
    /// An address or host name.
    pub(crate) host: String,
    /// The port; 0 takes a free one.
    pub(crate) port: u16,
}

/// What is personal, and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PrivacySettings {
    /// What happens to which field.
    pub(crate) policy: Policy,
    /// How sure a rule must be, 0 to 1.
    pub(crate) threshold: f64,
    /// Values that are never personal.
    pub(crate) allow: Vec<String>,
    /// Regular expressions for further kinds, by the kind's name.
    pub(crate) patterns: BTreeMap<String, String>,
    /// Whether the values that tokens stand for are kept, sealed.
    pub(crate) keeps_values: bool,
}

/// One setting as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// Its key in the file.
    pub(crate) key: &'static str,
    /// Its value without secrets; absent when it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// Where the value came from.
    pub(crate) source: Source,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nothing set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A command-line option.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One setting that exists.
struct Key {
    /// Its place in the file.
    path: &'static str,
    /// The environment variable that sets it.
    variable: &'static str,
    kind: Kind,
    default: Option<&'static str>,
}

/// What values a setting takes.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// A URL, which may hold a password.
    Url,
    Choice(&'static [&'static str]),
    Integer {
        minimum: u64,
        maximum: u64,
    },
    /// A number from 0 to 1.
    Share,
    Switch,
    /// Texts: an array in the file, commas in the environment, a JSON array in between.
    List,
    /// Texts with names: a table in the file, a JSON object in the environment and in between.
    Table,
}

/// The folder of the home that holds models.
pub(crate) const MODELS: &str = "models";

const PROVIDERS: &[&str] = &["builtin", "ollama", "llamacpp", "openai", "local"];
/// The schemes of servers.
const SERVERS: &[&str] = &["postgres", "postgresql", "mysql", "mariadb"];
const DURABILITIES: &[&str] = &["full", "normal"];
const POLICIES: &[&str] = &[
    Policy::Standard.as_str(),
    Policy::Compliance.as_str(),
    Policy::Debug.as_str(),
];
const SEARCH_MODES: &[&str] = &[SearchMode::Memory.as_str(), SearchMode::Native.as_str()];
/// How a switch is written; in the file it may be a boolean.
const ON: &str = "on";
const OFF: &str = "off";
const ONE_OR_MORE: Kind = Kind::Integer {
    minimum: 1,
    maximum: 10_000,
};

/// Every setting but `home`, which is where the file is found.
const KEYS: &[Key] = &[
    Key {
        path: "project",
        variable: "ATHENA_PROJECT",
        kind: Kind::Text,
        default: None,
    },
    Key {
        path: "log",
        variable: "ATHENA_LOG",
        kind: Kind::Text,
        default: Some("warn"),
    },
    Key {
        path: "database.url",
        variable: "ATHENA_DATABASE_URL",
        kind: Kind::Url,
        default: None,
    },
    Key {
        path: "database.min_connections",
        variable: "ATHENA_POSTGRES_MIN_SIZE",
        kind: Kind::Integer {
            minimum: 0,
            maximum: 10_000,
        },
        default: None,
    },
    Key {
        path: "database.max_connections",
        variable: "ATHENA_POSTGRES_MAX_SIZE",
        kind: ONE_OR_MORE,
        default: None,
    },
    Key {
        path: "database.durability",
        variable: "ATHENA_DURABILITY",
        kind: Kind::Choice(DURABILITIES),
        default: Some("full"),
    },
    Key {
        path: "embedder.provider",
        variable: "ATHENA_EMBEDDER",
        kind: Kind::Choice(PROVIDERS),
        default: Some("builtin"),
    },
    Key {
        path: "embedder.url",
        variable: "ATHENA_EMBEDDER_URL",
        kind: Kind::Url,
        default: None,
    },
    Key {
        path: "embedder.model",
        variable: "ATHENA_EMBEDDER_MODEL",
        kind: Kind::Text,
        default: None,
    },
    Key {
        path: "embedder.path",
        variable: "ATHENA_EMBEDDER_PATH",
        kind: Kind::Text,
        default: None,
    },
    Key {
        path: "embedder.api_key_env",
        variable: "ATHENA_EMBEDDER_API_KEY_ENV",
        kind: Kind::Text,
        default: None,
    },
    Key {
        path: "embedder.dimensions",
        variable: "ATHENA_EMBEDDER_DIMENSIONS",
        kind: Kind::Integer {
            minimum: 1,
            maximum: 16_384,
        },
        default: None,
    },
    Key {
        path: "embedder.query_prefix",
        variable: "ATHENA_EMBEDDER_QUERY_PREFIX",
        kind: Kind::Text,
        default: None,
    },
    Key {
        path: "embedder.document_prefix",
        variable: "ATHENA_EMBEDDER_DOCUMENT_PREFIX",
        kind: Kind::Text,
        default: None,
    },
    Key {
        path: "embedder.retries",
        variable: "ATHENA_EMBEDDER_RETRIES",
        kind: Kind::Integer {
            minimum: 0,
            maximum: 20,
        },
        default: None,
    },
    Key {
        path: "embedder.batch",
        variable: "ATHENA_EMBEDDER_BATCH",
        kind: Kind::Integer {
            minimum: 1,
            maximum: 2_048,
        },
        default: None,
    },
    Key {
        path: "embedder.timeout_seconds",
        variable: "ATHENA_EMBEDDER_TIMEOUT_SECONDS",
        kind: Kind::Integer {
            minimum: 1,
            maximum: 3_600,
        },
        default: None,
    },
    Key {
        path: "search.mode",
        variable: "ATHENA_SEARCH_MODE",
        kind: Kind::Choice(SEARCH_MODES),
        default: Some(SearchMode::Memory.as_str()),
    },
    Key {
        path: "server.host",
        variable: "ATHENA_HOST",
        kind: Kind::Text,
        default: Some("127.0.0.1"),
    },
    Key {
        path: "server.port",
        variable: "ATHENA_PORT",
        kind: Kind::Integer {
            minimum: 0,
            maximum: 65_535,
        },
        default: Some("7717"),
    },
    Key {
        path: "privacy.policy",
        variable: "ATHENA_PII_FIELD_POLICY_MODE",
        kind: Kind::Choice(POLICIES),
        default: Some(Policy::Standard.as_str()),
    },
    Key {
        path: "privacy.threshold",
        variable: "ATHENA_PII_CONFIDENCE_THRESHOLD",
        kind: Kind::Share,
        default: Some("0.7"),
    },
    Key {
        path: "privacy.allow",
        variable: "ATHENA_PII_ALLOW",
        kind: Kind::List,
        default: None,
    },
    Key {
        path: "privacy.patterns",
        variable: "ATHENA_PII_CUSTOM_PATTERNS",
        kind: Kind::Table,
        default: None,
    },
    Key {
        path: "privacy.vault",
        variable: "ATHENA_PII_VAULT",
        kind: Kind::Switch,
        default: Some(ON),
    },
];

/// The variable that holds the key of privacy in place of the file. It is no setting: it is read
/// where it is needed, and never shown.
pub(crate) const PRIVACY_KEY: &str = "ATHENA_PII_KEY";

/// Variables that are read besides those of [`KEYS`].
const OTHER_VARIABLES: &[&str] = &[
    "ATHENA_HOME",
    "ATHENA_CONFIG",
    "ATHENA_DB_TYPE",
    "ATHENA_DB_PATH",
    "ATHENA_DB_FALLBACK",
    "ATHENA_POSTGRES_HOST",
    "ATHENA_POSTGRES_PORT",
    "ATHENA_POSTGRES_DBNAME",
    "ATHENA_POSTGRES_USER",
    "ATHENA_POSTGRES_PASSWORD",
    PRIVACY_KEY,
];

/// What the command line sets, by the key or by `home` and `config`.
pub(crate) type Flags = BTreeMap<&'static str, String>;

/// The environment variables that concern Athena.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the variables of this process; empty ones count as not set.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidInput`] for a variable of Athena's that is not UTF-8.
    pub(crate) fn of_process() -> Result<Self> {
        let mut variables = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name
                .to_str()
                .filter(|name| name.starts_with("ATHENA_") || *name == "HOME")
            else {
                continue;
            };
            let value = value.into_string().map_err(|_| {
                Error::new(
                    Code::InvalidInput,
                    format!("the variable `{name}` is not UTF-8"),
                )
            })?;
            variables.insert(name.to_owned(), value);
        }
        Ok(Self(variables))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns variables that look like Athena's and are not read, each with its nearest relative.
    ///
    /// Those for tests are left out.
    pub(crate) fn unknown(&self) -> Vec<(String, Option<&'static str>)> {
        let known: Vec<&'static str> = KEYS
            .iter()
            .map(|key| key.variable)
            .chain(OTHER_VARIABLES.iter().copied())
            .collect();
        self.0
            .keys()
            .filter(|name| name.starts_with("ATHENA_") && !name.starts_with("ATHENA_TEST_"))
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| (name.clone(), nearest(name, known.iter().copied())))
            .collect()
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }
}

/// Values that were set, with where they came from; later ones replace earlier ones.
type Values = BTreeMap<&'static str, (String, Source)>;

/// Puts the settings together.
///
/// # Errors
///
/// [`Code::InvalidInput`] for an unknown key in the file (naming the nearest), a value that its
/// setting does not take, or a file that is no TOML; the file's own failure when it cannot be read.
pub(crate) fn load(flags: &Flags, environment: &Environment) -> Result<Settings> {
    let (home, home_source) = find_home(flags, environment)?;
    let file = find_file(flags, environment, &home)?;
    let mut values: Values = KEYS
        .iter()
        .filter_map(|key| Some((key.path, (key.default?.to_owned(), Source::Default))))
        .collect();
    values.insert(
        "database.url",
        (sqlite_url(&home.join("athena.db")), Source::Default),
    );
    if let Some(file) = &file {
        read_file(file, &mut values)?;
    }
    read_environment(environment, &home, &mut values)?;
    for key in KEYS {
        if let Some(value) = flags.get(key.path) {
            values.insert(key.path, (value.clone(), Source::Flag(flag_name(key.path))));
        }
    }
    for key in KEYS {
        if let Some((value, source)) = values.get(key.path) {
            check(key, value, source)?;
        }
    }
    assemble(home, home_source, file, &values, environment)
}

fn assemble(
    home: PathBuf,
    home_source: Source,
    file: Option<PathBuf>,
    values: &Values,
    environment: &Environment,
) -> Result<Settings> {
    let url = store_url(values)?;
    let text = |path: &str| values.get(path).map(|(value, _)| value.clone());
    let number = |path: &str| {
        values
            .get(path)
            .and_then(|(value, _)| value.parse::<u64>().ok())
    };
    let small = |path: &str| number(path).and_then(|number| u32::try_from(number).ok());
    let mut report = vec![Setting {
        key: "home",
        value: Some(home.display().to_string()),
        source: home_source,
    }];
    report.extend(KEYS.iter().map(|key| {
        let (value, source) = values
            .get(key.path)
            .map_or((None, Source::Default), |(value, source)| {
                (Some(shown(key.kind, value)), source.clone())
            });
        Setting {
            key: key.path,
            value,
            source,
        }
    }));
    Ok(Settings {
        database: DatabaseSettings {
            url,
            min_connections: small("database.min_connections"),
            max_connections: small("database.max_connections"),
            full_durability: text("database.durability").as_deref() != Some("normal"),
            fall_back_to_sqlite: environment.get("ATHENA_DB_FALLBACK") == Some("sqlite"),
        },
        embedder: EmbedderSettings {
            provider: text("embedder.provider").unwrap_or_default(),
            url: text("embedder.url"),
            model: text("embedder.model"),
            path: text("embedder.path").map(|path| expand_home(&path, environment)),
            api_key_env: text("embedder.api_key_env"),
            dimensions: number("embedder.dimensions")
                .and_then(|number| usize::try_from(number).ok()),
            query_prefix: text("embedder.query_prefix"),
            document_prefix: text("embedder.document_prefix"),
            retries: small("embedder.retries"),
            batch: number("embedder.batch").and_then(|number| usize::try_from(number).ok()),
            timeout: number("embedder.timeout_seconds").map(Duration::from_secs),
        },
        search: text("search.mode")
            .and_then(|mode| mode.parse().ok())
            .unwrap_or_default(),
        server: ServerSettings {
            host: text("server.host").unwrap_or_default(),
            port: number("server.port")
                .and_then(|number| u16::try_from(number).ok())
                .unwrap_or_default(),
        },
        privacy: PrivacySettings {
            policy: text("privacy.policy")
                .and_then(|policy| policy.parse().ok())
                .unwrap_or_default(),
            threshold: text("privacy.threshold")
                .and_then(|share| share.parse().ok())
                .unwrap_or(1.0),
            allow: text("privacy.allow")
                .and_then(|list| texts(&list))
                .unwrap_or_default(),
            patterns: text("privacy.patterns")
                .and_then(|table| named_texts(&table))
                .unwrap_or_default(),
            keeps_values: text("privacy.vault").as_deref() != Some(OFF),
        },
        project: text("project"),
        log: text("log").unwrap_or_default(),
        report,
        home,
        file,
    })
}

fn store_url(values: &Values) -> Result<String> {
    let (named, source) = &values["database.url"];
    database_url(named).map_err(|problem| {
        Error::invalid("database.url", format_args!("{problem} (set by {source})"))
    })
}

impl Settings {
    /// Returns where a setting came from.
    pub(crate) fn source(&self, key: &str) -> &Source {
        self.report
            .iter()
            .find(|setting| setting.key == key)
            .map_or(&Source::Default, |setting| &setting.source)
    }

    /// Returns the file of the embedded store that is used by default.
    pub(crate) fn default_store(&self) -> PathBuf {
        self.home.join("athena.db")
    }
}

/// Returns the directory that holds everything, when the rest of the settings cannot be read or
/// is not needed.
///
/// # Errors
///
/// When nothing says where it is.
pub(crate) fn home(flags: &Flags, environment: &Environment) -> Result<PathBuf> {
    find_home(flags, environment).map(|(home, _)| home)
}

fn find_home(flags: &Flags, environment: &Environment) -> Result<(PathBuf, Source)> {
    if let Some(home) = flags.get("home") {
        return Ok((
            expand_home(home, environment),
            Source::Flag("--home".into()),
        ));
    }
    if let Some(home) = environment.get("ATHENA_HOME") {
        return Ok((
            expand_home(home, environment),
            Source::Environment("ATHENA_HOME".into()),
        ));
    }
    let home = environment.get("HOME").ok_or_else(|| {
        Error::new(
            Code::InvalidInput,
            "neither `ATHENA_HOME` nor `HOME` is set; say where to keep the store with `--home`",
        )
    })?;
    Ok((Path::new(home).join(".athena"), Source::Default))
}

/// Finds the configuration file; one that was asked for must exist.
fn find_file(flags: &Flags, environment: &Environment, home: &Path) -> Result<Option<PathBuf>> {
    let asked = flags
        .get("config")
        .map(String::as_str)
        .or_else(|| environment.get("ATHENA_CONFIG"));
    let Some(asked) = asked else {
        let usual = home.join("config.toml");
        return Ok(usual.exists().then_some(usual));
    };
    let path = expand_home(asked, environment);
    match path.try_exists() {
        Ok(true) => Ok(Some(path)),
        Ok(false) => Err(Error::not_found(format_args!(
            "the configuration file `{}`",
            path.display()
        ))),
        Err(error) => Err(at_path("read", &path, error)),
    }
}

fn read_file(path: &Path, values: &mut Values) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|error| at_path("read", path, error))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // Only the message: the snippet that the error shows may hold a password.
        let line = error.span().map_or(1, |span| {
            text[..span.start.min(text.len())].lines().count().max(1)
        });
        Error::new(
            Code::InvalidInput,
            format!("`{}` line {line}: {}", path.display(), error.message()),
        )
    })?;
    let mut leaves = Vec::new();
    flatten("", &table, &mut leaves);
    for (name, value) in leaves {
        let Some(key) = KEYS.iter().find(|key| key.path == name) else {
            return Err(unknown_key(&name, path));
        };
        let value = from_file(key.kind, value).ok_or_else(|| {
            let wanted = match key.kind {
                Kind::List => "an array of texts",
                Kind::Table => "a table of texts",
                _ => "a single value",
            };
            Error::invalid(
                key.path,
                format_args!("in `{}` must be {wanted}", path.display()),
            )
        })?;
        values.insert(key.path, (value, Source::File(path.to_owned())));
    }
    Ok(())
}

fn flatten<'a>(prefix: &str, table: &'a toml::Table, leaves: &mut Vec<(String, &'a toml::Value)>) {
    for (name, value) in table {
        let name = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(inner) if !KEYS.iter().any(|key| key.path == name) => {
                if inner.is_empty()
                    && !KEYS
                        .iter()
                        .any(|key| key.path.starts_with(&format!("{name}.")))
                {
                    leaves.push((name, value));
                } else {
                    flatten(&name, inner, leaves);
                }
            }
            _ => leaves.push((name, value)),
        }
    }
}

/// Returns a value of the file as [`Values`] hold it.
fn from_file(kind: Kind, value: &toml::Value) -> Option<String> {
    match (kind, value) {
        (Kind::List, toml::Value::Array(_)) | (Kind::Table, toml::Value::Table(_)) => {
            serde_json::to_string(value).ok()
        }
        (Kind::List | Kind::Table, _) => None,
        (Kind::Switch, toml::Value::Boolean(flag)) => Some(if *flag { ON } else { OFF }.to_owned()),
        (_, toml::Value::String(text)) => Some(text.clone()),
        (_, toml::Value::Integer(number)) => Some(number.to_string()),
        (_, toml::Value::Float(number)) => Some(number.to_string()),
        (_, toml::Value::Boolean(flag)) => Some(flag.to_string()),
        _ => None,
    }
}

/// Returns a value of the environment as [`Values`] hold it.
fn from_environment(kind: Kind, value: &str) -> String {
    match kind {
        Kind::List => {
            let items: Vec<&str> = value.split(',').map(str::trim).collect();
            serde_json::json!(items).to_string()
        }
        _ => value.to_owned(),
    }
}

/// Returns a value without what others should not read in it.
fn shown(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Url => redact(value),
        Kind::List => format!("{} values", texts(value).map_or(0, |texts| texts.len())),
        Kind::Table => {
            let names = named_texts(value).unwrap_or_default();
            names.into_keys().collect::<Vec<_>>().join(", ")
        }
        _ => value.to_owned(),
    }
}

fn texts(list: &str) -> Option<Vec<String>> {
    serde_json::from_str(list).ok()
}

fn named_texts(table: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(table).ok()
}

fn unknown_key(name: &str, path: &Path) -> Error {
    let hint = nearest(name, KEYS.iter().map(|key| key.path)).map_or_else(
        || {
            format!(
                "known: {}",
                KEYS.iter()
                    .map(|key| key.path)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        },
        |nearest| format!("did you mean `{nearest}`?"),
    );
    Error::new(
        Code::InvalidInput,
        format!("`{name}` in `{}` is not a setting; {hint}", path.display()),
    )
    .with_field(name)
}

fn read_environment(environment: &Environment, home: &Path, values: &mut Values) -> Result<()> {
    for key in KEYS {
        if let Some(value) = environment.get(key.variable) {
            let value = from_environment(key.kind, value);
            values.insert(key.path, (value, Source::Environment(key.variable.into())));
        }
    }
    if environment.get("ATHENA_DATABASE_URL").is_none()
        && let Some((url, variable)) = url_from_parts(environment, home)?
    {
        values.insert("database.url", (url, Source::Environment(variable.into())));
    }
    match environment.get("ATHENA_DB_FALLBACK") {
        None | Some("sqlite" | "none") => Ok(()),
        Some(other) => Err(Error::invalid(
            "ATHENA_DB_FALLBACK",
            format_args!("is `{other}`; allowed: `sqlite`, `none`"),
        )),
    }
}

/// Puts a URL together from the separate variables that older set-ups use, and names the one that
/// decided the backend.
fn url_from_parts(
    environment: &Environment,
    home: &Path,
) -> Result<Option<(String, &'static str)>> {
    let sqlite = || {
        let path = environment.get("ATHENA_DB_PATH");
        sqlite_url(&path.map_or_else(
            || home.join("athena.db"),
            |path| expand_home(path, environment),
        ))
    };
    match environment.get("ATHENA_DB_TYPE") {
        Some("sqlite") => Ok(Some((sqlite(), "ATHENA_DB_TYPE"))),
        Some("postgres" | "postgresql") => Ok(Some((postgres_url(environment)?, "ATHENA_DB_TYPE"))),
        Some(other) => Err(Error::invalid(
            "ATHENA_DB_TYPE",
            format_args!("is `{other}`; allowed: `sqlite`, `postgres`"),
        )),
        None if environment.get("ATHENA_POSTGRES_HOST").is_some() => {
            Ok(Some((postgres_url(environment)?, "ATHENA_POSTGRES_HOST")))
        }
        None if environment.get("ATHENA_DB_PATH").is_some() => {
            Ok(Some((sqlite(), "ATHENA_DB_PATH")))
        }
        None => Ok(None),
    }
}

fn postgres_url(environment: &Environment) -> Result<String> {
    let part = |name: &str, default: &str| percent_encode(environment.get(name).unwrap_or(default));
    let host = environment
        .get("ATHENA_POSTGRES_HOST")
        .unwrap_or("localhost");
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        percent_encode(host)
    };
    let port = environment.get("ATHENA_POSTGRES_PORT").unwrap_or("5432");
    if port.parse::<u16>().is_err() {
        return Err(Error::invalid(
            "ATHENA_POSTGRES_PORT",
            format_args!("is `{port}`, which is no port"),
        ));
    }
    let password = environment
        .get("ATHENA_POSTGRES_PASSWORD")
        .map(percent_encode);
    let login = password.map_or_else(String::new, |password| format!(":{password}"));
    let user = part("ATHENA_POSTGRES_USER", "athena");
    Ok(format!(
        "postgresql://{user}{login}@{host}:{port}/{}",
        part("ATHENA_POSTGRES_DBNAME", "athena")
    ))
}

/// Returns the URL of a database that was named by one, or by the path of a file.
///
/// # Errors
///
/// What is wrong with a name that is neither, without the name: it may hold a password.
pub(crate) fn database_url(named: &str) -> std::result::Result<String, &'static str> {
    if is_garbled_url(named) {
        return Err(
            "looks like the URL of a server, but has no `://`; write a server as `postgres://…`, and a file as `sqlite:PATH`",
        );
    }
    Ok(match named {
        // As SQLite itself has it; the file of this name is `./:memory:`.
        ":memory:" => "sqlite::memory:".to_owned(),
        _ if has_scheme(named) => named.to_owned(),
        _ => sqlite_url(Path::new(named)),
    })
}

fn has_scheme(named: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    named.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain)
    })
}

/// Whether a name was meant as the URL of a server and lacks some of its `://`.
fn is_garbled_url(named: &str) -> bool {
    let scheme_end = named.find([':', '/']).unwrap_or(named.len());
    let (scheme, rest) = named.split_at(scheme_end);
    let of_server = SERVERS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme));
    let lacks = rest.starts_with('/') || rest.starts_with(":/") && !rest.starts_with("://");
    let has_login = named.contains("//") && named.contains('@');
    of_server && lacks || has_login && !has_scheme(named)
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn expand_home(path: &str, environment: &Environment) -> PathBuf {
    match (path.strip_prefix("~/"), environment.get("HOME")) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => PathBuf::from(path),
    }
}

fn check(key: &Key, value: &str, source: &Source) -> Result<()> {
    let refuse = |problem: String| {
        Err(Error::invalid(
            key.path,
            format_args!("{problem} (set by {source})"),
        ))
    };
    match key.kind {
        Kind::Text | Kind::Url if value.trim().is_empty() => refuse("must not be empty".into()),
        Kind::Text | Kind::Url => Ok(()),
        Kind::Choice(choices) if choices.contains(&value) => Ok(()),
        Kind::Choice(choices) => {
            refuse(format!("is `{value}`; allowed: `{}`", choices.join("`, `")))
        }
        Kind::Integer { minimum, maximum } => match value.parse::<u64>() {
            Ok(number) if (minimum..=maximum).contains(&number) => Ok(()),
            _ => refuse(format!("is `{value}`; allowed: {minimum} to {maximum}")),
        },
        Kind::Share => match value.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(()),
            _ => refuse(format!("is `{value}`; allowed: 0 to 1")),
        },
        Kind::Switch if [ON, OFF].contains(&value) => Ok(()),
        Kind::Switch => refuse(format!("is `{value}`; allowed: `{ON}`, `{OFF}`")),
        Kind::List => match texts(value) {
            Some(texts) if texts.iter().all(|text| !text.trim().is_empty()) => Ok(()),
            Some(_) => refuse("holds an empty value".into()),
            None => refuse("must hold nothing but texts".into()),
        },
        Kind::Table => match named_texts(value) {
            Some(_) => Ok(()),
            None => refuse(
                "must be texts with names, in the environment as a JSON object such as \
                 `{\"employee\": \"E[0-9]{6}\"}`"
                    .into(),
            ),
        },
    }
}

fn flag_name(path: &str) -> String {
    match path {
        "database.url" => "--database-url".into(),
        "log" => "-v".into(),
        other => format!("--{}", other.rsplit('.').next().unwrap_or(other)),
    }
}

/// Hides the password in a URL: in the login and as a query parameter.
pub(crate) fn redact(url: &str) -> String {
    // A password that was not encoded may hold any sign: the login ends at the last `@` of all.
    let login_end = url.rfind('@').unwrap_or(0);
    let (before_query, query) = match url[login_end..].find('?') {
        Some(at) => (&url[..login_end + at], Some(&url[login_end + at + 1..])),
        None => (url, None),
    };
    let mut shown = redact_login(before_query);
    if let Some(query) = query {
        shown.push('?');
        let parameters: Vec<String> = query.split('&').map(redact_parameter).collect();
        shown.push_str(&parameters.join("&"));
    }
    shown
}

fn redact_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // The last `@` of all: a password that was not encoded may hold a slash.
    let Some((login, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***@{host}"),
        None => url.to_owned(),
    }
}

fn redact_parameter(parameter: &str) -> String {
    let secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["password", "key", "token", "secret"]
            .iter()
            .any(|word| name.contains(word))
    };
    match parameter.split_once('=') {
        Some((name, _)) if secret(name) => format!("{name}=***"),
        _ => parameter.to_owned(),
    }
}

/// Returns the candidate that differs in the fewest letters, if it is near enough to be meant.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= (name.len() / 3).max(2))
        .map(|(_, candidate)| candidate)
}

/// Number of letters to insert, remove or replace (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(
        flags: &[(&'static str, &str)],
        environment: impl Into<Environment>,
    ) -> Result<Settings> {
        let flags = flags
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        load(&flags, &environment.into())
    }

    fn home_with(config: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        home
    }

    fn refusal(config: &str) -> String {
        let home = home_with(config);
        let error = settings(&[("home", home.path().to_str().unwrap())], []).unwrap_err();
        error
            .to_string()
            .replace(home.path().to_str().unwrap(), "HOME")
    }

    #[test]
    fn later_sources_are_stronger() {
        let home =
            home_with("[server]\nport = 1\nhost = \"::1\"\n[embedder]\nprovider = \"ollama\"\n");
        let home_path = home.path().to_str().unwrap();
        let environment = || {
            [
                ("ATHENA_HOME", home_path),
                ("ATHENA_PORT", "2"),
                ("ATHENA_EMBEDDER", "builtin"),
            ]
        };
        let port = |settings: &Settings| {
            (
                settings.server.port,
                settings.source("server.port").to_string(),
            )
        };

        let from_environment = settings(&[], environment()).unwrap();
        assert_eq!(port(&from_environment), (2, "ATHENA_PORT".into()));
        assert_eq!(from_environment.embedder.provider, "builtin");
        assert_eq!(from_environment.server.host, "::1");
        assert_eq!(
            from_environment.source("server.host"),
            &Source::File(home.path().join("config.toml"))
        );
        assert_eq!(from_environment.source("log"), &Source::Default);

        let from_flag = settings(&[("server.port", "3")], environment()).unwrap();
        assert_eq!(port(&from_flag), (3, "--port".into()));
    }

    #[test]
    fn the_store_is_in_the_home_directory_unless_told_otherwise() {
        let url = |environment: Environment| settings(&[], environment).unwrap().database.url;
        assert_eq!(url([("HOME", "/h")].into()), "sqlite:/h/.athena/athena.db");
        assert_eq!(
            url([("HOME", "/h"), ("ATHENA_HOME", "~/a b")].into()),
            "sqlite:/h/a b/athena.db"
        );
        assert_eq!(
            url([("HOME", "/h"), ("ATHENA_DB_PATH", "~/m.db")].into()),
            "sqlite:/h/m.db"
        );
        assert_eq!(
            url([
                ("HOME", "/h"),
                ("ATHENA_DB_PATH", "/m.db"),
                ("ATHENA_DATABASE_URL", "sqlite:x")
            ]
            .into()),
            "sqlite:x"
        );
        let flagged = settings(
            &[("database.url", "sqlite:y")],
            [("HOME", "/h"), ("ATHENA_DATABASE_URL", "sqlite:x")],
        );
        assert_eq!(flagged.unwrap().database.url, "sqlite:y");
    }

    #[test]
    fn separate_variables_make_a_postgres_url() {
        let of = |variables: &[(&str, &str)]| {
            let mut all = BTreeMap::from([("HOME".to_owned(), "/h".to_owned())]);
            all.extend(
                variables
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            );
            load(&Flags::new(), &Environment(all))
        };
        let url = |variables: &[(&str, &str)]| of(variables).unwrap().database.url;
        assert_eq!(
            url(&[("ATHENA_DB_TYPE", "postgres")]),
            "postgresql://athena@localhost:5432/athena"
        );
        assert_eq!(
            url(&[
                ("ATHENA_POSTGRES_HOST", "::1"),
                ("ATHENA_POSTGRES_PORT", "5433"),
                ("ATHENA_POSTGRES_DBNAME", "a b"),
                ("ATHENA_POSTGRES_USER", "u"),
                ("ATHENA_POSTGRES_PASSWORD", "p@/:w"),
            ]),
            "postgresql://u:p%40%2F%3Aw@[::1]:5433/a%20b"
        );
        assert_eq!(
            url(&[("ATHENA_POSTGRES_HOST", "h"), ("ATHENA_DB_TYPE", "sqlite")]),
            "sqlite:/h/.athena/athena.db"
        );
        let wrong = |variables: &[(&str, &str)]| of(variables).unwrap_err().to_string();
        assert_eq!(
            wrong(&[("ATHENA_DB_TYPE", "oracle")]),
            "`ATHENA_DB_TYPE` is `oracle`; allowed: `sqlite`, `postgres`"
        );
        assert_eq!(
            wrong(&[("ATHENA_POSTGRES_HOST", "h"), ("ATHENA_POSTGRES_PORT", "x")]),
            "`ATHENA_POSTGRES_PORT` is `x`, which is no port"
        );
        assert_eq!(
            wrong(&[("ATHENA_DB_FALLBACK", "yes")]),
            "`ATHENA_DB_FALLBACK` is `yes`; allowed: `sqlite`, `none`"
        );
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        assert_eq!(
            refusal("[embedder]\nmodle = \"x\""),
            "`embedder.modle` in `HOME/config.toml` is not a setting; did you mean `embedder.model`?"
        );
        assert!(refusal("colour = 1").contains("known: project, log, database.url"));
        assert!(refusal("[surver]").starts_with("`surver` in"));
    }

    #[test]
    fn values_are_checked_and_say_who_set_them() {
        assert_eq!(
            refusal("[server]\nport = 70000"),
            "`server.port` is `70000`; allowed: 0 to 65535 (set by HOME/config.toml)"
        );
        assert_eq!(
            refusal("project = [1]"),
            "`project` in `HOME/config.toml` must be a single value"
        );
        let error = settings(&[], [("HOME", "/h"), ("ATHENA_EMBEDDER", "magic")]).unwrap_err();
        assert!(
            error.to_string().ends_with("(set by ATHENA_EMBEDDER)"),
            "{error}"
        );
    }

    #[test]
    fn privacy_is_set_alike_in_the_file_and_in_the_environment() {
        let home = home_with(
            "[privacy]\npolicy = \"compliance\"\nthreshold = 0.5\nallow = [\"a, b\", \"@shop.test\"]\n\
             vault = false\n[privacy.patterns]\nemployee = \"E[0-9]{6}\"",
        );
        let home = [("home", home.path().to_str().unwrap())];
        let of_file = settings(&home, []).unwrap().privacy;
        let expected = PrivacySettings {
            policy: Policy::Compliance,
            threshold: 0.5,
            allow: vec!["a, b".into(), "@shop.test".into()],
            patterns: BTreeMap::from([("employee".into(), "E[0-9]{6}".into())]),
            keeps_values: false,
        };
        assert_eq!(of_file, expected);
        let environment = [
            ("ATHENA_PII_FIELD_POLICY_MODE", "debug"),
            ("ATHENA_PII_CONFIDENCE_THRESHOLD", "1"),
            ("ATHENA_PII_ALLOW", "a, @shop.test"),
            ("ATHENA_PII_CUSTOM_PATTERNS", r#"{"badge": "B[0-9]+"}"#),
            ("ATHENA_PII_VAULT", "on"),
        ];
        let expected = PrivacySettings {
            policy: Policy::Debug,
            threshold: 1.0,
            allow: vec!["a".into(), "@shop.test".into()],
            patterns: BTreeMap::from([("badge".into(), "B[0-9]+".into())]),
            keeps_values: true,
        };
        assert_eq!(settings(&home, environment).unwrap().privacy, expected);
    }

    #[test]
    fn mistakes_in_the_settings_of_privacy_are_told() {
        let wrong = |name, value| {
            let environment = [("HOME", "/h"), (name, value)];
            settings(&[], environment).unwrap_err().to_string()
        };
        for (name, value, problem) in [
            (
                "ATHENA_PII_FIELD_POLICY_MODE",
                "strict",
                "`privacy.policy` is `strict`; allowed: `standard`, `compliance`, `debug`",
            ),
            (
                "ATHENA_PII_CONFIDENCE_THRESHOLD",
                "1.5",
                "`privacy.threshold` is `1.5`; allowed: 0 to 1",
            ),
            (
                "ATHENA_PII_CONFIDENCE_THRESHOLD",
                "NaN",
                "`privacy.threshold` is `NaN`; allowed: 0 to 1",
            ),
            (
                "ATHENA_PII_ALLOW",
                "a,,b",
                "`privacy.allow` holds an empty value",
            ),
            (
                "ATHENA_PII_CUSTOM_PATTERNS",
                "E[0-9]",
                "`privacy.patterns` must be texts with names",
            ),
            (
                "ATHENA_PII_VAULT",
                "yes",
                "`privacy.vault` is `yes`; allowed: `on`, `off`",
            ),
        ] {
            let told = wrong(name, value);
            assert!(told.starts_with(problem), "{told}");
            assert!(told.ends_with(&format!("(set by {name})")), "{told}");
        }
        assert_eq!(
            refusal("[privacy]\nallow = \"a\""),
            "`privacy.allow` in `HOME/config.toml` must be an array of texts"
        );
        assert!(
            refusal("[privacy.patterns]\nage = 3").starts_with("`privacy.patterns` must be texts")
        );
    }

    #[test]
    fn what_is_allowed_is_counted_and_not_shown() {
        let environment = [("HOME", "/h"), ("ATHENA_PII_ALLOW", "ada@lovelace.org,b")];
        let report = settings(&[], environment).unwrap().report;
        let allow = report.iter().find(|it| it.key == "privacy.allow").unwrap();
        assert_eq!(allow.value.as_deref(), Some("2 values"));
    }

    #[test]
    fn mistakes_in_the_file_are_told_without_its_text() {
        let told = refusal("[database]\nurl = \"postgres://u:hunter2@h/d\nport");
        assert!(told.starts_with("`HOME/config.toml` line "), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn passwords_are_never_shown() {
        assert_eq!(
            redact("postgresql://u:p@h:1/d?sslmode=require"),
            "postgresql://u:***@h:1/d?sslmode=require"
        );
        assert_eq!(
            redact("postgresql://u:p/a@ss@h/d"),
            "postgresql://u:***@h/d"
        );
        assert_eq!(
            redact("postgresql://u@h/d?password=p&a=1"),
            "postgresql://u@h/d?password=***&a=1"
        );
        assert_eq!(
            redact("postgresql://u:se?k#r/e@t@h/d?token=x"),
            "postgresql://u:***@h/d?token=***"
        );
        assert_eq!(redact("sqlite:/a@b:c/d"), "sqlite:/a@b:c/d");
        let settings = settings(
            &[("database.url", "postgres://u:hunter2@h/d")],
            [("HOME", "/h")],
        )
        .unwrap();
        assert!(!format!("{:?}", settings.report).contains("hunter2"));
    }

    #[test]
    fn a_database_is_named_by_its_url_or_its_file() {
        for (named, url) in [
            ("postgres://u:secret@h/d", "postgres://u:secret@h/d"),
            ("mysql://h/d", "mysql://h/d"),
            ("sqlite:a//b@c", "sqlite:a//b@c"),
            (":memory:", "sqlite::memory:"),
            ("./:memory:", "sqlite:./:memory:"),
            ("me@home/a.db", "sqlite:me@home/a.db"),
            ("./postgres/a.db", "sqlite:./postgres/a.db"),
            ("postgres.db", "sqlite:postgres.db"),
            ("//data/a.db", "sqlite:////data/a.db"),
        ] {
            assert_eq!(database_url(named).as_deref(), Ok(url));
        }
    }

    #[test]
    fn a_mistyped_url_of_a_server_is_no_file() {
        for named in [
            "postgres//u:secret@h/d",
            "Postgresql/u:secret@h/d",
            "mysql:/u:secret@h/d",
            "mariadb/secret",
            "postgrs//u:secret@h/d",
            "//u:secret@h/d",
            "://u:secret@h/d",
        ] {
            let flags = [("database.url", named)];
            let error = settings(&flags, [("HOME", "/h")]).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains("(set by --database-url)"), "{told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn misspelt_variables_are_noticed() {
        let environment = Environment::from([
            ("ATHENA_DATABSE_URL", "x"),
            ("ATHENA_TEST_POSTGRES_URL", "x"),
            ("ATHENA_PORT", "1"),
        ]);
        assert_eq!(
            environment.unknown(),
            [("ATHENA_DATABSE_URL".to_owned(), Some("ATHENA_DATABASE_URL"))]
        );
    }

    #[test]
    fn a_configuration_file_that_was_asked_for_must_exist() {
        let error = settings(&[("config", "/nowhere/x.toml")], [("HOME", "/h")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration file `/nowhere/x.toml` does not exist"
        );
    }
}
