//! The project of calls that name none.
//!
//! In this order: `--project`, `ATHENA_PROJECT` or the configuration file, the name of the git
//! root of the working directory, `default`. Linked worktrees belong to the project of the main
//! one. Nothing is created here: a project comes to be with the first write.

use crate::config::{Settings, Source};
use std::path::{Path, PathBuf};

/// The project and what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The project's name.
    pub(crate) name: String,
    /// What decided it, for `athena doctor`.
    pub(crate) reason: String,
}

/// Returns the project of this process.
pub(crate) fn choose(settings: &Settings, directory: &Path) -> Choice {
    if let Some(name) = &settings.project {
        let reason = match settings.source("project") {
            Source::Default => "set by the caller".to_owned(),
            source => source.to_string(),
        };
        return Choice {
            name: name.clone(),
            reason,
        };
    }
    git_root(directory)
        .and_then(|root| {
            let name = root.file_name()?.to_string_lossy().into_owned();
            Some(Choice {
                name,
                reason: format!("git root {}", root.display()),
            })
        })
        .unwrap_or_else(|| Choice {
            name: "default".into(),
            reason: "no git root here".into(),
        })
}

/// Returns the directory that holds the repository of `directory`.
fn git_root(directory: &Path) -> Option<PathBuf> {
    let root = directory
        .ancestors()
        .find(|directory| directory.join(".git").exists())?;
    Some(main_worktree(root).unwrap_or_else(|| root.to_owned()))
}

/// Returns the main worktree of a linked one, whose `.git` is a file that names it.
fn main_worktree(root: &Path) -> Option<PathBuf> {
    let link = std::fs::read_to_string(root.join(".git")).ok()?;
    let target = root.join(link.strip_prefix("gitdir:")?.trim());
    let git = target.ancestors().nth(2)?;
    let linked = target.parent()?.file_name()? == "worktrees" && git.file_name()? == ".git";
    linked.then(|| git.parent().map(Path::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, load};
    use std::fs;

    fn name(project: Option<&str>, directory: &Path) -> String {
        let mut flags = Flags::from([("home", "/nowhere".to_owned())]);
        flags.extend(project.map(|name| ("project", name.to_owned())));
        choose(&load(&flags, &Environment::default()).unwrap(), directory).name
    }

    #[test]
    fn the_git_root_names_the_project_unless_one_was_set() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("shop/src/deep");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(name(None, &inner), "default");
        fs::create_dir(directory.path().join("shop/.git")).unwrap();
        assert_eq!(name(None, &inner), "shop");
        assert_eq!(name(Some("other"), &inner), "other");
    }

    #[test]
    fn linked_worktrees_belong_to_the_main_one() {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("shop");
        let linked = directory.path().join("feature-x");
        fs::create_dir_all(main.join(".git/worktrees/feature-x")).unwrap();
        fs::create_dir(&linked).unwrap();
        fs::write(
            linked.join(".git"),
            format!(
                "gitdir: {}\n",
                main.join(".git/worktrees/feature-x").display()
            ),
        )
        .unwrap();
        assert_eq!(name(None, &linked), "shop");
    }

    #[test]
    fn submodules_are_projects_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("shop/vendor/lib");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(directory.path().join("shop/.git")).unwrap();
        fs::write(inner.join(".git"), "gitdir: ../../.git/modules/lib\n").unwrap();
        assert_eq!(name(None, &inner), "lib");
    }
}
