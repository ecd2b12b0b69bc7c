//! What is to be done at an event, as calls of operations.

use super::Event;
use super::input::{Input, text_of};
use super::spool::Call;
use super::tool::{ToolUse, shortened};
use super::transcript;
use athena_memory::context::HOOK_SOURCE;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Who acts in the sessions.
const AGENT: &str = "claude-code";
/// What the names of Athena's own tools begin with, as `init` connects them.
const OWN_TOOLS: &str = "mcp__athena__";
/// Tokens of what an agent is told at the start of a session, and with a prompt.
const START_BUDGET: u32 = 1_500;
const PROMPT_BUDGET: u32 = 600;
/// Longest name of a session and longest key that the store takes, in characters.
const MAX_NAME: usize = 200;
/// Longest path that the store takes, in characters.
const MAX_PATH: usize = 700;
/// Longest name of a test, in characters.
const MAX_TEST: usize = 300;
/// Longest prompt that is recorded and asked with, in characters.
const MAX_PROMPT: usize = 8_000;

/// What is to be done at an event, in this order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What comes first.
    pub(super) before: Vec<Call>,
    /// What the agent is told something about: the input of `context.brief`.
    pub(super) question: Option<Call>,
    /// What can follow when the agent has its answer.
    pub(super) after: Vec<Call>,
}

/// When and for which project an event is, and a name of its own.
#[derive(Debug)]
pub(super) struct Occasion<'o> {
    /// The project.
    pub(super) project: &'o str,
    /// When it happened.
    pub(super) at: Timestamp,
    /// What no other event is called.
    pub(super) name: &'o str,
}

impl Plan {
    /// Plans what is to be done.
    pub(super) fn of(event: Event, input: &Input, occasion: &Occasion<'_>) -> Self {
        let planner = Planner { input, occasion };
        match event {
            Event::SessionStart => planner.session_start(),
            Event::UserPrompt => planner.user_prompt(),
            Event::PostTool => planner.post_tool(),
            Event::PreCompact => planner.standing(false),
            Event::SessionEnd => planner.standing(true),
        }
    }

    /// Asks for what is new to somebody who knows some items.
    pub(super) fn leave_out(&mut self, known: Vec<Value>) {
        let input = self
            .question
            .as_mut()
            .and_then(|call| call.input.as_object_mut());
        if let (Some(input), false) = (input, known.is_empty()) {
            let known = known.iter().filter_map(|item| {
                let kind = item["kind"].as_str()?;
                Some(json!(format!("{kind}:{}@{}", item["id"], item["version"])))
            });
            input.insert("known_items".to_owned(), Value::Array(known.collect()));
        }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.question.is_none() && self.after.is_empty()
    }
}

/// Makes the calls of one event.
struct Planner<'p> {
    input: &'p Input,
    occasion: &'p Occasion<'p>,
}

