//! Operations on goals.

use super::sql::{self, ListFilter};
use super::{Goal, GoalStatus, GoalType};
use crate::items::ItemText;
use crate::priority::{DEFAULT_PRIORITY, PriorityName, chosen};
use crate::projects;
use crate::work::{
    GOAL, check_description, check_version, lock_project, missing, own_project, purge_answers,
    whole_microseconds,
};
use athena_core::{Code, Ctx, Cursor, Error, GoalId, Operation, Page, ProjectId, Result, Spec};
use athena_db::{BoxFuture, Executor};
use athena_store::{Intent, Write, forget_values, remove_item, tokens_in, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Creates a goal: something to be reached that takes several tasks. Tasks and further goals can
/// belong to it, and say how far it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GoalCreate")]
#[schemars(extend("not" = {"required": ["priority", "priority_name"]}))]
pub struct Create {
    /// What is to be reached, in one line.
    #[schemars(length(min = 1, max = 500), regex(pattern = r"\S"))]
    pub name: String,
    /// What that means in detail, and how one can tell that it is reached.
    pub description: Option<String>,
    /// How urgent it is, 1 to 10; 5 unless given.
    #[schemars(range(min = 1, max = 10))]
    pub priority: Option<i64>,
    /// How urgent it is in a word, in place of the number: low (3), medium (5), high (7), critical (10).
    pub priority_name: Option<PriorityName>,
    /// What part it plays; a goal with a parent is a subgoal unless said otherwise.
    pub goal_type: Option<GoalType>,
    /// Where it stands; active unless given.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub status: GoalStatus,
    /// The goal that it serves, of the same project.
    #[schemars(range(min = 1))]
    pub parent_goal_id: Option<i64>,
    /// When it must be reached.
    pub deadline: Option<Timestamp>,
    /// When it is thought to be reached.
    #[schemars(extend("x-advanced" = true))]
    pub estimated_completion_date: Option<Timestamp>,
    /// How far it is, 0 to 100, if that is not to be told from its tasks and subgoals.
    #[schemars(range(min = 0, max = 100))]
    #[schemars(extend("x-advanced" = true))]
    pub completion_percentage: Option<f64>,
    /// Memories that have to do with it.
    #[serde(default)]
    #[schemars(length(max = 100), inner(range(min = 1)))]
    #[schemars(extend("x-advanced" = true))]
    pub related_memory_ids: Vec<i64>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

impl Operation for Create {
    const SPEC: Spec = Spec::create("goal.create", "/goals")
        .command(&["goal", "add"])
        .positional(&["name"])
        .short(&[("priority", 'p')]);
    type Output = Goal;

    async fn call(mut self, ctx: &Ctx) -> Result<Goal> {
        self.priority = chosen(self.priority, self.priority_name);
        check_description(self.description.as_deref())?;
        let now = ctx.now();
        let goal = Goal {
            id: GoalId(0),
            uid: Uuid::now_v7(),
            project_id: ProjectId(0),
            version: 1,
            goal_type: self.goal_type.unwrap_or(match self.parent_goal_id {
                Some(_) => GoalType::Subgoal,
                None => GoalType::Primary,
            }),
            name: self.name,
            description: self.description,
            priority: self.priority.unwrap_or(DEFAULT_PRIORITY),
            status: self.status,
            completion_percentage: self.completion_percentage.unwrap_or_default(),
            completion_by_hand: self.completion_percentage.is_some(),
            estimated_completion_date: self.estimated_completion_date.map(whole_microseconds),
            deadline: self.deadline.map(whole_microseconds),
            parent_goal_id: self.parent_goal_id.map(GoalId),
            related_memory_ids: self.related_memory_ids,
            principal: ctx.caller().principal.clone(),
            created_at: now,
            updated_at: now,
            completed_at: (self.status == GoalStatus::Completed).then_some(now),
            removed_at: None,
        };
        let text = ItemText::prepare(ctx, goal.text());
        let new = Arc::new((goal, text, self.project));
        write(ctx, Intent::new("goal.create"), move |write| {
            let new = Arc::clone(&new);
            Box::pin(async move {
                let (goal, text, project) = &*new;
                let project = projects::for_writing(write, project.as_deref()).await?.id;
                let mut goal = Goal {
                    project_id: project,
                    ..goal.clone()
                };
                if let Some(parent) = goal.parent_goal_id {
                    lock_project(write, project).await?;
                    check_parent(write.tx(), project, parent).await?;
                }
                goal.id = sql::insert(write.tx(), &goal).await?;
                goal.log(write, text).await?;
                with_progress(write.tx(), goal).await
            })
        })
        .await
    }
}

/// Refuses a parent that is not there. It is not purged before the commit if the project is locked.
async fn check_parent(db: &impl Executor, project: ProjectId, parent: GoalId) -> Result<()> {
    if sql::in_project(db, project, parent.0).await? {
        return Ok(());
    }
    let what = format_args!("goal `{parent}` of this project");
    Err(Error::not_found(what).with_field("parent_goal_id"))
}

/// Says how far a goal is.
async fn with_progress(db: &impl Executor, goal: Goal) -> Result<Goal> {
    let progress = sql::progress(db, goal.project_id).await?;
    Ok(Goal {
        completion_percentage: progress.percentage(goal.id.0),
        ..goal
    })
}

async fn existing(db: &impl Executor, id: i64) -> Result<Goal> {
    let goal = sql::by_id(db, GoalId(id)).await?;
    goal.ok_or_else(|| missing("goal", id))
}

/// Returns a goal that was not removed.
async fn current(db: &impl Executor, id: i64) -> Result<Goal> {
    let goal = existing(db, id).await?;
    if goal.removed_at.is_none() {
        return Ok(goal);
    }
    let message = format!("goal `{id}` was removed; restore it, or list with `removed`");
    Err(Error::new(Code::NotFound, message).with_field("id"))
}

/// Returns a goal with its subgoals and the numbers of its tasks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GoalGet")]
pub struct Get {
    /// The goal's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// A goal with what belongs to it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GoalView {
    /// The goal.
    #[serde(flatten)]
    pub goal: Goal,
    /// The goals that serve it, the most urgent first, a hundred at most.
    pub subgoals: Vec<Goal>,
    /// How many tasks it has in each phase that any is in.
    pub tasks: BTreeMap<String, i64>,
}

impl Operation for Get {
    const SPEC: Spec = Spec::read("goal.get", "/goals/{id}")
        .command(&["goal", "get"])
        .positional(&["id"]);
    type Output = GoalView;

    async fn call(self, ctx: &Ctx) -> Result<GoalView> {
        let goal = current(ctx.db(), self.id).await?;
        let progress = sql::progress(ctx.db(), goal.project_id).await?;
        let children = ListFilter {
            parent: Some(self.id),
            ..ListFilter::default()
        };
        let mut subgoals = sql::list(ctx.db(), goal.project_id, children, 99).await?;
        for subgoal in &mut subgoals {
            subgoal.completion_percentage = progress.percentage(subgoal.id.0);
        }
        let tasks = sql::task_counts(ctx.db(), goal.id).await?;
        Ok(GoalView {
            goal: Goal {
                completion_percentage: progress.percentage(goal.id.0),
                ..goal
            },
            subgoals,
            tasks: tasks.into_iter().collect(),
        })
    }
}

/// Lists goals, the most urgent first, with how far each is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GoalList")]
pub struct List {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only goals that stand so.
    pub status: Option<GoalStatus>,
    /// Only goals that serve this one.
    #[schemars(range(min = 1))]
    pub parent_goal_id: Option<i64>,
    /// List what was removed instead.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub removed: bool,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn default_limit() -> u32 {
    50
}

impl Operation for List {
    const SPEC: Spec = Spec::read("goal.list", "/goals")
        .command(&["goal", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Goal>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Goal>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let Some(project) = own_project(ctx, self.project.as_deref()).await? else {
            return Ok(Page::from_overfetch(
                Vec::new(),
                self.limit,
                |goal: &Goal| goal.id.0,
            ));
        };
        let filter = ListFilter {
            status: self.status,
            parent: self.parent_goal_id,
            removed: self.removed,
            cursor: cursor.map(|cursor| cursor.0),
        };
        let mut goals = sql::list(ctx.db(), project, filter, self.limit).await?;
        let progress = sql::progress(ctx.db(), project).await?;
        for goal in &mut goals {
            goal.completion_percentage = match (goal.removed_at, goal.status) {
                (None, _) => progress.percentage(goal.id.0),
                (Some(_), GoalStatus::Completed) => 100.0,
                (Some(_), _) => goal.completion_percentage,
            };
        }
        Ok(Page::from_overfetch(goals, self.limit, |goal| goal.id.0))
    }
}

/// Changes a goal: what is given changes, all else stays. Completing, pausing, cancelling and taking
/// up again are changes of its `status`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GoalUpdate")]
#[schemars(extend("not" = {"anyOf": [
    {"required": ["priority", "priority_name"]},
    {
        "required": ["completion_percentage", "derive_completion"],
        "properties": {"derive_completion": {"const": true}}
    }
]}))]
pub struct Update {
    /// The goal's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// What is to be reached, in one line.
    #[schemars(length(min = 1, max = 500), regex(pattern = r"\S"))]
    pub name: Option<String>,
    /// What that means in detail.
    pub description: Option<String>,
    /// Where it stands.
    pub status: Option<GoalStatus>,
    /// How urgent it is, 1 to 10.
    #[schemars(range(min = 1, max = 10))]
    pub priority: Option<i64>,
    /// How urgent it is in a word, in place of the number: low (3), medium (5), high (7), critical (10).
    pub priority_name: Option<PriorityName>,
    /// What part it plays.
    pub goal_type: Option<GoalType>,
    /// The goal that it serves, of the same project; 0 for none.
    #[schemars(range(min = 0))]
    pub parent_goal_id: Option<i64>,
    /// When it must be reached.
    pub deadline: Option<Timestamp>,
    /// When it is thought to be reached.
    #[schemars(extend("x-advanced" = true))]
    pub estimated_completion_date: Option<Timestamp>,
    /// How far it is, 0 to 100, whatever its tasks and subgoals say.
    #[schemars(range(min = 0, max = 100))]
    pub completion_percentage: Option<f64>,
    /// Tell how far it is from its tasks and subgoals again.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub derive_completion: bool,
    /// All memories that have to do with it from now on.
    #[schemars(length(max = 100), inner(range(min = 1)))]
    #[schemars(extend("x-advanced" = true))]
    pub related_memory_ids: Option<Vec<i64>>,
    /// The version that you changed; the update is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Update {
    const SPEC: Spec = Spec::change("goal.update", "/goals/{id}")
        .command(&["goal", "update"])
        .positional(&["id"])
        .errors(&[Code::Conflict, Code::PreconditionFailed]);
    type Output = Goal;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        GOAL.home(ctx, input)
    }

    async fn call(mut self, ctx: &Ctx) -> Result<Goal> {
        self.priority = chosen(self.priority, self.priority_name);
        check_description(self.description.as_deref())?;
        let text = match self.name.is_some() || self.description.is_some() {
            true => Some(self.text(ctx).await?),
            false => None,
        };
        let update = Arc::new((self, text));
        write(ctx, Intent::new("goal.update"), move |write| {
            let update = Arc::clone(&update);
            Box::pin(async move { change(write, &update.0, update.1.as_ref()).await })
        })
        .await
    }
}

