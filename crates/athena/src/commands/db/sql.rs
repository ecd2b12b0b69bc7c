//! `db sql`: one statement with named parameters.

use super::output::{FORMATS, Format, Output, Types};
use super::{
    database, explain, parameters, require, sql_argument, sql_text, url_argument, with_database,
};
use crate::cli::arguments::ProcessStdin;
use crate::commands::Session;
use crate::outcome::{Outcome, Stop};
use athena_core::Error;
use athena_db::{
    Database, Dialect, ErrorKind, Executor, LogicalType, Params, Position, ResultColumn, Row,
    RowStream, TxOptions,
};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;
use std::io::{self, BufWriter};
use std::time::Duration;

/// Rows of a table that are shown unless more are asked for.
const TABLE_ROWS: usize = 200;

/// A statement that somebody waits for may take long.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("sql")
        .about("Run one SQL statement with named parameters")
        .long_about(
            "Run one SQL statement with named parameters, in a transaction that only reads.\n\nThe statement is \
             written as the database understands it, with `:name` for parameters and `IN :name` for lists. With \
             `--write` it may change the database. Times and booleans of Athena's tables are shown as such on every \
             backend; `--raw` shows what is stored.",
        )
        .arg(sql_argument("The statement, or from @FILE or from -"))
        .args(parameters::arguments())
        .arg(
            Arg::new("format")
                .long("format")
                .short('f')
                .value_name("FORMAT")
                .value_parser(PossibleValuesParser::new(FORMATS))
                .help("How rows are written [default: table, or json with --json]"),
        )
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .help("Write at most N rows, 0 for all [default: 200 of a table, else all]"),
        )
        .arg(
            Arg::new("write")
                .long("write")
                .action(ArgAction::SetTrue)
                .help("Let the statement change the database"),
        )
        .arg(
            Arg::new("raw")
                .long("raw")
                .action(ArgAction::SetTrue)
                .help("Show values as the database stores them"),
        )
        .arg(url_argument())
}

/// What was asked for.
struct Request {
    sql: String,
    params: Params,
    format: Format,
    limit: usize,
    write: bool,
    raw: bool,
}

impl Request {
    fn read(session: &Session, matches: &ArgMatches) -> Outcome<Self> {
        let mut stdin = ProcessStdin;
        let format = match matches.get_one::<String>("format") {
            Some(name) => Format::named(name),
            None if session.as_json => Format::Json,
            None => Format::Table,
        };
        let limit = match (matches.get_one("limit").copied(), format) {
            (Some(0), _) => usize::MAX,
            (Some(limit), _) => limit,
            (None, Format::Table) => TABLE_ROWS,
            (None, _) => usize::MAX,
        };
        Ok(Self {
            params: parameters::read(matches, &mut stdin)?,
            sql: sql_text(matches, &mut stdin)?.into_owned(),
            format,
            limit,
            write: matches.get_flag("write"),
            raw: matches.get_flag("raw"),
        })
    }

    /// Whether rows may come of it when it is allowed to write.
    ///
    /// A `RETURNING` in a literal counts too; then the number of changed rows is not told.
    fn returns_rows(&self) -> bool {
        let mut words = self
            .sql
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|word| !word.is_empty());
        let reads = |word: &str| {
            ["SELECT", "VALUES", "WITH", "EXPLAIN", "SHOW", "TABLE"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known))
        };
        words.next().is_some_and(reads) || words.any(|word| word.eq_ignore_ascii_case("RETURNING"))
    }
}

/// Runs the statement.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let request = Request::read(session, matches)?;
    let settings = database(session, matches)?;
    require(&settings)?;
    session.block_on(with_database(&settings, !request.write, async |db| {
        if request.write && !request.returns_rows() {
            return change(session, db, &request).await;
        }
        if request.write {
            // Shown only when it is certain: a reader that goes away must not take the change along.
            let options = TxOptions::default().with_deadline(DEADLINE);
            let tx = db.begin(options).await.map_err(explain)?;
            let rows = tx.stream(request.sql.clone(), request.params.clone());
            let read = Read::all(rows).await;
            let read = read.map_err(|error| pointed(session, &request, error))?;
            tx.commit().await.map_err(explain)?;
            return show(session, db, &request, Rows::Read(read)).await;
        }
        let rows = db.stream(request.sql.clone(), request.params.clone());
        show(session, db, &request, Rows::Coming(rows)).await
    }))
}

