//! `import`: files of several forms become memories, all of a file or nothing.
//!
//! A file is read twice. The first time every record is checked against the schema of
//! `memory.import`, and a malformed line ends the import before anything is written (or, with
//! `--partial`, is left out and told). The second time the records are stored. Up to
//! [`MOST_AT_ONCE`] records go in one call, which is one transaction. A larger file needs several,
//! and if one of them fails, or Ctrl-C comes, the memories of the earlier ones are purged again.
//! Should even that be impossible, as when the disk is full, the command says so, and running it
//! again later completes the import: what is known is skipped.
//!
//! Standard input is kept in an unnamed temporary file, because it can be read only once.

mod formats;
mod undo;

use super::{Session, integer, serve, told};
use crate::compose::Store;
use crate::outcome::{Outcome, at_path};
use athena_core::schema::{self, Components};
use athena_core::{Code, Ctx, Entry, Error, Registry, Result};
use athena_memory::memories::{MAX_CONTENT_BYTES, MemoryRecord};
use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, ArgMatches, Command};
use formats::{Format, Item, Malformed, Parsed};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use undo::Undo;
use uuid::Uuid;

/// Records in one call, and so in one transaction.
const MOST_AT_ONCE: usize = 1_000;
/// The same for records that name each other, whose links are made within one call.
const MOST_LINKED_AT_ONCE: usize = 2_000;
/// Records below which a call that takes too long is not split any more.
const FEW: usize = 20;
/// Bytes of content in one call.
const MOST_BYTES_AT_ONCE: usize = 16 << 20;
/// Malformed lines that are told one by one.
const MOST_TOLD: usize = 20;
/// The exit status of a command that Ctrl-C ended, as shells have it.
const INTERRUPTED: u8 = 130;
/// Malformed lines that an answer names.
const MOST_NAMED: usize = 1_000;
/// Whether a project that is named may be a new one.
const CREATE_PROJECT: &str = "create-project";
/// Characters of a file's name that serve as session and source.
const NAME_CHARS: usize = 150;

/// Makes the command.
pub(crate) fn command() -> Command {
    let formats = Format::ALL.map(|(_, name, about)| PossibleValue::new(name).help(about));
    Command::new("import")
        .about("Import memories from a file: all of it or nothing")
        .long_about(
            "Import memories from a file: all of it or nothing.\n\nThe form is told from the file: one memory a line \
             as `athena export` writes them, plain text or Markdown split by paragraph, messages with `role` and \
             `content`, or a session of Claude Code. What is known already is skipped, so a file may be imported \
             again. A malformed line is named by its number, and nothing of the file stays unless --partial is given.",
        )
        .arg(Arg::new("file").value_name("FILE").required(true).help("The file, or - for standard input"))
        .arg(
            Arg::new("format")
                .long("format")
                .short('f')
                .value_name("FORMAT")
                .value_parser(clap::builder::PossibleValuesParser::new(formats))
                .help("The form of the file, if it is told wrongly"),
        )
        .arg(
            Arg::new("partial")
                .long("partial")
                .action(ArgAction::SetTrue)
                .help("Import what can be read, and tell what cannot"),
        )
        .arg(
            Arg::new(CREATE_PROJECT)
                .long(CREATE_PROJECT)
                .action(ArgAction::SetTrue)
                .help("Create the project that --project names, if there is none of that name"),
        )
        .arg(Arg::new("type").long("type").short('t').value_name("TYPE").help("The type of memories that name none"))
        .arg(
            Arg::new("tags")
                .long("tag")
                .alias("tags")
                .value_name("TAG")
                .action(ArgAction::Append)
                .help("A tag for every memory; may be repeated"),
        )
        .arg(Arg::new("session").long("session").value_name("SESSION").help("The session of memories that name none"))
        .arg(Arg::new("domain").long("domain").value_name("DOMAIN").help("The domain of memories that name none"))
}

