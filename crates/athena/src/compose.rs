//! Wires the parts of a process: database, embedder, environment, registry.
//!
//! Opening is kept cheap, because a one-shot command does it for every call: one connection, the
//! migration ledger, nothing else. Whatever can wait for the first use waits.

use crate::config::{DatabaseSettings, EmbedderSettings, PRIVACY_KEY, PrivacySettings, Settings};
use crate::outcome::at_path;
use crate::project;
use athena_core::{Code, Ctx, Embedders, Env, Error, Registry, Result};
use athena_db::{Builder, Database, Dialect, Durability, MigrationSet, sqlite_url};
use athena_embed::{EmbedderConfig, Secret};
use athena_memory::memories::Searching;
use athena_privacy::{Detector, Keyring, KeyringError, Masking, PatternError, Policy};
use athena_search::Recipe;
use athena_store::Privacy;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The migration sets of a store, in the order in which they are applied.
pub(crate) const MIGRATIONS: [&MigrationSet<'static>; 2] =
    [&athena_store::MIGRATIONS, &athena_memory::MIGRATIONS];

/// How long a command waits at its end for work that a later one can take up.
const FLUSH_PATIENCE: Duration = Duration::from_secs(3);

/// Returns all operations.
pub(crate) fn registry() -> Registry {
    athena_memory::catalogue(Registry::new())
}

/// A store that is open, with everything its operations need.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    env: Arc<Env>,
    project: String,
}

impl Store {
    /// Opens the store that the settings name and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// Settings that cannot work, a database that cannot be reached (unless the fallback was
    /// asked for), and a store of a newer version.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let privacy = privacy(settings)?;
        warn_of_debug(settings);
        let embedders = embedders(&settings.embedder)?;
        let db = open_or_fall_back(settings).await?;
        let searching = searching(settings, &db)?;
        let directory = std::env::current_dir().unwrap_or_default();
        let project = project::choose(settings, &directory).name;
        let env = athena_memory::wire(Env::builder(db, embedders), privacy).part(searching);
        Ok(Self {
            env: env.build(),
            project,
        })
    }

    /// Opens a store in a file, whatever the settings say.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub(crate) async fn open_file(
        path: &Path,
        durability: Durability,
        embedders: Embedders,
        privacy: Arc<Privacy>,
        project: &str,
    ) -> Result<Self> {
        let recipe = Recipe::default();
        Self::open_file_with(path, durability, embedders, privacy, project, recipe).await
    }

    /// Opens a store in a file whose searches rank by a recipe of their own.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub(crate) async fn open_file_with(
        path: &Path,
        durability: Durability,
        embedders: Embedders,
        privacy: Arc<Privacy>,
        project: &str,
        recipe: Recipe,
    ) -> Result<Self> {
        let db = Database::builder(&sqlite_url(path))
            .durability(durability)
            .open()
            .await?;
        migrate(&db).await?;
        let env = athena_memory::wire(Env::builder(db, embedders), privacy).part(recipe);
        Ok(Self {
            env: env.build(),
            project: project.to_owned(),
        })
    }

    /// Opens the store that a database's settings name, with parts that are not from the settings.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub(crate) async fn open_database(
        settings: &DatabaseSettings,
        embedders: Embedders,
        privacy: Arc<Privacy>,
        project: &str,
    ) -> Result<Self> {
        let db = open_and_migrate(settings).await?;
        let env = athena_memory::wire(Env::builder(db, embedders), privacy).build();
        Ok(Self {
            env,
            project: project.to_owned(),
        })
    }

    /// Returns what all calls share.
    pub(crate) fn env(&self) -> &Arc<Env> {
        &self.env
    }

    /// Returns the project of calls that name none.
    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    /// Returns what is known of privacy here.
    pub(crate) fn privacy(&self) -> &Arc<Privacy> {
        self.env.part::<athena_store::Store>().privacy()
    }

    /// Makes the context of calls by `principal`.
    pub(crate) fn ctx(&self, principal: &str) -> Ctx {
        Ctx::for_caller(Arc::clone(&self.env), principal).with_project(self.project.clone())
    }

    /// Writes what is still held back and closes the database.
    ///
    /// # Errors
    ///
    /// When closing fails; what could not be flushed is only logged.
    pub(crate) async fn close(self) -> Result<()> {
        let flushed = tokio::time::timeout(FLUSH_PATIENCE, athena_store::flush(&self.env)).await;
        if flushed.is_err() {
            tracing::info!("the embedder is slow; missing vectors follow with a later command");
        }
        Ok(self.env.db().close().await?)
    }
}

/// Makes the directory of the store, for its owner alone.
pub(crate) fn prepare_home(settings: &Settings) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if settings.home.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.home);
    made.map_err(|error| at_path("create", &settings.home, error))
}

