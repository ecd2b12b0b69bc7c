//! `cargo xtask test`: everything that must pass, from unit tests to other people's clients.

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
/// # Errors
///
/// Fails when the services cannot be started.
pub(crate) fn run(backend: Option<Backend>, filters: &[String]) -> Result<bool> {
    let mut stages = Stages::default();
    let mut environment = vec![(
        "ATHENA_BIN".to_owned(),
        workspace::target()
            .join("debug/athena")
            .to_string_lossy()
            .into_owned(),
    )];
    let guard = match backend {
        Some(Backend::Sqlite) => {
            println!("*** SQLite only: nothing is tested on PostgreSQL in this run ***");
            environment.push(("ATHENA_TEST_BACKEND".to_owned(), "sqlite".to_owned()));
            None
        }
        None => provide_postgres(&mut stages, &mut environment)?,
    };
    if stages.run("build", || build(&environment)) {
        stages.run("tests", || run_workspace_tests(&environment, filters));
        stages.run("doc tests", || run_doc_tests(&environment, filters));
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

/// Tells the tests where the server is, and how to start one of their own to be killed.
fn describe_postgres(postgres: &Postgres, environment: &mut Environment) {
    let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
    set("ATHENA_TEST_POSTGRES_URL", postgres.url.clone());
    set(
        "ATHENA_TEST_POSTGRES_BIN",
        postgres.bin.to_string_lossy().into_owned(),
    );
    if let Some(user) = &postgres.system_user {
        set("ATHENA_TEST_POSTGRES_USER", user.clone());
    }
}

/// Builds all tests and, in the same step, the binary that some of them run.
fn build(environment: &Environment) -> Result<Tally> {
    let status = cargo(&["build", "--workspace", "--bins", "--tests", "--quiet"])
        .envs(environment.iter().cloned())
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the workspace does not build");
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
