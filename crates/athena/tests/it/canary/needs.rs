//! What operations need to be called: what exists, in which state, and what texts must name.
//!
//! Tables, from operation or field to what it is given. Where an operation stands with a dot at its
//! end, all of its aggregate are meant. The first row that fits holds.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What exists, by what it is called in these tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(BTreeMap<String, Value>);

impl Known {
    /// Takes note of something.
    pub(crate) fn learn(&mut self, what: &str, is: impl Into<Value>) {
        self.0.insert(what.to_owned(), is.into());
    }

    /// Returns it.
    pub(crate) fn get(&self, what: &str) -> &Value {
        self.0.get(what).unwrap_or_else(|| panic!("no {what} yet"))
    }

    /// Returns a template with everything filled in: `$task` is what is known as a task, `$.session`
    /// a field of `at`. What `at` does not have is left out.
    pub(crate) fn filled(&self, template: &str, at: &Value) -> Value {
        let template = serde_json::from_str(template).unwrap();
        self.fill(template, at).unwrap()
    }

    fn fill(&self, template: Value, at: &Value) -> Option<Value> {
        match template {
            Value::String(text) => match text.strip_prefix('$') {
                Some(field) if field.starts_with('.') => at.get(&field[1..]).cloned(),
                Some(what) => Some(self.get(what).clone()),
                None => Some(self.in_words(&text).into()),
            },
            Value::Object(fields) => {
                let filled = fields.into_iter().filter_map(|(name, value)| {
                    Some((self.in_words(&name), self.fill(value, at)?))
                });
                Some(filled.collect::<Map<_, _>>().into())
            }
            Value::Array(items) => {
                let filled = items.into_iter().filter_map(|item| self.fill(item, at));
                Some(filled.collect::<Vec<_>>().into())
            }
            other => Some(other),
        }
    }

    /// Puts what is new in each call, and what is personal, into a text.
    fn in_words(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for what in ["word", "address"] {
            let name = format!("{{{what}}}");
            if text.contains(&name) {
                text = text.replace(&name, self.get(what).as_str().unwrap());
            }
        }
        text
    }
}

