//! Runs the binary in a home of its own.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A user with an empty home directory.
pub(crate) struct Athena {
    folder: TempDir,
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit status.
    pub(crate) status: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Athena {
    /// Makes a user.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Returns the directory of the store.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Returns a path in the user's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Prepares a run: no settings but the home's, outside any git repository.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_athena"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("ATHENA_HOME", self.home())
            .env("TZ", "UTC")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs the binary with something on standard input.
    pub(crate) fn piped(&self, arguments: &[&str], stdin: &[u8]) -> Ran {
        use std::io::Write;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // Written while the output is read: a pipe holds little.
        std::thread::scope(|scope| {
            scope.spawn(move || input.write_all(stdin).unwrap());
            child.wait_with_output().unwrap().into()
        })
    }

    /// Runs the binary, which must succeed, and returns its answer.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let ran = self.run(&arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    }

    /// Returns the contents that a list or an export of the default project holds, sorted.
    pub(crate) fn contents(&self) -> Vec<String> {
        let ran = self.run(&["list", "--limit", "1000", "--json"]);
        if ran.status == 3 {
            return Vec::new();
        }
        let page: Value = serde_json::from_str(&ran.out).unwrap();
        let items = page["items"].as_array().unwrap().iter();
        let mut contents: Vec<String> = items
            .map(|item| item["content"].as_str().unwrap().to_owned())
            .collect();
        contents.sort();
        contents
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Returns the permissions of a file or directory.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
