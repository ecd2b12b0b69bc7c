//! What a session is told: at its beginning, or with each transaction where sessions are shared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::database::{Durability, Settings};
use crate::transaction::TxOptions;

/// The settings that statements run under.
#[derive(Debug)]
pub(super) struct Session {
    /// Names and values.
    settings: Vec<(&'static str, String)>,
    statement_timeout: Option<Duration>,
    pooled: bool,
    types_changed: AtomicU64,
}

impl Session {
    pub(super) fn new(settings: &Settings, pooled: bool) -> Self {
        let timeout = settings.statement_timeout.unwrap_or_default();
        let mut pairs = vec![
            ("timezone", "'UTC'".to_owned()),
            ("client_min_messages", "warning".to_owned()),
            ("statement_timeout", timeout.as_millis().to_string()),
        ];
        if let Some(schema) = &settings.schema {
            let schema = schema.replace('"', "\"\"");
            pairs.push(("search_path", format!("\"{schema}\", public")));
        }
        if settings.durability == Durability::Normal {
            pairs.push(("synchronous_commit", "off".to_owned()));
        }
        if settings.read_only {
            let name = if pooled {
                "transaction_read_only"
            } else {
                "default_transaction_read_only"
            };
            pairs.push((name, "on".to_owned()));
        }
        Self {
            settings: pairs,
            statement_timeout: settings.statement_timeout,
            pooled,
            types_changed: AtomicU64::new(0),
        }
    }

    /// How often a type was met that is newer than a connection.
    pub(super) fn types_changed(&self) -> u64 {
        self.types_changed.load(Ordering::SeqCst)
    }

    /// Counts a change that a connection met, unless another one met it before.
    pub(super) fn change_types(&self, seen: u64) {
        let next = seen + 1;
        let _ = self
            .types_changed
            .compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Whether the session on the server is ours for the length of a transaction only.
    pub(super) fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// What to say when a connection was made.
    pub(super) fn start(&self) -> Option<String> {
        (!self.pooled).then(|| self.say("SET"))
    }

    /// What to say to begin a transaction. The server itself ends one whose programme hangs.
    pub(super) fn begin(&self, options: &TxOptions) -> String {
        let (isolation, access) = options.words();
        let limit = options.deadline.as_millis().clamp(1, 2_000_000_000);
        let mut text = format!(
            "BEGIN ISOLATION LEVEL {isolation} {access}; \
             SET LOCAL idle_in_transaction_session_timeout = {limit}"
        );
        if self.pooled {
            text.push_str("; ");
            text.push_str(&self.say("SET LOCAL"));
        }
        if self
            .statement_timeout
            .is_none_or(|timeout| options.deadline < timeout)
        {
            text.push_str(&format!("; SET LOCAL statement_timeout = {limit}"));
        }
        if isolation != "READ COMMITTED" {
            // The snapshot belongs to the beginning, as on SQLite; the server takes it with the
            // first query.
            text.push_str("; SELECT 1");
        }
        text
    }

    fn say(&self, set: &str) -> String {
        let commands = self.settings.iter();
        let commands = commands.map(|(name, value)| format!("{set} {name} = {value}"));
        commands.collect::<Vec<_>>().join("; ")
    }
}
