//! Doing the calls of others.

use super::protocol::{Request, Response, SIGN_OF_LIFE, frame, length_of};
use super::{Claim, likeness};
use crate::config::Settings;
use athena_core::{Ctx, Env, Error, Registry, Result};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How long calls that run may take to end when the owner does.
const GRACE: Duration = Duration::from_secs(5);

/// An owner at work.
#[derive(Debug)]
pub(crate) struct Owner {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Owner {
    /// Starts to answer at the socket.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch the socket.
    pub(crate) fn start(
        claim: Claim,
        settings: &Settings,
        registry: Arc<Registry>,
        env: Arc<Env>,
    ) -> Result<Self> {
        let listener = claim.listener().and_then(UnixListener::from_std);
        let listener = listener.map_err(Error::internal)?;
        let (stop, stopped) = watch::channel(false);
        let desk = Arc::new(Desk {
            likeness: likeness(settings),
            registry,
            env,
        });
        tracing::info!("this process owns the store");
        let task = tokio::spawn(async move {
            accept(&listener, desk, stopped).await;
            drop(claim);
        });
        Ok(Self { stop, task })
    }

    /// Ends after the calls that run.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the owner ended early");
        }
    }
}

/// What answering takes.
struct Desk {
    likeness: String,
    registry: Arc<Registry>,
    env: Arc<Env>,
}

async fn accept(listener: &UnixListener, desk: Arc<Desk>, mut stopped: watch::Receiver<bool>) {
    let mut calls = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        // What has ended is let go of.
        while calls.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let desk = Arc::clone(&desk);
                calls.spawn(async move {
                    if let Err(error) = desk.answer(stream).await {
                        tracing::debug!(%error, "a caller went away");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a call");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let ended = async { while calls.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("some calls of others did not end in time; they will be made again");
    }
}

impl Desk {
    async fn answer(&self, mut stream: UnixStream) -> io::Result<()> {
        let request = read(&mut stream).await?;
        if request.likeness != self.likeness {
            return stream.write_all(&frame(&Response::Unlike)?).await;
        }
        stream.write_all(&frame(&Response::Accepted)?).await?;
        let working = frame(&Response::Working)?;
        let mut work = std::pin::pin!(self.perform(request));
        loop {
            match tokio::time::timeout(SIGN_OF_LIFE, &mut work).await {
                Ok(result) => return stream.write_all(&frame(&Response::of(result))?).await,
                Err(_) => stream.write_all(&working).await?,
            }
        }
    }

    /// Performs a call in a task of its own: a caller that goes away does not stop it half-way, and a
    /// panic in it is an error of this call alone.
    async fn perform(&self, request: Request) -> Result<serde_json::Value> {
        let registry = Arc::clone(&self.registry);
        let ctx = Ctx::for_caller(Arc::clone(&self.env), request.principal);
        let ctx = ctx.with_project(request.project);
        let work = async move {
            let key = request.idempotency_key;
            registry
                .call(&request.operation, &ctx, request.input, key)
                .await
        };
        tokio::spawn(work)
            .await
            .unwrap_or_else(|failure| Err(Error::internal(failure)))
    }
}

async fn read(stream: &mut UnixStream) -> io::Result<Request> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = length_of(length)?;
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes).await?;
    Ok(serde_json::from_slice(&bytes)?)
}