async fn change(session: &Session, db: &Database, request: &Request) -> Outcome {
    let changed = db
        .execute(request.sql.clone(), request.params.clone())
        .await
        .map_err(|error| pointed(session, request, error))?;
    session.show(&json!({ "changed": changed }), |_, _| match changed {
        1 => "1 row changed\n".to_owned(),
        changed => format!("{changed} rows changed\n"),
    })
}

/// Rows that are there, or that come while they are shown.
enum Rows<'a> {
    Read(Read),
    Coming(RowStream<'a, Row>),
}

/// A result that is there as a whole.
struct Read {
    columns: Option<Vec<ResultColumn>>,
    rows: std::vec::IntoIter<Row>,
}

impl Read {
    async fn all(mut stream: RowStream<'_, Row>) -> athena_db::Result<Self> {
        let mut rows = Vec::new();
        while let Some(row) = stream.next().await {
            rows.push(row?);
        }
        Ok(Self {
            columns: stream.columns().map(<[ResultColumn]>::to_vec),
            rows: rows.into_iter(),
        })
    }
}

impl Rows<'_> {
    async fn next(&mut self) -> Option<athena_db::Result<Row>> {
        match self {
            Self::Read(read) => read.rows.next().map(Ok),
            Self::Coming(rows) => rows.next().await,
        }
    }

    /// Returns the columns, once a row or the end was there.
    fn columns(&self) -> Option<&[ResultColumn]> {
        match self {
            Self::Read(read) => read.columns.as_deref(),
            Self::Coming(rows) => rows.columns(),
        }
    }
}

async fn show(session: &Session, db: &Database, request: &Request, mut rows: Rows<'_>) -> Outcome {
    let types = if request.raw {
        Types::new()
    } else {
        declared_types(db).await?
    };
    let out = BufWriter::new(io::stdout().lock());
    let mut output = Output::new(out, request.format, session.style);
    let mut shown = 0;
    let mut more = false;
    let mut next = rows.next().await;
    if let (Some(Ok(_)) | None, Some(columns)) = (&next, rows.columns()) {
        output.describe(columns, &types)?;
    }
    while let Some(row) = next {
        let row = row.map_err(|error| pointed(session, request, error))?;
        if shown == request.limit {
            more = true;
            break;
        }
        output.row(row)?;
        shown += 1;
        next = rows.next().await;
    }
    output.finish()?;
    if more {
        session.note(&format!(
            "only the first {shown} rows are shown; `--limit 0` shows all"
        ));
    }
    Ok(())
}

/// Reads the declared types of columns.
///
/// PostgreSQL says the types itself; a database without Athena's tables has none written down.
async fn declared_types(db: &Database) -> Outcome<Types> {
    if db.dialect() == Dialect::Postgres {
        return Ok(Types::new());
    }
    let schema = db.schema();
    if !schema
        .table_exists("athena_columns")
        .await
        .map_err(explain)?
    {
        return Ok(Types::new());
    }
    let lines: Vec<(String, String, String)> = db
        .fetch_all(
            "SELECT table_name, column_name, logical_type FROM athena_columns",
            Params::new(),
        )
        .await
        .map_err(explain)?;
    let known = lines.into_iter().filter_map(|(table, column, logical)| {
        let logical: LogicalType = logical.parse().ok()?;
        Some(((table, column), logical))
    });
    Ok(known.collect())
}

/// Adds the place of a mistake to what a person is told.
fn pointed(session: &Session, request: &Request, error: athena_db::Error) -> Stop {
    let place = match error.kind() {
        ErrorKind::Syntax { at: Some(at) } if !session.as_json => caret(&request.sql, *at),
        _ => None,
    };
    let error = explain(error);
    match place {
        Some(place) => Error::new(error.code(), format!("{error}\n{place}"))
            .with_source(error)
            .into(),
        None => error.into(),
    }
}

fn caret(sql: &str, at: Position) -> Option<String> {
    let line = sql
        .lines()
        .nth(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
    let before = line
        .chars()
        .take(usize::try_from(at.column).ok()?.checked_sub(1)?);
    let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("  {line}\n  {indent}^"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_below_the_mistake() {
        let at = |line, column| Position { line, column };
        assert_eq!(
            caret("SELECT 1\nFORM x", at(2, 1)).as_deref(),
            Some("  FORM x\n  ^")
        );
        assert_eq!(
            caret("\tSELECT é FORM", at(1, 11)).as_deref(),
            Some("  \tSELECT é FORM\n  \t         ^")
        );
        assert_eq!(caret("SELECT 1", at(3, 1)), None);
    }
}
