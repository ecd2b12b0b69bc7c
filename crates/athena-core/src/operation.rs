//! What a capability is: its input, its output, what it does, and how each face shows it.

use crate::{Code, Ctx, Result};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;

/// One capability of Athena.
///
/// The type that implements it *is* the input; its doc comment is the text that people and agents
/// read: the description in REST, MCP and the tool files, and the help of the command. Its first
/// sentence is the summary. The fields' doc comments describe the arguments.
///
/// ```
/// # use athena_core::{Ctx, Operation, Result, Spec};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// /// Adds two numbers.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Add {
///     /// The first number.
///     left: i64,
///     /// The second number.
///     right: i64,
/// }
///
/// #[derive(Serialize, JsonSchema)]
/// struct Sum {
///     sum: i64,
/// }
///
/// impl Operation for Add {
///     const SPEC: Spec = Spec::read("math.add", "/sums").positional(&["left", "right"]);
///     type Output = Sum;
///
///     async fn call(self, _ctx: &Ctx) -> Result<Sum> {
///         Ok(Sum { sum: self.left + self.right })
///     }
/// }
/// ```
pub trait Operation: DeserializeOwned + JsonSchema + Send + 'static {
    /// Its name and how the faces show it.
    const SPEC: Spec;

    /// What it answers.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Returns the name of the project that an input is about.
    ///
    /// Tokens stand for personal data by project. `None`, the answer unless an operation says
    /// otherwise, is the project that the input names as `project`, else the surroundings' own; an
    /// operation on something that exists answers that thing's. It is asked only about inputs with
    /// something personal in them, and before the operation sees them.
    fn home<'a>(_ctx: &'a Ctx, _input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Performs it.
    fn call(self, ctx: &Ctx) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// The description of an operation that is not in its types.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Dotted name, `aggregate.verb`, such as `memory.recall`: the key of the registry.
    pub name: &'static str,
    /// How REST offers it.
    pub http: Http,
    /// What it does to the store.
    pub effect: Effect,
    /// Whether doing it twice is the same as doing it once.
    pub idempotent: bool,
    /// What a caller's key must allow.
    pub scope: Scope,
    /// The name of its MCP tool in the default profile; others are found by searching.
    pub tool: Option<&'static str>,
    /// Whether agents may call it over MCP at all.
    pub for_agents: bool,
    /// Whether a client may follow its answer without end: its input has `after` and `wait_seconds`,
    /// its output `items` with a `seq` and a `kind` each.
    pub followed: bool,
    /// How the command line offers it.
    pub cli: Cli,
    /// The ways in which it can fail beyond those that every operation has.
    pub errors: &'static [Code],
}

/// How REST offers an operation.
#[derive(Debug, Clone, Copy)]
pub struct Http {
    /// The method.
    pub method: Method,
    /// The path below `/api/v1`, with fields in braces: `/memories/{id}`.
    pub path: &'static str,
    /// The status of success.
    pub status: u16,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads; arguments in path and query.
    Get,
    /// Creates or acts; arguments in path and body.
    Post,
    /// Changes parts; arguments in path and body.
    Patch,
    /// Removes; arguments in path and query.
    Delete,
}

impl Method {
    /// Returns the method's name in capitals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether arguments that are not in the path travel in a JSON body.
    #[must_use]
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Patch)
    }
}

/// What an operation does to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Adds or changes; what was there can be had back.
    Write,
    /// Removes for good.
    Destructive,
}

/// What a caller's key must allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reading.
    Read,
    /// Writing what can be undone.
    Write,
    /// Everything, removal for good included.
    Admin,
}

/// How the command line offers an operation.
#[derive(Debug, Clone, Copy)]
pub struct Cli {
    /// The words of the command, such as `["remember"]` or `["project", "create"]`.
    pub command: &'static [&'static str],
    /// Fields that are given by position, at most two.
    pub positional: &'static [&'static str],
    /// Fields with a one-letter option.
    pub short: &'static [(&'static str, char)],
    /// The field that is read from standard input when it is `-` or missing and input is piped.
    pub stdin: Option<&'static str>,
}

