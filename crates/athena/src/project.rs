//! The project of calls that name none.
//!
//! In this order: `--project`, `ATHENA_PROJECT` or the configuration file, the name of the git
//! root of the working directory, `default`. Linked worktrees belong to the project of the main
//! one. Nothing is created here: a project comes to be with the first write.
//!
//! Two repositories on one machine may have folders of one name, and what is known of the one must
//! not be told in the other. `projects.jsonl` in the home remembers which repository a name is of; the
//! second is named with the folder around it. Clones of one repository are one project.

use crate::config::{Settings, Source};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file of the home that says which repository a name is of.
const PLACES: &str = "projects.jsonl";
/// The longest name of a project, in characters.
const LONGEST: usize = 255;

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
    let Some(root) = git_root(directory) else {
        return Choice {
            name: "default".into(),
            reason: "no git root here".into(),
        };
    };
    let root = fs::canonicalize(&root).unwrap_or(root);
    let (name, other) = Places::of(&settings.home).name_of(&root);
    let mut reason = format!("git root {}", root.display());
    if let Some(other) = other {
        let taken = folder_name(&root);
        reason.push_str(&format!(
            "; `{taken}` is the project of {}",
            other.display()
        ));
    }
    Choice { name, reason }
}

/// Which repositories of this machine have which projects.
struct Places {
    file: PathBuf,
    lines: Vec<Place>,
}

/// A repository and its project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    root: PathBuf,
    /// Where it was cloned from.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    project: String,
}

impl Places {
    /// Reads what a home remembers; nothing where there is none.
    fn of(home: &Path) -> Self {
        let file = home.join(PLACES);
        let text = fs::read_to_string(&file).unwrap_or_default();
        Self {
            file,
            lines: read(&text),
        }
    }

    /// Returns the project of a repository, and the repository that has its folder's name, if that is
    /// another one.
    fn name_of(&mut self, root: &Path) -> (String, Option<PathBuf>) {
        if !self.lines.iter().any(|place| place.root == root)
            && let Err(error) = self.take(root)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %self.file.display(), "which project is of which repository cannot be noted");
        }
        let known = self.lines.iter().find(|place| place.root == root);
        let place = known.cloned().unwrap_or_else(|| self.new_place(root));
        let other = match place.project == folder_name(root) {
            true => None,
            false => self.holder(&folder_name(root), &place),
        };
        (place.project, other.map(Path::to_owned))
    }

    /// Notes the name of a repository that has none yet, unless there is no home.
    fn take(&mut self, root: &Path) -> io::Result<()> {
        let mut file = options().open(&self.file)?;
        // Others may be about to take the same name.
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        self.lines = read(&text);
        if self.lines.iter().any(|place| place.root == root) {
            return Ok(());
        }
        let place = self.new_place(root);
        let mut line = serde_json::to_string(&place)?;
        line.push('\n');
        file.write_all(line.as_bytes())?;
        self.lines.push(place);
        Ok(())
    }

    /// Finds a name for a repository: that of its clones, or else its folder's with as many of those
    /// around it as make it no other's.
    fn new_place(&self, root: &Path) -> Place {
        let mut place = Place {
            root: root.to_owned(),
            origin: origin(root),
            project: folder_name(root),
        };
        let is_clone = |other: &&Place| {
            other.origin.is_some()
                && other.origin == place.origin
                && folder_name(&other.root) == place.project
        };
        if let Some(clone) = self.lines.iter().find(is_clone) {
            place.project.clone_from(&clone.project);
            return place;
        }
        for folder in root.ancestors().skip(1) {
            let Some(folder) = folder.file_name() else {
                break;
            };
            let longer = format!("{}-{}", folder.to_string_lossy(), place.project);
            if self.holder(&place.project, &place).is_none() || longer.chars().count() > LONGEST {
                break;
            }
            place.project = longer;
        }
        place
    }

    /// Returns the repository that has a name, if it is another one.
    fn holder(&self, name: &str, place: &Place) -> Option<&Path> {
        let mut holders = self.lines.iter().filter(|other| other.project == name);
        let other = holders.find(|other| !other.is_same(place));
        other.map(|other| &*other.root)
    }
}

impl Place {
    /// Whether it is what is in another folder now: a clone of the same, or moved there.
    fn is_same(&self, now: &Self) -> bool {
        match (&self.origin, &now.origin) {
            (Some(before), Some(now)) => before == now,
            _ => self.root == now.root || !self.root.is_dir(),
        }
    }
}

fn options() -> OpenOptions {
    let mut options = File::options();
    options.create(true).read(true).append(true).mode(0o600);
    options
}

