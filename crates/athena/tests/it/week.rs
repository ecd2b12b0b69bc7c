//! A week of an agent's work, and what is asked about it afterwards.
//!
//! `week/week.jsonl` is the list of what happened. It is told to the command line and, in another
//! home, over MCP; then every question is asked that `week/expected.py` makes of the same list. That
//! program knows nothing of Athena, so what it expects cannot share a mistake with what is answered.

use crate::athena::Athena;
use crate::mcp::Mcp;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// The moment of the week that is now: Sunday evening at eight.
const NOW: i64 = 6 * DAY + 20 * HOUR;
/// How many differences are printed at most for a question.
const SHOWN: usize = 5;

#[test]
fn the_week_is_remembered_through_the_command_line() {
    let athena = Athena::new();
    let wrong = Replay::of(CommandLine(&athena)).answers(&questions());
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_week_is_remembered_over_mcp() {
    let athena = Athena::new();
    let mut replay = Replay::of(Mcp::start(&athena, "mcp.log"));
    let wrong = replay.answers(&questions());
    replay.face.end();
    assert!(wrong.is_empty(), "{wrong}");
}

/// A way to reach Athena.
trait Face {
    /// Performs an operation, which must succeed.
    fn perform(&mut self, operation: &str, input: &Value) -> Value;
}

struct CommandLine<'a>(&'a Athena);

impl Face for CommandLine<'_> {
    fn perform(&mut self, operation: &str, input: &Value) -> Value {
        let ran = match typed(operation, input) {
            Some(mut words) => {
                words.push("--json".to_owned());
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.0.run(&words)
            }
            None => {
                let call = ["call", operation, "-", "--json"];
                self.0.piped(&call, input.to_string().as_bytes())
            }
        };
        assert_eq!(ran.status, 0, "{operation} {input}: {}", ran.err);
        serde_json::from_str(&ran.out).unwrap()
    }
}

impl Face for Mcp {
    fn perform(&mut self, operation: &str, input: &Value) -> Value {
        let arguments = json!({"name": operation, "arguments": input});
        self.call("call_tool", arguments)
    }
}

/// The commands of operations, with the fields that they take by position.
const COMMANDS: &[(&str, &str, &[&str])] = &[
    ("change.list", "changes", &[]),
    ("context.brief", "context", &["prompt"]),
    ("event.around", "event around", &["id"]),
    (
        "event.changes_since_pass",
        "event changes-since-pass",
        &["test_name"],
    ),
    ("event.compare", "event compare", &["first", "second"]),
    ("event.learned", "learned", &[]),
    ("event.list", "timeline", &[]),
    ("event.remove", "event remove", &["id"]),
    ("event.search", "event search", &["query"]),
    ("event.span", "event span", &["query"]),
    ("goal.create", "goal add", &["name"]),
    ("goal.get", "goal get", &["id"]),
    ("goal.list", "goal list", &[]),
    ("goal.update", "goal update", &["id"]),
    ("memory.forget", "forget", &["id"]),
    ("memory.get", "get", &["id"]),
    ("memory.history", "history", &["id"]),
    ("memory.list", "list", &[]),
    ("memory.recall", "recall", &["query"]),
    ("memory.update", "update", &["id", "content"]),
    ("message.list", "message list", &["thread"]),
    ("message.search", "message search", &["query"]),
    ("reminder.due", "due", &[]),
    ("task.advance", "task advance", &["id", "phase"]),
    ("task.attempt", "task attempt", &["id", "outcome"]),
    ("task.block", "task block", &["id", "reason"]),
    ("task.complete", "task complete", &["id"]),
    ("task.create", "task add", &["title"]),
    ("task.depend", "task depend", &["id", "depends_on"]),
    ("task.fail", "task fail", &["id", "reason"]),
    ("task.get", "task get", &["id"]),
    ("task.list", "task list", &[]),
    ("task.ready", "task ready", &[]),
    ("task.search", "task search", &["query"]),
    ("task.start", "task start", &["id"]),
    ("thread.context", "thread context", &["thread"]),
    ("thread.create", "thread create", &["title"]),
    ("thread.get", "thread get", &["thread"]),
    ("trigger.create", "trigger add", &["id", "type"]),
];

