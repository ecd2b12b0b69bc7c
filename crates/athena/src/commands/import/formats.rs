//! The forms of files that can be imported, and how each becomes records of `memory.import`.
//!
//! Reading is by line wherever the form allows it, so that a file of any size needs the memory of
//! its longest record. What cannot be read is an item of its own that knows its line; whether that
//! ends the import is not decided here.

use crate::dates;
use athena_core::{Code, Error};
use serde_json::{Map, Value, json};
use std::io::{BufRead, Read};

/// Longest line or passage that is read, in bytes.
const LONGEST: usize = 16 << 20;
/// How much of a file decides its form, in bytes.
pub(crate) const HEAD_BYTES: usize = 64 << 10;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One memory a line, as `athena export` writes them.
    Jsonl,
    /// Plain text: one memory a paragraph.
    Text,
    /// Markdown: one memory a paragraph, list or code block, under its headings.
    Markdown,
    /// Messages with `role` and `content`: an array, or an object a line.
    Messages,
    /// A session that Claude Code keeps: one event a line.
    ClaudeCode,
}

impl Format {
    /// Every form with the name that `--format` takes and what it is.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 5] = [
        (
            Self::Jsonl,
            "jsonl",
            "One memory a line, as `athena export` writes them",
        ),
        (Self::Text, "text", "Plain text, one memory a paragraph"),
        (
            Self::Markdown,
            "markdown",
            "Markdown, one memory a paragraph, under its headings",
        ),
        (
            Self::Messages,
            "messages",
            "Messages with `role` and `content`, as OpenAI's API has them",
        ),
        (
            Self::ClaudeCode,
            "claude-code",
            "A session file of Claude Code",
        ),
    ];

    /// Returns the name that `--format` takes.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(format, _, _)| *format == self)
            .map_or("", |(_, name, _)| name)
    }

    /// Returns the form of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(format, _, _)| *format)
    }
}

/// One record, or a place that holds none.
pub(crate) type Item = Result<Parsed, Malformed>;

/// One record of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parsed {
    /// The line it starts at, from 1.
    pub(crate) line: usize,
    /// Its fields, as `memory.import` takes them.
    pub(crate) record: Map<String, Value>,
}

/// A place of a file that cannot be read.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) error: Error,
}

impl Malformed {
    fn new(line: usize, problem: impl Into<String>) -> Self {
        Self {
            line,
            error: Error::new(Code::InvalidInput, problem.into()),
        }
    }
}

/// Tells the form from the beginning of a file and its extension.
pub(crate) fn detect(head: &str, extension: Option<&str>) -> Format {
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let first = head.lines().next().unwrap_or_default();
    if let Ok(Value::Object(line)) = serde_json::from_str(first) {
        return of_object(&line);
    }
    let extension = extension.map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("md" | "markdown") => return Format::Markdown,
        Some("txt" | "text") => return Format::Text,
        Some("jsonl" | "ndjson") => return Format::Jsonl,
        _ => {}
    }
    if head.starts_with('[') || head.starts_with('{') {
        let looks_like_messages = head.contains("\"role\"") || head.contains("\"messages\"");
        return if looks_like_messages {
            Format::Messages
        } else {
            Format::Jsonl
        };
    }
    let is_heading =
        |line: &str| line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
    if head
        .lines()
        .any(|line| is_heading(line) || line.starts_with("```"))
    {
        Format::Markdown
    } else {
        Format::Text
    }
}

fn of_object(line: &Map<String, Value>) -> Format {
    let has = |name: &str| line.contains_key(name);
    let is_event =
        has("sessionId") || has("leafUuid") || has("isSidechain") || has("isSnapshotUpdate");
    if is_event && (has("type") || has("message")) {
        return Format::ClaudeCode;
    }
    if has("messages") || (has("role") && !has("type") && !has("uid")) {
        return Format::Messages;
    }
    Format::Jsonl
}

