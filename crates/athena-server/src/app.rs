//! What all requests share.

use crate::Limits;
use crate::metrics::Metrics;
use athena_core::{Code, Ctx, Env, Error, Registry, Result};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;

/// Tells whether the process can serve.
pub(crate) type Readiness = Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The state behind every route.
pub(crate) struct App {
    pub(crate) registry: Arc<Registry>,
    pub(crate) env: Arc<Env>,
    pub(crate) project: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) openapi: Bytes,
    /// Whether the server is ending, so that streams without an end do.
    pub(crate) closing: watch::Sender<bool>,
    /// Requests that may still begin.
    pub(crate) slots: Semaphore,
}

impl App {
    /// Makes the context of a call that came in through `face`.
    pub(crate) fn ctx(&self, face: &str) -> Ctx {
        let ctx = Ctx::for_caller(Arc::clone(&self.env), face);
        match &self.project {
            Some(project) => ctx.with_project(project),
            None => ctx,
        }
    }

    /// Replaces what is personal in a text for people.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        redact(&self.env, text)
    }

    /// Performs an operation within the time that one may take.
    pub(crate) async fn perform(
        &self,
        name: &'static str,
        ctx: Ctx,
        input: Value,
        idempotency_key: Option<String>,
    ) -> Result<Value> {
        let limit = self.limits.operation_timeout;
        let work = perform(
            Arc::clone(&self.registry),
            name,
            ctx,
            input,
            idempotency_key,
        );
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(Error::new(
                Code::Timeout,
                format!(
                    "`{name}` took longer than {} s; it may still be completed",
                    limit.as_secs_f64()
                ),
            ))
        })
    }
}

/// Replaces what is personal in a text for people.
pub(crate) fn redact<'a>(env: &Env, text: &'a str) -> Cow<'a, str> {
    match env.masker() {
        Some(masker) => masker.redact(text),
        None => Cow::Borrowed(text),
    }
}

/// Performs what a face is asked for, wherever that is done.
pub trait Performer: Send + Sync + 'static {
    /// Performs an operation. A caller that goes away does not stop it half-way.
    fn perform(
        &self,
        operation: &'static str,
        input: Value,
        idempotency_key: Option<String>,
    ) -> BoxFuture<'static, Result<Value>>;

    /// Replaces what is personal in a text for people.
    fn redact(&self, text: &str) -> String;
}

/// Performs operations in this process.
pub(crate) struct Here {
    pub(crate) registry: Arc<Registry>,
    /// What every call is made with.
    pub(crate) ctx: Ctx,
}

impl Performer for Here {
    fn perform(
        &self,
        operation: &'static str,
        input: Value,
        idempotency_key: Option<String>,
    ) -> BoxFuture<'static, Result<Value>> {
        let (registry, ctx) = (Arc::clone(&self.registry), self.ctx.clone());
        Box::pin(perform(registry, operation, ctx, input, idempotency_key))
    }

    fn redact(&self, text: &str) -> String {
        redact(self.ctx.env(), text).into_owned()
    }
}

/// Performs an operation in a task of its own.
///
/// A caller that goes away does not stop it half-way, and a panic in it is an internal error.
pub(crate) async fn perform(
    registry: Arc<Registry>,
    name: &'static str,
    ctx: Ctx,
    input: Value,
    idempotency_key: Option<String>,
) -> Result<Value> {
    let work = async move { registry.call(name, &ctx, input, idempotency_key).await };
    tokio::spawn(work.in_current_span())
        .await
        .unwrap_or_else(|failure| Err(Error::internal(failure)))
}
