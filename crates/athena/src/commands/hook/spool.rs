//! What could not reach the store: kept in files, and handed in later.
//!
//! A call is kept in its masked form ([`super::masking`]), one JSON line each, in a file of the day.
//! Whoever opens the store next hands the lines in. Every line has a key, so handing one in twice
//! does nothing the second time; a file is therefore removed only when everything in it is in the
//! store. Whoever reads or writes a file holds its lock.
//!
//! A line that is torn, or that the store refuses for good, goes to a file aside: nothing is lost,
//! and nothing stands in the way of the rest.

use crate::config::Settings;
use athena_core::{Code, Result};
use athena_db::sqlite_url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// The folder in Athena's home.
const FOLDER: &str = "spool";
/// The file for lines that cannot be handed in.
const ASIDE: &str = "aside.txt";
/// All files together are no larger than this.
const MAX_BYTES: u64 = 64 << 20;
/// Calls that are handed in at once.
const BATCH: usize = 200;
/// How often, and after which pause, a writer tries to get the file of the day.
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The operation of events, and the one that takes many at once.
const RECORD: &str = "event.record";
const RECORD_BATCH: &str = "event.record_batch";

/// A call of an operation, as it is made or kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// The operation.
    pub(super) operation: String,
    /// The project.
    pub(super) project: String,
    /// What makes a repeated call do nothing, where the input does not say so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// The input.
    pub(super) input: Value,
}

/// The files for one store.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    store: String,
}

/// What came of handing in some calls.
#[derive(Debug, PartialEq)]
enum HandedIn {
    /// They are in the store, but for those that it refuses.
    Done { refused: Vec<String> },
    /// The store cannot take them now.
    Later,
}

impl Call {
    /// Whether it is worth keeping when it could not be made: it changes something, and does so
    /// later as well.
    pub(super) fn is_kept(&self) -> bool {
        matches!(
            self.operation.as_str(),
            RECORD | "session.start" | "session.end" | "snapshot.save"
        )
    }
}

/// Whether a call that failed so may succeed later.
pub(super) fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Busy
            | Code::Timeout
            | Code::Unavailable
            | Code::ReadOnly
            | Code::NewerStore
            | Code::StorageFull
            | Code::Internal
    )
}

impl Spool {
    /// Returns the files for the store that the settings name.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            folder: settings.home.join(FOLDER),
            store: store_name(settings),
        }
    }

    /// Keeps calls, which must be masked.
    ///
    /// # Errors
    ///
    /// When the disk is full or the files are too large together.
    pub(super) fn keep(&self, calls: &[Call], day: &str) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        if self.size() > MAX_BYTES {
            return Err(io::Error::other(
                "the files for what could not be stored are full",
            ));
        }
        let mut text = String::new();
        for call in calls {
            text.push_str(&serde_json::to_string(call)?);
            text.push('\n');
        }
        let mut file = match self.file_of(day)? {
            Some(file) => file,
            None => self.new_file()?,
        };
        append(&mut file, &text)
    }

    /// Whether there is nothing to hand in.
    pub(crate) fn is_empty(&self) -> bool {
        self.files().is_empty()
    }

    /// Hands in what is kept, as far as the time reaches. What goes wrong is logged: this is never
    /// what somebody waits for.
    pub(super) async fn hand_in(
        &self,
        call: &impl AsyncFn(&Call) -> Result<Option<Value>>,
        until: Instant,
    ) {
        for path in self.files() {
            if Instant::now() >= until {
                return;
            }
            match self.hand_in_file(&path, call, until).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "a file of kept calls cannot be handed in"),
            }
        }
    }

    /// Hands in a file; whether the next one may follow.
    async fn hand_in_file(
        &self,
        path: &Path,
        call: &impl AsyncFn(&Call) -> Result<Option<Value>>,
        until: Instant,
    ) -> io::Result<bool> {
        let Some(mut file) = held(path)? else {
            return Ok(true);
        };
        let (calls, mut aside) = read(&mut file)?;
        let mut rest = calls.as_slice();
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_length(rest));
            match timeout_at(until, hand_in_batch(batch, call)).await {
                Ok(HandedIn::Done { refused }) => aside.extend(refused),
                Ok(HandedIn::Later) | Err(_) => break,
            }
            rest = others;
        }
        if rest.len() == calls.len() && !rest.is_empty() {
            return Ok(false);
        }
        // In this order: a process that ends in between leaves a line twice, and none out.
        self.set_aside(&aside)?;
        if !rest.is_empty() {
            let lines: io::Result<String> = rest
                .iter()
                .map(|call| Ok(format!("{}\n", serde_json::to_string(call)?)))
                .collect();
            append(&mut self.new_file()?, &lines?)?;
        }
        fs::remove_file(path)?;
        Ok(rest.is_empty())
    }

    fn set_aside(&self, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            lines = lines.len(),
            "kept calls that cannot be handed in are set aside"
        );
        let mut file = options().open(self.folder.join(ASIDE))?;
        file.lock()?;
        append(&mut file, &format!("{}\n", lines.join("\n")))
    }

    fn files(&self) -> Vec<PathBuf> {
        let prefix = format!("{}-", self.store);
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .filter(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with(&prefix) && name.ends_with(".jsonl")
            })
            .map(|entry| entry.path())
            .collect();
        files.sort();
        files
    }

    fn size(&self) -> u64 {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.metadata().ok())
            .map(|metadata| metadata.len())
            .sum()
    }

    /// Returns the file of a day, locked; `None` if somebody else holds it for long.
    fn file_of(&self, day: &str) -> io::Result<Option<File>> {
        let path = self.folder.join(format!("{}-{day}.jsonl", self.store));
        for _ in 0..LOCK_ATTEMPTS {
            let file = options().open(&path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Some(file)),
                // It was handed in and removed meanwhile.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Makes a file that nobody else writes.
    fn new_file(&self) -> io::Result<File> {
        loop {
            let name = format!("{}-{}.jsonl", self.store, Uuid::now_v7());
            let path = self.folder.join(name);
            let file = options().create_new(true).open(&path)?;
            file.lock()?;
            // Whoever hands in may have found it before it was locked, and removed it as empty.
            if is_at(&file, &path) {
                return Ok(file);
            }
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true).mode(0o600);
    options
}

/// Writes lines behind what is there; a line that was torn there stays one of its own.
fn append(file: &mut File, lines: &str) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
    }
    let torn = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{torn}{lines}").as_bytes())?;
    file.sync_data()
}