/// Returns what a person would type for an operation, if it has a command.
fn typed(operation: &str, input: &Value) -> Option<Vec<String>> {
    let (_, command, by_position) = COMMANDS.iter().find(|(name, ..)| *name == operation)?;
    let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let input = input.as_object().unwrap();
    for (field, value) in input {
        if !by_position.contains(&field.as_str()) {
            options(&mut words, field, value);
        }
    }
    let positioned = by_position.iter().filter_map(|field| input.get(*field));
    words.extend(positioned.map(word));
    Some(words)
}

fn options(words: &mut Vec<String>, field: &str, value: &Value) {
    let option = match field {
        "priority" => "-p".to_owned(),
        field => format!("--{}", field.replace('_', "-")),
    };
    match value {
        Value::Bool(true) => words.push(option),
        Value::Bool(false) => {}
        Value::Array(values) => {
            // A list is a repeated option in the singular.
            let option = option.strip_suffix('s').unwrap_or(&option);
            for value in values {
                words.extend([option.to_owned(), word(value)]);
            }
        }
        value => words.extend([option, word(value)]),
    }
}

fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// What `expected.py` makes of the week.
#[derive(Deserialize)]
struct Questions {
    questions: Vec<Question>,
    /// How many times an event is told.
    told: usize,
    /// How many events there are.
    kept: usize,
    /// What tells once more, and what it tells.
    same: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Question {
    question: String,
    operation: String,
    input: Value,
    checks: Vec<Check>,
    /// Whether to read on to the last page.
    pages: bool,
}

#[derive(Deserialize)]
struct Check {
    at: String,
    how: How,
    value: Value,
    /// What a number or a text found there stands for.
    #[serde(rename = "as")]
    kind: Option<String>,
    /// What an item must have to be looked at.
    #[serde(default, rename = "where")]
    condition: Map<String, Value>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Is,
    Set,
    First,
    Includes,
    Excludes,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/week")
}

fn questions() -> Questions {
    let python = Command::new("python3")
        .args(["expected.py", "week.jsonl"])
        .current_dir(folder())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "{said}");
    let questions: Questions = serde_json::from_slice(&python.stdout).unwrap();
    assert!(questions.questions.len() >= 40);
    questions
}