impl Planner<'_> {
    /// Returns the session, if the store takes its name.
    fn session(&self) -> Option<&str> {
        self.input
            .session()
            .filter(|session| session.chars().count() <= MAX_NAME)
    }

    fn session_start(&self) -> Plan {
        let session = self.session();
        let start =
            session.map(|id| self.call("session.start", json!({"session": id, "agent": AGENT})));
        Plan {
            before: start.into_iter().collect(),
            question: Some(self.question(None, START_BUDGET)),
            after: Vec::new(),
        }
    }

    /// The answer comes first: it must not tell the prompt itself.
    fn user_prompt(&self) -> Plan {
        let Some(prompt) = self.input.text("prompt") else {
            return Plan::default();
        };
        let prompt: String = prompt.chars().take(MAX_PROMPT).collect();
        let recorded = self.event("conversation", prompt.clone(), json!({}));
        Plan {
            before: Vec::new(),
            question: Some(self.question(Some(&prompt), PROMPT_BUDGET)),
            after: vec![recorded],
        }
    }

    /// What an agent asks of Athena itself is in Athena already.
    fn post_tool(&self) -> Plan {
        let tool = self.input.text("tool_name");
        if tool.is_some_and(|tool| tool.starts_with(OWN_TOOLS)) {
            return Plan::default();
        }
        let Some(used) = ToolUse::of(self.input) else {
            return Plan::default();
        };
        let tool = tool.map(|tool| shortened(tool, 100, 0));
        let file = used.file.filter(|file| is_path(file));
        let files: Vec<&str> = file.as_deref().into_iter().collect();
        let details = json!({
            "outcome": used.outcome,
            "file_path": file,
            "context_files": files,
            "test_name": used.test.map(|test| shortened(&test, MAX_TEST, 0)),
            "metadata": {"hook": Event::PostTool.name(), "tool": tool},
        });
        // What waits for the file is reminded of by the event.
        Plan {
            after: vec![self.event(used.event_type, used.content, details)],
            ..Plan::default()
        }
    }

    /// Saves where a session stands, and ends it or not.
    fn standing(&self, ends: bool) -> Plan {
        let why = self.input.text(if ends { "reason" } else { "trigger" });
        let why = why
            .map(|why| format!(" ({})", shortened(why, 100, 0)))
            .unwrap_or_default();
        let what = if ends {
            "The session ended"
        } else {
            "The context was about to be replaced by a summary"
        };
        let transcript = self.input.text("transcript_path").map(Path::new);
        let last = transcript.map(transcript::last_words).unwrap_or_default();
        let mut summary = format!("{what}{why}.");
        if let Some(prompt) = last.prompt {
            summary.push_str(&format!(" The last prompt was: {prompt}"));
        }
        if let Some(answer) = last.answer {
            summary.push_str(&format!(" The last answer was: {answer}"));
        }
        let hook = if ends {
            Event::SessionEnd
        } else {
            Event::PreCompact
        };
        let mut after = vec![self.event(
            "session_checkpoint",
            summary.clone(),
            json!({"metadata": {"hook": hook.name()}}),
        )];
        if let Some(session) = self.session() {
            after.push(self.call(
                "snapshot.save",
                json!({"session": session, "summary": summary}),
            ));
            after.extend(ends.then(|| self.call("session.end", json!({ "session": session }))));
        }
        Plan {
            after,
            ..Plan::default()
        }
    }

    fn question(&self, prompt: Option<&str>, budget: u32) -> Call {
        let input = json!({
            "prompt": prompt,
            "budget_tokens": budget,
        });
        Call {
            key: None,
            ..self.call("context.brief", input)
        }
    }

    fn event(&self, event_type: &str, content: String, details: Value) -> Call {
        let mut input = json!({
            "event_type": event_type,
            "content": content,
            "session": self.session(),
            "agent": AGENT,
            "source": HOOK_SOURCE,
            "context_cwd": self.folder(),
            "idempotency_key": self.event_key(),
            "occurred_at": self.occasion.at,
        });
        if let (Value::Object(details), Some(input)) = (details, input.as_object_mut()) {
            input.extend(details);
        }
        Call {
            // The event has a key of its own.
            key: None,
            ..self.call("event.record", input)
        }
    }

    /// Returns what tells the event from all others, however often it is sent.
    fn event_key(&self) -> String {
        match (self.session(), self.input.text("tool_use_id")) {
            (Some(session), Some(tool)) if session.len() + tool.len() < MAX_NAME - 10 => {
                format!("hook:{session}:{tool}")
            }
            _ => format!("hook:{}", self.occasion.name),
        }
    }

    fn folder(&self) -> Option<String> {
        let folder = self.input.folder()?.display().to_string();
        is_path(&folder).then_some(folder)
    }

    fn call(&self, operation: &str, input: Value) -> Call {
        Call {
            operation: operation.to_owned(),
            project: self.occasion.project.to_owned(),
            key: Some(format!("hook:{}:{operation}", self.occasion.name)),
            input: without_nothing(input),
        }
    }
}

/// Whether the store takes a path.
fn is_path(path: &str) -> bool {
    path.chars().count() <= MAX_PATH
}

/// Leaves out what says nothing.
fn without_nothing(input: Value) -> Value {
    let Value::Object(members) = input else {
        return input;
    };
    let says = |value: &Value| !value.is_null() && *value != json!([]);
    let members: Map<String, Value> = members
        .into_iter()
        .filter(|(_, value)| says(value))
        .collect();
    Value::Object(members)
}

