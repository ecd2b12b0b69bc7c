//! Where secrets are kept: a file that its owner alone may read, or an environment variable.

use crate::{Secret, SecretError};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The secrets of an installation, the newest first.
///
/// Older ones stay: a store that was not rotated yet, or that several installations share, still
/// needs its own. A store says by fingerprint which one it was made with.
#[derive(Debug, Clone)]
pub struct Keyring {
    place: Place,
    secrets: Vec<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Given(String),
}

/// Why keys cannot be had. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file cannot be read or written.
    #[error("the key file `{path}` cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Others may read the file.
    #[error(
        "others may read the key file `{path}` (mode {mode:o}); `chmod 600 {path}` and consider `athena pii rotate`"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line or an entry is no key.
    #[error("key {number} of {place} {source}")]
    Secret {
        /// Which one, from 1.
        number: usize,
        /// The file or the variable.
        place: String,
        /// What is wrong with it.
        source: SecretError,
    },
    /// There is no key where one must be.
    #[error("{place} holds no key")]
    Empty {
        /// The file or the variable.
        place: String,
    },
}

impl Keyring {
    /// Reads the key file. A file that does not exist is an empty keyring; [`add`](Self::add) makes it.
    ///
    /// # Errors
    ///
    /// When others may read the file, or when it cannot be read or holds something else.
    pub fn file(path: &Path) -> Result<Self, KeyringError> {
        let place = Place::File(path.to_owned());
        let failed = |error| unusable(path, error);
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secrets = Vec::new();
                return Ok(Self { place, secrets });
            }
            metadata => metadata.map_err(failed)?,
        };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyringError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self::parse(place, lines)
    }

    /// Reads secrets that were given as `name`'s value, the newest first, with commas between them.
    ///
    /// # Errors
    ///
    /// When one of them is no secret, or there is none.
    pub fn given(name: &str, value: &str) -> Result<Self, KeyringError> {
        Self::parse(Place::Given(name.to_owned()), value.split(','))
    }

    /// Makes a keyring of one new secret that is kept nowhere: for stores that end with the process.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes.
    pub fn passing() -> Result<Self, KeyringError> {
        let place = Place::Given("this process".to_owned());
        let secret = new_secret("this process")?;
        Ok(Self {
            place,
            secrets: vec![secret],
        })
    }

    fn parse<'a>(
        place: Place,
        entries: impl Iterator<Item = &'a str>,
    ) -> Result<Self, KeyringError> {
        let mut secrets = Vec::new();
        for (index, entry) in entries.enumerate() {
            let secret = Secret::parse(entry).map_err(|source| KeyringError::Secret {
                number: index + 1,
                place: place.name(),
                source,
            })?;
            secrets.push(secret);
        }
        if secrets.is_empty() {
            return Err(KeyringError::Empty {
                place: place.name(),
            });
        }
        Ok(Self { place, secrets })
    }

    /// Reads it again: another process may have added a secret.
    ///
    /// # Errors
    ///
    /// As for [`file`](Self::file).
    pub fn reread(&self) -> Result<Self, KeyringError> {
        match &self.place {
            Place::File(path) => Self::file(path),
            Place::Given(_) => Ok(self.clone()),
        }
    }

    /// Returns the secret that new stores are made with.
    #[must_use]
    pub fn newest(&self) -> Option<&Secret> {
        self.secrets.first()
    }

    /// Returns the secret with a fingerprint.
    #[must_use]
    pub fn with_fingerprint(&self, fingerprint: &str) -> Option<&Secret> {
        self.secrets
            .iter()
            .find(|secret| secret.fingerprint() == fingerprint)
    }

    /// Returns which secret has a fingerprint, counted from the newest, which is 1.
    #[must_use]
    pub fn number_of(&self, fingerprint: &str) -> Option<usize> {
        let place = self
            .secrets
            .iter()
            .position(|secret| secret.fingerprint() == fingerprint)?;
        Some(place + 1)
    }

    /// Returns where the secrets are, in words.
    #[must_use]
    pub fn place(&self) -> String {
        self.place.name()
    }

    /// Returns the key file, if there is to be one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Given(_) => None,
        }
    }

    /// Returns the keyring with at least one secret: the first one is made with its file.
    ///
    /// Of two processes that do so at the same time one makes the file and both read it.
    ///
    /// # Errors
    ///
    /// When the file cannot be made.
    pub fn or_first(self) -> Result<Self, KeyringError> {
        let Place::File(path) = &self.place else {
            return Ok(self);
        };
        if !self.secrets.is_empty() {
            return Ok(self);
        }
        make_folder(path).map_err(|error| unusable(path, error))?;
        match write_new(path, &[new_secret(&self.place())?]) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(unusable(path, error))
            }
            _ => Self::file(path),
        }
    }

    /// Adds a new secret in front, and returns the keyring with it. The file is replaced as a whole.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. Secrets in a variable can only be added there.
    pub fn add(&self) -> Result<Self, KeyringError> {
        let Place::File(path) = &self.place else {
            return Ok(self.clone());
        };
        // Two rotations at once must not lose one another's secret.
        let _folder = locked_folder(path).map_err(|error| unusable(path, error))?;
        let mut secrets = vec![new_secret(&self.place())?];
        secrets.extend(self.reread()?.secrets);
        replace(path, &secrets).map_err(|error| unusable(path, error))?;
        let place = self.place.clone();
        Ok(Self { place, secrets })
    }
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::File(path) => format!("`{}`", path.display()),
            Self::Given(name) => name.clone(),
        }
    }
}

