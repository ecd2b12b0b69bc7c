//! MCP: the operations of the registry as tools, over pipes and over HTTP.
//!
//! Both eras of the protocol are served: 2025-11-25 and older with their handshake, 2026-07-28
//! without. There is no state per session in either; what a call needs is in its arguments.
//!
//! The list of tools is short, because every client pays for it in every conversation: the
//! operations that name a tool, and `search_tools` with `call_tool` for all others. It is the same
//! byte for byte every time, so that clients can cache their prompts.

mod directory;
pub(crate) mod http;
mod outline;
mod tools;

use crate::app::{Here, Performer};
use crate::metrics::Metrics;
use crate::problem::{self, Kind, Problem};
use athena_core::schema::shown_name;
use athena_core::{Code, Ctx, Error, Registry};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
    CustomRequest, CustomResult, DiscoverResult, ErrorCode, GetPromptRequestParams,
    GetPromptResponse, Implementation, ListToolsResult, MetaObject, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::tools::tool_list;

/// The path of the HTTP endpoint.
pub(crate) const PATH: &str = "/mcp";

/// Where a failed result carries its code for programs.
const ERROR_META: &str = "io.athena/error";

/// How long a client may keep the list of tools: it changes with the program only.
const LIST_TTL: u64 = 3_600_000;

const INSTRUCTIONS: &str = "Athena is memory that outlives this conversation. Look there before you start on \
something or ask the user, and write down what will matter later: decisions, preferences, facts, how something \
was solved. `search_tools` finds operations that are not listed; `call_tool` runs them.";

/// Serves one client over standard input and output, until the input ends.
///
/// Standard output belongs to the protocol meanwhile: nothing else may print there. `ctx` is what
/// every call is made with.
///
/// # Errors
///
/// [`Code::InvalidInput`] if the client does not speak MCP.
pub async fn serve_stdio(registry: Arc<Registry>, ctx: Ctx) -> athena_core::Result<()> {
    let (reader, writer) = rmcp::transport::io::stdio_pipes();
    serve(registry, ctx, reader, writer).await
}

/// Serves one client over standard input and output, with calls that are performed elsewhere.
///
/// # Errors
///
/// As for [`serve_stdio`].
pub async fn serve_stdio_by(
    registry: Arc<Registry>,
    performer: Arc<dyn Performer>,
) -> athena_core::Result<()> {
    let (reader, writer) = rmcp::transport::io::stdio_pipes();
    serve_by(registry, performer, reader, writer).await
}

/// Serves one client over a pair of streams, one message per line, until the input ends. `ctx` is what
/// every call is made with.
///
/// # Errors
///
/// As for [`serve_stdio`].
pub async fn serve<R, W>(
    registry: Arc<Registry>,
    ctx: Ctx,
    reader: R,
    writer: W,
) -> athena_core::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let performer = Arc::new(Here {
        registry: Arc::clone(&registry),
        ctx,
    });
    serve_by(registry, performer, reader, writer).await
}

async fn serve_by<R, W>(
    registry: Arc<Registry>,
    performer: Arc<dyn Performer>,
    reader: R,
    writer: W,
) -> athena_core::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    use rmcp::service::ServerInitializeError as Failure;
    let handler = Handler::new(registry, performer, Duration::MAX, None);
    match handler.serve((reader, writer)).await {
        Ok(service) => {
            service.waiting().await.map_err(Error::internal)?;
            Ok(())
        }
        Err(Failure::ConnectionClosed(_) | Failure::Cancelled) => Ok(()),
        Err(failure) => Err(Error::new(
            Code::InvalidInput,
            "the client did not open the connection the way MCP does",
        )
        .with_source(failure)),
    }
}

/// Returns the JSON-RPC error that tells a client of a request that never reached a method.
pub(crate) fn error_document(problem: &Problem) -> Value {
    http::error_document(ErrorCode::INVALID_REQUEST, problem.detail(), &Value::Null)
}

/// Answers MCP requests from the registry.
#[derive(Clone)]
pub(crate) struct Handler(Arc<Inner>);

struct Inner {
    registry: Arc<Registry>,
    performer: Arc<dyn Performer>,
    time_limit: Duration,
    metrics: Option<Arc<Metrics>>,
    tools: Vec<Tool>,
}

impl Handler {
    pub(crate) fn new(
        registry: Arc<Registry>,
        performer: Arc<dyn Performer>,
        time_limit: Duration,
        metrics: Option<Arc<Metrics>>,
    ) -> Self {
        let tools = tools::all(&registry);
        Self(Arc::new(Inner {
            registry,
            performer,
            time_limit,
            metrics,
            tools,
        }))
    }
}

