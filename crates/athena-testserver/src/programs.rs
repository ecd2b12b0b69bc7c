//! The programmes of a server and who runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::succeed;

#[derive(Debug)]
pub(crate) struct Programs {
    directory: PathBuf,
    user: Option<String>,
}

impl Programs {
    /// Finds them by the variables that begin with `variables`, or by the place of `program`;
    /// `None` in the narrow run.
    pub(crate) fn find(variables: &str, program: &str) -> Option<Self> {
        if std::env::var("ATHENA_TEST_BACKEND").is_ok_and(|backend| backend == "sqlite") {
            return None;
        }
        let directory = match std::env::var_os(format!("{variables}_BIN")) {
            Some(directory) => PathBuf::from(directory),
            None => directory_of(program).unwrap_or_else(|| {
                panic!(
                    "`{program}` is on the search path, or `{variables}_BIN` names its directory: \
                     this test needs a server of its own"
                )
            }),
        };
        Some(Self {
            directory,
            user: std::env::var(format!("{variables}_USER")).ok(),
        })
    }

    /// Prepares a programme of the server.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.run(&self.directory.join(program))
    }

    /// Prepares a programme that runs as the user.
    pub(crate) fn run(&self, program: &Path) -> Command {
        let mut command = match &self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={user}"))
                    .arg("--clear-groups")
                    .arg(program);
                command
            }
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Makes the user the owner of a file or directory.
    pub(crate) fn give(&self, path: &Path) {
        if let Some(user) = &self.user {
            succeed(Command::new("chown").arg(user).arg(path));
        }
    }
}

/// Returns the directory of a programme on the search path or where systems hide servers.
pub(crate) fn directory_of(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .filter_map(|directory| fs::canonicalize(directory.join(program)).ok())
        .find_map(|found| Some(found.parent()?.to_owned()))
}