fn unusable(path: &Path, source: io::Error) -> KeyringError {
    KeyringError::File {
        path: path.to_owned(),
        source,
    }
}

fn new_secret(place: &str) -> Result<Secret, KeyringError> {
    Secret::generate().map_err(|source| KeyringError::Secret {
        number: 1,
        place: place.to_owned(),
        source,
    })
}

const ABOUT: &str = "# The key that stands between the personal data of a store and its tokens. Keep a copy in a\n\
                     # safe place: without it nothing can be written to its stores, and nothing be revealed.\n";

/// Makes a file that did not exist, for its owner alone, and waits until it is on the disk.
fn write_new(path: &Path, secrets: &[Secret]) -> io::Result<()> {
    let mut text = ABOUT.to_owned();
    for secret in secrets {
        text.push_str(&secret.reveal());
        text.push('\n');
    }
    // Written aside and linked in place: a reader never meets half a file.
    let draft = path.with_extension(format!("{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    sync_folder(path)
}

/// Makes the folder of a file, for its owner alone.
fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder),
        _ => Ok(()),
    }
}

fn replace(path: &Path, secrets: &[Secret]) -> io::Result<()> {
    let next = path.with_extension("next");
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => write_new(&next, secrets)?,
    }
    fs::rename(&next, path)?;
    sync_folder(path)
}

/// Locks the folder of a file until the handle is dropped.
fn locked_folder(path: &Path) -> io::Result<fs::File> {
    let folder = fs::File::open(path.parent().unwrap_or(Path::new(".")))?;
    folder.lock()?;
    Ok(folder)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pii.key");
        (folder, path)
    }

    #[test]
    fn the_file_is_made_once_for_its_owner_alone() {
        let (_folder, path) = place();
        let empty = Keyring::file(&path).unwrap();
        assert!(empty.newest().is_none());
        let first = empty.clone().or_first().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = empty.or_first().unwrap();
        assert_eq!(first.newest(), second.newest());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_secret_comes_first_and_the_old_one_stays() {
        let (_folder, path) = place();
        let old = Keyring::file(&path).unwrap().or_first().unwrap();
        let new = old.add().unwrap();
        let old = old.newest().unwrap();
        assert_ne!(new.newest(), Some(old));
        assert_eq!(new.with_fingerprint(&old.fingerprint()), Some(old));
        assert_eq!(new.number_of(&old.fingerprint()), Some(2));
        assert_eq!(Keyring::file(&path).unwrap().newest(), new.newest());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let (_folder, path) = place();
        Keyring::file(&path).unwrap().or_first().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Keyring::file(&path).unwrap_err().to_string();
        assert!(
            error.contains("mode 644") && error.contains("chmod 600"),
            "{error}"
        );
    }

    #[test]
    fn an_error_names_the_place_and_not_the_secret() {
        let error = Keyring::given("ATHENA_PII_KEY", "hunter2")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("key 1 of ATHENA_PII_KEY has 7 characters"));
        assert!(!error.contains("hunter2"));
    }
}
