//! The listening side: connections, their limits, and the end of the process.

use crate::app::{App, Readiness};
use crate::metrics::Metrics;
use crate::problem::{Kind, Problem};
use crate::{Limits, door, health, mcp, openapi, rest};
use athena_core::{Code, Env, Error, Registry, Result};
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;

/// The HTTP server: REST under `/api/v1`, MCP at `/mcp`, `/openapi.json`, `/healthz`, `/readyz`
/// and `/metrics`.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts a server of these operations in this environment.
    pub fn builder(registry: Arc<Registry>, env: Arc<Env>) -> ServerBuilder {
        let ping = Arc::clone(&env);
        let readiness: Readiness = Box::new(move || {
            let env = Arc::clone(&ping);
            Box::pin(async move {
                env.db().ping().await?;
                Ok(())
            })
        });
        ServerBuilder {
            registry,
            env,
            project: None,
            readiness,
            limits: Limits::default(),
        }
    }
}

/// Sets up a [`Server`].
#[must_use]
pub struct ServerBuilder {
    registry: Arc<Registry>,
    env: Arc<Env>,
    project: Option<String>,
    readiness: Readiness,
    limits: Limits,
}

impl ServerBuilder {
    /// Sets the project of calls that name none.
    pub fn project(mut self, name: impl Into<String>) -> Self {
        self.project = Some(name.into());
        self
    }

    /// Sets what `/readyz` asks, instead of whether the database answers.
    pub fn readiness(
        mut self,
        check: impl Fn() -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.readiness = Box::new(check);
        self
    }

    /// Sets how much one client may ask.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves until `shutdown` resolves, then lets running requests end.
    ///
    /// # Errors
    ///
    /// [`Code::Denied`] if the listener can be reached from other machines, see [`check_bind`].
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        check_bind(listener.local_addr().map_err(Error::internal)?)?;
        let app = Arc::new(App {
            openapi: Bytes::from(openapi::document(&self.registry).to_string()),
            closing: watch::Sender::new(false),
            slots: Semaphore::new(self.limits.requests),
            metrics: Arc::new(Metrics::default()),
            registry: self.registry,
            env: self.env,
            project: self.project,
            limits: self.limits,
            readiness: self.readiness,
        });
        let router = router(&app);
        accept(listener, &app, router, shutdown).await;
        Ok(())
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("registry", &self.registry)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Checks that an address can be reached from this machine only.
///
/// # Errors
///
/// [`Code::Denied`] for any other address: without API keys everyone who reaches the port could
/// read and delete everything.
pub fn check_bind(address: SocketAddr) -> Result<()> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(Error::new(
        Code::Denied,
        format!(
            "`{address}` can be reached from other machines, and there are no API keys yet to tell who may; \
             bind to `127.0.0.1` or `[::1]` and reach it from elsewhere through a tunnel, such as `ssh -L`"
        ),
    ))
}

fn router(app: &Arc<App>) -> Router {
    Router::new()
        .merge(rest::router(app))
        .route(
            mcp::PATH,
            any(mcp::http::answer).with_state(mcp::http::endpoint(app)),
        )
        .route("/openapi.json", get(health::openapi))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(async || {
            Problem::new(
                Kind::UnknownPath,
                "no route has this path; `/openapi.json` lists them",
            )
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                Kind::MethodNotAllowed,
                "this path does not know the method; `Allow` names those it does",
            )
        })
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(app),
            door::pass,
        ))
        .with_state(Arc::clone(app))
}

fn panicked() -> Response {
    Problem::from(Error::internal("a handler panicked")).into_response()
}

/// Accepts connections until `shutdown` resolves, then waits for those that are open.
async fn accept(
    listener: TcpListener,
    app: &Arc<App>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let limits = &app.limits;
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    wait_after(&error).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => serve_connection(stream, app, &router, &connections, place),
            Err(_) => drop(tokio::spawn(turn_away(stream))),
        }
    }
    drop(listener);
    app.closing.send_replace(true);
    if tokio::time::timeout(limits.grace, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            "some requests did not end within {:?} and were cut off",
            limits.grace
        );
    }
}

fn serve_connection(
    stream: TcpStream,
    app: &App,
    router: &Router,
    connections: &GracefulShutdown,
    place: OwnedSemaphorePermit,
) {
    // Without it the last packet of every answer waits for the client's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.limits.header_timeout)
        .serve_connection(
            TokioIo::new(stream),
            TowerToHyperService::new(router.clone()),
        );
    let connection = connections.watch(connection);
    let connected = app.metrics.connect();
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop((connected, place));
    });
}

/// Waits a moment after a failure that is the machine's, such as too many open files.
async fn wait_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::error!(%error, "cannot accept connections");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How much of a request that is turned away is read.
const UNREAD_BYTES: u64 = 64 << 10;

/// Tells a client that there are too many connections already.
async fn turn_away(mut stream: TcpStream) {
    let problem = Problem::new(
        Kind::Operation(Code::Busy),
        "too many connections are open; try again in a moment",
    );
    let body = problem
        .document("/", &uuid::Uuid::now_v7().to_string())
        .to_string();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {}\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
        crate::problem::MEDIA_TYPE,
        body.len()
    );
    let farewell = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing on unread data would reset the connection before the answer is read.
        tokio::io::copy(&mut stream.take(UNREAD_BYTES), &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) | Err(error) = tokio::time::timeout(Duration::from_secs(1), farewell)
        .await
        .map_err(std::io::Error::from)
    {
        tracing::debug!(%error, "a client left before it was told that there is no room");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_allowed() {
        for address in [
            "127.0.0.1:0",
            "127.1.2.3:80",
            "[::1]:7717",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(check_bind(address.parse().unwrap()).is_ok(), "{address}");
        }
    }

    #[test]
    fn other_addresses_are_refused_with_the_reason() {
        for address in [
            "0.0.0.0:7717",
            "[::]:7717",
            "192.168.1.7:80",
            "[2001:db8::1]:80",
        ] {
            let error = check_bind(address.parse().unwrap()).unwrap_err();
            assert_eq!(error.code(), Code::Denied);
            assert!(
                error.message().contains(address) && error.message().contains("API keys"),
                "{error}"
            );
        }
    }
}
