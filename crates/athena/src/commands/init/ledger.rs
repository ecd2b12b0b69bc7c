//! What was made in which file, so that exactly that can be taken out again.
//!
//! A settings file does not say whether an object in it was there before, whether it was written
//! `{}` or `{ }`, or whether the file itself is new. That is written down in Athena's home. Without
//! it, as on the machine of somebody who got the file from a colleague, what is Athena's is known by
//! its look, and containers that it leaves empty go with it.

use crate::outcome::at_path;
use athena_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The file in Athena's home.
const FILE: &str = "init.json";

/// What was made, by the file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    files: BTreeMap<PathBuf, Traces>,
}

/// What was made in one file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Traces {
    /// Whether the file itself.
    pub(super) file: bool,
    /// The folder that the file is in, if that was made for it.
    pub(super) folder: Option<PathBuf>,
    /// The paths under which an entry of Athena's was put.
    pub(super) entries: Vec<Vec<String>>,
    /// The paths of the containers that were made for them.
    pub(super) containers: Vec<Vec<String>>,
    /// The containers that were empty, with the white space in them.
    pub(super) spaces: Vec<(Vec<String>, String)>,
}

impl Ledger {
    /// Reads it; one that does not exist is empty.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub(super) fn read(home: &Path) -> Result<Self> {
        let path = home.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(|error| at_path("read", &path, error))?,
        };
        serde_json::from_str(&text).map_err(|error| {
            let message = format!(
                "`{}`, where Athena keeps what it put into which file, is damaged: {error}; remove it to go on without",
                path.display()
            );
            Error::new(Code::InvalidInput, message)
        })
    }

    /// Writes it, or removes it if it is empty.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub(super) fn write(&self, home: &Path) -> Result<()> {
        let path = home.join(FILE);
        if self.files.is_empty() {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(at_path("remove", &path, error))
                }
                _ => Ok(()),
            };
        }
        let text = serde_json::to_string_pretty(self).map_err(Error::internal)?;
        super::files::replace(&path, format!("{text}\n").as_bytes(), 0o600)
    }

    /// Returns what was made in a file.
    pub(super) fn of(&self, file: &Path) -> Option<&Traces> {
        self.files.get(file)
    }

    /// Adds what was made in a file.
    pub(super) fn add(&mut self, file: &Path, traces: Traces) {
        let known = self.files.entry(file.to_owned()).or_default();
        known.file |= traces.file;
        known.folder = known.folder.take().or(traces.folder);
        extend(&mut known.entries, traces.entries);
        extend(&mut known.containers, traces.containers);
        extend(&mut known.spaces, traces.spaces);
    }

    /// Forgets the entries of a file that `are_gone` tells, and the file with the last of them.
    pub(super) fn forget(&mut self, file: &Path, are_gone: impl Fn(&[String]) -> bool) {
        if let Some(traces) = self.files.get_mut(file) {
            traces.entries.retain(|entry| !are_gone(entry));
            if traces.entries.is_empty() {
                self.files.remove(file);
            }
        }
    }
}

fn extend<T: PartialEq>(known: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !known.contains(&item) {
            known.push(item);
        }
    }
}
