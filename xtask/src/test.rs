//! `cargo xtask test`: everything that must pass, from unit tests to other people's clients.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::Backend;
use crate::clients;
use crate::distill;
use crate::guard::Guard;
use crate::server::Service;
use crate::services;
use crate::stage::{Stages, Tally, run_tests};
use crate::stories;
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
    if !only_clients && std::env::var_os(MODEL).is_none() {
        provide_model(&mut stages, &mut environment);
    }
    let guard = match backend {
        _ if only_clients => None,
        Some(Backend::Sqlite) => {
            println!("*** SQLite only: nothing is tested on a server in this run ***");
            environment.push(("ATHENA_TEST_BACKEND".to_owned(), "sqlite".to_owned()));
            None
        }
        None => provide_servers(&mut stages, &mut environment)?,
    };
    let ready = only_clients && !own_binary;
    if ready || stages.run("build", || build(only_clients)) {
        if !only_clients {
            stages.run("tests", || run_workspace_tests(&environment, filters));
            if backend.is_none() && filters.is_empty() {
                stages.run("stories", stories::check);
            }
            stages.run("doc tests", || run_doc_tests(&environment, filters));
        }
        clients::run(&mut stages, &environment, filters);
    }
    drop(guard);
    if backend.is_some() {
        println!("*** SQLite only: nothing was tested on a server in this run ***");
    }
    Ok(stages.finish(workspace::is_ci()))
}

type Environment = Vec<(String, String)>;

/// The variable that names the folder of all-MiniLM-L6-v2.
const MODEL: &str = "ATHENA_TEST_MODEL";

/// Fetches the sentence model that tests embed with.
fn provide_model(stages: &mut Stages, environment: &mut Environment) {
    let mut found = None;
    stages.run("model", || {
        found = Some(distill::model()?);
        Ok(Tally::PASSED)
    });
    environment.extend(found.map(|model| (MODEL.to_owned(), model.display().to_string())));
}

/// Uses the caller's servers where there are some, else starts ours and a guard that stops them.
fn provide_servers(stages: &mut Stages, environment: &mut Environment) -> Result<Option<Guard>> {
    let (theirs, ours): (Vec<_>, Vec<_>) = services::ALL
        .iter()
        .copied()
        .partition(|service| std::env::var_os(variable(*service, "URL")).is_some());
    for service in theirs {
        use_callers(service, stages, environment);
    }
    if ours.is_empty() {
        return Ok(None);
    }
    let mut started = None;
    stages.run("services", || {
        started = Some(services::start_for_tests(&ours, Guard::start)?);
        Ok(Tally::PASSED)
    });
    let Some((servers, guard)) = started else {
        bail!("the services do not start; `--backend sqlite` runs without them");
    };
    for (service, server) in servers {
        environment.push((variable(service, "URL"), server.url));
        describe_programs(service, server.bin, server.system_user, environment);
        if let Some((what, why)) = server.lacks {
            stages.not_run(&what, &why);
        }
    }
    Ok(Some(guard))
}

/// The caller's server is used but never killed: tests that kill one start their own.
fn use_callers(service: &dyn Service, stages: &mut Stages, environment: &mut Environment) {
    println!("using the server of {}", variable(service, "URL"));
    if std::env::var_os(variable(service, "BIN")).is_some() {
        return;
    }
    match services::programs(service) {
        Ok((bin, user)) => describe_programs(service, bin, user, environment),
        Err(error) => stages.not_run(
            &format!("tests that kill {}", service.name()),
            &format!("{error:#}"),
        ),
    }
}

/// Tells the tests how to start a server of their own to be killed.
fn describe_programs(
    service: &dyn Service,
    bin: PathBuf,
    user: Option<String>,
    environment: &mut Environment,
) {
    environment.push((variable(service, "BIN"), bin.to_string_lossy().into_owned()));
    environment.extend(user.map(|user| (variable(service, "USER"), user)));
}

/// The name of a variable that tells tests about a service.
fn variable(service: &dyn Service, what: &str) -> String {
    format!("{}_{what}", service.variables())
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
