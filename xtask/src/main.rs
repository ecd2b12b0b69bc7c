//! The commands a developer of Athena runs: `cargo xtask test`, `services`, `check`, `bench` and
//! `distill`.
//!
//! Continuous integration runs exactly these. Everything they download or start stays
//! below `target/` or in one temporary directory per checkout; nothing is installed into
//! the system except, for root, one system user, because servers refuse to run as root.

#![expect(
    clippy::print_stdout,
    reason = "a command-line program: its output is its purpose"
)]

mod architecture;
mod bench;
mod check;
mod clients;
mod distill;
mod guard;
mod licences;
mod mariadb;
mod metadata;
mod packages;
mod postgres;
mod server;
mod services;
mod stage;
mod stories;
mod test;
mod text;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Develops and tests Athena")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every test: the workspace's, the documentation's and those of outside clients.
    Test {
        /// Runs on this database alone; without it every story runs on every backend.
        #[arg(long)]
        backend: Option<Backend>,
        /// Runs only the tests and client suites whose names contain one of these.
        filters: Vec<String>,
    },
    /// Starts and stops the servers that tests need.
    Services {
        #[command(subcommand)]
        action: ServicesAction,
    },
    /// Runs what continuous integration checks besides tests.
    Check {
        /// Runs only these; without any, all of them.
        stages: Vec<check::Stage>,
    },
    /// Measures the release.
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Makes the built-in table of word vectors anew from the model it comes from.
    Distill,
    /// Stops the services once the test run that started this process is gone.
    #[command(hide = true)]
    Guard,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Sqlite,
}

#[derive(Subcommand)]
enum ServicesAction {
    /// Starts what is missing and prints the URLs; keeps running until `down`.
    Up,
    /// Stops what `up` started and removes its data.
    Down,
    /// Says what runs, and fails when something does not.
    Status,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `command`; `false` means that it did its work and the verdict is bad.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Test { backend, filters } => test::run(backend, &filters),
        Command::Services { action } => match action {
            ServicesAction::Up => services::up().map(|()| true),
            ServicesAction::Down => services::down().map(|()| true),
            ServicesAction::Status => services::status(),
        },
        Command::Check { stages } => check::run(&stages),
        Command::Bench { bench } => bench::run(bench).map(|()| true),
        Command::Distill => distill::run(),
        Command::Guard => guard::run().map(|()| true),
    }
}