/// Opens a file that nobody else holds.
fn held(path: &Path) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => Ok(is_at(&file, path).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a path still leads to an open file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Reads the calls in a file, and the lines that are none.
fn read(file: &mut File) -> io::Result<(Vec<Call>, Vec<String>)> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(2 * MAX_BYTES).read_to_end(&mut bytes)?;
    let (mut calls, mut odd) = (Vec::new(), Vec::new());
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(call) => calls.push(call),
            Err(_) => odd.push(String::from_utf8_lossy(line).into_owned()),
        }
    }
    Ok((calls, odd))
}

/// Returns how many of the first calls are handed in at once: events of one project, or one call.
fn batch_length(calls: &[Call]) -> usize {
    let Some(first) = calls.first() else {
        return 0;
    };
    if first.operation != RECORD {
        return 1;
    }
    calls
        .iter()
        .take(BATCH)
        .take_while(|call| call.operation == RECORD && call.project == first.project)
        .count()
}

async fn hand_in_batch(
    batch: &[Call],
    call: &impl AsyncFn(&Call) -> Result<Option<Value>>,
) -> HandedIn {
    let whole = hand_in_once(batch, call).await;
    let Err(refusal) = whole else {
        return whole.unwrap_or(HandedIn::Later);
    };
    if batch.len() == 1 {
        return HandedIn::Done {
            refused: vec![refusal],
        };
    }
    // One bad event must not cost the others.
    let mut all = Vec::new();
    for single in batch {
        match hand_in_once(std::slice::from_ref(single), call).await {
            Ok(HandedIn::Done { refused }) => all.extend(refused),
            Ok(HandedIn::Later) => return HandedIn::Later,
            Err(refusal) => all.push(refusal),
        }
    }
    HandedIn::Done { refused: all }
}

