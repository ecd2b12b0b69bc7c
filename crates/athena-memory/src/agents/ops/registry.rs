//! Who there is, and who is fit for what.

use super::{project_of, registered, until};
use crate::agents::sql::{self, NewAgent};
use crate::agents::{Agent, DEFAULT_LEASE_SECONDS, DEFAULT_MAX_CONCURRENT};
use crate::{items, projects};
use athena_core::{AgentId, Ctx, Cursor, Operation, Page, PageRequest, Result, Spec};
use athena_search::ItemRef;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Registers an agent, so that it can claim work: what it is called, what it can do and how much at
/// once. Registering again says all of that anew and keeps what it has achieved.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AgentRegister")]
pub struct Register {
    /// The name that it calls itself, unique in the project.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    pub agent: String,
    /// What it can do, such as `rust` or `review`.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub capabilities: Vec<String>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many items it works on at once, at most; 5 unless given.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_concurrent: Option<u32>,
    /// For how many seconds one sign of life counts; 60 unless given.
    #[schemars(range(min = 1, max = 86_400))]
    #[schemars(extend("x-advanced" = true))]
    pub lease_seconds: Option<u32>,
    /// Anything else that is worth knowing about it.
    #[schemars(extend("x-advanced" = true))]
    pub metadata: Option<Map<String, Value>>,
}

impl Operation for Register {
    const SPEC: Spec = Spec::act("agent.register", "/agents")
        .idempotent()
        .command(&["agent", "register"])
        .positional(&["agent"]);
    type Output = Agent;

    async fn call(mut self, ctx: &Ctx) -> Result<Agent> {
        let mut seen = BTreeSet::new();
        self.capabilities.retain(|it| seen.insert(it.clone()));
        let register = Arc::new(self);
        write(ctx, Intent::new("agent.register"), move |write| {
            let register = Arc::clone(&register);
            Box::pin(async move { store(write, &register).await })
        })
        .await
    }
}

async fn store(write: &Write<'_>, register: &Register) -> Result<Agent> {
    let project = projects::for_writing(write, register.project.as_deref()).await?;
    let seconds = register.lease_seconds.unwrap_or(DEFAULT_LEASE_SECONDS);
    let new = NewAgent {
        agent: &register.agent,
        capabilities: &register.capabilities,
        max_concurrent: i64::from(register.max_concurrent.unwrap_or(DEFAULT_MAX_CONCURRENT)),
        lease_seconds: i64::from(seconds),
        metadata: register.metadata.clone().map(Value::Object),
        principal: &write.ctx().caller().principal,
        now: write.now(),
        alive_until: until(write.now(), seconds),
    };
    sql::revive_agent(write.tx(), project.id, &register.agent).await?;
    let id = sql::put_agent(write.tx(), project.id, &new).await?;
    note(write, project.id, id);
    registered(write.tx(), project.id, &register.agent, write.now()).await
}

fn note(write: &Write<'_>, project: athena_core::ProjectId, id: AgentId) {
    let kind = items::AGENT;
    write.note(project, ItemRef { kind, id: id.0 });
}

/// Returns an agent: what it can do, how busy it is, how well it has done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentGet {
    /// Its name.
    #[schemars(length(min = 1, max = 200))]
    pub agent: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

impl Operation for AgentGet {
    const SPEC: Spec = Spec::read("agent.get", "/agents/{agent}")
        .command(&["agent", "get"])
        .positional(&["agent"]);
    type Output = Agent;

    async fn call(self, ctx: &Ctx) -> Result<Agent> {
        let project = project_of(ctx.db(), ctx, self.project.as_deref()).await?;
        registered(ctx.db(), project, &self.agent, ctx.now()).await
    }
}

/// Lists the agents of a project with how busy each is, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentList {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
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

impl Operation for AgentList {
    const SPEC: Spec = Spec::read("agent.list", "/agents")
        .command(&["agent", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Agent>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Agent>> {
        let page = PageRequest {
            limit: self.limit,
            cursor: self.cursor.as_deref().map(Cursor::parse).transpose()?,
        };
        let agents = match projects::own(ctx, self.project.as_deref()).await? {
            Some(project) => sql::agents(ctx.db(), project.id, ctx.now(), page).await?,
            None => Vec::new(),
        };
        Ok(Page::from_overfetch(agents, self.limit, |agent| agent.id.0))
    }
}

/// Gives a sign of life of an agent, and renews the leases that it holds if asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentHeartbeat {
    /// Its name.
    #[schemars(length(min = 1, max = 200))]
    pub agent: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Renew all leases that it holds, to end so many seconds from now unless they end later. What
    /// has expired is not renewed.
    #[schemars(range(min = 1, max = 86_400))]
    pub renew_seconds: Option<u32>,
}

/// A sign of life that was noted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentBeat {
    /// The agent's id.
    pub id: AgentId,
    /// Until when it counts.
    pub alive_until: Timestamp,
    /// How many leases were renewed.
    pub renewed: u64,
}

impl Operation for AgentHeartbeat {
    const SPEC: Spec = Spec::act("agent.heartbeat", "/agents/{agent}/heartbeat")
        .idempotent()
        .command(&["agent", "heartbeat"])
        .positional(&["agent"]);
    type Output = AgentBeat;

