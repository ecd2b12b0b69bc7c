//! Connecting Claude Code, and disconnecting it.

use crate::athena::{Athena, Ran, mode};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A user with a project.
struct User {
    athena: Athena,
    project: PathBuf,
}

impl User {
    fn new() -> Self {
        let athena = Athena::new();
        let project = PathBuf::from(athena.path("shop"));
        fs::create_dir_all(project.join(".git")).unwrap();
        fs::create_dir(project.join("src")).unwrap();
        Self { athena, project }
    }

    /// Runs `athena init` somewhere in the project.
    fn init(&self, options: &[&str]) -> Ran {
        let arguments = [&["init"], options].concat();
        let mut command = self.athena.command(&arguments);
        command.current_dir(self.project.join("src"));
        command.output().unwrap().into()
    }

    fn settings(&self) -> PathBuf {
        self.project.join(".claude/settings.json")
    }

    fn servers(&self) -> PathBuf {
        self.project.join(".mcp.json")
    }

    fn write(&self, path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

#[track_caller]
fn well(ran: &Ran) {
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn a_project_is_connected_and_disconnected() {
    let user = User::new();
    let ran = user.init(&["--yes"]);
    well(&ran);
    assert!(ran.out.contains("--- /dev/null\n"), "{}", ran.out);
    assert!(ran.out.contains("+  \"mcpServers\": {"), "{}", ran.out);
    let settings: Value = serde_json::from_str(&read(&user.settings())).unwrap();
    let line = settings["hooks"]["SessionStart"][0]["hooks"][0]["command"]
        .as_str()
        .unwrap();
    // The name does not find the program, and an agent does not have this environment.
    let expected = format!(
        "{} hook session-start --home {}",
        env!("CARGO_BIN_EXE_athena"),
        user.athena.home().display()
    );
    assert_eq!(line, expected);
    let servers: Value = serde_json::from_str(&read(&user.servers())).unwrap();
    assert_eq!(servers["mcpServers"]["athena"]["args"][0], "mcp");
    assert_eq!(mode(&user.settings()), 0o644);
    assert_eq!(mode(user.settings().parent().unwrap()), 0o755);

    let before = [read(&user.settings()), read(&user.servers())];
    let ran = user.init(&["--yes"]);
    well(&ran);
    assert_eq!(ran.out, "Everything is connected; nothing to change.\n");
    assert_eq!([read(&user.settings()), read(&user.servers())], before);

    well(&user.init(&["--uninstall", "--yes"]));
    assert!(!user.project.join(".claude").exists());
    assert!(!user.servers().exists());
    let ran = user.init(&["--uninstall", "--yes"]);
    well(&ran);
    assert_eq!(ran.out, "Nothing of Athena's is here.\n");
    assert!(!user.athena.home().join("init.json").exists());
}

#[test]
fn what_was_there_is_the_same_afterwards() {
    let user = User::new();
    let settings = "{\r\n\t\"model\": \"opus\",\r\n\t\"hooks\": {\"SessionEnd\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"say bye\"}]}]}\r\n}";
    let servers = "\u{feff}{\"mcpServers\":{}}\n";
    user.write(&user.settings(), settings);
    user.write(&user.servers(), servers);
    fs::set_permissions(user.settings(), fs::Permissions::from_mode(0o640)).unwrap();
    well(&user.init(&["--yes"]));
    assert!(read(&user.settings()).contains("hook post-tool"));
    assert!(read(&user.settings()).contains("say bye"));
    assert!(read(&user.servers()).contains("\"athena\""));
    well(&user.init(&["--uninstall", "--yes"]));
    assert_eq!(read(&user.settings()), settings);
    assert_eq!(read(&user.servers()), servers);
    assert_eq!(mode(&user.settings()), 0o640);
}

#[test]
fn nothing_is_written_before_somebody_agreed() {
    let user = User::new();
    let ran = user.init(&[]);
    assert_eq!(ran.status, 2);
    assert!(ran.out.contains("+++ "), "{}", ran.out);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    let ran = user.init(&["--dry-run"]);
    well(&ran);
    assert!(ran.out.contains("hook session-end"), "{}", ran.out);
    let ran = user.init(&["--dry-run", "--json"]);
    well(&ran);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["changed"], json!(false));
    assert_eq!(answer["files"].as_array().unwrap().len(), 2);
    assert!(!user.project.join(".claude").exists());
    assert!(!user.servers().exists());
    assert!(!user.athena.home().exists());
}

#[test]
fn programs_are_told_what_was_done() {
    let user = User::new();
    user.write(&user.servers(), "{}");
    let ran = user.init(&["--yes", "--json"]);
    well(&ran);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["scope"], "project");
    assert_eq!(answer["changed"], json!(true));
    assert_eq!(answer["files"][0]["action"], "create");
    assert_eq!(answer["files"][1]["action"], "change");
    let path = fs::canonicalize(user.servers()).unwrap();
    assert_eq!(answer["files"][1]["path"], json!(path));
}

#[test]
fn a_user_is_connected_in_the_home_directory() {
    let user = User::new();
    let home = PathBuf::from(user.athena.path(""));
    let servers = home.join(".claude.json");
    user.write(&servers, "{\n  \"numStartups\": 3\n}\n");
    fs::set_permissions(&servers, fs::Permissions::from_mode(0o600)).unwrap();
    well(&user.init(&["--global", "--yes"]));
    assert!(read(&home.join(".claude/settings.json")).contains("hook user-prompt"));
    assert!(read(&servers).contains("\"athena\""));
    assert!(!user.settings().exists());
    well(&user.init(&["--global", "--uninstall", "--yes"]));
    assert_eq!(read(&servers), "{\n  \"numStartups\": 3\n}\n");
    assert!(!home.join(".claude").exists());

    well(&user.init(&["--local", "--yes"]));
    let local: Value = serde_json::from_str(&read(&servers)).unwrap();
    let project = fs::canonicalize(&user.project).unwrap();
    let entry = &local["projects"][project.to_str().unwrap()]["mcpServers"]["athena"];
    assert_eq!(entry["args"][0], "mcp");
    assert!(read(&user.project.join(".claude/settings.local.json")).contains("hook post-tool"));
    well(&user.init(&["--local", "--uninstall", "--yes"]));
    assert_eq!(read(&servers), "{\n  \"numStartups\": 3\n}\n");
    assert_eq!(user.init(&["--local", "--global"]).status, 2);

    // Both are in one file, and each goes alone.
    well(&user.init(&["--local", "--yes"]));
    well(&user.init(&["--global", "--yes"]));
    well(&user.init(&["--global", "--uninstall", "--yes"]));
    assert!(read(&servers).contains("\"athena\""));
    well(&user.init(&["--local", "--uninstall", "--yes"]));
    assert_eq!(read(&servers), "{\n  \"numStartups\": 3\n}\n");
}

#[test]
fn files_that_cannot_be_changed_are_named_and_nothing_is_written() {
    let refused = |prepare: &dyn Fn(&User), expected: &str, status: i32| {
        let user = User::new();
        prepare(&user);
        let ran = user.init(&["--yes"]);
        assert_eq!(ran.status, status, "{ran:?}");
        assert!(
            ran.err.contains(expected),
            "`{expected}` is not in {}",
            ran.err
        );
        assert!(!user.settings().is_file() || !read(&user.settings()).contains("post-tool"));
        assert!(!user.servers().is_file() || !read(&user.servers()).contains("athena"));
    };
    let servers = |text: &'static str| move |user: &User| user.write(&user.servers(), text);
    refused(
        &servers("{\n  \"a\": 1,\n}\n"),
        "shop/.mcp.json`, line 3: is no JSON: trailing comma",
        2,
    );
    refused(&servers(""), ".mcp.json`, line 1: is no JSON", 2);
    refused(
        &servers("{\"mcpServers\": []}"),
        "line 1: `mcpServers` must be an object, is an array",
        2,
    );
    refused(
        &|user| fs::create_dir(user.servers()).unwrap(),
        "is a directory",
        2,
    );
    refused(
        &|user| symlink("/nowhere/at-all", user.servers()).unwrap(),
        "cannot read",
        3,
    );
    refused(
        &|user| fs::write(user.servers(), b"{\n\"\xff\": 1}").unwrap(),
        "line 2: is no UTF-8",
        2,
    );
    refused(
        &|user| {
            user.write(&user.settings(), "{}");
            fs::set_permissions(user.settings(), fs::Permissions::from_mode(0o444)).unwrap();
        },
        "settings.json` is read-only",
        7,
    );
    refused(
        &|user| user.write(&user.settings(), "{\"hooks\": \"none\"}"),
        "`hooks` must be an object, is a string",
        2,
    );
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_changed() {
    let user = User::new();
    let target = user.project.join("shared.json");
    user.write(&target, "{}");
    symlink("shared.json", user.servers()).unwrap();
    well(&user.init(&["--yes"]));
    assert!(user.servers().is_symlink());
    assert!(read(&target).contains("\"athena\""));
    well(&user.init(&["--uninstall", "--yes"]));
    assert!(user.servers().is_symlink());
    assert_eq!(read(&target), "{}");
}

#[test]
fn colleagues_can_disconnect_what_they_did_not_connect() {
    let user = User::new();
    user.write(&user.settings(), "{\n  \"model\": \"opus\"\n}\n");
    well(&user.init(&["--yes"]));
    fs::remove_file(user.athena.home().join("init.json")).unwrap();
    well(&user.init(&["--uninstall", "--yes"]));
    assert_eq!(read(&user.settings()), "{\n  \"model\": \"opus\"\n}\n");
    // Who made this file nobody knows, so it stays.
    assert_eq!(read(&user.servers()), "{}\n");
}