/// Imports a file.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let path = matches
        .get_one::<String>("file")
        .map(String::as_str)
        .unwrap_or_default();
    let source = Source::open(path)?;
    let format = match matches
        .get_one::<String>("format")
        .and_then(|name| Format::named(name))
    {
        Some(format) => format,
        None => source.detect()?,
    };
    let file = Import {
        source,
        format,
        additions: Additions::of(matches),
        partial: matches.get_flag("partial"),
    };
    let checker = Checker::new(&session.registry)?;
    let survey = file.survey(session, &checker)?;
    if !file.partial
        && let Some(refusal) = file.refusal(&survey)
    {
        return Err(refusal.into());
    }
    let may_create = matches.get_flag(CREATE_PROJECT);
    let stored = session.with_store(|store| async move {
        let mut ctx = store.ctx("cli");
        if let Some(project) = &session.named_project {
            if !may_create {
                // Refuses a name that is misspelt, and says which ones there are.
                let named = json!({ "name": project });
                session
                    .registry
                    .call("project.get", &ctx, named, None)
                    .await?;
            }
            ctx = ctx.with_project(project.clone());
        }
        let stored = store_all(session, &ctx, &file, &checker, &survey).await?;
        Ok((file, survey, stored, project_of(&store, session)))
    });
    let (file, survey, stored, project) = stored?;
    let left_out = &stored.left_out;
    let malformed: Vec<Value> = left_out
        .first
        .iter()
        .map(|m| json!({"line": m.line, "message": m.error.message()}))
        .collect();
    for malformed in left_out.first.iter().take(MOST_TOLD) {
        session.note(&format!(
            "left out line {}: {}",
            malformed.line, malformed.error
        ));
    }
    let answer = json!({
        "file": file.source.shown, "format": file.format.name(), "project": project, "records": survey.records,
        "imported": stored.imported, "skipped": stored.skipped,
        "left_out": left_out.count, "malformed": malformed,
    });
    session.show(&answer, |answer, _| summary(answer))
}

fn project_of(store: &Store, session: &Session) -> String {
    session
        .named_project
        .clone()
        .unwrap_or_else(|| store.project().to_owned())
}

fn summary(answer: &Value) -> String {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let imported = integer(answer, "imported");
    let plural = if imported == 1 { "memory" } else { "memories" };
    let mut line = format!(
        "imported {imported} {plural} from {} ({}) into project `{}`",
        text("file"),
        text("format"),
        text("project")
    );
    let skipped = integer(answer, "skipped");
    if skipped > 0 {
        line.push_str(&format!("; {skipped} known already"));
    }
    let left_out = integer(answer, "left_out");
    if left_out > 0 {
        line.push_str(&format!("; {left_out} left out"));
    }
    line + "\n"
}

/// A file to import.
struct Import {
    source: Source,
    format: Format,
    additions: Additions,
    partial: bool,
}

/// What the first reading found.
#[derive(Debug, Default)]
struct Survey {
    records: usize,
    bytes: usize,
    malformed: LeftOut,
    /// Whether records name each other.
    linked: bool,
}

/// What came of the second reading.
#[derive(Debug, Default)]
struct Stored {
    imported: u64,
    skipped: u64,
    left_out: LeftOut,
}

/// Lines that cannot be imported.
#[derive(Debug, Default)]
struct LeftOut {
    count: usize,
    /// The first of them; a file that is all wrong must not fill the memory.
    first: Vec<Malformed>,
}

impl LeftOut {
    fn push(&mut self, malformed: Malformed) {
        self.count += 1;
        if self.first.len() < MOST_NAMED {
            self.first.push(malformed);
        }
    }
}