impl Inner {
    /// Runs a tool; an unknown one is the client's fault rather than the model's.
    async fn call(&self, tool: &str, arguments: Value) -> Result<CallToolResult, ErrorData> {
        if !self.tools.iter().any(|known| known.name == tool) {
            let names: Vec<&str> = self.tools.iter().map(|known| known.name.as_ref()).collect();
            let message = format!(
                "Unknown tool: {}; known: {}",
                shown_name(tool),
                names.join(", ")
            );
            return Err(ErrorData::invalid_params(self.redact(&message), None));
        }
        let answer = match tool {
            directory::SEARCH => directory::search(&self.registry, arguments),
            directory::CALL => match directory::call(arguments) {
                Ok(call) => self.perform(&call.name, call.arguments).await,
                Err(error) => Err(error),
            },
            tool => self.perform(tool, arguments).await,
        };
        Ok(answer.map_or_else(
            |error| failed(&error.redacted(|text| self.redact(text).into())),
            succeeded,
        ))
    }

    fn redact(&self, text: &str) -> String {
        self.performer.redact(text)
    }

    /// Performs the operation of that name or with that tool.
    async fn perform(&self, name: &str, arguments: Value) -> athena_core::Result<Value> {
        let Some(entry) = tools::entry(&self.registry, name) else {
            let problem = format_args!(
                "is `{}`, which is no operation; find one with search_tools",
                shown_name(name)
            );
            return Err(Error::invalid("name", problem));
        };
        let operation = entry.spec.name;
        let started = Instant::now();
        let work = self.performer.perform(operation, arguments, None);
        let answer = tokio::time::timeout(self.time_limit, work)
            .await
            .unwrap_or_else(|_| {
                Err(Error::new(
                    Code::Timeout,
                    format!("`{operation}` took too long; it may still be completed"),
                ))
            });
        let status = answer.as_ref().map_or_else(
            |error| Kind::Operation(error.code()).status().as_u16(),
            |_| 200,
        );
        if let Some(metrics) = &self.metrics {
            metrics.record("mcp", operation, status, started.elapsed());
        }
        answer
    }
}

/// Makes the result of a call: as data, and as the same data in text for clients that show text.
fn succeeded(output: Value) -> CallToolResult {
    CallToolResult::structured(output)
}

/// Makes the result of a failed call, which the model reads.
///
/// The error is not in `structuredContent`: a widely used client checks that against the tool's
/// output schema even when the call failed, and would show its own complaint instead.
fn failed(error: &Error) -> CallToolResult {
    problem::log(error, Kind::Operation(error.code()).status());
    let mut document = json!({"code": error.code().as_str(), "message": error.message()});
    if let Some(field) = error.field() {
        document["field"] = json!(field);
    }
    let mut meta = MetaObject::new();
    meta.0.insert(ERROR_META.into(), document.clone());
    let mut result = CallToolResult::error(vec![ContentBlock::text(document.to_string())]);
    result.meta = Some(meta);
    result
}

fn capabilities() -> ServerCapabilities {
    ServerCapabilities::builder()
        .enable_tools()
        .enable_prompts()
        .enable_resources()
        .enable_completions()
        .build()
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(capabilities())
            .with_server_info(
                Implementation::new("athena", env!("CARGO_PKG_VERSION")).with_title("Athena"),
            )
            .with_instructions(INSTRUCTIONS)
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(LIST_TTL)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.and_then(|request| request.cursor).is_some() {
            return Err(ErrorData::invalid_params(
                "the list has one page and no cursors",
                None,
            ));
        }
        Ok(ListToolsResult::with_all_items(self.0.tools.clone())
            .with_ttl_ms(LIST_TTL)
            .with_cache_scope(CacheScope::Public))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.0.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        self.0.call(&request.name, arguments).await.map(Into::into)
    }

    async fn on_initialized(&self, _context: rmcp::service::NotificationContext<RoleServer>) {
        tracing::debug!("an MCP client is connected");
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // A known method ends up here when its parameters could not be read.
        let is_known = match request.method.as_str() {
            "tools/call" | "tools/list" | "server/discover" => true,
            "initialize" => context.meta.protocol_version().is_none(),
            _ => false,
        };
        if is_known {
            let message = format!("the parameters of {} cannot be read", request.method);
            return Err(ErrorData::invalid_params(message, None));
        }
        Err(ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            self.0.redact(shown_name(&request.method)),
            None,
        ))
    }

    // Prompts and resources are declared and listed, and there are none: clients ask for them
    // anyway, and an empty list is an answer where an error would be logged.

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        Err(ErrorData::invalid_params(
            format!(
                "Unknown prompt: {}",
                self.0.redact(shown_name(&request.name))
            ),
            None,
        ))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Err(ErrorData::resource_not_found(
            "Resource not found",
            Some(json!({"uri": self.0.redact(&request.uri)})),
        ))
    }
}
