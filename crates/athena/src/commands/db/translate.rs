//! `db translate`: what a statement or a migration becomes on each backend.
//!
//! It needs no database. With `--batch` it answers any number of statements, one JSON line each.

use super::{sql_argument, sql_text};
use crate::cli::arguments::ProcessStdin;
use crate::commands::{Session, told};
use crate::outcome::{Outcome, exit_status};
use crate::terminal::Style;
use athena_core::{Code, Error};
use athena_db::Dialect;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

const DIALECTS: [Dialect; 3] = [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql];

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("translate")
        .about("Show what a statement or a migration becomes on each backend")
        .long_about(
            "Show what a statement or a migration becomes on each backend. No database is needed.\n\nA statement \
             comes back with its placeholders and the names to bind, in their order. With `--batch`, standard input \
             has one JSON object a line, {\"id\",\"dialect\",\"sql\"}, and each is answered by a line \
             {\"id\",\"sql\",\"params\"} or {\"id\",\"error\"}, in order; a line without an id is named by its number, \
             {\"line\",\"error\"}.",
        )
        .arg(sql_argument("The statement or migration, or from @FILE or from -"))
        .arg(
            Arg::new("dialect")
                .long("dialect")
                .short('d')
                .value_name("DIALECT")
                .value_parser(PossibleValuesParser::new(["sqlite", "postgres", "mysql", "all"]))
                .default_value("all")
                .help("The backend to translate for"),
        )
        .arg(
            Arg::new("migration")
                .long("migration")
                .action(ArgAction::SetTrue)
                .help("Read a migration in the portable subset instead of a statement"),
        )
        .arg(
            Arg::new("batch")
                .long("batch")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["sql", "migration"])
                .help("Answer JSON lines from standard input"),
        )
}

/// Translates.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    if matches.get_flag("batch") {
        return batch(io::stdin().lock(), io::stdout().lock());
    }
    let text = sql_text(matches, &mut ProcessStdin)?;
    let dialects: Vec<Dialect> = match matches
        .get_one::<String>("dialect")
        .and_then(|name| dialect(name))
    {
        Some(dialect) => vec![dialect],
        None => DIALECTS.to_vec(),
    };
    let items: Vec<Value> = dialects
        .iter()
        .map(|dialect| match matches.get_flag("migration") {
            true => migration(*dialect, &text),
            false => statement(*dialect, &text),
        })
        .collect();
    if let [item] = items.as_slice()
        && let Some(error) = item["error"].as_str()
    {
        return Err(Error::new(Code::InvalidInput, error.to_owned()).into());
    }
    let failed = items.iter().any(|item| item.get("error").is_some());
    session.show(&json!({ "items": items }), |_, style| {
        items.iter().map(|item| shown(item, style)).collect()
    })?;
    match failed {
        true => told(exit_status(Code::InvalidInput)),
        false => Ok(()),
    }
}

/// Returns the dialect of a name; `all` and unknown ones are none.
fn dialect(name: &str) -> Option<Dialect> {
    match name {
        "postgresql" => Some(Dialect::Postgres),
        "mariadb" => Some(Dialect::MySql),
        name => DIALECTS.into_iter().find(|dialect| dialect.name() == name),
    }
}

fn statement(dialect: Dialect, sql: &str) -> Value {
    match athena_db::rewrite(dialect, sql) {
        Err(error) => json!({"dialect": dialect, "error": error.to_string()}),
        Ok(rewritten) => {
            let params: Vec<Value> = rewritten
                .slots
                .iter()
                .map(|slot| json!({"name": slot.name, "list": slot.list}))
                .collect();
            json!({"dialect": dialect, "sql": rewritten.text, "params": params})
        }
    }
}

fn migration(dialect: Dialect, script: &str) -> Value {
    match athena_db::translate(dialect, script) {
        Err(error) => json!({"dialect": dialect, "error": error.to_string()}),
        Ok(statements) => json!({"dialect": dialect, "statements": statements}),
    }
}

fn shown(item: &Value, style: Style) -> String {
    let text = |name: &str| item[name].as_str().unwrap_or_default();
    let mut shown = format!("{}\n", style.bold(text("dialect")));
    if let Some(error) = item["error"].as_str() {
        let _ = writeln!(shown, "{} {error}", style.red("error:"));
    }
    if let Some(sql) = item["sql"].as_str() {
        let _ = writeln!(shown, "{}", sql.trim_end());
    }
    for statement in item["statements"].as_array().into_iter().flatten() {
        let _ = writeln!(shown, "{};", statement.as_str().unwrap_or_default());
    }
    let names: Vec<String> = item["params"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|slot| {
            let list = if slot["list"] == true {
                " (a list)"
            } else {
                ""
            };
            format!("{}{list}", slot["name"].as_str().unwrap_or_default())
        })
        .collect();
    if !names.is_empty() {
        let _ = writeln!(shown, "{} {}", style.dim("binds:"), names.join(", "));
    }
    shown + "\n"
}