/// A line of `week.jsonl`.
#[derive(Clone, Deserialize)]
struct Line {
    at: i64,
    #[serde(rename = "do")]
    act: String,
    key: String,
    same_as: Option<String>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

fn lines() -> Vec<Line> {
    let text = std::fs::read_to_string(folder().join("week.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What is known of a replay: the names that its things have here.
#[derive(Default)]
struct Names {
    ids: HashMap<(String, String), i64>,
    keys: HashMap<(String, i64), String>,
    /// When each day was over, by the clock of this machine.
    midnights: Vec<Timestamp>,
    /// The last change of each day.
    changes: Vec<i64>,
}

impl Names {
    /// Learns the id of a thing; what has an id already keeps its first key.
    fn learn(&mut self, kind: &str, key: &str, answer: &Value) {
        let id = answer["id"].as_i64().unwrap();
        self.ids.insert((kind.to_owned(), key.to_owned()), id);
        let known = self.keys.entry((kind.to_owned(), id));
        known.or_insert_with(|| key.to_owned());
    }

    fn id(&self, kind: &str, key: &str) -> Option<i64> {
        self.ids.get(&(kind.to_owned(), key.to_owned())).copied()
    }
}

/// A week that was told to a face.
struct Replay<F> {
    face: F,
    /// The Monday of the week, 00:00.
    monday: Timestamp,
    names: Names,
    inserted: usize,
    skipped: usize,
}

impl<F: Face> Replay<F> {
    /// Tells the whole week, day by day, so that it ends now.
    fn of(face: F) -> Self {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let mut replay = Self {
            face,
            monday: now - SignedDuration::from_secs(NOW),
            names: Names::default(),
            inserted: 0,
            skipped: 0,
        };
        let lines = lines();
        for day in 0..7 {
            let of_day = |line: &&Line| line.at.div_euclid(DAY) == day;
            let lines: Vec<&Line> = lines.iter().filter(of_day).collect();
            replay.tell_day(&lines);
            let changes = replay.face.perform("change.list", &json!({"limit": 1}));
            replay.names.changes.push(changes["last"].as_i64().unwrap());
            replay.names.midnights.push(Timestamp::now());
        }
        replay
    }

    fn tell_day(&mut self, lines: &[&Line]) {
        let (events, others): (Vec<&Line>, Vec<&Line>) =
            lines.iter().partition(|line| line.act == "event");
        for session in events.chunk_by(|one, other| session(one) == session(other)) {
            self.tell_events(session);
        }
        let (memories, others): (Vec<&Line>, Vec<&Line>) =
            others.iter().partition(|line| kind(&line.act) == "memory");
        for several in memories.chunk_by(|one, other| are_told_together(one, other)) {
            self.tell_batch_of(several, "memory.remember_batch", "memories");
        }
        let (messages, others): (Vec<&Line>, Vec<&Line>) =
            others.iter().partition(|line| line.act == "message");
        for line in others {
            self.tell_one(line);
        }
        for said in messages.chunks(1_000) {
            self.say(said);
        }
    }

    /// Tells the events of a session in batches. One that names its cause waits for the next batch if
    /// that is told in this one, whose ids are not known yet.
    fn tell_events(&mut self, events: &[&Line]) {
        let mut waiting: Vec<&Line> = events.to_vec();
        while !waiting.is_empty() {
            let (ready, later): (Vec<&Line>, Vec<&Line>) =
                waiting.iter().partition(|line| self.knows_cause(line));
            assert!(
                !ready.is_empty(),
                "a cause of {} is told nowhere",
                later[0].key
            );
            let told: Vec<Value> = ready.iter().map(|line| self.event(line)).collect();
            let answer = self
                .face
                .perform("event.record_batch", &json!({"events": told}));
            let count =
                |name: &str| usize::try_from(answer["stats"][name].as_u64().unwrap()).unwrap();
            self.inserted += count("inserted");
            self.skipped += count("skipped_duplicate") + count("skipped_existing");
            for (line, recorded) in ready.iter().zip(answer["events"].as_array().unwrap()) {
                self.names.learn("event", &line.key, recorded);
                assert_eq!(
                    recorded["duplicate"],
                    line.same_as.is_some(),
                    "{}",
                    line.key
                );
            }
            waiting = later;
        }
    }

    fn knows_cause(&self, line: &Line) -> bool {
        let cause = line.fields.get("caused_by");
        cause.is_none_or(|cause| {
            let key = cause["event"].as_str().unwrap();
            self.names.id("event", key).is_some()
        })
    }

    fn event(&self, line: &Line) -> Value {
        let mut event = self.input(line);
        let told = event.as_object_mut().unwrap();
        told.entry("occurred_at")
            .or_insert_with(|| json!(self.time(line.at)));
        event
    }

    /// Tells several things at once, or one by its own operation.
    fn tell_batch_of(&mut self, lines: &[&Line], operation: &str, field: &str) {
        if lines[0].act != "remember" {
            return lines.iter().for_each(|line| self.tell_one(line));
        }
        let told: Vec<Value> = lines.iter().map(|line| self.input(line)).collect();
        let answer = self.face.perform(operation, &json!({field: told}));
        for (line, remembered) in lines.iter().zip(answer[field].as_array().unwrap()) {
            self.names.learn("memory", &line.key, remembered);
            assert_eq!(
                remembered["duplicate"],
                line.same_as.is_some(),
                "{}",
                line.key
            );
        }
    }

    fn say(&mut self, lines: &[&Line]) {
        let Some(first) = lines.first() else { return };
        let thread = self.resolve(&first.fields["thread"]);
        let said = lines.iter().map(|line| {
            let mut message = self.input(line);
            let told = message.as_object_mut().unwrap();
            told.remove("thread");
            told.insert("occurred_at".to_owned(), json!(self.time(line.at)));
            message
        });
        let input = json!({"thread": thread, "messages": said.collect::<Vec<_>>()});
        let answer = self.face.perform("message.add_batch", &input);
        for (line, added) in lines.iter().zip(answer["messages"].as_array().unwrap()) {
            self.names.learn("message", &line.key, added);
        }
    }

    fn tell_one(&mut self, line: &Line) {
        let answer = self.face.perform(operation(&line.act), &self.input(line));
        if makes_something(&line.act) {
            self.names.learn(kind(&line.act), &line.key, &answer);
        }
    }

    fn input(&self, line: &Line) -> Value {
        self.resolve(&Value::Object(line.fields.clone()))
    }

    fn time(&self, seconds: i64) -> String {
        (self.monday + SignedDuration::from_secs(seconds)).to_string()
    }

    /// Puts ids and times in the places of what stands for them.
    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(|value| self.resolve(value)).collect(),
            Value::Object(fields) => match self.stand_in(fields) {
                Some(value) => value,
                None => {
                    let resolved = fields.iter();
                    let resolved =
                        resolved.map(|(name, value)| (name.clone(), self.resolve(value)));
                    Value::Object(resolved.collect())
                }
            },
            value => value.clone(),
        }
    }

    /// Returns what an object of one field stands for.
    fn stand_in(&self, fields: &Map<String, Value>) -> Option<Value> {
        let (kind, value) = fields.iter().next().filter(|_| fields.len() == 1)?;
        let of_day = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        match kind.as_str() {
            "at" => Some(json!(self.time(value.as_i64()?))),
            "midnight" => Some(json!(self.names.midnights[of_day(value)].to_string())),
            "change" => Some(json!(self.names.changes[of_day(value)])),
            kind => self.names.id(kind, value.as_str()?).map(Value::from),
        }
    }

    /// Asks every question and returns what was answered wrongly.
    fn answers(&mut self, expected: &Questions) -> String {
        let mut wrong = String::new();
        let counted = (self.inserted, self.inserted + self.skipped);
        if counted != (expected.kept, expected.told) {
            let wanted = (expected.kept, expected.told);
            writeln!(
                wrong,
                "events kept and told: {counted:?}, expected {wanted:?}"
            )
            .unwrap();
        }
        for (again, first) in &expected.same {
            let kind = if self.names.id("event", again).is_some() {
                "event"
            } else {
                "memory"
            };
            if self.names.id(kind, again) != self.names.id(kind, first) {
                writeln!(wrong, "{again} is not the same as {first}").unwrap();
            }
        }
        for question in &expected.questions {
            let answer = self.ask(question);
            for check in &question.checks {
                if let Some(difference) = self.difference(check, &answer) {
                    let Question {
                        question,
                        operation,
                        input,
                        ..
                    } = question;
                    writeln!(wrong, "{question}\n  {operation} {input}\n  {difference}").unwrap();
                }
            }
        }
        wrong
    }

    /// Asks a question, to the last page if that is wanted.
    fn ask(&mut self, question: &Question) -> Value {
        let input = self.resolve(&question.input);
        let mut answer = self.face.perform(&question.operation, &input);
        if question.pages {
            self.read_on(question, input, &mut answer);
        }
        answer
    }

    /// Adds the items of all further pages to an answer.
    fn read_on(&mut self, question: &Question, mut input: Value, answer: &mut Value) {
        let mut page = answer.clone();
        loop {
            // Of a feed one goes on behind its last change, of a list at its cursor.
            let (field, next) = match page.get("after") {
                Some(after) if *after == page["last"] => return,
                Some(after) => ("after", after.clone()),
                None if page["next_cursor"].is_null() => return,
                None => ("cursor", page["next_cursor"].clone()),
            };
            input[field] = next;
            page = self.face.perform(&question.operation, &input);
            let items = list(&page["items"]).to_vec();
            answer["items"].as_array_mut().unwrap().extend(items);
        }
    }

    fn difference(&self, check: &Check, answer: &Value) -> Option<String> {
        let found = self.found(check, answer);
        let wanted = &check.value;
        let problem = match check.how {
            How::Is if is_same(&found, wanted) => return None,
            How::Is => first_difference(&found, wanted),
            How::Set => set_difference(&found, wanted),
            How::First => {
                let wanted = list(wanted);
                let first = list(&found).get(..wanted.len());
                (first != Some(wanted)).then(|| "other ones come first".to_owned())
            }
            How::Includes => {
                let missing = list(wanted).iter().filter(|it| !contains(&found, it));
                listed(missing, "misses")
            }
            // Where nothing was found, leaving something out proves nothing.
            How::Excludes if found.is_null() || found == json!([]) || found == json!("") => {
                Some("has nothing at all".to_owned())
            }
            How::Excludes => {
                let further = list(wanted).iter().filter(|it| contains(&found, it));
                listed(further, "has")
            }
        }?;
        let (wanted, found) = (shortened(wanted), shortened(&found));
        Some(format!(
            "{}: {problem}\n    expected {wanted}\n    found    {found}",
            check.at
        ))
    }

    /// Returns what is at the place of a check, by the names of the week.
    fn found(&self, check: &Check, answer: &Value) -> Value {
        let mut places: Vec<&Value> = vec![answer];
        for step in check.at.split('/').skip(1) {
            places = match step {
                "*" => places
                    .into_iter()
                    .flat_map(|value| value.as_array().into_iter().flatten())
                    .filter(|item| {
                        check
                            .condition
                            .iter()
                            .all(|(name, value)| item[name] == *value)
                    })
                    .collect(),
                step => places
                    .into_iter()
                    .map(|value| value.pointer(&format!("/{step}")).unwrap_or(&Value::Null))
                    .collect(),
            };
        }
        let named = places.into_iter().map(|value| self.named(check, value));
        match check.at.contains('*') {
            // A field that an item does not have is nothing to compare.
            true => named.filter(|value| !value.is_null()).collect(),
            false => named.into_iter().next().unwrap_or_default(),
        }
    }

    fn named(&self, check: &Check, value: &Value) -> Value {
        match (check.kind.as_deref(), value) {
            (None, _) | (_, Value::Null) => value.clone(),
            (Some("time"), value) => {
                let time: Timestamp = value.as_str().unwrap().parse().unwrap();
                json!(time.duration_since(self.monday).as_secs())
            }
            (Some(kind), id) => {
                let known = self
                    .names
                    .keys
                    .get(&(kind.to_owned(), id.as_i64().unwrap()));
                known.map_or_else(|| json!(format!("{kind} {id}")), |key| json!(key))
            }
        }
    }
}

fn session(line: &Line) -> Option<&Value> {
    line.fields.get("session")
}

/// Whether both are remembered anew, so that one call may tell both.
fn are_told_together(one: &Line, other: &Line) -> bool {
    let plain = |line: &Line| line.act == "remember" && !line.fields.contains_key("replaces");
    plain(one) && plain(other)
}

/// Returns the operation by which a line is told by itself.
fn operation(act: &str) -> &str {
    match act {
        "update" => "memory.update",
        "forget" => "memory.forget",
        "task" => "task.create",
        "goal" => "goal.create",
        "pause" => "goal.update",
        "thread" => "thread.create",
        "start" => "task.start",
        "complete" => "task.complete",
        "fail" => "task.fail",
        "block" => "task.block",
        "attempt" => "task.attempt",
        "advance" => "task.advance",
        "depend" => "task.depend",
        "trigger" => "trigger.create",
        "remove" => "event.remove",
        other => panic!("{other} is nothing that happens"),
    }
}

/// Returns what a line is about.
fn kind(act: &str) -> &str {
    match act {
        "remember" | "update" | "forget" => "memory",
        other => other,
    }
}

fn makes_something(act: &str) -> bool {
    ["update", "task", "goal", "thread", "trigger"].contains(&act)
}

/// Whether two values are the same, numbers but for rounding.
fn is_same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Array(found), Value::Array(wanted)) => {
            let mut pairs = found.iter().zip(wanted);
            found.len() == wanted.len() && pairs.all(|(one, other)| is_same(one, other))
        }
        _ => match (found.as_f64(), wanted.as_f64()) {
            (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-6,
            _ => found == wanted,
        },
    }
}

