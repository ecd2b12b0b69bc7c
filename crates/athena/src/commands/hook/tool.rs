//! What is worth keeping of the use of a tool: which, on what, and how it ended.
//!
//! Never whole files: what a tool read or wrote is in the repository, and would only bury the rest.

use super::input::{Input, text_of};
use serde_json::Value;

/// Longest description, in characters.
const MAX_CHARS: usize = 2_000;
/// Longest naming of what a tool was used on.
const MAX_TARGET: usize = 400;
/// What is kept of a result: of its start, and of its end, where tests and compilers sum up.
const HEAD: usize = 500;
const TAIL: usize = 900;

/// Fields of an input that say what a tool is used on, the most telling first.
const TARGETS: [&str; 10] = [
    "file_path",
    "notebook_path",
    "command",
    "path",
    "pattern",
    "url",
    "query",
    "description",
    "prompt",
    "name",
];
/// Tools that change the file that they name.
const EDITORS: [&str; 4] = ["Edit", "Write", "MultiEdit", "NotebookEdit"];
/// Tools whose result is the content of files.
const READERS: [&str; 3] = ["Read", "NotebookRead", "LS"];

/// The use of a tool, as it is recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ToolUse {
    /// One of the event types.
    pub(super) event_type: &'static str,
    /// What happened, in words.
    pub(super) content: String,
    /// Whether it succeeded.
    pub(super) outcome: &'static str,
    /// The file that was used, as the tool names it.
    pub(super) file: Option<String>,
    /// The command that ran tests.
    pub(super) test: Option<String>,
}

impl ToolUse {
    /// Describes the use of a tool that an agent tells of; `None` if it names no tool.
    pub(super) fn of(input: &Input) -> Option<Self> {
        let tool = input.text("tool_name")?;
        let (given, response) = (input.tool_input(), input.tool_response());
        let file = ["file_path", "notebook_path"]
            .iter()
            .find_map(|name| text_of(given, name))
            .map(|path| input.shown_path(path));
        let command = text_of(given, "command").filter(|_| file.is_none());
        let is_test = command.is_some_and(runs_tests);
        let event_type = if EDITORS.contains(&tool) && file.is_some() {
            "file_change"
        } else if is_test {
            "test_run"
        } else {
            "tool_execution"
        };
        let outcome = if failed(response, is_test) {
            "failure"
        } else {
            "success"
        };
        let mut content = shortened(tool, 100, 0);
        if let Some(target) = target(input, file.as_deref()) {
            content.push(' ');
            content.push_str(&target);
        }
        if outcome == "failure" {
            content.push_str(" (failed)");
        }
        if let Some(result) = result(tool, given, response, outcome) {
            content.push_str(": ");
            content.push_str(&result);
        }
        Some(Self {
            event_type,
            content: shortened(&content, MAX_CHARS, 0),
            outcome,
            test: command.filter(|_| is_test).map(str::to_owned),
            file,
        })
    }
}

fn target(input: &Input, file: Option<&str>) -> Option<String> {
    let target = match file {
        Some(file) => file,
        None => TARGETS
            .iter()
            .find_map(|name| text_of(input.tool_input(), name))?,
    };
    let target = shortened(target, MAX_TARGET, 0);
    Some(format!("`{}`", target.replace('`', "'")))
}

/// Returns what is kept of a result.
fn result(tool: &str, given: &Value, response: &Value, outcome: &str) -> Option<String> {
    if outcome == "success" {
        if EDITORS.contains(&tool) {
            return extent(given);
        }
        if READERS.contains(&tool) {
            return None;
        }
    }
    let text = said(response);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| shortened(&text, HEAD, TAIL))
}

/// Returns how much an edit changed.
fn extent(given: &Value) -> Option<String> {
    let lines = |value: &Value, name| text_of(value, name).map_or(0, |text| text.lines().count());
    if let Some(edits) = given.get("edits").and_then(Value::as_array) {
        return Some(format!("edits: {}", edits.len()));
    }
    if text_of(given, "content").is_some() {
        return Some(format!("lines written: {}", lines(given, "content")));
    }
    let (old, new) = (lines(given, "old_string"), lines(given, "new_string"));
    (old + new > 0).then(|| format!("lines: {new} in place of {old}"))
}