/// One line of the answer to a batch.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    of: Question,
    #[serde(flatten)]
    result: Answered,
}

/// Which line an answer is about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Question {
    Id(Value),
    Line(u64),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answered {
    Rewritten { sql: String, params: Vec<String> },
    Refused { error: String },
}

/// Answers each line, and passes the answers on whenever nothing more is waiting to be read.
fn batch(input: impl Read, output: impl Write) -> Outcome {
    let mut input = BufReader::new(input);
    let mut output = BufWriter::new(output);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = answer(number, &line);
        serde_json::to_writer(&mut output, &answer).map_err(io::Error::from)?;
        output.write_all(b"\n")?;
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    Ok(output.flush()?)
}

fn answer(number: u64, line: &[u8]) -> Answer {
    let (id, result) = match serde_json::from_slice::<Map<String, Value>>(line) {
        Ok(mut question) => (question.remove("id"), translated(&question)),
        Err(error) => (None, Err(format!("the line is no JSON object: {error}"))),
    };
    Answer {
        of: id.map_or(Question::Line(number), Question::Id),
        result: result.unwrap_or_else(|error| Answered::Refused { error }),
    }
}

fn translated(question: &Map<String, Value>) -> Result<Answered, String> {
    let text = |field: &str| {
        let value = question.get(field).and_then(Value::as_str);
        value.ok_or_else(|| format!("`{field}` is missing or no string"))
    };
    let (name, sql) = (text("dialect")?, text("sql")?);
    let dialect = dialect(name)
        .ok_or_else(|| format!("`dialect` may be sqlite, postgres or mysql, and is `{name}`"))?;
    let rewritten = athena_db::rewrite(dialect, sql).map_err(|error| error.to_string())?;
    Ok(Answered::Rewritten {
        sql: rewritten.text,
        params: rewritten.slots.into_iter().map(|slot| slot.name).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(input: &[u8]) -> Vec<String> {
        let mut output = Vec::new();
        batch(input, &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_line_has_its_answer_in_order() {
        let input = br#"{"id": 1, "dialect": "sqlite", "sql": "SELECT :b, :a, :b"}
{"id": "x", "dialect": "postgres", "sql": "SELECT 1 WHERE id IN :ids AND a = :a::text"}

{"id": 3, "dialect": "mysql", "sql": "SELECT :b, :a, :b WHERE id IN (:ids)"}
{"id": 4, "dialect": "mysql", "sql": "SELECT 'open"}
{"id": 5, "dialect": "oracle", "sql": "SELECT 1"}
{"id": 6, "sql": "SELECT 1"}
[1]
{broken
{"dialect": "sqlite", "sql": "SELECT 1"}
{"id": null, "dialect": "mariadb", "sql": ""}"#;
        let answers = answers(input);
        assert_eq!(
            answers[..3],
            [
                r#"{"id":1,"sql":"SELECT ?1, ?2, ?1","params":["b","a"]}"#,
                r#"{"id":"x","sql":"SELECT 1 WHERE id = ANY ($1) AND a = $2::text","params":["ids","a"]}"#,
                r#"{"id":3,"sql":"SELECT ?, ?, ? WHERE id IN (?)","params":["b","a","b","ids"]}"#,
            ]
        );
        let starts = [
            r#"{"id":4,"error":"line 1, column 8: "#,
            r#"{"id":5,"error":"`dialect` may be sqlite, postgres or mysql, and is `oracle`"}"#,
            r#"{"id":6,"error":"`dialect` is missing or no string"}"#,
            r#"{"line":8,"error":"the line is no JSON object: "#,
            r#"{"line":9,"error":"the line is no JSON object: "#,
            r#"{"line":10,"sql":"SELECT 1","params":[]}"#,
            r#"{"id":null,"sql":"","params":[]}"#,
        ];
        assert_eq!(answers.len(), 3 + starts.len());
        for (answer, start) in answers[3..].iter().zip(starts) {
            assert!(answer.starts_with(start), "{answer}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_answered_too() {
        let answers = answers(b"{\"id\": 1, \"sql\": \"\xff\"}\n\0\n");
        assert_eq!(answers.len(), 2);
        assert!(answers[0].starts_with("{\"line\":1,"), "{answers:?}");
        assert!(answers[1].starts_with("{\"line\":2,"), "{answers:?}");
    }
}
