//! `mcp`: the Model Context Protocol on standard input and output.
//!
//! Standard output belongs to the protocol; whatever is to be told goes to the log.

use super::Session;
use super::serve::shutdown;
use crate::outcome::Outcome;
use crate::owner::{Calls, Shared};
use athena_core::Error;
use clap::Command;
use std::sync::Arc;

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("mcp")
        .about("Serve MCP on standard input and output, for an agent that starts Athena itself")
        .long_about(
            "Serve MCP on standard input and output, for an agent that starts Athena itself.\n\nThe project is the \
             git repository of the working directory unless --project says otherwise. `athena quickstart` shows \
             how to connect common agents.",
        )
}

/// Serves until standard input ends or a signal comes.
pub(crate) fn run(session: Session) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    let outcome = runtime.block_on(serve(session));
    // A read of standard input that never returns must not hold the process.
    runtime.shutdown_background();
    outcome
}

async fn serve(session: Session) -> Outcome {
    let shutdown = shutdown()?;
    let registry = Arc::new(session.registry);
    let shared = Shared::new(session.settings, Arc::clone(&registry), "mcp")?;
    shared.begin().await?;
    let calls = Arc::new(Calls(Arc::clone(&shared)));
    let served = tokio::select! {
        served = athena_server::mcp::serve_stdio_by(registry, calls) => served,
        () = shutdown => Ok(()),
        () = shared.keep_handing_in() => Ok(()),
    };
    shared.end().await?;
    Ok(served?)
}
