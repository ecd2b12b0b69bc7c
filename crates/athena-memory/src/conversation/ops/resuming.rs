//! Going on where things were left.

use crate::conversation::resume::asks_to_resume;
use crate::conversation::{Message, Role, Session, Thread, sql};
use crate::projects;
use crate::work::snapshots::{self, Snapshot};
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
/// How many snapshots are looked at for one that says something.
const SNAPSHOTS: u32 = 20;

/// Says what was going on lately, so that an agent can go on with it: the thread that was written to
/// last in the last 24 hours, its session, the last turns and the summary. Without such a thread, it
/// names the last session in which something happened, and the last snapshot. Given what a person
/// says, it looks only if that asks to go on, as "where did we leave off?" does.
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
    /// The session of the thread; without a thread, the last one in which something happened.
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
    /// The last snapshot that says something, if there is no thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
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
            Some(project) => what_was(ctx, project.id, self.project).await?,
            None => Resumed::default(),
        };
        resumed.is_resume_phrase = is_resume_phrase;
        resumed.options = options(&resumed);
        Ok(resumed)
    }
}

/// Finds the thread that was written to last, and its session; without one, what else there is.
async fn what_was(ctx: &Ctx, project: ProjectId, named: Option<String>) -> Result<Resumed> {
    let now = ctx.now();
    let since = now.checked_sub(WITHIN).unwrap_or(Timestamp::MIN);
    let Some(thread) = sql::last_thread(ctx.db(), project, since, now).await? else {
        return Ok(Resumed {
            session: sql::last_eventful_session(ctx.db(), project, since).await?,
            snapshot: last_snapshot(ctx, named, since).await?,
            ..Resumed::default()
        });
    };
    let newest = sql::messages_before(ctx.db(), thread.id, i64::MAX, LOOKED_AT).await?;
    let session = match &thread.session {
        Some(name) => sql::session(ctx.db(), project, name).await?,
        None => None,
    };
    Ok(Resumed {
        session,
        last_turns: turns(newest),
        summary: thread.summary.clone(),
        thread: Some(thread),
        ..Resumed::default()
    })
}

/// Returns the last snapshot that says something, if it was taken at a time or later.
async fn last_snapshot(
    ctx: &Ctx,
    project: Option<String>,
    since: Timestamp,
) -> Result<Option<Snapshot>> {
    let list = snapshots::List {
        session: None,
        project,
        limit: SNAPSHOTS,
        cursor: None,
    };
    // Boxed, for the compiler follows futures that lie in each other only so deep.
    let snapshots = Box::pin(list.call(ctx)).await?;
    let mut snapshots = snapshots.items.into_iter();
    Ok(snapshots.find(|it| it.taken_at >= since && says_something(it)))
}

fn says_something(snapshot: &Snapshot) -> bool {
    snapshot.summary.is_some()
        || snapshot.next_step.is_some()
        || !snapshot.failures.is_empty()
        || !snapshot.todos.is_empty()
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
    let mut options = match &resumed.thread {
        Some(thread) => thread_options(thread),
        None => other_options(resumed),
    };
    options.push("begin something new with `thread.create`".to_owned());
    options
}

fn thread_options(thread: &Thread) -> Vec<String> {
    let id = thread.id;
    let go_on = match thread.closed_at {
        None => format!("go on with thread {id}: add to it with `message.add`"),
        Some(_) => format!("open thread {id} again with `thread.reopen`, then add to it"),
    };
    vec![
        go_on,
        format!("read more of thread {id} with `thread.context`"),
    ]
}

fn other_options(resumed: &Resumed) -> Vec<String> {
    let snapshot = resumed.snapshot.as_ref().map(|snapshot| {
        let id = snapshot.id;
        format!("go on from snapshot {id}: read it with `snapshot.get`")
    });
    let session = resumed.session.as_ref().map(|session| {
        let name = &session.session;
        format!("read what happened in session `{name}` with `event.list`")
    });
    let options: Vec<String> = snapshot.into_iter().chain(session).collect();
    match options.is_empty() {
        true => vec!["nothing was going on in the last 24 hours".to_owned()],
        false => options,
    }
}