impl Update {
    /// Returns what is searched of the goal after the change, made before the transaction.
    async fn text(&self, ctx: &Ctx) -> Result<(String, ItemText)> {
        let mut goal = current(ctx.db(), self.id).await?;
        self.rename(&mut goal);
        Ok((goal.text(), ItemText::prepare(ctx, goal.text())))
    }

    fn rename(&self, goal: &mut Goal) {
        if let Some(name) = &self.name {
            goal.name.clone_from(name);
        }
        if self.description.is_some() {
            goal.description.clone_from(&self.description);
        }
    }

    fn apply(&self, goal: &mut Goal, now: Timestamp) {
        self.rename(goal);
        if let Some(status) = self.status {
            if status != GoalStatus::Completed {
                goal.completed_at = None;
            } else if goal.status != GoalStatus::Completed {
                goal.completed_at = Some(now);
            }
            goal.status = status;
        }
        if let Some(percentage) = self.completion_percentage {
            (goal.completion_percentage, goal.completion_by_hand) = (percentage, true);
        }
        if self.derive_completion {
            goal.completion_by_hand = false;
        }
        if let Some(parent) = self.parent_goal_id {
            goal.parent_goal_id = (parent != 0).then_some(GoalId(parent));
        }
        if let Some(ids) = &self.related_memory_ids {
            goal.related_memory_ids.clone_from(ids);
        }
        goal.priority = self.priority.unwrap_or(goal.priority);
        goal.goal_type = self.goal_type.unwrap_or(goal.goal_type);
        goal.deadline = self.deadline.map(whole_microseconds).or(goal.deadline);
        let estimated = self.estimated_completion_date.map(whole_microseconds);
        goal.estimated_completion_date = estimated.or(goal.estimated_completion_date);
        goal.version += 1;
        goal.updated_at = now;
    }
}