/// Makes the directory of the store if a database is to be the default one in it.
pub(crate) fn prepare_home_for(settings: &Settings, database: &DatabaseSettings) -> Result<()> {
    if database.url == sqlite_url(&settings.default_store()) {
        prepare_home(settings)?;
    }
    Ok(())
}

async fn open_or_fall_back(settings: &Settings) -> Result<Database> {
    let error = match open_database(settings).await {
        Ok(db) => return Ok(db),
        Err(error) => error,
    };
    let fallback = settings.database.fall_back_to_sqlite
        && error.code() == Code::Unavailable
        && !settings.database.url.starts_with("sqlite:");
    if !fallback {
        return Err(error);
    }
    let path = settings.default_store();
    // Not a matter of log levels: whoever asked for this must see it every time.
    eprintln!(
        "WARNING: {error}\nWARNING: ATHENA_DB_FALLBACK=sqlite: reading and writing `{}` instead. What is written \
         there is not in the database that was asked for.",
        path.display()
    );
    let url = sqlite_url(&path);
    prepare_home(settings)?;
    open_and_migrate(&DatabaseSettings {
        url,
        ..settings.database.clone()
    })
    .await
}

/// Says who searches the store that was opened.
fn searching(settings: &Settings, db: &Database) -> Result<Searching> {
    let fell_back =
        db.dialect() == Dialect::Sqlite && !settings.database.url.starts_with("sqlite:");
    if fell_back {
        // The store that stands in is searched as any of its kind.
        return Ok(Searching::default());
    }
    settings.search.check(db.dialect())?;
    Ok(Searching::by(settings.search))
}

async fn open_database(settings: &Settings) -> Result<Database> {
    prepare_home_for(settings, &settings.database)?;
    open_and_migrate(&settings.database).await
}

async fn open_and_migrate(settings: &DatabaseSettings) -> Result<Database> {
    let db = match connect(settings).await {
        // What is there can still be read; writing then says why it cannot.
        Err(error) if error.code() == Code::ReadOnly => read_only(settings).await?,
        db => db?,
    };
    migrate(&db).await?;
    Ok(db)
}

/// Opens a database without touching its schema.
///
/// # Errors
///
/// As the driver says.
pub(crate) async fn connect(settings: &DatabaseSettings) -> Result<Database> {
    Ok(builder(settings).open().await?)
}

/// Prepares to open a database as the settings say.
pub(crate) fn builder(settings: &DatabaseSettings) -> Builder {
    let durability = if settings.full_durability {
        Durability::Full
    } else {
        Durability::Normal
    };
    let mut builder = Database::builder(&settings.url)
        .durability(durability)
        .application_name("athena");
    if let Some(connections) = settings.min_connections {
        builder = builder.min_connections(usize::try_from(connections).unwrap_or(usize::MAX));
    }
    if let Some(connections) = settings.max_connections {
        builder = builder.max_connections(usize::try_from(connections).unwrap_or(usize::MAX));
    }
    builder
}

/// Lets statements take as long as they need, without a word about it: for those that go over
/// whole tables.
pub(crate) fn patient(builder: Builder) -> Builder {
    builder
        .statement_timeout(Duration::ZERO)
        .slow_statement(Duration::MAX)
}

async fn read_only(settings: &DatabaseSettings) -> Result<Database> {
    tracing::info!("the store is read-only");
    Ok(builder(settings).read_only(true).open().await?)
}

async fn migrate(db: &Database) -> Result<()> {
    for set in MIGRATIONS {
        db.migrations(set).up().await?;
    }
    Ok(())
}

/// Makes privacy as the settings ask for it. The keyring is read when it is needed first.
///
/// # Errors
///
/// As for [`detector`].
pub(crate) fn privacy(settings: &Settings) -> Result<Arc<Privacy>> {
    let masking = Masking::new(detector(settings)?, settings.privacy.policy);
    let keeps_values = settings.privacy.keeps_values;
    Ok(Privacy::new(masking, keyring_of(settings), keeps_values))
}

/// Makes privacy as it is without settings, with the key that is at hand: for a store that stays.
pub(crate) fn usual_privacy(settings: &Settings) -> Arc<Privacy> {
    Privacy::new(Masking::default(), keyring_of(settings), true)
}

/// Makes privacy by a policy, with a key that is kept nowhere: for a store that ends with the process.
///
/// # Errors
///
/// When the operating system gives no random bytes.
pub(crate) fn passing_privacy(policy: Policy) -> Result<Arc<Privacy>> {
    Privacy::passing(Masking::new(Detector::default(), policy))
}

fn keyring_of(
    settings: &Settings,
) -> impl Fn() -> std::result::Result<Keyring, KeyringError> + Send + Sync + 'static {
    let file = key_file(settings);
    move || keyring(&file)
}