    async fn call(self, ctx: &Ctx) -> Result<AgentBeat> {
        let heartbeat = Arc::new(self);
        write(ctx, Intent::new("agent.heartbeat"), move |write| {
            let heartbeat = Arc::clone(&heartbeat);
            Box::pin(async move { beat(write, &heartbeat).await })
        })
        .await
    }
}

async fn beat(write: &Write<'_>, heartbeat: &AgentHeartbeat) -> Result<AgentBeat> {
    let (tx, now) = (write.tx(), write.now());
    let project = project_of(tx, write.ctx(), heartbeat.project.as_deref()).await?;
    let agent = registered(tx, project, &heartbeat.agent, now).await?;
    let alive_until = crate::agents::seconds_after(now, agent.lease_seconds);
    sql::beat(tx, agent.id, now, alive_until).await?;
    let renewed = match heartbeat.renew_seconds {
        Some(seconds) => {
            sql::renew_leases_of(tx, project, &agent.agent, now, until(now, seconds)).await?
        }
        None => 0,
    };
    Ok(AgentBeat {
        id: agent.id,
        alive_until,
        renewed,
    })
}

/// Removes an agent. It claims nothing more; what it holds stays its own until its leases end.
/// Registering it again brings it back with what it has achieved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRemove {
    /// Its name.
    #[schemars(length(min = 1, max = 200))]
    pub agent: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// An agent that was removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentRemoved {
    /// The id it had.
    pub id: AgentId,
    /// When it was removed.
    pub removed_at: Timestamp,
}

impl Operation for AgentRemove {
    const SPEC: Spec = Spec::remove("agent.remove", "/agents/{agent}")
        .command(&["agent", "remove"])
        .positional(&["agent"]);
    type Output = AgentRemoved;

    async fn call(self, ctx: &Ctx) -> Result<AgentRemoved> {
        let remove = Arc::new(self);
        write(ctx, Intent::new("agent.remove"), move |write| {
            let remove = Arc::clone(&remove);
            Box::pin(async move {
                let (tx, now) = (write.tx(), write.now());
                let project = project_of(tx, write.ctx(), remove.project.as_deref()).await?;
                let agent = registered(tx, project, &remove.agent, now).await?;
                sql::remove_agent(tx, agent.id, now).await?;
                note(write, project, agent.id);
                Ok(AgentRemoved {
                    id: agent.id,
                    removed_at: now,
                })
            })
        })
        .await
    }
}

/// Says which agents are fit for a piece of work, the best first: those that can do all that is
/// required, are alive and have a place free, by how well they have done and how free they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRoute {
    /// What the work requires.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub requires: Vec<String>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Name agents too that have given no sign of life lately.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub silent: bool,
    /// How many to answer at most.
    #[serde(default = "default_routes")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
}

fn default_routes() -> u32 {
    10
}

/// Agents that are fit for a piece of work.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RoutedAgents {
    /// The agents, the best first.
    pub agents: Vec<RoutedAgent>,
}

/// An agent that is fit for a piece of work.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RoutedAgent {
    /// Its name.
    pub agent: String,
    /// `success_rate · (1 − load / max_concurrent)`.
    pub fitness: f64,
    /// The share of items that it completed, 0 to 1.
    pub success_rate: f64,
    /// How many items it works on now.
    pub load: i64,
    /// How many it works on at most.
    pub max_concurrent: i64,
    /// Whether it gave a sign of life lately.
    pub alive: bool,
}

impl Operation for AgentRoute {
    const SPEC: Spec = Spec::query("agent.route", "/agents/route").command(&["agent", "route"]);
    type Output = RoutedAgents;

    async fn call(self, ctx: &Ctx) -> Result<RoutedAgents> {
        let mut fit = Vec::new();
        if let Some(project) = projects::own(ctx, self.project.as_deref()).await? {
            fit = all_agents(ctx, project.id).await?;
        }
        fit.retain(|it| it.can(&self.requires) && it.free() > 0 && (it.alive || self.silent));
        fit.sort_by(|one, other| {
            other
                .fitness()
                .total_cmp(&one.fitness())
                .then(one.id.cmp(&other.id))
        });
        fit.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        let agents = fit.into_iter().map(|it| RoutedAgent {
            fitness: it.fitness(),
            agent: it.agent,
            success_rate: it.success_rate,
            load: it.load,
            max_concurrent: it.max_concurrent,
            alive: it.alive,
        });
        Ok(RoutedAgents {
            agents: agents.collect(),
        })
    }
}

/// Reads every agent of a project.
async fn all_agents(ctx: &Ctx, project: athena_core::ProjectId) -> Result<Vec<Agent>> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest { limit: 500, cursor };
        let mut agents = sql::agents(ctx.db(), project, ctx.now(), page).await?;
        let more = agents.len() > 500;
        agents.truncate(500);
        cursor = agents.last().map(|agent| Cursor(agent.id.0));
        all.append(&mut agents);
        if !more {
            return Ok(all);
        }
    }
}