async fn change(
    write: &Write<'_>,
    update: &Update,
    text: Option<&(String, ItemText)>,
) -> Result<Goal> {
    let project = current(write.tx(), update.id).await?.project_id;
    if update.parent_goal_id.is_some() {
        lock_project(write, project).await?;
    }
    sql::lock(write.tx(), GoalId(update.id)).await?;
    let mut goal = current(write.tx(), update.id).await?;
    check_version("goal", update.id, goal.version, update.expected_version)?;
    update.apply(&mut goal, write.now());
    if let Some(parent) = goal
        .parent_goal_id
        .filter(|_| update.parent_goal_id.is_some())
    {
        check_parent(write.tx(), project, parent).await?;
        check_tree(write.tx(), &goal, parent).await?;
    }
    sql::update(write.tx(), &goal).await?;
    match text {
        Some((prepared, text)) if *prepared == goal.text() => goal.log(write, text).await?,
        Some(_) => {
            let message = "the goal was changed by somebody else a moment ago; try again";
            return Err(Error::new(Code::Busy, message));
        }
        None => goal.tell(write),
    }
    with_progress(write.tx(), goal).await
}

/// Refuses a parent that the goal is above of, and names the way.
async fn check_tree(db: &impl Executor, goal: &Goal, parent: GoalId) -> Result<()> {
    let progress = sql::progress(db, goal.project_id).await?;
    let Some(way) = progress.way_up(parent.0, goal.id.0) else {
        return Ok(());
    };
    let way: Vec<String> = way.iter().map(|id| format!("`{id}`")).collect();
    let message = format!(
        "goal `{}` cannot serve `{parent}`, which serves it: {}; move one of these first",
        goal.id,
        way.join(" → ")
    );
    Err(Error::new(Code::Conflict, message).with_field("parent_goal_id"))
}