/// Says where two values differ first.
fn first_difference(found: &Value, wanted: &Value) -> Option<String> {
    let (Some(found), Some(wanted)) = (found.as_array(), wanted.as_array()) else {
        return Some(String::new());
    };
    let same = |(one, other): (&Value, &Value)| is_same(one, other);
    let at = found.iter().zip(wanted).take_while(|it| same(*it)).count();
    let of = |values: &[Value]| {
        values
            .get(at)
            .map_or("nothing".to_owned(), Value::to_string)
    };
    Some(format!(
        "{} for {}, at {at} {} for {}",
        found.len(),
        wanted.len(),
        of(found),
        of(wanted)
    ))
}

/// Says what is in one of two lists only.
fn set_difference(found: &Value, wanted: &Value) -> Option<String> {
    let missing = list(wanted).iter().filter(|it| !contains(found, it));
    let further = list(found).iter().filter(|it| !contains(wanted, it));
    match (listed(missing, "misses"), listed(further, "has")) {
        (None, None) => None,
        (one, other) => Some(
            [one, other]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; "),
        ),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// Whether a list has an item, or a text another one.
fn contains(place: &Value, sought: &Value) -> bool {
    match place {
        Value::Array(items) => items.contains(sought),
        Value::String(text) => text.contains(sought.as_str().unwrap()),
        _ => false,
    }
}

fn listed<'a>(values: impl Iterator<Item = &'a Value>, verb: &str) -> Option<String> {
    let values: Vec<String> = values.map(Value::to_string).collect();
    let shown = &values[..values.len().min(SHOWN)];
    (!values.is_empty()).then(|| format!("{verb} {} of them: {}", values.len(), shown.join(", ")))
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(600).collect()
}