/// What a field is given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given {
    /// Something that exists.
    Named(&'static str),
    /// Always this, as JSON.
    Always(&'static str),
    /// Personal text behind this.
    Behind(&'static str),
    /// Nothing: it does not go with the rest.
    Nothing,
}

use Given::{Always, Behind, Named, Nothing};

/// Fields that are given something else than made-up text.
const FIELDS: &[(&str, &str, Given)] = &[
    ("pii.", "token", Named("token")),
    ("memory.", "id", Named("memory")),
    ("event.compare", "first", Named("event")),
    ("event.compare", "second", Named("other event")),
    ("event.", "id", Named("event")),
    ("goal.", "id", Named("goal")),
    ("task.depend", "depends_on", Named("other task")),
    ("task.undepend", "depends_on", Named("other task")),
    ("task.advance", "phase", Always(r#""executing""#)),
    ("task.", "id", Named("task")),
    ("trigger.create", "id", Named("task")),
    ("trigger.", "id", Named("trigger")),
    (
        "reminder.snooze",
        "until",
        Always(r#""2030-01-01T00:00:00Z""#),
    ),
    ("reminder.", "id", Named("reminder")),
    ("snapshot.", "id", Named("snapshot")),
    ("thread.", "thread", Named("thread")),
    ("message.", "thread", Named("thread")),
    // Only an assistant may say everything that a message can hold.
    ("message.", "role", Always(r#""assistant""#)),
    ("message.", "id", Named("message")),
    ("queue.", "id", Named("item")),
    ("queue.", "token", Named("claim")),
    ("lease.", "token", Named("lease")),
    ("lease.acquire", "resource", Behind("file:")),
];

/// What some fields of an operation are given together.
type Way = &'static [(&'static str, Given)];

/// Operations that take some of their fields at a time, in turns.
const WAYS: &[(&str, &[Way])] = &[(
    "trigger.create",
    &[
        &[
            ("type", Always(r#""event""#)),
            ("schedule", Nothing),
            ("time_zone", Nothing),
            ("location", Nothing),
            ("tags", Nothing),
        ],
        &[
            ("type", Always(r#""context""#)),
            ("schedule", Nothing),
            ("time_zone", Nothing),
            ("event_type", Nothing),
            ("outcome", Nothing),
            ("content", Nothing),
        ],
    ],
)];

/// Returns what a field of an operation is given; `turn` counts the calls.
pub(crate) fn given(operation: &str, field: &str, turn: usize) -> Option<Given> {
    let ways = WAYS.iter().find(|(it, _)| *it == operation);
    let way = ways.map(|(_, ways)| ways[turn % ways.len()]);
    let mut in_way = way.into_iter().flatten();
    let in_way = in_way.find_map(|(name, given)| (*name == field).then_some(*given));
    let mut fields = FIELDS.iter();
    in_way.or_else(|| {
        fields.find_map(|(it, name, given)| {
            (is_meant(it, operation) && *name == field).then_some(*given)
        })
    })
}

fn is_meant(row: &str, operation: &str) -> bool {
    row == operation || (row.ends_with('.') && operation.starts_with(row))
}

/// A call that makes something ready: the operation, its input as a template, and where in the
/// answer there is what under which name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) operation: &'static str,
    pub(crate) input: &'static str,
    pub(crate) learns: &'static [(&'static str, &'static str)],
}

const fn step(operation: &'static str, input: &'static str) -> Step {
    Step {
        operation,
        input,
        learns: &[],
    }
}

const fn makes(
    operation: &'static str,
    input: &'static str,
    learns: &'static [(&'static str, &'static str)],
) -> Step {
    Step {
        operation,
        input,
        learns,
    }
}

const TASK: Step = makes(
    "task.create",
    r#"{"title": "Before: {word}.", "description": "Ask {address}."}"#,
    &[("/id", "task")],
);
const TRIGGER: Step = makes(
    "trigger.create",
    r#"{"id": "$task", "type": "event", "content": "{word}", "outcome": "{address}"}"#,
    &[("/id", "trigger")],
);
const REMINDER: Step = makes(
    "trigger.notify",
    r#"{"content": "Then {word} came.", "outcome": "{address}"}"#,
    &[("/reminders/0/id", "reminder")],
);
const THREAD: Step = makes(
    "thread.create",
    r#"{"title": "About {word}.", "agent": "{address}"}"#,
    &[("/id", "thread")],
);
const MESSAGE: Step = makes(
    "message.add",
    r#"{"thread": "$thread", "role": "user", "content": "I said {word} to {address}."}"#,
    &[("/id", "message")],
);
const AGENT: Step = step(
    "agent.register",
    r#"{"agent": "{word}", "capabilities": ["{address}"], "max_concurrent": 1000}"#,
);
const ITEM: Step = makes(
    "queue.put",
    r#"{"queue": "{word}", "title": "Do it for {address}."}"#,
    &[("/id", "item")],
);
const CLAIM: Step = makes(
    "queue.claim",
    r#"{"agent": "{word}", "queue": "{word}"}"#,
    &[("/items/0/token", "claim")],
);

/// How what an operation is about is made, anew for every call.
const MADE: &[(&str, &[Step])] = &[
    ("task", &[TASK]),
    ("trigger", &[TASK, TRIGGER]),
    ("reminder", &[TASK, TRIGGER, REMINDER]),
    (
        "goal",
        &[makes(
            "goal.create",
            r#"{"name": "Before: {word}.", "description": "Ask {address}."}"#,
            &[("/id", "goal")],
        )],
    ),
    (
        "event",
        &[makes(
            "event.record",
            r#"{"content": "Before that {word} met {address}."}"#,
            &[("/id", "event")],
        )],
    ),
    (
        "snapshot",
        &[makes(
            "snapshot.save",
            r#"{"summary": "So far {word} asked {address}."}"#,
            &[("/id", "snapshot")],
        )],
    ),
    ("thread", &[THREAD]),
    ("message", &[THREAD, MESSAGE]),
    ("item", &[ITEM]),
    ("claim", &[AGENT, ITEM, CLAIM]),
    (
        "lease",
        &[makes(
            "lease.acquire",
            r#"{"resource": "file:{word}", "agent": "{address}"}"#,
            &[("/token", "lease")],
        )],
    ),
];

/// What stays while others come and go.
pub(crate) const FIRST: &[Step] = &[
    makes(
        "task.create",
        r#"{"title": "The other one: {word} for {address}."}"#,
        &[("/id", "other task")],
    ),
    makes(
        "event.record",
        r#"{"content": "The other one: {word} for {address}."}"#,
        &[("/id", "other event")],
    ),
];

/// What no purge takes: a server renews the statistics only of tables that have rows.
pub(crate) const KEPT: &[Step] = &[
    makes(
        "task.create",
        r#"{"title": "This stays.", "project": "shop"}"#,
        &[("/id", "kept task")],
    ),
    makes(
        "task.create",
        r#"{"title": "So does this.", "project": "shop", "depends_on": ["$kept task"]}"#,
        &[("/id", "kept task")],
    ),
    step(
        "task.attempt",
        r#"{"id": "$kept task", "outcome": "failure", "lesson": "It waits."}"#,
    ),
    step(
        "trigger.create",
        r#"{"id": "$kept task", "type": "event", "outcome": "kept"}"#,
    ),
    step(
        "trigger.notify",
        r#"{"outcome": "kept", "project": "shop"}"#,
    ),
    step("goal.create", r#"{"name": "To stay.", "project": "shop"}"#),
    step(
        "snapshot.save",
        r#"{"summary": "It stays.", "project": "shop"}"#,
    ),
    step(
        "event.record",
        r#"{"content": "It stayed.", "file_path": "stay.rs", "metrics": {"stays": 1.0}, "project": "shop"}"#,
    ),
    step(
        "event.set_cursor",
        r#"{"source": "git", "position": {"at": "head"}, "project": "shop"}"#,
    ),
    step(
        "agent.register",
        r#"{"agent": "keeper", "project": "shop"}"#,
    ),
    step("queue.put", r#"{"title": "Stay.", "project": "shop"}"#),
    step("queue.claim", r#"{"agent": "keeper", "project": "shop"}"#),
    makes(
        "thread.create",
        r#"{"title": "To stay.", "session": "kept", "project": "shop"}"#,
        &[("/id", "kept thread")],
    ),
    step(
        "message.add",
        r#"{"thread": "$kept thread", "role": "user", "content": "It stays."}"#,
    ),
];

/// The state that things are brought into before an operation.
const STATES: &[(&str, &[Step])] = &[
    (
        "event.restore",
        &[step("event.remove", r#"{"id": "$event"}"#)],
    ),
    ("goal.restore", &[step("goal.remove", r#"{"id": "$goal"}"#)]),
    ("task.restore", &[step("task.remove", r#"{"id": "$task"}"#)]),
    (
        "task.reopen",
        &[step("task.complete", r#"{"id": "$task"}"#)],
    ),
    (
        "task.unblock",
        &[step(
            "task.block",
            r#"{"id": "$task", "reason": "{address}"}"#,
        )],
    ),
    (
        "task.undepend",
        &[step(
            "task.depend",
            r#"{"id": "$task", "depends_on": "$other task"}"#,
        )],
    ),
    (
        "thread.restore",
        &[step("thread.remove", r#"{"thread": "$thread"}"#)],
    ),
    (
        "thread.reopen",
        &[step("thread.close", r#"{"thread": "$thread"}"#)],
    ),
    (
        "thread.unarchive",
        &[step("thread.archive", r#"{"thread": "$thread"}"#)],
    ),
    ("thread.summarise", &[MESSAGE]),
    ("thread.context", &[MESSAGE]),
    ("thread.purge", &[MESSAGE]),
    (
        "message.purge",
        &[step("thread.summarise", r#"{"thread": "$thread"}"#)],
    ),
    ("message.list", &[MESSAGE]),
    (
        "queue.retry",
        &[step(
            "queue.cancel",
            r#"{"id": "$item", "reason": "{address}"}"#,
        )],
    ),
];

/// Returns what is done before the arguments of a call are made; `fields` are those of its input.
pub(crate) fn before(operation: &str, fields: &[&str]) -> Vec<Step> {
    let named = fields
        .iter()
        .filter_map(|field| match given(operation, field, 0) {
            Some(Named(what)) => MADE.iter().find(|(it, _)| *it == what),
            _ => None,
        });
    let mut steps: Vec<Step> = named.flat_map(|(_, steps)| *steps).copied().collect();
    let states = STATES.iter().filter(|(it, _)| *it == operation);
    steps.extend(states.flat_map(|(_, steps)| *steps));
    steps
}

const SESSION: Step = step(
    "session.start",
    r#"{"session": "$.session", "context": {"{address}": "{word}"}}"#,
);
const NAMED_AGENT: Step = step("agent.register", r#"{"agent": "$.agent"}"#);
const CURSOR: Step = step(
    "event.set_cursor",
    r#"{"source": "$.source", "position": {"{word}": "{address}"}}"#,
);

/// What must exist for operations that name something by a text, made from their own arguments.
const TEXTS: &[(&str, &[Step])] = &[
    ("session.get", &[SESSION]),
    ("session.end", &[SESSION]),
    ("session.purge", &[SESSION]),
    ("agent.get", &[NAMED_AGENT]),
    ("agent.heartbeat", &[NAMED_AGENT]),
    ("agent.remove", &[NAMED_AGENT]),
    ("agent.purge", &[NAMED_AGENT]),
    (
        "queue.claim",
        &[
            NAMED_AGENT,
            step(
                "queue.put",
                r#"{"queue": "$.queue", "title": "For {word}."}"#,
            ),
        ],
    ),
    (
        "snapshot.latest",
        &[step(
            "snapshot.save",
            r#"{"session": "$.session", "summary": "Done by {word}."}"#,
        )],
    ),
    (
        "event.changes_since_pass",
        &[step(
            "event.record",
            r#"{"content": "The test of {word} passed.", "test_name": "$.test_name", "test_passed": true}"#,
        )],
    ),
    ("event.cursor", &[CURSOR]),
    ("event.purge_cursor", &[CURSOR]),
    (
        "trigger.notify",
        &[
            TASK,
            step(
                "trigger.create",
                r#"{"id": "$task", "type": "event", "outcome": "$.outcome", "event_type": "$.event_type"}"#,
            ),
            step(
                "trigger.create",
                r#"{"id": "$task", "type": "context", "location": "$.location"}"#,
            ),
        ],
    ),
];

/// Returns what is done once the arguments of a call are known.
pub(crate) fn for_texts(operation: &str) -> &'static [Step] {
    let row = TEXTS.iter().find(|(it, _)| *it == operation);
    row.map_or(&[], |(_, steps)| steps)
}

/// What is done after a call: the operation, and its input, where `$.` is a field of the call's
/// arguments and answer.
const AFTER: &[(&str, &[Step])] = &[
    // A lease that is held keeps its holder from being purged.
    (
        "lease.acquire",
        &[step("lease.release", r#"{"token": "$.token"}"#)],
    ),
    (
        "lease.renew",
        &[step("lease.release", r#"{"token": "$.token"}"#)],
    ),
];

/// Returns what is done after a call.
pub(crate) fn after(operation: &str) -> &'static [Step] {
    let row = AFTER.iter().find(|(it, _)| *it == operation);
    row.map_or(&[], |(_, steps)| steps)
}

/// What is in no list, and is purged with the rest.
const LATER: &[(&str, &[Step])] = &[
    (
        "agent.remove",
        &[step("agent.purge", r#"{"agent": "$.agent"}"#)],
    ),
    (
        "event.cursor",
        &[step("event.purge_cursor", r#"{"source": "$.source"}"#)],
    ),
    (
        "event.set_cursor",
        &[step("event.purge_cursor", r#"{"source": "$.source"}"#)],
    ),
];

/// Returns what is done after a call once everything is purged.
pub(crate) fn later(operation: &str) -> &'static [Step] {
    let row = LATER.iter().find(|(it, _)| *it == operation);
    row.map_or(&[], |(_, steps)| steps)
}

/// How everything is removed for good: what lists it, with which input, and what is done with each
/// item, until the list is empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purge {
    pub(crate) list: &'static str,
    pub(crate) with: &'static str,
    pub(crate) each: Step,
}

const fn purge(list: &'static str, with: &'static str, each: Step) -> Purge {
    Purge { list, with, each }
}

/// Everything, what holds something else fast after that.
pub(crate) const PURGES: &[Purge] = &[
    purge(
        "queue.list",
        r#"{"state": "leased", "limit": 50}"#,
        step("queue.cancel", r#"{"id": "$.id"}"#),
    ),
    purge(
        "queue.list",
        r#"{"limit": 50}"#,
        step("queue.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "agent.list",
        r#"{"limit": 50}"#,
        step("agent.purge", r#"{"agent": "$.agent"}"#),
    ),
    // Agents that were never registered.
    purge(
        "lease.list",
        r#"{"ended": true, "limit": 1}"#,
        step("agent.purge", r#"{"agent": "$.agent"}"#),
    ),
    purge(
        "thread.list",
        r#"{"state": "removed", "limit": 50}"#,
        step("thread.purge", r#"{"thread": "$.id"}"#),
    ),
    purge(
        "thread.list",
        r#"{"state": "archived", "limit": 50}"#,
        step("thread.purge", r#"{"thread": "$.id"}"#),
    ),
    purge(
        "thread.list",
        r#"{"limit": 50}"#,
        step("thread.purge", r#"{"thread": "$.id"}"#),
    ),
    purge(
        "session.list",
        r#"{"limit": 50}"#,
        step("session.purge", r#"{"session": "$.session"}"#),
    ),
    purge(
        "event.list",
        r#"{"removed": true, "limit": 50}"#,
        step("event.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "event.list",
        r#"{"limit": 50}"#,
        step("event.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "task.list",
        r#"{"removed": true, "limit": 50}"#,
        step("task.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "task.list",
        r#"{"limit": 50}"#,
        step("task.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "goal.list",
        r#"{"removed": true, "limit": 50}"#,
        step("goal.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "goal.list",
        r#"{"limit": 50}"#,
        step("goal.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "snapshot.list",
        r#"{"limit": 50}"#,
        step("snapshot.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "memory.list",
        r#"{"forgotten": true, "limit": 50}"#,
        step("memory.purge", r#"{"id": "$.id"}"#),
    ),
    purge(
        "memory.list",
        r#"{"limit": 50}"#,
        step("memory.purge", r#"{"id": "$.id"}"#),
    ),
];