impl Import {
    /// Reads the records, completed and checked.
    fn records<'a>(&'a self, checker: &'a Checker<'a>) -> Result<impl Iterator<Item = Item> + 'a> {
        let reader = self.source.reader()?;
        let items = formats::read(self.format, reader, &self.source.name);
        Ok(items.map(move |item| {
            let mut parsed = item?;
            self.additions.apply(&mut parsed.record);
            checker.check(&parsed.record).map_err(|error| Malformed {
                line: parsed.line,
                error,
            })?;
            Ok(parsed)
        }))
    }

    /// Reads the file once without storing anything.
    fn survey(&self, session: &Session, checker: &Checker<'_>) -> Result<Survey> {
        let progress = spinner(session, "reading");
        let mut survey = Survey::default();
        for item in self.records(checker)? {
            match item {
                Ok(parsed) => {
                    survey.records += 1;
                    survey.bytes += content_bytes(&parsed.record);
                    survey.linked |= is_linked(&parsed.record);
                }
                Err(malformed) => survey.malformed.push(malformed),
            }
            progress.set_position(survey.records as u64);
        }
        progress.finish_and_clear();
        Ok(survey)
    }

    /// Says why nothing is imported, if a line is malformed.
    fn refusal(&self, survey: &Survey) -> Option<Error> {
        let first = survey.malformed.first.first()?;
        let more = match survey.malformed.count - 1 {
            0 => String::new(),
            1 => "; another line is wrong too".to_owned(),
            more => format!("; {more} more lines are wrong too"),
        };
        let message = format!(
            "`{}` line {}: {}{more}; nothing was imported (`--partial` imports the rest)",
            self.source.shown, first.line, first.error
        );
        Some(Error::new(first.error.code(), message).with_field(format!("line {}", first.line)))
    }
}

fn is_linked(record: &Map<String, Value>) -> bool {
    record.contains_key("superseded_by") || record.contains_key("relations")
}

/// Stores the records in as few calls as possible.
async fn store_all(
    session: &Session,
    ctx: &Ctx,
    file: &Import,
    checker: &Checker<'_>,
    survey: &Survey,
) -> Outcome<Stored> {
    let most = if survey.linked {
        MOST_LINKED_AT_ONCE
    } else {
        MOST_AT_ONCE
    };
    let several = survey.records > most || survey.bytes >= MOST_BYTES_AT_ONCE;
    let mut storing = Storing {
        registry: &session.registry,
        ctx,
        partial: file.partial,
        most,
        undo: if several {
            Undo::prepare(&session.registry, ctx).await?
        } else {
            Undo::default()
        },
        stored: Stored::default(),
        interrupted: interrupted()?,
    };
    let progress = bar(session, survey.records);
    let mut outcome = storing.file(file, checker, &progress).await;
    if outcome.is_ok() && survey.linked && several {
        outcome = storing.links(file, checker).await;
    }
    progress.finish_and_clear();
    if let Err(stop) = outcome {
        if let Some(problem) = storing.undo.run(&session.registry, ctx).await {
            session.note(&problem);
        }
        return Err(stop);
    }
    Ok(storing.stored)
}

/// Returns a flag that a signal sets: a call that is under way is let finish, because a call that
/// is given up may be stored all the same.
fn interrupted() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let (set, shutdown) = (Arc::clone(&flag), serve::shutdown()?);
    tokio::spawn(async move {
        shutdown.await;
        set.store(true, Ordering::Relaxed);
    });
    Ok(flag)
}

/// An import that is under way.
struct Storing<'a> {
    registry: &'a Registry,
    ctx: &'a Ctx,
    partial: bool,
    most: usize,
    undo: Undo,
    stored: Stored,
    interrupted: Arc<AtomicBool>,
}

