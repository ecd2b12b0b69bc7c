//! What operators and their machines watch: is the process up, can it serve, what did it do.

use crate::app::App;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// Answers as long as the process runs.
pub(crate) async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Answers whether what Athena depends on answers.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let limit = app.limits.operation_timeout;
    match tokio::time::timeout(limit, (app.readiness)()).await {
        Ok(Ok(())) => Ok(Json(json!({"status": "ready"})).into_response()),
        Ok(Err(error)) => Err(not_ready(error)),
        Err(_) => Err(not_ready(athena_core::Error::new(
            athena_core::Code::Unavailable,
            "the database does not answer",
        ))),
    }
}

/// Whatever the reason, the answer to "can you serve" is 503.
fn not_ready(error: athena_core::Error) -> Problem {
    let message = error.message().to_owned();
    athena_core::Error::new(athena_core::Code::Unavailable, message)
        .with_source(error)
        .into()
}

/// Answers the counters in the text format of Prometheus.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = app.metrics.render();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

/// Answers the OpenAPI document.
pub(crate) async fn openapi(State(app): State<Arc<App>>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        app.openapi.clone(),
    )
        .into_response()
}