/// Reads the records of a file in its form; `name` stands for it where a record needs a source.
pub(crate) fn read<'a>(
    format: Format,
    reader: impl BufRead + 'a,
    name: &'a str,
) -> Box<dyn Iterator<Item = Item> + 'a> {
    match format {
        Format::Jsonl => Box::new(jsonl(reader)),
        Format::Text => Box::new(paragraphs(reader, name)),
        Format::Markdown => Box::new(markdown(reader, name)),
        Format::Messages => messages(reader, name),
        Format::ClaudeCode => Box::new(ClaudeCode {
            lines: Lines::new(reader),
            pending: None,
            position: 0,
        }),
    }
}

/// The lines of a file with their numbers; blank ones are left out where JSON is expected.
struct Lines<R> {
    reader: R,
    number: usize,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            number: 0,
            ended: false,
        }
    }

    fn stop(&mut self, problem: impl Into<String>) -> Option<Result<(usize, String), Malformed>> {
        self.ended = true;
        Some(Err(Malformed::new(self.number, problem)))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<(usize, String), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.number += 1;
        let mut bytes = Vec::new();
        let read = self
            .reader
            .by_ref()
            .take(LONGEST as u64 + 1)
            .read_until(b'\n', &mut bytes);
        match read {
            Ok(0) => {
                self.ended = true;
                return None;
            }
            Ok(_) if bytes.len() > LONGEST => {
                return self.stop(format!("is longer than {} MiB", LONGEST >> 20));
            }
            Ok(_) => {}
            Err(error) => return self.stop(format!("cannot be read: {error}")),
        }
        if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        let number = self.number;
        Some(match String::from_utf8(bytes) {
            Ok(line) => Ok((number, line)),
            Err(error) => {
                let place = error.utf8_error().valid_up_to() + 1;
                Err(Malformed::new(
                    number,
                    format!("is not UTF-8 (at byte {place})"),
                ))
            }
        })
    }
}

fn not_blank(line: &Result<(usize, String), Malformed>) -> bool {
    !matches!(line, Ok((_, text)) if text.trim().is_empty())
}

fn object(line: usize, text: &str) -> Result<Map<String, Value>, Malformed> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Malformed::new(line, "is not a JSON object")),
        // The position within the line, not the text: it may be anything.
        Err(error) => Err(Malformed::new(
            line,
            format!("is not JSON (column {})", error.column()),
        )),
    }
}

fn jsonl(reader: impl BufRead) -> impl Iterator<Item = Item> {
    Lines::new(reader).filter(not_blank).map(|line| {
        let (line, text) = line?;
        Ok(Parsed {
            line,
            record: object(line, &text)?,
        })
    })
}

/// Makes a record of a passage of a document.
fn passage(
    content: String,
    content_type: &str,
    source: &str,
    position: usize,
) -> Map<String, Value> {
    fields([
        ("content", content.into()),
        ("content_type", content_type.into()),
        ("source", source.into()),
        ("position", position.into()),
    ])
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn too_long(line: usize) -> Malformed {
    Malformed::new(
        line,
        format!("starts a passage of more than {} MiB", LONGEST >> 20),
    )
}

fn paragraphs<'a>(reader: impl BufRead + 'a, name: &'a str) -> impl Iterator<Item = Item> + 'a {
    let mut lines = Lines::new(reader);
    let mut position = 0;
    std::iter::from_fn(move || {
        let mut start = 0;
        let mut content = String::new();
        loop {
            match lines.next() {
                Some(Err(malformed)) => return Some(Err(malformed)),
                Some(Ok((number, line))) if !line.trim().is_empty() => {
                    if content.is_empty() {
                        start = number;
                    } else {
                        content.push('\n');
                    }
                    content.push_str(line.trim_end());
                    if content.len() > LONGEST {
                        lines.ended = true;
                        return Some(Err(too_long(start)));
                    }
                }
                ended => {
                    if !content.is_empty() {
                        position += 1;
                        let record = passage(content, "text", name, position);
                        return Some(Ok(Parsed {
                            line: start,
                            record,
                        }));
                    }
                    ended.as_ref()?;
                }
            }
        }
    })
}

fn markdown<'a>(reader: impl BufRead + 'a, name: &'a str) -> impl Iterator<Item = Item> + 'a {
    let mut document = Markdown {
        lines: Lines::new(reader),
        headings: Vec::new(),
        held: None,
        position: 0,
        name,
    };
    std::iter::from_fn(move || document.next_block())
}

/// A Markdown document being read block by block.
struct Markdown<'a, R> {
    lines: Lines<R>,
    /// The headings above the current place, with their levels.
    headings: Vec<(usize, String)>,
    /// A line that belongs to the next block.
    held: Option<(usize, String)>,
    position: usize,
    name: &'a str,
}