/// Removes a goal. Its tasks and subgoals stay; it can be restored until it is purged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GoalRemove")]
pub struct Remove {
    /// The goal's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// A goal that was removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GoalRemoved {
    /// The goal's id.
    pub id: GoalId,
    /// When it was removed.
    pub removed_at: Timestamp,
}

impl Operation for Remove {
    const SPEC: Spec = Spec::remove("goal.remove", "/goals/{id}")
        .command(&["goal", "remove"])
        .positional(&["id"]);
    type Output = GoalRemoved;

    async fn call(self, ctx: &Ctx) -> Result<GoalRemoved> {
        let id = self.id;
        write(ctx, Intent::new("goal.remove"), move |write| {
            Box::pin(async move {
                sql::lock(write.tx(), GoalId(id)).await?;
                let mut goal = existing(write.tx(), id).await?;
                let removed_at = goal.removed_at.unwrap_or(write.now());
                if goal.removed_at.is_none() {
                    goal.removed_at = Some(removed_at);
                    store_changed(write, &mut goal).await?;
                }
                Ok(GoalRemoved {
                    id: goal.id,
                    removed_at,
                })
            })
        })
        .await
    }
}

/// Stores a goal whose text is as it was.
async fn store_changed(write: &Write<'_>, goal: &mut Goal) -> Result<()> {
    goal.version += 1;
    goal.updated_at = write.now();
    sql::update(write.tx(), goal).await?;
    goal.tell(write);
    Ok(())
}

