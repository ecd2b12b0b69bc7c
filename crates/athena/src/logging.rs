//! The log: to standard error, so that standard output stays the answer's alone.
//!
//! Whatever is logged, by Athena or by a library, passes [`Redacted`]: no line holds personal data.

use athena_privacy::Masking;
use std::borrow::Cow;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// Largest size of a log in a file.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// Starts logging; `wanted` is a level or a list such as `warn,athena_db=debug`.
///
/// Text that is neither is told and `warn` taken instead: a typing mistake must not cost the log.
pub(crate) fn start(wanted: &str, colour: bool) {
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| {
        eprintln!("warning: `{wanted}` is no log level; using `warn`");
        EnvFilter::new("warn")
    });
    // What the settings allow in the store is not meant for the log.
    let masking = Arc::new(Masking::default());
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Redacted::new(Arc::clone(&masking), io::stderr()))
        .with_ansi(colour)
        .with_timer(SystemTime)
        .try_init();
    if started.is_err() {
        eprintln!("warning: the log was started before");
    }
}

/// Logs warnings and errors to a file in a folder, for a process whose output belongs to others.
///
/// The file is made when there is something to say. It has an end: when it is full it becomes the
/// old one, and the old one before it goes.
pub(crate) fn start_in(folder: &Path, name: &str) {
    let masking = Arc::new(Masking::default());
    let file = Bounded {
        path: folder.join(name),
        limit: MAX_FILE_BYTES,
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("warn"))
        .with_writer(move || Redacted::new(Arc::clone(&masking), file.clone()))
        .with_ansi(false)
        .with_timer(SystemTime)
        .try_init();
    debug_assert!(started.is_ok(), "the log was started before");
}

/// Picks the level: `--quiet` and `-v` are stronger than the setting.
pub(crate) fn level(setting: &str, quiet: bool, verbose: u8) -> String {
    match (quiet, verbose) {
        (true, _) => "error".into(),
        (false, 0) => setting.into(),
        (false, 1) => "info".into(),
        (false, 2) => "debug".into(),
        (false, _) => "trace".into(),
    }
}

/// A file that is made with the first entry, and renamed when it is full.
#[derive(Debug, Clone)]
struct Bounded {
    path: PathBuf,
    limit: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        if std::fs::metadata(&self.path).is_ok_and(|it| it.len() >= self.limit) {
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One entry of the log, which is written when it is whole: a value may come in parts.
struct Redacted<W: Write> {
    masking: Arc<Masking>,
    entry: Vec<u8>,
    out: W,
}

impl<W: Write> Redacted<W> {
    fn new(masking: Arc<Masking>, out: W) -> Self {
        Self {
            masking,
            entry: Vec::new(),
            out,
        }
    }
}

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.entry.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for Redacted<W> {
    fn drop(&mut self) {
        let entry = String::from_utf8_lossy(&self.entry);
        let redacted = redacted(&self.masking, &entry);
        // Nobody is left to be told when standard error is closed.
        let _ = self.out.write_all(redacted.as_bytes());
    }
}

/// Hides what is personal in an entry of the log. An entry with something to hide loses its colours,
/// whose escape sequences stand in the way of what is looked for.
fn redacted<'a>(masking: &Masking, entry: &'a str) -> Cow<'a, str> {
    let plain = without_colours(entry);
    match masking.redact(&plain) {
        Cow::Borrowed(_) => Cow::Borrowed(entry),
        Cow::Owned(redacted) => Cow::Owned(redacted),
    }
}

/// Removes the escape sequences of colours, `ESC [ … m`.
fn without_colours(entry: &str) -> Cow<'_, str> {
    let mut parts = entry.split("\x1b[");
    let first = parts.next().unwrap_or_default();
    if first.len() == entry.len() {
        return Cow::Borrowed(entry);
    }
    let rest = parts.map(|part| match part.split_once('m') {
        Some((codes, rest)) if codes.bytes().all(|it| it.is_ascii_digit() || it == b';') => rest,
        _ => part,
    });
    Cow::Owned(std::iter::once(first).chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_redacted_as_a_whole() {
        let masking = Arc::new(Masking::default());
        let mut out = Vec::new();
        let mut entry = Redacted::new(Arc::clone(&masking), &mut out);
        entry.write_all(b"asked for ada@love").unwrap();
        entry.write_all(b"lace.org\n").unwrap();
        drop(entry);
        assert_eq!(String::from_utf8(out).unwrap(), "asked for [email]\n");
    }

    #[test]
    fn a_file_has_an_end() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("home/hooks.log");
        let mut file = Bounded {
            path: path.clone(),
            limit: 10,
        };
        for entry in ["one\n", "second\n", "third\n", "fourth fourth\n", "fifth\n"] {
            file.write_all(entry.as_bytes()).unwrap();
        }
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&path), "fifth\n");
        assert_eq!(
            read(&path.with_extension("log.1")),
            "third\nfourth fourth\n"
        );
    }

    #[test]
    fn colours_do_not_hide_a_value() {
        let masking = Masking::default();
        let coloured = "\x1b[32m INFO\x1b[0m \x1b[3mto\x1b[0m\x1b[2m=\x1b[0mada@lovelace.org";
        assert_eq!(redacted(&masking, coloured), " INFO to=[email]");
        let harmless = "\x1b[32m INFO\x1b[0m started";
        assert_eq!(redacted(&masking, harmless), harmless);
        assert_eq!(without_colours(harmless), " INFO started");
    }

    #[test]
    fn options_are_stronger_than_the_setting() {
        assert_eq!(level("warn", false, 0), "warn");
        assert_eq!(level("warn", false, 2), "debug");
        assert_eq!(level("debug", true, 0), "error");
    }
}