impl<R: BufRead> Markdown<'_, R> {
    fn next_line(&mut self) -> Option<Result<(usize, String), Malformed>> {
        self.held.take().map(Ok).or_else(|| self.lines.next())
    }

    fn next_block(&mut self) -> Option<Item> {
        loop {
            let (number, line) = match self.next_line()? {
                Ok(line) => line,
                Err(malformed) => return Some(Err(malformed)),
            };
            if number == 1 && line.trim_end() == "---" {
                if let Err(malformed) = self.skip_front_matter() {
                    return Some(Err(malformed));
                }
            } else if let Some((level, title)) = heading(&line) {
                self.headings.retain(|(above, _)| *above < level);
                self.headings.push((level, title.to_owned()));
            } else if !line.trim().is_empty() {
                return Some(self.block(number, line));
            }
        }
    }

    fn skip_front_matter(&mut self) -> Result<(), Malformed> {
        for line in self.lines.by_ref() {
            if matches!(line?.1.trim_end(), "---" | "...") {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads on to the end of a block: a blank line or a heading outside code.
    fn block(&mut self, start: usize, first: String) -> Item {
        let mut fence = fence_of(&first).map(str::to_owned);
        let mut content = first.trim_end().to_owned();
        for line in self.lines.by_ref() {
            let (number, line) = line?;
            match &fence {
                Some(open) if line.trim_start().starts_with(open.as_str()) => fence = None,
                Some(_) => {}
                None if line.trim().is_empty() => break,
                None if heading(&line).is_some() => {
                    self.held = Some((number, line));
                    break;
                }
                None => fence = fence_of(&line).map(str::to_owned),
            }
            content.push('\n');
            content.push_str(line.trim_end());
            if content.len() > LONGEST {
                self.lines.ended = true;
                return Err(too_long(start));
            }
        }
        self.position += 1;
        let titles: Vec<&str> = self
            .headings
            .iter()
            .map(|(_, title)| title.as_str())
            .collect();
        if !titles.is_empty() {
            content = format!("{}\n\n{content}", titles.join(" › "));
        }
        Ok(Parsed {
            line: start,
            record: passage(content, "markdown", self.name, self.position),
        })
    }
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let title = line
        .get(level..)?
        .strip_prefix(' ')?
        .trim()
        .trim_end_matches('#')
        .trim_end();
    ((1..=6).contains(&level) && !title.is_empty()).then_some((level, title))
}

fn fence_of(line: &str) -> Option<&'static str> {
    ["```", "~~~"]
        .into_iter()
        .find(|fence| line.trim_start().starts_with(fence))
}

/// Reads messages: one JSON document, or an object a line (a message, or `messages` of one talk).
fn messages<'a>(
    mut reader: impl BufRead + 'a,
    name: &'a str,
) -> Box<dyn Iterator<Item = Item> + 'a> {
    let by_line = match reader.fill_buf() {
        Ok(head) => {
            let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            serde_json::from_slice::<Value>(first).is_ok_and(|value| value.is_object())
        }
        Err(_) => true,
    };
    if !by_line {
        return Box::new(one_document(reader, name).into_iter());
    }
    let mut position = 0;
    Box::new(Lines::new(reader).filter(not_blank).flat_map(move |line| {
        let parsed = line.and_then(|(line, text)| Ok((line, object(line, &text)?)));
        match parsed {
            Err(malformed) => vec![Err(malformed)],
            Ok((line, object)) => match object.get("messages").and_then(Value::as_array) {
                Some(talk) => conversation(talk, line, &format!("{name}:{line}")),
                None => {
                    position += 1;
                    message(&object, line, name, position).into_iter().collect()
                }
            },
        }
    }))
}