/// Returns what a response says in words.
fn said(response: &Value) -> String {
    match response {
        Value::String(text) => text.clone(),
        // Parts of an answer, as the servers of MCP give it.
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| text_of(part, "text"))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => ["error", "stderr", "stdout", "message", "output", "result"]
            .iter()
            .filter_map(|name| text_of(response, name))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// Whether a response tells of a failure. Most tools that fail do not come this far.
fn failed(response: &Value, is_test: bool) -> bool {
    let is = |name: &str, wanted: bool| response.get(name).and_then(Value::as_bool) == Some(wanted);
    let status = ["exit_code", "exitCode", "returncode", "return_code"]
        .iter()
        .find_map(|name| response.get(name)?.as_i64());
    if let Some(status) = status {
        return status != 0;
    }
    if is("success", true) {
        return false;
    }
    is("success", false)
        || is("is_error", true)
        || is("isError", true)
        || is("interrupted", true)
        || text_of(response, "error").is_some()
        || (is_test && tells_of_failed_tests(&said(response)))
}

/// Whether a report of tests, which came without an exit status, tells of failures.
fn tells_of_failed_tests(report: &str) -> bool {
    report.lines().any(|line| {
        let line = line.trim();
        line.starts_with("FAIL") || line.contains("test result: FAILED") || counts_failures(line)
    })
}

/// Whether a line says `3 failed`, `Failures: 2` or the like, of more than none.
fn counts_failures(line: &str) -> bool {
    let words: Vec<&str> = line
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let is_some = |word: &str| word.parse::<u64>().is_ok_and(|count| count > 0);
    words.windows(2).any(|pair| match pair {
        [count, word] if is_some(count) => {
            matches!(*word, "failed" | "failing" | "failures" | "errors")
        }
        [word, count] if is_some(count) => matches!(*word, "Failures" | "Failed"),
        _ => false,
    })
}

/// Words by which a command runs tests.
const TEST_COMMANDS: [&[&str]; 34] = [
    &["cargo", "test"],
    &["cargo", "nextest"],
    &["pytest"],
    &["py.test"],
    &["unittest"],
    &["tox"],
    &["nox"],
    &["npm", "test"],
    &["npm", "t"],
    &["npm", "run", "test"],
    &["yarn", "test"],
    &["yarn", "run", "test"],
    &["pnpm", "test"],
    &["pnpm", "run", "test"],
    &["bun", "test"],
    &["bun", "run", "test"],
    &["deno", "test"],
    &["jest"],
    &["vitest"],
    &["mocha"],
    &["go", "test"],
    &["make", "test"],
    &["make", "check"],
    &["just", "test"],
    &["mvn", "test"],
    &["gradle", "test"],
    &["gradlew", "test"],
    &["dotnet", "test"],
    &["swift", "test"],
    &["mix", "test"],
    &["bazel", "test"],
    &["ctest"],
    &["rspec"],
    &["phpunit"],
];
/// Words that run the command behind them.
const RUNNERS: [&str; 14] = [
    "sudo", "env", "time", "nice", "nohup", "npx", "uv", "poetry", "bundle", "exec", "python",
    "python3", "run", "-m",
];

/// Whether a command line runs tests.
fn runs_tests(line: &str) -> bool {
    line.split(['\n', ';', '|', '&', '(', ')'])
        .any(|command| runs_tests_itself(command.split_whitespace()))
}

fn runs_tests_itself<'w>(words: impl Iterator<Item = &'w str>) -> bool {
    let mut words = words
        .filter(|word| *word != "--" && !word.starts_with('+'))
        .skip_while(|word| {
            RUNNERS.contains(word) || word.contains('=') || word.parse::<f64>().is_ok()
        })
        .peekable();
    if words.peek() == Some(&"timeout") {
        words.next();
        words.next();
    }
    let mut words: Vec<&str> = words.collect();
    // A path to the program, as in `./gradlew` or `node_modules/.bin/jest`.
    if let Some(program) = words.first_mut() {
        *program = program.rsplit('/').next().unwrap_or(program);
    }
    TEST_COMMANDS.iter().any(|known| {
        let (last, first) = known.split_last().unwrap_or((&"", &[]));
        words.starts_with(first)
            && words.get(first.len()).is_some_and(|word| {
                // `npm run test:unit` runs tests as well.
                word == last
                    || word
                        .strip_prefix(last)
                        .is_some_and(|rest| rest.starts_with(':'))
            })
    })
}

