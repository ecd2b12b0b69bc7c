//! A client that does what the settings file of Claude Code tells it to: hooks around every step, and
//! the MCP server, over pipes.

use crate::athena::Athena;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SETTINGS: &str = "{\n  \"model\": \"opus\",\n  \"hooks\": {\n    \"PostToolUse\": [{\"matcher\": \"Bash\", \"hooks\": []}]\n  }\n}\n";

/// A client with its settings.
struct Client<'a> {
    athena: &'a Athena,
    project: PathBuf,
    settings: Value,
    session: &'static str,
}

impl Client<'_> {
    /// Runs what is to be run at an event; returns what the model is told.
    fn at(&self, event: &str, mut details: Value) -> String {
        details["session_id"] = json!(self.session);
        details["hook_event_name"] = json!(event);
        details["cwd"] = json!(self.project);
        let groups = self.settings["hooks"][event].as_array().cloned();
        let hooks = groups.into_iter().flatten();
        let hooks = hooks.flat_map(|group| group["hooks"].as_array().cloned().unwrap_or_default());
        let told = hooks.map(|hook| self.run(hook["command"].as_str().unwrap(), &details));
        told.collect()
    }

    fn run(&self, line: &str, input: &Value) -> String {
        let mut shell = self.shell(line).spawn().unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin.write_all(input.to_string().as_bytes()).unwrap();
        drop(stdin);
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}");
        let out = String::from_utf8(output.stdout).unwrap();
        if out.is_empty() {
            return out;
        }
        let told: Value = serde_json::from_str(&out).unwrap();
        let told = &told["hookSpecificOutput"];
        assert_eq!(told["hookEventName"], input["hook_event_name"]);
        told["additionalContext"].as_str().unwrap().to_owned()
    }

    fn shell(&self, line: &str) -> Command {
        // Nothing of the test's own surroundings but what such a client passes on.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .env_clear()
            .env("HOME", self.athena.path(""))
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "UTC")
            .current_dir(&self.project)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        shell
    }

    fn edit(&self, file: &str, id: &str) {
        let path = self.project.join(file);
        self.at(
            "PostToolUse",
            json!({
                "tool_name": "Edit", "tool_use_id": id,
                "tool_input": {"file_path": path, "old_string": "a", "new_string": "b"},
                "tool_response": {"filePath": path},
            }),
        );
    }

    fn shell_tool(&self, command: &str, exit_code: i64, id: &str) {
        self.at("PostToolUse", json!({
            "tool_name": "Bash", "tool_use_id": id, "tool_input": {"command": command},
            "tool_response": {"stdout": "test login … FAILED", "stderr": "", "exit_code": exit_code},
        }));
    }
}

#[test]
fn a_session_is_lived_by_the_settings_that_init_wrote() {
    let athena = Athena::new();
    let project = PathBuf::from(athena.path("shop"));
    fs::create_dir_all(project.join(".git")).unwrap();
    fs::create_dir_all(project.join(".claude")).unwrap();
    let settings = project.join(".claude/settings.json");
    fs::write(&settings, SETTINGS).unwrap();
    let init = |options: &[&str]| {
        let mut command = athena.command(&[&["init", "--yes"], options].concat());
        let output = command.current_dir(&project).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    init(&[]);
    let read = |path: &PathBuf| -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let servers = read(&project.join(".mcp.json"));
    let mut client = Client {
        athena: &athena,
        project: project.clone(),
        settings: read(&settings),
        session: "monday",
    };

    // Monday: nothing is known yet, things happen, and a few are told over MCP.
    assert_eq!(client.at("SessionStart", json!({"source": "startup"})), "");
    assert_eq!(
        client.at(
            "UserPromptSubmit",
            json!({"prompt": "Mail ada@lovelace.org when the login works"})
        ),
        ""
    );
    client.edit("src/login.rs", "t1");
    client.shell_tool("cargo test login", 101, "t2");
    client.edit("src/login.rs", "t3");
    client.shell_tool("cargo test login", 0, "t4");
    client.shell_tool("cargo test login", 0, "t4");
    let server = &servers["mcpServers"]["athena"];
    let arguments = server["args"].as_array().unwrap().iter();
    let line: Vec<&str> = std::iter::once(&server["command"])
        .chain(arguments)
        .map(|word| word.as_str().unwrap())
        .collect();
    let mut mcp = client.shell(&line.join(" ")).spawn().unwrap();
    let mut stdin = mcp.stdin.take().unwrap();
    let mut stdout = BufReader::new(mcp.stdout.take().unwrap());
    let mut ask = |id: u32, method: &str, params: Value| -> Value {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(stdin, "{message}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    ask(
        1,
        "initialize",
        json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
        }),
    );
    for (id, arguments) in [
        (
            2,
            json!({"content": "Never log passwords", "type": "rule", "priority": 9}),
        ),
        (
            3,
            json!({"content": "The login broke because the clock of the token was local time", "type": "decision"}),
        ),
    ] {
        let answer = ask(
            id,
            "tools/call",
            json!({"name": "remember", "arguments": arguments}),
        );
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    // The server owns the store now; hooks have it do their calls.
    client.edit("src/token.rs", "t5");
    client.at("SessionEnd", json!({"reason": "exit"}));
    drop(stdin);
    assert!(mcp.wait().unwrap().success());

    // Tuesday: a new session is told the rule and where the last one ended.
    client.session = "tuesday";
    let brief = client.at("SessionStart", json!({"source": "startup"}));
    assert!(brief.contains("Never log passwords"), "{brief}");
    assert!(brief.contains("Last session:"), "{brief}");
    let brief = client.at(
        "UserPromptSubmit",
        json!({"prompt": "Why did the login break?"}),
    );
    // The session was told the rule when it began.
    assert!(
        brief.contains("local time") && !brief.contains("Never log passwords"),
        "{brief}"
    );
    assert!(!brief.contains("lovelace"), "{brief}");

    // What happened is there once, in its order, without what is personal.
    let mut command = athena.command(&[
        "timeline",
        "--session",
        "monday",
        "--order",
        "oldest",
        "--json",
    ]);
    let output = command.current_dir(&project).output().unwrap();
    let timeline: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = |name: &str| -> Vec<String> {
        let items = timeline["items"].as_array().unwrap().iter();
        items
            .map(|item| item[name].as_str().unwrap_or("-").to_owned())
            .collect()
    };
    assert_eq!(
        told("event_type"),
        [
            "conversation",
            "file_change",
            "test_run",
            "file_change",
            "test_run",
            "file_change",
            "session_checkpoint",
        ]
    );
    assert_eq!(told("outcome")[2], "failure");
    assert_eq!(told("outcome")[4], "success");
    assert!(!timeline.to_string().contains("lovelace"), "{timeline}");
    let log = fs::read_to_string(athena.home().join("hooks.log")).unwrap_or_default();
    assert_eq!(log, "");

    init(&["--uninstall"]);
    assert_eq!(fs::read_to_string(&settings).unwrap(), SETTINGS);
    assert!(!project.join(".mcp.json").exists());
}

#[test]
fn the_list_of_tools_stays_short() {
    let registry = athena_memory::catalogue(athena_core::Registry::new());
    let list = athena_server::mcp::tool_list(&registry);
    let tools: Vec<Value> = serde_json::from_str(&list).unwrap();
    assert!(tools.len() <= 10, "{} tools", tools.len());
    assert!(list.len() / 4 <= 2_500, "{} tokens", list.len() / 4);
}
