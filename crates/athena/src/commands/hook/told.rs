//! What the agent of a session was told, so that its prompts are not told it again.
//!
//! A file for each session, beside the store's: a list of the items of the briefs, as
//! `context.brief` takes them, without their texts. It is begun anew where the context of the agent
//! is: when a session starts or its context is replaced. Without the file, everything is told again.

use super::spool::{fingerprint, store_name};
use crate::config::Settings;
use serde_json::{Value, json};
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// The folder in Athena's home.
const FOLDER: &str = "told";
/// Items that are remembered, the latest of them.
const MOST: usize = 800;
/// How long a file is kept that nobody writes to.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);

/// The list of one session.
#[derive(Debug)]
pub(super) struct Told {
    folder: PathBuf,
    name: String,
}

impl Told {
    /// Returns the list of a session with the store that the settings name.
    pub(super) fn of(settings: &Settings, session: &str) -> Self {
        let session = fingerprint(session.as_bytes());
        Self {
            folder: settings.home.join(FOLDER),
            name: format!("{}-{session:016x}.json", store_name(settings)),
        }
    }

    /// Returns the items; none if there is no list that can be read.
    pub(super) fn items(&self) -> Vec<Value> {
        let bytes = fs::read(self.folder.join(&self.name)).unwrap_or_default();
        let items: Vec<Value> = serde_json::from_slice(&bytes).unwrap_or_default();
        items.into_iter().filter_map(|item| known(&item)).collect()
    }

    /// Adds the items of a brief that was told.
    pub(super) fn add(&self, brief: &Value) {
        let told = brief["items"].as_array().into_iter().flatten();
        let told: Vec<Value> = told.filter_map(known).collect();
        let mut items = self.items();
        items.retain(|item| told.iter().all(|it| !is_of_the_same(it, item)));
        items.extend(told);
        items.drain(..items.len().saturating_sub(MOST));
        if let Err(error) = self.write(&items) {
            tracing::warn!(%error, "what was told cannot be written down");
        }
    }

    /// Begins the list anew, and removes those of sessions that are long over.
    pub(super) fn forget(&self) {
        match fs::remove_file(self.folder.join(&self.name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "what was told cannot be forgotten");
            }
            _ => {}
        }
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let written = entry.metadata().and_then(|metadata| metadata.modified());
            let age = written.map(|time| SystemTime::now().duration_since(time));
            if matches!(age, Ok(Ok(age)) if age > KEPT) {
                // Another hook may have been quicker.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Writes the list as a whole, or not at all.
    fn write(&self, items: &[Value]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(items)?)?;
        file.persist(self.folder.join(&self.name))?;
        Ok(())
    }
}

/// Returns what is kept of an item; none if it is no item.
fn known(item: &Value) -> Option<Value> {
    let (kind, id) = (item["kind"].as_str()?, item["id"].as_i64()?);
    let version = item["version"].as_i64()?;
    Some(json!({"kind": kind, "id": id, "version": version}))
}

fn is_of_the_same(one: &Value, other: &Value) -> bool {
    (&one["kind"], &one["id"]) == (&other["kind"], &other["id"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, load};

    fn told(place: &tempfile::TempDir, session: &str) -> Told {
        let home = place.path().display().to_string();
        let settings = load(&Flags::from([("home", home)]), &Environment::default());
        Told::of(&settings.unwrap(), session)
    }

    fn brief(items: &[(i64, i64)]) -> Value {
        let items = items.iter().map(
            |(id, version)| json!({"kind": "memory", "id": id, "version": version, "reason": "x"}),
        );
        json!({"text": "y", "items": items.collect::<Vec<_>>()})
    }

    #[test]
    fn what_was_told_is_known_until_it_is_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let list = told(&place, "s1");
        assert_eq!(list.items(), Vec::<Value>::new());
        list.add(&brief(&[(1, 10), (2, 20)]));
        list.add(&brief(&[(1, 11)]));
        let item = |id: i64, version: i64| json!({"kind": "memory", "id": id, "version": version});
        assert_eq!(list.items(), [item(2, 20), item(1, 11)]);
        assert_eq!(told(&place, "s2").items(), Vec::<Value>::new());
        list.forget();
        list.forget();
        assert_eq!(list.items(), Vec::<Value>::new());
    }

    #[test]
    fn a_list_has_an_end_and_may_be_broken() {
        let place = tempfile::tempdir().unwrap();
        let list = told(&place, "s1");
        for start in 0..9 {
            let items: Vec<(i64, i64)> = (0..100).map(|id| (start * 100 + id, 1)).collect();
            list.add(&brief(&items));
        }
        let items = list.items();
        assert_eq!((items.len(), &items[0]["id"]), (MOST, &json!(100)));
        fs::write(list.folder.join(&list.name), b"[{\"kind\": 7}, \xff").unwrap();
        assert_eq!(list.items(), Vec::<Value>::new());
        list.add(&brief(&[(1, 1)]));
        assert_eq!(list.items().len(), 1);
        list.add(&json!({"items": "odd"}));
        assert_eq!(list.items().len(), 1);
    }
}
