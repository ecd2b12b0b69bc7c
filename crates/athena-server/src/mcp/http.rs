//! MCP over HTTP: one path, one `POST` per message, answers as JSON.
//!
//! The library's transport does the protocol. In front of it stand the limits of all other
//! requests, and what it does not refuse in the way the protocol asks: malformed JSON, batches and
//! nesting without end are JSON-RPC errors with status 400.

use crate::app::{App, Here};
use crate::body;
use crate::mcp::Handler;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use rmcp::model::ErrorCode;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use std::sync::Arc;

/// The state of the route.
#[derive(Clone)]
pub(crate) struct Endpoint {
    app: Arc<App>,
    service: StreamableHttpService<Handler, NeverSessionManager>,
}

/// Makes the endpoint.
pub(crate) fn endpoint(app: &Arc<App>) -> Endpoint {
    let time_limit = app.limits.operation_timeout;
    let performer = Arc::new(Here {
        registry: Arc::clone(&app.registry),
        ctx: app.ctx("mcp"),
    });
    let handler = Handler::new(
        Arc::clone(&app.registry),
        performer,
        time_limit,
        Some(Arc::clone(&app.metrics)),
    );
    // Hosts and origins were checked at the door.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(app.limits.body_bytes)
        .disable_allowed_hosts();
    let service = StreamableHttpService::new(move || Ok(handler.clone()), Arc::default(), config);
    Endpoint {
        app: Arc::clone(app),
        service,
    }
}

/// Answers a request.
pub(crate) async fn answer(
    State(endpoint): State<Endpoint>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, request_body) = request.into_parts();
    let bytes = body::read(request_body, &endpoint.app.limits).await?;
    let has_json_type = crate::rest::check_media_type(&parts.headers).is_ok();
    let request = Request::from_parts(parts, Full::new(bytes.clone()));
    let response = endpoint.service.handle(request).await.map(Body::new);
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && has_json_type {
        return Ok(unreadable(&bytes));
    }
    if response.status().is_client_error() || response.status().is_server_error() {
        return Ok(as_json(response).await);
    }
    Ok(response)
}

/// Returns a JSON-RPC error.
pub(super) fn error_document(code: ErrorCode, message: &str, id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code.0, "message": message}})
}

/// Says what is wrong with a body that is no message.
fn unreadable(bytes: &Bytes) -> Response {
    let document = match serde_json::from_slice::<Value>(bytes) {
        Err(error) => {
            let place = format!("line {}, column {}", error.line(), error.column());
            error_document(
                ErrorCode::PARSE_ERROR,
                &format!("Parse error: not valid JSON ({place})"),
                &Value::Null,
            )
        }
        Ok(Value::Array(_)) => error_document(
            ErrorCode::INVALID_REQUEST,
            "Invalid Request: batches are not part of the protocol; send one message per request",
            &Value::Null,
        ),
        Ok(message) => {
            let id = message
                .get("id")
                .filter(|id| id.is_string() || id.is_i64())
                .unwrap_or(&Value::Null);
            error_document(
                ErrorCode::INVALID_REQUEST,
                "Invalid Request: not a JSON-RPC message",
                id,
            )
        }
    };
    json_response(StatusCode::BAD_REQUEST, &document)
}

/// Puts a refusal that the transport wrote as plain text into a JSON-RPC error.
async fn as_json(response: Response) -> Response {
    let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(is_json)
    {
        return response;
    }
    let (parts, refusal) = response.into_parts();
    let text = refusal
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let message = String::from_utf8_lossy(&text);
    let document = error_document(ErrorCode::INVALID_REQUEST, &message, &Value::Null);
    let mut response = json_response(parts.status, &document);
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

fn json_response(status: StatusCode, document: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        document.to_string(),
    )
        .into_response()
}
