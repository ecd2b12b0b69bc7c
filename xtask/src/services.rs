//! The servers that tests need, shared by every run in this checkout.
//!
//! `target/services/state.json` says what runs. Two locks keep concurrent commands apart:
//! `lock` is held while something is started or stopped, `users` is held, shared, by the guard
//! of every running test. Services that a test run started stop with the last run that uses
//! them; those started with `up` stay until `down`.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::mariadb::MariaDb;
use crate::postgres::Postgres;
use crate::server::{self, Server, Service};
use crate::workspace;

/// Every service, in the order in which they are started.
pub(crate) const ALL: &[&dyn Service] = &[&Postgres, &MariaDb];

/// The services and their servers.
pub(crate) type Started = Vec<(&'static dyn Service, Server)>;

/// Starts what is missing, prints the URLs, and keeps it running until [`down`].
pub(crate) fn up() -> Result<()> {
    let _lock = exclusive()?;
    let started = ensure_running(ALL, Lifetime::UntilDown)?;
    started
        .iter()
        .for_each(|server| println!("{}", describe(server)));
    Ok(())
}

/// Stops everything and removes its data, also what a crashed run left behind.
pub(crate) fn down() -> Result<()> {
    let _lock = exclusive()?;
    stop_everything()
}

/// Prints what runs; `false` when something does not.
pub(crate) fn status() -> Result<bool> {
    let _lock = exclusive()?;
    let mut running = read_state().map_or_else(Vec::new, |state| state.started);
    running.retain(answers);
    for service in ALL {
        match running.iter().find(|(s, _)| s.name() == service.name()) {
            Some(found) => println!("{}", describe(found)),
            None => println!(
                "{}: not running (`cargo xtask services up` starts it)",
                service.name()
            ),
        }
    }
    Ok(running.len() == ALL.len())
}

/// Starts what is missing of `wanted` for a test run and calls `while_locked` before anyone
/// could stop it.
pub(crate) fn start_for_tests<T>(
    wanted: &[&'static dyn Service],
    while_locked: impl FnOnce() -> Result<T>,
) -> Result<(Started, T)> {
    let _lock = exclusive()?;
    let started = ensure_running(wanted, Lifetime::UntilLastRun)?;
    // What the run itself has to say is on standard output.
    started
        .iter()
        .for_each(|server| eprintln!("{}", describe(server)));
    let held = while_locked()?;
    Ok((started, held))
}

/// Returns the programs of a service and who is to run them, and starts nothing.
pub(crate) fn programs(service: &dyn Service) -> Result<(PathBuf, Option<String>)> {
    let _lock = exclusive()?;
    server::programs(service)
}

/// Opens the lock file that says "a test run uses the services".
pub(crate) fn users_lock() -> Result<File> {
    lock_file("users")
}

/// Stops the services unless another run uses them or `up` asked for them to stay.
pub(crate) fn stop_if_unused() -> Result<()> {
    let _lock = exclusive()?;
    let users = users_lock()?;
    match users.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    match read_state() {
        Some(state) if state.lifetime == Lifetime::UntilLastRun => stop_everything(),
        _ => Ok(()),
    }
}

fn describe((service, server): &(&'static dyn Service, Server)) -> String {
    let (name, url) = (service.name(), &server.url);
    format!(
        "{name}: {url}\n          {}\n          export {}_URL='{url}'",
        server.describe(),
        service.variables()
    )
}

/// How long the servers stay; the later one wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lifetime {
    UntilLastRun,
    UntilDown,
}

struct State {
    started: Started,
    lifetime: Lifetime,
}

/// Starts those of `wanted` that do not run, and returns the servers of `wanted`.
fn ensure_running(wanted: &[&'static dyn Service], lifetime: Lifetime) -> Result<Started> {
    let known = read_state().unwrap_or(State {
        started: Vec::new(),
        lifetime,
    });
    let mut state = State {
        started: known.started.into_iter().filter(answers).collect(),
        lifetime: known.lifetime.max(lifetime),
    };
    for service in ALL {
        let runs = state
            .started
            .iter()
            .any(|(s, _)| s.name() == service.name());
        if runs {
            continue;
        }
        // Also when it is not wanted: what does not answer is cleared away.
        server::stop(*service)?;
        if wanted.iter().any(|s| s.name() == service.name()) {
            state.started.push((*service, server::start(*service)?));
            write_state(&state)?;
        }
    }
    write_state(&state)?;
    let is_wanted = |service: &dyn Service| wanted.iter().any(|s| s.name() == service.name());
    state.started.retain(|(service, _)| is_wanted(*service));
    Ok(state.started)
}

fn answers((service, server): &(&'static dyn Service, Server)) -> bool {
    let answer = service.query(&server.bin, &server.url, "SELECT 1");
    if let Err(error) = &answer {
        let name = service.name();
        println!("{name}: was started but does not answer: {error:#}");
    }
    answer.is_ok()
}

fn stop_everything() -> Result<()> {
    for service in ALL {
        server::stop(*service)?;
    }
    match fs::remove_file(state_path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Returns the state if it was written and is whole; a torn file is as good as none.
fn read_state() -> Option<State> {
    let text = fs::read_to_string(state_path()).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let lifetime = if value["until_down"].as_bool()? {
        Lifetime::UntilDown
    } else {
        Lifetime::UntilLastRun
    };
    let started = ALL
        .iter()
        .filter_map(|service| {
            Some((
                *service,
                Server::from_json(&value["servers"][service.name()])?,
            ))
        })
        .collect();
    Some(State { started, lifetime })
}

fn write_state(state: &State) -> Result<()> {
    let servers: Map<String, Value> = state
        .started
        .iter()
        .map(|(service, server)| (service.name().to_owned(), server.to_json()))
        .collect();
    let state = json!({
        "until_down": state.lifetime == Lifetime::UntilDown,
        "servers": servers,
    });
    fs::write(state_path(), format!("{state:#}\n")).context("the state file cannot be written")
}

fn state_path() -> PathBuf {
    directory().join("state.json")
}

/// Returns `target/services`.
pub(crate) fn directory() -> PathBuf {
    workspace::target().join("services")
}

fn exclusive() -> Result<File> {
    let file = lock_file("lock")?;
    file.lock()?;
    Ok(file)
}

fn lock_file(name: &str) -> Result<File> {
    fs::create_dir_all(directory())?;
    let path = directory().join(name);
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("`{}` cannot be opened", path.display()))
}