/// Returns text without line breaks, cut in the middle: so many characters of its start, and so
/// many of its end.
pub(super) fn shortened(text: &str, head: usize, tail: usize) -> String {
    let count = text.chars().count();
    let text: String = if count <= head + tail {
        text.to_owned()
    } else {
        let end = text.chars().skip(count - tail);
        text.chars()
            .take(head.saturating_sub(1))
            .chain(std::iter::once('…'))
            .chain(end)
            .collect()
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn tool_use(tool: &str, given: Value, response: Value) -> ToolUse {
        let input = json!({"tool_name": tool, "tool_input": given, "tool_response": response});
        ToolUse::of(&Input::parse(input.to_string().as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn an_edit_is_a_change_of_a_file_without_its_content() {
        let edit = tool_use(
            "Edit",
            json!({"file_path": "/x/main.rs", "old_string": "secret a\nb", "new_string": "c"}),
            json!({"filePath": "/x/main.rs", "originalFile": "secret a\nb"}),
        );
        assert_eq!(edit.event_type, "file_change");
        assert_eq!(edit.file.as_deref(), Some("/x/main.rs"));
        assert_eq!(edit.content, "Edit `/x/main.rs`: lines: 1 in place of 2");
        let written = tool_use(
            "Write",
            json!({"file_path": "a", "content": "x\ny\n"}),
            json!({"success": true}),
        );
        assert_eq!(written.content, "Write `a`: lines written: 2");
        let read = tool_use(
            "Read",
            json!({"file_path": "a"}),
            json!({"file": {"content": "all"}}),
        );
        assert_eq!(
            (read.event_type, read.content.as_str()),
            ("tool_execution", "Read `a`")
        );
        let several = tool_use(
            "MultiEdit",
            json!({"file_path": "a", "edits": [{}, {}]}),
            json!("ok"),
        );
        assert_eq!(several.content, "MultiEdit `a`: edits: 2");
    }

    #[test]
    fn outcomes_are_read_from_what_there_is() {
        let outcome = |command: &str, response: Value| {
            let used = tool_use("Bash", json!({ "command": command }), response);
            (used.event_type, used.outcome)
        };
        assert_eq!(
            outcome("ls", json!({"stdout": "a", "stderr": ""})),
            ("tool_execution", "success")
        );
        assert_eq!(
            outcome("ls", json!({"stdout": "a", "exit_code": 2})),
            ("tool_execution", "failure")
        );
        assert_eq!(
            outcome("ls", json!({"interrupted": true})),
            ("tool_execution", "failure")
        );
        // Words about failures are none, unless tests say them.
        assert_eq!(
            outcome("cat log", json!({"stdout": "3 failed"})),
            ("tool_execution", "success")
        );
        assert_eq!(
            outcome("pytest -q", json!({"stdout": "3 failed, 2 passed"})),
            ("test_run", "failure")
        );
        assert_eq!(
            outcome(
                "cargo test",
                json!({"stdout": "test result: ok. 12 passed; 0 failed; 0 ignored"})
            ),
            ("test_run", "success")
        );
        assert_eq!(
            outcome(
                "cargo test",
                json!({"stdout": "test result: FAILED. 1 passed"})
            ),
            ("test_run", "failure")
        );
        assert_eq!(
            outcome("go test ./...", json!("FAIL\tshop/cart 0.1s")),
            ("test_run", "failure")
        );
        assert_eq!(
            outcome("npm test", json!({"success": false})),
            ("test_run", "failure")
        );
    }

    #[test]
    fn tests_are_known_however_they_are_run() {
        for line in [
            "cargo test",
            "cd crates && RUST_LOG=debug cargo +nightly test -p x",
            "cargo nextest run",
            "uv run pytest tests/",
            "python3 -m pytest",
            "python -m unittest",
            "npx jest --ci",
            "npm run test:unit",
            "./gradlew test",
            "timeout 60 go test ./...",
            "node_modules/.bin/vitest run | tail -5",
            "(cd web; yarn test)",
        ] {
            assert!(runs_tests(line), "{line}");
        }
        for line in [
            "ls tests",
            "git commit -m 'cargo test'",
            "echo pytest",
            "cargo build",
            "cat test.log",
            "",
        ] {
            assert!(!runs_tests(line), "{line}");
        }
    }

    #[test]
    fn a_description_has_an_end() {
        let long = "é ".repeat(100_000);
        let used = tool_use(
            "Bash",
            json!({ "command": long }),
            json!({ "stdout": long }),
        );
        assert!(used.content.chars().count() <= MAX_CHARS);
        assert!(!used.content.contains('\n'));
        assert_eq!(shortened("abcdefghij", 4, 2), "abc…ij");
        assert_eq!(shortened("a\nb", 4, 0), "a b");
        let tool = tool_use(&"X".repeat(9_000), Value::Null, Value::Null);
        assert!(tool.content.len() < 200);
    }

    #[test]
    fn answers_in_parts_are_read() {
        let used = tool_use(
            "mcp__x__y",
            json!({"query": "q"}),
            json!([{"type": "text", "text": "found it"}]),
        );
        assert_eq!(used.content, "mcp__x__y `q`: found it");
    }
}
