//! The servers that tests need, shared by every run in this checkout.
//!
//! `target/services/state.json` says what runs. Two locks keep concurrent commands apart:
//! `lock` is held while something is started or stopped, `users` is held, shared, by the guard
//! of every running test. Services that a test run started stop with the last run that uses
//! them; those started with `up` stay until `down`.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::postgres::{self, Postgres};
use crate::workspace;

/// What a test run is given.
pub(crate) struct Services {
    pub(crate) postgres: Postgres,
}

/// Starts what is missing, prints the URLs, and keeps it running until [`down`].
pub(crate) fn up() -> Result<()> {
    let _lock = exclusive()?;
    let services = ensure_running(Lifetime::UntilDown)?;
    services.print();
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
    match running()? {
        Some(services) => {
            services.print();
            Ok(true)
        }
        None => {
            println!("postgres: not running (`cargo xtask services up` starts it)");
            Ok(false)
        }
    }
}

/// Starts what is missing for a test run and calls `while_locked` before anyone could stop it.
pub(crate) fn start_for_tests<T>(
    while_locked: impl FnOnce() -> Result<T>,
) -> Result<(Services, T)> {
    let _lock = exclusive()?;
    let services = ensure_running(Lifetime::UntilLastRun)?;
    services.print();
    let held = while_locked()?;
    Ok((services, held))
}

/// Returns the programs of PostgreSQL and who is to run them, and starts nothing.
pub(crate) fn postgres_programs() -> Result<(PathBuf, Option<String>)> {
    let _lock = exclusive()?;
    postgres::programs()
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

impl Services {
    fn print(&self) {
        let Postgres { url, .. } = &self.postgres;
        println!(
            "postgres: {url}\n          {}\n          export ATHENA_TEST_POSTGRES_URL='{url}'",
            self.postgres.describe()
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lifetime {
    UntilDown,
    UntilLastRun,
}

struct State {
    postgres: Postgres,
    lifetime: Lifetime,
}

fn ensure_running(lifetime: Lifetime) -> Result<Services> {
    if let Some(services) = running()? {
        if lifetime == Lifetime::UntilDown {
            write_state(&services.postgres, lifetime)?;
        }
        return Ok(services);
    }
    stop_everything()?;
    let postgres = postgres::start()?;
    write_state(&postgres, lifetime)?;
    Ok(Services { postgres })
}

/// Returns the services of the state file if they answer.
fn running() -> Result<Option<Services>> {
    let Some(state) = read_state() else {
        return Ok(None);
    };
    if let Err(error) = state.postgres.check_health() {
        println!("postgres: was started but does not answer: {error:#}");
        return Ok(None);
    }
    Ok(Some(Services {
        postgres: state.postgres,
    }))
}

fn stop_everything() -> Result<()> {
    postgres::stop()?;
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
    Some(State {
        postgres: Postgres::from_json(&value["postgres"])?,
        lifetime,
    })
}

fn write_state(postgres: &Postgres, lifetime: Lifetime) -> Result<()> {
    let state = json!({
        "until_down": lifetime == Lifetime::UntilDown,
        "postgres": postgres.to_json(),
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
