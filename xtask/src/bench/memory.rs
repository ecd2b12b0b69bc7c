//! `cargo xtask bench memory`: what each operation costs in a store that somebody has used for a year.
//!
//! The measuring is `athena bench memory`, by the released binary; this builds it, gives it a
//! database, and shows what it says as a page.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::db::Backend;
use super::page::{self, Table, short};
use crate::guard::Guard;
use crate::services::{self, ALL};
use crate::workspace;

/// What to measure and where to put it.
#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// Measures on this database.
    #[arg(long, default_value = "sqlite")]
    backend: Backend,
    /// A hundredth of everything: it says that all runs, and little about speed.
    #[arg(long)]
    quick: bool,
    /// Measures this binary of Athena's, and builds none.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Puts the results into this page, between its marks.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Measures everything and says so.
///
/// # Errors
///
/// Fails when something cannot be measured; a missed target is no failure.
pub(super) fn run(options: &Options) -> Result<()> {
    let name = format!("memory --backend {}", options.backend.name());
    if let Some(path) = &options.write {
        page::check(path, &name)?;
    }
    let results = measure(options)?;
    let text = render(&results);
    if let Some(path) = &options.write {
        page::write(path, &name, &text)?;
    }
    match options.json {
        true => println!("{results:#}"),
        false => println!("{text}"),
    }
    Ok(())
}

fn measure(options: &Options) -> Result<Value> {
    let binary = super::released(options.binary.as_deref())?;
    // Below `target/`, because a temporary directory is often kept in memory.
    let home = workspace::target().join("bench-memory");
    std::fs::create_dir_all(&home)?;
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ATHENA_") {
            command.env_remove(name);
        }
    }
    command
        .env("ATHENA_HOME", &home)
        .args(["bench", "memory", "--json"])
        .stderr(Stdio::inherit());
    if options.quick {
        command.arg("--quick");
    }
    let server = find_server(options.backend)?;
    match &server {
        Some((url, _)) => command.args(["--own-database", "--url", url]),
        None => command.arg("--folder").arg(&home),
    };
    let output = command.output().context("`athena` cannot be started")?;
    ensure!(output.status.success(), "`athena bench memory` failed");
    serde_json::from_slice(&output.stdout).context("the answer is no JSON")
}

/// Returns the URL of the caller's server, else starts that of the tests until the guard goes.
fn find_server(backend: Backend) -> Result<Option<(String, Option<Guard>)>> {
    let Some(name) = backend.service() else {
        return Ok(None);
    };
    let service = ALL.iter().copied().find(|service| service.name() == name);
    let service = service.with_context(|| format!("there is no service `{name}`"))?;
    if let Ok(url) = std::env::var(format!("{}_URL", service.variables())) {
        return Ok(Some((url, None)));
    }
    let (started, guard) = services::start_for_tests(&[service], Guard::start)?;
    let server = started.into_iter().next();
    let (_, server) = server.with_context(|| format!("`{name}` did not start"))?;
    Ok(Some((server.url, Some(guard))))
}

fn render(results: &Value) -> String {
    let text = |name: &str| results[name].as_str().unwrap_or_default();
    let count = |name: &str| results[name].as_u64().unwrap_or_default();
    format!(
        "Machine: {}.\nDatabase: {}; {} memories, {} events, {} tasks.\n\n{}\n{}\n{}",
        text("machine"),
        text("database"),
        count("memories"),
        count("events"),
        count("tasks"),
        items(results),
        founding(results),
        reads(results),
    )
}

fn verdict(met: &Value) -> String {
    match met.as_bool() {
        Some(true) => "met".to_owned(),
        Some(false) => "**missed**".to_owned(),
        None => String::new(),
    }
}

fn rows<'a>(results: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    results[name].as_array().into_iter().flatten()
}

fn words(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

fn number(row: &Value, name: &str) -> String {
    short(row[name].as_f64().unwrap_or_default())
}

fn items(results: &Value) -> String {
    let mut table = Table::new(&["", "measured", "unit", "target", ""], &[]);
    for item in rows(results, "items") {
        table.add(&[
            words(item, "what"),
            number(item, "value"),
            words(item, "unit"),
            words(item, "target"),
            verdict(&item["met"]),
        ]);
    }
    table.text
}

fn founding(results: &Value) -> String {
    let mut table = Table::new(
        &["founding document 004", "promised", "p50, p95, or rate", ""],
        &[],
    );
    for line in rows(results, "founding") {
        table.add(&[
            words(line, "what"),
            words(line, "promised"),
            words(line, "measured"),
            verdict(&line["met"]),
        ]);
    }
    table.text
}

fn reads(results: &Value) -> String {
    let columns = ["operation", "CPU ms", "ms", "its dearest input", ""];
    let mut table = Table::new(&columns, &[]);
    for read in rows(results, "reads") {
        table.add(&[
            format!("`{}`", words(read, "name")),
            number(read, "cpu_ms"),
            number(read, "wall_ms"),
            words(&read["inputs"][0], "what"),
            verdict(&read["met"]),
        ]);
    }
    table.text
}

#[cfg(test)]
mod tests {
    use super::render;
    use serde_json::json;

    #[test]
    fn everything_measured_is_on_the_page() {
        let page = render(&json!({
            "machine": "2 × processors", "database": "SQLite 3", "memories": 1000, "events": 1000, "tasks": 50,
            "items": [{"what": "a rate", "value": 2500.0, "unit": "/s", "target": "≥ 2000", "met": true}],
            "founding": [{"what": "get_memory", "promised": "1 to 5 ms", "measured": "0.10 ms, 0.20 ms", "met": true}],
            "reads": [{"name": "event.list", "cpu_ms": 7.5, "wall_ms": 8.0, "met": false, "inputs": [{"what": "newest"}]}],
        }));
        for line in [
            "Database: SQLite 3; 1000 memories, 1000 events, 50 tasks.",
            "| a rate | 2500 | /s | ≥ 2000 | met |",
            "| get_memory | 1 to 5 ms | 0.10 ms, 0.20 ms | met |",
            "| `event.list` | 7.50 | 8.00 | newest | **missed** |",
        ] {
            assert!(page.contains(line), "{page}");
        }
    }
}
