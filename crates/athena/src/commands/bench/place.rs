//! Where the memories are stored that are measured with.

use crate::commands::Session;
use crate::commands::db::bench::{beside, folder_in};
use crate::compose::Store;
use crate::config::{DatabaseSettings, redact};
use crate::outcome::at_path;
use athena_core::{Code, Embedders, Error, Registry, Result};
use athena_db::sqlite_url;
use athena_privacy::{Detector, Keyring, Masking, Policy};
use athena_store::Privacy;
use clap::{Arg, value_parser};
use rustix::fs::statvfs;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// The key of a store in which there is nothing to protect: the same for every process that opens it.
pub(super) const KEY: &str = "b0d5c2a97e4f16830c9d27b45fa1e6382d70f4c9165ae8b3947c0de21f586ab3";
/// The project of the memories.
pub(super) const PROJECT: &str = "bench";
/// Disk that a row needs at most, while it is written.
const ROW_BYTES: u64 = 10_000;

/// A temporary store, or a database that the caller named.
#[derive(Debug)]
pub(super) struct Place {
    settings: DatabaseSettings,
    privacy: Arc<Privacy>,
    /// Removed with this.
    folder: Option<TempDir>,
}

/// Returns the options that say where that is.
pub(super) fn arguments() -> [Arg; 2] {
    [
        Arg::new("folder")
            .long("folder")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help("Where the temporary store lies [default: beside the configured store]"),
        Arg::new("url")
            .long("url")
            .value_name("URL")
            .conflicts_with("folder")
            .help("Use this database, which must hold no projects; what is stored there stays"),
    ]
}

impl Place {
    /// Chooses it and makes sure that there is room.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written and too little space, each with the way out.
    pub(super) fn choose(
        session: &Session,
        rows: u64,
        folder: Option<&Path>,
        url: Option<&str>,
    ) -> Result<Self> {
        let privacy = privacy();
        let mut settings = DatabaseSettings {
            full_durability: true,
            fall_back_to_sqlite: false,
            ..session.settings.database.clone()
        };
        if let Some(url) = url {
            url.clone_into(&mut settings.url);
            return Ok(Self {
                settings,
                privacy,
                folder: None,
            });
        }
        let store = session.settings.default_store();
        let directory = folder.unwrap_or_else(|| beside(&store));
        let folder = folder_in(directory).map_err(|error| {
            let message = format!("{error}; name a folder with room by `--folder`");
            Error::new(error.code(), message).with_field("folder")
        })?;
        check_room(folder.path(), rows)?;
        settings.url = sqlite_url(&folder.path().join("bench.db"));
        Ok(Self {
            settings,
            privacy,
            folder: Some(folder),
        })
    }

    /// Uses the database of the settings, whatever is in it.
    pub(super) fn of_settings(session: &Session) -> Self {
        Self {
            settings: session.settings.database.clone(),
            privacy: privacy(),
            folder: None,
        }
    }

    /// Opens the store, with the built-in embedder alone whatever the settings say.
    ///
    /// # Errors
    ///
    /// What opening a store fails with.
    pub(super) async fn open(&self) -> Result<Store> {
        let privacy = Arc::clone(&self.privacy);
        let embedders = Embedders {
            builtin: athena_embed::builtin(),
            model: None,
        };
        Store::open_database(&self.settings, embedders, privacy, PROJECT).await
    }

    /// Refuses a database that somebody uses: a million made-up memories would stay in it.
    ///
    /// # Errors
    ///
    /// [`Code::Conflict`] if there is a project.
    pub(super) async fn refuse_if_used(&self, registry: &Registry, store: &Store) -> Result<()> {
        let projects = registry
            .call(
                "project.list",
                &store.ctx("bench"),
                json!({"limit": 1}),
                None,
            )
            .await?;
        if projects["items"].as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let message = format!(
            "`{}` holds projects, and what is measured with stays there; name an empty database",
            redact(&self.settings.url)
        );
        Err(Error::new(Code::Conflict, message).with_field("url"))
    }

    /// Says what the store is.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub(super) async fn describe(&self, store: &Store) -> Result<String> {
        let version = store.env().db().ping().await?.version;
        Ok(match &self.folder {
            Some(_) => format!("{version}, every commit on the disk"),
            None => format!("{version} at {}", redact(&self.settings.url)),
        })
    }

    /// Returns the folder, if the store is a temporary one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(TempDir::path)
    }

    /// Returns the URL of the database, password included.
    pub(super) fn url(&self) -> &str {
        &self.settings.url
    }
}

fn privacy() -> Arc<Privacy> {
    let masking = Masking::new(Detector::default(), Policy::Standard);
    Privacy::new(
        masking,
        || Keyring::given("the key of the benchmark", KEY),
        true,
    )
}

fn check_room(folder: &Path, rows: u64) -> Result<()> {
    let disk = statvfs(folder).map_err(|error| unreadable(folder, error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = rows.saturating_mul(ROW_BYTES) + (32 << 20);
    if free >= needed {
        return Ok(());
    }
    let message = format!(
        "{rows} memories need up to {} MB, and `{}` has {} MB left; ask for fewer by `--rows` or name another folder by \
         `--folder`",
        needed / 1_000_000,
        folder.display(),
        free / 1_000_000
    );
    Err(Error::new(Code::StorageFull, message).with_field("rows"))
}

/// Says that a folder cannot be looked into.
pub(super) fn unreadable(folder: &Path, error: std::io::Error) -> Error {
    at_path("read", folder, error)
}

#[cfg(test)]
mod tests {
    use super::check_room;
    use athena_core::Code;

    #[test]
    fn room_for_everything_is_asked_for_first() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_room(folder.path(), 1).is_ok());
        let error = check_room(folder.path(), u64::MAX / 1_000_000).unwrap_err();
        assert_eq!(error.code(), Code::StorageFull);
        assert!(error.message().contains("--folder"), "{error}");
    }
}