impl Storing<'_> {
    async fn file(
        &mut self,
        file: &Import,
        checker: &Checker<'_>,
        progress: &ProgressBar,
    ) -> Outcome {
        let mut batch = Batch::default();
        for item in file.records(checker)? {
            match item {
                Ok(parsed) => batch.push(parsed),
                Err(malformed) if self.partial => self.stored.left_out.push(malformed),
                // The file was sound a moment ago, so somebody is writing to it.
                Err(malformed) => return Err(malformed.error.into()),
            }
            if batch.is_full(self.most) {
                progress.inc(batch.lines.len() as u64);
                self.batch(std::mem::take(&mut batch)).await?;
            }
        }
        if batch.lines.is_empty() {
            Ok(())
        } else {
            self.batch(batch).await
        }
    }

    /// Sends the records that name others again: now all that they name are there.
    async fn links(&mut self, file: &Import, checker: &Checker<'_>) -> Outcome {
        let mut batch = Batch::default();
        for parsed in file
            .records(checker)?
            .flatten()
            .filter(|parsed| is_linked(&parsed.record))
        {
            batch.push(parsed);
            if batch.is_full(self.most) {
                self.call(std::mem::take(&mut batch).records).await?;
            }
        }
        if !batch.lines.is_empty() {
            self.call(batch.records).await?;
        }
        Ok(())
    }

    /// Stores some records in one transaction, or in several if one takes too long: how long
    /// depends on the way to the database. What was stored after all is skipped the second time.
    async fn batch(&mut self, batch: Batch) -> Outcome {
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            if self.interrupted.load(Ordering::Relaxed) {
                return told(INTERRUPTED);
            }
            self.undo.note(&batch.records);
            match self.call(batch.records.clone()).await {
                Ok(answer) => self.count(&answer),
                Err(error) if error.code() == Code::Timeout && batch.lines.len() > FEW => {
                    if !self.undo.is_prepared() {
                        self.undo = Undo::prepare(self.registry, self.ctx).await?;
                    }
                    let (first, second) = batch.halves();
                    waiting.extend([second, first]);
                }
                Err(error) if self.partial && is_about_input(&error) => {
                    self.one_by_one(batch).await?
                }
                Err(error) => return Err(with_line(error, &batch.lines).into()),
            }
        }
        Ok(())
    }

    async fn call(&self, records: Vec<Value>) -> Result<Value> {
        self.registry
            .call(
                "memory.import",
                self.ctx,
                json!({ "memories": records }),
                None,
            )
            .await
    }

    /// Finds out which records of a batch the operation refuses.
    async fn one_by_one(&mut self, batch: Batch) -> Outcome {
        for (line, record) in batch.lines.into_iter().zip(batch.records) {
            match self.call(vec![record]).await {
                Ok(answer) => self.count(&answer),
                Err(error) if is_about_input(&error) => {
                    self.stored.left_out.push(Malformed { line, error })
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn count(&mut self, answer: &Value) {
        self.stored.imported += integer(answer, "imported");
        self.stored.skipped += integer(answer, "skipped");
    }
}

/// Records for one call, with the lines they start at.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<usize>,
    records: Vec<Value>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, parsed: Parsed) {
        let mut record = parsed.record;
        record
            .entry("uid")
            .or_insert_with(|| Uuid::now_v7().to_string().into());
        self.bytes += content_bytes(&record);
        self.lines.push(parsed.line);
        self.records.push(Value::Object(record));
    }

    fn halves(mut self) -> (Self, Self) {
        let middle = self.lines.len() / 2;
        let (lines, records) = (self.lines.split_off(middle), self.records.split_off(middle));
        (
            self,
            Self {
                lines,
                records,
                bytes: 0,
            },
        )
    }

    fn is_full(&self, most: usize) -> bool {
        self.lines.len() >= most || self.bytes >= MOST_BYTES_AT_ONCE
    }
}

fn content_bytes(record: &Map<String, Value>) -> usize {
    record
        .get("content")
        .and_then(Value::as_str)
        .map_or(0, str::len)
}

fn is_about_input(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::InvalidInput | Code::ContentTooLarge | Code::EmbeddingMismatch | Code::Conflict
    )
}

/// Names the line of the record that an operation refused.
fn with_line(error: Error, lines: &[usize]) -> Error {
    let index = error
        .field()
        .and_then(|field| field.strip_prefix("memories["))
        .and_then(|rest| rest.split(']').next())
        .and_then(|index| index.parse::<usize>().ok());
    match index.and_then(|index| lines.get(index)) {
        Some(line) => Error::new(error.code(), format!("line {line}: {error}")).with_source(error),
        None => error,
    }
}

/// Checks records before anything is written.
struct Checker<'a> {
    schema: &'a Value,
    components: &'a Components,
}

impl<'a> Checker<'a> {
    fn new(registry: &'a Registry) -> Result<Self> {
        let schema = registry
            .get("memory.import")
            .and_then(|entry: &Entry| entry.field("memories")?.get("items"))
            .ok_or_else(|| Error::internal("`memory.import` takes no `memories`"))?;
        Ok(Self {
            schema,
            components: registry.components(),
        })
    }

