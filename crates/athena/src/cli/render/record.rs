//! What tells most about a record: one table of fields for lists, hits and lines.
//!
//! A list of tasks has thirty fields to choose from, a list of leases ten, and a new operation brings
//! fields of its own. So the choice is made by name: [`TELLING`] says which fields are worth showing,
//! in which order and how, [`BESIDE`] which of them a better one makes needless. Of a field that is
//! in neither, a list says nothing unless it has nothing else to say.

use super::value;
use serde_json::{Map, Value};

/// How a field is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Understood without its name, such as `pending`.
    Word,
    /// Short, and in a line only understood with its name, such as `priority 8`.
    Named,
    /// Prose, which gets the room that is left and may be cut.
    Text,
    /// Of no use when it is cut, such as a token.
    Whole,
}

/// The fields that tell something, in the order in which they are shown. Where room lacks, those
/// further down go first.
const TELLING: &[(&str, Look)] = &[
    ("seq", Look::Named),
    ("number", Look::Named),
    ("id", Look::Named),
    ("title", Look::Text),
    ("name", Look::Text),
    ("resource", Look::Text),
    ("task_id", Look::Named),
    ("command", Look::Word),
    ("queue", Look::Named),
    ("ready", Look::Named),
    ("leased", Look::Named),
    ("from", Look::Named),
    ("relation", Look::Word),
    ("to", Look::Named),
    ("strength", Look::Named),
    ("version", Look::Named),
    ("thread_title", Look::Word),
    ("role", Look::Word),
    ("memory_type", Look::Word),
    ("type", Look::Word),
    ("event_type", Look::Word),
    ("operation", Look::Word),
    ("outcome", Look::Word),
    ("status", Look::Word),
    ("state", Look::Word),
    ("priority", Look::Named),
    ("scope", Look::Word),
    ("deadline", Look::Named),
    ("next_due_at", Look::Named),
    ("due_at", Look::Named),
    ("phase", Look::Word),
    ("schedule", Look::Named),
    ("depends_on", Look::Named),
    ("path", Look::Named),
    ("location", Look::Named),
    ("session", Look::Named),
    ("agent", Look::Named),
    ("alive", Look::Named),
    ("held_by", Look::Named),
    ("fitness", Look::Named),
    ("load", Look::Named),
    ("capabilities", Look::Named),
    ("at", Look::Word),
    ("snoozed_until", Look::Named),
    ("acknowledged_at", Look::Named),
    ("fired_at", Look::Named),
    ("taken_at", Look::Named),
    ("last_message_at", Look::Named),
    ("last_active_at", Look::Named),
    ("last_heartbeat_at", Look::Named),
    ("expires_at", Look::Named),
    ("not_before", Look::Named),
    ("kind", Look::Word),
    ("principal", Look::Named),
    ("messages", Look::Named),
    ("threads", Look::Named),
    ("memory_count", Look::Named),
    ("completion_percentage", Look::Named),
    ("completed", Look::Named),
    ("failed", Look::Named),
    ("tags", Look::Word),
    ("speaker", Look::Word),
    ("occurred_at", Look::Word),
    ("created_at", Look::Word),
    ("reasons", Look::Text),
    ("reason", Look::Text),
    ("reminders", Look::Named),
    ("learned", Look::Text),
    ("lesson", Look::Text),
    ("content", Look::Text),
    ("text", Look::Text),
    ("summary", Look::Text),
    ("next_step", Look::Text),
    ("description", Look::Text),
    ("token", Look::Whole),
];

/// Fields that say nothing beside one of the better ones.
const BESIDE: &[(&str, &[&str])] = &[
    ("due_at", &["next_due_at"]),
    ("state", &["memory_type", "type"]),
    ("kind", &["title", "name", "content"]),
    (
        "principal",
        &[
            "title", "name", "content", "resource", "session", "agent", "summary", "type",
        ],
    ),
    ("description", &["title", "content"]),
    (
        "created_at",
        &[
            "at",
            "deadline",
            "due_at",
            "expires_at",
            "fired_at",
            "last_active_at",
            "last_heartbeat_at",
            "last_message_at",
            "next_due_at",
            "not_before",
            "occurred_at",
            "taken_at",
        ],
    ),
];