fn one_document(reader: impl BufRead, name: &str) -> Vec<Item> {
    let document: Value = match serde_json::from_reader(reader) {
        Ok(document) => document,
        Err(error) => {
            let problem = format!("is not JSON (column {})", error.column());
            return vec![Err(Malformed::new(error.line().max(1), problem))];
        }
    };
    let list = match &document {
        Value::Array(list) => list,
        Value::Object(object) => match object.get("messages").and_then(Value::as_array) {
            Some(list) => list,
            None => return vec![Err(Malformed::new(1, "has no `messages`"))],
        },
        _ => return vec![Err(Malformed::new(1, "is neither an array nor an object"))],
    };
    let talks = list
        .iter()
        .all(|item| item.is_array() || item.get("messages").is_some())
        && !list.is_empty();
    if !talks {
        return conversation(list, 1, name);
    }
    list.iter()
        .enumerate()
        .flat_map(|(index, talk)| {
            let messages = talk.get("messages").unwrap_or(talk).as_array();
            conversation(
                messages.map_or(&[], Vec::as_slice),
                1,
                &format!("{name}:{}", index + 1),
            )
        })
        .collect()
}

fn conversation(messages: &[Value], line: usize, session: &str) -> Vec<Item> {
    let mut items = Vec::new();
    for (index, value) in messages.iter().enumerate() {
        match value.as_object() {
            Some(object) => items.extend(message(object, line, session, index + 1)),
            None => items.push(Err(Malformed::new(
                line,
                format!("message {} is not an object", index + 1),
            ))),
        }
    }
    items
}

/// Makes a record of a message; instructions, tool traffic and empty ones say nothing to remember.
fn message(
    object: &Map<String, Value>,
    line: usize,
    session: &str,
    position: usize,
) -> Option<Item> {
    let Some(role) = object.get("role").and_then(Value::as_str) else {
        return Some(Err(Malformed::new(
            line,
            format!("message {position} has no `role`"),
        )));
    };
    if !matches!(role, "user" | "assistant" | "human" | "ai" | "model") {
        return None;
    }
    let role = match role {
        "human" => "user",
        "ai" | "model" => "assistant",
        role => role,
    };
    let content = text_of(object.get("content")?);
    if content.trim().is_empty() {
        return None;
    }
    let name = object
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.trim().is_empty());
    let when = ["timestamp", "created_at", "create_time", "date"]
        .iter()
        .find_map(|field| dates::read(object.get(*field)?));
    let id = object.get("id").and_then(Value::as_str);
    let record = fields([
        ("content", content.into()),
        ("type", "context".into()),
        ("speaker", name.unwrap_or(role).into()),
        ("role", role.into()),
        ("session", session.into()),
        ("position", position.into()),
        ("occurred_at", json!(when)),
        ("external_id", json!(id)),
    ]);
    Some(Ok(Parsed { line, record }))
}

/// Returns the text of a message, which is a string or a list of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| match part {
                    Value::String(text) => Some(text.as_str()),
                    part => {
                        let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
                        let is_text = matches!(kind, "text" | "input_text" | "output_text");
                        part.get("text").and_then(Value::as_str).filter(|_| is_text)
                    }
                })
                .filter(|text| !text.trim().is_empty())
                .collect();
            texts.join("\n\n")
        }
        _ => String::new(),
    }
}

/// A session file of Claude Code being read: events in, messages out.
struct ClaudeCode<R> {
    lines: Lines<R>,
    /// A message that may go on: an answer comes as several events with one id.
    pending: Option<(String, Parsed)>,
    position: usize,
}