    fn check(&self, record: &Map<String, Value>) -> Result<()> {
        let mut value = Value::Object(record.clone());
        schema::accept(self.schema, self.components, &mut value)?;
        let content = record
            .get("content")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if content.len() > MAX_CONTENT_BYTES {
            let limit = MAX_CONTENT_BYTES >> 20;
            let message = format!(
                "`content` has {} bytes; at most {limit} MiB are allowed",
                content.len()
            );
            return Err(Error::new(Code::ContentTooLarge, message).with_field("content"));
        }
        if content.trim().is_empty() {
            return Err(Error::invalid("content", "must not be blank"));
        }
        serde_json::from_value::<MemoryRecord>(value)
            .map(|_| ())
            .map_err(|error| Error::new(Code::InvalidInput, format!("cannot be read: {error}")))
    }
}

/// What the command line adds to every record.
#[derive(Debug, Default)]
struct Additions {
    defaults: Vec<(&'static str, String)>,
    tags: Vec<String>,
}

impl Additions {
    fn of(matches: &ArgMatches) -> Self {
        let defaults = ["type", "session", "domain"]
            .into_iter()
            .filter_map(|name| Some((name, matches.get_one::<String>(name)?.clone())))
            .collect();
        let tags = matches
            .get_many::<String>("tags")
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        Self { defaults, tags }
    }

    fn apply(&self, record: &mut Map<String, Value>) {
        for (name, value) in &self.defaults {
            record.entry(*name).or_insert_with(|| value.clone().into());
        }
        if self.tags.is_empty() {
            return;
        }
        let tags = record.entry("tags").or_insert_with(|| json!([]));
        if let Value::Array(tags) = tags {
            let new: Vec<Value> = self
                .tags
                .iter()
                .map(|tag| tag.clone().into())
                .filter(|tag| !tags.contains(tag))
                .collect();
            tags.extend(new);
        }
    }
}

/// A file that can be read more than once.
struct Source {
    /// How it is called in messages.
    shown: String,
    /// How records call it.
    name: String,
    extension: Option<String>,
    kept: Kept,
}

enum Kept {
    Path(PathBuf),
    Temporary(File),
}

impl Source {
    fn open(path: &str) -> Result<Self> {
        if path == "-" {
            let kept = Kept::Temporary(spool()?);
            return Ok(Self {
                shown: "standard input".into(),
                name: "stdin".into(),
                extension: None,
                kept,
            });
        }
        let path = Path::new(path);
        if path.is_dir() {
            let message = format!(
                "`{}` is a directory; import its files one by one",
                path.display()
            );
            return Err(Error::new(Code::InvalidInput, message));
        }
        let text =
            |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let name = text(path.file_name())
            .unwrap_or_default()
            .chars()
            .take(NAME_CHARS)
            .collect();
        let source = Self {
            shown: path.display().to_string(),
            name,
            extension: text(path.extension()),
            kept: Kept::Path(path.to_owned()),
        };
        source.reader()?;
        Ok(source)
    }

    fn reader(&self) -> Result<BufReader<File>> {
        let file = match &self.kept {
            Kept::Path(path) => File::open(path),
            Kept::Temporary(file) => file.try_clone().and_then(|mut file| {
                file.seek(SeekFrom::Start(0))?;
                Ok(file)
            }),
        };
        file.map(|file| BufReader::with_capacity(256 << 10, file))
            .map_err(|error| at_path("read", Path::new(&self.shown), error))
    }

    fn detect(&self) -> Result<Format> {
        let mut head = Vec::new();
        self.reader()?
            .take(formats::HEAD_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(|error| at_path("read", Path::new(&self.shown), error))?;
        Ok(formats::detect(
            &String::from_utf8_lossy(&head),
            self.extension.as_deref(),
        ))
    }
}

fn spool() -> Result<File> {
    let keep = || {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut io::stdin().lock(), &mut file)?;
        Ok(file)
    };
    keep().map_err(|error| at_path("keep", Path::new("standard input"), error))
}

fn spinner(session: &Session, what: &'static str) -> ProgressBar {
    if !session.shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} records")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner()
        .with_style(style)
        .with_message(what)
}