/// Reads lines; one that makes no sense is passed over.
fn read(text: &str) -> Vec<Place> {
    let lines = text.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn folder_name(root: &Path) -> String {
    let name = root.file_name().unwrap_or(root.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Returns where a repository was cloned from.
fn origin(root: &Path) -> Option<String> {
    let folder = linked_folder(root).unwrap_or_else(|| root.join(".git"));
    let config = fs::read_to_string(folder.join("config")).ok()?;
    let mut lines = config.lines().map(str::trim);
    lines.find(|line| *line == "[remote \"origin\"]")?;
    let mut own = lines.take_while(|line| !line.starts_with('['));
    own.find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "url").then(|| without_user(value.trim()))
    })
}

/// Returns an address without the name and the password in it, which need not be the same for every
/// clone, and are nobody's business.
fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
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
    let target = linked_folder(root)?;
    let git = target.ancestors().nth(2)?;
    let linked = target.parent()?.file_name()? == "worktrees" && git.file_name()? == ".git";
    linked.then(|| git.parent().map(Path::to_owned)).flatten()
}

/// Returns the folder that a `.git` names which is a file, as those of linked worktrees and of
/// submodules are.
fn linked_folder(root: &Path) -> Option<PathBuf> {
    let link = fs::read_to_string(root.join(".git")).ok()?;
    Some(root.join(link.strip_prefix("gitdir:")?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, load};
    use std::fs;

    fn name(project: Option<&str>, directory: &Path) -> String {
        name_at(Path::new("/nowhere"), project, directory).name
    }

    fn name_at(home: &Path, project: Option<&str>, directory: &Path) -> Choice {
        let mut flags = Flags::from([("home", home.display().to_string())]);
        flags.extend(project.map(|name| ("project", name.to_owned())));
        choose(&load(&flags, &Environment::default()).unwrap(), directory)
    }

    fn repository(at: &Path, origin: Option<&str>) -> PathBuf {
        fs::create_dir_all(at.join(".git")).unwrap();
        let remote = origin.map_or_else(String::new, |url| {
            format!("[core]\n\tbare = false\n[remote \"origin\"]\n\turl = {url}\n")
        });
        fs::write(at.join(".git/config"), remote).unwrap();
        at.to_owned()
    }

    #[test]
    fn two_repositories_with_one_name_are_two_projects() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        let home = at("home");
        fs::create_dir(&home).unwrap();
        let first = repository(&at("red/api"), None);
        let second = repository(&at("blue/api"), Some("git@blue:api.git"));
        let clone = repository(&at("copies/api"), Some("git@blue:api.git"));
        let third = repository(&at("green/blue/api"), None);
        let name = |root: &Path| name_at(&home, None, root).name;
        for _ in 0..2 {
            assert_eq!(name(&first), "api");
            assert_eq!(name(&second.join(".git")), "blue-api");
            assert_eq!(name(&third), "green-blue-api");
        }
        let reason = name_at(&home, None, &second).reason;
        assert!(reason.contains("`api` is the project of"), "{reason}");
        assert_eq!(name(&clone), "blue-api");
        let noted = fs::read_to_string(home.join(PLACES)).unwrap();
        assert_eq!(noted.lines().count(), 4);
    }

    #[test]
    fn a_clone_and_what_was_moved_keep_the_project() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        let home = at("home");
        fs::create_dir(&home).unwrap();
        let name = |root: &Path| name_at(&home, None, root).name;
        assert_eq!(name(&repository(&at("one/shop"), Some("a:shop"))), "shop");
        assert_eq!(name(&repository(&at("two/shop"), Some("a:shop"))), "shop");
        for (folder, user) in [("ada/till", "ada:hunter2@"), ("bob/till", "")] {
            let origin = format!("https://{user}example.org/till@2.git");
            assert_eq!(name(&repository(&at(folder), Some(&origin))), "till");
        }
        let noted = fs::read_to_string(home.join(PLACES)).unwrap();
        assert!(!noted.contains("hunter2") && noted.contains("example.org/till@2.git"));
        assert_eq!(name(&repository(&at("old/tool"), None)), "tool");
        fs::rename(at("old"), at("new")).unwrap();
        assert_eq!(name(&at("new/tool")), "tool");
    }

    #[test]
    fn names_are_kept_though_their_file_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(home.join(PLACES), "no json\n{\"root\": 1}\n").unwrap();
        let shop = repository(&directory.path().join("shop"), None);
        assert_eq!(name_at(&home, None, &shop).name, "shop");
        assert_eq!(name_at(&home, None, &shop).name, "shop");
    }

    #[test]
    fn many_processes_take_names_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        fs::create_dir(&home).unwrap();
        let roots: Vec<PathBuf> = (0..8)
            .map(|number| repository(&directory.path().join(format!("of{number}/api")), None))
            .collect();
        let names: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = roots
                .iter()
                .map(|root| scope.spawn(|| name_at(&home, None, root).name))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(names.len(), roots.len(), "{names:?}");
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