/// Returns what the agent is to read, if there is anything.
pub(super) fn told(event: Event, brief: &Value) -> Option<Value> {
    let text = text_of(brief, "text")?;
    Some(json!({
        "hookSpecificOutput": {"hookEventName": event.client_name(), "additionalContext": text}
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(event: Event, input: Value) -> Plan {
        let occasion = Occasion {
            project: "shop",
            at: "2026-03-05T12:00:00Z".parse().unwrap(),
            name: "n1",
        };
        let input = Input::parse(input.to_string().as_bytes()).unwrap();
        Plan::of(event, &input, &occasion)
    }

    fn operations(calls: &[Call]) -> Vec<&str> {
        calls.iter().map(|call| call.operation.as_str()).collect()
    }

    #[test]
    fn a_session_is_started_before_it_is_asked_about() {
        let plan = plan(
            Event::SessionStart,
            json!({"session_id": "s", "source": "startup"}),
        );
        assert_eq!(operations(&plan.before), ["session.start"]);
        assert_eq!(
            plan.before[0].input,
            json!({"session": "s", "agent": "claude-code"})
        );
        let question = plan.question.unwrap();
        assert_eq!(question.input, json!({"budget_tokens": 1_500}));
        assert_eq!(question.project, "shop");
    }

    #[test]
    fn a_prompt_is_asked_with_before_it_is_recorded() {
        let plan = plan(
            Event::UserPrompt,
            json!({"session_id": "s", "prompt": "Why?", "cwd": "/shop"}),
        );
        assert!(plan.before.is_empty());
        assert_eq!(plan.question.unwrap().input["prompt"], "Why?");
        assert_eq!(
            plan.after[0].input,
            json!({
                "event_type": "conversation",
                "content": "Why?",
                "session": "s",
                "agent": "claude-code",
                "source": "hook",
                "context_cwd": "/shop",
                "idempotency_key": "hook:n1",
                "occurred_at": "2026-03-05T12:00:00Z",
            })
        );
    }

    #[test]
    fn what_is_known_is_not_asked_for() {
        let input = json!({"session_id": "s", "prompt": "Why?"});
        let mut plan = plan(Event::UserPrompt, input);
        plan.leave_out(Vec::new());
        assert!(
            plan.question
                .as_ref()
                .unwrap()
                .input
                .get("known_items")
                .is_none()
        );
        let known = json!({"kind": "memory", "id": 1, "version": 2});
        plan.leave_out(vec![known]);
        assert_eq!(
            plan.question.unwrap().input["known_items"],
            json!(["memory:1@2"])
        );
    }

    #[test]
    fn a_tool_is_recorded_under_the_name_of_its_use() {
        let used = json!({
            "session_id": "s",
            "tool_use_id": "t1",
            "tool_name": "Edit",
            "tool_input": {"file_path": "/shop/a.rs", "old_string": "a", "new_string": "b"},
            "tool_response": {},
        });
        let plan = plan(Event::PostTool, used);
        assert_eq!(operations(&plan.after), ["event.record"]);
        let event = &plan.after[0].input;
        assert_eq!(event["event_type"], "file_change");
        assert_eq!(event["idempotency_key"], "hook:s:t1");
        assert_eq!(event["context_files"], json!(["/shop/a.rs"]));
        assert_eq!(event["metadata"]["tool"], "Edit");
    }

    #[test]
    fn names_that_the_store_refuses_cost_nothing_else() {
        let long = "x".repeat(1_000);
        let used = json!({
            "session_id": long,
            "tool_use_id": "t1",
            "cwd": format!("/{long}"),
            "tool_name": "Bash",
            "tool_input": {"command": format!("cargo test {long}")},
            "tool_response": {"exit_code": 101},
        });
        let plan = plan(Event::PostTool, used);
        let event = &plan.after[0].input;
        assert_eq!(event["event_type"], "test_run");
        assert_eq!(event["outcome"], "failure");
        assert_eq!(event["idempotency_key"], "hook:n1");
        assert_eq!(
            event["test_name"].as_str().unwrap().chars().count(),
            MAX_TEST
        );
        assert!(event.get("session").is_none() && event.get("context_cwd").is_none());
    }

    #[test]
    fn a_session_that_ends_leaves_where_it_stood() {
        let ended = json!({"session_id": "s", "reason": "clear"});
        let ended = plan(Event::SessionEnd, ended);
        assert_eq!(
            operations(&ended.after),
            ["event.record", "snapshot.save", "session.end"]
        );
        assert_eq!(
            ended.after[1].input["summary"],
            "The session ended (clear)."
        );
        assert_eq!(ended.after[2].key.as_deref(), Some("hook:n1:session.end"));
        let compacted = plan(
            Event::PreCompact,
            json!({"session_id": "s", "trigger": "auto"}),
        );
        assert_eq!(
            operations(&compacted.after),
            ["event.record", "snapshot.save"]
        );
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        assert!(plan(Event::UserPrompt, json!({})).question.is_none());
        assert!(
            plan(Event::PostTool, json!({"tool_name": 5}))
                .after
                .is_empty()
        );
        assert!(plan(Event::PostTool, json!({"tool_name": "mcp__athena__recall"})).is_empty());
        let ended = plan(Event::SessionEnd, json!({}));
        assert_eq!(operations(&ended.after), ["event.record"]);
        assert!(plan(Event::SessionStart, json!({})).before.is_empty());
    }

    #[test]
    fn an_agent_is_told_only_what_says_something() {
        assert_eq!(told(Event::UserPrompt, &json!({"text": "\n"})), None);
        assert_eq!(
            told(
                Event::UserPrompt,
                &json!({"text": "Ships on Tuesdays.", "tokens": 5})
            ),
            Some(json!({"hookSpecificOutput": {
                "hookEventName": "UserPromptSubmit",
                "additionalContext": "Ships on Tuesdays.",
            }}))
        );
    }
}