/// Makes the detector that the settings ask for.
///
/// # Errors
///
/// [`Code::InvalidInput`] for a pattern that cannot be used.
pub(crate) fn detector(settings: &Settings) -> Result<Detector> {
    let PrivacySettings {
        threshold,
        allow,
        patterns,
        ..
    } = &settings.privacy;
    let detector = Detector::new()
        .with_threshold(*threshold)
        .allowing(allow.iter().cloned());
    patterns
        .iter()
        .try_fold(detector, |detector, (name, regex)| {
            let refused = |error| refused_pattern(name, &error, settings);
            detector.with_pattern(name, regex).map_err(refused)
        })
}

fn refused_pattern(name: &str, error: &PatternError, settings: &Settings) -> Error {
    // A regular expression's own message shows it and points below it; its last line says why.
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let cause = cause.as_deref().and_then(|cause| cause.lines().last());
    let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
    let source = settings.source("privacy.patterns");
    Error::new(
        Code::InvalidInput,
        format!("`privacy.patterns`: {error}{cause} (set by {source})"),
    )
    .with_field(format!("privacy.patterns.{name}"))
}

/// Opens the keyring: what the environment holds, or else the file.
pub(crate) fn keyring(file: &Path) -> std::result::Result<Keyring, KeyringError> {
    match std::env::var(PRIVACY_KEY) {
        Ok(keys) if !keys.trim().is_empty() => Keyring::given(PRIVACY_KEY, &keys),
        _ => Keyring::file(file),
    }
}

/// Returns the file that holds the keys of privacy.
pub(crate) fn key_file(settings: &Settings) -> PathBuf {
    settings.home.join("pii.key")
}

/// Tells that personal data reaches the store, if it does.
fn warn_of_debug(settings: &Settings) {
    if settings.privacy.policy == Policy::Debug {
        // Not a matter of log levels: whoever writes with it must see it every time.
        eprintln!(
            "WARNING: the privacy policy is `debug` (set by {}): personal data reaches the store as it is. \
             Set privacy.policy to `standard` before you keep anything real.",
            settings.source("privacy.policy")
        );
    }
}

/// Makes the embedders that the settings ask for.
///
/// # Errors
///
/// [`Code::InvalidInput`] for settings that cannot work.
pub(crate) fn embedders(settings: &EmbedderSettings) -> Result<Embedders> {
    athena_embed::build(&embedder_config(settings, |name| std::env::var(name).ok())?)
}

/// Turns settings into the embedder's own; `variable` reads the environment.
///
/// # Errors
///
/// [`Code::InvalidInput`] when the variable that should hold the key is not set.
pub(crate) fn embedder_config(
    settings: &EmbedderSettings,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<EmbedderConfig> {
    let defaults = EmbedderConfig::default();
    let api_key = match &settings.api_key_env {
        None => None,
        Some(name) => match variable(name).filter(|key| !key.trim().is_empty()) {
            Some(key) => Some(Secret::new(key.trim())),
            None => {
                let problem = format!("names the variable `{name}`, which is not set");
                return Err(Error::invalid("embedder.api_key_env", problem));
            }
        },
    };
    Ok(EmbedderConfig {
        provider: settings.provider.parse()?,
        url: settings.url.clone(),
        model: settings.model.clone(),
        path: settings.path.clone(),
        api_key,
        dimensions: settings.dimensions,
        query_prefix: settings.query_prefix.clone().unwrap_or_default(),
        document_prefix: settings.document_prefix.clone().unwrap_or_default(),
        batch: settings.batch.unwrap_or(defaults.batch),
        timeout: settings.timeout.unwrap_or(defaults.timeout),
        retries: settings.retries.unwrap_or(defaults.retries),
        ..defaults
    })
}

/// Makes files and directories of this process readable by their owner alone.
pub(crate) fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Starts a runtime for a command that makes a few calls and ends.
///
/// # Errors
///
/// When the operating system gives no event queue.
pub(crate) fn small_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, load};

    #[test]
    fn every_database_can_have_our_migrations() {
        for set in MIGRATIONS {
            assert_eq!(set.check(), [], "{}", set.name);
        }
    }

    fn settings(variables: [(&str, &str); 3]) -> EmbedderSettings {
        load(
            &Flags::from([("home", "/h".to_owned())]),
            &Environment::from(variables),
        )
        .unwrap()
        .embedder
    }

    #[test]
    fn the_key_is_read_from_the_variable_that_is_named() {
        let settings = settings([
            ("ATHENA_EMBEDDER", "openai"),
            ("ATHENA_EMBEDDER_MODEL", "m"),
            ("ATHENA_EMBEDDER_API_KEY_ENV", "SOME_KEY"),
        ]);
        let config = embedder_config(&settings, |name| {
            (name == "SOME_KEY").then(|| " k\n".to_owned())
        })
        .unwrap();
        assert_eq!(config.api_key.as_ref().map(Secret::expose), Some("k"));
        let error = embedder_config(&settings, |_| None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`embedder.api_key_env` names the variable `SOME_KEY`, which is not set"
        );
    }
}