fn bar(session: &Session, records: usize) -> ProgressBar {
    super::progress(session, records as u64, "importing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose;

    fn import(format: Format, text: &str) -> Import {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let kept = Kept::Temporary(file);
        let source = Source {
            shown: "notes".into(),
            name: "notes".into(),
            extension: None,
            kept,
        };
        Import {
            source,
            format,
            additions: Additions::default(),
            partial: false,
        }
    }

    fn refusal(text: &str) -> String {
        let registry = compose::registry();
        let checker = Checker::new(&registry).unwrap();
        let file = import(Format::Jsonl, text);
        let first = file
            .records(&checker)
            .unwrap()
            .find_map(Result::err)
            .unwrap();
        file.refusal(&Survey {
            records: 0,
            bytes: 0,
            malformed: LeftOut {
                count: 1,
                first: vec![first],
            },
            linked: false,
        })
        .unwrap()
        .to_string()
    }

    #[test]
    fn malformed_lines_are_named_with_what_is_wrong() {
        let wrong = |text: &str| {
            refusal(text).replace("; nothing was imported (`--partial` imports the rest)", "")
        };
        assert_eq!(
            wrong("{\"content\": \"a\"}\n\n{\"content\": 1}"),
            "`notes` line 3: `content` must be a string, not a number"
        );
        assert_eq!(
            wrong("{\"content\": \" \"}"),
            "`notes` line 1: `content` must not be blank"
        );
        assert_eq!(
            wrong("{\"content\": \"a\\u0000\"}"),
            "`notes` line 1: `content` must not contain a NUL character"
        );
        assert!(
            wrong("{\"content\": \"a\", \"contnt\": 1}")
                .starts_with("`notes` line 1: `contnt` is not a known field")
        );
        assert!(
            wrong("{\"content\": \"a\", \"type\": \"x\"}")
                .starts_with("`notes` line 1: `type` is `x`; allowed: `fact`")
        );
        assert!(
            wrong("{\"content\": \"a\", \"occurred_at\": \"soon\"}")
                .starts_with("`notes` line 1: cannot be read")
        );
        let long = format!("{{\"content\": \"{}\"}}", "x".repeat(MAX_CONTENT_BYTES + 1));
        assert_eq!(
            wrong(&long),
            "`notes` line 1: `content` has 1048577 bytes; at most 1 MiB are allowed"
        );
    }

    #[test]
    fn a_file_can_be_read_again() {
        let registry = compose::registry();
        let checker = Checker::new(&registry).unwrap();
        let file = import(Format::Text, "one\n\ntwo");
        let count = || {
            file.records(&checker)
                .unwrap()
                .filter(Result::is_ok)
                .count()
        };
        assert_eq!((count(), count()), (2, 2));
    }

    #[test]
    fn the_command_line_adds_and_does_not_replace() {
        let additions = Additions {
            defaults: vec![("type", "decision".into()), ("session", "s".into())],
            tags: vec!["a".into(), "b".into()],
        };
        let mut record = json!({"content": "x", "type": "fact", "tags": ["a"]})
            .as_object()
            .unwrap()
            .clone();
        additions.apply(&mut record);
        assert_eq!(
            Value::Object(record),
            json!({"content": "x", "type": "fact", "session": "s", "tags": ["a", "b"]})
        );
    }

    #[test]
    fn halves_keep_the_order_and_the_lines() {
        let mut batch = Batch::default();
        for line in [2, 4, 6] {
            batch.push(Parsed {
                line,
                record: json!({"content": line.to_string()})
                    .as_object()
                    .unwrap()
                    .clone(),
            });
        }
        let (first, second) = batch.halves();
        assert_eq!((first.lines, second.lines), (vec![2], vec![4, 6]));
        assert_eq!(
            (&first.records[0]["content"], &second.records[1]["content"]),
            (&json!("2"), &json!("6"))
        );
    }

    #[test]
    fn refused_records_are_traced_to_their_line() {
        let error =
            Error::new(Code::InvalidInput, "memories[1]: bad").with_field("memories[1].content");
        assert_eq!(
            with_line(error, &[4, 9]).to_string(),
            "line 9: memories[1]: bad"
        );
    }
}
