//! Conversations: sessions, the threads in them, and their messages.
//!
//! A *session* is a stretch of work of one agent. A *thread* is a list of messages, whose numbers
//! have neither gaps nor ties, whoever writes at once: they are taken from the thread's row inside
//! the transaction that adds the messages. Messages are found by words and by meaning. A thread
//! carries a summary of its older messages, sentences taken from them, so that what an agent is
//! shown of a long thread fits the tokens that it has: the summary, and the newest messages.
//!
//! Messages are looked up with their thread, so removing a thread takes them out of sight without
//! touching them, and restoring it brings them back.

mod context;
mod expiry;
mod indexing;
mod ops;
mod resume;
mod sql;
mod summary;
#[cfg(test)]
mod tests;

use crate::stored::stored_as_text;
use athena_core::{MessageId, ProjectId, ThreadId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use expiry::PurgeExpiredThreads;
pub use indexing::{DeriveMessages, DeriveThreads, LogMessages};
pub use ops::*;

/// The largest text of a message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// A summary is extended once so many messages are not covered.
pub const SUMMARISE_AFTER: i64 = 50;
/// How many tokens a summary has at most, unless said otherwise.
pub const DEFAULT_SUMMARY_TOKENS: u32 = 400;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A person.
    User,
    /// The agent.
    Assistant,
    /// Whoever set the agent up.
    System,
    /// A tool, answering a call of the agent.
    Tool,
    /// A function, answering a call of the agent: the older form of a tool.
    Function,
}

impl Role {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Tool => "tool",
            Self::Function => "function",
        }
    }
}

stored_as_text!(Role, "a role of a message");

/// A stretch of work of one agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Its id in this store.
    pub id: i64,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// Its name.
    pub session: String,
    /// Which agent works in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What is worth knowing about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Map<String, Value>>,
    /// How many threads it has.
    pub threads: i64,
    /// When it was started.
    pub started_at: Timestamp,
    /// When something happened in it last.
    pub last_active_at: Timestamp,
    /// When it was ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Who started it.
    pub principal: String,
}

/// A list of messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Thread {
    /// Its id in this store.
    pub id: ThreadId,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// The session that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Which agent it is with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Anything else that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// How many messages it has.
    pub messages: i64,
    /// How many tokens its messages have.
    pub tokens: i64,
    /// The number of its last message; 0 before the first.
    pub last_seq: i64,
    /// The last message that its summary covers; 0 for none.
    pub summary_to_seq: i64,
    /// When its last message was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message_at: Option<Timestamp>,
    /// When it was archived: it is out of the way, and takes no messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// When it was closed: it takes no messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// When it is removed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was removed; it can be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// Who made it.
    pub principal: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When something about it changed last.
    pub updated_at: Timestamp,
    /// The summary; shown where it is asked for.
    #[serde(skip)]
    summary: Option<String>,
}

impl Thread {
    /// Whether it is there at a time: neither removed nor expired.
    fn is_there(&self, now: Timestamp) -> bool {
        self.removed_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}

/// A message of a thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Its id in this store.
    pub id: MessageId,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// The thread.
    pub thread: ThreadId,
    /// Its number in the thread, from 1.
    pub seq: i64,
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// The name of who says it, or of the tool that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The call that a tool answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The tools that the agent calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<Map<String, Value>>>,
    /// The model that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many tokens it has: as it was told, else estimated as a quarter of its bytes.
    pub tokens: i64,
    /// The person whose conversation it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Anything else that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// When it was said.
    pub occurred_at: Timestamp,
    /// Who stored it.
    pub principal: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// The id of its project.
    #[serde(skip, default = "no_project")]
    project: ProjectId,
}

/// Stands in for a project that an answer leaves out.
fn no_project() -> ProjectId {
    ProjectId(0)
}

impl Message {
    /// Whether it answers a call, and makes no sense without it.
    fn is_answer_of_tool(&self) -> bool {
        matches!(self.role, Role::Tool | Role::Function)
    }

    /// Whether it makes the call that another message answers: the one of that id, or where there
    /// is none, that of a tool of that name.
    fn calls(&self, answer: &Self) -> bool {
        let calls = self.tool_calls.iter().flatten();
        match &answer.tool_call_id {
            Some(id) => calls
                .filter_map(|call| call.get("id"))
                .any(|it| it.as_str() == Some(id)),
            None => {
                let mut names = calls.filter_map(called);
                names.any(|it| answer.name.as_deref().is_none_or(|name| name == it))
            }
        }
    }
}

/// Returns the name of the tool that a call is for.
fn called(call: &Map<String, Value>) -> Option<&str> {
    let function = call.get("function").and_then(|it| it.get("name"));
    function.or_else(|| call.get("name"))?.as_str()
}

/// Returns about how many tokens a text has: a quarter of its bytes, rounded up.
///
/// Models count differently, and none is asked; who knows better says so.
#[must_use]
pub fn estimated_tokens(text: &str) -> i64 {
    i64::try_from(text.len().div_ceil(4)).unwrap_or(i64::MAX)
}