/// Fields for machines, which only a record that is asked for by itself shows.
const NOISE: &[&str] = &[
    "lineage",
    "masked",
    "metadata",
    "principal",
    "project",
    "project_id",
    "summary_to_seq",
    "task_uid",
    "uid",
    "updated_at",
];

/// Fewer telling fields than this leave room for any others.
const FEW: usize = 2;

/// Returns how a field is shown, and its place; `None` for one that tells nothing by itself.
fn telling(name: &str) -> Option<(usize, Look)> {
    let place = TELLING.iter().position(|(known, _)| *known == name)?;
    Some((place, TELLING[place].1))
}

/// Returns the place of a field among others: the telling ones first, then the rest.
pub(super) fn rank(name: &str) -> usize {
    telling(name).map_or(TELLING.len(), |(place, _)| place)
}

/// Returns how a field is shown.
pub(super) fn look(name: &str) -> Look {
    telling(name).map_or(Look::Named, |(_, look)| look)
}

/// Whether a field is for machines.
pub(super) fn is_noise(name: &str) -> bool {
    NOISE.contains(&name)
}

/// A record: its fields that say something, and those of the record in it.
#[derive(Debug)]
pub(super) struct Record<'a>(Vec<Field<'a>>);

/// A field of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
    /// Whether it is one of the record in the record, such as the title of the task that is due.
    pub(super) is_inner: bool,
}

impl<'a> Record<'a> {
    /// Reads a record. One that has no id but has another record in it, as a hit has its message,
    /// takes over that one's fields.
    pub(super) fn of(object: &'a Map<String, Value>) -> Self {
        let field = |is_inner| {
            move |(name, value): (&'a String, &'a Value)| Field {
                name,
                value,
                is_inner,
            }
        };
        let mut fields: Vec<Field<'a>> = object.iter().map(field(false)).collect();
        if let Some((name, inner)) = record_in(object) {
            fields.retain(|field| field.name != name);
            let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let more = inner.iter().map(field(true));
            fields.extend(more.filter(|field| !known.contains(&field.name)));
        }
        fields.retain(|field| value::says_something(field.value));
        Self(fields)
    }

    /// Returns the fields.
    pub(super) fn fields(&self) -> &[Field<'a>] {
        &self.0
    }

    /// Returns a field.
    pub(super) fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.0.iter().find(|field| field.name == name)
    }

    /// Returns a field as a person reads it; empty for one that is not there.
    pub(super) fn shown(&self, name: &str) -> String {
        let field = self.get(name);
        field.map_or_else(String::new, |field| {
            value::shown(name, field.value, self.precision())
        })
    }

    /// Returns how exactly it is known when it happened.
    fn precision(&self) -> Option<&'a str> {
        self.get("precision")?.value.as_str()
    }

    /// Returns a field as a part of a line: with its name where it is not understood without.
    pub(super) fn part(&self, name: &str) -> String {
        let shown = self.shown(name);
        match look(name) {
            _ if name == "tags" => shown
                .split(", ")
                .map(|tag| format!("#{tag}"))
                .collect::<Vec<_>>()
                .join(" "),
            Look::Word | Look::Text => shown,
            Look::Named | Look::Whole => format!("{} {shown}", label(name)),
        }
    }
}

/// Returns a field's name in a line: `due` for `due_at`.
fn label(name: &str) -> String {
    name.strip_suffix("_at").unwrap_or(name).replace('_', " ")
}

/// Whether an object is a record: something that can be named.
pub(super) fn is_record(object: &Map<String, Value>) -> bool {
    object.get("id").is_some_and(|id| !id.is_object())
}

/// Returns the record that an object without an id is about, if that is one and not several.
fn record_in(object: &Map<String, Value>) -> Option<(&String, &Map<String, Value>)> {
    let is_record_in = |value: &'_ Value| value.as_object().is_some_and(is_record);
    let mut records = object.iter().filter(|(_, value)| is_record_in(value));
    let (name, value) = records.next()?;
    if is_record(object) || records.next().is_some() {
        return None;
    }
    Some((name, value.as_object()?))
}

