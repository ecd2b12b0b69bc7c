//! What `doctor` says of PostgreSQL searching by itself.

use super::Finding;
use crate::config::Settings;
use athena_core::Error;
use athena_db::{Database, Dialect, Executor, Scalar, params};
use athena_memory::memories::{NativeState, SearchMode, native_state};

const CHECK: &str = "search";

/// Says who searches, and whether that works.
pub(super) async fn search(db: &Database, settings: &Settings, is_current: bool) -> Vec<Finding> {
    match (settings.search, db.dialect()) {
        (SearchMode::Memory, Dialect::Postgres) => memory(db, is_current).await,
        (SearchMode::Memory, _) => Vec::new(),
        (SearchMode::Native, _) if !is_current && db.dialect() == Dialect::Postgres => Vec::new(),
        (SearchMode::Native, _) => vec![match native_state(db).await {
            Ok(state) => native(state),
            Err(error) => refused(&error),
        }],
    }
}

fn native(state: Option<NativeState>) -> Finding {
    match state {
        Some(NativeState::Complete) => Finding::ok(CHECK, "by PostgreSQL; every memory is there"),
        Some(NativeState::Filling { percent }) => Finding::note(
            CHECK,
            format!("by Athena, until PostgreSQL's index is complete: {percent} %"),
        ),
        None => Finding::note(
            CHECK,
            "by PostgreSQL; its tables are made with the first search",
        ),
    }
}

fn refused(error: &Error) -> Finding {
    // The message ends with the way out.
    let message = error.message();
    let (detail, way_out) = message
        .split_once("; ")
        .unwrap_or((message, "set search.mode to memory"));
    Finding::failed(CHECK, detail, way_out)
}

/// Says whether pgvector is there, which Athena does not need, and whether tables are kept that
/// nothing here searches.
async fn memory(db: &Database, is_current: bool) -> Vec<Finding> {
    let mut findings = vec![pgvector(db).await];
    if is_current && matches!(native_state(db).await, Ok(Some(_))) {
        findings.push(Finding::note(
            CHECK,
            "by Athena; the tables of `search.mode` `native` are kept up too, until \
             `DROP TABLE native_passages, native_words, native_state`",
        ));
    }
    findings
}

async fn pgvector(db: &Database) -> Finding {
    let sql = "SELECT COALESCE(installed_version, 'available ' || default_version) FROM pg_available_extensions
               WHERE name = 'vector'";
    match db.fetch_opt::<Scalar<String>>(sql, params! {}).await {
        Ok(Some(Scalar(version))) => Finding::note("pgvector", format!("{version}; not needed")),
        Ok(None) => Finding::note("pgvector", "not there; not needed"),
        Err(error) => Finding::note("pgvector", format!("unknown: {error}")),
    }
}
