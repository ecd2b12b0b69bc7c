//! `serve`: REST and MCP over HTTP until it is asked to stop.

use super::{Session, hook, json_text, print};
use crate::compose::{self, Store};
use crate::config::Settings;
use crate::outcome::Outcome;
use crate::owner::{Claim, Owner};
use athena_core::{Code, Error, Result};
use athena_server::Server;
use athena_store::Background;
use clap::{Arg, Command};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) const HOST: &str = "@host";
pub(crate) const PORT: &str = "@port";

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("serve")
        .about("Serve REST and MCP over HTTP")
        .long_about(
            "Serve REST and MCP over HTTP, until Ctrl-C or SIGTERM.\n\nREST is under /api/v1 (described by \
             /openapi.json), MCP under /mcp, the state under /healthz, /readyz and /metrics. Only loopback \
             addresses are served.\n\nThe folder that it is started in says nothing about its clients: a call that \
             names no project is about `default`, or about the one that --project or ATHENA_PROJECT names here.",
        )
        .arg(Arg::new(PORT).long("port").short('p').value_name("N").help("The port; 0 takes a free one [default: 7717]"))
        .arg(Arg::new(HOST).long("host").value_name("HOST").help("The address to listen on [default: 127.0.0.1]"))
}

/// Serves until a signal comes.
pub(crate) fn run(session: Session) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    runtime.block_on(serve(session))
}

async fn serve(session: Session) -> Outcome {
    let shutdown = shutdown()?;
    let listener = bind(&session).await?;
    let address = listener.local_addr().map_err(Error::internal)?;
    compose::prepare_home_for(&session.settings, &session.settings.database)?;
    let claim = Claim::take(&session.settings);
    let store = Store::open(&session.settings).await?;
    let background = Background::start(store.env());
    announce(&session, address)?;
    let registry = Arc::new(session.registry);
    let owner = match claim {
        Some(claim) => {
            let (registry, env) = (Arc::clone(&registry), Arc::clone(store.env()));
            Some(Owner::start(claim, &session.settings, registry, env)?)
        }
        None => None,
    };
    let serving = Server::builder(Arc::clone(&registry), Arc::clone(store.env()))
        .project(server_project(&session.settings))
        .serve(listener, shutdown);
    let server = tokio::select! {
        server = serving => server,
        () = hook::keep_handing_in(&registry, &session.settings, &store) => Ok(()),
    };
    tracing::info!("stopping");
    if let Some(owner) = owner {
        owner.stop().await;
    }
    background.stop().await;
    store.close().await?;
    Ok(server?)
}

/// Returns the project of requests that name none. The working directory of a server says nothing
/// about its clients, so only what was set counts.
fn server_project(settings: &Settings) -> String {
    settings.project.clone().unwrap_or_else(|| "default".into())
}

async fn bind(session: &Session) -> Result<TcpListener> {
    let (host, port) = (
        session.settings.server.host.as_str(),
        session.settings.server.port,
    );
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| {
            Error::invalid(
                "server.host",
                format_args!("is `{host}`, which is no address of this machine"),
            )
            .with_source(error)
        })?
        .collect();
    for address in &addresses {
        athena_server::check_bind(*address)?;
    }
    TcpListener::bind(addresses.as_slice()).await.map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("port {port} on `{host}` is taken; choose another with `--port`, or 0 for a free one")
            }
            _ => format!("cannot listen on port {port} of `{host}`: {error}"),
        };
        Error::new(Code::Conflict, message).with_source(error)
    })
}

fn announce(session: &Session, address: SocketAddr) -> Outcome {
    let url = format!("http://{address}");
    let project = server_project(&session.settings);
    if session.as_json {
        return print(&json_text(&json!({ "url": url, "project": project })));
    }
    print(&format!(
        "Athena listens on {url}\n  REST  {url}/api/v1  ({url}/openapi.json)\n  MCP   {url}/mcp\n\
         A call that names no project is about `{project}`. Ctrl-C stops it.\n"
    ))
}

/// A signal that asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interruption {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
}

const SIGINT: Interruption = Interruption {
    number: 2,
    name: "SIGINT",
};
const SIGTERM: Interruption = Interruption {
    number: 15,
    name: "SIGTERM",
};

/// Resolves with the first SIGINT or SIGTERM.
pub(crate) fn interruption() -> Result<impl Future<Output = Interruption> + Send> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => SIGINT,
            _ = terminate.recv() => SIGTERM,
        }
    })
}

/// As [`interruption`], for those to whom every signal means the same.
pub(crate) fn shutdown() -> Result<impl Future<Output = ()> + Send> {
    let interruption = interruption()?;
    Ok(async move {
        interruption.await;
    })
}
