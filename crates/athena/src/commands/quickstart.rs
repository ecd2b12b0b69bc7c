//! `quickstart`: the shortest way to see what Athena does, on a machine that has nothing.
//!
//! It makes a store of its own, so that the example never mixes with real memories, imports a
//! conversation that is part of the program, and asks it three questions. It uses no network, no
//! key and no service whatever the settings say, and may be run again.

use super::{Session, integer, json_text, print};
use crate::cli::render;
use crate::compose::{self, Store};
use crate::config::{Settings, Source};
use crate::outcome::Outcome;
use crate::terminal::Style;
use athena_core::{Code, Error};
use athena_db::Durability;
use athena_db::sqlite_url;
use athena_embed::EmbedderConfig;
use athena_privacy::Policy;
use athena_store::Privacy;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The conversation: memories as `athena export` writes them.
const CONVERSATION: &str = include_str!("../../assets/quickstart.jsonl");
/// The project that holds it.
const PROJECT: &str = "quickstart";
/// What is asked.
const QUESTIONS: [&str; 3] = [
    "Why PostgreSQL and not MySQL for the orders?",
    "How often is a failed webhook retried?",
    "Who decides about refunds above 500 euros?",
];
/// Hits that are shown for each question.
const HITS: u32 = 2;

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("quickstart")
        .about("See it work: import a small conversation and ask it three questions")
        .long_about(
            "See it work: import a small conversation into a store of its own, ask it three questions with the \
             reasons for each answer, and show how to connect Claude Code, Cursor and VS Code. Needs no network, no \
             key and no service, and may be run again.",
        )
        .arg(
            Arg::new("temporary")
                .long("temporary")
                .action(ArgAction::SetTrue)
                .help("Leave nothing behind: remove the store at the end"),
        )
}

/// Shows what Athena does.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let temporary = if matches.get_flag("temporary") {
        Some(
            tempfile::Builder::new()
                .prefix("athena-quickstart-")
                .tempdir()
                .map_err(Error::internal)?,
        )
    } else {
        compose::prepare_home(&session.settings)?;
        None
    };
    let folder = temporary
        .as_ref()
        .map_or(session.settings.home.as_path(), |folder| folder.path());
    let path = folder.join("quickstart.db");
    let privacy = match temporary {
        Some(_) => compose::passing_privacy(Policy::default())?,
        None => compose::usual_privacy(&session.settings),
    };
    let shown = session.block_on(show(session, &path, privacy))?;
    let launch = Launch::of(&session.settings);
    if session.as_json {
        let clients = launch.clients();
        let answer = json!({"store": path, "imported": shown.imported, "answers": shown.answers, "clients": clients});
        return print(&json_text(&answer));
    }
    let store = temporary.is_none().then_some(path.as_path());
    print(&text(&shown, store, &launch, session.style))
}

struct Shown {
    imported: u64,
    known: u64,
    answers: Vec<Value>,
}

async fn show(session: &Session, path: &Path, privacy: Arc<Privacy>) -> Outcome<Shown> {
    let embedders = athena_embed::build(&EmbedderConfig::default())?;
    let store = Store::open_file(path, Durability::Full, embedders, privacy, PROJECT).await?;
    let ctx = store.ctx("cli");
    let records: Vec<Value> = CONVERSATION
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            Error::new(Code::Internal, "the conversation is damaged").with_source(error)
        })?;
    let imported = session
        .registry
        .call("memory.import", &ctx, json!({ "memories": records }), None)
        .await?;
    let mut answers = Vec::new();
    for question in QUESTIONS {
        let input = json!({"query": question, "limit": HITS, "explain": true});
        let mut answer = session
            .registry
            .call("memory.recall", &ctx, input, None)
            .await?;
        answer["question"] = question.into();
        answers.push(answer);
    }
    store.close().await?;
    Ok(Shown {
        imported: integer(&imported, "imported"),
        known: integer(&imported, "skipped"),
        answers,
    })
}