/// Hands calls in with one call; a refusal for good gives their lines.
async fn hand_in_once(
    batch: &[Call],
    call: &impl AsyncFn(&Call) -> Result<Option<Value>>,
) -> std::result::Result<HandedIn, String> {
    let Some(first) = batch.first() else {
        return Ok(HandedIn::Done {
            refused: Vec::new(),
        });
    };
    let made = if first.operation == RECORD {
        let events: Vec<&Value> = batch.iter().map(|call| &call.input).collect();
        Call {
            operation: RECORD_BATCH.to_owned(),
            project: first.project.clone(),
            key: None,
            input: json!({ "events": events }),
        }
    } else {
        first.clone()
    };
    match call(&made).await {
        Ok(Some(_)) => Ok(HandedIn::Done {
            refused: Vec::new(),
        }),
        // Kept by a version that knows more than this one.
        Ok(None) => Ok(HandedIn::Later),
        Err(error) if passes(error.code()) => Ok(HandedIn::Later),
        Err(error) => {
            tracing::warn!(operation = made.operation, %error, "a kept call was refused");
            Err(serde_json::to_string(first).unwrap_or_default())
        }
    }
}

/// Returns what the files for the store that the settings name begin with.
pub(super) fn store_name(settings: &Settings) -> String {
    let url = &settings.database.url;
    if *url == sqlite_url(&settings.default_store()) {
        "default".to_owned()
    } else {
        format!("db{:016x}", fingerprint(url.as_bytes()))
    }
}

