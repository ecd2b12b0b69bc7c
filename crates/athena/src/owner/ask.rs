//! Having a call done by the owner.

use super::likeness;
use super::protocol::{self, Request, Response, SIGN_OF_LIFE};
use crate::config::Settings;
use athena_core::Error;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, socket};
use serde_json::Value;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an owner may take to take a call; one that does not is left alone.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long an owner at work may say nothing before it counts as gone.
const SILENCE: Duration = SIGN_OF_LIFE.saturating_mul(5);

/// What came of asking the owner.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It performed the call, with this result.
    Done(Result<Value, Error>),
    /// There is none, or none that would do the same. It did nothing.
    Nobody,
    /// It took the call and went away: it may have been performed.
    Lost,
}

/// Hands a call to the owner of the store, if there is one.
pub(crate) fn ask(
    settings: &Settings,
    project: &str,
    principal: &str,
    operation: &str,
    input: &Value,
    idempotency_key: Option<&str>,
) -> Reply {
    let Some(path) = super::socket(settings) else {
        return Reply::Nobody;
    };
    let Ok(stream) = connect(&path) else {
        return Reply::Nobody;
    };
    let request = Request {
        likeness: likeness(settings),
        operation: operation.to_owned(),
        input: input.clone(),
        project: project.to_owned(),
        principal: principal.to_owned(),
        idempotency_key: idempotency_key.map(str::to_owned),
    };
    match take(&stream, &request) {
        Ok(Response::Accepted) => {}
        Ok(_) => return Reply::Nobody,
        // It may have read the call before it went away.
        Err(error) => {
            tracing::debug!(%error, "the owner did not take the call");
            return Reply::Lost;
        }
    }
    tracing::debug!(operation, "the owner does it");
    match answer(&stream) {
        Ok(Response::Output(output)) => Reply::Done(Ok(output)),
        Ok(Response::Failed {
            code,
            message,
            field,
        }) => Reply::Done(Err(protocol::error(&code, message, field))),
        Ok(Response::Accepted | Response::Working | Response::Unlike) => Reply::Lost,
        Err(error) => {
            tracing::debug!(%error, "the owner went away");
            Reply::Lost
        }
    }
}

fn take(stream: &UnixStream, request: &Request) -> io::Result<Response> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    protocol::write(stream, request)?;
    protocol::read(stream)
}

/// Connects at once or not at all: an owner that stands still leaves callers waiting at its door.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(true)?;
    rustix::net::connect(&stream, &SocketAddrUnix::new(path)?)?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn answer(stream: &UnixStream) -> io::Result<Response> {
    stream.set_read_timeout(Some(SILENCE))?;
    loop {
        match protocol::read(stream)? {
            Response::Working => {}
            response => return Ok(response),
        }
    }
}