fn text(shown: &Shown, store: Option<&Path>, launch: &Launch, style: Style) -> String {
    let mut text = String::new();
    let known = if shown.known > 0 {
        format!(" ({} were there already)", shown.known)
    } else {
        String::new()
    };
    text.push_str(&format!(
        "Imported {} memories of a small project{known}.\n",
        shown.imported + shown.known
    ));
    for answer in &shown.answers {
        let question = answer["question"].as_str().unwrap_or_default();
        text.push_str(&format!("\n{}\n", style.bold(&format!("? {question}"))));
        let hits = json!({ "hits": answer["hits"] });
        text.push_str(&render::answer(&hits, style));
    }
    let shell = shell_word(&launch.binary);
    if let Some(store) = store {
        let url = shell_word(&sqlite_url(store));
        text.push_str(&format!(
            "\n{}\n  {shell} --database-url {url} --project {PROJECT} recall \"deploy on Fridays\"\n",
            style.bold("Ask it something yourself")
        ));
    }
    text.push_str(&format!(
        "\n{}\n  {shell} remember \"We ship on Tuesdays.\" --type decision --tag release\n  {shell} recall \"When do we ship?\"\n",
        style.bold("Use it for real")
    ));
    text.push_str(&format!(
        "\n{}\n{}",
        style.bold("Connect your agent"),
        launch.connections()
    ));
    text
}

/// How an agent starts Athena.
struct Launch {
    binary: String,
    arguments: Vec<String>,
}

impl Launch {
    /// An agent has neither this command line nor this environment, so another home is named.
    fn of(settings: &Settings) -> Self {
        let binary = std::env::current_exe()
            .unwrap_or_else(|_| PathBuf::from("athena"))
            .display()
            .to_string();
        let mut arguments = vec!["mcp".to_owned()];
        if *settings.source("home") != Source::Default {
            let home =
                std::path::absolute(&settings.home).unwrap_or_else(|_| settings.home.clone());
            arguments.extend(["--home".to_owned(), home.display().to_string()]);
        }
        Self { binary, arguments }
    }

    /// Returns the line for a shell.
    fn line(&self) -> String {
        let words = std::iter::once(&self.binary).chain(&self.arguments);
        words
            .map(|word| shell_word(word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Returns the settings that connect common agents.
    fn clients(&self) -> Value {
        let server = json!({"command": self.binary, "args": self.arguments});
        let typed = json!({"type": "stdio", "command": self.binary, "args": self.arguments});
        json!({
            "claude_code": {
                "command": format!("claude mcp add athena -- {}", self.line()),
                "file": ".mcp.json",
                "content": {"mcpServers": {"athena": server}},
            },
            "cursor": {"file": "~/.cursor/mcp.json", "content": {"mcpServers": {"athena": server}}},
            "vscode": {"file": ".vscode/mcp.json", "content": {"servers": {"athena": typed}}},
        })
    }

    fn connections(&self) -> String {
        format!(
            "Claude Code:\n  claude mcp add athena -- {}\n  or, in .mcp.json of a project:\n{}\n\
             Cursor, in ~/.cursor/mcp.json or .cursor/mcp.json of a project:\n{}\n\
             VS Code, in .vscode/mcp.json of a project:\n{}",
            self.line(),
            self.snippet("mcpServers", ""),
            self.snippet("mcpServers", ""),
            self.snippet("servers", "\"type\": \"stdio\", "),
        )
    }

    /// Returns the text of a configuration file.
    fn snippet(&self, key: &str, kind: &str) -> String {
        let (command, arguments) = (json!(self.binary), json!(self.arguments));
        format!(
            "    {{\n      \"{key}\": {{\n        \"athena\": {{ {kind}\"command\": {command}, \"args\": {arguments} }}\n      }}\n    }}\n"
        )
    }
}

/// Quotes a word for a POSIX shell where it needs it.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:+@%=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use athena_core::schema;

    #[test]
    fn the_conversation_is_what_import_takes() {
        let registry = compose::registry();
        let mut input = json!({"memories": CONVERSATION.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()});
        schema::accept(
            &registry.get("memory.import").unwrap().input,
            registry.components(),
            &mut input,
        )
        .unwrap();
        assert!(CONVERSATION.lines().count() >= 30);
    }

    #[test]
    fn paths_with_spaces_are_quoted() {
        assert_eq!(shell_word("/usr/bin/athena"), "/usr/bin/athena");
        assert_eq!(shell_word("/my dir/it's"), r"'/my dir/it'\''s'");
    }

    #[test]
    fn agents_are_connected_by_the_absolute_path() {
        let launch = Launch {
            binary: "/opt/my athena".into(),
            arguments: vec!["mcp".into()],
        };
        let text = launch.connections();
        assert!(text.contains("claude mcp add athena -- '/opt/my athena' mcp"));
        for (client, key, extra) in [
            ("cursor", "mcpServers", ""),
            ("vscode", "servers", "\"type\": \"stdio\", "),
        ] {
            let snippet: Value = serde_json::from_str(&launch.snippet(key, extra)).unwrap();
            assert_eq!(snippet, launch.clients()[client]["content"]);
        }
    }
}
