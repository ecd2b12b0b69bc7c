//! `cargo xtask test`: everything that must pass, from unit tests to other people's clients.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::Backend;
use crate::clients;
use crate::guard::Guard;
use crate::postgres::Postgres;
use crate::services;
use crate::stage::{Stages, Tally, run_tests};
use crate::workspace::{self, cargo, has_cargo_subcommand};

/// Runs the tests whose names contain one of `filters`, or all; `false` when one failed.
///
/// When all filters begin with `clients/`, only those suites and what they need are built and
/// started. A caller's `ATHENA_BIN` is tested in place of the binary built here.
///
/// # Errors
///
/// Fails when the services cannot be started.
pub(crate) fn run(backend: Option<Backend>, filters: &[String]) -> Result<bool> {
    let mut stages = Stages::default();
    let mut environment = Environment::new();
    let only_clients =
        !filters.is_empty() && filters.iter().all(|filter| filter.starts_with("clients/"));
    let own_binary = std::env::var_os("ATHENA_BIN").is_none();
    if own_binary {
        let binary = workspace::target().join("debug/athena");
        environment.push(("ATHENA_BIN".to_owned(), binary.display().to_string()));
    }
    let guard = match backend {
        _ if only_clients => None,
        Some(Backend::Sqlite) => {
            println!("*** SQLite only: nothing is tested on PostgreSQL in this run ***");
            environment.push(("ATHENA_TEST_BACKEND".to_owned(), "sqlite".to_owned()));
            None
        }
        None => provide_postgres(&mut stages, &mut environment)?,
    };
    let ready = only_clients && !own_binary;
    if ready || stages.run("build", || build(only_clients)) {
        if !only_clients {
            stages.run("tests", || run_workspace_tests(&environment, filters));
            stages.run("doc tests", || run_doc_tests(&environment, filters));
        }
        clients::run(&mut stages, &environment, filters);
    }
    drop(guard);
    if backend.is_some() {
        println!("*** SQLite only: nothing was tested on PostgreSQL in this run ***");
    }
    Ok(stages.finish(workspace::is_ci()))
}

type Environment = Vec<(String, String)>;

/// Uses the caller's server if there is one, else starts ours and a guard that stops it.
fn provide_postgres(stages: &mut Stages, environment: &mut Environment) -> Result<Option<Guard>> {
    if std::env::var_os("ATHENA_TEST_POSTGRES_URL").is_some() {
        println!("using the PostgreSQL of ATHENA_TEST_POSTGRES_URL");
        if std::env::var_os("ATHENA_TEST_POSTGRES_BIN").is_none() {
            // Nobody else's server is killed.
            match services::postgres_programs() {
                Ok((bin, user)) => describe_programs(&bin, user.as_deref(), environment),
                Err(error) => stages.not_run("tests that kill PostgreSQL", &format!("{error:#}")),
            }
        }
        return Ok(None);
    }
    let mut started = None;
    stages.run("services", || {
        started = Some(services::start_for_tests(Guard::start)?);
        Ok(Tally::PASSED)
    });
    let Some((services, guard)) = started else {
        bail!("the services do not start; `--backend sqlite` runs without them");
    };
    describe_postgres(&services.postgres, environment);
    if services.postgres.pgvector.is_none() {
        stages.not_run(
            "every test of the `native` search mode",
            "this PostgreSQL has no pgvector",
        );
    }
    Ok(Some(guard))
}

/// Tells the tests where the server is.
fn describe_postgres(postgres: &Postgres, environment: &mut Environment) {
    environment.push(("ATHENA_TEST_POSTGRES_URL".to_owned(), postgres.url.clone()));
    describe_programs(&postgres.bin, postgres.system_user.as_deref(), environment);
}

/// Tells the tests how to start a server of their own to be killed.
fn describe_programs(bin: &Path, user: Option<&str>, environment: &mut Environment) {
    let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
    set(
        "ATHENA_TEST_POSTGRES_BIN",
        bin.to_string_lossy().into_owned(),
    );
    if let Some(user) = user {
        set("ATHENA_TEST_POSTGRES_USER", user.to_owned());
    }
}

/// Builds all tests and, in the same step, the binary that some of them run.
fn build(only_binary: bool) -> Result<Tally> {
    let what: &[&str] = match only_binary {
        true => &["build", "--quiet", "--package", "athena", "--bins"],
        false => &["build", "--quiet", "--workspace", "--bins", "--tests"],
    };
    let status = cargo(what).status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("it does not build");
    }
    Ok(Tally::PASSED)
}

fn run_workspace_tests(environment: &Environment, filters: &[String]) -> Result<Tally> {
    let mut command = if has_cargo_subcommand("nextest") {
        let mut command = cargo(&["nextest", "run", "--workspace", "--cargo-quiet"]);
        command.args(["--no-fail-fast", "--status-level=slow"]);
        command.args(["--final-status-level=slow", "--failure-output=immediate"]);
        command.arg("--no-tests=pass").args(filters);
        command
    } else {
        let mut command = cargo(&["test", "--workspace", "--bins", "--lib", "--tests"]);
        command
            .args(["--quiet", "--no-fail-fast", "--"])
            .args(filters);
        command
    };
    run_tests(command.envs(environment.iter().cloned()))
}

fn run_doc_tests(environment: &Environment, filters: &[String]) -> Result<Tally> {
    let mut command: Command = cargo(&["test", "--workspace", "--doc"]);
    command
        .args(["--quiet", "--no-fail-fast", "--"])
        .args(filters);
    run_tests(command.envs(environment.iter().cloned()))
}