/// Restores a goal that was removed. If the goal that it served is gone, it serves none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GoalRestore")]
pub struct Restore {
    /// The goal's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Restore {
    const SPEC: Spec = Spec::act("goal.restore", "/goals/{id}/restore")
        .idempotent()
        .command(&["goal", "restore"])
        .positional(&["id"]);
    type Output = Goal;

    async fn call(self, ctx: &Ctx) -> Result<Goal> {
        let id = self.id;
        write(ctx, Intent::new("goal.restore"), move |write| {
            Box::pin(async move { restore(write, id).await })
        })
        .await
    }
}

async fn restore(write: &Write<'_>, id: i64) -> Result<Goal> {
    let project = existing(write.tx(), id).await?.project_id;
    lock_project(write, project).await?;
    sql::lock(write.tx(), GoalId(id)).await?;
    let mut goal = existing(write.tx(), id).await?;
    if goal.removed_at.is_some() {
        goal.removed_at = None;
        if let Some(parent) = goal.parent_goal_id {
            // While it was out of sight, its parent may have gone, or have come to serve it.
            let progress = sql::progress(write.tx(), project).await?;
            let closes = progress.way_up(parent.0, id).is_some();
            let is_there = sql::in_project(write.tx(), project, parent.0).await?;
            goal.parent_goal_id = (is_there && !closes).then_some(parent);
        }
        store_changed(write, &mut goal).await?;
    }
    with_progress(write.tx(), goal).await
}

/// Removes a goal for good, with every trace in the search index. Its tasks and subgoals stay, and
/// belong to none. This cannot be undone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GoalPurge")]
pub struct Purge {
    /// The goal's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// What was removed for good with a goal, and what the database still owes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GoalPurged {
    /// The goal's `uid`.
    pub uid: Uuid,
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many tasks belonged to it.
    pub tasks_freed: u64,
    /// How many goals served it.
    pub subgoals_freed: u64,
    /// How many records of the search log were blanked.
    pub search_records: u64,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// How many sealed personal values were removed that nothing else mentions.
    pub sealed_values: u64,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for Purge {
    const SPEC: Spec = Spec::act("goal.purge", "/goals/{id}/purge")
        .destructive()
        .command(&["goal", "purge"])
        .positional(&["id"]);
    type Output = GoalPurged;

    async fn call(self, ctx: &Ctx) -> Result<GoalPurged> {
        let id = self.id;
        let mut purged = write(ctx, Intent::new("goal.purge"), move |write| {
            Box::pin(async move { purge(write, id).await })
        })
        .await?;
        purged.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(purged)
    }
}

async fn purge(write: &Write<'_>, id: i64) -> Result<GoalPurged> {
    let project = existing(write.tx(), id).await?.project_id;
    lock_project(write, project).await?;
    sql::lock(write.tx(), GoalId(id)).await?;
    let goal = existing(write.tx(), id).await?;
    let tokens = tokens_in(&serde_json::to_string(&goal).map_err(Error::internal)?);
    let name = projects::name(write.tx(), project).await?;
    let search_records = remove_item(write, project, goal.item()).await?;
    let (tasks_freed, subgoals_freed) = sql::purge(write.tx(), goal.id).await?;
    Ok(GoalPurged {
        uid: goal.uid,
        purged_at: write.now(),
        tasks_freed,
        subgoals_freed,
        search_records,
        kept_answers: purge_answers(write, goal.uid).await?,
        sealed_values: forget_values(write, &name, &tokens).await?,
        owed: athena_store::owed_after_purge(write.tx().dialect()),
    })
}