impl<R: BufRead> Iterator for ClaudeCode<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            let line = match self.lines.find(not_blank) {
                None => return self.pending.take().map(|(_, parsed)| Ok(parsed)),
                Some(line) => line,
            };
            let event = line.and_then(|(line, text)| Ok((line, object(line, &text)?)));
            let (line, event) = match event {
                Ok(event) => event,
                Err(malformed) => return Some(Err(malformed)),
            };
            let Some((message_id, content)) = said(&event) else {
                continue;
            };
            if let Some((pending_id, parsed)) = &mut self.pending
                && *pending_id == message_id
            {
                let so_far = parsed
                    .record
                    .get("content")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let joined = format!("{so_far}\n\n{content}");
                parsed.record.insert("content".into(), joined.into());
                continue;
            }
            self.position += 1;
            let record = turn(&event, content, self.position);
            let done = self.pending.replace((message_id, Parsed { line, record }));
            if let Some((_, parsed)) = done {
                return Some(Ok(parsed));
            }
        }
    }
}

/// Returns what a person or the assistant said in an event, with the id of the message.
fn said(event: &Map<String, Value>) -> Option<(String, String)> {
    let kind = event.get("type")?.as_str()?;
    let flag = |name: &str| event.get(name).and_then(Value::as_bool).unwrap_or(false);
    if !matches!(kind, "user" | "assistant") || flag("isMeta") || flag("isSidechain") {
        return None;
    }
    let message = event.get("message")?;
    let content = text_of(message.get("content")?);
    let trimmed = content.trim();
    // What the program itself puts into the talk: commands, their output, reminders.
    let is_wrapping = [
        "<command-",
        "<local-command",
        "<system-reminder>",
        "Caveat: The messages below",
    ];
    if trimmed.is_empty() || is_wrapping.iter().any(|start| trimmed.starts_with(start)) {
        return None;
    }
    let id = message
        .get("id")
        .or_else(|| event.get("uuid"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    Some((id.to_owned(), trimmed.to_owned()))
}

fn turn(event: &Map<String, Value>, content: String, position: usize) -> Map<String, Value> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let role = text("type").unwrap_or("user");
    fields([
        ("content", content.into()),
        ("type", "context".into()),
        ("speaker", role.into()),
        ("role", role.into()),
        ("session", json!(text("sessionId"))),
        ("position", position.into()),
        (
            "occurred_at",
            json!(event.get("timestamp").and_then(dates::read)),
        ),
        ("external_id", json!(text("uuid"))),
        ("source", "claude-code".into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(format: Format, text: &str) -> Vec<(usize, Value)> {
        read(format, text.as_bytes(), "notes")
            .map(|item| item.map(|p| (p.line, Value::Object(p.record))).unwrap())
            .collect()
    }

    fn contents(format: Format, text: &str) -> Vec<(usize, String)> {
        let content = |record: Value| record["content"].as_str().unwrap().to_owned();
        parsed(format, text)
            .into_iter()
            .map(|(line, record)| (line, content(record)))
            .collect()
    }

    fn malformed(format: Format, text: &str) -> (usize, String) {
        let malformed = read(format, text.as_bytes(), "notes")
            .find_map(Result::err)
            .unwrap();
        (malformed.line, malformed.error.to_string())
    }

    #[test]
    fn forms_are_told_apart() {
        let check = |head: &str, extension: Option<&str>, expected| {
            assert_eq!(detect(head, extension), expected, "{head}")
        };
        check(r#"{"content": "x", "type": "fact"}"#, None, Format::Jsonl);
        check(
            r#"{"uid": "u", "content": "x", "role": "user"}"#,
            None,
            Format::Jsonl,
        );
        check("{broken", Some("jsonl"), Format::Jsonl);
        check(
            r#"{"role": "user", "content": "x"}"#,
            Some("jsonl"),
            Format::Messages,
        );
        check(r#"{"messages": []}"#, None, Format::Messages);
        check("[\n {\"role\": \"user\"}]", Some("json"), Format::Messages);
        check(
            r#"{"type":"user","message":{},"sessionId":"s"}"#,
            Some("jsonl"),
            Format::ClaudeCode,
        );
        check(
            r#"{"type":"summary","summary":"x","leafUuid":"l"}"#,
            Some("jsonl"),
            Format::ClaudeCode,
        );
        check("# Title\n\ntext", None, Format::Markdown);
        check("\u{feff}plain", None, Format::Text);
        check("plain", Some("MD"), Format::Markdown);
        check("#hashtag is no heading", None, Format::Text);
    }

    #[test]
    fn names_of_forms_read_back() {
        for (format, name, _) in Format::ALL {
            assert_eq!(Format::named(name), Some(format));
            assert_eq!(format.name(), name);
        }
    }

    #[test]
    fn memories_are_taken_as_they_are() {
        assert_eq!(
            parsed(
                Format::Jsonl,
                "\u{feff}{\"content\": \"a\"}\r\n\n{\"content\": \"b\", \"tags\": [\"t\"]}"
            ),
            [
                (1, json!({"content": "a"})),
                (3, json!({"content": "b", "tags": ["t"]}))
            ]
        );
    }

    #[test]
    fn malformed_lines_are_named_by_number_and_not_repeated() {
        assert_eq!(
            malformed(Format::Jsonl, "{}\n{\"secret\": }"),
            (2, "is not JSON (column 12)".into())
        );
        assert_eq!(
            malformed(Format::Jsonl, "{}\n[]"),
            (2, "is not a JSON object".into())
        );
        assert_eq!(
            malformed(
                Format::Messages,
                "{\"role\":\"user\",\"content\":\"a\"}\n{\"content\":\"x\"}"
            )
            .0,
            2
        );
        assert_eq!(malformed(Format::Messages, "[\n{\"role\": }]").0, 2);
        assert_eq!(
            malformed(Format::Messages, "[1]"),
            (1, "message 1 is not an object".into())
        );
        assert_eq!(
            malformed(Format::ClaudeCode, "\n{"),
            (2, "is not JSON (column 1)".into())
        );
        let items: Vec<Item> = read(Format::Text, &b"ok\n\nab\xff\n\nmore"[..], "notes").collect();
        assert_eq!(items.len(), 3);
        let wrong = items[1].as_ref().unwrap_err();
        assert_eq!(
            (wrong.line, wrong.error.to_string()),
            (3, "is not UTF-8 (at byte 3)".into())
        );
    }

    #[test]
    fn passages_without_end_do_not_fill_the_memory() {
        let endless = "a line of a passage\n".repeat((LONGEST / 20) + 2);
        let expected = (1, "starts a passage of more than 16 MiB".to_owned());
        assert_eq!(malformed(Format::Text, &endless), expected);
        assert_eq!(malformed(Format::Markdown, &endless), expected);
        let line = "x".repeat(LONGEST + 1);
        assert_eq!(
            malformed(Format::Jsonl, &line),
            (1, "is longer than 16 MiB".into())
        );
    }

    #[test]
    fn text_is_split_by_blank_lines() {
        assert_eq!(
            contents(Format::Text, "\n\none\nstill one\n \n\ntwo"),
            [(3, "one\nstill one".to_owned()), (7, "two".to_owned())]
        );
        assert_eq!(
            parsed(Format::Text, "one"),
            [(
                1,
                json!({"content": "one", "content_type": "text", "source": "notes", "position": 1})
            )]
        );
        assert_eq!(contents(Format::Text, ""), []);
    }

    #[test]
    fn markdown_keeps_headings_and_code_together() {
        let text = "---\ntitle: x\n---\n# Deploy\n\nFirst.\n## Rollback ##\nRun:\n```sh\n# no heading\n\nmake\n```\n- a\n- b\n\n# Next\nLast.";
        assert_eq!(
            contents(Format::Markdown, text),
            [
                (6, "Deploy\n\nFirst.".to_owned()),
                (
                    8,
                    "Deploy › Rollback\n\nRun:\n```sh\n# no heading\n\nmake\n```\n- a\n- b"
                        .to_owned()
                ),
                (18, "Next\n\nLast.".to_owned()),
            ]
        );
    }

    #[test]
    fn messages_keep_who_said_what_and_when() {
        let document = r#"{"messages": [
            {"role": "system", "content": "be nice"},
            {"role": "user", "name": "Maya", "content": [{"type": "text", "text": "Hello"}, {"type": "image_url"}], "timestamp": 1700000000},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "tool", "content": "42"},
            {"role": "assistant", "content": "Hi", "created_at": "2024-03-15T10:00:00Z", "id": "m5"}
        ]}"#;
        assert_eq!(
            parsed(Format::Messages, document),
            [
                (
                    1,
                    json!({"content": "Hello", "type": "context", "speaker": "Maya", "role": "user", "session": "notes",
                    "position": 2, "occurred_at": "2023-11-14T22:13:20Z"})
                ),
                (
                    1,
                    json!({"content": "Hi", "type": "context", "speaker": "assistant", "role": "assistant", "session": "notes",
                    "position": 5, "occurred_at": "2024-03-15T10:00:00Z", "external_id": "m5"})
                ),
            ]
        );
    }

    #[test]
    fn several_talks_are_several_sessions() {
        let sessions = |text: &str| -> Vec<String> {
            parsed(Format::Messages, text)
                .iter()
                .map(|(_, r)| r["session"].as_str().unwrap().to_owned())
                .collect()
        };
        let line = r#"{"messages": [{"role": "user", "content": "a"}]}"#;
        assert_eq!(sessions(&format!("{line}\n{line}")), ["notes:1", "notes:2"]);
        assert_eq!(
            sessions(&format!("[\n{line},\n{line}]")),
            ["notes:1", "notes:2"]
        );
        assert_eq!(
            sessions("{\"role\":\"human\",\"content\":\"a\"}\n{\"role\":\"ai\",\"content\":\"b\"}"),
            ["notes", "notes"]
        );
    }

    #[test]
    fn sessions_of_claude_code_keep_what_was_said() {
        let events = [
            json!({"type": "summary", "summary": "x", "leafUuid": "l"}),
            json!({"type": "user", "uuid": "u1", "sessionId": "s", "timestamp": "2025-01-02T03:04:05.678Z",
                "message": {"role": "user", "content": "Fix the build"}}),
            json!({"type": "user", "isMeta": true, "uuid": "u2", "sessionId": "s", "message": {"content": "meta"}}),
            json!({"type": "assistant", "uuid": "a1", "sessionId": "s",
                "message": {"id": "m", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "On it."}]}}),
            json!({"type": "assistant", "uuid": "a2", "sessionId": "s",
                "message": {"id": "m", "content": [{"type": "tool_use", "name": "Bash"}]}}),
            json!({"type": "user", "uuid": "u3", "sessionId": "s", "message": {"content": [{"type": "tool_result", "content": "ok"}]}}),
            json!({"type": "assistant", "uuid": "a3", "sessionId": "s", "message": {"id": "m", "content": [{"type": "text", "text": "Done."}]}}),
            json!({"type": "user", "uuid": "u4", "sessionId": "s", "message": {"content": "<command-name>/clear</command-name>"}}),
        ];
        let text: String = events.iter().map(|event| format!("{event}\n")).collect();
        assert_eq!(
            parsed(Format::ClaudeCode, &text),
            [
                (
                    2,
                    json!({"content": "Fix the build", "type": "context", "speaker": "user", "role": "user", "session": "s",
                    "position": 1, "occurred_at": "2025-01-02T03:04:05.678Z", "external_id": "u1", "source": "claude-code"})
                ),
                (
                    4,
                    json!({"content": "On it.\n\nDone.", "type": "context", "speaker": "assistant", "role": "assistant", "session": "s",
                    "position": 2, "external_id": "a1", "source": "claude-code"})
                ),
            ]
        );
    }
}