/// Picks the fields that tell most about records, in the order in which they are shown.
pub(super) fn choose<'a>(records: &[Record<'a>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for field in records.iter().flat_map(Record::fields) {
        if value::fits_a_cell(field.value) && !names.contains(&field.name) {
            names.push(field.name);
        }
    }
    names.sort_by_key(|name| (rank(name), *name));
    let is_told =
        |name: &&str| telling(name).is_some() && (*name != "version" || are_versions(records));
    let mut chosen: Vec<&str> = names.iter().copied().filter(is_told).collect();
    let better = |name: &str| BESIDE.iter().find(|(known, _)| *known == name);
    let all = chosen.clone();
    chosen.retain(|name| {
        better(name).is_none_or(|(_, better)| !better.iter().any(|name| all.contains(name)))
    });
    // What has no id are figures, and all of them were asked for.
    if chosen.len() < FEW || !chosen.contains(&"id") {
        let more = names
            .into_iter()
            .filter(|name| !is_noise(name) && !all.contains(name));
        chosen.extend(more);
    }
    chosen
}

/// Whether records are the versions of one thing, which nothing but their numbers tells apart.
fn are_versions(records: &[Record<'_>]) -> bool {
    let lineage = |record: &Record<'_>| record.get("lineage").map(|field| field.value.clone());
    let mut lineages = records.iter().map(lineage);
    let first = lineages.next().flatten();
    records.len() > 1 && first.is_some() && lineages.all(|lineage| lineage == first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chosen(records: &Value) -> Vec<&str> {
        let records = records.as_array().unwrap().iter();
        let records: Vec<Record<'_>> = records
            .map(|record| Record::of(record.as_object().unwrap()))
            .collect();
        choose(&records)
    }

    #[test]
    fn telling_fields_are_chosen_in_their_order() {
        let tasks = json!([
            {"id": 1, "uid": "u", "title": "Fix it", "status": "pending", "priority": 8, "version": 2, "project_id": 1,
             "created_at": "2026-01-01T00:00:00Z", "description": "Now", "kind": "task", "principal": "cli"},
            {"id": 2, "uid": "v", "title": "Test it", "status": "done", "due_at": "2026-01-01T00:00:00Z"},
        ]);
        assert_eq!(
            chosen(&tasks),
            ["id", "title", "status", "priority", "due_at"]
        );
        let changes = json!([{"id": 7, "seq": 1, "kind": "memory", "operation": "memory.update", "principal": "cli",
            "at": "2026-01-01T00:00:00Z"}]);
        assert_eq!(
            chosen(&changes),
            ["seq", "id", "operation", "at", "kind", "principal"]
        );
        let relations = json!([{"from": 1, "to": 2, "relation": "supports", "strength": 0.5}]);
        assert_eq!(chosen(&relations), ["from", "relation", "to", "strength"]);
    }

    #[test]
    fn a_record_without_an_id_takes_over_the_fields_of_the_one_in_it() {
        let due = json!([{"overdue": true, "reasons": ["late"], "reminders": [3],
            "task": {"id": 1, "title": "Fix it", "due_at": "2026-01-01T00:00:00Z"}}]);
        assert_eq!(
            chosen(&due),
            ["id", "title", "due_at", "reasons", "reminders"]
        );
        let hits = json!([{"score": 1.0, "thread_title": "t", "message": {"id": 1, "role": "user", "content": "c"}}]);
        assert_eq!(chosen(&hits), ["id", "thread_title", "role", "content"]);
    }

    #[test]
    fn only_versions_of_one_thing_show_their_numbers() {
        let two = |lineage: &str| {
            json!([
                {"id": 1, "version": 1, "lineage": "a", "content": "c"},
                {"id": 2, "version": 2, "lineage": lineage, "content": "c"},
            ])
        };
        assert_eq!(chosen(&two("a")), ["id", "version", "content"]);
        assert_eq!(chosen(&two("b")), ["id", "content"]);
    }

    #[test]
    fn what_tells_nothing_is_shown_where_nothing_else_is() {
        let stats = json!([{"queue": "q", "ready": 1, "done": 2, "uid": "u"}]);
        assert_eq!(chosen(&stats), ["queue", "ready", "done"]);
        let figures = json!([{"role": "user", "messages": 2, "tokens": 7}]);
        assert_eq!(chosen(&figures), ["role", "messages", "tokens"]);
    }
}
