//! What an agent sends at an event: one JSON object on standard input.
//!
//! It comes from another program, in versions that we do not know. Nothing in it is relied upon: a
//! field that is missing or of another kind counts as not sent.

use serde_json::Value;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Longest input that is looked at. An agent sends whole files along.
const MAX_BYTES: u64 = 4 << 20;

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Input(Value);

/// Why nothing can be made of what was sent. Says nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It cannot be read.
    Unread(io::ErrorKind),
    /// Nothing was sent.
    Empty,
    /// It is longer than what is looked at.
    TooLong,
    /// It is no JSON.
    NoJson {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// It is JSON, but no object.
    NoObject,
}

impl Input {
    /// Reads all there is; of what is too long the rest is read and forgotten, so that the sender
    /// is not stopped by a closed pipe.
    ///
    /// # Errors
    ///
    /// For anything but one JSON object.
    pub(super) fn read(mut from: impl Read) -> Result<Self, Unusable> {
        let mut bytes = Vec::new();
        let failed = |error: io::Error| Unusable::Unread(error.kind());
        from.by_ref()
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let rest = io::copy(&mut from, &mut io::sink()).map_err(failed)?;
        if rest > 0 {
            return Err(Unusable::TooLong);
        }
        Self::parse(&bytes)
    }

    /// Reads an input that is there already.
    ///
    /// # Errors
    ///
    /// For anything but one JSON object.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unusable> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Unusable::Empty);
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| Unusable::NoJson {
            line: error.line(),
            column: error.column(),
        })?;
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err(Unusable::NoObject)
        }
    }

    /// Returns a text that says something.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        text_of(&self.0, name)
    }

    /// Returns the session.
    pub(super) fn session(&self) -> Option<&str> {
        self.text("session_id")
    }

    /// Returns the folder that the agent works in.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.text("cwd")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    }

    /// Returns what the tool was given.
    pub(super) fn tool_input(&self) -> &Value {
        &self.0["tool_input"]
    }

    /// Returns what the tool answered.
    pub(super) fn tool_response(&self) -> &Value {
        &self.0["tool_response"]
    }

    /// Returns a path as people of the project name it: from the root of its repository.
    pub(super) fn shown_path(&self, path: &str) -> String {
        let folder = self.folder();
        let root = folder.as_deref().map(|folder| {
            folder
                .ancestors()
                .find(|folder| folder.join(".git").exists())
                .unwrap_or(folder)
        });
        root.and_then(|root| Path::new(path).strip_prefix(root).ok())
            .map_or_else(|| path.to_owned(), |path| path.display().to_string())
    }
}

/// Returns a text that says something, of an object.
pub(super) fn text_of<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    let text = value.get(name)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unread(kind) => write!(f, "standard input cannot be read: {kind}"),
            Self::Empty => f.write_str("standard input is empty"),
            Self::TooLong => write!(f, "standard input is longer than {MAX_BYTES} bytes"),
            Self::NoJson { line, column } => {
                write!(
                    f,
                    "standard input is no JSON, at line {line} column {column}"
                )
            }
            Self::NoObject => f.write_str("standard input is no JSON object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_an_object_is_told_apart() {
        let parse = |bytes: &[u8]| Input::parse(bytes).map(drop);
        assert_eq!(parse(b" \n"), Err(Unusable::Empty));
        assert_eq!(parse(b"[1]"), Err(Unusable::NoObject));
        assert_eq!(
            parse(b"{\"a\":\n}"),
            Err(Unusable::NoJson { line: 2, column: 1 })
        );
        assert!(matches!(
            parse(b"{\"a\": \"\xff\"}"),
            Err(Unusable::NoJson { .. })
        ));
        assert!(matches!(
            parse("[".repeat(100_000).as_bytes()),
            Err(Unusable::NoJson { .. })
        ));
        assert_eq!(parse(b"{}"), Ok(()));
    }

    #[test]
    fn what_is_too_long_is_read_to_its_end() {
        let mut endless = io::repeat(b' ').take(MAX_BYTES + 5_000_000);
        assert!(matches!(Input::read(&mut endless), Err(Unusable::TooLong)));
        assert_eq!(endless.limit(), 0);
    }

    #[test]
    fn fields_of_another_kind_count_as_not_sent() {
        let input = Input::parse(br#"{"session_id": 7, "cwd": "here", "prompt": " "}"#).unwrap();
        assert_eq!(input.session(), None);
        assert_eq!(input.folder(), None);
        assert_eq!(input.text("prompt"), None);
        assert!(input.tool_input().is_null());
    }

    #[test]
    fn paths_are_shown_from_the_root_of_the_repository() {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("shop/src");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir(place.path().join("shop/.git")).unwrap();
        let input = serde_json::json!({ "cwd": inner });
        let input = Input::parse(input.to_string().as_bytes()).unwrap();
        let path = inner.join("main.rs");
        assert_eq!(input.shown_path(path.to_str().unwrap()), "src/main.rs");
        assert_eq!(input.shown_path("/etc/hosts"), "/etc/hosts");
    }
}
