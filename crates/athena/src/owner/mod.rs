//! One owner of the store on this machine: the process that others let do their calls.
//!
//! A search index takes memory and time to read, so one process holds it for all. A process that
//! stays (`mcp`, `serve`) becomes the owner if there is none: it holds the lock on `owner.lock` in the
//! home, and listens at `owner.sock` there, which its user alone may open. Commands and further
//! `mcp` processes find the socket and hand their calls over. Nothing depends on it: the store is
//! safe to open from any number of processes, and whoever gets no answer opens it by itself. A call
//! that changes something goes with an idempotency key, so it is performed once even if the owner
//! died before it could say so.
//!
//! An owner answers only who would do the same as it: the same version with the same settings.

mod ask;
mod claim;
mod protocol;
mod serve;
mod shared;

pub(crate) use ask::{Reply, ask};
pub(crate) use claim::Claim;
pub(crate) use serve::Owner;
pub(crate) use shared::{Calls, Shared};

use crate::config::Settings;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// The longest path that a socket may have on every system, in bytes.
const SOCKET_PATH_BYTES: usize = 100;

/// Returns where the owner of the home's store listens; none if no socket can have that path.
fn socket(settings: &Settings) -> Option<PathBuf> {
    let path = settings.home.join("owner.sock");
    (path.as_os_str().len() <= SOCKET_PATH_BYTES).then_some(path)
}

/// Returns what two processes that would answer alike have in common.
fn likeness(settings: &Settings) -> String {
    let Settings {
        database,
        embedder,
        search,
        privacy,
        ..
    } = settings;
    let own = std::env::current_exe().and_then(std::fs::metadata);
    // A build of the same version may still do something else.
    let build = own.and_then(|file| Ok((file.len(), file.modified()?))).ok();
    let version = env!("CARGO_PKG_VERSION");
    let key = std::env::var(crate::config::PRIVACY_KEY).ok();
    let all =
        format!("{version} {build:?} {database:?} {embedder:?} {search:?} {privacy:?} {key:?}");
    let digest = Sha256::digest(all);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
