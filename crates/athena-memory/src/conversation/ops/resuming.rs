//! Going on where things were left.

use crate::conversation::resume::asks_to_resume;
use crate::conversation::{Message, Role, Session, Thread, sql};
use crate::projects;
use athena_core::{Ctx, Operation, ProjectId, Result, Spec};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far back things are taken up.
const WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// How many turns are shown.
const TURNS: usize = 3;
/// How many messages are looked at for them.
const LOOKED_AT: i64 = 200;

/// Says what was going on lately, so that an agent can go on with it: the newest session of the
/// last 24 hours, its thread, the last turns and the summary. Given what a person says, it looks
/// only if that asks to go on, as "where did we leave off?" does.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConversationResume")]
pub struct Resume {
    /// What the person says. Without it, what was going on is answered in any case.
    #[schemars(length(max = 100_000))]
    pub prompt: Option<String>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// What was going on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ConversationResumed")]
pub struct Resumed {
    /// Whether the person asks to go on where things were left.
    pub is_resume_phrase: bool,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// The thread that was written to last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Thread>,
    /// Its last turns, oldest first.
    pub last_turns: Vec<Turn>,
    /// The summary of the thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What can be done now.
    pub options: Vec<String>,
}

/// What a person said, and what the agent answered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ConversationTurn")]
pub struct Turn {
    /// What the person said.
    pub user: Message,
    /// The last thing that the agent answered; absent if it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant: Option<Message>,
}

impl Operation for Resume {
    const SPEC: Spec =
        Spec::query("conversation.resume", "/conversation/resume").command(&["resume"]);
    type Output = Resumed;

    async fn call(self, ctx: &Ctx) -> Result<Resumed> {
        let is_resume_phrase = self.prompt.as_deref().is_some_and(asks_to_resume);
        if self.prompt.is_some() && !is_resume_phrase {
            return Ok(Resumed::default());
        }
        let mut resumed = match projects::own(ctx, self.project.as_deref()).await? {
            Some(project) => what_was(ctx, project.id).await?,
            None => Resumed::default(),
        };
        resumed.is_resume_phrase = is_resume_phrase;
        resumed.options = options(&resumed);
        Ok(resumed)
    }
}

/// Finds the newest session, and the thread in it that was written to last; without a session, the
/// thread that was written to last.
async fn what_was(ctx: &Ctx, project: ProjectId) -> Result<Resumed> {
    let now = ctx.now();
    let since = now.checked_sub(WITHIN).unwrap_or(Timestamp::MIN);
    let session = sql::last_session(ctx.db(), project, since).await?;
    let name = session.as_ref().map(|session| session.session.as_str());
    let thread = sql::last_thread(ctx.db(), project, name, since, now).await?;
    let last_turns = match &thread {
        Some(thread) => {
            let newest = sql::messages_before(ctx.db(), thread.id, i64::MAX, LOOKED_AT).await?;
            turns(newest)
        }
        None => Vec::new(),
    };
    Ok(Resumed {
        summary: thread.as_ref().and_then(|thread| thread.summary.clone()),
        session,
        thread,
        last_turns,
        ..Resumed::default()
    })
}

/// Returns the last turns, oldest first, of messages that are given newest first.
fn turns(newest: Vec<Message>) -> Vec<Turn> {
    let mut turns = Vec::with_capacity(TURNS);
    let mut answer = None;
    for message in newest {
        match message.role {
            Role::Assistant if answer.is_none() && !message.content.trim().is_empty() => {
                answer = Some(message);
            }
            Role::User => turns.push(Turn {
                user: message,
                assistant: answer.take(),
            }),
            _ => {}
        }
        if turns.len() == TURNS {
            break;
        }
    }
    turns.reverse();
    turns
}

/// Says what can be done now.
fn options(resumed: &Resumed) -> Vec<String> {
    let Some(thread) = &resumed.thread else {
        let nothing = "nothing was going on in the last 24 hours: begin with `thread.create`";
        return vec![nothing.to_owned()];
    };
    let id = thread.id;
    let go_on = match thread.closed_at {
        None => format!("go on with thread {id}: add to it with `message.add`"),
        Some(_) => format!("open thread {id} again with `thread.reopen`, then add to it"),
    };
    vec![
        go_on,
        format!("read more of thread {id} with `thread.context`"),
        "begin something new with `thread.create`".to_owned(),
    ]
}
