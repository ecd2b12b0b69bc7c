//! What the operations that read are asked: for each, what agents and people ask it most, and the
//! most that it can be asked.

use super::fill::Stored;
use super::made;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// One input of an operation.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) name: &'static str,
    /// What is asked, in words.
    pub(super) what: &'static str,
    pub(super) input: Value,
}

/// Returns all inputs. Each operation that reads has one at least; measuring fails without.
pub(super) fn all(stored: &Stored) -> Vec<Asked> {
    let asker = Asker { stored };
    [
        asker.memories(),
        asker.recalls(),
        asker.events(),
        asker.spans(),
        asker.work(),
        asker.reminders(),
        asker.conversations(),
        asker.agents(),
        asker.context(),
        asker.rest(),
    ]
    .concat()
}

struct Asker<'a> {
    stored: &'a Stored,
}

fn asked<const N: usize>(
    name: &'static str,
    inputs: [(&'static str, Value); N],
) -> impl Iterator<Item = Asked> {
    let of = move |(what, input)| Asked { name, what, input };
    inputs.into_iter().map(of)
}

/// Returns the id in the middle: neither of what is read first nor of what is read last.
fn middle(ids: &[i64]) -> i64 {
    ids.get(ids.len() / 2).copied().unwrap_or(1)
}

fn last(ids: &[i64]) -> i64 {
    ids.last().copied().unwrap_or(1)
}

impl Asker<'_> {
    fn text(&self, place: usize) -> &str {
        self.stored.texts.get(place).map_or("", String::as_str)
    }

    fn days_ago(&self, days: i64) -> String {
        let ago = SignedDuration::from_hours(24 * days);
        let now = self.stored.now;
        now.checked_sub(ago).unwrap_or(now).to_string()
    }

    fn memories(&self) -> Vec<Asked> {
        let id = middle(&self.stored.memories);
        let session = made::session(made::count(self.stored.memories.len()) / 2);
        asked("memory.get", [("one", json!({ "id": id }))])
            .chain(asked(
                "memory.list",
                [
                    ("newest", json!({})),
                    ("1,000 of them", json!({"limit": 1_000})),
                    ("rules", json!({"type": "rule"})),
                    ("a state", json!({"state": "consolidated"})),
                    ("a rare tag", json!({"tag": "thousandth"})),
                    ("a tag that none has", json!({"tag": "nowhere"})),
                    ("a domain that none has", json!({"domain": "nowhere"})),
                    ("a session", json!({ "session": session })),
                    (
                        "of a day",
                        json!({"after": self.days_ago(2), "before": self.days_ago(1)}),
                    ),
                    ("forgotten", json!({"forgotten": true})),
                ],
            ))
            .chain(asked("memory.history", [("one", json!({ "id": id }))]))
            .chain(asked("memory.relations", [("one", json!({ "id": id }))]))
            .chain(asked(
                "memory.reconsolidation_window",
                [
                    ("an hour", json!({})),
                    ("a day", json!({"window_minutes": 1_440})),
                ],
            ))
            .chain(asked(
                "memory.export",
                [
                    ("a page", json!({})),
                    ("1,000 of them", json!({"limit": 1_000})),
                ],
            ))
            .collect()
    }

    fn recalls(&self) -> Vec<Asked> {
        let query = self.text(0);
        asked(
            "memory.recall",
            [
                ("10 hits", json!({ "query": query })),
                ("another question", json!({"query": self.text(1)})),
                (
                    "by words",
                    json!({"query": self.text(2), "mode": "keyword"}),
                ),
                (
                    "by meaning",
                    json!({"query": self.text(3), "mode": "semantic"}),
                ),
                ("100 hits", json!({"query": query, "limit": 100})),
                ("a type", json!({"query": query, "type": ["decision"]})),
                (
                    "a rare tag",
                    json!({"query": query, "tags": ["thousandth"]}),
                ),
                ("explained", json!({"query": query, "explain": true})),
                (
                    "of a week",
                    json!({"query": query, "after": self.days_ago(7)}),
                ),
            ],
        )
        .chain(asked(
            "memory.semantic_search",
            [("10 hits", json!({ "query": query }))],
        ))
        .chain(asked(
            "memory.hybrid_search",
            [("10 hits", json!({ "query_text": query }))],
        ))
        .collect()
    }

    fn events(&self) -> Vec<Asked> {
        let id = middle(&self.stored.events);
        let session = made::session(made::count(self.stored.events.len()) / 2);
        asked("event.get", [("one", json!({ "id": id }))])
            .chain(asked(
                "event.list",
                [
                    ("newest", json!({})),
                    ("oldest", json!({"order": "oldest"})),
                    ("most surprising", json!({"surprising": true})),
                    ("1,000 of them", json!({"limit": 1_000})),
                    ("a session", json!({ "session": session })),
                    ("a type", json!({"event_type": ["decision"]})),
                    (
                        "a type that none has",
                        json!({"event_type": ["merge_conflict"]}),
                    ),
                    (
                        "two types and an outcome",
                        json!({"event_type": ["error", "test_run"], "outcome": "failure"}),
                    ),
                    ("a file", json!({"file": made::file(5)})),
                    ("a file that none has", json!({"file": "src/nowhere.rs"})),
                    ("a symbol that none has", json!({"symbol": "nowhere"})),
                    ("a test", json!({"test_name": made::test(6)})),
                    ("failed tests", json!({"failed_tests": true})),
                    ("an agent", json!({"agent": "agent-3"})),
                    ("an agent that none is", json!({"agent": "nobody"})),
                    ("a tag", json!({"tag": "tag-7"})),
                    ("a tag that none has", json!({"tag": "nowhere"})),
                    ("a language that none has", json!({"language": "cobol"})),
                    (
                        "of a day",
                        json!({"after": self.days_ago(2), "before": self.days_ago(1)}),
                    ),
                    ("not consolidated", json!({"status": "unconsolidated"})),
                    ("consolidated", json!({"status": "consolidated"})),
                    ("removed", json!({"removed": true})),
                ],
            ))
            .chain(asked(
                "event.learned",
                [
                    ("newest", json!({})),
                    ("of a session", json!({ "session": session })),
                ],
            ))
            .chain(asked(
                "event.search",
                [
                    ("10 hits", json!({"query": self.text(4)})),
                    ("1,000 hits", json!({"query": self.text(4), "limit": 1_000})),
                    (
                        "a type",
                        json!({"query": self.text(5), "event_type": "error"}),
                    ),
                    (
                        "a session",
                        json!({"query": self.text(6), "session": session}),
                    ),
                    (
                        "of a week",
                        json!({"query": self.text(7), "after": self.days_ago(7)}),
                    ),
                ],
            ))
            .chain(asked(
                "event.around",
                [
                    ("some", json!({ "id": id })),
                    ("100 of them", json!({"id": id, "limit": 100})),
                ],
            ))
            .chain(asked(
                "event.changes_since_pass",
                [("a test", json!({"test_name": made::test(6)}))],
            ))
            .chain(asked("event.cursor", [("one", json!({"source": "git"}))]))
            .collect()
    }

    fn spans(&self) -> Vec<Asked> {
        let events = &self.stored.events;
        let ids = json!({"first": middle(events), "second": last(events)});
        asked(
            "event.span",
            [
                ("everything", json!({})),
                (
                    "a day",
                    json!({"after": self.days_ago(2), "before": self.days_ago(1)}),
                ),
                ("a question", json!({"query": self.text(8)})),
                ("a test", json!({"test_name": made::test(6)})),
                ("a file", json!({"file": made::file(5)})),
                ("a session", json!({"session": made::session(0)})),
                ("an outcome", json!({"outcome": "failure"})),
            ],
        )
        .chain(asked("event.compare", [("two", ids)]))
        .collect()
    }

    fn work(&self) -> Vec<Asked> {
        let (goal, task) = (middle(&self.stored.goals), middle(&self.stored.tasks));
        asked("goal.get", [("one", json!({ "id": goal }))])
            .chain(asked(
                "goal.list",
                [
                    ("first", json!({})),
                    ("active", json!({"status": "active", "limit": 500})),
                    ("removed", json!({"removed": true})),
                ],
            ))
            .chain(asked("task.get", [("one", json!({ "id": task }))]))
            .chain(asked(
                "task.list",
                [
                    ("first", json!({})),
                    ("pending", json!({"status": "pending"})),
                    ("blocked", json!({"status": "blocked"})),
                    ("of a phase", json!({"phase": "executing"})),
                    ("of a goal", json!({ "goal_id": goal })),
                    ("an assignee", json!({"assignee": "agent-3"})),
                    ("an assignee who has none", json!({"assignee": "nobody"})),
                    ("overdue", json!({"due_before": self.days_ago(0)})),
                    ("removed", json!({"removed": true})),
                ],
            ))
            .chain(asked(
                "task.search",
                [
                    ("10 hits", json!({"query": self.text(9)})),
                    ("of a goal", json!({"query": self.text(9), "goal_id": goal})),
                ],
            ))
            .chain(asked(
                "task.ready",
                [
                    ("first", json!({})),
                    ("100 of them", json!({"limit": 100})),
                    ("an assignee", json!({"assignee": "agent-3"})),
                ],
            ))
            .chain(asked("task.health", [("one", json!({ "id": task }))]))
            .chain(asked("task.knowledge", [("one", json!({ "id": task }))]))
            .chain(asked(
                "snapshot.latest",
                [
                    ("of the project", json!({})),
                    ("of a session", json!({"session": "session-1"})),
                ],
            ))
            .chain(asked("snapshot.list", [("newest", json!({}))]))
            .chain(asked(
                "snapshot.get",
                [("one", json!({"id": middle(&self.stored.snapshots)}))],
            ))
            .collect()
    }

    fn reminders(&self) -> Vec<Asked> {
        let task = middle(&self.stored.tasks);
        asked(
            "trigger.list",
            [
                ("first", json!({})),
                ("of a task", json!({ "task_id": task })),
            ],
        )
        .chain(asked(
            "reminder.due",
            [
                ("now", json!({})),
                ("within a week", json!({"within_hours": 168})),
            ],
        ))
        .collect()
    }

    fn conversations(&self) -> Vec<Asked> {
        let thread = middle(&self.stored.threads);
        asked(
            "message.list",
            [
                ("newest", json!({ "thread": thread })),
                ("oldest", json!({"thread": thread, "order": "oldest"})),
            ],
        )
        .chain(asked(
            "message.search",
            [
                ("10 hits", json!({"query": self.text(10)})),
                (
                    "in a thread",
                    json!({"query": self.text(11), "thread": thread}),
                ),
                ("a role", json!({"query": self.text(12), "role": "user"})),
            ],
        ))
        .chain(asked(
            "session.get",
            [("one", json!({"session": "session-1"}))],
        ))
        .chain(asked(
            "session.list",
            [
                ("newest", json!({})),
                ("of an agent", json!({"agent": "agent-3"})),
            ],
        ))
        .chain(asked("thread.get", [("one", json!({ "thread": thread }))]))
        .chain(asked(
            "thread.list",
            [
                ("current", json!({})),
                ("of a session", json!({"session": "session-1"})),
                ("of an agent", json!({"agent": "agent-3"})),
                ("archived", json!({"state": "archived"})),
            ],
        ))
        .chain(asked(
            "thread.stats",
            [("one", json!({ "thread": thread }))],
        ))
        .chain(asked(
            "thread.context",
            [("one", json!({ "thread": thread }))],
        ))
        .chain(asked(
            "conversation.resume",
            [
                ("in any case", json!({})),
                ("a question", json!({"prompt": "Where did we leave off?"})),
            ],
        ))
        .collect()
    }

    fn agents(&self) -> Vec<Asked> {
        asked("agent.get", [("one", json!({"agent": "agent-1"}))])
            .chain(asked("agent.list", [("first", json!({}))]))
            .chain(asked(
                "agent.route",
                [
                    ("one skill", json!({"requires": ["rust"]})),
                    ("two skills", json!({"requires": ["rust", "part-3"]})),
                ],
            ))
            .chain(asked(
                "queue.get",
                [("one", json!({"id": middle(&self.stored.items)}))],
            ))
            .chain(asked(
                "queue.list",
                [
                    ("first", json!({})),
                    (
                        "ready in a queue",
                        json!({"queue": "queue-1", "state": "ready"}),
                    ),
                    ("failed", json!({"state": "failed"})),
                    ("of a task", json!({"task_id": middle(&self.stored.tasks)})),
                ],
            ))
            .chain(asked(
                "queue.stats",
                [("all", json!({})), ("a queue", json!({"queue": "queue-1"}))],
            ))
            .chain(asked(
                "lease.list",
                [
                    ("first", json!({})),
                    ("of an agent", json!({"agent": "agent-1"})),
                    ("of a kind", json!({"kind": "file"})),
                    ("ended", json!({"ended": true})),
                ],
            ))
            .collect()
    }

    fn context(&self) -> Vec<Asked> {
        asked(
            "context.brief",
            [
                ("at the start of a session", json!({})),
                ("with a prompt", json!({"prompt": self.text(13)})),
                (
                    "with a prompt and files",
                    json!({"prompt": self.text(14), "files": [made::file(5), made::file(6)]}),
                ),
                (
                    "of 8,000 tokens",
                    json!({"prompt": self.text(15), "budget_tokens": 8_000}),
                ),
            ],
        )
        .collect()
    }

    fn rest(&self) -> Vec<Asked> {
        let seen = json!({"after": 0, "limit": 100});
        let text = format!("Write to ada@lovelace.org about this: {}", self.text(16));
        asked(
            "project.get",
            [("one", json!({"name": super::super::place::PROJECT}))],
        )
        .chain(asked(
            "project.get_by_path",
            [("one", json!({"path": super::fill::PATH}))],
        ))
        .chain(asked("project.list", [("first", json!({}))]))
        .chain(asked("change.list", [("the first 100", seen)]))
        .chain(asked("pii.scan", [("a sentence", json!({ "text": text }))]))
        .chain(asked("pii.status", [("all", json!({}))]))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Stored, all};
    use crate::compose;
    use athena_core::Effect;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_that_reads_is_asked_and_no_other() {
        let registry = compose::registry();
        let reads = registry.entries().iter();
        let reads = reads.filter(|entry| entry.spec.effect == Effect::Read);
        let reads: BTreeSet<&str> = reads.map(|entry| entry.spec.name).collect();
        let asked: Vec<Asked> = all(&Stored::default());
        let asked: BTreeSet<&str> = asked.iter().map(|asked| asked.name).collect();
        assert_eq!(asked, reads);
    }
}