impl Spec {
    /// A reading operation, `GET` with status 200.
    #[must_use]
    pub const fn read(name: &'static str, path: &'static str) -> Self {
        Self::new(
            name,
            Http {
                method: Method::Get,
                path,
                status: 200,
            },
            Effect::Read,
            Scope::Read,
        )
    }

    /// A reading operation whose arguments do not fit a query string, `POST` with status 200.
    #[must_use]
    pub const fn query(name: &'static str, path: &'static str) -> Self {
        Self::new(
            name,
            Http {
                method: Method::Post,
                path,
                status: 200,
            },
            Effect::Read,
            Scope::Read,
        )
    }

    /// An operation that makes something, `POST` with status 201.
    #[must_use]
    pub const fn create(name: &'static str, path: &'static str) -> Self {
        Self::new(
            name,
            Http {
                method: Method::Post,
                path,
                status: 201,
            },
            Effect::Write,
            Scope::Write,
        )
    }

    /// An operation that acts on something, `POST` with status 200.
    #[must_use]
    pub const fn act(name: &'static str, path: &'static str) -> Self {
        Self::new(
            name,
            Http {
                method: Method::Post,
                path,
                status: 200,
            },
            Effect::Write,
            Scope::Write,
        )
    }

    /// An operation that changes parts of something, `PATCH` with status 200.
    #[must_use]
    pub const fn change(name: &'static str, path: &'static str) -> Self {
        Self::new(
            name,
            Http {
                method: Method::Patch,
                path,
                status: 200,
            },
            Effect::Write,
            Scope::Write,
        )
    }

    /// An operation that removes something, recoverably, `DELETE` with status 200.
    #[must_use]
    pub const fn remove(name: &'static str, path: &'static str) -> Self {
        Self::new(
            name,
            Http {
                method: Method::Delete,
                path,
                status: 200,
            },
            Effect::Write,
            Scope::Write,
        )
    }

    const fn new(name: &'static str, http: Http, effect: Effect, scope: Scope) -> Self {
        let idempotent = matches!(effect, Effect::Read) || matches!(http.method, Method::Delete);
        Self {
            name,
            http,
            effect,
            idempotent,
            scope,
            tool: None,
            for_agents: true,
            followed: false,
            cli: Cli {
                command: &[],
                positional: &[],
                short: &[],
                stdin: None,
            },
            errors: &[],
        }
    }

    /// Marks it as removing for good: it needs the admin scope, and clients ask before they call.
    #[must_use]
    pub const fn destructive(mut self) -> Self {
        self.effect = Effect::Destructive;
        self.scope = Scope::Admin;
        self
    }

    /// Needs the admin scope.
    #[must_use]
    pub const fn admin(mut self) -> Self {
        self.scope = Scope::Admin;
        self
    }

    /// Marks it as safe to repeat.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Offers it as an MCP tool of that name in the default profile.
    #[must_use]
    pub const fn tool(mut self, name: &'static str) -> Self {
        self.tool = Some(name);
        self
    }

    /// Keeps it from agents: MCP neither lists nor calls it. REST and the command line do.
    #[must_use]
    pub const fn not_for_agents(mut self) -> Self {
        self.for_agents = false;
        self
    }

    /// Lets clients of REST follow its answer as server-sent events.
    #[must_use]
    pub const fn followed(mut self) -> Self {
        self.followed = true;
        self
    }

    /// Offers it as a command of these words.
    #[must_use]
    pub const fn command(mut self, words: &'static [&'static str]) -> Self {
        self.cli.command = words;
        self
    }

    /// Gives these fields by position on the command line.
    #[must_use]
    pub const fn positional(mut self, fields: &'static [&'static str]) -> Self {
        self.cli.positional = fields;
        self
    }

    /// Gives these fields one-letter options.
    #[must_use]
    pub const fn short(mut self, fields: &'static [(&'static str, char)]) -> Self {
        self.cli.short = fields;
        self
    }

    /// Reads this field from standard input when it is `-` or missing and input is piped.
    #[must_use]
    pub const fn stdin(mut self, field: &'static str) -> Self {
        self.cli.stdin = Some(field);
        self
    }

    /// Names the ways in which it can fail beyond those that every operation has.
    #[must_use]
    pub const fn errors(mut self, codes: &'static [Code]) -> Self {
        self.errors = codes;
        self
    }
}