/// Returns a number for a text that is the same in every version (FNV-1a, 64 bits).
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, load};
    use athena_core::Error;
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;

    const DAY: &str = "2026-03-05";

    fn spool(place: &Path) -> Spool {
        Spool {
            folder: place.join("spool"),
            store: "default".into(),
        }
    }

    fn event(content: &str, project: &str) -> Call {
        Call {
            operation: RECORD.into(),
            project: project.into(),
            key: None,
            input: json!({ "content": content }),
        }
    }

    fn end(session: &str) -> Call {
        Call {
            operation: "session.end".into(),
            project: "shop".into(),
            key: Some(session.into()),
            input: json!({ "session": session }),
        }
    }

    /// Hands in with calls that are answered by `answer`; returns what was called.
    fn handed_in(spool: &Spool, answer: impl Fn(&Call) -> Result<Option<Value>>) -> Vec<Call> {
        let calls = RefCell::new(Vec::new());
        let call = async |call: &Call| {
            calls.borrow_mut().push(call.clone());
            answer(call)
        };
        let runtime = crate::compose::small_runtime().unwrap();
        runtime.block_on(async {
            spool
                .hand_in(&call, Instant::now() + Duration::from_secs(60))
                .await;
        });
        calls.into_inner()
    }

    fn well(_: &Call) -> Result<Option<Value>> {
        Ok(Some(Value::Null))
    }

    fn aside(spool: &Spool) -> String {
        fs::read_to_string(spool.folder.join(ASIDE)).unwrap_or_default()
    }

    #[test]
    fn what_is_kept_is_handed_in_once() {
        let place = tempfile::tempdir().unwrap();
        let spool = spool(place.path());
        assert!(spool.is_empty());
        spool
            .keep(&[event("a", "shop"), event("b", "shop")], DAY)
            .unwrap();
        spool.keep(&[event("c", "other"), end("s")], DAY).unwrap();
        let files = spool.files();
        assert_eq!(files.len(), 1);
        let mode = fs::metadata(&files[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let calls = handed_in(&spool, well);
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[0].operation, RECORD_BATCH);
        assert_eq!(
            calls[0].input,
            json!({"events": [{"content": "a"}, {"content": "b"}]})
        );
        assert_eq!(calls[1].project, "other");
        assert_eq!(calls[2], end("s"));
        assert!(spool.is_empty());
        assert_eq!(handed_in(&spool, well), []);
        assert_eq!(aside(&spool), "");
    }

    #[test]
    fn a_store_that_cannot_take_it_costs_nothing() {
        let place = tempfile::tempdir().unwrap();
        let spool = spool(place.path());
        spool.keep(&[event("a", "shop"), end("s")], DAY).unwrap();
        let busy = |_: &Call| Err(Error::new(Code::Busy, "busy"));
        assert_eq!(handed_in(&spool, busy).len(), 1);
        assert_eq!(handed_in(&spool, |_| Ok(None)).len(), 1);
        // What got through is not handed in again.
        let half = |call: &Call| match call.operation.as_str() {
            RECORD_BATCH => Ok(Some(Value::Null)),
            _ => Err(Error::new(Code::Unavailable, "gone")),
        };
        assert_eq!(handed_in(&spool, half).len(), 2);
        assert_eq!(handed_in(&spool, well), [end("s")]);
        assert!(spool.is_empty());
    }

    #[test]
    fn a_torn_line_is_set_aside_and_the_rest_handed_in() {
        let place = tempfile::tempdir().unwrap();
        let spool = spool(place.path());
        spool.keep(&[event("a", "shop")], DAY).unwrap();
        let torn = r#"{"operation":"event.rec"#;
        let mut file = options().open(&spool.files()[0]).unwrap();
        file.write_all(torn.as_bytes()).unwrap();
        spool.keep(&[event("b", "shop")], DAY).unwrap();
        file.write_all(b"\xff\xfe").unwrap();
        let calls = handed_in(&spool, well);
        assert_eq!(
            calls[0].input,
            json!({"events": [{"content": "a"}, {"content": "b"}]})
        );
        assert_eq!(aside(&spool), format!("{torn}\n\u{fffd}\u{fffd}\n"));
        assert!(spool.is_empty());
    }

    #[test]
    fn one_event_that_is_refused_costs_no_other() {
        let place = tempfile::tempdir().unwrap();
        let spool = spool(place.path());
        spool
            .keep(
                &[event("a", "shop"), event("bad", "shop"), event("c", "shop")],
                DAY,
            )
            .unwrap();
        let answer = |call: &Call| match call.input.to_string().contains("bad") {
            true => Err(Error::invalid("content", "is bad")),
            false => Ok(Some(Value::Null)),
        };
        assert_eq!(handed_in(&spool, answer).len(), 4);
        let kept: Call = serde_json::from_str(&aside(&spool)).unwrap();
        assert_eq!(kept, event("bad", "shop"));
        assert!(spool.is_empty());
    }

    #[test]
    fn those_who_write_and_hand_in_at_once_lose_nothing() {
        let place = tempfile::tempdir().unwrap();
        let total = RefCell::new(0);
        let count = |call: &Call| {
            *total.borrow_mut() += call.input["events"].as_array().unwrap().len();
            Ok(Some(Value::Null))
        };
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let spool = spool(place.path());
                    scope.spawn(move || {
                        for number in 0..30 {
                            let content = format!("{writer}-{number}");
                            spool.keep(&[event(&content, "shop")], DAY).unwrap();
                        }
                    })
                })
                .collect();
            while !writers.iter().all(|writer| writer.is_finished()) {
                handed_in(&spool(place.path()), count);
            }
        });
        handed_in(&spool(place.path()), count);
        assert_eq!(total.into_inner(), 90);
        assert!(spool(place.path()).is_empty());
    }

    #[test]
    fn files_beside_that_of_the_day_lose_nothing() {
        let place = tempfile::tempdir().unwrap();
        let total = RefCell::new(0);
        let count = |call: &Call| {
            *total.borrow_mut() += call.input["events"].as_array().unwrap().len();
            Ok(Some(Value::Null))
        };
        spool(place.path()).keep(&[], DAY).unwrap();
        let day = spool(place.path()).file_of(DAY).unwrap();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let spool = spool(place.path());
                    scope.spawn(move || {
                        for number in 0..200 {
                            let line = event(&format!("{writer}-{number}"), "shop");
                            let line = serde_json::to_string(&line).unwrap();
                            append(&mut spool.new_file().unwrap(), &format!("{line}\n")).unwrap();
                        }
                    })
                })
                .collect();
            while !writers.iter().all(|writer| writer.is_finished()) {
                handed_in(&spool(place.path()), count);
            }
        });
        drop(day);
        handed_in(&spool(place.path()), count);
        assert_eq!(total.into_inner(), 800);
    }

    #[test]
    fn two_who_hand_in_do_not_meet() {
        let place = tempfile::tempdir().unwrap();
        let spool = spool(place.path());
        spool.keep(&[event("a", "shop")], DAY).unwrap();
        let other = held(&spool.files()[0]).unwrap().unwrap();
        assert_eq!(handed_in(&spool, well), []);
        drop(other);
        assert_eq!(handed_in(&spool, well).len(), 1);
    }

    #[test]
    fn other_stores_have_other_files() {
        let of = |url: Option<&str>| {
            let mut flags = Flags::from([("home", "/h".to_owned())]);
            flags.extend(url.map(|url| ("database.url", url.to_owned())));
            Spool::of(&load(&flags, &Environment::default()).unwrap()).store
        };
        assert_eq!(of(None), "default");
        assert_ne!(of(Some("postgres://one/x")), of(Some("postgres://two/x")));
        // The names of files must not change from version to version.
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
